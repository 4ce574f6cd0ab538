/*-------------------------------------------------------------------------
 * directive.c
 *		Compiling, checking and evaluating consent directives (program v1).
 *
 * There is one encoding per directive: values ascend strictly, an attribute
 * that matches everything is left out, and the parser takes nothing else.
 * Numbers are big-endian, so values of both widths are ordered as bytes.
 * Evaluation parses in place, once over the program, and allocates nothing.
 *-------------------------------------------------------------------------
 */
#include "directive.h"

#include <string.h>

#define VERSION       1
#define TAG_PERIOD    0x01
#define TAG_ACTORS    0x02
#define TAG_PURPOSES  0x03
#define ACTOR_WIDTH   8
#define PURPOSE_WIDTH 1
#define VALUES_MAX    255

/* A program taken apart; the lists borrow from it and are empty when absent. */
typedef struct parsed_program
{
	phi_verdict base;
	int64_t from, until;
	phi_bytes actors;
	phi_bytes purposes;
} parsed_program;

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

/* The period attribute after its tag: neither empty nor everything. */
static bool
take_period(phi_bytes *rest, parsed_program *program)
{
	phi_bytes bounds;

	if (!take(rest, 16, &bounds))
		return false;
	program->from = (int64_t) phi_get_u64(bounds.data);
	program->until = (int64_t) phi_get_u64(bounds.data + 8);
	return program->from < program->until &&
		   (program->from != PHI_TIME_MIN || program->until != PHI_TIME_MAX);
}

/* A counted list of values of width bytes after its tag, strictly ascending. */
static bool
take_values(phi_bytes *rest, size_t width, phi_bytes *values)
{
	phi_bytes count;
	size_t i;

	if (!take(rest, 1, &count) || count.data[0] == 0 || !take(rest, count.data[0] * width, values))
		return false;
	for (i = width; i < values->size; i += width)
	{
		if (memcmp(values->data + i - width, values->data + i, width) >= 0)
			return false;
	}
	return true;
}

/* One attribute, by its tag; unknown tags are not skipped but refused. */
static bool
take_attribute(phi_bytes *rest, uint8_t tag, parsed_program *program)
{
	switch (tag)
	{
		case TAG_PERIOD:
			return take_period(rest, program);
		case TAG_ACTORS:
			return take_values(rest, ACTOR_WIDTH, &program->actors);
		case TAG_PURPOSES:
			return take_values(rest, PURPOSE_WIDTH, &program->purposes) &&
				   program->purposes.data[program->purposes.size - 1] < phi_purpose_count();
		default:
			return false;
	}
}

/* The one parser: phi_directive_check and phi_directive_evaluate accept the same programs. */
static phi_status
program_parse(phi_bytes bytes, parsed_program *program)
{
	phi_bytes rest = bytes;
	phi_bytes head;
	phi_bytes tag;
	uint8_t last_tag = 0;

	*program = (parsed_program){.from = PHI_TIME_MIN, .until = PHI_TIME_MAX};
	if (!take(&rest, 2, &head))
		return PHI_ERR_FORMAT;
	if (head.data[0] != VERSION)
		return PHI_ERR_VERSION;
	if (head.data[1] != PHI_VERDICT_PERMIT && head.data[1] != PHI_VERDICT_DENY)
		return PHI_ERR_FORMAT;
	program->base = (phi_verdict) head.data[1];

	while (take(&rest, 1, &tag))
	{
		if (tag.data[0] <= last_tag || !take_attribute(&rest, tag.data[0], program))
			return PHI_ERR_FORMAT;
		last_tag = tag.data[0];
	}
	return PHI_OK;
}

phi_status
phi_directive_check(phi_bytes program)
{
	parsed_program parsed;

	return program_parse(program, &parsed);
}

