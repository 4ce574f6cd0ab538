/*-------------------------------------------------------------------------
 * scrub_text.c
 *		phi.scrub: identifiers taken out of free text.
 *
 * Values that are told of the person are searched for as they are; what cannot
 * be one (null, empty, a single letter) is passed over.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "catalog/pg_type.h"
#include "core/scrub.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "types/scrubbed.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(phi_scrub);

#define KNOWN_MAX 100 /* values that are told, at most */

/* Add the texts of an array, in UTF-8. */
static int
AddKnown(phi_scrub_known *known, int count, ArrayType *array, phi_scrub_tag tag)
{
	Datum *elements;
	bool *nulls;
	int given;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &given);
	if (given > KNOWN_MAX - count)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("too many known values"),
						errdetail("The limit is %d.", KNOWN_MAX)));
	for (int i = 0; i < given; i++)
	{
		char *value;

		if (nulls[i])
			continue;
		value = TextDatumGetCString(elements[i]);
		value = pg_server_to_any(value, strlen(value), PG_UTF8);
		known[count].value = phi_bytes_of(value, strlen(value));
		known[count++].tag = tag;
	}
	return count;
}

/*
 * phi.scrub(value, names, others): the text with identifiers replaced by words
 * such as [SSN]; names and others, of at most KNOWN_MAX elements in all, are what
 * is known of the person.  NULL for NULL.  Finds what core/scrub.h says, not
 * everything.
 */
Datum
phi_scrub(PG_FUNCTION_ARGS)
{
	phi_scrub_known known[KNOWN_MAX];
	int count = 0;
	char *value;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (!PG_ARGISNULL(1))
		count = AddKnown(known, count, PG_GETARG_ARRAYTYPE_P(1), PHI_SCRUB_NAME);
	if (!PG_ARGISNULL(2))
		count = AddKnown(known, count, PG_GETARG_ARRAYTYPE_P(2), PHI_SCRUB_ID);
	value = text_to_cstring(PG_GETARG_TEXT_PP(0));
	value = pg_server_to_any(value, strlen(value), PG_UTF8);
	PG_RETURN_DATUM(ScrubText(phi_bytes_of(value, strlen(value)), known, count));
}
