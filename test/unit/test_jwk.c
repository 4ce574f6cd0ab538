/*-------------------------------------------------------------------------
 * test_jwk.c
 *		Key sets, and signatures against Wycheproof's vectors.
 *
 * The keys of the vectors go through the JWK reader, as those of a key file do.
 *-------------------------------------------------------------------------
 */
#include "check.h"
#include "json.h"
#include "core/jwk.h"
#include "core/mac.h"

#include <stdlib.h>

#define KEYS   4
#define TOKENS 256

#define X256 "KSexBRK64-3c_kZ4KBKLrSkDJpkZ9whgacjE32xzKDg"
#define Y256 "x3h5ZOqsAOWSH7FJimD0YGdms9loUAFVjRqXTnNBUT4"
#define X255 "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define OCT  "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static phi_json_token tokens[TOKENS];
static phi_jwk keys[KEYS];
static size_t count;

static phi_status
read_set(const char *text)
{
	return phi_jwks_read(text, strlen(text), tokens, TOKENS, keys, KEYS, &count);
}

/* A set of one key, of these members. */
static phi_status
read_one(const char *members)
{
	char text[2048];

	snprintf(text, sizeof(text), "{\"keys\":[{%s}]}", members);
	return read_set(text);
}

/* An RSA key of so many bits, all of n set but the last bytes, and this exponent. */
static phi_status
read_rsa(unsigned bits, uint8_t last, const char *e, const char *more)
{
	uint8_t n[1024];
	char encoded[1400] = "", text[2048];
	size_t size = (bits + 7) / 8;

	memset(n, 0xFF, size);
	n[0] = (uint8_t) (0xFF >> (size * 8 - bits));
	n[size - 1] = last;
	phi_base64url_encode(phi_bytes_of(n, size), encoded);
	snprintf(text, sizeof(text), "\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s", encoded, e, more);
	return read_one(text);
}

/* ---- reading ---- */

