/*-------------------------------------------------------------------------
 * membership.c
 *		Groups and organizations of an actor, with the organizations above.
 *
 * A membership holds in its period.  An organization brings the organizations
 * above it; names that were met already are not followed again, so that a
 * circle that two sessions made at once ends.
 *
 * Nothing is kept here: session.c keeps what it reads.  Reads use a catalog
 * snapshot, so that REPEATABLE READ sees a membership ended.
 * Locking: AccessShareLock on the two tables while reading.
 *-------------------------------------------------------------------------
 */
#include "session/membership.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "keyring/keyring.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(phi_actor_reference);

/* Columns of phi.membership, by position. */
enum MembershipColumn
{
	ME_ID = 1,
	ME_ACTOR,
	ME_KIND,
	ME_NAME,
	ME_FROM,
	ME_UNTIL,
	ME_LAST = ME_UNTIL
};

/* Columns of phi.organization, by position. */
enum OrganizationColumn
{
	OR_NAME = 1,
	OR_PARENT,
	OR_LAST = OR_PARENT
};

/* OIDs of the two tables for invalidation callbacks, which must not look them up. */
static Oid MembershipTable = InvalidOid;
static Oid OrganizationTable = InvalidOid;

bool
MembershipsReadFrom(Oid relid)
{
	return relid == MembershipTable || relid == OrganizationTable;
}

/* Add one, unless it is there; true when it is new. */
static bool
AddMembership(Memberships *memberships, bool organization, const char *name)
{
	Membership *fresh;

	for (int i = 0; i < memberships->count; i++)
		if (memberships->of[i].organization == organization &&
			strcmp(memberships->of[i].name, name) == 0)
			return false;
	if (memberships->count == MEMBERSHIP_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("an actor belongs to too many groups and organizations"),
				 errdetail("The limit is %d, the organizations above included.", MEMBERSHIP_MAX)));
	fresh = &memberships->of[memberships->count++];
	fresh->organization = organization;
	strlcpy(fresh->name, name, SESSION_NAME_SIZE);
	return true;
}

/* Does the period hold at the time?  Narrows the span to where that stays so. */
static bool
PeriodHolds(Memberships *memberships, TimestampTz from, TimestampTz until, TimestampTz at)
{
	if (at < from)
	{
		memberships->until = Min(memberships->until, from);
		return false;
	}
	if (at >= until)
	{
		memberships->from = Max(memberships->from, until);
		return false;
	}
	memberships->from = Max(memberships->from, from);
	memberships->until = Min(memberships->until, until);
	return true;
}

/* One row of phi.membership. */
static void
ReadMembership(Memberships *memberships, HeapTuple tuple, TupleDesc desc, TimestampTz at)
{
	Datum values[ME_LAST];
	bool nulls[ME_LAST];
	char *kind;
	char *name;

	heap_deform_tuple(tuple, desc, values, nulls);
	if (!PeriodHolds(
			memberships, nulls[ME_FROM - 1] ? DT_NOBEGIN : DatumGetTimestampTz(values[ME_FROM - 1]),
			nulls[ME_UNTIL - 1] ? DT_NOEND : DatumGetTimestampTz(values[ME_UNTIL - 1]), at))
		return;
	kind = TextDatumGetCString(values[ME_KIND - 1]);
	name = TextDatumGetCString(values[ME_NAME - 1]);
	(void) AddMembership(memberships, strcmp(kind, "organization") == 0, name);
	pfree(kind);
	pfree(name);
}

/* The rows of phi.membership of one actor. */
static void
ReadMemberships(Memberships *memberships, const char *actor, TimestampTz at)
{
	Relation rel = table_open(MembershipTable, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	if (RelationGetNumberOfAttributes(rel) != ME_LAST)
		elog(ERROR, "unexpected shape of phi.membership");
	/* The column's collation is "C", which is the one that ScanKeyInit sets. */
	ScanKeyInit(&key, ME_ACTOR, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(actor));
	scan = systable_beginscan(rel, PhiRelation("membership_actor_idx"), true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		ReadMembership(memberships, tuple, RelationGetDescr(rel), at);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* Copy the name of the organization above one; false where there is none. */
static bool
ReadParent(Relation rel, const char *name, char parent[SESSION_NAME_SIZE])
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	bool isnull = true;

	ScanKeyInit(&key, OR_NAME, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(name));
	scan = systable_beginscan(rel, PhiRelation("organization_pkey"), true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Datum value = heap_getattr(tuple, OR_PARENT, RelationGetDescr(rel), &isnull);

		if (!isnull)
			text_to_cstring_buffer(DatumGetTextPP(value), parent, SESSION_NAME_SIZE);
	}
	systable_endscan(scan);
	return !isnull;
}

/* Add the organizations above those that are there: what is added is looked at in turn. */
static void
ReadOrganizationsAbove(Memberships *memberships)
{
	Relation rel = table_open(OrganizationTable, AccessShareLock);
	char parent[SESSION_NAME_SIZE];

	if (RelationGetNumberOfAttributes(rel) != OR_LAST)
		elog(ERROR, "unexpected shape of phi.organization");
	for (int i = 0; i < memberships->count; i++)
		if (memberships->of[i].organization && ReadParent(rel, memberships->of[i].name, parent))
			(void) AddMembership(memberships, true, parent);
	table_close(rel, AccessShareLock);
}

void
MembershipsRead(const char *actor, const char *organization, TimestampTz at,
				Memberships *memberships)
{
	memset(memberships, 0, sizeof(Memberships));
	memberships->from = DT_NOBEGIN;
	memberships->until = DT_NOEND;
	MembershipTable = PhiRelation("membership");
	OrganizationTable = PhiRelation("organization");
	if (organization[0] != '\0')
		(void) AddMembership(memberships, true, organization);
	ReadMemberships(memberships, actor, at);
	ReadOrganizationsAbove(memberships);
}

int
MembershipReferences(const Memberships *memberships, uint64 *references)
{
	for (int i = 0; i < memberships->count; i++)
		references[i] = ActorReference(memberships->of[i].organization ? "organization" : "group",
									   memberships->of[i].name);
	return memberships->count;
}

/*
 * phi.actor_reference(kind, name): the reference that is stored for an actor,
 * a group or an organization.  Internal: no role holds EXECUTE.
 */
Datum
phi_actor_reference(PG_FUNCTION_ARGS)
{
	char *kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(1));

	RequirePreload();
	PG_RETURN_INT64((int64) ActorReference(kind, name));
}
