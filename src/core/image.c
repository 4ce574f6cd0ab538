/*-------------------------------------------------------------------------
 * image.c
 *		Images of rows in an audit event: parsing, and what binds one to its
 *		place.  The writer is audit/image.c.
 *-------------------------------------------------------------------------
 */
#include "image.h"

#include <string.h>

#include "mac.h"

#define FLAGS_KNOWN (PHI_IMAGE_SEALED | PHI_IMAGE_PLAIN | PHI_IMAGE_LABELS)

/* What is left to be read. */
typedef struct reader
{
	const uint8_t *at;
	size_t left;
} reader;

/* Take bytes; NULL when there are not as many. */
static const uint8_t *
take(reader *in, size_t size)
{
	const uint8_t *bytes = in->at;

	if (size > in->left)
		return NULL;
	in->at += size;
	in->left -= size;
	return bytes;
}

/* Take a counted name of at least one byte. */
static bool
take_name(reader *in, phi_bytes *name)
{
	const uint8_t *size = take(in, 1);
	const uint8_t *bytes = size != NULL && *size > 0 ? take(in, *size) : NULL;

	if (bytes == NULL)
		return false;
	*name = phi_bytes_of(bytes, *size);
	return true;
}

static bool
take_column(reader *in, phi_image_column *column)
{
	const uint8_t *fixed = take(in, 5);

	if (fixed == NULL)
		return false;
	column->number = phi_get_u16(fixed);
	column->column_id = phi_get_u16(fixed + 2);
	column->flags = fixed[4];
	return (column->flags & ~FLAGS_KNOWN) == 0 && take_name(in, &column->name) &&
		   take_name(in, &column->type);
}

/* Take the columns with their number; they ascend. */
static bool
take_columns(reader *in, phi_images *images)
{
	const uint8_t *start = in->at;
	const uint8_t *count = take(in, 2);
	uint16_t last = 0;
	phi_image_column column;
	size_t i;

	if (count == NULL)
		return false;
	images->column_count = phi_get_u16(count);
	for (i = 0; i < images->column_count; i++)
	{
		if (!take_column(in, &column) || column.number <= last)
			return false;
		last = column.number;
	}
	images->columns = phi_bytes_of(start, (size_t) (in->at - start));
	return true;
}

/* Take a counted array of elements of this size. */
static bool
take_array(reader *in, size_t element, phi_bytes *array)
{
	const uint8_t *count = take(in, 2);
	const uint8_t *bytes = count != NULL ? take(in, phi_get_u16(count) * element) : NULL;

	if (bytes == NULL)
		return false;
	*array = phi_bytes_of(bytes, phi_get_u16(count) * element);
	return true;
}

phi_status
phi_images_parse(phi_bytes in, phi_images *images)
{
	reader rest = {in.data, in.size};
	const uint8_t *version = take(&rest, 1);
	size_t i;

	memset(images, 0, sizeof(*images));
	if (version != NULL && *version != PHI_IMAGE_VERSION)
		return PHI_ERR_VERSION;
	if (version == NULL || (images->run = take(&rest, PHI_IMAGE_RUN_SIZE)) == NULL ||
		!take_array(&rest, 4, &images->keys) || !take_columns(&rest, images) ||
		!take_array(&rest, 8, &images->sizes))
		return PHI_ERR_FORMAT;
	images->envelopes = phi_bytes_of(rest.at, rest.left);
	for (i = 0; i < images->sizes.size; i += 4)
	{
		if (take(&rest, phi_get_u32(images->sizes.data + i)) == NULL)
			return PHI_ERR_FORMAT;
	}
	return rest.left == 0 ? PHI_OK : PHI_ERR_FORMAT;
}

bool
phi_images_next_column(const phi_images *images, size_t *offset, phi_image_column *column)
{
	size_t at = *offset == 0 ? 2 : *offset;
	reader rest = {images->columns.data + at, images->columns.size - at};

	if (!take_column(&rest, column))
		return false;
	*offset = images->columns.size - rest.left;
	return true;
}

phi_bytes
phi_images_find(const phi_images *images, size_t entry, phi_image_side side)
{
	size_t wanted = entry * 8 + (side == PHI_IMAGE_AFTER ? 4 : 0);
	size_t at = 0;
	size_t i;

	if (wanted >= images->sizes.size)
		return phi_bytes_of(NULL, 0);
	for (i = 0; i < wanted; i += 4)
		at += phi_get_u32(images->sizes.data + i);
	return phi_bytes_of(images->envelopes.data + at, phi_get_u32(images->sizes.data + wanted));
}

phi_status
phi_image_binding(const uint8_t salt[PHI_IMAGE_SALT_SIZE], uint64_t transaction,
				  const uint8_t run[PHI_IMAGE_RUN_SIZE], const uint8_t columns_hash[32],
				  size_t entry, phi_image_side side, uint8_t binding[PHI_UUID_SIZE])
{
	uint8_t place[13];
	uint8_t hash[PHI_SHA256_SIZE];
	phi_bytes parts[5];
	phi_status status;

	phi_put_u64(place, transaction);
	phi_put_u32(place + 8, (uint32_t) entry);
	place[12] = (uint8_t) side;
	parts[0] = phi_bytes_of(PHI_IMAGE_LABEL, sizeof(PHI_IMAGE_LABEL) - 1);
	parts[1] = phi_bytes_of(salt, PHI_IMAGE_SALT_SIZE);
	parts[2] = phi_bytes_of(run, PHI_IMAGE_RUN_SIZE);
	parts[3] = phi_bytes_of(columns_hash, PHI_SHA256_SIZE);
	parts[4] = phi_bytes_of(place, sizeof(place));
	status = phi_sha256_parts(parts, 5, hash);
	if (status == PHI_OK)
		memcpy(binding, hash, PHI_UUID_SIZE);
	return status;
}

phi_status
phi_image_next_value(phi_bytes row, size_t *offset, phi_bytes *value)
{
	reader rest = {row.data + *offset, row.size - *offset};
	const uint8_t *given = take(&rest, 1);
	const uint8_t *size = NULL;
	const uint8_t *bytes = NULL;

	if (given == NULL || *given > 1)
		return PHI_ERR_FORMAT;
	if (*given == 1)
	{
		size = take(&rest, 4);
		bytes = size != NULL ? take(&rest, phi_get_u32(size)) : NULL;
		if (bytes == NULL)
			return PHI_ERR_FORMAT;
	}
	*value = phi_bytes_of(bytes, size != NULL ? phi_get_u32(size) : 0);
	*offset = row.size - rest.left;
	return PHI_OK;
}
