/*-------------------------------------------------------------------------
 * log.c
 *		Finding and making the tables of the audit log, the partition of the
 *		month, and writing a row of a table.
 *
 * A row goes straight to the partition of its month through heap insertion,
 * about a tenth of what the same INSERT costs.
 *
 * Locking: RowExclusiveLock on the partition and its indexes, to the end of the transaction.  Partitions are made under
 * ShareUpdateExclusiveLock on phi_audit.event, which no writer conflicts
 * with; they are three months ahead, so a prepared transaction that made one
 * stands in nobody's way.
 * Memory: the OIDs and the partition of the month are statics, forgotten on
 * invalidation.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#define KEPT_INDEXES 16
#define MONTHS_AHEAD 3 /* also in phi.audit_make_partitions() */

PG_FUNCTION_INFO_V1(phi_audit_install);

/* The tables' OIDs; valid while LogKnown. */
static AuditLog LogCache;
static bool LogKnown = false;

/* The partition that takes events recorded from MonthFrom on, before MonthUntil. */
static Oid MonthPartition = InvalidOid;
static TimestampTz MonthFrom;
static TimestampTz MonthUntil;

/* The relation that was named last, its name in full, and how often one may have changed its name. */
static Oid NamedRelation = InvalidOid;
static char RelationName[LOG_NAME_SIZE];
static uint64 Renamings = 0;

/*
 * Indexes of tables that single rows were written to: what is known of them, with what their access
 * methods keep, while the relation cache has them as then.
 */
typedef struct KeptIndex
{
	Relation relation;
	TupleDesc columns;
	Oid index;
	IndexInfo *info;
} KeptIndex;

static KeptIndex Kept[KEPT_INDEXES];
static int KeptCount = 0;
static bool KeptStale = false;
static MemoryContext KeptContext = NULL;

/* ---- the tables ---- */

/* Relcache callback: forget the OIDs, and the partition, which an abort may have taken back. */
static void
ForgetRelation(Datum arg, Oid relation)
{
	int i;

	if (!OidIsValid(relation) || relation == LogCache.event || relation == LogCache.leaf ||
		relation == LogCache.checkpoint || relation == LogCache.sequence ||
		relation == MonthPartition)
	{
		LogKnown = false;
		MonthPartition = InvalidOid;
	}
	if (!OidIsValid(relation) || relation == NamedRelation)
		NamedRelation = InvalidOid;
	Renamings++;
	for (i = 0; i < KeptCount; i++)
		KeptStale = KeptStale || !OidIsValid(relation) || relation == Kept[i].index;
}

/* Syscache callback of pg_namespace: the schema was renamed, dropped or given away. */
static void
ForgetSchema(Datum arg, int cacheid, uint32 hashvalue)
{
	LogKnown = false;
	MonthPartition = InvalidOid;
	NamedRelation = InvalidOid;
	Renamings++;
}

const char *
LogRelationName(Oid relation)
{
	uint64 before = Renamings;
	char *name;
	char *full;

	if (OidIsValid(relation) && relation == NamedRelation)
		return RelationName;
	name = OidIsValid(relation) ? get_rel_name(relation) : NULL;
	if (name == NULL)
		return NULL;
	full = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), name);
	strlcpy(RelationName, full, sizeof(RelationName));
	NamedRelation = before == Renamings ? relation : InvalidOid;
	return RelationName;
}

/* A table of the log; where the event table is there, every other must be. */
static Oid
LogTable(Oid schema, const char *name)
{
	Oid relation = get_relname_relid(name, schema);

	if (!OidIsValid(relation))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("audit log is incomplete: relation \"%s.%s\" is missing", LOG_SCHEMA, name));
	return relation;
}

/* Refuse a log that somebody else prepared: its owner could read and alter it. */
static void
CheckOwner(Oid schema)
{
	HeapTuple tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	if (owner != ExtensionOwner() && !superuser_arg(owner))
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("schema \"%s\" does not belong to the owner of phi_guard", LOG_SCHEMA),
				errhint("Drop or rename the schema, or give it and its tables to that role."));
}

