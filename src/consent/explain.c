/*-------------------------------------------------------------------------
 * explain.c
 *		phi.explain_access(): the decision in words, with what is behind it.
 *
 * The same decision as the row predicate's, but read from the tables, not from
 * the caches.  The words name roles, purposes, tables and the ids of what
 * decided, never a subject.
 *-------------------------------------------------------------------------
 */
#include "consent/situation.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "keyring/keyring.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(phi_explain_access);

/* Append the workforce roles of a situation. */
static void
AppendRoles(StringInfo text, const Situation *situation)
{
	if (situation->role_count == 0)
		appendStringInfoString(text, "somebody without a workforce role");
	else
		appendStringInfoString(text,
							   situation->role_count == 1 ? "workforce role" : "workforce roles");
	for (int i = 0; i < situation->role_count; i++)
		appendStringInfo(text, "%s \"%s\"", i > 0 ? "," : "", situation->roles[i]);
}

/* No rule for what was asked for. */
static void
ExplainMissingRule(StringInfo text, const Situation *situation)
{
	char *name = OidIsValid(situation->relation) ? get_rel_name(situation->relation) : NULL;

	appendStringInfoString(text, "No rule gives ");
	AppendRoles(text, situation);
	if (name)
		appendStringInfo(text, " any kind of data of table \"%s\"", name);
	else
		appendStringInfoString(text, " any kind of data");
	appendStringInfo(text, " for purpose %s.", phi_purpose_code(situation->purpose));
}

/* A care relationship that is missing. */
static void
ExplainMissingCare(StringInfo text, const Situation *situation, const Finding *finding)
{
	appendStringInfo(text,
					 "Workforce role \"%s\" needs a care relationship for purpose %s; neither the "
					 "actor nor a group or organization of it has one with the subject.",
					 finding->rules.care_role, phi_purpose_code(situation->purpose));
	if (finding->glass != 0)
		appendStringInfo(text,
						 " The labels keep broken glass " INT64_FORMAT " from opening the row.",
						 finding->glass);
}

/* A step-up that would help. */
static void
ExplainStepUp(StringInfo text, const Situation *situation, const Finding *finding)
{
	if (finding->purpose_demands & PHI_LABEL_STEP_UP)
		appendStringInfo(text, "Purpose %s requires a fresh step-up",
						 phi_purpose_code(situation->purpose));
	else
		appendStringInfoString(text, "The labels of the row require a fresh step-up");
	appendStringInfoString(text, ": a one-time code or a new token would go on from here.");
}

/* What stands for the reason, where more than its sentence is known. */
static void
ExplainReason(StringInfo text, const Situation *situation, const Finding *finding)
{
	const char *purpose = phi_purpose_code(situation->purpose);

	switch (finding->decision.reason)
	{
		case PHI_REASON_NO_ROLE_RULE:
			ExplainMissingRule(text, situation);
			break;
		case PHI_REASON_NO_CARE_RELATIONSHIP:
			ExplainMissingCare(text, situation, finding);
			break;
		case PHI_REASON_STEP_UP_REQUIRED:
			ExplainStepUp(text, situation, finding);
			break;
		case PHI_REASON_SUBJECT_REQUEST:
			if (finding->proxy != 0)
				appendStringInfo(text,
								 "The actor is a proxy of the subject (proxy " INT64_FORMAT ").",
								 finding->proxy);
			else
				appendStringInfoString(text, "The actor is the subject.");
			break;
		case PHI_REASON_BREAK_GLASS:
			appendStringInfo(text,
							 "The actor broke the glass for the subject (glass " INT64_FORMAT ").",
							 finding->glass);
			break;
		case PHI_REASON_CONSENT_DENIES:
			appendStringInfo(text, "Consent " INT64_FORMAT " of the subject denies purpose %s.",
							 finding->directive, purpose);
			break;
		case PHI_REASON_CONSENT_PERMITS:
			appendStringInfo(text, "Consent " INT64_FORMAT " of the subject permits purpose %s.",
							 finding->directive, purpose);
			break;
		case PHI_REASON_DEFAULT_PERMIT:
			appendStringInfo(text, "No consent applies; purpose %s is permitted by default.",
							 purpose);
			break;
		case PHI_REASON_DEFAULT_DENY:
			appendStringInfo(text, "No consent applies; purpose %s is denied by default.", purpose);
			break;
		default:
			appendStringInfoString(text, phi_reason_sentence(finding->decision.reason));
	}
	if (finding->decision.permit && finding->care != 0)
		appendStringInfo(text, " Workforce role \"%s\" has care relationship " INT64_FORMAT ".",
						 finding->rules.care_role, finding->care);
}

Datum
ExplainSituation(Situation *situation, FunctionCallInfo fcinfo)
{
	StringInfoData text;
	Finding finding;
	TupleDesc desc;
	Datum values[4];
	bool nulls[4] = {false, false, false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	DecideSituation(situation, &finding);
	initStringInfo(&text);
	ExplainReason(&text, situation, &finding);
	values[0] = BoolGetDatum(finding.decision.permit);
	values[1] = CStringGetTextDatum(phi_reason_code(finding.decision.reason));
	values[2] = Int64GetDatum(finding.directive);
	nulls[2] = finding.directive == 0 || (finding.decision.reason != PHI_REASON_CONSENT_DENIES &&
										  finding.decision.reason != PHI_REASON_CONSENT_PERMITS);
	values[3] = CStringGetTextDatum(text.data);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* The session, as a situation. */
static void
SituationOfSession(Situation *situation)
{
	const SessionContext *session;

	SessionAsker(&situation->asker);
	session = SessionCurrent();
	situation->identified = session->identified;
	situation->purpose_stated = session->purpose_stated;
	situation->purpose = session->purpose;
	situation->step_up_fresh = session->step_up_fresh;
	situation->role_count = session->role_count;
	memcpy(situation->roles, session->roles, sizeof(situation->roles));
}

/*
 * phi.explain_access(subject, relation, labels, code, data_time, author,
 * encounter, reference): one row of permit, reason code, the id of the consent
 * that decided (null when none did), and the reason in words.
 */
Datum
phi_explain_access(PG_FUNCTION_ARGS)
{
	Situation situation = {0};
	RowAttributes attributes;

	RequirePreload();
	(void) SubjectKeyOfArgument(fcinfo, 0, &situation.subject_token);
	SituationOfRelation(&situation, fcinfo, 1);
	SituationOfLabels(&situation, fcinfo, 2);
	AttributesInit(&attributes, fcinfo, 3);
	if (situation.description)
		strlcpy(attributes.resource_type, situation.description->resource_type, RESOURCE_TYPE_SIZE);
	situation.facts.attributes = &attributes;
	SituationOfSession(&situation);
	PG_RETURN_DATUM(ExplainSituation(&situation, fcinfo));
}
