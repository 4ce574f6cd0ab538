/*-------------------------------------------------------------------------
 * simulate.c
 *		phi.simulate(): what somebody would be allowed, without being that
 *		person.
 *
 * Neither the session nor its caches take part, and no value is opened.  The
 * groups and organizations that are on record for the actor count beside those
 * that are given.  A simulation tells what the consents of a subject say, so
 * it leaves an event, whatever becomes of the transaction.
 *-------------------------------------------------------------------------
 */
#include "consent/situation.h"

#include "access/xact.h"
#include "audit/audit.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "keyring/keyring.h"
#include "session/membership.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(phi_simulate);
PG_FUNCTION_INFO_V1(phi_simulate_forms);

/* Arguments of phi.simulate, by position. */
enum SimulateArgument
{
	ARG_ACTOR,
	ARG_ROLES,
	ARG_PURPOSE,
	ARG_SUBJECT,
	ARG_RELATION,
	ARG_LABELS,
	ARG_ORGANIZATION,
	ARG_GROUPS,
	ARG_STEP_UP,
	ARG_AT
};

/* A name argument; empty for null. */
static void
ReadName(FunctionCallInfo fcinfo, int argument, char name[SESSION_NAME_SIZE])
{
	name[0] = '\0';
	if (PG_ARGISNULL(argument))
		return;
	if (VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(argument)) >= SESSION_NAME_SIZE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a name must not be longer than %d bytes", SESSION_NAME_SIZE - 1)));
	text_to_cstring_buffer(PG_GETARG_TEXT_PP(argument), name, SESSION_NAME_SIZE);
}

/* A text[] argument as names, none for null. */
static int
ReadNames(FunctionCallInfo fcinfo, int argument, char (*names)[SESSION_NAME_SIZE], int room)
{
	Datum *elements;
	bool *nulls;
	int count;

	if (PG_ARGISNULL(argument))
		return 0;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &count);
	if (count > room)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("too many names"),
						errdetail("The limit is %d.", room)));
	for (int i = 0; i < count; i++)
	{
		if (nulls[i] || VARSIZE_ANY_EXHDR(DatumGetTextPP(elements[i])) >= SESSION_NAME_SIZE)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("a name must not be null or longer than %d bytes",
								   SESSION_NAME_SIZE - 1)));
		text_to_cstring_buffer(DatumGetTextPP(elements[i]), names[i], SESSION_NAME_SIZE);
	}
	return count;
}

/* The purpose argument; it must be given. */
static phi_purpose
ReadPurpose(FunctionCallInfo fcinfo, int argument)
{
	text *code = PG_ARGISNULL(argument) ? NULL : PG_GETARG_TEXT_PP(argument);
	phi_purpose purpose = PHI_PURPOSE_NONE;

	if (code)
		purpose = phi_purpose_find(VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code));
	if (purpose == PHI_PURPOSE_NONE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown purpose of use"),
						errhint("Purposes are HL7 codes such as TREAT, HPAYMT or HRESCH.")));
	return purpose;
}

