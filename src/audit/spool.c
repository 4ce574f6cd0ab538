/*-------------------------------------------------------------------------
 * spool.c
 *		phi.audit_spool_directory: events of break-glass access that the worker
 *		could not write, one file each, drained into the log later.
 *
 * A file is named by system identifier, database and 16 random bytes, and is
 * complete or not there: it is written under another name, flushed, and
 * renamed.  Its contents, numbers big-endian:
 *
 *		0	8	"PHISPOL1"
 *		8	4	size of the record
 *		12	4	CRC-32C of the record
 *		16	n	the record, a tuple as log.h describes it
 *
 * The record carries the salt of its event.  Draining looks for an event of
 * that time and salt first, and removes files only when the transaction that
 * wrote their events is committed and flushed: each is written exactly once,
 * whatever happens in between.  A file that is not whole is left where it is,
 * with a warning.
 *
 * Only the worker of the database drains.  The directory belongs to the
 * server's user alone (0700), and is not below the data directory.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "audit/spool.h"
#include "catalog/pg_type.h"
#include "common/file_perm.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define SPOOL_MAGIC "PHISPOL1"
#define MAGIC_SIZE  8
#define HEADER_SIZE (MAGIC_SIZE + 4 + 4)
#define NAME_BYTES  16
#define SPOOL_SALT  16
#define DRAIN_FILES 1000 /* in one transaction */
#define FILE_SUFFIX ".event"

/* Setting phi.audit_spool_directory. */
static char *Directory = NULL;

/* Files whose events the worker's current transaction has written or found. */
static List *Drained = NIL;
static MemoryContext DrainContext = NULL;

bool
SpoolEnabled(void)
{
	return Directory != NULL && Directory[0] != '\0';
}

/* What is wrong with the directory, or NULL. */
static const char *
DirectoryFault(void)
{
	struct stat status;
	char path[MAXPGPATH];

	if (!is_absolute_path(Directory))
		return "It is not an absolute path.";
	strlcpy(path, Directory, sizeof(path));
	canonicalize_path(path);
	if (path_is_prefix_of_path(DataDir, path))
		return "It is below the data directory.";
	if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
		return "It is not there, or no directory.";
	if (status.st_uid != geteuid() || (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return "It must belong to the server's user, with mode 0700.";
	return NULL;
}

/* Beginning of the names of this database's files. */
static void
NamePrefix(char *prefix, Size size)
{
	snprintf(prefix, size, UINT64_FORMAT ".%u.", GetSystemIdentifier(), MyDatabaseId);
}

/* A new file name in the directory. */
static void
NewName(char *path, Size size)
{
	uint8 random[NAME_BYTES];
	char hex[2 * NAME_BYTES + 1];
	char prefix[64];

	RandomBytes(random, sizeof(random));
	hex_encode((const char *) random, sizeof(random), hex);
	hex[2 * NAME_BYTES] = '\0';
	NamePrefix(prefix, sizeof(prefix));
	snprintf(path, size, "%s/%s%s" FILE_SUFFIX, Directory, prefix, hex);
}

/* CRC-32C of a record. */
static uint32
RecordCrc(const void *record, Size size)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, record, size);
	FIN_CRC32C(crc);
	return crc;
}

/* The record with a salt of its own. */
static MinimalTuple
Salted(MinimalTuple record)
{
	bytea *salt = palloc(VARHDRSZ + SPOOL_SALT);
	EventRow row;

	SET_VARSIZE(salt, VARHDRSZ + SPOOL_SALT);
	RandomBytes((uint8 *) VARDATA(salt), SPOOL_SALT);
	EventFromRecord(&row, record);
	row.values[EVENT_SALT] = PointerGetDatum(salt);
	row.isnull[EVENT_SALT] = false;
	return EventRecord(&row);
}

/* Write all of a file, and flush it. */
static bool
WriteFile(const char *path, const void *data, Size size)
{
	int file =
		OpenTransientFilePerm(path, O_WRONLY | O_CREAT | O_EXCL | PG_BINARY, S_IRUSR | S_IWUSR);
	bool written;

	if (file < 0)
		return false;
	errno = 0;
	written = write(file, data, size) == size;
	if (!written && errno == 0)
		errno = ENOSPC;
	written = written && pg_fsync(file) == 0;
	return CloseTransientFile(file) == 0 && written;
}

void
SpoolWrite(MinimalTuple record)
{
	MinimalTuple salted = Salted(record);
	const char *fault = DirectoryFault();
	Size size = HEADER_SIZE + salted->t_len;
	uint8 *file = palloc(size);
	char path[MAXPGPATH];
	char partial[MAXPGPATH + 8];

	if (fault != NULL)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("phi.audit_spool_directory cannot be used"),
				errdetail_internal("%s", fault));
	memcpy(file, SPOOL_MAGIC, MAGIC_SIZE);
	phi_put_u32(file + MAGIC_SIZE, salted->t_len);
	phi_put_u32(file + MAGIC_SIZE + 4, RecordCrc(salted, salted->t_len));
	memcpy(file + HEADER_SIZE, salted, salted->t_len);
	NewName(path, sizeof(path));
	snprintf(partial, sizeof(partial), "%s.part", path);
	if (!WriteFile(partial, file, size) || durable_rename(partial, path, LOG) != 0)
	{
		int code = errno;

		(void) unlink(partial);
		errno = code;
		ereport(ERROR, errcode_for_file_access(),
				errmsg("could not write to phi.audit_spool_directory: %m"));
	}
	pfree(file);
	pfree(salted);
}

