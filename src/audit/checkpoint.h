/*-------------------------------------------------------------------------
 * checkpoint.h
 *		Incarnations of a log, their signing keys, and checkpoints as signed
 *		notes, in the log and in phi.checkpoint_directory.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_AUDIT_CHECKPOINT_H
#define PHI_AUDIT_CHECKPOINT_H

#include "audit/log.h"

#include "core/note.h"

#define INCARNATION_MAX 80   /* characters: system identifier/database/timeline-8 digits */
#define CHECKPOINT_NOTE 1024 /* bytes of a note of ours: two signatures */

/* Who signs: one row of phi_audit.incarnation. */
typedef struct Incarnation
{
	int number; /* from 1; 0: none yet */
	char id[INCARNATION_MAX];
	phi_vkey vkey;
} Incarnation;

/* The newest incarnation of the log; number 0 where there is none.  Uses SPI. */
extern void IncarnationLast(Incarnation *last);

/* The incarnation of that id; false where the log does not know it.  Uses SPI. */
extern bool IncarnationFind(const char *id, Incarnation *found);

/* Does this server, at this database and timeline, go on as the incarnation, with its key? */
extern bool IncarnationIsHere(const Incarnation *incarnation);

/* Begin the next incarnation after last; tree_size is that of the log now. */
extern void IncarnationBegin(const Incarnation *last, uint64 tree_size, const char *reason,
							 Incarnation *begun);

/*
 * The note of a checkpoint, signed as the incarnation, and by the one before
 * it where that is given and its key can be had.  Returns its size.
 */
extern Size CheckpointSign(const Incarnation *signer, const Incarnation *before, uint64 tree_size,
						   const uint8 root[PHI_HASH_SIZE], char note[CHECKPOINT_NOTE]);

/*
 * Sign what is no checkpoint, as an incarnation; the signature was verified when this returns.
 */
extern void IncarnationSign(const Incarnation *signer, phi_bytes text,
							uint8 signature[PHI_ED25519_SIGNATURE]);

/* The origin of an incarnation's checkpoints. */
extern char *CheckpointOrigin(const char *incarnation);

/* The newest checkpoint in the directory; false where there is none, or no directory. */
typedef struct KeptCheckpoint
{
	char incarnation[INCARNATION_MAX];
	uint64 size;
	uint8 root[PHI_HASH_SIZE];
} KeptCheckpoint;

extern bool DirectoryNewest(KeptCheckpoint *newest);

/*
 * Have a checkpoint written to the directory, if there is one, when this transaction commits: to the archive
 * and as the newest.  Raises where it cannot be.
 */
extern void DirectoryWrite(const char *incarnation, const char *note, Size size);

extern void CheckpointInit(void); /* from AuditInit: settings */

#endif /* PHI_AUDIT_CHECKPOINT_H */
