/*-------------------------------------------------------------------------
 * test_merkle.c
 *		Merkle trees against the RFC 6962 vectors, and against the recursive
 *		definitions of the RFC for every tree of up to 40 leaves.
 *-------------------------------------------------------------------------
 */
#include "check.h"
#include "json.h"
#include "core/merkle.h"

#include <openssl/evp.h>

#define LEAVES_MAX    40
#define PATH_MAX_SIZE 65

typedef uint8_t hash[PHI_HASH_SIZE];

static uint8_t leaves[LEAVES_MAX * PHI_HASH_SIZE];

/* MTH of the RFC, word for word, over leaf hashes, with EVP. */
static void
reference_root(size_t from, size_t count, hash out)
{
	uint8_t node[1 + 2 * PHI_HASH_SIZE] = {0x01};
	size_t k = 1;

	if (count == 1)
	{
		memcpy(out, leaves + from * PHI_HASH_SIZE, PHI_HASH_SIZE);
		return;
	}
	if (count > 1)
	{
		while (2 * k < count)
			k *= 2;
		reference_root(from, k, node + 1);
		reference_root(from + k, count - k, node + 1 + PHI_HASH_SIZE);
	}
	CHECK_INT(EVP_Digest(node, count == 0 ? 0 : sizeof(node), out, NULL, EVP_sha256(), NULL), 1);
}

/* PATH(index, D[from:from+count]) of the RFC; its size. */
static size_t
reference_path(size_t index, size_t from, size_t count, hash *path)
{
	size_t k = 1, size;

	if (count == 1)
		return 0;
	while (2 * k < count)
		k *= 2;
	if (index < k)
	{
		size = reference_path(index, from, k, path);
		reference_root(from + k, count - k, path[size]);
	}
	else
	{
		size = reference_path(index - k, from + k, count - k, path);
		reference_root(from, k, path[size]);
	}
	return size + 1;
}

/* SUBPROOF(old, D[from:from+count], known) of the RFC; its size. */
static size_t
reference_subproof(size_t old, size_t from, size_t count, bool known, hash *path)
{
	size_t k = 1, size;

	if (old == count)
	{
		if (!known)
			reference_root(from, count, path[0]);
		return known ? 0 : 1;
	}
	while (2 * k < count)
		k *= 2;
	if (old <= k)
	{
		size = reference_subproof(old, from, k, known, path);
		reference_root(from + k, count - k, path[size]);
	}
	else
	{
		size = reference_subproof(old - k, from + k, count - k, false, path);
		reference_root(from, k, path[size]);
	}
	return size + 1;
}

/* The path of a vector; its size. */
static size_t
load_path(const json *vector, hash *path)
{
	const json *item = json_at(json_get(vector, "proof"), 0);
	size_t size = 0;

	for (; item != NULL && size < PATH_MAX_SIZE; item = item->next)
		CHECK_INT(json_hex_value(item, path[size++], PHI_HASH_SIZE), PHI_HASH_SIZE);
	return size;
}

static void
check_vector_roots(const json *file)
{
	const json *root = json_at(json_get(file, "roots_by_size"), 0);
	phi_frontier frontier;
	hash expected, got;
	size_t size = 0;

	CHECK_CASE("RFC 6962 roots, whole and by frontier");
	phi_frontier_init(&frontier);
	for (; root != NULL; root = root->next, size++)
	{
		CHECK_INT(json_hex_value(root, expected, sizeof(expected)), sizeof(expected));
		CHECK_INT(phi_merkle_root(leaves, size, got), PHI_OK);
		CHECK_BYTES(got, expected, sizeof(expected));
		CHECK_INT(phi_frontier_root(&frontier, got), PHI_OK);
		CHECK_BYTES(got, expected, sizeof(expected));
		CHECK_INT(phi_frontier_append(&frontier, leaves + size * PHI_HASH_SIZE), PHI_OK);
	}
	CHECK_INT(size, 9);
}

