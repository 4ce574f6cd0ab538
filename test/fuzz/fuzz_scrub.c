/*-------------------------------------------------------------------------
 * fuzz_scrub.c
 *		Any text with any known value: what is found lies within the text, in
 *		ascending order, and the scrubbed text is what stands between; whatever
 *		a row tells does no harm.
 *
 * The first byte says how many of the following bytes are the known value, and
 * of which kind it is in a row.
 *-------------------------------------------------------------------------
 */
#include "core/known.h"

#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 4096

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* Scrub a text of what a value of a kind tells: each spelling lies in the value or the store. */
static void
scrub_told(phi_bytes text, phi_kind kind, phi_bytes value)
{
	static phi_known told;
	phi_scrubber scrubber;
	phi_span span;
	size_t at = 0;

	memset(&told, 0, sizeof(told));
	if (phi_known_add(&told, kind, value) != PHI_OK)
		return;
	must(told.count == 0 || phi_known_kind(kind));
	for (size_t i = 0; i < told.count; i++)
	{
		const uint8_t *first = told.list[i].value.data;
		const uint8_t *store = (const uint8_t *) told.store;

		must((first >= value.data && first + told.list[i].value.size <= value.data + value.size) ||
			 (first >= store && first + told.list[i].value.size <= store + told.stored));
	}
	scrubber = phi_scrub_begin(text, told.list, told.count);
	while (phi_scrub_next(&scrubber, &span))
	{
		must(span.start >= at && span.end > span.start && span.end <= text.size);
		at = span.end;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t space[8 * INPUT_MAX + 16];
	phi_scrub_known known = {{NULL, 0}, PHI_SCRUB_NAME};
	phi_buffer out = {space, 0, 0};
	phi_scrubber scrubber;
	phi_bytes text;
	phi_span span;
	size_t at = 0;
	size_t expected = 0;

	if (size == 0 || size > INPUT_MAX)
		return 0;
	known.value = phi_bytes_of(data + 1, data[0] < size ? data[0] : 0);
	text = phi_bytes_of(data + 1 + known.value.size, size - 1 - known.value.size);
	scrubber = phi_scrub_begin(text, &known, 1);
	while (phi_scrub_next(&scrubber, &span))
	{
		must(span.start >= at && span.end > span.start && span.end <= text.size);
		must(span.tag > PHI_SCRUB_NOTHING && span.tag < PHI_SCRUB_COUNT);
		expected += span.start - at + strlen(phi_scrub_word(span.tag));
		at = span.end;
	}
	expected += text.size - at;
	out.capacity = 8 * text.size + 16;
	must(phi_scrub_text(text, &known, 1, &out) == PHI_OK && out.size == expected);
	must(expected == text.size || phi_scrub_marked(phi_bytes_of(out.data, out.size)));
	scrub_told(text, (phi_kind) (data[0] % PHI_KIND_COUNT), known.value);
	out.size = 0;
	out.capacity = expected - (expected > 0);
	must(expected == 0 ||
		 (phi_scrub_text(text, &known, 1, &out) == PHI_ERR_SPACE && out.size == 0));
	return 0;
}
