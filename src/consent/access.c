/*-------------------------------------------------------------------------
 * access.c
 *		The decision about a subject, and the start of each statement.
 *
 * phi_decide() decides; what is here gathers its input.
 *
 * Messages that revoke something are read when a statement starts to run, each
 * time, because a transaction that already holds its locks would not look.
 *-------------------------------------------------------------------------
 */
#include "consent/verdict.h"

#include "access/parallel.h"
#include "catalog/pg_type.h"
#include "consent/permitted.h"
#include "consent/share.h"
#include "keyring/keyring.h"
#include "session/session.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(phi_can_access);

/* phi.open_purposes */
static bool OpenPurposes = false;

/* The hook that was there before ours. */
static ExecutorRun_hook_type PreviousRun = NULL;

/*
 * Gather the input and decide.  The consent of a subject matters only to an
 * identified session with a purpose and a rule; it is not looked up otherwise.
 * The input is gathered again if the session changed meanwhile.
 */
phi_decision
DecideRow(uint64 subject_token, uint64 kinds, RowFacts *facts, int64 *directive)
{
	phi_decision_input input = {0};
	uint64 generation;

	do
	{
		const SessionContext *session = SessionCurrent();

		generation = SessionGeneration();
		input.identity = session->identified;
		input.purpose_stated = session->purpose_stated;
		input.purpose = session->purpose;
		input.role_rule = RuleExists(kinds);
		input.label_demands = phi_label_demands(&facts->row.labels);
		input.other_purposes_open = OpenPurposes;
		input.consent = PHI_VERDICT_NA;
		if (input.identity && input.purpose_stated && input.role_rule)
			input.consent =
				directive ? ReadVerdict(subject_token, facts, directive) : SubjectVerdict(subject_token, facts);
	} while (generation != SessionGeneration());
	return phi_decide(&input);
}

bool
DefaultPermits(void)
{
	const SessionContext *session = SessionCurrent();
	phi_decision_input input = {0};

	input.identity = session->identified;
	input.purpose_stated = session->purpose_stated;
	input.purpose = session->purpose;
	input.role_rule = true;
	input.other_purposes_open = OpenPurposes;
	return phi_decide(&input).permit;
}

/* Add the labels of an array to others. */
static void
AddLabels(phi_labels *labels, const NullableDatum *array)
{
	phi_labels more;

	if (array->isnull)
		return;
	more = LabelsOfArray(array->value);
	labels->rank = Max(labels->rank, more.rank);
	labels->sensitivities |= more.sensitivities;
}

phi_decision
DecideAccess(uint64 subject_token, uint16 label_set, const ProtectedColumn *column,
			 const RowAttributes *attributes)
{
	const ProtectedRelation *relation =
		OidIsValid(column->relation) ? RegistryRelation(column->relation) : NULL;
	phi_labels labels = LabelSetLabels(label_set);
	RowFacts facts = {0};

	if (attributes)
		AddLabels(&labels, &attributes->fcinfo->args[attributes->first - 1]);
	FactsOfLabels(&facts, relation ? &relation->description : NULL, &labels);
	/* Of a table that is gone, nobody can tell what its rows without labels counted as. */
	if (!relation && label_set == 0)
		facts.row.labels_known = false;
	if (relation)
		facts.row.class_reference = ClassReference(relation->description.resource_type);
	facts.attributes = attributes;
	return DecideRow(subject_token, UINT64CONST(1) << column->kind, &facts, NULL);
}

void
CheckSubjectType(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case UUIDOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case UNKNOWNOID:
			return;
		default:
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("a subject is an integer, a uuid or a text"),
							errhint("Cast it to the type of the subject column.")));
	}
}

Oid
SubjectArgumentType(FunctionCallInfo fcinfo, int argument)
{
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, argument);

	if (OidIsValid(type))
		type = getBaseType(type);
	CheckSubjectType(type);
	return type;
}

/*
 * phi.can_access(subject, labels): would the session see anything of subject
 * at all, given a rule for at least one kind?
 */
Datum
phi_can_access(PG_FUNCTION_ARGS)
{
	RowFacts facts = {0};
	phi_labels labels = {0};
	Oid type;

	RequirePreload();
	type = SubjectArgumentType(fcinfo, 0);
	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	if (!PG_ARGISNULL(1))
		labels = LabelsOfArray(PG_GETARG_DATUM(1));
	FactsOfLabels(&facts, NULL, &labels);
	PG_RETURN_BOOL(
		DecideRow(SubjectToken(PG_GETARG_DATUM(0), type), UINT64_MAX, &facts, NULL).permit);
}

/*
 * Read what other sessions committed before this run of a statement, a fetch
 * from a cursor included.  Costs a look at shared memory when there is nothing.
 */
static void
RunWithCurrentPolicy(EXECUTOR_RUN_ARGS)
{
	DecisionTick++;
	if (!IsParallelWorker())
	{
		AcceptInvalidationMessages();
		ShareRowDecisions(desc->plannedstmt);
	}
	if (PreviousRun)
		PreviousRun(EXECUTOR_RUN_FORWARD);
	else
		standard_ExecutorRun(EXECUTOR_RUN_FORWARD);
	PermittedRenewPlans();
}

/* Assign hook of phi.open_purposes: decisions made under the other value are void. */
static void
AssignOpenPurposes(bool newval, void *extra)
{
	VerdictsInvalidate(InvalidOid);
}

/* Relcache callback of the whole folder: PostgreSQL has room for few. */
static void
PolicyInvalidated(Datum arg, Oid relid)
{
	LabelsInvalidate(relid);
	RulesInvalidate(relid);
	VerdictsInvalidate(relid);
}

void
ConsentInit(void)
{
	DefineCustomBoolVariable(
		"phi.open_purposes",
		"Permit purposes other than treatment, payment and operations where no "
		"consent applies.",
		NULL, &OpenPurposes, false, PGC_SUSET, 0, NULL, AssignOpenPurposes, NULL);
	VerdictInit();
	DirectivesInit();
	ImportInit();
	ShareInit();
	CacheRegisterRelcacheCallback(PolicyInvalidated, (Datum) 0);
	PreviousRun = ExecutorRun_hook;
	ExecutorRun_hook = RunWithCurrentPolicy;
	PlannerInit();
}
