/*-------------------------------------------------------------------------
 * write.c
 *		Writing through the redacted view: its INSTEAD OF trigger.
 *
 * What was not seen is not written: an UPDATE sets the columns whose new value
 * differs from what the view showed, so that a redacted value that is read and
 * written back changes nothing, and a text that looks like a mask, or like a
 * scrubbed one, is refused.
 * An INSERT leaves columns without a value to the table's defaults.
 *
 * The statement on the table runs as the table's owner, with the table's schema
 * as search_path: PostgreSQL has checked the writer's privileges on the view.  Who may
 * write which rows is decided for the session, by the table's policies and here
 * once more: an owner who is a superuser has no policies.
 *
 * RETURNING shows what was written, in the form that the session sees, and
 * columns that are not encrypted as they are stored.  Nothing is opened here.
 *
 * Memory: the plan of the last statement is kept with the call site and freed
 * with it; the rest goes with the executor's per-tuple memory.
 *-------------------------------------------------------------------------
 */
#include "redact/write.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "consent/consent.h"
#include "core/scrub.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "types/reveal.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(phi_write_through);

#define MASK "***" /* in every text that a form has masked */

/* The attribute number in the table of a column of the view. */
static AttrNumber
TableColumn(const WriteCall *call, int index)
{
	const char *name = NameStr(TupleDescAttr(call->columns, index)->attname);
	AttrNumber attnum = get_attnum(call->relation->relid, name);

	if (attnum <= 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("column \"%s\" of the redacted view is not one of table \"%s\"",
							   name, get_rel_name(call->relation->relid)),
						errhint("Call phi.refresh_view() for the table.")));
	return attnum;
}

/* The encrypted column of the table behind a column of the view, or NULL. */
static const ProtectedColumn *
SealedColumn(const WriteCall *call, int index)
{
	AttrNumber attnum = TableColumn(call, index);

	for (int i = 0; i < call->relation->column_count; i++)
		if (call->relation->columns[i].attnum == attnum)
			return &call->relation->columns[i];
	return NULL;
}

/*
 * Is the new value another one than the view showed?  Of a form, what is equal
 * to it is not: 90.0 for 90.  Of a value that is shown as it is stored, any
 * difference counts: 1.00 for 1.0, a day for 24 hours.
 */
static bool
IsChanged(const WriteCall *call, int index)
{
	Form_pg_attribute column = TupleDescAttr(call->columns, index);
	TypeCacheEntry *type;

	if (call->old_nulls[index] || call->new_nulls[index])
		return call->old_nulls[index] != call->new_nulls[index];
	if (datum_image_eq(call->old_values[index], call->new_values[index], column->attbyval,
					   column->attlen))
		return false;
	type = lookup_type_cache(column->atttypid, TYPECACHE_EQ_OPR_FINFO);
	return !OidIsValid(type->eq_opr) ||
		   !DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo, column->attcollation,
										   call->old_values[index], call->new_values[index])) ||
		   !SealedColumn(call, index);
}

/* Raise for a text that looks like a redacted form: somebody writes back what was shown. */
static void
RefuseMask(const WriteCall *call, int index)
{
	Form_pg_attribute column = TupleDescAttr(call->columns, index);
	const ProtectedColumn *sealed = SealedColumn(call, index);
	char *value;
	bool masked;

	if (column->atttypid != TEXTOID || !sealed)
		return;
	value = TextDatumGetCString(call->new_values[index]);
	masked = strstr(value, MASK) != NULL ||
			 (sealed->scrubbed && SessionForm(sealed->kind) != PHI_FORM_FULL &&
			  phi_scrub_marked(phi_bytes_of(value, strlen(value))));
	SecretWipe(value, strlen(value));
	pfree(value);
	if (!masked)
		return;
	HideValueContext();
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("value for column \"%s\" looks like a redacted one", NameStr(column->attname)),
			 errhint("Leave the column as it was read, or write the whole value.")));
}

/* Raise for the subject column of a row that is there: its values belong to that subject. */
static void
RefuseSubject(const WriteCall *call, int index)
{
	if (call->command == CMD_UPDATE && TableColumn(call, index) == call->relation->subject)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("the subject of a row cannot be changed through a redacted view"),
						errhint("Delete the row, and insert it for the other subject.")));
}

/* Choose the columns that are to be written. */
static void
ChooseColumns(WriteCall *call)
{
	for (int i = 0; call->new_values && i < call->columns->natts; i++)
	{
		bool written = call->command == CMD_INSERT ? !call->new_nulls[i] : IsChanged(call, i);

		if (!written)
			continue;
		RefuseSubject(call, i);
		if (!call->new_nulls[i])
			RefuseMask(call, i);
		call->written = bms_add_member(call->written, i + 1);
	}
}

