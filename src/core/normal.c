/*-------------------------------------------------------------------------
 * normal.c
 *		The normal form of an identifier.
 *
 *		digits		SSN, phone, fax: the digits alone; a phone number of eleven
 *					digits loses its leading 1
 *		code		MRN and other numbers: letters in upper case, no white space
 *					or hyphens
 *		address		email, URL, IP: letters in lower case, no white space around
 *
 * Only ASCII letters change case: what else a text holds is compared as it is.
 * The forms are part of the stored format: a changed form needs new tags.
 *-------------------------------------------------------------------------
 */
#include "normal.h"

typedef enum normal_rule
{
	RULE_NONE,
	RULE_DIGITS,
	RULE_CODE,
	RULE_ADDRESS
} normal_rule;

/* The rule of a kind; RULE_NONE for kinds that are not searchable. */
static normal_rule
rule_of(phi_kind kind)
{
	switch (kind)
	{
		case PHI_KIND_SSN:
		case PHI_KIND_PHONE:
		case PHI_KIND_FAX:
			return RULE_DIGITS;
		case PHI_KIND_MRN:
		case PHI_KIND_HEALTH_PLAN:
		case PHI_KIND_ACCOUNT:
		case PHI_KIND_LICENSE:
		case PHI_KIND_VEHICLE:
		case PHI_KIND_DEVICE:
		case PHI_KIND_UNIQUE_ID:
			return RULE_CODE;
		case PHI_KIND_EMAIL:
		case PHI_KIND_URL:
		case PHI_KIND_IP:
			return RULE_ADDRESS;
		default:
			return RULE_NONE;
	}
}

bool
phi_kind_searchable(phi_kind kind)
{
	return rule_of(kind) != RULE_NONE;
}

static bool
is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* One byte as the rule has it; false when it is left out. */
static bool
normal_byte(normal_rule rule, uint8_t *c)
{
	if (rule == RULE_DIGITS)
		return *c >= '0' && *c <= '9';
	if (rule == RULE_ADDRESS && *c >= 'A' && *c <= 'Z')
		*c = (uint8_t) (*c + ('a' - 'A'));
	if (rule == RULE_CODE && *c >= 'a' && *c <= 'z')
		*c = (uint8_t) (*c - ('a' - 'A'));
	return rule != RULE_CODE || !(is_space(*c) || *c == '-');
}

phi_status
phi_normal_form(phi_kind kind, phi_bytes in, phi_buffer *out)
{
	normal_rule rule = rule_of(kind);
	size_t size = 0;

	if (rule == RULE_NONE)
		return PHI_ERR_ARGUMENT;
	if (out->capacity < in.size)
		return PHI_ERR_SPACE;
	while (in.size > 0 && is_space(in.data[0]))
	{
		in.data++;
		in.size--;
	}
	while (in.size > 0 && is_space(in.data[in.size - 1]))
		in.size--;
	for (size_t i = 0; i < in.size; i++)
	{
		uint8_t c = in.data[i];

		if (normal_byte(rule, &c))
			out->data[size++] = c;
	}
	out->size = size;
	if ((kind == PHI_KIND_PHONE || kind == PHI_KIND_FAX) && size == 11 && out->data[0] == '1')
	{
		for (size_t i = 1; i < size; i++)
			out->data[i - 1] = out->data[i];
		out->size--;
	}
	return PHI_OK;
}
