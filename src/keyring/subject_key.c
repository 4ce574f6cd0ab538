/*-------------------------------------------------------------------------
 * subject_key.c
 *		A key for each subject of the shreddable tables, in phi.subject_key.
 *
 * A key is made when a subject's first value is sealed, in the writer's own
 * transaction.  A writer sees no key that another has not committed, and does
 * not wait for it: two that write the first values of a subject at the same
 * time each make a key, and from then on the one with the lower id is used.
 * So making keys takes part in no deadlock.  phi.shred_subject destroys all
 * keys of its subject, under locks that no writer of a shreddable table holds
 * together with it.
 *
 * There may be a million keys, so each is looked up when it is needed, by id
 * or by subject, with the latest snapshot, and a process keeps the last
 * MAX_SLOTS of them.  A new key makes nobody forget anything.  An update
 * of the table (that is: a shredding) invalidates it in the relcache, and then
 * every process wipes what it kept, when it reads the message: at its next
 * statement.  That may come with any look into a catalog, so a key that was
 * asked for is used before the next such look.
 *
 * Keys that a transaction made are dropped when it, or a subtransaction of it,
 * rolls back, and when it is prepared.
 *
 * Memory: the slots are one area, kept out of core dumps, that grows when it is
 * full and lives as long as the process; a slot is wiped when another key takes
 * it.
 *-------------------------------------------------------------------------
 */
#include "keyring/subject_key.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define MIN_SLOTS  256   /* keys kept in a process: as many at first, */
#define MAX_SLOTS  16384 /* and at most (2 MB) */
#define READY_KEYS 8     /* of which are ready for use */

/* Columns of phi.subject_key, by position. */
enum SubjectKeyColumn
{
	SK_ID = 1, SK_TOKEN, SK_UUID, SK_STATE, SK_KEK, SK_WRAPPED, SK_CHECK, SK_CREATED,
	SK_LAST = SK_CREATED
};

typedef enum SlotState
{
	SLOT_FREE,
	SLOT_WRAPPED, /* stored is valid */
	SLOT_OPEN,    /* key is valid */
	SLOT_DESTROYED
} SlotState;

/* A key that was looked up, or the knowledge that it was destroyed. */
typedef struct SubjectSlot
{
	uint32 dek_id;
	SlotState state;
	bool fresh; /* made by the transaction in progress */
	bool used;  /* since the hand passed by */
	uint64 subject_token;
	uint8 uuid[PHI_UUID_SIZE];
	union
	{
		WrappedKey stored;
		uint8 key[PHI_KEY_SIZE];
	} as;
} SubjectSlot;

/* A row of the table; only id and state count for a destroyed key. */
typedef struct SubjectKeyRow
{
	uint32 dek_id; /* 0: there is none */
	bool destroyed;
	WrappedKey stored;
} SubjectKeyRow;

/* Where a key is among the slots; an entry may be out of date. */
typedef struct SlotOfId
{
	uint32 dek_id;
	int slot;
} SlotOfId;

typedef struct SlotOfSubject
{
	uint64 subject_token;
	int slot;
} SlotOfSubject;

static SubjectSlot *Slots = NULL;
static int Capacity = 0; /* slots there are */
static int Filled = 0;	 /* slots that were ever taken; those after them are free */
static HTAB *SlotsById = NULL;
static HTAB *SlotsBySubject = NULL; /* the keys that new values are sealed under */
static int Hand = 0;				/* of the clock that chooses what is dropped */
static phi_data_key Ready[READY_KEYS]; /* whose ciphers are made; id 0 is none */
static int NextReady = 0;
static Oid KeyTable = InvalidOid;
static uint64 KeyTableGeneration = 0; /* of the catalog, when it was looked up */
static bool FreshKeys = false; /* may a slot be fresh? */

/* ---- what is kept ---- */

/* Make room for more slots; those there are move. */
static void
GrowSlots(int capacity)
{
	SubjectSlot *grown = MemoryContextAlloc(TopMemoryContext, sizeof(SubjectSlot) * capacity);

	SecretProtect(grown, sizeof(SubjectSlot) * capacity);
	memset(grown, 0, sizeof(SubjectSlot) * capacity);
	if (Slots)
	{
		memcpy(grown, Slots, sizeof(SubjectSlot) * Capacity);
		SecretWipe(Slots, sizeof(SubjectSlot) * Capacity);
		pfree(Slots);
	}
	Slots = grown;
	Capacity = capacity;
}

