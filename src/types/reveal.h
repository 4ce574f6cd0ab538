/*-------------------------------------------------------------------------
 * reveal.h
 *		Forms of a value for the session.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_REVEAL_H
#define PHI_REVEAL_H

#include "platform/registry.h"
#include "types/inner.h"
#include "core/envelope.h"

/*
 * A plain value of this type, that the session wrote itself into a column of
 * this subject and label set, in the form that the session sees.  No
 * disclosure: nothing is opened.
 */
extern Datum ShowWritten(const ProtectedColumn *column, Oid type, uint64 subject_token,
						 uint16 label_set, Datum plain, bool *isnull);

/*
 * A bound value of this column, found outside of its row, in the form that the
 * session sees; it counts as disclosed.  False where there is none to see.
 */
extern bool RevealStored(const ProtectedColumn *column, InnerType inner, Datum value,
						 const phi_header *header, Datum *shown);

/* Raise where no value may be revealed at all; function names who asks. */
extern void RefuseInImplicitCode(const char *function);

#endif /* PHI_REVEAL_H */
