/*-------------------------------------------------------------------------
 * verify_damage.c
 *		Verification of a log of which not everything can be read: a page with
 *		a wrong checksum, a file that is cut or gone, a value that is no value.
 *
 * What reads the log runs in subtransactions.  Where one fails, events are read
 * one by one through their index from there on, so that the first that cannot be
 * read is named, and an earlier one that was altered before it.  Nothing is
 * read past its checksum: a page that a session took in so could be written
 * back as a good one.
 *
 * Memory: that of the verification; what a failed part has allocated goes with
 * its subtransaction, or with the memory that is scratch.
 *-------------------------------------------------------------------------
 */
#include "audit/verify.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/xid8.h"

#define FETCH_ROWS 1000

/* ---- trying ---- */

/*
 * Does the error say that something stored cannot be read?  That libcrypto
 * fails, a cancel and the like say nothing about the log.
 */
static bool
IsOfReading(const ErrorData *error)
{
	int category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	if (error->funcname != NULL && strcmp(error->funcname, "ReportStatus") == 0)
		return error->sqlerrcode == ERRCODE_DATA_CORRUPTED;
	return category == ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR) ||
		   category == ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR) ||
		   (category == ERRCODE_DATA_EXCEPTION &&
			error->sqlerrcode != ERRCODE_INVALID_PARAMETER_VALUE);
}

/* What is said of it: messages about pages and files are shown, those about values are not. */
static const char *
ReasonOf(const ErrorData *error)
{
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_DATA_EXCEPTION)
		return psprintf("SQLSTATE %s", unpack_sql_state(error->sqlerrcode));
	return pstrdup(error->message);
}

const char *
VerifyTry(Verification *state, VerifyPart part, void *argument)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	const char *volatile reason = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		part(state, argument);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(state->context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (!IsOfReading(error))
			ReThrowError(error);
		MemoryContextSwitchTo(state->context);
		reason = ReasonOf(error);
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return reason;
}

/* ---- one event at a time ---- */

/* Read through indexes from here on, to the end of the owner's scope. */
static void
UseIndexes(void)
{
	static const char *const others[] = {"enable_seqscan", "enable_bitmapscan"};

	for (int i = 0; i < lengthof(others); i++)
		(void) set_config_option(others[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
}

/* Prepare a query of one event by its time and number. */
static SPIPlanPtr
PrepareOne(const char *query)
{
	Oid types[] = {TIMESTAMPTZOID, INT8OID};
	SPIPlanPtr plan = SPI_prepare_cursor(query, lengthof(types), types, CURSOR_OPT_CUSTOM_PLAN);

	if (plan == NULL)
		elog(ERROR, "could not prepare a query of phi_audit.event");
	return plan;
}

/* A look at one event. */
typedef struct Look
{
	SPIPlanPtr plan;
	int64 event;
	TimestampTz recorded_at;
} Look;

/* Run the query of a look; true where there is a row. */
static bool
LookAtEvent(const Look *look)
{
	Datum values[] = {TimestampTzGetDatum(look->recorded_at), Int64GetDatum(look->event)};

	if (SPI_execute_plan(look->plan, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.event");
	return SPI_processed > 0;
}

/* Part: take what the event says to be gone. */
static void
TakeGone(Verification *state, void *argument)
{
	Datum values[4];
	bool isnull[4];

	if (LookAtEvent(argument))
	{
		heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, values, isnull);
		GoneTake(&state->gone, state->incarnations, state->incarnation_count,
				 ((const Look *) argument)->event, values, isnull);
	}
	SPI_freetuptable(SPI_tuptable);
}

void
VerifyLoadGoneSlowly(Verification *state)
{
	Look look = {PrepareOne("SELECT e.action, e.row_keys, e.reason, e.recorded_at "
							"FROM phi_audit.event e WHERE e.recorded_at = $1 AND e.event_id = $2 "
							"AND e.action IN ('" RECORD_ERASE "', '" RECORD_ARCHIVE
							"', '" RECORD_IMAGES "')")};
	Portal leaves;

	UseIndexes();
	leaves = SPI_cursor_open_with_args(
		NULL, "SELECT l.event_id, l.recorded_at FROM phi_audit.leaf l ORDER BY l.leaf_index", 0,
		NULL, NULL, NULL, true, 0);
	GoneBegin(&state->gone);
	for (SPI_cursor_fetch(leaves, true, FETCH_ROWS); SPI_processed > 0;
		 SPI_cursor_fetch(leaves, true, FETCH_ROWS))
	{
		SPITupleTable *rows = SPI_tuptable;
		uint64 count = SPI_processed;
		uint64 i;

		for (i = 0; i < count; i++)
		{
			bool isnull;

			CHECK_FOR_INTERRUPTS();
			look.event = DatumGetInt64(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &isnull));
			look.recorded_at =
				DatumGetTimestampTz(SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &isnull));
			(void) VerifyTry(state, TakeGone, &look);
		}
		SPI_freetuptable(rows);
	}
	SPI_cursor_close(leaves);
	GoneSort(&state->gone);
}

/* Part: hash one event. */
static void
TakeOne(Verification *state, void *argument)
{
	uint64 rows = LookAtEvent(argument) ? SPI_processed : 0;
	uint64 i;

	for (i = 0; i < rows; i++)
	{
		Datum values[EVENT_COLUMNS];
		bool isnull[EVENT_COLUMNS];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, isnull);
		VerifyTakeEvent(state, values, isnull);
	}
	SPI_freetuptable(SPI_tuptable);
}

