/*-------------------------------------------------------------------------
 * holding.c
 *		Holding a query's result back until its disclosures are recorded.
 *
 * Waiting for the log at every value would cost a scan a disk flush a patient,
 * and a value once returned cannot be taken back.  So an execution is looked
 * at for where its values can go.  It is closed where every function it calls
 * is PostgreSQL's own or C, and not volatile, or is ours; where it reads no
 * foreign table; and where the tables it writes have no row triggers but ours.
 * What a closed execution reveals can only leave through its result: rows are
 * kept in memory while anything of them is not recorded, and sent on when it
 * is, at the latest when ExecutorRun ends.  A point read waits once; a scan
 * waits once for AUDIT_BATCH_ROWS patients.  Anywhere else (an open execution, DO, CALL, a
 * fast-path call) each value is recorded before reveal() returns it.
 *
 * Which functions an execution calls is seen where PostgreSQL checks that they
 * may be called: when expressions are made ready, and, for constraints of
 * domains and the like, while it runs.
 *
 * Memory: a closed execution is remembered until it ends or its transaction
 * does; held rows are in the executor's query context.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/xact.h"
#include "audit/disclosure.h"
#include "audit/reads.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#define HELD_BYTES (1024 * 1024) /* of one result */

/* What the functions of an execution that is being started do. */
typedef struct Starting
{
	bool reveals;
	bool open;
	bool explains; /* and nothing will run */
} Starting;

/* A function that was looked at. */
typedef struct KnownFunction
{
	Oid function;
	bool open;
	bool ours;
	bool reads; /* shows what is in the audit log */
} KnownFunction;

/* An ExecutorRun under way. */
typedef struct Running
{
	struct Running *outer;
	bool closed;
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

/* The innermost execution being started, and the innermost running; NULL outside. */
static Starting *InnermostStarting = NULL;
static Running *InnermostRunning = NULL;

/* Statements around: executions and utility commands; at 0 a statement is over. */
static int Depth = 0;

/* The closed executions that reveal, by their QueryDesc; NULL when there were none in the transaction. */
static HTAB *Closed = NULL;

/* What was found out about functions, while the catalogs are as then. */
static HTAB *Functions = NULL;
static uint64 FunctionsGeneration = 0;

static object_access_hook_type NextObjectAccess = NULL;
static ExecutorStart_hook_type NextStart = NULL;
static ExecutorRun_hook_type NextRun = NULL;
static ExecutorEnd_hook_type NextEnd = NULL;
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

/* ---- what an execution calls ---- */

/*
 * What a function may do.  Open: pass a value on, or let somebody else's code
 * do so.
 */
static void
LookAt(KnownFunction *known)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(known->function));
	Form_pg_proc form;

	known->ours = known->reads = false;
	known->open = true;
	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	known->ours = known->function >= FirstUnpinnedObjectId && ExtensionInstalled() &&
				  form->pronamespace == PhiSchema();
	known->reads = known->ours && ReadsLog(NameStr(form->proname));
	known->open = !known->ours && (form->provolatile == PROVOLATILE_VOLATILE ||
								   (form->prolang != INTERNALlanguageId &&
									form->prolang != ClanguageId &&
									known->function >= FirstUnpinnedObjectId));
	ReleaseSysCache(tuple);
}

/* The same, remembered. */
static KnownFunction
Know(Oid function)
{
	KnownFunction looked = {function};
	KnownFunction *known;
	HASHCTL control = {0};

	if (Functions != NULL && FunctionsGeneration != CatalogGeneration())
	{
		hash_destroy(Functions);
		Functions = NULL;
	}
	if (Functions == NULL)
	{
		control.keysize = sizeof(Oid);
		control.entrysize = sizeof(KnownFunction);
		Functions = hash_create("phi_guard functions", 256, &control, HASH_ELEM | HASH_BLOBS);
		FunctionsGeneration = CatalogGeneration();
	}
	known = hash_search(Functions, &function, HASH_FIND, NULL);
	if (known != NULL)
		return *known;
	LookAt(&looked);
	/* Looking may have taken in an invalidation. */
	if (FunctionsGeneration == CatalogGeneration())
	{
		known = hash_search(Functions, &function, HASH_ENTER, NULL);
		*known = looked;
	}
	return looked;
}

/*
 * A function turned up while a closed execution runs, and opens it: what that
 * has revealed is recorded first.
 */
static void
OpenRunning(void)
{
	InnermostRunning->closed = false;
	DisclosureFlush();
}

