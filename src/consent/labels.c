/*-------------------------------------------------------------------------
 * labels.c
 *		Label sets: the labels of a row as a 16-bit number.
 *
 * A row of phi.label_set is never changed, and its id comes from a sequence,
 * which a rollback does not wind back: an id that was ever sealed into a value
 * means the same labels for good.  A set that is missing from the table counts
 * as the strictest of all.
 *
 * Both directions are cached, entry by entry, until a relcache invalidation of
 * the table: ids of a transaction that was rolled back must be forgotten.
 * Memory: one context below CacheMemoryContext; the table has at most 65,535
 * rows.  Locking: AccessShareLock while reading.
 *-------------------------------------------------------------------------
 */
#include "consent/verdict.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(phi_check_labels);

/* Columns of phi.label_set, by position. */
enum LabelSetColumn
{
	LS_ID = 1,
	LS_LABELS
};

/* Cached text forms are short; longer ones are looked up each time. */
#define TEXT_SIZE 120

typedef struct SetEntry
{
	uint32 id;
	phi_labels labels;
} SetEntry;

typedef struct IdEntry
{
	char text[TEXT_SIZE]; /* labels joined by commas */
	uint16 id;
} IdEntry;

static MemoryContext CacheContext = NULL;
static HTAB *Sets = NULL;
static HTAB *Ids = NULL;

/* The caches were emptied by a relcache invalidation, at the next use. */
static bool Stale = true;

/* OID of phi.label_set for the callback, which must not look it up. */
static Oid LabelTable = InvalidOid;

void
LabelsInvalidate(Oid relid)
{
	if (relid == InvalidOid || relid == LabelTable)
		Stale = true;
}

