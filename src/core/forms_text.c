/*-------------------------------------------------------------------------
 * forms_text.c
 *		The forms of text.
 *
 * Every transformer reads its input once from front to back, never looks
 * beyond it, and writes through a writer that remembers the first failure.
 * Characters are UTF-8; a byte that begins no well-formed sequence (RFC 3629)
 * is a character of its own.  White space, digits and ZIP codes are ASCII.
 *-------------------------------------------------------------------------
 */
#include "forms.h"
#include "utf8.h"

#include <string.h>

#define MASK               "***"
#define TAIL_CHARACTERS    4
#define TAIL_LEAST         8 /* characters an identifier needs before its tail is shown */
#define SSN_DIGITS         9
#define PHONE_LEAST_DIGITS 7 /* a local number */
#define AGE_CAP            90
#define AGE_BAND           5

/* Output with a sticky status: a transformer need not look at each append. */
typedef struct text_writer
{
	phi_buffer *out;
	phi_status status;
} text_writer;

/* Append bytes, unless an earlier append failed. */
static void
emit(text_writer *writer, const void *data, size_t size)
{
	if (writer->status == PHI_OK)
		writer->status = phi_buffer_append(writer->out, phi_bytes_of(data, size));
}

/* Append the mask, the one stand-in for whatever is hidden. */
static void
emit_mask(text_writer *writer)
{
	emit(writer, MASK, strlen(MASK));
}

/* ASCII digits only, independent of the locale. */
static bool
is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

