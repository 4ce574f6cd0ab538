/*-------------------------------------------------------------------------
 * fuzz_directive.c
 *		Arbitrary bytes as a compiled consent directive.
 *
 * Held: what checks evaluates, and is what the compiler writes for its own
 * meaning; what does not check is refused and denies; validity is never
 * raised, and never ends in the past.
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "core/directive.h"

#define PROGRAM_SIZE_MAX 4096

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise ends the run. */
static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* Read a program that checks back to its source form, and compile that again. */
static void
recompile(phi_bytes program)
{
	static uint64_t actors[255];
	uint8_t again[PHI_DIRECTIVE_MAX];
	phi_buffer out = {again, 0, sizeof(again)};
	phi_directive source = {.base = (phi_verdict) program.data[1], .actors = actors};
	const uint8_t *next = program.data + 2;
	const uint8_t *end = program.data + program.size;

	while (next < end)
	{
		uint8_t tag = *next++;

		if (tag == 0x01)
		{
			source.has_period = true;
			source.from = (int64_t) phi_get_u64(next);
			source.until = (int64_t) phi_get_u64(next + 8);
			next += 16;
		}
		else if (tag == 0x02)
		{
			size_t count = *next++;

			for (; source.actor_count < count; next += 8)
				actors[source.actor_count++] = phi_get_u64(next);
		}
		else
		{
			source.purpose_count = *next++;
			source.purposes = next;
			next += source.purpose_count;
		}
	}
	must(phi_directive_compile(&source, &out) == PHI_OK);
	must(out.size == program.size && memcmp(again, program.data, out.size) == 0);
}

/* Evaluate; what the answer may be depends on whether the program checks. */
static void
evaluate(phi_bytes program, bool checks, const phi_consent_request *request, int64_t limit)
{
	phi_verdict verdict = PHI_VERDICT_PERMIT;
	int64_t valid_until = limit;
	phi_status status = phi_directive_evaluate(program, request, &verdict, &valid_until);

	must((status == PHI_OK) == checks);
	must(valid_until <= limit);
	if (!checks)
	{
		must(verdict == PHI_VERDICT_DENY);
		return;
	}
	must(verdict == PHI_VERDICT_NA || verdict == program.data[1]);
	must(valid_until > request->now || valid_until == limit);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t times[] = {INT64_MIN,        INT64_MIN + 1, -1,       0,
									1700000000000000, INT64_MAX - 1, INT64_MAX};
	uint64_t actors[3] = {0, 0x0102030405060708u, UINT64_MAX};
	phi_bytes program = {data, size};
	bool checks;
	size_t i;

	if (size > PROGRAM_SIZE_MAX)
		return 0;
	checks = phi_directive_check(program) == PHI_OK;

	if (checks)
		recompile(program);

	/* An actor and a purpose of the input's own, so that attributes match too. */
	if (size >= 8)
		actors[0] = phi_get_u64(data + size - 8);
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
	{
		phi_purpose purpose = size > 0 && i % 3 != 2 ? data[size - 1] : PHI_PURPOSE_NONE;
		phi_consent_request request = {times[i], actors, i % 4, purpose};

		evaluate(program, checks, &request, INT64_MAX);
		evaluate(program, checks, &request, 0);
	}
	return 0;
}
