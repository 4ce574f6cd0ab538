/*-------------------------------------------------------------------------
 * rules.c
 *		Role rules: which forms the session's workforce roles see, for its
 *		purpose.
 *
 * A rule for a purpose holds for what is below it (is-a); among several rules
 * the most detailed form counts.  A rule of form "none" gives nothing: it
 * stands for the absence of a rule where one looks for it.
 *
 * The forms of the session are kept until it or phi.role_rule (relcache
 * invalidation) changes.  Locking: AccessShareLock while reading.
 *-------------------------------------------------------------------------
 */
#include "consent/verdict.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "session/session.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(phi_check_rule);

/* Columns of phi.role_rule, by position. */
enum RoleRuleColumn
{
	RR_ROLE = 1,
	RR_PURPOSE,
	RR_KIND,
	RR_FORM,
	RR_LAST = RR_FORM
};

/* The rules of the session: a form of each kind, and the kinds with more than none. */
typedef struct SessionRules
{
	uint64 session_generation;
	phi_form forms[PHI_KIND_COUNT];
	uint64 kinds;
} SessionRules;

static SessionRules Rules;

/* Is Rules complete, and was it not invalidated since? */
static bool Loaded = false;
static bool Stale = false;

/* OID of phi.role_rule for the callback, which must not look it up. */
static Oid RuleTable = InvalidOid;

void
RulesInvalidate(Oid relid)
{
	if (relid == InvalidOid || relid == RuleTable)
		Stale = true;
}

/* One rule of one of the session's roles; what this library does not know gives nothing. */
static void
ReadRule(HeapTuple tuple, Relation rel, phi_purpose purpose)
{
	Datum values[RR_LAST];
	bool nulls[RR_LAST];
	text *code;
	phi_purpose rule_purpose;
	phi_kind kind;
	phi_form form;

	if (RelationGetNumberOfAttributes(rel) != RR_LAST)
		elog(ERROR, "unexpected shape of phi.role_rule");
	heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
	code = DatumGetTextPP(values[RR_PURPOSE - 1]);
	rule_purpose = phi_purpose_find(VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code));
	if (rule_purpose == PHI_PURPOSE_NONE || !phi_purpose_is_a(purpose, rule_purpose))
		return;
	code = DatumGetTextPP(values[RR_KIND - 1]);
	if (!phi_kind_find(VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code), &kind))
		return;
	code = DatumGetTextPP(values[RR_FORM - 1]);
	if (!phi_form_find(VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code), &form) ||
		!phi_form_available(form) || form <= Rules.forms[kind])
		return;
	Rules.forms[kind] = form;
	Rules.kinds |= UINT64CONST(1) << kind;
}

/* The rules of one workforce role. */
static void
ReadRoleRules(Relation rel, const char *role, phi_purpose purpose)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	/* The column's collation is "C", which is the one that ScanKeyInit sets. */
	ScanKeyInit(&key, RR_ROLE, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(role));
	scan = systable_beginscan(rel, PhiRelation("role_rule_pkey"), true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		ReadRule(tuple, rel, purpose);
	systable_endscan(scan);
}

/* Read the session's rules, again if an invalidation came meanwhile. */
static void
LoadRules(void)
{
	const SessionContext *session;
	Relation rel;

	Loaded = false;
	do
	{
		Stale = false;
		memset(&Rules, 0, sizeof(Rules));
		Rules.session_generation = SessionGeneration();
		session = SessionCurrent();
		if (!session->identified || !session->purpose_stated)
			break;
		RuleTable = PhiRelation("role_rule");
		rel = table_open(RuleTable, AccessShareLock);
		for (int i = 0; i < session->role_count; i++)
			ReadRoleRules(rel, session->roles[i], session->purpose);
		table_close(rel, AccessShareLock);
	} while (Stale || Rules.session_generation != SessionGeneration());
	Loaded = true;
}

/* Bring Rules up to date. */
static inline void
PrepareRules(void)
{
	if (unlikely(!Loaded || Stale || Rules.session_generation != SessionGeneration()))
		LoadRules();
}

phi_form
SessionForm(phi_kind kind)
{
	PrepareRules();
	return (unsigned) kind < PHI_KIND_COUNT ? Rules.forms[kind] : PHI_FORM_NONE;
}

uint64
SessionRuleKinds(void)
{
	PrepareRules();
	return Rules.kinds;
}

/* An argument as a C string; raises when it is null. */
static char *
RequiredText(FunctionCallInfo fcinfo, int argument)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("workforce role, purpose, kind and form of a rule must not be null")));
	return text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

/* Raise unless form is one that a rule may use. */
static void
CheckForm(const char *name)
{
	phi_form form;

	if (!phi_form_find(name, strlen(name), &form))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown form"),
						errhint("Forms are full, partial, limited, safe_harbor, pseudonym and none.")));
	if (!phi_form_available(form))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("form \"%s\" is not available", phi_form_name(form)),
						errhint("Use full, partial, limited, safe_harbor, pseudonym or none.")));
}

/* The names of every kind, without "none", which is shown to everybody who sees the row. */
static Datum
AllKinds(void)
{
	Datum names[PHI_KIND_COUNT];
	int count = 0;

	for (int kind = 0; kind < PHI_KIND_COUNT; kind++)
		if (kind != PHI_KIND_NONE)
			names[count++] = CStringGetTextDatum(phi_kind_name((phi_kind) kind));
	return PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * phi.check_rule(workforce_role, purpose, kind, form): raise for what is no
 * rule, otherwise the kinds it is about: all of them for kind "all".
 */
Datum
phi_check_rule(PG_FUNCTION_ARGS)
{
	char *role = RequiredText(fcinfo, 0);
	char *purpose = RequiredText(fcinfo, 1);
	char *name = RequiredText(fcinfo, 2);
	Datum element;
	phi_kind kind;

	if (role[strspn(role, " \t\n\r")] == '\0' || strlen(role) >= SESSION_NAME_SIZE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a workforce role must not be empty or longer than %d bytes",
							   SESSION_NAME_SIZE - 1)));
	if (phi_purpose_find(purpose, strlen(purpose)) == PHI_PURPOSE_NONE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown purpose of use"),
						errhint("Purposes are HL7 codes such as TREAT, HPAYMT or HRESCH.")));
	CheckForm(RequiredText(fcinfo, 3));
	if (strcmp(name, "all") == 0)
		PG_RETURN_DATUM(AllKinds());
	if (!phi_kind_find(name, strlen(name), &kind))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown kind"),
						errhint("Kinds are name, address, birth_date, ssn and so on, or all.")));
	element = CStringGetTextDatum(phi_kind_name(kind));
	PG_RETURN_ARRAYTYPE_P(construct_array(&element, 1, TEXTOID, -1, false, TYPALIGN_INT));
}
