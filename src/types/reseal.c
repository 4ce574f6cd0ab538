/*-------------------------------------------------------------------------
 * reseal.c
 *		Sealing the values of a protected table anew under its current data
 *		key, or under the keys of their subjects, a batch of rows at a time.
 *
 * The header says whether a value is under the current key already, so a batch
 * can be repeated, and an interrupted run goes on where it was.  A value keeps
 * its place, its labels and its search tag; only key and nonce are new.
 *
 * Rows are written by rows.c; this file writes one event for each batch.
 * Values are opened in this file alone: nothing that a user could call or hook
 * in sees one.
 *
 * Locking: ROW EXCLUSIVE on the table; rows as rows.c says.
 *-------------------------------------------------------------------------
 */
#include "types/sealing.h"

#include "access/table.h"
#include "audit/audit.h"
#include "catalog/pg_am.h"
#include "funcapi.h"
#include "keyring/keyring.h"
#include "storage/bufmgr.h"
#include "types/rows.h"

PG_FUNCTION_INFO_V1(phi_reseal_batch);

/* One run of the function. */
typedef struct Reseal
{
	const ProtectedRelation *policy;
	int unreadable; /* values that do not open */
} Reseal;

/* ---- one value ---- */

/* Open a value; false when it does not open, ever. */
static bool
OpenQuietly(struct varlena *stored, const phi_header *header, const uint8 *column_uuid,
			phi_buffer *plain)
{
	phi_bytes envelope = phi_bytes_of(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
	phi_status status;

	plain->capacity = phi_envelope_plain_size(header, envelope.size);
	plain->data = palloc(plain->capacity + 1);
	plain->size = 0;
	status = phi_envelope_open(KeyringKey(header->dek_id), envelope, column_uuid, plain);
	if (status == PHI_ERR_AUTH)
		return false;
	CheckStatus(status, "open a sealed value");
	return true;
}

/* The key that a value belongs under. */
static phi_data_key *
WantedKey(const ProtectedRelation *policy, const phi_header *header)
{
	return policy->shreddable && header->bound ? KeyringSubjectKey(header->subject_token)
											   : KeyringRelationKey(policy->root);
}

/* Is a value under another key than it belongs under, and not dead? */
static bool
ValueNeeded(const ProtectedRelation *policy, const phi_header *header)
{
	uint32 wanted = policy->shreddable && header->bound
						? KeyringSubjectKeyId(header->subject_token)
						: KeyringRelationKey(policy->root)->id;

	return header->dek_id != wanted && !IsDead(header);
}

/* The value under the key that it belongs under, or NULL when it does not open. */
static struct varlena *
ResealValue(Datum value, const phi_header *header, const ProtectedRelation *policy)
{
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(value);
	const ProtectedColumn *column = header->bound ? RegistryColumn(header->column_id) : NULL;
	const uint8 *column_uuid = column ? column->uuid : NULL;
	Size nonce_size = header->bound ? PHI_NONCE_TAIL_SIZE : PHI_XAES_NONCE_SIZE;
	uint8 nonce[PHI_XAES_NONCE_SIZE];
	phi_header renewed = *header;
	phi_data_key *key;
	phi_buffer plain;
	phi_buffer out;
	struct varlena *sealed;
	phi_status status;

	if ((header->bound && !column) || !KeyringHas(header->dek_id) ||
		!OpenQuietly(stored, header, column_uuid, &plain))
		return NULL;
	key = WantedKey(policy, header);
	renewed.dek_id = key->id;
	out.capacity = phi_envelope_size(&renewed, plain.size);
	sealed = palloc(out.capacity + VARHDRSZ);
	SET_VARSIZE(sealed, out.capacity + VARHDRSZ);
	out.data = (uint8 *) VARDATA(sealed);
	out.size = 0;
	RandomBytes(nonce, nonce_size);
	status = phi_envelope_seal(key, &renewed, column_uuid, nonce, nonce_size,
							   phi_bytes_of(plain.data, plain.size), &out);
	SecretWipe(plain.data, plain.size);
	CheckStatus(status, "seal a value");
	return sealed;
}

/* ---- one row ---- */

/* RowWalk: is a value of the row under another key than the current one? */
static bool
ResealNeeded(TupleTableSlot *row, void *state)
{
	const ProtectedRelation *policy = ((Reseal *) state)->policy;
	phi_header header;

	for (int i = 0; i < policy->column_count; i++)
	{
		int position = policy->columns[i].attnum - 1;

		if (row->tts_isnull[position])
			continue;
		ReadHeader(row->tts_values[position], &header);
		if (ValueNeeded(policy, &header))
			return true;
	}
	return false;
}

/* RowWalk: bring the values that open under the current key; false when none does. */
static bool
ResealChange(TupleTableSlot *copy, void *state)
{
	Reseal *work = state;
	bool changed = false;
	phi_header header;

	for (int i = 0; i < work->policy->column_count; i++)
	{
		int position = work->policy->columns[i].attnum - 1;
		struct varlena *sealed;

		if (copy->tts_isnull[position])
			continue;
		ReadHeader(copy->tts_values[position], &header);
		if (!ValueNeeded(work->policy, &header))
			continue;
		sealed = ResealValue(copy->tts_values[position], &header, work->policy);
		if (!sealed)
		{
			work->unreadable++;
			continue;
		}
		copy->tts_values[position] = PointerGetDatum(sealed);
		changed = true;
	}
	return changed;
}

/* ---- one batch ---- */

/* The table's protection; raises where there is none, or where rows cannot be found by block. */
static const ProtectedRelation *
RequireResealable(Relation relation)
{
	const ProtectedRelation *policy = RegistryRelation(RelationGetRelid(relation));

	if (!policy)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not protected", RelationGetRelationName(relation))));
	if (relation->rd_rel->relkind != RELKIND_RELATION ||
		relation->rd_rel->relam != HEAP_TABLE_AM_OID)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table \"%s\" cannot be resealed", RelationGetRelationName(relation)),
				 errdetail("Only ordinary tables of access method heap can be.")));
	return policy;
}

