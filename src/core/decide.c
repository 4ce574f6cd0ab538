/*-------------------------------------------------------------------------
 * decide.c
 *		The access decision: nine rules, the first that applies answers.
 *
 * Whatever is not a known permit is a deny: an unknown purpose counts as none
 * stated, an unknown verdict of consent as a denial.
 *-------------------------------------------------------------------------
 */
#include "decide.h"

/* The code of each reason in SQL. */
static const char *const reason_codes[PHI_REASON_COUNT] = {
	[PHI_REASON_NO_IDENTITY] = "no_identity",
	[PHI_REASON_NO_PURPOSE] = "no_purpose",
	[PHI_REASON_NO_ROLE_RULE] = "no_role_rule",
	[PHI_REASON_NO_CARE_RELATIONSHIP] = "no_care_relationship",
	[PHI_REASON_STEP_UP_REQUIRED] = "step_up_required",
	[PHI_REASON_SUBJECT_REQUEST] = "subject_request",
	[PHI_REASON_NEVER_PATIENT] = "never_patient",
	[PHI_REASON_BREAK_GLASS] = "break_glass",
	[PHI_REASON_CONSENT_DENIES] = "consent_denies",
	[PHI_REASON_NEEDS_EXPLICIT_CONSENT] = "needs_explicit_consent",
	[PHI_REASON_CONSENT_PERMITS] = "consent_permits",
	[PHI_REASON_DEFAULT_PERMIT] = "default_permit",
	[PHI_REASON_DEFAULT_DENY] = "default_deny",
};

/* The same for people. */
static const char *const reason_sentences[PHI_REASON_COUNT] = {
	[PHI_REASON_NO_IDENTITY] = "The session has no verified and unexpired identity.",
	[PHI_REASON_NO_PURPOSE] = "The session states no purpose that its identity is allowed.",
	[PHI_REASON_NO_ROLE_RULE] = "No rule gives a role of the session this table for this purpose.",
	[PHI_REASON_NO_CARE_RELATIONSHIP] = "The rule requires a care relationship, and there is none.",
	[PHI_REASON_STEP_UP_REQUIRED] = "The labels of the row or the purpose require a fresh step-up.",
	[PHI_REASON_SUBJECT_REQUEST] = "The subject or a registered proxy asks for the subject's data.",
	[PHI_REASON_NEVER_PATIENT] = "The labels exclude the row from the subject's right of access.",
	[PHI_REASON_BREAK_GLASS] = "A break-glass grant for this subject is in force.",
	[PHI_REASON_CONSENT_DENIES] = "A consent directive of the subject denies.",
	[PHI_REASON_NEEDS_EXPLICIT_CONSENT] = "The labels require consent, and no directive permits.",
	[PHI_REASON_CONSENT_PERMITS] = "A consent directive of the subject permits.",
	[PHI_REASON_DEFAULT_PERMIT] = "No directive applies; this purpose is permitted by default.",
	[PHI_REASON_DEFAULT_DENY] = "No directive applies; this purpose is denied by default.",
};

/* A decision in one expression. */
static phi_decision
decided(bool permit, phi_reason reason)
{
	phi_decision decision = {permit, reason};

	return decision;
}

/* Treatment, payment and operations (45 CFR 164.506) need no consent of their own. */
static bool
purpose_is_open(const phi_decision_input *input)
{
	return phi_purpose_is_a(input->purpose, phi_purpose_treat()) ||
		   phi_purpose_is_a(input->purpose, phi_purpose_payment()) ||
		   phi_purpose_is_a(input->purpose, phi_purpose_operations()) || input->other_purposes_open;
}

/* The numbers are those of the list in decide.h. */
phi_decision
phi_decide(const phi_decision_input *input)
{
	unsigned demands = input->label_demands;
	bool glass_opens = input->glass_broken && !(demands & PHI_LABEL_NEVER_GLASS) &&
					   phi_purpose_is_a(input->purpose, phi_purpose_break_glass());

	/* 1 identity and purpose */
	if (!input->identity)
		return decided(false, PHI_REASON_NO_IDENTITY);
	if (!input->purpose_stated || input->purpose >= phi_purpose_count())
		return decided(false, PHI_REASON_NO_PURPOSE);

	/* 2 the role; consent never widens it */
	if (!input->role_rule)
		return decided(false, PHI_REASON_NO_ROLE_RULE);
	if (input->care_required && !input->care_related && !glass_opens)
		return decided(false, PHI_REASON_NO_CARE_RELATIONSHIP);

	/* 3 step-up */
	if ((demands & PHI_LABEL_STEP_UP) && !input->step_up_fresh)
		return decided(false, PHI_REASON_STEP_UP_REQUIRED);

	/* 4 the subject's own request */
	if (input->is_subject_or_proxy &&
		phi_purpose_is_a(input->purpose, phi_purpose_patient_request()))
	{
		if (demands & PHI_LABEL_NEVER_PATIENT)
			return decided(false, PHI_REASON_NEVER_PATIENT);
		return decided(true, PHI_REASON_SUBJECT_REQUEST);
	}

	/* 5 break-glass; where it does not open, consent and defaults still may */
	if (glass_opens)
		return decided(true, PHI_REASON_BREAK_GLASS);

	/* 6, 7, 8 consent */
	if (input->consent != PHI_VERDICT_PERMIT && input->consent != PHI_VERDICT_NA)
		return decided(false, PHI_REASON_CONSENT_DENIES);
	if ((demands & PHI_LABEL_NEEDS_PERMIT) && input->consent != PHI_VERDICT_PERMIT)
		return decided(false, PHI_REASON_NEEDS_EXPLICIT_CONSENT);
	if (input->consent == PHI_VERDICT_PERMIT)
		return decided(true, PHI_REASON_CONSENT_PERMITS);

	/* 9 defaults */
	if (purpose_is_open(input))
		return decided(true, PHI_REASON_DEFAULT_PERMIT);
	return decided(false, PHI_REASON_DEFAULT_DENY);
}

const char *
phi_reason_code(phi_reason reason)
{
	return (unsigned) reason < PHI_REASON_COUNT ? reason_codes[reason] : "unknown";
}

const char *
phi_reason_sentence(phi_reason reason)
{
	if ((unsigned) reason >= PHI_REASON_COUNT)
		return "The reason is unknown.";
	return reason_sentences[reason];
}

/*
 * 42 CFR Part 2 wants the patient's consent for records of substance use
 * disorder; 45 CFR 164.508(a)(2) wants it for psychotherapy notes, which
 * 164.524(a)(1)(i) also excludes from the patient's right of access.
 */
unsigned
phi_label_demands(const phi_labels *labels)
{
	unsigned demands = 0;

	if (phi_sensitivities_substance_use(labels->sensitivities))
		demands |= PHI_LABEL_NEEDS_PERMIT;
	if (phi_sensitivities_psychotherapy(labels->sensitivities))
		demands |= PHI_LABEL_NEEDS_PERMIT | PHI_LABEL_NEVER_PATIENT | PHI_LABEL_NEVER_GLASS;
	return demands;
}
