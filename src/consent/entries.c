/*-------------------------------------------------------------------------
 * entries.c
 *		Verdicts by subject, with the programs of those that depend on the row.
 *
 * An entry holds what the consents of a subject say that are the same for all
 * its rows.  Programs whose answer depends on the row stand in one stretch of
 * memory, chained by offset, so that a store can be copied as it is.
 *
 * Memory: everything is in the context that the store was begun with, or in a
 * block of others.
 *-------------------------------------------------------------------------
 */
#include "consent/entries.h"

#include "utils/memutils.h"

/* Buckets of a fresh store. */
#define FIRST_SIZE 1024

/* Bytes of a fresh stretch of programs. */
#define FIRST_PROGRAMS 8192

/* A token is the output of a keyed hash already. */
#define SH_PREFIX            verdict
#define SH_ELEMENT_TYPE      VerdictEntry
#define SH_KEY_TYPE          uint64
#define SH_KEY               token
#define SH_HASH_KEY(tb, key) ((uint32) (key))
#define SH_EQUAL(tb, a, b)   ((a) == (b))
#define SH_SCOPE             static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

/* A program in its stretch of memory, on a multiple of 8. */
typedef struct ProgramRecord
{
	uint32 next;
	uint32 size;
	uint8 bytes[FLEXIBLE_ARRAY_MEMBER];
} ProgramRecord;

/* The head of a block; programs and entries follow. */
typedef struct StoreBlock
{
	verdict_hash entries; /* its pointers mean nothing to others */
	uint32 programs_used;
} StoreBlock;

#define BLOCK_HEAD MAXALIGN(sizeof(StoreBlock))

void
StoreBegin(VerdictStore *store, MemoryContext context)
{
	store->context = context;
	store->entries = verdict_create(context, FIRST_SIZE, NULL);
	store->programs_size = FIRST_PROGRAMS;
	store->programs = MemoryContextAlloc(context, store->programs_size);
	store->programs_used = offsetof(ProgramRecord, bytes);
}

/* Bytes that a program takes. */
static inline Size
RecordSize(Size program)
{
	return MAXALIGN(offsetof(ProgramRecord, bytes) + program);
}

bool
StoreIsFull(const VerdictStore *store, Size program, Size limit)
{
	const verdict_hash *entries = store->entries;
	uint64 buckets = entries->size;
	uint64 programs = store->programs_size;

	if (entries->members >= entries->grow_threshold)
		buckets *= 2;
	if (program > 0 && store->programs_used + RecordSize(program) > programs)
		programs *= 2;
	if (programs > PG_UINT32_MAX)
		return true;
	return (buckets > entries->size || programs > store->programs_size) &&
		   buckets * sizeof(VerdictEntry) + programs > limit;
}

VerdictEntry *
StoreEntry(VerdictStore *store, uint64 token)
{
	bool found;
	VerdictEntry *entry = verdict_insert(store->entries, token, &found);

	if (!found)
	{
		entry->programs = 0;
		entry->verdict = PHI_VERDICT_NA;
		entry->depends = 0;
	}
	return entry;
}

/* Room for a program: its offset. */
static uint32
MakeRoom(VerdictStore *store, Size program)
{
	Size needed = add_size(store->programs_used, RecordSize(program));
	uint32 offset = store->programs_used;

	if (needed > store->programs_size)
	{
		Size size = store->programs_size;

		while (size < needed)
			size *= 2;
		if (size > PG_UINT32_MAX)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("too many consents that depend on the row")));
		store->programs = repalloc_huge(store->programs, size);
		store->programs_size = (uint32) size;
	}
	store->programs_used = (uint32) needed;
	return offset;
}

