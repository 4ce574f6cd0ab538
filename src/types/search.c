/*-------------------------------------------------------------------------
 * search.c
 *		Search tags, and the equality operators over them.
 *
 * A searchable column's values carry a tag: one byte of key generation and
 * eleven bytes of HMAC-SHA-256 of the identifier's normal form, under a key of
 * the column's search context.  Stored values are compared by their tags
 * alone, without any key.  A literal has no context: it is tagged for the
 * column that it is compared with, and only for a session that sees the
 * column's kind in full, otherwise a search would tell who exists.
 *
 * Context keys are derived from the root key at first use and forgotten when
 * the keyring is read again.
 *-------------------------------------------------------------------------
 */
#include "types/search.h"

#include "consent/consent.h"
#include "core/mac.h"
#include "core/normal.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "types/sealing.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define SEARCH_INFO "phi_guard search 1"
#define LITERALS	8 /* literals whose tags are remembered */

typedef struct ContextKeyId
{
	NameData context;			/* of a named context */
	uint8 column[PHI_UUID_SIZE]; /* of a column's own one; zero for a named context */
	int32 generation;
} ContextKeyId;

typedef struct ContextKey
{
	ContextKeyId id;
	uint8 key[PHI_SHA256_SIZE];
} ContextKey;

/* A literal seen lately: its nonce, the column it was tagged for, the tag. */
typedef struct TaggedLiteral
{
	uint8 nonce[PHI_XAES_NONCE_SIZE];
	uint16 column_id;
	uint64 registry_generation;
	uint8 tag[PHI_SEARCH_TAG_SIZE];
} TaggedLiteral;

static HTAB *ContextKeys = NULL;
static uint64 KeysGeneration = 0;
static TaggedLiteral Literals[LITERALS];
static int NextLiteral = 0;

PG_FUNCTION_INFO_V1(phi_search_eq);
PG_FUNCTION_INFO_V1(phi_search_ne);
PG_FUNCTION_INFO_V1(phi_search_eq_text);
PG_FUNCTION_INFO_V1(phi_search_ne_text);
PG_FUNCTION_INFO_V1(phi_text_eq_search);
PG_FUNCTION_INFO_V1(phi_text_ne_search);
PG_FUNCTION_INFO_V1(phi_search_cmp);
PG_FUNCTION_INFO_V1(phi_search_hash);
PG_FUNCTION_INFO_V1(phi_search_value);
PG_FUNCTION_INFO_V1(phi_is_searchable_kind);

/* ---- tags ---- */

