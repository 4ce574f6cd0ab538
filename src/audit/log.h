/*-------------------------------------------------------------------------
 * log.h
 *		The tables of the audit log, as the files of this folder share them.
 *
 * phi_audit.event, leaf and checkpoint are written below the executor: our
 * rows pass no rule, no trigger and no row security of anybody, and so the
 * triggers of guard.c can refuse every INSERT that is somebody else's.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_LOG_H
#define PHI_AUDIT_LOG_H

#include "audit/audit.h"

#include "access/htup.h"
#include "audit/queue.h"
#include "core/merkle.h"
#include "nodes/execnodes.h"
#include "utils/relcache.h"
#include "utils/timestamp.h"

#define LOG_SCHEMA "phi_audit"

#define LOG_NAME_SIZE (2 * (2 * NAMEDATALEN + 2) + 1) /* schema and name of a relation, quoted */

/*
 * Columns of phi_audit.event in their order, which is also that of a leaf: the
 * tag of a field is its number plus one.  Only ever extended at the end.
 */
typedef enum EventColumn
{
	EVENT_ID = 0,
	EVENT_RECORDED_AT,
	EVENT_TRANSACTION_TIME,
	EVENT_TXID,
	EVENT_ACTOR,
	EVENT_DB_ROLE,
	EVENT_CURRENT_ROLE,
	EVENT_WORKFORCE_ROLES,
	EVENT_ORGANIZATION,
	EVENT_TOKEN_ID,
	EVENT_PURPOSE,
	EVENT_CONSENT_ID,
	EVENT_REASON,
	EVENT_BREAK_GLASS_ID,
	EVENT_ACTION,
	EVENT_OUTCOME,
	EVENT_RELATION,
	EVENT_RELATION_OID,
	EVENT_COLUMN_NAMES,
	EVENT_ROW_COUNT,
	EVENT_SUBJECTS,
	EVENT_ROW_KEYS,
	EVENT_ROW_DIGESTS,
	EVENT_DETAIL,
	EVENT_CLIENT_ADDRESS,
	EVENT_APPLICATION_NAME,
	EVENT_SALT,
	EVENT_IMAGES,
	EVENT_COLUMNS
} EventColumn;

/* The same columns for a query over phi_audit.event e. */
#define EVENT_COLUMN_LIST                                                                       \
	"e.event_id, e.recorded_at, e.transaction_time, e.txid, e.actor, e.db_role, "               \
	"e.current_role_name, e.workforce_roles, e.organization, e.token_id, e.purpose, "           \
	"e.consent_id, e.reason, e.break_glass_id, e.action, e.outcome, e.relation, "               \
	"e.relation_oid, e.columns, e.row_count, e.subjects, e.row_keys, e.row_digests, e.detail, " \
	"e.client_address, e.application_name, e.salt, e.images"

#define LEAF_COLUMNS       4
#define CHECKPOINT_COLUMNS 7

/* ---- log.c: finding, making and writing the tables ---- */

typedef struct AuditLog
{
	Oid schema;
	Oid event;
	Oid leaf;
	Oid checkpoint;
	Oid sequence;
	bool current; /* the event table has every column */
} AuditLog;

/* The log of this database, or NULL where none was made; raises for one that others own. */
extern const AuditLog *AuditLogFind(void);

/* The same, made when missing. */
extern const AuditLog *AuditLogRequire(void);

/*
 * A relation's schema and name, quoted where needed, as the catalogs have them;
 * NULL where it is gone.  Valid until the next call.
 */
extern const char *LogRelationName(Oid relation);

/* Make partitions for this month and the three after it, where they are missing. */
extern void AuditLogExtend(void);

/* The partition that takes an event recorded at that time. */
extern Oid LogPartition(const AuditLog *log, TimestampTz when);

/* The partition that takes an event recorded now, or 0 where there is none; makes nothing. */
extern Oid LogPartitionNow(const AuditLog *log);

typedef struct LogIndex
{
	Relation relation;
	IndexInfo *info;
} LogIndex;

typedef struct LogWriter
{
	Relation relation;
	int index_count;
	LogIndex *indexes; /* in the context that LogWriterOpen was called in */
} LogWriter;