/* Start with empty caches where they are stale. */
static void
PrepareCaches(void)
{
	HASHCTL sets = {.keysize = sizeof(uint32), .entrysize = sizeof(SetEntry)};
	HASHCTL ids = {.keysize = TEXT_SIZE, .entrysize = sizeof(IdEntry)};

	if (likely(!Stale))
		return;
	LabelTable = PhiRelation("label_set");
	if (!CacheContext)
		CacheContext =
			AllocSetContextCreate(CacheMemoryContext, "phi_guard label sets", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(CacheContext);
	sets.hcxt = ids.hcxt = CacheContext;
	Sets = hash_create("phi_guard label sets", 32, &sets, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	Ids = hash_create("phi_guard label set ids", 32, &ids, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	Stale = false;
}

/* Labels that demand everything there is to demand. */
static phi_labels
StrictestLabels(void)
{
	phi_labels labels = {.rank = 6, .sensitivities = UINT64_MAX};

	return labels;
}

/* The labels of a text[]; one that is unknown or null makes them the strictest. */
static phi_labels
ArrayLabels(ArrayType *array)
{
	phi_labels labels = {0};
	Datum *elements;
	bool *nulls;
	int count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		text *code = nulls[i] ? NULL : DatumGetTextPP(elements[i]);

		if (!code || !phi_labels_add(&labels, VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code)))
			return StrictestLabels();
	}
	return labels;
}

phi_labels
LabelsOfArray(Datum labels)
{
	return ArrayLabels(DatumGetArrayTypeP(labels));
}

/* Read one set from the table; the strictest when it is not there. */
static phi_labels
ReadSet(uint16 label_set)
{
	Relation rel = table_open(LabelTable, AccessShareLock);
	phi_labels labels = StrictestLabels();
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	bool isnull;

	ScanKeyInit(&key, LS_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(label_set));
	scan = systable_beginscan(rel, PhiRelation("label_set_pkey"), true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		labels = ArrayLabels(
			DatumGetArrayTypeP(heap_getattr(tuple, LS_LABELS, RelationGetDescr(rel), &isnull)));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return labels;
}

phi_labels
LabelSetLabels(uint16 label_set)
{
	uint32 id = label_set;
	phi_labels labels = {0};
	SetEntry *entry;

	if (label_set == 0)
		return labels;
	PrepareCaches();
	entry = hash_search(Sets, &id, HASH_FIND, NULL);
	if (entry)
		return entry->labels;
	labels = ReadSet(label_set);
	PrepareCaches(); /* the read may have taken in an invalidation */
	entry = hash_search(Sets, &id, HASH_ENTER, NULL);
	entry->labels = labels;
	return labels;
}

/* Order of the codes in a set. */
static int
CompareCodes(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The codes of a text[], sorted, each once, NULL-terminated; unknown ones raise. */
static char **
SortedCodes(ArrayType *array, int *size)
{
	phi_labels known = {0};
	Datum *elements;
	bool *nulls;
	char **codes;
	int count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	codes = palloc((count + 1) * sizeof(char *));
	for (int i = 0; i < count; i++)
	{
		codes[i] = nulls[i] ? pstrdup("") : TextDatumGetCString(elements[i]);
		if (!phi_labels_add(&known, codes[i], strlen(codes[i])))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("element %d of the labels is not a label", i + 1),
							errhint("Labels are HL7 codes of confidentiality (U, L, M, N, R, V) or "
									"sensitivity (PSY, SUD, HIV, ...).")));
	}
	qsort(codes, count, sizeof(char *), CompareCodes);
	*size = 0;
	for (int i = 0; i < count; i++)
		if (*size == 0 || strcmp(codes[*size - 1], codes[i]) != 0)
			codes[(*size)++] = codes[i];
	codes[*size] = NULL;
	return codes;
}

/*
 * The id of a set, 0 when there is none; read with a catalog snapshot, so that
 * REPEATABLE READ finds the sets that others made meanwhile.
 */
static int32
FindId(Datum labels)
{
	Relation rel = table_open(LabelTable, AccessShareLock);
	int32 id = 0;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	bool isnull;

	/* The column's collation is "C", which is the one that ScanKeyInit sets. */
	ScanKeyInit(&key, LS_LABELS, BTEqualStrategyNumber, F_ARRAY_EQ, labels);
	scan = systable_beginscan(rel, PhiRelation("label_set_labels_key"), true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		id = DatumGetInt32(heap_getattr(tuple, LS_ID, RelationGetDescr(rel), &isnull));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return id;
}

/* Make a set; where another session is making the same one, this waits for it. */
static void
MakeSet(Datum labels)
{
	Oid type = TEXTARRAYOID;
	OwnerScope scope;

	OwnerBegin(&scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("INSERT INTO phi.label_set (labels) VALUES ($1) "
							  "ON CONFLICT (labels) DO NOTHING",
							  1, &type, &labels, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert into phi.label_set");
	SPI_finish();
	OwnerEnd(&scope);
}

/* The id of a sorted set, made when new. */
static uint16
FindOrMakeId(char **codes, int count)
{
	Datum *elements = palloc(count * sizeof(Datum));
	Datum labels;
	int32 id;

	for (int i = 0; i < count; i++)
		elements[i] = CStringGetTextDatum(codes[i]);
	labels = PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
	id = FindId(labels);
	if (id == 0)
	{
		MakeSet(labels);
		CommandCounterIncrement();
		id = FindId(labels);
	}
	if (id < 1 || id > PG_UINT16_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("could not make a label set"),
				 errdetail("There can be %d sets of labels.", PG_UINT16_MAX)));
	return (uint16) id;
}

uint16
LabelSetId(Datum labels, bool isnull)
{
	char **codes;
	int count;
	StringInfoData text;
	IdEntry *entry = NULL;
	uint16 id;

	if (isnull)
		return 0;
	codes = SortedCodes(DatumGetArrayTypeP(labels), &count);
	if (count == 0)
		return 0;
	initStringInfo(&text);
	for (int i = 0; i < count; i++)
		appendStringInfo(&text, "%s%s", i > 0 ? "," : "", codes[i]);
	PrepareCaches();
	if (text.len < TEXT_SIZE)
		entry = hash_search(Ids, text.data, HASH_FIND, NULL);
	if (entry)
		return entry->id;
	id = FindOrMakeId(codes, count);
	PrepareCaches();
	if (text.len < TEXT_SIZE)
		((IdEntry *) hash_search(Ids, text.data, HASH_ENTER, NULL))->id = id;
	return id;
}

/*
 * phi.check_labels(labels): raise for what is no label.
 */
Datum
phi_check_labels(PG_FUNCTION_ARGS)
{
	int count;

	if (!PG_ARGISNULL(0))
		(void) SortedCodes(PG_GETARG_ARRAYTYPE_P(0), &count);
	PG_RETURN_VOID();
}
