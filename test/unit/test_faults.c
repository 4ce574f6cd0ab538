/*-------------------------------------------------------------------------
 * test_faults.c
 *		Core when libcrypto fails: each of its calls, and each allocation inside
 *		libcrypto, fails in turn.
 *
 * An operation is run with a fault at its first call of a function, at its
 * second, and so on until the fault is not reached.  Wherever it is, the
 * operation ends in an error and leaves nothing in its output, no handle stays
 * behind, and the same operation right after it, without a fault, is right.
 *-------------------------------------------------------------------------
 */
#define _XOPEN_SOURCE   700 /* sigaltstack */
#define _DEFAULT_SOURCE 1

#include "check.h"
#include "faults.h"
#include "core/envelope.h"
#include "core/ff1.h"
#include "core/mac.h"
#include "core/merkle.h"
#include "core/note.h"
#include "core/token.h"
#include "core/totp.h"
#include "tokens.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/rand.h>
#include <sanitizer/lsan_interface.h>

/* ---- the operations ---- */

#define TEXT      "Quarrymoor, Zephyrine; MRN 8675309; F32.1; do not tell the employer"
#define TEXT_SIZE (sizeof(TEXT) - 1)
#define SEALED    (TEXT_SIZE + PHI_XAES_TAG_SIZE)
#define LEAVES    13
#define OLD       7
#define ROOM      512
#define FILLER    0xA5

#define CHILD_SECONDS 1

static const phi_header header = {true, true, 7, 3, 0, 11, 13, {1, 2, 3}};
static const uint8_t nonce[PHI_XAES_NONCE_SIZE] = "a nonce of twenty-four.";
static uint8_t key[PHI_KEY_SIZE] = "a key of thirty-two bytes, plai";
static const uint8_t long_key[100] = "a key longer than a block of SHA-256";
static const uint8_t uuid[PHI_UUID_SIZE] = "uuid of a colum";
static const phi_bytes text = {(const uint8_t *) TEXT, TEXT_SIZE};
static const phi_bytes aad = {(const uint8_t *) "some AAD", 8};

static phi_data_key data_key;
static uint8_t sealed[SEALED], altered[SEALED], envelope[ROOM], leaves[LEAVES * PHI_HASH_SIZE];
static uint8_t root[PHI_HASH_SIZE], old_root[PHI_HASH_SIZE], empty_root[PHI_HASH_SIZE];
static uint8_t inclusion[PHI_FRONTIER_PEAKS][PHI_HASH_SIZE],
	consistency[PHI_FRONTIER_PEAKS + 1][PHI_HASH_SIZE];
static size_t inclusion_size, consistency_size;
static phi_vkey vkey;
static uint8_t public_key[PHI_ED25519_KEY], note_bytes[ROOM], wrong_bytes[ROOM];
static phi_note note, wrong_note;
static const phi_bytes lines = {(const uint8_t *) "an origin\n7\nlines\n", 18};
static phi_frontier frontier; /* of the first OLD leaves */
static phi_jwk keys[4];
static size_t key_count;
static const phi_totp totp = {PHI_TOTP_SHA1, 6, 20, "12345678901234567890"};

/* What an operation writes to, filled anew for each run. */
static struct
{
	uint8_t bytes[ROOM];
	uint8_t path[PHI_FRONTIER_PEAKS + 1][PHI_HASH_SIZE];
	size_t path_size;
	phi_buffer buffer;
	phi_xaes xaes;
	phi_frontier frontier;
	phi_vkey vkey;
} out;

/* An operation that is one call. */
#define CALL(name, call)         \
	static phi_status name(void) \
	{                            \
		return call;             \
	}

CALL(run_init, phi_xaes_init(&out.xaes, key))
CALL(run_derive, phi_xaes_derive(&data_key.xaes, nonce, out.bytes))
CALL(run_seal, phi_xaes_seal(&data_key.xaes, nonce, aad, text, out.bytes))
CALL(run_open, phi_xaes_open(&data_key.xaes, nonce, aad, phi_bytes_of(sealed, SEALED), out.bytes))
CALL(run_refuse,
	 phi_xaes_open(&data_key.xaes, nonce, aad, phi_bytes_of(altered, SEALED), out.bytes))
