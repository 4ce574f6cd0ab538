/*-------------------------------------------------------------------------
 * directive.c
 *		Checking and evaluating consent directives (program version 2).
 *
 * One walk does both: it parses every provision in place, once, and allocates
 * nothing; a provision that does not match is parsed all the same.  There is
 * one encoding per directive, and the parser takes nothing else.
 *-------------------------------------------------------------------------
 */
#include "directive_format.h"

/* A walk over one program. */
typedef struct walk
{
	const phi_consent_request *request; /* NULL: only the structure is checked */
	unsigned depends;
	int64_t valid_until;
} walk;

/* What came of one provision. */
typedef struct outcome
{
	phi_verdict effect;
	bool context;               /* period, actors, actions and purposes match */
	bool row;                   /* and so do its other attributes */
	phi_verdict nested;         /* of nested provisions that match */
	phi_verdict nested_permits; /* the same of permits alone */
} outcome;

/* What a provision that matches comes to: its effect, unless something in it overrides that. */
static phi_verdict
overridden(phi_verdict effect, phi_verdict nested)
{
	return nested == PHI_VERDICT_NA ? effect : nested;
}

/* Take the next nested provision, which must come after the last one. */
static bool
take_nested(phi_bytes *rest, phi_bytes *last)
{
	phi_bytes size;
	phi_bytes nested;

	if (!phi_take(rest, 2, &size) || !phi_take(rest, phi_get_u16(size.data), &nested) ||
		(last->data && phi_provision_order(*last, nested) >= 0))
		return false;
	*last = nested;
	return true;
}

/*
 * Walk one provision with all that it holds; false when it is malformed.
 * Active: everything around it matches in its context.  Whether the row matches
 * is of no concern here, so that depends and valid_until hold for every row.
 */
static bool
walk_provision(phi_bytes rest, unsigned level, walk *walk, bool active, outcome *out)
{
	phi_parsed_provision provision;
	phi_bytes last = {0};
	unsigned i;

	*out = (outcome){0};
	if (level == PHI_DIRECTIVE_DEPTH || !phi_provision_take(&rest, &provision))
		return false;
	out->effect = provision.effect;
	if (active && phi_context_matches(&provision, walk->request, &walk->valid_until))
	{
		out->context = true;
		walk->depends |= provision.depends;
		out->row = phi_row_matches(&provision, walk->request->row);
	}

	for (i = 0; i < provision.nested_count; i++)
	{
		outcome inner;

		if (!take_nested(&rest, &last) ||
			!walk_provision(last, level + 1, walk, out->context, &inner))
			return false;
		if (inner.context && inner.row)
		{
			phi_verdict verdict = overridden(inner.effect, inner.nested);

			out->nested = phi_verdict_combine(out->nested, verdict);
			if (inner.effect == PHI_VERDICT_PERMIT)
				out->nested_permits = phi_verdict_combine(out->nested_permits, verdict);
		}
	}
	return rest.size == 0;
}

/* Walk a whole program. */
static phi_status
walk_program(phi_bytes program, walk *walk, outcome *root)
{
	phi_bytes rest = program;
	phi_bytes version;

	if (!phi_take(&rest, 1, &version))
		return PHI_ERR_FORMAT;
	if (version.data[0] != VERSION)
		return PHI_ERR_VERSION;
	if (program.size > PHI_DIRECTIVE_MAX ||
		!walk_provision(rest, 0, walk, walk->request != NULL, root))
		return PHI_ERR_FORMAT;
	return PHI_OK;
}

phi_status
phi_directive_check(phi_bytes program)
{
	walk walk = {0};
	outcome root;

	return walk_program(program, &walk, &root);
}

/* The directive's verdict, from what came of its root. */
static phi_verdict
root_verdict(const outcome *root)
{
	if (!root->context)
		return PHI_VERDICT_NA;
	if (root->row)
		return overridden(root->effect, root->nested);
	if (root->effect == PHI_VERDICT_DENY)
		return PHI_VERDICT_NA;
	return overridden(PHI_VERDICT_DENY, root->nested_permits);
}

phi_status
phi_directive_evaluate(phi_bytes program, const phi_consent_request *request,
					   phi_consent_answer *answer)
{
	walk walk = {request, 0, answer->valid_until};
	outcome root;
	phi_status status = walk_program(program, &walk, &root);

	answer->verdict = PHI_VERDICT_DENY;
	if (status != PHI_OK)
		return status;
	answer->verdict = root_verdict(&root);
	answer->depends |= walk.depends;
	answer->valid_until = walk.valid_until;
	return PHI_OK;
}
