/*-------------------------------------------------------------------------
 * pgcrypto.c
 *		Opening what pgcrypto encrypted, while a column of it is adopted.
 *
 * The key is in static memory from AdoptionBegin to AdoptionEnd, and in no
 * SQL value, expression or plan: what runs in between can use it through
 * AdoptionOpen alone, and convert.c hands out what that opens sealed only.
 *
 * pgcrypto's functions are called by OID.  A function counts as pgcrypto's
 * when it is a member of that extension, is written in C and belongs to a
 * superuser: the extension is trusted, so its owner, who may add functions to
 * it, need not be one.
 *
 * pgcrypto's errors about a value are caught without a subtransaction: its
 * functions free what they hold before they raise one, and read no table.
 *-------------------------------------------------------------------------
 */
#include "types/pgcrypto.h"

#include "catalog/dependency.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/syscache.h"

#define MAX_KEY ((Size) 8192) /* bytes of a key or passphrase */
#define MAX_IV  ((Size) 256)
#define PGP     "pgp"

/* Varlenas in static memory. */
typedef union KeyMemory
{
	struct varlena header;
	char bytes[VARHDRSZ + MAX_KEY + 1];
} KeyMemory;
typedef union VectorMemory
{
	struct varlena header;
	char bytes[VARHDRSZ + MAX_IV + 1];
} VectorMemory;

/* How the values of the column are opened. */
typedef struct Opener
{
	bool pgp;
	bool as_bytes; /* pgp: the last value was no text to pgcrypto */
	bool has_iv;   /* raw: the same vector for every value */
	Oid dearmor;
	Oid open_text;  /* pgp_sym_decrypt */
	Oid open_bytes; /* pgp_sym_decrypt_bytea, decrypt */
	Oid open_iv;    /* decrypt_iv */
	text *cipher;   /* raw, in TopTransactionContext */
} Opener;

static Adoption Current;     /* what is adopted */
static Opener CurrentOpener; /* and how */
static KeyMemory Key;        /* with which key: wiped by AdoptionEnd */
static VectorMemory Vector;

/* ---- pgcrypto's functions ---- */

/* Raise: pgcrypto is not what it should be. */
static PHI_NORETURN void
RaiseNoFunction(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("function \"%s\" of extension \"pgcrypto\" is missing or was replaced", name),
			 errhint("DROP EXTENSION pgcrypto and CREATE it again, as a superuser.")));
}

/* One of pgcrypto's functions, by its name and the types of its arguments. */
static Oid
FindFunction(Oid extension, const char *name, int count, const Oid *types)
{
	CatCList *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	Oid found = InvalidOid;

	for (int i = 0; i < list->n_members && !OidIsValid(found); i++)
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);

		if (proc->prolang == ClanguageId && proc->pronargs == count &&
			memcmp(proc->proargtypes.values, types, sizeof(Oid) * count) == 0 &&
			superuser_arg(proc->proowner) &&
			getExtensionOfObject(ProcedureRelationId, proc->oid) == extension)
			found = proc->oid;
	}
	ReleaseSysCacheList(list);
	if (!OidIsValid(found))
		RaiseNoFunction(name);
	return found;
}

/* All that an adoption of these values calls. */
static void
FindFunctions(Opener *opener, Oid stored)
{
	static const Oid types[] = {BYTEAOID, TEXTOID};
	static const Oid raw[] = {BYTEAOID, BYTEAOID, TEXTOID};
	static const Oid raw_iv[] = {BYTEAOID, BYTEAOID, BYTEAOID, TEXTOID};
	Oid extension = get_extension_oid("pgcrypto", false);

	if (stored != BYTEAOID)
		opener->dearmor = FindFunction(extension, "dearmor", 1, types + 1);
	if (opener->pgp)
	{
		opener->open_text = FindFunction(extension, "pgp_sym_decrypt", 2, types);
		opener->open_bytes = FindFunction(extension, "pgp_sym_decrypt_bytea", 2, types);
		return;
	}
	opener->open_bytes = FindFunction(extension, "decrypt", 3, raw);
	opener->open_iv = FindFunction(extension, "decrypt_iv", 4, raw_iv);
}

