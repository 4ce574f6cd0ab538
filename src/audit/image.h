/*-------------------------------------------------------------------------
 * image.h
 *		Sealing the images of changed rows, for capture => 'row'; reading
 *		them is types/history.c.  The format is that of core/image.h.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_IMAGE_H
#define PHI_AUDIT_IMAGE_H

#include "platform/registry.h"

#include "core/image.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "utils/rel.h"

/* What the images of a relation have in common. */
typedef struct ImageShape ImageShape;

/* The images of one event, while it is collected. */
typedef struct ImageBatch
{
	const ImageShape *shape;
	uint8 salt[PHI_IMAGE_SALT_SIZE]; /* to be the event's */
	int entries;
	int key_count;
	int key_capacity;
	uint32 *keys; /* ids of data keys in use */
	StringInfoData sizes;
	StringInfoData envelopes;
} ImageBatch;

/* One version of a row: NULL slot for none. */
typedef struct ImageRow
{
	TupleTableSlot *slot; /* deformed */
	uint64 subject;       /* token, 0 without one */
} ImageRow;

/*
 * Begin a statement's images.  Until ImageEnd() values have the text form that
 * is the same in every session.
 */
extern const ImageShape *ImageBegin(Relation relation, const ProtectedRelation *policy);
extern void ImageEnd(void);

/* Begin an event's images, in the current context. */
extern void ImageBatchBegin(ImageBatch *batch, const ImageShape *shape);

/* Add an entry, its memory in context. */
extern void ImageBatchAdd(ImageBatch *batch, const ImageRow *before, const ImageRow *after,
						  MemoryContext context);

/* Are there so many bytes that the event should end? */
extern bool ImageBatchFull(const ImageBatch *batch);

/* The value of phi_audit.event.images, in the current context. */
extern bytea *ImageBatchValue(const ImageBatch *batch);

/* The settings that text forms depend on, made the same; undone by AtEOXact_GUC(true, level). */
extern int ImageTextSettings(void);

#endif /* PHI_AUDIT_IMAGE_H */
