/*-------------------------------------------------------------------------
 * verdict.h
 *		What the files of this folder share.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_VERDICT_H
#define PHI_VERDICT_H

#include "consent/consent.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "session/session.h"

/* Columns of phi.consent, by position. */
enum ConsentColumn
{
	CO_ID = 1,
	CO_TOKEN,
	CO_STATUS,
	CO_PROGRAM,
	CO_DECISION,
	CO_SUBJECT,
	CO_PURPOSES,
	CO_ACTORS,
	CO_FROM,
	CO_UNTIL,
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

/* ---- verdict.c ---- */

/* Changes whenever a verdict given before may be another one now. */
extern uint64 VerdictGeneration(void);

/* Lower the instant (of this database's clock) until which the verdicts hold: something beside them ends. */
extern void VerdictsHoldUntil(TimestampTz until);

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

/* Decide with labels that are no set of the table. */
extern phi_decision DecideWithDemands(uint64 subject_token, unsigned demands, uint64 kinds);

/* phi.open_purposes: what no directive speaks about, for other purposes. */
extern bool OpenPurposes;

/* The base type of a subject argument; raises for what is no subject key. */
extern Oid SubjectArgumentType(FunctionCallInfo fcinfo, int argument);

/* Are rows with kinds open to the session's roles at all? */
static inline bool
RuleExists(uint64 kinds)
{
	return (SessionRuleKinds() & kinds) != 0;
}

/* ---- subject_call.c ---- */

/* The key of a subject argument as text, and its token; raises for null and for what is no key. */
extern char *SubjectKeyOfArgument(FunctionCallInfo fcinfo, int argument, uint64 *token);

/* ---- rules.c: rules of any roles, for any purpose ---- */

typedef struct RoleRules
{
	phi_form forms[PHI_KIND_COUNT];
	uint64 kinds;		/* bit per kind with a form other than none */
	bool care_required; /* by one of the roles */
	char care_role[SESSION_NAME_SIZE]; /* that one */
} RoleRules;

/* Read the rules that roles have for a purpose, past the cache. */
extern void ReadRoleRules(const char (*roles)[SESSION_NAME_SIZE], int count, phi_purpose purpose,
						  RoleRules *rules);

/* Does one of the session's roles need a care relationship, for its purpose? */
extern bool SessionNeedsCare(void);

/* ---- step_up.c ---- */

typedef enum StepUpAction
{
	STEP_UP_BREAK_GLASS,
	STEP_UP_CONSENT,
	STEP_UP_ACTIONS
} StepUpAction;

/* What labels demand: by law, and by phi.step_up_rule. */
extern unsigned LabelDemands(const phi_labels *labels);

/* What a purpose demands of every row. */
extern unsigned PurposeDemands(phi_purpose purpose);

/* Does a rule have the action need a fresh step-up, which the session has not? */
extern bool StepUpMissing(StepUpAction action);

/* ---- glass.c ---- */

extern void GlassInit(void); /* from ConsentInit: its settings */

/* ---- row.c ---- */

/* Have the decisions at hand for the workers that a parallel plan is about to start. */
extern void ShareRowDecisions(PlannedStmt *statement);

/* ---- labels.c ---- */

/* The labels of an argument, the strictest where one is unknown. */
extern phi_labels LabelsOfArray(Datum labels);

/* What the labels of an argument demand, unknown ones counting as the strictest. */
extern unsigned LabelDemandsOfArray(Datum labels);

/* ---- one relcache callback for all (the number of callbacks is limited) ---- */

extern void LabelsInvalidate(Oid relid);
extern bool RulesInvalidate(Oid relid); /* true when the forms or the need for care may be others */
extern void VerdictsInvalidate(Oid relid);
extern bool StepUpInvalidate(Oid relid); /* true when it was about its table */

extern void VerdictInit(void); /* from ConsentInit: its setting */

#endif /* PHI_VERDICT_H */
