/*-------------------------------------------------------------------------
 * situation.h
 *		A decision with everything that it was made of, read past all caches.
 *
 * The row predicate decides by what the session's caches hold; explanations
 * and simulations describe a situation, of the session or made up, and have it
 * decided by the same phi_decide().
 *-------------------------------------------------------------------------
 */
#ifndef PHI_SITUATION_H
#define PHI_SITUATION_H

#include "consent/relations.h"
#include "consent/verdict.h"

typedef struct Situation
{
	bool identified;
	bool purpose_stated;
	phi_purpose purpose;
	int role_count;
	char roles[SESSION_MAX_ROLES][SESSION_NAME_SIZE];
	Asker asker;
	bool step_up_fresh;
	uint64 subject_token;
	Oid relation; /* or 0 */
	uint64 kinds; /* of the relation, or all */
	const RowDescription *description; /* of the relation, or NULL */
	RowFacts facts;					   /* what is known of the row, its labels among that */
} Situation;

/* The decision, and the ids of what it rests on: 0 where there is none or it was not looked for. */
typedef struct Finding
{
	phi_decision decision;
	RoleRules rules;
	unsigned label_demands;
	unsigned purpose_demands;
	int64 care;
	int64 self;
	int64 proxy;
	int64 glass;
	int64 directive;
} Finding;

extern void DecideSituation(Situation *situation, Finding *finding);

/* The relation and labels arguments, each null or not, of a function; the relation first. */
extern void SituationOfRelation(Situation *situation, FunctionCallInfo fcinfo, int argument);
extern void SituationOfLabels(Situation *situation, FunctionCallInfo fcinfo, int argument);

/* The row of permit, reason code, directive and explanation that the function returns. */
extern Datum ExplainSituation(Situation *situation, FunctionCallInfo fcinfo);

#endif /* PHI_SITUATION_H */
