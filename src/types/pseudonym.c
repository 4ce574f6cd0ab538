/*-------------------------------------------------------------------------
 * pseudonym.c
 *		Looking up the tokens of phi.pseudonym.
 *
 * A token is random: nothing of the person is in it, so that nobody who does not
 * read the table finds the person to a token, nor the tokens of two recipients
 * that belong together.  Therefore it is shown to nobody but sessions of its
 * recipient and to those who make pseudonyms, who know both.
 *
 * What was looked up, or was not there, is kept for one recipient at a time, in
 * a context below CacheMemoryContext of at most MAX_KEPT entries, until
 * phi.pseudonym changes (relcache invalidation) or another recipient is asked
 * for.  Locking: AccessShareLock while reading.
 *-------------------------------------------------------------------------
 */
#include "types/pseudonym.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "consent/consent.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "session/session.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(phi_subject_token);

#define MAX_KEPT 100000

/* Columns of phi.pseudonym, by position. */
enum PseudonymColumn
{
	PN_RECIPIENT = 1,
	PN_SUBJECT_TOKEN,
	PN_TOKEN
};

/* A subject's token, or that it has none. */
typedef struct Kept
{
	uint64 subject_token;
	bool exists;
	pg_uuid_t token;
} Kept;

/* What is kept, and of which recipient. */
static MemoryContext KeptContext = NULL;
static HTAB *KeptTokens = NULL;
static char *KeptRecipient = NULL;

/* The table changed since. */
static bool Stale = false;

/* OID of phi.pseudonym for the callback, which must not look it up. */
static Oid PseudonymTable = InvalidOid;

/* Callback: relation relid, or all of them, changed. */
static void
InvalidatePseudonyms(Datum argument, Oid relid)
{
	if (relid == InvalidOid || relid == PseudonymTable)
		Stale = true;
}

/* Begin anew for a recipient, where what is kept is stale, full or another's. */
static void
PrepareKept(const char *recipient)
{
	HASHCTL control = {.keysize = sizeof(uint64), .entrysize = sizeof(Kept)};

	if (likely(KeptTokens && !Stale && strcmp(KeptRecipient, recipient) == 0 &&
			   hash_get_num_entries(KeptTokens) < MAX_KEPT))
		return;
	if (!KeptContext)
		KeptContext = AllocSetContextCreate(CacheMemoryContext, "phi_guard pseudonyms",
											ALLOCSET_DEFAULT_SIZES);
	KeptTokens = NULL;
	MemoryContextReset(KeptContext);
	Stale = false;
	PseudonymTable = PhiRelation("pseudonym");
	KeptRecipient = MemoryContextStrdup(KeptContext, recipient);
	control.hcxt = KeptContext;
	KeptTokens =
		hash_create("phi_guard pseudonyms", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Read a subject's token; false when it has none. */
static bool
ReadToken(uint64 subject_token, const char *recipient, pg_uuid_t *token)
{
	Relation rel = table_open(PseudonymTable, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;
	bool isnull;

	/* The column's collation is "C", which is the one that ScanKeyInit sets. */
	ScanKeyInit(&keys[0], PN_RECIPIENT, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(recipient));
	ScanKeyInit(&keys[1], PN_SUBJECT_TOKEN, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum((int64) subject_token));
	scan = systable_beginscan(rel, PhiRelation("pseudonym_pkey"), true, NULL, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		*token = *DatumGetUUIDP(heap_getattr(tuple, PN_TOKEN, RelationGetDescr(rel), &isnull));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return HeapTupleIsValid(tuple);
}

/* For whom the session asks: its organization, or else its actor; "" without an identity. */
static const char *
SessionRecipient(void)
{
	const SessionContext *session = SessionCurrent();

	if (!session->identified)
		return "";
	return session->organization[0] != '\0' ? session->organization : session->actor;
}

const char *
VisibleRecipient(const char *recipient)
{
	const char *own = SessionRecipient();

	if (recipient == NULL)
		recipient = own;
	if (recipient[0] == '\0' || (strcmp(recipient, own) != 0 &&
								 !RoleMayExecute(PhiFunction("make_pseudonyms", 3), GetUserId())))
		return NULL;
	return recipient;
}

Datum
Pseudonym(uint64 subject_token, const char *recipient, bool *isnull)
{
	Kept *kept;
	bool found;

	*isnull = true;
	recipient = VisibleRecipient(recipient);
	if (recipient == NULL)
		return (Datum) 0;
	recipient = pstrdup(recipient);
	PrepareKept(recipient);
	kept = hash_search(KeptTokens, &subject_token, HASH_FIND, &found);
	if (!found)
	{
		Kept read = {.subject_token = subject_token};

		/* Reading accepts invalidations; what they make stale goes at the next call. */
		read.exists = ReadToken(subject_token, recipient, &read.token);
		kept = hash_search(KeptTokens, &subject_token, HASH_ENTER, NULL);
		*kept = read;
	}
	if (!kept->exists)
		return (Datum) 0;
	*isnull = false;
	return CStringGetTextDatum(
		DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&kept->token))));
}

/*
 * phi.subject_token(subject): the token under which phi.pseudonym has a subject.
 */
Datum
phi_subject_token(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) SubjectToken(PG_GETARG_DATUM(0), SubjectArgumentType(fcinfo, 0)));
}

void
PseudonymInit(void)
{
	OnRelationChange(InvalidatePseudonyms);
}
