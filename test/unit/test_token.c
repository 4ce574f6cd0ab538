/*-------------------------------------------------------------------------
 * test_token.c
 *		Tokens: form, header, key choice, signature, claims.
 *
 * Most are made with a symmetric key; those of Ed25519, P-256 and RSA are made
 * with libcrypto and keys of the run.
 *-------------------------------------------------------------------------
 */
#define _POSIX_C_SOURCE 200809L /* strdup */

#include "check.h"
#include "core/mac.h"
#include "core/token.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#define NOW  INT64_C(1700000000)
#define ROOM (2 * PHI_TOKEN_MAX)

#define HEADER "{\"alg\":\"HS256\",\"kid\":\"mac\",\"typ\":\"JWT\"}"
#define CORE \
	"\"iss\":\"https://issuer.example\",\"aud\":\"phi\",\"exp\":1700000300,\"sub\":\"dr.a\""
#define MORE   ",\"roles\":[\"clinician\"],\"purposes\":[\"TREAT\"]"
#define CLAIMS "{" CORE MORE "}"

static phi_jwk keys[4];
static phi_token_space space;
static phi_claims claims;
static phi_token_cause cause;
static char token[ROOM];

static const phi_token_rules standard = {
	.issuer = "https://issuer.example",
	.audience = "phi",
	.actor = "sub",
	.organization = "organization, extensions.ihe_iua.subject_organization_id",
	.roles = "roles, realm_access.roles, extensions.ihe_iua.subject_role",
	.purposes = "purposes, extensions.ihe_iua.purpose_of_use",
	.groups = "groups",
	.id = "jti",
	.acr = "acr",
	.amr = "amr",
	.auth_time = "auth_time",
	.step_up_acr = "gold, urn:mfa",
	.step_up_amr = "otp,hwk",
	.now = NOW,
};
static phi_token_rules rules;

/* ---- making tokens ---- */

/* Lay header and payload out, each encoded; the size so far. */
static size_t
begin_token(const char *header, const char *payload)
{
	size_t size = phi_base64url_size(strlen(header));

	phi_base64url_encode(phi_bytes_of(header, strlen(header)), token);
	token[size++] = '.';
	phi_base64url_encode(phi_bytes_of(payload, strlen(payload)), token + size);
	return size + phi_base64url_size(strlen(payload));
}

static size_t
end_token(size_t size, const uint8_t *signature, size_t signature_size)
{
	token[size++] = '.';
	phi_base64url_encode(phi_bytes_of(signature, signature_size), token + size);
	size += phi_base64url_size(signature_size);
	token[size] = '\0';
	return size;
}

/* Sign what is laid out with the symmetric key. */
static size_t
mac_token(size_t size)
{
	uint8_t mac[PHI_SHA256_SIZE];

	CHECK_INT(phi_hmac_sha256(phi_bytes_of(keys[0].material, keys[0].size),
							  phi_bytes_of(token, size), mac),
			  PHI_OK);
	return end_token(size, mac, sizeof(mac));
}

static phi_status
verify(size_t size)
{
	char *exact = malloc(size > 0 ? size : 1);
	phi_status status;

	memcpy(exact, token, size);
	status = phi_token_verify(exact, size, keys, 4, &rules, &space, &claims, &cause);
	free(exact);
	return status;
}

/* Verify a token of a header and claims. */
static phi_status
verify_with(const char *header, const char *payload)
{
	return verify(mac_token(begin_token(header, payload)));
}

/* The cause that claims are refused for; PHI_CAUSE_NONE when they are taken. */
static phi_token_cause
refusal(const char *payload)
{
	static const phi_claims empty;
	phi_status status = verify_with(HEADER, payload);

	CHECK_INT(status, cause == PHI_CAUSE_NONE ? PHI_OK : PHI_ERR_AUTH);
	CHECK(status == PHI_OK || memcmp(&claims, &empty, sizeof(empty)) == 0);
	return cause;
}

static phi_token_cause
header_refusal(const char *header)
{
	phi_status status = verify_with(header, CLAIMS);

	CHECK_INT(status, cause == PHI_CAUSE_NONE ? PHI_OK : PHI_ERR_AUTH);
	return cause;
}

/* ---- keys of the run ---- */

static EVP_PKEY *pairs[4]; /* beside keys; none for the symmetric one */