CALL(run_self_test, phi_xaes_self_test())
CALL(run_envelope_seal,
	 phi_envelope_seal(&data_key, &header, uuid, nonce, PHI_NONCE_TAIL_SIZE, text, &out.buffer))
CALL(run_envelope_open,
	 phi_envelope_open(&data_key, phi_bytes_of(envelope, TEXT_SIZE + PHI_ENVELOPE_SEARCHABLE), uuid,
					   &out.buffer))
CALL(run_sha256, phi_sha256(text, out.bytes))
CALL(run_hmac, phi_hmac_sha256(phi_bytes_of(long_key, sizeof(long_key)), text, out.bytes))
CALL(run_hkdf, phi_hkdf_sha256(text, phi_bytes_of(uuid, sizeof(uuid)), aad, out.bytes, 80))
CALL(run_leaf, phi_leaf_hash(text, out.bytes))
CALL(run_append, phi_frontier_append(&out.frontier, leaves))
CALL(run_root, phi_merkle_root(leaves, LEAVES, out.bytes))
CALL(run_inclusion, phi_inclusion_proof(leaves, LEAVES, 5, out.path, &out.path_size))
CALL(run_included,
	 phi_inclusion_verify(leaves + 5 * PHI_HASH_SIZE, 5, LEAVES,
						  (const uint8_t (*)[PHI_HASH_SIZE]) inclusion, inclusion_size, root))
CALL(run_not_included,
	 phi_inclusion_verify(leaves, 5, LEAVES, (const uint8_t (*)[PHI_HASH_SIZE]) inclusion,
						  inclusion_size, root))
CALL(run_consistency, phi_consistency_proof(leaves, OLD, LEAVES, out.path, &out.path_size))
CALL(run_consistent,
	 phi_consistency_verify(OLD, old_root, LEAVES, root,
							(const uint8_t (*)[PHI_HASH_SIZE]) consistency, consistency_size))
CALL(run_inconsistent,
	 phi_consistency_verify(OLD, root, LEAVES, root, (const uint8_t (*)[PHI_HASH_SIZE]) consistency,
							consistency_size))
CALL(run_from_empty, phi_consistency_verify(0, empty_root, LEAVES, root, NULL, 0))

/* In place: the digits are in the output beforehand. */
static phi_status
run_ff1(void)
{
	memset(out.bytes, 7, 10);
	return phi_ff1_encrypt(phi_bytes_of(key, PHI_KEY_SIZE), aad, 10, out.bytes, 10);
}

CALL(run_public, phi_ed25519_public(key, out.bytes))
CALL(run_sign, phi_ed25519_sign(key, text, out.bytes))
CALL(run_vkey, phi_vkey_make(phi_bytes_of("log", 3), public_key, &out.vkey))
CALL(run_note_verify, phi_note_verify(&note, &vkey))
CALL(run_note_refuse, phi_note_verify(&wrong_note, &vkey))

static phi_status
run_note_sign(void)
{
	out.buffer.size = 0;
	return phi_note_sign(lines, &vkey, key, &out.buffer);
}

/* In place: the text is in the output beforehand. */
static phi_status
run_seal_in_place(void)
{
	memcpy(out.bytes, TEXT, TEXT_SIZE);
	return phi_xaes_seal(&data_key.xaes, nonce, aad, phi_bytes_of(out.bytes, TEXT_SIZE), out.bytes);
}

static phi_status
run_open_in_place(void)
{
	memcpy(out.bytes, sealed, SEALED);
	return phi_xaes_open(&data_key.xaes, nonce, aad, phi_bytes_of(out.bytes, SEALED), out.bytes);
}

/* A token of a key of the set; what its claims begin with is the output. */
static phi_status
run_token(const char *token)
{
	static const phi_token_rules rules = {"i", "a", "sub", "", "roles", "purposes", "",
										  "",  "",  "",    "", "",      "",         1700000000};
	static phi_token_space space;
	static phi_claims claims;
	phi_token_cause cause;
	phi_status status =
		phi_token_verify(token, strlen(token), keys, key_count, &rules, &space, &claims, &cause);

	memcpy(out.bytes, &claims, ROOM);
	return status;
}

