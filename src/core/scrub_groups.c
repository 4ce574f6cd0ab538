/*-------------------------------------------------------------------------
 * scrub_groups.c
 *		Reading a number in free text as groups of digits.
 *
 * Groups are separated by one of "-./ ", by a closing parenthesis with or
 * without a space or hyphen, or by a space and an opening one.
 *-------------------------------------------------------------------------
 */
#include "scrub_match.h"

#include <string.h>

#define DIGITS_MAX 24 /* in one group */

/* Read one group. */
bool
scrub_group_read(phi_bytes text, size_t at, char before, scrub_group *out)
{
	size_t end = at;

	out->value = 0;
	while (scrub_digit(scrub_at(text, end)) && end - at <= DIGITS_MAX)
	{
		if (end - at < 6)
			out->value = out->value * 10 + (unsigned) (text.data[end] - '0');
		end++;
	}
	out->end = end;
	out->size = (unsigned) (end - at);
	out->before = before;
	return end > at;
}

/* The separator at a position, where a digit follows it; its size in *size. */
static char
read_separator(phi_bytes text, size_t at, size_t *size)
{
	uint8_t c = scrub_at(text, at);
	uint8_t next = scrub_at(text, at + 1);

	*size = 1;
	if (c == ')' && (next == ' ' || next == '-') && scrub_digit(scrub_at(text, at + 2)))
	{
		*size = 2;
		return ')';
	}
	if (c == ' ' && next == '(' && scrub_digit(scrub_at(text, at + 2)))
	{
		*size = 2;
		return ' ';
	}
	if (memchr("-./ )", c, 5) != NULL && c != 0 && scrub_digit(next))
		return (char) c;
	return 0;
}

/* Read a number from a position on. */
bool
scrub_groups_read(phi_bytes text, size_t at, scrub_groups *out)
{
	char before = 0;
	size_t skipped;

	memset(out, 0, sizeof(*out));
	if (scrub_at(text, at) == '+')
	{
		out->plus = true;
		at++;
	}
	if (scrub_at(text, at) == '(')
	{
		out->paren = true;
		at++;
	}
	while (out->count < SCRUB_GROUPS_MAX &&
		   scrub_group_read(text, at, before, &out->list[out->count]))
	{
		at = out->list[out->count].end;
		if (out->count++ == 0)
			out->letter = scrub_letter(scrub_at(text, at));
		before = read_separator(text, at, &skipped);
		if (before == 0)
			break;
		at += skipped;
	}
	return out->count > 0;
}

size_t
scrub_digits(phi_bytes text, size_t at, scrub_groups *number, char *digits, size_t capacity)
{
	size_t count = 0;

	if (!scrub_groups_read(text, at, number))
		return 0;
	for (unsigned i = 0; i < number->count; i++)
	{
		for (; at < number->list[i].end; at++)
			if (scrub_digit(text.data[at]) && count < capacity)
				digits[count++] = (char) text.data[at];
	}
	return count;
}
