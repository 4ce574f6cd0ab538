/*-------------------------------------------------------------------------
 * gone.h
 *		Events that are gone from the log with leave: erased ones, and those of
 *		archived months; and the signed records that say so.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_GONE_H
#define PHI_AUDIT_GONE_H

#include "audit/checkpoint.h"

#include "utils/date.h"

#define RECORD_ERASE   "audit_erase"
#define RECORD_ARCHIVE "audit_archive"
#define RECORD_IMAGES  "audit_erase_images"

#define GONE_KEY_MAX 160

/* Leaves in their order, as one hash. */
typedef struct LeafChain
{
	int64 first; /* leaf, */
	int64 last;
	int64 count;
	uint8 hash[PHI_HASH_SIZE];
} LeafChain;

/* A month that was archived. */
typedef struct GoneMonth
{
	char key[GONE_KEY_MAX]; /* as its record has it */
	TimestampTz begin;
	TimestampTz end;
	LeafChain archived; /* the leaves that it had, */
	LeafChain seen;     /* and those that were seen since GoneLoad() */
} GoneMonth;

/* Numbers of events, ascending, each once. */
typedef struct EventSet
{
	int64 *events;
	Size count;
	Size room;
} EventSet;

/* What the signed records of the log say. */
typedef struct Gone
{
	MemoryContext context; /* of what it has */
	EventSet erased;
	EventSet without_images;
	GoneMonth *months;
	int month_count;
	bool forged;        /* some record is not signed, */
	int64 forged_event; /* first this event: nothing that it says counts */
} Gone;

/* Every incarnation of the log, in order; their number.  Uses SPI; in the current context. */
extern uint64 IncarnationsLoad(Incarnation **out);

/* Nothing is gone yet; memory of the current context. */
extern void GoneBegin(Gone *gone);

/* Read the records.  Uses SPI; memory of the current context. */
extern void GoneLoad(Gone *gone, const Incarnation *incarnations, uint64 count);

/*
 * Read the records of one event more (action, row_keys, reason, recorded_at), for a log of which
 * not everything can be read; GoneSort() after the last one.
 */
extern void GoneTake(Gone *gone, const Incarnation *incarnations, uint64 count, int64 event,
					 const Datum *values, const bool *isnull);
extern void GoneSort(Gone *gone);

/* Was the event erased? */
extern bool GoneErased(const Gone *gone, int64 event);

/* Were the images of the event erased? */
extern bool GoneImages(const Gone *gone, int64 event);

/* The archived month that the time is in, or NULL. */
extern GoneMonth *GoneArchived(const Gone *gone, TimestampTz when);

/* Add the next leaf to a chain. */
extern void LeafChainAdd(LeafChain *chain, int64 index, int64 event, TimestampTz recorded_at,
						 const uint8 hash[PHI_HASH_SIZE]);

/* Are all the leaves that a month had, and no other, among those seen? */
extern bool GoneMonthWhole(const GoneMonth *month);

/* The key of a month (its first day) in its record, from the leaves that it has.  Uses SPI. */
extern char *GoneMonthKey(DateADT month);

/*
 * Append the record that events or their images (their numbers, RECORD_ERASE, RECORD_IMAGES) or months (their
 * keys, RECORD_ARCHIVE) are gone, signed as the newest incarnation, which must
 * be that of this server.  Uses SPI.
 */
extern void GoneRecord(const char *action, const char *detail, char **keys, int count);

#endif /* PHI_AUDIT_GONE_H */
