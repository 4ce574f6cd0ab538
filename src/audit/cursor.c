/*-------------------------------------------------------------------------
 * cursor.c
 *		Going through the rows of a cursor, however many there are.
 *
 * Memory: the rows of one fetch, and what is allocated for one of them.
 *-------------------------------------------------------------------------
 */
#include "audit/cursor.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/memutils.h"

void
CursorEach(Portal cursor, long fetch, RowTaker take, void *argument)
{
	int columns = cursor->tupDesc->natts;
	Datum *values = palloc(sizeof(Datum) * columns);
	bool *isnull = palloc(sizeof(bool) * columns);
	MemoryContext each =
		AllocSetContextCreate(CurrentMemoryContext, "phi_guard audit row", ALLOCSET_DEFAULT_SIZES);

	for (SPI_cursor_fetch(cursor, true, fetch); SPI_processed > 0;
		 SPI_freetuptable(SPI_tuptable), SPI_cursor_fetch(cursor, true, fetch))
	{
		uint64 i;

		CHECK_FOR_INTERRUPTS();
		for (i = 0; i < SPI_processed; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(each);

			heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, isnull);
			take(argument, values, isnull);
			MemoryContextSwitchTo(old);
			MemoryContextReset(each);
		}
	}
	SPI_cursor_close(cursor);
	MemoryContextDelete(each);
	pfree(values);
	pfree(isnull);
}