/* Make the memory at first use; find the table. */
static void
PrepareSlots(void)
{
	HASHCTL control = {0};

	if (likely(SlotsBySubject && KeyTableGeneration == CatalogGeneration()))
		return;
	KeyTable = PhiRelation("subject_key");
	KeyTableGeneration = CatalogGeneration();
	if (SlotsBySubject)
		return;
	if (!Slots)
		GrowSlots(MIN_SLOTS);
	control.hcxt = TopMemoryContext;
	control.keysize = sizeof(uint32);
	control.entrysize = sizeof(SlotOfId);
	if (!SlotsById)
		SlotsById = hash_create("phi_guard subject keys", 256, &control,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	control.keysize = sizeof(uint64);
	control.entrysize = sizeof(SlotOfSubject);
	SlotsBySubject = hash_create("phi_guard subjects with keys", 256, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Forget the cipher of a key. */
static void
DropReady(uint32 dek_id)
{
	for (int i = 0; i < READY_KEYS; i++)
		if (Ready[i].id == dek_id)
		{
			phi_xaes_clear(&Ready[i].xaes);
			Ready[i].id = 0;
		}
}

/* Wipe a slot and free it. */
static void
DropSlot(SubjectSlot *slot)
{
	int number = (int) (slot - Slots);
	SlotOfSubject *entry;

	if (slot->state == SLOT_FREE)
		return;
	DropReady(slot->dek_id);
	(void) hash_search(SlotsById, &slot->dek_id, HASH_REMOVE, NULL);
	entry = hash_search(SlotsBySubject, &slot->subject_token, HASH_FIND, NULL);
	if (entry && entry->slot == number)
		(void) hash_search(SlotsBySubject, &slot->subject_token, HASH_REMOVE, NULL);
	SecretWipe(slot, sizeof(SubjectSlot));
}

/*
 * Wipe everything.  Called from an invalidation: touches no catalog.
 */
void
SubjectKeysInvalidate(Oid relid)
{
	if (!Slots || (relid != InvalidOid && relid != KeyTable))
		return;
	for (int i = 0; i < Filled; i++)
		DropSlot(&Slots[i]);
	Filled = Hand = 0;
}

/* Drop the keys that the transaction made, or keep them for good. */
static void
EndFreshKeys(bool keep)
{
	if (!FreshKeys)
		return;
	for (int i = 0; i < Filled; i++)
	{
		if (Slots[i].fresh && !keep)
			DropSlot(&Slots[i]);
		Slots[i].fresh = false;
	}
	FreshKeys = false;
}

/* What a transaction made is everybody's when it has committed. */
static void
AtTransactionEnd(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT)
		EndFreshKeys(true);
	else if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		EndFreshKeys(false);
}

/* What a subtransaction made is gone when it rolls back; the others' keys are found again. */
static void
AtSubtransactionEnd(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && FreshKeys)
		for (int i = 0; i < Filled; i++)
			if (Slots[i].fresh)
				DropSlot(&Slots[i]);
}

void
SubjectKeysInit(void)
{
	RegisterXactCallback(AtTransactionEnd, NULL);
	RegisterSubXactCallback(AtSubtransactionEnd, NULL);
}

/* A free slot: a new one, or the next that was not used since the hand passed by. */
static SubjectSlot *
TakeSlot(void)
{
	SubjectSlot *slot;

	if (Filled == Capacity && Capacity < MAX_SLOTS)
		GrowSlots(Capacity * 2);
	if (Filled < Capacity)
		return &Slots[Filled++];
	for (;;)
	{
		slot = &Slots[Hand];
		Hand = (Hand + 1) % Capacity;
		if (slot->state == SLOT_FREE || !slot->used)
			break;
		slot->used = false;
	}
	DropSlot(slot);
	return slot;
}

/* Keep a row. */
static SubjectSlot *
KeepRow(const SubjectKeyRow *row)
{
	SlotOfId *known = hash_search(SlotsById, &row->dek_id, HASH_FIND, NULL);
	SubjectSlot *slot;

	if (known)
		return &Slots[known->slot];
	slot = TakeSlot();
	known = hash_search(SlotsById, &row->dek_id, HASH_ENTER, NULL);
	known->slot = (int) (slot - Slots);
	slot->dek_id = row->dek_id;
	slot->subject_token = row->stored.subject_token;
	slot->state = row->destroyed ? SLOT_DESTROYED : SLOT_WRAPPED;
	slot->used = true;
	memcpy(slot->uuid, row->stored.uuid, PHI_UUID_SIZE);
	slot->as.stored = row->stored;
	return slot;
}

/* From now on the values of the slot's subject are sealed under its key. */
static void
KeepSubject(const SubjectSlot *slot)
{
	SlotOfSubject *entry = hash_search(SlotsBySubject, &slot->subject_token, HASH_ENTER, NULL);

	entry->slot = (int) (slot - Slots);
}

/* ---- the table ---- */

/* A bytea column of a fixed size. */
static void
CopyColumn(Datum value, bool isnull, uint8 *out, Size size)
{
	bytea *bytes = isnull ? NULL : DatumGetByteaPP(value);

	if (!bytes || VARSIZE_ANY_EXHDR(bytes) != size)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED), errmsg("phi.subject_key holds a malformed key")));
	memcpy(out, VARDATA_ANY(bytes), size);
}