CALL(run_eddsa, run_token(token_eddsa))
CALL(run_es256, run_token(token_es256))
CALL(run_rs256, run_token(token_rs256))
CALL(run_ps256, run_token(token_ps256))
CALL(run_totp, phi_totp_code(&totp, 37037036, (char *) out.bytes))

/* The set's keys; how many is the output. */
static phi_status
run_key_set(void)
{
	static phi_json_token values[64];
	phi_jwk read[4];
	size_t count;
	phi_status status = phi_jwks_read(key_set, strlen(key_set), values, 64, read, 4, &count);

	out.bytes[0] = (uint8_t) count;
	return status;
}

/* An operation, and what an error leaves of its output. */
typedef struct operation
{
	const char *name;
	phi_status (*run)(void);
	phi_status expected; /* without a fault */
	size_t wiped_from;   /* bytes of out.bytes that an error wipes */
	size_t wiped_to;
} operation;

static const operation operations[] = {
	{"xaes init", run_init, PHI_OK, 0, 0},
	{"xaes derive", run_derive, PHI_OK, 0, PHI_KEY_SIZE},
	{"xaes seal", run_seal, PHI_OK, 0, SEALED},
	{"xaes seal in place", run_seal_in_place, PHI_OK, 0, SEALED},
	{"xaes open", run_open, PHI_OK, 0, TEXT_SIZE},
	{"xaes open in place", run_open_in_place, PHI_OK, 0, TEXT_SIZE},
	{"xaes open of an altered value", run_refuse, PHI_ERR_AUTH, 0, TEXT_SIZE},
	{"self test", run_self_test, PHI_OK, 0, 0},
	{"envelope seal", run_envelope_seal, PHI_OK, PHI_HEADER_MAX + PHI_NONCE_TAIL_SIZE,
	 TEXT_SIZE + PHI_ENVELOPE_SEARCHABLE},
	{"envelope open", run_envelope_open, PHI_OK, 0, TEXT_SIZE},
	{"ff1", run_ff1, PHI_OK, 0, 0},
	{"sha256", run_sha256, PHI_OK, 0, 0},
	{"hmac", run_hmac, PHI_OK, 0, 0},
	{"hkdf", run_hkdf, PHI_OK, 0, 80},
	{"leaf hash", run_leaf, PHI_OK, 0, 0},
	{"frontier append", run_append, PHI_OK, 0, 0},
	{"merkle root", run_root, PHI_OK, 0, 0},
	{"inclusion proof", run_inclusion, PHI_OK, 0, 0},
	{"inclusion", run_included, PHI_OK, 0, 0},
	{"inclusion of another leaf", run_not_included, PHI_ERR_AUTH, 0, 0},
	{"consistency proof", run_consistency, PHI_OK, 0, 0},
	{"consistency", run_consistent, PHI_OK, 0, 0},
	{"consistency with another tree", run_inconsistent, PHI_ERR_AUTH, 0, 0},
	{"consistency with the empty tree", run_from_empty, PHI_OK, 0, 0},
	{"public key", run_public, PHI_OK, 0, PHI_ED25519_KEY},
	{"signature", run_sign, PHI_OK, 0, PHI_ED25519_SIGNATURE},
	{"verifier key", run_vkey, PHI_OK, 0, 0},
	{"note signature", run_note_sign, PHI_OK, 0, 0},
	{"note", run_note_verify, PHI_OK, 0, 0},
	{"note of another text", run_note_refuse, PHI_ERR_AUTH, 0, 0},
	{"key set", run_key_set, PHI_OK, 0, 1},
	{"token of Ed25519", run_eddsa, PHI_OK, 0, ROOM},
	{"token of P-256", run_es256, PHI_OK, 0, ROOM},
	{"token of RSA, PKCS #1", run_rs256, PHI_OK, 0, ROOM},
	{"token of RSA, PSS", run_ps256, PHI_OK, 0, ROOM},
	{"one-time password", run_totp, PHI_OK, 0, 1},
};

