# The same answer from every plan: in parallel, from a plan made for another identity or purpose, through
# a cursor, a cached function, an index on search tags, statistics, a materialized view; and no plan that
# shows a hidden row to a function of the person who asks, or a value to code of the table's owner.

use strict;
use warnings;
use PostgreSQL::Test::BackgroundPsql;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('plans', conf => "log_statement = none\nphi.disclosure_audit = log\nautovacuum = off\nmax_worker_processes = 12\nmax_parallel_workers = 8\n");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
my $version = $node->safe_psql('postgres', 'SHOW server_version_num');

# 20,000 patients; consents of all sorts among the first 5,000.
ask($node, 'hospital', <<'SQL');
CREATE TABLE patient (id bigint PRIMARY KEY, name text, ssn text, born date, city text, ward integer);
CREATE TABLE visit (id bigint PRIMARY KEY, patient bigint NOT NULL, seen timestamptz, diagnosis text);
INSERT INTO patient SELECT i, 'Name ' || i, '987-65-' || lpad((i % 10000)::text, 4, '0'), date '1950-01-01' + i % 9000, 'City ' || i % 7, i % 10
	FROM generate_series(1, 20000) i;
INSERT INTO visit SELECT i, i % 5000 + 1, '2024-01-01', 'diagnosis ' || i % 50 FROM generate_series(1, 8000) i;
CREATE TABLE claim (id bigint PRIMARY KEY, patient bigint NOT NULL, member_ssn text);
INSERT INTO claim SELECT i, i, '987-65-' || lpad(i::text, 4, '0') FROM generate_series(1, 2000) i;
GRANT SELECT ON patient, visit, claim TO clinician, researcher, scholar, biller, nobody;
SQL
ask($node, 'officer', <<'SQL');
SELECT phi.classify('patient', c, k) FROM (VALUES ('name', 'name'), ('born', 'birth_date'), ('city', 'city'), ('ward', 'none')) AS v (c, k);
SELECT phi.classify('visit', c, k) FROM (VALUES ('seen', 'service_date'), ('diagnosis', 'diagnosis')) AS v (c, k);
SELECT phi.classify('patient', 'ssn', 'ssn', searchable => true, context => 'people'),
	phi.classify('claim', 'member_ssn', 'ssn', searchable => true, context => 'people');
