/*-------------------------------------------------------------------------
 * session.c
 *		The identity of the session.
 *
 * It is that of a token, while a login with one holds (phi.context), and else
 * belongs to the login role: phi.enrollment is looked up by session_user, which
 * SET ROLE and SECURITY DEFINER do not change.  A login that has expired, was
 * revoked or belongs to another transaction is no identity at all, and does not
 * give way to an enrollment.  What an enrolled role has stated counts while it was stated for
 * this role and this enrollment: to unenroll binds at once, everywhere.
 *
 * The answer is kept until the role, the setting, the tables it came from (seen
 * by relcache invalidation) or the extension changes, or a statement begins
 * after the instant at which it ends.  Tables are read with a catalog snapshot,
 * so that REPEATABLE READ sees an identity withdrawn.  Time is that of the
 * statement, which parallel workers share with their leader.
 * Locking: AccessShareLock on the tables while they are read.
 *-------------------------------------------------------------------------
 */
#include "session/session.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "session/context.h"
#include "session/membership.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* Columns of phi.enrollment, by position. */
enum EnrollmentColumn
{
	EN_ROLE = 1,
	EN_ACTOR,
	EN_ROLES,
	EN_PURPOSES,
	EN_ORGANIZATION,
	EN_SERIAL,
	EN_ENROLLED_AT,
	EN_LAST = EN_ENROLLED_AT
};

/* The answer, and whether it was completely read; all zero means not identified. */
static SessionContext Session;
static bool Loaded = false;

/* What its actor belongs to, by phi.membership; empty when not identified. */
static Memberships Belongs;

/* Set by the relcache callback: what was read may have changed. */
static bool Stale = false;

/* What the answer was read under. */
static Oid LoadedRole = InvalidOid;
static uint64 LoadedContext = 0;
static uint64 LoadedCatalog = 0;
static LocalTransactionId LoadedTransaction = InvalidLocalTransactionId;

/* When the answer ends by itself; 0 when it does not. */
static TimestampTz LoadedUntil = 0;

/* OID of phi.enrollment for the callback, which must not look it up. */
static Oid EnrollmentTable = InvalidOid;

/* Counts the answers that differ from the one before. */
static uint64 Generation = 1;

/* Relcache callback. */
static void
EnrollmentInvalidated(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == EnrollmentTable || IsRevocationTable(relid) ||
		MembershipsReadFrom(relid))
	{
		Stale = true;
		SessionTick++;
	}
}

/* Copy a text into a fixed name; longer ones were never let in by phi.enroll. */
static void
CopyName(char out[SESSION_NAME_SIZE], Datum value)
{
	char *name = TextDatumGetCString(value);

	strlcpy(out, name, SESSION_NAME_SIZE);
	pfree(name);
}

/* The workforce roles of an enrollment. */
static void
ReadRoles(SessionContext *session, Datum array)
{
	Datum *elements;
	bool *nulls;
	int count;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &count);
	for (int i = 0; i < count && session->role_count < SESSION_MAX_ROLES; i++)
		if (!nulls[i])
			CopyName(session->roles[session->role_count++], elements[i]);
}

/* The allowed purposes of an enrollment; a single one needs no stating. */
static void
ReadPurposes(SessionContext *session, Datum array)
{
	Datum *elements;
	bool *nulls;
	int count;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		text *code = nulls[i] ? NULL : DatumGetTextPP(elements[i]);
		phi_purpose purpose = PHI_PURPOSE_NONE;

		if (code)
			purpose = phi_purpose_find(VARDATA_ANY(code), VARSIZE_ANY_EXHDR(code));
		if (purpose == PHI_PURPOSE_NONE)
			continue;
		session->allowed_purposes |= PurposeBit(purpose);
		session->purpose = purpose;
	}
	session->purpose_stated = session->purpose != PHI_PURPOSE_NONE &&
							  session->allowed_purposes == PurposeBit(session->purpose);
	if (!session->purpose_stated)
		session->purpose = PHI_PURPOSE_NONE;
}

