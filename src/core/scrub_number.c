/*-------------------------------------------------------------------------
 * scrub_number.c
 *		Numbers in free text: dates, telephone and social security numbers,
 *		network addresses, ZIP codes, ages, payment cards, anything long.
 *
 * A number is read as groups of digits with single separators.  Patterns are
 * tried on its leading groups, the strict ones first.
 *-------------------------------------------------------------------------
 */
#include "scrub_match.h"

#include <string.h>

/* Have the first groups these sizes, the digits of pattern, and are they all? */
static bool
shaped(const scrub_groups *number, const char *pattern)
{
	unsigned i;

	for (i = 0; pattern[i] != '\0'; i++)
		if (i >= number->count || number->list[i].size != (unsigned) (pattern[i] - '0'))
			return false;
	return true;
}

/* Are the first count groups separated by one and the same character of a set? */
static bool
separated(const scrub_groups *number, unsigned count, const char *set)
{
	for (unsigned i = 1; i < count; i++)
		if (i >= number->count || number->list[i].before != number->list[1].before ||
			strchr(set, number->list[i].before) == NULL)
			return false;
	return true;
}

static bool
is_year(const scrub_group *g)
{
	return g->size == 4 && g->value >= 1800 && g->value <= 2199;
}

/* Can two numbers be month and day, in either order? */
static bool
is_month_day(const scrub_group *a, const scrub_group *b)
{
	return a->size <= 2 && b->size <= 2 && a->value >= 1 && b->value >= 1 && a->value <= 31 &&
		   b->value <= 31 && (a->value <= 12 || b->value <= 12);
}

/* The end of a fraction, a half of the day or a zone that follows a time of day. */
static size_t
zone_after(phi_bytes text, size_t at)
{
	size_t end = at;
	size_t word = scrub_at(text, at) == ' ' ? at + 1 : at;

	if (scrub_at(text, end) == '.' && scrub_digit(scrub_at(text, end + 1)))
		for (end++; scrub_digit(scrub_at(text, end));)
			end++;
	if (end > at)
		word = end;
	if ((scrub_lower(scrub_at(text, word)) == 'a' || scrub_lower(scrub_at(text, word)) == 'p') &&
		scrub_lower(scrub_at(text, word + 1)) == 'm' && !scrub_word(scrub_at(text, word + 2)))
		return word + 2;
	if (scrub_at(text, end) == 'Z' && !scrub_word(scrub_at(text, end + 1)))
		return end + 1;
	if ((scrub_at(text, end) == '+' || scrub_at(text, end) == '-') &&
		scrub_digit(scrub_at(text, end + 1)) && scrub_digit(scrub_at(text, end + 2)))
	{
		end += 3;
		if (scrub_at(text, end) == ':' && scrub_digit(scrub_at(text, end + 1)))
			end++;
		while (scrub_digit(scrub_at(text, end)))
			end++;
	}
	return end;
}

/* The end of a time of day that follows a date. */
static size_t
time_after(phi_bytes text, size_t at)
{
	size_t end = at;
	unsigned digits = 0;

	if (scrub_at(text, end) != ' ' && scrub_at(text, end) != 'T')
		return at;
	end++;
	while (scrub_digit(scrub_at(text, end)) || (digits > 0 && scrub_at(text, end) == ':' &&
												digits < 6 && scrub_digit(scrub_at(text, end + 1))))
		digits += text.data[end++] != ':';
	if (digits < 3 || digits > 6 || text.data[end - digits] == ' ')
		return at;
	return memchr(text.data + at, ':', end - at) != NULL ? zone_after(text, end) : at;
}

/* A date in numbers. */
static size_t
match_date(phi_bytes text, const scrub_groups *number, phi_scrub_tag context)
{
	const scrub_group *g = number->list;

	if (number->plus || number->paren)
		return 0;
	if (number->count >= 3 && separated(number, 3, "-/."))
	{
		if (is_year(&g[0]) && is_month_day(&g[1], &g[2]))
			return time_after(text, g[2].end);
		if (is_month_day(&g[0], &g[1]) &&
			(is_year(&g[2]) || (g[2].size == 2 && (g[1].before != '.' || shaped(number, "222")))))
			return time_after(text, g[2].end);
	}
	if (number->count >= 2 && g[1].before == '/' && g[0].size <= 2 && g[0].value >= 1 &&
		g[0].value <= 12 && is_year(&g[1]) && g[1].value >= 1900)
		return g[1].end;
	if (context == PHI_SCRUB_DATE && number->count >= 2 && g[1].before == '/' &&
		is_month_day(&g[0], &g[1]))
		return g[1].end;
	return 0;
}

