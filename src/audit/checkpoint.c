/*-------------------------------------------------------------------------
 * checkpoint.c
 *		Incarnations of a log, and the signatures of its checkpoints.
 *
 * An incarnation is one line of history: a log at one server, database and
 * timeline.  A restored dump, recovery to a point in time and a promotion
 * begin a new one, with an origin and a key of its own, so that no two trees
 * are ever signed as one.  The first checkpoint of an incarnation is signed by
 * the one before it as well, where that key can be had: who trusts the old
 * key can follow to the new one.
 *
 * The private key is derived from the root key of the keyring (HKDF-SHA-256
 * with the incarnation as info), so it is wrapped under the key-encryption key,
 * is dumped, restored and wrapped anew with it, and is stored nowhere.  It
 * exists on the stack while a checkpoint is signed.
 *-------------------------------------------------------------------------
 */
#include "audit/checkpoint.h"

#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#define ORIGIN_PREFIX       "phi_guard/"
#define SIGNING_INFO        "phi_guard audit signing 1 "
#define INCARNATION_COLUMNS 6
#define SUFFIX_BYTES        4

/* ---- keys ---- */

/* The private key of an incarnation; the caller wipes it. */
static void
SigningSeed(const char *incarnation, uint8 seed[PHI_ED25519_KEY])
{
	char *info = psprintf("%s%s", SIGNING_INFO, incarnation);
	uint8 root[PHI_KEY_SIZE];
	phi_status status;

	KeyringRootKey(root);
	status = phi_hkdf_sha256(phi_bytes_of(root, sizeof(root)), phi_bytes_of(NULL, 0),
							 phi_bytes_of(info, strlen(info)), seed, PHI_ED25519_KEY);
	SecretWipe(root, sizeof(root));
	if (status != PHI_OK)
		SecretWipe(seed, PHI_ED25519_KEY);
	CheckStatus(status, "derive the signing key of the audit log");
}

char *
CheckpointOrigin(const char *incarnation)
{
	return psprintf("%s%s", ORIGIN_PREFIX, incarnation);
}

/* The verifier key of an incarnation, as the keyring gives it. */
static void
DeriveKey(const char *incarnation, phi_vkey *vkey)
{
	char *origin = CheckpointOrigin(incarnation);
	uint8 seed[PHI_ED25519_KEY];
	uint8 key[PHI_ED25519_KEY];
	phi_status status;

	SigningSeed(incarnation, seed);
	status = phi_ed25519_public(seed, key);
	SecretWipe(seed, sizeof(seed));
	if (status == PHI_OK)
		status = phi_vkey_make(phi_bytes_of(origin, strlen(origin)), key, vkey);
	CheckStatus(status, "make the signing key of the audit log");
}

/* ---- incarnations ---- */

/* Read an incarnation of a query's first row (number, id, key); false where there is none. */
static bool
ReadIncarnation(Incarnation *out)
{
	HeapTuple row;
	char *id;
	char *key;
	bool isnull;

	memset(out, 0, sizeof(*out));
	if (SPI_processed == 0)
		return false;
	row = SPI_tuptable->vals[0];
	id = SPI_getvalue(row, SPI_tuptable->tupdesc, 2);
	key = SPI_getvalue(row, SPI_tuptable->tupdesc, 3);
	if (strlcpy(out->id, id, sizeof(out->id)) >= sizeof(out->id) ||
		phi_vkey_parse(phi_bytes_of(key, strlen(key)), &out->vkey) != PHI_OK ||
		strcmp(out->vkey.name, CheckpointOrigin(id)) != 0)
		ereport(
			ERROR, errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("the verifier key of an incarnation of the audit log is damaged"),
			errhint("phi_audit.incarnation was altered: compare it with the keys kept elsewhere."));
	out->number = DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return true;
}

