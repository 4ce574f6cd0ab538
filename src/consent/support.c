/*-------------------------------------------------------------------------
 * support.c
 *		What the planner is told of the row predicate.
 *
 * How many rows it lets pass: by what the session's decisions are at the moment,
 * where they are at hand; they may be others when the plan runs, and the plan is
 * right then too.  What it costs.  And that, where the session sees only the
 * subjects of a list, an index of the subject column finds their rows
 * (permitted.c); the predicate is checked on each of them.
 *
 * Nothing is read for planning that is not in memory, but for the rules of the
 * session's roles.
 *-------------------------------------------------------------------------
 */
#include "consent/permitted.h"

#include <math.h>

#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

PG_FUNCTION_INFO_V1(phi_row_access_support);

/* Rows that pass where nothing is at hand: most by default, few where a consent has to permit. */
#define UNKNOWN_OPEN   0.95
#define UNKNOWN_CLOSED 0.1

/* A list of subjects is offered up to this part of the table's subjects, and up to this length. */
#define LIST_PART 0.1
#define LIST_MAX  100000

/* Finding one subject in an index, in units of cpu_operator_cost. */
#define SEARCH_OPERATIONS 60

/* How many subjects the argument of a call has. */
static double
SubjectCount(PlannerInfo *root, Node *subject)
{
	VariableStatData variable;
	double count;
	bool isdefault;

	examine_variable(root, subject, 0, &variable);
	count = get_variable_numdistinct(&variable, &isdefault);
	if (isdefault && variable.rel)
		count = Max(count, variable.rel->tuples);
	ReleaseVariableStats(variable);
	return Max(count, 1.0);
}

/* How far the subjects of the table stand in their order, squared: 0 where that is not known. */
static double
SquaredCorrelation(PlannerInfo *root, Node *subject)
{
	VariableStatData variable;
	AttStatsSlot slot;
	double correlation = 0;

	examine_variable(root, subject, 0, &variable);
	if (HeapTupleIsValid(variable.statsTuple) &&
		get_attstatsslot(&slot, variable.statsTuple, STATISTIC_KIND_CORRELATION, InvalidOid,
						 ATTSTATSSLOT_NUMBERS))
	{
		correlation = slot.nnumbers == 1 ? slot.numbers[0] : 0;
		free_attstatsslot(&slot);
	}
	ReleaseVariableStats(variable);
	return correlation * correlation;
}

/* The pages of rows that an index finds, read as cost_index() in PostgreSQL reckons it. */
static double
PagesCost(PlannerInfo *root, const RelOptInfo *rel, double rows, double squared_correlation)
{
	double part = Min(rows / Max(rel->tuples, 1.0), 1.0);
	double most = random_page_cost *
				  index_pages_fetched(rows, rel->pages, (double) rel->pages, root);
	double least = ceil(part * rel->pages) * seq_page_cost;

	return most + squared_correlation * (least - most);
}

/* The part of the rows that the predicate lets pass. */
static Node *
AnswerSelectivity(SupportRequestSelectivity *request)
{
	double denied;
	double permitted;
	double part;

	if (request->is_join || list_length(request->args) < 2)
		return NULL;
	if (SessionRuleKinds() == 0)
		part = 0;
	else if (!VerdictsAtHand(&denied, &permitted))
		part = DefaultPermits() ? UNKNOWN_OPEN : UNKNOWN_CLOSED;
	else if (DefaultPermits())
		part = 1 - denied / SubjectCount(request->root, lsecond(request->args));
	else
		part = permitted / SubjectCount(request->root, lsecond(request->args));
	request->selectivity = Min(Max(part, 0.0), 1.0);
	return (Node *) request;
}

/* The relation of the query that a list of subjects is for, or NULL. */
static RelOptInfo *
ListedRelation(PlannerInfo *root, Oid relid)
{
	if (!root || !root->simple_rel_array)
		return NULL;
	for (int i = 1; i < root->simple_rel_array_size; i++)
		if (root->simple_rel_array[i] && root->simple_rte_array[i]->relid == relid)
			return root->simple_rel_array[i];
	return NULL;
}

/*
 * The list of subjects, as costly as looking them up in the index is: the
 * planner takes it for ten of them.
 */
static Node *
AnswerListCost(SupportRequestCost *request)
{
	FuncExpr *call = (FuncExpr *) request->node;
	const Const *table = call ? linitial(call->args) : NULL;
	RelOptInfo *rel;
	const ProtectedRelation *relation;
	double count = PermittedCount();
	double rows;
	Node *subject;

	if (count < 0 || !table || !IsA(table, Const))
		return NULL;
	rel = ListedRelation(request->root, DatumGetObjectId(table->constvalue));
	relation = RegistryRelation(DatumGetObjectId(table->constvalue));
	if (!rel || !relation)
		return NULL;
	subject = (Node *) makeVar(rel->relid, relation->subject, relation->subject_type, -1,
							   get_typcollation(relation->subject_type), 0);
	rows = rel->tuples * count / SubjectCount(request->root, subject);
	request->startup = 0;
	request->per_tuple = count * SEARCH_OPERATIONS * cpu_operator_cost +
						 rows * (cpu_index_tuple_cost + cpu_tuple_cost) +
						 PagesCost(request->root, rel, rows, SquaredCorrelation(request->root, subject));
	return (Node *) request;
}

