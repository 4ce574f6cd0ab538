/*-------------------------------------------------------------------------
 * xaes.c
 *		XAES-256-GCM over libcrypto, with contexts that are used again.
 *
 * A message costs one two-block ECB call, which derives its key, and one GCM
 * run under that key.  libcrypto's KBKDF lacks the counter width that XAES
 * needs and would fetch for every message, so the derivation is written out.
 *
 * Both contexts are fetched and given their cipher once, in phi_xaes_init;
 * later initialisations pass a null cipher, which changes key and nonce alone.
 * libcrypto keeps the last message key in the GCM context until the next one
 * or until phi_xaes_clear, which frees and wipes it.
 *-------------------------------------------------------------------------
 */
#include "xaes.h"

#include <limits.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/core_names.h>

#define BLOCK 16

/* libcrypto counts in int. */
#define SIZE_LIMIT ((size_t) INT_MAX - PHI_XAES_TAG_SIZE)

/* A context of the named cipher, for encryption under key (or without one yet); NULL on failure. */
static EVP_CIPHER_CTX *
new_context(const char *name, const uint8_t *key)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

	if (cipher == NULL || context == NULL ||
		EVP_EncryptInit_ex2(context, cipher, key, NULL, NULL) != 1)
	{
		EVP_CIPHER_CTX_free(context);
		context = NULL;
	}
	EVP_CIPHER_free(cipher); /* the context holds its own reference */
	return context;
}

/* K1: encrypt a zero block and double it in GF(2^128), without a branch on the secret. */
static bool
derive_k1(EVP_CIPHER_CTX *derive, uint8_t k1[BLOCK])
{
	uint8_t l[BLOCK] = {0};
	int written = 0;
	uint64_t high, low;

	if (EVP_EncryptUpdate(derive, l, &written, l, BLOCK) != 1 || written != BLOCK)
	{
		OPENSSL_cleanse(l, sizeof(l));
		return false;
	}
	high = phi_get_u64(l);
	low = phi_get_u64(l + 8);
	phi_put_u64(k1, high << 1 | low >> 63);
	phi_put_u64(k1 + 8, low << 1 ^ (0x87 & (0 - (high >> 63))));
	OPENSSL_cleanse(l, sizeof(l));
	return true;
}

phi_status
phi_xaes_init(phi_xaes *xaes, const uint8_t key[PHI_KEY_SIZE])
{
	memset(xaes, 0, sizeof(*xaes));
	xaes->derive = new_context("AES-256-ECB", key);
	xaes->message = new_context("AES-256-GCM", NULL);
	if (xaes->derive == NULL || xaes->message == NULL ||
		EVP_CIPHER_CTX_set_padding(xaes->derive, 0) != 1 || !derive_k1(xaes->derive, xaes->k1))
	{
		phi_xaes_clear(xaes);
		return PHI_ERR_CRYPTO;
	}
	return PHI_OK;
}

void
phi_xaes_clear(phi_xaes *xaes)
{
	EVP_CIPHER_CTX_free(xaes->derive);
	EVP_CIPHER_CTX_free(xaes->message);
	OPENSSL_cleanse(xaes, sizeof(*xaes));
}

phi_status
phi_xaes_derive(phi_xaes *xaes, const uint8_t nonce[PHI_XAES_NONCE_SIZE],
				uint8_t message_key[PHI_KEY_SIZE])
{
	static const uint8_t prefixes[2][4] = {{0, 1, 'X', 0}, {0, 2, 'X', 0}};
	int written = 0;
	size_t i;

	for (i = 0; i < 2; i++)
	{
		memcpy(message_key + i * BLOCK, prefixes[i], 4);
		memcpy(message_key + i * BLOCK + 4, nonce, 12);
	}
	for (i = 0; i < PHI_KEY_SIZE; i++)
		message_key[i] ^= xaes->k1[i % BLOCK];
	if (EVP_EncryptUpdate(xaes->derive, message_key, &written, message_key, PHI_KEY_SIZE) != 1 ||
		written != PHI_KEY_SIZE)
	{
		OPENSSL_cleanse(message_key, PHI_KEY_SIZE);
		return PHI_ERR_CRYPTO;
	}
	return PHI_OK;
}

/* Give the GCM context the key and nonce of one message, and the tag to expect when opening. */
static bool
begin_message(phi_xaes *xaes, const uint8_t *nonce, bool encrypt, const OSSL_PARAM *params)
{
	uint8_t key[PHI_KEY_SIZE];
	bool done = phi_xaes_derive(xaes, nonce, key) == PHI_OK &&
				EVP_CipherInit_ex2(xaes->message, NULL, key, nonce + 12, encrypt, params) == 1;

	OPENSSL_cleanse(key, sizeof(key));
	return done;
}

/* Take in AAD (out NULL) or text; a part of no bytes is left out. */
static bool
update_message(phi_xaes *xaes, uint8_t *out, phi_bytes in)
{
	int written = 0;

	if (in.size == 0)
		return true;
	return EVP_CipherUpdate(xaes->message, out, &written, in.data, (int) in.size) == 1 &&
		   (size_t) written == in.size;
}

