/*-------------------------------------------------------------------------
 * guards.c
 *		What commands may not do to a protected table.
 *
 * The owner of a table keeps every right over it but those that would take
 * its protection away: row security and the phi_access policy, plain
 * inheritance, row types, rules, leaving by DETACH, the types of encrypted
 * columns, and what the redacted view is.  A superuser may do what a restore needs, and
 * leaves an event of it.  The triggers are guarded by the audit log's own
 * check (audit/guard.c).
 *
 * These checks find relations by name, before the command does, so that their
 * messages are to the point; what holds against a name that moves meanwhile is
 * the look at the catalogs afterwards (intact.c).
 *
 * Dropping phi_rows only hides rows: it is the owner's, to put policies of
 * its own in its place.
 *-------------------------------------------------------------------------
 */
#include "redact/guards.h"

#include "audit/audit.h"
#include "catalog/namespace.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "redact/intact.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#define ACCESS_POLICY "phi_access"

/* The relation of the last event that RecordCommand() left, or 0. */
static Oid Recorded = InvalidOid;

Oid
LockOwned(const RangeVar *name, LOCKMODE mode)
{
	Oid relid = RangeVarGetRelid(name, NoLock, true);

	if (!OidIsValid(relid) || !RoleOwnsRelation(relid, GetUserId()))
		return relid;
	return RangeVarGetRelid(name, mode, true);
}

void
RecordCommand(Oid relid, const char *detail)
{
	AuditEvent event = {0};
	Oid schema = get_namespace_oid("phi_audit", true);

	/* Where the log was dropped, as pg_restore --clean does, none is made. */
	if (!OidIsValid(schema) || !OidIsValid(get_relname_relid("event", schema)))
		return;
	event.action = "ddl";
	event.outcome = "success";
	event.relation = relid;
	event.detail = detail;
	AuditAppend(&event);
	Recorded = relid;
}

void
ForgetRecorded(void)
{
	Recorded = InvalidOid;
}

bool
WasRecorded(Oid root)
{
	const ProtectedRelation *relation = OidIsValid(Recorded) ? RegistryRelation(Recorded) : NULL;

	return relation != NULL && relation->root == root;
}

/* Refuse to all but superusers, who leave an event. */
static void
SuperuserOnly(Oid relid, const char *what)
{
	if (!superuser())
		ereport(
			ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("permission denied to %s: table \"%s\" is protected", what, get_rel_name(relid)),
			errhint("Only a superuser may do this, and it leaves an event."));
	RecordCommand(relid, what);
}

/* Is it the subject, a key or the label column? */
static bool
IsKeyColumn(const ProtectedRelation *relation, AttrNumber attnum)
{
	int i;

	if (attnum == relation->subject || (relation->labels != 0 && attnum == relation->labels))
		return true;
	for (i = 0; i < relation->key_count; i++)
	{
		if (attnum == relation->keys[i])
			return true;
	}
	return false;
}

/* Is it encrypted? */
static bool
IsSealedColumn(const ProtectedRelation *relation, AttrNumber attnum)
{
	int i;

	for (i = 0; i < relation->column_count; i++)
	{
		if (attnum == relation->columns[i].attnum)
			return true;
	}
	return false;
}

/* Dropping a column or changing its type. */
static void
GuardColumn(const ProtectedRelation *relation, const char *name, bool drop)
{
	AttrNumber attnum = get_attnum(relation->relid, name);

	if (attnum == InvalidAttrNumber)
		return;
	if (IsKeyColumn(relation, attnum))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot %s column \"%s\" of protected table \"%s\"",
					   drop ? "drop" : "change the type of", name, get_rel_name(relation->relid)),
				errdetail("Values are bound to the subject, the primary key and the labels."),
				errhint("Call phi.unprotect() for the table first."));
	if (!drop && IsSealedColumn(relation, attnum))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot change the type of encrypted column \"%s\" of table \"%s\"", name,
					   get_rel_name(relation->relid)),
				errhint("Call phi.unprotect() for the table first, and phi.protect() afterwards."));
	RecordCommand(relation->relid,
				  psprintf("%s %s", drop ? "drop column" : "change the type of column", name));
}

