/*-------------------------------------------------------------------------
 * change.c
 *		Recording changes of protected tables: phi.audit_change(), an AFTER
 *		statement trigger that reads its transition tables.  What logical
 *		replication applies is collected by apply.c, and recorded here too.
 *
 * A statement's rows go to the log in events of up to AUDIT_BATCH_ROWS rows,
 * inside the user's transaction.  A row is recorded by its subject, its key
 * and a digest of it as stored: after an INSERT or UPDATE the new row, after a
 * DELETE the old one.  Updated rows are grouped by the set of columns that
 * changed; a row whose key or subject changed has two entries, before and
 * after, in events of their own.
 *
 * With capture => 'row' an event also carries the rows' images, sealed: that of
 * before and that of after (image.c).
 *
 * Digest of a row, version 1: SHA-256 of the byte 1 and then, for each live
 * column in order, its number (2 bytes), 0 for NULL or 1, and for a value its
 * size (4 bytes) and bytes: of a fixed-length type the stored ones, integers
 * big-endian; otherwise the value without its header, not compressed.
 *
 * Memory: a batch has a context that is reset when it is written; a row has
 * one that is reset after it.
 *-------------------------------------------------------------------------
 */
#include "audit/change.h"

#include "access/detoast.h"
#include "audit/audit.h"
#include "audit/image.h"
#include "commands/trigger.h"
#include "core/mac.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "platform/registry.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define BATCHES            64 /* sets of changed columns that are collected at a time */
#define ROW_DIGEST_VERSION 1

PG_FUNCTION_INFO_V1(phi_audit_change);

/* Rows collected for one event. */
typedef struct Batch
{
	MemoryContext context;
	Bitmapset *columns; /* changed ones */
	bool moved;         /* entries are pairs: a row before and after its key changed */
	int count;
	uint64 *subjects;
	char **row_keys;
	uint8 *digests;
	ImageBatch images; /* with capture of rows */
} Batch;

/* One run of the trigger. */
typedef struct ChangeScan
{
	Relation relation;
	const ProtectedRelation *policy; /* NULL: not protected (any more) */
	const char *action;
	const char *detail;
	int batch_capacity; /* entries in one event */
	bool each_column;   /* events name the columns that changed */
	bool applied;       /* by logical replication */
	const ImageShape *shape; /* with capture of rows; or NULL */
	int batch_count;
	int batches_made; /* so many were in use: they have a context */
	MemoryContext run;
	MemoryContext row;
	StringInfoData image; /* the row being digested */
	/* Large, and filled as far as needed. */
	FmgrInfo key_output[INDEX_MAX_KEYS];
	Batch batches[BATCHES];
} ChangeScan;

/* ---- one row ---- */

/* Append size and bytes of a value that is not NULL. */
static void
ImageValue(StringInfo image, Form_pg_attribute attribute, Datum value)
{
	uint8 size[4];
	uint8 number[8];
	const void *bytes;
	Size length;

	if (attribute->attbyval)
	{
		uint64 integer = attribute->attlen == 1   ? (uint8) DatumGetChar(value)
						 : attribute->attlen == 2 ? (uint16) DatumGetInt16(value)
						 : attribute->attlen == 4 ? (uint32) DatumGetInt32(value)
												  : (uint64) DatumGetInt64(value);

		phi_put_u64(number, integer);
		length = attribute->attlen;
		bytes = number + sizeof(number) - length;
	}
	else if (attribute->attlen == -1)
	{
		struct varlena *plain = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));

		length = VARSIZE_ANY_EXHDR(plain);
		bytes = VARDATA_ANY(plain);
	}
	else
	{
		bytes = DatumGetPointer(value);
		length = attribute->attlen > 0 ? (Size) attribute->attlen : strlen(bytes);
	}
	phi_put_u32(size, (uint32) length);
	appendBinaryStringInfo(image, (const char *) size, sizeof(size));
	appendBinaryStringInfo(image, bytes, length);
}

/* Digest of a row, as the box of this file gives it. */
static void
DigestRow(ChangeScan *scan, TupleTableSlot *slot, uint8 digest[PHI_SHA256_SIZE])
{
	TupleDesc columns = RelationGetDescr(scan->relation);
	StringInfo image = &scan->image;
	uint8 number[2];
	int i;

	resetStringInfo(image);
	appendStringInfoChar(image, ROW_DIGEST_VERSION);
	for (i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(columns, i);

		if (attribute->attisdropped)
			continue;
		phi_put_u16(number, attribute->attnum);
		appendBinaryStringInfo(image, (const char *) number, sizeof(number));
		appendStringInfoChar(image, slot->tts_isnull[i] ? 0 : 1);
		if (!slot->tts_isnull[i])
			ImageValue(image, attribute, slot->tts_values[i]);
	}
	CheckStatus(phi_sha256(phi_bytes_of(image->data, image->len), digest), "digest a row");
}

