/*-------------------------------------------------------------------------
 * event.c
 *		Building rows of phi_audit.event, and appending one within the current
 *		transaction.
 *
 * Who and where come from the session and the connection, what from the
 * caller.  subjects, row_keys and row_digests have one element a row, in the
 * same order.  An event that the worker is to write is the same row without
 * its number, transaction and salt, as a tuple (EventRecord).
 *
 * Memory: a row is built in the current context; that of AuditAppend is reset
 * afterwards.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "audit/change.h"
#include "audit/checkpoint.h"
#include "audit/denial.h"
#include "audit/reads.h"
#include "audit/worker.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "session/session.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/xid8.h"

#define SALT_SIZE 16

PG_FUNCTION_INFO_V1(phi_audit_record);
PG_FUNCTION_INFO_V1(phi_audit_record_read);

/* Scratch of one row of AuditAppend; made at first use. */
static MemoryContext RowContext = NULL;

/* The columns of phi_audit.event as a tuple has them; made at first use, in a transaction. */
static TupleDesc Shape = NULL;

/* The client's address as inet; it never changes in a process. */
static Datum ClientAddress = (Datum) 0;
static bool ClientAddressKnown = false;

/* ---- building an event ---- */

/* Fill one column. */
static void
SetColumn(EventRow *row, EventColumn column, Datum value)
{
	row->values[column] = value;
	row->isnull[column] = false;
}

void
EventSetText(EventRow *row, EventColumn column, const char *text)
{
	if (text != NULL && text[0] != '\0')
		SetColumn(row, column, CStringGetTextDatum(text));
}

void
EventSetTexts(EventRow *row, EventColumn column, const char *const *texts, int count)
{
	Datum *elements = palloc(sizeof(Datum) * Max(count, 1));
	int i;

	for (i = 0; i < count; i++)
		elements[i] = CStringGetTextDatum(texts[i]);
	SetColumn(row, column,
			  PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT)));
}

/* Fill a bytea column. */
static void
SetBytes(EventRow *row, EventColumn column, const uint8 *bytes, Size size)
{
	bytea *value = palloc(VARHDRSZ + size);

	SET_VARSIZE(value, VARHDRSZ + size);
	memcpy(VARDATA(value), bytes, size);
	SetColumn(row, column, PointerGetDatum(value));
}

/* Who acts, by the session or the subscription, and as which database roles. */
static void
SetWho(EventRow *row, const SessionContext *session)
{
	Oid outer = GetOuterUserId();
	Oid login = GetSessionUserId();
	const char *subscription = ApplyingSubscription();
	const char *roles[SESSION_MAX_ROLES];
	int i;

	EventSetText(row, EVENT_DB_ROLE, GetUserNameFromId(login, true));
	if (outer != login)
		EventSetText(row, EVENT_CURRENT_ROLE, GetUserNameFromId(outer, true));
	if (subscription != NULL)
	{
		EventSetText(row, EVENT_ACTOR, psprintf("subscription %s", subscription));
		return;
	}
	if (!session->identified)
		return;
	EventSetText(row, EVENT_ACTOR, session->actor);
	EventSetText(row, EVENT_ORGANIZATION, session->organization);
	if (session->source == SESSION_TOKEN)
		EventSetText(row, EVENT_TOKEN_ID, session->token_id);
	else if (session->serial != 0)
		EventSetText(row, EVENT_TOKEN_ID, psprintf(UINT64_FORMAT, session->serial));
	if (session->purpose_stated)
		EventSetText(row, EVENT_PURPOSE, phi_purpose_code(session->purpose));
	for (i = 0; i < session->role_count; i++)
		roles[i] = session->roles[i];
	if (session->role_count > 0)
		EventSetTexts(row, EVENT_WORKFORCE_ROLES, roles, session->role_count);
}

