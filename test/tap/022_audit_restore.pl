# The log outlives what it is about: dump and restore, DROP EXTENSION and installation again, lost
# partitions.

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('restore', conf => "fsync = off\nphi.audit_seal_interval = 0\nphi.audit_reads = off\n");
$node->start;
my $dump = $node->basedir . '/log.dump';
my $purpose = "SELECT phi.set_purpose('TREAT')";
my $database = 'postgres';

sub query
{
	my ($sql) = @_;
	return $node->safe_psql($database, $sql);
}

# Verification in brief, and the guards that are not as they should be.
sub verified
{
	return query('SELECT ok, unsealed, problem FROM phi.audit_verify()');
}

sub weak_guards
{
	return query(q{
		SELECT count(*) FROM pg_class c WHERE relnamespace = 'phi_audit'::regnamespace AND relkind IN ('r', 'p')
		AND 2 <> (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid AND tgname LIKE '~%' AND tgenabled = 'A')});
}

query(q{
	CREATE EXTENSION phi_guard CASCADE;
	SELECT phi.install_default_rules();
	SELECT phi.enroll(session_user::regrole, 'dr.dump', '{clinician}', '{TREAT}');
	CREATE TABLE person (id bigint PRIMARY KEY, name text);
	SELECT phi.classify('person', 'name', 'name');
	SELECT phi.protect('person', subject => 'id');
});
query("$purpose; INSERT INTO person SELECT n, 'x' FROM generate_series(1, 20) n");
query('SELECT phi.audit_seal()');
query("$purpose; UPDATE person SET name = 'y' WHERE id < 5; DELETE FROM person WHERE id = 5");
is(verified(), 't|2|', 'two events are not sealed yet');
my $events = query('SELECT count(*) FROM phi_audit.event');

for my $jobs (1, 2)
{
	my $log_size = -s $node->logfile;

	$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'postgres' ], 'dump');
	$node->safe_psql('postgres', "CREATE DATABASE copy$jobs");
	$node->command_ok([ 'pg_restore', '--exit-on-error', '-j', $jobs, '-d', "copy$jobs", $dump ], "restore with $jobs jobs");
	$database = "copy$jobs";
	is(query('SELECT count(*) FROM phi_audit.event'), $events, 'restoring leaves no event')
		or diag(query('SELECT action, outcome, relation, detail, application_name FROM phi_audit.event ORDER BY event_id DESC LIMIT 1'));
	is(weak_guards(), 0, 'every table of the restored log has its guards');
	is(verified(), 't|2|', 'the restored log verifies');
	is(query('SELECT phi.audit_seal()'), 2, 'what was not sealed is sealed here');
	query("$purpose; INSERT INTO person VALUES (100, 'z')");
	is(query('SELECT phi.audit_seal()'), 1, 'and what is new');
	is(query('SELECT phi.audit_seal()'), 0, 'once');
	is(verified(), 't|0|', 'the log goes on from where it was');
	is(query('SELECT count(DISTINCT event_id) FROM phi_audit.event'), $events + 1, 'no number is used twice');
	unlike(slurp_file($node->logfile, $log_size), qr/WARNING|leaves no event/, 'without a warning');
	$database = 'postgres';
}

# The extension goes, the log stays; the next extension takes it up.
isnt(($node->psql('copy1', 'DROP EXTENSION phi_guard'))[0], 0, 'DROP EXTENSION needs CASCADE while there is a log');
$node->safe_psql('copy1', 'SET client_min_messages = warning; SELECT phi.unprotect(relation) FROM phi.table_policy;
	DROP EXTENSION phi_guard CASCADE');
$database = 'copy1';
cmp_ok(query('SELECT count(*) FROM phi_audit.event'), '>', $events, 'the log stays');
is(query(q{SELECT count(*) FROM phi_audit.event WHERE action = 'ddl' AND detail = 'DROP EXTENSION'}), 1,
	'with an event of the end');
query('CREATE EXTENSION phi_guard; SELECT phi.audit_install()');
is(weak_guards(), 0, 'the guards are back');
query('SELECT phi.audit_seal()');
is(verified(), 't|0|', 'and the log goes on');

# A schema that somebody else prepared is not used.
$node->safe_psql('postgres', 'CREATE ROLE squatter; CREATE DATABASE squatted');
$database = 'squatted';
query('CREATE SCHEMA phi_audit AUTHORIZATION squatter; CREATE TABLE phi_audit.event (x int); CREATE EXTENSION phi_guard CASCADE');
like(($node->psql($database, 'SELECT phi.audit_install()'))[2], qr/does not belong to the owner of phi_guard/,
	'a squatted schema is refused by the installation');
like(($node->psql($database, "SELECT phi.audit_record('x', NULL, NULL)"))[2], qr/does not belong to the owner of phi_guard/,
	'and by the first event');

my $partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'phi_audit.event'::regclass";

# Partitions that are gone are made again when they are needed.
$database = 'copy2';
query(q{DO $$ BEGIN
	EXECUTE (SELECT 'DROP TABLE ' || string_agg(inhrelid::regclass::text, ', ') FROM pg_inherits
		WHERE inhparent = 'phi_audit.event'::regclass); END $$});
query("$purpose; BEGIN; INSERT INTO person VALUES (200, 'z'); ROLLBACK");
is(query($partitions), 0,
	'a partition made by an aborted transaction is gone with it');
query("$purpose; BEGIN; INSERT INTO person VALUES (200, 'z'); ROLLBACK; INSERT INTO person VALUES (201, 'z')");
is(query($partitions), 4,
	'the next change makes this month\'s and three more');
is(weak_guards(), 0, 'with their guards');
like(verified(), qr/^f\|.*event \d+ is missing/, 'what was in the lost ones is missed');
$node->stop;

done_testing();
