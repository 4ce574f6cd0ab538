/*-------------------------------------------------------------------------
 * test_json.c
 *		The strict JSON reader: what it takes, what it refuses, what it finds.
 *-------------------------------------------------------------------------
 */
#define _POSIX_C_SOURCE 200809L /* strndup */

#include "check.h"
#include "core/json.h"

#include <stdlib.h>

#define TOKENS 64

static phi_json_token tokens[TOKENS];
static phi_json json;

static phi_status
parse(const char *text)
{
	return phi_json_read(text, strlen(text), tokens, TOKENS, &json);
}

static size_t
find(size_t object, const char *name)
{
	return phi_json_member(&json, object, name, strlen(name));
}

static size_t
path(const char *names)
{
	return phi_json_path(&json, 0, names, strlen(names));
}

static void
check_accepted(void)
{
	static const char *const texts[] = {"{}",
										"[]",
										" \t\r\n[ ] ",
										"null",
										"true",
										"false",
										"0",
										"-0",
										"1.5e+10",
										"-1E-2",
										"\"\"",
										"[1,2,[3,{\"a\":null}]]",
										"{\"a\":1,\"b\":{\"a\":2}}",
										"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
										"\"\\u00e9\\uD83D\\uDE00\"",
										"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
										"\"\x7f\"",
										"\"\xf4\x8f\xbf\xbf\"",
										"\"\xed\x9f\xbf\xee\x80\x80\"",
										"[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"};
	size_t i;

	CHECK_CASE("texts of the grammar are read");
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		if (!CHECK_INT(parse(texts[i]), PHI_OK))
			printf("# %s\n", texts[i]);
	}
}

static void
check_refused(void)
{
	static const char *const texts[] = {"",
										" ",
										"{",
										"}",
										"[",
										"]",
										"[1",
										"[1,",
										"[1,]",
										"[,1]",
										"[1 2]",
										"{\"a\"}",
										"{\"a\":}",
										"{\"a\":1,}",
										"{a:1}",
										"{1:1}",
										"{'a':1}",
										"{\"a\":1 \"b\":2}",
										"nul",
										"nulll",
										"True",
										"NaN",
										"Infinity",
										"-",
										"+1",
										"01",
										"-01",
										"1.",
										".5",
										"1e",
										"1e+",
										"0x10",
										"1 2",
										"[]x",
										"\"",
										"\"a",
										"\"\\\"",
										"\"\\x41\"",
										"\"\\u12\"",
										"\"\\u12g4\"",
										"\"\n\"",
										"\"\x01\"",
										"\"\\u0000\"",
										"\"\\ud800\"",
										"\"\\udc00\"",
										"\"\\ud800\\ud800\"",
										"\"\\ud800x\"",
										"\"\\udbff\\ue000\"",
										"\"\x80\"",
										"\"\xc0\x80\"",
										"\"\xc1\xbf\"",
										"\"\xe0\x80\x80\"",
										"\"\xed\xa0\x80\"",
										"\"\xf0\x80\x80\x80\"",
										"\"\xf4\x90\x80\x80\"",
										"\"\xf5\x80\x80\x80\"",
										"\"\xe2\x82\"",
										"\"\xff\"",
										"\xef\xbb\xbf{}",
										"/**/{}",
										"{}//",
										"\v[]",
										"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"};
	size_t i;

	CHECK_CASE("texts outside it are refused");
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		if (!CHECK_INT(parse(texts[i]), PHI_ERR_FORMAT))
			printf("# %s\n", texts[i]);
		CHECK_INT(json.count, 0);
	}
	CHECK_INT(phi_json_read("[\0]", 3, tokens, TOKENS, &json), PHI_ERR_FORMAT);
	CHECK_INT(phi_json_read("\"a\0b\"", 5, tokens, TOKENS, &json), PHI_ERR_FORMAT);

	CHECK_CASE("every text cut short is refused");
	{
		const char *whole = "{\"a\":[1.5,true,\"\\u00e9\xe2\x82\xac\"],\"b\":{\"c\":null}}";

		for (i = 0; i < strlen(whole); i++)
		{
			char *exact = strndup(whole, i);

			CHECK_INT(phi_json_read(exact, i, tokens, TOKENS, &json), PHI_ERR_FORMAT);
			free(exact);
		}
		CHECK_INT(parse(whole), PHI_OK);
	}

	CHECK_CASE("a member given twice is refused, however it is written");
	CHECK_INT(parse("{\"a\":1,\"a\":1}"), PHI_ERR_FORMAT);
	CHECK_INT(parse("{\"a\":1,\"\\u0061\":2}"), PHI_ERR_FORMAT);
	CHECK_INT(parse("{\"\xc3\xa9\":1,\"b\":{\"x\":[]},\"\\u00E9\":2}"), PHI_ERR_FORMAT);
	CHECK_INT(parse("{\"b\":{\"x\":1,\"y\":2,\"x\":3}}"), PHI_ERR_FORMAT);
	CHECK_INT(parse("{\"\":1,\"\":1}"), PHI_ERR_FORMAT);
	CHECK_INT(parse("{\"a\":\"a\",\"b\":\"a\",\"A\":0,\"aa\":0}"), PHI_OK);

	CHECK_CASE("more values than tokens are refused");
	CHECK_INT(phi_json_read("[1,2,3]", 7, tokens, 3, &json), PHI_ERR_SPACE);
	CHECK_INT(phi_json_read("[1,2,3]", 7, tokens, 4, &json), PHI_OK);
	CHECK_INT(phi_json_read("1", 1, tokens, 0, &json), PHI_ERR_SPACE);
}

