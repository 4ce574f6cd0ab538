/*-------------------------------------------------------------------------
 * context.h
 *		What a session has stated, carried by the setting phi.context; shared by
 *		the files of this folder.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CONTEXT_H
#define PHI_CONTEXT_H

#include "session/session.h"

typedef struct ContextEntry
{
	Oid role;      /* the session_user it was stated for */
	uint64 serial; /* of that role's enrollment */
	phi_purpose purpose;
} ContextEntry;

/* NULL when nothing is stated; valid until the next change of a setting. */
extern const ContextEntry *ContextCurrent(void);

/* State entry, or nothing at all, until it is stated anew or undone by a rollback. */
extern void ContextSet(const ContextEntry *entry);

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

#endif /* PHI_CONTEXT_H */
