/*-------------------------------------------------------------------------
 * test_guess.c
 *		Names and values of columns, and the kinds they speak of.
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "check.h"
#include "core/guess.h"

static phi_kind
of_name(const char *name, phi_guess_type type)
{
	return phi_guess_name(phi_bytes_of(name, strlen(name)), type);
}

static phi_kind
of_value(const char *value)
{
	return phi_guess_value(phi_bytes_of(value, strlen(value)));
}

static void
test_names(void)
{
	char long_name[512];

	CHECK(of_name("lastName", PHI_GUESS_TEXT) == PHI_KIND_NAME);
	CHECK(of_name("LASTName", PHI_GUESS_TEXT) == PHI_KIND_NAME);
	CHECK(of_name("last", PHI_GUESS_TIME) == PHI_KIND_NONE);
	CHECK(of_name("blast", PHI_GUESS_TEXT) == PHI_KIND_NONE);
	CHECK(of_name("patient.medical_record_no", PHI_GUESS_NUMBER) == PHI_KIND_MRN);
	CHECK(of_name("phone2", PHI_GUESS_TEXT) == PHI_KIND_PHONE);
	CHECK(of_name("ipv4", PHI_GUESS_TEXT) == PHI_KIND_IP);
	CHECK(of_name("drug_name", PHI_GUESS_TEXT) == PHI_KIND_NONE);
	CHECK(of_name("", PHI_GUESS_TEXT) == PHI_KIND_NONE);
	memset(long_name, 'a', sizeof(long_name));
	CHECK(phi_guess_name(phi_bytes_of(long_name, sizeof(long_name)), PHI_GUESS_TEXT) ==
		  PHI_KIND_NONE);
	memset(long_name, '_', sizeof(long_name));
	CHECK(phi_guess_name(phi_bytes_of(long_name, sizeof(long_name)), PHI_GUESS_TEXT) ==
		  PHI_KIND_NONE);
	for (size_t i = 0; i + 1 < sizeof(long_name); i += 2)
		long_name[i] = 'a';
	CHECK(phi_guess_name(phi_bytes_of(long_name, sizeof(long_name)), PHI_GUESS_TEXT) ==
		  PHI_KIND_NONE);
}

static void
test_values(void)
{
	CHECK(of_value("123-45-6789") == PHI_KIND_SSN);
	CHECK(of_value("1HGCM82633A004352") == PHI_KIND_VEHICLE);
	CHECK(of_value("F32.1") == PHI_KIND_NONE);
	CHECK(of_value("") == PHI_KIND_NONE);
	/* codes of SNOMED CT; a digit off, and it may be anybody's number */
	CHECK(of_value("73211009") == PHI_KIND_NONE);
	CHECK(of_value("900000000000003001") == PHI_KIND_NONE);
	CHECK(of_value("73211008") != PHI_KIND_NONE);
	CHECK(of_value("73211019") != PHI_KIND_NONE);
	CHECK(of_value("0073211009") != PHI_KIND_NONE);
	CHECK(of_value("2023-01-27T16:17:47Z") == PHI_KIND_SERVICE_DATE);
	CHECK(of_value("call 617-555-0100") == PHI_KIND_NONE);
	CHECK(of_value("call 617-555-0100 when the result has come back") == PHI_KIND_FREE_TEXT);
	CHECK(of_value("a sentence of some length without anything in it at all") == PHI_KIND_NONE);
}

int
main(void)
{
	CHECK_CASE("names");
	test_names();
	CHECK_CASE("values");
	test_values();
	return check_done();
}
