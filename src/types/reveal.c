/*-------------------------------------------------------------------------
 * reveal.c
 *		The one door out: phi.reveal() opens a value for a user, after the
 *		decision, in the form that the session may see.
 *
 * Nothing else in the extension returns a plain value to a query.  It gives
 * NULL when nothing may be shown, for an unbound value (it belongs to nobody
 * yet), for one whose subject was shredded, in a security-restricted operation (ANALYZE of an expression would
 * store it) and while a query is planned.  It is refused in triggers and in whatever else a data-modifying
 * statement runs by itself: that is the table owner's code, in the session of
 * whoever writes.  Rules are refused by the planner hook.
 *-------------------------------------------------------------------------
 */
#include "types/reveal.h"
#include "types/sealing.h"

#include "access/xact.h"
#include "audit/audit.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "consent/consent.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(phi_reveal);
PG_FUNCTION_INFO_V1(phi_reveal_column);

/* What a call site remembers. */
typedef struct RevealState
{
	InnerType inner;
	StringInfoData keys;
	int key_end;			   /* argument after those of the key: the planner's mark, or none */
	bool described;			   /* labels and attributes of the row come after the mark */
	RowAttributes attributes;
	const ProtectedColumn *column; /* of the last value, and the registry it is from */
	uint64 registry_generation;
} RevealState;

/* Find the mark after which the planner adds what is known of the value's row (consent/planner.c). */
static void
FindMark(FunctionCallInfo fcinfo, RevealState *state)
{
	Oid mark = PhiType("planner_mark");

	state->key_end = PG_NARGS();
	for (int i = 1; i < PG_NARGS(); i++)
		if (get_fn_expr_argtype(fcinfo->flinfo, i) == mark)
		{
			state->key_end = i;
			state->described = !PG_ARGISNULL(i) && PG_NARGS() == i + 2 + ROW_ATTRIBUTES;
			break;
		}
	if (state->described)
		AttributesInit(&state->attributes, fcinfo, state->key_end + 2);
}

/* The state of this call site. */
static RevealState *
CallState(FunctionCallInfo fcinfo)
{
	RevealState *state = fcinfo->flinfo->fn_extra;
	MemoryContext old;
	Oid *arguments;
	int count;

	if (likely(state))
		return state;
	old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	state = palloc0(sizeof(RevealState));
	(void) get_func_signature(fcinfo->flinfo->fn_oid, &arguments, &count);
	state->inner = InnerOfEncrypted(arguments[0]);
	initStringInfo(&state->keys);
	FindMark(fcinfo, state);
	MemoryContextSwitchTo(old);
	fcinfo->flinfo->fn_extra = state;
	return state;
}

/* The column that a value was sealed for, remembered: a call site sees one column's values. */
static const ProtectedColumn *
ValueColumn(RevealState *state, const phi_header *header)
{
	if (likely(state->column && state->column->column_id == header->column_id &&
			   state->registry_generation == RegistryGeneration()))
		return state->column;
	state->column = RegistryColumn(header->column_id);
	state->registry_generation = RegistryGeneration();
	if (!state->column)
		ReportStatus(PHI_ERR_AUTH, "open a sealed value");
	return state->column;
}

void
RefuseInImplicitCode(const char *function)
{
	if (ImplicitCodeRunning())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("%s cannot be used in a trigger, nor in a function that a "
							   "data-modifying statement calls",
							   function),
						errhint("Such code sees sealed values; reveal them in a query of its own.")));
}

/* Raise: a value that was moved past the sealing trigger. */
static PHI_NORETURN void
RaiseMoved(const ProtectedColumn *column, const char *place)
{
	ereport(LOG, (errmsg("phi_guard: a value of column \"%s\" of relation \"%s\" was found in a %s "
						 "that it was not sealed for",
						 NameStr(column->name), NameStr(column->relation_name), place),
				  errhidestmt(true), errhidecontext(true)));
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("value of column \"%s\" of relation \"%s\" was not sealed for this %s",
						   NameStr(column->name), NameStr(column->relation_name), place),
					errhint("The value was moved; restore it to where it belongs.")));
}

