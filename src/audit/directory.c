/*-------------------------------------------------------------------------
 * directory.c
 *		phi.checkpoint_directory: checkpoints as files, where a collector takes
 *		them off the machine.
 *
 * Two kinds of files for each log (system identifier and database):
 *
 *		<system>-<database>.latest					the newest checkpoint, a note
 *		<system>-<database>-<incarnation>-<month>.checkpoints
 *			every checkpoint of a month, in order: notes, an empty line after each
 *
 * A file is there whole or not at all: the newest one is written aside,
 * flushed and renamed; an entry of the archive is appended by one write and
 * flushed, and what a crash left of one is closed off before the next.
 *
 * A file vouches for what nothing takes back: a checkpoint is published when
 * the transaction that made it is committed and flushed, while its locks are
 * held, and where a synchronous standby is asked for it has that too.  A seal
 * that is rolled back, or lost in a crash or a failover, leaves no file.  What
 * can fail for long, the directory and the space in it, is tried before the
 * commit: the newest file is written aside there.  What fails afterwards is a
 * warning: the next checkpoint covers the same events.
 *
 * Memory: what is to be published lives in TopTransactionContext.
 *-------------------------------------------------------------------------
 */
#include "audit/checkpoint.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "audit/worker.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "replication/walsender_private.h"
#include "storage/fd.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/* phi.checkpoint_directory; empty: none. */
static char *CheckpointDirectory = NULL;

/* A checkpoint of this transaction, to be published when it commits. */
typedef struct PendingNote
{
	SubTransactionId made_in;
	char *incarnation;
	char *note;
	Size size;
} PendingNote;

/* Those of this transaction, in order. */
static List *Pending = NIL;

/* Raise: the directory is there but must not be used. */
static void
RefuseDirectory(const char *why)
{
	ereport(ERROR, errcode(ERRCODE_CONFIG_FILE_ERROR),
			errmsg("phi.checkpoint_directory cannot be used: %s", why),
			errhint("Give an absolute path outside the data directory, owned by the server's user, "
					"writable by nobody else (mode 0755 or less)."));
}

