/*-------------------------------------------------------------------------
 * stored_row.c
 *		The decision of the row predicate about a row at hand.
 *-------------------------------------------------------------------------
 */
#include "consent/verdict.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "keyring/keyring.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

/* A column of the row, null where the relation has none. */
static NullableDatum
ColumnValue(AttrNumber attnum, HeapTuple row, TupleDesc columns)
{
	NullableDatum column = {(Datum) 0, true};

	if (attnum != 0)
		column.value = heap_getattr(row, attnum, columns, &column.isnull);
	return column;
}

/* Does one subject permit, or each of an array? */
static bool
SubjectsPermit(Datum value, Oid type, uint64 kinds, RowFacts *facts)
{
	Oid element = get_element_type(type);
	ArrayType *array;
	int16 length;
	bool by_value;
	char alignment;
	Datum *subjects;
	bool *nulls;
	int count;

	if (!OidIsValid(element))
		return DecideRow(SubjectToken(value, getBaseType(type)), kinds, facts).permit;
	array = DatumGetArrayTypeP(value);
	get_typlenbyvalalign(element, &length, &by_value, &alignment);
	deconstruct_array(array, element, length, by_value, alignment, &subjects, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (nulls[i] || !DecideRow(SubjectToken(subjects[i], element), kinds, facts).permit)
			return false;
	return true;
}

bool
StoredRowPermitted(const ProtectedRelation *relation, HeapTuple row, TupleDesc columns)
{
	const RowDescription *description = &relation->description;
	LOCAL_FCINFO(values, ROW_ATTRIBUTES);
	RowAttributes attributes = {.fcinfo = values};
	NullableDatum subject = ColumnValue(relation->subject, row, columns);
	NullableDatum labels = ColumnValue(relation->labels, row, columns);
	phi_labels own = {0};
	RowFacts facts = {0};

	for (int i = 0; i < ROW_ATTRIBUTES; i++)
	{
		AttrNumber attnum = description->attributes[i];

		values->args[i] = ColumnValue(attnum, row, columns);
		attributes.types[i] =
			attnum == 0 ? TEXTOID : getBaseType(TupleDescAttr(columns, attnum - 1)->atttypid);
	}
	strlcpy(attributes.resource_type, description->resource_type, RESOURCE_TYPE_SIZE);
	if (!labels.isnull)
		own = LabelsOfArray(labels.value);
	FactsOfLabels(&facts, description, &own);
	facts.row.class_reference = ClassReference(description->resource_type);
	facts.attributes = &attributes;
	if (subject.isnull || !SubjectsPermit(subject.value, relation->subject_type, relation->kinds, &facts))
		return false;
	for (int i = 0; i < description->other_subject_count; i++)
	{
		AttrNumber attnum = description->other_subjects[i];
		NullableDatum other = ColumnValue(attnum, row, columns);

		if (!other.isnull && !SubjectsPermit(other.value, TupleDescAttr(columns, attnum - 1)->atttypid,
											 relation->kinds, &facts))
			return false;
	}
	return true;
}
