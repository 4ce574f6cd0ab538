/*-------------------------------------------------------------------------
 * note.h
 *		Signed notes, checkpoints and log proofs: C2SP signed-note, tlog-checkpoint
 *		and tlog-proof.
 *
 * A note is text, an empty line and signature lines.  The text of a checkpoint
 * is an origin, a tree size and a root.  Parsers are strict: what they accept
 * is written back to the same bytes.  Results point into what was parsed.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_NOTE_H
#define PHI_CORE_NOTE_H

#include "bytes.h"
#include "ed25519.h"
#include "merkle.h"

#define PHI_NOTE_NAME_MAX  128   /* bytes of a key name that we take */
#define PHI_NOTE_MAX       65536 /* bytes of a note */
#define PHI_NOTE_KEY_ID    4
#define PHI_NOTE_SIGNATURE (PHI_NOTE_KEY_ID + PHI_ED25519_SIGNATURE)
#define PHI_VKEY_MAX       (PHI_NOTE_NAME_MAX + 1 + 8 + 1 + 44) /* characters of a verifier key */

/* A verifier key: who may have signed. */
typedef struct phi_vkey
{
	char name[PHI_NOTE_NAME_MAX + 1];
	uint8_t id[PHI_NOTE_KEY_ID];
	uint8_t key[PHI_ED25519_KEY];
} phi_vkey;

typedef struct phi_note
{
	phi_bytes text;       /* with its last newline */
	phi_bytes signatures; /* one line each */
} phi_note;

typedef struct phi_checkpoint
{
	phi_bytes origin;
	uint64_t size;
	uint8_t root[PHI_HASH_SIZE];
	phi_bytes extensions; /* further lines of the text, each with its newline */
} phi_checkpoint;

typedef struct phi_log_proof
{
	phi_bytes extra; /* base64, not authenticated; no bytes where there is none */
	uint64_t index;
	uint8_t path[PHI_FRONTIER_PEAKS][PHI_HASH_SIZE];
	size_t path_size;
	phi_bytes checkpoint; /* a note */
} phi_log_proof;

/*
 * name+8 hexadecimal digits+base64 of 01 and the public key.  Names are not
 * empty and have no white space and no '+'; PHI_ERR_FORMAT for one that has, or
 * is longer than PHI_NOTE_NAME_MAX.
 */
extern phi_status phi_vkey_make(phi_bytes name, const uint8_t key[PHI_ED25519_KEY],
								phi_vkey *out) PHI_CHECKED;
extern phi_status phi_vkey_parse(phi_bytes text, phi_vkey *out) PHI_CHECKED;
extern phi_status phi_vkey_format(const phi_vkey *vkey, phi_buffer *out) PHI_CHECKED;

/*
 * Sign the text (ending in a newline) with the private key of vkey, and append
 * the signature line.  A note is its text, a newline and such lines.  The
 * signature is verified first, PHI_ERR_CRYPTO: a wrong one (a fault in the
 * computation, or a key that is not the seed's) could give the private key away,
 * for the nonce of Ed25519 follows from seed and text alone.
 */
extern phi_status phi_note_sign(phi_bytes text, const phi_vkey *vkey,
								const uint8_t seed[PHI_ED25519_KEY], phi_buffer *out) PHI_CHECKED;

extern phi_status phi_note_parse(phi_bytes note, phi_note *out) PHI_CHECKED;

/* PHI_ERR_AUTH unless the key has signed the text, and each of its lines is right. */
extern phi_status phi_note_verify(const phi_note *note, const phi_vkey *vkey) PHI_CHECKED;

/* The text of a checkpoint: three lines, and any extension lines. */
extern phi_status phi_checkpoint_format(const phi_checkpoint *checkpoint,
										phi_buffer *out) PHI_CHECKED;
extern phi_status phi_checkpoint_parse(phi_bytes text, phi_checkpoint *out) PHI_CHECKED;

/* The note parsed, verified under the key, its text parsed, and of the key's own log. */
extern phi_status phi_checkpoint_open(phi_bytes note, const phi_vkey *vkey,
									  phi_checkpoint *out) PHI_CHECKED;

extern phi_status phi_log_proof_format(const phi_log_proof *proof, phi_buffer *out) PHI_CHECKED;
extern phi_status phi_log_proof_parse(phi_bytes text, phi_log_proof *out) PHI_CHECKED;

#endif /* PHI_CORE_NOTE_H */
