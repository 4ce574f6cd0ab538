/*-------------------------------------------------------------------------
 * jwk.c
 *		Reading JWK Sets and checking signatures with libcrypto.
 *
 * Keys are kept as the bytes of the file; a libcrypto key is made for each
 * check and freed before it ends.  What libcrypto thinks of a key (is the point
 * on the curve?) is asked once, when the set is read.
 *-------------------------------------------------------------------------
 */
#include "jwk.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "mac.h"

#define COORDINATE_SIZE 32
#define ED25519_SIZE    32
#define POINT_SIZE      (1 + 2 * COORDINATE_SIZE)
#define DER_MAX         72 /* of two integers of 33 bytes */
#define ENCODED_MAX     (PHI_JWK_MATERIAL_SIZE / 3 * 4 + 4)
#define NAME_SIZE(name) (sizeof(name) - 1)

/* ---- reading ---- */

static size_t
member(const phi_json *json, size_t object, const char *name)
{
	return phi_json_member(json, object, name, strlen(name));
}

phi_jws_algorithm
phi_jws_algorithm_find(const phi_json *json, size_t at)
{
	static const struct
	{
		const char *name;
		phi_jws_algorithm algorithm;
	} names[] = {
		{"EdDSA", PHI_JWS_EDDSA}, {"Ed25519", PHI_JWS_EDDSA}, {"ES256", PHI_JWS_ES256},
		{"RS256", PHI_JWS_RS256}, {"PS256", PHI_JWS_PS256},   {"HS256", PHI_JWS_HS256},
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (phi_json_is(json, at, names[i].name))
			return names[i].algorithm;
	}
	return PHI_JWS_UNKNOWN;
}

/* Decode a base64url member to at most capacity bytes. */
static phi_status
read_bytes(const phi_json *json, size_t object, const char *name, uint8_t *out, size_t capacity,
		   size_t *size)
{
	char encoded[ENCODED_MAX];
	phi_buffer buffer = {out, 0, capacity};
	size_t encoded_size;
	phi_status status;

	*size = 0;
	status =
		phi_json_string(json, member(json, object, name), encoded, sizeof(encoded), &encoded_size);
	if (status == PHI_OK)
		status = phi_base64url_decode(encoded, encoded_size, &buffer);
	OPENSSL_cleanse(encoded, sizeof(encoded));
	*size = buffer.size;
	return status == PHI_OK ? PHI_OK : PHI_ERR_FORMAT;
}

/* x, and y behind a mark: exactly 32 bytes each (RFC 7518 section 6.2.1). */
static phi_status
read_point(const phi_json *json, size_t object, phi_jwk *key)
{
	size_t x, y;

	key->material[0] = 0x04;
	key->size = POINT_SIZE;
	if (read_bytes(json, object, "x", key->material + 1, COORDINATE_SIZE, &x) != PHI_OK ||
		read_bytes(json, object, "y", key->material + 1 + COORDINATE_SIZE, COORDINATE_SIZE, &y) !=
			PHI_OK ||
		x != COORDINATE_SIZE || y != COORDINATE_SIZE)
		return PHI_ERR_FORMAT;
	return PHI_OK;
}

/* n and e: whole numbers without leading zeros, n long enough, e odd and not 1. */
static phi_status
read_rsa(const phi_json *json, size_t object, phi_jwk *key)
{
	size_t bits;
	uint8_t first;

	if (read_bytes(json, object, "n", key->material, PHI_JWK_MATERIAL_SIZE, &key->size) != PHI_OK ||
		read_bytes(json, object, "e", key->exponent, PHI_JWK_EXPONENT_SIZE, &key->exponent_size) !=
			PHI_OK ||
		key->size == 0 || key->exponent_size == 0 || key->material[0] == 0 || key->exponent[0] == 0)
		return PHI_ERR_FORMAT;
	bits = key->size * 8;
	for (first = key->material[0]; first < 0x80; first = (uint8_t) (first << 1))
		bits--;
	if (bits < PHI_JWK_RSA_BITS || (key->material[key->size - 1] & 1) == 0 ||
		(key->exponent[key->exponent_size - 1] & 1) == 0 ||
		(key->exponent_size == 1 && key->exponent[0] == 1))
		return PHI_ERR_FORMAT;
	return PHI_OK;
}

/* Is a key meant for checking signatures, as far as it says? */
static bool
is_for_verifying(const phi_json *json, size_t object)
{
	size_t use = member(json, object, "use");
	size_t operations = member(json, object, "key_ops");
	size_t at;

	if (use != 0 && !phi_json_is(json, use, "sig"))
		return false;
	if (operations == 0)
		return true;
	for (at = phi_json_first(json, operations); at != 0; at = phi_json_after(json, operations, at))
	{
		if (phi_json_is(json, at, "verify"))
			return true;
	}
	return false;
}

/*
 * The algorithm of a key: its kind's, which "alg" may narrow but not change;
 * unknown for kinds and algorithms that are left out.
 */
