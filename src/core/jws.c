/*-------------------------------------------------------------------------
 * jws.c
 *		Form, header and signature of a token.
 *
 * Nothing of a payload is decoded before the signature over it holds.
 *-------------------------------------------------------------------------
 */
#include "jws.h"

#include <string.h>

/* The parts of a token, as they stand in its text. */
typedef struct token_parts
{
	phi_bytes header;
	phi_bytes payload;
	phi_bytes signature;
	phi_bytes signed_part; /* header, dot, payload */
} token_parts;

static const char *const cause_texts[PHI_CAUSE_COUNT] = {
	[PHI_CAUSE_NONE] = "none",           [PHI_CAUSE_SIZE] = "size",
	[PHI_CAUSE_FORM] = "form",           [PHI_CAUSE_HEADER] = "header",
	[PHI_CAUSE_CRITICAL] = "critical",   [PHI_CAUSE_TYPE] = "type",
	[PHI_CAUSE_ALGORITHM] = "algorithm", [PHI_CAUSE_KEY] = "key",
	[PHI_CAUSE_SIGNATURE] = "signature", [PHI_CAUSE_CLAIMS] = "claims",
	[PHI_CAUSE_ISSUER] = "issuer",       [PHI_CAUSE_AUDIENCE] = "audience",
	[PHI_CAUSE_EXPIRY] = "expiry",       [PHI_CAUSE_TIME] = "time",
	[PHI_CAUSE_ACTOR] = "actor",         [PHI_CAUSE_ORGANIZATION] = "organization",
	[PHI_CAUSE_ROLES] = "roles",         [PHI_CAUSE_PURPOSES] = "purposes",
	[PHI_CAUSE_GROUPS] = "groups",       [PHI_CAUSE_ID] = "id",
	[PHI_CAUSE_STEP_UP] = "step_up",
};

const char *
phi_token_cause_text(phi_token_cause cause)
{
	if ((unsigned) cause >= PHI_CAUSE_COUNT)
		return "unknown";
	return cause_texts[cause];
}

/* Cut a token at its two dots; false where there are not exactly two, or an empty part. */
static bool
split(const char *token, size_t size, token_parts *parts)
{
	const char *end = token + size;
	const char *first = memchr(token, '.', size);
	const char *second = first ? memchr(first + 1, '.', (size_t) (end - first - 1)) : NULL;

	if (second == NULL || memchr(second + 1, '.', (size_t) (end - second - 1)) != NULL)
		return false;
	parts->header = phi_bytes_of(token, (size_t) (first - token));
	parts->payload = phi_bytes_of(first + 1, (size_t) (second - first - 1));
	parts->signature = phi_bytes_of(second + 1, (size_t) (end - second - 1));
	parts->signed_part = phi_bytes_of(token, (size_t) (second - token));
	return parts->header.size > 0 && parts->payload.size > 0 && parts->signature.size > 0;
}

static phi_status
decode(phi_bytes part, phi_buffer *out)
{
	return phi_base64url_decode((const char *) part.data, part.size, out);
}

static size_t
member(const phi_json *json, const char *name)
{
	return phi_json_member(json, 0, name, strlen(name));
}

/* Is a "typ" one of those that may be given to a database?  Media types know no case. */
static bool
is_token_type(const phi_json *json, size_t at)
{
	static const char *const types[] = {"jwt", "at+jwt", "application/jwt", "application/at+jwt"};
	char type[32];
	size_t size, i;

	if (phi_json_string(json, at, type, sizeof(type), &size) != PHI_OK)
		return false;
	for (i = 0; i < size; i++)
	{
		if (type[i] >= 'A' && type[i] <= 'Z')
			type[i] = (char) (type[i] - 'A' + 'a');
	}
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
	{
		if (strcmp(type, types[i]) == 0)
			return true;
	}
	return false;
}

