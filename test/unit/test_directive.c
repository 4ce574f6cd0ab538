/*-------------------------------------------------------------------------
 * test_directive.c
 *		Consent directives: the program format to the byte, its one encoding
 *		per directive, and evaluation against an oracle on the source form.
 *-------------------------------------------------------------------------
 */
#include "check.h"
#include "directive_source.h"

#define ROUNDS    150000
#define MUTATIONS 150000

static uint64_t random_state = 88172645463325252;

/* xorshift64: the same numbers in every run. */
static uint64_t
random_below(uint64_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % bound;
}

/* What the compiler made of a source, by value. */
typedef struct compiled
{
	phi_status status;
	size_t size;
	uint8_t bytes[8192];
} compiled;

static void
compile(const phi_provision *source, compiled *result)
{
	phi_buffer out = {result->bytes, 0, sizeof(result->bytes)};

	result->status = phi_directive_compile(source, &out);
	result->size = out.size;
}

/* Check a copy that ends where the program ends. */
static phi_status
check_copy(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	phi_status status;

	if (copy == NULL)
		abort();
	memcpy(copy, bytes, size);
	status = phi_directive_check(phi_bytes_of(copy, size));
	free(copy);
	return status;
}

static void
test_bytes(void)
{
	static const uint64_t references[] = {0xFFEEDDCCBBAA9988, 0x0102030405060708,
										  0xFFEEDDCCBBAA9988};
	static const phi_purpose purposes[] = {9, 3, 9, 0};
	static const phi_data_reference data[] = {{PHI_DATA_RELATED, 1, 2}, {PHI_DATA_INSTANCE, 3, 4}};
	static const phi_provision nested[] = {{.effect = PHI_VERDICT_PERMIT},
										   {.effect = PHI_VERDICT_DENY},
										   {.effect = PHI_VERDICT_PERMIT}};
	phi_provision source = {
		PHI_VERDICT_DENY, true, -2,   1,    references,     3, 0x12,           purposes, 4,
		references + 1,   1,    5,    0x40, references + 1, 1, references + 1, 1,        true,
		PHI_TIME_MIN,     7,    data, 2,    nested,         3};
	static const uint8_t all[] =
		"\2\2"
		"\1\377\377\377\377\377\377\377\376\0\0\0\0\0\0\0\1"
		"\2\0\2\1\2\3\4\5\6\7\10\377\356\335\314\273\252\231\210"
		"\3\22"
		"\4\0\3\0\3\11"
		"\5\0\1\1\2\3\4\5\6\7\10"
		"\6\5\0\0\0\0\0\0\0\100"
		"\7\0\1\1\2\3\4\5\6\7\10"
		"\10\0\1\1\2\3\4\5\6\7\10"
		"\11\200\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7"
		"\12\0\2\1\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\4\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2"
		"\13\0\2\0\1\1\0\1\2";
	compiled program;

	CHECK_CASE("a program is these bytes: sorted, without duplicates");
	compile(&source, &program);
	CHECK_INT(program.status, PHI_OK);
	CHECK_INT(program.size, sizeof(all) - 1);
	CHECK_BYTES(program.bytes, all, sizeof(all) - 1);
	CHECK_INT(check_copy(all, sizeof(all) - 1), PHI_OK);

	CHECK_CASE("what matches everything is left out");
	source = (phi_provision){.effect = PHI_VERDICT_PERMIT,
							 .has_period = true,
							 .from = PHI_TIME_MIN,
							 .until = PHI_TIME_MAX};
	compile(&source, &program);
	CHECK_INT(program.size, 2);
	CHECK_BYTES(program.bytes, "\2\1", 2);
}

/* A source that has no program. */
static void
check_refused(phi_provision source)
{
	compiled program;

	compile(&source, &program);
	CHECK_INT(program.status, PHI_ERR_ARGUMENT);
	CHECK_INT(program.size, 0);
}

