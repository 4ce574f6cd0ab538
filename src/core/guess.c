/*-------------------------------------------------------------------------
 * guess.c
 *		Kinds by the names and values of columns.
 *
 * A rule is one to three words that stand one after the other in a name; the
 * first rule that fits decides, so that the particular ones come first.
 *-------------------------------------------------------------------------
 */
#include "guess.h"

#include <string.h>

#include "scrub.h"

#define WORDS_MAX   12
#define WORD_MAX    24
#define TEXT_LENGTH 40 /* bytes from which a value may be a sentence */

typedef struct name_words
{
	unsigned count;
	char word[WORDS_MAX][WORD_MAX];
} name_words;

/* Types that a rule is for. */
#define T   (1 << PHI_GUESS_TEXT)
#define D   (1 << PHI_GUESS_TIME)
#define N   (1 << PHI_GUESS_NUMBER)
#define O   (1 << PHI_GUESS_OTHER)
#define ANY (T | D | N | O)

static const struct
{
	const char *words;
	phi_kind kind;
	unsigned types;
} rules[] = {
	/* what only looks like one */
	{"file name", PHI_KIND_NONE, ANY},
	{"table name", PHI_KIND_NONE, ANY},
	{"column name", PHI_KIND_NONE, ANY},
	{"drug name", PHI_KIND_NONE, ANY},
	{"test name", PHI_KIND_NONE, ANY},
	{"code name", PHI_KIND_NONE, ANY},
	{"concept name", PHI_KIND_NONE, ANY},
	{"vocabulary name", PHI_KIND_NONE, ANY},
	{"domain name", PHI_KIND_NONE, ANY},
	{"class name", PHI_KIND_NONE, ANY},
	{"product name", PHI_KIND_NONE, ANY},
	{"display name", PHI_KIND_NAME, T},
	{"concept", PHI_KIND_NONE, ANY},
	{"created", PHI_KIND_NONE, ANY},
	{"updated", PHI_KIND_NONE, ANY},
	{"modified", PHI_KIND_NONE, ANY},
	{"email sent", PHI_KIND_NONE, D},
	{"cost", PHI_KIND_NONE, ANY},
	{"count", PHI_KIND_NONE, ANY},
	{"url template", PHI_KIND_NONE, ANY},
	/* numbers that people are given */
	{"ssn", PHI_KIND_SSN, ANY},
	{"social security", PHI_KIND_SSN, ANY},
	{"soc sec", PHI_KIND_SSN, ANY},
	{"socialsecurity", PHI_KIND_SSN, ANY},
	{"tax id", PHI_KIND_SSN, ANY},
	{"mrn", PHI_KIND_MRN, ANY},
	{"medical record", PHI_KIND_MRN, ANY},
	{"med rec", PHI_KIND_MRN, ANY},
	{"chart number", PHI_KIND_MRN, ANY},
	{"chart no", PHI_KIND_MRN, ANY},
	{"hospital number", PHI_KIND_MRN, ANY},
	{"patient number", PHI_KIND_MRN, ANY},
	{"patient no", PHI_KIND_MRN, ANY},
	{"mbi", PHI_KIND_HEALTH_PLAN, ANY},
	{"hicn", PHI_KIND_HEALTH_PLAN, ANY},
	{"member id", PHI_KIND_HEALTH_PLAN, ANY},
	{"member number", PHI_KIND_HEALTH_PLAN, ANY},
	{"subscriber", PHI_KIND_HEALTH_PLAN, ANY},
	{"policy number", PHI_KIND_HEALTH_PLAN, ANY},
	{"policy no", PHI_KIND_HEALTH_PLAN, ANY},
	{"insurance number", PHI_KIND_HEALTH_PLAN, ANY},
	{"insurance id", PHI_KIND_HEALTH_PLAN, ANY},
	{"medicare", PHI_KIND_HEALTH_PLAN, T | N},
	{"medicaid", PHI_KIND_HEALTH_PLAN, T | N},
	{"beneficiary", PHI_KIND_HEALTH_PLAN, T | N},
	{"iban", PHI_KIND_ACCOUNT, ANY},
	{"credit card", PHI_KIND_ACCOUNT, ANY},
	{"card number", PHI_KIND_ACCOUNT, ANY},
	{"account", PHI_KIND_ACCOUNT, T | N},
	{"acct", PHI_KIND_ACCOUNT, T | N},
	{"license plate", PHI_KIND_VEHICLE, ANY},
	{"plate", PHI_KIND_VEHICLE, T},
	{"vin", PHI_KIND_VEHICLE, T},
	{"vehicle", PHI_KIND_VEHICLE, T},
	{"license", PHI_KIND_LICENSE, T | N},
	{"licence", PHI_KIND_LICENSE, T | N},
	{"drivers", PHI_KIND_LICENSE, T | N},
	{"driver", PHI_KIND_LICENSE, T | N},
	{"passport", PHI_KIND_LICENSE, T | N},
	{"npi", PHI_KIND_LICENSE, T | N},
	{"dea", PHI_KIND_LICENSE, T | N},
	{"certificate", PHI_KIND_LICENSE, T | N},
	{"udi", PHI_KIND_DEVICE, ANY},
	{"unique device", PHI_KIND_DEVICE, ANY},
	{"device id", PHI_KIND_DEVICE, ANY},
	{"device serial", PHI_KIND_DEVICE, ANY},
	{"serial", PHI_KIND_DEVICE, T | N},
	{"implant", PHI_KIND_DEVICE, T},
	{"imei", PHI_KIND_DEVICE, ANY},
	/* contacts */
	{"email", PHI_KIND_EMAIL, T | O},
	{"e mail", PHI_KIND_EMAIL, T | O},
	{"mail", PHI_KIND_EMAIL, T},
	{"fax", PHI_KIND_FAX, T | N},
	{"phone", PHI_KIND_PHONE, T | N | O},
	{"telephone", PHI_KIND_PHONE, T | N | O},
	{"tel", PHI_KIND_PHONE, T | N},
	{"mobile", PHI_KIND_PHONE, T | N},
	{"cell", PHI_KIND_PHONE, T | N},
	{"pager", PHI_KIND_PHONE, T | N},
	{"ph", PHI_KIND_PHONE, T | N},
	{"ip", PHI_KIND_IP, T | O},
	{"ipv4", PHI_KIND_IP, T | O},
	{"ipv6", PHI_KIND_IP, T | O},
	{"remote addr", PHI_KIND_IP, T | O},
	{"url", PHI_KIND_URL, T},
	{"uri", PHI_KIND_URL, T},
	{"website", PHI_KIND_URL, T},
	{"homepage", PHI_KIND_URL, T},
	/* dates */
	{"birthplace", PHI_KIND_CITY, T},
	{"birth place", PHI_KIND_CITY, T},
	{"place of birth", PHI_KIND_CITY, T},
	{"birth", PHI_KIND_BIRTH_DATE, ANY},
	{"birthdate", PHI_KIND_BIRTH_DATE, ANY},
	{"birthday", PHI_KIND_BIRTH_DATE, ANY},
	{"dob", PHI_KIND_BIRTH_DATE, ANY},
	{"born", PHI_KIND_BIRTH_DATE, ANY},
	{"bday", PHI_KIND_BIRTH_DATE, ANY},
	{"death", PHI_KIND_DEATH_DATE, D | T},
	{"deathdate", PHI_KIND_DEATH_DATE, D | T},
	{"deceased", PHI_KIND_DEATH_DATE, D | T},
	{"died", PHI_KIND_DEATH_DATE, D | T},
	{"dod", PHI_KIND_DEATH_DATE, D | T},
	{"age", PHI_KIND_AGE, N | T},
	{"admission", PHI_KIND_SERVICE_DATE, D},
	{"admit", PHI_KIND_SERVICE_DATE, D},
	{"discharge", PHI_KIND_SERVICE_DATE, D},
	{"date", PHI_KIND_SERVICE_DATE, D | T},
	{"datetime", PHI_KIND_SERVICE_DATE, D | T},
	{"time", PHI_KIND_SERVICE_DATE, D},
	{"start", PHI_KIND_SERVICE_DATE, D},
	{"stop", PHI_KIND_SERVICE_DATE, D},
	{"end", PHI_KIND_SERVICE_DATE, D},
	{"onset", PHI_KIND_SERVICE_DATE, D},
	{"visit", PHI_KIND_SERVICE_DATE, D},
	{"service", PHI_KIND_SERVICE_DATE, D},
	{"appointment", PHI_KIND_SERVICE_DATE, D},
	{"performed", PHI_KIND_SERVICE_DATE, D},
	{"on", PHI_KIND_SERVICE_DATE, D},
	{"at", PHI_KIND_SERVICE_DATE, D},
	{"seen", PHI_KIND_SERVICE_DATE, D},
	{"birth date", PHI_KIND_BIRTH_DATE, T},
	/* places */
	{"street", PHI_KIND_ADDRESS, T},
	{"address", PHI_KIND_ADDRESS, T | O},
	{"addr", PHI_KIND_ADDRESS, T | O},
	{"apartment", PHI_KIND_ADDRESS, T},
	{"city", PHI_KIND_CITY, T},
	{"town", PHI_KIND_CITY, T},
	{"municipality", PHI_KIND_CITY, T},
	{"county", PHI_KIND_COUNTY, T},
	{"parish", PHI_KIND_COUNTY, T},
	{"zip", PHI_KIND_ZIP, T | N},
	{"zipcode", PHI_KIND_ZIP, T | N},
	{"postal", PHI_KIND_ZIP, T | N},
	{"postcode", PHI_KIND_ZIP, T | N},
	{"postalcode", PHI_KIND_ZIP, T | N},
	{"province", PHI_KIND_STATE, T},
	{"state", PHI_KIND_STATE, T},
	{"latitude", PHI_KIND_GEO, ANY},
	{"longitude", PHI_KIND_GEO, ANY},
	{"lat", PHI_KIND_GEO, ANY},
	{"lon", PHI_KIND_GEO, ANY},
	{"lng", PHI_KIND_GEO, ANY},
	{"geom", PHI_KIND_GEO, ANY},
	{"geocode", PHI_KIND_GEO, ANY},
	{"coordinates", PHI_KIND_GEO, ANY},
	{"location", PHI_KIND_GEO, O},
	{"tract", PHI_KIND_GEO, ANY},
	/* pictures and bodies */
	{"fingerprint", PHI_KIND_BIOMETRIC, ANY},
	{"voiceprint", PHI_KIND_BIOMETRIC, ANY},
	{"retina", PHI_KIND_BIOMETRIC, ANY},
	{"iris", PHI_KIND_BIOMETRIC, ANY},
	{"biometric", PHI_KIND_BIOMETRIC, ANY},
	{"dna", PHI_KIND_BIOMETRIC, ANY},
	{"photo", PHI_KIND_PHOTO, ANY},
	{"photograph", PHI_KIND_PHOTO, ANY},
	{"picture", PHI_KIND_PHOTO, ANY},
	{"avatar", PHI_KIND_PHOTO, ANY},
	{"image", PHI_KIND_PHOTO, ANY},
	{"face", PHI_KIND_PHOTO, ANY},
	/* clinical content */
	{"note", PHI_KIND_FREE_TEXT, T | O},
	{"notes", PHI_KIND_FREE_TEXT, T | O},
	{"comment", PHI_KIND_FREE_TEXT, T | O},
	{"comments", PHI_KIND_FREE_TEXT, T | O},
	{"remark", PHI_KIND_FREE_TEXT, T},
	{"remarks", PHI_KIND_FREE_TEXT, T},
	{"narrative", PHI_KIND_FREE_TEXT, T},
	{"free text", PHI_KIND_FREE_TEXT, T},
	{"freetext", PHI_KIND_FREE_TEXT, T},
	{"message", PHI_KIND_FREE_TEXT, T},
	{"body", PHI_KIND_FREE_TEXT, T},
	{"history", PHI_KIND_FREE_TEXT, T},
	{"diagnosis", PHI_KIND_DIAGNOSIS, T},
	{"diagnoses", PHI_KIND_DIAGNOSIS, T | O},
	{"dx", PHI_KIND_DIAGNOSIS, T},
	{"icd", PHI_KIND_DIAGNOSIS, T},
	{"condition", PHI_KIND_DIAGNOSIS, T},
	{"problem", PHI_KIND_DIAGNOSIS, T},
	{"reason", PHI_KIND_DIAGNOSIS, T},
	{"allergy", PHI_KIND_DIAGNOSIS, T},
	{"lab", PHI_KIND_LAB, T | N},
	{"result", PHI_KIND_LAB, T | N},
	/* names, after everything whose name has "name" in it */
	{"name", PHI_KIND_NAME, T | O},
	{"names", PHI_KIND_NAME, T | O},
	{"firstname", PHI_KIND_NAME, T},
	{"lastname", PHI_KIND_NAME, T},
	{"middlename", PHI_KIND_NAME, T},
	{"fullname", PHI_KIND_NAME, T},
	{"surname", PHI_KIND_NAME, T},
	{"fname", PHI_KIND_NAME, T},
	{"lname", PHI_KIND_NAME, T},
	{"mname", PHI_KIND_NAME, T},
	{"first", PHI_KIND_NAME, T},
	{"last", PHI_KIND_NAME, T},
	{"middle", PHI_KIND_NAME, T},
	{"maiden", PHI_KIND_NAME, T},
	{"given", PHI_KIND_NAME, T},
	{"family", PHI_KIND_NAME, T},
	{"nickname", PHI_KIND_NAME, T},
	{"alias", PHI_KIND_NAME, T},
	{"guardian", PHI_KIND_NAME, T},
	{"kin", PHI_KIND_NAME, T},
	{"suffix", PHI_KIND_NAME, T},
	{"prefix", PHI_KIND_NAME, T},
	/* the rest */
	{"source value", PHI_KIND_UNIQUE_ID, T | N},
	{"external id", PHI_KIND_UNIQUE_ID, T | N},
	{"national id", PHI_KIND_UNIQUE_ID, T | N},
	{"person id", PHI_KIND_UNIQUE_ID, T | N},
	{"patient id", PHI_KIND_UNIQUE_ID, T | N},
	{"identifier", PHI_KIND_UNIQUE_ID, T | N | O},
};

