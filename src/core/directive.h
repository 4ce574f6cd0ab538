/*-------------------------------------------------------------------------
 * directive.h
 *		Compiled consent directives: a small byte program per directive, and
 *		its evaluation against a request.
 *
 * Program, version 2: the byte 2, then the root provision.  A provision is
 *		effect u8  1 permit, 2 deny
 *		then attributes, each at most once, in ascending order of tag:
 *		  0x01 period        from i64, until i64: microseconds since 1970 UTC,
 *							 INT64_MIN and INT64_MAX for open ends; until is exclusive
 *		  0x02 actors        list of references
 *		  0x03 actions       u8, a set: bit n is action n
 *		  0x04 purposes      list of 1-byte purpose rows
 *		  0x05 own purposes  list of references of purposes that are no row
 *		  0x06 labels        rank u8 (0..6, 0 none), sensitivities u64, not both 0
 *		  0x07 classes       list of references
 *		  0x08 codes         list of references
 *		  0x09 data period   like period
 *		  0x0A data          list of 17-byte data references: meaning u8, type
 *							 reference, target reference
 *		  0x0B provisions    count u16, then each as size u16 and provision
 * A list is a count u16 (1..65535) and as many values, strictly ascending as
 * bytes; nested provisions ascend likewise, a shorter one before a longer one
 * that it begins.  Numbers and references are big-endian.  from < until and not
 * both open.  Nothing follows a provision within its size.  So there is one
 * program per directive.  At most PHI_DIRECTIVE_MAX bytes and
 * PHI_DIRECTIVE_DEPTH levels.
 *
 * match(provision): attributes AND, values OR (purposes and own purposes are one
 * attribute), one that is absent matches everything.
 *		period      the request's now lies in it
 *		actors      one of the request's references is listed
 *		actions     the action is in the set
 *		purposes    the purpose is-a a listed one
 *		labels      permit: the row's rank is at most the listed one, or the row
 *					has a sensitivity and every one of them is listed
 *					deny: its rank is at least the listed one, or one of its
 *					sensitivities is listed
 *		classes, codes	the row's is listed
 *		data period	permit: the row's time lies in it; deny: it overlaps it
 *		data        instance: the row is the target; related, dependents: it is
 *					the target or refers to it; authored by: the target wrote it
 * What the request does not know is unknown: a permit does not match it, a deny
 * does.
 *
 * evaluate(root):
 *		period, actors, actions or purposes do not match: NA
 *		m = labels, classes, codes, data period and data match
 *		m: the root's effect; not m: NA under a deny, DENY under a permit, which
 *		is closed
 *		A nested provision that matches overrides the one it stands in, by its
 *		effect and what overrides that in turn; among several deny wins; one
 *		that does not match counts for nothing, with all that it holds.  Where
 *		not m, only permits count on the first level.
 *
 * A reference is a keyed hash, never 0, of a prefixed text that the two sides
 * share: "actor:", "role:", "organization:" or "group:" and a name;
 * "purpose:" and "code:" and "system|code"; "class:" and a resource type;
 * "data:" and "Type/id".
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_DIRECTIVE_H
#define PHI_CORE_DIRECTIVE_H

#include "bytes.h"
#include "codes.h"

#define PHI_TIME_MIN INT64_MIN
#define PHI_TIME_MAX INT64_MAX

#define PHI_DIRECTIVE_MAX   65535 /* bytes of a program */
#define PHI_DIRECTIVE_DEPTH 8     /* levels of provisions, the root's included */

typedef enum phi_verdict
{
	PHI_VERDICT_NA = 0,
	PHI_VERDICT_PERMIT = 1,
	PHI_VERDICT_DENY = 2
} phi_verdict;

/* How data is named: FHIR consent-data-meaning. */
typedef enum phi_data_meaning
{
	PHI_DATA_INSTANCE = 1,
	PHI_DATA_RELATED = 2,
	PHI_DATA_DEPENDENTS = 3,
	PHI_DATA_AUTHORED_BY = 4
} phi_data_meaning;

/* The data that a provision is about, by one resource. */
typedef struct phi_data_reference
{
	phi_data_meaning meaning;
	uint64_t type;   /* "class:Encounter" */
	uint64_t target; /* "data:Encounter/17" */
} phi_data_reference;

/* A provision as the compiler takes it; what is zero matches everything. */
typedef struct phi_provision
{
	phi_verdict effect; /* PERMIT or DENY; of the root: the base decision */
	bool has_period;
	int64_t from, until;
	const uint64_t *actors;
	size_t actor_count;
	uint8_t actions; /* set of PHI_ACTION_BIT */
	const phi_purpose *purposes;
	size_t purpose_count;
	const uint64_t *own_purposes; /* that are no row of the table */
	size_t own_purpose_count;
	uint8_t rank; /* confidentiality: highest listed by a permit, lowest by a deny; 0 none */
	uint64_t sensitivities; /* listed ones and all below them: phi_sensitivity_below */
	const uint64_t *classes;
	size_t class_count;
	const uint64_t *codes;
	size_t code_count;
	bool has_data_period;
	int64_t data_from, data_until;
	const phi_data_reference *data;
	size_t data_count;
	const struct phi_provision *provisions; /* nested */
	size_t provision_count;
} phi_provision;