/* The subject that a sealed value of the row is bound to, or 0 where it has none. */
static uint64
SealedSubject(ChangeScan *scan, TupleTableSlot *slot)
{
	int i;

	for (i = 0; i < scan->policy->column_count; i++)
	{
		const ProtectedColumn *column = &scan->policy->columns[i];
		phi_header header;

		if (!column->sealed || column->attnum == 0 || slot->tts_isnull[column->attnum - 1])
			continue;
		ReadHeader(slot->tts_values[column->attnum - 1], &header);
		if (header.bound)
			return header.subject_token;
	}
	return 0;
}

/*
 * The subject's token, or 0 where the row has none.  A subscriber may be
 * without keys: what it applies has the token in its sealed values.
 */
static uint64
RowSubject(ChangeScan *scan, TupleTableSlot *slot)
{
	int column = scan->policy->subject - 1;
	uint64 sealed;

	if (slot->tts_isnull[column])
		return 0;
	if (scan->applied && (sealed = SealedSubject(scan, slot)) != 0)
		return sealed;
	return SubjectToken(slot->tts_values[column], scan->policy->subject_type);
}

/* The row's key, as AuditRowKey gives it. */
static char *
RowKey(ChangeScan *scan, TupleTableSlot *slot)
{
	const char *parts[INDEX_MAX_KEYS];
	int i;

	for (i = 0; i < scan->policy->key_count; i++)
	{
		int column = scan->policy->keys[i] - 1;

		parts[i] = slot->tts_isnull[column]
					   ? NULL
					   : OutputFunctionCall(&scan->key_output[i], slot->tts_values[column]);
	}
	return AuditRowKey(parts, scan->policy->key_count);
}

/* Are two values of a column the same?  The same stored copy needs no reading. */
static bool
SameValue(Form_pg_attribute attribute, Datum left, Datum right)
{
	if (attribute->attlen == -1 && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(left)) &&
		VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(right)) &&
		memcmp(DatumGetPointer(left), DatumGetPointer(right),
			   VARSIZE_EXTERNAL(DatumGetPointer(left))) == 0)
		return true;
	return datum_image_eq(left, right, attribute->attbyval, attribute->attlen);
}

/* Numbers of the columns in which two versions of a row differ. */
static Bitmapset *
ChangedColumns(TupleDesc columns, TupleTableSlot *before, TupleTableSlot *after)
{
	Bitmapset *changed = NULL;
	int i;

	for (i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(columns, i);

		if (attribute->attisdropped || (before->tts_isnull[i] && after->tts_isnull[i]))
			continue;
		if (before->tts_isnull[i] != after->tts_isnull[i] ||
			!SameValue(attribute, before->tts_values[i], after->tts_values[i]))
			changed = bms_add_member(changed, attribute->attnum);
	}
	return changed;
}

/* Did the row's key or subject change? */
static bool
RowMoved(const ProtectedRelation *policy, const Bitmapset *changed)
{
	int i;

	if (policy == NULL || changed == NULL)
		return false;
	if (bms_is_member(policy->subject, changed))
		return true;
	for (i = 0; i < policy->key_count; i++)
	{
		if (bms_is_member(policy->keys[i], changed))
			return true;
	}
	return false;
}

/* ---- batches ---- */

/* Names of the columns of a set, in their order. */
static const char **
ColumnNames(ChangeScan *scan, const Bitmapset *columns, int *count)
{
	const char **names = palloc(sizeof(char *) * (bms_num_members(columns) + 1));
	int column = -1;

	*count = 0;
	while ((column = bms_next_member(columns, column)) >= 0)
		names[(*count)++] =
			NameStr(TupleDescAttr(RelationGetDescr(scan->relation), column - 1)->attname);
	return names;
}

/* Write a batch's event, if it has rows, and make it empty. */
static void
WriteBatch(ChangeScan *scan, Batch *batch)
{
	AuditEvent event = {0};
	MemoryContext old;

	if (batch->count == 0)
		return;
	old = MemoryContextSwitchTo(batch->context);
	event.action = scan->action;
	event.outcome = "success";
	event.relation = RelationGetRelid(scan->relation);
	event.detail = batch->moved ? AUDIT_KEY_CHANGED : scan->detail;
	event.row_count = batch->count;
	event.subjects = batch->subjects;
	event.row_keys = batch->row_keys;
	event.digests = batch->digests;
	if (scan->shape != NULL)
	{
		event.salt = batch->images.salt;
		event.images = ImageBatchValue(&batch->images);
	}
	if (scan->each_column)
		event.columns = ColumnNames(scan, batch->columns, &event.column_count);
	AuditAppend(&event);
	MemoryContextSwitchTo(old);
	batch->count = 0;
}

