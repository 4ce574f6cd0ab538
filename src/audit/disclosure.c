/*-------------------------------------------------------------------------
 * disclosure.c
 *		One line in the server's log for what a statement disclosed.
 *
 * reveal() notes the subject and relation of each value it opens.  When the
 * outermost ExecutorRun ends, before commit and prepare, and on abort, a line
 * for each relation says who saw, for which purpose, how many subjects: an
 * aborted or read-only transaction has disclosed all the same.  Lines are
 * written without looking anything up, since an aborted transaction cannot.
 *
 * Memory: noted pairs are in a context of their own, emptied with the line.
 * MAX_NOTES bounds it: a statement that discloses more has several lines, and
 * a subject may then be counted in each.
 *-------------------------------------------------------------------------
 */
#include "audit/audit.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "session/session.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define MAX_NOTES     1000000
#define RELATION_NAME (2 * (2 * NAMEDATALEN + 2) + 1) /* schema and name, quoted */

/* A subject whose values were disclosed. */
typedef struct DisclosedSubject
{
	uint64 token;
	char status; /* of simplehash */
} DisclosedSubject;

/* A token is the output of a keyed hash already. */
#define SH_PREFIX			 subjects
#define SH_ELEMENT_TYPE		 DisclosedSubject
#define SH_KEY_TYPE			 uint64
#define SH_KEY				 token
#define SH_HASH_KEY(tb, key) ((uint32) (key))
#define SH_EQUAL(tb, a, b)	 ((a) == (b))
#define SH_SCOPE			 static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

/* A relation that values were disclosed of, and the distinct subjects noted. */
typedef struct DisclosedRelation
{
	Oid relation;
	subjects_hash *subjects;
	char name[RELATION_NAME];
} DisclosedRelation;

/* What was noted since the last line: the relations, NULL when nothing was, and how many pairs. */
static HTAB *Relations = NULL;
static uint64 Noted = 0;
static MemoryContext Notes = NULL;

/* The pair noted last: the columns of a row come one after the other. */
static DisclosedRelation *LastRelation = NULL;
static uint64 LastToken;

/* Who saw them: taken with the first note, as an abort has no session to ask. */
static char NotedActor[SESSION_NAME_SIZE];
static const char *NotedPurpose = NULL;
static uint64 NotedSession = 0;

/* Executions under way, to know the outermost. */
static int ExecutionDepth = 0;

static ExecutorRun_hook_type NextExecutorRun = NULL;

/* Copy a name for a log line: what could forge another line or field becomes '?'. */
static void
CopyPlainly(char *to, const char *from, Size size)
{
	Size i;

	for (i = 0; i + 1 < size && from[i] != '\0'; i++)
		to[i] = (uint8) from[i] < 0x20 || from[i] == 0x7F || from[i] == '"' ? '?' : from[i];
	to[i] = '\0';
}

