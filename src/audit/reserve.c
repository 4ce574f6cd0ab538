/*-------------------------------------------------------------------------
 * reserve.c
 *		phi.audit_workers: places for audit workers that nothing else can take.
 *
 * A background worker that is asked for at run time takes one of
 * max_worker_processes if one is free, and parallel queries of anybody may have
 * all of them.  So phi_guard registers processes at server start, which hold
 * their places for good.  Such a process sleeps, without a database, until a
 * session assigns one to it; it serves that database as any audit worker does
 * (worker.c), and ends with exit code 1: the postmaster starts it anew at once,
 * to sleep again.  Where every one has a database, WorkerStart() asks for a
 * worker at run time.
 *
 * A place is vacant while its process is not there: after a restart of the
 * process, after a crash, and on a standby, where none is started before
 * promotion.  It is the process itself that takes and clears its place.
 *
 * Locking: one lightweight lock over the places; a latch is set under it, since
 * a process clears its place before it exits.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "audit/reserve.h"
#include "audit/worker.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/wait_event.h"

#define MAX_PLACES 64
#define LOOK_MS    60000 /* a sleeping process looks by itself */

PGDLLEXPORT void phi_audit_reserved(Datum place);

typedef struct ReservedPlace
{
	PGPROC *worker; /* NULL while there is no process */
	Oid database;   /* what it serves, or is to serve; invalid: it sleeps */
} ReservedPlace;

typedef struct ReservedPlaces
{
	LWLock lock;
	ReservedPlace places[MAX_PLACES];
} ReservedPlaces;

static ReservedPlaces *Reserved = NULL;

/* Setting phi.audit_workers. */
static int Places = 1;

/* Lay the places out. */
static void
InitializePlaces(void *area)
{
	ReservedPlaces *reserved = area;

	memset(reserved, 0, sizeof(*reserved));
	LWLockInitialize(&reserved->lock, LWLockNewTrancheId());
}

bool
ReserveAssign(Oid database)
{
	bool assigned = false;
	int i;

	LWLockAcquire(&Reserved->lock, LW_EXCLUSIVE);
	for (i = 0; i < Places && !assigned; i++)
	{
		ReservedPlace *place = &Reserved->places[i];

		if (place->worker == NULL || OidIsValid(place->database))
			continue;
		place->database = database;
		SetLatch(&place->worker->procLatch);
		assigned = true;
	}
	LWLockRelease(&Reserved->lock);
	return assigned;
}

/* ---- the process ---- */

/* Exit callback: nothing is assigned to who leaves. */
static void
Vacate(int code, Datum arg)
{
	ReservedPlace *place = &Reserved->places[DatumGetInt32(arg)];

	LWLockAcquire(&Reserved->lock, LW_EXCLUSIVE);
	place->worker = NULL;
	place->database = InvalidOid;
	LWLockRelease(&Reserved->lock);
}

/* Take the place. */
static void
Occupy(int index)
{
	before_shmem_exit(Vacate, Int32GetDatum(index));
	LWLockAcquire(&Reserved->lock, LW_EXCLUSIVE);
	Reserved->places[index].worker = MyProc;
	Reserved->places[index].database = InvalidOid;
	LWLockRelease(&Reserved->lock);
}

/* The database assigned to the place, or InvalidOid. */
static Oid
Assigned(int index)
{
	Oid database;

	LWLockAcquire(&Reserved->lock, LW_SHARED);
	database = Reserved->places[index].database;
	LWLockRelease(&Reserved->lock);
	return database;
}

/* Entry of the process; its argument is the index of its place. */
void
phi_audit_reserved(Datum place)
{
	int index = DatumGetInt32(place);
	Oid database;

	WorkerBegin();
	Occupy(index);
	while (!OidIsValid(database = Assigned(index)))
	{
		if (WorkerMustEnd())
			proc_exit(WORKER_AGAIN);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	WorkerServe(database, WORKER_AGAIN);
}

/* Have the postmaster start the processes, and start them anew whenever they end. */
static void
RegisterProcesses(void)
{
	BackgroundWorker worker;
	int i;

	for (i = 0; i < Places; i++)
	{
		WorkerDescribe(&worker, "phi_audit_reserved", Int32GetDatum(i));
		worker.bgw_restart_time = 0;
		RegisterBackgroundWorker(&worker);
	}
}

void
ReserveInit(void)
{
	DefineCustomIntVariable("phi.audit_workers",
							"How many audit workers have a place of max_worker_processes reserved.",
							"Databases beyond that take one that is free.", &Places, 1, 0,
							MAX_PLACES, PGC_POSTMASTER, 0, NULL, NULL, NULL);
	SharedMemoryRequest("phi_guard audit workers", sizeof(ReservedPlaces), InitializePlaces,
						(void **) &Reserved);
	if (!IsBinaryUpgrade)
		RegisterProcesses();
}
