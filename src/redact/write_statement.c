/*-------------------------------------------------------------------------
 * write_statement.c
 *		The statement on the table that a write through its view becomes.
 *
 * It names the columns that are written and finds the row by its primary key;
 * values are parameters.  The plan of the last statement is kept with the call
 * site, and freed with it: most statements write the same columns of many rows.
 *-------------------------------------------------------------------------
 */
#include "redact/write.h"

#include "access/htup_details.h"
#include "catalog/pg_operator.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* The last plan of a call site, and what it is for. */
typedef struct WritePlan
{
	SPIPlanPtr plan;
	uint64 generation; /* of the registry */
	CmdType command;
	Bitmapset *columns;
	MemoryContextCallback release;
} WritePlan;

/* Add an argument to the statement; its number. */
static int
AddArgument(WriteCall *call, int index, const Datum *values, const bool *nulls)
{
	int n = call->argument_count++;

	call->types[n] = TupleDescAttr(call->columns, index)->atttypid;
	call->arguments[n] = values[index];
	call->nulls[n] = nulls[index] ? 'n' : ' ';
	return n + 1;
}

/* The equality operator of a type, with its schema. */
static char *
EqualityOf(Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_EQ_OPR);
	HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(entry->eq_opr));
	Form_pg_operator form;
	char *name;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("type %s of a primary key has no equality", format_type_be(type))));
	form = (Form_pg_operator) GETSTRUCT(tuple);
	name = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
					NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return name;
}

/* Append the condition on the primary key of the old row. */
static void
AppendKey(StringInfo sql, WriteCall *call)
{
	const ProtectedRelation *relation = call->relation;

	if (relation->key_count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rows of table \"%s\" cannot be changed through its redacted view",
						get_rel_name(relation->relid)),
				 errdetail("The table has no primary key."),
				 errhint("Write to the table itself, or add a primary key before protecting it.")));
	for (int i = 0; i < relation->key_count; i++)
	{
		char *name = get_attname(relation->relid, relation->keys[i], false);
		int attnum = SPI_fnumber(call->columns, name);

		if (attnum <= 0)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("the redacted view lacks key column \"%s\"", name),
							errhint("Call phi.refresh_view() for the table.")));
		appendStringInfo(sql, "%s%s %s $%d", i == 0 ? " WHERE " : " AND ", quote_identifier(name),
						 EqualityOf(TupleDescAttr(call->columns, attnum - 1)->atttypid),
						 AddArgument(call, attnum - 1, call->old_values, call->old_nulls));
	}
}

/* Append what is written: "a = $1, b = $2", or "(a, b) VALUES ($1, $2)". */
static void
AppendWritten(StringInfo sql, WriteCall *call)
{
	StringInfoData values;
	int attnum = -1;

	initStringInfo(&values);
	while ((attnum = bms_next_member(call->written, attnum)) >= 0)
	{
		int n = AddArgument(call, attnum - 1, call->new_values, call->new_nulls);
		const char *name =
			quote_identifier(NameStr(TupleDescAttr(call->columns, attnum - 1)->attname));

		if (call->command == CMD_UPDATE)
			appendStringInfo(sql, "%s%s = $%d", n == 1 ? "" : ", ", name, n);
		else
		{
			appendStringInfo(sql, "%s%s", n == 1 ? " (" : ", ", name);
			appendStringInfo(&values, "%s$%d", n == 1 ? "" : ", ", n);
		}
	}
	if (call->command == CMD_INSERT && call->argument_count > 0)
		appendStringInfo(sql, ") VALUES (%s)", values.data);
	else if (call->command == CMD_INSERT)
		appendStringInfoString(sql, " DEFAULT VALUES");
	pfree(values.data);
}

