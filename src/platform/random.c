/*-------------------------------------------------------------------------
 * random.c
 *		Random bytes, drawn from libcrypto in batches.
 *
 * The pool belongs to one process: it carries the pid that filled it and is
 * never used by another, so a fork can not make two processes draw the same
 * nonce.  Bytes are wiped from the pool as they are handed out.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include <openssl/rand.h>

#include "miscadmin.h"

#define POOL_SIZE 4096

static uint8 Pool[POOL_SIZE];
static Size PoolUsed = POOL_SIZE;
static int PoolPid = 0;

/*
 * Fill out with size random bytes.
 */
void
RandomBytes(uint8 *out, Size size)
{
	if (PoolPid != MyProcPid || size > POOL_SIZE - PoolUsed)
	{
		if (size > POOL_SIZE || RAND_bytes(Pool, POOL_SIZE) != 1)
			ReportStatus(PHI_ERR_CRYPTO, "obtain random bytes");
		PoolPid = MyProcPid;
		PoolUsed = 0;
	}
	memcpy(out, Pool + PoolUsed, size);
	SecretWipe(Pool + PoolUsed, size);
	PoolUsed += size;
}
