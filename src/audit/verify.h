/*-------------------------------------------------------------------------
 * verify.h
 *		A verification of the audit log, as verify.c and its parts share it.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_VERIFY_H
#define PHI_AUDIT_VERIFY_H

#include "audit/gone.h"

#include "executor/spi.h"

#define VERIFY_FETCH_ROWS 1000
#define WINDOW            16384 /* leaves */
#define WINDOW_SLOTS      (2 * WINDOW)

/* A row of phi_audit.checkpoint. */
typedef struct Checkpoint
{
	bool present;
	uint64 size;
	bool is_signed;      /* root is what its incarnation signed */
	const char *altered; /* or what is wrong with it, as a format of its size */
	uint8 root[PHI_HASH_SIZE];
	phi_frontier frontier; /* as stored; size 0 where it is of another size */
} Checkpoint;

/* A leaf of the window, and what was found of its event. */
typedef struct WindowLeaf
{
	uint64 index;
	int64 event;
	TimestampTz recorded_at;
	uint64 txid;
	bool found;
	bool erased;
	bool twice;
	bool unreadable;
	uint8 stored_size; /* of its hash */
	uint8 stored[PHI_HASH_SIZE];
	uint8 computed[PHI_HASH_SIZE];
} WindowLeaf;

/* One verification. */
typedef struct Verification
{
	MemoryContext context; /* of what is returned */
	Incarnation *incarnations;
	uint64 incarnation_count;
	Gone gone;           /* what the log says was erased or archived */
	KeptCheckpoint kept; /* the newest one of the directory, */
	bool has_kept;       /* if there is one */
	bool kept_reached;
	Portal checkpoints;
	Portal leaves;
	SPIPlanPtr events;
	Checkpoint next;     /* not reached yet */
	uint64 first;        /* leaf to begin with */
	uint64 until;        /* and to end before */
	uint64 passed;       /* checkpoints reached */
	uint64 range_from;   /* leaves below it were confirmed by a signed checkpoint */
	uint64 range_begin;  /* size of the last checkpoint reached */
	phi_frontier stored; /* tree of the stored leaf hashes */
	phi_frontier computed;
	bool parted; /* they differ from parted_event on */
	int64 parted_event;
	const char *altered; /* the first checkpoint that is not signed as it is */
	uint64 last_txid;    /* of the leaf before, in the same range */
	int64 last_event;
	WindowLeaf *window;
	int window_count;
	int32 *slots; /* hash table of the window: number of a leaf, or -1 */
	StringInfoData buffer;
	bool damaged;        /* not all of the log can be read: events are read one by one */
	const char *reading; /* why the first unreadable event of the window could not be read */
	const char *problem; /* the first; verification stops there */
	bool has_bad_event;
	int64 bad_event;
	int64 found_erased;
	int64 found_archived;
	uint64 low;         /* transactions from here on, */
	uint64 high;        /* and before this one, have leaves for every event */
	bool count_exactly; /* low is not known */
	int64 sealed_since; /* events with a leaf, of transactions from low on, */
	int64 sealed_early; /* and before high */
	int64 unsealed;
	int64 unsealed_early; /* those that the last checkpoint should cover */
	int64 first_early;
} Verification;

/* ---- verify.c: what was found ---- */

/* Note the first problem, and the event that it makes doubtful. */
extern void VerifyFail(Verification *state, int64 event, const char *problem);
/* The same where no event can be named. */
extern void VerifyFailWithout(Verification *state, const char *problem);
/* The same for leaves that are gone: their events, unless gone too, have none. */
extern void VerifyFailForUnsealed(Verification *state, const char *problem);

/* Verify all of the log: NULL where it is in order, or the problem.  Runs as the extension's owner. */
extern const char *VerifyWhole(void);

/* ---- verify_damage.c: what cannot be read ---- */

/* A part of a verification. */
typedef void (*VerifyPart)(Verification *state, void *argument);

/*
 * Call it in a subtransaction: NULL, or why something could not be read, in
 * state->context.  Other errors are raised.
 */
extern const char *VerifyTry(Verification *state, VerifyPart part, void *argument);

/* Read what is gone, event by event, passing over those that cannot be read. */
extern void VerifyLoadGoneSlowly(Verification *state);

/* Hash the events of the window one by one; each is scratch. */
extern void VerifyTakeEventsSlowly(Verification *state, MemoryContext each);

/* Reading has failed and nothing was named yet: name what comes behind the last good leaf. */
extern void VerifyFailReading(Verification *state, const char *why);

/* ---- verify_checkpoint.c: signatures and roots ---- */

/* Begin with the tree of the checkpoint of state->first leaves, which must be signed. */
extern void VerifyBeginAt(Verification *state);
/* Read the next checkpoint; none is left where it is not present. */
extern void VerifyNextCheckpoint(Verification *state);
/* Compare the trees with the checkpoints of their size, if there are any: here, and in the directory. */
extern void VerifyReach(Verification *state);
/* The trees have parted: let the checkpoint that confirms one of them judge. */
extern void VerifyJudgeParted(Verification *state);
/* The leaves from range_from on are vouched for by nobody: the first of their events is named. */
extern void VerifyFailRange(Verification *state, const char *problem);
/* The newest checkpoint of the directory was not reached: is it of a seal after our snapshot? */
extern void VerifyKept(Verification *state);

/* ---- verify_window.c: leaves and their events ---- */

extern void VerifyOpenWindow(Verification *state);
/* Fill the window with the next leaves; false where one is missing after them. */
extern bool VerifyFillWindow(Verification *state);
/* Hash the events of the window's span of time; each is scratch. */
extern void VerifyTakeEvents(Verification *state, MemoryContext each);

/* Hash an event, if its leaf is in the window. */
extern void VerifyTakeEvent(Verification *state, const Datum *row, const bool *isnull);

#endif /* PHI_AUDIT_VERIFY_H */
