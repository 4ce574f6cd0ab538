/*-------------------------------------------------------------------------
 * keyring.c
 *		Data keys and subkeys of this database, unwrapped at first use.
 *
 * phi.data_key holds wrapped keys.  A process keeps the rows in a hash table
 * and unwraps a key when it is first asked for; an invalidation of the table
 * makes it read the rows again, keeping what is already unwrapped.  A key
 * that is gone or destroyed is wiped at that moment.
 *
 * Keys of subjects are too many for that: subject_key.c looks for them one by
 * one, when an id is none of phi.data_key.
 *
 * The root key is never used itself: tokens.c derives the token keys from it.
 *-------------------------------------------------------------------------
 */
#include "keyring/keyring.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "keyring/kek.h"
#include "keyring/subject_key.h"
#include "keyring/wrap.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/uuid.h"

/* Columns of phi.data_key, by position. */
enum DataKeyColumn
{
	DK_ID = 1, DK_UUID, DK_SCOPE, DK_STATE, DK_KEK, DK_WRAPPED, DK_CHECK, DK_CREATED, DK_RELATION,
	DK_LAST = DK_RELATION
};

typedef struct KeyEntry
{
	uint32 dek_id;
	bool seen;	/* by the scan in progress */
	bool ready; /* key.xaes is made */
	WrappedKey stored;
	phi_data_key key;
} KeyEntry;

/* The key that a protected relation's values are sealed under, where it has one of its own. */
typedef struct RelationKey
{
	Oid relation;
	uint32 dek_id;
} RelationKey;

static HTAB *Keys = NULL;
static phi_data_key *LastKey = NULL; /* a ready one, of a row that was there at the last reading */
static HTAB *RelationKeys = NULL;
static uint32 RootId = 0;
static uint32 CurrentId = 0;
static Oid KeyTable = InvalidOid;
static bool Stale = true;
static bool SelfTested = false;
static uint64 Generation = 1;

PG_FUNCTION_INFO_V1(phi_reload_kek);
PG_FUNCTION_INFO_V1(phi_key_opens);

/* Relcache callback. */
static void
KeysInvalidated(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == KeyTable)
		Stale = true;
	SubjectKeysInvalidate(relid);
}

void
KeyringInit(void)
{
	KekInit();
	SubjectKeysInit();
	OnRelationChange(KeysInvalidated);
}

uint64
KeyringGeneration(void)
{
	return Generation;
}

/* ---- the rows ---- */

/* Wipe what an entry has unwrapped. */
static void
ClearEntry(KeyEntry *entry)
{
	if (LastKey == &entry->key)
		LastKey = NULL;
	if (entry->ready)
		phi_xaes_clear(&entry->key.xaes);
	entry->ready = false;
	if (entry->stored.scope == SCOPE_ROOT)
		TokensForget();
}

/* Note the key that new values are sealed under: of a relation, of the database, or the root key. */
static void
NoteCurrent(const KeyEntry *entry, Oid relation)
{
	RelationKey *own;

	if (entry->stored.scope == SCOPE_ROOT)
		RootId = entry->dek_id;
	else if (!OidIsValid(relation))
		CurrentId = entry->dek_id;
	else
	{
		own = hash_search(RelationKeys, &relation, HASH_ENTER, NULL);
		own->dek_id = entry->dek_id;
	}
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
	entry->stored.scope =
		strcmp(TextDatumGetCString(values[DK_SCOPE - 1]), "root") == 0 ? SCOPE_ROOT : SCOPE_DATA;
	entry->stored.kek_version = (uint32) DatumGetInt32(values[DK_KEK - 1]);
	memcpy(entry->stored.uuid, uuid, PHI_UUID_SIZE);
	memcpy(entry->stored.wrapped, VARDATA_ANY(wrapped), WRAPPED_SIZE);
	memcpy(entry->stored.check_value, VARDATA_ANY(check), CHECK_VALUE_SIZE);
	memcpy(entry->key.uuid, uuid, PHI_UUID_SIZE);
	entry->key.id = id;
	if (strcmp(state, "current") == 0)
		NoteCurrent(entry, nulls[DK_RELATION - 1] ? InvalidOid
												  : DatumGetObjectId(values[DK_RELATION - 1]));
}

