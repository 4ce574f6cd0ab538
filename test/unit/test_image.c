/*-------------------------------------------------------------------------
 * test_image.c
 *		Images of rows: a frame taken apart, every way to break it, values of
 *		a row, and what binds an image to its place.
 *-------------------------------------------------------------------------
 */
#include "check.h"
#include "core/image.h"

#include <openssl/evp.h>
#include <stdlib.h>

/* One data key, two columns, two entries: the first has both images, the second the one after. */
static const uint8_t frame[] = {
	1,    1, 2, 3, 4, 5, 6, 7, 8,                                   /* version, run */
	0, 1, 0, 0, 0, 9,                                               /* keys */
	0, 2, 0, 1, 0, 0, 2, 2, 'i', 'd', 1, 'x', 0, 4, 1, 2, 1, 1, 'n', 1, 'y', /* columns */
	0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3,           /* sizes */
	'a', 'b', 'c', 'd', 'e', 'f',
};

static void
test_parse(void)
{
	phi_images images;
	phi_image_column column;
	size_t next = 0;
	phi_bytes found;

	CHECK_CASE("images of an event, taken apart");
	CHECK_INT(phi_images_parse(phi_bytes_of(frame, sizeof(frame)), &images), PHI_OK);
	CHECK_INT(images.run[7], 8);
	CHECK_INT(images.keys.size, 4);
	CHECK_INT(images.column_count, 2);
	CHECK_INT(phi_images_next_column(&images, &next, &column), true);
	CHECK_INT(column.number, 1);
	CHECK_INT(column.flags, PHI_IMAGE_PLAIN);
	CHECK_INT(phi_images_next_column(&images, &next, &column), true);
	CHECK_INT(column.column_id, 0x0102);
	CHECK_INT(column.name.data[0], 'n');
	CHECK_INT(phi_images_next_column(&images, &next, &column), false);
	found = phi_images_find(&images, 0, PHI_IMAGE_BEFORE);
	CHECK_INT(found.size == 2 && found.data[0] == 'a', true);
	found = phi_images_find(&images, 0, PHI_IMAGE_AFTER);
	CHECK_INT(found.size == 1 && found.data[0] == 'c', true);
	CHECK_INT(phi_images_find(&images, 1, PHI_IMAGE_BEFORE).size, 0);
	found = phi_images_find(&images, 1, PHI_IMAGE_AFTER);
	CHECK_INT(found.size == 3 && found.data[0] == 'd', true);
	CHECK_INT(phi_images_find(&images, 2, PHI_IMAGE_BEFORE).size, 0);
}

/* Cut off anywhere, or longer, it is refused; so are another version, unknown flags and columns out of order. */
static void
test_broken(void)
{
	uint8_t copy[sizeof(frame) + 1];
	phi_images images;
	size_t i;

	CHECK_CASE("images cut off, too long, of another version, with what is not known");
	for (i = 0; i < sizeof(frame); i++)
	{
		uint8_t *part = malloc(i + 1);

		memcpy(part, frame, i);
		CHECK_INT(phi_images_parse(phi_bytes_of(part, i), &images), PHI_ERR_FORMAT);
		free(part);
	}
	memcpy(copy, frame, sizeof(frame));
	copy[sizeof(frame)] = 0;
	CHECK_INT(phi_images_parse(phi_bytes_of(copy, sizeof(copy)), &images), PHI_ERR_FORMAT);
	copy[0] = 2;
	CHECK_INT(phi_images_parse(phi_bytes_of(copy, sizeof(frame)), &images), PHI_ERR_VERSION);
	memcpy(copy, frame, sizeof(frame));
	copy[21] = 8;
	CHECK_INT(phi_images_parse(phi_bytes_of(copy, sizeof(frame)), &images), PHI_ERR_FORMAT);
	memcpy(copy, frame, sizeof(frame));
	copy[28] = 1;
	CHECK_INT(phi_images_parse(phi_bytes_of(copy, sizeof(frame)), &images), PHI_ERR_FORMAT);
}

static void
test_values(void)
{
	static const uint8_t row[] = {0, 1, 0, 0, 0, 2, 'h', 'i', 1, 0, 0, 0, 0, 2};
	phi_bytes value;
	size_t at = 0;

	CHECK_CASE("values of a row");
	CHECK_INT(phi_image_next_value(phi_bytes_of(row, sizeof(row)), &at, &value), PHI_OK);
	CHECK_INT(value.data == NULL, true);
	CHECK_INT(phi_image_next_value(phi_bytes_of(row, sizeof(row)), &at, &value), PHI_OK);
	CHECK_INT(value.size == 2 && value.data[1] == 'i', true);
	CHECK_INT(phi_image_next_value(phi_bytes_of(row, sizeof(row)), &at, &value), PHI_OK);
	CHECK_INT(value.size == 0 && value.data != NULL, true);
	CHECK_INT(phi_image_next_value(phi_bytes_of(row, sizeof(row)), &at, &value), PHI_ERR_FORMAT);
	at = 1;
	CHECK_INT(phi_image_next_value(phi_bytes_of(row, 7), &at, &value), PHI_ERR_FORMAT);
	at = sizeof(row);
	CHECK_INT(phi_image_next_value(phi_bytes_of(row, sizeof(row)), &at, &value), PHI_ERR_FORMAT);
}

/* The binding is what its formula says, and differs with each of its parts. */
static void
test_binding(void)
{
	uint8_t salt[PHI_IMAGE_SALT_SIZE] = {1};
	uint8_t run[PHI_IMAGE_RUN_SIZE] = {2};
	uint8_t columns[32] = {3};
	uint8_t text[17 + 16 + 8 + 32 + 13] = "phi_guard image 1";
	uint8_t hash[32];
	uint8_t binding[6][PHI_UUID_SIZE];
	int i;

	CHECK_CASE("binding of an image to its place");
	text[17] = 1;
	text[17 + 16] = 2;
	text[17 + 16 + 8] = 3;
	text[17 + 16 + 8 + 32 + 7] = 5;
	text[17 + 16 + 8 + 32 + 11] = 7;
	text[17 + 16 + 8 + 32 + 12] = 1;
	CHECK_INT(EVP_Digest(text, sizeof(text), hash, NULL, EVP_sha256(), NULL), 1);
	CHECK_INT(phi_image_binding(salt, 5, run, columns, 7, PHI_IMAGE_AFTER, binding[0]), PHI_OK);
	CHECK_INT(memcmp(binding[0], hash, PHI_UUID_SIZE), 0);
	CHECK_INT(phi_image_binding(salt, 5, run, columns, 7, PHI_IMAGE_BEFORE, binding[1]), PHI_OK);
	CHECK_INT(phi_image_binding(salt, 5, run, columns, 8, PHI_IMAGE_AFTER, binding[2]), PHI_OK);
	CHECK_INT(phi_image_binding(salt, 6, run, columns, 7, PHI_IMAGE_AFTER, binding[3]), PHI_OK);
	columns[31] = 1;
	CHECK_INT(phi_image_binding(salt, 5, run, columns, 7, PHI_IMAGE_AFTER, binding[4]), PHI_OK);
	salt[15] = 1;
	columns[31] = 0;
	CHECK_INT(phi_image_binding(salt, 5, run, columns, 7, PHI_IMAGE_AFTER, binding[5]), PHI_OK);
	for (i = 1; i < 6; i++)
		CHECK_INT(memcmp(binding[0], binding[i], PHI_UUID_SIZE) != 0, true);
}

int
main(void)
{
	test_parse();
	test_broken();
	test_values();
	test_binding();
	return check_done();
}
