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
 * of phi.consent arrives, and when the statement's time leaves the span.  One
 * that tells of a single subject (changes.c) has that subject looked up again,
 * in a store beside the first.  An invalidation during a build is seen by the
 * caller's loop, which decides again.  Reads use a catalog snapshot, so
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
#include "consent/changes.h"
#include "consent/entries.h"
#include "consent/map.h"
#include "consent/share.h"
#include "datatype/timestamp.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "session/session.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

/* Misses in one statement after which the whole table is read. */
#define BULK_AFTER 1000

typedef struct VerdictCache
{
	MemoryContext context;
	VerdictStore store;
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
	bool counted; /* are the two below known? */
	double denied;
	double permitted;
	ChangeSet changed; /* since entries were made: these subjects are in fresh, if anywhere */
	MemoryContext fresh_context;
	VerdictStore fresh;
	struct SharedVerdicts *shared; /* where entries are shared */
	bool unshareable;              /* it was tried, without success */
} VerdictCache;

/* The head of a shared block; the decision map follows, then the store. */
typedef struct SharedVerdicts
{
	int64 now;
	int64 until;
	uint64 references[SESSION_MAX_REFERENCES];
	size_t reference_count;
	phi_purpose purpose;
	ChangeSet changed;
} SharedVerdicts;

#define SHARED_MAP_OFFSET   MAXALIGN(sizeof(SharedVerdicts))
#define SHARED_STORE_OFFSET (SHARED_MAP_OFFSET + SHARED_MAP_BYTES)

static VerdictCache Cache;

/* Is Cache in use, and was it not invalidated since? */
static bool Loaded = false;
static bool Stale = false;

/* Subjects whose consents changed, as the callback noted them. */
#define PENDING_MAX 64
static Oid Pending[PENDING_MAX];
static int PendingCount = 0;

/* OID of phi.consent for the callback, which must not look it up. */
static Oid ConsentTable = InvalidOid;

/* Counts how often the cache began anew. */
static uint64 Generation = 1;

/* Counts that, and every change of a single subject. */
static uint64 Version = 1;

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
	if (OidIsChange(relid) && PendingCount < PENDING_MAX)
		Pending[PendingCount++] = relid;
	else if (relid == InvalidOid || relid == ConsentTable || OidIsChange(relid))
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
	if (Cache.shared)
		Generation++; /* pages of the decision map are in the block */
	Cache.complete = false;
	Cache.counted = false;
	Cache.shared = NULL;
	ShareRelease();
	if (!Cache.context)
		Cache.context =
			AllocSetContextCreate(CacheMemoryContext, "phi_guard verdicts", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(Cache.context);
	StoreBegin(&Cache.store, Cache.context);
	memset(&Cache.changed, 0, sizeof(ChangeSet));
}

/* Use the store of a shared block. */
static void
UseSharedStore(SharedVerdicts *shared)
{
	MemoryContextReset(Cache.context);
	StoreBorrow(&Cache.store, Cache.context, (char *) shared + SHARED_STORE_OFFSET);
	Cache.shared = shared;
	Cache.complete = true;
}

