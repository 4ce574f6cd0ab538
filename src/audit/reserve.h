/*-------------------------------------------------------------------------
 * reserve.h
 *		Places for audit workers that nothing else can take (reserve.c).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_RESERVE_H
#define PHI_AUDIT_RESERVE_H

#include "platform/platform.h"

/* Have a process that sleeps serve a database; false where none does. */
extern bool ReserveAssign(Oid database);

extern void ReserveInit(void); /* from WorkerInit */

#endif /* PHI_AUDIT_RESERVE_H */
