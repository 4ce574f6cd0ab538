/*-------------------------------------------------------------------------
 * test_decide.c
 *		Every combination of the inputs of the decision, against an oracle
 *		that is written as a table; invariants; the words; the demands of
 *		labels.
 *
 * A combination is a number: three inputs with more than two values, then one
 * bit for each of the others.
 *-------------------------------------------------------------------------
 */
#include "check.h"

#include "core/decide.h"

#define CONSENTS     3
#define FLAGS        13
#define COMBINATIONS (phi_purpose_count() * CONSENTS << FLAGS)

/* The facts that the rules speak of. */
enum fact
{
	F_IDENTITY = 1 << 0,
	F_STATED = 1 << 1,
	F_ROLE = 1 << 2,
	F_CARE_REQUIRED = 1 << 3,
	F_CARE_RELATED = 1 << 4,
	F_FRESH = 1 << 5,
	F_SELF = 1 << 6,
	F_GLASS = 1 << 7,
	F_STEP_UP = 1 << 8,
	F_NEVER_PATIENT = 1 << 9,
	F_NEVER_GLASS = 1 << 10,
	F_NEEDS_PERMIT = 1 << 11,
	F_OTHERS_OPEN = 1 << 12, /* the last of the flags that are counted */
	F_ASKS = 1 << 13,        /* purpose PATRQT or below */
	F_BREAKS = 1 << 14,      /* purpose BTG */
	F_TPO = 1 << 15,         /* treatment, payment, operations */
	F_DENIED = 1 << 16,
	F_PERMITTED = 1 << 17,
	F_OPENED = 1 << 18 /* the glass, for this purpose and these labels */
};

/* The oracle: the first row of which every fact holds, or is absent, answers. */
static const struct
{
	unsigned holds;
	unsigned absent;
	bool permit;
	phi_reason reason;
} oracle[] = {
	{0, F_IDENTITY, false, PHI_REASON_NO_IDENTITY},
	{0, F_STATED, false, PHI_REASON_NO_PURPOSE},
	{0, F_ROLE, false, PHI_REASON_NO_ROLE_RULE},
	{F_CARE_REQUIRED, F_CARE_RELATED | F_OPENED, false, PHI_REASON_NO_CARE_RELATIONSHIP},
	{F_STEP_UP, F_FRESH, false, PHI_REASON_STEP_UP_REQUIRED},
	{F_SELF | F_ASKS, F_NEVER_PATIENT, true, PHI_REASON_SUBJECT_REQUEST},
	{F_SELF | F_ASKS | F_NEVER_PATIENT, 0, false, PHI_REASON_NEVER_PATIENT},
	{F_GLASS | F_BREAKS, F_NEVER_GLASS, true, PHI_REASON_BREAK_GLASS},
	{F_DENIED, 0, false, PHI_REASON_CONSENT_DENIES},
	{F_NEEDS_PERMIT, F_PERMITTED, false, PHI_REASON_NEEDS_EXPLICIT_CONSENT},
	{F_PERMITTED, 0, true, PHI_REASON_CONSENT_PERMITS},
	{F_TPO, 0, true, PHI_REASON_DEFAULT_PERMIT},
	{F_OTHERS_OPEN, 0, true, PHI_REASON_DEFAULT_PERMIT},
	{0, 0, false, PHI_REASON_DEFAULT_DENY},
};

/* The combination of a number. */
static phi_decision_input
input_of(unsigned combination)
{
	unsigned flags = combination & ((1u << FLAGS) - 1);
	unsigned rest = combination >> FLAGS;
	phi_decision_input input = {
		.identity = flags & F_IDENTITY,
		.purpose_stated = flags & F_STATED,
		.purpose = (phi_purpose) (rest / CONSENTS),
		.role_rule = flags & F_ROLE,
		.care_required = flags & F_CARE_REQUIRED,
		.care_related = flags & F_CARE_RELATED,
		.step_up_fresh = flags & F_FRESH,
		.is_subject_or_proxy = flags & F_SELF,
		.glass_broken = flags & F_GLASS,
		.consent = (phi_verdict) (rest % CONSENTS),
		.other_purposes_open = flags & F_OTHERS_OPEN,
	};

	input.label_demands |= flags & F_STEP_UP ? PHI_LABEL_STEP_UP : 0;
	input.label_demands |= flags & F_NEVER_PATIENT ? PHI_LABEL_NEVER_PATIENT : 0;
	input.label_demands |= flags & F_NEVER_GLASS ? PHI_LABEL_NEVER_GLASS : 0;
	input.label_demands |= flags & F_NEEDS_PERMIT ? PHI_LABEL_NEEDS_PERMIT : 0;
	return input;
}