/* Forget what is known of subjects whose consents changed. */
static void
EmptyFresh(void)
{
	if (!Cache.fresh_context)
		Cache.fresh_context = AllocSetContextCreate(CacheMemoryContext, "phi_guard fresh verdicts",
													ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(Cache.fresh_context);
	StoreBegin(&Cache.fresh, Cache.fresh_context);
}

/*
 * Take note of the subjects whose consents changed: they are looked up again.
 * In a parallel worker they are not, where its leader's verdicts are shared: its
 * statement may or may not see the change.
 */
static void
ApplyChanges(void)
{
	int count = PendingCount;

	PendingCount = 0;
	if (IsParallelWorker() && Cache.shared)
		return;
	for (int i = 0; i < count; i++)
	{
		if (ChangeHasKey(Pending[i]))
			MapForget(ChangedKey(Pending[i]));
		else
			ChangeSetAdd(&Cache.changed, ChangedSuffix(Pending[i]));
	}
	EmptyFresh();
	Cache.counted = false;
	Version++;
	if (Cache.changed.count > CHANGES_MAX)
		Stale = true;
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
		UseSharedStore(shared);
		Cache.changed = shared->changed;
		EmptyFresh();
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
	Version++;
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
	Cache.request.action = PHI_ACTION_ACCESS;
	Cache.request.purpose = session->purpose_stated ? session->purpose : PHI_PURPOSE_NONE;
	Cache.request.action = PHI_ACTION_ACCESS;
	Cache.unshareable = false;
	ConsentTable = PhiRelation("consent");
	PendingCount = 0;
	if (IsParallelWorker())
		AdoptSharedVerdicts();
	Stale = false;
	Loaded = true;
}

/* Does everything that the cache was made for still hold, but for changes of single subjects? */
static inline bool
CacheHolds(void)
{
	int64 now = StatementTime();

	return Loaded && !Stale && Cache.session_generation == SessionGeneration() &&
		   Cache.keyring_generation == KeyringGeneration() && now >= Cache.now && now < Cache.until;
}

/*
 * The cache holds while nothing it was made for has changed.  This is on the
 * path of every row: a few comparisons, no look at a clock.
 */
uint64
VerdictGeneration(void)
{
	if (unlikely(PendingCount > 0) && Loaded)
		ApplyChanges();
	if (unlikely(!CacheHolds()))
		BeginCache();
	return Generation;
}

uint64
VerdictVersion(void)
{
	(void) VerdictGeneration();
	return Version;
}

/* Take one consent of one subject into a store. */
static bool
TakeOwnConsent(const ReadConsent *consent, void *context)
{
	Cache.until = Min(Cache.until, consent->answer.valid_until);
	StoreAdd(context, consent->token, &consent->answer, consent->program);
	return true;
}

/* Where the subject is found, if it is known at all. */
static inline VerdictStore *
StoreOf(uint64 token)
{
	return ChangeSetHas(&Cache.changed, token) ? &Cache.fresh : &Cache.store;
}

/*
 * Take the verdict of one subject in, NA as well.  An error in between leaves
 * the cache to be begun anew: an entry without all its consents must not stay.
 */
static void
LoadVerdict(uint64 token)
{
	VerdictStore *store = StoreOf(token);

	if (StoreIsFull(store, 0, DecisionCacheLimit()))
	{
		EmptyCache();
		store = &Cache.store;
	}
	Loaded = false;
	(void) StoreEntry(store, token);
	(void) ReadConsents(ConsentTable, &token, &Cache.request, TakeOwnConsent, store);
	Loaded = true;
}

/* Take in what is not NA for every row; false when the cache is full. */
static bool
TakeAnyConsent(const ReadConsent *consent, void *context)
{
	Size program = consent->answer.depends == 0 ? 0 : consent->program.size;

	if (consent->answer.depends == 0 && consent->answer.verdict == PHI_VERDICT_NA)
	{
		Cache.until = Min(Cache.until, consent->answer.valid_until);
		return true;
	}
	if (StoreIsFull(&Cache.store, program, DecisionCacheLimit()))
		return false;
	return TakeOwnConsent(consent, &Cache.store);
}

/* Take the whole table in. */
static void
LoadAllVerdicts(void)
{
	bool fits;

	EmptyCache();
	fits = ReadConsents(ConsentTable, NULL, &Cache.request, TakeAnyConsent, NULL);
	if (!fits)
		EmptyCache();
	Cache.too_large = !fits;
	Cache.complete = fits;
	Loaded = true;
}

/* Have the whole table taken in, where it fits. */
static void
Complete(void)
{
	(void) VerdictGeneration();
	if (!Cache.complete && !Cache.too_large)
		LoadAllVerdicts();
	(void) VerdictGeneration();
}

bool
ForPermitted(bool (*take)(uint64 token, void *context), void *context)
{
	Complete();
	/* Of subjects whose consents changed the token is not known. */
	if (Cache.complete && Cache.changed.count > 0)
		LoadAllVerdicts();
	return Cache.complete && StorePermitted(&Cache.store, take, context);
}

bool
VerdictsAtHand(double *denied, double *permitted)
{
	if (!CacheHolds() || !Cache.complete)
		return false;
	if (!Cache.counted)
		StoreCount(&Cache.store, &Cache.denied, &Cache.permitted);
	Cache.counted = true;
	*denied = Cache.denied;
	*permitted = Cache.permitted;
	return true;
}

/* Copy the cache to a fresh block and use that instead. */
static void
MoveToShare(void)
{
	SharedVerdicts *shared =
		ShareCreate(add_size(SHARED_STORE_OFFSET, StoreBlockSize(&Cache.store)));

	Cache.unshareable = shared == NULL;
	if (!shared)
		return;
	memset(shared, 0, SHARED_STORE_OFFSET);
	shared->now = Cache.now;
	shared->until = Cache.until;
	shared->purpose = Cache.request.purpose;
	shared->reference_count = Cache.request.actor_count;
	memcpy(shared->references, Cache.references, sizeof(Cache.references));
	StoreWrite(&Cache.store, (char *) shared + SHARED_STORE_OFFSET);
	Loaded = false;
	UseSharedStore(shared);
	Loaded = true;
	ShareShow();
}

bool
ShareVerdicts(void)
{
	Complete();
	if (Cache.complete && !Cache.shared && !Cache.unshareable)
		MoveToShare();
	if (Cache.shared)
		Cache.shared->changed = Cache.changed;
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
SubjectVerdict(uint64 subject_token, RowFacts *facts)
{
	for (;;)
	{
		const VerdictEntry *entry;
		VerdictStore *store;

		(void) VerdictGeneration();
		store = StoreOf(subject_token);
		entry = StoreFind(store, subject_token);
		if (entry)
			return StoreVerdict(store, entry, &Cache.request, facts);
		if (Cache.complete && store == &Cache.store)
			return PHI_VERDICT_NA;
		CHECK_FOR_INTERRUPTS();
		if (ManyMisses() && !Cache.too_large)
			LoadAllVerdicts();
		else
			LoadVerdict(subject_token);
	}
}
