/*-------------------------------------------------------------------------
 * denial.h
 *		Denied statements leave an event (denial.c).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_DENIAL_H
#define PHI_AUDIT_DENIAL_H

/* The denial of the current statement has an event already. */
extern void DenialNoted(void);

extern void DenialInit(void); /* from AuditInit: the hook */

#endif /* PHI_AUDIT_DENIAL_H */
