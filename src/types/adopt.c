/*-------------------------------------------------------------------------
 * adopt.c
 *		Protecting a table while it is written to: a sealed twin beside each
 *		classified column, kept in step by a trigger and filled in batches.
 *
 * The trigger "~phi_online" (BEFORE ROW, ENABLE ALWAYS) carries what is to be
 * done in its arguments: subject column, label column or '', number of key
 * columns, their names, then plain column, twin and column id of each
 * classified column.  Names, not numbers: they mean the same after a restore.
 *
 * A twin is in step when it is sealed for its row and opens to the plain
 * value.  Every row that is written is in step, so one that was found in step
 * stays so, until the table is rewritten or the trigger is touched: for both
 * phi.online_step watches.  Twins are opened in this file alone, to compare
 * them; that discloses nothing that is not plain beside them.
 *
 * Afterwards the plain columns are dropped, which leaves their bytes in every
 * row; a last walk writes those rows again.
 *-------------------------------------------------------------------------
 */
#include "types/sealing.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "consent/consent.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "keyring/keyring.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "storage/bufmgr.h"
#include "types/rows.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(phi_seal_online);
PG_FUNCTION_INFO_V1(phi_online_batch);

#define ONLINE_TRIGGER "~phi_online"

/* A classified column and its twin. */
typedef struct OnlineColumn
{
	AttrNumber plain;
	AttrNumber twin;
	uint16 column_id;
	InnerType inner;
	ExprState *cast; /* from the plain column's type to the inner type; NULL: none needed */
} OnlineColumn;

/* A trigger's arguments, looked up. */
typedef struct OnlineTable
{
	Oid relid;
	Oid root; /* the table that is being protected: relid, or its topmost parent */
	TupleDesc descriptor;
	AttrNumber subject;
	AttrNumber labels; /* or 0 */
	int key_count;
	AttrNumber keys[INDEX_MAX_KEYS];
	int column_count;
	OnlineColumn *columns;
	ExprContext *context; /* that the casts are evaluated in */
} OnlineTable;

/* The place of a row's values. */
typedef struct RowPlace
{
	uint64 subject_token;
	uint16 label_set;
	StringInfoData keys;
} RowPlace;

/* ---- the trigger's arguments ---- */

/* A column by its name. */
static AttrNumber
FindColumn(Relation relation, const char *name)
{
	int attnum = SPI_fnumber(RelationGetDescr(relation), name);

	if (attnum <= 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("column \"%s\" that the protection of table \"%s\" needs is missing",
							   name, RelationGetRelationName(relation)),
						errhint("Give it back its name, or call phi.cancel_online().")));
	return (AttrNumber) attnum;
}

/* The cast that phi.protect makes: floating point goes by its text. */
static ExprState *
MakeCast(OnlineTable *table, Oid from, Oid to)
{
	CaseTestExpr *value = makeNode(CaseTestExpr);
	Node *cast;

	value->typeId = from;
	value->typeMod = -1;
	value->collation = get_typcollation(from);
	cast = (Node *) value;
	if (from == FLOAT4OID || from == FLOAT8OID)
		cast = coerce_to_target_type(NULL, cast, from, TEXTOID, -1, COERCION_EXPLICIT,
									 COERCE_EXPLICIT_CAST, -1);
	cast = coerce_to_target_type(NULL, cast, exprType(cast), to, -1, COERCION_EXPLICIT,
								 COERCE_EXPLICIT_CAST, -1);
	if (!cast)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("a column of type %s cannot be sealed as %s", format_type_be(from),
							   format_type_be(to)),
						errhint("Call phi.cancel_online() for the table and begin again.")));
	if (IsA(cast, CaseTestExpr))
		return NULL;
	if (!table->context)
		table->context = CreateStandaloneExprContext();
	return ExecInitExpr((Expr *) cast, NULL);
}

/* One classified column of three arguments. */
static void
ReadColumn(OnlineTable *table, OnlineColumn *column, Relation relation, char **args)
{
	TupleDesc descriptor = RelationGetDescr(relation);

	column->plain = FindColumn(relation, args[0]);
	column->twin = FindColumn(relation, args[1]);
	column->column_id = (uint16) pg_strtoint32(args[2]);
	column->inner = InnerOfEncrypted(TupleDescAttr(descriptor, column->twin - 1)->atttypid);
	column->cast = MakeCast(table, TupleDescAttr(descriptor, column->plain - 1)->atttypid,
							InnerTypeOid(column->inner));
}

