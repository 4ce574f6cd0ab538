/*-------------------------------------------------------------------------
 * trigger.c
 *		The sealing trigger: every classified value of a row is sealed for
 *		that row before it is stored.
 *
 * The trigger recognizes by the header what is already in its place, so that
 * self-updates, restores and re-fired triggers change nothing.  A value that
 * is sealed for another place is sealed again only when it may be:
 *	- the row's key changed, and the value is the one that this very column
 *	  held, in its place, for the same subject;
 *	- the row's labels changed to ones that demand no less;
 *	- this statement sealed it from plaintext (INSERT ... ON CONFLICT DO
 *	  UPDATE SET c = excluded.c with a generated key);
 *	- the session may see it in full, and wrote the row itself: no trigger or
 *	  default of the table's owner can have put it there.
 * Everything else is refused: ciphertext moved between rows, columns or
 * subjects must not open there.  What cannot open anywhere, because its
 * subject was shredded, stays as it is, but with no tag that a search finds.
 *-------------------------------------------------------------------------
 */
#include "types/sealing.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "audit/audit.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "consent/consent.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "types/search.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(phi_seal_row);

#define RECENT_VALUES 256 /* at least the classified columns of one row */

/* What the current command has sealed from plaintext: nonce tails, newest last. */
typedef struct RecentSeals
{
	LocalTransactionId transaction;
	CommandId command;
	int next;
	int count;
	uint8 tails[RECENT_VALUES][PHI_NONCE_TAIL_SIZE];
} RecentSeals;

static RecentSeals Recent;

/* The row that a call of the trigger is about. */
typedef struct RowState
{
	const ProtectedRelation *relation;
	TupleDesc descriptor;
	uint64 subject_token;
	uint16 label_set;
	StringInfoData keys; /* counted key texts */
} RowState;

/* The nonce tail of a bound value: it ends the overhead before the ciphertext. */
static const uint8 *
NonceTail(const struct varlena *sealed, const phi_header *header)
{
	Size overhead = header->searchable ? PHI_ENVELOPE_SEARCHABLE : PHI_ENVELOPE_BOUND;

	return (const uint8 *) VARDATA_ANY(sealed) + overhead - PHI_XAES_TAG_SIZE - PHI_NONCE_TAIL_SIZE;
}

/* Remember a value that this command sealed from plaintext. */
static void
RememberSeal(const struct varlena *sealed)
{
	CommandId command = GetCurrentCommandId(false);
	phi_header header;

	ReadHeader(PointerGetDatum(sealed), &header);
	if (Recent.transaction != CurrentLocalTransaction() || Recent.command != command)
		Recent.count = Recent.next = 0;
	Recent.transaction = CurrentLocalTransaction();
	Recent.command = command;
	memcpy(Recent.tails[Recent.next], NonceTail(sealed, &header), PHI_NONCE_TAIL_SIZE);
	Recent.next = (Recent.next + 1) % RECENT_VALUES;
	Recent.count = Min(Recent.count + 1, RECENT_VALUES);
}

/* Did this command seal the value from plaintext? */
static bool
SealedByThisCommand(Datum value, const phi_header *header)
{
	struct varlena *sealed = PG_DETOAST_DATUM_PACKED(value);

	if (Recent.transaction != CurrentLocalTransaction() || Recent.command != GetCurrentCommandId(false))
		return false;
	for (int i = 0; i < Recent.count; i++)
		if (memcmp(Recent.tails[i], NonceTail(sealed, header), PHI_NONCE_TAIL_SIZE) == 0)
			return true;
	return false;
}

/* Read subject, labels and key of a row. */
static void
ReadRow(RowState *row, const ProtectedRelation *relation, TupleDesc descriptor, HeapTuple tuple)
{
	bool isnull;
	Datum value = heap_getattr(tuple, relation->subject, descriptor, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("row of protected relation has no subject"),
				 errhint("Give a value for column \"%s\".",
						 NameStr(TupleDescAttr(descriptor, relation->subject - 1)->attname))));
	row->relation = relation;
	row->descriptor = descriptor;
	row->subject_token = SubjectToken(value, relation->subject_type);
	row->label_set = 0;
	if (relation->labels != 0)
	{
		value = heap_getattr(tuple, relation->labels, descriptor, &isnull);
		row->label_set = LabelSetId(value, isnull);
	}
	initStringInfo(&row->keys);
	for (int i = 0; i < relation->key_count; i++)
	{
		value = heap_getattr(tuple, relation->keys[i], descriptor, &isnull);
		if (isnull)
			ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
							errmsg("row of protected relation has no primary key")));
		KeyTextAppendCounted(&row->keys, value, relation->key_types[i]);
	}
}