/* Four numbers up to 255. */
static size_t
match_ip(const scrub_groups *number)
{
	if (number->count < 4 || !separated(number, 4, ".") ||
		(number->count > 4 && number->list[4].before == '.'))
		return 0;
	for (unsigned i = 0; i < 4; i++)
		if (number->list[i].size > 3 || number->list[i].value > 255)
			return 0;
	return number->list[3].end;
}

/* An extension behind a telephone number. */
static size_t
extension_after(phi_bytes text, size_t at)
{
	static const char *const extension[] = {"x", "ext", "extension", NULL};
	size_t start = scrub_skip(text, at, 2);
	size_t end = start;

	while (scrub_letter(scrub_at(text, end)) && end - start < 10)
		end++;
	if (end == start || !scrub_listed(text, start, end, extension))
		return at;
	if (scrub_at(text, end) == '.')
		end++;
	end = scrub_skip(text, end, 2);
	return scrub_digit(scrub_at(text, end)) ? scrub_word_end(text, end) : at;
}

/* How many groups from the first on make up a telephone number; 0 when they do not. */
static unsigned
phone_groups(const scrub_groups *number, phi_scrub_tag context)
{
	unsigned digits = 0;
	unsigned count = 0;
	bool likely = number->plus || number->paren || context == PHI_SCRUB_PHONE;

	if (shaped(number, "334") && number->list[1].before != '/')
		return 3;
	if (shaped(number, "1334"))
		return 4;
	if (shaped(number, "34") && (number->list[1].before == '-' || likely))
		return 2;
	while (count < number->count && digits + number->list[count].size <= 15 &&
		   number->list[count].before != '/' &&
		   (count == 0 || number->list[count].size >= 2 || number->plus || number->paren))
		digits += number->list[count++].size;
	if (digits < 7 || (count < 2 && !likely))
		return 0;
	if (likely || (count >= 3 && digits >= 8 && separated(number, count, "-.")) ||
		(count >= 3 && digits >= 9 && number->list[0].size >= 2 && separated(number, count, " ")))
		return count;
	return 0;
}

/* Four groups of a payment card. */
static bool
is_card(const scrub_groups *number)
{
	return (shaped(number, "4444") && separated(number, 4, " -")) ||
		   (shaped(number, "465") && separated(number, 3, " -"));
}

/* What a number without separators is. */
static phi_scrub_tag
long_number(const char *digits, size_t count)
{
	char npi[15] = "80840";

	if (count >= 12 && count <= 19 && scrub_luhn(digits, count))
		return PHI_SCRUB_ACCOUNT;
	if (count == 10)
	{
		memcpy(npi + 5, digits, 10);
		if (scrub_luhn(npi, 15))
			return PHI_SCRUB_LICENSE;
	}
	return PHI_SCRUB_ID;
}

/* Does a word for years of age follow? */
static bool
years_follow(phi_bytes text, size_t at)
{
	static const char *const years[] = {"year", "years", "yr", "yrs", "yo", "y", NULL};
	size_t start = at;

	if (scrub_at(text, start) == ' ' || scrub_at(text, start) == '-')
		start++;
	return scrub_listed(text, start, scrub_word_end(text, start), years);
}

/* A day before the name of a month: "5 March 2020", "5th of March". */
static size_t
match_day_month(phi_bytes text, const scrub_group *day)
{
	static const char *const ordinals[] = {"st", "nd", "rd", "th", NULL};
	size_t at = day->end;
	size_t end;
	scrub_group year;

	if (day->size > 2 || day->value < 1 || day->value > 31)
		return 0;
	end = scrub_word_end(text, at);
	if (end > at && !scrub_listed(text, at, end, ordinals))
		return 0;
	at = scrub_skip(text, end, 2);
	if (scrub_at(text, at) == '-')
		at++;
	if (scrub_lower(scrub_at(text, at)) == 'o' && scrub_at(text, at + 1) == 'f')
		at = scrub_skip(text, at + 2, 2);
	if (at == day->end)
		return 0;
	end = scrub_month(text, at);
	if (end == 0)
		return 0;
	at = end;
	while (at - end < 3 && memchr(" ,-", scrub_at(text, at), 3) != NULL)
		at++;
	return at > end && scrub_group_read(text, at, 0, &year) && is_year(&year) ? year.end : end;
}

