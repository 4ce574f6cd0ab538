/*-------------------------------------------------------------------------
 * uses.c
 *		How often each token was used, where phi.token_max_uses limits that.
 *
 * Counted in shared memory, so that no rollback takes a use back; forgotten
 * when the server restarts.  A token's slot is one of PROBES from the place
 * that its id's digest gives, and is free again once the token has expired.
 * Where none is free the token is refused.
 * Locking: the table's lock, exclusively; nothing raises under it.
 *-------------------------------------------------------------------------
 */
#include "session/context.h"

#include "core/mac.h"
#include "utils/timestamp.h"

#define SLOTS    16384
#define PROBES   64
#define KEY_SIZE 16

typedef struct UseSlot
{
	uint8 key[KEY_SIZE];
	TimestampTz expires_at; /* 0: never used */
	int uses;
} UseSlot;

typedef struct UseTable
{
	LWLock lock;
	UseSlot slots[SLOTS];
} UseTable;

static UseTable *Table = NULL;

/* Setting: uses of one token, 0 for any number. */
static int MaxUses = 0;

static void
InitializeTable(void *area)
{
	UseTable *table = area;

	memset(table, 0, sizeof(UseTable));
	LWLockInitialize(&table->lock, LWLockNewTrancheId());
}

/* The slot of a token, new if need be; NULL when there is no room.  The lock is held. */
static UseSlot *
FindSlot(const uint8 digest[PHI_SHA256_SIZE], TimestampTz expires_at)
{
	TimestampTz now = GetCurrentTimestamp();
	uint32 start = phi_get_u32(digest + KEY_SIZE) % SLOTS;
	UseSlot *vacant = NULL;

	for (uint32 i = 0; i < PROBES; i++)
	{
		UseSlot *slot = &Table->slots[(start + i) % SLOTS];

		if (slot->expires_at > now && memcmp(slot->key, digest, KEY_SIZE) == 0)
			return slot;
		if (!vacant && slot->expires_at <= now)
			vacant = slot;
	}
	if (vacant)
	{
		memcpy(vacant->key, digest, KEY_SIZE);
		vacant->expires_at = expires_at;
		vacant->uses = 0;
	}
	return vacant;
}

bool
TokenUse(const char *token_id, TimestampTz expires_at)
{
	uint8 digest[PHI_SHA256_SIZE];
	UseSlot *slot;
	bool allowed;

	if (MaxUses == 0)
		return true;
	CheckStatus(phi_sha256(phi_bytes_of(token_id, strlen(token_id)), digest),
				"count the use of a token");
	LWLockAcquire(&Table->lock, LW_EXCLUSIVE);
	slot = FindSlot(digest, expires_at);
	allowed = slot != NULL && slot->uses < MaxUses;
	if (allowed)
		slot->uses++;
	LWLockRelease(&Table->lock);
	return allowed;
}

void
UsesInit(void)
{
	DefineCustomIntVariable(
		"phi.token_max_uses", "How often one token may be used to log in.",
		"0 is any number.  Counted since the server started, over all databases.", &MaxUses, 0, 0,
		INT_MAX, PGC_SIGHUP, 0, NULL, NULL, NULL);
	SharedMemoryRequest("phi_guard token uses", sizeof(UseTable), InitializeTable,
						(void **) &Table);
}
