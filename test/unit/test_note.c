/*-------------------------------------------------------------------------
 * test_note.c
 *		Signed notes, verifier keys, checkpoints and log proofs: the vector of
 *		the specification, and what a strict parser must refuse.
 *-------------------------------------------------------------------------
 */
#include "check.h"
#include "json.h"
#include "core/note.h"

#include <stdlib.h>

#define ROOM   4096
#define NAME   "example.com/log"
#define DIGITS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define DASH   "\xE2\x80\x94 "

static const uint8_t seed[PHI_ED25519_KEY] = "thirty-two bytes of a test seed";

static phi_bytes
of(const char *text)
{
	return phi_bytes_of(text, strlen(text));
}

/* RFC 8032 section 7.1, tests 1 and 2. */
static void
check_ed25519(void)
{
	uint8_t key[PHI_ED25519_KEY], expected[PHI_ED25519_SIGNATURE], got[PHI_ED25519_SIGNATURE];
	uint8_t message = 0x72;

	CHECK_CASE("Ed25519 of RFC 8032 section 7.1");
	CHECK_INT(phi_hex_decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", 64,
							 key, 32),
			  PHI_OK);
	CHECK_INT(phi_ed25519_public(key, got), PHI_OK);
	CHECK_INT(phi_hex_decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", 64,
							 expected, 32),
			  PHI_OK);
	CHECK_BYTES(got, expected, 32);
	CHECK_INT(phi_ed25519_sign(key, phi_bytes_of(NULL, 0), got), PHI_OK);
	CHECK_INT(phi_hex_decode("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb88"
							 "21590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
							 128, expected, 64),
			  PHI_OK);
	CHECK_BYTES(got, expected, 64);
	CHECK_INT(phi_hex_decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", 64,
							 key, 32),
			  PHI_OK);
	CHECK_INT(phi_ed25519_sign(key, phi_bytes_of(&message, 1), got), PHI_OK);
	CHECK_INT(phi_hex_decode("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac"
							 "1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
							 128, expected, 64),
			  PHI_OK);
	CHECK_BYTES(got, expected, 64);
	CHECK_INT(phi_ed25519_public(key, key), PHI_OK);
	CHECK_INT(phi_ed25519_verify(key, phi_bytes_of(&message, 1), got), PHI_OK);
	message ^= 1;
	CHECK_INT(phi_ed25519_verify(key, phi_bytes_of(&message, 1), got), PHI_ERR_AUTH);
}

static void
check_vector(void)
{
	json *file = json_load_shared("vectors/signed_note.json");
	uint8_t key[64], signature[64], blob[PHI_NOTE_SIGNATURE], room[ROOM];
	char digits[128];
	phi_buffer buffer = {room, 0, sizeof(room)};
	phi_vkey vkey;
	phi_note note;

	if (file == NULL)
	{
		check_skip("vectors/signed_note.json: not in the shared data");
		return;
	}
	CHECK_CASE("the signed-note vector: verifier key and signature");
	CHECK_INT(json_hex(file, "public_key", key, sizeof(key)), PHI_ED25519_KEY);
	CHECK_INT(json_hex(file, "signature", signature, sizeof(signature)), PHI_ED25519_SIGNATURE);
	CHECK_INT(phi_vkey_parse(of(json_text(json_get(file, "vkey"))), &vkey), PHI_OK);
	CHECK_TEXT(vkey.name, "example.com/foo");
	CHECK_BYTES(vkey.key, key, PHI_ED25519_KEY);
	CHECK_INT(json_hex(file, "key_id", blob, sizeof(blob)), PHI_NOTE_KEY_ID);
	CHECK_BYTES(vkey.id, blob, PHI_NOTE_KEY_ID);
	CHECK_INT(phi_vkey_format(&vkey, &buffer), PHI_OK);
	CHECK_INT(buffer.size, strlen(json_text(json_get(file, "vkey"))));
	CHECK_BYTES(room, json_text(json_get(file, "vkey")), buffer.size);

	memcpy(blob + PHI_NOTE_KEY_ID, signature, sizeof(signature));
	phi_base64_encode(phi_bytes_of(blob, sizeof(blob)), digits);
	buffer.size = (size_t) snprintf((char *) room, sizeof(room), "%s\n" DASH "%s %.*s\n",
									json_text(json_get(file, "text")), vkey.name,
									(int) phi_base64_size(sizeof(blob)), digits);
	CHECK_INT(phi_note_parse(phi_bytes_of(room, buffer.size), &note), PHI_OK);
	CHECK_INT(phi_note_verify(&note, &vkey), PHI_OK);
	room[0] ^= 0x20;
	CHECK_INT(phi_note_verify(&note, &vkey), PHI_ERR_AUTH);
	json_free(file);
}