/* The place of a column in a row. */
static void
ColumnTarget(SealTarget *target, const RowState *row, const ProtectedColumn *column)
{
	target->column = column;
	target->label_set = row->label_set;
	target->subject_token = row->subject_token;
	target->row_token = TargetRowToken(column->uuid, &row->keys);
}

/* Was the value the one that this column rightly held in the old version of the row, for this subject? */
static bool
HeldBefore(uint64 subject_token, Datum value, const ProtectedRelation *relation, const ProtectedColumn *column,
		   TupleDesc descriptor, HeapTuple old)
{
	struct varlena *now = PG_DETOAST_DATUM_PACKED(value);
	struct varlena *before;
	RowState row;
	SealTarget target;
	phi_header header;
	bool isnull;
	Datum old_value = heap_getattr(old, column->attnum, descriptor, &isnull);

	if (isnull)
		return false;
	before = PG_DETOAST_DATUM_PACKED(old_value);
	if (VARSIZE_ANY_EXHDR(before) != VARSIZE_ANY_EXHDR(now) ||
		memcmp(VARDATA_ANY(before), VARDATA_ANY(now), VARSIZE_ANY_EXHDR(now)) != 0)
		return false;
	ReadRow(&row, relation, descriptor, old);
	ColumnTarget(&target, &row, column);
	ReadHeader(old_value, &header);
	return row.subject_token == subject_token && SealedFor(&header, &target);
}

/* Do the labels of now demand whatever those of before did? */
static bool
LabelsKept(uint16 before, uint16 now)
{
	phi_labels old_labels = LabelSetLabels(before);
	phi_labels new_labels = LabelSetLabels(now);

	return before == now || ((old_labels.sensitivities & ~new_labels.sensitivities) == 0 &&
							 phi_labels_rank(&old_labels) <= phi_labels_rank(&new_labels));
}

/* May the table's owner have put the value into the row: by another trigger, or by a default? */
static bool
OwnerMayHaveWritten(const TriggerData *trigger, AttrNumber attnum)
{
	const TriggerDesc *triggers = trigger->tg_relation->trigdesc;
	const TupleConstr *constraints = RelationGetDescr(trigger->tg_relation)->constr;
	int cascade;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		const Trigger *other = &triggers->triggers[i];

		if (other->tgoid != trigger->tg_trigger->tgoid && !other->tgisinternal &&
			TRIGGER_FOR_ROW(other->tgtype) && TRIGGER_FOR_BEFORE(other->tgtype) &&
			(TRIGGER_FOR_INSERT(other->tgtype) || TRIGGER_FOR_UPDATE(other->tgtype)))
			return true;
	}
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		for (int i = 0; constraints && i < constraints->num_defval; i++)
			if (constraints->defval[i].adnum == attnum)
				return true;
	/* A foreign key's own cascade is one level deeper than the statement that set it off. */
	cascade = InNoForceRLSOperation() ? 1 : 0;
	return DatumGetInt32(pg_trigger_depth(NULL)) > 1 + cascade ||
		   ModifyingStatementsAround() > cascade;
}

/*
 * May the session see in full what is sealed under this header?  What is then
 * sealed again counts as disclosed.
 */
static bool
MayRevealFully(const phi_header *header)
{
	const ProtectedColumn *column = RegistryColumn(header->column_id);
	phi_decision decision;

	if (!column || SessionForm(column->kind) != PHI_FORM_FULL)
		return false;
	decision = DecideAccess(header->subject_token, header->label_set, column, NULL);
	if (!decision.permit)
		return false;
	NoteDisclosure(column, PHI_FORM_FULL, header->subject_token, &decision, false);
	return true;
}

/* Raise: the value belongs elsewhere. */
static void
RefuseForeign(const RowState *row, const ProtectedColumn *column)
{
	HideValueContext();
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("value for column \"%s\" of relation \"%s\" is sealed for another row or column",
					NameStr(column->name), NameStr(column->relation_name)),
			 errhint("Write the plain value; a sealed one moves only for a session that may see it "
					 "in full, in a table without other triggers.")));
}

/* May a bound value that is not in its place be sealed again for the target? */
static bool
MayRebind(const TriggerData *trigger, const RowState *row, const SealTarget *target, Datum value,
		  const phi_header *header)
{
	const ProtectedColumn *column = target->column;
	HeapTuple old = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_trigtuple : NULL;

	/* Only the labels or the search tag differ: they follow the row and the column. */
	if (SealedButForTag(header, target))
		return true;
	if (header->column_id == column->column_id && header->row_token == target->row_token &&
		header->subject_token == target->subject_token && target->row_token != 0 &&
		LabelsKept(header->label_set, target->label_set))
		return true;
	if (old && LabelsKept(header->label_set, target->label_set) &&
		HeldBefore(target->subject_token, value, row->relation, column, row->descriptor, old))
		return true;
	if (SealedByThisCommand(value, header))
		return true;
	return !OwnerMayHaveWritten(trigger, column->attnum) && MayRevealFully(header);
}

