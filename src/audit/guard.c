/*-------------------------------------------------------------------------
 * guard.c
 *		Keeping the log append-only: its triggers, and the check that utility
 *		statements pass.
 *
 * The triggers (ENABLE ALWAYS, on every partition) refuse every INSERT,
 * UPDATE, DELETE and TRUNCATE, for everybody: phi_guard itself writes below
 * the executor.  AuditGuardUtility refuses, to all but superusers, what would
 * take the triggers or the tables away, here and the "~phi_" triggers of
 * protected tables; and what would only lock the log's tables, which those
 * whose changes and reads are recorded would wait for: VACUUM FULL and REINDEX
 * are the database's owner's, too.  A superuser may, for backup and repair, and
 * leaves an event of what takes something away.  None of this stops a superuser: sealing is what shows it.
 * A statement names its relations, and a name may move while it waits: what
 * holds then is the look at the catalogs after it (redact/intact.c).
 *
 * What pg_restore does to tables it has just made leaves no event: the log
 * counts as there from when phi_audit.event has triggers, and making a trigger
 * of ours or a key, enabling one ALWAYS or attaching an index takes nothing away.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/relation.h"
#include "access/xact.h"
#include "audit/reads.h"
#include "audit/worker.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "commands/defrem.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#define TRIGGER_PREFIX "~phi_"
#define APPLY_TRIGGER  "~phi_audit_apply" /* is to fire in workers of subscriptions alone */

PG_FUNCTION_INFO_V1(phi_audit_guard);
PG_FUNCTION_INFO_V1(phi_refuse_truncate);

/* Our own function is making tables or partitions: its commands are not guarded. */
static bool Exempt = false;

/* What a utility statement would do to something guarded. */
typedef struct GuardedAct
{
	bool guarded;
	bool harmless; /* takes nothing away: no event of a superuser's */
	Oid relation;  /* concerned, or 0 */
} GuardedAct;

/* ---- triggers ---- */

/* Row trigger of the log's tables: nothing is changed here, and nothing added from outside. */
Datum
phi_audit_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("phi.audit_guard() must be a trigger"));
	ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("cannot %s the audit log: it is written by phi_guard alone",
				   TRIGGER_FIRED_BY_INSERT(trigger->tg_event)   ? "insert into"
				   : TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? "update"
																: "delete from"),
			errtable(trigger->tg_relation));
	PG_RETURN_NULL();
}

/* Statement trigger of the log's and of protected tables. */
Datum
phi_refuse_truncate(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("phi.refuse_truncate() must be a trigger"));
	ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("cannot truncate table \"%s\"", RelationGetRelationName(trigger->tg_relation)),
			errdetail("TRUNCATE does not say which rows it removes."),
			errhint("Use DELETE on a protected table."));
	PG_RETURN_NULL();
}

void
GuardExempt(const char *function)
{
	bool outer = Exempt;

	PG_TRY();
	{
		Exempt = true;
		OidFunctionCall0(PhiFunction(function, 0));
	}
	PG_FINALLY();
	{
		Exempt = outer;
	}
	PG_END_TRY();
}

/* ---- what a statement is about ---- */

/* Is it a table, sequence or index of the log? */
static bool
InLog(Oid relation)
{
	Oid schema = get_namespace_oid(LOG_SCHEMA, true);

	return OidIsValid(schema) && OidIsValid(relation) && get_rel_namespace(relation) == schema;
}

/* Is it the name of one of our triggers? */
static bool
OurTrigger(const char *name)
{
	return strncmp(name, TRIGGER_PREFIX, strlen(TRIGGER_PREFIX)) == 0;
}

/* Has the relation any of our triggers? */
static bool
HasOurTrigger(Oid relid)
{
	Relation relation = try_relation_open(relid, AccessShareLock);
	bool found = false;
	int i;

	if (relation == NULL)
		return false;
	for (i = 0; relation->trigdesc != NULL && i < relation->trigdesc->numtriggers; i++)
		found = found || OurTrigger(relation->trigdesc->triggers[i].tgname);
	relation_close(relation, AccessShareLock);
	return found;
}

/* Note that the statement concerns the relation, if that is of the log. */
static void
Concern(GuardedAct *act, const RangeVar *name)
{
	Oid relation = name != NULL ? RangeVarGetRelid(name, NoLock, true) : InvalidOid;

	if (InLog(relation))
	{
		act->guarded = true;
		act->relation = relation;
	}
}

