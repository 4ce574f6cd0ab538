/*-------------------------------------------------------------------------
 * sealing.c
 *		Sealing and opening stored values.
 *
 * A stored value is a varlena whose data is one envelope.  Plain bytes live
 * only in the memory context of the caller's row.
 *-------------------------------------------------------------------------
 */
#include "types/sealing.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "types/search.h"
#include "utils/memutils.h"

/*
 * The largest plaintext: its text form, base64url with prefix and terminator,
 * must fit in one allocation, so that output never fails.
 */
#define MAX_PLAIN ((Size) (MaxAllocSize / 4 * 3 - 256))

bool
SealedButForTag(const phi_header *header, const SealTarget *target)
{
	const ProtectedColumn *column = target->column;

	return header->bound && header->column_id == column->column_id &&
		   header->subject_token == target->subject_token &&
		   header->row_token == target->row_token && header->label_set == target->label_set &&
		   header->searchable == column->searchable;
}

bool
SealedFor(const phi_header *header, const SealTarget *target)
{
	return SealedButForTag(header, target) &&
		   (!target->column->searchable || SearchTagCurrent(target->column, header));
}

bool
IsDead(const phi_header *header)
{
	return header->bound && KeyringShredded(header->dek_id);
}

bool
HasLiveTag(const phi_header *header)
{
	return header->searchable && header->search_tag[0] != PHI_SEARCH_TAG_DEAD;
}

/*
 * The tag is part of what the value's own tag authenticates, so the value is
 * altered for good.  Random: dead values do not equal each other, and a unique
 * index takes them.
 */
struct varlena *
DeadenTag(Datum value, const phi_header *header)
{
	struct varlena *dead = PG_DETOAST_DATUM_COPY(value);
	phi_header changed = *header;
	size_t size;

	changed.search_tag[0] = PHI_SEARCH_TAG_DEAD;
	RandomBytes(changed.search_tag + 1, PHI_SEARCH_TAG_SIZE - 1);
	CheckStatus(phi_header_write(&changed, (uint8 *) VARDATA(dead), &size), "alter a search tag");
	return dead;
}

/* The header of a new value around plain; its key is for the caller to name. */
static void
FillHeader(phi_header *header, const SealTarget *target, phi_bytes plain)
{
	memset(header, 0, sizeof(*header));
	if (!target)
		return;
	header->bound = true;
	header->column_id = target->column->column_id;
	header->label_set = target->label_set;
	header->subject_token = target->subject_token;
	header->row_token = target->row_token;
	header->searchable = target->column->searchable;
	if (header->searchable)
		SearchTag(target->column, plain, header->search_tag);
}

/* The key that a value of the target is sealed under. */
static phi_data_key *
TargetKey(const SealTarget *target)
{
	if (!target)
		return KeyringCurrentKey();
	if (target->column->shreddable)
		return KeyringSubjectKey(target->subject_token);
	return KeyringRelationKey(target->column->relation);
}

struct varlena *
SealUnder(phi_data_key *key, phi_header *header, const uint8 *column_uuid, phi_bytes plain)
{
	Size nonce_size = header->bound ? PHI_NONCE_TAIL_SIZE : PHI_XAES_NONCE_SIZE;
	uint8 nonce[PHI_XAES_NONCE_SIZE];
	struct varlena *sealed;
	phi_buffer out;

	header->dek_id = key->id;
	out.capacity = phi_envelope_size(header, plain.size);
	sealed = palloc(out.capacity + VARHDRSZ);
	SET_VARSIZE(sealed, out.capacity + VARHDRSZ);
	out.data = (uint8 *) VARDATA(sealed);
	out.size = 0;
	RandomBytes(nonce, nonce_size);
	CheckStatus(phi_envelope_seal(key, header, column_uuid, nonce, nonce_size, plain, &out),
				"seal a value");
	return sealed;
}

