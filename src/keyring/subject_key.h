/*-------------------------------------------------------------------------
 * subject_key.h
 *		Keys of subjects, as the files of this folder share them.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_SUBJECT_KEY_H
#define PHI_SUBJECT_KEY_H

#include "platform/platform.h"

#include "core/envelope.h"
#include "keyring/wrap.h"

typedef enum SubjectKeyStatus
{
	SUBJECT_KEY_UNKNOWN, /* there is none of this id */
	SUBJECT_KEY_LIVE,
	SUBJECT_KEY_DESTROYED
} SubjectKeyStatus;

/* ---- subject_key.c: the keys that this process uses ---- */

/* What has become of a key; needs no key-encryption key. */
extern SubjectKeyStatus SubjectKeyState(uint32 dek_id);

/* May it be a key that this process made in a transaction which was rolled back?  There is none of its id then. */
extern bool SubjectKeyLost(uint32 dek_id);

/* The key of this id, for immediate use; NULL unless it is live; raises when it cannot be unwrapped. */
extern phi_data_key *SubjectKeyOfId(uint32 dek_id);

/* The stored form of a live key; false unless it is live. */
extern bool SubjectKeyStored(uint32 dek_id, WrappedKey *stored);

/* From the relcache callback of the keyring: wipes all keys when phi.subject_key has changed. */
extern void SubjectKeysInvalidate(Oid relid);

extern void SubjectKeysInit(void); /* from KeyringInit: transaction callbacks */

/* ---- subject_store.c: the rows of phi.subject_key ---- */

/* A row of the table; only id and state count for a destroyed key. */
typedef struct SubjectKeyRow
{
	uint32 dek_id; /* 0: there is none */
	bool destroyed;
	WrappedKey stored;
} SubjectKeyRow;

/* The row of an id; dek_id is 0 when there is none. */
extern void FindSubjectKey(uint32 dek_id, SubjectKeyRow *row);

/* The row of a subject's live key, that of the lowest id when there are several; dek_id 0 without one. */
extern void FindKeyOfSubject(uint64 subject_token, SubjectKeyRow *row);

/* Make a key of a subject and store it, in the current transaction; the caller wipes key. */
extern void InsertSubjectKey(uint64 subject_token, SubjectKeyRow *row, uint8 key[PHI_KEY_SIZE]);

/*
 * Wrap the keys of all subjects that are not under this version anew; how many.
 * The caller holds a SHARE ROW EXCLUSIVE lock of phi.data_key.
 */
extern uint64 RewrapSubjectKeys(uint32 version);


#endif /* PHI_SUBJECT_KEY_H */