static void
check_kinds(void)
{
	CHECK_CASE("each kind has its algorithm");
	CHECK_INT(read_one("\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k1\",\"x\":\"" X255 "\""),
			  PHI_OK);
	CHECK(count == 1 && keys[0].algorithm == PHI_JWS_EDDSA && keys[0].size == 32);
	CHECK_TEXT(keys[0].id, "k1");
	CHECK_INT(read_one("\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\",\"y\":\"" Y256 "\""),
			  PHI_OK);
	CHECK(count == 1 && keys[0].algorithm == PHI_JWS_ES256 && keys[0].size == 65);
	CHECK_INT(read_rsa(2048, 0xFF, "AQAB", ""), PHI_OK);
	CHECK(count == 1 && keys[0].algorithm == PHI_JWS_RS256 && keys[0].size == 256);
	CHECK_INT(read_rsa(4096, 0xFF, "AQAB", ",\"alg\":\"PS256\""), PHI_OK);
	CHECK(count == 1 && keys[0].algorithm == PHI_JWS_PS256 && keys[0].size == 512);
	CHECK_INT(read_one("\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"" OCT "\""), PHI_OK);
	CHECK(count == 1 && keys[0].algorithm == PHI_JWS_HS256 && keys[0].size == 32);
	CHECK_INT(read_one("\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"alg\":\"Ed25519\",\"use\":\"sig\","
					   "\"key_ops\":[\"verify\"],\"x5t\":7,\"x\":\"" X255 "\""),
			  PHI_OK);
	CHECK_INT(count, 1);

	CHECK_CASE("keys of other kinds, algorithms and uses are left out");
	CHECK_INT(read_set("{\"keys\":[]}"), PHI_OK);
	CHECK_INT(count, 0);
	CHECK_INT(read_one("\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":1"), PHI_OK);
	CHECK_INT(count, 0);
	CHECK_INT(read_one("\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" X255 "\""), PHI_OK);
	CHECK_INT(count, 0);
	CHECK_INT(read_one("\"kty\":\"oct\",\"k\":\"" OCT "\""), PHI_OK); /* does not say HS256 */
	CHECK_INT(count, 0);
	CHECK_INT(read_one("\"kty\":\"oct\",\"alg\":\"HS512\",\"k\":\"" OCT "\""), PHI_OK);
	CHECK_INT(count, 0);
	CHECK_INT(read_rsa(2048, 0xFF, "AQAB", ",\"alg\":\"RSA-OAEP\""), PHI_OK);
	CHECK_INT(count, 0);
	CHECK_INT(read_rsa(2048, 0xFF, "AQAB", ",\"alg\":\"HS256\""), PHI_OK);
	CHECK_INT(count, 0);
	CHECK_INT(read_rsa(2048, 0xFF, "AQAB", ",\"use\":\"enc\""), PHI_OK);
	CHECK_INT(count, 0);
	CHECK_INT(read_rsa(2048, 0xFF, "AQAB", ",\"key_ops\":[\"encrypt\"]"), PHI_OK);
	CHECK_INT(count, 0);
	CHECK_INT(read_one("\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"alg\":\"ES256\",\"x\":\"" X255 "\""),
			  PHI_OK);
	CHECK_INT(count, 0);
}

static void
check_unfit(void)
{
	static const char *const sets[] = {"",
									   "[]",
									   "{}",
									   "null",
									   "{\"keys\":{}}",
									   "{\"keys\":[1]}",
									   "{\"keys\":[{}]}",
									   "{\"keys\":[],\"keys\":[]}",
									   "{\"keys\":[]} x"};
	static const char *const bad[] = {
		"\"kty\":\"OKP\",\"crv\":\"Ed25519\"",
		"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X255 "A\"",
		"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X255 "=\"",
		"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS\"",
		"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X255 "\",\"kid\":1",
		"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X255 "\",\"kid\":\"\"",
		"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X255 "\",\"d\":\"" X255 "\"",
		"\"kty\":\"EC\",\"crv\":\"P-384\",\"d\":\"" X255 "\"",
		"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\"",
		"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\",\"y\":\"" X256 "\"",
		"\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg\"",
		"\"kty\":\"oct\",\"alg\":\"HS256\"",
		"\"kty\":\"RSA\",\"e\":\"AQAB\""};
	char text[1024];
	size_t i;

	CHECK_CASE("what is no set of keys is refused");
	for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		CHECK_INT(read_set(sets[i]), PHI_ERR_FORMAT);
	CHECK_CASE("keys that are unfit are refused, and private ones");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (!CHECK_INT(read_one(bad[i]), PHI_ERR_FORMAT))
			printf("# %s\n", bad[i]);
		CHECK_INT(count, 0);
	}
	memset(text, 'k', sizeof(text));
	snprintf(text + 0, sizeof(text),
			 "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X255 "\",\"kid\":\"%0130d\"", 1);
	CHECK_INT(read_one(text), PHI_ERR_FORMAT);

	CHECK_CASE("RSA keys are long enough, and odd");
	CHECK_INT(read_rsa(2047, 0xFF, "AQAB", ""), PHI_ERR_FORMAT);
	CHECK_INT(read_rsa(1024, 0xFF, "AQAB", ""), PHI_ERR_FORMAT);
	CHECK_INT(read_rsa(4097, 0xFF, "AQAB", ""), PHI_ERR_FORMAT);
	CHECK_INT(read_rsa(2048, 0xFE, "AQAB", ""), PHI_ERR_FORMAT);
	CHECK_INT(read_rsa(2048, 0xFF, "AQAA", ""), PHI_ERR_FORMAT);
	CHECK_INT(read_rsa(2048, 0xFF, "AAEAAQ", ""), PHI_ERR_FORMAT);
	CHECK_INT(read_rsa(2048, 0xFF, "AQ", ""), PHI_ERR_FORMAT);
	CHECK_INT(read_rsa(2048, 0xFF, "", ""), PHI_ERR_FORMAT);
	CHECK_INT(read_rsa(2048, 0xFF, "Aw", ""), PHI_OK);

	CHECK_CASE("one id is one key, and the room is bounded");
#define K(kid) "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X255 "\",\"kid\":\"" kid "\"}"
	CHECK_INT(read_set("{\"keys\":[" K("a") "," K("b") "," K("c") "," K("d") "]}"), PHI_OK);
	CHECK_INT(count, 4);
	CHECK_INT(read_set("{\"keys\":[" K("a") "," K("b") "," K("a") "]}"), PHI_ERR_FORMAT);
	CHECK_INT(read_set("{\"keys\":[" K("a") "," K("b") "," K("c") "," K("d") "," K("e") "]}"),
			  PHI_ERR_SPACE);
	CHECK_INT(count, 0);
}

/* ---- signatures ---- */

/* A key set of a vector's JWK; kty, crv, alg, n, e, x, y are what matters. */
static bool
read_vector_key(const json *jwk)
{
	char text[2048];
	size_t used = (size_t) snprintf(text, sizeof(text), "{\"keys\":[{\"kid\":\"v\"");
	const json *member;

	for (member = json_at(jwk, 0); member != NULL; member = member->next)
	{
		if (strcmp(member->name, "kid") != 0 && used < sizeof(text))
			used += (size_t) snprintf(text + used, sizeof(text) - used, ",\"%s\":\"%s\"",
									  member->name, json_text(member));
	}
	if (used < sizeof(text))
		used += (size_t) snprintf(text + used, sizeof(text) - used, "}]}");
	return used < sizeof(text) && read_set(text) == PHI_OK && count == 1;
}

/* The same for a P-256 key, of its point: one group of the vectors has no JWK. */
static bool
read_vector_point(const json *group)
{
	uint8_t point[65];
	char x[44] = "", y[44] = "", members[160];

	if (json_hex(json_get(group, "publicKey"), "uncompressed", point, sizeof(point)) !=
		sizeof(point))
		return false;
	phi_base64url_encode(phi_bytes_of(point + 1, 32), x);
	phi_base64url_encode(phi_bytes_of(point + 33, 32), y);
	snprintf(members, sizeof(members), "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"",
			 x, y);
	return read_one(members) == PHI_OK && count == 1;
}

/* One file of vectors.  An "acceptable" one (a legacy encoding) may be either. */
static void
check_wycheproof(const char *name, const char *member, phi_jws_algorithm algorithm)
{
	static uint8_t message[8192], signature[8192];
	char path[128];
	json *file;
	const json *group, *test;
	unsigned valid = 0, invalid = 0, either = 0, disagreements = 0;

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
		if (!CHECK(json_get(group, member) != NULL ? read_vector_key(json_get(group, member))
												   : read_vector_point(group)) ||
			!CHECK_INT(keys[0].algorithm, algorithm))
			break;
		for (test = json_at(json_get(group, "tests"), 0); test != NULL; test = test->next)
		{
			const char *result = json_text(json_get(test, "result"));
			size_t message_size = json_hex(test, "msg", message, sizeof(message));
			size_t size = json_hex(test, "sig", signature, sizeof(signature));
			phi_status status;
			bool agrees;

			if (!CHECK(message_size != SIZE_MAX && size != SIZE_MAX))
				continue;
			status = phi_jwk_verify(&keys[0], phi_bytes_of(message, message_size),
									phi_bytes_of(signature, size));
			agrees = status == (strcmp(result, "valid") == 0 ? PHI_OK : PHI_ERR_AUTH);
			if (strcmp(result, "acceptable") == 0)
			{
				either++;
				agrees = status == PHI_OK || status == PHI_ERR_AUTH;
			}
			else if (strcmp(result, "valid") == 0)
				valid++;
			else
				invalid++;
			if (!agrees)
			{
				disagreements++;
				check_fail(__FILE__, __LINE__, "%s: tcId %d: %s", name,
						   (int) json_number(json_get(test, "tcId")),
						   json_text(json_get(test, "comment")));
			}
		}
	}
	CHECK(valid > 0 && invalid > 0);
	CHECK_INT(valid + invalid + either, json_number(json_get(file, "numberOfTests")));
	printf("# %s: %u valid accepted, %u invalid refused, %u either, %u disagreements\n", name,
		   valid, invalid, either, disagreements);
	json_free(file);
}

