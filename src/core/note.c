/*-------------------------------------------------------------------------
 * note.c
 *		Signed notes, checkpoints and log proofs (C2SP signed-note 1.0,
 *		tlog-checkpoint and tlog-proof).
 *
 * Signature lines of keys that are not asked for are only looked at for their
 * form, whatever their algorithm: witnesses may add theirs.  Everything here is
 * public, but for the private key of phi_note_sign, which libcrypto alone sees.
 *-------------------------------------------------------------------------
 */
#include "note.h"

#include <string.h>

#define SIGNATURE_PREFIX "\xE2\x80\x94 " /* em dash, space */
#define TYPE_ED25519     0x01
#define HASH_DIGITS      44 /* base64 of a hash */
#define PROOF_HEADER     "c2sp.org/tlog-proof@v1\n"
#define PROOF_EXTRA      "extra "
#define PROOF_INDEX      "index "

/* ---- text ---- */

/* Bytes of the UTF-8 character at the start of a text, or 0 where there is none. */
static size_t
utf8_size(phi_bytes text)
{
	uint8_t first = text.size > 0 ? text.data[0] : 0x80;
	size_t size = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
	size_t i;

	if (first > 0xF4 || size > text.size)
		return 0;
	for (i = 1; i < size; i++)
	{
		if ((text.data[i] & 0xC0) != 0x80)
			return 0;
	}
	/* Overlong forms, surrogates, and what is beyond U+10FFFF. */
	if ((first == 0xE0 && text.data[1] < 0xA0) || (first == 0xED && text.data[1] > 0x9F) ||
		(first == 0xF0 && text.data[1] < 0x90) || (first == 0xF4 && text.data[1] > 0x8F))
		return 0;
	return size;
}

