/*-------------------------------------------------------------------------
 * recipient.c
 *		Tokens of identifiers and shifted dates, under a key of the recipient.
 *
 * Who may call these can tell the value to a token, and the other way round by
 * trying; so they are of those who keep the keys.  The key is derived for each
 * call and wiped.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "core/fpe.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "utils/builtins.h"
#include "utils/date.h"

PG_FUNCTION_INFO_V1(phi_fpe_token);
PG_FUNCTION_INFO_V1(phi_fpe_value);
PG_FUNCTION_INFO_V1(phi_shift_date);

/* The recipient's key for a use; raises for an empty name. */
static void
KeyOf(const char *use, text *recipient, uint8 key[PHI_KEY_SIZE])
{
	RequirePreload();
	if (VARSIZE_ANY_EXHDR(recipient) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a recipient must not be empty")));
	RecipientKey(use, text_to_cstring(recipient), key);
}

/* A text under the recipient's key, in one direction. */
static Datum
Transform(FunctionCallInfo fcinfo, phi_status (*transform)(phi_bytes, uint8_t *, size_t))
{
	text *value = PG_GETARG_TEXT_P_COPY(0);
	uint8 key[PHI_KEY_SIZE];
	phi_status status;

	KeyOf("token", PG_GETARG_TEXT_PP(1), key);
	NoteSensitiveStatement();
	status = transform(phi_bytes_of(key, sizeof(key)), (uint8 *) VARDATA(value),
					   VARSIZE(value) - VARHDRSZ);
	SecretWipe(key, sizeof(key));
	if (status == PHI_ERR_ARGUMENT)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("values of this format have no tokens"),
						errhint("Six digits or five letters are the fewest, 72 digits the most: "
								"where there are few values, tokens hide nothing.")));
	CheckStatus(status, "make a token");
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
	uint8 key[PHI_KEY_SIZE];
	phi_status status;
	int days;

	KeyOf("date shift", PG_GETARG_TEXT_PP(2), key);
	NoteSensitiveStatement();
	status = phi_shift_days(phi_bytes_of(key, sizeof(key)), (uint64) PG_GETARG_INT64(1), &days);
	SecretWipe(key, sizeof(key));
	CheckStatus(status, "shift a date");
	if (DATE_NOT_FINITE(date))
		PG_RETURN_DATEADT(date);
	if (!IS_VALID_DATE((int64) date + days))
		PG_RETURN_NULL();
	PG_RETURN_DATEADT(date + days);
}