/* One row of phi.enrollment. */
static void
ReadEnrollment(SessionContext *session, Relation rel, HeapTuple tuple)
{
	Datum values[EN_LAST];
	bool nulls[EN_LAST];

	if (RelationGetNumberOfAttributes(rel) != EN_LAST)
		elog(ERROR, "unexpected shape of phi.enrollment");
	heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
	session->identified = true;
	session->source = SESSION_ENROLLMENT;
	session->serial = (uint64) DatumGetInt64(values[EN_SERIAL - 1]);
	CopyName(session->actor, values[EN_ACTOR - 1]);
	if (!nulls[EN_ORGANIZATION - 1])
		CopyName(session->organization, values[EN_ORGANIZATION - 1]);
	ReadRoles(session, values[EN_ROLES - 1]);
	ReadPurposes(session, values[EN_PURPOSES - 1]);
}

/* Look the enrollment of role up. */
static void
LoadEnrollment(SessionContext *session, Oid role)
{
	Relation rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	EnrollmentTable = PhiRelation("enrollment");
	rel = table_open(EnrollmentTable, AccessShareLock);
	ScanKeyInit(&key, EN_ROLE, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(role));
	scan = systable_beginscan(rel, PhiRelation("enrollment_pkey"), true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		ReadEnrollment(session, rel, tuple);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

bool
SessionAllows(const SessionContext *session, phi_purpose purpose)
{
	for (phi_purpose allowed = 0; allowed < phi_purpose_count(); allowed++)
		if ((session->allowed_purposes & PurposeBit(allowed)) && phi_purpose_is_a(purpose, allowed))
			return true;
	return false;
}

/* Take over what was stated for this role and enrollment. */
static void
ApplyStated(SessionContext *session, const ContextEntry *entry)
{
	if (!session->identified || !entry || entry->serial != session->serial)
		return;
	session->step_up_at = entry->step_up_at;
	if (entry->purpose == PHI_PURPOSE_NONE || !SessionAllows(session, entry->purpose))
		return;
	session->purpose = entry->purpose;
	session->purpose_stated = true;
}

/* Has a login ended, by time or by the end of its transaction?  A worker's leader has seen to the latter. */
static bool
LoginOver(const ContextEntry *entry)
{
	return GetCurrentStatementStartTimestamp() >= entry->expires_at ||
		   (entry->local && !IsParallelWorker() && entry->transaction != CurrentLocalTransaction());
}

/* The identity of a login, while it holds. */
static void
ApplyLogin(SessionContext *session, const ContextEntry *entry)
{
	if (LoginOver(entry) || TokenRevoked(entry->token_id))
		return;
	session->identified = true;
	session->source = SESSION_TOKEN;
	session->serial = entry->serial;
	session->expires_at = entry->expires_at;
	session->step_up_at = entry->step_up_at;
	session->allowed_purposes = entry->allowed_purposes;
	session->purpose = entry->purpose;
	session->purpose_stated = entry->purpose != PHI_PURPOSE_NONE;
	strlcpy(session->actor, entry->actor, SESSION_NAME_SIZE);
	strlcpy(session->organization, entry->organization, SESSION_NAME_SIZE);
	strlcpy(session->token_id, entry->token_id, SESSION_NAME_SIZE);
	session->role_count = entry->role_count;
	memcpy(session->roles, entry->roles, sizeof(session->roles));
	session->group_count = entry->group_count;
	memcpy(session->groups, entry->groups, sizeof(session->groups));
}

/* Nobody at all. */
static void
EmptySession(SessionContext *session)
{
	memset(session, 0, sizeof(*session));
	session->purpose = PHI_PURPOSE_NONE;
}

/* Is the last step-up recent enough, and until when is the answer right? */
static TimestampTz
ApplyTime(SessionContext *session)
{
	TimestampTz stale_at;

	if (session->step_up_at == 0)
		return session->expires_at;
	stale_at = TimestampTzPlusMilliseconds(session->step_up_at, StepUpMaxAge * INT64CONST(1000));
	session->step_up_fresh = GetCurrentStatementStartTimestamp() < stale_at;
	if (!session->step_up_fresh)
		return session->expires_at;
	return session->expires_at == 0 ? stale_at : Min(session->expires_at, stale_at);
}

/* Read the session into fresh; the time at which that ends. */
static TimestampTz
ReadSession(SessionContext *fresh)
{
	const ContextEntry *entry = ContextCurrent();

	EmptySession(fresh);
	if (!PhiPreloaded || !ExtensionInstalled())
		return 0;
	if (entry && entry->role != LoadedRole)
		entry = NULL;
	if (entry && entry->login)
		ApplyLogin(fresh, entry);
	else
	{
		LoadEnrollment(fresh, LoadedRole);
		ApplyStated(fresh, entry);
	}
	if (fresh->identified && ActorRevoked(fresh->actor))
		EmptySession(fresh);
	return ApplyTime(fresh);
}

/* What the actor of a session belongs to; nothing without one. */
static void
ReadMemberships(const SessionContext *session, Memberships *memberships)
{
	if (session->identified)
	{
		MembershipsRead(session->actor, session->organization,
						GetCurrentStatementStartTimestamp(), memberships);
		return;
	}
	memset(memberships, 0, sizeof(Memberships));
	memberships->from = DT_NOBEGIN;
	memberships->until = DT_NOEND;
}

/* Do the memberships that were read hold at the time of this statement? */
static inline bool
MembershipsHold(void)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();

	return now >= Belongs.from && now < Belongs.until;
}

/*
 * Read the session anew, again if an invalidation came meanwhile.  An error
 * leaves it unidentified and to be read at the next call.
 */
static void
LoadSession(void)
{
	SessionContext fresh;
	Memberships memberships;
	bool changed;

	Loaded = false;
	do
	{
		Stale = false;
		LoadedRole = GetSessionUserId();
		LoadedContext = SessionTick;
		LoadedCatalog = CatalogGeneration();
		LoadedTransaction = CurrentLocalTransaction();
		LoadedUntil = ReadSession(&fresh);
		ReadMemberships(&fresh, &memberships);
	} while (Stale || LoadedContext != SessionTick || LoadedCatalog != CatalogGeneration());

	changed = memcmp(&fresh, &Session, sizeof(fresh)) != 0 ||
			  memcmp(memberships.of, Belongs.of, sizeof(Belongs.of)) != 0;
	memcpy(&Session, &fresh, sizeof(fresh));
	memcpy(&Belongs, &memberships, sizeof(Belongs));
	if (changed)
		Generation++;
	Loaded = true;
}

/* Does the answer still hold as time goes on? */
static inline bool
HoldsNow(void)
{
	if (Session.source == SESSION_TOKEN && LoadedTransaction != CurrentLocalTransaction())
		return false;
	return LoadedUntil == 0 || GetCurrentStatementStartTimestamp() < LoadedUntil;
}

const SessionContext *
SessionCurrent(void)
{
	static const SessionContext nobody = {.purpose = PHI_PURPOSE_NONE};

	if (likely(Loaded && !Stale && LoadedRole == GetSessionUserId() &&
			   LoadedContext == SessionTick && LoadedCatalog == CatalogGeneration() && HoldsNow() &&
			   MembershipsHold()))
		return &Session;
	if (!IsTransactionState())
		return &nobody;
	LoadSession();
	return &Session;
}

void
SessionRequireUnexpired(void)
{
	const SessionContext *session = SessionCurrent();

	if (session->source == SESSION_TOKEN && !IsParallelWorker() &&
		GetCurrentTimestamp() >= session->expires_at)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("the login has expired"),
						errhint("Log in with a token that is still valid.")));
}

uint64
SessionGeneration(void)
{
	(void) SessionCurrent();
	return Generation;
}

int
SessionReferences(uint64 *references)
{
	const SessionContext *session = SessionCurrent();
	int count = 0;

	if (!session->identified)
		return 0;
	references[count++] = ActorReference("actor", session->actor);
	for (int i = 0; i < session->role_count; i++)
		references[count++] = ActorReference("role", session->roles[i]);
	count += MembershipReferences(&Belongs, references + count);
	for (int i = 0; i < session->group_count; i++)
		references[count++] = ActorReference("group", session->groups[i]);
	return count;
}

void
SessionInit(void)
{
	ContextInit();
	JwksInit();
	UsesInit();
	AttemptsInit();
	LoginInit();
	StepUpInit();
	OnRelationChange(EnrollmentInvalidated);
}
