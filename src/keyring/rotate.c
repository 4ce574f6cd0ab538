/*-------------------------------------------------------------------------
 * rotate.c
 *		Making data keys, and wrapping them anew under another
 *		key-encryption key.
 *
 * Every change of phi.data_key is made as the extension's owner under a SHARE
 * ROW EXCLUSIVE lock of the table, so that two sessions cannot each make the
 * current key.  Sessions that read keys go on meanwhile.  A key is in the
 * clear only between its unwrapping and its wrapping, on the stack.
 *-------------------------------------------------------------------------
 */
#include "keyring/keyring.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "keyring/kek.h"
#include "keyring/subject_key.h"
#include "keyring/wrap.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(phi_ensure_keys);
PG_FUNCTION_INFO_V1(phi_make_data_key);
PG_FUNCTION_INFO_V1(phi_rewrap_keys);
PG_FUNCTION_INFO_V1(phi_write_key);

/* Become the extension's owner, with phi.data_key locked against others that would change it. */
static void
BeginChange(OwnerScope *scope)
{
	OwnerBegin(scope);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	(void) SPI_execute("LOCK TABLE phi.data_key IN SHARE ROW EXCLUSIVE MODE", false, 0);
	KeyringForget(); /* another session may have changed it while we waited */
}

static void
EndChange(const OwnerScope *scope)
{
	SPI_finish();
	OwnerEnd(scope);
	KeyringForget();
}

/* Run one command with arguments of these types; raises unless it is of the expected kind. */
static void
RunCommand(const char *command, int count, const Oid *types, Datum *values, const char *nulls,
		   int expected)
{
	if (SPI_execute_with_args(command, count, (Oid *) types, values, nulls, false, 0) != expected)
		elog(ERROR, "could not change phi.data_key");
}

/* A bytea of these bytes. */
static Datum
BytesDatum(const uint8 *data, Size size)
{
	bytea *out = palloc(size + VARHDRSZ);

	SET_VARSIZE(out, size + VARHDRSZ);
	memcpy(VARDATA(out), data, size);
	return PointerGetDatum(out);
}

/* Make, wrap and store one current key; relation 0: of the database. */
static void
CreateKey(bool root, Oid relation)
{
	static const Oid types[] = {UUIDOID, TEXTOID, INT4OID, BYTEAOID, BYTEAOID, REGCLASSOID};
	uint8 key[PHI_KEY_SIZE];
	WrappedKey made;
	Datum values[6];

	made.scope = root ? SCOPE_ROOT : SCOPE_DATA;
	NewKey(&made, key);
	SecretWipe(key, sizeof(key));

	values[0] = UUIDPGetDatum((pg_uuid_t *) made.uuid);
	values[1] = CStringGetTextDatum(root ? "root" : "data");
	values[2] = Int32GetDatum((int32) made.kek_version);
	values[3] = BytesDatum(made.wrapped, WRAPPED_SIZE);
	values[4] = BytesDatum(made.check_value, CHECK_VALUE_SIZE);
	values[5] = ObjectIdGetDatum(relation);
	RunCommand(
		"INSERT INTO phi.data_key (key_uuid, scope, state, kek_version, wrapped, check_value, "
		"relation) VALUES ($1, $2, 'current', $3, $4, $5, $6)",
		6, types, values, OidIsValid(relation) ? "      " : "     n", SPI_OK_INSERT);
}

/*
 * phi.ensure_keys(): make the root key and the first data key, when there are
 * none.  Needs a key-encryption key.
 */
Datum
phi_ensure_keys(PG_FUNCTION_ARGS)
{
	OwnerScope scope;

	if (KeyringExists())
		PG_RETURN_VOID();
	BeginChange(&scope);
	if (!KeyringExists())
	{
		CreateKey(true, InvalidOid);
		CreateKey(false, InvalidOid);
	}
	EndChange(&scope);
	PG_RETURN_VOID();
}

/*
 * phi.make_data_key(relation regclass): make a new current data key, of a
 * relation or, for NULL, of the database; the one before it becomes previous.
 * Returns its id.
 */
