/*-------------------------------------------------------------------------
 * history.c
 *		phi.history(): what became of a row, from the images in the audit log.
 *
 * Events of the table that name the key are read newest first.  Where one says
 * that the row came by its key in an UPDATE, the search goes on below it for
 * the key from before.  A version is shown to those who may see a row of its
 * subject and labels now, and of every subject that the row had later, each of
 * its values as phi.reveal() shows it; where neither version of an event may be seen, nor is the event.
 *
 * An image opens at its place in its event alone, and an event that is there
 * twice is found by its salt; what else was altered in the log is for
 * phi.audit_verify() to find.
 *
 * Every call leaves an event of its own, before it returns, and the values
 * that it shows are disclosures.
 *
 * Memory: what was read of the log, and the result, is in the context of the
 * call; plain bytes of an image are wiped when its JSON is made.
 *-------------------------------------------------------------------------
 */
#include "types/history.h"

#include "access/table.h"
#include "audit/audit.h"
#include "audit/image.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "consent/consent.h"
#include "core/mac.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "keyring/keyring.h"
#include "miscadmin.h"
#include "platform/platform.h"
#include "rewrite/rowsecurity.h"
#include "types/reveal.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/xid8.h"

PG_FUNCTION_INFO_V1(phi_history);

/* Columns of EventQuery, in its order. */
typedef enum FoundColumn
{
	FOUND_EVENT = 0,
	FOUND_RECORDED_AT,
	FOUND_ACTION,
	FOUND_ACTOR,
	FOUND_PURPOSE,
	FOUND_TXID,
	FOUND_COLUMN_NAMES,
	FOUND_ROW_KEYS,
	FOUND_DETAIL,
	FOUND_SALT,
	FOUND_IMAGES,
	FOUND_RELATION_KNOWN,
	FOUND_COLUMNS
} FoundColumn;

static const char *const EventQuery =
	"SELECT e.event_id, e.recorded_at, e.action, e.actor, e.purpose, e.txid, e.columns, e.row_keys, "
	"coalesce(e.detail, ''), e.salt, e.images, e.relation_oid = ANY ($1) FROM phi_audit.event e "
	"WHERE octet_length(e.images) > 33 AND e.salt IS NOT NULL AND (e.relation_oid = ANY ($1) OR e.relation = ANY ($2)) "
	"AND e.row_keys @> ARRAY[$3] AND e.event_id < $4 ORDER BY e.event_id DESC";

/* Columns of the result, of which the first seven are those of EventQuery. */
#define RESULT_ROW_KEY 7
#define RESULT_OLD_ROW 8
#define RESULT_NEW_ROW 9
#define RESULT_COLUMNS 10

/* An event that was read. */
typedef struct SeenEvent
{
	uint8 salt[PHI_IMAGE_SALT_SIZE];
	int64 event;
} SeenEvent;

/* The way through the log. */
typedef struct Walk
{
	const ProtectedRelation *policy;
	char *key;     /* looked for now */
	int64 before;  /* events below this number */
	bool followed; /* the key changed in the run below */
	uint8 run[PHI_IMAGE_RUN_SIZE];
	HTAB *seen;    /* SeenEvent by salt */
	uint64 subject; /* of the last version shown */
	bool closed;    /* a later subject of the row may not be seen */
	ReturnSetInfo *result;
	MemoryContext context;
} Walk;

/* One event of the log. */
typedef struct Found
{
	Datum values[FOUND_COLUMNS];
	bool isnull[FOUND_COLUMNS];
	phi_images images;
	uint8 columns_hash[PHI_SHA256_SIZE];
	bool moved; /* entries in pairs */
	int before; /* the entry with the image before, and the one with that after; or -1 */
	int after;
	char *key_before; /* in pairs */
	char *key_after;
} Found;

/* Raise: what is in the log cannot be what was written there. */
static PHI_NORETURN void
RaiseAltered(int64 event)
{
	ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("images of an audit event were altered"),
			errdetail("It is event " INT64_FORMAT ".", event),
			errhint("phi.audit_verify() tells what else was."));
}

/* ---- who may ask ---- */

