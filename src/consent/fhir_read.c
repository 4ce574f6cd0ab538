/*-------------------------------------------------------------------------
 * fhir_read.c
 *		Reading a FHIR Consent, R4 or R5, into a tree; never guesses.
 *
 * An R4 provision has its effect in type, or negates the one it stands in.
 * R5 has the base decision in decision and each provision negates what it
 * stands in.  What cannot be decided exactly is a problem (docs/consent.md has
 * the list); the tree is then incomplete.
 *-------------------------------------------------------------------------
 */
#include "consent/fhir_json.h"

/* The base that policyRule states: OPTIN and OPTOUT of v3-ActCode. */
static phi_verdict
PolicyRuleBase(FhirReader *reader, JsonbContainer *resource)
{
	JsonbContainer *rule = FhirObject(reader, resource, "policyRule");
	phi_verdict base = PHI_VERDICT_NA;
	ListCell *cell;

	if (!rule)
		return base;
	foreach (cell, FhirConcept(reader, rule))
	{
		const FhirCoding *coding = lfirst(cell);

		if (!FhirSystemIs(coding, FHIR_SYSTEM_ACT_CODE))
			continue;
		if (strcmp(coding->code, "OPTIN") == 0)
			base = phi_verdict_combine(base, PHI_VERDICT_PERMIT);
		else if (strcmp(coding->code, "OPTOUT") == 0)
			base = PHI_VERDICT_DENY;
	}
	return base;
}

/* Why an untyped root cannot be read as the exception to policyRule. */
static void
CheckUntypedRoot(FhirReader *reader, JsonbContainer *root)
{
	ListCell *cell;

	if (FhirMember(root, "period"))
		FhirProblem(reader, "untyped-root-period");
	foreach (cell, FhirObjects(reader, root, "actor"))
		if (!FhirIsRecipient(reader, lfirst(cell)))
			FhirProblem(reader, "untyped-root-role");
	foreach (cell, FhirObjects(reader, root, "provision"))
		if (!FhirMember(lfirst(cell), "type"))
			FhirProblem(reader, "untyped-nested");
}

/* R4: the root's type decides; without one, if allowed, policyRule does. */
static void
ReadRootR4(FhirReader *reader, JsonbContainer *resource, bool legacy, FhirProvision *root)
{
	JsonbContainer *object = FhirObject(reader, resource, "provision");
	phi_verdict base = object ? FhirEffect(reader, object, "type") : PHI_VERDICT_NA;
	FhirProvision *exception;

	if (base != PHI_VERDICT_NA)
	{
		FhirProvisionRead(reader, object, base, root);
		return;
	}
	base = legacy ? PolicyRuleBase(reader, resource) : PHI_VERDICT_NA;
	if (base == PHI_VERDICT_NA)
	{
		FhirProblem(reader, "no-base");
		return;
	}
	root->effect = base;
	if (!object)
		return;
	CheckUntypedRoot(reader, object);
	exception = palloc0(sizeof(FhirProvision));
	FhirProvisionRead(reader, object, FhirNegation(base), exception);
	root->provisions = list_make1(exception);
}

/* R5: decision is the base, within the consent's period; every provision is an exception. */
static void
ReadRootR5(FhirReader *reader, JsonbContainer *resource, FhirProvision *root)
{
	ListCell *cell;

	root->effect = FhirEffect(reader, resource, "decision");
	if (root->effect == PHI_VERDICT_NA)
		FhirProblem(reader, "no-base");
	root->period = FhirPeriodRead(reader, resource, "period");
	foreach (cell, FhirObjects(reader, resource, "provision"))
	{
		FhirProvision *exception = palloc0(sizeof(FhirProvision));

		FhirProvisionRead(reader, lfirst(cell), FhirNegation(root->effect), exception);
		root->provisions = lappend(root->provisions, exception);
	}
}

