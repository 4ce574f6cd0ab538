/*-------------------------------------------------------------------------
 * fhir_write.c
 *		Writing the tree of a consent as FHIR JSON, R4 or R5.
 *
 * R4 says every tree.  R5 has no criteria at its root and no nested provision
 * of the effect of what it stands in; a tree that has them has no R5 form.
 *-------------------------------------------------------------------------
 */
#include "consent/fhir.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

/* A resource under way. */
typedef struct FhirWriter
{
	StringInfoData out;
	bool r5;
	bool inexpressible; /* in this release */
} FhirWriter;

/* A comma, unless this is the first of an object or array. */
static void
Separate(FhirWriter *writer)
{
	char last = writer->out.len > 0 ? writer->out.data[writer->out.len - 1] : '{';

	if (last != '{' && last != '[')
		appendStringInfoChar(&writer->out, ',');
}

/* A member's name. */
static void
PutName(FhirWriter *writer, const char *name)
{
	Separate(writer);
	escape_json(&writer->out, name);
	appendStringInfoChar(&writer->out, ':');
}

/* A member of text. */
static void
PutText(FhirWriter *writer, const char *name, const char *text)
{
	PutName(writer, name);
	escape_json(&writer->out, text);
}

/* Open an object or array, as a member where name is given. */
static void
PutOpen(FhirWriter *writer, const char *name, char bracket)
{
	if (name)
		PutName(writer, name);
	else
		Separate(writer);
	appendStringInfoChar(&writer->out, bracket);
}

static void
PutClose(FhirWriter *writer, char bracket)
{
	appendStringInfoChar(&writer->out, bracket);
}

/* A Coding, as an element or a member. */
static void
PutCoding(FhirWriter *writer, const char *name, const char *system, const char *code)
{
	PutOpen(writer, name, '{');
	PutText(writer, "system", system);
	PutText(writer, "code", code);
	PutClose(writer, '}');
}

/* A CodeableConcept of one coding. */
static void
PutConcept(FhirWriter *writer, const char *name, const char *system, const char *code)
{
	PutOpen(writer, name, '{');
	PutOpen(writer, "coding", '[');
	PutCoding(writer, NULL, system, code);
	PutClose(writer, ']');
	PutClose(writer, '}');
}

/* A Period, unless it is absent or open at both ends. */
static void
PutPeriod(FhirWriter *writer, const char *name, const FhirPeriod *period)
{
	const int64 bounds[2] = {period->from, period->until};
	static const char *const names[2] = {"start", "end"};

	if (!period->present || (bounds[0] == PHI_TIME_MIN && bounds[1] == PHI_TIME_MAX))
		return;
	PutOpen(writer, name, '{');
	for (int i = 0; i < 2; i++)
	{
		char *text;

		if (bounds[i] == (i == 0 ? PHI_TIME_MIN : PHI_TIME_MAX))
			continue;
		text = i == 0 ? FhirSpanText(bounds[0], PHI_TIME_MAX, FHIR_WHOLE_DAY)
					  : FhirSpanText(PHI_TIME_MIN, bounds[1], FHIR_WHOLE_DAY);
		if (text)
			PutText(writer, names[i], text);
		else
			writer->inexpressible = true;
	}
	PutClose(writer, '}');
}

/* Whom it is about: recipients all. */
static void
PutActors(FhirWriter *writer, List *actors)
{
	ListCell *cell;

	if (actors == NIL)
		return;
	PutOpen(writer, "actor", '[');
	foreach (cell, actors)
	{
		const FhirActor *actor = lfirst(cell);
		char *reference = FhirReferenceOfActor(actor);

		PutOpen(writer, NULL, '{');
		PutConcept(writer, "role", FHIR_SYSTEM_PARTICIPATION, "IRCP");
		PutOpen(writer, "reference", '{');
		if (reference)
			PutText(writer, "reference", reference);
		else
		{
			PutOpen(writer, "identifier", '{');
			PutText(writer, "system", psprintf(FHIR_ACTOR_SYSTEM "%s", actor->prefix));
			PutText(writer, "value", actor->name);
			PutClose(writer, '}');
		}
		PutClose(writer, '}');
		PutClose(writer, '}');
	}
	PutClose(writer, ']');
}

