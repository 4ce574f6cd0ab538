/*-------------------------------------------------------------------------
 * stored.c
 *		What a stored value says of itself without a key: its header.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "access/detoast.h"
#include "fmgr.h"

void
ReadHeader(Datum value, phi_header *header)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(value);
	struct varlena *front = stored;
	Size total = toast_raw_datum_size(value) - VARHDRSZ;

	if (VARATT_IS_EXTERNAL(stored) || VARATT_IS_COMPRESSED(stored))
		front = PG_DETOAST_DATUM_SLICE(value, 0, PHI_HEADER_MAX);
	CheckStatus(phi_header_parse(phi_bytes_of(VARDATA_ANY(front),
											  Min(VARSIZE_ANY_EXHDR(front), PHI_HEADER_MAX)),
								 total, header),
				"read a sealed value");
	if (front != stored)
		pfree(front);
}
