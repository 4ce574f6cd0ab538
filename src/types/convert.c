/*-------------------------------------------------------------------------
 * convert.c
 *		Converting the columns of a table in place, for phi.protect and
 *		phi.unprotect, and checking where values are sealed for.
 *
 * They run inside ALTER TABLE ... USING and queries as the table's owner, and
 * work only while phi.run_as_owner is at work for that table, which no role
 * can call.  The owner's own code (an index expression, a constraint) may run
 * in the same command: so nothing of another table can be sealed or opened,
 * and of the table itself only while phi.unprotect turns it to plain text.
 *-------------------------------------------------------------------------
 */
#include "types/sealing.h"

#include "consent/consent.h"
#include "fmgr.h"
#include "keyring/keyring.h"
#include "types/pgcrypto.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(phi_seal_in_place);
PG_FUNCTION_INFO_V1(phi_adopt_in_place);
PG_FUNCTION_INFO_V1(phi_open_in_place);
PG_FUNCTION_INFO_V1(phi_is_sealed_for);

/* Raise unless our own maintenance allows it. */
static void
RequireMaintenance(bool allowed)
{
	if (!allowed)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied for in-place conversion"),
						errhint("Use phi.protect or phi.unprotect.")));
}

/* Type of the first argument by the function's signature, as an inner type. */
static InnerType
SignatureInner(FmgrInfo *flinfo, bool encrypted)
{
	InnerType *cached = flinfo->fn_extra;

	if (unlikely(!cached))
	{
		Oid *arguments;
		int count;

		cached = MemoryContextAlloc(flinfo->fn_mcxt, sizeof(InnerType));
		(void) get_func_signature(flinfo->fn_oid, &arguments, &count);
		*cached = encrypted ? InnerOfEncrypted(arguments[0]) : InnerOfPlain(arguments[0]);
		flinfo->fn_extra = cached;
	}
	return *cached;
}

/* The place that the arguments from first on name: column_id, subject, labels, key columns. */
static void
TargetArguments(FunctionCallInfo fcinfo, int first, SealTarget *target)
{
	const ProtectedColumn *column;
	StringInfoData keys;

	if (PG_ARGISNULL(first) || PG_ARGISNULL(first + 1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("a row with a classified value needs a subject"),
						errhint("Fill the subject column first.")));
	column = RegistryColumn((uint16) PG_GETARG_INT32(first));
	if (!column)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("column id is not registered")));
	initStringInfo(&keys);
	KeyArguments(fcinfo, first + 3, PG_NARGS(), &keys);
	target->column = column;
	target->label_set = LabelSetId(PG_GETARG_DATUM(first + 2), PG_ARGISNULL(first + 2));
	target->subject_token =
		SubjectToken(PG_GETARG_DATUM(first + 1), get_fn_expr_argtype(fcinfo->flinfo, first + 1));
	target->row_token = TargetRowToken(column->uuid, &keys);
	pfree(keys.data);
}

/*
 * phi.seal_in_place(plain, column_id, subject, labels [, key...]): the value
 * sealed for that place; NULL for NULL.
 */
Datum
phi_seal_in_place(PG_FUNCTION_ARGS)
{
	SealTarget target;

	RequireMaintenance(OwnerCommandInProgress());
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	TargetArguments(fcinfo, 1, &target);
	RequireMaintenance(OwnerCommandFor(target.column->relation, false));
	PG_RETURN_POINTER(SealValue(SignatureInner(fcinfo->flinfo, false), PG_GETARG_DATUM(0), &target));
}

/* Raise: a value of the adopted column does not open.  One message for every cause. */
static void
RaiseUnadoptable(const Adoption *adoption)
{
	HideValueContext();
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("a value of column \"%s\" of table \"%s\" cannot be decrypted",
					NameStr(adoption->column), get_rel_name(adoption->relation)),
			 errhint("Key and cipher are not those of every value, a value is damaged, or is no "
					 "%s; phi.adopt_pgp_plan() counts such values.",
					 format_type_be(InnerTypeOid(adoption->inner))),
			 errhidestmt(true)));
}

/*
 * phi.adopt_in_place(NULL, stored, iv, column_id, subject, labels [, key...]):
 * what pgcrypto encrypted, sealed for that place; NULL for NULL.  The first
 * argument says by its type which encrypted type is wanted.
 */
Datum
phi_adopt_in_place(PG_FUNCTION_ARGS)
{
	const Adoption *adoption = AdoptionInProgress();
	SealTarget target;
	Datum plain;
	struct varlena *sealed;

	RequireMaintenance(OwnerCommandFor(adoption->relation, false) &&
					   get_fn_expr_argtype(fcinfo->flinfo, 1) == adoption->stored &&
					   SignatureInner(fcinfo->flinfo, true) == adoption->inner);
	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	TargetArguments(fcinfo, 3, &target);
	RequireMaintenance(target.column->relation == adoption->relation &&
					   strcmp(NameStr(target.column->name), NameStr(adoption->column)) == 0);
	if (!AdoptionOpen(PG_GETARG_DATUM(1), PG_ARGISNULL(2) ? NULL : PG_GETARG_BYTEA_PP(2), &plain))
		RaiseUnadoptable(adoption);
	sealed = SealValue(adoption->inner, plain, &target);
	if (get_typlen(InnerTypeOid(adoption->inner)) == -1)
		SecretWipe(VARDATA_ANY(DatumGetPointer(plain)), VARSIZE_ANY_EXHDR(DatumGetPointer(plain)));
	PG_RETURN_POINTER(sealed);
}

/*
 * phi.open_in_place(value): the plain value, for phi.unprotect; NULL where the
 * subject was shredded.
 */
Datum
phi_open_in_place(PG_FUNCTION_ARGS)
{
	const ProtectedColumn *column;
	phi_header header;

	RequireMaintenance(OwnerCommandInProgress());
	ReadHeader(PG_GETARG_DATUM(0), &header);
	if (IsDead(&header))
		PG_RETURN_NULL();
	column = header.bound ? RegistryColumn(header.column_id) : NULL;
	RequireMaintenance(column && OwnerCommandFor(column->relation, true));
	PG_RETURN_DATUM(
		OpenValue(SignatureInner(fcinfo->flinfo, true), PG_GETARG_DATUM(0), &header));
}

/*
 * phi.is_sealed_for(value, column_id, subject, labels [, key...]): is the
 * value sealed for that place?  True for NULL, and for what never opens again.
 */
Datum
phi_is_sealed_for(PG_FUNCTION_ARGS)
{
	SealTarget target;
	phi_header header;

	RequireMaintenance(OwnerCommandInProgress());
	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(true);
	TargetArguments(fcinfo, 1, &target);
	ReadHeader(PG_GETARG_DATUM(0), &header);
	PG_RETURN_BOOL(SealedFor(&header, &target) || IsDead(&header));
}
