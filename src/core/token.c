/*-------------------------------------------------------------------------
 * token.c
 *		The claims of a signed token.
 *
 * Each reader gives the cause that the token is refused for, or
 * PHI_CAUSE_NONE.
 *-------------------------------------------------------------------------
 */
#include "token.h"

#include <string.h>

#include <openssl/crypto.h>

/* What readers work on. */
typedef struct token_reader
{
	const phi_json *json;
	const phi_token_rules *rules;
	phi_claims *claims;
} token_reader;

/* ---- lists ---- */

/* The next entry of a list joined by commas, without the spaces around it; false at the end. */
static bool
next_entry(const char **list, const char **entry, size_t *size)
{
	const char *from = *list;
	const char *end;

	while (*from == ' ' || *from == ',')
		from++;
	if (*from == '\0')
		return false;
	end = strchr(from, ',');
	if (end == NULL)
		end = from + strlen(from);
	*list = end;
	while (end > from && end[-1] == ' ')
		end--;
	*entry = from;
	*size = (size_t) (end - from);
	return true;
}

bool
phi_list_has(const char *list, const char *name, size_t size)
{
	const char *entry;
	size_t entry_size;

	while (next_entry(&list, &entry, &entry_size))
	{
		if (entry_size == size && memcmp(entry, name, size) == 0)
			return true;
	}
	return false;
}

/* The claim at the first path of a list that the token has; 0 when it has none, or it is null. */
static size_t
claim_at(const token_reader *in, const char *paths)
{
	const char *path;
	size_t size, found;

	while (next_entry(&paths, &path, &size))
	{
		found = phi_json_path(in->json, 0, path, size);
		if (found != 0 && phi_json_type_at(in->json, found) != PHI_JSON_NULL)
			return found;
	}
	return 0;
}

static size_t
member(const token_reader *in, const char *name)
{
	return phi_json_member(in->json, 0, name, strlen(name));
}

/* ---- names ---- */

/* The string that stands for a value: itself, or the "code" of a coding. */
static size_t
name_at(const token_reader *in, size_t at)
{
	if (phi_json_type_at(in->json, at) == PHI_JSON_OBJECT)
		at = phi_json_member(in->json, at, "code", 4);
	return at;
}

/* Decode a name: a string of 1 to PHI_CLAIM_SIZE - 1 bytes that is not blank, without control characters. */
static bool
read_name(const token_reader *in, size_t at, char out[PHI_CLAIM_SIZE])
{
	size_t size, i;
	bool blank = true;

	at = name_at(in, at);
	if (at == 0 || phi_json_string(in->json, at, out, PHI_CLAIM_SIZE, &size) != PHI_OK)
		return false;
	for (i = 0; i < size; i++)
	{
		if ((uint8_t) out[i] < 0x20 || out[i] == 0x7F)
			return false;
		blank = blank && out[i] == ' ';
	}
	return !blank;
}

/* Decode one name or an array of them; false for any that cannot be kept, or too many. */
static bool
read_names(const token_reader *in, size_t at, char (*names)[PHI_CLAIM_SIZE], size_t limit,
		   size_t *count)
{
	size_t element;

	*count = 0;
	if (at == 0)
		return true;
	if (phi_json_type_at(in->json, at) != PHI_JSON_ARRAY)
	{
		*count = 1;
		return read_name(in, at, names[0]);
	}
	for (element = phi_json_first(in->json, at); element != 0;
		 element = phi_json_after(in->json, at, element))
	{
		if (*count >= limit || !read_name(in, element, names[*count]))
			return false;
		(*count)++;
	}
	return true;
}

/* ---- purposes ---- */

/* Is the "system" of a coding one of HL7's for purposes of use, or not said? */
static bool
is_purpose_system(const token_reader *in, size_t coding)
{
	static const char *const systems[] = {
		"http://terminology.hl7.org/CodeSystem/v3-ActReason",
		"http://hl7.org/fhir/v3/ActReason",
		"urn:oid:2.16.840.1.113883.5.8",
		"2.16.840.1.113883.5.8",
		"http://terminology.hl7.org/ValueSet/v3-PurposeOfUse",
		"urn:oid:2.16.840.1.113883.1.11.20448",
		"2.16.840.1.113883.1.11.20448",
	};
	size_t system = phi_json_member(in->json, coding, "system", 6);
	size_t i;

	if (system == 0)
		return true;
	for (i = 0; i < sizeof(systems) / sizeof(systems[0]); i++)
	{
		if (phi_json_is(in->json, system, systems[i]))
			return true;
	}
	return false;
}

