/*-------------------------------------------------------------------------
 * catalog.c
 *		OIDs of the extension's own objects, by name, cached per process.
 *
 * The cache is forgotten when a schema, function or type changes anywhere in
 * the database, which covers DROP, CREATE and ALTER EXTENSION.  The schema
 * counts as ours only while the extension exists.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

typedef struct ObjectKey
{
	char class; /* r relation, f function, t type */
	char nargs;
	char name[NAMEDATALEN];
} ObjectKey;

typedef struct ObjectEntry
{
	ObjectKey key;
	Oid oid;
} ObjectEntry;

typedef enum InstallState
{
	INSTALL_UNKNOWN,
	INSTALL_NO,
	INSTALL_YES
} InstallState;

static HTAB *Objects = NULL;
static InstallState Installed = INSTALL_UNKNOWN;
static Oid Schema = InvalidOid;
static Oid Owner = InvalidOid;
static uint64 Generation = 1;
static bool Registered = false;

/* Invalidation callback: forget everything, without touching a catalog. */
static void
ForgetObjects(Datum arg, int cacheid, uint32 hashvalue)
{
	Installed = INSTALL_UNKNOWN;
	Generation++;
}

/* The owner of the extension of this OID, read from pg_extension. */
static Oid
ReadExtensionOwner(Oid extension)
{
	Relation rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	Oid owner = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return owner;
}

/* Look the extension up and start with an empty cache. */
static void
LoadInstallState(void)
{
	HASHCTL control = {0};
	Oid extension;

	if (!Registered)
	{
		CacheRegisterSyscacheCallback(NAMESPACEOID, ForgetObjects, (Datum) 0);
		CacheRegisterSyscacheCallback(PROCOID, ForgetObjects, (Datum) 0);
		CacheRegisterSyscacheCallback(TYPEOID, ForgetObjects, (Datum) 0);
		Registered = true;
	}
	if (Objects)
		hash_destroy(Objects);
	control.keysize = sizeof(ObjectKey);
	control.entrysize = sizeof(ObjectEntry);
	Objects = hash_create("phi_guard objects", 64, &control, HASH_ELEM | HASH_BLOBS);

	/* Set first: an invalidation during the look-ups makes it unknown again. */
	Installed = INSTALL_NO;
	extension = get_extension_oid("phi_guard", true);
	Schema = get_namespace_oid("phi", true);
	Owner = OidIsValid(extension) ? ReadExtensionOwner(extension) : InvalidOid;
	if (OidIsValid(extension) && OidIsValid(Schema) && OidIsValid(Owner))
		Installed = INSTALL_YES;
}

/*
 * Is the extension installed in this database?
 */
bool
ExtensionInstalled(void)
{
	if (unlikely(Installed == INSTALL_UNKNOWN))
		LoadInstallState();
	return Installed == INSTALL_YES;
}

/* Raise unless installed. */
static void
RequireInstalled(void)
{
	if (!ExtensionInstalled())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("extension \"phi_guard\" is not installed in this database"),
						errhint("Run CREATE EXTENSION phi_guard CASCADE.")));
}

Oid
ExtensionOwner(void)
{
	RequireInstalled();
	return Owner;
}

Oid
PhiSchema(void)
{
	RequireInstalled();
	return Schema;
}

uint64
CatalogGeneration(void)
{
	return Generation;
}

/* The first function of this name and arity in our schema. */
static Oid
FindFunction(const char *name, int nargs)
{
	CatCList *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	Oid found = InvalidOid;

	for (int i = 0; i < list->n_members && !OidIsValid(found); i++)
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);

		if (proc->pronamespace == Schema && (nargs < 0 || proc->pronargs == nargs))
			found = proc->oid;
	}
	ReleaseSysCacheList(list);
	return found;
}

/* Look an object up, through the cache; raises when it is missing. */
static Oid
FindObject(char class, const char *name, int nargs)
{
	ObjectKey key;
	ObjectEntry *entry;
	Oid oid;

	RequireInstalled();
	memset(&key, 0, sizeof(key));
	key.class = class;
	key.nargs = (char) nargs;
	strlcpy(key.name, name, NAMEDATALEN);
	entry = hash_search(Objects, &key, HASH_FIND, NULL);
	if (entry)
		return entry->oid;

	if (class == 'r')
		oid = get_relname_relid(name, Schema);
	else if (class == 't')
		oid = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
							  ObjectIdGetDatum(Schema));
	else
		oid = FindFunction(name, nargs);
	if (!OidIsValid(oid))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("object \"phi.%s\" of extension \"phi_guard\" is missing", name),
						errhint("Run ALTER EXTENSION phi_guard UPDATE.")));
	RequireInstalled(); /* the look-up may have taken in an invalidation */
	entry = hash_search(Objects, &key, HASH_ENTER, NULL);
	entry->oid = oid;
	return oid;
}

Oid
PhiRelation(const char *name)
{
	return FindObject('r', name, 0);
}

Oid
PhiFunction(const char *name, int nargs)
{
	return FindObject('f', name, nargs);
}

Oid
PhiFunctionIfAny(const char *name, int nargs)
{
	RequireInstalled();
	return FindFunction(name, nargs);
}

Oid
PhiType(const char *name)
{
	return FindObject('t', name, 0);
}
