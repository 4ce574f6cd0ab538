/*-------------------------------------------------------------------------
 * provider.c
 *		Reading key-encryption keys from a file or from a command.
 *
 * The output of a provider is never logged, and neither is a command's text.
 * The caller holds an LWLock, so interrupts are held off; the command's time
 * limit bounds the wait.
 *-------------------------------------------------------------------------
 */
#include "keyring/provider.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

/* Raise: the file is there but must not be used. */
static void
RefuseFile(const char *why, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("phi.kek_file cannot be used: %s", why),
					errhint("%s", hint)));
}

/* Raise unless the open file is a private regular file outside the data directory. */
static void
CheckFile(const char *path, int fd)
{
	struct stat file;
	char resolved[PATH_MAX];
	char data[PATH_MAX];

	if (fstat(fd, &file) != 0 || realpath(path, resolved) == NULL || realpath(DataDir, data) == NULL)
		RefuseFile("it could not be examined", "Check the path and its permissions.");
	if (!S_ISREG(file.st_mode))
		RefuseFile("it is not a regular file", "Give the path of a file.");
	if (file.st_uid != geteuid() && file.st_uid != 0)
		RefuseFile("it belongs to another user", "Make the server's user its owner.");
	if ((file.st_mode & (S_IRWXG | S_IRWXO | S_IXUSR)) != 0)
		RefuseFile("its mode lets others read it", "Run chmod 0600 (or 0400) on it.");
	if (strncmp(resolved, data, strlen(data)) == 0 &&
		(resolved[strlen(data)] == '/' || resolved[strlen(data)] == '\0'))
		RefuseFile("it is inside the data directory",
				   "Keep it elsewhere: a backup of the data directory must not contain the keys.");
}

Size
ProviderReadFile(const char *path, char *buffer)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	Size used = 0;
	ssize_t got = 1;

	if (fd < 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("could not open phi.kek_file: %m"),
						errhint("Make the file, or correct phi.kek_file and reload the server.")));
	PG_TRY();
	{
		CheckFile(path, fd);
		while (used < PROVIDER_MAX_OUTPUT && got > 0)
		{
			got = read(fd, buffer + used, PROVIDER_MAX_OUTPUT - used);
			if (got > 0)
				used += (Size) got;
		}
		if (got != 0)
			RefuseFile("it could not be read, or is too large", "Check the file.");
	}
	PG_FINALLY();
	{
		close(fd);
	}
	PG_END_TRY();
	return used;
}

/* In the child: run the command with its output to fd and its complaints to nobody, in a process group of its own. */
static void
ExecuteCommand(const char *command, int fd)
{
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	(void) setsid();
	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
	(void) signal(SIGPIPE, SIG_DFL);
	if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDERR_FILENO) >= 0 &&
		dup2(fd, STDOUT_FILENO) >= 0)
		execl("/bin/sh", "sh", "-c", command, (char *) NULL);
	_exit(127);
}

/* Read fd to its end or to the deadline; false when the deadline came or the output is too long. */
static bool
ReadUntil(int fd, TimestampTz deadline, char *buffer, Size *used)
{
	*used = 0;
	for (;;)
	{
		long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
		struct pollfd wait = {fd, POLLIN, 0};
		ssize_t got;

		if (left <= 0 || *used >= PROVIDER_MAX_OUTPUT)
			return false;
		if (poll(&wait, 1, (int) Min(left, 1000)) <= 0)
			continue;
		got = read(fd, buffer + *used, PROVIDER_MAX_OUTPUT - *used);
		if (got == 0)
			return true;
		if (got > 0)
			*used += (Size) got;
		else if (errno != EINTR && errno != EAGAIN)
			return false;
	}
}

/* Wait for the child until the deadline, then kill its group; true when it exited with 0. */
static bool
ReapCommand(pid_t child, TimestampTz deadline, bool finished)
{
	int status = 0;
	pid_t reaped = 0;

	while (finished && reaped == 0 && GetCurrentTimestamp() < deadline)
	{
		reaped = waitpid(child, &status, WNOHANG);
		if (reaped == 0)
			pg_usleep(2000L);
	}
	if (reaped != child)
	{
		(void) kill(-child, SIGKILL);
		(void) kill(child, SIGKILL);
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			continue;
		return false;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

Size
ProviderRunCommand(const char *command, int timeout_seconds, char *buffer)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_seconds * 1000L);
	int ends[2];
	pid_t child;
	Size used = 0;
	bool finished;

	if (pipe(ends) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not create a pipe: %m")));
	fflush(NULL);
	child = fork();
	if (child == 0)
	{
		(void) close(ends[0]);
		ExecuteCommand(command, ends[1]);
	}
	(void) close(ends[1]);
	if (child < 0)
	{
		(void) close(ends[0]);
		ereport(ERROR, (errcode(ERRCODE_SYSTEM_ERROR), errmsg("could not fork phi.kek_command: %m")));
	}
	finished = ReadUntil(ends[0], deadline, buffer, &used);
	(void) close(ends[0]);
	if (!ReapCommand(child, deadline, finished))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("phi.kek_command failed"),
						errdetail("It exited with an error, gave too much output, or exceeded "
								  "phi.kek_timeout."),
						errhint("Run the command as the server's user and check its exit status.")));
	return used;
}
