/*-------------------------------------------------------------------------
 * test_codes.c
 *		The code tables against the published code systems, and what the
 *		labels of a row add up to.
 *-------------------------------------------------------------------------
 */
#include "check.h"

#include <stdlib.h>

#include "core/codes.h"

#define ROWS_MAX    80
#define FIELDS_MAX  4
#define FIELD_SIZE  80
#define LINE_SIZE   512
#define ROW_UNKNOWN 999

/* A CSV file without its header line. */
typedef struct csv
{
	char field[ROWS_MAX][FIELDS_MAX][FIELD_SIZE];
	unsigned rows;
} csv;

/* Split one line; a quoted field may contain commas. */
static void
csv_split(const char *line, char fields[FIELDS_MAX][FIELD_SIZE])
{
	unsigned field = 0;
	size_t size = 0;
	bool quoted = false;

	memset(fields, 0, FIELDS_MAX * FIELD_SIZE);
	for (; *line != '\0' && *line != '\n' && *line != '\r'; line++)
	{
		if (*line == '"')
			quoted = !quoted;
		else if (*line == ',' && !quoted && field + 1 < FIELDS_MAX)
		{
			field++;
			size = 0;
		}
		else if (size + 1 < FIELD_SIZE)
			fields[field][size++] = *line;
	}
}

/* Read a table of the shared data; says so and returns false where there is none. */
static bool
csv_load(csv *table, const char *name)
{
	const char *shared = getenv("PHI_SHARED");
	char path[LINE_SIZE];
	char line[LINE_SIZE];
	FILE *file;

	snprintf(path, sizeof(path), "%s/consent/codes/%s", shared ? shared : "../shared/data", name);
	file = fopen(path, "r");
	if (file == NULL)
	{
		check_skip("%s: cannot be read", path);
		return false;
	}
	table->rows = 0;
	if (fgets(line, sizeof(line), file) != NULL)
	{
		while (table->rows < ROWS_MAX && fgets(line, sizeof(line), file) != NULL)
			csv_split(line, table->field[table->rows++]);
	}
	fclose(file);
	return true;
}

/* The row of a code in a table. */
static unsigned
csv_row(const csv *table, const char *code)
{
	unsigned row;

	for (row = 0; row < table->rows; row++)
	{
		if (strcmp(table->field[row][0], code) == 0)
			return row;
	}
	return ROW_UNKNOWN;
}

/* is-a as the file says it: by the names of the parents. */
static bool
csv_is_a(const csv *table, unsigned row, unsigned ancestor)
{
	while (row != ROW_UNKNOWN && row != ancestor)
		row = csv_row(table, table->field[row][1]);
	return row == ancestor;
}

static bool
labels_add(phi_labels *labels, const char *code)
{
	return phi_labels_add(labels, code, strlen(code));
}

static uint64_t
below(const char *code)
{
	return phi_sensitivity_below(code, strlen(code));
}

/* The bits that one label sets. */
static uint64_t
bits(const char *code)
{
	phi_labels labels = {0};

	CHECK(labels_add(&labels, code));
	return labels.sensitivities;
}

static phi_purpose
purpose(const char *code)
{
	return phi_purpose_find(code, strlen(code));
}

static void
test_purposes_against_file(void)
{
	static csv table;
	unsigned row;
	unsigned ancestor;

	if (!csv_load(&table, "purpose_of_use.csv"))
		return;
	CHECK_CASE("purposes: every row, display and ancestor is that of the code system");
	CHECK_INT(table.rows, 63);
	CHECK_INT(phi_purpose_count(), table.rows);
	for (row = 0; row < table.rows; row++)
	{
		CHECK_TEXT(phi_purpose_code((phi_purpose) row), table.field[row][0]);
		CHECK_TEXT(phi_purpose_display((phi_purpose) row), table.field[row][2]);
		CHECK_INT(purpose(table.field[row][0]), row);
		for (ancestor = 0; ancestor < table.rows; ancestor++)
			CHECK_INT(phi_purpose_is_a((phi_purpose) row, (phi_purpose) ancestor),
					  csv_is_a(&table, row, ancestor));
	}
}

