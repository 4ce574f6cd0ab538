/*-------------------------------------------------------------------------
 * form.c
 *		A plain value in a form: core/forms for the backend's types.
 *
 * Memory: results are in the caller's context; what held a plain value in
 * between is wiped.
 *-------------------------------------------------------------------------
 */
#include "types/form.h"

#include "access/xact.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* Today as days since 2000-01-01, in UTC. */
static int32
Today(void)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();

	return (int32) (now / USECS_PER_DAY - (now % USECS_PER_DAY < 0 ? 1 : 0));
}

/* A form of UTF-8 text. */
static Datum
TextForm(phi_kind kind, phi_form form, phi_bytes plain, bool *isnull)
{
	phi_buffer out;
	Datum result = (Datum) 0;

	out.capacity = add_size(mul_size(4, plain.size), 16);
	out.data = palloc_extended(out.capacity, MCXT_ALLOC_HUGE);
	out.size = 0;
	CheckStatus(phi_form_text(kind, form, plain, &out, isnull), "redact a value");
	if (!*isnull)
		result = InnerFromBytes(INNER_TEXT, out.data, out.size);
	SecretWipe(out.data, out.size);
	pfree(out.data);
	return result;
}

/* A form of a number: whole numbers by kind; anything else shows only where the kind is no identifier. */
static Datum
NumberForm(phi_kind kind, phi_form form, Datum number, bool *isnull)
{
	char *digits = DatumGetCString(DirectFunctionCall1(numeric_out, number));
	char *end;
	long long whole;
	int64 shown;

	errno = 0;
	whole = strtoll(digits, &end, 10);
	if (errno != 0 || end == digits || (*end != '\0' && *end != '.'))
	{
		*isnull = true;
		return (Datum) 0;
	}
	phi_form_integer(kind, form, whole, &shown, isnull);
	return *isnull ? (Datum) 0 : NumericGetDatum(int64_to_numeric(shown));
}

/*
 * A form of a time, cut in the session's zone, where the result will be read.
 * At the ends of what the type holds there is no local time: nothing then.
 */
static Datum
TimeForm(phi_kind kind, phi_form form, TimestampTz at, bool *isnull)
{
	int64 shown;
	Datum local;

	if (phi_form_opaque_shows(kind, form) && phi_form_shape(kind, form) == PHI_SHAPE_ALL)
		return TimestampTzGetDatum(at);
	if (!TIMESTAMP_NOT_FINITE(at) &&
		(at < MIN_TIMESTAMP + 2 * USECS_PER_DAY || at >= END_TIMESTAMP - 2 * USECS_PER_DAY))
	{
		*isnull = true;
		return (Datum) 0;
	}
	local = DirectFunctionCall1(timestamptz_timestamp, TimestampTzGetDatum(at));
	phi_form_time(kind, form, DatumGetTimestamp(local), Today(), &shown, isnull);
	return *isnull ? (Datum) 0
				   : DirectFunctionCall1(timestamp_timestamptz, TimestampGetDatum(shown));
}

Datum
ShowForm(InnerType inner, phi_kind kind, phi_form form, uint8 *bytes, Size size, bool *isnull)
{
	Datum plain;
	int32 date;

	*isnull = false;
	if (form == PHI_FORM_FULL)
		return InnerFromBytes(inner, bytes, size);
	switch (inner)
	{
		case INNER_TEXT:
			return TextForm(kind, form, phi_bytes_of(bytes, size), isnull);
		case INNER_DATE:
			plain = InnerFromBytes(inner, bytes, size);
			phi_form_date(kind, form, DatumGetDateADT(plain), Today(), &date, isnull);
			return DateADTGetDatum(date);
		case INNER_TIMESTAMPTZ:
			return TimeForm(kind, form, DatumGetTimestampTz(InnerFromBytes(inner, bytes, size)),
							isnull);
		default:
			break;
	}
	if (phi_form_opaque_shows(kind, form))
		return InnerFromBytes(inner, bytes, size);
	if (inner == INNER_NUMERIC)
		return NumberForm(kind, form, InnerFromBytes(inner, bytes, size), isnull);
	*isnull = true;
	return (Datum) 0;
}

Datum
ShowPlain(InnerType inner, phi_kind kind, phi_form form, Datum plain, bool *isnull)
{
	bool owned;
	phi_bytes bytes = InnerToBytes(inner, plain, &owned);
	uint8 *copy = palloc_extended(add_size(bytes.size, 1), MCXT_ALLOC_HUGE);
	Datum shown;

	memcpy(copy, bytes.data, bytes.size);
	shown = ShowForm(inner, kind, form, copy, bytes.size, isnull);
	SecretWipe(copy, bytes.size);
	pfree(copy);
	return shown;
}

bool
HasColumnShape(InnerType inner, phi_shape shape)
{
	switch (shape)
	{
		case PHI_SHAPE_TOKEN:
		case PHI_SHAPE_CATEGORY:
			return inner == INNER_TEXT;
		case PHI_SHAPE_SHIFTED:
		case PHI_SHAPE_FIVE_YEARS:
			return inner == INNER_DATE || inner == INNER_TIMESTAMPTZ;
		case PHI_SHAPE_AGE_BAND:
			return inner == INNER_TEXT || inner == INNER_NUMERIC;
		default:
			return false;
	}
}
