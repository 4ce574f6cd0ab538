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
#include "access/htup_details.h"
#include "access/table.h"
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

/* Is the consent of this row active? */
static bool
ConsentActive(HeapTuple tuple, TupleDesc desc)
{
	bool isnull;
	text *status = DatumGetTextPP(fastgetattr(tuple, CO_STATUS, desc, &isnull));

	return !isnull && VARSIZE_ANY_EXHDR(status) == 6 &&
		   memcmp(VARDATA_ANY(status), "active", 6) == 0;
}

/*
 * Evaluate the consent of one row.  A program that cannot be read denies; without
 * one, a consent is unsupported and the setting says what it counts as.
 */
static void
EvaluateConsent(HeapTuple tuple, TupleDesc desc, const phi_consent_request *request,
				ReadConsent *consent)
{
	bool isnull;
	Datum value = fastgetattr(tuple, CO_PROGRAM, desc, &isnull);
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
	TupleDesc desc = RelationGetDescr(rel);
	bool going = true;
	HeapTuple tuple;

	while (going && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		ReadConsent consent;
		bool isnull;

		CHECK_FOR_INTERRUPTS();
		if (!ConsentActive(tuple, desc))
			continue;
		consent.token = (uint64) DatumGetInt64(fastgetattr(tuple, CO_TOKEN, desc, &isnull));
		consent.id = DatumGetInt64(fastgetattr(tuple, CO_ID, desc, &isnull));
		EvaluateConsent(tuple, desc, request, &consent);
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
	HeapTuple tuple;

	while (!key && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool isnull;
		Datum subject = fastgetattr(tuple, CO_SUBJECT, RelationGetDescr(rel), &isnull);

		if (!isnull && ConsentActive(tuple, RelationGetDescr(rel)))
			key = TextDatumGetCString(subject);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return key;
}
