/*-------------------------------------------------------------------------
 * row.c
 *		The row predicate, and the map of decisions behind it.
 *
 * For subjects with a small whole number as key, and rows without labels, the
 * predicate keeps the decisions themselves, two bits a subject, in pages that a
 * scan in key order walks through; everything else asks for a decision by
 * token.
 *
 * The kept decisions are those of rows that the session's roles have a rule
 * for.  They are void with the verdicts (VerdictGeneration), which a change of
 * phi.open_purposes voids too.  Where the verdicts are shared with parallel
 * workers, so are the first pages, and all of them write: a bit is only ever
 * set, and everybody would set the same.
 *
 * Memory: a context below CacheMemoryContext, at most 16 MB and at most
 * phi.decision_cache.
 *-------------------------------------------------------------------------
 */
#include "consent/verdict.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "session/session.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(phi_row_access);

/* Keys from 0 to MAP_KEYS are kept: PAGES pages of 2^PAGE_SHIFT subjects each. */
#define PAGE_SHIFT 15
#define PAGE_BYTES (1 << (PAGE_SHIFT - 2))
#define PAGES      2048
#define MAP_KEYS   ((int64) PAGES << PAGE_SHIFT)

/* The two bits of a subject. */
#define KEPT_UNKNOWN 0
#define KEPT_DENY    1
#define KEPT_PERMIT  2

typedef struct DecisionMap
{
	MemoryContext context;
	uint64 verdict_generation;
	Size used;                      /* by pages of our own */
	void *shared;                   /* where the first pages are, in a shared block */
	pg_atomic_uint32 *pages[PAGES]; /* PAGE_BYTES each */
} DecisionMap;

/* What a call site of the row predicate knows, and when it last made sure. */
typedef struct RowState
{
	Oid relation;
	Oid subject_type;
	uint64 registry_generation;
	uint64 kinds;
	bool rule; /* the session has a rule for one of the kinds */
	Oid user;
	uint64 tick;
	uint64 session_tick;
	TimestampTz statement;
} RowState;

static DecisionMap Map;

/* Put the first pages of the map, with what is on them, into the block shared with workers. */
static void
UseSharedPages(void)
{
	char *shared = SharedMap();

	if (!shared || Map.shared == shared)
		return;
	for (int i = 0; i < SHARED_MAP_BYTES / PAGE_BYTES; i++)
	{
		pg_atomic_uint32 *page = (pg_atomic_uint32 *) (shared + i * PAGE_BYTES);

		if (Map.pages[i])
			memcpy(page, Map.pages[i], PAGE_BYTES);
		Map.pages[i] = page;
	}
	Map.shared = shared;
	DecisionTick++;
}

