/*-------------------------------------------------------------------------
 * event_leaf.c
 *		The leaf of an event: its canonical bytes, and their hash.
 *
 * Leaf, version 1: the byte 1, then for each column of phi_audit.event that is
 * not NULL, in the table's order:
 *
 *		tag		1 byte, the column's number from 1 (event_id) to 28 (images)
 *		size	4 bytes, big-endian
 *		value	bigint, xid8: 8 bytes; integer, oid: 4 bytes; big-endian
 *				timestamptz: its send form, 8 bytes of microseconds from 2000
 *				text: UTF-8 (the stored bytes in a SQL_ASCII database)
 *				bytea: its bytes, of images their SHA-256; inet: its send form
 *				bigint[]: count (4 bytes), then 8 bytes each
 *				text[]: count (4 bytes), then size (4 bytes) and UTF-8 of each
 *
 * The leaf hash is SHA-256 of the byte 0 and the leaf.  Every encoding is what
 * SQL's own send functions give: docs/audit-log.md recomputes one.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "core/image.h"
#include "core/mac.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define LEAF_VERSION 1

/* How the columns of an event are encoded. */
typedef enum FieldForm
{
	FIELD_INT4,
	FIELD_INT8,
	FIELD_TEXT,
	FIELD_BYTES,
	FIELD_IMAGES,
	FIELD_INET,
	FIELD_INT8_ARRAY,
	FIELD_TEXT_ARRAY
} FieldForm;

/* Type and form of each column. */
static const struct
{
	Oid type;
	FieldForm form;
} fields[EVENT_COLUMNS] = {
	[EVENT_ID] = {INT8OID, FIELD_INT8},
	[EVENT_RECORDED_AT] = {TIMESTAMPTZOID, FIELD_INT8},
	[EVENT_TRANSACTION_TIME] = {TIMESTAMPTZOID, FIELD_INT8},
	[EVENT_TXID] = {XID8OID, FIELD_INT8},
	[EVENT_ACTOR] = {TEXTOID, FIELD_TEXT},
	[EVENT_DB_ROLE] = {TEXTOID, FIELD_TEXT},
	[EVENT_CURRENT_ROLE] = {TEXTOID, FIELD_TEXT},
	[EVENT_WORKFORCE_ROLES] = {TEXTARRAYOID, FIELD_TEXT_ARRAY},
	[EVENT_ORGANIZATION] = {TEXTOID, FIELD_TEXT},
	[EVENT_TOKEN_ID] = {TEXTOID, FIELD_TEXT},
	[EVENT_PURPOSE] = {TEXTOID, FIELD_TEXT},
	[EVENT_CONSENT_ID] = {INT8OID, FIELD_INT8},
	[EVENT_REASON] = {TEXTOID, FIELD_TEXT},
	[EVENT_BREAK_GLASS_ID] = {INT8OID, FIELD_INT8},
	[EVENT_ACTION] = {TEXTOID, FIELD_TEXT},
	[EVENT_OUTCOME] = {TEXTOID, FIELD_TEXT},
	[EVENT_RELATION] = {TEXTOID, FIELD_TEXT},
	[EVENT_RELATION_OID] = {OIDOID, FIELD_INT4},
	[EVENT_COLUMN_NAMES] = {TEXTARRAYOID, FIELD_TEXT_ARRAY},
	[EVENT_ROW_COUNT] = {INT4OID, FIELD_INT4},
	[EVENT_SUBJECTS] = {INT8ARRAYOID, FIELD_INT8_ARRAY},
	[EVENT_ROW_KEYS] = {TEXTARRAYOID, FIELD_TEXT_ARRAY},
	[EVENT_ROW_DIGESTS] = {BYTEAOID, FIELD_BYTES},
	[EVENT_DETAIL] = {TEXTOID, FIELD_TEXT},
	[EVENT_CLIENT_ADDRESS] = {INETOID, FIELD_INET},
	[EVENT_APPLICATION_NAME] = {TEXTOID, FIELD_TEXT},
	[EVENT_SALT] = {BYTEAOID, FIELD_BYTES},
	[EVENT_IMAGES] = {BYTEAOID, FIELD_IMAGES},
};

/* ---- the leaf ---- */

void
CheckEventColumns(TupleDesc columns)
{
	int i;

	for (i = 0; i < EVENT_COLUMNS; i++)
	{
		if (TupleDescAttr(columns, i)->atttypid != fields[i].type)
			ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("column \"%s\" of the audit log is not as phi_guard made it",
						   NameStr(TupleDescAttr(columns, i)->attname)));
	}
}

/* Room for size more bytes at the end of a leaf, which count as its. */
static inline uint8 *
Extend(StringInfo leaf, Size size)
{
	uint8 *room;

	if (unlikely((Size) (leaf->maxlen - leaf->len) <= size))
		enlargeStringInfo(leaf, (int) Min(size, (Size) MaxAllocSize));
	room = (uint8 *) leaf->data + leaf->len;
	leaf->len += (int) size;
	return room;
}

