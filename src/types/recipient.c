/*-------------------------------------------------------------------------
 * recipient.c
 *		Tokens of identifiers and shifted dates, under a key of the recipient.
 *
 * Who may call the functions can tell the value to a token, and the other way
 * round by trying; so they are of those who keep the keys.  The views of
 * recipients show the same tokens and dates of what is in their rows, to sessions
 * of the recipient alone (reveal.c): nobody chooses a value there but who may
 * write it.
 *
 * Memory: the key is on the stack for a call, and wiped.
 *-------------------------------------------------------------------------
 */
#include "types/recipient.h"

#include "common/int.h"
#include "core/fpe.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(phi_fpe_token);
PG_FUNCTION_INFO_V1(phi_fpe_value);
PG_FUNCTION_INFO_V1(phi_shift_date);

/* The recipient of an argument; raises for an empty name. */
static char *
CheckedRecipient(text *recipient)
{
	RequirePreload();
	if (VARSIZE_ANY_EXHDR(recipient) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a recipient must not be empty")));
	return text_to_cstring(recipient);
}

/* The days of a subject under the recipient's key. */
static int
DaysOf(const char *recipient, uint64 subject_token)
{
	uint8 key[PHI_KEY_SIZE];
	phi_status status;
	int days;

	RecipientKey("date shift", recipient, key);
	status = phi_shift_days(phi_bytes_of(key, sizeof(key)), subject_token, &days);
	SecretWipe(key, sizeof(key));
	CheckStatus(status, "shift a date");
	return days;
}

/* Transform bytes in place under the recipient's key; false where their format has no tokens. */
static bool
TransformBytes(const char *recipient, phi_status (*transform)(phi_bytes, uint8_t *, size_t),
			   uint8 *bytes, Size size)
{
	uint8 key[PHI_KEY_SIZE];
	phi_status status;

	RecipientKey("token", recipient, key);
	status = transform(phi_bytes_of(key, sizeof(key)), bytes, size);
	SecretWipe(key, sizeof(key));
	if (status != PHI_ERR_ARGUMENT)
		CheckStatus(status, "make a token");
	return status == PHI_OK;
}

/* A text under the recipient's key, in one direction. */
static Datum
Transform(FunctionCallInfo fcinfo, phi_status (*transform)(phi_bytes, uint8_t *, size_t))
{
	text *value = PG_GETARG_TEXT_P_COPY(0);
	char *recipient = CheckedRecipient(PG_GETARG_TEXT_PP(1));

	NoteSensitiveStatement();
	if (!TransformBytes(recipient, transform, (uint8 *) VARDATA(value), VARSIZE(value) - VARHDRSZ))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("values of this format have no tokens"),
						errhint("Six digits or five letters are the fewest, 72 digits the most: "
								"where there are few values, tokens hide nothing.")));
	PG_RETURN_TEXT_P(value);
}

/*
 * phi.fpe_token(value, recipient): the value with other digits and letters.
 */
Datum
phi_fpe_token(PG_FUNCTION_ARGS)
{
	return Transform(fcinfo, phi_fpe_encrypt);
}

/*
 * phi.fpe_value(token, recipient): the value that has this token.
 */
Datum
phi_fpe_value(PG_FUNCTION_ARGS)
{
	return Transform(fcinfo, phi_fpe_decrypt);
}

/*
 * phi.shift_date(date, subject_token, recipient): the date, shifted by the days
 * of the subject; infinite dates stay, NULL where the result is no date.
 */
Datum
phi_shift_date(PG_FUNCTION_ARGS)
{
	DateADT date = PG_GETARG_DATEADT(0);
	char *recipient = CheckedRecipient(PG_GETARG_TEXT_PP(2));
	int days = DaysOf(recipient, (uint64) PG_GETARG_INT64(1));

	NoteSensitiveStatement();
	if (DATE_NOT_FINITE(date))
		PG_RETURN_DATEADT(date);
	if (!IS_VALID_DATE((int64) date + days))
		PG_RETURN_NULL();
	PG_RETURN_DATEADT(date + days);
}

/* ---- forms of columns ---- */

bool
FormNeedsRecipient(phi_form form)
{
	return form == PHI_FORM_TOKEN || form == PHI_FORM_SHIFTED;
}

/* The token of a text of ASCII characters. */
static Datum
TokenOf(const char *recipient, uint8 *bytes, Size size, bool *isnull)
{
	*isnull = false;
	for (Size i = 0; i < size; i++)
		*isnull = *isnull || bytes[i] >= 0x80;
	*isnull = *isnull || !TransformBytes(recipient, phi_fpe_encrypt, bytes, size);
	return *isnull ? (Datum) 0 : InnerFromBytes(INNER_TEXT, bytes, size);
}

/* A date, later by so many days. */
static Datum
ShiftedDate(DateADT date, int days, bool *isnull)
{
	*isnull = DATE_NOT_FINITE(date) || !IS_VALID_DATE((int64) date + days);
	return *isnull ? (Datum) 0 : DateADTGetDatum(date + days);
}

/* A time, later by so many times 24 hours. */
static Datum
ShiftedTime(TimestampTz at, int days, bool *isnull)
{
	int64 shifted;

	*isnull = TIMESTAMP_NOT_FINITE(at) ||
			  pg_add_s64_overflow(at, (int64) days * USECS_PER_DAY, &shifted) ||
			  !IS_VALID_TIMESTAMP(shifted);
	return *isnull ? (Datum) 0 : TimestampTzGetDatum(shifted);
}

Datum
ShowForRecipient(InnerType inner, phi_form form, const char *recipient, uint64 subject_token,
				 uint8 *bytes, Size size, bool *isnull)
{
	if (form == PHI_FORM_TOKEN && inner == INNER_TEXT)
		return TokenOf(recipient, bytes, size, isnull);
	if (form == PHI_FORM_SHIFTED && inner == INNER_DATE)
		return ShiftedDate(DatumGetDateADT(InnerFromBytes(inner, bytes, size)),
						   DaysOf(recipient, subject_token), isnull);
	if (form == PHI_FORM_SHIFTED && inner == INNER_TIMESTAMPTZ)
		return ShiftedTime(DatumGetTimestampTz(InnerFromBytes(inner, bytes, size)),
						   DaysOf(recipient, subject_token), isnull);
	*isnull = true;
	return (Datum) 0;
}
