/*-------------------------------------------------------------------------
 * search_rotate.c
 *		A new key for a search context: moving its tags, part by part.
 *
 * An envelope has room for one tag, and UNIQUE indexes, joins and grouping
 * compare whole tags.  So equal values must have tags of one generation at
 * every moment.  The tags of the old generation are divided into parts
 * (buckets) by their first bytes.  A part is moved in one transaction, in all
 * columns of the context, and what a value is written with depends on whether
 * its part has been moved (search_moved).
 *
 * Locking: who writes a value holds a shared lock on its part until its
 * transaction ends; who moves the part holds it exclusively.  An update that
 * leaves a value as it is needs none: the row's own lock says who comes first.
 * The mover has a lock timeout below deadlock_timeout, so that it gives way.
 *
 * Lookups ask for the tags of both generations (search_values.c), so a
 * snapshot of any age finds its rows.  phi.retag_step waits, before the first
 * part, for everybody who may not know yet that both count, and after the last
 * one for every snapshot that may see an old tag.
 *-------------------------------------------------------------------------
 */
#include "types/search.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "audit/audit.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "types/sealing.h"
#include "types/values.h"
#include "utils/array.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(phi_retag_part);
PG_FUNCTION_INFO_V1(phi_wait_for_users);
PG_FUNCTION_INFO_V1(phi_wait_for_snapshots);
PG_FUNCTION_INFO_V1(phi_forget_plans);

/* ---- parts ---- */

/* The part that a tag of the old generation belongs to. */
static uint16
PartOf(const ProtectedColumn *column, const uint8 *tag)
{
	return (uint16) (((uint64) phi_get_u32(tag + 1) * column->search_buckets) >> 32);
}

/*
 * Lock a part of a column's context until the transaction ends.  The lock is
 * named by the context: by its name's hash, or by the column's id.
 */
static void
LockPart(const ProtectedColumn *column, uint16 part, LOCKMODE mode)
{
	const char *name = NameStr(column->search_context);
	uint32 context = column->column_id;
	LOCKTAG tag;

	if (name[0] != '\0')
		context = PG_UINT32_MAX - (string_hash(name, NAMEDATALEN) >> 1);
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, PhiRelation("column_policy"), context, part + 1);
	(void) LockAcquire(&tag, mode, false, false);
	AcceptInvalidationMessages();
}

const ProtectedColumn *
SearchHold(const ProtectedColumn *column, const phi_header *header)
{
	const ProtectedColumn *now;

	if (header->search_tag[0] != column->search_generation)
		return column;
	LockPart(column, PartOf(column, header->search_tag), ShareLock);
	now = RegistryColumn(column->column_id);
	return now ? now : column;
}

bool
SearchTagCurrent(const ProtectedColumn *column, const phi_header *header)
{
	if (header->search_tag[0] == PHI_SEARCH_TAG_DEAD)
		return true; /* of a subject that was shredded: it stays as it is */
	if (column->next_generation == 0)
		return header->search_tag[0] == column->search_generation;
	return header->search_tag[0] == column->next_generation ||
		   (header->search_tag[0] == column->search_generation &&
			PartOf(column, header->search_tag) >= column->search_moved);
}

void
SearchTag(const ProtectedColumn *column, phi_bytes plain, uint8 tag[PHI_SEARCH_TAG_SIZE])
{
	uint8 old = column->search_generation;
	phi_header header = {0};
	const ProtectedColumn *now;

	SearchTagOf(column, old, plain, tag);
	if (column->next_generation == 0)
		return;
	memcpy(header.search_tag, tag, PHI_SEARCH_TAG_SIZE);
	now = SearchHold(column, &header);
	if (!SearchTagCurrent(now, &header))
		SearchTagOf(now,
					now->search_generation == old ? now->next_generation : now->search_generation,
					plain, tag);
}

/* ---- moving a part ---- */

/* One run of phi.retag_part. */
typedef struct Retag
{
	const ProtectedColumn *context;  /* any column of it, as it was before the part */
	const ProtectedColumn **columns; /* of the table, in the order of the walk */
	int64 unreadable;
} Retag;

/* Does a column belong to the context? */
static bool
InContext(const ProtectedColumn *context, const ProtectedColumn *column)
{
	return column->searchable && column->sealed &&
		   (column->column_id == context->column_id ||
			(NameStr(context->search_context)[0] != '\0' &&
			 strcmp(NameStr(context->search_context), NameStr(column->search_context)) == 0));
}

/* ValueWalk: is a value in the part that is being moved? */
static bool
RetagNeeded(const phi_header *header, int column, void *state)
{
	const ProtectedColumn *context = ((Retag *) state)->context;

	return header->searchable && header->search_tag[0] == context->search_generation &&
		   PartOf(context, header->search_tag) == context->search_moved;
}

/* ValueWalk: the value with a tag of the next generation. */
static struct varlena *
RetagValue(Datum value, const phi_header *header, int position, void *state)
{
	const ProtectedColumn *column = ((Retag *) state)->columns[position];
	const ProtectedColumn *sealed_for = RegistryColumn(header->column_id);
	phi_header renewed = *header;
	struct varlena *sealed;
	phi_bytes bytes;
	phi_buffer plain;

	if (!sealed_for || IsDead(header) || !KeyringHas(header->dek_id) ||
		!TryOpen(value, header, sealed_for->uuid, &plain))
		return NULL;
	bytes = phi_bytes_of(plain.data, plain.size);
	SearchTagOf(column, column->next_generation, bytes, renewed.search_tag);
	sealed = SealUnder(KeyringKey(header->dek_id), &renewed, sealed_for->uuid, bytes);
	SecretWipe(plain.data, plain.size);
	return sealed;
}

