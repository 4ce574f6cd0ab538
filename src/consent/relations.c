/*-------------------------------------------------------------------------
 * relations.c
 *		What the session has to do with a subject, cached per process.
 *
 * Care relationships fill the cache one by one, by index, so that a point read
 * costs one look-up; after BULK_AFTER misses in one statement all of the
 * session's are read in one pass.  The other kinds are few for any actor and
 * are read whole at their first use.
 *
 * The cache is void when the session or the keys change, when a relcache
 * invalidation of one of the tables arrives, and when the statement's time
 * leaves the span for which it holds.  The verdicts are void with it
 * (VerdictsInvalidate, VerdictsHoldUntil), and so is the map of decisions.
 *
 * Memory: one context below CacheMemoryContext, bounded by phi.decision_cache;
 * what does not fit is read from the table each time.
 *-------------------------------------------------------------------------
 */
#include "consent/relations.h"

#include "access/xact.h"
#include "consent/verdict.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Misses in one statement after which everything is read, by kind. */
static const int BulkAfter[RELATION_KINDS] = {[RELATION_CARE] = 1000};

/* Buckets of a fresh table. */
#define FIRST_SIZE 64

typedef struct RelationEntry
{
	uint64 token;
	char status; /* of simplehash */
	bool holds;
} RelationEntry;

/* A token is the output of a keyed hash already. */
#define SH_PREFIX            relation
#define SH_ELEMENT_TYPE      RelationEntry
#define SH_KEY_TYPE          uint64
#define SH_KEY               token
#define SH_HASH_KEY(tb, key) ((uint32) (key))
#define SH_EQUAL(tb, a, b)   ((a) == (b))
#define SH_SCOPE             static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

/* The relations of one kind. */
typedef struct RelationSet
{
	relation_hash *entries;
	bool complete;  /* everything was taken in: what is not there does not hold */
	bool too_large; /* it was tried and did not fit */
	int misses;
} RelationSet;

typedef struct RelationCache
{
	MemoryContext context;
	Asker asker;
	TimestampTz until;
	TimestampTz misses_of; /* the statement that the misses are counted in */
	uint64 session_generation;
	uint64 keyring_generation;
	RelationSet sets[RELATION_KINDS];
} RelationCache;

static RelationCache Cache;

/* Is Cache in use, and was it not invalidated since? */
static bool Loaded = false;
static bool Stale = false;

/* OIDs of the tables for the callback, which must not look them up. */
static Oid Tables[RELATION_KINDS];

bool
RelationsInvalidate(Oid relid)
{
	bool ours = relid == InvalidOid;

	for (int kind = 0; kind < RELATION_KINDS; kind++)
		ours = ours || relid == Tables[kind];
	Stale = Stale || ours;
	return ours;
}

void
SessionAsker(Asker *asker)
{
	asker->at = GetCurrentStatementStartTimestamp();
	asker->reference_count = SessionReferences(asker->references);
}

/* Begin one set anew; everything of the kind is to be read where it is asked for. */
static void
EmptySet(RelationSet *set)
{
	if (set->entries)
		relation_destroy(set->entries);
	set->entries = relation_create(Cache.context, FIRST_SIZE, NULL);
	set->complete = false;
}

/*
 * Begin the cache anew for the session as it is.  The references come first:
 * they may load keys, and with that change the keyring's generation.
 */
static void
BeginCache(void)
{
	Loaded = false;
	Tables[RELATION_CARE] = PhiRelation("care_relationship");
	Tables[RELATION_SELF] = PhiRelation("person");
	Tables[RELATION_PROXY] = Tables[RELATION_CONSENT_PROXY] = PhiRelation("proxy");
	Tables[RELATION_GLASS] = PhiRelation("glass");
	if (!Cache.context)
		Cache.context = AllocSetContextCreate(CacheMemoryContext, "phi_guard relations",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(Cache.context);
	memset(Cache.sets, 0, sizeof(Cache.sets));
	for (int kind = 0; kind < RELATION_KINDS; kind++)
		EmptySet(&Cache.sets[kind]);
	Cache.until = DT_NOEND;
	SessionAsker(&Cache.asker);
	Cache.session_generation = SessionGeneration();
	Cache.keyring_generation = KeyringGeneration();
	Stale = false;
	Loaded = true;
}

/* Bring the cache up to date. */
static inline void
PrepareCache(void)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();

	if (unlikely(!Loaded || Stale || Cache.session_generation != SessionGeneration() ||
				 Cache.keyring_generation != KeyringGeneration() || now < Cache.asker.at ||
				 now >= Cache.until))
		BeginCache();
}

