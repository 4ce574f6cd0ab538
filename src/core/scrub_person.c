/*-------------------------------------------------------------------------
 * scrub_person.c
 *		Names of people: behind a title or a word such as "Patient:", before a
 *		degree, and common ones that stand alone.
 *-------------------------------------------------------------------------
 */
#include "scrub_match.h"

#include <string.h>

#define NAME_WORDS 4
#define WORD_MAX   60

/* Words that announce the name of a person. */
static const char *const titles[] = {"mr",   "mrs",       "ms",   "miss",  "mx",     "dr",
									 "prof", "professor", "rev",  "fr",    "sir",    "lady",
									 "mme",  "herr",      "frau", "nurse", "doctor", NULL};

/* What stands behind a name: "Jane Roe, MD". */
static const char *const credentials[] = {"md",  "do",  "rn",     "np",  "pa", "phd",
										  "lpn", "dds", "pharmd", "esq", NULL};

/* Words with a capital that begin a sentence or a heading, no name. */
static const char *const plain[] = {"the", "this", "she",  "he",   "it",     "they", "we",   "on",
									"in",  "at",   "was",  "is",   "has",    "had",  "and",  "or",
									"not", "no",   "will", "said", "please", "who",  "what", NULL};

/* The end of a word with a capital, of "O'Neil" or "Smith-Roe" too; 0 for any other and for plain ones. */
static size_t
capital_word(phi_bytes text, size_t at)
{
	size_t end;

	if (!scrub_capital(scrub_at(text, at)))
		return 0;
	end = scrub_word_end(text, at);
	while (end < text.size && memchr("'-", text.data[end], 2) != NULL && end - at <= WORD_MAX &&
		   scrub_capital(scrub_at(text, end + 1)))
		end = scrub_word_end(text, end + 1);
	return end - at > WORD_MAX || scrub_listed(text, at, end, plain) ? 0 : end;
}

/* Where the next word of a name begins: behind one space, and the point of an initial. */
static size_t
next_word(phi_bytes text, size_t at, size_t end)
{
	if (end - at == 1 && scrub_at(text, end) == '.')
		end++;
	return scrub_at(text, end) == ' ' ? end + 1 : text.size;
}

size_t
scrub_capital_words(phi_bytes text, size_t at, unsigned limit, unsigned *count)
{
	size_t end = at;
	size_t word;

	for (*count = 0; *count < limit && (word = capital_word(text, at)) != 0; (*count)++)
	{
		end = word;
		at = next_word(text, at, word);
	}
	return end;
}

/* Skip what stands between a word that announces a name and the name. */
static size_t
skip_to_name(phi_bytes text, size_t at)
{
	if (scrub_at(text, at) == '.' || scrub_at(text, at) == ':')
		at++;
	return scrub_skip(text, at, 4);
}

/* "Dr. Jane Roe", "Name: Jane Roe", "my name is Jane": the name alone. */
static size_t
match_announced(phi_bytes text, size_t at, size_t *start)
{
	static const char *const heads[] = {"name",      "patient", "pt",      "physician", "provider",
										"attending", "spouse",  "mother",  "father",    "daughter",
										"son",       "wife",    "husband", "named",     "contact",
										"from",      "by",      NULL};
	static const char *const named[] = {"name", "named", NULL};
	static const char *const verb[] = {"is", NULL};
	size_t end = scrub_word_end(text, at);
	unsigned count;
	bool titled, head;

	if (end - at > 10)
		return 0;
	titled = scrub_capital(scrub_at(text, at)) && scrub_listed(text, at, end, titles);
	head = !titled && scrub_listed(text, at, end, heads);
	if (!titled && !head)
		return 0;
	*start = skip_to_name(text, end);
	if (head && scrub_listed(text, at, end, named))
	{
		size_t word = scrub_word_end(text, *start);

		if (scrub_listed(text, *start, word, verb))
			*start = skip_to_name(text, word);
		else if (scrub_at(text, end) != ':' && at + 5 != end)
			return 0;
	}
	else if (head && scrub_at(text, end) != ':')
		return 0;
	end = scrub_capital_words(text, *start, NAME_WORDS, &count);
	return count > 0 ? end : 0;
}

/* "Jane Roe, MD". */
static size_t
match_credentialed(phi_bytes text, size_t at)
{
	unsigned count;
	size_t end = scrub_capital_words(text, at, NAME_WORDS, &count);
	size_t from = end;

	if (count < 2 || scrub_at(text, from) != ',')
		return 0;
	from = scrub_skip(text, from + 1, 2);
	return scrub_listed(text, from, scrub_word_end(text, from), credentials) &&
				   scrub_upper(scrub_at(text, from))
			   ? end
			   : 0;
}

/* Words behind a given name that are no surname: "Henry Hospital", "Mary Monday". */
static const char *const no_surname[] = {
	"hospital", "clinic",    "center",     "centre",   "medical",  "university", "college",
	"school",   "institute", "foundation", "church",   "street",   "avenue",     "road",
	"monday",   "tuesday",   "wednesday",  "thursday", "friday",   "saturday",   "sunday",
	"january",  "february",  "march",      "april",    "may",      "june",       "july",
	"august",   "september", "october",    "november", "december", "dr",         "mr",
	"mrs",      "ms",        "i",          NULL};