/* Is a character of several bytes a Unicode space? */
static bool
is_wide_space(const uint8_t *at, size_t size)
{
	static const char spaces[][4] = {"\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80",
									 "\xE2\x80\x81", "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84",
									 "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88",
									 "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9",
									 "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};
	size_t i;

	for (i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
	{
		if (strlen(spaces[i]) == size && memcmp(spaces[i], at, size) == 0)
			return true;
	}
	return false;
}

/* Is a text UTF-8 without control characters but newlines; as a name: without any space or plus? */
static bool
is_plain(phi_bytes text, bool name)
{
	while (text.size > 0)
	{
		size_t size = utf8_size(text);

		if (size == 0 || (text.data[0] < 0x20 && (name || text.data[0] != '\n')))
			return false;
		if (name && (text.data[0] == ' ' || text.data[0] == '+' ||
					 (size > 1 && is_wide_space(text.data, size))))
			return false;
		text.data += size;
		text.size -= size;
	}
	return true;
}

/* Take a line off the front of a text, without its newline; false where there is none. */
static bool
take_line(phi_bytes *text, phi_bytes *line)
{
	const uint8_t *end = text->size > 0 ? memchr(text->data, '\n', text->size) : NULL;

	if (end == NULL)
		return false;
	*line = phi_bytes_of(text->data, (size_t) (end - text->data));
	text->data += line->size + 1;
	text->size -= line->size + 1;
	return true;
}

/* Take fixed bytes off the front of a text; false where it does not begin so. */
static bool
take_prefix(phi_bytes *text, const char *prefix)
{
	size_t size = strlen(prefix);

	if (text->size < size || memcmp(text->data, prefix, size) != 0)
		return false;
	text->data += size;
	text->size -= size;
	return true;
}

/* The decimal number of a line, without leading zeroes. */
static bool
parse_number(phi_bytes digits, uint64_t *out)
{
	uint64_t value = 0;
	size_t i;

	if (digits.size == 0 || (digits.size > 1 && digits.data[0] == '0'))
		return false;
	for (i = 0; i < digits.size; i++)
	{
		unsigned digit = digits.data[i] - (unsigned) '0';

		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return false;
		value = 10 * value + digit;
	}
	*out = value;
	return true;
}

/* The hash of a line. */
static bool
parse_hash(phi_bytes line, uint8_t out[PHI_HASH_SIZE])
{
	uint8_t bytes[PHI_HASH_SIZE + 1];
	phi_buffer decoded = {bytes, 0, sizeof(bytes)};

	if (line.size != HASH_DIGITS ||
		phi_base64_decode((const char *) line.data, line.size, &decoded) != PHI_OK ||
		decoded.size != PHI_HASH_SIZE)
		return false;
	memcpy(out, bytes, PHI_HASH_SIZE);
	return true;
}

/* Is a text canonical base64 of at least a byte? */
static bool
is_base64(phi_bytes digits)
{
	size_t at;

	for (at = 0; digits.size % 4 == 0 && at < digits.size; at += 4)
	{
		uint8_t bytes[3];
		phi_buffer group = {bytes, 0, sizeof(bytes)};

		if (phi_base64_decode((const char *) digits.data + at, 4, &group) != PHI_OK ||
			(group.size < 3 && at + 4 < digits.size))
			return false;
	}
	return digits.size > 0 && at == digits.size;
}

/* ---- writing ---- */

/* Append characters while status is good. */
static void
put(phi_status *status, phi_buffer *out, const void *data, size_t size)
{
	if (*status == PHI_OK)
		*status = phi_buffer_append(out, phi_bytes_of(data, size));
}

static void
put_text(phi_status *status, phi_buffer *out, const char *text)
{
	put(status, out, text, strlen(text));
}

static void
put_number(phi_status *status, phi_buffer *out, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char) ('0' + value % 10);
	while ((value /= 10) != 0);
	put(status, out, digits + at, sizeof(digits) - at);
}

/* Append the base64 of at most PHI_NOTE_SIGNATURE bytes, and a newline. */
static void
put_base64(phi_status *status, phi_buffer *out, const uint8_t *data, size_t size)
{
	char text[(PHI_NOTE_SIGNATURE + 2) / 3 * 4];

	phi_base64_encode(phi_bytes_of(data, size), text);
	put(status, out, text, phi_base64_size(size));
	put_text(status, out, "\n");
}

/* What a function appended is there if it succeeded, else nothing. */
static phi_status
put_done(phi_status status, phi_buffer *out, size_t before)
{
	if (status != PHI_OK)
		out->size = before;
	return status;
}

/* ---- verifier keys ---- */

phi_status
phi_vkey_make(phi_bytes name, const uint8_t key[PHI_ED25519_KEY], phi_vkey *out)
{
	static const uint8_t middle[2] = {'\n', TYPE_ED25519};
	phi_bytes parts[3] = {name, {middle, sizeof(middle)}, {key, PHI_ED25519_KEY}};
	uint8_t hash[PHI_SHA256_SIZE];
	phi_status status;

	memset(out, 0, sizeof(*out));
	if (name.size == 0 || name.size > PHI_NOTE_NAME_MAX || !is_plain(name, true))
		return PHI_ERR_FORMAT;
	status = phi_sha256_parts(parts, 3, hash);
	if (status != PHI_OK)
		return status;
	memcpy(out->name, name.data, name.size);
	memcpy(out->id, hash, sizeof(out->id));
	memcpy(out->key, key, sizeof(out->key));
	return PHI_OK;
}

phi_status
phi_vkey_parse(phi_bytes text, phi_vkey *out)
{
	const uint8_t *plus = text.size > 0 ? memchr(text.data, '+', text.size) : NULL;
	size_t name_size = plus != NULL ? (size_t) (plus - text.data) : 0;
	uint8_t bytes[1 + PHI_ED25519_KEY + 2];
	phi_buffer decoded = {bytes, 0, sizeof(bytes)};
	uint8_t id[PHI_NOTE_KEY_ID];
	phi_status status;
	size_t i;

	memset(out, 0, sizeof(*out));
	if (plus == NULL || text.size != name_size + 1 + 8 + 1 + 44 || plus[9] != '+' ||
		phi_hex_decode((const char *) plus + 1, 8, id, sizeof(id)) != PHI_OK ||
		phi_base64_decode((const char *) plus + 10, 44, &decoded) != PHI_OK ||
		decoded.size != 1 + PHI_ED25519_KEY || bytes[0] != TYPE_ED25519)
		return PHI_ERR_FORMAT;
	for (i = 1; i <= 8; i++)
	{
		if (plus[i] >= 'A' && plus[i] <= 'F')
			return PHI_ERR_FORMAT;
	}
	status = phi_vkey_make(phi_bytes_of(text.data, name_size), bytes + 1, out);
	if (status == PHI_OK && memcmp(out->id, id, sizeof(id)) != 0)
	{
		memset(out, 0, sizeof(*out));
		return PHI_ERR_FORMAT;
	}
	return status;
}

phi_status
phi_vkey_format(const phi_vkey *vkey, phi_buffer *out)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[1 + PHI_ED25519_KEY] = {TYPE_ED25519};
	char text[1 + 8 + 1 + 44];
	size_t before = out->size;
	phi_status status = PHI_OK;
	size_t i;

	text[0] = text[9] = '+';
	for (i = 0; i < PHI_NOTE_KEY_ID; i++)
	{
		text[1 + 2 * i] = digits[vkey->id[i] >> 4];
		text[2 + 2 * i] = digits[vkey->id[i] & 15];
	}
	memcpy(bytes + 1, vkey->key, PHI_ED25519_KEY);
	phi_base64_encode(phi_bytes_of(bytes, sizeof(bytes)), text + 10);
	put_text(&status, out, vkey->name);
	put(&status, out, text, sizeof(text));
	return put_done(status, out, before);
}

