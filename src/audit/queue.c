/*-------------------------------------------------------------------------
 * queue.c
 *		The queue between the sessions and the audit workers, in shared memory.
 *
 * There are QUEUE_SLOTS places for all databases; one database has at most
 * half of them, so that a worker that hangs does not stop the others.  A
 * session fills a place, links it to its database's list and waits on its own
 * latch; the worker takes the list in order and says what became of each.  A
 * place belongs to the session while it is being filled and when it is
 * finished, to the list while it is queued, and to the worker from taking to
 * finishing.  A session that gives up (cancel, time limit) unlinks what is
 * queued and disowns what is taken: nothing of it is left for the next
 * statement to mistake for its own.
 *
 * Locking: one lightweight lock over lists and states; nothing waits under it.
 *-------------------------------------------------------------------------
 */
#include "audit/queue.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "audit/worker.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/wait_event.h"

#define QUEUE_DATABASES 128
#define QUEUE_SHARE     (QUEUE_SLOTS / 2) /* places of one database */
#define NONE            (-1)
#define RETRY_MS        5    /* between attempts to find a place */
#define START_MS        5000 /* after which a worker that did not appear is started again */
#define REGISTER_MS     1000 /* how long to try where every background worker is taken */
#define STOP_MS         5000

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
	bool waited;			/* the owner waits for it and frees it */
	bool disowned;			/* the owner has given up on it */
	int next;
	int database; /* index of its QueueDatabase */
	PGPROC *owner;
	int code;		/* SQLSTATE where it was not written */
	XLogRecPtr lsn; /* for the owner to flush, or invalid */
	Size size;
	uint8 record[QUEUE_RECORD_SIZE];
} QueueSlot;

typedef struct QueueDatabase
{
	Oid database;
	PGPROC *worker; /* NULL when none runs */
	TimestampTz started; /* when one was last asked for */
	bool stop;
	bool active;
	int used; /* places */
	int first;
	int last;
} QueueDatabase;

typedef struct Queue
{
	LWLock lock;
	int free; /* list of free places */
	QueueDatabase databases[QUEUE_DATABASES];
	QueueSlot slots[QUEUE_SLOTS];
} Queue;

static Queue *Shared = NULL;

/* The places that this session waits for. */
static int Tickets[QUEUE_SLOTS];
static int TicketCount = 0;

/* SQLSTATE of the last failure told to this session. */
static int LastCode = 0;

/* An event was appended within the current transaction. */
static bool EventExpected = false;

/* Is the exit callback of this process set? */
static bool ExitRegistered = false;

/* Index that the entry of this database had when last looked up, or NONE. */
static int Known = NONE;

/* Index of the database this worker serves, or NONE. */
static int Served = NONE;

static void
InitializeQueue(void *area)
{
	Queue *queue = area;
	int i;

	memset(queue, 0, sizeof(*queue));
	LWLockInitialize(&queue->lock, LWLockNewTrancheId());
	for (i = 0; i < QUEUE_SLOTS; i++)
	{
		pg_atomic_init_u32(&queue->slots[i].state, SLOT_FREE);
		queue->slots[i].next = i + 1 < QUEUE_SLOTS ? i + 1 : NONE;
	}
	for (i = 0; i < QUEUE_DATABASES; i++)
		queue->databases[i].first = queue->databases[i].last = NONE;
}

/* ---- lists; the lock is held ---- */

/* Give a place back. */
static void
FreeSlot(int index)
{
	QueueSlot *slot = &Shared->slots[index];

	pg_atomic_write_u32(&slot->state, SLOT_FREE);
	slot->owner = NULL;
	slot->waited = false;
	Shared->databases[slot->database].used--;
	slot->next = Shared->free;
	Shared->free = index;
}

/* Link a place to the end of its database's list. */
static void
Enqueue(int index)
{
	QueueSlot *slot = &Shared->slots[index];
	QueueDatabase *database = &Shared->databases[slot->database];

	slot->next = NONE;
	pg_atomic_write_u32(&slot->state, SLOT_QUEUED);
	if (database->last == NONE)
		database->first = index;
	else
		Shared->slots[database->last].next = index;
	database->last = index;
}

/* Take a place out of its database's list. */
static void
Unlink(int index)
{
	QueueDatabase *database = &Shared->databases[Shared->slots[index].database];
	int before = NONE;
	int at = database->first;

	while (at != index)
	{
		before = at;
		at = Shared->slots[at].next;
	}
	if (before == NONE)
		database->first = Shared->slots[index].next;
	else
		Shared->slots[before].next = Shared->slots[index].next;
	if (database->last == index)
		database->last = before;
}