static phi_vkey
test_key(const char *name)
{
	uint8_t key[PHI_ED25519_KEY];
	phi_vkey vkey;

	CHECK_INT(phi_ed25519_public(seed, key), PHI_OK);
	CHECK_INT(phi_vkey_make(of(name), key, &vkey), PHI_OK);
	return vkey;
}

static void
check_keys(void)
{
	static const char *const bad[] = {"",
									  "a b",
									  "a+b",
									  "a\nb",
									  "a\tb",
									  "\xC2\xA0",
									  "a\xE2\x80\x83",
									  "\xE3\x80\x80x",
									  "\x80",
									  "\xC0\x80",
									  "\xED\xA0\x80",
									  "\xF4\x90\x80\x80",
									  "\xE0\x80\x80",
									  "a\xE2\x80"};
	uint8_t key[PHI_ED25519_KEY] = {0}, room[ROOM];
	phi_buffer buffer = {room, 0, sizeof(room)};
	char name[PHI_NOTE_NAME_MAX + 2];
	phi_vkey vkey = test_key(NAME), other;
	size_t i;

	CHECK_CASE("names of keys");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_INT(phi_vkey_make(of(bad[i]), key, &other), PHI_ERR_FORMAT);
	memset(name, 'n', sizeof(name));
	CHECK_INT(phi_vkey_make(phi_bytes_of(name, sizeof(name) - 1), key, &other), PHI_ERR_FORMAT);
	CHECK_INT(phi_vkey_make(phi_bytes_of(name, sizeof(name) - 2), key, &other), PHI_OK);
	CHECK_INT(phi_vkey_make(of("n\xC3\xA4me.example/\xF0\x9F\x98\x80"), key, &other), PHI_OK);

	CHECK_CASE("a verifier key with one byte changed is none");
	CHECK_INT(phi_vkey_format(&vkey, &buffer), PHI_OK);
	for (i = 0; i < buffer.size; i++)
	{
		room[i] ^= 0x01;
		CHECK(phi_vkey_parse(phi_bytes_of(room, buffer.size), &other) == PHI_ERR_FORMAT);
		room[i] ^= 0x01;
		CHECK(phi_vkey_parse(phi_bytes_of(room, i), &other) == PHI_ERR_FORMAT);
	}
	CHECK_INT(phi_vkey_parse(phi_bytes_of(room, buffer.size), &other), PHI_OK);
	buffer.capacity = buffer.size - 1;
	buffer.size = 0;
	CHECK_INT(phi_vkey_format(&vkey, &buffer), PHI_ERR_SPACE);
	CHECK_INT(buffer.size, 0);
}

/* Sign a text by keys of these names to a note in room; its size. */
static size_t
make_note(const char *text, const char *first, const char *second, uint8_t room[ROOM])
{
	phi_buffer buffer = {room, 0, ROOM};
	phi_vkey vkey = test_key(first);

	CHECK_INT(phi_buffer_append(&buffer, of(text)), PHI_OK);
	CHECK_INT(phi_buffer_append(&buffer, of("\n")), PHI_OK);
	CHECK_INT(phi_note_sign(of(text), &vkey, seed, &buffer), PHI_OK);
	if (second != NULL)
	{
		vkey = test_key(second);
		CHECK_INT(phi_note_sign(of(text), &vkey, seed, &buffer), PHI_OK);
	}
	return buffer.size;
}