/* Add a code; one that is unknown or stands for every purpose adds nothing. */
static void
add_purpose(phi_claims *claims, const char *code, size_t size)
{
	phi_purpose purpose = phi_purpose_find(code, size);

	if (purpose != PHI_PURPOSE_NONE && purpose != 0)
		claims->purposes |= UINT64_C(1) << purpose;
}

/* Add the codes of one value: words of a string, or a coding. */
static bool
add_purposes(const token_reader *in, size_t at)
{
	char text[4 * PHI_CLAIM_SIZE];
	const char *word = text;
	size_t size;

	if (phi_json_type_at(in->json, at) == PHI_JSON_OBJECT && !is_purpose_system(in, at))
		return true;
	at = name_at(in, at);
	if (at == 0 || phi_json_string(in->json, at, text, sizeof(text), &size) != PHI_OK)
		return false;
	while (*word != '\0')
	{
		size_t length = strcspn(word, " ");

		if (length > 0)
			add_purpose(in->claims, word, length);
		word += length + (word[length] == ' ');
	}
	return true;
}

static phi_token_cause
read_purposes(const token_reader *in)
{
	size_t at = claim_at(in, in->rules->purposes);
	size_t element;
	bool good = at != 0;

	if (phi_json_type_at(in->json, at) != PHI_JSON_ARRAY)
		good = good && add_purposes(in, at);
	else
	{
		for (element = phi_json_first(in->json, at); element != 0 && good;
			 element = phi_json_after(in->json, at, element))
			good = add_purposes(in, element);
	}
	return good && in->claims->purposes != 0 ? PHI_CAUSE_NONE : PHI_CAUSE_PURPOSES;
}

/* ---- who, and when ---- */

/* aud is a string, or an array of them that has it. */
static bool
has_audience(const token_reader *in)
{
	size_t aud = member(in, "aud");
	size_t at;
	bool found = false;

	if (phi_json_type_at(in->json, aud) != PHI_JSON_ARRAY)
		return aud != 0 && phi_json_is(in->json, aud, in->rules->audience);
	for (at = phi_json_first(in->json, aud); at != 0; at = phi_json_after(in->json, aud, at))
	{
		if (phi_json_type_at(in->json, at) != PHI_JSON_STRING)
			return false;
		found = found || phi_json_is(in->json, at, in->rules->audience);
	}
	return found;
}

/* nbf or iat: not there, or not in the future. */
static bool
has_begun(const token_reader *in, const char *name)
{
	size_t at = member(in, name);
	int64_t seconds;

	return at == 0 || (phi_json_seconds(in->json, at, &seconds) == PHI_OK &&
					   seconds <= in->rules->now + PHI_TOKEN_SKEW);
}

/* Whose token it is, for whom, and whether it holds now. */
static phi_token_cause
check_validity(const token_reader *in)
{
	size_t exp = member(in, "exp");

	if (phi_json_type_at(in->json, 0) != PHI_JSON_OBJECT)
		return PHI_CAUSE_CLAIMS;
	if (in->rules->issuer[0] == '\0' ||
		!phi_json_is(in->json, member(in, "iss"), in->rules->issuer))
		return PHI_CAUSE_ISSUER;
	if (in->rules->audience[0] == '\0' || !has_audience(in))
		return PHI_CAUSE_AUDIENCE;
	if (exp == 0 || phi_json_seconds(in->json, exp, &in->claims->expires_at) != PHI_OK ||
		in->claims->expires_at <= in->rules->now)
		return PHI_CAUSE_EXPIRY;
	if (!has_begun(in, "nbf") || !has_begun(in, "iat"))
		return PHI_CAUSE_TIME;
	return PHI_CAUSE_NONE;
}

/* An optional name, which may be the only element of an array. */
static bool
read_optional_name(const token_reader *in, const char *paths, char out[PHI_CLAIM_SIZE])
{
	size_t count;

	return read_names(in, claim_at(in, paths), (char(*)[PHI_CLAIM_SIZE]) out, 1, &count);
}

