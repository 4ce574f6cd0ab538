/*-------------------------------------------------------------------------
 * errors.c
 *		The only translation of a core status to a PostgreSQL error.
 *
 * No message here or anywhere shows a value, a key or ciphertext.  All causes
 * of a value that does not open share one message and one SQLSTATE.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "access/xact.h"
#include "miscadmin.h"

bool PhiPreloaded = false;

/* When the last statement that handled a plain value began. */
static TimestampTz SensitiveStatement = 0;
static emit_log_hook_type PreviousEmitLog = NULL;

PG_FUNCTION_INFO_V1(phi_require_preload);

/*
 * The SQLSTATE of a core status.
 */
static int
StatusErrcode(phi_status status)
{
	switch (status)
	{
		case PHI_ERR_AUTH:
		case PHI_ERR_FORMAT:
		case PHI_ERR_VERSION:
			return ERRCODE_DATA_CORRUPTED;
		case PHI_ERR_SPACE:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		default:
			return ERRCODE_INTERNAL_ERROR;
	}
}

/*
 * Raise status as an error; action completes "could not <action>".
 */
void
ReportStatus(phi_status status, const char *action)
{
	int code = StatusErrcode(status);

	HideValueContext();
	if (code == ERRCODE_DATA_CORRUPTED)
		ereport(ERROR, (errcode(code), errmsg("could not %s", action),
						errhint("The value was altered or moved, or is sealed under another key."),
						errhidestmt(true)));
	ereport(ERROR, (errcode(code), errmsg("could not %s", action),
					errdetail_internal("%s", phi_status_text(status)), errhidestmt(true)));
}

/*
 * Raise unless the library was loaded by shared_preload_libraries: without it
 * the hooks that hold the promises are not in every session.
 */
void
RequirePreload(void)
{
	if (unlikely(!PhiPreloaded))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("phi_guard is not loaded by shared_preload_libraries"),
				 errhint("Add phi_guard to shared_preload_libraries and restart the server.")));
}

/*
 * Drop the error context callbacks: the error that follows unwinds to a
 * handler that puts its own stack back.
 */
void
HideValueContext(void)
{
	error_context_stack = NULL;
}

/*
 * Remember that the current statement handles plain values: whatever error it
 * ends with, ours or PostgreSQL's, its text is then kept out of the log.
 */
void
NoteSensitiveStatement(void)
{
	SensitiveStatement = GetCurrentStatementStartTimestamp();
}

/* Hook: a message is about to be logged, with the statement below it. */
static void
HideSensitiveStatement(ErrorData *edata)
{
	if (SensitiveStatement != 0 && SensitiveStatement == GetCurrentStatementStartTimestamp())
	{
		edata->hide_stmt = true;
		edata->hide_ctx = true; /* quotes the statements of functions and blocks */
	}
	if (PreviousEmitLog)
		PreviousEmitLog(edata);
}

void
ErrorsInit(void)
{
	PreviousEmitLog = emit_log_hook;
	emit_log_hook = HideSensitiveStatement;
}

/*
 * phi.require_preload(): RequirePreload for SQL.
 */
Datum
phi_require_preload(PG_FUNCTION_ARGS)
{
	RequirePreload();
	PG_RETURN_VOID();
}
