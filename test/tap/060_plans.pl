# The same answer from every plan: in parallel, from a plan made for another identity or purpose, through
# a cursor, a cached function, statistics, a materialized view; and no plan that shows a hidden row to
# a function of the person who asks.

use strict;
use warnings;
use PostgreSQL::Test::BackgroundPsql;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('plans', conf => "log_statement = none\nautovacuum = off\nmax_worker_processes = 12\nmax_parallel_workers = 8\n");
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
GRANT SELECT ON patient, visit TO clinician, researcher, scholar, biller, nobody;
SQL
ask($node, 'officer', <<'SQL');
SELECT phi.classify('patient', c, k) FROM (VALUES ('name', 'name'), ('ssn', 'ssn'), ('born', 'birth_date'), ('city', 'city'), ('ward', 'none')) AS v (c, k);
SELECT phi.classify('visit', c, k) FROM (VALUES ('seen', 'service_date'), ('diagnosis', 'diagnosis')) AS v (c, k);
SELECT phi.protect('patient', subject => 'id'), phi.protect('visit', subject => 'patient');
SQL
ask($node, 'hospital', 'GRANT SELECT ON patient_redacted, visit_redacted TO clinician, researcher, scholar, biller, nobody; CREATE INDEX ON visit (patient); ANALYZE');
ask($node, 'privacy', <<'SQL');
SELECT count(phi.grant_consent(i, purpose => 'HRESCH')) FROM generate_series(1::bigint, 5000) i WHERE i % 3 = 0;
SELECT count(phi.deny_consent(i, purpose => 'TREAT')) FROM generate_series(1::bigint, 5000) i WHERE i % 7 = 0;
SELECT count(phi.deny_consent(i)) FROM generate_series(1::bigint, 5000) i WHERE i % 11 = 0;
SELECT count(phi.deny_consent(i, workforce_role => 'researcher')) FROM generate_series(1::bigint, 5000) i WHERE i % 13 = 0;
SELECT count(phi.grant_consent(i, purpose => 'HRESCH', valid_until => now() - interval '1 day')) FROM generate_series(1::bigint, 5000) i WHERE i % 5 = 0;
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
my $plan = ask($node, 'clinician', "$parallel EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT count(id) FROM patient_redacted");
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

# ---- cursors ----