/* Note that the statement concerns a schema by name. */
static void
ConcernSchema(GuardedAct *act, const char *name)
{
	if (strcmp(name, LOG_SCHEMA) == 0 && OidIsValid(get_namespace_oid(LOG_SCHEMA, true)))
		act->guarded = true;
}

/* Note that the statement concerns a trigger of a relation; NULL stands for all. */
static void
ConcernTrigger(GuardedAct *act, const RangeVar *name, const char *trigger)
{
	Oid relation = RangeVarGetRelid(name, NoLock, true);

	if (OidIsValid(relation) && (trigger == NULL || OurTrigger(trigger)) && HasOurTrigger(relation))
	{
		act->guarded = true;
		act->relation = relation;
	}
}

/* Does the command set the trigger of applied rows as it is to be? */
static bool
EnablesApply(const AlterTableCmd *command)
{
	return command->subtype == AT_EnableReplicaTrig && strcmp(command->name, APPLY_TRIGGER) == 0;
}

/*
 * Does the command take nothing away?  Those of pg_restore, whose jobs may make the keys of
 * one table when another one's triggers are there already.
 */
static bool
TakesNothing(const AlterTableStmt *statement, const AlterTableCmd *command)
{
	if (command->subtype == AT_AddConstraint)
		return castNode(Constraint, command->def)->contype == CONSTR_PRIMARY ||
			   castNode(Constraint, command->def)->contype == CONSTR_UNIQUE;
	return command->subtype == AT_EnableAlwaysTrig || EnablesApply(command) ||
		   (command->subtype == AT_AttachPartition && statement->objtype == OBJECT_INDEX);
}

/* ALTER TABLE and its kin. */
static void
ActOfAlter(GuardedAct *act, const AlterTableStmt *statement)
{
	ListCell *cell;

	Concern(act, statement->relation);
	act->harmless = act->guarded;
	foreach (cell, statement->cmds)
	{
		const AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (!TakesNothing(statement, command))
			act->harmless = false;
		switch (command->subtype)
		{
			case AT_AttachPartition:
			case AT_DetachPartition:
			case AT_DetachPartitionFinalize:
				Concern(act, ((const PartitionCmd *) command->def)->name);
				break;
			case AT_AddInherit:
			case AT_DropInherit:
				Concern(act, (const RangeVar *) command->def);
				break;
			case AT_EnableTrig:
			case AT_EnableReplicaTrig:
			case AT_DisableTrig:
				if (!EnablesApply(command))
					ConcernTrigger(act, statement->relation, command->name);
				break;
			case AT_EnableTrigAll:
			case AT_DisableTrigAll:
			case AT_EnableTrigUser:
			case AT_DisableTrigUser:
				ConcernTrigger(act, statement->relation, NULL);
				break;
			default:
				break;
		}
	}
}

/* One object of a DROP statement. */
static void
ActOfDropped(GuardedAct *act, ObjectType type, Node *object)
{
	List *name;

	switch (type)
	{
		case OBJECT_SCHEMA:
			ConcernSchema(act, strVal(object));
			break;
		case OBJECT_EXTENSION:
			if (strcmp(strVal(object), "phi_guard") == 0)
				act->guarded = true;
			break;
		case OBJECT_TABLE:
		case OBJECT_INDEX:
		case OBJECT_SEQUENCE:
		case OBJECT_FOREIGN_TABLE:
			Concern(act, makeRangeVarFromNameList(castNode(List, object)));
			break;
		case OBJECT_TRIGGER:
		case OBJECT_RULE:
		case OBJECT_POLICY:
			name =
				list_truncate(list_copy(castNode(List, object)), list_length((List *) object) - 1);
			if (name == NIL)
				break;
			Concern(act, makeRangeVarFromNameList(name));
			if (type == OBJECT_TRIGGER)
				ConcernTrigger(act, makeRangeVarFromNameList(name), strVal(llast((List *) object)));
			break;
		default:
			break;
	}
}

/* ALTER ... RENAME: of a relation, a part of one, a trigger, a schema. */
static void
ActOfRename(GuardedAct *act, const RenameStmt *statement)
{
	if (statement->renameType == OBJECT_SCHEMA)
		ConcernSchema(act, statement->subname);
	else if (statement->relation != NULL)
	{
		Concern(act, statement->relation);
		if (statement->renameType == OBJECT_TRIGGER)
			ConcernTrigger(act, statement->relation, statement->subname);
	}
}

