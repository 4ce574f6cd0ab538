/*-------------------------------------------------------------------------
 * token.h
 *		The claims of a signed token (JWT, RFC 7519): who, in which roles, for
 *		which purposes, until when.
 *
 * Required are iss, aud, exp and an actor; nbf and iat may lie
 * PHI_TOKEN_SKEW seconds ahead, exp not a second behind.  Where a role, group
 * or organization cannot be kept the token is refused: a denial may name it.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_TOKEN_H
#define PHI_CORE_TOKEN_H

#include "codes.h"
#include "jws.h"

#define PHI_TOKEN_SKEW   30  /* seconds */
#define PHI_CLAIM_SIZE   128 /* bytes of a name, with the terminator */
#define PHI_CLAIM_ROLES  16
#define PHI_CLAIM_GROUPS 32

/*
 * What is asked of a token.  The claims are lists of paths (json.h) joined by
 * commas; the first one that the token has is taken.  Where a name is expected
 * there is a string, or an object with a "code"; where a list is, one name or an
 * array of them.
 */
typedef struct phi_token_rules
{
	const char *issuer;   /* exactly iss */
	const char *audience; /* aud, or one of it */
	const char *actor;
	const char *organization;
	const char *roles;
	const char *purposes; /* a string may hold several, with spaces between */
	const char *groups;
	const char *id;
	const char *acr;
	const char *amr;
	const char *auth_time;
	const char *step_up_acr; /* values of acr, joined by commas, that are a step-up */
	const char *step_up_amr; /* and of amr */
	int64_t now;             /* seconds since 1970 */
} phi_token_rules;

typedef struct phi_claims
{
	char actor[PHI_CLAIM_SIZE];
	char organization[PHI_CLAIM_SIZE]; /* empty when not given */
	char id[PHI_CLAIM_SIZE];           /* empty when not given */
	size_t role_count;
	char roles[PHI_CLAIM_ROLES][PHI_CLAIM_SIZE];
	size_t group_count;
	char groups[PHI_CLAIM_GROUPS][PHI_CLAIM_SIZE];
	uint64_t purposes;  /* bit per row of the purpose table; never its root */
	int64_t expires_at; /* seconds since 1970 */
	int64_t step_up_at; /* auth_time of a step-up, at most now; 0 when it was none */
} phi_claims;

/*
 * Verify a token whole: phi_jws_verify(), then its claims.  PHI_ERR_AUTH with
 * the cause when it is refused; claims is all zero then.
 */
extern phi_status phi_token_verify(const char *token, size_t size, const phi_jwk *keys,
								   size_t count, const phi_token_rules *rules,
								   phi_token_space *space, phi_claims *claims,
								   phi_token_cause *cause) PHI_CHECKED;

/* Is name one of a list joined by commas?  Spaces around an entry do not count. */
extern bool phi_list_has(const char *list, const char *name, size_t size);

#endif /* PHI_CORE_TOKEN_H */
