/*-------------------------------------------------------------------------
 * test_directive.c
 *		Consent directives: the program format to the byte, its one encoding
 *		per directive, and evaluation against an oracle on the source form.
 *-------------------------------------------------------------------------
 */
#include "check.h"

#include <stdlib.h>

#include "core/directive.h"

#define ROUNDS    200000
#define MUTATIONS 100000
#define UNTOUCHED INT64_C(123456789)

static uint64_t random_state = 88172645463325252;

/* xorshift64: the same numbers in every run. */
static uint64_t
random_below(uint64_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % bound;
}

static phi_purpose
purpose(const char *code)
{
	return phi_purpose_find(code, strlen(code));
}

/* What the compiler made of a source, by value. */
typedef struct compiled
{
	phi_status status;
	size_t size;
	uint8_t bytes[PHI_DIRECTIVE_MAX];
} compiled;

static compiled
compile(const phi_directive *directive)
{
	compiled result = {0};
	phi_buffer out = {result.bytes, 0, sizeof(result.bytes)};

	result.status = phi_directive_compile(directive, &out);
	result.size = out.size;
	return result;
}

/* Check a copy that ends where the program ends. */
static phi_status
check_copy(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	phi_status status;

	if (copy == NULL)
		abort();
	memcpy(copy, bytes, size);
	status = phi_directive_check(phi_bytes_of(copy, size));
	free(copy);
	return status;
}

static void
test_bytes(void)
{
	static const uint64_t actors[] = {0xFFEEDDCCBBAA9988, 0x0102030405060708, 0xFFEEDDCCBBAA9988};
	const phi_purpose purposes[] = {9, 3, 9, 0};
	phi_directive source = {PHI_VERDICT_DENY, true, -2, 1, actors, 3, purposes, 4};
	static const uint8_t all[] = {1, 2,   1,   255, 255, 255, 255, 255, 255, 255, 254, 0, 0, 0,
								  0, 0,   0,   0,   1,   2,   2,   1,   2,   3,   4,   5, 6, 7,
								  8, 255, 238, 221, 204, 187, 170, 153, 136, 3,   3,   0, 3, 9};
	compiled program = compile(&source);

	CHECK_CASE("a program is these bytes: sorted, without duplicates");
	CHECK_INT(program.status, PHI_OK);
	CHECK_INT(program.size, sizeof(all));
	CHECK_BYTES(program.bytes, all, sizeof(all));
	CHECK_INT(check_copy(all, sizeof(all)), PHI_OK);

	CHECK_CASE("what matches everything is left out");
	source = (phi_directive){.base = PHI_VERDICT_PERMIT,
							 .has_period = true,
							 .from = PHI_TIME_MIN,
							 .until = PHI_TIME_MAX};
	program = compile(&source);
	CHECK_INT(program.status, PHI_OK);
	CHECK_INT(program.size, 2);
	CHECK_BYTES(program.bytes, "\1\1", 2);

	CHECK_CASE("one open end is kept");
	source.until = 5;
	program = compile(&source);
	CHECK_INT(program.size, 19);
	CHECK_BYTES(program.bytes, "\1\1\1\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\5", 19);
}