/* Take a row apart. */
static void
ReadRow(HeapTuple tuple, TupleDesc columns, SubjectKeyRow *row)
{
	Datum values[SK_LAST];
	bool nulls[SK_LAST];

	if (columns->natts != SK_LAST)
		elog(ERROR, "unexpected shape of phi.subject_key");
	heap_deform_tuple(tuple, columns, values, nulls);
	row->dek_id = (uint32) DatumGetInt32(values[SK_ID - 1]);
	row->destroyed = strcmp(TextDatumGetCString(values[SK_STATE - 1]), "destroyed") == 0;
	row->stored.scope = SCOPE_SUBJECT;
	row->stored.subject_token = (uint64) DatumGetInt64(values[SK_TOKEN - 1]);
	row->stored.kek_version = (uint32) DatumGetInt32(values[SK_KEK - 1]);
	memcpy(row->stored.uuid, DatumGetUUIDP(values[SK_UUID - 1])->data, PHI_UUID_SIZE);
	if (row->destroyed)
		return;
	CopyColumn(values[SK_WRAPPED - 1], nulls[SK_WRAPPED - 1], row->stored.wrapped, WRAPPED_SIZE);
	CopyColumn(values[SK_CHECK - 1], nulls[SK_CHECK - 1], row->stored.check_value,
			   CHECK_VALUE_SIZE);
}