/* The arguments of a trigger, in the current memory context. */
static OnlineTable *
ReadTable(Relation relation, const Trigger *trigger)
{
	OnlineTable *table = palloc0(sizeof(OnlineTable));
	char **args = trigger->tgargs;
	int next = 3;

	if (trigger->tgnargs < 6 || trigger->tgnargs - 3 < pg_strtoint32(args[2]) ||
		pg_strtoint32(args[2]) > INDEX_MAX_KEYS)
		elog(ERROR, "unexpected arguments of trigger \"%s\"", trigger->tgname);
	table->relid = table->root = RelationGetRelid(relation);
	if (relation->rd_rel->relispartition)
		table->root = llast_oid(get_partition_ancestors(table->relid));
	table->descriptor = RelationGetDescr(relation);
	table->subject = FindColumn(relation, args[0]);
	if (args[1][0] != '\0')
		table->labels = FindColumn(relation, args[1]);
	table->key_count = pg_strtoint32(args[2]);
	for (int i = 0; i < table->key_count; i++)
		table->keys[i] = FindColumn(relation, args[next++]);
	table->columns = palloc0(sizeof(OnlineColumn) * trigger->tgnargs);
	for (; next + 2 < trigger->tgnargs; next += 3)
		ReadColumn(table, &table->columns[table->column_count++], relation, args + next);
	return table;
}

/* ---- one row, as arrays of its columns ---- */

/* Where the values of a row belong; raises when the row has no subject or no key. */
static void
ReadPlace(RowPlace *place, const OnlineTable *table, const Datum *values, const bool *nulls)
{
	AttrNumber subject = table->subject - 1;

	if (nulls[subject])
		ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
						errmsg("row of table \"%s\" has a classified value and no subject",
							   get_rel_name(table->relid)),
						errhint("Give a value for column \"%s\".",
								NameStr(TupleDescAttr(table->descriptor, subject)->attname))));
	place->subject_token =
		SubjectToken(values[subject], TupleDescAttr(table->descriptor, subject)->atttypid);
	place->label_set =
		table->labels == 0 ? 0 : LabelSetId(values[table->labels - 1], nulls[table->labels - 1]);
	initStringInfo(&place->keys);
	for (int i = 0; i < table->key_count; i++)
	{
		AttrNumber key = table->keys[i] - 1;

		if (nulls[key])
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("row of table \"%s\" has no primary key", get_rel_name(table->relid))));
		KeyTextAppendCounted(&place->keys, values[key],
							 TupleDescAttr(table->descriptor, key)->atttypid);
	}
}

/* The place of one column; raises where the column is not one that waits to be sealed here. */
static void
ColumnPlace(SealTarget *target, const OnlineTable *table, const OnlineColumn *column,
			const RowPlace *place)
{
	target->column = RegistryColumn(column->column_id);
	if (!target->column || target->column->relation != table->root || target->column->sealed)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("trigger \"%s\" of table \"%s\" is out of place", ONLINE_TRIGGER,
						get_rel_name(table->relid)),
				 errhint("Restore the policy tables of the extension, or drop the trigger.")));
	target->label_set = place->label_set;
	target->subject_token = place->subject_token;
	target->row_token = TargetRowToken(target->column->uuid, &place->keys);
}

/* The plain value as one of the inner type. */
static Datum
CastValue(const OnlineTable *table, const OnlineColumn *column, Datum plain)
{
	bool isnull;
	Datum value;

	if (!column->cast)
		return plain;
	table->context->caseValue_datum = plain;
	table->context->caseValue_isNull = false;
	value = ExecEvalExpr(column->cast, table->context, &isnull);
	if (isnull)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the cast of a classified value of table \"%s\" is null",
							   get_rel_name(table->relid))));
	return value;
}

/* Does the twin open to the plain value? */
static bool
OpensTo(const OnlineTable *table, const OnlineColumn *column, const SealTarget *target,
		Datum stored_twin, const phi_header *header, Datum value)
{
	bool owned;
	phi_bytes wanted = InnerToBytes(column->inner, CastValue(table, column, value), &owned);
	phi_buffer plain;
	bool same;

	same = TryOpen(stored_twin, header, target->column->uuid, &plain) && plain.size == wanted.size &&
		   (plain.size == 0 || memcmp(plain.data, wanted.data, plain.size) == 0);
	SecretWipe(plain.data, plain.size);
	if (owned)
		SecretWipe((void *) wanted.data, wanted.size);
	return same;
}