static void
test_refused(void)
{
	static const uint64_t zero[] = {0};
	static const phi_purpose none[] = {PHI_PURPOSE_NONE};
	static const phi_data_reference data[] = {
		{PHI_DATA_INSTANCE, 0, 1}, {PHI_DATA_INSTANCE, 1, 0}, {(phi_data_meaning) 5, 1, 1}};
	const phi_verdict permit = PHI_VERDICT_PERMIT;
	int i;

	CHECK_CASE("what has no program is refused");
	check_refused((phi_provision){.effect = PHI_VERDICT_NA});
	check_refused((phi_provision){.effect = (phi_verdict) 3});
	check_refused((phi_provision){.effect = permit, .has_period = true, .from = 1, .until = 1});
	check_refused((phi_provision){.effect = permit, .has_data_period = true, .data_from = 2});
	check_refused((phi_provision){.effect = permit, .actors = zero, .actor_count = 1});
	check_refused((phi_provision){.effect = permit, .purposes = none, .purpose_count = 1});
	check_refused((phi_provision){.effect = permit, .actions = 32});
	check_refused((phi_provision){.effect = permit, .rank = 7});
	check_refused((phi_provision){.effect = permit, .sensitivities = UINT64_C(1) << 63});
	for (i = 0; i < 3; i++)
		check_refused((phi_provision){.effect = permit, .data = data + i, .data_count = 1});
}

static void
test_limits(void)
{
	static uint64_t references[8191];
	static uint8_t large[PHI_DIRECTIVE_MAX];
	phi_provision chain[PHI_DIRECTIVE_DEPTH + 1];
	phi_provision source = {.effect = PHI_VERDICT_PERMIT, .codes = references, .code_count = 8191};
	phi_buffer out = {large, 77, PHI_DIRECTIVE_MAX};
	compiled program;
	int i;

	for (i = 0; i < 8191; i++)
		references[i] = UINT64_C(0x9E3779B97F4A7C15) * (uint64_t) (i + 1);
	CHECK_CASE("a program has at most PHI_DIRECTIVE_MAX bytes");
	CHECK_INT(phi_directive_compile(&source, &out), PHI_OK);
	CHECK_INT(out.size, 5 + 8191 * 8);
	CHECK_INT(phi_directive_check(phi_bytes_of(large, out.size)), PHI_OK);
	source.classes = references;
	source.class_count = 1;
	CHECK_INT(phi_directive_compile(&source, &out), PHI_ERR_ARGUMENT);
	CHECK_INT(out.size, 5 + 8191 * 8);

	CHECK_CASE("a program needs its exact size and no more");
	source.code_count = 2;
	out = (phi_buffer){large, 77, 5 + 16 + 11 - 1};
	CHECK_INT(phi_directive_compile(&source, &out), PHI_ERR_SPACE);
	CHECK_INT(out.size, 77);
	out.capacity++;
	CHECK_INT(phi_directive_compile(&source, &out), PHI_OK);

	CHECK_CASE("a program has at most PHI_DIRECTIVE_DEPTH levels");
	for (i = 0; i <= PHI_DIRECTIVE_DEPTH; i++)
		chain[i] = (phi_provision){.effect = PHI_VERDICT_PERMIT,
								   .provisions = i > 0 ? &chain[i - 1] : NULL,
								   .provision_count = i > 0};
	compile(&chain[PHI_DIRECTIVE_DEPTH - 1], &program);
	CHECK_INT(program.status, PHI_OK);
	CHECK_INT(check_copy(program.bytes, program.size), PHI_OK);
	check_refused(chain[PHI_DIRECTIVE_DEPTH]);
	memmove(program.bytes + 8, program.bytes + 2, program.size - 2);
	memcpy(program.bytes + 2, "\13\0\1\0", 4);
	program.bytes[6] = (uint8_t) (program.size - 1);
	program.bytes[7] = 1;
	CHECK_INT(check_copy(program.bytes, program.size + 6), PHI_ERR_FORMAT);
}

