/*-------------------------------------------------------------------------
 * import.c
 *		phi.import_consent and phi.export_consent: FHIR Consent, R4 and R5.
 *
 * What cannot be decided exactly is stored without a program, with the reason.
 * Stored is what decides; names, narrative and who signed are not.  No message
 * shows anything of a resource.  Locking: imports of one subject wait for each
 * other until the end of the transaction.
 *-------------------------------------------------------------------------
 */
#include "consent/store.h"
#include "consent/verdict.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "keyring/keyring.h"
#include "mb/pg_wchar.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"

PG_FUNCTION_INFO_V1(phi_import_consent);
PG_FUNCTION_INFO_V1(phi_export_consent);

/* phi.legacy_policy_rules */
static bool LegacyPolicyRules = false;

void
ImportInit(void)
{
	DefineCustomBoolVariable(
		"phi.legacy_policy_rules",
		"Take the base decision of an imported R4 consent without one from its policyRule.",
		"OPTIN permits, OPTOUT denies, and the consent's own rules are exceptions.",
		&LegacyPolicyRules, false, PGC_SUSET, 0, NULL, NULL, NULL);
}

/* Status of a fresh row. */
static const char *
InitialStatus(FhirStatus status)
{
	switch (status)
	{
		case FHIR_ACTIVE:
			return "active";
		case FHIR_INACTIVE:
			return "inactive";
		case FHIR_DRAFT:
			return "draft";
		case FHIR_VOID:
			return "void";
		case FHIR_OTHER_SCOPE:
			return "other_scope";
	}
	return "draft";
}

/* What the consents share of which the newest counts: policies and grantees. */
static uint64
Lineage(const FhirConsent *given)
{
	StringInfoData text;
	ListCell *cell;

	if (!given->dated.present || (given->policies == NIL && given->organizations == NIL))
		return 0;
	initStringInfo(&text);
	foreach (cell, given->policies)
		appendStringInfo(&text, "p%zu:%s", strlen(lfirst(cell)), (char *) lfirst(cell));
	foreach (cell, given->organizations)
		appendStringInfo(&text, "o%zu:%s", strlen(lfirst(cell)), (char *) lfirst(cell));
	return ActorReference("lineage", text.data);
}

/* Whose consent it is: the argument, or what the resource says. */
static void
ImportSubject(FunctionCallInfo fcinfo, const FhirConsent *given, NewConsent *consent)
{
	char *utf8;

	if (!PG_ARGISNULL(1))
		consent->subject = text_to_cstring(PG_GETARG_TEXT_PP(1));
	else
		consent->subject = given->patient;
	if (!consent->subject || consent->subject[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the resource does not say whose consent it is"),
						errdetail("Only a reference Patient/key is understood."),
						errhint("Give the subject's key as the second argument.")));
	utf8 = pg_server_to_any(consent->subject, strlen(consent->subject), PG_UTF8);
	consent->token = SubjectTokenOfText(utf8, strlen(utf8));
}

/* Compile what was read; a tree that no program holds, or no text, is unsupported, too. */
static void
ImportProgram(Jsonb *resource, const FhirConsent *given, NewConsent *consent)
{
	consent->problem = given->problem;
	if (!consent->problem)
	{
		consent->source = FhirWrite(given, 4);
		consent->program = consent->source ? FhirCompile(&given->root) : NULL;
		consent->decision = given->root.effect;
		if (!consent->program)
			consent->problem = consent->source ? "size" : "period";
	}
	if (consent->program)
		return;
	consent->decision = PHI_VERDICT_NA;
	consent->source = FhirPrune(resource);
}

/*
 * phi.import_consent(resource, subject): record a FHIR Consent; its id, the
 * status that it came to, and the reason why it is unsupported.
 */
