/*-------------------------------------------------------------------------
 * test_forms.c
 *		Kinds and forms: a table of texts that reaches every cell, the
 *		calendar against a walk through it day by day, ZIP codes against the
 *		census, and what holds of any bytes whatever.
 *-------------------------------------------------------------------------
 */
#include "check.h"

#include <stdlib.h>

#include "core/forms.h"

#define RANDOM_TEXTS 3000
#define LARGE        (1024 * 1024)
#define DAY_MICROS   INT64_C(86400000000)
#define FIRST_DAY    (-2451545) /* 4714-11-24 BC */

/* Short names for the table below. */
#define K(kind)   PHI_KIND_##kind
#define HARBOR    PHI_FORM_SAFE_HARBOR
#define PARTIAL   PHI_FORM_PARTIAL
#define UNCHANGED ((const char *) 1)

static const struct
{
	phi_kind kind;
	phi_form form;
	const char *in;
	const char *out; /* NULL for nothing */
} texts[] = {
	{K(NAME), HARBOR, "John Doe", NULL},
	{K(NAME), PARTIAL, "John Doe", "J*** D***"},
	{K(NAME), PARTIAL, "  Ana\tMar\303\255a  D\303\255az\n", "A*** M*** D***"},
	{K(NAME), PARTIAL, "\303\211ric \305\201ukasz", "\303\211*** \305\201***"},
	{K(NAME), PARTIAL, "\345\261\261\347\224\260 \360\237\231\202x",
	 "\345\261\261*** \360\237\231\202***"},
	{K(NAME), PARTIAL, "J D", "J*** D***"},
	{K(NAME), PARTIAL, "O'Brien-Smith,", "O***"},
	{K(NAME), PARTIAL, "", ""},
	{K(NAME), PARTIAL, "   ", ""},
	{K(NAME), PARTIAL, "\303", "\303***"},
	{K(NAME), PARTIAL, "\303x \300\200y \355\240\200z", "\303*** \300*** \355***"},
	{K(NAME), PARTIAL, "\360\237\231 \364\220\200\200", "\360*** \364***"},
	{K(NAME), PARTIAL, "\340\237\277 \360\217\277\277 \377 \200",
	 "\340*** \360*** \377*** \200***"},
	{K(ADDRESS), HARBOR, "12 Main St", NULL},
	{K(ADDRESS), PARTIAL, "12 Main St", "***"},
	{K(ADDRESS), PARTIAL, "", ""},
	{K(CITY), HARBOR, "Boston", NULL},
	{K(CITY), PARTIAL, "Boston", UNCHANGED},
	{K(COUNTY), HARBOR, "Suffolk", NULL},
	{K(COUNTY), PARTIAL, "Suffolk", UNCHANGED},
	{K(STATE), HARBOR, "MA", UNCHANGED},
	{K(STATE), PARTIAL, "MA", UNCHANGED},
	{K(STATE), HARBOR, "", UNCHANGED},
	{K(ZIP), HARBOR, "02155", "021"},
	{K(ZIP), PARTIAL, "02155", "021**"},
	{K(ZIP), HARBOR, "2155", "021"},
	{K(ZIP), HARBOR, "601", "006"},
	{K(ZIP), HARBOR, "03601", "000"},
	{K(ZIP), HARBOR, "3601", "000"},
	{K(ZIP), HARBOR, "03799", "037"},
	{K(ZIP), HARBOR, "06301", "000"},
	{K(ZIP), PARTIAL, "06301", "000**"},
	{K(ZIP), HARBOR, "06401", "064"},
	{K(ZIP), HARBOR, "89001", "000"},
	{K(ZIP), HARBOR, "99950", "999"},
	{K(ZIP), HARBOR, "02155-1234", "021"},
	{K(ZIP), HARBOR, "021551234", "021"},
	{K(ZIP), HARBOR, "21551234", "021"},
	{K(ZIP), HARBOR, "2155-1234", "021"},
	{K(ZIP), HARBOR, " \t02155 \n", "021"},
	{K(ZIP), HARBOR, "00000", "000"},
	{K(ZIP), HARBOR, "00501", "000"},
	{K(ZIP), HARBOR, "", "000"},
	{K(ZIP), PARTIAL, "", ""},
	{K(ZIP), PARTIAL, " ", "000**"},
	{K(ZIP), HARBOR, "10", "000"},
	{K(ZIP), HARBOR, "100101", "000"},
	{K(ZIP), HARBOR, "1001012", "000"},
	{K(ZIP), HARBOR, "601-1234", "000"},
	{K(ZIP), HARBOR, "1-0010", "000"},
	{K(ZIP), HARBOR, "-10010", "000"},
	{K(ZIP), HARBOR, "10010-", "000"},
	{K(ZIP), HARBOR, "10010-123", "000"},
	{K(ZIP), HARBOR, "1001-01234", "000"},
	{K(ZIP), HARBOR, "10010--1234", "000"},
	{K(ZIP), HARBOR, "1001012345", "000"},
	{K(ZIP), HARBOR, "10010 1234", "000"},
	{K(ZIP), HARBOR, "M5V 2T6", "000"},
	{K(ZIP), HARBOR, "021**", "000"},
	{K(ZIP), HARBOR, "\331\240\331\242\331\241\331\245\331\245", "000"},
	{K(GEO), HARBOR, "42.36,-71.05", NULL},
	{K(GEO), PARTIAL, "42.36,-71.05", NULL},
	{K(GEO), PARTIAL, "", NULL},
	{K(BIRTH_DATE), HARBOR, "1985-03-27", NULL},
	{K(BIRTH_DATE), PARTIAL, "1985-03-27", "1985-03"},
	{K(BIRTH_DATE), PARTIAL, " 1985-03-27T10:00:00Z", "1985-03"},
	{K(BIRTH_DATE), PARTIAL, "1985-03", "1985-03"},
	{K(BIRTH_DATE), PARTIAL, "1985", "1985"},
	{K(BIRTH_DATE), PARTIAL, "", ""},
	{K(BIRTH_DATE), PARTIAL, "1985-13-01", NULL},
	{K(BIRTH_DATE), PARTIAL, "1985-00-01", NULL},
	{K(BIRTH_DATE), PARTIAL, "1985-12-00", NULL},
	{K(BIRTH_DATE), PARTIAL, "1985-12-31", "1985-12"},
	{K(BIRTH_DATE), PARTIAL, "1985-01-32", NULL},
	{K(BIRTH_DATE), PARTIAL, "1985-01-311", NULL},
	{K(BIRTH_DATE), PARTIAL, "1985-03-2", NULL},
	{K(BIRTH_DATE), PARTIAL, "1985-3-27", NULL},
	{K(BIRTH_DATE), PARTIAL, "03/27/1985", NULL},
	{K(BIRTH_DATE), PARTIAL, "19850327", NULL},
	{K(BIRTH_DATE), PARTIAL, "1985-13", NULL},
	{K(BIRTH_DATE), PARTIAL, "infinity", NULL},
	{K(DEATH_DATE), HARBOR, "2020-02-29", NULL},
	{K(DEATH_DATE), PARTIAL, "2020-02-29", "2020-02"},
	{K(SERVICE_DATE), HARBOR, "2020-02-29", NULL},
	{K(SERVICE_DATE), PARTIAL, "2020-02-29", "2020-02"},
	{K(AGE), HARBOR, "89", "89"},
	{K(AGE), HARBOR, "90", "90"},
	{K(AGE), HARBOR, "91", "90"},
	{K(AGE), HARBOR, "100", "90"},
	{K(AGE), HARBOR, "99999999999999999999999999", "90"},
	{K(AGE), HARBOR, " 007 ", "7"},
	{K(AGE), HARBOR, "0", "0"},
	{K(AGE), HARBOR, "-1", NULL},
	{K(AGE), HARBOR, "95 years", NULL},
	{K(AGE), HARBOR, "", NULL},
	{K(AGE), HARBOR, " ", NULL},
	{K(AGE), PARTIAL, "95", "90"},
	{K(AGE), PARTIAL, "", ""},
	{K(PHONE), HARBOR, "617-555-1234", NULL},
	{K(PHONE), PARTIAL, "(617) 555-1234", "***-***-1234"},
	{K(PHONE), PARTIAL, "5551234", "***-***-1234"},
	{K(PHONE), PARTIAL, "555123", "***"},
	{K(PHONE), PARTIAL, "", ""},
	{K(FAX), HARBOR, "617-555-1234", NULL},
	{K(FAX), PARTIAL, "+1 617 555 1234", "***-***-1234"},
	{K(AGE), PHI_FORM_AGE_BAND, "0", "0"},
	{K(AGE), PHI_FORM_AGE_BAND, "4", "0"},
	{K(AGE), PHI_FORM_AGE_BAND, " 37 ", "35"},
	{K(AGE), PHI_FORM_AGE_BAND, "89", "85"},
	{K(AGE), PHI_FORM_AGE_BAND, "90", "90"},
	{K(AGE), PHI_FORM_AGE_BAND, "99999999999999999999999999", "90"},
	{K(AGE), PHI_FORM_AGE_BAND, "-1", NULL},
	{K(AGE), PHI_FORM_AGE_BAND, "", NULL},
	{K(MRN), PHI_FORM_AGE_BAND, "37", NULL},
	{K(BIRTH_DATE), PHI_FORM_AGE_BAND, "1985-03-27", NULL},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "J45.901", "J45"},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, " j45901\n", "J45"},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "J45", "J45"},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "C7A.098", "C7A"},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "S72.001A", "S72"},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "S72.X", "S72"},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "J45.", NULL},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "J45.90123", NULL},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "J45 asthma", NULL},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "J4", NULL},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "JJ5", NULL},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "J4.5", NULL},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "E812.0", NULL}, /* of ICD-9 */
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "250.00", NULL},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "195967001", NULL},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "J45.\303\251", NULL},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "J45\303\251", NULL},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "asthma", NULL},
	{K(DIAGNOSIS), PHI_FORM_CATEGORY, "", NULL},
	{K(LAB), PHI_FORM_CATEGORY, "J45", NULL},
	{K(MRN), PHI_FORM_TOKEN, "MRN0004711", NULL}, /* that takes a key */
	{K(BIRTH_DATE), PHI_FORM_SHIFTED, "1985-03-27", NULL},
	{K(EMAIL), HARBOR, "jane@example.org", NULL},
	{K(EMAIL), PARTIAL, "jane@example.org", "j***@example.org"},
	{K(EMAIL), PARTIAL, " j@x.org ", "j***@x.org"},
	{K(EMAIL), PARTIAL, "\303\251lise@example.org", "\303\251***@example.org"},
	{K(EMAIL), PARTIAL, "\"a@b\"@example.org", "\"***@example.org"},
	{K(EMAIL), PARTIAL, "jane", "***"},
	{K(EMAIL), PARTIAL, "jane@", "***"},
	{K(EMAIL), PARTIAL, "@example.org", "***"},
	{K(EMAIL), PARTIAL, "@", "***"},
	{K(EMAIL), PARTIAL, "jane@example.org or Jane Doe", "***"},
	{K(EMAIL), PARTIAL, "<jane@example.org>", "***"},
	{K(EMAIL), PARTIAL, "jane@example.org\343\200\200Doe", "***"},
	{K(EMAIL), PARTIAL, "", ""},
	{K(SSN), HARBOR, "123-45-6789", NULL},
	{K(SSN), PARTIAL, "123-45-6789", "***-**-6789"},
	{K(SSN), PARTIAL, "123456789", "***-**-6789"},
	{K(SSN), PARTIAL, "12345678", "***"},
	{K(SSN), PARTIAL, "6789", "***"},
	{K(SSN), PARTIAL, "", ""},
	{K(MRN), HARBOR, "MRN00124711", NULL},
	{K(MRN), PARTIAL, "MRN00124711", "***4711"},
	{K(MRN), PARTIAL, "12344711", "***4711"},
	{K(MRN), PARTIAL, "1234711", "***"},
	{K(MRN), PARTIAL, "1234711        ", "***"},
	{K(MRN), PARTIAL, "  12344711  ", "***4711"},
	{K(MRN), PARTIAL, "\303\251\303\251\303\251\303\251", "***"},
	{K(MRN), PARTIAL, "1234\303\251\303\251\342\202\254\360\237\231\202",
	 "***\303\251\303\251\342\202\254\360\237\231\202"},
	{K(MRN), PARTIAL, "123456\377\303", "***56\377\303"},
	{K(MRN), PARTIAL, "", ""},
	{K(HEALTH_PLAN), HARBOR, "1EG4-TE5-MK73", NULL},
	{K(HEALTH_PLAN), PARTIAL, "1EG4-TE5-MK73", "***MK73"},
	{K(ACCOUNT), HARBOR, "9876543210", NULL},
	{K(ACCOUNT), PARTIAL, "9876543210", "***3210"},
	{K(LICENSE), HARBOR, "S99912345", NULL},
	{K(LICENSE), PARTIAL, "S99912345", "***2345"},
	{K(VEHICLE), HARBOR, "1HGCM82633A004352", NULL},
	{K(VEHICLE), PARTIAL, "1HGCM82633A004352", "***4352"},
	{K(DEVICE), HARBOR, "SN-1234-ABCD", NULL},
	{K(DEVICE), PARTIAL, "SN-1234-ABCD", "***ABCD"},
	{K(URL), HARBOR, "https://example.org/jane", NULL},
	{K(URL), PARTIAL, "https://example.org/jane", "***"},
	{K(IP), HARBOR, "192.0.2.7", NULL},
	{K(IP), PARTIAL, "192.0.2.7", "***"},
	{K(BIOMETRIC), HARBOR, "template", NULL},
	{K(BIOMETRIC), PARTIAL, "template", NULL},
	{K(PHOTO), HARBOR, "jane.jpg", NULL},
	{K(PHOTO), PARTIAL, "jane.jpg", NULL},
	{K(UNIQUE_ID), HARBOR, "4b1c8a52-0b0e", NULL},
	{K(UNIQUE_ID), PARTIAL, "4b1c8a52-0b0e", "***0b0e"},
	{K(FREE_TEXT), HARBOR, "seen with her sister", NULL},
	{K(FREE_TEXT), PARTIAL, "seen with her sister", NULL},
	{K(DIAGNOSIS), HARBOR, "E11.9", UNCHANGED},
	{K(DIAGNOSIS), PARTIAL, "E11.9", UNCHANGED},
	{K(LAB), HARBOR, "6.8 %", UNCHANGED},
	{K(LAB), PARTIAL, "6.8 %", UNCHANGED},
	{K(OTHER), HARBOR, "left", UNCHANGED},
	{K(OTHER), PARTIAL, "left", UNCHANGED},
	{K(NONE), HARBOR, "ward 3", UNCHANGED},
	{K(NONE), PARTIAL, "ward 3", UNCHANGED},
};

