/*-------------------------------------------------------------------------
 * test_normal.c
 *		Normal forms, row by row, and which kinds have one.
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "check.h"
#include "core/normal.h"

static const struct
{
	phi_kind kind;
	const char *in;
	const char *out;
} rows[] = {
	{PHI_KIND_SSN, "123-45-6789", "123456789"},
	{PHI_KIND_SSN, " 123 45 6789 ", "123456789"},
	{PHI_KIND_SSN, "", ""},
	{PHI_KIND_SSN, "none", ""},
	{PHI_KIND_PHONE, "+1 (617) 555-0100", "6175550100"},
	{PHI_KIND_PHONE, "617.555.0100", "6175550100"},
	{PHI_KIND_PHONE, "+44 20 7946 0000", "442079460000"},
	{PHI_KIND_FAX, "16175550100", "6175550100"},
	{PHI_KIND_SSN, "12345678901", "12345678901"},
	{PHI_KIND_EMAIL, "  Ada.Byron@Example.ORG\t", "ada.byron@example.org"},
	{PHI_KIND_EMAIL, "\xc3\x84@example.org", "\xc3\x84@example.org"},
	{PHI_KIND_MRN, "mrn-00 12a", "MRN0012A"},
	{PHI_KIND_LICENSE, "s12-34", "S1234"},
	{PHI_KIND_URL, "HTTPS://Example.org/A", "https://example.org/a"},
	{PHI_KIND_IP, "FE80::1", "fe80::1"},
};

static void
test_rows(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t space[64];
		phi_buffer out = {space, 0, sizeof(space)};

		CHECK(phi_normal_form(rows[i].kind, phi_bytes_of(rows[i].in, strlen(rows[i].in)), &out) ==
			  PHI_OK);
		CHECK(out.size == strlen(rows[i].out) && memcmp(space, rows[i].out, out.size) == 0);
	}
}

static void
test_refusals(void)
{
	static const phi_kind refused[] = {PHI_KIND_NAME, PHI_KIND_ZIP, PHI_KIND_CITY, PHI_KIND_AGE,
									   PHI_KIND_BIRTH_DATE, PHI_KIND_DIAGNOSIS, PHI_KIND_OTHER,
									   PHI_KIND_FREE_TEXT, PHI_KIND_NONE};
	uint8_t space[4];
	phi_buffer out = {space, 0, sizeof(space)};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
	{
		CHECK(!phi_kind_searchable(refused[i]));
		CHECK(phi_normal_form(refused[i], phi_bytes_of("x", 1), &out) == PHI_ERR_ARGUMENT);
	}
	CHECK(phi_normal_form(PHI_KIND_SSN, phi_bytes_of("12345", 5), &out) == PHI_ERR_SPACE);
}

int
main(void)
{
	CHECK_CASE("normal forms");
	test_rows();
	CHECK_CASE("kinds without a normal form");
	test_refusals();
	return check_done();
}
