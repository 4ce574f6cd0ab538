/*-------------------------------------------------------------------------
 * keyring.h
 *		Data keys by id, and the separated subkeys of the root key.
 *
 * Keys load at first use: KEKs into shared memory (kek.c), data keys of
 * phi.data_key and the keys of subjects into this process.  Every function
 * raises OBJECT_NOT_IN_PREREQUISITE_STATE with a hint when a key is not to be
 * had.  Pointers are for immediate use: what looks into a catalog may take in
 * that the key was destroyed, and then it is wiped.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_KEYRING_H
#define PHI_KEYRING_H

#include "platform/platform.h"

#include "core/envelope.h"
#include "core/mac.h"

/* A data key by its id; raises when unknown, destroyed or not unwrappable. */
extern phi_data_key *KeyringKey(uint32 dek_id);

/* The key that new values are sealed under: unbound ones, and those of a protected relation. */
extern phi_data_key *KeyringCurrentKey(void);
extern phi_data_key *KeyringRelationKey(Oid relation);

/* The key that values of a subject are sealed under in shreddable tables; made when there is none. */
extern phi_data_key *KeyringSubjectKey(uint64 subject_token);

/* The id of that key, 0 when there is none yet; needs no key-encryption key. */
extern uint32 KeyringSubjectKeyId(uint64 subject_token);

/*
 * Was the key of this id a subject's, and destroyed by phi.shred_subject?  What
 * it sealed is dead.  False for an id that never was; needs no key-encryption key.
 */
extern bool KeyringShredded(uint32 dek_id);

/* Is there a data key of this id that was not destroyed (whether or not it can be unwrapped)? */
extern bool KeyringHas(uint32 dek_id);

/* Is there no key of this id, and did this process lose keys of subjects by a rollback? */
extern bool KeyringLost(uint32 dek_id);

/* Read the key table again at the next use: our own transaction has changed it. */
extern void KeyringForget(void);

/* Do keys exist in this database (whether or not they can be unwrapped)? */
extern bool KeyringExists(void);

/* The root key, unwrapped for the moment; the caller wipes it. */
extern void KeyringRootKey(uint8 key[PHI_KEY_SIZE]);

/* Must the key table be read again before its answers count? */
extern bool KeyringIsStale(void);

/* Forget the subkeys of the root key. */
extern void TokensForget(void);

/* Changes when the keys of this process were loaded anew. */
extern uint64 KeyringGeneration(void);

/* The token of a subject: SipHash-2-4 of its canonical key text; never 0. */
extern uint64 SubjectToken(Datum subject, Oid type);
extern uint64 SubjectTokenOfText(const char *canonical, Size size);

/* The token of a row in a column: of the column's uuid and the counted key texts; never 0. */
extern uint64 RowToken(const uint8 column_uuid[PHI_UUID_SIZE], const char *key_texts, Size size);

/*
 * The reference that directives and requests share for "actor:x", "role:x",
 * "organization:x", "group:x", and what else core/directive.h lists.  Actor
 * Practitioner/x, organization Organization/x and group Group/x are x.
 */
extern uint64 ActorReference(const char *prefix, const char *name);

/* The subkey of a recipient for a use ("token", "date shift"); the caller wipes it. */
extern void RecipientKey(const char *use, const char *recipient, uint8 key[PHI_KEY_SIZE]);

extern void KeyringInit(void); /* from _PG_init: settings and shared memory */

#endif /* PHI_KEYRING_H */
