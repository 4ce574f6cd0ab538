/*-------------------------------------------------------------------------
 * kek.h
 *		The ring of key-encryption keys, in shared memory.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_KEK_H
#define PHI_KEK_H

#include "platform/platform.h"

#include "core/xaes.h"

/* Copy the KEK of a version; false when the ring lacks it; raises when the provider fails. */
extern bool KekFind(uint32 version, uint8 out[PHI_KEY_SIZE]);

/* The highest version of the ring: the one that wraps new keys. */
extern uint32 KekCurrentVersion(void);

/* Read the provider again now; returns the number of versions. */
extern int KekReload(void);

extern void KekInit(void); /* from KeyringInit: settings and shared memory */

#endif /* PHI_KEK_H */