static bool
is_lower(uint8_t c)
{
	return c >= 'a' && c <= 'z';
}

static bool
is_upper(uint8_t c)
{
	return c >= 'A' && c <= 'Z';
}

/* Does a word end before position at of a name? */
static bool
breaks(phi_bytes name, size_t at)
{
	uint8_t before = name.data[at - 1];
	uint8_t c = name.data[at];
	bool digit = c >= '0' && c <= '9';
	bool digit_before = before >= '0' && before <= '9';

	if (is_upper(c) && is_lower(before))
		return true;
	if (is_upper(c) && is_upper(before))
		return at + 1 < name.size && is_lower(name.data[at + 1]);
	return digit && !digit_before && !(before == 'v'); /* ipv4 */
}

/* Split a name into words in lower case. */
static void
split_name(phi_bytes name, name_words *out)
{
	size_t size = 0;

	out->count = 0;
	for (size_t i = 0; i < name.size && out->count < WORDS_MAX; i++)
	{
		uint8_t c = name.data[i];
		bool inside = is_lower(c) || is_upper(c) || (c >= '0' && c <= '9') || c >= 0x80;

		if (size > 0 && (!inside || breaks(name, i)))
		{
			out->word[out->count++][size] = '\0';
			size = 0;
			if (out->count == WORDS_MAX)
				return;
		}
		if (inside && size < WORD_MAX - 1)
			out->word[out->count][size++] = (char) (is_upper(c) ? c | 0x20 : c);
	}
	if (size > 0)
		out->word[out->count++][size] = '\0';
}

