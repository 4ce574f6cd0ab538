/*-------------------------------------------------------------------------
 * verify.c
 *		phi.audit_verify(): computes every leaf from its event and the tree
 *		from the leaves, compares with what is stored, and names the first
 *		event that the log no longer vouches for.
 *
 * One pass in leaf order, in one snapshot.  Two trees grow: of the stored leaf
 * hashes, and of those computed from the events.  Where they part, the next
 * checkpoint tells which is right: an event was altered if its root is that of
 * the stored hashes, a leaf if it is that of the computed ones.
 *
 * Memory: FETCH_ROWS events at a time; a leaf is made in a context that is
 * reset after it.  Messages name numbers, never a column's value.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"
#include "utils/xid8.h"

#define FETCH_ROWS     1000
#define RESULT_COLUMNS 6

/* Columns of the leaf behind those of its event. */
#define ROW_LEAF_INDEX  EVENT_COLUMNS
#define ROW_EVENT_ID    (EVENT_COLUMNS + 1)
#define ROW_RECORDED_AT (EVENT_COLUMNS + 2)
#define ROW_LEAF_HASH   (EVENT_COLUMNS + 3)
#define ROW_COLUMNS     (EVENT_COLUMNS + 4)

PG_FUNCTION_INFO_V1(phi_audit_verify);

/* A row of phi_audit.checkpoint. */
typedef struct Checkpoint
{
	bool present;
	uint64 size;
	bool readable; /* root and frontier have the right sizes */
	uint8 root[PHI_HASH_SIZE];
	phi_frontier frontier;
} Checkpoint;

/* One verification. */
typedef struct Verification
{
	MemoryContext context; /* of what is returned */
	Portal checkpoints;
	Checkpoint next;     /* not reached yet */
	uint64 passed;       /* checkpoints reached */
	uint64 range_from;   /* leaves below it were confirmed by a checkpoint */
	uint64 range_begin;  /* size of the last checkpoint reached */
	phi_frontier stored; /* tree of the stored leaf hashes */
	phi_frontier computed;
	bool parted; /* they differ from parted_event on */
	int64 parted_event;
	uint64 suspect;   /* size of the first checkpoint with another root, or 0 */
	uint64 last_txid; /* of the leaf before, in the same range */
	int64 last_event;
	StringInfoData buffer;
	const char *problem; /* the first; verification stops there */
	bool has_bad_event;
	int64 bad_event;
	int64 unsealed;
	int64 unsealed_early; /* those that the last checkpoint should cover */
	int64 first_early;
} Verification;

/* Note the first problem, and the event that it makes doubtful. */
static void
Fail(Verification *state, int64 event, const char *problem)
{
	MemoryContext old;

	if (state->problem != NULL)
		return;
	old = MemoryContextSwitchTo(state->context);
	state->problem = pstrdup(problem);
	MemoryContextSwitchTo(old);
	state->has_bad_event = true;
	state->bad_event = event;
}

/* The same where no event can be named. */
static void
FailWithout(Verification *state, const char *problem)
{
	Fail(state, 0, problem);
	state->has_bad_event = false;
}

/* The same for leaves that are gone: their events, unless gone too, have none. */
static void
FailForUnsealed(Verification *state, const char *problem)
{
	if (state->unsealed_early > 0)
		Fail(state, state->first_early, problem);
	else
		FailWithout(state, problem);
}

/* ---- checkpoints ---- */