/* What is done, what for. */
static void
PutUses(FhirWriter *writer, const FhirProvision *provision)
{
	ListCell *cell;

	if (provision->actions != NIL)
	{
		PutOpen(writer, "action", '[');
		foreach (cell, provision->actions)
			PutConcept(writer, NULL, FHIR_SYSTEM_ACTION, lfirst(cell));
		PutClose(writer, ']');
	}
	if (provision->purposes != NIL)
	{
		PutOpen(writer, "purpose", '[');
		foreach (cell, provision->purposes)
		{
			const FhirCoding *purpose = lfirst(cell);

			PutCoding(writer, NULL, purpose->system ? purpose->system : FHIR_SYSTEM_REASON,
					  purpose->code);
		}
		PutClose(writer, ']');
	}
}

/* Labels, classes and codes. */
static void
PutKinds(FhirWriter *writer, const FhirProvision *provision)
{
	ListCell *cell;

	if (provision->labels != NIL)
	{
		PutOpen(writer, "securityLabel", '[');
		foreach (cell, provision->labels)
			PutCoding(writer, NULL,
					  phi_confidentiality_rank(lfirst(cell), strlen(lfirst(cell))) != 0
						  ? FHIR_SYSTEM_CONFIDENTIAL
						  : FHIR_SYSTEM_ACT_CODE,
					  lfirst(cell));
		PutClose(writer, ']');
	}
	if (provision->classes != NIL)
	{
		PutOpen(writer, writer->r5 ? "resourceType" : "class", '[');
		foreach (cell, provision->classes)
			PutCoding(writer, NULL, writer->r5 ? FHIR_SYSTEM_TYPE : FHIR_SYSTEM_RESOURCE,
					  lfirst(cell));
		PutClose(writer, ']');
	}
	if (provision->codes != NIL)
	{
		PutOpen(writer, "code", '[');
		foreach (cell, provision->codes)
		{
			const FhirCoding *code = lfirst(cell);

			PutConcept(writer, NULL, code->system, code->code);
		}
		PutClose(writer, ']');
	}
}

/* Data by reference. */
static void
PutData(FhirWriter *writer, List *data)
{
	static const char *const meanings[] = {NULL, "instance", "related", "dependents", "authoredby"};
	ListCell *cell;

	if (data == NIL)
		return;
	PutOpen(writer, "data", '[');
	foreach (cell, data)
	{
		const FhirData *reference = lfirst(cell);

		PutOpen(writer, NULL, '{');
		PutText(writer, "meaning", meanings[reference->meaning]);
		PutOpen(writer, "reference", '{');
		PutText(writer, "reference", reference->reference);
		PutClose(writer, '}');
		PutClose(writer, '}');
	}
	PutClose(writer, ']');
}

static void PutProvision(FhirWriter *writer, const char *name, const FhirProvision *provision);

/* The provisions within one, each an exception to it. */
static void
PutNested(FhirWriter *writer, const FhirProvision *provision)
{
	ListCell *cell;

	if (provision->provisions == NIL)
		return;
	PutOpen(writer, "provision", '[');
	foreach (cell, provision->provisions)
	{
		const FhirProvision *nested = lfirst(cell);

		if (writer->r5 && nested->effect == provision->effect)
			writer->inexpressible = true;
		PutProvision(writer, NULL, nested);
	}
	PutClose(writer, ']');
}

/* One provision with all that it holds. */
static void
PutProvision(FhirWriter *writer, const char *name, const FhirProvision *provision)
{
	check_stack_depth();
	PutOpen(writer, name, '{');
	if (!writer->r5)
		PutText(writer, "type", provision->effect == PHI_VERDICT_PERMIT ? "permit" : "deny");
	PutPeriod(writer, "period", &provision->period);
	PutActors(writer, provision->actors);
	PutUses(writer, provision);
	PutKinds(writer, provision);
	PutPeriod(writer, "dataPeriod", &provision->data_period);
	PutData(writer, provision->data);
	PutNested(writer, provision);
	PutClose(writer, '}');
}