/* What the header alone says against the token. */
static phi_token_cause
check_header(const phi_json *json)
{
	size_t type = member(json, "typ");

	if (phi_json_type_at(json, 0) != PHI_JSON_OBJECT)
		return PHI_CAUSE_HEADER;
	if (member(json, "crit") != 0 || member(json, "b64") != 0)
		return PHI_CAUSE_CRITICAL;
	if (member(json, "cty") != 0 || (type != 0 && !is_token_type(json, type)))
		return PHI_CAUSE_TYPE;
	if (phi_jws_algorithm_find(json, member(json, "alg")) == PHI_JWS_UNKNOWN)
		return PHI_CAUSE_ALGORITHM;
	return PHI_CAUSE_NONE;
}

/*
 * The key that a header names: of that id and algorithm; where it names none,
 * the only one of the algorithm.
 */
static phi_token_cause
find_key(const phi_json *json, const phi_jwk *keys, size_t count, const phi_jwk **found)
{
	phi_jws_algorithm algorithm = phi_jws_algorithm_find(json, member(json, "alg"));
	size_t kid = member(json, "kid");
	bool of_that_id = false;
	size_t i;

	*found = NULL;
	if (kid != 0 && phi_json_type_at(json, kid) != PHI_JSON_STRING)
		return PHI_CAUSE_HEADER;
	for (i = 0; i < count; i++)
	{
		if (kid != 0 && (keys[i].id[0] == '\0' || !phi_json_is(json, kid, keys[i].id)))
			continue;
		of_that_id = true;
		if (keys[i].algorithm != algorithm)
			continue;
		if (*found != NULL)
			return PHI_CAUSE_KEY;
		*found = &keys[i];
	}
	if (*found != NULL)
		return PHI_CAUSE_NONE;
	return kid != 0 && of_that_id ? PHI_CAUSE_ALGORITHM : PHI_CAUSE_KEY;
}

/* Read the header and find the key; the header's bytes are not needed afterwards. */
static phi_token_cause
choose_key(const token_parts *parts, const phi_jwk *keys, size_t count, phi_token_space *space,
		   const phi_jwk **key)
{
	phi_buffer header = {space->bytes, 0, sizeof(space->bytes)};
	phi_json json;
	phi_token_cause cause;

	if (decode(parts->header, &header) != PHI_OK)
		return PHI_CAUSE_FORM;
	if (phi_json_read((const char *) header.data, header.size, space->values, PHI_TOKEN_VALUES,
					  &json) != PHI_OK)
		return PHI_CAUSE_HEADER;
	cause = check_header(&json);
	return cause == PHI_CAUSE_NONE ? find_key(&json, keys, count, key) : cause;
}

phi_status
phi_jws_verify(const char *token, size_t size, const phi_jwk *keys, size_t count,
			   phi_token_space *space, phi_bytes *claims, phi_token_cause *cause)
{
	uint8_t signature[PHI_JWK_MATERIAL_SIZE];
	phi_buffer bytes = {signature, 0, sizeof(signature)};
	const phi_jwk *key = NULL;
	token_parts parts;
	phi_status status;

	*claims = phi_bytes_of(NULL, 0);
	*cause = PHI_CAUSE_SIZE;
	if (size == 0 || size > PHI_TOKEN_MAX)
		return PHI_ERR_AUTH;
	*cause = PHI_CAUSE_FORM;
	if (!split(token, size, &parts) || decode(parts.signature, &bytes) != PHI_OK)
		return PHI_ERR_AUTH;
	*cause = choose_key(&parts, keys, count, space, &key);
	if (*cause != PHI_CAUSE_NONE)
		return PHI_ERR_AUTH;
	*cause = PHI_CAUSE_SIGNATURE;
	status = phi_jwk_verify(key, parts.signed_part, phi_bytes_of(bytes.data, bytes.size));
	if (status != PHI_OK)
		return status;
	*cause = PHI_CAUSE_FORM;
	bytes = (phi_buffer){space->bytes, 0, sizeof(space->bytes)};
	if (decode(parts.payload, &bytes) != PHI_OK)
		return PHI_ERR_AUTH;
	*claims = phi_bytes_of(bytes.data, bytes.size);
	*cause = PHI_CAUSE_NONE;
	return PHI_OK;
}

size_t
phi_jws_signed_size(const char *token, size_t size)
{
	while (size > 0 && token[size - 1] != '.')
		size--;
	return size > 0 ? size - 1 : 0;
}