static void
test_malformed(void)
{
	static const struct
	{
		const char *what;
		size_t size;
		const char *bytes;
		phi_status status;
	} rows[] = {
		{"nothing", 0, "", PHI_ERR_FORMAT},
		{"a version alone", 1, "\2", PHI_ERR_FORMAT},
		{"version 1", 2, "\1\1", PHI_ERR_VERSION},
		{"version 3", 2, "\3\1", PHI_ERR_VERSION},
		{"effect NA", 2, "\2\0", PHI_ERR_FORMAT},
		{"effect 3", 2, "\2\3", PHI_ERR_FORMAT},
		{"tag 0", 3, "\2\1\0", PHI_ERR_FORMAT},
		{"tag 12", 4, "\2\1\14\1", PHI_ERR_FORMAT},
		{"no actors", 5, "\2\1\2\0\0", PHI_ERR_FORMAT},
		{"actor 0", 13, "\2\1\2\0\1\0\0\0\0\0\0\0\0", PHI_ERR_FORMAT},
		{"half an actor", 9, "\2\1\2\0\1abcd", PHI_ERR_FORMAT},
		{"actors descend", 21, "\2\1\2\0\2bbbbbbbbaaaaaaaa", PHI_ERR_FORMAT},
		{"an actor twice", 21, "\2\1\2\0\2bbbbbbbbbbbbbbbb", PHI_ERR_FORMAT},
		{"no action", 4, "\2\1\3\0", PHI_ERR_FORMAT},
		{"action 5", 4, "\2\1\3\40", PHI_ERR_FORMAT},
		{"purposes descend", 7, "\2\1\4\0\2\2\1", PHI_ERR_FORMAT},
		{"purpose 63", 6, "\2\1\4\0\1\77", PHI_ERR_FORMAT},
		{"a purpose too many", 7, "\2\1\4\0\1\1\2", PHI_ERR_FORMAT},
		{"purposes twice", 10, "\2\1\4\0\1\1\4\0\1\2", PHI_ERR_FORMAT},
		{"purposes before actors", 17, "\2\1\4\0\1\1\2\0\1abcdefgh", PHI_ERR_FORMAT},
		{"no label", 12, "\2\1\6\0\0\0\0\0\0\0\0\0", PHI_ERR_FORMAT},
		{"rank 7", 12, "\2\1\6\7\0\0\0\0\0\0\0\0", PHI_ERR_FORMAT},
		{"a sensitivity that is none", 12, "\2\1\6\1\100\0\0\0\0\0\0\0", PHI_ERR_FORMAT},
		{"short labels", 11, "\2\1\6\1\0\0\0\0\0\0\0", PHI_ERR_FORMAT},
		{"meaning 0", 22, "\2\1\12\0\1\0aaaaaaaabbbbbbbb", PHI_ERR_FORMAT},
		{"meaning 5", 22, "\2\1\12\0\1\5aaaaaaaabbbbbbbb", PHI_ERR_FORMAT},
		{"data without target", 22, "\2\1\12\0\1\1aaaaaaaa\0\0\0\0\0\0\0\0", PHI_ERR_FORMAT},
		{"an empty period", 19, "\2\1\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1", PHI_ERR_FORMAT},
		{"a period open at both ends", 19,
		 "\2\1\1\x80\0\0\0\0\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", PHI_ERR_FORMAT},
		{"a short period", 18, "\2\1\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", PHI_ERR_FORMAT},
		{"no nested", 5, "\2\1\13\0\0", PHI_ERR_FORMAT},
		{"nested of no size", 7, "\2\1\13\0\1\0\0", PHI_ERR_FORMAT},
		{"nested too long", 8, "\2\1\13\0\1\0\2\1", PHI_ERR_FORMAT},
		{"nested descend", 11, "\2\1\13\0\2\0\1\2\0\1\1", PHI_ERR_FORMAT},
		{"nested twice", 11, "\2\1\13\0\2\0\1\1\0\1\1", PHI_ERR_FORMAT},
		{"something after nested", 9, "\2\1\13\0\1\0\1\1\0", PHI_ERR_FORMAT},
		{"malformed where nothing matches", 12, "\2\1\3\1\13\0\1\0\3\1\3\0", PHI_ERR_FORMAT},
	};
	phi_consent_request request = {.now = 0, .purpose = 0, .action = PHI_ACTION_ACCESS};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		phi_consent_answer answer = {PHI_VERDICT_NA, 0, 123};

		CHECK_CASE("malformed: %s", rows[i].what);
		CHECK_INT(check_copy((const uint8_t *) rows[i].bytes, rows[i].size), rows[i].status);
		CHECK_INT(
			phi_directive_evaluate(phi_bytes_of(rows[i].bytes, rows[i].size), &request, &answer),
			rows[i].status);
		CHECK_INT(answer.verdict, PHI_VERDICT_DENY);
		CHECK(answer.depends == 0 && answer.valid_until == 123);
	}
}

