/*-------------------------------------------------------------------------
 * redact.h
 *		The redacted view of a protected table, and its upkeep under DDL.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_REDACT_H
#define PHI_REDACT_H

#include "platform/platform.h"

/* From _PG_init: the hook on utility statements; the audit log's guard is called from it. */
extern void RedactInit(void);

#endif /* PHI_REDACT_H */
