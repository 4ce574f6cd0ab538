/*-------------------------------------------------------------------------
 * standalone.c
 *		Runs a fuzz harness over the files it is given, without libFuzzer.
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX 65536

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Replay one file, in memory of exactly its size; false when it cannot be read. */
static int
replay(const char *path)
{
	static uint8_t bytes[FILE_MAX];
	FILE *file = fopen(path, "rb");
	uint8_t *exact;
	size_t size;

	if (file == NULL)
		return 0;
	size = fread(bytes, 1, sizeof(bytes), file);
	if (ferror(file))
	{
		fclose(file);
		return 0;
	}
	fclose(file);
	exact = malloc(size > 0 ? size : 1);
	if (exact == NULL)
		return 0;
	memcpy(exact, bytes, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 1;
}

int
main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
	{
		if (!replay(argv[i]))
		{
			fprintf(stderr, "cannot read %s\n", argv[i]);
			return 1;
		}
	}
	printf("%d inputs replayed\n", argc - 1);
	return argc > 1 ? 0 : 1;
}
