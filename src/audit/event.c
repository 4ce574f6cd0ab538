/*-------------------------------------------------------------------------
 * event.c
 *		Appending to phi_audit.event, within the current transaction.
 *
 * A row goes straight to the partition of its month through heap insertion,
 * about a tenth of what the same INSERT costs.  Who and where come from the
 * session and the connection, what from the caller.  subjects, row_keys and
 * row_digests have one element a row, in the same order.
 *
 * Locking: RowExclusiveLock on the partition.  Partitions are made under
 * ShareUpdateExclusiveLock on phi_audit.event, which no writer conflicts
 * with; they are three months ahead, so a prepared transaction that made one
 * stands in nobody's way.
 * Memory: a row is built in a context of its own, reset afterwards; the OIDs
 * and the partition of the month are statics, forgotten on invalidation.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "audit/checkpoint.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "session/session.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/xid8.h"

#define SALT_SIZE    16
#define MONTHS_AHEAD 3 /* also in phi.audit_make_partitions() */

PG_FUNCTION_INFO_V1(phi_audit_install);
PG_FUNCTION_INFO_V1(phi_audit_record);

/* The tables' OIDs; valid while LogKnown. */
static AuditLog LogCache;
static bool LogKnown = false;

/* The partition that takes events recorded from MonthFrom on, before MonthUntil. */
static Oid MonthPartition = InvalidOid;
static TimestampTz MonthFrom;
static TimestampTz MonthUntil;

/* Scratch of one row; made at first use. */
static MemoryContext RowContext = NULL;

/* The client's address as inet; it never changes in a process. */
static Datum ClientAddress = (Datum) 0;
static bool ClientAddressKnown = false;

/* A row of phi_audit.event being built. */
typedef struct EventRow
{
	Datum values[EVENT_COLUMNS];
	bool isnull[EVENT_COLUMNS];
} EventRow;

/* ---- the tables ---- */

/* Relcache callback: forget the OIDs, and the partition, which an abort may have taken back. */
static void
ForgetRelation(Datum arg, Oid relation)
{
	if (!OidIsValid(relation) || relation == LogCache.event || relation == LogCache.leaf ||
		relation == LogCache.checkpoint || relation == LogCache.sequence ||
		relation == MonthPartition)
	{
		LogKnown = false;
		MonthPartition = InvalidOid;
	}
}

/* Syscache callback of pg_namespace: the schema was renamed, dropped or given away. */
static void
ForgetSchema(Datum arg, int cacheid, uint32 hashvalue)
{
	LogKnown = false;
	MonthPartition = InvalidOid;
}

/* A table of the log; where the event table is there, every other must be. */
static Oid
LogTable(Oid schema, const char *name)
{
	Oid relation = get_relname_relid(name, schema);

	if (!OidIsValid(relation))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("audit log is incomplete: relation \"%s.%s\" is missing", LOG_SCHEMA, name));
	return relation;
}

/* Refuse a log that somebody else prepared: its owner could read and alter it. */
static void
CheckOwner(Oid schema)
{
	HeapTuple tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	if (owner != ExtensionOwner() && !superuser_arg(owner))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("schema \"%s\" does not belong to the owner of phi_guard", LOG_SCHEMA),
				errhint("Drop or rename the schema, or give it and its tables to that role."));
}

const AuditLog *
AuditLogFind(void)
{
	Oid schema;

	if (LogKnown)
		return &LogCache;
	schema = get_namespace_oid(LOG_SCHEMA, true);
	if (!OidIsValid(schema) || !OidIsValid(get_relname_relid("event", schema)))
		return NULL;
	CheckOwner(schema);
	LogCache.schema = schema;
	LogCache.event = LogTable(schema, "event");
	LogCache.leaf = LogTable(schema, "leaf");
	LogCache.checkpoint = LogTable(schema, "checkpoint");
	LogCache.sequence = LogTable(schema, "event_id_seq");
	MonthPartition = InvalidOid;
	LogKnown = true;
	return &LogCache;
}

