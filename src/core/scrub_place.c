/*-------------------------------------------------------------------------
 * scrub_place.c
 *		Dates in words, and addresses.
 *-------------------------------------------------------------------------
 */
#include "scrub_match.h"

#include <string.h>

#define STREET_WORDS 5

static const char *const months[] = {
	"january", "february", "march",    "april", "may", "june", "july", "august", "september",
	"october", "november", "december", "jan",   "feb", "mar",  "apr",  "jun",    "jul",
	"aug",     "sep",      "sept",     "oct",   "nov", "dec",  NULL};

/* What a street is called in the postal addressing of the United States, but for words of anatomy. */
static const char *const streets[] = {
	"st",     "street",   "ave",     "avenue",    "rd",         "road",    "blvd",    "boulevard",
	"ln",     "lane",     "dr",      "drive",     "ct",         "court",   "pl",      "place",
	"way",    "ter",      "terrace", "pkwy",      "parkway",    "hwy",     "highway", "sq",
	"square", "cir",      "circle",  "trail",     "trl",        "loop",    "alley",   "aly",
	"plaza",  "plz",      "row",     "crescent",  "close",      "gardens", "route",   "rte",
	"bend",   "bluff",    "bypass",  "causeway",  "commons",    "cove",    "creek",   "crossing",
	"xing",   "dale",     "estate",  "estates",   "expressway", "expy",    "ferry",   "forge",
	"forks",  "freeway",  "fwy",     "glen",      "grove",      "harbor",  "haven",   "heights",
	"hts",    "hills",    "hollow",  "isle",      "junction",   "knoll",   "knolls",  "landing",
	"lodge",  "manor",    "meadow",  "meadows",   "mews",       "mill",    "mills",   "orchard",
	"oval",   "overpass", "park",    "pike",      "pines",      "prairie", "ranch",   "rapids",
	"ridge",  "shore",    "shores",  "skyway",    "spur",       "squares", "streets", "throughway",
	"trace",  "turnpike", "tpke",    "underpass", "valley",     "viaduct", "village", "ville",
	"vista",  NULL};

/* What stands before the name of a street in other languages; the number is behind it. */
static const char *const street_heads[] = {"rue",     "via",   "rua",    "calle",  "avenida",
										   "camino",  "paseo", "viale",  "piazza", "chemin",
										   "carrera", "plaza", "avenue", "route",  NULL};

static const char *const units[] = {"apt",  "apartment", "suite", "ste", "unit",
									"room", "rm",        "floor", "fl",  NULL};

static const char *const states =
	" AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ "
	"NM NY NC ND"
	" OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY PR GU VI AS MP AA AE AP ";

size_t
scrub_month(phi_bytes text, size_t at)
{
	size_t end = at;

	if (!scrub_capital(scrub_at(text, at)))
		return 0;
	while (scrub_letter(scrub_at(text, end)) && end - at < 10)
		end++;
	if (scrub_letter(scrub_at(text, end)) || !scrub_listed(text, at, end, months))
		return 0;
	return scrub_at(text, end) == '.' ? end + 1 : end;
}

/* How many digits stand at a position, up to limit and one more. */
static size_t
digits_at(phi_bytes text, size_t at, size_t limit)
{
	size_t end = at;

	while (end - at <= limit && scrub_digit(scrub_at(text, end)))
		end++;
	return end - at;
}

/* A month with a day, a year, or both. */
static size_t
match_month(phi_bytes text, size_t at)
{
	static const char *const ordinals[] = {"st", "nd", "rd", "th", NULL};
	size_t month = scrub_month(text, at);
	size_t from, end, size;

	if (month == 0)
		return 0;
	from = scrub_skip(text, month, 2);
	while (from - month < 3 && memchr(",-", scrub_at(text, from), 2) != NULL)
		from = scrub_skip(text, from + 1, 1);
	size = digits_at(text, from, 4);
	if (from == month || size == 0 || size == 3 || size > 4)
		return 0;
	end = from + size;
	if (size == 4)
		return scrub_word(scrub_at(text, end)) ? 0 : end;
	if (scrub_letter(scrub_at(text, end)))
	{
		size_t word = scrub_word_end(text, end);

		if (!scrub_listed(text, end, word, ordinals))
			return 0;
		end = word;
	}
	from = end;
	while (from - end < 3 && memchr(" ,-", scrub_at(text, from), 3) != NULL && from < text.size)
		from++;
	return from > end && digits_at(text, from, 4) == 4 ? from + 4 : end;
}