/* Raise unless the directory is one that nobody else can write to. */
static void
CheckDirectory(void)
{
	struct stat directory;
	char resolved[PATH_MAX];
	char data[PATH_MAX];
	Size size;

	if (!is_absolute_path(CheckpointDirectory))
		RefuseDirectory("its path is relative");
	if (stat(CheckpointDirectory, &directory) != 0 ||
		realpath(CheckpointDirectory, resolved) == NULL || realpath(DataDir, data) == NULL)
		ereport(ERROR, errcode_for_file_access(),
				errmsg("could not examine phi.checkpoint_directory: %m"));
	if (!S_ISDIR(directory.st_mode))
		RefuseDirectory("it is no directory");
	if (directory.st_uid != geteuid())
		RefuseDirectory("it belongs to another user");
	if ((directory.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		RefuseDirectory("its mode lets others write to it");
	size = strlen(data);
	if (strncmp(resolved, data, size) == 0 && (resolved[size] == '/' || resolved[size] == '\0'))
		RefuseDirectory("it is inside the data directory");
}

/* The path of a file of this log. */
static char *
FilePath(const char *suffix)
{
	return psprintf("%s/" UINT64_FORMAT "-%u%s", CheckpointDirectory, GetSystemIdentifier(),
					MyDatabaseId, suffix);
}

/* Write all of it to an open file and flush that. */
static void
WriteAll(int fd, const char *path, const char *data, Size size)
{
	errno = 0;
	if (write(fd, data, size) != (ssize_t) size)
	{
		if (errno == 0)
			errno = ENOSPC;
		ereport(ERROR, errcode_for_file_access(),
				errmsg("could not write checkpoint file \"%s\": %m", path));
	}
	if (pg_fsync(fd) != 0)
		ereport(ERROR, errcode_for_file_access(),
				errmsg("could not flush checkpoint file \"%s\": %m", path));
}

/* Open a file, one that is made for all to read: checkpoints are public.  Raises. */
static int
OpenFile(const char *path, int flags)
{
	int fd = OpenTransientFile(path, flags | PG_BINARY);

	if (fd < 0 ||
		((flags & O_CREAT) != 0 && fchmod(fd, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH) != 0))
		ereport(ERROR, errcode_for_file_access(),
				errmsg("could not open checkpoint file \"%s\": %m", path));
	return fd;
}

/* Does a file end with the empty line that closes an entry, or is it empty? */
static bool
EndsClosed(int fd, const char *path)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char end[2] = {'\n', '\n'};

	if (size < 0 || (size >= 2 && pg_pread(fd, end, 2, size - 2) != 2))
		ereport(ERROR, errcode_for_file_access(),
				errmsg("could not read checkpoint file \"%s\": %m", path));
	return size == 0 || (size >= 2 && end[0] == '\n' && end[1] == '\n');
}

/* Append a note to the archive of its incarnation and month. */
static void
WriteArchive(const char *incarnation, const char *note, Size size)
{
	pg_time_t now = timestamptz_to_time_t(GetCurrentTimestamp());
	const char *name = strrchr(incarnation, '/');
	char month[16];
	char *path;
	char *entry;
	int fd;

	pg_strftime(month, sizeof(month), "%Y%m", pg_gmtime(&now));
	path = FilePath(psprintf("-%s-%s.checkpoints", name != NULL ? name + 1 : incarnation, month));
	fd = OpenFile(path, O_RDWR | O_CREAT | O_APPEND);
	entry = psprintf("%s%.*s\n", EndsClosed(fd, path) ? "" : "\n\n", (int) size, note);
	WriteAll(fd, path, entry, strlen(entry));
	CloseTransientFile(fd);
	fsync_fname(CheckpointDirectory, true);
}

/* Write what is to be the newest checkpoint aside. */
static void
WriteAside(const PendingNote *pending)
{
	char *aside = FilePath(".latest.new");
	int fd = OpenFile(aside, O_WRONLY | O_CREAT | O_TRUNC);

	WriteAll(fd, aside, pending->note, pending->size);
	CloseTransientFile(fd);
}

void
DirectoryWrite(const char *incarnation, const char *note, Size size)
{
	MemoryContext old;
	PendingNote *pending;

	if (CheckpointDirectory[0] == '\0')
		return;
	CheckDirectory();
	old = MemoryContextSwitchTo(TopTransactionContext);
	pending = palloc(sizeof(PendingNote));
	pending->made_in = GetCurrentSubTransactionId();
	pending->incarnation = pstrdup(incarnation);
	pending->note = pnstrdup(note, size);
	pending->size = size;
	Pending = lappend(Pending, pending);
	MemoryContextSwitchTo(old);
	WriteAside(pending);
}

/* ---- when the transaction ends ---- */

/*
 * Would the checkpoint survive a failover?  The wait for a synchronous standby ends without one when it is
 * canceled, and when the postmaster dies.
 */
static bool
StandbyHasIt(void)
{
	XLogRecPtr flushed;

	if (!StandbysAwaited())
		return true;
	LWLockAcquire(SyncRepLock, LW_SHARED);
	flushed = WalSndCtl->lsn[SYNC_REP_WAIT_FLUSH];
	LWLockRelease(SyncRepLock);
	return flushed >= XactLastCommitEnd;
}

/* Write the files of a committed transaction; the aside one may be of a seal that was rolled back to a savepoint. */
static void
Publish(void)
{
	ListCell *cell;

	if (CheckpointDirectory[0] == '\0')
		return;
	if (!StandbyHasIt())
	{
		ereport(WARNING, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("a checkpoint is not written to phi.checkpoint_directory: no synchronous "
					   "standby has it"));
		return;
	}
	XLogFlush(XactLastCommitEnd);
	foreach (cell, Pending)
	{
		const PendingNote *pending = lfirst(cell);

		WriteArchive(pending->incarnation, pending->note, pending->size);
	}
	WriteAside(llast(Pending));
	(void) durable_rename(FilePath(".latest.new"), FilePath(".latest"), ERROR);
}

/* Publish, where an error would be a panic: it becomes a warning. */
static void
PublishCommitted(void)
{
	uint32 held = InterruptHoldoffCount;
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	PG_TRY();
	{
		Publish();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(TopTransactionContext);
		error = CopyErrorData();
		FlushErrorState();
		/* An error takes interrupts out of hold. */
		InterruptHoldoffCount = held;
		error->elevel = WARNING;
		ThrowErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
}

/* Transaction callback: publish what is committed, forget what is not. */
static void
EndPending(XactEvent event, void *arg)
{
	if (Pending == NIL)
		return;
	if (event == XACT_EVENT_PRE_PREPARE)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot prepare a transaction that has sealed the audit log"));
	if (event == XACT_EVENT_COMMIT)
		PublishCommitted();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		Pending = NIL;
}

/* Subtransaction callback: what is rolled back to a savepoint is forgotten. */
static void
EndPendingOfSub(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	ListCell *cell;

	foreach (cell, Pending)
	{
		PendingNote *pending = lfirst(cell);

		if (pending->made_in != mine)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			pending->made_in = parent;
		if (event == SUBXACT_EVENT_ABORT_SUB)
			Pending = foreach_delete_current(Pending, cell);
	}
}

void
CheckpointInit(void)
{
	DefineCustomStringVariable(
		"phi.checkpoint_directory", "Directory that checkpoints of the audit log are written to.",
		"Outside the data directory, owned by the server's user, writable by "
		"nobody else.",
		&CheckpointDirectory, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	RegisterXactCallback(EndPending, NULL);
	RegisterSubXactCallback(EndPendingOfSub, NULL);
}

/* ---- reading ---- */

/* Raise: what should be the newest checkpoint is none of this log. */
static void
RefuseNewest(const char *path)
{
	ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED),
			errmsg("checkpoint file \"%s\" is no checkpoint of this log", path),
			errhint("It was altered, or another program writes to phi.checkpoint_directory."));
}

/*
 * The newest checkpoint of the directory.  Its signature is that of an
 * incarnation of this log, or the file is refused; one of an incarnation that
 * the log no longer knows is taken as it is: it can only make the caller refuse.
 */
bool
DirectoryNewest(KeptCheckpoint *newest)
{
	char *here = psprintf("%s/", CheckpointOrigin(LogIncarnation()));
	char note[PHI_NOTE_MAX];
	phi_checkpoint checkpoint;
	Incarnation incarnation;
	phi_note parsed;
	ssize_t size;
	char *path;
	Size prefix;
	int fd;

	memset(newest, 0, sizeof(*newest));
	if (CheckpointDirectory[0] == '\0')
		return false;
	CheckDirectory();
	path = FilePath(".latest");
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return false;
	fd = OpenFile(path, O_RDONLY);
	size = read(fd, note, sizeof(note));
	CloseTransientFile(fd);
	if (size < 0 || phi_note_parse(phi_bytes_of(note, size), &parsed) != PHI_OK ||
		phi_checkpoint_parse(parsed.text, &checkpoint) != PHI_OK ||
		checkpoint.origin.size < strlen(here) ||
		memcmp(checkpoint.origin.data, here, strlen(here)) != 0)
		RefuseNewest(path);
	prefix = strlen(here) - strlen(LogIncarnation()) - 1;
	if (checkpoint.origin.size - prefix >= sizeof(newest->incarnation))
		RefuseNewest(path);
	memcpy(newest->incarnation, checkpoint.origin.data + prefix, checkpoint.origin.size - prefix);
	newest->size = checkpoint.size;
	memcpy(newest->root, checkpoint.root, PHI_HASH_SIZE);
	if (IncarnationFind(newest->incarnation, &incarnation) &&
		phi_note_verify(&parsed, &incarnation.vkey) != PHI_OK)
		RefuseNewest(path);
	return true;
}
