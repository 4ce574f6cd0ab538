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
#include "types/form.h"
#include "types/pseudonym.h"
#include "types/recipient.h"
#include "types/scrubbed.h"
#include "types/sealing.h"

#include "audit/audit.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "consent/consent.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(phi_reveal);
PG_FUNCTION_INFO_V1(phi_reveal_column);
PG_FUNCTION_INFO_V1(phi_reveal_as);
PG_FUNCTION_INFO_V1(phi_reveal_pseudonym);

/* What a call site remembers. */
typedef struct RevealState
{
	InnerType inner;
	StringInfoData keys;
	int key_end;			   /* argument after those of the key: the planner's mark, or none */
	bool described;			   /* labels and attributes of the row come after the mark */
	RowAttributes attributes;
	RowIdentifiers *identifiers; /* what comes after a second mark; NULL: nothing */
	const ProtectedColumn *column; /* of the last value, and the registry it is from */
	uint64 registry_generation;
	text *cap_name; /* of reveal_as: its form argument, as it was last, and what it means */
	phi_form cap;
} RevealState;

/* What one call is asked for. */
typedef struct RevealCall
{
	uint16 column_id;      /* that the value was read from; 0: not said */
	int first;             /* argument at which the row's key begins */
	phi_form cap;          /* the most that may be shown */
	const char *recipient; /* whose pseudonym a pseudonym is; NULL: the session's */
} RevealCall;

/*
 * Find what the planner adds (consent/planner.c): a mark, the labels and
 * attributes of the value's row where consents depend on them, and behind a
 * second mark the row's identifiers where a text is scrubbed of them.
 */
