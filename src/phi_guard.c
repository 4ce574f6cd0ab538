/*-------------------------------------------------------------------------
 * phi_guard.c
 *		Magic block and start-up: each capability's Init, in order.
 *
 * Without shared_preload_libraries nothing is installed: no settings, no
 * shared memory, no hooks; every function that could reveal or audit then
 * raises a clear error (platform/errors.c).
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "audit/audit.h"
#include "consent/consent.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "platform/registry.h"
#include "redact/redact.h"
#include "session/session.h"
#include "types/pseudonym.h"
#include "types/search.h"

PG_MODULE_MAGIC;

void _PG_init(void);

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	PhiPreloaded = true;
	ErrorsInit();
	NestingInit();
	RegistryInit();
	KeyringInit();
	SessionInit();
	PortalInit();
	AuditInit();
	ConsentInit();
	PseudonymInit();
	SearchPlannerInit();
	RedactInit();
	MarkGUCPrefixReserved("phi");
	SharedMemoryInit();
}