Datum
phi_make_data_key(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {REGCLASSOID};
	Oid relation = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	Datum values[1] = {ObjectIdGetDatum(relation)};
	OwnerScope scope;
	uint32 id;

	(void) KeyringCurrentKey(); /* raises where there are no keys yet, or none that opens */
	BeginChange(&scope);
	RunCommand(
		"UPDATE phi.data_key SET state = 'previous' WHERE scope = 'data' AND state = 'current' "
		"AND relation IS NOT DISTINCT FROM $1",
		1, types, values, OidIsValid(relation) ? " " : "n", SPI_OK_UPDATE);
	CreateKey(false, relation);
	EndChange(&scope);
	CommandCounterIncrement();
	id = KeyringRelationKey(relation)->id;
	PG_RETURN_INT32((int32) id);
}

/* A fixed-size bytea column of a row. */
static void
CopyBytes(HeapTuple row, TupleDesc columns, int column, uint8 *out, Size size)
{
	bool isnull;
	bytea *bytes = DatumGetByteaPP(SPI_getbinval(row, columns, column, &isnull));

	if (VARSIZE_ANY_EXHDR(bytes) != size)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED), errmsg("phi.data_key holds a malformed key")));
	memcpy(out, VARDATA_ANY(bytes), size);
}

/* Wrap the key of one row (dek_id, key_uuid, root, kek_version, wrapped, check_value) anew. */
static void
RewrapRow(HeapTuple row, TupleDesc columns, uint32 version)
{
	static const Oid types[] = {INT4OID, INT4OID, BYTEAOID, BYTEAOID};
	WrappedKey stored;
	Datum values[4];
	bool isnull;

	values[0] = SPI_getbinval(row, columns, 1, &isnull);
	memcpy(stored.uuid, DatumGetUUIDP(SPI_getbinval(row, columns, 2, &isnull))->data,
		   PHI_UUID_SIZE);
	stored.scope = DatumGetBool(SPI_getbinval(row, columns, 3, &isnull)) ? SCOPE_ROOT : SCOPE_DATA;
	stored.kek_version = (uint32) DatumGetInt32(SPI_getbinval(row, columns, 4, &isnull));
	CopyBytes(row, columns, 5, stored.wrapped, WRAPPED_SIZE);
	CopyBytes(row, columns, 6, stored.check_value, CHECK_VALUE_SIZE);
	RewrapOrRaise(&stored, (uint32) DatumGetInt32(values[0]), version);

	values[1] = Int32GetDatum((int32) version);
	values[2] = BytesDatum(stored.wrapped, WRAPPED_SIZE);
	values[3] = BytesDatum(stored.check_value, CHECK_VALUE_SIZE);
	RunCommand("UPDATE phi.data_key SET kek_version = $2, wrapped = $3, check_value = $4 WHERE "
			   "dek_id = $1",
			   4, types, values, NULL, SPI_OK_UPDATE);
}

/*
 * phi.rewrap_keys(): read the provider again and wrap every key that is not
 * yet under the highest version under it, those of subjects too.  All or none;
 * returns how many.
 */
Datum
phi_rewrap_keys(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {INT4OID};
	OwnerScope scope;
	Datum version[1];
	SPITupleTable *rows;
	uint64 count;

	(void) KekReload();
	version[0] = Int32GetDatum((int32) KekCurrentVersion());
	BeginChange(&scope);
	RunCommand("SELECT dek_id, key_uuid, scope = 'root', kek_version, wrapped, check_value "
			   "FROM phi.data_key WHERE wrapped IS NOT NULL AND kek_version <> $1 ORDER BY dek_id",
			   1, types, version, NULL, SPI_OK_SELECT);
	rows = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		RewrapRow(rows->vals[i], rows->tupdesc, (uint32) DatumGetInt32(version[0]));
	}
	count += RewrapSubjectKeys((uint32) DatumGetInt32(version[0]));
	EndChange(&scope);
	PG_RETURN_INT64((int64) count);
}

/*
 * phi.write_key(relation regclass): the id of the key that new values of a
 * protected relation are sealed under; of NULL, unbound ones.
 */
Datum
phi_write_key(PG_FUNCTION_ARGS)
{
	phi_data_key *key =
		PG_ARGISNULL(0) ? KeyringCurrentKey() : KeyringRelationKey(PG_GETARG_OID(0));

	PG_RETURN_INT32((int32) key->id);
}