static void
test_confidentialities_against_file(void)
{
	static csv table;
	unsigned row;

	if (!csv_load(&table, "confidentiality.csv"))
		return;
	CHECK_CASE("confidentialities: every rank is that of the code system");
	CHECK_INT(table.rows, 6);
	for (row = 0; row < table.rows; row++)
	{
		phi_labels labels = {0};

		CHECK_TEXT(phi_label_code(row), table.field[row][0]);
		CHECK(labels_add(&labels, table.field[row][0]));
		CHECK_INT(labels.rank, atoi(table.field[row][1]));
		CHECK_INT(phi_labels_rank(&labels), atoi(table.field[row][1]));
		CHECK(labels.sensitivities == 0);
		CHECK(below(table.field[row][0]) == 0);
	}
}

/* The set of a code and its descendants by the file, with CEL and VIP as one. */
static uint64_t
csv_below(const csv *table, unsigned ancestor)
{
	uint64_t synonyms = UINT64_C(1) << csv_row(table, "CEL") | UINT64_C(1) << csv_row(table, "VIP");
	uint64_t set = 0;
	unsigned row;

	for (row = 0; row < table->rows; row++)
	{
		if (csv_is_a(table, row, ancestor))
			set |= UINT64_C(1) << row;
	}
	return set & synonyms ? set | synonyms : set;
}

static void
test_sensitivities_against_file(void)
{
	static csv table;
	unsigned row;

	if (!csv_load(&table, "sensitivity.csv"))
		return;
	CHECK_CASE("sensitivities: every row and descendant is that of the code system");
	CHECK_INT(table.rows, 49);
	for (row = 0; row < table.rows; row++)
	{
		const char *code = table.field[row][0];
		phi_labels labels = {0};

		CHECK_TEXT(phi_label_code(6 + row), code);
		CHECK_INT(labels_add(&labels, code), code[0] != '_');
		if (code[0] == '_')
			CHECK(labels.sensitivities == 0);
		else if (strcmp(code, "CEL") != 0 && strcmp(code, "VIP") != 0)
			CHECK(labels.sensitivities == UINT64_C(1) << row);
		CHECK(below(code) == csv_below(&table, row));
	}
	CHECK(phi_label_code(6 + table.rows) == NULL);
}

static void
test_purposes(void)
{
	CHECK_CASE("purposes: the named ones");
	CHECK_TEXT(phi_purpose_code(phi_purpose_treat()), "TREAT");
	CHECK_TEXT(phi_purpose_code(phi_purpose_payment()), "HPAYMT");
	CHECK_TEXT(phi_purpose_code(phi_purpose_operations()), "HOPERAT");
	CHECK_TEXT(phi_purpose_code(phi_purpose_patient_request()), "PATRQT");
	CHECK_TEXT(phi_purpose_code(phi_purpose_break_glass()), "BTG");
	CHECK_TEXT(phi_purpose_display(phi_purpose_treat()), "treatment");

	CHECK_CASE("purposes: is-a over three levels, and not downward");
	CHECK(phi_purpose_is_a(purpose("BTG"), purpose("ETREAT")));
	CHECK(phi_purpose_is_a(purpose("BTG"), purpose("TREAT")));
	CHECK(phi_purpose_is_a(purpose("BTG"), purpose("PurposeOfUse")));
	CHECK(phi_purpose_is_a(purpose("BTG"), purpose("BTG")));
	CHECK(!phi_purpose_is_a(purpose("TREAT"), purpose("BTG")));
	CHECK(!phi_purpose_is_a(purpose("ERTREAT"), purpose("BTG")));

	CHECK_CASE("purposes: only exact codes are found");
	CHECK_INT(purpose("treat"), PHI_PURPOSE_NONE);
	CHECK_INT(purpose("TREA"), PHI_PURPOSE_NONE);
	CHECK_INT(purpose("TREATX"), PHI_PURPOSE_NONE);
	CHECK_INT(purpose(""), PHI_PURPOSE_NONE);
	CHECK_INT(phi_purpose_find(NULL, 0), PHI_PURPOSE_NONE);
	CHECK_INT(phi_purpose_find("TREATDS", 5), purpose("TREAT"));
	CHECK_INT(phi_purpose_find("TREAT\0S", 7), PHI_PURPOSE_NONE);

	CHECK_CASE("purposes: what is no row has no name and no relation");
	CHECK(phi_purpose_code(PHI_PURPOSE_NONE) == NULL);
	CHECK(phi_purpose_display((phi_purpose) phi_purpose_count()) == NULL);
	CHECK(!phi_purpose_is_a(PHI_PURPOSE_NONE, PHI_PURPOSE_NONE));
	CHECK(!phi_purpose_is_a(PHI_PURPOSE_NONE, 0));
	CHECK(!phi_purpose_is_a(0, PHI_PURPOSE_NONE));
	CHECK(!phi_purpose_is_a((phi_purpose) phi_purpose_count(), (phi_purpose) phi_purpose_count()));
}

