/*-------------------------------------------------------------------------
 * inner.h
 *		The plain types inside the encrypted types.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_INNER_H
#define PHI_INNER_H

#include "platform/platform.h"

typedef enum InnerType
{
	INNER_TEXT,
	INNER_DATE,
	INNER_TIMESTAMPTZ,
	INNER_NUMERIC,
	INNER_JSONB,
	INNER_BYTEA,
	INNER_COUNT
} InnerType;

extern Oid InnerTypeOid(InnerType inner);

/* Its name, as a part of the encrypted type's. */
extern const char *InnerName(InnerType inner);

/* The inner type of one of our types, or of a plain type; raises for any other. */
extern InnerType InnerOfEncrypted(Oid type);
extern InnerType InnerOfPlain(Oid type);
extern bool IsEncryptedType(Oid type);

/*
 * The stored bytes of a plain value: the type's binary form, text as UTF-8.
 * *owned says whether the bytes are a copy to be wiped.
 */
extern phi_bytes InnerToBytes(InnerType inner, Datum value, bool *owned);

/* And back; raises DATA_CORRUPTED, without the value, when they are not of the type. */
extern Datum InnerFromBytes(InnerType inner, uint8 *data, Size size);

/* A plain value from text or wire input; errors never show it. */
extern Datum InnerFromText(InnerType inner, char *text, int32 typmod);
extern Datum InnerFromWire(InnerType inner, StringInfo message);

#endif /* PHI_INNER_H */
