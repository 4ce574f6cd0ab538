/*-------------------------------------------------------------------------
 * kek.c
 *		Key-encryption keys: from a file or a command into shared memory.
 *
 * A provider prints lines of "version:64 hexadecimal digits"; empty lines and
 * lines that begin with # are skipped.  The first process that needs a key
 * reads the provider, under an exclusive lock, and all others find the result.
 * After a failure everybody fails at once for a second, so that a broken
 * provider is not asked by each backend in turn.
 *
 * The ring is read again when a version is asked for that it lacks, when the
 * settings changed, or on phi.reload_kek().  Its memory is kept out of core
 * dumps; nothing of it is ever logged.
 *-------------------------------------------------------------------------
 */
#include "keyring/kek.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hashfn.h"
#include "keyring/provider.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define MAX_VERSIONS 64
#define HEX_DIGITS	 (2 * PHI_KEY_SIZE)
#define RETRY_MS	 1000

typedef struct Kek
{
	uint32 version;
	uint8 key[PHI_KEY_SIZE];
} Kek;

typedef struct KekRing
{
	LWLock lock;
	uint64 source; /* hash of the settings it was read under; 0 before the first read */
	TimestampTz read_at;
	TimestampTz failed_at;
	uint64 failed_source; /* hash of the settings of the last failure; 0 after a success */
	int count;
	Kek keys[MAX_VERSIONS];
} KekRing;

static KekRing *Ring = NULL;
static char *KekFile = NULL;
static char *KekCommand = NULL;
static int KekTimeout = 10;

/* First use of the area, in the postmaster. */
static void
InitializeRing(void *area)
{
	KekRing *ring = area;

	memset(ring, 0, sizeof(KekRing));
	LWLockInitialize(&ring->lock, LWLockNewTrancheId());
	SecretProtect(ring, sizeof(KekRing));
}

void
KekInit(void)
{
	DefineCustomStringVariable("phi.kek_file", "File of the key-encryption keys.",
							   "Lines of version:64 hexadecimal digits; outside the data directory, "
							   "owned by the server's user, mode 0600 or 0400.",
							   &KekFile, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomStringVariable("phi.kek_command", "Command that prints the key-encryption keys.",
							   "Used when phi.kek_file is empty; its standard output has the format "
							   "of that file.",
							   &KekCommand, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomIntVariable("phi.kek_timeout", "Time limit of phi.kek_command.", NULL, &KekTimeout,
							10, 1, 300, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	SharedMemoryRequest("phi_guard kek ring", sizeof(KekRing), InitializeRing, (void **) &Ring);
}

/* A number that changes with the settings; never 0. */
static uint64
SourceHash(void)
{
	uint64 file = hash_bytes_extended((const unsigned char *) KekFile, strlen(KekFile), 1);
	uint64 command = hash_bytes_extended((const unsigned char *) KekCommand, strlen(KekCommand), 2);

	return (file ^ (command << 1)) | 1;
}

/* One line, without its end, to a key. */
static void
ParseLine(const char *line, Size size, int number, KekRing *ring)
{
	const char *colon = memchr(line, ':', size);
	uint64 version = 0;
	Kek *kek = &ring->keys[ring->count];
	bool good = colon && colon > line && colon - line <= 10;

	for (const char *digit = line; good && digit < colon; digit++)
	{
		good = *digit >= '0' && *digit <= '9';
		version = version * 10 + (uint64) (*digit - '0');
	}
	good = good && version > 0 && version <= INT_MAX && ring->count < MAX_VERSIONS &&
		   phi_hex_decode(colon + 1, size - (Size) (colon + 1 - line), kek->key, PHI_KEY_SIZE) ==
			   PHI_OK;
	for (int i = 0; good && i < ring->count; i++)
		good = ring->keys[i].version != version;
	if (!good)
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR),
						errmsg("line %d of the key-encryption keys is not of the form "
							   "version:64 hexadecimal digits",
							   number),
						errhint("Make a key with: echo \"1:$(openssl rand -hex 32)\"")));
	kek->version = (uint32) version;
	ring->count++;
}