/* A text in a form, in buffers that end exactly where they should; out is terminated. */
typedef struct formed
{
	bool is_null;
	size_t size;
	char *text;
} formed;

static formed
form_text(phi_kind kind, phi_form form, const void *in, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	phi_buffer out = {malloc(4 * size + 16), 99, 4 * size + 16};
	formed result = {0};

	if (copy == NULL || out.data == NULL)
		abort();
	memcpy(copy + 1, in, size);
	CHECK_INT(phi_form_text(kind, form, phi_bytes_of(copy + 1, size), &out, &result.is_null),
			  PHI_OK);
	result.size = out.size;
	result.text = malloc(out.size + 1);
	if (result.text == NULL)
		abort();
	memcpy(result.text, out.data, out.size);
	result.text[out.size] = '\0';
	if (result.is_null)
		CHECK_INT(result.size, 0);
	free(copy);
	free(out.data);
	return result;
}

static void
test_texts(void)
{
	bool covered[PHI_KIND_COUNT][PHI_FORM_COUNT] = {{false}};
	size_t i;
	int kind;

	CHECK_CASE("texts: %zu rows of the table", sizeof(texts) / sizeof(texts[0]));
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		const char *expected = texts[i].out == UNCHANGED ? texts[i].in : texts[i].out;
		formed got = form_text(texts[i].kind, texts[i].form, texts[i].in, strlen(texts[i].in));

		if (!CHECK_TEXT(got.is_null ? NULL : got.text, expected))
			printf("# %s, %s of \"%s\"\n", phi_form_name(texts[i].form),
				   phi_kind_name(texts[i].kind), texts[i].in);
		covered[texts[i].kind][texts[i].form] = true;
		free(got.text);
	}
	for (kind = 0; kind < PHI_KIND_COUNT; kind++)
		CHECK(covered[kind][HARBOR] && covered[kind][PARTIAL]);
}

