/*-------------------------------------------------------------------------
 * image.c
 *		Sealing the images of changed rows, for capture => 'row'.
 *
 * A sealed column goes into an image as it is stored: bound to its subject
 * and column, and dead when that subject is shredded.  The whole image is
 * sealed in turn, under the key of the table or, in a shreddable one, of the
 * subject, so that the log shows neither what the table has unencrypted nor
 * search tags.  Nothing is opened here.
 *
 * A shredded subject gets no new key for the sake of the past: where it has
 * none, there is no image of a row before.  A worker of a subscription makes no
 * keys at all, as those of the publisher come: there is no image without one.
 *
 * Memory: what the images of a relation have in common is kept for the last
 * relation, in a context of its own, until the registry changes.  The plain
 * bytes of an image are wiped when it is sealed.
 *-------------------------------------------------------------------------
 */
#include "audit/image.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "audit/change.h"
#include "catalog/pg_type.h"
#include "core/mac.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "platform/platform.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#define FULL_BYTES (1024 * 1024) /* an event ends when its images have as many */

typedef struct ShapeColumn
{
	AttrNumber attnum;
	bool sealed;
	FmgrInfo output; /* of a column that is not sealed */
} ShapeColumn;

struct ImageShape
{
	MemoryContext context;
	Oid relation;
	int natts;
	uint64 generation; /* of the registry */
	bool shreddable;
	Oid root;
	int column_count;
	ShapeColumn *columns;
	StringInfoData dictionary; /* the columns as images have them */
	uint8 hash[PHI_SHA256_SIZE];
	uint8 run[PHI_IMAGE_RUN_SIZE]; /* of this statement */
	StringInfoData plain;          /* the image being sealed */
};

/* The shape of the last relation: single rows are written again and again. */
static ImageShape *Last = NULL;

/* To undo the settings of ImageBegin; 0: none are in force. */
static int SettingsLevel = 0;

/* ---- what the images of a relation have in common ---- */

/* Append a name with its size. */
static void
AppendName(StringInfo out, const char *name)
{
	char *utf8 = pg_server_to_any(name, strlen(name), PG_UTF8);
	Size size = Min(strlen(utf8), PG_UINT8_MAX);

	appendStringInfoChar(out, (char) size);
	appendBinaryStringInfo(out, utf8, size);
}

/* Is the column shown as it is to whom the row is shown? */
static bool
ShownPlainly(const ProtectedRelation *policy, AttrNumber attnum, const ProtectedColumn *classified)
{
	int i;

	if (attnum == policy->subject || attnum == policy->labels ||
		(classified != NULL && classified->kind == PHI_KIND_NONE))
		return true;
	for (i = 0; i < policy->key_count; i++)
	{
		if (policy->keys[i] == attnum)
			return true;
	}
	return false;
}

/* Describe one column. */
static void
AddColumn(ImageShape *shape, const ProtectedRelation *policy, Form_pg_attribute attribute)
{
	const ProtectedColumn *classified =
		RegistryColumnNamed(policy->root, NameStr(attribute->attname));
	ShapeColumn *column = &shape->columns[shape->column_count++];
	HeapTuple type = SearchSysCache1(TYPEOID, ObjectIdGetDatum(attribute->atttypid));
	uint8 fixed[5];
	Oid schema;
	Oid output;
	bool is_varlena;

	if (!HeapTupleIsValid(type))
		elog(ERROR, "cache lookup failed for type %u", attribute->atttypid);
	column->attnum = attribute->attnum;
	column->sealed = classified != NULL && classified->sealed;
	if (!column->sealed)
	{
		getTypeOutputInfo(attribute->atttypid, &output, &is_varlena);
		fmgr_info_cxt(output, &column->output, shape->context);
	}
	phi_put_u16(fixed, (uint16) attribute->attnum);
	phi_put_u16(fixed + 2, classified != NULL ? classified->column_id : 0);
	fixed[4] = column->sealed                                             ? PHI_IMAGE_SEALED
			   : ShownPlainly(policy, attribute->attnum, classified) ? PHI_IMAGE_PLAIN
																		  : 0;
	if (attribute->attnum == policy->labels)
		fixed[4] |= PHI_IMAGE_LABELS;
	appendBinaryStringInfo(&shape->dictionary, (const char *) fixed, sizeof(fixed));
	AppendName(&shape->dictionary, NameStr(attribute->attname));
	schema = ((Form_pg_type) GETSTRUCT(type))->typnamespace;
	AppendName(&shape->dictionary,
			   psprintf("%s.%s", schema == PhiSchema() ? "phi" : get_namespace_name(schema),
						NameStr(((Form_pg_type) GETSTRUCT(type))->typname)));
	ReleaseSysCache(type);
}