static void
check_vector_proofs(const json *file)
{
	const json *roots = json_get(file, "roots_by_size");
	const json *vector;
	hash expected[PATH_MAX_SIZE], got[PATH_MAX_SIZE], root, old_root;
	size_t expected_size, got_size;

	CHECK_CASE("RFC 6962 inclusion proofs: %zu", json_count(json_get(file, "inclusion")));
	for (vector = json_at(json_get(file, "inclusion"), 0); vector != NULL; vector = vector->next)
	{
		uint64_t index = (uint64_t) json_number(json_get(vector, "index"));
		uint64_t size = (uint64_t) json_number(json_get(vector, "size"));

		expected_size = load_path(vector, expected);
		CHECK_INT(phi_inclusion_proof(leaves, size, index, got, &got_size), PHI_OK);
		CHECK_INT(got_size, expected_size);
		CHECK_BYTES(got, expected, expected_size * PHI_HASH_SIZE);
		json_hex_value(json_at(roots, size), root, sizeof(root));
		CHECK_INT(phi_inclusion_verify(leaves + index * PHI_HASH_SIZE, index, size,
									   (const hash *) expected, expected_size, root),
				  PHI_OK);
	}
	CHECK_CASE("RFC 6962 consistency proofs: %zu", json_count(json_get(file, "consistency")));
	for (vector = json_at(json_get(file, "consistency"), 0); vector != NULL; vector = vector->next)
	{
		uint64_t size1 = (uint64_t) json_number(json_get(vector, "size1"));
		uint64_t size2 = (uint64_t) json_number(json_get(vector, "size2"));

		expected_size = load_path(vector, expected);
		CHECK_INT(phi_consistency_proof(leaves, size1, size2, got, &got_size), PHI_OK);
		CHECK_INT(got_size, expected_size);
		CHECK_BYTES(got, expected, expected_size * PHI_HASH_SIZE);
		json_hex_value(json_at(roots, size1), old_root, sizeof(old_root));
		json_hex_value(json_at(roots, size2), root, sizeof(root));
		CHECK_INT(phi_consistency_verify(size1, old_root, size2, root, (const hash *) expected,
										 expected_size),
				  PHI_OK);
	}
}

static void
check_vectors(void)
{
	json *file = json_load_shared("vectors/rfc6962.json");
	const json *input, *leaf;
	uint8_t data[256];
	hash expected;
	size_t count = 0;

	if (file == NULL)
	{
		check_skip("vectors/rfc6962.json: not in the shared data");
		return;
	}
	CHECK_CASE("RFC 6962 leaf hashes");
	input = json_at(json_get(file, "leaf_inputs"), 0);
	leaf = json_at(json_get(file, "leaf_hashes"), 0);
	for (; input != NULL && leaf != NULL; input = input->next, leaf = leaf->next)
	{
		size_t size = json_hex_value(input, data, sizeof(data));

		CHECK_OR_RETURN(size != SIZE_MAX && count < LEAVES_MAX);
		CHECK_INT(phi_leaf_hash(phi_bytes_of(data, size), leaves + count * PHI_HASH_SIZE), PHI_OK);
		CHECK_INT(json_hex_value(leaf, expected, sizeof(expected)), sizeof(expected));
		CHECK_BYTES(leaves + count++ * PHI_HASH_SIZE, expected, sizeof(expected));
	}
	CHECK_INT(count, 8);
	check_vector_roots(file);
	check_vector_proofs(file);
	json_free(file);
}

/* Nothing but the very proof proves: every change of it is refused. */
static void
check_altered_inclusion(size_t index, size_t count, hash *path, size_t size, const hash root)
{
	const uint8_t *leaf = leaves + index * PHI_HASH_SIZE;
	const hash *constant = (const hash *) path;
	size_t i;

	for (i = 0; i < size; i++)
	{
		path[i][i % PHI_HASH_SIZE] ^= 0x80;
		CHECK_INT(phi_inclusion_verify(leaf, index, count, constant, size, root), PHI_ERR_AUTH);
		path[i][i % PHI_HASH_SIZE] ^= 0x80;
	}
	for (i = 0; i < count; i++)
	{
		if (i != index)
			CHECK_INT(phi_inclusion_verify(leaf, i, count, constant, size, root), PHI_ERR_AUTH);
	}
	memset(path[size], 0, PHI_HASH_SIZE);
	CHECK_INT(phi_inclusion_verify(leaf, index, count, constant, size + 1, root), PHI_ERR_AUTH);
	if (size > 0)
		CHECK_INT(phi_inclusion_verify(leaf, index, count, constant, size - 1, root), PHI_ERR_AUTH);
	CHECK_INT(phi_inclusion_verify(leaf, count, count, constant, size, root), PHI_ERR_AUTH);
	CHECK_INT(phi_inclusion_verify(leaf, 0, 0, constant, size, root), PHI_ERR_AUTH);
	CHECK_INT(phi_inclusion_verify(leaf, UINT64_MAX - 1, UINT64_MAX, constant, size, root),
			  PHI_ERR_AUTH);
}

