/*-------------------------------------------------------------------------
 * test_totp.c
 *		One-time passwords against RFC 6238, and base32 against RFC 4648.
 *-------------------------------------------------------------------------
 */
#include "check.h"
#include "json.h"
#include "core/totp.h"

/* The vectors of one hash, in 8 digits and cut to 6. */
static void
check_hash(const json *file, const char *name, phi_totp_hash hash)
{
	const json *codes = json_get(file, name);
	const json *times = json_get(file, "times");
	phi_totp totp = {.hash = hash, .digits = 8};
	char code[PHI_TOTP_DIGITS_MAX + 1];
	size_t i;

	CHECK_CASE("RFC 6238 appendix B: %s", name);
	totp.size = json_hex(json_get(file, "secrets"), name, totp.secret, sizeof(totp.secret));
	CHECK_OR_RETURN(totp.size != SIZE_MAX && json_count(codes) == json_count(times) &&
					json_count(codes) == 6);
	for (i = 0; i < json_count(codes); i++)
	{
		int64_t time = json_number(json_at(times, i));
		const char *right = json_text(json_at(codes, i));
		uint64_t step;

		totp.digits = 8;
		CHECK_INT(phi_totp_code(&totp, (uint64_t) time / PHI_TOTP_STEP, code), PHI_OK);
		CHECK_TEXT(code, right);
		CHECK_INT(phi_totp_match(&totp, time, right, 8, &step), PHI_OK);
		CHECK_INT(step, time / PHI_TOTP_STEP);
		totp.digits = 6;
		CHECK_INT(phi_totp_code(&totp, (uint64_t) time / PHI_TOTP_STEP, code), PHI_OK);
		CHECK_TEXT(code, right + 2);
	}
}

static void
check_window(void)
{
	phi_totp totp = {PHI_TOTP_SHA1, 6, 20, "12345678901234567890"};
	const int64_t now = 1700000010; /* a step begins */
	char code[PHI_TOTP_DIGITS_MAX + 1];
	uint64_t step;
	int around;

	CHECK_CASE("a code holds for its step, the one before and the one after");
	CHECK_INT(now % PHI_TOTP_STEP, 0);
	CHECK_INT(phi_totp_code(&totp, (uint64_t) now / PHI_TOTP_STEP, code), PHI_OK);
	for (around = -61; around <= 120; around++)
	{
		bool near = around >= -30 && around < 60;

		CHECK_INT(phi_totp_match(&totp, now + around, code, 6, &step),
				  near ? PHI_OK : PHI_ERR_AUTH);
		CHECK_INT(step, near ? now / PHI_TOTP_STEP : 0);
	}

	CHECK_CASE("what is no code is none");
	CHECK_INT(phi_totp_match(&totp, now, code, 5, &step), PHI_ERR_AUTH);
	CHECK_INT(phi_totp_match(&totp, now, code, 0, &step), PHI_ERR_AUTH);
	CHECK_INT(phi_totp_match(&totp, now, "abcdef", 6, &step), PHI_ERR_AUTH);
	code[5] = (char) (code[5] == '9' ? '0' : code[5] + 1);
	CHECK_INT(phi_totp_match(&totp, now, code, 6, &step), PHI_ERR_AUTH);
	CHECK_INT(phi_totp_match(&totp, 0, code, 6, &step), PHI_ERR_ARGUMENT);
	CHECK_INT(phi_totp_match(&totp, -1, code, 6, &step), PHI_ERR_ARGUMENT);

	CHECK_CASE("parameters outside their limits are refused");
	totp.digits = 5;
	CHECK_INT(phi_totp_code(&totp, 1, code), PHI_ERR_ARGUMENT);
	totp.digits = 9;
	CHECK_INT(phi_totp_code(&totp, 1, code), PHI_ERR_ARGUMENT);
	totp.digits = 6;
	totp.size = 15;
	CHECK_INT(phi_totp_code(&totp, 1, code), PHI_ERR_ARGUMENT);
	totp.size = PHI_TOTP_SECRET_MAX + 1;
	CHECK_INT(phi_totp_code(&totp, 1, code), PHI_ERR_ARGUMENT);
	totp.size = 20;
	totp.hash = 0;
	CHECK_INT(phi_totp_code(&totp, 1, code), PHI_ERR_ARGUMENT);
}

static void
check_base32(void)
{
	static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
	static const char *const coded[] = {"",        "MY",       "MZXQ",      "MZXW6",
										"MZXW6YQ", "MZXW6YTB", "MZXW6YTBOI"};
	size_t i;

	CHECK_CASE("base32 of RFC 4648 section 10, without padding");
	for (i = 0; i < 7; i++)
	{
		char out[17];

		memset(out, 0, sizeof(out));
		phi_base32_encode(phi_bytes_of(plain[i], strlen(plain[i])), out);
		CHECK_TEXT(out, coded[i]);
		CHECK_INT(phi_base32_size(strlen(plain[i])), strlen(coded[i]));
	}
}

int
main(void)
{
	json *file = json_load_shared("vectors/totp.json");

	if (file == NULL)
		check_skip("vectors/totp.json: not in the shared data");
	else
	{
		check_hash(file, "SHA1", PHI_TOTP_SHA1);
		check_hash(file, "SHA256", PHI_TOTP_SHA256);
	}
	json_free(file);
	check_window();
	check_base32();
	return check_done();
}
