/*-------------------------------------------------------------------------
 * codes.c
 *		The HL7 v3 code tables and the is-a relation over them.
 *
 * Each table is written once, as a list of X(code, parent): the enumeration of
 * its rows and the array both come from the list, so that a parent is always a
 * row.  A parent stands before its children, which makes every walk upward end.
 *-------------------------------------------------------------------------
 */
#include "codes.h"

#include <string.h>

#define NO_PARENT 255

typedef struct code_row
{
	const char *code;
	uint8_t parent; /* row of the same table, or NO_PARENT */
	const char *display;
} code_row;

/* v3-ActReason 4.0.0, everything below PurposeOfUse. */
#define PURPOSES(X)                                                          \
	X(HMARKT, PurposeOfUse, "healthcare marketing")                          \
	X(HOPERAT, PurposeOfUse, "healthcare operations")                        \
	X(CAREMGT, HOPERAT, "care management")                                   \
	X(DONAT, HOPERAT, "donation")                                            \
	X(FRAUD, HOPERAT, "fraud")                                               \
	X(GOV, HOPERAT, "government")                                            \
	X(HACCRED, HOPERAT, "health accreditation")                              \
	X(HCOMPL, HOPERAT, "health compliance")                                  \
	X(HDECD, HOPERAT, "decedent")                                            \
	X(HDIRECT, HOPERAT, "directory")                                         \
	X(HDM, HOPERAT, "healthcare delivery management")                        \
	X(HLEGAL, HOPERAT, "legal")                                              \
	X(HOUTCOMS, HOPERAT, "health outcome measure")                           \
	X(HPRGRP, HOPERAT, "health program reporting")                           \
	X(HQUALIMP, HOPERAT, "health quality improvement")                       \
	X(HSYSADMIN, HOPERAT, "health system administration")                    \
	X(LABELING, HSYSADMIN, "labeling")                                       \
	X(METAMGT, HSYSADMIN, "metadata management")                             \
	X(MEMADMIN, HOPERAT, "member administration")                            \
	X(MILCDM, HOPERAT, "military command")                                   \
	X(PATADMIN, HOPERAT, "patient administration")                           \
	X(PATSFTY, HOPERAT, "patient safety")                                    \
	X(PERFMSR, HOPERAT, "performance measure")                               \
	X(RECORDMGT, HOPERAT, "records management")                              \
	X(SYSDEV, HOPERAT, "system development")                                 \
	X(HTEST, SYSDEV, "test health data")                                     \
	X(TRAIN, HOPERAT, "training")                                            \
	X(MLTRAINING, HOPERAT, "machine learning training")                      \
	X(HPAYMT, PurposeOfUse, "healthcare payment")                            \
	X(CLMATTCH, HPAYMT, "claim attachment")                                  \
	X(COVAUTH, HPAYMT, "coverage authorization")                             \
	X(COVERAGE, HPAYMT, "coverage under policy or program")                  \
	X(ELIGDTRM, COVERAGE, "eligibility determination")                       \
	X(ELIGVER, COVERAGE, "eligibility verification")                         \
	X(ENROLLM, COVERAGE, "enrollment")                                       \
	X(MILDCRG, COVERAGE, "military discharge")                               \
	X(REMITADV, HPAYMT, "remittance advice")                                 \
	X(PMTDS, HPAYMT, "decision support assisted payment decision")           \
	X(HRESCH, PurposeOfUse, "healthcare research")                           \
	X(BIORCH, HRESCH, "biomedical research")                                 \
	X(CLINTRCH, HRESCH, "clinical trial research")                           \
	X(CLINTRCHNPC, CLINTRCH, "clinical trial research without patient care") \
	X(CLINTRCHPC, CLINTRCH, "clinical trial research with patient care")     \
	X(PRECLINTRCH, CLINTRCH, "preclinical trial research")                   \
	X(DSRCH, HRESCH, "disease specific healthcare research")                 \
	X(POARCH, HRESCH, "population origins or ancestry healthcare research")  \
	X(TRANSRCH, HRESCH, "translational healthcare research")                 \
	X(PATRQT, PurposeOfUse, "patient requested")                             \
	X(FAMRQT, PATRQT, "family requested")                                    \
	X(PWATRNY, PATRQT, "power of attorney")                                  \
	X(SUPNWK, PATRQT, "support network")                                     \
	X(PUBHLTH, PurposeOfUse, "public health")                                \
	X(DISASTER, PUBHLTH, "disaster")                                         \
	X(THREAT, PUBHLTH, "threat")                                             \
	X(TREAT, PurposeOfUse, "treatment")                                      \
	X(CLINTRL, TREAT, "clinical trial")                                      \
	X(COC, TREAT, "coordination of care")                                    \
	X(ETREAT, TREAT, "Emergency Treatment")                                  \
	X(BTG, ETREAT, "break the glass")                                        \
	X(ERTREAT, ETREAT, "emergency room treatment")                           \
	X(POPHLTH, TREAT, "population health")                                   \
	X(TREATDS, TREAT, "decision support assisted treatment decision")

