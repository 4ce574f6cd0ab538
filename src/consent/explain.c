/*-------------------------------------------------------------------------
 * explain.c
 *		phi.explain_access(): the decision in words, with the consent behind it.
 *
 * The same decision as the row predicate's, but the consents are read from the
 * table, not from the cache.
 *-------------------------------------------------------------------------
 */
#include "consent/verdict.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "keyring/keyring.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(phi_explain_access);

/* A relation given by its OID; raises when it is not protected. */
static const ProtectedRelation *
ExplainedRelation(Oid relation)
{
	const ProtectedRelation *protected = RegistryRelation(relation);
	char *name = get_rel_name(relation);

	if (!protected)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("relation \"%s\" is not protected", name ? name : "?")));
	return protected;
}

/*
 * phi.explain_access(subject, relation, labels, code, data_time, author,
 * encounter, reference): one row of permit, reason code, the id of the consent
 * that decided (null when none did), and the reason as a sentence.
 */
Datum
phi_explain_access(PG_FUNCTION_ARGS)
{
	uint64 kinds = UINT64_MAX;
	const ProtectedRelation *relation = NULL;
	RowAttributes attributes;
	RowFacts facts = {0};
	phi_labels labels = {0};
	int64 directive = 0;
	phi_decision decision;
	TupleDesc desc;
	Datum values[4];
	bool nulls[4] = {false, false, false, false};
	Oid type;

	RequirePreload();
	type = SubjectArgumentType(fcinfo, 0);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the subject must not be null")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!PG_ARGISNULL(2))
		labels = LabelsOfArray(PG_GETARG_DATUM(2));
	AttributesInit(&attributes, fcinfo, 3);
	facts.attributes = &attributes;
	if (!PG_ARGISNULL(1))
	{
		relation = ExplainedRelation(PG_GETARG_OID(1));
		kinds = relation->kinds;
		strlcpy(attributes.resource_type, relation->description.resource_type, RESOURCE_TYPE_SIZE);
		facts.row.class_reference = ClassReference(attributes.resource_type);
	}
	FactsOfLabels(&facts, relation ? &relation->description : NULL, &labels);
	decision = DecideRow(SubjectToken(PG_GETARG_DATUM(0), type), kinds, &facts, &directive);
	values[0] = BoolGetDatum(decision.permit);
	values[1] = CStringGetTextDatum(phi_reason_code(decision.reason));
	values[2] = Int64GetDatum(directive);
	nulls[2] = directive == 0 || (decision.reason != PHI_REASON_CONSENT_DENIES &&
								  decision.reason != PHI_REASON_CONSENT_PERMITS);
	values[3] = CStringGetTextDatum(phi_reason_sentence(decision.reason));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
