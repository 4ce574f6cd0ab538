/*-------------------------------------------------------------------------
 * directive_source.h
 *		A compiled directive back in its source form, for tests and fuzzing.
 *
 * The program must pass phi_directive_check.  Memory: one static block, which
 * the next call uses again.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_UNIT_DIRECTIVE_SOURCE_H
#define PHI_UNIT_DIRECTIVE_SOURCE_H

#include <stdlib.h>
#include <string.h>

#include "core/directive.h"

#define SOURCE_BLOCK (16 * 1024 * 1024)

static uint64_t source_block[SOURCE_BLOCK / 8];
static size_t source_used;

/* Memory of the block, zeroed. */
static inline void *
source_alloc(size_t size)
{
	void *at = source_block + source_used;

	source_used += (size + 7) / 8;
	if (source_used > SOURCE_BLOCK / 8)
		abort();
	memset(at, 0, size);
	return at;
}

/* A list of references; moves *at. */
static inline const uint64_t *
source_references(const uint8_t **at, size_t *count)
{
	uint64_t *references;
	size_t i;

	*count = phi_get_u16(*at);
	references = source_alloc(*count * 8);
	for (i = 0, *at += 2; i < *count; i++, *at += 8)
		references[i] = phi_get_u64(*at);
	return references;
}

/* A period; moves *at. */
static inline bool
source_period(const uint8_t **at, int64_t *from, int64_t *until)
{
	*from = (int64_t) phi_get_u64(*at);
	*until = (int64_t) phi_get_u64(*at + 8);
	*at += 16;
	return true;
}

/* A list of data references; moves *at. */
static inline const phi_data_reference *
source_data(const uint8_t **at, size_t *count)
{
	phi_data_reference *data;
	size_t i;

	*count = phi_get_u16(*at);
	data = source_alloc(*count * sizeof(*data));
	for (i = 0, *at += 2; i < *count; i++, *at += 17)
		data[i] = (phi_data_reference){(phi_data_meaning) (*at)[0], phi_get_u64(*at + 1),
									   phi_get_u64(*at + 9)};
	return data;
}

static inline void source_provision(const uint8_t *at, size_t size, phi_provision *out);

/* Nested provisions; moves *at. */
static inline const phi_provision *
source_nested(const uint8_t **at, size_t *count)
{
	phi_provision *nested;
	size_t i;

	*count = phi_get_u16(*at);
	nested = source_alloc(*count * sizeof(*nested));
	for (i = 0, *at += 2; i < *count; i++)
	{
		size_t size = phi_get_u16(*at);

		source_provision(*at + 2, size, &nested[i]);
		*at += 2 + size;
	}
	return nested;
}

/* A provision of size bytes. */
static inline void
source_provision(const uint8_t *at, size_t size, phi_provision *out)
{
	const uint8_t *end = at + size;

	memset(out, 0, sizeof(*out));
	out->effect = (phi_verdict) *at++;
	while (at < end)
	{
		switch (*at++)
		{
			case 1:
				out->has_period = source_period(&at, &out->from, &out->until);
				break;
			case 2:
				out->actors = source_references(&at, &out->actor_count);
				break;
			case 3:
				out->actions = *at++;
				break;
			case 4:
				out->purpose_count = phi_get_u16(at);
				out->purposes = at + 2;
				at += 2 + out->purpose_count;
				break;
			case 5:
				out->own_purposes = source_references(&at, &out->own_purpose_count);
				break;
			case 6:
				out->rank = *at;
				out->sensitivities = phi_get_u64(at + 1);
				at += 9;
				break;
			case 7:
				out->classes = source_references(&at, &out->class_count);
				break;
			case 8:
				out->codes = source_references(&at, &out->code_count);
				break;
			case 9:
				out->has_data_period = source_period(&at, &out->data_from, &out->data_until);
				break;
			case 10:
				out->data = source_data(&at, &out->data_count);
				break;
			case 11:
				out->provisions = source_nested(&at, &out->provision_count);
				break;
			default:
				abort();
		}
	}
}

/* The source form of a whole program. */
static inline const phi_provision *
source_of(phi_bytes program)
{
	phi_provision *root;

	source_used = 0;
	root = source_alloc(sizeof(*root));
	source_provision(program.data + 1, program.size - 1, root);
	return root;
}

#endif /* PHI_UNIT_DIRECTIVE_SOURCE_H */