/* The public half of an Ed25519, P-256 or RSA pair as a key of the set. */
static void
publish(size_t at, phi_jws_algorithm algorithm, const char *id)
{
	phi_jwk *key = &keys[at];
	BIGNUM *number = NULL;

	key->algorithm = algorithm;
	snprintf(key->id, sizeof(key->id), "%s", id);
	key->size = sizeof(key->material);
	if (algorithm == PHI_JWS_EDDSA)
		CHECK(EVP_PKEY_get_raw_public_key(pairs[at], key->material, &key->size) == 1);
	else if (algorithm == PHI_JWS_ES256)
		CHECK(EVP_PKEY_get_octet_string_param(pairs[at], OSSL_PKEY_PARAM_PUB_KEY, key->material,
											  sizeof(key->material), &key->size) == 1);
	else
	{
		CHECK(EVP_PKEY_get_bn_param(pairs[at], OSSL_PKEY_PARAM_RSA_N, &number) == 1);
		key->size = (size_t) BN_bn2bin(number, key->material);
		BN_free(number);
		memcpy(key->exponent, "\1\0\1", 3);
		key->exponent_size = 3;
	}
}

static bool
make_keys(void)
{
	size_t i;

	keys[0].algorithm = PHI_JWS_HS256;
	snprintf(keys[0].id, sizeof(keys[0].id), "mac");
	keys[0].size = 32;
	for (i = 0; i < 32; i++)
		keys[0].material[i] = (uint8_t) (i * 7 + 1);
	pairs[1] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	pairs[2] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	pairs[3] = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 2048);
	if (pairs[1] == NULL || pairs[2] == NULL || pairs[3] == NULL)
		return false;
	publish(1, PHI_JWS_EDDSA, "edwards");
	publish(2, PHI_JWS_ES256, "curve");
	publish(3, PHI_JWS_RS256, "rsa");
	return true;
}

/* r and s, 32 bytes each, out of a DER signature. */
static void
from_der(const uint8_t *der, uint8_t out[64])
{
	const uint8_t *next = der + 2;
	size_t half;

	memset(out, 0, 64);
	for (half = 0; half < 2; half++)
	{
		size_t size = next[1];
		size_t skip = size > 32 ? size - 32 : 0;

		memcpy(out + half * 32 + (32 - (size - skip)), next + 2 + skip, size - skip);
		next += 2 + size;
	}
}

/* Sign what is laid out with a pair of the run. */
static size_t
sign_token(size_t size, size_t at, bool pss)
{
	uint8_t signature[512], fixed[64];
	size_t signature_size = sizeof(signature);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *inner = NULL;

	CHECK(EVP_DigestSignInit_ex(context, &inner, at == 1 ? NULL : "SHA256", NULL, NULL, pairs[at],
								NULL) == 1);
	if (pss)
		CHECK(EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING) == 1 &&
			  EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_DIGEST) == 1);
	CHECK(EVP_DigestSign(context, signature, &signature_size, (uint8_t *) token, size) == 1);
	EVP_MD_CTX_free(context);
	if (at != 2)
		return end_token(size, signature, signature_size);
	from_der(signature, fixed);
	return end_token(size, fixed, sizeof(fixed));
}

/* ---- the checks ---- */

static void
check_good(void)
{
	CHECK_CASE("a good token gives its claims");
	CHECK_INT(
		refusal("{" CORE ",\"jti\":\"t-1\",\"iat\":1699999990,\"nbf\":1700000000,"
				"\"organization\":\"north\",\"roles\":[\"clinician\",\"teacher\"],"
				"\"purposes\":[\"TREAT\",\"HRESCH\"],\"groups\":[\"ward 3\"],\"acr\":\"gold\","
				"\"auth_time\":1699999900}"),
		PHI_CAUSE_NONE);
	CHECK_TEXT(claims.actor, "dr.a");
	CHECK_TEXT(claims.organization, "north");
	CHECK_TEXT(claims.id, "t-1");
	CHECK_INT(claims.role_count, 2);
	CHECK_TEXT(claims.roles[1], "teacher");
	CHECK_INT(claims.group_count, 1);
	CHECK_TEXT(claims.groups[0], "ward 3");
	CHECK(claims.purposes == ((UINT64_C(1) << phi_purpose_find("TREAT", 5)) |
							  (UINT64_C(1) << phi_purpose_find("HRESCH", 6))));
	CHECK_INT(claims.expires_at, 1700000300);
	CHECK_INT(claims.step_up_at, 1699999900);
	CHECK_INT(refusal(CLAIMS), PHI_CAUSE_NONE);
	CHECK(claims.id[0] == '\0' && claims.organization[0] == '\0' && claims.step_up_at == 0);
}

