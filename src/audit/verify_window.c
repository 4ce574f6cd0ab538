/*-------------------------------------------------------------------------
 * verify_window.c
 *		Verification: a window of leaves, and the hashes of their events.
 *
 * The leaves come by their index, then the events recorded in their span of
 * time in whatever order the table gives them; each finds its leaf by its
 * number in a hash table.
 *-------------------------------------------------------------------------
 */
#include "audit/verify.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "core/image.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/xid8.h"

/* Bytes of a bytea column; none for NULL. */
static phi_bytes
ColumnBytes(Datum value, bool isnull)
{
	bytea *bytes = isnull ? NULL : DatumGetByteaPP(value);

	return isnull ? phi_bytes_of(NULL, 0)
				  : phi_bytes_of(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

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
bool
VerifyFillWindow(Verification *state)
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

/* Were its images taken away without a record of that? */
static bool
ImagesTaken(const Verification *state, int64 event, const Datum *row, const bool *isnull)
{
	return !isnull[EVENT_IMAGES] && phi_images_erased(ColumnBytes(row[EVENT_IMAGES], false)) &&
		   !GoneImages(&state->gone, event);
}

void
VerifyTakeEvent(Verification *state, const Datum *row, const bool *isnull)
{
	int64 event = DatumGetInt64(row[EVENT_ID]);
	int32 at = *FindSlot(state, event);
	WindowLeaf *leaf = at >= 0 ? &state->window[at] : NULL;

	if (leaf == NULL || leaf->recorded_at != DatumGetTimestampTz(row[EVENT_RECORDED_AT]))
		return;
	leaf->twice = leaf->twice || leaf->found;
	leaf->found = true;
	leaf->txid = U64FromFullTransactionId(DatumGetFullTransactionId(row[EVENT_TXID]));
	leaf->erased = isnull[EVENT_SALT] && GoneErased(&state->gone, event);
	if (ImagesTaken(state, event, row, isnull))
		memset(leaf->computed, 0, sizeof(leaf->computed));
	else if (!leaf->erased)
		EventLeafHash(row, isnull, &state->buffer, leaf->computed);
}

/* Hash the events of the window's span of time. */
void
VerifyTakeEvents(Verification *state, MemoryContext each)
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
	for (SPI_cursor_fetch(events, true, VERIFY_FETCH_ROWS); SPI_processed > 0;
		 SPI_freetuptable(SPI_tuptable), SPI_cursor_fetch(events, true, VERIFY_FETCH_ROWS))
	{
		MemoryContext old = MemoryContextSwitchTo(each);
		uint64 row;

		CHECK_FOR_INTERRUPTS();
		for (row = 0; row < SPI_processed; row++)
		{
			Datum values[EVENT_COLUMNS];
			bool isnull[EVENT_COLUMNS];

			heap_deform_tuple(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, values, isnull);
			VerifyTakeEvent(state, values, isnull);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(each);
	}
	SPI_cursor_close(events);
}

/* Open what is read: leaves in order, and the plan of the events of a span of time. */
void
VerifyOpenWindow(Verification *state)
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
