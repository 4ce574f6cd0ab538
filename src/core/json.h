/*-------------------------------------------------------------------------
 * json.h
 *		A strict reader of JSON (RFC 8259) for tokens and key files.
 *
 * A text is checked whole and laid out as an array of tokens that the caller
 * owns; values are then found by name and decoded on demand.  Refused beyond
 * what the grammar refuses: text that is not UTF-8, a member given twice (names
 * are compared decoded), an escape of U+0000 or of half a surrogate pair, and
 * more than PHI_JSON_DEPTH levels.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_JSON_H
#define PHI_CORE_JSON_H

#include "bytes.h"

#define PHI_JSON_DEPTH 16 /* arrays and objects around a value, at most */

typedef enum phi_json_type
{
	PHI_JSON_NULL = 1,
	PHI_JSON_FALSE,
	PHI_JSON_TRUE,
	PHI_JSON_NUMBER,
	PHI_JSON_STRING,
	PHI_JSON_ARRAY,
	PHI_JSON_OBJECT
} phi_json_type;

/* A value, or the name of a member, which is a string right before its value. */
typedef struct phi_json_token
{
	uint32_t start; /* in the text; of a string, behind its quotation mark */
	uint32_t size;  /* in bytes of the text, quotation marks aside */
	uint32_t next;  /* position behind this value and all inside it */
	phi_json_type type;
} phi_json_token;

typedef struct phi_json
{
	const char *text;
	const phi_json_token *tokens;
	size_t count;
} phi_json;

/*
 * Read a whole text of less than 2^32 bytes into tokens; json then refers to
 * both.  The root is position 0.  PHI_ERR_SPACE when capacity tokens are too few;
 * json->count is 0 on failure.
 */
extern phi_status phi_json_read(const char *text, size_t size, phi_json_token *tokens,
								size_t capacity, phi_json *json) PHI_CHECKED;

/*
 * Positions.  Position 0 is the root where a value is asked about, and "there is
 * none" where one is looked for: nothing below the root has it.
 */

/* The value of a member of the object at a position; 0 when it has none, or is no object. */
extern size_t phi_json_member(const phi_json *json, size_t object, const char *name, size_t size);

/*
 * The value at a path of member names joined by dots, from the object at a
 * position.  A member whose name is all that is left of the path, dots
 * included, comes first.
 */
extern size_t phi_json_path(const phi_json *json, size_t object, const char *path, size_t size);

/* The first element of the array at a position, and the one after an element of it; 0 behind the last. */
extern size_t phi_json_first(const phi_json *json, size_t array);
extern size_t phi_json_after(const phi_json *json, size_t array, size_t element);

extern phi_json_type phi_json_type_at(const phi_json *json, size_t at);

/* Is the value at a position this string? */
extern bool phi_json_is(const phi_json *json, size_t at, const char *text);

/*
 * Decode the string at a position to out and terminate it; capacity counts the
 * terminator, size does not.  PHI_ERR_FORMAT when it is no string,
 * PHI_ERR_SPACE when it does not fit; out is empty then.
 */
extern phi_status phi_json_string(const phi_json *json, size_t at, char *out, size_t capacity,
								  size_t *size) PHI_CHECKED;

/*
 * Whole seconds of a NumericDate (RFC 7519 section 2), a fraction cut off;
 * PHI_ERR_FORMAT for what is no number, is negative, has an exponent, or lies
 * after the year 9999.
 */
extern phi_status phi_json_seconds(const phi_json *json, size_t at, int64_t *seconds) PHI_CHECKED;

#endif /* PHI_CORE_JSON_H */