/* Do the words of a rule stand in a name from its word at on? */
static bool
stands_at(const name_words *name, unsigned at, const char *rule)
{
	while (*rule != '\0')
	{
		size_t size = strcspn(rule, " ");

		if (at >= name->count || strlen(name->word[at]) != size ||
			memcmp(name->word[at], rule, size) != 0)
			return false;
		at++;
		rule += size + (rule[size] == ' ');
	}
	return true;
}

phi_kind
phi_guess_name(phi_bytes name, phi_guess_type type)
{
	name_words words;

	split_name(name, &words);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
	{
		if (!(rules[i].types & (1u << type)))
			continue;
		for (unsigned at = 0; at < words.count; at++)
			if (stands_at(&words, at, rules[i].words))
				return rules[i].kind;
	}
	return PHI_KIND_NONE;
}

/* The kind of what the scrubber finds. */
static phi_kind
kind_of_tag(phi_scrub_tag tag)
{
	switch (tag)
	{
		case PHI_SCRUB_NAME:
			return PHI_KIND_NAME;
		case PHI_SCRUB_ADDRESS:
			return PHI_KIND_ADDRESS;
		case PHI_SCRUB_ZIP:
			return PHI_KIND_ZIP;
		case PHI_SCRUB_DATE:
			return PHI_KIND_SERVICE_DATE;
		case PHI_SCRUB_AGE:
			return PHI_KIND_AGE;
		case PHI_SCRUB_PHONE:
			return PHI_KIND_PHONE;
		case PHI_SCRUB_EMAIL:
			return PHI_KIND_EMAIL;
		case PHI_SCRUB_URL:
			return PHI_KIND_URL;
		case PHI_SCRUB_IP:
			return PHI_KIND_IP;
		case PHI_SCRUB_SSN:
			return PHI_KIND_SSN;
		case PHI_SCRUB_MRN:
			return PHI_KIND_MRN;
		case PHI_SCRUB_HEALTH_PLAN:
			return PHI_KIND_HEALTH_PLAN;
		case PHI_SCRUB_ACCOUNT:
			return PHI_KIND_ACCOUNT;
		case PHI_SCRUB_LICENSE:
			return PHI_KIND_LICENSE;
		case PHI_SCRUB_VEHICLE:
			return PHI_KIND_VEHICLE;
		case PHI_SCRUB_DEVICE:
			return PHI_KIND_DEVICE;
		case PHI_SCRUB_ID:
			return PHI_KIND_UNIQUE_ID;
		default:
			return PHI_KIND_NONE;
	}
}

