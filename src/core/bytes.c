/*-------------------------------------------------------------------------
 * bytes.c
 *		Buffer append, base64url, base64 and hexadecimal.
 *
 * base64url carries ciphertext and is driven by tables, for bulk output.
 * base64 carries hashes and signatures, and is base64url with two digits of
 * its own and padding.
 * Hexadecimal carries keys as well, so its decoding neither indexes a table
 * with a digit nor branches on one.
 *-------------------------------------------------------------------------
 */
#include "bytes.h"

#include <string.h>

#define NOT_A_DIGIT 0xFF

static const char base64url_digits[64] = {
	'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P',
	'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f',
	'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v',
	'w', 'x', 'y', 'z', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '-', '_',
};

#define X16                                                                                        \
	NOT_A_DIGIT, NOT_A_DIGIT, NOT_A_DIGIT, NOT_A_DIGIT, NOT_A_DIGIT, NOT_A_DIGIT, NOT_A_DIGIT,     \
		NOT_A_DIGIT, NOT_A_DIGIT, NOT_A_DIGIT, NOT_A_DIGIT, NOT_A_DIGIT, NOT_A_DIGIT, NOT_A_DIGIT, \
		NOT_A_DIGIT, NOT_A_DIGIT
#define XX NOT_A_DIGIT

/* Value of a base64url digit by its byte, or NOT_A_DIGIT; sixteen bytes a row. */
/* clang-format off */
static const uint8_t base64url_values[256] = {
	X16, X16,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, 62, XX, XX,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, XX, XX, XX, XX, XX, XX,
	XX, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, XX, XX, XX, XX, 63,
	XX, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, XX, XX, XX, XX, XX,
	X16, X16, X16, X16, X16, X16, X16, X16,
};
/* clang-format on */

#undef X16
#undef XX

phi_status
phi_buffer_append(phi_buffer *buffer, phi_bytes bytes)
{
	if (buffer->size > buffer->capacity)
		return PHI_ERR_ARGUMENT;
	if (bytes.size > buffer->capacity - buffer->size)
		return PHI_ERR_SPACE;
	if (bytes.size > 0)
		memcpy(buffer->data + buffer->size, bytes.data, bytes.size);
	buffer->size += bytes.size;
	return PHI_OK;
}

void
phi_base64url_encode(phi_bytes in, char *out)
{
	const uint8_t *next = in.data;
	size_t left = in.size;
	uint32_t group;

	for (; left >= 3; left -= 3, next += 3)
	{
		group = ((uint32_t) next[0] << 16) | ((uint32_t) next[1] << 8) | next[2];
		*out++ = base64url_digits[group >> 18];
		*out++ = base64url_digits[(group >> 12) & 63];
		*out++ = base64url_digits[(group >> 6) & 63];
		*out++ = base64url_digits[group & 63];
	}
	if (left == 0)
		return;
	group = (uint32_t) next[0] << 16;
	if (left == 2)
		group |= (uint32_t) next[1] << 8;
	*out++ = base64url_digits[group >> 18];
	*out++ = base64url_digits[(group >> 12) & 63];
	if (left == 2)
		*out++ = base64url_digits[(group >> 6) & 63];
}

/*
 * Decode the 2 or 3 digits of an incomplete last group to 1 or 2 bytes.  False
 * where one is no digit or a bit that no byte uses is set: such a text is a
 * second encoding of the same bytes.
 */
static bool
decode_tail(const uint8_t *digits, size_t count, uint8_t *out)
{
	uint8_t a = base64url_values[digits[0]];
	uint8_t b = base64url_values[digits[1]];
	uint8_t c = count == 3 ? base64url_values[digits[2]] : 0;

	if ((a | b | c) > 63)
		return false;
	out[0] = (uint8_t) (a << 2 | b >> 4);
	if (count == 2)
		return (b & 0x0F) == 0;
	out[1] = (uint8_t) (b << 4 | c >> 2);
	return (c & 0x03) == 0;
}

