/*-------------------------------------------------------------------------
 * tlog.c
 *		Checkpoints and proofs of a transparency log (C2SP tlog-checkpoint and
 *		tlog-proof).
 *-------------------------------------------------------------------------
 */
#include "note_text.h"

#include <string.h>

#define PROOF_HEADER     "c2sp.org/tlog-proof@v1\n"
#define PROOF_EXTRA      "extra "
#define PROOF_INDEX      "index "

/* ---- checkpoints ---- */

phi_status
phi_checkpoint_format(const phi_checkpoint *checkpoint, phi_buffer *out)
{
	size_t before = out->size;
	phi_status status = PHI_OK;

	phi_note_put(&status, out, checkpoint->origin.data, checkpoint->origin.size);
	phi_note_put_text(&status, out, "\n");
	phi_note_put_number(&status, out, checkpoint->size);
	phi_note_put_text(&status, out, "\n");
	phi_note_put_base64(&status, out, checkpoint->root, PHI_HASH_SIZE);
	phi_note_put(&status, out, checkpoint->extensions.data, checkpoint->extensions.size);
	return phi_note_put_done(status, out, before);
}

phi_status
phi_checkpoint_parse(phi_bytes text, phi_checkpoint *out)
{
	phi_bytes line, rest;

	memset(out, 0, sizeof(*out));
	if (!phi_note_is_plain(text, false) || !phi_note_take_line(&text, &out->origin) || out->origin.size == 0 ||
		!phi_note_take_line(&text, &line) || !phi_note_number(line, &out->size) || !phi_note_take_line(&text, &line) ||
		!phi_note_hash(line, out->root))
		return PHI_ERR_FORMAT;
	out->extensions = rest = text;
	while (rest.size > 0)
	{
		if (!phi_note_take_line(&rest, &line) || line.size == 0)
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

	phi_note_put_text(&status, out, PROOF_HEADER);
	if (proof->extra.size > 0)
	{
		phi_note_put_text(&status, out, PROOF_EXTRA);
		phi_note_put(&status, out, proof->extra.data, proof->extra.size);
		phi_note_put_text(&status, out, "\n");
	}
	phi_note_put_text(&status, out, PROOF_INDEX);
	phi_note_put_number(&status, out, proof->index);
	phi_note_put_text(&status, out, "\n");
	for (i = 0; i < proof->path_size; i++)
		phi_note_put_base64(&status, out, proof->path[i], PHI_HASH_SIZE);
	phi_note_put_text(&status, out, "\n");
	phi_note_put(&status, out, proof->checkpoint.data, proof->checkpoint.size);
	return phi_note_put_done(status, out, before);
}

phi_status
phi_log_proof_parse(phi_bytes text, phi_log_proof *out)
{
	phi_bytes line;
	phi_note note;

	memset(out, 0, sizeof(*out));
	if (!phi_note_take_prefix(&text, PROOF_HEADER) || !phi_note_take_line(&text, &line))
		return PHI_ERR_FORMAT;
	if (phi_note_take_prefix(&line, PROOF_EXTRA))
	{
		out->extra = line;
		if (!phi_note_is_base64(line) || !phi_note_take_line(&text, &line))
			return PHI_ERR_FORMAT;
	}
	if (!phi_note_take_prefix(&line, PROOF_INDEX) || !phi_note_number(line, &out->index) ||
		!phi_note_take_line(&text, &line))
		return PHI_ERR_FORMAT;
	while (line.size > 0)
	{
		if (out->path_size == PHI_FRONTIER_PEAKS || !phi_note_hash(line, out->path[out->path_size]) ||
			!phi_note_take_line(&text, &line))
			return PHI_ERR_FORMAT;
		out->path_size++;
	}
	out->checkpoint = text;
	return phi_note_parse(text, &note);
}