/* Refuse an index on a column whose values have no tags: rows could not be inserted any more. */
static void
RequireTags(const ProtectedRelation *relation, const char *name)
{
	AttrNumber attnum = name != NULL ? get_attnum(relation->relid, name) : InvalidAttrNumber;
	int i;

	for (i = 0; i < relation->column_count; i++)
	{
		if (relation->columns[i].attnum == attnum && !relation->columns[i].searchable)
			ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot index encrypted column \"%s\" of table \"%s\": it is not searchable",
						   name, get_rel_name(relation->relid)),
					errhint("Classify it as searchable before phi.protect, where its kind can be."));
	}
}

/* The columns of a constraint that an index keeps. */
static void
GuardConstraint(const ProtectedRelation *relation, const Constraint *constraint)
{
	ListCell *cell;

	foreach (cell, constraint->keys)
		RequireTags(relation, strVal(lfirst(cell)));
	foreach (cell, constraint->exclusions)
		RequireTags(relation, linitial_node(IndexElem, lfirst_node(List, cell))->name);
}

/* Refuse plain inheritance, in which neither policies nor sealing would reach the child. */
static void
RefuseInheritance(Oid relid)
{
	ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("protected table \"%s\" cannot take part in inheritance", get_rel_name(relid)),
			errhint("Use partitions."));
}

/* Refuse a row type of its own: ALTER TYPE would rename and add columns behind the view's back. */
static void
RefuseRowType(Oid relid)
{
	ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("protected table \"%s\" cannot be made a typed table", get_rel_name(relid)),
			errhint("Alter its columns one by one."));
}

/* Is it a protected table itself, and not by its parent? */
static bool
IsProtectedRoot(Oid relid)
{
	const ProtectedRelation *relation = OidIsValid(relid) ? RegistryRelation(relid) : NULL;

	return relation != NULL && relation->root == relid;
}

/* ATTACH PARTITION: of a table that is not protected by itself, nor foreign. */
static void
GuardAttach(const PartitionCmd *command, Oid relid, const ProtectedRelation *relation)
{
	Oid member = RangeVarGetRelid(command->name, NoLock, true);

	if (IsProtectedRoot(member))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot attach protected table \"%s\" as a partition", get_rel_name(member)),
				errhint("Call phi.unprotect() for it first."));
	if (relation == NULL || !OidIsValid(member))
		return;
	if (get_rel_relkind(member) == RELKIND_FOREIGN_TABLE)
		GuardChild(relid, true, true);
	RecordCommand(relation->root, psprintf("attach partition %s", get_rel_name(member)));
}

void
GuardAlterCommand(const AlterTableCmd *command, Oid relid, const ProtectedRelation *relation)
{
	if (command->subtype == AT_AttachPartition)
		GuardAttach((const PartitionCmd *) command->def, relid, relation);
	if (command->subtype == AT_AddInherit &&
		(relation != NULL ||
		 IsProtectedRoot(RangeVarGetRelid((const RangeVar *) command->def, NoLock, true))))
		RefuseInheritance(relation != NULL
							  ? relid
							  : RangeVarGetRelid((const RangeVar *) command->def, NoLock, false));
	if (relation == NULL)
		return;
	switch (command->subtype)
	{
		case AT_DisableRowSecurity:
		case AT_NoForceRowSecurity:
			SuperuserOnly(relid, "switch off row security");
			break;
		case AT_AddOf:
			RefuseRowType(relid);
			break;
		case AT_AddConstraint:
			GuardConstraint(relation, castNode(Constraint, command->def));
			break;
		case AT_DropColumn:
			GuardColumn(relation, command->name, true);
			break;
		case AT_AlterColumnType:
			if (!OwnerCommandFor(relid, false))
				GuardColumn(relation, command->name, false);
			break;
		case AT_DetachPartition:
		case AT_DetachPartitionFinalize:
			SuperuserOnly(relation->root,
						  psprintf("detach partition %s",
								   ((const PartitionCmd *) command->def)->name->relname));
			break;
		default:
			break;
	}
}

void
GuardIndex(const IndexStmt *statement)
{
	Oid relid = RangeVarGetRelid(statement->relation, NoLock, true);
	const ProtectedRelation *relation = OidIsValid(relid) ? RegistryRelation(relid) : NULL;
	ListCell *cell;

	if (relation == NULL)
		return;
	foreach (cell, statement->indexParams)
		RequireTags(relation, lfirst_node(IndexElem, cell)->name);
}