static void
test_names(void)
{
	static const char *const forms[] = {"none",	   "pseudonym", "safe_harbor", "limited",
										"partial", "full",		"token",	   "shifted",
										"age_band", "category"};
	phi_kind kind;
	phi_form form;
	int i;

	CHECK_CASE("names: every kind and form is found under its name, and only there");
	for (i = 0; i < PHI_KIND_COUNT; i++)
	{
		const char *name = phi_kind_name((phi_kind) i);

		CHECK(name != NULL && phi_kind_find(name, strlen(name), &kind) && kind == (phi_kind) i);
	}
	for (i = 0; i < PHI_FORM_COUNT; i++)
	{
		CHECK_TEXT(phi_form_name((phi_form) i), forms[i]);
		CHECK(phi_form_find(forms[i], strlen(forms[i]), &form) && form == (phi_form) i);
		CHECK(phi_form_available((phi_form) i) == (i <= PHI_FORM_FULL));
	}
	CHECK_TEXT(phi_kind_name(PHI_KIND_BIRTH_DATE), "birth_date");
	CHECK_TEXT(phi_kind_name(PHI_KIND_NONE), "none");
	CHECK(phi_kind_find("ssnx", 3, &kind) && kind == PHI_KIND_SSN);
	CHECK(!phi_kind_find("SSN", 3, &kind) && !phi_kind_find("", 0, &kind));
	CHECK(!phi_form_find("Full", 4, &form) && !phi_form_find("ful", 3, &form));

	CHECK_CASE("names: what is no kind or form has none, and shows nothing");
	CHECK(phi_kind_name(PHI_KIND_COUNT) == NULL && phi_form_name(PHI_FORM_COUNT) == NULL);
	CHECK(!phi_form_available(PHI_FORM_COUNT));
	CHECK_INT(phi_form_shape(PHI_KIND_COUNT, PHI_FORM_FULL), PHI_SHAPE_NOTHING);
	CHECK_INT(phi_form_shape((phi_kind) -1, PHI_FORM_FULL), PHI_SHAPE_NOTHING);
	CHECK_INT(phi_form_shape(PHI_KIND_STATE, PHI_FORM_COUNT), PHI_SHAPE_NOTHING);
	CHECK(!phi_form_opaque_shows(PHI_KIND_COUNT, PHI_FORM_FULL));
}

