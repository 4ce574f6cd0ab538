/*-------------------------------------------------------------------------
 * worker.c
 *		The audit worker: a background process, one for each database that
 *		needs it, that writes events in transactions of its own and seals them.
 *
 * The first session with something to write has one of the reserved processes
 * serve its database (reserve.c), or starts one.  It leaves when nothing
 * happened for IDLE_MS, or when its database is to be dropped, copied, renamed
 * or moved.  It connects as the bootstrap superuser, and sets every
 * setting that a database's or a role's defaults could turn against it.
 *
 * A round takes up to QUEUE_GROUP places, writes their records in one transaction and
 * wakes those who wait.  Its commit is flushed where somebody waits for it, and
 * waits for standbys where there are synchronous ones: what comes meanwhile is
 * the next round's, so that many sessions share a flush.  After
 * a round that failed, places go one by one until one is written, so that a
 * bad one does not take others with it.
 *
 * On SIGTERM (shutdown) what is queued is still written, without waiting for a
 * standby.
 *
 * Memory: a round has a context that is reset after it.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "audit/reserve.h"
#include "audit/spool.h"
#include "audit/worker.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#define IDLE_MS       300000 /* after which the worker leaves */
#define RETRY_MS      1000   /* after a failure */
#define LONG_RETRY_MS 60000  /* after sealing failed */
#define LINGER_MS     200    /* how long a worker that leaves takes last records */
#define SEAL_EVENTS   10000  /* written since the last seal: seal at once */
#define SEAL_LOCK_MS  100    /* readers wait while sealing waits for a lock */

PGDLLEXPORT void phi_audit_worker(Datum database);

/* Setting phi.audit_seal_interval, in milliseconds; 0: never. */
static int SealInterval = 1000;

/* What the worker remembers between rounds. */
typedef struct WorkerState
{
	MemoryContext context; /* of one round */
	int limit;             /* places in a round */
	TimestampTz active;    /* when there was last something to do */
	TimestampTz seal_after;
	TimestampTz drain_after; /* the spool */
	uint64 unsealed;         /* events written since the last seal */
	int exit_code;           /* to end with */
} WorkerState;

static WorkerState State;

void
WorkerDescribe(BackgroundWorker *worker, const char *entry, Datum argument)
{
	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker->bgw_library_name, "phi_guard", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, entry, sizeof(worker->bgw_function_name));
	strlcpy(worker->bgw_name, "phi_guard audit worker", sizeof(worker->bgw_name));
	strlcpy(worker->bgw_type, "phi_guard audit worker", sizeof(worker->bgw_type));
	worker->bgw_main_arg = argument;
}

bool
WorkerStart(Oid database)
{
	BackgroundWorker worker;

	if (ReserveAssign(database))
		return true;
	WorkerDescribe(&worker, "phi_audit_worker", ObjectIdGetDatum(database));
	return RegisterDynamicBackgroundWorker(&worker, NULL) || ReserveTurn(database);
}

/* ---- databases that change under it ---- */

/* May the user do to the database what its worker would be in the way of?  Who may not is refused by PostgreSQL. */
static bool
MayDisturb(Oid database, bool copying)
{
	HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	bool may = false;

	if (!HeapTupleIsValid(tuple))
		return false;
	may = has_privs_of_role(GetUserId(), ((Form_pg_database) GETSTRUCT(tuple))->datdba);
	ReleaseSysCache(tuple);
	if (may || !copying)
		return may;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		may = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return may;
}

/* Have the worker of a database of this name leave, if there is one. */
static void
StopFor(const char *name, bool copying)
{
	Oid database = name != NULL ? get_database_oid(name, true) : InvalidOid;

	if (OidIsValid(database) && MayDisturb(database, copying))
		QueueStopWorker(database);
}

/* The template of CREATE DATABASE. */
static const char *
Template(const CreatedbStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->options)
	{
		DefElem *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return "template1";
}

void
WorkerMakeWay(const Node *statement)
{
	ListCell *cell;

	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			StopFor(((const DropdbStmt *) statement)->dbname, false);
			break;
		case T_CreatedbStmt:
			StopFor(Template((const CreatedbStmt *) statement), true);
			break;
		case T_RenameStmt:
			if (((const RenameStmt *) statement)->renameType == OBJECT_DATABASE)
				StopFor(((const RenameStmt *) statement)->subname, false);
			break;
		case T_AlterDatabaseStmt:
			foreach (cell, ((const AlterDatabaseStmt *) statement)->options)
			{
				if (strcmp(lfirst_node(DefElem, cell)->defname, "tablespace") == 0)
					StopFor(((const AlterDatabaseStmt *) statement)->dbname, false);
			}
			break;
		default:
			break;
	}
}

