/*-------------------------------------------------------------------------
 * history_row.c
 *		A row's image as JSON, in the form that the session may see.
 *
 * A column is known by its id in phi.column_policy, whatever it is called
 * today: its kind, and so its form, follow the id, never the name.  It appears
 * under its name of today, or that of then where it is gone.  A column without
 * an id shows where it was the row's key, subject or labels when the image was
 * made; a column that was declared to be no health information, as long as it
 * is.
 *-------------------------------------------------------------------------
 */
#include "types/history.h"

#include "catalog/pg_type.h"
#include "common/jsonapi.h"
#include "consent/consent.h"
#include "mb/pg_wchar.h"
#include "platform/platform.h"
#include "types/inner.h"
#include "types/reveal.h"
#include "types/sealing.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define ENCRYPTED_PREFIX "phi.encrypted_"

/* A text of an image in the server's encoding. */
static char *
ToServer(phi_bytes utf8)
{
	char *copy = pnstrdup((const char *) utf8.data, utf8.size);

	return pg_any_to_server(copy, (int) utf8.size, PG_UTF8);
}

/* Is the type of a column the one of this name? */
static bool
TypeIs(const phi_image_column *column, const char *name)
{
	return column->type.size == strlen(name) && memcmp(column->type.data, name, column->type.size) == 0;
}

/* The inner type of a sealed column; INNER_COUNT for a type that there is not. */
static InnerType
InnerOfImage(const phi_image_column *column)
{
	InnerType inner = 0;

	while (inner < INNER_COUNT &&
		   !TypeIs(column, psprintf("%s%s", ENCRYPTED_PREFIX, InnerName(inner))))
		inner++;
	return inner;
}

/* ---- values ---- */

/* Append a revealed value. */
static void
AppendShown(StringInfo json, InnerType inner, Datum value)
{
	char time[MAXDATELEN + 1];
	char *written;

	switch (inner)
	{
		case INNER_TEXT:
			written = TextDatumGetCString(value);
			break;
		case INNER_DATE:
			written = JsonEncodeDateTime(time, value, DATEOID, NULL);
			break;
		case INNER_TIMESTAMPTZ:
			written = JsonEncodeDateTime(time, value, TIMESTAMPTZOID, NULL);
			break;
		case INNER_NUMERIC:
			written = DatumGetCString(DirectFunctionCall1(numeric_out, value));
			if (IsValidJsonNumber(written, strlen(written)))
			{
				appendStringInfoString(json, written);
				return;
			}
			break;
		case INNER_JSONB:
			appendStringInfoString(json, DatumGetCString(DirectFunctionCall1(jsonb_out, value)));
			return;
		default:
			written = DatumGetCString(DirectFunctionCall1(byteaout, value));
			break;
	}
	escape_json(json, written);
}

/* Append a value that was not sealed: numbers, truth values and JSON as such, all else as text. */
static void
AppendPlain(StringInfo json, const phi_image_column *column, phi_bytes value)
{
	static const char *const numbers[] = {"pg_catalog.int2",   "pg_catalog.int4",
										  "pg_catalog.int8",   "pg_catalog.numeric",
										  "pg_catalog.float4", "pg_catalog.float8"};
	char *text = ToServer(value);
	int i;

	for (i = 0; i < lengthof(numbers); i++)
	{
		if (TypeIs(column, numbers[i]) && IsValidJsonNumber(text, strlen(text)))
		{
			appendStringInfoString(json, text);
			return;
		}
	}
	if (TypeIs(column, "pg_catalog.bool"))
		appendStringInfoString(json, text[0] == 't' ? "true" : "false");
	else if (TypeIs(column, "pg_catalog.json") || TypeIs(column, "pg_catalog.jsonb"))
		appendStringInfoString(json, text);
	else
		escape_json(json, text);
}

