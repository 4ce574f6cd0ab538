/*-------------------------------------------------------------------------
 * note_text.c
 *		The lines of notes, checkpoints and proofs: taking them apart and writing
 *		them.
 *-------------------------------------------------------------------------
 */
#include "note_text.h"

#include "utf8.h"

#include <string.h>

#define HASH_DIGITS      44 /* base64 of a hash */

/* ---- text ---- */

/* Is a character of several bytes a Unicode space? */
static bool
is_wide_space(const uint8_t *at, size_t size)
{
	static const char spaces[][4] = {"\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80",
									 "\xE2\x80\x81", "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84",
									 "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88",
									 "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9",
									 "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};
	size_t i;

	for (i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
	{
		if (strlen(spaces[i]) == size && memcmp(spaces[i], at, size) == 0)
			return true;
	}
	return false;
}

bool
phi_note_is_plain(phi_bytes text, bool name)
{
	while (text.size > 0)
	{
		size_t size = phi_utf8_size(text.data, text.size);

		if (size == 0 || (text.data[0] < 0x20 && (name || text.data[0] != '\n')))
			return false;
		if (name && (text.data[0] == ' ' || text.data[0] == '+' ||
					 (size > 1 && is_wide_space(text.data, size))))
			return false;
		text.data += size;
		text.size -= size;
	}
	return true;
}

bool
phi_note_take_line(phi_bytes *text, phi_bytes *line)
{
	const uint8_t *end = text->size > 0 ? memchr(text->data, '\n', text->size) : NULL;

	if (end == NULL)
		return false;
	*line = phi_bytes_of(text->data, (size_t) (end - text->data));
	text->data += line->size + 1;
	text->size -= line->size + 1;
	return true;
}

bool
phi_note_take_prefix(phi_bytes *text, const char *prefix)
{
	size_t size = strlen(prefix);

	if (text->size < size || memcmp(text->data, prefix, size) != 0)
		return false;
	text->data += size;
	text->size -= size;
	return true;
}

bool
phi_note_number(phi_bytes digits, uint64_t *out)
{
	uint64_t value = 0;
	size_t i;

	if (digits.size == 0 || (digits.size > 1 && digits.data[0] == '0'))
		return false;
	for (i = 0; i < digits.size; i++)
	{
		unsigned digit = digits.data[i] - (unsigned) '0';

		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return false;
		value = 10 * value + digit;
	}
	*out = value;
	return true;
}

bool
phi_note_hash(phi_bytes line, uint8_t out[PHI_HASH_SIZE])
{
	uint8_t bytes[PHI_HASH_SIZE + 1];
	phi_buffer decoded = {bytes, 0, sizeof(bytes)};

	if (line.size != HASH_DIGITS ||
		phi_base64_decode((const char *) line.data, line.size, &decoded) != PHI_OK ||
		decoded.size != PHI_HASH_SIZE)
		return false;
	memcpy(out, bytes, PHI_HASH_SIZE);
	return true;
}

bool
phi_note_is_base64(phi_bytes digits)
{
	size_t at;

	for (at = 0; digits.size % 4 == 0 && at < digits.size; at += 4)
	{
		uint8_t bytes[3];
		phi_buffer group = {bytes, 0, sizeof(bytes)};

		if (phi_base64_decode((const char *) digits.data + at, 4, &group) != PHI_OK ||
			(group.size < 3 && at + 4 < digits.size))
			return false;
	}
	return digits.size > 0 && at == digits.size;
}

/* ---- writing ---- */

void
phi_note_put(phi_status *status, phi_buffer *out, const void *data, size_t size)
{
	if (*status == PHI_OK)
		*status = phi_buffer_append(out, phi_bytes_of(data, size));
}

void
phi_note_put_text(phi_status *status, phi_buffer *out, const char *text)
{
	phi_note_put(status, out, text, strlen(text));
}

void
phi_note_put_number(phi_status *status, phi_buffer *out, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char) ('0' + value % 10);
	while ((value /= 10) != 0);
	phi_note_put(status, out, digits + at, sizeof(digits) - at);
}

void
phi_note_put_base64(phi_status *status, phi_buffer *out, const uint8_t *data, size_t size)
{
	char text[(PHI_NOTE_SIGNATURE + 2) / 3 * 4];

	phi_base64_encode(phi_bytes_of(data, size), text);
	phi_note_put(status, out, text, phi_base64_size(size));
	phi_note_put_text(status, out, "\n");
}

phi_status
phi_note_put_done(phi_status status, phi_buffer *out, size_t before)
{
	if (status != PHI_OK)
		out->size = before;
	return status;
}
