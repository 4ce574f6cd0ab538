/*-------------------------------------------------------------------------
 * check_export.h
 *		Checking an export of the audit log line by line, with checkpoints that
 *		were kept elsewhere beside it.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_TOOLS_CHECK_EXPORT_H
#define PHI_TOOLS_CHECK_EXPORT_H

#include <stdio.h>

#include "core/note.h"

#define KEYS_MAX      256
#define FILES_MAX     64
#define LINE_MAX_SIZE (32 * 1024 * 1024)
#define MESSAGE_MAX   512

typedef struct key_ring
{
	phi_vkey keys[KEYS_MAX];
	size_t count;
} key_ring;

/* A file of checkpoints in ascending order of their sizes, read one at a time. */
typedef struct checkpoint_file
{
	const char *name;
	FILE *file;
	bool has_next;
	char note[PHI_NOTE_MAX];
	size_t note_size;
	uint64_t size; /* of the next one */
	uint8_t root[PHI_HASH_SIZE];
} checkpoint_file;

/* One export being checked. */
typedef struct export_check
{
	key_ring trusted;
	key_ring claimed;  /* keys that the export itself names */
	bool trust_claims; /* no key was given */
	checkpoint_file *files;
	size_t file_count;
	bool files_begun;
	uint64_t line;
	bool begun;
	bool head_checked;
	char head_note[PHI_NOTE_MAX]; /* of the tree that it begins with */
	size_t head_size;
	uint64_t first_leaf;
	phi_frontier tree;
	uint64_t confirmed; /* leaves below it are under a signed checkpoint */
	uint64_t suspect;   /* first event above that, */
	bool has_suspect;   /* if there is one */
	uint64_t checkpoints;
	uint64_t outside; /* checkpoints of files that agreed */
	uint64_t beyond;  /* and that are larger than the export */
	uint64_t gone;
	bool whole;                /* no event may be gone */
	char problem[MESSAGE_MAX]; /* the first; empty while there is none */
} export_check;

/* Each returns false once there is a problem. */
extern bool export_line(export_check *check, const char *line, size_t size);
extern bool export_end(export_check *check);

/* Add a key; false when it is none or there are too many. */
extern bool ring_add(key_ring *ring, phi_bytes text);

#endif /* PHI_TOOLS_CHECK_EXPORT_H */
