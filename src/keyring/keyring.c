/*-------------------------------------------------------------------------
 * keyring.c
 *		Data keys and subkeys of this database, unwrapped at first use.
 *
 * phi.data_key holds wrapped keys.  A process keeps the rows in a hash table
 * and unwraps a key when it is first asked for; an invalidation of the table
 * makes it read the rows again, keeping what is already unwrapped.  A key
 * that is gone or destroyed is wiped at that moment.
 *
 * The root key is never used itself: HKDF-SHA-256 makes the token keys from it.
 *-------------------------------------------------------------------------
 */
#include "keyring/keyring.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "keyring/kek.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/uuid.h"

#define WRAPPED_SIZE	 (PHI_XAES_NONCE_SIZE + PHI_KEY_SIZE + PHI_XAES_TAG_SIZE)
#define CHECK_VALUE_SIZE 8
#define WRAP_LABEL		 "phi_guard data key 1"
#define WRAP_INFO		 "phi_guard key wrapping 1"
#define CHECK_INFO		 "phi_guard key check 1"

/* Columns of phi.data_key, by position. */
enum DataKeyColumn
{
	DK_ID = 1, DK_UUID, DK_SCOPE, DK_STATE, DK_KEK, DK_WRAPPED, DK_CHECK, DK_LAST = DK_CHECK
};

typedef struct KeyEntry
{
	uint32 dek_id;
	bool seen; /* by the scan in progress */
	bool root;
	bool ready; /* key.xaes is made */
	uint32 kek_version;
	uint8 wrapped[WRAPPED_SIZE];
	uint8 check_value[CHECK_VALUE_SIZE];
	phi_data_key key;
} KeyEntry;

typedef struct Subkeys
{
	bool ready;
	uint8 subject_token[PHI_SIPHASH_KEY];
	uint8 row_token[PHI_SIPHASH_KEY];
	uint8 reference[PHI_SIPHASH_KEY];
} Subkeys;

static HTAB *Keys = NULL;
static Subkeys RootSubkeys;
static uint32 RootId = 0;
static uint32 CurrentId = 0;
static Oid KeyTable = InvalidOid;
static bool Stale = true;
static bool SelfTested = false;
static uint64 Generation = 1;

PG_FUNCTION_INFO_V1(phi_ensure_keys);
PG_FUNCTION_INFO_V1(phi_reload_kek);
PG_FUNCTION_INFO_V1(phi_key_opens);

/* Relcache callback. */
static void
KeysInvalidated(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == KeyTable)
		Stale = true;
}

void
KeyringInit(void)
{
	KekInit();
	CacheRegisterRelcacheCallback(KeysInvalidated, (Datum) 0);
}

uint64
KeyringGeneration(void)
{
	return Generation;
}

/* ---- wrapping ---- */

/* AAD of a wrapped key: label, uuid, scope, version of the KEK. */
static phi_bytes
WrapAad(uint8 *buffer, const uint8 *uuid, bool root, uint32 kek_version)
{
	Size size = strlen(WRAP_LABEL);

	memcpy(buffer, WRAP_LABEL, size);
	memcpy(buffer + size, uuid, PHI_UUID_SIZE);
	size += PHI_UUID_SIZE;
	buffer[size++] = root ? 'r' : 'd';
	phi_put_u32(buffer + size, kek_version);
	return phi_bytes_of(buffer, size + 4);
}

/* Make the wrapping cipher of a KEK version ready; PHI_ERR_AUTH when the ring lacks it. */
static phi_status
WrapCipher(phi_xaes *cipher, uint32 kek_version)
{
	uint8 kek[PHI_KEY_SIZE];
	uint8 wrapping[PHI_KEY_SIZE];
	phi_status status;

	if (!KekFind(kek_version, kek))
		return PHI_ERR_AUTH;
	status = phi_hkdf_sha256(phi_bytes_of(kek, PHI_KEY_SIZE), phi_bytes_of(NULL, 0),
							 phi_bytes_of(WRAP_INFO, strlen(WRAP_INFO)), wrapping, PHI_KEY_SIZE);
	if (status == PHI_OK)
		status = phi_xaes_init(cipher, wrapping);
	SecretWipe(kek, sizeof(kek));
	SecretWipe(wrapping, sizeof(wrapping));
	return status;
}

