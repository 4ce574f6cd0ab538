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
#include "storage/shmem.h"
#include "types/sealing.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(phi_search_values);
PG_FUNCTION_INFO_V1(phi_search_sealed_value);
PG_FUNCTION_INFO_V1(phi_search_sealed_values);

/* The search key of one text. */
static Datum
KeyOfText(const ProtectedColumn *column, uint8 generation, Datum value)
{
	return PointerGetDatum(SearchKeyOfText(column, generation, value));
}

/* The search key of one sealed literal; a stored value is its own, where it has the generation. */
static Datum
KeyOfSealed(const ProtectedColumn *column, uint8 generation, Datum value)
{
	phi_header header;
	uint8 *plain;
	Size size;
	Datum key;

	ReadHeader(value, &header);
	if (header.bound && (!header.searchable || header.search_tag[0] == generation ||
						 header.dek_id == PG_UINT32_MAX))
		return value;
	plain = OpenBytes(value, &header, &size);
	key = PointerGetDatum(SearchKey(column, generation, phi_bytes_of(plain, size)));
	SecretWipe(plain, size);
	pfree(plain);
	return key;
}

/*
 * Replace every element, by two while tags are being moved to another
 * generation; NULL for a session that does not see the column's kind in full.
 */
static Datum
TagElements(FunctionCallInfo fcinfo, Oid element,
			Datum (*key_of)(const ProtectedColumn *, uint8, Datum))
{
	const ProtectedColumn *column = SearchableBySession((uint16) PG_GETARG_INT32(1));
	Oid sealed = PhiType("encrypted_text");
	Datum *values;
	Datum *keys;
	bool *nulls;
	bool *no_keys;
	int count;
	int made = 0;
	int bounds[1] = {1};

	if (!column)
		PG_RETURN_NULL();
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), element, -1, false, TYPALIGN_INT, &values, &nulls,
					  &count);
	keys = palloc(mul_size(sizeof(Datum), 2 * (Size) count + 1));
	no_keys = palloc(mul_size(sizeof(bool), 2 * (Size) count + 1));
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		no_keys[made] = nulls[i];
		keys[made++] = nulls[i] ? (Datum) 0 : key_of(column, column->search_generation, values[i]);
		if (nulls[i] || column->next_generation == 0)
			continue;
		no_keys[made] = false;
		keys[made++] = key_of(column, column->next_generation, values[i]);
	}
	PG_RETURN_ARRAYTYPE_P(
		construct_md_array(keys, no_keys, 1, &made, bounds, sealed, -1, false, TYPALIGN_INT));
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
	return KeyOfSealed(column, column->search_generation, PG_GETARG_DATUM(0));
}
