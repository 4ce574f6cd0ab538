/*-------------------------------------------------------------------------
 * fhir_provision.c
 *		Reading the provisions of a FHIR Consent, R4 or R5.
 *-------------------------------------------------------------------------
 */
#include "consent/fhir_json.h"

#include "keyring/keyring.h"
#include "miscadmin.h"

phi_verdict
FhirNegation(phi_verdict effect)
{
	return effect == PHI_VERDICT_PERMIT ? PHI_VERDICT_DENY : PHI_VERDICT_PERMIT;
}

phi_verdict
FhirEffect(FhirReader *reader, JsonbContainer *object, const char *name)
{
	char *text = FhirText(reader, object, name);

	if (!text)
		return PHI_VERDICT_NA;
	if (strcmp(text, "permit") == 0)
		return PHI_VERDICT_PERMIT;
	if (strcmp(text, "deny") == 0)
		return PHI_VERDICT_DENY;
	FhirProblem(reader, "type");
	return PHI_VERDICT_DENY;
}

bool
FhirIsRecipient(FhirReader *reader, JsonbContainer *actor)
{
	static const char *const recipients[] = {"IRCP", "PRCP", "NOT", "REFB", "REFT", "TRC"};
	JsonbContainer *role = FhirObject(reader, actor, "role");
	ListCell *cell;

	if (!role)
		return reader->r5;
	foreach (cell, FhirConcept(reader, role))
	{
		const FhirCoding *coding = lfirst(cell);

		for (int i = 0; i < lengthof(recipients); i++)
			if (FhirSystemIs(coding, FHIR_SYSTEM_PARTICIPATION) &&
				strcmp(coding->code, recipients[i]) == 0)
				return true;
	}
	return false;
}

/* An actor named by an identifier of ours: system urn:phi-guard:<prefix>. */
static bool
ReadActorIdentifier(FhirReader *reader, JsonbContainer *identifier, FhirActor *actor)
{
	static const char *const members[] = {"system", "value", NULL};
	static const char *const prefixes[] = {"actor", "role", "organization", "group"};
	char *system = FhirText(reader, identifier, "system");

	FhirOnly(reader, identifier, members);
	actor->name = FhirText(reader, identifier, "value");
	for (int i = 0; i < lengthof(prefixes); i++)
		if (system && strcmp(system, psprintf(FHIR_ACTOR_SYSTEM "%s", prefixes[i])) == 0)
		{
			actor->prefix = prefixes[i];
			return actor->name != NULL;
		}
	return false;
}

/* Whom it is about. */
static void
ReadActors(FhirReader *reader, JsonbContainer *object, FhirProvision *provision)
{
	static const char *const members[] = {"role", "reference", NULL};
	static const char *const parts[] = {"reference", "type", "identifier", "display", NULL};
	ListCell *cell;

	foreach (cell, FhirObjects(reader, object, "actor"))
	{
		JsonbContainer *given = lfirst(cell);
		JsonbContainer *reference = FhirObject(reader, given, "reference");
		JsonbContainer *identifier = NULL;
		FhirActor *actor = palloc0(sizeof(FhirActor));
		char *text = NULL;

		FhirOnly(reader, given, members);
		if (!FhirIsRecipient(reader, given))
			FhirProblem(reader, "actor-role");
		if (reference)
		{
			FhirOnly(reader, reference, parts);
			text = FhirText(reader, reference, "reference");
			identifier = FhirObject(reader, reference, "identifier");
		}
		if (text ? !FhirActorOfReference(text, actor)
				 : !identifier || !ReadActorIdentifier(reader, identifier, actor))
			FhirProblem(reader, "actor-reference");
		provision->actors = lappend(provision->actors, actor);
	}
}

/* What is done: one of the codings of a concept must be known. */
static void
ReadActions(FhirReader *reader, JsonbContainer *object, FhirProvision *provision)
{
	ListCell *cell;

	foreach (cell, FhirObjects(reader, object, "action"))
	{
		char *known = NULL;
		ListCell *inner;

		foreach (inner, FhirConcept(reader, lfirst(cell)))
		{
			const FhirCoding *coding = lfirst(inner);

			if (FhirSystemIs(coding, FHIR_SYSTEM_ACTION) &&
				phi_action_find(coding->code, strlen(coding->code)) != PHI_ACTION_NONE)
				known = coding->code;
		}
		if (!known)
			FhirProblem(reader, "action");
		else
			provision->actions = lappend(provision->actions, known);
	}
}

/* What for: codes of v3-ActReason, or of a system of one's own. */
static void
ReadPurposes(FhirReader *reader, JsonbContainer *object, FhirProvision *provision)
{
	ListCell *cell;

	foreach (cell, FhirObjects(reader, object, "purpose"))
	{
		FhirCoding *coding = palloc(sizeof(FhirCoding));

		*coding = FhirCodingRead(reader, lfirst(cell));
		if (FhirSystemIs(coding, FHIR_SYSTEM_REASON))
		{
			coding->system = NULL;
			if (phi_purpose_find(coding->code, strlen(coding->code)) == PHI_PURPOSE_NONE)
				FhirProblem(reader, "purpose");
		}
		else if (!coding->system)
			FhirProblem(reader, "purpose");
		provision->purposes = lappend(provision->purposes, coding);
	}
}

