/*-------------------------------------------------------------------------
 * evaluate.c
 *		phi.evaluate_consent(): what the stored consents say to a request of
 *		any session, row and instant.
 *
 * The request is JSON (docs/consent.md); what it leaves out is unknown.  Roles,
 * step-up, break-glass and defaults have no part in the answer.
 *-------------------------------------------------------------------------
 */
#include "consent/fhir_json.h"
#include "consent/verdict.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "datatype/timestamp.h"
#include "funcapi.h"
#include "keyring/keyring.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(phi_evaluate_consent);

/* A request cannot be read: say which member it was, not what it holds. */
static PHI_NORETURN void
BadRequest(const char *member)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("member \"%s\" of the request is not understood", member)));
}

/* A text member; NULL when it is absent or null. */
static char *
RequestText(JsonbContainer *request, const char *name)
{
	JsonbValue *value = FhirMember(request, name);

	if (!value || value->type == jbvNull)
		return NULL;
	if (value->type != jbvString)
		BadRequest(name);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* A member that is an array of texts; false when it is absent or null. */
static bool
RequestTexts(JsonbContainer *request, const char *name, List **texts)
{
	JsonbValue *value = FhirMember(request, name);
	JsonbContainer *array;

	*texts = NIL;
	if (!value || value->type == jbvNull)
		return false;
	array = value->type == jbvBinary ? value->val.binary.data : NULL;
	if (!array || !JsonContainerIsArray(array))
		BadRequest(name);
	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);

		if (element->type != jbvString)
			BadRequest(name);
		*texts = lappend(*texts, pnstrdup(element->val.string.val, element->val.string.len));
	}
	return true;
}

/* A member that is a time, as the span that it covers. */
static bool
RequestTime(JsonbContainer *request, const char *name, int64 *from, int64 *until)
{
	char *text = RequestText(request, name);

	if (text && !FhirTimeRead(text, from, until))
		BadRequest(name);
	return text != NULL;
}

/* "system|code". */
static FhirCoding
CodingOf(char *text, const char *member)
{
	char *bar = strrchr(text, '|');
	FhirCoding coding;

	if (!bar)
		BadRequest(member);
	*bar = '\0';
	coding.system = text;
	coding.code = bar + 1;
	return coding;
}

/* An actor: a FHIR reference, or a prefix and a name. */
static uint64
RequestActor(const char *text)
{
	static const char *const prefixes[] = {"actor", "role", "organization", "group"};
	FhirActor actor;

	if (FhirActorOfReference(text, &actor))
		return ActorReference(actor.prefix, actor.name);
	for (int i = 0; i < lengthof(prefixes); i++)
	{
		size_t size = strlen(prefixes[i]);

		if (strncmp(text, prefixes[i], size) == 0 && text[size] == ':')
			return ActorReference(prefixes[i], text + size + 1);
	}
	BadRequest("actors");
}

