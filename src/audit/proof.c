/*-------------------------------------------------------------------------
 * proof.c
 *		phi.audit_proof(event): that an event is in the log, as a C2SP
 *		tlog-proof; phi.audit_consistency(from, to): that a later tree extends
 *		an earlier one, as the body of a C2SP tlog-witness request.
 *
 * A proof needs the roots of some subtrees.  That of a large one is mostly
 * there already: the stored tree of a checkpoint is a list of such roots.  So
 * a proof reads a few thousand leaves and some checkpoints, however large the
 * log.  Nothing of it is trusted: a proof is checked against the signed root
 * before it is returned.
 *-------------------------------------------------------------------------
 */
#include "audit/checkpoint.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "core/leaf.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#define SCAN_LEAVES 4096 /* a subtree up to this size is computed from its leaves */

PG_FUNCTION_INFO_V1(phi_audit_proof);
PG_FUNCTION_INFO_V1(phi_audit_consistency);

/* A signed checkpoint. */
typedef struct Signed
{
	char *note;
	phi_checkpoint content;
} Signed;

/* Raise: the log cannot prove what it should. */
static void
RefuseProof(const char *detail)
{
	ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("cannot prove it from the audit log"),
			errdetail_internal("%s", detail),
			errhint("phi.audit_verify() names what was altered."));
}

