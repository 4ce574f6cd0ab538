/*-------------------------------------------------------------------------
 * scrub_recall.c
 *		How much of a labeled set of notes the scrubber finds, by what the labels
 *		say and by what it says; how fast it is.
 *
 * Reads redaction/presidio-synth_dataset_v2.json of the shared data folder:
 * notes with spans, in code points.  A label is found when every byte of it was
 * taken out; something taken out is right when it touches a label.
 *
 * Twice: without being told anything, and told what a row would tell of the
 * person that a note names first: the first label of each kind in it.  Those
 * labels are counted with the others.
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/known.h"
#include "json.h"

#define DATASET    "redaction/presidio-synth_dataset_v2.json"
#define LABELS_MAX 32

static struct
{
	const char *name;
	unsigned count, found, told; /* told: found with the row's identifiers */
} labels[LABELS_MAX];
static unsigned label_count;

static unsigned taken[PHI_SCRUB_COUNT], right[PHI_SCRUB_COUNT];

static size_t bytes; /* of all notes */
static double
	seconds[2]; /* that scrubbing them took, told nothing and told the row's identifiers */

/* Labels that a row has as columns, and of which kind. */
static const struct
{
	const char *label;
	phi_kind kind;
} columns[] = {{"PERSON", PHI_KIND_NAME},
			   {"STREET_ADDRESS", PHI_KIND_ADDRESS},
			   {"GPE", PHI_KIND_CITY},
			   {"ZIP_CODE", PHI_KIND_ZIP},
			   {"PHONE_NUMBER", PHI_KIND_PHONE},
			   {"US_SSN", PHI_KIND_SSN},
			   {"EMAIL_ADDRESS", PHI_KIND_EMAIL},
			   {"US_DRIVER_LICENSE", PHI_KIND_LICENSE}};

/* The byte offset of a code point. */
static size_t
offset_of(const char *text, int64_t position)
{
	size_t at = 0;

	while (position > 0 && text[at] != '\0')
	{
		at++;
		if (((unsigned char) text[at] & 0xC0) != 0x80)
			position--;
	}
	return at;
}

static unsigned
label_of(const char *name)
{
	unsigned i;

	for (i = 0; i < label_count && strcmp(labels[i].name, name) != 0; i++)
		;
	if (i == label_count && label_count < LABELS_MAX - 1)
		labels[label_count++].name = name;
	return i;
}

/* The bytes of a label. */
static phi_bytes
label_bytes(const json *full, const json *label)
{
	size_t from = offset_of(full->text, json_number(json_get(label, "start_position")));
	size_t to = offset_of(full->text, json_number(json_get(label, "end_position")));

	return phi_bytes_of(full->text + from, to - from);
}

/* What a row of the note's person would tell: the first label of each kind. */
static void
tell(phi_known *known, const json *full, const json *spans)
{
	known->count = known->stored = 0;
	for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]); c++)
		for (size_t i = 0; i < json_count(spans); i++)
			if (strcmp(json_text(json_get(json_at(spans, i), "entity_type")), columns[c].label) ==
				0)
			{
				if (phi_known_add(known, columns[c].kind, label_bytes(full, json_at(spans, i))) !=
					PHI_OK)
					exit(1);
				break;
			}
}

/* Mark the bytes that are taken out of a note. */
static void
scrub(phi_bytes text, const phi_known *known, bool *out, double *took)
{
	phi_scrubber scrubber;
	phi_span span;
	clock_t begun = clock();

	memset(out, 0, text.size + 1);
	scrubber = phi_scrub_begin(text, known->list, known->count);
	while (phi_scrub_next(&scrubber, &span))
		memset(out + span.start, 1, span.end - span.start);
	*took += (double) (clock() - begun) / CLOCKS_PER_SEC;
}

/* Count what is right of what was taken out without being told. */
static void
count_right(phi_bytes text, const bool *labeled)
{
	phi_scrubber scrubber = phi_scrub_begin(text, NULL, 0);
	phi_span span;

	while (phi_scrub_next(&scrubber, &span))
	{
		taken[span.tag]++;
		right[span.tag] += memchr(labeled + span.start, 1, span.end - span.start) != NULL;
	}
}

/* Compare what was taken out of a note with its labels. */
static void
judge(const json *note)
{
	static phi_known nothing, known;
	const json *full = json_get(note, "full_text");
	const json *spans = json_get(note, "spans");
	phi_bytes text = phi_bytes_of(full->text, full->text_size);
	bool *out = calloc(text.size + 1, 1);
	bool *told = calloc(text.size + 1, 1);
	bool *labeled = calloc(text.size + 1, 1);

	if (out == NULL || told == NULL || labeled == NULL)
		exit(1);
	tell(&known, full, spans);
	scrub(text, &nothing, out, &seconds[0]);
	scrub(text, &known, told, &seconds[1]);
	bytes += text.size;
	for (size_t i = 0; i < json_count(spans); i++)
	{
		phi_bytes label = label_bytes(full, json_at(spans, i));
		size_t from = (size_t) (label.data - text.data);
		unsigned row = label_of(json_text(json_get(json_at(spans, i), "entity_type")));

		labels[row].count++;
		labels[row].found += memchr(out + from, 0, label.size) == NULL;
		labels[row].told += memchr(told + from, 0, label.size) == NULL;
		memset(labeled + from, 1, label.size);
	}
	count_right(text, labeled);
	free(out);
	free(told);
	free(labeled);
}

int
main(void)
{
	json *notes = json_load_shared(DATASET);

	if (notes == NULL)
	{
		printf("# scrub: the labeled notes are not there\n");
		return 0;
	}
	for (size_t i = 0; i < json_count(notes); i++)
		judge(json_at(notes, i));
	for (unsigned i = 0; i < label_count; i++)
		printf("# scrub recall %s: %u of %u, %.2f; told the row's identifiers %.2f\n",
			   labels[i].name, labels[i].found, labels[i].count,
			   (double) labels[i].found / labels[i].count,
			   (double) labels[i].told / labels[i].count);
	for (unsigned tag = 0; tag < PHI_SCRUB_COUNT; tag++)
		if (taken[tag] > 0)
			printf("# scrub precision %s: %u of %u, %.2f\n", phi_scrub_word(tag), right[tag],
				   taken[tag], (double) right[tag] / taken[tag]);
	printf("# scrub speed in C: %.1f MB/s, told the row's identifiers %.1f MB/s\n",
		   (double) bytes / 1e6 / seconds[0], (double) bytes / 1e6 / seconds[1]);
	json_free(notes);
	return 0;
}
