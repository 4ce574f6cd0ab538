/*-------------------------------------------------------------------------
 * forms.c
 *		The table of kinds and forms; the forms of dates, times and whole
 *		numbers.  forms_text.c has those of text.
 *
 * A cell of the table that is not written is PHI_SHAPE_NOTHING.
 *-------------------------------------------------------------------------
 */
#include "forms.h"

#include <string.h>

#define AGE_CAP         90
#define BAND            5 /* years */
#define DAY_MICROS      INT64_C(86400000000)
#define EARLIEST_DAY    (-2451545) /* Julian day 0, the first that PostgreSQL can show */
#define MARCH_0_TO_2000 730425     /* days from 0000-03-01 to 2000-01-01 */
#define CYCLE_DAYS      146097     /* of 400 Gregorian years */

static const struct
{
	const char *name;
	phi_shape safe_harbor;
	phi_shape partial;
	phi_shape limited; /* all or nothing: 164.514(e)(2) lists what goes */
} kinds[PHI_KIND_COUNT] = {
	[PHI_KIND_NAME] = {"name", PHI_SHAPE_NOTHING, PHI_SHAPE_INITIALS, PHI_SHAPE_NOTHING},
	[PHI_KIND_ADDRESS] = {"address", PHI_SHAPE_NOTHING, PHI_SHAPE_MASK, PHI_SHAPE_NOTHING},
	[PHI_KIND_CITY] = {"city", PHI_SHAPE_NOTHING, PHI_SHAPE_ALL, PHI_SHAPE_ALL},
	[PHI_KIND_COUNTY] = {"county", PHI_SHAPE_NOTHING, PHI_SHAPE_ALL, PHI_SHAPE_ALL},
	[PHI_KIND_STATE] = {"state", PHI_SHAPE_ALL, PHI_SHAPE_ALL, PHI_SHAPE_ALL},
	[PHI_KIND_ZIP] = {"zip", PHI_SHAPE_ZIP3, PHI_SHAPE_ZIP3_MASKED, PHI_SHAPE_ALL},
	[PHI_KIND_GEO] = {"geo", PHI_SHAPE_NOTHING, PHI_SHAPE_NOTHING, PHI_SHAPE_NOTHING},
	[PHI_KIND_BIRTH_DATE] = {"birth_date", PHI_SHAPE_YEAR, PHI_SHAPE_MONTH, PHI_SHAPE_ALL},
	[PHI_KIND_DEATH_DATE] = {"death_date", PHI_SHAPE_YEAR, PHI_SHAPE_MONTH, PHI_SHAPE_ALL},
	[PHI_KIND_SERVICE_DATE] = {"service_date", PHI_SHAPE_YEAR, PHI_SHAPE_MONTH, PHI_SHAPE_ALL},
	[PHI_KIND_AGE] = {"age", PHI_SHAPE_AGE, PHI_SHAPE_AGE, PHI_SHAPE_ALL},
	[PHI_KIND_PHONE] = {"phone", PHI_SHAPE_NOTHING, PHI_SHAPE_PHONE, PHI_SHAPE_NOTHING},
	[PHI_KIND_FAX] = {"fax", PHI_SHAPE_NOTHING, PHI_SHAPE_PHONE, PHI_SHAPE_NOTHING},
	[PHI_KIND_EMAIL] = {"email", PHI_SHAPE_NOTHING, PHI_SHAPE_EMAIL, PHI_SHAPE_NOTHING},
	[PHI_KIND_SSN] = {"ssn", PHI_SHAPE_NOTHING, PHI_SHAPE_SSN, PHI_SHAPE_NOTHING},
	[PHI_KIND_MRN] = {"mrn", PHI_SHAPE_NOTHING, PHI_SHAPE_TAIL, PHI_SHAPE_NOTHING},
	[PHI_KIND_HEALTH_PLAN] = {"health_plan", PHI_SHAPE_NOTHING, PHI_SHAPE_TAIL, PHI_SHAPE_NOTHING},
	[PHI_KIND_ACCOUNT] = {"account", PHI_SHAPE_NOTHING, PHI_SHAPE_TAIL, PHI_SHAPE_NOTHING},
	[PHI_KIND_LICENSE] = {"license", PHI_SHAPE_NOTHING, PHI_SHAPE_TAIL, PHI_SHAPE_NOTHING},
	[PHI_KIND_VEHICLE] = {"vehicle", PHI_SHAPE_NOTHING, PHI_SHAPE_TAIL, PHI_SHAPE_NOTHING},
	[PHI_KIND_DEVICE] = {"device", PHI_SHAPE_NOTHING, PHI_SHAPE_TAIL, PHI_SHAPE_NOTHING},
	[PHI_KIND_URL] = {"url", PHI_SHAPE_NOTHING, PHI_SHAPE_MASK, PHI_SHAPE_NOTHING},
	[PHI_KIND_IP] = {"ip", PHI_SHAPE_NOTHING, PHI_SHAPE_MASK, PHI_SHAPE_NOTHING},
	[PHI_KIND_BIOMETRIC] = {"biometric", PHI_SHAPE_NOTHING, PHI_SHAPE_NOTHING, PHI_SHAPE_NOTHING},
	[PHI_KIND_PHOTO] = {"photo", PHI_SHAPE_NOTHING, PHI_SHAPE_NOTHING, PHI_SHAPE_NOTHING},
	[PHI_KIND_UNIQUE_ID] = {"unique_id", PHI_SHAPE_NOTHING, PHI_SHAPE_TAIL, PHI_SHAPE_NOTHING},
	[PHI_KIND_FREE_TEXT] = {"free_text", PHI_SHAPE_NOTHING, PHI_SHAPE_NOTHING, PHI_SHAPE_NOTHING},
	[PHI_KIND_DIAGNOSIS] = {"diagnosis", PHI_SHAPE_CLINICAL, PHI_SHAPE_CLINICAL, PHI_SHAPE_ALL},
	[PHI_KIND_LAB] = {"lab", PHI_SHAPE_CLINICAL, PHI_SHAPE_CLINICAL, PHI_SHAPE_ALL},
	[PHI_KIND_OTHER] = {"other", PHI_SHAPE_CLINICAL, PHI_SHAPE_CLINICAL, PHI_SHAPE_ALL},
	[PHI_KIND_NONE] = {"none", PHI_SHAPE_ALL, PHI_SHAPE_ALL, PHI_SHAPE_ALL},
};

