/*-------------------------------------------------------------------------
 * test_export.c
 *		Exports of the audit log and files of kept checkpoints, as phi_verify
 *		checks them: a whole one, and what its edits are found as.
 *
 * The export is an input of the fuzz corpus: leaf 1 was erased, checkpoints of 3
 * and 4 leaves; behind a NUL come the same checkpoints as a file.
 *-------------------------------------------------------------------------
 */
#define _POSIX_C_SOURCE 200809L /* fmemopen */

#include "check.h"
#include "tools/check_export.h"

#include <stdlib.h>

#define CORPUS "test/fuzz/corpus/export/"
#define ROOM   16384

static export_check check;
static checkpoint_file file;

/* Read a file of the corpus, with a NUL behind it; its size. */
static size_t
load(const char *name, char text[ROOM])
{
	char path[128];
	FILE *in;
	size_t size;

	snprintf(path, sizeof(path), CORPUS "%s", name);
	in = fopen(path, "rb");
	if (in == NULL)
		abort();
	size = fread(text, 1, ROOM - 1, in);
	fclose(in);
	text[size] = '\0';
	return size;
}

/* Check an export, with a file of checkpoints where there is one; its problem. */
static const char *
check_lines(const char *text, const char *kept, size_t kept_size, bool whole)
{
	const char *next = text;
	bool good = true;

	memset(&check, 0, sizeof(check));
	memset(&file, 0, sizeof(file));
	check.trust_claims = true;
	check.whole = whole;
	if (kept != NULL)
	{
		file.name = "kept";
		file.file = fmemopen((void *) kept, kept_size, "rb");
		check.files = &file;
		check.file_count = 1;
	}
	while (good && *next != '\0')
	{
		size_t line = strcspn(next, "\n");

		good = export_line(&check, next, line);
		next += line + (next[line] == '\n');
	}
	CHECK(export_end(&check) == (check.problem[0] == '\0'));
	if (file.file != NULL)
		fclose(file.file);
	return check.problem;
}

/* Replace the first occurrence of one text by another. */
static void
replace(char text[ROOM], const char *from, const char *to)
{
	char *at = strstr(text, from);
	size_t rest;

	if (at == NULL || strlen(text) + strlen(to) >= ROOM)
	{
		CHECK(at != NULL);
		return;
	}
	rest = strlen(at + strlen(from)) + 1;
	memmove(at + strlen(to), at + strlen(from), rest);
	memcpy(at, to, strlen(to));
}

