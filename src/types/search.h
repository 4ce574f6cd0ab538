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

/* The column of this id, if it is searchable and the session sees its kind in full; or NULL. */
extern const ProtectedColumn *SearchableBySession(uint16 column_id);

/* The tag of plain UTF-8 text in a searchable column. */
extern void SearchTag(const ProtectedColumn *column, phi_bytes plain,
					  uint8 tag[PHI_SEARCH_TAG_SIZE]);

/*
 * A value that equals those of the column with this text and nothing else: a
 * header with the tag, of no use but for comparison.
 */
extern struct varlena *SearchKey(const ProtectedColumn *column, phi_bytes plain);

/* The same for a text of the server's encoding. */
extern struct varlena *SearchKeyOfText(const ProtectedColumn *column, Datum plain);

extern void SearchPlannerInit(void); /* from _PG_init, after PlannerInit */

#endif /* PHI_SEARCH_H */