/* The value that tells whether a key was unwrapped right. */
static phi_status
KeyCheckValue(const uint8 key[PHI_KEY_SIZE], uint8 out[CHECK_VALUE_SIZE])
{
	return phi_hkdf_sha256(phi_bytes_of(key, PHI_KEY_SIZE), phi_bytes_of(NULL, 0),
						   phi_bytes_of(CHECK_INFO, strlen(CHECK_INFO)), out, CHECK_VALUE_SIZE);
}

/* Unwrap an entry's key; the caller wipes it.  PHI_ERR_AUTH when the KEK is wrong or missing. */
static phi_status
TryUnwrap(const KeyEntry *entry, uint8 key[PHI_KEY_SIZE])
{
	uint8 aad[64];
	uint8 check[CHECK_VALUE_SIZE];
	phi_xaes cipher;
	phi_status status = WrapCipher(&cipher, entry->kek_version);

	if (status != PHI_OK)
		return status;
	status = phi_xaes_open(&cipher, entry->wrapped,
						   WrapAad(aad, entry->key.uuid, entry->root, entry->kek_version),
						   phi_bytes_of(entry->wrapped + PHI_XAES_NONCE_SIZE,
										WRAPPED_SIZE - PHI_XAES_NONCE_SIZE),
						   key);
	phi_xaes_clear(&cipher);
	if (status == PHI_OK)
		status = KeyCheckValue(key, check);
	if (status == PHI_OK && memcmp(check, entry->check_value, CHECK_VALUE_SIZE) != 0)
		status = PHI_ERR_AUTH;
	return status;
}

/* The same, or an error. */
static void
UnwrapKey(const KeyEntry *entry, uint8 key[PHI_KEY_SIZE])
{
	phi_status status = TryUnwrap(entry, key);

	if (status == PHI_OK)
		return;
	SecretWipe(key, PHI_KEY_SIZE);
	if (status != PHI_ERR_AUTH)
		ReportStatus(status, "unwrap a data key");
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("data key %u cannot be unwrapped with key-encryption key version %u",
						   entry->dek_id, entry->kek_version),
					errhint("Give the key-encryption key that wrapped it, in phi.kek_file or "
							"phi.kek_command.")));
}

/* ---- the rows ---- */

/* Wipe what an entry has unwrapped. */
static void
ClearEntry(KeyEntry *entry)
{
	if (entry->ready)
		phi_xaes_clear(&entry->key.xaes);
	entry->ready = false;
	if (entry->root)
		SecretWipe(&RootSubkeys, sizeof(RootSubkeys));
}

/* Take one row in. */
static void
ReadKeyRow(Datum *values, bool *nulls)
{
	uint32 id = (uint32) DatumGetInt32(values[DK_ID - 1]);
	char *state = TextDatumGetCString(values[DK_STATE - 1]);
	const uint8 *uuid = DatumGetUUIDP(values[DK_UUID - 1])->data;
	bytea *wrapped;
	bytea *check;
	KeyEntry *entry;
	bool found;

	if (strcmp(state, "destroyed") == 0 || nulls[DK_WRAPPED - 1])
		return;
	wrapped = DatumGetByteaPP(values[DK_WRAPPED - 1]);
	check = DatumGetByteaPP(values[DK_CHECK - 1]);
	if (VARSIZE_ANY_EXHDR(wrapped) != WRAPPED_SIZE || VARSIZE_ANY_EXHDR(check) != CHECK_VALUE_SIZE)
		return;
	entry = hash_search(Keys, &id, HASH_ENTER, &found);
	if (found && memcmp(entry->key.uuid, uuid, PHI_UUID_SIZE) != 0)
		ClearEntry(entry);
	if (!found)
		entry->ready = false;
	entry->seen = true;
	entry->root = strcmp(TextDatumGetCString(values[DK_SCOPE - 1]), "root") == 0;
	entry->kek_version = (uint32) DatumGetInt32(values[DK_KEK - 1]);
	memcpy(entry->wrapped, VARDATA_ANY(wrapped), WRAPPED_SIZE);
	memcpy(entry->check_value, VARDATA_ANY(check), CHECK_VALUE_SIZE);
	memcpy(entry->key.uuid, uuid, PHI_UUID_SIZE);
	entry->key.id = id;
	if (strcmp(state, "current") == 0)
		*(entry->root ? &RootId : &CurrentId) = id;
}

