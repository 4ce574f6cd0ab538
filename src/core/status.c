/*-------------------------------------------------------------------------
 * status.c
 *		The words for a phi_status.
 *
 * They name no value and no cause beyond the status itself: what fails to
 * open says the same thing whatever the reason.
 *-------------------------------------------------------------------------
 */
#include "status.h"

static const char *const status_texts[PHI_STATUS_COUNT] = {
	[PHI_OK] = "no error",
	[PHI_ERR_ARGUMENT] = "argument out of contract",
	[PHI_ERR_SPACE] = "buffer too small",
	[PHI_ERR_FORMAT] = "malformed bytes",
	[PHI_ERR_VERSION] = "unknown format version",
	[PHI_ERR_AUTH] = "value does not open",
	[PHI_ERR_CRYPTO] = "cryptographic library failed",
};

const char *
phi_status_text(phi_status status)
{
	if ((unsigned) status >= PHI_STATUS_COUNT)
		return "unknown status";
	return status_texts[status];
}