/* The statement on the table; its arguments are left in call. */
static char *
ComposeStatement(WriteCall *call)
{
	Oid relid = call->relation->relid;
	char *table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
											 get_rel_name(relid));
	Size room = call->columns->natts + INDEX_MAX_KEYS;
	StringInfoData sql;

	initStringInfo(&sql);
	call->types = palloc(room * sizeof(Oid));
	call->arguments = palloc(room * sizeof(Datum));
	call->nulls = palloc0(room + 1);
	if (call->command == CMD_INSERT)
		appendStringInfo(&sql, "INSERT INTO %s", table);
	else if (call->command == CMD_UPDATE)
		appendStringInfo(&sql, "UPDATE %s SET ", table);
	else
		appendStringInfo(&sql, "DELETE FROM %s", table);
	if (call->command != CMD_DELETE)
		AppendWritten(&sql, call);
	if (call->command != CMD_INSERT)
		AppendKey(&sql, call);
	if (call->command != CMD_DELETE)
		appendStringInfoString(&sql, " RETURNING *");
	return sql.data;
}

/* Reset callback of the call site's memory. */
static void
ReleasePlan(void *argument)
{
	WritePlan *kept = argument;

	if (kept->plan)
		SPI_freeplan(kept->plan);
	kept->plan = NULL;
}

/* The plan of the statement, from the last call where it was the same. */
static SPIPlanPtr
PlanFor(FunctionCallInfo fcinfo, WriteCall *call, const char *sql)
{
	WritePlan *kept = fcinfo->flinfo->fn_extra;

	if (kept && kept->plan && kept->command == call->command &&
		kept->generation == RegistryGeneration() && bms_equal(kept->columns, call->written))
		return kept->plan;
	if (!kept)
	{
		kept = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(WritePlan));
		kept->release.func = ReleasePlan;
		kept->release.arg = kept;
		MemoryContextRegisterResetCallback(fcinfo->flinfo->fn_mcxt, &kept->release);
		fcinfo->flinfo->fn_extra = kept;
	}
	ReleasePlan(kept);
	kept->plan = SPI_prepare(sql, call->argument_count, call->types);
	if (!kept->plan || SPI_keepplan(kept->plan) != 0)
		elog(ERROR, "could not prepare a statement on a protected table: %s",
			 SPI_result_code_string(SPI_result));
	kept->generation = RegistryGeneration();
	kept->command = call->command;
	bms_free(kept->columns);
	kept->columns = NULL;
	if (call->written)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		kept->columns = bms_copy(call->written);
		MemoryContextSwitchTo(old);
	}
	return kept->plan;
}

/*
 * Raise an error of the statement again without what may show values: the
 * detail of a constraint, the line of a COPY in the context.
 */
static void
RaiseWithoutValues(MemoryContext context)
{
	ErrorData *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION)
	{
		error->detail = NULL;
		error->detail_log = NULL;
	}
	error->context = NULL;
	HideValueContext();
	ReThrowError(error);
}

bool
WriteStatement(FunctionCallInfo fcinfo, WriteCall *call)
{
	MemoryContext context = CurrentMemoryContext;
	const char *sql = ComposeStatement(call);
	OwnerScope scope;
	int result = 0;

	RelationOwnerBeginStatement(&scope, call->relation->relid);
	PG_TRY();
	{
		result =
			SPI_execute_plan(PlanFor(fcinfo, call, sql), call->arguments, call->nulls, false, 0);
	}
	PG_CATCH();
	{
		RaiseWithoutValues(context);
	}
	PG_END_TRY();
	OwnerEnd(&scope);
	if (result < 0)
		elog(ERROR, "could not write to a protected table: %s", SPI_result_code_string(result));
	/* The session need not have access to the others: an owner who is a superuser has no policies. */
	if (SPI_processed > 1)
		ereport(ERROR, (errcode(ERRCODE_CARDINALITY_VIOLATION),
						errmsg("several rows of table \"%s\" have the key of the row to be changed",
							   get_rel_name(call->relation->relid)),
						errhint("Its primary key was dropped: add it again.")));
	return SPI_processed > 0;
}