static void
FindMarks(FunctionCallInfo fcinfo, RevealState *state)
{
	Oid mark = PhiType("planner_mark");
	int at = 1;

	while (at < PG_NARGS() && get_fn_expr_argtype(fcinfo->flinfo, at) != mark)
		at++;
	state->key_end = at;
	if (at == PG_NARGS() || PG_ARGISNULL(at++))
		return;
	state->described =
		at + 1 + ROW_ATTRIBUTES <= PG_NARGS() && get_fn_expr_argtype(fcinfo->flinfo, at) != mark;
	if (state->described)
	{
		AttributesInit(&state->attributes, fcinfo, at + 1);
		at += 1 + ROW_ATTRIBUTES;
	}
	if (at < PG_NARGS() && get_fn_expr_argtype(fcinfo->flinfo, at) == mark)
	{
		state->identifiers = palloc0(sizeof(RowIdentifiers));
		IdentifiersInit(state->identifiers, fcinfo, at);
	}
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
	if (arguments[0] != TEXTOID) /* of reveal_pseudonym, whose values come after it */
		state->inner = InnerOfEncrypted(arguments[0]);
	initStringInfo(&state->keys);
	FindMarks(fcinfo, state);
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
	resetStringInfo(&state->keys);
	if (state->key_end <= first)
		return;
	KeyArguments(fcinfo, first, state->key_end, &state->keys);
	if (header->row_token != TargetRowToken(column->uuid, &state->keys))
		RaiseMoved(column, "row");
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
PermittedForm(const phi_header *header, const ProtectedColumn *column, const RowAttributes *row,
			  phi_decision *decision)
{
	phi_form form = SessionForm(column->kind);

	if (form == PHI_FORM_NONE)
		return PHI_FORM_NONE;
	*decision = DecideAccess(header->subject_token, header->label_set, column, row);
	return decision->permit ? form : PHI_FORM_NONE;
}

Datum
ShowWritten(const ProtectedColumn *column, Oid type, uint64 subject_token, uint16 label_set,
			Datum plain, bool *isnull)
{
	phi_header header = {.subject_token = subject_token, .label_set = label_set};
	phi_decision decision;
	phi_form form = PermittedForm(&header, column, NULL, &decision);

	*isnull = form == PHI_FORM_NONE;
	if (form == PHI_FORM_FULL)
		return plain;
	/* The view shows some numbers in a type of their own, which has no inner one. */
	*isnull = *isnull || type == INT2OID || type == INT4OID || type == INT8OID ||
			  type == FLOAT4OID || type == FLOAT8OID || type == JSONOID;
	if (*isnull)
		return (Datum) 0;
	return ShowPlain(InnerOfPlain(type), column->kind, form, plain, isnull);
}

/* Is nothing revealed now, whatever the value? */
static bool
NothingIsRevealed(void)
{
	RequirePreload();
	RefuseInImplicitCode("phi.reveal");
	return InSecurityRestrictedOperation() || PlanningInProgress();
}

/* Open a value for the user in a form, which is recorded before; told: of what it is scrubbed, or NULL. */
static Datum
OpenInForm(const ProtectedColumn *column, phi_form form, const phi_decision *decision,
		   InnerType inner, Datum value, const phi_header *header, const phi_known *told,
		   bool *isnull)
{
	uint8 *bytes;
	Size size;
	Datum shown;

	NoteSensitiveStatement();
	NoteDisclosure(column, form, header->subject_token, decision, true);
	bytes = OpenBytesOf(column, value, header, &size);
	*isnull = false;
	shown = told ? ScrubText(phi_bytes_of(bytes, size), told->list, told->count)
				 : ShowForm(inner, column->kind, form, bytes, size, isnull);
	SecretWipe(bytes, size);
	pfree(bytes);
	return shown;
}

/* The same in a form that depends on the recipient; nothing where the session may not see it. */
static Datum
OpenForRecipient(const ProtectedColumn *column, phi_form form, const phi_decision *decision,
				 const char *recipient, InnerType inner, Datum value, const phi_header *header,
				 bool *isnull)
{
	uint8 *bytes;
	Size size;
	Datum shown;

	recipient = VisibleRecipient(recipient);
	*isnull = recipient == NULL;
	if (*isnull)
		return (Datum) 0;
	recipient = pstrdup(recipient);
	NoteSensitiveStatement();
	NoteDisclosure(column, form, header->subject_token, decision, true);
	bytes = OpenBytesOf(column, value, header, &size);
	shown = ShowForRecipient(inner, form, recipient, header->subject_token, bytes, size, isnull);
	SecretWipe(bytes, size);
	pfree(bytes);
	return shown;
}

/* Is a text of the column shown without identifiers in this form? */
static bool
IsScrubbed(const ProtectedColumn *column, InnerType inner, phi_form form)
{
	return column->scrubbed && inner == INNER_TEXT && form >= PHI_FORM_SAFE_HARBOR &&
		   form < PHI_FORM_FULL;
}

/* Open a text without the identifiers of its row; nothing where they are not all at hand. */
static Datum
OpenScrubbed(FunctionCallInfo fcinfo, RevealState *state, const ProtectedColumn *column,
			 phi_form form, const phi_decision *decision, const phi_header *header, bool *isnull)
{
	RowIdentifiers *identifiers = state->identifiers;
	Datum shown;

	*isnull = !identifiers || !IdentifiersOpen(identifiers, fcinfo, column, header, &state->keys);
	if (*isnull)
		return (Datum) 0;
	shown = OpenInForm(column, form, decision, INNER_TEXT, PG_GETARG_DATUM(0), header,
					   &identifiers->known, isnull);
	IdentifiersWipe(identifiers);
	return shown;
}

bool
RevealStored(const ProtectedColumn *column, InnerType inner, Datum value, const phi_header *header,
			 Datum *shown)
{
	phi_decision decision;
	phi_form form = PermittedForm(header, column, NULL, &decision);
	bool isnull;

	if (form == PHI_FORM_NONE || form == PHI_FORM_PSEUDONYM || IsDead(header))
		return false;
	*shown = OpenInForm(column, form, &decision, inner, value, header, NULL, &isnull);
	return !isnull;
}

/* Reveal argument 0 as the call asks for. */
static Datum
Reveal(FunctionCallInfo fcinfo, const RevealCall *call)
{
	RevealState *state;
	const ProtectedColumn *column;
	phi_header header;
	phi_decision decision;
	phi_form form;
	Datum shown;
	bool isnull;

	if (NothingIsRevealed() || PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = CallState(fcinfo);
	ReadHeader(PG_GETARG_DATUM(0), &header);
	if (!header.bound)
		PG_RETURN_NULL();
	column = ValueColumn(state, &header);
	form = phi_form_meet(column->kind,
						 PermittedForm(&header, column, ValueRow(fcinfo, state, column), &decision),
						 call->cap);
	if (form == PHI_FORM_NONE)
		PG_RETURN_NULL();
	if (IsDead(&header))
		PG_RETURN_NULL(); /* wherever it was moved */
	if (call->column_id != 0 && call->column_id != header.column_id)
		RaiseMoved(column, "column");
	CheckRow(fcinfo, call->first, state, &header, column);
	if (form == PHI_FORM_PSEUDONYM)
	{
		isnull = state->inner != INNER_TEXT;
		shown = isnull ? (Datum) 0 : Pseudonym(header.subject_token, call->recipient, &isnull);
	}
	else if (FormNeedsRecipient(form))
		shown = OpenForRecipient(column, form, &decision, call->recipient, state->inner,
								 PG_GETARG_DATUM(0), &header, &isnull);
	else if (IsScrubbed(column, state->inner, form))
		shown = OpenScrubbed(fcinfo, state, column, form, &decision, &header, &isnull);
	else
		shown = OpenInForm(column, form, &decision, state->inner, PG_GETARG_DATUM(0), &header, NULL,
						   &isnull);
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
	RevealCall call = {.first = 1, .cap = PHI_FORM_FULL};

	return Reveal(fcinfo, &call);
}

/*
 * phi.reveal_column(value, column_id [, key...]): the same for a value that was
 * read from the column of this id in phi.column_policy, which is checked too.
 * The redacted views call it.
 */
Datum
phi_reveal_column(PG_FUNCTION_ARGS)
{
	RevealCall call = {.first = 2, .cap = PHI_FORM_FULL};

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	call.column_id = (uint16) PG_GETARG_INT32(1);
	return Reveal(fcinfo, &call);
}

/* The form that an argument names; raises where it names none. */
static phi_form
CapArgument(FunctionCallInfo fcinfo, RevealState *state, text *name)
{
	Size size = VARSIZE_ANY(name);

	if (likely(state->cap_name && VARSIZE_ANY(state->cap_name) == size &&
			   memcmp(state->cap_name, name, size) == 0))
		return state->cap;
	if (!phi_form_find(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), &state->cap))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown form"),
						errhint("Forms are full, partial, limited, safe_harbor, pseudonym and none; "
								"of columns also token, shifted, age_band and category.")));
	state->cap_name = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, size);
	memcpy(state->cap_name, name, size);
	return state->cap;
}

