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
#include "audit/audit.h"
#include "catalog/pg_type.h"
#include "consent/permitted.h"
#include "consent/relations.h"
#include "consent/share.h"
#include "keyring/keyring.h"
#include "session/session.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(phi_can_access);
PG_FUNCTION_INFO_V1(phi_may_create);

/* phi.open_purposes; explanations look at it as well. */
bool OpenPurposes = false;

/* The hook that was there before ours. */
static ExecutorRun_hook_type PreviousRun = NULL;

/*
 * What the session has to do with the subject: looked up only where it counts,
 * as the consent is.
 */
static void
GatherRelations(phi_decision_input *input, uint64 subject_token, RowFacts *facts)
{
	input->consent = PHI_VERDICT_NA;
	if (!input->identity || !input->purpose_stated || !input->role_rule)
		return;
	input->label_demands |= PurposeDemands(input->purpose);
	input->care_required = SessionNeedsCare();
	if (input->care_required)
		input->care_related = CareRelated(subject_token);
	if (phi_purpose_is_a(input->purpose, phi_purpose_patient_request()))
		input->is_subject_or_proxy = IsSubjectOrProxy(subject_token);
	if (phi_purpose_is_a(input->purpose, phi_purpose_break_glass()))
		input->glass_broken = GlassBroken(subject_token);
	input->consent = SubjectVerdict(subject_token, facts);
}

/* Gather the input, again if the session changed meanwhile. */
static void
GatherInput(phi_decision_input *input, uint64 subject_token, uint64 kinds, RowFacts *facts)
{
	uint64 generation;

	do
	{
		const SessionContext *session = SessionCurrent();

		generation = SessionGeneration();
		memset(input, 0, sizeof(*input));
		input->identity = session->identified;
		input->purpose_stated = session->purpose_stated;
		input->purpose = session->purpose;
		input->step_up_fresh = session->step_up_fresh;
		input->role_rule = RuleExists(kinds);
		input->label_demands = LabelDemands(&facts->row.labels);
		input->other_purposes_open = OpenPurposes;
		GatherRelations(input, subject_token, facts);
	} while (generation != SessionGeneration());
}

phi_decision
DecideRow(uint64 subject_token, uint64 kinds, RowFacts *facts)
{
	phi_decision_input input;

	GatherInput(&input, subject_token, kinds, facts);
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
	return DecideRow(subject_token, UINT64CONST(1) << column->kind, &facts);
}

void
NoteDisclosure(const ProtectedColumn *column, phi_form form, uint64 subject_token,
			   const phi_decision *decision, bool shown)
{
	DisclosureGround ground = {.reason = decision->reason};

	if (decision->reason == PHI_REASON_BREAK_GLASS)
		ground.break_glass_id = GlassInForce(subject_token);
	DisclosureNote(column, form, subject_token, &ground, shown);
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
		DecideRow(SubjectToken(PG_GETARG_DATUM(0), type), UINT64_MAX, &facts).permit);
}

/*
 * phi.may_create(relation, subject, labels): may the session insert this row
 * though it has no care relationship with the subject?  It may where the row
 * is the subject's first, which is so where the subject column alone is the
 * primary key, and where nothing but the relationship is missing.
 */
Datum
phi_may_create(PG_FUNCTION_ARGS)
{
	const ProtectedRelation *relation;
	phi_decision_input input;
	phi_labels labels = {0};
	RowFacts facts = {0};
	Oid type;

	RequirePreload();
	type = SubjectArgumentType(fcinfo, 1);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	relation = RegistryRelation(PG_GETARG_OID(0));
	if (!relation || relation->key_count != 1 || relation->keys[0] != relation->subject)
		PG_RETURN_BOOL(false);
	if (!PG_ARGISNULL(2))
		labels = LabelsOfArray(PG_GETARG_DATUM(2));
	FactsOfLabels(&facts, &relation->description, &labels);
	facts.row.class_reference = ClassReference(relation->description.resource_type);
	GatherInput(&input, SubjectToken(PG_GETARG_DATUM(1), type), relation->kinds, &facts);
	input.care_related = true;
	PG_RETURN_BOOL(phi_decide(&input).permit);
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

/*
 * Relcache callback of the whole folder: PostgreSQL has room for few.  What
 * decides beside the consents voids the verdicts too, and with them the map of
 * decisions.
 */
static void
PolicyInvalidated(Datum arg, Oid relid)
{
	bool rules = RulesInvalidate(relid);
	bool relations = RelationsInvalidate(relid);
	bool step_up = StepUpInvalidate(relid);

	LabelsInvalidate(relid);
	VerdictsInvalidate(rules || relations || step_up ? InvalidOid : relid);
}

void
ConsentInit(void)
{
	DefineCustomBoolVariable(
		"phi.open_purposes",
		"Permit purposes other than treatment, payment and operations where no "
		"consent applies.",
		NULL, &OpenPurposes, false, PGC_SUSET, 0, NULL, AssignOpenPurposes, NULL);
	GlassInit();
	VerdictInit();
	DirectivesInit();
	ImportInit();
	ShareInit();
	OnRelationChange(PolicyInvalidated);
	PreviousRun = ExecutorRun_hook;
	ExecutorRun_hook = RunWithCurrentPolicy;
	PlannerInit();
}
