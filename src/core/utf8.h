/*-------------------------------------------------------------------------
 * utf8.h
 *		UTF-8, one character at a time (RFC 3629).
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_UTF8_H
#define PHI_CORE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * Size in bytes of the character that begins a text of left bytes; 0 where none
 * does: overlong forms, surrogates, what is beyond U+10FFFF or cut off.
 */
extern size_t phi_utf8_size(const uint8_t *text, size_t left);

/* Write a code point, at most U+10FFFF; its size in bytes. */
extern size_t phi_utf8_put(uint32_t point, uint8_t out[4]);

#endif