/* Raise in an extension's script: the tables would become its members, and go with it. */
static void
RefuseInScript(void)
{
	if (creating_extension)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot make tables of the audit log in an extension's script"),
				errhint("Run phi.audit_install() first."));
}

/*
 * Make the log, or complete one that was restored or survived a DROP
 * EXTENSION.  Two sessions take turns on the extension's lock.
 */
static void
InstallLog(void)
{
	RefuseInScript();
	LockDatabaseObject(ExtensionRelationId, get_extension_oid("phi_guard", false), 0,
					   ShareUpdateExclusiveLock);
	if (OidIsValid(get_namespace_oid(LOG_SCHEMA, true)))
		CheckOwner(get_namespace_oid(LOG_SCHEMA, true));
	GuardExempt("audit_make_log");
	GuardExempt("audit_make_partitions");
}

const AuditLog *
AuditLogRequire(void)
{
	const AuditLog *log = AuditLogFind();

	if (log == NULL)
	{
		InstallLog();
		log = AuditLogFind();
	}
	if (log == NULL)
		elog(ERROR, "audit log is missing after its installation");
	return log;
}

Datum
phi_audit_install(PG_FUNCTION_ARGS)
{
	RequirePreload();
	InstallLog();
	PG_RETURN_VOID();
}

/* ---- the partition of the month ---- */

/* Name of the partition for a time's month (UTC), and the bounds of that month. */
static void
MonthOf(TimestampTz when, char name[NAMEDATALEN], TimestampTz *from, TimestampTz *until)
{
	struct pg_tm tm;
	fsec_t fraction;

	if (timestamp2tm(when, NULL, &tm, &fraction, NULL, NULL) != 0)
		elog(ERROR, "timestamp out of range");
	snprintf(name, NAMEDATALEN, "event_y%04dm%02d", tm.tm_year, tm.tm_mon);
	tm.tm_mday = 1;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	if (tm2timestamp(&tm, 0, NULL, from) != 0)
		elog(ERROR, "timestamp out of range");
	tm.tm_year += tm.tm_mon / 12;
	tm.tm_mon = tm.tm_mon % 12 + 1;
	if (tm2timestamp(&tm, 0, NULL, until) != 0)
		elog(ERROR, "timestamp out of range");
}

void
AuditLogExtend(void)
{
	const AuditLog *log = AuditLogRequire();
	TimestampTz from;
	TimestampTz until = GetCurrentTimestamp();
	char name[NAMEDATALEN];
	bool missing = false;
	int i;

	for (i = 0; i <= MONTHS_AHEAD; i++)
	{
		MonthOf(until, name, &from, &until);
		missing = missing || !OidIsValid(get_relname_relid(name, log->schema));
	}
	if (!missing)
		return;
	RefuseInScript();
	LockRelationOid(log->event, ShareUpdateExclusiveLock);
	GuardExempt("audit_make_partitions");
}

/*
 * Make next month's partition while this month still has one, unless that
 * would wait for somebody, or fail: a table cannot be altered while a query of
 * this session reads it.
 */
static void
ExtendIfEasy(const AuditLog *log)
{
	Relation event;
	bool in_use;

	if (creating_extension || XactReadOnly ||
		!ConditionalLockRelationOid(log->event, ShareUpdateExclusiveLock))
		return;
	event = RelationIdGetRelation(log->event);
	in_use = !RelationIsValid(event) || event->rd_refcnt > 1;
	if (RelationIsValid(event))
		RelationClose(event);
	if (!in_use)
		GuardExempt("audit_make_partitions");
}

/* The partition that takes an event recorded at that time. */
static Oid
PartitionFor(const AuditLog *log, TimestampTz when)
{
	char name[NAMEDATALEN];
	char next_name[NAMEDATALEN];
	TimestampTz from;
	TimestampTz until;
	TimestampTz next_until;
	Oid partition;

	if (OidIsValid(MonthPartition) && when >= MonthFrom && when < MonthUntil)
		return MonthPartition;
	MonthOf(when, name, &from, &until);
	MonthOf(until, next_name, &until, &next_until);
	if (!OidIsValid(get_relname_relid(name, log->schema)))
		AuditLogExtend();
	else if (!OidIsValid(get_relname_relid(next_name, log->schema)))
		ExtendIfEasy(log);
	partition = get_relname_relid(name, log->schema);
	if (!OidIsValid(partition) || !get_rel_relispartition(partition) ||
		get_partition_parent(partition, false) != log->event)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("audit log has no partition \"%s\"", name),
				errhint("Attach it to phi_audit.event again."));
	MonthFrom = from;
	MonthUntil = until;
	MonthPartition = partition;
	return partition;
}

