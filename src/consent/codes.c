/*-------------------------------------------------------------------------
 * codes.c
 *		The code tables of core/codes.h as rows: views phi.code_purpose and
 *		phi.code_label.
 *-------------------------------------------------------------------------
 */
#include "consent/consent.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(phi_purpose_codes);
PG_FUNCTION_INFO_V1(phi_label_codes);

/* A text, or null without one. */
static Datum
OptionalText(const char *text, bool *isnull)
{
	*isnull = text == NULL;
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

/*
 * phi.purpose_codes(): code, the code above it, and its name.
 */
Datum
phi_purpose_codes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (phi_purpose purpose = 0; purpose < phi_purpose_count(); purpose++)
	{
		Datum values[3];
		bool nulls[3];

		values[0] = OptionalText(phi_purpose_code(purpose), &nulls[0]);
		values[1] = OptionalText(phi_purpose_parent(purpose), &nulls[1]);
		values[2] = OptionalText(phi_purpose_display(purpose), &nulls[2]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * phi.label_codes(): code, the code above it, and the rank of a confidentiality.
 */
Datum
phi_label_codes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const char *code;

	InitMaterializedSRF(fcinfo, 0);
	for (unsigned position = 0; (code = phi_label_code(position)) != NULL; position++)
	{
		unsigned rank = phi_confidentiality_rank(code, strlen(code));
		Datum values[3];
		bool nulls[3];

		values[0] = OptionalText(code, &nulls[0]);
		values[1] = OptionalText(phi_label_parent(code, strlen(code)), &nulls[1]);
		values[2] = Int32GetDatum((int32) rank);
		nulls[2] = rank == 0;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
