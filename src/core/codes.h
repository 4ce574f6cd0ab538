/*-------------------------------------------------------------------------
 * codes.h
 *		HL7 code tables: purpose of use (v3-PurposeOfUse), confidentiality
 *		(v3-Confidentiality), information sensitivity (v3-ActCode) and action
 *		(consentaction).
 *
 * Codes are numbered by their row, which is part of the format of compiled
 * directives: rows are only ever added at the end.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_CODES_H
#define PHI_CORE_CODES_H

#include "bytes.h"

typedef uint8_t phi_purpose; /* row of the purpose table; 0 is PurposeOfUse, the root */

#define PHI_PURPOSE_NONE 255

/* Purposes that decide() names. */
extern phi_purpose phi_purpose_treat(void);
extern phi_purpose phi_purpose_payment(void);
extern phi_purpose phi_purpose_operations(void);
extern phi_purpose phi_purpose_patient_request(void);
extern phi_purpose phi_purpose_break_glass(void);

/* Row of a code (exact, case-sensitive), or PHI_PURPOSE_NONE. */
extern phi_purpose phi_purpose_find(const char *code, size_t size);
extern const char *phi_purpose_code(phi_purpose purpose);    /* "TREAT"; NULL out of range */
extern const char *phi_purpose_display(phi_purpose purpose); /* "treatment" */
extern bool phi_purpose_is_a(phi_purpose purpose, phi_purpose ancestor); /* reflexive */
extern unsigned phi_purpose_count(void);

/* What is done with data: FHIR consentaction. */
typedef uint8_t phi_action;

#define PHI_ACTION_COLLECT  0
#define PHI_ACTION_ACCESS   1
#define PHI_ACTION_USE      2
#define PHI_ACTION_DISCLOSE 3
#define PHI_ACTION_CORRECT  4
#define PHI_ACTION_COUNT    5
#define PHI_ACTION_NONE     255

#define PHI_ACTION_BIT(action) ((uint8_t) (1u << (action)))

extern phi_action phi_action_find(const char *code, size_t size); /* or PHI_ACTION_NONE */
extern const char *phi_action_code(phi_action action);            /* "access"; NULL out of range */

/* resources.c: is the code a type that FHIR's resources have, in R4, R4B or R5?  Abstract ones are not. */
extern bool phi_resource_type_known(const char *code, size_t size);

/*
 * The labels of a row: its confidentiality rank (1 U .. 6 V, 0 unlabelled) and
 * the set of its sensitivities, one bit a row of the sensitivity table (< 64).
 */
typedef struct phi_labels
{
	uint8_t rank;
	uint64_t sensitivities;
} phi_labels;

/*
 * Add one label code to labels; false, and labels as they were, when the code
 * is unknown or abstract.  Several confidentialities: the highest counts.
 * SICKLE is retired but known; CEL and VIP are synonyms and each sets both.
 */
extern bool phi_labels_add(phi_labels *labels, const char *code, size_t size);

/* rank(row): at least R for a row with a sensitivity, unlabelled counts as N. */
extern unsigned phi_labels_rank(const phi_labels *labels);

/*
 * The codes of a sensitivity and of everything below it (is-a), as a set; 0
 * when unknown.  Abstract codes are allowed here: a directive may name one.
 */
extern uint64_t phi_sensitivity_below(const char *code, size_t size);

/* Is one of a set of sensitivities that of substance use disorder, of psychotherapy notes, or below it? */
extern bool phi_sensitivities_substance_use(uint64_t set);
extern bool phi_sensitivities_psychotherapy(uint64_t set);

/* Every sensitivity of the table, abstract ones included, as a set. */
extern uint64_t phi_sensitivity_all(void);

/* Rank of a confidentiality code, 1 U .. 6 V, or 0. */
extern unsigned phi_confidentiality_rank(const char *code, size_t size);

/* The code above a sensitivity or purpose in its table; NULL for a root or what is none. */
extern const char *phi_label_parent(const char *code, size_t size);
extern const char *phi_purpose_parent(phi_purpose purpose);

/*
 * Label code by position: the confidentialities in ascending order, then the
 * sensitivities (position 6 is bit 0), abstract ones (which begin with '_')
 * included; NULL past the end.
 */
extern const char *phi_label_code(unsigned position);

#endif /* PHI_CORE_CODES_H */