/* ---- random sources and requests of few values, so that they meet often ---- */

static const uint64_t *
random_references(size_t *count, size_t most)
{
	uint64_t *references = source_alloc(most * 8);
	size_t i;

	*count = random_below(3) == 0 ? 1 + random_below(most) : 0;
	for (i = 0; i < *count; i++)
		references[i] = 1 + random_below(6);
	return references;
}

static bool
random_period(int64_t *from, int64_t *until)
{
	*from = random_below(4) ? (int64_t) random_below(20) - 10 : PHI_TIME_MIN;
	*until = random_below(4) ? (int64_t) random_below(20) - 10 : PHI_TIME_MAX;
	return random_below(3) == 0 && *from < *until;
}

static void
random_provision(phi_provision *out, unsigned levels)
{
	phi_purpose *purposes = source_alloc(3);
	phi_data_reference *data = source_alloc(2 * sizeof(*data));
	phi_provision *nested;
	size_t i;

	memset(out, 0, sizeof(*out));
	out->effect = random_below(2) ? PHI_VERDICT_PERMIT : PHI_VERDICT_DENY;
	out->has_period = random_period(&out->from, &out->until);
	out->actors = random_references(&out->actor_count, 4);
	out->actions = random_below(4) == 0 ? (uint8_t) random_below(32) : 0;
	out->purposes = purposes;
	out->purpose_count = random_below(4) == 0 ? random_below(3) : 0;
	for (i = 0; i < out->purpose_count; i++)
		purposes[i] = (phi_purpose) random_below(phi_purpose_count());
	out->own_purposes = random_below(4) == 0 ? random_references(&out->own_purpose_count, 2) : NULL;
	out->rank = random_below(4) == 0 ? (uint8_t) random_below(7) : 0;
	out->sensitivities = random_below(4) == 0 ? random_below(16) : 0;
	out->classes = random_references(&out->class_count, 2);
	out->codes = random_references(&out->code_count, 2);
	out->has_data_period = random_period(&out->data_from, &out->data_until);
	out->data = data;
	out->data_count = random_below(4) == 0 ? random_below(3) : 0;
	for (i = 0; i < out->data_count; i++)
		data[i] = (phi_data_reference){(phi_data_meaning) (1 + random_below(4)),
									   1 + random_below(2), 1 + random_below(6)};
	out->provision_count = levels > 1 && random_below(2) ? 1 + random_below(3) : 0;
	nested = source_alloc(3 * sizeof(*nested));
	out->provisions = nested;
	for (i = 0; i < out->provision_count; i++)
		random_provision(&nested[i], levels - 1);
}

