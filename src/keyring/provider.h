/*-------------------------------------------------------------------------
 * provider.h
 *		Where key-encryption keys come from: a file, or a command's output.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_PROVIDER_H
#define PHI_PROVIDER_H

#include "platform/platform.h"

#define PROVIDER_MAX_OUTPUT 8192 /* bytes a provider may give */

/* Both fill buffer (PROVIDER_MAX_OUTPUT bytes) and return the size used; they raise on failure. */
extern Size ProviderReadFile(const char *path, char *buffer);
extern Size ProviderRunCommand(const char *command, int timeout_seconds, char *buffer);

#endif /* PHI_PROVIDER_H */