/*
 * phi.reveal_as(value, column_id, form, recipient [, key...]): phi.reveal_column
 * that shows no more than the form; a pseudonym, a token or a shifted date is
 * that for the recipient (NULL: for whom the session asks), and nothing for
 * sessions of others.  The views of profiles call it.
 */
Datum
phi_reveal_as(PG_FUNCTION_ARGS)
{
	RevealCall call = {.first = 4};

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	call.column_id = (uint16) PG_GETARG_INT32(1);
	call.cap = CapArgument(fcinfo, CallState(fcinfo), PG_GETARG_TEXT_PP(2));
	call.recipient = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	return Reveal(fcinfo, &call);
}

/* The pseudonym of the subject of a value; false where nothing of its row may be shown. */
static bool
PseudonymOfValue(FunctionCallInfo fcinfo, RevealState *state, int argument, Datum *shown,
				 bool *isnull)
{
	const ProtectedColumn *column;
	phi_header header;

	if (PG_ARGISNULL(argument))
		return false;
	ReadHeader(PG_GETARG_DATUM(argument), &header);
	if (!header.bound || IsDead(&header))
		return false;
	column = RegistryColumn(header.column_id);
	if (!column || !DecideAccess(header.subject_token, header.label_set, column,
								 ValueRow(fcinfo, state, column))
						.permit)
		return false;
	*shown = Pseudonym(header.subject_token, text_to_cstring(PG_GETARG_TEXT_PP(0)), isnull);
	return true;
}

/*
 * phi.reveal_pseudonym(recipient, value...): the pseudonym for a recipient of
 * the subject of a row, of which some sealed values are given: a plain subject
 * would let everybody look up whom they like.  NULL where all are NULL, or
 * nothing of the row may be shown: what the row has now, its labels among it,
 * counts as for phi.reveal.
 */
Datum
phi_reveal_pseudonym(PG_FUNCTION_ARGS)
{
	RevealState *state;
	Datum shown;
	bool isnull = true;

	if (NothingIsRevealed() || PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = CallState(fcinfo);
	for (int i = 1; i < state->key_end; i++)
	{
		if (!IsEncryptedType(get_fn_expr_argtype(fcinfo->flinfo, i)))
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("a pseudonym is that of a sealed value's subject"),
							errhint("Give encrypted columns of the row.")));
		if (!PseudonymOfValue(fcinfo, state, i, &shown, &isnull))
			continue;
		if (isnull)
			PG_RETURN_NULL();
		PG_RETURN_DATUM(shown);
	}
	PG_RETURN_NULL();
}