/* "Apt. 12b", "#3": the end of a part of a building. */
static size_t
match_unit(phi_bytes text, size_t at)
{
	size_t end = scrub_word_end(text, at);

	if (scrub_at(text, at) == '#')
		end = at + 1;
	else if (!scrub_capital(scrub_at(text, at)) || !scrub_listed(text, at, end, units))
		return 0;
	if (scrub_at(text, end) == '.')
		end++;
	end = scrub_skip(text, end, 2);
	if (scrub_at(text, end) == '#')
		end++;
	at = end;
	end = scrub_word_end(text, at);
	for (size_t i = at; i < end && end - at <= 8; i++)
		if (scrub_digit(text.data[i]))
			return end;
	return 0;
}

/* Is there a state's abbreviation at a position? */
static bool
is_state(phi_bytes text, size_t at)
{
	char word[5] = {' ', 0, 0, ' ', 0};

	if (!scrub_upper(scrub_at(text, at)) || !scrub_upper(scrub_at(text, at + 1)) ||
		scrub_word(scrub_at(text, at + 2)))
		return false;
	word[1] = (char) text.data[at];
	word[2] = (char) text.data[at + 1];
	return strstr(states, word) != NULL;
}

/* The end of a ZIP code at a position, 0 when there is none. */
static size_t
match_zip(phi_bytes text, size_t at)
{
	size_t end = at + 5;

	if (digits_at(text, at, 5) != 5)
		return 0;
	if (scrub_at(text, end) == '-' && digits_at(text, end + 1, 4) == 4)
		end += 5;
	return scrub_word(scrub_at(text, end)) ? 0 : end;
}

/* Skip commas and white space, a few. */
static size_t
skip_commas(phi_bytes text, size_t at)
{
	size_t limit = at + 8;

	while (at < limit && (scrub_space(scrub_at(text, at)) || scrub_at(text, at) == ','))
		at++;
	return at;
}

/* A city and its country, or either, before a postal code of any country: "Graz, Austria 8010". */
static size_t
match_postal(phi_bytes text, size_t at)
{
	size_t from = at;

	for (int part = 0; part < 3; part++)
	{
		unsigned count;
		size_t end = scrub_capital_words(text, from, 3, &count);
		size_t digits, code;

		if (count == 0)
			return 0;
		code = scrub_skip(text, end, 2);
		digits = digits_at(text, code, 6);
		if (code > end && digits >= 4 && digits <= 6)
			return scrub_word(scrub_at(text, code + digits)) ? 0 : code + digits;
		from = skip_commas(text, end);
		if (from == end)
			return 0;
	}
	return 0;
}

/* What goes on behind a street: a unit, the city with its state and ZIP code. */
static size_t
match_city(phi_bytes text, size_t at)
{
	unsigned count;
	size_t from = skip_commas(text, at);
	size_t end = match_unit(text, from);
	size_t zip;

	if (end != 0)
	{
		at = end;
		from = skip_commas(text, at);
	}
	end = scrub_capital_words(text, from, 3, &count);
	if (count == 0)
		return at;
	zip = skip_commas(text, end);
	if (!is_state(text, zip))
	{
		if (count < 2 || !is_state(text, end - 2))
		{
			end = match_postal(text, from);
			return end != 0 ? end : at;
		}
		zip = end - 2;
	}
	from = zip + 2;
	zip = match_zip(text, scrub_skip(text, from, 4));
	return zip != 0 ? zip : from;
}

/* "6750 North Main Street", "12 Oak St, Apt 4, Springfield, IL 62701". */
static size_t
match_street(phi_bytes text, size_t at)
{
	size_t end = at + digits_at(text, at, 6);

	if (end - at == 0 || end - at > 6)
		return 0;
	if (scrub_letter(scrub_at(text, end)))
		end++;
	for (int i = 0; i < STREET_WORDS; i++)
	{
		size_t word;

		if (scrub_at(text, end) == '.')
			end++;
		if (scrub_at(text, end) != ' ')
			return 0;
		word = end + 1;
		end = scrub_word_end(text, word);
		if (end == word || end - word > 40 ||
			(!scrub_capital(text.data[word]) && !scrub_digit(text.data[word])))
			return 0;
		if (i > 0 && scrub_listed(text, word, end, streets))
			return match_city(text, scrub_at(text, end) == '.' && end - word <= 4 ? end + 1 : end);
		if (i > 0 && match_unit(text, word) != 0)
			return match_city(text, word - 1);
	}
	return 0;
}