/* Whether a purpose is one of those, or below, by the names of the code system. */
static bool
purpose_among(phi_purpose purpose, const char *const *codes)
{
	for (; *codes != NULL; codes++)
	{
		if (phi_purpose_is_a(purpose, phi_purpose_find(*codes, strlen(*codes))))
			return true;
	}
	return false;
}

/* The facts of a combination, without its input struct. */
static unsigned
facts_of(unsigned combination)
{
	unsigned facts = combination & ((1u << FLAGS) - 1);
	phi_purpose purpose = (phi_purpose) ((combination >> FLAGS) / CONSENTS);
	unsigned consent = (combination >> FLAGS) % CONSENTS;

	if (purpose_among(purpose, (const char *const[]){"PATRQT", NULL}))
		facts |= F_ASKS;
	if (purpose_among(purpose, (const char *const[]){"BTG", NULL}))
		facts |= F_BREAKS;
	if (purpose_among(purpose, (const char *const[]){"TREAT", "HPAYMT", "HOPERAT", NULL}))
		facts |= F_TPO;
	if ((facts & (F_GLASS | F_BREAKS | F_NEVER_GLASS)) == (F_GLASS | F_BREAKS))
		facts |= F_OPENED;
	if (consent == PHI_VERDICT_DENY)
		facts |= F_DENIED;
	if (consent == PHI_VERDICT_PERMIT)
		facts |= F_PERMITTED;
	return facts;
}

/* The decision by the table. */
static phi_decision
oracle_decides(unsigned facts)
{
	size_t row = 0;

	while ((facts & oracle[row].holds) != oracle[row].holds || (facts & oracle[row].absent) != 0)
		row++;
	return (phi_decision){oracle[row].permit, oracle[row].reason};
}

static void
test_every_combination(void)
{
	unsigned seen[PHI_REASON_COUNT] = {0};
	unsigned combination;
	unsigned reason;

	CHECK_CASE("every combination of %u is decided as the table says", COMBINATIONS);
	for (combination = 0; combination < COMBINATIONS; combination++)
	{
		phi_decision_input input = input_of(combination);
		phi_decision decision = phi_decide(&input);
		phi_decision expected = oracle_decides(facts_of(combination));

		seen[decision.reason]++;
		if (decision.permit != expected.permit || decision.reason != expected.reason)
			check_fail(__FILE__, __LINE__, "combination %u: %s, expected %s", combination,
					   phi_reason_code(decision.reason), phi_reason_code(expected.reason));
	}
	for (reason = 0; reason < PHI_REASON_COUNT; reason++)
		CHECK(seen[reason] > 0);
}

/* What must hold of one permitted combination. */
static void
check_permit(const phi_decision_input *input, phi_reason reason)
{
	CHECK(input->identity && input->purpose_stated && input->role_rule);
	CHECK(!input->care_required || input->care_related || reason == PHI_REASON_BREAK_GLASS);
	CHECK(!(input->label_demands & PHI_LABEL_STEP_UP) || input->step_up_fresh);
	if (reason != PHI_REASON_SUBJECT_REQUEST && reason != PHI_REASON_BREAK_GLASS)
	{
		CHECK(input->consent != PHI_VERDICT_DENY);
		CHECK(!(input->label_demands & PHI_LABEL_NEEDS_PERMIT) ||
			  input->consent == PHI_VERDICT_PERMIT);
	}
	if (reason == PHI_REASON_SUBJECT_REQUEST)
		CHECK(input->is_subject_or_proxy && !(input->label_demands & PHI_LABEL_NEVER_PATIENT));
	if (reason == PHI_REASON_BREAK_GLASS)
		CHECK(input->glass_broken && !(input->label_demands & PHI_LABEL_NEVER_GLASS));
}

/* What a denied combination must not gain by a demand more, or by less identity. */
static void
check_deny_stays(const phi_decision_input *input)
{
	phi_decision_input changed;
	unsigned demand;

	for (demand = PHI_LABEL_STEP_UP; demand <= PHI_LABEL_NEEDS_PERMIT; demand <<= 1)
	{
		changed = *input;
		changed.label_demands |= demand;
		CHECK(!phi_decide(&changed).permit);
	}
	changed = *input;
	changed.care_required = true;
	CHECK(!phi_decide(&changed).permit);
	changed = *input;
	changed.consent = PHI_VERDICT_DENY;
	CHECK(!phi_decide(&changed).permit);
	changed = *input;
	changed.role_rule = false;
	CHECK(!phi_decide(&changed).permit);
	changed = *input;
	changed.other_purposes_open = false;
	CHECK(!phi_decide(&changed).permit);
}

