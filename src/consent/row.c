/*-------------------------------------------------------------------------
 * row.c
 *		The row predicate.
 *
 * For subjects with a small whole number as key the predicate keeps the
 * decisions themselves: those that are the same for every row whose labels demand
 * nothing.  Everything else asks for a decision by token.
 *
 * The kept decisions (map.c) are those of rows that the session's roles have a
 * rule for.
 *-------------------------------------------------------------------------
 */
#include "consent/map.h"
#include "consent/verdict.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "session/session.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(phi_row_access);
PG_FUNCTION_INFO_V1(phi_row_access_described);

/* Arguments of the long predicate. */
#define FIRST_ATTRIBUTE 3
#define FIRST_OTHER		(FIRST_ATTRIBUTE + ROW_ATTRIBUTES)

/* Label arrays of which a call site remembers what they say: how many, and their bytes. */
#define MEMO_SIZE  8
#define MEMO_BYTES 64

/* What an array of labels says; size is 0 in an empty slot. */
typedef struct LabelMemo
{
	uint32 size;
	uint8 bytes[MEMO_BYTES];
	phi_labels labels;
} LabelMemo;

/* What a call site of the row predicate knows, and when it last made sure. */
typedef struct RowState
{
	Oid relation;
	Oid subject_type;
	Oid other_types[OTHER_SUBJECTS]; /* of further subjects: arguments from FIRST_OTHER on */
	RowAttributes attributes;		 /* where the call has them */
	RowDescription description;
	uint64 class_reference;
	bool unlabelled; /* no label is on every row */
	LabelMemo memo[MEMO_SIZE];
	uint64 registry_generation;
	uint64 kinds;
	bool rule; /* the session has a rule for one of the kinds */
	Oid user;
	uint64 tick;
	uint64 session_tick;
	TimestampTz statement;
} RowState;

/* Does the reason lie with the subject alone, so that the map may keep the decision? */
static bool
ReasonIsSubject(phi_reason reason)
{
	return reason == PHI_REASON_CONSENT_DENIES || reason == PHI_REASON_CONSENT_PERMITS ||
		   reason == PHI_REASON_DEFAULT_PERMIT || reason == PHI_REASON_DEFAULT_DENY;
}

/*
 * Decide, and keep the decision under key unless that is negative, or an
 * invalidation came meanwhile: then it may belong to another map.
 */
static bool
MappedDecision(RowState *state, int64 key, Datum subject, Oid type, RowFacts *facts)
{
	uint64 token = SubjectToken(subject, type);
	phi_decision decision;
	uint64 version;

	PrepareMap();
	version = VerdictVersion();
	facts->depends = 0;
	decision = DecideRow(token, state->kinds, facts);
	PrepareMap();
	if (key >= 0 && version == VerdictVersion() && ReasonIsSubject(decision.reason) &&
		KeptDecision(key) == KEPT_UNKNOWN)
		KeepDecision(key, facts->depends != 0 ? KEPT_DEPENDS
						  : decision.permit	  ? KEPT_PERMIT
											  : KEPT_DENY);
	return decision.permit;
}

/* May the session see a row of which these facts are known, as far as this subject goes? */
static bool
SubjectPermits(RowState *state, Datum subject, Oid type, RowFacts *facts)
{
	int64 key = LabelDemands(&facts->row.labels) == 0 ? MapKey(subject, type) : -1;
	uint32 kept = key < 0 ? KEPT_UNKNOWN : KeptDecision(key);

	if (kept == KEPT_PERMIT || kept == KEPT_DENY)
		return kept == KEPT_PERMIT;
	return MappedDecision(state, key, subject, type, facts);
}

