/*-------------------------------------------------------------------------
 * totp.c
 *		Time-based one-time passwords (RFC 4226 section 5.3, RFC 6238) and base32.
 *-------------------------------------------------------------------------
 */
#include "totp.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#define MAC_MAX      32
#define SECRET_MIN   16 /* RFC 4226 section 4, R6 */
#define DIGITS_MIN   6
#define STEPS_AROUND 1

/* Write a number with leading zeros, and wipe it. */
static void
put_digits(uint32_t *number, unsigned digits, char *out)
{
	out[digits] = '\0';
	while (digits > 0)
	{
		out[--digits] = (char) ('0' + *number % 10);
		*number /= 10;
	}
	OPENSSL_cleanse(number, sizeof(*number));
}

phi_status
phi_totp_code(const phi_totp *totp, uint64_t step, char code[PHI_TOTP_DIGITS_MAX + 1])
{
	uint8_t counter[8];
	uint8_t mac[MAC_MAX];
	uint32_t number;
	size_t size = 0;
	bool done;

	code[0] = '\0';
	if (totp->digits < DIGITS_MIN || totp->digits > PHI_TOTP_DIGITS_MAX ||
		totp->size < SECRET_MIN || totp->size > PHI_TOTP_SECRET_MAX ||
		(totp->hash != PHI_TOTP_SHA1 && totp->hash != PHI_TOTP_SHA256))
		return PHI_ERR_ARGUMENT;
	phi_put_u64(counter, step);
	done = EVP_Q_mac(NULL, "HMAC", NULL, totp->hash == PHI_TOTP_SHA1 ? "SHA1" : "SHA256", NULL,
					 totp->secret, totp->size, counter, sizeof(counter), mac, sizeof(mac),
					 &size) != NULL &&
		   size == (totp->hash == PHI_TOTP_SHA1 ? 20 : 32);
	ERR_clear_error();
	if (done)
	{
		number = phi_get_u32(mac + (mac[size - 1] & 0x0F)) & 0x7FFFFFFF;
		put_digits(&number, totp->digits, code);
	}
	OPENSSL_cleanse(mac, sizeof(mac));
	return done ? PHI_OK : PHI_ERR_CRYPTO;
}

phi_status
phi_totp_match(const phi_totp *totp, int64_t seconds, const char *code, size_t size, uint64_t *step)
{
	char right[PHI_TOTP_DIGITS_MAX + 1];
	uint64_t now = (uint64_t) seconds / PHI_TOTP_STEP;
	uint64_t at;
	bool found = false;
	phi_status status = PHI_OK;

	*step = 0;
	if (seconds < PHI_TOTP_STEP * STEPS_AROUND)
		return PHI_ERR_ARGUMENT;
	for (at = now - STEPS_AROUND; at <= now + STEPS_AROUND && status == PHI_OK; at++)
	{
		status = phi_totp_code(totp, at, right);
		if (status == PHI_OK && size == totp->digits && CRYPTO_memcmp(right, code, size) == 0)
		{
			*step = at;
			found = true;
		}
	}
	OPENSSL_cleanse(right, sizeof(right));
	if (status != PHI_OK)
		*step = 0;
	else if (!found)
		status = PHI_ERR_AUTH;
	return status;
}

void
phi_base32_encode(phi_bytes in, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint32_t bits = 0;
	unsigned held = 0;
	size_t i;

	for (i = 0; i < in.size; i++)
	{
		bits = bits << 8 | in.data[i];
		for (held += 8; held >= 5; held -= 5)
			*out++ = digits[bits >> (held - 5) & 31];
	}
	if (held > 0)
		*out++ = digits[bits << (5 - held) & 31];
}
