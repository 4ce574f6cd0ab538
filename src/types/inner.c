/*-------------------------------------------------------------------------
 * inner.c
 *		The plain types inside the encrypted types, and their stored bytes.
 *
 * The plaintext of a sealed value is the binary form of its type: a date is
 * four bytes and opens as a date.  Text and the text inside jsonb are UTF-8
 * whatever the server's encoding, so that a value opens after a move to a
 * database of another encoding.
 *
 * An input function of PostgreSQL names the value in its error.  Here such an
 * error is caught and replaced by one that does not.
 *-------------------------------------------------------------------------
 */
#include "types/inner.h"

#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

typedef struct InnerInfo
{
	Oid oid;
	const char *encrypted_name;
	PGFunction input;
	PGFunction receive;
} InnerInfo;

static const InnerInfo Inners[INNER_COUNT] = {
	[INNER_TEXT] = {TEXTOID, "encrypted_text", textin, textrecv},
	[INNER_DATE] = {DATEOID, "encrypted_date", date_in, date_recv},
	[INNER_TIMESTAMPTZ] = {TIMESTAMPTZOID, "encrypted_timestamptz", timestamptz_in, timestamptz_recv},
	[INNER_NUMERIC] = {NUMERICOID, "encrypted_numeric", numeric_in, numeric_recv},
	[INNER_JSONB] = {JSONBOID, "encrypted_jsonb", jsonb_in, jsonb_recv},
	[INNER_BYTEA] = {BYTEAOID, "encrypted_bytea", byteain, bytearecv},
};

Oid
InnerTypeOid(InnerType inner)
{
	return Inners[inner].oid;
}

const char *
InnerName(InnerType inner)
{
	return Inners[inner].encrypted_name + strlen("encrypted_");
}

/* The position of type among our types, or INNER_COUNT. */
static InnerType
FindEncrypted(Oid type)
{
	InnerType inner = 0;

	while (inner < INNER_COUNT && PhiType(Inners[inner].encrypted_name) != type)
		inner++;
	return inner;
}

InnerType
InnerOfEncrypted(Oid type)
{
	InnerType inner = FindEncrypted(type);

	if (inner == INNER_COUNT)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("type %s is not an encrypted type", format_type_be(type))));
	return inner;
}

bool
IsEncryptedType(Oid type)
{
	return FindEncrypted(type) != INNER_COUNT;
}

InnerType
InnerOfPlain(Oid type)
{
	for (InnerType inner = 0; inner < INNER_COUNT; inner++)
		if (Inners[inner].oid == type)
			return inner;
	ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("type %s cannot be sealed", format_type_be(type))));
}

/* UTF-8 of server-encoded text. */
static phi_bytes
ToUtf8(const char *data, Size size, bool *owned)
{
	char *utf8 = pg_server_to_any(data, (int) size, PG_UTF8);

	*owned = utf8 != data;
	return phi_bytes_of(utf8, *owned ? strlen(utf8) : size);
}

/*
 * The stored bytes of a plain value.
 */
phi_bytes
InnerToBytes(InnerType inner, Datum value, bool *owned)
{
	uint8 *out;
	struct varlena *plain;

	*owned = true;
	switch (inner)
	{
		case INNER_TEXT:
			plain = PG_DETOAST_DATUM_PACKED(value);
			return ToUtf8(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain), owned);
		case INNER_BYTEA:
			plain = PG_DETOAST_DATUM_PACKED(value);
			*owned = false;
			return phi_bytes_of(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
		case INNER_DATE:
			out = palloc(4);
			phi_put_u32(out, (uint32) DatumGetDateADT(value));
			return phi_bytes_of(out, 4);
		case INNER_TIMESTAMPTZ:
			out = palloc(8);
			phi_put_u64(out, (uint64) DatumGetTimestampTz(value));
			return phi_bytes_of(out, 8);
		case INNER_NUMERIC:
			plain = DatumGetByteaPP(DirectFunctionCall1(numeric_send, value));
			return phi_bytes_of(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
		case INNER_JSONB:
		{
			char *json = DatumGetCString(DirectFunctionCall1(jsonb_out, value));
			phi_bytes utf8 = ToUtf8(json, strlen(json), owned);

			*owned = true;
			return utf8;
		}
		default:
			elog(ERROR, "unknown inner type");
	}
}

/* A varlena of these bytes. */
static Datum
MakeVarlena(const void *data, Size size)
{
	struct varlena *out = palloc(size + VARHDRSZ);

	SET_VARSIZE(out, size + VARHDRSZ);
	memcpy(VARDATA(out), data, size);
	return PointerGetDatum(out);
}

/* Raise: the bytes of a sealed value are not of its type. */
static PHI_NORETURN void
RaiseUnreadable(InnerType inner)
{
	HideValueContext();
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("sealed value does not hold a value of type %s",
						   format_type_be(Inners[inner].oid)),
					errhidestmt(true)));
}

