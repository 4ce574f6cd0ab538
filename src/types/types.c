/*-------------------------------------------------------------------------
 * types.c
 *		Input, output and casts of the encrypted types.
 *
 * One C function serves all six types; the inner type is found from the type
 * that PostgreSQL passes, or from the function's own signature.  Output and
 * send give the envelope, need no key and never fail.  Input seals anything
 * that is not already sealed; what is already sealed is taken only from those
 * who may load it, because a pasted value must not become a way to have a
 * foreign one revealed.
 *-------------------------------------------------------------------------
 */
#include "types/sealing.h"

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(phi_encrypted_in);
PG_FUNCTION_INFO_V1(phi_encrypted_out);
PG_FUNCTION_INFO_V1(phi_encrypted_recv);
PG_FUNCTION_INFO_V1(phi_encrypted_send);
PG_FUNCTION_INFO_V1(phi_seal);
PG_FUNCTION_INFO_V1(phi_may);

#define PREFIX_SIZE (sizeof(PHI_ENVELOPE_TEXT_PREFIX) - 1)

/* May the current user bring in values that are already sealed? */
static void
RequireLoadDuty(void)
{
	if (superuser() || IsLogicalWorker() ||
		RoleMayExecute(PhiFunction("load_sealed", 0), GetUserId()))
		return;
	HideValueContext();
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("permission denied to load a value that is already sealed"),
					errhint("Give the plain value, or have the key_custodian duty granted."),
					errhidestmt(true)));
}

/* A varlena with room for size bytes of envelope. */
static struct varlena *
AllocateEnvelope(Size size, phi_buffer *out)
{
	struct varlena *sealed = palloc(size + VARHDRSZ);

	out->data = (uint8 *) VARDATA(sealed);
	out->size = 0;
	out->capacity = size;
	return sealed;
}

/* phi:1:... in text form to a stored value; structure is checked, nothing is opened. */
static struct varlena *
LoadSealedText(const char *text, Size size)
{
	phi_buffer out;
	struct varlena *sealed;

	RequireLoadDuty();
	sealed = AllocateEnvelope(size, &out);
	CheckStatus(phi_envelope_from_text(text, size, &out), "read a sealed value");
	SET_VARSIZE(sealed, out.size + VARHDRSZ);
	return sealed;
}

/* The inner type of the encrypted type of this OID, remembered in the call site. */
static InnerType
CallInner(FmgrInfo *flinfo, Oid encrypted)
{
	Oid *cached = flinfo->fn_extra;

	if (unlikely(!cached))
		cached = flinfo->fn_extra = MemoryContextAllocZero(flinfo->fn_mcxt, 2 * sizeof(Oid));
	if (unlikely(cached[0] != encrypted))
	{
		cached[1] = InnerOfEncrypted(encrypted);
		cached[0] = encrypted;
	}
	return (InnerType) cached[1];
}

/*
 * Input of every encrypted type: (cstring, oid, integer).
 */
Datum
phi_encrypted_in(PG_FUNCTION_ARGS)
{
	char *text = PG_GETARG_CSTRING(0);
	Size size = strlen(text);
	InnerType inner;

	RequirePreload();
	if (phi_envelope_text_looks_sealed(text, size))
		PG_RETURN_POINTER(LoadSealedText(text, size));
	inner = CallInner(fcinfo->flinfo, PG_GETARG_OID(1));
	PG_RETURN_POINTER(SealValue(inner, InnerFromText(inner, text, -1), NULL));
}

/*
 * Output of every encrypted type: phi:1: and base64url.
 */
Datum
phi_encrypted_out(PG_FUNCTION_ARGS)
{
	struct varlena *stored = PG_GETARG_VARLENA_PP(0);
	Size size = VARSIZE_ANY_EXHDR(stored);
	char *text = palloc(phi_envelope_text_size(size) + 1);

	phi_envelope_to_text(phi_bytes_of(VARDATA_ANY(stored), size), text);
	text[phi_envelope_text_size(size)] = '\0';
	PG_RETURN_CSTRING(text);
}

/*
 * Binary input: the six bytes phi:1: and an envelope, or the inner type's
 * binary form.
 */
Datum
phi_encrypted_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	Size left = (Size) (message->len - message->cursor);
	InnerType inner;
	Datum plain;

	RequirePreload();
	if (phi_envelope_text_looks_sealed(message->data + message->cursor, left))
	{
		phi_buffer out;
		phi_header header;
		struct varlena *sealed = AllocateEnvelope(left - PREFIX_SIZE, &out);

		RequireLoadDuty();
		SET_VARSIZE(sealed, out.capacity + VARHDRSZ);
		(void) pq_getmsgbytes(message, PREFIX_SIZE);
		pq_copymsgbytes(message, (char *) out.data, (int) out.capacity);
		CheckStatus(phi_header_parse(phi_bytes_of(out.data, out.capacity), out.capacity, &header),
					"read a sealed value");
		PG_RETURN_POINTER(sealed);
	}
	inner = CallInner(fcinfo->flinfo, PG_GETARG_OID(1));
	plain = InnerFromWire(inner, message);
	PG_RETURN_POINTER(SealValue(inner, plain, NULL));
}

/*
 * Binary output: the six bytes phi:1: and the envelope.
 */
Datum
phi_encrypted_send(PG_FUNCTION_ARGS)
{
	struct varlena *stored = PG_GETARG_VARLENA_PP(0);
	StringInfoData message;

	pq_begintypsend(&message);
	appendBinaryStringInfo(&message, PHI_ENVELOPE_TEXT_PREFIX, PREFIX_SIZE);
	appendBinaryStringInfo(&message, VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/*
 * phi.seal(plain): the cast from a plain type; seals unbound.  Text that is a
 * sealed value in text form follows the rule of input.
 */
Datum
phi_seal(PG_FUNCTION_ARGS)
{
	Datum plain = PG_GETARG_DATUM(0);
	Oid *type = fcinfo->flinfo->fn_extra;
	InnerType inner;

	RequirePreload();
	if (unlikely(!type))
	{
		Oid *arguments;
		int count;

		type = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(Oid));
		(void) get_func_signature(fcinfo->flinfo->fn_oid, &arguments, &count);
		*type = arguments[0];
		fcinfo->flinfo->fn_extra = type;
	}
	inner = InnerOfPlain(*type);
	if (inner == INNER_TEXT)
	{
		text *string = PG_GETARG_TEXT_PP(0);

		plain = PointerGetDatum(string);
		if (phi_envelope_text_looks_sealed(VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string)))
			PG_RETURN_POINTER(LoadSealedText(VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string)));
	}
	PG_RETURN_POINTER(SealValue(inner, plain, NULL));
}

/*
 * phi.load_sealed(), phi.read_sealed(): true; the EXECUTE privilege on the
 * function is the duty itself.
 */
Datum
phi_may(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(true);
}