/* A predicate that asks for labels or attributes looks at more than a subject. */
static Node *
AnswerCost(SupportRequestCost *request)
{
	FuncExpr *call = (FuncExpr *) request->node;

	if (request->funcid == PhiFunction("permitted_subjects", 3))
		return AnswerListCost(request);
	if (!call || !IsA(call, FuncExpr) || list_length(call->args) < 3)
		return NULL;
	request->startup = 0;
	request->per_tuple = cpu_operator_cost;
	if (list_length(call->args) > 3 || !IsA(lthird(call->args), Const))
		request->per_tuple *= 8;
	return (Node *) request;
}

/*
 * Is the subject column compared with something by the query itself?  Then the
 * list would only be looked through in vain for each value.
 */
static bool
IsComparedElsewhere(const RelOptInfo *rel, AttrNumber subject, const Node *predicate)
{
	ListCell *cell;

	if (rel->joininfo != NIL || rel->has_eclass_joins)
		return true;
	foreach (cell, rel->baserestrictinfo)
	{
		RestrictInfo *restriction = lfirst(cell);
		Bitmapset *columns = NULL;

		if ((Node *) restriction->clause == predicate)
			continue;
		pull_varattnos((Node *) restriction->clause, rel->relid, &columns);
		if (bms_is_member(subject - FirstLowInvalidHeapAttributeNumber, columns))
			return true;
	}
	return false;
}

/* subject = ANY (phi.permitted_subjects(relation, NULL, mark)). */
static Node *
ListCondition(const SupportRequestIndexCondition *request, Var *subject, Oid equality, Oid element)
{
	RangeTblEntry *rte = planner_rt_fetch(request->index->rel->relid, request->root);
	Oid collation = request->index->indexcollations[request->indexcol];
	Oid array_type = get_array_type(element);
	Node *column = (Node *) copyObject(subject);
	ScalarArrayOpExpr *condition = makeNode(ScalarArrayOpExpr);
	List *arguments = list_make3(
		makeConst(REGCLASSOID, -1, InvalidOid, sizeof(Oid), ObjectIdGetDatum(rte->relid), false, true),
		makeNullConst(element, -1, get_typcollation(element)),
		makeConst(PhiType("planner_mark"), -1, InvalidOid, sizeof(int32), Int32GetDatum(1), false, true));

	if (subject->vartype != element)
		column = (Node *) makeRelabelType((Expr *) column, element, -1, subject->varcollid,
										  COERCE_IMPLICIT_CAST);
	condition->opno = equality;
	condition->opfuncid = get_opcode(equality);
	condition->useOr = true;
	condition->inputcollid = collation;
	condition->args =
		list_make2(column, makeFuncExpr(PhiFunction("permitted_subjects", 3), array_type, arguments,
										get_typcollation(array_type), InvalidOid, COERCE_EXPLICIT_CALL));
	condition->location = -1;
	return (Node *) condition;
}

/* The rows of the subjects that the session may see, by an index of the subject column. */
static Node *
AnswerIndexCondition(SupportRequestIndexCondition *request)
{
	FuncExpr *call = (FuncExpr *) request->node;
	const RelOptInfo *rel = request->index->rel;
	double count;
	Oid element;
	Oid equality;
	Var *subject;

	if (request->indexarg != 1 || !IsA(call, FuncExpr) || request->index->relam != BTREE_AM_OID)
		return NULL;
	subject = lsecond(call->args);
	if (!IsA(subject, Var))
		return NULL;
	element = SubjectListElement(subject->vartype);
	equality = OidIsValid(element) ? get_opfamily_member(request->opfamily, element, element,
														 BTEqualStrategyNumber)
								   : InvalidOid;
	if (!OidIsValid(equality))
		return NULL;
	count = PermittedCount();
	if (count < 0 || count > LIST_MAX ||
		count > SubjectCount(request->root, (Node *) subject) * LIST_PART ||
		!RoleMayExecute(PhiFunction("permitted_subjects", 3), GetUserId()) ||
		IsComparedElsewhere(rel, subject->varattno, (Node *) call))
		return NULL;
	PermittedNotePlan();
	request->lossy = true;
	return (Node *) list_make1(ListCondition(request, subject, equality, element));
}

/*
 * Planner support of phi.row_access() and phi.permitted_subjects().
 */
Datum
phi_row_access_support(PG_FUNCTION_ARGS)
{
	Node *request = (Node *) PG_GETARG_POINTER(0);
	Node *answer = NULL;

	if (IsA(request, SupportRequestSelectivity))
		answer = AnswerSelectivity((SupportRequestSelectivity *) request);
	else if (IsA(request, SupportRequestCost))
		answer = AnswerCost((SupportRequestCost *) request);
	else if (IsA(request, SupportRequestIndexCondition))
		answer = AnswerIndexCondition((SupportRequestIndexCondition *) request);
	PG_RETURN_POINTER(answer);
}