/* Raise when the value was sealed for another row than the one whose key begins at argument first. */
static void
CheckRow(FunctionCallInfo fcinfo, int first, RevealState *state, const phi_header *header,
		 const ProtectedColumn *column)
{
	if (state->key_end <= first)
		return;
	resetStringInfo(&state->keys);
	KeyArguments(fcinfo, first, state->key_end, &state->keys);
	if (header->row_token != TargetRowToken(column->uuid, &state->keys))
		RaiseMoved(column, "row");
}

/* Today as days since 2000-01-01, in UTC. */
static int32
Today(void)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();

	return (int32) (now / USECS_PER_DAY - (now % USECS_PER_DAY < 0 ? 1 : 0));
}

/* A form of UTF-8 text. */
static Datum
TextForm(phi_kind kind, phi_form form, phi_bytes plain, bool *isnull)
{
	phi_buffer out;
	Datum result = (Datum) 0;

	out.capacity = add_size(mul_size(4, plain.size), 16);
	out.data = palloc_extended(out.capacity, MCXT_ALLOC_HUGE);
	out.size = 0;
	CheckStatus(phi_form_text(kind, form, plain, &out, isnull), "redact a value");
	if (!*isnull)
		result = InnerFromBytes(INNER_TEXT, out.data, out.size);
	SecretWipe(out.data, out.size);
	pfree(out.data);
	return result;
}

/* A form of a number: whole numbers by kind; anything else shows only where the kind is no identifier. */
static Datum
NumberForm(phi_kind kind, phi_form form, Datum number, bool *isnull)
{
	char *digits = DatumGetCString(DirectFunctionCall1(numeric_out, number));
	char *end;
	long long whole;
	int64 shown;

	errno = 0;
	whole = strtoll(digits, &end, 10);
	if (errno != 0 || end == digits || (*end != '\0' && *end != '.'))
	{
		*isnull = true;
		return (Datum) 0;
	}
	phi_form_integer(kind, form, whole, &shown, isnull);
	return *isnull ? (Datum) 0 : NumericGetDatum(int64_to_numeric(shown));
}

/* Transform opened bytes to the form. */
static Datum
ShowForm(InnerType inner, phi_kind kind, phi_form form, uint8 *bytes, Size size, bool *isnull)
{
	Datum plain;
	int32 date;
	int64 time;

	*isnull = false;
	if (form == PHI_FORM_FULL)
		return InnerFromBytes(inner, bytes, size);
	switch (inner)
	{
		case INNER_TEXT:
			return TextForm(kind, form, phi_bytes_of(bytes, size), isnull);
		case INNER_DATE:
			plain = InnerFromBytes(inner, bytes, size);
			phi_form_date(kind, form, DatumGetDateADT(plain), Today(), &date, isnull);
			return DateADTGetDatum(date);
		case INNER_TIMESTAMPTZ:
			/* Cut in the session's zone, where the result will be read. */
			plain = DirectFunctionCall1(timestamptz_timestamp, InnerFromBytes(inner, bytes, size));
			phi_form_time(kind, form, DatumGetTimestamp(plain), Today(), &time, isnull);
			return *isnull ? (Datum) 0
						   : DirectFunctionCall1(timestamp_timestamptz, TimestampGetDatum(time));
		default:
			break;
	}
	if (phi_form_opaque_shows(kind, form))
		return InnerFromBytes(inner, bytes, size);
	if (inner == INNER_NUMERIC)
		return NumberForm(kind, form, InnerFromBytes(inner, bytes, size), isnull);
	*isnull = true;
	return (Datum) 0;
}

/* What is known of the row that the value stands in; NULL where it is not one of the column's table. */
static const RowAttributes *
ValueRow(FunctionCallInfo fcinfo, RevealState *state, const ProtectedColumn *column)
{
	if (!state->described || PG_GETARG_OID(state->key_end) != column->relation)
		return NULL;
	state->attributes.fcinfo = fcinfo;
	return &state->attributes;
}

/*
 * The form that the session may see of a value under this header; none when
 * the decision is no.  Labels that its row has now count beside those that it
 * was sealed under.
 */
static phi_form
PermittedForm(const phi_header *header, const ProtectedColumn *column, const RowAttributes *row)
{
	phi_form form = SessionForm(column->kind);

	if (form == PHI_FORM_NONE ||
		!DecideAccess(header->subject_token, header->label_set, column, row).permit)
		return PHI_FORM_NONE;
	return form;
}

