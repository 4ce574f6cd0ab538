/*-------------------------------------------------------------------------
 * login.c
 *		phi.login(): an identity from a signed token, until COMMIT.
 *
 * Whoever brings a token that is refused learns that, and nothing else: all
 * causes share one message, and the cause goes to the server's log as one word.
 * The token itself is in neither; the statement that brought it is kept out of
 * the log.
 *-------------------------------------------------------------------------
 */
#include "session/context.h"

#include "access/xact.h"
#include "core/mac.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define ID_PREFIX      "sha256:"
#define ID_DIGEST_SIZE 16 /* bytes of the digest that names a token without an id */

PG_FUNCTION_INFO_V1(phi_login);

StaticAssertDecl(SESSION_NAME_SIZE == PHI_CLAIM_SIZE && SESSION_MAX_ROLES == PHI_CLAIM_ROLES &&
					 SESSION_MAX_GROUPS == PHI_CLAIM_GROUPS,
				 "claims fit a session");

/* Settings: what is asked of a token. */
static char *TokenIssuer = NULL;
static char *TokenAudience = NULL;
static char *ActorClaim = NULL;
static char *OrganizationClaim = NULL;
static char *RolesClaim = NULL;
static char *PurposesClaim = NULL;
static char *GroupsClaim = NULL;
static char *IdClaim = NULL;
static char *AcrClaim = NULL;
static char *AmrClaim = NULL;
static char *AuthTimeClaim = NULL;
static char *StepUpAcr = NULL;
static char *StepUpAmr = NULL;

/* Setting: may a login last beyond its transaction? */
static bool SessionLogin = false;

/* Without an audit log an event is a line of the server's log. */
static void
LogEvent(const char *action, const char *failure)
{
	if (failure)
		ereport(LOG, (errmsg("%s failed", action), errdetail_log("Cause: %s.", failure),
					  errhidestmt(true), errhidecontext(true)));
}

void (*SessionEvent)(const char *action, const char *failure) = LogEvent;

/* Refuse a login: cause is for the log. */
static void
RefuseLogin(const char *cause)
{
	SessionEvent("login", cause);
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("login failed"),
					errhint("The audit log has the cause."), errhidestmt(true)));
}

/* A login for one transaction needs one; a longer one has to be allowed. */
static void
CheckDuration(bool session)
{
	if (session && !SessionLogin)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("a login may not outlast its transaction"),
						errhint("Set phi.session_login, where no pooler hands the session to "
								"another client.")));
	if (!session && !IsTransactionBlock())
		ereport(ERROR, (errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
						errmsg("a login holds for a transaction, and there is none"),
						errhint("Use BEGIN; SELECT phi.login(...); ...; COMMIT.")));
}

static TimestampTz
FromSeconds(int64 seconds)
{
	return seconds == 0 ? 0 : time_t_to_timestamptz((pg_time_t) seconds);
}

static phi_token_rules
CurrentRules(void)
{
	phi_token_rules rules = {
		.issuer = TokenIssuer,
		.audience = TokenAudience,
		.actor = ActorClaim,
		.organization = OrganizationClaim,
		.roles = RolesClaim,
		.purposes = PurposesClaim,
		.groups = GroupsClaim,
		.id = IdClaim,
		.acr = AcrClaim,
		.amr = AmrClaim,
		.auth_time = AuthTimeClaim,
		.step_up_acr = StepUpAcr,
		.step_up_amr = StepUpAmr,
		.now = timestamptz_to_time_t(GetCurrentTimestamp()),
	};

	if (TokenIssuer[0] == '\0' || TokenAudience[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("it is not configured whose tokens are accepted"),
				 errhint("Set phi.token_issuer and phi.token_audience and reload the server.")));
	return rules;
}

/* Verify a token with the keys and rules of the moment, or refuse it. */
static void
VerifyToken(text *token, phi_claims *claims)
{
	phi_token_rules rules = CurrentRules();
	phi_token_space *space = palloc(sizeof(phi_token_space));
	phi_token_cause cause = PHI_CAUSE_NONE;
	phi_status status =
		JwksVerify(VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token), &rules, space, claims, &cause);

	pfree(space);
	if (status == PHI_ERR_AUTH)
		RefuseLogin(phi_token_cause_text(cause));
	CheckStatus(status, "verify a token");
}

/* A token without an id is named by a digest of what was signed: its signature may have variants. */
static void
NameToken(text *token, char id[SESSION_NAME_SIZE])
{
	uint8 digest[PHI_SHA256_SIZE];
	const char *start = VARDATA_ANY(token);
	Size prefix = strlen(ID_PREFIX);

	if (id[0] != '\0')
		return;
	CheckStatus(
		phi_sha256(phi_bytes_of(start, phi_jws_signed_size(start, VARSIZE_ANY_EXHDR(token))),
				   digest),
		"name a token");
	memcpy(id, ID_PREFIX, prefix);
	phi_base64url_encode(phi_bytes_of(digest, ID_DIGEST_SIZE), id + prefix);
	id[prefix + phi_base64url_size(ID_DIGEST_SIZE)] = '\0';
}

/* Names are UTF-8; in a database of another encoding only what is the same there is taken. */
static bool
NameFits(const char *name)
{
	if (GetDatabaseEncoding() == PG_UTF8)
		return true;
	for (; *name != '\0'; name++)
		if (IS_HIGHBIT_SET(*name))
			return false;
	return true;
}

static bool
NamesFit(const phi_claims *claims)
{
	bool fit = NameFits(claims->actor) && NameFits(claims->organization) && NameFits(claims->id);

	for (size_t i = 0; i < claims->role_count; i++)
		fit = fit && NameFits(claims->roles[i]);
	for (size_t i = 0; i < claims->group_count; i++)
		fit = fit && NameFits(claims->groups[i]);
	return fit;
}

