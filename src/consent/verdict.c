/*-------------------------------------------------------------------------
 * verdict.c
 *		What the consents of a subject say to the session, cached per process.
 *
 * The cache holds verdicts for one session state (identity, purpose,
 * references) and one span of time.  It fills lazily, by index, so that a
 * point read costs one look-up; after BULK_AFTER misses in one statement the
 * whole table is evaluated in one pass, and from then on a subject that is not
 * in the cache has no consent that applies.
 *
 * It is void when the session or the keys change, when a relcache invalidation
 * of phi.consent arrives (every change of the table sends one), and when the
 * statement's time leaves the span.  An invalidation during a build is seen by
 * the caller's loop, which decides again.  Reads use a catalog snapshot, so
 * that REPEATABLE READ sees a revocation.
 *
 * A session whose query is about to start parallel workers takes everything in
 * and shares it with them; they take it over when it was made for the same
 * references, purpose and time as theirs.
 *
 * Memory: one context below CacheMemoryContext, or a shared block, bounded by
 * phi.decision_cache; a table that does not fit is never taken in whole, the
 * cache then starts over when it is full.
 *-------------------------------------------------------------------------
 */
#include "consent/verdict.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "consent/share.h"
#include "datatype/timestamp.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "session/session.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

/* Misses in one statement after which the whole table is read. */
#define BULK_AFTER 1000

/* Buckets of a fresh cache. */
#define FIRST_SIZE 1024

typedef struct VerdictEntry
{
	uint64 token;
	char status; /* of simplehash */
	uint8 verdict;
} VerdictEntry;

/* A token is the output of a keyed hash already. */
#define SH_PREFIX            verdict
#define SH_ELEMENT_TYPE      VerdictEntry
#define SH_KEY_TYPE          uint64
#define SH_KEY               token
#define SH_HASH_KEY(tb, key) ((uint32) (key))
#define SH_EQUAL(tb, a, b)   ((a) == (b))
#define SH_SCOPE             static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

typedef struct VerdictCache
{
	MemoryContext context;
	verdict_hash *entries;
	bool complete;  /* the whole table was taken in */
	bool too_large; /* it was tried and did not fit */
	int misses;     /* in the statement of miss_time */
	int64 miss_time;
	uint64 session_generation;
	uint64 keyring_generation;
	int64 now;   /* microseconds since 1970: the statement it was begun in */
	int64 until; /* and the first instant at which an answer may change */
	uint64 references[SESSION_MAX_REFERENCES];
	phi_consent_request request;
	struct SharedVerdicts *shared; /* where entries are shared */
	bool unshareable;              /* it was tried, without success */
} VerdictCache;

/* The head of a shared block; the decision map follows, then the entries. */
typedef struct SharedVerdicts
{
	int64 now;
	int64 until;
	uint64 references[SESSION_MAX_REFERENCES];
	size_t reference_count;
	phi_purpose purpose;
	verdict_hash entries; /* its pointers mean nothing to others */
} SharedVerdicts;

#define SHARED_MAP_OFFSET     MAXALIGN(sizeof(SharedVerdicts))
#define SHARED_ENTRIES_OFFSET (SHARED_MAP_OFFSET + SHARED_MAP_BYTES)

static VerdictCache Cache;

/* Is Cache in use, and was it not invalidated since? */
static bool Loaded = false;
static bool Stale = false;

/* OID of phi.consent for the callback, which must not look it up. */
static Oid ConsentTable = InvalidOid;

/* Counts how often the cache began anew. */
static uint64 Generation = 1;

uint64 DecisionTick = 1;

/* phi.decision_cache, in kilobytes. */
static int DecisionCacheKb = 0;

