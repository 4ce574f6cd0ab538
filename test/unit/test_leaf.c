/*-------------------------------------------------------------------------
 * test_leaf.c
 *		Leaves of audit events as JSON, and what is no leaf.
 *-------------------------------------------------------------------------
 */
#include "check.h"
#include "core/leaf.h"

#define ROOM 4096

static uint8_t leaf[ROOM];
static size_t leaf_size;

static void
field(uint8_t tag, const void *value, size_t size)
{
	leaf[leaf_size++] = tag;
	phi_put_u32(leaf + leaf_size, (uint32_t) size);
	if (size > 0)
		memcpy(leaf + leaf_size + 4, value, size);
	leaf_size += 4 + size;
}

static void
begin(void)
{
	leaf[0] = PHI_LEAF_VERSION;
	leaf_size = 1;
}

/* The leaf's JSON, or NULL. */
static const char *
json(void)
{
	static char text[ROOM];
	phi_buffer out = {(uint8_t *) text, 0, sizeof(text) - 1};

	if (phi_leaf_json(phi_bytes_of(leaf, leaf_size), &out) != PHI_OK)
		return NULL;
	text[out.size] = '\0';
	return text;
}

static const char *
time_of(int64_t usecs)
{
	uint8_t value[8];

	phi_put_u64(value, (uint64_t) usecs);
	begin();
	field(2, value, 8);
	return json();
}

static void
check_every_form(void)
{
	static const uint8_t texts[] = {0, 0, 0, 2, 0, 0, 0, 1, 'a', 0, 0, 0, 0};
	static const uint8_t numbers[] = {0, 0, 0,   2,   0,   0,   0,   0,   0,   0,
									  0, 7, 255, 255, 255, 255, 255, 255, 255, 254};
	static const uint8_t ipv4[] = {2, 32, 0, 4, 192, 168, 0, 1};
	static const uint8_t ipv6[] = {3, 64, 0, 16, 0x20, 1, 0xd, 0xb8, 0, 0,
								   0, 0,  0, 0,  0,    0, 0,   0,    0, 1};
	uint64_t event;

	CHECK_CASE("a field of every form");
	begin();
	field(1, "\0\0\0\0\0\0\1\2", 8);
	field(4, "\377\377\377\377\377\377\377\377", 8);
	field(5, "a\"b\\c\n\xC3\xA9", 8);
	field(8, texts, sizeof(texts));
	field(12, "\377\377\377\377\377\377\377\377", 8);
	field(18, "\377\377\377\377", 4);
	field(21, numbers, sizeof(numbers));
	field(25, ipv4, sizeof(ipv4));
	field(27, "\1\xAB", 2);
	field(28, "\2", 1);
	CHECK_TEXT(json(), "{\"event_id\":258,\"txid\":18446744073709551615,"
					   "\"actor\":\"a\\\"b\\\\c\\u000a\xC3\xA9\",\"workforce_roles\":[\"a\",\"\"],"
					   "\"consent_id\":-1,\"relation_oid\":4294967295,\"subjects\":[7,-2],"
					   "\"client_address\":\"192.168.0.1\",\"salt\":\"01ab\",\"images_sha256\":\"02\"}");
	CHECK_INT(phi_leaf_event(phi_bytes_of(leaf, leaf_size), &event), PHI_OK);
	CHECK_INT(event, 258);
	begin();
	field(25, ipv6, sizeof(ipv6));
	CHECK_TEXT(json(), "{\"client_address\":\"2001:0db8:0000:0000:0000:0000:0000:0001/64\"}");
	CHECK_INT(phi_leaf_event(phi_bytes_of(leaf, leaf_size), &event), PHI_ERR_FORMAT);

	CHECK_CASE("times");
	CHECK_TEXT(time_of(0), "{\"recorded_at\":\"2000-01-01T00:00:00.000000Z\"}");
	CHECK_TEXT(time_of(-1), "{\"recorded_at\":\"1999-12-31T23:59:59.999999Z\"}");
	CHECK_TEXT(time_of(INT64_C(762524796123456)),
			   "{\"recorded_at\":\"2024-02-29T12:26:36.123456Z\"}");
	CHECK_TEXT(time_of(INT64_C(-3155673600000000)),
			   "{\"recorded_at\":\"1900-01-01T00:00:00.000000Z\"}");
	CHECK_TEXT(time_of(INT64_C(68169600000000)),
			   "{\"recorded_at\":\"2002-02-28T00:00:00.000000Z\"}");
	CHECK_TEXT(time_of(INT64_MAX), "{\"recorded_at\":9223372036854775807}");
	CHECK_TEXT(time_of(INT64_MIN), "{\"recorded_at\":-9223372036854775808}");
}

static void
refuse(void)
{
	CHECK(json() == NULL);
}

static void
check_refusals(void)
{
	size_t whole, i;

	CHECK_CASE("what is no leaf");
	leaf_size = 0;
	refuse();
	begin();
	refuse();
	field(0, "", 0);
	refuse();
	begin();
	field(29, "", 0);
	refuse();
	begin();
	field(5, "a", 1);
	field(5, "a", 1);
	refuse();
	begin();
	field(6, "a", 1);
	field(5, "a", 1);
	refuse();
	begin();
	field(1, "1234567", 7);
	refuse();
	begin();
	field(21, "\0\0\0\2\0\0\0\0\0\0\0\0", 12);
	refuse();
	begin();
	field(8, "\0\0\0\1\0\0\0\5abc", 11);
	refuse();
	begin();
	field(8, "\0\0\0\0x", 5);
	refuse();
	begin();
	field(25, "\2\40\0\4\1\2\3", 7);
	refuse();
	begin();
	field(25, "\2\41\0\4\1\2\3\4", 8);
	refuse();
	begin();
	field(1, "\0\0\0\0\0\0\0\1", 8);
	leaf[0] = 2;
	refuse();

	CHECK_CASE("a leaf cut anywhere, and too little room");
	begin();
	field(5, "actor", 5);
	field(27, "0123456789abcdef", 16);
	whole = leaf_size;
	for (i = 0; i < whole; i++)
	{
		leaf_size = i;
		CHECK(json() == NULL || i == 11);
	}
	leaf_size = whole;
	for (i = 0; i < strlen(json()); i++)
	{
		uint8_t room[ROOM];
		phi_buffer out = {room, 0, i};

		CHECK(phi_leaf_json(phi_bytes_of(leaf, leaf_size), &out) == PHI_ERR_SPACE && out.size == 0);
	}
}

int
main(void)
{
	check_every_form();
	check_refusals();
	return check_done();
}