/*
 * Seal plain bytes under the current data key, or that of the subject.  The tag
 * is made first: that may look into catalogs, after which a key that was asked
 * for before might be gone.
 */
struct varlena *
SealBytes(phi_bytes plain, const SealTarget *target)
{
	phi_data_key *key;
	phi_header header;

	NoteSensitiveStatement();
	if (plain.size > MAX_PLAIN)
	{
		HideValueContext();
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("value is too large to be sealed"),
						errdetail("A sealed value holds at most %zu bytes.", MAX_PLAIN),
						errhidestmt(true)));
	}
	FillHeader(&header, target, plain);
	key = TargetKey(target);
	return SealUnder(key, &header, target ? target->column->uuid : NULL, plain);
}

struct varlena *
SealValue(InnerType inner, Datum plain, const SealTarget *target)
{
	bool owned;
	phi_bytes bytes = InnerToBytes(inner, plain, &owned);
	struct varlena *sealed = SealBytes(bytes, target);

	if (owned)
		SecretWipe((void *) bytes.data, bytes.size);
	return sealed;
}

bool
TryOpen(Datum value, const phi_header *header, const uint8 *column_uuid, phi_buffer *plain)
{
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(value);
	phi_bytes envelope = phi_bytes_of(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
	phi_status status;

	plain->capacity = phi_envelope_plain_size(header, envelope.size);
	plain->data = palloc(plain->capacity + 1);
	plain->size = 0;
	status = phi_envelope_open(KeyringKey(header->dek_id), envelope, column_uuid, plain);
	if ((Pointer) stored != DatumGetPointer(value))
		pfree(stored);
	if (status != PHI_ERR_AUTH)
		CheckStatus(status, "open a sealed value");
	return status == PHI_OK;
}

/*
 * Open a stored value; column is what a bound one was sealed for.
 */
uint8 *
OpenBytesOf(const ProtectedColumn *column, Datum value, const phi_header *header, Size *size)
{
	phi_buffer plain;

	if (!TryOpen(value, header, column ? column->uuid : NULL, &plain))
		ReportStatus(PHI_ERR_AUTH, "open a sealed value");
	*size = plain.size;
	return plain.data;
}

/*
 * Open a stored value; raises for a column that was never given.
 */
uint8 *
OpenBytes(Datum value, const phi_header *header, Size *size)
{
	const ProtectedColumn *column = header->bound ? RegistryColumn(header->column_id) : NULL;

	if (header->bound && !column)
		ReportStatus(PHI_ERR_AUTH, "open a sealed value");
	return OpenBytesOf(column, value, header, size);
}

Datum
OpenValue(InnerType inner, Datum value, const phi_header *header)
{
	Size size;
	uint8 *bytes = OpenBytes(value, header, &size);
	Datum plain = InnerFromBytes(inner, bytes, size);

	SecretWipe(bytes, size);
	pfree(bytes);
	return plain;
}

struct varlena *
RebindValue(Datum value, const phi_header *header, const SealTarget *target)
{
	Size size;
	uint8 *bytes = OpenBytes(value, header, &size);
	struct varlena *sealed = SealBytes(phi_bytes_of(bytes, size), target);

	SecretWipe(bytes, size);
	pfree(bytes);
	return sealed;
}

uint64
TargetRowToken(const uint8 *column_uuid, const StringInfoData *key_texts)
{
	return key_texts->len == 0 ? 0 : RowToken(column_uuid, key_texts->data, key_texts->len);
}

void
KeyArguments(FunctionCallInfo fcinfo, int first, int end, StringInfo key_texts)
{
	if (get_fn_expr_variadic(fcinfo->flinfo))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the primary key cannot be given as a VARIADIC array"),
						errhint("Give the key columns one by one.")));
	for (int i = first; i < end; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("a primary key column cannot be null")));
		KeyTextAppendCounted(key_texts, PG_GETARG_DATUM(i), get_fn_expr_argtype(fcinfo->flinfo, i));
	}
}
