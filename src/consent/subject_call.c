/*-------------------------------------------------------------------------
 * subject_call.c
 *		SQL functions that take a subject of any key type.
 *
 * PL/pgSQL takes no argument of type "any".  Such a function is declared over
 * one of the C functions here, which turn the subject into its token and its
 * key as text and call the function that does the work, as the extension's
 * owner: phi.f("any", ...) calls phi.f_subject(bigint, text, ...).  Nobody
 * holds EXECUTE on the inner one.  Reasons are free text, so the statement is
 * kept out of the log.
 *-------------------------------------------------------------------------
 */
#include "consent/relations.h"
#include "consent/verdict.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "session/session.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(phi_for_subject);
PG_FUNCTION_INFO_V1(phi_for_subject_by_officer);
PG_FUNCTION_INFO_V1(phi_end_relation);
PG_FUNCTION_INFO_V1(phi_session_references);
PG_FUNCTION_INFO_V1(phi_session_asks_for);
PG_FUNCTION_INFO_V1(phi_session_may);
PG_FUNCTION_INFO_V1(phi_session_is);

char *
SubjectKeyOfArgument(FunctionCallInfo fcinfo, int argument, uint64 *token)
{
	Oid type = SubjectArgumentType(fcinfo, argument);
	StringInfoData key;

	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the subject must not be null")));
	initStringInfo(&key);
	KeyTextAppend(&key, PG_GETARG_DATUM(argument), type);
	*token = SubjectTokenOfText(key.data, key.len);
	return pg_any_to_server(key.data, key.len, PG_UTF8);
}

/*
 * Raise where nobody called: a table owner's trigger would otherwise break the
 * glass, or give a consent, in the name of whoever writes to the table.
 */
static void
RefuseInImplicitCode(void)
{
	if (ImplicitCodeRunning())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("relations and consents cannot be changed in a trigger, nor in a "
							   "function that a data-modifying statement calls"),
						errhint("Call the function in a statement of its own.")));
}

/* Does the caller hold the privacy_officer duty? */
static bool
CallerIsOfficer(void)
{
	return RoleMayExecute(PhiFunction("review_break_glass", 3), GetUserId());
}

/* Call the inner function with the leading arguments and the caller's own from argument first on. */
static Datum
CallInner(FunctionCallInfo fcinfo, const char *name, const Datum *leading, int leading_count,
		  int first)
{
	LOCAL_FCINFO(call, FUNC_MAX_ARGS);
	int count = leading_count + PG_NARGS() - first;
	FmgrInfo function;
	OwnerScope scope;
	Datum result;

	fmgr_info(PhiFunction(name, count), &function);
	InitFunctionCallInfoData(*call, &function, count, PG_GET_COLLATION(), NULL, NULL);
	for (int i = 0; i < count; i++)
	{
		call->args[i].value =
			i < leading_count ? leading[i] : PG_GETARG_DATUM(first + i - leading_count);
		call->args[i].isnull = i >= leading_count && PG_ARGISNULL(first + i - leading_count);
	}
	OwnerBegin(&scope);
	result = FunctionCallInvoke(call);
	OwnerEnd(&scope);
	fcinfo->isnull = call->isnull;
	return result;
}

/* Call the inner function of this one for its subject, telling who calls if asked to. */
static Datum
CallForSubject(FunctionCallInfo fcinfo, bool tell)
{
	char *name = psprintf("%s_subject", get_func_name(fcinfo->flinfo->fn_oid));
	Datum leading[3];
	uint64 token;
	char *subject;

	RequirePreload();
	RefuseInImplicitCode();
	NoteSensitiveStatement();
	subject = SubjectKeyOfArgument(fcinfo, 0, &token);
	leading[0] = Int64GetDatum((int64) token);
	leading[1] = CStringGetTextDatum(subject);
	leading[2] = BoolGetDatum(tell && CallerIsOfficer());
	return CallInner(fcinfo, name, leading, tell ? 3 : 2, 1);
}

