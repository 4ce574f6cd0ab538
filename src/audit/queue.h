/*-------------------------------------------------------------------------
 * queue.h
 *		Events on their way from a session to the database's audit worker.
 *
 * Between the sessions, which put records and may wait for them, and the
 * worker, which takes and finishes them (queue.c).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_QUEUE_H
#define PHI_AUDIT_QUEUE_H

#include "platform/platform.h"

#include "utils/timestamp.h"

#define QUEUE_SLOTS       256
#define QUEUE_RECORD_SIZE (16 * 1024) /* bytes of one record at most */
#define QUEUE_GROUP       64          /* places in one transaction of the worker */

/* What became of a record. */
typedef enum QueueOutcome
{
	QUEUE_WRITTEN,     /* committed and flushed */
	QUEUE_NOT_WRITTEN, /* the worker could not; the server's log says why */
	QUEUE_LATE,        /* no answer in time */
	QUEUE_FULL,        /* no place in time */
	QUEUE_NO_WORKER,   /* none can be started */
} QueueOutcome;

/* ---- a session's side ---- */

/*
 * Put a record; waited says that QueueWait() follows.  Starts the worker where
 * none runs.  Returns QUEUE_WRITTEN when it is in the queue.  With interruptible,
 * a cancel is raised as usual; without, nothing is raised.
 */
extern QueueOutcome QueuePut(const void *record, Size size, bool waited, TimestampTz deadline,
							 bool interruptible);

/* Wait for the records put as waited; all are withdrawn unless all are written in time. */
extern QueueOutcome QueueWait(TimestampTz deadline, bool interruptible);

/* Take back what is not written yet of the records put as waited. */
extern void QueueWithdraw(void);

/* Put a record without waiting for anything, from an abort; false when there is no place. */
extern bool QueuePutNow(const void *record, Size size);

/* An event was appended in this transaction: when it commits there is something to seal. */
extern void QueueExpectEvent(void);

/* Have the worker of a database stop, and wait until it has: it would count as a user of the database. */
extern void QueueStopWorker(Oid database);

/* ---- the worker's side ---- */

/* This process is the worker of its database; false when there is one already. */
extern bool QueueServe(void);

/* Take up to limit places; returns their number. */
extern int QueueTake(int *slots, int limit);

/* The record at *offset of a place, 0 for the first, and where the next one is; NULL behind the last. */
extern const void *QueueRecord(int slot, Size *offset);

/* Does somebody wait for the records of one of these places? */
extern bool QueueAwaited(const int *slots, int count);

/* They are committed, and flushed where somebody waits. */
extern void QueueWritten(const int *slots, int count);

/* They are not: those that nobody waits for go to the end of the queue. */
extern void QueueNotWritten(const int *slots, int count);

/* Stop serving, unless something is queued; false then. */
extern bool QueueRetire(void);

/* Was the worker asked to stop? */
extern bool QueueStopRequested(void);

/* Did sessions put or announce anything since the last call? */
extern bool QueueActive(void);

extern void QueueInit(void); /* from AuditInit */

#endif /* PHI_AUDIT_QUEUE_H */
