/*-------------------------------------------------------------------------
 * known.c
 *		Spellings of a row's identifiers, for the scrubber.
 *
 * Too many spellings cost an ordinary word of the note, too few an identifier:
 * where both are likely, as with a name that is a word, it is the word that goes.
 *-------------------------------------------------------------------------
 */
#include "known.h"

#include "scrub_match.h"

#include <stdio.h>
#include <string.h>

#define WHOLE_MAX  128 /* bytes of a value that is looked for as it is */
#define DIGITS_MAX 24

/* What a value of a kind is replaced by; nothing for kinds that say nothing a note repeats. */
static const phi_scrub_tag tags[PHI_KIND_COUNT] = {
	[PHI_KIND_NAME] = PHI_SCRUB_NAME,       [PHI_KIND_ADDRESS] = PHI_SCRUB_ADDRESS,
	[PHI_KIND_CITY] = PHI_SCRUB_ADDRESS,    [PHI_KIND_COUNTY] = PHI_SCRUB_ADDRESS,
	[PHI_KIND_ZIP] = PHI_SCRUB_ZIP,         [PHI_KIND_BIRTH_DATE] = PHI_SCRUB_DATE,
	[PHI_KIND_DEATH_DATE] = PHI_SCRUB_DATE, [PHI_KIND_SERVICE_DATE] = PHI_SCRUB_DATE,
	[PHI_KIND_PHONE] = PHI_SCRUB_PHONE,     [PHI_KIND_FAX] = PHI_SCRUB_PHONE,
	[PHI_KIND_EMAIL] = PHI_SCRUB_EMAIL,     [PHI_KIND_SSN] = PHI_SCRUB_SSN,
	[PHI_KIND_MRN] = PHI_SCRUB_MRN,         [PHI_KIND_HEALTH_PLAN] = PHI_SCRUB_HEALTH_PLAN,
	[PHI_KIND_ACCOUNT] = PHI_SCRUB_ACCOUNT, [PHI_KIND_LICENSE] = PHI_SCRUB_LICENSE,
	[PHI_KIND_VEHICLE] = PHI_SCRUB_VEHICLE, [PHI_KIND_DEVICE] = PHI_SCRUB_DEVICE,
	[PHI_KIND_URL] = PHI_SCRUB_URL,         [PHI_KIND_IP] = PHI_SCRUB_IP,
	[PHI_KIND_UNIQUE_ID] = PHI_SCRUB_ID,
};

/* Parts of stored names that name nobody. */
static const char *const particles[] = {
	"de",  "da",   "di",   "du",  "del", "della", "des", "dos", "la",  "le",  "les",
	"el",  "van",  "von",  "der", "den", "ten",   "ter", "zu",  "bin", "ibn", "abu",
	"and", "of",   "the",  "jr",  "sr",  "ii",    "iii", "iv",  "dr",  "mr",  "mrs",
	"ms",  "miss", "prof", "md",  "rn",  "phd",   "esq", "st",  "nee", NULL};

bool
phi_known_kind(phi_kind kind)
{
	return kind < PHI_KIND_COUNT && tags[kind] != PHI_SCRUB_NOTHING;
}

/* Add one spelling, without the white space around it; of a short code none. */
static phi_status
add(phi_known *known, phi_scrub_tag tag, const uint8_t *data, size_t size)
{
	bool word = tag == PHI_SCRUB_NAME || tag == PHI_SCRUB_ADDRESS || tag == PHI_SCRUB_DATE;

	while (size > 0 && scrub_space(*data))
	{
		data++;
		size--;
	}
	while (size > 0 && scrub_space(data[size - 1]))
		size--;
	if (size < (word ? 2 : 4) || size > WHOLE_MAX)
		return PHI_OK;
	if (known->count == PHI_SCRUB_KNOWN_MAX)
		return PHI_ERR_SPACE;
	known->list[known->count].value = phi_bytes_of(data, size);
	known->list[known->count++].tag = tag;
	return PHI_OK;
}

/* Add a spelling that no value contains. */
static phi_status
add_made(phi_known *known, phi_scrub_tag tag, const char *made, size_t size)
{
	char *place = known->store + known->stored;

	if (size > sizeof(known->store) - known->stored)
		return PHI_ERR_SPACE;
	memcpy(place, made, size);
	known->stored += size;
	return add(known, tag, (const uint8_t *) place, size);
}

/* Does a byte belong to a name: a letter, or what may stand within one? */
static bool
in_name(uint8_t c)
{
	return scrub_word(c) || c == '\'' || c == '-';
}

/* Add the words of a name, and the halves of "Smith-Roe". */
static phi_status
add_names(phi_known *known, phi_scrub_tag tag, phi_bytes value)
{
	phi_status status = PHI_OK;
	size_t end;

	for (size_t at = 0; status == PHI_OK && at < value.size; at = end + 1)
	{
		size_t half = at;

		for (end = at; end < value.size && in_name(value.data[end]); end++)
			;
		if (scrub_listed(value, at, end, particles))
			continue;
		status = add(known, tag, value.data + at, end - at);
		for (size_t i = at; status == PHI_OK && i <= end; i++)
		{
			if (i < end && value.data[i] != '-')
				continue;
			if (i - half >= 3 && i - half < end - at)
				status = add(known, tag, value.data + half, i - half);
			half = i + 1;
		}
	}
	return status;
}

