/*-------------------------------------------------------------------------
 * leaf.h
 *		The leaf of an audit event, and its one rendering as JSON.
 *
 * Leaf, version 1 (docs/audit-log.md): the byte 1, then fields of tag, size
 * and value in ascending order of their tags.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_LEAF_H
#define PHI_CORE_LEAF_H

#include "bytes.h"

#define PHI_LEAF_VERSION  1
#define PHI_LEAF_TAGS     28 /* event_id to images */
#define PHI_LEAF_EVENT_ID 1

/*
 * Append the leaf as one JSON object without any newline.  It needs at most
 * 16 bytes for each of the leaf, and 512.  PHI_ERR_FORMAT for bytes that are no leaf,
 * PHI_ERR_VERSION for one of another version.
 */
extern phi_status phi_leaf_json(phi_bytes leaf, phi_buffer *out) PHI_CHECKED;

/* The event's number. */
extern phi_status phi_leaf_event(phi_bytes leaf, uint64_t *event) PHI_CHECKED;

#endif /* PHI_CORE_LEAF_H */
