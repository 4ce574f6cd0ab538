/*-------------------------------------------------------------------------
 * keytext.c
 *		The canonical bytes of a key value.
 *
 * Tokens are computed over these bytes, so their form is part of the stored
 * format (docs/format.md): it depends on no setting and, for the usual key
 * types, not on the exact type either (integer to bigint keeps them).
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"

/* Longest decimal of an int64 with sign and terminator. */
#define INT64_TEXT 21

/* Append an integer in decimal. */
static void
AppendInteger(StringInfo out, int64 value)
{
	enlargeStringInfo(out, INT64_TEXT);
	out->len += pg_lltoa(value, out->data + out->len);
}

/* Append server-encoded text as UTF-8. */
static void
AppendText(StringInfo out, const char *data, int size)
{
	char *utf8 = pg_server_to_any(data, size, PG_UTF8);

	appendBinaryStringInfo(out, utf8, utf8 == data ? size : (int) strlen(utf8));
}

/* Append 16 bytes as 8-4-4-4-12 lower-case digits. */
static void
AppendUuid(StringInfo out, const pg_uuid_t *uuid)
{
	static const char digits[] = "0123456789abcdef";

	enlargeStringInfo(out, 37);
	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out->data[out->len++] = '-';
		out->data[out->len++] = digits[uuid->data[i] >> 4];
		out->data[out->len++] = digits[uuid->data[i] & 15];
	}
	out->data[out->len] = '\0';
}

/* Append the binary send form of any other type. */
static void
AppendSent(StringInfo out, Datum value, Oid type)
{
	Oid function;
	bool varlena;
	bytea *sent;

	getTypeBinaryOutputInfo(type, &function, &varlena);
	sent = OidSendFunctionCall(function, value);
	appendBinaryStringInfo(out, VARDATA(sent), VARSIZE(sent) - VARHDRSZ);
	pfree(sent);
}

/*
 * Append the canonical form of one key value.
 */
void
KeyTextAppend(StringInfo out, Datum value, Oid type)
{
	switch (type)
	{
		case INT2OID:
			AppendInteger(out, DatumGetInt16(value));
			break;
		case INT4OID:
			AppendInteger(out, DatumGetInt32(value));
			break;
		case INT8OID:
			AppendInteger(out, DatumGetInt64(value));
			break;
		case UUIDOID:
			AppendUuid(out, DatumGetUUIDP(value));
			break;
		case UNKNOWNOID:
			AppendText(out, DatumGetCString(value), strlen(DatumGetCString(value)));
			break;
		case TEXTOID:
		case VARCHAROID:
		{
			text *string = DatumGetTextPP(value);

			AppendText(out, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
			break;
		}
		case BPCHAROID:
		{
			text *string = DatumGetTextPP(value);

			AppendText(out, VARDATA_ANY(string),
					   bpchartruelen(VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string)));
			break;
		}
		default:
			if (getBaseType(type) != type)
				KeyTextAppend(out, value, getBaseType(type));
			else
				AppendSent(out, value, type);
	}
}

/*
 * The same with a 4-byte big-endian length before it.
 */
void
KeyTextAppendCounted(StringInfo out, Datum value, Oid type)
{
	int start = out->len;

	appendStringInfoSpaces(out, 4);
	KeyTextAppend(out, value, type);
	phi_put_u32((uint8 *) out->data + start, (uint32) (out->len - start - 4));
}