/*
 * The table must have as many columns as given; locks are kept to the end of the transaction.
 * keep: for a single row, with nothing but its append until LogWriterClose; what the
 * indexes need is kept for the next one.
 */
extern void LogWriterOpen(LogWriter *writer, Oid relation, int columns, bool keep);
extern void LogWriterAppend(LogWriter *writer, const Datum *values, const bool *isnull);
/* Put a row in the place of another. */
extern void LogWriterReplace(LogWriter *writer, ItemPointer place, const Datum *values,
							 const bool *isnull);
extern void LogWriterClose(LogWriter *writer);

extern void LogInit(void); /* from AuditInit: invalidation callbacks */

/* ---- event.c: a row of phi_audit.event ---- */

typedef struct EventRow
{
	Datum values[EVENT_COLUMNS];
	bool isnull[EVENT_COLUMNS];
} EventRow;

/* Begin a row with who, where and when; reads the session and the catalogs. */
extern void EventBegin(EventRow *row, TimestampTz now);
/* Add what was done; reads the catalogs only where event->relation is given. */
extern void EventFill(EventRow *row, const AuditEvent *event);
/* Text columns; NULL and the empty text leave them NULL. */
extern void EventSetText(EventRow *row, EventColumn column, const char *text);
extern void EventSetTexts(EventRow *row, EventColumn column, const char *const *texts, int count);
/* Add number and salt, and the current transaction: the row is complete. */
extern void EventNumber(EventRow *row, const AuditLog *log);

/* The columns of phi_audit.event; must first be called in a transaction. */
extern TupleDesc EventShape(void);
/* A row without what EventNumber adds, as a tuple in the current context, and back: values point into it. */
extern MinimalTuple EventRecord(const EventRow *row);
extern void EventFromRecord(EventRow *row, MinimalTuple record);

/* LogWriterOpen for a partition of phi_audit.event. */
extern void EventWriterOpen(LogWriter *writer, Oid partition, bool keep);

/* ---- durable.c ---- */

/*
 * Raise where an event cannot be made durable from here: on a standby, in
 * single-user mode, or where this transaction stands in the worker's way.
 */
extern void DurableRequire(void);

/* A utility command is about to run: it may take locks that the worker would wait for. */
extern void DurableNoteCommand(const Node *command);

/* Does this transaction stand in the worker's way? */
extern bool DurableObstructed(void);

/* Was a relation made by this transaction? */
extern bool RelationIsOurs(Oid relid);

/* Have the records committed and flushed by the worker; raises when they are not in time. */
extern void DurableWrite(const MinimalTuple *records, int count);

/* The same without looking anything up: after an error, before the abort. */
extern void DurableWriteBlindly(const MinimalTuple *records, int count);

/* Hand a record over without waiting for its commit; raises when there is no place in time. */
extern void DurablePut(MinimalTuple record);

/* Have a record written within few seconds; false where that failed.  Nothing interrupts the wait, nor is raised. */
extern bool DurableTry(MinimalTuple record);

/* Milliseconds of phi.audit_timeout. */
extern int DurableTimeout(void);

extern void DurableInit(void); /* from AuditInit: settings */

/* ---- guard.c ---- */

/* Is there a log whose triggers are made, so that no restore is at work on it? */
extern bool LogArmed(void);

/* Call one of our functions without arguments, whose commands on the log are not guarded. */
extern void GuardExempt(const char *function);

/* ---- event_leaf.c ---- */

/* Raise unless the first columns have the types of phi_audit.event. */
extern void CheckEventColumns(TupleDesc columns);

/* The leaf hash of an event given as its columns; buffer is scratch. */
extern void EventLeafHash(const Datum *values, const bool *isnull, StringInfo buffer,
						  uint8 hash[PHI_HASH_SIZE]);

/* ---- seal.c ---- */

/* Seal what can be sealed, in the current transaction: for the audit worker.  Raises. */
extern void AuditWorkerSeal(void);

/* Where this log grows: system identifier and database. */
extern char *LogIncarnation(void);

#endif /* PHI_AUDIT_LOG_H */
