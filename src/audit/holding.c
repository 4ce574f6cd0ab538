/*-------------------------------------------------------------------------
 * holding.c
 *		Holding a query's result back until its disclosures are recorded.
 *
 * Waiting for the log at every value would cost a scan a disk flush a patient,
 * and a value once returned cannot be taken back.  What a closed execution
 * (closed.c) reveals can only leave through its result: rows are kept in
 * memory while anything of them is not recorded, and sent on when it is, at
 * the latest when ExecutorRun ends.  A point read waits once; a scan waits
 * once for AUDIT_BATCH_ROWS patients.  Anywhere else (an open execution, DO,
 * CALL, a fast-path call) each value is recorded before reveal() returns it.
 *
 * A function of PostgreSQL's can say something about a value in a notice
 * (plainto_tsquery(), that a text is a stop word).  PostgreSQL sends notices at
 * once, and from places where nothing can wait: a closed execution that has
 * revealed a value sends none.
 *
 * Memory: held rows are in the executor's query context.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/xact.h"
#include "audit/closed.h"
#include "audit/disclosure.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define HELD_BYTES (1024 * 1024) /* of one result */

/* An ExecutorRun under way. */
typedef struct Running
{
	struct Running *outer;
	bool closed;
	int messages; /* client_min_messages around it */
} Running;

/* A receiver that keeps rows from another while disclosures are pending. */
typedef struct Holder
{
	DestReceiver pub;
	DestReceiver *to;
	MemoryContext context;
	TupleDesc columns;
	List *rows; /* of MinimalTuple */
	Size bytes;
} Holder;

/* The innermost execution running; NULL outside. */
static Running *InnermostRunning = NULL;

/* Statements around: executions and utility commands; at 0 a statement is over. */
static int Depth = 0;

static ExecutorRun_hook_type NextRun = NULL;
static ProcessUtility_hook_type NextUtility = NULL;

bool
DisclosureInStatement(void)
{
	return Depth > 0;
}

bool
DisclosureHeld(void)
{
	return InnermostRunning != NULL && InnermostRunning->closed;
}

void
DisclosureQuiet(void)
{
	client_min_messages = Max(client_min_messages, ERROR);
}

void
DisclosureOpened(void)
{
	InnermostRunning->closed = false;
	DisclosureFlush();
	client_min_messages = InnermostRunning->messages;
}

/* ---- the receiver ---- */

/* Send the rows kept. */
static void
SendHeld(Holder *holder)
{
	TupleTableSlot *slot;
	ListCell *cell;

	if (holder->rows == NIL)
		return;
	slot = MakeSingleTupleTableSlot(holder->columns, &TTSOpsMinimalTuple);
	foreach (cell, holder->rows)
	{
		ExecStoreMinimalTuple(lfirst(cell), slot, false);
		(void) holder->to->receiveSlot(slot, holder->to);
	}
	ExecDropSingleTupleTableSlot(slot);
	list_free_deep(holder->rows);
	holder->rows = NIL;
	holder->bytes = 0;
}

/* Receiver: send the row on, or keep it. */
static bool
HolderReceive(TupleTableSlot *slot, DestReceiver *self)
{
	Holder *holder = (Holder *) self;
	MemoryContext old;
	MinimalTuple row;

	if (!DisclosurePending())
	{
		SendHeld(holder);
		return holder->to->receiveSlot(slot, holder->to);
	}
	old = MemoryContextSwitchTo(holder->context);
	row = ExecCopySlotMinimalTuple(slot);
	holder->rows = lappend(holder->rows, row);
	holder->bytes += row->t_len;
	MemoryContextSwitchTo(old);
	if (holder->bytes > HELD_BYTES)
	{
		DisclosureFlush();
		SendHeld(holder);
	}
	return true;
}

static void
HolderStartup(DestReceiver *self, int operation, TupleDesc columns)
{
	Holder *holder = (Holder *) self;

	holder->columns = columns;
	holder->to->rStartup(holder->to, operation, columns);
}

/* Receiver: what is kept can go when it is recorded. */
static void
HolderShutdown(DestReceiver *self)
{
	Holder *holder = (Holder *) self;

	DisclosureFlush();
	SendHeld(holder);
	holder->to->rShutdown(holder->to);
}

static void
HolderDestroy(DestReceiver *self)
{
}

/* Does the receiver show rows before the execution is over? */
static bool
ShowsAtOnce(const DestReceiver *receiver)
{
	switch (receiver->mydest)
	{
		case DestNone:
		case DestSPI:
		case DestTuplestore:
		case DestIntoRel:
		case DestTransientRel:
		case DestSQLFunction:
			return false;
		default:
			return true;
	}
}

/* ---- running ---- */

/* The statement is over, or only a part of it. */
static void
LeaveStatement(void)
{
	if (Depth == 0)
		DisclosureForget();
}