/* Append one value of a composite key as record output does: in quotes where it needs them. */
static void
AppendKeyPart(StringInfo text, const char *value)
{
	bool quoted = value[0] == '\0' || strpbrk(value, "\"\\(), \t\n\r\v\f") != NULL;

	if (quoted)
		appendStringInfoChar(text, '"');
	for (; *value != '\0'; value++)
	{
		if (*value == '"' || *value == '\\')
			appendStringInfoChar(text, *value);
		appendStringInfoChar(text, *value);
	}
	if (quoted)
		appendStringInfoChar(text, '"');
}

char *
AuditRowKey(const char *const *parts, int count)
{
	StringInfoData text;
	int i;

	if (count == 1 && parts[0] != NULL)
		return pstrdup(parts[0]);
	initStringInfo(&text);
	for (i = 0; i < count; i++)
	{
		appendStringInfoChar(&text, i == 0 ? '(' : ',');
		if (parts[i] != NULL)
			AppendKeyPart(&text, parts[i]);
	}
	appendStringInfoChar(&text, ')');
	return text.data;
}

/* What was done to which rows. */
static void
SetWhat(EventRow *row, const AuditEvent *event)
{
	EventSetText(row, EVENT_ACTION, event->action);
	EventSetText(row, EVENT_OUTCOME, event->outcome != NULL ? event->outcome : "success");
	EventSetText(row, EVENT_REASON, event->reason);
	EventSetText(row, EVENT_DETAIL, event->detail);
	if (OidIsValid(event->relation))
	{
		SetColumn(row, EVENT_RELATION_OID, ObjectIdGetDatum(event->relation));
		EventSetText(row, EVENT_RELATION, LogRelationName(event->relation));
	}
	if (event->consent_id != 0)
		SetColumn(row, EVENT_CONSENT_ID, Int64GetDatum(event->consent_id));
	if (event->break_glass_id != 0)
		SetColumn(row, EVENT_BREAK_GLASS_ID, Int64GetDatum(event->break_glass_id));
	if (event->columns != NULL)
		EventSetTexts(row, EVENT_COLUMN_NAMES, event->columns, event->column_count);
}

/* The rows themselves: subject, key, digest and image of each. */
static void
SetRows(EventRow *row, const AuditEvent *event)
{
	int i;

	if (event->row_count > 0)
		SetColumn(row, EVENT_ROW_COUNT, Int32GetDatum(event->row_count));
	if (event->subjects != NULL)
	{
		Datum *tokens = palloc(sizeof(Datum) * Max(event->row_count, 1));

		for (i = 0; i < event->row_count; i++)
			tokens[i] = UInt64GetDatum(event->subjects[i]);
		SetColumn(row, EVENT_SUBJECTS,
				  PointerGetDatum(construct_array(tokens, event->row_count, INT8OID, sizeof(int64),
												  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)));
	}
	if (event->row_keys != NULL)
		EventSetTexts(row, EVENT_ROW_KEYS, (const char *const *) event->row_keys, event->row_count);
	if (event->digests != NULL)
		SetBytes(row, EVENT_ROW_DIGESTS, event->digests,
				 mul_size(event->row_count, PHI_SHA256_SIZE));
	if (event->images != NULL)
	{
		SetBytes(row, EVENT_SALT, event->salt, SALT_SIZE);
		SetColumn(row, EVENT_IMAGES, PointerGetDatum(event->images));
	}
}

/* The client's address, as inet_client_addr() gives it; NULL on a local socket. */
static void
SetWhere(EventRow *row)
{
	LOCAL_FCINFO(fcinfo, 0);
	Datum address;

	EventSetText(row, EVENT_APPLICATION_NAME, application_name);
	if (!ClientAddressKnown)
	{
		InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
		address = inet_client_addr(fcinfo);
		if (!fcinfo->isnull)
		{
			MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

			ClientAddress = datumCopy(address, false, -1);
			MemoryContextSwitchTo(old);
		}
		ClientAddressKnown = true;
	}
	if (ClientAddress != (Datum) 0)
		SetColumn(row, EVENT_CLIENT_ADDRESS, ClientAddress);
}

/*
 * The next number.  In the transaction that made the sequence nothing of it is
 * in WAL with wal_level = minimal, and what it has in reserve would be given
 * out again after a crash: none is left in reserve.
 */