/* Edits of the export, and what is found; "" where it is as good as before. */
static const struct
{
	const char *name;
	const char *from;
	const char *to;
	const char *problem;
} edits[] = {
	{"nothing", "", "", ""},
	{"a newline spelled otherwise", "\\n3\\n", "\\u000a3\\n", ""},
	{"an event is missing", "\"gone\":\"erased\"", "\"gone\":\"missing\"",
	 "event 2 is missing: leaf 1"},
	{"gone for no reason", "\"gone\":\"erased\"", "\"gone\":\"lost\"", "line 4 is none"},
	{"gone for an empty reason", "\"gone\":\"erased\"", "\"gone\":\"\"", "line 4 is none"},
	{"a member more", "\"gone\":\"erased\"}", "\"gone\":\"erased\",\"x\":1}", "line 4 is none"},
	{"another place", "{\"leaf\":2,", "{\"leaf\":3,", "leaf 2 is missing: leaf 3"},
	{"an earlier place", "{\"leaf\":2,", "{\"leaf\":1,", "leaf 2 is missing: leaf 1"},
	{"a place with a zero before it", "{\"leaf\":2,", "{\"leaf\":02,", "line 5 is none"},
	{"a place of 2^64", "{\"leaf\":2,", "{\"leaf\":18446744073709551616,", "line 5 is none"},
	{"a place of 2^64 - 1", "{\"leaf\":2,", "{\"leaf\":18446744073709551615,", "leaf 2 is missing"},
	{"no place", "{\"leaf\":2,", "{\"leaf\":,", "line 5 is none"},
	{"a place below zero", "{\"leaf\":2,", "{\"leaf\":-2,", "line 5 is none"},
	{"an actor", "\"actor\":\"dr\"", "\"actor\":\"mr\"", "event 3 was altered: its JSON"},
	{"a member twice", "\"actor\":\"dr\"", "\"actor\":\"dr\",\"actor\":\"dr\"",
	 "event 3 was altered"},
	{"a byte of a leaf", "\"data\":\"AQEAAAAI", "\"data\":\"AgEAAAAI", "leaf 0 was altered"},
	{"a leaf of no bytes", "\"data\":\"AQEAAAAI", "\"data\":\"\",\"", "line 3 is none"},
	{"a hash", "\"hash\":\"f4d0", "\"hash\":\"f4d1",
	 "event 1 is the first that is not vouched for"},
	{"a hash in capitals", "\"hash\":\"f4d0", "\"hash\":\"F4D0", "line 4 is none"},
	{"a short hash", "\"hash\":\"f4d0", "\"hash\":\"", "line 4 is none"},
	{"a first leaf of 2^64 - 1", "\"first_leaf\":0", "\"first_leaf\":18446744073709551615",
	 "line 1 is none"},
	{"a first leaf without its tree", "\"first_leaf\":0", "\"first_leaf\":1", "line 1 is none"},
	{"a tree of half a byte", "\"tree\":\"\"", "\"tree\":\"0\"", "line 1 is none"},
	{"a tree that is none", "\"tree\":\"\"", "\"tree\":\"00\"", "line 1 is none"},
	{"another version", "export\":1,", "export\":2,", "line 1 is none"},
	{"a signature", "pX7LW71aAN4f", "pX7LW71aAN5f",
	 ""}, /* the next checkpoint covers its leaves, too */
	{"the last signature", "pX7LW9aujcIq", "pX7LW9aujcJq",
	 "event 21 is the first under no checkpoint"},
	{"a size", "\\n4\\nJZ", "\\n5\\nJZ", "event 21 is the first under no checkpoint"},
	{"a character that is no text", "\\n3\\n", "\\u01003\\n", "line 6 is none"},
	{"half an escape", "\\n3\\n", "\\u00", "line 6 "},
	{"a key that is none", "{\"key\":\"phi_guard/", "{\"key\":\"", "line 2 is none"},
};

static void
check_edits(void)
{
	static char text[ROOM];
	size_t i;

	for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++)
	{
		const char *found;

		CHECK_CASE("an export, edited: %s", edits[i].name);
		(void) load("whole", text);
		replace(text, edits[i].from, edits[i].to);
		found = check_lines(text, NULL, 0, false);
		if (!CHECK(edits[i].problem[0] == '\0' ? found[0] == '\0'
											   : strstr(found, edits[i].problem) != NULL))
			printf("# %s\n", found);
	}
	CHECK_CASE("what is gone counts, or is a problem");
	(void) load("whole", text);
	CHECK(check_lines(text, NULL, 0, false)[0] == '\0' && check.gone == 1 &&
		  check.checkpoints == 2);
	CHECK(strstr(check_lines(text, NULL, 0, true), "event 2 is gone: leaf 1 says erased") != NULL);
}

/* An export with the file of checkpoints behind its NUL. */
static const char *
check_kept(const char *name)
{
	static char text[ROOM];
	size_t size = load(name, text);
	size_t before = strlen(text) + 1;

	return check_lines(text, text + before, size - before, false);
}

static void
check_files(void)
{
	CHECK_CASE("checkpoints kept elsewhere");
	CHECK(check_kept("kept")[0] == '\0');
	CHECK_INT(check.outside, 2);
	CHECK_INT(check.beyond, 0);
	CHECK(strstr(check_kept("kept_reversed"), "comes after a larger one") != NULL);
	CHECK(strstr(check_kept("kept_cut"), "is damaged") != NULL);
	CHECK(strstr(check_kept("kept_unsigned"), "is not signed by a trusted key") != NULL);

	CHECK_CASE("an export without a leaf is held against them, too");
	CHECK(check_kept("head_alone_kept")[0] == '\0');
	CHECK_INT(check.tree.size, 0);
	CHECK_INT(check.beyond, 1);
}

int
main(void)
{
	check_edits();
	check_files();
	return check_done();
}