static void
check_form(void)
{
	static const char *const forms[] = {"a",
										".",
										"..",
										"...",
										"a.b.",
										".b.c",
										"a..c",
										"a.b.c.d",
										"a.b.c.d.e",
										"{}.{}.{}",
										"a b.c.d",
										"eyJ.eyJ.=",
										"bnVsbA.e30.e30.",
										"e30=.e30.e30",
										"e30.e30.e3",
										"e30.e30.e31"};
	size_t i, size = mac_token(begin_token(HEADER, CLAIMS));
	char *whole = strdup(token);

	CHECK_CASE("every token cut short is refused");
	for (i = 0; i < size; i++)
		CHECK(verify(i) == PHI_ERR_AUTH);
	CHECK_INT(verify(size), PHI_OK);
	CHECK_CASE("every character of a token counts");
	for (i = 0; i < size; i++)
	{
		token[i] = (char) (whole[i] == 'A' ? 'B' : 'A');
		CHECK(verify(size) == PHI_ERR_AUTH);
		token[i] = (char) (whole[i] ^ 0x80);
		CHECK(verify(size) == PHI_ERR_AUTH);
		token[i] = whole[i];
	}
	CHECK_CASE("nothing may be added");
	for (i = 0; i < 5; i++)
	{
		token[size] = "=. \nA"[i];
		CHECK_INT(verify(size + 1), PHI_ERR_AUTH);
		memmove(token + 1, whole, size);
		token[0] = " \n=A."[i];
		CHECK_INT(verify(size + 1), PHI_ERR_AUTH);
		memcpy(token, whole, size);
	}
	CHECK_CASE("other forms are refused");
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
	{
		strcpy(token, forms[i]);
		CHECK(verify(strlen(forms[i])) == PHI_ERR_AUTH);
		CHECK(cause == PHI_CAUSE_FORM || cause == PHI_CAUSE_HEADER || cause == PHI_CAUSE_ALGORITHM);
	}
	CHECK_CASE("a token of the greatest size, and one byte more");
	{
		static char payload[ROOM];
		size_t fill = 0;

		do
		{
			snprintf(payload, sizeof(payload), "{" CORE MORE ",\"x\":\"%0*d\"}", (int) (++fill), 0);
			size = begin_token(HEADER, payload) + 1 + phi_base64url_size(PHI_SHA256_SIZE);
		} while (size < PHI_TOKEN_MAX);
		CHECK_INT(verify(mac_token(begin_token(HEADER, payload))),
				  size == PHI_TOKEN_MAX ? PHI_OK : PHI_ERR_AUTH);
		memset(token, 'A', PHI_TOKEN_MAX + 1);
		CHECK_INT(verify(PHI_TOKEN_MAX + 1), PHI_ERR_AUTH);
		CHECK_INT(cause, PHI_CAUSE_SIZE);
		CHECK_INT(verify(0), PHI_ERR_AUTH);
		CHECK_INT(cause, PHI_CAUSE_SIZE);
	}
	free(whole);
}

static void
check_header(void)
{
	CHECK_CASE("headers that are taken");
	CHECK_INT(header_refusal("{\"alg\":\"HS256\"}"), PHI_CAUSE_NONE); /* the only key of HS256 */
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"typ\":\"at+JWT\"}"), PHI_CAUSE_NONE);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"typ\":\"application/at+jwt\"}"), PHI_CAUSE_NONE);
	CHECK_INT(
		header_refusal(
			"{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"},\"jku\":\"x\",\"x5c\":[]}"),
		PHI_CAUSE_NONE);
	CHECK_CASE("no algorithm, or another one");
	CHECK_INT(header_refusal("{}"), PHI_CAUSE_ALGORITHM);
	CHECK_INT(header_refusal("{\"alg\":null}"), PHI_CAUSE_ALGORITHM);
	CHECK_INT(header_refusal("{\"alg\":\"none\"}"), PHI_CAUSE_ALGORITHM);
	CHECK_INT(header_refusal("{\"alg\":\"NONE\"}"), PHI_CAUSE_ALGORITHM);
	CHECK_INT(header_refusal("{\"alg\":\"hs256\"}"), PHI_CAUSE_ALGORITHM);
	CHECK_INT(header_refusal("{\"alg\":\"HS512\"}"), PHI_CAUSE_ALGORITHM);
	CHECK_INT(header_refusal("{\"alg\":[\"HS256\"]}"), PHI_CAUSE_ALGORITHM);
	CHECK_INT(header_refusal("{\"alg\":\"HS256 \"}"), PHI_CAUSE_ALGORITHM);
	CHECK_INT(header_refusal("{\"alg\":\"EdDSA\",\"kid\":\"mac\"}"), PHI_CAUSE_ALGORITHM);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"kid\":\"rsa\"}"), PHI_CAUSE_ALGORITHM);
	CHECK_INT(header_refusal("{\"alg\":\"PS256\",\"kid\":\"rsa\"}"), PHI_CAUSE_ALGORITHM);
	CHECK_CASE("keys that are not in the set");
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"kid\":\"other\"}"), PHI_CAUSE_KEY);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"kid\":\"\"}"), PHI_CAUSE_KEY);
	CHECK_INT(header_refusal("{\"alg\":\"PS256\"}"), PHI_CAUSE_KEY);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"kid\":1}"), PHI_CAUSE_HEADER);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"kid\":null}"), PHI_CAUSE_HEADER);
	CHECK_CASE("two keys of an algorithm, and no name");
	keys[1].algorithm = PHI_JWS_HS256;
	CHECK_INT(header_refusal("{\"alg\":\"HS256\"}"), PHI_CAUSE_KEY);
	CHECK_INT(header_refusal(HEADER), PHI_CAUSE_NONE);
	keys[1].algorithm = PHI_JWS_EDDSA;
	CHECK_CASE("extensions and other types");
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"crit\":[\"exp\"]}"), PHI_CAUSE_CRITICAL);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"crit\":[]}"), PHI_CAUSE_CRITICAL);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}"),
			  PHI_CAUSE_CRITICAL);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"b64\":true}"), PHI_CAUSE_CRITICAL);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"cty\":\"JWT\"}"), PHI_CAUSE_TYPE);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"typ\":\"dpop+jwt\"}"), PHI_CAUSE_TYPE);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"typ\":\"logout+jwt\"}"), PHI_CAUSE_TYPE);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"typ\":\"secevent+jwt\"}"), PHI_CAUSE_TYPE);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"typ\":7}"), PHI_CAUSE_TYPE);
	CHECK_CASE("headers that cannot be read");
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"alg\":\"none\"}"), PHI_CAUSE_HEADER);
	CHECK_INT(header_refusal("{\"alg\":\"none\",\"\\u0061lg\":\"HS256\"}"), PHI_CAUSE_HEADER);
	CHECK_INT(header_refusal("[\"HS256\"]"), PHI_CAUSE_HEADER);
	CHECK_INT(header_refusal("\"HS256\""), PHI_CAUSE_HEADER);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\"} "), PHI_CAUSE_NONE);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\"}x"), PHI_CAUSE_HEADER);
	CHECK_INT(header_refusal("{\"alg\":\"HS256\",\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}"),
			  PHI_CAUSE_HEADER);
}

