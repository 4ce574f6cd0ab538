/*-------------------------------------------------------------------------
 * fuzz_token.c
 *		Arbitrary bytes as JSON, as a key set, as a token, and as the header and
 *		claims of one.
 *
 * Held: JSON that reads, written plainly, reads to the same values and is
 * written to the same bytes; keys that read verify no signature of
 * zeros; a token that is accepted carries the MAC of what it signs; claims
 * that are accepted are complete and bounded.
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "core/mac.h"
#include "core/token.h"

#define INPUT_MAX  8192
#define OUTPUT_MAX (8 * INPUT_MAX)
#define VALUES     2048
#define KEYS       4
#define NOW        INT64_C(1700000000)

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const phi_token_rules rules = {
	.issuer = "i",
	.audience = "a",
	.actor = "sub",
	.organization = "organization, o.p",
	.roles = "roles, r.s",
	.purposes = "purposes",
	.groups = "groups",
	.id = "jti",
	.acr = "acr",
	.amr = "amr",
	.auth_time = "auth_time",
	.step_up_acr = "gold",
	.step_up_amr = "otp",
	.now = NOW,
};
static phi_jwk key = {.algorithm = PHI_JWS_HS256, .id = "k", .size = 32};
static phi_token_space space;

/* A broken promise ends the run. */
static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* ---- JSON ---- */

static void
put(phi_buffer *out, const char *bytes, size_t size)
{
	must(phi_buffer_append(out, phi_bytes_of(bytes, size)) == PHI_OK);
}

/* Write a string with no escapes but those that must be. */
static void
put_string(phi_buffer *out, const phi_json *json, size_t at)
{
	static char text[INPUT_MAX + 1];
	char escape[8];
	size_t size, i;

	must(phi_json_string(json, at, text, sizeof(text), &size) == PHI_OK);
	must(phi_json_is(json, at, text) && strlen(text) == size);
	put(out, "\"", 1);
	for (i = 0; i < size; i++)
	{
		uint8_t byte = (uint8_t) text[i];

		if (byte >= 0x20 && byte != '"' && byte != '\\')
			put(out, text + i, 1);
		else
		{
			static const char digits[] = "0123456789abcdef";

			memcpy(escape, "\\u00", 4);
			escape[4] = digits[byte >> 4];
			escape[5] = digits[byte & 15];
			put(out, escape, 6);
		}
	}
	put(out, "\"", 1);
}

/* Write a value and all inside it; the position behind it. */
static size_t
put_value(phi_buffer *out, const phi_json *json, size_t at)
{
	const phi_json_token *token = &json->tokens[at];
	size_t next = at + 1;
	bool object = token->type == PHI_JSON_OBJECT;

	must(at < json->count && token->next > at && token->next <= json->count);
	if (token->type == PHI_JSON_STRING)
		put_string(out, json, at);
	else if (!object && token->type != PHI_JSON_ARRAY)
		put(out, json->text + token->start, token->size);
	else
	{
		put(out, object ? "{" : "[", 1);
		while (next < token->next)
		{
			if (next > at + 1)
				put(out, ",", 1);
			if (object)
			{
				put_string(out, json, next++);
				put(out, ":", 1);
			}
			next = put_value(out, json, next);
		}
		put(out, object ? "}" : "]", 1);
	}
	must(next == token->next);
	return next;
}

static void
fuzz_json(const char *text, size_t size)
{
	static phi_json_token values[VALUES], again_values[VALUES];
	static uint8_t first[OUTPUT_MAX], second[OUTPUT_MAX];
	phi_buffer out = {first, 0, sizeof(first)};
	phi_buffer again = {second, 0, sizeof(second)};
	phi_json json, reread;
	int64_t seconds;
	size_t i;

	if (phi_json_read(text, size, values, VALUES, &json) != PHI_OK)
	{
		must(json.count == 0);
		return;
	}
	must(put_value(&out, &json, 0) == json.count);
	must(phi_json_read((const char *) first, out.size, again_values, VALUES, &reread) == PHI_OK);
	must(reread.count == json.count);
	for (i = 0; i < json.count; i++)
		must(reread.tokens[i].type == json.tokens[i].type &&
			 reread.tokens[i].next == json.tokens[i].next);
	must(put_value(&again, &reread, 0) == json.count);
	must(out.size == again.size && memcmp(first, second, out.size) == 0);
	for (i = 0; i < json.count; i++)
		must(phi_json_seconds(&json, i, &seconds) != PHI_OK || seconds >= 0);
	(void) phi_json_path(&json, 0, text, size < 64 ? size : 64);
}

