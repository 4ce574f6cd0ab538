/*-------------------------------------------------------------------------
 * merkle.c
 *		RFC 6962 section 2.1: roots, the frontier, proofs and their checks.
 *
 * Proofs are planned top-down without recursion: every step splits the range at
 * the largest power of two below its size, notes the half that is left behind,
 * and goes on in the other; the roots of the notes, reversed, are the path.
 * The checks follow RFC 9162 sections 2.1.3.2 and 2.1.4.2.  Everything here is
 * public, so comparisons need not be constant in time.
 *-------------------------------------------------------------------------
 */
#include "merkle.h"

#include <string.h>

/* The hash of a leaf and of a node begin with different bytes, so none is the other. */
static const uint8_t leaf_prefix = 0x00;
static const uint8_t node_prefix = 0x01;

/* Number of bits set: peaks of a frontier of that size. */
static size_t
bits_set(uint64_t value)
{
	size_t count = 0;

	for (; value != 0; value &= value - 1)
		count++;
	return count;
}

/* The largest power of two strictly less than n; n is at least 2. */
static uint64_t
split_point(uint64_t n)
{
	uint64_t k = n - 1;

	while ((k & (k - 1)) != 0)
		k &= k - 1;
	return k;
}

phi_status
phi_leaf_hash(phi_bytes data, uint8_t out[PHI_HASH_SIZE])
{
	phi_bytes parts[2] = {{&leaf_prefix, 1}, data};

	return phi_sha256_parts(parts, 2, out);
}

phi_status
phi_node_hash(const uint8_t left[PHI_HASH_SIZE], const uint8_t right[PHI_HASH_SIZE],
			  uint8_t out[PHI_HASH_SIZE])
{
	phi_bytes parts[3] = {{&node_prefix, 1}, {left, PHI_HASH_SIZE}, {right, PHI_HASH_SIZE}};

	return phi_sha256_parts(parts, 3, out);
}

void
phi_frontier_init(phi_frontier *frontier)
{
	memset(frontier, 0, sizeof(*frontier));
}

phi_status
phi_frontier_append(phi_frontier *frontier, const uint8_t leaf[PHI_HASH_SIZE])
{
	uint8_t hash[PHI_HASH_SIZE];
	size_t peaks = bits_set(frontier->size);
	uint64_t rest;

	if (frontier->size == UINT64_MAX)
		return PHI_ERR_ARGUMENT;
	memcpy(hash, leaf, sizeof(hash));

	/* Each trailing one bit is a peak as large as what the leaf has grown to. */
	for (rest = frontier->size; rest & 1; rest >>= 1)
	{
		phi_status status = phi_node_hash(frontier->peaks[--peaks], hash, hash);

		if (status != PHI_OK)
			return status; /* no peak is overwritten yet: the frontier is as it was */
	}
	memcpy(frontier->peaks[peaks], hash, sizeof(hash));
	frontier->size++;
	return PHI_OK;
}

phi_status
phi_frontier_root(const phi_frontier *frontier, uint8_t out[PHI_HASH_SIZE])
{
	size_t peaks = bits_set(frontier->size);
	phi_status status = PHI_OK;

	if (peaks == 0)
		return phi_sha256(phi_bytes_of(NULL, 0), out);
	memcpy(out, frontier->peaks[--peaks], PHI_HASH_SIZE);
	while (status == PHI_OK && peaks > 0)
		status = phi_node_hash(frontier->peaks[--peaks], out, out);
	return status;
}

size_t
phi_frontier_bytes(const phi_frontier *frontier)
{
	return bits_set(frontier->size) * PHI_HASH_SIZE;
}

phi_status
phi_frontier_load(phi_frontier *frontier, uint64_t size, phi_bytes peaks)
{
	phi_frontier_init(frontier);
	if (peaks.size != bits_set(size) * PHI_HASH_SIZE)
		return PHI_ERR_FORMAT;
	frontier->size = size;
	if (peaks.size > 0)
		memcpy(frontier->peaks, peaks.data, peaks.size);
	return PHI_OK;
}

