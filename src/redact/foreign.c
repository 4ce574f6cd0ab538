/*-------------------------------------------------------------------------
 * foreign.c
 *		Code in expressions that PostgreSQL runs in other people's queries.
 *
 * The expressions of policies and views run as whoever asks.  Those of a
 * protected table and of its redacted view must not be a way for its owner to
 * have code run in the query of somebody who may see more.  Trusted are the
 * functions of PostgreSQL, but for those that run the text of a query or set a
 * parameter, those of phi_guard, and those of superusers.
 *
 * Trees are read from the catalogs, or copied from the relation cache before
 * any catalog is looked at: the cache entry of a relation that is not locked
 * may be rebuilt during the walk.
 *-------------------------------------------------------------------------
 */
#include "redact/foreign.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(phi_policy_is_foreign);

/* What a walk carries. */
typedef struct CodeWalk
{
	bool revealing; /* may it call phi.reveal? */
	Oid table;      /* the only relation that it may read; 0: any, but look into it */
	List *seen;     /* OIDs of relations that were looked into */
} CodeWalk;

static bool RelationIsForeign(Oid relid, CodeWalk *walk);

/* The functions of schema phi that open values for a user. */
static const char *const Opening[] = {"reveal", "reveal_column", "reveal_as", "reveal_pseudonym"};

/* ---- functions and types ---- */

/* Is it the name of one of them? */
static bool
IsOpening(const char *name)
{
	int i;

	for (i = 0; i < lengthof(Opening); i++)
	{
		if (strcmp(name, Opening[i]) == 0)
			return true;
	}
	return false;
}

/* Does a function of PostgreSQL run the text of a query, or change a setting? */
static bool
RunsText(const char *name)
{
	return strstr(name, "_to_xml") != NULL || strcmp(name, "ts_stat") == 0 ||
		   strcmp(name, "ts_rewrite") == 0 || strcmp(name, "set_config") == 0;
}

/* Callback: may the function not be called? */
static bool
FunctionIsForeign(Oid function, void *context)
{
	const CodeWalk *walk = context;
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool foreign;

	if (!HeapTupleIsValid(tuple))
		return true;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	if (form->pronamespace == PhiSchema())
		foreign = !walk->revealing && IsOpening(NameStr(form->proname));
	else if (form->pronamespace == PG_CATALOG_NAMESPACE)
		foreign = RunsText(NameStr(form->proname));
	else
		foreign = !superuser_arg(form->proowner);
	ReleaseSysCache(tuple);
	return foreign;
}

/* Is it a domain of somebody's whose constraints run with the cast? */
static bool
DomainIsForeign(Oid type)
{
	HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	bool foreign;

	if (!HeapTupleIsValid(tuple))
		return true;
	foreign = !superuser_arg(((Form_pg_type) GETSTRUCT(tuple))->typowner);
	ReleaseSysCache(tuple);
	return foreign && DomainHasConstraints(type);
}

/* Does reading a value of the type from text run constraints of a domain inside it? */
static bool
InputIsForeign(Oid type)
{
	char kind = get_typtype(type);

	return kind == TYPTYPE_COMPOSITE || (kind == TYPTYPE_DOMAIN && DomainIsForeign(type));
}

/* ---- walking ---- */

/* Does any part of the tree run what may not be run? */
static bool
CodeIsForeign(Node *node, CodeWalk *walk)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, FunctionIsForeign, walk))
		return true;
	switch (nodeTag(node))
	{
		case T_CoerceToDomain:
			if (DomainIsForeign(((CoerceToDomain *) node)->resulttype))
				return true;
			break;
		case T_CoerceViaIO:
			if (InputIsForeign(((CoerceViaIO *) node)->resulttype))
				return true;
			break;
		case T_Query:
			return query_tree_walker((Query *) node, CodeIsForeign, walk, QTW_EXAMINE_RTES_BEFORE);
		case T_RangeTblEntry:
			return ((RangeTblEntry *) node)->rtekind == RTE_RELATION &&
				   RelationIsForeign(((RangeTblEntry *) node)->relid, walk);
		default:
			break;
	}
	return expression_tree_walker(node, CodeIsForeign, walk);
}

/* Copies of the actions of a relation's rules. */
static List *
RuleActions(Relation relation)
{
	List *actions = NIL;
	int i;

	for (i = 0; relation->rd_rules != NULL && i < relation->rd_rules->numLocks; i++)
	{
		actions = lappend(actions, copyObject(relation->rd_rules->rules[i]->qual));
		actions = list_concat(actions, copyObject(relation->rd_rules->rules[i]->actions));
	}
	return actions;
}

