/*-------------------------------------------------------------------------
 * fuzz_envelope.c
 *		Arbitrary bytes as an envelope, as its text and as the plaintext of one.
 *
 * Held: what parses is written back to the same bytes; a text that decodes
 * is encoded to the same text; opening under a fixed key opens nothing that
 * was not sealed, and what the harness seals opens to the same bytes.
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "core/envelope.h"

#define INPUT_MAX 8192

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t fixed[PHI_KEY_SIZE] = "a fixed key of the fuzz harness";

/* A broken promise ends the run. */
static void
must(bool holds)
{
	if (!holds)
		abort();
}

static phi_data_key *
fuzz_key(void)
{
	static phi_data_key key;

	if (key.id == 0)
	{
		key.id = 1;
		memcpy(key.uuid, fixed, sizeof(key.uuid));
		must(phi_xaes_init(&key.xaes, fixed) == PHI_OK);
	}
	return &key;
}

/* Parse; the header's only encoding is the one it came from. */
static bool
parse(phi_bytes envelope, phi_header *header)
{
	uint8_t written[PHI_HEADER_MAX];
	size_t size, front;
	phi_header again;

	if (phi_header_parse(envelope, envelope.size, header) != PHI_OK)
		return false;
	must(phi_header_write(header, written, &size) == PHI_OK);
	must(size < envelope.size && memcmp(written, envelope.data, size) == 0);
	must(phi_envelope_size(header, phi_envelope_plain_size(header, envelope.size)) ==
		 envelope.size);

	/* The front alone, in memory of its own, says the same. */
	front = envelope.size < PHI_HEADER_MAX ? envelope.size : PHI_HEADER_MAX;
	memcpy(written, envelope.data, front);
	must(phi_header_parse(phi_bytes_of(written, front), envelope.size, &again) == PHI_OK);
	must(again.dek_id == header->dek_id && again.bound == header->bound &&
		 again.searchable == header->searchable && again.row_token == header->row_token);
	return true;
}

/* Text that decodes is the one text of its envelope, which parses. */
static void
fuzz_text(const char *text, size_t size, uint8_t *storage)
{
	char again[2 * INPUT_MAX];
	phi_buffer out = {storage, 0, size * 3 / 4};
	phi_header header;

	if (phi_envelope_from_text(text, size, &out) != PHI_OK)
		return;
	must(phi_envelope_text_looks_sealed(text, size));
	must(phi_envelope_text_size(out.size) == size);
	phi_envelope_to_text(phi_bytes_of(storage, out.size), again);
	must(memcmp(again, text, size) == 0);
	must(parse(phi_bytes_of(storage, out.size), &header));
}

/* Seal the input under the header it describes, and open it again. */
static void
fuzz_seal(phi_bytes plain, phi_header *header, uint8_t *storage, uint8_t *opened)
{
	phi_buffer out = {storage, 0, phi_envelope_size(header, plain.size)};
	phi_buffer back = {opened, 0, plain.size};

	header->dek_id = 1;
	must(phi_envelope_seal(fuzz_key(), header, fixed, fixed, header->bound ? 12 : 24, plain,
						   &out) == PHI_OK);
	must(phi_envelope_open(fuzz_key(), phi_bytes_of(storage, out.size), fixed, &back) == PHI_OK);
	must(back.size == plain.size &&
		 (plain.size == 0 || memcmp(opened, plain.data, plain.size) == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t storage[2 * INPUT_MAX], opened[INPUT_MAX];
	char text[2 * INPUT_MAX];
	phi_bytes input = {data, size};
	phi_buffer back = {opened, 0, sizeof(opened)};
	phi_header header;

	if (size > INPUT_MAX)
		return 0;
	if (parse(input, &header))
	{
		phi_envelope_to_text(input, text);
		fuzz_text(text, phi_envelope_text_size(size), storage);
		must(phi_envelope_open(fuzz_key(), input, fixed, &back) == PHI_ERR_AUTH && back.size == 0);
		fuzz_seal(input, &header, storage, opened);
	}
	else
		must(phi_envelope_open(fuzz_key(), input, fixed, &back) != PHI_OK);

	/* The input as a text, and as what follows the prefix of one. */
	fuzz_text((const char *) data, size, storage);
	memcpy(text, PHI_ENVELOPE_TEXT_PREFIX, 6);
	if (size > 0)
		memcpy(text + 6, data, size);
	fuzz_text(text, size + 6, storage);
	return 0;
}
