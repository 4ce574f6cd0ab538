/*-------------------------------------------------------------------------
 * fuzz_scrub.c
 *		Any text with any known value: what is found lies within the text, in
 *		ascending order, and the scrubbed text is what stands between.
 *
 * The first byte says how many of the following bytes are the known value.
 *-------------------------------------------------------------------------
 */
#include "core/scrub.h"

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
	out.size = 0;
	out.capacity = expected - (expected > 0);
	must(expected == 0 ||
		 (phi_scrub_text(text, &known, 1, &out) == PHI_ERR_SPACE && out.size == 0));
	return 0;
}