static void
test_compile_limits(void)
{
	static uint64_t actors[256];
	phi_purpose purposes[256];
	phi_directive source = {.base = PHI_VERDICT_PERMIT,
							.has_period = true,
							.from = 0,
							.until = 1,
							.actors = actors,
							.actor_count = 255,
							.purposes = purposes,
							.purpose_count = 255};
	uint8_t exact[2 + 17 + 2 + 255 * 8 + 2 + 63];
	phi_buffer out = {exact, 77, sizeof(exact) - 1};
	compiled program;
	int i;

	for (i = 0; i < 256; i++)
	{
		actors[i] = UINT64_C(0x9E3779B97F4A7C15) * (uint64_t) (256 - i);
		purposes[i] = (phi_purpose) (i % 63);
	}
	CHECK_CASE("the largest program needs its exact size and no more");
	CHECK_INT(phi_directive_compile(&source, &out), PHI_ERR_SPACE);
	CHECK_INT(out.size, 77);
	out.capacity++;
	CHECK_INT(phi_directive_compile(&source, &out), PHI_OK);
	CHECK_INT(out.size, sizeof(exact));
	CHECK_INT(check_copy(exact, sizeof(exact)), PHI_OK);

	CHECK_CASE("what has no program is refused");
	source.actor_count = 256;
	CHECK_INT(compile(&source).status, PHI_ERR_ARGUMENT);
	source.actor_count = 1;
	source.purpose_count = 256;
	CHECK_INT(compile(&source).status, PHI_ERR_ARGUMENT);
	source.purpose_count = 1;
	CHECK_INT(compile(&source).status, PHI_OK);
	purposes[0] = (phi_purpose) phi_purpose_count();
	CHECK_INT(compile(&source).status, PHI_ERR_ARGUMENT);
	purposes[0] = PHI_PURPOSE_NONE;
	CHECK_INT(compile(&source).status, PHI_ERR_ARGUMENT);
	purposes[0] = 0;
	source.from = 1;
	CHECK_INT(compile(&source).status, PHI_ERR_ARGUMENT);
	source.from = 0;
	source.base = PHI_VERDICT_NA;
	CHECK_INT(compile(&source).status, PHI_ERR_ARGUMENT);
	source.base = (phi_verdict) 3;
	program = compile(&source);
	CHECK_INT(program.status, PHI_ERR_ARGUMENT);
	CHECK_INT(program.size, 0);
}

static void
test_malformed(void)
{
	static const struct
	{
		const char *what;
		size_t size;
		const char *bytes;
		phi_status status;
	} rows[] = {
		{"nothing", 0, "", PHI_ERR_FORMAT},
		{"a version alone", 1, "\1", PHI_ERR_FORMAT},
		{"version 0", 2, "\0\1", PHI_ERR_VERSION},
		{"version 2", 2, "\2\1", PHI_ERR_VERSION},
		{"base NA", 2, "\1\0", PHI_ERR_FORMAT},
		{"base 3", 2, "\1\3", PHI_ERR_FORMAT},
		{"tag 0", 3, "\1\1\0", PHI_ERR_FORMAT},
		{"tag 4", 4, "\1\1\4\1", PHI_ERR_FORMAT},
		{"no actors", 4, "\1\1\2\0", PHI_ERR_FORMAT},
		{"no purposes", 4, "\1\1\3\0", PHI_ERR_FORMAT},
		{"half an actor", 8, "\1\1\2\1abcd", PHI_ERR_FORMAT},
		{"a purpose too few", 5, "\1\1\3\2\1", PHI_ERR_FORMAT},
		{"a purpose too many", 6, "\1\1\3\1\1\2", PHI_ERR_FORMAT},
		{"purposes descend", 6, "\1\1\3\2\2\1", PHI_ERR_FORMAT},
		{"a purpose twice", 6, "\1\1\3\2\2\2", PHI_ERR_FORMAT},
		{"purpose 63", 5, "\1\1\3\1\77", PHI_ERR_FORMAT},
		{"purpose 255", 6, "\1\1\3\2\1\377", PHI_ERR_FORMAT},
		{"actors descend", 20, "\1\1\2\2bbbbbbbbaaaaaaaa", PHI_ERR_FORMAT},
		{"an actor twice", 20, "\1\1\2\2bbbbbbbbbbbbbbbb", PHI_ERR_FORMAT},
		{"purposes before actors", 15, "\1\1\3\1\1\2\1abcdefgh", PHI_ERR_FORMAT},
		{"purposes twice", 8, "\1\1\3\1\1\3\1\2", PHI_ERR_FORMAT},
		{"an empty period", 19, "\1\1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1", PHI_ERR_FORMAT},
		{"a period backward", 19, "\1\1\1\0\0\0\0\0\0\0\0\x80\0\0\0\0\0\0\0", PHI_ERR_FORMAT},
		{"a period open at both ends", 19,
		 "\1\1\1\x80\0\0\0\0\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", PHI_ERR_FORMAT},
		{"a short period", 18, "\1\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", PHI_ERR_FORMAT},
	};
	phi_consent_request request = {.now = 0, .purpose = 0};
	size_t i;

	CHECK_CASE("the largest valid row and period are accepted");
	CHECK_INT(check_copy((const uint8_t *) "\1\2\3\1\76", 5), PHI_OK);
	CHECK_INT(check_copy(
				  (const uint8_t *) "\1\1\1\x80\0\0\0\0\0\0\1\x7f\xff\xff\xff\xff\xff\xff\xff", 19),
			  PHI_OK);

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		phi_verdict verdict = PHI_VERDICT_NA;
		int64_t valid_until = UNTOUCHED;

		CHECK_CASE("malformed: %s", rows[i].what);
		CHECK_INT(check_copy((const uint8_t *) rows[i].bytes, rows[i].size), rows[i].status);
		CHECK_INT(phi_directive_evaluate(phi_bytes_of(rows[i].bytes, rows[i].size), &request,
										 &verdict, &valid_until),
				  rows[i].status);
		CHECK_INT(verdict, PHI_VERDICT_DENY);
		CHECK_INT(valid_until, UNTOUCHED);
	}
}

