/*-------------------------------------------------------------------------
 * history.h
 *		A row's image as JSON, in the form that the session may see.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_HISTORY_H
#define PHI_HISTORY_H

#include "platform/registry.h"

#include "core/image.h"
#include "lib/stringinfo.h"

/*
 * Append the image whose plain bytes these are as a JSON object: of a sealed
 * column what phi.reveal() would show, of a plain one its value, of any other
 * one null.  subject: the image's.
 */
extern void HistoryRowJson(const ProtectedRelation *policy, const phi_images *images, phi_bytes row,
						   uint64 subject, StringInfo json);

/* The label set of an image. */
extern uint16 HistoryRowLabels(const phi_images *images, phi_bytes row);

#endif /* PHI_HISTORY_H */