Datum
phi_import_consent(PG_FUNCTION_ARGS)
{
	NewConsent consent = {0};
	FhirConsent *given;
	Jsonb *resource;
	TupleDesc desc;
	Datum values[3];
	bool nulls[3] = {false, false, false};
	int64 id;
	char *status;

	RequirePreload();
	NoteSensitiveStatement();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the resource must not be null")));
	resource = PG_GETARG_JSONB_P(0);
	given = FhirRead(resource, LegacyPolicyRules);
	ImportSubject(fcinfo, given, &consent);
	ImportProgram(resource, given, &consent);
	consent.status = InitialStatus(given->status);
	consent.fhir_id = given->id;
	consent.dated = given->dated;
	consent.lineage = Lineage(given);
	/* One at a time of a subject, so that none misses that it supersedes another. */
	LockDatabaseObject(PhiRelation("consent"), (Oid) consent.token, 0, ExclusiveLock);
	id = InsertConsent(&consent);
	status = SettleConsent(id, &consent);
	if (consent.problem && strcmp(status, "active") == 0)
		status = pstrdup("unsupported");
	AuditConsent(consent.problem ? "import_unsupported" : "import", consent.token, id);

	values[0] = Int64GetDatum(id);
	values[1] = CStringGetTextDatum(status);
	nulls[2] = consent.problem == NULL;
	values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(consent.problem);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* A stored consent, to be exported. */
typedef struct StoredConsent
{
	uint64 token;
	char *subject;
	char *status;
	Jsonb *source;
	bool supported;
} StoredConsent;

/* Read a row of phi.consent; raises when there is none. */
static void
ReadStored(int64 id, StoredConsent *stored)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid type = INT8OID;
	Datum argument = Int64GetDatum(id);
	OwnerScope scope;
	HeapTuple row;
	TupleDesc desc;
	bool isnull[5];
	Datum values[5];

	OwnerBegin(&scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("SELECT c.subject_token, c.subject, c.status, s.source, "
							  "c.program IS NOT NULL FROM phi.consent AS c LEFT JOIN "
							  "phi.consent_source AS s ON s.consent OPERATOR(pg_catalog.=) c.id "
							  "WHERE c.id OPERATOR(pg_catalog.=) $1",
							  1, &type, &argument, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read a consent");
	if (SPI_processed != 1)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("there is no consent with id " INT64_FORMAT, id)));
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	for (int i = 0; i < 5; i++)
		values[i] = SPI_getbinval(row, desc, i + 1, &isnull[i]);
	if (isnull[1] || isnull[3])
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the source of consent " INT64_FORMAT " is no longer there", id)));
	stored->token = (uint64) DatumGetInt64(values[0]);
	stored->subject = MemoryContextStrdup(caller, TextDatumGetCString(values[1]));
	stored->status = MemoryContextStrdup(caller, TextDatumGetCString(values[2]));
	stored->supported = DatumGetBool(values[4]);
	MemoryContextSwitchTo(caller);
	stored->source = DatumGetJsonbPCopy(values[3]);
	SPI_finish();
	OwnerEnd(&scope);
}

/* The FHIR status of a stored consent. */
static const char *
ExportStatus(const char *status)
{
	static const char *const codes[][2] = {{"active", "active"},
										   {"other_scope", "active"},
										   {"draft", "draft"},
										   {"void", "entered-in-error"}};

	for (int i = 0; i < lengthof(codes); i++)
		if (strcmp(codes[i][0], status) == 0)
			return codes[i][1];
	return "inactive";
}

/* A resource with its status and its patient put in. */
static Jsonb *
Complete(Jsonb *resource, const StoredConsent *stored, const char *patient)
{
	StringInfoData extra;
	Datum merged;

	initStringInfo(&extra);
	appendStringInfoString(&extra, "{\"status\":");
	escape_json(&extra, ExportStatus(stored->status));
	appendStringInfo(&extra, ",\"%s\":{", patient);
	if (FhirIsId(stored->subject))
		appendStringInfo(&extra, "\"reference\":\"Patient/%s\"}}", stored->subject);
	else
	{
		appendStringInfoString(&extra,
							   "\"identifier\":{\"system\":\"" FHIR_SUBJECT_SYSTEM "\",\"value\":");
		escape_json(&extra, stored->subject);
		appendStringInfoString(&extra, "}}}");
	}
	merged = DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(resource),
								 DirectFunctionCall1(jsonb_in, CStringGetDatum(extra.data)));
	return DatumGetJsonbP(merged);
}

/* The version argument: R4 or R5. */
static int
ExportVersion(const char *version)
{
	if (strcmp(version, "R4") == 0)
		return 4;
	if (strcmp(version, "R5") == 0)
		return 5;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("a consent is exported as R4 or R5")));
}

/*
 * phi.export_consent(id, version): the consent as FHIR, R4 or R5; one that is
 * unsupported as it came, without what was not kept.
 */
Datum
phi_export_consent(PG_FUNCTION_ARGS)
{
	int64 id = PG_GETARG_INT64(0);
	int version = ExportVersion(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	StoredConsent stored = {0};
	FhirConsent *given;
	Jsonb *written;

	RequirePreload();
	ReadStored(id, &stored);
	given = FhirRead(stored.source, LegacyPolicyRules);
	if (!stored.supported || version == given->version)
	{
		written = stored.source;
		version = given->version;
	}
	else
		written = FhirWrite(given, version);
	if (!written)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("the consent has no form in FHIR R5"), errhint("Export it as R4.")));
	AuditConsent("export", stored.token, id);
	PG_RETURN_JSONB_P(Complete(written, &stored, version == 5 ? "subject" : "patient"));
}
