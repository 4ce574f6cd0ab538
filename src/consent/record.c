/*-------------------------------------------------------------------------
 * record.c
 *		Rows of phi.consent: inserting them with their sources, and which
 *		supersedes which.
 *-------------------------------------------------------------------------
 */
#include "consent/store.h"

#include "audit/audit.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* From PostgreSQL's epoch back to 1970, in microseconds. */
#define UNIX_TO_POSTGRES ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

void
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
	static Oid types[12] = {INT8OID, TEXTOID, BYTEAOID,       TEXTOID,        TEXTOID, JSONBOID,
							TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TEXTOID};
	SPIPlanPtr fresh;

	if (plan)
		return plan;
	fresh =
		SPI_prepare("WITH c AS (INSERT INTO phi.consent (subject_token, status, program, decision, "
					"subject, problem, fhir_id, dated_from, dated_until, lineage, created_by) "
					"VALUES ($1, $2, $3, $4, $5, $7, $8, $9, $10, $11, $12) RETURNING id) "
					"INSERT INTO phi.consent_source (consent, source) SELECT id, $6 FROM c "
					"RETURNING consent",
					lengthof(types), types);
	if (!fresh || SPI_keepplan(fresh) != 0)
		elog(ERROR, "could not prepare the recording of a consent");
	plan = fresh;
	return plan;
}

/* A text, or null without one. */
static Datum
OptionalText(const char *text, char *null)
{
	*null = text ? ' ' : 'n';
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

/* Microseconds since 1970 as a timestamptz. */
static Datum
StoredTime(int64 time)
{
	return TimestampTzGetDatum(time - UNIX_TO_POSTGRES);
}

int64
InsertConsent(const NewConsent *consent)
{
	char nulls[] = "            ";
	Datum values[12];
	OwnerScope scope;
	int64 id;
	bool isnull;

	values[0] = Int64GetDatum((int64) consent->token);
	values[1] = CStringGetTextDatum(consent->status);
	values[2] = PointerGetDatum(consent->program);
	nulls[2] = consent->program ? ' ' : 'n';
	values[3] = OptionalText(consent->decision == PHI_VERDICT_PERMIT ? "permit"
							 : consent->decision == PHI_VERDICT_DENY ? "deny"
																	 : NULL,
							 &nulls[3]);
	values[4] = CStringGetTextDatum(consent->subject);
	values[5] = JsonbPGetDatum(consent->source);
	values[6] = OptionalText(consent->problem, &nulls[6]);
	values[7] = OptionalText(consent->fhir_id, &nulls[7]);
	values[8] = StoredTime(consent->dated.from);
	values[9] = StoredTime(consent->dated.until);
	nulls[8] = nulls[9] = consent->dated.present ? ' ' : 'n';
	values[10] = Int64GetDatum((int64) consent->lineage);
	nulls[10] = consent->lineage != 0 ? ' ' : 'n';
	values[11] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));

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

/* Run one statement of SettleConsent. */
static void
Settle(const char *statement, int arguments, Datum *values)
{
	Oid types[3] = {INT8OID, INT8OID, TEXTOID};

	if (SPI_execute_with_args(statement, arguments, types, values, NULL, false, 0) < 0)
		elog(ERROR, "could not settle which consent supersedes which");
}

/*
 * A version of a resource replaces those recorded before.  Of a lineage, a
 * consent is superseded by one that was certainly given later and was ever in
 * force: one that was revoked since still counts, one entered in error does
 * not, nor does one that is unsupported.
 */
char *
SettleConsent(int64 id, const NewConsent *consent)
{
	Datum values[3] = {Int64GetDatum((int64) consent->token), Int64GetDatum(id), (Datum) 0};
	OwnerScope scope;
	MemoryContext caller = CurrentMemoryContext;
	char *status;

	OwnerBegin(&scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (consent->fhir_id)
	{
		values[2] = CStringGetTextDatum(consent->fhir_id);
		Settle("UPDATE phi.consent SET status = 'replaced' "
			   "WHERE subject_token OPERATOR(pg_catalog.=) $1 AND id OPERATOR(pg_catalog.<>) $2 "
			   "AND fhir_id OPERATOR(pg_catalog.=) $3 "
			   "AND status OPERATOR(pg_catalog.<>) 'replaced'",
			   3, values);
	}
	Settle("UPDATE phi.consent AS c SET status = s.status FROM ("
		   "SELECT o.id, CASE WHEN EXISTS (SELECT FROM phi.consent AS n "
		   "WHERE n.subject_token OPERATOR(pg_catalog.=) o.subject_token "
		   "AND n.lineage OPERATOR(pg_catalog.=) o.lineage AND n.program IS NOT NULL "
		   "AND n.status OPERATOR(pg_catalog.=) ANY (ARRAY['active', 'superseded', 'revoked', "
		   "'inactive']) AND n.dated_from OPERATOR(pg_catalog.>=) o.dated_until) "
		   "THEN 'superseded' ELSE 'active' END AS status FROM phi.consent AS o "
		   "WHERE o.subject_token OPERATOR(pg_catalog.=) $1 AND o.lineage IS NOT NULL "
		   "AND o.status OPERATOR(pg_catalog.=) ANY (ARRAY['active', 'superseded'])) AS s "
		   "WHERE s.id OPERATOR(pg_catalog.=) c.id "
		   "AND s.status OPERATOR(pg_catalog.<>) c.status",
		   1, values);
	Settle("SELECT status FROM phi.consent WHERE $1 IS NOT NULL AND id OPERATOR(pg_catalog.=) $2",
		   2, values);
	status =
		MemoryContextStrdup(caller, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	OwnerEnd(&scope);
	return status;
}