void
VerdictInit(void)
{
	DefineCustomIntVariable(
		"phi.decision_cache", "Memory of a session for access decisions.",
		"Where the consents of all subjects do not fit, decisions of large scans "
		"are read from the table.",
		&DecisionCacheKb, 128 * 1024, 64, MAX_KILOBYTES, PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
}

Size
DecisionCacheLimit(void)
{
	return (Size) DecisionCacheKb * 1024;
}

void
VerdictsInvalidate(Oid relid)
{
	DecisionTick++;
	if (relid == InvalidOid || relid == ConsentTable)
		Stale = true;
}

/* Between the epochs of PostgreSQL's timestamps and of programs, in microseconds. */
#define EPOCH_DISTANCE ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* Start of the statement, in microseconds since 1970. */
static inline int64
StatementTime(void)
{
	return GetCurrentStatementStartTimestamp() + EPOCH_DISTANCE;
}

void
VerdictsHoldUntil(TimestampTz until)
{
	if (!TIMESTAMP_NOT_FINITE(until) && until + EPOCH_DISTANCE < Cache.until)
		Cache.until = until + EPOCH_DISTANCE;
}

/*
 * Drop the entries; what the cache is for stays.  The caller sets Loaded once
 * the cache is usable again: an error in between leaves it to be begun anew.
 */
static void
EmptyCache(void)
{
	Loaded = false;
	DecisionTick++;
	Cache.complete = false;
	Cache.shared = NULL;
	ShareRelease();
	if (!Cache.context)
		Cache.context =
			AllocSetContextCreate(CacheMemoryContext, "phi_guard verdicts", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(Cache.context);
	Cache.entries = verdict_create(Cache.context, FIRST_SIZE, NULL);
}

/* Use the entries of a shared block. */
static void
UseSharedEntries(SharedVerdicts *shared)
{
	MemoryContextReset(Cache.context);
	Cache.entries = MemoryContextAlloc(Cache.context, sizeof(verdict_hash));
	*Cache.entries = shared->entries;
	Cache.entries->data = (VerdictEntry *) ((char *) shared + SHARED_ENTRIES_OFFSET);
	Cache.shared = shared;
	Cache.complete = true;
}

/* In a parallel worker: take over what the leader shares, where it was made for a session like this. */
static void
AdoptSharedVerdicts(void)
{
	SharedVerdicts *shared = ShareOfLeader();

	if (!shared)
		return;
	if (shared->purpose == Cache.request.purpose && shared->now <= Cache.now &&
		Cache.now < shared->until && shared->reference_count == Cache.request.actor_count &&
		memcmp(shared->references, Cache.references, Cache.request.actor_count * sizeof(uint64)) ==
			0)
	{
		UseSharedEntries(shared);
		Cache.now = shared->now;
		Cache.until = shared->until;
	}
	else
		ShareRelease();
}

/*
 * Begin the cache anew for the session as it is.  The references come first:
 * they may load keys, and with that change the keyring's generation.
 */
static void
BeginCache(void)
{
	const SessionContext *session;

	Generation++;
	EmptyCache();
	Cache.too_large = false;
	Cache.misses = 0;
	Cache.now = StatementTime();
	Cache.until = PHI_TIME_MAX;
	Cache.request.now = Cache.now;
	Cache.request.actors = Cache.references;
	Cache.request.actor_count = SessionReferences(Cache.references);
	Cache.session_generation = SessionGeneration();
	Cache.keyring_generation = KeyringGeneration();
	session = SessionCurrent();
	Cache.request.purpose = session->purpose_stated ? session->purpose : PHI_PURPOSE_NONE;
	Cache.unshareable = false;
	ConsentTable = PhiRelation("consent");
	if (IsParallelWorker())
		AdoptSharedVerdicts();
	Stale = false;
	Loaded = true;
}

/*
 * The cache holds while nothing it was made for has changed.  This is on the
 * path of every row: a few comparisons, no look at a clock.
 */
uint64
VerdictGeneration(void)
{
	int64 now = StatementTime();

	if (unlikely(!Loaded || Stale || Cache.session_generation != SessionGeneration() ||
				 Cache.keyring_generation != KeyringGeneration() || now < Cache.now ||
				 now >= Cache.until))
		BeginCache();
	return Generation;
}

/* Would one more entry make the cache outgrow its limit? */
static inline bool
CacheIsFull(void)
{
	verdict_hash *entries = Cache.entries;

	return entries->members >= entries->grow_threshold &&
		   2 * entries->size * sizeof(VerdictEntry) > DecisionCacheLimit();
}

/* Take the verdict of one subject in. */
static void
LoadVerdict(uint64 token)
{
	int64 directive;
	phi_verdict verdict =
		ReadConsents(ConsentTable, token, &Cache.request, &Cache.until, &directive);
	VerdictEntry *entry;
	bool found;

	if (CacheIsFull())
		EmptyCache();
	entry = verdict_insert(Cache.entries, token, &found);
	entry->verdict = verdict;
	Loaded = true;
}

/* Combine one verdict into the entry of its subject; false when the cache is full. */
static bool
AddVerdict(uint64 token, phi_verdict verdict)
{
	VerdictEntry *entry;
	bool found;

	if (CacheIsFull())
		return false;
	entry = verdict_insert(Cache.entries, token, &found);
	entry->verdict = found ? phi_verdict_combine(entry->verdict, verdict) : verdict;
	return true;
}

/* Take the whole table in: only verdicts other than NA. */
static void
LoadAllVerdicts(void)
{
	bool fits;

	EmptyCache();
	fits = ReadAllConsents(ConsentTable, &Cache.request, &Cache.until, AddVerdict);
	if (!fits)
		EmptyCache();
	Cache.too_large = !fits;
	Cache.complete = fits;
	Loaded = true;
}

/* Copy the cache to a fresh block and use that instead. */
static void
MoveToShare(void)
{
	Size size =
		add_size(SHARED_ENTRIES_OFFSET, mul_size(Cache.entries->size, sizeof(VerdictEntry)));
	SharedVerdicts *shared = ShareCreate(size);

	Cache.unshareable = shared == NULL;
	if (!shared)
		return;
	memset(shared, 0, SHARED_ENTRIES_OFFSET);
	shared->now = Cache.now;
	shared->until = Cache.until;
	shared->purpose = Cache.request.purpose;
	shared->reference_count = Cache.request.actor_count;
	memcpy(shared->references, Cache.references, sizeof(Cache.references));
	shared->entries = *Cache.entries;
	memcpy((char *) shared + SHARED_ENTRIES_OFFSET, Cache.entries->data,
		   Cache.entries->size * sizeof(VerdictEntry));
	Loaded = false;
	UseSharedEntries(shared);
	Loaded = true;
	ShareShow();
}

bool
ShareVerdicts(void)
{
	(void) VerdictGeneration();
	if (!Cache.complete && !Cache.too_large)
		LoadAllVerdicts();
	(void) VerdictGeneration();
	if (Cache.complete && !Cache.shared && !Cache.unshareable)
		MoveToShare();
	return Cache.shared != NULL;
}

void *
SharedMap(void)
{
	return Cache.shared ? (char *) Cache.shared + SHARED_MAP_OFFSET : NULL;
}

/* Count a miss: does the statement look like one that asks for most subjects? */
static bool
ManyMisses(void)
{
	int64 now = StatementTime();

	if (Cache.miss_time != now)
		Cache.misses = 0;
	Cache.miss_time = now;
	return ++Cache.misses > BULK_AFTER;
}

phi_verdict
SubjectVerdict(uint64 subject_token)
{
	for (;;)
	{
		VerdictEntry *entry;

		(void) VerdictGeneration();
		entry = verdict_lookup(Cache.entries, subject_token);
		if (entry)
			return (phi_verdict) entry->verdict;
		if (Cache.complete)
			return PHI_VERDICT_NA;
		CHECK_FOR_INTERRUPTS();
		if (ManyMisses() && !Cache.too_large)
			LoadAllVerdicts();
		else
			LoadVerdict(subject_token);
	}
}