# A cursor that goes on under another purpose or identity shows what that may see.
sub cursor
{
	my ($role, $query, $first, $second) = @_;

	return ask($node, $role, "\\o /dev/null\n$first;\n\\o\nBEGIN; DECLARE c CURSOR FOR $query; FETCH 3 FROM c;\n\\o /dev/null\n$second;\n\\o\nFETCH 40 FROM c; COMMIT;");
}
my $treat = "SELECT phi.set_purpose('TREAT')";
my $research = "SELECT phi.set_purpose('HRESCH')";
my $streamed = cursor('scholar', 'SELECT id, name FROM patient_redacted ORDER BY id', $treat, $research);
like($streamed, qr/^1\|Name 1\n2\|Name 2\n3\|Name 3\n/, 'a cursor for treatment shows names');
my @rest = split /\n/, (split /^3\|Name 3\n/m, $streamed)[1];
is(scalar(grep { /Name/ } @rest), 0, 'and none after the purpose has changed to research');
is(scalar(grep { /^(\d+)/ && ($1 % 3 != 0 || $1 % 11 == 0 || $1 % 13 == 0) } @rest), 0, 'nor a row that does not permit it');
my $switched = cursor('', 'SELECT id, name FROM patient_redacted ORDER BY id', 'SET SESSION AUTHORIZATION clinician', 'SET SESSION AUTHORIZATION nobody');
is((split /^3\|Name 3\n?/m, $switched)[1] // '', '', 'another identity gets nothing from it');

# The same where the plan has read everything before the first row comes out.
my $sorted = eval { cursor('scholar', 'SELECT name, id FROM patient_redacted WHERE id < 100 ORDER BY name', $treat, $research) } // "refused: $@";
is(scalar(grep { /Name/ } splice @{ [ split /\n/, $sorted ] }, 3), 0, 'nor do sorted values that were read before');
$sorted = eval {
	cursor('', 'SELECT name, id FROM patient_redacted WHERE id < 100 ORDER BY name', 'SET SESSION AUTHORIZATION clinician', 'SET SESSION AUTHORIZATION nobody');
} // "refused: $@";
is(scalar(grep { /Name/ } splice @{ [ split /\n/, $sorted ] }, 3), 0, 'nor to another identity');
my $held = eval {
	ask($node, '', 'SET SESSION AUTHORIZATION clinician; BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT name FROM patient_redacted WHERE id < 10; COMMIT;
		SET SESSION AUTHORIZATION nobody; FETCH ALL FROM c');
} // '';
unlike($held, qr/Name/, 'a cursor WITH HOLD does not outlive the identity that opened it');

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
my $explained = ask($node, 'clinician', "EXPLAIN (ANALYZE, VERBOSE, BUFFERS) SELECT name, ssn FROM patient_redacted WHERE id < 50 AND ssn LIKE '987-65-00%'");
unlike($explained, qr/Name \d|987-65-00\d/, 'EXPLAIN ANALYZE shows no value');
like(log_since($node, $offset), qr/disclosure: actor "Dr\. House" .* subjects 38\n/, 'what it reveals is disclosed');
like(ask($node, 'nobody', 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT name FROM patient_redacted'), qr/rows=0/, 'to nobody no row comes');

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

# ---- what an owner can make PostgreSQL compute in other people's sessions, or store ----

# The owner is a clinician too, so that nothing is hidden from it for want of an identity.
ask($node, '', "SELECT phi.enroll('hospital', 'H. Ospital', '{clinician}', '{TREAT}'), phi.grant_duty('hospital', 'application')");
ask($node, 'hospital', <<'SQL');
CREATE STATISTICS s ON (phi.reveal(name, id)), (phi.reveal(ssn, id)) FROM patient;
ANALYZE patient;
CREATE FUNCTION told(phi.encrypted_text, bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN phi.reveal($1, $2); END';
CREATE STATISTICS t ON (told(name, id)), (told(ssn, id)) FROM patient;
ANALYZE patient;
SQL
is(ask($node, '', q{SELECT count(*) FROM pg_statistic_ext_data WHERE stxdexpr IS NOT NULL}), 2, 'statistics on revealed values are gathered');
is(ask($node, '', q{SELECT count(*) FROM pg_statistic_ext_data d WHERE d::text ~ 'Name \d|987-65'}), 0, 'and hold none of them');
ask($node, 'hospital', 'DROP STATISTICS s, t');
ask($node, 'hospital', 'CREATE MATERIALIZED VIEW m AS SELECT id, name FROM patient_redacted; REFRESH MATERIALIZED VIEW m');
cmp_ok(ask($node, '', 'SELECT count(*) FROM m'), '>', 15000, 'a materialized view of the redacted one has rows');
is(ask($node, '', 'SELECT count(name) FROM m'), 0, 'and no value, even when its owner may see them');
ask($node, 'hospital', 'DROP MATERIALIZED VIEW m');
like(refused($node, 'hospital', 'CREATE INDEX ON patient (phi.reveal(name, id))'), qr/^42P17: /, 'no index on revealed values');

# An expression of the owner that reveals must not leave plaintext when a clinician writes.
my %stored = (
	'an index' => [ 'CREATE INDEX owned ON patient (told(name, id))', 'DROP INDEX owned' ],
	'a partial index' => [ "CREATE INDEX owned ON patient (ward) WHERE told(name, id) > ''", 'DROP INDEX owned' ],
	'a generated column' => [ 'ALTER TABLE patient ADD COLUMN owned text GENERATED ALWAYS AS (told(name, id)) STORED', 'ALTER TABLE patient DROP COLUMN owned' ],
	'a CHECK constraint' => [ 'ALTER TABLE patient ADD CONSTRAINT owned CHECK (note(told(name, id), id)) NOT VALID', 'ALTER TABLE patient DROP CONSTRAINT owned' ],
	'a policy' => [ 'CREATE POLICY owned ON patient AS RESTRICTIVE USING (note(phi.reveal(name, id), id))', 'DROP POLICY owned ON patient' ],
);
ask($node, 'hospital', <<'SQL');
CREATE TABLE noted (id bigint, what text);
GRANT INSERT ON noted TO PUBLIC;
CREATE FUNCTION note(text, bigint) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO noted VALUES ($2, $1); RETURN true; END';
GRANT INSERT, UPDATE ON patient TO clinician;
SQL
my $new = 30000;
foreach my $case (sort keys %stored)
{
	my ($make, $drop) = @{ $stored{$case} };
	my $canary = "Wolverine $new";
	my $refusal = refused($node, 'hospital', $make);

	$node->psql('postgres', "INSERT INTO patient (id, name, ward) VALUES ($new, '$canary', 1)", extra_params => [ '-U', 'clinician' ]);
	$node->psql('postgres', "UPDATE patient SET ward = 2 WHERE id = $new", extra_params => [ '-U', 'clinician' ]);
	$node->safe_psql('postgres', 'CHECKPOINT');
	my $found = sweep($node->data_dir . '/base', { canary => $canary });
	is("@{ $found->{canary} }", '', "$case of the owner stores no plaintext" . ($refusal eq '' ? '' : ' (it is refused)'));
	ask($node, 'hospital', $drop) if $refusal eq '';
	ask($node, 'hospital', 'TRUNCATE noted');
	$node->safe_psql('postgres', 'CHECKPOINT');
	$new++;
}
$node->stop;

done_testing();
