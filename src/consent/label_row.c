/*-------------------------------------------------------------------------
 * label_row.c
 *		phi.label_row(): a trigger that labels a row by its code.
 *
 * Labels are added, never taken away.  Only the columns named are looked at,
 * and only of text types, so that nothing of the table's owner runs here.
 *-------------------------------------------------------------------------
 */
#include "consent/consent.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(phi_label_row);

/* The number of the column that an argument names, of one of two types; raises for others. */
static int
ArgumentColumn(const TriggerData *trigger, int argument, Oid type, Oid other)
{
	TupleDesc desc = RelationGetDescr(trigger->tg_relation);
	int column = SPI_fnumber(desc, trigger->tg_trigger->tgargs[argument]);

	if (column > 0 && (SPI_gettypeid(desc, column) == type || SPI_gettypeid(desc, column) == other))
		return column;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("column \"%s\" of relation \"%s\" cannot be used by phi.label_row",
						   trigger->tg_trigger->tgargs[argument],
						   RelationGetRelationName(trigger->tg_relation)),
					errhint("The arguments are a column of type text[] for the labels, one of type "
							"text or varchar for the code, and a code system.")));
}

/* The labels given and those of the code, each once; in the current memory context. */
static Datum
AllLabels(Datum given, bool isnull, const char *system, Datum code, bool *none)
{
	static const char *const query =
		"SELECT pg_catalog.array_agg(u.label ORDER BY u.label) FROM (SELECT pg_catalog.unnest($1) "
		"UNION SELECT pg_catalog.unnest(r.labels) FROM phi.label_rule r "
		"WHERE r.system OPERATOR(pg_catalog.=) $2 AND r.code OPERATOR(pg_catalog.=) $3) "
		"AS u (label)";
	Oid types[3] = {TEXTARRAYOID, TEXTOID, TEXTOID};
	Datum values[3] = {given, CStringGetTextDatum(system), code};
	char nulls[3] = {isnull ? 'n' : ' ', ' ', ' '};
	MemoryContext caller = CurrentMemoryContext;
	OwnerScope scope;
	Datum labels;

	OwnerBegin(&scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(query, 3, types, values, nulls, false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read phi.label_rule");
	labels = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, none);
	if (!*none)
	{
		MemoryContext inside = MemoryContextSwitchTo(caller);

		labels = PointerGetDatum(DatumGetArrayTypePCopy(labels));
		MemoryContextSwitchTo(inside);
	}
	SPI_finish();
	OwnerEnd(&scope);
	return labels;
}

/*
 * phi.label_row(labels column, code column, code system): for a BEFORE INSERT
 * OR UPDATE row trigger.
 */
Datum
phi_label_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple row;
	TupleDesc desc;
	int labels_column;
	Datum labels;
	Datum code;
	bool labels_null;
	bool code_null;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ||
		trigger->tg_trigger->tgnargs != 3)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("phi.label_row is for a BEFORE INSERT OR UPDATE row trigger with three "
						"arguments")));
	desc = RelationGetDescr(trigger->tg_relation);
	row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
	labels_column = ArgumentColumn(trigger, 0, TEXTARRAYOID, TEXTARRAYOID);
	code = heap_getattr(row, ArgumentColumn(trigger, 1, TEXTOID, VARCHAROID), desc, &code_null);
	if (code_null)
		return PointerGetDatum(row);
	labels = heap_getattr(row, labels_column, desc, &labels_null);
	labels = AllLabels(labels, labels_null, trigger->tg_trigger->tgargs[2], code, &labels_null);
	return PointerGetDatum(
		heap_modify_tuple_by_cols(row, desc, 1, &labels_column, &labels, &labels_null));
}
