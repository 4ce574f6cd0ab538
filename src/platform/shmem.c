/*-------------------------------------------------------------------------
 * shmem.c
 *		Shared memory areas of the capabilities.
 *
 * Each capability asks for its area from _PG_init; the area is made and
 * initialized once by the postmaster, and every process gets its address.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#define MAX_AREAS 16

typedef struct AreaRequest
{
	const char *name;
	Size size;
	void (*initialize)(void *area);
	void **area;
} AreaRequest;

static AreaRequest Requests[MAX_AREAS];
static int RequestCount = 0;
static shmem_request_hook_type PreviousRequestHook = NULL;
static shmem_startup_hook_type PreviousStartupHook = NULL;

/*
 * Remember a request; called from _PG_init only.
 */
void
SharedMemoryRequest(const char *name, Size size, void (*initialize)(void *area), void **area)
{
	AreaRequest request = {name, size, initialize, area};

	if (RequestCount >= MAX_AREAS)
		elog(ERROR, "too many shared memory areas");
	Requests[RequestCount++] = request;
}

/* Hook: reserve the space. */
static void
RequestAreas(void)
{
	if (PreviousRequestHook)
		PreviousRequestHook();
	for (int i = 0; i < RequestCount; i++)
		RequestAddinShmemSpace(Requests[i].size);
}

/* Hook: make the areas, or find them in an EXEC_BACKEND child. */
static void
StartAreas(void)
{
	if (PreviousStartupHook)
		PreviousStartupHook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < RequestCount; i++)
	{
		bool found;
		void *area = ShmemInitStruct(Requests[i].name, Requests[i].size, &found);

		if (!found)
			Requests[i].initialize(area);
		*Requests[i].area = area;
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * Install the hooks, after every request.
 */
void
SharedMemoryInit(void)
{
	PreviousRequestHook = shmem_request_hook;
	shmem_request_hook = RequestAreas;
	PreviousStartupHook = shmem_startup_hook;
	shmem_startup_hook = StartAreas;
}
