/*-------------------------------------------------------------------------
 * reveal.h
 *		Forms of a value for the session.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_REVEAL_H
#define PHI_REVEAL_H

#include "platform/registry.h"

/*
 * A plain value of this type, that the session wrote itself into a column of
 * this subject and label set, in the form that the session sees.  No
 * disclosure: nothing is opened.
 */
extern Datum ShowWritten(const ProtectedColumn *column, Oid type, uint64 subject_token,
						 uint16 label_set, Datum plain, bool *isnull);

#endif /* PHI_REVEAL_H */