#define PURPOSE_ENUM(code, parent, display) PURPOSE_##code,
#define PURPOSE_ROW(code, parent, display)  {#code, PURPOSE_##parent, display},

enum purpose_row
{
	PURPOSE_PurposeOfUse,
	PURPOSES(PURPOSE_ENUM) PURPOSE_ROWS
};

static const code_row purposes[PURPOSE_ROWS] = {{"PurposeOfUse", NO_PARENT, "purpose of use"},
												PURPOSES(PURPOSE_ROW)};

#define CONFIDENTIALITY_ROWS 6
#define RANK_NORMAL          4
#define RANK_RESTRICTED      5

/* v3-Confidentiality 5.0.0, in ascending order: the rank of a code is its position and one. */
static const char *const confidentialities[CONFIDENTIALITY_ROWS] = {"U", "L", "M", "N", "R", "V"};

/* v3-ActCode 11.0.0, everything below _InformationSensitivityPolicy, SICKLE (retired) included. */
#define SENSITIVITIES(X)                                                \
	X(_ActInformationSensitivityPolicy, _InformationSensitivityPolicy)  \
	X(ETH, _ActInformationSensitivityPolicy)                            \
	X(GDIS, _ActInformationSensitivityPolicy)                           \
	X(HIV, _ActInformationSensitivityPolicy)                            \
	X(MST, _ActInformationSensitivityPolicy)                            \
	X(PREGNANT, _ActInformationSensitivityPolicy)                       \
	X(SCA, _ActInformationSensitivityPolicy)                            \
	X(SDV, _ActInformationSensitivityPolicy)                            \
	X(SEX, _ActInformationSensitivityPolicy)                            \
	X(SPI, _ActInformationSensitivityPolicy)                            \
	X(BH, SPI)                                                          \
	X(COGN, BH)                                                         \
	X(DVD, BH)                                                          \
	X(EMOTDIS, BH)                                                      \
	X(MH, SPI)                                                          \
	X(PSY, SPI)                                                         \
	X(PSYTHPN, SPI)                                                     \
	X(SUD, SPI)                                                         \
	X(ETHUD, SUD)                                                       \
	X(OPIOIDUD, SUD)                                                    \
	X(STD, _ActInformationSensitivityPolicy)                            \
	X(TBOO, _ActInformationSensitivityPolicy)                           \
	X(VIO, _ActInformationSensitivityPolicy)                            \
	X(IDS, _ActInformationSensitivityPolicy)                            \
	X(SICKLE, _ActInformationSensitivityPolicy)                         \
	X(_EntitySensitivityPolicyType, _InformationSensitivityPolicy)      \
	X(DEMO, _EntitySensitivityPolicyType)                               \
	X(DOB, _EntitySensitivityPolicyType)                                \
	X(GENDER, _EntitySensitivityPolicyType)                             \
	X(LIVARG, _EntitySensitivityPolicyType)                             \
	X(MARST, _EntitySensitivityPolicyType)                              \
	X(PATLOC, _EntitySensitivityPolicyType)                             \
	X(RACE, _EntitySensitivityPolicyType)                               \
	X(REL, _EntitySensitivityPolicyType)                                \
	X(_RoleInformationSensitivityPolicy, _InformationSensitivityPolicy) \
	X(B, _RoleInformationSensitivityPolicy)                             \
	X(EMPL, _RoleInformationSensitivityPolicy)                          \
	X(LOCIS, _RoleInformationSensitivityPolicy)                         \
	X(SSP, _RoleInformationSensitivityPolicy)                           \
	X(ADOL, _InformationSensitivityPolicy)                              \
	X(CEL, _InformationSensitivityPolicy)                               \
	X(VIP, _InformationSensitivityPolicy)                               \
	X(DIA, _InformationSensitivityPolicy)                               \
	X(DRGIS, _InformationSensitivityPolicy)                             \
	X(EMP, _InformationSensitivityPolicy)                               \
	X(PDS, _InformationSensitivityPolicy)                               \
	X(PHY, _InformationSensitivityPolicy)                               \
	X(PRS, _InformationSensitivityPolicy)

