/*-------------------------------------------------------------------------
 * directive.c
 *		Checking and evaluating consent directives (program version 2).
 *
 * One walk does both: it parses every provision in place, once, and allocates
 * nothing; a provision that does not match is parsed all the same.  There is
 * one encoding per directive, and the parser takes nothing else.
 *
 * Matching has three values; a provision matches by them as its effect says:
 * a permit where everything is certain, a deny where nothing rules it out.
 *-------------------------------------------------------------------------
 */
#include "directive.h"

#include <string.h>

#include "directive_format.h"

/* A provision taken apart; what it holds is borrowed, a list empty when absent. */
typedef struct parsed_provision
{
	phi_verdict effect;
	int64_t from, until;
	phi_bytes actors;
	uint8_t actions; /* 0 when absent */
	phi_bytes purposes;
	phi_bytes own_purposes;
	uint8_t rank;
	uint64_t sensitivities;
	phi_bytes classes;
	phi_bytes codes;
	bool has_data_period;
	int64_t data_from, data_until;
	phi_bytes data;
	uint16_t nested_count;
	unsigned depends; /* PHI_DEPENDS_* of the attributes it has */
} parsed_provision;

/* How certain it is that an attribute matches, in ascending order. */
typedef enum certainty
{
	NEVER,
	PERHAPS,
	SURELY
} certainty;

/* A walk over one program. */
typedef struct walk
{
	const phi_consent_request *request; /* NULL: only the structure is checked */
	unsigned depends;
	int64_t valid_until;
} walk;

/* What came of one provision. */
typedef struct outcome
{
	phi_verdict effect;
	bool context; /* period, actors, actions and purposes match */
	bool row;	  /* and so do its other attributes */
	phi_verdict nested;			/* of nested provisions that match */
	phi_verdict nested_permits; /* the same of permits alone */
} outcome;

/* Split size bytes off the front of rest: every read of a program goes through here. */
static bool
take(phi_bytes *rest, size_t size, phi_bytes *taken)
{
	if (rest->size < size)
		return false;
	*taken = phi_bytes_of(rest->data, size);
	*rest = phi_bytes_of(rest->data + size, rest->size - size);
	return true;
}

/* A period after its tag: neither empty nor everything. */
static bool
take_period(phi_bytes *rest, int64_t *from, int64_t *until)
{
	phi_bytes bounds;

	if (!take(rest, 16, &bounds))
		return false;
	*from = (int64_t) phi_get_u64(bounds.data);
	*until = (int64_t) phi_get_u64(bounds.data + 8);
	return *from < *until && (*from != PHI_TIME_MIN || *until != PHI_TIME_MAX);
}

/* A counted list of values of width bytes after its tag, strictly ascending. */
static bool
take_values(phi_bytes *rest, size_t width, phi_bytes *values)
{
	phi_bytes count;
	size_t i;

	if (!take(rest, 2, &count) || phi_get_u16(count.data) == 0 ||
		!take(rest, phi_get_u16(count.data) * width, values))
		return false;
	for (i = width; i < values->size; i += width)
	{
		if (memcmp(values->data + i - width, values->data + i, width) >= 0)
			return false;
	}
	return true;
}

/* A list of references: they ascend, so that only the first could be 0. */
static bool
take_references(phi_bytes *rest, phi_bytes *values)
{
	return take_values(rest, REFERENCE_WIDTH, values) && phi_get_u64(values->data) != 0;
}

/* A list of rows of the purpose table. */
static bool
take_purposes(phi_bytes *rest, phi_bytes *values)
{
	return take_values(rest, PURPOSE_WIDTH, values) &&
		   values->data[values->size - 1] < phi_purpose_count();
}

/* A set of actions. */
static bool
take_actions(phi_bytes *rest, uint8_t *actions)
{
	phi_bytes set;

	if (!take(rest, 1, &set))
		return false;
	*actions = set.data[0];
	return *actions != 0 && *actions < PHI_ACTION_BIT(PHI_ACTION_COUNT);
}

/* Labels: at least one, and none that is not of the tables. */
static bool
take_labels(phi_bytes *rest, parsed_provision *provision)
{
	phi_bytes labels;

	if (!take(rest, 9, &labels))
		return false;
	provision->rank = labels.data[0];
	provision->sensitivities = phi_get_u64(labels.data + 1);
	return provision->rank <= RANK_MAX && (provision->sensitivities & ~phi_sensitivity_all()) == 0 &&
		   (provision->rank != 0 || provision->sensitivities != 0);
}

/* A list of data references. */
static bool
take_data(phi_bytes *rest, phi_bytes *values)
{
	size_t i;

	if (!take_values(rest, DATA_WIDTH, values))
		return false;
	for (i = 0; i < values->size; i += DATA_WIDTH)
	{
		const uint8_t *value = values->data + i;

		if (value[0] < PHI_DATA_INSTANCE || value[0] > PHI_DATA_AUTHORED_BY ||
			phi_get_u64(value + 1) == 0 || phi_get_u64(value + 9) == 0)
			return false;
	}
	return true;
}