/* Append a sealed value as phi.reveal() would show it. */
static void
AppendSealed(StringInfo json, const ProtectedColumn *classified, const phi_image_column *column,
			 phi_bytes value, uint64 subject)
{
	InnerType inner = InnerOfImage(column);
	struct varlena *stored = palloc(value.size + VARHDRSZ);
	phi_header header;
	Datum shown;

	SET_VARSIZE(stored, value.size + VARHDRSZ);
	memcpy(VARDATA(stored), value.data, value.size);
	ReadHeader(PointerGetDatum(stored), &header);
	/* What did not belong to its place then belongs nowhere now. */
	if (classified == NULL || inner == INNER_COUNT || !header.bound ||
		header.column_id != column->column_id || header.subject_token != subject ||
		!RevealStored(classified, inner, PointerGetDatum(stored), &header, &shown))
		appendStringInfoString(json, "null");
	else
		AppendShown(json, inner, shown);
}

/* ---- columns ---- */

/* Is the column of this name the subject, the labels or of the key today? */
static bool
IdentifiesRow(const ProtectedRelation *policy, const char *name)
{
	AttrNumber attnum = get_attnum(policy->relid, name);
	int i;

	if (attnum == InvalidAttrNumber)
		return false;
	for (i = 0; i < policy->key_count; i++)
	{
		if (policy->keys[i] == attnum)
			return true;
	}
	return attnum == policy->subject || attnum == policy->labels;
}

/* May a value that was not sealed be shown to those who see the row? */
static bool
PlainShows(const ProtectedRelation *policy, const phi_image_column *column,
		   const ProtectedColumn *classified)
{
	if ((column->flags & PHI_IMAGE_PLAIN) == 0)
		return false;
	if (column->column_id == 0)
		return true;
	return classified != NULL &&
		   (classified->kind == PHI_KIND_NONE ||
			(!classified->sealed && classified->relation == policy->root &&
			 IdentifiesRow(policy, NameStr(classified->name))));
}

/* Append the name that the column appears under: never that which another one has today. */
static void
AppendName(StringInfo json, const ProtectedRelation *policy, const phi_image_column *column,
		   const ProtectedColumn *classified)
{
	char *name = ToServer(column->name);
	const ProtectedColumn *namesake;

	if (classified != NULL && classified->relation == policy->root)
	{
		escape_json(json, NameStr(classified->name));
		return;
	}
	namesake = RegistryColumnNamed(policy->root, name);
	if (namesake != NULL && namesake->column_id != column->column_id)
		name = psprintf("%s (column %d of then)", name, column->number);
	escape_json(json, name);
}

void
HistoryRowJson(const ProtectedRelation *policy, const phi_images *images, phi_bytes row,
			   uint64 subject, StringInfo json)
{
	phi_image_column column;
	phi_bytes value;
	size_t next = 0;
	size_t at = 0;

	appendStringInfoChar(json, '{');
	while (phi_images_next_column(images, &next, &column))
	{
		const ProtectedColumn *classified =
			column.column_id != 0 ? RegistryColumn(column.column_id) : NULL;

		CheckStatus(phi_image_next_value(row, &at, &value), "read an image");
		if (json->data[json->len - 1] != '{')
			appendStringInfoChar(json, ',');
		AppendName(json, policy, &column, classified);
		appendStringInfoChar(json, ':');
		if (value.data == NULL)
			appendStringInfoString(json, "null");
		else if (column.flags & PHI_IMAGE_SEALED)
			AppendSealed(json, classified, &column, value, subject);
		else if (PlainShows(policy, &column, classified))
			AppendPlain(json, &column, value);
		else
			appendStringInfoString(json, "null");
	}
	appendStringInfoChar(json, '}');
}

uint16
HistoryRowLabels(const phi_images *images, phi_bytes row)
{
	phi_image_column column;
	phi_bytes value;
	size_t next = 0;
	size_t at = 0;

	while (phi_images_next_column(images, &next, &column))
	{
		CheckStatus(phi_image_next_value(row, &at, &value), "read an image");
		if ((column.flags & PHI_IMAGE_LABELS) != 0 && value.data != NULL)
			return LabelSetId(OidInputFunctionCall(F_ARRAY_IN, ToServer(value), TEXTOID, -1), false);
	}
	return 0;
}