/* ---- writing a row of a table of the log ---- */

void
LogWriterOpen(LogWriter *writer, Oid relation, int columns)
{
	int i;

	writer->relation = table_open(relation, RowExclusiveLock);
	if (RelationGetNumberOfAttributes(writer->relation) != columns ||
		writer->relation->rd_tableam != GetHeapamTableAmRoutine())
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("audit table \"%s\" is not as phi_guard made it",
					   RelationGetRelationName(writer->relation)));
	writer->indexes = CatalogOpenIndexes(writer->relation);
	for (i = 0; i < writer->indexes->ri_NumIndices; i++)
	{
		IndexInfo *index = writer->indexes->ri_IndexRelationInfo[i];

		/* What heap insertion does not evaluate. */
		if (index->ii_Expressions != NIL || index->ii_Predicate != NIL ||
			index->ii_ExclusionOps != NULL)
			ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("audit table \"%s\" has an expression, partial or exclusion index",
						   RelationGetRelationName(writer->relation)),
					errhint("Drop the index."));
	}
}

void
LogWriterAppend(LogWriter *writer, const Datum *values, const bool *isnull)
{
	HeapTuple tuple =
		heap_form_tuple(RelationGetDescr(writer->relation), (Datum *) values, (bool *) isnull);

	CatalogTupleInsertWithInfo(writer->relation, tuple, writer->indexes);
	heap_freetuple(tuple);
}

void
LogWriterClose(LogWriter *writer)
{
	CatalogCloseIndexes(writer->indexes);
	table_close(writer->relation, NoLock);
}

/* ---- building an event ---- */

/* Fill one column. */
static void
SetColumn(EventRow *row, EventColumn column, Datum value)
{
	row->values[column] = value;
	row->isnull[column] = false;
}

/* Fill one text column; NULL and the empty text leave it NULL. */
static void
SetText(EventRow *row, EventColumn column, const char *text)
{
	if (text != NULL && text[0] != '\0')
		SetColumn(row, column, CStringGetTextDatum(text));
}

/* Fill one text[] column from count strings. */
static void
SetTexts(EventRow *row, EventColumn column, const char *const *texts, int count)
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

/* Who acts, by the session, and as which database roles. */
static void
SetWho(EventRow *row, const SessionContext *session)
{
	Oid outer = GetOuterUserId();
	Oid login = GetSessionUserId();
	const char *roles[SESSION_MAX_ROLES];
	int i;

	SetText(row, EVENT_DB_ROLE, GetUserNameFromId(login, true));
	if (outer != login)
		SetText(row, EVENT_CURRENT_ROLE, GetUserNameFromId(outer, true));
	if (!session->identified)
		return;
	SetText(row, EVENT_ACTOR, session->actor);
	SetText(row, EVENT_ORGANIZATION, session->organization);
	if (session->source == SESSION_TOKEN)
		SetText(row, EVENT_TOKEN_ID, session->token_id);
	else if (session->serial != 0)
		SetText(row, EVENT_TOKEN_ID, psprintf(UINT64_FORMAT, session->serial));
	if (session->purpose_stated)
		SetText(row, EVENT_PURPOSE, phi_purpose_code(session->purpose));
	for (i = 0; i < session->role_count; i++)
		roles[i] = session->roles[i];
	if (session->role_count > 0)
		SetTexts(row, EVENT_WORKFORCE_ROLES, roles, session->role_count);
}