phi_status
phi_merkle_root(const uint8_t *leaves, uint64_t count, uint8_t out[PHI_HASH_SIZE])
{
	phi_frontier frontier;
	uint64_t i;

	if (count > SIZE_MAX / PHI_HASH_SIZE)
		return PHI_ERR_ARGUMENT;
	phi_frontier_init(&frontier);
	for (i = 0; i < count; i++)
	{
		phi_status status = phi_frontier_append(&frontier, leaves + i * PHI_HASH_SIZE);

		if (status != PHI_OK)
			return status;
	}
	return phi_frontier_root(&frontier, out);
}

/* Turn ranges that were noted top-down into proof order. */
static void
reverse_ranges(phi_leaf_range *ranges, size_t size)
{
	size_t i;

	for (i = 0; i < size / 2; i++)
	{
		phi_leaf_range held = ranges[i];

		ranges[i] = ranges[size - 1 - i];
		ranges[size - 1 - i] = held;
	}
}

phi_status
phi_inclusion_ranges(uint64_t count, uint64_t index, phi_leaf_range *ranges, size_t *size)
{
	phi_leaf_range rest = {0, count};

	*size = 0;
	if (index >= count)
		return PHI_ERR_ARGUMENT;
	while (rest.until - rest.first > 1)
	{
		uint64_t middle = rest.first + split_point(rest.until - rest.first);
		phi_leaf_range left = {rest.first, middle}, right = {middle, rest.until};

		ranges[(*size)++] = index >= middle ? left : right;
		rest = index >= middle ? right : left;
	}
	reverse_ranges(ranges, *size);
	return PHI_OK;
}

phi_status
phi_consistency_ranges(uint64_t old_count, uint64_t count, phi_leaf_range *ranges, size_t *size)
{
	phi_leaf_range rest = {0, count};

	*size = 0;
	if (old_count > count)
		return PHI_ERR_ARGUMENT;
	if (old_count == 0)
		return PHI_OK;
	while (old_count < rest.until)
	{
		uint64_t middle = rest.first + split_point(rest.until - rest.first);
		phi_leaf_range left = {rest.first, middle}, right = {middle, rest.until};

		ranges[(*size)++] = old_count > middle ? left : right;
		rest = old_count > middle ? right : left;
	}

	/* What begins where the tree does is the old tree's own root, which is known. */
	if (rest.first > 0)
		ranges[(*size)++] = rest;
	reverse_ranges(ranges, *size);
	return PHI_OK;
}

/* The roots of ranges of leaves in memory. */
static phi_status
range_roots(const uint8_t *leaves, const phi_leaf_range *ranges, size_t size,
			uint8_t (*path)[PHI_HASH_SIZE], size_t *path_size)
{
	phi_status status = PHI_OK;
	size_t i;

	for (i = 0; status == PHI_OK && i < size; i++)
		status = phi_merkle_root(leaves + ranges[i].first * PHI_HASH_SIZE,
								 ranges[i].until - ranges[i].first, path[i]);
	*path_size = status == PHI_OK ? size : 0;
	return status;
}

phi_status
phi_inclusion_proof(const uint8_t *leaves, uint64_t count, uint64_t index,
					uint8_t (*path)[PHI_HASH_SIZE], size_t *path_size)
{
	phi_leaf_range ranges[PHI_FRONTIER_PEAKS];
	phi_status status = PHI_ERR_ARGUMENT;
	size_t size;

	*path_size = 0;
	if (count <= SIZE_MAX / PHI_HASH_SIZE)
		status = phi_inclusion_ranges(count, index, ranges, &size);
	return status == PHI_OK ? range_roots(leaves, ranges, size, path, path_size) : status;
}

/*
 * Walk from the bottom of a tree up: take one hash of a path in, on the left
 * where the node is a right child or the last of its level, else on the right.
 * fn and sn are the numbers of the node and of the last node of its level.
 * False where the path is longer than the tree is high.
 */
static bool
path_goes_left(uint64_t *fn, uint64_t *sn, bool *left)
{
	if (*sn == 0)
		return false;
	*left = (*fn & 1) != 0 || *fn == *sn;

	/* The last node of a level without a sibling is carried up unhashed. */
	while (*left && (*fn & 1) == 0)
	{
		*fn >>= 1;
		*sn >>= 1;
	}
	*fn >>= 1;
	*sn >>= 1;
	return true;
}