/* The subject and label set of a stored row; raises when the session may not have it there. */
static void
CheckRow(const WriteCall *call, HeapTuple row, TupleDesc columns, uint64 *subject_token,
		 uint16 *label_set)
{
	const ProtectedRelation *relation = call->relation;
	bool isnull;
	Datum value = heap_getattr(row, relation->subject, columns, &isnull);

	*subject_token = isnull ? 0 : SubjectToken(value, relation->subject_type);
	*label_set = 0;
	if (relation->labels != 0)
	{
		value = heap_getattr(row, relation->labels, columns, &isnull);
		*label_set = LabelSetId(value, isnull);
	}
	if (StoredRowPermitted(relation, row, columns))
		return;
	HideValueContext();
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("new row violates the access policy of table \"%s\"",
						   get_rel_name(relation->relid)),
					errhint("phi.explain_access() tells what decides.")));
}

/* Does the view show a column of the table as it is stored? */
static bool
ShownAsStored(const WriteCall *call, int index)
{
	Query *query = get_view_query(call->view);
	const TargetEntry *entry = list_nth(query->targetList, index);

	return IsA(strip_implicit_coercions((Node *) entry->expr), Var);
}

/* The row for RETURNING: what is stored, what was written in its form, and what was seen before. */
static HeapTuple
ShowRow(const WriteCall *call, HeapTuple row, TupleDesc columns)
{
	uint64 subject_token;
	uint16 label_set;

	CheckRow(call, row, columns, &subject_token, &label_set);
	for (int i = 0; i < call->columns->natts; i++)
	{
		const ProtectedColumn *column = SealedColumn(call, i);

		if (column && bms_is_member(i + 1, call->written) && !call->new_nulls[i])
			call->new_values[i] =
				ShowWritten(column, TupleDescAttr(call->columns, i)->atttypid, subject_token,
							label_set, call->new_values[i], &call->new_nulls[i]);
		else if (!column && ShownAsStored(call, i))
			call->new_values[i] =
				heap_getattr(row, TableColumn(call, i), columns, &call->new_nulls[i]);
		else if (!column)
			call->new_nulls[i] = true;
	}
	return heap_form_tuple(call->columns, call->new_values, call->new_nulls);
}

/* Raise unless called as the trigger of a redacted view. */
static void
CheckTrigger(FunctionCallInfo fcinfo, WriteCall *call)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	RequirePreload();
	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_INSTEAD(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("phi.write_through must be an INSTEAD OF row trigger")));
	call->view = trigger->tg_relation;
	call->columns = RelationGetDescr(trigger->tg_relation);
	call->relation = RegistryView(RelationGetRelid(trigger->tg_relation));
	if (!call->relation)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("view \"%s\" is not the redacted view of a protected table",
							   RelationGetRelationName(trigger->tg_relation))));
	call->command = TRIGGER_FIRED_BY_INSERT(trigger->tg_event)   ? CMD_INSERT
					: TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? CMD_UPDATE
																 : CMD_DELETE;
}

/* Take a row of the view apart. */
static void
ReadValues(const WriteCall *call, HeapTuple tuple, Datum **values, bool **nulls)
{
	*values = palloc(call->columns->natts * sizeof(Datum));
	*nulls = palloc(call->columns->natts * sizeof(bool));
	heap_deform_tuple(tuple, call->columns, *values, *nulls);
}

/*
 * phi.write_through(): the INSTEAD OF trigger of redacted views.
 *
 * Raises INVALID_PARAMETER_VALUE for a value that looks like a mask,
 * INSUFFICIENT_PRIVILEGE for a row that the session has no access to,
 * FEATURE_NOT_SUPPORTED for UPDATE and DELETE without a primary key and for
 * another subject, CARDINALITY_VIOLATION where several rows have the key, and
 * what the table's constraints raise, without the values.
 */
Datum
phi_write_through(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	WriteCall call = {0};
	HeapTuple result;
	bool found;

	CheckTrigger(fcinfo, &call);
	NoteSensitiveStatement();
	if (call.command != CMD_INSERT)
		ReadValues(&call, trigger->tg_trigtuple, &call.old_values, &call.old_nulls);
	if (call.command != CMD_DELETE)
		ReadValues(&call, call.command == CMD_INSERT ? trigger->tg_trigtuple : trigger->tg_newtuple,
				   &call.new_values, &call.new_nulls);
	ChooseColumns(&call);
	result = call.command == CMD_UPDATE ? trigger->tg_newtuple : trigger->tg_trigtuple;
	if (call.command == CMD_UPDATE && bms_is_empty(call.written))
		return PointerGetDatum(result);

	SPI_connect();
	found = WriteStatement(fcinfo, &call);
	if (found && call.command != CMD_DELETE)
		result = SPI_copytuple(ShowRow(&call, SPI_tuptable->vals[0], SPI_tuptable->tupdesc));
	SPI_finish();
	return PointerGetDatum(found ? result : NULL);
}
