/*-------------------------------------------------------------------------
 * denial.c
 *		A statement that ends for want of a privilege leaves an event.
 *
 * The hook of error reports sees what a client is told: every error with
 * SQLSTATE 42501 (insufficient_privilege), PostgreSQL's own as well as ours,
 * in a database that has phi_guard.  The event is recorded before the client
 * is told, as far as that is possible soon; it says which message it was, as
 * the source has it, before names are filled in.  Rows that a policy hides are
 * no denials.
 *
 * The transaction has not been aborted yet.  An error in here would be
 * reported in place of the first, and is not looked at again.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "audit/denial.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/memutils.h"

/* The statement whose denial has an event. */
static TimestampTz Noted = 0;

/* An event is being made: an error in there is not another denial. */
static bool Noting = false;

static emit_log_hook_type NextEmitLog = NULL;

void
DenialNoted(void)
{
	Noted = GetCurrentStatementStartTimestamp();
}

/* Is it the end of a statement of a session, for want of a privilege? */
static bool
IsDenial(const ErrorData *error)
{
	return error->elevel == ERROR && error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE &&
		   !Noting && PhiPreloaded && IsUnderPostmaster && MyBackendType == B_BACKEND &&
		   IsTransactionState() && !RecoveryInProgress() &&
		   Noted != GetCurrentStatementStartTimestamp();
}

/* Hand the event over. */
static void
NoteDenial(const ErrorData *error)
{
	MemoryContext work;
	MemoryContext old;
	AuditEvent event = {0};
	EventRow row;
	MinimalTuple record;

	if (!ExtensionInstalled())
		return;
	work = AllocSetContextCreate(ErrorContext, "phi_guard denial", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(work);
	event.action = "statement";
	event.outcome = "denied";
	event.detail = error->message_id != NULL && strcmp(error->message_id, "%s") != 0
					   ? error->message_id
					   : "raised by a function";
	EventBegin(&row, GetCurrentTimestamp());
	EventFill(&row, &event);
	record = EventRecord(&row);
	if (DurableObstructed() ? QueuePutNow(record, record->t_len) : DurableTry(record))
		DenialNoted();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}

/* Hook: an error is about to be reported. */
static void
LookForDenial(ErrorData *error)
{
	if (IsDenial(error))
	{
		Noting = true;
		NoteDenial(error);
	}
	Noting = false;
	if (NextEmitLog)
		NextEmitLog(error);
}

void
DenialInit(void)
{
	NextEmitLog = emit_log_hook;
	emit_log_hook = LookForDenial;
}
