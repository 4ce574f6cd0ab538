/*-------------------------------------------------------------------------
 * bytes.h
 *		Borrowed byte ranges, caller-owned buffers, big-endian integers,
 *		hexadecimal, base64url (RFC 4648 section 5, without padding) and base64
 *		(section 4, with it).
 *
 * A phi_bytes never owns what it points to.  A phi_buffer is storage of the
 * caller with a fill level; nothing here grows it.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_BYTES_H
#define PHI_CORE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef struct phi_bytes
{
	const uint8_t *data;
	size_t size;
} phi_bytes;

typedef struct phi_buffer
{
	uint8_t *data;
	size_t size;     /* bytes used */
	size_t capacity; /* bytes available in all */
} phi_buffer;

static inline phi_bytes
phi_bytes_of(const void *data, size_t size)
{
	phi_bytes bytes = {(const uint8_t *) data, size};

	return bytes;
}

static inline void
phi_put_u16(uint8_t out[2], uint16_t value)
{
	out[0] = (uint8_t) (value >> 8);
	out[1] = (uint8_t) value;
}

static inline void
phi_put_u32(uint8_t out[4], uint32_t value)
{
	phi_put_u16(out, (uint16_t) (value >> 16));
	phi_put_u16(out + 2, (uint16_t) value);
}

static inline void
phi_put_u64(uint8_t out[8], uint64_t value)
{
	phi_put_u32(out, (uint32_t) (value >> 32));
	phi_put_u32(out + 4, (uint32_t) value);
}

static inline uint16_t
phi_get_u16(const uint8_t in[2])
{
	return (uint16_t) (((uint16_t) in[0] << 8) | in[1]);
}

static inline uint32_t
phi_get_u32(const uint8_t in[4])
{
	return ((uint32_t) phi_get_u16(in) << 16) | phi_get_u16(in + 2);
}

static inline uint64_t
phi_get_u64(const uint8_t in[8])
{
	return ((uint64_t) phi_get_u32(in) << 32) | phi_get_u32(in + 4);
}

/* Append to a buffer; PHI_ERR_SPACE leaves it as it was. */
extern phi_status phi_buffer_append(phi_buffer *buffer, phi_bytes bytes) PHI_CHECKED;

/* base64url without padding: the exact encoded size of n bytes. */
static inline size_t
phi_base64url_size(size_t n)
{
	return n / 3 * 4 + (n % 3 ? n % 3 + 1 : 0);
}

/* Write phi_base64url_size(in.size) characters to out; no terminator. */
extern void phi_base64url_encode(phi_bytes in, char *out);

/*
 * Decode exactly one canonical encoding: no padding, no white space, unused
 * bits zero, else PHI_ERR_FORMAT.  out->capacity must hold the decoded bytes, 3/4
 * of size rounded down.  out->size is 0 on failure.
 */
extern phi_status phi_base64url_decode(const char *text, size_t size, phi_buffer *out) PHI_CHECKED;

/* base64 with padding: the exact encoded size of n bytes. */
static inline size_t
phi_base64_size(size_t n)
{
	return (n + 2) / 3 * 4;
}

/* Write phi_base64_size(in.size) characters to out; no terminator. */
extern void phi_base64_encode(phi_bytes in, char *out);

/* As phi_base64url_decode, of the one canonical text with its padding. */
extern phi_status phi_base64_decode(const char *text, size_t size, phi_buffer *out) PHI_CHECKED;

/*
 * Decode exactly 2 * size hexadecimal digits of either case to out, in time that
 * does not depend on them.  On PHI_ERR_FORMAT out holds nothing of meaning.
 */
extern phi_status phi_hex_decode(const char *text, size_t digits, uint8_t *out,
								 size_t size) PHI_CHECKED;

#endif /* PHI_CORE_BYTES_H */
