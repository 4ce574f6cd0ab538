/*-------------------------------------------------------------------------
 * bench_core.c
 *		Cost of one short sealed value, beside a bare OpenSSL XAES loop, and
 *		speed of what the audit log hashes.
 *
 *		crypto/seal_c | ours | peer | ratio | goal | holds (or short)
 *
 * The peer is XAES-256-GCM written out: contexts fetched once, the derivation
 * as one ECB call, rekeyed GCM, AAD of the same size, nothing checked.  Rounds
 * of both alternate in one process; a figure is the median of its rounds, a
 * ratio the median of the ratios of paired rounds.
 *-------------------------------------------------------------------------
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/envelope.h"
#include "core/merkle.h"

#define ROUNDS   31
#define VALUES   20000
#define PLAIN    16
#define OVERHEAD PHI_ENVELOPE_SEARCHABLE
#define AAD_SIZE 89 /* of a searchable envelope: label, header, two uuids */

static const uint8_t fixed[64] = "benchmark key, nonce, uuid and plaintext: nothing secret in her";

typedef struct peer_state
{
	EVP_CIPHER_CTX *derive;
	EVP_CIPHER_CTX *message;
	uint8_t k1[16];
} peer_state;

typedef struct bench
{
	peer_state peer;
	phi_data_key key;
	phi_header header;
	uint8_t sealed[PLAIN + OVERHEAD];
	uint8_t plain[PLAIN];
	uint8_t aad[AAD_SIZE];
} bench;

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void
must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "bench_core: %s failed\n", what);
	exit(1);
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return (x > y) - (x < y);
}

static double
median(const double *values)
{
	double sorted[ROUNDS];

	memcpy(sorted, values, sizeof(sorted));
	qsort(sorted, ROUNDS, sizeof(double), ascending);
	return sorted[ROUNDS / 2];
}

static void
peer_init(peer_state *peer)
{
	static const uint8_t zero[16];
	int written, i, carry = 0;

	peer->derive = EVP_CIPHER_CTX_new();
	peer->message = EVP_CIPHER_CTX_new();
	must(EVP_EncryptInit_ex(peer->derive, EVP_aes_256_ecb(), NULL, fixed, NULL) == 1 &&
			 EVP_EncryptInit_ex(peer->message, EVP_aes_256_gcm(), NULL, NULL, NULL) == 1 &&
			 EVP_EncryptUpdate(peer->derive, peer->k1, &written, zero, 16) == 1,
		 "peer init");
	for (i = 15; i >= 0; i--)
	{
		int next = peer->k1[i] >> 7;

		peer->k1[i] = (uint8_t) (peer->k1[i] << 1 | carry);
		carry = next;
	}
	peer->k1[15] ^= carry ? 0x87 : 0;
}

static void
peer_derive(peer_state *peer, const uint8_t *nonce, uint8_t key[32])
{
	int written, i;

	for (i = 0; i < 2; i++)
	{
		memcpy(key + 16 * i, i == 0 ? "\0\1X\0" : "\0\2X\0", 4);
		memcpy(key + 16 * i + 4, nonce, 12);
	}
	for (i = 0; i < 32; i++)
		key[i] ^= peer->k1[i & 15];
	EVP_EncryptUpdate(peer->derive, key, &written, key, 32);
}

static void
peer_seal(bench *b, const uint8_t *nonce)
{
	uint8_t key[32];
	uint8_t *out = b->sealed + OVERHEAD - 16;
	int written;

	peer_derive(&b->peer, nonce, key);
	EVP_EncryptInit_ex(b->peer.message, NULL, NULL, key, nonce + 12);
	EVP_EncryptUpdate(b->peer.message, NULL, &written, b->aad, AAD_SIZE);
	EVP_EncryptUpdate(b->peer.message, out, &written, b->plain, PLAIN);
	EVP_EncryptFinal_ex(b->peer.message, out + PLAIN, &written);
	EVP_CIPHER_CTX_ctrl(b->peer.message, EVP_CTRL_AEAD_GET_TAG, 16, out + PLAIN);
}

