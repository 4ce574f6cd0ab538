/*-------------------------------------------------------------------------
 * scrubbed.c
 *		A free text without the identifiers of its row.
 *
 * Where phi.set_free_text() says so, forms below full show a text without what
 * the scrubber finds.  It is told the identifiers of the same row, whatever of
 * them the session may see.  They are the planner's arguments (consent/planner.c),
 * not the query's: a query could leave some out.
 *
 * Without all of them there is no text: each has to be of the same table,
 * subject and row, and to open.
 *
 * Memory: opened identifiers are in the caller's per-row memory until they are
 * wiped, at the end of the same call.
 *-------------------------------------------------------------------------
 */
#include "types/scrubbed.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "core/forms.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "mb/pg_wchar.h"
#include "parser/parse_coerce.h"
#include "types/sealing.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

void
IdentifiersInit(RowIdentifiers *identifiers, FunctionCallInfo fcinfo, int mark)
{
	identifiers->relation = PG_GETARG_OID(mark);
	identifiers->keys = identifiers->first = mark + 1;
	identifiers->end = PG_NARGS();
	for (int i = identifiers->keys; i < identifiers->end; i++)
	{
		Oid type = get_fn_expr_argtype(fcinfo->flinfo, i);

		identifiers->types[i - identifiers->keys] = getBaseType(type);
		if (!IsEncryptedType(type))
			identifiers->first = i + 1;
		else
			identifiers->inners[i - identifiers->first] = InnerOfEncrypted(type);
	}
}

/* Keep opened bytes until they are wiped. */
static phi_bytes
Keep(RowIdentifiers *identifiers, const void *data, Size size)
{
	phi_bytes bytes = phi_bytes_of(data, size);

	identifiers->opened[identifiers->opened_count++] = bytes;
	return bytes;
}

