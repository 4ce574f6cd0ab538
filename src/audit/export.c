/*-------------------------------------------------------------------------
 * export.c
 *		phi.audit_export(): the log as lines of JSON that phi_verify checks
 *		without a database (docs/audit-evidence.md has the format).
 *
 * An export is whole checkpoints: it begins with the stored tree of the one
 * before it, and ends with one.  The JSON of an event is made from its leaf by
 * core/leaf.c, which the verifier calls as well: a line cannot say anything
 * else than what was hashed.
 *
 * Memory: FETCH_ROWS events at a time; lines go to a tuplestore, which spills
 * to disk.
 *-------------------------------------------------------------------------
 */
#include "audit/cursor.h"
#include "audit/gone.h"

#include "catalog/pg_type.h"
#include "core/leaf.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/tuplestore.h"

#define FETCH_ROWS     1000
#define ROW_LEAF_INDEX EVENT_COLUMNS
#define ROW_EVENT      (EVENT_COLUMNS + 1)
#define ROW_HASH       (EVENT_COLUMNS + 2)
#define ROW_NOTE       (EVENT_COLUMNS + 3)
#define ROW_TIME       (EVENT_COLUMNS + 4)
#define ROW_COLUMNS    (EVENT_COLUMNS + 5)

PG_FUNCTION_INFO_V1(phi_audit_export);

/* An export being made. */
typedef struct Export
{
	Tuplestorestate *lines;
	TupleDesc columns;
	StringInfoData line;
	StringInfoData leaf;
	int64 first; /* leaf, */
	int64 until; /* and before which one it ends */
	Gone gone;
} Export;

/* Put the line out. */
static void
PutLine(Export *export)
{
	Datum value = PointerGetDatum(cstring_to_text_with_len(export->line.data, export->line.len));
	bool isnull = false;

	tuplestore_putvalues(export->lines, export->columns, &value, &isnull);
	pfree(DatumGetPointer(value));
	resetStringInfo(&export->line);
}

/* Append bytes as hexadecimal digits. */
static void
AppendHex(StringInfo line, phi_bytes bytes)
{
	Size i;

	for (i = 0; i < bytes.size; i++)
		appendStringInfo(line, "%02x", bytes.data[i]);
}