const AuditLog *
AuditLogFind(void)
{
	Oid schema;

	if (LogKnown)
		return &LogCache;
	schema = get_namespace_oid(LOG_SCHEMA, true);
	if (!OidIsValid(schema) || !OidIsValid(get_relname_relid("event", schema)))
		return NULL;
	CheckOwner(schema);
	LogCache.schema = schema;
	LogCache.event = LogTable(schema, "event");
	LogCache.leaf = LogTable(schema, "leaf");
	LogCache.checkpoint = LogTable(schema, "checkpoint");
	LogCache.sequence = LogTable(schema, "event_id_seq");
	LogCache.current = get_attnum(LogCache.event, "images") != InvalidAttrNumber;
	MonthPartition = InvalidOid;
	LogKnown = true;
	return &LogCache;
}

/* Raise in an extension's script: the tables would become its members, and go with it. */
static void
RefuseInScript(void)
{
	if (creating_extension)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot make tables of the audit log in an extension's script"),
				errhint("Run phi.audit_install() first."));
}

/*
 * Make the log, or complete one that was restored or survived a DROP
 * EXTENSION.  Two sessions take turns on the extension's lock.
 */
static void
InstallLog(void)
{
	RefuseInScript();
	LockDatabaseObject(ExtensionRelationId, get_extension_oid("phi_guard", false), 0,
					   ShareUpdateExclusiveLock);
	if (OidIsValid(get_namespace_oid(LOG_SCHEMA, true)))
		CheckOwner(get_namespace_oid(LOG_SCHEMA, true));
	GuardExempt("audit_make_log");
	GuardExempt("audit_make_partitions");
}

const AuditLog *
AuditLogRequire(void)
{
	const AuditLog *log = AuditLogFind();

	if (log == NULL || !log->current)
	{
		InstallLog();
		log = AuditLogFind();
	}
	if (log == NULL)
		elog(ERROR, "audit log is missing after its installation");
	return log;
}

Datum
phi_audit_install(PG_FUNCTION_ARGS)
{
	RequirePreload();
	InstallLog();
	PG_RETURN_VOID();
}

/* ---- the partition of the month ---- */

/* Name of the partition for a time's month (UTC), and the bounds of that month. */
static void
MonthOf(TimestampTz when, char name[NAMEDATALEN], TimestampTz *from, TimestampTz *until)
{
	struct pg_tm tm;
	fsec_t fraction;

	if (timestamp2tm(when, NULL, &tm, &fraction, NULL, NULL) != 0)
		elog(ERROR, "timestamp out of range");
	snprintf(name, NAMEDATALEN, "event_y%04dm%02d", tm.tm_year, tm.tm_mon);
	tm.tm_mday = 1;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	if (tm2timestamp(&tm, 0, NULL, from) != 0)
		elog(ERROR, "timestamp out of range");
	tm.tm_year += tm.tm_mon / 12;
	tm.tm_mon = tm.tm_mon % 12 + 1;
	if (tm2timestamp(&tm, 0, NULL, until) != 0)
		elog(ERROR, "timestamp out of range");
}

void
AuditLogExtend(void)
{
	const AuditLog *log = AuditLogRequire();
	TimestampTz from;
	TimestampTz until = GetCurrentTimestamp();
	char name[NAMEDATALEN];
	bool missing = false;
	int i;

	for (i = 0; i <= MONTHS_AHEAD; i++)
	{
		MonthOf(until, name, &from, &until);
		missing = missing || !OidIsValid(get_relname_relid(name, log->schema));
	}
	if (!missing)
		return;
	RefuseInScript();
	LockRelationOid(log->event, ShareUpdateExclusiveLock);
	GuardExempt("audit_make_partitions");
}

/*
 * Make next month's partition while this month still has one, unless that
 * would wait for somebody, or fail: a table cannot be altered while a query of
 * this session reads it.
 */
