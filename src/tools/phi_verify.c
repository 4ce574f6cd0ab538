/*-------------------------------------------------------------------------
 * phi_verify.c
 *		Checks what the audit log gives out, without a database: an export with
 *		its checkpoints, the proof of one event, the consistency of two
 *		checkpoints.  Built from core/ alone.
 *
 * Exit status: 0 good, 1 bad, 2 it could not be checked.  What is bad is one
 * line on standard output.
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/leaf.h"
#include "tools/check_export.h"

enum
{
	GOOD = 0,
	BAD = 1,
	TROUBLE = 2
};

static const char usage[] =
	"Usage: phi_verify [options] [EXPORT]         check an export of the audit log (- or none: "
	"standard input)\n"
	"       phi_verify [options] --proof FILE     check the proof of an event, and print the "
	"event\n"
	"       phi_verify [options] --old FILE --consistency FILE\n"
	"                                             check that a checkpoint extends an older one\n"
	"\n"
	"  --key KEY           verifier key to trust (phi.audit_public_key()), any number of times\n"
	"  --keys FILE         the same, one a line\n"
	"  --checkpoints FILE  checkpoints kept elsewhere, in order; any number of times\n"
	"  --complete          the export must reach the newest of them\n"
	"  --whole             no event may be erased or archived\n"
	"\n"
	"Without a key those that the export itself names are taken: what it proves then is that the\n"
	"export agrees with itself.\n";

static export_check check;
static checkpoint_file files[FILES_MAX];
static char line[LINE_MAX_SIZE + 1];

/* Complain and end. */
static void __attribute__((noreturn)) trouble(const char *what, const char *name)
{
	fprintf(stderr, "phi_verify: %s%s%s\n", what, name != NULL ? ": " : "",
			name != NULL ? name : "");
	exit(TROUBLE);
}

/* Say that it is bad. */
static int
bad(const char *why)
{
	printf("bad: %s\n", why);
	return BAD;
}

static FILE *
open_file(const char *name)
{
	FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");

	if (file == NULL)
		trouble("cannot open file", name);
	return file;
}

/* Read a line without its newline; false at the end. */
static bool
read_line(FILE *file, const char *name, size_t *size)
{
	int byte;

	*size = 0;
	while ((byte = getc(file)) != EOF && byte != '\n')
	{
		if (*size == LINE_MAX_SIZE)
			trouble("a line is longer than any of an export", name);
		line[(*size)++] = (char) byte;
	}
	if (byte == EOF && ferror(file))
		trouble("cannot read file", name);
	return byte == '\n' || *size > 0;
}

/* Read a small file whole into line; an empty line that psql has put after it is dropped. */
static phi_bytes
read_whole(const char *name)
{
	FILE *file = open_file(name);
	size_t size = fread(line, 1, LINE_MAX_SIZE, file);

	if (ferror(file) || !feof(file))
		trouble("cannot read file", name);
	if (file != stdin)
		fclose(file);
	if (size >= 2 && line[size - 1] == '\n' && line[size - 2] == '\n')
		size--;
	return phi_bytes_of(line, size);
}

/* ---- options ---- */

static void
add_key(const char *text, size_t size)
{
	if (!ring_add(&check.trusted, phi_bytes_of(text, size)))
		trouble("not a verifier key, or too many of them", NULL);
}

static void
add_keys(const char *name)
{
	FILE *file = open_file(name);
	size_t size;

	while (read_line(file, name, &size))
	{
		if (size > 0)
			add_key(line, size);
	}
	fclose(file);
}

static void
add_file(const char *name)
{
	if (check.file_count == FILES_MAX)
		trouble("too many files of checkpoints", NULL);
	files[check.file_count].name = name;
	files[check.file_count].file = open_file(name);
	check.file_count++;
}

typedef struct arguments
{
	const char *export;
	const char *proof;
	const char *consistency;
	const char *old;
	bool complete;
} arguments;

static arguments
read_arguments(int count, char **values)
{
	arguments out = {NULL, NULL, NULL, NULL, false};
	int i;

	for (i = 1; i < count; i++)
	{
		const char *option = values[i];
		const char *value = i + 1 < count ? values[i + 1] : NULL;

		if (strcmp(option, "--help") == 0)
		{
			fputs(usage, stdout);
			exit(GOOD);
		}
		if (strcmp(option, "--complete") == 0)
		{
			out.complete = true;
			continue;
		}
		if (strcmp(option, "--whole") == 0)
		{
			check.whole = true;
			continue;
		}
		if (strncmp(option, "--", 2) != 0)
		{
			if (out.export != NULL)
				trouble("one export at a time", NULL);
			out.export = option;
			continue;
		}
		if (value == NULL)
			trouble("unknown option, or one without its value; see --help", option);
		i++;
		if (strcmp(option, "--key") == 0)
			add_key(value, strlen(value));
		else if (strcmp(option, "--keys") == 0)
			add_keys(value);
		else if (strcmp(option, "--checkpoints") == 0)
			add_file(value);
		else if (strcmp(option, "--proof") == 0)
			out.proof = value;
		else if (strcmp(option, "--consistency") == 0)
			out.consistency = value;
		else if (strcmp(option, "--old") == 0)
			out.old = value;
		else
			trouble("unknown option; see --help", option);
	}
	if ((out.consistency != NULL) != (out.old != NULL))
		trouble("--consistency and --old belong together", NULL);
	return out;
}

/* ---- what is checked ---- */

