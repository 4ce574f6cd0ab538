/*-------------------------------------------------------------------------
 * jws.h
 *		Signed tokens: JWS compact serialization (RFC 7515 section 7.1) under
 *		the advice of RFC 8725.
 *
 * Refused, whatever the signature: algorithms other than those of jwk.h, and
 * "none"; any "crit" and any "b64" (RFC 7797); a "cty", which is how a token
 * inside a token says so; a "typ" that is not that of an access or identity
 * token; more or fewer than three parts; padding, white space and second
 * encodings in base64url; members given twice; more than PHI_TOKEN_MAX bytes.
 * Keys that the header brings along ("jwk", "jku", "x5c", "x5u") are not looked at.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_JWS_H
#define PHI_CORE_JWS_H

#include "jwk.h"

#define PHI_TOKEN_MAX    16384 /* bytes of a token */
#define PHI_TOKEN_VALUES 2048  /* values and names in its header, and in its claims */

/* Why a token is refused: for the server's log, never for who brought it. */
typedef enum phi_token_cause
{
	PHI_CAUSE_NONE,
	PHI_CAUSE_SIZE,      /* empty, or longer than PHI_TOKEN_MAX */
	PHI_CAUSE_FORM,      /* not three parts of canonical base64url */
	PHI_CAUSE_HEADER,    /* the header is not a JSON object of the kind read here */
	PHI_CAUSE_CRITICAL,  /* it asks for an extension */
	PHI_CAUSE_TYPE,      /* it is of another type, or holds another token */
	PHI_CAUSE_ALGORITHM, /* it names no algorithm known here, or another than the key's */
	PHI_CAUSE_KEY,       /* it names no key of the set, or none where there are several */
	PHI_CAUSE_SIGNATURE,
	PHI_CAUSE_CLAIMS, /* the claims are not a JSON object of the kind read here */
	PHI_CAUSE_ISSUER,
	PHI_CAUSE_AUDIENCE,
	PHI_CAUSE_EXPIRY, /* no end, or it has passed */
	PHI_CAUSE_TIME,   /* not valid yet, or issued in the future */
	PHI_CAUSE_ACTOR,  /* no actor, or one that cannot be kept; the same for those below */
	PHI_CAUSE_ORGANIZATION,
	PHI_CAUSE_ROLES,
	PHI_CAUSE_PURPOSES, /* none that this code knows */
	PHI_CAUSE_GROUPS,
	PHI_CAUSE_ID,
	PHI_CAUSE_STEP_UP, /* acr, amr or auth_time cannot be read */
	PHI_CAUSE_COUNT
} phi_token_cause;

/* One lower-case word for a cause; never NULL. */
extern const char *phi_token_cause_text(phi_token_cause cause);

/* What a check needs room for; the caller owns it, its content means nothing. */
typedef struct phi_token_space
{
	phi_json_token values[PHI_TOKEN_VALUES];
	uint8_t bytes[PHI_TOKEN_MAX];
} phi_token_space;

/*
 * Check a token's form, header and signature against count keys.  On PHI_OK
 * claims is the decoded payload, which lies in space.  PHI_ERR_AUTH when the
 * token is refused, with the cause; PHI_ERR_CRYPTO when libcrypto failed.
 */
extern phi_status phi_jws_verify(const char *token, size_t size, const phi_jwk *keys, size_t count,
								 phi_token_space *space, phi_bytes *claims,
								 phi_token_cause *cause) PHI_CHECKED;

/* The size of the part of a token that its signature covers; of one that was checked. */
extern size_t phi_jws_signed_size(const char *token, size_t size);

#endif /* PHI_CORE_JWS_H */
