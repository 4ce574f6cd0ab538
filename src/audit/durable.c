/*-------------------------------------------------------------------------
 * durable.c
 *		Events that exist whatever becomes of the transaction they are about.
 *
 * The database's audit worker writes and commits them (worker.c); a session
 * hands over records and waits, at most phi.audit_timeout.  The wait is
 * refused at once where it could only end in that: where this transaction
 * holds what the worker would wait for, or made what it would not see.  Under
 * purpose BTG, where the worker does not answer, the spool takes the records
 * (spool.c).
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "audit/denial.h"
#include "audit/spool.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "session/session.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"

#define NOTE_MS 3000 /* what a denial waits for its event at most */

/* Setting phi.audit_timeout, in milliseconds. */
static int Timeout = 10000;

/* The catalog generation under which the extension and the log were found to be committed. */
static uint64 CommittedGeneration = 0;

/* The transaction that last ran a command which may lock tables against others. */
static LocalTransactionId CommandTransaction = InvalidLocalTransactionId;

int
DurableTimeout(void)
{
	return Timeout;
}

/* ---- what stands in the way ---- */

/* Was the row of pg_extension made or updated by this transaction? */
static bool
ExtensionIsOurs(void)
{
	Relation relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	bool ours = false;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("phi_guard"));
	scan = systable_beginscan(relation, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		ours = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return ours;
}

bool
RelationIsOurs(Oid relid)
{
	Relation relation = RelationIdGetRelation(relid);
	bool ours = RelationIsValid(relation) && relation->rd_createSubid != InvalidSubTransactionId;

	if (RelationIsValid(relation))
		RelationClose(relation);
	return ours;
}

/* Would the worker not see the extension or the log? */
static bool
Uncommitted(const AuditLog *log)
{
	if (log != NULL && CommittedGeneration == CatalogGeneration())
		return false;
	if (ExtensionIsOurs() || (log != NULL && RelationIsOurs(log->event)))
		return true;
	CommittedGeneration = CatalogGeneration();
	return false;
}

/*
 * Has this transaction locked a table of the log, or a catalog, against the
 * worker?  Queries take no lock that strong.
 */
static bool
LockedAgainst(const AuditLog *log)
{
	Oid const catalogs[] = {RelationRelationId, ExtensionRelationId};
	bool locked = false;
	int i;

	if (CommandTransaction != CurrentLocalTransaction())
		return false;
	for (i = 0; i < lengthof(catalogs); i++)
		locked = locked || RelationLockedByMe(catalogs[i], AccessExclusiveLock);
	return locked || (log != NULL && (RelationLockedByMe(log->event, ShareLock) ||
									  RelationLockedByMe(log->sequence, ShareRowExclusiveLock) ||
									  RelationLockedByMe(LogPartitionNow(log), ShareLock)));
}

void
DurableNoteCommand(const Node *command)
{
	switch (nodeTag(command))
	{
		case T_TransactionStmt:
		case T_VariableSetStmt:
		case T_VariableShowStmt:
		case T_PrepareStmt:
		case T_ExecuteStmt:
		case T_DeallocateStmt:
		case T_DeclareCursorStmt:
		case T_FetchStmt:
		case T_ClosePortalStmt:
			break;
		default:
			CommandTransaction = CurrentLocalTransaction();
			break;
	}
}

bool
DurableObstructed(void)
{
	const AuditLog *log = AuditLogFind();

	return Uncommitted(log) || LockedAgainst(log);
}

void
DurableRequire(void)
{
	const AuditLog *log;

	RequirePreload();
	if (RecoveryInProgress())
		ereport(ERROR, errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				errmsg("an event cannot be recorded during recovery"));
	if (!IsUnderPostmaster)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("an event cannot be recorded in single-user mode"));
	log = AuditLogFind();
	if (Uncommitted(log))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("an event cannot be recorded in the transaction that made the audit log"),
				errdetail("The audit worker does not see it yet."), errhint("Commit first."));
	if (LockedAgainst(log))
		ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
				errmsg("an event cannot be recorded: this transaction has locked the audit log"),
				errdetail("The audit worker would wait for it."),
				errhint("End the transaction first."));
}

/* ---- handing over ---- */