void
VerifyTakeEventsSlowly(Verification *state, MemoryContext each)
{
	Look look = {PrepareOne("SELECT " EVENT_COLUMN_LIST " FROM phi_audit.event e "
							"WHERE e.recorded_at = $1 AND e.event_id = $2")};
	int i;

	UseIndexes();
	state->reading = NULL;
	for (i = 0; i < state->window_count; i++)
	{
		WindowLeaf *leaf = &state->window[i];
		MemoryContext old = MemoryContextSwitchTo(each);
		const char *reason;

		CHECK_FOR_INTERRUPTS();
		leaf->found = leaf->erased = false;
		look.event = leaf->event;
		look.recorded_at = leaf->recorded_at;
		reason = VerifyTry(state, TakeOne, &look);
		MemoryContextSwitchTo(old);
		MemoryContextReset(each);
		leaf->unreadable = reason != NULL;
		if (state->reading == NULL)
			state->reading = reason;
	}
	SPI_freeplan(look.plan);
}

/* ---- what is not an event ---- */

/* Part: read a leaf by its place; argument is that, -1 where there is none, and its event. */
static void
ReadLeaf(Verification *state, void *argument)
{
	int64 *place = argument;
	Oid types[] = {INT8OID};
	Datum values[] = {Int64GetDatum(place[0])};
	bool isnull;

	if (SPI_execute_with_args("SELECT l.event_id, l.leaf_hash FROM phi_audit.leaf l "
							  "WHERE l.leaf_index = $1",
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.leaf");
	if (SPI_processed == 1)
		place[1] =
			DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	else
		place[0] = -1;
	SPI_freetuptable(SPI_tuptable);
}

/* The event that is sealed behind another one; 0 where none can be found. */
static int64
EventAfter(int64 event)
{
	Oid types[] = {INT8OID};
	Datum values[] = {Int64GetDatum(event)};
	bool isnull;

	if (SPI_execute_with_args(
			"SELECT e.event_id FROM phi_audit.event e WHERE (e.txid, e.event_id) > "
			"(coalesce((SELECT b.txid FROM phi_audit.event b WHERE b.event_id = $1), '0'), $1) "
			"ORDER BY e.txid, e.event_id LIMIT 1",
			1, types, values, NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed == 0)
		return 0;
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* Part: name the first leaf that cannot be read, and the event that it should be of. */
static void
NameLeaf(Verification *state, void *argument)
{
	int64 place[2] = {(int64) state->stored.size - 1, state->last_event};
	int64 before = 0;
	const char *reason = NULL;
	int64 event;

	do
	{
		CHECK_FOR_INTERRUPTS();
		before = place[1];
		place[0]++;
		reason = VerifyTry(state, ReadLeaf, place);
	} while (reason == NULL && place[0] >= 0);
	if (reason == NULL)
		return; /* every leaf was read */
	event = EventAfter(before);
	if (event != 0)
		VerifyFail(state, event,
				   psprintf("leaf " INT64_FORMAT " cannot be read: %s", place[0], reason));
	else
		VerifyFailWithout(state,
						  psprintf("leaf " INT64_FORMAT " cannot be read: %s", place[0], reason));
}

/* Part: the same in a scope of its own. */
static void
NameDamage(Verification *state, void *argument)
{
	OwnerScope owner;

	OwnerBegin(&owner);
	SPI_connect();
	UseIndexes();
	NameLeaf(state, argument);
	SPI_finish();
	OwnerEnd(&owner);
}

void
VerifyFailReading(Verification *state, const char *why)
{
	if (state->problem == NULL)
		(void) VerifyTry(state, NameDamage, NULL);
	if (state->problem == NULL)
		VerifyFailWithout(state, psprintf("the log cannot be read: %s", why));
}
