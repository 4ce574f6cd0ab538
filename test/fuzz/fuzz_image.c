/*-------------------------------------------------------------------------
 * fuzz_image.c
 *		Arbitrary bytes as the images of an event, and as the values of a row.
 *
 * Held: the parts of what parses lie one after the other and fill the input;
 * every column is found again, and the images are as large as said.
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "core/image.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise ends the run. */
static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* Values end, and lie within the row. */
static void
read_values(const uint8_t *data, size_t size)
{
	size_t at = 0;
	size_t last;
	phi_bytes value;

	do
	{
		last = at;
		if (phi_image_next_value(phi_bytes_of(data, size), &at, &value) != PHI_OK)
			return;
		must(at > last && at <= size);
		must(value.data == NULL || value.data + value.size == data + at);
	} while (at < size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	phi_images images;
	phi_image_column column;
	size_t columns = 0;
	size_t next = 0;
	size_t all = 0;
	size_t i;

	read_values(data, size);
	if (phi_images_parse(phi_bytes_of(data, size), &images) != PHI_OK)
		return 0;
	while (phi_images_next_column(&images, &next, &column))
		columns++;
	must(columns == images.column_count);
	for (i = 0; i < images.sizes.size / 8; i++)
		all += phi_images_find(&images, i, PHI_IMAGE_BEFORE).size +
			   phi_images_find(&images, i, PHI_IMAGE_AFTER).size;
	must(all == images.envelopes.size);
	must(1 + PHI_IMAGE_RUN_SIZE + 2 + images.keys.size + images.columns.size + 2 +
			 images.sizes.size + images.envelopes.size ==
		 size);
	return 0;
}
