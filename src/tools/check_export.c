/*-------------------------------------------------------------------------
 * check_export.c
 *		Checking an export of the audit log, one line at a time.
 *
 * The lines are those of src/audit/export.c and nothing else: a member more or
 * in another order is a problem.  Memory is fixed: two buffers as large as the
 * longest line, the tree's frontier, one checkpoint of each file.
 *-------------------------------------------------------------------------
 */
#include "tools/check_export.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "core/leaf.h"

#define MISSING "missing" /* gone, and the log does not know why */

/* What a line is decoded to: too large for the stack. */
static uint8_t leaf_room[LINE_MAX_SIZE];
static uint8_t json_room[LINE_MAX_SIZE];
static char text_room[PHI_NOTE_MAX];

/* Note the first problem; always false. */
static bool __attribute__((format(printf, 2, 3))) fail(export_check *check, const char *format, ...)
{
	va_list arguments;

	if (check->problem[0] != '\0')
		return false;
	va_start(arguments, format);
	vsnprintf(check->problem, sizeof(check->problem), format, arguments);
	va_end(arguments);
	return false;
}

static bool
malformed(export_check *check)
{
	return fail(check, "line %" PRIu64 " is none of an export", check->line);
}

/* ---- reading a line ---- */

/* Take fixed text off the front. */
static bool
take(phi_bytes *in, const char *text)
{
	size_t size = strlen(text);

	if (in->size < size || memcmp(in->data, text, size) != 0)
		return false;
	in->data += size;
	in->size -= size;
	return true;
}

/* Take a whole number off the front. */
static bool
take_number(phi_bytes *in, uint64_t *value)
{
	size_t digits = 0;

	*value = 0;
	while (digits < in->size && in->data[digits] >= '0' && in->data[digits] <= '9')
	{
		unsigned digit = in->data[digits] - (unsigned) '0';

		if (*value > (UINT64_MAX - digit) / 10 || (digits == 1 && in->data[0] == '0'))
			return false;
		*value = 10 * *value + digit;
		digits++;
	}
	in->data += digits;
	in->size -= digits;
	return digits > 0;
}

/* Take what is before the next quote, which is taken too. */
static bool
take_quoted(phi_bytes *in, phi_bytes *value)
{
	const uint8_t *end = in->size > 0 ? memchr(in->data, '"', in->size) : NULL;

	if (end == NULL)
		return false;
	*value = phi_bytes_of(in->data, (size_t) (end - in->data));
	in->data += value->size + 1;
	in->size -= value->size + 1;
	return true;
}

/* Take hexadecimal digits, as they are written: in lower case. */
static bool
take_digits(phi_bytes *in, phi_bytes *digits)
{
	size_t i;

	if (!take_quoted(in, digits))
		return false;
	for (i = 0; i < digits->size; i++)
	{
		if (digits->data[i] >= 'A' && digits->data[i] <= 'F')
			return false;
	}
	return true;
}

/* The byte of an escape after the backslash; sizes how much of it there was. */
static bool
take_escape(phi_bytes *in, char *out)
{
	static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
	const char *name = in->size > 0 ? memchr(names, in->data[0], sizeof(names) - 1) : NULL;
	uint8_t value[2];

	if (name != NULL)
	{
		*out = bytes[name - names];
		in->data++;
		in->size--;
		return true;
	}
	if (in->size < 5 || in->data[0] != 'u' ||
		phi_hex_decode((const char *) in->data + 1, 4, value, 2) != PHI_OK || value[0] != 0 ||
		value[1] > 0x7F)
		return false;
	*out = (char) value[1];
	in->data += 5;
	in->size -= 5;
	return true;
}

/* Take a JSON string, behind its first quote, into text_room. */
static bool
take_string(phi_bytes *in, phi_bytes *value)
{
	size_t size = 0;

	while (in->size > 0 && in->data[0] != '"')
	{
		char byte = (char) in->data[0];

		in->data++;
		in->size--;
		if ((byte == '\\' && !take_escape(in, &byte)) || size == sizeof(text_room))
			return false;
		text_room[size++] = byte;
	}
	*value = phi_bytes_of(text_room, size);
	return take(in, "\"");
}

/* ---- keys ---- */

bool
ring_add(key_ring *ring, phi_bytes text)
{
	return ring->count < KEYS_MAX && phi_vkey_parse(text, &ring->keys[ring->count]) == PHI_OK &&
		   ++ring->count > 0;
}

