/*-------------------------------------------------------------------------
 * disclosure.h
 *		What was disclosed and is not recorded yet, between the notes
 *		(disclosure.c) and the executions they come from (holding.c).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_DISCLOSURE_H
#define PHI_AUDIT_DISCLOSURE_H

#include "platform/platform.h"

/* Setting phi.disclosure_audit. */
typedef enum DisclosureMode
{
	DISCLOSURE_STRICT,  /* recorded before it is shown */
	DISCLOSURE_BATCHED, /* handed over, and recorded soon */
	DISCLOSURE_LOG      /* a line in the server's log */
} DisclosureMode;

/* The mode in force here and now: on a standby phi.standby_audit decides. */
extern DisclosureMode DisclosureModeNow(void);

/* Is anything noted that is not recorded or handed over? */
extern bool DisclosurePending(void);

/* Record what is pending, or hand it over, as the mode says; raises when that fails. */
extern void DisclosureFlush(void);

/*
 * The same where an error is on its way to the client, and may show a value:
 * raises in its place when that fails.  Looks nothing up.
 */
extern void DisclosureFlushForError(void);

/* Hand over what is pending as far as possible, from an abort: never raises. */
extern void DisclosureFlushAtAbort(void);

/* The statement is over: forget what was recorded, so that the next is recorded anew. */
extern void DisclosureForget(void);

/*
 * holding.c: is what phi.reveal() returns here held back until
 * DisclosureFlush()?  If not, it is to be recorded before it is returned.
 */
extern bool DisclosureHeld(void);

/* Within the held execution: have it send no notices until it is over, or opened. */
extern void DisclosureQuiet(void);

/* A function that may pass values on turned up in the held execution: record what it has revealed, and hold no more. */
extern void DisclosureOpened(void);

/* Does an execution or a utility command run, whose end is the end of the statement? */
extern bool DisclosureInStatement(void);

extern void HoldingInit(void); /* from DisclosureInit: hooks */

#endif /* PHI_AUDIT_DISCLOSURE_H */