/* ---- notes ---- */

phi_status
phi_note_sign(phi_bytes text, const phi_vkey *vkey, const uint8_t seed[PHI_ED25519_KEY],
			  phi_buffer *out)
{
	uint8_t blob[PHI_NOTE_SIGNATURE];
	size_t before = out->size;
	phi_status status;

	if (text.size == 0 || text.data[text.size - 1] != '\n' || !is_plain(text, false))
		return PHI_ERR_ARGUMENT;
	memcpy(blob, vkey->id, PHI_NOTE_KEY_ID);
	status = phi_ed25519_sign(seed, text, blob + PHI_NOTE_KEY_ID);
	put_text(&status, out, SIGNATURE_PREFIX);
	put_text(&status, out, vkey->name);
	put_text(&status, out, " ");
	put_base64(&status, out, blob, sizeof(blob));
	return put_done(status, out, before);
}

/* Take apart a signature line. */
static bool
parse_signature(phi_bytes line, phi_bytes *name, phi_bytes *digits)
{
	const uint8_t *space;

	if (!take_prefix(&line, SIGNATURE_PREFIX))
		return false;
	space = line.size > 0 ? memchr(line.data, ' ', line.size) : NULL;
	if (space == NULL || space == line.data)
		return false;
	*name = phi_bytes_of(line.data, (size_t) (space - line.data));
	*digits = phi_bytes_of(space + 1, line.size - name->size - 1);
	return is_plain(*name, true) && digits->size >= 8 && is_base64(*digits); /* an id and more */
}

phi_status
phi_note_parse(phi_bytes note, phi_note *out)
{
	phi_bytes rest, line, name, digits;
	size_t split;

	memset(out, 0, sizeof(*out));
	if (note.size < 2 || note.size > PHI_NOTE_MAX || note.data[note.size - 1] != '\n' ||
		!is_plain(note, false))
		return PHI_ERR_FORMAT;
	/* The last empty line: two newlines in a row, the first of them the text's. */
	for (split = note.size - 1; split > 0; split--)
	{
		if (note.data[split] == '\n' && note.data[split - 1] == '\n')
			break;
	}
	if (split == 0 || split + 1 == note.size)
		return PHI_ERR_FORMAT;
	rest = phi_bytes_of(note.data + split + 1, note.size - split - 1);
	while (rest.size > 0)
	{
		if (!take_line(&rest, &line) || !parse_signature(line, &name, &digits))
			return PHI_ERR_FORMAT;
	}
	out->text = phi_bytes_of(note.data, split);
	out->signatures = phi_bytes_of(note.data + split + 1, note.size - split - 1);
	return PHI_OK;
}

/* Is it a line of this key, going by name and id?  blob receives its signature, if that has the size. */
static bool
is_of_key(phi_bytes line, const phi_vkey *vkey, uint8_t blob[PHI_NOTE_SIGNATURE], bool *sized)
{
	uint8_t bytes[PHI_NOTE_SIGNATURE + 2];
	phi_buffer decoded = {bytes, 0, sizeof(bytes)};
	phi_bytes name, digits;

	if (!parse_signature(line, &name, &digits) || name.size != strlen(vkey->name) ||
		memcmp(name.data, vkey->name, name.size) != 0)
		return false;

	/* Eight digits hold the id, whatever follows. */
	decoded.capacity = 6;
	if (phi_base64_decode((const char *) digits.data, 8, &decoded) != PHI_OK ||
		memcmp(bytes, vkey->id, PHI_NOTE_KEY_ID) != 0)
		return false;
	decoded.capacity = sizeof(bytes);
	*sized = phi_base64_decode((const char *) digits.data, digits.size, &decoded) == PHI_OK &&
			 decoded.size == PHI_NOTE_SIGNATURE;
	memcpy(blob, bytes, PHI_NOTE_SIGNATURE);
	return true;
}

