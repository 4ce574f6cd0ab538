/*-------------------------------------------------------------------------
 * wrap.c
 *		Wrapping data keys under key-encryption keys.
 *
 * The wrapping key is derived from the KEK with HKDF-SHA-256 each time; a
 * check value tells whether what came out is the key that went in.
 *-------------------------------------------------------------------------
 */
#include "keyring/wrap.h"

#include "core/mac.h"
#include "keyring/kek.h"

#define WRAP_LABEL "phi_guard data key 1"
#define WRAP_INFO  "phi_guard key wrapping 1"
#define CHECK_INFO "phi_guard key check 1"
#define AAD_MAX	   64

/* AAD of a wrapped key: label, uuid, scope, version of the KEK. */
static phi_bytes
WrapAad(uint8 *buffer, const WrappedKey *stored)
{
	Size size = strlen(WRAP_LABEL);

	memcpy(buffer, WRAP_LABEL, size);
	memcpy(buffer + size, stored->uuid, PHI_UUID_SIZE);
	size += PHI_UUID_SIZE;
	buffer[size++] = stored->root ? 'r' : 'd';
	phi_put_u32(buffer + size, stored->kek_version);
	return phi_bytes_of(buffer, size + 4);
}

/* Make the wrapping cipher of a KEK version ready; PHI_ERR_AUTH when the ring lacks it. */
static phi_status
WrapCipher(phi_xaes *cipher, uint32 kek_version)
{
	uint8 kek[PHI_KEY_SIZE];
	uint8 wrapping[PHI_KEY_SIZE];
	phi_status status;

	if (!KekFind(kek_version, kek))
		return PHI_ERR_AUTH;
	status = phi_hkdf_sha256(phi_bytes_of(kek, PHI_KEY_SIZE), phi_bytes_of(NULL, 0),
							 phi_bytes_of(WRAP_INFO, strlen(WRAP_INFO)), wrapping, PHI_KEY_SIZE);
	if (status == PHI_OK)
		status = phi_xaes_init(cipher, wrapping);
	SecretWipe(kek, sizeof(kek));
	SecretWipe(wrapping, sizeof(wrapping));
	return status;
}

/* The value that tells whether a key was unwrapped right. */
static phi_status
KeyCheckValue(const uint8 key[PHI_KEY_SIZE], uint8 out[CHECK_VALUE_SIZE])
{
	return phi_hkdf_sha256(phi_bytes_of(key, PHI_KEY_SIZE), phi_bytes_of(NULL, 0),
						   phi_bytes_of(CHECK_INFO, strlen(CHECK_INFO)), out, CHECK_VALUE_SIZE);
}

phi_status
WrapKey(WrappedKey *made, const uint8 key[PHI_KEY_SIZE])
{
	uint8 aad[AAD_MAX];
	phi_xaes cipher;
	phi_status status;

	RandomBytes(made->wrapped, PHI_XAES_NONCE_SIZE); /* first: it may raise */
	status = WrapCipher(&cipher, made->kek_version);
	if (status != PHI_OK)
		return status;
	status = phi_xaes_seal(&cipher, made->wrapped, WrapAad(aad, made),
						   phi_bytes_of(key, PHI_KEY_SIZE), made->wrapped + PHI_XAES_NONCE_SIZE);
	phi_xaes_clear(&cipher);
	return status == PHI_OK ? KeyCheckValue(key, made->check_value) : status;
}

phi_status
UnwrapKey(const WrappedKey *stored, uint8 key[PHI_KEY_SIZE])
{
	uint8 aad[AAD_MAX];
	uint8 check[CHECK_VALUE_SIZE];
	phi_xaes cipher;
	phi_status status = WrapCipher(&cipher, stored->kek_version);

	if (status != PHI_OK)
		return status;
	status = phi_xaes_open(&cipher, stored->wrapped, WrapAad(aad, stored),
						   phi_bytes_of(stored->wrapped + PHI_XAES_NONCE_SIZE,
										WRAPPED_SIZE - PHI_XAES_NONCE_SIZE),
						   key);
	phi_xaes_clear(&cipher);
	if (status == PHI_OK)
		status = KeyCheckValue(key, check);
	if (status == PHI_OK && memcmp(check, stored->check_value, CHECK_VALUE_SIZE) != 0)
		status = PHI_ERR_AUTH;
	return status;
}
