/*-------------------------------------------------------------------------
 * test_bytes.c
 *		Buffers, integers, base64url, hexadecimal, the words of a status.
 *-------------------------------------------------------------------------
 */
#include "check.h"
#include "core/bytes.h"

#include <ctype.h>

/* RFC 4648 section 10, without padding, and what only the URL alphabet has. */
static const struct
{
	const char *bytes;
	const char *text;
} known[] = {
	{"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
	{"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xbf", "-_-_"},
	{"\xff", "_w"},
};

static void
check_known_texts(void)
{
	uint8_t storage[16];
	char text[16];
	size_t i;

	CHECK_CASE("base64url of known texts");
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		size_t size = strlen(known[i].bytes);
		phi_buffer out = {storage, 0, size};

		CHECK_INT(phi_base64url_size(size), strlen(known[i].text));
		memset(text, '#', sizeof(text));
		phi_base64url_encode(phi_bytes_of(known[i].bytes, size), text);
		CHECK_BYTES(text, known[i].text, strlen(known[i].text));
		CHECK_INT(text[strlen(known[i].text)], '#');
		CHECK_INT(phi_base64url_decode(known[i].text, strlen(known[i].text), &out), PHI_OK);
		CHECK_INT(out.size, size);
		CHECK_BYTES(storage, known[i].bytes, size);
	}
}

static void
check_round_trips(void)
{
	uint8_t bytes[300], back[300];
	char text[400];
	size_t size, i;

	CHECK_CASE("base64url round trip of every size to 300");
	for (size = 0; size <= sizeof(bytes); size++)
	{
		phi_buffer out = {back, 99, size};

		for (i = 0; i < size; i++)
			bytes[i] = (uint8_t) (i * 167 + size * 13);
		phi_base64url_encode(phi_bytes_of(bytes, size), text);
		CHECK_INT(phi_base64url_decode(text, phi_base64url_size(size), &out), PHI_OK);
		CHECK_INT(out.size, size);
		CHECK_BYTES(back, bytes, size);
		if (size > 0)
		{
			out.capacity = size - 1;
			CHECK_INT(phi_base64url_decode(text, phi_base64url_size(size), &out), PHI_ERR_SPACE);
			CHECK_INT(out.size, 0);
		}
	}
}

/* Every pair of characters is one byte's encoding or refused; 256 are encodings. */
static void
check_two_digits(void)
{
	uint8_t byte;
	char text[2], again[2];
	unsigned accepted = 0;
	unsigned a, b;

	CHECK_CASE("base64url of two characters: 256 of 65536 decode, each to itself");
	for (a = 0; a < 256; a++)
	{
		for (b = 0; b < 256; b++)
		{
			phi_buffer out = {&byte, 0, 1};

			text[0] = (char) a;
			text[1] = (char) b;
			if (phi_base64url_decode(text, 2, &out) != PHI_OK)
				continue;
			accepted++;
			phi_base64url_encode(phi_bytes_of(&byte, 1), again);
			CHECK_BYTES(again, text, 2);
		}
	}
	CHECK_INT(accepted, 256);
}

static void
check_refused_digits(void)
{
	uint8_t storage[6];
	char text[8];
	unsigned byte, position;

	CHECK_CASE("base64url refuses every foreign character at every position");
	for (byte = 0; byte < 256; byte++)
	{
		bool digit = byte < 128 && (isalnum((int) byte) || byte == '-' || byte == '_');

		for (position = 0; position < 8; position++)
		{
			phi_buffer out = {storage, 0, sizeof(storage)};

			memcpy(text, "Zm9vYmFy", 8);
			text[position] = (char) byte;
			CHECK_INT(phi_base64url_decode(text, 8, &out), digit ? PHI_OK : PHI_ERR_FORMAT);
			CHECK_INT(out.size, digit ? 6 : 0);
		}
	}
	CHECK_CASE("base64url refuses padding, a lone digit and unused bits");
	{
		static const char *const bad[] = {"Z",    "Zm9vY", "Zg==",   "Zm8=", "Zh",   "Z/", "Zm9",
										  "Zm8 ", " Zm8",  "Zm9v\n", "Zg=",  "====", "=",  "Zm8\r"};
		size_t i;

		for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		{
			phi_buffer out = {storage, 0, sizeof(storage)};

			CHECK_INT(phi_base64url_decode(bad[i], strlen(bad[i]), &out), PHI_ERR_FORMAT);
		}
		for (i = 1; i <= 5; i += 4) /* a digit left over, with good ones beyond the size */
		{
			phi_buffer out = {storage, 0, sizeof(storage)};

			CHECK_INT(phi_base64url_decode("AAAAAAAA", i, &out), PHI_ERR_FORMAT);
		}
	}
}