/* Read phi.data_key; entries that are no longer there are wiped. */
static void
ReadKeyTable(void)
{
	HASH_SEQ_STATUS status;
	KeyEntry *entry;
	Relation rel;
	SysScanDesc scan;
	HeapTuple tuple;
	Datum values[16];
	bool nulls[16];

	hash_seq_init(&status, Keys);
	while ((entry = hash_seq_search(&status)) != NULL)
		entry->seen = false;
	RootId = CurrentId = 0;
	rel = table_open(KeyTable, AccessShareLock);
	if (RelationGetNumberOfAttributes(rel) < DK_LAST || RelationGetNumberOfAttributes(rel) > 16)
		elog(ERROR, "unexpected shape of phi.data_key");
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		ReadKeyRow(values, nulls);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	hash_seq_init(&status, Keys);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (!entry->seen)
		{
			ClearEntry(entry);
			(void) hash_search(Keys, &entry->dek_id, HASH_REMOVE, NULL);
		}
}

/* First use in this process: memory, known-answer test. */
static void
PrepareProcess(void)
{
	HASHCTL control = {0};

	RequirePreload();
	if (!SelfTested)
		CheckStatus(phi_xaes_self_test(), "pass the known-answer test of the cipher");
	SelfTested = true;
	if (Keys)
		return;
	control.keysize = sizeof(uint32);
	control.entrysize = sizeof(KeyEntry);
	control.hcxt = TopMemoryContext;
	Keys = hash_create("phi_guard data keys", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	SecretProtect(&RootSubkeys, sizeof(RootSubkeys));
}

/* Bring the rows up to date. */
static void
LoadKeys(void)
{
	if (likely(!Stale))
		return;
	PrepareProcess();
	KeyTable = PhiRelation("data_key");
	while (Stale)
	{
		Stale = false;
		Generation++;
		PG_TRY();
		{
			ReadKeyTable();
		}
		PG_CATCH();
		{
			Stale = true;
			PG_RE_THROW();
		}
		PG_END_TRY();
	}
}

/* Make a data key ready. */
static void
ReadyKey(KeyEntry *entry)
{
	uint8 key[PHI_KEY_SIZE];
	phi_status status;

	SecretProtect(entry, sizeof(KeyEntry));
	UnwrapKey(entry, key);
	status = phi_xaes_init(&entry->key.xaes, key);
	SecretWipe(key, sizeof(key));
	CheckStatus(status, "prepare a data key");
	entry->ready = true;
}

/*
 * A data key by its id.  The last one is remembered: values of one table share it.
 */
phi_data_key *
KeyringKey(uint32 dek_id)
{
	KeyEntry *entry;

	LoadKeys();
	entry = hash_search(Keys, &dek_id, HASH_FIND, NULL);
	if (!entry || entry->root)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("data key %u does not exist or was destroyed", dek_id),
						errhint("Restore the row of phi.data_key, or accept that the value is gone.")));
	if (unlikely(!entry->ready))
		ReadyKey(entry);
	return &entry->key;
}

bool
KeyringExists(void)
{
	LoadKeys();
	return RootId != 0 && CurrentId != 0;
}

