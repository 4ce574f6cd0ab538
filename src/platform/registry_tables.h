/*-------------------------------------------------------------------------
 * registry_tables.h
 *		The policy tables as they are read, for registry.c alone.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_PLATFORM_REGISTRY_TABLES_H
#define PHI_PLATFORM_REGISTRY_TABLES_H

#include "platform/platform.h"
#include "platform/registry.h"

#include "utils/hsearch.h"

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

typedef struct ColumnEntry
{
	uint32 column_id;
	ProtectedColumn column;
} ColumnEntry;

/* The policy tables, read. */
typedef struct PolicyTables
{
	Oid table_policy;
	Oid table_description;
	Oid column_policy;
	HTAB *policies;     /* TablePolicy by relation */
	HTAB *descriptions; /* TableDescription by relation */
	HTAB *columns;      /* ColumnEntry by id */
	bool searchable;    /* a sealed column is */
} PolicyTables;

/* A hash table in a context, keyed by the first keysize bytes of its entries. */
extern HTAB *MakePolicyHash(const char *name, Size keysize, Size entrysize, MemoryContext context);

/* Find the tables, and make what is to hold them, in a context. */
extern void PolicyTablesMake(PolicyTables *tables, MemoryContext context);

/* Read them whole, with a catalog snapshot. */
extern void PolicyTablesRead(PolicyTables *tables);

#endif /* PHI_PLATFORM_REGISTRY_TABLES_H */
