/*-------------------------------------------------------------------------
 * test_scrub.c
 *		Texts and what is left of them, and the time that takes.
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "core/known.h"

#define SPACE 2048

static const struct
{
	const char *in;
	const char *out;
} rows[] = {
	/* numbers with a form of their own */
	{"SSN 123-45-6789.", "SSN [SSN]."},
	{"ssn 123456789", "ssn [SSN]"},
	{"call (617) 555-0100 x12, or +44 20 7946 0000", "call [PHONE], or [PHONE]"},
	{"617.555.0100; 555-0100", "[PHONE]; [PHONE]"},
	{"card 4111 1111 1111 1111", "card [ACCOUNT]"},
	{"4111111111111111", "[ACCOUNT]"},
	{"4111111111111112", "[ID]"},
	{"NPI 1234567893", "NPI [LICENSE]"},
	{"seen by 1234567893", "seen by [LICENSE]"},
	{"GB82 WEST 1234 5698 7654 32", "[ACCOUNT]"},
	{"VIN 1HGCM82633A004352 of", "VIN [VEHICLE] of"},
	{"1HGCM82633A004352 1HGCM82633A004353", "[VEHICLE] [ID]"},
	{"MBI 1EG4-TE5-MK73", "MBI [PLAN]"},
	{"AB1234563", "[LICENSE]"},
	{"MRN: 00123-4 and mrn A12B", "MRN: [MRN] and mrn [MRN]"},
	{"(serial SN-44719)", "(serial [DEVICE])"},
	{"a@b.org, https://x.org/a?b=c. www.x.org", "[EMAIL], [URL]. [URL]"},
	{"10.0.0.1 fe80::1 2001:db8:0:0:0:0:0:1", "[IP] [IP] [IP]"},
	/* dates; a year alone stays */
	{"2019-02-03 10:11, 3/14/19, 14.03.2019, 03/2019", "[DATE], [DATE], [DATE], [DATE]"},
	{"2023-01-27T16:17:47Z, 2023-01-27 16:17:47.25+05:30; 1/2/2023 4:17 PM. 1/2/2023 4:17 amber",
	 "[DATE], [DATE]; [DATE]. [DATE] amber"},
	{"on 3/14, of 3/14", "on [DATE], of 3/14"},
	{"March 5, 2020; Mar. 5th; 5th of March 2020; March 2020; in 2020",
	 "[DATE]; [DATE]; [DATE]; [DATE]; in 2020"},
	{"May I? she may 5", "May I? she may 5"},
	{"2019-13-45", "[PHONE]"}, /* no date, but eight digits */
	/* ages */
	{"93-year-old, aged 101, 89 years, age 90", "90+-year-old, aged 90+, 89 years, age 90+"},
	/* places */
	{"lives at 12 North Oak St, Apt 4, Springfield, IL 62701-1234.", "lives at [ADDRESS]."},
	{"25615 Tawastintie 72 Apt. 004, Knivsta", "[ADDRESS], Knivsta"},
	{"P.O. Box 12, Salem, MA 01970", "[ADDRESS]"},
	{"9 Elm Cove, Graz, Austria 8010; 12 Larch Ridge.\nPhone 5550",
	 "[ADDRESS]; [ADDRESS].\nPhone 5550"},
	{"PSC 3294, Box 9168\nAPO AA 61487 or Unit 0822 Box 8858", "[ADDRESS] or [ADDRESS]"},
	{"USNS Roe\nFPO AE 09012, FPO AE", "[ADDRESS], [ADDRESS]"},
	{"at Calle de la Luna 12, in Rue Monge", "at [ADDRESS], in Rue Monge"},
	{"6 Minute Walk Test, 2 Trigger Point injections, via 2 tubes, Via Foley 16",
	 "6 Minute Walk Test, 2 Trigger Point injections, via 2 tubes, [ADDRESS]"},
	{"Suite 501 and zip 02139, 02139-0001, MA 02139", "[ADDRESS] and zip [ZIP], [ZIP], MA [ZIP]"},
	/* names behind a title or before a degree */
	{"Dr. Jane Q. Roe and Mrs O'Neil-Smith came", "Dr. [NAME] and Mrs [NAME] came"},
	{"my name is Szabina J Gelencs\xc3\xa9r", "my name is [NAME]"},
	{"Patient: Jane Roe, 40", "Patient: [NAME], 40"},
	{"Jane Roe, MD", "[NAME], MD"},
	{"Dr. said no", "Dr. said no"},
	/* common names without either */
	{"told Jennifer's aunt, JENNIFER ROE and Tyrone Q. Zzyzx",
	 "told [NAME]'s aunt, [NAME] and [NAME]"},
	{"Smith, Jane A. Doe; Grant Smith; Hope Elizabeth Roe", "[NAME]; [NAME]; [NAME]"},
	{"Grant it, Will the patient. Hope is Rich. Mark May 5",
	 "Grant it, Will the patient. Hope is Rich. Mark [DATE]"},
	{"Aaron, Zoe, Jennifer Zuniga and April Abbott met", "[NAME], [NAME], [NAME] and [NAME] met"},
	{"Jennifer Monday, Thomas Hospital", "[NAME] Monday, [NAME] Hospital"},
	{"jennifer; ANA Positive, TED hose, St. Jude, Charcot-Marie-Tooth, Smith fracture, Young man",
	 "jennifer; ANA Positive, TED hose, St. Jude, Charcot-Marie-Tooth, Smith fracture, Young man"},
	{"Alexander disease, Thomas Splint, Bruce protocol, Bruce said",
	 "Alexander disease, Thomas Splint, Bruce protocol, [NAME] said"},
	{"Foley, Parkinson, Crohn, Graves disease, Wilson disease, Addison, Bell palsy, Babinski, "
	 "Kaposi, Allen test",
	 "Foley, Parkinson, Crohn, Graves disease, Wilson disease, Addison, Bell palsy, Babinski, "
	 "Kaposi, Allen test"},
	/* clinical text that stays */
	{"BP 120/80, HR 72, T 37.5, 5/10 pain, 2-3 tablets, L4-L5, A1C 6.5, dose 10.5.",
	 "BP 120/80, HR 72, T 37.5, 5/10 pain, 2-3 tablets, L4-L5, A1C 6.5, dose 10.5."},
	{"ICD F32.1 and E11.9, 500 mg twice a day for 10 days, WBC 11000",
	 "ICD F32.1 and E11.9, 500 mg twice a day for 10 days, WBC 11000"},
	{"", ""},
};