/* The key of a ring that belongs to an origin. */
static const phi_vkey *
ring_find(const key_ring *ring, phi_bytes origin)
{
	size_t i;

	for (i = 0; i < ring->count; i++)
	{
		if (strlen(ring->keys[i].name) == origin.size &&
			memcmp(ring->keys[i].name, origin.data, origin.size) == 0)
			return &ring->keys[i];
	}
	return NULL;
}

/*
 * Trust the claimed key of an origin if a trusted one has signed the note as
 * well: the first checkpoint of an incarnation is signed by the one before.
 */
static const phi_vkey *
follow(export_check *check, const phi_note *note, phi_bytes origin)
{
	const phi_vkey *claimed = ring_find(&check->claimed, origin);
	size_t i;

	if (claimed == NULL || phi_note_verify(note, claimed) != PHI_OK ||
		check->trusted.count == KEYS_MAX)
		return NULL;
	for (i = 0; i < check->trusted.count || check->trust_claims; i++)
	{
		if (check->trust_claims || phi_note_verify(note, &check->trusted.keys[i]) == PHI_OK)
		{
			check->trusted.keys[check->trusted.count] = *claimed;
			return &check->trusted.keys[check->trusted.count++];
		}
	}
	return NULL;
}

/* Open a checkpoint under a trusted key: PHI_ERR_AUTH where there is none. */
static phi_status
open_trusted(export_check *check, phi_bytes bytes, phi_checkpoint *out)
{
	const phi_vkey *key;
	phi_note note;
	phi_status status = phi_note_parse(bytes, &note);

	if (status == PHI_OK)
		status = phi_checkpoint_parse(note.text, out);
	if (status != PHI_OK)
		return status;
	key = ring_find(&check->trusted, out->origin);
	if (key == NULL)
		key = follow(check, &note, out->origin);
	return key != NULL ? phi_checkpoint_open(bytes, key, out) : PHI_ERR_AUTH;
}

/* ---- checkpoints kept elsewhere ---- */

/* Read the lines of one note to file->note; its size, 0 at the end of the file. */
static bool
read_note(checkpoint_file *file, bool *too_long)
{
	bool in_signatures = false;
	size_t line_begin = 0;
	int byte;

	file->note_size = 0;
	*too_long = false;
	while ((byte = getc(file->file)) != EOF)
	{
		if (byte == '\n' && file->note_size == line_begin)
		{
			if (file->note_size == 0)
				continue; /* an empty line between notes */
			if (in_signatures)
				break;
			in_signatures = true;
		}
		if (file->note_size == sizeof(file->note))
		{
			*too_long = true;
			return false;
		}
		file->note[file->note_size++] = (char) byte;
		if (byte == '\n')
			line_begin = file->note_size;
	}
	return file->note_size > 0;
}

/* Read the next checkpoint of a file; false with a problem noted where it is damaged. */
static bool
file_next(export_check *check, checkpoint_file *file)
{
	phi_checkpoint checkpoint;
	uint64_t before = file->has_next ? file->size : 0;
	bool too_long;
	phi_status status;

	file->has_next = read_note(file, &too_long);
	if (too_long)
		return fail(check, "%s: a checkpoint is longer than any", file->name);
	if (!file->has_next)
		return true;
	status = open_trusted(check, phi_bytes_of(file->note, file->note_size), &checkpoint);
	if (status == PHI_ERR_AUTH)
		return fail(check,
					"%s: the checkpoint of %" PRIu64 " leaves is not signed by a trusted key",
					file->name, checkpoint.size);
	if (status != PHI_OK)
		return fail(check, "%s: a checkpoint after that of %" PRIu64 " leaves is damaged",
					file->name, before);
	if (checkpoint.size < before)
		return fail(check, "%s: the checkpoint of %" PRIu64 " leaves comes after a larger one",
					file->name, checkpoint.size);
	file->size = checkpoint.size;
	memcpy(file->root, checkpoint.root, PHI_HASH_SIZE);
	return true;
}

/* Start the files, behind the keys that the export names: a first checkpoint may need them. */
static bool
begin_files(export_check *check)
{
	size_t i;

	for (i = 0; i < check->file_count && !check->files_begun; i++)
	{
		if (!file_next(check, &check->files[i]))
			return false;
	}
	check->files_begun = true;
	return true;
}

/* The root of the tree as it is; false with a problem where libcrypto fails. */
static bool
tree_root(export_check *check, uint8_t root[PHI_HASH_SIZE])
{
	if (phi_frontier_root(&check->tree, root) == PHI_OK)
		return true;
	return fail(check, "the cryptographic library failed");
}