phi_status
phi_inclusion_verify(const uint8_t leaf[PHI_HASH_SIZE], uint64_t index, uint64_t count,
					 const uint8_t (*path)[PHI_HASH_SIZE], size_t path_size,
					 const uint8_t root[PHI_HASH_SIZE])
{
	uint8_t hash[PHI_HASH_SIZE];
	uint64_t fn = index;
	uint64_t sn = count - 1;
	size_t i;

	if (index >= count)
		return PHI_ERR_AUTH;
	memcpy(hash, leaf, sizeof(hash));
	for (i = 0; i < path_size; i++)
	{
		bool left;
		phi_status status;

		if (!path_goes_left(&fn, &sn, &left))
			return PHI_ERR_AUTH;
		status = left ? phi_node_hash(path[i], hash, hash) : phi_node_hash(hash, path[i], hash);
		if (status != PHI_OK)
			return status;
	}
	return sn == 0 && memcmp(hash, root, sizeof(hash)) == 0 ? PHI_OK : PHI_ERR_AUTH;
}

phi_status
phi_consistency_proof(const uint8_t *leaves, uint64_t old_count, uint64_t count,
					  uint8_t (*path)[PHI_HASH_SIZE], size_t *path_size)
{
	phi_leaf_range ranges[PHI_FRONTIER_PEAKS + 1];
	phi_status status = PHI_ERR_ARGUMENT;
	size_t size;

	*path_size = 0;
	if (count <= SIZE_MAX / PHI_HASH_SIZE)
		status = phi_consistency_ranges(old_count, count, ranges, &size);
	return status == PHI_OK ? range_roots(leaves, ranges, size, path, path_size) : status;
}

/* The cases that have no path: equal trees, and the empty tree, which every tree extends. */
static phi_status
verify_without_path(uint64_t old_count, const uint8_t *old_root, uint64_t count,
					const uint8_t *root)
{
	uint8_t empty[PHI_HASH_SIZE];
	phi_status status = phi_sha256(phi_bytes_of(NULL, 0), empty);

	if (status != PHI_OK)
		return status;
	if (old_count == count && memcmp(old_root, root, PHI_HASH_SIZE) != 0)
		return PHI_ERR_AUTH;
	if (old_count == 0 && memcmp(old_root, empty, PHI_HASH_SIZE) != 0)
		return PHI_ERR_AUTH;
	return PHI_OK;
}

phi_status
phi_consistency_verify(uint64_t old_count, const uint8_t old_root[PHI_HASH_SIZE], uint64_t count,
					   const uint8_t root[PHI_HASH_SIZE], const uint8_t (*path)[PHI_HASH_SIZE],
					   size_t path_size)
{
	uint8_t old_hash[PHI_HASH_SIZE], new_hash[PHI_HASH_SIZE];
	uint64_t fn = old_count - 1;
	uint64_t sn = count - 1;
	size_t i = 0;

	if (old_count > count || (path_size == 0) != (old_count == 0 || old_count == count))
		return PHI_ERR_AUTH;
	if (path_size == 0)
		return verify_without_path(old_count, old_root, count, root);

	/* Up to the root of the largest perfect subtree that ends where the old tree does. */
	for (; fn & 1; fn >>= 1)
		sn >>= 1;

	/* An old tree that is perfect is that subtree, and its root is not sent. */
	memcpy(old_hash, fn == 0 ? old_root : path[i++], PHI_HASH_SIZE);
	memcpy(new_hash, old_hash, PHI_HASH_SIZE);
	for (; i < path_size; i++)
	{
		bool left;
		phi_status status = PHI_OK;

		if (!path_goes_left(&fn, &sn, &left))
			return PHI_ERR_AUTH;
		if (left)
			status = phi_node_hash(path[i], old_hash, old_hash);
		if (status == PHI_OK)
			status = left ? phi_node_hash(path[i], new_hash, new_hash)
						  : phi_node_hash(new_hash, path[i], new_hash);
		if (status != PHI_OK)
			return status;
	}
	return sn == 0 && memcmp(old_hash, old_root, PHI_HASH_SIZE) == 0 &&
				   memcmp(new_hash, root, PHI_HASH_SIZE) == 0
			   ? PHI_OK
			   : PHI_ERR_AUTH;
}
