/*-------------------------------------------------------------------------
 * guards.h
 *		What commands may not do to a protected table (guards.c), as the hook
 *		in upkeep.c asks it.
 *
 * Every function returns when the command may go on, and raises otherwise.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_REDACT_GUARDS_H
#define PHI_REDACT_GUARDS_H

#include "platform/platform.h"
#include "nodes/parsenodes.h"
#include "platform/registry.h"
#include "storage/lockdefs.h"

/*
 * Find a relation by name and, where the current user owns it, lock it as the
 * command is going to: so that the name means the same to both.  Another's is
 * not locked: the command will fail.  0 where there is none.
 */
extern Oid LockOwned(const RangeVar *name, LOCKMODE mode);

/* Leave a ddl event of a command on a protected table. */
extern void RecordCommand(Oid relid, const char *detail);

/* Has RecordCommand() left an event of this table or a partition, since ForgetRecorded()? */
extern bool WasRecorded(Oid root);
extern void ForgetRecorded(void);

/* One subcommand of ALTER TABLE on a locked table; relation is NULL where it is not protected. */
extern void GuardAlterCommand(const AlterTableCmd *command, Oid relid,
							  const ProtectedRelation *relation);

/* CREATE INDEX: refused on an encrypted column that is not searchable. */
extern void GuardIndex(const IndexStmt *statement);

/* CREATE TABLE with a parent: plain inheritance and foreign partitions. */
extern void GuardChild(Oid parent, bool partition, bool foreign);

/* ALTER, RENAME or DROP of a policy, given its table. */
extern void GuardPolicy(const RangeVar *table, const char *policy, const char *verb);

/* CREATE RULE. */
extern void GuardRule(const RangeVar *table);

/* CREATE OR REPLACE VIEW: refused where it is a redacted view. */
extern void GuardView(Oid relid);

/* CREATE TRIGGER: refused on a redacted view, but for the one that is there. */
extern void GuardViewTrigger(const CreateTrigStmt *statement);

/* ALTER VIEW, or ALTER TABLE of a view. */
extern void GuardViewAlter(const AlterTableStmt *statement, Oid relid);

/* Any statement: refused in code that nobody called where it would be run after that code. */
extern void GuardImplicitCode(Node *statement);

/* COPY of a table by a role to whom row security does not apply. */
extern void GuardCopy(const CopyStmt *statement);

#endif /* PHI_REDACT_GUARDS_H */
