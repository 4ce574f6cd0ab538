/*-------------------------------------------------------------------------
 * directives.c
 *		Reading phi.consent: what the active consents say to a request.
 *
 * Reads use a catalog snapshot, so that REPEATABLE READ sees a revocation; no
 * SQL runs.  Locking: AccessShareLock on the table while reading.
 *-------------------------------------------------------------------------
 */
#include "consent/verdict.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/table.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"

/* phi.unsupported_consent: what a consent that cannot be evaluated counts as. */
static int UnsupportedCounts = PHI_VERDICT_NA;

/* Assign hook: verdicts given under the other value are void. */
static void
AssignUnsupported(int newval, void *extra)
{
	VerdictsInvalidate(InvalidOid);
}

void
DirectivesInit(void)
{
	static const struct config_enum_entry options[] = {
		{"ignore", PHI_VERDICT_NA, false}, {"deny", PHI_VERDICT_DENY, false}, {NULL, 0, false}};

	DefineCustomEnumVariable("phi.unsupported_consent",
							 "What an imported consent counts as that cannot be evaluated exactly.",
							 NULL, &UnsupportedCounts, PHI_VERDICT_NA, options, PGC_SUSET, 0, NULL,
							 AssignUnsupported, NULL);
}

/* Is the consent in this slot active? */
static bool
ConsentActive(TupleTableSlot *slot)
{
	bool isnull;
	text *status = DatumGetTextPP(slot_getattr(slot, CO_STATUS, &isnull));

	return !isnull && VARSIZE_ANY_EXHDR(status) == 6 &&
		   memcmp(VARDATA_ANY(status), "active", 6) == 0;
}

/*
 * Evaluate the consent of one row.  A program that cannot be read denies; without
 * one, a consent is unsupported and the setting says what it counts as.
 */
static void
EvaluateConsent(TupleTableSlot *slot, const phi_consent_request *request, ReadConsent *consent)
{
	bool isnull;
	Datum value = slot_getattr(slot, CO_PROGRAM, &isnull);
	bytea *program;

	consent->copy = NULL;
	consent->answer = phi_consent_answer_none();
	consent->program = phi_bytes_of(NULL, 0);
	if (isnull)
	{
		consent->answer.verdict = (phi_verdict) UnsupportedCounts;
		return;
	}
	program = DatumGetByteaPP(value);
	if ((Pointer) program != DatumGetPointer(value))
		consent->copy = program;
	consent->program = phi_bytes_of(VARDATA_ANY(program), VARSIZE_ANY_EXHDR(program));
	if (phi_directive_evaluate(consent->program, request, &consent->answer) != PHI_OK)
		consent->answer = (phi_consent_answer){PHI_VERDICT_DENY, 0, PHI_TIME_MAX};
}

/* Scan the consents of one subject by index, or all in heap order without a token. */
static SysScanDesc
BeginConsentScan(Relation rel, const uint64 *token)
{
	ScanKeyData key;

	if (RelationGetNumberOfAttributes(rel) != CO_LAST)
		elog(ERROR, "unexpected shape of phi.consent");
	if (!token)
		return systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	ScanKeyInit(&key, CO_TOKEN, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum((int64) *token));
	return systable_beginscan(rel, PhiRelation("consent_subject_token_idx"), true, NULL, 1, &key);
}

bool
ReadConsents(Oid table, const uint64 *token, const phi_consent_request *request,
			 bool (*take)(const ReadConsent *consent, void *context), void *context)
{
	Relation rel = table_open(table, AccessShareLock);
	SysScanDesc scan = BeginConsentScan(rel, token);
	TupleTableSlot *slot = scan->slot;
	bool going = true;

	while (going && HeapTupleIsValid(systable_getnext(scan)))
	{
		ReadConsent consent;
		bool isnull;

		CHECK_FOR_INTERRUPTS();
		/* The columns up to the program are what it takes: found in one go. */
		slot_getsomeattrs(slot, CO_PROGRAM);
		if (!ConsentActive(slot))
			continue;
		consent.token = (uint64) DatumGetInt64(slot_getattr(slot, CO_TOKEN, &isnull));
		consent.id = DatumGetInt64(slot_getattr(slot, CO_ID, &isnull));
		EvaluateConsent(slot, request, &consent);
		going = take(&consent, context);
		if (consent.copy)
			pfree(consent.copy);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return going;
}

/* What CombineConsents() has so far. */
typedef struct CombinedConsents
{
	phi_verdict verdict;
	int64 directive;
} CombinedConsents;

/* Combine one consent. */
static bool
CombineConsent(const ReadConsent *consent, void *context)
{
	CombinedConsents *combined = context;
	phi_verdict verdict = consent->answer.verdict;

	if (verdict > combined->verdict || (verdict == combined->verdict && verdict != PHI_VERDICT_NA &&
										consent->id < combined->directive))
		combined->directive = consent->id;
	combined->verdict = phi_verdict_combine(combined->verdict, verdict);
	return true;
}

phi_verdict
CombineConsents(Oid table, uint64 token, const phi_consent_request *request, int64 *directive)
{
	CombinedConsents combined = {PHI_VERDICT_NA, 0};

	(void) ReadConsents(table, &token, request, CombineConsent, &combined);
	*directive = combined.directive;
	return combined.verdict;
}

char *
ReadSubjectText(Oid table, uint64 token)
{
	Relation rel = table_open(table, AccessShareLock);
	SysScanDesc scan = BeginConsentScan(rel, &token);
	char *key = NULL;

	while (!key && HeapTupleIsValid(systable_getnext(scan)))
	{
		bool isnull;
		Datum subject = slot_getattr(scan->slot, CO_SUBJECT, &isnull);

		if (!isnull && ConsentActive(scan->slot))
			key = TextDatumGetCString(subject);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return key;
}
