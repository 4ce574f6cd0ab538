/*-------------------------------------------------------------------------
 * stepup.c
 *		Step-up by one-time passwords: secrets, and codes that prove them.
 *
 * A secret is made by a security officer for an actor, shown once, sealed under
 * a key derived from the root key and bound to the actor, and counts after the
 * actor has confirmed it with a code.  An actor cannot make one for himself: a
 * stolen session would then step itself up.
 *
 * Sealed form: 24 bytes of nonce, ciphertext, 16 of tag (XAES-256-GCM); the
 * authenticated data are a label, hash, digits and the actor.  The settings
 * of a code thus cannot be changed without the key either.
 *-------------------------------------------------------------------------
 */
#include "session/context.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "core/totp.h"
#include "core/xaes.h"
#include "funcapi.h"
#include "keyring/keyring.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#define KEY_LABEL   "phi_guard totp 1"
#define SECRET_SIZE 20 /* bytes; RFC 4226 section 4, R6 */
#define AAD_MAX     (sizeof(KEY_LABEL) + 2 + SESSION_NAME_SIZE)
#define SEALED_MAX  (PHI_XAES_NONCE_SIZE + PHI_TOTP_SECRET_MAX + PHI_XAES_TAG_SIZE)

PG_FUNCTION_INFO_V1(phi_totp_make);
PG_FUNCTION_INFO_V1(phi_totp_check);
PG_FUNCTION_INFO_V1(phi_verify_totp);
PG_FUNCTION_INFO_V1(phi_totp_forget);

/* Columns of phi.totp, by position. */
enum TotpColumn
{
	TO_ACTOR = 1,
	TO_HASH,
	TO_DIGITS,
	TO_SEALED,
	TO_ENROLLED_AT,
	TO_CONFIRMED_AT,
	TO_LAST = TO_CONFIRMED_AT
};

/* Setting: how long a step-up is fresh. */
int StepUpMaxAge = 900;

/* ---- secrets ---- */

/* The key that secrets are sealed under. */
static void
SecretKey(phi_xaes *xaes)
{
	uint8 root[PHI_KEY_SIZE];
	uint8 key[PHI_KEY_SIZE];
	phi_status status;

	KeyringRootKey(root);
	status = phi_hkdf_sha256(phi_bytes_of(root, sizeof(root)), phi_bytes_of(NULL, 0),
							 phi_bytes_of(KEY_LABEL, strlen(KEY_LABEL)), key, sizeof(key));
	if (status == PHI_OK)
		status = phi_xaes_init(xaes, key);
	SecretWipe(root, sizeof(root));
	SecretWipe(key, sizeof(key));
	CheckStatus(status, "derive the key of one-time passwords");
}

/* What a secret is bound to. */
static phi_bytes
SecretBinding(const phi_totp *totp, const char *actor, uint8 aad[AAD_MAX])
{
	Size label = sizeof(KEY_LABEL); /* with its zero byte */

	memcpy(aad, KEY_LABEL, label);
	aad[label] = (uint8) totp->hash;
	aad[label + 1] = (uint8) totp->digits;
	memcpy(aad + label + 2, actor, strlen(actor));
	return phi_bytes_of(aad, label + 2 + strlen(actor));
}

/* Seal the secret for an actor. */
static bytea *
SealSecret(const phi_totp *totp, const char *actor)
{
	Size size = PHI_XAES_NONCE_SIZE + totp->size + PHI_XAES_TAG_SIZE;
	bytea *sealed = palloc(VARHDRSZ + size);
	uint8 *out = (uint8 *) VARDATA(sealed);
	uint8 aad[AAD_MAX];
	phi_xaes xaes;
	phi_status status;

	SET_VARSIZE(sealed, VARHDRSZ + size);
	RandomBytes(out, PHI_XAES_NONCE_SIZE);
	SecretKey(&xaes);
	status = phi_xaes_seal(&xaes, out, SecretBinding(totp, actor, aad),
						   phi_bytes_of(totp->secret, totp->size), out + PHI_XAES_NONCE_SIZE);
	phi_xaes_clear(&xaes);
	CheckStatus(status, "seal a one-time password secret");
	return sealed;
}

