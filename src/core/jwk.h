/*-------------------------------------------------------------------------
 * jwk.h
 *		Public keys of token issuers (JWK and JWK Set, RFC 7517; RFC 7518
 *		section 6; RFC 8037) and the check of a signature with one.
 *
 * A key has exactly one algorithm, that of its "alg" or else of its kind:
 * Ed25519 is EdDSA, P-256 is ES256, RSA is RS256.  A symmetric key is HS256,
 * and only when it says so.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_JWK_H
#define PHI_CORE_JWK_H

#include "json.h"

#define PHI_JWK_ID_SIZE       128 /* bytes of a key id, with the terminator */
#define PHI_JWK_MATERIAL_SIZE 512 /* RSA of 4096 bits */
#define PHI_JWK_EXPONENT_SIZE 8
#define PHI_JWK_RSA_BITS      2048 /* at least */
#define PHI_JWK_SECRET_SIZE   32   /* of HS256, at least: RFC 7518 section 3.2 */

typedef enum phi_jws_algorithm
{
	PHI_JWS_UNKNOWN,
	PHI_JWS_EDDSA, /* Ed25519: RFC 8037 */
	PHI_JWS_ES256, /* P-256 and SHA-256: RFC 7518 section 3.4 */
	PHI_JWS_RS256, /* RSASSA-PKCS1-v1_5 and SHA-256: section 3.3 */
	PHI_JWS_PS256, /* RSASSA-PSS, SHA-256, MGF1, 32 bytes of salt: section 3.5 */
	PHI_JWS_HS256  /* HMAC and SHA-256: section 3.2 */
} phi_jws_algorithm;

typedef struct phi_jwk
{
	phi_jws_algorithm algorithm;
	char id[PHI_JWK_ID_SIZE]; /* "kid"; empty where the key has none */
	size_t size;
	uint8_t material[PHI_JWK_MATERIAL_SIZE]; /* x; 0x04, x, y; n, big-endian; k */
	size_t exponent_size;
	uint8_t exponent[PHI_JWK_EXPONENT_SIZE]; /* e, big-endian; of RSA alone */
} phi_jwk;

/* The algorithm of a name in "alg"; "EdDSA" and "Ed25519" (RFC 9864) are one. */
extern phi_jws_algorithm phi_jws_algorithm_find(const phi_json *json, size_t at);

/*
 * Read a JWK Set.  Keys that are not for signatures, and those of kinds or
 * algorithms not named above, are left out.  PHI_ERR_FORMAT for anything that is
 * not a JWK Set, for a private key in it, for a key of a kind above that is not
 * complete, is too short, or is not a point of its curve, and for two keys of
 * one id and algorithm; PHI_ERR_SPACE when scratch (tokens) or keys are too few.
 * *count is 0 on failure.
 */
extern phi_status phi_jwks_read(const char *text, size_t size, phi_json_token *scratch,
								size_t tokens, phi_jwk *keys, size_t capacity,
								size_t *count) PHI_CHECKED;

/*
 * Check a signature as JWS encodes it (ECDSA: r and s, 32 bytes each).
 * PHI_ERR_AUTH when it is none of message; PHI_ERR_CRYPTO when libcrypto cannot tell.
 */
extern phi_status phi_jwk_verify(const phi_jwk *key, phi_bytes message,
								 phi_bytes signature) PHI_CHECKED;

#endif /* PHI_CORE_JWK_H */
