/*-------------------------------------------------------------------------
 * change.h
 *		Recording changed rows (change.c), and those that logical replication
 *		applies (apply.c).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_CHANGE_H
#define PHI_AUDIT_CHANGE_H

#include "platform/platform.h"

#include "utils/rel.h"
#include "utils/tuplestore.h"

/*
 * Append the events of changed rows to the log, within the current
 * transaction: rows before (NULL: inserted), after (NULL: deleted), or both in
 * the same order.  applied: by logical replication; their subjects are then
 * read from their sealed values, and need no key.  Raises.
 */
extern void RecordChange(Relation relation, Tuplestorestate *old_rows, Tuplestorestate *new_rows,
						 bool applied);

/* The subscription whose worker this process is, or NULL. */
extern const char *ApplyingSubscription(void);

#endif /* PHI_AUDIT_CHANGE_H */