/* Open it again; the caller wipes totp. */
static void
OpenSecret(phi_totp *totp, const char *actor, bytea *sealed)
{
	Size size = VARSIZE_ANY_EXHDR(sealed);
	const uint8 *in = (const uint8 *) VARDATA_ANY(sealed);
	uint8 aad[AAD_MAX];
	phi_xaes xaes;
	phi_status status = PHI_ERR_FORMAT;

	if (size > PHI_XAES_NONCE_SIZE + PHI_XAES_TAG_SIZE && size <= SEALED_MAX)
	{
		totp->size = size - PHI_XAES_NONCE_SIZE - PHI_XAES_TAG_SIZE;
		SecretKey(&xaes);
		status = phi_xaes_open(&xaes, in, SecretBinding(totp, actor, aad),
							   phi_bytes_of(in + PHI_XAES_NONCE_SIZE, size - PHI_XAES_NONCE_SIZE),
							   totp->secret);
		phi_xaes_clear(&xaes);
	}
	CheckStatus(status, "open a one-time password secret");
}

/* Read the parameters and the secret from a row of phi.totp. */
static bool
ReadSecret(Relation rel, HeapTuple tuple, const char *actor, bool confirmed, phi_totp *totp)
{
	Datum values[TO_LAST];
	bool nulls[TO_LAST];

	if (RelationGetNumberOfAttributes(rel) != TO_LAST)
		elog(ERROR, "unexpected shape of phi.totp");
	heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
	if (confirmed == nulls[TO_CONFIRMED_AT - 1])
		return false;
	totp->hash = strcmp(TextDatumGetCString(values[TO_HASH - 1]), "SHA1") == 0 ? PHI_TOTP_SHA1
																			   : PHI_TOTP_SHA256;
	totp->digits = (unsigned) DatumGetInt32(values[TO_DIGITS - 1]);
	OpenSecret(totp, actor, DatumGetByteaPP(values[TO_SEALED - 1]));
	return true;
}

/* The secret of an actor, confirmed or not; false when there is none such. */
static bool
LoadSecret(const char *actor, bool confirmed, phi_totp *totp)
{
	Relation rel = table_open(PhiRelation("totp"), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	bool found;

	ScanKeyInit(&key, TO_ACTOR, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(actor));
	scan = systable_beginscan(rel, PhiRelation("totp_pkey"), true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple) && ReadSecret(rel, tuple, actor, confirmed, totp);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* ---- the URI that is shown once ---- */

/* Append a text with everything but letters, digits and -._~ escaped (RFC 3986 section 2.3). */
static void
AppendEscaped(StringInfo out, const char *text)
{
	for (; *text != '\0'; text++)
	{
		if ((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
			(*text >= '0' && *text <= '9') || strchr("-._~", *text) != NULL)
			appendStringInfoChar(out, *text);
		else
			appendStringInfo(out, "%%%02X", (uint8) *text);
	}
}

static char *
TotpUri(const phi_totp *totp, const char *actor)
{
	char secret[PHI_TOTP_SECRET_MAX * 2];
	StringInfoData uri;

	phi_base32_encode(phi_bytes_of(totp->secret, totp->size), secret);
	secret[phi_base32_size(totp->size)] = '\0';
	initStringInfo(&uri);
	appendStringInfoString(&uri, "otpauth://totp/phi_guard:");
	AppendEscaped(&uri, actor);
	appendStringInfo(&uri, "?secret=%s&issuer=phi_guard&algorithm=%s&digits=%u&period=%d", secret,
					 totp->hash == PHI_TOTP_SHA1 ? "SHA1" : "SHA256", totp->digits, PHI_TOTP_STEP);
	SecretWipe(secret, sizeof(secret));
	return uri.data;
}

/*
 * phi.totp_make(actor, algorithm, digits): a new secret, sealed, and its URI.
 */
Datum
phi_totp_make(PG_FUNCTION_ARGS)
{
	char *actor = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *hash = text_to_cstring(PG_GETARG_TEXT_PP(1));
	int digits = PG_GETARG_INT32(2);
	phi_totp totp = {.digits = (unsigned) digits, .size = SECRET_SIZE};
	TupleDesc desc;
	Datum values[2];
	bool nulls[2] = {false, false};

	RequirePreload();
	NoteSensitiveStatement();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (strspn(actor, " \t\n\r") == strlen(actor) || strlen(actor) >= SESSION_NAME_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the actor must be a name of 1 to %d bytes", SESSION_NAME_SIZE - 1)));
	if (strcmp(hash, "SHA1") != 0 && strcmp(hash, "SHA256") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown algorithm of one-time passwords"),
						errhint("Use SHA1 or SHA256; many authenticators know SHA1 alone.")));
	if (digits != 6 && digits != 8)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("one-time passwords have 6 or 8 digits")));
	totp.hash = strcmp(hash, "SHA1") == 0 ? PHI_TOTP_SHA1 : PHI_TOTP_SHA256;
	RandomBytes(totp.secret, SECRET_SIZE);
	values[0] = PointerGetDatum(SealSecret(&totp, actor));
	values[1] = CStringGetTextDatum(TotpUri(&totp, actor));
	SecretWipe(&totp, sizeof(totp));
	AttemptForget(actor);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* ---- codes ---- */

/* The step that a code of the actor's secret is right for, or 0. */
static uint64
MatchingStep(const char *actor, bool confirmed, text *code, bool *enrolled)
{
	phi_totp totp = {0};
	uint64 step = 0;
	phi_status status = PHI_ERR_AUTH;

	*enrolled = LoadSecret(actor, confirmed, &totp);
	if (*enrolled)
		status = phi_totp_match(&totp, timestamptz_to_time_t(GetCurrentTimestamp()),
								VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code), &step);
	SecretWipe(&totp, sizeof(totp));
	if (status != PHI_ERR_AUTH)
		CheckStatus(status, "check a one-time password");
	return step;
}

/* Try a code for the session's actor; one word for why it fails, or NULL. */
static const char *
TryCode(text *code, bool confirmed)
{
	static const char *const words[] = {NULL, "wrong", "replayed", "locked", "full"};
	char actor[SESSION_NAME_SIZE];
	bool enrolled;
	uint64 step;

	if (!SessionCurrent()->identified)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("the session has no identity to step up"),
						errhint("Log in with phi.login() first.")));
	strlcpy(actor, SessionCurrent()->actor, sizeof(actor));
	step = MatchingStep(actor, confirmed, code, &enrolled);
	return enrolled ? words[AttemptCount(actor, step)] : "unknown";
}

