/*-------------------------------------------------------------------------
 * registry_read.c
 *		Reading the policy tables: each row as a struct.
 *
 * What this library does not know counts as the strictest: a kind is shown to
 * nobody, a label closes the row.
 *-------------------------------------------------------------------------
 */
#include "platform/registry_tables.h"

#include "core/known.h"
#include "core/normal.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/uuid.h"

/*
 * Columns of phi.table_policy and phi.column_policy, by position.  Later
 * versions add columns behind; until the extension is updated they count as
 * null.
 */
enum TablePolicyColumn
{
	TP_RELATION = 1, TP_SUBJECT, TP_KEYS, TP_LABELS, TP_VIEW, TP_CAPTURE, TP_FIRST_VERSION = TP_CAPTURE,
	TP_SHREDDABLE = 10
};
enum TableDescriptionColumn
{
	TD_RELATION = 1, TD_RESOURCE_TYPE, TD_LABELS_FIXED, TD_UNLABELLED, TD_CODE, TD_DATA_TIME, TD_AUTHOR,
	TD_ENCOUNTER, TD_REFERENCE, TD_OTHER_SUBJECTS, TD_LAST = TD_OTHER_SUBJECTS
};
enum ColumnPolicyColumn
{
	CP_ID = 1, CP_UUID, CP_RELATION, CP_NAME, CP_KIND, CP_SEARCHABLE, CP_PLAIN_TYPE, CP_SEALED,
	CP_CONTEXT, CP_GENERATION, CP_NEXT_GENERATION, CP_BUCKETS, CP_MOVED, CP_SCRUBBED, CP_FIRST_VERSION = CP_GENERATION
};

HTAB *
MakePolicyHash(const char *name, Size keysize, Size entrysize, MemoryContext context)
{
	HASHCTL control = {0};

	control.keysize = keysize;
	control.entrysize = entrysize;
	control.hcxt = context;
	return hash_create(name, 32, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* One row of phi.table_policy. */
static void
ReadTablePolicy(PolicyTables *tables, Datum *values, bool *nulls)
{
	Oid relation = DatumGetObjectId(values[TP_RELATION - 1]);
	TablePolicy *policy = hash_search(tables->policies, &relation, HASH_ENTER, NULL);
	Datum *keys;
	int count;

	policy->subject = *DatumGetName(values[TP_SUBJECT - 1]);
	memset(&policy->labels, 0, sizeof(NameData));
	if (!nulls[TP_LABELS - 1])
		policy->labels = *DatumGetName(values[TP_LABELS - 1]);
	policy->view = nulls[TP_VIEW - 1] ? InvalidOid : DatumGetObjectId(values[TP_VIEW - 1]);
	policy->capture_row = strcmp(TextDatumGetCString(values[TP_CAPTURE - 1]), "row") == 0;
	policy->shreddable =
		!nulls[TP_SHREDDABLE - 1] && DatumGetBool(values[TP_SHREDDABLE - 1]);
	deconstruct_array(DatumGetArrayTypeP(values[TP_KEYS - 1]), NAMEOID, NAMEDATALEN, false,
					  TYPALIGN_CHAR, &keys, NULL, &count);
	policy->key_count = Min(count, INDEX_MAX_KEYS);
	for (int i = 0; i < policy->key_count; i++)
		policy->keys[i] = *DatumGetName(keys[i]);
}

/* The labels of a text[] of the description; one that is not known makes them the strictest. */
static phi_labels
DescribedLabels(Datum array)
{
	phi_labels labels = {0};
	Datum *codes;
	bool *nulls;
	int count;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &codes, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		text *code = nulls[i] ? NULL : DatumGetTextPP(codes[i]);

		if (!code || !phi_labels_add(&labels, VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code)))
		{
			labels.rank = 6;
			labels.sensitivities = UINT64_MAX;
			break;
		}
	}
	return labels;
}

/* One row of phi.table_description. */
static void
ReadTableDescription(PolicyTables *tables, Datum *values, bool *nulls)
{
	Oid relation = DatumGetObjectId(values[TD_RELATION - 1]);
	TableDescription *description = hash_search(tables->descriptions, &relation, HASH_ENTER, NULL);

	memset(description, 0, sizeof(TableDescription));
	description->relation = relation;
	if (!nulls[TD_RESOURCE_TYPE - 1])
		strlcpy(description->resource_type, TextDatumGetCString(values[TD_RESOURCE_TYPE - 1]),
				RESOURCE_TYPE_SIZE);
	if (!nulls[TD_LABELS_FIXED - 1])
		description->labels_fixed = DescribedLabels(values[TD_LABELS_FIXED - 1]);
	description->unlabelled_restricted =
		strcmp(TextDatumGetCString(values[TD_UNLABELLED - 1]), "N") != 0;
	for (int i = 0; i < ROW_ATTRIBUTES; i++)
		if (!nulls[TD_CODE - 1 + i])
			description->attributes[i] = *DatumGetName(values[TD_CODE - 1 + i]);
	if (!nulls[TD_OTHER_SUBJECTS - 1])
	{
		Datum *names;
		int count;

		deconstruct_array(DatumGetArrayTypeP(values[TD_OTHER_SUBJECTS - 1]), NAMEOID, NAMEDATALEN,
						  false, TYPALIGN_CHAR, &names, NULL, &count);
		if (count > OTHER_SUBJECTS)
			elog(ERROR, "too many subject columns in phi.table_description");
		for (int i = 0; i < count; i++)
			description->other_subjects[i] = *DatumGetName(names[i]);
		description->other_subject_count = count;
	}
}

