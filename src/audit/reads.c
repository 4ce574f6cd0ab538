/*-------------------------------------------------------------------------
 * reads.c
 *		Reading the audit log leaves an event, before anything is read.
 *
 * A query that names a table of the log, COPY of one, and the functions that
 * show its contents are recorded, by whomever.  What phi_guard reads itself,
 * as the extension's owner, is not.
 *
 * A superuser who has locked the log in this transaction has the event in the
 * transaction; on a standby, and where the log lacks a table, there is a line
 * in the server's log.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/parallel.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "audit/reads.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

/* Functions that show what the log holds. */
static const char *const ReadingFunctions[] = {
	"audit_verify",       "audit_verify_sql", "audit_export", "audit_consistency",
	"disclosures",        "access_report",    "audit_proof",  "accounting_of_disclosures",
	"export_audit_event",
};

/* Setting phi.audit_reads. */
static bool Enabled = true;

bool
ReadsLog(const char *function)
{
	int i;

	for (i = 0; i < lengthof(ReadingFunctions); i++)
	{
		if (strcmp(function, ReadingFunctions[i]) == 0)
			return true;
	}
	return false;
}

/* Does phi_guard itself ask? */
static bool
OursAlone(void)
{
	Oid user;
	int context;

	GetUserIdAndSecContext(&user, &context);
	return IsParallelWorker() || MyBackendType != B_BACKEND ||
		   ((context & SECURITY_LOCAL_USERID_CHANGE) != 0 && user == ExtensionOwner());
}

/*
 * Has the log every table?  Where a superuser has taken one away, it must be
 * readable for repair.
 */
static bool
LogComplete(void)
{
	static const char *const tables[] = {"event", "leaf", "checkpoint", "incarnation",
										 "event_id_seq"};
	Oid schema = get_namespace_oid(LOG_SCHEMA, true);
	int i;

	for (i = 0; i < lengthof(tables); i++)
	{
		if (!OidIsValid(schema) || !OidIsValid(get_relname_relid(tables[i], schema)))
			return false;
	}
	return LogArmed();
}

/* Leave the event. */
static void
Record(Oid relation, const char *detail)
{
	AuditEvent event = {0};

	event.action = "read_log";
	event.relation = relation;
	event.detail = detail;
	if (RecoveryInProgress() || !LogComplete())
		ereport(LOG,
				errmsg("phi_guard: the audit log is read by role \"%s\", and cannot be written",
					   GetUserNameFromId(GetSessionUserId(), false)),
				errhidestmt(true));
	else if (!DurableObstructed())
		AuditRecordDurably(&event);
	else if (!XactReadOnly)
		AuditAppend(&event);
	else
		DurableRequire();
}

/* Is it a table of the log? */
static bool
OfLog(Oid relation)
{
	return relation >= FirstNormalObjectId &&
		   get_rel_namespace(relation) == get_namespace_oid(LOG_SCHEMA, true);
}

void
ReadsNoteQuery(const QueryDesc *desc, int eflags)
{
	ListCell *cell;
	Index number = 0;

	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) || !Enabled || !IsUnderPostmaster ||
		!ExtensionInstalled())
		return;
	foreach (cell, desc->plannedstmt->rtable)
	{
		const RangeTblEntry *entry = lfirst(cell);

		number++;
		if (entry->rtekind != RTE_RELATION || !OfLog(entry->relid) ||
			list_member_int(desc->plannedstmt->resultRelations, number))
			continue;
		if (!OursAlone())
			Record(entry->relid, "query");
		return;
	}
}

void
ReadsNoteCopy(const CopyStmt *statement)
{
	Oid relation;

	if (statement->relation == NULL || statement->is_from || !Enabled || !IsUnderPostmaster ||
		!ExtensionInstalled())
		return;
	relation = RangeVarGetRelid(statement->relation, NoLock, true);
	if (OidIsValid(relation) && OfLog(relation) && !OursAlone())
		Record(relation, "COPY");
}

void
ReadsNoteFunction(const char *function)
{
	if (Enabled && IsUnderPostmaster && !OursAlone())
		Record(InvalidOid, psprintf("phi.%s", function));
}

void
ReadsInit(void)
{
	DefineCustomBoolVariable("phi.audit_reads", "Whether reading the audit log leaves an event.",
							 NULL, &Enabled, true, PGC_SUSET, 0, NULL, NULL, NULL);
}