/* Would one more entry make the set outgrow its share of the limit? */
static inline bool
SetIsFull(const RelationSet *set)
{
	return set->entries->members >= set->entries->grow_threshold &&
		   2 * set->entries->size * sizeof(RelationEntry) > DecisionCacheLimit();
}

/* RelationTaker: a subject that a relation holds for; false when the set is full. */
static bool
AddRelation(void *context, uint64 subject_token)
{
	RelationSet *set = context;
	RelationEntry *entry;
	bool found;

	if (SetIsFull(set))
		return false;
	entry = relation_insert(set->entries, subject_token, &found);
	entry->holds = true;
	return true;
}

/* Take everything of a kind in.  An error leaves the cache to be begun anew. */
static void
LoadSet(RelationKind kind)
{
	RelationSet *set = &Cache.sets[kind];
	bool fits;

	Loaded = false;
	EmptySet(set);
	fits = RelationReadAll(kind, &Cache.asker, &Cache.until, AddRelation, set);
	if (!fits)
		EmptySet(set);
	set->complete = fits;
	set->too_large = !fits;
	Loaded = true;
}

/* Take one subject in. */
static void
LoadRelation(RelationKind kind, uint64 subject_token)
{
	RelationSet *set = &Cache.sets[kind];
	RelationEntry *entry;
	int64 id;
	bool holds;
	bool found;

	Loaded = false;
	holds = RelationRead(kind, &Cache.asker, subject_token, &Cache.until, &id);
	if (SetIsFull(set))
		EmptySet(set);
	entry = relation_insert(set->entries, subject_token, &found);
	entry->holds = holds;
	Loaded = true;
}

/* Count a miss: does the statement look like one that asks for most subjects? */
static bool
ManyMisses(RelationKind kind)
{
	RelationSet *set = &Cache.sets[kind];
	TimestampTz now = GetCurrentStatementStartTimestamp();

	if (Cache.misses_of != now)
		for (int other = 0; other < RELATION_KINDS; other++)
			Cache.sets[other].misses = 0;
	Cache.misses_of = now;
	return ++set->misses > BulkAfter[kind];
}

/* An invalidation while a table is read shows at the next turn, which begins anew. */
static bool
RelationHolds(RelationKind kind, uint64 subject_token)
{
	for (;;)
	{
		RelationSet *set = &Cache.sets[kind];
		RelationEntry *entry;

		PrepareCache();
		entry = relation_lookup(set->entries, subject_token);
		if (entry || set->complete)
		{
			VerdictsHoldUntil(Cache.until);
			return entry && entry->holds;
		}
		CHECK_FOR_INTERRUPTS();
		if (ManyMisses(kind) && !set->too_large)
			LoadSet(kind);
		else
			LoadRelation(kind, subject_token);
	}
}

bool
CareRelated(uint64 subject_token)
{
	return RelationHolds(RELATION_CARE, subject_token);
}

bool
IsSubjectOrProxy(uint64 subject_token)
{
	return RelationHolds(RELATION_SELF, subject_token) ||
		   RelationHolds(RELATION_PROXY, subject_token);
}

bool
GlassBroken(uint64 subject_token)
{
	return RelationHolds(RELATION_GLASS, subject_token);
}

int64
GlassInForce(uint64 subject_token)
{
	TimestampTz until = DT_NOEND;
	Asker asker;
	int64 id;

	SessionAsker(&asker);
	return RelationRead(RELATION_GLASS, &asker, subject_token, &until, &id) ? id : 0;
}
