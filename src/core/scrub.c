/*-------------------------------------------------------------------------
 * scrub.c
 *		The scrubber's walk through a text, and the values it was told.
 *
 * The walk stops at word starts.  A word such as "MRN" or "phone" says what
 * the next number may be; that holds for CONTEXT_REACH bytes.
 *-------------------------------------------------------------------------
 */
#include "scrub_match.h"

#include <string.h>

#define CONTEXT_REACH 32
#define DIGITS_MAX    24

/* Words that announce an identifier. */
static const struct
{
	const char *word;
	phi_scrub_tag tag;
} contexts[] = {
	{"ssn", PHI_SCRUB_SSN},
	{"social", PHI_SCRUB_SSN},
	{"mrn", PHI_SCRUB_MRN},
	{"record", PHI_SCRUB_MRN},
	{"chart", PHI_SCRUB_MRN},
	{"phone", PHI_SCRUB_PHONE},
	{"telephone", PHI_SCRUB_PHONE},
	{"tel", PHI_SCRUB_PHONE},
	{"fax", PHI_SCRUB_PHONE},
	{"cell", PHI_SCRUB_PHONE},
	{"mobile", PHI_SCRUB_PHONE},
	{"pager", PHI_SCRUB_PHONE},
	{"call", PHI_SCRUB_PHONE},
	{"zip", PHI_SCRUB_ZIP},
	{"zipcode", PHI_SCRUB_ZIP},
	{"postal", PHI_SCRUB_ZIP},
	{"postcode", PHI_SCRUB_ZIP},
	{"account", PHI_SCRUB_ACCOUNT},
	{"acct", PHI_SCRUB_ACCOUNT},
	{"iban", PHI_SCRUB_ACCOUNT},
	{"card", PHI_SCRUB_ACCOUNT},
	{"member", PHI_SCRUB_HEALTH_PLAN},
	{"policy", PHI_SCRUB_HEALTH_PLAN},
	{"beneficiary", PHI_SCRUB_HEALTH_PLAN},
	{"medicare", PHI_SCRUB_HEALTH_PLAN},
	{"medicaid", PHI_SCRUB_HEALTH_PLAN},
	{"license", PHI_SCRUB_LICENSE},
	{"licence", PHI_SCRUB_LICENSE},
	{"passport", PHI_SCRUB_LICENSE},
	{"npi", PHI_SCRUB_LICENSE},
	{"dea", PHI_SCRUB_LICENSE},
	{"vin", PHI_SCRUB_VEHICLE},
	{"plate", PHI_SCRUB_VEHICLE},
	{"serial", PHI_SCRUB_DEVICE},
	{"udi", PHI_SCRUB_DEVICE},
	{"age", PHI_SCRUB_AGE},
	{"aged", PHI_SCRUB_AGE},
	{"dob", PHI_SCRUB_DATE},
	{"born", PHI_SCRUB_DATE},
	{"dated", PHI_SCRUB_DATE},
	{"since", PHI_SCRUB_DATE},
	{"on", PHI_SCRUB_DATE},
};

static const char *const words[] = {"",          "[NAME]",   "[ADDRESS]", "[ZIP]",     "[DATE]",
									"90+",       "[PHONE]",  "[EMAIL]",   "[URL]",     "[IP]",
									"[SSN]",     "[MRN]",    "[PLAN]",    "[ACCOUNT]", "[LICENSE]",
									"[VEHICLE]", "[DEVICE]", "[ID]"};

_Static_assert(sizeof(words) / sizeof(words[0]) == PHI_SCRUB_COUNT, "a word for each tag");

const char *
phi_scrub_word(phi_scrub_tag tag)
{
	return tag < PHI_SCRUB_COUNT ? words[tag] : "";
}

size_t
scrub_word_end(phi_bytes text, size_t at)
{
	while (at < text.size && scrub_word(text.data[at]))
		at++;
	return at;
}

size_t
scrub_skip(phi_bytes text, size_t at, size_t limit)
{
	size_t end = at + limit;

	while (at < end && scrub_space(scrub_at(text, at)))
		at++;
	return at;
}

/* Does a word of the text equal a lower-case word? */
static bool
equals(phi_bytes text, size_t start, size_t end, const char *word)
{
	size_t i;

	for (i = start; i < end; i++)
		if (word[i - start] == '\0' || scrub_lower(text.data[i]) != (uint8_t) word[i - start])
			return false;
	return word[i - start] == '\0';
}

bool
scrub_listed(phi_bytes text, size_t start, size_t end, const char *const *list)
{
	for (; *list != NULL; list++)
		if (equals(text, start, end, *list))
			return true;
	return false;
}

/* Take down what a word announces. */
static void
note_context(phi_scrubber *scrubber, size_t start, size_t end)
{
	for (size_t i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++)
	{
		if (!equals(scrubber->text, start, end, contexts[i].word))
			continue;
		if (contexts[i].tag == PHI_SCRUB_DATE && start < scrubber->context_end)
			return; /* "call me on" is still about a telephone */
		scrubber->context = contexts[i].tag;
		scrubber->context_end = end + CONTEXT_REACH;
		return;
	}
}

