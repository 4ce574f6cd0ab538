/*-------------------------------------------------------------------------
 * queue.c
 *		The queue between the sessions and the audit workers, in shared memory.
 *
 * There are QUEUE_SLOTS places for all databases; one database has at most
 * half of them, so that a worker that hangs does not stop the others.  A
 * session fills a place, links it to its database's list and waits on its own
 * latch; the worker takes the list in order and says what became of each.
 * Records that nobody waits for share a place while it has room.  A place
 * belongs to the session while it is being filled and when it is
 * finished, to the list while it is queued, and to the worker from taking to
 * finishing.  A session that gives up (cancel, time limit) unlinks what is
 * queued and disowns what is taken: nothing of it is left for the next
 * statement to mistake for its own.
 *
 * Locking: one lightweight lock over lists and states; nothing waits under it.
 *-------------------------------------------------------------------------
 */
#include "audit/area.h"

#include "access/xact.h"
#include "audit/worker.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/wait_event.h"

#define RETRY_MS    5    /* between attempts to find a place */
#define START_MS    5000 /* after which a worker that did not appear is started again */
#define REGISTER_MS 1000 /* how long to try where every background worker is taken */
#define STOP_MS     5000

Queue *QueueArea = NULL;

/* The places that this session waits for. */
static int Tickets[QUEUE_SLOTS];
static int TicketCount = 0;

/* An event was appended within the current transaction. */
static bool EventExpected = false;

/* Is the exit callback of this process set? */
static bool ExitRegistered = false;

/* Index that the entry of this database had when last looked up, or NONE. */
static int Known = NONE;

/* Lay the queue out. */
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
		queue->databases[i].first = queue->databases[i].last = queue->databases[i].open = NONE;
}

/* ---- lists; the lock is held ---- */

/* Give a place back. */
void
QueueFreeSlot(int index)
{
	QueueSlot *slot = &QueueArea->slots[index];

	pg_atomic_write_u32(&slot->state, SLOT_FREE);
	slot->owner = NULL;
	slot->waited = false;
	QueueArea->databases[slot->database].used--;
	slot->next = QueueArea->free;
	QueueArea->free = index;
}

/* Link a place to the end of its database's list. */
void
QueueLink(int index)
{
	QueueSlot *slot = &QueueArea->slots[index];
	QueueDatabase *database = &QueueArea->databases[slot->database];

	slot->next = NONE;
	pg_atomic_write_u32(&slot->state, SLOT_QUEUED);
	if (database->last == NONE)
		database->first = index;
	else
		QueueArea->slots[database->last].next = index;
	database->last = index;
}

/* Take a place out of its database's list. */
void
QueueUnlink(int index)
{
	QueueDatabase *database = &QueueArea->databases[QueueArea->slots[index].database];
	int before = NONE;
	int at = database->first;

	while (at != index)
	{
		before = at;
		at = QueueArea->slots[at].next;
	}
	if (before == NONE)
		database->first = QueueArea->slots[index].next;
	else
		QueueArea->slots[before].next = QueueArea->slots[index].next;
	if (database->last == index)
		database->last = before;
}

/* The entry of a database; NONE where it has none and make is false, or every entry is in use. */
int
QueueFindDatabase(Oid oid, bool make)
{
	int vacant = NONE;
	int i;

	for (i = 0; i < QUEUE_DATABASES; i++)
	{
		QueueDatabase *database = &QueueArea->databases[i];

		if (database->database == oid)
			return i;
		if (vacant == NONE && database->worker == NULL && database->used == 0)
			vacant = i;
	}
	if (!make || vacant == NONE)
		return NONE;
	QueueArea->databases[vacant].database = oid;
	QueueArea->databases[vacant].started = 0;
	QueueArea->databases[vacant].stop = false;
	QueueArea->databases[vacant].active = false;
	return vacant;
}

/* ---- the worker as sessions see it ---- */

/* Was a worker asked for that may yet appear? */
static bool
WorkerComing(const QueueDatabase *database, TimestampTz now)
{
	return database->worker == NULL && database->started != 0 &&
		   !TimestampDifferenceExceeds(database->started, now, START_MS);
}

