/*-------------------------------------------------------------------------
 * known.h
 *		What the identifiers of a row tell the scrubber.
 *
 * A stored value is rarely written in a note as it is stored: of "Roe, Jane A."
 * the note says "Jane", of "(617) 555-0100" ten digits.  Here a value of a kind
 * becomes the spellings that are looked for.
 *
 * Memory: spellings point into the values they were made of, which must outlive
 * the list, or into the list itself.  Whoever owns the list wipes it.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_KNOWN_H
#define PHI_CORE_KNOWN_H

#include "forms.h"
#include "scrub.h"

#define PHI_KNOWN_STORE 8192 /* bytes of spellings that no value contains */

typedef struct phi_known
{
	phi_scrub_known list[PHI_SCRUB_KNOWN_MAX];
	size_t count;
	size_t stored;
	char store[PHI_KNOWN_STORE];
} phi_known;

/* Does a value of this kind say who a person is, in words that a note may repeat? */
extern bool phi_known_kind(phi_kind kind);

/*
 * Add the spellings of a UTF-8 text of such a kind; of other kinds nothing.
 * PHI_ERR_SPACE when they are too many: the list is then of no use.
 */
extern phi_status phi_known_add(phi_known *known, phi_kind kind, phi_bytes value) PHI_CHECKED;

/*
 * Add the spellings of a date: month and day, which without the year look like a
 * ratio; and the year, where it tells an age over 89.
 */
extern phi_status phi_known_add_date(phi_known *known, int year, int month, int day,
									 bool year_tells) PHI_CHECKED;

#endif /* PHI_CORE_KNOWN_H */