static void
test_labels(void)
{
	phi_labels labels = {0};

	CHECK_CASE("labels: an unlabelled row ranks N, a stated rank counts");
	CHECK_INT(phi_labels_rank(&labels), 4);
	CHECK(labels_add(&labels, "L"));
	CHECK_INT(phi_labels_rank(&labels), 2);
	CHECK(labels_add(&labels, "U"));
	CHECK_INT(labels.rank, 2);

	CHECK_CASE("labels: a sensitivity raises the rank to R, and V stays V");
	CHECK(labels_add(&labels, "HIV"));
	CHECK_INT(labels.rank, 2);
	CHECK_INT(phi_labels_rank(&labels), 5);
	CHECK(labels_add(&labels, "V"));
	CHECK_INT(phi_labels_rank(&labels), 6);
	labels = (phi_labels){0, bits("PSY")};
	CHECK_INT(phi_labels_rank(&labels), 5);

	CHECK_CASE("labels: unknown and abstract codes leave them as they were");
	labels = (phi_labels){3, 8};
	CHECK(!labels_add(&labels, "_InformationSensitivityPolicy"));
	CHECK(!labels_add(&labels, "hiv"));
	CHECK(!labels_add(&labels, "TREAT"));
	CHECK(!labels_add(&labels, ""));
	CHECK(!phi_labels_add(&labels, "R\0", 2));
	CHECK_INT(labels.rank, 3);
	CHECK_INT(labels.sensitivities, 8);
	CHECK(phi_labels_add(&labels, "RV", 1));
	CHECK_INT(labels.rank, 5);
}

static void
test_sensitivities(void)
{
	CHECK_CASE("sensitivities: what lies below SUD, SPI and BH");
	CHECK(below("SUD") == (bits("SUD") | bits("ETHUD") | bits("OPIOIDUD")));
	CHECK(below("BH") == (bits("BH") | bits("COGN") | bits("DVD") | bits("EMOTDIS")));
	CHECK(below("SPI") ==
		  (bits("SPI") | below("BH") | below("SUD") | bits("MH") | bits("PSY") | bits("PSYTHPN")));
	CHECK((below("_ActInformationSensitivityPolicy") & bits("OPIOIDUD")) != 0);
	CHECK((below("_ActInformationSensitivityPolicy") & bits("DEMO")) == 0);
	CHECK((below("SUD") & bits("ETH")) == 0);
	CHECK(below("") == 0);
	CHECK(below("XYZ") == 0);

	CHECK_CASE("sensitivities: of a set, one at or below SUD, and PSYTHPN");
	for (unsigned row = 0; row < 64; row++)
	{
		CHECK(phi_sensitivities_substance_use(UINT64_C(1) << row) == (below("SUD") >> row & 1));
		CHECK(phi_sensitivities_psychotherapy(UINT64_C(1) << row) == (below("PSYTHPN") >> row & 1));
	}
	CHECK(phi_sensitivities_substance_use(bits("HIV") | bits("OPIOIDUD") | bits("ETH")));
	CHECK(!phi_sensitivities_substance_use(0));

	CHECK_CASE("sensitivities: CEL and VIP are synonyms, SICKLE is known");
	CHECK(bits("CEL") == bits("VIP"));
	CHECK_INT(__builtin_popcountll(bits("VIP")), 2);
	CHECK(below("CEL") == bits("VIP"));
	CHECK_INT(__builtin_popcountll(bits("SICKLE")), 1);

	CHECK_CASE("label codes: positions end");
	CHECK_TEXT(phi_label_code(0), "U");
	CHECK_TEXT(phi_label_code(6), "_InformationSensitivityPolicy");
	CHECK_TEXT(phi_label_code(54), "PRS");
	CHECK(phi_label_code(55) == NULL);
	CHECK(phi_label_code(UINT32_MAX) == NULL);
}

