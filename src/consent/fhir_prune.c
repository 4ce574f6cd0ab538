/*-------------------------------------------------------------------------
 * fhir_prune.c
 *		Cutting a FHIR resource down to what may decide.
 *-------------------------------------------------------------------------
 */
#include "consent/fhir.h"

/* Does a member say nothing that decides, but perhaps who somebody is? */
static bool
IsPersonal(const JsonbValue *key)
{
	static const char *const names[] = {
		"text",      "display",      "contained",        "extension",
		"performer", "verification", "sourceAttachment", "sourceReference",
		"patient",   "subject",      "grantor",          "identifier",
		"meta"};

	for (int i = 0; i < lengthof(names); i++)
		if (strlen(names[i]) == key->val.string.len &&
			memcmp(names[i], key->val.string.val, key->val.string.len) == 0)
			return true;
	return false;
}

Jsonb *
FhirPrune(Jsonb *resource)
{
	JsonbIterator *iterator = JsonbIteratorInit(&resource->root);
	JsonbParseState *state = NULL;
	JsonbValue *result = NULL;
	JsonbIteratorToken token;
	JsonbValue value;

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		if (token == WJB_KEY && IsPersonal(&value))
			(void) JsonbIteratorNext(&iterator, &value, true); /* and what it holds */
		else
			result = pushJsonbValue(&state, token, token < WJB_BEGIN_ARRAY ? &value : NULL);
	}
	return JsonbValueToJsonb(result);
}