/* Is a kind none of the sixteen direct identifiers that a limited data set goes without? */
static bool
in_limited_data_set(phi_kind kind)
{
	static const char *const left = " city county state zip birth_date death_date service_date age "
									"diagnosis lab other none ";
	char name[32];

	snprintf(name, sizeof(name), " %s ", phi_kind_name(kind));
	return strstr(left, name) != NULL;
}

/* What the forms other than safe_harbor and partial do, for every kind and type. */
static void
test_full_and_none(void)
{
	static const phi_form others[] = {PHI_FORM_NONE, PHI_FORM_PSEUDONYM, PHI_FORM_LIMITED};
	int kind;
	size_t i;

	CHECK_CASE("full shows everything as it is, none and pseudonym nothing, limited what 164.514(e)(2) leaves");
	for (kind = 0; kind < PHI_KIND_COUNT; kind++)
	{
		formed got = form_text((phi_kind) kind, PHI_FORM_FULL, " a\0\377\303 ", 6);
		int64_t number;
		int32_t date;
		bool is_null = true;

		CHECK(!got.is_null && got.size == 6 && memcmp(got.text, " a\0\377\303 ", 6) == 0);
		free(got.text);
		got = form_text((phi_kind) kind, PHI_FORM_FULL, "", 0);
		CHECK(!got.is_null && got.size == 0);
		free(got.text);
		phi_form_date((phi_kind) kind, PHI_FORM_FULL, INT32_MAX, 0, &date, &is_null);
		CHECK(!is_null && date == INT32_MAX);
		phi_form_time((phi_kind) kind, PHI_FORM_FULL, INT64_MIN, 0, &number, &is_null);
		CHECK(!is_null && number == INT64_MIN);
		phi_form_integer((phi_kind) kind, PHI_FORM_FULL, -123, &number, &is_null);
		CHECK(!is_null && number == -123);
		CHECK(phi_form_opaque_shows((phi_kind) kind, PHI_FORM_FULL));

		for (i = 0; i < 3; i++)
		{
			/* The kind none is declared not to be PHI. */
			bool shown = kind == PHI_KIND_NONE ||
						 (others[i] == PHI_FORM_LIMITED && in_limited_data_set((phi_kind) kind));

			got = form_text((phi_kind) kind, others[i], "12345 6789", 10);
			CHECK_INT(got.is_null, !shown);
			free(got.text);
			phi_form_date((phi_kind) kind, others[i], 77, 0, &date, &is_null);
			CHECK(is_null == !shown && date == (shown ? 77 : 0));
			phi_form_time((phi_kind) kind, others[i], 77, 0, &number, &is_null);
			CHECK(is_null == !shown && number == (shown ? 77 : 0));
			phi_form_integer((phi_kind) kind, others[i], 77, &number, &is_null);
			CHECK(is_null == !shown && number == (shown ? 77 : 0));
			CHECK_INT(phi_form_opaque_shows((phi_kind) kind, others[i]), shown);
		}
	}
}

/* Population of every prefix by the census, -1 without a ZCTA; false without the file. */
static bool
load_census(long population[1000])
{
	const char *shared = getenv("PHI_SHARED");
	char path[512];
	char line[64];
	FILE *file;
	int i;

	snprintf(path, sizeof(path), "%s/redaction/zip3_population_2020.csv",
			 shared ? shared : "../shared/data");
	file = fopen(path, "r");
	if (file == NULL)
	{
		check_skip("%s: cannot be read", path);
		return false;
	}
	for (i = 0; i < 1000; i++)
		population[i] = -1;
	while (fgets(line, sizeof(line), file) != NULL)
	{
		char *comma = strchr(line, ',');

		if (comma == line + 3 && line[0] >= '0' && line[0] <= '9')
			population[atoi(line)] = atol(comma + 1);
	}
	fclose(file);
	return true;
}

