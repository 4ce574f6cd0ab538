/*-------------------------------------------------------------------------
 * test_envelope.c
 *		Envelopes: the project's vectors (computed by test/vectors/envelope.py,
 *		not by this code), round trips, and everything that must be refused.
 *-------------------------------------------------------------------------
 */
#include "check.h"
#include "json.h"
#include "core/envelope.h"

#include <stdlib.h>

#define BYTES_MAX 1024

static const uint8_t key_bytes[PHI_KEY_SIZE] = "a key of the unit tests: 32 byt";
static const uint8_t dek_uuid[PHI_UUID_SIZE] = "dek uuid 16 byt";
static const uint8_t column_uuid[PHI_UUID_SIZE] = "column uuid 16 ";
static const uint8_t nonce[PHI_XAES_NONCE_SIZE] = "nonce, nonce, nonce, no";

/* The three layouts. */
static const struct
{
	const char *name;
	phi_header header;
	size_t nonce_size;
	size_t front; /* header and stored nonce */
	size_t overhead;
} layouts[] = {
	{"unbound", {.dek_id = 77}, 24, 29, PHI_ENVELOPE_UNBOUND},
	{"bound",
	 {.bound = true,
	  .dek_id = 77,
	  .column_id = 0x0102,
	  .label_set = 0x0304,
	  .subject_token = 0x0506070809101112u,
	  .row_token = 0x1314151617181920u},
	 12,
	 37,
	 PHI_ENVELOPE_BOUND},
	{"searchable",
	 {.bound = true,
	  .searchable = true,
	  .dek_id = 77,
	  .column_id = 0xFFFF,
	  .label_set = 0,
	  .subject_token = UINT64_MAX,
	  .row_token = 0,
	  .search_tag = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
	 12,
	 49,
	 PHI_ENVELOPE_SEARCHABLE},
};

#define LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

static phi_data_key key;

static bool
same_header(const phi_header *a, const phi_header *b)
{
	return a->bound == b->bound && a->searchable == b->searchable && a->dek_id == b->dek_id &&
		   a->column_id == b->column_id && a->label_set == b->label_set &&
		   a->subject_token == b->subject_token && a->row_token == b->row_token &&
		   memcmp(a->search_tag, b->search_tag, sizeof(a->search_tag)) == 0;
}

static phi_status
seal(size_t layout, phi_bytes plain, phi_buffer *out)
{
	return phi_envelope_seal(&key, &layouts[layout].header, column_uuid, nonce,
							 layouts[layout].nonce_size, plain, out);
}

static void
check_round_trip(size_t layout, size_t size)
{
	const phi_header *header = &layouts[layout].header;
	size_t total = size + layouts[layout].overhead;
	uint8_t *plain = malloc(size + 1);
	uint8_t *sealed = malloc(total);
	uint8_t *opened = malloc(size + 1);
	char *text = malloc(phi_envelope_text_size(total));
	phi_buffer out = {sealed, 9, total};
	phi_buffer back = {opened, 9, size};
	phi_buffer read = {sealed, 0, total};
	phi_header parsed;
	size_t i;

	CHECK_CASE("%s, %zu bytes: sealed, parsed, opened, and through text", layouts[layout].name,
			   size);
	CHECK_OR_RETURN(plain != NULL && sealed != NULL && opened != NULL && text != NULL);
	for (i = 0; i < size; i++)
		plain[i] = (uint8_t) (i * 7 + i / 256);
	CHECK_INT(phi_envelope_size(header, size), total);
	CHECK_INT(phi_envelope_plain_size(header, total), size);
	CHECK_INT(seal(layout, phi_bytes_of(plain, size), &out), PHI_OK);
	CHECK_INT(out.size, total);
	CHECK_INT(phi_header_parse(phi_bytes_of(sealed, total), total, &parsed), PHI_OK);
	CHECK(same_header(&parsed, header));
	phi_envelope_to_text(phi_bytes_of(sealed, total), text);
	memset(sealed, 0, total);
	CHECK_INT(phi_envelope_from_text(text, phi_envelope_text_size(total), &read), PHI_OK);
	CHECK_INT(read.size, total);
	CHECK_INT(phi_envelope_open(&key, phi_bytes_of(sealed, total), column_uuid, &back), PHI_OK);
	CHECK_INT(back.size, size);
	CHECK_BYTES(opened, plain, size);

	/* One byte too little room, at either end. */
	out.capacity = total - 1;
	CHECK_INT(seal(layout, phi_bytes_of(plain, size), &out), PHI_ERR_SPACE);
	CHECK_INT(out.size, 0);
	if (size > 0)
	{
		back.capacity = size - 1;
		CHECK_INT(phi_envelope_open(&key, phi_bytes_of(sealed, total), column_uuid, &back),
				  PHI_ERR_SPACE);
		CHECK_INT(back.size, 0);
	}
	free(plain);
	free(sealed);
	free(opened);
	free(text);
}

/* A sealed value of 31 bytes, for what is to be broken. */
static phi_bytes
sealed_sample(size_t layout, uint8_t sealed[BYTES_MAX])
{
	phi_buffer out = {sealed, 0, BYTES_MAX};

	CHECK_INT(seal(layout, phi_bytes_of("thirty-one bytes of plain text.", 31), &out), PHI_OK);
	return phi_bytes_of(sealed, out.size);
}

static void
check_bit_flips(size_t layout)
{
	uint8_t sealed[BYTES_MAX], opened[BYTES_MAX];
	phi_bytes envelope;
	size_t bit, opens = 0, malformed = 0;

	CHECK_CASE("%s: no flipped bit opens, nor any other size", layouts[layout].name);
	envelope = sealed_sample(layout, sealed);
	for (bit = 0; bit < 8 * envelope.size; bit++)
	{
		phi_buffer back = {opened, 9, sizeof(opened)};
		phi_status status;

		sealed[bit / 8] ^= (uint8_t) (1 << bit % 8);
		status = phi_envelope_open(&key, envelope, column_uuid, &back);
		sealed[bit / 8] ^= (uint8_t) (1 << bit % 8);
		opens += status == PHI_OK || back.size != 0;
		malformed += status == PHI_ERR_FORMAT || status == PHI_ERR_VERSION;
		CHECK(status == PHI_ERR_AUTH || bit < 8);
	}
	CHECK_INT(opens, 0);
	CHECK(malformed >= 6); /* format nibble and flags 4 and 8 at least */
	for (bit = 0; bit <= envelope.size + 1; bit++)
	{
		phi_buffer back = {opened, 9, sizeof(opened)};
		phi_status status = phi_envelope_open(&key, phi_bytes_of(sealed, bit), column_uuid, &back);

		if (bit == envelope.size)
			CHECK_INT(status, PHI_OK);
		else
			CHECK_INT(status, bit < layouts[layout].overhead ? PHI_ERR_FORMAT : PHI_ERR_AUTH);
	}
}

static void
check_wrong_place(size_t layout)
{
	uint8_t sealed[BYTES_MAX], opened[BYTES_MAX], other[PHI_UUID_SIZE];
	phi_buffer back = {opened, 0, sizeof(opened)};
	phi_bytes envelope;
	phi_data_key other_key = {.id = key.id};
	bool bound = layouts[layout].header.bound;

	CHECK_CASE("%s: opens under no other key, DEK or column", layouts[layout].name);
	envelope = sealed_sample(layout, sealed);
	memcpy(other, column_uuid, sizeof(other));
	other[15] ^= 1;
	CHECK_INT(phi_envelope_open(&key, envelope, other, &back), bound ? PHI_ERR_AUTH : PHI_OK);
	CHECK_INT(phi_envelope_open(&key, envelope, NULL, &back), bound ? PHI_ERR_ARGUMENT : PHI_OK);
	key.uuid[0] ^= 1;
	CHECK_INT(phi_envelope_open(&key, envelope, column_uuid, &back), PHI_ERR_AUTH);
	key.uuid[0] ^= 1;
	key.id ^= 1;
	CHECK_INT(phi_envelope_open(&key, envelope, column_uuid, &back), PHI_ERR_AUTH);
	key.id ^= 1;
	memcpy(other_key.uuid, dek_uuid, sizeof(dek_uuid));
	CHECK_OR_RETURN(phi_xaes_init(&other_key.xaes,
								  (const uint8_t *) "another key of 32 bytes, to fail") == PHI_OK);
	CHECK_INT(phi_envelope_open(&other_key, envelope, column_uuid, &back), PHI_ERR_AUTH);
	phi_xaes_clear(&other_key.xaes);
	CHECK_INT(phi_envelope_open(&key, envelope, column_uuid, &back), PHI_OK);
}

/* What the writer refuses to write. */
static void
check_writer(void)
{
	uint8_t storage[BYTES_MAX];
	phi_buffer out = {storage, 0, sizeof(storage)};
	phi_header header;
	phi_bytes plain = {key_bytes, 8};
	size_t i;

	CHECK_CASE("seal refuses a nonce of the wrong size and a missing column");
	for (i = 0; i < LAYOUTS; i++)
	{
		const phi_header *good = &layouts[i].header;

		CHECK_INT(phi_envelope_seal(&key, good, column_uuid, nonce, 36 - layouts[i].nonce_size,
									plain, &out),
				  PHI_ERR_ARGUMENT);
		CHECK_INT(phi_envelope_seal(&key, good, NULL, nonce, layouts[i].nonce_size, plain, &out),
				  good->bound ? PHI_ERR_ARGUMENT : PHI_OK);
	}

#define REFUSES(which, change)                                                                    \
	do                                                                                            \
	{                                                                                             \
		header = layouts[which].header;                                                           \
		change;                                                                                   \
		CHECK_INT(phi_envelope_seal(&key, &header, column_uuid, nonce, layouts[which].nonce_size, \
									plain, &out),                                                 \
				  PHI_ERR_ARGUMENT);                                                              \
		CHECK_INT(out.size, 0);                                                                   \
	} while (0)

	CHECK_CASE("seal refuses a header that has no encoding, or another key's");
	REFUSES(0, header.dek_id = 0);
	REFUSES(0, header.dek_id = 78);
	REFUSES(0, header.searchable = true);
	REFUSES(0, header.column_id = 1);
	REFUSES(0, header.label_set = 1);
	REFUSES(0, header.subject_token = 1);
	REFUSES(0, header.row_token = 1);
	REFUSES(0, header.search_tag[11] = 1);
	REFUSES(1, header.search_tag[0] = 1);
	REFUSES(1, header.dek_id = 0);
#undef REFUSES

	CHECK_CASE("sizes that cannot be are refused, not wrapped");
	CHECK(phi_envelope_size(&layouts[0].header, SIZE_MAX) == SIZE_MAX);
	CHECK(phi_envelope_size(&layouts[2].header, SIZE_MAX - PHI_ENVELOPE_SEARCHABLE + 1) ==
		  SIZE_MAX);
	CHECK_INT(phi_envelope_plain_size(&layouts[0].header, PHI_ENVELOPE_UNBOUND - 1), 0);
	CHECK_INT(seal(0, phi_bytes_of(key_bytes, SIZE_MAX), &out), PHI_ERR_SPACE);
}

static void
check_parser(void)
{
	uint8_t sealed[BYTES_MAX];
	phi_header header;
	phi_bytes envelope;
	unsigned first;

	CHECK_CASE("the first byte: three values of 256 parse");
	envelope = sealed_sample(2, sealed);
	for (first = 0; first < 256; first++)
	{
		phi_status expected = first >> 4 != 1 ? PHI_ERR_VERSION : PHI_ERR_FORMAT;

		if (first == 0x10 || first == 0x11 || first == 0x13)
			expected = PHI_OK;
		sealed[0] = (uint8_t) first;
		CHECK_INT(phi_header_parse(envelope, envelope.size, &header), expected);
		CHECK_INT(header.dek_id, expected == PHI_OK ? 77 : 0);
	}

	CHECK_CASE("dek_id 0 does not parse");
	sealed[0] = 0x13;
	sealed[4] = 0;
	CHECK_INT(phi_header_parse(envelope, envelope.size, &header), PHI_ERR_FORMAT);

	CHECK_CASE("a prefix must be long enough and no longer than the whole");
	envelope = sealed_sample(2, sealed);
	CHECK_INT(phi_header_parse(phi_bytes_of(sealed, PHI_HEADER_MAX), 1000000, &header), PHI_OK);
	CHECK(same_header(&header, &layouts[2].header));
	CHECK_INT(phi_header_parse(phi_bytes_of(sealed, PHI_HEADER_MAX - 1), envelope.size, &header),
			  PHI_ERR_ARGUMENT);
	CHECK_INT(phi_header_parse(phi_bytes_of(sealed, PHI_HEADER_MAX), PHI_HEADER_MAX - 1, &header),
			  PHI_ERR_ARGUMENT);
	CHECK_INT(phi_header_parse(phi_bytes_of(sealed, 0), 0, &header), PHI_ERR_FORMAT);
}

/* Fill the header that a vector describes; the size of the stored nonce. */
static size_t
load_header(const json *vector, phi_header *header, uint8_t vector_nonce[PHI_XAES_NONCE_SIZE])
{
	uint8_t token[8];

	memset(header, 0, sizeof(*header));
	header->bound = json_number(json_get(vector, "bound"));
	header->searchable = json_number(json_get(vector, "searchable"));
	header->dek_id = (uint32_t) json_number(json_get(vector, "dek_id"));
	header->column_id = (uint16_t) json_number(json_get(vector, "column_id"));
	header->label_set = (uint16_t) json_number(json_get(vector, "label_set"));
	CHECK_INT(json_hex(vector, "subject_token", token, 8), 8);
	header->subject_token = phi_get_u64(token);
	CHECK_INT(json_hex(vector, "row_token", token, 8), 8);
	header->row_token = phi_get_u64(token);
	json_hex(vector, "search_tag", header->search_tag, sizeof(header->search_tag));
	return json_hex(vector, "nonce", vector_nonce, PHI_XAES_NONCE_SIZE);
}

static void
check_vector(const json *vector)
{
	uint8_t bytes[BYTES_MAX], expected[BYTES_MAX], got[BYTES_MAX], column[PHI_UUID_SIZE];
	uint8_t vector_nonce[PHI_XAES_NONCE_SIZE], full[PHI_XAES_NONCE_SIZE];
	char text[2 * BYTES_MAX] = {0};
	phi_buffer out = {got, 0, sizeof(got)};
	phi_data_key vector_key;
	phi_header header, parsed;
	size_t nonce_size = load_header(vector, &header, vector_nonce);
	size_t size, total;

	CHECK_OR_RETURN(json_hex(vector, "key", bytes, PHI_KEY_SIZE) == PHI_KEY_SIZE);
	CHECK_OR_RETURN(json_hex(vector, "dek_uuid", vector_key.uuid, 16) == 16);
	CHECK_OR_RETURN(phi_xaes_init(&vector_key.xaes, bytes) == PHI_OK);
	vector_key.id = header.dek_id;
	json_hex(vector, "column_uuid", column, sizeof(column));

	CHECK_INT(phi_header_write(&header, got, &size), PHI_OK);
	CHECK_INT(json_hex(vector, "header", expected, BYTES_MAX), size);
	CHECK_BYTES(got, expected, size);
	CHECK_INT(json_hex(vector, "xaes_nonce", full, sizeof(full)), sizeof(full));
	CHECK_INT(json_hex(vector, "message_key", expected, BYTES_MAX), PHI_KEY_SIZE);
	CHECK_INT(phi_xaes_derive(&vector_key.xaes, full, got), PHI_OK);
	CHECK_BYTES(got, expected, PHI_KEY_SIZE);

	size = json_hex(vector, "plaintext", bytes, BYTES_MAX);
	total = json_hex(vector, "envelope", expected, BYTES_MAX);
	CHECK_OR_RETURN(size != SIZE_MAX && total != SIZE_MAX);
	CHECK_INT(phi_envelope_seal(&vector_key, &header, column, vector_nonce, nonce_size,
								phi_bytes_of(bytes, size), &out),
			  PHI_OK);
	CHECK_INT(out.size, total);
	CHECK_BYTES(got, expected, total);
	phi_envelope_to_text(phi_bytes_of(expected, total), text);
	CHECK_TEXT(text, json_text(json_get(vector, "text")));
	CHECK_INT(phi_envelope_from_text(text, strlen(text), &out), PHI_OK);
	CHECK_INT(phi_header_parse(phi_bytes_of(got, out.size), out.size, &parsed), PHI_OK);
	CHECK(same_header(&parsed, &header));
	CHECK_INT(phi_envelope_open(&vector_key, phi_bytes_of(expected, total), column, &out), PHI_OK);
	CHECK_INT(out.size, size);
	CHECK_BYTES(got, bytes, size);
	phi_xaes_clear(&vector_key.xaes);
}

static void
check_vectors(void)
{
	json *file = json_load_own("envelope.json");
	const json *item;

	CHECK_CASE("the vectors are there");
	CHECK(json_count(json_get(file, "vectors")) >= 8);
	CHECK(json_count(json_get(file, "reject")) >= 20);
	for (item = json_at(json_get(file, "vectors"), 0); item != NULL; item = item->next)
	{
		CHECK_CASE("vector: %s", json_text(json_get(item, "name")));
		check_vector(item);
	}
	for (item = json_at(json_get(file, "reject"), 0); item != NULL; item = item->next)
	{
		const json *text = json_get(item, "text");
		uint8_t storage[BYTES_MAX];
		phi_buffer out = {storage, 9, sizeof(storage)};

		CHECK_CASE("refused: %s", json_text(json_get(item, "why")));
		CHECK_OR_RETURN(text != NULL);
		CHECK_INT(phi_envelope_from_text(text->text, text->text_size, &out), PHI_ERR_FORMAT);
		CHECK_INT(out.size, 0);
	}
	json_free(file);
}

static void
check_looks(void)
{
	CHECK_CASE("what looks sealed begins with the prefix");
	CHECK(phi_envelope_text_looks_sealed("phi:1:", 6));
	CHECK(phi_envelope_text_looks_sealed("phi:1:anything", 14));
	CHECK(!phi_envelope_text_looks_sealed("phi:1:", 5));
	CHECK(!phi_envelope_text_looks_sealed(" phi:1:", 7));
	CHECK(!phi_envelope_text_looks_sealed("Phi:1:", 6));
	CHECK(!phi_envelope_text_looks_sealed(NULL, 0));
}

int
main(void)
{
	static const size_t sizes[] = {0, 1, 31, 1000000};
	size_t i, j;

	key.id = 77;
	memcpy(key.uuid, dek_uuid, sizeof(dek_uuid));
	if (phi_xaes_init(&key.xaes, key_bytes) != PHI_OK)
		return 1;
	check_vectors();
	for (i = 0; i < LAYOUTS; i++)
	{
		for (j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++)
			check_round_trip(i, sizes[j]);
		check_bit_flips(i);
		check_wrong_place(i);
	}
	check_writer();
	check_parser();
	check_looks();
	phi_xaes_clear(&key.xaes);
	return check_done();
}
