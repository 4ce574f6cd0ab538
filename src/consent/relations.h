/*-------------------------------------------------------------------------
 * relations.h
 *		What an asker has to do with a subject: care relationships, the own
 *		person, proxies, broken glass.
 *
 * Each of the tables begins with the same columns: id, subject token, reference
 * of the holder, and the period.  A relation holds for whoever stands for its
 * holder, within its period.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_RELATIONS_H
#define PHI_RELATIONS_H

#include "platform/platform.h"

#include "datatype/timestamp.h"
#include "session/session.h"

typedef enum RelationKind
{
	RELATION_CARE,          /* phi.care_relationship */
	RELATION_SELF,          /* phi.person */
	RELATION_PROXY,         /* phi.proxy, of those that may read */
	RELATION_CONSENT_PROXY, /* and of those that may consent */
	RELATION_GLASS,         /* phi.glass, of those in force */
	RELATION_KINDS
} RelationKind;

/* Who asks, and when. */
typedef struct Asker
{
	TimestampTz at;
	int reference_count;
	uint64 references[SESSION_MAX_REFERENCES]; /* the first is the actor's */
} Asker;

/* ---- relation_read.c: from the tables, with a catalog snapshot ---- */

/*
 * Does a relation of this kind hold?  *until is lowered to when that may
 * change, never raised; *id is the lowest of those that hold, 0 when none does.
 */
extern bool RelationRead(RelationKind kind, const Asker *asker, uint64 subject_token,
						 TimestampTz *until, int64 *id);

/* Takes a subject; false to stop. */
typedef bool (*RelationTaker)(void *context, uint64 subject_token);

/* Every subject of the asker, some perhaps twice, as long as take() agrees; true when it did to the end. */
extern bool RelationReadAll(RelationKind kind, const Asker *asker, TimestampTz *until,
							RelationTaker take, void *context);

/* ---- relations.c: of the session, cached ---- */

extern bool CareRelated(uint64 subject_token);
extern bool IsSubjectOrProxy(uint64 subject_token);
extern bool GlassBroken(uint64 subject_token);
/* Which; 0 for none.  Reads the table. */
extern int64 GlassInForce(uint64 subject_token);

/* The session as an asker, at the time of the statement. */
extern void SessionAsker(Asker *asker);

/* Forget what was read of this relation, any for 0; true when it is one of the tables. */
extern bool RelationsInvalidate(Oid relid);

#endif /* PHI_RELATIONS_H */