static void
check_algorithms(void)
{
	uint8_t mac[PHI_SHA256_SIZE];
	size_t size;

	CHECK_CASE("each algorithm verifies what its key signed");
	CHECK_INT(verify(sign_token(begin_token("{\"alg\":\"EdDSA\",\"kid\":\"edwards\"}", CLAIMS), 1,
								false)),
			  PHI_OK);
	CHECK_INT(
		verify(sign_token(begin_token("{\"alg\":\"ES256\",\"kid\":\"curve\"}", CLAIMS), 2, false)),
		PHI_OK);
	CHECK_INT(
		verify(sign_token(begin_token("{\"alg\":\"RS256\",\"kid\":\"rsa\"}", CLAIMS), 3, false)),
		PHI_OK);
	keys[3].algorithm = PHI_JWS_PS256;
	CHECK_INT(
		verify(sign_token(begin_token("{\"alg\":\"PS256\",\"kid\":\"rsa\"}", CLAIMS), 3, true)),
		PHI_OK);
	CHECK_INT(
		verify(sign_token(begin_token("{\"alg\":\"PS256\",\"kid\":\"rsa\"}", CLAIMS), 3, false)),
		PHI_ERR_AUTH);
	CHECK_INT(
		verify(sign_token(begin_token("{\"alg\":\"RS256\",\"kid\":\"rsa\"}", CLAIMS), 3, false)),
		PHI_ERR_AUTH);
	CHECK_INT(cause, PHI_CAUSE_ALGORITHM);
	keys[3].algorithm = PHI_JWS_RS256;
	CHECK_INT(
		verify(sign_token(begin_token("{\"alg\":\"RS256\",\"kid\":\"rsa\"}", CLAIMS), 3, true)),
		PHI_ERR_AUTH);
	CHECK_INT(cause, PHI_CAUSE_SIGNATURE);

	CHECK_CASE("a public key is no secret");
	size = begin_token("{\"alg\":\"HS256\",\"kid\":\"rsa\"}", CLAIMS);
	CHECK_INT(phi_hmac_sha256(phi_bytes_of(keys[3].material, keys[3].size),
							  phi_bytes_of(token, size), mac),
			  PHI_OK);
	CHECK_INT(verify(end_token(size, mac, sizeof(mac))), PHI_ERR_AUTH);
	CHECK_INT(cause, PHI_CAUSE_ALGORITHM);

	CHECK_CASE("a signature of one key is none of another");
	CHECK_INT(verify(sign_token(begin_token("{\"alg\":\"EdDSA\",\"kid\":\"edwards\"}", CLAIMS), 2,
								false)),
			  PHI_ERR_AUTH);
	CHECK_INT(
		verify(sign_token(begin_token("{\"alg\":\"ES256\",\"kid\":\"curve\"}", CLAIMS), 1, false)),
		PHI_ERR_AUTH);
	CHECK_INT(
		verify(sign_token(begin_token("{\"alg\":\"ES256\",\"kid\":\"curve\"}", CLAIMS), 3, false)),
		PHI_ERR_AUTH);

	CHECK_CASE("RFC 8037 appendix A.4");
	{
		static const char jws[] = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
								  "hgyY0il_MGCjP0JzlnLWG1PPOt7-"
								  "09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
		phi_jwk key = {.algorithm = PHI_JWS_EDDSA};
		phi_buffer x = {key.material, 0, 32};
		phi_bytes payload;

		CHECK_INT(phi_base64url_decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", 43, &x),
				  PHI_OK);
		key.size = x.size;
		CHECK_INT(phi_jws_verify(jws, strlen(jws), &key, 1, &space, &payload, &cause), PHI_OK);
		CHECK(payload.size == 26 && memcmp(payload.data, "Example of Ed25519 signing", 26) == 0);
		CHECK_INT(phi_jws_signed_size(jws, strlen(jws)), 56);
	}
}

