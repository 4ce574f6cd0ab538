/*-------------------------------------------------------------------------
 * test_mac.c
 *		SHA-256, HMAC, HKDF and SipHash against published vectors.
 *-------------------------------------------------------------------------
 */
#include "check.h"
#include "json.h"
#include "core/mac.h"

#include <stdlib.h>

#define BYTES_MAX 16384

static uint8_t key[BYTES_MAX], message[BYTES_MAX], info[BYTES_MAX], expected[BYTES_MAX],
	got[BYTES_MAX];

static void
check_sha256(void)
{
	uint8_t split[PHI_SHA256_SIZE];
	size_t size;

	CHECK_CASE("SHA-256 of the FIPS 180-4 examples");
	CHECK_INT(phi_sha256(phi_bytes_of(NULL, 0), got), PHI_OK);
	CHECK_BYTES(got, "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99\x6f\xb9\x24", 16);
	CHECK_BYTES(got + 16, "\x27\xae\x41\xe4\x64\x9b\x93\x4c\xa4\x95\x99\x1b\x78\x52\xb8\x55", 16);
	CHECK_INT(phi_sha256(phi_bytes_of("abc", 3), got), PHI_OK);
	CHECK_BYTES(got, "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23", 16);
	CHECK_BYTES(got + 16, "\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad", 16);

	CHECK_CASE("SHA-256 of parts is that of the whole");
	for (size = 0; size <= 200; size++)
	{
		phi_bytes parts[3] = {
			{message, size / 3}, {NULL, 0}, {message + size / 3, size - size / 3}};

		message[size] = (uint8_t) (size * 31);
		CHECK_INT(phi_sha256(phi_bytes_of(message, size), got), PHI_OK);
		CHECK_INT(phi_sha256_parts(parts, 3, split), PHI_OK);
		CHECK_BYTES(split, got, sizeof(split));
	}
}

/* Every vector of a Wycheproof file; one(test) says whether the code agrees. */
static void
check_wycheproof(const char *name, bool (*agrees)(const json *group, const json *test))
{
	char path[128];
	json *file;
	const json *group, *test;
	unsigned valid = 0, invalid = 0, disagreements = 0;

	snprintf(path, sizeof(path), "vectors/wycheproof/%s_test.json", name);
	file = json_load_shared(path);
	if (file == NULL)
	{
		check_skip("%s: not in the shared data", path);
		return;
	}
	CHECK_CASE("Wycheproof %s", name);
	for (group = json_at(json_get(file, "testGroups"), 0); group != NULL; group = group->next)
	{
		for (test = json_at(json_get(group, "tests"), 0); test != NULL; test = test->next)
		{
			if (strcmp(json_text(json_get(test, "result")), "valid") == 0)
				valid++;
			else
				invalid++;
			if (!agrees(group, test))
			{
				disagreements++;
				check_fail(__FILE__, __LINE__, "%s: tcId %d: %s", name,
						   (int) json_number(json_get(test, "tcId")),
						   json_text(json_get(test, "comment")));
			}
		}
	}
	CHECK(valid > 0 && invalid > 0);
	CHECK_INT(valid + invalid, json_number(json_get(file, "numberOfTests")));
	check_now.failures += disagreements > 0 && check_now.failures == 0;
	printf("# %s: %u valid accepted, %u invalid refused, %u disagreements\n", name, valid, invalid,
		   disagreements);
	json_free(file);
}

static bool
hmac_agrees(const json *group, const json *test)
{
	size_t tag_size = (size_t) json_number(json_get(group, "tagSize")) / 8;
	size_t key_size = json_hex(test, "key", key, BYTES_MAX);
	size_t size = json_hex(test, "msg", message, BYTES_MAX);
	bool valid = strcmp(json_text(json_get(test, "result")), "valid") == 0;

	if (key_size == SIZE_MAX || size == SIZE_MAX || tag_size > PHI_SHA256_SIZE ||
		json_hex(test, "tag", expected, BYTES_MAX) != tag_size)
		return false;
	if (phi_hmac_sha256(phi_bytes_of(key, key_size), phi_bytes_of(message, size), got) != PHI_OK)
		return false;
	return (memcmp(got, expected, tag_size) == 0) == valid;
}

