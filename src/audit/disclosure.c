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
#include "utils/memutils.h"

#define MAX_NOTES	  1000000
#define RELATION_NAME (2 * (2 * NAMEDATALEN + 3)) /* schema and name, quoted */

/* A relation that values were disclosed of. */
typedef struct DisclosedRelation
{
	Oid relation;
	uint64 subjects; /* distinct ones noted */
	char name[RELATION_NAME];
} DisclosedRelation;

/* A subject of it. */
typedef struct DisclosedSubject
{
	Oid relation;
	uint32 unused; /* no undefined bytes in a hash key */
	uint64 token;
} DisclosedSubject;

/* What was noted since the last line; both NULL when nothing was. */
static HTAB *relations = NULL;
static HTAB *subjects = NULL;
static MemoryContext notes = NULL;

/* The pair noted last: the columns of a row come one after the other. */
static DisclosedSubject last_note;

/* Who saw them: taken with the first note, as an abort has no session to ask. */
static char noted_actor[SESSION_NAME_SIZE];
static const char *noted_purpose = NULL;
static uint64 noted_session = 0;

/* Executions under way, to know the outermost. */
static int execution_depth = 0;

static ExecutorRun_hook_type next_executor_run = NULL;

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

	if (notes == NULL)
		notes = AllocSetContextCreate(TopMemoryContext, "phi_guard disclosures",
									  ALLOCSET_DEFAULT_SIZES);
	CopyPlainly(noted_actor, session->identified ? session->actor : "", sizeof(noted_actor));
	noted_purpose = session->purpose_stated ? phi_purpose_code(session->purpose) : NULL;
	noted_session = SessionGeneration();
	memset(&last_note, 0, sizeof(last_note));

	control.hcxt = notes;
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(DisclosedRelation);
	relations = hash_create("disclosed relations", 8, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	control.keysize = sizeof(DisclosedSubject);
	control.entrysize = sizeof(DisclosedSubject);
	subjects = hash_create("disclosed subjects", 64, &control,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Count a subject of a relation that was not noted before. */
static void
CountSubject(Oid relation, const char *relation_name)
{
	bool found;
	DisclosedRelation *entry = hash_search(relations, &relation, HASH_ENTER, &found);
	int i;

	if (!found)
	{
		entry->subjects = 0;
		strlcpy(entry->name, relation_name != NULL ? relation_name : "", sizeof(entry->name));
		for (i = 0; entry->name[i] != '\0'; i++)
		{
			if ((uint8) entry->name[i] < 0x20 || entry->name[i] == 0x7F)
				entry->name[i] = '?';
		}
	}
	entry->subjects++;
}

void
DisclosureNote(Oid relation, const char *relation_name, uint64 subject_token)
{
	DisclosedSubject note = {relation, 0, subject_token};
	bool found;

	if (subjects != NULL && noted_session != SessionGeneration())
		DisclosureFlush();
	if (subjects == NULL)
		BeginNotes();
	else if (memcmp(&note, &last_note, sizeof(note)) == 0)
		return;
	else if (hash_get_num_entries(subjects) >= MAX_NOTES)
	{
		DisclosureFlush();
		BeginNotes();
	}
	hash_search(subjects, &note, HASH_ENTER, &found);
	if (!found)
		CountSubject(relation, relation_name);
	last_note = note;
}

/*
 * Write the lines, and forget what they say even if writing one fails: an
 * error here would otherwise repeat itself on abort.
 */
void
DisclosureFlush(void)
{
	HTAB *noted = relations;
	HASH_SEQ_STATUS scan;
	DisclosedRelation *entry;

	if (noted == NULL)
		return;
	relations = NULL;
	subjects = NULL;
	hash_seq_init(&scan, noted);
	while ((entry = hash_seq_search(&scan)) != NULL)
		ereport(LOG, errmsg_internal("phi_guard disclosure: actor \"%s\" purpose %s relation %s "
									 "subjects " UINT64_FORMAT,
									 noted_actor, noted_purpose != NULL ? noted_purpose : "none",
									 entry->name[0] != '\0' ? entry->name : "none",
									 entry->subjects),
				errhidestmt(true), errhidecontext(true));
	MemoryContextReset(notes);
}

/* ExecutorRun hook: the end of the outermost execution, or of a fetch from it, writes the line. */
static void
ExecutorRunNoting(EXECUTOR_RUN_ARGS)
{
	execution_depth++;
	PG_TRY();
	{
		if (next_executor_run)
			next_executor_run(EXECUTOR_RUN_FORWARD);
		else
			standard_ExecutorRun(EXECUTOR_RUN_FORWARD);
	}
	PG_FINALLY();
	{
		execution_depth--;
	}
	PG_END_TRY();
	if (unlikely(relations != NULL) && execution_depth == 0)
		DisclosureFlush();
}

/* Transaction callback: what was disclosed outside an execution, or before an error. */
static void
FlushAtEnd(XactEvent event, void *arg)
{
	if (relations != NULL &&
		(event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE ||
		 event == XACT_EVENT_ABORT))
		DisclosureFlush();
}

void
DisclosureInit(void)
{
	RegisterXactCallback(FlushAtEnd, NULL);
	next_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = ExecutorRunNoting;
}