/* Does a word before say that a number identifies somebody or something, and which way? */
static bool
announced(phi_scrub_tag context)
{
	return context != PHI_SCRUB_NOTHING && context != PHI_SCRUB_AGE && context != PHI_SCRUB_DATE &&
		   context != PHI_SCRUB_PHONE && context != PHI_SCRUB_ZIP;
}

/* A number that a word announced: all its groups with hyphens between them. */
static size_t
match_announced(const scrub_groups *number, unsigned least)
{
	unsigned digits = number->list[0].size;
	unsigned last = 0;

	while (last + 1 < number->count && number->list[last + 1].before == '-')
		digits += number->list[++last].size;
	return digits >= least ? number->list[last].end : 0;
}

/* A ZIP code: five digits, or any number that a word announced as one. */
static size_t
match_zip(const scrub_groups *number, phi_scrub_tag context)
{
	const scrub_group *g = number->list;

	if (g[0].size == 5 && number->count > 1 && g[1].size == 4 && g[1].before == '-')
		return g[1].end;
	if (context != PHI_SCRUB_ZIP)
		return 0;
	if (g[0].size >= 3 && number->count > 1 && g[1].size >= 2 &&
		memchr("- ", g[1].before, 2) != NULL)
		return g[1].end;
	return g[0].size >= 3 ? g[0].end : 0;
}

/* A number of one group, or the first group of one. */
static size_t
match_group(phi_bytes text, size_t at, const scrub_groups *number, phi_scrub_tag context,
			phi_scrub_tag *tag)
{
	const scrub_group *g = number->list;
	size_t end = match_day_month(text, g);

	if (end != 0)
	{
		*tag = PHI_SCRUB_DATE;
		return end;
	}
	if (g->size <= 3 && g->value >= 90 && g->value <= 130 &&
		(context == PHI_SCRUB_AGE || years_follow(text, g->end)))
	{
		*tag = PHI_SCRUB_AGE;
		return g->end;
	}
	if (number->letter)
		return 0;
	*tag = PHI_SCRUB_ZIP;
	end = match_zip(number, context);
	if (end != 0)
		return end;
	*tag = context;
	if (announced(context))
		return match_announced(number, 4);
	if (g->size >= 7)
	{
		*tag = long_number((const char *) text.data + at + number->plus + number->paren, g->size);
		return g->end;
	}
	return 0;
}

size_t
scrub_number(phi_bytes text, size_t at, phi_scrub_tag context, phi_scrub_tag *tag)
{
	scrub_groups number;
	size_t end;
	unsigned count;

	if (!scrub_groups_read(text, at, &number))
		return 0;
	*tag = PHI_SCRUB_IP;
	end = match_ip(&number);
	if (end != 0)
		return end;
	*tag = PHI_SCRUB_DATE;
	end = match_date(text, &number, context);
	if (end != 0)
		return end;
	if (shaped(&number, "324") && separated(&number, 3, "- ."))
	{
		*tag = PHI_SCRUB_SSN;
		return number.list[2].end;
	}
	if (is_card(&number))
	{
		*tag = PHI_SCRUB_ACCOUNT;
		return number.list[number.list[1].size == 4 ? 3 : 2].end;
	}
	if (context == PHI_SCRUB_NOTHING || context == PHI_SCRUB_PHONE || context == PHI_SCRUB_DATE)
	{
		*tag = PHI_SCRUB_PHONE;
		count = phone_groups(&number, context);
		if (count > 0 && (number.plus || number.paren || count > 1 || context == PHI_SCRUB_PHONE))
			return extension_after(text, number.list[count - 1].end);
	}
	return match_group(text, at, &number, context, tag);
}
