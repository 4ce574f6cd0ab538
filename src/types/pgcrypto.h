/*-------------------------------------------------------------------------
 * pgcrypto.h
 *		Opening what pgcrypto encrypted, while a column of it is adopted.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_PGCRYPTO_H
#define PHI_PGCRYPTO_H

#include "platform/platform.h"

#include "types/inner.h"

/* The column that is being adopted, how its values are encrypted, and what is in them. */
typedef struct Adoption
{
	Oid relation; /* the topmost one; 0 when nothing is being adopted */
	NameData column;
	Oid stored;      /* type of the column: bytea, or an armored text type */
	NameData iv;     /* column that has the initialization vectors; empty: none has */
	InnerType inner; /* type of the plain values */
	int64 values;    /* opened so far */
} Adoption;

/*
 * Begin an adoption: find pgcrypto's functions, copy key and iv to memory of
 * our own, and try them.  cipher is "pgp" or a type of pgcrypto's encrypt();
 * iv is NULL or a bytea.  Raises for what cannot work.
 */
extern void AdoptionBegin(const Adoption *wanted, text *key, const char *cipher, bytea *iv);

/* Wipe the key; nothing is being adopted then. */
extern void AdoptionEnd(void);

/* The adoption in progress; its relation is 0 where there is none. */
extern const Adoption *AdoptionInProgress(void);

/*
 * Open one value of the column.  iv is the value of the column of vectors, or
 * NULL.  False when it does not open, or is not of the inner type.
 */
extern bool AdoptionOpen(Datum stored, bytea *iv, Datum *plain);

#endif /* PHI_PGCRYPTO_H */
