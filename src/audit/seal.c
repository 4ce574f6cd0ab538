/*-------------------------------------------------------------------------
 * seal.c
 *		The leaf of an event, and phi.audit_seal(): appending committed events
 *		to the Merkle tree of phi_audit.leaf (RFC 6962 section 2.1).
 *
 * Leaf, version 1: the byte 1, then for each column of phi_audit.event that is
 * not NULL, in the table's order:
 *
 *		tag		1 byte, the column's number from 1 (event_id) to 27 (salt)
 *		size	4 bytes, big-endian
 *		value	bigint, xid8: 8 bytes; integer, oid: 4 bytes; big-endian
 *				timestamptz: its send form, 8 bytes of microseconds from 2000
 *				text: UTF-8 (the stored bytes in a SQL_ASCII database)
 *				bytea: its bytes; inet: its send form
 *				bigint[]: count (4 bytes), then 8 bytes each
 *				text[]: count (4 bytes), then size (4 bytes) and UTF-8 of each
 *
 * The leaf hash is SHA-256 of the byte 0 and the leaf.  Every encoding is what
 * SQL's own send functions give: docs/audit-log.md recomputes one.
 *
 * An event is sealed when no transaction that could still commit an earlier
 * one is left: all those with txid in [horizon of the last checkpoint, xmin of
 * the snapshot), ordered by txid and event_id.  Writers are never waited for;
 * a long or prepared transaction only keeps the horizon where it is.
 *
 * Locking: ShareRowExclusiveLock on phi_audit.checkpoint, one sealer at a time.
 * Memory: events are fetched FETCH_ROWS at a time, their leaves made in a
 * context reset for each.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#define LEAF_VERSION 1
#define FETCH_ROWS   1000

/* The first transaction that the query's own snapshot sees running; and: has no leaf. */
#define HORIZON    "(SELECT pg_snapshot_xmin(pg_current_snapshot()))"
#define NOT_SEALED "NOT EXISTS (SELECT FROM phi_audit.leaf l WHERE l.event_id = e.event_id)"

PG_FUNCTION_INFO_V1(phi_audit_seal);

/* How the columns of an event are encoded. */
typedef enum FieldForm
{
	FIELD_INT4,
	FIELD_INT8,
	FIELD_TEXT,
	FIELD_BYTES,
	FIELD_INET,
	FIELD_INT8_ARRAY,
	FIELD_TEXT_ARRAY
} FieldForm;

/* Type and form of each column. */
static const struct
{
	Oid type;
	FieldForm form;
} fields[EVENT_COLUMNS] = {
	[EVENT_ID] = {INT8OID, FIELD_INT8},
	[EVENT_RECORDED_AT] = {TIMESTAMPTZOID, FIELD_INT8},
	[EVENT_TRANSACTION_TIME] = {TIMESTAMPTZOID, FIELD_INT8},
	[EVENT_TXID] = {XID8OID, FIELD_INT8},
	[EVENT_ACTOR] = {TEXTOID, FIELD_TEXT},
	[EVENT_DB_ROLE] = {TEXTOID, FIELD_TEXT},
	[EVENT_CURRENT_ROLE] = {TEXTOID, FIELD_TEXT},
	[EVENT_WORKFORCE_ROLES] = {TEXTARRAYOID, FIELD_TEXT_ARRAY},
	[EVENT_ORGANIZATION] = {TEXTOID, FIELD_TEXT},
	[EVENT_TOKEN_ID] = {TEXTOID, FIELD_TEXT},
	[EVENT_PURPOSE] = {TEXTOID, FIELD_TEXT},
	[EVENT_CONSENT_ID] = {INT8OID, FIELD_INT8},
	[EVENT_REASON] = {TEXTOID, FIELD_TEXT},
	[EVENT_BREAK_GLASS_ID] = {INT8OID, FIELD_INT8},
	[EVENT_ACTION] = {TEXTOID, FIELD_TEXT},
	[EVENT_OUTCOME] = {TEXTOID, FIELD_TEXT},
	[EVENT_RELATION] = {TEXTOID, FIELD_TEXT},
	[EVENT_RELATION_OID] = {OIDOID, FIELD_INT4},
	[EVENT_COLUMN_NAMES] = {TEXTARRAYOID, FIELD_TEXT_ARRAY},
	[EVENT_ROW_COUNT] = {INT4OID, FIELD_INT4},
	[EVENT_SUBJECTS] = {INT8ARRAYOID, FIELD_INT8_ARRAY},
	[EVENT_ROW_KEYS] = {TEXTARRAYOID, FIELD_TEXT_ARRAY},
	[EVENT_ROW_DIGESTS] = {BYTEAOID, FIELD_BYTES},
	[EVENT_DETAIL] = {TEXTOID, FIELD_TEXT},
	[EVENT_CLIENT_ADDRESS] = {INETOID, FIELD_INET},
	[EVENT_APPLICATION_NAME] = {TEXTOID, FIELD_TEXT},
	[EVENT_SALT] = {BYTEAOID, FIELD_BYTES},
};

