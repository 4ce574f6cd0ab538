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
 * It also hands phi.reveal the attributes of the row where consents can depend
 * on them, and the row's identifiers where a text is scrubbed of them: a query
 * could write other ones.
 *
 * Two things go without: PostgreSQL's own constraint checks, and a role that
 * says SET row_security = off and either is a superuser or has BYPASSRLS and
 * the key_custodian duty (pg_dump does so; it reads sealed values); likewise a
 * replication connection.  Whoever
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
#include "nodes/pathnodes.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "parser/analyze.h"
#include "parser/parsetree.h"
#include "replication/walsender.h"
#include "platform/registry.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

static planner_hook_type PreviousPlanner = NULL;
static get_relation_info_hook_type PreviousRelationInfo = NULL;
static post_parse_analyze_hook_type PreviousAnalyze = NULL;

/* The forms of the row predicate: plain, of a described row, of one with further subjects. */
#define PREDICATES 3

/* What the walkers carry. */
typedef struct GuardContext
{
	Oid row_access[PREDICATES];
	Oid mark;	   /* type phi.planner_mark */
	List *queries; /* the one walked and those around it, innermost first */
} GuardContext;

/* The name of a function of schema phi, or "". */
static const char *
PhiFunctionName(Oid function)
{
	char *name = get_func_namespace(function) == PhiSchema() ? get_func_name(function) : NULL;

	return name ? name : "";
}

bool
IsRevealFunction(Oid function)
{
	const char *name = PhiFunctionName(function);

	return IsPlainRevealFunction(function) || strcmp(name, "reveal_as") == 0 ||
		   strcmp(name, "reveal_pseudonym") == 0;
}

bool
IsPlainRevealFunction(Oid function)
{
	const char *name = PhiFunctionName(function);

	return strcmp(name, "reveal") == 0 || strcmp(name, "reveal_column") == 0;
}

/* The same as a callback. */
static bool
IsReveal(Oid function, void *context)
{
	return IsRevealFunction(function);
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

/* Is the function a form of the row predicate? */
static bool
IsRowAccess(Oid function, const GuardContext *guard)
{
	for (int i = 0; i < PREDICATES; i++)
		if (guard->row_access[i] == function)
			return true;
	return false;
}

/* Does the expression call row_access? */
static bool
CallsRowAccess(Node *node, GuardContext *guard)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && IsRowAccess(((FuncExpr *) node)->funcid, guard))
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
	/* The initial copy of logical replication asks for every row without saying so. */
	if ((row_security && !am_walsender) || (OidIsValid(checked) && checked != user))
		return false;
	return superuser() ||
		   (has_bypassrls_privilege(user) && RoleMayExecute(PhiFunction("read_sealed", 0), user));
}

/* A column of the reference at index, or a null where the relation has none. */
static Node *
ColumnOrNull(const ProtectedRelation *relation, Index index, AttrNumber attnum, Oid null_type)
{
	Oid type;
	int32 modifier;
	Oid collation;

	if (attnum == 0)
		return (Node *) makeNullConst(null_type, -1, InvalidOid);
	get_atttypetypmodcoll(relation->relid, attnum, &type, &modifier, &collation);
	return (Node *) makeVar(index, attnum, type, modifier, collation, 0);
}

/* The labels and attributes of a row, as the long predicate takes them. */
static List *
RowArguments(const ProtectedRelation *relation, Index index)
{
	List *arguments = list_make1(ColumnOrNull(relation, index, relation->labels, TEXTARRAYOID));

	for (int i = 0; i < ROW_ATTRIBUTES; i++)
		arguments = lappend(arguments, ColumnOrNull(relation, index,
													relation->description.attributes[i], TEXTOID));
	return arguments;
}

