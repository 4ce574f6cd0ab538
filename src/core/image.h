/*-------------------------------------------------------------------------
 * image.h
 *		Images of rows in an audit event, version 1 (docs/audit-log.md).
 *
 * The column images of phi_audit.event:
 *
 *		0   1  version
 *		1   8  run: random, the same in every event of one statement
 *		9   2  number of data keys; 4 bytes each: ids of those that values
 *		       inside are sealed under, keys of subjects not counted
 *		..  2  number of columns; each: number (2), id in phi.column_policy or
 *		       0 (2), flags (1), size of name (1), name, size of type (1), type
 *		..  2  number of entries, those of the event; each: size of the image
 *		       before (4) and after (4), 0 for none
 *		..     the images in that order, each an envelope
 *
 * An image is a bound envelope (envelope.h) of column id 0 and the row's
 * subject; in place of a column's uuid its AAD has the binding: the first 16
 * bytes of SHA-256 over PHI_IMAGE_LABEL, the event's salt and transaction, run,
 * the columns as above, number of the entry (4) and side (1).  So it opens at
 * its place in its event alone.
 *
 * Its plaintext: for each of the columns 0 for NULL, or 1, size (4) and bytes:
 * of a sealed column the stored envelope, of another one the value's text in
 * UTF-8.
 *
 * Of images that were erased the column has the byte 0 and their SHA-256: the
 * leaf of an event has only that, so it is as it was.
 *
 * A parser accepts nothing that the writer would not produce.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_IMAGE_H
#define PHI_CORE_IMAGE_H

#include "bytes.h"
#include "envelope.h"

#define PHI_IMAGE_VERSION   1
#define PHI_IMAGE_ERASED    0 /* in its place: the SHA-256 of images that were erased follows */
#define PHI_IMAGE_LABEL     "phi_guard image 1" /* without its NUL */
#define PHI_IMAGE_SALT_SIZE 16
#define PHI_IMAGE_RUN_SIZE  8

/* Flags of a column. */
#define PHI_IMAGE_SEALED 1 /* of an encrypted type, under protection */
#define PHI_IMAGE_PLAIN  2 /* key, subject, labels, or declared to be no health information */
#define PHI_IMAGE_LABELS 4 /* the label column */

typedef enum phi_image_side
{
	PHI_IMAGE_BEFORE = 0,
	PHI_IMAGE_AFTER = 1
} phi_image_side;

typedef struct phi_image_column
{
	uint16_t number;
	uint16_t column_id;
	uint8_t flags;
	phi_bytes name;
	phi_bytes type;
} phi_image_column;

/* The parts of images; they point into what was parsed. */
typedef struct phi_images
{
	const uint8_t *run; /* PHI_IMAGE_RUN_SIZE bytes */
	phi_bytes keys;     /* 4 bytes each */
	phi_bytes columns;  /* with their number */
	size_t column_count;
	phi_bytes sizes; /* 8 bytes an entry */
	phi_bytes envelopes;
} phi_images;

/* Were these images erased?  Then their hash is behind the first byte. */
static inline bool
phi_images_erased(phi_bytes in)
{
	return in.size == 1 + 32 && in.data[0] == PHI_IMAGE_ERASED;
}

/* Parse; PHI_ERR_VERSION for another version, PHI_ERR_FORMAT for what is not well-formed. */
extern phi_status phi_images_parse(phi_bytes in, phi_images *images) PHI_CHECKED;

/* The next column; *offset begins at 0.  False after the last one. */
extern bool phi_images_next_column(const phi_images *images, size_t *offset,
								   phi_image_column *column);

/* The image of an entry: empty where there is none. */
extern phi_bytes phi_images_find(const phi_images *images, size_t entry, phi_image_side side);

/*
 * What stands for the column's uuid in an image's envelope.  columns_hash:
 * SHA-256 of phi_images.columns.
 */
extern phi_status phi_image_binding(const uint8_t salt[PHI_IMAGE_SALT_SIZE], uint64_t transaction,
									const uint8_t run[PHI_IMAGE_RUN_SIZE],
									const uint8_t columns_hash[32], size_t entry,
									phi_image_side side,
									uint8_t binding[PHI_UUID_SIZE]) PHI_CHECKED;

/*
 * The next value of a plaintext; *offset begins at 0.  value->data is NULL for
 * NULL.  PHI_ERR_FORMAT past the end or for what is not well-formed.
 */
extern phi_status phi_image_next_value(phi_bytes row, size_t *offset, phi_bytes *value) PHI_CHECKED;

#endif /* PHI_CORE_IMAGE_H */