/* ---- the leaf ---- */

void
CheckEventColumns(TupleDesc columns)
{
	int i;

	for (i = 0; i < EVENT_COLUMNS; i++)
	{
		if (TupleDescAttr(columns, i)->atttypid != fields[i].type)
			ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("column \"%s\" of the audit log is not as phi_guard made it",
						   NameStr(TupleDescAttr(columns, i)->attname)));
	}
}

/* Append a text in UTF-8. */
static void
AppendText(StringInfo leaf, const text *value)
{
	const char *stored = VARDATA_ANY(value);
	int size = VARSIZE_ANY_EXHDR(value);
	char *converted;

	if (GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII)
	{
		appendBinaryStringInfo(leaf, stored, size);
		return;
	}
	converted = pg_server_to_any(stored, size, PG_UTF8);
	appendBinaryStringInfo(leaf, converted, converted == stored ? size : strlen(converted));
	if (converted != stored)
		pfree(converted);
}

/* Write the size of what follows position at into the 4 bytes before it. */
static void
CloseSize(StringInfo leaf, int at)
{
	phi_put_u32((uint8 *) leaf->data + at - 4, (uint32) (leaf->len - at));
}

/* Leave room for a size; returns the position after it. */
static int
OpenSize(StringInfo leaf)
{
	appendStringInfoSpaces(leaf, 4);
	return leaf->len;
}

/* Append the count of an array and its elements. */
static void
AppendArray(StringInfo leaf, FieldForm form, ArrayType *array)
{
	ArrayIterator iterator = array_create_iterator(array, 0, NULL);
	Datum element;
	bool isnull;

	pq_sendint32(leaf, ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)));
	while (array_iterate(iterator, &element, &isnull))
	{
		if (isnull)
			continue; /* none of ours: the count gives it away */
		if (form == FIELD_INT8_ARRAY)
			pq_sendint64(leaf, DatumGetInt64(element));
		else
		{
			int at = OpenSize(leaf);

			AppendText(leaf, DatumGetTextPP(element));
			CloseSize(leaf, at);
		}
	}
	array_free_iterator(iterator);
}