/* How many digits a known value has; 0 when it has letters. */
static size_t
known_digits(phi_bytes value, char *digits)
{
	size_t count = 0;

	for (size_t i = 0; i < value.size; i++)
	{
		if (scrub_letter(value.data[i]))
			return 0;
		if (scrub_digit(value.data[i]) && count < DIGITS_MAX)
			digits[count++] = (char) value.data[i];
	}
	return count;
}

/* The end of a known text at a position; white space matches white space. */
static size_t
match_text(phi_bytes text, size_t at, const phi_scrub_known *known)
{
	size_t i = 0;

	if (known->value.size < 2 ||
		(known->tag == PHI_SCRUB_NAME && !scrub_capital(scrub_at(text, at))))
		return 0;
	while (i < known->value.size)
	{
		uint8_t c = known->value.data[i];

		if (scrub_space(c))
		{
			size_t next = scrub_skip(text, at, 8);

			if (next == at)
				return 0;
			at = next;
			while (i < known->value.size && scrub_space(known->value.data[i]))
				i++;
			continue;
		}
		if (at >= text.size || scrub_lower(text.data[at]) != scrub_lower(c))
			return 0;
		at++;
		i++;
	}
	return scrub_word(scrub_at(text, at)) ? 0 : at;
}

/* The longest known value at a position. */
static size_t
match_known(const phi_scrubber *scrubber, phi_scrub_tag *tag)
{
	char here[DIGITS_MAX];
	char digits[DIGITS_MAX];
	size_t count = 0;
	size_t number_end = scrub_digits(scrubber->text, scrubber->at, here, DIGITS_MAX, &count);
	size_t best = 0;

	for (size_t i = 0; i < scrubber->known_count; i++)
	{
		const phi_scrub_known *known = &scrubber->known[i];
		size_t wanted = known_digits(known->value, digits);
		size_t end;

		if (wanted > 0)
			end =
				wanted >= 4 && wanted == count && memcmp(here, digits, count) == 0 ? number_end : 0;
		else
			end = match_text(scrubber->text, scrubber->at, known);
		if (end > best)
		{
			best = end;
			*tag = known->tag;
		}
	}
	return best;
}

/* Try the recognizers at a word start. */
static bool
recognize(phi_scrubber *scrubber, phi_span *span)
{
	phi_bytes text = scrubber->text;
	size_t at = scrubber->at;
	phi_scrub_tag context = at < scrubber->context_end ? scrubber->context : PHI_SCRUB_NOTHING;
	uint8_t c = text.data[at];

	span->start = at;
	span->end = match_known(scrubber, &span->tag);
	if (span->end == 0)
		span->end = scrub_internet(text, at, &span->tag);
	if (span->end == 0)
		span->end = scrub_place(text, at, &span->tag, &span->start);
	if (span->end == 0 && (scrub_digit(c) || c == '+' || c == '('))
		span->end = scrub_number(text, at, context, &span->tag);
	if (span->end == 0 && (scrub_digit(c) || scrub_letter(c)))
		span->end = scrub_code(text, at, context, &span->tag);
	return span->end != 0;
}

phi_scrubber
phi_scrub_begin(phi_bytes text, const phi_scrub_known *known, size_t known_count)
{
	phi_scrubber scrubber = {text, known, known_count, 0, PHI_SCRUB_NOTHING, 0};

	return scrubber;
}

bool
phi_scrub_next(phi_scrubber *scrubber, phi_span *span)
{
	phi_bytes text = scrubber->text;

	while (scrubber->at < text.size)
	{
		size_t at = scrubber->at;
		uint8_t c = text.data[at];
		size_t end;

		if (!scrub_word(c) && c != '+' && c != '(')
		{
			scrubber->at++;
			continue;
		}
		if (recognize(scrubber, span))
		{
			scrubber->at = span->end;
			scrubber->context_end = 0;
			return true;
		}
		end = scrub_word_end(text, at);
		if (end > at)
			note_context(scrubber, at, end);
		scrubber->at = end > at ? end : at + 1;
	}
	return false;
}

phi_status
phi_scrub_text(phi_bytes in, const phi_scrub_known *known, size_t known_count, phi_buffer *out)
{
	phi_scrubber scrubber = phi_scrub_begin(in, known, known_count);
	size_t begun = out->size;
	size_t copied = 0;
	phi_status status = PHI_OK;
	phi_span span;

	while (status == PHI_OK && phi_scrub_next(&scrubber, &span))
	{
		const char *word = phi_scrub_word(span.tag);

		status = phi_buffer_append(out, phi_bytes_of(in.data + copied, span.start - copied));
		if (status == PHI_OK)
			status = phi_buffer_append(out, phi_bytes_of(word, strlen(word)));
		copied = span.end;
	}
	if (status == PHI_OK)
		status = phi_buffer_append(out, phi_bytes_of(in.data + copied, in.size - copied));
	if (status != PHI_OK)
		out->size = begun;
	return status;
}
