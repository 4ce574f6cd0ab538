/*-------------------------------------------------------------------------
 * redact.c
 *		SQL functions over the kinds and forms of core/forms.
 *-------------------------------------------------------------------------
 */
#include "redact/redact.h"

#include "core/forms.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(phi_is_kind);
PG_FUNCTION_INFO_V1(phi_redact);

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

/* The form of this name; raises for others, and for those that no rule may use. */
static phi_form
RequireForm(const text *name)
{
	phi_form form;

	if (!phi_form_find(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), &form))
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" is not a form", text_to_cstring(name)),
				errhint("The forms are full, partial, safe_harbor and none."));
	if (!phi_form_available(form))
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("form \"%s\" is not supported", text_to_cstring(name)),
				errhint("The forms are full, partial, safe_harbor and none."));
	return form;
}

/*
 * phi.redact(value, kind, form): the form of a text; NULL where nothing is shown.
 */
Datum
phi_redact(PG_FUNCTION_ARGS)
{
	char *value = text_to_cstring(PG_GETARG_TEXT_PP(0));
	phi_kind kind = RequireKind(PG_GETARG_TEXT_PP(1));
	phi_form form = RequireForm(PG_GETARG_TEXT_PP(2));
	char *utf8 = pg_server_to_any(value, strlen(value), PG_UTF8);
	phi_bytes in = phi_bytes_of(utf8, strlen(utf8));
	phi_buffer out;
	bool is_null;

	out.capacity = add_size(mul_size(in.size, 4), 16);
	out.data = palloc(out.capacity);
	out.size = 0;
	CheckStatus(phi_form_text(kind, form, in, &out, &is_null), "redact a value");
	if (is_null)
		PG_RETURN_NULL();
	value = pnstrdup((char *) out.data, out.size);
	PG_RETURN_TEXT_P(cstring_to_text(pg_any_to_server(value, out.size, PG_UTF8)));
}