/* The status; what was never in force, or is not about privacy, is told apart. */
static FhirStatus
ReadStatus(FhirReader *reader, JsonbContainer *resource)
{
	static const struct
	{
		const char *code;
		FhirStatus status;
	} codes[] = {{"active", FHIR_ACTIVE},  {"inactive", FHIR_INACTIVE},    {"draft", FHIR_DRAFT},
				 {"proposed", FHIR_DRAFT}, {"rejected", FHIR_DRAFT},       {"not-done", FHIR_DRAFT},
				 {"unknown", FHIR_DRAFT},  {"entered-in-error", FHIR_VOID}};
	char *text = FhirText(reader, resource, "status");

	for (int i = 0; i < lengthof(codes); i++)
		if (text && strcmp(text, codes[i].code) == 0)
			return codes[i].status;
	FhirProblem(reader, "status");
	return FHIR_ACTIVE;
}

/* R4: is the scope patient-privacy? */
static bool
IsPrivacyScope(FhirReader *reader, JsonbContainer *resource)
{
	JsonbContainer *scope = FhirObject(reader, resource, "scope");
	bool known = false;
	ListCell *cell;

	if (!scope)
	{
		FhirProblem(reader, "scope");
		return true;
	}
	foreach (cell, FhirConcept(reader, scope))
	{
		const FhirCoding *coding = lfirst(cell);

		if (!FhirSystemIs(coding, FHIR_SYSTEM_SCOPE))
			continue;
		if (strcmp(coding->code, "patient-privacy") == 0)
			return true;
		known = true;
	}
	if (!known)
		FhirProblem(reader, "scope");
	return !known;
}

/* R5 has no scope: is a category one of another scope, or an advance directive? */
static bool
IsPrivacyCategory(FhirReader *reader, JsonbContainer *resource)
{
	static const char *const directives[] = {"acd", "dnr", "hcd", "polst"};
	ListCell *cell;

	foreach (cell, FhirObjects(reader, resource, "category"))
	{
		ListCell *inner;

		foreach (inner, FhirConcept(reader, lfirst(cell)))
		{
			const FhirCoding *coding = lfirst(inner);

			if (FhirSystemIs(coding, FHIR_SYSTEM_SCOPE) &&
				strcmp(coding->code, "patient-privacy") != 0)
				return false;
			for (int i = 0; i < lengthof(directives); i++)
				if (FhirSystemIs(coding, FHIR_SYSTEM_CATEGORY) &&
					strcmp(coding->code, directives[i]) == 0)
					return false;
		}
	}
	return true;
}

/* The text of a member of each object of an array. */
static List *
TextsOf(FhirReader *reader, JsonbContainer *resource, const char *array, const char *member,
		List *texts)
{
	ListCell *cell;

	foreach (cell, FhirObjects(reader, resource, array))
	{
		char *text = FhirText(reader, lfirst(cell), member);

		if (text)
			texts = lappend(texts, text);
	}
	return texts;
}