/* Who, what for, what and when. */
static void
ReadContext(JsonbContainer *request, phi_consent_request *out)
{
	char *purpose = RequestText(request, "purpose");
	char *action = RequestText(request, "action");
	uint64 *actors;
	int64 until;
	List *texts;
	ListCell *cell;

	if (!RequestTime(request, "now", &out->now, &until))
		out->now = GetCurrentStatementStartTimestamp() +
				   (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	if (RequestTexts(request, "actors", &texts))
	{
		actors = palloc(sizeof(uint64) * (list_length(texts) + 1));
		foreach (cell, texts)
			actors[out->actor_count++] = RequestActor(lfirst(cell));
		out->actors = actors;
	}
	out->purpose = PHI_PURPOSE_NONE;
	if (purpose && strchr(purpose, '|'))
	{
		FhirCoding coding = CodingOf(purpose, "purpose");

		out->own_purpose = FhirCodingReference("purpose", &coding);
	}
	else if (purpose &&
			 (out->purpose = phi_purpose_find(purpose, strlen(purpose))) == PHI_PURPOSE_NONE)
		BadRequest("purpose");
	out->action = action ? phi_action_find(action, strlen(action)) : PHI_ACTION_NONE;
	if (action && out->action == PHI_ACTION_NONE)
		BadRequest("action");
}

/* The labels of the row, and what it counts as without any. */
static void
ReadRowLabels(JsonbContainer *request, phi_consent_row *row)
{
	char *unlabelled = RequestText(request, "unlabelled");
	List *texts;
	ListCell *cell;

	row->labels_known = RequestTexts(request, "labels", &texts);
	foreach (cell, texts)
		if (!phi_labels_add(&row->labels, lfirst(cell), strlen(lfirst(cell))))
			BadRequest("labels");
	if (!unlabelled)
		return;
	row->unlabelled_rank = phi_confidentiality_rank(unlabelled, strlen(unlabelled));
	if (row->unlabelled_rank == 0)
		BadRequest("unlabelled");
}

/* A reference Type/id, or NULL. */
static char *
RequestReference(JsonbContainer *request, const char *name)
{
	char *text = RequestText(request, name);
	const char *type;
	int size;

	if (text && !FhirReferenceType(text, &type, &size))
		BadRequest(name);
	return text;
}

/* What the row is, refers to and was written by. */
static void
ReadRowReferences(JsonbContainer *request, phi_consent_row *row)
{
	char *resource = RequestReference(request, "resource");
	char *author = RequestReference(request, "author");
	char *encounter = RequestText(request, "encounter");
	phi_consent_link *links;
	List *texts;
	ListCell *cell;

	if (resource)
		row->instance = ActorReference("data", resource);
	if (author)
	{
		uint64 *authors = palloc(sizeof(uint64));

		*authors = ActorReference("data", author);
		row->authors = authors;
		row->author_count = 1;
	}
	(void) RequestTexts(request, "references", &texts);
	if (encounter && strcmp(encounter, "none") != 0)
		texts = lappend(texts, encounter);
	links = palloc(sizeof(phi_consent_link) * (list_length(texts) + 1));
	foreach (cell, texts)
	{
		uint64 type = FhirTypeReference(lfirst(cell));

		if (type == 0)
			BadRequest("references");
		links[row->link_count++] = (phi_consent_link){type, ActorReference("data", lfirst(cell))};
	}
	if (encounter && strcmp(encounter, "none") == 0)
		links[row->link_count++] = (phi_consent_link){ActorReference("class", "Encounter"), 0};
	row->links = links;
}

/* The row's class, codes and time. */
static void
ReadRowKind(JsonbContainer *request, phi_consent_row *row)
{
	char *class = RequestText(request, "class");
	uint64 *codes;
	List *texts;
	ListCell *cell;

	if (class)
		row->class_reference = ActorReference("class", class);
	row->codes_known = RequestTexts(request, "codes", &texts);
	codes = palloc(sizeof(uint64) * (list_length(texts) + 1));
	foreach (cell, texts)
	{
		FhirCoding coding = CodingOf(lfirst(cell), "codes");

		codes[row->code_count++] = FhirCodingReference("code", &coding);
	}
	row->codes = codes;
	row->time_known = RequestTime(request, "data_time", &row->time_from, &row->time_until);
}

/* Nothing that is not understood: it might have mattered. */
static void
CheckRequest(JsonbContainer *request)
{
	static const char *const members[] = {"subject",    "now",       "actors", "purpose",
										  "action",     "resource",  "class",  "labels",
										  "unlabelled", "data_time", "author", "encounter",
										  "references", "codes",     NULL};
	FhirReader reader = {0};

	if (!JsonContainerIsObject(request))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a request is a JSON object")));
	FhirOnly(&reader, request, members);
	if (reader.problem)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the request has a member that is not understood")));
}

/* What the consents of one subject say. */
static phi_verdict
EvaluateSubject(char *subject, const phi_consent_request *request, int64 *directive)
{
	const char *key = strncmp(subject, "Patient/", 8) == 0 ? subject + 8 : subject;
	char *utf8 = pg_server_to_any(key, strlen(key), PG_UTF8);

	return CombineConsents(PhiRelation("consent"), SubjectTokenOfText(utf8, strlen(utf8)), request,
						   directive);
}

/* The subjects of the request: one, or an array. */
static List *
RequestSubjects(JsonbContainer *request)
{
	JsonbValue *value = FhirMember(request, "subject");
	List *subjects = NIL;

	if (value && value->type == jbvString)
		subjects = list_make1(RequestText(request, "subject"));
	else
		(void) RequestTexts(request, "subject", &subjects);
	if (subjects == NIL)
		BadRequest("subject");
	return subjects;
}

/*
 * phi.evaluate_consent(request): the verdict, and the consent that decided,
 * null when none did.  Of several subjects the one that decides names it.
 */
Datum
phi_evaluate_consent(PG_FUNCTION_ARGS)
{
	static const char *const words[] = {"NA", "PERMIT", "DENY"};
	JsonbContainer *given = &PG_GETARG_JSONB_P(0)->root;
	phi_consent_row row = {0};
	phi_consent_request request = {.row = &row};
	phi_verdict verdict = PHI_VERDICT_PERMIT;
	int64 directive = 0;
	TupleDesc desc;
	Datum values[2];
	bool nulls[2] = {false, false};
	ListCell *cell;
	List *subjects;

	RequirePreload();
	NoteSensitiveStatement();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	CheckRequest(given);
	subjects = RequestSubjects(given);
	ReadContext(given, &request);
	ReadRowLabels(given, &row);
	ReadRowReferences(given, &row);
	ReadRowKind(given, &row);
	foreach (cell, subjects)
	{
		int64 decided;
		phi_verdict one = EvaluateSubject(lfirst(cell), &request, &decided);
		phi_verdict both = phi_verdict_combine_subjects(verdict, one);

		if (cell == list_head(subjects) || both != verdict)
			directive = decided;
		verdict = both;
	}
	values[0] = CStringGetTextDatum(words[verdict]);
	values[1] = Int64GetDatum(directive);
	nulls[1] = directive == 0 || verdict == PHI_VERDICT_NA;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
