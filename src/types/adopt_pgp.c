/*-------------------------------------------------------------------------
 * adopt_pgp.c
 *		Adopting a column that pgcrypto encrypted: phi.adopt_pgp and its dry
 *		run.
 *
 * Here the key leaves SQL; what is to be done with the table is in plpgsql
 * (phi.adopt_column), which never sees it.  The rewrite asks phi.adoption()
 * which column is concerned, and opens its values in phi.adopt_in_place
 * (convert.c).
 *
 * The dry run reads the table below the executor, with the latest snapshot:
 * row security and the owner's code have no say in what is counted.
 *-------------------------------------------------------------------------
 */
#include "types/pgcrypto.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "consent/consent.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "platform/registry.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(phi_adopt_pgp);
PG_FUNCTION_INFO_V1(phi_adopt_pgp_plan);
PG_FUNCTION_INFO_V1(phi_adoption);

/* Positions of the arguments that both functions have. */
enum CommonArgument
{
	ARG_RELATION,
	ARG_COLUMN,
	ARG_KEY,
	ARG_KIND,
	ARG_TYPE,
	ARG_CIPHER,
	ARG_IV,
	ARG_IV_COLUMN,
	ARG_SEARCHABLE,
	ARG_COUNT = 14
};

typedef struct AdoptionCount
{
	int64 values;
	int64 unreadable;
} AdoptionCount;

/* ---- arguments ---- */

/* Raise when an argument that must be there is NULL. */
static void
RequireArgument(FunctionCallInfo fcinfo, int position, const char *what)
{
	if (PG_ARGISNULL(position))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("no %s given", what)));
}

/* The type of a column; raises unless it can have values of one of two types. */
static Oid
ColumnType(Oid relation, const char *column, bool vector)
{
	AttrNumber attnum = get_attnum(relation, column);
	Oid type;

	if (attnum <= 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("column \"%s\" of table \"%s\" does not exist", column,
							   get_rel_name(relation) ? get_rel_name(relation) : "")));
	type = get_atttype(relation, attnum);
	if (type != BYTEAOID && (vector || (type != TEXTOID && type != VARCHAROID)))
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("column \"%s\" of table \"%s\" has type %s", column,
							   get_rel_name(relation), format_type_be(type)),
						vector ? errhint("A column of initialization vectors has type bytea.")
							   : errhint("pgcrypto's values have type bytea, or text where armor() "
										 "made it.")));
	return type;
}

/* What the values are: by the name of a plain type, or else by the kind. */
static InnerType
WantedInner(const char *type, const char *kind_name)
{
	phi_kind kind;

	if (type)
	{
		for (InnerType inner = 0; inner < INNER_COUNT; inner++)
			if (strcmp(type, InnerName(inner)) == 0)
				return inner;
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a type that can be sealed", type),
				 errhint("The types are text, date, timestamptz, numeric, jsonb and bytea.")));
	}
	if (!phi_kind_find(kind_name, strlen(kind_name), &kind))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" is not a kind of identifier", kind_name),
						errhint("The kinds are listed in docs/redaction.md.")));
	switch (kind)
	{
		case PHI_KIND_BIRTH_DATE:
		case PHI_KIND_DEATH_DATE:
		case PHI_KIND_SERVICE_DATE:
			return INNER_DATE;
		case PHI_KIND_AGE:
			return INNER_NUMERIC;
		case PHI_KIND_BIOMETRIC:
		case PHI_KIND_PHOTO:
			return INNER_BYTEA;
		default:
			return INNER_TEXT;
	}
}

/* Begin the adoption that the arguments of a call ask for. */
static void
BeginFromArguments(FunctionCallInfo fcinfo)
{
	Adoption wanted = {0};
	const char *type = NULL;

	RequirePreload();
	NoteSensitiveStatement();
	RequireArgument(fcinfo, ARG_RELATION, "table");
	RequireArgument(fcinfo, ARG_COLUMN, "column");
	RequireArgument(fcinfo, ARG_KEY, "key");
	RequireArgument(fcinfo, ARG_KIND, "kind");
	RequireArgument(fcinfo, ARG_CIPHER, "cipher");
	wanted.relation = PG_GETARG_OID(ARG_RELATION);
	wanted.column = *PG_GETARG_NAME(ARG_COLUMN);
	wanted.stored = ColumnType(wanted.relation, NameStr(wanted.column), false);
	if (!PG_ARGISNULL(ARG_IV_COLUMN))
	{
		wanted.iv = *PG_GETARG_NAME(ARG_IV_COLUMN);
		(void) ColumnType(wanted.relation, NameStr(wanted.iv), true);
	}
	if (!PG_ARGISNULL(ARG_TYPE))
		type = text_to_cstring(PG_GETARG_TEXT_PP(ARG_TYPE));
	wanted.inner = WantedInner(type, text_to_cstring(PG_GETARG_TEXT_PP(ARG_KIND)));
	AdoptionBegin(&wanted, PG_GETARG_TEXT_PP(ARG_KEY),
				  text_to_cstring(PG_GETARG_TEXT_PP(ARG_CIPHER)),
				  PG_ARGISNULL(ARG_IV) ? NULL : PG_GETARG_BYTEA_PP(ARG_IV));
}

/* ---- adoption ---- */