/* Order of two texts of a list. */
static int
CompareTexts(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* In order, each once. */
static List *
SortTexts(List *texts)
{
	List *sorted = NIL;
	ListCell *cell;

	list_sort(texts, CompareTexts);
	foreach (cell, texts)
		if (sorted == NIL || strcmp(llast(sorted), lfirst(cell)) != 0)
			sorted = lappend(sorted, lfirst(cell));
	return sorted;
}

/* Under which policies, and to whom, it was given: what a newer one supersedes. */
static void
ReadLineage(FhirReader *reader, JsonbContainer *resource, FhirConsent *consent)
{
	List *policies = NIL;
	List *organizations = NIL;
	JsonbContainer *basis;
	ListCell *cell;

	if (reader->r5)
	{
		basis = FhirObject(reader, resource, "policyBasis");
		if (basis && FhirText(reader, basis, "url"))
			policies = lappend(policies, FhirText(reader, basis, "url"));
		organizations = TextsOf(reader, resource, "controller", "reference", NIL);
		organizations = TextsOf(reader, resource, "manager", "reference", organizations);
		organizations = TextsOf(reader, resource, "grantee", "reference", organizations);
	}
	else
	{
		policies = TextsOf(reader, resource, "policy", "uri", NIL);
		basis = FhirObject(reader, resource, "policyRule");
		if (basis && FhirMember(basis, "coding"))
			foreach (cell, FhirConcept(reader, basis))
			{
				const FhirCoding *coding = lfirst(cell);

				if (coding->system)
					policies = lappend(policies, psprintf("%s|%s", coding->system, coding->code));
			}
		organizations = TextsOf(reader, resource, "organization", "reference", NIL);
	}
	consent->policies = SortTexts(policies);
	consent->organizations = SortTexts(organizations);
}

/* When it was given. */
static void
ReadDated(FhirReader *reader, JsonbContainer *resource, FhirConsent *consent)
{
	char *text = FhirText(reader, resource, reader->r5 ? "date" : "dateTime");

	if (!text)
		return;
	consent->dated.present = FhirTimeRead(text, &consent->dated.from, &consent->dated.until);
	if (!consent->dated.present)
		FhirProblem(reader, "date");
}

/* The key of the patient: of Patient/key, or of an identifier of ours; NULL for others. */
static char *
ReadPatient(FhirReader *reader, JsonbContainer *resource)
{
	JsonbContainer *reference = FhirObject(reader, resource, reader->r5 ? "subject" : "patient");
	JsonbContainer *identifier;
	char *text;
	const char *type;
	int size;

	if (!reference)
		return NULL;
	text = FhirText(reader, reference, "reference");
	if (text)
		return strncmp(text, "Patient/", 8) == 0 && FhirReferenceType(text, &type, &size) ? text + 8
																						  : NULL;
	identifier = FhirObject(reader, reference, "identifier");
	if (!identifier)
		return NULL;
	text = FhirText(reader, identifier, "system");
	return text && strcmp(text, FHIR_SUBJECT_SYSTEM) == 0 ? FhirText(reader, identifier, "value")
														  : NULL;
}

/* The members of the resource itself. */
static void
CheckMembers(FhirReader *reader, JsonbContainer *resource)
{
	static const char *const r4[] = {"resourceType",     "meta",
									 "language",         "text",
									 "contained",        "identifier",
									 "status",           "scope",
									 "category",         "patient",
									 "dateTime",         "performer",
									 "organization",     "policy",
									 "policyRule",       "verification",
									 "sourceAttachment", "sourceReference",
									 "provision",        NULL};
	static const char *const r5[] = {"resourceType",    "meta",
									 "language",        "text",
									 "contained",       "identifier",
									 "status",          "category",
									 "subject",         "date",
									 "period",          "grantor",
									 "grantee",         "manager",
									 "controller",      "policyBasis",
									 "policyText",      "regulatoryBasis",
									 "verification",    "decision",
									 "provision",       "sourceAttachment",
									 "sourceReference", NULL};

	if (FhirMember(resource, "modifierExtension"))
		FhirProblem(reader, "modifier-extension");
	if (FhirMember(resource, "implicitRules"))
		FhirProblem(reader, "implicit-rules");
	FhirOnly(reader, resource, reader->r5 ? r5 : r4);
}

/* Is it a Consent, and of which release? */
static int
ResourceVersion(JsonbContainer *resource)
{
	FhirReader reader = {0};
	char *type =
		JsonContainerIsObject(resource) ? FhirText(&reader, resource, "resourceType") : NULL;

	if (!type || strcmp(type, "Consent") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("this is no FHIR Consent"),
						errhint("Give a Consent resource of FHIR R4 or R5 as jsonb.")));
	return FhirMember(resource, "subject") || FhirMember(resource, "decision") ||
				   FhirMember(resource, "date")
			   ? 5
			   : 4;
}

FhirConsent *
FhirRead(Jsonb *jsonb, bool legacy)
{
	JsonbContainer *resource = &jsonb->root;
	FhirConsent *consent = palloc0(sizeof(FhirConsent));
	FhirReader reader = {0};
	bool privacy;

	consent->version = ResourceVersion(resource);
	reader.r5 = consent->version == 5;
	consent->status = ReadStatus(&reader, resource);
	privacy = reader.r5 ? IsPrivacyCategory(&reader, resource) : IsPrivacyScope(&reader, resource);
	if (!privacy && consent->status == FHIR_ACTIVE)
		consent->status = FHIR_OTHER_SCOPE;
	consent->id = FhirText(&reader, resource, "id");
	consent->patient = ReadPatient(&reader, resource);
	ReadDated(&reader, resource, consent);
	ReadLineage(&reader, resource, consent);
	CheckMembers(&reader, resource);
	if (reader.r5)
		ReadRootR5(&reader, resource, &consent->root);
	else
		ReadRootR4(&reader, resource, legacy, &consent->root);
	consent->problem = reader.problem;
	return consent;
}