/* Wipe the context keys of an older keyring and start anew. */
static void
ForgetContextKeys(void)
{
	HASHCTL control = {0};
	HASH_SEQ_STATUS status;
	ContextKey *entry;

	if (ContextKeys)
	{
		hash_seq_init(&status, ContextKeys);
		while ((entry = hash_seq_search(&status)) != NULL)
			SecretWipe(entry->key, sizeof(entry->key));
		hash_destroy(ContextKeys);
	}
	control.keysize = sizeof(ContextKeyId);
	control.entrysize = sizeof(ContextKey);
	control.hcxt = TopMemoryContext;
	ContextKeys = hash_create("phi_guard search keys", 16, &control,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	memset(Literals, 0, sizeof(Literals));
	KeysGeneration = KeyringGeneration();
}

/* Derive a context key: HKDF of the root key; info is a label and the id, a name in 64 bytes. */
static void
DeriveContextKey(const ContextKeyId *id, uint8 out[PHI_SHA256_SIZE])
{
	uint8 info[sizeof(SEARCH_INFO) + NAMEDATALEN + PHI_UUID_SIZE];
	Size size = 0;
	uint8 root[PHI_KEY_SIZE];
	phi_status status;

	memcpy(info, SEARCH_INFO, sizeof(SEARCH_INFO) - 1);
	size += sizeof(SEARCH_INFO) - 1;
	memcpy(info + size, NameStr(id->context), NAMEDATALEN);
	size += NAMEDATALEN;
	memcpy(info + size, id->column, PHI_UUID_SIZE);
	size += PHI_UUID_SIZE;
	info[size++] = (uint8) id->generation;
	KeyringRootKey(root);
	status = phi_hkdf_sha256(phi_bytes_of(root, sizeof(root)), phi_bytes_of(NULL, 0),
							 phi_bytes_of(info, size), out, PHI_SHA256_SIZE);
	SecretWipe(root, sizeof(root));
	CheckStatus(status, "derive a search key");
}

/* The key of a column's search context, of some generation. */
static const uint8 *
FindContextKey(const ProtectedColumn *column, uint8 generation)
{
	ContextKeyId id;
	ContextKey *entry;
	uint8 key[PHI_SHA256_SIZE];

	if (unlikely(!ContextKeys || KeyringIsStale() || KeysGeneration != KeyringGeneration()))
	{
		(void) KeyringExists(); /* reads the keyring again when it is stale */
		ForgetContextKeys();
	}
	memset(&id, 0, sizeof(id));
	if (NameStr(column->search_context)[0] != '\0')
		namestrcpy(&id.context, NameStr(column->search_context));
	else
		memcpy(id.column, column->uuid, PHI_UUID_SIZE);
	id.generation = generation;
	entry = hash_search(ContextKeys, &id, HASH_FIND, NULL);
	if (entry)
		return entry->key;
	DeriveContextKey(&id, key);
	entry = hash_search(ContextKeys, &id, HASH_ENTER, NULL);
	SecretProtect(entry, sizeof(*entry));
	memcpy(entry->key, key, sizeof(key));
	SecretWipe(key, sizeof(key));
	return entry->key;
}

/*
 * The tag of plain text in a searchable column, of some generation.
 */
void
SearchTagOf(const ProtectedColumn *column, uint8 generation, phi_bytes plain,
			uint8 tag[PHI_SEARCH_TAG_SIZE])
{
	const uint8 *key;
	uint8 small[256];
	uint8 mac[PHI_SHA256_SIZE];
	phi_buffer normal;
	phi_status status;

	NoteSensitiveStatement();
	key = FindContextKey(column, generation);
	normal.capacity = plain.size;
	normal.data = plain.size <= sizeof(small) ? small : palloc(plain.size);
	normal.size = 0;
	status = phi_normal_form(column->kind, plain, &normal);
	if (status == PHI_OK)
		status = phi_hmac_sha256(phi_bytes_of(key, PHI_SHA256_SIZE),
								 phi_bytes_of(normal.data, normal.size), mac);
	SecretWipe(normal.data, normal.size);
	if (normal.data != small)
		pfree(normal.data);
	CheckStatus(status, "make a search tag");
	tag[0] = generation;
	memcpy(tag + 1, mac, PHI_SEARCH_TAG_SIZE - 1);
}

/*
 * A header with the tag, and nothing behind it.
 */
struct varlena *
SearchKey(const ProtectedColumn *column, uint8 generation, phi_bytes plain)
{
	Size size = VARHDRSZ + PHI_ENVELOPE_SEARCHABLE;
	struct varlena *key = palloc0(size);
	phi_header header = {0};
	size_t written;

	SET_VARSIZE(key, size);
	header.bound = true;
	header.searchable = true;
	header.dek_id = PG_UINT32_MAX; /* none: a search key is never opened */
	header.column_id = column->column_id;
	SearchTagOf(column, generation, plain, header.search_tag);
	CheckStatus(phi_header_write(&header, (uint8 *) VARDATA(key), &written), "make a search key");
	return key;
}

struct varlena *
SearchKeyOfText(const ProtectedColumn *column, uint8 generation, Datum plain)
{
	bool owned;

	return SearchKey(column, generation, InnerToBytes(INNER_TEXT, plain, &owned));
}

const ProtectedColumn *
SearchableBySession(uint16 column_id)
{
	const ProtectedColumn *column = RegistryColumn(column_id);

	return column && column->searchable && SessionForm(column->kind) == PHI_FORM_FULL ? column : NULL;
}

/* ---- comparison ---- */

/* Raise: no single tag stands for a literal while the tags of a column are being moved. */
static PHI_NORETURN void
RaiseMoving(const ProtectedColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("an index of column \"%s\" of table \"%s\" cannot be searched for this value while "
					"its search key is being rotated",
					NameStr(column->name), NameStr(column->relation_name)),
			 errhint("Compare the column with a literal or a parameter, not with a subquery, or wait "
					 "for phi.retag() to end.")));
}