static void
test_zip_prefixes(void)
{
	static const char restricted[] =
		"036 059 063 102 202 203 204 205 369 556 692 753 772 790 821 823 "
		"830 831 878 879 884 890 893";
	long population[1000];
	unsigned shown = 0;
	unsigned prefix;

	if (!load_census(population))
		return;
	CHECK_CASE("zip: a prefix is kept where both censuses count more than 20,000 people");
	for (prefix = 0; prefix < 1000; prefix++)
	{
		char zip[8];
		bool kept;
		formed got;

		snprintf(zip, sizeof(zip), "%03u", prefix);
		kept = population[prefix] > 20000 && strstr(restricted, zip) == NULL;
		CHECK_INT(phi_zip3_shows(prefix), kept);
		snprintf(zip, sizeof(zip), "%03u99", prefix);
		got = form_text(PHI_KIND_ZIP, HARBOR, zip, 5);
		CHECK_BYTES(got.text, kept ? zip : "000", 3);
		CHECK_INT(got.size, 3);
		free(got.text);
		shown += kept;
	}
	CHECK_INT(shown, 894 - 23);
	CHECK(!phi_zip3_shows(1000) && !phi_zip3_shows(UINT32_MAX));
}

/* The form of a date, or INT32_MAX for nothing. */
static int32_t
date_of(phi_kind kind, phi_form form, int32_t date, int32_t today)
{
	bool is_null;
	int32_t out;

	phi_form_date(kind, form, date, today, &out, &is_null);
	return is_null ? INT32_MAX : out;
}

/* The form of a time, or INT64_MAX for nothing. */
static int64_t
time_of(phi_kind kind, phi_form form, int64_t time, int32_t today)
{
	bool is_null;
	int64_t out;

	phi_form_time(kind, form, time, today, &out, &is_null);
	return is_null ? INT64_MAX : out;
}

static bool
is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int
days_of_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* One whole month of the walk: its days, their times, and the year's first day. */
static void
check_month(int32_t year_start, int32_t month_start, int days, int32_t today)
{
	int32_t month_shown = month_start < FIRST_DAY ? INT32_MAX : month_start;
	int32_t year_shown = year_start < FIRST_DAY ? INT32_MAX : year_start;
	int32_t day;

	for (day = month_start; day < month_start + days; day++)
	{
		int64_t last = (int64_t) day * DAY_MICROS + DAY_MICROS - 1;

		CHECK_INT(date_of(K(BIRTH_DATE), PARTIAL, day, today), month_shown);
		CHECK_INT(date_of(K(SERVICE_DATE), HARBOR, day, day), year_shown);
		if (month_shown != INT32_MAX)
			CHECK_INT(time_of(K(DEATH_DATE), PARTIAL, last, today), month_start * DAY_MICROS);
	}
}

static void
test_calendar(void)
{
	int32_t year_start = 0;
	int year;
	int month;

	CHECK_CASE("dates: every day from 4714 BC to 2400 AD has its month and year");
	for (year = 2000; year > -4713; year--)
		year_start -= is_leap(year - 1) ? 366 : 365;
	CHECK_INT(year_start, FIRST_DAY - 327);
	for (; year <= 2400; year++)
	{
		int32_t month_start = year_start;

		for (month = 1; month <= 12; month++)
		{
			check_month(year_start, month_start, days_of_month(year, month), 0);
			month_start += days_of_month(year, month);
		}
		if (year == 1999)
			CHECK_INT(month_start, 0);
		year_start = month_start;
	}
}

