/*-------------------------------------------------------------------------
 * search_plan.c
 *		Equality on revealed columns finds its index.
 *
 * A query through the redacted view compares revealed values: WHERE ssn = $1
 * is phi.reveal(ssn, id) = $1, which no index serves and which would reveal
 * every row.  The planner hook adds the same condition on the sealed column,
 *
 *		phi.reveal(ssn, id) = $1 AND ssn = phi.search_value($1, column_id)
 *
 * wherever such a comparison stands in a WHERE or ON clause, below AND, OR and
 * NOT alike: texts that are equal have equal tags, so the added condition is
 * true whenever the user's own is, which still rechecks.  It is NULL, and so
 * finds nothing, for a session that does not see the column in full.
 *
 * A comparison on a view is found through the view's target list; the sealed
 * column is added to that list under a name of ours, and flattened away by the
 * planner.  IN and = ANY work alike, also directly on a sealed column.
 *-------------------------------------------------------------------------
 */
#include "types/search.h"

#include "catalog/namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "consent/consent.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

static planner_hook_type PreviousPlanner = NULL;

typedef struct SearchContext
{
	Query *query; /* whose clauses are looked at */
	Oid sealed_type;
	Oid sealed_equal;	   /* sealed = sealed */
	Oid sealed_equal_text; /* sealed = text */
	Oid text_equal_sealed; /* text = sealed */
} SearchContext;

/* A revealed column at a query's level. */
typedef struct Revealed
{
	Var *sealed; /* the sealed column, at the same level */
	const ProtectedColumn *column;
} Revealed;

/* ---- finding revealed columns ---- */

/* The searchable column that a Var of the query is; NULL when it is none. */
static const ProtectedColumn *
SearchableColumn(Query *query, Var *var)
{
	RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);
	const ProtectedRelation *relation;

	if (rte->rtekind != RTE_RELATION || (relation = RegistryRelation(rte->relid)) == NULL)
		return NULL;
	for (int i = 0; i < relation->column_count; i++)
		if (relation->columns[i].attnum == var->varattno && relation->columns[i].searchable)
			return &relation->columns[i];
	return NULL;
}

/* May a column be added to the target list of a subquery without changing what it means? */
static bool
Extensible(const Query *query)
{
	return query->commandType == CMD_SELECT && query->setOperations == NULL && !query->hasAggs &&
		   !query->hasWindowFuncs && !query->hasTargetSRFs && query->groupClause == NIL &&
		   query->groupingSets == NIL && query->havingQual == NULL && query->distinctClause == NIL &&
		   query->limitCount == NULL && query->limitOffset == NULL;
}

typedef struct WholeRowContext
{
	int varno;
	int level;
} WholeRowContext;

/* Is there a whole-row reference to a range table entry?  Its shape must not change then. */
static bool
HasWholeRow(Node *node, WholeRowContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		return var->varno == context->varno && var->varattno == 0 &&
			   (int) var->varlevelsup == context->level;
	}
	if (IsA(node, Query))
	{
		bool found;

		context->level++;
		found = query_tree_walker((Query *) node, HasWholeRow, context, 0);
		context->level--;
		return found;
	}
	return expression_tree_walker(node, HasWholeRow, context);
}

/* The position of an expression in a subquery's target list; it is added when it is not there. */
static AttrNumber
ExposeColumn(RangeTblEntry *rte, Var *sealed)
{
	Query *subquery = rte->subquery;
	ListCell *cell;
	AttrNumber position;

	foreach (cell, subquery->targetList)
	{
		TargetEntry *entry = lfirst(cell);

		if (!entry->resjunk && equal(entry->expr, sealed))
			return entry->resno;
	}
	/* Junk entries come last and have the numbers that a new column would need. */
	if (subquery->targetList != NIL && llast_node(TargetEntry, subquery->targetList)->resjunk)
		return InvalidAttrNumber;
	position = list_length(subquery->targetList) + 1;
	subquery->targetList =
		lappend(subquery->targetList,
				makeTargetEntry((Expr *) copyObject(sealed), position, pstrdup("~phi_sealed"), false));
	rte->eref->colnames = lappend(rte->eref->colnames, makeString(pstrdup("~phi_sealed")));
	return position;
}

