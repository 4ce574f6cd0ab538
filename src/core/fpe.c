/*-------------------------------------------------------------------------
 * fpe.c
 *		Tokens of a text's own format, and shifts of dates.
 *
 * The digits and letters of a text are the numerals of a number in a mixed
 * radix, below the number N of texts of its format.  That is written in w
 * decimal numerals, 10^(w-1) < N <= 10^w, which FF1 encrypts; a result that is
 * not below N is encrypted again (cycle walking), less than ten times on
 * average.
 *-------------------------------------------------------------------------
 */
#include "fpe.h"
#include "ff1.h"
#include "mac.h"

#include <string.h>

#include <openssl/crypto.h>

typedef phi_status (*cipher)(phi_bytes key, phi_bytes tweak, unsigned radix, uint8_t *numerals,
							 size_t size);

/* A number in decimal numerals, the lowest first. */
typedef struct decimal
{
	uint8_t digit[PHI_FF1_SIZE_MAX + 3];
} decimal;

/* How many characters the place of this one may hold, and the first of them; 0: it stays. */
static unsigned
class_of(uint8_t character, uint8_t *first)
{
	if (character >= '0' && character <= '9')
	{
		*first = '0';
		return 10;
	}
	if (character >= 'a' && character <= 'z')
	{
		*first = 'a';
		return 26;
	}
	if (character >= 'A' && character <= 'Z')
	{
		*first = 'A';
		return 26;
	}
	return 0;
}

/* number = number * factor + addend; false when it has more numerals than FF1 takes. */
static bool
multiply_add(decimal *number, unsigned factor, unsigned addend)
{
	unsigned carry = addend;
	size_t i;

	for (i = 0; i < sizeof(number->digit); i++)
	{
		carry += number->digit[i] * factor;
		number->digit[i] = (uint8_t) (carry % 10);
		carry /= 10;
	}
	return carry == 0 && number->digit[PHI_FF1_SIZE_MAX + 1] == 0 &&
		   number->digit[PHI_FF1_SIZE_MAX + 2] == 0;
}

/* number = number / divisor; the remainder. */
static unsigned
divide(decimal *number, unsigned divisor)
{
	unsigned rest = 0;
	size_t i;

	for (i = sizeof(number->digit); i-- > 0;)
	{
		rest = rest * 10 + number->digit[i];
		number->digit[i] = (uint8_t) (rest / divisor);
		rest %= divisor;
	}
	return rest;
}

/* Is the number below the limit? */
static bool
is_below(const decimal *number, const decimal *limit)
{
	size_t i;

	for (i = sizeof(number->digit); i-- > 0;)
	{
		if (number->digit[i] != limit->digit[i])
			return number->digit[i] < limit->digit[i];
	}
	return false;
}

/* Read the numerals of a text: the number, and the limit of its format; false for a format too long. */
static bool
read_text(const uint8_t *text, size_t size, decimal *number, decimal *limit)
{
	size_t i;

	memset(number, 0, sizeof(*number));
	memset(limit, 0, sizeof(*limit));
	limit->digit[0] = 1;
	for (i = 0; i < size; i++)
	{
		uint8_t first;
		unsigned radix = class_of(text[i], &first);

		if (radix != 0 && (!multiply_add(limit, radix, 0) ||
						   !multiply_add(number, radix, (unsigned) (text[i] - first))))
			return false;
	}
	return true;
}

/* Numerals that a number below the limit has; 0 where the limit is above 10^PHI_FF1_SIZE_MAX. */
static size_t
width_of(const decimal *limit)
{
	size_t top = sizeof(limit->digit) - 1;
	bool power = true;
	size_t i;

	while (top > 0 && limit->digit[top] == 0)
		top--;
	for (i = 0; i < top; i++)
		power = power && limit->digit[i] == 0;
	power = power && limit->digit[top] == 1;
	if (!power)
		top++;
	return top <= PHI_FF1_SIZE_MAX ? top : 0;
}

/* Encrypt or decrypt the number until the result is below the limit. */
static phi_status
walk(phi_bytes key, cipher transform, decimal *number, const decimal *limit, size_t width)
{
	uint8_t numerals[PHI_FF1_SIZE_MAX];
	phi_status status;
	size_t i;

	do
	{
		for (i = 0; i < width; i++)
			numerals[i] = number->digit[width - 1 - i];
		status = transform(key, phi_bytes_of(NULL, 0), 10, numerals, width);
		for (i = 0; i < width; i++)
			number->digit[width - 1 - i] = numerals[i];
	} while (status == PHI_OK && !is_below(number, limit));
	OPENSSL_cleanse(numerals, sizeof(numerals));
	return status;
}

/* The text of the number, in the format that the text has. */
static void
write_text(decimal *number, uint8_t *text, size_t size)
{
	while (size-- > 0)
	{
		uint8_t first;
		unsigned radix = class_of(text[size], &first);

		if (radix != 0)
			text[size] = (uint8_t) (first + divide(number, radix));
	}
}

/* The common part of the two directions. */
static phi_status
transform_text(phi_bytes key, cipher transform, uint8_t *text, size_t size)
{
	decimal number;
	decimal limit;
	phi_status status = PHI_ERR_ARGUMENT;
	size_t width;

	if (read_text(text, size, &number, &limit) && key.size == 32)
	{
		width = width_of(&limit);
		if (width >= 6 && !(width == 6 && limit.digit[6] == 0))
			status = walk(key, transform, &number, &limit, width);
	}
	if (status == PHI_OK)
		write_text(&number, text, size);
	OPENSSL_cleanse(&number, sizeof(number));
	return status;
}

phi_status
phi_fpe_encrypt(phi_bytes key, uint8_t *text, size_t size)
{
	return transform_text(key, phi_ff1_encrypt, text, size);
}

phi_status
phi_fpe_decrypt(phi_bytes key, uint8_t *text, size_t size)
{
	return transform_text(key, phi_ff1_decrypt, text, size);
}

phi_status
phi_shift_days(phi_bytes key, uint64_t subject_token, int *days)
{
	uint8_t mac[PHI_SHA256_SIZE];
	uint8_t token[8];
	uint64_t number = 0;
	phi_status status;
	int i;

	*days = 0;
	for (i = 0; i < 8; i++)
		token[i] = (uint8_t) (subject_token >> (8 * i));
	status = phi_hmac_sha256(key, phi_bytes_of(token, sizeof(token)), mac);
	if (status != PHI_OK)
		return status;
	for (i = 0; i < 8; i++)
		number = number << 8 | mac[i];
	i = (int) (number % (2 * PHI_SHIFT_DAYS_MAX));
	*days = i < PHI_SHIFT_DAYS_MAX ? i + 1 : PHI_SHIFT_DAYS_MAX - 1 - i;
	OPENSSL_cleanse(mac, sizeof(mac));
	return PHI_OK;
}
