/*-------------------------------------------------------------------------
 * store.h
 *		Recording consents in phi.consent.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_STORE_H
#define PHI_STORE_H

#include "consent/fhir.h"

/* A consent to be recorded, in its parts. */
typedef struct NewConsent
{
	uint64 token;
	char *subject; /* canonical key text, in the database's encoding */
	const char *status;
	bytea *program;       /* NULL: unsupported */
	phi_verdict decision; /* the base; NA when unsupported */
	Jsonb *source;
	const char *problem; /* why it is unsupported, or NULL */
	char *fhir_id;       /* or NULL */
	FhirPeriod dated;
	uint64 lineage; /* what it shares with those it supersedes; 0 for none */
} NewConsent;

/* Insert the row; the id it got. */
extern int64 InsertConsent(const NewConsent *consent);

/*
 * Replace earlier versions of the same resource, and have the newest of a
 * lineage supersede those before it: the status that the consent came to.
 */
extern char *SettleConsent(int64 id, const NewConsent *consent);

/* Append the event of a change to the audit log. */
extern void AuditConsent(const char *detail, uint64 token, int64 id);

#endif /* PHI_STORE_H */