/* Does an update leave the value as it was, bit by bit? */
static bool
Unchanged(const TriggerData *trigger, const RowState *row, const ProtectedColumn *column, Datum value)
{
	Form_pg_attribute attribute = TupleDescAttr(row->descriptor, column->attnum - 1);
	bool isnull;
	Datum old;

	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return false;
	old = heap_getattr(trigger->tg_trigtuple, column->attnum, row->descriptor, &isnull);
	return !isnull && datum_image_eq(old, value, attribute->attbyval, attribute->attlen);
}

/* The value as it is to be stored: itself when it is in its place. */
static Datum
SealColumn(const TriggerData *trigger, const RowState *row, const ProtectedColumn *column,
		   Datum value)
{
	SealTarget target;
	phi_header header;
	struct varlena *sealed;
	bool in_place;

	ColumnTarget(&target, row, column);
	ReadHeader(value, &header);
	if (column->next_generation != 0 && HasLiveTag(&header) && !Unchanged(trigger, row, column, value))
		target.column = SearchHold(column, &header);
	in_place = SealedFor(&header, &target);
	if (in_place && KeyringLost(header.dek_id) && !Unchanged(trigger, row, column, value))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("value for column \"%s\" of relation \"%s\" was sealed under a key "
							   "that was rolled back",
							   NameStr(column->name), NameStr(column->relation_name)),
						errhint("Write the plain value.")));
	if (in_place && !(column->shreddable && HasLiveTag(&header)))
		return value;
	if (IsDead(&header))
		return HasLiveTag(&header) ? PointerGetDatum(DeadenTag(value, &header)) : value;
	if (in_place)
		return value;
	/* What does not open keeps the tag of a generation that is gone, and its row can be updated. */
	if (header.searchable && !SearchTagCurrent(target.column, &header) &&
		Unchanged(trigger, row, column, value) && SealedButForTag(&header, &target))
		return value;
	if (header.bound && !MayRebind(trigger, row, &target, value, &header))
		RefuseForeign(row, column);
	sealed = RebindValue(value, &header, &target);
	if (!header.bound)
		RememberSeal(sealed);
	return PointerGetDatum(sealed);
}

/* Raise unless called as a BEFORE ROW INSERT OR UPDATE trigger of a protected relation. */
static const ProtectedRelation *
CheckCall(FunctionCallInfo fcinfo)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const ProtectedRelation *relation;

	RequirePreload();
	if (OwnerCommandInProgress())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("protected tables cannot be written to during maintenance"),
						errhint("An index, constraint or default of the table under maintenance "
								"writes to another one; drop it first.")));
	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("phi.seal_row must be a BEFORE INSERT OR UPDATE row trigger")));
	relation = RegistryRelation(RelationGetRelid(trigger->tg_relation));
	if (!relation)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("relation \"%s\" has the sealing trigger but is not protected",
							   RelationGetRelationName(trigger->tg_relation)),
						errhint("Restore the policy tables of the extension, or drop the trigger.")));
	return relation;
}

/*
 * phi.seal_row(): the sealing trigger.
 */
Datum
phi_seal_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const ProtectedRelation *relation = CheckCall(fcinfo);
	bool update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	HeapTuple tuple = update ? trigger->tg_newtuple : trigger->tg_trigtuple;
	TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);
	int *columns = palloc(sizeof(int) * (relation->column_count + 1));
	Datum *values = palloc(sizeof(Datum) * (relation->column_count + 1));
	bool *nulls = palloc0(sizeof(bool) * (relation->column_count + 1));
	int changed = 0;
	RowState row;

	ReadRow(&row, relation, descriptor, tuple);
	for (int i = 0; i < relation->column_count; i++)
	{
		const ProtectedColumn *column = &relation->columns[i];
		bool isnull;
		Datum value = heap_getattr(tuple, column->attnum, descriptor, &isnull);
		Datum stored;

		if (isnull)
			continue;
		stored = SealColumn(trigger, &row, column, value);
		if (stored == value)
			continue;
		columns[changed] = column->attnum;
		values[changed] = stored;
		changed++;
	}
	if (changed > 0)
		tuple = heap_modify_tuple_by_cols(tuple, descriptor, changed, columns, values, nulls);
	PG_RETURN_POINTER(tuple);
}
