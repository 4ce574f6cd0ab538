/*-------------------------------------------------------------------------
 * revocation.c
 *		Tokens and actors that have been revoked.
 *
 * Read when the session is read, with a catalog snapshot: a revocation binds
 * in every session from its next statement, in REPEATABLE READ too.  The
 * columns have the collation "C", which is that of a scan key.
 * Locking: AccessShareLock on a table while it is read.
 *-------------------------------------------------------------------------
 */
#include "session/context.h"

#include "access/genam.h"
#include "access/table.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

/* OIDs of the tables for the callback, which must not look them up. */
static Oid TokenTable = InvalidOid;
static Oid ActorTable = InvalidOid;

/* Has the table, whose key is its first column, a row of this key? */
static bool
HasRow(Oid table, const char *index, const char *key_text)
{
	Relation rel = table_open(table, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	bool found;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(key_text));
	scan = systable_beginscan(rel, PhiRelation(index), true, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

bool
TokenRevoked(const char *token_id)
{
	TokenTable = PhiRelation("token_revocation");
	return HasRow(TokenTable, "token_revocation_pkey", token_id);
}

bool
ActorRevoked(const char *actor)
{
	ActorTable = PhiRelation("actor_revocation");
	return HasRow(ActorTable, "actor_revocation_pkey", actor);
}

bool
IsRevocationTable(Oid relation)
{
	return relation == TokenTable || relation == ActorTable;
}