/* Run a query with bigint arguments. */
static void
ReadLog(const char *query, int count, const uint64 *arguments)
{
	Oid types[] = {INT8OID, INT8OID};
	Datum values[2];
	int i;

	for (i = 0; i < count; i++)
		values[i] = Int64GetDatum((int64) arguments[i]);
	if (SPI_execute_with_args(query, count, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the audit log");
}

/* A hash, or hashes, of a row of the result. */
static phi_bytes
ResultBytes(uint64 row, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);
	bytea *bytes = isnull ? NULL : DatumGetByteaPP(value);

	return isnull ? phi_bytes_of(NULL, 0)
				  : phi_bytes_of(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/* ---- roots of subtrees ---- */

/* The root of some leaves, from themselves. */
static void
RootFromLeaves(phi_leaf_range range, uint8 root[PHI_HASH_SIZE])
{
	uint64 arguments[] = {range.first, range.until};
	phi_frontier tree;
	uint64 i;

	phi_frontier_init(&tree);
	ReadLog(
		"SELECT l.leaf_hash FROM phi_audit.leaf l WHERE l.leaf_index >= $1 AND l.leaf_index < $2 "
		"ORDER BY l.leaf_index",
		2, arguments);
	for (i = 0; i < SPI_processed; i++)
	{
		phi_bytes hash = ResultBytes(i, 1);

		if (hash.size != PHI_HASH_SIZE)
			RefuseProof("A leaf has no hash.");
		CheckStatus(phi_frontier_append(&tree, hash.data), "extend a tree");
	}
	SPI_freetuptable(SPI_tuptable);
	if (tree.size != range.until - range.first)
		RefuseProof("Leaves are missing.");
	CheckStatus(phi_frontier_root(&tree, root), "compute a root");
}

/*
 * The root of a perfect subtree that is a left child, where the stored tree of
 * some checkpoint has it: of any size from the subtree's end to before its
 * sibling's.
 */
static bool
RootFromCheckpoint(phi_leaf_range range, uint8 root[PHI_HASH_SIZE])
{
	uint64 size = range.until - range.first;
	uint64 arguments[] = {range.until, range.until + size};
	phi_bytes peaks;
	uint64 before;
	Size at = 0;
	bool found = false;

	if ((size & (size - 1)) != 0 || range.first % (2 * size) != 0)
		return false;
	ReadLog("SELECT c.frontier FROM phi_audit.checkpoint c "
			"WHERE c.tree_size >= $1 AND c.tree_size < $2 LIMIT 1",
			2, arguments);

	/* Before it in the list is a root for each larger subtree: a bit of its first leaf's number. */
	for (before = range.first; before != 0; before &= before - 1)
		at += PHI_HASH_SIZE;
	if (SPI_processed == 1)
	{
		peaks = ResultBytes(0, 1);
		found = peaks.size >= at + PHI_HASH_SIZE;
		if (found)
			memcpy(root, peaks.data + at, PHI_HASH_SIZE);
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* The root of some leaves. */
static void
RangeRoot(phi_leaf_range range, uint8 root[PHI_HASH_SIZE])
{
	uint64 size = range.until - range.first;
	phi_leaf_range left = range;
	phi_leaf_range right = range;
	uint8 left_root[PHI_HASH_SIZE];
	uint64 half = 1;

	CHECK_FOR_INTERRUPTS();
	if (size <= SCAN_LEAVES)
	{
		RootFromLeaves(range, root);
		return;
	}
	if (RootFromCheckpoint(range, root))
		return;
	while (2 * half < size)
		half *= 2;
	left.until = right.first = range.first + half;
	RangeRoot(left, left_root);
	RangeRoot(right, root);
	CheckStatus(phi_node_hash(left_root, root, root), "compute a root");
}

/* ---- checkpoints ---- */

/* A signed checkpoint of a query's row (incarnation, note), in the context outside SPI. */
static Signed
ResultCheckpoint(void)
{
	Signed found;
	Incarnation signer;
	char *incarnation;

	if (SPI_processed == 0)
		RefuseProof("No checkpoint covers it yet.");
	incarnation = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	found.note = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	if (found.note == NULL || !IncarnationFind(incarnation, &signer) ||
		phi_checkpoint_open(phi_bytes_of(found.note, strlen(found.note)), &signer.vkey,
							&found.content) != PHI_OK)
		RefuseProof("The signature of a checkpoint does not verify.");
	return found;
}

/* The checkpoint of a size. */
static Signed
CheckpointOfSize(uint64 size)
{
	ReadLog("SELECT c.incarnation, c.note FROM phi_audit.checkpoint c WHERE c.tree_size = $1", 1,
			&size);
	if (SPI_processed == 0)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the audit log has no checkpoint of " UINT64_FORMAT " leaves", size),
				errhint("phi_audit.checkpoint lists the sizes."));
	return ResultCheckpoint();
}

/* The newest checkpoint. */
static Signed
NewestCheckpoint(void)
{
	ReadLog("SELECT c.incarnation, c.note FROM phi_audit.checkpoint c ORDER BY c.tree_size DESC "
			"LIMIT 1",
			0, NULL);
	return ResultCheckpoint();
}

/* ---- inclusion ---- */

/* The leaf of an event: its index and hash, and its bytes, none where it was erased. */
static phi_bytes
FindLeaf(int64 event, uint64 *index, uint8 hash[PHI_HASH_SIZE])
{
	uint64 argument = (uint64) event;
	Datum row[EVENT_COLUMNS + 2];
	bool isnull[EVENT_COLUMNS + 2];
	phi_bytes stored;
	StringInfoData leaf;
	uint8 computed[PHI_HASH_SIZE];

	ReadLog(
		"SELECT " EVENT_COLUMN_LIST ", l.leaf_index, l.leaf_hash FROM phi_audit.leaf l "
		"LEFT JOIN phi_audit.event e ON e.recorded_at = l.recorded_at AND e.event_id = l.event_id "
		"WHERE l.event_id = $1",
		1, &argument);
	if (SPI_processed != 1)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("event " INT64_FORMAT " is not sealed, or does not exist", event));
	CheckEventColumns(SPI_tuptable->tupdesc);
	heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, row, isnull);
	*index = (uint64) DatumGetInt64(row[EVENT_COLUMNS]);
	stored = ResultBytes(0, EVENT_COLUMNS + 2);
	if (stored.size != PHI_HASH_SIZE)
		RefuseProof("The leaf has no hash.");
	memcpy(hash, stored.data, PHI_HASH_SIZE);
	if (isnull[EVENT_ID] || isnull[EVENT_SALT])
		return phi_bytes_of(NULL, 0);
	initStringInfo(&leaf);
	EventLeafHash(row, isnull, &leaf, computed);
	if (memcmp(computed, hash, PHI_HASH_SIZE) != 0)
		RefuseProof("The event does not agree with its leaf.");
	return phi_bytes_of(leaf.data, leaf.len);
}

/* The text of a proof; the leaf's bytes are its extra data. */
static char *
MakeProof(int64 event)
{
	Signed checkpoint = NewestCheckpoint();
	phi_leaf_range ranges[PHI_FRONTIER_PEAKS];
	phi_log_proof *proof = palloc0(sizeof(phi_log_proof));
	uint8 hash[PHI_HASH_SIZE];
	phi_buffer out = {0};
	phi_bytes leaf = FindLeaf(event, &proof->index, hash);
	char *extra = palloc(phi_base64_size(leaf.size) + 1);
	Size i;

	phi_base64_encode(leaf, extra);
	proof->extra = phi_bytes_of(extra, phi_base64_size(leaf.size));
	proof->checkpoint = phi_bytes_of(checkpoint.note, strlen(checkpoint.note));
	if (phi_inclusion_ranges(checkpoint.content.size, proof->index, ranges, &proof->path_size) !=
		PHI_OK)
		RefuseProof("No checkpoint covers it yet.");
	for (i = 0; i < proof->path_size; i++)
		RangeRoot(ranges[i], proof->path[i]);
	if (phi_inclusion_verify(hash, proof->index, checkpoint.content.size,
							 (const uint8(*)[PHI_HASH_SIZE]) proof->path, proof->path_size,
							 checkpoint.content.root) != PHI_OK)
		RefuseProof("The leaves do not give the signed root.");
	out.capacity = proof->extra.size + proof->checkpoint.size + 64 * (proof->path_size + 4);
	out.data = SPI_palloc(out.capacity + 1);
	CheckStatus(phi_log_proof_format(proof, &out), "write a proof");
	out.data[out.size] = '\0';
	return (char *) out.data;
}

/* phi.audit_proof(event) */
Datum
phi_audit_proof(PG_FUNCTION_ARGS)
{
	OwnerScope owner;
	char *proof;

	RequirePreload();
	(void) AuditLogRequire();
	OwnerBegin(&owner);
	SPI_connect();
	proof = MakeProof(PG_GETARG_INT64(0));
	SPI_finish();
	OwnerEnd(&owner);
	PG_RETURN_TEXT_P(cstring_to_text(proof));
}

/* ---- consistency ---- */

/* The text of a consistency proof between two signed checkpoints. */
static char *
MakeConsistency(uint64 from, uint64 to)
{
	Signed before = CheckpointOfSize(from);
	Signed after = CheckpointOfSize(to);
	phi_leaf_range ranges[PHI_FRONTIER_PEAKS + 1];
	uint8 path[PHI_FRONTIER_PEAKS + 1][PHI_HASH_SIZE];
	char digits[64];
	StringInfoData text;
	char *out;
	Size size;
	Size i;

	if (phi_consistency_ranges(from, to, ranges, &size) != PHI_OK)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("a consistency proof leads from a smaller tree to a larger one"));
	initStringInfo(&text);
	appendStringInfo(&text, "old " UINT64_FORMAT "\n", from);
	for (i = 0; i < size; i++)
	{
		RangeRoot(ranges[i], path[i]);
		phi_base64_encode(phi_bytes_of(path[i], PHI_HASH_SIZE), digits);
		appendStringInfo(&text, "%.*s\n", (int) phi_base64_size(PHI_HASH_SIZE), digits);
	}
	if (phi_consistency_verify(from, before.content.root, to, after.content.root,
							   (const uint8(*)[PHI_HASH_SIZE]) path, size) != PHI_OK)
		RefuseProof("The later signed tree does not extend the earlier one.");
	appendStringInfo(&text, "\n%s", after.note);
	out = SPI_palloc(text.len + 1);
	memcpy(out, text.data, text.len + 1);
	return out;
}

/* phi.audit_consistency(from_size, to_size) */
Datum
phi_audit_consistency(PG_FUNCTION_ARGS)
{
	OwnerScope owner;
	char *proof;

	RequirePreload();
	(void) AuditLogRequire();
	OwnerBegin(&owner);
	SPI_connect();
	proof = MakeConsistency((uint64) PG_GETARG_INT64(0), (uint64) PG_GETARG_INT64(1));
	SPI_finish();
	OwnerEnd(&owner);
	PG_RETURN_TEXT_P(cstring_to_text(proof));
}
