/*-------------------------------------------------------------------------
 * closed.c
 *		Where the values of an execution can go.
 *
 * An execution is closed where every function it calls is PostgreSQL's own or
 * C, and not volatile, or is ours; where it reads no foreign table; and where
 * the tables it writes have no row triggers but ours.  What it reveals can
 * then only leave through its result.
 *
 * Which functions an execution calls is seen where PostgreSQL checks that they
 * may be called: when expressions are made ready, and, for constraints of
 * domains and the like, while it runs.  Some are called without a check (a
 * cast to json by to_json, what makes a range canonical): code of users goes
 * by way of fmgr_hook, which sees the call itself.  A C function can run
 * statements that its arguments spell (crosstab): an execution that is open
 * opens the closed one around it before it begins.
 *
 * Memory: a closed execution is remembered until it ends or its transaction
 * does; what is known of functions, while the catalogs stay as they are.
 *-------------------------------------------------------------------------
 */
#include "audit/closed.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "audit/disclosure.h"
#include "audit/reads.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* What the functions of an execution that is being started do. */
struct Starting
{
	bool reveals;
	bool open;
	bool explains; /* and nothing will run */
};

/* A function that was looked at. */
typedef struct KnownFunction
{
	Oid function;
	bool open;
	bool ours;
	bool reads; /* shows what is in the audit log */
} KnownFunction;

Starting *InnermostStarting = NULL;

/* The closed executions that reveal, by their QueryDesc; NULL when there was none yet. */
static HTAB *Closed = NULL;

/* What was found out about functions, while the catalogs are as then. */
static HTAB *Functions = NULL;
static uint64 FunctionsGeneration = 0;

static object_access_hook_type NextObjectAccess = NULL;
static fmgr_hook_type NextCall = NULL;
static ExecutorStart_hook_type NextStart = NULL;
static ExecutorEnd_hook_type NextEnd = NULL;

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
	known->open =
		!known->ours && (form->provolatile == PROVOLATILE_VOLATILE ||
						 (form->prolang != INTERNALlanguageId && form->prolang != ClanguageId &&
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

/* Hook: a function is about to be made ready to be called. */
static void
FunctionAccess(ObjectAccessType access, Oid class, Oid object, int sub_id, void *arg)
{
	KnownFunction known;

	if (NextObjectAccess)
		NextObjectAccess(access, class, object, sub_id, arg);
	if (access != OAT_FUNCTION_EXECUTE ||
		(InnermostStarting == NULL && !DisclosureHeld() && object < FirstUnpinnedObjectId))
		return;
	known = Know(object);
	if (InnermostStarting != NULL)
	{
		InnermostStarting->reveals = InnermostStarting->reveals || known.ours;
		InnermostStarting->open = InnermostStarting->open || known.open;
	}
	else if (known.open && DisclosureHeld())
		DisclosureOpened();
	if (known.reads && (InnermostStarting == NULL || !InnermostStarting->explains))
		ReadsNoteFunction(get_func_name(object));
}

/* Hook: a function is about to be called, which may be one that nobody checked. */
static void
FunctionCall(FmgrHookEventType event, FmgrInfo *function, Datum *private)
{
	if (NextCall)
		NextCall(event, function, private);
	if (event == FHET_START && DisclosureHeld() && Know(function->fn_oid).open)
		DisclosureOpened();
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
ClosedStart(QueryDesc *desc, int eflags)
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
	if (!starting.explains)
	{
		bool open = starting.open || ReachesOthers(desc);

		if (open && DisclosureHeld())
			DisclosureOpened();
		else if (!open && starting.reveals)
			RememberClosed(desc);
	}
	ReadsNoteQuery(desc, eflags);
}

/* Hook: the execution is over. */
static void
ClosedEnd(QueryDesc *desc)
{
	if (Closed != NULL)
		(void) hash_search(Closed, &desc, HASH_REMOVE, NULL);
	if (NextEnd)
		NextEnd(desc);
	else
		standard_ExecutorEnd(desc);
}

bool
ClosedExecution(QueryDesc *desc)
{
	return Closed != NULL && hash_search(Closed, &desc, HASH_FIND, NULL) != NULL;
}

void
ClosedForget(void)
{
	if (Closed == NULL || hash_get_num_entries(Closed) == 0)
		return;
	hash_destroy(Closed);
	Closed = NULL;
}

void
ClosedInit(void)
{
	NextObjectAccess = object_access_hook;
	object_access_hook = FunctionAccess;
	NextCall = fmgr_hook;
	fmgr_hook = FunctionCall;
	NextStart = ExecutorStart_hook;
	ExecutorStart_hook = ClosedStart;
	NextEnd = ExecutorEnd_hook;
	ExecutorEnd_hook = ClosedEnd;
}
