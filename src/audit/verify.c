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
 * hash, where a signed record of the log says that it was (gone.c).  Where the
 * log cannot be read that is a problem of it, and no error (verify_damage.c).
 *
 * Memory: one window (2 MB) and VERIFY_FETCH_ROWS events at a time.  Messages name
 * numbers, never a column's value.
 *-------------------------------------------------------------------------
 */
#include "audit/verify.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"
#include "utils/xid8.h"

#define RESULT_COLUMNS 8

PG_FUNCTION_INFO_V1(phi_audit_verify);

/* Note the first problem, and the event that it makes doubtful. */
void
VerifyFail(Verification *state, int64 event, const char *problem)
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
void
VerifyFailWithout(Verification *state, const char *problem)
{
	VerifyFail(state, 0, problem);
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
void
VerifyFailForUnsealed(Verification *state, const char *problem)
{
	FindUnsealed(state);
	if (state->unsealed_early > 0)
		VerifyFail(state, state->first_early, problem);
	else
		VerifyFailWithout(state, problem);
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
		VerifyFail(state, event,
				   psprintf("event " INT64_FORMAT " is missing: leaf " UINT64_FORMAT
							" has no event",
							event, leaf));
		return;
	}
	heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, columns, isnull);
	EventLeafHash(columns, isnull, &state->buffer, hash);
	VerifyFail(
		state, event,
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
	VerifyFail(state, event,
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

/* An event cannot be read: name it, its partition and why. */
static void
FailUnreadable(Verification *state, const WindowLeaf *leaf)
{
	struct pg_tm month;
	fsec_t fraction;

	if (timestamp2tm(leaf->recorded_at, NULL, &month, &fraction, NULL, NULL) != 0)
		memset(&month, 0, sizeof(month));
	VerifyFail(state, leaf->event,
			   psprintf("event " INT64_FORMAT " cannot be read, in " LOG_SCHEMA
						".event_y%04dm%02d: %s",
						leaf->event, month.tm_year, month.tm_mon, state->reading));
}

/* Check one leaf of the window, in its turn. */
static void
CheckLeaf(Verification *state, WindowLeaf *leaf)
{
	uint64 index = state->stored.size;
	GoneMonth *month = GoneArchived(&state->gone, leaf->recorded_at);

	if (leaf->stored_size != PHI_HASH_SIZE)
		VerifyFail(state, leaf->event,
				   psprintf("the leaf of event " INT64_FORMAT " was altered: it has no hash",
							leaf->event));
	else if (leaf->twice)
		VerifyFail(
			state, leaf->event,
			psprintf("leaf " UINT64_FORMAT " or its event is there more than once", leaf->index));
	else if (leaf->unreadable)
		FailUnreadable(state, leaf);
	else if (!leaf->found && (month == NULL || (int64) index < month->archived.first ||
							  (int64) index > month->archived.last))
		FailMissingEvent(state, index, leaf->event, leaf->stored);
	else if (leaf->found && month != NULL)
		VerifyFail(state, leaf->event,
				   psprintf("event " INT64_FORMAT " is of a month that the log calls archived: "
							"months go as a whole",
							leaf->event));
	if (state->problem != NULL)
		return;

	if (!leaf->found || leaf->erased)
		memcpy(leaf->computed, leaf->stored, PHI_HASH_SIZE);
	state->found_erased += leaf->erased;
	if (!leaf->found)
	{
		state->found_archived++;
		LeafChainAdd(&month->seen, (int64) index, leaf->event, leaf->recorded_at, leaf->stored);
	}
	Grow(state, leaf);
	if (leaf->found && !state->parted &&
		(leaf->txid < state->last_txid ||
		 (leaf->txid == state->last_txid && leaf->event <= state->last_event)))
		FailOrder(state, index, leaf->event);
	if (leaf->found)
	{
		state->last_txid = leaf->txid;
		state->sealed_since += leaf->txid >= state->low;
		state->sealed_early += leaf->txid >= state->low && leaf->txid < state->high;
	}
	state->last_event = leaf->event;
	VerifyReach(state);
}

/* ---- the whole ---- */

/* Part: hash the events of the window; each, the argument, is scratch. */
static void
TakeEvents(Verification *state, void *each)
{
	VerifyTakeEvents(state, each);
}

/* Hash the events of the window, one by one where they cannot be read together. */
static void
ReadWindow(Verification *state, MemoryContext each)
{
	int i;

	if (!state->damaged)
	{
		state->damaged = VerifyTry(state, TakeEvents, each) != NULL;
		MemoryContextReset(each);
		for (i = 0; i < state->window_count && state->damaged; i++)
			state->window[i].twice = state->window[i].twice && !state->window[i].found;
	}
	if (state->damaged)
		VerifyTakeEventsSlowly(state, each);
}

/* Go through the leaves in order until a problem is found. */
static void
CheckLeaves(Verification *state)
{
	MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "phi_guard verified event",
											   ALLOCSET_DEFAULT_SIZES);
	bool whole = true;

	VerifyOpenWindow(state);
	while (state->problem == NULL && whole)
	{
		int i;

		whole = VerifyFillWindow(state);
		if (state->window_count > 0)
			ReadWindow(state, each);
		for (i = 0; i < state->window_count && state->problem == NULL; i++)
			CheckLeaf(state, &state->window[i]);
		if (!whole && state->problem == NULL)
			VerifyFailForUnsealed(
				state, psprintf("leaf " UINT64_FORMAT " is missing", state->stored.size));
		if (state->window_count == 0)
			break;
	}
	SPI_cursor_close(state->leaves);
}

/*
 * Load between which transactions every event must have a leaf: from the
 * horizon of the checkpoint that we begin with up to that of the last one.
 * Transactions of another server or database are numbered otherwise: then the
 * lower bound is 0, and there may be no upper one.
 */
static void
LoadHorizons(Verification *state)
{
	Oid types[] = {INT8OID, TEXTOID};
	Datum values[] = {Int64GetDatum((int64) state->first),
					  CStringGetTextDatum(psprintf("%s/", LogIncarnation()))};
	HeapTuple row;
	Datum horizon;
	bool isnull;

	if (SPI_execute_with_args(
			"SELECT (SELECT c.horizon FROM phi_audit.checkpoint c "
			"WHERE c.tree_size = $1 AND starts_with(c.incarnation, $2)), "
			"(SELECT c.horizon FROM phi_audit.checkpoint c WHERE starts_with(c.incarnation, $2) "
			"AND "
			"c.tree_size = (SELECT max(d.tree_size) FROM phi_audit.checkpoint d))",
			2, types, values, NULL, true, 0) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read phi_audit.checkpoint");
	row = SPI_tuptable->vals[0];
	horizon = SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull);
	state->count_exactly = isnull && state->first > 0;
	state->low = isnull ? 0 : U64FromFullTransactionId(DatumGetFullTransactionId(horizon));
	horizon = SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull);
	state->high = isnull ? 0 : U64FromFullTransactionId(DatumGetFullTransactionId(horizon));
}

