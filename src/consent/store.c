/*-------------------------------------------------------------------------
 * store.c
 *		Recording consents: phi.grant_consent, phi.deny_consent,
 *		phi.revoke_consent.
 *
 * A consent is compiled when it is recorded; source is what it was compiled
 * from, as FHIR.  Each of the three writes an event to the audit
 * log, in the same transaction.  No message shows a subject.
 *-------------------------------------------------------------------------
 */
#include "consent/verdict.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "consent/store.h"
#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "keyring/keyring.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "session/session.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* From PostgreSQL's epoch back to 1970, in microseconds. */
#define UNIX_TO_POSTGRES ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

PG_FUNCTION_INFO_V1(phi_grant_consent);
PG_FUNCTION_INFO_V1(phi_deny_consent);
PG_FUNCTION_INFO_V1(phi_revoke_consent);

/* Arguments of phi.grant_consent and phi.deny_consent, by position. */
enum ConsentArgument
{
	ARG_SUBJECT,
	ARG_PURPOSE,
	ARG_ACTOR,
	ARG_ROLE,
	ARG_FROM,
	ARG_UNTIL
};

/* The subject argument: its token and canonical text. */
static void
ReadSubject(FunctionCallInfo fcinfo, NewConsent *consent)
{
	Oid type = SubjectArgumentType(fcinfo, ARG_SUBJECT);
	StringInfoData key;

	if (PG_ARGISNULL(ARG_SUBJECT))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the subject must not be null")));
	initStringInfo(&key);
	KeyTextAppend(&key, PG_GETARG_DATUM(ARG_SUBJECT), type);
	consent->token = SubjectTokenOfText(key.data, key.len);
	consent->subject = pg_any_to_server(key.data, key.len, PG_UTF8);
}

/* The purpose argument; none means every purpose. */
static void
ReadPurpose(FunctionCallInfo fcinfo, FhirProvision *root)
{
	FhirCoding *purpose;

	if (PG_ARGISNULL(ARG_PURPOSE))
		return;
	purpose = palloc0(sizeof(FhirCoding));
	purpose->code = text_to_cstring(PG_GETARG_TEXT_PP(ARG_PURPOSE));
	if (phi_purpose_find(purpose->code, strlen(purpose->code)) == PHI_PURPOSE_NONE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown purpose of use"),
						errhint("Purposes are HL7 codes such as TREAT, HPAYMT or HRESCH.")));
	root->purposes = list_make1(purpose);
}

/* The actor or workforce role; neither means everybody. */
static void
ReadActor(FunctionCallInfo fcinfo, FhirProvision *root)
{
	int argument = PG_ARGISNULL(ARG_ACTOR) ? ARG_ROLE : ARG_ACTOR;
	FhirActor *actor;

	if (!PG_ARGISNULL(ARG_ACTOR) && !PG_ARGISNULL(ARG_ROLE))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a consent names an actor or a workforce role, not both"),
						errhint("Record two consents.")));
	if (PG_ARGISNULL(argument))
		return;
	actor = palloc(sizeof(FhirActor));
	actor->prefix = argument == ARG_ACTOR ? "actor" : "role";
	actor->name = text_to_cstring(PG_GETARG_TEXT_PP(argument));
	if (actor->name[0] == '\0' || strlen(actor->name) >= SESSION_NAME_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the actor or workforce role of a consent must not be empty or longer "
						"than %d bytes",
						SESSION_NAME_SIZE - 1)));
	root->actors = list_make1(actor);
}

/* A time as microseconds since 1970; the infinities are the open ends. */
static int64
ProgramTime(TimestampTz time)
{
	int64 result;

	if (TIMESTAMP_IS_NOBEGIN(time))
		return PHI_TIME_MIN;
	if (TIMESTAMP_IS_NOEND(time) || pg_add_s64_overflow(time, UNIX_TO_POSTGRES, &result))
		return PHI_TIME_MAX;
	return result;
}

/* The period; an end that is not given is open. */
static void
ReadPeriod(FunctionCallInfo fcinfo, FhirPeriod *period)
{
	period->present = true;
	period->from =
		PG_ARGISNULL(ARG_FROM) ? PHI_TIME_MIN : ProgramTime(PG_GETARG_TIMESTAMPTZ(ARG_FROM));
	period->until =
		PG_ARGISNULL(ARG_UNTIL) ? PHI_TIME_MAX : ProgramTime(PG_GETARG_TIMESTAMPTZ(ARG_UNTIL));
	if (period->from >= period->until)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the period of a consent must begin before it ends")));
}

/* Record a consent of either decision; its id. */
static Datum
RecordConsent(FunctionCallInfo fcinfo, phi_verdict base, const char *decision)
{
	NewConsent consent = {.status = "active", .decision = base};
	FhirConsent given = {.root.effect = base};
	int64 id;

	RequirePreload();
	ReadSubject(fcinfo, &consent);
	ReadPurpose(fcinfo, &given.root);
	ReadActor(fcinfo, &given.root);
	ReadPeriod(fcinfo, &given.root.period);
	consent.program = FhirCompile(&given.root);
	consent.source = FhirWrite(&given, 4);
	if (!consent.program || !consent.source)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the period of a consent must lie within the years 1 to 9999")));
	id = InsertConsent(&consent);
	AuditConsent(decision, consent.token, id);
	return Int64GetDatum(id);
}

/*
 * phi.grant_consent(subject, purpose, actor, workforce_role, valid_from,
 * valid_until): record that the subject permits; returns the consent's id.
 */
Datum
phi_grant_consent(PG_FUNCTION_ARGS)
{
	return RecordConsent(fcinfo, PHI_VERDICT_PERMIT, "permit");
}

/*
 * phi.deny_consent(...): the same for a denial, which outweighs any permission.
 */
Datum
phi_deny_consent(PG_FUNCTION_ARGS)
{
	return RecordConsent(fcinfo, PHI_VERDICT_DENY, "deny");
}

/* Mark an active consent as revoked; the token of its subject, 0 when there is none. */
static uint64
MarkRevoked(int64 id)
{
	Oid types[2] = {INT8OID, TEXTOID};
	Datum values[2];
	OwnerScope scope;
	uint64 token = 0;
	bool isnull;

	values[0] = Int64GetDatum(id);
	values[1] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	OwnerBegin(&scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("UPDATE phi.consent SET status = 'revoked', "
							  "revoked_at = pg_catalog.now(), revoked_by = $2 "
							  "WHERE id OPERATOR(pg_catalog.=) $1 "
							  "AND status OPERATOR(pg_catalog.=) 'active' RETURNING subject_token",
							  2, types, values, NULL, false, 0) != SPI_OK_UPDATE_RETURNING)
		elog(ERROR, "could not revoke a consent");
	if (SPI_processed == 1)
		token = (uint64) DatumGetInt64(
			SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	OwnerEnd(&scope);
	return token;
}

/*
 * phi.revoke_consent(id): the consent, permission or denial, is void from the
 * next statement of every session.
 */
Datum
phi_revoke_consent(PG_FUNCTION_ARGS)
{
	int64 id = PG_GETARG_INT64(0);
	uint64 token;

	RequirePreload();
	token = MarkRevoked(id);
	if (token == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("there is no active consent with id " INT64_FORMAT, id)));
	AuditConsent("revoke", token, id);
	PG_RETURN_VOID();
}
