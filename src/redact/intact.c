/*-------------------------------------------------------------------------
 * intact.c
 *		Is what phi.protect made still there after a command?
 *
 * The guards look a command's relation up by name before the command does,
 * and may find another one: a name can move while the command waits for its
 * lock.  So the relations that the command has changed are looked at
 * afterwards, by OID, and a command that took anything away is undone.
 *
 * A superuser may have taken parts away, and a restore has not made them yet:
 * what was missing before may be missing afterwards.
 *-------------------------------------------------------------------------
 */
#include "redact/intact.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "platform/registry.h"
#include "redact/changed.h"
#include "redact/foreign.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* Parts of a relation's protection. */
#define HAS_ROW_SECURITY 0x01
#define HAS_ACCESS       0x02
#define HAS_SEALING      0x04
#define HAS_CAPTURE      0x08
#define HAS_NO_RULE      0x10
#define HAS_OWN_CODE     0x20
#define HAS_PLAIN_VIEW   0x40
#define HAS_APPLY        0x80 /* or has no rows of its own */
#define HAS_NO_ROW_TYPE  0x100
#define HAS_ALL_TABLE                                                                      \
	(HAS_ROW_SECURITY | HAS_ACCESS | HAS_SEALING | HAS_CAPTURE | HAS_APPLY | HAS_NO_RULE | \
	 HAS_OWN_CODE | HAS_NO_ROW_TYPE)

/* What is said of each when it is missing. */
static const struct
{
	int part;
	const char *detail;
} Parts[] = {
	{HAS_ROW_SECURITY, "Its row security would be off, or not forced."},
	{HAS_ACCESS, "Its policy phi_access would be missing, or be another."},
	{HAS_SEALING, "Its trigger \"~phi_seal\" would be missing, off, or be another."},
	{HAS_CAPTURE, "A trigger of the audit log would be missing, off, or be another."},
	{HAS_APPLY, "Its trigger \"~phi_audit_apply\" would be missing, off, or be another."},
	{HAS_NO_RULE, "It would have a rule."},
	{HAS_OWN_CODE,
	 "A policy would run phi.reveal, or code that is neither PostgreSQL's nor a superuser's."},
	{HAS_NO_ROW_TYPE, "It would be a typed table, whose columns ALTER TYPE changes."},
	{HAS_PLAIN_VIEW, "The redacted view would not be as phi_guard generates it."},
};

/* Triggers that phi.protect makes. */
static const struct
{
	int part;
	const char *name;
	const char *function;
	int16 type;
} Triggers[] = {
	{HAS_SEALING, "~phi_seal", "seal_row",
	 TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE},
	{HAS_CAPTURE, "~phi_audit_insert", "audit_change", TRIGGER_TYPE_INSERT},
	{HAS_CAPTURE, "~phi_audit_update", "audit_change", TRIGGER_TYPE_UPDATE},
	{HAS_CAPTURE, "~phi_audit_delete", "audit_change", TRIGGER_TYPE_DELETE},
	{HAS_APPLY, "~phi_audit_apply", "audit_apply",
	 TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE},
	{HAS_CAPTURE, "~phi_no_truncate", "refuse_truncate",
	 TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_TRUNCATE},
};

/* A relation and what it has. */
typedef struct Member
{
	Oid relid;
	int parts;
} Member;

/* A row of phi.table_policy or phi.view_profile. */
typedef struct TableAndView
{
	Oid table;
	Oid view;        /* or 0 */
	bool is_further; /* of phi.view_profile: the table has a row of its own */
} TableAndView;

/* ---- which relations ---- */

/* Append the rows of one of the two tables, as they are now. */
static List *
ReadRows(List *rows, const char *name, bool further)
{
	Relation policies = table_open(PhiRelation(name), AccessShareLock);
	AttrNumber view = get_attnum(RelationGetRelid(policies), "view");
	AttrNumber table = get_attnum(RelationGetRelid(policies), "relation");
	SysScanDesc scan = systable_beginscan(policies, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TableAndView *row = palloc(sizeof(TableAndView));
		bool isnull;

		row->is_further = further;
		row->table =
			DatumGetObjectId(heap_getattr(tuple, table, RelationGetDescr(policies), &isnull));
		row->view =
			DatumGetObjectId(heap_getattr(tuple, view, RelationGetDescr(policies), &isnull));
		if (isnull)
			row->view = InvalidOid;
		rows = lappend(rows, row);
	}
	systable_endscan(scan);
	table_close(policies, AccessShareLock);
	return rows;
}

