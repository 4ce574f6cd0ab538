/*-------------------------------------------------------------------------
 * attributes.h
 *		What is known of a row when its subject's consents are asked about it.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_ATTRIBUTES_H
#define PHI_ATTRIBUTES_H

#include "platform/registry.h"

#include "core/directive.h"
#include "fmgr.h"

#define ROW_MAX_CODES 32

/* The attributes of a row as the arguments of a call, in the order of RowAttribute; before them its labels. */
typedef struct RowAttributes
{
	FunctionCallInfo fcinfo;
	int first;
	Oid types[ROW_ATTRIBUTES];
	char resource_type[RESOURCE_TYPE_SIZE];
} RowAttributes;

/* All zero: nothing is known. */
typedef struct RowFacts
{
	phi_consent_row row;
	const RowAttributes *attributes; /* where to gather from; NULL: there is no more */
	unsigned gathered;				 /* PHI_DEPENDS_* that were asked for */
	unsigned depends;				 /* those that a verdict depended on */
	uint64 codes[ROW_MAX_CODES];
	uint64 author;
	phi_consent_link link;
} RowFacts;

/* The reference of a resource type; 0 for an empty one. */
extern uint64 ClassReference(const char *resource_type);

/* Set the labels of a row, with those that all rows of its table have (description may be NULL). */
extern void FactsOfLabels(RowFacts *facts, const RowDescription *description,
						  const phi_labels *labels);

/* Set where the arguments are: attribute i is argument first + i. */
extern void AttributesInit(RowAttributes *attributes, FunctionCallInfo fcinfo, int first);

/* Have these PHI_DEPENDS_* gathered, as far as they can be, and noted as depended on. */
extern void FactsGather(RowFacts *facts, unsigned depends);

#endif /* PHI_ATTRIBUTES_H */