static int
check_export(const arguments *given)
{
	const char *name = given->export != NULL ? given->export : "-";
	FILE *file = open_file(name);
	size_t size;

	check.files = files;
	check.trust_claims = check.trusted.count == 0;
	while (check.problem[0] == '\0' && read_line(file, name, &size))
		(void) export_line(&check, line, size);
	if (!export_end(&check))
		return bad(check.problem);
	if (given->complete && check.beyond > 0)
		return bad("the log was cut: a checkpoint kept elsewhere has more leaves than the export");
	printf("good: leaves %" PRIu64 " to %" PRIu64 ", %" PRIu64 " checkpoints, %" PRIu64
		   " kept elsewhere agree, %" PRIu64 " larger; %" PRIu64 " events gone; %s\n",
		   check.first_leaf, check.tree.size, check.checkpoints, check.outside, check.beyond,
		   check.gone, check.trust_claims ? "keys: those of the export itself" : "keys: as given");
	return GOOD;
}

/* Open a checkpoint under the keys given. */
static bool
open_given(phi_bytes note, phi_checkpoint *out)
{
	size_t i;

	for (i = 0; i < check.trusted.count; i++)
	{
		if (phi_checkpoint_open(note, &check.trusted.keys[i], out) == PHI_OK)
			return true;
	}
	return false;
}

static int
check_proof(const char *name)
{
	static uint8_t leaf[LINE_MAX_SIZE], json[LINE_MAX_SIZE];
	phi_buffer leaf_out = {leaf, 0, sizeof(leaf)};
	phi_buffer json_out = {json, 0, sizeof(json)};
	uint8_t hash[PHI_HASH_SIZE];
	phi_checkpoint checkpoint;
	phi_log_proof proof;

	if (phi_log_proof_parse(read_whole(name), &proof) != PHI_OK)
		return bad("it is no log proof");
	if (proof.extra.size == 0)
		return bad("it has no event: that was erased or archived");
	if (!open_given(proof.checkpoint, &checkpoint))
		return bad("its checkpoint is not signed by a trusted key");
	if (phi_base64_decode((const char *) proof.extra.data, proof.extra.size, &leaf_out) != PHI_OK ||
		phi_leaf_json(phi_bytes_of(leaf, leaf_out.size), &json_out) != PHI_OK ||
		phi_leaf_hash(phi_bytes_of(leaf, leaf_out.size), hash) != PHI_OK)
		return bad("its extra data is no event");
	if (phi_inclusion_verify(hash, proof.index, checkpoint.size,
							 (const uint8_t(*)[PHI_HASH_SIZE]) proof.path, proof.path_size,
							 checkpoint.root) != PHI_OK)
		return bad("the event is not in the signed tree at that place");
	printf("good: leaf %" PRIu64 " of %" PRIu64 ", signed by %.*s\n%.*s\n", proof.index,
		   checkpoint.size, (int) checkpoint.origin.size, (const char *) checkpoint.origin.data,
		   (int) json_out.size, (const char *) json);
	return GOOD;
}

/* Take the lines of a consistency proof apart; false where they are none. */
static bool
parse_consistency(phi_bytes text, uint64_t *old, uint8_t path[][PHI_HASH_SIZE], size_t *size,
				  phi_bytes *note)
{
	char *end;

	*size = 0;
	line[text.size] = '\0';
	if (text.size < 6 || memcmp(text.data, "old ", 4) != 0 || text.data[4] < '0' ||
		text.data[4] > '9')
		return false;
	*old = strtoull(line + 4, &end, 10);
	if (*end++ != '\n')
		return false;
	for (; *end != '\n'; end += 45, (*size)++)
	{
		uint8_t bytes[PHI_HASH_SIZE + 1];
		phi_buffer hash = {bytes, 0, sizeof(bytes)};

		if (*size > PHI_FRONTIER_PEAKS || line + text.size - end < 46 || end[44] != '\n' ||
			phi_base64_decode(end, 44, &hash) != PHI_OK || hash.size != PHI_HASH_SIZE)
			return false;
		memcpy(path[*size], bytes, PHI_HASH_SIZE);
	}
	*note = phi_bytes_of(end + 1, (size_t) (line + text.size - end - 1));
	return true;
}

static int
check_consistency(const char *old_name, const char *name)
{
	uint8_t path[PHI_FRONTIER_PEAKS + 1][PHI_HASH_SIZE];
	phi_checkpoint before, after;
	uint64_t old;
	size_t size;
	phi_bytes note;

	if (!open_given(read_whole(old_name), &before))
		return bad("the older checkpoint is not signed by a trusted key");
	if (!parse_consistency(read_whole(name), &old, path, &size, &note))
		return bad("it is no consistency proof");
	if (!open_given(note, &after))
		return bad("the newer checkpoint is not signed by a trusted key");
	if (old != before.size ||
		phi_consistency_verify(before.size, before.root, after.size, after.root,
							   (const uint8_t(*)[PHI_HASH_SIZE]) path, size) != PHI_OK)
		return bad("the newer tree does not extend the older one");
	printf("good: %" PRIu64 " leaves extend %" PRIu64 "\n", after.size, before.size);
	return GOOD;
}

int
main(int count, char **values)
{
	arguments given = read_arguments(count, values);

	if ((given.proof != NULL || given.consistency != NULL) && check.trusted.count == 0)
		trouble("--proof and --consistency need a key to trust; see --help", NULL);
	if (given.proof != NULL)
		return check_proof(given.proof);
	if (given.consistency != NULL)
		return check_consistency(given.old, given.consistency);
	return check_export(&given);
}