static int64
NextEventId(const AuditLog *log)
{
	int64 id = nextval_internal(log->sequence, false);

	if (unlikely(RelationIsOurs(log->sequence)))
	{
		OwnerScope scope;

		OwnerBegin(&scope);
		(void) DirectFunctionCall2(setval_oid, ObjectIdGetDatum(log->sequence), Int64GetDatum(id));
		OwnerEnd(&scope);
	}
	return id;
}

void
EventNumber(EventRow *row, const AuditLog *log)
{
	uint8 salt[SALT_SIZE];

	if (row->isnull[EVENT_SALT])
	{
		RandomBytes(salt, sizeof(salt));
		SetBytes(row, EVENT_SALT, salt, sizeof(salt));
	}
	SetColumn(row, EVENT_ID, Int64GetDatum(NextEventId(log)));
	SetColumn(row, EVENT_TXID, FullTransactionIdGetDatum(GetTopFullTransactionId()));
}

void
EventBegin(EventRow *row, TimestampTz now)
{
	memset(row->values, 0, sizeof(row->values));
	memset(row->isnull, true, sizeof(row->isnull));
	SetColumn(row, EVENT_RECORDED_AT, TimestampTzGetDatum(now));
	SetColumn(row, EVENT_TRANSACTION_TIME,
			  TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()));
	SetWho(row, SessionCurrent());
	SetWhere(row);
}

void
EventFill(EventRow *row, const AuditEvent *event)
{
	SetWhat(row, event);
	SetRows(row, event);
}

/* ---- an event as a tuple ---- */

TupleDesc
EventShape(void)
{
	static const struct
	{
		EventColumn first;
		EventColumn last;
		Oid type;
	} types[] = {
		{EVENT_ID, EVENT_ID, INT8OID},
		{EVENT_RECORDED_AT, EVENT_TRANSACTION_TIME, TIMESTAMPTZOID},
		{EVENT_TXID, EVENT_TXID, XID8OID},
		{EVENT_ACTOR, EVENT_CURRENT_ROLE, TEXTOID},
		{EVENT_WORKFORCE_ROLES, EVENT_WORKFORCE_ROLES, TEXTARRAYOID},
		{EVENT_ORGANIZATION, EVENT_PURPOSE, TEXTOID},
		{EVENT_CONSENT_ID, EVENT_CONSENT_ID, INT8OID},
		{EVENT_REASON, EVENT_REASON, TEXTOID},
		{EVENT_BREAK_GLASS_ID, EVENT_BREAK_GLASS_ID, INT8OID},
		{EVENT_ACTION, EVENT_RELATION, TEXTOID},
		{EVENT_RELATION_OID, EVENT_RELATION_OID, OIDOID},
		{EVENT_COLUMN_NAMES, EVENT_COLUMN_NAMES, TEXTARRAYOID},
		{EVENT_ROW_COUNT, EVENT_ROW_COUNT, INT4OID},
		{EVENT_SUBJECTS, EVENT_SUBJECTS, INT8ARRAYOID},
		{EVENT_ROW_KEYS, EVENT_ROW_KEYS, TEXTARRAYOID},
		{EVENT_ROW_DIGESTS, EVENT_ROW_DIGESTS, BYTEAOID},
		{EVENT_DETAIL, EVENT_DETAIL, TEXTOID},
		{EVENT_CLIENT_ADDRESS, EVENT_CLIENT_ADDRESS, INETOID},
		{EVENT_APPLICATION_NAME, EVENT_APPLICATION_NAME, TEXTOID},
		{EVENT_SALT, EVENT_IMAGES, BYTEAOID},
	};
	MemoryContext old;
	TupleDesc shape;
	int i;
	int column;

	if (Shape != NULL)
		return Shape;
	old = MemoryContextSwitchTo(TopMemoryContext);
	shape = CreateTemplateTupleDesc(EVENT_COLUMNS);
	for (i = 0; i < lengthof(types); i++)
	{
		for (column = types[i].first; column <= types[i].last; column++)
			TupleDescInitEntry(shape, column + 1, NULL, types[i].type, -1, 0);
	}
	MemoryContextSwitchTo(old);
	Shape = shape;
	return Shape;
}

