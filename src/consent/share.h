/*-------------------------------------------------------------------------
 * share.h
 *		A block of memory that a session shows to its parallel workers.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_SHARE_H
#define PHI_SHARE_H

#include "platform/platform.h"

/*
 * A fresh block of size bytes, not shown to anybody yet; NULL when there is no
 * memory for it.  A block made before is released.
 */
extern void *ShareCreate(Size size);

/* Show the block to the workers of this session. */
extern void ShareShow(void);

/* Release the block: its address is void. */
extern void ShareRelease(void);

/* In a parallel worker: the block of its leader, or NULL. */
extern void *ShareOfLeader(void);

extern void ShareInit(void); /* from ConsentInit: shared memory */

#endif /* PHI_SHARE_H */