/* Bytes of a bytea column; none for NULL. */
static phi_bytes
ColumnBytes(Datum value, bool isnull)
{
	bytea *bytes = isnull ? NULL : DatumGetByteaPP(value);

	return isnull ? phi_bytes_of(NULL, 0)
				  : phi_bytes_of(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/* Read the next checkpoint; none is left where it is not present. */
static void
NextCheckpoint(Verification *state)
{
	Checkpoint *next = &state->next;
	Datum values[3];
	bool isnull[3];
	phi_bytes root;

	memset(next, 0, sizeof(*next));
	SPI_cursor_fetch(state->checkpoints, true, 1);
	if (SPI_processed == 0)
		return;
	heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, values, isnull);
	next->present = true;
	next->size = (uint64) DatumGetInt64(values[0]);
	root = ColumnBytes(values[1], isnull[1]);
	next->readable =
		root.size == PHI_HASH_SIZE &&
		phi_frontier_load(&next->frontier, next->size, ColumnBytes(values[2], isnull[2])) == PHI_OK;
	if (next->readable)
		memcpy(next->root, root.data, PHI_HASH_SIZE);
	SPI_freetuptable(SPI_tuptable);
}

/* Is the root of a tree that of the next checkpoint? */
static bool
HasRoot(const Checkpoint *checkpoint, const phi_frontier *tree)
{
	uint8 root[PHI_HASH_SIZE];

	CheckStatus(phi_frontier_root(tree, root), "compute a root");
	return checkpoint->readable && memcmp(root, checkpoint->root, sizeof(root)) == 0;
}

/* The trees have parted: let the checkpoint that confirms one of them judge. */
static void
JudgeParted(Verification *state)
{
	const char *what = "event " INT64_FORMAT
					   " or its leaf was altered: they do not agree, and no checkpoint tells which";

	if (HasRoot(&state->next, &state->stored))
		what = "event " INT64_FORMAT " was altered: it does not agree with its leaf";
	else if (HasRoot(&state->next, &state->computed))
		what = "the leaf of event " INT64_FORMAT " was altered: it does not agree with its event";
	Fail(state, state->parted_event, psprintf(what, state->parted_event));
}

/* Compare the trees with the checkpoint of their size. */
static void
ReachCheckpoint(Verification *state)
{
	const Checkpoint *next = &state->next;

	if (state->parted)
		JudgeParted(state);
	else if (!HasRoot(next, &state->stored))
	{
		if (state->suspect == 0)
			state->suspect = next->size;
	}
	else if (state->suspect != 0)
		FailWithout(state,
					psprintf("checkpoint " UINT64_FORMAT " was altered: a later one confirms "
							 "the leaves below it",
							 state->suspect));
	else if (memcmp(next->frontier.peaks, state->stored.peaks,
					phi_frontier_bytes(&state->stored)) != 0)
		FailWithout(state, psprintf("checkpoint " UINT64_FORMAT
									" was altered: its stored tree is not that of its root",
									next->size));
	if (state->suspect == 0)
		state->range_from = next->size;
	state->range_begin = next->size;
	state->last_txid = 0;
	state->last_event = 0;
	state->passed++;
	NextCheckpoint(state);
}

/*
 * No later checkpoint confirmed the leaves below the suspect one: they were
 * altered together with their events.  The first event of the range is the
 * first that is not vouched for.
 */
static void
FailSuspect(Verification *state)
{
	Oid types[] = {INT8OID};
	Datum values[] = {Int64GetDatum((int64) state->range_from)};
	char *problem = psprintf("leaves " UINT64_FORMAT " to " UINT64_FORMAT
							 " do not give the root of checkpoint " UINT64_FORMAT
							 ": leaves were altered together with their events, or the checkpoint",
							 state->range_from, state->suspect - 1, state->suspect);
	bool isnull;

	if (SPI_execute_with_args("SELECT event_id FROM phi_audit.leaf WHERE leaf_index = $1", 1, types,
							  values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.leaf");
	if (SPI_processed == 1)
		Fail(state,
			 DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)),
			 problem);
	else
		FailWithout(state, problem);
}

/* ---- leaves ---- */

/* A leaf names an event that is not where it should be. */
static void
FailMissingEvent(Verification *state, uint64 leaf, int64 event, const uint8 *leaf_hash)
{
	Oid types[] = {INT8OID};
	Datum values[] = {Int64GetDatum(event)};
	Datum columns[EVENT_COLUMNS];
	bool isnull[EVENT_COLUMNS];
	uint8 hash[PHI_HASH_SIZE];

	if (SPI_execute_with_args("SELECT " EVENT_COLUMN_LIST
							  " FROM phi_audit.event e WHERE e.event_id = $1",
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.event");
	if (SPI_processed == 0)
	{
		Fail(state, event,
			 psprintf("event " INT64_FORMAT " is missing: leaf " UINT64_FORMAT " has no event",
					  event, leaf));
		return;
	}
	heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, columns, isnull);
	EventLeafHash(columns, isnull, &state->buffer, hash);
	Fail(state, event,
		 psprintf(memcmp(hash, leaf_hash, sizeof(hash)) == 0
					  ? "the leaf of event " INT64_FORMAT " was altered: it names another time"
					  : "event " INT64_FORMAT " was altered: it has another time than its leaf",
				  event));
}

/* Events of a range are not in the order in which they are sealed: name the first misplaced. */
static void
FailOrder(Verification *state, uint64 leaf, int64 event)
{
	Oid types[] = {INT8OID, INT8OID};
	Datum values[] = {Int64GetDatum((int64) state->range_begin),
					  Int64GetDatum(state->next.present ? (int64) state->next.size : PG_INT64_MAX)};
	bool isnull;

	if (SPI_execute_with_args("SELECT s.leaf_index, s.event_id FROM "
							  "(SELECT l.leaf_index, l.event_id, "
							  "row_number() OVER (ORDER BY e.txid, e.event_id) + $1 - 1 AS place "
							  "FROM phi_audit.leaf l JOIN phi_audit.event e "
							  "ON e.recorded_at = l.recorded_at AND e.event_id = l.event_id "
							  "WHERE l.leaf_index >= $1 AND l.leaf_index < $2) s "
							  "WHERE s.place <> s.leaf_index ORDER BY s.leaf_index LIMIT 1",
							  2, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.leaf");
	if (SPI_processed == 1)
	{
		HeapTuple row = SPI_tuptable->vals[0];

		leaf = (uint64) DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
		event = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	}
	Fail(state, event,
		 psprintf("leaves were reordered: leaf " UINT64_FORMAT " has event " INT64_FORMAT
				  ", which does not belong there",
				  leaf, event));
}

/* Grow both trees by a leaf; the second one is kept only while it differs. */
static void
Grow(Verification *state, int64 event, const uint8 *stored, const uint8 *computed)
{
	if (!state->parted && memcmp(stored, computed, PHI_HASH_SIZE) != 0)
	{
		state->parted = true;
		state->parted_event = event;
		state->computed = state->stored;
	}
	if (state->parted)
		CheckStatus(phi_frontier_append(&state->computed, computed), "extend a tree");
	CheckStatus(phi_frontier_append(&state->stored, stored), "extend a tree");
}

/* Check one leaf and its event, given as one row. */
static void
CheckLeaf(Verification *state, const Datum *row, const bool *isnull)
{
	uint64 index = (uint64) DatumGetInt64(row[ROW_LEAF_INDEX]);
	int64 event = DatumGetInt64(row[ROW_EVENT_ID]);
	phi_bytes stored = ColumnBytes(row[ROW_LEAF_HASH], isnull[ROW_LEAF_HASH]);
	uint8 computed[PHI_HASH_SIZE];
	uint64 txid;

	if (index > state->stored.size)
		FailForUnsealed(state, psprintf("leaf " UINT64_FORMAT " is missing", state->stored.size));
	else if (index < state->stored.size)
		Fail(state, event,
			 psprintf("leaf " UINT64_FORMAT " or its event is there more than once", index));
	else if (stored.size != PHI_HASH_SIZE)
		Fail(state, event,
			 psprintf("the leaf of event " INT64_FORMAT " was altered: it has no hash", event));
	else if (isnull[EVENT_ID])
		FailMissingEvent(state, index, event, stored.data);
	if (state->problem != NULL)
		return;

	EventLeafHash(row, isnull, &state->buffer, computed);
	Grow(state, event, stored.data, computed);
	txid = U64FromFullTransactionId(DatumGetFullTransactionId(row[EVENT_TXID]));
	if (!state->parted &&
		(txid < state->last_txid || (txid == state->last_txid && event <= state->last_event)))
		FailOrder(state, index, event);
	state->last_txid = txid;
	state->last_event = event;
	if (state->next.present && state->next.size == state->stored.size)
		ReachCheckpoint(state);
}

/* Go through the leaves in order until a problem is found. */
static void
CheckLeaves(Verification *state)
{
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "phi_guard verified event",
											   ALLOCSET_DEFAULT_SIZES);
	Portal leaves = SPI_cursor_open_with_args(
		NULL,
		"SELECT " EVENT_COLUMN_LIST ", l.leaf_index, l.event_id, l.recorded_at, l.leaf_hash "
		"FROM phi_audit.leaf l LEFT JOIN phi_audit.event e "
		"ON e.recorded_at = l.recorded_at AND e.event_id = l.event_id "
		"ORDER BY l.leaf_index, l.event_id",
		0, NULL, NULL, NULL, true, 0);

	while (state->problem == NULL)
	{
		SPITupleTable *rows;
		uint64 count;
		uint64 i;

		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(leaves, true, FETCH_ROWS);
		rows = SPI_tuptable;
		CheckEventColumns(rows->tupdesc);
		count = SPI_processed;
		for (i = 0; i < count && state->problem == NULL; i++)
		{
			Datum row[ROW_COLUMNS];
			bool isnull[ROW_COLUMNS];
			MemoryContext old = MemoryContextSwitchTo(each);

			heap_deform_tuple(rows->vals[i], rows->tupdesc, row, isnull);
			CheckLeaf(state, row, isnull);
			MemoryContextSwitchTo(old);
			MemoryContextReset(each);
		}
		SPI_freetuptable(rows);
		if (count == 0)
			break;
	}
	SPI_cursor_close(leaves);
}

/* After the last leaf: is it that of the last checkpoint, and did that agree? */
static void
CheckEnd(Verification *state)
{
	uint64 leaves = state->stored.size;

	if (state->problem != NULL)
		return;
	if (state->parted)
		JudgeParted(state);
	else if (state->next.present)
		FailForUnsealed(state, psprintf("leaves from " UINT64_FORMAT
										" on are missing: checkpoint " UINT64_FORMAT " has more",
										leaves, state->next.size));
	else if (state->suspect != 0)
		FailSuspect(state);
	else if (leaves > state->range_from)
		FailWithout(state,
					psprintf("leaves from " UINT64_FORMAT
							 " on are under no checkpoint: they were added, or it was removed",
							 state->range_from));
	else if (state->unsealed_early > 0)
		Fail(state, state->first_early,
			 psprintf("event " INT64_FORMAT " has no leaf, though a checkpoint covers its time: it "
					  "was inserted afterwards, or its leaf removed",
					  state->first_early));
}

/* Count the events without a leaf, and those that the last checkpoint should cover. */
static void
CountUnsealed(Verification *state)
{
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(LogIncarnation())};
	HeapTuple row;
	bool isnull;

	if (SPI_execute_with_args(
			"WITH last AS MATERIALIZED (SELECT c.horizon, c.incarnation FROM phi_audit.checkpoint "
			"c "
			"ORDER BY c.tree_size DESC LIMIT 1), "
			"early AS MATERIALIZED (SELECT last.horizon FROM last WHERE last.incarnation = $1) "
			"SELECT count(*), "
			"count(*) FILTER (WHERE e.txid < (SELECT early.horizon FROM early)), "
			"min(e.event_id) FILTER (WHERE e.txid < (SELECT early.horizon FROM early)) "
			"FROM phi_audit.event e WHERE NOT EXISTS "
			"(SELECT FROM phi_audit.leaf l WHERE l.event_id = e.event_id)",
			1, types, values, NULL, true, 0) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read phi_audit.event");
	row = SPI_tuptable->vals[0];
	state->unsealed = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
	state->unsealed_early = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	state->first_early = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 3, &isnull));
}

/* Verify the log; runs as the extension's owner. */
static void
VerifyLog(Verification *state)
{
	CountUnsealed(state);
	initStringInfo(&state->buffer);
	phi_frontier_init(&state->stored);
	state->checkpoints =
		SPI_cursor_open_with_args(NULL,
								  "SELECT tree_size, root, frontier FROM phi_audit.checkpoint "
								  "ORDER BY tree_size",
								  0, NULL, NULL, NULL, true, 0);
	NextCheckpoint(state);
	CheckLeaves(state);
	CheckEnd(state);
	SPI_cursor_close(state->checkpoints);
}

/*
 * phi.audit_verify(): one row: ok, events whose leaves were confirmed,
 * checkpoints reached, events not sealed yet, the first bad event, the problem
 * in words.  A log that was never made is in order: nothing was audited.
 */
Datum
phi_audit_verify(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Verification *state = palloc0(sizeof(Verification));
	Datum values[RESULT_COLUMNS] = {0};
	bool isnull[RESULT_COLUMNS] = {false};
	OwnerScope owner;

	RequirePreload();
	InitMaterializedSRF(fcinfo, 0);
	state->context = CurrentMemoryContext;
	if (AuditLogFind() != NULL)
	{
		OwnerBegin(&owner);
		SPI_connect();
		VerifyLog(state);
		SPI_finish();
		OwnerEnd(&owner);
	}
	values[0] = BoolGetDatum(state->problem == NULL);
	values[1] =
		Int64GetDatum((int64) (state->problem == NULL ? state->stored.size : state->range_from));
	values[2] = Int64GetDatum((int64) state->passed);
	values[3] = Int64GetDatum(state->unsealed);
	values[4] = Int64GetDatum(state->bad_event);
	isnull[4] = !state->has_bad_event;
	if (state->problem != NULL)
		values[5] = CStringGetTextDatum(state->problem);
	else
		isnull[5] = true;
	tuplestore_putvalues(result->setResult, result->setDesc, values, isnull);
	return (Datum) 0;
}