/* The number of nested provisions, which follow. */
static bool
take_nested_count(phi_bytes *rest, uint16_t *nested)
{
	phi_bytes count;

	if (!take(rest, 2, &count))
		return false;
	*nested = phi_get_u16(count.data);
	return *nested != 0;
}

/* One attribute, by its tag; unknown tags are not skipped but refused. */
static bool
take_attribute(phi_bytes *rest, uint8_t tag, parsed_provision *provision)
{
	switch (tag)
	{
		case TAG_PERIOD:
			return take_period(rest, &provision->from, &provision->until);
		case TAG_ACTORS:
			return take_references(rest, &provision->actors);
		case TAG_ACTIONS:
			return take_actions(rest, &provision->actions);
		case TAG_PURPOSES:
			return take_purposes(rest, &provision->purposes);
		case TAG_OWN_PURPOSES:
			return take_references(rest, &provision->own_purposes);
		case TAG_LABELS:
			provision->depends |= PHI_DEPENDS_LABELS;
			return take_labels(rest, provision);
		case TAG_CLASSES:
			provision->depends |= PHI_DEPENDS_CLASS;
			return take_references(rest, &provision->classes);
		case TAG_CODES:
			provision->depends |= PHI_DEPENDS_CODES;
			return take_references(rest, &provision->codes);
		case TAG_DATA_PERIOD:
			provision->depends |= PHI_DEPENDS_TIME;
			provision->has_data_period = true;
			return take_period(rest, &provision->data_from, &provision->data_until);
		case TAG_DATA:
			provision->depends |= PHI_DEPENDS_DATA;
			return take_data(rest, &provision->data);
		case TAG_PROVISIONS:
			return take_nested_count(rest, &provision->nested_count);
		default:
			return false;
	}
}

/* The effect and the attributes of a provision; what is left of rest is nested. */
static bool
take_provision(phi_bytes *rest, parsed_provision *provision)
{
	phi_bytes byte;
	uint8_t last_tag = 0;

	*provision = (parsed_provision){.from = PHI_TIME_MIN, .until = PHI_TIME_MAX};
	if (!take(rest, 1, &byte) ||
		(byte.data[0] != PHI_VERDICT_PERMIT && byte.data[0] != PHI_VERDICT_DENY))
		return false;
	provision->effect = (phi_verdict) byte.data[0];
	while (last_tag != TAG_PROVISIONS && take(rest, 1, &byte))
	{
		if (byte.data[0] <= last_tag || !take_attribute(rest, byte.data[0], provision))
			return false;
		last_tag = byte.data[0];
	}
	return true;
}

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
static certainty
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
static certainty
actions_match(const parsed_provision *provision, phi_action action)
{
	if (provision->actions == 0)
		return SURELY;
	if (action >= PHI_ACTION_COUNT)
		return PERHAPS;
	return provision->actions & PHI_ACTION_BIT(action) ? SURELY : NEVER;
}

/* What for.  A purpose of one's own is-a itself alone. */
static certainty
purposes_match(const parsed_provision *provision, const phi_consent_request *request)
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
static certainty
labels_match(const parsed_provision *provision, const phi_consent_row *row)
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
static certainty
data_period_match(const parsed_provision *provision, const phi_consent_row *row)
{
	bool open = provision->data_until == PHI_TIME_MAX;

	if (!provision->has_data_period)
		return SURELY;
	if (!row->time_known || row->time_from >= row->time_until)
		return PERHAPS;
	if (row->time_from >= provision->data_from && (open || row->time_until <= provision->data_until))
		return SURELY;
	if (row->time_until > provision->data_from && (open || row->time_from < provision->data_until))
		return PERHAPS;
	return NEVER;
}

/* Is the row the resource itself?  A row of another type is not, whatever its id. */
static certainty
row_is(const phi_consent_row *row, uint64_t type, uint64_t target)
{
	if (row->instance != 0)
		return row->instance == target ? SURELY : NEVER;
	return row->class_reference != 0 && row->class_reference != type ? NEVER : PERHAPS;
}

