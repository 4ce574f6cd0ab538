/*-------------------------------------------------------------------------
 * context.h
 *		What a session has stated, carried by the setting phi.context; shared by
 *		the files of this folder.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CONTEXT_H
#define PHI_CONTEXT_H

#include "session/session.h"

/*
 * Either what the identity of an enrolled role has stated, or a login with a
 * token, which is an identity of its own.
 */
typedef struct ContextEntry
{
	Oid role;            /* the session_user it was stated for */
	uint64 serial;       /* of that role's enrollment, or of the login */
	phi_purpose purpose; /* PHI_PURPOSE_NONE where none is stated */
	TimestampTz step_up_at;
	bool login;
	/* all below is zero unless login */
	bool local;                     /* holds for one transaction */
	LocalTransactionId transaction; /* and that is this one, where local */
	TimestampTz expires_at;
	uint64 allowed_purposes;
	char actor[SESSION_NAME_SIZE];
	char organization[SESSION_NAME_SIZE];
	char token_id[SESSION_NAME_SIZE];
	int role_count;
	char roles[SESSION_MAX_ROLES][SESSION_NAME_SIZE];
	int group_count;
	char groups[SESSION_MAX_GROUPS][SESSION_NAME_SIZE];
} ContextEntry;

/* NULL when nothing is stated; valid until the next change of a setting. */
extern const ContextEntry *ContextCurrent(void);

/*
 * State entry, or nothing at all: a local login until the transaction ends,
 * anything else until it is stated anew or undone by a rollback.
 */
extern void ContextSet(const ContextEntry *entry);

/* An entry that says what the present session does; to be changed and set. */
extern void ContextOfSession(ContextEntry *entry);

extern void ContextInit(void); /* from SessionInit */

/* ---- session.c ---- */

/* A purpose as a bit of allowed_purposes. */
static inline uint64
PurposeBit(phi_purpose purpose)
{
	return UINT64CONST(1) << purpose;
}

/* Is purpose one of the allowed ones, or below one of them? */
extern bool SessionAllows(const SessionContext *session, phi_purpose purpose);

/* ---- identity.c ---- */

/* Raise in code that a data-modifying statement runs by itself: somebody else may have written it. */
extern void RequireOwnStatement(const char *function);

/* ---- revocation.c ---- */

/* Has the token, or the actor, been revoked?  Read with a catalog snapshot; needs a transaction. */
extern bool TokenRevoked(const char *token_id);
extern bool ActorRevoked(const char *actor);

/* Is the relation one of the tables of revocations, as last read?  For the relcache callback. */
extern bool IsRevocationTable(Oid relation);

/* ---- jwks.c ---- */

#include "core/token.h"

/*
 * Check a token against the keys of phi.jwks_file, as phi_token_verify() does.
 * Raises when there are no keys.
 */
extern phi_status JwksVerify(const char *token, Size size, const phi_token_rules *rules,
							 phi_token_space *space, phi_claims *claims, phi_token_cause *cause);
extern void JwksInit(void);

/* ---- uses.c ---- */

/* Count one more use of a token; false when that is one too many. */
extern bool TokenUse(const char *token_id, TimestampTz expires_at);
extern void UsesInit(void);

/* ---- attempts.c ---- */

typedef enum AttemptOutcome
{
	ATTEMPT_ACCEPTED,
	ATTEMPT_WRONG,
	ATTEMPT_REPLAYED,
	ATTEMPT_LOCKED,
	ATTEMPT_NO_ROOM
} AttemptOutcome;

/* Count an attempt of an actor; step is that of a right code, or 0. */
extern AttemptOutcome AttemptCount(const char *actor, uint64 step);
extern void AttemptForget(const char *actor);
extern void AttemptsInit(void);

/* ---- login.c and stepup.c ---- */

extern int StepUpMaxAge; /* seconds */

extern void LoginInit(void);
extern void StepUpInit(void);

#endif /* PHI_CONTEXT_H */
