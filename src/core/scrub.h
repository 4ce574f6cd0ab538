/*-------------------------------------------------------------------------
 * scrub.h
 *		Finding identifiers in free text, and taking them out.
 *
 * Two ways to find them: by their form (numbers with checksums or
 * separators, addresses, dates, names behind a title), and by comparison with
 * what is known of the person the text is about, which is the stronger one.
 * Neither finds everything: a name that nobody told, without a title, stays.
 *
 * One pass from left to right; at each word a bounded number of bytes ahead is
 * looked at, and the known values that begin with the same letter, so that time
 * is linear in the text.
 * Texts are UTF-8; letters outside ASCII are letters of either case.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_SCRUB_H
#define PHI_CORE_SCRUB_H

#include "bytes.h"

typedef enum phi_scrub_tag
{
	PHI_SCRUB_NOTHING = 0,
	PHI_SCRUB_NAME,
	PHI_SCRUB_ADDRESS,
	PHI_SCRUB_ZIP,
	PHI_SCRUB_DATE, /* any part of a date but a year alone */
	PHI_SCRUB_AGE,  /* over 89 */
	PHI_SCRUB_PHONE,
	PHI_SCRUB_EMAIL,
	PHI_SCRUB_URL,
	PHI_SCRUB_IP,
	PHI_SCRUB_SSN,
	PHI_SCRUB_MRN,
	PHI_SCRUB_HEALTH_PLAN, /* Medicare beneficiary identifier, member number */
	PHI_SCRUB_ACCOUNT,     /* payment card, IBAN, account number */
	PHI_SCRUB_LICENSE,     /* NPI, DEA number, driver's license */
	PHI_SCRUB_VEHICLE,     /* VIN, license plate */
	PHI_SCRUB_DEVICE,      /* UDI, serial number */
	PHI_SCRUB_ID,          /* any other number of seven digits or more */
	PHI_SCRUB_COUNT
} phi_scrub_tag;

#define PHI_SCRUB_KNOWN_MAX 512

/*
 * Something known of the person: a part of a name or address, or a number.
 * Texts are found whatever the case of ASCII and Latin-1 letters, a name or place
 * of one word only where it begins with a capital; numbers, of four digits or
 * more, whatever stands between the digits; dates as they are written here.
 */
typedef struct phi_scrub_known
{
	phi_bytes value;
	phi_scrub_tag tag;
} phi_scrub_known;

typedef struct phi_span
{
	size_t start;
	size_t end; /* exclusive */
	phi_scrub_tag tag;
} phi_span;

typedef struct phi_scrubber /* private; made by phi_scrub_begin */
{
	phi_bytes text;
	const phi_scrub_known *known;
	size_t known_count;
	size_t at;
	phi_scrub_tag context; /* what a word before announced */
	size_t context_end;    /* up to where that holds */
	/* known values by their first letter or digit: number of the first one and of the next, from 1 */
	uint16_t first[256];
	uint16_t next[PHI_SCRUB_KNOWN_MAX];
} phi_scrubber;

/*
 * The text and the known values must outlive the scrubber; of more than
 * PHI_SCRUB_KNOWN_MAX the first ones count.
 */
extern phi_scrubber phi_scrub_begin(phi_bytes text, const phi_scrub_known *known,
									size_t known_count);

/* The next identifier, in ascending order and without overlap; false at the end. */
extern bool phi_scrub_next(phi_scrubber *scrubber, phi_span *span);

/* What stands for an identifier in the result: "[NAME]", for an age "90+". */
extern const char *phi_scrub_word(phi_scrub_tag tag);

/* Is there such a word in a text?  Then it may be a scrubbed one. */
extern bool phi_scrub_marked(phi_bytes text);

/*
 * The text with every identifier replaced by its word.  out->capacity of
 * 8 * in.size + 16 bytes always suffices; PHI_ERR_SPACE, with nothing in out, when
 * it is too small, PHI_ERR_ARGUMENT when too many values are known.
 */
extern phi_status phi_scrub_text(phi_bytes in, const phi_scrub_known *known, size_t known_count,
								 phi_buffer *out) PHI_CHECKED;

#endif /* PHI_CORE_SCRUB_H */
