# Keys of subjects through crashes, dumps and replication.  A shredding that a crash interrupts has happened or
# has not; a dump holds the keys of the subjects, and what was shredded stays dead in what it restores; a dump
# from before opens until its version of the key-encryption key is destroyed; a subscriber gets keys, and their end.

use strict;
use warnings;
BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} //= 60 }
use IPC::Run;
use PostgreSQL::Test::BackgroundPsql;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use PhiNode;

my $node = phi_node('shred', allows_streaming => 'logical', conf => "fsync = off\nlog_statement = none\nautovacuum = off\n"
	  . "restart_after_crash = off\n");
my $patients = 400;

$node->start;
phi_roles($node);
phi_install($node, 'postgres');
ask($node, 'hospital', <<"SQL");
CREATE TABLE patient (id bigint PRIMARY KEY, name text, ssn text);
CREATE TABLE visit (id bigint PRIMARY KEY, patient bigint, what text);
GRANT SELECT, INSERT, UPDATE, DELETE ON patient, visit TO clinician;
INSERT INTO patient SELECT i, 'Name ' || i, '987-65-' || 1000 + i FROM generate_series(1, $patients) i;
INSERT INTO visit SELECT i, i % $patients + 1, 'cast ' || i FROM generate_series(1, 3 * $patients) i;
SQL
ask($node, 'officer', <<'SQL');
SELECT phi.classify('patient', 'name', 'name'), phi.classify('patient', 'ssn', 'ssn', searchable => true), phi.classify('visit', 'what', 'diagnosis');
SELECT phi.protect('patient', subject => 'id', shreddable => true), phi.protect('visit', subject => 'patient', shreddable => true);
SQL
ask($node, 'hospital', 'GRANT SELECT ON patient_redacted, visit_redacted TO clinician, biller, nobody; CREATE UNIQUE INDEX ON patient (ssn)');

# Subjects that are half dead: some values, tag, key and event say one thing, some the other.
my $halves = q{SELECT count(*) FROM (SELECT p.id, p.name IS NULL AS name, p.ssn IS NULL AS ssn, v.dead, v.alive,
		EXISTS (SELECT FROM patient t WHERE t.ssn = '987-65-' || 1000 + p.id) AS found
	FROM patient_redacted p LEFT JOIN (SELECT patient, count(*) FILTER (WHERE what IS NULL) AS dead, count(what) AS alive FROM visit_redacted GROUP BY 1) v
		ON v.patient = p.id) s WHERE name <> ssn OR name = found OR (name AND alive > 0) OR (NOT name AND dead > 0)};
my $dead = 'SELECT count(*) FROM patient_redacted WHERE name IS NULL';

# SIGKILL to the postmaster; returns when its children have noticed.  A late init leaves zombies, which
# PostgreSQL takes for running by its lock files: they are removed.
sub crash
{
	my $pid_file = $node->data_dir . '/postmaster.pid';
	my ($postmaster) = slurp_file($pid_file) =~ /^(\d+)$/m;
	my $pids = join ',', $postmaster, split ' ', `ps -o pid= --ppid $postmaster`;

	$node->kill9;
	foreach (1 .. 500)
	{
		if (!grep { !/Z/ } split /\n/, `ps -o stat= -p $pids`)
		{
			unlink $pid_file, $node->host . '/.s.PGSQL.' . $node->port . '.lock';
			return;
		}
		usleep(20_000);
	}
	die 'children of the postmaster are left';
}

# ---- killed while it shreds ----

my ($acknowledged, $next, $killed) = (0, 1, 0);

