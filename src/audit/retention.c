/*-------------------------------------------------------------------------
 * retention.c
 *		The end of events: their erasure, the record of an archived month, and
 *		what the SQL of retention and accounting needs from C.
 *
 * Erasing an event leaves its row with its number, times and transaction, and
 * its leaf: the tree stays as it was signed.  Everything else goes, the salt
 * included, so that the leaf hash does not give the event away to guessing.
 * The row is updated below the executor, which the guards do not let pass.
 *
 * Locking: RowExclusiveLock on the event's partition; a second erasure of the
 * same event in parallel is an error of heap_update.
 *-------------------------------------------------------------------------
 */
#include "audit/gone.h"
#include "audit/verify.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "core/codes.h"
#include "core/image.h"
#include "core/mac.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(phi_audit_erase_rows);
PG_FUNCTION_INFO_V1(phi_audit_record_archive);
PG_FUNCTION_INFO_V1(phi_audit_subject);
PG_FUNCTION_INFO_V1(phi_audit_purpose_within);

/* What is asked of events that are to be erased. */
enum
{
	ASK_EVENT,
	ASK_PARTITION,
	ASK_PLACE,
	ASK_ERASED,
	ASK_OF_THE_LOG,
	ASK_HOLD,
	ASK_COLUMNS
};

/* Raise unless the event of this row of answers may be erased. */
static void
RequireErasable(HeapTuple row, TupleDesc columns)
{
	Datum values[ASK_COLUMNS];
	bool isnull[ASK_COLUMNS];
	int64 event;

	heap_deform_tuple(row, columns, values, isnull);
	event = DatumGetInt64(values[ASK_EVENT]);
	if (isnull[ASK_PARTITION])
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("event " INT64_FORMAT " is not sealed, or does not exist", event),
				errhint("phi.audit_seal() seals events: an event can be erased once its leaf is in "
						"the tree."));
	if (DatumGetBool(values[ASK_ERASED]))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("event " INT64_FORMAT " is erased already", event));
	if (DatumGetBool(values[ASK_OF_THE_LOG]))
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("an event about the audit log itself cannot be erased"));
	if (!isnull[ASK_HOLD])
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("event " INT64_FORMAT " is under legal hold " INT64_FORMAT, event,
					   DatumGetInt64(values[ASK_HOLD])),
				errhint("phi.release_hold() ends a hold."));
}