/* Before the rows are read: nothing is seen, nothing is current. */
static void
BeginReading(void)
{
	HASH_SEQ_STATUS status;
	KeyEntry *entry;
	RelationKey *own;

	hash_seq_init(&status, Keys);
	while ((entry = hash_seq_search(&status)) != NULL)
		entry->seen = false;
	hash_seq_init(&status, RelationKeys);
	while ((own = hash_seq_search(&status)) != NULL)
		(void) hash_search(RelationKeys, &own->relation, HASH_REMOVE, NULL);
	RootId = CurrentId = 0;
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

	BeginReading();
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
	if (RelationKeys)
		return;
	control.keysize = sizeof(uint32);
	control.entrysize = sizeof(KeyEntry);
	control.hcxt = TopMemoryContext;
	Keys = hash_create("phi_guard data keys", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(RelationKey);
	RelationKeys =
		hash_create("phi_guard relation keys", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
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
	UnwrapOrRaise(&entry->stored, entry->dek_id, key);
	status = phi_xaes_init(&entry->key.xaes, key);
	SecretWipe(key, sizeof(key));
	CheckStatus(status, "prepare a data key");
	entry->ready = true;
}

/*
 * A data key by its id.  The last one is remembered: the values of a table share it.
 */
phi_data_key *
KeyringKey(uint32 dek_id)
{
	KeyEntry *entry;
	phi_data_key *own;

	if (likely(!Stale && LastKey && LastKey->id == dek_id))
		return LastKey;
	LoadKeys();
	entry = hash_search(Keys, &dek_id, HASH_FIND, NULL);
	if (!entry && (own = SubjectKeyOfId(dek_id)) != NULL)
		return own;
	if (!entry || entry->stored.scope == SCOPE_ROOT)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("data key %u does not exist or was destroyed", dek_id),
						errhint("Restore the row of phi.data_key or phi.subject_key, or accept that "
								"the value is gone.")));
	if (unlikely(!entry->ready))
		ReadyKey(entry);
	LastKey = &entry->key;
	return LastKey;
}

bool
KeyringExists(void)
{
	LoadKeys();
	return RootId != 0 && CurrentId != 0;
}

bool
KeyringHas(uint32 dek_id)
{
	KeyEntry *entry;

	LoadKeys();
	entry = hash_search(Keys, &dek_id, HASH_FIND, NULL);
	if (!entry)
		return SubjectKeyState(dek_id) == SUBJECT_KEY_LIVE;
	return entry->stored.scope != SCOPE_ROOT;
}

/*
 * Was the key of a subject, and destroyed?  The key of the last value was not.
 */
bool
KeyringShredded(uint32 dek_id)
{
	if (likely(!Stale && LastKey && LastKey->id == dek_id))
		return false;
	LoadKeys();
	return !hash_search(Keys, &dek_id, HASH_FIND, NULL) &&
		   SubjectKeyState(dek_id) == SUBJECT_KEY_DESTROYED;
}

bool
KeyringLost(uint32 dek_id)
{
	return SubjectKeyLost(dek_id) && !KeyringHas(dek_id);
}

void
KeyringForget(void)
{
	Stale = true;
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

phi_data_key *
KeyringRelationKey(Oid relation)
{
	RelationKey *own = NULL;

	RequireKeys();
	if (hash_get_num_entries(RelationKeys) > 0)
		own = hash_search(RelationKeys, &relation, HASH_FIND, NULL);
	return KeyringKey(own ? own->dek_id : CurrentId);
}

void
KeyringRootKey(uint8 key[PHI_KEY_SIZE])
{
	RequireKeys();
	UnwrapOrRaise(&((KeyEntry *) hash_search(Keys, &RootId, HASH_FIND, NULL))->stored, RootId, key);
}

bool
KeyringIsStale(void)
{
	return Stale;
}

/* ---- SQL ---- */

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
	WrappedKey stored;
	uint8 key[PHI_KEY_SIZE];
	phi_status status;

	LoadKeys();
	entry = hash_search(Keys, &id, HASH_FIND, NULL);
	if (!entry && !SubjectKeyStored(id, &stored))
		PG_RETURN_BOOL(false);
	status = UnwrapKey(entry ? &entry->stored : &stored, key);
	SecretWipe(key, sizeof(key));
	if (status != PHI_OK && status != PHI_ERR_AUTH)
		ReportStatus(status, "unwrap a data key");
	PG_RETURN_BOOL(status == PHI_OK);
}