/* The root of R5: a decision, a period and exceptions, nothing else. */
static void
PutRootR5(FhirWriter *writer, const FhirProvision *root)
{
	if (root->actors || root->actions || root->purposes || root->labels || root->classes ||
		root->codes || root->data_period.present || root->data)
		writer->inexpressible = true;
	PutPeriod(writer, "period", &root->period);
	PutText(writer, "decision", root->effect == PHI_VERDICT_PERMIT ? "permit" : "deny");
	PutNested(writer, root);
}

/* References of an array. */
static void
PutReferences(FhirWriter *writer, const char *name, List *references)
{
	ListCell *cell;

	if (references == NIL)
		return;
	PutOpen(writer, name, '[');
	foreach (cell, references)
	{
		PutOpen(writer, NULL, '{');
		PutText(writer, "reference", lfirst(cell));
		PutClose(writer, '}');
	}
	PutClose(writer, ']');
}

/* The policies of R4: URIs, and codes of a policyRule. */
static void
PutPoliciesR4(FhirWriter *writer, List *policies)
{
	List *codes = NIL;
	List *uris = NIL;
	ListCell *cell;

	foreach (cell, policies)
		if (strchr(lfirst(cell), '|'))
			codes = lappend(codes, lfirst(cell));
		else
			uris = lappend(uris, lfirst(cell));
	if (codes != NIL)
	{
		PutOpen(writer, "policyRule", '{');
		PutOpen(writer, "coding", '[');
		foreach (cell, codes)
		{
			const char *bar = strrchr(lfirst(cell), '|');

			PutCoding(writer, NULL, pnstrdup(lfirst(cell), bar - (char *) lfirst(cell)), bar + 1);
		}
		PutClose(writer, ']');
		PutClose(writer, '}');
	}
	if (uris == NIL)
		return;
	PutOpen(writer, "policy", '[');
	foreach (cell, uris)
	{
		PutOpen(writer, NULL, '{');
		PutText(writer, "uri", lfirst(cell));
		PutClose(writer, '}');
	}
	PutClose(writer, ']');
}

/* The policy of R5: one URI. */
static void
PutPolicyR5(FhirWriter *writer, List *policies)
{
	if (policies == NIL)
		return;
	if (list_length(policies) > 1 || strchr(linitial(policies), '|'))
		writer->inexpressible = true;
	PutOpen(writer, "policyBasis", '{');
	PutText(writer, "url", linitial(policies));
	PutClose(writer, '}');
}

/* When it was given; R5 knows days alone. */
static void
PutDated(FhirWriter *writer, const FhirPeriod *dated)
{
	char *text;

	if (!dated->present)
		return;
	text = FhirSpanText(dated->from, dated->until, FHIR_WHOLE_YEAR);
	if (!text)
		writer->inexpressible = true;
	else if (writer->r5)
		PutText(writer, "date", psprintf("%.10s", text));
	else
		PutText(writer, "dateTime", text);
}

/* Text as jsonb. */
static Jsonb *
ToJsonb(const char *text)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

Jsonb *
FhirWrite(const FhirConsent *consent, int version)
{
	FhirWriter writer = {.r5 = version == 5};

	initStringInfo(&writer.out);
	PutOpen(&writer, NULL, '{');
	PutText(&writer, "resourceType", "Consent");
	if (consent->id)
		PutText(&writer, "id", consent->id);
	PutText(&writer, "status", "active");
	if (!writer.r5)
		PutConcept(&writer, "scope", FHIR_SYSTEM_SCOPE, "patient-privacy");
	PutOpen(&writer, "category", '[');
	PutConcept(&writer, NULL, "http://loinc.org", "59284-0");
	PutClose(&writer, ']');
	PutDated(&writer, &consent->dated);
	PutReferences(&writer, writer.r5 ? "controller" : "organization", consent->organizations);
	if (writer.r5)
	{
		PutPolicyR5(&writer, consent->policies);
		PutRootR5(&writer, &consent->root);
	}
	else
	{
		PutPoliciesR4(&writer, consent->policies);
		PutProvision(&writer, "provision", &consent->root);
	}
	PutClose(&writer, '}');
	return writer.inexpressible ? NULL : ToJsonb(writer.out.data);
}