/* Run an operation on a fresh output; with a fault where fault.at is not 0. */
static phi_status
run(const operation *op)
{
	phi_status status;

	memset(&out, FILLER, sizeof(out));
	out.buffer.data = out.bytes;
	out.buffer.capacity = ROOM;
	out.frontier = frontier;
	fault.calls = 0;
	fault.fired = false;
	status = op->run();
	fault.at = 0;
	return status;
}

/* Is every byte of a range of this value? */
static bool
all_are(const void *data, size_t from, size_t to, uint8_t value)
{
	size_t i;

	for (i = from; i < to; i++)
	{
		if (((const uint8_t *) data)[i] != value)
			return false;
	}
	return true;
}

/* Do eight bytes of the text in a row stand anywhere in the output? */
static bool
shows_text(void)
{
	size_t at, i;

	for (at = 0; at + 8 <= sizeof(out.bytes); at++)
	{
		for (i = 0; i + 8 <= TEXT_SIZE; i++)
		{
			if (memcmp(out.bytes + at, text.data + i, 8) == 0)
				return true;
		}
	}
	return false;
}

/* What the output of a failed operation may not be; NULL when it is none of it. */
static const char *
trouble(const operation *op)
{
	if (!all_are(out.bytes, op->wiped_from, op->wiped_to, 0))
		return "the output is not wiped";
	if (op->wiped_to > 0 && !all_are(out.bytes, op->wiped_to, ROOM - op->wiped_to, FILLER) &&
		op->run != run_open_in_place)
		return "there is something behind the output";
	if (shows_text())
		return "the text is in the output";
	if ((op->run == run_envelope_seal || op->run == run_envelope_open) && out.buffer.size != 0)
		return "the output has a size";
	if (op->run == run_init && !all_are(&out.xaes, 0, sizeof(out.xaes), 0))
		return "the key made ready is not empty";
	if ((op->run == run_inclusion || op->run == run_consistency) && out.path_size != 0)
		return "the proof has a size";
	if (memcmp(&out.frontier, &frontier, sizeof(frontier)) != 0)
		return "the frontier has changed";
	return NULL;
}

/* The operation without a fault, which is right; its answer is in answer. */
static bool
is_right(const operation *op, const uint8_t answer[ROOM])
{
	bool right = run(op) == op->expected && memcmp(out.bytes, answer, ROOM) == 0;

	if (op->run == run_init && right)
	{
		right = memcmp(out.xaes.k1, data_key.xaes.k1, sizeof(out.xaes.k1)) == 0;
		phi_xaes_clear(&out.xaes);
	}
	return right;
}

/* libcrypto does not say whether it could not check a signature or did not like it, nor of a key. */
static bool
is_verification(const operation *op)
{
	return op->run == run_eddsa || op->run == run_es256 || op->run == run_rs256 ||
		   op->run == run_ps256 || op->run == run_note_verify;
}

/* May an operation end so after this fault?  libcrypto may do without what it cannot allocate. */
static bool
may_end_so(const operation *op, phi_status status, const uint8_t answer[ROOM])
{
	if (status == PHI_ERR_CRYPTO || (is_verification(op) && status == PHI_ERR_AUTH) ||
		(op->run == run_key_set && status == PHI_ERR_FORMAT))
		return true;
	if (fault.name == SYM_allocation)
		return status == op->expected && memcmp(out.bytes, answer, ROOM) == 0;
	return fault.name == SYM_EVP_DecryptFinal_ex && status == PHI_ERR_AUTH;
}

/* Each call of one function fails, in one way. */
static void
sweep(const operation *op, const uint8_t answer[ROOM])
{
	unsigned at = 0;

	do
	{
		long before = handles;
		const char *wrong = NULL;
		phi_status status;

		fault.at = ++at;
		status = run(op);
		if (!fault.fired)
			break;
		if (!may_end_so(op, status, answer))
			wrong = phi_status_text(status);
		else if (status != PHI_OK)
			wrong = trouble(op);
		else if (op->run == run_init)
			phi_xaes_clear(&out.xaes);
		if (wrong == NULL && handles != before)
			wrong = "a handle is left";
		if (wrong == NULL && !is_right(op, answer))
			wrong = "the next call is wrong";
		if (wrong != NULL)
			check_fail(__FILE__, __LINE__, "call %u of %s %s%s: %s", at, symbol_names[fault.name],
					   mode_names[fault.mode], fault.lasting ? ", as do all later" : "", wrong);
	} while (at < 10000);
	CHECK(at < 10000);
	if (op->run == run_init)
		phi_xaes_clear(&out.xaes);
}