static int
peer_open(bench *b, const uint8_t *nonce)
{
	uint8_t key[32];
	uint8_t *in = b->sealed + OVERHEAD - 16;
	int written;

	peer_derive(&b->peer, nonce, key);
	EVP_DecryptInit_ex(b->peer.message, NULL, NULL, key, nonce + 12);
	EVP_CIPHER_CTX_ctrl(b->peer.message, EVP_CTRL_AEAD_SET_TAG, 16, in + PLAIN);
	EVP_DecryptUpdate(b->peer.message, NULL, &written, b->aad, AAD_SIZE);
	EVP_DecryptUpdate(b->peer.message, b->plain, &written, in, PLAIN);
	return EVP_DecryptFinal_ex(b->peer.message, b->plain, &written);
}

/* The peer is a peer only if it derives the same keys. */
static void
check_peer(bench *b)
{
	uint8_t ours[PHI_KEY_SIZE], peer[PHI_KEY_SIZE];

	must(phi_xaes_derive(&b->key.xaes, fixed, ours) == PHI_OK, "derive");
	peer_derive(&b->peer, fixed, peer);
	must(memcmp(ours, peer, sizeof(ours)) == 0, "peer check");
}

/* Another subject for every value: no two share a message key. */
static void
next_value(bench *b, uint8_t nonce[24], uint64_t i)
{
	b->header.subject_token = i * 0x9E3779B97F4A7C15u;
	phi_put_u64(nonce + 4, b->header.subject_token);
	phi_put_u64(nonce + 16, i);
}

static void
ours_seal(bench *b, const uint8_t *nonce)
{
	phi_buffer out = {b->sealed, 0, sizeof(b->sealed)};

	must(phi_envelope_seal(&b->key, &b->header, fixed, nonce + 12, 12,
						   phi_bytes_of(b->plain, PLAIN), &out) == PHI_OK,
		 "seal");
}

static void
ours_open(bench *b)
{
	phi_buffer out = {b->plain, 0, PLAIN};

	must(phi_envelope_open(&b->key, phi_bytes_of(b->sealed, sizeof(b->sealed)), fixed, &out) ==
			 PHI_OK,
		 "open");
}

typedef enum workload
{
	SEAL,
	OPEN,
	BOTH, /* seal and open in turn: each changes the direction of the context */
	WORKLOADS
} workload;

/* Microseconds a value of one round, ours or the peer's. */
static double
round_of(bench *b, workload work, bool ours)
{
	uint8_t nonce[24];
	double start;
	uint64_t i;

	memcpy(nonce, fixed, sizeof(nonce));
	next_value(b, nonce, 0);
	if (ours)
		ours_seal(b, nonce);
	else
		peer_seal(b, nonce);
	start = seconds();
	for (i = 1; i <= VALUES; i++)
	{
		if (work != OPEN)
			next_value(b, nonce, i);
		if (work != OPEN && ours)
			ours_seal(b, nonce);
		if (work != OPEN && !ours)
			peer_seal(b, nonce);
		if (work != SEAL && ours)
			ours_open(b);
		if (work != SEAL && !ours)
			must(peer_open(b, nonce) == 1, "peer open");
	}
	return (seconds() - start) * 1e6 / VALUES;
}

static void
bench_envelope(bench *b, workload work, const char *name)
{
	double ours[ROUNDS], peer[ROUNDS], ratio[ROUNDS];
	int i;

	for (i = 0; i < ROUNDS; i++)
	{
		bool ours_first = i % 2 == 0;

		if (ours_first)
			ours[i] = round_of(b, work, true);
		peer[i] = round_of(b, work, false);
		if (!ours_first)
			ours[i] = round_of(b, work, true);
		ratio[i] = ours[i] / peer[i];
	}
	printf("crypto/%s | %.3f us | %.3f us | %.2f | <= 1.5 | %s\n", name, median(ours), median(peer),
		   median(ratio), median(ratio) <= 1.5 ? "holds" : "short");
}