/*
 * All rows of one table, as of one snapshot: a row that moves within the table
 * meanwhile is found where the snapshot has it, and followed from there.
 */
static int64
RetagTable(Retag *work, Oid relid, Snapshot snapshot)
{
	const ProtectedRelation *policy;
	ValueWalk walk = {0};
	int64 changed = 0;

	walk.rows.relation = try_table_open(relid, RowExclusiveLock);
	if (!walk.rows.relation)
		return 0; /* dropped */
	policy = RegistryRelation(relid);
	if (policy && walk.rows.relation->rd_rel->relkind == RELKIND_RELATION)
	{
		work->columns = palloc(sizeof(ProtectedColumn *) * (policy->column_count + 1));
		for (int i = 0; i < policy->column_count; i++)
		{
			if (!InContext(work->context, &policy->columns[i]))
				continue;
			work->columns[walk.column_count] = &policy->columns[i];
			AddColumn(&walk, policy->columns[i].attnum);
		}
	}
	walk.rows.limit = INT_MAX;
	walk.rows.snapshot = snapshot;
	walk.needed = RetagNeeded;
	walk.renew = RetagValue;
	walk.state = work;
	if (walk.column_count > 0)
		do
		{
			WalkValues(&walk, walk.rows.next);
			changed += walk.rows.changed;
			CommandCounterIncrement();
		} while (walk.rows.next != InvalidBlockNumber);
	work->unreadable += walk.unreadable;
	table_close(walk.rows.relation, NoLock);
	return changed;
}

/* The event of a part. */
static void
RecordPart(const ProtectedColumn *column, int64 changed)
{
	AuditEvent event = {0};

	event.action = "retag";
	event.outcome = "success";
	event.relation = column->relation;
	event.detail = psprintf("rows under search key generation %u", column->next_generation);
	event.row_count = changed;
	AuditAppend(&event);
}

/* The elements of a regclass[]. */
static Oid *
RelationArray(ArrayType *array, int *count)
{
	Datum *values;
	Oid *relations;

	deconstruct_array(array, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT, &values, NULL, count);
	relations = palloc(sizeof(Oid) * (*count + 1));
	for (int i = 0; i < *count; i++)
		relations[i] = DatumGetObjectId(values[i]);
	return relations;
}

/*
 * phi.retag_part(column_id, members regclass[], OUT changed bigint, OUT
 * unreadable bigint): move the next part of the column's context, in these
 * tables.  The caller counts it as moved in the same transaction.  Internal:
 * no role holds EXECUTE.
 */
Datum
phi_retag_part(PG_FUNCTION_ARGS)
{
	const ProtectedColumn *column = RegistryColumn((uint16) PG_GETARG_INT32(0));
	ProtectedColumn before;
	Retag work = {0};
	Snapshot snapshot;
	TupleDesc columns;
	Datum values[2];
	bool nulls[2] = {false};
	int64 changed = 0;
	int count;
	Oid *members = RelationArray(PG_GETARG_ARRAYTYPE_P(1), &count);

	RequirePreload();
	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!column || column->next_generation == 0 || column->search_moved >= column->search_buckets)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the search key of the column is not being rotated")));
	before = *column; /* invalidations may replace it */
	work.context = &before;
	LockPart(&before, before.search_moved, ExclusiveLock);
	column = RegistryColumn(before.column_id);
	if (!column || column->next_generation != before.next_generation ||
		column->search_moved != before.search_moved)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("another session is moving the tags of the column")));

	/* Taken now, it sees whatever was written under a lock on the part. */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	for (int i = 0; i < count; i++)
		changed += RetagTable(&work, members[i], snapshot);
	UnregisterSnapshot(snapshot);
	if (changed > 0)
		RecordPart(&before, changed);
	values[0] = Int64GetDatum(changed);
	values[1] = Int64GetDatum(work.unreadable);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}

/* ---- waiting ---- */

/*
 * phi.wait_for_users(relations regclass[]): wait until every transaction that
 * uses one of the tables, if only to read it, has ended.
 */
Datum
phi_wait_for_users(PG_FUNCTION_ARGS)
{
	int count;
	Oid *relations = RelationArray(PG_GETARG_ARRAYTYPE_P(0), &count);
	List *tags = NIL;

	for (int i = 0; i < count; i++)
	{
		LOCKTAG *tag = palloc0(sizeof(LOCKTAG));

		SET_LOCKTAG_RELATION(*tag, MyDatabaseId, relations[i]);
		tags = lappend(tags, tag);
	}
	WaitForLockersMultiple(tags, AccessExclusiveLock, false);
	PG_RETURN_VOID();
}

/*
 * phi.wait_for_snapshots(): wait until every snapshot of this database is gone
 * that is older than this call, as CREATE INDEX CONCURRENTLY does.
 */
Datum
phi_wait_for_snapshots(PG_FUNCTION_ARGS)
{
	Snapshot now = RegisterSnapshot(GetLatestSnapshot());
	TransactionId limit = now->xmin;
	VirtualTransactionId *holders;
	int count;

	UnregisterSnapshot(now);
	holders =
		GetCurrentVirtualXIDs(limit, true, false, PROC_IS_AUTOVACUUM | PROC_IN_VACUUM, &count);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		(void) VirtualXactLock(holders[i], true);
	}
	PG_RETURN_VOID();
}

/*
 * phi.forget_plans(relations regclass[]): every session plans its statements on
 * these tables anew.
 */
Datum
phi_forget_plans(PG_FUNCTION_ARGS)
{
	int count;
	Oid *relations = RelationArray(PG_GETARG_ARRAYTYPE_P(0), &count);

	for (int i = 0; i < count; i++)
		CacheInvalidateRelcacheByRelid(relations[i]);
	PG_RETURN_VOID();
}
