/*-------------------------------------------------------------------------
 * foreign.h
 *		Code in expressions that PostgreSQL runs in other people's queries
 *		(foreign.c).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_REDACT_FOREIGN_H
#define PHI_REDACT_FOREIGN_H

#include "platform/platform.h"

#include "utils/rel.h"

/* A policy of pg_policy, with its expressions as trees of the current memory context. */
typedef struct Policy
{
	Oid oid;
	char *name;
	char command;
	bool permissive;
	bool for_all; /* roles: PUBLIC */
	Node *qual;   /* or NULL */
	Node *check;  /* or NULL */
} Policy;

/* The policies of a relation: a list of Policy. */
extern List *PoliciesOf(Oid relid);

/* Would the policy run phi.reveal, or code that is neither PostgreSQL's, ours nor a superuser's? */
extern bool PolicyIsForeign(const Policy *policy);

/* Does a view do anything but show one table by PostgreSQL's and our functions? */
extern bool ViewIsForeign(Relation view, Oid table);

/* Did this transaction make a constraint, default, index or the like that calls phi.reveal? */
extern bool RevealIsStored(void);

#endif /* PHI_REDACT_FOREIGN_H */