static void
check_notes(void)
{
	static const char *const bad[] = {"",
									  "\n",
									  "\n\n",
									  "text\n",
									  "text\n\n",
									  "text\n\n" DASH "n AAAAAAA=",
									  "\n" DASH "n AAAAAAA=\n",
									  "text\n" DASH "n AAAAAAA=\n",
									  "text\n\n" DASH "n\n",
									  "text\n\n" DASH " AAAAAAA=\n",
									  "text\n\n" DASH "n AAAA\n",
									  "text\n\n" DASH "n AAAAAAB=\n",
									  "text\n\n" DASH "n AAA=AAAA\n",
									  "text\n\n" DASH "n  AAAAAAA=\n",
									  "text\n\n" DASH "n AAAAAAA= \n",
									  "text\n\n- n AAAAAAA=\n",
									  "text\n\n" DASH "n AAAAAA-=\n",
									  "te\txt\n\n" DASH "n AAAAAAA=\n",
									  "te\x80xt\n\n" DASH "n AAAAAAA=\n",
									  "text\r\n\n" DASH "n AAAAAAA=\n",
									  "text\n\n" DASH "n AAAAAAA=\nmore\n",
									  "text\n\n" DASH "a+b AAAAAAA=\n"};
	uint8_t room[ROOM];
	phi_vkey vkey = test_key(NAME), other = test_key("example.com/other");
	phi_note note;
	size_t size, i;

	CHECK_CASE("a note of two signatures, an empty line in its text");
	size = make_note("one\n\ntwo\n", NAME, "example.com/other", room);
	CHECK_INT(phi_note_parse(phi_bytes_of(room, size), &note), PHI_OK);
	CHECK_INT(note.text.size, 9);
	CHECK_INT(phi_note_verify(&note, &vkey), PHI_OK);
	CHECK_INT(phi_note_verify(&note, &other), PHI_OK);
	other = test_key("example.com/third");
	CHECK_INT(phi_note_verify(&note, &other), PHI_ERR_AUTH);

	CHECK_CASE("a byte changed anywhere is found");
	size = make_note("one\n\ntwo\n", NAME, NULL, room);
	for (i = 0; i < size; i++)
	{
		room[i] ^= 0x01;
		CHECK(phi_note_parse(phi_bytes_of(room, size), &note) != PHI_OK ||
			  phi_note_verify(&note, &vkey) == PHI_ERR_AUTH);
		room[i] ^= 0x01;
	}

	CHECK_CASE("a wrong line of a known key refuses the note; lines of others are ignored");
	size = make_note("text\n", NAME, NULL, room);
	memcpy(room + size, room + 6, size - 6);
	CHECK_INT(phi_note_parse(phi_bytes_of(room, 2 * size - 6), &note), PHI_OK);
	CHECK_INT(phi_note_verify(&note, &vkey), PHI_OK);
	room[size + 40] = room[size + 40] == 'A' ? 'B' : 'A';
	CHECK_INT(phi_note_parse(phi_bytes_of(room, 2 * size - 6), &note), PHI_OK);
	CHECK_INT(phi_note_verify(&note, &vkey), PHI_ERR_AUTH);
	memcpy(room + size, DASH NAME " AAAAAAA=\n", 29);
	CHECK_INT(phi_note_parse(phi_bytes_of(room, size + 29), &note), PHI_OK);
	CHECK_INT(phi_note_verify(&note, &vkey), PHI_OK);

	CHECK_CASE("what is no note");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (!CHECK(phi_note_parse(of(bad[i]), &note) == PHI_ERR_FORMAT))
			printf("# %zu\n", i);
	}
	CHECK_INT(phi_note_parse(of("text\n\n" DASH "n AAAAAAA=\n"), &note), PHI_OK);
	CHECK_INT(phi_note_sign(of("no newline"), &vkey, seed, &(phi_buffer){room, 0, ROOM}),
			  PHI_ERR_ARGUMENT);
}

static void
check_checkpoints(void)
{
	static const char *const bad[] = {"",
									  "o\n",
									  "o\n1\n",
									  "o\n1\n" DIGITS,
									  "\n1\n" DIGITS "\n",
									  "o\n01\n" DIGITS "\n",
									  "o\n\n" DIGITS "\n",
									  "o\n-1\n" DIGITS "\n",
									  "o\n18446744073709551616\n" DIGITS "\n",
									  "o\n1\nAAAA\n",
									  "o\n1\n" DIGITS "\n\n",
									  "o\n1\n" DIGITS "\nx\n\n",
									  "o\n1\n" DIGITS "\nx",
									  "o\n1 \n" DIGITS "\n",
									  "o\n1\n " DIGITS "\n"};
	uint8_t room[ROOM], again[ROOM];
	phi_buffer buffer = {again, 0, sizeof(again)};
	phi_vkey vkey = test_key(NAME);
	phi_checkpoint checkpoint;
	size_t size, i;

	CHECK_CASE("a checkpoint is written back as it was");
	CHECK_INT(phi_checkpoint_parse(of("o\n18446744073709551615\n" DIGITS "\next 1\next 2\n"),
								   &checkpoint),
			  PHI_OK);
	CHECK(checkpoint.size == UINT64_MAX);
	CHECK_INT(phi_checkpoint_format(&checkpoint, &buffer), PHI_OK);
	CHECK_INT(buffer.size, 2 + 21 + 45 + 12);
	CHECK_BYTES(again, "o\n18446744073709551615\n" DIGITS "\next 1\next 2\n", buffer.size);
	buffer.capacity = buffer.size - 1;
	buffer.size = 0;
	CHECK_INT(phi_checkpoint_format(&checkpoint, &buffer), PHI_ERR_SPACE);
	CHECK_INT(buffer.size, 0);

	CHECK_CASE("what is no checkpoint");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (!CHECK(phi_checkpoint_parse(of(bad[i]), &checkpoint) == PHI_ERR_FORMAT))
			printf("# %zu\n", i);
	}

	CHECK_CASE("a checkpoint opens under the key of its own log");
	size = make_note(NAME "\n3\n" DIGITS "\n", NAME, NULL, room);
	CHECK_INT(phi_checkpoint_open(phi_bytes_of(room, size), &vkey, &checkpoint), PHI_OK);
	CHECK_INT(checkpoint.size, 3);
	size = make_note("example.com/another\n3\n" DIGITS "\n", NAME, NULL, room);
	CHECK_INT(phi_checkpoint_open(phi_bytes_of(room, size), &vkey, &checkpoint), PHI_ERR_AUTH);
}

