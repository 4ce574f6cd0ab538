/*-------------------------------------------------------------------------
 * situation.c
 *		Gathering and deciding a situation from the tables.
 *
 * Nothing is cached, nothing of the session is looked at: whoever describes
 * the situation has said all of it.
 *-------------------------------------------------------------------------
 */
#include "consent/situation.h"

#include "catalog/pg_type.h"
#include "utils/lsyscache.h"

/* Between the epochs of PostgreSQL's timestamps and of programs, in microseconds. */
#define EPOCH_DISTANCE ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* What the consents of the subject say. */
static phi_verdict
SituationVerdict(Situation *situation, int64 *directive)
{
	phi_consent_request request = {
		.now = situation->asker.at + EPOCH_DISTANCE,
		.actors = situation->asker.references,
		.actor_count = situation->asker.reference_count,
		.purpose = situation->purpose,
		.action = PHI_ACTION_ACCESS,
		.row = &situation->facts.row,
	};

	FactsGather(&situation->facts, PHI_DEPENDS_CODES | PHI_DEPENDS_TIME | PHI_DEPENDS_DATA);
	return CombineConsents(PhiRelation("consent"), situation->subject_token, &request, directive);
}

/* Is there a relation of this kind? */
static bool
Related(const Situation *situation, RelationKind kind, int64 *id)
{
	TimestampTz until = DT_NOEND;

	return RelationRead(kind, &situation->asker, situation->subject_token, &until, id);
}

/* The part of the input that is about the subject. */
static void
GatherSubject(Situation *situation, phi_decision_input *input, Finding *finding)
{
	if (input->care_required)
		input->care_related = Related(situation, RELATION_CARE, &finding->care);
	if (phi_purpose_is_a(situation->purpose, phi_purpose_patient_request()))
		input->is_subject_or_proxy = Related(situation, RELATION_SELF, &finding->self) ||
									 Related(situation, RELATION_PROXY, &finding->proxy);
	if (phi_purpose_is_a(situation->purpose, phi_purpose_break_glass()))
		input->glass_broken = Related(situation, RELATION_GLASS, &finding->glass);
	input->consent = SituationVerdict(situation, &finding->directive);
}

void
DecideSituation(Situation *situation, Finding *finding)
{
	phi_decision_input input = {0};

	memset(finding, 0, sizeof(Finding));
	input.identity = situation->identified;
	input.purpose_stated = situation->purpose_stated;
	input.purpose = situation->purpose;
	input.step_up_fresh = situation->step_up_fresh;
	input.other_purposes_open = OpenPurposes;
	input.consent = PHI_VERDICT_NA;
	if (situation->identified && situation->purpose_stated)
	{
		ReadRoleRules(situation->roles, situation->role_count, situation->purpose, &finding->rules);
		finding->label_demands = LabelDemands(&situation->facts.row.labels);
		finding->purpose_demands = PurposeDemands(situation->purpose);
		input.role_rule = (finding->rules.kinds & situation->kinds) != 0;
		input.care_required = finding->rules.care_required;
		input.label_demands = finding->label_demands | finding->purpose_demands;
		if (input.role_rule)
			GatherSubject(situation, &input, finding);
	}
	finding->decision = phi_decide(&input);
}

void
SituationOfRelation(Situation *situation, FunctionCallInfo fcinfo, int argument)
{
	const ProtectedRelation *protected;
	char *name;

	situation->kinds = UINT64_MAX;
	if (PG_ARGISNULL(argument))
		return;
	situation->relation = PG_GETARG_OID(argument);
	protected = RegistryRelation(situation->relation);
	name = get_rel_name(situation->relation);
	if (!protected)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("relation \"%s\" is not protected", name ? name : "?")));
	situation->kinds = protected->kinds;
	situation->description = &protected->description;
	situation->facts.row.class_reference = ClassReference(protected->description.resource_type);
}

void
SituationOfLabels(Situation *situation, FunctionCallInfo fcinfo, int argument)
{
	phi_labels labels = {0};

	if (!PG_ARGISNULL(argument))
		labels = LabelsOfArray(PG_GETARG_DATUM(argument));
	FactsOfLabels(&situation->facts, situation->description, &labels);
}