/* ---- draining, in the worker ---- */

/* Is it the name of a spooled event of this database? */
static bool
OurFile(const char *name)
{
	char prefix[64];
	Size length = strlen(name);

	NamePrefix(prefix, sizeof(prefix));
	return strncmp(name, prefix, strlen(prefix)) == 0 && length > strlen(FILE_SUFFIX) &&
		   strcmp(name + length - strlen(FILE_SUFFIX), FILE_SUFFIX) == 0;
}

bool
SpoolWaiting(void)
{
	DIR *directory;
	struct dirent *entry;
	bool found = false;

	if (!SpoolEnabled() || DirectoryFault() != NULL)
		return false;
	directory = AllocateDir(Directory);
	while (!found && directory != NULL &&
		   (entry = ReadDirExtended(directory, Directory, LOG)) != NULL)
		found = OurFile(entry->d_name);
	if (directory != NULL)
		FreeDir(directory);
	return found;
}

/* The record in a file; NULL, and a warning, where it is not whole. */
static MinimalTuple
ReadRecord(const char *path)
{
	uint8 *file = palloc(HEADER_SIZE + QUEUE_RECORD_SIZE);
	int descriptor = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	ssize_t size = descriptor < 0 ? -1 : read(descriptor, file, HEADER_SIZE + QUEUE_RECORD_SIZE);
	MinimalTuple record = (MinimalTuple) palloc(QUEUE_RECORD_SIZE);

	if (descriptor >= 0)
		(void) CloseTransientFile(descriptor);
	if (size < (ssize_t) (HEADER_SIZE + SizeofMinimalTupleHeader) ||
		memcmp(file, SPOOL_MAGIC, MAGIC_SIZE) != 0 ||
		phi_get_u32(file + MAGIC_SIZE) != size - HEADER_SIZE ||
		phi_get_u32(file + MAGIC_SIZE + 4) != RecordCrc(file + HEADER_SIZE, size - HEADER_SIZE))
	{
		ereport(WARNING, errcode(ERRCODE_DATA_CORRUPTED),
				errmsg("file \"%s\" of the audit spool is not whole", path),
				errhint("Keep it, and look at what wrote there."));
		return NULL;
	}
	memcpy(record, file + HEADER_SIZE, size - HEADER_SIZE);
	pfree(file);
	return record;
}

/* Is there an event of this time and salt? */
static bool
AlreadyWritten(const EventRow *row)
{
	Oid types[] = {TIMESTAMPTZOID, BYTEAOID};
	Datum values[] = {row->values[EVENT_RECORDED_AT], row->values[EVENT_SALT]};

	if (SPI_execute_with_args(
			"SELECT FROM phi_audit.event e WHERE e.recorded_at = $1 AND e.salt = $2", 2, types,
			values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read phi_audit.event");
	return SPI_processed > 0;
}

/* Write the event of one file, unless it is there. */
static void
DrainFile(const AuditLog *log, const char *path)
{
	MinimalTuple record = ReadRecord(path);
	MemoryContext old;
	LogWriter writer;
	EventRow row;

	if (record == NULL)
		return;
	EventFromRecord(&row, record);
	if (!AlreadyWritten(&row))
	{
		EventNumber(&row, log);
		EventWriterOpen(
			&writer, LogPartition(log, DatumGetTimestampTz(row.values[EVENT_RECORDED_AT])), false);
		LogWriterAppend(&writer, row.values, row.isnull);
		LogWriterClose(&writer);
	}
	old = MemoryContextSwitchTo(DrainContext);
	Drained = lappend(Drained, pstrdup(path));
	MemoryContextSwitchTo(old);
}

void
SpoolDrain(void)
{
	const AuditLog *log = AuditLogRequire();
	DIR *directory = AllocateDir(Directory);
	struct dirent *entry;

	if (DrainContext == NULL)
		DrainContext = AllocSetContextCreate(TopMemoryContext, "phi_guard audit spool",
											 ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(DrainContext);
	Drained = NIL;
	SPI_connect();
	while ((entry = ReadDirExtended(directory, Directory, LOG)) != NULL &&
		   list_length(Drained) < DRAIN_FILES)
	{
		if (OurFile(entry->d_name))
			DrainFile(log, psprintf("%s/%s", Directory, entry->d_name));
	}
	FreeDir(directory);
	SPI_finish();
}

void
SpoolDrained(void)
{
	ListCell *cell;

	XLogFlush(XactLastCommitEnd);
	foreach (cell, Drained)
	{
		if (durable_unlink(lfirst(cell), LOG) == 0)
			ereport(DEBUG1, errmsg_internal("drained %s", (char *) lfirst(cell)));
	}
	Drained = NIL;
	MemoryContextReset(DrainContext);
}

void
SpoolInit(void)
{
	DefineCustomStringVariable("phi.audit_spool_directory",
							   "Directory for events of break-glass access while the audit log "
							   "cannot be written.",
							   NULL, &Directory, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL,
							   NULL);
}