/* Does the row refer to the resource?  Known where its links of that type are. */
static certainty
row_refers_to(const phi_consent_row *row, uint64_t type, uint64_t target)
{
	certainty result = PERHAPS;
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
static certainty
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
static certainty
data_reference_match(const uint8_t *value, const phi_consent_row *row)
{
	uint64_t type = phi_get_u64(value + 1);
	uint64_t target = phi_get_u64(value + 9);
	certainty itself;
	certainty refers;

	if (value[0] == PHI_DATA_AUTHORED_BY)
		return row_written_by(row, target);
	itself = row_is(row, type, target);
	if (value[0] == PHI_DATA_INSTANCE)
		return itself;
	refers = row_refers_to(row, type, target);
	return itself > refers ? itself : refers;
}

/* Any of the data references. */
static certainty
data_match(phi_bytes data, const phi_consent_row *row)
{
	certainty best = data.size == 0 ? SURELY : NEVER;
	size_t i;

	for (i = 0; i < data.size && best != SURELY; i += DATA_WIDTH)
	{
		certainty one = data_reference_match(data.data + i, row);

		if (best < one)
			best = one;
	}
	return best;
}

/* The attributes AND: is the least certain of them certain enough for the effect? */
static bool
all_match(phi_verdict effect, const certainty *attributes, size_t count)
{
	certainty least = effect == PHI_VERDICT_PERMIT ? SURELY : PERHAPS;
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
period_matches(const parsed_provision *provision, int64_t now, int64_t *valid_until)
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

/* Who, what for and when: the period comes last, so that only bounds that matter count. */
static bool
context_matches(const parsed_provision *provision, walk *walk)
{
	const phi_consent_request *request = walk->request;
	const certainty attributes[] = {
		references_match(provision->actors, request->actors != NULL, request->actors,
						 request->actor_count),
		actions_match(provision, request->action),
		purposes_match(provision, request),
	};

	return all_match(provision->effect, attributes, sizeof(attributes) / sizeof(attributes[0])) &&
		   period_matches(provision, request->now, &walk->valid_until);
}

/* Which data. */
static bool
row_matches(const parsed_provision *provision, const phi_consent_row *row)
{
	static const phi_consent_row unknown = {0};
	const phi_consent_row *known = row ? row : &unknown;
	const certainty attributes[] = {
		labels_match(provision, known),
		references_match(provision->classes, known->class_reference != 0, &known->class_reference,
						 1),
		references_match(provision->codes, known->codes_known, known->codes, known->code_count),
		data_period_match(provision, known),
		data_match(provision->data, known),
	};

	return all_match(provision->effect, attributes, sizeof(attributes) / sizeof(attributes[0]));
}

/* What a provision that matches comes to: its effect, unless something in it overrides that. */
static phi_verdict
overridden(phi_verdict effect, phi_verdict nested)
{
	return nested == PHI_VERDICT_NA ? effect : nested;
}

/* Take the next nested provision, which must come after the last one. */
static bool
take_nested(phi_bytes *rest, phi_bytes *last)
{
	phi_bytes size;
	phi_bytes nested;

	if (!take(rest, 2, &size) || !take(rest, phi_get_u16(size.data), &nested) ||
		(last->data && phi_provision_order(*last, nested) >= 0))
		return false;
	*last = nested;
	return true;
}

/*
 * Walk one provision with all that it holds; false when it is malformed.
 * Active: everything around it matches in its context.  Whether the row matches
 * is of no concern here, so that depends and valid_until hold for every row.
 */
static bool
walk_provision(phi_bytes rest, unsigned level, walk *walk, bool active, outcome *out)
{
	parsed_provision provision;
	phi_bytes last = {0};
	unsigned i;

	*out = (outcome){0};
	if (level == PHI_DIRECTIVE_DEPTH || !take_provision(&rest, &provision))
		return false;
	out->effect = provision.effect;
	if (active && context_matches(&provision, walk))
	{
		out->context = true;
		walk->depends |= provision.depends;
		out->row = row_matches(&provision, walk->request->row);
	}

	for (i = 0; i < provision.nested_count; i++)
	{
		outcome inner;

		if (!take_nested(&rest, &last) ||
			!walk_provision(last, level + 1, walk, out->context, &inner))
			return false;
		if (inner.context && inner.row)
		{
			phi_verdict verdict = overridden(inner.effect, inner.nested);

			out->nested = phi_verdict_combine(out->nested, verdict);
			if (inner.effect == PHI_VERDICT_PERMIT)
				out->nested_permits = phi_verdict_combine(out->nested_permits, verdict);
		}
	}
	return rest.size == 0;
}

/* Walk a whole program. */
static phi_status
walk_program(phi_bytes program, walk *walk, outcome *root)
{
	phi_bytes rest = program;
	phi_bytes version;

	if (!take(&rest, 1, &version))
		return PHI_ERR_FORMAT;
	if (version.data[0] != VERSION)
		return PHI_ERR_VERSION;
	if (program.size > PHI_DIRECTIVE_MAX ||
		!walk_provision(rest, 0, walk, walk->request != NULL, root))
		return PHI_ERR_FORMAT;
	return PHI_OK;
}

phi_status
phi_directive_check(phi_bytes program)
{
	walk walk = {0};
	outcome root;

	return walk_program(program, &walk, &root);
}

/* The directive's verdict, from what came of its root. */
static phi_verdict
root_verdict(const outcome *root)
{
	if (!root->context)
		return PHI_VERDICT_NA;
	if (root->row)
		return overridden(root->effect, root->nested);
	if (root->effect == PHI_VERDICT_DENY)
		return PHI_VERDICT_NA;
	return overridden(PHI_VERDICT_DENY, root->nested_permits);
}

phi_status
phi_directive_evaluate(phi_bytes program, const phi_consent_request *request,
					   phi_consent_answer *answer)
{
	walk walk = {request, 0, answer->valid_until};
	outcome root;
	phi_status status = walk_program(program, &walk, &root);

	answer->verdict = PHI_VERDICT_DENY;
	if (status != PHI_OK)
		return status;
	answer->verdict = root_verdict(&root);
	answer->depends |= walk.depends;
	answer->valid_until = walk.valid_until;
	return PHI_OK;
}