void
GuardChild(Oid parent, bool partition, bool foreign)
{
	if (!OidIsValid(parent) || RegistryRelation(parent) == NULL)
		return;
	if (!partition)
		RefuseInheritance(parent);
	if (foreign)
		ereport(
			ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("protected table \"%s\" cannot have foreign partitions", get_rel_name(parent)));
}

void
GuardPolicy(const RangeVar *table, const char *policy, const char *verb)
{
	Oid relid;

	if (strcmp(policy, ACCESS_POLICY) != 0)
		return;
	relid = LockOwned(table, AccessExclusiveLock);
	if (OidIsValid(relid) && RegistryRelation(relid) != NULL)
		SuperuserOnly(relid, psprintf("%s policy %s", verb, ACCESS_POLICY));
}

void
GuardRule(const RangeVar *table)
{
	Oid relid = LockOwned(table, AccessExclusiveLock);

	GuardView(relid);
	if (OidIsValid(relid) && RegistryRelation(relid) != NULL)
		SuperuserOnly(relid, "create a rule");
}

void
GuardView(Oid relid)
{
	if (!OidIsValid(relid) || superuser() || !OidIsValid(RedactedTable(relid)))
		return;
	ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("permission denied to alter redacted view \"%s\"", get_rel_name(relid)),
			errhint("phi_guard generates it from the table and phi.classify().  Its name, schema, "
					"privileges and comments can be changed."));
}

/* A trigger on the view would be handed what the view reveals; ours is made anew by a restore. */
void
GuardViewTrigger(const CreateTrigStmt *statement)
{
	Oid function = LookupFuncName(statement->funcname, 0, NULL, true);

	if (OidIsValid(function) && function == PhiFunction("write_through", 0) && statement->row &&
		statement->timing == TRIGGER_TYPE_INSTEAD && statement->whenClause == NULL &&
		statement->columns == NIL && statement->args == NIL)
		return;
	GuardView(RangeVarGetRelid(statement->relation, NoLock, true));
}

void
GuardViewAlter(const AlterTableStmt *statement, Oid relid)
{
	ListCell *cell;

	if (get_rel_relkind(relid) != RELKIND_VIEW)
		return;
	foreach (cell, statement->cmds)
	{
		if (lfirst_node(AlterTableCmd, cell)->subtype != AT_ChangeOwner)
			GuardView(relid);
	}
}

/* Does the statement make something that is run later, when the code that made it is over? */
static bool
OutlivesCode(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_DeclareCursorStmt:
			return (((const DeclareCursorStmt *) statement)->options & CURSOR_OPT_HOLD) != 0;
		case T_ViewStmt:
		case T_RuleStmt:
		case T_CreatePolicyStmt:
		case T_AlterPolicyStmt:
		case T_PrepareStmt:
			return true;
		default:
			return false;
	}
}

void
GuardImplicitCode(Node *statement)
{
	if (!OutlivesCode(statement) || !ImplicitCodeRunning() || superuser() || !ExtensionInstalled())
		return;
	ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("permission denied: %s in a trigger, or in other code that a data-modifying "
				   "statement runs",
				   CreateCommandName(statement)),
			errhint("Run it in a statement of its own."));
}

void
GuardCopy(const CopyStmt *statement)
{
	Oid relid;
	bool allowed;

	if (statement->relation == NULL)
		return;
	/* Locked as COPY does, so that the name means the same to both. */
	relid = RangeVarGetRelid(statement->relation,
							 statement->is_from ? RowExclusiveLock : AccessShareLock, true);
	/* A line that cannot be read is in the error's context, and would be in the log. */
	if (statement->is_from && OidIsValid(relid) &&
		(RegistryRelation(relid) != NULL || OidIsValid(RedactedTable(relid))))
		NoteSensitiveStatement();
	if (!OidIsValid(relid) || superuser() || RegistryRelation(relid) == NULL ||
		check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		return;
	allowed = RoleMayExecute(PhiFunction(statement->is_from ? "load_sealed" : "read_sealed", 0),
							 GetUserId());
	if (!allowed)
		ereport(
			ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			errmsg("permission denied to copy protected table \"%s\" past row security",
				   get_rel_name(relid)),
			errhint("It takes BYPASSRLS and the key_custodian duty.  COPY (SELECT ...) TO copies "
					"the rows that the session may access."));
}
