/*-------------------------------------------------------------------------
 * envelope.c
 *		Sealed values, format 1: header, nonce, AAD, text form.
 *
 * A header has exactly one encoding and an encoding exactly one header:
 * fields that a layout does not carry are zero in the struct, for the writer
 * and from the parser alike.
 *-------------------------------------------------------------------------
 */
#include "envelope.h"

#include <string.h>

#include <openssl/crypto.h>

#define FLAG_BOUND      0x1
#define FLAG_SEARCHABLE 0x2
#define FLAGS_MASK      0x0F

#define HEADER_UNBOUND    5
#define HEADER_BOUND      25
#define HEADER_SEARCHABLE PHI_HEADER_MAX

#define LABEL_SIZE  (sizeof(PHI_ENVELOPE_LABEL) - 1)
#define PREFIX_SIZE (sizeof(PHI_ENVELOPE_TEXT_PREFIX) - 1)
#define AAD_MAX     (LABEL_SIZE + PHI_HEADER_MAX + 2 * PHI_UUID_SIZE)

/* Bytes before the nonce. */
static size_t
header_size(const phi_header *header)
{
	if (!header->bound)
		return HEADER_UNBOUND;
	return header->searchable ? HEADER_SEARCHABLE : HEADER_BOUND;
}

/* Bytes of nonce that the envelope itself holds. */
static size_t
stored_nonce_size(const phi_header *header)
{
	return header->bound ? PHI_NONCE_TAIL_SIZE : PHI_XAES_NONCE_SIZE;
}

/* Bytes that are not ciphertext. */
static size_t
overhead(const phi_header *header)
{
	return header_size(header) + stored_nonce_size(header) + PHI_XAES_TAG_SIZE;
}

/* Does an encoding carry every field that is set, and is the key named? */
static bool
header_is_encodable(const phi_header *header)
{
	static const uint8_t no_tag[PHI_SEARCH_TAG_SIZE];

	if (header->dek_id == 0 || (header->searchable && !header->bound))
		return false;
	if (!header->searchable && memcmp(header->search_tag, no_tag, sizeof(no_tag)) != 0)
		return false;
	return header->bound || (header->column_id == 0 && header->label_set == 0 &&
							 header->subject_token == 0 && header->row_token == 0);
}

size_t
phi_envelope_size(const phi_header *header, size_t plain_size)
{
	size_t added = overhead(header);

	return plain_size > SIZE_MAX - added ? SIZE_MAX : plain_size + added;
}

size_t
phi_envelope_plain_size(const phi_header *header, size_t total)
{
	size_t added = overhead(header);

	return total < added ? 0 : total - added;
}

phi_status
phi_header_write(const phi_header *header, uint8_t out[PHI_HEADER_MAX], size_t *size)
{
	uint8_t flags = 0;

	if (!header_is_encodable(header))
		return PHI_ERR_ARGUMENT;
	if (header->bound)
		flags |= FLAG_BOUND;
	if (header->searchable)
		flags |= FLAG_SEARCHABLE;
	out[0] = (uint8_t) (PHI_ENVELOPE_FORMAT << 4 | flags);
	phi_put_u32(out + 1, header->dek_id);
	if (header->bound)
	{
		phi_put_u16(out + 5, header->column_id);
		phi_put_u16(out + 7, header->label_set);
		phi_put_u64(out + 9, header->subject_token);
		phi_put_u64(out + 17, header->row_token);
	}
	if (header->searchable)
		memcpy(out + HEADER_BOUND, header->search_tag, PHI_SEARCH_TAG_SIZE);
	*size = header_size(header);
	return PHI_OK;
}

phi_status
phi_header_parse(phi_bytes prefix, size_t total, phi_header *header)
{
	const uint8_t *in = prefix.data;

	memset(header, 0, sizeof(*header));
	if (prefix.size > total || (prefix.size < total && prefix.size < PHI_HEADER_MAX))
		return PHI_ERR_ARGUMENT;
	if (total == 0)
		return PHI_ERR_FORMAT;
	if (in[0] >> 4 != PHI_ENVELOPE_FORMAT)
		return PHI_ERR_VERSION;
	if ((in[0] & FLAGS_MASK & ~(FLAG_BOUND | FLAG_SEARCHABLE)) != 0 ||
		(in[0] & FLAGS_MASK) == FLAG_SEARCHABLE)
		return PHI_ERR_FORMAT;
	header->bound = (in[0] & FLAG_BOUND) != 0;
	header->searchable = (in[0] & FLAG_SEARCHABLE) != 0;
	if (total < overhead(header) || phi_get_u32(in + 1) == 0)
	{
		memset(header, 0, sizeof(*header));
		return PHI_ERR_FORMAT;
	}
	header->dek_id = phi_get_u32(in + 1);
	if (header->bound)
	{
		header->column_id = phi_get_u16(in + 5);
		header->label_set = phi_get_u16(in + 7);
		header->subject_token = phi_get_u64(in + 9);
		header->row_token = phi_get_u64(in + 17);
	}
	if (header->searchable)
		memcpy(header->search_tag, in + HEADER_BOUND, PHI_SEARCH_TAG_SIZE);
	return PHI_OK;
}

