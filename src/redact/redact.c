/*-------------------------------------------------------------------------
 * redact.c
 *		SQL functions over the kinds and forms of core/forms.
 *-------------------------------------------------------------------------
 */
#include "redact/redact.h"

#include "catalog/pg_type.h"
#include "core/forms.h"
#include "fmgr.h"
#include "types/form.h"
#include "types/recipient.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(phi_form_fits);
PG_FUNCTION_INFO_V1(phi_is_kind);
PG_FUNCTION_INFO_V1(phi_redact);
PG_FUNCTION_INFO_V1(phi_redact_integer);

/*
 * phi.is_kind(text): is it the name of a kind?
 */
Datum
phi_is_kind(PG_FUNCTION_ARGS)
{
	text *name = PG_GETARG_TEXT_PP(0);
	phi_kind kind;

	PG_RETURN_BOOL(phi_kind_find(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), &kind));
}

/* The kind of this name; raises for others. */
static phi_kind
RequireKind(const text *name)
{
	phi_kind kind;

	if (!phi_kind_find(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), &kind))
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" is not a kind of identifier", text_to_cstring(name)),
				errhint("The kinds are listed in docs/redaction.md."));
	return kind;
}

/* The form of this name; raises for others. */
static phi_form
RequireForm(const text *name)
{
	phi_form form;

	if (!phi_form_find(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), &form))
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" is not a form", text_to_cstring(name)),
				errhint("The forms are full, partial, limited, safe_harbor, pseudonym and none; "
						"of columns also token, shifted, age_band and category."));
	return form;
}

/* The same for a value that is nobody's; raises for the forms that a recipient's key makes. */
static phi_form
RequireKeylessForm(const text *name)
{
	phi_form form = RequireForm(name);

	if (FormNeedsRecipient(form))
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("form \"%s\" is one for a recipient", phi_form_name(form)),
				errhint("Have phi.add_view() make a view for the recipient."));
	return form;
}

/*
 * phi.form_fits(form, kind, type): may a column of the kind and the encrypted type
 * have the form in a view?  Those of rules may be had by all.
 */
Datum
phi_form_fits(PG_FUNCTION_ARGS)
{
	phi_form form = RequireForm(PG_GETARG_TEXT_PP(0));
	phi_shape shape = phi_form_shape(RequireKind(PG_GETARG_TEXT_PP(1)), form);

	PG_RETURN_BOOL(phi_form_available(form) ||
				   HasColumnShape(InnerOfEncrypted(PG_GETARG_OID(2)), shape));
}

/*
 * phi.redact(value, kind, form): the form of a text, date, time or number; NULL
 * where nothing is shown.
 */
Datum
phi_redact(PG_FUNCTION_ARGS)
{
	InnerType inner = InnerOfPlain(get_fn_expr_argtype(fcinfo->flinfo, 0));
	phi_kind kind = RequireKind(PG_GETARG_TEXT_PP(1));
	phi_form form = RequireKeylessForm(PG_GETARG_TEXT_PP(2));
	bool isnull;
	Datum shown = ShowPlain(inner, kind, form, PG_GETARG_DATUM(0), &isnull);

	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(shown);
}

/*
 * phi.redact(bigint or integer, kind, form): the same for a whole number.
 */
Datum
phi_redact_integer(PG_FUNCTION_ARGS)
{
	bool small = get_fn_expr_argtype(fcinfo->flinfo, 0) == INT4OID;
	phi_kind kind = RequireKind(PG_GETARG_TEXT_PP(1));
	phi_form form = RequireKeylessForm(PG_GETARG_TEXT_PP(2));
	int64 shown;
	bool isnull;

	phi_form_integer(kind, form, small ? PG_GETARG_INT32(0) : PG_GETARG_INT64(0), &shown, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(small ? Int32GetDatum((int32) shown) : Int64GetDatum(shown));
}
