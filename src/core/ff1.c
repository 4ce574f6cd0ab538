/*-------------------------------------------------------------------------
 * ff1.c
 *		FF1 of NIST SP 800-38G over libcrypto's AES.
 *
 * Ten rounds of a Feistel network over the two halves of the numerals; the
 * letters are those of the standard's algorithms 7 and 8.  A half is a number
 * below 2^120, so that a further byte fits beside it in 128 bits.
 *-------------------------------------------------------------------------
 */
#include "ff1.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define BLOCK     16
#define ROUNDS    10
#define HALF_BITS 120
#define Q_MAX     (PHI_FF1_TWEAK_MAX + 2 * BLOCK)
#define S_MAX     (2 * BLOCK)

__extension__ typedef unsigned __int128 number;

typedef struct ff1
{
	EVP_CIPHER_CTX *aes; /* of single blocks */
	unsigned radix;
	size_t u, v;       /* numerals of the halves */
	number modulus[2]; /* radix^u, radix^v */
	number a, b;       /* A, B as numbers */
	size_t bytes;      /* b */
	size_t expansion;  /* d */
	uint8_t p[BLOCK];
	phi_bytes tweak;
} ff1;

/* NUM_radix: the number that numerals stand for. */
static number
number_of(unsigned radix, const uint8_t *numerals, size_t size)
{
	number value = 0;

	for (size_t i = 0; i < size; i++)
		value = value * radix + numerals[i];
	return value;
}

/* STR_radix: size numerals of a number. */
static void
numerals_of(unsigned radix, number value, uint8_t *numerals, size_t size)
{
	for (size_t i = size; i-- > 0; value /= radix)
		numerals[i] = (uint8_t) (value % radix);
}

/* radix^size, 0 when it is not below 2^120. */
static number
power(unsigned radix, size_t size)
{
	number value = 1;

	for (size_t i = 0; i < size; i++)
	{
		value *= radix;
		if (value >> HALF_BITS != 0)
			return 0;
	}
	return value;
}

/* CIPH: one block, in place. */
static bool
encrypt_block(ff1 *state, uint8_t block[BLOCK])
{
	int written = 0;

	return EVP_EncryptUpdate(state->aes, block, &written, block, BLOCK) == 1 && written == BLOCK;
}

/* PRF: the CBC-MAC of P and Q, whose size is a multiple of a block. */
static bool
pseudorandom(ff1 *state, const uint8_t *q, size_t size, uint8_t r[BLOCK])
{
	memcpy(r, state->p, BLOCK);
	if (!encrypt_block(state, r))
		return false;
	for (size_t at = 0; at < size; at += BLOCK)
	{
		for (size_t i = 0; i < BLOCK; i++)
			r[i] ^= q[at + i];
		if (!encrypt_block(state, r))
			return false;
	}
	return true;
}

/* Steps 6.i to 6.iv: y of a round from one half, modulo radix^m already. */
static bool
round_value(ff1 *state, int round, number half, number *y)
{
	uint8_t q[Q_MAX] = {0};
	uint8_t s[S_MAX];
	size_t used = state->tweak.size + 1 + state->bytes;
	size_t size = (used + BLOCK - 1) / BLOCK * BLOCK;
	bool done;

	if (state->tweak.size > 0)
		memcpy(q, state->tweak.data, state->tweak.size);
	q[size - state->bytes - 1] = (uint8_t) round;
	numerals_of(256, half, q + size - state->bytes, state->bytes);
	done = pseudorandom(state, q, size, s);
	if (done && state->expansion > BLOCK)
	{
		memcpy(s + BLOCK, s, BLOCK);
		s[2 * BLOCK - 1] ^= 1;
		done = encrypt_block(state, s + BLOCK);
	}
	*y = 0;
	for (size_t i = 0; done && i < state->expansion; i++)
		*y = (*y * 256 + s[i]) % state->modulus[round % 2];
	OPENSSL_cleanse(q, sizeof(q));
	OPENSSL_cleanse(s, sizeof(s));
	return done;
}

/* Algorithm 7: the rounds forwards. */
static bool
rounds_forward(ff1 *state)
{
	number y;

	for (int round = 0; round < ROUNDS; round++)
	{
		number old = state->a;

		if (!round_value(state, round, state->b, &y))
			return false;
		state->a = state->b;
		state->b = (old + y) % state->modulus[round % 2];
	}
	return true;
}