/* The kinds of a protected relation; none, and with that no rule, for any other. */
static void
ReadRelationKinds(RowState *state, Oid relation)
{
	const ProtectedRelation *protected = RegistryRelation(relation);

	state->kinds = protected ? protected->kinds : 0;
	memset(&state->description, 0, sizeof(RowDescription));
	if (protected)
		state->description = protected->description;
	state->unlabelled = state->description.labels_fixed.rank == 0 &&
						state->description.labels_fixed.sensitivities == 0;
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
		{
			PrepareMap();
			state->class_reference = ClassReference(state->description.resource_type);
		}
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

/* The labels of an array, remembered where it is short. */
static phi_labels
RememberedLabels(RowState *state, Datum array)
{
	struct varlena *value = PG_DETOAST_DATUM_PACKED(array);
	uint32 size = (uint32) VARSIZE_ANY_EXHDR(value);
	LabelMemo *memo;

	if (size > MEMO_BYTES)
		return LabelsOfArray(array);
	memo = &state->memo[hash_bytes((const unsigned char *) VARDATA_ANY(value), (int) size) % MEMO_SIZE];
	if (memo->size != size || memcmp(memo->bytes, VARDATA_ANY(value), size) != 0)
	{
		memo->labels = LabelsOfArray(array);
		memcpy(memo->bytes, VARDATA_ANY(value), size);
		memo->size = size;
	}
	return memo->labels;
}

/* What is known of the row of a call without asking a consent. */
static void
BeginFacts(RowFacts *facts, RowState *state, NullableDatum labels)
{
	phi_labels own = {0};

	memset(facts, 0, offsetof(RowFacts, codes));
	facts->row.class_reference = state->class_reference;
	if (!labels.isnull)
		own = RememberedLabels(state, labels.value);
	FactsOfLabels(facts, &state->description, &own);
}

/* What phi_row_access() answers where no decision is at hand; apart, for the room that it takes. */
static pg_noinline bool
RowAccess(FunctionCallInfo fcinfo)
{
	RowState *state = GetRowState(fcinfo);
	RowFacts facts;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return false;
	if (!RowStateHolds(state, PG_GETARG_OID(0)))
		RenewRowState(state, PG_GETARG_OID(0));
	if (!state->rule)
		return false;
	BeginFacts(&facts, state, fcinfo->args[2]);
	return SubjectPermits(state, PG_GETARG_DATUM(1), state->subject_type, &facts);
}

/*
 * phi.row_access(relation, subject, labels): may the session see rows of
 * relation that belong to subject?  The predicate of policies and of the
 * planner hook; false for a null subject.
 */
Datum
phi_row_access(PG_FUNCTION_ARGS)
{
	const RowState *state = fcinfo->flinfo->fn_extra;

	if (likely(state != NULL && PG_ARGISNULL(2) && state->unlabelled && state->rule &&
			   !PG_ARGISNULL(0) && !PG_ARGISNULL(1) && RowStateHolds(state, PG_GETARG_OID(0))))
	{
		int64 key = MapKey(PG_GETARG_DATUM(1), state->subject_type);
		uint32 kept = key < 0 ? KEPT_UNKNOWN : KeptDecision(key);

		if (likely(kept == KEPT_PERMIT || kept == KEPT_DENY))
			PG_RETURN_BOOL(kept == KEPT_PERMIT);
	}
	PG_RETURN_BOOL(RowAccess(fcinfo));
}

/* Do all subjects in an array permit?  One that is null is somebody unknown. */
static bool
ArrayPermits(RowState *state, ArrayType *array, RowFacts *facts)
{
	Oid type = ARR_ELEMTYPE(array);
	int16 length;
	bool by_value;
	char alignment;
	Datum *subjects;
	bool *nulls;
	int count;

	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	deconstruct_array(array, type, length, by_value, alignment, &subjects, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (nulls[i] || !SubjectPermits(state, subjects[i], type, facts))
			return false;
	return true;
}

/* Do the further subjects of a row permit?  A column without a value names none. */
static bool
OthersPermit(FunctionCallInfo fcinfo, RowState *state, RowFacts *facts)
{
	for (int i = FIRST_OTHER; i < PG_NARGS(); i++)
	{
		Oid type = state->other_types[i - FIRST_OTHER];

		if (PG_ARGISNULL(i))
			continue;
		if (OidIsValid(get_element_type(type)) ? !ArrayPermits(state, PG_GETARG_ARRAYTYPE_P(i), facts)
											   : !SubjectPermits(state, PG_GETARG_DATUM(i), type, facts))
			return false;
	}
	return true;
}

/* Remember the types of the arguments that only the long predicate has. */
static void
PrepareDescribed(FunctionCallInfo fcinfo, RowState *state)
{
	if (PG_NARGS() - FIRST_OTHER > OTHER_SUBJECTS)
		ereport(ERROR, (errcode(ERRCODE_TOO_MANY_ARGUMENTS),
						errmsg("a row can have at most %d further subjects", OTHER_SUBJECTS)));
	for (int i = FIRST_OTHER; i < PG_NARGS(); i++)
	{
		Oid type = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, i));
		Oid element = get_element_type(type);

		CheckSubjectType(OidIsValid(element) ? element : type);
		state->other_types[i - FIRST_OTHER] = type;
	}
	AttributesInit(&state->attributes, fcinfo, FIRST_ATTRIBUTE);
}

/*
 * phi.row_access(relation, subject, labels, code, data_time, author, encounter,
 * reference, other subjects...): the same where consents can depend on the row.
 * A row is seen when every one of its subjects permits.
 */
Datum
phi_row_access_described(PG_FUNCTION_ARGS)
{
	bool known = fcinfo->flinfo->fn_extra != NULL;
	RowState *state = GetRowState(fcinfo);
	RowFacts facts;

	if (unlikely(!known))
		PrepareDescribed(fcinfo, state);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	if (unlikely(!RowStateHolds(state, PG_GETARG_OID(0))))
	{
		RenewRowState(state, PG_GETARG_OID(0));
		strlcpy(state->attributes.resource_type, state->description.resource_type, RESOURCE_TYPE_SIZE);
	}
	if (!state->rule)
		PG_RETURN_BOOL(false);
	BeginFacts(&facts, state, fcinfo->args[2]);
	state->attributes.fcinfo = fcinfo;
	facts.attributes = &state->attributes;
	PG_RETURN_BOOL(SubjectPermits(state, PG_GETARG_DATUM(1), state->subject_type, &facts) &&
				   OthersPermit(fcinfo, state, &facts));
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
		MapUseShared();
	}
}