/* The event of a batch. */
static void
RecordBatch(const RowWalk *walk, const ProtectedRelation *policy)
{
	AuditEvent event = {0};

	event.action = "reseal";
	event.outcome = "success";
	event.relation = RelationGetRelid(walk->relation);
	event.detail = policy->shreddable ? "rows under the keys of their subjects"
									  : psprintf("rows under data key %u",
												 KeyringRelationKey(policy->root)->id);
	event.row_count = walk->changed;
	AuditAppend(&event);
}

/*
 * phi.reseal_batch(member regclass, first_block bigint, max_rows integer, OUT
 * next_block bigint, OUT changed integer, OUT unreadable integer, OUT blocks
 * bigint): reseal up to max_rows rows of a table from a block on; next_block
 * is NULL at the table's end.  Internal: no role holds EXECUTE.
 */
Datum
phi_reseal_batch(PG_FUNCTION_ARGS)
{
	Reseal work = {0};
	RowWalk walk = {0};
	TupleDesc columns;
	Datum values[4];
	bool nulls[4] = {false};

	RequirePreload();
	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	walk.relation = try_table_open(PG_GETARG_OID(0), RowExclusiveLock);
	if (!walk.relation)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation does not exist")));
	work.policy = RequireResealable(walk.relation);
	for (int i = 0; i < work.policy->column_count; i++)
		walk.written = bms_add_member(walk.written, work.policy->columns[i].attnum -
														FirstLowInvalidHeapAttributeNumber);
	walk.limit = PG_GETARG_INT32(2);
	walk.needed = ResealNeeded;
	walk.change = ResealChange;
	walk.state = &work;
	WalkRows(&walk, (BlockNumber) PG_GETARG_INT64(1));
	if (walk.changed > 0)
		RecordBatch(&walk, work.policy);

	nulls[0] = walk.next == InvalidBlockNumber;
	values[0] = Int64GetDatum((int64) walk.next);
	values[1] = Int32GetDatum(walk.changed);
	values[2] = Int32GetDatum(work.unreadable);
	values[3] = Int64GetDatum((int64) RelationGetNumberOfBlocks(walk.relation));
	table_close(walk.relation, NoLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}
