/*-------------------------------------------------------------------------
 * directive_match.c
 *		Matching one provision with a request.
 *
 * Matching has three values; a provision matches by them as its effect says:
 * a permit where everything is certain, a deny where nothing rules it out.
 *-------------------------------------------------------------------------
 */
#include "directive_format.h"

/* Binary search in an ascending list of references. */
static bool
references_contain(phi_bytes references, uint64_t reference)
{
	size_t low = 0;
	size_t high = references.size / REFERENCE_WIDTH;

	while (low < high)
	{
		size_t middle = (low + high) / 2;
		uint64_t found = phi_get_u64(references.data + middle * REFERENCE_WIDTH);

		if (found == reference)
			return true;
		if (found < reference)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Is one of count references listed?  An empty list matches everything. */
static phi_certainty
references_match(phi_bytes listed, bool known, const uint64_t *references, size_t count)
{
	size_t i;

	if (listed.size == 0)
		return SURELY;
	if (!known)
		return PERHAPS;
	for (i = 0; i < count; i++)
	{
		if (references_contain(listed, references[i]))
			return SURELY;
	}
	return NEVER;
}

/* What is done. */
static phi_certainty
actions_match(const phi_parsed_provision *provision, phi_action action)
{
	if (provision->actions == 0)
		return SURELY;
	if (action >= PHI_ACTION_COUNT)
		return PERHAPS;
	return provision->actions & PHI_ACTION_BIT(action) ? SURELY : NEVER;
}

/* What for.  A purpose of one's own is-a itself alone. */
static phi_certainty
purposes_match(const phi_parsed_provision *provision, const phi_consent_request *request)
{
	size_t i;

	if (provision->purposes.size == 0 && provision->own_purposes.size == 0)
		return SURELY;
	if (request->purpose >= phi_purpose_count())
	{
		if (request->own_purpose == 0)
			return PERHAPS;
		return references_contain(provision->own_purposes, request->own_purpose) ? SURELY : NEVER;
	}
	for (i = 0; i < provision->purposes.size; i++)
	{
		if (phi_purpose_is_a(request->purpose, provision->purposes.data[i]))
			return SURELY;
	}
	return NEVER;
}

/*
 * Labels differ by effect: a permit must cover the whole row, a deny is about
 * any part of it.
 */
static phi_certainty
labels_match(const phi_parsed_provision *provision, const phi_consent_row *row)
{
	uint64_t sensitivities = row->labels.sensitivities;
	unsigned rank;

	if (provision->rank == 0 && provision->sensitivities == 0)
		return SURELY;
	if (!row->labels_known)
		return PERHAPS;
	rank = phi_labels_rank(&row->labels);
	if (row->labels.rank == 0 && sensitivities == 0 && row->unlabelled_rank != 0)
		rank = row->unlabelled_rank;
	if (provision->effect == PHI_VERDICT_PERMIT)
		return rank <= provision->rank ||
					   (sensitivities != 0 && (sensitivities & ~provision->sensitivities) == 0)
				   ? SURELY
				   : NEVER;
	return (provision->rank != 0 && rank >= provision->rank) ||
				   (sensitivities & provision->sensitivities) != 0
			   ? SURELY
			   : NEVER;
}

/* When the row's data is of: a time that the period cuts through is uncertain. */
static phi_certainty
data_period_match(const phi_parsed_provision *provision, const phi_consent_row *row)
{
	bool open = provision->data_until == PHI_TIME_MAX;

	if (!provision->has_data_period)
		return SURELY;
	if (!row->time_known || row->time_from >= row->time_until)
		return PERHAPS;
	if (row->time_from >= provision->data_from &&
		(open || row->time_until <= provision->data_until))
		return SURELY;
	if (row->time_until > provision->data_from && (open || row->time_from < provision->data_until))
		return PERHAPS;
	return NEVER;
}

/* Is the row the resource itself?  A row of another type is not, whatever its id. */
static phi_certainty
row_is(const phi_consent_row *row, uint64_t type, uint64_t target)
{
	if (row->instance != 0)
		return row->instance == target ? SURELY : NEVER;
	return row->class_reference != 0 && row->class_reference != type ? NEVER : PERHAPS;
}

/* Does the row refer to the resource?  Known where its links of that type are. */
static phi_certainty
row_refers_to(const phi_consent_row *row, uint64_t type, uint64_t target)
{
	phi_certainty result = PERHAPS;
	size_t i;

	for (i = 0; i < row->link_count; i++)
	{
		if (row->links[i].target == target)
			return SURELY;
		if (row->links[i].type == type)
			result = NEVER;
	}
	return result;
}

/* Did the resource write the row? */
static phi_certainty
row_written_by(const phi_consent_row *row, uint64_t target)
{
	size_t i;

	for (i = 0; i < row->author_count; i++)
	{
		if (row->authors[i] == target)
			return SURELY;
	}
	return row->author_count > 0 ? NEVER : PERHAPS;
}

/* One data reference. */
static phi_certainty
data_reference_match(const uint8_t *value, const phi_consent_row *row)
{
	uint64_t type = phi_get_u64(value + 1);
	uint64_t target = phi_get_u64(value + 9);
	phi_certainty itself;
	phi_certainty refers;

	if (value[0] == PHI_DATA_AUTHORED_BY)
		return row_written_by(row, target);
	itself = row_is(row, type, target);
	if (value[0] == PHI_DATA_INSTANCE)
		return itself;
	refers = row_refers_to(row, type, target);
	return itself > refers ? itself : refers;
}

/* Any of the data references. */
static phi_certainty
data_match(phi_bytes data, const phi_consent_row *row)
{
	phi_certainty best = data.size == 0 ? SURELY : NEVER;
	size_t i;

	for (i = 0; i < data.size && best != SURELY; i += DATA_WIDTH)
	{
		phi_certainty one = data_reference_match(data.data + i, row);

		if (best < one)
			best = one;
	}
	return best;
}

/* The attributes AND: is the least certain of them certain enough for the effect? */
static bool
all_match(phi_verdict effect, const phi_certainty *attributes, size_t count)
{
	phi_certainty least = effect == PHI_VERDICT_PERMIT ? SURELY : PERHAPS;
	size_t i;

	for (i = 0; i < count; i++)
	{
		if (attributes[i] < least)
			return false;
	}
	return true;
}

/* Does now lie in the period?  *valid_until is lowered to its next bound. */
static bool
period_matches(const phi_parsed_provision *provision, int64_t now, int64_t *valid_until)
{
	int64_t next = PHI_TIME_MAX;
	bool inside = false;

	if (now < provision->from)
		next = provision->from;
	else if (provision->until == PHI_TIME_MAX)
		inside = true;
	else if (now < provision->until)
	{
		inside = true;
		next = provision->until;
	}
	if (*valid_until > next)
		*valid_until = next;
	return inside;
}

bool
phi_context_matches(const phi_parsed_provision *provision, const phi_consent_request *request,
					int64_t *valid_until)
{
	const phi_certainty attributes[] = {
		references_match(provision->actors, request->actors != NULL, request->actors,
						 request->actor_count),
		actions_match(provision, request->action),
		purposes_match(provision, request),
	};

	return all_match(provision->effect, attributes, sizeof(attributes) / sizeof(attributes[0])) &&
		   period_matches(provision, request->now, valid_until);
}

bool
phi_row_matches(const phi_parsed_provision *provision, const phi_consent_row *row)
{
	static const phi_consent_row unknown = {0};
	const phi_consent_row *known = row ? row : &unknown;
	const phi_certainty attributes[] = {
		labels_match(provision, known),
		references_match(provision->classes, known->class_reference != 0, &known->class_reference,
						 1),
		references_match(provision->codes, known->codes_known, known->codes, known->code_count),
		data_period_match(provision, known),
		data_match(provision->data, known),
	};

	return all_match(provision->effect, attributes, sizeof(attributes) / sizeof(attributes[0]));
}
