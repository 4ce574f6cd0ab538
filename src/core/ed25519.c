/*-------------------------------------------------------------------------
 * ed25519.c
 *		Ed25519 (RFC 8032) through EVP: one key and one context for each call,
 *		freed before it returns.
 *
 * A signature costs some 50 us and is made once a checkpoint: nothing is kept.
 *-------------------------------------------------------------------------
 */
#include "ed25519.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

phi_status
phi_ed25519_public(const uint8_t seed[PHI_ED25519_KEY], uint8_t out[PHI_ED25519_KEY])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, seed, PHI_ED25519_KEY);
	size_t size = PHI_ED25519_KEY;
	bool done =
		key != NULL && EVP_PKEY_get_raw_public_key(key, out, &size) == 1 && size == PHI_ED25519_KEY;

	EVP_PKEY_free(key);
	if (!done)
		memset(out, 0, PHI_ED25519_KEY);
	return done ? PHI_OK : PHI_ERR_CRYPTO;
}

phi_status
phi_ed25519_sign(const uint8_t seed[PHI_ED25519_KEY], phi_bytes message,
				 uint8_t out[PHI_ED25519_SIGNATURE])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, seed, PHI_ED25519_KEY);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t size = PHI_ED25519_SIGNATURE;
	bool done = key != NULL && context != NULL &&
				EVP_DigestSignInit_ex(context, NULL, NULL, NULL, NULL, key, NULL) == 1 &&
				EVP_DigestSign(context, out, &size, message.data, message.size) == 1 &&
				size == PHI_ED25519_SIGNATURE;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	if (!done)
		memset(out, 0, PHI_ED25519_SIGNATURE);
	return done ? PHI_OK : PHI_ERR_CRYPTO;
}

phi_status
phi_ed25519_verify(const uint8_t key[PHI_ED25519_KEY], phi_bytes message,
				   const uint8_t signature[PHI_ED25519_SIGNATURE])
{
	EVP_PKEY *public_key =
		EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, key, PHI_ED25519_KEY);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	phi_status status = PHI_ERR_CRYPTO;

	if (public_key != NULL && context != NULL &&
		EVP_DigestVerifyInit_ex(context, NULL, NULL, NULL, NULL, public_key, NULL) == 1)
		status = EVP_DigestVerify(context, signature, PHI_ED25519_SIGNATURE, message.data,
								  message.size) == 1
					 ? PHI_OK
					 : PHI_ERR_AUTH;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(public_key);
	return status;
}
