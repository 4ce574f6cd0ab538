/*-------------------------------------------------------------------------
 * search_stats.c
 *		Statistics of sealed columns: null fraction, width, distinct count.
 *
 * Nothing else is stored: most common values and histograms of ciphertext
 * would say nothing about order but tell which patients share an identifier.
 * The distinct count comes from the tags, by the estimator that ANALYZE uses
 * for other types (Haas and Stokes); values without tags count as distinct.
 *-------------------------------------------------------------------------
 */
#include "types/search.h"

#include <math.h>

#include "fmgr.h"
#include "types/sealing.h"
#include "utils/hsearch.h"

PG_FUNCTION_INFO_V1(phi_search_typanalyze);

/* A tag of the sample, and how often it was there. */
typedef struct TagCount
{
	uint8 tag[PHI_SEARCH_TAG_SIZE];
	int count;
} TagCount;

/* What a pass over the sample has found. */
typedef struct SampleState
{
	HTAB *tags;
	int nonnull;
	int untagged;
	int distinct;
	int once; /* tags that were there once */
	double width;
} SampleState;

/* Count one value. */
static void
CountValue(SampleState *state, Datum value)
{
	phi_header header;
	TagCount *entry;
	bool found;

	state->nonnull++;
	state->width += (double) VARSIZE_ANY(DatumGetPointer(value));
	ReadHeader(value, &header);
	if (!header.searchable)
	{
		state->untagged++;
		return;
	}
	entry = hash_search(state->tags, header.search_tag, HASH_ENTER, &found);
	entry->count = found ? entry->count + 1 : 1;
	if (!found)
		state->distinct++;
	if (entry->count == 1)
		state->once++;
	else if (entry->count == 2)
		state->once--;
}

/* stadistinct of the whole table from the sample. */
static float4
EstimateDistinct(const SampleState *state, double totalrows)
{
	double n = state->nonnull;
	double d = state->distinct;
	double f1 = state->once;
	double rows = totalrows * n / Max(n, 1.0);
	double estimate;

	if (state->untagged > 0 || f1 == d)
		return -1.0;
	if (f1 == 0)
		estimate = d;
	else
		estimate = (n * d) / ((n - f1) + f1 * n / Max(rows, 1.0));
	estimate = floor(Min(Max(estimate, d), rows) + 0.5);
	return estimate > 0.1 * totalrows ? (float4) -(estimate / totalrows) : (float4) estimate;
}

/* The compute_stats callback. */
static void
ComputeStats(VacAttrStatsP stats, AnalyzeAttrFetchFunc fetch, int samplerows, double totalrows)
{
	HASHCTL control = {0};
	SampleState state = {0};
	int nulls = 0;

	control.keysize = PHI_SEARCH_TAG_SIZE;
	control.entrysize = sizeof(TagCount);
	control.hcxt = CurrentMemoryContext;
	state.tags = hash_create("phi_guard sampled tags", Max(samplerows, 16), &control,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < samplerows; i++)
	{
		bool isnull;
		Datum value;

		AnalyzeDelayPoint();
		value = fetch(stats, i, &isnull);
		if (isnull)
			nulls++;
		else
			CountValue(&state, value);
	}
	if (samplerows == 0)
		return;
	stats->stats_valid = true;
	stats->stanullfrac = (float4) nulls / (float4) samplerows;
	stats->stawidth = state.nonnull > 0 ? (int32) (state.width / state.nonnull) : 0;
	stats->stadistinct = state.nonnull > 0 ? EstimateDistinct(&state, totalrows) : 0;
	hash_destroy(state.tags);
}

/*
 * phi.search_typanalyze(internal): the typanalyze function of the encrypted types.
 */
Datum
phi_search_typanalyze(PG_FUNCTION_ARGS)
{
	VacAttrStats *stats = (VacAttrStats *) PG_GETARG_POINTER(0);
	int target = AttributeStatisticsTarget(stats);

	stats->compute_stats = ComputeStats;
	stats->minrows = 300 * target;
	PG_RETURN_BOOL(true);
}
