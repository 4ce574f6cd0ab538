/*-------------------------------------------------------------------------
 * worker.h
 *		The audit worker of a database (worker.c).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_WORKER_H
#define PHI_AUDIT_WORKER_H

#include "platform/platform.h"

/* Ask the postmaster for the worker of a database; false when every background worker is taken. */
extern bool WorkerStart(Oid database);

/* Have the worker leave a database that a utility statement is about to drop, copy, rename or move. */
extern void WorkerMakeWay(const Node *statement);

extern void WorkerInit(void); /* from AuditInit: settings */

#endif /* PHI_AUDIT_WORKER_H */
