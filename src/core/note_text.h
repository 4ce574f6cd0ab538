/*-------------------------------------------------------------------------
 * note_text.h
 *		The lines of notes, checkpoints and proofs, for note.c and tlog.c.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_NOTE_TEXT_H
#define PHI_CORE_NOTE_TEXT_H

#include "note.h"

/* Is a text UTF-8 without control characters but newlines; as a name: without any space or plus? */
extern bool phi_note_is_plain(phi_bytes text, bool name);

/* Take a line off the front of a text, without its newline; false where there is none. */
extern bool phi_note_take_line(phi_bytes *text, phi_bytes *line);

/* Take fixed bytes off the front of a text; false where it does not begin so. */
extern bool phi_note_take_prefix(phi_bytes *text, const char *prefix);

/* The decimal number of a line, without leading zeroes. */
extern bool phi_note_number(phi_bytes digits, uint64_t *out);

/* The hash of a line. */
extern bool phi_note_hash(phi_bytes line, uint8_t out[PHI_HASH_SIZE]);

/* Is a text canonical base64 of at least a byte? */
extern bool phi_note_is_base64(phi_bytes digits);

/* Append characters while status is good. */
extern void phi_note_put(phi_status *status, phi_buffer *out, const void *data, size_t size);
extern void phi_note_put_text(phi_status *status, phi_buffer *out, const char *text);
extern void phi_note_put_number(phi_status *status, phi_buffer *out, uint64_t value);

/* Append the base64 of at most PHI_NOTE_SIGNATURE bytes, and a newline. */
extern void phi_note_put_base64(phi_status *status, phi_buffer *out, const uint8_t *data, size_t size);

/* What a function appended is there if it succeeded, else nothing. */
extern phi_status phi_note_put_done(phi_status status, phi_buffer *out, size_t before);

#endif
