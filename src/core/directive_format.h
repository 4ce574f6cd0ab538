/*-------------------------------------------------------------------------
 * directive_format.h
 *		What the compiler and the evaluator of directives share of the format
 *		(directive.h).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_DIRECTIVE_FORMAT_H
#define PHI_CORE_DIRECTIVE_FORMAT_H

#include <string.h>

#include "bytes.h"

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

#endif /* PHI_CORE_DIRECTIVE_FORMAT_H */