static phi_jws_algorithm
key_algorithm(const phi_json *json, size_t object)
{
	size_t kty = member(json, object, "kty");
	size_t crv = member(json, object, "crv");
	size_t alg = member(json, object, "alg");
	phi_jws_algorithm stated = phi_jws_algorithm_find(json, alg);
	phi_jws_algorithm kind = PHI_JWS_UNKNOWN;

	if (phi_json_is(json, kty, "OKP") && phi_json_is(json, crv, "Ed25519"))
		kind = PHI_JWS_EDDSA;
	else if (phi_json_is(json, kty, "EC") && phi_json_is(json, crv, "P-256"))
		kind = PHI_JWS_ES256;
	else if (phi_json_is(json, kty, "RSA"))
		kind = stated == PHI_JWS_PS256 ? PHI_JWS_PS256 : PHI_JWS_RS256;
	else if (phi_json_is(json, kty, "oct") && alg != 0)
		kind = PHI_JWS_HS256;
	return alg == 0 || stated == kind ? kind : PHI_JWS_UNKNOWN;
}

/* One key of the set; its algorithm stays unknown where it is left out. */
static phi_status
read_key(const phi_json *json, size_t object, phi_jwk *key)
{
	size_t kid = member(json, object, "kid");
	size_t kid_size;
	phi_status status = PHI_OK;

	memset(key, 0, sizeof(*key));
	if (phi_json_type_at(json, object) != PHI_JSON_OBJECT || member(json, object, "kty") == 0 ||
		member(json, object, "d") != 0)
		return PHI_ERR_FORMAT;
	key->algorithm = is_for_verifying(json, object) ? key_algorithm(json, object) : PHI_JWS_UNKNOWN;
	if (key->algorithm == PHI_JWS_UNKNOWN)
		return PHI_OK;
	if (kid != 0 && (phi_json_string(json, kid, key->id, PHI_JWK_ID_SIZE, &kid_size) != PHI_OK ||
					 kid_size == 0))
		return PHI_ERR_FORMAT;
	switch (key->algorithm)
	{
		case PHI_JWS_EDDSA:
			status = read_bytes(json, object, "x", key->material, ED25519_SIZE, &key->size);
			return status == PHI_OK && key->size == ED25519_SIZE ? PHI_OK : PHI_ERR_FORMAT;
		case PHI_JWS_ES256:
			return read_point(json, object, key);
		case PHI_JWS_HS256:
			status =
				read_bytes(json, object, "k", key->material, PHI_JWK_MATERIAL_SIZE, &key->size);
			return status == PHI_OK && key->size >= PHI_JWK_SECRET_SIZE ? PHI_OK : PHI_ERR_FORMAT;
		default:
			return read_rsa(json, object, key);
	}
}

/* ---- libcrypto ---- */

/* Bytes of a big-endian number in this machine's order, as libcrypto's parameters have them. */
static void
to_native(const uint8_t *number, size_t size, uint8_t *out)
{
	const uint16_t one = 1;
	bool little = *(const uint8_t *) &one == 1;
	size_t i;

	for (i = 0; i < size; i++)
		out[i] = number[little ? size - 1 - i : i];
}

/* A libcrypto key of some kind from its parameters; NULL when it refuses. */
static EVP_PKEY *
key_from(const char *kind, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	EVP_PKEY *made = NULL;

	if (context != NULL && (EVP_PKEY_fromdata_init(context) != 1 ||
							EVP_PKEY_fromdata(context, &made, EVP_PKEY_PUBLIC_KEY, params) != 1))
	{
		EVP_PKEY_free(made);
		made = NULL;
	}
	EVP_PKEY_CTX_free(context);
	return made;
}

/* The libcrypto key of a key that has one. */
static EVP_PKEY *
make_key(const phi_jwk *key)
{
	uint8_t n[PHI_JWK_MATERIAL_SIZE], e[PHI_JWK_EXPONENT_SIZE], point[POINT_SIZE];
	char group[] = "prime256v1";
	OSSL_PARAM params[3];

	params[2] = OSSL_PARAM_construct_end();
	switch (key->algorithm)
	{
		case PHI_JWS_EDDSA:
			return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, key->material, key->size);
		case PHI_JWS_ES256:
			memcpy(point, key->material, POINT_SIZE);
			params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group,
														 NAME_SIZE(group));
			params[1] =
				OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, POINT_SIZE);
			return key_from("EC", params);
		default:
			to_native(key->material, key->size, n);
			to_native(key->exponent, key->exponent_size, e);
			params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, key->size);
			params[1] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, key->exponent_size);
			return key_from("RSA", params);
	}
}

/* One number of an ECDSA signature as a DER INTEGER; its size. */
static size_t
put_integer(const uint8_t *number, uint8_t *out)
{
	size_t size = COORDINATE_SIZE;
	size_t pad;

	while (size > 1 && number[0] == 0)
	{
		number++;
		size--;
	}
	pad = number[0] >= 0x80 ? 1 : 0;
	out[0] = 0x02;
	out[1] = (uint8_t) (size + pad);
	out[2] = 0;
	memcpy(out + 2 + pad, number, size);
	return 2 + pad + size;
}

