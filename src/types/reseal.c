/*-------------------------------------------------------------------------
 * reseal.c
 *		Sealing the values of a protected table anew under its current data
 *		key, a batch of rows at a time.
 *
 * The header says whether a value is under the current key already, so a batch
 * can be repeated, and an interrupted run goes on where it was.  A value keeps
 * its place, its labels and its search tag; only key and nonce are new.
 *
 * Rows are updated below the executor's statements, as the apply worker of a
 * subscription does it: no trigger of anybody fires (the value is the same),
 * no row security applies, no change event is written; this file writes one
 * event for each batch.  What may run the table owner's code, index
 * expressions and constraints, runs as that owner in a security-restricted
 * operation.  Values are opened in this file alone: nothing that a user could
 * call or hook in sees one.
 *
 * Locking: ROW EXCLUSIVE on the table.  A batch never waits for a row while it
 * holds others: it ends before such a row, and the next one begins with it.  So
 * it takes no part in a deadlock over rows, and a writer waits for one batch at
 * most.
 *-------------------------------------------------------------------------
 */
#include "types/sealing.h"

#include "access/table.h"
#include "access/tableam.h"
#include "audit/audit.h"
#include "catalog/pg_am.h"
#include "funcapi.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(phi_reseal_batch);

#define MAX_BLOCKS 8192 /* read in one batch at most, whatever it finds */

/* One run of the function. */
typedef struct Reseal
{
	Relation relation;
	const ProtectedRelation *policy;
	EState *estate;
	ResultRelInfo *target;
	Snapshot snapshot;
	LockTupleMode mode;
	TupleTableSlot *seen;   /* by the scan */
	TupleTableSlot *locked; /* the row's last version */
	TupleTableSlot *stored; /* and as it is to be stored */
	MemoryContext row;
	int held;         /* rows locked */
	int changed;      /* rows written */
	int unreadable;   /* values that do not open */
	bool busy;        /* the batch ends here: somebody holds the next row */
	BlockNumber next; /* where the next batch begins */
} Reseal;

/* ---- one value ---- */

