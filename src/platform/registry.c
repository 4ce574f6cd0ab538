/*-------------------------------------------------------------------------
 * registry.c
 *		What is protected: the policy tables as structs, cached per process.
 *
 * The policy tables are read whole, with a catalog snapshot, when a relcache
 * invalidation of one of them or of a protected relation came since.  A copy
 * that was replaced is kept until the transaction ends, so that pointers into
 * it stay valid.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"
#include "platform/registry.h"

#include "core/known.h"
#include "core/normal.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
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

typedef struct TablePolicy
{
	Oid relation;
	NameData subject;
	NameData labels; /* empty when there is none */
	int key_count;
	NameData keys[INDEX_MAX_KEYS];
	Oid view;
	bool capture_row;
	bool shreddable;
} TablePolicy;

/* A row of phi.table_description: columns by name, empty where there is none. */
typedef struct TableDescription
{
	Oid relation;
	char resource_type[RESOURCE_TYPE_SIZE];
	phi_labels labels_fixed;
	bool unlabelled_restricted;
	NameData attributes[ROW_ATTRIBUTES];
	int other_subject_count;
	NameData other_subjects[OTHER_SUBJECTS];
} TableDescription;

typedef struct RelationEntry
{
	Oid relid;
	const ProtectedRelation *relation; /* NULL: a partition of nothing protected */
} RelationEntry;

typedef struct ColumnEntry
{
	uint32 column_id;
	ProtectedColumn column;
} ColumnEntry;

typedef struct Registry
{
	MemoryContext context;
	uint64 catalog_generation;
	Oid table_policy;
	Oid table_description;
	Oid column_policy;
	HTAB *policies;	 /* TablePolicy by relation */
	HTAB *descriptions; /* TableDescription by relation */
	HTAB *columns;	 /* ColumnEntry by id */
	HTAB *relations; /* RelationEntry by relid: answers given so far */
	bool searchable; /* a sealed column is */
	struct Registry *retired;
} Registry;

static Registry *Current = NULL;
static Registry *Retired = NULL;
static bool Stale = true;
static uint64 Generation = 1;

/* Relcache callback: decides from memory alone whether the copy is stale. */
static void
RegistryInvalidated(Datum arg, Oid relid)
{
	if (Stale || !Current)
		return;
	if (relid == InvalidOid || relid == Current->table_policy || relid == Current->column_policy ||
		relid == Current->table_description ||
		hash_search(Current->policies, &relid, HASH_FIND, NULL) ||
		hash_search(Current->relations, &relid, HASH_FIND, NULL))
	{
		Stale = true;
		Generation++;
		/* A plan hands phi.reveal columns by what they are classified as. */
		if (relid == Current->column_policy)
			ResetPlanCache();
	}
}

/* At the end of a transaction nobody holds pointers into replaced copies. */
static void
DropRetired(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	while (Retired)
	{
		Registry *registry = Retired;

		Retired = registry->retired;
		MemoryContextDelete(registry->context);
	}
}

void
RegistryInit(void)
{
	OnRelationChange(RegistryInvalidated);
	RegisterXactCallback(DropRetired, NULL);
}

uint64
RegistryGeneration(void)
{
	return Generation + CatalogGeneration();
}