static void
ExtendIfEasy(const AuditLog *log)
{
	Relation event;
	bool in_use;

	if (creating_extension || XactReadOnly ||
		!ConditionalLockRelationOid(log->event, ShareUpdateExclusiveLock))
		return;
	event = RelationIdGetRelation(log->event);
	in_use = !RelationIsValid(event) || event->rd_refcnt > 1;
	if (RelationIsValid(event))
		RelationClose(event);
	if (!in_use)
		GuardExempt("audit_make_partitions");
}

Oid
LogPartition(const AuditLog *log, TimestampTz when)
{
	char name[NAMEDATALEN];
	char next_name[NAMEDATALEN];
	TimestampTz from;
	TimestampTz until;
	TimestampTz next_until;
	Oid partition;

	if (OidIsValid(MonthPartition) && when >= MonthFrom && when < MonthUntil)
		return MonthPartition;
	MonthOf(when, name, &from, &until);
	MonthOf(until, next_name, &until, &next_until);
	if (!OidIsValid(get_relname_relid(name, log->schema)))
		AuditLogExtend();
	else if (!OidIsValid(get_relname_relid(next_name, log->schema)))
		ExtendIfEasy(log);
	partition = get_relname_relid(name, log->schema);
	if (!OidIsValid(partition) || !get_rel_relispartition(partition) ||
		get_partition_parent(partition, false) != log->event)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("audit log has no partition \"%s\"", name),
				errhint("Attach it to phi_audit.event again."));
	MonthFrom = from;
	MonthUntil = until;
	MonthPartition = partition;
	return partition;
}

Oid
LogPartitionNow(const AuditLog *log)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz from;
	TimestampTz until;
	char name[NAMEDATALEN];

	if (OidIsValid(MonthPartition) && now >= MonthFrom && now < MonthUntil)
		return MonthPartition;
	MonthOf(now, name, &from, &until);
	return get_relname_relid(name, log->schema);
}

/* ---- writing a row of a table of the log ---- */

/* The column that an index leaves out rows by, those where it is null; 0 for an index of all rows, -1 for others. */
static int
PartialColumn(const IndexInfo *index)
{
	NullTest *test;

	if (index->ii_Predicate == NIL)
		return 0;
	test = linitial(index->ii_Predicate);
	if (list_length(index->ii_Predicate) != 1 || !IsA(test, NullTest) ||
		test->nulltesttype != IS_NOT_NULL || !IsA(test->arg, Var))
		return -1;
	return ((Var *) test->arg)->varattno;
}

/* Raise for an index that is not evaluated here. */
static void
CheckIndex(Relation relation, const IndexInfo *index)
{
	if (index->ii_Expressions != NIL || PartialColumn(index) < 0 || index->ii_ExclusionOps != NULL)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("audit table \"%s\" has an expression, partial or exclusion index",
					   RelationGetRelationName(relation)),
				errhint("Drop the index."));
}

/* What is known of an index, in memory that stays; made where it is not the one that was kept. */
static IndexInfo *
KeptInfo(Relation index)
{
	MemoryContext old;
	KeptIndex *kept;
	int i;

	for (i = 0; i < KeptCount; i++)
	{
		kept = &Kept[i];
		if (kept->index == RelationGetRelid(index) && kept->relation == index &&
			kept->columns == RelationGetDescr(index))
			return kept->info;
	}
	if (KeptCount == KEPT_INDEXES)
		return BuildIndexInfo(index);
	old = MemoryContextSwitchTo(KeptContext);
	kept = &Kept[KeptCount];
	/* It counts from here: what comes in while it is made tells of it. */
	kept->relation = NULL;
	kept->index = RelationGetRelid(index);
	KeptCount++;
	kept->info = BuildIndexInfo(index);
	kept->columns = RelationGetDescr(index);
	kept->relation = index;
	MemoryContextSwitchTo(old);
	return kept->info;
}

