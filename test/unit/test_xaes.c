/*-------------------------------------------------------------------------
 * test_xaes.c
 *		XAES-256-GCM against the C2SP vectors and the accumulated digest; the
 *		GCM primitive beneath it against Wycheproof.
 *-------------------------------------------------------------------------
 */
#include "check.h"
#include "json.h"
#include "core/xaes.h"

#include <stdlib.h>

#define BYTES_MAX 4096

static uint8_t key[BYTES_MAX], nonce[BYTES_MAX], aad[BYTES_MAX], plain[BYTES_MAX],
	expected[BYTES_MAX], got[BYTES_MAX], back[BYTES_MAX];

static void
check_vector(const json *vector)
{
	static const uint8_t zero[16];
	uint8_t block[32];
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	phi_xaes xaes;
	size_t size = json_hex(vector, "plaintext", plain, BYTES_MAX);
	size_t aad_size = json_hex(vector, "aad", aad, BYTES_MAX);
	int written;

	CHECK_OR_RETURN(json_hex(vector, "key", key, BYTES_MAX) == PHI_KEY_SIZE);
	CHECK_OR_RETURN(json_hex(vector, "nonce", nonce, BYTES_MAX) == PHI_XAES_NONCE_SIZE);
	CHECK_OR_RETURN(size != SIZE_MAX && aad_size != SIZE_MAX && context != NULL);
	CHECK_OR_RETURN(phi_xaes_init(&xaes, key) == PHI_OK);

	/* L, K1, Kx, Nx */
	CHECK_INT(json_hex(vector, "L", expected, 16), 16);
	CHECK_INT(EVP_EncryptInit_ex2(context, EVP_aes_256_ecb(), key, NULL, NULL), 1);
	CHECK_INT(EVP_EncryptUpdate(context, block, &written, zero, 16), 1);
	CHECK_BYTES(block, expected, 16);
	CHECK_INT(json_hex(vector, "K1", expected, 16), 16);
	CHECK_BYTES(xaes.k1, expected, 16);
	CHECK_INT(json_hex(vector, "Kx", expected, 32), 32);
	CHECK_INT(phi_xaes_derive(&xaes, nonce, block), PHI_OK);
	CHECK_BYTES(block, expected, 32);
	CHECK_INT(json_hex(vector, "Nx", expected, 12), 12);
	CHECK_BYTES(nonce + 12, expected, 12);

	CHECK_INT(json_hex(vector, "ciphertext_and_tag", expected, BYTES_MAX), size + 16);
	CHECK_INT(
		phi_xaes_seal(&xaes, nonce, phi_bytes_of(aad, aad_size), phi_bytes_of(plain, size), got),
		PHI_OK);
	CHECK_BYTES(got, expected, size + 16);
	CHECK_INT(phi_xaes_open(&xaes, nonce, phi_bytes_of(aad, aad_size),
							phi_bytes_of(expected, size + 16), back),
			  PHI_OK);
	CHECK_BYTES(back, plain, size);
	phi_xaes_clear(&xaes);
	EVP_CIPHER_CTX_free(context);
}

/* The first 32 bytes, or as many as asked, of SHAKE-128. */
static bool
shake128(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool done = context != NULL && EVP_DigestInit_ex2(context, EVP_shake128(), NULL) == 1 &&
				EVP_DigestUpdate(context, in, in_size) == 1 &&
				EVP_DigestFinalXOF(context, out, out_size) == 1;

	EVP_MD_CTX_free(context);
	return done;
}

/*
 * The accumulated digest: everything random comes from one SHAKE-128 stream,
 * every ciphertext goes into another.
 */
static void
check_accumulated(unsigned iterations, const char *name, const json *digest)
{
	size_t stream_size = (size_t) iterations * (32 + 24 + 2 + 2 * 255);
	uint8_t *stream = malloc(stream_size);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	const uint8_t *next = stream;
	unsigned i;

	CHECK_CASE("XAES accumulated digest, %s", name);
	CHECK_OR_RETURN(stream != NULL && context != NULL);
	CHECK(shake128(NULL, 0, stream, stream_size));
	CHECK_BYTES(stream, "\x7f\x9c\x2b\xa4\xe8\x8f\x82\x7d\x61\x60\x45\x50\x76\x05\x85\x3e", 16);
	CHECK_INT(EVP_DigestInit_ex2(context, EVP_shake128(), NULL), 1);
	for (i = 0; i < iterations; i++)
	{
		const uint8_t *iteration_nonce = next + 32;
		phi_bytes iteration_plain = phi_bytes_of(next + 57, next[56]);
		const uint8_t *after = next + 57 + next[56];
		phi_bytes iteration_aad = phi_bytes_of(after + 1, after[0]);
		phi_bytes sealed = {got, iteration_plain.size + 16};
		phi_xaes xaes;

		CHECK_OR_RETURN(phi_xaes_init(&xaes, next) == PHI_OK);
		CHECK_INT(phi_xaes_seal(&xaes, iteration_nonce, iteration_aad, iteration_plain, got),
				  PHI_OK);
		CHECK_INT(EVP_DigestUpdate(context, got, sealed.size), 1);
		CHECK_INT(phi_xaes_open(&xaes, iteration_nonce, iteration_aad, sealed, back), PHI_OK);
		CHECK_BYTES(back, iteration_plain.data, iteration_plain.size);
		phi_xaes_clear(&xaes);
		next = after + 1 + after[0];
	}
	CHECK_INT(EVP_DigestFinalXOF(context, got, 32), 1);
	CHECK_INT(json_hex_value(digest, expected, 32), 32);
	CHECK_BYTES(got, expected, 32);
	EVP_MD_CTX_free(context);
	free(stream);
}