/* Would reading a relation run somebody's code: its rules, its policies? */
static bool
RelationIsForeign(Oid relid, CodeWalk *walk)
{
	Relation relation;
	List *actions;
	ListCell *cell;
	bool trusted;

	if (OidIsValid(walk->table))
		return relid != walk->table && !list_member_oid(walk->seen, relid);
	if (list_member_oid(walk->seen, relid))
		return false;
	walk->seen = lappend_oid(walk->seen, relid);
	relation = RelationIdGetRelation(relid);
	if (relation == NULL)
		return false;
	actions = RuleActions(relation);
	trusted = superuser_arg(relation->rd_rel->relowner);
	RelationClose(relation);
	if (trusted)
		return false;
	if (CodeIsForeign((Node *) actions, walk))
		return true;
	foreach (cell, PoliciesOf(relid))
	{
		const Policy *policy = lfirst(cell);

		if (CodeIsForeign(policy->qual, walk) || CodeIsForeign(policy->check, walk))
			return true;
	}
	return false;
}

bool
ViewIsForeign(Relation view, Oid table)
{
	CodeWalk walk = {.revealing = true, .table = table};
	List *actions = RuleActions(view);
	bool defaults = view->rd_att->constr != NULL && view->rd_att->constr->num_defval > 0;
	bool single = view->rd_rules != NULL && view->rd_rules->numLocks == 1;

	if (defaults || !single || RelationHasSecurityInvoker(view))
		return true;
	/* The view itself stands in its own range table, as OLD and NEW. */
	walk.seen = list_make1_oid(RelationGetRelid(view));
	return CodeIsForeign((Node *) actions, &walk);
}

/* ---- policies ---- */

/* An expression of a row of pg_policy. */
static Node *
PolicyExpression(HeapTuple tuple, AttrNumber column, TupleDesc descriptor)
{
	bool isnull;
	Datum source = heap_getattr(tuple, column, descriptor, &isnull);

	return isnull ? NULL : stringToNode(TextDatumGetCString(source));
}

/* Is the only role of a policy PUBLIC? */
static bool
ForPublic(Datum roles)
{
	ArrayType *array = DatumGetArrayTypeP(roles);

	return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) == 1 &&
		   *(Oid *) ARR_DATA_PTR(array) == ACL_ID_PUBLIC;
}

/* A row of pg_policy as a Policy. */
static Policy *
ReadPolicy(HeapTuple tuple, TupleDesc descriptor)
{
	Form_pg_policy form = (Form_pg_policy) GETSTRUCT(tuple);
	Policy *policy = palloc0(sizeof(Policy));
	bool isnull;

	policy->oid = form->oid;
	policy->name = pstrdup(NameStr(form->polname));
	policy->command = form->polcmd;
	policy->permissive = form->polpermissive;
	policy->for_all = ForPublic(heap_getattr(tuple, Anum_pg_policy_polroles, descriptor, &isnull));
	policy->qual = PolicyExpression(tuple, Anum_pg_policy_polqual, descriptor);
	policy->check = PolicyExpression(tuple, Anum_pg_policy_polwithcheck, descriptor);
	return policy;
}

/* Policies by one column of pg_policy, with an index of it. */
static List *
ReadPolicies(AttrNumber column, Oid index, Oid value)
{
	Relation catalog = table_open(PolicyRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	List *policies = NIL;

	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
	scan = systable_beginscan(catalog, index, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		policies = lappend(policies, ReadPolicy(tuple, RelationGetDescr(catalog)));
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return policies;
}

List *
PoliciesOf(Oid relid)
{
	return ReadPolicies(Anum_pg_policy_polrelid, PolicyPolrelidPolnameIndexId, relid);
}

bool
PolicyIsForeign(const Policy *policy)
{
	CodeWalk walk = {0};

	return CodeIsForeign(policy->qual, &walk) || CodeIsForeign(policy->check, &walk);
}

/*
 * phi.policy_is_foreign(policy oid): would the policy run phi.reveal or code
 * of a user?  False where there is no such policy.
 */
Datum
phi_policy_is_foreign(PG_FUNCTION_ARGS)
{
	List *policies = ReadPolicies(Anum_pg_policy_oid, PolicyOidIndexId, PG_GETARG_OID(0));

	PG_RETURN_BOOL(policies != NIL && PolicyIsForeign(linitial(policies)));
}

/* ---- phi.reveal in what is stored ---- */

/* Is it a kind of object whose expression runs in the statements of others? */
static bool
RunsUnasked(Oid catalog)
{
	return catalog == ConstraintRelationId || catalog == AttrDefaultRelationId ||
		   catalog == RelationRelationId || catalog == StatisticExtRelationId ||
		   catalog == TriggerRelationId || catalog == TypeRelationId;
}

/* Did this transaction make anything of the kind that depends on the function? */
static bool
HasNewDependant(Oid function)
{
	Relation catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;
	bool found = false;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(ProcedureRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(function));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 2, keys);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = RunsUnasked(((Form_pg_depend) GETSTRUCT(tuple))->classid) &&
				TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

bool
RevealIsStored(void)
{
	bool found = false;
	int i;
	int j;

	for (i = 0; i < lengthof(Opening) && !found; i++)
	{
		CatCList *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(Opening[i]));

		for (j = 0; j < list->n_members && !found; j++)
		{
			Form_pg_proc form = (Form_pg_proc) GETSTRUCT(&list->members[j]->tuple);

			found = form->pronamespace == PhiSchema() && HasNewDependant(form->oid);
		}
		ReleaseSysCacheList(list);
	}
	return found;
}