static void
test_old_age(void)
{
	const int32_t today = 9131; /* 2024-12-31 */
	const int32_t of_1935 = -23741;
	const int32_t of_1934 = -24106;
	static const phi_kind dated[] = {K(BIRTH_DATE), K(DEATH_DATE), K(SERVICE_DATE),
									 K(DIAGNOSIS),  K(LAB),        K(OTHER)};
	size_t i;

	CHECK_CASE("dates: a year that may show an age over 89 is nothing");
	for (i = 0; i < sizeof(dated) / sizeof(dated[0]); i++)
	{
		CHECK_INT(date_of(dated[i], HARBOR, of_1935, today), of_1935);
		CHECK_INT(date_of(dated[i], HARBOR, of_1935 + 364, today), of_1935);
		CHECK_INT(date_of(dated[i], HARBOR, of_1935 - 1, today), INT32_MAX);
		CHECK_INT(date_of(dated[i], HARBOR, of_1934, today), INT32_MAX);
		CHECK_INT(date_of(dated[i], HARBOR, of_1935, today + 1), INT32_MAX);
		CHECK_INT(date_of(dated[i], PARTIAL, of_1935 + 40, today), of_1935 + 31);
		CHECK_INT(date_of(dated[i], HARBOR, today + 3000, today), 12054);
		CHECK(time_of(dated[i], HARBOR, of_1935 * DAY_MICROS - 1, today) == INT64_MAX);
		CHECK(time_of(dated[i], HARBOR, of_1935 * DAY_MICROS + 1, today) == of_1935 * DAY_MICROS);
	}

	CHECK_CASE("dates: infinities, far dates and other kinds are nothing");
	CHECK_INT(date_of(K(BIRTH_DATE), PARTIAL, INT32_MAX, today), INT32_MAX);
	CHECK_INT(date_of(K(BIRTH_DATE), PARTIAL, INT32_MIN, today), INT32_MAX);
	CHECK_INT(date_of(K(BIRTH_DATE), HARBOR, INT32_MAX, INT32_MAX), INT32_MAX);
	CHECK_INT(date_of(K(BIRTH_DATE), HARBOR, today, INT32_MIN), INT32_MAX);
	CHECK_INT(date_of(K(BIRTH_DATE), HARBOR, today, INT32_MAX), INT32_MAX);
	CHECK_INT(date_of(K(BIRTH_DATE), PARTIAL, INT32_MIN + 1, today), INT32_MAX);
	CHECK_INT(date_of(K(BIRTH_DATE), PARTIAL, FIRST_DAY, today), INT32_MAX);
	CHECK_INT(date_of(K(BIRTH_DATE), PARTIAL, FIRST_DAY + 7, today), FIRST_DAY + 7);
	CHECK(date_of(K(BIRTH_DATE), PARTIAL, INT32_MAX - 1, today) > INT32_MAX - 40);
	CHECK(time_of(K(BIRTH_DATE), PARTIAL, INT64_MAX, today) == INT64_MAX);
	CHECK(time_of(K(BIRTH_DATE), PARTIAL, INT64_MIN, today) == INT64_MAX);
	CHECK(time_of(K(BIRTH_DATE), PARTIAL, INT64_MIN + 1, today) == INT64_MAX);
	CHECK(time_of(K(BIRTH_DATE), HARBOR, INT64_MAX - 1, today) < INT64_MAX - 1);
	CHECK_INT(date_of(K(NAME), PARTIAL, today, today), INT32_MAX);
	CHECK_INT(date_of(K(STATE), HARBOR, today, today), INT32_MAX);
	CHECK_INT(date_of(K(CITY), PARTIAL, today, today), INT32_MAX);
	CHECK_INT(date_of(K(FREE_TEXT), HARBOR, today, today), INT32_MAX);
	CHECK_INT(date_of(K(NONE), HARBOR, -50000, today), -50000);
}

/* The form of a number, or INT64_MIN for nothing. */
static int64_t
integer_of(phi_kind kind, phi_form form, int64_t value)
{
	bool is_null;
	int64_t out;

	phi_form_integer(kind, form, value, &out, &is_null);
	if (is_null)
		CHECK_INT(out, 0);
	return is_null ? INT64_MIN : out;
}

static void
test_integers(void)
{
	static const int64_t no_zip[] = {3601, 6301, 0, 99, 501, -2155, 100000, 999999, 9999999,
									 1000000000, INT64_MAX, INT64_MIN,
									 /* 21 as a prefix, if only the low 32 bits counted */
									 INT64_C(4294967317000000), INT64_C(-429496727500)};
	static const phi_form both[] = {HARBOR, PARTIAL};
	size_t form;
	size_t i;
	int kind;

	CHECK_CASE("integers: ages are capped, ZIP codes keep their prefix, clinical values stay");
	for (form = 0; form < 2; form++)
	{
		CHECK_INT(integer_of(K(AGE), both[form], 0), 0);
		CHECK_INT(integer_of(K(AGE), both[form], 89), 89);
		CHECK_INT(integer_of(K(AGE), both[form], 90), 90);
		CHECK_INT(integer_of(K(AGE), both[form], 91), 90);
		CHECK_INT(integer_of(K(AGE), both[form], INT64_MAX), 90);
		CHECK_INT(integer_of(K(AGE), both[form], -1), INT64_MIN);
		CHECK_INT(integer_of(K(ZIP), both[form], 2155), 21);
		CHECK_INT(integer_of(K(ZIP), both[form], 601), 6);
		CHECK_INT(integer_of(K(ZIP), both[form], 94110), 941);
		CHECK_INT(integer_of(K(ZIP), both[form], 941101234), 941);
		CHECK_INT(integer_of(K(ZIP), both[form], 21551234), 21);
		for (i = 0; i < sizeof(no_zip) / sizeof(no_zip[0]); i++)
			CHECK_INT(integer_of(K(ZIP), both[form], no_zip[i]), INT64_MIN);
		CHECK_INT(integer_of(K(STATE), both[form], 25), 25);
		CHECK_INT(integer_of(K(DIAGNOSIS), both[form], 44054006), 44054006);
		CHECK_INT(integer_of(K(LAB), both[form], -7), -7);
		CHECK_INT(integer_of(K(OTHER), both[form], 1), 1);
		for (kind = 0; kind < PHI_KIND_COUNT; kind++)
		{
			phi_shape shape = phi_form_shape((phi_kind) kind, both[form]);
			bool shows = shape == PHI_SHAPE_ALL || shape == PHI_SHAPE_CLINICAL ||
						 kind == PHI_KIND_AGE || kind == PHI_KIND_ZIP;

			CHECK_INT(integer_of((phi_kind) kind, both[form], 94110) != INT64_MIN, shows);
			CHECK_INT(phi_form_opaque_shows((phi_kind) kind, both[form]),
					  kind >= PHI_KIND_DIAGNOSIS);
		}
	}
	CHECK_INT(integer_of(K(SSN), PARTIAL, 123456789), INT64_MIN);
	CHECK_INT(integer_of(K(CITY), HARBOR, 7), INT64_MIN);
}

/* Whether a kind is an identifier that Safe Harbor removes altogether. */
static bool
is_removed(int kind)
{
	switch (kind)
	{
		case PHI_KIND_STATE:
		case PHI_KIND_ZIP:
		case PHI_KIND_AGE:
		case PHI_KIND_DIAGNOSIS:
		case PHI_KIND_LAB:
		case PHI_KIND_OTHER:
		case PHI_KIND_NONE:
			return false;
		default:
			return true;
	}
}

