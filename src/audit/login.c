/*-------------------------------------------------------------------------
 * login.c
 *		Logins and step-ups in the audit log.
 *
 * One that succeeds is an event of its transaction.  One that fails ends in an
 * error, which would take such an event along, and one in a READ ONLY
 * transaction or on a standby cannot be written: those are lines of the
 * server's log, with the cause as one word.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "session/session.h"

/* Called by the session folder. */
static void
RecordSessionEvent(const char *action, const char *failure)
{
	AuditEvent event = {.action = action, .outcome = "success"};

	if (!failure && !XactReadOnly && !RecoveryInProgress())
		AuditAppend(&event);
	else
		ereport(LOG, (errmsg("%s %s", action, failure ? "failed" : "succeeded"),
					  failure ? errdetail_log("Cause: %s.", failure) : 0, errhidestmt(true),
					  errhidecontext(true)));
}

void
LoginAuditInit(void)
{
	SessionEvent = RecordSessionEvent;
}
