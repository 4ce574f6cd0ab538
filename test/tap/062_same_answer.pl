# The same answer whichever way it is asked for: random conditions over tables whose rows differ in what
# consents depend on, as a plain query, prepared, generic, parallel, through a cursor, the view, COPY, an
# index by the list of permitted subjects; beside a copy that holds just the rows that phi.explain_access
# permits, one by one and past every cache.  Again after consents of single subjects changed, and in a
# session that has become somebody else under the same plans.

use strict;
use warnings;
use PostgreSQL::Test::BackgroundPsql;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $seed = $ENV{PHI_SEED} // 20260719;
srand($seed);
diag("seed $seed");

my $subjects = 4000;
my $node = phi_node('same', conf => "log_statement = none\nautovacuum = off\nmax_worker_processes = 12\nmax_parallel_workers = 8\n");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
my $version = $node->safe_psql('postgres', 'SHOW server_version_num');

# ---- tables ----

ask($node, 'hospital', <<"SQL");
CREATE TABLE patient (id bigint PRIMARY KEY, name text, ward integer);
CREATE TABLE result (id bigint PRIMARY KEY, patient text NOT NULL, labels text[], code text, taken timestamptz, author text,
	encounter integer, mother text, value text);
INSERT INTO patient SELECT i, 'Name ' || i, i % 10 FROM generate_series(1, $subjects) i;
INSERT INTO result SELECT i, 1 + i * 7 % $subjects, ('[0:5]={NULL,"{}","{N}","{R}","{R,PSY}","{V}"}'::text[])[i % 6]::text[],
		CASE WHEN i % 4 > 0 THEN 'http://loinc.org|' || i % 4 END,
		CASE WHEN i % 5 > 0 THEN timestamptz '2015-01-01' + i % 4000 * interval '1 day' END,
		CASE WHEN i % 3 > 0 THEN 'Practitioner/' || i % 3 END, CASE WHEN i % 3 > 0 THEN i % 50 END,
		CASE WHEN i % 20 = 0 THEN (1 + i % $subjects)::text END, 'value ' || i
	FROM generate_series(1, 12000) i;
SQL
ask($node, 'officer', <<'SQL');
SELECT phi.describe('result', 'Observation', code => 'code', data_time => 'taken', author => 'author', encounter => 'encounter',
	reference => 'id', subjects => '{mother}', unlabelled => 'R');
SELECT phi.describe('patient', 'Patient');
SELECT phi.classify('patient', 'name', 'name'), phi.classify('patient', 'ward', 'none'), phi.classify('result', 'value', 'lab');
SELECT phi.classify('result', c, 'none') FROM unnest('{code,taken,author,encounter,mother}'::name[]) c;
SELECT phi.protect('patient', subject => 'id'), phi.protect('result', subject => 'patient', labels => 'labels');
SQL
ask($node, 'hospital', 'GRANT SELECT ON patient, result, patient_redacted, result_redacted TO clinician, researcher, scholar, nobody;
	CREATE INDEX ON result (patient); ANALYZE');

# ---- consents: of each subject none, or up to three of all sorts ----

my @purposes = (undef, 'TREAT', 'HRESCH', 'HRESCH', 'COC');

sub provision
{
	my ($type, $depth) = @_;
	my @parts = $type ? (qq("type":"$type")) : ();
	my $coded = 'http://terminology.hl7.org/CodeSystem/v3-';

	if (rand() < 0.4)
	{
		my $purpose = $purposes[ rand @purposes ];
		push @parts, qq("purpose":[{"system":"${coded}ActReason","code":"$purpose"}]) if $purpose;
	}
	push @parts, q("securityLabel":[{"system":") . $coded . q(Confidentiality","code":") . (qw(N R V))[ rand 3 ] . q("}]) if rand() < 0.2;
	push @parts, q("securityLabel":[{"system":") . $coded . q(ActCode","code":"PSY"}]) if rand() < 0.1 && "@parts" !~ /securityLabel/;
	push @parts, q("class":[{"system":"http://hl7.org/fhir/resource-types","code":") . (qw(Observation Patient))[ rand 2 ] . q("}]) if rand() < 0.2;
	push @parts, q("code":[{"coding":[{"system":"http://loinc.org","code":") . int(rand 4) . q("}]}]) if rand() < 0.15;
	push @parts, q("dataPeriod":{"start":") . (2014 + int rand 5) . q(","end":") . (2019 + int rand 5) . q("}) if rand() < 0.25;
	push @parts, q("data":[{"meaning":"authoredby","reference":{"reference":"Practitioner/) . int(rand 3) . q("}}]) if rand() < 0.1;
	push @parts, q("data":[{"meaning":"related","reference":{"reference":"Encounter/) . int(rand 50) . q("}}])
	  if rand() < 0.1 && "@parts" !~ /"data"/;
	push @parts, '"provision":[' . provision(undef, $depth + 1) . ']' if $depth < 2 && rand() < 0.3;
	return '{' . join(',', @parts) . '}';
}

sub directive
{
	my ($subject) = @_;
	my $type = rand() < 0.5 ? 'permit' : 'deny';

	return q({"resourceType":"Consent","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope",)
	  . q("code":"patient-privacy"}]},"category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],)
	  . qq("patient":{"reference":"Patient/$subject"},"dateTime":"2026-01-01","provision":) . provision($type, 0) . '}';
}