/* ASCII white space only, independent of the locale. */
static bool
is_space(uint8_t byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* What may stand in the domain of an address: anything else could be another's name. */
static bool
is_domain_byte(uint8_t byte)
{
	return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
		   byte == '-' || byte == '.';
}

/* The text without surrounding white space, which fixed-width columns carry. */
static phi_bytes
trimmed(phi_bytes in)
{
	size_t from = 0;
	size_t until = in.size;

	while (from < until && is_space(in.data[from]))
		from++;
	while (from < until && is_space(in.data[until - 1]))
		until--;
	return from < until ? phi_bytes_of(in.data + from, until - from) : phi_bytes_of(NULL, 0);
}

/* Bytes of the character at p, of which left (at least 1) remain. */
static size_t
character_size(const uint8_t *p, size_t left)
{
	size_t size = phi_utf8_size(p, left);

	return size > 0 ? size : 1;
}

/* "Ana María Díaz" is "A*** M*** D***": the first character of each word. */
static void
emit_initials(text_writer *writer, phi_bytes in)
{
	bool first_word = true;
	size_t at = 0;

	while (at < in.size)
	{
		if (is_space(in.data[at]))
		{
			at++;
			continue;
		}
		if (!first_word)
			emit(writer, " ", 1);
		emit(writer, in.data + at, character_size(in.data + at, in.size - at));
		emit_mask(writer);
		first_word = false;
		while (at < in.size && !is_space(in.data[at]))
			at++;
	}
}

/* "jane@example.org" is "j***@example.org"; what is no address is a mask. */
static void
emit_email(text_writer *writer, phi_bytes in)
{
	phi_bytes text = trimmed(in);
	size_t domain = text.size;

	while (domain > 0 && is_domain_byte(text.data[domain - 1]))
		domain--;
	if (domain < 2 || domain == text.size || text.data[domain - 1] != '@')
	{
		emit_mask(writer);
		return;
	}
	emit(writer, text.data, character_size(text.data, domain - 1));
	emit_mask(writer);
	emit(writer, text.data + domain - 1, text.size - domain + 1);
}

/* The last four digits after a mask of their kind, if there are enough digits in all. */
static void
emit_last_digits(text_writer *writer, phi_bytes in, size_t least, const char *mask)
{
	uint8_t digits[TAIL_CHARACTERS] = {0};
	size_t count = 0;
	size_t i;

	for (i = 0; i < in.size; i++)
	{
		if (!is_digit(in.data[i]))
			continue;
		memmove(digits, digits + 1, TAIL_CHARACTERS - 1);
		digits[TAIL_CHARACTERS - 1] = in.data[i];
		count++;
	}
	if (count < least)
	{
		emit_mask(writer);
		return;
	}
	emit(writer, mask, strlen(mask));
	emit(writer, digits, TAIL_CHARACTERS);
}

/* "MRN-0012-4711" is "***4711"; a short identifier shows nothing of itself. */
static void
emit_tail(text_writer *writer, phi_bytes in)
{
	phi_bytes text = trimmed(in);
	size_t starts[TAIL_CHARACTERS] = {0}; /* of the last characters, in a ring */
	size_t count = 0;
	size_t at = 0;

	while (at < text.size)
	{
		starts[count++ % TAIL_CHARACTERS] = at;
		at += character_size(text.data + at, text.size - at);
	}
	emit_mask(writer);
	if (count >= TAIL_LEAST)
	{
		at = starts[count % TAIL_CHARACTERS];
		emit(writer, text.data + at, text.size - at);
	}
}

/*
 * The first three digits of a ZIP code: 3 to 5 digits, of which leading zeros
 * may be lost, or ZIP+4 of 8 or 9 digits with or without its dash.  0, which
 * no ZIP code has, for anything else.
 */
static unsigned
zip3_of_text(phi_bytes in)
{
	phi_bytes text = trimmed(in);
	unsigned long number = 0;
	size_t digits = 0;
	bool dash = false;
	size_t i;

	for (i = 0; i < text.size; i++)
	{
		if (is_digit(text.data[i]) && digits < 9)
		{
			number = number * 10 + (text.data[i] - '0');
			digits++;
		}
		else if (text.data[i] == '-' && text.size - i == 5)
			dash = true;
		else
			return 0;
	}
	if (digits == 8 || digits == 9)
		return (unsigned) (number / 1000000);
	if (digits >= 3 && digits <= 5 && !dash)
		return (unsigned) (number / 100);
	return 0;
}

/* The prefix of a ZIP code in three digits, 000 where it may not be shown. */
static void
emit_zip3(text_writer *writer, phi_bytes in)
{
	unsigned prefix = zip3_of_text(in);
	char digits[3];

	if (!phi_zip3_shows(prefix))
		prefix = 0;
	digits[0] = (char) ('0' + prefix / 100);
	digits[1] = (char) ('0' + prefix / 10 % 10);
	digits[2] = (char) ('0' + prefix % 10);
	emit(writer, digits, sizeof(digits));
}

/* A whole number of years, capped, to so many years; false for what is none. */
static bool
emit_age(text_writer *writer, phi_bytes in, unsigned band)
{
	phi_bytes text = trimmed(in);
	unsigned age = 0;
	char digits[2];
	size_t i;

	for (i = 0; i < text.size; i++)
	{
		if (!is_digit(text.data[i]))
			return false;
		age = age * 10 + (text.data[i] - '0');
		if (age > AGE_CAP)
			age = AGE_CAP;
	}
	if (text.size == 0)
		return false;
	age -= age % band;
	digits[0] = (char) ('0' + age / 10);
	digits[1] = (char) ('0' + age % 10);
	if (age < 10)
		emit(writer, digits + 1, 1);
	else
		emit(writer, digits, 2);
	return true;
}

/* Whether text begins with pattern, in which 9 stands for any digit. */
static bool
begins_with(phi_bytes text, const char *pattern)
{
	size_t i;

	for (i = 0; pattern[i] != '\0'; i++)
	{
		if (i == text.size)
			return false;
		if (pattern[i] == '9' ? !is_digit(text.data[i]) : text.data[i] != (uint8_t) pattern[i])
			return false;
	}
	return true;
}

/* The two digits at p as a number. */
static int
two_digits(const uint8_t *p)
{
	return (p[0] - '0') * 10 + (p[1] - '0');
}

/*
 * Year and month of an ISO 8601 date, with or without a time after it, or of a
 * date that was never more precise (FHIR: YYYY-MM, YYYY); false for what is none.
 */
static bool
emit_month(text_writer *writer, phi_bytes in)
{
	phi_bytes text = trimmed(in);
	bool dated = begins_with(text, "9999-99-99") && (text.size == 10 || !is_digit(text.data[10]));

	if (dated && (two_digits(text.data + 8) < 1 || two_digits(text.data + 8) > 31))
		return false;
	if (dated || (text.size == 7 && begins_with(text, "9999-99")))
	{
		if (two_digits(text.data + 5) < 1 || two_digits(text.data + 5) > 12)
			return false;
		emit(writer, text.data, 7);
		return true;
	}
	if (text.size != 4 || !begins_with(text, "9999"))
		return false;
	emit(writer, text.data, 4);
	return true;
}

/* The category of a code; false for what is none. */
static bool
emit_category(text_writer *writer, phi_bytes in)
{
	char category[3];

	if (!phi_form_category(trimmed(in), category))
		return false;
	emit(writer, category, sizeof(category));
	return true;
}

/* Write the shape of a text; false for nothing. */
static bool
emit_shape(text_writer *writer, phi_shape shape, phi_bytes in)
{
	switch (shape)
	{
		case PHI_SHAPE_ALL:
		case PHI_SHAPE_CLINICAL:
			emit(writer, in.data, in.size);
			return true;
		case PHI_SHAPE_MASK:
			emit_mask(writer);
			return true;
		case PHI_SHAPE_INITIALS:
			emit_initials(writer, in);
			return true;
		case PHI_SHAPE_EMAIL:
			emit_email(writer, in);
			return true;
		case PHI_SHAPE_PHONE:
			emit_last_digits(writer, in, PHONE_LEAST_DIGITS, "***-***-");
			return true;
		case PHI_SHAPE_SSN:
			emit_last_digits(writer, in, SSN_DIGITS, "***-**-");
			return true;
		case PHI_SHAPE_TAIL:
			emit_tail(writer, in);
			return true;
		case PHI_SHAPE_ZIP3_MASKED:
			emit_zip3(writer, in);
			emit(writer, "**", 2);
			return true;
		case PHI_SHAPE_ZIP3:
			emit_zip3(writer, in);
			return true;
		case PHI_SHAPE_AGE:
			return emit_age(writer, in, 1);
		case PHI_SHAPE_AGE_BAND:
			return emit_age(writer, in, AGE_BAND);
		case PHI_SHAPE_CATEGORY:
			return emit_category(writer, in);
		case PHI_SHAPE_MONTH:
			return emit_month(writer, in);
		case PHI_SHAPE_YEAR: /* whether it shows an age over 89 needs today, which a text has not */
		case PHI_SHAPE_FIVE_YEARS:
		case PHI_SHAPE_TOKEN: /* these two need a key */
		case PHI_SHAPE_SHIFTED:
		case PHI_SHAPE_NOTHING:
			return false;
	}
	return false;
}

phi_status
phi_form_text(phi_kind kind, phi_form form, phi_bytes in, phi_buffer *out, bool *is_null)
{
	phi_shape shape = phi_form_shape(kind, form);
	text_writer writer = {out, PHI_OK};

	out->size = 0;
	if (in.size == 0 && form == PHI_FORM_PARTIAL && shape != PHI_SHAPE_NOTHING)
		*is_null = false;
	else
		*is_null = !emit_shape(&writer, shape, in);

	if (writer.status != PHI_OK)
	{
		out->size = 0;
		*is_null = true;
	}
	return writer.status;
}
