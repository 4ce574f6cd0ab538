/*-------------------------------------------------------------------------
 * json_text.h
 *		The characters of JSON's strings, for the reader and for what is read.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_JSON_TEXT_H
#define PHI_CORE_JSON_TEXT_H

#include "json.h"

/*
 * One character of a string: its UTF-8 bytes and their number, and how many
 * bytes of the text, of which at least one is left, it takes; 0 where it is
 * refused.
 */
extern size_t phi_json_character(const uint8_t *text, size_t left, uint8_t out[4], size_t *size);

#endif
