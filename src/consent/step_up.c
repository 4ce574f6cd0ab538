/*-------------------------------------------------------------------------
 * step_up.c
 *		What demands a fresh step-up: labels, purposes, actions.
 *
 * The demands are kept until a relcache invalidation of phi.step_up_rule.  A
 * rule that this library does not know demands a step-up everywhere.
 * Locking: AccessShareLock while reading.
 *-------------------------------------------------------------------------
 */
#include "consent/verdict.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "session/session.h"
#include "utils/builtins.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(phi_check_step_up_rule);
PG_FUNCTION_INFO_V1(phi_step_up_missing);

/* Columns of phi.step_up_rule, by position. */
enum StepUpColumn
{
	SU_KIND = 1,
	SU_CODE,
	SU_LAST = SU_CODE
};

/* Actions that can demand one, by StepUpAction. */
static const char *const action_names[STEP_UP_ACTIONS] = {
	[STEP_UP_BREAK_GLASS] = "break_glass",
	[STEP_UP_CONSENT] = "consent",
};

/* The rules in force. */
static struct
{
	bool everything;      /* a rule that is not understood */
	unsigned rank;        /* labels of this rank and above; 0: none */
	uint64 sensitivities; /* labels among these */
	uint64 purposes;      /* bit per purpose row; a purpose stands for what is below it */
	unsigned actions;     /* bit per StepUpAction */
} Demands;

/* Is Demands complete, and was it not invalidated since? */
static bool Loaded = false;
static bool Stale = false;

/* OID of phi.step_up_rule for the callback, which must not look it up. */
static Oid RuleTable = InvalidOid;

bool
StepUpInvalidate(Oid relid)
{
	if (relid != InvalidOid && relid != RuleTable)
		return false;
	Stale = true;
	return true;
}

/* Take a label in: a sensitivity with all below it, or a confidentiality with all above. */
static bool
AddLabel(const char *code)
{
	uint64 below = phi_sensitivity_below(code, strlen(code));
	phi_labels labels = {0};

	Demands.sensitivities |= below;
	if (below != 0)
		return true;
	if (!phi_labels_add(&labels, code, strlen(code)) || labels.rank == 0)
		return false;
	if (Demands.rank == 0 || labels.rank < Demands.rank)
		Demands.rank = labels.rank;
	return true;
}

/* Take a purpose in. */
static bool
AddPurpose(const char *code)
{
	phi_purpose purpose = phi_purpose_find(code, strlen(code));

	if (purpose == PHI_PURPOSE_NONE)
		return false;
	Demands.purposes |= UINT64CONST(1) << purpose;
	return true;
}

/* Take an action in. */
static bool
AddAction(const char *code)
{
	for (int action = 0; action < STEP_UP_ACTIONS; action++)
		if (strcmp(code, action_names[action]) == 0)
		{
			Demands.actions |= 1U << action;
			return true;
		}
	return false;
}

/* Take one rule in; false when it is none. */
static bool
AddRule(const char *kind, const char *code)
{
	if (strcmp(kind, "label") == 0)
		return AddLabel(code);
	if (strcmp(kind, "purpose") == 0)
		return AddPurpose(code);
	return strcmp(kind, "action") == 0 && AddAction(code);
}

/* Read the table. */
static void
ReadRules(void)
{
	Relation rel;
	SysScanDesc scan;
	HeapTuple tuple;

	memset(&Demands, 0, sizeof(Demands));
	RuleTable = PhiRelation("step_up_rule");
	rel = table_open(RuleTable, AccessShareLock);
	if (RelationGetNumberOfAttributes(rel) != SU_LAST)
		elog(ERROR, "unexpected shape of phi.step_up_rule");
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum values[SU_LAST];
		bool nulls[SU_LAST];

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		if (!AddRule(TextDatumGetCString(values[SU_KIND - 1]),
					 TextDatumGetCString(values[SU_CODE - 1])))
			Demands.everything = true;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* Bring Demands up to date, again if an invalidation came meanwhile. */
static inline void
PrepareDemands(void)
{
	while (unlikely(!Loaded || Stale))
	{
		Loaded = false;
		Stale = false;
		ReadRules();
		Loaded = true;
	}
}

unsigned
LabelDemands(const phi_labels *labels)
{
	unsigned demands = phi_label_demands(labels);

	PrepareDemands();
	if ((labels->sensitivities & Demands.sensitivities) != 0 ||
		(Demands.rank != 0 && phi_labels_rank(labels) >= Demands.rank))
		demands |= PHI_LABEL_STEP_UP;
	return demands;
}

unsigned
PurposeDemands(phi_purpose purpose)
{
	phi_labels none = {0};

	PrepareDemands();
	if (Demands.everything || (Demands.rank != 0 && phi_labels_rank(&none) >= Demands.rank))
		return PHI_LABEL_STEP_UP;
	for (phi_purpose row = 0; Demands.purposes != 0 && row < phi_purpose_count(); row++)
		if ((Demands.purposes & (UINT64CONST(1) << row)) && phi_purpose_is_a(purpose, row))
			return PHI_LABEL_STEP_UP;
	return 0;
}

bool
StepUpMissing(StepUpAction action)
{
	PrepareDemands();
	return (Demands.everything || (Demands.actions & (1U << action)) != 0) &&
		   !SessionCurrent()->step_up_fresh;
}

/*
 * phi.check_step_up_rule(kind, code): raise for what is no rule.
 */
Datum
phi_check_step_up_rule(PG_FUNCTION_ARGS)
{
	char *kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *code = text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool known;

	known = AddRule(kind, code);
	Stale = true;
	if (!known)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown %s", kind),
						errhint("Labels and purposes are HL7 codes; actions are break_glass and "
								"consent.")));
	PG_RETURN_VOID();
}

/*
 * phi.step_up_missing(action): does the action need a fresh step-up that the
 * session has not?  Internal: no role holds EXECUTE.
 */
Datum
phi_step_up_missing(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	RequirePreload();
	for (int action = 0; action < STEP_UP_ACTIONS; action++)
		if (strcmp(name, action_names[action]) == 0)
			PG_RETURN_BOOL(StepUpMissing((StepUpAction) action));
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown action"),
					errhint("Actions are break_glass and consent.")));
}