/* The purpose that is asked for, or the token's only one. */
static phi_purpose
ChoosePurpose(const phi_claims *claims, text *asked)
{
	SessionContext allowed = {.allowed_purposes = claims->purposes};
	phi_purpose purpose = PHI_PURPOSE_NONE;

	if (asked)
	{
		purpose = phi_purpose_find(VARDATA_ANY(asked), VARSIZE_ANY_EXHDR(asked));
		if (purpose == PHI_PURPOSE_NONE || !SessionAllows(&allowed, purpose))
			RefuseLogin("purpose");
		return purpose;
	}
	for (phi_purpose only = 0; only < phi_purpose_count(); only++)
		if (claims->purposes == PurposeBit(only))
			purpose = only;
	return purpose;
}

/* What the setting will carry. */
static void
FillEntry(ContextEntry *entry, const phi_claims *claims, phi_purpose purpose, bool session)
{
	memset(entry, 0, sizeof(*entry));
	entry->role = GetSessionUserId();
	RandomBytes((uint8 *) &entry->serial, sizeof(entry->serial));
	entry->serial |= UINT64CONST(1) << 63; /* no enrollment has this one */
	entry->purpose = purpose;
	entry->step_up_at = FromSeconds(claims->step_up_at);
	entry->login = true;
	entry->local = !session;
	entry->transaction = session ? InvalidLocalTransactionId : CurrentLocalTransaction();
	entry->expires_at = FromSeconds(claims->expires_at);
	entry->allowed_purposes = claims->purposes;
	strlcpy(entry->actor, claims->actor, SESSION_NAME_SIZE);
	strlcpy(entry->organization, claims->organization, SESSION_NAME_SIZE);
	strlcpy(entry->token_id, claims->id, SESSION_NAME_SIZE);
	entry->role_count = (int) claims->role_count;
	memcpy(entry->roles, claims->roles, sizeof(entry->roles));
	entry->group_count = (int) claims->group_count;
	memcpy(entry->groups, claims->groups, sizeof(entry->groups));
}

/*
 * phi.login(token text, purpose text, session boolean): the identity of a
 * token, until the transaction ends, or for the session where that is allowed.
 */
Datum
phi_login(PG_FUNCTION_ARGS)
{
	text *token = PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0);
	text *purpose = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	bool session = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	phi_claims claims;
	ContextEntry entry;

	RequirePreload();
	NoteSensitiveStatement();
	RequireOwnStatement("phi.login");
	CheckDuration(session);
	if (!token)
		RefuseLogin(phi_token_cause_text(PHI_CAUSE_SIZE));
	VerifyToken(token, &claims);
	NameToken(token, claims.id);
	if (!NamesFit(&claims))
		RefuseLogin("encoding");
	if (TokenRevoked(claims.id) || ActorRevoked(claims.actor))
		RefuseLogin("revoked");
	FillEntry(&entry, &claims, ChoosePurpose(&claims, purpose), session);
	if (!TokenUse(claims.id, entry.expires_at))
		RefuseLogin("uses");
	ContextSet(&entry);
	SessionEvent("login", NULL);
	PG_RETURN_VOID();
}

/* A setting that the server's configuration alone changes. */
static void
DefineClaim(const char *name, const char *what, char **variable, const char *value)
{
	DefineCustomStringVariable(name, what,
							   "Paths into the claims, joined by commas; the first that is there "
							   "is taken.",
							   variable, value, PGC_SIGHUP, 0, NULL, NULL, NULL);
}

void
LoginInit(void)
{
	DefineCustomStringVariable("phi.token_issuer", "Issuer of the tokens that are accepted.", NULL,
							   &TokenIssuer, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("phi.token_audience", "Audience that tokens must name.", NULL,
							   &TokenAudience, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineClaim("phi.token_actor_claim", "Claim that names the actor.", &ActorClaim, "sub");
	DefineClaim("phi.token_organization_claim", "Claim that names the organization.",
				&OrganizationClaim, "organization, extensions.ihe_iua.subject_organization_id");
	DefineClaim("phi.token_roles_claim", "Claim that lists the workforce roles.", &RolesClaim,
				"roles, extensions.ihe_iua.subject_role, realm_access.roles");
	DefineClaim("phi.token_purposes_claim", "Claim that lists the purposes of use.", &PurposesClaim,
				"purposes, purpose_of_use, extensions.ihe_iua.purpose_of_use");
	DefineClaim("phi.token_groups_claim", "Claim that lists the groups.", &GroupsClaim, "groups");
	DefineClaim("phi.token_id_claim", "Claim that names the token.", &IdClaim, "jti");
	DefineClaim("phi.token_acr_claim", "Claim with the level of authentication.", &AcrClaim, "acr");
	DefineClaim("phi.token_amr_claim", "Claim with the methods of authentication.", &AmrClaim,
				"amr");
	DefineClaim("phi.token_auth_time_claim", "Claim with the time of authentication.",
				&AuthTimeClaim, "auth_time");
	DefineCustomStringVariable("phi.step_up_acr", "Levels of authentication that are a step-up.",
							   "Values of the acr claim, joined by commas.", &StepUpAcr, "",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("phi.step_up_amr", "Methods of authentication that are a step-up.",
							   "Values of the amr claim, joined by commas.", &StepUpAmr,
							   "mfa, otp, hwk, sc", PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("phi.session_login",
							 "Whether a login may last for the session instead of a transaction.",
							 NULL, &SessionLogin, false, PGC_SUSET, 0, NULL, NULL, NULL);
}