/* Millions a second of one kind of hash over short inputs. */
static void
bench_hashes(void)
{
	static phi_frontier frontier;
	double leaf[ROUNDS], append[ROUNDS], start;
	uint8_t event[200], hash[PHI_HASH_SIZE];
	int round, i;

	memset(event, 'e', sizeof(event));
	phi_frontier_init(&frontier);
	for (round = 0; round < ROUNDS; round++)
	{
		start = seconds();
		for (i = 0; i < VALUES; i++)
		{
			phi_put_u32(event, (uint32_t) i);
			must(phi_leaf_hash(phi_bytes_of(event, sizeof(event)), hash) == PHI_OK, "leaf");
		}
		leaf[round] = VALUES / (seconds() - start) / 1e6;
		start = seconds();
		for (i = 0; i < VALUES; i++)
			must(phi_frontier_append(&frontier, hash) == PHI_OK, "append");
		append[round] = VALUES / (seconds() - start) / 1e6;
	}
	printf("crypto/leaf_hash_c | %.2f M/s | - | - | >= 0.5 M/s | %s\n", median(leaf),
		   median(leaf) >= 0.5 ? "holds" : "short");
	printf("crypto/frontier_append_c | %.2f M/s | - | - | >= 0.5 M/s | %s\n", median(append),
		   median(append) >= 0.5 ? "holds" : "short");
}

/* Nanoseconds of the small helpers that run once or twice a value. */
static void
bench_helpers(void)
{
	double mac[ROUNDS], sip[ROUNDS], text[ROUNDS], back[ROUNDS], start;
	uint8_t out[PHI_SHA256_SIZE], sealed[90] = {1};
	char encoded[120];
	uint64_t sum = 0;
	int round, i;

	for (round = 0; round < ROUNDS; round++)
	{
		start = seconds();
		for (i = 0; i < VALUES; i++)
			must(phi_hmac_sha256(phi_bytes_of(fixed, 32), phi_bytes_of(fixed, 11), out) == PHI_OK,
				 "hmac");
		mac[round] = (seconds() - start) * 1e9 / VALUES;
		start = seconds();
		for (i = 0; i < VALUES; i++)
			sum += phi_siphash24(fixed, phi_bytes_of(&sum, sizeof(sum)));
		sip[round] = (seconds() - start) * 1e9 / VALUES;
		start = seconds();
		for (i = 0; i < VALUES; i++)
		{
			sealed[0] = (uint8_t) i;
			phi_base64url_encode(phi_bytes_of(sealed, sizeof(sealed)), encoded);
		}
		text[round] = (seconds() - start) * 1e9 / VALUES;
		start = seconds();
		for (i = 0; i < VALUES; i++)
		{
			phi_buffer to = {sealed, 0, sizeof(sealed)};

			must(phi_base64url_decode(encoded, sizeof(encoded), &to) == PHI_OK, "decode");
		}
		back[round] = (seconds() - start) * 1e9 / VALUES;
	}
	printf("# %.0f ns HMAC of 11 bytes, %.0f ns SipHash of 8, %.0f and %.0f ns to write and read "
		   "the text of 90 bytes (%d)\n",
		   median(mac), median(sip), median(text), median(back), (int) (sum & 1));
}

int
main(void)
{
	static bench b;

	b.key.id = 1;
	b.header = (phi_header){.bound = true, .searchable = true, .dek_id = 1};
	must(phi_xaes_init(&b.key.xaes, fixed) == PHI_OK, "init");
	peer_init(&b.peer);
	check_peer(&b);
	bench_envelope(&b, SEAL, "seal_c");
	bench_envelope(&b, OPEN, "open_c");
	bench_envelope(&b, BOTH, "seal_open_c");
	bench_hashes();
	bench_helpers();
	phi_xaes_clear(&b.key.xaes);
	EVP_CIPHER_CTX_free(b.peer.derive);
	EVP_CIPHER_CTX_free(b.peer.message);
	return 0;
}
