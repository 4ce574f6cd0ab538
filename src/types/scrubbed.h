/*-------------------------------------------------------------------------
 * scrubbed.h
 *		A free text without the identifiers of its row.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_SCRUBBED_H
#define PHI_SCRUBBED_H

#include "platform/registry.h"

#include "core/envelope.h"
#include "core/known.h"
#include "types/inner.h"

#define OPENED_MAX 256 /* values, or parts of documents, that are told of a row */

/*
 * The identifiers of a row as arguments of a call, as the planner gives them,
 * and what the scrubber is told of them.
 */
typedef struct RowIdentifiers
{
	Oid relation; /* whose row it is */
	int keys;     /* first argument: its subject and primary key */
	int first;    /* first argument that is encrypted */
	int end;
	Oid types[FUNC_MAX_ARGS];        /* of the arguments from keys on */
	InnerType inners[FUNC_MAX_ARGS]; /* of those from first on */
	phi_known known;
	int opened_count;
	phi_bytes opened[OPENED_MAX]; /* what known points into */
} RowIdentifiers;

/* Set where the arguments are: behind the mark of the relation, up to the last one. */
extern void IdentifiersInit(RowIdentifiers *identifiers, FunctionCallInfo fcinfo, int mark);

/*
 * Open the identifiers of the row that a text of this column and header stands
 * in; key_texts: its primary key, empty where it is not given.  No disclosure:
 * nothing of them is shown.  False, with nothing open, where they are not all of
 * the table's, or one cannot be opened or belongs elsewhere.
 */
extern bool IdentifiersOpen(RowIdentifiers *identifiers, FunctionCallInfo fcinfo,
							const ProtectedColumn *column, const phi_header *header,
							const StringInfoData *key_texts);

/* Wipe them. */
extern void IdentifiersWipe(RowIdentifiers *identifiers);

/* A UTF-8 text with identifiers taken out, as a text of the server's encoding. */
extern Datum ScrubText(phi_bytes text, const phi_scrub_known *known, size_t count);

#endif /* PHI_SCRUBBED_H */