/* Raise unless the database has keys. */
static void
RequireKeys(void)
{
	if (unlikely(Stale) || unlikely(RootId == 0 || CurrentId == 0))
		if (!KeyringExists())
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("this database has no data key yet"),
							errhint("phi.protect makes the first keys; protect a table first.")));
}

phi_data_key *
KeyringCurrentKey(void)
{
	RequireKeys();
	return KeyringKey(CurrentId);
}

/* ---- tokens ---- */

/* Derive one subkey of the root key. */
static phi_status
DeriveSubkey(const uint8 *root, const char *info, uint8 out[PHI_SIPHASH_KEY])
{
	return phi_hkdf_sha256(phi_bytes_of(root, PHI_KEY_SIZE), phi_bytes_of(NULL, 0),
						   phi_bytes_of(info, strlen(info)), out, PHI_SIPHASH_KEY);
}

/* The subkeys of the root key, made at first use. */
static const Subkeys *
GetSubkeys(void)
{
	uint8 root[PHI_KEY_SIZE];
	KeyEntry *entry;
	phi_status status;

	if (likely(RootSubkeys.ready && !Stale))
		return &RootSubkeys;
	RequireKeys();
	if (RootSubkeys.ready)
		return &RootSubkeys;
	entry = hash_search(Keys, &RootId, HASH_FIND, NULL);
	UnwrapKey(entry, root);
	status = DeriveSubkey(root, "phi_guard subject token 1", RootSubkeys.subject_token);
	if (status == PHI_OK)
		status = DeriveSubkey(root, "phi_guard row token 1", RootSubkeys.row_token);
	if (status == PHI_OK)
		status = DeriveSubkey(root, "phi_guard reference 1", RootSubkeys.reference);
	SecretWipe(root, sizeof(root));
	CheckStatus(status, "derive the token keys");
	RootSubkeys.ready = true;
	return &RootSubkeys;
}

/* 0 means "no row" in an envelope, so a token is never 0. */
static uint64
Token(const uint8 key[PHI_SIPHASH_KEY], const void *data, Size size)
{
	uint64 token = phi_siphash24(key, phi_bytes_of(data, size));

	return token == 0 ? 1 : token;
}

uint64
SubjectTokenOfText(const char *canonical, Size size)
{
	return Token(GetSubkeys()->subject_token, canonical, size);
}

uint64
SubjectToken(Datum subject, Oid type)
{
	StringInfoData key;
	uint64 token;

	if (type == INT8OID || type == INT4OID)
	{
		char digits[24];
		int64 value = type == INT8OID ? DatumGetInt64(subject) : DatumGetInt32(subject);

		return SubjectTokenOfText(digits, (Size) pg_lltoa(value, digits));
	}
	initStringInfo(&key);
	KeyTextAppend(&key, subject, type);
	token = SubjectTokenOfText(key.data, (Size) key.len);
	pfree(key.data);
	return token;
}

uint64
RowToken(const uint8 column_uuid[PHI_UUID_SIZE], const char *key_texts, Size size)
{
	uint8 buffer[256];
	uint8 *data = size <= sizeof(buffer) - PHI_UUID_SIZE ? buffer : palloc(size + PHI_UUID_SIZE);
	uint64 token;

	memcpy(data, column_uuid, PHI_UUID_SIZE);
	memcpy(data + PHI_UUID_SIZE, key_texts, size);
	token = Token(GetSubkeys()->row_token, data, size + PHI_UUID_SIZE);
	if (data != buffer)
		pfree(data);
	return token;
}

uint64
ActorReference(const char *prefix, const char *name)
{
	char *reference = psprintf("%s:%s", prefix, name);
	uint64 token = Token(GetSubkeys()->reference, reference, strlen(reference));

	pfree(reference);
	return token;
}

/* ---- SQL ---- */

