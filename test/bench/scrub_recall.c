/*-------------------------------------------------------------------------
 * scrub_recall.c
 *		How much of a labeled set of notes the scrubber finds, by what the labels
 *		say and by what it says, without being told anything about anybody.
 *
 * Reads redaction/presidio-synth_dataset_v2.json of the shared data folder:
 * notes with spans, in code points.  A label is found when every byte of it was
 * taken out; something taken out is right when it touches a label.
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/scrub.h"
#include "json.h"

#define DATASET    "redaction/presidio-synth_dataset_v2.json"
#define LABELS_MAX 32

static struct
{
	const char *name;
	unsigned count, found;
} labels[LABELS_MAX];
static unsigned label_count;

static unsigned taken[PHI_SCRUB_COUNT], right[PHI_SCRUB_COUNT];

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

/* Mark the bytes of a note: what was taken out, what has a label. */
static void
judge(const json *note)
{
	const json *full = json_get(note, "full_text");
	const json *spans = json_get(note, "spans");
	size_t size = full->text_size;
	bool *out = calloc(size + 1, 1);
	bool *labeled = calloc(size + 1, 1);
	phi_scrubber scrubber = phi_scrub_begin(phi_bytes_of(full->text, size), NULL, 0);
	phi_span span;

	if (out == NULL || labeled == NULL)
		exit(1);
	while (phi_scrub_next(&scrubber, &span))
		memset(out + span.start, 1, span.end - span.start);
	for (size_t i = 0; i < json_count(spans); i++)
	{
		const json *label = json_at(spans, i);
		size_t from = offset_of(full->text, json_number(json_get(label, "start_position")));
		size_t to = offset_of(full->text, json_number(json_get(label, "end_position")));
		unsigned row = label_of(json_text(json_get(label, "entity_type")));

		labels[row].count++;
		labels[row].found += memchr(out + from, 0, to - from) == NULL;
		memset(labeled + from, 1, to - from);
	}
	scrubber = phi_scrub_begin(phi_bytes_of(full->text, size), NULL, 0);
	while (phi_scrub_next(&scrubber, &span))
	{
		taken[span.tag]++;
		right[span.tag] += memchr(labeled + span.start, 1, span.end - span.start) != NULL;
	}
	free(out);
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
		printf("# scrub recall %s: %u of %u, %.2f\n", labels[i].name, labels[i].found,
			   labels[i].count, (double) labels[i].found / labels[i].count);
	for (unsigned tag = 0; tag < PHI_SCRUB_COUNT; tag++)
		if (taken[tag] > 0)
			printf("# scrub precision %s: %u of %u, %.2f\n", phi_scrub_word(tag), right[tag],
				   taken[tag], (double) right[tag] / taken[tag]);
	json_free(notes);
	return 0;
}