sub consents
{
	my ($from, $to) = @_;
	my @sql;

	foreach my $subject ($from .. $to)
	{
		next if rand() < 0.4;
		foreach (1 .. 1 + int rand 2)
		{
			my $purpose = $purposes[ rand @purposes ];
			push @sql, rand() < 0.4
			  ? 'SELECT phi.' . (rand() < 0.6 ? 'grant' : 'deny') . "_consent($subject" . ($purpose ? ", '$purpose'" : '') . ');'
			  : "SELECT phi.import_consent('" . directive($subject) . "');";
		}
	}
	return join("\n", @sql);
}

ask($node, '', "SET client_min_messages = warning;\n" . consents(1, $subjects));
my $unsupported = $node->safe_psql('postgres', q(SELECT count(*) FILTER (WHERE problem IS NOT NULL), count(*) FROM phi.consent));
note("consents: unsupported|all $unsupported");
$node->safe_psql('postgres', 'ANALYZE');

# ---- the copies ----

my %table = (
	patient => { columns => 'id, ward', explain => "phi.explain_access(id, 'patient')" },
	result => {
		columns => 'id, patient, labels, code, taken, author, encounter',
		explain => "phi.explain_access(patient, 'result', labels, ARRAY[code], taken, author, encounter::text, id::text)",
		others => " AND (mother IS NULL OR (phi.explain_access(mother, 'result', labels, ARRAY[code], taken, author, encounter::text, id::text)).permit)",
	});