/* r and s to the SEQUENCE that libcrypto reads; its size. */
static size_t
ecdsa_to_der(const uint8_t *signature, uint8_t out[DER_MAX])
{
	size_t size = put_integer(signature, out + 2);

	size += put_integer(signature + COORDINATE_SIZE, out + 2 + size);
	out[0] = 0x30;
	out[1] = (uint8_t) size;
	return 2 + size;
}

/* Check with libcrypto; key is not NULL. */
static phi_status
verify_with(EVP_PKEY *key, phi_jws_algorithm algorithm, phi_bytes message, phi_bytes signature)
{
	const char *digest = algorithm == PHI_JWS_EDDSA ? NULL : "SHA256";
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	char mode[] = "pss", mask[] = "SHA256";
	int salt = PHI_SHA256_SIZE;
	OSSL_PARAM pss[4];
	phi_status status = PHI_ERR_CRYPTO;

	pss[0] = OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, mode, 0);
	pss[1] = OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, mask, 0);
	pss[2] = OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, &salt);
	pss[3] = OSSL_PARAM_construct_end();
	if (context != NULL && EVP_DigestVerifyInit_ex(context, NULL, digest, NULL, NULL, key,
												   algorithm == PHI_JWS_PS256 ? pss : NULL) == 1)
		status = EVP_DigestVerify(context, signature.data, signature.size, message.data,
								  message.size) == 1
					 ? PHI_OK
					 : PHI_ERR_AUTH;
	EVP_MD_CTX_free(context);
	return status;
}

/* HMAC in full length, compared in constant time. */
static phi_status
verify_mac(const phi_jwk *key, phi_bytes message, phi_bytes signature)
{
	uint8_t mac[PHI_SHA256_SIZE];
	phi_status status = phi_hmac_sha256(phi_bytes_of(key->material, key->size), message, mac);

	if (status == PHI_OK &&
		(signature.size != sizeof(mac) || CRYPTO_memcmp(mac, signature.data, sizeof(mac)) != 0))
		status = PHI_ERR_AUTH;
	OPENSSL_cleanse(mac, sizeof(mac));
	return status;
}

phi_status
phi_jwk_verify(const phi_jwk *key, phi_bytes message, phi_bytes signature)
{
	uint8_t der[DER_MAX];
	EVP_PKEY *made;
	phi_status status;

	if (key->algorithm == PHI_JWS_UNKNOWN || key->size > PHI_JWK_MATERIAL_SIZE)
		return PHI_ERR_ARGUMENT;
	if (key->algorithm == PHI_JWS_HS256)
		return verify_mac(key, message, signature);
	if (key->algorithm == PHI_JWS_ES256)
	{
		if (signature.size != 2 * COORDINATE_SIZE)
			return PHI_ERR_AUTH;
		signature = phi_bytes_of(der, ecdsa_to_der(signature.data, der));
	}
	made = make_key(key);
	status = made != NULL ? verify_with(made, key->algorithm, message, signature) : PHI_ERR_CRYPTO;
	EVP_PKEY_free(made);
	ERR_clear_error(); /* the reasons would be taken for those of somebody's next call */
	return status;
}

/* Does libcrypto take the key?  Symmetric ones it need not see. */
static phi_status
check_key(const phi_jwk *key)
{
	EVP_PKEY *made;

	if (key->algorithm == PHI_JWS_HS256)
		return PHI_OK;
	made = make_key(key);
	EVP_PKEY_free(made);
	ERR_clear_error();
	return made != NULL ? PHI_OK : PHI_ERR_FORMAT;
}

/* Is there a key of the same id and algorithm before this one? */
static bool
is_double(const phi_jwk *keys, size_t at)
{
	size_t i;

	for (i = 0; i < at; i++)
	{
		if (keys[i].algorithm == keys[at].algorithm && strcmp(keys[i].id, keys[at].id) == 0)
			return true;
	}
	return false;
}

phi_status
phi_jwks_read(const char *text, size_t size, phi_json_token *scratch, size_t tokens, phi_jwk *keys,
			  size_t capacity, size_t *count)
{
	phi_jwk key;
	phi_json json;
	size_t set, at, found = 0;
	phi_status status = phi_json_read(text, size, scratch, tokens, &json);

	*count = 0;
	if (status != PHI_OK)
		return status;
	set = member(&json, 0, "keys");
	if (phi_json_type_at(&json, set) != PHI_JSON_ARRAY || set == 0)
		return PHI_ERR_FORMAT;
	for (at = phi_json_first(&json, set); at != 0 && status == PHI_OK;
		 at = phi_json_after(&json, set, at))
	{
		status = read_key(&json, at, &key);
		if (status != PHI_OK || key.algorithm == PHI_JWS_UNKNOWN)
			continue;
		status = found < capacity ? check_key(&key) : PHI_ERR_SPACE;
		if (status != PHI_OK)
			continue;
		keys[found] = key;
		if (is_double(keys, found++))
			status = PHI_ERR_FORMAT;
	}
	OPENSSL_cleanse(&key, sizeof(key));
	if (status == PHI_OK)
		*count = found;
	else
		OPENSSL_cleanse(keys, found * sizeof(phi_jwk));
	return status;
}