/* ---- errors of others ---- */

/* In PG_CATCH: swallow an error about a value; anything else, as a cancel, goes on. */
static void
SwallowDataError(MemoryContext context)
{
	int category = ERRCODE_TO_CATEGORY(geterrcode());

	if (category != ERRCODE_DATA_EXCEPTION &&
		category != ERRCODE_TO_CATEGORY(ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION))
		PG_RE_THROW();
	MemoryContextSwitchTo(context);
	FlushErrorState();
}

/* Call a function of pgcrypto's; false where it does not take the value. */
static bool
TryCall(Oid function, int count, const Datum *arguments, Datum *result)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool called = false;
	LOCAL_FCINFO(call, 4);
	FmgrInfo info;

	fmgr_info(function, &info);
	InitFunctionCallInfoData(*call, &info, count, InvalidOid, NULL, NULL);
	for (int i = 0; i < count; i++)
	{
		call->args[i].value = arguments[i];
		call->args[i].isnull = false;
	}
	PG_TRY();
	{
		*result = FunctionCallInvoke(call);
		called = !call->isnull;
	}
	PG_CATCH();
	{
		SwallowDataError(context);
	}
	PG_END_TRY();
	return called;
}

/* ---- one value ---- */

/* What pgcrypto makes of a message or a raw ciphertext. */
static bool
Decrypt(Datum stored, bytea *iv, Datum *opened)
{
	Opener *opener = &CurrentOpener;
	Datum arguments[4] = {stored, PointerGetDatum(&Key), PointerGetDatum(opener->cipher)};

	if (opener->pgp)
	{
		/* Only one of the two knows the encoding, and only the other takes what was bytea. */
		if (Current.inner != INNER_BYTEA && !opener->as_bytes &&
			TryCall(opener->open_text, 2, arguments, opened))
			return true;
		if (TryCall(opener->open_bytes, 2, arguments, opened))
		{
			opener->as_bytes = GetDatabaseEncoding() == PG_UTF8;
			return true;
		}
		if (Current.inner == INNER_BYTEA || !opener->as_bytes)
			return false;
		opener->as_bytes = false;
		return TryCall(opener->open_text, 2, arguments, opened);
	}
	if (!iv)
		return TryCall(opener->open_bytes, 3, arguments, opened);
	arguments[2] = PointerGetDatum(iv);
	arguments[3] = PointerGetDatum(opener->cipher);
	return TryCall(opener->open_iv, 4, arguments, opened);
}

/* A value of the inner type from what was in the ciphertext; wipes that. */
static bool
ReadPlain(Datum opened, Datum *plain)
{
	MemoryContext context = CurrentMemoryContext;
	struct varlena *bytes = PG_DETOAST_DATUM_PACKED(opened);
	Size size = VARSIZE_ANY_EXHDR(bytes);
	volatile bool read = false;
	char *text;

	if (Current.inner == INNER_BYTEA)
	{
		*plain = opened;
		return true;
	}
	text = pnstrdup(VARDATA_ANY(bytes), size);
	PG_TRY();
	{
		(void) pg_verify_mbstr(GetDatabaseEncoding(), VARDATA_ANY(bytes), (int) size, false);
		*plain = InnerFromText(Current.inner, text, -1);
		read = true;
	}
	PG_CATCH();
	{
		SecretWipe(text, size);
		SecretWipe(VARDATA_ANY(bytes), size);
		SwallowDataError(context);
	}
	PG_END_TRY();
	SecretWipe(text, size);
	SecretWipe(VARDATA_ANY(bytes), size);
	return read;
}

bool
AdoptionOpen(Datum stored, bytea *iv, Datum *plain)
{
	Datum opened;

	if (Current.stored != BYTEAOID && !TryCall(CurrentOpener.dearmor, 1, &stored, &stored))
		return false;
	if (NameStr(Current.iv)[0] != '\0' && !iv)
		return false;
	if (CurrentOpener.has_iv)
		iv = &Vector.header;
	if (!Decrypt(stored, iv, &opened) || !ReadPlain(opened, plain))
		return false;
	Current.values++;
	return true;
}