/* Should this session ask for a worker now?  Notes that it does. */
static bool
WorkerMissing(int index)
{
	QueueDatabase *database = &QueueArea->databases[index];
	TimestampTz now;

	if (database->worker != NULL)
		return false;
	now = GetCurrentTimestamp();
	if (WorkerComing(database, now))
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
	if (Known != NONE && QueueArea->databases[Known].database == MyDatabaseId &&
		QueueArea->databases[Known].worker != NULL)
		return true;
	LWLockAcquire(&QueueArea->lock, LW_EXCLUSIVE);
	index = QueueFindDatabase(MyDatabaseId, true);
	missing = index != NONE && WorkerMissing(index);
	Known = index;
	LWLockRelease(&QueueArea->lock);
	if (index == NONE)
		return false;
	if (!missing || WorkerStart(MyDatabaseId))
		return true;
	LWLockAcquire(&QueueArea->lock, LW_EXCLUSIVE);
	index = QueueFindDatabase(MyDatabaseId, false);
	if (index != NONE)
		QueueArea->databases[index].started = 0;
	LWLockRelease(&QueueArea->lock);
	return false;
}

/* Exit callback: what this process waits for is nobody's, and what it serves has no worker. */
static void
LeaveQueue(int code, Datum arg)
{
	QueueWithdraw();
	QueueLeave();
}

void
QueueRegisterExit(void)
{
	if (!ExitRegistered)
		before_shmem_exit(LeaveQueue, (Datum) 0);
	ExitRegistered = true;
}

/* ---- putting and waiting ---- */

/* Add a record to a place that has room for it. */
static void
AddRecord(QueueSlot *slot, const void *record, Size size)
{
	memcpy(slot->records + slot->size, &size, sizeof(size));
	memcpy(slot->records + slot->size + RECORD_HEADER, record, size);
	slot->size += RECORD_ROOM(size);
}

/* A free place of this database, to be linked; NONE where it may have no more. */
static int
TakePlace(int entry, bool waited)
{
	QueueDatabase *database;
	QueueSlot *slot;
	int index;

	if (entry == NONE || QueueArea->databases[entry].used >= QUEUE_SHARE || QueueArea->free == NONE)
		return NONE;
	database = &QueueArea->databases[entry];
	index = QueueArea->free;
	slot = &QueueArea->slots[index];
	QueueArea->free = slot->next;
	database->used++;
	slot->database = entry;
	slot->waited = waited;
	slot->disowned = false;
	slot->owner = waited ? MyProc : NULL;
	slot->size = 0;
	return index;
}

/* The open place of this database if it has room for a record, or NONE. */
static int
OpenPlace(int entry, Size size)
{
	int index = entry == NONE ? NONE : QueueArea->databases[entry].open;

	return index == NONE || QueueArea->slots[index].size + RECORD_ROOM(size) >
								sizeof(QueueArea->slots[index].records)
			   ? NONE
			   : index;
}

/*
 * Put a record where there is a place; false where there is none.  The worker
 * is woken at once if urgent, and otherwise when some places are full: it looks
 * by itself every second.
 */
static bool
TryPut(const void *record, Size size, bool waited, bool urgent)
{
	QueueDatabase *database;
	Latch *latch = NULL;
	bool shared;
	int index;
	int entry;

	LWLockAcquire(&QueueArea->lock, LW_EXCLUSIVE);
	entry = QueueFindDatabase(MyDatabaseId, true);
	index = waited ? NONE : OpenPlace(entry, size);
	shared = index != NONE;
	if (!shared)
		index = TakePlace(entry, waited);
	if (index != NONE)
	{
		database = &QueueArea->databases[entry];
		AddRecord(&QueueArea->slots[index], record, size);
		if (!shared)
		{
			database->active = true;
			QueueLink(index);
			if (!waited)
				database->open = index;
		}
		if (database->worker != NULL && (urgent || (!shared && database->used == WAKE_PLACES)))
			latch = &database->worker->procLatch;
	}
	LWLockRelease(&QueueArea->lock);
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
	return QueueArea != NULL && size <= QUEUE_RECORD_SIZE && TryPut(record, size, false, true) &&
		   EnsureWorker();
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
	TimestampTz patience = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), REGISTER_MS);

	if (size > QUEUE_RECORD_SIZE)
		return QUEUE_NOT_WRITTEN;
	if (QueueArea == NULL || !IsUnderPostmaster || TicketCount >= QUEUE_SLOTS)
		return QUEUE_NO_WORKER;
	QueueRegisterExit();
	while (!EnsureWorker())
	{
		if (GetCurrentTimestamp() >= Min(patience, deadline))
			return QUEUE_NO_WORKER;
		Sleep(RETRY_MS * 10, interruptible);
	}
	while (!TryPut(record, size, waited, waited))
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

