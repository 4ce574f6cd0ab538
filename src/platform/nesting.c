/*-------------------------------------------------------------------------
 * nesting.c
 *		Does code run that nobody called: a trigger, or what a statement runs
 *		by itself?
 *
 * Triggers, constraints, index expressions, generated columns and defaults of
 * a table are its owner's code, and run in the session of whoever writes to
 * the table.  Such code must not have values revealed.  A trigger shows in
 * PostgreSQL's trigger depth; the rest runs below a data-modifying statement,
 * COPY FROM, ALTER TABLE or CREATE INDEX, which the hooks here count.  What
 * the planner evaluates (a constant expression, an index predicate) runs in
 * the session of whoever reads.
 *
 * A function in SQL that is inlined has no level of its own: functions of
 * users who are no superusers are not inlined where tables are protected.
 * Functions in other languages go by way of fmgr_hook there, so that every
 * call of one is seen, whoever makes it (audit/closed.c).
 *
 * Every level is popped by the error path too.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "optimizer/planner.h"
#include "platform/registry.h"
#include "tcop/utility.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"

#define NATIVE_FUNCTIONS 64

static planner_hook_type PreviousPlanner = NULL;
static needs_fmgr_hook_type PreviousNeeds = NULL;
static ProcessUtility_hook_type PreviousUtility = NULL;
static ExecutorStart_hook_type PreviousStart = NULL;
static ExecutorRun_hook_type PreviousRun = NULL;
static ExecutorFinish_hook_type PreviousFinish = NULL;

/* Where we are: saved by every level and put back when it ends. */
typedef struct Nesting
{
	int around; /* modifying levels around the innermost one */
	bool here;	/* is that one modifying? */
	int planning;
} Nesting;

static Nesting Now = {0, false, 0};

/* Functions in C that NeedsCall() was asked about, each in its place, while the catalogs are as then. */
static Oid Native[NATIVE_FUNCTIONS];
static uint64 NativeGeneration = 0;

/* Does the statement write? */
static bool
Modifies(const QueryDesc *desc)
{
	return desc->operation != CMD_SELECT || desc->plannedstmt->hasModifyingCTE;
}

int
ModifyingStatementsAround(void)
{
	return Now.around;
}

bool
ModifyingStatementRunning(void)
{
	return Now.here || Now.around > 0;
}

bool
ImplicitCodeRunning(void)
{
	return Now.around > 0 || DatumGetInt32(pg_trigger_depth(NULL)) > 0;
}

bool
PlanningInProgress(void)
{
	return Now.planning > 0;
}

/* Enter a level. */
static void
Enter(bool modifies)
{
	Now.around += Now.here ? 1 : 0;
	Now.here = modifies;
}

/* Hook: the expressions of a plan are set up, and some evaluated. */
static void
NestedStart(QueryDesc *desc, int eflags)
{
	Nesting saved = Now;

	Enter(Modifies(desc));
	PG_TRY();
	{
		if (PreviousStart)
			PreviousStart(desc, eflags);
		else
			standard_ExecutorStart(desc, eflags);
	}
	PG_FINALLY();
	{
		Now = saved;
	}
	PG_END_TRY();
}

/* Hook: the statement runs. */
static void
NestedRun(EXECUTOR_RUN_ARGS)
{
	Nesting saved = Now;

	Enter(Modifies(desc));
	PG_TRY();
	{
		if (PreviousRun)
			PreviousRun(EXECUTOR_RUN_FORWARD);
		else
			standard_ExecutorRun(EXECUTOR_RUN_FORWARD);
	}
	PG_FINALLY();
	{
		Now = saved;
	}
	PG_END_TRY();
}

/* Hook: AFTER triggers run here. */
static void
NestedFinish(QueryDesc *desc)
{
	Nesting saved = Now;

	Enter(Modifies(desc));
	PG_TRY();
	{
		if (PreviousFinish)
			PreviousFinish(desc);
		else
			standard_ExecutorFinish(desc);
	}
	PG_FINALLY();
	{
		Now = saved;
	}
	PG_END_TRY();
}

/* Hook: the planner evaluates constant expressions and index predicates. */
static PlannedStmt *
NestedPlanner(Query *query, const char *source, int options, ParamListInfo parameters)
{
	Nesting saved = Now;
	PlannedStmt *plan;

	Now.planning++;
	PG_TRY();
	{
		plan = PreviousPlanner ? PreviousPlanner(query, source, options, parameters)
							   : standard_planner(query, source, options, parameters);
	}
	PG_FINALLY();
	{
		Now = saved;
	}
	PG_END_TRY();
	return plan;
}

/* Does the command run defaults, constraints or expressions of a table by itself? */
static bool
RunsTableCode(const Node *command)
{
	return IsA(command, AlterTableStmt) || IsA(command, IndexStmt) ||
		   (IsA(command, CopyStmt) && ((const CopyStmt *) command)->is_from);
}

/* Hook: what a command runs by itself is below it, as below a data-modifying statement. */
static void
NestedUtility(PlannedStmt *statement, const char *source, bool read_only,
			  ProcessUtilityContext context, ParamListInfo parameters,
			  QueryEnvironment *environment, DestReceiver *destination, QueryCompletion *completion)
{
	Nesting saved = Now;

	if (RunsTableCode(statement->utilityStmt))
		Now.around++;
	PG_TRY();
	{
		if (PreviousUtility)
			PreviousUtility(statement, source, read_only, context, parameters, environment,
							destination, completion);
		else
			standard_ProcessUtility(statement, source, read_only, context, parameters, environment,
									destination, completion);
	}
	PG_FINALLY();
	{
		Now = saved;
	}
	PG_END_TRY();
}

/* Is it code of a user that PostgreSQL, or a C function, could call unseen? */
static bool
IsUserCode(const FormData_pg_proc *form)
{
	switch (form->prolang)
	{
		case INTERNALlanguageId:
		case ClanguageId:
			return false;
		case SQLlanguageId:
			return !superuser_arg(form->proowner);
		default:
			return form->prokind != PROKIND_PROCEDURE; /* CALL is a statement of its own */
	}
}

/* Remember a function in C, which no role can make anything else. */
static void
RememberNative(Oid function)
{
	if (NativeGeneration != CatalogGeneration())
		memset(Native, 0, sizeof(Native));
	NativeGeneration = CatalogGeneration();
	Native[function % NATIVE_FUNCTIONS] = function;
}

/* Hook: must the function be called by way of fmgr_hook, and not be inlined? */
static bool
NeedsCall(Oid function)
{
	bool needs = PreviousNeeds && PreviousNeeds(function);
	HeapTuple tuple;

	if (needs || function < FirstNormalObjectId || !RegistryHasRelations())
		return needs;
	if (NativeGeneration == CatalogGeneration() && Native[function % NATIVE_FUNCTIONS] == function)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	needs = IsUserCode((Form_pg_proc) GETSTRUCT(tuple));
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId)
		RememberNative(function);
	ReleaseSysCache(tuple);
	return needs;
}

/*
 * Install the hooks.
 */
void
NestingInit(void)
{
	PreviousPlanner = planner_hook;
	planner_hook = NestedPlanner;
	PreviousStart = ExecutorStart_hook;
	ExecutorStart_hook = NestedStart;
	PreviousRun = ExecutorRun_hook;
	ExecutorRun_hook = NestedRun;
	PreviousFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = NestedFinish;
	PreviousUtility = ProcessUtility_hook;
	ProcessUtility_hook = NestedUtility;
	PreviousNeeds = needs_fmgr_hook;
	needs_fmgr_hook = NeedsCall;
}