/* "PO Box 12", "P.O. Box 12". */
static size_t
match_box(phi_bytes text, size_t at)
{
	static const char *const box[] = {"box", NULL};
	size_t end = at + 1;

	if (scrub_lower(scrub_at(text, at)) != 'p')
		return 0;
	end += scrub_at(text, end) == '.';
	if (scrub_lower(scrub_at(text, end)) != 'o')
		return 0;
	end++;
	end += scrub_at(text, end) == '.';
	at = scrub_skip(text, end, 2);
	end = scrub_word_end(text, at);
	if (!scrub_listed(text, at, end, box))
		return 0;
	at = scrub_skip(text, end, 2);
	end = scrub_word_end(text, at);
	return end > at && scrub_digit(text.data[at]) ? match_city(text, end) : 0;
}

/* "APO AE 09012", the end of an address of the armed forces. */
static size_t
match_forces_city(phi_bytes text, size_t at)
{
	static const char *const cities[] = {"apo", "fpo", "dpo", NULL};
	size_t end = scrub_word_end(text, at);
	size_t zip;

	if (!scrub_upper(scrub_at(text, at)) || !scrub_listed(text, at, end, cities))
		return 0;
	end = scrub_skip(text, end, 2);
	if (!is_state(text, end))
		return 0;
	zip = match_zip(text, scrub_skip(text, end + 2, 2));
	return zip != 0 ? zip : end + 2;
}

/* "PSC 3294, Box 9168", "Unit 0822 Box 8858", "USNS Roe", each with what match_forces_city() finds. */
static size_t
match_forces(phi_bytes text, size_t at)
{
	static const char *const heads[] = {"psc", "cmr", "unit", NULL};
	static const char *const ships[] = {"uss", "usns", "usnv", "uscgc", NULL};
	static const char *const box[] = {"box", NULL};
	size_t end = scrub_word_end(text, at);
	size_t from;
	unsigned count;

	if (!scrub_capital(scrub_at(text, at)))
		return 0;
	if (scrub_listed(text, at, end, ships))
		return match_forces_city(
			text,
			skip_commas(text, scrub_capital_words(text, scrub_skip(text, end, 1), 3, &count)));
	if (!scrub_listed(text, at, end, heads))
		return match_forces_city(text, at);
	from = scrub_skip(text, end, 2);
	end = from + digits_at(text, from, 6);
	from = skip_commas(text, end);
	if (end == from || !scrub_listed(text, from, from + 3, box))
		return 0;
	from = scrub_skip(text, from + 3, 2);
	end = from + digits_at(text, from, 6);
	if (end == from)
		return 0;
	from = match_forces_city(text, skip_commas(text, end));
	return from != 0 ? from : end;
}

/* "Calle de la Luna 12", "Rue Monge 4": the number is behind the name. */
static size_t
match_headed(phi_bytes text, size_t at)
{
	static const char *const joints[] = {"de",    "la",    "del", "da",  "do", "du", "des", "di",
										 "della", "delle", "los", "las", "le", "l",  NULL};
	size_t end = scrub_word_end(text, at);

	if (!scrub_capital(scrub_at(text, at)) || !scrub_listed(text, at, end, street_heads))
		return 0;
	for (int i = 0; i < STREET_WORDS; i++)
	{
		size_t word = end + 1;
		size_t digits;

		if (scrub_at(text, end) != ' ')
			return 0;
		digits = digits_at(text, word, 4);
		end = scrub_word_end(text, word);
		if (i > 0 && digits > 0 && digits <= 4 && end - word <= digits + 1)
			return match_city(text, end);
		if (end == word || end - word > 40 ||
			(!scrub_capital(text.data[word]) && !scrub_listed(text, word, end, joints)))
			return 0;
	}
	return 0;
}

size_t
scrub_place(phi_bytes text, size_t at, phi_scrub_tag *tag, size_t *start)
{
	uint8_t c = scrub_at(text, at);
	size_t end;

	*tag = PHI_SCRUB_ADDRESS;
	if (scrub_digit(c))
		return match_street(text, at);
	if (!scrub_letter(c))
		return 0;
	end = match_box(text, at);
	if (end == 0)
		end = match_forces(text, at);
	if (end == 0)
		end = match_headed(text, at);
	if (end == 0)
		end = match_unit(text, at);
	if (end != 0)
		return end;
	*tag = PHI_SCRUB_ZIP;
	if (is_state(text, at))
	{
		size_t zip = scrub_skip(text, at + 2, 4);

		end = match_zip(text, zip);
		if (end != 0)
		{
			*start = zip;
			return end;
		}
	}
	*tag = PHI_SCRUB_DATE;
	return match_month(text, at);
}
