/*-------------------------------------------------------------------------
 * values.h
 *		Rewriting the sealed values of a live table, a batch of rows at a time.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_VALUES_H
#define PHI_VALUES_H

#include "core/envelope.h"
#include "types/rows.h"

typedef struct ValueWalk
{
	RowWalk rows; /* relation, limit and snapshot are set by the caller */

	/* Is there anything to change in a value of this column (by position in columns)? */
	bool (*needed)(const phi_header *header, int column, void *state);
	/* The value that takes its place; NULL where it does not open, which is counted. */
	struct varlena *(*renew)(Datum value, const phi_header *header, int column, void *state);
	void *state;
	int column_count; /* see AddColumn() */
	AttrNumber *columns;

	int64 unreadable; /* values, counted on over the batches */
} ValueWalk;

/* A column of the relation whose values may change. */
extern void AddColumn(ValueWalk *walk, AttrNumber attnum);

/* One batch from block first on, as the table's owner; answers are in rows. */
extern void WalkValues(ValueWalk *walk, BlockNumber first);

#endif /* PHI_VALUES_H */
