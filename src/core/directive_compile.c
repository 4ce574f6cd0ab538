/*-------------------------------------------------------------------------
 * directive_compile.c
 *		Compiling consent directives (program version 2, directive.h).
 *
 * What is written is the one encoding: values and nested provisions ascend,
 * none twice, what matches everything left out.  Lists are sorted where they
 * lie in the output, by insertion; directives are compiled once.
 *-------------------------------------------------------------------------
 */
#include "directive_format.h"

/* The program under way: the first failure stays in status. */
typedef struct writer
{
	uint8_t *data;
	size_t size;
	size_t capacity;
	phi_status full; /* the status of having no room */
	phi_status status;
} writer;

/* Room for size bytes at the end, or NULL. */
static uint8_t *
put_room(writer *out, size_t size)
{
	uint8_t *at;

	if (out->status == PHI_OK && out->capacity - out->size < size)
		out->status = out->full;
	if (out->status != PHI_OK)
		return NULL;
	at = out->data + out->size;
	out->size += size;
	return at;
}

/* Refuse what has no program. */
static void
refuse(writer *out)
{
	if (out->status == PHI_OK)
		out->status = PHI_ERR_ARGUMENT;
}

/* A tag and size bytes after it, or NULL. */
static uint8_t *
put_tag(writer *out, uint8_t tag, size_t size)
{
	uint8_t *at = put_room(out, 1 + size);

	if (!at)
		return NULL;
	*at = tag;
	return at + 1;
}

/* A period, unless it is open at both ends. */
static void
put_period(writer *out, uint8_t tag, bool has_period, int64_t from, int64_t until)
{
	uint8_t *at;

	if (!has_period || (from == PHI_TIME_MIN && until == PHI_TIME_MAX))
		return;
	if (from >= until)
		refuse(out);
	at = put_tag(out, tag, 16);
	if (!at)
		return;
	phi_put_u64(at, (uint64_t) from);
	phi_put_u64(at + 8, (uint64_t) until);
}

/* The value of width bytes at an index of a source list, to 17 bytes of out; false when there is none such. */
typedef bool (*value_writer)(const void *values, size_t index, uint8_t *out);

static bool
write_reference(const void *values, size_t index, uint8_t *out)
{
	phi_put_u64(out, ((const uint64_t *) values)[index]);
	return ((const uint64_t *) values)[index] != 0;
}

static bool
write_purpose(const void *values, size_t index, uint8_t *out)
{
	*out = ((const phi_purpose *) values)[index];
	return *out < phi_purpose_count();
}

static bool
write_data(const void *values, size_t index, uint8_t *out)
{
	const phi_data_reference *data = (const phi_data_reference *) values + index;

	out[0] = (uint8_t) data->meaning;
	phi_put_u64(out + 1, data->type);
	phi_put_u64(out + 9, data->target);
	return data->meaning >= PHI_DATA_INSTANCE && data->meaning <= PHI_DATA_AUTHORED_BY &&
		   data->type != 0 && data->target != 0;
}

/* Insert a value into the ascending list of count values that ends the program: the new count. */
static size_t
insert_value(writer *out, size_t count, const uint8_t *value, size_t width)
{
	uint8_t *end = out->data + out->size;
	uint8_t *at = end;
	int order = 1;

	while (at > end - count * width && (order = memcmp(value, at - width, width)) < 0)
		at -= width;
	if (order == 0)
		return count;
	if (!put_room(out, width))
		return count;
	memmove(at + width, at, (size_t) (end - at));
	memcpy(at, value, width);
	return count + 1;
}

/* A list, unless it is empty. */
static void
put_values(writer *out, uint8_t tag, const void *values, size_t count, size_t width,
		   value_writer write)
{
	uint8_t value[DATA_WIDTH];
	uint8_t *head;
	size_t written = 0;
	size_t i;

	if (count == 0)
		return;
	head = put_tag(out, tag, 2);
	for (i = 0; i < count && out->status == PHI_OK; i++)
	{
		if (!write(values, i, value))
			refuse(out);
		else
			written = insert_value(out, written, value, width);
	}
	if (out->status == PHI_OK)
		phi_put_u16(head, (uint16_t) written);
}

/* The set of actions, unless it is empty. */
static void
put_actions(writer *out, uint8_t actions)
{
	uint8_t *at;

	if (actions == 0)
		return;
	if (actions >= PHI_ACTION_BIT(PHI_ACTION_COUNT))
		refuse(out);
	at = put_tag(out, TAG_ACTIONS, 1);
	if (at)
		*at = actions;
}

