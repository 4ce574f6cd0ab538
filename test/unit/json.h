/*-------------------------------------------------------------------------
 * json.h
 *		A small JSON reader for test vectors.
 *
 * A document is parsed to a tree that it owns; json_free frees all of it.
 * Numbers are whole.  Lookups take a null value and give one, so that a chain
 * of them needs one check at its end.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_UNIT_JSON_H
#define PHI_UNIT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum json_type
{
	JSON_NULL,
	JSON_BOOLEAN,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
} json_type;

typedef struct json json;

struct json
{
	json_type type;
	int64_t number;   /* of a number; 0 or 1 of a boolean */
	char *text;       /* of a string, terminated */
	size_t text_size; /* without the terminator */
	char *name;       /* of a member of an object */
	json *first;      /* of an array or object */
	json *next;       /* the sibling */
};

/* Parse a whole text; NULL when it is not JSON of this kind. */
extern json *json_parse(const char *text, size_t size);
extern void json_free(json *value);

/* Read and parse a file; NULL when it is not there.  Exits when it does not parse. */
extern json *json_load(const char *path);

/*
 * The same for a file of the shared data folder (PHI_SHARED, else
 * ../shared/data) and of the project's own vectors (PHI_VECTORS, else
 * test/vectors).
 */
extern json *json_load_shared(const char *name);
extern json *json_load_own(const char *name);

extern const json *json_get(const json *object, const char *name);
extern const json *json_at(const json *array, size_t index);
extern size_t json_count(const json *value);
extern const char *json_text(const json *value); /* "" unless a string */
extern int64_t json_number(const json *value);   /* 0 unless a number or boolean */

/*
 * Decode a member of hexadecimal digits to at most capacity bytes of out; its
 * size, or SIZE_MAX when it is none or too long.
 */
extern size_t json_hex(const json *object, const char *name, uint8_t *out, size_t capacity);

/* The same for a value that is itself the text. */
extern size_t json_hex_value(const json *value, uint8_t *out, size_t capacity);

#endif /* PHI_UNIT_JSON_H */
