/*-------------------------------------------------------------------------
 * consent.h
 *		Decisions: role rules, directives, verdicts, the row predicate.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CONSENT_H
#define PHI_CONSENT_H

#include "platform/platform.h"
#include "platform/registry.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "consent/attributes.h"
#include "core/decide.h"
#include "core/forms.h"

/* ---- labels.c: label sets; an id never changes its meaning; 0 is the empty set ---- */

extern phi_labels LabelSetLabels(uint16 label_set);
/* The id of a text[] of label codes (NULL: 0), made when new; unknown codes raise. */
extern uint16 LabelSetId(Datum labels, bool isnull);

/* ---- rules.c: the forms that the session's roles see, for its purpose ---- */

/* The most detailed form of a kind in the session's roles and purpose; none without a rule. */
extern phi_form SessionForm(phi_kind kind);
/* Kinds with a rule for the session's roles and purpose, as a set of bits. */
extern uint64 SessionRuleKinds(void);

/* ---- verdict.c: consent of a subject for the current session, cached ---- */

/* For a row of which this is known. */
extern phi_verdict SubjectVerdict(uint64 subject_token, RowFacts *facts);

/* ---- access.c: the decision ---- */

/*
 * Decide about a sealed value: its subject and label set, and the column it was
 * sealed for.  attributes: those of the row it stands in, where a row filter
 * has seen it; without them nothing is known but its labels and class.
 */
extern phi_decision DecideAccess(uint64 subject_token, uint16 label_set,
								 const ProtectedColumn *column, const RowAttributes *attributes);

/* DisclosureNote() of a value that the decision lets the session see. */
extern void NoteDisclosure(const ProtectedColumn *column, phi_form form, uint64 subject_token,
						   const phi_decision *decision, bool shown);

/* ---- stored_row.c ---- */

/* What the row predicate says of a row of the relation, with the columns of the relation asked for. */
extern bool StoredRowPermitted(const ProtectedRelation *relation, HeapTuple row, TupleDesc columns);

/* The base type of a subject argument; raises for what is no subject key. */
extern Oid SubjectArgumentType(FunctionCallInfo fcinfo, int argument);

/* ---- planner.c ---- */

/* Is the function one that reveals?  In the session's own form, that a search may replace? */
extern bool IsRevealFunction(Oid function);
extern bool IsPlainRevealFunction(Oid function);

extern void PlannerInit(void); /* from ConsentInit: the planner hook */

extern void ConsentInit(void); /* from _PG_init: settings, caches, planner hook */

#endif /* PHI_CONSENT_H */