/*
 * phi.totp_check(code): is this a code of the actor's secret that is not yet
 * confirmed?  The attempt counts.
 */
Datum
phi_totp_check(PG_FUNCTION_ARGS)
{
	const char *failure;

	RequirePreload();
	NoteSensitiveStatement();
	RequireOwnStatement("phi.confirm_totp");
	failure = TryCode(PG_GETARG_TEXT_PP(0), false);
	if (failure)
		SessionEvent("confirm_totp", failure);
	PG_RETURN_BOOL(failure == NULL);
}

/*
 * phi.verify_totp(code): step the session up with a code of its actor; false,
 * and the attempt counts, when it is none, was used, or the actor is locked out.
 */
Datum
phi_verify_totp(PG_FUNCTION_ARGS)
{
	const char *failure;
	ContextEntry entry;

	RequirePreload();
	NoteSensitiveStatement();
	RequireOwnStatement("phi.verify_totp");
	failure = TryCode(PG_GETARG_TEXT_PP(0), true);
	if (!failure)
	{
		ContextOfSession(&entry);
		entry.step_up_at = GetCurrentStatementStartTimestamp();
		ContextSet(&entry);
	}
	SessionEvent("verify_totp", failure);
	PG_RETURN_BOOL(failure == NULL);
}

/*
 * phi.totp_forget(actor): wrong attempts of the actor are forgotten.
 */
Datum
phi_totp_forget(PG_FUNCTION_ARGS)
{
	RequirePreload();
	AttemptForget(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_VOID();
}

/* What was fresh under the old age may not be under the new one. */
static void
AgeChanged(int newval, void *extra)
{
	SessionTick++;
}

void
StepUpInit(void)
{
	DefineCustomIntVariable("phi.step_up_max_age", "How long a step-up is fresh.", NULL,
							&StepUpMaxAge, 900, 10, SECS_PER_DAY, PGC_SIGHUP, GUC_UNIT_S, NULL,
							AgeChanged, NULL);
}