/* What medicine names after people: behind one of them a name is nobody's. */
static const char *const eponyms[] = {
	"disease",    "syndrome",       "sign",     "signs",     "test",      "scale",       "score",
	"criteria",   "catheter",       "tube",     "splint",    "fracture",  "procedure",   "maneuver",
	"operation",  "traction",       "clamp",    "clamps",    "shunt",     "protocol",    "lesion",
	"lesions",    "drain",          "antigen",  "antigens",  "lung",      "palsy",       "reflex",
	"stain",      "needle",         "forceps",  "retractor", "cell",      "cells",       "body",
	"bodies",     "classification", "stage",    "staging",   "index",     "technique",   "method",
	"law",        "rule",           "virus",    "fever",     "canal",     "duct",        "ganglion",
	"node",       "nodes",          "ring",     "triangle",  "block",     "bundle",      "hernia",
	"pouch",      "repair",         "position", "angle",     "line",      "point",       "exercise",
	"exercises",  "sarcoma",        "tumor",    "anomaly",   "deformity", "contracture", "nodules",
	"phenomenon", NULL};

/* Is every letter of a short word a capital, as in an abbreviation? */
static bool
abbreviates(phi_bytes text, size_t at, size_t end)
{
	for (size_t i = at; i < end; i++)
		if (!scrub_upper(text.data[i]))
			return false;
	return end - at <= 4;
}

/* Does the word at a position go on another one ("Charcot-Marie"), or name a saint or a place? */
static bool
continues(phi_bytes text, size_t at)
{
	static const char *const before[] = {"St. ", "St ", "Saint ", "San ", "Santa ", "-", NULL};

	for (const char *const *word = before; *word != NULL; word++)
	{
		size_t size = strlen(*word);

		if (at >= size && memcmp(text.data + at - size, *word, size) == 0)
			return true;
	}
	return false;
}

/* Is a word a month with a day or year behind it? */
static bool
begins_date(phi_bytes text, size_t at, size_t end)
{
	return scrub_month(text, at) != 0 && scrub_at(text, end) == ' ' &&
		   scrub_digit(scrub_at(text, end + 1));
}

/*
 * The end of what follows a given name: initials, names that are listed (*sure
 * then) and, where any does or one was, one surname that is not.
 */
static size_t
match_rest(phi_bytes text, size_t at, size_t end, bool any, bool *sure)
{
	for (int i = 1; i < NAME_WORDS; i++)
	{
		size_t word;

		at = next_word(text, at, end);
		word = capital_word(text, at);
		if (word == 0 || begins_date(text, at, word))
			break;
		if (scrub_name(text, at, word) != SCRUB_NAME_NONE)
			*sure = true;
		else if (word - at > 1)
			return (any || *sure) && !scrub_listed(text, at, word, no_surname) &&
						   !scrub_listed(text, at, word, eponyms)
					   ? word
					   : end;
		else if (capital_word(text, next_word(text, at, word)) == 0)
			break; /* an initial stands before a name */
		end = word;
	}
	return end;
}

/* A common given name with what follows it; a word that is one only with another name. */
static size_t
match_given(phi_bytes text, size_t at)
{
	size_t end = scrub_word_end(text, at);
	size_t rest;
	unsigned name;
	bool alone;
	bool sure = false;

	if (!scrub_upper(scrub_at(text, at)))
		return 0;
	name = scrub_name(text, at, end);
	if ((name & (SCRUB_NAME_GIVEN | SCRUB_NAME_WORD)) == 0 || continues(text, at))
		return 0;
	alone = (name & SCRUB_NAME_GIVEN) != 0 && !abbreviates(text, at, end);
	rest = capital_word(text, at);
	if (rest == 0)
		return 0;
	end = rest;
	rest = match_rest(text, at, end, alone, &sure);
	if (rest == end && scrub_listed(text, end + 1, scrub_word_end(text, end + 1), eponyms))
		return 0;
	return alone || sure ? rest : 0;
}

/* "Smith, Jane": a common surname before a given name. */
static size_t
match_reversed(phi_bytes text, size_t at)
{
	size_t end = scrub_word_end(text, at);
	size_t first = end + 2;
	size_t given;
	bool sure;

	if (!scrub_upper(scrub_at(text, at)) || scrub_at(text, end) != ',' ||
		scrub_at(text, end + 1) != ' ' || (scrub_name(text, at, end) & SCRUB_NAME_SURNAME) == 0)
		return 0;
	given = capital_word(text, first);
	if (given == 0 || (scrub_name(text, first, given) & SCRUB_NAME_GIVEN) == 0)
		return 0;
	return match_rest(text, first, given, false, &sure);
}

size_t
scrub_person(phi_bytes text, size_t at, phi_scrub_tag *tag, size_t *start)
{
	size_t end = match_announced(text, at, start);

	*tag = PHI_SCRUB_NAME;
	if (end != 0)
		return end;
	*start = at;
	end = match_credentialed(text, at);
	if (end == 0)
		end = match_reversed(text, at);
	return end != 0 ? end : match_given(text, at);
}