/* An error is on its way out: what it may show is recorded first. */
static void
RecordBeforeError(void)
{
	if (!DisclosurePending())
		return;
	if (geterrcode() == ERRCODE_QUERY_CANCELED)
		DisclosureFlushAtAbort();
	else
		DisclosureFlushForError();
}

/*
 * Must an execution that is over be recorded before the one around it goes on?
 * A closed one runs no code but ours, the triggers of the redacted view, and
 * shows nothing yet.
 */
static bool
MustRecord(const Running *outer)
{
	return DisclosureModeNow() == DISCLOSURE_STRICT && (outer == NULL || !outer->closed);
}

/* Run, with rows held back if they are to be. */
static void
RunHolding(EXECUTOR_RUN_ARGS, bool hold)
{
	Holder holder = {0};

	if (hold)
	{
		holder.pub.receiveSlot = HolderReceive;
		holder.pub.rStartup = HolderStartup;
		holder.pub.rShutdown = HolderShutdown;
		holder.pub.rDestroy = HolderDestroy;
		holder.pub.mydest = desc->dest->mydest;
		holder.to = desc->dest;
		holder.context = desc->estate->es_query_cxt;
		desc->dest = &holder.pub;
	}
	if (NextRun)
		NextRun(EXECUTOR_RUN_FORWARD);
	else
		standard_ExecutorRun(EXECUTOR_RUN_FORWARD);
	if (hold)
		desc->dest = holder.to;
}

/*
 * Hook: what is revealed in here is recorded before it is over; whoever called
 * has the rows then.
 */
static void
HoldingRun(EXECUTOR_RUN_ARGS)
{
	Running running = {InnermostRunning, false, client_min_messages};
	Running *outer = InnermostRunning;
	Starting *starting = InnermostStarting;
	DestReceiver *receiver = desc->dest;
	int depth = Depth;
	bool hold;

	running.closed = ClosedExecution(desc);
	hold = running.closed && DisclosureModeNow() == DISCLOSURE_STRICT && ShowsAtOnce(receiver);
	PG_TRY();
	{
		InnermostRunning = &running;
		InnermostStarting = NULL;
		Depth = depth + 1;
		RunHolding(EXECUTOR_RUN_FORWARD, hold);
		if (DisclosurePending() && (depth == 0 || MustRecord(outer)))
			DisclosureFlush();
	}
	PG_CATCH();
	{
		client_min_messages = running.messages;
		InnermostRunning = outer;
		InnermostStarting = starting;
		Depth = depth;
		desc->dest = receiver;
		RecordBeforeError();
		LeaveStatement();
		PG_RE_THROW();
	}
	PG_END_TRY();
	client_min_messages = running.messages;
	InnermostRunning = outer;
	InnermostStarting = starting;
	Depth = depth;
	LeaveStatement();
}

/* Hook: the end of a utility command is the end of what it revealed. */
static void
HoldingUtility(PlannedStmt *statement, const char *query, bool read_only_tree,
			   ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
			   DestReceiver *destination, QueryCompletion *completion)
{
	Running *running = InnermostRunning;
	Starting *starting = InnermostStarting;
	int depth = Depth;

	if (DisclosureHeld())
		DisclosureOpened();
	DurableNoteCommand(statement->utilityStmt);
	PG_TRY();
	{
		/* Code that it runs by itself has no held result. */
		InnermostRunning = NULL;
		InnermostStarting = NULL;
		Depth = depth + 1;
		if (NextUtility)
			NextUtility(statement, query, read_only_tree, context, params, environment, destination,
						completion);
		else
			standard_ProcessUtility(statement, query, read_only_tree, context, params, environment,
									destination, completion);
		if (depth == 0)
			DisclosureFlush();
	}
	PG_CATCH();
	{
		InnermostRunning = running;
		InnermostStarting = starting;
		Depth = depth;
		RecordBeforeError();
		LeaveStatement();
		PG_RE_THROW();
	}
	PG_END_TRY();
	InnermostRunning = running;
	InnermostStarting = starting;
	Depth = depth;
	LeaveStatement();
}

/* Transaction callback: what was revealed outside of executions, or before an error. */
static void
EndOfTransaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			DisclosureFlush();
			break;
		case XACT_EVENT_ABORT:
			DisclosureFlushAtAbort();
			/* FALLTHROUGH */
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			ClosedForget();
			break;
		default:
			break;
	}
}

void
HoldingInit(void)
{
	ClosedInit();
	RegisterXactCallback(EndOfTransaction, NULL);
	NextRun = ExecutorRun_hook;
	ExecutorRun_hook = HoldingRun;
	NextUtility = ProcessUtility_hook;
	ProcessUtility_hook = HoldingUtility;
}