static void
test_invariants(void)
{
	unsigned combination;

	CHECK_CASE("a permit has its preconditions, and no demand turns a deny into a permit");
	for (combination = 0; combination < COMBINATIONS; combination += 3)
	{
		phi_decision_input input = input_of(combination);
		phi_decision decision = phi_decide(&input);

		if (decision.permit)
			check_permit(&input, decision.reason);
		else
			check_deny_stays(&input);
	}
}

static void
test_what_is_unknown(void)
{
	phi_decision_input input = {.identity = true,
								.purpose_stated = true,
								.role_rule = true,
								.consent = PHI_VERDICT_PERMIT,
								.other_purposes_open = true};

	CHECK_CASE("an unknown purpose is none, an unknown verdict denies");
	input.purpose = PHI_PURPOSE_NONE;
	CHECK_INT(phi_decide(&input).reason, PHI_REASON_NO_PURPOSE);
	input.purpose = (phi_purpose) phi_purpose_count();
	CHECK_INT(phi_decide(&input).reason, PHI_REASON_NO_PURPOSE);
	CHECK(!phi_decide(&input).permit);
	input.purpose = phi_purpose_treat();
	CHECK_INT(phi_decide(&input).reason, PHI_REASON_CONSENT_PERMITS);
	input.consent = (phi_verdict) 3;
	CHECK_INT(phi_decide(&input).reason, PHI_REASON_CONSENT_DENIES);
	CHECK(!phi_decide(&input).permit);
}

static void
test_words(void)
{
	unsigned reason;
	unsigned other;

	CHECK_CASE("every reason has a code of its own and a sentence");
	CHECK_TEXT(phi_reason_code(PHI_REASON_NO_IDENTITY), "no_identity");
	CHECK_TEXT(phi_reason_code(PHI_REASON_CONSENT_DENIES), "consent_denies");
	CHECK_TEXT(phi_reason_code(PHI_REASON_DEFAULT_DENY), "default_deny");
	CHECK_TEXT(phi_reason_code(PHI_REASON_COUNT), "unknown");
	CHECK(phi_reason_sentence(PHI_REASON_COUNT) != NULL);
	for (reason = 0; reason < PHI_REASON_COUNT; reason++)
	{
		const char *sentence = phi_reason_sentence((phi_reason) reason);

		CHECK(phi_reason_code((phi_reason) reason) != NULL);
		CHECK(sentence != NULL && strlen(sentence) > 20);
		CHECK(sentence != NULL && sentence[strlen(sentence) - 1] == '.');
		for (other = 0; other < reason; other++)
			CHECK(strcmp(phi_reason_code((phi_reason) reason),
						 phi_reason_code((phi_reason) other)) != 0);
	}
}

/* The demands of one sensitivity beside a confidentiality. */
static unsigned
demands(const char *confidentiality, const char *sensitivity)
{
	phi_labels labels = {0};

	CHECK(phi_labels_add(&labels, confidentiality, strlen(confidentiality)));
	if (sensitivity != NULL)
		CHECK(phi_labels_add(&labels, sensitivity, strlen(sensitivity)));
	return phi_label_demands(&labels);
}

static void
test_label_demands(void)
{
	phi_labels both = {0};

	CHECK_CASE("labels: SUD and below and psychotherapy notes make demands, others none");
	CHECK_INT(demands("R", "SUD"), PHI_LABEL_NEEDS_PERMIT);
	CHECK_INT(demands("R", "ETHUD"), PHI_LABEL_NEEDS_PERMIT);
	CHECK_INT(demands("R", "OPIOIDUD"), PHI_LABEL_NEEDS_PERMIT);
	CHECK_INT(demands("N", "PSYTHPN"),
			  PHI_LABEL_NEEDS_PERMIT | PHI_LABEL_NEVER_PATIENT | PHI_LABEL_NEVER_GLASS);
	CHECK_INT(demands("R", "SPI"), 0);
	CHECK_INT(demands("R", "PSY"), 0);
	CHECK_INT(demands("R", "ETH"), 0);
	CHECK_INT(demands("R", "HIV"), 0);
	CHECK_INT(demands("V", NULL), 0);
	CHECK_INT(phi_label_demands(&both), 0);
	CHECK(phi_labels_add(&both, "OPIOIDUD", 8) && phi_labels_add(&both, "PSYTHPN", 7));
	CHECK_INT(phi_label_demands(&both),
			  PHI_LABEL_NEEDS_PERMIT | PHI_LABEL_NEVER_PATIENT | PHI_LABEL_NEVER_GLASS);
}

int
main(void)
{
	test_every_combination();
	test_invariants();
	test_what_is_unknown();
	test_words();
	test_label_demands();
	return check_done();
}
