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
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "types/rows.h"
#include "types/sealing.h"
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

/* One run of phi.retag_part over one table. */
typedef struct Retag
{
	const ProtectedRelation *policy;
	const ProtectedColumn *context; /* any column of it, as it was before the part */
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

/* Is a value in the part that is being moved? */
static bool
InPart(const Retag *work, Datum value, phi_header *header)
{
	ReadHeader(value, header);
	return header->searchable && header->search_tag[0] == work->context->search_generation &&
		   PartOf(work->context, header->search_tag) == work->context->search_moved;
}

/* The value with a tag of the next generation; NULL when it does not open. */
static struct varlena *
RetagValue(const ProtectedColumn *column, Datum value, const phi_header *header)
{
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(value);
	phi_bytes envelope = phi_bytes_of(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
	const ProtectedColumn *sealed_for = RegistryColumn(header->column_id);
	phi_header renewed = *header;
	uint8 nonce[PHI_NONCE_TAIL_SIZE];
	phi_data_key *key;
	phi_buffer plain;
	phi_buffer out;
	struct varlena *sealed;
	phi_status status;

	if (!sealed_for || IsDead(header) || !KeyringHas(header->dek_id))
		return NULL;
	key = KeyringKey(header->dek_id);
	plain.capacity = phi_envelope_plain_size(header, envelope.size);
	plain.data = palloc(plain.capacity + 1);
	plain.size = 0;
	status = phi_envelope_open(key, envelope, sealed_for->uuid, &plain);
	if (status == PHI_ERR_AUTH)
		return NULL;
	CheckStatus(status, "open a sealed value");
	SearchTagOf(column, column->next_generation, phi_bytes_of(plain.data, plain.size),
				renewed.search_tag);
	out.capacity = phi_envelope_size(&renewed, plain.size);
	sealed = palloc(out.capacity + VARHDRSZ);
	SET_VARSIZE(sealed, out.capacity + VARHDRSZ);
	out.data = (uint8 *) VARDATA(sealed);
	out.size = 0;
	RandomBytes(nonce, sizeof(nonce));
	status = phi_envelope_seal(key, &renewed, sealed_for->uuid, nonce, sizeof(nonce),
							   phi_bytes_of(plain.data, plain.size), &out);
	SecretWipe(plain.data, plain.size);
	CheckStatus(status, "seal a value");
	return sealed;
}

/* RowWalk: has the row a value of the part? */
static bool
RetagNeeded(TupleTableSlot *row, void *state)
{
	const Retag *work = state;
	phi_header header;

	for (int i = 0; i < work->policy->column_count; i++)
	{
		const ProtectedColumn *column = &work->policy->columns[i];

		if (InContext(work->context, column) && !row->tts_isnull[column->attnum - 1] &&
			InPart(work, row->tts_values[column->attnum - 1], &header))
			return true;
	}
	return false;
}

/* RowWalk: give the values of the part new tags; false when none opens. */
static bool
RetagChange(TupleTableSlot *copy, void *state)
{
	Retag *work = state;
	bool changed = false;
	phi_header header;

	for (int i = 0; i < work->policy->column_count; i++)
	{
		const ProtectedColumn *column = &work->policy->columns[i];
		int position = column->attnum - 1;
		struct varlena *sealed;

		if (!InContext(work->context, column) || copy->tts_isnull[position] ||
			!InPart(work, copy->tts_values[position], &header))
			continue;
		sealed = RetagValue(column, copy->tts_values[position], &header);
		if (!sealed)
		{
			work->unreadable++;
			continue;
		}
		copy->tts_values[position] = PointerGetDatum(sealed);
		changed = true;
	}
	return changed;
}

/*
 * All rows of one table, as of one snapshot: a row that moves within the table
 * meanwhile is found where the snapshot has it, and followed from there.
 */
static int64
RetagTable(Retag *work, Oid relid, Snapshot snapshot)
{
	RowWalk walk = {0};
	int64 changed = 0;

	walk.relation = try_table_open(relid, RowExclusiveLock);
	if (!walk.relation)
		return 0; /* dropped */
	work->policy = RegistryRelation(relid);
	if (!work->policy || walk.relation->rd_rel->relkind != RELKIND_RELATION)
	{
		table_close(walk.relation, NoLock);
		return 0;
	}
	for (int i = 0; i < work->policy->column_count; i++)
		if (InContext(work->context, &work->policy->columns[i]))
			walk.written = bms_add_member(walk.written, work->policy->columns[i].attnum -
															FirstLowInvalidHeapAttributeNumber);
	walk.limit = INT_MAX;
	walk.snapshot = snapshot;
	walk.needed = RetagNeeded;
	walk.change = RetagChange;
	walk.state = work;
	if (walk.written)
		do
		{
			WalkRows(&walk, walk.next);
			changed += walk.changed;
			CommandCounterIncrement();
		} while (walk.next != InvalidBlockNumber);
	table_close(walk.relation, NoLock);
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
