/*-------------------------------------------------------------------------
 * totp.h
 *		Time-based one-time passwords (RFC 6238, steps of 30 seconds) and base32
 *		(RFC 4648 section 6, without padding) for handing their secrets out.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_TOTP_H
#define PHI_CORE_TOTP_H

#include "bytes.h"

#define PHI_TOTP_STEP       30 /* seconds */
#define PHI_TOTP_DIGITS_MAX 8
#define PHI_TOTP_SECRET_MAX 64

typedef enum phi_totp_hash
{
	PHI_TOTP_SHA1 = 1,
	PHI_TOTP_SHA256
} phi_totp_hash;

typedef struct phi_totp
{
	phi_totp_hash hash;
	unsigned digits; /* 6 to 8 */
	size_t size;     /* bytes of secret, 16 to PHI_TOTP_SECRET_MAX */
	uint8_t secret[PHI_TOTP_SECRET_MAX];
} phi_totp;

/* The code of a step (seconds since 1970 / PHI_TOTP_STEP), terminated.  PHI_ERR_ARGUMENT outside the limits. */
extern phi_status phi_totp_code(const phi_totp *totp, uint64_t step,
								char code[PHI_TOTP_DIGITS_MAX + 1]) PHI_CHECKED;

/*
 * Compare a code with those of the step of a time, the one before and the one
 * after, each of them whether or not another matched.  On PHI_OK *step is the
 * latest that matches.  PHI_ERR_AUTH when none does.
 */
extern phi_status phi_totp_match(const phi_totp *totp, int64_t seconds, const char *code,
								 size_t size, uint64_t *step) PHI_CHECKED;

/* Exact size of n bytes in base32. */
static inline size_t
phi_base32_size(size_t n)
{
	return (n * 8 + 4) / 5;
}

/* Write phi_base32_size(in.size) characters; no terminator. */
extern void phi_base32_encode(phi_bytes in, char *out);

#endif /* PHI_CORE_TOTP_H */
