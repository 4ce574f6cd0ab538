/*-------------------------------------------------------------------------
 * upkeep.c
 *		The hook on utility statements: a protected table stays protected,
 *		and its redacted view stays right, whatever its owner does to it.
 *
 * Before a command that changes columns the view is made one of typed NULLs,
 * so that it depends on nothing; after the command the policies follow what
 * was renamed or dropped and the view is generated again.  That keeps its OID,
 * owner, privileges and dependants.  All of it is in the user's transaction:
 * where upkeep fails, so does the command.
 *
 * Upkeep runs as the extension's owner.  Its own commands come through the
 * hook again; the static Busy keeps them from being looked after in turn.
 * Locks are those the command takes itself, taken a moment earlier; the view
 * comes first, as it does for its readers.  What the command has changed in
 * the end is looked at last (intact.c), and leaves an event.
 * Nothing is done for a table that is not in phi.table_policy, as in a restore
 * before its data is loaded.
 *-------------------------------------------------------------------------
 */
#include "redact/redact.h"

#include "access/xact.h"
#include "audit/audit.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "redact/changed.h"
#include "redact/foreign.h"
#include "redact/guards.h"
#include "redact/intact.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* A relation of the policy tables, as it was before a command that drops. */
typedef struct Tended
{
	Oid relation;
	bool is_table; /* protected, or a partition of one that is */
	char *name;
} Tended;

/* What is left to do after a command. */
typedef struct Upkeep
{
	Oid root;             /* protected table that the command is about, or 0 */
	bool columns;         /* its columns or its owner change */
	bool members;         /* it may get partitions */
	Oid attached;         /* partition whose values have to be sealed, or 0 */
	Oid renamed;          /* table whose column gets another name, or 0 */
	const char *old_name; /* of that column */
	const char *new_name;
	bool dropping; /* tables, columns or views may go */
	bool policies; /* a policy is made or altered */
	bool reads;    /* what policies of other tables read may change: a view, a policy, a rule */
	bool detaches; /* a partition leaves */
	List *before;  /* of RequireIntact(), where the user is no superuser */
	List *tended;  /* Tended: what there was, where a DROP may take it */
} Upkeep;

/* Our own commands are running. */
static bool Busy = false;

/* How many commands that may concern protected tables are running, each inside the one before. */
static int Depth = 0;

/* What runs a command: the hook that was there before ours, or PostgreSQL itself. */
static ProcessUtility_hook_type NextUtility = NULL;

/* ---- calling our SQL functions ---- */

/* Run a query as the extension's owner; SPI's result, when asked for, goes to read. */
static void
RunOwned(const char *command, int nargs, Oid *types, Datum *values, void (*read)(void *),
		 void *state)
{
	MemoryContext caller = CurrentMemoryContext;
	OwnerScope scope;

	OwnerBegin(&scope);
	Busy = true;
	PG_TRY();
	{
		SPI_connect();
		if (SPI_execute_with_args(command, nargs, types, values, NULL, false, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not run \"%s\"", command);
		if (read != NULL)
		{
			MemoryContext spi = MemoryContextSwitchTo(caller);

			read(state);
			MemoryContextSwitchTo(spi);
		}
		SPI_finish();
	}
	PG_FINALLY();
	{
		Busy = false;
	}
	PG_END_TRY();
	OwnerEnd(&scope);
}

/* Call one of our functions on a relation. */
static void
CallFor(const char *function, Oid relation)
{
	Oid type = REGCLASSOID;
	Datum value = ObjectIdGetDatum(relation);

	RunOwned(psprintf("SELECT phi.%s($1)", function), 1, &type, &value, NULL, NULL);
}

/* Copy the rows of phi.tended_relations() to a list. */
static void
ReadTended(void *state)
{
	List **list = state;
	uint64 i;

	for (i = 0; i < SPI_processed; i++)
	{
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc descriptor = SPI_tuptable->tupdesc;
		Tended *tended = palloc(sizeof(Tended));
		bool isnull;

		tended->relation = DatumGetObjectId(SPI_getbinval(tuple, descriptor, 1, &isnull));
		tended->is_table = DatumGetBool(SPI_getbinval(tuple, descriptor, 2, &isnull));
		tended->name = TextDatumGetCString(SPI_getbinval(tuple, descriptor, 3, &isnull));
		*list = lappend(*list, tended);
	}
}

/* ---- before the command ---- */

/* Does an ALTER TABLE change what the view shows, or its owner? */
static bool
ChangesColumns(const AlterTableStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->cmds)
	{
		switch (lfirst_node(AlterTableCmd, cell)->subtype)
		{
			case AT_AddColumn:
			case AT_DropColumn:
			case AT_AlterColumnType:
			case AT_ChangeOwner:
				return true;
			default:
				break;
		}
	}
	return false;
}