static const struct
{
	const char *name;
	bool available;
} forms[PHI_FORM_COUNT] = {
	[PHI_FORM_NONE] = {"none", true},
	[PHI_FORM_PSEUDONYM] = {"pseudonym", true},
	[PHI_FORM_SAFE_HARBOR] = {"safe_harbor", true},
	[PHI_FORM_LIMITED] = {"limited", true},
	[PHI_FORM_PARTIAL] = {"partial", true},
	[PHI_FORM_FULL] = {"full", true},
	[PHI_FORM_TOKEN] = {"token", false},
	[PHI_FORM_SHIFTED] = {"shifted", false},
	[PHI_FORM_AGE_BAND] = {"age_band", false},
	[PHI_FORM_CATEGORY] = {"category", false},
};

/* One bit per three-digit prefix, lowest first: set where the 2020 census has a ZCTA. */
static const uint64_t zip3_exists[16] = {
	0xff7ffffffffffec0, 0xfffffff003ffffff, 0xffffffffffffffff, 0xffffffffffdffffe,
	0xff7fffffffffdfff, 0xff7ffffded6fefff, 0xffffcff7ffff7fff, 0xdffffffffffff7ff,
	0xfcfff6fffeddff1f, 0xfeffdfffffffdff3, 0xb03ffbffff77fdf3, 0xffffffbfcffff7df,
	0xfff1fffffffffff7, 0xec1feec39bbcfb7f, 0xffffbbfdffffdfd6, 0x000000fff7fffd83};

/* Prefixes of at most 20,000 people in the census of 2000 or of 2020. */
static const uint16_t zip3_restricted[] = {36,  59,  63,  102, 202, 203, 204, 205,
										   369, 556, 692, 753, 772, 790, 821, 823,
										   830, 831, 878, 879, 884, 890, 893};

const char *
phi_kind_name(phi_kind kind)
{
	return (unsigned) kind < PHI_KIND_COUNT ? kinds[kind].name : NULL;
}

/* Exact comparison with a name of a table; the given name may lack a terminator. */
static bool
name_equals(const char *known, const char *name, size_t size)
{
	return strlen(known) == size && memcmp(known, name, size) == 0;
}

bool
phi_kind_find(const char *name, size_t size, phi_kind *kind)
{
	int row;

	for (row = 0; row < PHI_KIND_COUNT; row++)
	{
		if (name_equals(kinds[row].name, name, size))
		{
			*kind = (phi_kind) row;
			return true;
		}
	}
	return false;
}

const char *
phi_form_name(phi_form form)
{
	return (unsigned) form < PHI_FORM_COUNT ? forms[form].name : NULL;
}

