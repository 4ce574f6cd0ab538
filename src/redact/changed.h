/*-------------------------------------------------------------------------
 * changed.h
 *		Which relations a command has changed (changed.c).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_REDACT_CHANGED_H
#define PHI_REDACT_CHANGED_H

#include "platform/platform.h"

#include "nodes/pg_list.h"

/* Forget what was changed so far, and note the relations that are changed from now on. */
extern void WatchBegin(void);
extern void WatchEnd(void);

/*
 * OIDs of the relations that this session has changed since WatchBegin().
 * Where there were too many to note, those of all that it has locked.
 */
extern List *ChangedByMe(List *all);

extern void ChangedInit(void); /* from RedactInit: the relation cache's callback */

#endif /* PHI_REDACT_CHANGED_H */
