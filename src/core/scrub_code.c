/*-------------------------------------------------------------------------
 * scrub_code.c
 *		Words of letters and digits that are identifiers, most of them by their
 *		checksum, and the names of the Internet.
 *-------------------------------------------------------------------------
 */
#include "scrub_match.h"

#include <string.h>

#define CODE_MAX 40

bool
scrub_luhn(const char *digits, size_t count)
{
	unsigned sum = 0;

	for (size_t i = 0; i < count; i++)
	{
		unsigned digit = (unsigned) (digits[count - 1 - i] - '0') << (i % 2);

		sum += digit > 9 ? digit - 9 : digit;
	}
	return count > 0 && sum % 10 == 0;
}

/* Vehicle identification number: 17 characters, the ninth a check (49 CFR 565). */
static bool
is_vin(const char *code, size_t size)
{
	static const char letters[] = "ABCDEFGH..JKLMN.P.R..STUVWXYZ";
	static const int weights[17] = {8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2};
	int sum = 0;

	if (size != 17)
		return false;
	for (size_t i = 0; i < 17; i++)
	{
		const char *at;
		int value = code[i] - '0';

		if (code[i] > '9')
		{
			at = strchr(letters, code[i]);
			if (at == NULL)
				return false;
			value = (int) (at - letters) % 10 + 1;
			if (code[i] >= 'S')
				value = code[i] - 'S' + 2;
		}
		sum += value * weights[i];
	}
	return code[8] == (sum % 11 == 10 ? 'X' : '0' + sum % 11);
}

/* Medicare beneficiary identifier: 1EG4TE5MK73 (CMS; no S L O I B Z). */
static bool
is_mbi(const char *code, size_t size)
{
	static const char pattern[] = "CAMNAMNAANN";

	if (size != 11)
		return false;
	for (size_t i = 0; i < 11; i++)
	{
		bool digit = code[i] <= '9';
		bool letter = !digit && strchr("SLOIBZ", code[i]) == NULL;

		if ((pattern[i] == 'C' && (!digit || code[i] == '0')) || (pattern[i] == 'N' && !digit) ||
			(pattern[i] == 'A' && !letter) || (pattern[i] == 'M' && !letter && !digit))
			return false;
	}
	return true;
}

/* DEA number: two letters, six digits and a check digit. */
static bool
is_dea(const char *code, size_t size)
{
	int sum;

	if (size != 9 || code[0] <= '9')
		return false;
	for (size_t i = 2; i < 9; i++)
		if (code[i] > '9')
			return false;
	sum = code[2] + code[4] + code[6] - 3 * '0' + 2 * (code[3] + code[5] + code[7] - 3 * '0');
	return sum % 10 == code[8] - '0';
}

/* International bank account number (ISO 13616): the remainder by 97 is 1. */
static bool
is_iban(const char *code, size_t size)
{
	unsigned rest = 0;

	if (size < 15 || size > 34 || code[0] <= '9' || code[1] <= '9' || code[2] > '9' ||
		code[3] > '9')
		return false;
	for (size_t i = 0; i < size; i++)
	{
		char c = code[(i + 4) % size];

		rest = c <= '9' ? rest * 10 + (unsigned) (c - '0') : rest * 100 + (unsigned) (c - 'A') + 10;
		rest %= 97;
	}
	return rest == 1;
}

/* Has a code the look of an IBAN, checksum or not? */
static bool
like_iban(const char *code, size_t size)
{
	size_t digits = 0;

	for (size_t i = 4; i < size; i++)
		digits += code[i] <= '9';
	return size >= 18 && size <= 34 && code[0] > '9' && code[1] > '9' && code[2] <= '9' &&
		   code[3] <= '9' && digits >= 10;
}

/*
 * Read a word of ASCII letters and digits, in upper case, and how many digits
 * it has; hyphens within it are left out, and with spaced also single spaces
 * before groups of four.
 */
static size_t
read_code(phi_bytes text, size_t at, char *code, size_t *size, size_t *digits)
{
	*size = *digits = 0;
	while (*size < CODE_MAX)
	{
		uint8_t c = scrub_at(text, at);

		if (c == '-' && *size > 0 && scrub_word(scrub_at(text, at + 1)))
		{
			at++;
			continue;
		}
		if (!scrub_word(c) || c >= 0x80)
			break;
		*digits += scrub_digit(c);
		code[(*size)++] = (char) (c >= 'a' ? c - 'a' + 'A' : c);
		at++;
	}
	return scrub_word(scrub_at(text, at)) ? 0 : at;
}

/* An IBAN in groups of four. */
static size_t
match_spaced_iban(phi_bytes text, size_t at)
{
	char code[CODE_MAX];
	size_t size = 0;

	while (size < 34)
	{
		size_t end = scrub_word_end(text, at);

		if (end - at > 4 || end == at)
			return 0;
		for (; at < end; at++)
		{
			if (text.data[at] >= 0x80)
				return 0;
			code[size++] =
				(char) (text.data[at] >= 'a' ? text.data[at] - 'a' + 'A' : text.data[at]);
		}
		if (is_iban(code, size))
			return end;
		if (scrub_at(text, at) != ' ')
			return 0;
		at++;
	}
	return 0;
}

