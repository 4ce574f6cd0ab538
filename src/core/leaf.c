/*-------------------------------------------------------------------------
 * leaf.c
 *		Reading the leaf of an audit event, and rendering it as JSON.
 *
 * The server exports events and the offline verifier checks them through this
 * one function: what stands beside a leaf in an export is what the leaf says,
 * byte for byte.
 *-------------------------------------------------------------------------
 */
#include "leaf.h"

#include <string.h>

#define ADDRESS_IPV4 2 /* PostgreSQL's PGSQL_AF_INET, and the next for IPv6 */
#define ADDRESS_IPV6 3
#define EPOCH_DAYS   730425 /* 2000-01-01 in days since 0000-03-01 of the proleptic calendar */
#define DAY_USECS    INT64_C(86400000000)

typedef enum value_form
{
	FORM_INTEGER,  /* 8 bytes, signed */
	FORM_UNSIGNED, /* 8 bytes */
	FORM_COUNT,    /* 4 bytes */
	FORM_TIME,
	FORM_TEXT,
	FORM_BYTES, /* as hexadecimal digits */
	FORM_ADDRESS,
	FORM_INTEGERS,
	FORM_TEXTS
} value_form;

/* The columns of phi_audit.event by tag. */
static const struct
{
	const char *name;
	value_form form;
} fields[PHI_LEAF_TAGS + 1] = {
	{NULL, FORM_COUNT},
	{"event_id", FORM_INTEGER},
	{"recorded_at", FORM_TIME},
	{"transaction_time", FORM_TIME},
	{"txid", FORM_UNSIGNED},
	{"actor", FORM_TEXT},
	{"db_role", FORM_TEXT},
	{"current_role_name", FORM_TEXT},
	{"workforce_roles", FORM_TEXTS},
	{"organization", FORM_TEXT},
	{"token_id", FORM_TEXT},
	{"purpose", FORM_TEXT},
	{"consent_id", FORM_INTEGER},
	{"reason", FORM_TEXT},
	{"break_glass_id", FORM_INTEGER},
	{"action", FORM_TEXT},
	{"outcome", FORM_TEXT},
	{"relation", FORM_TEXT},
	{"relation_oid", FORM_COUNT},
	{"columns", FORM_TEXTS},
	{"row_count", FORM_COUNT},
	{"subjects", FORM_INTEGERS},
	{"row_keys", FORM_TEXTS},
	{"row_digests", FORM_BYTES},
	{"detail", FORM_TEXT},
	{"client_address", FORM_ADDRESS},
	{"application_name", FORM_TEXT},
	{"salt", FORM_BYTES},
	{"images_sha256", FORM_BYTES},
};

/* ---- writing ---- */

static phi_status
put(phi_buffer *out, const char *text)
{
	return phi_buffer_append(out, phi_bytes_of(text, strlen(text)));
}

/* A number in decimal, with at least so many digits. */
static phi_status
put_number(phi_buffer *out, uint64_t value, size_t width)
{
	char digits[24];
	size_t at = sizeof(digits);

	do
	{
		digits[--at] = (char) ('0' + value % 10);
		value /= 10;
	} while (value != 0 || sizeof(digits) - at < width);
	return phi_buffer_append(out, phi_bytes_of(digits + at, sizeof(digits) - at));
}

static phi_status
put_signed(phi_buffer *out, uint64_t value)
{
	bool negative = value >> 63 != 0;
	phi_status status = negative ? put(out, "-") : PHI_OK;

	return status == PHI_OK ? put_number(out, negative ? 0 - value : value, 1) : status;
}

static phi_status
put_hex(phi_buffer *out, phi_bytes bytes)
{
	static const char digits[] = "0123456789abcdef";
	phi_status status = put(out, "\"");
	size_t i;

	for (i = 0; status == PHI_OK && i < bytes.size; i++)
	{
		char pair[2] = {digits[bytes.data[i] >> 4], digits[bytes.data[i] & 15]};

		status = phi_buffer_append(out, phi_bytes_of(pair, 2));
	}
	return status == PHI_OK ? put(out, "\"") : status;
}

