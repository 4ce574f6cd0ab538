/*-------------------------------------------------------------------------
 * recipient.h
 *		The forms of a value that depend on the recipient's key.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_RECIPIENT_H
#define PHI_RECIPIENT_H

#include "platform/platform.h"

#include "core/forms.h"
#include "types/inner.h"

/* Is it one of the forms that need a recipient's key, token or shifted? */
extern bool FormNeedsRecipient(phi_form form);

/*
 * Opened bytes in one of these forms, for a recipient and a subject.  Total:
 * *isnull for a text whose format has no tokens or that has characters beyond
 * ASCII, which would stay, for a date that is infinite or would be none, and
 * for other types.  The bytes are changed.
 */
extern Datum ShowForRecipient(InnerType inner, phi_form form, const char *recipient,
							  uint64 subject_token, uint8 *bytes, Size size, bool *isnull);

#endif /* PHI_RECIPIENT_H */
