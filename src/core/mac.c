/*-------------------------------------------------------------------------
 * mac.c
 *		SHA-256, HMAC-SHA-256, HKDF-SHA-256 and SipHash-2-4.
 *
 * SHA-256 goes through libcrypto's SHA256_Init, _Update and _Final, which
 * OpenSSL 3 marks deprecated: 33 bytes cost 50 ns so, 270 ns through SHA256() or
 * EVP_Digest, which fetch the algorithm for each call, and HMAC() costs 930 ns.
 * A fetched algorithm would have to live in a global.  They do not go through a
 * provider, so a FIPS provider does not cover them.  HMAC and HKDF are built on
 * them here; every context is wiped.
 *-------------------------------------------------------------------------
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "mac.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#define SHA256_BLOCK 64

/* Feed parts to a context that is begun, and take the digest. */
static bool
finish_parts(SHA256_CTX *context, const phi_bytes *parts, size_t count, uint8_t *out)
{
	size_t i;

	for (i = 0; i < count; i++)
	{
		if (parts[i].size > 0 && SHA256_Update(context, parts[i].data, parts[i].size) != 1)
			return false;
	}
	return SHA256_Final(out, context) == 1;
}

phi_status
phi_sha256_parts(const phi_bytes *parts, size_t count, uint8_t out[PHI_SHA256_SIZE])
{
	SHA256_CTX context;
	bool done = SHA256_Init(&context) == 1 && finish_parts(&context, parts, count, out);

	OPENSSL_cleanse(&context, sizeof(context));
	return done ? PHI_OK : PHI_ERR_CRYPTO;
}

phi_status
phi_sha256(phi_bytes data, uint8_t out[PHI_SHA256_SIZE])
{
	return phi_sha256_parts(&data, 1, out);
}

/* One of HMAC's two hashes: of the key block with each byte xored by pad, then the parts. */
static bool
keyed_hash(const uint8_t block[SHA256_BLOCK], uint8_t pad, const phi_bytes *parts, size_t count,
		   uint8_t *out)
{
	SHA256_CTX context;
	uint8_t padded[SHA256_BLOCK];
	bool done;
	size_t i;

	for (i = 0; i < SHA256_BLOCK; i++)
		padded[i] = block[i] ^ pad;
	done = SHA256_Init(&context) == 1 && SHA256_Update(&context, padded, SHA256_BLOCK) == 1 &&
		   finish_parts(&context, parts, count, out);
	OPENSSL_cleanse(padded, sizeof(padded));
	OPENSSL_cleanse(&context, sizeof(context));
	return done;
}

/* HMAC (RFC 2104) of parts laid end to end; out may be where a part points to. */
static phi_status
hmac_parts(phi_bytes key, const phi_bytes *parts, size_t count, uint8_t out[PHI_SHA256_SIZE])
{
	uint8_t block[SHA256_BLOCK] = {0};
	uint8_t inner[PHI_SHA256_SIZE];
	phi_bytes inner_part = {inner, sizeof(inner)};
	phi_status status = PHI_OK;

	if (key.size > SHA256_BLOCK)
		status = phi_sha256(key, block);
	else if (key.size > 0)
		memcpy(block, key.data, key.size);
	if (status == PHI_OK && !(keyed_hash(block, 0x36, parts, count, inner) &&
							  keyed_hash(block, 0x5c, &inner_part, 1, out)))
		status = PHI_ERR_CRYPTO;
	OPENSSL_cleanse(block, sizeof(block));
	OPENSSL_cleanse(inner, sizeof(inner));
	return status;
}

phi_status
phi_hmac_sha256(phi_bytes key, phi_bytes data, uint8_t out[PHI_SHA256_SIZE])
{
	return hmac_parts(key, &data, 1, out);
}

phi_status
phi_hkdf_sha256(phi_bytes secret, phi_bytes salt, phi_bytes info, uint8_t *out, size_t size)
{
	uint8_t extracted[PHI_SHA256_SIZE];
	uint8_t block[PHI_SHA256_SIZE];
	uint8_t counter = 0;
	size_t done = 0;
	phi_status status;

	if (size > 255 * PHI_SHA256_SIZE)
		return PHI_ERR_ARGUMENT;
	status = phi_hmac_sha256(salt, secret, extracted);
	while (status == PHI_OK && done < size)
	{
		phi_bytes parts[3] = {{block, counter > 0 ? sizeof(block) : 0}, info, {&counter, 1}};
		size_t take = size - done < sizeof(block) ? size - done : sizeof(block);

		counter++;
		status = hmac_parts(phi_bytes_of(extracted, sizeof(extracted)), parts, 3, block);
		if (status == PHI_OK)
			memcpy(out + done, block, take);
		done += take;
	}
	if (status != PHI_OK)
		OPENSSL_cleanse(out, size);
	OPENSSL_cleanse(extracted, sizeof(extracted));
	OPENSSL_cleanse(block, sizeof(block));
	return status;
}

static inline uint64_t
rotate_left(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

/* SipHash reads little-endian; compilers make one load of this. */
static inline uint64_t
get_u64_little(const uint8_t in[8])
{
	return (uint64_t) in[0] | (uint64_t) in[1] << 8 | (uint64_t) in[2] << 16 |
		   (uint64_t) in[3] << 24 | (uint64_t) in[4] << 32 | (uint64_t) in[5] << 40 |
		   (uint64_t) in[6] << 48 | (uint64_t) in[7] << 56;
}

/* SipRound, count times. */
static inline void
sip_rounds(uint64_t v[4], unsigned count)
{
	while (count-- > 0)
	{
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate_left(v[1], 13) ^ v[0];
		v[3] = rotate_left(v[3], 16) ^ v[2];
		v[0] = rotate_left(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate_left(v[1], 17) ^ v[2];
		v[3] = rotate_left(v[3], 21) ^ v[0];
		v[2] = rotate_left(v[2], 32);
	}
}

/* Take one word of the message in. */
static inline void
sip_absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_rounds(v, 2);
	v[0] ^= word;
}

uint64_t
phi_siphash24(const uint8_t key[PHI_SIPHASH_KEY], phi_bytes data)
{
	uint64_t k0 = get_u64_little(key);
	uint64_t k1 = get_u64_little(key + 8);
	uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
					 k1 ^ 0x7465646279746573u};
	uint64_t last = (uint64_t) data.size << 56;
	size_t whole = data.size - data.size % 8;
	size_t i;

	for (i = 0; i < whole; i += 8)
		sip_absorb(v, get_u64_little(data.data + i));
	for (i = whole; i < data.size; i++)
		last |= (uint64_t) data.data[i] << (8 * (i - whole));
	sip_absorb(v, last);
	v[2] ^= 0xFF;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
