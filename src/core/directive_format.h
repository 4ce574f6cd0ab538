/*-------------------------------------------------------------------------
 * directive_format.h
 *		What the files of directives share: the format (directive.h), a
 *		provision taken apart, and matching.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_DIRECTIVE_FORMAT_H
#define PHI_CORE_DIRECTIVE_FORMAT_H

#include <string.h>

#include "directive.h"

#define VERSION          2
#define TAG_PERIOD       0x01
#define TAG_ACTORS       0x02
#define TAG_ACTIONS      0x03
#define TAG_PURPOSES     0x04
#define TAG_OWN_PURPOSES 0x05
#define TAG_LABELS       0x06
#define TAG_CLASSES      0x07
#define TAG_CODES        0x08
#define TAG_DATA_PERIOD  0x09
#define TAG_DATA         0x0A
#define TAG_PROVISIONS   0x0B
#define REFERENCE_WIDTH  8
#define PURPOSE_WIDTH    1
#define DATA_WIDTH       17
#define RANK_MAX         6

/* A provision taken apart; what it holds is borrowed, a list empty when absent. */
typedef struct phi_parsed_provision
{
	phi_verdict effect;
	int64_t from, until;
	phi_bytes actors;
	uint8_t actions; /* 0 when absent */
	phi_bytes purposes;
	phi_bytes own_purposes;
	uint8_t rank;
	uint64_t sensitivities;
	phi_bytes classes;
	phi_bytes codes;
	bool has_data_period;
	int64_t data_from, data_until;
	phi_bytes data;
	uint16_t nested_count;
	unsigned depends; /* PHI_DEPENDS_* of the attributes it has */
} phi_parsed_provision;

/* How certain it is that an attribute matches, in ascending order. */
typedef enum phi_certainty
{
	NEVER,
	PERHAPS,
	SURELY
} phi_certainty;

/* Order of two nested provisions: as bytes, then by size. */
static inline int
phi_provision_order(phi_bytes a, phi_bytes b)
{
	size_t common = a.size < b.size ? a.size : b.size;
	int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

	if (order != 0)
		return order;
	return a.size < b.size ? -1 : a.size > b.size;
}

/* ---- directive_parse.c ---- */

/* Split size bytes off the front of rest: every read of a program goes through here. */
extern bool phi_take(phi_bytes *rest, size_t size, phi_bytes *taken);

/* The effect and the attributes of a provision; what is left of rest is nested.  False: malformed. */
extern bool phi_provision_take(phi_bytes *rest, phi_parsed_provision *provision);

/* ---- directive_match.c ---- */

/*
 * Who, what for and when.  *valid_until is lowered to the next bound of the
 * period where the rest matches: only bounds that matter count.
 */
extern bool phi_context_matches(const phi_parsed_provision *provision,
								const phi_consent_request *request, int64_t *valid_until);

/* Which data; row may be NULL. */
extern bool phi_row_matches(const phi_parsed_provision *provision, const phi_consent_row *row);

#endif /* PHI_CORE_DIRECTIVE_FORMAT_H */
