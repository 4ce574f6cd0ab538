/*-------------------------------------------------------------------------
 * verify.c
 *		phi.audit_verify(): computes every leaf from its event and the tree
 *		from the leaves, compares with the signed checkpoints, and names the
 *		first event that the log no longer vouches for.
 *
 * One pass in leaf order, in one snapshot, WINDOW leaves at a time: the leaves
 * of a window by their index, then the events recorded in its span of time, in
 * whatever order the table gives them; each finds its leaf by its number.  No
 * sort, no join and no spill: a hash for each event and one for each leaf.
 *
 * Two trees grow: of the stored leaf hashes, and of those computed from the
 * events.  Where they part, the next signed checkpoint tells which is right: an
 * event was altered if its root is that of the stored hashes, a leaf if it is
 * that of the computed ones.  A checkpoint counts if its signature is that of
 * its incarnation; one that was altered is told from altered leaves by the next.
 *
 * An event that was erased, or whose month was archived, counts with its stored
 * hash, where an event of the log says that it was.
 *
 * Memory: one window (1.5 MB) and FETCH_ROWS events at a time.  Messages name
 * numbers, never a column's value.
 *-------------------------------------------------------------------------
 */
#include "audit/checkpoint.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"
#include "utils/xid8.h"

#define FETCH_ROWS     1000
#define RESULT_COLUMNS 8
#define WINDOW         16384 /* leaves; a power of two */
#define WINDOW_SLOTS   (2 * WINDOW)

PG_FUNCTION_INFO_V1(phi_audit_verify);

/* A row of phi_audit.checkpoint. */
typedef struct Checkpoint
{
	bool present;
	uint64 size;
	bool is_signed;      /* root is what its incarnation signed */
	const char *altered; /* or what is wrong with it, as a format of its size */
	uint8 root[PHI_HASH_SIZE];
	phi_frontier frontier; /* as stored; size 0 where it is of another size */
} Checkpoint;

/* A leaf of the window, and what was found of its event. */
typedef struct WindowLeaf
{
	uint64 index;
	int64 event;
	TimestampTz recorded_at;
	uint64 txid;
	bool found;
	bool erased;
	bool twice;
	uint8 stored_size; /* of its hash */
	uint8 stored[PHI_HASH_SIZE];
	uint8 computed[PHI_HASH_SIZE];
} WindowLeaf;

