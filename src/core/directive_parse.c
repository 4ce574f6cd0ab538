/*-------------------------------------------------------------------------
 * directive_parse.c
 *		Taking compiled provisions apart, in place.
 *
 * There is one encoding per directive, and nothing else is taken.
 *-------------------------------------------------------------------------
 */
#include "directive_format.h"

bool
phi_take(phi_bytes *rest, size_t size, phi_bytes *taken)
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

	if (!phi_take(rest, 16, &bounds))
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

	if (!phi_take(rest, 2, &count) || phi_get_u16(count.data) == 0 ||
		!phi_take(rest, phi_get_u16(count.data) * width, values))
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

	if (!phi_take(rest, 1, &set))
		return false;
	*actions = set.data[0];
	return *actions != 0 && *actions < PHI_ACTION_BIT(PHI_ACTION_COUNT);
}

/* Labels: at least one, and none that is not of the tables. */
static bool
take_labels(phi_bytes *rest, phi_parsed_provision *provision)
{
	phi_bytes labels;

	if (!phi_take(rest, 9, &labels))
		return false;
	provision->rank = labels.data[0];
	provision->sensitivities = phi_get_u64(labels.data + 1);
	return provision->rank <= RANK_MAX &&
		   (provision->sensitivities & ~phi_sensitivity_all()) == 0 &&
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

	if (!phi_take(rest, 2, &count))
		return false;
	*nested = phi_get_u16(count.data);
	return *nested != 0;
}

/* One attribute, by its tag; unknown tags are not skipped but refused. */
static bool
take_attribute(phi_bytes *rest, uint8_t tag, phi_parsed_provision *provision)
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

bool
phi_provision_take(phi_bytes *rest, phi_parsed_provision *provision)
{
	phi_bytes byte;
	uint8_t last_tag = 0;

	*provision = (phi_parsed_provision){.from = PHI_TIME_MIN, .until = PHI_TIME_MAX};
	if (!phi_take(rest, 1, &byte) ||
		(byte.data[0] != PHI_VERDICT_PERMIT && byte.data[0] != PHI_VERDICT_DENY))
		return false;
	provision->effect = (phi_verdict) byte.data[0];
	while (last_tag != TAG_PROVISIONS && phi_take(rest, 1, &byte))
	{
		if (byte.data[0] <= last_tag || !take_attribute(rest, byte.data[0], provision))
			return false;
		last_tag = byte.data[0];
	}
	return true;
}