static void
check_published(void)
{
	json *file = json_load_shared("vectors/xaes_256_gcm.json");
	const json *vector;
	unsigned count = 0;

	if (file == NULL)
	{
		check_skip("vectors/xaes_256_gcm.json: not in the shared data");
		return;
	}
	for (vector = json_at(json_get(file, "vectors"), 0); vector != NULL; vector = vector->next)
	{
		CHECK_CASE("XAES published vector %u: L, K1, Kx, Nx, seal, open", ++count);
		check_vector(vector);
	}
	CHECK_CASE("XAES vector file has vectors");
	CHECK(count >= 2);
	check_accumulated(10000, "10,000 iterations",
					  json_get(json_get(file, "accumulated"), "iterations_10000"));
	json_free(file);
}

/* libcrypto's limit of a GCM nonce, in bits; longer vectors are not asked. */
#define GCM_NONCE_MAX 1024

/* One Wycheproof vector by EVP: 1 it opens to the message, 0 refused, -1 not of this shape. */
static int
gcm_opens(const json *test, unsigned key_bits)
{
	const EVP_CIPHER *cipher = key_bits == 128   ? EVP_aes_128_gcm()
							   : key_bits == 192 ? EVP_aes_192_gcm()
												 : EVP_aes_256_gcm();
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	size_t iv_size = json_hex(test, "iv", nonce, BYTES_MAX);
	size_t aad_size = json_hex(test, "aad", aad, BYTES_MAX);
	size_t size = json_hex(test, "ct", expected, BYTES_MAX);
	uint8_t tag[16];
	int written, opens;

	if (context == NULL || iv_size == SIZE_MAX || aad_size == SIZE_MAX || size == SIZE_MAX ||
		json_hex(test, "key", key, BYTES_MAX) != key_bits / 8 ||
		json_hex(test, "tag", tag, sizeof(tag)) != sizeof(tag))
	{
		EVP_CIPHER_CTX_free(context);
		return -1;
	}
	opens = EVP_DecryptInit_ex2(context, cipher, NULL, NULL, NULL) == 1 &&
			EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, (int) iv_size, NULL) == 1 &&
			EVP_DecryptInit_ex2(context, NULL, key, nonce, NULL) == 1 &&
			EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1 &&
			EVP_DecryptUpdate(context, NULL, &written, aad, (int) aad_size) == 1 &&
			EVP_DecryptUpdate(context, got, &written, expected, (int) size) == 1 &&
			EVP_DecryptFinal_ex(context, back, &written) == 1;
	EVP_CIPHER_CTX_free(context);
	if (opens && (json_hex(test, "msg", plain, BYTES_MAX) != size || memcmp(got, plain, size) != 0))
		return 0;
	return opens;
}

/*
 * What libcrypto's GCM does with the published hard cases: the combination that
 * XAES uses (256-bit key, 96-bit nonce, 128-bit tag), then every other one.
 */
static void
check_gcm(bool ours)
{
	json *file = json_load_shared("vectors/wycheproof/aes_gcm_test.json");
	const json *group, *test;
	unsigned valid = 0, invalid = 0, skipped = 0, disagreements = 0;

	if (file == NULL)
	{
		check_skip("vectors/wycheproof/aes_gcm_test.json: not in the shared data");
		return;
	}
	CHECK_CASE("Wycheproof aes_gcm, %s", ours ? "256-bit keys, 96-bit nonces" : "the others");
	for (group = json_at(json_get(file, "testGroups"), 0); group != NULL; group = group->next)
	{
		unsigned key_bits = (unsigned) json_number(json_get(group, "keySize"));
		bool is_ours = key_bits == 256 && json_number(json_get(group, "ivSize")) == 96;

		CHECK_INT(json_number(json_get(group, "tagSize")), 128);
		for (test = json_at(json_get(group, "tests"), 0); test != NULL && is_ours == ours;
			 test = test->next)
		{
			int should_open = strcmp(json_text(json_get(test, "result")), "valid") == 0;

			if (json_number(json_get(group, "ivSize")) > GCM_NONCE_MAX)
			{
				skipped++;
				continue;
			}
			if (should_open)
				valid++;
			else
				invalid++;
			if (gcm_opens(test, key_bits) != should_open)
			{
				disagreements++;
				check_fail(__FILE__, __LINE__, "tcId %d: %s",
						   (int) json_number(json_get(test, "tcId")),
						   json_text(json_get(test, "comment")));
			}
		}
	}
	CHECK(valid > 0 && invalid > 0);
	CHECK_INT(skipped, ours ? 0 : 3);
	printf("# aes_gcm, %s: %u valid accepted, %u invalid refused, %u disagreements, "
		   "%u with a nonce longer than libcrypto takes\n",
		   ours ? "as XAES uses it" : "other sizes", valid, invalid, disagreements, skipped);
	json_free(file);
}

