/*-------------------------------------------------------------------------
 * fuzz_export.c
 *		Arbitrary bytes as an export of the audit log, line by line, as
 *		phi_verify reads it; behind the first NUL, those of a file of kept
 *		checkpoints.
 *
 * Held: the check ends, names its first problem and keeps to it; leaves are
 * counted as confirmed only up to where the tree has grown.
 *-------------------------------------------------------------------------
 */
#define _POSIX_C_SOURCE 200809L /* fmemopen */

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
	static checkpoint_file file;
	const uint8_t *kept = size > 0 ? memchr(data, 0, size) : NULL;
	const char *next = (const char *) data;
	size_t left = kept != NULL ? (size_t) (kept - data) : size;
	bool good = true;

	memset(&check, 0, sizeof(check));
	memset(&file, 0, sizeof(file));
	check.trust_claims = true;
	if (kept != NULL && kept + 1 < data + size)
	{
		file.name = "kept";
		file.file = fmemopen((void *) (kept + 1), (size_t) (data + size - kept - 1), "rb");
		must(file.file != NULL);
		check.files = &file;
		check.file_count = 1;
	}
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
	must(check.problem[0] != '\0' || check.file_count == 0 ||
		 (check.files_begun && !file.has_next));
	if (file.file != NULL)
		fclose(file.file);
	return 0;
}