/* phi.row_access(relation, subject, ...) over the reference at index. */
static Node *
MakePredicate(const ProtectedRelation *relation, Index index, GuardContext *guard)
{
	const RowDescription *description = &relation->description;
	int form = !description->by_row ? 0 : description->other_subject_count == 0 ? 1 : 2;
	List *arguments =
		list_make2(makeConst(REGCLASSOID, -1, InvalidOid, sizeof(Oid),
							 ObjectIdGetDatum(relation->root), false, true),
				   ColumnOrNull(relation, index, relation->subject, InvalidOid));

	if (form == 0)
		arguments =
			lappend(arguments, ColumnOrNull(relation, index, relation->labels, TEXTARRAYOID));
	else
		arguments = list_concat(arguments, RowArguments(relation, index));
	for (int i = 0; i < description->other_subject_count; i++)
		arguments = lappend(
			arguments, ColumnOrNull(relation, index, description->other_subjects[i], InvalidOid));
	return (Node *) makeFuncExpr(guard->row_access[form], BOOLOID, arguments, InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

/*
 * Raise when rows are written without the WITH CHECK of the policy: row
 * security does not apply to the writer, who then has to be a superuser or to
 * hold the duty of a loader.
 */
static void
RequireChecks(Query *query, RangeTblEntry *rte, GuardContext *guard)
{
	if (CallsRowAccess((Node *) query->withCheckOptions, guard) || superuser() ||
		RoleMayExecute(PhiFunction("load_sealed", 0), GetUserId()))
		return;
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("permission denied to write to protected table \"%s\" past row security",
						   get_rel_name(rte->relid)),
					errhint("Write as a role that row security applies to, or have the "
							"key_custodian duty granted.")));
}

/* Add the predicate to a reference that needs it; true when it was added. */
static bool
GuardReference(Query *query, RangeTblEntry *rte, Index index, GuardContext *guard)
{
	const ProtectedRelation *relation;

	if (rte->rtekind != RTE_RELATION ||
		(rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_PARTITIONED_TABLE))
		return false;
	relation = RegistryRelation(rte->relid);
	if (!relation || CallsRowAccess((Node *) rte->securityQuals, guard) || MayBypass(query, rte))
		return false;
	if ((int) index == query->resultRelation && query->commandType != CMD_DELETE)
		RequireChecks(query, rte, guard);
	/* An inserted row is no reference to existing ones; WITH CHECK looks at it. */
	if (query->commandType == CMD_INSERT && (int) index == query->resultRelation)
		return false;
	if (!row_security || am_walsender)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("query would be affected by the access policy of table \"%s\"",
							   get_rel_name(rte->relid)),
						errhint("Reading every sealed row takes BYPASSRLS and the key_custodian duty.")));
	rte->securityQuals =
		lappend(rte->securityQuals, MakePredicate(relation, index, guard));
	return true;
}

/* Is the function somebody's own, that may read and reveal what it likes? */
static bool
IsUserFunction(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

/* May the query read a protected relation, itself or by a function? */
static bool
TouchesProtected(Node *node, GuardContext *guard)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		return rte->rtekind == RTE_RELATION && RegistryRelation(rte->relid) != NULL;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, TouchesProtected, guard,
								 QTW_EXAMINE_RTES_BEFORE);
	return check_functions_in_node(node, IsUserFunction, guard) ||
		   expression_tree_walker(node, TouchesProtected, guard);
}

/* Would a column more in an expression of the query be one that it does not group by? */
static bool
QueryGroups(const Query *query)
{
	return query->hasAggs || query->groupClause != NIL || query->groupingSets != NIL ||
		   query->havingQual != NULL;
}

/* May a reference be to values that the query itself writes: of RETURNING, or "excluded"? */
static bool
IsWritten(const Query *query, int varno)
{
	if (query->onConflict != NULL && varno == query->onConflict->exclRelIndex)
		return true;
	return query->commandType != CMD_SELECT && query->commandType != CMD_DELETE &&
		   varno == query->resultRelation;
}

/*
 * The column that a call reveals; NULL where it reveals something else, or,
 * asking for a pseudonym, columns of several rows.
 */
static const Var *
RevealedColumn(const FuncExpr *call)
{
	bool pseudonym = strcmp(PhiFunctionName(call->funcid), "reveal_pseudonym") == 0;
	const Var *first = NULL;
	ListCell *cell;

	for_each_from(cell, call->args, pseudonym ? 1 : 0)
	{
		const Var *var = lfirst(cell);

		if (!IsA(var, Var))
			return NULL;
		if (first == NULL)
			first = var;
		if (!pseudonym)
			break;
		if (var->varno != first->varno || var->varlevelsup != first->varlevelsup)
			return NULL;
	}
	return first;
}

