/*-------------------------------------------------------------------------
 * permitted.c
 *		phi.permitted_subjects(): the subjects that a session may see, for an
 *		index.
 *
 * Where subjects without a consent are not seen, those who are can be listed:
 * they are the ones whose consents permit.  The planner then has the index of
 * the subject column look them up (support.c).  The list is made when the query
 * runs, for the session that runs it, and may hold too many: the row predicate
 * looks at every row all the same.
 *
 * A plan may outlive its session, and come to one whose subjects are no such
 * list.  Its function then finds them in the table, which is slow and right,
 * and plans like it are forgotten.  They also are when a statement leaves the
 * session another than it was.
 *
 * Only the planner can call the function: the mark among its arguments has no
 * form in SQL.
 *
 * Memory: the last list, in a context below CacheMemoryContext, until a
 * decision may have changed.
 *-------------------------------------------------------------------------
 */
#include "consent/permitted.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "session/session.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(phi_permitted_subjects);
PG_FUNCTION_INFO_V1(phi_planner_mark_in);
PG_FUNCTION_INFO_V1(phi_planner_mark_out);

/* The last list, and what it holds for. */
typedef struct PermittedList
{
	MemoryContext context;
	uint64 version; /* of the verdicts */
	Oid type;
	Datum array; /* 0: there is none */
} PermittedList;

static PermittedList Last;

/* Are subjects being found in the table?  Then not by this function again. */
static bool Enumerating = false;

/* Was a plan made that calls the function, and for which session? */
static bool PlanMade = false;
static uint64 PlanTick;
static Oid PlanUser;

/*
 * Input of phi.planner_mark: nobody writes one.
 */
Datum
phi_planner_mark_in(PG_FUNCTION_ARGS)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("a value of type phi.planner_mark cannot be written")));
}

/*
 * Output of phi.planner_mark: says nothing.
 */
Datum
phi_planner_mark_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(pstrdup("row"));
}

Oid
SubjectListElement(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case TEXTOID:
		case UUIDOID:
			return type;
		case VARCHAROID:
			return TEXTOID;
		default:
			return InvalidOid;
	}
}

/* Do consents alone say whom the session sees?  Not where relationships and proxies do. */
static bool
ConsentsDecide(void)
{
	const SessionContext *session = SessionCurrent();

	return !DefaultPermits() && !SessionNeedsCare() &&
		   !phi_purpose_is_a(session->purpose, phi_purpose_patient_request()) &&
		   !phi_purpose_is_a(session->purpose, phi_purpose_break_glass());
}

double
PermittedCount(void)
{
	double denied;
	double permitted;

	if (Enumerating || SessionRuleKinds() == 0 || !ConsentsDecide() ||
		!VerdictsAtHand(&denied, &permitted))
		return -1;
	return permitted;
}

void
PermittedNotePlan(void)
{
	PlanMade = true;
	PlanTick = SessionTick;
	PlanUser = GetSessionUserId();
}

/* Have cached plans that call the function made again. */
static void
ForgetPlans(void)
{
	Oid function = PhiFunction("permitted_subjects", 3);

	PlanMade = false;
	CallSyscacheCallbacks(PROCOID, GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(function)));
}

void
PermittedRenewPlans(void)
{
	if (PlanMade && (PlanTick != SessionTick || PlanUser != GetSessionUserId()))
		ForgetPlans();
}

/* The subject key of a canonical text; false when the type has none that reads so. */
static bool
KeyOfText(const char *text, Oid type, Datum *key)
{
	char *end;
	long long number;

	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			errno = 0;
			number = strtoll(text, &end, 10);
			if (errno != 0 || end == text || *end != '\0' || strcmp(psprintf("%lld", number), text) != 0)
				return false;
			if ((type == INT2OID && number != (int16) number) ||
				(type == INT4OID && number != (int32) number))
				return false;
			*key = type == INT2OID	 ? Int16GetDatum((int16) number)
				   : type == INT4OID ? Int32GetDatum((int32) number)
									 : Int64GetDatum(number);
			return true;
		case UUIDOID:
			if (strlen(text) != 36 || strspn(text, "0123456789abcdef-") != 36 || text[8] != '-' ||
				text[13] != '-' || text[18] != '-' || text[23] != '-')
				return false;
			for (int i = 0; i < 36; i++)
				if (text[i] == '-' && i != 8 && i != 13 && i != 18 && i != 23)
					return false;
			*key = DirectFunctionCall1(uuid_in, CStringGetDatum(text));
			return true;
		default:
			*key = CStringGetTextDatum(text);
			return true;
	}
}