/* Raise: there is nothing to compare by. */
static PHI_NORETURN void
RaiseNotSearchable(void)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("sealed values without a search tag cannot be compared"),
					errhint("Classify the column as searchable before phi.protect, or compare "
							"revealed values.")));
}

/*
 * Tag an unbound literal for a column, with the key of some generation, or of
 * the column's one when that is 0; false for a session that may not search it.
 */
static bool
TagLiteral(Datum literal, const phi_header *literal_header, uint16 column_id, uint8 generation,
		   uint8 tag[PHI_SEARCH_TAG_SIZE])
{
	const ProtectedColumn *column = SearchableBySession(column_id);
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(literal);
	const uint8 *nonce = (const uint8 *) VARDATA_ANY(stored) + 5;
	TaggedLiteral *slot;
	uint8 *plain;
	Size size;

	if (!column)
		return false;
	if (generation == 0)
	{
		if (column->next_generation != 0)
			RaiseMoving(column);
		generation = column->search_generation;
	}
	for (int i = 0; i < LITERALS; i++)
	{
		slot = &Literals[i];
		if (slot->column_id == column_id && slot->tag[0] == generation && slot->registry_generation == RegistryGeneration() &&
			KeysGeneration == KeyringGeneration() &&
			memcmp(slot->nonce, nonce, PHI_XAES_NONCE_SIZE) == 0)
		{
			memcpy(tag, slot->tag, PHI_SEARCH_TAG_SIZE);
			return true;
		}
	}
	plain = OpenBytes(literal, literal_header, &size);
	SearchTagOf(column, generation, phi_bytes_of(plain, size), tag);
	SecretWipe(plain, size);
	pfree(plain);
	slot = &Literals[NextLiteral];
	NextLiteral = (NextLiteral + 1) % LITERALS;
	memcpy(slot->nonce, nonce, PHI_XAES_NONCE_SIZE);
	memcpy(slot->tag, tag, PHI_SEARCH_TAG_SIZE);
	slot->column_id = column_id;
	slot->registry_generation = RegistryGeneration();
	return true;
}

/*
 * The tags of both sides.  False when a literal may not be searched by this
 * session: it then equals nothing and differs from nothing.  A literal has the
 * generation of the other side, which is what equality asks for; where tags
 * are put in an order, it has the column's one.
 */
static bool
BothTags(Datum a, Datum b, bool ordering, uint8 tags[2][PHI_SEARCH_TAG_SIZE])
{
	Datum values[2] = {a, b};
	phi_header headers[2];

	for (int i = 0; i < 2; i++)
	{
		ReadHeader(values[i], &headers[i]);
		if (headers[i].searchable)
			memcpy(tags[i], headers[i].search_tag, PHI_SEARCH_TAG_SIZE);
	}
	for (int i = 0; i < 2; i++)
	{
		if (headers[i].searchable)
			continue;
		if (headers[i].bound || !headers[1 - i].searchable)
			RaiseNotSearchable();
		if (!TagLiteral(values[i], &headers[i], headers[1 - i].column_id,
						ordering ? 0 : headers[1 - i].search_tag[0], tags[i]))
		{
			memset(tags[i], 0, PHI_SEARCH_TAG_SIZE); /* generation 0 is no tag's */
			return false;
		}
	}
	return true;
}

