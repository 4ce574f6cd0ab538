/*-------------------------------------------------------------------------
 * jwks.c
 *		The keys that tokens are signed with: from phi.jwks_file into shared memory.
 *
 * The file is looked at again at each login: when it was replaced or changed,
 * or the setting names another one, it is read anew.  A file that cannot be
 * used leaves the keys as they were, if those came from the same path, and is
 * named in the server's log once; without keys nobody logs in.
 *
 * Whoever writes the file decides who everybody is: it must belong to the
 * server's user or to root, and nobody else may write it; with a symmetric key
 * in it nobody else may read it.
 * Locking: the set's lock, exclusively to change the keys, shared to verify;
 * nothing raises under it.
 *-------------------------------------------------------------------------
 */
#include "session/context.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hashfn.h"
#include "miscadmin.h"

#define MAX_KEYS   32
#define MAX_FILE   65536
#define MAX_VALUES 8192 /* of JSON in the file */

/* What tells one state of a file from another; all zero: none. */
typedef struct FileState
{
	uint64 path; /* hash of the setting */
	uint64 device;
	uint64 inode;
	uint64 size;
	int64 changed_s;
	int64 changed_ns;
	int64 modified_s;
	int64 modified_ns;
} FileState;

typedef struct KeySet
{
	LWLock lock;
	FileState used;    /* where the keys come from */
	FileState refused; /* the last file that could not be used */
	int count;
	phi_jwk keys[MAX_KEYS];
} KeySet;

/* What a file is read with; in the current memory context, wiped. */
typedef struct FileReading
{
	char text[MAX_FILE];
	phi_json_token values[MAX_VALUES];
	phi_jwk keys[MAX_KEYS];
	size_t count;
} FileReading;

static KeySet *Set = NULL;

/* Setting. */
static char *JwksFile = NULL;

static void
InitializeSet(void *area)
{
	KeySet *set = area;

	memset(set, 0, sizeof(KeySet));
	LWLockInitialize(&set->lock, LWLockNewTrancheId());
	SecretProtect(set, sizeof(KeySet));
}

static uint64
PathHash(void)
{
	return hash_bytes_extended((const unsigned char *) JwksFile, strlen(JwksFile), 3) | 1;
}

/* The state of an open file, or of one that cannot be opened. */
static FileState
StateOf(const struct stat *file)
{
	FileState state = {.path = PathHash()};

	if (!file)
		return state;
	state.device = (uint64) file->st_dev;
	state.inode = (uint64) file->st_ino;
	state.size = (uint64) file->st_size;
	state.changed_s = file->st_ctim.tv_sec;
	state.changed_ns = file->st_ctim.tv_nsec;
	state.modified_s = file->st_mtim.tv_sec;
	state.modified_ns = file->st_mtim.tv_nsec;
	return state;
}

