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

/* AAD of a wrapped key: label, uuid, scope, version of the KEK; the subject of a subject's key. */
static phi_bytes
WrapAad(uint8 *buffer, const WrappedKey *stored)
{
	Size size = strlen(WRAP_LABEL);

	memcpy(buffer, WRAP_LABEL, size);
	memcpy(buffer + size, stored->uuid, PHI_UUID_SIZE);
	size += PHI_UUID_SIZE;
	buffer[size++] = (uint8) stored->scope;
	phi_put_u32(buffer + size, stored->kek_version);
	size += 4;
	if (stored->scope == SCOPE_SUBJECT)
	{
		phi_put_u64(buffer + size, stored->subject_token);
		size += 8;
	}
	return phi_bytes_of(buffer, size);
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

void
NewKey(WrappedKey *made, uint8 key[PHI_KEY_SIZE])
{
	phi_status status;

	made->kek_version = KekCurrentVersion();
	RandomBytes(made->uuid, PHI_UUID_SIZE);
	made->uuid[6] = (made->uuid[6] & 0x0f) | 0x40; /* RFC 9562 version 4 */
	made->uuid[8] = (made->uuid[8] & 0x3f) | 0x80;
	RandomBytes(key, PHI_KEY_SIZE);
	status = WrapKey(made, key);
	if (status == PHI_OK)
		return;
	SecretWipe(key, PHI_KEY_SIZE);
	ReportStatus(status, "wrap a new data key");
}

void
UnwrapOrRaise(const WrappedKey *stored, uint32 dek_id, uint8 key[PHI_KEY_SIZE])
{
	phi_status status;

	NoteSensitiveStatement(); /* what needs a key has values in its text, likely */
	status = UnwrapKey(stored, key);
	if (status == PHI_OK)
		return;
	SecretWipe(key, PHI_KEY_SIZE);
	if (status != PHI_ERR_AUTH)
		ReportStatus(status, "unwrap a data key");
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("data key %u cannot be unwrapped with key-encryption key version %u",
						   dek_id, stored->kek_version),
					errhint("Give the key-encryption key that wrapped it, in phi.kek_file or "
							"phi.kek_command.")));
}

void
RewrapOrRaise(WrappedKey *stored, uint32 dek_id, uint32 version)
{
	uint8 key[PHI_KEY_SIZE];
	uint32 before = stored->kek_version;
	phi_status status = UnwrapKey(stored, key);

	if (status == PHI_ERR_AUTH)
	{
		SecretWipe(key, sizeof(key));
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("data key %u cannot be unwrapped with key-encryption key version %u",
						dek_id, before),
				 errdetail("No key was wrapped anew."),
				 errhint("Keep the old version beside the new one until this has succeeded.")));
	}
	stored->kek_version = version;
	if (status == PHI_OK)
		status = WrapKey(stored, key);
	SecretWipe(key, sizeof(key));
	CheckStatus(status, "wrap a data key anew");
}