/* Where the rows of these events are, in their order; raises where one may not be erased. */
static SPITupleTable *
FindErasable(Datum events)
{
	Oid types[] = {INT8ARRAYOID};
	uint64 i;

	if (SPI_execute_with_args(
			"SELECT u.event, e.tableoid, e.ctid, e.salt IS NULL, "
			"e.action IN ('" RECORD_ERASE "', '" RECORD_ARCHIVE "', '" RECORD_IMAGES
			"', 'audit_new_incarnation', 'audit_export'), "
			"(SELECT min(h.id) FROM phi.legal_hold h WHERE h.released_at IS NULL "
			"AND (h.subject_token IS NULL AND h.month IS NULL OR h.subject_token = ANY "
			"(e.subjects) "
			"OR h.month = date_trunc('month', e.recorded_at AT TIME ZONE 'UTC')::date)) "
			"FROM (SELECT DISTINCT u.event FROM unnest($1) u (event)) u "
			"LEFT JOIN phi_audit.leaf l ON l.event_id = u.event "
			"LEFT JOIN phi_audit.event e ON e.recorded_at = l.recorded_at "
			"AND e.event_id = l.event_id ORDER BY u.event",
			1, types, &events, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.event");
	for (i = 0; i < SPI_processed; i++)
		RequireErasable(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	return SPI_tuptable;
}

/* What is left of images: their hash; of images that were erased already the same. */
static Datum
WithoutImages(Datum images)
{
	bytea *stored = DatumGetByteaPP(images);
	bytea *left = palloc(VARHDRSZ + 1 + PHI_SHA256_SIZE);
	phi_bytes bytes = phi_bytes_of(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));

	if (phi_images_erased(bytes))
		return images;
	SET_VARSIZE(left, VARHDRSZ + 1 + PHI_SHA256_SIZE);
	VARDATA(left)[0] = PHI_IMAGE_ERASED;
	CheckStatus(phi_sha256(bytes, (uint8 *) VARDATA(left) + 1), "hash images");
	return PointerGetDatum(left);
}

/* Replace the row by what is left of it, all but its images where only those go. */
static void
EraseRow(Oid partition, ItemPointer place, bool images_alone)
{
	LogWriter writer;
	TupleTableSlot *slot;
	Datum values[EVENT_COLUMNS];
	bool isnull[EVENT_COLUMNS];
	int column;

	EventWriterOpen(&writer, partition, false);
	slot = table_slot_create(writer.relation, NULL);
	if (!table_tuple_fetch_row_version(writer.relation, place, GetActiveSnapshot(), slot))
		ereport(ERROR, errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				errmsg("could not erase an event: another transaction has changed it"));
	slot_getallattrs(slot);
	for (column = 0; column < EVENT_COLUMNS; column++)
	{
		values[column] = slot->tts_values[column];
		isnull[column] = images_alone ? slot->tts_isnull[column] : column > EVENT_TXID;
	}
	if (images_alone && !isnull[EVENT_IMAGES])
		values[EVENT_IMAGES] = WithoutImages(values[EVENT_IMAGES]);
	else if (!images_alone)
	{
		values[EVENT_ACTION] = values[EVENT_OUTCOME] = CStringGetTextDatum("erased");
		isnull[EVENT_ACTION] = isnull[EVENT_OUTCOME] = false;
	}
	LogWriterReplace(&writer, place, values, isnull);
	ExecDropSingleTupleTableSlot(slot);
	LogWriterClose(&writer);
}

/*
 * phi.audit_erase_rows(events, reason, images): erase up to AUDIT_BATCH_ROWS
 * events, or their images alone, and record it, signed: what SQL cannot do of
 * phi.audit_erase() and its like.
 */
Datum
phi_audit_erase_rows(PG_FUNCTION_ARGS)
{
	char *reason = text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool images_alone = PG_GETARG_BOOL(2);
	SPITupleTable *rows;
	OwnerScope owner;
	char **keys;
	uint64 i;

	RequirePreload();
	(void) AuditLogRequire();
	OwnerBegin(&owner);
	SPI_connect();
	rows = FindErasable(PG_GETARG_DATUM(0));
	if (rows->numvals > AUDIT_BATCH_ROWS)
		ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("cannot erase more than %d events at once", AUDIT_BATCH_ROWS));
	keys = palloc(sizeof(char *) * Max(rows->numvals, 1));
	for (i = 0; i < rows->numvals; i++)
	{
		bool isnull;
		Datum partition = SPI_getbinval(rows->vals[i], rows->tupdesc, ASK_PARTITION + 1, &isnull);
		Datum place = SPI_getbinval(rows->vals[i], rows->tupdesc, ASK_PLACE + 1, &isnull);

		keys[i] = SPI_getvalue(rows->vals[i], rows->tupdesc, ASK_EVENT + 1);
		EraseRow(DatumGetObjectId(partition), (ItemPointer) DatumGetPointer(place), images_alone);
	}
	if (rows->numvals > 0)
		GoneRecord(images_alone ? RECORD_IMAGES : RECORD_ERASE, reason, keys, (int) rows->numvals);
	SPI_finish();
	OwnerEnd(&owner);
	PG_RETURN_VOID();
}

/* Raise unless the month (its first day) is over, and one of the log's partitions. */
static void
RequireMonth(DateADT month, const char *name)
{
	Oid types[] = {DATEOID, TEXTOID};
	Datum values[] = {DateADTGetDatum(month), CStringGetTextDatum(name)};

	if (SPI_execute_with_args(
			"SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
			"WHERE i.inhparent = 'phi_audit.event'::regclass "
			"AND c.relname = 'event_y' || replace($2, '-', 'm') "
			"AND ($1::timestamp + interval '1 month') AT TIME ZONE 'UTC' <= clock_timestamp()",
			2, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read pg_inherits");
	if (SPI_processed == 0)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("the audit log has no month %s that is over", name));
}

/* The keys of the months that are gone, and of this one. */
static char **
MonthsGone(DateADT month, int *count)
{
	Incarnation *incarnations;
	uint64 incarnation_count = IncarnationsLoad(&incarnations);
	char **keys;
	Gone gone;
	int i;

	GoneLoad(&gone, incarnations, incarnation_count);
	keys = palloc(sizeof(char *) * (gone.month_count + 1));
	for (i = 0; i < gone.month_count; i++)
		keys[i] = gone.months[i].key;
	keys[gone.month_count] = GoneMonthKey(month);
	*count = gone.month_count + 1;
	return keys;
}

/*
 * phi.audit_record_archive(month): record that a month is gone with those that
 * were gone before, signed.  The log must verify: what was taken out of the
 * month before is not gone with leave.
 */
Datum
phi_audit_record_archive(PG_FUNCTION_ARGS)
{
	char *name;
	const char *problem;
	OwnerScope owner;
	char **months;
	int count;

	RequirePreload();
	(void) AuditLogRequire();
	problem = VerifyWhole();
	if (problem != NULL)
		ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("the audit log does not verify"),
				errdetail_internal("%s", problem));
	OwnerBegin(&owner);
	SPI_connect();
	name = TextDatumGetCString(DirectFunctionCall2(
		timestamp_to_char, DirectFunctionCall1(date_timestamp, PG_GETARG_DATUM(0)),
		CStringGetTextDatum("YYYY-MM")));
	RequireMonth(PG_GETARG_DATEADT(0), name);
	months = MonthsGone(PG_GETARG_DATEADT(0), &count);
	GoneRecord(RECORD_ARCHIVE, name, months, count);
	SPI_finish();
	OwnerEnd(&owner);
	PG_RETURN_VOID();
}

/* phi.audit_subject(subject): the token of a subject key given as text. */
Datum
phi_audit_subject(PG_FUNCTION_ARGS)
{
	RequirePreload();
	PG_RETURN_INT64((int64) SubjectToken(PG_GETARG_DATUM(0), TEXTOID));
}

/* phi.audit_purpose_within(purpose, ancestor): HL7's is-a; false for what is no code. */
Datum
phi_audit_purpose_within(PG_FUNCTION_ARGS)
{
	char *purpose = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *ancestor = text_to_cstring(PG_GETARG_TEXT_PP(1));
	phi_purpose of = phi_purpose_find(purpose, strlen(purpose));
	phi_purpose in = phi_purpose_find(ancestor, strlen(ancestor));

	PG_RETURN_BOOL(of != PHI_PURPOSE_NONE && in != PHI_PURPOSE_NONE && phi_purpose_is_a(of, in));
}