static bool
scrubs_to(const char *in, const char *expected, const phi_scrub_known *known, size_t count)
{
	uint8_t space[SPACE];
	phi_buffer out = {space, 0, 8 * strlen(in) + 16};
	bool right = phi_scrub_text(phi_bytes_of(in, strlen(in)), known, count, &out) == PHI_OK &&
				 out.size == strlen(expected) && memcmp(space, expected, out.size) == 0;

	if (!right)
		printf("# \"%s\" became \"%.*s\"\n", in, (int) out.size, (const char *) space);
	return right;
}

static void
test_forms(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK(scrubs_to(rows[i].in, rows[i].out, NULL, 0));
}

static phi_scrub_known
known(const char *value, phi_scrub_tag tag)
{
	phi_scrub_known result = {phi_bytes_of(value, strlen(value)), tag};

	return result;
}

static void
test_known(void)
{
	phi_scrub_known values[] = {
		known("Will", PHI_SCRUB_NAME),     known("Roe", PHI_SCRUB_NAME),
		known("Will Roe", PHI_SCRUB_NAME), known("Elm Street", PHI_SCRUB_ADDRESS),
		known("4711", PHI_SCRUB_MRN),      known("12-34", PHI_SCRUB_ACCOUNT),
		known("x", PHI_SCRUB_NAME),        known("", PHI_SCRUB_NAME),
		known("99", PHI_SCRUB_ID)};
	size_t count = sizeof(values) / sizeof(values[0]);

	CHECK(scrubs_to("Will will see ROE's aunt; Roentgen of will",
					"[NAME] will see [NAME]'s aunt; Roentgen of will", values, count));
	CHECK(scrubs_to("Will\n  Roe on elm  street", "[NAME] on [ADDRESS]", values, count));
	CHECK(scrubs_to("no 47-11 or 47110, 1234, 99, x", "no [MRN] or 47110, [ACCOUNT], 99, x", values,
					count));
	CHECK(scrubs_to("4711 2 tablets", "[MRN] 2 tablets", values, count));
}

/* What the values of a row tell. */
static void
test_row(void)
{
	static const struct
	{
		phi_kind kind;
		const char *value;
	} row[] = {{PHI_KIND_NAME, "Dr. M\xc3\xbcller-Roe, Zia van der Qux"},
			   {PHI_KIND_ADDRESS, "12 Wexcombe Rise, Apt 3; Puddleby"},
			   {PHI_KIND_CITY, "Reading"},
			   {PHI_KIND_ZIP, "02139-4307"},
			   {PHI_KIND_PHONE, "+1 (617) 555-0100"},
			   {PHI_KIND_EMAIL, "zia77@x.org"},
			   {PHI_KIND_SSN, "123-45-6789"},
			   {PHI_KIND_MRN, "MRN-0042"},
			   {PHI_KIND_DEVICE, "A1"},
			   {PHI_KIND_BIRTH_DATE, "1931-05-17"},
			   {PHI_KIND_DIAGNOSIS, "asthma"}};
	static phi_known told;
	size_t before;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		CHECK(phi_known_add(&told, row[i].kind, phi_bytes_of(row[i].value, strlen(row[i].value))) ==
			  PHI_OK);
	CHECK(phi_known_add_date(&told, 1931, 12, 3, true) == PHI_OK);
	CHECK(scrubs_to("Zia, M\xc3\x9cLLER, Qux; van der and Dr, zia. m\xc3\xbcller-roe",
					"[NAME], [NAME], [NAME]; van der and Dr, zia. m\xc3\xbcller-roe", told.list,
					told.count));
	CHECK(scrubs_to("Wexcombe Rise in puddleby and Puddleby, reading in Reading",
					"[ADDRESS] in puddleby and [ADDRESS], reading in [ADDRESS]", told.list,
					told.count));
	CHECK(scrubs_to("02139, 6175550100, zia77, ends 6789, no 0042 2 a day",
					"[ZIP], [PHONE], [EMAIL], ends [SSN], no [MRN] 2 a day", told.list,
					told.count));
	CHECK(scrubs_to("5/17, 05/17, 17.5. and 12/3 of 1931; 17/5, asthma, A1",
					"[DATE], [DATE], [DATE] and [DATE] of [DATE]; 17/5, asthma, A1", told.list,
					told.count));
	CHECK(!phi_known_kind(PHI_KIND_DIAGNOSIS) && !phi_known_kind(PHI_KIND_FREE_TEXT) &&
		  phi_known_kind(PHI_KIND_FAX));
	before = told.count;
	while (phi_known_add(&told, PHI_KIND_NAME, phi_bytes_of("Roe", 3)) == PHI_OK)
		;
	CHECK(before < PHI_SCRUB_KNOWN_MAX && told.count == PHI_SCRUB_KNOWN_MAX);
	CHECK(phi_known_add_date(&told, 2000, 1, 1, false) == PHI_ERR_SPACE);
}