#define SENSITIVITY_ENUM(code, parent) SENSITIVITY_##code,
#define SENSITIVITY_ROW(code, parent)  {#code, SENSITIVITY_##parent, NULL},

enum sensitivity_row
{
	SENSITIVITY__InformationSensitivityPolicy,
	SENSITIVITIES(SENSITIVITY_ENUM) SENSITIVITY_ROWS
};

static const code_row sensitivities[SENSITIVITY_ROWS] = {
	{"_InformationSensitivityPolicy", NO_PARENT, NULL}, SENSITIVITIES(SENSITIVITY_ROW)};

_Static_assert(PURPOSE_ROWS < PHI_PURPOSE_NONE, "a purpose is a byte");
_Static_assert(SENSITIVITY_ROWS <= 64, "a set of sensitivities is 64 bits");

/* consentaction, by number of the action. */
static const char *const actions[PHI_ACTION_COUNT] = {"collect", "access", "use", "disclose",
													  "correct"};

/* Exact comparison with a string constant; the given code may lack a terminator. */
static bool
code_equals(const char *constant, const char *code, size_t size)
{
	return strlen(constant) == size && memcmp(constant, code, size) == 0;
}

/* The row of a code in a table, or NO_PARENT: both tables are searched alike. */
static uint8_t
row_find(const code_row *table, uint8_t rows, const char *code, size_t size)
{
	uint8_t row;

	for (row = 0; row < rows; row++)
	{
		if (code_equals(table[row].code, code, size))
			return row;
	}
	return NO_PARENT;
}

/* Reflexive is-a within a table: a walk upward over five rows at most. */
static bool
row_is_a(const code_row *table, uint8_t rows, uint8_t row, uint8_t ancestor)
{
	while (row < rows)
	{
		if (row == ancestor)
			return true;
		row = table[row].parent;
	}
	return false;
}

/* The bits that a sensitivity sets: its own, and for the synonyms CEL and VIP both. */
static uint64_t
sensitivity_bits(uint8_t row)
{
	if (row == SENSITIVITY_CEL || row == SENSITIVITY_VIP)
		return UINT64_C(1) << SENSITIVITY_CEL | UINT64_C(1) << SENSITIVITY_VIP;
	return UINT64_C(1) << row;
}

phi_purpose
phi_purpose_treat(void)
{
	return PURPOSE_TREAT;
}

phi_purpose
phi_purpose_payment(void)
{
	return PURPOSE_HPAYMT;
}

phi_purpose
phi_purpose_operations(void)
{
	return PURPOSE_HOPERAT;
}

phi_purpose
phi_purpose_patient_request(void)
{
	return PURPOSE_PATRQT;
}

phi_purpose
phi_purpose_break_glass(void)
{
	return PURPOSE_BTG;
}

phi_purpose
phi_purpose_find(const char *code, size_t size)
{
	return row_find(purposes, PURPOSE_ROWS, code, size);
}

const char *
phi_purpose_code(phi_purpose purpose)
{
	return purpose < PURPOSE_ROWS ? purposes[purpose].code : NULL;
}

const char *
phi_purpose_display(phi_purpose purpose)
{
	return purpose < PURPOSE_ROWS ? purposes[purpose].display : NULL;
}