/* Lock the views of a protected table that the current user may alter, before the table. */
static void
LockView(Oid relid)
{
	const ProtectedRelation *relation = RegistryRelation(relid);
	ListCell *cell;

	if (relation == NULL || relation->root != relid || !RoleOwnsRelation(relid, GetUserId()))
		return;
	foreach (cell, RedactedViews(relid))
	{
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(cell))))
			LockRelationOid(lfirst_oid(cell), AccessExclusiveLock);
	}
}

/* DROP COLUMN: now, because the same command may add another column of that name. */
static void
BeforeDropColumn(Upkeep *work, Oid relid, const char *column)
{
	Oid types[2] = {REGCLASSOID, NAMEOID};
	NameData name;
	Datum values[2];

	namestrcpy(&name, column);
	values[0] = ObjectIdGetDatum(relid);
	values[1] = NameGetDatum(&name);
	RunOwned("SELECT phi.column_dropped($1, $2)", 2, types, values, NULL, NULL);
	work->dropping = true;
}

static void
BeforeAlterTable(Upkeep *work, AlterTableStmt *statement)
{
	Oid relid = RangeVarGetRelid(statement->relation, NoLock, true);
	bool columns = ChangesColumns(statement) && !OwnerCommandFor(relid, false);
	const ProtectedRelation *relation;
	ListCell *cell;

	if (!OidIsValid(relid))
		return;
	GuardViewAlter(statement, relid);
	if (statement->objtype != OBJECT_TABLE)
		return;
	if (columns)
		LockView(relid);
	relid = AlterTableLookupRelation(statement, AlterTableGetLockLevel(statement->cmds));
	if (!OidIsValid(relid))
		return;
	relation = RegistryRelation(relid);
	foreach (cell, statement->cmds)
	{
		const AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		GuardAlterCommand(command, relid, relation);
		work->detaches |= command->subtype == AT_DetachPartition ||
						  command->subtype == AT_DetachPartitionFinalize;
		if (command->subtype == AT_DropColumn)
			BeforeDropColumn(work, relid, command->name);
		if (command->subtype == AT_AttachPartition && relation != NULL)
		{
			work->attached =
				LockOwned(((const PartitionCmd *) command->def)->name, AccessExclusiveLock);
			work->members = true;
		}
	}
	if (relation == NULL)
		return;
	work->root = relation->root;
	work->columns = columns && relation->root == relid;
	if (work->columns)
		CallFor("blank_view", relid);
}

static void
BeforeRename(Upkeep *work, const RenameStmt *statement)
{
	Oid relid;

	if (statement->renameType == OBJECT_POLICY)
		GuardPolicy(statement->relation, statement->subname, "rename");
	if (statement->renameType != OBJECT_COLUMN || statement->relation == NULL)
		return;
	relid = RangeVarGetRelid(statement->relation, NoLock, true);
	if (!OidIsValid(relid) || !RoleOwnsRelation(relid, GetUserId()))
		return;
	if (!superuser() && OidIsValid(RedactedTable(relid)))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot rename a column of redacted view \"%s\"", get_rel_name(relid)),
				errhint("Rename the column of the table: the view follows."));
	LockView(relid);
	relid = RangeVarGetRelid(statement->relation, AccessExclusiveLock, true);
	if (!OidIsValid(relid))
		return;
	work->renamed = relid;
	work->old_name = statement->subname;
	work->new_name = statement->newname;
}

/* CREATE TABLE with parents: a partition is guarded, an inheritance child refused. */
static void
BeforeCreate(Upkeep *work, const CreateStmt *statement, bool foreign)
{
	ListCell *cell;

	foreach (cell, statement->inhRelations)
	{
		Oid parent = LockOwned(lfirst_node(RangeVar, cell), statement->partbound != NULL
																? AccessExclusiveLock
																: ShareUpdateExclusiveLock);
		const ProtectedRelation *relation;

		GuardChild(parent, statement->partbound != NULL, foreign);
		relation = OidIsValid(parent) ? RegistryRelation(parent) : NULL;
		if (relation == NULL)
			continue;
		work->root = relation->root;
		work->members = true;
	}
}