/* Binary search in an ascending list of references: a session may stand for many. */
static bool
actors_contain(phi_bytes actors, uint64_t reference)
{
	size_t low = 0;
	size_t high = actors.size / ACTOR_WIDTH;

	while (low < high)
	{
		size_t middle = (low + high) / 2;
		uint64_t found = phi_get_u64(actors.data + middle * ACTOR_WIDTH);

		if (found == reference)
			return true;
		if (found < reference)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Who acts: a session that stands for nobody is unknown, and only a deny matches it. */
static bool
actors_match(const parsed_program *program, const phi_consent_request *request)
{
	size_t i;

	if (program->actors.size == 0)
		return true;
	if (request->actor_count == 0)
		return program->base == PHI_VERDICT_DENY;
	for (i = 0; i < request->actor_count; i++)
	{
		if (actors_contain(program->actors, request->actors[i]))
			return true;
	}
	return false;
}

/* What for: a purpose that is none or no row is unknown, and only a deny matches it. */
static bool
purposes_match(const parsed_program *program, phi_purpose purpose)
{
	size_t i;

	if (program->purposes.size == 0)
		return true;
	if (purpose >= phi_purpose_count())
		return program->base == PHI_VERDICT_DENY;
	for (i = 0; i < program->purposes.size; i++)
	{
		if (phi_purpose_is_a(purpose, program->purposes.data[i]))
			return true;
	}
	return false;
}

/*
 * Where actor and purpose match, the answer changes only at the next bound of
 * the period; where they do not, never.
 */
phi_status
phi_directive_evaluate(phi_bytes program, const phi_consent_request *request, phi_verdict *verdict,
					   int64_t *valid_until)
{
	parsed_program parsed;
	phi_status status;
	int64_t next = PHI_TIME_MAX;

	*verdict = PHI_VERDICT_DENY;
	status = program_parse(program, &parsed);
	if (status != PHI_OK)
		return status;

	*verdict = PHI_VERDICT_NA;
	if (!actors_match(&parsed, request) || !purposes_match(&parsed, request->purpose))
		return PHI_OK;

	if (request->now < parsed.from)
		next = parsed.from;
	else if (parsed.until == PHI_TIME_MAX)
		*verdict = parsed.base;
	else if (request->now < parsed.until)
	{
		*verdict = parsed.base;
		next = parsed.until;
	}
	if (*valid_until > next)
		*valid_until = next;
	return PHI_OK;
}

/* Whether the compiler can express the source at all. */
static bool
source_is_valid(const phi_directive *directive)
{
	size_t i;

	if (directive->base != PHI_VERDICT_PERMIT && directive->base != PHI_VERDICT_DENY)
		return false;
	if (directive->has_period && directive->from >= directive->until)
		return false;
	if (directive->actor_count > VALUES_MAX || directive->purpose_count > VALUES_MAX)
		return false;
	for (i = 0; i < directive->purpose_count; i++)
	{
		if (directive->purposes[i] >= phi_purpose_count())
			return false;
	}
	return true;
}

/* Append the period at out, unless it is open at both ends; the bytes written. */
static size_t
put_period(const phi_directive *directive, uint8_t *out)
{
	if (!directive->has_period ||
		(directive->from == PHI_TIME_MIN && directive->until == PHI_TIME_MAX))
		return 0;
	out[0] = TAG_PERIOD;
	phi_put_u64(out + 1, (uint64_t) directive->from);
	phi_put_u64(out + 9, (uint64_t) directive->until);
	return 17;
}

/*
 * Insert a value into an ascending list of count values of width bytes, unless
 * it is there: the new count.  Lists are short and compiled once.
 */
static size_t
insert_value(uint8_t *values, size_t count, const uint8_t *value, size_t width)
{
	size_t at = count;
	int order = 1;

	while (at > 0 && (order = memcmp(value, values + (at - 1) * width, width)) < 0)
		at--;
	if (at > 0 && order == 0)
		return count;
	memmove(values + (at + 1) * width, values + at * width, (count - at) * width);
	memcpy(values + at * width, value, width);
	return count + 1;
}

/* Append the actors at out, sorted and without duplicates; the bytes written. */
static size_t
put_actors(const phi_directive *directive, uint8_t *out)
{
	uint8_t reference[ACTOR_WIDTH];
	size_t count = 0;
	size_t i;

	if (directive->actor_count == 0)
		return 0;
	for (i = 0; i < directive->actor_count; i++)
	{
		phi_put_u64(reference, directive->actors[i]);
		count = insert_value(out + 2, count, reference, ACTOR_WIDTH);
	}
	out[0] = TAG_ACTORS;
	out[1] = (uint8_t) count;
	return 2 + count * ACTOR_WIDTH;
}

/* Append the purposes at out, sorted and without duplicates; the bytes written. */
static size_t
put_purposes(const phi_directive *directive, uint8_t *out)
{
	size_t count = 0;
	size_t i;

	if (directive->purpose_count == 0)
		return 0;
	for (i = 0; i < directive->purpose_count; i++)
		count = insert_value(out + 2, count, &directive->purposes[i], PURPOSE_WIDTH);
	out[0] = TAG_PURPOSES;
	out[1] = (uint8_t) count;
	return 2 + count * PURPOSE_WIDTH;
}

phi_status
phi_directive_compile(const phi_directive *directive, phi_buffer *out)
{
	uint8_t program[PHI_DIRECTIVE_MAX];
	size_t size = 2;

	if (!source_is_valid(directive))
		return PHI_ERR_ARGUMENT;
	program[0] = VERSION;
	program[1] = (uint8_t) directive->base;
	size += put_period(directive, program + size);
	size += put_actors(directive, program + size);
	size += put_purposes(directive, program + size);

	if (out->capacity < size)
		return PHI_ERR_SPACE;
	memcpy(out->data, program, size);
	out->size = size;
	return PHI_OK;
}