static void
check_validity(void)
{
	CHECK_CASE("issuer");
	CHECK_INT(refusal("{\"aud\":\"phi\",\"exp\":1700000300,\"sub\":\"a\"" MORE "}"),
			  PHI_CAUSE_ISSUER);
	CHECK_INT(refusal("{\"iss\":\"https://issuer.example/"
					  "\",\"aud\":\"phi\",\"exp\":1700000300,\"sub\":\"a\"" MORE "}"),
			  PHI_CAUSE_ISSUER);
	CHECK_INT(refusal("{\"iss\":[\"https://"
					  "issuer.example\"],\"aud\":\"phi\",\"exp\":1700000300,\"sub\":\"a\"" MORE
					  "}"),
			  PHI_CAUSE_ISSUER);
	CHECK_INT(refusal("{\"iss\":\"https:\\/\\/"
					  "issuer.example\",\"aud\":\"phi\",\"exp\":1700000300,\"sub\":\"a\"" MORE "}"),
			  PHI_CAUSE_NONE);
	CHECK_CASE("audience");
#define WITH_AUD(aud) \
	"{\"iss\":\"https://issuer.example\",\"exp\":1700000300,\"sub\":\"a\"" MORE aud "}"
	CHECK_INT(refusal(WITH_AUD("")), PHI_CAUSE_AUDIENCE);
	CHECK_INT(refusal(WITH_AUD(",\"aud\":\"other\"")), PHI_CAUSE_AUDIENCE);
	CHECK_INT(refusal(WITH_AUD(",\"aud\":[]")), PHI_CAUSE_AUDIENCE);
	CHECK_INT(refusal(WITH_AUD(",\"aud\":[\"other\",\"ph\",\"phi2\"]")), PHI_CAUSE_AUDIENCE);
	CHECK_INT(refusal(WITH_AUD(",\"aud\":[\"phi\",1]")), PHI_CAUSE_AUDIENCE);
	CHECK_INT(refusal(WITH_AUD(",\"aud\":[[\"phi\"]]")), PHI_CAUSE_AUDIENCE);
	CHECK_INT(refusal(WITH_AUD(",\"aud\":{\"phi\":1}")), PHI_CAUSE_AUDIENCE);
	CHECK_INT(refusal(WITH_AUD(",\"aud\":[\"other\",\"phi\"]")), PHI_CAUSE_NONE);
	CHECK_CASE("end");
#define WITH_EXP(exp) \
	"{\"iss\":\"https://issuer.example\",\"aud\":\"phi\",\"sub\":\"a\"" MORE exp "}"
	CHECK_INT(refusal(WITH_EXP("")), PHI_CAUSE_EXPIRY);
	CHECK_INT(refusal(WITH_EXP(",\"exp\":1700000000")), PHI_CAUSE_EXPIRY);
	CHECK_INT(refusal(WITH_EXP(",\"exp\":1700000000.9")), PHI_CAUSE_EXPIRY);
	CHECK_INT(refusal(WITH_EXP(",\"exp\":\"1700000300\"")), PHI_CAUSE_EXPIRY);
	CHECK_INT(refusal(WITH_EXP(",\"exp\":null")), PHI_CAUSE_EXPIRY);
	CHECK_INT(refusal(WITH_EXP(",\"exp\":1e300")), PHI_CAUSE_EXPIRY);
	CHECK_INT(refusal(WITH_EXP(",\"exp\":-1")), PHI_CAUSE_EXPIRY);
	CHECK_INT(refusal(WITH_EXP(",\"exp\":1700000001")), PHI_CAUSE_NONE);
	CHECK_CASE("beginning: at most 30 s ahead");
	CHECK_INT(refusal("{" CORE MORE ",\"nbf\":1700000030}"), PHI_CAUSE_NONE);
	CHECK_INT(refusal("{" CORE MORE ",\"nbf\":1700000031}"), PHI_CAUSE_TIME);
	CHECK_INT(refusal("{" CORE MORE ",\"nbf\":\"0\"}"), PHI_CAUSE_TIME);
	CHECK_INT(refusal("{" CORE MORE ",\"iat\":1700000031}"), PHI_CAUSE_TIME);
	CHECK_INT(refusal("{" CORE MORE ",\"iat\":1700000030}"), PHI_CAUSE_NONE);
	CHECK_CASE("claims that cannot be read");
	CHECK_INT(refusal("[]"), PHI_CAUSE_CLAIMS);
	CHECK_INT(refusal("not JSON"), PHI_CAUSE_CLAIMS);
	CHECK_INT(refusal("{" CORE MORE ",\"sub\":\"other\"}"), PHI_CAUSE_CLAIMS);
	CHECK_INT(refusal("{" CORE MORE ",\"s\\u0075b\":\"other\"}"), PHI_CAUSE_CLAIMS);
	CHECK_INT(refusal("{" CORE MORE ",\"deep\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}"),
			  PHI_CAUSE_CLAIMS);
	CHECK_CASE("rules without issuer or audience take nothing");
	rules.issuer = "";
	CHECK_INT(refusal("{\"iss\":\"\",\"aud\":\"phi\",\"exp\":1700000300,\"sub\":\"a\"" MORE "}"),
			  PHI_CAUSE_ISSUER);
	rules = standard;
	rules.audience = "";
	CHECK_INT(refusal(WITH_AUD(",\"aud\":\"\"")), PHI_CAUSE_AUDIENCE);
	rules = standard;
}