/* Run phi.adopt_column with the arguments of phi.adopt_pgp that are not about the cipher. */
static void
RunAdoption(FunctionCallInfo fcinfo)
{
	static const int positions[] = {ARG_RELATION,       ARG_COLUMN,         ARG_KIND,
									ARG_SEARCHABLE,     ARG_SEARCHABLE + 1, ARG_SEARCHABLE + 2,
									ARG_SEARCHABLE + 3, ARG_SEARCHABLE + 4};
	Oid types[] = {REGCLASSOID, NAMEOID, TEXTOID, BOOLOID, NAMEOID, NAMEOID, TEXTOID, NAMEOID};
	Datum values[lengthof(positions)];
	char nulls[lengthof(positions) + 1] = {0};

	for (int i = 0; i < lengthof(positions); i++)
	{
		nulls[i] = PG_ARGISNULL(positions[i]) ? 'n' : ' ';
		values[i] = PG_ARGISNULL(positions[i]) ? (Datum) 0 : PG_GETARG_DATUM(positions[i]);
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("SELECT phi.adopt_column($1, $2, $3, $4, $5, $6, $7, $8)",
							  lengthof(positions), types, values, nulls, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not adopt a column");
	SPI_finish();
}

/*
 * phi.adopt_pgp(relation, column_name, key, kind, type, cipher, iv, iv_column,
 * searchable, context, subject, view, labels): seals a column that pgcrypto
 * encrypted; returns the number of its values.
 */
Datum
phi_adopt_pgp(PG_FUNCTION_ARGS)
{
	volatile int64 adopted = 0;

	BeginFromArguments(fcinfo);
	PG_TRY();
	{
		RunAdoption(fcinfo);
		adopted = AdoptionInProgress()->values;
	}
	PG_FINALLY();
	{
		AdoptionEnd();
	}
	PG_END_TRY();
	PG_RETURN_INT64(adopted);
}

/*
 * phi.adoption(relation, column_name, OUT family text, OUT iv name): is this
 * column being adopted in this call of phi.adopt_pgp?  NULLs when it is not.
 */
Datum
phi_adoption(PG_FUNCTION_ARGS)
{
	const Adoption *adoption = AdoptionInProgress();
	TupleDesc columns;
	Datum values[2] = {0};
	bool nulls[2] = {true, true};

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (OidIsValid(adoption->relation) && adoption->relation == PG_GETARG_OID(0) &&
		strcmp(NameStr(adoption->column), NameStr(*PG_GETARG_NAME(1))) == 0)
	{
		values[0] = CStringGetTextDatum(InnerName(adoption->inner));
		values[1] = NameGetDatum(&adoption->iv);
		nulls[0] = false;
		nulls[1] = NameStr(adoption->iv)[0] == '\0';
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}

/* ---- the dry run ---- */

/* Open one value and wipe it. */
static void
CountValue(AdoptionCount *count, Datum stored, bytea *iv)
{
	Datum plain;

	count->values++;
	if (!AdoptionOpen(stored, iv, &plain))
		count->unreadable++;
	else if (get_typlen(InnerTypeOid(AdoptionInProgress()->inner)) == -1)
		SecretWipe(VARDATA_ANY(DatumGetPointer(plain)), VARSIZE_ANY_EXHDR(DatumGetPointer(plain)));
}

/* The values of one table. */
static void
CountTable(AdoptionCount *count, Oid relid)
{
	const Adoption *adoption = AdoptionInProgress();
	Relation relation = table_open(relid, AccessShareLock);
	AttrNumber column = get_attnum(relid, NameStr(adoption->column));
	AttrNumber vector =
		NameStr(adoption->iv)[0] == '\0' ? 0 : get_attnum(relid, NameStr(adoption->iv));
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, NULL);
	MemoryContext row =
		AllocSetContextCreate(CurrentMemoryContext, "phi_guard row", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(row);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool isnull;
		bool no_vector = true;
		Datum stored = slot_getattr(slot, column, &isnull);
		Datum iv = vector == 0 ? (Datum) 0 : slot_getattr(slot, vector, &no_vector);

		CHECK_FOR_INTERRUPTS();
		if (!isnull)
			CountValue(count, stored, no_vector ? NULL : DatumGetByteaPP(iv));
		MemoryContextReset(row);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	table_close(relation, NoLock);
}

/* The values of a table and its partitions. */
static void
CountTree(AdoptionCount *count, Oid relid)
{
	List *members = find_all_inheritors(relid, AccessShareLock, NULL);
	ListCell *cell;

	foreach (cell, members)
		if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_RELATION)
			CountTable(count, lfirst_oid(cell));
}

/*
 * phi.adopt_pgp_plan(relation, column_name, key, kind, type, cipher, iv,
 * iv_column, OUT "values", OUT unreadable): how many values phi.adopt_pgp
 * would find, and how many of them would stop it.  Changes nothing.
 */
Datum
phi_adopt_pgp_plan(PG_FUNCTION_ARGS)
{
	AdoptionCount count = {0};
	TupleDesc columns;
	Datum values[2];
	bool nulls[2] = {false};

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	BeginFromArguments(fcinfo);
	PG_TRY();
	{
		CountTree(&count, PG_GETARG_OID(ARG_RELATION));
	}
	PG_FINALLY();
	{
		AdoptionEnd();
	}
	PG_END_TRY();
	values[0] = Int64GetDatum(count.values);
	values[1] = Int64GetDatum(count.unreadable);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}