bool
phi_purpose_is_a(phi_purpose purpose, phi_purpose ancestor)
{
	return row_is_a(purposes, PURPOSE_ROWS, purpose, ancestor);
}

unsigned
phi_purpose_count(void)
{
	return PURPOSE_ROWS;
}

const char *
phi_purpose_parent(phi_purpose purpose)
{
	return purpose < PURPOSE_ROWS ? phi_purpose_code(purposes[purpose].parent) : NULL;
}

phi_action
phi_action_find(const char *code, size_t size)
{
	phi_action action;

	for (action = 0; action < PHI_ACTION_COUNT; action++)
	{
		if (code_equals(actions[action], code, size))
			return action;
	}
	return PHI_ACTION_NONE;
}

const char *
phi_action_code(phi_action action)
{
	return action < PHI_ACTION_COUNT ? actions[action] : NULL;
}

unsigned
phi_confidentiality_rank(const char *code, size_t size)
{
	unsigned row;

	for (row = 0; row < CONFIDENTIALITY_ROWS; row++)
	{
		if (code_equals(confidentialities[row], code, size))
			return row + 1;
	}
	return 0;
}

/*
 * A confidentiality raises the rank to its own and never lowers it (the high
 * water mark of FHIR); a sensitivity joins the set.
 */
bool
phi_labels_add(phi_labels *labels, const char *code, size_t size)
{
	unsigned rank = phi_confidentiality_rank(code, size);
	uint8_t row;

	if (rank > 0)
	{
		if (labels->rank < rank)
			labels->rank = (uint8_t) rank;
		return true;
	}

	row = row_find(sensitivities, SENSITIVITY_ROWS, code, size);
	if (row == NO_PARENT || sensitivities[row].code[0] == '_')
		return false;
	labels->sensitivities |= sensitivity_bits(row);
	return true;
}

unsigned
phi_labels_rank(const phi_labels *labels)
{
	unsigned rank = labels->rank ? labels->rank : RANK_NORMAL;

	if (labels->sensitivities != 0 && rank < RANK_RESTRICTED)
		return RANK_RESTRICTED;
	return rank;
}

uint64_t
phi_sensitivity_below(const char *code, size_t size)
{
	uint8_t ancestor = row_find(sensitivities, SENSITIVITY_ROWS, code, size);
	uint64_t below = 0;
	uint8_t row;

	if (ancestor == NO_PARENT)
		return 0;
	for (row = 0; row < SENSITIVITY_ROWS; row++)
	{
		if (row_is_a(sensitivities, SENSITIVITY_ROWS, row, ancestor))
			below |= sensitivity_bits(row);
	}
	return below;
}

/* Is one of the set in is-a relation to ancestor?  Asked for every labelled row: nothing is searched. */
static bool
set_is_a(uint64_t set, uint8_t ancestor)
{
	uint8_t row;

	for (row = 0; set != 0; row++, set >>= 1)
	{
		if ((set & 1) && row_is_a(sensitivities, SENSITIVITY_ROWS, row, ancestor))
			return true;
	}
	return false;
}

bool
phi_sensitivities_substance_use(uint64_t set)
{
	return set_is_a(set, SENSITIVITY_SUD);
}

bool
phi_sensitivities_psychotherapy(uint64_t set)
{
	return set_is_a(set, SENSITIVITY_PSYTHPN);
}

uint64_t
phi_sensitivity_all(void)
{
	return UINT64_MAX >> (64 - SENSITIVITY_ROWS);
}

const char *
phi_label_parent(const char *code, size_t size)
{
	uint8_t row = row_find(sensitivities, SENSITIVITY_ROWS, code, size);

	if (row == NO_PARENT || sensitivities[row].parent == NO_PARENT)
		return NULL;
	return sensitivities[sensitivities[row].parent].code;
}

const char *
phi_label_code(unsigned position)
{
	if (position < CONFIDENTIALITY_ROWS)
		return confidentialities[position];
	position -= CONFIDENTIALITY_ROWS;
	return position < SENSITIVITY_ROWS ? sensitivities[position].code : NULL;
}