/* Raise where the owner's row security decides about rows, too: a row that is gone cannot be asked about. */
static void
RefuseOwnersPolicies(Oid root)
{
	Relation relation = table_open(root, AccessShareLock);
	ListCell *cell;

	if (relation->rd_rsdesc != NULL && !has_bypassrls_privilege(GetUserId()))
	{
		foreach (cell, relation->rd_rsdesc->policies)
		{
			const char *name = ((RowSecurityPolicy *) lfirst(cell))->policy_name;

			if (strcmp(name, "phi_access") != 0 && strcmp(name, "phi_rows") != 0)
				ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("history of relation \"%s\" cannot be shown: it has row security of its own",
							   RelationGetRelationName(relation)),
						errdetail("Policy \"%s\" cannot be applied to rows of the past.", name));
		}
	}
	table_close(relation, NoLock);
}

/* The protection of a relation whose rows the user may select; raises. */
static const ProtectedRelation *
RequireReadable(Oid relid)
{
	const ProtectedRelation *policy = RegistryRelation(relid);

	if (policy != NULL)
		policy = RegistryRelation(policy->root);
	if (policy == NULL)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("relation is not protected"),
				errhint("Name a table that phi.protect() was called for."));
	if (pg_class_aclcheck(policy->root, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		(!OidIsValid(policy->view) ||
		 pg_class_aclcheck(policy->view, GetUserId(), ACL_SELECT) != ACLCHECK_OK))
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for the history of relation \"%s\"",
					   get_rel_name(policy->root)),
				errhint("It takes SELECT on the whole table or its redacted view."));
	/* Each of them must permit a row, and an image is known by one. */
	if (policy->description.other_subject_count > 0 ||
		OidIsValid(get_element_type(policy->subject_type)))
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("history of relation \"%s\" cannot be shown: its rows have several subjects",
					   get_rel_name(policy->root)));
	RefuseOwnersPolicies(policy->root);
	return policy;
}

/* ---- the key as the log has it ---- */

/* The text of one key argument, as of the key column's type. */
static char *
KeyArgument(FunctionCallInfo fcinfo, int argument, Oid column_type)
{
	Oid type = get_fn_expr_argtype(fcinfo->flinfo, argument);
	Oid function;
	Oid parameter;
	bool is_varlena;
	char *text;

	if (PG_ARGISNULL(argument))
		ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("a primary key column cannot be null"));
	getTypeOutputInfo(type, &function, &is_varlena);
	text = OidOutputFunctionCall(function, PG_GETARG_DATUM(argument));
	if (type == column_type)
		return text;
	getTypeInputInfo(column_type, &function, &parameter);
	getTypeOutputInfo(column_type, &type, &is_varlena);
	return OidOutputFunctionCall(type, OidInputFunctionCall(function, text, parameter, -1));
}

/* The key given, as row_keys of an event has it. */
static char *
GivenKey(FunctionCallInfo fcinfo, const ProtectedRelation *policy)
{
	char **parts = palloc(sizeof(char *) * (policy->key_count + 1));
	int level;
	int i;

	if (get_fn_expr_variadic(fcinfo->flinfo))
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the primary key cannot be given as a VARIADIC array"),
				errhint("Give the key columns one by one."));
	if (policy->key_count == 0)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("relation \"%s\" has no primary key", get_rel_name(policy->root)));
	if (PG_NARGS() - 1 != policy->key_count)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the primary key of relation \"%s\" has %d columns",
					   get_rel_name(policy->root), policy->key_count));
	level = ImageTextSettings();
	for (i = 0; i < policy->key_count; i++)
		parts[i] = KeyArgument(fcinfo, i + 1, policy->key_types[i]);
	AtEOXact_GUC(true, level);
	return AuditRowKey((const char *const *) parts, policy->key_count);
}

/* ---- reading the log ---- */

