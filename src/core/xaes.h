/*-------------------------------------------------------------------------
 * xaes.h
 *		XAES-256-GCM (C2SP XAES-256-GCM): AEAD with a 24-byte nonce.
 *
 * A phi_xaes is one key made ready: the AES-256-ECB context that derives
 * the message key, and one AES-256-GCM context that is used again for every
 * message.  The caller owns the struct; phi_xaes_init acquires libcrypto
 * handles in it and phi_xaes_clear frees them and wipes it.  Not for use by
 * two threads at once.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_XAES_H
#define PHI_CORE_XAES_H

#include <openssl/evp.h>

#include "bytes.h"

#define PHI_KEY_SIZE        32
#define PHI_XAES_NONCE_SIZE 24
#define PHI_XAES_TAG_SIZE   16

typedef struct phi_xaes
{
	EVP_CIPHER_CTX *derive;  /* AES-256-ECB under the key */
	EVP_CIPHER_CTX *message; /* AES-256-GCM, rekeyed for every message */
	uint8_t k1[16];          /* CMAC subkey K1 */
} phi_xaes;

/* Make a 32-byte key ready.  On failure *xaes holds nothing and needs no clearing. */
extern phi_status phi_xaes_init(phi_xaes *xaes, const uint8_t key[PHI_KEY_SIZE]) PHI_CHECKED;

/* Free and wipe; harmless on a zeroed struct. */
extern void phi_xaes_clear(phi_xaes *xaes);

/*
 * The message key that the first 12 bytes of a nonce select (Kx of the
 * specification).  Seal and open call it; the caller wipes message_key.
 */
extern phi_status phi_xaes_derive(phi_xaes *xaes, const uint8_t nonce[PHI_XAES_NONCE_SIZE],
								  uint8_t message_key[PHI_KEY_SIZE]) PHI_CHECKED;

/*
 * Encrypt: out receives plain.size + 16 bytes and may not overlap plain unless
 * equal to it.  PHI_ERR_ARGUMENT for more than libcrypto takes at once (2 GB).
 */
extern phi_status phi_xaes_seal(phi_xaes *xaes, const uint8_t nonce[PHI_XAES_NONCE_SIZE],
								phi_bytes aad, phi_bytes plain, uint8_t *out) PHI_CHECKED;

/*
 * Decrypt: sealed is ciphertext and tag; out receives sealed.size - 16 bytes
 * and may be equal to sealed.data.  PHI_ERR_AUTH when it does not open, and then
 * out is wiped.
 */
extern phi_status phi_xaes_open(phi_xaes *xaes, const uint8_t nonce[PHI_XAES_NONCE_SIZE],
								phi_bytes aad, phi_bytes sealed, uint8_t *out) PHI_CHECKED;

/* Known-answer test: seal and open one published vector, refuse an altered one. */
extern phi_status phi_xaes_self_test(void) PHI_CHECKED;

#endif /* PHI_CORE_XAES_H */
