/*-------------------------------------------------------------------------
 * gone.c
 *		The records of the log that events are gone with leave, and what they
 *		say.
 *
 * An erased event, and one of an archived month, cannot be compared with its
 * leaf any more.  It counts with the leaf as it is where a record says that it
 * is gone: an event audit_erase, audit_erase_images or audit_archive, whose row_keys
 * name events or months and whose reason is a signature of both by the log's signing key.  Who
 * writes such an event with the triggers off has no signature for it; the server
 * makes one only where it erases, or where the month verifies.
 *
 * A month's key is YYYY-MM, the first and the last of its leaves, their number
 * and a hash over them all: a leaf that is given a time of that month afterwards
 * is none of them.
 *
 * Signed is RECORD_LABEL, the origin, the action and the keys, a line each,
 * with Ed25519.  The first line is that of no checkpoint.
 *
 * Memory: 8 bytes for each erased event.
 *-------------------------------------------------------------------------
 */
#include "audit/gone.h"

#include "audit/cursor.h"
#include "catalog/pg_type.h"
#include "lib/qunique.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"

#define RECORD_LABEL  "phi_guard audit record 1"
#define RECORD_SIGNED "signed "
#define FETCH_ROWS    100

/* Columns of a record, as read. */
enum
{
	RECORD_ACTION,
	RECORD_KEYS,
	RECORD_REASON,
	RECORD_TIME,
	RECORD_EVENT,
	RECORD_COLUMNS
};

/* ---- signatures ---- */

uint64
IncarnationsLoad(Incarnation **out)
{
	uint64 count;
	uint64 i;

	if (SPI_execute("SELECT i.incarnation, i.vkey FROM phi_audit.incarnation i ORDER BY i.number",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.incarnation");
	count = SPI_processed;
	*out = palloc0(sizeof(Incarnation) * Max(count, 1));
	for (i = 0; i < count; i++)
	{
		Incarnation *incarnation = &(*out)[i];
		char *id = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		char *key = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);

		/* A damaged key verifies nothing. */
		strlcpy(incarnation->id, id, sizeof(incarnation->id));
		if (phi_vkey_parse(phi_bytes_of(key, strlen(key)), &incarnation->vkey) != PHI_OK ||
			strcmp(incarnation->vkey.name, CheckpointOrigin(id)) != 0)
			memset(&incarnation->vkey, 0, sizeof(incarnation->vkey));
	}
	SPI_freetuptable(SPI_tuptable);
	return count;
}

/* What is signed of a record. */
static phi_bytes
Statement(const char *incarnation, const char *action, char **keys, int count)
{
	StringInfoData text;
	int i;

	initStringInfo(&text);
	appendStringInfo(&text, "%s\n%s\n%s\n", RECORD_LABEL, CheckpointOrigin(incarnation), action);
	for (i = 0; i < count; i++)
		appendStringInfo(&text, "%s\n", keys[i]);
	return phi_bytes_of(text.data, text.len);
}

/* Is the reason of a record ("signed", incarnation, base64) its signature? */
static bool
RecordIsSigned(const Incarnation *incarnations, uint64 incarnation_count, const char *action,
			   char **keys, int count, const char *reason)
{
	uint8 bytes[PHI_ED25519_SIGNATURE + 2];
	phi_buffer signature = {bytes, 0, sizeof(bytes)};
	Size prefix = strlen(RECORD_SIGNED);
	const char *digits;
	uint64 i;

	if (reason == NULL || strncmp(reason, RECORD_SIGNED, prefix) != 0)
		return false;
	digits = strchr(reason + prefix, ' ');
	if (digits == NULL || phi_base64_decode(digits + 1, strlen(digits + 1), &signature) != PHI_OK ||
		signature.size != PHI_ED25519_SIGNATURE)
		return false;
	for (i = 0; i < incarnation_count; i++)
	{
		const Incarnation *signer = &incarnations[i];

		if (strlen(signer->id) == (Size) (digits - reason) - prefix &&
			strncmp(signer->id, reason + prefix, strlen(signer->id)) == 0)
			return signer->vkey.name[0] != '\0' &&
				   phi_ed25519_verify(signer->vkey.key, Statement(signer->id, action, keys, count),
									  bytes) == PHI_OK;
	}
	return false;
}

void
GoneRecord(const char *action, const char *detail, char **keys, int count)
{
	AuditEvent event = {0};
	Incarnation signer;
	uint8 signature[PHI_ED25519_SIGNATURE];
	char digits[128] = "";

	IncarnationLast(&signer);
	if (!IncarnationIsHere(&signer))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("the audit log has not been sealed on this server yet"),
				errhint("phi.audit_seal() takes it up."));
	IncarnationSign(&signer, Statement(signer.id, action, keys, count), signature);
	phi_base64_encode(phi_bytes_of(signature, sizeof(signature)), digits);
	event.action = action;
	event.outcome = "success";
	event.detail = detail;
	event.reason = psprintf("%s%s %s", RECORD_SIGNED, signer.id, digits);
	event.row_count = count;
	event.row_keys = keys;
	AuditAppend(&event);
}

