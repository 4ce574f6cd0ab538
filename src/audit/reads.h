/*-------------------------------------------------------------------------
 * reads.h
 *		Reading the audit log leaves an event (reads.c).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_READS_H
#define PHI_AUDIT_READS_H

#include "platform/platform.h"

/* Record that a query about to run reads tables of the log, if it does. */
extern void ReadsNoteQuery(const QueryDesc *desc, int eflags);

/* Record that COPY gives a table of the log out, if it does. */
extern void ReadsNoteCopy(const CopyStmt *statement);

/* Is this a function of ours that shows what is in the log? */
extern bool ReadsLog(const char *function);

/* Record that such a function is called. */
extern void ReadsNoteFunction(const char *function);

extern void ReadsInit(void); /* from AuditInit: the setting */

#endif /* PHI_AUDIT_READS_H */
