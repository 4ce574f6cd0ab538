/*-------------------------------------------------------------------------
 * map.h
 *		Decisions by integer subject, two bits each.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_MAP_H
#define PHI_MAP_H

#include "platform/platform.h"

#include "catalog/pg_type.h"
#include "port/atomics.h"

/* Keys from 0 to MAP_KEYS are kept: PAGES pages of 2^PAGE_SHIFT subjects each. */
#define PAGE_SHIFT 15
#define PAGE_BYTES (1 << (PAGE_SHIFT - 2))
#define PAGES      2048
#define MAP_KEYS   ((int64) PAGES << PAGE_SHIFT)

/* The two bits of a subject. */
#define KEPT_UNKNOWN 0
#define KEPT_DENY    1
#define KEPT_PERMIT  2
#define KEPT_DEPENDS 3 /* on the row */

typedef struct DecisionMap
{
	MemoryContext context;
	uint64 verdict_generation;
	Size used;                      /* by pages of our own */
	void *shared;                   /* where the first pages are, in a shared block */
	pg_atomic_uint32 *pages[PAGES]; /* PAGE_BYTES each */
} DecisionMap;

extern DecisionMap Map;

/* What is kept of a key. */
static inline uint32
KeptDecision(int64 key)
{
	pg_atomic_uint32 *page = Map.pages[key >> PAGE_SHIFT];
	uint32 bit = (uint32) (key & ((1 << PAGE_SHIFT) - 1)) * 2;

	return page ? (pg_atomic_read_u32(&page[bit >> 5]) >> (bit & 31)) & 3 : KEPT_UNKNOWN;
}

/* The value of an integer subject, or -1 for one that the map does not hold. */
static inline int64
MapKey(Datum subject, Oid type)
{
	int64 key = -1;

	if (type == INT8OID)
		key = DatumGetInt64(subject);
	else if (type == INT4OID)
		key = DatumGetInt32(subject);
	else if (type == INT2OID)
		key = DatumGetInt16(subject);
	return key >= 0 && key < MAP_KEYS ? key : -1;
}

/* Begin the map anew where it is void. */
extern void PrepareMap(void);

/* Keep a decision (KEPT_*), if the memory suffices. */
extern void KeepDecision(int64 key, uint32 kept);

/* Forget the decision of a key. */
extern void MapForget(int64 key);

/* Put the first pages, with what is on them, into the block shared with workers. */
extern void MapUseShared(void);

#endif /* PHI_MAP_H */