/* A hash table of the registry's context, keyed by the first keysize bytes. */
static HTAB *
MakeTable(Registry *registry, const char *name, Size keysize, Size entrysize)
{
	HASHCTL control = {0};

	control.keysize = keysize;
	control.entrysize = entrysize;
	control.hcxt = registry->context;
	return hash_create(name, 32, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* One row of phi.table_policy. */
static void
ReadTablePolicy(Registry *registry, Datum *values, bool *nulls)
{
	Oid relation = DatumGetObjectId(values[TP_RELATION - 1]);
	TablePolicy *policy = hash_search(registry->policies, &relation, HASH_ENTER, NULL);
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
ReadTableDescription(Registry *registry, Datum *values, bool *nulls)
{
	Oid relation = DatumGetObjectId(values[TD_RELATION - 1]);
	TableDescription *description = hash_search(registry->descriptions, &relation, HASH_ENTER, NULL);

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
ReadColumnPolicy(Registry *registry, Datum *values, bool *nulls)
{
	uint32 id = (uint32) DatumGetInt32(values[CP_ID - 1]);
	ColumnEntry *entry = hash_search(registry->columns, &id, HASH_ENTER, NULL);
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
	registry->searchable |= column->sealed && column->searchable;
	policy = hash_search(registry->policies, &column->relation, HASH_FIND, NULL);
	column->shreddable = policy && policy->shreddable;
	relation_name = OidIsValid(column->relation) ? get_rel_name(column->relation) : NULL;
	namestrcpy(&column->relation_name, relation_name ? relation_name : "");
}

/* Read a whole policy table. */
static void
ReadPolicyTable(Registry *registry, Oid table, int first_version,
				void (*read)(Registry *, Datum *, bool *))
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
		read(registry, values, nulls);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * Build a fresh copy.  Stale is cleared first: an invalidation that arrives
 * during the build sets it again, and the caller's loop decides anew.
 */
static void
LoadRegistry(void)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "phi_guard registry", ALLOCSET_SMALL_SIZES);
	Registry *registry = MemoryContextAllocZero(context, sizeof(Registry));
	MemoryContext scratch =
		AllocSetContextCreate(CurrentMemoryContext, "phi_guard registry load", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);

	if (Current)
	{
		Current->retired = Retired;
		Retired = Current;
		Current = NULL;
	}
	registry->context = context;
	registry->catalog_generation = CatalogGeneration();
	registry->table_policy = PhiRelation("table_policy");
	registry->table_description = PhiRelation("table_description");
	registry->column_policy = PhiRelation("column_policy");
	registry->policies = MakeTable(registry, "phi_guard table policies", sizeof(Oid), sizeof(TablePolicy));
	registry->descriptions =
		MakeTable(registry, "phi_guard table descriptions", sizeof(Oid), sizeof(TableDescription));
	registry->columns = MakeTable(registry, "phi_guard column policies", sizeof(uint32), sizeof(ColumnEntry));
	registry->relations = MakeTable(registry, "phi_guard relations", sizeof(Oid), sizeof(RelationEntry));
	Current = registry;
	Stale = false;
	ReadPolicyTable(registry, registry->table_policy, TP_FIRST_VERSION, ReadTablePolicy);
	ReadPolicyTable(registry, registry->table_description, TD_LAST, ReadTableDescription);
	ReadPolicyTable(registry, registry->column_policy, CP_FIRST_VERSION, ReadColumnPolicy);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

/*
 * A current copy, or NULL when the extension is not installed here, or a script
 * is just making our objects.
 */
static Registry *
CurrentRegistry(void)
{
	if (creating_extension || IsBinaryUpgrade || !ExtensionInstalled())
		return NULL;
	while (Stale || !Current || Current->catalog_generation != CatalogGeneration())
	{
		Stale = true; /* stays so when the load fails */
		LoadRegistry();
		if (!ExtensionInstalled())
			return NULL;
	}
	return Current;
}

/* The attribute number of a policy's column in relid; raises when it is gone. */
static AttrNumber
PolicyAttribute(Oid relid, const NameData *name)
{
	AttrNumber attnum = get_attnum(relid, NameStr(*name));

	if (attnum <= 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("column \"%s\" that the protection of relation \"%s\" needs is missing",
							   NameStr(*name), get_rel_name(relid))));
	return attnum;
}

/* Order of columns: as they stand in the relation. */
static int
CompareColumns(const void *a, const void *b)
{
	return (int) ((const ProtectedColumn *) a)->attnum - (int) ((const ProtectedColumn *) b)->attnum;
}

/* The sealed columns of root, with the attribute numbers of relid. */
static void
FillColumns(Registry *registry, ProtectedRelation *relation)
{
	HASH_SEQ_STATUS status;
	ColumnEntry *entry;

	relation->columns = MemoryContextAllocZero(
		registry->context, (hash_get_num_entries(registry->columns) + 1) * sizeof(ProtectedColumn));
	hash_seq_init(&status, registry->columns);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		ProtectedColumn *column;

		if (entry->column.relation != relation->root || !entry->column.sealed)
			continue;
		column = &relation->columns[relation->column_count];
		*column = entry->column;
		column->attnum = get_attnum(relation->relid, NameStr(column->name));
		if (column->attnum <= 0)
			continue;
		relation->column_count++;
		relation->identifier_count += column->identifies;
		relation->kinds |= UINT64CONST(1) << column->kind;
	}
	if (relation->column_count > 1)
		qsort(relation->columns, relation->column_count, sizeof(ProtectedColumn), CompareColumns);
}

/* What was said of the rows of root, with the attribute numbers of relid. */
static void
FillDescription(Registry *registry, ProtectedRelation *relation)
{
	const TableDescription *said =
		hash_search(registry->descriptions, &relation->root, HASH_FIND, NULL);
	RowDescription *description = &relation->description;

	if (!said)
		return;
	strlcpy(description->resource_type, said->resource_type, RESOURCE_TYPE_SIZE);
	description->labels_fixed = said->labels_fixed;
	description->unlabelled_restricted = said->unlabelled_restricted;
	for (int i = 0; i < ROW_ATTRIBUTES; i++)
		if (NameStr(said->attributes[i])[0] != '\0')
			description->attributes[i] = PolicyAttribute(relation->relid, &said->attributes[i]);
	description->other_subject_count = said->other_subject_count;
	for (int i = 0; i < said->other_subject_count; i++)
		description->other_subjects[i] = PolicyAttribute(relation->relid, &said->other_subjects[i]);
	for (int i = 0; i < ROW_ATTRIBUTES; i++)
		description->by_row |= description->attributes[i] != 0;
	description->by_row |= description->other_subject_count > 0;
}

/* The struct for relid under the policy of its root. */
static const ProtectedRelation *
BuildRelation(Registry *registry, Oid relid, const TablePolicy *policy)
{
	ProtectedRelation *relation =
		MemoryContextAllocZero(registry->context, sizeof(ProtectedRelation));

	relation->relid = relid;
	relation->root = policy->relation;
	relation->view = policy->view;
	relation->subject = PolicyAttribute(relid, &policy->subject);
	relation->subject_type = get_atttype(relid, relation->subject);
	if (NameStr(policy->labels)[0] != '\0')
		relation->labels = PolicyAttribute(relid, &policy->labels);
	relation->capture_row = policy->capture_row;
	relation->shreddable = policy->shreddable;
	relation->key_count = policy->key_count;
	for (int i = 0; i < policy->key_count; i++)
	{
		relation->keys[i] = PolicyAttribute(relid, &policy->keys[i]);
		relation->key_types[i] = get_atttype(relid, relation->keys[i]);
	}
	FillDescription(registry, relation);
	FillColumns(registry, relation);
	return relation;
}

/* The policy of relid: its own, or that of the topmost parent of a partition. */
static const TablePolicy *
FindPolicy(Registry *registry, Oid relid)
{
	const TablePolicy *policy = hash_search(registry->policies, &relid, HASH_FIND, NULL);
	List *ancestors;
	ListCell *cell;

	if (policy || !get_rel_relispartition(relid))
		return policy;
	ancestors = get_partition_ancestors(relid);
	foreach (cell, ancestors)
	{
		Oid ancestor = lfirst_oid(cell);

		policy = hash_search(registry->policies, &ancestor, HASH_FIND, NULL);
		if (policy)
			break;
	}
	list_free(ancestors);
	return policy;
}

/*
 * The protection of a relation, or NULL.
 */
const ProtectedRelation *
RegistryRelation(Oid relid)
{
	Registry *registry = CurrentRegistry();
	RelationEntry *entry;
	const TablePolicy *policy;
	const ProtectedRelation *relation = NULL;

	if (!registry || hash_get_num_entries(registry->policies) == 0)
		return NULL;
	entry = hash_search(registry->relations, &relid, HASH_FIND, NULL);
	if (entry)
		return entry->relation;

	policy = FindPolicy(registry, relid);
	if (policy)
		relation = BuildRelation(registry, relid, policy);
	else if (!get_rel_relispartition(relid))
		return NULL; /* an ordinary relation costs one failed look-up each time */

	/* An invalidation during the look-up replaced nothing that we hold, but the answer is not kept. */
	if (!Stale && registry == Current)
	{
		entry = hash_search(registry->relations, &relid, HASH_ENTER, NULL);
		entry->relation = relation;
	}
	return relation;
}

/*
 * The relation of a redacted view, or NULL.
 */
const ProtectedRelation *
RegistryView(Oid view)
{
	Registry *registry = CurrentRegistry();
	HASH_SEQ_STATUS status;
	TablePolicy *policy;
	Oid relation = InvalidOid;

	if (!registry)
		return NULL;
	hash_seq_init(&status, registry->policies);
	while ((policy = hash_seq_search(&status)) != NULL)
		if (policy->view == view)
			relation = policy->relation;
	return OidIsValid(relation) ? RegistryRelation(relation) : NULL;
}

/*
 * The column a value was sealed for, or NULL.
 */
const ProtectedColumn *
RegistryColumn(uint16 column_id)
{
	Registry *registry = CurrentRegistry();
	uint32 id = column_id;
	ColumnEntry *entry = registry ? hash_search(registry->columns, &id, HASH_FIND, NULL) : NULL;

	return entry ? &entry->column : NULL;
}

/*
 * A classified column by name, or NULL.
 */
const ProtectedColumn *
RegistryColumnNamed(Oid root, const char *name)
{
	Registry *registry = CurrentRegistry();
	const ProtectedColumn *found = NULL;
	HASH_SEQ_STATUS status;
	ColumnEntry *entry;

	if (!registry)
		return NULL;
	hash_seq_init(&status, registry->columns);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (entry->column.relation == root && strcmp(NameStr(entry->column.name), name) == 0)
			found = &entry->column;
	return found;
}

bool
RegistryHasRelations(void)
{
	Registry *registry = CurrentRegistry();

	return registry && hash_get_num_entries(registry->policies) > 0;
}

bool
RegistryHasSearchable(void)
{
	Registry *registry = CurrentRegistry();

	return registry && registry->searchable;
}
