/*-------------------------------------------------------------------------
 * fuzz_checkpoint.c
 *		Arbitrary bytes as a note, the text of a checkpoint, a verifier key, a
 *		log proof and the JSON of a leaf.
 *
 * Held: what parses is written back to the same bytes; nothing that the
 * harness did not sign verifies; what it signs does; a leaf that is rendered
 * at all is rendered in as much room as was asked for, and no other.
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "core/leaf.h"
#include "core/note.h"

#define INPUT_MAX 8192
#define ROOM      (16 * INPUT_MAX)

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t seed[PHI_ED25519_KEY] = "a fixed key of the fuzz harness";

/* A broken promise ends the run. */
static void
must(bool holds)
{
	if (!holds)
		abort();
}

static const phi_vkey *
fuzz_vkey(void)
{
	static phi_vkey vkey;
	uint8_t key[PHI_ED25519_KEY];

	if (vkey.name[0] == '\0')
	{
		must(phi_ed25519_public(seed, key) == PHI_OK);
		must(phi_vkey_make(phi_bytes_of("fuzz", 4), key, &vkey) == PHI_OK);
	}
	return &vkey;
}

static bool
same(phi_buffer written, phi_bytes input)
{
	return written.size == input.size && memcmp(written.data, input.data, input.size) == 0;
}

/* A note verifies under no key that did not sign it, and what is signed now does. */
static void
fuzz_note(phi_bytes input, uint8_t *room)
{
	phi_buffer out = {room, 0, ROOM};
	phi_note note;

	if (phi_note_parse(input, &note) == PHI_OK)
	{
		must(note.text.size + 1 + note.signatures.size == input.size);
		must(phi_note_verify(&note, fuzz_vkey()) != PHI_OK);
	}
	if (phi_buffer_append(&out, input) != PHI_OK ||
		phi_buffer_append(&out, phi_bytes_of("\n", 1)) != PHI_OK ||
		phi_note_sign(input, fuzz_vkey(), seed, &out) != PHI_OK)
		return;
	must(phi_note_parse(phi_bytes_of(room, out.size), &note) == PHI_OK);
	must(note.text.size == input.size && phi_note_verify(&note, fuzz_vkey()) == PHI_OK);
}

/* The leaf as JSON: the same bytes in exactly the room they need, an error in less. */
static void
fuzz_leaf(phi_bytes input, uint8_t *room)
{
	phi_buffer out = {room, 0, ROOM};
	phi_buffer tight = {room + ROOM, 0, 0};

	if (phi_leaf_json(input, &out) != PHI_OK)
	{
		must(out.size == 0);
		return;
	}
	tight.capacity = out.size;
	must(phi_leaf_json(input, &tight) == PHI_OK && same(tight, phi_bytes_of(room, out.size)));
	tight.capacity = out.size - 1;
	tight.size = 0;
	must(phi_leaf_json(input, &tight) == PHI_ERR_SPACE && tight.size == 0);
	must(memchr(room, '\n', out.size) == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t room[2 * ROOM];
	phi_bytes input = {data, size};
	phi_buffer out = {room, 0, ROOM};
	phi_checkpoint checkpoint;
	phi_log_proof proof;
	phi_vkey vkey;

	if (size > INPUT_MAX)
		return 0;
	if (phi_checkpoint_parse(input, &checkpoint) == PHI_OK)
		must(phi_checkpoint_format(&checkpoint, &out) == PHI_OK && same(out, input));
	out.size = 0;
	if (phi_vkey_parse(input, &vkey) == PHI_OK)
		must(phi_vkey_format(&vkey, &out) == PHI_OK && same(out, input));
	out.size = 0;
	if (phi_log_proof_parse(input, &proof) == PHI_OK)
		must(phi_log_proof_format(&proof, &out) == PHI_OK && same(out, input));
	must(phi_checkpoint_open(input, fuzz_vkey(), &checkpoint) != PHI_OK);
	fuzz_note(input, room);
	fuzz_leaf(input, room);
	return 0;
}