/* Empty a batch that is written, and prepare it for another set of columns. */
static void
BeginBatch(ChangeScan *scan, Batch *batch, const Bitmapset *columns, bool moved)
{
	int capacity = scan->batch_capacity;
	MemoryContext old;

	if (batch->context == NULL)
		batch->context =
			AllocSetContextCreate(scan->run, "phi_guard audit batch", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(batch->context);
	old = MemoryContextSwitchTo(batch->context);
	batch->columns = bms_copy(columns);
	batch->moved = moved;
	batch->count = 0;
	batch->digests = palloc(mul_size(capacity, PHI_SHA256_SIZE));
	batch->subjects = NULL;
	batch->row_keys = NULL;
	if (scan->policy != NULL)
	{
		batch->subjects = palloc(mul_size(capacity, sizeof(uint64)));
		if (scan->policy->key_count > 0)
			batch->row_keys = palloc(mul_size(capacity, sizeof(char *)));
	}
	if (scan->shape != NULL)
		ImageBatchBegin(&batch->images, scan->shape);
	MemoryContextSwitchTo(old);
}

/* The batch for a set of changed columns, with room for a pair; all are written when there are too many. */
static Batch *
BatchFor(ChangeScan *scan, const Bitmapset *columns, bool moved)
{
	Batch *batch;
	int i;

	for (i = 0; i < scan->batch_count; i++)
	{
		batch = &scan->batches[i];
		if (batch->moved != moved || !bms_equal(batch->columns, columns))
			continue;
		if (batch->count + (moved ? 2 : 1) > scan->batch_capacity ||
			(scan->shape != NULL && ImageBatchFull(&batch->images)))
		{
			WriteBatch(scan, batch);
			BeginBatch(scan, batch, columns, moved);
		}
		return batch;
	}
	if (scan->batch_count == BATCHES)
	{
		for (i = 0; i < BATCHES; i++)
			WriteBatch(scan, &scan->batches[i]);
		scan->batch_count = 0;
	}
	if (scan->batch_count == scan->batches_made)
		memset(&scan->batches[scan->batches_made++], 0, sizeof(Batch));
	batch = &scan->batches[scan->batch_count++];
	BeginBatch(scan, batch, columns, moved);
	return batch;
}

/* Add the images of a row, whose versions have one subject. */
static void
AddImages(ChangeScan *scan, Batch *batch, TupleTableSlot *before, TupleTableSlot *after)
{
	uint64 subject = RowSubject(scan, after != NULL ? after : before);
	ImageRow old = {before, subject};
	ImageRow new = {after, subject};

	ImageBatchAdd(&batch->images, &old, &new, batch->context);
}

/* Add a row to a batch: a version of it before, one after, or both; the later one is recorded. */
static void
AddRow(ChangeScan *scan, Batch *batch, TupleTableSlot *before, TupleTableSlot *after)
{
	TupleTableSlot *slot = after != NULL ? after : before;
	int entry = batch->count;
	MemoryContext old;

	DigestRow(scan, slot, batch->digests + (Size) entry * PHI_SHA256_SIZE);
	if (batch->subjects != NULL)
		batch->subjects[entry] = RowSubject(scan, slot);
	if (batch->row_keys != NULL)
	{
		old = MemoryContextSwitchTo(batch->context);
		batch->row_keys[entry] = RowKey(scan, slot);
		MemoryContextSwitchTo(old);
	}
	if (scan->shape != NULL)
		AddImages(scan, batch, before, after);
	batch->count = entry + 1;
}

/* ---- the transition tables ---- */

/* Start reading a transition table; others of the statement's triggers may have read it. */
static void
Rewind(Tuplestorestate *rows)
{
	tuplestore_select_read_pointer(rows, 0);
	tuplestore_rescan(rows);
}

/* The next row of a transition table, deformed; false at its end. */
static bool
NextRow(Tuplestorestate *rows, TupleTableSlot *slot)
{
	CHECK_FOR_INTERRUPTS();
	if (!tuplestore_gettupleslot(rows, true, false, slot))
		return false;
	slot_getallattrs(slot);
	return true;
}

/* Record the rows of one transition table: versions before a change, or after it. */
static void
RecordRows(ChangeScan *scan, Tuplestorestate *rows, bool after)
{
	TupleTableSlot *slot =
		MakeSingleTupleTableSlot(RelationGetDescr(scan->relation), &TTSOpsMinimalTuple);

	Rewind(rows);
	while (NextRow(rows, slot))
	{
		MemoryContextSwitchTo(scan->row);
		AddRow(scan, BatchFor(scan, NULL, false), after ? NULL : slot, after ? slot : NULL);
		MemoryContextSwitchTo(scan->run);
		MemoryContextReset(scan->row);
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* Record updated rows: both tables have them in the same order. */
static void
RecordPairs(ChangeScan *scan, Tuplestorestate *old_rows, Tuplestorestate *new_rows)
{
	TupleDesc columns = RelationGetDescr(scan->relation);
	TupleTableSlot *before = MakeSingleTupleTableSlot(columns, &TTSOpsMinimalTuple);
	TupleTableSlot *after = MakeSingleTupleTableSlot(columns, &TTSOpsMinimalTuple);

	scan->each_column = true;
	Rewind(old_rows);
	Rewind(new_rows);
	while (NextRow(old_rows, before) && NextRow(new_rows, after))
	{
		Bitmapset *changed;
		Batch *batch;
		bool moved;

		MemoryContextSwitchTo(scan->row);
		changed = ChangedColumns(columns, before, after);
		moved = RowMoved(scan->policy, changed);
		batch = BatchFor(scan, changed, moved);
		if (moved)
			AddRow(scan, batch, before, NULL);
		AddRow(scan, batch, moved ? NULL : before, after);
		MemoryContextSwitchTo(scan->run);
		MemoryContextReset(scan->row);
	}
	ExecDropSingleTupleTableSlot(before);
	ExecDropSingleTupleTableSlot(after);
}

/* Write what is collected. */
static void
WriteBatches(ChangeScan *scan)
{
	int i;

	for (i = 0; i < scan->batch_count; i++)
		WriteBatch(scan, &scan->batches[i]);
}

/*
 * Record an UPDATE.  Where a row moved to another partition and a trigger
 * there suppressed it, old and new rows cannot be paired: then all old ones
 * are recorded, and all new ones.
 */
static void
RecordUpdate(ChangeScan *scan, Tuplestorestate *old_rows, Tuplestorestate *new_rows)
{
	if (tuplestore_tuple_count(old_rows) == tuplestore_tuple_count(new_rows))
	{
		RecordPairs(scan, old_rows, new_rows);
		return;
	}
	scan->detail = "rows before, not paired";
	RecordRows(scan, old_rows, false);
	WriteBatches(scan);
	scan->detail = "rows after, not paired";
	RecordRows(scan, new_rows, true);
}

/* Prepare a run over as many rows as given. */
static void
BeginScan(ChangeScan *scan, Relation relation, int64 rows)
{
	Oid output;
	bool is_varlena;
	int i;

	memset(scan, 0, offsetof(ChangeScan, key_output));
	scan->relation = relation;
	scan->policy = RegistryRelation(RelationGetRelid(relation));
	scan->batch_capacity = (int) Min(Max(rows, 1) * 2, AUDIT_BATCH_ROWS);
	for (i = 0; scan->policy != NULL && i < scan->policy->key_count; i++)
	{
		getTypeOutputInfo(scan->policy->key_types[i], &output, &is_varlena);
		fmgr_info(output, &scan->key_output[i]);
	}
	scan->run = CurrentMemoryContext;
	scan->row = AllocSetContextCreate(scan->run, "phi_guard changed row", ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&scan->image);
	if (scan->policy != NULL && scan->policy->capture_row)
		scan->shape = ImageBegin(relation, scan->policy);
}

void
RecordChange(Relation relation, Tuplestorestate *old_rows, Tuplestorestate *new_rows, bool applied)
{
	ChangeScan scan;

	BeginScan(&scan, relation, tuplestore_tuple_count(new_rows != NULL ? new_rows : old_rows));
	scan.applied = applied;
	scan.action = old_rows == NULL ? "insert" : new_rows == NULL ? "delete" : "update";
	if (old_rows != NULL && new_rows != NULL)
		RecordUpdate(&scan, old_rows, new_rows);
	else
		RecordRows(&scan, new_rows != NULL ? new_rows : old_rows, new_rows != NULL);
	WriteBatches(&scan);
	if (scan.shape != NULL)
		ImageEnd();
}

/* The transition tables' trigger; a statement that touched no row leaves no event. */
Datum
phi_audit_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Tuplestorestate *rows;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("phi.audit_change() must be an AFTER statement trigger"));
	rows = TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? trigger->tg_oldtable : trigger->tg_newtable;
	if (rows == NULL ||
		(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) && trigger->tg_oldtable == NULL))
		ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("phi.audit_change() needs the transition tables"));
	RequirePreload();
	if (tuplestore_tuple_count(rows) == 0 && (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ||
											  tuplestore_tuple_count(trigger->tg_oldtable) == 0))
		return PointerGetDatum(NULL);

	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		RecordChange(trigger->tg_relation, trigger->tg_oldtable, trigger->tg_newtable, false);
	else if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		RecordChange(trigger->tg_relation, NULL, rows, false);
	else
		RecordChange(trigger->tg_relation, rows, NULL, false);
	return PointerGetDatum(NULL);
}