/* Three-way comparison of tags; an arbitrary order that only equality lookups use. */
static int
CompareTags(Datum a, Datum b)
{
	uint8 tags[2][PHI_SEARCH_TAG_SIZE];

	(void) BothTags(a, b, true, tags);
	return memcmp(tags[0], tags[1], PHI_SEARCH_TAG_SIZE);
}

/*
 * phi.encrypted_text = phi.encrypted_text: the same identifier?
 */
Datum
phi_search_eq(PG_FUNCTION_ARGS)
{
	uint8 tags[2][PHI_SEARCH_TAG_SIZE];

	PG_RETURN_BOOL(BothTags(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), false, tags) &&
				   memcmp(tags[0], tags[1], PHI_SEARCH_TAG_SIZE) == 0);
}

/*
 * phi.encrypted_text <> phi.encrypted_text: not the same identifier?  False,
 * like equality, for a literal that the session may not search.
 */
Datum
phi_search_ne(PG_FUNCTION_ARGS)
{
	uint8 tags[2][PHI_SEARCH_TAG_SIZE];

	PG_RETURN_BOOL(BothTags(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), false, tags) &&
				   memcmp(tags[0], tags[1], PHI_SEARCH_TAG_SIZE) != 0);
}

/*
 * Compare a stored value with plain text: 0 equal, 1 not, -1 for a session
 * that may not search the column.  The planner replaces what it can of these
 * by comparisons of sealed values, which an index serves.
 */
static int
CompareWithText(Datum sealed, Datum plain)
{
	phi_header header;
	const ProtectedColumn *column;
	uint8 tag[PHI_SEARCH_TAG_SIZE];
	bool owned;

	ReadHeader(sealed, &header);
	if (!header.searchable)
		RaiseNotSearchable();
	column = SearchableBySession(header.column_id);
	if (!column)
		return -1;
	SearchTagOf(column, header.search_tag[0], InnerToBytes(INNER_TEXT, plain, &owned), tag);
	return memcmp(tag, header.search_tag, PHI_SEARCH_TAG_SIZE) != 0;
}

/*
 * phi.encrypted_text = text, <> text, and the other way round.
 */
Datum
phi_search_eq_text(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(CompareWithText(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)) == 0);
}

Datum
phi_search_ne_text(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(CompareWithText(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)) == 1);
}

Datum
phi_text_eq_search(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(CompareWithText(PG_GETARG_DATUM(1), PG_GETARG_DATUM(0)) == 0);
}

Datum
phi_text_ne_search(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(CompareWithText(PG_GETARG_DATUM(1), PG_GETARG_DATUM(0)) == 1);
}

/*
 * Support function 1 of the btree operator class.
 */
Datum
phi_search_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(CompareTags(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)));
}

/*
 * Support function 1 of the hash operator class: of stored values only, a
 * literal has no context here.
 */
Datum
phi_search_hash(PG_FUNCTION_ARGS)
{
	phi_header header;

	ReadHeader(PG_GETARG_DATUM(0), &header);
	if (!header.searchable)
		RaiseNotSearchable();
	PG_RETURN_UINT32(phi_get_u32(header.search_tag + 1));
}

/*
 * phi.search_value(plain, column_id): what the column's values are compared
 * with for this text; NULL unless the session sees the column's kind in full.
 */
Datum
phi_search_value(PG_FUNCTION_ARGS)
{
	const ProtectedColumn *column = SearchableBySession((uint16) PG_GETARG_INT32(1));

	if (!column)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(SearchKeyOfText(column, column->search_generation, PG_GETARG_DATUM(0)));
}

/*
 * phi.is_searchable_kind(kind): may columns of this kind be searchable?
 */
Datum
phi_is_searchable_kind(PG_FUNCTION_ARGS)
{
	text *name = PG_GETARG_TEXT_PP(0);
	phi_kind kind;

	PG_RETURN_BOOL(phi_kind_find(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), &kind) &&
				   phi_kind_searchable(kind));
}