/* Is this the code that stands above in the published table? */
static bool
parent_is(const char *got, const char *published)
{
	return *published == '\0' ? got == NULL : got != NULL && strcmp(got, published) == 0;
}

static void
test_parents(void)
{
	static csv table;
	unsigned i;

	CHECK_CASE("actions by code, and no others");
	for (i = 0; i < PHI_ACTION_COUNT; i++)
	{
		const char *code = phi_action_code((phi_action) i);

		CHECK_INT(phi_action_find(code, strlen(code)), i);
	}
	CHECK_INT(phi_action_find("access", 6), PHI_ACTION_ACCESS);
	CHECK_INT(phi_action_find("Access", 6), PHI_ACTION_NONE);
	CHECK_INT(phi_action_find("acces", 5), PHI_ACTION_NONE);
	CHECK(phi_action_code(PHI_ACTION_COUNT) == NULL && phi_action_code(PHI_ACTION_NONE) == NULL);

	CHECK_CASE("resource types: concrete ones of every release, exactly");
	CHECK(phi_resource_type_known("Account", 7) && phi_resource_type_known("MedicinalProduct", 16) &&
		  phi_resource_type_known("Ingredient", 10) && phi_resource_type_known("VisionPrescription", 18));
	CHECK(!phi_resource_type_known("Resource", 8) && !phi_resource_type_known("DomainResource", 14));
	CHECK(!phi_resource_type_known("observation", 11) && !phi_resource_type_known("Observatio", 10) &&
		  !phi_resource_type_known("Observations", 12) && !phi_resource_type_known("", 0));

	CHECK_CASE("no code stands above what is none");
	CHECK(phi_label_parent("N", 1) == NULL && phi_label_parent("NONE", 4) == NULL);
	CHECK(phi_purpose_parent(PHI_PURPOSE_NONE) == NULL);
	CHECK_INT(phi_confidentiality_rank("X", 1), 0);
	CHECK_INT(phi_confidentiality_rank("PSY", 3), 0);

	if (!csv_load(&table, "sensitivity.csv"))
		return;
	CHECK_CASE("the code above each sensitivity is the published one");
	for (i = 0; i < table.rows; i++)
		CHECK(parent_is(phi_label_parent(table.field[i][0], strlen(table.field[i][0])),
						table.field[i][1]));
	if (!csv_load(&table, "purpose_of_use.csv"))
		return;
	CHECK_CASE("the code above each purpose is the published one");
	for (i = 0; i < table.rows; i++)
		CHECK(parent_is(
			phi_purpose_parent(phi_purpose_find(table.field[i][0], strlen(table.field[i][0]))),
			table.field[i][1]));
}

int
main(void)
{
	test_purposes_against_file();
	test_confidentialities_against_file();
	test_sensitivities_against_file();
	test_purposes();
	test_labels();
	test_sensitivities();
	test_parents();
	return check_done();
}
