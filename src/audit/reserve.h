/*-------------------------------------------------------------------------
 * reserve.h
 *		Places for audit workers that nothing else can take (reserve.c).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_RESERVE_H
#define PHI_AUDIT_RESERVE_H

#include "platform/platform.h"

#include "datatype/timestamp.h"

/* Have a process that sleeps serve a database; false where none does. */
extern bool ReserveAssign(Oid database);

/* Have a process that serves another database leave for this one; false where there is no such process. */
extern bool ReserveTurn(Oid database);

/* In the process: has another database waited long enough for its place? */
extern bool ReserveTurnIsOver(TimestampTz now);

extern void ReserveInit(void); /* from WorkerInit */

#endif /* PHI_AUDIT_RESERVE_H */
