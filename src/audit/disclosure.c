/*-------------------------------------------------------------------------
 * disclosure.c
 *		Whose values were disclosed: notes, and the events made of them.
 *
 * reveal() notes subject, column and form of each value before it opens it.
 * Under phi.disclosure_audit = strict the note is an event, committed and
 * flushed, before the value leaves: at once where the query could pass it on,
 * and otherwise with up to AUDIT_BATCH_ROWS others, while the query's result
 * is held back (holding.c).  Within a statement each subject is recorded once
 * for the columns and forms that it is shown in.
 *
 * An event names one relation and one ground, up to AUDIT_BATCH_ROWS subjects,
 * the columns and forms that values of any of them were revealed in.  Who and
 * where are taken with the first note, as an abort has nobody to ask.
 *
 * Memory: the notes have a context of their own, emptied when the statement
 * ends.  MAX_NOTES bounds it: a statement that discloses more forgets what is
 * recorded, and may record a subject again.
 *-------------------------------------------------------------------------
 */
#include "audit/log.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "audit/disclosure.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "platform/registry.h"
#include "session/session.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define MAX_NOTES  1000000
#define MAX_SHOWN  64 /* columns in their forms of one relation: bits of a mask */
#define MAX_EVENTS 64 /* handed over at a time */

/* A subject: in which columns and forms it was noted, and whether it is among the pending. */
typedef struct DisclosedSubject
{
	uint64 token;
	uint64 noted;
	bool pending;
	char status; /* of simplehash */
} DisclosedSubject;

/* A token is the output of a keyed hash already. */
#define SH_PREFIX            subjects
#define SH_ELEMENT_TYPE      DisclosedSubject
#define SH_KEY_TYPE          uint64
#define SH_KEY               token
#define SH_HASH_KEY(tb, key) ((uint32) (key))
#define SH_EQUAL(tb, a, b)   ((a) == (b))
#define SH_SCOPE             static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

/* A column in a form. */
typedef struct ShownColumn
{
	uint16 column_id;
	phi_form form;
	bool pending;
	NameData name;
} ShownColumn;

/* What is the same for all of an event; without padding, as it is a key of a hash table. */
typedef struct DisclosedKey
{
	Oid relation;
	phi_reason reason;
	int64 break_glass_id;
} DisclosedKey;

/* A relation that values were disclosed of, on one ground. */
typedef struct DisclosedRelation
{
	DisclosedKey key;
	subjects_hash *subjects;
	uint64 *pending; /* tokens noted and not recorded */
	int pending_count;
	int pending_size;
	int shown_count;
	int shown_size;
	ShownColumn *shown;
	char name[LOG_NAME_SIZE];
} DisclosedRelation;

static const struct config_enum_entry Modes[] = {
	{"strict", DISCLOSURE_STRICT, false},
	{"batched", DISCLOSURE_BATCHED, false},
	{"log", DISCLOSURE_LOG, false},
	{NULL, 0, false},
};

static const struct config_enum_entry StandbyModes[] = {
	{"refuse", DISCLOSURE_STRICT, false},
	{"log", DISCLOSURE_LOG, false},
	{NULL, 0, false},
};

/* Settings phi.disclosure_audit and phi.standby_audit. */
static int AuditMode = DISCLOSURE_STRICT;
static int StandbyMode = DISCLOSURE_STRICT;

/* The notes of the statement, NULL when there are none; how many, and how many of them pending. */
static HTAB *Relations = NULL;
static uint64 Noted = 0;
static int Pending = 0;
static MemoryContext Notes = NULL;

/* What was noted last: the columns of a row come one after the other. */
static DisclosedRelation *LastRelation = NULL;
static DisclosedSubject *LastSubject = NULL;

/* Who sees them: the columns of an event that all have in common. */
static EventRow Base;
static char NotedActor[SESSION_NAME_SIZE];
static const char *NotedPurpose = NULL;
static uint64 NotedSession = 0;
static bool NotedStepUp = false;

DisclosureMode
DisclosureModeNow(void)
{
	return RecoveryInProgress() ? StandbyMode : AuditMode;
}

bool
DisclosurePending(void)
{
	return Pending > 0;
}

void
DisclosureForget(void)
{
	if (Relations == NULL)
		return;
	Relations = NULL;
	LastRelation = NULL;
	LastSubject = NULL;
	Noted = 0;
	Pending = 0;
	MemoryContextReset(Notes);
}