/* What a row refers to: one per resource type of which that is known. */
typedef struct phi_consent_link
{
	uint64_t type;   /* "class:Encounter" */
	uint64_t target; /* "data:Encounter/17"; 0: it refers to none of this type */
} phi_consent_link;

/* What is known of a row; all zero is nothing. */
typedef struct phi_consent_row
{
	bool labels_known;
	phi_labels labels;
	uint8_t unlabelled_rank; /* what a row without labels counts as; 0 is N */
	uint64_t class_reference;
	bool codes_known;
	const uint64_t *codes;
	size_t code_count;
	bool time_known;
	int64_t time_from, time_until; /* until is exclusive: an instant ends one later */
	uint64_t instance;             /* "data:Observation/4" */
	const uint64_t *authors;       /* "data:Practitioner/3" */
	size_t author_count;
	const phi_consent_link *links;
	size_t link_count;
} phi_consent_row;

typedef struct phi_consent_request
{
	int64_t now;            /* microseconds since 1970 UTC */
	const uint64_t *actors; /* every reference that the session stands for; NULL: unknown */
	size_t actor_count;
	phi_purpose purpose;        /* PHI_PURPOSE_NONE: unknown, or own_purpose */
	uint64_t own_purpose;       /* 0 unless the purpose is no row of the table */
	phi_action action;          /* PHI_ACTION_NONE: unknown */
	const phi_consent_row *row; /* NULL: nothing is known of it */
} phi_consent_request;

/* What an answer may depend on beside the session, the action and the time. */
#define PHI_DEPENDS_LABELS 0x01
#define PHI_DEPENDS_CLASS  0x02
#define PHI_DEPENDS_CODES  0x04
#define PHI_DEPENDS_TIME   0x08 /* the row's */
#define PHI_DEPENDS_DATA   0x10 /* instance, links, authors */

/* An answer; begin with phi_consent_answer_none() and evaluate any number into it. */
typedef struct phi_consent_answer
{
	phi_verdict verdict;
	unsigned depends;    /* PHI_DEPENDS_*: 0 means the same verdict for every row */
	int64_t valid_until; /* first instant after now at which verdict or depends may change */
} phi_consent_answer;

/* The answer of no directive at all. */
static inline phi_consent_answer
phi_consent_answer_none(void)
{
	phi_consent_answer answer = {PHI_VERDICT_NA, 0, PHI_TIME_MAX};

	return answer;
}

/*
 * Compile: sorts, drops duplicates and periods that are open at both ends, and
 * sets out->size.  PHI_DIRECTIVE_MAX bytes of capacity always suffice.
 * PHI_ERR_ARGUMENT for what has no program: no effect, an empty period, a
 * purpose, rank, action, sensitivity or meaning that there is not, a reference
 * 0, too many values or levels; PHI_ERR_SPACE.  out->size is untouched on both.
 */
extern phi_status phi_directive_compile(const phi_provision *root, phi_buffer *out) PHI_CHECKED;

/* Check the structure of a program completely: PHI_ERR_VERSION, PHI_ERR_FORMAT. */
extern phi_status phi_directive_check(phi_bytes program) PHI_CHECKED;

/*
 * Evaluate one directive: verdict is its own, depends is added to, valid_until
 * is lowered, never raised.  depends and valid_until are the same whatever
 * request->row says.  A malformed program is PHI_ERR_FORMAT, one of another
 * version PHI_ERR_VERSION, the verdict is DENY for both, the rest untouched.
 * Time is linear in the size of the program, times the number of references
 * that the request has.
 */
extern phi_status phi_directive_evaluate(phi_bytes program, const phi_consent_request *request,
										 phi_consent_answer *answer) PHI_CHECKED;

/* Several directives or several subjects of one set: any DENY, else any PERMIT, else NA. */
static inline phi_verdict
phi_verdict_combine(phi_verdict a, phi_verdict b)
{
	return a > b ? a : b;
}

/* The subjects of one row: any DENY, else NA when one is NA, else PERMIT. */
static inline phi_verdict
phi_verdict_combine_subjects(phi_verdict a, phi_verdict b)
{
	if (a == PHI_VERDICT_DENY || b == PHI_VERDICT_DENY)
		return PHI_VERDICT_DENY;
	return a < b ? a : b;
}

#endif /* PHI_CORE_DIRECTIVE_H */