/* What a scrubbed text has, and another has not. */
static void
test_marked(void)
{
	CHECK(phi_scrub_marked(phi_bytes_of("seen [DATE]", 11)) &&
		  phi_scrub_marked(phi_bytes_of("[ID]", 4)));
	CHECK(phi_scrub_marked(phi_bytes_of("a 90+ man", 9)));
	CHECK(!phi_scrub_marked(phi_bytes_of("seen [date] [NAME", 17)) &&
		  !phi_scrub_marked(phi_bytes_of("", 0)));
}

/* Half a megabyte of what makes a recognizer look far, under a second for each. */
static void
test_time(void)
{
	static const char *const bad[] = {"A",    "A-", "1",    "1 ",    "1-", "A ",  "a.",   "a@",
									  "www.", "::", "Apt ", "AAAA ", "(",  "+1(", "Jan ", "1 Oak "};
	size_t size = 512 * 1024;
	uint8_t *text = malloc(size);
	phi_span span;

	for (size_t i = 0; text != NULL && i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		phi_scrub_known value = known("A", PHI_SCRUB_NAME);
		phi_scrubber scrubber = phi_scrub_begin(phi_bytes_of(text, size), &value, 1);
		clock_t begun = clock();

		for (size_t at = 0; at < size; at++)
			text[at] = (uint8_t) bad[i][at % strlen(bad[i])];
		while (phi_scrub_next(&scrubber, &span))
			;
		if (clock() - begun > 2 * CLOCKS_PER_SEC)
			check_fail(__FILE__, __LINE__, "\"%s\" many times took %.1f s", bad[i],
					   (double) (clock() - begun) / CLOCKS_PER_SEC);
	}
	CHECK(text != NULL);
	free(text);
}

/* A megabyte of an ordinary note with as many values known as there may be. */
static void
test_told_time(void)
{
	static const char note[] = "Patient came back today after a long walk and has no pain. ";
	static phi_scrub_known values[PHI_SCRUB_KNOWN_MAX];
	static char spellings[PHI_SCRUB_KNOWN_MAX][8];
	size_t size = 1024 * 1024;
	uint8_t *text = malloc(size);
	phi_scrubber scrubber;
	phi_span span;
	clock_t begun;

	CHECK(text != NULL);
	if (text == NULL)
		return;
	for (size_t i = 0; i < PHI_SCRUB_KNOWN_MAX; i++)
	{
		snprintf(spellings[i], sizeof(spellings[i]), "%c%c%02u", (char) ('A' + i % 26),
				 (char) ('a' + i / 26), (unsigned) (i % 100));
		values[i] = known(spellings[i], PHI_SCRUB_NAME);
	}
	for (size_t at = 0; at < size; at++)
		text[at] = (uint8_t) note[at % (sizeof(note) - 1)];
	scrubber = phi_scrub_begin(phi_bytes_of(text, size), values, PHI_SCRUB_KNOWN_MAX);
	begun = clock();
	while (phi_scrub_next(&scrubber, &span))
		;
	printf("# a megabyte with %d known values: %.2f s\n", PHI_SCRUB_KNOWN_MAX,
		   (double) (clock() - begun) / CLOCKS_PER_SEC);
	CHECK(clock() - begun < 3 * CLOCKS_PER_SEC);
	free(text);
}

int
main(void)
{
	CHECK_CASE("by their form");
	test_forms();
	CHECK_CASE("by what is known");
	test_known();
	CHECK_CASE("by what the row tells");
	test_row();
	CHECK_CASE("what was scrubbed");
	test_marked();
	CHECK_CASE("in linear time");
	test_time();
	test_told_time();
	return check_done();
}