/* DROP OWNED, REASSIGN OWNED: of the role that the log belongs to. */
static void
ActOfOwned(GuardedAct *act, List *roles)
{
	HeapTuple tuple = SearchSysCache1(NAMESPACENAME, CStringGetDatum(LOG_SCHEMA));
	ListCell *cell;
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		return;
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	foreach (cell, roles)
	{
		if (get_rolespec_oid(lfirst_node(RoleSpec, cell), true) == owner)
			act->guarded = true;
	}
}

/* ALTER EXTENSION ... ADD, DROP: of a table of the log, or of ours anything. */
static void
ActOfMembership(GuardedAct *act, const AlterExtensionContentsStmt *statement)
{
	if (strcmp(statement->extname, "phi_guard") == 0)
		act->guarded = true;
	else
		ActOfDropped(act, statement->objtype, statement->object);
}

/* ALTER TRIGGER ... DEPENDS ON EXTENSION: dropping that would drop the trigger. */
static void
ActOfDependence(GuardedAct *act, const AlterObjectDependsStmt *statement)
{
	if (statement->objectType == OBJECT_TRIGGER)
		ConcernTrigger(act, statement->relation, strVal(llast((List *) statement->object)));
}

/* CREATE TABLE ... INHERITS or PARTITION OF a table of the log. */
static void
ActOfCreate(GuardedAct *act, const CreateStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->inhRelations)
		Concern(act, lfirst_node(RangeVar, cell));
}

/* CREATE TRIGGER on a table of the log; ours, as pg_restore makes it, takes nothing away. */
static void
ActOfTrigger(GuardedAct *act, const CreateTrigStmt *statement)
{
	Concern(act, statement->relation);
	act->harmless = !statement->replace && list_length(statement->funcname) == 2 &&
					strcmp(strVal(linitial(statement->funcname)), "phi") == 0;
	if (statement->replace)
		ConcernTrigger(act, statement->relation, statement->trigname);
}

/*
 * A statement that takes nothing away but can keep writers of a table of the
 * log waiting for as long as its transaction or its work lasts.
 */
static void
ConcernWait(GuardedAct *act, const RangeVar *relation)
{
	Concern(act, relation);
	act->harmless = act->guarded;
}

/* VACUUM FULL: of a table of the log, or of whatever there is. */
static void
ActOfVacuum(GuardedAct *act, const VacuumStmt *statement)
{
	bool full = false;
	ListCell *cell;

	foreach (cell, statement->options)
	{
		DefElem *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "full") == 0)
			full = defGetBoolean(option);
	}
	if (!full)
		return;
	if (statement->rels == NIL)
		ConcernSchema(act, LOG_SCHEMA);
	foreach (cell, statement->rels)
		Concern(act, lfirst_node(VacuumRelation, cell)->relation);
	act->harmless = act->guarded;
}

/* REINDEX: of a table, an index, the schema, or everything in the database. */
static void
ActOfReindex(GuardedAct *act, const ReindexStmt *statement)
{
	if (statement->kind == REINDEX_OBJECT_DATABASE)
		ConcernSchema(act, LOG_SCHEMA);
	else if (statement->kind == REINDEX_OBJECT_SCHEMA)
		ConcernSchema(act, statement->name);
	else
		Concern(act, statement->relation);
	act->harmless = act->guarded;
}

/* LOCK TABLE: anything that a reader would not have anyway. */
static void
ActOfLock(GuardedAct *act, const LockStmt *statement)
{
	ListCell *cell;

	if (statement->mode == AccessShareLock)
		return;
	foreach (cell, statement->relations)
		Concern(act, lfirst_node(RangeVar, cell));
	act->harmless = act->guarded;
}