/*
 * Count the events, where every leaf has one, to see how many have no leaf.
 * Where the count is not that of the leaves, each event's leaf is looked for.
 */
static void
CountUnsealed(Verification *state)
{
	Oid types[] = {XID8OID, XID8OID};
	Datum values[] = {FullTransactionIdGetDatum(FullTransactionIdFromU64(state->low)),
					  FullTransactionIdGetDatum(FullTransactionIdFromU64(state->high))};
	HeapTuple row;
	bool isnull;
	int64 early;

	if (SPI_execute_with_args("SELECT count(*), count(*) FILTER (WHERE e.txid < $2) "
							  "FROM phi_audit.event e WHERE e.txid >= $1",
							  2, types, values, NULL, true, 0) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read phi_audit.event");
	row = SPI_tuptable->vals[0];
	state->unsealed =
		DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull)) - state->sealed_since;
	early = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	SPI_freetuptable(SPI_tuptable);
	if (early == state->sealed_early && state->unsealed >= 0 && !state->count_exactly)
		return;
	FindUnsealed(state);
	if (state->unsealed_early > 0)
		VerifyFail(state, state->first_early,
				   psprintf("event " INT64_FORMAT " has no leaf, though a checkpoint covers its "
							"time: it was inserted afterwards, or its leaf removed",
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
		VerifyJudgeParted(state);
	else if (state->altered != NULL)
		VerifyFailRange(state, state->altered);
	else if (state->until == PG_INT64_MAX && state->next.present)
		VerifyFailForUnsealed(state,
							  psprintf("leaves from " UINT64_FORMAT
									   " on are missing: checkpoint " UINT64_FORMAT " has more",
									   leaves, state->next.size));
	else if (leaves > state->range_from)
		VerifyFailWithout(
			state, psprintf("leaves from " UINT64_FORMAT
							" on are under no checkpoint: they were added, or it was removed",
							state->range_from));
	else if (state->until != PG_INT64_MAX)
		return;
	else
	{
		CountUnsealed(state);
		if (state->problem == NULL && state->has_kept && !state->kept_reached &&
			state->kept.size > leaves)
			VerifyKept(state);
	}
}

/* Part: read what is gone with leave. */
static void
LoadGone(Verification *state, void *argument)
{
	GoneLoad(&state->gone, state->incarnations, state->incarnation_count);
}

/*
 * A record that is not signed is an event that somebody else wrote; and the
 * leaves of an archived month are those that it had.
 */
static void
CheckRecords(Verification *state)
{
	int i;

	for (i = 0; i < state->gone.month_count && state->first == 0 && state->until == PG_INT64_MAX;
		 i++)
	{
		if (state->problem == NULL && !GoneMonthWhole(&state->gone.months[i]))
			VerifyFailWithout(
				state, psprintf("leaves between " INT64_FORMAT " and " INT64_FORMAT
								" are not those of archived month %.7s: another event is gone, or "
								"a leaf names another event or time",
								state->gone.months[i].archived.first,
								state->gone.months[i].archived.last, state->gone.months[i].key));
	}
	if (state->gone.forged && state->problem == NULL)
		VerifyFail(state, state->gone.forged_event,
				   psprintf("event " INT64_FORMAT " was made up: it says that events are gone, and "
							"is not signed as phi_guard signs that",
							state->gone.forged_event));
}

/* Verify the log; runs as the extension's owner. */
static void
VerifyLog(Verification *state)
{
	Oid types[] = {INT8OID, INT8OID};
	Datum range[] = {Int64GetDatum((int64) state->first), Int64GetDatum((int64) state->until)};

	state->has_kept = !RecoveryInProgress() && DirectoryNewest(&state->kept);
	state->incarnation_count = IncarnationsLoad(&state->incarnations);
	LoadHorizons(state);
	state->damaged = VerifyTry(state, LoadGone, NULL) != NULL;
	if (state->damaged)
		VerifyLoadGoneSlowly(state);
	initStringInfo(&state->buffer);
	VerifyBeginAt(state);
	state->checkpoints = SPI_cursor_open_with_args(
		NULL,
		"SELECT tree_size, root, frontier, incarnation, note FROM phi_audit.checkpoint "
		"WHERE tree_size > $1 AND tree_size <= $2 ORDER BY tree_size",
		2, types, range, NULL, true, 0);
	VerifyNextCheckpoint(state);
	if (state->problem == NULL)
		CheckLeaves(state);
	CheckEnd(state);
	CheckRecords(state);
	SPI_cursor_close(state->checkpoints);
}

/* Part: verify the log as the extension's owner. */
static void
VerifyAsOwner(Verification *state, void *argument)
{
	OwnerScope owner;

	OwnerBegin(&owner);
	SPI_connect();
	VerifyLog(state);
	SPI_finish();
	OwnerEnd(&owner);
}

/* Verify the log from first to until; what cannot be read is a problem, no error. */
static void
Verify(Verification *state, uint64 first, uint64 until)
{
	const char *unread;

	state->context = CurrentMemoryContext;
	state->first = first;
	state->until = until;
	if (AuditLogFind() == NULL)
		return;
	unread = VerifyTry(state, VerifyAsOwner, NULL);
	if (unread != NULL)
		VerifyFailReading(state, unread);
}

const char *
VerifyWhole(void)
{
	Verification *state = palloc0(sizeof(Verification));

	Verify(state, 0, PG_INT64_MAX);
	return state->problem;
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

	RequirePreload();
	InitMaterializedSRF(fcinfo, 0);
	Verify(state, PG_ARGISNULL(0) ? 0 : SizeArgument(PG_GETARG_INT64(0)),
		   PG_ARGISNULL(1) ? PG_INT64_MAX : SizeArgument(PG_GETARG_INT64(1)));
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