/* Everything that an operation calls fails. */
static void
check_operation(const operation *op)
{
	uint8_t answer[ROOM];
	unsigned long before = 0, after = 0;
	unsigned name, mode;

	CHECK_INT(run(op), op->expected);
	memcpy(answer, out.bytes, ROOM);
	if (op->run == run_init)
		phi_xaes_clear(&out.xaes);
	for (name = 0; name < SYM_COUNT; name++)
	{
		before += faults[name];
		for (mode = 0; mode < fault_modes((symbol) name); mode++)
		{
			fault.name = (symbol) name;
			fault.mode = (fault_mode) mode;
			fault.lasting = false;
			sweep(op, answer);
			fault.lasting = true;
			sweep(op, answer);
		}
		after += faults[name];
	}
	CHECK(after > before);
	CHECK_INT(__lsan_do_recoverable_leak_check(), 0);
}

/* Make a signed note, and one whose text is another. */
static bool
prepare_notes(void)
{
	phi_buffer buffer = {note_bytes, 0, sizeof(note_bytes)};
	bool made = phi_ed25519_public(key, public_key) == PHI_OK &&
				phi_vkey_make(phi_bytes_of("log", 3), public_key, &vkey) == PHI_OK &&
				phi_buffer_append(&buffer, lines) == PHI_OK &&
				phi_buffer_append(&buffer, phi_bytes_of("\n", 1)) == PHI_OK &&
				phi_note_sign(lines, &vkey, key, &buffer) == PHI_OK &&
				phi_note_parse(phi_bytes_of(note_bytes, buffer.size), &note) == PHI_OK;

	memcpy(wrong_bytes, note_bytes, sizeof(wrong_bytes));
	wrong_bytes[0] ^= 1;
	return made && phi_note_parse(phi_bytes_of(wrong_bytes, buffer.size), &wrong_note) == PHI_OK;
}

/* Make what the operations work on. */
static bool
prepare(void)
{
	phi_buffer buffer = {envelope, 0, sizeof(envelope)};
	static phi_json_token values[64];
	bool made;
	size_t i;

	data_key.id = header.dek_id;
	made = phi_xaes_init(&data_key.xaes, key) == PHI_OK &&
		   phi_xaes_seal(&data_key.xaes, nonce, aad, text, sealed) == PHI_OK &&
		   phi_envelope_seal(&data_key, &header, uuid, nonce, PHI_NONCE_TAIL_SIZE, text, &buffer) ==
			   PHI_OK;
	memcpy(altered, sealed, sizeof(sealed));
	altered[3] ^= 0x10;
	phi_frontier_init(&frontier);
	for (i = 0; i < LEAVES; i++)
	{
		uint8_t *leaf = leaves + i * PHI_HASH_SIZE;

		made = made && phi_leaf_hash(phi_bytes_of(&i, 1), leaf) == PHI_OK;
		made = made && (i >= OLD || phi_frontier_append(&frontier, leaf) == PHI_OK);
	}
	made =
		made && phi_jwks_read(key_set, strlen(key_set), values, 64, keys, 4, &key_count) == PHI_OK;
	return made && prepare_notes() && phi_merkle_root(leaves, LEAVES, root) == PHI_OK &&
		   phi_merkle_root(leaves, OLD, old_root) == PHI_OK &&
		   phi_sha256(phi_bytes_of(NULL, 0), empty_root) == PHI_OK &&
		   phi_inclusion_proof(leaves, LEAVES, 5, inclusion, &inclusion_size) == PHI_OK &&
		   phi_consistency_proof(leaves, OLD, LEAVES, consistency, &consistency_size) == PHI_OK;
}

/* ---- the first use of libcrypto in a process ---- */