/* Append the value of one column. */
static void
AppendValue(StringInfo leaf, FieldForm form, Datum value)
{
	bytea *bytes;

	switch (form)
	{
		case FIELD_INT4:
			pq_sendint32(leaf, DatumGetUInt32(value));
			break;
		case FIELD_INT8:
			pq_sendint64(leaf, DatumGetInt64(value));
			break;
		case FIELD_TEXT:
			AppendText(leaf, DatumGetTextPP(value));
			break;
		case FIELD_BYTES:
			bytes = DatumGetByteaPP(value);
			appendBinaryStringInfo(leaf, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
			break;
		case FIELD_INET:
			bytes = DatumGetByteaPP(DirectFunctionCall1(inet_send, value));
			appendBinaryStringInfo(leaf, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
			break;
		case FIELD_INT8_ARRAY:
		case FIELD_TEXT_ARRAY:
			AppendArray(leaf, form, DatumGetArrayTypeP(value));
			break;
	}
}

/*
 * The leaf hash of an event given by the columns of its row.  buffer and the
 * current memory context are scratch.
 */
void
EventLeafHash(const Datum *values, const bool *isnull, StringInfo buffer, uint8 hash[PHI_HASH_SIZE])
{
	int column;
	int at;

	resetStringInfo(buffer);
	appendStringInfoChar(buffer, LEAF_VERSION);
	for (column = 0; column < EVENT_COLUMNS; column++)
	{
		if (isnull[column])
			continue;
		appendStringInfoChar(buffer, (char) (column + 1));
		at = OpenSize(buffer);
		AppendValue(buffer, fields[column].form, values[column]);
		CloseSize(buffer, at);
	}
	CheckStatus(phi_leaf_hash(phi_bytes_of(buffer->data, buffer->len), hash), "hash an event");
}

/* ---- the last checkpoint ---- */

char *
LogIncarnation(void)
{
	return psprintf(UINT64_FORMAT "/%u", GetSystemIdentifier(), MyDatabaseId);
}

/* Where sealing goes on from. */
typedef struct SealState
{
	phi_frontier frontier;
	bool resumes; /* the last checkpoint was made here: its horizon counts */
	uint64 horizon;
} SealState;

/* Raise because the tree is not what the last checkpoint says. */
static void
RefuseTree(const char *detail)
{
	ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("cannot seal: the audit log does not match its last checkpoint"),
			errdetail_internal("%s", detail),
			errhint("phi.audit_verify() names what was altered."));
}

/* A bytea column of the current SPI row, or no bytes where it is NULL. */
static phi_bytes
RowBytes(HeapTuple row, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(row, SPI_tuptable->tupdesc, column, &isnull);
	bytea *bytes = isnull ? NULL : DatumGetByteaPP(value);

	return isnull ? phi_bytes_of(NULL, 0)
				  : phi_bytes_of(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/* Take up the tree of the last checkpoint, if there is one, after checking it. */
static void
LoadCheckpoint(SealState *state)
{
	uint8 root[PHI_HASH_SIZE];
	phi_bytes stored;
	HeapTuple row;
	bool isnull;
	int64 leaves;
	int64 size;

	if (SPI_execute("SELECT c.tree_size, c.root, c.frontier, c.horizon, c.incarnation, "
					"(SELECT max(l.leaf_index) + 1 FROM phi_audit.leaf l) "
					"FROM (SELECT) one LEFT JOIN phi_audit.checkpoint c ON true "
					"ORDER BY c.tree_size DESC LIMIT 1",
					false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read phi_audit.checkpoint");
	row = SPI_tuptable->vals[0];
	leaves = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 6, &isnull));
	if (isnull)
		leaves = 0;
	size = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
	if (isnull)
		size = 0;
	if (leaves != size)
		RefuseTree("phi_audit.leaf ends before it, or goes on after it.");
	phi_frontier_init(&state->frontier);
	if (size == 0)
		return;
	if (phi_frontier_load(&state->frontier, size, RowBytes(row, 3)) != PHI_OK)
		RefuseTree("Its stored tree has another size.");
	CheckStatus(phi_frontier_root(&state->frontier, root), "compute a root");
	stored = RowBytes(row, 2);
	if (stored.size != sizeof(root) || memcmp(stored.data, root, sizeof(root)) != 0)
		RefuseTree("Its root is not that of its stored tree.");
	state->horizon = U64FromFullTransactionId(
		DatumGetFullTransactionId(SPI_getbinval(row, SPI_tuptable->tupdesc, 4, &isnull)));
	state->resumes = strcmp(SPI_getvalue(row, SPI_tuptable->tupdesc, 5), LogIncarnation()) == 0;
}

/* ---- sealing ---- */

/* Write the leaf of one event, given by its columns, and grow the tree by it. */
static void
SealEvent(SealState *state, LogWriter *leaves, const Datum *event, const bool *isnull,
		  StringInfo buffer)
{
	bytea *stored = palloc(VARHDRSZ + PHI_HASH_SIZE);
	uint8 *hash = (uint8 *) VARDATA(stored);
	Datum values[LEAF_COLUMNS];
	bool nulls[LEAF_COLUMNS] = {false};

	EventLeafHash(event, isnull, buffer, hash);
	SET_VARSIZE(stored, VARHDRSZ + PHI_HASH_SIZE);
	values[0] = Int64GetDatum(state->frontier.size);
	values[1] = event[EVENT_ID];
	values[2] = event[EVENT_RECORDED_AT];
	values[3] = PointerGetDatum(stored);
	CheckStatus(phi_frontier_append(&state->frontier, hash), "extend the audit tree");
	LogWriterAppend(leaves, values, nulls);
}

/*
 * Open a cursor over the events to seal, each with the snapshot's horizon
 * behind its columns.  A log that came from elsewhere, or was never sealed, is
 * sealed as far as it can be seen: its transaction numbers mean nothing here.
 */
static Portal
OpenEvents(const SealState *state)
{
	Oid types[] = {XID8OID};
	Datum values[] = {FullTransactionIdGetDatum(FullTransactionIdFromU64(state->horizon))};
	const char *query =
		state->resumes
			? "SELECT " EVENT_COLUMN_LIST ", " HORIZON " FROM phi_audit.event e "
			  "WHERE e.txid >= $1 AND e.txid < " HORIZON " AND " NOT_SEALED
			  " ORDER BY e.txid, e.event_id"
			: "SELECT " EVENT_COLUMN_LIST ", " HORIZON " FROM phi_audit.event e "
			  "WHERE e.txid <> coalesce(pg_current_xact_id_if_assigned(), $1) AND " NOT_SEALED
			  " ORDER BY e.txid, e.event_id";

	return SPI_cursor_open_with_args(NULL, query, 1, types, values, NULL, false, 0);
}

/* Seal every event of the cursor; *horizon receives that of its snapshot. */
static void
SealEvents(SealState *state, Oid leaf, uint64 *horizon)
{
	Portal events = OpenEvents(state);
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "phi_guard sealed event",
											   ALLOCSET_DEFAULT_SIZES);
	StringInfoData buffer;
	LogWriter leaves;

	initStringInfo(&buffer);
	LogWriterOpen(&leaves, leaf, LEAF_COLUMNS);
	for (SPI_cursor_fetch(events, true, FETCH_ROWS); SPI_processed > 0;
		 SPI_freetuptable(SPI_tuptable), SPI_cursor_fetch(events, true, FETCH_ROWS))
	{
		uint64 i;

		CHECK_FOR_INTERRUPTS();
		CheckEventColumns(SPI_tuptable->tupdesc);
		for (i = 0; i < SPI_processed; i++)
		{
			Datum values[EVENT_COLUMNS + 1];
			bool isnull[EVENT_COLUMNS + 1];
			MemoryContext old = MemoryContextSwitchTo(each);

			heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, isnull);
			*horizon = U64FromFullTransactionId(DatumGetFullTransactionId(values[EVENT_COLUMNS]));
			SealEvent(state, &leaves, values, isnull, &buffer);
			MemoryContextSwitchTo(old);
			MemoryContextReset(each);
		}
	}
	SPI_cursor_close(events);
	LogWriterClose(&leaves);
	CommandCounterIncrement();
}

/* Write the checkpoint of the tree. */
static void
WriteCheckpoint(const SealState *state, Oid checkpoint, uint64 horizon)
{
	Size peaks = phi_frontier_bytes(&state->frontier);
	bytea *frontier = palloc(VARHDRSZ + peaks);
	bytea *root = palloc(VARHDRSZ + PHI_HASH_SIZE);
	Datum values[CHECKPOINT_COLUMNS] = {0};
	bool isnull[CHECKPOINT_COLUMNS] = {false};
	LogWriter writer;

	SET_VARSIZE(frontier, VARHDRSZ + peaks);
	memcpy(VARDATA(frontier), state->frontier.peaks, peaks);
	SET_VARSIZE(root, VARHDRSZ + PHI_HASH_SIZE);
	CheckStatus(phi_frontier_root(&state->frontier, (uint8 *) VARDATA(root)), "compute a root");
	values[0] = Int64GetDatum(state->frontier.size);
	values[1] = PointerGetDatum(root);
	values[2] = PointerGetDatum(frontier);
	values[3] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[4] = FullTransactionIdGetDatum(FullTransactionIdFromU64(horizon));
	values[5] = CStringGetTextDatum(LogIncarnation());
	isnull[6] = true; /* the signed note */
	LogWriterOpen(&writer, checkpoint, CHECKPOINT_COLUMNS);
	LogWriterAppend(&writer, values, isnull);
	LogWriterClose(&writer);
	CommandCounterIncrement();
}

/*
 * Seal what can be sealed now, and make a checkpoint if that was anything;
 * returns the number of events.  Runs as the extension's owner.
 */
static uint64
SealLog(const AuditLog *log)
{
	SealState state = {0};
	uint64 size;
	uint64 horizon = 0;

	LockRelationOid(log->checkpoint, ShareRowExclusiveLock);
	LoadCheckpoint(&state);
	size = state.frontier.size;
	SealEvents(&state, log->leaf, &horizon);
	if (state.frontier.size > size)
		WriteCheckpoint(&state, log->checkpoint, horizon);
	return state.frontier.size - size;
}

/* Seal what can be sealed, and keep partitions ahead of the clock; returns the number of events. */
static uint64
SealNow(void)
{
	AuditLog log = *AuditLogRequire();
	OwnerScope owner;
	uint64 sealed;

	AuditLogExtend();
	OwnerBegin(&owner);
	SPI_connect();
	sealed = SealLog(&log);
	SPI_finish();
	OwnerEnd(&owner);
	return sealed;
}

void
AuditWorkerSeal(void)
{
	(void) SealNow();
}

/* phi.audit_seal() */
Datum
phi_audit_seal(PG_FUNCTION_ARGS)
{
	RequirePreload();
	PreventCommandIfReadOnly("phi.audit_seal()");
	if (IsolationUsesXactSnapshot())
		ereport(
			ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("phi.audit_seal() needs isolation level READ COMMITTED"),
			errdetail("The snapshot of this transaction may be older than the last checkpoint."));
	PG_RETURN_INT64(SealNow());
}