static void
check_all_inclusions(void)
{
	hash expected[PATH_MAX_SIZE], got[PATH_MAX_SIZE + 1], root;
	size_t count, index, size;

	CHECK_CASE("inclusion in every tree of 1 to %d leaves, and no altered proof", LEAVES_MAX);
	for (count = 1; count <= LEAVES_MAX; count++)
	{
		reference_root(0, count, root);
		for (index = 0; index < count; index++)
		{
			CHECK_INT(phi_inclusion_proof(leaves, count, index, got, &size), PHI_OK);
			CHECK_INT(size, reference_path(index, 0, count, expected));
			CHECK_BYTES(got, expected, size * PHI_HASH_SIZE);
			CHECK_INT(phi_inclusion_verify(leaves + index * PHI_HASH_SIZE, index, count,
										   (const hash *) got, size, root),
					  PHI_OK);
			check_altered_inclusion(index, count, got, size, root);
		}
		CHECK_INT(phi_inclusion_proof(leaves, count, count, got, &size), PHI_ERR_ARGUMENT);
		CHECK_INT(size, 0);
	}
}

static void
check_altered_consistency(size_t old, const hash old_root, size_t count, const hash root,
						  hash *path, size_t size)
{
	const hash *constant = (const hash *) path;
	hash other;
	size_t i;

	for (i = 0; i < size; i++)
	{
		path[i][i % PHI_HASH_SIZE] ^= 0x01;
		CHECK_INT(phi_consistency_verify(old, old_root, count, root, constant, size), PHI_ERR_AUTH);
		path[i][i % PHI_HASH_SIZE] ^= 0x01;
	}
	memset(path[size], 0, PHI_HASH_SIZE);
	CHECK_INT(phi_consistency_verify(old, old_root, count, root, constant, size + 1), PHI_ERR_AUTH);
	if (size > 0)
		CHECK_INT(phi_consistency_verify(old, old_root, count, root, constant, size - 1),
				  PHI_ERR_AUTH);
	memcpy(other, old_root, sizeof(other));
	other[5] ^= 4;
	CHECK_INT(phi_consistency_verify(old, other, count, root, constant, size), PHI_ERR_AUTH);
	if (old > 0)
	{
		memcpy(other, root, sizeof(other));
		other[31] ^= 1;
		CHECK_INT(phi_consistency_verify(old, old_root, count, other, constant, size),
				  PHI_ERR_AUTH);
	}
	if (old == 0 || old == count)
		return;
	CHECK_INT(phi_consistency_verify(count, root, old, old_root, constant, size), PHI_ERR_AUTH);
	CHECK_INT(phi_consistency_verify(old, old_root, 4 * count, root, constant, size), PHI_ERR_AUTH);
	CHECK_INT(phi_consistency_verify(old, old_root, UINT64_MAX, root, constant, size),
			  PHI_ERR_AUTH);
}