/*
 * The protected relation that a call reveals a column of; *reference is the
 * column, *written whether the query may have written its row.
 */
static const ProtectedRelation *
RevealedRelation(const FuncExpr *call, const GuardContext *guard, const Var **reference,
				 bool *written)
{
	const Var *var = RevealedColumn(call);
	const Query *query;
	const RangeTblEntry *rte;
	const ProtectedRelation *relation;

	if (var == NULL || (int) var->varlevelsup >= list_length(guard->queries))
		return NULL;
	query = list_nth(guard->queries, var->varlevelsup);
	if (var->varno < 1 || (int) var->varno > list_length(query->rtable) || QueryGroups(query))
		return NULL;
	rte = rt_fetch(var->varno, query->rtable);
	if (rte->rtekind != RTE_RELATION)
		return NULL;
	relation = RegistryRelation(rte->relid);
	*reference = var;
	*written = IsWritten(query, (int) var->varno);
	return relation;
}

/* Is a column a text that is scrubbed of the identifiers of its row? */
static bool
IsScrubbedColumn(const ProtectedRelation *relation, AttrNumber attnum)
{
	for (int i = 0; i < relation->column_count; i++)
		if (relation->columns[i].attnum == attnum)
			return relation->columns[i].scrubbed;
	return false;
}

/* The columns of a reference that identify: its subject and key, then the encrypted ones. */
static List *
IdentifyingArguments(const ProtectedRelation *relation, Index index)
{
	List *arguments = list_make1(ColumnOrNull(relation, index, relation->subject, InvalidOid));

	for (int i = 0; i < relation->key_count; i++)
		if (relation->keys[i] != relation->subject)
			arguments = lappend(arguments,
								ColumnOrNull(relation, index, relation->keys[i], InvalidOid));
	for (int i = 0; i < relation->column_count; i++)
		if (relation->columns[i].identifies)
			arguments = lappend(
				arguments, ColumnOrNull(relation, index, relation->columns[i].attnum, InvalidOid));
	return arguments;
}

/* The mark of a relation. */
static Const *
MakeMark(const ProtectedRelation *relation, const GuardContext *guard)
{
	return makeConst(guard->mark, -1, InvalidOid, sizeof(int32), ObjectIdGetDatum(relation->root),
					 false, true);
}

/*
 * What a call is handed of its row: a mark, labels and attributes where
 * consents depend on them, and behind a second mark the identifiers where the
 * column is a text that is scrubbed of them.  The latter not where the query may
 * have written other ones, or they are too many: the text is then not shown.
 */
static List *
MarkedArguments(const ProtectedRelation *relation, const Var *reference, bool written, int room,
				const GuardContext *guard)
{
	List *attributes =
		relation->description.by_row ? RowArguments(relation, reference->varno) : NIL;
	List *identifiers = NIL;

	if (IsScrubbedColumn(relation, reference->varattno) && !written)
		identifiers =
			lcons(MakeMark(relation, guard), IdentifyingArguments(relation, reference->varno));
	if (1 + list_length(attributes) + list_length(identifiers) > room)
		identifiers = NIL;
	if ((attributes == NIL && identifiers == NIL) || 1 + list_length(attributes) > room)
		return NIL;
	return lcons(MakeMark(relation, guard), list_concat(attributes, identifiers));
}

/*
 * Hand a call of phi.reveal what it has to know of the row that its value is
 * read from.  The marks, which no query can write, say so.
 */
static void
MarkReveal(FuncExpr *call, const GuardContext *guard)
{
	const Var *reference = NULL;
	const ProtectedRelation *relation;
	bool written = false;
	List *arguments;
	ListCell *cell;

	if (call->args == NIL || !IsRevealFunction(call->funcid))
		return;
	relation = RevealedRelation(call, guard, &reference, &written);
	if (!relation)
		return;
	foreach (cell, call->args)
		if (exprType(lfirst(cell)) == guard->mark)
			return;
	arguments = MarkedArguments(relation, reference, written,
								FUNC_MAX_ARGS - list_length(call->args), guard);
	foreach (cell, arguments)
		if (IsA(lfirst(cell), Var))
			((Var *) lfirst(cell))->varlevelsup = reference->varlevelsup;
	call->args = list_concat(call->args, arguments);
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
			(void) GuardReference(query, lfirst(cell), ++index, guard);
		guard->queries = lcons(query, guard->queries);
		(void) query_tree_walker(query, GuardQueries, guard, 0);
		guard->queries = list_delete_first(guard->queries);
		return false;
	}
	if (IsA(node, FuncExpr))
		MarkReveal((FuncExpr *) node, guard);
	return expression_tree_walker(node, GuardQueries, guard);
}

