/*-------------------------------------------------------------------------
 * fhir_json.c
 *		Strict reading of FHIR JSON (fhir_json.h).
 *
 * "id" and "extension" may stand anywhere in FHIR and never change a meaning;
 * "modifierExtension", and a primitive's "_name", may, and are not taken.
 *-------------------------------------------------------------------------
 */
#include "consent/fhir_json.h"

void
FhirProblem(FhirReader *reader, const char *problem)
{
	if (!reader->problem)
		reader->problem = problem;
}

JsonbValue *
FhirMember(JsonbContainer *object, const char *name)
{
	return getKeyJsonValueFromContainer(object, name, strlen(name), NULL);
}

char *
FhirText(FhirReader *reader, JsonbContainer *object, const char *name)
{
	JsonbValue *value = FhirMember(object, name);

	if (!value)
		return NULL;
	if (value->type != jbvString || value->val.string.len == 0)
	{
		FhirProblem(reader, "element");
		return NULL;
	}
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* The object that a value is; an empty one is a problem. */
static JsonbContainer *
ObjectOf(FhirReader *reader, const JsonbValue *value)
{
	if (value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data) &&
		JsonContainerSize(value->val.binary.data) > 0)
		return value->val.binary.data;
	FhirProblem(reader, "element");
	return NULL;
}

JsonbContainer *
FhirObject(FhirReader *reader, JsonbContainer *object, const char *name)
{
	JsonbValue *value = FhirMember(object, name);

	return value ? ObjectOf(reader, value) : NULL;
}

List *
FhirObjects(FhirReader *reader, JsonbContainer *object, const char *name)
{
	JsonbValue *value = FhirMember(object, name);
	JsonbContainer *array;
	List *objects = NIL;

	if (!value)
		return NIL;
	array = value->type == jbvBinary ? value->val.binary.data : NULL;
	if (!array || !JsonContainerIsArray(array) || JsonContainerSize(array) == 0)
	{
		FhirProblem(reader, "element");
		return NIL;
	}
	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbContainer *element = ObjectOf(reader, getIthJsonbValueFromContainer(array, i));

		if (element)
			objects = lappend(objects, element);
	}
	return objects;
}

/* Is a key one of the names? */
static bool
IsOneOf(const JsonbValue *key, const char *const *names)
{
	for (; *names; names++)
		if (strlen(*names) == key->val.string.len &&
			memcmp(*names, key->val.string.val, key->val.string.len) == 0)
			return true;
	return false;
}

void
FhirOnly(FhirReader *reader, JsonbContainer *object, const char *const *allowed)
{
	static const char *const everywhere[] = {"id", "extension", NULL};
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue value;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token != WJB_KEY || IsOneOf(&value, allowed) || IsOneOf(&value, everywhere))
			continue;
		FhirProblem(reader, "element");
	}
}

FhirCoding
FhirCodingRead(FhirReader *reader, JsonbContainer *object)
{
	static const char *const members[] = {"system",  "version",      "code",
										  "display", "userSelected", NULL};
	FhirCoding coding;

	FhirOnly(reader, object, members);
	coding.system = FhirText(reader, object, "system");
	coding.code = FhirText(reader, object, "code");
	if (!coding.code)
	{
		FhirProblem(reader, "element");
		coding.code = pstrdup("");
	}
	return coding;
}

List *
FhirConcept(FhirReader *reader, JsonbContainer *object)
{
	static const char *const members[] = {"coding", "text", NULL};
	List *codings = NIL;
	List *objects;
	ListCell *cell;

	FhirOnly(reader, object, members);
	objects = FhirObjects(reader, object, "coding");
	if (objects == NIL)
		FhirProblem(reader, "element");
	foreach (cell, objects)
	{
		FhirCoding *coding = palloc(sizeof(FhirCoding));

		*coding = FhirCodingRead(reader, lfirst(cell));
		codings = lappend(codings, coding);
	}
	return codings;
}

bool
FhirSystemIs(const FhirCoding *coding, const char *system)
{
	static const char *const older[][2] = {
		{FHIR_SYSTEM_REASON, "http://hl7.org/fhir/v3/ActReason"},
		{FHIR_SYSTEM_REASON, "urn:oid:2.16.840.1.113883.5.8"},
		{FHIR_SYSTEM_CONFIDENTIAL, "http://hl7.org/fhir/v3/Confidentiality"},
		{FHIR_SYSTEM_CONFIDENTIAL, "urn:oid:2.16.840.1.113883.5.25"},
		{FHIR_SYSTEM_ACT_CODE, "http://hl7.org/fhir/v3/ActCode"},
		{FHIR_SYSTEM_ACT_CODE, "urn:oid:2.16.840.1.113883.5.4"},
		{FHIR_SYSTEM_PARTICIPATION, "http://hl7.org/fhir/v3/ParticipationType"},
		{FHIR_SYSTEM_PARTICIPATION, "urn:oid:2.16.840.1.113883.5.90"},
		{FHIR_SYSTEM_ACTION, "http://hl7.org/fhir/consentaction"},
	};

	if (!coding->system)
		return false;
	if (strcmp(coding->system, system) == 0)
		return true;
	for (int i = 0; i < lengthof(older); i++)
		if (strcmp(older[i][0], system) == 0 && strcmp(older[i][1], coding->system) == 0)
			return true;
	return false;
}

FhirPeriod
FhirPeriodRead(FhirReader *reader, JsonbContainer *object, const char *name)
{
	static const char *const members[] = {"start", "end", NULL};
	FhirPeriod period = {false, PHI_TIME_MIN, PHI_TIME_MAX};
	JsonbContainer *given = FhirObject(reader, object, name);
	char *start;
	char *end;
	int64 ignored;

	if (!given)
		return period;
	period.present = true;
	FhirOnly(reader, given, members);
	start = FhirText(reader, given, "start");
	end = FhirText(reader, given, "end");
	if ((!start && !end) || (start && !FhirTimeRead(start, &period.from, &ignored)) ||
		(end && !FhirTimeRead(end, &ignored, &period.until)) || period.from >= period.until)
		FhirProblem(reader, "period");
	return period;
}
