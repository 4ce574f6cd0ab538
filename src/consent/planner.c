/*-------------------------------------------------------------------------
 * planner.c
 *		Row access where row security does not apply, and no reveal in rules.
 *
 * The policies of a protected table filter rows for everybody to whom row
 * security applies.  It does not for a superuser, for a role with BYPASSRLS,
 * and for every user of a view whose owner is one of them; and a partition
 * that is addressed directly has only policies of its own.  The planner hook
 * adds the same predicate as a security qual to every reference to a protected
 * relation that does not have it yet.
 *
 * Two things go without: PostgreSQL's own constraint checks, and a role that
 * says SET row_security = off and either is a superuser or has BYPASSRLS and
 * the key_custodian duty (pg_dump does so; it reads sealed values).  Whoever
 * says it without the right gets an error, as with row security itself: a dump
 * is complete or fails.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "consent/consent.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "platform/registry.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

static planner_hook_type PreviousPlanner = NULL;

/* What the walkers carry. */
typedef struct GuardContext
{
	Oid row_access;
	Oid phi_schema;
} GuardContext;

/* Is the function one of the overloads of phi.reveal? */
static bool
IsReveal(Oid function, void *context)
{
	const GuardContext *guard = context;
	char *name;

	if (get_func_namespace(function) != guard->phi_schema)
		return false;
	name = get_func_name(function);
	return name && strcmp(name, "reveal") == 0;
}

/* Does any expression of the tree call phi.reveal? */
static bool
CallsReveal(Node *node, GuardContext *guard)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, IsReveal, guard))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, CallsReveal, guard, 0);
	return expression_tree_walker(node, CallsReveal, guard);
}

/* Does the expression call row_access? */
static bool
CallsRowAccess(Node *node, GuardContext *guard)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == guard->row_access)
		return true;
	return expression_tree_walker(node, CallsRowAccess, guard);
}

/* May the current user read this reference without the predicate? */
static bool
MayBypass(Query *query, RangeTblEntry *rte)
{
	Oid checked = RangeTableCheckUser(query, rte);
	Oid user = GetUserId();

	if (InNoForceRLSOperation())
		return true;
	if (row_security || (OidIsValid(checked) && checked != user))
		return false;
	return superuser() ||
		   (has_bypassrls_privilege(user) && RoleMayExecute(PhiFunction("read_sealed", 0), user));
}

/* phi.row_access(relation, subject, labels) over the reference at index. */
static Node *
MakePredicate(const ProtectedRelation *relation, Index index, GuardContext *guard)
{
	Oid subject_collation = get_typcollation(relation->subject_type);
	Node *labels;
	List *arguments;

	if (relation->labels != 0)
		labels = (Node *) makeVar(index, relation->labels, TEXTARRAYOID, -1,
								  get_typcollation(TEXTARRAYOID), 0);
	else
		labels = (Node *) makeNullConst(TEXTARRAYOID, -1, InvalidOid);
	arguments = list_make3(makeConst(REGCLASSOID, -1, InvalidOid, sizeof(Oid),
									 ObjectIdGetDatum(relation->root), false, true),
						   makeVar(index, relation->subject, relation->subject_type, -1,
								   subject_collation, 0),
						   labels);
	return (Node *) makeFuncExpr(guard->row_access, BOOLOID, arguments, InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

/* Add the predicate to a reference that needs it. */
static void
GuardReference(Query *query, RangeTblEntry *rte, Index index, GuardContext *guard)
{
	const ProtectedRelation *relation;

	if (rte->rtekind != RTE_RELATION ||
		(rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_PARTITIONED_TABLE))
		return;
	relation = RegistryRelation(rte->relid);
	if (!relation || CallsRowAccess((Node *) rte->securityQuals, guard) || MayBypass(query, rte))
		return;
	/* An inserted row is no reference to existing ones; WITH CHECK looks at it. */
	if (query->commandType == CMD_INSERT && (int) index == query->resultRelation &&
		query->onConflict == NULL)
		return;
	if (!row_security)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("query would be affected by the access policy of table \"%s\"",
							   get_rel_name(rte->relid)),
						errhint("Reading every sealed row takes BYPASSRLS and the key_custodian duty.")));
	rte->securityQuals =
		lappend(rte->securityQuals, MakePredicate(relation, index, guard));
}

/* Walk every query of the tree. */
static bool
GuardQueries(Node *node, GuardContext *guard)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;
		Index index = 0;
		ListCell *cell;

		foreach (cell, query->rtable)
			GuardReference(query, lfirst(cell), ++index, guard);
		return query_tree_walker(query, GuardQueries, guard, 0);
	}
	return expression_tree_walker(node, GuardQueries, guard);
}

/* Hook: guard the query, then plan it. */
static PlannedStmt *
GuardedPlanner(Query *query, const char *source, int options, ParamListInfo parameters)
{
	/* An install or update script runs while our objects are not all there. */
	if (!creating_extension && !IsBinaryUpgrade && ExtensionInstalled())
	{
		GuardContext guard;

		guard.phi_schema = PhiSchema();
		guard.row_access = PhiFunction("row_access", 3);
		if (query->querySource != QSRC_ORIGINAL && CallsReveal((Node *) query, &guard))
			ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
							errmsg("phi.reveal cannot be used in a rule"),
							errhint("A rule sees sealed values; reveal them in the query instead.")));
		(void) GuardQueries((Node *) query, &guard);
	}
	if (PreviousPlanner)
		return PreviousPlanner(query, source, options, parameters);
	return standard_planner(query, source, options, parameters);
}

/*
 * Install the hook.
 */
void
PlannerInit(void)
{
	PreviousPlanner = planner_hook;
	planner_hook = GuardedPlanner;
}