/* A JSON string; bytes from 128 on are as they are. */
static phi_status
put_string(phi_buffer *out, phi_bytes text)
{
	static const char digits[] = "0123456789abcdef";
	phi_status status = put(out, "\"");
	size_t i;

	for (i = 0; status == PHI_OK && i < text.size; i++)
	{
		uint8_t byte = text.data[i];
		char escape[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};

		if (byte == '"' || byte == '\\')
		{
			escape[1] = (char) byte;
			status = phi_buffer_append(out, phi_bytes_of(escape, 2));
		}
		else if (byte < 0x20 || byte == 0x7F)
			status = phi_buffer_append(out, phi_bytes_of(escape, 6));
		else
			status = phi_buffer_append(out, phi_bytes_of(&byte, 1));
	}
	return status == PHI_OK ? put(out, "\"") : status;
}

/* Microseconds since 2000 as ISO 8601 in UTC; a time before the year 2 or after 9996 as a number. */
static phi_status
put_time(phi_buffer *out, uint64_t value)
{
	int64_t usecs = value >> 63 != 0 ? -(int64_t) (~value) - 1 : (int64_t) value;
	int64_t days = usecs / DAY_USECS - (usecs % DAY_USECS < 0);
	uint64_t rest, day, era, year, of_year, month;
	char text[] = "\"0000-00-00T00:00:00.000000Z\"";
	uint64_t numbers[7];
	static const uint8_t at[7] = {4, 7, 10, 13, 16, 19, 26}; /* the last digit of each */
	size_t i;

	if (days < -730000 || days > 2921000)
		return put_signed(out, value);
	rest = (uint64_t) (usecs - days * DAY_USECS);

	/* Years begin in March, so that a leap day ends one. */
	day = (uint64_t) (days + EPOCH_DAYS);
	era = day / 146097;
	day -= era * 146097;
	year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	of_year = day - (365 * year + year / 4 - year / 100);
	month = (5 * of_year + 2) / 153;
	numbers[2] = of_year - (153 * month + 2) / 5 + 1;
	numbers[1] = month < 10 ? month + 3 : month - 9;
	numbers[0] = year + era * 400 + (numbers[1] <= 2);
	numbers[3] = rest / UINT64_C(3600000000);
	numbers[4] = rest / 60000000 % 60;
	numbers[5] = rest / 1000000 % 60;
	numbers[6] = rest % 1000000;
	for (i = 0; i < 7; i++)
	{
		size_t digit = at[i];

		for (; numbers[i] != 0; numbers[i] /= 10)
			text[digit--] = (char) ('0' + numbers[i] % 10);
	}
	return phi_buffer_append(out, phi_bytes_of(text, sizeof(text) - 1));
}

/* ---- reading ---- */

/* Take a 4-byte size and that many bytes off the front. */
static bool
take_sized(phi_bytes *in, phi_bytes *value)
{
	size_t size;

	if (in->size < 4)
		return false;
	size = phi_get_u32(in->data);
	if (size > in->size - 4)
		return false;
	*value = phi_bytes_of(in->data + 4, size);
	in->data += 4 + size;
	in->size -= 4 + size;
	return true;
}

/* An address as inet_send gives it: family, bits, is_cidr, size, bytes. */
static phi_status
put_address(phi_buffer *out, phi_bytes value)
{
	static const char digits[] = "0123456789abcdef";
	size_t size = value.size > 4 ? value.data[3] : 0;
	bool ipv4 = value.size > 4 && value.data[0] == ADDRESS_IPV4;
	phi_status status = put(out, "\"");
	size_t i;

	if (value.size != 4 + size || size != (ipv4 ? 4 : 16) || value.data[1] > 8 * size ||
		(!ipv4 && value.data[0] != ADDRESS_IPV6))
		return PHI_ERR_FORMAT;
	for (i = 0; status == PHI_OK && i < size; i++)
	{
		uint8_t byte = value.data[4 + i];
		char pair[3] = {digits[byte >> 4], digits[byte & 15], ':'};

		if (i > 0 && ipv4)
			status = put(out, ".");
		if (status == PHI_OK)
			status = ipv4 ? put_number(out, byte, 1)
						  : phi_buffer_append(
								out, phi_bytes_of(pair, i % 2 == 1 && i + 1 < size ? 3 : 2));
	}
	if (status == PHI_OK && value.data[1] != 8 * size)
	{
		status = put(out, "/");
		if (status == PHI_OK)
			status = put_number(out, value.data[1], 1);
	}
	return status == PHI_OK ? put(out, "\"") : status;
}

