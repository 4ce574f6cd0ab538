/*-------------------------------------------------------------------------
 * reseal.c
 *		Sealing the values of a protected table anew under its current data
 *		key, or under the keys of their subjects, a batch of rows at a time.
 *
 * The header says whether a value is under the current key already, so a batch
 * can be repeated, and an interrupted run goes on where it was.  A value keeps
 * its place, its labels and its search tag; only key and nonce are new.
 *
 * Rows are written by values.c; this file writes one event for each batch.
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
#include "types/values.h"

PG_FUNCTION_INFO_V1(phi_reseal_batch);

/* ---- one value ---- */

/* ValueWalk: is a value under another key than it belongs under, and not dead? */
static bool
ResealNeeded(const phi_header *header, int column, void *state)
{
	const ProtectedRelation *policy = state;
	uint32 wanted = policy->shreddable && header->bound
						? KeyringSubjectKeyId(header->subject_token)
						: KeyringRelationKey(policy->root)->id;

	return header->dek_id != wanted && !IsDead(header);
}

/* ValueWalk: the value under the key that it belongs under. */
static struct varlena *
ResealValue(Datum value, const phi_header *header, int position, void *state)
{
	const ProtectedRelation *policy = state;
	const ProtectedColumn *column = header->bound ? RegistryColumn(header->column_id) : NULL;
	const uint8 *column_uuid = column ? column->uuid : NULL;
	phi_header renewed = *header;
	struct varlena *sealed;
	phi_buffer plain;

	if ((header->bound && !column) || !KeyringHas(header->dek_id) ||
		!TryOpen(value, header, column_uuid, &plain))
		return NULL;
	sealed = SealUnder(policy->shreddable && header->bound ? KeyringSubjectKey(header->subject_token)
														   : KeyringRelationKey(policy->root),
					   &renewed, column_uuid, phi_bytes_of(plain.data, plain.size));
	SecretWipe(plain.data, plain.size);
	return sealed;
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
	const ProtectedRelation *policy;
	ValueWalk walk = {0};
	TupleDesc columns;
	Datum values[4];
	bool nulls[4] = {false};

	RequirePreload();
	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	walk.rows.relation = try_table_open(PG_GETARG_OID(0), RowExclusiveLock);
	if (!walk.rows.relation)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation does not exist")));
	policy = RequireResealable(walk.rows.relation);
	for (int i = 0; i < policy->column_count; i++)
		AddColumn(&walk, policy->columns[i].attnum);
	walk.rows.limit = PG_GETARG_INT32(2);
	walk.needed = ResealNeeded;
	walk.renew = ResealValue;
	walk.state = (void *) policy;
	WalkValues(&walk, (BlockNumber) PG_GETARG_INT64(1));
	if (walk.rows.changed > 0)
		RecordBatch(&walk.rows, policy);

	nulls[0] = walk.rows.next == InvalidBlockNumber;
	values[0] = Int64GetDatum((int64) walk.rows.next);
	values[1] = Int32GetDatum(walk.rows.changed);
	values[2] = Int32GetDatum((int32) walk.unreadable);
	values[3] = Int64GetDatum((int64) RelationGetNumberOfBlocks(walk.rows.relation));
	table_close(walk.rows.relation, NoLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}
