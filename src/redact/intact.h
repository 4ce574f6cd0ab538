/*-------------------------------------------------------------------------
 * intact.h
 *		Is what phi.protect made still there after a command (intact.c)?
 *-------------------------------------------------------------------------
 */
#ifndef PHI_REDACT_INTACT_H
#define PHI_REDACT_INTACT_H

#include "platform/platform.h"

#include "nodes/pg_list.h"

/* The table whose redacted view this is, or 0. */
extern Oid RedactedTable(Oid view);

/* The redacted views of a table, that of phi.protect() and those of profiles, in ascending order. */
extern List *RedactedViews(Oid table);

/* What the protected relations, all or the current user's, have of their protection. */
extern List *IntactBefore(bool all);

/* The protected tables among those changed, or their partitions were: a list of OIDs. */
extern List *ChangedTables(void);

/*
 * Raise where a relation that was changed, or any at all, has lost part of the
 * protection of before, or has less than a whole one where before knows
 * nothing of it.  policies: whatever was so before, no policy of a changed
 * table may run foreign code.  detached: no partition may have left its table.
 */
extern void RequireIntact(List *before, bool all, bool policies, bool detached);

#endif /* PHI_REDACT_INTACT_H */