/* Open a value; false when it does not open, ever. */
static bool
OpenQuietly(struct varlena *stored, const phi_header *header, const uint8 *column_uuid,
			phi_buffer *plain)
{
	phi_bytes envelope = phi_bytes_of(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
	phi_status status;

	plain->capacity = phi_envelope_plain_size(header, envelope.size);
	plain->data = palloc(plain->capacity + 1);
	plain->size = 0;
	status = phi_envelope_open(KeyringKey(header->dek_id), envelope, column_uuid, plain);
	if (status == PHI_ERR_AUTH)
		return false;
	CheckStatus(status, "open a sealed value");
	return true;
}

/* The value under the relation's current key, or NULL when it does not open. */
static struct varlena *
ResealValue(Datum value, const phi_header *header, Oid root)
{
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(value);
	const ProtectedColumn *column = header->bound ? RegistryColumn(header->column_id) : NULL;
	const uint8 *column_uuid = column ? column->uuid : NULL;
	Size nonce_size = header->bound ? PHI_NONCE_TAIL_SIZE : PHI_XAES_NONCE_SIZE;
	uint8 nonce[PHI_XAES_NONCE_SIZE];
	phi_header renewed = *header;
	phi_data_key *key;
	phi_buffer plain;
	phi_buffer out;
	struct varlena *sealed;
	phi_status status;

	if ((header->bound && !column) || !KeyringHas(header->dek_id) ||
		!OpenQuietly(stored, header, column_uuid, &plain))
		return NULL;
	key = KeyringRelationKey(root);
	renewed.dek_id = key->id;
	out.capacity = phi_envelope_size(&renewed, plain.size);
	sealed = palloc(out.capacity + VARHDRSZ);
	SET_VARSIZE(sealed, out.capacity + VARHDRSZ);
	out.data = (uint8 *) VARDATA(sealed);
	out.size = 0;
	RandomBytes(nonce, nonce_size);
	status = phi_envelope_seal(key, &renewed, column_uuid, nonce, nonce_size,
							   phi_bytes_of(plain.data, plain.size), &out);
	SecretWipe(plain.data, plain.size);
	CheckStatus(status, "seal a value");
	return sealed;
}

/* ---- one row ---- */

/* Is a value of the row under another key than the current one? */
static bool
NeedsReseal(Reseal *work, TupleTableSlot *slot)
{
	uint32 current = KeyringRelationKey(work->policy->root)->id;
	phi_header header;
	bool isnull;

	for (int i = 0; i < work->policy->column_count; i++)
	{
		Datum value = slot_getattr(slot, work->policy->columns[i].attnum, &isnull);

		if (isnull)
			continue;
		ReadHeader(value, &header);
		if (header.dek_id != current)
			return true;
	}
	return false;
}

/*
 * Lock the last version of a row into work->locked.  False when the row is
 * gone, moved to another partition, or held by another while we hold rows:
 * work->busy is then set.
 */
static bool
LockRow(Reseal *work, ItemPointerData tid)
{
	LockWaitPolicy wait = LockWaitSkip;
	uint8 flags = 0;
	TM_FailureData failure;

	for (;;)
	{
		TM_Result result =
			table_tuple_lock(work->relation, &tid, work->snapshot, work->locked,
							 work->estate->es_output_cid, work->mode, wait, flags, &failure);

		if (result == TM_WouldBlock && work->held > 0)
		{
			work->busy = true;
			return false;
		}
		if (result == TM_WouldBlock)
			wait = LockWaitBlock;
		else if (result == TM_Updated && flags == 0 &&
				 !ItemPointerIndicatesMovedPartitions(&failure.ctid))
			flags = TUPLE_LOCK_FLAG_FIND_LAST_VERSION;
		else
		{
			work->held += result == TM_Ok;
			return result == TM_Ok;
		}
	}
}

/* Fill work->stored with the locked row and its values under the current key; false when none opens. */
static bool
BuildRow(Reseal *work)
{
	TupleDesc columns = RelationGetDescr(work->relation);
	uint32 current = KeyringRelationKey(work->policy->root)->id;
	TupleTableSlot *stored = work->stored;
	bool changed = false;
	phi_header header;

	ExecClearTuple(stored);
	slot_getallattrs(work->locked);
	for (int i = 0; i < columns->natts; i++)
	{
		stored->tts_values[i] = work->locked->tts_values[i];
		stored->tts_isnull[i] =
			work->locked->tts_isnull[i] || TupleDescAttr(columns, i)->attisdropped;
	}
	for (int i = 0; i < work->policy->column_count; i++)
	{
		int position = work->policy->columns[i].attnum - 1;
		struct varlena *sealed;

		if (stored->tts_isnull[position])
			continue;
		ReadHeader(stored->tts_values[position], &header);
		if (header.dek_id == current)
			continue;
		sealed = ResealValue(stored->tts_values[position], &header, work->policy->root);
		if (!sealed)
		{
			work->unreadable++;
			continue;
		}
		stored->tts_values[position] = PointerGetDatum(sealed);
		changed = true;
	}
	ExecStoreVirtualTuple(stored);
	stored->tts_tableOid = RelationGetRelid(work->relation);
	return changed;
}

/* Reseal the row that the scan is at, if it needs that. */
static void
ResealRow(Reseal *work)
{
	if (!NeedsReseal(work, work->seen) || !LockRow(work, work->seen->tts_tid))
		return;
	if (NeedsReseal(work, work->locked) && BuildRow(work))
	{
		ExecSimpleRelationUpdate(work->target, work->estate, NULL, work->locked, work->stored);
		work->changed++;
	}
}

/* ---- one batch ---- */

/* What the executor needs to update rows; no triggers. */
static void
BeginUpdates(Reseal *work)
{
	Relation relation = work->relation;
	RangeTblEntry *entry = makeNode(RangeTblEntry);
	Bitmapset *key_columns;

	entry->rtekind = RTE_RELATION;
	entry->relid = RelationGetRelid(relation);
	entry->relkind = relation->rd_rel->relkind;
	entry->rellockmode = RowExclusiveLock;
	work->estate = CreateExecutorState();
	InitRangeTable(work->estate, entry);
	work->estate->es_output_cid = GetCurrentCommandId(true);
	work->estate->es_snapshot = work->snapshot;
	work->target = makeNode(ResultRelInfo);
	InitResultRelInfo(work->target, relation, 1, NULL, 0);
	work->target->ri_TrigDesc = NULL;
	ExecOpenIndices(work->target, false);
	work->seen = table_slot_create(relation, NULL);
	work->locked = table_slot_create(relation, NULL);
	work->stored = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);
	work->row =
		AllocSetContextCreate(CurrentMemoryContext, "phi_guard reseal row", ALLOCSET_DEFAULT_SIZES);

	/* As an UPDATE does: a foreign key's check of the row goes on unless a sealed column is in a key. */
	key_columns = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_KEY);
	work->mode = LockTupleNoKeyExclusive;
	for (int i = 0; i < work->policy->column_count; i++)
		if (bms_is_member(work->policy->columns[i].attnum - FirstLowInvalidHeapAttributeNumber,
						  key_columns))
			work->mode = LockTupleExclusive;
}

