/*-------------------------------------------------------------------------
 * retention.c
 *		The end of events: erasure of one, and what the SQL of retention and
 *		accounting needs from C.
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
#include "audit/log.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "core/codes.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(phi_audit_erase_row);
PG_FUNCTION_INFO_V1(phi_audit_record_keys);
PG_FUNCTION_INFO_V1(phi_audit_subject);
PG_FUNCTION_INFO_V1(phi_audit_purpose_within);

/* Where an event's row is; raises where it is not there, not sealed, or erased. */
static Oid
FindEvent(int64 event, ItemPointer place)
{
	Oid types[] = {INT8OID};
	Datum values[] = {Int64GetDatum(event)};
	HeapTuple row;
	bool isnull;
	Oid partition;

	if (SPI_execute_with_args("SELECT e.tableoid, e.ctid, e.salt IS NULL FROM phi_audit.leaf l "
							  "JOIN phi_audit.event e ON e.recorded_at = l.recorded_at "
							  "AND e.event_id = l.event_id WHERE l.event_id = $1",
							  1, types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.event");
	if (SPI_processed == 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("event " INT64_FORMAT " is not sealed, or does not exist", event),
				errhint("phi.audit_seal() seals events: an event can be erased once its leaf is in "
						"the tree."));
	row = SPI_tuptable->vals[0];
	if (DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 3, &isnull)))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("event " INT64_FORMAT " is erased already", event));
	partition = DatumGetObjectId(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
	*place = *(ItemPointer) DatumGetPointer(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	return partition;
}

/* Replace the row by what is left of it. */
static void
EraseRow(Oid partition, ItemPointer place)
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
		isnull[column] = column > EVENT_TXID;
	}
	values[EVENT_ACTION] = values[EVENT_OUTCOME] = CStringGetTextDatum("erased");
	isnull[EVENT_ACTION] = isnull[EVENT_OUTCOME] = false;
	LogWriterReplace(&writer, place, values, isnull);
	ExecDropSingleTupleTableSlot(slot);
	LogWriterClose(&writer);
}

/* phi.audit_erase_row(event): the part of phi.audit_erase() that SQL cannot do. */
Datum
phi_audit_erase_row(PG_FUNCTION_ARGS)
{
	ItemPointerData place;
	OwnerScope owner;
	Oid partition;

	RequirePreload();
	(void) AuditLogRequire();
	OwnerBegin(&owner);
	SPI_connect();
	partition = FindEvent(PG_GETARG_INT64(0), &place);
	EraseRow(partition, &place);
	SPI_finish();
	OwnerEnd(&owner);
	PG_RETURN_VOID();
}

/* phi.audit_record_keys(action, detail, keys): an event of an administrative act about some keys. */
Datum
phi_audit_record_keys(PG_FUNCTION_ARGS)
{
	AuditEvent event = {0};
	Datum *keys;
	int i;

	event.action = text_to_cstring(PG_GETARG_TEXT_PP(0));
	event.outcome = "success";
	event.detail = text_to_cstring(PG_GETARG_TEXT_PP(1));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &keys, NULL,
					  &event.row_count);
	event.row_keys = palloc(sizeof(char *) * Max(event.row_count, 1));
	for (i = 0; i < event.row_count; i++)
		event.row_keys[i] = TextDatumGetCString(keys[i]);
	AuditAppend(&event);
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