foreach my $round (1 .. 5)
{
	my $out = '';
	my $script = join '', map { "SELECT 'done', phi.shred_subject($_, 'round $round');\n" } $next .. $next + 59;
	my $client = IPC::Run::start([ 'psql', '-XAtq', '-U', 'custodian', '-h', $node->host, '-p', $node->port, 'postgres' ],
		'<', \$script, '>', \$out, '2>', \my $err);

	my $waited = 0;
	while (($out =~ tr/\n//) < 3 * $round && $waited++ < 2000)
	{
		$client->pump_nb;
		usleep(2000);
	}
	usleep(int rand 20_000);
	crash();
	eval { $client->finish };
	$killed++ if ($out =~ tr/\n//) < 60;
	$acknowledged += () = $out =~ /^done\|1$/mg;
	$node->start;
	is(ask($node, 'clinician', $halves), 0, "round $round: each subject is alive or dead");
	my $gone = ask($node, 'clinician', $dead);
	cmp_ok($gone, '>=', $acknowledged, "round $round: what was acknowledged is dead");
	is(ask($node, '', "SELECT count(*) FROM phi.subject_key WHERE state = 'destroyed' AND wrapped IS NULL"), $gone, "round $round: so are as many keys");
	is(ask($node, '', "SELECT count(*) FROM phi_audit.event WHERE action = 'shred'"), $gone, "round $round: and the log has as many events");
	$acknowledged = $gone;
	$next = 60 * $round + 1;
}
ok($killed > 0, 'some were killed before their end');

# ---- the wrapped key is gone from the table's files ----

my ($victim, $id) = split /\|/, ask($node, '', q{SELECT encode(wrapped, 'hex'), k.dek_id FROM phi.subject_key k ORDER BY dek_id DESC LIMIT 1});
my $old_dump = $node->basedir . '/before.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $old_dump, 'postgres' ], 'a dump from before the shredding');
my ($last) = split /\|/, ask($node, '', "SET row_security = off; SELECT max(id) FROM patient");
is(ask($node, 'custodian', "SELECT phi.shred_subject($last, 'last')"), 1, 'another one is shredded');
is(ask($node, '', "SELECT state FROM phi.subject_key WHERE dek_id = $id"), 'destroyed', 'whose key it was');
$node->safe_psql('postgres', 'VACUUM FULL phi.subject_key');
$node->safe_psql('postgres', 'CHECKPOINT');
my $found = sweep($node->data_dir . '/base', { wrapped => pack('H*', $victim) });
is(join(' ', @{ $found->{wrapped} }), '', 'after VACUUM FULL its wrapped bytes are in no file of the database');

# ---- dump and restore ----

my $dump = $node->basedir . '/after.dump';
my $seen = 'SELECT * FROM patient_redacted ORDER BY id; SELECT * FROM visit_redacted ORDER BY id';
my $source = ask($node, 'clinician', $seen);
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'postgres' ], 'pg_dump');
foreach my $db ('restored', 'former')
{
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0");
	$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $db, $db eq 'former' ? $old_dump : $dump ], "$db: pg_restore");
}
is(ask($node, 'clinician', $seen, db => 'restored'), $source, 'the living read the same, the dead do not');
is(ask($node, 'clinician', $halves, db => 'restored'), 0, 'none is half dead');
ask($node, 'clinician', "INSERT INTO patient VALUES (1, 'x', NULL) ON CONFLICT (id) DO UPDATE SET name = 'Returned'; INSERT INTO patient VALUES (5000, 'New', '111-11-1111')", db => 'restored');
is(ask($node, 'clinician', 'SELECT id, name, ssn FROM patient_redacted WHERE id IN (1, 5000) ORDER BY id', db => 'restored'), "1|Returned|\n5000|New|111-11-1111",
	'new values of old and new subjects get keys');
is(ask($node, 'custodian', 'SELECT phi.shred_subject(1, \'again\'), phi.shred_subject(5000, \'too\')', db => 'restored'), '1|1', 'which can be destroyed');

# ---- the end of an epoch ----

is(ask($node, 'clinician', "SELECT name FROM patient_redacted WHERE id = $last", db => 'former'), "Name $last",
	'what a dump from before holds opens as long as its version of the key-encryption key is there');
