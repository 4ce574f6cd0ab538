/*-------------------------------------------------------------------------
 * audit.h
 *		Appending events to the audit log, and noting disclosures.
 *
 * The log's tables live in schema phi_audit, which is no member of the
 * extension: DROP EXTENSION leaves them, pg_dump dumps them as tables.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_H
#define PHI_AUDIT_H

#include "platform/platform.h"
#include "platform/registry.h"

#include "core/decide.h"

#define AUDIT_BATCH_ROWS 1000 /* rows in one event at most */

/* Detail of an event whose entries are pairs. */
#define AUDIT_KEY_CHANGED "key changed: entries in pairs, before and after"

typedef struct AuditEvent
{
	const char *action;  /* insert, update, delete, protect, unprotect, ddl, consent, enroll, ... */
	const char *outcome; /* success or denied */
	Oid relation;        /* or 0 */
	const char *detail;  /* short fixed words or names, never a value; or NULL */
	const char *reason;  /* decision reason code, or NULL */
	int row_count;
	const uint64 *subjects;     /* subject token of each row, 0 where it has none; or NULL */
	char **row_keys;            /* key text of each row, or NULL */
	const uint8 *digests;       /* row_count * 32 bytes, or NULL */
	int column_count;           /* columns concerned */
	const char *const *columns; /* or NULL: all of them, or none in particular */
	int64 consent_id;           /* directive concerned, or 0 */
	int64 break_glass_id;       /* of phi.glass, or 0 */
	const uint8 *salt;          /* 16 random bytes that images are bound to, or NULL */
	const bytea *images;        /* images of the rows, or NULL */
} AuditEvent;

/*
 * A row's key as events have it: its text, or (a,b) for one of several columns,
 * quoted as record output does; NULL for a null.  In new memory.
 */
extern char *AuditRowKey(const char *const *parts, int count);

/* Append within the current transaction: the event exists if it commits.  Raises when it cannot. */
extern void AuditAppend(const AuditEvent *event);

/*
 * Record an event independently of the current transaction: when this returns
 * it is committed and flushed by the database's audit worker.  Raises, and the
 * caller must not go on, when that cannot be within phi.audit_timeout.
 * relation and the session are looked up here: in a transaction only.
 */
extern void AuditRecordDurably(const AuditEvent *event);

/* The same as far as possible, for denials and failed logins: false where it failed.  Never raises. */
extern bool AuditNoteDurably(const AuditEvent *event);

/* Why a value may be shown. */
typedef struct DisclosureGround
{
	phi_reason reason;
	int64 break_glass_id; /* of phi.glass, or 0 */
} DisclosureGround;

/*
 * A value of this subject in this column is about to be opened, in this form.
 * shown: it leaves reveal(), and so is recorded before that where nothing
 * holds the query's result back; otherwise it is recorded with the statement.
 * Raises when that fails: the value must not be opened then.
 */
extern void DisclosureNote(const ProtectedColumn *column, phi_form form, uint64 subject_token,
						   const DisclosureGround *ground, bool shown);

/*
 * Guard the log and the audit triggers against a utility statement, before it
 * runs: raises for those without the right, and leaves an event of what a
 * superuser does.  To be called first by the ProcessUtility hook.
 */
extern void AuditGuardUtility(PlannedStmt *statement);

extern void AuditInit(void);      /* from _PG_init: invalidation, executor and transaction hooks */
extern void DisclosureInit(void); /* its part in disclosure.c */
extern void LoginAuditInit(void); /* its part in login.c */

#endif /* PHI_AUDIT_H */