/* Bytes of a column. */
static phi_bytes
BytesOf(Datum value, bool isnull)
{
	bytea *bytes = isnull ? NULL : DatumGetByteaPP(value);

	return isnull ? phi_bytes_of(NULL, 0)
				  : phi_bytes_of(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/* Widen a span of time to the whole checkpoints that its leaves are in. */
static void
FindRange(Export *export, Datum from, bool from_null, Datum to, bool to_null)
{
	Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum values[] = {from, to};
	char nulls[] = {from_null ? 'n' : ' ', to_null ? 'n' : ' ', '\0'};
	bool isnull;

	if (SPI_execute_with_args(
			"SELECT coalesce((SELECT max(c.tree_size) FROM phi_audit.checkpoint c "
			"WHERE c.tree_size <= s.low), 0), "
			"coalesce((SELECT min(c.tree_size) FROM phi_audit.checkpoint c "
			"WHERE c.tree_size > s.high), 0) "
			"FROM (SELECT coalesce(min(l.leaf_index), 0) AS low, coalesce(max(l.leaf_index), -1) "
			"AS high "
			"FROM phi_audit.leaf l WHERE l.leaf_index < (SELECT max(c.tree_size) FROM "
			"phi_audit.checkpoint c) "
			"AND ($1 IS NULL OR l.recorded_at >= $1) AND ($2 IS NULL OR l.recorded_at < $2)) s",
			2, types, values, nulls, true, 0) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read phi_audit.leaf");
	export->first =
		DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	export->until =
		DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	SPI_freetuptable(SPI_tuptable);
}

/* The lines before the leaves: where it begins, and the keys. */
static void
PutHead(Export *export)
{
	Oid types[] = {INT8OID};
	Datum values[] = {Int64GetDatum(export->first)};
	bool isnull;
	uint64 i;

	if (SPI_execute_with_args("SELECT c.frontier, c.note FROM phi_audit.checkpoint c "
							  "WHERE c.tree_size = $1",
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.checkpoint");
	appendStringInfo(&export->line,
					 "{\"phi_guard_audit_export\":1,\"first_leaf\":" INT64_FORMAT ",\"tree\":\"",
					 export->first);
	if (SPI_processed == 1)
	{
		Datum tree = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		char *note = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);

		AppendHex(&export->line, BytesOf(tree, isnull));
		appendStringInfoString(&export->line, "\",\"checkpoint\":");
		escape_json(&export->line, note != NULL ? note : "");
	}
	else
		appendStringInfoString(&export->line, "\",\"checkpoint\":\"\"");
	appendStringInfoChar(&export->line, '}');
	PutLine(export);
	if (SPI_execute("SELECT i.vkey FROM phi_audit.incarnation i ORDER BY i.number", true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.incarnation");
	for (i = 0; i < SPI_processed; i++)
	{
		appendStringInfoString(&export->line, "{\"key\":");
		escape_json(&export->line, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
		appendStringInfoChar(&export->line, '}');
		PutLine(export);
	}
}

/* Append the leaf in base64url and its JSON. */
static void
AppendEvent(Export *export, const Datum *row, const bool *isnull)
{
	uint8 hash[PHI_HASH_SIZE];
	phi_bytes leaf;
	phi_buffer json = {0};
	Size digits;

	EventLeafHash(row, isnull, &export->leaf, hash);
	leaf = phi_bytes_of(export->leaf.data, export->leaf.len);
	digits = phi_base64url_size(leaf.size);
	appendStringInfoString(&export->line, ",\"data\":\"");
	enlargeStringInfo(&export->line, digits);
	phi_base64url_encode(leaf, export->line.data + export->line.len);
	export->line.len += digits;
	appendStringInfoString(&export->line, "\",\"event\":");
	json.capacity = 16 * leaf.size + 512;
	json.data = MemoryContextAllocHuge(CurrentMemoryContext, json.capacity);
	CheckStatus(phi_leaf_json(leaf, &json), "write an event as JSON");
	appendBinaryStringInfo(&export->line, (char *) json.data, json.size);
	pfree(json.data);
}

/* Why the event of a leaf is not there as it was sealed: with leave, or it is missing. */
static const char *
WhyGone(const Export *export, const Datum *row, const bool *isnull)
{
	const GoneMonth *month;

	if (!isnull[EVENT_ID])
		return GoneErased(&export->gone, DatumGetInt64(row[ROW_EVENT])) ? "erased" : "missing";
	month = GoneArchived(&export->gone, DatumGetTimestampTz(row[ROW_TIME]));
	return month != NULL && DatumGetInt64(row[ROW_LEAF_INDEX]) >= month->archived.first &&
				   DatumGetInt64(row[ROW_LEAF_INDEX]) <= month->archived.last
			   ? "archived"
			   : "missing";
}

/* The line of one leaf, and that of a checkpoint after it. */
static void
PutLeaf(Export *export, const Datum *row, const bool *isnull)
{
	appendStringInfo(&export->line, "{\"leaf\":" INT64_FORMAT ",\"hash\":\"",
					 DatumGetInt64(row[ROW_LEAF_INDEX]));
	AppendHex(&export->line, BytesOf(row[ROW_HASH], isnull[ROW_HASH]));
	appendStringInfoChar(&export->line, '"');
	if (!isnull[EVENT_ID] && !isnull[EVENT_SALT])
		AppendEvent(export, row, isnull);
	else
		appendStringInfo(&export->line, ",\"event_id\":" INT64_FORMAT ",\"gone\":\"%s\"",
						 DatumGetInt64(row[ROW_EVENT]), WhyGone(export, row, isnull));
	appendStringInfoChar(&export->line, '}');
	PutLine(export);
	if (isnull[ROW_NOTE])
		return;
	appendStringInfoString(&export->line, "{\"checkpoint\":");
	escape_json(&export->line, TextDatumGetCString(row[ROW_NOTE]));
	appendStringInfoChar(&export->line, '}');
	PutLine(export);
}

/* RowTaker: the lines of a leaf. */
static void
PutRow(void *export, const Datum *row, const bool *isnull)
{
	PutLeaf(export, row, isnull);
}

/* The lines of the leaves. */
static void
PutLeaves(Export *export)
{
	Oid types[] = {INT8OID, INT8OID};
	Datum values[] = {Int64GetDatum(export->first), Int64GetDatum(export->until)};
	Portal events = SPI_cursor_open_with_args(
		NULL,
		"SELECT " EVENT_COLUMN_LIST
		", l.leaf_index, l.event_id, l.leaf_hash, c.note, l.recorded_at "
		"FROM phi_audit.leaf l LEFT JOIN phi_audit.event e "
		"ON e.recorded_at = l.recorded_at AND e.event_id = l.event_id "
		"LEFT JOIN phi_audit.checkpoint c ON c.tree_size = l.leaf_index + 1 "
		"WHERE l.leaf_index >= $1 AND l.leaf_index < $2 ORDER BY l.leaf_index",
		2, types, values, NULL, true, 0);

	CheckEventColumns(events->tupDesc);
	CursorEach(events, FETCH_ROWS, PutRow, export);
}

/* Read what is gone with leave. */
static void
LoadGone(Export *export)
{
	Incarnation *incarnations;
	uint64 count = IncarnationsLoad(&incarnations);

	GoneLoad(&export->gone, incarnations, count);
}

/* Leave an event of what was exported: the first leaf, and the one before which it ended. */
static void
RecordExport(const Export *export)
{
	char *keys[2] = {psprintf(INT64_FORMAT, export->first), psprintf(INT64_FORMAT, export->until)};
	AuditEvent event = {0};

	event.action = "audit_export";
	event.outcome = "success";
	event.detail = "leaves: the first, and the one that it ends before";
	event.row_count = 2;
	event.row_keys = keys;
	AuditAppend(&event);
}

/*
 * phi.audit_export(from, to): lines of JSON with the sealed events recorded in
 * that time, or all, and what is between them up to whole checkpoints.
 */
Datum
phi_audit_export(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Export export = {0};
	OwnerScope owner;

	RequirePreload();
	(void) AuditLogRequire();
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	export.lines = result->setResult;
	export.columns = result->setDesc;
	initStringInfo(&export.line);
	initStringInfo(&export.leaf);
	OwnerBegin(&owner);
	SPI_connect();
	FindRange(&export, PG_ARGISNULL(0) ? (Datum) 0 : PG_GETARG_DATUM(0), PG_ARGISNULL(0),
			  PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1), PG_ARGISNULL(1));
	PutHead(&export);
	LoadGone(&export);
	PutLeaves(&export);
	SPI_finish();
	OwnerEnd(&owner);
	RecordExport(&export);
	return (Datum) 0;
}
