/*-------------------------------------------------------------------------
 * registry.h
 *		What is protected: phi.table_policy and phi.column_policy as structs.
 *
 * Pointers stay valid until the end of the current transaction.  A relation
 * is found by its own OID or, for a partition, through its topmost parent;
 * attribute numbers are those of the relation asked for.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_PLATFORM_REGISTRY_H
#define PHI_PLATFORM_REGISTRY_H

#include "platform/compat.h"

#include "core/codes.h"
#include "core/envelope.h"
#include "core/forms.h"

typedef struct ProtectedColumn
{
	uint16 column_id; /* never 0, never used again */
	uint8 uuid[PHI_UUID_SIZE];
	Oid relation; /* the topmost relation; 0 when it is gone */
	NameData relation_name;
	NameData name;
	AttrNumber attnum; /* in the relation asked for; 0 from RegistryColumn() */
	phi_kind kind;
	bool sealed; /* protect() has converted it */
	bool shreddable; /* values are sealed under a key of their subject */
	bool searchable;
	uint8 search_generation;	 /* of the key of its search tags */
	NameData search_context;	 /* columns of one context can be compared; empty: the column's own */
	uint8 next_generation;		 /* that tags are being moved to; 0: none are */
	uint16 search_buckets;		 /* the tags are moved in so many parts */
	uint16 search_moved;		 /* of which so many have been */
	bool scrubbed;				 /* a free text: forms below full show it without identifiers */
	bool identifies;			 /* its values are what a free text of the row is scrubbed of */
} ProtectedColumn;

/* What of a row a consent can depend on, beside its subject and labels. */
typedef enum RowAttribute
{
	ROW_CODE,	   /* text or text[]: codes, "system|code" or bare */
	ROW_DATA_TIME, /* date, timestamp (of UTC) or timestamptz */
	ROW_AUTHOR,	   /* the others: references, text, integer or uuid */
	ROW_ENCOUNTER,
	ROW_REFERENCE, /* the row itself */
	ROW_ATTRIBUTES
} RowAttribute;

#define RESOURCE_TYPE_SIZE 64
#define OTHER_SUBJECTS	   8

/* What phi.describe() said; attribute numbers are 0 for what the table does not have. */
typedef struct RowDescription
{
	char resource_type[RESOURCE_TYPE_SIZE]; /* empty when not said */
	phi_labels labels_fixed;				/* of every row, beside its own */
	bool unlabelled_restricted;				/* a row without labels counts as R, not as N */
	bool by_row; /* one of the columns below is there: policies use the long predicate */
	AttrNumber attributes[ROW_ATTRIBUTES];
	int other_subject_count; /* columns with further subjects of the row, or arrays of them */
	AttrNumber other_subjects[OTHER_SUBJECTS];
} RowDescription;

typedef struct ProtectedRelation
{
	Oid relid;	/* the relation asked for */
	Oid root;	/* the relation that phi.protect was called for */
	Oid view;	/* its redacted view, or 0 */
	AttrNumber subject; /* attribute number of the subject column */
	Oid subject_type;
	AttrNumber labels; /* of the label column, or 0 */
	RowDescription description;
	bool capture_row;  /* capture => 'row' */
	bool shreddable;   /* a key for each subject */
	int key_count;	   /* columns of the primary key, 0 without one */
	AttrNumber keys[INDEX_MAX_KEYS];
	Oid key_types[INDEX_MAX_KEYS];
	int column_count; /* classified and sealed columns */
	ProtectedColumn *columns;
	int identifier_count; /* of these columns, those that identify */
	uint64 kinds; /* bit per phi_kind present */
} ProtectedRelation;

/* NULL when the relation is not protected. */
extern const ProtectedRelation *RegistryRelation(Oid relid);

/* The relation whose redacted view this is; NULL for any other. */
extern const ProtectedRelation *RegistryView(Oid view);

/* The column a value was sealed for; NULL when the id was never given. */
extern const ProtectedColumn *RegistryColumn(uint16 column_id);

/* The classified column of this name of a protected relation, sealed or not; NULL when there is none. */
extern const ProtectedColumn *RegistryColumnNamed(Oid root, const char *name);

/* Is any relation protected?  Is any column searchable?  Cheap. */
extern bool RegistryHasRelations(void);
extern bool RegistryHasSearchable(void);

/* Changes whenever an answer above may have. */
extern uint64 RegistryGeneration(void);

/* Called by _PG_init. */
extern void RegistryInit(void);

#endif /* PHI_PLATFORM_REGISTRY_H */
