/*-------------------------------------------------------------------------
 * spool.h
 *		Events on another disk, for emergencies in which the worker does not
 *		answer (spool.c).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_SPOOL_H
#define PHI_AUDIT_SPOOL_H

#include "platform/platform.h"

#include "access/htup.h"

/* Is a spool set? */
extern bool SpoolEnabled(void);

/* Put a record into the spool: it is on disk when this returns.  Raises when it cannot be. */
extern void SpoolWrite(MinimalTuple record);

/* Is there anything in it for this database? */
extern bool SpoolWaiting(void);

/* Write what is in it as events of the current transaction, but what is an event already. */
extern void SpoolDrain(void);

/* That transaction is committed: remove the files. */
extern void SpoolDrained(void);

extern void SpoolInit(void); /* from DurableInit: the setting */

#endif /* PHI_AUDIT_SPOOL_H */