static void
EndUpdates(Reseal *work)
{
	ExecDropSingleTupleTableSlot(work->seen);
	ExecDropSingleTupleTableSlot(work->locked);
	ExecDropSingleTupleTableSlot(work->stored);
	ExecCloseIndices(work->target);
	FreeExecutorState(work->estate);
	MemoryContextDelete(work->row);
}

/* Go through the blocks from first until a limit is reached. */
static void
ScanBlocks(Reseal *work, BlockNumber first, int limit)
{
	BlockNumber count = RelationGetNumberOfBlocks(work->relation);
	BlockNumber end = count - Min(first, count) > MAX_BLOCKS ? first + MAX_BLOCKS : count;
	MemoryContext old = CurrentMemoryContext;
	ItemPointerData low;
	ItemPointerData high;
	TableScanDesc scan;

	work->next = end < count ? end : InvalidBlockNumber;
	if (first >= count)
		return;
	ItemPointerSet(&low, first, FirstOffsetNumber);
	ItemPointerSet(&high, end - 1, MaxOffsetNumber);
	scan = table_beginscan_tidrange(work->relation, work->snapshot, &low, &high);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, work->seen))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(work->row);
		ResealRow(work);
		MemoryContextSwitchTo(old);
		if (work->busy || work->changed >= limit)
		{
			work->next = ItemPointerGetBlockNumber(&work->seen->tts_tid);
			break;
		}
		ExecClearTuple(work->stored);
		ResetPerTupleExprContext(work->estate);
		MemoryContextReset(work->row);
	}
	table_endscan(scan);
}

/* The table's protection; raises where there is none, or where rows cannot be found by block. */
static const ProtectedRelation *
RequireResealable(Relation relation)
{
	const ProtectedRelation *policy = RegistryRelation(RelationGetRelid(relation));

	if (!policy)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not protected", RelationGetRelationName(relation))));
	if (relation->rd_rel->relkind != RELKIND_RELATION ||
		relation->rd_rel->relam != HEAP_TABLE_AM_OID)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table \"%s\" cannot be resealed", RelationGetRelationName(relation)),
				 errdetail("Only ordinary tables of access method heap can be.")));
	return policy;
}

/* The event of a batch. */
static void
RecordBatch(const Reseal *work)
{
	AuditEvent event = {0};

	event.action = "reseal";
	event.outcome = "success";
	event.relation = RelationGetRelid(work->relation);
	event.detail = psprintf("rows under data key %u", KeyringRelationKey(work->policy->root)->id);
	event.row_count = work->changed;
	AuditAppend(&event);
}

/*
 * phi.reseal_batch(member regclass, first_block bigint, max_rows integer, OUT
 * next_block bigint, OUT changed integer, OUT unreadable integer, OUT blocks
 * bigint): reseal up to max_rows rows of a table from a block on; next_block
 * is NULL at the table's end.  Internal: no role holds EXECUTE.
 */
Datum
phi_reseal_batch(PG_FUNCTION_ARGS)
{
	Oid member = PG_GETARG_OID(0);
	Reseal work = {0};
	OwnerScope scope;
	TupleDesc columns;
	Datum values[4];
	bool nulls[4] = {false};

	RequirePreload();
	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	work.relation = try_table_open(member, RowExclusiveLock);
	if (!work.relation)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation does not exist")));
	work.policy = RequireResealable(work.relation);
	RelationOwnerBegin(&scope, member);
	work.snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(work.snapshot);
	BeginUpdates(&work);
	ScanBlocks(&work, (BlockNumber) PG_GETARG_INT64(1), PG_GETARG_INT32(2));
	EndUpdates(&work);
	PopActiveSnapshot();
	UnregisterSnapshot(work.snapshot);
	OwnerEnd(&scope);
	if (work.changed > 0)
		RecordBatch(&work);

	nulls[0] = work.next == InvalidBlockNumber;
	values[0] = Int64GetDatum((int64) work.next);
	values[1] = Int32GetDatum(work.changed);
	values[2] = Int32GetDatum(work.unreadable);
	values[3] = Int64GetDatum((int64) RelationGetNumberOfBlocks(work.relation));
	table_close(work.relation, NoLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}
