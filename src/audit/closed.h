/*-------------------------------------------------------------------------
 * closed.h
 *		Can what an execution reveals leave through its result alone (closed.c)?
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_CLOSED_H
#define PHI_AUDIT_CLOSED_H

#include "platform/platform.h"

#include "executor/execdesc.h"

typedef struct Starting Starting;

/* The innermost execution being started, NULL where none is; put away while another runs. */
extern Starting *InnermostStarting;

/* Is the execution closed, and does it call functions of ours? */
extern bool ClosedExecution(QueryDesc *desc);

/* The transaction is over, and every execution with it. */
extern void ClosedForget(void);

extern void ClosedInit(void); /* from HoldingInit: hooks */

#endif /* PHI_AUDIT_CLOSED_H */