/* Append bytes. */
static void
AppendBytes(StringInfo leaf, const void *bytes, Size size)
{
	memcpy(Extend(leaf, size), bytes, size);
}

/* Append a text in UTF-8. */
static void
AppendText(StringInfo leaf, const text *value)
{
	const char *stored = VARDATA_ANY(value);
	int size = VARSIZE_ANY_EXHDR(value);
	char *converted;

	if (GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII)
	{
		AppendBytes(leaf, stored, size);
		return;
	}
	converted = pg_server_to_any(stored, size, PG_UTF8);
	AppendBytes(leaf, converted, converted == stored ? size : strlen(converted));
	if (converted != stored)
		pfree(converted);
}

/* Write the size of what follows position at into the 4 bytes before it. */
static void
CloseSize(StringInfo leaf, int at)
{
	phi_put_u32((uint8 *) leaf->data + at - 4, (uint32) (leaf->len - at));
}

/* Leave room for a size; returns the position after it. */
static int
OpenSize(StringInfo leaf)
{
	(void) Extend(leaf, 4);
	return leaf->len;
}

/* Append the count of an array and its elements. */
static void
AppendArray(StringInfo leaf, FieldForm form, ArrayType *array)
{
	int count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const char *element = ARR_DATA_PTR(array);
	const bits8 *present = ARR_NULLBITMAP(array);
	int i;

	phi_put_u32(Extend(leaf, 4), (uint32) count);
	for (i = 0; i < count; i++)
	{
		if (present != NULL && (present[i / 8] & (1 << (i % 8))) == 0)
			continue; /* none of ours: the count gives it away */
		if (form == FIELD_INT8_ARRAY)
		{
			phi_put_u64(Extend(leaf, 8), (uint64) * (const int64 *) element);
			element += sizeof(int64);
		}
		else
		{
			int at = OpenSize(leaf);

			element = (const char *) att_align_pointer(element, TYPALIGN_INT, -1, element);
			AppendText(leaf, DatumGetTextPP(PointerGetDatum(element)));
			CloseSize(leaf, at);
			element = att_addlength_pointer(element, -1, element);
		}
	}
}

/* Append the hash of images, which is what is left of them when they are erased. */
static void
AppendImages(StringInfo leaf, Datum value)
{
	bytea *stored = DatumGetByteaPP(value);
	phi_bytes images = phi_bytes_of(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
	uint8 hash[PHI_SHA256_SIZE];

	if (phi_images_erased(images))
		memcpy(hash, images.data + 1, sizeof(hash));
	else
		CheckStatus(phi_sha256(images, hash), "hash images");
	appendBinaryStringInfo(leaf, (const char *) hash, sizeof(hash));
}

/* Append the value of one column. */
static void
AppendValue(StringInfo leaf, FieldForm form, Datum value)
{
	bytea *bytes;

	switch (form)
	{
		case FIELD_INT4:
			phi_put_u32(Extend(leaf, 4), DatumGetUInt32(value));
			break;
		case FIELD_INT8:
			phi_put_u64(Extend(leaf, 8), (uint64) DatumGetInt64(value));
			break;
		case FIELD_TEXT:
			AppendText(leaf, DatumGetTextPP(value));
			break;
		case FIELD_BYTES:
			bytes = DatumGetByteaPP(value);
			AppendBytes(leaf, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
			break;
		case FIELD_IMAGES:
			AppendImages(leaf, value);
			break;
		case FIELD_INET:
			bytes = DatumGetByteaPP(DirectFunctionCall1(inet_send, value));
			AppendBytes(leaf, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
			break;
		case FIELD_INT8_ARRAY:
		case FIELD_TEXT_ARRAY:
			AppendArray(leaf, form, DatumGetArrayTypeP(value));
			break;
	}
}

/*
 * The leaf hash of an event given by the columns of its row.  buffer and the
 * current memory context are scratch.
 */
void
EventLeafHash(const Datum *values, const bool *isnull, StringInfo buffer, uint8 hash[PHI_HASH_SIZE])
{
	int column;
	int at;

	resetStringInfo(buffer);
	*Extend(buffer, 1) = LEAF_VERSION;
	for (column = 0; column < EVENT_COLUMNS; column++)
	{
		if (isnull[column])
			continue;
		*Extend(buffer, 1) = (uint8) (column + 1);
		at = OpenSize(buffer);
		AppendValue(buffer, fields[column].form, values[column]);
		CloseSize(buffer, at);
	}
	CheckStatus(phi_leaf_hash(phi_bytes_of(buffer->data, buffer->len), hash), "hash an event");
}