/* Compare the tree with every kept checkpoint of its size. */
static bool
compare_files(export_check *check)
{
	uint8_t root[PHI_HASH_SIZE];
	size_t i;

	for (i = 0; i < check->file_count; i++)
	{
		checkpoint_file *file = &check->files[i];

		while (file->has_next && file->size <= check->tree.size)
		{
			if (file->size == check->tree.size)
			{
				if (!tree_root(check, root))
					return false;
				if (memcmp(root, file->root, sizeof(root)) != 0)
					return fail(check,
								"%s%" PRIu64
								" is the first that is not vouched for: the checkpoint "
								"of %" PRIu64 " leaves in %s is not of this log",
								check->has_suspect ? "event " : "leaf ",
								check->has_suspect ? check->suspect : check->confirmed, file->size,
								file->name);
				check->outside++;
			}
			if (!file_next(check, file))
				return false;
		}
	}
	return true;
}

/* ---- lines ---- */

/* The tree is that of a signed checkpoint: leaves below are confirmed. */
static bool
reach_checkpoint(export_check *check, phi_bytes note)
{
	phi_checkpoint checkpoint;
	uint8_t root[PHI_HASH_SIZE];
	phi_status status = open_trusted(check, note, &checkpoint);

	if (status == PHI_ERR_AUTH)
		return true; /* of a key that nobody trusts: it confirms nothing */
	if (status != PHI_OK)
		return fail(check, "line %" PRIu64 " has no checkpoint", check->line);
	if (!tree_root(check, root))
		return false;
	if (checkpoint.size != check->tree.size)
		return fail(check, "line %" PRIu64 ": the checkpoint of %" PRIu64 " leaves is out of place",
					check->line, checkpoint.size);
	if (memcmp(root, checkpoint.root, sizeof(root)) != 0)
		return fail(check,
					"%s%" PRIu64 " is the first that is not vouched for: leaves %" PRIu64
					" to %" PRIu64 " do not give the signed root of checkpoint %" PRIu64,
					check->has_suspect ? "event " : "leaf ",
					check->has_suspect ? check->suspect : check->confirmed, check->confirmed,
					check->tree.size - 1, check->tree.size);
	check->confirmed = check->tree.size;
	check->has_suspect = false;
	check->checkpoints++;
	return true;
}

/* {"phi_guard_audit_export":1,"first_leaf":N,"tree":"hex","checkpoint":"note"} */
static bool
head_line(export_check *check, phi_bytes line)
{
	uint8_t peaks[PHI_FRONTIER_PEAKS * PHI_HASH_SIZE];
	phi_bytes digits, note;

	if (!take(&line, "{\"phi_guard_audit_export\":1,\"first_leaf\":") ||
		!take_number(&line, &check->first_leaf) || !take(&line, ",\"tree\":\"") ||
		!take_digits(&line, &digits) || digits.size / 2 > sizeof(peaks) ||
		phi_hex_decode((const char *) digits.data, digits.size, peaks, digits.size / 2) != PHI_OK ||
		!take(&line, ",\"checkpoint\":\"") || !take_string(&line, &note) || !take(&line, "}") ||
		line.size != 0 ||
		phi_frontier_load(&check->tree, check->first_leaf, phi_bytes_of(peaks, digits.size / 2)) !=
			PHI_OK)
		return malformed(check);
	memcpy(check->head_note, note.data, note.size);
	check->head_size = note.size;
	check->begun = true;
	check->confirmed = check->first_leaf;
	return true;
}

/* The tree that the export begins with is signed; behind the keys, which this may need. */
static bool
check_head(export_check *check)
{
	if (check->head_checked || check->first_leaf == 0)
		return true;
	check->head_checked = true;
	if (!reach_checkpoint(check, phi_bytes_of(check->head_note, check->head_size)))
		return false;
	if (check->checkpoints == 0)
		return fail(check, "the tree that the export begins with is not signed by a trusted key");
	return compare_files(check);
}

/* The leaf's own bytes: they give its hash, and its JSON is theirs. */
static bool
check_data(export_check *check, phi_bytes *line, const uint8_t *hash, uint64_t *event)
{
	phi_buffer leaf = {leaf_room, 0, sizeof(leaf_room)};
	phi_buffer json = {json_room, 0, sizeof(json_room)};
	uint8_t computed[PHI_HASH_SIZE];
	phi_bytes digits, bytes;

	if (!take_quoted(line, &digits) || !take(line, ",\"event\":") ||
		phi_base64url_decode((const char *) digits.data, digits.size, &leaf) != PHI_OK)
		return malformed(check);
	bytes = phi_bytes_of(leaf.data, leaf.size);
	if (phi_leaf_event(bytes, event) != PHI_OK || phi_leaf_json(bytes, &json) != PHI_OK)
		return fail(check, "leaf %" PRIu64 " was altered: it is that of no event",
					check->tree.size);
	if (phi_leaf_hash(bytes, computed) != PHI_OK)
		return fail(check, "the cryptographic library failed");
	if (memcmp(computed, hash, PHI_HASH_SIZE) != 0)
		return fail(check, "event %" PRIu64 " was altered: leaf %" PRIu64 " does not give its hash",
					*event, check->tree.size);
	if (line->size < json.size || memcmp(line->data, json.data, json.size) != 0)
		return fail(check, "event %" PRIu64 " was altered: its JSON is not what its leaf says",
					*event);
	line->data += json.size;
	line->size -= json.size;
	return true;
}

