/*-------------------------------------------------------------------------
 * share.c
 *		A block of memory that a session shows to its parallel workers.
 *
 * A parallel worker begins with empty caches and ends with its query; filling
 * them each time would cost more than the query.  A block is a dynamic shared
 * memory segment that its session keeps mapped until it is released; a table
 * in shared memory tells the workers, by the process id of their leader, which
 * one it is.  Where the table is full or memory short, nothing is shared.
 *
 * Locking: one LWLock over the table, held for a look at its slots.
 *-------------------------------------------------------------------------
 */
#include "consent/share.h"

#include "access/parallel.h"
#include "miscadmin.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* Sessions that can share at the same time. */
#define SHARE_SLOTS 128

typedef struct ShareSlot
{
	int pid; /* 0: free */
	dsm_handle handle;
} ShareSlot;

typedef struct ShareTable
{
	LWLock lock;
	ShareSlot slots[SHARE_SLOTS];
} ShareTable;

static ShareTable *Table = NULL;

/* The block of this process: its own, or in a worker its leader's. */
static dsm_segment *Segment = NULL;

/* Is the callback that frees our slot at exit registered in this process? */
static bool ExitRegistered = false;

/* First use of the table, in the postmaster. */
static void
InitializeTable(void *area)
{
	ShareTable *table = area;

	memset(table, 0, sizeof(ShareTable));
	LWLockInitialize(&table->lock, LWLockNewTrancheId());
}

void
ShareInit(void)
{
	SharedMemoryRequest("phi_guard shared decisions", sizeof(ShareTable), InitializeTable,
						(void **) &Table);
}

/* The slot of a process, or NULL; the lock is held. */
static ShareSlot *
FindSlot(int pid)
{
	for (int i = 0; i < SHARE_SLOTS; i++)
		if (Table->slots[i].pid == pid)
			return &Table->slots[i];
	return NULL;
}

/* Give our slot back. */
static void
FreeSlot(void)
{
	ShareSlot *slot;

	LWLockAcquire(&Table->lock, LW_EXCLUSIVE);
	slot = FindSlot(MyProcPid);
	if (slot)
		slot->pid = 0;
	LWLockRelease(&Table->lock);
}

/* Exit callback; the segment itself goes with the process. */
static void
FreeSlotAtExit(int code, Datum arg)
{
	FreeSlot();
}

/* Out of memory of one kind or another: not worth failing a query for. */
static bool
IsShortage(int code)
{
	return code == ERRCODE_OUT_OF_MEMORY || code == ERRCODE_DISK_FULL ||
		   code == ERRCODE_INSUFFICIENT_RESOURCES;
}

/*
 * Make a segment that outlives the transaction.  A resource owner of its own
 * takes back what a failed attempt leaves behind.
 */
static dsm_segment *
CreateSegment(Size size)
{
	ResourceOwner previous = CurrentResourceOwner;
	ResourceOwner owner = ResourceOwnerCreate(previous, "phi_guard shared decisions");
	MemoryContext context = CurrentMemoryContext;
	dsm_segment *volatile segment = NULL;

	CurrentResourceOwner = owner;
	PG_TRY();
	{
		segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
		if (segment)
			dsm_pin_mapping(segment);
	}
	PG_CATCH();
	{
		CurrentResourceOwner = previous;
		MemoryContextSwitchTo(context);
		if (!IsShortage(geterrcode()))
			PG_RE_THROW();
		FlushErrorState();
		ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
		segment = NULL;
	}
	PG_END_TRY();
	CurrentResourceOwner = previous;
	ResourceOwnerDelete(owner);
	return segment;
}

void *
ShareCreate(Size size)
{
	if (!Table || IsParallelWorker())
		return NULL;
	ShareRelease();
	if (!ExitRegistered)
		before_shmem_exit(FreeSlotAtExit, (Datum) 0);
	ExitRegistered = true;
	Segment = CreateSegment(size);
	return Segment ? dsm_segment_address(Segment) : NULL;
}

void
ShareShow(void)
{
	ShareSlot *slot;

	LWLockAcquire(&Table->lock, LW_EXCLUSIVE);
	slot = FindSlot(MyProcPid);
	if (!slot)
		slot = FindSlot(0);
	if (slot)
	{
		slot->pid = MyProcPid;
		slot->handle = dsm_segment_handle(Segment);
	}
	LWLockRelease(&Table->lock);
}

void
ShareRelease(void)
{
	dsm_segment *segment = Segment;

	if (!segment)
		return;
	Segment = NULL;
	if (!IsParallelWorker())
		FreeSlot();
	dsm_detach(segment);
}

void *
ShareOfLeader(void)
{
	dsm_handle handle = 0;
	ShareSlot *slot;

	if (!Table || !IsParallelWorker() || !MyProc->lockGroupLeader)
		return NULL;
	LWLockAcquire(&Table->lock, LW_SHARED);
	slot = FindSlot(MyProc->lockGroupLeader->pid);
	if (slot)
		handle = slot->handle;
	LWLockRelease(&Table->lock);
	if (!slot)
		return NULL;
	ShareRelease();
	Segment = dsm_attach(handle);
	if (!Segment)
		return NULL;
	dsm_pin_mapping(Segment);
	return dsm_segment_address(Segment);
}
