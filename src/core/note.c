/*-------------------------------------------------------------------------
 * note.c
 *		Signed notes and verifier keys (C2SP signed-note 1.0).
 *
 * Signature lines of keys that are not asked for are only looked at for their
 * form, whatever their algorithm: witnesses may add theirs.  Everything here is
 * public, but for the private key of phi_note_sign, which libcrypto alone sees.
 *-------------------------------------------------------------------------
 */
#include "note_text.h"

#include <string.h>

#define SIGNATURE_PREFIX "\xE2\x80\x94 " /* em dash, space */
#define TYPE_ED25519     0x01

/* ---- verifier keys ---- */

phi_status
phi_vkey_make(phi_bytes name, const uint8_t key[PHI_ED25519_KEY], phi_vkey *out)
{
	static const uint8_t middle[2] = {'\n', TYPE_ED25519};
	phi_bytes parts[3] = {name, {middle, sizeof(middle)}, {key, PHI_ED25519_KEY}};
	uint8_t hash[PHI_SHA256_SIZE];
	phi_status status;

	memset(out, 0, sizeof(*out));
	if (name.size == 0 || name.size > PHI_NOTE_NAME_MAX || !phi_note_is_plain(name, true))
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
	phi_note_put_text(&status, out, vkey->name);
	phi_note_put(&status, out, text, sizeof(text));
	return phi_note_put_done(status, out, before);
}

/* ---- notes ---- */

phi_status
phi_note_sign(phi_bytes text, const phi_vkey *vkey, const uint8_t seed[PHI_ED25519_KEY],
			  phi_buffer *out)
{
	uint8_t blob[PHI_NOTE_SIGNATURE];
	size_t before = out->size;
	phi_status status;

	if (text.size == 0 || text.data[text.size - 1] != '\n' || !phi_note_is_plain(text, false))
		return PHI_ERR_ARGUMENT;
	memcpy(blob, vkey->id, PHI_NOTE_KEY_ID);
	status = phi_ed25519_sign(seed, text, blob + PHI_NOTE_KEY_ID);
	if (status == PHI_OK && phi_ed25519_verify(vkey->key, text, blob + PHI_NOTE_KEY_ID) != PHI_OK)
		status = PHI_ERR_CRYPTO;
	phi_note_put_text(&status, out, SIGNATURE_PREFIX);
	phi_note_put_text(&status, out, vkey->name);
	phi_note_put_text(&status, out, " ");
	phi_note_put_base64(&status, out, blob, sizeof(blob));
	return phi_note_put_done(status, out, before);
}

/* Take apart a signature line. */
static bool
parse_signature(phi_bytes line, phi_bytes *name, phi_bytes *digits)
{
	const uint8_t *space;

	if (!phi_note_take_prefix(&line, SIGNATURE_PREFIX))
		return false;
	space = line.size > 0 ? memchr(line.data, ' ', line.size) : NULL;
	if (space == NULL || space == line.data)
		return false;
	*name = phi_bytes_of(line.data, (size_t) (space - line.data));
	*digits = phi_bytes_of(space + 1, line.size - name->size - 1);
	return phi_note_is_plain(*name, true) && digits->size >= 8 && phi_note_is_base64(*digits); /* an id and more */
}

phi_status
phi_note_parse(phi_bytes note, phi_note *out)
{
	phi_bytes rest, line, name, digits;
	size_t split;

	memset(out, 0, sizeof(*out));
	if (note.size < 2 || note.size > PHI_NOTE_MAX || note.data[note.size - 1] != '\n' ||
		!phi_note_is_plain(note, false))
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
		if (!phi_note_take_line(&rest, &line) || !parse_signature(line, &name, &digits))
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

	while (phi_note_take_line(&rest, &line))
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
