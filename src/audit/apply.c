/*-------------------------------------------------------------------------
 * apply.c
 *		Collecting what logical replication applies: phi.audit_apply(), an
 *		AFTER row trigger, ENABLE REPLICA.
 *
 * The workers of a subscription change rows one by one, below the executor,
 * where statement triggers do not fire.  The rows of a transaction are
 * collected in runs of one action, and go to the log as those of a statement
 * do (change.c): when another action begins, after AUDIT_BATCH_ROWS rows, and
 * before the transaction is committed or prepared.  So the events are there if
 * and only if the changes are, in their order.
 *
 * In any other process, and in the initial copy of a table, the statement
 * triggers fire, and the one here does nothing; nor does it for a statement
 * that somebody else's trigger runs in such a worker.  Where the session
 * applies nothing it is not called at all.
 *
 * A subtransaction (PostgreSQL 16 and later apply a streamed transaction with
 * savepoints) has runs of its own, as only it may write them: with its abort
 * they are forgotten, and with its end they become its parent's.  Where one
 * writes some itself, those of its parent from before come after them.
 *
 * Memory: the runs have a context below TopTransactionContext.
 *-------------------------------------------------------------------------
 */
#include "audit/change.h"

#include "access/table.h"
#include "access/xact.h"
#include "audit/audit.h"
#include "catalog/pg_subscription_rel.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "replication/worker_internal.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(phi_audit_apply);

/* Rows of a relation in a run. */
typedef struct AppliedRows
{
	Oid relation;
	Tuplestorestate *before; /* NULL of inserted rows */
	Tuplestorestate *after;  /* NULL of deleted ones */
} AppliedRows;

/* Changes of one action, one after the other. */
typedef struct AppliedRun
{
	SubTransactionId subtransaction;
	bool before; /* have they rows before, and after? */
	bool after;
	int count;
	List *relations; /* of AppliedRows */
} AppliedRun;

/* The runs that are not written, in their order, and their memory; both end with the transaction. */
static List *Runs = NIL;
static MemoryContext RunContext = NULL;

/* The callbacks of this file are of use to workers of subscriptions alone, and are registered there. */
static bool Registered = false;

const char *
ApplyingSubscription(void)
{
	return IsLogicalWorker() && MySubscription != NULL ? MySubscription->name : NULL;
}

/* Is a change applied here, for which no statement trigger fires? */
static bool
Applying(void)
{
	return IsLogicalWorker() && !ModifyingStatementRunning() &&
		   MyLogicalRepWorker->relstate != SUBREL_STATE_DATASYNC;
}

/* ---- writing ---- */

/* Free what a run holds; its memory goes with the context. */
static void
EndRun(AppliedRun *run)
{
	ListCell *cell;

	foreach (cell, run->relations)
	{
		AppliedRows *rows = lfirst(cell);

		if (rows->before != NULL)
			tuplestore_end(rows->before);
		if (rows->after != NULL)
			tuplestore_end(rows->after);
	}
	run->relations = NIL;
}

/* Append the events of a run. */
static void
WriteRun(AppliedRun *run)
{
	MemoryContext work =
		AllocSetContextCreate(CurrentMemoryContext, "phi_guard applied rows", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);
	ListCell *cell;

	foreach (cell, run->relations)
	{
		AppliedRows *rows = lfirst(cell);
		Relation relation = table_open(rows->relation, AccessShareLock);

		RecordChange(relation, rows->before, rows->after, true);
		table_close(relation, NoLock);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}

/* Append the events of the last runs, from the first one of the current subtransaction on. */
static void
WriteRuns(void)
{
	SubTransactionId current = GetCurrentSubTransactionId();
	int first = list_length(Runs);
	int i;

	while (first > 0 && ((AppliedRun *) list_nth(Runs, first - 1))->subtransaction == current)
		first--;
	for (i = first; i < list_length(Runs); i++)
	{
		WriteRun(list_nth(Runs, i));
		EndRun(list_nth(Runs, i));
	}
	Runs = list_truncate(Runs, first);
	if (Runs == NIL)
		MemoryContextReset(RunContext);
}

/* Before the end of a transaction nothing has a snapshot any more, without which no long value can be read. */
static void
WriteAtEnd(void)
{
	if (Runs == NIL)
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	WriteRuns();
	PopActiveSnapshot();
}

/* Transaction callback. */
static void
AtTransactionEnd(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			WriteAtEnd();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			Runs = NIL;
			RunContext = NULL;
			break;
		default:
			break;
	}
}