/* RFC 7515 appendix A.1: a MAC. */
static void
check_mac(void)
{
	uint8_t mac[PHI_SHA256_SIZE];
	const phi_bytes message = {(const uint8_t *) "a.b", 3};

	CHECK_CASE("a MAC is compared whole");
	CHECK_INT(read_one("\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"" OCT "\""), PHI_OK);
	CHECK_INT(phi_hmac_sha256(phi_bytes_of(keys[0].material, 32), message, mac), PHI_OK);
	CHECK_INT(phi_jwk_verify(&keys[0], message, phi_bytes_of(mac, 32)), PHI_OK);
	CHECK_INT(phi_jwk_verify(&keys[0], message, phi_bytes_of(mac, 31)), PHI_ERR_AUTH);
	CHECK_INT(phi_jwk_verify(&keys[0], message, phi_bytes_of(mac, 0)), PHI_ERR_AUTH);
	CHECK_INT(phi_jwk_verify(&keys[0], phi_bytes_of("a.c", 3), phi_bytes_of(mac, 32)),
			  PHI_ERR_AUTH);
	mac[31] ^= 1;
	CHECK_INT(phi_jwk_verify(&keys[0], message, phi_bytes_of(mac, 32)), PHI_ERR_AUTH);
	keys[0].algorithm = PHI_JWS_UNKNOWN;
	CHECK_INT(phi_jwk_verify(&keys[0], message, phi_bytes_of(mac, 32)), PHI_ERR_ARGUMENT);
}

int
main(void)
{
	check_kinds();
	check_unfit();
	check_wycheproof("ed25519", "publicKeyJwk", PHI_JWS_EDDSA);
	check_wycheproof("ecdsa_secp256r1_sha256_p1363", "publicKeyJwk", PHI_JWS_ES256);
	check_wycheproof("rsa_signature_2048_sha256", "keyJwk", PHI_JWS_RS256);
	check_wycheproof("rsa_pss_2048_sha256_mgf1_32", "publicKeyJwk", PHI_JWS_PS256);
	check_mac();
	return check_done();
}
