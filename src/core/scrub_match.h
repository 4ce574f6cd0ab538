/*-------------------------------------------------------------------------
 * scrub_match.h
 *		What the files of the scrubber share: recognizers.
 *
 * A recognizer looks at the text from one word start on, at a bounded number
 * of bytes, and gives the end of what it found, 0 for nothing.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_SCRUB_MATCH_H
#define PHI_CORE_SCRUB_MATCH_H

#include "scrub.h"

/* The byte at a position; 0 past the end. */
static inline uint8_t
scrub_at(phi_bytes text, size_t at)
{
	return at < text.size ? text.data[at] : 0;
}

static inline bool
scrub_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static inline bool
scrub_upper(uint8_t c)
{
	return c >= 'A' && c <= 'Z';
}

static inline bool
scrub_letter(uint8_t c)
{
	return scrub_upper(c) || (c >= 'a' && c <= 'z') || c >= 0x80;
}

static inline bool
scrub_word(uint8_t c)
{
	return scrub_digit(c) || scrub_letter(c);
}

static inline uint8_t
scrub_lower(uint8_t c)
{
	return scrub_upper(c) ? (uint8_t) (c | 0x20) : c;
}

/* May a name begin here? */
static inline bool
scrub_capital(uint8_t c)
{
	return scrub_upper(c) || c >= 0x80;
}

static inline bool
scrub_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The end of the word that begins at a position. */
extern size_t scrub_word_end(phi_bytes text, size_t at);

/* The first position from at on that is no white space, at most limit bytes on. */
extern size_t scrub_skip(phi_bytes text, size_t at, size_t limit);

/* Is the word from start to end one of a list of lower-case words, closed by NULL? */
extern bool scrub_listed(phi_bytes text, size_t start, size_t end, const char *const *list);

/* ---- scrub_groups.c: numbers as groups of digits ---- */

#define SCRUB_GROUPS_MAX 8

typedef struct scrub_group
{
	size_t end;
	unsigned size;
	unsigned value; /* of up to six digits */
	char before;    /* the separator: 0 for the first, ')' after a closing one */
} scrub_group;

typedef struct scrub_groups
{
	scrub_group list[SCRUB_GROUPS_MAX];
	unsigned count;
	bool plus;   /* begins with + */
	bool paren;  /* begins with ( */
	bool letter; /* a letter follows the first group at once */
} scrub_groups;

/* Read one group of digits, behind the separator before; false when there is none. */
extern bool scrub_group_read(phi_bytes text, size_t at, char before, scrub_group *out);
/* Read a number from a position on; false when there is none. */
extern bool scrub_groups_read(phi_bytes text, size_t at, scrub_groups *out);
/* The same, and its digits without what separates them, as many as there is space for; how many. */
extern size_t scrub_digits(phi_bytes text, size_t at, scrub_groups *number, char *digits,
						   size_t capacity);

/* ---- scrub_number.c: what begins with a digit, '+' or '(' ---- */

extern size_t scrub_number(phi_bytes text, size_t at, phi_scrub_tag context, phi_scrub_tag *tag);

/* ---- scrub_code.c: letters and digits mixed, and Internet names ---- */

extern size_t scrub_code(phi_bytes text, size_t at, phi_scrub_tag context, phi_scrub_tag *tag);
extern size_t scrub_internet(phi_bytes text, size_t at, phi_scrub_tag *tag);
/* Luhn's check over decimal digits. */
extern bool scrub_luhn(const char *digits, size_t count);

/* ---- scrub_names.c: common names ---- */

#define SCRUB_NAME_NONE    0u
#define SCRUB_NAME_GIVEN   1u /* and no ordinary word */
#define SCRUB_NAME_WORD    2u /* a given name that is an ordinary word, or a place */
#define SCRUB_NAME_SURNAME 4u

/* What the word from start to end is, whatever its case. */
extern unsigned scrub_name(phi_bytes text, size_t start, size_t end);

/* ---- scrub_person.c: names of people ---- */

/*
 * The end of up to limit words with a capital, initials among them; *count of
 * them, at is the first one's start.
 */
extern size_t scrub_capital_words(phi_bytes text, size_t at, unsigned limit, unsigned *count);
extern size_t scrub_person(phi_bytes text, size_t at, phi_scrub_tag *tag, size_t *start);

/* ---- scrub_place.c: dates in words, addresses ---- */

/* The end of a month's name at a position, 0 for none. */
extern size_t scrub_month(phi_bytes text, size_t at);
extern size_t scrub_place(phi_bytes text, size_t at, phi_scrub_tag *tag, size_t *start);

#endif /* PHI_CORE_SCRUB_MATCH_H */
