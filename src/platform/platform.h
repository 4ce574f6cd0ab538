/*-------------------------------------------------------------------------
 * platform.h
 *		The seam between phi_guard and PostgreSQL: errors, shared memory,
 *		secret memory, randomness, our own catalog objects, running as the
 *		extension's owner, canonical key text.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_PLATFORM_H
#define PHI_PLATFORM_H

#include "platform/compat.h"

#include "core/bytes.h"
#include "core/envelope.h"
#include "core/status.h"
#include "lib/stringinfo.h"
#include "storage/lwlock.h"
#include "utils/inval.h"

/* ---- errors.c: the only translation of a status to an error ---- */

/* Raise status as an error; action completes "could not <action>". */
extern PHI_NORETURN void ReportStatus(phi_status status, const char *action);

static inline void
CheckStatus(phi_status status, const char *action)
{
	if (unlikely(status != PHI_OK))
		ReportStatus(status, action);
}

/* Set by _PG_init when shared_preload_libraries loaded the library. */
extern bool PhiPreloaded;

/* Raise unless it did. */
extern void RequirePreload(void);

/*
 * Forget the error context callbacks before an error about a value is raised,
 * so that nobody's CONTEXT line (COPY prints the input) shows the value.
 */
extern void HideValueContext(void);

/* The current statement handles plain values: keep its text out of the log. */
extern void NoteSensitiveStatement(void);

extern void ErrorsInit(void); /* from _PG_init: the log hook */

/* ---- shmem.c: one shared area, divided by the capabilities ---- */

/* From _PG_init: ask for an area; *area is set at start-up in every process. */
extern void SharedMemoryRequest(const char *name, Size size, void (*initialize)(void *area),
								void **area);
/* From _PG_init, after every request. */
extern void SharedMemoryInit(void);

/* ---- secmem.c: memory for keys: wiped when freed, not dumped, locked if allowed ---- */

/* Keep an area out of core dumps and, where the limit allows, out of swap. */
extern void SecretProtect(void *area, Size size);
extern void SecretWipe(void *area, Size size);

/* ---- random.c ---- */

/* Random bytes from a pool of this process alone; raises when libcrypto cannot. */
extern void RandomBytes(uint8 *out, Size size);

/* ---- catalog.c: OIDs of our own objects, cached ---- */

extern bool ExtensionInstalled(void);		 /* in this database; cheap after the first call */
extern Oid ExtensionOwner(void);
extern Oid PhiSchema(void);					 /* raises when not installed */
extern Oid PhiRelation(const char *name);	 /* table, index or view of schema phi; raises when missing */
extern Oid PhiFunction(const char *name, int nargs); /* first of that name and arity; raises when missing */
/* The same, or 0: of what an extension that was not updated yet lacks. */
extern Oid PhiFunctionIfAny(const char *name, int nargs);
extern Oid PhiType(const char *name);
extern uint64 CatalogGeneration(void);		 /* changes when any of them may have */

/* ---- invalidate.c: relations that changed ---- */

/* From _PG_init: have the function called as a relcache callback is (argument 0; relation 0 stands for all). */
extern void OnRelationChange(RelcacheCallbackFunction function);

/* ---- owner.c: acting as the extension's owner, or as a table's owner ---- */

typedef struct OwnerScope
{
	Oid userid;
	int security_context;
	int guc_level;
} OwnerScope;

/*
 * Between Begin and End the current user is the extension's owner and
 * search_path is pg_catalog, pg_temp.  An error in between is undone by the
 * transaction's abort.
 */
extern void OwnerBegin(OwnerScope *scope);
/* Only the user changes, not search_path: for statements that qualify every name. */
extern void OwnerBeginQualified(OwnerScope *scope);
/* The same for the owner of a relation, in a security-restricted operation. */
extern void RelationOwnerBegin(OwnerScope *scope, Oid relation);
/* The same for a statement on the relation; not restricted, and search_path has its schema. */
extern void RelationOwnerBeginStatement(OwnerScope *scope, Oid relation);
extern void OwnerEnd(const OwnerScope *scope);
/* Is phi.run_as_owner() at work in this session? */
extern bool OwnerCommandInProgress(void);
/* Is it at work for this relation, and was it asked to open values when opening is true? */
extern bool OwnerCommandFor(Oid relation, bool opening);

/* ---- stored.c ---- */

/* Parse the header of a stored value without fetching all of it; raises when malformed. */
extern void ReadHeader(Datum value, phi_header *header);

/* ---- nesting.c: code that nobody called ---- */

/* Does a trigger run, or other code that a data-modifying statement runs by itself? */
extern bool ImplicitCodeRunning(void);
/* How many data-modifying statements run around the innermost one? */
extern int ModifyingStatementsAround(void);
/* Does a data-modifying statement run, or code below one? */
extern bool ModifyingStatementRunning(void);

/* Is a query being planned, somewhere up the stack? */
extern bool PlanningInProgress(void);

extern void NestingInit(void); /* from _PG_init: executor hooks */

/* ---- keytext.c: the canonical bytes of a key value ---- */

/*
 * Append the canonical form of one key value: integers in decimal, uuid in
 * lower-case with hyphens, text types as UTF-8, anything else as its binary
 * send form.  The value must not be NULL.
 */
extern void KeyTextAppend(StringInfo out, Datum value, Oid type);
/* The same with a 4-byte big-endian length before it: for composite keys. */
extern void KeyTextAppendCounted(StringInfo out, Datum value, Oid type);

#endif /* PHI_PLATFORM_H */