/* Take down who is looking, and make the tables. */
static void
BeginNotes(void)
{
	const SessionContext *session = SessionCurrent();
	HASHCTL control = {0};

	if (Notes == NULL)
		Notes = AllocSetContextCreate(TopMemoryContext, "phi_guard disclosures",
									  ALLOCSET_DEFAULT_SIZES);
	CopyPlainly(NotedActor, session->identified ? session->actor : "", sizeof(NotedActor));
	NotedPurpose = session->purpose_stated ? phi_purpose_code(session->purpose) : NULL;
	NotedSession = SessionGeneration();
	LastRelation = NULL;
	Noted = 0;

	control.hcxt = Notes;
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(DisclosedRelation);
	Relations =
		hash_create("disclosed relations", 8, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Append a name in quotes, whatever it is made of. */
static void
AppendQuoted(StringInfo line, const char *name)
{
	appendStringInfoChar(line, '"');
	for (; *name != '\0'; name++)
	{
		if (*name == '"')
			appendStringInfoChar(line, '"');
		appendStringInfoChar(line, (uint8) *name < 0x20 || *name == 0x7F ? '?' : *name);
	}
	appendStringInfoChar(line, '"');
}

/* Put down a relation's name in full: as the catalog has it, or as given where it is gone. */
static void
NameRelation(DisclosedRelation *entry, const char *given)
{
	char *name = OidIsValid(entry->relation) ? get_rel_name(entry->relation) : NULL;
	char *schema = name != NULL ? get_namespace_name(get_rel_namespace(entry->relation)) : NULL;
	StringInfoData line;

	initStringInfo(&line);
	if (schema != NULL)
	{
		AppendQuoted(&line, schema);
		appendStringInfoChar(&line, '.');
	}
	AppendQuoted(&line, name != NULL ? name : given != NULL ? given : "");
	strlcpy(entry->name, line.data, sizeof(entry->name));
	pfree(line.data);
}

/* The entry of a relation, made at its first note. */
static DisclosedRelation *
NotedRelation(Oid relation, const char *relation_name)
{
	bool found;
	DisclosedRelation *entry = hash_search(Relations, &relation, HASH_ENTER, &found);

	if (!found)
	{
		entry->name[0] = '\0';
		entry->subjects = NULL;
	}
	if (entry->subjects == NULL)
	{
		entry->subjects = subjects_create(Notes, 64, NULL);
		NameRelation(entry, relation_name);
	}
	return entry;
}

void
DisclosureNote(Oid relation, const char *relation_name, uint64 subject_token)
{
	bool found;

	if (Relations != NULL && (NotedSession != SessionGeneration() || Noted >= MAX_NOTES))
		DisclosureFlush();
	if (Relations == NULL)
		BeginNotes();
	if (LastRelation == NULL || LastRelation->relation != relation)
		LastRelation = NotedRelation(relation, relation_name);
	else if (LastToken == subject_token)
		return;
	subjects_insert(LastRelation->subjects, subject_token, &found);
	if (!found)
		Noted++;
	LastToken = subject_token;
}

/*
 * Write the lines, and forget what they say even if writing one fails: an
 * error here would otherwise repeat itself on abort.
 */
void
DisclosureFlush(void)
{
	HTAB *noted = Relations;
	HASH_SEQ_STATUS scan;
	DisclosedRelation *entry;

	if (noted == NULL)
		return;
	Relations = NULL;
	hash_seq_init(&scan, noted);
	while ((entry = hash_seq_search(&scan)) != NULL)
		ereport(LOG,
				errmsg_internal("phi_guard disclosure: actor \"%s\" purpose %s relation %s "
								"subjects " UINT64_FORMAT,
								NotedActor, NotedPurpose != NULL ? NotedPurpose : "none",
								entry->name,
								entry->subjects != NULL ? (uint64) entry->subjects->members : 0),
				errhidestmt(true), errhidecontext(true));
	MemoryContextReset(Notes);
}

/* ExecutorRun hook: the end of the outermost execution, or of a fetch from it, writes the line. */
static void
ExecutorRunNoting(EXECUTOR_RUN_ARGS)
{
	ExecutionDepth++;
	PG_TRY();
	{
		if (NextExecutorRun)
			NextExecutorRun(EXECUTOR_RUN_FORWARD);
		else
			standard_ExecutorRun(EXECUTOR_RUN_FORWARD);
	}
	PG_FINALLY();
	{
		ExecutionDepth--;
	}
	PG_END_TRY();
	if (unlikely(Relations != NULL) && ExecutionDepth == 0)
		DisclosureFlush();
}

/* Transaction callback: what was disclosed outside an execution, or before an error. */
static void
FlushAtEnd(XactEvent event, void *arg)
{
	if (Relations != NULL && (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE ||
							  event == XACT_EVENT_ABORT))
		DisclosureFlush();
}

void
DisclosureInit(void)
{
	RegisterXactCallback(FlushAtEnd, NULL);
	NextExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = ExecutorRunNoting;
}