/*
 * Is it the identifier of a SNOMED CT concept or description?  Six to eighteen
 * digits; the last one checks the others (Verhoeff), the two before it say what
 * is identified and whether an extension's namespace stands before them.
 */
static bool
is_snomed_code(phi_bytes value)
{
	static const char products[10][11] = {"0123456789", "1234067895", "2340178956", "3401289567",
										  "4012395678", "5987604321", "6598710432", "7659821043",
										  "8765932104", "9876543210"};
	static const char moved[8][11] = {"0123456789", "1576283094", "5803796142", "8916043527",
									  "9453126870", "4286573901", "2793806415", "7046913258"};
	unsigned check = 0;

	if (value.size < 6 || value.size > 18 || value.data[0] == '0')
		return false;
	for (size_t i = 0; i < value.size; i++)
	{
		uint8_t digit = value.data[value.size - 1 - i];

		if (digit < '0' || digit > '9')
			return false;
		check = (unsigned) (products[check][moved[i % 8][digit - '0'] - '0'] - '0');
	}
	return check == 0 && (value.data[value.size - 3] == '0' || value.data[value.size - 3] == '1') &&
		   value.data[value.size - 2] <= '1';
}

phi_kind
phi_guess_value(phi_bytes value)
{
	phi_scrubber scrubber = phi_scrub_begin(value, NULL, 0);
	phi_span span;

	if (is_snomed_code(value) || !phi_scrub_next(&scrubber, &span))
		return PHI_KIND_NONE;
	if (span.start == 0 && span.end == value.size)
		return kind_of_tag(span.tag);
	return value.size >= TEXT_LENGTH ? PHI_KIND_FREE_TEXT : PHI_KIND_NONE;
}