static void
BeforeDrop(Upkeep *work, const DropStmt *statement)
{
	ListCell *cell;

	switch (statement->removeType)
	{
		case OBJECT_POLICY:
			foreach (cell, statement->objects)
			{
				List *name = lfirst_node(List, cell);
				List *table = list_truncate(list_copy(name), list_length(name) - 1);

				GuardPolicy(makeRangeVarFromNameList(table), strVal(llast(name)), "drop");
			}
			break;
		case OBJECT_INDEX:
		case OBJECT_RULE:
		case OBJECT_TRIGGER:
			break;
		default:
			work->dropping = true;
			break;
	}
}

/* What a command means for protected tables; raises for what it may not do. */
static void
BeforeCommand(Upkeep *work, Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterTableStmt:
			BeforeAlterTable(work, (AlterTableStmt *) statement);
			break;
		case T_RenameStmt:
			BeforeRename(work, (RenameStmt *) statement);
			break;
		case T_CreateStmt:
			BeforeCreate(work, (CreateStmt *) statement, false);
			break;
		case T_CreateForeignTableStmt:
			BeforeCreate(work, &((CreateForeignTableStmt *) statement)->base, true);
			break;
		case T_DropStmt:
			BeforeDrop(work, (DropStmt *) statement);
			break;
		case T_DropOwnedStmt:
			work->dropping = true;
			break;
		case T_CreatePolicyStmt:
			work->policies = true;
			break;
		case T_AlterPolicyStmt:
			work->policies = true;
			GuardPolicy(((AlterPolicyStmt *) statement)->table,
						((AlterPolicyStmt *) statement)->policy_name, "alter");
			break;
		case T_IndexStmt:
			GuardIndex((IndexStmt *) statement);
			break;
		case T_CreateTrigStmt:
			GuardViewTrigger((CreateTrigStmt *) statement);
			break;
		case T_ViewStmt:
			if (((ViewStmt *) statement)->replace)
				GuardView(RangeVarGetRelid(((ViewStmt *) statement)->view, NoLock, true));
			break;
		case T_RuleStmt:
			GuardRule(((RuleStmt *) statement)->relation);
			break;
		default:
			break;
	}
	if (work->dropping && nodeTag(statement) != T_AlterTableStmt)
		RunOwned("SELECT * FROM phi.tended_relations()", 0, NULL, NULL, ReadTended, &work->tended);
	work->reads = work->policies || IsA(statement, RuleStmt) ||
				  (IsA(statement, ViewStmt) && ((ViewStmt *) statement)->replace);
	if (!superuser())
		work->before = IntactBefore(work->reads);
}

/* ---- after the command ---- */

/* A DROP may have taken protected tables with it: leave events, and nothing unreadable behind. */
static void
AfterDrop(const Upkeep *work)
{
	ListCell *cell;

	foreach (cell, work->tended)
	{
		const Tended *tended = lfirst(cell);
		bool exists = SearchSysCacheExists1(RELOID, ObjectIdGetDatum(tended->relation));

		if (!tended->is_table)
			continue;
		if (!ExtensionInstalled())
			ereport(ERROR, errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					errmsg("cannot drop extension \"phi_guard\" while table \"%s\" is protected",
						   tended->name),
					errdetail("Its encrypted columns would be dropped, or never opened again."),
					errhint("Call phi.unprotect() for the table first, or drop the table."));
		if (!exists)
			RecordCommand(InvalidOid, psprintf("drop table %s", tended->name));
	}
}

/* Tell column_renamed() of a column's new name. */
static void
AfterRename(const Upkeep *work)
{
	Oid types[3] = {REGCLASSOID, NAMEOID, NAMEOID};
	NameData old_name;
	NameData new_name;
	Datum values[3];

	namestrcpy(&old_name, work->old_name);
	namestrcpy(&new_name, work->new_name);
	values[0] = ObjectIdGetDatum(work->renamed);
	values[1] = NameGetDatum(&old_name);
	values[2] = NameGetDatum(&new_name);
	RunOwned("SELECT phi.column_renamed($1, $2, $3)", 3, types, values, NULL, NULL);
}

/* Every value of an attached partition has to be sealed for its row. */
static void
AfterAttach(const Upkeep *work)
{
	Oid types[2] = {REGCLASSOID, REGCLASSOID};
	Datum values[2];

	values[0] = ObjectIdGetDatum(work->root);
	values[1] = ObjectIdGetDatum(work->attached);
	RunOwned("SELECT phi.require_sealed($1, $2)", 2, types, values, NULL, NULL);
}