/* Are our objects there to guard with?  Not while an install or upgrade script makes them. */
static bool
GuardReady(GuardContext *guard)
{
	if (creating_extension || IsBinaryUpgrade || !ExtensionInstalled())
		return false;
	guard->row_access[0] = PhiFunction("row_access", 3);
	guard->row_access[1] = PhiFunction("row_access", 3 + ROW_ATTRIBUTES);
	guard->row_access[2] = PhiFunction("row_access", 4 + ROW_ATTRIBUTES);
	guard->mark = PhiType("planner_mark");
	guard->queries = NIL;
	return true;
}

/*
 * Hook: a relation is about to be planned.  The body of an inlined SQL function
 * joins the query after the planner hook has seen it, so what came without the
 * predicate gets it here, before the query's quals are given their places.
 */
static void
GuardPlannedRelation(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);
	GuardContext guard;

	if (PreviousRelationInfo)
		PreviousRelationInfo(root, relid, inhparent, rel);
	/* CREATE INDEX and CLUSTER plan without a query. */
	if (root->parse->jointree == NULL || !GuardReady(&guard))
		return;
	if (rel->reloptkind == RELOPT_OTHER_MEMBER_REL &&
		planner_rt_fetch(root->append_rel_array[rel->relid]->parent_relid, root)->rtekind ==
			RTE_RELATION)
		return; /* a child takes over its parent's quals */
	if (!GuardReference(root->parse, rte, rel->relid, &guard))
		return;
	if (rel->reloptkind != RELOPT_BASEREL)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("protected table \"%s\" cannot be read in this way", get_rel_name(relid)),
						errhint("Query the table itself instead of a UNION ALL with a SQL function.")));
	/* By now every security qual is a list of conditions. */
	llast(rte->securityQuals) = list_make1(llast(rte->securityQuals));
	root->qual_security_level =
		Max(root->qual_security_level, (Index) list_length(rte->securityQuals));
}

/*
 * Hook: PL/pgSQL evaluates a SELECT without FROM as an expression, without an
 * executor level of its own; what reveals gets one, so that nesting.c sees it.
 */
static void
GuardAnalyzed(ParseState *state, Query *query, JumbleState *jumble)
{
	GuardContext guard;

	if (query->commandType == CMD_SELECT && query->jointree && query->jointree->fromlist == NIL &&
		query->jointree->quals == NULL && GuardReady(&guard) && CallsReveal((Node *) query, &guard))
		query->jointree->quals = makeBoolConst(true, false);
	if (PreviousAnalyze)
		PreviousAnalyze(state, query, jumble);
}

/* Hook: guard the query, then plan it. */
static PlannedStmt *
GuardedPlanner(Query *query, const char *source, int options, ParamListInfo parameters)
{
	GuardContext guard;

	if (GuardReady(&guard))
	{
		if ((options & CURSOR_OPT_HOLD) && RegistryHasRelations() &&
			TouchesProtected((Node *) query, &guard))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("a cursor WITH HOLD cannot read a protected table or call a function"),
							errdetail("Its rows would outlive the identity they were revealed to."),
							errhint("Declare the cursor without HOLD, inside a transaction.")));
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
 * Install the hooks.
 */
void
PlannerInit(void)
{
	PreviousPlanner = planner_hook;
	planner_hook = GuardedPlanner;
	PreviousAnalyze = post_parse_analyze_hook;
	post_parse_analyze_hook = GuardAnalyzed;
	PreviousRelationInfo = get_relation_info_hook;
	get_relation_info_hook = GuardPlannedRelation;
}
