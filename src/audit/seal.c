/*-------------------------------------------------------------------------
 * seal.c
 *		phi.audit_seal(): appending committed events to the Merkle tree of
 *		phi_audit.leaf (RFC 6962 section 2.1), and signing the tree.
 *
 * An event is sealed when no transaction that could still commit an earlier
 * one is left: all those with txid in [horizon of the last checkpoint, xmin of
 * the snapshot), ordered by txid and event_id.  Writers are never waited for;
 * a long or prepared transaction only keeps the horizon where it is.
 *
 * Nothing is signed that does not extend what was signed before: the last
 * checkpoint must be signed, by the last incarnation, and be that of the stored
 * tree; the newest one in phi.checkpoint_directory must be of this tree.  The
 * order of leaves follows from the transactions' numbers alone, so a
 * checkpoint whose transaction is undone is made again just so.
 *
 * Locking: ShareRowExclusiveLock on phi_audit.checkpoint, one sealer at a time.
 * Memory: events are fetched FETCH_ROWS at a time, their leaves made in a
 * context reset for each.
 *-------------------------------------------------------------------------
 */
#include "audit/checkpoint.h"
#include "audit/cursor.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#define FETCH_ROWS 1000

/*
 * The first transaction that the query's own snapshot sees running; has no
 * leaf; and the events to seal, where the last horizon ($1) counts and where not.
 */
#define HORIZON    "(SELECT pg_snapshot_xmin(pg_current_snapshot()))"
#define NOT_SEALED "NOT EXISTS (SELECT FROM phi_audit.leaf l WHERE l.event_id = e.event_id)"
#define SINCE      "FROM phi_audit.event e WHERE e.txid >= $1 AND e.txid < " HORIZON " AND " NOT_SEALED
#define ALL                                                                                  \
	"FROM phi_audit.event e WHERE e.txid <> coalesce(pg_current_xact_id_if_assigned(), $1) " \
	"AND " NOT_SEALED

PG_FUNCTION_INFO_V1(phi_audit_seal);
PG_FUNCTION_INFO_V1(phi_audit_new_incarnation);

/* ---- the last checkpoint ---- */

char *
LogIncarnation(void)
{
	return psprintf(UINT64_FORMAT "/%u", GetSystemIdentifier(), MyDatabaseId);
}

/* Where sealing goes on from. */
typedef struct SealState
{
	phi_frontier frontier;
	bool resumes; /* the last checkpoint was made here: its horizon counts */
	uint64 horizon;
	Incarnation before;     /* who signed the last checkpoint */
	Incarnation last;       /* the newest incarnation */
	Incarnation signer;     /* who signs from here on */
	bool signer_has_signed; /* a checkpoint before this one */
} SealState;

/* Raise because the tree is not what the last checkpoint says. */
static void
RefuseTree(const char *detail)
{
	ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("cannot seal: the audit log does not match its last checkpoint"),
			errdetail_internal("%s", detail),
			errhint("phi.audit_verify() names what was altered."));
}

