/*-------------------------------------------------------------------------
 * invalidate.c
 *		One relcache callback for all of phi_guard.
 *
 * A process has ten, which PostgreSQL itself, other extensions and a worker
 * of a subscription register, too; the eleventh ends the process.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "miscadmin.h"
#include "utils/inval.h"

#define FUNCTIONS 16

/* The functions to call, in the order of their registration; filled by _PG_init. */
static RelcacheCallbackFunction Functions[FUNCTIONS];
static int FunctionCount = 0;

/* The callback. */
static void
CallAll(Datum arg, Oid relation)
{
	int i;

	for (i = 0; i < FunctionCount; i++)
		Functions[i](arg, relation);
}

void
OnRelationChange(RelcacheCallbackFunction function)
{
	if (FunctionCount == FUNCTIONS)
		elog(FATAL, "too many functions for invalidated relations");
	if (FunctionCount == 0)
		CacheRegisterRelcacheCallback(CallAll, (Datum) 0);
	Functions[FunctionCount++] = function;
}