# The ids that explain_access permits to a role; the rows are read past row security for this.
sub permitted
{
	my ($role, $prefix) = @_;
	my %ids;

	foreach my $table (keys %table)
	{
		my $explain = $table{$table}{explain} =~ s/ARRAY\[code\]/CASE WHEN code IS NOT NULL THEN ARRAY[code] END/gr;
		my $others = ($table{$table}{others} // '') =~ s/ARRAY\[code\]/CASE WHEN code IS NOT NULL THEN ARRAY[code] END/gr;
		$ids{$table} = ask($node, $role, "$prefix SET client_min_messages = warning;
			SELECT string_agg(id::text, ',' ORDER BY id) FROM copy_$table WHERE ($explain).permit$others");
		$ids{$table} =~ s/.*\n//s;
	}
	return \%ids;
}

ask($node, '', join("\n", 'SET row_security = off;', map { "CREATE TABLE copy_$_ AS SELECT * FROM $_;" } keys %table)
	  . 'ALTER TABLE copy_result DROP COLUMN value; ALTER TABLE copy_patient DROP COLUMN name; GRANT SELECT ON copy_result, copy_patient TO PUBLIC');

# ---- conditions, and the ways to ask ----

sub condition
{
	my ($table) = @_;
	my $n = 1 + int rand $subjects;
	my $m = int rand 12000;
	my @of = $table eq 'patient'
	  ? ('true', "id < $n", "id BETWEEN $n AND $n + 300", "id = $n", "ward = $n % 10", "id IN ($n, $n + 1, $n + 2)", "id % 7 = $n % 7 AND ward > 4")
	  : ('true', "id < $m", "patient = '$n'", "patient > '$n'", "taken > '2016-06-01'", 'labels IS NULL', "labels && '{R}'", "code LIKE '%|1'",
		"author = 'Practitioner/1' AND id > $m", "encounter = $n % 50");

	return $of[ rand @of ];
}

my $forced = 'SET max_parallel_workers_per_gather = 4; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
	SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0;'
  . ($version >= 160000 ? 'SET debug_parallel_query = on;' : 'SET force_parallel_mode = on;');
my %way = (
	plain => sub { "$_[1];" },
	prepared => sub { "PREPARE p AS $_[1]; " . 'EXECUTE p; ' x 6 },
	generic => sub { "SET plan_cache_mode = force_generic_plan; PREPARE p(bigint) AS $_[1] AND \$1 = 1; EXECUTE p(1); EXECUTE p(1);" },
	parallel => sub { "$forced $_[1];" },
	index => sub { "SET enable_seqscan = off; SELECT count(*) FROM patient; $_[1];" },
	bitmap => sub { "SET enable_seqscan = off; SET enable_indexscan = off; SET enable_indexonlyscan = off; $_[1];" },
	cursor => sub { "BEGIN; DO \$\$ DECLARE c CURSOR FOR SELECT id FROM $_[2]; r record; n bigint := 0; s text := ''; BEGIN
		FOR r IN c LOOP n := n + 1; s := s || r.id || ','; END LOOP; PERFORM set_config('app.seen', n || '|' || coalesce(md5(rtrim(s, ',')), ''), true); END \$\$;
		SELECT current_setting('app.seen'); COMMIT;" },
	view => sub { $_[1] =~ s/FROM (patient|result) /FROM $1_redacted /r . ';' },
	copy => sub { "COPY ($_[1]) TO STDOUT (FORMAT csv);" },
	subquery => sub { 'SELECT (SELECT count(*) FROM patient) IS NOT NULL; ' . $_[1] =~ s/WHERE/WHERE id IN (SELECT id FROM $_[0]) AND/r . ';' },
);

sub compare
{
	my ($role, $prefix, $rounds, $what) = @_;
	my $ids = permitted($role, $prefix);
	my ($wrong, $asked) = (0, 0);

	foreach my $table (sort keys %table)
	{
		foreach my $round (1 .. $rounds)
		{
			my $condition = condition($table);
			my $query = "SELECT count(*) || '|' || coalesce(md5(string_agg(id::text, ',' ORDER BY id)), '') FROM $table WHERE $condition";
			my $expected = $node->safe_psql('postgres',
				$query =~ s/FROM $table WHERE/"FROM copy_$table WHERE id = ANY ('{" . ($ids->{$table} \/\/ '') . "}') AND"/er);
			foreach my $way (sort keys %way)
			{
				my $sql = $way{$way}->($table, $query, "$table WHERE $condition ORDER BY id");
				my $got = ask($node, $role, "$prefix SET client_min_messages = warning; $sql");
				my @lines = split /\n/, $got;
				my $answer = $lines[-1] // '';
				$answer = '0|' if $answer eq '0|d41d8cd98f00b204e9800998ecf8427e';
				$asked++;
				next if $answer eq $expected;
				$wrong++;
				diag("$what, $role, $way: $condition on $table\n  got $answer\n  expected $expected");
			}
		}
	}
	is($wrong, 0, "$what: $role: $asked answers agree");
	return;
}

foreach my $role ('clinician', 'researcher', 'nobody')
{
	compare($role, '', $role eq 'nobody' ? 1 : 6, 'at first');
}
compare('scholar', "SELECT phi.set_purpose('HRESCH');", 3, 'for research');
compare('scholar', "SELECT phi.set_purpose('TREAT');", 3, 'for treatment');

# ---- the values that the view reveals are those of the rows that it shows ----

is(ask($node, 'clinician', q(SELECT count(*) > 1000, count(*) FILTER (WHERE value IS DISTINCT FROM 'value ' || id) FROM result_redacted)),
	't|0', 'every row that is shown is revealed');
is(ask($node, 'researcher', 'SELECT count(DISTINCT value IS NULL) FROM result_redacted'), 1, 'or none, as the form says');

# ---- one session under changes: what it remembers follows ----

my $background = $node->background_psql('postgres', on_error_stop => 0);
$background->query_safe('SET SESSION AUTHORIZATION researcher');
$background->query_safe('PREPARE p AS SELECT count(*) || \'|\' || coalesce(md5(string_agg(id::text, \',\' ORDER BY id)), \'\') FROM patient');
$background->query_safe('PREPARE r AS SELECT count(*) || \'|\' || coalesce(md5(string_agg(id::text, \',\' ORDER BY id)), \'\') FROM result');
$background->query_safe("EXECUTE $_") foreach ('p', 'r', 'p', 'r');
my $wrong = 0;
foreach my $round (1 .. 12)
{
	my $from = 1 + int rand($subjects - 10);
	my $change = (
		consents($from, $from + 3),
		"SELECT phi.revoke_consent(id) FROM phi.consent WHERE status = 'active' ORDER BY md5(id::text || $round) LIMIT 3;",
		"BEGIN; SELECT phi.deny_consent($from); ROLLBACK; SELECT phi.deny_consent($from + 1);",
		"BEGIN; SAVEPOINT a; SELECT phi.deny_consent($from); ROLLBACK TO a; SELECT phi.grant_consent($from + 1, 'HRESCH'); COMMIT;",
		"UPDATE phi.consent SET status = 'revoked' WHERE id IN (SELECT id FROM phi.consent ORDER BY id LIMIT 200 OFFSET $from % 300);",
	)[ $round % 5 ];

	ask($node, '', $change) if $change ne '';
	my $ids = permitted('researcher', '');
	foreach my $table ('patient', 'result')
	{
		my $count = () = ($ids->{$table} // '') =~ /\d+/g;
		my $got = $background->query_safe('EXECUTE ' . substr($table, 0, 1));
		my $expected = $node->safe_psql('postgres', "SELECT $count || '|' || coalesce(md5(nullif('" . ($ids->{$table} // '') . "', '')), '')");
		next if $got eq $expected;
		$wrong++;
		diag("round $round, $table: got $got, expected $expected");
	}
}
is($wrong, 0, 'a session that remembers follows twelve changes');
$background->quit;

# ---- a plan by the list of permitted subjects, under another purpose ----

my $few = ask($node, '', 'UPDATE phi.consent SET status = \'revoked\' WHERE id % 12 <> 0; SELECT count(*) FROM phi.consent WHERE status = \'active\'');
my $script = <<'SQL';
SELECT phi.set_purpose('HRESCH');
SELECT count(*) AS research FROM patient \gset
PREPARE p AS SELECT count(*) FROM patient;
EXECUTE p;
EXPLAIN (COSTS OFF) EXECUTE p;
SELECT phi.set_purpose('TREAT');
SELECT count(*) AS treatment FROM (SELECT id + 0 FROM patient) s \gset
EXECUTE p \gset
SELECT :count = :treatment;
SELECT phi.set_purpose('HRESCH');
EXECUTE p \gset
SELECT :count = :research, :count > 0, :treatment > :research;
BEGIN;
SELECT phi.set_purpose('TREAT');
EXECUTE p \gset
SELECT :count = :treatment;
ROLLBACK;
EXECUTE p \gset
SELECT :count = :research;
SQL
my $listed = ask($node, 'scholar', $script);
like($listed, qr/Index Cond: \(id = ANY \(phi\.permitted_subjects\(/, 'few permitted subjects are looked up in the index');
unlike($listed, qr/^f\b|\bf$/m, 'and the plan is right for another purpose, and back');
is(() = $listed =~ /^t/mg, 4, 'each time');
unlike(ask($node, 'scholar', 'SELECT phi.set_purpose(\'HRESCH\'); SELECT count(*) FROM patient; EXPLAIN (COSTS OFF) SELECT * FROM patient WHERE id = 5'),
	qr/permitted_subjects/, 'a query that names a subject does not ask for the list');

# A plan that comes to a session whose subjects are no list, before it could be forgotten.
is(ask($node, '', <<'SQL') =~ s/.*\n//sr, 't', 'the list is found in the table where nobody knows it');
SET SESSION AUTHORIZATION scholar;
SELECT phi.set_purpose('HRESCH');
SELECT count(*) FROM patient;
CREATE FUNCTION pg_temp.both() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	before bigint;
	listed bigint;
	after bigint;
BEGIN
	FOR i IN 1 .. 2 LOOP
		PERFORM phi.set_purpose(CASE i WHEN 1 THEN 'HRESCH' ELSE 'TREAT' END);
		SELECT count(*) INTO listed FROM patient;
		before := coalesce(before, listed);
		after := listed;
	END LOOP;
	RETURN after > before AND after = (SELECT count(*) FROM (SELECT id + 0 FROM patient OFFSET 0) s);
END $$;
SELECT pg_temp.both();
SQL

$node->stop;
done_testing();