phi_status
phi_note_verify(const phi_note *note, const phi_vkey *vkey)
{
	phi_bytes rest = note->signatures;
	phi_bytes line;
	bool signed_by_key = false;

	while (take_line(&rest, &line))
	{
		uint8_t blob[PHI_NOTE_SIGNATURE];
		bool sized = false;
		phi_status status;

		if (!is_of_key(line, vkey, blob, &sized))
			continue;
		status = sized ? phi_ed25519_verify(vkey->key, note->text, blob + PHI_NOTE_KEY_ID)
					   : PHI_ERR_AUTH;
		if (status != PHI_OK)
			return status;
		signed_by_key = true;
	}
	return signed_by_key ? PHI_OK : PHI_ERR_AUTH;
}

/* ---- checkpoints ---- */

phi_status
phi_checkpoint_format(const phi_checkpoint *checkpoint, phi_buffer *out)
{
	size_t before = out->size;
	phi_status status = PHI_OK;

	put(&status, out, checkpoint->origin.data, checkpoint->origin.size);
	put_text(&status, out, "\n");
	put_number(&status, out, checkpoint->size);
	put_text(&status, out, "\n");
	put_base64(&status, out, checkpoint->root, PHI_HASH_SIZE);
	put(&status, out, checkpoint->extensions.data, checkpoint->extensions.size);
	return put_done(status, out, before);
}

phi_status
phi_checkpoint_parse(phi_bytes text, phi_checkpoint *out)
{
	phi_bytes line, rest;

	memset(out, 0, sizeof(*out));
	if (!is_plain(text, false) || !take_line(&text, &out->origin) || out->origin.size == 0 ||
		!take_line(&text, &line) || !parse_number(line, &out->size) || !take_line(&text, &line) ||
		!parse_hash(line, out->root))
		return PHI_ERR_FORMAT;
	out->extensions = rest = text;
	while (rest.size > 0)
	{
		if (!take_line(&rest, &line) || line.size == 0)
			return PHI_ERR_FORMAT;
	}
	return PHI_OK;
}

phi_status
phi_checkpoint_open(phi_bytes note, const phi_vkey *vkey, phi_checkpoint *out)
{
	phi_note parsed;
	phi_status status = phi_note_parse(note, &parsed);

	memset(out, 0, sizeof(*out));
	if (status == PHI_OK)
		status = phi_note_verify(&parsed, vkey);
	if (status == PHI_OK)
		status = phi_checkpoint_parse(parsed.text, out);
	if (status == PHI_OK && (out->origin.size != strlen(vkey->name) ||
							 memcmp(out->origin.data, vkey->name, out->origin.size) != 0))
		status = PHI_ERR_AUTH;
	return status;
}

/* ---- proofs ---- */

phi_status
phi_log_proof_format(const phi_log_proof *proof, phi_buffer *out)
{
	size_t before = out->size;
	phi_status status = PHI_OK;
	size_t i;

	put_text(&status, out, PROOF_HEADER);
	if (proof->extra.size > 0)
	{
		put_text(&status, out, PROOF_EXTRA);
		put(&status, out, proof->extra.data, proof->extra.size);
		put_text(&status, out, "\n");
	}
	put_text(&status, out, PROOF_INDEX);
	put_number(&status, out, proof->index);
	put_text(&status, out, "\n");
	for (i = 0; i < proof->path_size; i++)
		put_base64(&status, out, proof->path[i], PHI_HASH_SIZE);
	put_text(&status, out, "\n");
	put(&status, out, proof->checkpoint.data, proof->checkpoint.size);
	return put_done(status, out, before);
}

phi_status
phi_log_proof_parse(phi_bytes text, phi_log_proof *out)
{
	phi_bytes line;
	phi_note note;

	memset(out, 0, sizeof(*out));
	if (!take_prefix(&text, PROOF_HEADER) || !take_line(&text, &line))
		return PHI_ERR_FORMAT;
	if (take_prefix(&line, PROOF_EXTRA))
	{
		out->extra = line;
		if (!is_base64(line) || !take_line(&text, &line))
			return PHI_ERR_FORMAT;
	}
	if (!take_prefix(&line, PROOF_INDEX) || !parse_number(line, &out->index) ||
		!take_line(&text, &line))
		return PHI_ERR_FORMAT;
	while (line.size > 0)
	{
		if (out->path_size == PHI_FRONTIER_PEAKS || !parse_hash(line, out->path[out->path_size]) ||
			!take_line(&text, &line))
			return PHI_ERR_FORMAT;
		out->path_size++;
	}
	out->checkpoint = text;
	return phi_note_parse(text, &note);
}
