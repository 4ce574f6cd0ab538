/*-------------------------------------------------------------------------
 * directive.h
 *		Compiled consent directives: a small byte program per directive, and
 *		its evaluation against a request.
 *
 * Program, version 1:
 *		byte 0  1, the version
 *		byte 1  base decision: 1 permit, 2 deny
 *		then attributes, each at most once, in ascending order of tag:
 *		  0x01 period    from i64, until i64: microseconds since 1970 UTC,
 *						 INT64_MIN and INT64_MAX for open ends; until is exclusive
 *		  0x02 actors    count u8 (1..255), count * 8-byte references
 *		  0x03 purposes  count u8 (1..255), count * 1-byte purpose rows
 * Numbers and references are big-endian.  There is one program per directive:
 * from < until and not both open, values strictly ascending, purposes rows of
 * the table.
 *
 * An attribute that is absent matches everything; attributes AND, values OR.
 * A purpose matches a listed one that it is-a.  A request without a purpose,
 * or without any reference, is unknown to the attribute: a permit does not
 * match it, a deny does.
 * A reference is the keyed hash of "actor:<name>" or "role:<name>" or
 * "organization:<name>" that the session also carries.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_DIRECTIVE_H
#define PHI_CORE_DIRECTIVE_H

#include "bytes.h"
#include "codes.h"

#define PHI_TIME_MIN INT64_MIN
#define PHI_TIME_MAX INT64_MAX

/* The largest program: head, period, 255 actors, 255 purposes. */
#define PHI_DIRECTIVE_MAX (2 + 17 + 2 + 255 * 8 + 2 + 255)

typedef enum phi_verdict
{
	PHI_VERDICT_NA = 0,
	PHI_VERDICT_PERMIT = 1,
	PHI_VERDICT_DENY = 2
} phi_verdict;

typedef struct phi_directive /* the source form that the compiler takes */
{
	phi_verdict base; /* PERMIT or DENY */
	bool has_period;
	int64_t from, until;
	const uint64_t *actors;
	size_t actor_count; /* 0..255 */
	const phi_purpose *purposes;
	size_t purpose_count; /* 0..255 */
} phi_directive;

typedef struct phi_consent_request
{
	int64_t now; /* microseconds since 1970 UTC */
	const uint64_t *actors; /* every reference that the session stands for */
	size_t actor_count;
	phi_purpose purpose;
} phi_consent_request;

/*
 * Compile: sorts, drops duplicates and a period that is open at both ends, and
 * sets out->size.  PHI_DIRECTIVE_MAX bytes of capacity always suffice.
 * PHI_ERR_ARGUMENT for what has no program: no base, an empty period, more
 * than 255 values, a purpose that is no row; PHI_ERR_SPACE.  out is untouched
 * on both.
 */
extern phi_status phi_directive_compile(const phi_directive *directive, phi_buffer *out) PHI_CHECKED;

/* Check the structure of a program completely: PHI_ERR_VERSION, PHI_ERR_FORMAT. */
extern phi_status phi_directive_check(phi_bytes program) PHI_CHECKED;

/*
 * Evaluate.  A malformed program is PHI_ERR_FORMAT, one of another version
 * PHI_ERR_VERSION, and *verdict is DENY for both.
 * *valid_until is lowered to the first instant after request->now at which the
 * answer may change with nothing else changing; it is never raised.
 */
extern phi_status phi_directive_evaluate(phi_bytes program, const phi_consent_request *request,
										 phi_verdict *verdict, int64_t *valid_until) PHI_CHECKED;

/* Several directives or several subjects: any DENY, else any PERMIT, else NA. */
static inline phi_verdict
phi_verdict_combine(phi_verdict a, phi_verdict b)
{
	return a > b ? a : b;
}

#endif /* PHI_CORE_DIRECTIVE_H */