/* Make, wrap and store one key. */
static void
CreateKey(bool root)
{
	static const Oid types[] = {UUIDOID, TEXTOID, INT4OID, BYTEAOID, BYTEAOID};
	uint32 kek_version = KekCurrentVersion();
	uint8 key[PHI_KEY_SIZE];
	uint8 aad[64];
	pg_uuid_t uuid;
	bytea *wrapped = palloc(VARHDRSZ + WRAPPED_SIZE);
	bytea *check = palloc(VARHDRSZ + CHECK_VALUE_SIZE);
	uint8 *out = (uint8 *) VARDATA(wrapped);
	phi_xaes cipher;
	phi_status status;
	Datum values[5];

	SET_VARSIZE(wrapped, VARHDRSZ + WRAPPED_SIZE);
	SET_VARSIZE(check, VARHDRSZ + CHECK_VALUE_SIZE);
	CheckStatus(WrapCipher(&cipher, kek_version), "prepare a key-encryption key");
	RandomBytes(uuid.data, UUID_LEN);
	uuid.data[6] = (uuid.data[6] & 0x0f) | 0x40; /* RFC 9562 version 4 */
	uuid.data[8] = (uuid.data[8] & 0x3f) | 0x80;
	RandomBytes(key, sizeof(key));
	RandomBytes(out, PHI_XAES_NONCE_SIZE);
	status = phi_xaes_seal(&cipher, out, WrapAad(aad, uuid.data, root, kek_version),
						   phi_bytes_of(key, PHI_KEY_SIZE), out + PHI_XAES_NONCE_SIZE);
	if (status == PHI_OK)
		status = KeyCheckValue(key, (uint8 *) VARDATA(check));
	SecretWipe(key, sizeof(key));
	phi_xaes_clear(&cipher);
	CheckStatus(status, "wrap a new data key");

	values[0] = UUIDPGetDatum(&uuid);
	values[1] = CStringGetTextDatum(root ? "root" : "data");
	values[2] = Int32GetDatum((int32) kek_version);
	values[3] = PointerGetDatum(wrapped);
	values[4] = PointerGetDatum(check);
	if (SPI_execute_with_args("INSERT INTO phi.data_key (key_uuid, scope, state, kek_version, wrapped, "
							  "check_value) VALUES ($1, $2, 'current', $3, $4, $5)",
							  5, (Oid *) types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not store a data key");
}

/*
 * phi.ensure_keys(): make the root key and the first data key, when there are
 * none.  Needs a key-encryption key.
 */
Datum
phi_ensure_keys(PG_FUNCTION_ARGS)
{
	OwnerScope scope;

	if (KeyringExists())
		PG_RETURN_VOID();
	OwnerBegin(&scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	(void) SPI_execute("LOCK TABLE phi.data_key IN SHARE ROW EXCLUSIVE MODE", false, 0);
	Stale = true; /* another session may have made them while we waited */
	if (!KeyringExists())
	{
		CreateKey(true);
		CreateKey(false);
	}
	SPI_finish();
	OwnerEnd(&scope);
	PG_RETURN_VOID();
}

/*
 * phi.reload_kek(): read the provider again; the number of versions.
 */
Datum
phi_reload_kek(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(KekReload());
}

/*
 * phi.key_opens(dek_id): can the key be unwrapped now?  An error of the
 * provider is an error here too; a wrong or missing key is false.
 */
Datum
phi_key_opens(PG_FUNCTION_ARGS)
{
	uint32 id = (uint32) PG_GETARG_INT32(0);
	KeyEntry *entry;
	uint8 key[PHI_KEY_SIZE];
	phi_status status;

	LoadKeys();
	entry = hash_search(Keys, &id, HASH_FIND, NULL);
	if (!entry)
		PG_RETURN_BOOL(false);
	status = TryUnwrap(entry, key);
	SecretWipe(key, sizeof(key));
	if (status != PHI_OK && status != PHI_ERR_AUTH)
		ReportStatus(status, "unwrap a data key");
	PG_RETURN_BOOL(status == PHI_OK);
}
