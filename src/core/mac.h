/*-------------------------------------------------------------------------
 * mac.h
 *		HMAC-SHA-256 (RFC 2104), HKDF-SHA-256 (RFC 5869), SHA-256 and
 *		SipHash-2-4 (Aumasson and Bernstein, 64-bit).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_MAC_H
#define PHI_CORE_MAC_H

#include "bytes.h"

#define PHI_SHA256_SIZE 32
#define PHI_SIPHASH_KEY 16

extern phi_status phi_sha256(phi_bytes data, uint8_t out[PHI_SHA256_SIZE]) PHI_CHECKED;
/* Of count parts laid end to end. */
extern phi_status phi_sha256_parts(const phi_bytes *parts, size_t count,
								   uint8_t out[PHI_SHA256_SIZE]) PHI_CHECKED;
extern phi_status phi_hmac_sha256(phi_bytes key, phi_bytes data,
								  uint8_t out[PHI_SHA256_SIZE]) PHI_CHECKED;

/*
 * Extract and expand; size at most 255 * 32 bytes, else PHI_ERR_ARGUMENT.  An
 * empty salt is the standard's default of 32 zero bytes.
 */
extern phi_status phi_hkdf_sha256(phi_bytes secret, phi_bytes salt, phi_bytes info, uint8_t *out,
								  size_t size) PHI_CHECKED;

/* The 64-bit value whose little-endian bytes are the published digest. */
extern uint64_t phi_siphash24(const uint8_t key[PHI_SIPHASH_KEY], phi_bytes data);

#endif /* PHI_CORE_MAC_H */
