/*-------------------------------------------------------------------------
 * entries.h
 *		Verdicts by subject, with the programs of those that depend on the row.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_ENTRIES_H
#define PHI_ENTRIES_H

#include "consent/attributes.h"

typedef struct VerdictEntry
{
	uint64 token;
	uint32 programs; /* offset of the first one, 0 when there is none */
	char status;	 /* of simplehash */
	uint8 verdict;	 /* of the consents that do not depend on the row */
	uint8 depends;	 /* PHI_DEPENDS_* of the others */
} VerdictEntry;

typedef struct VerdictStore
{
	MemoryContext context;
	struct verdict_hash *entries;
	char *programs;
	uint32 programs_used; /* bytes; the first ones are never used */
	uint32 programs_size; /* 0: borrowed, and not to be added to */
} VerdictStore;

/* Begin an empty store; its memory is that of the context, which the caller resets. */
extern void StoreBegin(VerdictStore *store, MemoryContext context);

/* Would so many more bytes of programs make the store outgrow limit bytes? */
extern bool StoreIsFull(const VerdictStore *store, Size program, Size limit);

/* Have an entry for the subject, made with verdict NA when new. */
extern VerdictEntry *StoreEntry(VerdictStore *store, uint64 token);

/* Combine one consent into the entry of its subject: its verdict, or its program. */
extern void StoreAdd(VerdictStore *store, uint64 token, const phi_consent_answer *answer,
					 phi_bytes program);

/* NULL when the subject has none. */
extern const VerdictEntry *StoreFind(const VerdictStore *store, uint64 token);

/* The verdict of an entry for a row; what it depends on is gathered into facts. */
extern phi_verdict StoreVerdict(const VerdictStore *store, const VerdictEntry *entry,
								const phi_consent_request *request, RowFacts *facts);

/* Call take for the subjects whose verdict may be PERMIT for some row, until it returns false. */
extern bool StorePermitted(const VerdictStore *store, bool (*take)(uint64 token, void *context),
						   void *context);

/* How many subjects have a verdict of DENY, and how many one that may be PERMIT. */
extern void StoreCount(const VerdictStore *store, double *denied, double *permitted);

/* ---- a store in one block of memory, as others can map it ---- */

extern Size StoreBlockSize(const VerdictStore *store);
extern void StoreWrite(const VerdictStore *store, void *block);
/* Use a block instead of own memory; context as for StoreBegin. */
extern void StoreBorrow(VerdictStore *store, MemoryContext context, void *block);

#endif /* PHI_ENTRIES_H */
