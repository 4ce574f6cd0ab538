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
 * When a transaction that made keys, or a subtransaction of it, rolls back, and
 * when it is prepared, every key is dropped: one that was dropped and looked up
 * again meanwhile cannot be told from a committed one.
 *
 * Memory: the slots are one area, kept out of core dumps, that grows when it is
 * full and lives as long as the process; a slot is wiped when another key takes
 * it.
 *-------------------------------------------------------------------------
 */
#include "keyring/subject_key.h"

#include "access/xact.h"
#include "keyring/keyring.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define MIN_SLOTS  256   /* keys kept in a process: as many at first, */
#define MAX_SLOTS  16384 /* and at most (2 MB) */
#define READY_KEYS 8     /* of which are ready for use */

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
	bool used;  /* since the hand passed by */
	uint64 subject_token;
	uint8 uuid[PHI_UUID_SIZE];
	union
	{
		WrappedKey stored;
		uint8 key[PHI_KEY_SIZE];
	} as;
} SubjectSlot;

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
static bool FreshKeys = false; /* has the transaction in progress made keys? */
static bool LostKeys = false;  /* did a transaction of this process ever, and roll back? */

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

/* Wipe everything. */
static void
DropSlots(void)
{
	for (int i = 0; i < Filled; i++)
		DropSlot(&Slots[i]);
	Filled = Hand = 0;
}

/*
 * Wipe everything.  Called from an invalidation: touches no catalog.
 */
void
SubjectKeysInvalidate(Oid relid)
{
	if (Slots && (relid == InvalidOid || relid == KeyTable))
		DropSlots();
}

/*
 * What was made and rolled back is no key.  Its slot may have been dropped and
 * filled again from the row meanwhile, so all go.
 */
static void
LoseFreshKeys(void)
{
	if (!FreshKeys)
		return;
	DropSlots();
	LostKeys = true;
}

/* What a transaction made is everybody's when it has committed. */
static void
AtTransactionEnd(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		LoseFreshKeys();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		FreshKeys = false;
}

/* What a subtransaction made is gone when it rolls back; the others' keys are found again. */
static void
AtSubtransactionEnd(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		LoseFreshKeys();
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
	FindSubjectKey(dek_id, &row);
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
	FindKeyOfSubject(subject_token, &row);
	if (row.dek_id == 0)
		return NULL;
	slot = KeepRow(&row);
	KeepSubject(slot);
	return slot;
}

/* Make the key of a subject that has none. */
static SubjectSlot *
MakeKey(uint64 subject_token)
{
	SubjectKeyRow row = {0};
	uint8 key[PHI_KEY_SIZE];
	SubjectSlot *slot;

	InsertSubjectKey(subject_token, &row, key);
	slot = KeepRow(&row);
	memcpy(slot->as.key, key, PHI_KEY_SIZE);
	slot->state = SLOT_OPEN;
	FreshKeys = true;
	SecretWipe(key, sizeof(key));
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

bool
SubjectKeyLost(uint32 dek_id)
{
	return unlikely(LostKeys) && SubjectKeyState(dek_id) == SUBJECT_KEY_UNKNOWN;
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

	FindSubjectKey(dek_id, &row);
	*stored = row.stored;
	return row.dek_id != 0 && !row.destroyed;
}

phi_data_key *
KeyringSubjectKey(uint64 subject_token)
{
	SubjectSlot *slot = SlotOfToken(subject_token);

	return ReadySlot(likely(slot) ? slot : MakeKey(subject_token));
}

uint32
KeyringSubjectKeyId(uint64 subject_token)
{
	SubjectSlot *slot = SlotOfToken(subject_token);

	return slot ? slot->dek_id : 0;
}