/* A program that passes the check, back to its source; the arrays are the caller's. */
static phi_directive
source_of(const uint8_t *at, size_t size, uint64_t actors[255], phi_purpose purposes[255])
{
	const uint8_t *end = at + size;
	phi_directive source = {.base = (phi_verdict) at[1], .actors = actors, .purposes = purposes};

	at += 2;
	if (at < end && *at == 1)
	{
		source.has_period = true;
		source.from = (int64_t) phi_get_u64(at + 1);
		source.until = (int64_t) phi_get_u64(at + 9);
		at += 17;
	}
	if (at < end && *at == 2)
	{
		for (source.actor_count = 0; source.actor_count < at[1]; source.actor_count++)
			actors[source.actor_count] = phi_get_u64(at + 2 + 8 * source.actor_count);
		at += 2 + 8 * source.actor_count;
	}
	if (at < end && *at == 3)
	{
		source.purpose_count = at[1];
		memcpy(purposes, at + 2, source.purpose_count);
	}
	return source;
}

/* A random source of few values, so that requests meet them often. */
static phi_directive
random_source(uint64_t actors[255], phi_purpose purposes[255])
{
	phi_directive source = {.base = random_below(2) ? PHI_VERDICT_PERMIT : PHI_VERDICT_DENY,
							.has_period = random_below(2) == 0,
							.actors = actors,
							.purposes = purposes};
	size_t i;

	source.from = random_below(4) ? (int64_t) random_below(20) - 10 : PHI_TIME_MIN;
	source.until = random_below(4) ? source.from + 1 + (int64_t) random_below(10) : PHI_TIME_MAX;
	if (source.from == PHI_TIME_MIN && source.until != PHI_TIME_MAX)
		source.until = (int64_t) random_below(20) - 10;
	source.actor_count = random_below(2) ? random_below(6) : 0;
	for (i = 0; i < source.actor_count; i++)
		actors[i] = random_below(12) << (random_below(2) ? 0 : 60);
	source.purpose_count = random_below(2) ? random_below(4) : 0;
	for (i = 0; i < source.purpose_count; i++)
		purposes[i] = (phi_purpose) random_below(phi_purpose_count());
	return source;
}

/* The answer by the definition, on the source. */
static phi_verdict
oracle_verdict(const phi_directive *source, const phi_consent_request *request)
{
	bool unknown_matches = source->base == PHI_VERDICT_DENY;
	bool actor = source->actor_count == 0 || (request->actor_count == 0 && unknown_matches);
	bool wanted =
		source->purpose_count == 0 || (request->purpose == PHI_PURPOSE_NONE && unknown_matches);
	size_t i;
	size_t j;

	for (i = 0; i < source->actor_count; i++)
	{
		for (j = 0; j < request->actor_count; j++)
			actor |= source->actors[i] == request->actors[j];
	}
	for (i = 0; i < source->purpose_count; i++)
		wanted |= phi_purpose_is_a(request->purpose, source->purposes[i]);
	if (source->has_period && request->now < source->from)
		return PHI_VERDICT_NA;
	if (source->has_period && source->until != PHI_TIME_MAX && request->now >= source->until)
		return PHI_VERDICT_NA;
	return actor && wanted ? source->base : PHI_VERDICT_NA;
}