/* ---- begin and end ---- */

/* Copy a varlena's bytes to static memory. */
static void
CopySecret(struct varlena *out, const void *data, Size size, Size limit, const char *what)
{
	if (size == 0 || size > limit)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must have 1 to %zu bytes", what, limit)));
	memcpy(VARDATA(out), data, size);
	SET_VARSIZE(out, VARHDRSZ + size);
}

/* The key of a raw cipher: the text as bytea's input would read it. */
static void
CopyRawKey(text *key)
{
	MemoryContext context = CurrentMemoryContext;
	char *input = text_to_cstring(key);
	bytea *bytes = NULL;

	PG_TRY();
	{
		bytes = DatumGetByteaPP(DirectFunctionCall1(byteain, CStringGetDatum(input)));
	}
	PG_CATCH();
	{
		SecretWipe(input, strlen(input));
		SwallowDataError(context);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the key is not a valid bytea"),
				 errhint("Write it as the bytea literal that pgcrypto was given, such as "
						 "\\x and hexadecimal digits."),
				 errhidestmt(true)));
	}
	PG_END_TRY();
	SecretWipe(input, strlen(input));
	CopySecret(&Key.header, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes), MAX_KEY, "a key");
	SecretWipe(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/* Raise unless pgcrypto takes the raw cipher with this key: it must encrypt nothing. */
static void
RequireCipher(const char *cipher)
{
	static const Oid types[] = {BYTEAOID, BYTEAOID, TEXTOID};
	Oid encrypt = FindFunction(get_extension_oid("pgcrypto", false), "encrypt", 3, types);
	Datum arguments[3] = {PointerGetDatum(cstring_to_text("")), PointerGetDatum(&Key),
						  PointerGetDatum(CurrentOpener.cipher)};
	Datum result;

	if (!TryCall(encrypt, 3, arguments, &result))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("pgcrypto does not take cipher \"%s\" with this key", cipher),
						errhint("Use 'pgp', or the type that encrypt() was given, such as "
								"'aes-cbc/pad:pkcs'."),
						errhidestmt(true)));
}

void
AdoptionBegin(const Adoption *wanted, text *key, const char *cipher, bytea *iv)
{
	Opener *opener = &CurrentOpener;

	NoteSensitiveStatement();
	if (OidIsValid(Current.relation))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("another column is being adopted in this session")));
	memset(opener, 0, sizeof(*opener));
	opener->pgp = strcmp(cipher, PGP) == 0;
	opener->has_iv = iv != NULL;
	if (opener->pgp && (iv || NameStr(wanted->iv)[0] != '\0'))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a PGP message has no separate initialization vector")));
	if (iv && NameStr(wanted->iv)[0] != '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("both an initialization vector and a column of them are given")));
	SecretProtect(&Key, sizeof(Key));
	PG_TRY();
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

		opener->cipher = cstring_to_text(cipher);
		MemoryContextSwitchTo(old);
		FindFunctions(opener, wanted->stored);
		if (iv)
			CopySecret(&Vector.header, VARDATA_ANY(iv), VARSIZE_ANY_EXHDR(iv), MAX_IV,
					   "an initialization vector");
		if (opener->pgp)
			CopySecret(&Key.header, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key), MAX_KEY, "a key");
		else
		{
			CopyRawKey(key);
			RequireCipher(cipher);
		}
	}
	PG_CATCH();
	{
		AdoptionEnd();
		PG_RE_THROW();
	}
	PG_END_TRY();
	Current = *wanted;
	Current.values = 0;
}

void
AdoptionEnd(void)
{
	SecretWipe(&Key, sizeof(Key));
	SecretWipe(&Vector, sizeof(Vector));
	memset(&Current, 0, sizeof(Current));
	memset(&CurrentOpener, 0, sizeof(CurrentOpener));
}

const Adoption *
AdoptionInProgress(void)
{
	return &Current;
}
