/*-------------------------------------------------------------------------
 * json.c
 *		Recursive-descent JSON reader for test vectors; see json.h.
 *
 * Strings are UTF-8 with the usual escapes.  Exits when memory runs out: no
 * test can go on then.
 *-------------------------------------------------------------------------
 */
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64

typedef struct reader
{
	const char *next;
	const char *end;
	unsigned depth;
} reader;

static json *read_value(reader *in);

/* malloc that does not return NULL, zeroed. */
static void *
need(size_t size)
{
	void *memory = calloc(1, size);

	if (memory == NULL)
	{
		fprintf(stderr, "json: out of memory\n");
		exit(2);
	}
	return memory;
}

static void
skip_space(reader *in)
{
	while (in->next < in->end && strchr(" \t\r\n", *in->next) != NULL && *in->next != '\0')
		in->next++;
}

/* Take one expected character after white space. */
static bool
take(reader *in, char expected)
{
	skip_space(in);
	if (in->next == in->end || *in->next != expected)
		return false;
	in->next++;
	return true;
}

static bool
take_word(reader *in, const char *word)
{
	size_t size = strlen(word);

	if ((size_t) (in->end - in->next) < size || memcmp(in->next, word, size) != 0)
		return false;
	in->next += size;
	return true;
}

/* Four hexadecimal digits of \u; false when they are not. */
static bool
read_code(reader *in, unsigned *code)
{
	char digits[5] = {0};
	char *stop;

	if (in->end - in->next < 4)
		return false;
	memcpy(digits, in->next, 4);
	*code = (unsigned) strtoul(digits, &stop, 16);
	in->next += 4;
	return stop == digits + 4;
}

/* Append a character of the Basic Multilingual Plane as UTF-8. */
static char *
put_utf8(char *to, unsigned code)
{
	if (code < 0x80)
		*to++ = (char) code;
	else if (code < 0x800)
	{
		*to++ = (char) (0xC0 | code >> 6);
		*to++ = (char) (0x80 | (code & 0x3F));
	}
	else
	{
		*to++ = (char) (0xE0 | code >> 12);
		*to++ = (char) (0x80 | (code >> 6 & 0x3F));
		*to++ = (char) (0x80 | (code & 0x3F));
	}
	return to;
}

/* One escape after its backslash; the new end of the text, NULL when unknown. */
static char *
read_escape(reader *in, char *to)
{
	static const char from[] = "\"\\/bfnrt";
	static const char into[] = "\"\\/\b\f\n\r\t";
	const char *found;
	unsigned code;

	if (in->next == in->end)
		return NULL;
	if (*in->next == 'u')
	{
		in->next++;
		return read_code(in, &code) ? put_utf8(to, code) : NULL;
	}
	found = *in->next != '\0' ? strchr(from, *in->next) : NULL;
	if (found == NULL)
		return NULL;
	in->next++;
	*to++ = into[found - from];
	return to;
}

/* A string from its opening quote; NULL when it does not close.  The caller frees. */
static char *
read_string(reader *in, size_t *size)
{
	char *text, *to;

	if (!take(in, '"'))
		return NULL;
	text = to = need((size_t) (in->end - in->next) + 1);
	while (to != NULL && in->next < in->end && *in->next != '"')
	{
		char c = *in->next++;

		if (c == '\\')
			to = read_escape(in, to);
		else
			*to++ = c;
	}
	if (to == NULL || !take(in, '"'))
	{
		free(text);
		return NULL;
	}
	*size = (size_t) (to - text);
	to = realloc(text, *size + 1);
	return to != NULL ? to : text;
}

/* The elements of an array or the members of an object, after its bracket. */
static bool
read_items(reader *in, json *parent, char close)
{
	json **last = &parent->first;

	if (take(in, close))
		return true;
	do
	{
		char *name = NULL;
		size_t size;

		if (close == '}' && ((name = read_string(in, &size)) == NULL || !take(in, ':')))
		{
			free(name);
			return false;
		}
		*last = read_value(in);
		if (*last == NULL)
		{
			free(name);
			return false;
		}
		(*last)->name = name;
		last = &(*last)->next;
	} while (take(in, ','));
	return take(in, close);
}

/* A whole number; a fraction or exponent is refused. */
static bool
read_number(reader *in, int64_t *number)
{
	const char *start = in->next;
	char digits[24] = {0};
	char *stop;

	while (in->next < in->end && strchr("+-.eE0123456789", *in->next) != NULL)
		in->next++;
	if (in->next == start || (size_t) (in->next - start) >= sizeof(digits))
		return false;
	memcpy(digits, start, (size_t) (in->next - start));
	*number = strtoll(digits, &stop, 10);
	return *stop == '\0';
}