phi_status
phi_xaes_seal(phi_xaes *xaes, const uint8_t nonce[PHI_XAES_NONCE_SIZE], phi_bytes aad,
			  phi_bytes plain, uint8_t *out)
{
	OSSL_PARAM params[2];
	uint8_t none;
	int written = 0;

	if (xaes->derive == NULL || aad.size > SIZE_LIMIT || plain.size > SIZE_LIMIT)
		return PHI_ERR_ARGUMENT;
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, out + plain.size,
												  PHI_XAES_TAG_SIZE);
	params[1] = OSSL_PARAM_construct_end();
	if (begin_message(xaes, nonce, true, NULL) && update_message(xaes, NULL, aad) &&
		update_message(xaes, out, plain) &&
		EVP_EncryptFinal_ex(xaes->message, &none, &written) == 1 && written == 0 &&
		EVP_CIPHER_CTX_get_params(xaes->message, params) == 1)
		return PHI_OK;
	OPENSSL_cleanse(out, plain.size + PHI_XAES_TAG_SIZE);
	return PHI_ERR_CRYPTO;
}

phi_status
phi_xaes_open(phi_xaes *xaes, const uint8_t nonce[PHI_XAES_NONCE_SIZE], phi_bytes aad,
			  phi_bytes sealed, uint8_t *out)
{
	OSSL_PARAM params[2];
	uint8_t tag[PHI_XAES_TAG_SIZE];
	uint8_t none;
	phi_bytes text;
	int written = 0;

	if (xaes->derive == NULL || aad.size > SIZE_LIMIT || sealed.size > INT_MAX)
		return PHI_ERR_ARGUMENT;
	if (sealed.size < PHI_XAES_TAG_SIZE)
		return PHI_ERR_AUTH;
	text = phi_bytes_of(sealed.data, sealed.size - PHI_XAES_TAG_SIZE);
	memcpy(tag, sealed.data + text.size, sizeof(tag));
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, sizeof(tag));
	params[1] = OSSL_PARAM_construct_end();
	if (!begin_message(xaes, nonce, false, params) || !update_message(xaes, NULL, aad) ||
		!update_message(xaes, out, text))
	{
		OPENSSL_cleanse(out, text.size);
		return PHI_ERR_CRYPTO;
	}
	if (EVP_DecryptFinal_ex(xaes->message, &none, &written) == 1)
		return PHI_OK;
	OPENSSL_cleanse(out, text.size);
	return PHI_ERR_AUTH;
}

/* The second published vector: it has AAD, and its K1 needs the reduction. */
static const uint8_t test_aad[] = "c2sp.org/XAES-256-GCM";
static const uint8_t test_plain[] = "XAES-256-GCM";
static const uint8_t test_nonce[] = "ABCDEFGHIJKLMNOPQRSTUVWX";
static const uint8_t test_sealed[] = {
	0x98, 0x6e, 0xc1, 0x83, 0x25, 0x93, 0xdf, 0x54, 0x43, 0xa1, 0x79, 0x43, 0x7f, 0xd0,
	0x83, 0xbf, 0x3f, 0xdb, 0x41, 0xab, 0xd7, 0x40, 0xa2, 0x1f, 0x71, 0xeb, 0x76, 0x9d,
};

/* The test proper, with a key made ready. */
static phi_status
test_vector(phi_xaes *xaes)
{
	uint8_t sealed[sizeof(test_sealed)];
	uint8_t opened[sizeof(test_plain) - 1];
	phi_bytes aad = {test_aad, sizeof(test_aad) - 1};
	phi_bytes plain = {test_plain, sizeof(test_plain) - 1};
	phi_bytes whole = {sealed, sizeof(sealed)};
	phi_status status = phi_xaes_seal(xaes, test_nonce, aad, plain, sealed);

	if (status != PHI_OK)
		return status;
	if (memcmp(sealed, test_sealed, sizeof(sealed)) != 0)
		return PHI_ERR_CRYPTO;
	status = phi_xaes_open(xaes, test_nonce, aad, whole, opened);
	if (status != PHI_OK)
		return status;
	if (memcmp(opened, test_plain, sizeof(opened)) != 0)
		return PHI_ERR_CRYPTO;
	sealed[0] ^= 1;
	if (phi_xaes_open(xaes, test_nonce, aad, whole, opened) != PHI_ERR_AUTH)
		return PHI_ERR_CRYPTO;
	return PHI_OK;
}

phi_status
phi_xaes_self_test(void)
{
	phi_xaes xaes;
	uint8_t key[PHI_KEY_SIZE];
	phi_status status;

	memset(key, 0x03, sizeof(key));
	status = phi_xaes_init(&xaes, key);
	if (status != PHI_OK)
		return status;
	status = test_vector(&xaes);
	phi_xaes_clear(&xaes);
	return status == PHI_OK ? PHI_OK : PHI_ERR_CRYPTO;
}
