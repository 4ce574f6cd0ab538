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
 * What one row says.  A program that cannot be read denies; without one, a
 * consent is unsupported and the setting says what it counts as.  *until is lowered
 * to when that may change.
 */
static phi_verdict
ConsentVerdict(HeapTuple tuple, TupleDesc desc, const phi_consent_request *request, int64 *until)
{
	phi_consent_answer answer = phi_consent_answer_none();
	bool isnull;
	Datum value;
	bytea *program;

	if (!ConsentActive(tuple, desc))
		return PHI_VERDICT_NA;
	value = fastgetattr(tuple, CO_PROGRAM, desc, &isnull);
	if (isnull)
		return (phi_verdict) UnsupportedCounts;
	program = DatumGetByteaPP(value);
	if (phi_directive_evaluate(phi_bytes_of(VARDATA_ANY(program), VARSIZE_ANY_EXHDR(program)),
							   request, &answer) != PHI_OK)
		answer.verdict = PHI_VERDICT_DENY;
	*until = Min(*until, answer.valid_until);
	if ((Pointer) program != DatumGetPointer(value))
		pfree(program);
	return answer.verdict;
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

phi_verdict
ReadConsents(Oid table, uint64 token, const phi_consent_request *request, int64 *until,
			 int64 *directive)
{
	Relation rel = table_open(table, AccessShareLock);
	SysScanDesc scan = BeginConsentScan(rel, &token);
	phi_verdict combined = PHI_VERDICT_NA;
	HeapTuple tuple;

	*directive = 0;
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TupleDesc desc = RelationGetDescr(rel);
		phi_verdict verdict = ConsentVerdict(tuple, desc, request, until);
		bool isnull;
		int64 id = DatumGetInt64(fastgetattr(tuple, CO_ID, desc, &isnull));

		if (verdict > combined ||
			(verdict == combined && verdict != PHI_VERDICT_NA && id < *directive))
			*directive = id;
		combined = phi_verdict_combine(combined, verdict);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return combined;
}

bool
ReadAllConsents(Oid table, const phi_consent_request *request, int64 *until,
				bool (*take)(uint64 token, phi_verdict verdict))
{
	Relation rel = table_open(table, AccessShareLock);
	SysScanDesc scan = BeginConsentScan(rel, NULL);
	TupleDesc desc = RelationGetDescr(rel);
	bool going = true;
	HeapTuple tuple;

	while (going && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		phi_verdict verdict;
		bool isnull;

		CHECK_FOR_INTERRUPTS();
		verdict = ConsentVerdict(tuple, desc, request, until);
		if (verdict != PHI_VERDICT_NA)
			going =
				take((uint64) DatumGetInt64(fastgetattr(tuple, CO_TOKEN, desc, &isnull)), verdict);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return going;
}
