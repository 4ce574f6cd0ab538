/*-------------------------------------------------------------------------
 * utf8.c
 *		UTF-8, one character at a time (RFC 3629 section 4).
 *-------------------------------------------------------------------------
 */
#include "utf8.h"

size_t
phi_utf8_size(const uint8_t *text, size_t left)
{
	uint8_t first = left > 0 ? text[0] : 0x80;
	uint8_t low = 0x80, high = 0xBF;
	size_t size, i;

	if (first < 0x80)
		return 1;
	size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
	if (first < 0xC2 || first > 0xF4 || left < size)
		return 0;
	if (first == 0xE0)
		low = 0xA0;
	else if (first == 0xED)
		high = 0x9F;
	else if (first == 0xF0)
		low = 0x90;
	else if (first == 0xF4)
		high = 0x8F;
	for (i = 1; i < size; i++, low = 0x80, high = 0xBF)
	{
		if (text[i] < low || text[i] > high)
			return 0;
	}
	return size;
}

size_t
phi_utf8_put(uint32_t point, uint8_t out[4])
{
	size_t size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	size_t i;

	if (size == 1)
	{
		out[0] = (uint8_t) point;
		return 1;
	}
	for (i = size - 1; i > 0; i--, point >>= 6)
		out[i] = (uint8_t) (0x80 | (point & 0x3F));
	out[0] = (uint8_t) ((0xF00u >> size & 0xF0) | point);
	return size;
}