static void
random_row(phi_consent_row *row)
{
	static phi_consent_link links[2];
	static uint64_t codes[2];
	static uint64_t authors[2];
	size_t i;

	memset(row, 0, sizeof(*row));
	row->labels_known = random_below(3) != 0;
	row->labels.rank = (uint8_t) random_below(7);
	row->labels.sensitivities = random_below(2) ? random_below(16) : 0;
	row->unlabelled_rank = random_below(3) == 0 ? 5 : 0;
	row->class_reference = random_below(3);
	row->codes_known = random_below(3) != 0;
	row->codes = codes;
	row->code_count = random_below(3);
	row->time_known = random_below(3) != 0;
	row->time_from = (int64_t) random_below(24) - 12;
	row->time_until = row->time_from + (int64_t) random_below(4);
	row->instance = random_below(7);
	row->authors = authors;
	row->author_count = random_below(3);
	row->links = links;
	row->link_count = random_below(3);
	for (i = 0; i < 2; i++)
	{
		codes[i] = 1 + random_below(6);
		authors[i] = 1 + random_below(6);
		links[i] = (phi_consent_link){1 + random_below(2), random_below(7)};
	}
}

/* ---- the answer by the definition, on the source: 0 no, 1 unknown, 2 yes ---- */

static int
least(int a, int b)
{
	return a < b ? a : b;
}

static int
most(int a, int b)
{
	return a > b ? a : b;
}

/* Is any of a in b?  Absent: yes. */
static int
oracle_any(const uint64_t *a, size_t a_count, bool known, const uint64_t *b, size_t b_count)
{
	size_t i;
	size_t j;

	for (i = 0; i < a_count; i++)
		for (j = 0; known && j < b_count; j++)
			if (a[i] == b[j])
				return 2;
	return a_count == 0 ? 2 : known ? 0 : 1;
}

static int
oracle_purpose(const phi_provision *p, const phi_consent_request *r)
{
	int result = 0;
	size_t i;

	if (p->purpose_count + p->own_purpose_count == 0)
		return 2;
	if (r->purpose == PHI_PURPOSE_NONE)
		return r->own_purpose == 0 ? 1
								   : most(0, p->own_purpose_count > 0
												 ? oracle_any(p->own_purposes, p->own_purpose_count,
															  true, &r->own_purpose, 1)
												 : 0);
	for (i = 0; i < p->purpose_count; i++)
		result = most(result, phi_purpose_is_a(r->purpose, p->purposes[i]) ? 2 : 0);
	return result;
}

static int
oracle_labels(const phi_provision *p, const phi_consent_row *row)
{
	uint64_t has = row->labels.sensitivities;
	unsigned rank = row->labels.rank;

	if (p->rank == 0 && p->sensitivities == 0)
		return 2;
	if (!row->labels_known)
		return 1;
	if (rank == 0)
		rank = has || !row->unlabelled_rank ? 4 : row->unlabelled_rank;
	if (has && rank < 5)
		rank = 5;
	if (p->effect == PHI_VERDICT_PERMIT)
		return (p->rank && rank <= p->rank) || (has && (has | p->sensitivities) == p->sensitivities)
				   ? 2
				   : 0;
	return (p->rank && rank >= p->rank) || (has & p->sensitivities) ? 2 : 0;
}

static int
oracle_time(const phi_provision *p, const phi_consent_row *row)
{
	int64_t t;
	bool in = false;
	bool out = false;

	if (!p->has_data_period || (p->data_from == PHI_TIME_MIN && p->data_until == PHI_TIME_MAX))
		return 2;
	if (!row->time_known || row->time_from >= row->time_until)
		return 1;
	for (t = row->time_from; t < row->time_until; t++)
	{
		if (t >= p->data_from && (t < p->data_until || p->data_until == PHI_TIME_MAX))
			in = true;
		else
			out = true;
	}
	return in && out ? 1 : in ? 2 : 0;
}