/* ---- the process ---- */

/* Signal handler: finish, and let nothing wait for long. */
static void
Terminate(SIGNAL_ARGS)
{
	int saved = errno;

	ShutdownRequestPending = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
	errno = saved;
}

/* Set a setting against every default. */
static void
Pin(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

/* Bound how long a lock is waited for. */
static void
PinLockTimeout(int milliseconds)
{
	char value[32];

	snprintf(value, sizeof(value), "%d", Max(milliseconds, 1));
	Pin("lock_timeout", value);
}

bool
StandbysAwaited(void)
{
	return max_wal_senders > 0 && SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0';
}

/* Whatever ALTER DATABASE, ALTER ROLE or the configuration say. */
static void
PinSettings(void)
{
	static const char *const pinned[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_deferrable", "off"},
		{"statement_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"row_security", "off"},
		{"session_replication_role", "origin"},
		{"default_tablespace", ""},
		{"default_table_access_method", "heap"},
		{"client_min_messages", "error"},
		{"jit", "off"},
	};
	int i;

	for (i = 0; i < lengthof(pinned); i++)
		Pin(pinned[i][0], pinned[i][1]);
	PinLockTimeout(DurableTimeout() / 2);
	Pin("synchronous_commit", StandbysAwaited() ? "on" : "off");
}

/* Take settings over that were reloaded. */
static void
Reload(void)
{
	if (!ConfigReloadPending)
		return;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	PinSettings();
}

/* ---- work ---- */

/* What WriteRecords has open. */
typedef struct RecordWriter
{
	const AuditLog *log;
	Oid partition; /* or 0 */
	LogWriter writer;
} RecordWriter;

/* Write one record. */
static void
WriteRecord(RecordWriter *to, MinimalTuple record)
{
	EventRow row;
	Oid partition;

	EventFromRecord(&row, record);
	partition = LogPartition(to->log, DatumGetTimestampTz(row.values[EVENT_RECORDED_AT]));
	if (to->partition != partition)
	{
		if (OidIsValid(to->partition))
			LogWriterClose(&to->writer);
		EventWriterOpen(&to->writer, partition, false);
		to->partition = partition;
	}
	EventNumber(&row, to->log);
	LogWriterAppend(&to->writer, row.values, row.isnull);
}

/* Write the records of these places, within the current transaction. */
static void
WriteRecords(const int *slots, int count)
{
	RecordWriter to = {AuditLogRequire(), InvalidOid};
	int i;

	if (QueueAwaited(slots, count))
		ForceSyncCommit();
	for (i = 0; i < count; i++)
	{
		const void *record;
		Size next = 0;

		while ((record = QueueRecord(slots[i], &next)) != NULL)
		{
			WriteRecord(&to, (MinimalTuple) record);
			State.unsealed++;
		}
	}
	if (OidIsValid(to.partition))
		LogWriterClose(&to.writer);
}

/* Run work in a transaction of its own; returns 0 or the SQLSTATE of its error, which is logged. */
static int
InTransaction(void (*work)(const int *slots, int count), const int *slots, int count)
{
	volatile int code = 0;

	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		work(slots, count);
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		code = geterrcode();
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		QueryCancelPending = false;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(State.context);
	MemoryContextReset(State.context);
	return code;
}

/* One round; returns the number of places, negative where they could not be written. */
static int
Round(void)
{
	int slots[QUEUE_GROUP];
	int count = QueueTake(slots, State.limit);

	if (count == 0)
		return 0;
	pgstat_report_activity(STATE_RUNNING, "writing events");
	if (InTransaction(WriteRecords, slots, count) != 0)
	{
		QueueNotWritten(slots, count);
		State.limit = 1;
		return -count;
	}
	/* The postmaster died, which ends the wait for a standby: nobody is told that it has the events. */
	if (ProcDiePending)
		CHECK_FOR_INTERRUPTS();
	QueueWritten(slots, count);
	State.limit = QUEUE_GROUP;
	return count;
}

/* Seal, within the current transaction. */
static void
SealWork(const int *slots, int count)
{
	if (ExtensionInstalled() && AuditLogFind() != NULL && LogArmed())
		AuditWorkerSeal();
}

/* Drain the spool, within the current transaction. */
static void
DrainWork(const int *slots, int count)
{
	SpoolDrain();
}

/* Seal and drain where it is time to. */
static void
Upkeep(TimestampTz now)
{
	if (SealInterval > 0 && (now >= State.seal_after || State.unsealed >= SEAL_EVENTS))
	{
		int code;

		PinLockTimeout(SEAL_LOCK_MS);
		code = InTransaction(SealWork, NULL, 0);
		PinLockTimeout(DurableTimeout() / 2);
		State.unsealed = 0;
		State.seal_after = TimestampTzPlusMilliseconds(
			GetCurrentTimestamp(),
			code == 0 || code == ERRCODE_LOCK_NOT_AVAILABLE ? SealInterval : LONG_RETRY_MS);
	}
	if (now >= State.drain_after)
	{
		if (SpoolWaiting() && InTransaction(DrainWork, NULL, 0) == 0)
			SpoolDrained();
		State.drain_after = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RETRY_MS);
	}
}

/* Write what is queued, and what comes within LINGER_MS, and go. */
static void
Finish(bool linger)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), linger ? LINGER_MS : 0);
	int count;

	QueryCancelPending = false;
	Pin("synchronous_commit", "local");
	PinLockTimeout(RETRY_MS);
	do
	{
		count = Round();
		if (count == 0 && linger)
			pg_usleep(10000L);
	} while (count > 0 || (linger && count == 0 && GetCurrentTimestamp() < until));
	proc_exit(State.exit_code);
}