/* ---- keys ---- */

static void
fuzz_keys(const char *text, size_t size)
{
	static const uint8_t zeros[PHI_JWK_MATERIAL_SIZE];
	static phi_json_token values[VALUES];
	phi_jwk keys[KEYS];
	size_t count, i;
	phi_status status = phi_jwks_read(text, size, values, VALUES, keys, KEYS, &count);

	must(status == PHI_OK || count == 0);
	for (i = 0; i < count; i++)
		must(phi_jwk_verify(&keys[i], phi_bytes_of("m", 1), phi_bytes_of(zeros, 64)) != PHI_OK);
}

/* ---- tokens ---- */

/* What was accepted is whole. */
static void
check_claims(const phi_claims *claims)
{
	size_t i;

	must(claims->actor[0] != '\0' && claims->role_count >= 1 &&
		 claims->role_count <= PHI_CLAIM_ROLES && claims->group_count <= PHI_CLAIM_GROUPS);
	must(claims->purposes != 0 && (claims->purposes & 1) == 0);
	must(claims->expires_at > NOW && claims->step_up_at >= 0 && claims->step_up_at <= NOW);
	for (i = 0; i < claims->role_count; i++)
		must(claims->roles[i][0] != '\0' && strlen(claims->roles[i]) < PHI_CLAIM_SIZE);
	for (i = 0; i < claims->group_count; i++)
		must(claims->groups[i][0] != '\0' && strlen(claims->groups[i]) < PHI_CLAIM_SIZE);
}

/* Does the token end in the MAC of what stands before it? */
static bool
is_signed(const char *token, size_t size)
{
	size_t signed_size = phi_jws_signed_size(token, size);
	uint8_t mac[PHI_SHA256_SIZE];
	char encoded[44];

	must(phi_hmac_sha256(phi_bytes_of(key.material, key.size), phi_bytes_of(token, signed_size),
						 mac) == PHI_OK);
	phi_base64url_encode(phi_bytes_of(mac, sizeof(mac)), encoded);
	return size == signed_size + 1 + 43 && memcmp(token + signed_size + 1, encoded, 43) == 0;
}

static void
verify(const char *token, size_t size)
{
	static const phi_claims empty;
	phi_claims claims;
	phi_token_cause cause;
	phi_status status = phi_token_verify(token, size, &key, 1, &rules, &space, &claims, &cause);

	must(status == PHI_OK || status == PHI_ERR_AUTH);
	must((status == PHI_OK) == (cause == PHI_CAUSE_NONE));
	if (status == PHI_OK)
	{
		must(is_signed(token, size));
		check_claims(&claims);
	}
	else
		must(memcmp(&claims, &empty, sizeof(empty)) == 0);
}

/* The input as header, a line end, and claims, signed. */
static void
fuzz_claims(const char *data, size_t size)
{
	static char token[4 * INPUT_MAX];
	static const char standard[] = "{\"alg\":\"HS256\"}";
	const char *end = memchr(data, '\n', size);
	phi_bytes header = end ? phi_bytes_of(data, (size_t) (end - data))
						   : phi_bytes_of(standard, sizeof(standard) - 1);
	phi_bytes payload =
		end ? phi_bytes_of(end + 1, size - (size_t) (end - data) - 1) : phi_bytes_of(data, size);
	uint8_t mac[PHI_SHA256_SIZE];
	size_t used = phi_base64url_size(header.size);

	phi_base64url_encode(header, token);
	token[used++] = '.';
	phi_base64url_encode(payload, token + used);
	used += phi_base64url_size(payload.size);
	must(phi_hmac_sha256(phi_bytes_of(key.material, key.size), phi_bytes_of(token, used), mac) ==
		 PHI_OK);
	token[used++] = '.';
	phi_base64url_encode(phi_bytes_of(mac, sizeof(mac)), token + used);
	verify(token, used + phi_base64url_size(sizeof(mac)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;

	if (size > INPUT_MAX)
		return 0;
	fuzz_json(text, size);
	fuzz_keys(text, size);
	verify(text, size);
	fuzz_claims(text, size);
	return 0;
}