static int
oracle_data(const phi_provision *p, const phi_consent_row *row)
{
	int result = p->data_count == 0 ? 2 : 0;
	size_t i;
	size_t j;

	for (i = 0; i < p->data_count; i++)
	{
		const phi_data_reference *d = &p->data[i];
		int is = row->instance ? 2 * (row->instance == d->target)
							   : !row->class_reference || row->class_reference == d->type;
		int refers = 1;
		int wrote =
			oracle_any(&d->target, 1, row->author_count > 0, row->authors, row->author_count);

		for (j = 0; j < row->link_count; j++)
			if (row->links[j].type == d->type && refers == 1)
				refers = 0;
		for (j = 0; j < row->link_count; j++)
			if (row->links[j].target == d->target)
				refers = 2;
		result = most(result, d->meaning == PHI_DATA_AUTHORED_BY ? wrote
							  : d->meaning == PHI_DATA_INSTANCE  ? is
																 : most(is, refers));
	}
	return result;
}

static bool
oracle_context(const phi_provision *p, const phi_consent_request *r)
{
	int all =
		least(oracle_any(p->actors, p->actor_count, r->actors != NULL, r->actors, r->actor_count),
			  oracle_purpose(p, r));

	if (p->actions)
		all = least(all, r->action == PHI_ACTION_NONE ? 1 : 2 * (p->actions >> r->action & 1));
	if (p->has_period && (r->now < p->from || (r->now >= p->until && p->until != PHI_TIME_MAX)))
		return false;
	return p->effect == PHI_VERDICT_PERMIT ? all == 2 : all > 0;
}

static bool
oracle_row(const phi_provision *p, const phi_consent_request *r)
{
	static const phi_consent_row nothing;
	const phi_consent_row *row = r->row ? r->row : &nothing;
	int all = least(oracle_labels(p, row), oracle_time(p, row));

	all = least(all, oracle_any(p->classes, p->class_count, row->class_reference != 0,
								&row->class_reference, 1));
	all = least(all,
				oracle_any(p->codes, p->code_count, row->codes_known, row->codes, row->code_count));
	all = least(all, oracle_data(p, row));
	return p->effect == PHI_VERDICT_PERMIT ? all == 2 : all > 0;
}

/* What the nested provisions make of a decision. */
static phi_verdict
oracle_nested(const phi_provision *p, const phi_consent_request *r, phi_verdict decision,
			  bool only_permits)
{
	bool permit = false;
	bool deny = false;
	size_t i;

	for (i = 0; i < p->provision_count; i++)
	{
		const phi_provision *n = &p->provisions[i];
		phi_verdict verdict;

		if ((only_permits && n->effect == PHI_VERDICT_DENY) || !oracle_context(n, r) ||
			!oracle_row(n, r))
			continue;
		verdict = oracle_nested(n, r, n->effect, false);
		permit |= verdict == PHI_VERDICT_PERMIT;
		deny |= verdict == PHI_VERDICT_DENY;
	}
	return deny ? PHI_VERDICT_DENY : permit ? PHI_VERDICT_PERMIT : decision;
}

static phi_verdict
oracle_verdict(const phi_provision *root, const phi_consent_request *r)
{
	if (!oracle_context(root, r))
		return PHI_VERDICT_NA;
	if (oracle_row(root, r))
		return oracle_nested(root, r, root->effect, false);
	if (root->effect == PHI_VERDICT_DENY)
		return PHI_VERDICT_NA;
	return oracle_nested(root, r, PHI_VERDICT_DENY, true);
}

static void
random_request(phi_consent_request *request, uint64_t actors[4], phi_consent_row *row)
{
	size_t i;

	for (i = 0; i < 4; i++)
		actors[i] = 1 + random_below(6);
	random_row(row);
	*request = (phi_consent_request){.now = (int64_t) random_below(24) - 12,
									 .actors = random_below(6) ? actors : NULL,
									 .purpose = PHI_PURPOSE_NONE,
									 .own_purpose = random_below(3),
									 .action = (phi_action) random_below(6),
									 .row = random_below(6) ? row : NULL};
	request->actor_count = request->actors ? random_below(5) : 0;
	if (request->action == 5)
		request->action = PHI_ACTION_NONE;
	if (random_below(4) > 0)
	{
		request->purpose = (phi_purpose) random_below(phi_purpose_count());
		request->own_purpose = 0;
	}
}