static void
check_hexadecimal(void)
{
	uint8_t out[4];
	char text[2];
	unsigned byte;

	CHECK_CASE("hexadecimal of either case");
	CHECK_INT(phi_hex_decode("00ffA5c3", 8, out, 4), PHI_OK);
	CHECK_BYTES(out, "\x00\xff\xa5\xc3", 4);
	CHECK_INT(phi_hex_decode("", 0, out, 0), PHI_OK);
	CHECK_CASE("hexadecimal refuses a wrong count of digits");
	CHECK_INT(phi_hex_decode("00ff", 4, out, 1), PHI_ERR_FORMAT);
	CHECK_INT(phi_hex_decode("00f", 3, out, 2), PHI_ERR_FORMAT);
	CHECK_INT(phi_hex_decode("00f", 3, out, 1), PHI_ERR_FORMAT);
	CHECK_INT(phi_hex_decode("", 0, out, SIZE_MAX / 2 + 1), PHI_ERR_FORMAT);
	CHECK_CASE("hexadecimal: every byte as a digit");
	for (byte = 0; byte < 256; byte++)
	{
		bool digit = byte < 128 && isxdigit((int) byte);
		unsigned value = byte <= '9' ? byte - '0' : (byte | 0x20) - 'a' + 10;

		text[0] = '0';
		text[1] = (char) byte;
		CHECK_INT(phi_hex_decode(text, 2, out, 1), digit ? PHI_OK : PHI_ERR_FORMAT);
		if (digit)
			CHECK_INT(out[0], value);
		text[0] = (char) byte;
		text[1] = '0';
		CHECK_INT(phi_hex_decode(text, 2, out, 1), digit ? PHI_OK : PHI_ERR_FORMAT);
		if (digit)
			CHECK_INT(out[0], value << 4);
	}
}

static void
check_buffers(void)
{
	uint8_t storage[4] = {0};
	phi_buffer buffer = {storage, 0, 4};

	CHECK_CASE("append fills a buffer and leaves it where it does not fit");
	CHECK_INT(phi_buffer_append(&buffer, phi_bytes_of("abc", 3)), PHI_OK);
	CHECK_INT(phi_buffer_append(&buffer, phi_bytes_of("de", 2)), PHI_ERR_SPACE);
	CHECK_INT(phi_buffer_append(&buffer, phi_bytes_of("de", SIZE_MAX)), PHI_ERR_SPACE);
	CHECK_INT(buffer.size, 3);
	CHECK_INT(phi_buffer_append(&buffer, phi_bytes_of("d", 1)), PHI_OK);
	CHECK_INT(phi_buffer_append(&buffer, phi_bytes_of(NULL, 0)), PHI_OK);
	CHECK_INT(buffer.size, 4);
	CHECK_BYTES(storage, "abcd", 4);
	buffer.size = 5;
	CHECK_INT(phi_buffer_append(&buffer, phi_bytes_of(NULL, 0)), PHI_ERR_ARGUMENT);
}

static void
check_integers(void)
{
	uint8_t bytes[8];

	CHECK_CASE("integers are big-endian");
	phi_put_u64(bytes, 0xFEDCBA9876543210u);
	CHECK_BYTES(bytes, "\xfe\xdc\xba\x98\x76\x54\x32\x10", 8);
	CHECK(phi_get_u64(bytes) == 0xFEDCBA9876543210u);
	CHECK(phi_get_u32(bytes) == 0xFEDCBA98u);
	CHECK(phi_get_u16(bytes) == 0xFEDC);
	phi_put_u32(bytes, 0x80000001u);
	CHECK_BYTES(bytes, "\x80\x00\x00\x01", 4);
	phi_put_u16(bytes, 0x8001);
	CHECK_BYTES(bytes, "\x80\x01", 2);
}

static void
check_status_words(void)
{
	int i, j;

	CHECK_CASE("every status has words of its own");
	for (i = 0; i < PHI_STATUS_COUNT; i++)
	{
		CHECK(phi_status_text((phi_status) i) != NULL);
		CHECK(phi_status_text((phi_status) i)[0] != '\0');
		for (j = 0; j < i; j++)
			CHECK(strcmp(phi_status_text((phi_status) i), phi_status_text((phi_status) j)) != 0);
	}
	CHECK_TEXT(phi_status_text(PHI_STATUS_COUNT), "unknown status");
}

int
main(void)
{
	check_known_texts();
	check_round_trips();
	check_two_digits();
	check_refused_digits();
	check_hexadecimal();
	check_buffers();
	check_integers();
	check_status_words();
	return check_done();
}
