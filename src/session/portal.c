/*-------------------------------------------------------------------------
 * portal.c
 *		A query on a protected relation runs for one identity and purpose.
 *
 * A cursor may be opened by one identity and fetched from by the next, and
 * may have sorted revealed values by then.  So a query that reads a protected
 * relation, or calls a function that may, is remembered when it starts, with who started it and why; it
 * refuses to run on under another identity or purpose.
 *
 * EXPLAIN ANALYZE on a protected relation takes the security_officer duty.
 *
 * The memory of a query that is never ended (an error) goes with the
 * transaction, in which every such query lives.
 *-------------------------------------------------------------------------
 */
#include "session/session.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "platform/registry.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

typedef struct OpenQuery
{
	QueryDesc *desc;
	Oid user;
	uint64 serial;
	phi_purpose purpose;
} OpenQuery;

/* The queries that run; made by the first one, and kept while every query ends by itself. */
static HTAB *OpenQueries = NULL;
static ExecutorStart_hook_type PreviousStart = NULL;
static ExecutorRun_hook_type PreviousRun = NULL;
static ExecutorEnd_hook_type PreviousEnd = NULL;

/* Does the plan call a function of somebody's own, or ours?  It may read and reveal. */
static bool
CallsFunction(const PlannedStmt *plan)
{
	ListCell *cell;

	foreach (cell, plan->invalItems)
		if (((PlanInvalItem *) lfirst(cell))->cacheId == PROCOID)
			return true;
	return false;
}

/* Does the plan read a protected relation itself? */
static bool
ReadsProtected(const PlannedStmt *plan)
{
	ListCell *cell;

	foreach (cell, plan->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		if (rte->rtekind == RTE_RELATION && RegistryRelation(rte->relid) != NULL)
			return true;
	}
	return false;
}

/* Who asks now, and why. */
static void
FillCurrent(OpenQuery *query)
{
	const SessionContext *session = SessionCurrent();

	query->user = GetSessionUserId();
	query->serial = session->serial;
	query->purpose = session->purpose;
}

/*
 * Raise when row counts of plan nodes are asked for: EXPLAIN ANALYZE would tell
 * how many rows the access policy removed, and so who exists.
 */
static void
RefuseInstrumentation(const QueryDesc *desc)
{
	if (desc->instrument_options == 0 || superuser() ||
		RoleMayExecute(PhiFunction("refresh_view", 2), GetUserId()))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to analyze the execution of a query on a protected table"),
			 errhint("Use EXPLAIN without ANALYZE, or have the security_officer duty granted.")));
}

/* Hook: remember a query that reads a protected relation. */
static void
StartQuery(QueryDesc *desc, int eflags)
{
	bool counts = !(eflags & EXEC_FLAG_EXPLAIN_ONLY) &&
				  desc->plannedstmt->commandType != CMD_UTILITY && RegistryHasRelations();
	bool reads = counts && ReadsProtected(desc->plannedstmt);

	if (reads)
	{
		NoteSensitiveStatement();
		RefuseInstrumentation(desc);
	}
	if (reads || (counts && CallsFunction(desc->plannedstmt)))
	{
		HASHCTL control = {0};

		control.keysize = sizeof(QueryDesc *);
		control.entrysize = sizeof(OpenQuery);
		if (!OpenQueries)
			OpenQueries =
				hash_create("phi_guard open queries", 16, &control, HASH_ELEM | HASH_BLOBS);
		/* What others have committed by now counts from the start. */
		if (!IsParallelWorker())
			AcceptInvalidationMessages();
		SessionRequireUnexpired();
		FillCurrent(hash_search(OpenQueries, &desc, HASH_ENTER, NULL));
	}
	if (PreviousStart)
		PreviousStart(desc, eflags);
	else
		standard_ExecutorStart(desc, eflags);
}

/* Hook: refuse to run on for somebody else. */
static void
RunQuery(EXECUTOR_RUN_ARGS)
{
	OpenQuery *query = OpenQueries ? hash_search(OpenQueries, &desc, HASH_FIND, NULL) : NULL;
	OpenQuery now;

	if (query)
	{
		SessionRequireUnexpired();
		FillCurrent(&now);
		if (now.user != query->user || now.serial != query->serial || now.purpose != query->purpose)
			ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
							errmsg("query was started under another identity or purpose"),
							errhint("Close the cursor and open it again.")));
	}
	if (PreviousRun)
		PreviousRun(EXECUTOR_RUN_FORWARD);
	else
		standard_ExecutorRun(EXECUTOR_RUN_FORWARD);
}

/* Hook: the query is over. */
static void
EndQuery(QueryDesc *desc)
{
	if (OpenQueries)
		(void) hash_search(OpenQueries, &desc, HASH_REMOVE, NULL);
	if (PreviousEnd)
		PreviousEnd(desc);
	else
		standard_ExecutorEnd(desc);
}

/* Nothing outlives the transaction. */
static void
ForgetQueries(XactEvent event, void *arg)
{
	if (!OpenQueries || hash_get_num_entries(OpenQueries) == 0 ||
		(event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE))
		return;
	hash_destroy(OpenQueries);
	OpenQueries = NULL;
}

/*
 * Install the hooks.
 */
void
PortalInit(void)
{
	PreviousStart = ExecutorStart_hook;
	ExecutorStart_hook = StartQuery;
	PreviousRun = ExecutorRun_hook;
	ExecutorRun_hook = RunQuery;
	PreviousEnd = ExecutorEnd_hook;
	ExecutorEnd_hook = EndQuery;
	RegisterXactCallback(ForgetQueries, NULL);
}