/* Tell the scrubber a date; the year as well where it would tell an age over 89. */
static phi_status
TellDate(RowIdentifiers *identifiers, phi_kind kind, DateADT date)
{
	int32 today = (int32) (GetCurrentTransactionStartTimestamp() / USECS_PER_DAY);
	int32 shown;
	bool year_tells;
	int year;
	int month;
	int day;

	if (DATE_NOT_FINITE(date))
		return PHI_OK;
	phi_form_date(kind, PHI_FORM_SAFE_HARBOR, date, today, &shown, &year_tells);
	j2date(date + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	return phi_known_add_date(&identifiers->known, year, month, day, year_tells);
}

/* Tell it the day of a time in the session's zone; outside of what has a local time, nothing. */
static phi_status
TellTime(RowIdentifiers *identifiers, phi_kind kind, TimestampTz at)
{
	if (TIMESTAMP_NOT_FINITE(at) || at < MIN_TIMESTAMP + 2 * USECS_PER_DAY ||
		at >= END_TIMESTAMP - 2 * USECS_PER_DAY)
		return PHI_OK;
	return TellDate(
		identifiers, kind,
		DatumGetDateADT(DirectFunctionCall1(timestamptz_date, TimestampTzGetDatum(at))));
}

/* Tell it every text and number in a document. */
static phi_status
TellDocument(RowIdentifiers *identifiers, phi_kind kind, Jsonb *document)
{
	JsonbIterator *iterator = JsonbIteratorInit(&document->root);
	phi_status status = PHI_OK;
	JsonbIteratorToken token;
	JsonbValue value;

	while (status == PHI_OK && (token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		char *text = NULL;

		if (token != WJB_VALUE && token != WJB_ELEM)
			continue;
		if (value.type == jbvString)
			text = pnstrdup(value.val.string.val, value.val.string.len);
		else if (value.type == jbvNumeric)
			text = DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
		if (text == NULL)
			continue;
		if (identifiers->opened_count >= OPENED_MAX - 1)
			return PHI_ERR_SPACE;
		text = pg_server_to_any(text, (int) strlen(text), PG_UTF8);
		status = phi_known_add(&identifiers->known, kind, Keep(identifiers, text, strlen(text)));
	}
	return status;
}

/* Tell it opened bytes of a kind. */
static phi_status
Tell(RowIdentifiers *identifiers, InnerType inner, phi_kind kind, uint8 *bytes, Size size)
{
	char *number;

	switch (inner)
	{
		case INNER_TEXT:
			return phi_known_add(&identifiers->known, kind, phi_bytes_of(bytes, size));
		case INNER_DATE:
			return TellDate(identifiers, kind, DatumGetDateADT(InnerFromBytes(inner, bytes, size)));
		case INNER_TIMESTAMPTZ:
			return TellTime(identifiers, kind,
							DatumGetTimestampTz(InnerFromBytes(inner, bytes, size)));
		case INNER_NUMERIC:
			number = DatumGetCString(
				DirectFunctionCall1(numeric_out, InnerFromBytes(inner, bytes, size)));
			return phi_known_add(&identifiers->known, kind,
								 Keep(identifiers, number, strlen(number)));
		case INNER_JSONB:
			return TellDocument(identifiers, kind,
								DatumGetJsonbP(InnerFromBytes(inner, bytes, size)));
		default:
			return PHI_OK; /* bytes are in no text */
	}
}

/* Tell it the row's subject or a column of its key, where that is a whole number, a uuid or a text. */
static bool
TellKey(RowIdentifiers *identifiers, Datum value, Oid type)
{
	StringInfoData text;

	if (type != UUIDOID && type != INT2OID && type != INT4OID && type != INT8OID &&
		TypeCategory(type) != TYPCATEGORY_STRING)
		return true;
	initStringInfo(&text);
	KeyTextAppend(&text, value, type);
	return phi_known_add(&identifiers->known, PHI_KIND_UNIQUE_ID,
						 Keep(identifiers, text.data, text.len)) == PHI_OK;
}

/* Is the value of the row that the text stands in? */
static bool
OfSameRow(const ProtectedColumn *own, const ProtectedColumn *column, const phi_header *header,
		  const phi_header *text_header, const StringInfoData *key_texts)
{
	return own && OidIsValid(column->relation) && own->relation == column->relation &&
		   header->subject_token == text_header->subject_token &&
		   (key_texts->len == 0 || header->row_token == TargetRowToken(own->uuid, key_texts));
}

/* Open one identifier and tell the scrubber; false where that cannot be done. */
static bool
OpenOne(RowIdentifiers *identifiers, InnerType inner, Datum value, const ProtectedColumn *column,
		const phi_header *text_header, const StringInfoData *key_texts)
{
	const ProtectedColumn *own;
	phi_header header;
	phi_buffer plain;

	ReadHeader(value, &header);
	own = header.bound ? RegistryColumn(header.column_id) : NULL;
	if (!OfSameRow(own, column, &header, text_header, key_texts) || IsDead(&header) ||
		!KeyringHas(header.dek_id) || identifiers->opened_count >= OPENED_MAX - 1 ||
		!TryOpen(value, &header, own->uuid, &plain))
		return false;
	(void) Keep(identifiers, plain.data, plain.size);
	return Tell(identifiers, inner, own->kind, plain.data, plain.size) == PHI_OK;
}

bool
IdentifiersOpen(RowIdentifiers *identifiers, FunctionCallInfo fcinfo, const ProtectedColumn *column,
				const phi_header *header, const StringInfoData *key_texts)
{
	const ProtectedRelation *relation = RegistryRelation(column->relation);
	bool complete = relation != NULL && identifiers->relation == column->relation &&
					identifiers->end - identifiers->first == relation->identifier_count;

	identifiers->known.count = 0;
	identifiers->known.stored = 0;
	identifiers->opened_count = 0;
	for (int i = identifiers->keys; complete && i < identifiers->first; i++)
		complete = PG_ARGISNULL(i) || TellKey(identifiers, PG_GETARG_DATUM(i),
											  identifiers->types[i - identifiers->keys]);
	for (int i = identifiers->first; complete && i < identifiers->end; i++)
		complete =
			PG_ARGISNULL(i) || OpenOne(identifiers, identifiers->inners[i - identifiers->first],
									   PG_GETARG_DATUM(i), column, header, key_texts);
	if (!complete)
		IdentifiersWipe(identifiers);
	return complete;
}

void
IdentifiersWipe(RowIdentifiers *identifiers)
{
	for (int i = 0; i < identifiers->opened_count; i++)
	{
		SecretWipe((void *) identifiers->opened[i].data, identifiers->opened[i].size);
		pfree((void *) identifiers->opened[i].data);
	}
	SecretWipe(identifiers->known.store, identifiers->known.stored);
	identifiers->opened_count = 0;
	identifiers->known.count = 0;
	identifiers->known.stored = 0;
}

Datum
ScrubText(phi_bytes text, const phi_scrub_known *known, size_t count)
{
	phi_buffer out = {0};
	Datum result;

	out.capacity = add_size(mul_size(text.size, 8), 16);
	out.data = palloc_extended(out.capacity, MCXT_ALLOC_HUGE);
	CheckStatus(phi_scrub_text(text, known, count, &out), "scrub a text");
	result = InnerFromBytes(INNER_TEXT, out.data, out.size);
	pfree(out.data);
	return result;
}
