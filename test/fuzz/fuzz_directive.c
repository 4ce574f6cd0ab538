/*-------------------------------------------------------------------------
 * fuzz_directive.c
 *		Arbitrary bytes as a compiled consent directive.
 *
 * Held: what checks evaluates, and is what the compiler writes for its own
 * meaning; what does not check is refused and denies; validity is never
 * raised, and never ends in the past; whatever the row, validity and what the
 * answer depends on are the same, and where it depends on nothing the verdict
 * is.
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/directive_source.h"

#define PROGRAM_SIZE_MAX 8192

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
	static uint8_t again[PHI_DIRECTIVE_MAX];
	phi_buffer out = {again, 0, sizeof(again)};

	must(phi_directive_compile(source_of(program), &out) == PHI_OK);
	must(out.size == program.size && memcmp(again, program.data, out.size) == 0);
}

/* Evaluate; what the answer may be depends on whether the program checks. */
static phi_consent_answer
evaluate(phi_bytes program, bool checks, const phi_consent_request *request, int64_t limit)
{
	phi_consent_answer answer = {PHI_VERDICT_PERMIT, 0, limit};
	phi_status status = phi_directive_evaluate(program, request, &answer);

	must((status == PHI_OK) == checks);
	must(answer.valid_until <= limit);
	must(answer.valid_until > request->now || answer.valid_until == limit);
	must(checks || (answer.verdict == PHI_VERDICT_DENY && answer.depends == 0));
	return answer;
}

/* A row with values of the input's own. */
static void
make_row(const uint8_t *data, size_t size, uint64_t references[2], phi_consent_link *link,
		 phi_consent_row *row)
{
	references[0] = size >= 16 ? phi_get_u64(data + size - 16) : 3;
	references[1] = size >= 27 ? phi_get_u64(data + size - 27) : 4;
	*link = (phi_consent_link){references[1], references[0]};
	*row = (phi_consent_row){.labels_known = true,
							 .labels = {size > 2 ? data[2] % 7 : 0, size > 3 ? data[3] : 0},
							 .class_reference = references[1],
							 .codes_known = true,
							 .codes = references,
							 .code_count = 2,
							 .time_known = true,
							 .time_from = size,
							 .time_until = (int64_t) size + 2,
							 .instance = references[0],
							 .authors = references,
							 .author_count = 1,
							 .links = link,
							 .link_count = 1};
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t times[] = {INT64_MIN,        INT64_MIN + 1, -1,       0,
									1700000000000000, INT64_MAX - 1, INT64_MAX};
	uint64_t actors[3] = {0, 0x0102030405060708u, UINT64_MAX};
	uint64_t references[2];
	phi_consent_link link;
	phi_consent_row row;
	phi_bytes program = {data, size};
	bool checks;
	size_t i;

	if (size > PROGRAM_SIZE_MAX)
		return 0;
	checks = phi_directive_check(program) == PHI_OK;
	if (checks)
		recompile(program);

	/* An actor, a purpose and an action of the input's own, so that attributes match too. */
	if (size >= 8)
		actors[0] = phi_get_u64(data + size - 8);
	make_row(data, size, references, &link, &row);
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
	{
		phi_consent_request request = {.now = times[i],
									   .actors = i % 4 != 3 ? actors : NULL,
									   .actor_count = i % 4 % 3,
									   .purpose = size > 0 && i % 3 != 2 ? data[size - 1]
																		 : PHI_PURPOSE_NONE,
									   .own_purpose = i % 2 ? actors[0] : 0,
									   .action = (phi_action) i};
		phi_consent_answer unknown = evaluate(program, checks, &request, INT64_MAX);
		phi_consent_answer known;

		request.row = &row;
		known = evaluate(program, checks, &request, INT64_MAX);
		must(known.depends == unknown.depends && known.valid_until == unknown.valid_until);
		must(known.depends != 0 || known.verdict == unknown.verdict);
		(void) evaluate(program, checks, &request, 0);
	}
	return 0;
}
