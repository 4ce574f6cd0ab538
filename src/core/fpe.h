/*-------------------------------------------------------------------------
 * fpe.h
 *		Tokens of a text's own format, and shifts of dates: both depend on a key.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_FPE_H
#define PHI_CORE_FPE_H

#include "bytes.h"

#define PHI_SHIFT_DAYS_MAX 365

/*
 * Encrypt or decrypt in place the digits and the ASCII letters of a text with
 * FF1: a digit becomes a digit, a letter one of its case, everything else stays.
 * One to one among the texts of one format under a key (32 bytes).
 *
 * PHI_ERR_ARGUMENT for a format of fewer than PHI_FF1_DOMAIN_MIN texts, of more
 * than 10^72, and for a key of another size; PHI_ERR_CRYPTO.  The text is as it
 * was on every failure.
 */
extern phi_status phi_fpe_encrypt(phi_bytes key, uint8_t *text, size_t size) PHI_CHECKED;
extern phi_status phi_fpe_decrypt(phi_bytes key, uint8_t *text, size_t size) PHI_CHECKED;

/*
 * The days by which the dates of a subject are shifted under a key: from
 * -PHI_SHIFT_DAYS_MAX to PHI_SHIFT_DAYS_MAX, never 0; HMAC-SHA-256 of the token.
 */
extern phi_status phi_shift_days(phi_bytes key, uint64_t subject_token, int *days) PHI_CHECKED;

#endif /* PHI_CORE_FPE_H */