my $kek = add_kek($node, 2);
foreach my $db ('postgres', 'restored')
{
	my $live = ask($node, '', "SELECT count(*) FILTER (WHERE state = 'current') FROM phi.subject_key", db => $db);
	is(ask($node, 'custodian', 'SELECT phi.rotate_kek()', db => $db), $live + 2, "$db: every key is wrapped anew");
	is(ask($node, 'custodian', q{SELECT DISTINCT kek_version FROM phi.key_status() WHERE state <> 'destroyed'}, db => $db), 2, "$db: only the new version is needed");
}
my @lines = grep { !/^1:/ } split /^/, slurp_file($kek);
unlink $kek;
append_to_file($kek, join '', @lines);
chmod 0600, $kek or die "$kek: $!";
ask($node, 'custodian', 'SELECT phi.reload_kek()');
is(ask($node, 'clinician', $seen), $source, 'without the old version all that lives still opens');
like(refused($node, 'clinician', "SELECT name FROM patient_redacted WHERE id = $last", db => 'former'), qr/^55000: .*version 1/,
	'and the dump from before is closed for good');

# ---- replication ----

$node->safe_psql('postgres', 'CREATE PUBLICATION shred FOR TABLE patient, visit, phi.subject_key');
my $schema = $node->basedir . '/schema.dump';
$node->command_ok([ 'pg_dump', '-Fc', '--no-publications', '--exclude-table-data=public.*', '--exclude-table-data=phi_audit.*',
		'--exclude-table-data=phi.subject_key', '-f', $schema, 'postgres' ], 'a dump without rows');
my $subscriber = phi_node('shred_subscriber', kek => 0, conf => "fsync = off\nlog_statement = none\nphi.kek_file = '$kek'\n");
$subscriber->start;
phi_roles($subscriber);
$subscriber->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE template0');
$subscriber->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'copy', $schema ], 'restored at the subscriber');
$subscriber->safe_psql('copy', q{SELECT phi.set_capture('patient', 'row'), phi.set_capture('visit', 'row')});
$subscriber->safe_psql('copy', "CREATE SUBSCRIPTION shred CONNECTION \$c\$" . $node->connstr('postgres') . "\$c\$ PUBLICATION shred"
	  . ($subscriber->pg_version >= 16 ? ' WITH (run_as_owner = true)' : ''));
$subscriber->wait_for_subscription_sync($node, 'shred', 'copy');
is(ask($subscriber, 'clinician', $seen, db => 'copy'), $source, 'the subscriber reads what the publisher reads');
ask($node, 'clinician', "INSERT INTO patient VALUES (6000, 'Sent', '222-22-2222')");
$node->wait_for_catchup('shred');
my $session = $subscriber->background_psql('copy', extra_params => [ '-U', 'clinician' ]);
my $read = "SELECT name FROM patient_redacted WHERE ssn = '222-22-2222'";
is($session->query($read), 'Sent', 'a new subject comes with its key');
is(ask($subscriber, '', q{SELECT count(images) FROM phi_audit.event WHERE action = 'insert' AND relation = 'public.patient' AND row_keys = '{6000}'}, db => 'copy'), 1,
	'and its event has an image');
my $keys = 'SELECT dek_id, subject_token, state FROM phi.subject_key ORDER BY 1';
is(ask($subscriber, '', $keys, db => 'copy'), ask($node, '', $keys), 'which made no key at the subscriber');
is(ask($node, 'custodian', "SELECT phi.shred_subject(6000, 'at the publisher')"), 1, 'shredded at the publisher');
$node->wait_for_catchup('shred');
is($session->query("$read; SELECT name IS NULL FROM patient_redacted WHERE id = 6000"), 't', 'dead and not found at the subscriber, in a session that had the key');
is(ask($subscriber, '', "SELECT count(*) FROM phi.subject_key WHERE state = 'current' AND wrapped IS NULL OR state = 'destroyed' AND wrapped IS NOT NULL", db => 'copy'), 0,
	'and its key is destroyed there');
$session->quit;

foreach my $server ($node, $subscriber)
{
	my $log = log_since($server);
	ok($log !~ /Name \d|987-65-1|PANIC|TRAP/, $server->name . ': no value in the log');
	$server->stop;
}

done_testing();