/* Digits in a text. */
static size_t
count_digits(const formed *text)
{
	size_t count = 0;
	size_t i;

	for (i = 0; i < text->size; i++)
		count += text->text[i] >= '0' && text->text[i] <= '9';
	return count;
}

/* What holds of every text in every kind and form. */
static void
check_any(const uint8_t *in, size_t size)
{
	int kind;
	int form;

	for (kind = 0; kind < PHI_KIND_COUNT; kind++)
	{
		for (form = 0; form < PHI_FORM_COUNT; form++)
		{
			formed got = form_text((phi_kind) kind, (phi_form) form, in, size);

			if (form == PHI_FORM_NONE && kind != PHI_KIND_NONE)
				CHECK(got.is_null);
			if (form == HARBOR && is_removed(kind))
				CHECK(got.is_null);
			if (form == PARTIAL && (kind == PHI_KIND_SSN || kind == PHI_KIND_PHONE))
				CHECK(count_digits(&got) <= 4 && (size == 0 || got.size == 3 || got.size > 10));
			if (form == PARTIAL && (kind == PHI_KIND_ADDRESS || kind == PHI_KIND_URL))
				CHECK_TEXT(got.text, size == 0 ? "" : "***");
			if (form == HARBOR && kind == PHI_KIND_ZIP)
				CHECK(got.size == 3 && count_digits(&got) == 3);
			if (form == PARTIAL && kind == PHI_KIND_MRN)
				CHECK(got.size <= 3 + 4 * 4);
			free(got.text);
		}
	}
}

static void
test_any_bytes(void)
{
	static const char *const pieces[] = {"1",
										 "7",
										 "-",
										 "@",
										 " ",
										 "a",
										 ".",
										 "0",
										 "\n",
										 "\303\251",
										 "\360\237\231\202",
										 "\303",
										 "\377",
										 "\200",
										 "\355\240\200",
										 "19",
										 "*",
										 "x.org"};
	uint64_t state = 88172645463325252;
	uint8_t text[256];
	int round;

	CHECK_CASE("any bytes: none is nothing, identifiers vanish, capacity suffices");
	for (round = 0; round < RANDOM_TEXTS; round++)
	{
		size_t length = (size_t) round % 24;
		size_t size = 0;

		while (length-- > 0)
		{
			const char *piece;

			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			piece = pieces[state % (sizeof(pieces) / sizeof(pieces[0]))];
			memcpy(text + size, piece, strlen(piece));
			size += strlen(piece);
			if (state >> 60 == 0)
				text[size++] = 0;
		}
		check_any(text, size);
	}
}

static void
test_large(void)
{
	static const char *const units[] = {"a", "a ", "7", "\360\237\231\202", "\303", "@", "  "};
	static const phi_form both[] = {HARBOR, PARTIAL};
	uint8_t *text = malloc(LARGE);
	size_t unit;
	size_t i;
	int kind;

	if (text == NULL)
		abort();
	CHECK_CASE("a megabyte of anything has its form");
	for (unit = 0; unit < sizeof(units) / sizeof(units[0]); unit++)
	{
		for (i = 0; i < LARGE; i++)
			text[i] = (uint8_t) units[unit][i % strlen(units[unit])];
		for (i = 0; i < 2; i++)
		{
			for (kind = 0; kind < PHI_KIND_COUNT; kind++)
			{
				formed got = form_text((phi_kind) kind, both[i], text, LARGE);

				if (kind == PHI_KIND_NAME && both[i] == PARTIAL && unit == 1)
					CHECK_INT(got.size, LARGE / 2 * 5 - 1);
				free(got.text);
			}
		}
	}
	free(text);
}

static void
test_space(void)
{
	uint8_t storage[9];
	phi_buffer out = {storage, 5, 8};
	bool is_null = false;

	CHECK_CASE("a buffer that is too small is an error and holds nothing");
	CHECK_INT(phi_form_text(PHI_KIND_NAME, PARTIAL, phi_bytes_of("John Doe", 8), &out, &is_null),
			  PHI_ERR_SPACE);
	CHECK(is_null && out.size == 0);
	out.capacity = 9;
	CHECK_INT(phi_form_text(PHI_KIND_NAME, PARTIAL, phi_bytes_of("John Doe", 8), &out, &is_null),
			  PHI_OK);
	CHECK(!is_null && out.size == 9);
	CHECK_INT(phi_form_text(PHI_KIND_NAME, PHI_FORM_FULL, phi_bytes_of("Johnathan Doe", 13), &out,
							&is_null),
			  PHI_ERR_SPACE);
	CHECK(is_null && out.size == 0);
	out.capacity = 3; /* the mask fails, what follows it would fit */
	CHECK_INT(phi_form_text(PHI_KIND_EMAIL, PARTIAL, phi_bytes_of("jane@x", 6), &out, &is_null),
			  PHI_ERR_SPACE);
	CHECK(is_null && out.size == 0);
	out.capacity = 0;
	CHECK_INT(phi_form_text(PHI_KIND_SSN, HARBOR, phi_bytes_of("1", 1), &out, &is_null), PHI_OK);
	CHECK(is_null);
	CHECK_INT(phi_form_text(PHI_KIND_CITY, PHI_FORM_FULL, phi_bytes_of(NULL, 0), &out, &is_null),
			  PHI_OK);
	CHECK(!is_null && out.size == 0);
}