static void
check_names(void)
{
	char text[1024];

	CHECK_CASE("the actor");
#define WITH_SUB(sub) \
	"{\"iss\":\"https://issuer.example\",\"aud\":\"phi\",\"exp\":1700000300" MORE sub "}"
	CHECK_INT(refusal(WITH_SUB("")), PHI_CAUSE_ACTOR);
	CHECK_INT(refusal(WITH_SUB(",\"sub\":\"\"")), PHI_CAUSE_ACTOR);
	CHECK_INT(refusal(WITH_SUB(",\"sub\":\"  \"")), PHI_CAUSE_ACTOR);
	CHECK_INT(refusal(WITH_SUB(",\"sub\":\"a\\nb\"")), PHI_CAUSE_ACTOR);
	CHECK_INT(refusal(WITH_SUB(",\"sub\":\"a\\u007f\"")), PHI_CAUSE_ACTOR);
	CHECK_INT(refusal(WITH_SUB(",\"sub\":7")), PHI_CAUSE_ACTOR);
	CHECK_INT(refusal(WITH_SUB(",\"sub\":[\"a\"]")), PHI_CAUSE_ACTOR);
	CHECK_INT(refusal(WITH_SUB(",\"sub\":{\"code\":\"a\"}")), PHI_CAUSE_ACTOR);
	snprintf(text, sizeof(text), WITH_SUB(",\"sub\":\"%0127d\""), 1);
	CHECK_INT(refusal(text), PHI_CAUSE_NONE);
	snprintf(text, sizeof(text), WITH_SUB(",\"sub\":\"%0128d\""), 1);
	CHECK_INT(refusal(text), PHI_CAUSE_ACTOR);
	rules.actor = "email, preferred_username";
	CHECK_INT(refusal("{" CORE MORE ",\"preferred_username\":\"ann\"}"), PHI_CAUSE_NONE);
	CHECK_TEXT(claims.actor, "ann");
	CHECK_INT(refusal("{" CORE MORE ",\"preferred_username\":\"ann\",\"email\":\"a@h.example\"}"),
			  PHI_CAUSE_NONE);
	CHECK_TEXT(claims.actor, "a@h.example");
	CHECK_INT(refusal(CLAIMS), PHI_CAUSE_ACTOR);
	CHECK_INT(refusal(WITH_SUB(",\"email\":\"a@h.example\"")), PHI_CAUSE_ACTOR); /* no sub */
	rules = standard;

	CHECK_CASE("what a denial may name is kept, or the token is refused");
#define WITH(more) "{" CORE ",\"purposes\":\"TREAT\"" more "}"
	CHECK_INT(refusal(WITH("")), PHI_CAUSE_ROLES);
	CHECK_INT(refusal(WITH(",\"roles\":[]")), PHI_CAUSE_ROLES);
	CHECK_INT(refusal(WITH(",\"roles\":\"charge nurse\"")), PHI_CAUSE_NONE);
	CHECK_TEXT(claims.roles[0], "charge nurse");
	CHECK_INT(refusal(WITH(",\"roles\":[\"a\",1]")), PHI_CAUSE_ROLES);
	CHECK_INT(refusal(WITH(",\"roles\":[\"a\",\"\"]")), PHI_CAUSE_ROLES);
	CHECK_INT(refusal(WITH(",\"roles\":[\"a\",[\"b\"]]")), PHI_CAUSE_ROLES);
	CHECK_INT(refusal(WITH(",\"roles\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]")),
			  PHI_CAUSE_ROLES);
#define SIXTEEN                                                                                  \
	"\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"," \
	"\"a\""
	CHECK_INT(refusal(WITH(",\"roles\":[" SIXTEEN "]")), PHI_CAUSE_NONE);
	CHECK_INT(refusal(WITH(",\"roles\":[" SIXTEEN ",\"b\"]")), PHI_CAUSE_ROLES);
	CHECK_INT(refusal("{" CORE MORE ",\"groups\":[" SIXTEEN "," SIXTEEN "]}"), PHI_CAUSE_NONE);
	CHECK_INT(claims.group_count, 32);
	CHECK_INT(refusal("{" CORE MORE ",\"groups\":[" SIXTEEN "," SIXTEEN ",\"b\"]}"),
			  PHI_CAUSE_GROUPS);
	CHECK_INT(refusal("{" CORE MORE ",\"groups\":{}}"), PHI_CAUSE_GROUPS);
	CHECK_INT(refusal("{" CORE MORE ",\"organization\":[\"n\"]}"), PHI_CAUSE_NONE);
	CHECK_TEXT(claims.organization, "n");
	CHECK_INT(refusal("{" CORE MORE ",\"organization\":[\"n\",\"s\"]}"), PHI_CAUSE_ORGANIZATION);
	CHECK_INT(refusal("{" CORE MORE ",\"organization\":{\"n\":{}}}"), PHI_CAUSE_ORGANIZATION);
	CHECK_INT(refusal("{" CORE MORE ",\"organization\":null,\"groups\":null}"), PHI_CAUSE_NONE);
	CHECK_INT(refusal("{" CORE MORE ",\"jti\":7}"), PHI_CAUSE_ID);
}

