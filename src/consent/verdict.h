/*-------------------------------------------------------------------------
 * verdict.h
 *		What the files of this folder share.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_VERDICT_H
#define PHI_VERDICT_H

#include "consent/attributes.h"
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

/* An active consent as it was read; the program is valid during the call. */
typedef struct ReadConsent
{
	uint64 token;
	int64 id;
	phi_consent_answer answer; /* to the request, by itself */
	phi_bytes program;
	bytea *copy; /* where it is not in the row itself */
} ReadConsent;

/*
 * Evaluate the active consents of one subject, or without a token of all, in
 * any order, and hand each to take() as long as it returns true; true when it
 * did to the end.
 */
extern bool ReadConsents(Oid table, const uint64 *token, const phi_consent_request *request,
						 bool (*take)(const ReadConsent *consent, void *context), void *context);

/*
 * What the consents of one subject say to a request together; *directive is the
 * lowest id among those that decided, 0 when none did.
 */
extern phi_verdict CombineConsents(Oid table, uint64 token, const phi_consent_request *request,
								   int64 *directive);

/* The canonical text of a subject's key, as its active consents hold it; NULL where one does not. */
extern char *ReadSubjectText(Oid table, uint64 token);

extern void DirectivesInit(void); /* from ConsentInit: its setting */

/* ---- import.c ---- */

extern void ImportInit(void); /* from ConsentInit: its setting */

/* ---- verdict.c ---- */

/* Changes whenever a verdict given before may be another one now. */
extern uint64 VerdictGeneration(void);

/* The same, and with every change of the consents of a single subject too. */
extern uint64 VerdictVersion(void);

/*
 * How many subjects are denied, and how many may be permitted something; false
 * where that is not at hand.  Reads no table.
 */
extern bool VerdictsAtHand(double *denied, double *permitted);

/*
 * Take all consents in, and call take() for the subjects who may be permitted
 * something until it returns false; false when it did, or they do not fit.
 */
extern bool ForPermitted(bool (*take)(uint64 token, void *context), void *context);

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

/*
 * Decide about a row of a subject; facts are what is known of it, and are told
 * what the decision depended on.
 */
extern phi_decision DecideRow(uint64 subject_token, uint64 kinds, RowFacts *facts);

/* phi.open_purposes: what no directive speaks about, for other purposes. */
extern bool OpenPurposes;

/* Does the session's purpose permit without a consent? */
extern bool DefaultPermits(void);

/* Raise for the type of what is no subject key. */
extern void CheckSubjectType(Oid type);

/* The base type of a subject argument; raises likewise. */
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

/* The labels of a text[] argument, unknown ones counting as the strictest. */
extern phi_labels LabelsOfArray(Datum labels);

/* ---- one relcache callback for all (the number of callbacks is limited) ---- */

extern void LabelsInvalidate(Oid relid);
extern bool RulesInvalidate(Oid relid); /* true when the forms or the need for care may be others */
extern void VerdictsInvalidate(Oid relid);
extern bool StepUpInvalidate(Oid relid); /* true when it was about its table */

extern void VerdictInit(void); /* from ConsentInit: its setting */

#endif /* PHI_VERDICT_H */