/* Call an input function of PostgreSQL; its errors about the value become hide(inner). */
static Datum
CallHiding(InnerType inner, PGFunction function, Datum input, int32 typmod,
		   void (*hide)(InnerType))
{
	MemoryContext context = CurrentMemoryContext;
	Datum result = (Datum) 0;

	PG_TRY();
	{
		result = DirectFunctionCall3(function, input, ObjectIdGetDatum(Inners[inner].oid),
									 Int32GetDatum(typmod));
	}
	PG_CATCH();
	{
		int code = geterrcode();

		/* Only errors about data: a cancel or an exhausted memory stays what it is. */
		if (ERRCODE_TO_CATEGORY(code) != ERRCODE_DATA_EXCEPTION &&
			ERRCODE_TO_CATEGORY(code) != ERRCODE_PROGRAM_LIMIT_EXCEEDED &&
			code != ERRCODE_UNTRANSLATABLE_CHARACTER && code != ERRCODE_FEATURE_NOT_SUPPORTED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		hide(inner);
	}
	PG_END_TRY();
	return result;
}

/*
 * The plain value of stored bytes.  data is writable and may be kept.
 */
Datum
InnerFromBytes(InnerType inner, uint8 *data, Size size)
{
	StringInfoData message;

	switch (inner)
	{
		case INNER_TEXT:
		{
			char *text = pg_any_to_server((char *) data, (int) size, PG_UTF8);

			return MakeVarlena(text, text == (char *) data ? size : strlen(text));
		}
		case INNER_BYTEA:
			return MakeVarlena(data, size);
		case INNER_DATE:
			if (size != 4)
				RaiseUnreadable(inner);
			return DateADTGetDatum((DateADT) phi_get_u32(data));
		case INNER_TIMESTAMPTZ:
			if (size != 8)
				RaiseUnreadable(inner);
			return TimestampTzGetDatum((TimestampTz) phi_get_u64(data));
		case INNER_NUMERIC:
			message.data = (char *) data;
			message.len = message.maxlen = (int) size;
			message.cursor = 0;
			return CallHiding(inner, numeric_recv, PointerGetDatum(&message), -1, RaiseUnreadable);
		case INNER_JSONB:
		{
			char *json = pnstrdup((char *) data, size);

			return CallHiding(inner, jsonb_in,
							  CStringGetDatum(pg_any_to_server(json, (int) size, PG_UTF8)), -1,
							  RaiseUnreadable);
		}
		default:
			elog(ERROR, "unknown inner type");
	}
}

/* Raise: input that is not of the type.  The value is not shown anywhere. */
static void
RaiseInvalidInput(InnerType inner)
{
	HideValueContext();
	ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					errmsg("invalid input for type phi.%s", Inners[inner].encrypted_name),
					errdetail("The value is not a valid %s; it is not shown here.",
							  format_type_be(Inners[inner].oid)),
					errhidestmt(true)));
}

Datum
InnerFromText(InnerType inner, char *text, int32 typmod)
{
	if (inner == INNER_TEXT)
		return CStringGetTextDatum(text);
	return CallHiding(inner, Inners[inner].input, CStringGetDatum(text), typmod, RaiseInvalidInput);
}

Datum
InnerFromWire(InnerType inner, StringInfo message)
{
	return CallHiding(inner, Inners[inner].receive, PointerGetDatum(message), -1, RaiseInvalidInput);
}