/* One verification. */
typedef struct Verification
{
	MemoryContext context; /* of what is returned */
	Incarnation *incarnations;
	uint64 incarnation_count;
	ArrayType *erased;   /* bigint[]: events that the log says were erased, in order */
	ArrayType *archived; /* timestamptz[]: first moments of archived months */
	KeptCheckpoint kept; /* the newest one of the directory, */
	bool has_kept;       /* if there is one */
	bool kept_reached;
	Portal checkpoints;
	Portal leaves;
	SPIPlanPtr events;
	Checkpoint next;     /* not reached yet */
	uint64 first;        /* leaf to begin with */
	uint64 until;        /* and to end before */
	uint64 passed;       /* checkpoints reached */
	uint64 range_from;   /* leaves below it were confirmed by a signed checkpoint */
	uint64 range_begin;  /* size of the last checkpoint reached */
	phi_frontier stored; /* tree of the stored leaf hashes */
	phi_frontier computed;
	bool parted; /* they differ from parted_event on */
	int64 parted_event;
	const char *altered; /* the first checkpoint that is not signed as it is */
	uint64 last_txid;    /* of the leaf before, in the same range */
	int64 last_event;
	WindowLeaf *window;
	int window_count;
	int32 *slots; /* hash table of the window: number of a leaf, or -1 */
	StringInfoData buffer;
	const char *problem; /* the first; verification stops there */
	bool has_bad_event;
	int64 bad_event;
	int64 found_erased;
	int64 found_archived;
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

/* Find the events without a leaf, and those that the last checkpoint should cover. */
static void
FindUnsealed(Verification *state)
{
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(psprintf("%s/", LogIncarnation()))};
	HeapTuple row;
	bool isnull;

	if (SPI_execute_with_args(
			"WITH last AS MATERIALIZED (SELECT c.horizon, c.incarnation FROM phi_audit.checkpoint "
			"c "
			"ORDER BY c.tree_size DESC LIMIT 1), "
			"early AS MATERIALIZED (SELECT last.horizon FROM last "
			"WHERE starts_with(last.incarnation, $1)) "
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

/* The same for leaves that are gone: their events, unless gone too, have none. */
static void
FailForUnsealed(Verification *state, const char *problem)
{
	FindUnsealed(state);
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

/* Read every incarnation. */
static void
LoadIncarnations(Verification *state)
{
	uint64 i;

	if (SPI_execute("SELECT i.incarnation, i.vkey FROM phi_audit.incarnation i ORDER BY i.number",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.incarnation");
	state->incarnation_count = SPI_processed;
	state->incarnations = palloc0(sizeof(Incarnation) * Max(SPI_processed, 1));
	for (i = 0; i < state->incarnation_count; i++)
	{
		Incarnation *incarnation = &state->incarnations[i];
		char *id = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		char *key = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);

		/* A damaged key verifies nothing. */
		strlcpy(incarnation->id, id, sizeof(incarnation->id));
		if (phi_vkey_parse(phi_bytes_of(key, strlen(key)), &incarnation->vkey) != PHI_OK ||
			strcmp(incarnation->vkey.name, CheckpointOrigin(id)) != 0)
			memset(&incarnation->vkey, 0, sizeof(incarnation->vkey));
	}
	SPI_freetuptable(SPI_tuptable);
}

/* Check the signature of a checkpoint: its root, or what is wrong. */
static void
CheckNote(const Verification *state, Checkpoint *checkpoint, const char *incarnation,
		  const char *note)
{
	phi_checkpoint opened;
	uint64 i = 0;

	while (i < state->incarnation_count && strcmp(state->incarnations[i].id, incarnation) != 0)
		i++;
	if (note == NULL)
		checkpoint->altered = "checkpoint " UINT64_FORMAT " was altered: it is not signed";
	else if (i == state->incarnation_count)
		checkpoint->altered =
			"checkpoint " UINT64_FORMAT " was altered: its incarnation is unknown";
	else if (phi_checkpoint_open(phi_bytes_of(note, strlen(note)), &state->incarnations[i].vkey,
								 &opened) != PHI_OK ||
			 opened.size != checkpoint->size)
		checkpoint->altered =
			"checkpoint " UINT64_FORMAT " was altered: its signature does not verify";
	else
	{
		checkpoint->is_signed = true;
		if (memcmp(checkpoint->root, opened.root, PHI_HASH_SIZE) != 0)
			checkpoint->altered =
				"checkpoint " UINT64_FORMAT " was altered: its root is not the one that was signed";
		memcpy(checkpoint->root, opened.root, PHI_HASH_SIZE);
	}
}

/* Read a checkpoint (size, root, frontier, incarnation, note). */
static void
ReadCheckpoint(const Verification *state, SPITupleTable *rows, Checkpoint *out)
{
	Datum values[5];
	bool isnull[5];
	phi_bytes root;

	memset(out, 0, sizeof(*out));
	heap_deform_tuple(rows->vals[0], rows->tupdesc, values, isnull);
	out->present = true;
	out->size = (uint64) DatumGetInt64(values[0]);
	root = ColumnBytes(values[1], isnull[1]);
	if (root.size == PHI_HASH_SIZE)
		memcpy(out->root, root.data, PHI_HASH_SIZE);
	if (phi_frontier_load(&out->frontier, out->size, ColumnBytes(values[2], isnull[2])) != PHI_OK)
		phi_frontier_init(&out->frontier);
	CheckNote(state, out, TextDatumGetCString(values[3]),
			  isnull[4] ? NULL : TextDatumGetCString(values[4]));
}

/* Read the next checkpoint; none is left where it is not present. */
static void
NextCheckpoint(Verification *state)
{
	memset(&state->next, 0, sizeof(state->next));
	SPI_cursor_fetch(state->checkpoints, true, 1);
	if (SPI_processed == 0)
		return;
	ReadCheckpoint(state, SPI_tuptable, &state->next);
	SPI_freetuptable(SPI_tuptable);
}

/* Is the root of a tree the signed root of the next checkpoint? */
static bool
HasRoot(const Checkpoint *checkpoint, const phi_frontier *tree)
{
	uint8 root[PHI_HASH_SIZE];

	CheckStatus(phi_frontier_root(tree, root), "compute a root");
	return checkpoint->is_signed && memcmp(root, checkpoint->root, sizeof(root)) == 0;
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

/* The leaves from range_from on are vouched for by nobody: the first of their events is named. */
static void
FailRange(Verification *state, const char *problem)
{
	Oid types[] = {INT8OID};
	Datum values[] = {Int64GetDatum((int64) state->range_from)};
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

/* Is this the newest checkpoint of the directory?  Then its root is that of the stored leaves. */
static void
ReachKept(Verification *state)
{
	uint8 root[PHI_HASH_SIZE];

	if (!state->has_kept || state->kept.size != state->stored.size)
		return;
	state->kept_reached = true;
	CheckStatus(phi_frontier_root(&state->stored, root), "compute a root");
	if (memcmp(root, state->kept.root, sizeof(root)) != 0)
		FailWithout(state,
					psprintf("the leaves below " UINT64_FORMAT
							 " do not give the root of the newest checkpoint in "
							 "phi.checkpoint_directory: the log was rewritten, or is another",
							 state->kept.size));
}

/* Compare the trees with the checkpoint of their size. */
static void
ReachCheckpoint(Verification *state)
{
	const Checkpoint *next = &state->next;

	if (state->parted)
		JudgeParted(state);
	else if (!next->is_signed)
		state->altered =
			state->altered != NULL ? state->altered : psprintf(next->altered, next->size);
	else if (!HasRoot(next, &state->stored))
		FailRange(state, psprintf("leaves " UINT64_FORMAT " to " UINT64_FORMAT
								  " do not give the signed root of checkpoint " UINT64_FORMAT
								  ": leaves were altered together with their events",
								  state->range_from, next->size - 1, next->size));
	else if (state->altered != NULL)
		FailWithout(state, state->altered);
	else if (next->altered != NULL)
		FailWithout(state, psprintf(next->altered, next->size));
	else if (next->frontier.size != next->size || memcmp(next->frontier.peaks, state->stored.peaks,
														 phi_frontier_bytes(&state->stored)) != 0)
		FailWithout(state, psprintf("checkpoint " UINT64_FORMAT
									" was altered: its stored tree is not that of its root",
									next->size));
	if (next->is_signed)
		state->range_from = next->size;
	state->range_begin = next->size;
	state->last_txid = 0;
	state->last_event = 0;
	state->passed++;
	NextCheckpoint(state);
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
Grow(Verification *state, const WindowLeaf *leaf)
{
	if (!state->parted && memcmp(leaf->stored, leaf->computed, PHI_HASH_SIZE) != 0)
	{
		state->parted = true;
		state->parted_event = leaf->event;
		state->computed = state->stored;
	}
	if (state->parted)
		CheckStatus(phi_frontier_append(&state->computed, leaf->computed), "extend a tree");
	CheckStatus(phi_frontier_append(&state->stored, leaf->stored), "extend a tree");
}

/* Does the log say that the month of this leaf was archived? */
static bool
MonthArchived(const Verification *state, TimestampTz when)
{
	const TimestampTz *bounds = (const TimestampTz *) ARR_DATA_PTR(state->archived);
	int count = ArrayGetNItems(ARR_NDIM(state->archived), ARR_DIMS(state->archived));
	int i;

	for (i = 0; i + 1 < count; i += 2)
	{
		if (when >= bounds[i] && when < bounds[i + 1])
			return true;
	}
	return false;
}

/* Check one leaf of the window, in its turn. */
static void
CheckLeaf(Verification *state, WindowLeaf *leaf)
{
	uint64 index = state->stored.size;

	if (leaf->stored_size != PHI_HASH_SIZE)
		Fail(state, leaf->event,
			 psprintf("the leaf of event " INT64_FORMAT " was altered: it has no hash",
					  leaf->event));
	else if (leaf->twice)
		Fail(state, leaf->event,
			 psprintf("leaf " UINT64_FORMAT " or its event is there more than once", leaf->index));
	else if (!leaf->found && !MonthArchived(state, leaf->recorded_at))
		FailMissingEvent(state, index, leaf->event, leaf->stored);
	if (state->problem != NULL)
		return;

	if (!leaf->found || leaf->erased)
		memcpy(leaf->computed, leaf->stored, PHI_HASH_SIZE);
	state->found_erased += leaf->erased;
	state->found_archived += !leaf->found;
	Grow(state, leaf);
	if (leaf->found && !state->parted &&
		(leaf->txid < state->last_txid ||
		 (leaf->txid == state->last_txid && leaf->event <= state->last_event)))
		FailOrder(state, index, leaf->event);
	if (leaf->found)
		state->last_txid = leaf->txid;
	state->last_event = leaf->event;
	ReachKept(state);
	if (state->next.present && state->next.size == state->stored.size)
		ReachCheckpoint(state);
}

/* ---- the window ---- */

/* The place in the hash table where an event's leaf is, or would be. */
static int32 *
FindSlot(const Verification *state, int64 event)
{
	uint32 at = (uint32) ((uint64) event * UINT64CONST(0x9E3779B97F4A7C15) >> 40);

	for (at %= WINDOW_SLOTS; state->slots[at] >= 0; at = (at + 1) % WINDOW_SLOTS)
	{
		if (state->window[state->slots[at]].event == event)
			break;
	}
	return &state->slots[at];
}

/* Take a leaf (index, event, time, hash) into the window; false where it has no place there. */
static bool
TakeLeaf(Verification *state, const Datum *row, bool has_hash)
{
	uint64 expected = state->stored.size + (uint64) state->window_count;
	uint64 index = (uint64) DatumGetInt64(row[0]);
	phi_bytes hash = ColumnBytes(row[3], !has_hash);
	WindowLeaf *leaf = &state->window[state->window_count];
	int32 *slot;

	memset(leaf, 0, sizeof(*leaf));
	leaf->index = index;
	leaf->event = DatumGetInt64(row[1]);
	leaf->recorded_at = DatumGetTimestampTz(row[2]);
	if (index > expected)
		return false;
	leaf->twice = index < expected;
	leaf->stored_size = (uint8) (hash.size == PHI_HASH_SIZE ? PHI_HASH_SIZE : 0);
	if (leaf->stored_size > 0)
		memcpy(leaf->stored, hash.data, PHI_HASH_SIZE);
	slot = FindSlot(state, leaf->event);
	if (*slot >= 0)
		leaf->twice = true;
	else
		*slot = state->window_count;
	state->window_count++;
	return true;
}

/* Fill the window with the next leaves; false where one is missing after them. */
static bool
FillWindow(Verification *state)
{
	bool whole = true;
	uint64 i;

	state->window_count = 0;
	memset(state->slots, 0xFF, sizeof(int32) * WINDOW_SLOTS);
	SPI_cursor_fetch(state->leaves, true, WINDOW);
	for (i = 0; i < SPI_processed && whole; i++)
	{
		Datum row[4];
		bool isnull[4];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, row, isnull);
		whole = TakeLeaf(state, row, !isnull[3]);
	}
	SPI_freetuptable(SPI_tuptable);
	return whole;
}

/* Is the event one that the log says was erased? */
static bool
EventErased(const Verification *state, int64 event)
{
	const int64 *events = (const int64 *) ARR_DATA_PTR(state->erased);
	int low = 0;
	int high = ArrayGetNItems(ARR_NDIM(state->erased), ARR_DIMS(state->erased));

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (events[middle] < event)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ArrayGetNItems(ARR_NDIM(state->erased), ARR_DIMS(state->erased)) &&
		   events[low] == event;
}

/* Hash an event, if its leaf is in the window. */
static void
TakeEvent(Verification *state, const Datum *row, const bool *isnull)
{
	int64 event = DatumGetInt64(row[EVENT_ID]);
	int32 at = *FindSlot(state, event);
	WindowLeaf *leaf = at >= 0 ? &state->window[at] : NULL;

	if (leaf == NULL || leaf->recorded_at != DatumGetTimestampTz(row[EVENT_RECORDED_AT]))
		return;
	leaf->twice = leaf->twice || leaf->found;
	leaf->found = true;
	leaf->txid = U64FromFullTransactionId(DatumGetFullTransactionId(row[EVENT_TXID]));
	leaf->erased = isnull[EVENT_SALT] && EventErased(state, event);
	if (!leaf->erased)
		EventLeafHash(row, isnull, &state->buffer, leaf->computed);
}

/* Hash the events of the window's span of time. */
static void
TakeEvents(Verification *state, MemoryContext each)
{
	TimestampTz from = PG_INT64_MAX;
	TimestampTz until = PG_INT64_MIN;
	Datum span[2];
	Portal events;
	int i;

	for (i = 0; i < state->window_count; i++)
	{
		from = Min(from, state->window[i].recorded_at);
		until = Max(until, state->window[i].recorded_at);
	}
	span[0] = TimestampTzGetDatum(from);
	span[1] = TimestampTzGetDatum(until);
	events = SPI_cursor_open(NULL, state->events, span, NULL, true);
	for (SPI_cursor_fetch(events, true, FETCH_ROWS); SPI_processed > 0;
		 SPI_freetuptable(SPI_tuptable), SPI_cursor_fetch(events, true, FETCH_ROWS))
	{
		MemoryContext old = MemoryContextSwitchTo(each);
		uint64 row;

		CHECK_FOR_INTERRUPTS();
		for (row = 0; row < SPI_processed; row++)
		{
			Datum values[EVENT_COLUMNS];
			bool isnull[EVENT_COLUMNS];

			heap_deform_tuple(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, values, isnull);
			TakeEvent(state, values, isnull);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(each);
	}
	SPI_cursor_close(events);
}

/* Open what is read: leaves in order, and the plan of the events of a span of time. */
static void
OpenLeaves(Verification *state)
{
	Oid leaf_types[] = {INT8OID, INT8OID};
	Datum leaf_range[] = {Int64GetDatum((int64) state->first), Int64GetDatum((int64) state->until)};
	Oid event_types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID};

	state->leaves = SPI_cursor_open_with_args(
		NULL,
		"SELECT l.leaf_index, l.event_id, l.recorded_at, l.leaf_hash FROM phi_audit.leaf l "
		"WHERE l.leaf_index >= $1 AND l.leaf_index < $2 ORDER BY l.leaf_index, l.event_id",
		2, leaf_types, leaf_range, NULL, true, 0);
	state->events = SPI_prepare_cursor("SELECT " EVENT_COLUMN_LIST " FROM phi_audit.event e "
									   "WHERE e.recorded_at >= $1 AND e.recorded_at <= $2",
									   2, event_types, CURSOR_OPT_CUSTOM_PLAN);
	if (state->events == NULL)
		elog(ERROR, "could not prepare a query of phi_audit.event");
	if (SPI_execute("SELECT " EVENT_COLUMN_LIST " FROM phi_audit.event e LIMIT 0", true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.event");
	CheckEventColumns(SPI_tuptable->tupdesc);
	SPI_freetuptable(SPI_tuptable);
	state->window = palloc(sizeof(WindowLeaf) * (WINDOW + 1));
	state->slots = palloc(sizeof(int32) * WINDOW_SLOTS);
}

/* Go through the leaves in order until a problem is found. */
static void
CheckLeaves(Verification *state)
{
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "phi_guard verified event",
											   ALLOCSET_DEFAULT_SIZES);
	bool whole = true;

	OpenLeaves(state);
	while (state->problem == NULL && whole)
	{
		int i;

		whole = FillWindow(state);
		if (state->window_count > 0)
			TakeEvents(state, each);
		for (i = 0; i < state->window_count && state->problem == NULL; i++)
			CheckLeaf(state, &state->window[i]);
		if (!whole && state->problem == NULL)
			FailForUnsealed(state,
							psprintf("leaf " UINT64_FORMAT " is missing", state->stored.size));
		if (state->window_count == 0)
			break;
	}
	SPI_cursor_close(state->leaves);
}

/* ---- the whole ---- */

/* The newest checkpoint of the directory was not reached: is it of a seal after our snapshot? */
static void
CheckKept(Verification *state)
{
	Oid types[] = {INT8OID, BYTEAOID};
	Datum values[2];
	bytea *root = palloc(VARHDRSZ + PHI_HASH_SIZE);
	const AuditLog *log = AuditLogFind();

	SET_VARSIZE(root, VARHDRSZ + PHI_HASH_SIZE);
	memcpy(VARDATA(root), state->kept.root, PHI_HASH_SIZE);
	values[0] = Int64GetDatum((int64) state->kept.size);
	values[1] = PointerGetDatum(root);

	/* The file comes before the commit: wait for a sealer that is at it. */
	LockRelationOid(log->checkpoint, ShareLock);
	UnlockRelationOid(log->checkpoint, ShareLock);
	if (SPI_execute_with_args("SELECT FROM phi_audit.checkpoint c "
							  "WHERE c.tree_size = $1 AND c.root = $2",
							  2, types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.checkpoint");
	if (SPI_processed == 0)
		FailForUnsealed(state, psprintf("the log was cut: the newest checkpoint in "
										"phi.checkpoint_directory has " UINT64_FORMAT
										" leaves, the log has " UINT64_FORMAT,
										state->kept.size, state->stored.size));
}

/* Count the events, where every leaf has one, to see how many have no leaf. */
static void
CountUnsealed(Verification *state)
{
	int64 sealed = (int64) (state->stored.size - state->first) - state->found_archived;
	Oid types[] = {INT8OID, TEXTOID};
	Datum values[] = {Int64GetDatum((int64) state->first),
					  CStringGetTextDatum(psprintf("%s/", LogIncarnation()))};
	HeapTuple row;
	bool isnull;
	int64 early;

	if (SPI_execute_with_args(
			"WITH bounds AS MATERIALIZED (SELECT "
			"coalesce((SELECT c.horizon FROM phi_audit.checkpoint c WHERE c.tree_size = $1), '0') "
			"AS low, "
			"(SELECT c.horizon FROM phi_audit.checkpoint c WHERE starts_with(c.incarnation, $2) "
			"AND "
			"c.tree_size = (SELECT max(d.tree_size) FROM phi_audit.checkpoint d)) AS high) "
			"SELECT count(*), count(*) FILTER (WHERE e.txid < (SELECT bounds.high FROM bounds)) "
			"FROM phi_audit.event e WHERE e.txid >= (SELECT bounds.low FROM bounds)",
			2, types, values, NULL, true, 0) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read phi_audit.event");
	row = SPI_tuptable->vals[0];
	state->unsealed = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull)) - sealed;
	early = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	SPI_freetuptable(SPI_tuptable);
	if (early <= sealed)
		return;
	FindUnsealed(state);
	if (state->unsealed_early > 0)
		Fail(state, state->first_early,
			 psprintf("event " INT64_FORMAT " has no leaf, though a checkpoint covers its time: it "
					  "was inserted afterwards, or its leaf removed",
					  state->first_early));
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
	else if (state->altered != NULL)
		FailRange(state, state->altered);
	else if (state->until == PG_INT64_MAX && state->next.present)
		FailForUnsealed(state, psprintf("leaves from " UINT64_FORMAT
										" on are missing: checkpoint " UINT64_FORMAT " has more",
										leaves, state->next.size));
	else if (leaves > state->range_from)
		FailWithout(state,
					psprintf("leaves from " UINT64_FORMAT
							 " on are under no checkpoint: they were added, or it was removed",
							 state->range_from));
	else if (state->until != PG_INT64_MAX)
		return;
	else
	{
		CountUnsealed(state);
		if (state->problem == NULL && state->has_kept && !state->kept_reached &&
			state->kept.size > leaves)
			CheckKept(state);
	}
}

/* An array of one row and column, in the current context. */
static ArrayType *
FetchArray(const char *query)
{
	bool isnull;
	Datum array;

	if (SPI_execute(query, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read phi_audit.event");
	array = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	return DatumGetArrayTypePCopy(array);
}

/* Begin with the tree of a checkpoint, which must be signed. */
static void
BeginAt(Verification *state)
{
	Oid types[] = {INT8OID};
	Datum values[] = {Int64GetDatum((int64) state->first)};
	Checkpoint checkpoint;

	phi_frontier_init(&state->stored);
	if (state->first == 0)
		return;
	if (SPI_execute_with_args("SELECT tree_size, root, frontier, incarnation, note "
							  "FROM phi_audit.checkpoint WHERE tree_size = $1",
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.checkpoint");
	if (SPI_processed == 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the audit log has no checkpoint of " UINT64_FORMAT " leaves", state->first),
				errhint("phi_audit.checkpoint lists the sizes."));
	ReadCheckpoint(state, SPI_tuptable, &checkpoint);
	if (checkpoint.altered != NULL)
		FailWithout(state, psprintf(checkpoint.altered, checkpoint.size));
	else if (!HasRoot(&checkpoint, &checkpoint.frontier))
		FailWithout(state, psprintf("checkpoint " UINT64_FORMAT
									" was altered: its stored tree is not that of its root",
									checkpoint.size));
	state->stored = checkpoint.frontier;
	state->range_from = state->range_begin = state->first;
}

/* Verify the log; runs as the extension's owner. */
static void
VerifyLog(Verification *state)
{
	Oid types[] = {INT8OID, INT8OID};
	Datum range[] = {Int64GetDatum((int64) state->first), Int64GetDatum((int64) state->until)};

	state->has_kept = !RecoveryInProgress() && DirectoryNewest(&state->kept);
	LoadIncarnations(state);
	state->erased = FetchArray("SELECT coalesce(array_agg(DISTINCT k.key::bigint), '{}') "
							   "FROM phi_audit.event e, unnest(e.row_keys) k (key) "
							   "WHERE e.action = 'audit_erase' AND k.key ~ '^[0-9]{1,18}$'");
	state->archived = FetchArray(
		"SELECT coalesce(array_agg(b.bound ORDER BY b.month, b.bound), '{}') FROM "
		"(SELECT DISTINCT m.month, b.bound FROM phi_audit.event e, unnest(e.row_keys) m (month), "
		"unnest(ARRAY[(m.month || '-01')::timestamp AT TIME ZONE 'UTC', "
		"((m.month || '-01')::timestamp + interval '1 month') AT TIME ZONE 'UTC']) b (bound) "
		"WHERE e.action = 'audit_archive' AND m.month ~ '^[0-9]{4}-[0-9]{2}$') b");
	initStringInfo(&state->buffer);
	BeginAt(state);
	state->checkpoints = SPI_cursor_open_with_args(
		NULL,
		"SELECT tree_size, root, frontier, incarnation, note FROM phi_audit.checkpoint "
		"WHERE tree_size > $1 AND tree_size <= $2 ORDER BY tree_size",
		2, types, range, NULL, true, 0);
	NextCheckpoint(state);
	if (state->problem == NULL)
		CheckLeaves(state);
	CheckEnd(state);
	SPI_cursor_close(state->checkpoints);
}

/* An argument that is a tree size. */
static uint64
SizeArgument(int64 value)
{
	if (value < 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("a tree size cannot be negative"));
	return (uint64) value;
}

/*
 * phi.audit_verify(since, until): one row: ok, events whose leaves were
 * confirmed, checkpoints reached, events not sealed yet, the first bad event,
 * the problem in words, events erased, events archived.  A log that was never
 * made is in order: nothing was audited.
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
	state->first = PG_ARGISNULL(0) ? 0 : SizeArgument(PG_GETARG_INT64(0));
	state->until = PG_ARGISNULL(1) ? PG_INT64_MAX : SizeArgument(PG_GETARG_INT64(1));
	if (AuditLogFind() != NULL)
	{
		OwnerBegin(&owner);
		SPI_connect();
		VerifyLog(state);
		SPI_finish();
		OwnerEnd(&owner);
	}
	values[0] = BoolGetDatum(state->problem == NULL);
	values[1] = Int64GetDatum((int64) (state->range_from - Min(state->first, state->range_from)));
	values[2] = Int64GetDatum((int64) state->passed);
	values[3] = Int64GetDatum(state->unsealed);
	values[4] = Int64GetDatum(state->bad_event);
	isnull[4] = !state->has_bad_event;
	if (state->problem != NULL)
		values[5] = CStringGetTextDatum(state->problem);
	else
		isnull[5] = true;
	values[6] = Int64GetDatum(state->found_erased);
	values[7] = Int64GetDatum(state->found_archived);
	tuplestore_putvalues(result->setResult, result->setDesc, values, isnull);
	return (Datum) 0;
}
