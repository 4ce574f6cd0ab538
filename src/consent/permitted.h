/*-------------------------------------------------------------------------
 * permitted.h
 *		The subjects that a session may see, where that is a list.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_PERMITTED_H
#define PHI_PERMITTED_H

#include "consent/verdict.h"

/*
 * How many subjects the session may see something of; negative where that is
 * no list, because subjects without a consent are seen too, or where it is not
 * at hand.  Reads no table of consents.
 */
extern double PermittedCount(void);

/* The type of the elements of a list of subjects in a column of this type; 0 where there are no lists. */
extern Oid SubjectListElement(Oid type);

/* Forget plans that look subjects up in an index, when they were made for another session. */
extern void PermittedRenewPlans(void);

/* A plan was made that does. */
extern void PermittedNotePlan(void);

#endif /* PHI_PERMITTED_H */
