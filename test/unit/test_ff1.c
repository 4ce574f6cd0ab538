/*-------------------------------------------------------------------------
 * test_ff1.c
 *		FF1 against NIST's samples, both ways, at the bounds, and refusals.
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "check.h"
#include "core/ff1.h"
#include "json.h"

/* The numerals of digits and lower-case letters. */
static size_t
read_numerals(const char *text, uint8_t *out)
{
	size_t size = strlen(text);

	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t) (text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
	return size;
}

static void
test_samples(void)
{
	json *document = json_load_shared("vectors/ff1.json");
	const json *vectors = json_get(document, "vectors");

	if (document == NULL)
	{
		check_skip("the samples are not there");
		return;
	}
	CHECK(json_count(vectors) == 9);
	for (size_t i = 0; i < json_count(vectors); i++)
	{
		const json *vector = json_at(vectors, i);
		uint8_t key[32], tweak[64], plain[64], cipher[64], work[64];
		size_t key_size = json_hex(vector, "key", key, sizeof(key));
		size_t tweak_size = json_hex(vector, "tweak", tweak, sizeof(tweak));
		size_t size = read_numerals(json_text(json_get(vector, "plaintext")), plain);
		unsigned radix = (unsigned) json_number(json_get(vector, "radix"));

		CHECK(read_numerals(json_text(json_get(vector, "ciphertext")), cipher) == size);
		memcpy(work, plain, size);
		CHECK(phi_ff1_encrypt(phi_bytes_of(key, key_size), phi_bytes_of(tweak, tweak_size), radix,
							  work, size) == PHI_OK);
		CHECK(memcmp(work, cipher, size) == 0);
		CHECK(phi_ff1_decrypt(phi_bytes_of(key, key_size), phi_bytes_of(tweak, tweak_size), radix,
							  work, size) == PHI_OK);
		CHECK(memcmp(work, plain, size) == 0);
	}
	json_free(document);
}

/* Every size and radix that is allowed comes back, as numerals of the radix. */
static void
test_bounds(void)
{
	static const unsigned radixes[] = {2, 3, 10, 16, 36, 63, 64};
	uint8_t key[32] = {7};
	uint8_t tweak[PHI_FF1_TWEAK_MAX] = {1, 2, 3};

	for (size_t r = 0; r < sizeof(radixes) / sizeof(radixes[0]); r++)
		for (size_t size = 4; size <= PHI_FF1_SIZE_MAX; size++)
		{
			unsigned radix = radixes[r];
			phi_bytes t = phi_bytes_of(tweak, size % (PHI_FF1_TWEAK_MAX + 1));
			uint8_t numerals[PHI_FF1_SIZE_MAX], work[PHI_FF1_SIZE_MAX];
			double domain = 1, half = 1;

			for (size_t i = 0; i < size; i++)
			{
				numerals[i] = (uint8_t) (radix - 1);
				domain *= radix;
				half *= i < (size + 1) / 2 ? radix : 1;
			}
			memcpy(work, numerals, size);
			if (domain < PHI_FF1_DOMAIN_MIN || half >= 0x1p120)
			{
				CHECK(phi_ff1_encrypt(phi_bytes_of(key, 32), t, radix, work, size) ==
					  PHI_ERR_ARGUMENT);
				continue;
			}
			CHECK(phi_ff1_encrypt(phi_bytes_of(key, 32), t, radix, work, size) == PHI_OK);
			for (size_t i = 0; i < size; i++)
				CHECK(work[i] < radix);
			CHECK(phi_ff1_decrypt(phi_bytes_of(key, 32), t, radix, work, size) == PHI_OK);
			CHECK(memcmp(work, numerals, size) == 0);
		}
}

/* One to one: no two of the six-digit numbers, of which there are a million, share a result. */
static void
test_permutation(void)
{
	static uint8_t seen[1000000 / 8];
	uint8_t key[16] = {9};
	unsigned found = 0;

	for (unsigned n = 0; n < 20000; n++)
	{
		uint8_t digits[6];
		unsigned value = 0;

		for (unsigned i = 0, rest = n; i < 6; i++, rest /= 10)
			digits[5 - i] = (uint8_t) (rest % 10);
		CHECK(phi_ff1_encrypt(phi_bytes_of(key, 16), phi_bytes_of(NULL, 0), 10, digits, 6) ==
			  PHI_OK);
		for (unsigned i = 0; i < 6; i++)
			value = value * 10 + digits[i];
		found += (seen[value / 8] >> value % 8) & 1;
		seen[value / 8] |= (uint8_t) (1 << value % 8);
	}
	CHECK(found == 0);
}

static void
test_refusals(void)
{
	uint8_t key[33] = {0};
	uint8_t tweak[PHI_FF1_TWEAK_MAX + 1] = {0};
	uint8_t digits[PHI_FF1_SIZE_MAX + 1] = {1, 2, 3, 4, 5, 6};
	phi_bytes none = phi_bytes_of(NULL, 0);

	CHECK(phi_ff1_encrypt(phi_bytes_of(key, 33), none, 10, digits, 8) == PHI_ERR_ARGUMENT);
	CHECK(phi_ff1_encrypt(none, none, 10, digits, 8) == PHI_ERR_ARGUMENT);
	CHECK(phi_ff1_encrypt(phi_bytes_of(key, 16), none, 1, digits, 8) == PHI_ERR_ARGUMENT);
	CHECK(phi_ff1_encrypt(phi_bytes_of(key, 16), none, 65, digits, 8) == PHI_ERR_ARGUMENT);
	CHECK(phi_ff1_encrypt(phi_bytes_of(key, 16), none, 10, digits, 5) == PHI_ERR_ARGUMENT);
	CHECK(phi_ff1_encrypt(phi_bytes_of(key, 16), none, 6, digits, 8) == PHI_ERR_ARGUMENT);
	CHECK(phi_ff1_encrypt(phi_bytes_of(key, 16), none, 10, digits, sizeof(digits)) ==
		  PHI_ERR_ARGUMENT);
	CHECK(phi_ff1_encrypt(phi_bytes_of(key, 16), phi_bytes_of(tweak, sizeof(tweak)), 10, digits,
						  8) == PHI_ERR_ARGUMENT);
	CHECK(digits[0] == 1 && digits[5] == 6);
}

int
main(void)
{
	CHECK_CASE("samples of SP 800-38G");
	test_samples();
	CHECK_CASE("sizes and radixes");
	test_bounds();
	CHECK_CASE("one to one");
	test_permutation();
	CHECK_CASE("refusals");
	test_refusals();
	return check_done();
}
