/*-------------------------------------------------------------------------
 * changes.h
 *		Changes of the consents of single subjects, told to every session.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CHANGES_H
#define PHI_CHANGES_H

#include "platform/platform.h"

/* Bits of a token by which a change names its subject, and of those that a set tells apart. */
#define CHANGE_TOKEN_BITS 28
#define CHANGE_SET_BITS	  16

/* Changes that a cache keeps account of; with more it is void as a whole. */
#define CHANGES_MAX 1000

/* A relcache message of an OID like this tells of a subject: no relation has it. */
#define CHANGE_FLAG			 0x80000000u
#define CHANGE_BY_KEY		 0x40000000u /* of an integer subject, by its key */
#define CHANGE_KEY_BITS		 26
#define OidIsChange(relid)	 (((relid) &CHANGE_FLAG) != 0)
#define ChangeHasKey(relid)	 (((relid) &CHANGE_BY_KEY) != 0)
#define ChangedKey(relid)	 ((int64) ((relid) & ((1u << CHANGE_KEY_BITS) - 1)))
#define ChangedSuffix(relid) ((relid) & ((1u << CHANGE_TOKEN_BITS) - 1))

/* The subjects whose consents changed since something was made, and maybe some others. */
typedef struct ChangeSet
{
	uint32 count; /* of changes */
	uint64 bits[(1 << CHANGE_SET_BITS) / 64];
} ChangeSet;

static inline void
ChangeSetAdd(ChangeSet *set, uint32 suffix)
{
	uint32 bit = suffix & ((1 << CHANGE_SET_BITS) - 1);

	set->bits[bit / 64] |= UINT64CONST(1) << (bit % 64);
	set->count++;
}

static inline bool
ChangeSetHas(const ChangeSet *set, uint64 token)
{
	uint32 bit = (uint32) token & ((1 << CHANGE_SET_BITS) - 1);

	return unlikely(set->count > 0) && (set->bits[bit / 64] >> (bit % 64)) & 1;
}

#endif /* PHI_CHANGES_H */