/*
 * Leave an event of every protected table that the command has changed and
 * that has none of it.  A superuser's commands have theirs from the guards: a
 * restore must leave none.
 */
static void
RecordChanged(Node *statement)
{
	ListCell *cell;

	if (superuser() ||
		(IsA(statement, DropStmt) && ((DropStmt *) statement)->removeType == OBJECT_TABLE))
		return;
	foreach (cell, ChangedTables())
	{
		Oid table = lfirst_oid(cell);

		if (!WasRecorded(table) && !OwnerCommandFor(table, false))
			RecordCommand(table, CreateCommandName(statement));
	}
}

/* Refuse what the command has left behind, to all but superusers. */
static void
RequireLeftRight(const Upkeep *work)
{
	if (superuser())
		return;
	RequireIntact(work->before, work->reads, work->policies, work->detaches);
	if (RevealIsStored())
		ereport(
			ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("phi.reveal cannot be used in a constraint, default, index, trigger condition "
				   "or statistics"),
			errhint("They run in the statements of others.  Reveal values in the query instead."));
}

static void
AfterCommand(const Upkeep *work, Node *statement, bool record)
{
	CommandCounterIncrement();
	AfterDrop(work);
	if (!ExtensionInstalled())
		return;
	if (work->dropping)
		RunOwned("SELECT phi.forget_dropped()", 0, NULL, NULL, NULL, NULL);
	if (OidIsValid(work->renamed))
		AfterRename(work);
	if (OidIsValid(work->attached))
		AfterAttach(work);
	if (work->members)
		CallFor("guard_rows", work->root);
	if (work->columns)
		CallFor("columns_changed", work->root);
	CommandCounterIncrement();
	if (record)
		RecordChanged(statement);
	RequireLeftRight(work);
}

/* ---- the hook ---- */

/* Is it a kind of statement that can concern a protected table?  Looks at no catalog. */
static bool
MayConcern(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterTableStmt:
		case T_RenameStmt:
		case T_CreateStmt:
		case T_CreateForeignTableStmt:
		case T_DropStmt:
		case T_DropOwnedStmt:
		case T_CreatePolicyStmt:
		case T_AlterPolicyStmt:
		case T_CreateTrigStmt:
		case T_RuleStmt:
		case T_ViewStmt:
		case T_IndexStmt:
		case T_CreateStatsStmt:
		case T_CreateDomainStmt:
		case T_AlterDomainStmt:
			return true;
		default:
			return false;
	}
}

/* Is the extension being made, by its script or by pg_upgrade?  Its tables may not be there yet. */
static bool
BeingMade(void)
{
	return IsBinaryUpgrade ||
		   (creating_extension && CurrentExtensionObject == get_extension_oid("phi_guard", true));
}

/* Look at what the command is about to do; from then on changes of relations are noted. */
static void
EnterCommand(Upkeep *work, Node *statement)
{
	if (Depth == 0)
		ForgetRecorded();
	BeforeCommand(work, statement);
	if (Depth == 0)
		WatchBegin();
	Depth++;
}

/* The command is over, or has failed. */
static void
LeaveCommand(void)
{
	Depth--;
	if (Depth == 0)
		WatchEnd();
}

static void
UpkeepUtility(PlannedStmt *statement, const char *query, bool read_only_tree,
			  ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
			  DestReceiver *destination, QueryCompletion *completion)
{
	Node *command = statement->utilityStmt;
	Upkeep work = {0};

	GuardImplicitCode(command);
	AuditGuardUtility(statement);
	if (IsA(command, CopyStmt) && ExtensionInstalled() && !BeingMade())
		GuardCopy((CopyStmt *) command);
	if (Busy || !MayConcern(command) || !ExtensionInstalled() || BeingMade())
	{
		NextUtility(statement, query, read_only_tree, context, params, environment, destination,
					completion);
		return;
	}
	EnterCommand(&work, command);
	PG_TRY();
	{
		NextUtility(statement, query, read_only_tree, context, params, environment, destination,
					completion);
		AfterCommand(&work, command, Depth == 1);
	}
	PG_FINALLY();
	{
		LeaveCommand();
	}
	PG_END_TRY();
}

void
RedactInit(void)
{
	NextUtility = ProcessUtility_hook ? ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = UpkeepUtility;
	ChangedInit();
}