static void
check_proofs(void)
{
	static const char *const fronts[] = {"",
										 "c2sp.org/tlog-proof@v1\n",
										 "c2sp.org/tlog-proof@v2\nindex 0\n\n",
										 "c2sp.org/tlog-proof@v1\nindex 00\n\n",
										 "c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\n",
										 "c2sp.org/tlog-proof@v1\nextra \nindex 0\n\n",
										 "c2sp.org/tlog-proof@v1\nextra A\nindex 0\n\n",
										 "c2sp.org/tlog-proof@v1\nextra AAAA\n\n",
										 "c2sp.org/tlog-proof@v1\nindex 0\n" DIGITS "\n"};
	uint8_t room[ROOM], again[ROOM], note[ROOM];
	phi_buffer buffer = {again, 0, sizeof(again)};
	phi_log_proof proof;
	size_t size, i;
	int written;

	CHECK_CASE("a log proof is written back as it was");
	size = make_note(NAME "\n3\n" DIGITS "\n", NAME, NULL, note);
	written = snprintf((char *) room, sizeof(room),
					   "c2sp.org/tlog-proof@v1\nextra AAAAAAA=\nindex 73894\n" DIGITS "\n" DIGITS
					   "\n\n%.*s",
					   (int) size, (char *) note);
	CHECK_INT(phi_log_proof_parse(phi_bytes_of(room, (size_t) written), &proof), PHI_OK);
	CHECK_INT(proof.index, 73894);
	CHECK_INT(proof.path_size, 2);
	CHECK_INT(proof.extra.size, 8);
	CHECK_INT(proof.checkpoint.size, size);
	CHECK_INT(phi_log_proof_format(&proof, &buffer), PHI_OK);
	CHECK_INT(buffer.size, written);
	CHECK_BYTES(again, room, buffer.size);

	CHECK_CASE("what is no log proof");
	for (i = 0; i < sizeof(fronts) / sizeof(fronts[0]); i++)
	{
		written =
			snprintf((char *) room, sizeof(room), "%s%.*s", fronts[i], (int) size, (char *) note);
		if (!CHECK(phi_log_proof_parse(phi_bytes_of(room, (size_t) written), &proof) ==
				   PHI_ERR_FORMAT))
			printf("# %zu\n", i);
	}
}

/* RFC 4648 section 10, and what is not canonical. */
static void
check_base64(void)
{
	static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
	static const char *const text[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
									   "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
	static const char *const bad[] = {"Z",    "Zg",   "Zg=",  "Zh==", "Zm9=",   "Zg==Zg==", "====",
									  "Z===", "Zm-v", "Zm_v", "Zm v", "Zm9v\n", "=Zm8"};
	uint8_t room[16];
	phi_buffer buffer = {room, 0, sizeof(room)};
	char encoded[16];
	size_t i;

	CHECK_CASE("base64 of RFC 4648 section 10");
	for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
	{
		phi_base64_encode(of(plain[i]), encoded);
		CHECK_INT(phi_base64_size(strlen(plain[i])), strlen(text[i]));
		CHECK_BYTES(encoded, text[i], strlen(text[i]));
		CHECK_INT(phi_base64_decode(text[i], strlen(text[i]), &buffer), PHI_OK);
		CHECK_INT(buffer.size, strlen(plain[i]));
		CHECK_BYTES(room, plain[i], buffer.size);
	}
	CHECK_INT(phi_base64_decode("+/+/", 4, &buffer), PHI_OK);
	CHECK_BYTES(room, "\xfb\xff\xbf", 3);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (!CHECK(phi_base64_decode(bad[i], strlen(bad[i]), &buffer) == PHI_ERR_FORMAT))
			printf("# %zu\n", i);
		CHECK_INT(buffer.size, 0);
	}
	buffer.capacity = 5;
	CHECK_INT(phi_base64_decode("Zm9vYmFy", 8, &buffer), PHI_ERR_SPACE);
}

int
main(void)
{
	check_base64();
	check_ed25519();
	check_vector();
	check_keys();
	check_notes();
	check_checkpoints();
	check_proofs();
	return check_done();
}
