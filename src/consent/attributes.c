/*-------------------------------------------------------------------------
 * attributes.c
 *		What is known of a row: its labels, class, codes, time, author and
 *		references, as consents are asked about it.
 *
 * Labels and class are there from the start, because they cost little; the
 * others are gathered when a consent of the row's subject depends on them.
 * What cannot be read (null, infinite, without a resource type) is unknown: a
 * permit with such a criterion does not match it, a denial does.
 *
 * Memory: scratch of the caller's context; a RowFacts lives on the stack.
 *-------------------------------------------------------------------------
 */
#include "consent/attributes.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "datatype/timestamp.h"
#include "keyring/keyring.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* What a row without labels counts as where phi.describe() says R. */
#define RANK_RESTRICTED 5

/* Microseconds from 1970 to 2000. */
#define EPOCH_SHIFT ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* The reference of "prefix:name". */
static uint64
ReferenceOf(const char *prefix, const char *name)
{
	return ActorReference(prefix, name);
}

uint64
ClassReference(const char *resource_type)
{
	return resource_type[0] == '\0' ? 0 : ReferenceOf("class", resource_type);
}

void
FactsOfLabels(RowFacts *facts, const RowDescription *description, const phi_labels *labels)
{
	phi_consent_row *row = &facts->row;

	row->labels_known = true;
	row->labels = *labels;
	if (!description)
		return;
	row->labels.rank = Max(labels->rank, description->labels_fixed.rank);
	row->labels.sensitivities |= description->labels_fixed.sensitivities;
	row->unlabelled_rank = description->unlabelled_restricted ? RANK_RESTRICTED : 0;
}

void
AttributesInit(RowAttributes *attributes, FunctionCallInfo fcinfo, int first)
{
	memset(attributes, 0, sizeof(RowAttributes));
	attributes->fcinfo = fcinfo;
	attributes->first = first;
	for (int i = 0; i < ROW_ATTRIBUTES; i++)
	{
		Oid type = get_fn_expr_argtype(fcinfo->flinfo, first + i);

		attributes->types[i] = OidIsValid(type) ? getBaseType(type) : InvalidOid;
	}
}

/* An attribute as text, or NULL where there is none. */
static char *
AttributeText(const RowAttributes *attributes, RowAttribute which)
{
	FunctionCallInfo fcinfo = attributes->fcinfo;
	int argument = attributes->first + which;
	StringInfoData text;

	if (PG_ARGISNULL(argument) || attributes->types[which] == UNKNOWNOID)
		return NULL;
	initStringInfo(&text);
	KeyTextAppend(&text, PG_GETARG_DATUM(argument), attributes->types[which]);
	return text.data;
}

/*
 * An attribute as "Type/id": a text with a slash stands as it is, anything else
 * is the id of a resource of this type.  NULL where either is missing.
 */
static char *
AttributeReference(const RowAttributes *attributes, RowAttribute which, const char *type)
{
	char *text = AttributeText(attributes, which);

	if (!text || text[0] == '\0')
		return NULL;
	if (strchr(text, '/'))
		return text;
	return type[0] == '\0' ? NULL : psprintf("%s/%s", type, text);
}

/* One code: a bare one has no system. */
static uint64
CodeReference(const char *code)
{
	return strchr(code, '|') ? ReferenceOf("code", code) : ReferenceOf("code", psprintf("|%s", code));
}

/* The codes of a row; a null among them, or too many, and they are not known. */
static void
GatherCodes(RowFacts *facts, const RowAttributes *attributes)
{
	FunctionCallInfo fcinfo = attributes->fcinfo;
	int argument = attributes->first + ROW_CODE;
	Oid type = attributes->types[ROW_CODE];
	Oid element;
	Datum *codes;
	bool *nulls;
	int count;

	if (PG_ARGISNULL(argument) || type == UNKNOWNOID)
		return;
	element = get_element_type(type);
	if (!OidIsValid(element))
	{
		facts->codes[0] = CodeReference(AttributeText(attributes, ROW_CODE));
		count = 1;
	}
	else
	{
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), element, -1, false, TYPALIGN_INT, &codes,
						  &nulls, &count);
		if (count > ROW_MAX_CODES)
			return;
		for (int i = 0; i < count; i++)
		{
			if (nulls[i])
				return;
			facts->codes[i] = CodeReference(TextDatumGetCString(codes[i]));
		}
	}
	facts->row.codes_known = true;
	facts->row.codes = facts->codes;
	facts->row.code_count = count;
}

/* The time of a row: a date is the whole day in UTC, a timestamp is of UTC. */
static void
GatherTime(RowFacts *facts, const RowAttributes *attributes)
{
	FunctionCallInfo fcinfo = attributes->fcinfo;
	int argument = attributes->first + ROW_DATA_TIME;
	int64 from;
	int64 length = 1;

	if (PG_ARGISNULL(argument))
		return;
	switch (attributes->types[ROW_DATA_TIME])
	{
		case DATEOID:
			if (DATE_NOT_FINITE(PG_GETARG_DATEADT(argument)))
				return;
			if (pg_mul_s64_overflow(PG_GETARG_DATEADT(argument), USECS_PER_DAY, &from))
				return;
			length = USECS_PER_DAY;
			break;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			from = PG_GETARG_TIMESTAMPTZ(argument);
			if (TIMESTAMP_NOT_FINITE(from))
				return;
			break;
		default:
			return;
	}
	/* Dates end far beyond what microseconds since 1970 hold. */
	if (from > PG_INT64_MAX - EPOCH_SHIFT - length)
		return;
	facts->row.time_known = true;
	facts->row.time_from = from + EPOCH_SHIFT;
	facts->row.time_until = from + EPOCH_SHIFT + length;
}

/* The encounter of a row as a link, under the type it names itself by. */
static void
GatherEncounter(RowFacts *facts, const RowAttributes *attributes)
{
	char *encounter = AttributeReference(attributes, ROW_ENCOUNTER, "Encounter");

	if (!encounter)
		return;
	facts->link.target = ReferenceOf("data", encounter);
	*strchr(encounter, '/') = '\0';
	facts->link.type = ReferenceOf("class", encounter);
	facts->row.links = &facts->link;
	facts->row.link_count = 1;
}

/* The row's own reference, its author and its encounter. */
static void
GatherReferences(RowFacts *facts, const RowAttributes *attributes)
{
	char *reference = AttributeReference(attributes, ROW_REFERENCE, attributes->resource_type);
	char *author = AttributeReference(attributes, ROW_AUTHOR, "Practitioner");

	if (reference)
		facts->row.instance = ReferenceOf("data", reference);
	if (author)
	{
		facts->author = ReferenceOf("data", author);
		facts->row.authors = &facts->author;
		facts->row.author_count = 1;
	}
	GatherEncounter(facts, attributes);
}

void
FactsGather(RowFacts *facts, unsigned depends)
{
	unsigned missing = depends & ~facts->gathered;

	facts->depends |= depends;
	facts->gathered |= depends;
	if (!facts->attributes)
		return;
	if (missing & PHI_DEPENDS_CODES)
		GatherCodes(facts, facts->attributes);
	if (missing & PHI_DEPENDS_TIME)
		GatherTime(facts, facts->attributes);
	if (missing & PHI_DEPENDS_DATA)
		GatherReferences(facts, facts->attributes);
}
