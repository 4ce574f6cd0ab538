/*-------------------------------------------------------------------------
 * relation_read.c
 *		Reading the tables that relate askers to subjects.
 *
 * A point read goes by the subject's index, reading everything of an asker by
 * the holder's.  Reads use a catalog snapshot, so that REPEATABLE READ sees a
 * relation ended; no SQL runs.
 *
 * Broken glass counts only from the commit of the transaction that broke it:
 * a rollback would otherwise take the review along with the grant, after the
 * data was seen.
 *
 * Locking: AccessShareLock on a table while reading.
 *-------------------------------------------------------------------------
 */
#include "consent/relations.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

/* The first columns of each table, by position. */
enum RelationColumn
{
	RE_ID = 1,
	RE_SUBJECT,
	RE_HOLDER,
	RE_FROM,
	RE_UNTIL,
	RE_MAY_READ, /* of phi.proxy */
	RE_MAY_CONSENT
};

/* The tables, by RelationKind. */
static const struct Source
{
	const char *table;
	const char *subject_index;
	const char *holder_index;
	bool actor_alone;    /* the holder is always an actor */
	AttrNumber flag;     /* a column that must be true, or 0 */
	bool committed_only; /* rows of the own transaction do not count */
} sources[RELATION_KINDS] = {
	[RELATION_CARE] = {"care_relationship", "care_relationship_subject_idx",
					   "care_relationship_holder_idx", false, 0, false},
	[RELATION_SELF] = {"person", "person_subject_idx", "person_holder_idx", true, 0, false},
	[RELATION_PROXY] = {"proxy", "proxy_subject_idx", "proxy_holder_idx", true, RE_MAY_READ, false},
	[RELATION_CONSENT_PROXY] = {"proxy", "proxy_subject_idx", "proxy_holder_idx", true,
								RE_MAY_CONSENT, false},
	[RELATION_GLASS] = {"glass", "glass_subject_idx", "glass_holder_idx", true, 0, true},
};

/* Is the holder of a row one of the references that count for the source? */
static bool
HolderMatches(const struct Source *source, const Asker *asker, uint64 holder)
{
	int count = source->actor_alone ? Min(asker->reference_count, 1) : asker->reference_count;

	for (int i = 0; i < count; i++)
		if (asker->references[i] == holder)
			return true;
	return false;
}

/* Does the period hold?  Lowers *until to when it begins or ends. */
static bool
PeriodHolds(HeapTuple tuple, TupleDesc desc, TimestampTz at, TimestampTz *until)
{
	bool isnull;
	Datum value = heap_getattr(tuple, RE_FROM, desc, &isnull);

	if (!isnull && at < DatumGetTimestampTz(value))
	{
		*until = Min(*until, DatumGetTimestampTz(value));
		return false;
	}
	value = heap_getattr(tuple, RE_UNTIL, desc, &isnull);
	if (isnull)
		return true;
	if (at >= DatumGetTimestampTz(value))
		return false;
	*until = Min(*until, DatumGetTimestampTz(value));
	return true;
}

/* Does the row relate the asker to its subject, now? */
static bool
RowHolds(const struct Source *source, HeapTuple tuple, TupleDesc desc, const Asker *asker,
		 TimestampTz *until)
{
	bool isnull;

	if (!HolderMatches(source, asker,
					   (uint64) DatumGetInt64(heap_getattr(tuple, RE_HOLDER, desc, &isnull))))
		return false;
	if (source->flag != 0 && !DatumGetBool(heap_getattr(tuple, source->flag, desc, &isnull)))
		return false;
	if (source->committed_only &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data)))
		return false;
	return PeriodHolds(tuple, desc, asker->at, until);
}

/* Scan by one of the two tokens. */
static SysScanDesc
BeginScan(Relation rel, const char *index, AttrNumber column, uint64 token)
{
	ScanKeyData key;

	if (RelationGetNumberOfAttributes(rel) < RE_MAY_CONSENT)
		elog(ERROR, "unexpected shape of a table of relations");
	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum((int64) token));
	return systable_beginscan(rel, PhiRelation(index), true, NULL, 1, &key);
}

bool
RelationRead(RelationKind kind, const Asker *asker, uint64 subject_token, TimestampTz *until,
			 int64 *id)
{
	const struct Source *source = &sources[kind];
	Relation rel = table_open(PhiRelation(source->table), AccessShareLock);
	SysScanDesc scan = BeginScan(rel, source->subject_index, RE_SUBJECT, subject_token);
	TupleDesc desc = RelationGetDescr(rel);
	HeapTuple tuple;

	*id = 0;
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool isnull;
		int64 found;

		if (!RowHolds(source, tuple, desc, asker, until))
			continue;
		found = DatumGetInt64(heap_getattr(tuple, RE_ID, desc, &isnull));
		if (*id == 0 || found < *id)
			*id = found;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return *id != 0;
}

/* Everything of one holder. */
static bool
ReadHolder(const struct Source *source, Relation rel, uint64 holder, const Asker *asker,
		   TimestampTz *until, RelationTaker take, void *context)
{
	SysScanDesc scan = BeginScan(rel, source->holder_index, RE_HOLDER, holder);
	TupleDesc desc = RelationGetDescr(rel);
	bool going = true;
	HeapTuple tuple;

	while (going && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool isnull;

		CHECK_FOR_INTERRUPTS();
		if (RowHolds(source, tuple, desc, asker, until))
			going = take(context,
						 (uint64) DatumGetInt64(heap_getattr(tuple, RE_SUBJECT, desc, &isnull)));
	}
	systable_endscan(scan);
	return going;
}

bool
RelationReadAll(RelationKind kind, const Asker *asker, TimestampTz *until, RelationTaker take,
				void *context)
{
	const struct Source *source = &sources[kind];
	Relation rel = table_open(PhiRelation(source->table), AccessShareLock);
	int count = source->actor_alone ? Min(asker->reference_count, 1) : asker->reference_count;
	bool going = true;

	for (int i = 0; going && i < count; i++)
		going = ReadHolder(source, rel, asker->references[i], asker, until, take, context);
	table_close(rel, AccessShareLock);
	return going;
}