bool
phi_form_find(const char *name, size_t size, phi_form *form)
{
	int row;

	for (row = 0; row < PHI_FORM_COUNT; row++)
	{
		if (name_equals(forms[row].name, name, size))
		{
			*form = (phi_form) row;
			return true;
		}
	}
	return false;
}

bool
phi_form_available(phi_form form)
{
	return (unsigned) form < PHI_FORM_COUNT && forms[form].available;
}

/* Where the value is shown as it is, whatever its type. */
static bool
shows_whole(phi_kind kind, phi_form form)
{
	return (unsigned) kind < PHI_KIND_COUNT &&
		   (kind == PHI_KIND_NONE || form == PHI_FORM_FULL ||
			(form == PHI_FORM_LIMITED && kinds[kind].limited == PHI_SHAPE_ALL));
}

/* What becomes of a kind in a form that columns alone have. */
static phi_shape
column_shape(phi_kind kind, phi_form form)
{
	phi_shape partial = kinds[kind].partial;
	phi_shape safe_harbor = kinds[kind].safe_harbor;

	switch (form)
	{
		case PHI_FORM_TOKEN:
			return partial == PHI_SHAPE_TAIL || partial == PHI_SHAPE_SSN ? PHI_SHAPE_TOKEN
																		 : PHI_SHAPE_NOTHING;
		case PHI_FORM_SHIFTED:
			return safe_harbor == PHI_SHAPE_YEAR || safe_harbor == PHI_SHAPE_CLINICAL
					   ? PHI_SHAPE_SHIFTED
					   : PHI_SHAPE_NOTHING;
		case PHI_FORM_AGE_BAND:
			return kind == PHI_KIND_AGE          ? PHI_SHAPE_AGE_BAND
				   : kind == PHI_KIND_BIRTH_DATE ? PHI_SHAPE_FIVE_YEARS
												 : PHI_SHAPE_NOTHING;
		case PHI_FORM_CATEGORY:
			return kind == PHI_KIND_DIAGNOSIS ? PHI_SHAPE_CATEGORY : PHI_SHAPE_NOTHING;
		default:
			return PHI_SHAPE_NOTHING;
	}
}

phi_shape
phi_form_shape(phi_kind kind, phi_form form)
{
	if (shows_whole(kind, form))
		return PHI_SHAPE_ALL;
	if ((unsigned) kind >= PHI_KIND_COUNT)
		return PHI_SHAPE_NOTHING;
	if (form == PHI_FORM_SAFE_HARBOR)
		return kinds[kind].safe_harbor;
	if (form == PHI_FORM_PARTIAL)
		return kinds[kind].partial;
	return column_shape(kind, form);
}

phi_form
phi_form_meet(phi_kind kind, phi_form permitted, phi_form offered)
{
	bool enough;

	if (offered <= PHI_FORM_FULL)
	{
		phi_form lesser = permitted < offered ? permitted : offered;
		phi_form greater = permitted < offered ? offered : permitted;

		return lesser == PHI_FORM_LIMITED && greater == PHI_FORM_PARTIAL &&
					   shows_whole(kind, PHI_FORM_LIMITED)
				   ? PHI_FORM_PARTIAL
				   : lesser;
	}
	switch (offered)
	{
		case PHI_FORM_TOKEN:
			enough = permitted >= PHI_FORM_LIMITED;
			break;
		case PHI_FORM_SHIFTED:
			enough = shows_whole(kind, permitted);
			break;
		default:
			enough = permitted >= PHI_FORM_SAFE_HARBOR;
	}
	return enough && permitted <= PHI_FORM_FULL &&
				   phi_form_shape(kind, offered) != PHI_SHAPE_NOTHING
			   ? offered
			   : PHI_FORM_NONE;
}

bool
phi_zip3_shows(unsigned prefix)
{
	size_t i;

	if (prefix > 999 || ((zip3_exists[prefix / 64] >> (prefix % 64)) & 1) == 0)
		return false;
	for (i = 0; i < sizeof(zip3_restricted) / sizeof(zip3_restricted[0]); i++)
	{
		if (prefix == zip3_restricted[i])
			return false;
	}
	return true;
}

/* Quotient rounded down, for days before the epoch. */
static int64_t
floor_divide(int64_t dividend, int64_t divisor)
{
	return dividend / divisor - (dividend % divisor < 0);
}

/*
 * Year and month (1..12) of a day since 2000-01-01.  Years are counted from
 * March, so that the leap day is the last of its year.
 */