/* ---- what is gone ---- */

/* Append an event; what is no number names none. */
static void
TakeEventNumber(EventSet *set, const char *key, MemoryContext context)
{
	char *end;
	int64 event;

	errno = 0;
	event = strtoll(key, &end, 10);
	if (key[0] < '0' || key[0] > '9' || *end != '\0' || errno != 0)
		return;
	if (set->count == set->room)
	{
		set->room = Max(64, set->room * 2);
		set->events = set->events == NULL ? MemoryContextAlloc(context, sizeof(int64) * set->room)
										  : repalloc_huge(set->events, sizeof(int64) * set->room);
	}
	set->events[set->count++] = event;
}

/* The first moment of a month (UTC). */
static TimestampTz
MonthBegin(int year, int month)
{
	return (TimestampTz) (date2j(year, month, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
}

/* That of the month after it. */
static TimestampTz
MonthAfter(int year, int month)
{
	return month == 12 ? MonthBegin(year + 1, 1) : MonthBegin(year, month + 1);
}

void
LeafChainAdd(LeafChain *chain, int64 index, int64 event, TimestampTz recorded_at,
			 const uint8 hash[PHI_HASH_SIZE])
{
	uint8 bytes[PHI_HASH_SIZE + 3 * sizeof(uint64) + PHI_HASH_SIZE];
	uint8 *at = bytes + PHI_HASH_SIZE;

	memcpy(bytes, chain->hash, PHI_HASH_SIZE);
	phi_put_u64(at, (uint64) index);
	phi_put_u64(at + 8, (uint64) event);
	phi_put_u64(at + 16, (uint64) recorded_at);
	memcpy(at + 24, hash, PHI_HASH_SIZE);
	CheckStatus(phi_sha256(phi_bytes_of(bytes, sizeof(bytes)), chain->hash), "hash a leaf");
	if (chain->count++ == 0)
		chain->first = index;
	chain->last = index;
}

bool
GoneMonthWhole(const GoneMonth *month)
{
	return month->seen.count == month->archived.count &&
		   memcmp(month->seen.hash, month->archived.hash, PHI_HASH_SIZE) == 0;
}

/* RowTaker: add a leaf to a chain. */
static void
ChainLeaf(void *chain, const Datum *values, const bool *isnull)
{
	LeafChainAdd(chain, DatumGetInt64(values[0]), DatumGetInt64(values[1]),
				 DatumGetTimestampTz(values[2]),
				 (const uint8 *) VARDATA_ANY(DatumGetByteaPP(values[3])));
}

char *
GoneMonthKey(DateADT month)
{
	TimestampTz begin = (TimestampTz) month * USECS_PER_DAY;
	struct pg_tm day;
	Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum span[2];
	LeafChain chain = {0};
	char *key;
	int i;

	j2date(month + POSTGRES_EPOCH_JDATE, &day.tm_year, &day.tm_mon, &day.tm_mday);
	span[0] = TimestampTzGetDatum(begin);
	span[1] = TimestampTzGetDatum(MonthAfter(day.tm_year, day.tm_mon));
	CursorEach(SPI_cursor_open_with_args(
				   NULL,
				   "SELECT l.leaf_index, l.event_id, l.recorded_at, l.leaf_hash "
				   "FROM phi_audit.leaf l WHERE l.recorded_at >= $1 AND l.recorded_at < $2 "
				   "ORDER BY l.leaf_index",
				   2, types, span, NULL, true, 0),
			   FETCH_ROWS, ChainLeaf, &chain);
	key = psprintf("%04d-%02d " INT64_FORMAT " " INT64_FORMAT " " INT64_FORMAT " ", day.tm_year,
				   day.tm_mon, chain.first, chain.last, chain.count);
	for (i = 0; i < PHI_HASH_SIZE; i++)
		key = psprintf("%s%02x", key, chain.hash[i]);
	return key;
}

/* Append an archived month, which was over when its record was made. */
static void
TakeMonth(Gone *gone, const char *key, TimestampTz recorded_at)
{
	GoneMonth month = {{0}};
	long long first;
	long long last;
	long long count;
	char digits[2 * PHI_HASH_SIZE + 1];
	int year = 0;
	int number = 0;
	int used = 0;

	if (strlcpy(month.key, key, sizeof(month.key)) >= sizeof(month.key) ||
		sscanf(key, "%4d-%2d %19lld %19lld %19lld %64s%n", &year, &number, &first, &last, &count,
			   digits, &used) != 6 ||
		key[used] != '\0' || number < 1 || number > 12 ||
		phi_hex_decode(digits, strlen(digits), month.archived.hash, PHI_HASH_SIZE) != PHI_OK)
		return;
	month.archived.first = first;
	month.archived.last = last;
	month.archived.count = count;
	month.begin = MonthBegin(year, number);
	month.end = MonthAfter(year, number);
	if (month.end > recorded_at || GoneArchived(gone, month.begin) != NULL)
		return;
	gone->months = gone->months == NULL
					   ? MemoryContextAlloc(gone->context, sizeof(GoneMonth))
					   : repalloc(gone->months, sizeof(GoneMonth) * (gone->month_count + 1));
	gone->months[gone->month_count++] = month;
}

/* Take what a record says, in memory that is scratch. */
static void
TakeRecord(Gone *gone, const Incarnation *incarnations, uint64 count, int64 event,
		   const Datum *values, const bool *isnull)
{
	char *action = TextDatumGetCString(values[RECORD_ACTION]);
	char *reason = isnull[RECORD_REASON] ? NULL : TextDatumGetCString(values[RECORD_REASON]);
	EventSet *set = strcmp(action, RECORD_ERASE) == 0    ? &gone->erased
					: strcmp(action, RECORD_IMAGES) == 0 ? &gone->without_images
														 : NULL;
	Datum *elements = NULL;
	bool *nulls = NULL;
	char **keys;
	int key_count = 0;
	int i;

	if (set == NULL && strcmp(action, RECORD_ARCHIVE) != 0)
		return;
	if (!isnull[RECORD_KEYS])
		deconstruct_array(DatumGetArrayTypeP(values[RECORD_KEYS]), TEXTOID, -1, false, TYPALIGN_INT,
						  &elements, &nulls, &key_count);
	keys = palloc(sizeof(char *) * Max(key_count, 1));
	for (i = 0; i < key_count; i++)
		keys[i] = nulls[i] ? pstrdup("") : TextDatumGetCString(elements[i]);
	if (!RecordIsSigned(incarnations, count, action, keys, key_count, reason))
	{
		gone->forged_event = gone->forged ? Min(gone->forged_event, event) : event;
		gone->forged = true;
		return;
	}
	for (i = 0; i < key_count; i++)
	{
		if (set != NULL)
			TakeEventNumber(set, keys[i], gone->context);
		else
			TakeMonth(gone, keys[i], DatumGetTimestampTz(values[RECORD_TIME]));
	}
}

void
GoneBegin(Gone *gone)
{
	memset(gone, 0, sizeof(*gone));
	gone->context = CurrentMemoryContext;
}

void
GoneTake(Gone *gone, const Incarnation *incarnations, uint64 count, int64 event,
		 const Datum *values, const bool *isnull)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "phi_guard audit record",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	TakeRecord(gone, incarnations, count, event, values, isnull);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

/* Order of event numbers. */
static int
CompareEvents(const void *a, const void *b)
{
	int64 left = *(const int64 *) a;
	int64 right = *(const int64 *) b;

	return (left > right) - (left < right);
}

/* Put a set in order. */
static void
SortSet(EventSet *set)
{
	if (set->count == 0)
		return;
	qsort(set->events, set->count, sizeof(int64), CompareEvents);
	set->count = qunique(set->events, set->count, sizeof(int64), CompareEvents);
}

/* Is the event in the set? */
static bool
InSet(const EventSet *set, int64 event)
{
	return set->count > 0 &&
		   bsearch(&event, set->events, set->count, sizeof(int64), CompareEvents) != NULL;
}

void
GoneSort(Gone *gone)
{
	SortSet(&gone->erased);
	SortSet(&gone->without_images);
}

/* What GoneLoad reads with. */
typedef struct RecordReader
{
	Gone *gone;
	const Incarnation *incarnations;
	uint64 count;
} RecordReader;

/* RowTaker: take a record. */
static void
LoadRecord(void *argument, const Datum *values, const bool *isnull)
{
	RecordReader *reader = argument;

	GoneTake(reader->gone, reader->incarnations, reader->count,
			 DatumGetInt64(values[RECORD_EVENT]), values, isnull);
}

void
GoneLoad(Gone *gone, const Incarnation *incarnations, uint64 count)
{
	RecordReader reader = {gone, incarnations, count};

	GoneBegin(gone);
	CursorEach(SPI_cursor_open_with_args(
				   NULL,
				   "SELECT e.action, e.row_keys, e.reason, e.recorded_at, e.event_id "
				   "FROM phi_audit.event e WHERE e.action IN ('" RECORD_ERASE "', '" RECORD_ARCHIVE
				   "', '" RECORD_IMAGES "')",
				   0, NULL, NULL, NULL, true, 0),
			   FETCH_ROWS, LoadRecord, &reader);
	GoneSort(gone);
}

bool
GoneErased(const Gone *gone, int64 event)
{
	return InSet(&gone->erased, event);
}

bool
GoneImages(const Gone *gone, int64 event)
{
	return InSet(&gone->without_images, event);
}

GoneMonth *
GoneArchived(const Gone *gone, TimestampTz when)
{
	int i;

	for (i = 0; i < gone->month_count; i++)
	{
		if (when >= gone->months[i].begin && when < gone->months[i].end)
			return &gone->months[i];
	}
	return NULL;
}
