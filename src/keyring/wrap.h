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

/* What a key is for: the scope is authenticated with the wrapped key. */
typedef enum KeyScope
{
	SCOPE_ROOT = 'r',
	SCOPE_DATA = 'd',
	SCOPE_SUBJECT = 's'
} KeyScope;

/* A key as phi.data_key and phi.subject_key store it. */
typedef struct WrappedKey
{
	uint8 uuid[PHI_UUID_SIZE];
	KeyScope scope;
	uint64 subject_token; /* of SCOPE_SUBJECT alone */
	uint32 kek_version;
	uint8 wrapped[WRAPPED_SIZE];
	uint8 check_value[CHECK_VALUE_SIZE];
} WrappedKey;

/* Wrap key for made's uuid, scope and version; PHI_ERR_AUTH when the ring lacks the version. */
extern phi_status WrapKey(WrappedKey *made, const uint8 key[PHI_KEY_SIZE]) PHI_CHECKED;

/* Unwrap; the caller wipes key.  PHI_ERR_AUTH when the key-encryption key is wrong or missing. */
extern phi_status UnwrapKey(const WrappedKey *stored, uint8 key[PHI_KEY_SIZE]) PHI_CHECKED;

/*
 * A new random key with a new uuid, wrapped under the highest version, for
 * made's scope and subject; the caller wipes key.  Raises when it cannot be made.
 */
extern void NewKey(WrappedKey *made, uint8 key[PHI_KEY_SIZE]);

/* Unwrap, or raise; dek_id names the key in the error.  The caller wipes key. */
extern void UnwrapOrRaise(const WrappedKey *stored, uint32 dek_id, uint8 key[PHI_KEY_SIZE]);

/* Wrap a stored key anew under another version; raises, naming dek_id, when it does not open. */
extern void RewrapOrRaise(WrappedKey *stored, uint32 dek_id, uint32 version);

#endif /* PHI_WRAP_H */