void
StoreAdd(VerdictStore *store, uint64 token, const phi_consent_answer *answer, phi_bytes program)
{
	VerdictEntry *entry = StoreEntry(store, token);
	ProgramRecord *record;
	uint32 offset;

	if (answer->depends == 0)
	{
		entry->verdict = phi_verdict_combine(entry->verdict, answer->verdict);
		return;
	}
	offset = MakeRoom(store, program.size);
	record = (ProgramRecord *) (store->programs + offset);
	record->next = entry->programs;
	record->size = (uint32) program.size;
	memcpy(record->bytes, program.data, program.size);
	entry->programs = offset;
	entry->depends |= answer->depends;
}

const VerdictEntry *
StoreFind(const VerdictStore *store, uint64 token)
{
	return verdict_lookup(store->entries, token);
}

phi_verdict
StoreVerdict(const VerdictStore *store, const VerdictEntry *entry,
			 const phi_consent_request *request, RowFacts *facts)
{
	phi_verdict verdict = (phi_verdict) entry->verdict;
	phi_consent_request asked = *request;

	if (likely(entry->depends == 0 || verdict == PHI_VERDICT_DENY))
		return verdict;
	FactsGather(facts, entry->depends);
	asked.row = &facts->row;
	for (uint32 offset = entry->programs; offset != 0;)
	{
		const ProgramRecord *record = (const ProgramRecord *) (store->programs + offset);
		phi_consent_answer answer = phi_consent_answer_none();

		if (phi_directive_evaluate(phi_bytes_of(record->bytes, record->size), &asked, &answer) !=
			PHI_OK)
			answer.verdict = PHI_VERDICT_DENY;
		verdict = phi_verdict_combine(verdict, answer.verdict);
		offset = record->next;
	}
	return verdict;
}

/* May the verdict of the entry be PERMIT for some row? */
static inline bool
MayPermit(const VerdictEntry *entry)
{
	return entry->verdict == PHI_VERDICT_PERMIT ||
		   (entry->verdict == PHI_VERDICT_NA && entry->depends != 0);
}

bool
StorePermitted(const VerdictStore *store, bool (*take)(uint64 token, void *context), void *context)
{
	verdict_iterator iterator;
	VerdictEntry *entry;
	bool going = true;

	verdict_start_iterate(store->entries, &iterator);
	while (going && (entry = verdict_iterate(store->entries, &iterator)) != NULL)
		if (MayPermit(entry))
			going = take(entry->token, context);
	return going;
}

void
StoreCount(const VerdictStore *store, double *denied, double *permitted)
{
	verdict_iterator iterator;
	VerdictEntry *entry;

	*denied = *permitted = 0;
	verdict_start_iterate(store->entries, &iterator);
	while ((entry = verdict_iterate(store->entries, &iterator)) != NULL)
	{
		*denied += entry->verdict == PHI_VERDICT_DENY ? 1 : 0;
		*permitted += MayPermit(entry) ? 1 : 0;
	}
}

/* Where the entries of a block begin. */
static inline Size
BlockEntries(uint32 programs_used)
{
	return BLOCK_HEAD + MAXALIGN(programs_used);
}

Size
StoreBlockSize(const VerdictStore *store)
{
	return add_size(BlockEntries(store->programs_used),
					mul_size(store->entries->size, sizeof(VerdictEntry)));
}

void
StoreWrite(const VerdictStore *store, void *block)
{
	StoreBlock *head = block;

	head->entries = *store->entries;
	head->programs_used = store->programs_used;
	memcpy((char *) block + BLOCK_HEAD, store->programs, store->programs_used);
	memcpy((char *) block + BlockEntries(store->programs_used), store->entries->data,
		   store->entries->size * sizeof(VerdictEntry));
}

void
StoreBorrow(VerdictStore *store, MemoryContext context, void *block)
{
	StoreBlock *head = block;

	store->context = context;
	store->entries = MemoryContextAlloc(context, sizeof(verdict_hash));
	*store->entries = head->entries;
	store->entries->ctx = context;
	store->entries->data = (VerdictEntry *) ((char *) block + BlockEntries(head->programs_used));
	store->programs = (char *) block + BLOCK_HEAD;
	store->programs_used = head->programs_used;
	store->programs_size = 0;
}