/* Hook: a function is about to be made ready to be called. */
static void
FunctionAccess(ObjectAccessType access, Oid class, Oid object, int sub_id, void *arg)
{
	KnownFunction known;

	if (NextObjectAccess)
		NextObjectAccess(access, class, object, sub_id, arg);
	if (access != OAT_FUNCTION_EXECUTE ||
		(InnermostStarting == NULL && InnermostRunning == NULL && object < FirstUnpinnedObjectId))
		return;
	known = Know(object);
	if (InnermostStarting != NULL)
	{
		InnermostStarting->reveals = InnermostStarting->reveals || known.ours;
		InnermostStarting->open = InnermostStarting->open || known.open;
	}
	else if (known.open && DisclosureHeld())
		OpenRunning();
	if (known.reads && (InnermostStarting == NULL || !InnermostStarting->explains))
		ReadsNoteFunction(get_func_name(object));
}

/* Does the table run row triggers that are not ours, or route rows to partitions that may? */
static bool
RunsTriggers(const ResultRelInfo *target)
{
	const TriggerDesc *triggers = target->ri_RelationDesc->trigdesc;
	int i;

	if (target->ri_RelationDesc->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
		target->ri_RelationDesc->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		return true;
	for (i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (TRIGGER_FOR_ROW(triggers->triggers[i].tgtype) && !triggers->triggers[i].tgisinternal &&
			get_func_namespace(triggers->triggers[i].tgfoid) != PhiSchema())
			return true;
	}
	return false;
}

/* Can rows of the execution reach somebody else's code through a table? */
static bool
ReachesOthers(const QueryDesc *desc)
{
	ListCell *cell;

	foreach (cell, desc->plannedstmt->rtable)
	{
		const RangeTblEntry *entry = lfirst(cell);

		if (entry->rtekind == RTE_RELATION && entry->relkind == RELKIND_FOREIGN_TABLE)
			return true;
	}
	foreach (cell, desc->estate->es_opened_result_relations)
	{
		if (RunsTriggers(lfirst(cell)))
			return true;
	}
	return false;
}

/* Remember a closed execution. */
static void
RememberClosed(QueryDesc *desc)
{
	HASHCTL control = {0};

	control.keysize = sizeof(QueryDesc *);
	control.entrysize = sizeof(QueryDesc *);
	if (Closed == NULL)
		Closed = hash_create("phi_guard closed executions", 16, &control, HASH_ELEM | HASH_BLOBS);
	(void) hash_search(Closed, &desc, HASH_ENTER, NULL);
}

/* Hook: look at what the execution calls. */
static void
HoldingStart(QueryDesc *desc, int eflags)
{
	Starting *outer = InnermostStarting;
	Starting starting = {0};

	starting.explains = (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0;
	PG_TRY();
	{
		InnermostStarting = &starting;
		if (NextStart)
			NextStart(desc, eflags);
		else
			standard_ExecutorStart(desc, eflags);
	}
	PG_FINALLY();
	{
		InnermostStarting = outer;
	}
	PG_END_TRY();
	if (starting.reveals && !starting.open && !starting.explains && !ReachesOthers(desc))
		RememberClosed(desc);
	ReadsNoteQuery(desc, eflags);
}

/* Hook: the execution is over. */
static void
HoldingEnd(QueryDesc *desc)
{
	if (Closed != NULL)
		(void) hash_search(Closed, &desc, HASH_REMOVE, NULL);
	if (NextEnd)
		NextEnd(desc);
	else
		standard_ExecutorEnd(desc);
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
	Running running = {InnermostRunning, false};
	Running *outer = InnermostRunning;
	Starting *starting = InnermostStarting;
	DestReceiver *receiver = desc->dest;
	int depth = Depth;
	bool hold;

	running.closed = Closed != NULL && hash_search(Closed, &desc, HASH_FIND, NULL) != NULL;
	hold = running.closed && DisclosureModeNow() == DISCLOSURE_STRICT && ShowsAtOnce(receiver);
	PG_TRY();
	{
		InnermostRunning = &running;
		InnermostStarting = NULL;
		Depth = depth + 1;
		RunHolding(EXECUTOR_RUN_FORWARD, hold);
		if (DisclosurePending() && (DisclosureModeNow() == DISCLOSURE_STRICT || depth == 0))
			DisclosureFlush();
	}
	PG_CATCH();
	{
		InnermostRunning = outer;
		InnermostStarting = starting;
		Depth = depth;
		desc->dest = receiver;
		RecordBeforeError();
		LeaveStatement();
		PG_RE_THROW();
	}
	PG_END_TRY();
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
			if (Closed != NULL)
				hash_destroy(Closed);
			Closed = NULL;
			break;
		default:
			break;
	}
}

void
HoldingInit(void)
{
	RegisterXactCallback(EndOfTransaction, NULL);
	NextObjectAccess = object_access_hook;
	object_access_hook = FunctionAccess;
	NextStart = ExecutorStart_hook;
	ExecutorStart_hook = HoldingStart;
	NextRun = ExecutorRun_hook;
	ExecutorRun_hook = HoldingRun;
	NextEnd = ExecutorEnd_hook;
	ExecutorEnd_hook = HoldingEnd;
	NextUtility = ProcessUtility_hook;
	ProcessUtility_hook = HoldingUtility;
}