/* Is the twin of a column, whose place is known where its plain value is not null, in step? */
static bool
InStep(const OnlineTable *table, const OnlineColumn *column, const RowPlace *place,
	   const Datum *values, const bool *nulls)
{
	SealTarget target;
	phi_header header;

	if (nulls[column->plain - 1] || nulls[column->twin - 1])
		return nulls[column->plain - 1] && nulls[column->twin - 1];
	ColumnPlace(&target, table, column, place);
	ReadHeader(values[column->twin - 1], &header);
	return SealedFor(&header, &target) && OpensTo(table, column, &target, values[column->twin - 1],
												  &header, values[column->plain - 1]);
}

/* Has the row any classified value? */
static bool
HasValues(const OnlineTable *table, const bool *nulls)
{
	for (int i = 0; i < table->column_count; i++)
		if (!nulls[table->columns[i].plain - 1])
			return true;
	return false;
}

/* Bring one twin in step. */
static void
SealTwin(const OnlineTable *table, const OnlineColumn *column, const RowPlace *place, Datum *values,
		 bool *nulls)
{
	SealTarget target;
	Datum plain = values[column->plain - 1];

	nulls[column->twin - 1] = nulls[column->plain - 1];
	values[column->twin - 1] = (Datum) 0;
	if (nulls[column->plain - 1])
		return;
	ColumnPlace(&target, table, column, place);
	values[column->twin - 1] =
		PointerGetDatum(SealValue(column->inner, CastValue(table, column, plain), &target));
}

/* ---- the trigger ---- */

/* Are two versions of a column the same, bit by bit? */
static bool
SameImage(Datum one, Datum other, Form_pg_attribute attribute)
{
	if (attribute->attlen == -1 && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(one)) &&
		VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(other)) &&
		memcmp(DatumGetPointer(one), DatumGetPointer(other),
			   VARSIZE_EXTERNAL(DatumGetPointer(one))) == 0)
		return true;
	return datum_image_eq(one, other, attribute->attbyval, attribute->attlen);
}

/* May the twin of the old version stay? */
static bool
MayStay(const OnlineTable *table, const OnlineColumn *column, const RowPlace *place,
		const Datum *values, const bool *nulls, const Datum *old_values, const bool *old_nulls)
{
	SealTarget target;
	phi_header header;

	if (nulls[column->plain - 1] || old_nulls[column->plain - 1] || old_nulls[column->twin - 1] ||
		!SameImage(values[column->plain - 1], old_values[column->plain - 1],
				   TupleDescAttr(table->descriptor, column->plain - 1)))
		return false;
	ColumnPlace(&target, table, column, place);
	ReadHeader(old_values[column->twin - 1], &header);
	return SealedFor(&header, &target);
}

/* The row with its twins in step; old is its old version or NULL. */
static HeapTuple
SealRowTwins(const OnlineTable *table, HeapTuple tuple, HeapTuple old)
{
	int natts = table->descriptor->natts;
	Datum *values = palloc(sizeof(Datum) * natts * 2);
	bool *nulls = palloc(sizeof(bool) * natts * 2);
	RowPlace place = {0};

	heap_deform_tuple(tuple, table->descriptor, values, nulls);
	if (old)
		heap_deform_tuple(old, table->descriptor, values + natts, nulls + natts);
	if (HasValues(table, nulls))
		ReadPlace(&place, table, values, nulls);
	for (int i = 0; i < table->column_count; i++)
	{
		const OnlineColumn *column = &table->columns[i];
		int twin = column->twin - 1;

		if (old && MayStay(table, column, &place, values, nulls, values + natts, nulls + natts))
		{
			values[twin] = values[natts + twin];
			nulls[twin] = false;
		}
		else
			SealTwin(table, column, &place, values, nulls);
	}
	return heap_form_tuple(table->descriptor, values, nulls);
}

/*
 * phi.seal_online(): the trigger of a table that is being protected.  What the
 * statement wrote to the twins itself does not count.
 */
Datum
phi_seal_online(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	OnlineTable *table = fcinfo->flinfo->fn_extra;
	bool update;

	RequirePreload();
	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("phi.seal_online must be a BEFORE INSERT OR UPDATE row trigger")));
	if (!table || table->relid != RelationGetRelid(trigger->tg_relation))
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		table = ReadTable(trigger->tg_relation, trigger->tg_trigger);
		table->descriptor = CreateTupleDescCopy(table->descriptor);
		MemoryContextSwitchTo(old);
		fcinfo->flinfo->fn_extra = table;
	}
	update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	PG_RETURN_POINTER(SealRowTwins(table, update ? trigger->tg_newtuple : trigger->tg_trigtuple,
								   update ? trigger->tg_trigtuple : NULL));
}

