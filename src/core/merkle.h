/*-------------------------------------------------------------------------
 * merkle.h
 *		RFC 6962 section 2.1 Merkle trees over SHA-256.
 *
 * An append-only tree is carried as its frontier (the roots of its perfect
 * subtrees, largest first): at most 64 hashes for any size.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_MERKLE_H
#define PHI_CORE_MERKLE_H

#include "bytes.h"
#include "mac.h"

#define PHI_HASH_SIZE      PHI_SHA256_SIZE
#define PHI_FRONTIER_PEAKS 64

typedef struct phi_frontier
{
	uint64_t size;                                    /* leaves in the tree */
	uint8_t peaks[PHI_FRONTIER_PEAKS][PHI_HASH_SIZE]; /* popcount(size) of them are set */
} phi_frontier;

/* SHA-256(00 || data) and SHA-256(01 || left || right). */
extern phi_status phi_leaf_hash(phi_bytes data, uint8_t out[PHI_HASH_SIZE]) PHI_CHECKED;
extern phi_status phi_node_hash(const uint8_t left[PHI_HASH_SIZE],
								const uint8_t right[PHI_HASH_SIZE],
								uint8_t out[PHI_HASH_SIZE]) PHI_CHECKED;

extern void phi_frontier_init(phi_frontier *frontier);
extern phi_status phi_frontier_append(phi_frontier *frontier,
									  const uint8_t leaf[PHI_HASH_SIZE]) PHI_CHECKED;
extern phi_status phi_frontier_root(const phi_frontier *frontier,
									uint8_t out[PHI_HASH_SIZE]) PHI_CHECKED;
/* Serialized: the peaks alone, popcount(size) * 32 bytes. */
extern size_t phi_frontier_bytes(const phi_frontier *frontier);
extern phi_status phi_frontier_load(phi_frontier *frontier, uint64_t size,
									phi_bytes peaks) PHI_CHECKED;

/* Root of count leaf hashes laid end to end. */
extern phi_status phi_merkle_root(const uint8_t *leaves, uint64_t count,
								  uint8_t out[PHI_HASH_SIZE]) PHI_CHECKED;

/* The leaves from first on, before until. */
typedef struct phi_leaf_range
{
	uint64_t first;
	uint64_t until;
} phi_leaf_range;

/*
 * The subtrees whose roots are the hashes of a proof, in its order, for those
 * who do not have every leaf in memory: at most 64, and 65.
 */
extern phi_status phi_inclusion_ranges(uint64_t count, uint64_t index, phi_leaf_range *ranges,
									   size_t *size) PHI_CHECKED;
extern phi_status phi_consistency_ranges(uint64_t old_count, uint64_t count, phi_leaf_range *ranges,
										 size_t *size) PHI_CHECKED;

/* Proofs; path receives path_size hashes (at most 64), largest trees included. */
extern phi_status phi_inclusion_proof(const uint8_t *leaves, uint64_t count, uint64_t index,
									  uint8_t (*path)[PHI_HASH_SIZE],
									  size_t *path_size) PHI_CHECKED;
extern phi_status phi_inclusion_verify(const uint8_t leaf[PHI_HASH_SIZE], uint64_t index,
									   uint64_t count, const uint8_t (*path)[PHI_HASH_SIZE],
									   size_t path_size, const uint8_t root[PHI_HASH_SIZE])
	PHI_CHECKED; /* PHI_ERR_AUTH when it does not prove it */
extern phi_status phi_consistency_proof(const uint8_t *leaves, uint64_t old_count, uint64_t count,
										uint8_t (*path)[PHI_HASH_SIZE], size_t *path_size)
	PHI_CHECKED; /* path holds up to 65; every tree extends the empty one, by an empty path */
extern phi_status phi_consistency_verify(uint64_t old_count, const uint8_t old_root[PHI_HASH_SIZE],
										 uint64_t count, const uint8_t root[PHI_HASH_SIZE],
										 const uint8_t (*path)[PHI_HASH_SIZE],
										 size_t path_size) PHI_CHECKED;

#endif /* PHI_CORE_MERKLE_H */