static void
check_finding(void)
{
	size_t at, array;

	CHECK_CASE("members and paths are found");
	CHECK_INT(parse("{\"a\":{\"b\":{\"c\":7}},\"x.y\":\"whole\",\"x\":{\"y\":\"parts\",\"z\":1},"
					"\"https://h.example/roles\":[\"r\"],\"\\u0065\":\"e\"}"),
			  PHI_OK);
	CHECK(find(0, "b") == 0 && find(0, "") == 0 && find(0, "aa") == 0);
	CHECK_INT(phi_json_type_at(&json, path("a.b.c")), PHI_JSON_NUMBER);
	CHECK(path("a.b.c.d") == 0 && path("a.") == 0 && path(".a") == 0 && path("a..b") == 0 &&
		  path("") == 0 && path("q.b") == 0);
	CHECK(phi_json_is(&json, path("x.y"), "whole"));
	CHECK_INT(phi_json_type_at(&json, path("x.z")), PHI_JSON_NUMBER);
	CHECK_INT(phi_json_type_at(&json, path("https://h.example/roles")), PHI_JSON_ARRAY);
	CHECK(phi_json_is(&json, find(0, "e"), "e") && !phi_json_is(&json, find(0, "e"), "ee") &&
		  !phi_json_is(&json, find(0, "e"), "") && !phi_json_is(&json, 0, "e"));

	CHECK_CASE("arrays are walked, and what is none has no elements");
	CHECK_INT(parse("{\"list\":[1,[2,3],{\"k\":\"v\"},\"s\"],\"none\":[],\"number\":1}"), PHI_OK);
	array = find(0, "list");
	at = phi_json_first(&json, array);
	CHECK_INT(phi_json_type_at(&json, at), PHI_JSON_NUMBER);
	at = phi_json_after(&json, array, at);
	CHECK_INT(phi_json_type_at(&json, at), PHI_JSON_ARRAY);
	at = phi_json_after(&json, array, at);
	CHECK(phi_json_is(&json, find(at, "k"), "v"));
	at = phi_json_after(&json, array, at);
	CHECK(phi_json_is(&json, at, "s"));
	CHECK_INT(phi_json_after(&json, array, at), 0);
	CHECK(phi_json_first(&json, find(0, "none")) == 0 &&
		  phi_json_first(&json, find(0, "number")) == 0 && phi_json_first(&json, 0) == 0 &&
		  phi_json_first(&json, 999) == 0);
}

static void
check_decoding(void)
{
	char out[16];
	size_t size;
	int64_t seconds;
	size_t at;

	CHECK_CASE("strings are decoded, and only where they fit");
	CHECK_INT(parse("\"a\\u00e9\\uD83D\\uDE00\\n\""), PHI_OK);
	CHECK_INT(phi_json_string(&json, 0, out, sizeof(out), &size), PHI_OK);
	CHECK_TEXT(out, "a\xc3\xa9\xf0\x9f\x98\x80\n");
	CHECK_INT(size, 8);
	CHECK_INT(phi_json_string(&json, 0, out, 9, &size), PHI_OK);
	CHECK_INT(phi_json_string(&json, 0, out, 8, &size), PHI_ERR_SPACE);
	CHECK(size == 0 && out[0] == '\0');
	CHECK_INT(phi_json_string(&json, 0, out, 0, &size), PHI_ERR_SPACE);
	CHECK_INT(parse("[17]"), PHI_OK);
	CHECK_INT(phi_json_string(&json, 1, out, sizeof(out), &size), PHI_ERR_FORMAT);
	CHECK_INT(phi_json_string(&json, 9, out, sizeof(out), &size), PHI_ERR_FORMAT);

	CHECK_CASE("seconds");
	CHECK_INT(parse("[0,1700000000,1700000000.987,253402300799,253402300800,-1,1e9,1.5e9,"
					"99999999999999999999999,\"1\",null,1.5E9]"),
			  PHI_OK);
	CHECK(phi_json_seconds(&json, 1, &seconds) == PHI_OK && seconds == 0);
	CHECK(phi_json_seconds(&json, 2, &seconds) == PHI_OK && seconds == 1700000000);
	CHECK(phi_json_seconds(&json, 3, &seconds) == PHI_OK && seconds == 1700000000);
	CHECK(phi_json_seconds(&json, 4, &seconds) == PHI_OK && seconds == INT64_C(253402300799));
	for (at = 5; at <= 12; at++)
		CHECK_INT(phi_json_seconds(&json, at, &seconds), PHI_ERR_FORMAT);
	CHECK_INT(phi_json_seconds(&json, 0, &seconds), PHI_ERR_FORMAT);
}

int
main(void)
{
	check_accepted();
	check_refused();
	check_finding();
	check_decoding();
	return check_done();
}
