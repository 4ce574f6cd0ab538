/*-------------------------------------------------------------------------
 * worker.h
 *		The audit worker of a database (worker.c).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_WORKER_H
#define PHI_AUDIT_WORKER_H

#include "platform/platform.h"

#include "postmaster/bgworker.h"

#define WORKER_DONE  0 /* exit code of a worker that is not wanted any more */
#define WORKER_AGAIN 1 /* of one that the postmaster is to start again */

/* Have a worker started for a database; false when every background worker is taken. */
extern bool WorkerStart(Oid database);

/* Have the worker leave a database that a utility statement is about to drop, copy, rename or move. */
extern void WorkerMakeWay(const Node *statement);

/* A background worker of ours with this entry, not to be restarted. */
extern void WorkerDescribe(BackgroundWorker *worker, const char *entry, Datum argument);

/* In the process: set its signals up; was it told to end?; serve a database, and end with an exit code. */
extern void WorkerBegin(void);
extern bool WorkerMustEnd(void);
extern PHI_NORETURN void WorkerServe(Oid database, int exit_code);

/* Does a commit that is to be durable wait for a standby? */
extern bool StandbysAwaited(void);

extern void WorkerInit(void); /* from AuditInit: settings */

#endif /* PHI_AUDIT_WORKER_H */
