/*-------------------------------------------------------------------------
 * secmem.c
 *		Memory that holds keys: wiped after use, kept out of core dumps and,
 *		where RLIMIT_MEMLOCK allows, out of swap.
 *
 * Both calls work on whole pages, so neighbors of the area are covered too,
 * which does no harm.  A kernel that refuses is not an error: the area is
 * then as safe as any other memory of the server.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include <openssl/crypto.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Keep an area out of core dumps and swap.
 */
void
SecretProtect(void *area, Size size)
{
	uintptr_t page = (uintptr_t) sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t) area & ~(page - 1);
	Size length = ((uintptr_t) area + size - start + page - 1) & ~(page - 1);

#ifdef MADV_DONTDUMP
	(void) madvise((void *) start, length, MADV_DONTDUMP);
#endif
	(void) mlock((void *) start, length);
}

/*
 * Overwrite an area in a way that the compiler does not remove.
 */
void
SecretWipe(void *area, Size size)
{
	OPENSSL_cleanse(area, size);
}
