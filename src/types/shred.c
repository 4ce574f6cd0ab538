/*-------------------------------------------------------------------------
 * shred.c
 *		phi.shred_subject: the end of everything that was sealed under the
 *		keys of a subject.
 *
 * The keys are destroyed in src/protect/shred.sql.  What is here takes the
 * search tags of the values that are dead then, in every table that has some,
 * and overwrites those of the subject that a shreddable table still holds
 * under another key than the subject's.  Rows are written by values.c; nothing
 * is opened.
 *
 * Locking: as phi.shred_token and rows.c say.
 *-------------------------------------------------------------------------
 */
#include "types/sealing.h"

#include "access/table.h"
#include "access/xact.h"
#include "audit/audit.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "consent/consent.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "keyring/keyring.h"
#include "mb/pg_wchar.h"
#include "types/values.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(phi_shred_subject);
PG_FUNCTION_INFO_V1(phi_shred_batch);

#define REASON_MAX 200 /* characters */

/* One run of phi.shred_batch. */
typedef struct Shred
{
	uint64 subject_token;
	uint32 dead_key; /* a destroyed key of the subject */
	bool shreddable; /* the table is: no value of the subject may stay */
} Shred;

/* ---- one value ---- */

/* ValueWalk: is the value of the subject, and is there still something to be taken from it? */
static bool
ShredNeeded(const phi_header *header, int column, void *state)
{
	const Shred *shred = state;

	if (!header->bound || header->subject_token != shred->subject_token)
		return false;
	return IsDead(header) ? HasLiveTag(header) : shred->shreddable;
}

/* A value of the same size under the dead key, of which nothing but the place is left. */
static struct varlena *
OverwriteValue(Datum value, const phi_header *header, uint32 dead_key)
{
	struct varlena *dead = PG_DETOAST_DATUM_COPY(value);
	phi_header changed = *header;
	size_t size;

	changed.dek_id = dead_key;
	if (changed.searchable)
		changed.search_tag[0] = PHI_SEARCH_TAG_DEAD;
	RandomBytes((uint8 *) VARDATA(dead), VARSIZE(dead) - VARHDRSZ);
	if (changed.searchable)
		RandomBytes(changed.search_tag + 1, PHI_SEARCH_TAG_SIZE - 1);
	CheckStatus(phi_header_write(&changed, (uint8 *) VARDATA(dead), &size), "overwrite a value");
	return dead;
}

/* ValueWalk: take it. */
static struct varlena *
ShredValue(Datum value, const phi_header *header, int column, void *state)
{
	return IsDead(header) ? DeadenTag(value, header)
						  : OverwriteValue(value, header, ((Shred *) state)->dead_key);
}

/* ---- one batch ---- */

/* The columns of our types: the table need not be protected. */
static void
AddEncryptedColumns(ValueWalk *walk)
{
	TupleDesc columns = RelationGetDescr(walk->rows.relation);

	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(columns, i);

		if (!attribute->attisdropped && IsEncryptedType(attribute->atttypid))
			AddColumn(walk, attribute->attnum);
	}
}

/*
 * phi.shred_batch(member regclass, subject_token bigint, dead_key integer,
 * first_block bigint, OUT next_block bigint, OUT changed integer): take what is
 * left of a shredded subject from rows of a table, from a block on; next_block
 * is NULL at the table's end.  Internal: no role holds EXECUTE.
 */