/*
 * valid_until is exact: nothing changes before it, and something changes at it
 * unless it is where the caller had it.
 */
static void
check_valid_until(const phi_directive *source, const phi_consent_request *request,
				  phi_verdict verdict, int64_t valid_until, int64_t before)
{
	phi_consent_request later = *request;

	CHECK(valid_until > request->now && valid_until <= before);
	for (later.now = request->now; later.now < valid_until; later.now++)
		CHECK_INT(oracle_verdict(source, &later), verdict);
	if (valid_until < before)
		CHECK(oracle_verdict(source, &later) != verdict);
}

static void
test_random(void)
{
	uint64_t actors[255];
	uint64_t references[4];
	phi_purpose purposes[255];
	unsigned seen[3] = {0};
	int round;

	CHECK_CASE("%d random directives agree with the definition, in time as well", ROUNDS);
	for (round = 0; round < ROUNDS; round++)
	{
		phi_directive source = random_source(actors, purposes);
		compiled program = compile(&source);
		phi_consent_request request = {.now = (int64_t) random_below(24) - 12,
									   .actors = references,
									   .actor_count = random_below(5),
									   .purpose = PHI_PURPOSE_NONE};
		phi_verdict verdict = PHI_VERDICT_NA;
		int64_t before = request.now + 1 + (int64_t) random_below(30);
		int64_t valid_until = before;
		size_t i;

		for (i = 0; i < request.actor_count; i++)
			references[i] = random_below(12) << (random_below(2) ? 0 : 60);
		if (random_below(8) > 0)
			request.purpose = (phi_purpose) random_below(phi_purpose_count());
		CHECK_INT(program.status, PHI_OK);
		CHECK_INT(phi_directive_evaluate(phi_bytes_of(program.bytes, program.size), &request,
										 &verdict, &valid_until),
				  PHI_OK);
		CHECK_INT(verdict, oracle_verdict(&source, &request));
		check_valid_until(&source, &request, verdict, valid_until, before);
		seen[verdict]++;
	}
	CHECK(seen[PHI_VERDICT_NA] > 1000 && seen[PHI_VERDICT_PERMIT] > 1000 &&
		  seen[PHI_VERDICT_DENY] > 1000);
}

static void
test_one_encoding(void)
{
	uint64_t actors[255];
	phi_purpose purposes[255];
	unsigned accepted = 0;
	int round;

	CHECK_CASE("whatever bytes are accepted, the compiler gives them back");
	for (round = 0; round < MUTATIONS; round++)
	{
		phi_directive source = random_source(actors, purposes);
		compiled program = compile(&source);
		compiled again;

		if (random_below(4) == 0)
			program.size = random_below(program.size + 1);
		else
			program.bytes[random_below(program.size)] = (uint8_t) random_below(256);
		if (check_copy(program.bytes, program.size) != PHI_OK)
			continue;
		accepted++;
		source = source_of(program.bytes, program.size, actors, purposes);
		again = compile(&source);
		CHECK_INT(again.status, PHI_OK);
		CHECK_INT(again.size, program.size);
		CHECK_BYTES(again.bytes, program.bytes, program.size);
	}
	CHECK(accepted > 1000 && accepted < MUTATIONS);
}

/* Evaluate a source at an instant; *valid_until is as the call leaves it. */
static phi_verdict
evaluate(const phi_directive *source, uint64_t actor, phi_purpose wanted, int64_t now,
		 int64_t *valid_until)
{
	compiled program = compile(source);
	phi_consent_request request = {now, &actor, 1, wanted};
	phi_verdict verdict = PHI_VERDICT_NA;

	CHECK_INT(phi_directive_evaluate(phi_bytes_of(program.bytes, program.size), &request, &verdict,
									 valid_until),
			  PHI_OK);
	return verdict;
}

