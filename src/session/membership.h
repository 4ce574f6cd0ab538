/*-------------------------------------------------------------------------
 * membership.h
 *		What an actor belongs to: groups, care teams, organizations.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_MEMBERSHIP_H
#define PHI_MEMBERSHIP_H

#include "session/session.h"

/* Reads of what is stored stop with an error beyond this: nobody is silently left out of a group. */
#define MEMBERSHIP_MAX SESSION_MAX_MEMBERSHIPS

typedef struct Membership
{
	bool organization; /* otherwise a group */
	char name[SESSION_NAME_SIZE];
} Membership;

/* What holds from an instant until another one; unused entries are zero. */
typedef struct Memberships
{
	TimestampTz from;
	TimestampTz until;
	int count;
	Membership of[MEMBERSHIP_MAX];
} Memberships;

/*
 * The memberships of an actor at a time: its groups, its organizations and
 * all organizations above them and above the given ones; organization may be
 * empty.  Reads with a catalog snapshot.
 */
extern void MembershipsRead(const char *actor, const char *organization, TimestampTz at,
							Memberships *memberships);

/* Append their references; how many. */
extern int MembershipReferences(const Memberships *memberships, uint64 *references);

/* May an answer of MembershipsRead() change when this relation does? */
extern bool MembershipsReadFrom(Oid relid);

#endif /* PHI_MEMBERSHIP_H */
