/*-------------------------------------------------------------------------
 * area.h
 *		The queue's shared memory, between its session's side (queue.c) and its
 *		worker's side (serve.c).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_AREA_H
#define PHI_AUDIT_AREA_H

#include "audit/queue.h"

#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"

#define QUEUE_DATABASES 128
#define QUEUE_SHARE     (QUEUE_SLOTS / 2) /* places of one database */
#define WAKE_PLACES     4                 /* in use by one database: the worker is woken though nobody waits */
#define NONE            (-1)

/* In a place a record has its size before it. */
#define RECORD_HEADER  MAXALIGN(sizeof(Size))
#define RECORD_ROOM(n) (RECORD_HEADER + MAXALIGN(n))

typedef enum SlotState
{
	SLOT_FREE,
	SLOT_QUEUED,
	SLOT_TAKEN,
	SLOT_WRITTEN,
	SLOT_NOT_WRITTEN
} SlotState;

typedef struct QueueSlot
{
	pg_atomic_uint32 state; /* a SlotState; read without the lock by who waits */
	bool waited;            /* the owner waits for it and frees it */
	bool disowned;          /* the owner has given up on it */
	int next;
	int database; /* index of its QueueDatabase */
	PGPROC *owner;
	Size size; /* of the records with their headers: one, or several that nobody waits for */
	uint8 records[RECORD_ROOM(QUEUE_RECORD_SIZE)];
} QueueSlot;

typedef struct QueueDatabase
{
	Oid database;
	PGPROC *worker;      /* NULL when none runs */
	TimestampTz started; /* when one was last asked for */
	bool stop;
	bool active;
	int used; /* places */
	int first;
	int last;
	int open; /* queued place that takes more records that nobody waits for, or NONE */
} QueueDatabase;

typedef struct Queue
{
	LWLock lock;
	int free; /* list of free places */
	QueueDatabase databases[QUEUE_DATABASES];
	QueueSlot slots[QUEUE_SLOTS];
} Queue;

extern Queue *QueueArea;

/* The lists; the lock is held. */
extern void QueueFreeSlot(int index);
extern void QueueLink(int index);
extern void QueueUnlink(int index);
extern int QueueFindDatabase(Oid oid, bool make);

/* Have QueueWithdraw() and QueueLeave() called when this process exits. */
extern void QueueRegisterExit(void);

/* serve.c: stop serving: what was taken is queued again, and who waits is woken to start another worker. */
extern void QueueLeave(void);

#endif /* PHI_AUDIT_AREA_H */
