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
 * Text form: "2:" and base64url of a fixed head and counted names.  The parsed
 * struct is the hook's extra, owned by guc.c, which frees it when no value or
 * stacked value refers to it any more.
 *
 * What belongs to a login that holds for one transaction is only ever set
 * locally, and names that transaction: nothing of it is there after COMMIT.
 *-------------------------------------------------------------------------
 */
#include "session/context.h"

#include "access/parallel.h"
#include "miscadmin.h"

#define CONTEXT_NAME   "phi.context"
#define CONTEXT_PREFIX "2:"
#define PREFIX_SIZE    2
#define HEAD_SIZE      48
#define NAMES_MAX      (3 + SESSION_MAX_ROLES + SESSION_MAX_GROUPS)
#define BINARY_MAX     (HEAD_SIZE + NAMES_MAX * SESSION_NAME_SIZE)
#define CONTEXT_SIZE \
	(PREFIX_SIZE + BINARY_MAX / 3 * 4 + 8) /* of the longest text, with its terminator */

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

/* Append a name: its size, then its bytes. */
static void
PutName(phi_buffer *out, const char *name)
{
	size_t size = strlen(name);

	out->data[out->size++] = (uint8) size;
	memcpy(out->data + out->size, name, size);
	out->size += size;
}

/* Write the binary form, at most BINARY_MAX bytes. */
static void
PutEntry(const ContextEntry *entry, phi_buffer *out)
{
	uint8 *head = out->data;

	memset(head, 0, HEAD_SIZE);
	phi_put_u32(head, entry->role);
	phi_put_u64(head + 4, entry->serial);
	phi_put_u64(head + 12, (uint64) entry->step_up_at);
	phi_put_u64(head + 20, (uint64) entry->expires_at);
	phi_put_u64(head + 28, entry->allowed_purposes);
	phi_put_u32(head + 36, entry->transaction);
	head[40] = entry->purpose;
	head[41] = entry->login;
	head[42] = entry->local;
	head[43] = (uint8) entry->role_count;
	head[44] = (uint8) entry->group_count;
	out->size = HEAD_SIZE;
	PutName(out, entry->actor);
	PutName(out, entry->organization);
	PutName(out, entry->token_id);
	for (int i = 0; i < entry->role_count; i++)
		PutName(out, entry->roles[i]);
	for (int i = 0; i < entry->group_count; i++)
		PutName(out, entry->groups[i]);
}

/* Write the text form of an entry. */
static void
FormatEntry(const ContextEntry *entry, char text[CONTEXT_SIZE])
{
	uint8 binary[BINARY_MAX];
	phi_buffer out = {binary, 0, sizeof(binary)};

	PutEntry(entry, &out);
	memcpy(text, CONTEXT_PREFIX, PREFIX_SIZE);
	phi_base64url_encode(phi_bytes_of(binary, out.size), text + PREFIX_SIZE);
	text[PREFIX_SIZE + phi_base64url_size(out.size)] = '\0';
}

/* Read a name back; false where there is none, or one that is too long. */
static bool
TakeName(const phi_buffer *in, size_t *at, char name[SESSION_NAME_SIZE])
{
	size_t size = *at < in->size ? in->data[*at] : SESSION_NAME_SIZE;

	if (size >= SESSION_NAME_SIZE || size > in->size - *at - 1)
		return false;
	memcpy(name, in->data + *at + 1, size);
	*at += 1 + size;
	return true;
}

/* Read the names back, which end where the binary form ends. */
static bool
TakeNames(const phi_buffer *in, ContextEntry *entry)
{
	size_t at = HEAD_SIZE;
	bool good = TakeName(in, &at, entry->actor) && TakeName(in, &at, entry->organization) &&
				TakeName(in, &at, entry->token_id);

	for (int i = 0; i < entry->role_count && good; i++)
		good = TakeName(in, &at, entry->roles[i]);
	for (int i = 0; i < entry->group_count && good; i++)
		good = TakeName(in, &at, entry->groups[i]);
	return good && at == in->size;
}

/* Read the text form back; only exactly what FormatEntry() writes is one. */
static bool
ParseEntry(const char *text, ContextEntry *entry)
{
	uint8 binary[BINARY_MAX];
	phi_buffer in = {binary, 0, sizeof(binary)};
	char again[CONTEXT_SIZE];
	size_t size = strlen(text);

	memset(entry, 0, sizeof(ContextEntry));
	if (size < PREFIX_SIZE || memcmp(text, CONTEXT_PREFIX, PREFIX_SIZE) != 0 ||
		phi_base64url_decode(text + PREFIX_SIZE, size - PREFIX_SIZE, &in) != PHI_OK ||
		in.size < HEAD_SIZE)
		return false;
	entry->role = phi_get_u32(binary);
	entry->serial = phi_get_u64(binary + 4);
	entry->step_up_at = (TimestampTz) phi_get_u64(binary + 12);
	entry->expires_at = (TimestampTz) phi_get_u64(binary + 20);
	entry->allowed_purposes = phi_get_u64(binary + 28);
	entry->transaction = phi_get_u32(binary + 36);
	entry->purpose = binary[40];
	entry->login = binary[41] != 0;
	entry->local = binary[42] != 0;
	entry->role_count = binary[43];
	entry->group_count = binary[44];
	if (entry->role_count > SESSION_MAX_ROLES || entry->group_count > SESSION_MAX_GROUPS ||
		(entry->purpose != PHI_PURPOSE_NONE && entry->purpose >= phi_purpose_count()) ||
		!TakeNames(&in, entry))
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
	GUC_check_errhint("Use phi.login(), phi.set_purpose() and phi.logout().");
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
		(void) set_config_option(CONTEXT_NAME, text, PGC_USERSET, PGC_S_SESSION,
								 entry && entry->local ? GUC_ACTION_LOCAL : GUC_ACTION_SET, true, 0,
								 false);
	}
	PG_FINALLY();
	{
		Armed = NULL;
	}
	PG_END_TRY();
}

/* A login is carried on whole; an enrolled role's identity is only referred to. */
void
ContextOfSession(ContextEntry *entry)
{
	const SessionContext *session = SessionCurrent();

	if (session->source == SESSION_TOKEN)
	{
		memcpy(entry, Current, sizeof(ContextEntry));
		return;
	}
	memset(entry, 0, sizeof(ContextEntry));
	entry->role = GetSessionUserId();
	entry->serial = session->serial;
	entry->purpose = session->purpose_stated ? session->purpose : PHI_PURPOSE_NONE;
	entry->step_up_at = session->step_up_at;
}

void
ContextInit(void)
{
	DefineCustomStringVariable(
		CONTEXT_NAME, "What the session has stated to phi_guard.",
		"Set by phi.login(), phi.set_purpose() and phi.logout(), and by nothing else.",
		&ContextText, "", PGC_USERSET,
		GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE | GUC_NOT_WHILE_SEC_REST,
		CheckContext, AssignContext, ShowContext);
}
