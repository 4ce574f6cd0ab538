/*-------------------------------------------------------------------------
 * rows.h
 *		Rewriting the rows of a live table, a batch at a time.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_ROWS_H
#define PHI_ROWS_H

#include "platform/platform.h"

#include "executor/executor.h"
#include "storage/block.h"
#include "utils/rel.h"

typedef struct RowWalk
{
	/* set by the caller */
	Relation relation;  /* an ordinary table of access method heap, locked ROW EXCLUSIVE */
	Bitmapset *written; /* columns that may change, offset by FirstLowInvalidHeapAttributeNumber */
	int limit;          /* rows to be written at most */
	/* Is there anything to change in a row?  All of the slot's columns are there. */
	bool (*needed)(TupleTableSlot *row, void *state);
	/* Change the copy of a row that is needed and locked; false: the row stays as it is. */
	bool (*change)(TupleTableSlot *copy, void *state);
	void *state;
	Snapshot snapshot; /* of the rows to look at, registered; NULL: the latest one of each batch */

	/* answers */
	int changed;      /* rows written */
	BlockNumber next; /* where the next batch begins; InvalidBlockNumber at the table's end */
} RowWalk;

/* One batch from block first on, as the table's owner. */
extern void WalkRows(RowWalk *walk, BlockNumber first);

#endif /* PHI_ROWS_H */
