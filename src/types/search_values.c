/*-------------------------------------------------------------------------
 * search_values.c
 *		Literals, tagged for a column: what =, IN and = ANY compare with.
 *
 * An index scan hashes a literal, or orders the elements of an array, before
 * it looks them up, so they must have tags of the column.
 *-------------------------------------------------------------------------
 */
#include "types/search.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "types/sealing.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(phi_search_values);
PG_FUNCTION_INFO_V1(phi_search_sealed_value);
PG_FUNCTION_INFO_V1(phi_search_sealed_values);

/* The search key of one text. */
static Datum
KeyOfText(const ProtectedColumn *column, Datum value)
{
	return PointerGetDatum(SearchKeyOfText(column, value));
}

/* The search key of one sealed literal; a stored value is its own. */
static Datum
KeyOfSealed(const ProtectedColumn *column, Datum value)
{
	phi_header header;
	uint8 *plain;
	Size size;
	Datum key;

	ReadHeader(value, &header);
	if (header.bound)
		return value;
	plain = OpenBytes(value, &header, &size);
	key = PointerGetDatum(SearchKey(column, phi_bytes_of(plain, size)));
	SecretWipe(plain, size);
	pfree(plain);
	return key;
}

/* Replace every element; NULL for a session that does not see the column's kind in full. */
static Datum
TagElements(FunctionCallInfo fcinfo, Oid element,
			Datum (*key_of)(const ProtectedColumn *, Datum))
{
	const ProtectedColumn *column = SearchableBySession((uint16) PG_GETARG_INT32(1));
	Oid sealed = PhiType("encrypted_text");
	Datum *values;
	bool *nulls;
	int count;
	int bounds[1] = {1};

	if (!column)
		PG_RETURN_NULL();
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), element, -1, false, TYPALIGN_INT, &values, &nulls,
					  &count);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!nulls[i])
			values[i] = key_of(column, values[i]);
	}
	PG_RETURN_ARRAYTYPE_P(construct_md_array(values, nulls, 1, &count, bounds, sealed, -1, false,
											 TYPALIGN_INT));
}

/*
 * phi.search_values(plain text[], column_id): phi.search_value of every element.
 */
Datum
phi_search_values(PG_FUNCTION_ARGS)
{
	return TagElements(fcinfo, TEXTOID, KeyOfText);
}

/*
 * phi.search_sealed_values(literals phi.encrypted_text[], column_id): the same
 * for literals that were sealed on the way in.
 */
Datum
phi_search_sealed_values(PG_FUNCTION_ARGS)
{
	return TagElements(fcinfo, PhiType("encrypted_text"), KeyOfSealed);
}

/*
 * phi.search_sealed_value(literal phi.encrypted_text, column_id): the same for one.
 */
Datum
phi_search_sealed_value(PG_FUNCTION_ARGS)
{
	const ProtectedColumn *column = SearchableBySession((uint16) PG_GETARG_INT32(1));

	if (!column)
		PG_RETURN_NULL();
	return KeyOfSealed(column, PG_GETARG_DATUM(0));
}
