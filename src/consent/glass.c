/*-------------------------------------------------------------------------
 * glass.c
 *		Breaking the glass: its settings, who may, and the event of it.
 *
 * The event is durable before the transaction that broke the glass can commit,
 * and access begins with that commit (relation_read.c); the commit is
 * synchronous, so that a crash does not lose the review of what was seen.
 *-------------------------------------------------------------------------
 */
#include "consent/verdict.h"

#include "access/xact.h"
#include "audit/audit.h"
#include "session/context.h"
#include "utils/builtins.h"
#include "utils/guc.h"

PG_FUNCTION_INFO_V1(phi_glass_obstacle);
PG_FUNCTION_INFO_V1(phi_glass_record);

/* phi.break_glass_ttl in minutes, and phi.break_glass_step_up. */
static int TimeToLive = 240;
static bool StepUpNeeded = true;

void
GlassInit(void)
{
	DefineCustomIntVariable("phi.break_glass_ttl", "Time for which broken glass stays open.", NULL,
							&TimeToLive, 240, 1, 24 * 60, PGC_SUSET, GUC_UNIT_MIN, NULL, NULL,
							NULL);
	DefineCustomBoolVariable("phi.break_glass_step_up", "Breaking the glass takes a fresh step-up.",
							 NULL, &StepUpNeeded, true, PGC_SUSET, 0, NULL, NULL, NULL);
}

/* What keeps the session's identity from breaking the glass, or NULL. */
static const char *
GlassObstacle(void)
{
	const SessionContext *session = SessionCurrent();

	if (!session->identified)
		return "no_identity";
	if (!SessionAllows(session, phi_purpose_break_glass()))
		return "no_purpose";
	if ((StepUpNeeded && !session->step_up_fresh) || StepUpMissing(STEP_UP_BREAK_GLASS))
		return "step_up_required";
	return NULL;
}

/*
 * phi.glass_obstacle(): null, or the code of what is missing.  Internal: no
 * role holds EXECUTE.
 */
Datum
phi_glass_obstacle(PG_FUNCTION_ARGS)
{
	const char *obstacle;

	RequirePreload();
	obstacle = GlassObstacle();
	if (!obstacle)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(obstacle));
}

/*
 * phi.glass_record(action, subject_token, glass, denied): the event of glass
 * that was broken, or, with a code in denied, of what was not allowed.
 * Internal: no role holds EXECUTE.
 */
Datum
phi_glass_record(PG_FUNCTION_ARGS)
{
	uint64 token = PG_ARGISNULL(1) ? 0 : (uint64) PG_GETARG_INT64(1);
	AuditEvent event = {0};

	RequirePreload();
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the action must not be null")));
	event.action = text_to_cstring(PG_GETARG_TEXT_PP(0));
	event.outcome = PG_ARGISNULL(3) ? "success" : "denied";
	event.relation = PhiRelation("glass");
	event.reason = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	event.row_count = 1;
	event.subjects = &token;
	event.break_glass_id = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT64(2);
	if (PG_ARGISNULL(3))
	{
		AuditRecordDurably(&event);
		ForceSyncCommit();
	}
	else
		(void) AuditNoteDurably(&event);
	PG_RETURN_VOID();
}
