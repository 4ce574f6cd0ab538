/*-------------------------------------------------------------------------
 * access.c
 *		The decision about a subject, and the row predicate.
 *
 * phi_decide() decides; what is here gathers its input.  For subjects with a
 * small whole number as key, and rows without labels, the row predicate keeps
 * the decisions themselves, two bits a subject, in pages that a scan in key
 * order walks through; everything else asks the verdict cache by token.
 *
 * The kept decisions are those of rows that the session's roles have a rule
 * for.  They are void with the verdicts (VerdictGeneration) and with
 * phi.open_purposes.  Memory: a context below CacheMemoryContext, at most 16 MB
 * and at most phi.decision_cache.
 *
 * Messages that revoke something are read when a statement starts to run, each
 * time, because a transaction that already holds its locks would not look.
 *-------------------------------------------------------------------------
 */
#include "consent/verdict.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "session/session.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(phi_can_access);
PG_FUNCTION_INFO_V1(phi_row_access);

/* Keys from 0 to MAP_KEYS are kept: PAGES pages of 2^PAGE_SHIFT subjects each. */
#define PAGE_SHIFT 15
#define PAGE_BYTES (1 << (PAGE_SHIFT - 2))
#define PAGES	   2048
#define MAP_KEYS   ((int64) PAGES << PAGE_SHIFT)

/* The two bits of a subject. */
#define KEPT_UNKNOWN 0
#define KEPT_DENY	 1
#define KEPT_PERMIT	 2

typedef struct DecisionMap
{
	MemoryContext context;
	uint64 verdict_generation;
	bool open_purposes;
	Size used;
	uint8 *pages[PAGES];
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

/*
 * Moves with every relcache invalidation, every run of the executor and every
 * start of the map: while it stands still, and session and statement are the
 * same, a call site need not ask the generations.
 */
static uint64 Tick = 1;

/* phi.open_purposes */
static bool OpenPurposes = false;

/* The hook that was there before ours. */
static ExecutorRun_hook_type PreviousRun = NULL;

/*
 * Gather the input and decide.  The consent of a subject matters only to an
 * identified session with a purpose and a rule; it is not looked up otherwise.
 */
phi_decision
DecideWithDemands(uint64 subject_token, unsigned demands, uint64 kinds, int64 *directive)
{
	const SessionContext *session = SessionCurrent();
	phi_decision_input input = {0};

	input.identity = session->identified;
	input.purpose_stated = session->purpose_stated;
	input.purpose = session->purpose;
	input.role_rule = RuleExists(kinds);
	input.label_demands = demands;
	input.other_purposes_open = OpenPurposes;
	input.consent = PHI_VERDICT_NA;
	if (input.identity && input.purpose_stated && input.role_rule)
		input.consent = directive ? ReadVerdict(subject_token, directive) : SubjectVerdict(subject_token);
	return phi_decide(&input);
}

phi_decision
DecideAccess(uint64 subject_token, uint16 label_set, uint64 kinds)
{
	phi_labels labels = LabelSetLabels(label_set);
	unsigned demands = label_set == 0 ? 0 : phi_label_demands(&labels);

	return DecideWithDemands(subject_token, demands, kinds, NULL);
}

Oid
SubjectArgumentType(FunctionCallInfo fcinfo, int argument)
{
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, argument);

	if (OidIsValid(type))
		type = getBaseType(type);
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case UUIDOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case UNKNOWNOID:
			return type;
		default:
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("a subject is an integer, a uuid or a text"),
							errhint("Cast it to the type of the subject column.")));
	}
}