void
IncarnationLast(Incarnation *last)
{
	if (SPI_execute("SELECT i.number, i.incarnation, i.vkey FROM phi_audit.incarnation i "
					"ORDER BY i.number DESC LIMIT 1",
					false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.incarnation");
	(void) ReadIncarnation(last);
}

bool
IncarnationFind(const char *id, Incarnation *found)
{
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(id)};

	if (SPI_execute_with_args("SELECT i.number, i.incarnation, i.vkey FROM phi_audit.incarnation i "
							  "WHERE i.incarnation = $1",
							  1, types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.incarnation");
	return ReadIncarnation(found);
}

/* Server, database and timeline: what the ids of incarnations here begin with. */
static char *
HerePrefix(void)
{
	return psprintf("%s/%u-", LogIncarnation(), GetWALInsertionTimeLine());
}

/* Is the key of an incarnation, wherever that was, one of this keyring? */
static bool
KeyIsOurs(const Incarnation *incarnation)
{
	phi_vkey vkey;

	DeriveKey(incarnation->id, &vkey);
	return memcmp(vkey.key, incarnation->vkey.key, sizeof(vkey.key)) == 0;
}

bool
IncarnationIsHere(const Incarnation *incarnation)
{
	char *prefix = HerePrefix();

	if (incarnation->number == 0 || strncmp(incarnation->id, prefix, strlen(prefix)) != 0)
		return false;
	OidFunctionCall0(PhiFunction("ensure_keys", 0)); /* the extension may have been made anew */
	return KeyIsOurs(incarnation);
}

/* Why a new incarnation begins, where nobody said. */
static const char *
ReasonToBegin(const Incarnation *last)
{
	char *place = psprintf("%s/", LogIncarnation());
	char *prefix = HerePrefix();

	if (last->number == 0)
		return "first";
	if (strncmp(last->id, place, strlen(place)) != 0)
		return "restored from another server or database";
	if (strncmp(last->id, prefix, strlen(prefix)) != 0)
		return "recovery or promotion: another timeline";
	return "another signing key";
}

void
IncarnationBegin(const Incarnation *last, uint64 tree_size, const char *reason, Incarnation *begun)
{
	Oid table = get_relname_relid("incarnation", get_namespace_oid(LOG_SCHEMA, false));
	uint8 suffix[SUFFIX_BYTES];
	char key[PHI_VKEY_MAX + 1];
	phi_buffer text = {(uint8 *) key, 0, PHI_VKEY_MAX};
	Datum values[INCARNATION_COLUMNS];
	bool isnull[INCARNATION_COLUMNS] = {false};
	LogWriter writer;

	OidFunctionCall0(PhiFunction("ensure_keys", 0));
	RandomBytes(suffix, sizeof(suffix));
	memset(begun, 0, sizeof(*begun));
	begun->number = last->number + 1;
	snprintf(begun->id, sizeof(begun->id), "%s%02x%02x%02x%02x", HerePrefix(), suffix[0], suffix[1],
			 suffix[2], suffix[3]);
	DeriveKey(begun->id, &begun->vkey);
	CheckStatus(phi_vkey_format(&begun->vkey, &text), "write a verifier key");
	key[text.size] = '\0';

	values[0] = Int32GetDatum(begun->number);
	values[1] = CStringGetTextDatum(begun->id);
	values[2] = CStringGetTextDatum(key);
	values[3] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[4] = Int64GetDatum((int64) tree_size);
	values[5] = CStringGetTextDatum(reason != NULL ? reason : ReasonToBegin(last));
	LogWriterOpen(&writer, table, INCARNATION_COLUMNS, false);
	LogWriterAppend(&writer, values, isnull);
	LogWriterClose(&writer);
	CommandCounterIncrement();
}

/* ---- signing ---- */

/* Append the signature of an incarnation. */
static void
AppendSignature(const Incarnation *signer, phi_bytes text, phi_buffer *note)
{
	uint8 seed[PHI_ED25519_KEY];
	phi_status status;

	SigningSeed(signer->id, seed);
	status = phi_note_sign(text, &signer->vkey, seed, note);
	SecretWipe(seed, sizeof(seed));
	CheckStatus(status, "sign a checkpoint of the audit log");
}

void
IncarnationSign(const Incarnation *signer, phi_bytes text, uint8 signature[PHI_ED25519_SIGNATURE])
{
	uint8 seed[PHI_ED25519_KEY];
	phi_status status;

	SigningSeed(signer->id, seed);
	status = phi_ed25519_sign(seed, text, signature);
	SecretWipe(seed, sizeof(seed));
	if (status == PHI_OK && phi_ed25519_verify(signer->vkey.key, text, signature) != PHI_OK)
		status = PHI_ERR_CRYPTO;
	CheckStatus(status, "sign a record of the audit log");
}

Size
CheckpointSign(const Incarnation *signer, const Incarnation *before, uint64 tree_size,
			   const uint8 root[PHI_HASH_SIZE], char note[CHECKPOINT_NOTE])
{
	phi_checkpoint checkpoint = {0};
	phi_buffer out = {(uint8 *) note, 0, CHECKPOINT_NOTE};
	phi_bytes text;
	phi_status status;

	checkpoint.origin = phi_bytes_of(signer->vkey.name, strlen(signer->vkey.name));
	checkpoint.size = tree_size;
	memcpy(checkpoint.root, root, PHI_HASH_SIZE);
	status = phi_checkpoint_format(&checkpoint, &out);
	text = phi_bytes_of(note, out.size);
	if (status == PHI_OK)
		status = phi_buffer_append(&out, phi_bytes_of("\n", 1));
	CheckStatus(status, "write a checkpoint of the audit log");
	AppendSignature(signer, text, &out);
	if (before != NULL && before->number > 0 && KeyIsOurs(before))
		AppendSignature(before, text, &out);
	return out.size;
}
