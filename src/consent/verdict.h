/*-------------------------------------------------------------------------
 * verdict.h
 *		What the files of this folder share.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_VERDICT_H
#define PHI_VERDICT_H

#include "consent/consent.h"

/* Columns of phi.consent, by position. */
enum ConsentColumn
{
	CO_ID = 1,
	CO_TOKEN,
	CO_STATUS,
	CO_PROGRAM,
	CO_DECISION,
	CO_SUBJECT,
	CO_SOURCE,
	CO_PROBLEM,
	CO_FHIR_ID,
	CO_DATED_FROM,
	CO_DATED_UNTIL,
	CO_LINEAGE,
	CO_CREATED_AT,
	CO_CREATED_BY,
	CO_REVOKED_AT,
	CO_REVOKED_BY,
	CO_LAST = CO_REVOKED_BY
};

/* ---- directives.c ---- */

/*
 * What the consents of one subject say to a request.  *until is lowered to when
 * that may change; *directive is the lowest id among the consents that decided,
 * 0 when none did.
 */
extern phi_verdict ReadConsents(Oid table, uint64 token, const phi_consent_request *request,
								int64 *until, int64 *directive);

/*
 * The same for every consent of the table by itself, in any order, as long as
 * take() returns true; true when it did to the end.
 */
extern bool ReadAllConsents(Oid table, const phi_consent_request *request, int64 *until,
							bool (*take)(uint64 token, phi_verdict verdict));

extern void DirectivesInit(void); /* from ConsentInit: its setting */

/* ---- import.c ---- */

extern void ImportInit(void); /* from ConsentInit: its setting */

/* ---- verdict.c ---- */

/* Changes whenever a verdict given before may be another one now. */
extern uint64 VerdictGeneration(void);

/* The verdict of a subject read from the table, past the cache; directive as above. */
extern phi_verdict ReadVerdict(uint64 subject_token, int64 *directive);

/* The limit of the decision caches of this process, in bytes. */
extern Size DecisionCacheLimit(void);

/*
 * Moves with everything that may void a decision made before: for the row
 * predicate, which cannot afford a call a row.  Together with the session's
 * tick, session_user and the statement's time it covers all generations.
 */
extern uint64 DecisionTick;

/*
 * Take all consents in and show them to the parallel workers of this session;
 * false when that cannot be.
 */
extern bool ShareVerdicts(void);

/* Room for the decision map beside verdicts that are shared, or NULL: SHARED_MAP_BYTES. */
extern void *SharedMap(void);

#define SHARED_MAP_BYTES (2 * 1024 * 1024)

/* ---- access.c ---- */

/* Decide with labels that are no set of the table, past all caches where directive is given. */
extern phi_decision DecideWithDemands(uint64 subject_token, unsigned demands, uint64 kinds,
									  int64 *directive);

/* The base type of a subject argument; raises for what is no subject key. */
extern Oid SubjectArgumentType(FunctionCallInfo fcinfo, int argument);

/* Are rows with kinds open to the session's roles at all? */
static inline bool
RuleExists(uint64 kinds)
{
	return (SessionRuleKinds() & kinds) != 0;
}

/* ---- row.c ---- */

/* Have the decisions at hand for the workers that a parallel plan is about to start. */
extern void ShareRowDecisions(PlannedStmt *statement);

/* ---- labels.c ---- */

/* What the labels of an argument demand, unknown ones counting as the strictest. */
extern unsigned LabelDemandsOfArray(Datum labels);

/* ---- one relcache callback for all (the number of callbacks is limited) ---- */

extern void LabelsInvalidate(Oid relid);
extern void RulesInvalidate(Oid relid);
extern void VerdictsInvalidate(Oid relid);

extern void VerdictInit(void); /* from ConsentInit: its setting */

#endif /* PHI_VERDICT_H */
