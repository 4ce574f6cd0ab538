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

/* The tag of plain UTF-8 text in a searchable column, under the key of a generation. */
extern void SearchTagOf(const ProtectedColumn *column, uint8 generation, phi_bytes plain,
						uint8 tag[PHI_SEARCH_TAG_SIZE]);

/*
 * The tag that a value is to be stored with.  While tags are being moved to
 * the next generation, the part that this one belongs to stays as it is until
 * the transaction ends.
 */
extern void SearchTag(const ProtectedColumn *column, phi_bytes plain,
					  uint8 tag[PHI_SEARCH_TAG_SIZE]);

/* Has a stored value of the column the tag that it should have by now? */
extern bool SearchTagCurrent(const ProtectedColumn *column, const phi_header *header);

/*
 * A value comes to the column as it is, sealed: keep the part that its tag
 * belongs to as it is.  The column as it is then.
 */
extern const ProtectedColumn *SearchHold(const ProtectedColumn *column, const phi_header *header);

/*
 * A value that equals those of the column with this text and nothing else: a
 * header with the tag, of no use but for comparison.
 */
extern struct varlena *SearchKey(const ProtectedColumn *column, uint8 generation, phi_bytes plain);

/* The same for a text of the server's encoding. */
extern struct varlena *SearchKeyOfText(const ProtectedColumn *column, uint8 generation,
									   Datum plain);

extern void SearchPlannerInit(void); /* from _PG_init, after PlannerInit */

#endif /* PHI_SEARCH_H */
