/*-------------------------------------------------------------------------
 * json.c
 *		A strict reader of JSON (RFC 8259).
 *
 * One pass checks the text and writes tokens; arrays and objects recurse, at
 * most PHI_JSON_DEPTH deep.  Strings stay as they are in the text (json_text.c).
 *-------------------------------------------------------------------------
 */
#include "json_text.h"

#include <string.h>

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
		taken = phi_json_character(in->text + in->at, in->size - in->at, character, &size);
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
		i += phi_json_character(in->text + a->start + i, a->size - i, char_a, &size_a);
		j += phi_json_character(in->text + b->start + j, b->size - j, char_b, &size_b);
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