/* ---- noting ---- */

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
	MemoryContext old;

	if (Notes == NULL)
		Notes = AllocSetContextCreate(TopMemoryContext, "phi_guard disclosures",
									  ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(Notes);
	CopyPlainly(NotedActor, session->identified ? session->actor : "", sizeof(NotedActor));
	NotedPurpose = session->purpose_stated ? phi_purpose_code(session->purpose) : NULL;
	NotedSession = SessionGeneration();
	NotedStepUp = session->step_up_fresh;
	old = MemoryContextSwitchTo(Notes);
	EventBegin(&Base, GetCurrentTimestamp());
	(void) EventShape();
	MemoryContextSwitchTo(old);

	control.hcxt = Notes;
	control.keysize = sizeof(DisclosedKey);
	control.entrysize = sizeof(DisclosedRelation);
	Relations =
		hash_create("disclosed relations", 4, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Put down a relation's name in full: as the catalog has it, or as given where it is gone. */
static void
NameRelation(DisclosedRelation *entry, const char *given)
{
	const char *name = LogRelationName(entry->key.relation);

	strlcpy(entry->name, name != NULL ? name : quote_identifier(given), sizeof(entry->name));
}

/* The entry of a column's relation on a ground, made at its first note. */
static DisclosedRelation *
NotedRelation(const ProtectedColumn *column, const DisclosureGround *ground)
{
	DisclosedKey key = {column->relation, ground->reason, ground->break_glass_id};
	bool found;
	DisclosedRelation *entry = hash_search(Relations, &key, HASH_ENTER, &found);

	if (!found)
	{
		memset((char *) entry + sizeof(key), 0, sizeof(*entry) - sizeof(key));
		entry->subjects = subjects_create(Notes, 16, NULL);
		entry->pending_size = 16;
		entry->pending = MemoryContextAlloc(Notes, sizeof(uint64) * entry->pending_size);
		entry->shown_size = 4;
		entry->shown = MemoryContextAlloc(Notes, sizeof(ShownColumn) * entry->shown_size);
		NameRelation(entry, NameStr(column->relation_name));
	}
	return entry;
}

/* The number of a column in a form; MAX_SHOWN when every number is taken. */
static int
ShownNumber(DisclosedRelation *entry, const ProtectedColumn *column, phi_form form)
{
	ShownColumn *shown;
	int i;

	for (i = 0; i < entry->shown_count; i++)
	{
		if (entry->shown[i].column_id == column->column_id && entry->shown[i].form == form)
			return i;
	}
	if (i == MAX_SHOWN)
		return i;
	if (i == entry->shown_size)
	{
		entry->shown_size *= 4;
		entry->shown = repalloc(entry->shown, sizeof(ShownColumn) * entry->shown_size);
	}
	shown = &entry->shown[entry->shown_count++];
	shown->column_id = column->column_id;
	shown->form = form;
	shown->pending = false;
	shown->name = column->name;
	return i;
}

/* Put a subject among the pending. */
static void
AddPending(DisclosedRelation *entry, DisclosedSubject *subject)
{
	if (subject->pending)
		return;
	if (entry->pending_count == entry->pending_size)
	{
		entry->pending_size *= 2;
		entry->pending = repalloc_huge(entry->pending, sizeof(uint64) * entry->pending_size);
	}
	entry->pending[entry->pending_count++] = subject->token;
	subject->pending = true;
	Pending++;
}

/* Is it the entry of a column's relation on a ground? */
static bool
IsNotedFor(const DisclosedRelation *entry, const ProtectedColumn *column,
		   const DisclosureGround *ground)
{
	return entry != NULL && entry->key.relation == column->relation &&
		   entry->key.reason == ground->reason &&
		   entry->key.break_glass_id == ground->break_glass_id;
}

/* Note the value, if that is new. */
static void
AddNote(const ProtectedColumn *column, phi_form form, uint64 token, const DisclosureGround *ground)
{
	uint64 bit;
	int number;

	if (!IsNotedFor(LastRelation, column, ground))
	{
		LastRelation = NotedRelation(column, ground);
		LastSubject = NULL;
	}
	number = ShownNumber(LastRelation, column, form);
	if (number == MAX_SHOWN)
	{
		DisclosureFlush();
		DisclosureForget();
		BeginNotes();
		AddNote(column, form, token, ground);
		return;
	}
	if (LastSubject == NULL || LastSubject->token != token)
	{
		bool found;

		LastSubject = subjects_insert(LastRelation->subjects, token, &found);
		if (!found)
		{
			LastSubject->noted = 0;
			LastSubject->pending = false;
			Noted++;
		}
	}
	bit = UINT64CONST(1) << number;
	if (LastSubject->noted & bit)
		return;
	/* Only a new patient ends an event: its row is complete then. */
	if (Pending >= AUDIT_BATCH_ROWS && !LastSubject->pending &&
		DisclosureModeNow() != DISCLOSURE_LOG)
		DisclosureFlush();
	LastSubject->noted |= bit;
	LastRelation->shown[number].pending = true;
	AddPending(LastRelation, LastSubject);
}

void
DisclosureNote(const ProtectedColumn *column, phi_form form, uint64 subject_token,
			   const DisclosureGround *ground, bool shown)
{
	DisclosureMode mode = DisclosureModeNow();

	if (IsParallelWorker())
		ereport(ERROR, errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				errmsg("cannot reveal a value in a parallel worker"));
	if (Relations != NULL &&
		(NotedSession != SessionGeneration() || Noted >= MAX_NOTES || !DisclosureInStatement()))
	{
		DisclosureFlush();
		DisclosureForget();
	}
	if (Relations == NULL)
		BeginNotes();
	AddNote(column, form, subject_token, ground);
	if (Pending == 0 || !shown || mode != DISCLOSURE_STRICT)
		return;
	if (DisclosureHeld())
		DisclosureQuiet();
	else
		DisclosureFlush();
}

/* ---- recording ---- */

/* Columns and forms of an event. */
static void
DescribeShown(EventRow *row, const DisclosedRelation *entry)
{
	const char *names[MAX_SHOWN];
	StringInfoData forms;
	int count = 0;
	int i;
	int j;

	initStringInfo(&forms);
	for (i = 0; i < entry->shown_count; i++)
	{
		const ShownColumn *shown = &entry->shown[i];

		if (!shown->pending)
			continue;
		if (forms.len > 0)
			appendStringInfoString(&forms, ", ");
		appendStringInfoString(&forms, quote_identifier(NameStr(shown->name)));
		appendStringInfoChar(&forms, ' ');
		appendStringInfoString(&forms, phi_form_name(shown->form));
		for (j = 0; j < count && strcmp(names[j], NameStr(shown->name)) != 0; j++)
			;
		if (j == count)
			names[count++] = NameStr(shown->name);
	}
	if (NotedStepUp)
		appendStringInfoString(&forms, "; step-up");
	EventSetTexts(row, EVENT_COLUMN_NAMES, names, count);
	EventSetText(row, EVENT_DETAIL, forms.data);
}

/* The record of some pending subjects of a relation. */
static MinimalTuple
RecordOf(const DisclosedRelation *entry, int first, int count)
{
	EventRow row = Base;
	AuditEvent event = {0};

	row.values[EVENT_RECORDED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	event.action = "disclose";
	event.reason = phi_reason_code(entry->key.reason);
	event.break_glass_id = entry->key.break_glass_id;
	event.row_count = count;
	event.subjects = entry->pending + first;
	EventFill(&row, &event);
	EventSetText(&row, EVENT_RELATION, entry->name);
	if (OidIsValid(entry->key.relation))
	{
		row.values[EVENT_RELATION_OID] = ObjectIdGetDatum(entry->key.relation);
		row.isnull[EVENT_RELATION_OID] = false;
	}
	DescribeShown(&row, entry);
	return EventRecord(&row);
}

/* What is pending becomes noted only; the records of it are in place. */
static void
ClearPending(DisclosedRelation *entry)
{
	int i;

	for (i = 0; i < entry->pending_count; i++)
		subjects_lookup(entry->subjects, entry->pending[i])->pending = false;
	for (i = 0; i < entry->shown_count; i++)
		entry->shown[i].pending = false;
	Pending -= entry->pending_count;
	entry->pending_count = 0;
}

/* Take up to limit records of what is pending; returns their number. */
static int
TakeRecords(MinimalTuple *records, int limit)
{
	HASH_SEQ_STATUS scan;
	DisclosedRelation *entry;
	int count = 0;

	hash_seq_init(&scan, Relations);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		int first;

		if (entry->pending_count == 0)
			continue;
		if (count + 1 + (entry->pending_count - 1) / AUDIT_BATCH_ROWS > limit)
		{
			hash_seq_term(&scan);
			break;
		}
		for (first = 0; first < entry->pending_count; first += AUDIT_BATCH_ROWS)
			records[count++] =
				RecordOf(entry, first, Min(AUDIT_BATCH_ROWS, entry->pending_count - first));
		ClearPending(entry);
	}
	return count;
}

/* A line in the server's log for each relation; nothing is left pending. */
static void
WriteLines(void)
{
	HASH_SEQ_STATUS scan;
	DisclosedRelation *entry;

	hash_seq_init(&scan, Relations);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		int count = entry->pending_count;

		if (count == 0)
			continue;
		ClearPending(entry);
		ereport(LOG,
				errmsg_internal("phi_guard disclosure: actor \"%s\" purpose %s relation %s "
								"subjects %d",
								NotedActor, NotedPurpose != NULL ? NotedPurpose : "none",
								entry->name, count),
				errhidestmt(true), errhidecontext(true));
	}
}

/* Record what is pending by one of the functions below. */
static void
Flush(void (*hand_over)(const MinimalTuple *records, int count))
{
	MemoryContext work =
		AllocSetContextCreate(CurrentMemoryContext, "phi_guard events", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);
	MinimalTuple records[MAX_EVENTS];
	int count;

	while (Pending > 0 && (count = TakeRecords(records, MAX_EVENTS)) > 0)
	{
		hand_over(records, count);
		MemoryContextReset(work);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}

/* Hand records over without waiting. */
static void
PutAll(const MinimalTuple *records, int count)
{
	int i;

	for (i = 0; i < count; i++)
		DurablePut(records[i]);
}

/* The same from an abort. */
static void
PutNow(const MinimalTuple *records, int count)
{
	int i;

	for (i = 0; i < count; i++)
	{
		if (!QueuePutNow(records[i], records[i]->t_len))
			ereport(LOG,
					errmsg("phi_guard: events of an aborted transaction could not be recorded"),
					errhidestmt(true), errhidecontext(true));
	}
}

/* Raise on a standby that may not disclose. */
static void
RequireDisclosing(void)
{
	if (RecoveryInProgress())
		ereport(ERROR, errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				errmsg("a disclosure cannot be recorded on a standby"),
				errhint("phi.standby_audit = log records disclosures in the standby's own log."));
}

/* An error forgets every note: what is pending was not shown, and does not concern the next statement. */
static void
FlushOrForget(void (*hand_over)(const MinimalTuple *records, int count))
{
	PG_TRY();
	{
		Flush(hand_over);
	}
	PG_CATCH();
	{
		DisclosureForget();
		PG_RE_THROW();
	}
	PG_END_TRY();
}

void
DisclosureFlush(void)
{
	DisclosureMode mode = DisclosureModeNow();

	if (Pending == 0)
		return;
	if (mode == DISCLOSURE_LOG)
	{
		WriteLines();
		return;
	}
	if (RecoveryInProgress())
		DisclosureForget();
	RequireDisclosing();
	FlushOrForget(mode == DISCLOSURE_STRICT ? DurableWrite : PutAll);
}

void
DisclosureFlushForError(void)
{
	if (Pending == 0)
		return;
	if (DisclosureModeNow() == DISCLOSURE_STRICT && !RecoveryInProgress())
		FlushOrForget(DurableWriteBlindly);
	else
		DisclosureFlushAtAbort();
}

void
DisclosureFlushAtAbort(void)
{
	if (Pending == 0)
		return;
	if (RecoveryInProgress() || AuditMode == DISCLOSURE_LOG)
		WriteLines();
	else
		Flush(PutNow);
	DisclosureForget();
}

void
DisclosureInit(void)
{
	DefineCustomEnumVariable("phi.disclosure_audit",
							 "How disclosures are recorded: strict, batched or log.",
							 "strict: before a value is shown; batched: soon afterwards; log: as a "
							 "line in the server's log alone.",
							 &AuditMode, DISCLOSURE_STRICT, Modes, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable(
		"phi.standby_audit", "What a standby does, which cannot record events: refuse or log.",
		"refuse: nothing is revealed; log: a line in the standby's own log.", &StandbyMode,
		DISCLOSURE_STRICT, StandbyModes, PGC_SUSET, 0, NULL, NULL, NULL);
	HoldingInit();
}