static void
test_examples(void)
{
	const uint64_t actors[] = {7, 9};
	const phi_purpose purposes[] = {purpose("TREAT"), purpose("HPAYMT")};
	phi_directive source = {PHI_VERDICT_PERMIT, true, 100, 200, actors, 2, purposes, 2};
	int64_t until = PHI_TIME_MAX;

	CHECK_CASE("a permit matches its actors, purposes and period");
	CHECK_INT(evaluate(&source, 7, purpose("BTG"), 150, &until), PHI_VERDICT_PERMIT);
	CHECK_INT(until, 200);
	CHECK_INT(evaluate(&source, 9, purpose("ELIGDTRM"), 100, &until), PHI_VERDICT_PERMIT);
	CHECK_INT(evaluate(&source, 9, purpose("TREAT"), 199, &until), PHI_VERDICT_PERMIT);
	CHECK_INT(evaluate(&source, 9, purpose("TREAT"), 200, &until), PHI_VERDICT_NA);
	CHECK_INT(evaluate(&source, 8, purpose("TREAT"), 150, &until), PHI_VERDICT_NA);
	CHECK_INT(evaluate(&source, 9, purpose("PurposeOfUse"), 150, &until), PHI_VERDICT_NA);
	CHECK_INT(until, 200);

	CHECK_CASE("valid_until: only a bound that matters lowers it, and nothing raises it");
	CHECK_INT(evaluate(&source, 7, purpose("TREAT"), 99, &until), PHI_VERDICT_NA);
	CHECK_INT(until, 100);
	until = 170;
	CHECK_INT(evaluate(&source, 7, purpose("TREAT"), 150, &until), PHI_VERDICT_PERMIT);
	CHECK_INT(until, 170);
	until = PHI_TIME_MAX;
	CHECK_INT(evaluate(&source, 8, purpose("TREAT"), 99, &until), PHI_VERDICT_NA);
	CHECK_INT(evaluate(&source, 7, purpose("HRESCH"), 150, &until), PHI_VERDICT_NA);
	CHECK_INT(evaluate(&source, 7, purpose("TREAT"), 200, &until), PHI_VERDICT_NA);
	CHECK(until == PHI_TIME_MAX);

	CHECK_CASE("an open end holds to the last instant");
	source.until = PHI_TIME_MAX;
	CHECK_INT(evaluate(&source, 7, purpose("TREAT"), PHI_TIME_MAX, &until), PHI_VERDICT_PERMIT);
	source.from = PHI_TIME_MIN;
	source.until = 5;
	CHECK_INT(evaluate(&source, 7, purpose("TREAT"), PHI_TIME_MIN, &until), PHI_VERDICT_PERMIT);
	CHECK_INT(until, 5);

	CHECK_CASE("an unknown purpose or actor: a permit does not match, a deny does");
	source.has_period = false;
	CHECK_INT(evaluate(&source, 7, PHI_PURPOSE_NONE, 0, &until), PHI_VERDICT_NA);
	CHECK_INT(evaluate(&source, 7, (phi_purpose) phi_purpose_count(), 0, &until), PHI_VERDICT_NA);
	source.base = PHI_VERDICT_DENY;
	CHECK_INT(evaluate(&source, 7, PHI_PURPOSE_NONE, 0, &until), PHI_VERDICT_DENY);
	CHECK_INT(evaluate(&source, 8, PHI_PURPOSE_NONE, 0, &until), PHI_VERDICT_NA);
	CHECK_INT(evaluate(&source, 7, (phi_purpose) phi_purpose_count(), 0, &until), PHI_VERDICT_DENY);

	CHECK_CASE("verdicts combine: deny before permit before none");
	CHECK_INT(phi_verdict_combine(PHI_VERDICT_PERMIT, PHI_VERDICT_DENY), PHI_VERDICT_DENY);
	CHECK_INT(phi_verdict_combine(PHI_VERDICT_PERMIT, PHI_VERDICT_NA), PHI_VERDICT_PERMIT);
	CHECK_INT(phi_verdict_combine(PHI_VERDICT_NA, PHI_VERDICT_NA), PHI_VERDICT_NA);
}

int
main(void)
{
	test_bytes();
	test_compile_limits();
	test_malformed();
	test_examples();
	test_random();
	test_one_encoding();
	return check_done();
}
