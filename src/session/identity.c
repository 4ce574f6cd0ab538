/*-------------------------------------------------------------------------
 * identity.c
 *		The SQL functions about the identity of the session, and the checks of
 *		an enrollment.
 *
 * No message shows what was given where that was not understood: people paste
 * anything.
 *-------------------------------------------------------------------------
 */
#include "session/context.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(phi_set_purpose);
PG_FUNCTION_INFO_V1(phi_logout);
PG_FUNCTION_INFO_V1(phi_whoami);
PG_FUNCTION_INFO_V1(phi_check_enrollment);

/* Codes of a set of purposes, joined by commas. */
static char *
PurposeList(uint64 purposes)
{
	StringInfoData list;

	initStringInfo(&list);
	for (phi_purpose purpose = 0; purpose < phi_purpose_count(); purpose++)
		if (purposes & PurposeBit(purpose))
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", phi_purpose_code(purpose));
	return list.data;
}

void
RequireOwnStatement(const char *function)
{
	if (ImplicitCodeRunning())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("%s cannot be used in a trigger, nor in a function that a "
							   "data-modifying statement calls",
							   function),
						errhint("Only a statement of the session's own says who it is.")));
}

/*
 * phi.set_purpose(code text): choose the purpose of what follows.  An error
 * for a code that is unknown or not allowed, and for a session without an
 * identity.
 */
Datum
phi_set_purpose(PG_FUNCTION_ARGS)
{
	text *code = PG_GETARG_TEXT_PP(0);
	phi_purpose purpose = phi_purpose_find(VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code));
	const SessionContext *session;
	ContextEntry entry;

	RequirePreload();
	RequireOwnStatement("phi.set_purpose");
	session = SessionCurrent();
	if (!session->identified)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("the session has no identity to state a purpose for"),
						errhint("Log in with phi.login(), or have a security officer enroll the "
								"login role with phi.enroll().")));
	if (purpose == PHI_PURPOSE_NONE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown purpose of use"),
						errhint("Allowed purposes: %s.", PurposeList(session->allowed_purposes))));
	if (!SessionAllows(session, purpose))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("purpose \"%s\" is not allowed", phi_purpose_code(purpose)),
						errhint("Allowed purposes: %s.", PurposeList(session->allowed_purposes))));
	ContextOfSession(&entry);
	entry.purpose = purpose;
	ContextSet(&entry);
	PG_RETURN_VOID();
}

/*
 * phi.logout(): forget what the session has stated.
 */
Datum
phi_logout(PG_FUNCTION_ARGS)
{
	RequirePreload();
	ContextSet(NULL);
	PG_RETURN_VOID();
}

