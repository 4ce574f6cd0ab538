/*-------------------------------------------------------------------------
 * test_fpe.c
 *		Tokens of a text's own format, and shifts of dates.
 *-------------------------------------------------------------------------
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "core/fpe.h"

static const uint8_t key_bytes[32] = {1, 2, 3};
static const phi_bytes key = {key_bytes, 32};

/* A token has the format of its value, is another one, and gives it back. */
static void
check_round_trip(const char *text)
{
	uint8_t work[128];
	size_t size = strlen(text);
	size_t i;

	memcpy(work, text, size);
	CHECK_INT(phi_fpe_encrypt(key, work, size), PHI_OK);
	CHECK(memcmp(work, text, size) != 0);
	for (i = 0; i < size; i++)
	{
		bool is_digit = text[i] >= '0' && text[i] <= '9';
		bool is_lower = text[i] >= 'a' && text[i] <= 'z';
		bool is_upper = text[i] >= 'A' && text[i] <= 'Z';

		CHECK(is_digit   ? work[i] >= '0' && work[i] <= '9'
			  : is_lower ? work[i] >= 'a' && work[i] <= 'z'
			  : is_upper ? work[i] >= 'A' && work[i] <= 'Z'
						 : work[i] == (uint8_t) text[i]);
	}
	CHECK_INT(phi_fpe_decrypt(key, work, size), PHI_OK);
	CHECK_BYTES(work, (const uint8_t *) text, size);
}

/* What has too few or too many texts stays as it is. */
static void
check_refused(const char *text)
{
	uint8_t work[128];
	size_t size = strlen(text);

	memcpy(work, text, size);
	CHECK_INT(phi_fpe_encrypt(key, work, size), PHI_ERR_ARGUMENT);
	CHECK_INT(phi_fpe_decrypt(key, work, size), PHI_ERR_ARGUMENT);
	CHECK_BYTES(work, (const uint8_t *) text, size);
}

static void
test_formats(void)
{
	char long_text[80];

	check_round_trip("000000");
	check_round_trip("MRN-0004711");
	check_round_trip("Zo\303\253 99999/aB");
	check_round_trip("aaaaa");
	check_round_trip("999999999999999999999999999999999999999999999999999999999999999999999999");
	check_round_trip("ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ");
	check_refused("");
	check_refused("99999");
	check_refused("AB-999");
	check_refused("----------");
	check_refused("ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ");
	memset(long_text, '9', 73);
	long_text[73] = '\0';
	check_refused(long_text);
}

/* Distinct values of a mixed format have distinct tokens. */
static void
test_one_to_one(void)
{
	static uint8_t seen[676 * 10000];
	uint8_t work[8];
	int i;

	for (i = 0; i < 20000; i++)
	{
		snprintf((char *) work, sizeof(work), "%c%c%04d", 'A' + i % 26, 'A' + i / 10000, i % 10000);
		CHECK_INT(phi_fpe_encrypt(key, work, 6), PHI_OK);
		uint8_t *slot =
			&seen[((work[0] - 'A') * 26 + work[1] - 'A') * 10000 + (work[2] - '0') * 1000 +
				  (work[3] - '0') * 100 + (work[4] - '0') * 10 + work[5] - '0'];
		if (*slot)
			CHECK(!*slot);
		*slot = 1;
	}
}

static void
test_shifts(void)
{
	int count[2 * PHI_SHIFT_DAYS_MAX + 1] = {0};
	int days;
	int again;
	uint64_t token;

	for (token = 1; token <= 40000; token++)
	{
		CHECK_INT(phi_shift_days(key, token, &days), PHI_OK);
		CHECK_OR_RETURN(days >= -PHI_SHIFT_DAYS_MAX && days <= PHI_SHIFT_DAYS_MAX && days != 0);
		count[days + PHI_SHIFT_DAYS_MAX]++;
	}
	for (days = -PHI_SHIFT_DAYS_MAX; days <= PHI_SHIFT_DAYS_MAX; days++)
		CHECK(days == 0 ? count[days + PHI_SHIFT_DAYS_MAX] == 0
						: count[days + PHI_SHIFT_DAYS_MAX] > 10);
	CHECK_INT(phi_shift_days(key, 7, &days), PHI_OK);
	CHECK_INT(phi_shift_days(key, 7, &again), PHI_OK);
	CHECK_INT(days, again);
}

int
main(void)
{
	CHECK_CASE("formats, there and back, and refusals");
	test_formats();
	CHECK_CASE("one to one");
	test_one_to_one();
	CHECK_CASE("shifts of dates: whole days, never none, all of them, the same again");
	test_shifts();
	return check_done();
}