/* One row of phi.column_policy, after those of phi.table_policy; a kind that this library does not know is shown to nobody. */
static void
ReadColumnPolicy(PolicyTables *tables, Datum *values, bool *nulls)
{
	uint32 id = (uint32) DatumGetInt32(values[CP_ID - 1]);
	ColumnEntry *entry = hash_search(tables->columns, &id, HASH_ENTER, NULL);
	ProtectedColumn *column = &entry->column;
	char *kind = TextDatumGetCString(values[CP_KIND - 1]);
	const TablePolicy *policy;
	char *relation_name;
	bool known;

	memset(column, 0, sizeof(ProtectedColumn));
	column->column_id = (uint16) id;
	memcpy(column->uuid, DatumGetUUIDP(values[CP_UUID - 1])->data, PHI_UUID_SIZE);
	column->relation = nulls[CP_RELATION - 1] ? InvalidOid : DatumGetObjectId(values[CP_RELATION - 1]);
	column->name = *DatumGetName(values[CP_NAME - 1]);
	known = phi_kind_find(kind, strlen(kind), &column->kind);
	if (!known)
		column->kind = PHI_KIND_FREE_TEXT;
	column->scrubbed = known && column->kind == PHI_KIND_FREE_TEXT && !nulls[CP_SCRUBBED - 1] &&
					   DatumGetBool(values[CP_SCRUBBED - 1]);
	column->identifies = phi_known_kind(column->kind);
	column->sealed = DatumGetBool(values[CP_SEALED - 1]);
	column->searchable = DatumGetBool(values[CP_SEARCHABLE - 1]) && phi_kind_searchable(column->kind);
	column->search_generation = (uint8) DatumGetInt32(values[CP_GENERATION - 1]);
	if (!nulls[CP_NEXT_GENERATION - 1])
	{
		column->next_generation = (uint8) DatumGetInt32(values[CP_NEXT_GENERATION - 1]);
		column->search_buckets = (uint16) DatumGetInt32(values[CP_BUCKETS - 1]);
		column->search_moved = (uint16) DatumGetInt32(values[CP_MOVED - 1]);
	}
	if (!nulls[CP_CONTEXT - 1])
		column->search_context = *DatumGetName(values[CP_CONTEXT - 1]);
	tables->searchable |= column->sealed && column->searchable;
	policy = hash_search(tables->policies, &column->relation, HASH_FIND, NULL);
	column->shreddable = policy && policy->shreddable;
	relation_name = OidIsValid(column->relation) ? get_rel_name(column->relation) : NULL;
	namestrcpy(&column->relation_name, relation_name ? relation_name : "");
}

/* Read a whole policy table. */
static void
ReadPolicyTable(PolicyTables *tables, Oid table, int first_version,
				void (*read)(PolicyTables *, Datum *, bool *))
{
	Relation rel = table_open(table, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;
	Datum values[16];
	bool nulls[16];

	if (RelationGetNumberOfAttributes(rel) < first_version ||
		RelationGetNumberOfAttributes(rel) > lengthof(values))
		elog(ERROR, "unexpected shape of a policy table");
	memset(nulls, true, sizeof(nulls));
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		read(tables, values, nulls);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

void
PolicyTablesMake(PolicyTables *tables, MemoryContext context)
{
	tables->table_policy = PhiRelation("table_policy");
	tables->table_description = PhiRelation("table_description");
	tables->column_policy = PhiRelation("column_policy");
	tables->policies =
		MakePolicyHash("phi_guard table policies", sizeof(Oid), sizeof(TablePolicy), context);
	tables->descriptions =
		MakePolicyHash("phi_guard table descriptions", sizeof(Oid), sizeof(TableDescription), context);
	tables->columns =
		MakePolicyHash("phi_guard column policies", sizeof(uint32), sizeof(ColumnEntry), context);
}

void
PolicyTablesRead(PolicyTables *tables)
{
	ReadPolicyTable(tables, tables->table_policy, TP_FIRST_VERSION, ReadTablePolicy);
	ReadPolicyTable(tables, tables->table_description, TD_LAST, ReadTableDescription);
	ReadPolicyTable(tables, tables->column_policy, CP_FIRST_VERSION, ReadColumnPolicy);
}