/* Begin the map anew where it is void. */
static inline void
PrepareMap(void)
{
	uint64 generation = VerdictGeneration();

	if (likely(Map.verdict_generation == generation && Map.open_purposes == OpenPurposes))
		return;
	if (!Map.context)
		Map.context = AllocSetContextCreate(CacheMemoryContext, "phi_guard decisions",
											ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(Map.context);
	memset(Map.pages, 0, sizeof(Map.pages));
	Map.used = 0;
	Map.verdict_generation = generation;
	Map.open_purposes = OpenPurposes;
	Tick++;
}

/* What is kept of a key. */
static inline int
KeptDecision(int64 key)
{
	const uint8 *page = Map.pages[key >> PAGE_SHIFT];
	uint32 bit = (uint32) (key & ((1 << PAGE_SHIFT) - 1)) * 2;

	return page ? (page[bit >> 3] >> (bit & 7)) & 3 : KEPT_UNKNOWN;
}

/* Keep a decision, if the memory suffices; the key's bits were unknown. */
static void
KeepDecision(int64 key, bool permit)
{
	uint8 **page = &Map.pages[key >> PAGE_SHIFT];
	uint32 bit = (uint32) (key & ((1 << PAGE_SHIFT) - 1)) * 2;

	if (!*page)
	{
		if (Map.used + PAGE_BYTES > DecisionCacheLimit())
			return;
		*page = MemoryContextAllocZero(Map.context, PAGE_BYTES);
		Map.used += PAGE_BYTES;
	}
	(*page)[bit >> 3] |= (uint8) ((permit ? KEPT_PERMIT : KEPT_DENY) << (bit & 7));
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
 * Decide for a row without labels, and keep the decision.  The look-up may
 * have taken an invalidation in, of the map or of the rule: both are asked again.
 */
static bool
MappedDecision(int64 key, Datum subject, Oid type, uint64 kinds)
{
	phi_decision decision = DecideWithDemands(SubjectToken(subject, type), 0, kinds, NULL);

	PrepareMap();
	if (ReasonIsSubject(decision.reason) && KeptDecision(key) == KEPT_UNKNOWN)
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
	return state->tick == Tick && state->session_tick == SessionTick &&
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
		state->tick = Tick;
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
	int kept;

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
										 demands, state->kinds, NULL)
						   .permit);
	kept = KeptDecision(key);
	if (likely(kept != KEPT_UNKNOWN))
		PG_RETURN_BOOL(kept == KEPT_PERMIT);
	PG_RETURN_BOOL(
		MappedDecision(key, PG_GETARG_DATUM(1), state->subject_type, state->kinds));
}

/*
 * phi.can_access(subject, labels): would the session see anything of subject
 * at all, given a rule for at least one kind?
 */
Datum
phi_can_access(PG_FUNCTION_ARGS)
{
	unsigned demands = 0;
	Oid type;

	RequirePreload();
	type = SubjectArgumentType(fcinfo, 0);
	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	if (!PG_ARGISNULL(1))
		demands = LabelDemandsOfArray(PG_GETARG_DATUM(1));
	PG_RETURN_BOOL(DecideWithDemands(SubjectToken(PG_GETARG_DATUM(0), type), demands, UINT64_MAX, NULL)
					   .permit);
}

/*
 * Read what other sessions committed before this run of a statement, a fetch
 * from a cursor included.  Costs a look at shared memory when there is nothing.
 */
static void
RunWithCurrentPolicy(EXECUTOR_RUN_ARGS)
{
	if (!IsParallelWorker())
		AcceptInvalidationMessages();
	Tick++;
	if (PreviousRun)
		PreviousRun(EXECUTOR_RUN_FORWARD);
	else
		standard_ExecutorRun(EXECUTOR_RUN_FORWARD);
}

/* Assign hook of phi.open_purposes. */
static void
AssignOpenPurposes(bool newval, void *extra)
{
	Tick++;
}

/* Relcache callback of the whole folder: PostgreSQL has room for few. */
static void
PolicyInvalidated(Datum arg, Oid relid)
{
	Tick++;
	LabelsInvalidate(relid);
	RulesInvalidate(relid);
	VerdictsInvalidate(relid);
}

void
ConsentInit(void)
{
	DefineCustomBoolVariable("phi.open_purposes",
							 "Permit purposes other than treatment, payment and operations where no "
							 "consent applies.",
							 NULL, &OpenPurposes, false, PGC_SUSET, 0, NULL, AssignOpenPurposes, NULL);
	VerdictInit();
	CacheRegisterRelcacheCallback(PolicyInvalidated, (Datum) 0);
	PreviousRun = ExecutorRun_hook;
	ExecutorRun_hook = RunWithCurrentPolicy;
	PlannerInit();
}