/* Until valid_until, and for rows that are alike in what the answer depends on, it is the same. */
static void
check_answer(const phi_provision *source, const phi_consent_request *request,
			 const phi_consent_answer *answer)
{
	phi_consent_request other = *request;
	phi_consent_row row;

	CHECK(answer->valid_until > request->now);
	for (other.now = request->now; other.now < answer->valid_until && other.now < 14; other.now++)
		CHECK_INT(oracle_verdict(source, &other), answer->verdict);
	other = *request;
	random_row(&row);
	other.row = &row;
	if (answer->depends & PHI_DEPENDS_LABELS)
	{
		row.labels_known = request->row && request->row->labels_known;
		if (request->row)
		{
			row.labels = request->row->labels;
			row.unlabelled_rank = request->row->unlabelled_rank;
		}
	}
	if ((answer->depends & ~(unsigned) PHI_DEPENDS_LABELS) == 0)
		CHECK_INT(oracle_verdict(source, &other), answer->verdict);
}

static void
test_random(void)
{
	static compiled program;
	unsigned seen[3] = {0};
	unsigned free_of_rows = 0;
	unsigned labels_alone = 0;
	int round;

	CHECK_CASE("%d random directives agree with the definition, in time and over rows too", ROUNDS);
	for (round = 0; round < ROUNDS; round++)
	{
		phi_provision source;
		phi_consent_request request;
		phi_consent_row row;
		uint64_t actors[4];
		phi_consent_answer answer = phi_consent_answer_none();

		source_used = 0;
		random_provision(&source, 1 + (unsigned) random_below(4));
		compile(&source, &program);
		CHECK_INT(program.status, PHI_OK);
		random_request(&request, actors, &row);
		CHECK_INT(
			phi_directive_evaluate(phi_bytes_of(program.bytes, program.size), &request, &answer),
			PHI_OK);
		CHECK_INT(answer.verdict, oracle_verdict(&source, &request));
		check_answer(&source, &request, &answer);
		seen[answer.verdict]++;
		free_of_rows += answer.depends == 0 && answer.verdict != PHI_VERDICT_NA;
		labels_alone += answer.depends == PHI_DEPENDS_LABELS;
	}
	CHECK(seen[PHI_VERDICT_NA] > 1000 && seen[PHI_VERDICT_PERMIT] > 1000 &&
		  seen[PHI_VERDICT_DENY] > 1000 && free_of_rows > 1000 && labels_alone > 1000);
}

static void
test_one_encoding(void)
{
	static compiled program;
	static compiled again;
	unsigned accepted = 0;
	int round;

	CHECK_CASE("whatever bytes are accepted, the compiler gives them back");
	for (round = 0; round < MUTATIONS; round++)
	{
		phi_provision source;

		source_used = 0;
		random_provision(&source, 1 + (unsigned) random_below(3));
		compile(&source, &program);
		if (random_below(4) == 0)
			program.size = random_below(program.size + 1);
		else
			program.bytes[random_below(program.size)] = (uint8_t) random_below(256);
		if (check_copy(program.bytes, program.size) != PHI_OK)
			continue;
		accepted++;
		compile(source_of(phi_bytes_of(program.bytes, program.size)), &again);
		CHECK_INT(again.status, PHI_OK);
		CHECK_INT(again.size, program.size);
		CHECK_BYTES(again.bytes, program.bytes, program.size);
	}
	CHECK(accepted > 1000 && accepted < MUTATIONS);
}

int
main(void)
{
	test_bytes();
	test_refused();
	test_limits();
	test_malformed();
	test_random();
	test_one_encoding();
	return check_done();
}
