/*-------------------------------------------------------------------------
 * changed.c
 *		Which relations a command has changed.
 *
 * PostgreSQL sends an invalidation of every relation whose policies, triggers,
 * rules, columns or partitions change, and the relation cache hears of it when
 * the command is over.  Those of other sessions arrive there too, and are told
 * apart by the lock, which the command holds until it commits.
 *-------------------------------------------------------------------------
 */
#include "redact/changed.h"

#include "storage/lmgr.h"
#include "utils/rel.h"
#include "utils/relcache.h"

/* Relations changed since WatchBegin(); past the array's end all may be. */
#define CHANGED_MAX 256
static Oid Changed[CHANGED_MAX];
static int ChangedCount = 0;
static bool ChangedAny = false;
static bool Watching = false;

/* Relation cache callback: remember, from memory alone. */
static void
NoteChanged(Datum arg, Oid relid)
{
	int i;

	if (!Watching || ChangedAny)
		return;
	for (i = 0; i < ChangedCount; i++)
	{
		if (Changed[i] == relid)
			return;
	}
	if (!OidIsValid(relid) || ChangedCount == CHANGED_MAX)
		ChangedAny = true;
	else
		Changed[ChangedCount++] = relid;
}

void
WatchBegin(void)
{
	ChangedCount = 0;
	ChangedAny = false;
	Watching = true;
}

void
WatchEnd(void)
{
	Watching = false;
}

/* Has this transaction locked the relation as a command that changes it does? */
static bool
LockedByMe(Oid relid)
{
	Relation relation = RelationIdGetRelation(relid);
	bool locked;

	if (relation == NULL)
		return false;
	locked = CheckRelationLockedByMe(relation, ShareUpdateExclusiveLock, true);
	RelationClose(relation);
	return locked;
}

List *
ChangedByMe(List *all)
{
	List *candidates = ChangedAny ? list_copy(all) : NIL;
	List *changed = NIL;
	ListCell *cell;
	int i;

	for (i = 0; i < ChangedCount; i++)
		candidates = list_append_unique_oid(candidates, Changed[i]);
	foreach (cell, candidates)
	{
		if (LockedByMe(lfirst_oid(cell)))
			changed = lappend_oid(changed, lfirst_oid(cell));
	}
	return changed;
}

void
ChangedInit(void)
{
	OnRelationChange(NoteChanged);
}