Datum
phi_shred_batch(PG_FUNCTION_ARGS)
{
	const ProtectedRelation *policy;
	Shred shred = {0};
	ValueWalk walk = {0};
	TupleDesc columns;
	Datum values[2];
	bool nulls[2] = {false};

	RequirePreload();
	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	walk.rows.relation = try_table_open(PG_GETARG_OID(0), RowExclusiveLock);
	if (!walk.rows.relation)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation does not exist")));
	if (walk.rows.relation->rd_rel->relkind != RELKIND_RELATION ||
		walk.rows.relation->rd_rel->relam != HEAP_TABLE_AM_OID)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table \"%s\" cannot be searched for values of a subject",
						RelationGetRelationName(walk.rows.relation)),
				 errdetail("Only ordinary tables of access method heap can be.")));
	shred.subject_token = (uint64) PG_GETARG_INT64(1);
	shred.dead_key = (uint32) PG_GETARG_INT32(2);
	policy = RegistryRelation(RelationGetRelid(walk.rows.relation));
	shred.shreddable = policy && policy->shreddable;
	AddEncryptedColumns(&walk);
	walk.rows.limit = 10000;
	walk.needed = ShredNeeded;
	walk.renew = ShredValue;
	walk.state = &shred;
	WalkValues(&walk, (BlockNumber) PG_GETARG_INT64(3));

	nulls[0] = walk.rows.next == InvalidBlockNumber;
	values[0] = Int64GetDatum((int64) walk.rows.next);
	values[1] = Int32GetDatum(walk.rows.changed);
	table_close(walk.rows.relation, NoLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}

/* ---- the whole ---- */

/* The reason, checked: it is kept in the audit log for good. */
static char *
ReadReason(FunctionCallInfo fcinfo)
{
	char *reason = PG_ARGISNULL(1) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(1));
	bool blank = true;

	for (const char *c = reason; *c; c++)
	{
		if ((unsigned char) *c < ' ' || *c == 0x7f)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("the reason of a shredding must be one line of text")));
		blank = blank && *c == ' ';
	}
	if (blank || pg_mbstrlen(reason) > REASON_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the reason of a shredding must have 1 to %d characters", REASON_MAX),
						errhint("Say why in a few words, or give a reference; do not name the person.")));
	return reason;
}

/* Call phi.shred_token as the extension's owner; how many keys were destroyed and rows changed. */
static void
ShredToken(uint64 token, int64 *keys, int64 *rows)
{
	Oid types[1] = {INT8OID};
	Datum values[1] = {Int64GetDatum((int64) token)};
	OwnerScope scope;
	bool isnull;

	OwnerBegin(&scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("SELECT s.keys, s.changed FROM phi.shred_token($1) s", 1, types,
							  values, NULL, false, 0) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not shred a subject");
	*keys = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	*rows = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	SPI_finish();
	OwnerEnd(&scope);
}

/*
 * phi.shred_subject(subject "any", reason text): destroy the keys of a subject
 * in shreddable tables, and with them every value that was sealed under them,
 * here and wherever copied to; the number of keys.  Search tags and the details
 * of the subject's consents go too.  Takes effect with the commit.
 *
 * Raises UNDEFINED_OBJECT for a subject without keys, INVALID_PARAMETER_VALUE
 * without a reason, ACTIVE_SQL_TRANSACTION above READ COMMITTED: what was
 * committed since such a transaction began would be missed.
 */
Datum
phi_shred_subject(PG_FUNCTION_ARGS)
{
	Oid type = SubjectArgumentType(fcinfo, 0);
	AuditEvent event = {0};
	uint64 token;
	int64 keys;
	int64 rows;

	RequirePreload();
	NoteSensitiveStatement();
	if (ImplicitCodeRunning())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("phi.shred_subject cannot be used in a trigger, nor in a function "
							   "that a data-modifying statement calls")));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("a subject cannot be shredded in a transaction of this isolation level"),
						errhint("Use READ COMMITTED.")));
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the subject must not be null")));
	event.reason = ReadReason(fcinfo);
	token = SubjectToken(PG_GETARG_DATUM(0), type);
	ShredToken(token, &keys, &rows);
	event.action = "shred";
	event.outcome = "success";
	event.relation = PhiRelation("subject_key");
	event.detail = psprintf(INT64_FORMAT " keys destroyed, " INT64_FORMAT " rows changed", keys, rows);
	event.subjects = &token;
	event.row_count = 1;
	AuditAppend(&event);
	PG_RETURN_INT64(keys);
}
