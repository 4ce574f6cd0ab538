/*-------------------------------------------------------------------------
 * fhir_json.h
 *		Strict reading of FHIR JSON: what is not understood is a problem.
 *
 * The first problem stays; readers go on and their result is not used.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_FHIR_JSON_H
#define PHI_FHIR_JSON_H

#include "consent/fhir.h"

typedef struct FhirReader
{
	bool r5;
	const char *problem; /* a code, or NULL */
} FhirReader;

/* ---- fhir_json.c ---- */

/* Note a problem, unless there is one. */
extern void FhirProblem(FhirReader *reader, const char *problem);

/* A member of an object, or NULL. */
extern JsonbValue *FhirMember(JsonbContainer *object, const char *name);
/* Its text; NULL when absent, a problem when it is something else. */
extern char *FhirText(FhirReader *reader, JsonbContainer *object, const char *name);
/* A member that is an object; likewise. */
extern JsonbContainer *FhirObject(FhirReader *reader, JsonbContainer *object, const char *name);
/* The elements of a member that is an array of objects: a list of JsonbContainer; an empty array is a problem. */
extern List *FhirObjects(FhirReader *reader, JsonbContainer *object, const char *name);

/* Every member of the object must be one of those, or "id" or "extension". */
extern void FhirOnly(FhirReader *reader, JsonbContainer *object, const char *const *allowed);

/* A Coding, which must have a code; system is NULL when it has none. */
extern FhirCoding FhirCodingRead(FhirReader *reader, JsonbContainer *object);
/* The codings of a CodeableConcept: a list of FhirCoding, a problem when there is none. */
extern List *FhirConcept(FhirReader *reader, JsonbContainer *object);
/* Is the system of a coding this one, by today's name or an older one? */
extern bool FhirSystemIs(const FhirCoding *coding, const char *system);
/* A Period: absent, or not empty. */
extern FhirPeriod FhirPeriodRead(FhirReader *reader, JsonbContainer *object, const char *name);

/* ---- fhir_provision.c ---- */

/* The other one of permit and deny. */
extern phi_verdict FhirNegation(phi_verdict effect);
/* A text that is permit or deny; NA when absent. */
extern phi_verdict FhirEffect(FhirReader *reader, JsonbContainer *object, const char *name);
/* Does the role make an actor one who receives data?  Others select data by who keeps or wrote it. */
extern bool FhirIsRecipient(FhirReader *reader, JsonbContainer *actor);
/* One provision with all that it holds; its effect is decided already. */
extern void FhirProvisionRead(FhirReader *reader, JsonbContainer *object, phi_verdict effect,
							  FhirProvision *provision);

#endif /* PHI_FHIR_JSON_H */
