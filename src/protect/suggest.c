/*-------------------------------------------------------------------------
 * suggest.c
 *		Guesses of kinds, for phi.suggest: of a column's name, of a value.
 *
 * Values are looked at in their type's own text form, whose output function a
 * superuser made; no cast of anybody runs.  Only a kind's name leaves here.
 *-------------------------------------------------------------------------
 */
#include "platform/compat.h"

#include "catalog/pg_type.h"
#include "core/guess.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* Bytes of a value that are looked at. */
#define LOOK_AT 8192

PG_FUNCTION_INFO_V1(phi_kind_of_name);
PG_FUNCTION_INFO_V1(phi_kind_of_value);

/* What a type can hold; of arrays their elements'. */
static phi_guess_type
GuessType(Oid type)
{
	Oid element = get_base_element_type(type);
	char category;
	bool preferred;

	get_type_category_preferred(getBaseType(OidIsValid(element) ? element : type), &category,
								&preferred);
	switch (category)
	{
		case TYPCATEGORY_STRING:
		case TYPCATEGORY_ENUM:
			return PHI_GUESS_TEXT;
		case TYPCATEGORY_DATETIME:
			return PHI_GUESS_TIME;
		case TYPCATEGORY_NUMERIC:
			return PHI_GUESS_NUMBER;
		default:
			return PHI_GUESS_OTHER;
	}
}

/* A kind as a result: NULL for none. */
static Datum
KindDatum(FunctionCallInfo fcinfo, phi_kind kind)
{
	if (kind == PHI_KIND_NONE)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(CStringGetTextDatum(phi_kind_name(kind)));
}

/*
 * phi.kind_of_name(name text, type oid): the kind that a column of this name
 * and type may hold, or NULL.
 */
Datum
phi_kind_of_name(PG_FUNCTION_ARGS)
{
	text *name = PG_GETARG_TEXT_PP(0);

	return KindDatum(fcinfo,
					 phi_guess_name(phi_bytes_of(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)),
									GuessType(PG_GETARG_OID(1))));
}

/*
 * phi.kind_of_value("any"): the kind that a value looks like in its first
 * LOOK_AT bytes, or NULL; of an array, its first element.
 */
Datum
phi_kind_of_value(PG_FUNCTION_ARGS)
{
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	Oid output;
	bool varlena;
	char *value;
	const char *look;
	Size size;
	phi_kind kind;

	if (PG_ARGISNULL(0) || !OidIsValid(type))
		PG_RETURN_NULL();
	getTypeOutputInfo(type, &output, &varlena);
	value = OidOutputFunctionCall(output, PG_GETARG_DATUM(0));
	look = value;
	size = strnlen(value, LOOK_AT);
	if (OidIsValid(get_base_element_type(type)))
	{
		look += strspn(value, "{\"");
		size = strcspn(look, ",}\"");
	}
	kind = phi_guess_value(phi_bytes_of(look, Min(size, LOOK_AT)));
	pfree(value);
	return KindDatum(fcinfo, kind);
}