QueueOutcome
QueueWait(TimestampTz deadline, bool interruptible)
{
	QueueOutcome outcome = QUEUE_WRITTEN;
	int i = 0;

	while (i < TicketCount && outcome == QUEUE_WRITTEN)
	{
		QueueSlot *slot = &QueueArea->slots[Tickets[i]];
		TimestampTz now;

		pg_read_barrier();
		if (pg_atomic_read_u32(&slot->state) >= SLOT_WRITTEN)
		{
			if (pg_atomic_read_u32(&slot->state) == SLOT_NOT_WRITTEN)
				outcome = QUEUE_NOT_WRITTEN;
			i++;
			continue;
		}
		now = GetCurrentTimestamp();
		if (now >= deadline)
			outcome = QUEUE_LATE;
		else
		{
			long patience = EnsureWorker() ? START_MS : RETRY_MS * 10;

			Sleep(Min(TimestampDifferenceMilliseconds(now, deadline), patience), interruptible);
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
	LWLockAcquire(&QueueArea->lock, LW_EXCLUSIVE);
	for (i = 0; i < TicketCount; i++)
	{
		QueueSlot *slot = &QueueArea->slots[Tickets[i]];

		if (pg_atomic_read_u32(&slot->state) == SLOT_TAKEN)
		{
			slot->waited = false;
			slot->disowned = true;
			slot->owner = NULL;
			continue;
		}
		if (pg_atomic_read_u32(&slot->state) == SLOT_QUEUED)
			QueueUnlink(Tickets[i]);
		QueueFreeSlot(Tickets[i]);
	}
	LWLockRelease(&QueueArea->lock);
	TicketCount = 0;
}

void
QueueExpectEvent(void)
{
	EventExpected = true;
}

/*
 * Does the worker know already that there is something to do?  Unlocked: it
 * forgets only when it looks, and then the time counts from there.
 */
static bool
ActivityNoted(void)
{
	return Known != NONE && QueueArea->databases[Known].database == MyDatabaseId &&
		   QueueArea->databases[Known].worker != NULL && QueueArea->databases[Known].active;
}

/* Transaction callback: have a worker seal what this transaction commits. */
static void
AnnounceEvents(XactEvent event, void *arg)
{
	int index;

	if (!EventExpected)
		return;
	if (event == XACT_EVENT_PRE_COMMIT && QueueArea != NULL && IsUnderPostmaster &&
		!IsBinaryUpgrade && !ActivityNoted())
	{
		(void) EnsureWorker();
		LWLockAcquire(&QueueArea->lock, LW_EXCLUSIVE);
		index = QueueFindDatabase(MyDatabaseId, false);
		if (index != NONE)
			QueueArea->databases[index].active = true;
		LWLockRelease(&QueueArea->lock);
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		EventExpected = false;
}

void
QueueStopWorker(Oid oid)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), STOP_MS);
	bool stopped = QueueArea == NULL;

	while (!stopped && GetCurrentTimestamp() < deadline)
	{
		QueueDatabase *database = NULL;
		Latch *latch = NULL;
		int index;

		LWLockAcquire(&QueueArea->lock, LW_EXCLUSIVE);
		index = QueueFindDatabase(oid, false);
		if (index != NONE)
			database = &QueueArea->databases[index];
		/* One that is on its way would be in the way a moment later. */
		stopped = database == NULL || (database->worker == NULL &&
									   !WorkerComing(database, GetCurrentTimestamp()));
		if (!stopped && database->worker != NULL)
		{
			database->stop = true;
			latch = &database->worker->procLatch;
		}
		LWLockRelease(&QueueArea->lock);
		if (latch != NULL)
			SetLatch(latch);
		if (!stopped)
			Sleep(RETRY_MS, true);
	}
}

void
QueueInit(void)
{
	SharedMemoryRequest("phi_guard audit queue", sizeof(Queue), InitializeQueue,
						(void **) &QueueArea);
	RegisterXactCallback(AnnounceEvents, NULL);
}