/* What CollectKey() collects. */
typedef struct KeyList
{
	Oid type;
	ArrayBuildState *keys;
	bool complete; /* no subject is without its key */
} KeyList;

/* Add the key of a subject. */
static bool
CollectKey(uint64 token, void *context)
{
	KeyList *list = context;
	char *text = ReadSubjectText(PhiRelation("consent"), token);
	Datum key;

	list->complete = text != NULL;
	if (text && KeyOfText(text, list->type, &key))
		list->keys =
			accumArrayResult(list->keys, key, false, list->type, CurrentMemoryContext);
	return list->complete;
}

/* Order of whole numbers that are passed by value. */
static int
CompareNumbers(const void *a, const void *b)
{
	int64 left = (int64) *(const Datum *) a;
	int64 right = (int64) *(const Datum *) b;

	return left < right ? -1 : left > right ? 1 : 0;
}

/*
 * The keys as an array; numbers in ascending order, in which an index looks
 * them up and would put them for each query.
 */
static Datum
KeyArray(KeyList *list)
{
	if (!list->keys)
		return PointerGetDatum(construct_empty_array(list->type));
	if (get_typbyval(list->type))
		qsort(list->keys->dvalues, (size_t) list->keys->nelems, sizeof(Datum), CompareNumbers);
	return makeArrayResult(list->keys, CurrentMemoryContext);
}

/* The subjects whose consents may permit, as an array; false when they cannot be listed. */
static bool
ListPermitted(Oid type, Datum *array)
{
	KeyList list = {type, NULL, true};

	if (SessionRuleKinds() == 0)
	{
		*array = PointerGetDatum(construct_empty_array(type));
		return true;
	}
	if (!ConsentsDecide() || !ForPermitted(CollectKey, &list) || !list.complete)
		return false;
	*array = KeyArray(&list);
	return true;
}

/* An array in another context. */
static Datum
CopyArray(MemoryContext context, Datum array)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Datum copy = datumCopy(array, false, -1);

	MemoryContextSwitchTo(old);
	return copy;
}

/* The subjects of the table whose rows the predicate lets pass. */
static Datum
FindPermitted(Oid relation, Oid type)
{
	const ProtectedRelation *protected = RegistryRelation(relation);
	MemoryContext caller = CurrentMemoryContext;
	OwnerScope scope;
	Datum array = (Datum) 0;
	bool isnull = true;
	char *column;

	if (!protected)
		return PointerGetDatum(construct_empty_array(type));
	column = get_attname(relation, protected->subject, false);
	OwnerBeginQualified(&scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	Enumerating = true;
	PG_TRY();
	{
		if (SPI_execute(psprintf("SELECT pg_catalog.array_agg(s.k) FROM (SELECT DISTINCT %s::%s FROM %s) AS s (k)",
								 quote_identifier(column), format_type_be_qualified(type),
								 quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
															get_rel_name(relation))),
						true, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not read the subjects of a table");
		array = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	}
	PG_FINALLY();
	{
		Enumerating = false;
	}
	PG_END_TRY();
	if (!isnull)
		array = CopyArray(caller, array);
	SPI_finish();
	OwnerEnd(&scope);
	return isnull ? PointerGetDatum(construct_empty_array(type)) : array;
}

/* Keep a list as long as what it was made from holds. */
static Datum
RememberList(Oid type, Datum array, uint64 version)
{
	if (!Last.context)
		Last.context = AllocSetContextCreate(CacheMemoryContext, "phi_guard permitted subjects",
											 ALLOCSET_SMALL_SIZES);
	Last.array = (Datum) 0;
	MemoryContextReset(Last.context);
	Last.array = CopyArray(Last.context, array);
	Last.type = type;
	Last.version = version;
	return Last.array;
}

/*
 * phi.permitted_subjects(relation, subject, mark): an array, of the type of
 * subject, of all whose rows in relation the session may see, and maybe more.
 */
Datum
phi_permitted_subjects(PG_FUNCTION_ARGS)
{
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	uint64 version;
	Datum array;

	RequirePreload();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("phi.permitted_subjects can be called by the planner alone")));
	version = VerdictVersion();
	if (Last.array != (Datum) 0 && Last.type == type && Last.version == version &&
		SessionRuleKinds() != 0)
		PG_RETURN_DATUM(Last.array);
	if (ListPermitted(type, &array))
		PG_RETURN_DATUM(RememberList(type, array, version));
	ForgetPlans();
	PG_RETURN_DATUM(FindPermitted(PG_GETARG_OID(0), type));
}