/* The entry of a database; NONE where it has none and make is false, or every entry is in use. */
static int
FindDatabase(Oid oid, bool make)
{
	int vacant = NONE;
	int i;

	for (i = 0; i < QUEUE_DATABASES; i++)
	{
		QueueDatabase *database = &Shared->databases[i];

		if (database->database == oid)
			return i;
		if (vacant == NONE && database->worker == NULL && database->used == 0)
			vacant = i;
	}
	if (!make || vacant == NONE)
		return NONE;
	Shared->databases[vacant].database = oid;
	Shared->databases[vacant].started = 0;
	Shared->databases[vacant].stop = false;
	Shared->databases[vacant].active = false;
	return vacant;
}

/* ---- the worker as sessions see it ---- */

/* Should this session ask for a worker now?  Notes that it does. */
static bool
WorkerMissing(int index)
{
	QueueDatabase *database = &Shared->databases[index];
	TimestampTz now;

	if (database->worker != NULL)
		return false;
	now = GetCurrentTimestamp();
	if (database->started != 0 &&
		!TimestampDifferenceExceeds(database->started, now, START_MS))
		return false;
	database->started = now;
	return true;
}

/* Make sure that a worker runs or is being started; false when none can be. */
static bool
EnsureWorker(void)
{
	bool missing;
	int index;

	/* Unlocked: who is wrong finds out when nobody answers. */
	if (Known != NONE && Shared->databases[Known].database == MyDatabaseId &&
		Shared->databases[Known].worker != NULL)
		return true;
	LWLockAcquire(&Shared->lock, LW_EXCLUSIVE);
	index = FindDatabase(MyDatabaseId, true);
	missing = index != NONE && WorkerMissing(index);
	Known = index;
	LWLockRelease(&Shared->lock);
	if (index == NONE)
		return false;
	if (!missing || WorkerStart(MyDatabaseId))
		return true;
	LWLockAcquire(&Shared->lock, LW_EXCLUSIVE);
	index = FindDatabase(MyDatabaseId, false);
	if (index != NONE)
		Shared->databases[index].started = 0;
	LWLockRelease(&Shared->lock);
	return false;
}

/*
 * The served database has no worker any more: what was taken is queued again,
 * and who waits is woken to start another.
 */
static void
LeaveService(void)
{
	QueueDatabase *database = &Shared->databases[Served];
	int i;

	LWLockAcquire(&Shared->lock, LW_EXCLUSIVE);
	database->worker = NULL;
	database->started = 0;
	database->stop = false;
	for (i = 0; i < QUEUE_SLOTS; i++)
	{
		QueueSlot *slot = &Shared->slots[i];

		if (pg_atomic_read_u32(&slot->state) == SLOT_TAKEN && slot->database == Served)
			Enqueue(i);
		if (pg_atomic_read_u32(&slot->state) == SLOT_QUEUED && slot->database == Served &&
			slot->owner != NULL)
			SetLatch(&slot->owner->procLatch);
	}
	LWLockRelease(&Shared->lock);
	Served = NONE;
}

/* Exit callback: what this process waits for is nobody's, and what it serves has no worker. */
static void
LeaveQueue(int code, Datum arg)
{
	QueueWithdraw();
	if (Served != NONE)
		LeaveService();
}

static void
RegisterExit(void)
{
	if (!ExitRegistered)
		before_shmem_exit(LeaveQueue, (Datum) 0);
	ExitRegistered = true;
}

/* ---- putting and waiting ---- */

/* Put a record where there is a place; false where there is none. */
static bool
TryPut(const void *record, Size size, bool waited)
{
	QueueDatabase *database;
	Latch *latch = NULL;
	QueueSlot *slot;
	int index;
	int entry;

	LWLockAcquire(&Shared->lock, LW_EXCLUSIVE);
	entry = FindDatabase(MyDatabaseId, true);
	index = entry != NONE && Shared->databases[entry].used < QUEUE_SHARE ? Shared->free : NONE;
	if (index != NONE)
	{
		slot = &Shared->slots[index];
		database = &Shared->databases[entry];
		Shared->free = slot->next;
		database->used++;
		database->active = true;
		slot->database = entry;
		slot->waited = waited;
		slot->disowned = false;
		slot->owner = waited ? MyProc : NULL;
		slot->code = 0;
		slot->lsn = InvalidXLogRecPtr;
		slot->size = size;
		memcpy(slot->record, record, size);
		if (database->first == NONE && database->worker != NULL)
			latch = &database->worker->procLatch;
		Enqueue(index);
	}
	LWLockRelease(&Shared->lock);
	if (index == NONE)
		return false;
	if (waited)
		Tickets[TicketCount++] = index;
	if (latch != NULL)
		SetLatch(latch);
	return true;
}