static void
check_purposes(void)
{
	uint64_t treat = UINT64_C(1) << phi_purpose_find("TREAT", 5);
	uint64_t pay = UINT64_C(1) << phi_purpose_find("HPAYMT", 6);

	CHECK_CASE("purposes: words, lists, codings");
#define PURPOSES(value) "{" CORE ",\"roles\":\"r\",\"purposes\":" value "}"
	CHECK_INT(refusal(PURPOSES("\"TREAT HPAYMT\"")), PHI_CAUSE_NONE);
	CHECK(claims.purposes == (treat | pay));
	CHECK_INT(refusal(PURPOSES("[\"openid\",\"TREAT\"]")), PHI_CAUSE_NONE);
	CHECK(claims.purposes == treat);
	CHECK_INT(
		refusal(PURPOSES("[{\"system\":\"urn:oid:2.16.840.1.113883.5.8\",\"code\":\"HPAYMT\"}]")),
		PHI_CAUSE_NONE);
	CHECK(claims.purposes == pay);
	CHECK_INT(refusal(PURPOSES("{\"code\":\"TREAT\"}")), PHI_CAUSE_NONE);
	CHECK_CASE("none that is known");
	CHECK_INT(refusal("{" CORE ",\"roles\":\"r\"}"), PHI_CAUSE_PURPOSES);
	CHECK_INT(refusal(PURPOSES("[]")), PHI_CAUSE_PURPOSES);
	CHECK_INT(refusal(PURPOSES("\"\"")), PHI_CAUSE_PURPOSES);
	CHECK_INT(refusal(PURPOSES("\"treat\"")), PHI_CAUSE_PURPOSES);
	CHECK_INT(refusal(PURPOSES("\"PurposeOfUse\"")), PHI_CAUSE_PURPOSES);
	CHECK_INT(refusal(PURPOSES("[\"TREAT\",7]")), PHI_CAUSE_PURPOSES);
	CHECK_INT(refusal(PURPOSES(
				  "[{\"system\":\"urn:oid:2.16.756.5.30.1.127.3.10.5\",\"code\":\"TREAT\"}]")),
			  PHI_CAUSE_PURPOSES);
}