/* An array: count, and elements of 8 bytes or with their size. */
static phi_status
put_array(phi_buffer *out, value_form form, phi_bytes value)
{
	phi_status status = put(out, "[");
	phi_bytes element;
	uint32_t count, i;

	if (value.size < 4)
		return PHI_ERR_FORMAT;
	count = phi_get_u32(value.data);
	value = phi_bytes_of(value.data + 4, value.size - 4);
	if (form == FORM_INTEGERS && value.size != (size_t) count * 8)
		return PHI_ERR_FORMAT;
	for (i = 0; status == PHI_OK && i < count; i++)
	{
		if (i > 0)
			status = put(out, ",");
		if (status != PHI_OK)
			return status;
		if (form == FORM_INTEGERS)
			status = put_signed(out, phi_get_u64(value.data + 8 * (size_t) i));
		else
			status = take_sized(&value, &element) ? put_string(out, element) : PHI_ERR_FORMAT;
	}
	if (status == PHI_OK && form == FORM_TEXTS && value.size > 0)
		return PHI_ERR_FORMAT;
	return status == PHI_OK ? put(out, "]") : status;
}

static phi_status
put_value(phi_buffer *out, value_form form, phi_bytes value)
{
	size_t expected = form == FORM_COUNT ? 4 : form <= FORM_TIME ? 8 : value.size;

	if (value.size != expected)
		return PHI_ERR_FORMAT;
	switch (form)
	{
		case FORM_INTEGER:
			return put_signed(out, phi_get_u64(value.data));
		case FORM_UNSIGNED:
			return put_number(out, phi_get_u64(value.data), 1);
		case FORM_COUNT:
			return put_number(out, phi_get_u32(value.data), 1);
		case FORM_TIME:
			return put_time(out, phi_get_u64(value.data));
		case FORM_TEXT:
			return put_string(out, value);
		case FORM_BYTES:
			return put_hex(out, value);
		case FORM_ADDRESS:
			return put_address(out, value);
		default:
			return put_array(out, form, value);
	}
}

/* One field: its name and value; *last is the tag before it. */
static phi_status
put_field(phi_buffer *out, phi_bytes *leaf, uint8_t *last)
{
	phi_status status;
	phi_bytes value;
	uint8_t tag = leaf->data[0];

	leaf->data++;
	leaf->size--;
	if (tag <= *last || tag > PHI_LEAF_TAGS || !take_sized(leaf, &value))
		return PHI_ERR_FORMAT;
	status = put(out, *last == 0 ? "{\"" : ",\"");
	if (status == PHI_OK)
		status = put(out, fields[tag].name);
	if (status == PHI_OK)
		status = put(out, "\":");
	if (status == PHI_OK)
		status = put_value(out, fields[tag].form, value);
	*last = tag;
	return status;
}

/* Is it a leaf of our version with a field? */
static phi_status
check_version(phi_bytes *leaf)
{
	if (leaf->size < 2)
		return PHI_ERR_FORMAT;
	if (leaf->data[0] != PHI_LEAF_VERSION)
		return PHI_ERR_VERSION;
	leaf->data++;
	leaf->size--;
	return PHI_OK;
}

phi_status
phi_leaf_json(phi_bytes leaf, phi_buffer *out)
{
	size_t before = out->size;
	phi_status status = check_version(&leaf);
	uint8_t last = 0;

	while (status == PHI_OK && leaf.size > 0)
		status = put_field(out, &leaf, &last);
	if (status == PHI_OK)
		status = put(out, "}");
	if (status != PHI_OK)
		out->size = before;
	return status;
}

phi_status
phi_leaf_event(phi_bytes leaf, uint64_t *event)
{
	phi_status status = check_version(&leaf);
	phi_bytes value;

	*event = 0;
	if (status != PHI_OK)
		return status;
	if (leaf.data[0] != PHI_LEAF_EVENT_ID)
		return PHI_ERR_FORMAT;
	leaf = phi_bytes_of(leaf.data + 1, leaf.size - 1);
	if (!take_sized(&leaf, &value) || value.size != 8)
		return PHI_ERR_FORMAT;
	*event = phi_get_u64(value.data);
	return PHI_OK;
}