static void
check_all_consistencies(void)
{
	hash expected[PATH_MAX_SIZE], got[PATH_MAX_SIZE + 1], root, old_root;
	size_t count, old, size;

	CHECK_CASE("consistency of all trees of up to %d leaves, and no altered proof", LEAVES_MAX);
	for (count = 0; count <= LEAVES_MAX; count++)
	{
		reference_root(0, count, root);
		for (old = 0; old <= count; old++)
		{
			reference_root(0, old, old_root);
			CHECK_INT(phi_consistency_proof(leaves, old, count, got, &size), PHI_OK);
			CHECK_INT(size, old == 0 ? 0 : reference_subproof(old, 0, count, true, expected));
			CHECK_BYTES(got, expected, size * PHI_HASH_SIZE);
			CHECK_INT(phi_consistency_verify(old, old_root, count, root, (const hash *) got, size),
					  PHI_OK);
			check_altered_consistency(old, old_root, count, root, got, size);
		}
		CHECK_INT(phi_consistency_proof(leaves, count + 1, count, got, &size), PHI_ERR_ARGUMENT);
	}
}

static void
check_frontier(void)
{
	static uint8_t many[PHI_FRONTIER_PEAKS * PHI_HASH_SIZE];
	phi_frontier frontier, loaded;
	hash expected, got;
	size_t size, i;

	CHECK_CASE("a frontier saved and loaded goes on as it was");
	phi_frontier_init(&frontier);
	for (size = 0; size < LEAVES_MAX; size++)
	{
		phi_bytes peaks = {frontier.peaks[0], phi_frontier_bytes(&frontier)};

		CHECK_INT(phi_frontier_load(&loaded, size, peaks), PHI_OK);
		CHECK_INT(phi_frontier_append(&loaded, leaves + size * PHI_HASH_SIZE), PHI_OK);
		CHECK_INT(phi_frontier_append(&frontier, leaves + size * PHI_HASH_SIZE), PHI_OK);
		CHECK_INT(loaded.size, size + 1);
		reference_root(0, size + 1, expected);
		CHECK_INT(phi_frontier_root(&loaded, got), PHI_OK);
		CHECK_BYTES(got, expected, sizeof(expected));
		CHECK_INT(phi_frontier_root(&frontier, got), PHI_OK);
		CHECK_BYTES(got, expected, sizeof(expected));
		CHECK_INT(phi_frontier_load(&loaded, size, phi_bytes_of(many, peaks.size + 1)),
				  PHI_ERR_FORMAT);
	}

	CHECK_CASE("the largest frontiers");
	for (i = 0; i < sizeof(many); i++)
		many[i] = (uint8_t) (i / PHI_HASH_SIZE);
	CHECK_INT(phi_frontier_load(&frontier, UINT64_MAX, phi_bytes_of(many, sizeof(many))), PHI_OK);
	CHECK_INT(phi_frontier_bytes(&frontier), sizeof(many));
	CHECK_INT(phi_frontier_root(&frontier, got), PHI_OK);
	CHECK_INT(phi_frontier_append(&frontier, leaves), PHI_ERR_ARGUMENT);
	CHECK_INT(phi_frontier_load(&frontier, UINT64_MAX - 1,
								phi_bytes_of(many, sizeof(many) - PHI_HASH_SIZE)),
			  PHI_OK);
	CHECK_INT(phi_frontier_append(&frontier, leaves), PHI_OK);
	CHECK_INT(phi_frontier_bytes(&frontier), sizeof(many));
	CHECK_BYTES(frontier.peaks[PHI_FRONTIER_PEAKS - 1], leaves, PHI_HASH_SIZE);
	CHECK_INT(
		phi_frontier_load(&frontier, INT64_MAX, phi_bytes_of(many, sizeof(many) - PHI_HASH_SIZE)),
		PHI_OK);
	CHECK_INT(phi_frontier_append(&frontier, leaves), PHI_OK);
	CHECK_INT(phi_frontier_bytes(&frontier), PHI_HASH_SIZE);
}

int
main(void)
{
	size_t i;
	uint8_t data[2];

	check_vectors();
	CHECK_CASE("leaf hashes of one's own");
	for (i = 0; i < LEAVES_MAX; i++)
	{
		phi_put_u16(data, (uint16_t) i);
		CHECK_INT(phi_leaf_hash(phi_bytes_of(data, 2), leaves + i * PHI_HASH_SIZE), PHI_OK);
	}
	check_all_inclusions();
	check_all_consistencies();
	check_frontier();
	return check_done();
}