/* A bytea column of the current SPI row, or no bytes where it is NULL. */
static phi_bytes
RowBytes(HeapTuple row, int column)
{
	bool isnull;
	Datum value = SPI_getbinval(row, SPI_tuptable->tupdesc, column, &isnull);
	bytea *bytes = isnull ? NULL : DatumGetByteaPP(value);

	return isnull ? phi_bytes_of(NULL, 0)
				  : phi_bytes_of(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/* Refuse unless the note is what the incarnation signed of this tree. */
static void
CheckSignature(const char *incarnation, const char *note, uint64 size, const uint8 *root,
			   Incarnation *signer)
{
	phi_checkpoint checkpoint;

	if (note == NULL)
		RefuseTree("It is not signed.");
	if (!IncarnationFind(incarnation, signer))
		RefuseTree("Its incarnation is gone.");
	if (phi_checkpoint_open(phi_bytes_of(note, strlen(note)), &signer->vkey, &checkpoint) !=
			PHI_OK ||
		checkpoint.size != size || memcmp(checkpoint.root, root, PHI_HASH_SIZE) != 0)
		RefuseTree("Its signature is not of its tree.");
}

/* Take up the tree of the last checkpoint, if there is one, after checking it. */
static void
LoadCheckpoint(SealState *state)
{
	char *here = psprintf("%s/", LogIncarnation());
	uint8 root[PHI_HASH_SIZE];
	phi_bytes stored;
	char *incarnation;
	HeapTuple row;
	bool isnull;
	int64 leaves;
	int64 size;

	if (SPI_execute("SELECT c.tree_size, c.root, c.frontier, c.horizon, c.incarnation, "
					"(SELECT max(l.leaf_index) + 1 FROM phi_audit.leaf l), c.note "
					"FROM (SELECT) one LEFT JOIN phi_audit.checkpoint c ON true "
					"ORDER BY c.tree_size DESC LIMIT 1",
					false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read phi_audit.checkpoint");
	row = SPI_tuptable->vals[0];
	leaves = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 6, &isnull));
	if (isnull)
		leaves = 0;
	size = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
	if (isnull)
		size = 0;
	if (leaves != size)
		RefuseTree("phi_audit.leaf ends before it, or goes on after it.");
	phi_frontier_init(&state->frontier);
	if (size == 0)
		return;
	if (phi_frontier_load(&state->frontier, size, RowBytes(row, 3)) != PHI_OK)
		RefuseTree("Its stored tree has another size.");
	CheckStatus(phi_frontier_root(&state->frontier, root), "compute a root");
	stored = RowBytes(row, 2);
	if (stored.size != sizeof(root) || memcmp(stored.data, root, sizeof(root)) != 0)
		RefuseTree("Its root is not that of its stored tree.");
	state->horizon = U64FromFullTransactionId(
		DatumGetFullTransactionId(SPI_getbinval(row, SPI_tuptable->tupdesc, 4, &isnull)));
	incarnation = SPI_getvalue(row, SPI_tuptable->tupdesc, 5);
	state->resumes = strncmp(incarnation, here, strlen(here)) == 0;
	CheckSignature(incarnation, SPI_getvalue(row, SPI_tuptable->tupdesc, 7), size, root,
				   &state->before);
	state->signer_has_signed = strcmp(incarnation, state->last.id) == 0;
}

/* ---- the newest checkpoint outside the database ---- */

/* RowTaker: append a leaf's hash to a tree. */
static void
AppendLeaf(void *tree, const Datum *values, const bool *isnull)
{
	bytea *hash = isnull[0] ? NULL : DatumGetByteaPP(values[0]);

	if (hash == NULL || VARSIZE_ANY_EXHDR(hash) != PHI_HASH_SIZE)
		RefuseTree("A leaf has no hash.");
	CheckStatus(phi_frontier_append(tree, (const uint8 *) VARDATA_ANY(hash)), "extend a tree");
}

/* The root that the stored leaves gave at an earlier size. */
static void
RootAt(uint64 size, uint8 root[PHI_HASH_SIZE])
{
	Oid types[] = {INT8OID};
	Datum values[] = {Int64GetDatum((int64) size)};
	phi_frontier tree;

	phi_frontier_init(&tree);
	CursorEach(SPI_cursor_open_with_args(NULL,
										 "SELECT l.leaf_hash FROM phi_audit.leaf l "
										 "WHERE l.leaf_index < $1 ORDER BY l.leaf_index",
										 1, types, values, NULL, true, 0),
			   FETCH_ROWS, AppendLeaf, &tree);
	CheckStatus(phi_frontier_root(&tree, root), "compute a root");
}

/*
 * Refuse to sign a tree that the newest checkpoint of the directory is not of.
 * Only an incarnation that has signed nothing yet may be at variance with it:
 * recovery to a point in time has taken back what came after.
 */
static void
CheckDirectoryNewest(const SealState *state)
{
	uint8 root[PHI_HASH_SIZE];
	KeptCheckpoint newest;
	bool of_this_tree;

	if (!DirectoryNewest(&newest))
		return;
	of_this_tree = newest.size <= state->frontier.size;
	if (of_this_tree)
	{
		if (newest.size == state->frontier.size)
			CheckStatus(phi_frontier_root(&state->frontier, root), "compute a root");
		else
			RootAt(newest.size, root);
		of_this_tree = memcmp(root, newest.root, sizeof(root)) == 0;
	}
	if (of_this_tree ||
		(!state->signer_has_signed && strcmp(newest.incarnation, state->signer.id) != 0))
		return;
	ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("cannot seal: the audit log does not contain the newest checkpoint of "
				   "phi.checkpoint_directory"),
			errdetail("That has " UINT64_FORMAT " leaves, the log has " UINT64_FORMAT ".",
					  newest.size, state->frontier.size),
			errhint("The log was cut or altered, or is an old copy. Where that is intended, "
					"phi.audit_new_incarnation() goes on from here and says so."));
}

/* Who signs: the last incarnation if it is of this place, else a new one. */
static void
ChooseSigner(SealState *state)
{
	if (IncarnationIsHere(&state->last))
	{
		state->signer = state->last;
		return;
	}
	IncarnationBegin(&state->last, state->frontier.size, NULL, &state->signer);
	state->signer_has_signed = false;
}

/* ---- sealing ---- */

/* Write the leaf of one event, given by its columns, and grow the tree by it. */
static void
SealEvent(SealState *state, LogWriter *leaves, const Datum *event, const bool *isnull,
		  StringInfo buffer)
{
	bytea *stored = palloc(VARHDRSZ + PHI_HASH_SIZE);
	uint8 *hash = (uint8 *) VARDATA(stored);
	Datum values[LEAF_COLUMNS];
	bool nulls[LEAF_COLUMNS] = {false};

	EventLeafHash(event, isnull, buffer, hash);
	SET_VARSIZE(stored, VARHDRSZ + PHI_HASH_SIZE);
	values[0] = Int64GetDatum(state->frontier.size);
	values[1] = event[EVENT_ID];
	values[2] = event[EVENT_RECORDED_AT];
	values[3] = PointerGetDatum(stored);
	CheckStatus(phi_frontier_append(&state->frontier, hash), "extend the audit tree");
	LogWriterAppend(leaves, values, nulls);
}

/*
 * Open a cursor over the events to seal, each with the snapshot's horizon
 * behind its columns.  A log that came from elsewhere, or was never sealed, is
 * sealed as far as it can be seen: its transaction numbers mean nothing here.
 */
static Portal
OpenEvents(const SealState *state)
{
	Oid types[] = {XID8OID};
	Datum values[] = {FullTransactionIdGetDatum(FullTransactionIdFromU64(state->horizon))};

	return SPI_cursor_open_with_args(NULL,
									 state->resumes ? "SELECT " EVENT_COLUMN_LIST ", " HORIZON
													  " " SINCE " ORDER BY e.txid, e.event_id"
													: "SELECT " EVENT_COLUMN_LIST ", " HORIZON
													  " " ALL " ORDER BY e.txid, e.event_id",
									 1, types, values, NULL, false, 0);
}

/* Is there an event to seal? */
static bool
AnyToSeal(const SealState *state)
{
	Oid types[] = {XID8OID};
	Datum values[] = {FullTransactionIdGetDatum(FullTransactionIdFromU64(state->horizon))};

	if (SPI_execute_with_args(state->resumes ? "SELECT " SINCE : "SELECT " ALL, 1, types, values,
							  NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.event");
	return SPI_processed > 0;
}

/* What SealEvents writes with. */
typedef struct SealWriter
{
	SealState *state;
	LogWriter leaves;
	StringInfoData buffer;
	uint64 *horizon;
} SealWriter;

/* RowTaker: seal an event. */
static void
SealRow(void *argument, const Datum *values, const bool *isnull)
{
	SealWriter *writer = argument;

	*writer->horizon = U64FromFullTransactionId(DatumGetFullTransactionId(values[EVENT_COLUMNS]));
	SealEvent(writer->state, &writer->leaves, values, isnull, &writer->buffer);
}

/* Seal every event of the cursor; *horizon receives that of its snapshot. */
static void
SealEvents(SealState *state, Oid leaf, uint64 *horizon)
{
	Portal events = OpenEvents(state);
	SealWriter writer = {.state = state, .horizon = horizon};

	CheckEventColumns(events->tupDesc);
	initStringInfo(&writer.buffer);
	LogWriterOpen(&writer.leaves, leaf, LEAF_COLUMNS, false);
	CursorEach(events, FETCH_ROWS, SealRow, &writer);
	LogWriterClose(&writer.leaves);
	CommandCounterIncrement();
}

/* Write the checkpoint of the tree, signed, to the log and to the directory. */
static void
WriteCheckpoint(const SealState *state, Oid checkpoint, uint64 horizon)
{
	Size peaks = phi_frontier_bytes(&state->frontier);
	bytea *frontier = palloc(VARHDRSZ + peaks);
	bytea *root = palloc(VARHDRSZ + PHI_HASH_SIZE);
	char note[CHECKPOINT_NOTE];
	Datum values[CHECKPOINT_COLUMNS] = {0};
	bool isnull[CHECKPOINT_COLUMNS] = {false};
	LogWriter writer;
	Size size;

	SET_VARSIZE(frontier, VARHDRSZ + peaks);
	memcpy(VARDATA(frontier), state->frontier.peaks, peaks);
	SET_VARSIZE(root, VARHDRSZ + PHI_HASH_SIZE);
	CheckStatus(phi_frontier_root(&state->frontier, (uint8 *) VARDATA(root)), "compute a root");
	size = CheckpointSign(&state->signer, state->signer_has_signed ? NULL : &state->before,
						  state->frontier.size, (uint8 *) VARDATA(root), note);
	values[0] = Int64GetDatum(state->frontier.size);
	values[1] = PointerGetDatum(root);
	values[2] = PointerGetDatum(frontier);
	values[3] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[4] = FullTransactionIdGetDatum(FullTransactionIdFromU64(horizon));
	values[5] = CStringGetTextDatum(state->signer.id);
	values[6] = PointerGetDatum(cstring_to_text_with_len(note, size));
	LogWriterOpen(&writer, checkpoint, CHECKPOINT_COLUMNS, false);
	LogWriterAppend(&writer, values, isnull);
	LogWriterClose(&writer);
	CommandCounterIncrement();
	DirectoryWrite(state->signer.id, note, size);
}

/*
 * Seal what can be sealed now, and make a checkpoint if that was anything;
 * returns the number of events.  Runs as the extension's owner.
 */
static uint64
SealLog(const AuditLog *log)
{
	SealState state = {0};
	uint64 size;
	uint64 horizon = 0;

	LockRelationOid(log->checkpoint, ShareRowExclusiveLock);
	IncarnationLast(&state.last);
	LoadCheckpoint(&state);
	size = state.frontier.size;
	if (!AnyToSeal(&state))
		return 0;
	ChooseSigner(&state);
	CheckDirectoryNewest(&state);
	SealEvents(&state, log->leaf, &horizon);
	if (state.frontier.size > size)
		WriteCheckpoint(&state, log->checkpoint, horizon);
	return state.frontier.size - size;
}

/* Seal what can be sealed, and keep partitions ahead of the clock; returns the number of events. */
static uint64
SealNow(void)
{
	AuditLog log = *AuditLogRequire();
	OwnerScope owner;
	uint64 sealed;

	AuditLogExtend();
	OwnerBegin(&owner);
	SPI_connect();
	sealed = SealLog(&log);
	SPI_finish();
	OwnerEnd(&owner);
	return sealed;
}

void
AuditWorkerSeal(void)
{
	(void) SealNow();
}

/* Raise unless sealing can begin in this transaction. */
static void
RequireSealable(void)
{
	RequirePreload();
	PreventCommandIfReadOnly("phi.audit_seal()");
	if (IsolationUsesXactSnapshot())
		ereport(
			ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			errmsg("phi.audit_seal() needs isolation level READ COMMITTED"),
			errdetail("The snapshot of this transaction may be older than the last checkpoint."));
}

/* phi.audit_seal() */
Datum
phi_audit_seal(PG_FUNCTION_ARGS)
{
	RequireSealable();
	PG_RETURN_INT64(SealNow());
}

/*
 * phi.audit_new_incarnation(reason): checkpoints are signed as a new
 * incarnation from here on, whatever was signed before.  Returns its origin.
 */
Datum
phi_audit_new_incarnation(PG_FUNCTION_ARGS)
{
	AuditEvent event = {0};
	SealState state = {0};
	char *reason = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	OwnerScope owner;
	char *origin;
	Oid checkpoint;

	RequireSealable();
	if (reason == NULL || reason[0] == '\0')
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("a new incarnation of the audit log needs a reason"));
	event.action = "audit_new_incarnation";
	event.outcome = "success";
	event.detail = reason;
	AuditAppend(&event);
	checkpoint = AuditLogRequire()->checkpoint;
	OwnerBegin(&owner);
	SPI_connect();
	LockRelationOid(checkpoint, ShareRowExclusiveLock);
	IncarnationLast(&state.last);
	LoadCheckpoint(&state);
	IncarnationBegin(&state.last, state.frontier.size, reason, &state.signer);
	SPI_finish();
	OwnerEnd(&owner);
	origin = CheckpointOrigin(state.signer.id);
	PG_RETURN_TEXT_P(cstring_to_text(origin));
}