/* The rows of both. */
static List *
ReadTables(void)
{
	return ReadRows(ReadRows(NIL, "table_policy", false), "view_profile", true);
}

/* The table of a view in those rows, or 0. */
static Oid
TableOfView(List *rows, Oid view)
{
	ListCell *cell;

	foreach (cell, rows)
	{
		const TableAndView *row = lfirst(cell);

		if (OidIsValid(view) && row->view == view)
			return row->table;
	}
	return InvalidOid;
}

Oid
RedactedTable(Oid view)
{
	return get_rel_relkind(view) == RELKIND_VIEW ? TableOfView(ReadTables(), view) : InvalidOid;
}

List *
RedactedViews(Oid table)
{
	List *views = NIL;
	ListCell *cell;

	foreach (cell, ReadTables())
	{
		const TableAndView *row = lfirst(cell);

		if (row->table == table && OidIsValid(row->view))
			views = lappend_oid(views, row->view);
	}
	list_sort(views, list_oid_cmp);
	return views;
}

/* OIDs of the protected tables, their partitions and their views. */
static List *
AllMembers(List *rows)
{
	List *members = NIL;
	ListCell *cell;

	foreach (cell, rows)
	{
		const TableAndView *row = lfirst(cell);

		if (row->is_further)
			;
		else if (get_rel_relkind(row->table) == RELKIND_PARTITIONED_TABLE)
			members = list_concat(members, find_all_inheritors(row->table, NoLock, NULL));
		else
			members = lappend_oid(members, row->table);
		if (OidIsValid(row->view))
			members = lappend_oid(members, row->view);
	}
	return members;
}

List *
ChangedTables(void)
{
	List *tables = NIL;
	ListCell *cell;

	foreach (cell, ChangedByMe(AllMembers(ReadTables())))
	{
		const ProtectedRelation *relation = RegistryRelation(lfirst_oid(cell));

		if (relation != NULL)
			tables = list_append_unique_oid(tables, relation->root);
	}
	return tables;
}

/* ---- what they have ---- */