/* Algorithm 8: the rounds backwards. */
static bool
rounds_backward(ff1 *state)
{
	number y;

	for (int round = ROUNDS - 1; round >= 0; round--)
	{
		number modulus = state->modulus[round % 2];
		number old = state->b;

		if (!round_value(state, round, state->a, &y))
			return false;
		state->b = state->a;
		state->a = (old + modulus - y) % modulus;
	}
	return true;
}

/* Steps 1 to 5: sizes and the fixed block P. */
static void
prepare(ff1 *state, size_t size)
{
	state->bytes = 0;
	for (number rest = state->modulus[1] - 1; rest > 0; rest >>= 8)
		state->bytes++;
	state->expansion = 4 * ((state->bytes + 3) / 4) + 4;
	state->p[0] = 1;
	state->p[1] = 2;
	state->p[2] = 1;
	state->p[5] = (uint8_t) state->radix;
	state->p[6] = ROUNDS;
	state->p[7] = (uint8_t) state->u;
	phi_put_u32(state->p + 8, (uint32_t) size);
	phi_put_u32(state->p + 12, (uint32_t) state->tweak.size);
}

/* A context of single blocks under a key of 16, 24 or 32 bytes; NULL on failure. */
static EVP_CIPHER_CTX *
block_cipher(phi_bytes key)
{
	const char *name = key.size == 16   ? "AES-128-ECB"
					   : key.size == 24 ? "AES-192-ECB"
										: "AES-256-ECB";
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

	if (cipher == NULL || context == NULL ||
		EVP_EncryptInit_ex2(context, cipher, key.data, NULL, NULL) != 1)
	{
		EVP_CIPHER_CTX_free(context);
		context = NULL;
	}
	EVP_CIPHER_free(cipher); /* the context holds its own reference */
	return context;
}

/* Are these numerals of the radix, and are there enough numbers of so many? */
static bool
acceptable(unsigned radix, const uint8_t *numerals, size_t size)
{
	uint64_t domain = 1;

	for (size_t i = 0; i < size; i++)
	{
		if (numerals[i] >= radix)
			return false;
		if (domain < PHI_FF1_DOMAIN_MIN)
			domain *= radix;
	}
	return domain >= PHI_FF1_DOMAIN_MIN;
}

/* One of the two algorithms. */
static phi_status
transform(phi_bytes key, phi_bytes tweak, unsigned radix, uint8_t *numerals, size_t size,
		  bool (*rounds)(ff1 *state))
{
	ff1 state = {.radix = radix, .tweak = tweak, .u = size / 2, .v = size - size / 2};
	bool done;

	if ((key.size != 16 && key.size != 24 && key.size != 32) || radix < 2 ||
		radix > PHI_FF1_RADIX_MAX || size > PHI_FF1_SIZE_MAX || tweak.size > PHI_FF1_TWEAK_MAX ||
		!acceptable(radix, numerals, size))
		return PHI_ERR_ARGUMENT;
	state.modulus[0] = power(radix, state.u);
	state.modulus[1] = power(radix, state.v);
	if (state.modulus[1] == 0)
		return PHI_ERR_ARGUMENT;

	prepare(&state, size);
	state.a = number_of(radix, numerals, state.u);
	state.b = number_of(radix, numerals + state.u, state.v);
	state.aes = block_cipher(key);
	done = state.aes != NULL && rounds(&state);
	if (done)
	{
		numerals_of(radix, state.a, numerals, state.u);
		numerals_of(radix, state.b, numerals + state.u, state.v);
	}
	EVP_CIPHER_CTX_free(state.aes);
	OPENSSL_cleanse(&state, sizeof(state));
	return done ? PHI_OK : PHI_ERR_CRYPTO;
}

phi_status
phi_ff1_encrypt(phi_bytes key, phi_bytes tweak, unsigned radix, uint8_t *numerals, size_t size)
{
	return transform(key, tweak, radix, numerals, size, rounds_forward);
}

phi_status
phi_ff1_decrypt(phi_bytes key, phi_bytes tweak, unsigned radix, uint8_t *numerals, size_t size)
{
	return transform(key, tweak, radix, numerals, size, rounds_backward);
}
