/*-------------------------------------------------------------------------
 * wrap.h
 *		Wrapping data keys under key-encryption keys (docs/format.md).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_WRAP_H
#define PHI_WRAP_H

#include "platform/platform.h"

#include "core/envelope.h"

#define WRAPPED_SIZE	 (PHI_XAES_NONCE_SIZE + PHI_KEY_SIZE + PHI_XAES_TAG_SIZE)
#define CHECK_VALUE_SIZE 8

/* A key as phi.data_key stores it. */
typedef struct WrappedKey
{
	uint8 uuid[PHI_UUID_SIZE];
	bool root;
	uint32 kek_version;
	uint8 wrapped[WRAPPED_SIZE];
	uint8 check_value[CHECK_VALUE_SIZE];
} WrappedKey;

/* Wrap key for made's uuid, scope and version; PHI_ERR_AUTH when the ring lacks the version. */
extern phi_status WrapKey(WrappedKey *made, const uint8 key[PHI_KEY_SIZE]) PHI_CHECKED;

/* Unwrap; the caller wipes key.  PHI_ERR_AUTH when the key-encryption key is wrong or missing. */
extern phi_status UnwrapKey(const WrappedKey *stored, uint8 key[PHI_KEY_SIZE]) PHI_CHECKED;

#endif /* PHI_WRAP_H */
