/*-------------------------------------------------------------------------
 * nesting.c
 *		Does code run that nobody called: a trigger, or what a data-modifying
 *		statement runs by itself?
 *
 * Triggers, constraints, index expressions and defaults of a table are its
 * owner's code, and run in the session of whoever writes to the table.  Such
 * code must not have values revealed.  A trigger shows in PostgreSQL's trigger
 * depth; the rest runs queries of its own below a data-modifying one, which
 * the executor hooks count.  A level is popped by the error path too.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "executor/executor.h"
#include "utils/fmgrprotos.h"

static ExecutorRun_hook_type PreviousRun = NULL;
static ExecutorFinish_hook_type PreviousFinish = NULL;

/* Data-modifying levels around the innermost one, and whether that one is too. */
static int ModifyingAround = 0;
static bool ModifyingHere = false;

/* Does the statement write? */
static bool
Modifies(const QueryDesc *desc)
{
	return desc->operation != CMD_SELECT || desc->plannedstmt->hasModifyingCTE;
}

int
ModifyingStatementsAround(void)
{
	return ModifyingAround;
}

bool
ImplicitCodeRunning(void)
{
	return ModifyingAround > 0 || DatumGetInt32(pg_trigger_depth(NULL)) > 0;
}

/* Hook: one level more while the statement runs. */
static void
NestedRun(EXECUTOR_RUN_ARGS)
{
	int around = ModifyingAround;
	bool here = ModifyingHere;

	ModifyingAround += here ? 1 : 0;
	ModifyingHere = Modifies(desc);
	PG_TRY();
	{
		if (PreviousRun)
			PreviousRun(EXECUTOR_RUN_FORWARD);
		else
			standard_ExecutorRun(EXECUTOR_RUN_FORWARD);
	}
	PG_FINALLY();
	{
		ModifyingAround = around;
		ModifyingHere = here;
	}
	PG_END_TRY();
}

/* Hook: AFTER triggers run here. */
static void
NestedFinish(QueryDesc *desc)
{
	int around = ModifyingAround;
	bool here = ModifyingHere;

	ModifyingAround += here ? 1 : 0;
	ModifyingHere = Modifies(desc);
	PG_TRY();
	{
		if (PreviousFinish)
			PreviousFinish(desc);
		else
			standard_ExecutorFinish(desc);
	}
	PG_FINALLY();
	{
		ModifyingAround = around;
		ModifyingHere = here;
	}
	PG_END_TRY();
}

/*
 * Install the hooks.
 */
void
NestingInit(void)
{
	PreviousRun = ExecutorRun_hook;
	ExecutorRun_hook = NestedRun;
	PreviousFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = NestedFinish;
}