size_t
scrub_code(phi_bytes text, size_t at, phi_scrub_tag context, phi_scrub_tag *tag)
{
	char code[CODE_MAX];
	size_t size, digits;
	size_t end = read_code(text, at, code, &size, &digits);

	*tag = PHI_SCRUB_ACCOUNT;
	if (end != 0 && (is_iban(code, size) || like_iban(code, size)))
		return end;
	if (end - at == 4 && scrub_letter(text.data[at]))
	{
		size_t spaced = match_spaced_iban(text, at);

		if (spaced != 0)
			return spaced;
	}
	if (end == 0 || digits == 0)
		return 0;
	*tag = PHI_SCRUB_VEHICLE;
	if (digits < size && is_vin(code, size))
		return end;
	*tag = PHI_SCRUB_HEALTH_PLAN;
	if (is_mbi(code, size))
		return end;
	*tag = PHI_SCRUB_LICENSE;
	if (is_dea(code, size))
		return end;
	/* Announced by a word before it, or long: letters and digits. */
	*tag = context == PHI_SCRUB_NOTHING || context == PHI_SCRUB_DATE || context == PHI_SCRUB_AGE ||
				   context == PHI_SCRUB_ZIP || context == PHI_SCRUB_PHONE
			   ? PHI_SCRUB_ID
			   : context;
	if ((*tag != PHI_SCRUB_ID && size >= 4) || digits >= 7)
		return end;
	return 0;
}

/* A byte of a URL. */
static bool
in_url(uint8_t c)
{
	return c > ' ' && c != '<' && c != '>' && c != '"' && c != '\'' && c != '`';
}

/* Does the text go on like this, in either case? */
static bool
goes_on(phi_bytes text, size_t at, const char *word)
{
	for (; *word != '\0'; word++, at++)
		if (scrub_lower(scrub_at(text, at)) != (uint8_t) *word)
			return false;
	return true;
}

/* The end of a URL that begins with a scheme or www. */
static size_t
match_url(phi_bytes text, size_t at)
{
	size_t end = at;

	if (!goes_on(text, at, "http://") && !goes_on(text, at, "https://") &&
		!goes_on(text, at, "ftp://") && !goes_on(text, at, "www."))
		return 0;
	while (end < text.size && in_url(text.data[end]))
		end++;
	while (end > at && memchr(".,;:!?)]}", text.data[end - 1], 9) != NULL)
		end--;
	return end;
}

/* The end of a domain name with a dot in it. */
static size_t
domain_end(phi_bytes text, size_t at)
{
	size_t end = at;
	size_t dot = 0;

	while (end - at < 255 &&
		   (scrub_word(scrub_at(text, end)) || memchr(".-", scrub_at(text, end), 2) != NULL) &&
		   end < text.size)
	{
		if (text.data[end] == '.' && scrub_word(scrub_at(text, end + 1)))
			dot = end;
		end++;
	}
	while (end > at && memchr(".-", text.data[end - 1], 2) != NULL)
		end--;
	return dot > at ? end : 0;
}

/* The end of an address of mail. */
static size_t
match_email(phi_bytes text, size_t at)
{
	size_t end = at;

	while (end - at < 64 && (scrub_word(scrub_at(text, end)) ||
							 (end < text.size && memchr("._%+-'", text.data[end], 6) != NULL)))
		end++;
	return end > at && scrub_at(text, end) == '@' ? domain_end(text, end + 1) : 0;
}

/* The end of an IPv6 address: groups of up to four hexadecimal digits, eight of them or with "::". */
static size_t
match_ipv6(phi_bytes text, size_t at)
{
	size_t end = at;
	unsigned colons = 0, size = 0;
	bool gap = false;

	for (;; end++)
	{
		uint8_t c = scrub_lower(scrub_at(text, end));

		if (scrub_digit(c) || (c >= 'a' && c <= 'f'))
		{
			if (++size > 4)
				return 0;
		}
		else if (c == ':' && colons < 7)
		{
			gap = gap || scrub_at(text, end + 1) == ':';
			colons++;
			size = 0;
		}
		else
			break;
	}
	if (scrub_word(scrub_at(text, end)) || !((gap && colons >= 2) || colons == 7))
		return 0;
	return size > 0 || gap ? end : 0;
}

size_t
scrub_internet(phi_bytes text, size_t at, phi_scrub_tag *tag)
{
	size_t end = match_url(text, at);

	*tag = PHI_SCRUB_URL;
	if (end != 0)
		return end;
	*tag = PHI_SCRUB_EMAIL;
	end = match_email(text, at);
	if (end != 0)
		return end;
	*tag = PHI_SCRUB_IP;
	return match_ipv6(text, at);
}