/* The row of the lowest id that the key finds in an index; live alone or any; row->dek_id 0 without one. */
static void
FindRow(const char *index, ScanKey key, bool live, SubjectKeyRow *row)
{
	MemoryContext scratch =
		AllocSetContextCreate(CurrentMemoryContext, "phi_guard subject key", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	Relation table = table_open(KeyTable, AccessShareLock);
	SysScanDesc scan = systable_beginscan(table, PhiRelation(index), true, NULL, 1, key);
	SubjectKeyRow found = {0};
	HeapTuple tuple;

	row->dek_id = 0;
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		ReadRow(tuple, RelationGetDescr(table), &found);
		if ((!live || !found.destroyed) && (row->dek_id == 0 || found.dek_id < row->dek_id))
			*row = found;
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

/* The row of an id. */
static void
FindRowOfId(uint32 dek_id, SubjectKeyRow *row)
{
	ScanKeyData key;

	ScanKeyInit(&key, SK_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum((int32) dek_id));
	FindRow("subject_key_pkey", &key, false, row);
}

/* The live key of a subject. */
static void
FindRowOfSubject(uint64 subject_token, SubjectKeyRow *row)
{
	ScanKeyData key;

	ScanKeyInit(&key, SK_TOKEN, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum((int64) subject_token));
	FindRow("subject_key_token_idx", &key, true, row);
}

/* A bytea of these bytes. */
static Datum
BytesDatum(const uint8 *data, Size size)
{
	bytea *out = palloc(size + VARHDRSZ);

	SET_VARSIZE(out, size + VARHDRSZ);
	memcpy(VARDATA(out), data, size);
	return PointerGetDatum(out);
}

/* Make the key of a subject that has none; written below the executor, like an event of the log. */
static SubjectSlot *
MakeKey(uint64 subject_token)
{
	Relation table = table_open(KeyTable, RowExclusiveLock); /* waits for a rotation to end */
	SubjectKeyRow row = {0};
	uint8 key[PHI_KEY_SIZE];
	Datum values[SK_LAST];
	bool nulls[SK_LAST] = {false};
	HeapTuple tuple;
	SubjectSlot *slot;

	if (RelationGetNumberOfAttributes(table) != SK_LAST)
		elog(ERROR, "unexpected shape of phi.subject_key");
	row.dek_id = (uint32) nextval_internal(PhiRelation("data_key_dek_id_seq"), false);
	row.stored.scope = SCOPE_SUBJECT;
	row.stored.subject_token = subject_token;
	NewKey(&row.stored, key);
	values[SK_ID - 1] = Int32GetDatum((int32) row.dek_id);
	values[SK_TOKEN - 1] = Int64GetDatum((int64) subject_token);
	values[SK_UUID - 1] = UUIDPGetDatum((pg_uuid_t *) row.stored.uuid);
	values[SK_STATE - 1] = CStringGetTextDatum("current");
	values[SK_KEK - 1] = Int32GetDatum((int32) row.stored.kek_version);
	values[SK_WRAPPED - 1] = BytesDatum(row.stored.wrapped, WRAPPED_SIZE);
	values[SK_CHECK - 1] = BytesDatum(row.stored.check_value, CHECK_VALUE_SIZE);
	values[SK_CREATED - 1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	tuple = heap_form_tuple(RelationGetDescr(table), values, nulls);
	CatalogTupleInsert(table, tuple);
	heap_freetuple(tuple);
	table_close(table, NoLock);
	CommandCounterIncrement(); /* so that it is found again, should it be dropped from the slots */

	slot = KeepRow(&row);
	memcpy(slot->as.key, key, PHI_KEY_SIZE);
	slot->state = SLOT_OPEN;
	slot->fresh = FreshKeys = true;
	SecretWipe(key, sizeof(key));
	return slot;
}

/* ---- finding ---- */

/* The slot of an id, looked up when it is not kept; NULL when there is no such key. */
static SubjectSlot *
SlotOfKey(uint32 dek_id)
{
	SlotOfId *known;
	SubjectKeyRow row;

	PrepareSlots();
	known = hash_search(SlotsById, &dek_id, HASH_FIND, NULL);
	if (known)
		return &Slots[known->slot];
	FindRowOfId(dek_id, &row);
	return row.dek_id == 0 ? NULL : KeepRow(&row);
}

/* The slot of the key that a subject's values are sealed under; NULL when there is none. */
static SubjectSlot *
SlotOfToken(uint64 subject_token)
{
	SlotOfSubject *known;
	SubjectKeyRow row;
	SubjectSlot *slot;

	PrepareSlots();
	known = hash_search(SlotsBySubject, &subject_token, HASH_FIND, NULL);
	if (known)
		return &Slots[known->slot];
	FindRowOfSubject(subject_token, &row);
	if (row.dek_id == 0)
		return NULL;
	slot = KeepRow(&row);
	KeepSubject(slot);
	return slot;
}

/* The key of this id among those that are ready, or NULL. */
static phi_data_key *
FindReady(uint32 dek_id)
{
	for (int i = 0; i < READY_KEYS; i++)
		if (Ready[i].id == dek_id && dek_id != 0)
			return &Ready[i];
	return NULL;
}

/* The key of a slot, ready for use. */
static phi_data_key *
ReadySlot(SubjectSlot *slot)
{
	phi_data_key *ready = FindReady(slot->dek_id);
	uint8 key[PHI_KEY_SIZE];
	phi_status status;

	slot->used = true;
	if (ready)
		return ready;
	if (slot->state == SLOT_WRAPPED)
	{
		UnwrapOrRaise(&slot->as.stored, slot->dek_id, key);
		memcpy(slot->as.key, key, PHI_KEY_SIZE);
		slot->state = SLOT_OPEN;
		SecretWipe(key, sizeof(key));
	}
	ready = &Ready[NextReady];
	NextReady = (NextReady + 1) % READY_KEYS;
	if (ready->id != 0)
		phi_xaes_clear(&ready->xaes);
	ready->id = 0;
	status = phi_xaes_init(&ready->xaes, slot->as.key);
	CheckStatus(status, "prepare a data key");
	ready->id = slot->dek_id;
	memcpy(ready->uuid, slot->uuid, PHI_UUID_SIZE);
	return ready;
}

SubjectKeyStatus
SubjectKeyState(uint32 dek_id)
{
	SubjectSlot *slot;

	if (FindReady(dek_id))
		return SUBJECT_KEY_LIVE;
	slot = SlotOfKey(dek_id);
	if (!slot)
		return SUBJECT_KEY_UNKNOWN;
	return slot->state == SLOT_DESTROYED ? SUBJECT_KEY_DESTROYED : SUBJECT_KEY_LIVE;
}

phi_data_key *
SubjectKeyOfId(uint32 dek_id)
{
	phi_data_key *ready = FindReady(dek_id);
	SubjectSlot *slot;

	if (ready)
		return ready;
	slot = SlotOfKey(dek_id);
	return slot && slot->state != SLOT_DESTROYED ? ReadySlot(slot) : NULL;
}

bool
SubjectKeyStored(uint32 dek_id, WrappedKey *stored)
{
	SubjectKeyRow row;

	PrepareSlots();
	FindRowOfId(dek_id, &row);
	*stored = row.stored;
	return row.dek_id != 0 && !row.destroyed;
}

phi_data_key *
KeyringSubjectKey(uint64 subject_token)
{
	SubjectSlot *slot = SlotOfToken(subject_token);

	if (unlikely(!slot))
	{
		slot = MakeKey(subject_token);
		KeepSubject(slot);
	}
	return ReadySlot(slot);
}

uint32
KeyringSubjectKeyId(uint64 subject_token)
{
	SubjectSlot *slot = SlotOfToken(subject_token);

	return slot ? slot->dek_id : 0;
}

/* ---- another key-encryption key ---- */

/* Wrap the key of a row anew; false when it needs none of that. */
static bool
RewrapTuple(Relation table, HeapTuple tuple, uint32 version)
{
	Datum values[SK_LAST] = {0};
	bool nulls[SK_LAST] = {false};
	bool replace[SK_LAST] = {false};
	SubjectKeyRow row;
	HeapTuple changed;

	ReadRow(tuple, RelationGetDescr(table), &row);
	if (row.destroyed || row.stored.kek_version == version)
		return false;
	RewrapOrRaise(&row.stored, row.dek_id, version);
	values[SK_KEK - 1] = Int32GetDatum((int32) version);
	values[SK_WRAPPED - 1] = BytesDatum(row.stored.wrapped, WRAPPED_SIZE);
	values[SK_CHECK - 1] = BytesDatum(row.stored.check_value, CHECK_VALUE_SIZE);
	replace[SK_KEK - 1] = replace[SK_WRAPPED - 1] = replace[SK_CHECK - 1] = true;
	changed = heap_modify_tuple(tuple, RelationGetDescr(table), values, nulls, replace);
	CatalogTupleUpdate(table, &tuple->t_self, changed);
	return true;
}

/* One pass over the table; the rows are taken one by one, whatever their number. */
static uint64
RewrapPass(Relation table, uint32 version)
{
	MemoryContext scratch = AllocSetContextCreate(
		CurrentMemoryContext, "phi_guard subject key rotation", ALLOCSET_DEFAULT_SIZES);
	SysScanDesc scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	MemoryContext old = CurrentMemoryContext;
	uint64 count = 0;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(scratch);
		count += RewrapTuple(table, tuple, version);
		MemoryContextSwitchTo(old);
		MemoryContextReset(scratch);
	}
	systable_endscan(scan);
	MemoryContextDelete(scratch);
	CommandCounterIncrement();
	return count;
}

/*
 * The second pass finds the keys that were being made during the first; who
 * would make one waits for it alone.
 */
uint64
RewrapSubjectKeys(uint32 version)
{
	Relation table = table_open(PhiRelation("subject_key"), RowExclusiveLock);
	uint64 count = RewrapPass(table, version);

	LockRelation(table, ShareRowExclusiveLock);
	count += RewrapPass(table, version);
	table_close(table, NoLock);
	return count;
}