/* Fill a value from the text at hand. */
static bool
read_into(reader *in, json *value)
{
	char first = *in->next;

	switch (first)
	{
		case '{':
		case '[':
			in->next++;
			value->type = first == '{' ? JSON_OBJECT : JSON_ARRAY;
			return read_items(in, value, first == '{' ? '}' : ']');
		case '"':
			value->type = JSON_STRING;
			value->text = read_string(in, &value->text_size);
			return value->text != NULL;
		case 't':
			value->type = JSON_BOOLEAN;
			value->number = 1;
			return take_word(in, "true");
		case 'f':
			value->type = JSON_BOOLEAN;
			return take_word(in, "false");
		case 'n':
			return take_word(in, "null");
		default:
			value->type = JSON_NUMBER;
			return read_number(in, &value->number);
	}
}

static json *
read_value(reader *in)
{
	json *value;

	skip_space(in);
	if (in->next == in->end || in->depth == DEPTH_MAX)
		return NULL;
	in->depth++;
	value = need(sizeof(*value));
	if (!read_into(in, value))
	{
		json_free(value);
		value = NULL;
	}
	in->depth--;
	return value;
}

json *
json_parse(const char *text, size_t size)
{
	reader in = {text, text + size, 0};
	json *value = read_value(&in);

	skip_space(&in);
	if (value != NULL && in.next != in.end)
	{
		json_free(value);
		return NULL;
	}
	return value;
}

void
json_free(json *value)
{
	while (value != NULL)
	{
		json *next = value->next;

		json_free(value->first);
		free(value->name);
		free(value->text);
		free(value);
		value = next;
	}
}

json *
json_load(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *text = NULL;
	size_t size = 0;
	json *value;

	if (file == NULL)
		return NULL;
	for (;;)
	{
		char *more = realloc(text, size + 65536);
		size_t got;

		if (more == NULL)
			exit(2);
		text = more;
		got = fread(text + size, 1, 65536, file);
		if (got == 0)
			break;
		size += got;
	}
	fclose(file);
	value = json_parse(text, size);
	free(text);
	if (value == NULL)
	{
		fprintf(stderr, "json: %s does not parse\n", path);
		exit(2);
	}
	return value;
}

/* A file below a folder that a variable may name. */
static json *
load_below(const char *variable, const char *otherwise, const char *name)
{
	const char *folder = getenv(variable);
	char path[4096];
	int size;

	size = snprintf(path, sizeof(path), "%s/%s", folder != NULL ? folder : otherwise, name);
	return size > 0 && (size_t) size < sizeof(path) ? json_load(path) : NULL;
}

json *
json_load_shared(const char *name)
{
	return load_below("PHI_SHARED", "../shared/data", name);
}

json *
json_load_own(const char *name)
{
	return load_below("PHI_VECTORS", "test/vectors", name);
}

const json *
json_get(const json *object, const char *name)
{
	const json *member = object != NULL && object->type == JSON_OBJECT ? object->first : NULL;

	while (member != NULL && strcmp(member->name, name) != 0)
		member = member->next;
	return member;
}

const json *
json_at(const json *array, size_t index)
{
	const json *item = array != NULL ? array->first : NULL;

	while (item != NULL && index-- > 0)
		item = item->next;
	return item;
}

size_t
json_count(const json *value)
{
	const json *item;
	size_t count = 0;

	for (item = value != NULL ? value->first : NULL; item != NULL; item = item->next)
		count++;
	return count;
}

const char *
json_text(const json *value)
{
	return value != NULL && value->type == JSON_STRING ? value->text : "";
}

int64_t
json_number(const json *value)
{
	return value != NULL && (value->type == JSON_NUMBER || value->type == JSON_BOOLEAN)
			   ? value->number
			   : 0;
}

/* Value of a hexadecimal digit, -1 when it is none. */
static int
digit_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

	return found != NULL ? (int) (found - digits) : -1;
}

size_t
json_hex_value(const json *value, uint8_t *out, size_t capacity)
{
	size_t size, i;

	if (value == NULL || value->type != JSON_STRING || value->text_size % 2 != 0)
		return SIZE_MAX;
	size = value->text_size / 2;
	if (size > capacity)
		return SIZE_MAX;
	for (i = 0; i < size; i++)
	{
		int high = digit_value(value->text[2 * i]);
		int low = digit_value(value->text[2 * i + 1]);

		if (high < 0 || low < 0)
			return SIZE_MAX;
		out[i] = (uint8_t) (high << 4 | low);
	}
	return size;
}

size_t
json_hex(const json *object, const char *name, uint8_t *out, size_t capacity)
{
	return json_hex_value(json_get(object, name), out, capacity);
}
