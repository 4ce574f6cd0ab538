/*-------------------------------------------------------------------------
 * fhir.h
 *		FHIR Consent (R4 and R5) between JSON, a tree, and a compiled program;
 *		shared by the files fhir_*.c, store.c and import.c.
 *
 * The tree holds what is decided upon and nothing else: no narrative, no
 * display name, no witness.  Memory: everything is allocated in the caller's
 * context.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_FHIR_H
#define PHI_FHIR_H

#include "consent/consent.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* A coding; system is NULL where the code is one of HL7's that the tables know. */
typedef struct FhirCoding
{
	char *system;
	char *code;
} FhirCoding;

/* Whom a provision is about: prefix and name of a reference (docs/consent.md). */
typedef struct FhirActor
{
	const char *prefix; /* actor, role, organization or group */
	char *name;
} FhirActor;

/* Which data it is about. */
typedef struct FhirData
{
	phi_data_meaning meaning;
	char *reference; /* Type/id, or a URL that ends so */
} FhirData;

/* A period in microseconds since 1970; until is exclusive. */
typedef struct FhirPeriod
{
	bool present;
	int64 from, until;
} FhirPeriod;

typedef struct FhirProvision
{
	phi_verdict effect;
	FhirPeriod period;
	List *actors;   /* of FhirActor */
	List *actions;  /* of char *, codes of consentaction */
	List *purposes; /* of FhirCoding */
	List *labels;   /* of char *, codes of labels */
	List *classes;  /* of char *, resource types */
	List *codes;    /* of FhirCoding, with a system */
	FhirPeriod data_period;
	List *data;       /* of FhirData */
	List *provisions; /* of FhirProvision */
} FhirProvision;

typedef enum FhirStatus
{
	FHIR_ACTIVE,
	FHIR_INACTIVE, /* was in force once */
	FHIR_DRAFT,    /* never was */
	FHIR_VOID,     /* entered in error */
	FHIR_OTHER_SCOPE
} FhirStatus;

typedef struct FhirConsent
{
	int version;         /* 4 or 5: the release it was written in */
	const char *problem; /* why it is unsupported, a code; NULL when it is supported */
	FhirStatus status;
	char *id;            /* of the resource, or NULL */
	char *patient;       /* key of the subject, where the resource says it; or NULL */
	FhirPeriod dated;    /* when it was given, as exactly as that is said */
	List *policies;      /* of char *, URIs and system|code, each once, in order */
	List *organizations; /* of char *, references, likewise */
	FhirProvision root;
} FhirConsent;

/* ---- fhir_read.c ---- */

/*
 * Read a resource.  Raises when it is no Consent at all; sets problem for what
 * cannot be decided exactly.  legacy: take the base decision of an untyped R4
 * consent from its policyRule.
 */
extern FhirConsent *FhirRead(Jsonb *resource, bool legacy);

/* ---- fhir_values.c ---- */

/* A FHIR date, dateTime or instant as the span that it covers; false when it is none. */
extern bool FhirTimeRead(const char *text, int64 *from, int64 *until);
/*
 * The shortest text, of at least so many characters, that begins at from and
 * ends at until; PHI_TIME_MIN or PHI_TIME_MAX where that does not matter.  NULL
 * outside the years 1 to 9999.
 */
extern char *FhirSpanText(int64 from, int64 until, int shortest);

#define FHIR_WHOLE_YEAR 4
#define FHIR_WHOLE_DAY  10

/* Is it Type/id, or a URL that ends so?  The type's place in it. */
extern bool FhirReferenceType(const char *reference, const char **type, int *size);
/* A FHIR id: 1 to 64 letters, digits, dashes and points. */
extern bool FhirIsId(const char *text);
/* The actor that a FHIR reference stands for; false for a type that is none. */
extern bool FhirActorOfReference(const char *reference, FhirActor *actor);
/* The FHIR reference of an actor, or NULL where only an identifier can say it. */
extern char *FhirReferenceOfActor(const FhirActor *actor);

/* What the compiled program and the request share. */
extern uint64 FhirTypeReference(const char *reference); /* "class:Type" of Type/id */
extern uint64 FhirCodingReference(const char *prefix, const FhirCoding *coding);

/* ---- fhir_compile.c ---- */

/* Compile a tree; NULL when no program can hold it. */
extern bytea *FhirCompile(const FhirProvision *root);

/* ---- fhir_write.c ---- */

/* What decides, as R4 or R5; without the patient.  NULL where R5 has no way to say it. */
extern Jsonb *FhirWrite(const FhirConsent *consent, int version);

/* ---- fhir_prune.c ---- */

/* What an unsupported resource says, without names, narrative and who signed it. */
extern Jsonb *FhirPrune(Jsonb *resource);

/* Identifier systems of actors are this and their prefix. */
#define FHIR_ACTOR_SYSTEM "urn:phi-guard:"

/* Of a subject whose key is no FHIR id. */
#define FHIR_SUBJECT_SYSTEM "urn:phi-guard:subject"

#define FHIR_SYSTEM_REASON        "http://terminology.hl7.org/CodeSystem/v3-ActReason"
#define FHIR_SYSTEM_CONFIDENTIAL  "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
#define FHIR_SYSTEM_ACT_CODE      "http://terminology.hl7.org/CodeSystem/v3-ActCode"
#define FHIR_SYSTEM_PARTICIPATION "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
#define FHIR_SYSTEM_ACTION        "http://terminology.hl7.org/CodeSystem/consentaction"
#define FHIR_SYSTEM_SCOPE         "http://terminology.hl7.org/CodeSystem/consentscope"
#define FHIR_SYSTEM_CATEGORY      "http://terminology.hl7.org/CodeSystem/consentcategorycodes"
#define FHIR_SYSTEM_RESOURCE      "http://hl7.org/fhir/resource-types"
#define FHIR_SYSTEM_TYPE          "http://hl7.org/fhir/fhir-types"

#endif /* PHI_FHIR_H */