/* The place of a form in the order of detail, of those that show texts of these kinds. */
static void
test_meet(void)
{
	static const phi_form columns[] = {PHI_FORM_TOKEN, PHI_FORM_SHIFTED, PHI_FORM_AGE_BAND,
									   PHI_FORM_CATEGORY};
	int kind;
	int a;
	int b;
	size_t c;

	CHECK_CASE("meet: no more than either, in any order");
	for (kind = 0; kind < PHI_KIND_COUNT; kind++)
	{
		bool limited_shows = phi_form_shape((phi_kind) kind, PHI_FORM_LIMITED) == PHI_SHAPE_ALL;

		for (a = 0; a <= PHI_FORM_FULL; a++)
			for (b = 0; b <= PHI_FORM_FULL; b++)
			{
				phi_form met = phi_form_meet((phi_kind) kind, (phi_form) a, (phi_form) b);
				bool crossed = (a == PHI_FORM_LIMITED && b == PARTIAL) ||
							   (b == PHI_FORM_LIMITED && a == PARTIAL);

				CHECK_INT(met, phi_form_meet((phi_kind) kind, (phi_form) b, (phi_form) a));
				CHECK_INT(met, crossed && limited_shows ? (int) PARTIAL : a < b ? a : b);
			}
	}

	CHECK_CASE("meet: forms of columns ask for one that tells as much");
	for (kind = 0; kind < PHI_KIND_COUNT; kind++)
		for (c = 0; c < sizeof(columns) / sizeof(columns[0]); c++)
			for (a = 0; a < PHI_FORM_COUNT; a++)
			{
				phi_form met = phi_form_meet((phi_kind) kind, (phi_form) a, columns[c]);
				bool has = phi_form_shape((phi_kind) kind, columns[c]) != PHI_SHAPE_NOTHING;
				bool whole = phi_form_shape((phi_kind) kind, (phi_form) a) == PHI_SHAPE_ALL;
				int least = columns[c] == PHI_FORM_TOKEN ? PHI_FORM_LIMITED : HARBOR;
				bool enough = columns[c] == PHI_FORM_SHIFTED ? whole : a >= least;

				CHECK_INT(met, has && enough && a <= PHI_FORM_FULL ? (int) columns[c] : 0);
			}
	CHECK_INT(phi_form_meet(K(BIRTH_DATE), PARTIAL, PHI_FORM_SHIFTED), PHI_FORM_NONE);
	CHECK_INT(phi_form_meet(K(MRN), HARBOR, PHI_FORM_TOKEN), PHI_FORM_NONE);
	CHECK_INT(phi_form_meet(K(MRN), PHI_FORM_PSEUDONYM, PHI_FORM_TOKEN), PHI_FORM_NONE);
	CHECK_INT(phi_form_meet(K(MRN), PHI_FORM_LIMITED, PHI_FORM_TOKEN), PHI_FORM_TOKEN);
	CHECK_INT(phi_form_meet(K(NAME), PHI_FORM_FULL, PHI_FORM_TOKEN), PHI_FORM_NONE);
	CHECK_INT(phi_form_meet(K(ZIP), PHI_FORM_LIMITED, PARTIAL), PARTIAL);
	CHECK_INT(phi_form_meet(K(NAME), PARTIAL, PHI_FORM_LIMITED), PHI_FORM_LIMITED);
}

static void
test_bands(void)
{
	const int32_t today = 9131; /* 2024-12-31 */
	const phi_form band = PHI_FORM_AGE_BAND;

	CHECK_CASE("bands of ages and of years of birth");
	CHECK_INT(integer_of(K(AGE), band, 0), 0);
	CHECK_INT(integer_of(K(AGE), band, 4), 0);
	CHECK_INT(integer_of(K(AGE), band, 89), 85);
	CHECK_INT(integer_of(K(AGE), band, 90), 90);
	CHECK_INT(integer_of(K(AGE), band, 94), 90);
	CHECK_INT(integer_of(K(AGE), band, INT64_MAX), 90);
	CHECK(integer_of(K(AGE), band, -1) == INT64_MIN);
	CHECK(integer_of(K(AGE), band, INT64_MIN) == INT64_MIN);
	CHECK(integer_of(K(ZIP), band, 37) == INT64_MIN);
	CHECK(integer_of(K(MRN), PHI_FORM_TOKEN, 4711) == INT64_MIN);
	CHECK_INT(date_of(K(BIRTH_DATE), band, 0, today), 0);			/* 2000-01-01 */
	CHECK_INT(date_of(K(BIRTH_DATE), band, 5 * 365, today), 0);		/* 2004-12-30 */
	CHECK_INT(date_of(K(BIRTH_DATE), band, -1, today), -1826);		/* 1995-01-01 */
	CHECK_INT(date_of(K(BIRTH_DATE), band, -23741, today), -23741); /* 1935-01-01 */
	CHECK_INT(date_of(K(BIRTH_DATE), band, -23742, today), INT32_MAX);
	CHECK_INT(date_of(K(BIRTH_DATE), band, -23000, today + 1), INT32_MAX); /* 1937: its band begins too early */
	CHECK_INT(date_of(K(BIRTH_DATE), band, INT32_MAX, today), INT32_MAX);
	CHECK_INT(date_of(K(BIRTH_DATE), band, INT32_MIN + 1, today), INT32_MAX);
	CHECK_INT(date_of(K(SERVICE_DATE), band, 0, today), INT32_MAX);
	CHECK_INT(date_of(K(BIRTH_DATE), PHI_FORM_SHIFTED, 0, today), INT32_MAX);
	CHECK(time_of(K(BIRTH_DATE), band, -1, today) == -1826 * DAY_MICROS);
	CHECK(time_of(K(BIRTH_DATE), band, INT64_MIN, today) == INT64_MAX);
}

int
main(void)
{
	test_names();
	test_texts();
	test_full_and_none();
	test_zip_prefixes();
	test_calendar();
	test_old_age();
	test_integers();
	test_any_bytes();
	test_large();
	test_space();
	test_meet();
	test_bands();
	return check_done();
}