static phi_token_cause
read_identity(const token_reader *in)
{
	phi_claims *claims = in->claims;
	size_t actor = claim_at(in, in->rules->actor);

	/* sub is required whatever the actor is called by (RFC 9068 section 2.2). */
	if (phi_json_type_at(in->json, member(in, "sub")) != PHI_JSON_STRING || actor == 0 ||
		phi_json_type_at(in->json, actor) != PHI_JSON_STRING ||
		!read_name(in, actor, claims->actor))
		return PHI_CAUSE_ACTOR;
	if (!read_optional_name(in, in->rules->organization, claims->organization))
		return PHI_CAUSE_ORGANIZATION;
	if (!read_names(in, claim_at(in, in->rules->roles), claims->roles, PHI_CLAIM_ROLES,
					&claims->role_count) ||
		claims->role_count == 0)
		return PHI_CAUSE_ROLES;
	if (!read_names(in, claim_at(in, in->rules->groups), claims->groups, PHI_CLAIM_GROUPS,
					&claims->group_count))
		return PHI_CAUSE_GROUPS;
	if (!read_optional_name(in, in->rules->id, claims->id))
		return PHI_CAUSE_ID;
	return read_purposes(in);
}

/* ---- step-up ---- */

/* Is the string at a position in a list?  False in *good for what is no string. */
static bool
string_is_listed(const token_reader *in, size_t at, const char *list, bool *good)
{
	char value[2 * PHI_CLAIM_SIZE];
	size_t size;

	if (phi_json_string(in->json, at, value, sizeof(value), &size) == PHI_OK)
		return phi_list_has(list, value, size);
	*good = false;
	return false;
}

/* The same for one string or an array of them, at the first of some paths. */
static bool
claim_is_listed(const token_reader *in, const char *paths, const char *list, bool *good)
{
	size_t at = claim_at(in, paths);
	size_t element;
	bool found = false;

	if (at == 0)
		return false;
	if (phi_json_type_at(in->json, at) != PHI_JSON_ARRAY)
		return string_is_listed(in, at, list, good);
	for (element = phi_json_first(in->json, at); element != 0;
		 element = phi_json_after(in->json, at, element))
		found = string_is_listed(in, element, list, good) || found;
	return found;
}

/* A step-up is a listed acr or amr, and the time of that authentication. */
static phi_token_cause
read_step_up(const token_reader *in)
{
	size_t auth_time = claim_at(in, in->rules->auth_time);
	int64_t seconds = 0;
	bool good = true;
	bool by_acr = claim_is_listed(in, in->rules->acr, in->rules->step_up_acr, &good);
	bool by_amr = claim_is_listed(in, in->rules->amr, in->rules->step_up_amr, &good);

	if (auth_time != 0)
		good = good && phi_json_seconds(in->json, auth_time, &seconds) == PHI_OK &&
			   seconds <= in->rules->now + PHI_TOKEN_SKEW;
	if (!good)
		return PHI_CAUSE_STEP_UP;
	if ((by_acr || by_amr) && auth_time != 0)
		in->claims->step_up_at = seconds < in->rules->now ? seconds : in->rules->now;
	return PHI_CAUSE_NONE;
}

phi_status
phi_token_verify(const char *token, size_t size, const phi_jwk *keys, size_t count,
				 const phi_token_rules *rules, phi_token_space *space, phi_claims *claims,
				 phi_token_cause *cause)
{
	phi_json json;
	token_reader in = {&json, rules, claims};
	phi_bytes payload;
	phi_status status;

	memset(claims, 0, sizeof(*claims));
	status = phi_jws_verify(token, size, keys, count, space, &payload, cause);
	if (status != PHI_OK)
		return status;
	if (phi_json_read((const char *) payload.data, payload.size, space->values, PHI_TOKEN_VALUES,
					  &json) != PHI_OK)
		*cause = PHI_CAUSE_CLAIMS;
	if (*cause == PHI_CAUSE_NONE)
		*cause = check_validity(&in);
	if (*cause == PHI_CAUSE_NONE)
		*cause = read_identity(&in);
	if (*cause == PHI_CAUSE_NONE)
		*cause = read_step_up(&in);
	if (*cause == PHI_CAUSE_NONE)
		return PHI_OK;
	OPENSSL_cleanse(claims, sizeof(*claims));
	return PHI_ERR_AUTH;
}