/* Does an export say so of an event that is gone? */
static bool
is_reason(phi_bytes why)
{
	static const char *const reasons[] = {"erased", "archived", MISSING};
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
	{
		if (why.size == strlen(reasons[i]) && memcmp(why.data, reasons[i], why.size) == 0)
			return true;
	}
	return false;
}

/* {"leaf":N,"hash":"hex","data":"base64url","event":{...}} or ...,"event_id":N,"gone":"why"} */
static bool
leaf_line(export_check *check, phi_bytes line)
{
	uint8_t hash[PHI_HASH_SIZE];
	phi_bytes digits, why;
	uint64_t index, event;

	if (!take_number(&line, &index) || !take(&line, ",\"hash\":\"") ||
		!take_digits(&line, &digits) ||
		phi_hex_decode((const char *) digits.data, digits.size, hash, sizeof(hash)) != PHI_OK)
		return malformed(check);
	if (index != check->tree.size)
		return fail(check, "leaf %" PRIu64 " is missing: leaf %" PRIu64 " is in its place",
					check->tree.size, index);
	if (take(&line, ",\"data\":\""))
	{
		if (!check_data(check, &line, hash, &event))
			return false;
	}
	else if (take(&line, ",\"event_id\":") && take_number(&line, &event) &&
			 take(&line, ",\"gone\":\"") && take_quoted(&line, &why) && is_reason(why))
	{
		check->gone++;
		if (why.size == strlen(MISSING) && memcmp(why.data, MISSING, why.size) == 0)
			return fail(check,
						"event %" PRIu64 " is missing: leaf %" PRIu64 " has no event, and "
						"no signed record that it was erased or archived",
						event, index);
		if (check->whole)
			return fail(check, "event %" PRIu64 " is gone: leaf %" PRIu64 " says %.*s", event,
						index, (int) why.size, (const char *) why.data);
	}
	else
		return malformed(check);
	if (!take(&line, "}") || line.size != 0)
		return malformed(check);
	if (!check->has_suspect)
		check->suspect = event;
	check->has_suspect = true;
	if (phi_frontier_append(&check->tree, hash) != PHI_OK)
		return fail(check, "the cryptographic library failed");
	return compare_files(check);
}

bool
export_line(export_check *check, const char *line, size_t size)
{
	phi_bytes rest = phi_bytes_of(line, size);
	phi_bytes value;

	check->line++;
	if (check->problem[0] != '\0')
		return false;
	if (size > LINE_MAX_SIZE)
		return malformed(check);
	if (!check->begun)
		return head_line(check, rest);
	if (take(&rest, "{\"key\":\"") && take_string(&rest, &value) && take(&rest, "}") &&
		rest.size == 0)
		return ring_add(&check->claimed, value) || malformed(check);
	rest = phi_bytes_of(line, size);
	if (!begin_files(check) || !check_head(check))
		return false;
	if (take(&rest, "{\"leaf\":"))
		return leaf_line(check, rest);
	if (take(&rest, "{\"checkpoint\":\""))
		return take_string(&rest, &value) && take(&rest, "}") && rest.size == 0
				   ? reach_checkpoint(check, value)
				   : malformed(check);
	return malformed(check);
}

bool
export_end(export_check *check)
{
	size_t i;

	if (check->problem[0] != '\0')
		return false;
	if (!check->begun)
		return fail(check, "the export is empty");
	if (!begin_files(check) || !check_head(check))
		return false;
	if (check->confirmed < check->tree.size)
		return fail(check,
					"event %" PRIu64 " is the first under no checkpoint of a trusted key: leaves "
					"from %" PRIu64 " on",
					check->suspect, check->confirmed);
	for (i = 0; i < check->file_count; i++)
	{
		while (check->files[i].has_next)
		{
			check->beyond += check->files[i].size > check->tree.size;
			if (!file_next(check, &check->files[i]))
				return false;
		}
	}
	return true;
}