/* Make the shape of a relation in its context. */
static void
FillShape(ImageShape *shape, Relation relation, const ProtectedRelation *policy)
{
	TupleDesc columns = RelationGetDescr(relation);
	uint8 count[2] = {0};
	int i;

	shape->columns = palloc0(sizeof(ShapeColumn) * (columns->natts + 1));
	initStringInfo(&shape->dictionary);
	initStringInfo(&shape->plain);
	appendBinaryStringInfo(&shape->dictionary, (const char *) count, sizeof(count));
	for (i = 0; i < columns->natts; i++)
	{
		if (!TupleDescAttr(columns, i)->attisdropped)
			AddColumn(shape, policy, TupleDescAttr(columns, i));
	}
	phi_put_u16((uint8 *) shape->dictionary.data, (uint16) shape->column_count);
	CheckStatus(phi_sha256(phi_bytes_of(shape->dictionary.data, shape->dictionary.len), shape->hash),
				"seal an image");
}

/* The shape of a relation: the last one, or made anew. */
static ImageShape *
ShapeOf(Relation relation, const ProtectedRelation *policy)
{
	MemoryContext context;
	MemoryContext old;
	ImageShape *shape;

	if (Last != NULL && Last->relation == RelationGetRelid(relation) &&
		Last->generation == RegistryGeneration() &&
		Last->natts == RelationGetNumberOfAttributes(relation))
		return Last;
	context = AllocSetContextCreate(CurrentMemoryContext, "phi_guard row images",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	shape = palloc0(sizeof(ImageShape));
	shape->context = context;
	shape->relation = RelationGetRelid(relation);
	shape->natts = RelationGetNumberOfAttributes(relation);
	shape->generation = RegistryGeneration();
	shape->shreddable = policy->shreddable;
	shape->root = policy->root;
	FillShape(shape, relation, policy);
	MemoryContextSwitchTo(old);
	if (Last != NULL)
		MemoryContextDelete(Last->context);
	MemoryContextSetParent(context, CacheMemoryContext);
	Last = shape;
	return shape;
}

int
ImageTextSettings(void)
{
	int level = NewGUCNestLevel();

	(void) set_config_option("datestyle", "ISO, YMD", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	(void) set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("timezone", "UTC", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
	(void) set_config_option("extra_float_digits", "3", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	(void) set_config_option("bytea_output", "hex", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	(void) set_config_option("search_path", "pg_catalog", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

const ImageShape *
ImageBegin(Relation relation, const ProtectedRelation *policy)
{
	ImageShape *shape = ShapeOf(relation, policy);

	RandomBytes(shape->run, sizeof(shape->run));
	SettingsLevel = ImageTextSettings();
	return shape;
}

void
ImageEnd(void)
{
	AtEOXact_GUC(true, SettingsLevel);
	SettingsLevel = 0;
}

/* ---- one image ---- */

/* Note that a data key is in use. */
static void
NoteKey(ImageBatch *batch, uint32 key, MemoryContext context)
{
	int i;

	for (i = 0; i < batch->key_count; i++)
	{
		if (batch->keys[i] == key)
			return;
	}
	if (batch->key_count == PG_UINT16_MAX)
		ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("rows of one audit event are sealed under too many data keys"));
	if (batch->key_count == batch->key_capacity)
	{
		uint32 *more =
			MemoryContextAlloc(context, sizeof(uint32) * Max(8, batch->key_capacity * 2));

		memcpy(more, batch->keys, sizeof(uint32) * batch->key_count);
		batch->key_capacity = Max(8, batch->key_capacity * 2);
		batch->keys = more;
	}
	batch->keys[batch->key_count++] = key;
}

/* Append size and bytes. */
static void
AppendBytes(StringInfo out, const void *bytes, Size size)
{
	uint8 counted[4];

	phi_put_u32(counted, (uint32) size);
	appendBinaryStringInfo(out, (const char *) counted, sizeof(counted));
	appendBinaryStringInfo(out, bytes, (int) size);
}

/* Append a stored envelope, and note its key. */
static void
AppendSealed(ImageBatch *batch, StringInfo out, Datum value, MemoryContext context)
{
	struct varlena *stored = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));
	phi_bytes envelope = phi_bytes_of(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
	phi_header header;

	CheckStatus(phi_header_parse(envelope, envelope.size, &header), "read a sealed value");
	/* Keys of subjects end by shredding alone, in which their images share. */
	if (!batch->shape->shreddable || (KeyringSubjectKeyId(header.subject_token) != header.dek_id &&
									  !KeyringShredded(header.dek_id)))
		NoteKey(batch, header.dek_id, context);
	AppendBytes(out, envelope.data, envelope.size);
}

/* Append the text of a value in UTF-8. */
static void
AppendText(StringInfo out, FmgrInfo *output, Datum value)
{
	char *text = OutputFunctionCall(output, value);
	char *utf8 = pg_server_to_any(text, strlen(text), PG_UTF8);

	AppendBytes(out, utf8, strlen(utf8));
}

/* Compose the plain bytes of an image. */
static void
ComposeRow(ImageBatch *batch, TupleTableSlot *slot, MemoryContext context)
{
	StringInfo out = (StringInfo) &batch->shape->plain;
	int i;

	resetStringInfo(out);
	for (i = 0; i < batch->shape->column_count; i++)
	{
		ShapeColumn *column = &batch->shape->columns[i];
		int at = column->attnum - 1;

		appendStringInfoChar(out, slot->tts_isnull[at] ? 0 : 1);
		if (slot->tts_isnull[at])
			continue;
		if (column->sealed)
			AppendSealed(batch, out, slot->tts_values[at], context);
		else
			AppendText(out, &column->output, slot->tts_values[at]);
	}
}

/* The key of an image; NULL where there is to be none. */
static phi_data_key *
ImageKey(const ImageShape *shape, uint64 subject, phi_image_side side)
{
	if (!shape->shreddable || subject == 0)
		return KeyringRelationKey(shape->root);
	if ((side == PHI_IMAGE_BEFORE || ApplyingSubscription() != NULL) &&
		KeyringSubjectKeyId(subject) == 0)
		return NULL;
	return KeyringSubjectKey(subject);
}

/* Seal the composed bytes at the end of the batch's envelopes; their size, 0 for none. */
static uint32
SealImage(ImageBatch *batch, uint64 subject, phi_image_side side, MemoryContext context)
{
	const ImageShape *shape = batch->shape;
	phi_header header = {.bound = true, .subject_token = subject};
	uint64 transaction = U64FromFullTransactionId(GetTopFullTransactionId());
	phi_bytes plain = phi_bytes_of(shape->plain.data, shape->plain.len);
	phi_data_key *key = ImageKey(shape, subject, side);
	uint8 binding[PHI_UUID_SIZE];
	uint8 nonce[PHI_NONCE_TAIL_SIZE];
	phi_buffer out = {0};

	if (key == NULL)
		return 0;
	header.dek_id = key->id;
	if (!shape->shreddable || subject == 0)
		NoteKey(batch, key->id, context);
	CheckStatus(phi_image_binding(batch->salt, transaction, shape->run, shape->hash, batch->entries,
								  side, binding),
				"seal an image");
	RandomBytes(nonce, sizeof(nonce));
	out.capacity = phi_envelope_size(&header, plain.size);
	enlargeStringInfo(&batch->envelopes, (int) Min(out.capacity, MaxAllocSize));
	out.data = (uint8 *) batch->envelopes.data + batch->envelopes.len;
	CheckStatus(phi_envelope_seal(key, &header, binding, nonce, sizeof(nonce), plain, &out),
				"seal an image");
	batch->envelopes.len += (int) out.size;
	return (uint32) out.size;
}

/* Add one side of an entry. */
static void
AddSide(ImageBatch *batch, const ImageRow *row, phi_image_side side, MemoryContext context)
{
	uint8 size[4] = {0};

	if (row != NULL && row->slot != NULL)
	{
		ComposeRow(batch, row->slot, context);
		phi_put_u32(size, SealImage(batch, row->subject, side, context));
		SecretWipe(batch->shape->plain.data, batch->shape->plain.len);
	}
	appendBinaryStringInfo(&batch->sizes, (const char *) size, sizeof(size));
}

/* ---- the images of one event ---- */

void
ImageBatchBegin(ImageBatch *batch, const ImageShape *shape)
{
	batch->shape = shape;
	batch->entries = 0;
	batch->key_count = 0;
	batch->key_capacity = 0;
	batch->keys = NULL;
	RandomBytes(batch->salt, sizeof(batch->salt));
	initStringInfo(&batch->sizes);
	initStringInfo(&batch->envelopes);
}

void
ImageBatchAdd(ImageBatch *batch, const ImageRow *before, const ImageRow *after,
			  MemoryContext context)
{
	AddSide(batch, before, PHI_IMAGE_BEFORE, context);
	AddSide(batch, after, PHI_IMAGE_AFTER, context);
	batch->entries++;
}

bool
ImageBatchFull(const ImageBatch *batch)
{
	return batch->envelopes.len >= FULL_BYTES;
}

bytea *
ImageBatchValue(const ImageBatch *batch)
{
	StringInfoData out;
	uint8 number[4];
	int i;

	initStringInfo(&out);
	appendStringInfoSpaces(&out, VARHDRSZ);
	appendStringInfoChar(&out, PHI_IMAGE_VERSION);
	appendBinaryStringInfo(&out, (const char *) batch->shape->run, PHI_IMAGE_RUN_SIZE);
	phi_put_u16(number, (uint16) batch->key_count);
	appendBinaryStringInfo(&out, (const char *) number, 2);
	for (i = 0; i < batch->key_count; i++)
	{
		phi_put_u32(number, batch->keys[i]);
		appendBinaryStringInfo(&out, (const char *) number, 4);
	}
	appendBinaryStringInfo(&out, batch->shape->dictionary.data, batch->shape->dictionary.len);
	phi_put_u16(number, (uint16) batch->entries);
	appendBinaryStringInfo(&out, (const char *) number, 2);
	appendBinaryStringInfo(&out, batch->sizes.data, batch->sizes.len);
	appendBinaryStringInfo(&out, batch->envelopes.data, batch->envelopes.len);
	SET_VARSIZE(out.data, out.len);
	return (bytea *) out.data;
}
