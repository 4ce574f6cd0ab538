/*-------------------------------------------------------------------------
 * store.c
 *		Recording consents: phi.grant_consent, phi.deny_consent,
 *		phi.revoke_consent.
 *
 * A consent is compiled when it is recorded; the columns beside the program
 * are its source, for people.  Each of the three writes an event to the audit
 * log, in the same transaction.  No message shows a subject.
 *-------------------------------------------------------------------------
 */
#include "consent/verdict.h"

#include "audit/audit.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "keyring/keyring.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "session/session.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

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

/* A consent to be recorded, in its parts. */
typedef struct NewConsent
{
	uint64 token;
	char *subject; /* canonical key text, in the database's encoding */
	phi_directive directive;
	phi_purpose purpose;
	uint64 actor;     /* reference */
	char *actor_text; /* "actor:<name>" or "role:<name>", or NULL */
} NewConsent;

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
ReadPurpose(FunctionCallInfo fcinfo, NewConsent *consent)
{
	text *code;

	if (PG_ARGISNULL(ARG_PURPOSE))
		return;
	code = PG_GETARG_TEXT_PP(ARG_PURPOSE);
	consent->purpose = phi_purpose_find(VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code));
	if (consent->purpose == PHI_PURPOSE_NONE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown purpose of use"),
						errhint("Purposes are HL7 codes such as TREAT, HPAYMT or HRESCH.")));
	consent->directive.purposes = &consent->purpose;
	consent->directive.purpose_count = 1;
}

/* The actor or workforce role; neither means everybody. */
static void
ReadActor(FunctionCallInfo fcinfo, NewConsent *consent)
{
	int argument = PG_ARGISNULL(ARG_ACTOR) ? ARG_ROLE : ARG_ACTOR;
	const char *prefix = argument == ARG_ACTOR ? "actor" : "role";
	char *name;

	if (!PG_ARGISNULL(ARG_ACTOR) && !PG_ARGISNULL(ARG_ROLE))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a consent names an actor or a workforce role, not both"),
						errhint("Record two consents.")));
	if (PG_ARGISNULL(argument))
		return;
	name = text_to_cstring(PG_GETARG_TEXT_PP(argument));
	if (name[0] == '\0' || strlen(name) >= SESSION_NAME_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the actor or workforce role of a consent must not be empty or longer "
						"than %d bytes",
						SESSION_NAME_SIZE - 1)));
	consent->actor = ActorReference(prefix, name);
	consent->actor_text = psprintf("%s:%s", prefix, name);
	consent->directive.actors = &consent->actor;
	consent->directive.actor_count = 1;
}

/* A time as microseconds since 1970; the infinities are the open ends. */
static int64
ProgramTime(TimestampTz time)
{
	int64 result;

	if (TIMESTAMP_IS_NOBEGIN(time))
		return PHI_TIME_MIN;
	if (TIMESTAMP_IS_NOEND(time) ||
		pg_add_s64_overflow(time, (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY,
							&result))
		return PHI_TIME_MAX;
	return result;
}

/* The period; an end that is not given is open. */
static void
ReadPeriod(FunctionCallInfo fcinfo, NewConsent *consent)
{
	phi_directive *directive = &consent->directive;

	directive->has_period = true;
	directive->from =
		PG_ARGISNULL(ARG_FROM) ? PHI_TIME_MIN : ProgramTime(PG_GETARG_TIMESTAMPTZ(ARG_FROM));
	directive->until =
		PG_ARGISNULL(ARG_UNTIL) ? PHI_TIME_MAX : ProgramTime(PG_GETARG_TIMESTAMPTZ(ARG_UNTIL));
	if (directive->from >= directive->until)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the period of a consent must begin before it ends")));
}

/* The compiled program as a bytea. */
static bytea *
CompileConsent(const NewConsent *consent)
{
	bytea *program = palloc(VARHDRSZ + PHI_DIRECTIVE_MAX);
	phi_buffer buffer = {(uint8 *) VARDATA(program), 0, PHI_DIRECTIVE_MAX};

	CheckStatus(phi_directive_compile(&consent->directive, &buffer), "compile a consent");
	SET_VARSIZE(program, VARHDRSZ + buffer.size);
	return program;
}

/* A text[] of one text, or null without one. */
static Datum
OneText(const char *element, char *null)
{
	Datum datum;

	if (!element)
	{
		*null = 'n';
		return (Datum) 0;
	}
	datum = CStringGetTextDatum(element);
	return PointerGetDatum(construct_array(&datum, 1, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Append the event of a change to the audit log. */
static void
AuditConsent(const char *detail, uint64 token, int64 id)
{
	AuditEvent event = {0};

	event.action = "consent";
	event.outcome = "success";
	event.relation = PhiRelation("consent");
	event.detail = detail;
	event.row_count = 1;
	event.subjects = &token;
	event.consent_id = id;
	AuditAppend(&event);
}

/* The plan that inserts a consent: kept, since many are recorded at a time. */
static SPIPlanPtr
InsertPlan(void)
{
	static SPIPlanPtr plan = NULL;
	static Oid types[9] = {INT8OID,      BYTEAOID,       TEXTOID,        TEXTOID, TEXTARRAYOID,
						   TEXTARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID};
	SPIPlanPtr fresh;

	if (plan)
		return plan;
	fresh =
		SPI_prepare("INSERT INTO phi.consent (subject_token, program, decision, subject, purposes, "
					"actors, valid_from, valid_until, created_by) "
					"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
					lengthof(types), types);
	if (!fresh || SPI_keepplan(fresh) != 0)
		elog(ERROR, "could not prepare the recording of a consent");
	plan = fresh;
	return plan;
}

/* Insert the row; the id it got. */
static int64
InsertConsent(FunctionCallInfo fcinfo, const NewConsent *consent, const char *decision)
{
	char nulls[] = "         ";
	Datum values[9];
	OwnerScope scope;
	int64 id;
	bool isnull;

	values[0] = Int64GetDatum((int64) consent->token);
	values[1] = PointerGetDatum(CompileConsent(consent));
	values[2] = CStringGetTextDatum(decision);
	values[3] = CStringGetTextDatum(consent->subject);
	values[4] =
		OneText(consent->directive.purpose_count > 0 ? phi_purpose_code(consent->purpose) : NULL,
				&nulls[4]);
	values[5] = OneText(consent->actor_text, &nulls[5]);
	for (int i = 0; i < 2; i++)
	{
		values[6 + i] = PG_GETARG_DATUM(ARG_FROM + i);
		nulls[6 + i] = PG_ARGISNULL(ARG_FROM + i) ? 'n' : ' ';
	}
	values[8] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));

	OwnerBegin(&scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_plan(InsertPlan(), values, nulls, false, 0) != SPI_OK_INSERT_RETURNING ||
		SPI_processed != 1)
		elog(ERROR, "could not record a consent");
	id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	OwnerEnd(&scope);
	return id;
}

/* Record a consent of either decision; its id. */
static Datum
RecordConsent(FunctionCallInfo fcinfo, phi_verdict base, const char *decision)
{
	NewConsent consent = {0};
	int64 id;

	RequirePreload();
	consent.directive.base = base;
	ReadSubject(fcinfo, &consent);
	ReadPurpose(fcinfo, &consent);
	ReadActor(fcinfo, &consent);
	ReadPeriod(fcinfo, &consent);
	id = InsertConsent(fcinfo, &consent, decision);
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
