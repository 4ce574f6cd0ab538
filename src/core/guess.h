/*-------------------------------------------------------------------------
 * guess.h
 *		What kind of identifier a column may hold, by its name and by its values.
 *
 * A guess is for a person to look at: it errs to the side of finding too much.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_GUESS_H
#define PHI_CORE_GUESS_H

#include "forms.h"

typedef enum phi_guess_type /* what a column's type can hold */
{
	PHI_GUESS_TEXT,
	PHI_GUESS_TIME, /* dates and times */
	PHI_GUESS_NUMBER,
	PHI_GUESS_OTHER
} phi_guess_type;

/*
 * The kind that a column's name speaks of, PHI_KIND_NONE for none.  Names are
 * read word by word: snake_case, camelCase, digits, usual abbreviations.
 */
extern phi_kind phi_guess_name(phi_bytes name, phi_guess_type type);

/*
 * The kind of one value in text form, PHI_KIND_NONE for none: an identifier by
 * its form or checksum, or a longer text with identifiers in it.
 */
extern phi_kind phi_guess_value(phi_bytes value);

#endif /* PHI_CORE_GUESS_H */
