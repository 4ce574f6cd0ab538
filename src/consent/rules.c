/*-------------------------------------------------------------------------
 * rules.c
 *		Role rules: which forms the session's workforce roles see, for its
 *		purpose, and whether they need a care relationship for it.
 *
 * A rule for a purpose holds for what is below it (is-a); among several rules
 * the most detailed form counts.  A rule of form "none" gives nothing: it
 * stands for the absence of a rule where one looks for it.
 *
 * Of the care rules of a role the one of the nearest purpose counts; where one
 * of several roles needs a care relationship, the session does.
 *
 * The rules of the session are kept until it, phi.role_rule or phi.care_rule
 * (relcache invalidation) changes.  Locking: AccessShareLock while reading.
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

/* Columns of phi.care_rule, by position. */
enum CareRuleColumn
{
	CR_ROLE = 1,
	CR_PURPOSE,
	CR_REQUIRED,
	CR_LAST = CR_REQUIRED
};

/* The rules of the session, and which session it was. */
static RoleRules Rules;
static uint64 RulesGeneration = 0;

/* Is Rules complete, and was it not invalidated since? */
static bool Loaded = false;
static bool Stale = false;

/* OIDs of phi.role_rule and phi.care_rule for the callback, which must not look them up. */
static Oid RuleTable = InvalidOid;
static Oid CareTable = InvalidOid;

bool
RulesInvalidate(Oid relid)
{
	if (relid != InvalidOid && relid != RuleTable && relid != CareTable)
		return false;
	Stale = true;
	return true;
}

/* The purpose in a text column, or PHI_PURPOSE_NONE. */
static phi_purpose
PurposeOfDatum(Datum value)
{
	text *code = DatumGetTextPP(value);

	return phi_purpose_find(VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code));
}

/* One rule of one of the roles; what this library does not know gives nothing. */
static void
TakeRule(HeapTuple tuple, Relation rel, phi_purpose purpose, RoleRules *rules)
{
	Datum values[RR_LAST];
	bool nulls[RR_LAST];
	text *code;
	phi_purpose rule_purpose;
	phi_kind kind;
	phi_form form;

	heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
	rule_purpose = PurposeOfDatum(values[RR_PURPOSE - 1]);
	if (rule_purpose == PHI_PURPOSE_NONE || !phi_purpose_is_a(purpose, rule_purpose))
		return;
	code = DatumGetTextPP(values[RR_KIND - 1]);
	if (!phi_kind_find(VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code), &kind))
		return;
	code = DatumGetTextPP(values[RR_FORM - 1]);
	if (!phi_form_find(VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code), &form) ||
		!phi_form_available(form) || form <= rules->forms[kind])
		return;
	rules->forms[kind] = form;
	rules->kinds |= UINT64CONST(1) << kind;
}

/* Scan the rows of one workforce role: both tables begin with it. */
static SysScanDesc
BeginRoleScan(Relation rel, const char *index, const char *role)
{
	ScanKeyData key;

	/* The column's collation is "C", which is the one that ScanKeyInit sets. */
	ScanKeyInit(&key, RR_ROLE, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(role));
	return systable_beginscan(rel, PhiRelation(index), true, NULL, 1, &key);
}

/* The rules of one workforce role. */
static void
ReadFormsOfRole(Relation rel, const char *role, phi_purpose purpose, RoleRules *rules)
{
	SysScanDesc scan = BeginRoleScan(rel, "role_rule_pkey", role);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		TakeRule(tuple, rel, purpose, rules);
	systable_endscan(scan);
}

/*
 * Does one workforce role need a care relationship?  A rule that this library
 * does not know says that it does.
 */
static bool
RoleNeedsCare(Relation rel, const char *role, phi_purpose purpose)
{
	SysScanDesc scan = BeginRoleScan(rel, "care_rule_pkey", role);
	phi_purpose nearest = PHI_PURPOSE_NONE;
	bool required = false;
	bool unknown = false;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum values[CR_LAST];
		bool nulls[CR_LAST];
		phi_purpose of_rule;

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		of_rule = PurposeOfDatum(values[CR_PURPOSE - 1]);
		unknown = unknown || of_rule == PHI_PURPOSE_NONE;
		if (of_rule == PHI_PURPOSE_NONE || !phi_purpose_is_a(purpose, of_rule) ||
			(nearest != PHI_PURPOSE_NONE && !phi_purpose_is_a(of_rule, nearest)))
			continue;
		nearest = of_rule;
		required = DatumGetBool(values[CR_REQUIRED - 1]);
	}
	systable_endscan(scan);
	return required || unknown;
}

void
ReadRoleRules(const char (*roles)[SESSION_NAME_SIZE], int count, phi_purpose purpose,
			  RoleRules *rules)
{
	Relation forms;
	Relation care;

	memset(rules, 0, sizeof(RoleRules));
	RuleTable = PhiRelation("role_rule");
	CareTable = PhiRelation("care_rule");
	forms = table_open(RuleTable, AccessShareLock);
	care = table_open(CareTable, AccessShareLock);
	if (RelationGetNumberOfAttributes(forms) != RR_LAST)
		elog(ERROR, "unexpected shape of phi.role_rule");
	if (RelationGetNumberOfAttributes(care) != CR_LAST)
		elog(ERROR, "unexpected shape of phi.care_rule");
	for (int i = 0; i < count; i++)
	{
		ReadFormsOfRole(forms, roles[i], purpose, rules);
		if (!rules->care_required && RoleNeedsCare(care, roles[i], purpose))
		{
			rules->care_required = true;
			strlcpy(rules->care_role, roles[i], SESSION_NAME_SIZE);
		}
	}
	table_close(care, AccessShareLock);
	table_close(forms, AccessShareLock);
}

/* Read the session's rules, again if an invalidation came meanwhile. */
static void
LoadRules(void)
{
	const SessionContext *session;

	Loaded = false;
	do
	{
		Stale = false;
		memset(&Rules, 0, sizeof(Rules));
		RulesGeneration = SessionGeneration();
		session = SessionCurrent();
		if (!session->identified || !session->purpose_stated)
			break;
		ReadRoleRules(session->roles, session->role_count, session->purpose, &Rules);
	} while (Stale || RulesGeneration != SessionGeneration());
	Loaded = true;
}

/* Bring Rules up to date. */
static inline void
PrepareRules(void)
{
	if (unlikely(!Loaded || Stale || RulesGeneration != SessionGeneration()))
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

bool
SessionNeedsCare(void)
{
	PrepareRules();
	return Rules.care_required;
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
