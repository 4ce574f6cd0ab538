/*-------------------------------------------------------------------------
 * ff1.h
 *		Format-preserving encryption of numerals: FF1 of NIST SP 800-38G.
 *
 * A number of n numerals becomes another of n numerals, one to one under a key
 * and a tweak.  It hides nothing where there are few numbers: domains below
 * PHI_FF1_DOMAIN_MIN are refused, as SP 800-38G rev. 1 asks.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_FF1_H
#define PHI_CORE_FF1_H

#include "bytes.h"

#define PHI_FF1_RADIX_MAX  64
#define PHI_FF1_SIZE_MAX   72      /* numerals; fewer where the radix is above 10 */
#define PHI_FF1_TWEAK_MAX  64      /* bytes */
#define PHI_FF1_DOMAIN_MIN 1000000 /* numbers of that many numerals */

/*
 * Encrypt or decrypt size numerals in place, each a byte below radix (2..64).
 *
 * key: 16, 24 or 32 bytes of AES.  PHI_ERR_ARGUMENT for a key, radix or tweak
 * out of range, a numeral that is none, a domain that is too small, and more
 * numerals than PHI_FF1_SIZE_MAX or than make 120 bits in half of them (72 of
 * radix 10, 46 of radix 36); PHI_ERR_CRYPTO.  The numerals are as they were on
 * every failure.
 */
extern phi_status phi_ff1_encrypt(phi_bytes key, phi_bytes tweak, unsigned radix, uint8_t *numerals,
								  size_t size) PHI_CHECKED;
extern phi_status phi_ff1_decrypt(phi_bytes key, phi_bytes tweak, unsigned radix, uint8_t *numerals,
								  size_t size) PHI_CHECKED;

#endif /* PHI_CORE_FF1_H */