static int64_t
year_of_day(int64_t day, int *month)
{
	int64_t since = day + MARCH_0_TO_2000;
	int64_t cycle = floor_divide(since, CYCLE_DAYS);
	int64_t in_cycle = since - cycle * CYCLE_DAYS;
	int64_t year = (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / 146096) / 365;
	int64_t in_year = in_cycle - (365 * year + year / 4 - year / 100);
	int from_march = (int) ((5 * in_year + 2) / 153);

	*month = from_march < 10 ? from_march + 3 : from_march - 9;
	return cycle * 400 + year + (*month <= 2);
}

/* The first day of a month, as days since 2000-01-01: the inverse of year_of_day. */
static int64_t
day_of_month(int64_t year, int month)
{
	int64_t march_year = year - (month <= 2);
	int64_t cycle = floor_divide(march_year, 400);
	int64_t in_cycle = march_year - cycle * 400;
	int from_march = month > 2 ? month - 3 : month + 9;
	int64_t in_year = (153 * from_march + 2) / 5;

	return cycle * CYCLE_DAYS + in_cycle * 365 + in_cycle / 4 - in_cycle / 100 + in_year -
		   MARCH_0_TO_2000;
}

/* The day that stands for a finite day in a form; false for nothing.  Dates and times share it. */
static bool
shape_day(phi_kind kind, phi_form form, int64_t day, int32_t today, int64_t *out)
{
	phi_shape shape = phi_form_shape(kind, form);
	int month;
	int64_t year = year_of_day(day, &month);
	int ignored;

	if (shape == PHI_SHAPE_FIVE_YEARS)
	{
		year = floor_divide(year, BAND) * BAND;
		shape = PHI_SHAPE_YEAR;
	}
	if (shape == PHI_SHAPE_CLINICAL)
		shape = form == PHI_FORM_SAFE_HARBOR ? PHI_SHAPE_YEAR : PHI_SHAPE_MONTH;

	if (shape == PHI_SHAPE_MONTH)
		*out = day_of_month(year, month);
	else if (shape == PHI_SHAPE_YEAR && today != INT32_MIN && today != INT32_MAX &&
			 year_of_day(today, &ignored) - year < AGE_CAP)
		*out = day_of_month(year, 1);
	else
		return false;
	return *out >= EARLIEST_DAY;
}

void
phi_form_date(phi_kind kind, phi_form form, int32_t date, int32_t today, int32_t *out,
			  bool *is_null)
{
	int64_t day;

	*out = 0;
	*is_null = false;
	if (shows_whole(kind, form))
		*out = date;
	else if (date != INT32_MIN && date != INT32_MAX && shape_day(kind, form, date, today, &day))
		*out = (int32_t) day;
	else
		*is_null = true;
}

void
phi_form_time(phi_kind kind, phi_form form, int64_t time, int32_t today, int64_t *out,
			  bool *is_null)
{
	int64_t day;

	*out = 0;
	*is_null = false;
	if (shows_whole(kind, form))
		*out = time;
	else if (time != INT64_MIN && time != INT64_MAX &&
			 shape_day(kind, form, floor_divide(time, DAY_MICROS), today, &day))
		*out = day * DAY_MICROS;
	else
		*is_null = true;
}

/*
 * The prefix of a ZIP code or ZIP+4 as a number, where it may be shown.  Six
 * and seven digits are neither: they give a prefix that does not exist.
 */
static bool
integer_zip3(int64_t value, int64_t *out)
{
	if (value < 0 || value > 999999999)
		return false;
	*out = (value >= 10000000 ? value / 10000 : value) / 100;
	return phi_zip3_shows((unsigned) *out);
}

void
phi_form_integer(phi_kind kind, phi_form form, int64_t value, int64_t *out, bool *is_null)
{
	bool shown;

	*out = value;
	switch (phi_form_shape(kind, form))
	{
		case PHI_SHAPE_ALL:
		case PHI_SHAPE_CLINICAL:
			shown = true;
			break;
		case PHI_SHAPE_AGE:
			shown = value >= 0;
			if (value > AGE_CAP)
				*out = AGE_CAP;
			break;
		case PHI_SHAPE_AGE_BAND:
			shown = value >= 0;
			*out = value > AGE_CAP ? AGE_CAP : value - value % BAND;
			break;
		case PHI_SHAPE_ZIP3:
		case PHI_SHAPE_ZIP3_MASKED:
			shown = integer_zip3(value, out);
			break;
		default:
			shown = false;
	}
	*is_null = !shown;
	if (!shown)
		*out = 0;
}

bool
phi_form_opaque_shows(phi_kind kind, phi_form form)
{
	return shows_whole(kind, form) || phi_form_shape(kind, form) == PHI_SHAPE_CLINICAL;
}
