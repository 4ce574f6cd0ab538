/*-------------------------------------------------------------------------
 * cursor.h
 *		Going through the rows of a cursor, however many there are.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_CURSOR_H
#define PHI_AUDIT_CURSOR_H

#include "platform/compat.h"

#include "executor/spi.h"

/* Take a row.  The memory that it is called in does not outlive the call. */
typedef void (*RowTaker)(void *argument, const Datum *values, const bool *isnull);

/* Take every row of a cursor, which are fetched so many at a time, and close it. */
extern void CursorEach(Portal cursor, long fetch, RowTaker take, void *argument);

#endif /* PHI_AUDIT_CURSOR_H */
