/*-------------------------------------------------------------------------
 * envelope.h
 *		The sealed value, format 1 (docs/format.md is its specification).
 *
 *		bound to a row                               unbound
 *		0   1  0x1 in the high nibble; flags:        0   1  as left, flags 0
 *		       1 bound, 2 search tag
 *		1   4  dek_id, big-endian                    1   4  dek_id
 *		5   2  column_id                             5   24 nonce
 *		7   2  label_set                             29  n  ciphertext
 *		9   8  subject token                         ..  16 tag
 *		17  8  row token, 0 without a primary key
 *		[25 12 search tag]
 *		..  12 nonce tail
 *		..  n  ciphertext
 *		..  16 GCM tag
 *
 * XAES nonce of a bound value: bytes 5..16 and the nonce tail.
 * AAD: PHI_ENVELOPE_LABEL, every byte before the nonce (tail), DEK uuid,
 * column uuid (16 zero bytes for an unbound value).
 *
 * There is exactly one encoding of a header: a parser accepts nothing that
 * the writer would not produce.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_ENVELOPE_H
#define PHI_CORE_ENVELOPE_H

#include "bytes.h"
#include "xaes.h"

#define PHI_ENVELOPE_FORMAT      1
#define PHI_ENVELOPE_LABEL       "phi_guard envelope 1" /* AAD prefix, without its NUL */
#define PHI_ENVELOPE_TEXT_PREFIX "phi:1:"
#define PHI_UUID_SIZE            16
#define PHI_SEARCH_TAG_SIZE      12
#define PHI_SEARCH_TAG_DEAD      0 /* as the generation: a tag that equals none */
#define PHI_NONCE_TAIL_SIZE      12
#define PHI_ENVELOPE_UNBOUND     45 /* overhead in bytes */
#define PHI_ENVELOPE_BOUND       53
#define PHI_ENVELOPE_SEARCHABLE  65

typedef struct phi_header
{
	bool bound;
	bool searchable; /* only with bound */
	uint32_t dek_id; /* never 0 */
	uint16_t column_id;
	uint16_t label_set;
	uint64_t subject_token;
	uint64_t row_token;
	uint8_t search_tag[PHI_SEARCH_TAG_SIZE];
} phi_header;

/* A data key made ready for use; the caller owns it (keyring/ does). */
typedef struct phi_data_key
{
	uint32_t id;
	uint8_t uuid[PHI_UUID_SIZE];
	phi_xaes xaes;
} phi_data_key;

/* Bytes of an envelope with this header around plain_size bytes; SIZE_MAX if too many to count. */
extern size_t phi_envelope_size(const phi_header *header, size_t plain_size);

/* Bytes of header before the nonce: enough of the front of a value to parse it. */
#define PHI_HEADER_MAX 37

/*
 * Write a header and set *size to its bytes: 5, 25 or 37.  PHI_ERR_ARGUMENT
 * where a field is set that the layout does not carry (an unbound header with a
 * subject token, a tag without searchable), or where dek_id is 0.
 */
extern phi_status phi_header_write(const phi_header *header, uint8_t out[PHI_HEADER_MAX],
								   size_t *size) PHI_CHECKED;

/*
 * Parse the header of an envelope.  prefix may be only the front of the value
 * (PHI_HEADER_MAX bytes at least, or the whole when shorter); total is the
 * whole value's size in bytes.  PHI_ERR_VERSION for another format nibble,
 * PHI_ERR_FORMAT for what the writer never writes; *header is then all zero.
 * PHI_ERR_ARGUMENT when prefix is too short for total.
 */
extern phi_status phi_header_parse(phi_bytes prefix, size_t total, phi_header *header) PHI_CHECKED;

/*
 * Seal plain under key.  nonce: 24 random bytes for an unbound value, 12 for a
 * bound one (nonce_size says which was given).  column_uuid is ignored for an
 * unbound value and may be NULL then.  out->capacity must be at least
 * phi_envelope_size(); out->size is set to it, or to 0 on failure.  out may not
 * overlap plain.  PHI_ERR_ARGUMENT also when header->dek_id is not key->id.
 */
extern phi_status phi_envelope_seal(phi_data_key *key, const phi_header *header,
									const uint8_t *column_uuid, const uint8_t *nonce,
									size_t nonce_size, phi_bytes plain,
									phi_buffer *out) PHI_CHECKED;

/*
 * Open an envelope whose header was parsed.  out->capacity must be at least
 * envelope.size less the overhead.  PHI_ERR_AUTH for every cause: another key,
 * DEK or column, any altered byte.  (What does not parse has the status of
 * phi_header_parse, as its structure is no secret.)
 */
extern phi_status phi_envelope_open(phi_data_key *key, phi_bytes envelope,
									const uint8_t *column_uuid, phi_buffer *out) PHI_CHECKED;

/* Size of the plaintext inside an envelope of this header and total size. */
extern size_t phi_envelope_plain_size(const phi_header *header, size_t total);

/* Text form phi:1:base64url: its size, writing it (neither counts a terminator), reading it. */
extern size_t phi_envelope_text_size(size_t envelope_size);
extern void phi_envelope_to_text(phi_bytes envelope, char *out);
extern bool phi_envelope_text_looks_sealed(const char *text, size_t size);
/*
 * Decodes and parses; PHI_ERR_FORMAT unless it is a well-formed envelope.
 * out->capacity: 3/4 of size suffices.
 */
extern phi_status phi_envelope_from_text(const char *text, size_t size,
										 phi_buffer *out) PHI_CHECKED;

#endif /* PHI_CORE_ENVELOPE_H */
