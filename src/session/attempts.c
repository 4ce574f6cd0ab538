/*-------------------------------------------------------------------------
 * attempts.c
 *		Attempts at one-time passwords: wrong ones, and codes that were used.
 *
 * Counted in shared memory, so that no rollback gives an attempt or a code
 * back.  After MAX_FAILURES wrong codes in a row an actor is locked out, for
 * LOCK_FIRST and twice as long each time until a right code ends it.  A code is
 * accepted once: its step must lie after the last accepted one.
 *
 * A restart forgets the table, but not that codes may have been used: those of
 * steps that began before the server did are refused.  A slot is free again a
 * day after its last attempt; where none is free the code is refused.
 * Locking: the table's lock, exclusively; nothing raises under it.
 *-------------------------------------------------------------------------
 */
#include "session/context.h"

#include "core/mac.h"
#include "core/totp.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#define SLOTS        4096
#define PROBES       64
#define KEY_SIZE     16
#define MAX_FAILURES 5
#define LOCK_FIRST   (15 * SECS_PER_MINUTE)
#define LOCK_MAX     SECS_PER_DAY
#define KEEP_SECONDS SECS_PER_DAY

typedef struct AttemptSlot
{
	uint8 key[KEY_SIZE];
	TimestampTz touched_at; /* 0: never */
	TimestampTz locked_until;
	uint64 last_step;
	int failures; /* in a row, since the last lock */
	int locks;    /* in a row */
} AttemptSlot;

typedef struct AttemptTable
{
	LWLock lock;
	AttemptSlot slots[SLOTS];
} AttemptTable;

static AttemptTable *Table = NULL;

static void
InitializeTable(void *area)
{
	AttemptTable *table = area;

	memset(table, 0, sizeof(AttemptTable));
	LWLockInitialize(&table->lock, LWLockNewTrancheId());
}

static TimestampTz
AfterSeconds(TimestampTz from, int64 seconds)
{
	return from + seconds * USECS_PER_SEC;
}

/* The digest of an actor of this database. */
static void
ActorDigest(const char *actor, uint8 digest[PHI_SHA256_SIZE])
{
	phi_bytes parts[2] = {{(const uint8 *) &MyDatabaseId, sizeof(MyDatabaseId)},
						  {(const uint8 *) actor, strlen(actor)}};

	CheckStatus(phi_sha256_parts(parts, 2, digest), "count an attempt");
}

/* The slot of an actor, new if need be; NULL when there is no room.  The lock is held. */
static AttemptSlot *
FindSlot(const uint8 digest[PHI_SHA256_SIZE], TimestampTz now)
{
	uint32 start = phi_get_u32(digest + KEY_SIZE) % SLOTS;
	AttemptSlot *vacant = NULL;

	for (uint32 i = 0; i < PROBES; i++)
	{
		AttemptSlot *slot = &Table->slots[(start + i) % SLOTS];
		bool kept = slot->touched_at != 0 && (now < AfterSeconds(slot->touched_at, KEEP_SECONDS) ||
											  now < slot->locked_until);

		if (kept && memcmp(slot->key, digest, KEY_SIZE) == 0)
			return slot;
		if (!vacant && !kept)
			vacant = slot;
	}
	if (vacant)
	{
		memset(vacant, 0, sizeof(*vacant));
		memcpy(vacant->key, digest, KEY_SIZE);
		vacant->last_step = (uint64) timestamptz_to_time_t(PgStartTime) / PHI_TOTP_STEP;
	}
	return vacant;
}

/* A wrong code, or one too old: count it, and lock when it was the last one. */
static void
CountFailure(AttemptSlot *slot, TimestampTz now)
{
	if (++slot->failures < MAX_FAILURES)
		return;
	slot->failures = 0;
	slot->locked_until = AfterSeconds(now, Min(LOCK_FIRST << Min(slot->locks, 10), LOCK_MAX));
	slot->locks++;
}

/* What an attempt comes to.  The lock is held. */
static AttemptOutcome
Judge(AttemptSlot *slot, uint64 step, TimestampTz now)
{
	if (!slot)
		return ATTEMPT_NO_ROOM;
	if (now < slot->locked_until)
		return ATTEMPT_LOCKED;
	slot->touched_at = now;
	if (step <= slot->last_step)
	{
		CountFailure(slot, now);
		return step == 0 ? ATTEMPT_WRONG : ATTEMPT_REPLAYED;
	}
	slot->last_step = step;
	slot->failures = slot->locks = 0;
	return ATTEMPT_ACCEPTED;
}

AttemptOutcome
AttemptCount(const char *actor, uint64 step)
{
	uint8 digest[PHI_SHA256_SIZE];
	TimestampTz now = GetCurrentTimestamp();
	AttemptOutcome outcome;

	ActorDigest(actor, digest);
	LWLockAcquire(&Table->lock, LW_EXCLUSIVE);
	outcome = Judge(FindSlot(digest, now), step, now);
	LWLockRelease(&Table->lock);
	return outcome;
}

/* Wrong codes and locks are forgotten, used codes are not. */
void
AttemptForget(const char *actor)
{
	uint8 digest[PHI_SHA256_SIZE];
	AttemptSlot *slot;

	ActorDigest(actor, digest);
	LWLockAcquire(&Table->lock, LW_EXCLUSIVE);
	slot = FindSlot(digest, GetCurrentTimestamp());
	if (slot)
	{
		slot->failures = slot->locks = 0;
		slot->locked_until = 0;
	}
	LWLockRelease(&Table->lock);
}

void
AttemptsInit(void)
{
	SharedMemoryRequest("phi_guard one-time passwords", sizeof(AttemptTable), InitializeTable,
						(void **) &Table);
}
