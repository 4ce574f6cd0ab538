/*-------------------------------------------------------------------------
 * ed25519.h
 *		Ed25519 signatures (RFC 8032) over raw keys, through libcrypto.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_ED25519_H
#define PHI_CORE_ED25519_H

#include "bytes.h"

#define PHI_ED25519_KEY       32 /* bytes of a private key (seed) and of a public key */
#define PHI_ED25519_SIGNATURE 64

/* The public key of a private one. */
extern phi_status phi_ed25519_public(const uint8_t seed[PHI_ED25519_KEY],
									 uint8_t out[PHI_ED25519_KEY]) PHI_CHECKED;

extern phi_status phi_ed25519_sign(const uint8_t seed[PHI_ED25519_KEY], phi_bytes message,
								   uint8_t out[PHI_ED25519_SIGNATURE]) PHI_CHECKED;

/* PHI_ERR_AUTH when it is not the key's signature of the message. */
extern phi_status phi_ed25519_verify(const uint8_t key[PHI_ED25519_KEY], phi_bytes message,
									 const uint8_t signature[PHI_ED25519_SIGNATURE]) PHI_CHECKED;

#endif /* PHI_CORE_ED25519_H */
