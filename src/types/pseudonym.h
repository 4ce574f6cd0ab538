/*-------------------------------------------------------------------------
 * pseudonym.h
 *		Random tokens that stand for subjects, one for each recipient.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_PSEUDONYM_H
#define PHI_PSEUDONYM_H

#include "platform/platform.h"

/*
 * The recipient whose stand-ins for identifiers the session may see: this one, or
 * for recipient NULL the session's own.  NULL where it may see none: where it is
 * not the recipient's and may not make pseudonyms either.
 */
extern const char *VisibleRecipient(const char *recipient);

/*
 * The pseudonym of a subject as a text: for a recipient, or for whom the session
 * asks (recipient NULL), its organization, or else its actor.  Nothing where
 * none was made, and where the session neither is the recipient's nor may make
 * pseudonyms.
 */
extern Datum Pseudonym(uint64 subject_token, const char *recipient, bool *isnull);

extern void PseudonymInit(void); /* from _PG_init: invalidation */

#endif /* PHI_PSEUDONYM_H */
