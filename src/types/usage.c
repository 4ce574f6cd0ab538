/*-------------------------------------------------------------------------
 * usage.c
 *		Which data keys the stored values are under.
 *
 * Counts read headers only: no key is needed and nothing is opened.  Tables
 * are read below the executor, with the latest snapshot, whatever the
 * transaction's isolation: row security, rules and the owner's code have no
 * say in what is counted.
 *-------------------------------------------------------------------------
 */
#include "types/sealing.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "core/image.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(phi_count_keys);
PG_FUNCTION_INFO_V1(phi_node_keys);
PG_FUNCTION_INFO_V1(phi_wait_for_writers);
PG_FUNCTION_INFO_V1(phi_image_keys);

typedef struct CountKey
{
	uint32 dek_id;
	uint32 column; /* attribute number; 0 in an expression */
} CountKey;

typedef struct CountEntry
{
	CountKey key;
	int64 values;
} CountEntry;

/* An empty set of counts. */
static HTAB *
MakeCounts(void)
{
	HASHCTL control = {0};

	control.keysize = sizeof(CountKey);
	control.entrysize = sizeof(CountEntry);
	control.hcxt = CurrentMemoryContext;
	return hash_create("phi_guard key usage", 32, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Count a value. */
static void
CountValue(HTAB *counts, Datum value, AttrNumber column)
{
	CountKey key;
	CountEntry *entry;
	phi_header header;
	bool found;

	ReadHeader(value, &header);
	key.dek_id = header.dek_id;
	key.column = (uint32) column;
	entry = hash_search(counts, &key, HASH_ENTER, &found);
	entry->values = found ? entry->values + 1 : 1;
}

/* The counts as rows (column number, dek_id, values) of a set-returning function. */
static Datum
ReturnCounts(FunctionCallInfo fcinfo, HTAB *counts)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HASH_SEQ_STATUS status;
	CountEntry *entry;
	Datum values[3];
	bool nulls[3] = {false};

	InitMaterializedSRF(fcinfo, 0);
	hash_seq_init(&status, counts);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		values[0] = Int16GetDatum((int16) entry->key.column);
		values[1] = Int32GetDatum((int32) entry->key.dek_id);
		values[2] = Int64GetDatum(entry->values);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	hash_destroy(counts);
	return (Datum) 0;
}

/* Numbers of the columns of our types. */
static int
EncryptedColumns(TupleDesc columns, AttrNumber *numbers)
{
	int count = 0;

	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(columns, i);

		if (!attribute->attisdropped && IsEncryptedType(attribute->atttypid))
			numbers[count++] = attribute->attnum;
	}
	return count;
}

/* Open a table or materialized view, which has rows of its own; raises for anything else. */
static Relation
OpenStored(Oid relid)
{
	Relation relation = try_table_open(relid, AccessShareLock);

	if (!relation)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation does not exist")));
	if (relation->rd_rel->relkind != RELKIND_RELATION &&
		relation->rd_rel->relkind != RELKIND_MATVIEW)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("relation \"%s\" has no rows of its own",
							   RelationGetRelationName(relation))));
	return relation;
}

/*
 * phi.count_keys(relation regclass): the values of each encrypted column of
 * a table or materialized view (not of its partitions) under each data key.
 */
Datum
phi_count_keys(PG_FUNCTION_ARGS)
{
	HTAB *counts = MakeCounts();
	Relation relation = OpenStored(PG_GETARG_OID(0));
	AttrNumber *numbers =
		palloc(sizeof(AttrNumber) * (RelationGetNumberOfAttributes(relation) + 1));
	int count = EncryptedColumns(RelationGetDescr(relation), numbers);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < count; i++)
		{
			bool isnull;
			Datum value = slot_getattr(slot, numbers[i], &isnull);

			if (!isnull)
				CountValue(counts, value, numbers[i]);
		}
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	return ReturnCounts(fcinfo, counts);
}

/* Walker: count the sealed constants of an expression, a query or a list of them. */
static bool
CountConstants(Node *node, void *context)
{
	Const *constant = (Const *) node;

	if (!node)
		return false;
	if (IsA(node, Const))
	{
		if (!constant->constisnull && IsEncryptedType(constant->consttype))
			CountValue(context, constant->constvalue, 0);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, CountConstants, context, 0);
	return expression_tree_walker(node, CountConstants, context);
}

/*
 * phi.node_keys(expression pg_node_tree): the sealed constants in a stored
 * expression (a default, a view, a policy, ...) under each data key.
 */
Datum
phi_node_keys(PG_FUNCTION_ARGS)
{
	HTAB *counts = MakeCounts();

	(void) CountConstants(stringToNode(TextDatumGetCString(PG_GETARG_DATUM(0))), counts);
	return ReturnCounts(fcinfo, counts);
}

/*
 * phi.wait_for_writers(relations regclass[]): wait until every transaction
 * that may have written to one of the tables when this was called has ended,
 * prepared ones too.  Who begins to write meanwhile is not waited for, and has
 * the keys of now.
 */
Datum
phi_wait_for_writers(PG_FUNCTION_ARGS)
{
	Datum *relations;
	List *tags = NIL;
	int count;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT,
					  &relations, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		LOCKTAG *tag = palloc0(sizeof(LOCKTAG));

		SET_LOCKTAG_RELATION(*tag, MyDatabaseId, DatumGetObjectId(relations[i]));
		tags = lappend(tags, tag);
	}
	WaitForLockersMultiple(tags, ShareLock, false);
	PG_RETURN_VOID();
}

/*
 * phi.image_keys(images bytea): the ids of the data keys, other than those of
 * subjects, that images of an event are sealed under; none where they were erased.
 */
Datum
phi_image_keys(PG_FUNCTION_ARGS)
{
	bytea *stored = PG_GETARG_BYTEA_PP(0);
	phi_bytes bytes = phi_bytes_of(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
	phi_images images;
	Datum *keys;
	Size i;

	if (phi_images_erased(bytes))
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(INT4OID));
	CheckStatus(phi_images_parse(bytes, &images), "read images");
	keys = palloc(sizeof(Datum) * (images.keys.size / 4 + 1));
	for (i = 0; i < images.keys.size / 4; i++)
		keys[i] = Int32GetDatum((int32) phi_get_u32(images.keys.data + i * 4));
	PG_RETURN_ARRAYTYPE_P(
		construct_array(keys, (int) (images.keys.size / 4), INT4OID, sizeof(int32), true, TYPALIGN_INT));
}
