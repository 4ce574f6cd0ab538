/*-------------------------------------------------------------------------
 * decide.h
 *		The one access decision: identity, purpose, role rule, care
 *		relationship, step-up, self-access, break-glass, consent, defaults.
 *
 * The first of these that applies answers; "purpose X" means X or below it:
 *	 1	no identity, or no purpose: deny
 *	 2	no role rule, or a required care relationship is missing: deny; glass
 *		that 5 finds broken stands in for the relationship
 *	 3	the labels or the purpose want a step-up and it is not fresh: deny
 *	 4	the subject or a proxy, purpose PATRQT: permit, but deny never-to-patient labels
 *	 5	the glass is broken, purpose BTG: permit, but skip for never-glass labels
 *	 6	consent denies: deny
 *	 7	the labels need explicit permission and consent does not permit: deny
 *	 8	consent permits: permit
 *	 9	no directive applies: permit TREAT, HPAYMT and HOPERAT, others by setting
 *
 * Pure: no clock, no state.  Row filter, reveal, explain and the tests all
 * call phi_decide().
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_DECIDE_H
#define PHI_CORE_DECIDE_H

#include "codes.h"
#include "directive.h"

/* What the labels of a row demand, and, of the first, the purpose. */
#define PHI_LABEL_STEP_UP		 0x01 /* fresh step-up needed */
#define PHI_LABEL_NEVER_PATIENT	 0x02 /* not even on the patient's own request */
#define PHI_LABEL_NEVER_GLASS	 0x04 /* break-glass does not open it */
#define PHI_LABEL_NEEDS_PERMIT	 0x08 /* 42 CFR Part 2 SUD, psychotherapy notes */

typedef struct phi_decision_input
{
	bool identity;			 /* verified and unexpired */
	bool purpose_stated;	 /* one of the identity's allowed purposes */
	phi_purpose purpose;	 /* valid only with purpose_stated */
	bool role_rule;			 /* a rule exists for a role, the purpose and the table */
	bool care_required;		 /* the rule wants a care relationship */
	bool care_related;		 /* and there is one */
	bool step_up_fresh;
	bool is_subject_or_proxy;
	bool glass_broken;		 /* a live grant for this subject */
	unsigned label_demands;	 /* PHI_LABEL_* of the row's labels and the purpose */
	phi_verdict consent;
	bool other_purposes_open; /* setting: default of purposes that are none of TREAT, HPAYMT, HOPERAT */
} phi_decision_input;

typedef enum phi_reason
{
	PHI_REASON_NO_IDENTITY = 0,
	PHI_REASON_NO_PURPOSE,
	PHI_REASON_NO_ROLE_RULE,
	PHI_REASON_NO_CARE_RELATIONSHIP,
	PHI_REASON_STEP_UP_REQUIRED,
	PHI_REASON_SUBJECT_REQUEST,		/* permit */
	PHI_REASON_NEVER_PATIENT,
	PHI_REASON_BREAK_GLASS,			/* permit */
	PHI_REASON_CONSENT_DENIES,
	PHI_REASON_NEEDS_EXPLICIT_CONSENT,
	PHI_REASON_CONSENT_PERMITS,		/* permit */
	PHI_REASON_DEFAULT_PERMIT,		/* permit */
	PHI_REASON_DEFAULT_DENY,
	PHI_REASON_COUNT
} phi_reason;

typedef struct phi_decision
{
	bool permit;
	phi_reason reason;
} phi_decision;

extern phi_decision phi_decide(const phi_decision_input *input);

/* Reason code in SQL ("consent_denies") and in a sentence; never NULL. */
extern const char *phi_reason_code(phi_reason reason);
extern const char *phi_reason_sentence(phi_reason reason);

/*
 * What these labels demand: the statutory defaults (SUD and below, PSYTHPN).
 * PHI_LABEL_STEP_UP is never among them; a setting adds it.
 */
extern unsigned phi_label_demands(const phi_labels *labels);

#endif /* PHI_CORE_DECIDE_H */