/* A function f over phi.f_subject(token, subject, ...). */
Datum
phi_for_subject(PG_FUNCTION_ARGS)
{
	return CallForSubject(fcinfo, false);
}

/* A function f over phi.f_subject(token, subject, officer, ...). */
Datum
phi_for_subject_by_officer(PG_FUNCTION_ARGS)
{
	return CallForSubject(fcinfo, true);
}

/* phi.end_relation(id) over phi.end_relation_of(officer, id). */
Datum
phi_end_relation(PG_FUNCTION_ARGS)
{
	Datum officer;

	RequirePreload();
	RefuseInImplicitCode();
	officer = BoolGetDatum(CallerIsOfficer());
	return CallInner(fcinfo, "end_relation_of", &officer, 1, 0);
}

/*
 * phi.session_references(): the references of the session as bigint[].
 * Internal: no role holds EXECUTE.
 */
Datum
phi_session_references(PG_FUNCTION_ARGS)
{
	uint64 references[SESSION_MAX_REFERENCES];
	Datum elements[SESSION_MAX_REFERENCES];
	int count;

	RequirePreload();
	count = SessionReferences(references);
	for (int i = 0; i < count; i++)
		elements[i] = Int64GetDatum((int64) references[i]);
	PG_RETURN_ARRAYTYPE_P(
		construct_array(elements, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * phi.session_asks_for(purpose): is the purpose of the session this one, or
 * below it?  Internal: no role holds EXECUTE.
 */
Datum
phi_session_asks_for(PG_FUNCTION_ARGS)
{
	text *code = PG_GETARG_TEXT_PP(0);
	phi_purpose purpose = phi_purpose_find(VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code));
	const SessionContext *session;

	RequirePreload();
	session = SessionCurrent();
	PG_RETURN_BOOL(session->identified && session->purpose_stated && purpose != PHI_PURPOSE_NONE &&
				   phi_purpose_is_a(session->purpose, purpose));
}

/* Is there a row of phi.action_right for the role and the action? */
static bool
RoleHasRight(Relation rel, const char *role, const char *action)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool found;

	/* The columns' collation is "C", which is the one that ScanKeyInit sets. */
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(role));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(action));
	scan = systable_beginscan(rel, PhiRelation("action_right_pkey"), true, NULL, 2, keys);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	return found;
}

/*
 * phi.session_may(action): has one of the session's workforce roles the right
 * to an action?  Read with a catalog snapshot, so that a right that was taken
 * away is gone in REPEATABLE READ too.  Internal: no role holds EXECUTE.
 */
Datum
phi_session_may(PG_FUNCTION_ARGS)
{
	char *action = text_to_cstring(PG_GETARG_TEXT_PP(0));
	SessionContext session;
	bool may = false;
	Relation rel;

	RequirePreload();
	session = *SessionCurrent();
	rel = table_open(PhiRelation("action_right"), AccessShareLock);
	for (int i = 0; session.identified && !may && i < session.role_count; i++)
		may = RoleHasRight(rel, session.roles[i], action);
	table_close(rel, AccessShareLock);
	PG_RETURN_BOOL(may);
}

/*
 * phi.session_is(subject_token, power): is the session the subject, or a proxy
 * of it with the power to read or to consent?  Read with a catalog snapshot,
 * as above.  Internal: no role holds EXECUTE.
 */
Datum
phi_session_is(PG_FUNCTION_ARGS)
{
	uint64 token = (uint64) PG_GETARG_INT64(0);
	char *power = text_to_cstring(PG_GETARG_TEXT_PP(1));
	RelationKind proxy = strcmp(power, "consent") == 0 ? RELATION_CONSENT_PROXY : RELATION_PROXY;
	TimestampTz until = DT_NOEND;
	Asker asker;
	int64 id;

	RequirePreload();
	RefuseInImplicitCode();
	SessionAsker(&asker);
	PG_RETURN_BOOL(RelationRead(RELATION_SELF, &asker, token, &until, &id) ||
				   RelationRead(proxy, &asker, token, &until, &id));
}
