/*-------------------------------------------------------------------------
 * context.c
 *		phi.context: the setting that carries what the session has stated.
 *
 * A setting, because PostgreSQL then undoes it on rollback, rollback to a
 * savepoint, RESET and DISCARD ALL, and hands it to parallel workers, all by
 * its own machinery.  Nobody can write it: the check hook takes only the text
 * that ContextSet() is about to set, what a parallel worker gets from its
 * leader, and the empty string.  Nobody can read it: the show hook says no
 * more than that it is set.
 *
 * Text form: "1 <role oid> <enrollment serial> <purpose code>".  The parsed
 * struct is the hook's extra, owned by guc.c, which frees it when no value or
 * stacked value refers to it any more.
 *-------------------------------------------------------------------------
 */
#include "session/context.h"

#include "access/parallel.h"

#define CONTEXT_NAME   "phi.context"
#define CONTEXT_FORMAT "1 %u " UINT64_FORMAT " %s"
#define CONTEXT_SIZE   80 /* of the longest text form, with its terminator */
#define CODE_SIZE      16 /* of the longest purpose code, with its terminator */

/* The variable of the setting; only guc.c writes it. */
static char *ContextText = NULL;

/* The extra of the value in force; NULL for the empty value. */
static const ContextEntry *Current = NULL;

/* Counts the changes of Current; public, see session.h. */
uint64 SessionTick = 1;

/* The one text that the check hook accepts: set while ContextSet() is at work. */
static const char *Armed = NULL;

const ContextEntry *
ContextCurrent(void)
{
	return Current;
}

/* Write the text form of an entry. */
static void
FormatEntry(const ContextEntry *entry, char text[CONTEXT_SIZE])
{
	snprintf(text, CONTEXT_SIZE, CONTEXT_FORMAT, entry->role, entry->serial,
			 phi_purpose_code(entry->purpose));
}

/* Read the text form back; only exactly what FormatEntry() writes is one. */
static bool
ParseEntry(const char *text, ContextEntry *entry)
{
	char code[CODE_SIZE];
	char again[CONTEXT_SIZE];

	memset(entry, 0, sizeof(ContextEntry));
	if (sscanf(text, "1 %u " UINT64_FORMAT " %15s", &entry->role, &entry->serial, code) != 3)
		return false;
	entry->purpose = phi_purpose_find(code, strlen(code));
	if (entry->purpose == PHI_PURPOSE_NONE)
		return false;
	FormatEntry(entry, again);
	return strcmp(text, again) == 0;
}

/* Words for a refused value: guc.c's own would show it. */
static bool
RefuseValue(void)
{
	GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
	GUC_check_errmsg("parameter \"%s\" cannot be set directly", CONTEXT_NAME);
	GUC_check_errhint("Use phi.set_purpose() and phi.logout().");
	return false;
}

/*
 * Check hook.  The text of a parallel worker's leader came through this hook
 * there, so that it always parses.
 */
static bool
CheckContext(char **newval, void **extra, GucSource source)
{
	ContextEntry entry;
	bool genuine = InitializingParallelWorker || (Armed && strcmp(Armed, *newval) == 0);

	if ((*newval)[0] == '\0')
		return true;
	if (!genuine || !ParseEntry(*newval, &entry))
		return RefuseValue();
	*extra = GucExtraAlloc(sizeof(ContextEntry));
	if (!*extra)
		return RefuseValue();
	memcpy(*extra, &entry, sizeof(ContextEntry));
	return true;
}

/* Assign hook: also called when guc.c puts a former value back. */
static void
AssignContext(const char *newval, void *extra)
{
	Current = extra;
	SessionTick++;
}

/* Show hook. */
static const char *
ShowContext(void)
{
	return Current ? "(hidden)" : "";
}

void
ContextSet(const ContextEntry *entry)
{
	char text[CONTEXT_SIZE] = "";

	if (entry)
		FormatEntry(entry, text);
	Armed = text;
	PG_TRY();
	{
		(void) set_config_option(CONTEXT_NAME, text, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET,
								 true, 0, false);
	}
	PG_FINALLY();
	{
		Armed = NULL;
	}
	PG_END_TRY();
}

void
ContextInit(void)
{
	DefineCustomStringVariable(CONTEXT_NAME, "What the session has stated to phi_guard.",
							   "Set by phi.set_purpose() and phi.logout(), and by nothing else.",
							   &ContextText, "", PGC_USERSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE |
								   GUC_NOT_WHILE_SEC_REST,
							   CheckContext, AssignContext, ShowContext);
}
