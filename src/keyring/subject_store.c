/*-------------------------------------------------------------------------
 * subject_store.c
 *		The rows of phi.subject_key: finding and making one, and wrapping all
 *		of them anew.
 *
 * Rows are found with the latest snapshot, whatever the transaction's
 * isolation, and never all at once.  They are made and wrapped anew below the
 * executor: neither is news to any process, so nothing is invalidated.  Only
 * phi.shred_token changes what a row means.
 *
 * Locking: ROW EXCLUSIVE for a new key; as RewrapSubjectKeys says for all.
 *-------------------------------------------------------------------------
 */
#include "keyring/subject_key.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* Columns of phi.subject_key, by position. */
enum SubjectKeyColumn
{
	SK_ID = 1, SK_TOKEN, SK_UUID, SK_STATE, SK_KEK, SK_WRAPPED, SK_CHECK, SK_CREATED,
	SK_LAST = SK_CREATED
};

/* ---- one row ---- */

/* A bytea column of a fixed size. */
static void
CopyColumn(Datum value, bool isnull, uint8 *out, Size size)
{
	bytea *bytes = isnull ? NULL : DatumGetByteaPP(value);

	if (!bytes || VARSIZE_ANY_EXHDR(bytes) != size)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED), errmsg("phi.subject_key holds a malformed key")));
	memcpy(out, VARDATA_ANY(bytes), size);
}

/* Take a row apart. */
static void
ReadRow(HeapTuple tuple, TupleDesc columns, SubjectKeyRow *row)
{
	Datum values[SK_LAST];
	bool nulls[SK_LAST];

	if (columns->natts != SK_LAST)
		elog(ERROR, "unexpected shape of phi.subject_key");
	heap_deform_tuple(tuple, columns, values, nulls);
	row->dek_id = (uint32) DatumGetInt32(values[SK_ID - 1]);
	row->destroyed = strcmp(TextDatumGetCString(values[SK_STATE - 1]), "destroyed") == 0;
	row->stored.scope = SCOPE_SUBJECT;
	row->stored.subject_token = (uint64) DatumGetInt64(values[SK_TOKEN - 1]);
	row->stored.kek_version = (uint32) DatumGetInt32(values[SK_KEK - 1]);
	memcpy(row->stored.uuid, DatumGetUUIDP(values[SK_UUID - 1])->data, PHI_UUID_SIZE);
	if (row->destroyed)
		return;
	CopyColumn(values[SK_WRAPPED - 1], nulls[SK_WRAPPED - 1], row->stored.wrapped, WRAPPED_SIZE);
	CopyColumn(values[SK_CHECK - 1], nulls[SK_CHECK - 1], row->stored.check_value,
			   CHECK_VALUE_SIZE);
}