/* The invalid vectors ask for more than 255 blocks. */
static bool
hkdf_agrees(const json *group, const json *test)
{
	size_t secret_size = json_hex(test, "ikm", key, BYTES_MAX);
	size_t salt_size = json_hex(test, "salt", message, BYTES_MAX);
	size_t info_size = json_hex(test, "info", info, BYTES_MAX);
	size_t size = (size_t) json_number(json_get(test, "size"));
	bool valid = strcmp(json_text(json_get(test, "result")), "valid") == 0;
	phi_status status;

	(void) group;
	if (secret_size == SIZE_MAX || salt_size == SIZE_MAX || info_size == SIZE_MAX ||
		size > BYTES_MAX)
		return false;
	status = phi_hkdf_sha256(phi_bytes_of(key, secret_size), phi_bytes_of(message, salt_size),
							 phi_bytes_of(info, info_size), got, size);
	if (!valid)
		return status == PHI_ERR_ARGUMENT;
	return status == PHI_OK && json_hex(test, "okm", expected, BYTES_MAX) == size &&
		   memcmp(got, expected, size) == 0;
}

static void
check_hmac_key_sizes(void)
{
	CHECK_CASE("HMAC hashes a key longer than a block, and none shorter");
	memset(key, 0xaa, 131);
	CHECK_INT(phi_hmac_sha256(
				  phi_bytes_of(key, 131),
				  phi_bytes_of("Test Using Larger Than Block-Size Key - Hash Key First", 54), got),
			  PHI_OK); /* RFC 4231 case 6 */
	CHECK_BYTES(got, "\x60\xe4\x31\x59\x1e\xe0\xb6\x7f\x0d\x8a\x26\xaa\xcb\xf5\xb7\x7f", 16);
	CHECK_INT(phi_sha256(phi_bytes_of(key, 65), expected), PHI_OK);
	CHECK_INT(phi_hmac_sha256(phi_bytes_of(expected, 32), phi_bytes_of("m", 1), expected + 32),
			  PHI_OK);
	CHECK_INT(phi_hmac_sha256(phi_bytes_of(key, 65), phi_bytes_of("m", 1), got), PHI_OK);
	CHECK_BYTES(got, expected + 32, 32);
	CHECK_INT(phi_sha256(phi_bytes_of(key, 64), expected), PHI_OK);
	CHECK_INT(phi_hmac_sha256(phi_bytes_of(expected, 32), phi_bytes_of("m", 1), expected + 32),
			  PHI_OK);
	CHECK_INT(phi_hmac_sha256(phi_bytes_of(key, 64), phi_bytes_of("m", 1), got), PHI_OK);
	CHECK(memcmp(got, expected + 32, 32) != 0);
}

static void
check_siphash(void)
{
	json *file = json_load_shared("vectors/siphash24.json");
	const json *digest;
	uint8_t little[8];
	size_t size = 0, i;

	if (file == NULL)
	{
		check_skip("vectors/siphash24.json: not in the shared data");
		return;
	}
	CHECK_CASE("SipHash-2-4 of every length in the file");
	CHECK_INT(json_hex(file, "key", key, BYTES_MAX), PHI_SIPHASH_KEY);
	digest = json_at(json_get(file, "digests_little_endian_by_length"), 0);
	for (; digest != NULL; digest = digest->next, size++)
	{
		uint64_t hash;

		message[size] = (uint8_t) size;
		hash = phi_siphash24(key, phi_bytes_of(message, size));
		for (i = 0; i < 8; i++)
			little[i] = (uint8_t) (hash >> (8 * i));
		CHECK_INT(json_hex_value(digest, expected, BYTES_MAX), 8);
		CHECK_BYTES(little, expected, 8);
	}
	CHECK(size >= 64);
	CHECK(phi_siphash24(key, phi_bytes_of(message, 15)) == 0xa129ca6149be45e5u);
	printf("# siphash24: %zu lengths\n", size);
	json_free(file);
}

int
main(void)
{
	check_sha256();
	check_hmac_key_sizes();
	check_wycheproof("hmac_sha256", hmac_agrees);
	check_wycheproof("hkdf_sha256", hkdf_agrees);
	check_siphash();
	return check_done();
}