static bool FindRevealed(Query *query, Node *node, Revealed *revealed);

/* A column of a subquery that reveals: the sealed column is exposed beside it. */
static bool
FindInSubquery(Query *query, Var *var, Revealed *revealed)
{
	RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);
	WholeRowContext whole = {var->varno, 0};
	TargetEntry *entry;
	AttrNumber position;
	Var *sealed;

	if (rte->rtekind != RTE_SUBQUERY || !Extensible(rte->subquery))
		return false;
	entry = get_tle_by_resno(rte->subquery->targetList, var->varattno);
	if (!entry || !FindRevealed(rte->subquery, (Node *) entry->expr, revealed) ||
		query_tree_walker(query, HasWholeRow, &whole, 0))
		return false;
	position = ExposeColumn(rte, revealed->sealed);
	if (position == InvalidAttrNumber)
		return false;
	sealed = copyObject(var); /* with what says about outer joins */
	sealed->varattno = position;
	sealed->vartype = revealed->sealed->vartype;
	sealed->vartypmod = -1;
	sealed->varcollid = InvalidOid;
	sealed->varattnosyn = 0;
	sealed->varnosyn = 0;
	revealed->sealed = sealed;
	return true;
}

/* Is the expression a revealed searchable column of this query's level? */
static bool
FindRevealed(Query *query, Node *node, Revealed *revealed)
{
	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		return var->varlevelsup == 0 && var->varattno > 0 && FindInSubquery(query, var, revealed);
	}
	if (IsA(node, FuncExpr))
	{
		FuncExpr *call = (FuncExpr *) node;
		Var *var = call->args ? linitial(call->args) : NULL;

		if (!var || !IsA(var, Var) || var->varlevelsup != 0 || var->varattno <= 0 ||
			!IsPlainRevealFunction(call->funcid))
			return false;
		revealed->sealed = copyObject(var);
		revealed->column = SearchableColumn(query, var);
		return revealed->column != NULL;
	}
	return false;
}

/* ---- the added conditions ---- */

