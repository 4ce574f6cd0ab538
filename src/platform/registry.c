/*-------------------------------------------------------------------------
 * registry.c
 *		What is protected: the policy tables as structs, cached per process.
 *
 * The policy tables are read whole (registry_read.c) when a relcache
 * invalidation of one of them or of a protected relation came since.  A copy
 * that was replaced is kept until the transaction ends, so that pointers into
 * it stay valid.
 *-------------------------------------------------------------------------
 */
#include "platform/registry_tables.h"

#include "access/xact.h"
#include "catalog/partition.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

typedef struct RelationEntry
{
	Oid relid;
	const ProtectedRelation *relation; /* NULL: a partition of nothing protected */
} RelationEntry;

typedef struct Registry
{
	MemoryContext context;
	uint64 catalog_generation;
	PolicyTables tables;
	HTAB *relations; /* RelationEntry by relid: answers given so far */
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
	if (relid == InvalidOid || relid == Current->tables.table_policy ||
		relid == Current->tables.column_policy || relid == Current->tables.table_description ||
		hash_search(Current->tables.policies, &relid, HASH_FIND, NULL) ||
		hash_search(Current->relations, &relid, HASH_FIND, NULL))
	{
		Stale = true;
		Generation++;
		/* A plan hands phi.reveal columns by what they are classified as. */
		if (relid == Current->tables.column_policy)
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
	PolicyTablesMake(&registry->tables, context);
	registry->relations =
		MakePolicyHash("phi_guard relations", sizeof(Oid), sizeof(RelationEntry), context);
	Current = registry;
	Stale = false;
	PolicyTablesRead(&registry->tables);
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
		registry->context, (hash_get_num_entries(registry->tables.columns) + 1) * sizeof(ProtectedColumn));
	hash_seq_init(&status, registry->tables.columns);
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
		hash_search(registry->tables.descriptions, &relation->root, HASH_FIND, NULL);
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
	const TablePolicy *policy = hash_search(registry->tables.policies, &relid, HASH_FIND, NULL);
	List *ancestors;
	ListCell *cell;

	if (policy || !get_rel_relispartition(relid))
		return policy;
	ancestors = get_partition_ancestors(relid);
	foreach (cell, ancestors)
	{
		Oid ancestor = lfirst_oid(cell);

		policy = hash_search(registry->tables.policies, &ancestor, HASH_FIND, NULL);
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

	if (!registry || hash_get_num_entries(registry->tables.policies) == 0)
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
	hash_seq_init(&status, registry->tables.policies);
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
	ColumnEntry *entry = registry ? hash_search(registry->tables.columns, &id, HASH_FIND, NULL) : NULL;

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
	hash_seq_init(&status, registry->tables.columns);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (entry->column.relation == root && strcmp(NameStr(entry->column.name), name) == 0)
			found = &entry->column;
	return found;
}

bool
RegistryHasRelations(void)
{
	Registry *registry = CurrentRegistry();

	return registry && hash_get_num_entries(registry->tables.policies) > 0;
}

bool
RegistryHasSearchable(void)
{
	Registry *registry = CurrentRegistry();

	return registry && registry->tables.searchable;
}