SELECT phi.protect('patient', subject => 'id'), phi.protect('visit', subject => 'patient'), phi.protect('claim', subject => 'patient');
SQL
ask($node, 'hospital', 'GRANT SELECT ON patient_redacted, visit_redacted, claim_redacted TO clinician, researcher, scholar, biller, nobody;
	CREATE INDEX ON visit (patient); CREATE INDEX patient_ssn ON patient (ssn); CREATE INDEX claim_ssn ON claim (member_ssn); ANALYZE');
ask($node, 'privacy', <<'SQL');
SELECT count(phi.grant_consent(i, purpose => 'HRESCH')) FROM generate_series(1::bigint, 5000) i WHERE i % 3 = 0;
SELECT count(phi.deny_consent(i, purpose => 'TREAT')) FROM generate_series(1::bigint, 5000) i WHERE i % 7 = 0;
SELECT count(phi.deny_consent(i)) FROM generate_series(1::bigint, 5000) i WHERE i % 11 = 0;
SELECT count(phi.deny_consent(i, workforce_role => 'researcher')) FROM generate_series(1::bigint, 5000) i WHERE i % 13 = 0;
SELECT count(phi.grant_consent(i, purpose => 'HRESCH', valid_until => now() - interval '1 day')) FROM generate_series(1::bigint, 5000) i WHERE i % 5 = 0;
SQL

# Who sees what a clinician sees and may have plans analyzed.
ask($node, '', <<'SQL');
CREATE ROLE observer LOGIN;
SELECT phi.grant_duty('observer', 'application'), phi.grant_duty('observer', 'security_officer'),
	phi.enroll('observer', 'Dr. House', '{clinician}', '{TREAT}');
GRANT SELECT ON patient, patient_redacted TO observer;
SQL

# Who may see which ids, said again in plain SQL: the answer that every plan has to give.
my %visible = (
	clinician => 'NOT (i <= 5000 AND (i % 7 = 0 OR i % 11 = 0))',
	researcher => 'i <= 5000 AND i % 3 = 0 AND i % 11 <> 0 AND i % 13 <> 0',
	nobody => 'false',
);
# the scholar is both, for one purpose at a time; a denial to researchers binds a researcher for treatment too
$visible{'scholar TREAT'} = "NOT (i <= 5000 AND (i % 7 = 0 OR i % 11 = 0 OR i % 13 = 0))";
$visible{'scholar HRESCH'} = $visible{researcher};
my %expected = map { $_ => ask($node, '', "SELECT count(i), md5(string_agg(i::text, ',' ORDER BY i)) FROM generate_series(1::bigint, 20000) i WHERE $visible{$_}") }
  keys %visible;
cmp_ok((split /\|/, $expected{clinician})[0], '>', 15000, 'most patients permit treatment');
cmp_ok((split /\|/, $expected{researcher})[0], '>', 1000, 'some permit research');

my $ids = "SELECT count(id), md5(string_agg(id::text, ',' ORDER BY id)) FROM patient_redacted";
my $values = 'SELECT md5(string_agg(p::text, E\'\n\' ORDER BY id)) FROM patient_redacted p WHERE id <= 5200';
my $join = 'SELECT count(*), md5(string_agg(concat(v.id, name, diagnosis), \',\' ORDER BY v.id)) FROM patient_redacted p JOIN visit_redacted v ON v.patient = p.id';

# ---- parallel ----

my $parallel = 'SET max_parallel_workers_per_gather = 4; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
	SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0;';
my $forced = $parallel . ($version >= 160000 ? 'SET debug_parallel_query = regress;' : 'SET force_parallel_mode = regress;');
my $plan = ask($node, 'observer', "$parallel EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT count(id) FROM patient_redacted");
like($plan, qr/Workers Launched: [1-4]/, 'the view is scanned by parallel workers');
like($plan, qr/row_access/, 'which apply the row predicate');
foreach my $who ('clinician', 'researcher', 'nobody', 'scholar TREAT', 'scholar HRESCH')
{
	my ($role, $purpose) = split / /, $who;
	my $prefix = $purpose ? "DO \$\$ BEGIN PERFORM phi.set_purpose('$purpose'); END \$\$; SET max_parallel_workers_per_gather = 0;"
	  : 'SET max_parallel_workers_per_gather = 0;';

	my $serial = ask($node, $role, "$prefix $ids; $values; $join");
	is((split /\n/, $serial)[0], $expected{$who}, "$who: the right ids");
	is(ask($node, $role, "$prefix $parallel $ids; $values; $join"), $serial, "$who: the same in parallel");
	is(ask($node, $role, "$prefix $forced $ids; $values; $join"), $serial, "$who: the same with parallelism forced");
	is(ask($node, $role, "$prefix $parallel SELECT count(id), md5(string_agg(id::text, ',' ORDER BY id)) FROM patient"), $expected{$who},
		"$who: the same ids in the base table");
}
is(ask($node, 'scholar', "$forced $ids"), ask($node, 'nobody', $ids), 'without a purpose nothing, in workers too');
isnt(ask($node, 'clinician', $values), ask($node, 'scholar', "SELECT phi.set_purpose('HRESCH'); $values") =~ s/^\n//r, 'the forms differ (the test can see a difference)');
my $in_workers = ask($node, 'clinician', "$parallel EXPLAIN (COSTS OFF) SELECT id FROM patient_redacted WHERE name = 'Name 77' AND ward < 100");
unlike($in_workers, qr/Gather.*\n.*reveal.*\n.*Parallel/s, 'values are revealed by the leader') if $in_workers =~ /Gather/;

# ---- a generic plan, under other purposes and identities ----

is(ask($node, 'scholar', <<"SQL"), <<"END" =~ s/\n\z//r, 'a generic plan follows the purpose');
SET plan_cache_mode = force_generic_plan;
PREPARE q AS $ids;
PREPARE one (bigint) AS SELECT name, born FROM patient_redacted WHERE id = \$1;
EXECUTE q;
\\o /dev/null
SELECT phi.set_purpose('TREAT');
\\o
EXECUTE q; EXECUTE one (3);
\\o /dev/null
SELECT phi.set_purpose('HRESCH');
\\o
EXECUTE q; EXECUTE one (3); EXECUTE one (4);
\\o /dev/null
SELECT phi.set_purpose('TREAT');
\\o
EXECUTE q; EXECUTE one (4);
BEGIN; SAVEPOINT s;
\\o /dev/null
SELECT phi.set_purpose('HRESCH');
\\o
EXECUTE q;
ROLLBACK TO s; EXECUTE q; COMMIT;
\\o /dev/null
SELECT phi.logout();
\\o
EXECUTE q; EXECUTE one (3);
SQL
$expected{nobody}
$expected{'scholar TREAT'}
Name 3|1950-01-04
$expected{'scholar HRESCH'}
|1950-01-01
$expected{'scholar TREAT'}
Name 4|1950-01-05
$expected{'scholar HRESCH'}
$expected{'scholar TREAT'}
$expected{nobody}
END

is(ask($node, '', <<"SQL"), <<"END" =~ s/\n\z//r, 'and the identity of the session');
SET plan_cache_mode = force_generic_plan;
PREPARE q AS $ids;
EXECUTE q;
SET SESSION AUTHORIZATION clinician; EXECUTE q;
SET SESSION AUTHORIZATION researcher; EXECUTE q;
SET SESSION AUTHORIZATION nobody; EXECUTE q;
SET SESSION AUTHORIZATION clinician; EXECUTE q;
RESET SESSION AUTHORIZATION; EXECUTE q;
SET ROLE clinician; EXECUTE q;
SQL
$expected{nobody}
$expected{clinician}
$expected{researcher}
$expected{nobody}
$expected{clinician}
$expected{nobody}
$expected{nobody}
END

ask($node, '', <<"SQL");
CREATE SCHEMA code;
GRANT USAGE ON SCHEMA code TO PUBLIC;
CREATE FUNCTION code.visible() RETURNS text LANGUAGE plpgsql AS \$f\$ DECLARE n text; BEGIN
	SELECT count(id) || '|' || md5(string_agg(id::text, ',' ORDER BY id)) INTO n FROM patient_redacted; RETURN n; END \$f\$;
SQL
is(ask($node, '', <<"SQL"), <<"END" =~ s/\n\z//r, 'so does a plan cached in a function');
SET plan_cache_mode = force_generic_plan;
SET SESSION AUTHORIZATION clinician; SELECT code.visible();
SET SESSION AUTHORIZATION researcher; SELECT code.visible();
SET SESSION AUTHORIZATION clinician; SELECT code.visible();
SQL
$expected{clinician}
$expected{researcher}
$expected{clinician}
END

# a consent that changes between two executions of one plan
my $planned = $node->background_psql('postgres', extra_params => [ '-U', 'clinician' ]);
$planned->query_safe('SET plan_cache_mode = force_generic_plan; PREPARE one (bigint) AS SELECT name FROM patient_redacted WHERE id = $1');
is($planned->query_safe('EXECUTE one (6001)'), 'Name 6001', 'a plan shows a patient');
my $denial = ask($node, 'privacy', 'SELECT phi.deny_consent(6001::bigint)');
is($planned->query_safe('EXECUTE one (6001)'), '', 'who denies, and is no longer shown');
ask($node, 'privacy', "SELECT phi.revoke_consent($denial)");
is($planned->query_safe('EXECUTE one (6001)'), 'Name 6001', 'until that is revoked');
$planned->quit;

# ---- equality on search tags ----

# One answer of a role to every sort of comparison with an SSN that patients 42 and 10042 have, and its
# ids as plain SQL has them: in full for whom the SSN is, otherwise as if there were none.
my %search = (
	'1 =' => "SELECT string_agg(id::text, ',' ORDER BY id) FROM patient_redacted WHERE ssn = \$1",
	'2 turned round, with another condition' => "SELECT string_agg(id::text, ',' ORDER BY id) FROM patient_redacted WHERE \$1 = ssn AND name = 'Name 42'",
	'3 OR' => "SELECT string_agg(id::text, ',' ORDER BY id) FROM patient_redacted WHERE ssn = \$1 OR id = 3",
	'4 NOT' => 'SELECT count(*) FROM patient_redacted WHERE NOT ssn = $1 AND id < 6000',
	'5 <>' => 'SELECT count(*) FROM patient_redacted WHERE ssn <> $1 AND id < 6000',
	'6 IN' => "SELECT string_agg(id::text, ',' ORDER BY id) FROM patient_redacted WHERE ssn IN (\$1, '987-65-0077', '987-65-0003', 'none')",
	'7 = ANY' => "SELECT string_agg(id::text, ',' ORDER BY id) FROM patient_redacted WHERE ssn = ANY (ARRAY[\$1, NULL])",
	'8 a subquery' => "SELECT string_agg(id::text, ',' ORDER BY id) FROM (SELECT id, ssn FROM (SELECT * FROM patient_redacted) a) b WHERE ssn = \$1",
	'9 a join' => "SELECT string_agg(p.id::text, ',' ORDER BY p.id) FROM claim_redacted c JOIN patient_redacted p ON p.ssn = c.member_ssn WHERE c.id BETWEEN 40 AND 44",
	'a an outer join' => "SELECT count(*), count(p.id) FROM claim_redacted c LEFT JOIN patient_redacted p ON p.ssn = c.member_ssn AND p.ssn = \$1",
	'b the base table' => "SELECT string_agg(id::text, ',' ORDER BY id) FROM patient WHERE ssn = \$1::text::phi.encrypted_text",
	'c the normal form' => "SELECT string_agg(id::text, ',' ORDER BY id) FROM patient WHERE ssn = replace(\$1, '-', ' ')::phi.encrypted_text",
	'd IN on the base table' => "SELECT string_agg(id::text, ',' ORDER BY id) FROM patient WHERE ssn IN (\$1::text::phi.encrypted_text, '987650077')",
	'e a join of base tables' => "SELECT string_agg(p.id::text, ',' ORDER BY p.id) FROM claim c JOIN patient p ON p.ssn = c.member_ssn WHERE c.id BETWEEN 40 AND 44",
);
my @queries = map { $search{$_} } sort keys %search;
my $ssn = '987-65-0042';
my $literals = join '; ', map { s/\$1/'$ssn'/gr } @queries;
my $prepared = join('; ', map { "PREPARE s$_ (text) AS $queries[$_]" } 0 .. $#queries) . '; ' . join('; ', map { "EXECUTE s$_ ('$ssn')" } 0 .. $#queries);

# What a role is to get, line by line; $full says whether it sees SSNs in full.  Tags tell nobody else that there is one.
sub searched
{
	my ($visible, $full) = @_;
	my $yes = $full ? 'true' : 'false';
	my $of = sub { "generate_series(1::bigint, $_[1]) i WHERE ($visible) AND ($_[0])" };
	my $list = sub { "(SELECT string_agg(i::text, ',' ORDER BY i) FROM " . $of->($_[0], 20000) . ')' };
	my $number = sub { '(SELECT count(*) FROM ' . $of->($_[0], 20000) . ')' };
	my $same = "$yes AND i % 10000 = 42";
	# a claim is visible as its patient is
	my $claim = "EXISTS (SELECT FROM (SELECT i % 10000 AS i) c WHERE $visible)";
	# the base tables' tags join for everybody who may access both rows
	my $joined = sub { $list->("$_[0] AND i % 10000 BETWEEN 40 AND 44 AND $claim") };
	my $matches = $number->("$same AND $claim");
	my $outer = '(SELECT count(*) FROM ' . $of->('true', 2000) . ") + greatest($matches - 1, 0) || '|' || $matches";
	my @answers = ($list->($same), $list->("$same AND i = 42"), $list->("$same OR i = 3"), $number->("$yes AND i <> 42 AND i < 6000"),
		$number->("$yes AND i <> 42 AND i < 6000"), $list->("$yes AND i % 10000 IN (42, 77, 3)"), $list->($same), $list->($same), $joined->($yes), $outer,
		$list->($same), $list->($same), $list->("$yes AND i % 10000 IN (42, 77)"), $joined->('true'));
	return ask($node, '', join '; ', map { "SELECT $_" } @answers);
}

my $seqscan = 'SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;';
my $index = 'SET enable_seqscan = off;';
like(ask($node, 'clinician', "$index EXPLAIN (COSTS OFF) " . ($queries[0] =~ s/\$1/'$ssn'/r)), qr/Index.* patient_ssn/, 'a search through the view uses the index');
like(ask($node, 'clinician', "EXPLAIN (COSTS OFF) " . ($queries[0] =~ s/\$1/'$ssn'/r)), qr/Index.* patient_ssn/, 'of its own accord');
like(ask($node, 'clinician', "$index EXPLAIN (COSTS OFF) " . ($queries[5] =~ s/\$1/'$ssn'/r)), qr/Index.* patient_ssn/, 'so does IN');
like(ask($node, 'clinician', "SET plan_cache_mode = force_generic_plan; PREPARE s (text) AS $queries[0]; EXPLAIN (COSTS OFF) EXECUTE s ('$ssn')"),
	qr/Index.* patient_ssn/, 'and a generic plan');
unlike(ask($node, 'clinician', "$seqscan EXPLAIN (COSTS OFF) " . ($queries[0] =~ s/\$1/'$ssn'/r)), qr/Index/, 'without it the table is scanned');
like(ask($node, 'observer', "$parallel $seqscan EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " . ($queries[10] =~ s/\$1/'$ssn'/r)), qr/Workers Launched: [1-4]/,
	'tags are compared by parallel workers');
my %way = (
	'by a scan' => "$seqscan $literals",
	'by the index' => "$index $literals",
	'with a merge join' => "SET enable_hashjoin = off; SET enable_nestloop = off; $literals",
	'with a hash join' => "SET enable_mergejoin = off; SET enable_nestloop = off; $literals",
	'with a nested loop' => "SET enable_hashjoin = off; SET enable_mergejoin = off; $literals",
	'in parallel' => "$parallel $seqscan $literals",
	'with parallelism forced' => "$forced $literals",
	'by the index with parallelism forced' => "$forced $index $literals",
	'from a custom plan' => "SET plan_cache_mode = force_custom_plan; $prepared",
	'from a generic plan' => "SET plan_cache_mode = force_generic_plan; $prepared",
	'from a generic plan that scans' => "$seqscan SET plan_cache_mode = force_generic_plan; $prepared",
	'from a generic plan with parallelism forced' => "$forced SET plan_cache_mode = force_generic_plan; $prepared",
);
my %full = ('clinician' => 1, 'scholar TREAT' => 1);
foreach my $who ('clinician', 'researcher', 'nobody', 'scholar TREAT', 'scholar HRESCH')
{
	my ($role, $purpose) = split / /, $who;
	my $prefix = $purpose ? "DO \$\$ BEGIN PERFORM phi.set_purpose('$purpose'); END \$\$;" : '';
	my $right = searched($visible{$who}, $full{$who});

	foreach my $case (sort keys %way)
	{
		is(ask($node, $role, "$prefix $way{$case}"), $right, "$who searches $case");
	}
}
like(searched($visible{clinician}, 1), qr/^10042\n/, 'what is searched for is there, and one of two denies');

# A cached plan serves whoever comes: its literals and parameters are tagged for the session that asks.
my ($by_view, $by_table) = map { s/\$1/'987-65-0041'/r } @queries[0, 10];
is(ask($node, '', <<"SQL"), "\n\n41,10041\n41,10041\n\n\n41,10041\n41,10041\n\n\n41,10041\n41,10041", 'a generic plan of a search follows the identity');
SET plan_cache_mode = force_generic_plan;
PREPARE v AS $by_view; PREPARE t AS $by_table;
EXECUTE v; EXECUTE t;
SET SESSION AUTHORIZATION clinician; EXECUTE v; EXECUTE t;
SET SESSION AUTHORIZATION researcher; EXECUTE v; EXECUTE t;
SET SESSION AUTHORIZATION clinician; EXECUTE v; EXECUTE t;
SET SESSION AUTHORIZATION biller; EXECUTE v; EXECUTE t;
SET SESSION AUTHORIZATION clinician; EXECUTE v; EXECUTE t;
SQL
$denial = ask($node, 'privacy', 'SELECT phi.deny_consent(10041::bigint)');
is(ask($node, 'clinician', "$index $by_view; $by_table"), "41\n41", 'and a search does not find who denies');
ask($node, 'privacy', "SELECT phi.revoke_consent($denial)");
is(ask($node, 'clinician', "$index $by_view; $by_table"), "41,10041\n41,10041", 'until that is revoked');
ask($node, 'hospital', 'DROP INDEX patient_ssn, claim_ssn');
is(ask($node, 'clinician', $literals), searched($visible{clinician}, 1), 'the answers are the same when the indexes are gone');

# ---- cursors ----

# What psql prints of a cursor that goes on after the session has changed, and its error: one script.
sub cursor
{
	my ($role, $query, $first, $second, $fetch) = @_;
	my @role = $role eq '' ? () : ('-U', $role);
	my ($status, $out, $err) = $node->psql('postgres', "\\o /dev/null\n$first;\n\\o\nBEGIN; DECLARE c CURSOR FOR $query; FETCH 3 FROM c;\n"
		  . "\\o /dev/null\n$second;\n\\o\n" . ($fetch // 'FETCH 40 FROM c') . '; COMMIT;', extra_params => [ @role, '-v', 'VERBOSITY=verbose' ]);

	return ($out, ($err =~ /(?:ERROR|FATAL):  (\S+: .*)/)[0] // '');
}
ask($node, '', <<'SQL');
GRANT ALL ON SCHEMA code TO PUBLIC;
CREATE FUNCTION code.names() RETURNS SETOF text LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT name FROM patient_redacted WHERE id < 100; END';
SQL
ask($node, 'clinician', 'CREATE TABLE code.copied AS SELECT id, name FROM patient WHERE id < 100; GRANT SELECT ON code.copied TO PUBLIC');
my $treat = "SELECT phi.set_purpose('TREAT')";
my $research = "SELECT phi.set_purpose('HRESCH')";
my $another = qr/^42501: query was started under another identity or purpose/;
my %open = (
	'that streams' => 'SELECT name, id FROM patient_redacted ORDER BY id',
	'that has sorted values' => 'SELECT name, id FROM patient_redacted WHERE id < 100 ORDER BY name',
	'that has hashed values' => 'SELECT name FROM patient_redacted WHERE id < 100 GROUP BY name',
	'that joins' => 'SELECT name, diagnosis FROM patient_redacted p JOIN visit_redacted v ON v.patient = p.id WHERE p.id < 100',
	'of a materialized CTE' => 'WITH w AS MATERIALIZED (SELECT name FROM patient_redacted WHERE id < 100) SELECT * FROM w',
	'of the base table' => 'SELECT phi.reveal(name, id) FROM patient WHERE id < 100 ORDER BY 1',
	'of a function that reads' => 'SELECT * FROM code.names()',
	'of a table of sealed copies' => 'SELECT phi.reveal(name, id) FROM code.copied ORDER BY 1',
);
my %switch = (
	'another purpose' => [ 'scholar', $treat, $research ],
	'no purpose' => [ 'scholar', $treat, 'SELECT phi.logout()' ],
	'another identity' => [ '', 'SET SESSION AUTHORIZATION clinician', 'SET SESSION AUTHORIZATION researcher' ],
	'no identity' => [ '', 'SET SESSION AUTHORIZATION clinician', 'SET SESSION AUTHORIZATION nobody' ],
);
foreach my $case (sort keys %open)
{
	foreach my $change (sort keys %switch)
	{
		my ($role, $first, $second) = @{ $switch{$change} };
		my ($out, $error) = cursor($role, $open{$case}, $first, $second);

		like($error, $another, "a cursor $case refuses to run on under $change");
		is(() = $out =~ /^Name \d+/mg, 3, 'after the rows of the one who opened it');
	}
}
like((cursor('scholar', $open{'that has sorted values'}, $treat, $research, $_))[1], $another, "$_ is refused as well")
  foreach 'MOVE 5 FROM c', 'FETCH BACKWARD 1 FROM c', 'FETCH ALL FROM c';
my ($again, $trouble) = cursor('scholar', $open{'that streams'}, $treat, "SAVEPOINT s; $research; ROLLBACK TO s; SET ROLE NONE");
is($trouble, '', 'a purpose that was rolled back is no other');
is(() = $again =~ /^Name \d+/mg, 43, 'and the cursor goes on');
like(refused($node, 'scholar', "$treat; DO \$\$ DECLARE r record; BEGIN FOR r IN SELECT id, name FROM patient_redacted ORDER BY id LOOP
		IF r.id = 5 THEN PERFORM phi.set_purpose('HRESCH'); END IF; END LOOP; END \$\$"), $another, 'so is a loop in a function');
my ($enrolled, $void) = cursor('', $open{'that has sorted values'}, 'SET SESSION AUTHORIZATION scholar; ' . $treat,
	"RESET SESSION AUTHORIZATION; SELECT phi.enroll('scholar', 'Prof. Both', '{clinician,researcher}', '{TREAT,HRESCH}'); SET SESSION AUTHORIZATION scholar; $treat");
like($void, $another, 'and what was opened under an enrollment that was replaced');

# A cursor that outlives its transaction would outlive everything.
my %hold = (
	'the view' => 'SELECT name FROM patient_redacted WHERE id < 10',
	'the base table' => 'SELECT id FROM patient WHERE id < 10',
	'a table of sealed copies' => 'SELECT phi.reveal(name, id) FROM code.copied',
	'a CTE' => 'WITH w AS (SELECT name FROM patient_redacted WHERE id < 10) SELECT * FROM w',
	'a sublink' => 'SELECT (SELECT name FROM patient_redacted WHERE id = g) FROM generate_series(1, 3) g',
	'a UNION' => "SELECT 'x' UNION ALL SELECT name FROM patient_redacted WHERE id < 10",
	'a function that reads' => 'SELECT * FROM code.names()',
);
foreach my $case (sort keys %hold)
{
	my ($out, $error) = cursor('', 'SELECT 1', 'SET SESSION AUTHORIZATION clinician',
		"COMMIT; BEGIN; DECLARE h CURSOR WITH HOLD FOR $hold{$case}; COMMIT; SET SESSION AUTHORIZATION nobody; BEGIN", 'FETCH ALL FROM h');
	like($error, qr/^0A000: /, "a cursor WITH HOLD on $case is refused");
	unlike($out, qr/Name/, 'and leaves nothing to the next identity');
}
is(ask($node, 'clinician', 'BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT count(*) FROM pg_am; COMMIT; MOVE ALL FROM h'), '', 'others are not');

# ---- a page ----

my $offset = -s $node->logfile;
is(() = ask($node, 'clinician', 'SELECT id, name, ssn, born FROM patient_redacted ORDER BY id LIMIT 20') =~ /Name/g, 20, 'a page of 20');
like(log_since($node, $offset), qr/phi_guard disclosure: actor "Dr\. House" purpose TREAT relation \S*patient\S* subjects 20\n/, 'discloses 20 of 20,000 subjects');
$offset = -s $node->logfile;
ask($node, 'clinician', 'SELECT id, name FROM patient_redacted ORDER BY id OFFSET 5 LIMIT 20');
my ($subjects) = log_since($node, $offset) =~ /disclosure: .* relation \S*patient\S* subjects (\d+)\n/;
cmp_ok($subjects // 'Inf', '<=', 25, 'one further on no more than what it skips');
$offset = -s $node->logfile;
ask($node, 'clinician', "SELECT name FROM patient_redacted WHERE ward = 3 AND name LIKE 'Name 1%' AND id < 100 ORDER BY ward, id LIMIT 20");
($subjects) = log_since($node, $offset) =~ /disclosure: .* relation \S*patient\S* subjects (\d+)\n/;
cmp_ok($subjects // 'Inf', '<=', 10, 'cheap conditions go before revealing');
$offset = -s $node->logfile;
ask($node, 'researcher', 'SELECT id, name FROM patient_redacted WHERE id IN (1, 2, 4, 5)');
unlike(log_since($node, $offset), qr/disclosure/, 'nothing is disclosed of who does not permit it');

# ---- EXPLAIN ----

$offset = -s $node->logfile;
my $explained = ask($node, 'observer', "EXPLAIN (ANALYZE, VERBOSE, BUFFERS) SELECT name, ssn FROM patient_redacted WHERE id < 50 AND ssn LIKE '987-65-00%'");
unlike($explained, qr/Name \d|987-65-00\d/, 'EXPLAIN ANALYZE shows no value');
like(log_since($node, $offset), qr/disclosure: actor "Dr\. House" .* subjects 38\n/, 'what it reveals is disclosed');
foreach my $role ('clinician', 'nobody')
{
	like(refused($node, $role, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT name FROM $_"), qr/^42501: permission denied to analyze/,
		"the $role may not have the execution on $_ analyzed, which counts rows that are hidden")
	  foreach 'patient_redacted', 'patient';
	unlike(ask($node, $role, "EXPLAIN (VERBOSE) SELECT name FROM patient_redacted WHERE ssn = '987-65-0042'"), qr/Name \d/, 'EXPLAIN alone is open');
}

# ---- functions that tell what they see ----

ask($node, '', 'GRANT CREATE ON SCHEMA public TO researcher, nobody');
ask($node, 'researcher', <<'SQL');
CREATE FUNCTION peek(bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$;
CREATE FUNCTION peek(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$;
CREATE FUNCTION peek(phi.encrypted_text, bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'saw %', $2; RETURN true; END $$;
CREATE FUNCTION same(bigint, bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN $1 = $2; END $$;
CREATE OPERATOR === (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = same, RESTRICT = eqsel);
SQL
my ($permitted, $hidden) = (3, 4);
my %leak = (
	'through the view' => 'SELECT id FROM patient_redacted WHERE peek(id) AND id < 30',
	'in the base table' => 'SELECT id FROM patient WHERE peek(id) AND id < 30',
	'with the sealed value' => 'SELECT id FROM patient WHERE peek(name, id) AND id < 30',
	'as an operator' => 'SELECT id FROM patient_redacted WHERE id === 3 AND id < 30',
	'in a join' => 'SELECT p.id FROM patient_redacted p JOIN visit_redacted v ON v.patient = p.id AND peek(p.id) WHERE p.id < 30',
	'on the other side of a join' => 'SELECT v.patient AS id FROM (SELECT 1) AS x LEFT JOIN visit v ON peek(v.patient) WHERE v.patient < 30',
	'in a subquery' => 'SELECT id FROM generate_series(1::bigint, 30) AS g (id) WHERE EXISTS (SELECT FROM patient p WHERE p.id = g.id AND peek(p.id))',
	'in HAVING' => 'SELECT id FROM patient WHERE id < 30 GROUP BY id HAVING peek(id)',
	'in ORDER BY' => 'SELECT id FROM patient_redacted WHERE id < 30 ORDER BY peek(id), id',
	'in an aggregate' => 'SELECT count(*) FILTER (WHERE peek(id)) FROM patient WHERE id < 30',
	'in parallel' => "$parallel SELECT id FROM patient WHERE peek(id) AND id < 30",
	'from a cursor' => 'BEGIN; DECLARE c CURSOR FOR SELECT id FROM patient WHERE peek(id) AND id < 30; FETCH ALL FROM c; COMMIT',
	'in a row lock' => 'SELECT id FROM patient WHERE peek(id) AND id < 30 ORDER BY id',
	'on an index condition' => 'SET enable_seqscan = off; SELECT id FROM patient WHERE id BETWEEN 1 AND 30 AND peek(id)',
);
foreach my $case (sort keys %leak)
{
	my ($first, $messages) = refused($node, 'researcher', $leak{$case});
	my @saw = $messages =~ /saw (\d+)/g;
	is($first, '', "$case: it runs");
	cmp_ok(scalar(grep { $_ == $permitted } @saw), '>', 0, "$case: the function sees a row that is permitted");
	is(join(' ', grep { $_ % 3 != 0 || $_ % 11 == 0 || $_ % 13 == 0 } @saw), '', "$case: and none that is hidden");
}
my (undef, $messages) = refused($node, 'researcher', 'SELECT id FROM patient_redacted WHERE peek(name) AND id < 30');
unlike($messages, qr/saw Name/, 'revealed values come in the permitted form');

# where row security does not apply: a superuser's view and table, and a BYPASSRLS role
ask($node, '', <<'SQL');
CREATE VIEW all_patients AS SELECT * FROM patient;
GRANT SELECT ON all_patients TO researcher;
CREATE ROLE bypasser LOGIN BYPASSRLS;
GRANT SELECT ON patient, patient_redacted TO bypasser;
SELECT phi.enroll('bypasser', 'B. Ypasser', '{researcher}', '{HRESCH}'), phi.grant_duty('bypasser', 'application');
CREATE TABLE superior (id bigint PRIMARY KEY, name text);
INSERT INTO superior SELECT i, 'Name ' || i FROM generate_series(1, 40) i;
SELECT phi.classify('superior', 'name', 'name'), phi.protect('superior', subject => 'id');
GRANT SELECT ON superior, superior_redacted TO researcher;
SQL
my %unfiltered = (
	"a superuser's view" => [ 'researcher', 'SELECT id FROM all_patients WHERE peek(id) AND id < 30' ],
	"a superuser's table" => [ 'researcher', 'SELECT id FROM superior WHERE peek(id)' ],
	'the view of such a table' => [ 'researcher', 'SELECT id FROM superior_redacted WHERE peek(id)' ],
	'a role with BYPASSRLS' => [ 'bypasser', 'SELECT id FROM patient WHERE peek(id) AND id < 30' ],
);
foreach my $case (sort keys %unfiltered)
{
	my ($first, $all) = refused($node, @{ $unfiltered{$case} });
	my @saw = $all =~ /saw (\d+)/g;
	is($first, '', "$case: it runs");
	cmp_ok(scalar(grep { $_ == $permitted } @saw), '>', 0, "$case: the function sees a row that is permitted");
	is(join(' ', grep { $_ % 3 != 0 || $_ % 11 == 0 || $_ % 13 == 0 } @saw), '', "$case: and none that is hidden");
}

my ($off, $said) = refused($node, 'bypasser', 'SET row_security = off; SELECT id FROM patient WHERE peek(id) AND id < 30');
like($off, qr/^42501: query would be affected by/, 'row_security = off does not switch the predicate off, without the duty');
unlike($said, qr/saw/, 'and shows the function nothing');

like(refused($node, 'bypasser', 'SET row_security = off; SELECT id FROM patient_redacted'), qr/^42501: query would be affected by/, 'nor through the view');
foreach my $role ('clinician', 'researcher', 'nobody', 'hospital')
{
	like(refused($node, $role, 'SET row_security = off; SELECT count(*) FROM patient'), qr/^42501: query would be affected by/, "to $role it is an error, not fewer rows");
}
ask($node, '', 'GRANT INSERT, UPDATE, DELETE ON patient TO bypasser');
my %past = (
	'INSERT' => "INSERT INTO patient (id, name) VALUES (25000, 'Past')",
	'UPDATE' => 'UPDATE patient SET ward = 11 WHERE id = 4',
	'UPDATE of a row it sees' => 'UPDATE patient SET ward = 11 WHERE id = 3',
	'ON CONFLICT' => 'INSERT INTO patient (id) VALUES (3) ON CONFLICT (id) DO UPDATE SET ward = 11',
	'MERGE' => 'MERGE INTO patient p USING (SELECT 3::bigint AS id) s ON p.id = s.id WHEN MATCHED THEN UPDATE SET ward = 11',
	'a CTE' => 'WITH w AS (UPDATE patient SET ward = 11 WHERE id = 3 RETURNING id) SELECT * FROM w',
	'COPY' => "COPY patient (id, ward) FROM STDIN;\n25000\t11\n\\.\n",
);
foreach my $case (sort keys %past)
{
	like(refused($node, 'bypasser', $past{$case}), qr/^42501: permission denied to (?:write to|copy) protected table "patient" past row security/,
		"$case past row security is refused without the duty");
}
like(refused($node, '', "PREPARE w AS $past{UPDATE}; EXECUTE w; SET SESSION AUTHORIZATION bypasser; EXECUTE w"), qr/^42501: permission denied to write/,
	'a plan that a superuser has cached as well');
is(ask($node, '', 'SET row_security = off; SELECT count(*) FROM patient WHERE ward = 11 OR id = 25000'), 0, 'nothing was written');
ask($node, '', 'SET row_security = off; DELETE FROM patient WHERE id = 25000');
is(ask($node, 'bypasser', 'WITH gone AS (DELETE FROM patient WHERE id IN (4, 5) RETURNING id) SELECT count(*) FROM gone'), 0, 'what it does not see it does not delete');
ask($node, '', "SELECT phi.grant_duty('bypasser', 'key_custodian')");
is(ask($node, 'bypasser', 'SET row_security = off; UPDATE patient SET ward = ward WHERE id = 4; SELECT count(*) FROM patient'), 20000,
	'with the duty of a loader it reads and writes every row');
ask($node, '', "SELECT phi.revoke_duty('bypasser', 'key_custodian')");

# ---- what an owner can make PostgreSQL compute in other people's sessions, or store ----

# The owner is a clinician too, so that nothing is hidden from it for want of an identity.
ask($node, '', "SELECT phi.enroll('hospital', 'H. Ospital', '{clinician}', '{TREAT}'), phi.grant_duty('hospital', 'application')");
ask($node, 'hospital', "CREATE FUNCTION told(phi.encrypted_text, bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN phi.reveal(\$1, \$2); END'");
my $statistics = refused($node, 'hospital', 'CREATE STATISTICS s ON (phi.reveal(name, id)), (phi.reveal(ssn, id)) FROM patient');
like($statistics, qr/^42501: phi\.reveal cannot be used in/, 'no statistics on revealed values');
ask($node, 'hospital', 'CREATE STATISTICS t ON (told(name, id)), (told(ssn, id)) FROM patient; ANALYZE patient');
is(ask($node, '', q{SELECT count(*) FROM pg_statistic_ext_data WHERE stxdexpr IS NOT NULL}), 1, 'through a function they are gathered');
is(ask($node, '', q{SELECT count(*) FROM pg_statistic_ext_data d WHERE d::text ~ 'Name \d|987-65'}), 0, 'and hold none of them');
ask($node, 'hospital', 'DROP STATISTICS t');
ask($node, 'hospital', 'CREATE MATERIALIZED VIEW m AS SELECT id, name FROM patient_redacted; REFRESH MATERIALIZED VIEW m');
cmp_ok(ask($node, '', 'SELECT count(*) FROM m'), '>', 15000, 'a materialized view of the redacted one has rows');
is(ask($node, '', 'SELECT count(name) FROM m'), 0, 'and no value, even when its owner may see them');
ask($node, 'hospital', 'DROP MATERIALIZED VIEW m');
like(refused($node, 'hospital', 'CREATE INDEX ON patient (phi.reveal(name, id))'), qr/^(42P17|42501): /, 'no index on revealed values');

# Code of the owner that reveals must not be told a value when a clinician writes, or reads.  The ways to
# reveal: called as it is, from PL/pgSQL, from SQL functions, which PostgreSQL may inline, from the one in the other.
ask($node, 'hospital', <<'SQL');
CREATE TABLE noted (id bigint, what text);
GRANT INSERT ON noted TO PUBLIC;
CREATE FUNCTION note(text, bigint) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO noted VALUES ($2, $1); RETURN true; END';
CREATE FUNCTION told_sql(phi.encrypted_text, bigint) RETURNS text LANGUAGE sql STABLE AS 'SELECT phi.reveal($1, $2)';
CREATE FUNCTION told_atomic(phi.encrypted_text, bigint) RETURNS text LANGUAGE sql STABLE BEGIN ATOMIC SELECT phi.reveal($1, $2); END;
CREATE FUNCTION told_twice(phi.encrypted_text, bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN told_sql($1, $2); END';
CREATE FUNCTION told_dynamic(phi.encrypted_text, bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
	'DECLARE r text; BEGIN EXECUTE ''SELECT phi.reveal($1, $2)'' INTO r USING $1, $2; RETURN r; END';
CREATE FUNCTION told_view() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT name FROM patient_redacted WHERE id = 3); END';
CREATE FUNCTION told_planner() RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT phi.reveal(name, id) FROM code.copied WHERE id = 3); END';
CREATE FUNCTION note_planner() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
	'BEGIN IF session_user <> ''hospital'' THEN PERFORM note(told_planner(), 0); END IF; RETURN true; END';
CREATE FUNCTION told_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM note(told_twice(new.name, new.id), new.id); RETURN new; END';
CREATE FUNCTION told_statement() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM note(told_view(), 0); RETURN NULL; END';
CREATE TABLE box (word text, seen boolean DEFAULT note(told_view(), 0));
CREATE TABLE folded (word text, seen text DEFAULT told_planner());
GRANT INSERT, SELECT ON box, folded TO PUBLIC;
GRANT INSERT, UPDATE ON patient TO clinician;
SQL
my $told = "SELECT count(*) FROM noted WHERE what ~ '^(Name|Wolverine) '";
ask($node, 'clinician', 'SELECT note(told_twice(name, id), id) FROM patient WHERE id = 3');
is(ask($node, '', $told), 1, 'a function of the owner that a clinician calls by hand is told (the test can see it)');
my %object = (
	'an index' => [ 'CREATE INDEX owned ON patient (EXPRESSION)', 'DROP INDEX owned' ],
	'a partial index' => [ "CREATE INDEX owned ON patient (ward) WHERE EXPRESSION > ''", 'DROP INDEX owned' ],
	'a generated column' => [ 'ALTER TABLE patient ADD COLUMN owned text GENERATED ALWAYS AS (EXPRESSION) STORED', 'ALTER TABLE patient DROP COLUMN owned' ],
	'a CHECK constraint' => [ 'ALTER TABLE patient ADD CONSTRAINT owned CHECK (note(EXPRESSION, id)) NOT VALID', 'ALTER TABLE patient DROP CONSTRAINT owned' ],
	'a policy' => [ 'CREATE POLICY owned ON patient AS RESTRICTIVE USING (note(EXPRESSION, id))', 'DROP POLICY owned ON patient' ],
	'a policy with a condition' => [ 'CREATE POLICY owned ON patient AS RESTRICTIVE USING (id < 0 OR note(EXPRESSION, id))', 'DROP POLICY owned ON patient' ],
);
my %stored;
foreach my $object (sort keys %object)
{
	foreach my $way ('phi.reveal(name, id)', 'told(name, id)', 'told_sql(name, id)', 'told_atomic(name, id)', 'told_twice(name, id)', 'told_dynamic(name, id)')
	{
		$stored{"$object with $way"} = [ $object{$object}[0] =~ s/EXPRESSION/$way/r, $object{$object}[1] ];
	}
}
# IMMUTABLE functions without arguments are run when a statement is planned or started, and may tell sessions apart
$stored{'an index that the planner folds'} = [ 'CREATE INDEX owned ON patient (ward) WHERE note_planner()', 'DROP INDEX owned' ];
$stored{'a CHECK constraint that is folded'} = [ 'ALTER TABLE patient ADD CONSTRAINT owned CHECK (note_planner()) NOT VALID', 'ALTER TABLE patient DROP CONSTRAINT owned' ];
$stored{'a generated column that is folded'} = [ 'ALTER TABLE patient ADD COLUMN owned text GENERATED ALWAYS AS (told_planner()) STORED', 'ALTER TABLE patient DROP COLUMN owned' ];
$stored{'a default'} = [ 'ALTER TABLE patient ALTER COLUMN ward SET DEFAULT note(told_view(), 0)::integer', 'ALTER TABLE patient ALTER COLUMN ward DROP DEFAULT' ];
$stored{"a $_ ROW trigger"} = [ "CREATE TRIGGER owned $_ INSERT OR UPDATE ON patient FOR EACH ROW EXECUTE FUNCTION told_trigger()", 'DROP TRIGGER owned ON patient' ]
  foreach 'BEFORE', 'AFTER';
$stored{"a $_ STATEMENT trigger"} = [ "CREATE TRIGGER owned $_ INSERT OR UPDATE ON patient EXECUTE FUNCTION told_statement()", 'DROP TRIGGER owned ON patient' ]
  foreach 'BEFORE', 'AFTER';
$stored{'a deferred trigger'} = [
	'CREATE CONSTRAINT TRIGGER owned AFTER INSERT OR UPDATE ON patient DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION told_trigger()',
	'DROP TRIGGER owned ON patient' ];
my $new = 30000;
my %canary;
foreach my $case (sort keys %stored)
{
	my ($make, $drop) = @{ $stored{$case} };
	my $refusal = refused($node, 'hospital', $make);

	$canary{$case} = 'Wolverine ' . ++$new;
	ask($node, 'hospital', 'TRUNCATE noted');
	# each refused or not; what counts is what was told
	refused($node, 'clinician', $_)
	  foreach "INSERT INTO patient (id, name) VALUES ($new, '$canary{$case}')", "UPDATE patient SET ward = 2 WHERE id IN (3, $new)",
	  'SELECT count(*) FROM patient WHERE id < 10', 'SELECT count(name) FROM patient_redacted WHERE id < 10',
	  "MERGE INTO patient p USING (SELECT 3::bigint AS id) s ON p.id = s.id WHEN MATCHED THEN UPDATE SET ward = 3";
	is(ask($node, '', $told), 0, "$case tells the owner nothing" . ($refusal eq '' ? '' : " (it is refused)"));
	is(ask($node, '', "SET row_security = off; SELECT count(*) FROM patient WHERE owned ~ '^(Name|Wolverine) '"), 0, "$case holds no plain value")
	  if $refusal eq '' && $case =~ /^a generated/;
	# what a later case writes anew is not this one's
	ask($node, '', "SET row_security = off; DELETE FROM patient WHERE id = $new");
	# PostgreSQL 17 builds indexes under a search_path of its own, where such functions find nothing
	like($refusal, qr/^(42501|42P17|0A000|42P01|42883): /, 'refused for a reason') if $refusal ne '';
	ask($node, 'hospital', $drop) if $refusal eq '';
}
$node->safe_psql('postgres', 'CHECKPOINT');
my $found = sweep($node->data_dir . '/base', \%canary);
is("@{ $found->{$_} }", '', "and $_ stores no plaintext") foreach sort keys %canary;

# Another table of the owner's, to which a clinician writes.
ask($node, 'hospital', 'TRUNCATE noted');
my $implicit = qr/^42501: phi\.reveal cannot be used in a trigger, nor in a function that a data-modifying statement calls/;
my %written = (
	'a default, by INSERT' => "INSERT INTO box (word) VALUES ('x')",
	'a default, by COPY' => "COPY box (word) FROM STDIN;\nx\n\\.\n",
	'a default, in a CTE' => "WITH w AS (INSERT INTO box (word) VALUES ('x') RETURNING word) SELECT * FROM w",
	'a default, under EXPLAIN' => "EXPLAIN ANALYZE INSERT INTO box (word) VALUES ('x')",
	'a default, from a function' => "DO \$\$ BEGIN INSERT INTO box (word) VALUES ('x'); END \$\$",
	'a default, from a prepared statement' => "PREPARE b AS INSERT INTO box (word) VALUES ('x'); EXECUTE b",
	'a default that is folded' => "INSERT INTO folded (word) VALUES ('x')",
	'a default that is folded, by COPY' => "COPY folded (word) FROM STDIN;\nx\n\\.\n",
	'a function in the statement' => 'INSERT INTO box (word, seen) SELECT told_view(), false',
	'a function in the statement that is folded' => 'INSERT INTO box (word, seen) SELECT told_planner(), false',
	'a function in the statement that is inlined' => 'INSERT INTO box (word, seen) SELECT told_sql(name, id), false FROM patient WHERE id = 3',
);
foreach my $case (sort keys %written)
{
	my $error = refused($node, 'clinician', $written{$case});

	# what the planner folds may be NULL instead
	like($error, $case =~ /folded/ ? qr/$implicit|^\z/ : $implicit, "$case, that reveals: refused");
}
is(ask($node, '', "$told; SELECT count(*) FROM box WHERE word ~ '^Name'; SELECT count(*) FROM folded WHERE seen ~ '^Name'"), "0\n0\n0", 'and nothing is told or stored');
is(ask($node, 'clinician', 'INSERT INTO box (word, seen) SELECT name, false FROM patient_redacted WHERE id = 3 RETURNING word'), 'Name 3',
	'what the statement itself reveals its writer may store');
$node->stop;

done_testing();