/* Raise what became of a record. */
static PHI_NORETURN void
RaiseOutcome(QueueOutcome outcome)
{
	const char *details[] = {
		[QUEUE_NOT_WRITTEN] = "The audit worker could not write it; the server's log says why.",
		[QUEUE_LATE] = "The audit worker did not answer within phi.audit_timeout.",
		[QUEUE_FULL] = "The audit worker did not make place in its queue within phi.audit_timeout.",
		[QUEUE_NO_WORKER] = "The audit worker could not be started.",
	};
	const char *hints[] = {
		[QUEUE_NOT_WRITTEN] =
			"Check locks on the tables of schema phi_audit, and the space on their disk.",
		[QUEUE_LATE] =
			"Check the process \"phi_guard audit worker\", locks on the tables of schema "
			"phi_audit, and synchronous standbys.",
		[QUEUE_FULL] = "Check the process \"phi_guard audit worker\".",
		[QUEUE_NO_WORKER] =
			"Raise phi.audit_workers, and max_worker_processes by as many: phi_guard needs one for "
			"each database in use.",
	};

	HideValueContext();
	ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("an event could not be recorded in the audit log"),
			errdetail_internal("%s", details[outcome]), errhint("%s", hints[outcome]),
			errhidestmt(true));
}

/* Put records and wait for all; an error leaves none behind. */
static QueueOutcome
PutAndWait(const MinimalTuple *records, int count, int milliseconds, bool interruptible)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), milliseconds);
	volatile QueueOutcome outcome = QUEUE_WRITTEN;
	int i;

	PG_TRY();
	{
		for (i = 0; i < count && outcome == QUEUE_WRITTEN; i++)
			outcome = QueuePut(records[i], records[i]->t_len, true, deadline, interruptible);
		if (outcome == QUEUE_WRITTEN)
			outcome = QueueWait(deadline, interruptible);
	}
	PG_FINALLY();
	{
		QueueWithdraw();
	}
	PG_END_TRY();
	return outcome;
}

/* May the spool take what the worker does not: is this an emergency, and is there a spool? */
static bool
SpoolAllowed(void)
{
	const SessionContext *session = SessionCurrent();

	return session->purpose_stated && SpoolEnabled() &&
		   phi_purpose_is_a(session->purpose, phi_purpose_find("BTG", 3));
}

void
DurableWrite(const MinimalTuple *records, int count)
{
	QueueOutcome outcome;
	int i;

	DurableRequire();
	outcome = PutAndWait(records, count, Timeout, true);
	if (outcome == QUEUE_WRITTEN)
		return;
	if (!SpoolAllowed())
		RaiseOutcome(outcome);
	for (i = 0; i < count; i++)
		SpoolWrite(records[i]);
}

void
DurableWriteBlindly(const MinimalTuple *records, int count)
{
	QueueOutcome outcome = PutAndWait(records, count, Timeout, true);

	if (outcome != QUEUE_WRITTEN)
		RaiseOutcome(outcome);
}

bool
DurableTry(MinimalTuple record)
{
	return PutAndWait(&record, 1, Min(Timeout, NOTE_MS), false) == QUEUE_WRITTEN;
}

void
DurablePut(MinimalTuple record)
{
	QueueOutcome outcome;

	DurableRequire();
	outcome = QueuePut(record, record->t_len, false,
					   TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Timeout), true);
	if (outcome != QUEUE_WRITTEN)
		RaiseOutcome(outcome);
}

/* ---- the interface ---- */

/* The event as a record, in the current context. */
static MinimalTuple
RecordOf(const AuditEvent *event)
{
	EventRow row;

	EventBegin(&row, GetCurrentTimestamp());
	EventFill(&row, event);
	return EventRecord(&row);
}

void
AuditRecordDurably(const AuditEvent *event)
{
	MemoryContext work =
		AllocSetContextCreate(CurrentMemoryContext, "phi_guard event", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);
	MinimalTuple record;

	DurableRequire();
	record = RecordOf(event);
	DurableWrite(&record, 1);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}

bool
AuditNoteDurably(const AuditEvent *event)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool noted = false;

	if (!PhiPreloaded || !IsTransactionState() || IsInParallelMode() || RecoveryInProgress())
		return false;
	HOLD_INTERRUPTS();
	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		MinimalTuple record;

		DurableRequire();
		record = RecordOf(event);
		noted = DurableTry(record);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		/* An error takes interrupts out of hold. */
		HOLD_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	RESUME_INTERRUPTS();
	if (noted)
		DenialNoted();
	return noted;
}

void
DurableInit(void)
{
	DefineCustomIntVariable("phi.audit_timeout",
							"How long a session waits for an event to be recorded.",
							"Nothing is revealed without its event.", &Timeout, 10000, 100, 600000,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	SpoolInit();
}
