/*-------------------------------------------------------------------------
 * sealing.h
 *		Sealing and opening stored values: the backend's side of the envelope.
 *
 * Opening here is no disclosure: only reveal.c hands a plain value to a user,
 * after the decision.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_SEALING_H
#define PHI_SEALING_H

#include "platform/platform.h"
#include "platform/registry.h"

#include "core/envelope.h"
#include "types/inner.h"

/* The place a value is sealed for. */
typedef struct SealTarget
{
	const ProtectedColumn *column;
	uint16 label_set;
	uint64 subject_token;
	uint64 row_token; /* 0 without a primary key */
} SealTarget;


/* Is the value sealed for exactly this place, with a search tag (a dead one, too) where the column has them? */
extern bool SealedFor(const phi_header *header, const SealTarget *target);

/* The same, whatever generation of search key the tag is of. */
extern bool SealedButForTag(const phi_header *header, const SealTarget *target);

/* Was the value sealed under a subject's key that was destroyed?  Nothing opens it any more. */
extern bool IsDead(const phi_header *header);

/* Does the value have a search tag that a search may find? */
extern bool HasLiveTag(const phi_header *header);

/* The value with a random tag that equals none.  It cannot be opened then, by any key. */
extern struct varlena *DeadenTag(Datum value, const phi_header *header);

/* Seal plain bytes under a key, which the header is made to name; column_uuid is NULL for an unbound value. */
extern struct varlena *SealUnder(phi_data_key *key, phi_header *header, const uint8 *column_uuid,
								 phi_bytes plain);

/* Seal plain bytes: unbound (target NULL) or for a place. */
extern struct varlena *SealBytes(phi_bytes plain, const SealTarget *target);

/* Seal a plain value of an inner type. */
extern struct varlena *SealValue(InnerType inner, Datum plain, const SealTarget *target);

/* Open into new memory, which the caller wipes; false where the value does not open, ever. */
extern bool TryOpen(Datum value, const phi_header *header, const uint8 *column_uuid,
					phi_buffer *plain);

/* Open: the plain bytes in new memory; raises, one message for every cause. */
extern uint8 *OpenBytes(Datum value, const phi_header *header, Size *size);
/* The same for a bound value whose column is at hand. */
extern uint8 *OpenBytesOf(const ProtectedColumn *column, Datum value, const phi_header *header,
						  Size *size);
extern Datum OpenValue(InnerType inner, Datum value, const phi_header *header);

/* Seal again for another place. */
extern struct varlena *RebindValue(Datum value, const phi_header *header, const SealTarget *target);

/* Row token of a column for counted key texts; 0 when there are none. */
extern uint64 TargetRowToken(const uint8 *column_uuid, const StringInfoData *key_texts);

/*
 * Arguments from position first to before end as a primary key: appends their counted
 * texts.  NULLs and a VARIADIC array are refused.
 */
extern void KeyArguments(FunctionCallInfo fcinfo, int first, int end, StringInfo key_texts);

#endif /* PHI_SEALING_H */
