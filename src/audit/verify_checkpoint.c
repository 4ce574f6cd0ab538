/*-------------------------------------------------------------------------
 * verify_checkpoint.c
 *		Verification: the signatures of checkpoints, and what their roots say of
 *		the leaves.
 *-------------------------------------------------------------------------
 */
#include "audit/verify.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

/* Bytes of a bytea column; none for NULL. */
static phi_bytes
ColumnBytes(Datum value, bool isnull)
{
	bytea *bytes = isnull ? NULL : DatumGetByteaPP(value);

	return isnull ? phi_bytes_of(NULL, 0)
				  : phi_bytes_of(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/* Check the signature of a checkpoint: its root, or what is wrong. */
static void
CheckNote(const Verification *state, Checkpoint *checkpoint, const char *incarnation,
		  const char *note)
{
	phi_checkpoint opened;
	uint64 i = 0;

	while (i < state->incarnation_count && strcmp(state->incarnations[i].id, incarnation) != 0)
		i++;
	if (note == NULL)
		checkpoint->altered = "checkpoint " UINT64_FORMAT " was altered: it is not signed";
	else if (i == state->incarnation_count)
		checkpoint->altered =
			"checkpoint " UINT64_FORMAT " was altered: its incarnation is unknown";
	else if (phi_checkpoint_open(phi_bytes_of(note, strlen(note)), &state->incarnations[i].vkey,
								 &opened) != PHI_OK ||
			 opened.size != checkpoint->size)
		checkpoint->altered =
			"checkpoint " UINT64_FORMAT " was altered: its signature does not verify";
	else
	{
		checkpoint->is_signed = true;
		if (memcmp(checkpoint->root, opened.root, PHI_HASH_SIZE) != 0)
			checkpoint->altered =
				"checkpoint " UINT64_FORMAT " was altered: its root is not the one that was signed";
		memcpy(checkpoint->root, opened.root, PHI_HASH_SIZE);
	}
}

/* Read a checkpoint (size, root, frontier, incarnation, note). */
static void
ReadCheckpoint(const Verification *state, SPITupleTable *rows, Checkpoint *out)
{
	Datum values[5];
	bool isnull[5];
	phi_bytes root;

	memset(out, 0, sizeof(*out));
	heap_deform_tuple(rows->vals[0], rows->tupdesc, values, isnull);
	out->present = true;
	out->size = (uint64) DatumGetInt64(values[0]);
	root = ColumnBytes(values[1], isnull[1]);
	if (root.size == PHI_HASH_SIZE)
		memcpy(out->root, root.data, PHI_HASH_SIZE);
	if (phi_frontier_load(&out->frontier, out->size, ColumnBytes(values[2], isnull[2])) != PHI_OK)
		phi_frontier_init(&out->frontier);
	CheckNote(state, out, TextDatumGetCString(values[3]),
			  isnull[4] ? NULL : TextDatumGetCString(values[4]));
}

/* Read the next checkpoint; none is left where it is not present. */
void
VerifyNextCheckpoint(Verification *state)
{
	memset(&state->next, 0, sizeof(state->next));
	SPI_cursor_fetch(state->checkpoints, true, 1);
	if (SPI_processed == 0)
		return;
	ReadCheckpoint(state, SPI_tuptable, &state->next);
	SPI_freetuptable(SPI_tuptable);
}

/* Is the root of a tree the signed root of the next checkpoint? */
static bool
HasRoot(const Checkpoint *checkpoint, const phi_frontier *tree)
{
	uint8 root[PHI_HASH_SIZE];

	CheckStatus(phi_frontier_root(tree, root), "compute a root");
	return checkpoint->is_signed && memcmp(root, checkpoint->root, sizeof(root)) == 0;
}

/* The trees have parted: let the checkpoint that confirms one of them judge. */
void
VerifyJudgeParted(Verification *state)
{
	const char *what = "event " INT64_FORMAT
					   " or its leaf was altered: they do not agree, and no checkpoint tells which";

	if (HasRoot(&state->next, &state->stored))
		what = "event " INT64_FORMAT " was altered: it does not agree with its leaf";
	else if (HasRoot(&state->next, &state->computed))
		what = "the leaf of event " INT64_FORMAT " was altered: it does not agree with its event";
	VerifyFail(state, state->parted_event, psprintf(what, state->parted_event));
}

/* The leaves from range_from on are vouched for by nobody: the first of their events is named. */
void
VerifyFailRange(Verification *state, const char *problem)
{
	Oid types[] = {INT8OID};
	Datum values[] = {Int64GetDatum((int64) state->range_from)};
	bool isnull;

	if (SPI_execute_with_args("SELECT event_id FROM phi_audit.leaf WHERE leaf_index = $1", 1, types,
							  values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.leaf");
	if (SPI_processed == 1)
		VerifyFail(
			state,
			DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)),
			problem);
	else
		VerifyFailWithout(state, problem);
}

/* Is this the newest checkpoint of the directory?  Then its root is that of the stored leaves. */
static void
ReachKept(Verification *state)
{
	uint8 root[PHI_HASH_SIZE];

	if (!state->has_kept || state->kept.size != state->stored.size)
		return;
	state->kept_reached = true;
	CheckStatus(phi_frontier_root(&state->stored, root), "compute a root");
	if (memcmp(root, state->kept.root, sizeof(root)) != 0)
		VerifyFailWithout(state,
						  psprintf("the leaves below " UINT64_FORMAT
								   " do not give the root of the newest checkpoint in "
								   "phi.checkpoint_directory: the log was rewritten, or is another",
								   state->kept.size));
}

/* Compare the trees with the checkpoint of their size. */
static void
ReachCheckpoint(Verification *state)
{
	const Checkpoint *next = &state->next;

	if (state->parted)
		VerifyJudgeParted(state);
	else if (!next->is_signed)
		state->altered =
			state->altered != NULL ? state->altered : psprintf(next->altered, next->size);
	else if (!HasRoot(next, &state->stored))
		VerifyFailRange(state, psprintf("leaves " UINT64_FORMAT " to " UINT64_FORMAT
										" do not give the signed root of checkpoint " UINT64_FORMAT
										": leaves were altered together with their events",
										state->range_from, next->size - 1, next->size));
	else if (state->altered != NULL)
		VerifyFailWithout(state, state->altered);
	else if (next->altered != NULL)
		VerifyFailWithout(state, psprintf(next->altered, next->size));
	else if (next->frontier.size != next->size || memcmp(next->frontier.peaks, state->stored.peaks,
														 phi_frontier_bytes(&state->stored)) != 0)
		VerifyFailWithout(state, psprintf("checkpoint " UINT64_FORMAT
										  " was altered: its stored tree is not that of its root",
										  next->size));
	if (next->is_signed)
		state->range_from = next->size;
	state->range_begin = next->size;
	state->last_txid = 0;
	state->last_event = 0;
	state->passed++;
	VerifyNextCheckpoint(state);
}

void
VerifyReach(Verification *state)
{
	ReachKept(state);
	if (state->next.present && state->next.size == state->stored.size)
		ReachCheckpoint(state);
}

/* Begin with the tree of a checkpoint, which must be signed. */
void
VerifyBeginAt(Verification *state)
{
	Oid types[] = {INT8OID};
	Datum values[] = {Int64GetDatum((int64) state->first)};
	Checkpoint checkpoint;

	phi_frontier_init(&state->stored);
	if (state->first == 0)
		return;
	if (SPI_execute_with_args("SELECT tree_size, root, frontier, incarnation, note "
							  "FROM phi_audit.checkpoint WHERE tree_size = $1",
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.checkpoint");
	if (SPI_processed == 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the audit log has no checkpoint of " UINT64_FORMAT " leaves", state->first),
				errhint("phi_audit.checkpoint lists the sizes."));
	ReadCheckpoint(state, SPI_tuptable, &checkpoint);
	if (checkpoint.altered != NULL)
		VerifyFailWithout(state, psprintf(checkpoint.altered, checkpoint.size));
	else if (!HasRoot(&checkpoint, &checkpoint.frontier))
		VerifyFailWithout(state, psprintf("checkpoint " UINT64_FORMAT
										  " was altered: its stored tree is not that of its root",
										  checkpoint.size));
	state->stored = checkpoint.frontier;
	state->range_from = state->range_begin = state->first;
}

/* The newest checkpoint of the directory was not reached: is it of a seal after our snapshot? */
void
VerifyKept(Verification *state)
{
	Oid types[] = {INT8OID, BYTEAOID};
	Datum values[2];
	bytea *root = palloc(VARHDRSZ + PHI_HASH_SIZE);

	SET_VARSIZE(root, VARHDRSZ + PHI_HASH_SIZE);
	memcpy(VARDATA(root), state->kept.root, PHI_HASH_SIZE);
	values[0] = Int64GetDatum((int64) state->kept.size);
	values[1] = PointerGetDatum(root);

	/* The snapshot of a REPEATABLE READ transaction may be as old as that; a file is not there before its commit. */
	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_execute_with_args("SELECT FROM phi_audit.checkpoint c "
							  "WHERE c.tree_size = $1 AND c.root = $2",
							  2, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.checkpoint");
	PopActiveSnapshot();
	if (SPI_processed == 0)
		VerifyFailForUnsealed(state, psprintf("the log was cut: the newest checkpoint in "
											  "phi.checkpoint_directory has " UINT64_FORMAT
											  " leaves, the log has " UINT64_FORMAT,
											  state->kept.size, state->stored.size));
}