static void
check_use(void)
{
	phi_xaes xaes;
	phi_bytes text = {plain, 40};
	phi_bytes sealed = {got, 56};
	phi_bytes none = {NULL, 0};
	unsigned bit;

	CHECK_CASE("XAES self test");
	CHECK_INT(phi_xaes_self_test(), PHI_OK);

	CHECK_CASE("XAES in place, both ways");
	memset(key, 0x42, PHI_KEY_SIZE);
	memset(nonce, 0x17, PHI_XAES_NONCE_SIZE);
	memset(plain, 'p', text.size);
	CHECK_OR_RETURN(phi_xaes_init(&xaes, key) == PHI_OK);
	CHECK_INT(phi_xaes_seal(&xaes, nonce, none, text, got), PHI_OK);
	memcpy(back, plain, text.size);
	CHECK_INT(phi_xaes_seal(&xaes, nonce, none, phi_bytes_of(back, 40), back), PHI_OK);
	CHECK_BYTES(back, got, sealed.size);
	CHECK_INT(phi_xaes_open(&xaes, nonce, none, phi_bytes_of(back, 56), back), PHI_OK);
	CHECK_BYTES(back, plain, text.size);

	CHECK_CASE("XAES refuses every flipped bit, wipes, and goes on");
	for (bit = 0; bit < 8 * sealed.size; bit++)
	{
		got[bit / 8] ^= (uint8_t) (1 << bit % 8);
		memset(back, 0xEE, text.size);
		CHECK_INT(phi_xaes_open(&xaes, nonce, none, sealed, back), PHI_ERR_AUTH);
		CHECK_INT(back[0] | back[text.size - 1], 0);
		got[bit / 8] ^= (uint8_t) (1 << bit % 8);
		CHECK_INT(phi_xaes_open(&xaes, nonce, none, sealed, back), PHI_OK);
	}
	CHECK_INT(phi_xaes_open(&xaes, nonce, phi_bytes_of("a", 1), sealed, back), PHI_ERR_AUTH);

	CHECK_CASE("XAES of nothing; too short to open; too long to seal");
	CHECK_INT(phi_xaes_seal(&xaes, nonce, none, none, got), PHI_OK);
	CHECK_INT(phi_xaes_open(&xaes, nonce, none, phi_bytes_of(got, 16), back), PHI_OK);
	got[15] ^= 1;
	CHECK_INT(phi_xaes_open(&xaes, nonce, none, phi_bytes_of(got, 16), back), PHI_ERR_AUTH);
	CHECK_INT(phi_xaes_open(&xaes, nonce, none, phi_bytes_of(got, 15), back), PHI_ERR_AUTH);
	CHECK_INT(phi_xaes_open(&xaes, nonce, none, none, back), PHI_ERR_AUTH);
	CHECK_INT(phi_xaes_seal(&xaes, nonce, none, phi_bytes_of(plain, SIZE_MAX), got),
			  PHI_ERR_ARGUMENT);
	CHECK_INT(phi_xaes_seal(&xaes, nonce, phi_bytes_of(aad, (size_t) 1 << 31), none, got),
			  PHI_ERR_ARGUMENT);
	CHECK_INT(phi_xaes_open(&xaes, nonce, none, phi_bytes_of(got, SIZE_MAX), back),
			  PHI_ERR_ARGUMENT);

	CHECK_CASE("XAES cleared: refuses, and clears again");
	phi_xaes_clear(&xaes);
	CHECK_INT(xaes.k1[0] | xaes.k1[15], 0);
	CHECK_INT(phi_xaes_seal(&xaes, nonce, none, text, got), PHI_ERR_ARGUMENT);
	CHECK_INT(phi_xaes_open(&xaes, nonce, none, sealed, back), PHI_ERR_ARGUMENT);
	phi_xaes_clear(&xaes);
}

int
main(void)
{
	check_published();
	check_gcm(true);
	check_gcm(false);
	check_use();
	return check_done();
}