static void
check_profiles(void)
{
	CHECK_CASE("a token as Keycloak writes it");
	CHECK_INT(
		refusal(
			"{\"exp\":1700000300,\"iat\":1700000000,\"auth_time\":1699999990,\"jti\":\"onrtac:"
			"6b1c\","
			"\"iss\":\"https://"
			"issuer.example\",\"aud\":[\"phi\",\"account\"],\"sub\":\"f:1:ann\",\"typ\":\"Bearer\","
			"\"azp\":\"app\",\"sid\":\"x\",\"acr\":\"gold\",\"realm_access\":{\"roles\":["
			"\"clinician\",\"offline_access\"]},"
			"\"resource_access\":{\"account\":{\"roles\":[\"view-profile\"]}},\"scope\":\"openid\","
			"\"purposes\":[\"TREAT\"],\"groups\":[\"/wards/3\"]}"),
		PHI_CAUSE_NONE);
	CHECK_TEXT(claims.roles[0], "clinician");
	CHECK_INT(claims.role_count, 2);
	CHECK_TEXT(claims.groups[0], "/wards/3");
	CHECK_INT(claims.step_up_at, 1699999990);
	CHECK_CASE("a token as IHE IUA writes it");
	CHECK_INT(refusal("{\"iss\":\"https://"
					  "issuer.example\",\"aud\":\"phi\",\"exp\":1700000300,\"sub\":\"UserId-1\","
					  "\"jti\":\"j\","
					  "\"client_id\":\"app\",\"scope\":\"ITI-67\",\"extensions\":{\"ihe_iua\":{"
					  "\"subject_name\":\"Dr. A\","
					  "\"subject_organization\":\"Central "
					  "Hospital\",\"subject_organization_id\":\"urn:oid:1.2.3.4\","
					  "\"subject_role\":[{\"system\":\"urn:oid:2.16.756.5.30.1.127.3.10.6\","
					  "\"code\":\"HCP\"}],"
					  "\"purpose_of_use\":[{\"system\":\"urn:oid:2.16.840.1.113883.1.11.20448\","
					  "\"code\":\"TREAT\"}]}}}"),
			  PHI_CAUSE_NONE);
	CHECK_TEXT(claims.organization, "urn:oid:1.2.3.4");
	CHECK_TEXT(claims.roles[0], "HCP");
	CHECK(claims.purposes == UINT64_C(1) << phi_purpose_find("TREAT", 5));
}

static void
check_step_up(void)
{
	CHECK_CASE("a step-up is a listed acr or amr, and when");
#define STEP(more) "{" CORE MORE more "}"
	CHECK_INT(refusal(STEP(",\"acr\":\"urn:mfa\",\"auth_time\":1699999000")), PHI_CAUSE_NONE);
	CHECK_INT(claims.step_up_at, 1699999000);
	CHECK_INT(refusal(STEP(",\"amr\":[\"pwd\",\"otp\"],\"auth_time\":1699999000")), PHI_CAUSE_NONE);
	CHECK_INT(claims.step_up_at, 1699999000);
	CHECK_INT(refusal(STEP(",\"acr\":\"1\",\"amr\":\"hwk\",\"auth_time\":1700000020")),
			  PHI_CAUSE_NONE);
	CHECK_INT(claims.step_up_at, NOW);
	CHECK_CASE("anything less is none");
	CHECK_INT(refusal(STEP(",\"acr\":\"gold\"")), PHI_CAUSE_NONE);
	CHECK_INT(claims.step_up_at, 0);
	CHECK_INT(refusal(STEP(",\"acr\":\"silver\",\"amr\":[\"pwd\"],\"auth_time\":1699999000")),
			  PHI_CAUSE_NONE);
	CHECK_INT(claims.step_up_at, 0);
	CHECK_INT(refusal(STEP(",\"acr\":\"gold, urn:mfa\",\"amr\":[],\"auth_time\":1699999000")),
			  PHI_CAUSE_NONE);
	CHECK_INT(claims.step_up_at, 0);
	CHECK_INT(refusal(STEP(",\"acr\":\"\",\"auth_time\":1699999000")), PHI_CAUSE_NONE);
	CHECK_INT(claims.step_up_at, 0);
	CHECK_CASE("what cannot be read is refused");
	CHECK_INT(refusal(STEP(",\"acr\":1")), PHI_CAUSE_STEP_UP);
	CHECK_INT(refusal(STEP(",\"amr\":[1]")), PHI_CAUSE_STEP_UP);
	CHECK_INT(refusal(STEP(",\"auth_time\":\"x\"")), PHI_CAUSE_STEP_UP);
	CHECK_INT(refusal(STEP(",\"auth_time\":1700000031")), PHI_CAUSE_STEP_UP);
	CHECK_CASE("lists");
	CHECK(phi_list_has("a, b ,c", "b", 1) && phi_list_has("a", "a", 1) &&
		  phi_list_has(" a b ,", "a b", 3));
	CHECK(!phi_list_has("", "", 0) && !phi_list_has(",,", "", 0) && !phi_list_has("ab", "a", 1) &&
		  !phi_list_has("a,b", "a,b", 3));
}

static void
check_causes(void)
{
	unsigned i;

	CHECK_CASE("every cause has a word");
	for (i = 0; i < PHI_CAUSE_COUNT; i++)
		CHECK(phi_token_cause_text((phi_token_cause) i) != NULL);
	CHECK_TEXT(phi_token_cause_text(PHI_CAUSE_COUNT), "unknown");
}

int
main(void)
{
	size_t i;

	rules = standard;
	CHECK_CASE("keys of the run");
	if (CHECK(make_keys()))
	{
		check_good();
		check_form();
		check_header();
		check_algorithms();
		check_validity();
		check_names();
		check_purposes();
		check_profiles();
		check_step_up();
		check_causes();
	}
	for (i = 0; i < 4; i++)
		EVP_PKEY_free(pairs[i]);
	return check_done();
}
