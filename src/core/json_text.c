/*-------------------------------------------------------------------------
 * json_text.c
 *		What a JSON text says: finding members, comparing and decoding.
 *
 * Strings are compared and decoded one character at a time, from the text
 * itself: the reader has checked it.
 *-------------------------------------------------------------------------
 */
#include "json_text.h"

#include "utf8.h"

#include <string.h>

#define SECONDS_MAX INT64_C(253402300799) /* the last one of the year 9999 */

/* ---- characters ---- */

/* The four hexadecimal digits of a \u escape; false where they are none. */
static bool
read_hex4(const uint8_t *text, size_t left, uint32_t *unit)
{
	uint8_t bytes[2];

	if (left < 4 || phi_hex_decode((const char *) text, 4, bytes, 2) != PHI_OK)
		return false;
	*unit = phi_get_u16(bytes);
	return true;
}

/*
 * One escape, which begins with a backslash: the code point, and how many bytes
 * of the text it takes; 0 bytes where it is refused.
 */
static size_t
read_escape(const uint8_t *text, size_t left, uint32_t *point)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	const char *letter;
	uint32_t low;

	if (left < 2 || text[1] == '\0')
		return 0;
	if (text[1] != 'u')
	{
		letter = strchr(letters, text[1]);
		if (letter == NULL)
			return 0;
		*point = (uint8_t) meanings[letter - letters];
		return 2;
	}
	if (!read_hex4(text + 2, left - 2, point) || *point == 0 ||
		(*point >= 0xDC00 && *point <= 0xDFFF))
		return 0;
	if (*point < 0xD800 || *point > 0xDBFF)
		return 6;
	if (left < 12 || text[6] != '\\' || text[7] != 'u' || !read_hex4(text + 8, left - 8, &low) ||
		low < 0xDC00 || low > 0xDFFF)
		return 0;
	*point = 0x10000 + ((*point - 0xD800) << 10) + (low - 0xDC00);
	return 12;
}

size_t
phi_json_character(const uint8_t *text, size_t left, uint8_t out[4], size_t *size)
{
	uint32_t point = 0;
	size_t taken;

	if (text[0] == '\\')
	{
		taken = read_escape(text, left, &point);
		*size = taken > 0 ? phi_utf8_put(point, out) : 0;
		return taken;
	}
	taken = text[0] < 0x20 ? 0 : phi_utf8_size(text, left);
	memcpy(out, text, taken);
	*size = taken;
	return taken;
}

/* ---- finding ---- */

phi_json_type
phi_json_type_at(const phi_json *json, size_t at)
{
	return at < json->count ? json->tokens[at].type : PHI_JSON_NULL;
}

/* Is the string at a position, decoded, these bytes? */
static bool
equals(const phi_json *json, size_t at, const char *bytes, size_t size)
{
	const phi_json_token *token = &json->tokens[at];
	const uint8_t *text = (const uint8_t *) json->text + token->start;
	size_t i = 0, done = 0, got = 0;
	uint8_t character[4];

	while (i < token->size)
	{
		i += phi_json_character(text + i, token->size - i, character, &got);
		if (got > size - done || memcmp(character, bytes + done, got) != 0)
			return false;
		done += got;
	}
	return done == size;
}

size_t
phi_json_member(const phi_json *json, size_t object, const char *name, size_t size)
{
	size_t at;

	if (phi_json_type_at(json, object) != PHI_JSON_OBJECT)
		return 0;
	for (at = object + 1; at < json->tokens[object].next; at = json->tokens[at + 1].next)
	{
		if (equals(json, at, name, size))
			return at + 1;
	}
	return 0;
}

size_t
phi_json_path(const phi_json *json, size_t object, const char *path, size_t size)
{
	const char *dot;
	size_t found;

	for (;;)
	{
		found = phi_json_member(json, object, path, size);
		dot = memchr(path, '.', size);
		if (found != 0 || dot == NULL)
			return found;
		object = phi_json_member(json, object, path, (size_t) (dot - path));
		if (object == 0)
			return 0;
		size -= (size_t) (dot - path) + 1;
		path = dot + 1;
	}
}

size_t
phi_json_first(const phi_json *json, size_t array)
{
	if (phi_json_type_at(json, array) != PHI_JSON_ARRAY)
		return 0;
	return array + 1 < json->tokens[array].next ? array + 1 : 0;
}

size_t
phi_json_after(const phi_json *json, size_t array, size_t element)
{
	size_t next = json->tokens[element].next;

	return next < json->tokens[array].next ? next : 0;
}

bool
phi_json_is(const phi_json *json, size_t at, const char *text)
{
	return phi_json_type_at(json, at) == PHI_JSON_STRING && equals(json, at, text, strlen(text));
}

/* ---- decoding ---- */

phi_status
phi_json_string(const phi_json *json, size_t at, char *out, size_t capacity, size_t *size)
{
	const phi_json_token *token;
	const uint8_t *text;
	uint8_t character[4];
	size_t i = 0, got = 0;

	*size = 0;
	if (capacity == 0)
		return PHI_ERR_SPACE;
	out[0] = '\0';
	if (phi_json_type_at(json, at) != PHI_JSON_STRING)
		return PHI_ERR_FORMAT;
	token = &json->tokens[at];
	text = (const uint8_t *) json->text + token->start;
	while (i < token->size)
	{
		i += phi_json_character(text + i, token->size - i, character, &got);
		if (got >= capacity - *size)
		{
			out[0] = '\0';
			*size = 0;
			return PHI_ERR_SPACE;
		}
		memcpy(out + *size, character, got);
		*size += got;
	}
	out[*size] = '\0';
	return PHI_OK;
}

phi_status
phi_json_seconds(const phi_json *json, size_t at, int64_t *seconds)
{
	const phi_json_token *token;
	size_t i;

	*seconds = 0;
	if (phi_json_type_at(json, at) != PHI_JSON_NUMBER)
		return PHI_ERR_FORMAT;
	token = &json->tokens[at];
	for (i = 0; i < token->size; i++)
	{
		char digit = json->text[token->start + i];

		if (digit == '.' && memchr(json->text + token->start, 'e', token->size) == NULL &&
			memchr(json->text + token->start, 'E', token->size) == NULL)
			break;
		if (digit < '0' || digit > '9')
			return PHI_ERR_FORMAT;
		*seconds = *seconds * 10 + (digit - '0');
		if (*seconds > SECONDS_MAX)
			return PHI_ERR_FORMAT;
	}
	return PHI_OK;
}