/* What was done to which rows. */
static void
SetWhat(EventRow *row, const AuditEvent *event)
{
	SetText(row, EVENT_ACTION, event->action);
	SetText(row, EVENT_OUTCOME, event->outcome != NULL ? event->outcome : "success");
	SetText(row, EVENT_REASON, event->reason);
	SetText(row, EVENT_DETAIL, event->detail);
	if (OidIsValid(event->relation))
	{
		char *name = get_rel_name(event->relation);

		SetColumn(row, EVENT_RELATION_OID, ObjectIdGetDatum(event->relation));
		if (name != NULL)
			SetText(row, EVENT_RELATION,
					quote_qualified_identifier(
						get_namespace_name(get_rel_namespace(event->relation)), name));
	}
	if (event->consent_id != 0)
		SetColumn(row, EVENT_CONSENT_ID, Int64GetDatum(event->consent_id));
	if (event->columns != NULL)
		SetTexts(row, EVENT_COLUMN_NAMES, event->columns, event->column_count);
}

/* The rows themselves: subject, key and digest of each. */
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
		SetTexts(row, EVENT_ROW_KEYS, (const char *const *) event->row_keys, event->row_count);
	if (event->digests != NULL)
		SetBytes(row, EVENT_ROW_DIGESTS, event->digests,
				 mul_size(event->row_count, PHI_SHA256_SIZE));
}

/* The client's address, as inet_client_addr() gives it; NULL on a local socket. */
static void
SetWhere(EventRow *row)
{
	LOCAL_FCINFO(fcinfo, 0);
	Datum address;

	SetText(row, EVENT_APPLICATION_NAME, application_name);
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

/* When, in which transaction, under which number and salt. */
static void
SetWhen(EventRow *row, const AuditLog *log, TimestampTz now)
{
	uint8 salt[SALT_SIZE];

	RandomBytes(salt, sizeof(salt));
	SetColumn(row, EVENT_ID, Int64GetDatum(nextval_internal(log->sequence, false)));
	SetColumn(row, EVENT_RECORDED_AT, TimestampTzGetDatum(now));
	SetColumn(row, EVENT_TRANSACTION_TIME,
			  TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()));
	SetColumn(row, EVENT_TXID, FullTransactionIdGetDatum(GetTopFullTransactionId()));
	SetBytes(row, EVENT_SALT, salt, sizeof(salt));
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
	const SessionContext *session;
	TimestampTz now = GetCurrentTimestamp();
	Oid partition;
	EventRow row;
	LogWriter writer;
	MemoryContext old;

	RequirePreload();
	PreventCommandIfReadOnly("an audited command");
	PreventCommandIfParallelMode("an audited command");
	log = AuditLogRequire();
	partition = PartitionFor(log, now);
	session = SessionCurrent();

	if (RowContext == NULL)
		RowContext =
			AllocSetContextCreate(TopMemoryContext, "phi_guard audit row", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(RowContext);
	old = MemoryContextSwitchTo(RowContext);
	memset(row.values, 0, sizeof(row.values));
	memset(row.isnull, true, sizeof(row.isnull));
	SetWhen(&row, log, now);
	SetWho(&row, session);
	SetWhat(&row, event);
	SetRows(&row, event);
	SetWhere(&row);
	LogWriterOpen(&writer, partition, EVENT_COLUMNS);
	CheckEventColumns(RelationGetDescr(writer.relation));
	LogWriterAppend(&writer, row.values, row.isnull);
	LogWriterClose(&writer);
	MemoryContextSwitchTo(old);
	MemoryContextReset(RowContext);
}

/*
 * phi.audit_record(action, relation, detail, subject_token, consent_id): an
 * event of an administrative function.
 */
Datum
phi_audit_record(PG_FUNCTION_ARGS)
{
	AuditEvent event = {0};
	uint64 subject;

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
		subject = (uint64) PG_GETARG_INT64(3);
		event.subjects = &subject;
		event.row_count = 1;
	}
	if (!PG_ARGISNULL(4))
		event.consent_id = PG_GETARG_INT64(4);
	AuditAppend(&event);
	PG_RETURN_VOID();
}

void
AuditInit(void)
{
	CacheRegisterRelcacheCallback(ForgetRelation, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, ForgetSchema, (Datum) 0);
	CheckpointInit();
	DisclosureInit();
	LoginAuditInit();
}
