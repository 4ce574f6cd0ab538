/*-------------------------------------------------------------------------
 * map.c
 *		Decisions by integer subject: two bits each, in pages that a scan in
 *		key order walks through.
 *
 * They are void with the verdicts (VerdictGeneration), which a change of
 * phi.open_purposes voids too.  Where the verdicts are shared with parallel
 * workers, so are the first pages, and all of them write: there a bit is only
 * ever set, and everybody would set the same.  When the consents of a subject
 * change, its bits are cleared in memory of our own: a worker that has not seen
 * the change cannot set them again.
 *
 * Memory: a context below CacheMemoryContext, at most 16 MB and at most
 * phi.decision_cache.
 *-------------------------------------------------------------------------
 */
#include "consent/map.h"

#include "access/parallel.h"
#include "consent/verdict.h"
#include "utils/memutils.h"

/* The map of this process. */
DecisionMap Map;

/*
 * Put the first pages of the map, with what is on them, into the block shared
 * with workers; a worker finds there what is kept already.
 */
void
MapUseShared(void)
{
	char *shared = SharedMap();

	if (!shared || Map.shared == shared)
		return;
	for (int i = 0; i < SHARED_MAP_BYTES / PAGE_BYTES; i++)
	{
		pg_atomic_uint32 *page = (pg_atomic_uint32 *) (shared + i * PAGE_BYTES);

		if (Map.pages[i])
			memcpy(page, Map.pages[i], PAGE_BYTES);
		else if (!IsParallelWorker())
			memset(page, 0, PAGE_BYTES);
		Map.pages[i] = page;
	}
	Map.shared = shared;
	DecisionTick++;
}

/* Begin the map anew where it is void. */
void
PrepareMap(void)
{
	uint64 generation = VerdictGeneration();

	if (likely(Map.verdict_generation == generation))
		return;
	if (!Map.context)
		Map.context = AllocSetContextCreate(CacheMemoryContext, "phi_guard decisions",
											ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(Map.context);
	memset(Map.pages, 0, sizeof(Map.pages));
	Map.used = 0;
	Map.shared = NULL;
	Map.verdict_generation = generation;
	DecisionTick++;
	MapUseShared();
}

/* Keep a decision (KEPT_*), if the memory suffices. */
void
KeepDecision(int64 key, uint32 kept)
{
	pg_atomic_uint32 **page = &Map.pages[key >> PAGE_SHIFT];
	uint32 bit = (uint32) (key & ((1 << PAGE_SHIFT) - 1)) * 2;

	if (!*page)
	{
		if (Map.used + PAGE_BYTES > DecisionCacheLimit())
			return;
		*page = MemoryContextAllocZero(Map.context, PAGE_BYTES);
		Map.used += PAGE_BYTES;
	}
	pg_atomic_fetch_or_u32(&(*page)[bit >> 5], kept << (bit & 31));
}


/* Have the pages that workers may write to in memory of our own. */
static void
MapOwn(void)
{
	for (int i = 0; i < SHARED_MAP_BYTES / PAGE_BYTES; i++)
	{
		pg_atomic_uint32 *page = MemoryContextAlloc(Map.context, PAGE_BYTES);

		memcpy(page, Map.pages[i], PAGE_BYTES);
		Map.pages[i] = page;
		Map.used += PAGE_BYTES;
	}
	Map.shared = NULL;
}

void
MapForget(int64 key)
{
	uint32 bit = (uint32) (key & ((1 << PAGE_SHIFT) - 1)) * 2;

	if (Map.shared)
		MapOwn();
	if (Map.pages[key >> PAGE_SHIFT])
		pg_atomic_fetch_and_u32(&Map.pages[key >> PAGE_SHIFT][bit >> 5], ~(3u << (bit & 31)));
}
