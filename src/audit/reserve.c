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
 * worker at run time, and where there is none either the database is the next
 * one of a place: whoever has it leaves after TURN_MS, and the process that
 * comes after it serves the next.  So one place is enough for every database,
 * if need be in turns.
 *
 * A place is of use once it had a process: a standby has none before promotion,
 * and PostgreSQL 18.0 and 18.1 start none again after a crash.  From then on a
 * database can be assigned while the process is being started anew.
 *
 * Locking: one lightweight lock over the places; a latch is set under it, since
 * a process clears its place before it exits.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "audit/area.h"
#include "audit/reserve.h"
#include "audit/worker.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define MAX_PLACES 64
#define LOOK_MS    60000 /* a sleeping process looks by itself */
#define TURN_MS    500   /* what a database keeps a place for that others wait for, at least */

PGDLLEXPORT void phi_audit_reserved(Datum place);

typedef struct ReservedPlace
{
	bool began;     /* it had a process, since this memory was made */
	PGPROC *worker; /* NULL while there is no process */
	Oid database;   /* what it serves, or is to serve; invalid: it sleeps */
	Oid next;       /* what the process after this one is to serve; or invalid */
} ReservedPlace;

typedef struct ReservedPlaces
{
	LWLock lock;
	ReservedPlace places[MAX_PLACES];
} ReservedPlaces;

static ReservedPlaces *Reserved = NULL;

/* Setting phi.audit_workers. */
static int Places = 1;

/* The place of this process and when it began to serve, if it is a reserved one. */
static ReservedPlace *Mine = NULL;
static TimestampTz Since;

/* Lay the places out. */
static void
InitializePlaces(void *area)
{
	ReservedPlaces *reserved = area;

	memset(reserved, 0, sizeof(*reserved));
	LWLockInitialize(&reserved->lock, LWLockNewTrancheId());
}

/* Have the process of a place look, if there is one. */
static void
Wake(ReservedPlace *place)
{
	if (place->worker != NULL)
		SetLatch(&place->worker->procLatch);
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

		if (!place->began || OidIsValid(place->database))
			continue;
		place->database = database;
		Wake(place);
		assigned = true;
	}
	LWLockRelease(&Reserved->lock);
	return assigned;
}

bool
ReserveTurn(Oid database)
{
	bool waiting = false;
	int i;

	LWLockAcquire(&Reserved->lock, LW_EXCLUSIVE);
	for (i = 0; i < Places && !waiting; i++)
		waiting = Reserved->places[i].database == database || Reserved->places[i].next == database;
	for (i = 0; i < Places && !waiting; i++)
	{
		ReservedPlace *place = &Reserved->places[i];

		if (!place->began || OidIsValid(place->next))
			continue;
		place->next = database;
		Wake(place);
		waiting = true;
	}
	LWLockRelease(&Reserved->lock);
	return waiting;
}

/* ---- the process ---- */

bool
ReserveTurnIsOver(TimestampTz now)
{
	/* Unlocked: seen a round later at worst. */
	return Mine != NULL && OidIsValid(Mine->next) && TimestampDifferenceExceeds(Since, now, TURN_MS);
}

/*
 * Exit callback: what is next is for the process that comes.  It runs before the
 * database is told that it has no worker: who then asks for one is not told that it has this one.
 */
static void
Vacate(int code, Datum arg)
{
	LWLockAcquire(&Reserved->lock, LW_EXCLUSIVE);
	Mine->worker = NULL;
	Mine->database = Mine->next;
	Mine->next = InvalidOid;
	LWLockRelease(&Reserved->lock);
}

/* Take a place; there may be a database for it. */
static void
Occupy(ReservedPlace *place)
{
	Mine = place;
	QueueRegisterExit();
	before_shmem_exit(Vacate, (Datum) 0);
	LWLockAcquire(&Reserved->lock, LW_EXCLUSIVE);
	Mine->began = true;
	Mine->worker = MyProc;
	LWLockRelease(&Reserved->lock);
}

/* The database assigned to this process, or InvalidOid. */
static Oid
Assigned(void)
{
	Oid database;

	LWLockAcquire(&Reserved->lock, LW_SHARED);
	database = Mine->database;
	LWLockRelease(&Reserved->lock);
	return database;
}

/* Entry of the process; its argument is the index of its place. */
void
phi_audit_reserved(Datum place)
{
	Oid database;

	WorkerBegin();
	Occupy(&Reserved->places[DatumGetInt32(place)]);
	while (!OidIsValid(database = Assigned()))
	{
		if (WorkerMustEnd())
			proc_exit(WORKER_AGAIN);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	Since = GetCurrentTimestamp();
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
							"Databases beyond that take one that is free, or take turns.", &Places, 1, 0,
							MAX_PLACES, PGC_POSTMASTER, 0, NULL, NULL, NULL);
	SharedMemoryRequest("phi_guard audit workers", sizeof(ReservedPlaces), InitializePlaces,
						(void **) &Reserved);
	if (!IsBinaryUpgrade)
		RegisterProcesses();
}