/* The provider's output into a ring. */
static void
ParseKeys(const char *text, Size size, KekRing *ring)
{
	int number = 0;

	ring->count = 0;
	while (size > 0)
	{
		const char *end = memchr(text, '\n', size);
		Size length = end ? (Size) (end - text) : size;
		Size whole = end ? length + 1 : length;

		number++;
		if (length > 0 && text[length - 1] == '\r')
			length--;
		if (length > 0 && text[0] != '#')
			ParseLine(text, length, number, ring);
		text += whole;
		size -= whole;
	}
	if (ring->count == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the provider of key-encryption keys gave none"),
						errhint("Make a key with: echo \"1:$(openssl rand -hex 32)\"")));
}

/*
 * Ask the provider and put its keys into the ring.  The lock is held
 * exclusively.  A failure leaves the ring as it was.
 */
static void
ReadProvider(void)
{
	char buffer[PROVIDER_MAX_OUTPUT];
	KekRing fresh;
	Size size;

	if (KekFile[0] == '\0' && KekCommand[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("no key-encryption key is configured"),
						errhint("Set phi.kek_file or phi.kek_command and reload the server.")));
	PG_TRY();
	{
		size = KekFile[0] != '\0' ? ProviderReadFile(KekFile, buffer)
								  : ProviderRunCommand(KekCommand, KekTimeout, buffer);
		ParseKeys(buffer, size, &fresh);
		memcpy(Ring->keys, fresh.keys, sizeof(Ring->keys));
		Ring->count = fresh.count;
		Ring->source = SourceHash();
		Ring->read_at = GetCurrentTimestamp();
		Ring->failed_source = 0;
	}
	PG_CATCH();
	{
		Ring->failed_at = GetCurrentTimestamp();
		Ring->failed_source = SourceHash();
		SecretWipe(buffer, sizeof(buffer));
		SecretWipe(&fresh, sizeof(fresh));
		PG_RE_THROW();
	}
	PG_END_TRY();
	SecretWipe(buffer, sizeof(buffer));
	SecretWipe(&fresh, sizeof(fresh));
}

/* Position of a version in the ring, or -1; any lock mode. */
static int
FindVersion(uint32 version)
{
	for (int i = 0; i < Ring->count; i++)
		if (Ring->keys[i].version == version)
			return i;
	return -1;
}

/* Raise at once when the provider has just failed. */
static void
CheckRecentFailure(void)
{
	if (Ring->failed_source == SourceHash() &&
		!TimestampDifferenceExceeds(Ring->failed_at, GetCurrentTimestamp(), RETRY_MS))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("could not obtain the key-encryption keys"),
						errdetail("The provider failed less than a second ago."),
						errhint("See the server log for the first failure; set phi.kek_file or "
								"phi.kek_command.")));
}

/*
 * Make sure that the ring was read under the present settings and, when
 * version is not 0, that it was looked up recently enough to be missed.
 * Returns with the lock held, shared or exclusive.
 */
static void
LockLoadedRing(uint32 version)
{
	RequirePreload();
	LWLockAcquire(&Ring->lock, LW_SHARED);
	if (Ring->source == SourceHash() && (version == 0 || FindVersion(version) >= 0))
		return;
	LWLockRelease(&Ring->lock);
	LWLockAcquire(&Ring->lock, LW_EXCLUSIVE);
	if (Ring->source != SourceHash())
	{
		CheckRecentFailure();
		ReadProvider();
	}
	else if (version != 0 && FindVersion(version) < 0 &&
			 TimestampDifferenceExceeds(Ring->read_at, GetCurrentTimestamp(), RETRY_MS))
		ReadProvider();
}

bool
KekFind(uint32 version, uint8 out[PHI_KEY_SIZE])
{
	int position;

	LockLoadedRing(version);
	position = FindVersion(version);
	if (position >= 0)
		memcpy(out, Ring->keys[position].key, PHI_KEY_SIZE);
	LWLockRelease(&Ring->lock);
	return position >= 0;
}

uint32
KekCurrentVersion(void)
{
	uint32 highest = 0;

	LockLoadedRing(0);
	for (int i = 0; i < Ring->count; i++)
		highest = Max(highest, Ring->keys[i].version);
	LWLockRelease(&Ring->lock);
	return highest;
}

int
KekReload(void)
{
	int count;

	RequirePreload();
	LWLockAcquire(&Ring->lock, LW_EXCLUSIVE);
	ReadProvider();
	count = Ring->count;
	LWLockRelease(&Ring->lock);
	return count;
}
