/*-------------------------------------------------------------------------
 * json.c
 *		A strict reader of JSON (RFC 8259).
 *
 * One pass checks the text and writes tokens; arrays and objects recurse, at
 * most PHI_JSON_DEPTH deep.  Strings stay as they are in the text until they are
 * compared or decoded, one character at a time.
 *-------------------------------------------------------------------------
 */
#include "json.h"

#include <string.h>

#define SECONDS_MAX INT64_C(253402300799) /* the last one of the year 9999 */

/* The text and how far it has been read; tokens written so far. */
typedef struct reader
{
	const uint8_t *text;
	size_t size;
	size_t at;
	phi_json_token *tokens;
	size_t count;
	size_t capacity;
} reader;

static phi_status read_value(reader *in, unsigned depth);

/* The next byte, or 0 at the end: no byte that JSON allows is 0. */
static uint8_t
peek(const reader *in)
{
	return in->at < in->size ? in->text[in->at] : 0;
}

static void
skip_space(reader *in)
{
	while (peek(in) == ' ' || peek(in) == '\t' || peek(in) == '\n' || peek(in) == '\r')
		in->at++;
}

/* ---- characters ---- */

/* Size in bytes of the UTF-8 character that begins here; 0 where none does (RFC 3629 section 4). */
static size_t
utf8_size(const uint8_t *text, size_t left)
{
	uint8_t first = text[0];
	uint8_t low = 0x80, high = 0xBF;
	size_t size, i;

	if (first < 0x80)
		return 1;
	size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
	if (first < 0xC2 || first > 0xF4 || left < size)
		return 0;
	if (first == 0xE0)
		low = 0xA0;
	else if (first == 0xED)
		high = 0x9F;
	else if (first == 0xF0)
		low = 0x90;
	else if (first == 0xF4)
		high = 0x8F;
	for (i = 1; i < size; i++, low = 0x80, high = 0xBF)
	{
		if (text[i] < low || text[i] > high)
			return 0;
	}
	return size;
}

/* Write a code point as UTF-8; its size in bytes. */
static size_t
put_utf8(uint32_t point, uint8_t out[4])
{
	size_t size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	size_t i;

	if (size == 1)
	{
		out[0] = (uint8_t) point;
		return 1;
	}
	for (i = size - 1; i > 0; i--, point >>= 6)
		out[i] = (uint8_t) (0x80 | (point & 0x3F));
	out[0] = (uint8_t) ((0xF00u >> size & 0xF0) | point);
	return size;
}

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

/*
 * One character of a string: its UTF-8 bytes and their number, and how many
 * bytes of the text it takes; 0 where it is refused.
 */
static size_t
read_character(const uint8_t *text, size_t left, uint8_t out[4], size_t *size)
{
	uint32_t point = 0;
	size_t taken;

	if (text[0] == '\\')
	{
		taken = read_escape(text, left, &point);
		*size = taken > 0 ? put_utf8(point, out) : 0;
		return taken;
	}
	taken = text[0] < 0x20 ? 0 : utf8_size(text, left);
	memcpy(out, text, taken);
	*size = taken;
	return taken;
}

/* ---- reading ---- */

/* Begin a token; PHI_ERR_SPACE when there is no room for it. */
static phi_status
begin_token(reader *in, phi_json_type type, size_t *position)
{
	phi_json_token *token;

	if (in->count >= in->capacity)
		return PHI_ERR_SPACE;
	*position = in->count++;
	token = &in->tokens[*position];
	token->start = (uint32_t) in->at;
	token->size = 0;
	token->next = 0;
	token->type = type;
	return PHI_OK;
}

/* End it where the text has been read to. */
static void
end_token(reader *in, size_t position)
{
	phi_json_token *token = &in->tokens[position];

	token->size = (uint32_t) (in->at - token->start);
	token->next = (uint32_t) in->count;
}

/* A string, quotation marks included. */
static phi_status
read_string(reader *in)
{
	uint8_t character[4];
	size_t position, taken, size;
	phi_status status;

	if (peek(in) != '"')
		return PHI_ERR_FORMAT;
	in->at++;
	status = begin_token(in, PHI_JSON_STRING, &position);
	if (status != PHI_OK)
		return status;
	while (peek(in) != '"')
	{
		if (in->at >= in->size)
			return PHI_ERR_FORMAT;
		taken = read_character(in->text + in->at, in->size - in->at, character, &size);
		if (taken == 0)
			return PHI_ERR_FORMAT;
		in->at += taken;
	}
	end_token(in, position);
	in->at++;
	return PHI_OK;
}

/* One digit or more. */
static bool
skip_digits(reader *in)
{
	size_t from = in->at;

	while (peek(in) >= '0' && peek(in) <= '9')
		in->at++;
	return in->at > from;
}