/* Names as text[]. */
static Datum
NameArray(const char (*names)[SESSION_NAME_SIZE], int count)
{
	Datum elements[Max(SESSION_MAX_ROLES, SESSION_MAX_GROUPS)];

	for (int i = 0; i < count; i++)
		elements[i] = CStringGetTextDatum(names[i]);
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The allowed purposes as text[]. */
static Datum
PurposeArray(const SessionContext *session)
{
	Datum elements[64];
	int count = 0;

	for (phi_purpose purpose = 0; purpose < phi_purpose_count(); purpose++)
		if (session->allowed_purposes & PurposeBit(purpose))
			elements[count++] = CStringGetTextDatum(phi_purpose_code(purpose));
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Columns of phi.whoami(), by position. */
enum WhoColumn
{
	WHO_IDENTIFIED,
	WHO_ACTOR,
	WHO_ORGANIZATION,
	WHO_ROLES,
	WHO_PURPOSE,
	WHO_ALLOWED,
	WHO_SOURCE,
	WHO_GROUPS,
	WHO_TOKEN_ID,
	WHO_EXPIRES_AT,
	WHO_STEP_UP_AT,
	WHO_STEP_UP_FRESH,
	WHO_COLUMNS
};

/* What is known of a session that has an identity. */
static void
FillWho(const SessionContext *session, Datum *values, bool *nulls)
{
	memset(nulls, 0, WHO_COLUMNS * sizeof(bool));
	nulls[WHO_ORGANIZATION] = session->organization[0] == '\0';
	nulls[WHO_PURPOSE] = !session->purpose_stated;
	nulls[WHO_TOKEN_ID] = session->token_id[0] == '\0';
	nulls[WHO_EXPIRES_AT] = session->expires_at == 0;
	nulls[WHO_STEP_UP_AT] = session->step_up_at == 0;
	values[WHO_ACTOR] = CStringGetTextDatum(session->actor);
	values[WHO_ORGANIZATION] = CStringGetTextDatum(session->organization);
	values[WHO_ROLES] = NameArray(session->roles, session->role_count);
	if (session->purpose_stated)
		values[WHO_PURPOSE] = CStringGetTextDatum(phi_purpose_code(session->purpose));
	values[WHO_ALLOWED] = PurposeArray(session);
	values[WHO_GROUPS] = NameArray(session->groups, session->group_count);
	values[WHO_TOKEN_ID] = CStringGetTextDatum(session->token_id);
	values[WHO_EXPIRES_AT] = TimestampTzGetDatum(session->expires_at);
	values[WHO_STEP_UP_AT] = TimestampTzGetDatum(session->step_up_at);
	values[WHO_STEP_UP_FRESH] = BoolGetDatum(session->step_up_fresh);
}

/*
 * phi.whoami(): one row about the session, whether identified or not.
 */
Datum
phi_whoami(PG_FUNCTION_ARGS)
{
	static const char *const sources[] = {"none", "enrollment", "token"};
	const SessionContext *session;
	TupleDesc desc;
	Datum values[WHO_COLUMNS] = {0};
	bool nulls[WHO_COLUMNS];

	RequirePreload();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != WHO_COLUMNS)
		elog(ERROR, "unexpected row type of phi.whoami");
	session = SessionCurrent();
	memset(nulls, true, sizeof(nulls));
	if (session->identified)
		FillWho(session, values, nulls);
	values[WHO_IDENTIFIED] = BoolGetDatum(session->identified);
	values[WHO_SOURCE] = CStringGetTextDatum(sources[session->source]);
	nulls[WHO_IDENTIFIED] = nulls[WHO_SOURCE] = false;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* Raise for a name that is empty or too long; what completes the message. */
static void
CheckName(text *name, const char *what)
{
	if (strspn(text_to_cstring(name), " \t\n\r") == VARSIZE_ANY_EXHDR(name))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must not be empty", what)));
	if (VARSIZE_ANY_EXHDR(name) >= SESSION_NAME_SIZE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s is too long", what),
						errdetail("The limit is %d bytes.", SESSION_NAME_SIZE - 1)));
}

/* The elements of a text[] without nulls, at least one. */
static int
CheckedElements(Datum array, const char *what, Datum **elements)
{
	bool *nulls;
	int count;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, elements, &nulls,
					  &count);
	if (count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must not be empty", what)));
	for (int i = 0; i < count; i++)
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("%s must not contain null", what)));
	return count;
}

/* Raise unless every element is a purpose that can be allowed. */
static void
CheckPurposes(Datum array)
{
	Datum *elements;
	int count = CheckedElements(array, "the list of purposes", &elements);

	for (int i = 0; i < count; i++)
	{
		text *code = DatumGetTextPP(elements[i]);
		phi_purpose purpose = phi_purpose_find(VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code));

		if (purpose == PHI_PURPOSE_NONE)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("element %d of the purposes is not a purpose of use", i + 1),
							errhint("Purposes are HL7 codes such as TREAT, HPAYMT or HRESCH.")));
		if (purpose == 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("purpose \"%s\" stands for every purpose and cannot be allowed",
								   phi_purpose_code(purpose))));
	}
}

/*
 * phi.check_enrollment(db_role, actor, workforce_roles, purposes, organization):
 * raise for what phi.enroll must not store.  Only organization may be null.
 */
Datum
phi_check_enrollment(PG_FUNCTION_ARGS)
{
	Datum *roles;
	int count;

	RequirePreload();
	for (int i = 0; i < 4; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("login role, actor, workforce roles and purposes must not be null")));
	if (!GetUserNameFromId(PG_GETARG_OID(0), true))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("role with OID %u does not exist", PG_GETARG_OID(0))));
	CheckName(PG_GETARG_TEXT_PP(1), "the actor");
	count = CheckedElements(PG_GETARG_DATUM(2), "the list of workforce roles", &roles);
	if (count > SESSION_MAX_ROLES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("too many workforce roles"),
				 errdetail("The limit is %d.", SESSION_MAX_ROLES)));
	for (int i = 0; i < count; i++)
		CheckName(DatumGetTextPP(roles[i]), "a workforce role");
	CheckPurposes(PG_GETARG_DATUM(3));
	if (!PG_ARGISNULL(4))
		CheckName(PG_GETARG_TEXT_PP(4), "the organization");
	PG_RETURN_VOID();
}