bool
QueuePutNow(const void *record, Size size)
{
	return Shared != NULL && size <= QUEUE_RECORD_SIZE && TryPut(record, size, false);
}

/* Sleep until the latch is set, at most milliseconds; raises a cancel if interruptible. */
static void
Sleep(long milliseconds, bool interruptible)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	if (interruptible)
		CHECK_FOR_INTERRUPTS();
}

QueueOutcome
QueuePut(const void *record, Size size, bool waited, TimestampTz deadline, bool interruptible)
{
	TimestampTz patience =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), REGISTER_MS);

	if (size > QUEUE_RECORD_SIZE)
	{
		LastCode = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		return QUEUE_NOT_WRITTEN;
	}
	if (Shared == NULL || !IsUnderPostmaster || TicketCount >= QUEUE_SLOTS)
		return QUEUE_NO_WORKER;
	RegisterExit();
	while (!EnsureWorker())
	{
		if (GetCurrentTimestamp() >= Min(patience, deadline))
			return QUEUE_NO_WORKER;
		Sleep(RETRY_MS * 10, interruptible);
	}
	while (!TryPut(record, size, waited))
	{
		if (GetCurrentTimestamp() >= deadline)
			return QUEUE_FULL;
		Sleep(RETRY_MS, interruptible);
		(void) EnsureWorker();
	}
	/* It may have left in between. */
	(void) EnsureWorker();
	return QUEUE_WRITTEN;
}

/* Look at a place of ours that is finished: note its outcome, and flush what it needs. */
static QueueOutcome
Collect(QueueSlot *slot)
{
	if (pg_atomic_read_u32(&slot->state) == SLOT_NOT_WRITTEN)
	{
		LastCode = slot->code;
		return QUEUE_NOT_WRITTEN;
	}
	if (!XLogRecPtrIsInvalid(slot->lsn))
		XLogFlush(slot->lsn);
	return QUEUE_WRITTEN;
}

QueueOutcome
QueueWait(TimestampTz deadline, bool interruptible)
{
	QueueOutcome outcome = QUEUE_WRITTEN;
	int i = 0;

	while (i < TicketCount && outcome == QUEUE_WRITTEN)
	{
		QueueSlot *slot = &Shared->slots[Tickets[i]];
		TimestampTz now;

		pg_read_barrier();
		if (pg_atomic_read_u32(&slot->state) >= SLOT_WRITTEN)
		{
			pg_read_barrier();
			outcome = Collect(slot);
			i++;
			continue;
		}
		now = GetCurrentTimestamp();
		if (now >= deadline)
			outcome = QUEUE_LATE;
		else
		{
			(void) EnsureWorker();
			Sleep(Min(TimestampDifferenceMilliseconds(now, deadline), START_MS), interruptible);
		}
	}
	QueueWithdraw();
	return outcome;
}

/* Those still queued are unlinked, those taken disowned, those finished freed. */
void
QueueWithdraw(void)
{
	int i;

	if (TicketCount == 0)
		return;
	LWLockAcquire(&Shared->lock, LW_EXCLUSIVE);
	for (i = 0; i < TicketCount; i++)
	{
		QueueSlot *slot = &Shared->slots[Tickets[i]];

		if (pg_atomic_read_u32(&slot->state) == SLOT_TAKEN)
		{
			slot->waited = false;
			slot->disowned = true;
			slot->owner = NULL;
			continue;
		}
		if (pg_atomic_read_u32(&slot->state) == SLOT_QUEUED)
			Unlink(Tickets[i]);
		FreeSlot(Tickets[i]);
	}
	LWLockRelease(&Shared->lock);
	TicketCount = 0;
}

int
QueueErrorCode(void)
{
	return LastCode;
}

void
QueueExpectEvent(void)
{
	EventExpected = true;
}

