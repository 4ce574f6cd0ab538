/*-------------------------------------------------------------------------
 * test_pcf.c
 *		The IHE PCF decision cases of the shared data, and cases of our own for
 *		what they do not reach, against compiled directives.
 *
 * The FHIR reading here is that of a test: it takes the PCF examples, R4 all.
 *-------------------------------------------------------------------------
 */
#include "check.h"
#include "directive_source.h"
#include "json.h"

#define LISTED_MAX 16

/* A reference: any function of its text that does not collide will do. */
static uint64_t
reference(const char *prefix, const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (; *prefix; prefix++)
		hash = (hash ^ (uint8_t) *prefix) * UINT64_C(1099511628211);
	for (hash *= 31; *text; text++)
		hash = (hash ^ (uint8_t) *text) * UINT64_C(1099511628211);
	return hash;
}

/* The class of Type/id. */
static uint64_t
type_of(const char *text)
{
	char type[64];

	snprintf(type, sizeof(type), "%.*s", (int) strcspn(text, "/"), text);
	return reference("class", type);
}

/* A date, or a time with seconds and zone, as a span in microseconds since 1970. */
static void
read_time(const char *text, int64_t *from, int64_t *until)
{
	int year;
	int month;
	int day;
	int hour = 0;
	int minute = 0;
	int second = 0;
	int zone = 0;
	int read = 0;
	int64_t days;

	if (sscanf(text, "%d-%d-%d%n", &year, &month, &day, &read) != 3)
		abort();
	days = 365 * (int64_t) (year - (month <= 2)) + (year - (month <= 2)) / 4 -
		   (year - (month <= 2)) / 100 + (year - (month <= 2)) / 400 +
		   (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1 - 719468;
	if (text[read] == 'T')
	{
		if (sscanf(text + read, "T%d:%d:%d", &hour, &minute, &second) != 3)
			abort();
		if (text[read + 9] == '-')
			zone = -atoi(text + read + 10);
	}
	*from = ((days * 24 + hour - zone) * 60 + minute) * 60000000 + second * INT64_C(1000000);
	*until = *from + (text[read] == 'T' ? 1000000 : INT64_C(86400000000));
}

static bool
read_period(const json *period, int64_t *from, int64_t *until)
{
	int64_t ignored;

	*from = PHI_TIME_MIN;
	*until = PHI_TIME_MAX;
	if (json_get(period, "start"))
		read_time(json_text(json_get(period, "start")), from, &ignored);
	if (json_get(period, "end"))
		read_time(json_text(json_get(period, "end")), &ignored, until);
	return period != NULL;
}

static void
read_labels(const json *provision, phi_provision *out)
{
	const json *labels = json_get(provision, "securityLabel");
	size_t i;

	for (i = 0; i < json_count(labels); i++)
	{
		const char *code = json_text(json_get(json_at(labels, i), "code"));
		unsigned rank = phi_confidentiality_rank(code, strlen(code));

		out->sensitivities |= phi_sensitivity_below(code, strlen(code));
		if (rank && (!out->rank ||
					 (out->effect == PHI_VERDICT_PERMIT ? rank > out->rank : rank < out->rank)))
			out->rank = (uint8_t) rank;
	}
}

static void
read_purposes(const json *provision, phi_provision *out)
{
	const json *listed = json_get(provision, "purpose");
	phi_purpose *rows = source_alloc(LISTED_MAX);
	uint64_t *own = source_alloc(LISTED_MAX * 8);
	char text[200];
	size_t i;

	for (i = 0; i < json_count(listed); i++)
	{
		const char *code = json_text(json_get(json_at(listed, i), "code"));

		rows[out->purpose_count] = phi_purpose_find(code, strlen(code));
		snprintf(text, sizeof(text), "%s|%s", json_text(json_get(json_at(listed, i), "system")),
				 code);
		if (rows[out->purpose_count] != PHI_PURPOSE_NONE)
			out->purpose_count++;
		else
			own[out->own_purpose_count++] = reference("purpose", text);
	}
	out->purposes = rows;
	out->own_purposes = own;
}

static void
read_references(const json *provision, phi_provision *out)
{
	static const char *const meanings[] = {"", "instance", "related", "dependents", "authoredby"};
	const json *actors = json_get(provision, "actor");
	const json *data = json_get(provision, "data");
	uint64_t *actor_list = source_alloc(LISTED_MAX * 8);
	phi_data_reference *data_list = source_alloc(LISTED_MAX * sizeof(*data_list));
	size_t i;
	int meaning;

	out->actors = actor_list;
	out->data = data_list;
	for (i = 0; i < json_count(actors); i++)
		actor_list[out->actor_count++] = reference(
			"actor", json_text(json_get(json_get(json_at(actors, i), "reference"), "reference")));
	for (i = 0; i < json_count(data); i++)
	{
		const char *text =
			json_text(json_get(json_get(json_at(data, i), "reference"), "reference"));

		for (meaning = 1;
			 strcmp(json_text(json_get(json_at(data, i), "meaning")), meanings[meaning]) != 0;)
			meaning++;
		data_list[out->data_count++] = (phi_data_reference){(phi_data_meaning) meaning,
															type_of(text), reference("data", text)};
	}
}

static void
read_provision(const json *given, phi_provision *out)
{
	const json *nested = json_get(given, "provision");
	phi_provision *list = source_alloc(LISTED_MAX * sizeof(*list));
	size_t i;

	memset(out, 0, sizeof(*out));
	out->effect = strcmp(json_text(json_get(given, "type")), "permit") == 0 ? PHI_VERDICT_PERMIT
																			: PHI_VERDICT_DENY;
	out->has_period = read_period(json_get(given, "period"), &out->from, &out->until);
	out->has_data_period =
		read_period(json_get(given, "dataPeriod"), &out->data_from, &out->data_until);
	read_labels(given, out);
	read_purposes(given, out);
	read_references(given, out);
	out->provisions = list;
	for (i = 0; i < json_count(nested); i++)
		read_provision(json_at(nested, i), &list[out->provision_count++]);
}

/* Who, what for and when. */
static void
read_context(const json *given, phi_consent_request *request, uint64_t actors[LISTED_MAX])
{
	const json *listed = json_get(given, "actors");
	const char *purpose = json_text(json_get(given, "purpose"));
	const char *action = json_text(json_get(given, "action"));
	int64_t until;

	read_time(json_text(json_get(given, "now")), &request->now, &until);
	request->actors = actors;
	for (; request->actor_count < json_count(listed); request->actor_count++)
		actors[request->actor_count] =
			reference("actor", json_text(json_at(listed, request->actor_count)));
	request->purpose = phi_purpose_find(purpose, strlen(purpose));
	if (request->purpose == PHI_PURPOSE_NONE)
		request->own_purpose = reference("purpose", purpose);
	request->action = phi_action_find(action, strlen(action));
}

/* Which row. */
static void
read_row(const json *given, phi_consent_row *row, uint64_t *author, phi_consent_link *link)
{
	const json *labels = json_get(given, "labels");
	const char *unlabelled = json_text(json_get(given, "unlabelled"));
	size_t i;

	row->labels_known = true;
	for (i = 0; i < json_count(labels); i++)
		CHECK(phi_labels_add(&row->labels, json_text(json_at(labels, i)),
							 strlen(json_text(json_at(labels, i)))));
	row->unlabelled_rank = (uint8_t) phi_confidentiality_rank(unlabelled, strlen(unlabelled));
	row->class_reference = reference("class", json_text(json_get(given, "class")));
	row->instance = reference("data", json_text(json_get(given, "resource")));
	row->time_known = *json_text(json_get(given, "data_time")) != '\0';
	if (row->time_known)
		read_time(json_text(json_get(given, "data_time")), &row->time_from, &row->time_until);
	*author = reference("data", json_text(json_get(given, "author")));
	row->authors = author;
	row->author_count = *json_text(json_get(given, "author")) != '\0';
	*link = (phi_consent_link){type_of(json_text(json_get(given, "encounter"))),
							   reference("data", json_text(json_get(given, "encounter")))};
	row->links = link;
	row->link_count = *json_text(json_get(given, "encounter")) != '\0';
}

/* What one consent of the examples says; NA for one of another patient. */
static phi_verdict
consent_verdict(const char *file, const json *given, const phi_consent_request *request)
{
	static uint8_t bytes[PHI_DIRECTIVE_MAX];
	phi_buffer out = {bytes, 0, sizeof(bytes)};
	phi_consent_answer answer = phi_consent_answer_none();
	phi_provision root;
	char path[200];
	json *consent;

	snprintf(path, sizeof(path), "consent/ihe-pcf/consents/%s", file);
	consent = json_load_shared(path);
	if (!CHECK(consent != NULL))
		return PHI_VERDICT_DENY;
	source_used = 0;
	read_provision(json_get(consent, "provision"), &root);
	CHECK_INT(phi_directive_compile(&root, &out), PHI_OK);
	CHECK_INT(phi_directive_evaluate(phi_bytes_of(bytes, out.size), request, &answer), PHI_OK);
	if (strcmp(json_text(json_get(json_get(consent, "patient"), "reference")),
			   json_text(json_get(given, "subject"))) != 0)
		answer.verdict = PHI_VERDICT_NA;
	json_free(consent);
	return answer.verdict;
}

static void
test_case(const json *given)
{
	static const char *const words[] = {"NA", "PERMIT", "DENY"};
	const json *files = json_get(given, "consents");
	const json *asked = json_get(given, "request");
	phi_verdict verdict = PHI_VERDICT_NA;
	uint64_t actors[LISTED_MAX];
	uint64_t author;
	phi_consent_link link;
	phi_consent_row row = {0};
	phi_consent_request request = {.row = &row};
	size_t i;

	read_context(asked, &request, actors);
	read_row(asked, &row, &author, &link);
	for (i = 0; i < json_count(files); i++)
		verdict = phi_verdict_combine(
			verdict, consent_verdict(json_text(json_at(files, i)), asked, &request));
	if (strcmp(words[verdict], json_text(json_get(given, "expect"))) != 0)
		check_fail(__FILE__, __LINE__, "%s: %s, expected %s", json_text(json_get(given, "id")),
				   words[verdict], json_text(json_get(given, "expect")));
}

static void
test_shared(void)
{
	json *cases = json_load_shared("consent/ihe-pcf/cases.json");
	size_t i;

	if (!cases)
	{
		check_skip("the IHE PCF cases: the shared data is not there");
		return;
	}
	CHECK_CASE("%zu decision cases of IHE PCF", json_count(cases));
	CHECK_INT(json_count(cases), 221);
	for (i = 0; i < json_count(cases); i++)
		test_case(json_at(cases, i));
	json_free(cases);
}

/* ---- cases of our own: a tree and a request in words ---- */

/* The verdict of a tree on a row with these labels, asked for by actor 1 to access it for TREAT. */
static phi_verdict
verdict_on(const phi_provision *root, phi_consent_row *row, const char *labels)
{
	static uint8_t bytes[PHI_DIRECTIVE_MAX];
	static const uint64_t actors[] = {1};
	phi_buffer out = {bytes, 0, sizeof(bytes)};
	phi_consent_answer answer = phi_consent_answer_none();
	phi_consent_request request = {.actors = actors,
								   .actor_count = 1,
								   .purpose = phi_purpose_treat(),
								   .action = PHI_ACTION_ACCESS};
	size_t size;

	row->labels_known = true;
	row->labels = (phi_labels){0};
	for (; *labels; labels += size + (labels[size] == ' '))
	{
		size = strcspn(labels, " ");
		CHECK(phi_labels_add(&row->labels, labels, size));
	}
	request.row = row;
	CHECK_INT(phi_directive_compile(root, &out), PHI_OK);
	CHECK_INT(phi_directive_evaluate(phi_bytes_of(bytes, out.size), &request, &answer), PHI_OK);
	return answer.verdict;
}

#define PERMIT   PHI_VERDICT_PERMIT
#define DENY     PHI_VERDICT_DENY
#define NA       PHI_VERDICT_NA
#define BELOW(c) phi_sensitivity_below(c, strlen(c))
#define RANK_N   4
#define RANK_R   5

static void
test_siblings(void)
{
	const uint64_t actors[] = {1, 2};
	phi_consent_row row = {0};
	const phi_provision opposite[] = {{.effect = PERMIT, .sensitivities = BELOW("PSY")},
									  {.effect = DENY, .actors = actors, .actor_count = 1}};
	phi_provision open = {.effect = PERMIT, .provisions = opposite, .provision_count = 2};
	phi_provision closed = {
		.effect = PERMIT, .rank = RANK_N, .provisions = opposite, .provision_count = 2};
	const phi_provision listed[] = {{.effect = DENY, .rank = RANK_R}};
	phi_provision deny_rank = {.effect = PERMIT, .provisions = listed, .provision_count = 1};

	CHECK_CASE("among siblings that match, deny wins");
	CHECK_INT(verdict_on(&open, &row, "R PSY"), DENY);
	CHECK_INT(verdict_on(&open, &row, "N"), DENY);

	CHECK_CASE("where the root's data criteria do not match, only permits within it apply");
	CHECK_INT(verdict_on(&closed, &row, "N"), DENY);
	CHECK_INT(verdict_on(&closed, &row, "R PSY"), PERMIT);
	CHECK_INT(verdict_on(&closed, &row, "R HIV"), DENY);

	CHECK_CASE("a deny from R on covers V, on an open root");
	CHECK_INT(verdict_on(&deny_rank, &row, "V"), DENY);
	CHECK_INT(verdict_on(&deny_rank, &row, "R"), DENY);
	CHECK_INT(verdict_on(&deny_rank, &row, "PSY"), DENY);
	CHECK_INT(verdict_on(&deny_rank, &row, "N"), PERMIT);
}

static void
test_depth(void)
{
	phi_consent_row row = {0};
	const phi_provision third[] = {{.effect = DENY, .sensitivities = BELOW("ETHUD")}};
	const phi_provision second[] = {{.effect = PERMIT,
									 .sensitivities = BELOW("SUD"),
									 .provisions = third,
									 .provision_count = 1}};
	const phi_provision first[] = {{.effect = DENY,
									.sensitivities = BELOW("SPI"),
									.provisions = second,
									.provision_count = 1}};
	phi_provision root = {.effect = PERMIT, .provisions = first, .provision_count = 1};
	const phi_provision exception[] = {{.effect = DENY, .sensitivities = BELOW("HIV")}};
	const phi_provision glass[] = {
		{.effect = PERMIT, .rank = RANK_R, .provisions = exception, .provision_count = 1}};
	phi_provision closed = {
		.effect = PERMIT, .rank = RANK_N, .provisions = glass, .provision_count = 1};

	CHECK_CASE("each level is an exception to the one above, and a listed code has codes below it");
	CHECK_INT(verdict_on(&root, &row, "N"), PERMIT);
	CHECK_INT(verdict_on(&root, &row, "MH"), DENY);
	CHECK_INT(verdict_on(&root, &row, "OPIOIDUD"), PERMIT);
	CHECK_INT(verdict_on(&root, &row, "ETHUD"), DENY);
	CHECK_INT(verdict_on(&root, &row, "OPIOIDUD HIV"), DENY);
	CHECK_INT(verdict_on(&root, &row, "HIV"), PERMIT);

	CHECK_CASE("an exception within a permit that opens a closed root");
	CHECK_INT(verdict_on(&closed, &row, "R"), PERMIT);
	CHECK_INT(verdict_on(&closed, &row, "R HIV"), DENY);
	CHECK_INT(verdict_on(&closed, &row, "V"), DENY);
}

static void
test_closure(void)
{
	phi_consent_row row = {0};
	phi_provision permit = {.effect = PERMIT, .sensitivities = BELOW("SPI")};
	phi_provision deny = {.effect = DENY, .sensitivities = BELOW("BH")};

	CHECK_CASE("a permit covers a row if all its sensitivities are below what it lists");
	CHECK_INT(verdict_on(&permit, &row, "R SUD"), PERMIT);
	CHECK_INT(verdict_on(&permit, &row, "R COGN PSYTHPN"), PERMIT);
	CHECK_INT(verdict_on(&permit, &row, "R SUD HIV"), DENY);
	CHECK_INT(verdict_on(&permit, &row, "R"), DENY);

	CHECK_CASE("a deny root with data criteria says nothing of other rows");
	CHECK_INT(verdict_on(&deny, &row, "R COGN"), DENY);
	CHECK_INT(verdict_on(&deny, &row, "R HIV EMOTDIS"), DENY);
	CHECK_INT(verdict_on(&deny, &row, "R SUD"), NA);
	CHECK_INT(verdict_on(&deny, &row, ""), NA);
}

static void
test_kinds(void)
{
	static const uint64_t listed[] = {11, 12};
	static const uint64_t codes[] = {12, 13};
	static const uint64_t authors[] = {21};
	static const phi_consent_link links[] = {{5, 31}, {6, 0}};
	phi_data_reference data = {PHI_DATA_DEPENDENTS, 5, 31};
	phi_consent_row row = {0};
	phi_provision classes = {.effect = PERMIT, .classes = listed, .class_count = 2};
	phi_provision coded = {.effect = DENY, .codes = listed, .code_count = 2};
	phi_provision actions = {.effect = DENY, .actions = PHI_ACTION_BIT(PHI_ACTION_CORRECT)};
	phi_provision related = {.effect = DENY, .data = &data, .data_count = 1};

	CHECK_CASE("class: a permit wants it known, other classes are closed");
	CHECK_INT(verdict_on(&classes, &row, ""), DENY);
	row.class_reference = 12;
	CHECK_INT(verdict_on(&classes, &row, ""), PERMIT);
	row.class_reference = 13;
	CHECK_INT(verdict_on(&classes, &row, ""), DENY);

	CHECK_CASE("code: a deny matches what is not known, and any of several");
	CHECK_INT(verdict_on(&coded, &row, ""), DENY);
	row.codes_known = true;
	CHECK_INT(verdict_on(&coded, &row, ""), NA);
	row.codes = codes;
	row.code_count = 2;
	CHECK_INT(verdict_on(&coded, &row, ""), DENY);
	row.codes = codes + 1;
	row.code_count = 1;
	CHECK_INT(verdict_on(&coded, &row, ""), NA);

	CHECK_CASE("action: one that is not listed does not match");
	CHECK_INT(verdict_on(&actions, &row, ""), NA);
	actions.actions |= PHI_ACTION_BIT(PHI_ACTION_ACCESS);
	CHECK_INT(verdict_on(&actions, &row, ""), DENY);

	CHECK_CASE("data: dependents, no reference of the type, and a type that is not known");
	row = (phi_consent_row){.links = links, .link_count = 2, .instance = 30};
	CHECK_INT(verdict_on(&related, &row, ""), DENY);
	data.target = 32;
	CHECK_INT(verdict_on(&related, &row, ""), NA);
	data.type = 6;
	CHECK_INT(verdict_on(&related, &row, ""), NA);
	data.type = 7;
	CHECK_INT(verdict_on(&related, &row, ""), DENY);
	data.meaning = PHI_DATA_INSTANCE;
	CHECK_INT(verdict_on(&related, &row, ""), NA);
	row.instance = 0;
	CHECK_INT(verdict_on(&related, &row, ""), DENY);
	row.class_reference = 8;
	CHECK_INT(verdict_on(&related, &row, ""), NA);
	data = (phi_data_reference){PHI_DATA_AUTHORED_BY, 9, 21};
	CHECK_INT(verdict_on(&related, &row, ""), DENY);
	row.authors = authors;
	row.author_count = 1;
	CHECK_INT(verdict_on(&related, &row, ""), DENY);
	data.target = 22;
	CHECK_INT(verdict_on(&related, &row, ""), NA);
}

static void
test_data_period(void)
{
	phi_consent_row row = {.time_known = true, .time_from = 0, .time_until = 10};
	phi_provision permit = {
		.effect = PERMIT, .has_data_period = true, .data_from = 0, .data_until = 10};
	phi_provision deny = {
		.effect = DENY, .has_data_period = true, .data_from = 9, .data_until = 20};

	CHECK_CASE("a time that a period cuts through: a permit does not match it, a deny does");
	CHECK_INT(verdict_on(&permit, &row, ""), PERMIT);
	CHECK_INT(verdict_on(&deny, &row, ""), DENY);
	permit.data_until = 9;
	CHECK_INT(verdict_on(&permit, &row, ""), DENY);
	deny.data_from = 10;
	CHECK_INT(verdict_on(&deny, &row, ""), NA);
}

static void
test_subjects(void)
{
	CHECK_CASE("several subjects of a row: any deny, else all permit, else nothing");
	CHECK_INT(phi_verdict_combine_subjects(PERMIT, PERMIT), PERMIT);
	CHECK_INT(phi_verdict_combine_subjects(PERMIT, NA), NA);
	CHECK_INT(phi_verdict_combine_subjects(NA, PERMIT), NA);
	CHECK_INT(phi_verdict_combine_subjects(NA, DENY), DENY);
	CHECK_INT(phi_verdict_combine_subjects(DENY, PERMIT), DENY);

	CHECK_CASE("several directives of a subject: any deny, else any permit");
	CHECK_INT(phi_verdict_combine(PERMIT, DENY), DENY);
	CHECK_INT(phi_verdict_combine(PERMIT, NA), PERMIT);
	CHECK_INT(phi_verdict_combine(NA, NA), NA);
}

int
main(void)
{
	test_shared();
	test_siblings();
	test_depth();
	test_closure();
	test_kinds();
	test_data_period();
	test_subjects();
	return check_done();
}