/* Subtransaction callback: runs become the parent's, or are forgotten. */
static void
AtSubtransactionEnd(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	while (event == SUBXACT_EVENT_ABORT_SUB && Runs != NIL &&
		   ((AppliedRun *) llast(Runs))->subtransaction == mine)
	{
		EndRun(llast(Runs));
		Runs = list_truncate(Runs, list_length(Runs) - 1);
	}
	if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		ListCell *cell;

		foreach (cell, Runs)
		{
			AppliedRun *run = lfirst(cell);

			if (run->subtransaction == mine)
				run->subtransaction = parent;
		}
	}
}

/* ---- collecting ---- */

/* Make ready for the first row of a transaction. */
static void
BeginRuns(void)
{
	if (!Registered)
	{
		RegisterXactCallback(AtTransactionEnd, NULL);
		RegisterSubXactCallback(AtSubtransactionEnd, NULL);
		Registered = true;
	}
	if (RunContext == NULL)
		RunContext = AllocSetContextCreate(TopTransactionContext, "phi_guard applied runs",
										   ALLOCSET_DEFAULT_SIZES);
}

/* The run that a change belongs to. */
static AppliedRun *
RunFor(bool before, bool after)
{
	AppliedRun *run = Runs != NIL ? llast(Runs) : NULL;

	if (run != NULL && run->subtransaction == GetCurrentSubTransactionId())
	{
		if (run->before == before && run->after == after && run->count < AUDIT_BATCH_ROWS)
			return run;
		WriteRuns();
	}
	run = palloc0(sizeof(AppliedRun));
	run->subtransaction = GetCurrentSubTransactionId();
	run->before = before;
	run->after = after;
	Runs = lappend(Runs, run);
	return run;
}

/* A store whose file, if it gets one, lasts to the transaction's end. */
static Tuplestorestate *
BeginStore(void)
{
	ResourceOwner owner = CurrentResourceOwner;
	Tuplestorestate *store;

	CurrentResourceOwner = TopTransactionResourceOwner;
	store = tuplestore_begin_heap(false, false, work_mem);
	CurrentResourceOwner = owner;
	return store;
}

/* The rows of a relation in a run. */
static AppliedRows *
RowsOf(AppliedRun *run, Oid relation)
{
	AppliedRows *rows;
	ListCell *cell;

	foreach (cell, run->relations)
	{
		rows = lfirst(cell);
		if (rows->relation == relation)
			return rows;
	}
	rows = palloc0(sizeof(AppliedRows));
	rows->relation = relation;
	rows->before = run->before ? BeginStore() : NULL;
	rows->after = run->after ? BeginStore() : NULL;
	run->relations = lappend(run->relations, rows);
	return rows;
}

/* The trigger of rows: it keeps the row, where the change is applied. */
Datum
phi_audit_apply(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	bool inserted;
	bool updated;
	AppliedRun *run;
	AppliedRows *rows;
	MemoryContext old;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("phi.audit_apply() must be an AFTER row trigger"));
	RequirePreload();
	if (!Applying())
		return PointerGetDatum(NULL);

	inserted = TRIGGER_FIRED_BY_INSERT(trigger->tg_event);
	updated = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	BeginRuns();
	old = MemoryContextSwitchTo(RunContext);
	run = RunFor(!inserted, inserted || updated);
	rows = RowsOf(run, RelationGetRelid(trigger->tg_relation));
	if (!inserted)
		tuplestore_puttupleslot(rows->before, trigger->tg_trigslot);
	if (inserted || updated)
		tuplestore_puttupleslot(rows->after, updated ? trigger->tg_newslot : trigger->tg_trigslot);
	run->count++;
	MemoryContextSwitchTo(old);
	return PointerGetDatum(NULL);
}