/* The references that the actor would stand for, in the order of SessionReferences(). */
static void
ReadAsker(FunctionCallInfo fcinfo, Situation *situation, const char *actor)
{
	char groups[SESSION_MAX_GROUPS][SESSION_NAME_SIZE];
	int group_count = ReadNames(fcinfo, ARG_GROUPS, groups, SESSION_MAX_GROUPS);
	char organization[SESSION_NAME_SIZE];
	uint64 *references = situation->asker.references;
	Memberships memberships;
	int count = 0;

	situation->asker.at =
		PG_ARGISNULL(ARG_AT) ? GetCurrentStatementStartTimestamp() : PG_GETARG_TIMESTAMPTZ(ARG_AT);
	if (TIMESTAMP_NOT_FINITE(situation->asker.at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the time must be finite")));
	ReadName(fcinfo, ARG_ORGANIZATION, organization);
	MembershipsRead(actor, organization, situation->asker.at, &memberships);
	references[count++] = ActorReference("actor", actor);
	for (int i = 0; i < situation->role_count; i++)
		references[count++] = ActorReference("role", situation->roles[i]);
	count += MembershipReferences(&memberships, references + count);
	for (int i = 0; i < group_count; i++)
		references[count++] = ActorReference("group", groups[i]);
	situation->asker.reference_count = count;
}

/* Leave the event of a simulation. */
static void
AuditSimulation(const Situation *situation, const char *actor)
{
	uint64 token = situation->subject_token;
	AuditEvent event = {0};

	event.action = "simulate";
	event.outcome = "success";
	event.relation = situation->relation;
	event.detail = psprintf("actor %s for %s", actor, phi_purpose_code(situation->purpose));
	event.row_count = 1;
	event.subjects = &token;
	AuditRecordDurably(&event);
}

/*
 * phi.simulate(actor, workforce_roles, purpose, subject, relation, labels,
 * organization, groups, step_up, at): the row that phi.explain_access() would
 * give to such a session.
 */
Datum
phi_simulate(PG_FUNCTION_ARGS)
{
	Situation situation = {0};
	char actor[SESSION_NAME_SIZE];

	RequirePreload();
	ReadName(fcinfo, ARG_ACTOR, actor);
	if (actor[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the actor must not be empty")));
	situation.identified = situation.purpose_stated = true;
	situation.purpose = ReadPurpose(fcinfo, ARG_PURPOSE);
	situation.role_count = ReadNames(fcinfo, ARG_ROLES, situation.roles, SESSION_MAX_ROLES);
	(void) SubjectKeyOfArgument(fcinfo, ARG_SUBJECT, &situation.subject_token);
	SituationOfRelation(&situation, fcinfo, ARG_RELATION);
	SituationOfLabels(&situation, fcinfo, ARG_LABELS);
	ReadAsker(fcinfo, &situation, actor);
	situation.step_up_fresh = !PG_ARGISNULL(ARG_STEP_UP) && PG_GETARG_BOOL(ARG_STEP_UP);
	AuditSimulation(&situation, actor);
	PG_RETURN_DATUM(ExplainSituation(&situation, fcinfo));
}

/* Append one row of column (or null), kind and form. */
static void
PutForm(ReturnSetInfo *result, const NameData *column, phi_kind kind, phi_form form)
{
	Datum values[3] = {(Datum) 0, CStringGetTextDatum(phi_kind_name(kind)),
					   CStringGetTextDatum(phi_form_name(form))};
	bool nulls[3] = {column == NULL, false, false};

	if (column)
		values[0] = NameGetDatum(column);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * phi.simulate_forms(workforce_roles, purpose, relation): the form of each
 * encrypted column of the relation, or without one of each kind that there is
 * a rule for.
 */
Datum
phi_simulate_forms(PG_FUNCTION_ARGS)
{
	Situation situation = {0};
	const ProtectedRelation *relation;
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	RoleRules rules;

	RequirePreload();
	InitMaterializedSRF(fcinfo, 0);
	situation.role_count = ReadNames(fcinfo, 0, situation.roles, SESSION_MAX_ROLES);
	situation.purpose = ReadPurpose(fcinfo, 1);
	SituationOfRelation(&situation, fcinfo, 2);
	ReadRoleRules(situation.roles, situation.role_count, situation.purpose, &rules);
	relation = OidIsValid(situation.relation) ? RegistryRelation(situation.relation) : NULL;
	for (int i = 0; relation && i < relation->column_count; i++)
		PutForm(result, &relation->columns[i].name, relation->columns[i].kind,
				rules.forms[relation->columns[i].kind]);
	for (int kind = 0; !relation && kind < PHI_KIND_COUNT; kind++)
		if (rules.kinds & (UINT64CONST(1) << kind))
			PutForm(result, NULL, (phi_kind) kind, rules.forms[kind]);
	return (Datum) 0;
}
