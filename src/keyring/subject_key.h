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

/* What has become of a key; needs no key-encryption key. */
extern SubjectKeyStatus SubjectKeyState(uint32 dek_id);

/* The key of this id, for immediate use; NULL unless it is live; raises when it cannot be unwrapped. */
extern phi_data_key *SubjectKeyOfId(uint32 dek_id);

/* The stored form of a live key; false unless it is live. */
extern bool SubjectKeyStored(uint32 dek_id, WrappedKey *stored);

/*
 * Wrap the keys of all subjects that are not under this version anew; how many.
 * The caller holds a SHARE ROW EXCLUSIVE lock of phi.data_key.
 */
extern uint64 RewrapSubjectKeys(uint32 version);

/* From the relcache callback of the keyring: wipes all keys when phi.subject_key has changed. */
extern void SubjectKeysInvalidate(Oid relid);

extern void SubjectKeysInit(void); /* from KeyringInit: transaction callbacks */

#endif /* PHI_SUBJECT_KEY_H */
