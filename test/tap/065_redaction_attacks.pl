# What somebody tries who sees a lesser form, where it takes another connection, a dump, a file or a role of one's
# own: a loop back into the same database, pg_dump, temporary files of sorts, settings that come with the
# connection, identities that are taken on.  Each search for a value that is not shown is made beside one
# for a value that is: what finds nothing has to be able to find something.

use strict;
use warnings;
use PostgreSQL::Test::BackgroundPsql;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('attacks', conf => "log_statement = none\nphi.disclosure_audit = log\nautovacuum = off\n");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');

# desk sees every value in part; 4,000 patients, so that a sort of 64 kB spills.
ask($node, '', <<'SQL');
CREATE ROLE desk LOGIN;
SELECT phi.set_rule('desk', 'HOPERAT', 'all', 'partial'), phi.enroll('desk', 'D. Esk', '{desk}', '{HOPERAT}'), phi.grant_duty('desk', 'application');
SQL
ask($node, 'hospital', <<'SQL');
CREATE TABLE patient (id bigint PRIMARY KEY, name text, ssn text, ward text);
INSERT INTO patient SELECT i, 'Quarrymoor Zephyrwick ' || i, '987-31-' || 1000 + i, 'ward' || i % 7 FROM generate_series(1, 4000) i;
SQL
ask($node, 'officer', <<'SQL');
SELECT phi.classify('patient', 'name', 'name'), phi.classify('patient', 'ssn', 'ssn', searchable => true), phi.classify('patient', 'ward', 'none');
SELECT phi.protect('patient', subject => 'id');
SQL
ask($node, 'hospital', 'CREATE INDEX patient_ssn ON patient (ssn); ANALYZE patient;
	GRANT SELECT, INSERT, UPDATE ON patient, patient_redacted TO clinician, desk, nobody');
my $value = qr/Quarrymoor|Zephyrwick|987-31-/;
like(ask($node, 'clinician', 'SELECT name, ssn FROM patient_redacted WHERE id = 7'), qr/^Quarrymoor Zephyrwick 7\|987-31-1007$/, 'a clinician sees the values');
like(ask($node, 'desk', 'SELECT name, ssn FROM patient_redacted WHERE id = 7'), qr/^Q\*\*\* Z\*\*\*.*\|\*\*\*-\*\*-1007$/, 'the desk sees masks');

# ---- a loop back into the same database ----

# As which role the far session runs is for the user mapping to say; what it sees is what that role sees.
sub loop_back
{
	my $host = $node->host;
	my $port = $node->port;

	ask($node, '', <<"SQL");
CREATE EXTENSION dblink;
CREATE EXTENSION postgres_fdw;
CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE USER MAPPING FOR desk SERVER loop OPTIONS (user 'desk', password_required 'false');
CREATE USER MAPPING FOR clinician SERVER loop OPTIONS (user 'clinician', password_required 'false');
GRANT USAGE ON FOREIGN SERVER loop TO desk, clinician;
CREATE SCHEMA far;
GRANT ALL ON SCHEMA far TO desk, clinician;
CREATE FOREIGN TABLE far.patient_redacted (id bigint, name text, ssn text, ward text) SERVER loop OPTIONS (schema_name 'public');
CREATE FOREIGN TABLE far.patient (id bigint, name text, ssn text, ward text) SERVER loop OPTIONS (schema_name 'public');
GRANT ALL ON far.patient_redacted, far.patient TO desk, clinician;
SQL
	is(ask($node, 'clinician', 'SELECT count(*) FROM far.patient_redacted WHERE name ~ \'Quarrymoor\''), 4000, 'through a foreign table a clinician sees values');
	is(ask($node, 'desk', 'SELECT count(*), count(*) FILTER (WHERE p::text ~ \'Quarry|987-31\') FROM far.patient_redacted p'), '4000|0', 'the desk its masks');
	is(ask($node, 'desk', 'SELECT count(*), count(*) FILTER (WHERE p::text ~ \'Quarry|987-31\') FROM far.patient p'), '4000|0', 'and sealed values of the table');
	foreach my $ssn ('987-31-1007', '987-31-9999')
	{
		is(ask($node, 'desk', "SELECT count(*) FROM far.patient_redacted WHERE ssn = '$ssn'; SELECT count(*) FROM far.patient WHERE ssn = '$ssn';
			SELECT count(*) FROM far.patient_redacted f JOIN patient_redacted p USING (ssn) WHERE f.ssn = '$ssn'"), "0\n0\n0", 'a search that is pushed down tells nothing');
	}
	is(ask($node, 'clinician', "SELECT count(*) FROM far.patient_redacted WHERE ssn = '987-31-1007'"), 1, 'that of a clinician finds');
	my $analyzed = refused($node, 'desk', "EXPLAIN (ANALYZE, VERBOSE, COSTS OFF) SELECT * FROM far.patient_redacted WHERE ssn = '987-31-1007' AND ward LIKE 'w%'");
	is($analyzed, '', 'the near side may be analyzed: the far one has sent what it shows');
	is(ask($node, 'desk', "CREATE TABLE far.kept AS SELECT * FROM far.patient_redacted; SELECT count(*) FROM far.kept k WHERE k::text ~ 'Quarry|987-31'"), 0, 'what is kept of it are masks');
	ask($node, 'clinician', 'CREATE FUNCTION far.of_clinician() RETURNS SETOF far.patient_redacted LANGUAGE sql SECURITY DEFINER AS \'SELECT * FROM far.patient_redacted\'');
	is(ask($node, 'desk', 'SELECT count(*) FROM patient_redacted p WHERE p::text ~ \'Quarry\''), 0, 'a clinician\'s function changes nothing here');
	like(refused($node, 'desk', "SELECT * FROM dblink('host=$host port=$port dbname=postgres user=clinician', 'SELECT name FROM patient_redacted') AS d (name text)"),
		qr/^\w{5}: (password is required|password or GSSAPI)/, 'dblink does not lend the server\'s own trust');
	like(refused($node, 'desk', "SELECT dblink_connect_u('c', 'host=$host port=$port dbname=postgres user=clinician')"), qr/^42501: permission denied for function/, 'nor to who asks for it');
	return;
}
if (ask($node, '', "SELECT count(*) FROM pg_available_extensions WHERE name IN ('dblink', 'postgres_fdw')") == 2)
{
	loop_back();
}
else
{
	diag('NO LOOP BACK IS TESTED: dblink and postgres_fdw are not there');
}

# ---- dumps ----

my $folder = $node->basedir;
my $number = 0;

# What pg_dump writes, and its errors.
sub dumped
{
	my ($role, @options) = @_;
	my $file = "$folder/dump" . ++$number;
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-U', $role, '-f', $file, @options, 'postgres' ], '>', \$out, '2>', \$err);
	return (-e $file ? slurp_file($file) : '', $err);
}
my @tables = ('-t', 'public.patient', '-t', 'public.patient_redacted');
foreach my $form ([ '--inserts' ], [ '--data-only' ], [ '--data-only', '--column-inserts' ], [ '--data-only', '--inserts', '--rows-per-insert=100' ], [ '-Fc', '-Z0' ])
{
	foreach my $role ('clinician', 'desk', 'hospital')
	{
		my ($dump, $error) = dumped($role, @$form, @tables);
		like($error, qr/row-level security|permission denied/, "the $role has no dump of every row (@$form)");
		unlike($dump . $error, $value, 'and no value');
		($dump, $error) = dumped($role, '--enable-row-security', @$form, @tables);
		unlike($dump . $error, $value, "the dump of the rows that the $role may access has no value (@$form)");
		is($dump =~ /phi:1:/ ? 1 : 0, $role eq 'hospital' ? 0 : 1, $role eq 'hospital' ? 'nor any row' : 'it has sealed ones');
	}
}
my ($dump) = dumped('postgres', '--inserts', @tables);
is(() = $dump =~ /phi:1:/g, 8000, 'that of a superuser has all of them sealed');
unlike($dump, $value, 'and no value');
unlike($dump, qr/INSERT INTO public\.patient_redacted/, 'a view has no rows in a dump');
foreach my $role ('clinician', 'desk')
{
	my $copied = "$folder/copied$role";
	ask($node, $role, "\\copy (SELECT * FROM patient_redacted) TO '$copied' (FORMAT csv)");
	my $shown = slurp_file($copied);
	$role eq 'desk' ? unlike($shown, $value, "a copy of the desk's has masks") : like($shown, $value, "a clinician's has values");
	like(refused($node, $role, "COPY (SELECT * FROM patient_redacted) TO '$copied.server'"), qr/^42501: /, 'a file of the server is not written');
	like(refused($node, $role, "COPY (SELECT * FROM patient_redacted) TO PROGRAM 'cat'"), qr/^42501: /, 'nor a program run');
}

# ---- temporary files ----

my $spilled_to = $node->data_dir . '/base/pgsql_tmp';

# Wait until the files of the last session are gone; how many are left.
sub left_behind
{
	my @files;

	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		@files = glob "$spilled_to/*";
		last if !@files;
		select(undef, undef, undef, 0.1);
	}
	return scalar @files;
}

# Sorts, hashes and stores that spill while their cursor is open.
ask($node, '', "CREATE FUNCTION every_one() RETURNS SETOF patient_redacted LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT * FROM patient_redacted; END'");
my %spilling = (
	'a sort' => 'SELECT name, ssn, id FROM patient_redacted ORDER BY name, ssn, id DESC',
	'an aggregate' => 'SELECT name, ssn, id, count(*) FROM patient_redacted GROUP BY name, ssn, id',
	'a window over a materialized CTE' => 'WITH w AS MATERIALIZED (SELECT name, ssn FROM patient_redacted) SELECT name, ssn, count(*) OVER () FROM w',
	'a function' => 'SELECT name, ssn FROM every_one()',
);
foreach my $case (sort keys %spilling)
{
	my %spilled;
	foreach my $role ('clinician', 'desk')
	{
		my $session = $node->background_psql('postgres', extra_params => [ '-U', $role ]);
		$session->query_safe("SET work_mem = '64kB'; SET enable_indexscan = off; SET enable_nestloop = off; SET enable_mergejoin = off;
			BEGIN; DECLARE c CURSOR FOR $spilling{$case}; FETCH 1 FROM c;");
		my @files = glob "$spilled_to/*";
		cmp_ok(scalar @files, '>', 0, "$case of the $role spills");
		$spilled{$role} = sweep($spilled_to, { name => 'Quarrymoor', ssn => '987-31-', mask => $role eq 'desk' ? '***-**-' : '987-31-' });
		$session->quit;
		is(left_behind(), 0, 'and leaves nothing behind');
	}
	isnt("@{ $spilled{clinician}->{name} }@{ $spilled{clinician}->{ssn} }", '', "$case of a clinician spills values: docs/limits.md says so");
	is("@{ $spilled{desk}->{name} }@{ $spilled{desk}->{ssn} }", '', "$case of the desk spills none");
	isnt("@{ $spilled{desk}->{mask} }", '', 'but its masks');
}

# ---- identities ----

foreach my $try ('SET SESSION AUTHORIZATION clinician', 'SET ROLE clinician', "SET SESSION phi.context = 'x'", "SET LOCAL phi.context = 'x'", "SELECT phi.enroll('desk', 'Dr. House', '{clinician}', '{TREAT}')",
	"SELECT phi.set_rule('desk', 'HOPERAT', 'all', 'full')", "SELECT phi.set_purpose('TREAT')", 'INSERT INTO phi.enrollment SELECT * FROM phi.enrollment', 'UPDATE phi.role_rule SET form = \'full\'',
	"SELECT phi.classify('patient', 'ssn', 'none')", "SELECT phi.declassify('patient', 'ssn')", "SELECT phi.unprotect('patient')", "SELECT phi.refresh_view('patient')", 'ALTER VIEW patient_redacted OWNER TO desk',
	'ALTER EXTENSION phi_guard UPDATE', 'LOAD \'phi_guard\'', 'SET phi.disclosure_audit = batched', 'CREATE EXTENSION phi_guard', 'ALTER SYSTEM SET phi.kek_file = \'/tmp/x\'')
{
	isnt(refused($node, 'desk', $try), '', "refused: $try");
	unlike(ask($node, 'desk', 'SELECT string_agg(p::text, \',\') FROM patient_redacted p WHERE id < 10'), $value, 'and masks stay masks');
}
ask($node, '', 'GRANT clinician TO desk');
foreach my $way ('SET ROLE clinician', 'SET LOCAL ROLE clinician', 'SET SESSION ROLE clinician')
{
	unlike(ask($node, 'desk', "BEGIN; $way; SELECT string_agg(p::text, ',') FROM patient_redacted p WHERE id < 10; COMMIT"), $value, "$way: privileges, no identity");
}
ask($node, '', "ALTER ROLE desk SET role = 'clinician'");
is(ask($node, 'desk', 'SELECT current_user, session_user'), 'clinician|desk', 'a role that comes with the connection');
unlike(ask($node, 'desk', 'SELECT string_agg(p::text, \',\') FROM patient_redacted p WHERE id < 10'), $value, 'is no identity either');
ask($node, '', 'ALTER ROLE desk RESET role; REVOKE clinician FROM desk');
ask($node, '', 'GRANT CREATE ON SCHEMA public TO desk, clinician');
ask($node, 'desk', q{CREATE FUNCTION as_clinician() RETURNS SETOF text LANGUAGE sql AS 'SELECT name FROM patient_redacted WHERE id < 10'});
isnt(refused($node, 'desk', q{ALTER FUNCTION as_clinician() SET session_authorization = 'clinician'; SELECT as_clinician()}), '', 'nor does a function become another session');
unlike(ask($node, 'desk', 'ALTER FUNCTION as_clinician() RESET ALL; SELECT as_clinician()'), $value, 'it shows masks');
foreach my $option ('-c phi.context=x', '-c session_authorization=clinician', '-c role=clinician', '-c phi.disclosure_audit=batched', '-c row_security=off')
{
	local $ENV{PGOPTIONS} = $option;
	my ($status, $out) = $node->psql('postgres', 'SELECT string_agg(p::text, \',\') FROM patient_redacted p WHERE id < 10', extra_params => [ '-U', 'desk' ]);
	unlike($out, $value, "a connection with \"$option\": no value");
}

# ---- plans of one identity for another, in one session: view, table, function, cursor ----

my $switched = ask($node, '', <<'SQL');
SET plan_cache_mode = force_generic_plan;
PREPARE whole AS SELECT string_agg(p::text, ',' ORDER BY id) FROM patient_redacted p WHERE id < 5;
PREPARE bare AS SELECT string_agg(concat(phi.reveal(name, id), phi.reveal(ssn)), ',' ORDER BY id) FROM patient WHERE id < 5;
PREPARE found AS SELECT 'found ' || count(*) FROM patient_redacted WHERE ssn = '987-31-1003';
SET SESSION AUTHORIZATION clinician;
SELECT 'as clinician'; EXECUTE whole; EXECUTE bare; EXECUTE found;
SET SESSION AUTHORIZATION desk;
SELECT 'as desk'; EXECUTE whole; EXECUTE bare; EXECUTE found; SELECT as_clinician();
SET SESSION AUTHORIZATION clinician;
SELECT 'as clinician'; EXECUTE whole; EXECUTE bare; EXECUTE found; SELECT as_clinician();
SET SESSION AUTHORIZATION desk;
SELECT 'as desk'; EXECUTE whole; EXECUTE bare; EXECUTE found; SELECT as_clinician();
SET SESSION AUTHORIZATION nobody;
SELECT 'as nobody'; EXECUTE whole; EXECUTE bare; EXECUTE found; SELECT as_clinician();
SQL
foreach my $part (split /^as /m, $switched)
{
	next if $part eq '';
	my ($who) = $part =~ /^(\w+)/;
	$who eq 'clinician' ? like($part, qr/Quarrymoor.*found 1/s, 'a plan shows a clinician values') : unlike($part, qr/$value|found 1/, "the same plan shows $who none");
}

$node->stop;
my $log = slurp_file($node->logfile);
unlike($log, qr/Quarrymoor|Zephyrwick/, 'no value is in the log');

done_testing();
