# History of rows: after a crash, from a dump in another database, in a log that an earlier release made, and
# under pg_dump's and the log files' eyes.

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('history', allows_streaming => 1, conf => "fsync = off\nphi.audit_reads = off\nlog_statement = none\n");
$node->start;
my $dump = $node->basedir . '/history.dump';
my $identity = "SET SESSION AUTHORIZATION doctor; SELECT phi.set_purpose('TREAT')";
my $database = 'postgres';

sub query
{
	my ($sql) = @_;
	my $answer = $node->safe_psql($database, $sql);
	$answer =~ s/^\n//;
	return $answer;
}

my $past = "$identity; SELECT action, row_key, old_row ->> 'name', new_row ->> 'name', new_row ->> 'born' FROM phi.history('person', 102)";
my $told = "update|102|Alice|Bea|1980-02-01\nupdate|102|Alice|Alice|1980-02-01\ninsert|2||Alice|1980-02-01";

query(q{
	CREATE EXTENSION phi_guard CASCADE;
	SELECT phi.install_default_rules();
	CREATE ROLE doctor;
	SELECT phi.enroll('doctor', 'dr.past', '{clinician}', '{TREAT}');
	SELECT phi.grant_duty('doctor', 'application');
	CREATE TABLE other (id int);
	CREATE TABLE person (gone int, id bigint PRIMARY KEY, name text, born date, seen timestamptz DEFAULT '2026-01-01');
	ALTER TABLE person DROP COLUMN gone;
	GRANT SELECT, INSERT, UPDATE, DELETE ON person TO doctor;
	SELECT phi.classify('person', 'name', 'name'), phi.classify('person', 'born', 'birth_date');
	SELECT phi.protect('person', subject => 'id', capture => 'row');
	GRANT SELECT ON person_redacted TO doctor;
});
query("$identity; INSERT INTO person (id, name, born) SELECT n, CASE n WHEN 2 THEN 'Alice' ELSE 'Carol' END, date '1980-01-30' + n::int FROM generate_series(1, 20) n");
query("$identity; UPDATE person SET id = id + 100 WHERE id = 2");
query("$identity; UPDATE person SET name = 'Bea' WHERE id = 102");
is(query($past), $told, 'the past of a row whose key changed');

# ---- a crash ----
$node->psql($database, "$identity; BEGIN; UPDATE person SET name = 'Zoe' WHERE id = 102; SELECT 1");
$node->stop('immediate');
$node->start;
is(query($past), $told, 'the same after a crash, without what was not committed');
is(query('SELECT phi.audit_seal() >= 0; SELECT ok FROM phi.audit_verify()'), "t\nt", 'and the log verifies');

# ---- a dump ----
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'postgres' ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'copy', $dump ], 'restore');
$database = 'copy';
isnt(query("SELECT 'person'::regclass::oid"), $node->safe_psql('postgres', "SELECT 'person'::regclass::oid"), 'the table has another OID');
is(query($past), $told, 'and the same past');
query("$identity; UPDATE person SET name = 'Cleo' WHERE id = 102");
is(query($past), "update|102|Bea|Cleo|1980-02-01\n$told", 'which goes on');
is(query('SELECT phi.audit_seal() >= 0; SELECT ok FROM phi.audit_verify()'), "t\nt", 'the restored log verifies');

# Another table of the name: the past is not its own.
query('ALTER TABLE person RENAME TO patient; ALTER VIEW person_redacted RENAME TO patient_redacted; CREATE TABLE person (id bigint PRIMARY KEY, name text);
	GRANT SELECT ON person TO doctor; SELECT phi.classify(\'person\', \'name\', \'name\'); SELECT phi.protect(\'person\', subject => \'id\', capture => \'row\')');
is(query($past), '', 'a table that takes the name has no past');
is(query($past =~ s/'person'/'patient'/r), "update|102|Bea|Cleo|1980-02-01", 'nor has the renamed one, but under its new OID what it had there');
$database = 'postgres';

# ---- a log of an earlier release ----
$node->safe_psql('postgres', 'CREATE DATABASE earlier');
$database = 'earlier';
query(q{CREATE EXTENSION phi_guard CASCADE;
DO $$
DECLARE
	source text := (SELECT prosrc FROM pg_proc WHERE proname = 'audit_make_log');
BEGIN
	source := replace(source, 'images bytea,', '');
	source := replace(source, 'ALTER TABLE phi_audit.event ALTER COLUMN images SET STORAGE EXTERNAL;', '');
	source := replace(source, 'ALTER TABLE phi_audit.event ADD COLUMN images bytea;', '');
	EXECUTE format('CREATE FUNCTION public.make_earlier() RETURNS void LANGUAGE plpgsql AS %L', source);
END $$;
SELECT make_earlier(); DROP FUNCTION make_earlier()});
is(query(q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'phi_audit.event'::regclass AND attname = 'images'}), 0, 'a log without images');
query(q{SELECT phi.install_default_rules(); SELECT phi.enroll('doctor', 'dr.past', '{clinician}', '{TREAT}'); SELECT phi.grant_duty('doctor', 'application');
	CREATE TABLE person (id bigint PRIMARY KEY, name text); GRANT SELECT, INSERT ON person TO doctor;
	SELECT phi.classify('person', 'name', 'name'); SELECT phi.protect('person', subject => 'id', capture => 'row')});
query("$identity; INSERT INTO person VALUES (102, 'Alice')");
is(query("$identity; SELECT new_row ->> 'name' FROM phi.history('person', 102)"), 'Alice', 'gets them with its first event');
is(query('SELECT phi.audit_seal() >= 0; SELECT ok FROM phi.audit_verify()'), "t\nt", 'and verifies');

# ---- nothing in the clear ----
$database = 'postgres';
my $log = $node->safe_psql('postgres', 'SELECT e::text FROM phi_audit.event e');
unlike($log, qr/Alice|Carol|1980-0/, 'no value in the log');
unlike($log, qr/${\ unpack('H*', $_)}/, "nor as bytes: $_") for 'Alice', 'Carol', '1980-0';
unlike(slurp_file($node->logfile), qr/Alice|Carol/, 'nor in the server\'s log');
$node->stop;

done_testing();
