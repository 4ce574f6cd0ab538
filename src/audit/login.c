/*-------------------------------------------------------------------------
 * login.c
 *		Logins and step-ups in the audit log.
 *
 * One that succeeds is an event of its transaction.  One that fails ends in an
 * error, which would take such an event along, and one in a READ ONLY
 * transaction cannot be written there: the audit worker records those.  Where
 * it cannot, as on a standby, they are lines of the server's log, with the cause
 * as one word.
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
	AuditEvent event = {.action = action, .outcome = failure ? "denied" : "success", .reason = failure};

	if (!failure && !XactReadOnly && !RecoveryInProgress())
		AuditAppend(&event);
	else if (!AuditNoteDurably(&event))
		ereport(LOG, (errmsg("%s %s", action, failure ? "failed" : "succeeded"),
					  failure ? errdetail_log("Cause: %s.", failure) : 0, errhidestmt(true),
					  errhidecontext(true)));
}

void
LoginAuditInit(void)
{
	SessionEvent = RecordSessionEvent;
}