/* Begin the map anew where it is void. */
static inline void
PrepareMap(void)
{
	uint64 generation = VerdictGeneration();

	if (likely(Map.verdict_generation == generation))
		return;
	if (!Map.context)
		Map.context = AllocSetContextCreate(CacheMemoryContext, "phi_guard decisions",
											ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(Map.context);
	memset(Map.pages, 0, sizeof(Map.pages));
	Map.used = 0;
	Map.shared = NULL;
	Map.verdict_generation = generation;
	DecisionTick++;
	UseSharedPages();
}

/* What is kept of a key. */
static inline uint32
KeptDecision(int64 key)
{
	pg_atomic_uint32 *page = Map.pages[key >> PAGE_SHIFT];
	uint32 bit = (uint32) (key & ((1 << PAGE_SHIFT) - 1)) * 2;

	return page ? (pg_atomic_read_u32(&page[bit >> 5]) >> (bit & 31)) & 3 : KEPT_UNKNOWN;
}

/* Keep a decision, if the memory suffices. */
static void
KeepDecision(int64 key, bool permit)
{
	pg_atomic_uint32 **page = &Map.pages[key >> PAGE_SHIFT];
	uint32 bit = (uint32) (key & ((1 << PAGE_SHIFT) - 1)) * 2;

	if (!*page)
	{
		if (Map.used + PAGE_BYTES > DecisionCacheLimit())
			return;
		*page = MemoryContextAllocZero(Map.context, PAGE_BYTES);
		Map.used += PAGE_BYTES;
	}
	pg_atomic_fetch_or_u32(&(*page)[bit >> 5], (uint32) (permit ? KEPT_PERMIT : KEPT_DENY)
												   << (bit & 31));
}

/* The value of an integer subject, or -1 for one that the map does not hold. */
static inline int64
MapKey(Datum subject, Oid type)
{
	int64 key = -1;

	if (type == INT8OID)
		key = DatumGetInt64(subject);
	else if (type == INT4OID)
		key = DatumGetInt32(subject);
	else if (type == INT2OID)
		key = DatumGetInt16(subject);
	return key >= 0 && key < MAP_KEYS ? key : -1;
}

/* Does the reason lie with the subject alone, so that the map may keep the decision? */
static bool
ReasonIsSubject(phi_reason reason)
{
	return reason == PHI_REASON_CONSENT_DENIES || reason == PHI_REASON_CONSENT_PERMITS ||
		   reason == PHI_REASON_DEFAULT_PERMIT || reason == PHI_REASON_DEFAULT_DENY;
}

/*
 * Decide for a row without labels, and keep the decision, unless an
 * invalidation came meanwhile: then it may belong to another map.
 */
static bool
MappedDecision(int64 key, Datum subject, Oid type, uint64 kinds)
{
	uint64 token = SubjectToken(subject, type);
	phi_decision decision;
	uint64 generation;

	PrepareMap();
	generation = Map.verdict_generation;
	decision = DecideWithDemands(token, 0, kinds);
	PrepareMap();
	if (generation == Map.verdict_generation && ReasonIsSubject(decision.reason))
		KeepDecision(key, decision.permit);
	return decision.permit;
}

/* The kinds of a protected relation; none, and with that no rule, for any other. */
static void
ReadRelationKinds(RowState *state, Oid relation)
{
	const ProtectedRelation *protected = RegistryRelation(relation);

	state->kinds = protected ? protected->kinds : 0;
	state->relation = relation;
	state->registry_generation = RegistryGeneration();
}

/* Does everything that the state stands for still hold? */
static inline bool
RowStateHolds(const RowState *state, Oid relation)
{
	return state->tick == DecisionTick && state->session_tick == SessionTick &&
		   state->relation == relation && state->user == GetSessionUserId() &&
		   state->statement == GetCurrentStatementStartTimestamp();
}

/*
 * Make sure of everything, again if something moved meanwhile: the kinds of
 * the relation, the session's rule for them, the map.
 */
static void
RenewRowState(RowState *state, Oid relation)
{
	do
	{
		state->tick = DecisionTick;
		state->session_tick = SessionTick;
		state->user = GetSessionUserId();
		state->statement = GetCurrentStatementStartTimestamp();
		if (state->relation != relation || state->registry_generation != RegistryGeneration())
			ReadRelationKinds(state, relation);
		state->rule = RuleExists(state->kinds);
		if (state->rule)
			PrepareMap();
	} while (!RowStateHolds(state, relation));
}

/* The state of this call site, made at its first call. */
static RowState *
GetRowState(FunctionCallInfo fcinfo)
{
	RowState *state = fcinfo->flinfo->fn_extra;

	if (likely(state != NULL))
		return state;
	RequirePreload();
	state = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(RowState));
	state->subject_type = SubjectArgumentType(fcinfo, 1);
	fcinfo->flinfo->fn_extra = state;
	return state;
}

/*
 * phi.row_access(relation, subject, labels): may the session see rows of
 * relation that belong to subject?  The predicate of policies and of the
 * planner hook; false for a null subject.
 */
Datum
phi_row_access(PG_FUNCTION_ARGS)
{
	RowState *state = GetRowState(fcinfo);
	unsigned demands = 0;
	int64 key = -1;
	uint32 kept;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	if (unlikely(!RowStateHolds(state, PG_GETARG_OID(0))))
		RenewRowState(state, PG_GETARG_OID(0));
	if (!state->rule)
		PG_RETURN_BOOL(false);
	if (!PG_ARGISNULL(2))
		demands = LabelDemandsOfArray(PG_GETARG_DATUM(2));
	if (demands == 0)
		key = MapKey(PG_GETARG_DATUM(1), state->subject_type);
	if (key < 0)
		PG_RETURN_BOOL(DecideWithDemands(SubjectToken(PG_GETARG_DATUM(1), state->subject_type),
										 demands, state->kinds)
						   .permit);
	kept = KeptDecision(key);
	if (likely(kept != KEPT_UNKNOWN))
		PG_RETURN_BOOL(kept == KEPT_PERMIT);
	PG_RETURN_BOOL(MappedDecision(key, PG_GETARG_DATUM(1), state->subject_type, state->kinds));
}

/* Does the statement read a protected relation? */
static bool
ReadsProtected(PlannedStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->rtable)
	{
		RangeTblEntry *entry = lfirst(cell);

		if (entry->rtekind == RTE_RELATION && RegistryRelation(entry->relid))
			return true;
	}
	return false;
}

void
ShareRowDecisions(PlannedStmt *statement)
{
	if (!statement->parallelModeNeeded || IsInParallelMode() || !ReadsProtected(statement) ||
		SessionRuleKinds() == 0)
		return;
	PrepareMap();
	if (ShareVerdicts())
	{
		PrepareMap();
		UseSharedPages();
	}
}