/* Why an open file must not be used; NULL when it may. */
static const char *
CheckMode(const struct stat *file)
{
	if (!S_ISREG(file->st_mode))
		return "it is not a regular file";
	if (file->st_uid != geteuid() && file->st_uid != 0)
		return "it belongs to another user";
	if ((file->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "its mode lets others write it";
	if (file->st_size >= MAX_FILE)
		return "it is too large";
	return NULL;
}

/* Is there a symmetric key among those read? */
static bool
HasSecret(const FileReading *reading)
{
	for (size_t i = 0; i < reading->count; i++)
		if (reading->keys[i].algorithm == PHI_JWS_HS256)
			return true;
	return false;
}

/* Read an open file's keys; why that is not possible, or NULL. */
static const char *
ReadKeys(int fd, const struct stat *file, FileReading *reading)
{
	const char *problem = CheckMode(file);
	size_t size = 0;
	ssize_t got = 1;

	if (problem)
		return problem;
	while (size < MAX_FILE && got > 0)
	{
		got = read(fd, reading->text + size, MAX_FILE - size);
		if (got > 0)
			size += (size_t) got;
	}
	if (got != 0)
		return "it could not be read";
	if (phi_jwks_read(reading->text, size, reading->values, MAX_VALUES, reading->keys, MAX_KEYS,
					  &reading->count) != PHI_OK)
		return "it is not a JWK set, or has a key that is private, incomplete or too short";
	if (reading->count == 0)
		return "it has no key for verifying tokens";
	if (HasSecret(reading) && (file->st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return "it has a symmetric key, and its mode lets others read it";
	return NULL;
}

/* Take keys over that were read. */
static void
TakeKeys(const FileReading *reading, const FileState *state)
{
	LWLockAcquire(&Set->lock, LW_EXCLUSIVE);
	SecretWipe(Set->keys, sizeof(Set->keys));
	memcpy(Set->keys, reading->keys, reading->count * sizeof(phi_jwk));
	Set->count = (int) reading->count;
	Set->used = *state;
	memset(&Set->refused, 0, sizeof(Set->refused));
	LWLockRelease(&Set->lock);
}

/* Remember a file that cannot be used; keys of another path go.  Is it news? */
static bool
RefuseKeys(const FileState *state)
{
	bool news;

	LWLockAcquire(&Set->lock, LW_EXCLUSIVE);
	news = memcmp(&Set->refused, state, sizeof(FileState)) != 0;
	Set->refused = *state;
	if (Set->used.path != state->path)
	{
		SecretWipe(Set->keys, sizeof(Set->keys));
		Set->count = 0;
		memset(&Set->used, 0, sizeof(Set->used));
	}
	LWLockRelease(&Set->lock);
	return news;
}

/* Was the file in this state the last one to be looked at? */
static bool
IsKnown(const FileState *state)
{
	bool known;

	LWLockAcquire(&Set->lock, LW_SHARED);
	known = (memcmp(&Set->used, state, sizeof(FileState)) == 0 && Set->refused.path == 0) ||
			memcmp(&Set->refused, state, sizeof(FileState)) == 0;
	LWLockRelease(&Set->lock);
	return known;
}

/* Look at the file, and read it if it is not the one that was read last. */
static void
RefreshKeys(void)
{
	int fd = open(JwksFile, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat file;
	bool there = fd >= 0 && fstat(fd, &file) == 0;
	FileState state = StateOf(there ? &file : NULL);
	const char *problem = "it could not be opened";

	if (!IsKnown(&state))
	{
		FileReading *reading = MemoryContextAllocExtended(CurrentMemoryContext, sizeof(FileReading),
														  MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);

		if (there)
			problem = reading ? ReadKeys(fd, &file, reading) : "there is no memory to read it";
		if (!problem)
			TakeKeys(reading, &state);
		else if (RefuseKeys(&state))
			ereport(LOG, (errcode(ERRCODE_CONFIG_FILE_ERROR),
						  errmsg("phi.jwks_file cannot be used: %s", problem),
						  errdetail("Keys read from this path before stay in use."),
						  errhidestmt(true), errhidecontext(true)));
		if (reading)
		{
			SecretWipe(reading, sizeof(*reading));
			pfree(reading);
		}
	}
	if (fd >= 0)
		close(fd);
}

phi_status
JwksVerify(const char *token, Size size, const phi_token_rules *rules, phi_token_space *space,
		   phi_claims *claims, phi_token_cause *cause)
{
	phi_status status = PHI_ERR_AUTH;
	int count = 0;

	if (JwksFile[0] != '\0')
	{
		RefreshKeys();
		LWLockAcquire(&Set->lock, LW_SHARED);
		count = Set->used.path == PathHash() ? Set->count : 0;
		if (count > 0)
			status = phi_token_verify(token, size, Set->keys, (size_t) count, rules, space, claims,
									  cause);
		LWLockRelease(&Set->lock);
	}
	if (count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there are no keys to verify tokens with"),
				 errhint("Set phi.jwks_file to a JWK set, reload the server, and see its log.")));
	return status;
}

void
JwksInit(void)
{
	DefineCustomStringVariable("phi.jwks_file", "File of the keys that tokens are signed with.",
							   "A JWK set (RFC 7517); owned by the server's user or root, and not "
							   "writable by others.",
							   &JwksFile, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	SharedMemoryRequest("phi_guard token keys", sizeof(KeySet), InitializeSet, (void **) &Set);
}
