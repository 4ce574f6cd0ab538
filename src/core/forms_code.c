/*-------------------------------------------------------------------------
 * forms_code.c
 *		The form of codes: the category of an ICD-10 code.
 *
 * Codes are ASCII.  What is no code of ICD-10 has no category: the beginning of
 * a word, or of a number, would be a piece of it and no group of diagnoses.
 *-------------------------------------------------------------------------
 */
#include "forms.h"

#define CATEGORY_SIZE 3
#define DETAIL_MAX    4 /* characters after the category: ICD-10-CM has up to four */

/* The character in capitals where it is an ASCII letter or digit, else 0. */
static char
capital(uint8_t byte)
{
	if ((byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z'))
		return (char) byte;
	return byte >= 'a' && byte <= 'z' ? (char) (byte - 'a' + 'A') : 0;
}

/* Is what follows the category a detail: nothing, or a few letters and digits, after a dot or not? */
static bool
is_detail(phi_bytes rest)
{
	size_t at = rest.size > 0 && rest.data[0] == '.' ? 1 : 0;
	size_t i;

	if (rest.size - at > DETAIL_MAX || (at == 1 && rest.size == 1))
		return false;
	for (i = at; i < rest.size; i++)
	{
		if (capital(rest.data[i]) == 0)
			return false;
	}
	return true;
}

bool
phi_form_category(phi_bytes in, char category[3])
{
	size_t i;

	if (in.size < CATEGORY_SIZE)
		return false;
	for (i = 0; i < CATEGORY_SIZE; i++)
		category[i] = capital(in.data[i]);
	return category[0] > '9' && category[1] != 0 && category[1] <= '9' && category[2] != 0 &&
		   is_detail(phi_bytes_of(in.data + CATEGORY_SIZE, in.size - CATEGORY_SIZE));
}