/* Forget what is kept of indexes where one of them may have changed. */
static void
RenewKept(void)
{
	if (KeptContext == NULL)
		KeptContext = AllocSetContextCreate(CacheMemoryContext, "phi_guard log indexes",
											ALLOCSET_SMALL_SIZES);
	if (!KeptStale && KeptCount < KEPT_INDEXES)
		return;
	KeptStale = false;
	KeptCount = 0;
	MemoryContextReset(KeptContext);
}

void
LogWriterOpen(LogWriter *writer, Oid relation, int columns, bool keep)
{
	List *indexes;
	ListCell *cell;

	writer->relation = table_open(relation, RowExclusiveLock);
	if (RelationGetNumberOfAttributes(writer->relation) != columns ||
		writer->relation->rd_tableam != GetHeapamTableAmRoutine())
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("audit table \"%s\" is not as phi_guard made it",
					   RelationGetRelationName(writer->relation)));
	indexes = RelationGetIndexList(writer->relation);
	if (keep)
		RenewKept();
	writer->index_count = 0;
	writer->indexes = palloc(sizeof(LogIndex) * Max(list_length(indexes), 1));
	foreach (cell, indexes)
	{
		LogIndex *index = &writer->indexes[writer->index_count++];

		index->relation = index_open(lfirst_oid(cell), RowExclusiveLock);
		index->info = keep ? KeptInfo(index->relation) : BuildIndexInfo(index->relation);
		CheckIndex(writer->relation, index->info);
	}
	list_free(indexes);
}

/* Insert the entries of a row that is in its table. */
static void
InsertEntries(LogWriter *writer, const Datum *values, const bool *isnull, ItemPointer place)
{
	Datum keys[INDEX_MAX_KEYS];
	bool nulls[INDEX_MAX_KEYS];
	int i;
	int j;

	for (i = 0; i < writer->index_count; i++)
	{
		IndexInfo *info = writer->indexes[i].info;
		int partial = PartialColumn(info);

		if (!info->ii_ReadyForInserts || (partial > 0 && isnull[partial - 1]))
			continue;
		for (j = 0; j < info->ii_NumIndexAttrs; j++)
		{
			keys[j] = values[info->ii_IndexAttrNumbers[j] - 1];
			nulls[j] = isnull[info->ii_IndexAttrNumbers[j] - 1];
		}
		index_insert(writer->indexes[i].relation, keys, nulls, place, writer->relation,
					 info->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, info);
	}
}

void
LogWriterAppend(LogWriter *writer, const Datum *values, const bool *isnull)
{
	HeapTuple tuple =
		heap_form_tuple(RelationGetDescr(writer->relation), (Datum *) values, (bool *) isnull);

	simple_heap_insert(writer->relation, tuple);
	InsertEntries(writer, values, isnull, &tuple->t_self);
	heap_freetuple(tuple);
}

void
LogWriterReplace(LogWriter *writer, ItemPointer place, const Datum *values, const bool *isnull)
{
	HeapTuple tuple =
		heap_form_tuple(RelationGetDescr(writer->relation), (Datum *) values, (bool *) isnull);

	SimpleHeapUpdate(writer->relation, place, tuple);
	if (!HeapTupleIsHeapOnly(tuple))
		InsertEntries(writer, values, isnull, &tuple->t_self);
	heap_freetuple(tuple);
}

void
LogWriterClose(LogWriter *writer)
{
	int i;

	for (i = 0; i < writer->index_count; i++)
	{
		IndexInsertsDone(writer->indexes[i].relation, writer->indexes[i].info);
		index_close(writer->indexes[i].relation, NoLock);
	}
	pfree(writer->indexes);
	table_close(writer->relation, NoLock);
}

void
LogInit(void)
{
	OnRelationChange(ForgetRelation);
	CacheRegisterSyscacheCallback(NAMESPACEOID, ForgetSchema, (Datum) 0);
}