/* Is it the column, under at most a change of its type's name? */
static bool
IsColumn(Node *node, AttrNumber attnum)
{
	if (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return IsA(node, Var) && ((Var *) node)->varattno == attnum;
}

/* Is it the column, or where there is none a constant? */
static bool
IsColumnOrConst(Node *node, AttrNumber attnum)
{
	return attnum != 0 ? IsColumn(node, attnum) : IsA(node, Const);
}

/* Are the arguments from the third on those of a relation that consents depend on the rows of? */
static bool
HasRowArguments(List *arguments, const ProtectedRelation *relation)
{
	const RowDescription *description = &relation->description;
	int place = 3 + ROW_ATTRIBUTES;

	if (list_length(arguments) != place + description->other_subject_count ||
		!IsColumnOrConst(lthird(arguments), relation->labels))
		return false;
	for (int i = 0; i < ROW_ATTRIBUTES; i++)
		if (!IsColumnOrConst(list_nth(arguments, 3 + i), description->attributes[i]))
			return false;
	for (int i = 0; i < description->other_subject_count; i++)
		if (!IsColumn(list_nth(arguments, place + i), description->other_subjects[i]))
			return false;
	return true;
}

/* Are the arguments relation and subject, and whatever follows? */
static bool
HasFirstArguments(List *arguments, const ProtectedRelation *relation)
{
	Node *table = linitial(arguments);

	return IsA(table, Const) && DatumGetObjectId(((Const *) table)->constvalue) == relation->root &&
		   IsColumn(lsecond(arguments), relation->subject);
}

/* Are the arguments relation, subject and labels? */
static bool
HasShortArguments(List *arguments, const ProtectedRelation *relation)
{
	Node *labels = list_length(arguments) > 2 ? lthird(arguments) : NULL;

	if (!HasFirstArguments(arguments, relation))
		return false;
	if (relation->labels != 0)
		return labels != NULL && IsColumn(labels, relation->labels);
	return labels == NULL || IsA(labels, Const);
}

/* Is it phi.row_access(relation, subject, ...), as guard_rows() writes it? */
static bool
IsAccessCall(Node *node, const ProtectedRelation *relation)
{
	const RowDescription *description = &relation->description;
	Oid row_access = PhiFunction("row_access", !description->by_row					   ? 3
											   : description->other_subject_count == 0 ? 3 + ROW_ATTRIBUTES
																					   : 4 + ROW_ATTRIBUTES);
	List *arguments;

	if (node == NULL || !IsA(node, FuncExpr) || ((FuncExpr *) node)->funcid != row_access)
		return false;
	arguments = ((FuncExpr *) node)->args;
	return description->by_row ? HasFirstArguments(arguments, relation) && HasRowArguments(arguments, relation)
							   : HasShortArguments(arguments, relation);
}

/* Is it phi.may_create(relation, subject, labels)? */
static bool
IsCreateCall(Node *node, const ProtectedRelation *relation)
{
	return node != NULL && IsA(node, FuncExpr) &&
		   ((FuncExpr *) node)->funcid == PhiFunction("may_create", 3) &&
		   HasShortArguments(((FuncExpr *) node)->args, relation);
}

/* Is it phi.row_access(...) OR phi.may_create(...)? */
static bool
IsAccessCheck(Node *node, const ProtectedRelation *relation)
{
	List *sides = node != NULL && IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop == OR_EXPR
					  ? ((BoolExpr *) node)->args
					  : NIL;

	return list_length(sides) == 2 && IsAccessCall(linitial(sides), relation) &&
		   IsCreateCall(lsecond(sides), relation);
}

/* Is it phi_access, for everybody and every command? */
static bool
IsAccessPolicy(const Policy *policy, const ProtectedRelation *relation)
{
	return strcmp(policy->name, "phi_access") == 0 && policy->command == '*' &&
		   !policy->permissive && policy->for_all &&
		   IsAccessCall(policy->qual, relation) && IsAccessCheck(policy->check, relation);
}

/* What the policies of a table give. */
static int
PartsOfPolicies(const ProtectedRelation *relation)
{
	int parts = HAS_OWN_CODE;
	ListCell *cell;

	foreach (cell, PoliciesOf(relation->relid))
	{
		const Policy *policy = lfirst(cell);

		if (IsAccessPolicy(policy, relation))
			parts |= HAS_ACCESS;
		else if (PolicyIsForeign(policy))
			parts &= ~HAS_OWN_CODE;
	}
	return parts;
}

/* Is there the trigger, on, unconditional, and with our function? */
static bool
HasTrigger(const TriggerDesc *triggers, int which, Oid function)
{
	int i;

	for (i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (strcmp(trigger->tgname, Triggers[which].name) == 0)
			return trigger->tgfoid == function && trigger->tgtype == Triggers[which].type &&
				   trigger->tgqual == NULL && trigger->tgnattr == 0 &&
				   (trigger->tgenabled == TRIGGER_FIRES_ALWAYS ||
					(Triggers[which].part == HAS_APPLY &&
					 trigger->tgenabled == TRIGGER_FIRES_ON_REPLICA) ||
					(Triggers[which].part == HAS_SEALING &&
					 trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN));
	}
	return false;
}

/* What a protected table or partition has. */
static int
PartsOfTable(const ProtectedRelation *relation)
{
	int parts = PartsOfPolicies(relation) | HAS_SEALING | HAS_CAPTURE | HAS_APPLY;
	Oid functions[lengthof(Triggers)];
	Relation table;
	int i;

	for (i = 0; i < lengthof(Triggers); i++)
		functions[i] = PhiFunctionIfAny(Triggers[i].function, 0);
	table = RelationIdGetRelation(relation->relid);
	if (table == NULL)
		return HAS_ALL_TABLE;
	if (table->rd_rel->relrowsecurity && table->rd_rel->relforcerowsecurity)
		parts |= HAS_ROW_SECURITY;
	if (table->rd_rules == NULL || table->rd_rules->numLocks == 0)
		parts |= HAS_NO_RULE;
	if (!OidIsValid(table->rd_rel->reloftype))
		parts |= HAS_NO_ROW_TYPE;
	for (i = 0; i < lengthof(Triggers); i++)
	{
		/* A library of a later release than its extension has no function to look for. */
		if (OidIsValid(functions[i]) && !HasTrigger(table->trigdesc, i, functions[i]))
			parts &= ~Triggers[i].part;
	}
	if (table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		parts |= HAS_APPLY;
	RelationClose(table);
	return parts;
}

/* What a redacted view has. */
static int
PartsOfView(Oid view, Oid table)
{
	Relation relation = RelationIdGetRelation(view);
	List *functions = NIL;
	ListCell *cell;
	bool plain;
	int i;

	if (relation == NULL)
		return HAS_PLAIN_VIEW;
	for (i = 0; relation->trigdesc != NULL && i < relation->trigdesc->numtriggers; i++)
		functions = lappend_oid(functions, relation->trigdesc->triggers[i].tgfoid);
	plain = !ViewIsForeign(relation, table);
	RelationClose(relation);
	foreach (cell, functions)
		plain = plain && get_func_namespace(lfirst_oid(cell)) == PhiSchema();
	return plain ? HAS_PLAIN_VIEW : 0;
}

/* What a relation has; whole says what it should have, 0 for what is not ours to look after. */
static int
PartsOf(Oid relid, List *rows, int *whole)
{
	Oid table = TableOfView(rows, relid);
	const ProtectedRelation *relation;

	if (OidIsValid(table))
	{
		*whole = HAS_PLAIN_VIEW;
		return PartsOfView(relid, table);
	}
	relation = RegistryRelation(relid);
	*whole = relation != NULL ? HAS_ALL_TABLE : 0;
	return relation != NULL ? PartsOfTable(relation) : 0;
}

List *
IntactBefore(bool all)
{
	List *rows = ReadTables();
	List *before = NIL;
	ListCell *cell;

	foreach (cell, AllMembers(rows))
	{
		Member *member;
		int whole;

		if (!OidIsValid(get_rel_namespace(lfirst_oid(cell))) ||
			!(all || RoleOwnsRelation(lfirst_oid(cell), GetUserId())))
			continue;
		member = palloc(sizeof(Member));
		member->relid = lfirst_oid(cell);
		member->parts = PartsOf(member->relid, rows, &whole);
		before = lappend(before, member);
	}
	return before;
}

/* ---- afterwards ---- */

/* What a relation had before, or all that it should have had where that was not looked at. */
static int
PartsBefore(List *before, Oid relid, int whole)
{
	ListCell *cell;

	foreach (cell, before)
	{
		const Member *member = lfirst(cell);

		if (member->relid == relid)
			return member->parts;
	}
	return whole;
}

/* Raise for the first part that is missing. */
static void
RefuseLoss(Oid relid, int missing)
{
	int i;

	for (i = 0; i < lengthof(Parts); i++)
	{
		if (missing & Parts[i].part)
			ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("permission denied: the protection of \"%s\" would not be whole",
						   get_rel_name(relid)),
					errdetail("%s", Parts[i].detail),
					errhint("Only a superuser may do this, and it leaves an event."));
	}
}

/* Was the relation a protected partition until now?  Its audit trigger tells. */
static bool
HasLeft(Oid relid)
{
	Oid function = PhiFunction(Triggers[1].function, 0);
	Relation relation = RelationIdGetRelation(relid);
	bool left;

	if (relation == NULL)
		return false;
	left = HasTrigger(relation->trigdesc, 1, function);
	RelationClose(relation);
	return left;
}

void
RequireIntact(List *before, bool all, bool policies, bool detached)
{
	List *rows = ReadTables();
	List *members = AllMembers(rows);
	List *changed = ChangedByMe(members);
	ListCell *cell;

	foreach (cell, all ? list_concat_unique_oid(members, changed) : changed)
	{
		Oid relid = lfirst_oid(cell);
		bool strict = policies && list_member_oid(changed, relid);
		int whole;
		int parts = PartsOf(relid, rows, &whole);
		int needed = PartsBefore(before, relid, whole) | (strict ? HAS_OWN_CODE : 0);

		RefuseLoss(relid, needed & whole & ~parts);
		if (detached && whole == 0 && HasLeft(relid))
			ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("permission denied to detach partition \"%s\" of a protected table",
						   get_rel_name(relid)),
					errhint("Only a superuser may do this, and it leaves an event."));
	}
}
