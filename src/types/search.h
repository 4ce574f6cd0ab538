/*-------------------------------------------------------------------------
 * search.h
 *		Search tags: equality on sealed identifiers.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_SEARCH_H
#define PHI_SEARCH_H

#include "platform/platform.h"
#include "platform/registry.h"

#include "core/envelope.h"

/* The tag of plain UTF-8 text in a searchable column. */
extern void SearchTag(const ProtectedColumn *column, phi_bytes plain,
					  uint8 tag[PHI_SEARCH_TAG_SIZE]);

/*
 * A value that equals those of the column with this text and nothing else: a
 * header with the tag, of no use but for comparison.
 */
extern struct varlena *SearchKey(const ProtectedColumn *column, phi_bytes plain);

extern void SearchPlannerInit(void); /* from _PG_init, after PlannerInit */

#endif /* PHI_SEARCH_H */