/* Add the parts of an address, and a street without its number. */
static phi_status
add_places(phi_known *known, phi_scrub_tag tag, phi_bytes value)
{
	phi_status status = PHI_OK;
	size_t end;

	for (size_t at = 0; status == PHI_OK && at < value.size; at = end + 1)
	{
		size_t street;

		for (end = at; end < value.size && memchr(",;\r\n", value.data[end], 4) == NULL; end++)
			;
		at = scrub_skip(phi_bytes_of(value.data, end), at, end - at);
		if (end - at < 5)
			continue;
		status = add(known, tag, value.data + at, end - at);
		street = scrub_word_end(phi_bytes_of(value.data, end), at);
		if (status == PHI_OK && street < end && scrub_digit(value.data[at]) &&
			scrub_space(value.data[street]) &&
			memchr(value.data + street + 1, ' ', end - street - 1) != NULL)
			status = add(known, tag, value.data + street + 1, end - street - 1);
	}
	return status;
}

/* The digits of a value, at most DIGITS_MAX; with letters before them none of those count. */
static size_t
digits_of(phi_bytes value, char digits[DIGITS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < value.size && count < DIGITS_MAX; i++)
		if (scrub_digit(value.data[i]))
			digits[count++] = (char) value.data[i];
	return count;
}

/* Add what of a number is said alone: ten digits of a telephone, four of an SSN, five of a ZIP code. */
static phi_status
add_part(phi_known *known, phi_scrub_tag tag, phi_bytes value)
{
	char digits[DIGITS_MAX];
	size_t count = digits_of(value, digits);

	if (tag == PHI_SCRUB_PHONE && count > 10)
		return add_made(known, tag, digits + count - 10, 10);
	if (tag == PHI_SCRUB_SSN && count == 9)
		return add_made(known, tag, digits + 5, 4);
	if (tag == PHI_SCRUB_ZIP && count > 5)
		return add_made(known, tag, digits, 5);
	return PHI_OK;
}

/* Add the longest run of digits in a code of letters and digits: of MRN-0042 the number. */
static phi_status
add_run(phi_known *known, phi_scrub_tag tag, phi_bytes value)
{
	size_t best = 0;
	size_t size = 0;
	size_t run = 0;

	for (size_t i = 0; i < value.size; i++)
	{
		run = scrub_digit(value.data[i]) ? run + 1 : 0;
		if (run > size)
		{
			size = run;
			best = i + 1 - run;
		}
	}
	return size >= 4 && size < value.size ? add(known, tag, value.data + best, size) : PHI_OK;
}

/* A date that is stored as text, year first; others are looked for as they are. */
static phi_status
add_written_date(phi_known *known, phi_bytes value)
{
	char text[16] = {0};
	int year, month, day;

	if (value.size < 8 || value.size > 40)
		return PHI_OK;
	memcpy(text, value.data, value.size < 10 ? value.size : 10);
	if (sscanf(text, "%4d-%2d-%2d", &year, &month, &day) != 3)
		return PHI_OK;
	return phi_known_add_date(known, year, month, day, false);
}

phi_status
phi_known_add(phi_known *known, phi_kind kind, phi_bytes value)
{
	phi_scrub_tag tag;
	phi_status status;
	const uint8_t *sign;

	if (!phi_known_kind(kind) || value.size == 0)
		return PHI_OK;
	tag = tags[kind];
	status = add(known, tag, value.data, value.size);
	if (status != PHI_OK)
		return status;
	switch (tag)
	{
		case PHI_SCRUB_NAME:
			return add_names(known, tag, value);
		case PHI_SCRUB_ADDRESS:
			return add_places(known, tag, value);
		case PHI_SCRUB_DATE:
			return add_written_date(known, value);
		case PHI_SCRUB_PHONE:
		case PHI_SCRUB_SSN:
		case PHI_SCRUB_ZIP:
			return add_part(known, tag, value);
		case PHI_SCRUB_EMAIL:
			sign = memchr(value.data, '@', value.size);
			return sign != NULL && sign - value.data >= 4
					   ? add(known, tag, value.data, (size_t) (sign - value.data))
					   : PHI_OK;
		case PHI_SCRUB_URL:
		case PHI_SCRUB_IP:
			return PHI_OK;
		default:
			return add_run(known, tag, value);
	}
}

phi_status
phi_known_add_date(phi_known *known, int year, int month, int day, bool year_tells)
{
	static const char *const spellings[] = {"%d/%d", "%02d/%02d", "%d.%d.", "%02d.%02d."};
	char made[32];
	phi_status status = PHI_OK;

	for (size_t i = 0; status == PHI_OK && i < sizeof(spellings) / sizeof(spellings[0]); i++)
	{
		int size =
			snprintf(made, sizeof(made), spellings[i], i < 2 ? month : day, i < 2 ? day : month);

		status = add_made(known, PHI_SCRUB_DATE, made, (size_t) size);
	}
	if (status == PHI_OK && year_tells)
	{
		int size = snprintf(made, sizeof(made), "%d", year);

		status = add_made(known, PHI_SCRUB_DATE, made, (size_t) size);
	}
	return status;
}