/* Labels: confidentialities and sensitivities of HL7. */
static void
ReadLabels(FhirReader *reader, JsonbContainer *object, FhirProvision *provision)
{
	ListCell *cell;

	foreach (cell, FhirObjects(reader, object, "securityLabel"))
	{
		FhirCoding coding = FhirCodingRead(reader, lfirst(cell));
		size_t size = strlen(coding.code);

		if (!(FhirSystemIs(&coding, FHIR_SYSTEM_CONFIDENTIAL) &&
			  phi_confidentiality_rank(coding.code, size) != 0) &&
			!(FhirSystemIs(&coding, FHIR_SYSTEM_ACT_CODE) &&
			  phi_sensitivity_below(coding.code, size) != 0))
			FhirProblem(reader, "label");
		provision->labels = lappend(provision->labels, coding.code);
	}
}

/* Resource types; other classes say nothing of a table's rows. */
static void
ReadClasses(FhirReader *reader, JsonbContainer *object, FhirProvision *provision)
{
	ListCell *cell;

	foreach (cell, FhirObjects(reader, object, reader->r5 ? "resourceType" : "class"))
	{
		FhirCoding coding = FhirCodingRead(reader, lfirst(cell));

		if (!FhirSystemIs(&coding, FHIR_SYSTEM_RESOURCE) &&
			!FhirSystemIs(&coding, FHIR_SYSTEM_TYPE))
			FhirProblem(reader, "class");
		provision->classes = lappend(provision->classes, coding.code);
	}
}

/* Codes of the data: every coding of a concept means the same. */
static void
ReadCodes(FhirReader *reader, JsonbContainer *object, FhirProvision *provision)
{
	ListCell *cell;

	foreach (cell, FhirObjects(reader, object, "code"))
	{
		ListCell *inner;

		foreach (inner, FhirConcept(reader, lfirst(cell)))
		{
			const FhirCoding *coding = lfirst(inner);

			if (!coding->system)
				FhirProblem(reader, "code");
			provision->codes = lappend(provision->codes, lfirst(inner));
		}
	}
}

/* Data by reference. */
static void
ReadData(FhirReader *reader, JsonbContainer *object, FhirProvision *provision)
{
	static const char *const members[] = {"meaning", "reference", NULL};
	static const char *const parts[] = {"reference", "type", "display", NULL};
	static const char *const meanings[] = {NULL, "instance", "related", "dependents", "authoredby"};
	ListCell *cell;

	foreach (cell, FhirObjects(reader, object, "data"))
	{
		JsonbContainer *given = lfirst(cell);
		JsonbContainer *reference = FhirObject(reader, given, "reference");
		char *meaning = FhirText(reader, given, "meaning");
		FhirData *data = palloc0(sizeof(FhirData));
		const char *type;
		int size;

		FhirOnly(reader, given, members);
		for (int i = PHI_DATA_INSTANCE; i <= PHI_DATA_AUTHORED_BY; i++)
			if (meaning && strcmp(meaning, meanings[i]) == 0)
				data->meaning = i;
		if (reference)
		{
			FhirOnly(reader, reference, parts);
			data->reference = FhirText(reader, reference, "reference");
		}
		if (data->meaning == 0 || !data->reference ||
			!FhirReferenceType(data->reference, &type, &size))
			FhirProblem(reader, "data");
		provision->data = lappend(provision->data, data);
	}
}

void
FhirProvisionRead(FhirReader *reader, JsonbContainer *object, phi_verdict effect,
				  FhirProvision *provision)
{
	static const char *const r4[] = {"type",          "period",  "actor",     "action",
									 "securityLabel", "purpose", "class",     "code",
									 "dataPeriod",    "data",    "provision", NULL};
	static const char *const r5[] = {"period",  "actor",        "action", "securityLabel",
									 "purpose", "resourceType", "code",   "dataPeriod",
									 "data",    "provision",    NULL};
	ListCell *cell;

	check_stack_depth();
	provision->effect = effect;
	if (FhirMember(object, "expression"))
		FhirProblem(reader, "expression");
	if (FhirMember(object, "documentType"))
		FhirProblem(reader, "class");
	if (FhirMember(object, "modifierExtension"))
		FhirProblem(reader, "modifier-extension");
	FhirOnly(reader, object, reader->r5 ? r5 : r4);
	provision->period = FhirPeriodRead(reader, object, "period");
	ReadActors(reader, object, provision);
	ReadActions(reader, object, provision);
	ReadPurposes(reader, object, provision);
	ReadLabels(reader, object, provision);
	ReadClasses(reader, object, provision);
	ReadCodes(reader, object, provision);
	provision->data_period = FhirPeriodRead(reader, object, "dataPeriod");
	ReadData(reader, object, provision);
	foreach (cell, FhirObjects(reader, object, "provision"))
	{
		FhirProvision *nested = palloc0(sizeof(FhirProvision));
		phi_verdict type = reader->r5 ? PHI_VERDICT_NA : FhirEffect(reader, lfirst(cell), "type");

		FhirProvisionRead(reader, lfirst(cell),
						  type == PHI_VERDICT_NA ? FhirNegation(effect) : type, nested);
		provision->provisions = lappend(provision->provisions, nested);
	}
}
