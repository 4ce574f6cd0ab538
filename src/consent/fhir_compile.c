/*-------------------------------------------------------------------------
 * fhir_compile.c
 *		The tree of a consent as a compiled program.
 *
 * Names become references under the keyring's key here: a program holds none
 * of them in clear.
 *-------------------------------------------------------------------------
 */
#include "consent/fhir.h"

#include "keyring/keyring.h"
#include "miscadmin.h"

/* A list of count references to be filled in. */
static uint64 *
MakeReferences(List *list, const uint64 **out, size_t *count)
{
	uint64 *references = palloc(sizeof(uint64) * Max(list_length(list), 1));

	*out = references;
	*count = list_length(list);
	return references;
}

/* Whom it is about. */
static void
CompileActors(const FhirProvision *from, phi_provision *to)
{
	uint64 *references = MakeReferences(from->actors, &to->actors, &to->actor_count);
	ListCell *cell;

	foreach (cell, from->actors)
	{
		const FhirActor *actor = lfirst(cell);

		*references++ = ActorReference(actor->prefix, actor->name);
	}
}

/* What for: purposes of the table, and others. */
static void
CompilePurposes(const FhirProvision *from, phi_provision *to)
{
	phi_purpose *rows = palloc(Max(list_length(from->purposes), 1));
	uint64 *own = palloc(sizeof(uint64) * Max(list_length(from->purposes), 1));
	ListCell *cell;

	foreach (cell, from->purposes)
	{
		const FhirCoding *purpose = lfirst(cell);

		if (purpose->system)
			own[to->own_purpose_count++] = FhirCodingReference("purpose", purpose);
		else
			rows[to->purpose_count++] = phi_purpose_find(purpose->code, strlen(purpose->code));
	}
	to->purposes = rows;
	to->own_purposes = own;
}

/* Confidentiality: the highest that a permit lists, the lowest that a deny does. */
static void
CompileLabels(const FhirProvision *from, phi_provision *to)
{
	ListCell *cell;

	foreach (cell, from->labels)
	{
		const char *code = lfirst(cell);
		unsigned rank = phi_confidentiality_rank(code, strlen(code));

		to->sensitivities |= phi_sensitivity_below(code, strlen(code));
		if (rank == 0)
			continue;
		if (to->rank == 0 ||
			(from->effect == PHI_VERDICT_PERMIT ? rank > to->rank : rank < to->rank))
			to->rank = rank;
	}
}

/* Which data. */
static void
CompileData(const FhirProvision *from, phi_provision *to)
{
	phi_data_reference *data = palloc(sizeof(phi_data_reference) * Max(list_length(from->data), 1));
	ListCell *cell;

	to->data = data;
	to->data_count = list_length(from->data);
	foreach (cell, from->data)
	{
		const FhirData *reference = lfirst(cell);

		data->meaning = reference->meaning;
		data->type = FhirTypeReference(reference->reference);
		data->target = ActorReference("data", reference->reference);
		data++;
	}
}

/* Classes and codes, both by reference. */
static void
CompileCodes(const FhirProvision *from, phi_provision *to)
{
	uint64 *classes = MakeReferences(from->classes, &to->classes, &to->class_count);
	uint64 *codes = MakeReferences(from->codes, &to->codes, &to->code_count);
	ListCell *cell;

	foreach (cell, from->classes)
		*classes++ = ActorReference("class", lfirst(cell));
	foreach (cell, from->codes)
		*codes++ = FhirCodingReference("code", lfirst(cell));
}

/* One provision with all that it holds. */
static void
CompileProvision(const FhirProvision *from, phi_provision *to)
{
	phi_provision *nested;
	ListCell *cell;

	check_stack_depth();
	memset(to, 0, sizeof(*to));
	to->effect = from->effect;
	to->has_period = from->period.present;
	to->from = from->period.from;
	to->until = from->period.until;
	CompileActors(from, to);
	foreach (cell, from->actions)
		to->actions |= PHI_ACTION_BIT(phi_action_find(lfirst(cell), strlen(lfirst(cell))));
	CompilePurposes(from, to);
	CompileLabels(from, to);
	CompileCodes(from, to);
	to->has_data_period = from->data_period.present;
	to->data_from = from->data_period.from;
	to->data_until = from->data_period.until;
	CompileData(from, to);

	nested = palloc(sizeof(phi_provision) * Max(list_length(from->provisions), 1));
	to->provisions = nested;
	to->provision_count = list_length(from->provisions);
	foreach (cell, from->provisions)
		CompileProvision(lfirst(cell), nested++);
}

bytea *
FhirCompile(const FhirProvision *root)
{
	bytea *program = palloc(VARHDRSZ + PHI_DIRECTIVE_MAX);
	phi_buffer buffer = {(uint8 *) VARDATA(program), 0, PHI_DIRECTIVE_MAX};
	phi_provision compiled;
	phi_status status;

	CompileProvision(root, &compiled);
	status = phi_directive_compile(&compiled, &buffer);
	if (status == PHI_ERR_ARGUMENT)
		return NULL;
	CheckStatus(status, "compile a consent");
	SET_VARSIZE(program, VARHDRSZ + buffer.size);
	return program;
}