/* Leave the place to another database: seal what there is, write what is queued by then, and go. */
static void
HandOver(void)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LINGER_MS);

	State.seal_after = 0;
	Upkeep(GetCurrentTimestamp());
	while (Round() > 0 && GetCurrentTimestamp() < until)
		;
	proc_exit(State.exit_code);
}

/* Wait for records, or until upkeep is due. */
static void
Rest(long milliseconds)
{
	pgstat_report_activity(STATE_IDLE, NULL);
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

/* Rounds without end. */
static PHI_NORETURN void
Serve(void)
{
	for (;;)
	{
		int count;
		TimestampTz now;

		Reload();
		if (ShutdownRequestPending || QueueStopRequested())
			Finish(ShutdownRequestPending);
		CHECK_FOR_INTERRUPTS();
		count = Round();
		now = GetCurrentTimestamp();
		if (count != 0 || QueueActive())
			State.active = now;
		if (count >= 0)
			Upkeep(now);
		if (ReserveTurnIsOver(now))
			HandOver();
		if (count == 0 && TimestampDifferenceExceeds(State.active, now, IDLE_MS) && QueueRetire())
			proc_exit(State.exit_code);
		if (count == 0)
			Rest(RETRY_MS);
		else if (count < 0)
			pg_usleep(10000L);
	}
}

void
WorkerBegin(void)
{
	pqsignal(SIGTERM, Terminate);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
}

bool
WorkerMustEnd(void)
{
	return ShutdownRequestPending;
}

void
WorkerServe(Oid database, int exit_code)
{
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, BGWORKER_BYPASS_ALLOWCONN);
	if (!QueueServe())
		proc_exit(exit_code);
	memset(&State, 0, sizeof(State));
	State.context =
		AllocSetContextCreate(TopMemoryContext, "phi_guard audit round", ALLOCSET_DEFAULT_SIZES);
	State.limit = QUEUE_GROUP;
	State.active = GetCurrentTimestamp();
	State.exit_code = exit_code;
	MemoryContextSwitchTo(State.context);
	PinSettings();
	Serve();
}

/* Entry of a process started at run time; its argument is the database. */
void
phi_audit_worker(Datum database)
{
	WorkerBegin();
	WorkerServe(DatumGetObjectId(database), WORKER_DONE);
}

void
WorkerInit(void)
{
	DefineCustomIntVariable(
		"phi.audit_seal_interval", "How often the audit worker seals events; 0: never.", NULL,
		&SealInterval, 1000, 0, 3600000, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	ReserveInit();
}
