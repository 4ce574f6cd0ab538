/*-------------------------------------------------------------------------
 * changes.c
 *		Telling every session whose consents changed.
 *
 * A change has to void what sessions remember in the same way as a change of a
 * table's definition does: with the commit, in two phases too, on a standby too,
 * before the next snapshot.  A relcache invalidation does that; it carries an
 * OID.  For a change of few subjects it is sent for OIDs that no relation has
 * and that name the subject: by the last bits of its token and, where it is an
 * integer that the decision map holds, by its key.  Some subjects share those
 * bits: they are looked up again for nothing.  Should a relation have such an
 * OID after all, it is read anew for nothing too.
 *
 * A statement that changes more than a few subjects, and TRUNCATE, send the one
 * of phi.consent itself: everything is void then.
 *-------------------------------------------------------------------------
 */
#include "consent/changes.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "consent/map.h"
#include "consent/verdict.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(phi_consent_changed);

/* Changes that one command tells one by one. */
#define TOLD_MAX 64

StaticAssertDecl(MAP_KEYS <= (INT64CONST(1) << CHANGE_KEY_BITS), "a key of the map fits into an OID");

/* How many changes the command told already. */
static TransactionId ToldTransaction = InvalidTransactionId;
static CommandId ToldCommand = InvalidCommandId;
static int ToldCount = 0;

/* Send the invalidation of an OID, at the end of the command and with the commit. */
static void
SendChange(Oid consents, Oid change)
{
	HeapTuple tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(consents));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", consents);
	((Form_pg_class) GETSTRUCT(tuple))->oid = change;
	CacheInvalidateRelcacheByTuple(tuple);
	heap_freetuple(tuple);
}

/* The key of a subject that the decision map holds, or -1. */
static int64
SubjectKey(const char *subject)
{
	char *end;
	long long key;

	if (subject[0] < '0' || subject[0] > '9' || strlen(subject) > 9)
		return -1;
	key = strtoll(subject, &end, 10);
	return *end == '\0' && key < MAP_KEYS ? key : -1;
}

/* Tell of one row; false where it does not say whose it is. */
static bool
TellRow(Relation consents, HeapTuple row)
{
	bool isnull;
	Datum token = heap_getattr(row, CO_TOKEN, RelationGetDescr(consents), &isnull);
	uint32 suffix = (uint32) DatumGetInt64(token) & ((1u << CHANGE_TOKEN_BITS) - 1);
	Datum subject;
	int64 key;

	if (isnull)
		return false;
	subject = heap_getattr(row, CO_SUBJECT, RelationGetDescr(consents), &isnull);
	if (isnull)
		return false;
	SendChange(RelationGetRelid(consents), CHANGE_FLAG | suffix);
	key = SubjectKey(TextDatumGetCString(subject));
	if (key >= 0)
		SendChange(RelationGetRelid(consents), CHANGE_FLAG | CHANGE_BY_KEY | (uint32) key);
	return true;
}

/* Is one more change of the current command too many?  *first: it is the first that is. */
static bool
TooManyChanges(bool *first)
{
	if (ToldTransaction != GetCurrentTransactionId() || ToldCommand != GetCurrentCommandId(false))
		ToldCount = 0;
	ToldTransaction = GetCurrentTransactionId();
	ToldCommand = GetCurrentCommandId(false);
	*first = ToldCount == TOLD_MAX;
	if (ToldCount <= TOLD_MAX)
		ToldCount++;
	return ToldCount > TOLD_MAX;
}

/*
 * phi.consent_changed(): row trigger of phi.consent, before the change; the row
 * stays as it is.
 */
Datum
phi_consent_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple old;
	bool first;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("phi.consent_changed can only be called as a row trigger")));
	old = trigger->tg_trigtuple;
	if (TooManyChanges(&first) ? first
							   : !TellRow(trigger->tg_relation, old) ||
									 (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
									  !TellRow(trigger->tg_relation, trigger->tg_newtuple)))
		CacheInvalidateRelcache(trigger->tg_relation);
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : old);
}