/* Transaction callback: have a worker seal what this transaction commits. */
static void
AnnounceEvents(XactEvent event, void *arg)
{
	int index;

	if (!EventExpected)
		return;
	if (event == XACT_EVENT_PRE_COMMIT && Shared != NULL && IsUnderPostmaster &&
		!IsBinaryUpgrade)
	{
		(void) EnsureWorker();
		LWLockAcquire(&Shared->lock, LW_EXCLUSIVE);
		index = FindDatabase(MyDatabaseId, false);
		if (index != NONE)
			Shared->databases[index].active = true;
		LWLockRelease(&Shared->lock);
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		EventExpected = false;
}

void
QueueStopWorker(Oid oid)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), STOP_MS);
	bool stopped = Shared == NULL;

	while (!stopped && GetCurrentTimestamp() < deadline)
	{
		Latch *latch = NULL;
		int index;

		LWLockAcquire(&Shared->lock, LW_EXCLUSIVE);
		index = FindDatabase(oid, false);
		stopped = index == NONE || Shared->databases[index].worker == NULL;
		if (!stopped)
		{
			Shared->databases[index].stop = true;
			latch = &Shared->databases[index].worker->procLatch;
		}
		LWLockRelease(&Shared->lock);
		if (latch != NULL)
		{
			SetLatch(latch);
			Sleep(RETRY_MS, true);
		}
	}
}

/* ---- the worker's side ---- */

bool
QueueServe(void)
{
	int index;

	RegisterExit();
	LWLockAcquire(&Shared->lock, LW_EXCLUSIVE);
	index = FindDatabase(MyDatabaseId, true);
	if (index != NONE && Shared->databases[index].worker == NULL)
	{
		Shared->databases[index].worker = MyProc;
		Shared->databases[index].stop = false;
		Served = index;
	}
	LWLockRelease(&Shared->lock);
	return Served != NONE;
}

int
QueueTake(int *slots, int limit)
{
	QueueDatabase *database = &Shared->databases[Served];
	int count = 0;

	LWLockAcquire(&Shared->lock, LW_EXCLUSIVE);
	while (count < limit && database->first != NONE)
	{
		slots[count] = database->first;
		Unlink(database->first);
		pg_atomic_write_u32(&Shared->slots[slots[count]].state, SLOT_TAKEN);
		count++;
	}
	LWLockRelease(&Shared->lock);
	return count;
}

const void *
QueueRecord(int slot, Size *size)
{
	*size = Shared->slots[slot].size;
	return Shared->slots[slot].record;
}

/* Tell the owners what became of their records; those of nobody are freed, or queued again. */
static void
Finish(const int *slots, int count, XLogRecPtr lsn, int code)
{
	Latch *latches[QUEUE_GROUP];
	int latch_count = 0;
	int i;

	LWLockAcquire(&Shared->lock, LW_EXCLUSIVE);
	for (i = 0; i < count; i++)
	{
		QueueSlot *slot = &Shared->slots[slots[i]];

		slot->lsn = lsn;
		slot->code = code;
		if (slot->waited)
		{
			latches[latch_count++] = &slot->owner->procLatch;
			pg_write_barrier();
			pg_atomic_write_u32(&slot->state, code == 0 ? SLOT_WRITTEN : SLOT_NOT_WRITTEN);
		}
		else if (code == 0 || slot->disowned)
			FreeSlot(slots[i]);
		else
			Enqueue(slots[i]);
	}
	LWLockRelease(&Shared->lock);
	for (i = 0; i < latch_count; i++)
		SetLatch(latches[i]);
}

void
QueueWritten(const int *slots, int count, XLogRecPtr lsn)
{
	Finish(slots, count, lsn, 0);
}

void
QueueNotWritten(const int *slots, int count, int code)
{
	Finish(slots, count, InvalidXLogRecPtr, code);
}

bool
QueueRetire(void)
{
	LWLockAcquire(&Shared->lock, LW_EXCLUSIVE);
	if (Shared->databases[Served].first == NONE)
	{
		Shared->databases[Served].worker = NULL;
		Shared->databases[Served].started = 0;
		Shared->databases[Served].stop = false;
		Served = NONE;
	}
	LWLockRelease(&Shared->lock);
	return Served == NONE;
}

bool
QueueStopRequested(void)
{
	return Shared->databases[Served].stop;
}

bool
QueueActive(void)
{
	bool active;

	LWLockAcquire(&Shared->lock, LW_EXCLUSIVE);
	active = Shared->databases[Served].active;
	Shared->databases[Served].active = false;
	LWLockRelease(&Shared->lock);
	return active;
}

void
QueueInit(void)
{
	SharedMemoryRequest("phi_guard audit queue", sizeof(Queue), InitializeQueue,
						(void **) &Shared);
	RegisterXactCallback(AnnounceEvents, NULL);
}