/* What a statement would do to the log or to an audit trigger. */
static GuardedAct
ActOf(Node *statement)
{
	GuardedAct act = {0};
	ListCell *cell;

	switch (nodeTag(statement))
	{
		case T_AlterTableStmt:
			ActOfAlter(&act, (AlterTableStmt *) statement);
			break;
		case T_DropStmt:
			foreach (cell, ((DropStmt *) statement)->objects)
				ActOfDropped(&act, ((DropStmt *) statement)->removeType, lfirst(cell));
			break;
		case T_RenameStmt:
			ActOfRename(&act, (RenameStmt *) statement);
			break;
		case T_AlterObjectSchemaStmt:
			if (((AlterObjectSchemaStmt *) statement)->relation != NULL)
				Concern(&act, ((AlterObjectSchemaStmt *) statement)->relation);
			break;
		case T_AlterObjectDependsStmt:
			ActOfDependence(&act, (AlterObjectDependsStmt *) statement);
			break;
		case T_AlterOwnerStmt:
			if (((AlterOwnerStmt *) statement)->objectType == OBJECT_SCHEMA)
				ConcernSchema(&act, strVal(((AlterOwnerStmt *) statement)->object));
			break;
		case T_AlterSeqStmt:
			Concern(&act, ((AlterSeqStmt *) statement)->sequence);
			break;
		case T_CreateTrigStmt:
			ActOfTrigger(&act, (CreateTrigStmt *) statement);
			break;
		case T_RuleStmt:
			Concern(&act, ((RuleStmt *) statement)->relation);
			break;
		case T_CreatePolicyStmt:
			Concern(&act, ((CreatePolicyStmt *) statement)->table);
			break;
		case T_AlterPolicyStmt:
			Concern(&act, ((AlterPolicyStmt *) statement)->table);
			break;
		case T_CreateStmt:
			ActOfCreate(&act, (CreateStmt *) statement);
			break;
		case T_CreateForeignTableStmt:
			ActOfCreate(&act, &((CreateForeignTableStmt *) statement)->base);
			break;
		case T_VacuumStmt:
			ActOfVacuum(&act, (VacuumStmt *) statement);
			break;
		case T_ClusterStmt:
			ConcernWait(&act, ((ClusterStmt *) statement)->relation);
			break;
		case T_IndexStmt:
			ConcernWait(&act, ((IndexStmt *) statement)->relation);
			break;
		case T_ReindexStmt:
			ActOfReindex(&act, (ReindexStmt *) statement);
			break;
		case T_LockStmt:
			ActOfLock(&act, (LockStmt *) statement);
			break;
		case T_DropOwnedStmt:
			ActOfOwned(&act, ((DropOwnedStmt *) statement)->roles);
			break;
		case T_ReassignOwnedStmt:
			ActOfOwned(&act, ((ReassignOwnedStmt *) statement)->roles);
			break;
		case T_AlterExtensionContentsStmt:
			ActOfMembership(&act, (AlterExtensionContentsStmt *) statement);
			break;
		default:
			break;
	}
	return act;
}

/* ---- the check ---- */

bool
LogArmed(void)
{
	Oid schema = get_namespace_oid(LOG_SCHEMA, true);
	Oid event = OidIsValid(schema) ? get_relname_relid("event", schema) : InvalidOid;

	return OidIsValid(event) && HasOurTrigger(event);
}

/* Append a ddl event; false, and nothing changed, where the log cannot take it. */
static bool
TryAppend(const AuditEvent *event)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool appended = false;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		if (LogArmed())
			AuditAppend(event);
		ReleaseCurrentSubTransaction();
		appended = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return appended;
}

void
AuditGuardUtility(PlannedStmt *statement)
{
	const char *command;
	GuardedAct act;
	AuditEvent event = {0};

	WorkerMakeWay(statement->utilityStmt);
	if (Exempt)
		return;
	if (IsA(statement->utilityStmt, CopyStmt))
		ReadsNoteCopy((CopyStmt *) statement->utilityStmt);
	act = ActOf(statement->utilityStmt);
	if (!act.guarded || !ExtensionInstalled())
		return;
	command = GetCommandTagName(CreateCommandTag(statement->utilityStmt));
	event.action = "ddl";
	event.outcome = superuser() ? "success" : "denied";
	event.relation = act.relation;
	event.detail = command;
	if (!superuser())
	{
		(void) AuditNoteDurably(&event);
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				act.harmless
					? errmsg("permission denied: %s would lock the audit log", command)
					: errmsg("permission denied: %s would alter the audit log or a trigger of "
							 "phi_guard",
							 command),
				act.harmless
					? errhint("Name tables of yours: only a superuser may keep the log's waiting.")
					: errhint("Only a superuser may do this, and it leaves an event."));
	}
	if (act.harmless || XactReadOnly)
		return;
	if (!TryAppend(&event))
		ereport(WARNING, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("%s leaves no event: the audit log cannot be written", command));
}
