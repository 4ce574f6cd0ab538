/*-------------------------------------------------------------------------
 * session.h
 *		Who is asking, in which workforce roles, for which purpose.
 *
 * The answer comes from a login with a token (login.c), which the context
 * setting carries (context.c), or without one from the enrollment of
 * session_user (session.c).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_SESSION_H
#define PHI_SESSION_H

#include "platform/platform.h"

#include "core/codes.h"
#include "datatype/timestamp.h"

#define SESSION_MAX_ROLES      16
#define SESSION_MAX_GROUPS     32
#define SESSION_MAX_MEMBERSHIPS 128 /* groups and organizations on record, with those above */
#define SESSION_MAX_REFERENCES (SESSION_MAX_ROLES + SESSION_MAX_GROUPS + SESSION_MAX_MEMBERSHIPS + 2)
#define SESSION_NAME_SIZE      128 /* bytes, with the terminator */

/* Where the identity comes from. */
typedef enum SessionSource
{
	SESSION_NONE,
	SESSION_ENROLLMENT, /* of session_user */
	SESSION_TOKEN       /* that was given to phi.login() */
} SessionSource;

typedef struct SessionContext
{
	bool identified; /* verified and unexpired; all below is empty otherwise */
	SessionSource source;
	bool purpose_stated;
	phi_purpose purpose;     /* PHI_PURPOSE_NONE unless stated */
	uint64 allowed_purposes; /* bit per purpose row; an allowed purpose allows what is below it */
	int role_count;
	char roles[SESSION_MAX_ROLES][SESSION_NAME_SIZE];
	char actor[SESSION_NAME_SIZE];
	char organization[SESSION_NAME_SIZE]; /* empty when not known */
	int group_count;
	char groups[SESSION_MAX_GROUPS]
			   [SESSION_NAME_SIZE];   /* care teams and the like; none by enrollment */
	char token_id[SESSION_NAME_SIZE]; /* empty without a token */
	uint64 serial;                    /* of the login or enrollment */
	TimestampTz expires_at;           /* 0: does not end by itself */
	TimestampTz step_up_at; /* when the actor last proved more than a password; 0: never */
	bool step_up_fresh;     /* and that is recent enough */
} SessionContext;

/* Never NULL; valid until the next call.  Reads no table unless something changed. */
extern const SessionContext *SessionCurrent(void);

/* Changes whenever SessionCurrent() may answer differently. */
extern uint64 SessionGeneration(void);

/*
 * Moves with every change of the context setting and of the tables that the
 * session is read from: for the row predicate, which cannot afford a call a
 * row.  Together with session_user and the statement's time it covers what
 * SessionGeneration() does.
 */
extern uint64 SessionTick;

/*
 * The references the session stands for, the actor's first: roles, groups and
 * organizations by its login and by phi.membership; at most SESSION_MAX_REFERENCES.
 */
extern int SessionReferences(uint64 *references);

/*
 * Raise when the token of the session has expired by the clock, though not when
 * the statement began: a block that runs for hours does not outlive its login.
 */
extern void SessionRequireUnexpired(void);

/*
 * Called with what happened to identities: login, or verify_totp.  A failure has a reason,
 * one word that is for the log alone.  Set by the audit log; never NULL.
 */
extern void (*SessionEvent)(const char *action, const char *failure);

extern void PortalInit(void);  /* from _PG_init: executor hooks */
extern void SessionInit(void); /* from _PG_init: the context setting */

#endif /* PHI_SESSION_H */