/* ---- the batches ---- */

/* RowWalk: is a twin of the row not in step? */
static bool
TwinNeeded(TupleTableSlot *row, void *state)
{
	const OnlineTable *table = state;
	RowPlace place = {0};

	if (HasValues(table, row->tts_isnull))
		ReadPlace(&place, table, row->tts_values, row->tts_isnull);
	for (int i = 0; i < table->column_count; i++)
		if (!InStep(table, &table->columns[i], &place, row->tts_values, row->tts_isnull))
			return true;
	return false;
}

/* RowWalk: bring the twins that need it in step. */
static bool
TwinChange(TupleTableSlot *copy, void *state)
{
	const OnlineTable *table = state;
	RowPlace place = {0};

	if (HasValues(table, copy->tts_isnull))
		ReadPlace(&place, table, copy->tts_values, copy->tts_isnull);
	for (int i = 0; i < table->column_count; i++)
		if (!InStep(table, &table->columns[i], &place, copy->tts_values, copy->tts_isnull))
			SealTwin(table, &table->columns[i], &place, copy->tts_values, copy->tts_isnull);
	return true;
}

/* RowWalk: has the row bytes of a dropped column? */
static bool
RemainsNeeded(TupleTableSlot *row, void *state)
{
	TupleDesc columns = row->tts_tupleDescriptor;

	for (int i = 0; i < columns->natts; i++)
		if (TupleDescAttr(columns, i)->attisdropped && !row->tts_isnull[i])
			return true;
	return false;
}

/* RowWalk: the copy is without them. */
static bool
RemainsChange(TupleTableSlot *copy, void *state)
{
	return true;
}

/* The trigger that holds the table's policy. */
static const Trigger *
FindTrigger(Relation relation)
{
	for (int i = 0; relation->trigdesc && i < relation->trigdesc->numtriggers; i++)
		if (strcmp(relation->trigdesc->triggers[i].tgname, ONLINE_TRIGGER) == 0)
			return &relation->trigdesc->triggers[i];
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("table \"%s\" has no trigger \"%s\"", RelationGetRelationName(relation),
						   ONLINE_TRIGGER),
					errhint("Call phi.cancel_online() for the table and begin again.")));
}

/*
 * phi.online_batch(relation regclass, first_block bigint, max_rows integer,
 * clearing boolean, OUT next_block bigint, OUT changed integer, OUT blocks
 * bigint): bring the twins of up to max_rows rows in step, from a block on, or
 * clear them of dropped columns; next_block is NULL at the table's end.
 * Internal: no role holds EXECUTE.
 */
Datum
phi_online_batch(PG_FUNCTION_ARGS)
{
	bool clearing = PG_GETARG_BOOL(3);
	RowWalk walk = {0};
	TupleDesc columns;
	OnlineTable *table = NULL;
	Datum values[3];
	bool nulls[3] = {false};

	RequirePreload();
	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	walk.relation = table_open(PG_GETARG_OID(0), RowExclusiveLock);
	if (walk.relation->rd_rel->relkind != RELKIND_RELATION ||
		walk.relation->rd_rel->relam != HEAP_TABLE_AM_OID)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("table \"%s\" is not an ordinary table of access method heap",
							   RelationGetRelationName(walk.relation))));
	if (!clearing)
	{
		table = ReadTable(walk.relation, FindTrigger(walk.relation));
		for (int i = 0; i < table->column_count; i++)
			walk.written = bms_add_member(walk.written, table->columns[i].twin -
															FirstLowInvalidHeapAttributeNumber);
	}
	walk.limit = PG_GETARG_INT32(2);
	walk.needed = clearing ? RemainsNeeded : TwinNeeded;
	walk.change = clearing ? RemainsChange : TwinChange;
	walk.state = table;
	WalkRows(&walk, (BlockNumber) PG_GETARG_INT64(1));

	nulls[0] = walk.next == InvalidBlockNumber;
	values[0] = Int64GetDatum((int64) walk.next);
	values[1] = Int32GetDatum(walk.changed);
	values[2] = Int64GetDatum((int64) RelationGetNumberOfBlocks(walk.relation));
	table_close(walk.relation, NoLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}
