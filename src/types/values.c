/*-------------------------------------------------------------------------
 * values.c
 *		Rewriting the sealed values of a live table, a batch of rows at a time.
 *
 * Rows are found, locked and written by rows.c.  A row none of whose values
 * could be renewed stays as it is.
 *-------------------------------------------------------------------------
 */
#include "types/values.h"

#include "access/sysattr.h"
#include "types/sealing.h"

void
AddColumn(ValueWalk *walk, AttrNumber attnum)
{
	if (walk->columns == NULL)
		walk->columns = palloc(sizeof(AttrNumber) * RelationGetNumberOfAttributes(walk->rows.relation));
	walk->columns[walk->column_count++] = attnum;
	walk->rows.written =
		bms_add_member(walk->rows.written, attnum - FirstLowInvalidHeapAttributeNumber);
}

/* Is there anything to change in the value of a column? */
static bool
ValueNeeded(const ValueWalk *walk, TupleTableSlot *row, int column, phi_header *header)
{
	int position = walk->columns[column] - 1;

	if (row->tts_isnull[position])
		return false;
	ReadHeader(row->tts_values[position], header);
	return walk->needed(header, column, walk->state);
}

/* RowWalk: is there in any value of the row? */
static bool
RowNeeded(TupleTableSlot *row, void *state)
{
	const ValueWalk *walk = state;
	phi_header header;

	for (int i = 0; i < walk->column_count; i++)
		if (ValueNeeded(walk, row, i, &header))
			return true;
	return false;
}

/* RowWalk: renew the values that need it; false when none could be. */
static bool
RowChange(TupleTableSlot *copy, void *state)
{
	ValueWalk *walk = state;
	bool changed = false;
	phi_header header;

	for (int i = 0; i < walk->column_count; i++)
	{
		Datum *value = &copy->tts_values[walk->columns[i] - 1];
		struct varlena *renewed;

		if (!ValueNeeded(walk, copy, i, &header))
			continue;
		renewed = walk->renew(*value, &header, i, walk->state);
		if (renewed == NULL)
		{
			walk->unreadable++;
			continue;
		}
		*value = PointerGetDatum(renewed);
		changed = true;
	}
	return changed;
}

void
WalkValues(ValueWalk *walk, BlockNumber first)
{
	walk->rows.needed = RowNeeded;
	walk->rows.change = RowChange;
	walk->rows.state = walk;
	WalkRows(&walk->rows, first);
}
