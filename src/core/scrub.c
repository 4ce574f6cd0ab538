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

bool
phi_scrub_marked(phi_bytes text)
{
	for (size_t at = 0; at < text.size; at++)
	{
		if (text.data[at] != '[' && text.data[at] != '9')
			continue;
		for (int tag = PHI_SCRUB_NOTHING + 1; tag < PHI_SCRUB_COUNT; tag++)
		{
			size_t size = strlen(words[tag]);

			if (size <= text.size - at && memcmp(text.data + at, words[tag], size) == 0)
				return true;
		}
	}
	return false;
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

/* The position of the first letter or digit of a known value; its size when there is none. */
static size_t
known_start(phi_bytes value)
{
	size_t at = 0;

	while (at < value.size && !scrub_word(value.data[at]))
		at++;
	return at;
}

/* How many digits a known number has; 0 for a text or a date. */
static size_t
known_digits(const phi_scrub_known *known, char *digits)
{
	size_t count = 0;

	for (size_t i = 0; i < known->value.size; i++)
	{
		uint8_t c = known->value.data[i];

		if (scrub_letter(c) || known->tag == PHI_SCRUB_DATE)
			return 0;
		if (scrub_digit(c) && count < DIGITS_MAX)
			digits[count++] = (char) c;
	}
	return count;
}

/* The byte at a position in lower case; of the letters of Latin-1 in UTF-8 too. */
static uint8_t
folded(phi_bytes text, size_t at)
{
	uint8_t c = scrub_at(text, at);

	if (c >= 0x80 && c <= 0x9E && c != 0x97 && at > 0 && text.data[at - 1] == 0xC3)
		return (uint8_t) (c | 0x20);
	return scrub_lower(c);
}

/* Is it a name or a place of one word, that an ordinary word may equal? */
static bool
needs_capital(const phi_scrub_known *known)
{
	return (known->tag == PHI_SCRUB_NAME || known->tag == PHI_SCRUB_ADDRESS) &&
		   memchr(known->value.data, ' ', known->value.size) == NULL;
}

/* The end of a known text at a position; white space matches white space. */
static size_t
match_text(phi_bytes text, size_t at, const phi_scrub_known *known)
{
	size_t i = known_start(known->value);

	if (known->value.size < 2 || i == known->value.size ||
		(needs_capital(known) && !scrub_capital(scrub_at(text, at))))
		return 0;
	while (i < known->value.size)
	{
		if (scrub_space(known->value.data[i]))
		{
			size_t next = scrub_skip(text, at, 8);

			if (next == at)
				return 0;
			at = next;
			while (i < known->value.size && scrub_space(known->value.data[i]))
				i++;
			continue;
		}
		if (at >= text.size || folded(text, at) != folded(known->value, i))
			return 0;
		at++;
		i++;
	}
	return scrub_word(scrub_at(text, at)) ? 0 : at;
}

/* The end of a known number at a position: all digits of the first groups there. */
static size_t
match_digits(const scrub_groups *number, const char *here, const char *digits, size_t wanted)
{
	size_t count = 0;

	if (wanted < 4 || memcmp(here, digits, wanted) != 0)
		return 0;
	for (unsigned i = 0; i < number->count && count < wanted; i++)
	{
		count += number->list[i].size;
		if (count == wanted)
			return number->list[i].end;
	}
	return 0;
}

/* The longest of the known values that begin with a byte, at a position. */
static size_t
match_chain(const phi_scrubber *scrubber, uint8_t first, const scrub_groups *number,
			const char *here, phi_scrub_tag *tag)
{
	char digits[DIGITS_MAX];
	size_t best = 0;

	for (unsigned n = scrubber->first[first]; n != 0; n = scrubber->next[n - 1])
	{
		const phi_scrub_known *known = &scrubber->known[n - 1];
		size_t wanted = known_digits(known, digits);
		size_t end = wanted > 0 ? match_digits(number, here, digits, wanted)
								: match_text(scrubber->text, scrubber->at, known);

		if (end > best)
		{
			best = end;
			*tag = known->tag;
		}
	}
	return best;
}

/* The longest known value at a position. */
static size_t
match_known(const phi_scrubber *scrubber, phi_scrub_tag *tag)
{
	char here[DIGITS_MAX] = {0};
	scrub_groups number = {.count = 0};
	uint8_t first = scrub_lower(scrub_at(scrubber->text, scrubber->at));

	if (scrubber->known_count == 0)
		return 0;
	if (!scrub_letter(first) &&
		scrub_digits(scrubber->text, scrubber->at, &number, here, DIGITS_MAX) > 0)
		first = (uint8_t) here[0];
	return match_chain(scrubber, first, &number, here, tag);
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
	if (span->end == 0 && scrub_letter(c))
		span->end = scrub_person(text, at, &span->tag, &span->start);
	if (span->end == 0 && (scrub_digit(c) || c == '+' || c == '('))
		span->end = scrub_number(text, at, context, &span->tag);
	if (span->end == 0 && (scrub_digit(c) || scrub_letter(c)))
		span->end = scrub_code(text, at, context, &span->tag);
	return span->end != 0;
}

phi_scrubber
phi_scrub_begin(phi_bytes text, const phi_scrub_known *known, size_t known_count)
{
	phi_scrubber scrubber = {.text = text, .known = known, .known_count = known_count};

	if (scrubber.known_count > PHI_SCRUB_KNOWN_MAX)
		scrubber.known_count = PHI_SCRUB_KNOWN_MAX;
	for (size_t n = scrubber.known_count; n > 0; n--)
	{
		size_t start = known_start(known[n - 1].value);
		uint8_t first = scrub_lower(scrub_at(known[n - 1].value, start));

		scrubber.next[n - 1] = scrubber.first[first];
		scrubber.first[first] = (uint16_t) n;
	}
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

	if (known_count > PHI_SCRUB_KNOWN_MAX)
		return PHI_ERR_ARGUMENT;
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