/* A call of one of our functions with an expression and the column's id. */
static Expr *
CallWithColumn(const char *function, Oid result, Node *argument, const ProtectedColumn *column)
{
	return (Expr *) makeFuncExpr(
		PhiFunction(function, 2), result,
		list_make2(copyObject(argument),
				   makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
							 Int32GetDatum(column->column_id), false, true)),
		InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

/* sealed = what, as a condition that the executor can run. */
static Node *
SealedEquals(SearchContext *context, Var *sealed, Expr *what)
{
	OpExpr *condition = (OpExpr *) make_opclause(context->sealed_equal, BOOLOID, false,
												 (Expr *) sealed, what, InvalidOid, InvalidOid);

	set_opfuncid(condition);
	return (Node *) condition;
}

/* Do two columns share a search context? */
static bool
SameContext(const ProtectedColumn *a, const ProtectedColumn *b)
{
	return a->column_id == b->column_id ||
		   (NameStr(a->search_context)[0] != '\0' &&
			strcmp(NameStr(a->search_context), NameStr(b->search_context)) == 0);
}

/* sealed = ANY (what). */
static Node *
SealedAny(SearchContext *context, Node *sealed, const char *function, Node *array,
		  const ProtectedColumn *column)
{
	ScalarArrayOpExpr *condition = makeNode(ScalarArrayOpExpr);

	condition->opno = context->sealed_equal;
	condition->opfuncid = get_opcode(context->sealed_equal);
	condition->useOr = true;
	condition->inputcollid = InvalidOid;
	condition->args = list_make2(
		sealed, CallWithColumn(function, get_array_type(context->sealed_type), array, column));
	condition->location = -1;
	return (Node *) condition;
}

/*
 * sealed = what the value is for the column, by one of our functions; while
 * tags are being moved to another generation, either of two, by the function
 * for arrays.
 */
static Node *
SealedEqualsPlain(SearchContext *context, Var *sealed, Node *plain, const ProtectedColumn *column,
				  const char *function, const char *array_function)
{
	ArrayExpr *array;

	if (column->next_generation == 0)
		return SealedEquals(context, sealed,
							CallWithColumn(function, context->sealed_type, plain, column));
	array = makeNode(ArrayExpr);
	array->array_typeid = get_array_type(exprType(plain));
	array->array_collid = exprCollation(plain);
	array->element_typeid = exprType(plain);
	array->elements = list_make1(copyObject(plain));
	array->location = -1;
	return SealedAny(context, (Node *) sealed, array_function, (Node *) array, column);
}

/* The condition to add to a = b, or NULL. */
static Node *
SearchCondition(SearchContext *context, Node *a, Node *b)
{
	Revealed left;
	Revealed right;

	if (!FindRevealed(context->query, a, &left))
		return NULL;
	if (FindRevealed(context->query, b, &right))
		return SameContext(left.column, right.column)
				   ? SealedEquals(context, left.sealed, (Expr *) right.sealed)
				   : NULL;
	if (contain_volatile_functions(b) || contain_subplans(b))
		return NULL;
	return SealedEqualsPlain(context, left.sealed, b, left.column, "search_value", "search_values");
}

/* revealed = ANY (array): the condition with the sealed one added; or NULL. */
static Node *
RewriteRevealedAny(SearchContext *context, ScalarArrayOpExpr *any)
{
	Node *array = lsecond(any->args);
	Revealed revealed;

	if (!any->useOr || get_opcode(any->opno) != F_TEXTEQ || contain_volatile_functions(array) ||
		contain_subplans(array) || !FindRevealed(context->query, linitial(any->args), &revealed))
		return NULL;
	return (Node *) make_andclause(
		list_make2(any, SealedAny(context, (Node *) revealed.sealed, "search_values", array,
								  revealed.column)));
}

/* The searchable column that an expression is at this query's level, or NULL. */
static const ProtectedColumn *
PlainlySearchable(SearchContext *context, Node *node)
{
	Var *var = (Var *) node;

	return IsA(node, Var) && var->varlevelsup == 0 && var->varattno > 0
			   ? SearchableColumn(context->query, var)
			   : NULL;
}

/*
 * sealed = literal, either way round: the literal is tagged for the column, so
 * that a hash index can look it up; or NULL.
 */
static Node *
RewriteSealedLiteral(SearchContext *context, OpExpr *equality)
{
	for (int i = 0; equality->opno == context->sealed_equal && i < 2; i++)
	{
		Node *sealed = list_nth(equality->args, i);
		Node *literal = list_nth(equality->args, 1 - i);
		const ProtectedColumn *column = PlainlySearchable(context, sealed);

		if (column && !contain_var_clause(literal) && !contain_volatile_functions(literal) &&
			!contain_subplans(literal))
			return SealedEqualsPlain(context, (Var *) sealed, literal, column,
									 "search_sealed_value", "search_sealed_values");
	}
	return NULL;
}

/* sealed = text, either way round: sealed = what the text is for the column; or NULL. */
static Node *
RewriteSealedText(SearchContext *context, OpExpr *equality)
{
	bool left = equality->opno == context->sealed_equal_text;
	Node *sealed = list_nth(equality->args, left ? 0 : 1);
	Node *plain = list_nth(equality->args, left ? 1 : 0);
	const ProtectedColumn *column;

	if (!left && equality->opno != context->text_equal_sealed)
		return NULL;
	column = PlainlySearchable(context, sealed);
	if (!column || contain_volatile_functions(plain) || contain_subplans(plain))
		return NULL;
	return SealedEqualsPlain(context, (Var *) sealed, plain, column, "search_value", "search_values");
}

/* sealed = ANY (array of literals or texts): they are tagged for the column; or NULL. */
static Node *
RewriteSealedAny(SearchContext *context, ScalarArrayOpExpr *any)
{
	Node *sealed = linitial(any->args);
	Node *array = lsecond(any->args);
	bool texts = any->opno == context->sealed_equal_text;
	const ProtectedColumn *column;

	if (!any->useOr || !(texts || any->opno == context->sealed_equal) ||
		contain_volatile_functions(array) || contain_subplans(array) ||
		(!texts && contain_var_clause(array)))
		return NULL;
	column = PlainlySearchable(context, sealed);
	if (!column)
		return NULL;
	return SealedAny(context, sealed, texts ? "search_values" : "search_sealed_values", array, column);
}

/* Replace the comparisons of a query's WHERE and ON clauses. */
static Node *
RewriteClauses(Node *node, SearchContext *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
		return node; /* a level of its own */
	if (IsA(node, OpExpr) && get_opcode(((OpExpr *) node)->opno) == F_TEXTEQ)
	{
		OpExpr *equality = (OpExpr *) node;
		Node *a = linitial(equality->args);
		Node *b = lsecond(equality->args);
		Node *added = SearchCondition(context, a, b);

		if (!added)
			added = SearchCondition(context, b, a);
		if (added)
			return (Node *) make_andclause(list_make2(node, added));
	}
	if (IsA(node, OpExpr))
	{
		Node *rewritten = RewriteSealedText(context, (OpExpr *) node);

		if (!rewritten)
			rewritten = RewriteSealedLiteral(context, (OpExpr *) node);
		if (rewritten)
			return rewritten;
	}
	if (IsA(node, ScalarArrayOpExpr))
	{
		Node *rewritten = RewriteRevealedAny(context, (ScalarArrayOpExpr *) node);

		if (!rewritten)
			rewritten = RewriteSealedAny(context, (ScalarArrayOpExpr *) node);
		if (rewritten)
			return rewritten;
	}
	return expression_tree_mutator(node, RewriteClauses, context);
}

/* Every query of the tree, the outer ones first. */
static bool
RewriteQueries(Node *node, SearchContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;

		context->query = query;
		if (query->jointree)
			query->jointree = (FromExpr *) RewriteClauses((Node *) query->jointree, context);
		return query_tree_walker(query, RewriteQueries, context, 0);
	}
	return expression_tree_walker(node, RewriteQueries, context);
}

/* The operator = between two types. */
static Oid
Equality(Oid left, Oid right)
{
	return OpernameGetOprid(list_make2(makeString("pg_catalog"), makeString("=")), left, right);
}

/* Hook: add the conditions, then plan. */
static PlannedStmt *
SearchPlanner(Query *query, const char *source, int options, ParamListInfo parameters)
{
	if (RegistryHasSearchable())
	{
		SearchContext context;

		context.sealed_type = PhiType("encrypted_text");
		context.sealed_equal = Equality(context.sealed_type, context.sealed_type);
		context.sealed_equal_text = Equality(context.sealed_type, TEXTOID);
		context.text_equal_sealed = Equality(TEXTOID, context.sealed_type);
		if (OidIsValid(context.sealed_equal))
			(void) RewriteQueries((Node *) query, &context);
	}
	if (PreviousPlanner)
		return PreviousPlanner(query, source, options, parameters);
	return standard_planner(query, source, options, parameters);
}

/*
 * Install the hook: before the guard's, which sees the conditions as the user's.
 */
void
SearchPlannerInit(void)
{
	PreviousPlanner = planner_hook;
	planner_hook = SearchPlanner;
}
