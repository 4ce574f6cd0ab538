/*-------------------------------------------------------------------------
 * rows.c
 *		Rewriting the rows of a live table, a batch at a time.
 *
 * Rows are updated below the executor's statements, as the apply worker of a
 * subscription does it: no trigger of anybody fires, no row security applies,
 * no change event is written.  What may run the table owner's code, index
 * expressions and constraints, runs as that owner in a security-restricted
 * operation.  Dropped columns become null in every row that is written.
 *
 * Locking: a batch never waits for a row while it holds others: it ends before
 * such a row, and the next one begins with it.  So it takes no part in a
 * deadlock over rows, and a writer waits for one batch at most.
 *
 * Memory: what the callbacks allocate goes with the row.
 *-------------------------------------------------------------------------
 */
#include "types/rows.h"

#include "access/tableam.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define MAX_BLOCKS 8192 /* read in one batch at most, whatever it finds */

/* The executor's part of a walk. */
typedef struct RowWriter
{
	EState *estate;
	ResultRelInfo *target;
	Snapshot snapshot;
	LockTupleMode mode;
	TupleTableSlot *seen;   /* by the scan */
	TupleTableSlot *locked; /* the row's last version */
	TupleTableSlot *stored; /* and as it is to be stored */
	MemoryContext row;
	int held;  /* rows locked */
	bool busy; /* the batch ends here: somebody holds the next row */
} RowWriter;

/* What the executor needs to update rows; no triggers. */
static void
BeginWriting(RowWriter *writer, const RowWalk *walk)
{
	Relation relation = walk->relation;
	RangeTblEntry *entry = makeNode(RangeTblEntry);

	entry->rtekind = RTE_RELATION;
	entry->relid = RelationGetRelid(relation);
	entry->relkind = relation->rd_rel->relkind;
	entry->rellockmode = RowExclusiveLock;
	writer->snapshot = RegisterSnapshot(walk->snapshot ? walk->snapshot : GetLatestSnapshot());
	PushActiveSnapshot(writer->snapshot);
	writer->estate = CreateExecutorState();
	InitRangeTable(writer->estate, entry);
	writer->estate->es_output_cid = GetCurrentCommandId(true);
	writer->estate->es_snapshot = writer->snapshot;
	writer->target = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->target, relation, 1, NULL, 0);
	writer->target->ri_TrigDesc = NULL;
	ExecOpenIndices(writer->target, false);
	writer->seen = table_slot_create(relation, NULL);
	writer->locked = table_slot_create(relation, NULL);
	writer->stored = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);
	writer->row =
		AllocSetContextCreate(CurrentMemoryContext, "phi_guard row", ALLOCSET_DEFAULT_SIZES);

	/* As an UPDATE does: a foreign key's check of the row goes on unless a key column changes. */
	writer->mode =
		bms_overlap(walk->written, RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_KEY))
			? LockTupleExclusive
			: LockTupleNoKeyExclusive;
}

static void
EndWriting(RowWriter *writer)
{
	ExecDropSingleTupleTableSlot(writer->seen);
	ExecDropSingleTupleTableSlot(writer->locked);
	ExecDropSingleTupleTableSlot(writer->stored);
	ExecCloseIndices(writer->target);
	FreeExecutorState(writer->estate);
	MemoryContextDelete(writer->row);
	PopActiveSnapshot();
	UnregisterSnapshot(writer->snapshot);
}

/*
 * Lock the last version of the row that the scan is at.  False when the row is
 * gone, moved to another partition, or held by another while we hold rows:
 * writer->busy is then set.
 */
static bool
LockRow(RowWriter *writer, Relation relation)
{
	ItemPointerData tid = writer->seen->tts_tid;
	LockWaitPolicy wait = LockWaitSkip;
	uint8 flags = 0;
	TM_FailureData failure;

	for (;;)
	{
		TM_Result result =
			table_tuple_lock(relation, &tid, writer->snapshot, writer->locked,
							 writer->estate->es_output_cid, writer->mode, wait, flags, &failure);

		if (result == TM_WouldBlock && writer->held > 0)
		{
			writer->busy = true;
			return false;
		}
		if (result == TM_WouldBlock)
			wait = LockWaitBlock;
		else if (result == TM_Updated && flags == 0 &&
				 !ItemPointerIndicatesMovedPartitions(&failure.ctid))
			flags = TUPLE_LOCK_FLAG_FIND_LAST_VERSION;
		else
		{
			writer->held += result == TM_Ok;
			return result == TM_Ok;
		}
	}
}

/* Copy the locked row to writer->stored, without dropped columns. */
static void
CopyRow(RowWriter *writer, TupleDesc columns)
{
	ExecClearTuple(writer->stored);
	for (int i = 0; i < columns->natts; i++)
	{
		writer->stored->tts_values[i] = writer->locked->tts_values[i];
		writer->stored->tts_isnull[i] =
			writer->locked->tts_isnull[i] || TupleDescAttr(columns, i)->attisdropped;
	}
}

/* Write the row that the scan is at, if it needs that. */
static void
WriteRow(RowWriter *writer, RowWalk *walk)
{
	slot_getallattrs(writer->seen);
	if (!walk->needed(writer->seen, walk->state) || !LockRow(writer, walk->relation))
		return;
	slot_getallattrs(writer->locked);
	if (!walk->needed(writer->locked, walk->state))
		return;
	CopyRow(writer, RelationGetDescr(walk->relation));
	if (!walk->change(writer->stored, walk->state))
		return;
	ExecStoreVirtualTuple(writer->stored);
	writer->stored->tts_tableOid = RelationGetRelid(walk->relation);
	ExecSimpleRelationUpdate(writer->target, writer->estate, NULL, writer->locked, writer->stored);
	walk->changed++;
}

/* Go through the blocks from first until a limit is reached. */
static void
ScanBlocks(RowWriter *writer, RowWalk *walk, BlockNumber first)
{
	BlockNumber count = RelationGetNumberOfBlocks(walk->relation);
	BlockNumber end = count - Min(first, count) > MAX_BLOCKS ? first + MAX_BLOCKS : count;
	MemoryContext old = CurrentMemoryContext;
	ItemPointerData low;
	ItemPointerData high;
	TableScanDesc scan;

	walk->next = end < count ? end : InvalidBlockNumber;
	if (first >= count)
		return;
	ItemPointerSet(&low, first, FirstOffsetNumber);
	ItemPointerSet(&high, end - 1, MaxOffsetNumber);
	scan = table_beginscan_tidrange(walk->relation, writer->snapshot, &low, &high);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, writer->seen))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(writer->row);
		WriteRow(writer, walk);
		MemoryContextSwitchTo(old);
		if (writer->busy || walk->changed >= walk->limit)
		{
			walk->next = ItemPointerGetBlockNumber(&writer->seen->tts_tid);
			break;
		}
		ExecClearTuple(writer->stored);
		ResetPerTupleExprContext(writer->estate);
		MemoryContextReset(writer->row);
	}
	table_endscan(scan);
}

/*
 * One batch of a walk.
 */
void
WalkRows(RowWalk *walk, BlockNumber first)
{
	RowWriter writer = {0};
	OwnerScope scope;

	walk->changed = 0;
	RelationOwnerBegin(&scope, RelationGetRelid(walk->relation));
	BeginWriting(&writer, walk);
	ScanBlocks(&writer, walk, first);
	EndWriting(&writer);
	OwnerEnd(&scope);
}