MinimalTuple
EventRecord(const EventRow *row)
{
	return FormMinimalTuple(EventShape(), row->values, row->isnull);
}

void
EventFromRecord(EventRow *row, MinimalTuple record)
{
	HeapTupleData tuple;

	tuple.t_len = record->t_len + MINIMAL_TUPLE_OFFSET;
	tuple.t_data = (HeapTupleHeader) ((char *) record - MINIMAL_TUPLE_OFFSET);
	heap_deform_tuple(&tuple, EventShape(), row->values, row->isnull);
}

/* ---- within the current transaction ---- */

void
EventWriterOpen(LogWriter *writer, Oid partition, bool keep)
{
	LogWriterOpen(writer, partition, EVENT_COLUMNS, keep);
	CheckEventColumns(RelationGetDescr(writer->relation));
}

/*
 * Append an event within the current transaction: it exists if that commits.
 * Whatever may run other code (sessions, partitions) comes before the row is
 * begun, so that RowContext has one user at a time.
 */
void
AuditAppend(const AuditEvent *event)
{
	const AuditLog *log;
	TimestampTz now = GetCurrentTimestamp();
	Oid partition;
	EventRow row;
	LogWriter writer;
	MemoryContext old;

	RequirePreload();
	PreventCommandIfReadOnly("an audited command");
	PreventCommandIfParallelMode("an audited command");
	log = AuditLogRequire();
	partition = LogPartition(log, now);
	(void) SessionCurrent();

	if (RowContext == NULL)
		RowContext =
			AllocSetContextCreate(TopMemoryContext, "phi_guard audit row", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(RowContext);
	old = MemoryContextSwitchTo(RowContext);
	EventBegin(&row, now);
	EventFill(&row, event);
	EventNumber(&row, log);
	EventWriterOpen(&writer, partition, true);
	LogWriterAppend(&writer, row.values, row.isnull);
	LogWriterClose(&writer);
	MemoryContextSwitchTo(old);
	MemoryContextReset(RowContext);
	QueueExpectEvent();
}

/* The event that the arguments of phi.audit_record spell; *subject is room for its subject. */
static AuditEvent
EventOfArguments(FunctionCallInfo fcinfo, uint64 *subject)
{
	AuditEvent event = {0};

	if (PG_ARGISNULL(0))
		ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("the action of an audit event must not be null"));
	event.action = text_to_cstring(PG_GETARG_TEXT_PP(0));
	event.outcome = "success";
	if (!PG_ARGISNULL(1))
		event.relation = PG_GETARG_OID(1);
	if (!PG_ARGISNULL(2))
		event.detail = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (!PG_ARGISNULL(3))
	{
		*subject = (uint64) PG_GETARG_INT64(3);
		event.subjects = subject;
		event.row_count = 1;
	}
	if (!PG_ARGISNULL(4))
		event.consent_id = PG_GETARG_INT64(4);
	return event;
}

/*
 * phi.audit_record(action, relation, detail, subject_token, consent_id): an
 * event of an administrative function.
 */
Datum
phi_audit_record(PG_FUNCTION_ARGS)
{
	uint64 subject;
	AuditEvent event = EventOfArguments(fcinfo, &subject);

	AuditAppend(&event);
	PG_RETURN_VOID();
}

/*
 * phi.audit_record_read(the same): an event of what shows something, committed
 * when this returns, whatever becomes of the transaction.
 */
Datum
phi_audit_record_read(PG_FUNCTION_ARGS)
{
	uint64 subject;
	AuditEvent event = EventOfArguments(fcinfo, &subject);

	AuditRecordDurably(&event);
	PG_RETURN_VOID();
}

void
AuditInit(void)
{
	LogInit();
	QueueInit();
	WorkerInit();
	DurableInit();
	CheckpointInit();
	DisclosureInit();
	LoginAuditInit();
	DenialInit();
	ReadsInit();
}