/* The row of the lowest id that the key finds in an index; live alone or any; row->dek_id 0 without one. */
static void
FindRow(const char *index, ScanKey key, bool live, SubjectKeyRow *row)
{
	MemoryContext scratch =
		AllocSetContextCreate(CurrentMemoryContext, "phi_guard subject key", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	Relation table = table_open(PhiRelation("subject_key"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(table, PhiRelation(index), true, NULL, 1, key);
	SubjectKeyRow found = {0};
	HeapTuple tuple;

	row->dek_id = 0;
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		ReadRow(tuple, RelationGetDescr(table), &found);
		if ((!live || !found.destroyed) && (row->dek_id == 0 || found.dek_id < row->dek_id))
			*row = found;
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

void
FindSubjectKey(uint32 dek_id, SubjectKeyRow *row)
{
	ScanKeyData key;

	ScanKeyInit(&key, SK_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum((int32) dek_id));
	FindRow("subject_key_pkey", &key, false, row);
}

void
FindKeyOfSubject(uint64 subject_token, SubjectKeyRow *row)
{
	ScanKeyData key;

	ScanKeyInit(&key, SK_TOKEN, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum((int64) subject_token));
	FindRow("subject_key_token_idx", &key, true, row);
}

/* A bytea of these bytes. */
static Datum
BytesDatum(const uint8 *data, Size size)
{
	bytea *out = palloc(size + VARHDRSZ);

	SET_VARSIZE(out, size + VARHDRSZ);
	memcpy(VARDATA(out), data, size);
	return PointerGetDatum(out);
}

/*
 * Written below the executor, like an event of the log.  Waits for a rotation of
 * the key-encryption key to end, so that the key is wrapped under the new one.
 */
void
InsertSubjectKey(uint64 subject_token, SubjectKeyRow *row, uint8 key[PHI_KEY_SIZE])
{
	Relation table = table_open(PhiRelation("subject_key"), RowExclusiveLock);
	Datum values[SK_LAST];
	bool nulls[SK_LAST] = {false};
	HeapTuple tuple;

	if (RelationGetNumberOfAttributes(table) != SK_LAST)
		elog(ERROR, "unexpected shape of phi.subject_key");
	row->dek_id = (uint32) nextval_internal(PhiRelation("data_key_dek_id_seq"), false);
	row->destroyed = false;
	row->stored.scope = SCOPE_SUBJECT;
	row->stored.subject_token = subject_token;
	NewKey(&row->stored, key);
	values[SK_ID - 1] = Int32GetDatum((int32) row->dek_id);
	values[SK_TOKEN - 1] = Int64GetDatum((int64) subject_token);
	values[SK_UUID - 1] = UUIDPGetDatum((pg_uuid_t *) row->stored.uuid);
	values[SK_STATE - 1] = CStringGetTextDatum("current");
	values[SK_KEK - 1] = Int32GetDatum((int32) row->stored.kek_version);
	values[SK_WRAPPED - 1] = BytesDatum(row->stored.wrapped, WRAPPED_SIZE);
	values[SK_CHECK - 1] = BytesDatum(row->stored.check_value, CHECK_VALUE_SIZE);
	values[SK_CREATED - 1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	tuple = heap_form_tuple(RelationGetDescr(table), values, nulls);
	CatalogTupleInsert(table, tuple);
	heap_freetuple(tuple);
	table_close(table, NoLock);
	CommandCounterIncrement(); /* so that it is found again, should a process drop it from memory */
}

/* ---- another key-encryption key ---- */

/* Wrap the key of a row anew; false when it needs none of that. */
static bool
RewrapTuple(Relation table, HeapTuple tuple, uint32 version)
{
	Datum values[SK_LAST] = {0};
	bool nulls[SK_LAST] = {false};
	bool replace[SK_LAST] = {false};
	SubjectKeyRow row;
	HeapTuple changed;

	ReadRow(tuple, RelationGetDescr(table), &row);
	if (row.destroyed || row.stored.kek_version == version)
		return false;
	RewrapOrRaise(&row.stored, row.dek_id, version);
	values[SK_KEK - 1] = Int32GetDatum((int32) version);
	values[SK_WRAPPED - 1] = BytesDatum(row.stored.wrapped, WRAPPED_SIZE);
	values[SK_CHECK - 1] = BytesDatum(row.stored.check_value, CHECK_VALUE_SIZE);
	replace[SK_KEK - 1] = replace[SK_WRAPPED - 1] = replace[SK_CHECK - 1] = true;
	changed = heap_modify_tuple(tuple, RelationGetDescr(table), values, nulls, replace);
	CatalogTupleUpdate(table, &tuple->t_self, changed);
	return true;
}

/* One pass over the table; the rows are taken one by one, whatever their number. */
static uint64
RewrapPass(Relation table, uint32 version)
{
	MemoryContext scratch = AllocSetContextCreate(
		CurrentMemoryContext, "phi_guard subject key rotation", ALLOCSET_DEFAULT_SIZES);
	SysScanDesc scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	MemoryContext old = CurrentMemoryContext;
	uint64 count = 0;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(scratch);
		count += RewrapTuple(table, tuple, version);
		MemoryContextSwitchTo(old);
		MemoryContextReset(scratch);
	}
	systable_endscan(scan);
	MemoryContextDelete(scratch);
	CommandCounterIncrement();
	return count;
}

/*
 * The second pass finds the keys that were being made during the first; who
 * would make one waits for it alone.
 */
uint64
RewrapSubjectKeys(uint32 version)
{
	Relation table = table_open(PhiRelation("subject_key"), RowExclusiveLock);
	uint64 count = RewrapPass(table, version);

	LockRelation(table, ShareRowExclusiveLock);
	count += RewrapPass(table, version);
	table_close(table, NoLock);
	return count;
}
