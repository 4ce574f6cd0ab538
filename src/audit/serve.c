/*-------------------------------------------------------------------------
 * serve.c
 *		The worker's side of the queue: taking records and telling what became
 *		of them.
 *
 * Locking: the queue's lightweight lock (queue.c).  A latch is set after the
 * lock is given back, but when the worker leaves.
 *-------------------------------------------------------------------------
 */
#include "audit/area.h"

#include "miscadmin.h"

/* Index of the database this worker serves, or NONE. */
static int Served = NONE;

bool
QueueServe(void)
{
	int index;

	QueueRegisterExit();
	LWLockAcquire(&QueueArea->lock, LW_EXCLUSIVE);
	index = QueueFindDatabase(MyDatabaseId, true);
	if (index != NONE && QueueArea->databases[index].worker == NULL)
	{
		QueueArea->databases[index].worker = MyProc;
		QueueArea->databases[index].stop = false;
		Served = index;
	}
	LWLockRelease(&QueueArea->lock);
	return Served != NONE;
}

int
QueueTake(int *slots, int limit)
{
	QueueDatabase *database = &QueueArea->databases[Served];
	int count = 0;

	LWLockAcquire(&QueueArea->lock, LW_EXCLUSIVE);
	while (count < limit && database->first != NONE)
	{
		slots[count] = database->first;
		if (database->open == database->first)
			database->open = NONE;
		QueueUnlink(database->first);
		pg_atomic_write_u32(&QueueArea->slots[slots[count]].state, SLOT_TAKEN);
		count++;
	}
	LWLockRelease(&QueueArea->lock);
	return count;
}

const void *
QueueRecord(int slot, Size *offset)
{
	const QueueSlot *place = &QueueArea->slots[slot];
	const uint8 *record = place->records + *offset;
	Size size;

	if (*offset >= place->size)
		return NULL;
	memcpy(&size, record, sizeof(size));
	*offset += RECORD_ROOM(size);
	return record + RECORD_HEADER;
}

bool
QueueAwaited(const int *slots, int count)
{
	int i;

	for (i = 0; i < count; i++)
	{
		if (QueueArea->slots[slots[i]].waited)
			return true;
	}
	return false;
}

/*
 * A place whose records could not be written: the latter half of them goes to
 * a place of its own, if one is free, so that a record that cannot be written
 * is alone in the end.
 */
static void
SplitPlace(int index)
{
	QueueSlot *slot = &QueueArea->slots[index];
	QueueSlot *other;
	int free = QueueArea->free;
	Size half = 0;
	Size next = 0;

	while (QueueRecord(index, &next) != NULL && (half == 0 || next <= slot->size / 2))
		half = next;
	if (half == slot->size || free == NONE)
		return;
	other = &QueueArea->slots[free];
	QueueArea->free = other->next;
	QueueArea->databases[slot->database].used++;
	other->database = slot->database;
	other->waited = other->disowned = false;
	other->owner = NULL;
	other->size = slot->size - half;
	memcpy(other->records, slot->records + half, other->size);
	slot->size = half;
	QueueLink(free);
}

/* Tell the owners what became of their records; those of nobody are freed, or queued again. */
static void
Finish(const int *slots, int count, bool written)
{
	Latch *latches[QUEUE_GROUP];
	int latch_count = 0;
	int i;

	LWLockAcquire(&QueueArea->lock, LW_EXCLUSIVE);
	for (i = 0; i < count; i++)
	{
		QueueSlot *slot = &QueueArea->slots[slots[i]];

		if (slot->waited)
		{
			latches[latch_count++] = &slot->owner->procLatch;
			pg_atomic_write_u32(&slot->state, written ? SLOT_WRITTEN : SLOT_NOT_WRITTEN);
		}
		else if (written || slot->disowned)
			QueueFreeSlot(slots[i]);
		else
		{
			QueueLink(slots[i]);
			if (count == 1)
				SplitPlace(slots[i]);
		}
	}
	LWLockRelease(&QueueArea->lock);
	for (i = 0; i < latch_count; i++)
		SetLatch(latches[i]);
}

void
QueueWritten(const int *slots, int count)
{
	Finish(slots, count, true);
}

void
QueueNotWritten(const int *slots, int count)
{
	Finish(slots, count, false);
}

bool
QueueRetire(void)
{
	LWLockAcquire(&QueueArea->lock, LW_EXCLUSIVE);
	if (QueueArea->databases[Served].first == NONE)
	{
		QueueArea->databases[Served].worker = NULL;
		QueueArea->databases[Served].started = 0;
		QueueArea->databases[Served].stop = false;
		Served = NONE;
	}
	LWLockRelease(&QueueArea->lock);
	return Served == NONE;
}

bool
QueueStopRequested(void)
{
	return QueueArea->databases[Served].stop;
}

bool
QueueActive(void)
{
	bool active;

	LWLockAcquire(&QueueArea->lock, LW_EXCLUSIVE);
	active = QueueArea->databases[Served].active;
	QueueArea->databases[Served].active = false;
	LWLockRelease(&QueueArea->lock);
	return active;
}

void
QueueLeave(void)
{
	QueueDatabase *database;
	int i;

	if (Served == NONE)
		return;
	database = &QueueArea->databases[Served];
	LWLockAcquire(&QueueArea->lock, LW_EXCLUSIVE);
	database->worker = NULL;
	database->started = 0;
	database->stop = false;
	for (i = 0; i < QUEUE_SLOTS; i++)
	{
		QueueSlot *slot = &QueueArea->slots[i];

		if (pg_atomic_read_u32(&slot->state) == SLOT_TAKEN && slot->database == Served)
			QueueLink(i);
		if (pg_atomic_read_u32(&slot->state) == SLOT_QUEUED && slot->database == Served &&
			slot->owner != NULL)
			SetLatch(&slot->owner->procLatch);
	}
	LWLockRelease(&QueueArea->lock);
	Served = NONE;
}