static phi_status
read_number(reader *in)
{
	size_t position;
	phi_status status = begin_token(in, PHI_JSON_NUMBER, &position);

	if (status != PHI_OK)
		return status;
	if (peek(in) == '-')
		in->at++;
	if (peek(in) == '0')
		in->at++;
	else if (!skip_digits(in))
		return PHI_ERR_FORMAT;
	if (peek(in) == '.')
	{
		in->at++;
		if (!skip_digits(in))
			return PHI_ERR_FORMAT;
	}
	if (peek(in) == 'e' || peek(in) == 'E')
	{
		in->at++;
		if (peek(in) == '+' || peek(in) == '-')
			in->at++;
		if (!skip_digits(in))
			return PHI_ERR_FORMAT;
	}
	end_token(in, position);
	return PHI_OK;
}

/* One of the three names. */
static phi_status
read_literal(reader *in, const char *literal, phi_json_type type)
{
	size_t size = strlen(literal);
	size_t position;
	phi_status status;

	if (in->size - in->at < size || memcmp(in->text + in->at, literal, size) != 0)
		return PHI_ERR_FORMAT;
	status = begin_token(in, type, &position);
	if (status != PHI_OK)
		return status;
	in->at += size;
	end_token(in, position);
	return PHI_OK;
}

/* Are two strings of the text the same, decoded? */
static bool
same_string(const reader *in, const phi_json_token *a, const phi_json_token *b)
{
	size_t i = 0, j = 0, size_a = 0, size_b = 0;
	uint8_t char_a[4], char_b[4];

	while (i < a->size && j < b->size)
	{
		i += read_character(in->text + a->start + i, a->size - i, char_a, &size_a);
		j += read_character(in->text + b->start + j, b->size - j, char_b, &size_b);
		if (size_a != size_b || memcmp(char_a, char_b, size_a) != 0)
			return false;
	}
	return i == a->size && j == b->size;
}

/* Has the object this name already, before the one at a position? */
static bool
is_duplicate(const reader *in, size_t object, size_t name)
{
	size_t other = object + 1;

	while (other < name)
	{
		if (same_string(in, &in->tokens[other], &in->tokens[name]))
			return true;
		other = in->tokens[other + 1].next;
	}
	return false;
}

/* A name, a colon and a value. */
static phi_status
read_member(reader *in, size_t object, unsigned depth)
{
	size_t name = in->count;
	phi_status status;

	skip_space(in);
	status = read_string(in);
	if (status != PHI_OK)
		return status;
	if (is_duplicate(in, object, name))
		return PHI_ERR_FORMAT;
	skip_space(in);
	if (peek(in) != ':')
		return PHI_ERR_FORMAT;
	in->at++;
	return read_value(in, depth);
}

/* An array or object; in->at is at its bracket. */
static phi_status
read_container(reader *in, phi_json_type type, unsigned depth)
{
	uint8_t close = type == PHI_JSON_ARRAY ? ']' : '}';
	size_t position;
	phi_status status;

	if (depth >= PHI_JSON_DEPTH)
		return PHI_ERR_FORMAT;
	status = begin_token(in, type, &position);
	if (status != PHI_OK)
		return status;
	in->at++;
	skip_space(in);
	while (peek(in) != close)
	{
		status = type == PHI_JSON_ARRAY ? read_value(in, depth + 1)
										: read_member(in, position, depth + 1);
		if (status != PHI_OK)
			return status;
		if (peek(in) == close)
			break;
		if (peek(in) != ',')
			return PHI_ERR_FORMAT;
		in->at++;
		skip_space(in);
		if (peek(in) == close)
			return PHI_ERR_FORMAT;
	}
	in->at++;
	end_token(in, position);
	return PHI_OK;
}

/* Any value, and the white space around it. */
static phi_status
read_value(reader *in, unsigned depth)
{
	phi_status status;

	skip_space(in);
	switch (peek(in))
	{
		case '{':
			status = read_container(in, PHI_JSON_OBJECT, depth);
			break;
		case '[':
			status = read_container(in, PHI_JSON_ARRAY, depth);
			break;
		case '"':
			status = read_string(in);
			break;
		case 't':
			status = read_literal(in, "true", PHI_JSON_TRUE);
			break;
		case 'f':
			status = read_literal(in, "false", PHI_JSON_FALSE);
			break;
		case 'n':
			status = read_literal(in, "null", PHI_JSON_NULL);
			break;
		default:
			status = read_number(in);
			break;
	}
	skip_space(in);
	return status;
}

phi_status
phi_json_read(const char *text, size_t size, phi_json_token *tokens, size_t capacity,
			  phi_json *json)
{
	reader in = {(const uint8_t *) text, size, 0, tokens, 0, capacity};
	phi_status status;

	json->text = text;
	json->tokens = tokens;
	json->count = 0;
	if (size > UINT32_MAX)
		return PHI_ERR_SPACE;
	status = read_value(&in, 0);
	if (status == PHI_OK && in.at != size)
		status = PHI_ERR_FORMAT;
	if (status == PHI_OK)
		json->count = in.count;
	return status;
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
		i += read_character(text + i, token->size - i, character, &got);
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
		i += read_character(text + i, token->size - i, character, &got);
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