phi_status
phi_base64url_decode(const char *text, size_t size, phi_buffer *out)
{
	const uint8_t *next = (const uint8_t *) text;
	size_t tail = size % 4;
	size_t decoded = size / 4 * 3 + (tail > 0 ? tail - 1 : 0);
	size_t groups;
	uint8_t *to = out->data;

	out->size = 0;
	if (tail == 1)
		return PHI_ERR_FORMAT;
	if (decoded > out->capacity)
		return PHI_ERR_SPACE;
	for (groups = size / 4; groups > 0; groups--, next += 4)
	{
		uint8_t a = base64url_values[next[0]];
		uint8_t b = base64url_values[next[1]];
		uint8_t c = base64url_values[next[2]];
		uint8_t d = base64url_values[next[3]];

		if ((a | b | c | d) > 63)
			return PHI_ERR_FORMAT;
		*to++ = (uint8_t) (a << 2 | b >> 4);
		*to++ = (uint8_t) (b << 4 | c >> 2);
		*to++ = (uint8_t) (c << 6 | d);
	}
	if (tail > 0 && !decode_tail(next, tail, to))
		return PHI_ERR_FORMAT;
	out->size = decoded;
	return PHI_OK;
}

void
phi_base64_encode(phi_bytes in, char *out)
{
	size_t size = phi_base64url_size(in.size);
	size_t i;

	phi_base64url_encode(in, out);
	for (i = 0; i < size; i++)
		out[i] = out[i] == '-' ? '+' : out[i] == '_' ? '/' : out[i];
	memset(out + size, '=', phi_base64_size(in.size) - size);
}

phi_status
phi_base64_decode(const char *text, size_t size, phi_buffer *out)
{
	phi_status status = size % 4 == 0 ? PHI_OK : PHI_ERR_FORMAT;
	size_t decoded = 0;
	size_t at, i;

	out->size = 0;
	for (at = 0; status == PHI_OK && at < size; at += 4)
	{
		phi_buffer group = {out->data + decoded, 0, out->capacity - decoded};
		size_t digits = 4;
		char url[4];

		/* Padding ends the last group alone. */
		while (at + 4 == size && digits > 2 && text[at + digits - 1] == '=')
			digits--;
		for (i = 0; i < digits; i++)
		{
			char digit = text[at + i];

			if (digit == '-' || digit == '_')
				return PHI_ERR_FORMAT;
			url[i] = digit == '+' ? '-' : digit == '/' ? '_' : digit;
		}
		status = phi_base64url_decode(url, digits, &group);
		decoded += group.size;
	}
	if (status == PHI_OK)
		out->size = decoded;
	return status;
}

/*
 * Value of a hexadecimal digit, or a value above 15, in constant time: each
 * mask is all ones where the byte lies in its range.
 */
static unsigned
hex_value(uint8_t byte)
{
	unsigned digit = byte - (unsigned) '0';
	unsigned letter = (byte | 0x20u) - (unsigned) 'a';
	unsigned is_digit = 0u - ((digit - 10u) >> 31 & ~(digit >> 31) & 1u);
	unsigned is_letter = 0u - ((letter - 6u) >> 31 & ~(letter >> 31) & 1u);

	return (digit & is_digit) | ((letter + 10u) & is_letter) | (~(is_digit | is_letter) & 0x100u);
}

phi_status
phi_hex_decode(const char *text, size_t digits, uint8_t *out, size_t size)
{
	unsigned wrong = 0;
	size_t i;

	if (size > SIZE_MAX / 2 || digits != 2 * size)
		return PHI_ERR_FORMAT;
	for (i = 0; i < size; i++)
	{
		unsigned high = hex_value((uint8_t) text[2 * i]);
		unsigned low = hex_value((uint8_t) text[2 * i + 1]);

		wrong |= high | low;
		out[i] = (uint8_t) (high << 4 | low);
	}
	return wrong > 15 ? PHI_ERR_FORMAT : PHI_OK;
}