/* OIDs and names of the tables whose events are the relation's. */
static void
NameTables(const ProtectedRelation *policy, Datum *oids, Datum *names)
{
	List *tables = find_all_inheritors(policy->root, NoLock, NULL);
	int count = list_length(tables);
	Datum *oid = palloc(sizeof(Datum) * count);
	Datum *name = palloc(sizeof(Datum) * count);
	int named = 0;
	int i;

	for (i = 0; i < count; i++)
	{
		Oid table = list_nth_oid(tables, i);
		char *plain = get_rel_name(table);

		oid[i] = ObjectIdGetDatum(table);
		if (plain != NULL)
			name[named++] = CStringGetTextDatum(quote_qualified_identifier(
				get_namespace_name(get_rel_namespace(table)), plain));
	}
	*oids = PointerGetDatum(construct_array(oid, count, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
	*names = PointerGetDatum(construct_array(name, named, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Copies of the events that name the key, newest first; values stay where they are stored until they are read. */
static HeapTuple *
ReadEvents(Walk *walk, TupleDesc *columns, uint64 *count)
{
	Oid types[] = {OIDARRAYOID, TEXTARRAYOID, TEXTOID, INT8OID};
	Datum values[4];
	HeapTuple *events;
	OwnerScope owner;
	uint64 i;

	NameTables(walk->policy, &values[0], &values[1]);
	values[2] = CStringGetTextDatum(walk->key);
	values[3] = Int64GetDatum(walk->before);
	OwnerBegin(&owner);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(EventQuery, lengthof(types), types, values, NULL, true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.event");
	*count = SPI_processed;
	MemoryContextSwitchTo(walk->context);
	*columns = CreateTupleDescCopy(SPI_tuptable->tupdesc);
	events = palloc(sizeof(HeapTuple) * (*count + 1));
	for (i = 0; i < *count; i++)
		events[i] = heap_copytuple(SPI_tuptable->vals[i]);
	SPI_finish();
	OwnerEnd(&owner);
	return events;
}

/* Raise where an event was copied: every one has a salt of its own. */
static void
RefuseCopies(Walk *walk, HeapTuple *events, uint64 count, TupleDesc columns)
{
	bool isnull;
	uint64 i;

	for (i = 0; i < count; i++)
	{
		Datum stored = heap_getattr(events[i], FOUND_SALT + 1, columns, &isnull);
		bytea *salt = DatumGetByteaPP(stored);
		int64 event = DatumGetInt64(heap_getattr(events[i], FOUND_EVENT + 1, columns, &isnull));
		SeenEvent *seen;
		bool found;

		if (VARSIZE_ANY_EXHDR(salt) != PHI_IMAGE_SALT_SIZE)
			RaiseAltered(event);
		seen = hash_search(walk->seen, VARDATA_ANY(salt), HASH_ENTER, &found);
		if (found && seen->event != event)
			RaiseAltered(event);
		seen->event = event;
	}
}

/*
 * Are the images those of the relation?  A table of then, dropped since, may
 * have had its name, and after a restore its OID: the columns' ids say.
 */
static bool
OfRelation(const Walk *walk, const Found *found)
{
	bool known = DatumGetBool(found->values[FOUND_RELATION_KNOWN]);
	phi_image_column column;
	bool ours = false;
	size_t next = 0;

	while (phi_images_next_column(&found->images, &next, &column))
	{
		const ProtectedColumn *classified =
			column.column_id != 0 ? RegistryColumn(column.column_id) : NULL;

		if (classified != NULL && classified->relation == walk->policy->root)
			ours = true;
		else if (classified != NULL && OidIsValid(classified->relation))
			return false;
	}
	return ours || (!found->isnull[FOUND_RELATION_KNOWN] && known);
}

/* Find the entries of the key: those of the row that came to it first. */
static void
FindEntries(const Walk *walk, Found *found)
{
	Datum *keys;
	int count;
	int i;

	found->before = found->after = -1;
	deconstruct_array(DatumGetArrayTypeP(found->values[FOUND_ROW_KEYS]), TEXTOID, -1, false,
					  TYPALIGN_INT, &keys, NULL, &count);
	for (i = 0; i < count; i++)
	{
		if (strcmp(TextDatumGetCString(keys[i]), walk->key) != 0)
			continue;
		found->before = found->moved ? i - i % 2 : i;
		found->after = found->moved ? found->before + 1 : i;
		if (!found->moved || i % 2 == 1)
			break;
	}
	if (found->before < 0 || found->after >= count)
		return;
	found->key_before = TextDatumGetCString(keys[found->before]);
	found->key_after = TextDatumGetCString(keys[found->after]);
}

/* Take an event apart; false where it is not the relation's. */
static bool
ReadFound(Walk *walk, HeapTuple event, TupleDesc columns, Found *found)
{
	bytea *images;
	bytea *salt;

	memset(found, 0, sizeof(*found));
	heap_deform_tuple(event, columns, found->values, found->isnull);
	images = DatumGetByteaPP(found->values[FOUND_IMAGES]);
	salt = DatumGetByteaPP(found->values[FOUND_SALT]);
	if (phi_images_parse(phi_bytes_of(VARDATA_ANY(images), VARSIZE_ANY_EXHDR(images)),
						 &found->images) != PHI_OK)
		RaiseAltered(DatumGetInt64(found->values[FOUND_EVENT]));
	if (!OfRelation(walk, found))
		return false;
	found->values[FOUND_SALT] = PointerGetDatum(salt);
	found->moved =
		strcmp(TextDatumGetCString(found->values[FOUND_DETAIL]), AUDIT_KEY_CHANGED) == 0;
	CheckStatus(phi_sha256(found->images.columns, found->columns_hash), "read an image");
	FindEntries(walk, found);
	if (found->key_after == NULL)
		RaiseAltered(DatumGetInt64(found->values[FOUND_EVENT]));
	return true;
}

/* ---- one version ---- */

/* May the session see any classified column of a row of this subject and labels, of which no more is known? */
static bool
MaySee(const Walk *walk, uint64 subject, uint16 labels)
{
	int i;

	for (i = 0; subject != 0 && i < walk->policy->column_count; i++)
	{
		if (DecideAccess(subject, labels, &walk->policy->columns[i], NULL).permit)
			return true;
	}
	return false;
}

/* Open an image. */
static uint8 *
OpenImage(const Found *found, int entry, phi_image_side side, phi_bytes envelope,
		  const phi_header *header, Size *size)
{
	bytea *salt = (bytea *) DatumGetPointer(found->values[FOUND_SALT]);
	FullTransactionId transaction = DatumGetFullTransactionId(found->values[FOUND_TXID]);
	uint8 binding[PHI_UUID_SIZE];
	phi_buffer out = {0};

	CheckStatus(phi_image_binding((const uint8 *) VARDATA_ANY(salt),
								  U64FromFullTransactionId(transaction), found->images.run,
								  found->columns_hash, entry, side, binding),
				"read an image");
	out.capacity = phi_envelope_plain_size(header, envelope.size);
	out.data = palloc(out.capacity + 1);
	if (phi_envelope_open(KeyringKey(header->dek_id), envelope, binding, &out) != PHI_OK)
		RaiseAltered(DatumGetInt64(found->values[FOUND_EVENT]));
	*size = out.size;
	return out.data;
}

/*
 * Show a version: true where the session may see that there was one, with its
 * JSON in *row, or NULL where nothing can open it any more.
 */
static bool
ShowVersion(Walk *walk, const Found *found, int entry, phi_image_side side, Datum *row, bool *isnull)
{
	phi_bytes envelope = phi_images_find(&found->images, entry, side);
	StringInfoData json;
	phi_header header;
	uint8 *plain;
	Size size;

	*isnull = true;
	if (envelope.size == 0 || walk->closed)
		return false;
	if (phi_header_parse(envelope, envelope.size, &header) != PHI_OK || !header.bound ||
		header.searchable || header.column_id != 0)
		RaiseAltered(DatumGetInt64(found->values[FOUND_EVENT]));
	walk->closed = !MaySee(walk, header.subject_token, 0);
	if (walk->closed)
		return false;
	walk->subject = header.subject_token;
	if (KeyringShredded(header.dek_id))
		return true;
	plain = OpenImage(found, entry, side, envelope, &header, &size);
	if (MaySee(walk, header.subject_token, HistoryRowLabels(&found->images, phi_bytes_of(plain, size))))
	{
		initStringInfo(&json);
		HistoryRowJson(walk->policy, &found->images, phi_bytes_of(plain, size), header.subject_token,
					   &json);
		*row = DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
		*isnull = false;
		SecretWipe(json.data, json.len);
		pfree(json.data);
	}
	SecretWipe(plain, size);
	pfree(plain);
	return !*isnull;
}

/* Show an event, where the session may see a version of it. */
static void
ShowEvent(Walk *walk, const Found *found)
{
	Datum values[RESULT_COLUMNS];
	bool isnull[RESULT_COLUMNS];
	bool old_seen;
	bool new_seen;

	memcpy(values, found->values, sizeof(Datum) * RESULT_ROW_KEY);
	memcpy(isnull, found->isnull, sizeof(bool) * RESULT_ROW_KEY);
	new_seen = ShowVersion(walk, found, found->after, PHI_IMAGE_AFTER, &values[RESULT_NEW_ROW],
						   &isnull[RESULT_NEW_ROW]);
	old_seen = ShowVersion(walk, found, found->before, PHI_IMAGE_BEFORE, &values[RESULT_OLD_ROW],
						   &isnull[RESULT_OLD_ROW]);
	/* Below the insertion the key was another row's. */
	if (strcmp(TextDatumGetCString(found->values[FOUND_ACTION]), "insert") == 0)
		walk->closed = false;
	if (!old_seen && !new_seen)
		return;
	/* The key after belongs to the version after: another subject's, perhaps. */
	isnull[RESULT_ROW_KEY] = false;
	values[RESULT_ROW_KEY] = CStringGetTextDatum(new_seen ? found->key_after : found->key_before);
	tuplestore_putvalues(walk->result->setResult, walk->result->setDesc, values, isnull);
}

/* ---- the way through the log ---- */

/* Go on from an event where the row had another key before; true when it had. */
static bool
Follow(Walk *walk, const Found *found)
{
	if (!found->moved || strcmp(found->key_after, walk->key) != 0 ||
		strcmp(found->key_before, walk->key) == 0)
		return false;
	walk->key = found->key_before;
	walk->before = DatumGetInt64(found->values[FOUND_EVENT]);
	walk->followed = true;
	memcpy(walk->run, found->images.run, PHI_IMAGE_RUN_SIZE);
	return true;
}

/* Show the events of the key, until it was another one; false at the end. */
static bool
ShowEvents(Walk *walk)
{
	TupleDesc columns;
	uint64 count;
	HeapTuple *events = ReadEvents(walk, &columns, &count);
	uint64 i;

	RefuseCopies(walk, events, count, columns);
	for (i = 0; i < count; i++)
	{
		Found found;

		CHECK_FOR_INTERRUPTS();
		if (!ReadFound(walk, events[i], columns, &found))
			continue;
		/* Of the statement that gave the row its key, others' keys are not this row's. */
		if (found.moved && walk->followed &&
			memcmp(walk->run, found.images.run, PHI_IMAGE_RUN_SIZE) == 0)
			continue;
		ShowEvent(walk, &found);
		if (Follow(walk, &found))
			return true;
	}
	return false;
}

/* Leave the event of this call. */
static void
RecordCall(const Walk *walk, char *key)
{
	AuditEvent event = {.action = "history", .outcome = "success"};

	event.relation = walk->policy->root;
	event.row_count = 1;
	event.row_keys = &key;
	event.subjects = &walk->subject;
	AuditRecordDurably(&event);
}

/*
 * phi.history(relation regclass, VARIADIC key "any"): the changes of a row
 * that were recorded with capture => 'row', newest first.
 *
 * Raises INSUFFICIENT_PRIVILEGE without SELECT on the table or its view, and in
 * triggers; FEATURE_NOT_SUPPORTED where the table has row security of its own;
 * DATA_CORRUPTED for images that were altered.
 */
Datum
phi_history(PG_FUNCTION_ARGS)
{
	Walk walk = {0};
	HASHCTL control = {.keysize = PHI_IMAGE_SALT_SIZE, .entrysize = sizeof(SeenEvent)};
	char *key;

	RequirePreload();
	RefuseInImplicitCode("phi.history");
	if (InSecurityRestrictedOperation() || PlanningInProgress())
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("phi.history cannot be used here"));
	if (PG_ARGISNULL(0))
		ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("no table given"));
	NoteSensitiveStatement();
	InitMaterializedSRF(fcinfo, 0);
	walk.policy = RequireReadable(PG_GETARG_OID(0));
	walk.result = (ReturnSetInfo *) fcinfo->resultinfo;
	walk.context = CurrentMemoryContext;
	walk.before = PG_INT64_MAX;
	control.hcxt = walk.context;
	walk.seen = hash_create("phi_guard events of a row", 64, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	walk.key = key = GivenKey(fcinfo, walk.policy);
	while (ShowEvents(&walk))
		CHECK_FOR_INTERRUPTS();
	RecordCall(&walk, key);
	return (Datum) 0;
}