/* The full XAES nonce of an envelope whose header and stored nonce are in place. */
static void
full_nonce(const phi_header *header, const uint8_t *envelope, uint8_t nonce[PHI_XAES_NONCE_SIZE])
{
	size_t stored = stored_nonce_size(header);

	if (header->bound)
		memcpy(nonce, envelope + HEADER_UNBOUND, PHI_XAES_NONCE_SIZE - PHI_NONCE_TAIL_SIZE);
	memcpy(nonce + PHI_XAES_NONCE_SIZE - stored, envelope + header_size(header), stored);
}

/* Compose the AAD of an envelope whose header is in place; its size. */
static size_t
compose_aad(const phi_data_key *key, const phi_header *header, const uint8_t *envelope,
			const uint8_t *column_uuid, uint8_t aad[AAD_MAX])
{
	size_t size = header_size(header);
	uint8_t *next = aad;

	memcpy(next, PHI_ENVELOPE_LABEL, LABEL_SIZE);
	next += LABEL_SIZE;
	memcpy(next, envelope, size);
	next += size;
	memcpy(next, key->uuid, PHI_UUID_SIZE);
	next += PHI_UUID_SIZE;
	if (header->bound)
		memcpy(next, column_uuid, PHI_UUID_SIZE);
	else
		memset(next, 0, PHI_UUID_SIZE);
	return LABEL_SIZE + size + 2 * PHI_UUID_SIZE;
}

phi_status
phi_envelope_seal(phi_data_key *key, const phi_header *header, const uint8_t *column_uuid,
				  const uint8_t *nonce, size_t nonce_size, phi_bytes plain, phi_buffer *out)
{
	uint8_t head[PHI_HEADER_MAX];
	uint8_t xaes_nonce[PHI_XAES_NONCE_SIZE];
	uint8_t aad[AAD_MAX];
	size_t head_size, aad_size;
	size_t total = phi_envelope_size(header, plain.size);
	phi_status status;

	out->size = 0;
	status = phi_header_write(header, head, &head_size);
	if (status != PHI_OK)
		return status;
	if (header->dek_id != key->id || nonce_size != stored_nonce_size(header) ||
		(header->bound && column_uuid == NULL))
		return PHI_ERR_ARGUMENT;
	if (total > out->capacity)
		return PHI_ERR_SPACE;
	memcpy(out->data, head, head_size);
	memcpy(out->data + head_size, nonce, nonce_size);
	full_nonce(header, out->data, xaes_nonce);
	aad_size = compose_aad(key, header, out->data, column_uuid, aad);
	status = phi_xaes_seal(&key->xaes, xaes_nonce, phi_bytes_of(aad, aad_size), plain,
						   out->data + head_size + nonce_size);
	if (status == PHI_OK)
		out->size = total;
	return status;
}

phi_status
phi_envelope_open(phi_data_key *key, phi_bytes envelope, const uint8_t *column_uuid,
				  phi_buffer *out)
{
	phi_header header;
	uint8_t nonce[PHI_XAES_NONCE_SIZE];
	uint8_t aad[AAD_MAX];
	size_t front, aad_size;
	phi_status status;

	out->size = 0;
	status = phi_header_parse(envelope, envelope.size, &header);
	if (status != PHI_OK)
		return status;
	if (header.bound && column_uuid == NULL)
		return PHI_ERR_ARGUMENT;
	if (out->capacity < phi_envelope_plain_size(&header, envelope.size))
		return PHI_ERR_SPACE;
	if (header.dek_id != key->id)
		return PHI_ERR_AUTH;
	front = header_size(&header) + stored_nonce_size(&header);
	full_nonce(&header, envelope.data, nonce);
	aad_size = compose_aad(key, &header, envelope.data, column_uuid, aad);
	status = phi_xaes_open(&key->xaes, nonce, phi_bytes_of(aad, aad_size),
						   phi_bytes_of(envelope.data + front, envelope.size - front), out->data);
	if (status == PHI_OK)
		out->size = phi_envelope_plain_size(&header, envelope.size);
	return status;
}

size_t
phi_envelope_text_size(size_t envelope_size)
{
	return PREFIX_SIZE + phi_base64url_size(envelope_size);
}

void
phi_envelope_to_text(phi_bytes envelope, char *out)
{
	memcpy(out, PHI_ENVELOPE_TEXT_PREFIX, PREFIX_SIZE);
	phi_base64url_encode(envelope, out + PREFIX_SIZE);
}

bool
phi_envelope_text_looks_sealed(const char *text, size_t size)
{
	return size >= PREFIX_SIZE && memcmp(text, PHI_ENVELOPE_TEXT_PREFIX, PREFIX_SIZE) == 0;
}

phi_status
phi_envelope_from_text(const char *text, size_t size, phi_buffer *out)
{
	phi_header header;
	phi_status status;

	out->size = 0;
	if (!phi_envelope_text_looks_sealed(text, size))
		return PHI_ERR_FORMAT;
	status = phi_base64url_decode(text + PREFIX_SIZE, size - PREFIX_SIZE, out);
	if (status != PHI_OK)
		return status;
	if (phi_header_parse(phi_bytes_of(out->data, out->size), out->size, &header) == PHI_OK)
		return PHI_OK;
	out->size = 0;
	return PHI_ERR_FORMAT;
}