enum /* how a child ends; others are for the sanitizers and the C library */
{
	CHILD_REFUSED = 64,
	CHILD_COPED,
	CHILD_DONE, /* it makes fewer allocations */
	CHILD_DIED, /* inside libcrypto */
	CHILD_WRONG
};

/* libcrypto 3.0 reads through a null pointer where it could not allocate its default context. */
static void
died(int number)
{
	(void) number;
	_exit(inside_libcrypto ? CHILD_DIED : CHILD_WRONG);
}

/* The self test, with an allocation that fails.  A child that hangs has died too. */
static int
first_use(unsigned at, bool lasting)
{
	static char space[1 << 16];
	const stack_t alternate = {.ss_sp = space, .ss_size = sizeof(space)};
	const struct sigaction action = {.sa_handler = died, .sa_flags = SA_ONSTACK};
	phi_status status;

	/* libcrypto may crash, also for lack of stack, abort, or wait for ever. */
	(void) sigaltstack(&alternate, NULL);
	(void) sigaction(SIGSEGV, &action, NULL);
	(void) sigaction(SIGABRT, &action, NULL);
	(void) sigaction(SIGALRM, &action, NULL);
	(void) alarm(CHILD_SECONDS);
	fault.name = SYM_allocation;
	fault.lasting = lasting;
	fault.at = at;
	status = phi_xaes_self_test();
	fault.at = 0;
	if (!fault.fired)
		return status == PHI_OK ? CHILD_DONE : CHILD_WRONG;
	if (handles != 0 || (status != PHI_OK && status != PHI_ERR_CRYPTO))
		return CHILD_WRONG;

	/* libcrypto may remember that it could not initialize itself, and refuse from then on. */
	if (phi_xaes_self_test() == PHI_OK && !prepare())
		return CHILD_WRONG;
	return status == PHI_OK ? CHILD_COPED : CHILD_REFUSED;
}

/*
 * Allocations of the first use fail: the first ones each, then some.  Where
 * libcrypto has been used for something else it may not die of it.
 */
static void
check_first_use(bool lasting, bool may_die)
{
	unsigned ends[CHILD_WRONG] = {0};
	unsigned at;

	for (at = 1; ends[CHILD_DONE] == 0 && check_now.failures == 0; at += at < 60 ? 1 : 43)
	{
		pid_t child = fork();
		int status;

		if (child == 0)
			_exit(first_use(at, lasting));
		CHECK_OR_RETURN(child > 0 && waitpid(child, &status, 0) == child);
		if (!WIFEXITED(status) || WEXITSTATUS(status) < CHILD_REFUSED ||
			WEXITSTATUS(status) >= (may_die ? CHILD_WRONG : CHILD_DIED))
			check_fail(__FILE__, __LINE__, "allocation %u: wait status %#x", at, (unsigned) status);
		else
			ends[WEXITSTATUS(status)]++;
	}
	printf("# refused %u times, coped %u times, died inside libcrypto %u times; %u allocations or "
		   "less\n",
		   ends[CHILD_REFUSED], ends[CHILD_COPED], ends[CHILD_DIED], at);
	CHECK(ends[CHILD_REFUSED] > 0);
}

int
main(void)
{
	uint8_t random;
	size_t i;

	CHECK_CASE("first use of libcrypto: an allocation fails");
	CHECK(faults_in_allocations());
	check_first_use(false, true);
	CHECK_CASE("first use of libcrypto: an allocation fails, and all later");
	check_first_use(true, true);
	CHECK_CASE("first use of ciphers after random bytes, as in a server: the same");
	CHECK_INT(RAND_bytes(&random, 1), 1);
	check_first_use(false, false);
	check_first_use(true, false);
	CHECK_CASE("preparation");
	CHECK(prepare());
	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
	{
		CHECK_CASE("%s", operations[i].name);
		check_operation(&operations[i]);
	}
	phi_xaes_clear(&data_key.xaes);
	CHECK_CASE("everything that can fail has failed, and no handle is left");
	CHECK_INT(handles, 0);
	for (i = 0; i < SYM_COUNT; i++)
	{
		printf("# %s: %lu faults\n", symbol_names[i], faults[i]);
		CHECK(faults[i] > 0);
	}
	return check_done();
}