Datum
ShowWritten(const ProtectedColumn *column, Oid type, uint64 subject_token, uint16 label_set,
			Datum plain, bool *isnull)
{
	phi_header header = {.subject_token = subject_token, .label_set = label_set};
	phi_form form = PermittedForm(&header, column, NULL);
	InnerType inner;
	phi_bytes bytes;
	uint8 *copy;
	Datum shown;
	bool owned;

	*isnull = form == PHI_FORM_NONE;
	if (form == PHI_FORM_FULL)
		return plain;
	/* The view shows some numbers in a type of their own, which has no inner one. */
	*isnull = *isnull || type == INT2OID || type == INT4OID || type == INT8OID ||
			  type == FLOAT4OID || type == FLOAT8OID || type == JSONOID;
	if (*isnull)
		return (Datum) 0;
	inner = InnerOfPlain(type);
	bytes = InnerToBytes(inner, plain, &owned);
	copy = palloc(bytes.size + 1);
	memcpy(copy, bytes.data, bytes.size);
	shown = ShowForm(inner, column->kind, form, copy, bytes.size, isnull);
	SecretWipe(copy, bytes.size);
	pfree(copy);
	return shown;
}

/* Open a value for the user in a form, which is recorded before. */
static Datum
OpenInForm(const ProtectedColumn *column, phi_form form, InnerType inner, Datum value,
		   const phi_header *header, bool *isnull)
{
	uint8 *bytes;
	Size size;
	Datum shown;

	NoteSensitiveStatement();
	DisclosureNote(column, form, header->subject_token, true);
	bytes = OpenBytesOf(column, value, header, &size);
	shown = ShowForm(inner, column->kind, form, bytes, size, isnull);
	SecretWipe(bytes, size);
	pfree(bytes);
	return shown;
}

bool
RevealStored(const ProtectedColumn *column, InnerType inner, Datum value, const phi_header *header,
			 Datum *shown)
{
	phi_form form = PermittedForm(header, column, NULL);
	bool isnull;

	if (form == PHI_FORM_NONE || IsDead(header))
		return false;
	*shown = OpenInForm(column, form, inner, value, header, &isnull);
	return !isnull;
}

/*
 * Reveal argument 0, read from the column of this id (0: not said) and the row
 * whose key begins at argument first.
 */
static Datum
Reveal(FunctionCallInfo fcinfo, uint16 column_id, int first)
{
	RevealState *state;
	const ProtectedColumn *column;
	phi_header header;
	phi_form form;
	Datum shown;
	bool isnull;

	RequirePreload();
	RefuseInImplicitCode("phi.reveal");
	if (PG_ARGISNULL(0) || InSecurityRestrictedOperation() || PlanningInProgress())
		PG_RETURN_NULL();
	state = CallState(fcinfo);
	ReadHeader(PG_GETARG_DATUM(0), &header);
	if (!header.bound)
		PG_RETURN_NULL();
	column = ValueColumn(state, &header);
	form = PermittedForm(&header, column, ValueRow(fcinfo, state, column));
	if (form == PHI_FORM_NONE)
		PG_RETURN_NULL();
	if (IsDead(&header))
		PG_RETURN_NULL(); /* wherever it was moved */
	if (column_id != 0 && column_id != header.column_id)
		RaiseMoved(column, "column");
	CheckRow(fcinfo, first, state, &header, column);

	shown = OpenInForm(column, form, state->inner, PG_GETARG_DATUM(0), &header, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(shown);
}

/*
 * phi.reveal(value [, key...]): the plain value in the most detailed form that
 * the session may see, or NULL.
 *
 * value: one of the encrypted types; key...: the primary key of the row that
 * the value was read from, which is then checked.  Raises DATA_CORRUPTED when
 * the value does not open or was sealed for another row,
 * INSUFFICIENT_PRIVILEGE in a trigger or the like, OBJECT_NOT_IN_PREREQUISITE_STATE
 * without a key or preloading.
 */
Datum
phi_reveal(PG_FUNCTION_ARGS)
{
	return Reveal(fcinfo, 0, 1);
}

/*
 * phi.reveal_column(value, column_id [, key...]): the same for a value that was
 * read from the column of this id in phi.column_policy, which is checked too.
 * The redacted views call it.
 */
Datum
phi_reveal_column(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	return Reveal(fcinfo, (uint16) PG_GETARG_INT32(1), 2);
}