/* The labels, unless there are none. */
static void
put_labels(writer *out, uint8_t rank, uint64_t sensitivities)
{
	uint8_t *at;

	if (rank == 0 && sensitivities == 0)
		return;
	if (rank > RANK_MAX || (sensitivities & ~phi_sensitivity_all()) != 0)
		refuse(out);
	at = put_tag(out, TAG_LABELS, 9);
	if (!at)
		return;
	*at = rank;
	phi_put_u64(at + 1, sensitivities);
}

/* Reverse the bytes from a to b. */
static void
reverse(uint8_t *a, uint8_t *b)
{
	while (a < b)
	{
		uint8_t byte = *a;

		*a++ = *--b;
		*b = byte;
	}
}

/*
 * Move the last nested provision, at fresh, to its place among those from
 * first on; false when it is there already and was dropped.
 */
static bool
settle_nested(writer *out, uint8_t *first, uint8_t *fresh)
{
	uint8_t *end = out->data + out->size;
	uint8_t *at = first;
	phi_bytes added = phi_bytes_of(fresh + 2, phi_get_u16(fresh));

	while (at < fresh)
	{
		int order = phi_provision_order(added, phi_bytes_of(at + 2, phi_get_u16(at)));

		if (order == 0)
		{
			out->size -= (size_t) (end - fresh);
			return false;
		}
		if (order < 0)
			break;
		at += 2 + phi_get_u16(at);
	}
	/* Exchange the ranges at..fresh and fresh..end. */
	reverse(at, fresh);
	reverse(fresh, end);
	reverse(at, end);
	return true;
}

static void put_provision(writer *out, const phi_provision *provision, unsigned level);

/* The nested provisions, unless there are none. */
static void
put_nested(writer *out, const phi_provision *provision, unsigned level)
{
	size_t head;
	uint16_t written = 0;
	size_t i;

	if (provision->provision_count == 0 || !put_tag(out, TAG_PROVISIONS, 2))
		return;
	head = out->size - 2;
	for (i = 0; i < provision->provision_count; i++)
	{
		size_t at = out->size;

		if (!put_room(out, 2))
			return;
		put_provision(out, &provision->provisions[i], level + 1);
		if (out->status != PHI_OK)
			return;
		phi_put_u16(out->data + at, (uint16_t) (out->size - at - 2));
		written += settle_nested(out, out->data + head + 2, out->data + at);
	}
	phi_put_u16(out->data + head, written);
}

/* A provision with all that it holds. */
static void
put_provision(writer *out, const phi_provision *provision, unsigned level)
{
	uint8_t *effect;

	if (level == PHI_DIRECTIVE_DEPTH ||
		(provision->effect != PHI_VERDICT_PERMIT && provision->effect != PHI_VERDICT_DENY))
		refuse(out);
	effect = put_room(out, 1);
	if (!effect)
		return;
	*effect = (uint8_t) provision->effect;
	put_period(out, TAG_PERIOD, provision->has_period, provision->from, provision->until);
	put_values(out, TAG_ACTORS, provision->actors, provision->actor_count, REFERENCE_WIDTH,
			   write_reference);
	put_actions(out, provision->actions);
	put_values(out, TAG_PURPOSES, provision->purposes, provision->purpose_count, PURPOSE_WIDTH,
			   write_purpose);
	put_values(out, TAG_OWN_PURPOSES, provision->own_purposes, provision->own_purpose_count,
			   REFERENCE_WIDTH, write_reference);
	put_labels(out, provision->rank, provision->sensitivities);
	put_values(out, TAG_CLASSES, provision->classes, provision->class_count, REFERENCE_WIDTH,
			   write_reference);
	put_values(out, TAG_CODES, provision->codes, provision->code_count, REFERENCE_WIDTH,
			   write_reference);
	put_period(out, TAG_DATA_PERIOD, provision->has_data_period, provision->data_from,
			   provision->data_until);
	put_values(out, TAG_DATA, provision->data, provision->data_count, DATA_WIDTH, write_data);
	put_nested(out, provision, level);
}

phi_status
phi_directive_compile(const phi_provision *root, phi_buffer *out)
{
	bool ample = out->capacity >= PHI_DIRECTIVE_MAX;
	writer writer = {out->data, 0, ample ? PHI_DIRECTIVE_MAX : out->capacity,
					 ample ? PHI_ERR_ARGUMENT : PHI_ERR_SPACE, PHI_OK};
	uint8_t *version = put_room(&writer, 1);

	if (version)
	{
		*version = VERSION;
		put_provision(&writer, root, 0);
	}
	if (writer.status == PHI_OK)
		out->size = writer.size;
	return writer.status;
}
