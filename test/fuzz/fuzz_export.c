/*-------------------------------------------------------------------------
 * fuzz_export.c
 *		Arbitrary bytes as an export of the audit log, line by line, as
 *		phi_verify reads it.
 *
 * Held: the check ends, names its first problem and keeps to it; leaves are
 * counted as confirmed only up to where the tree has grown.
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "tools/check_export.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise ends the run. */
static void
must(bool holds)
{
	if (!holds)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static export_check check;
	const char *next = (const char *) data;
	size_t left = size;
	bool good = true;

	memset(&check, 0, sizeof(check));
	check.trust_claims = true;
	while (left > 0)
	{
		const char *end = memchr(next, '\n', left);
		size_t line = end != NULL ? (size_t) (end - next) : left;
		bool now = export_line(&check, next, line);

		must(!now || good);
		must(now == (check.problem[0] == '\0'));
		good = now;
		next += line + (end != NULL);
		left -= line + (end != NULL);
	}
	must(check.confirmed <= check.tree.size);
	must(!export_end(&check) || (check.begun && check.confirmed == check.tree.size));
	return 0;
}
