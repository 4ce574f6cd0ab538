# What happens to a reader when the audit log cannot be written: a bounded wait, a clear error, no value;
# and that the next reader, when it can be again, has its event and its value.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);
use PhiNode;

my $node = phi_node('faults', allows_streaming => 1, extra => [ '--encoding=UTF8', '--locale=C.UTF-8', '--wal-segsize=1' ],
	conf => "restart_after_crash = on\nphi.audit_timeout = '2s'\nmax_worker_processes = 8\nmax_prepared_transactions = 4\n");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE TABLE person (id bigint PRIMARY KEY, name text);
	SELECT phi.classify('person', 'name', 'name');
	SELECT phi.protect('person', subject => 'id', view => 'people');
	DO $$ BEGIN FOR n IN 0 .. 7 LOOP INSERT INTO person SELECT i, 'Canary' || i FROM generate_series(n * 250 + 1, n * 250 + 250) i; END LOOP; END $$;
	GRANT SELECT ON people TO clinician;
});

my $read = 'SELECT name FROM people WHERE id = 1';

sub worker
{
	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'phi_guard audit worker' AND datname = current_database()");
}

sub events
{
	return $node->safe_psql('postgres', "SELECT count(*) FROM phi_audit.event WHERE action = 'disclose'");
}

# Reading fails in time, with this message, and shows nothing; more of an interval than the setting is no bound.
sub refused_in_time
{
	my ($what, $pattern, $sql) = @_;
	my $began = time;
	my ($status, $out, $err) = $node->psql('postgres', $sql // $read, extra_params => [ '-U', 'clinician' ], timeout => 60);
	my $took = time - $began;

	isnt($status, 0, "$what: an error");
	unlike("$out$err", qr/Canary/, "$what: no value");
	like($err, $pattern, "$what: a clear message");
	cmp_ok($took, '<', 6, "$what: in time");
	return;
}

sub works_again
{
	my ($what) = @_;
	my $before = events();

	is(ask($node, 'clinician', $read), 'Canary1', "after $what: shown");
	is(events(), $before + 1, "after $what: recorded");
	return;
}

works_again('nothing');

my $pid = worker();

# Nobody waits for what is only batched: far more than there are places for
$node->safe_psql('postgres', 'ALTER ROLE clinician SET phi.disclosure_audit = batched');
my $count = events();
kill 'STOP', $pid;
is(ask($node, 'clinician', "$read; " x 1000), join("\n", ('Canary1') x 1000), 'worker stopped, batched: a thousand reads go on');
kill 'CONT', $pid;
$node->poll_query_until('postgres', "SELECT count(*) = $count + 1000 FROM phi_audit.event WHERE action = 'disclose'") or die 'lost';
pass('and each is recorded when it goes on');

# A record that cannot be written does not take those with it that share its place
my $partition = $node->safe_psql('postgres', "SELECT tableoid::regclass FROM phi_audit.event WHERE action = 'disclose' LIMIT 1");
$node->safe_psql('postgres', "CREATE INDEX too_narrow ON $partition (subjects)");
$count = events();
kill 'STOP', $pid;
ask($node, 'clinician', ("$read; " x 5) . 'SELECT count(name) FROM people WHERE id <= 1000; ' . ("$read; " x 5));
kill 'CONT', $pid;
$node->poll_query_until('postgres', "SELECT count(*) = $count + 10 FROM phi_audit.event WHERE action = 'disclose'") or die 'stuck';
pass('the others of its place are recorded');
$node->safe_psql('postgres', 'DROP INDEX phi_audit.too_narrow');
$node->poll_query_until('postgres', "SELECT count(*) = $count + 11 FROM phi_audit.event WHERE action = 'disclose'") or die 'lost';
pass('and it, when it can be written');
$node->safe_psql('postgres', 'ALTER ROLE clinician RESET phi.disclosure_audit');

# The worker hangs
kill 'STOP', $pid;
my $before = time;
refused_in_time('worker stopped', qr/event could not be recorded.*did not answer/s);
refused_in_time('worker stopped, again', qr/event could not be recorded/);
refused_in_time('worker stopped, in an error', qr/event could not be recorded/, 'SELECT name, 1 / (id - 1) FROM people');
is((refused($node, 'clinician', "SET statement_timeout = '300ms'; $read"))[0], '57014: canceling statement due to statement timeout',
	'a statement timeout ends the wait');
kill 'CONT', $pid;
works_again('it goes on');

# No state of a canceled wait is left: the next statement of the session has an event of its own
kill 'STOP', $pid;
my $session = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'clinician' ]);
$session->query("SET statement_timeout = '300ms'");
unlike($session->query($read) // '', qr/Canary/, 'canceled: no value');
kill 'CONT', $pid;
$session->query('SET statement_timeout = 0');
$count = events();
like($session->query($read), qr/Canary1/, 'the next statement of the session: shown');
cmp_ok(events(), '>', $count, 'and recorded');
$session->quit;

# Slow: others may wait, nobody fails
kill 'STOP', $pid;
my $slow = IPC::Run::start([ 'psql', '-XAtq', '-U', 'clinician', '-d', $node->connstr('postgres'), '-c', $read ], '>', \my $slowly);
sleep 1;
kill 'CONT', $pid;
$slow->finish;
is($slowly, "Canary1\n", 'a slow worker: shown');

# A superuser takes it away; it comes back
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid") or die 'still there';
works_again('it was terminated');
isnt(worker(), $pid, 'another worker');

# Who may not drop, rename or copy the database does not stop its worker either
$pid = worker();
refused($node, 'clinician', $_) foreach 'DROP DATABASE postgres', 'ALTER DATABASE postgres RENAME TO x', 'CREATE DATABASE x TEMPLATE postgres';
is(worker(), $pid, 'the worker is not stopped by who may not');

# Killed -9: the postmaster restarts the server
$pid = worker();
kill 'KILL', $pid;
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid") or die 'no restart';
works_again('it was killed -9');

# Nobody holds a lock it would wait for
my $lock = $node->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK TABLE phi_audit.event IN ACCESS EXCLUSIVE MODE');
refused_in_time('the log is locked', qr/event could not be recorded/);
$lock->query_safe('ROLLBACK');
works_again('the lock');
is((refused($node, '', 'BEGIN; LOCK TABLE phi_audit.event IN SHARE MODE; SELECT phi.set_purpose(\'TREAT\')'))[0],
	'42501: the session has no identity to state a purpose for', 'a superuser without identity');
$node->safe_psql('postgres', q{SELECT phi.enroll(session_user::regrole, 'root', '{clinician}', '{TREAT}')});
like((refused($node, '', "BEGIN; LOCK TABLE phi_audit.event IN SHARE MODE; $read"))[0], qr/^55006: .*this transaction has locked the audit log/,
	'refused up front where the reader holds the lock');
like((refused($node, '', "BEGIN; ALTER EXTENSION phi_guard UPDATE; ALTER TABLE phi_audit.event ADD CHECK (true); $read"))[0], qr/^55006: /,
	'or has altered the log');
$lock->query_safe("BEGIN; LOCK TABLE person IN ACCESS EXCLUSIVE MODE; DELETE FROM person WHERE id = 50; SELECT name FROM people WHERE id = 2; PREPARE TRANSACTION 'held'");
pass('a reader that has locked and changed its table');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'held'");
$lock->quit;
works_again('two-phase commit');

# Defaults of the database that would stop it
$node->safe_psql('postgres', q{
	ALTER DATABASE postgres SET default_transaction_read_only = on;
	ALTER DATABASE postgres SET default_transaction_isolation = 'serializable';
	ALTER DATABASE postgres SET search_path = 'nowhere';
	ALTER DATABASE postgres SET synchronous_commit = off;
	ALTER DATABASE postgres SET statement_timeout = 1000;
	ALTER DATABASE postgres SET session_replication_role = replica;
});
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . worker() . ')');
is(ask($node, 'clinician', 'SELECT name FROM public.people WHERE id = 1'), 'Canary1', 'defaults of the database do not stop it');
$node->safe_psql("postgres", "SET default_transaction_read_only = off; ALTER DATABASE postgres RESET $_")
  for qw(default_transaction_read_only default_transaction_isolation search_path synchronous_commit statement_timeout session_replication_role);

# A standby that is not there
wait_for_setting($node, 'synchronous_standby_names', 'nobody');
sleep 0.2;
refused_in_time('no synchronous standby', qr/event could not be recorded.*did not answer/s);
wait_for_setting($node, 'synchronous_standby_names', '');
works_again('the standby');

# A disk that is full: a limit on the size of the files that the worker writes, below which the log's segments stay
SKIP:
{
	skip 'no prlimit', 7 if `which prlimit` eq '';
	$node->psql('postgres', 'SELECT name FROM people', extra_params => [ '-U', 'clinician' ]) for 1 .. 5;
	system('prlimit', '--fsize=2097152:', '--pid', worker()) == 0 or skip 'prlimit does not work here', 7;
	my $full = '';
	for (my $i = 0; $i < 300 && $full eq ''; $i++)
	{
		($full) = refused($node, 'clinician', 'SELECT name FROM people');
	}
	like($full, qr/event could not be recorded/, 'the disk is full: refused');
	refused_in_time('the disk is full', qr/event could not be recorded.*could not write it/s, 'SELECT name FROM people');
	$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . worker() . ')');
	works_again('the disk has space');
}

# One background worker for two databases: they take turns (none at all: 025_fault_list.pl)
$node->append_conf('postgresql.conf', "max_worker_processes = 1\nmax_logical_replication_workers = 0\n");
$node->restart;
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . (worker() || 0) . ')');
phi_install($node, 'other', policy => 0);
$node->safe_psql('other', q{SELECT phi.audit_install(); SELECT phi.install_default_rules()});
is(worker(), '', 'the other database has the worker');
works_again('the other database had the worker');
$node->safe_psql('postgres', 'DROP DATABASE other');
works_again('other database was dropped');

# The spool: only for break-glass, only where nobody else looks
my $spool = $node->basedir . '/spool';
mkdir $spool, 0755;
wait_for_setting($node, 'phi.audit_spool_directory', $spool);
$node->safe_psql('postgres', q{
	SELECT phi.enroll('scholar', 'Dr. Glass', '{clinician}', '{TREAT,BTG}');
	SELECT phi.set_rule('clinician', 'BTG', 'name', 'full');
	GRANT SELECT ON people TO scholar;
});
my $glass = "SELECT phi.set_purpose('BTG'); SELECT name FROM people WHERE id = 3";
my ($shown) = $node->psql('postgres', $glass, extra_params => [ '-U', 'scholar' ]) == 0;
my $can = ask($node, 'scholar', $glass) =~ /Canary3/;
SKIP:
{
	skip 'purpose BTG reveals nothing here', 13 unless $can;
	my $drained = events();
	$pid = worker();
	kill 'STOP', $pid;
	like((refused($node, '', 'SELECT count(*) FROM phi_audit.event'))[0], qr/event could not be recorded/,
		'reading the log is not without an event either');
	like((refused($node, 'scholar', $glass))[0], qr/phi.audit_spool_directory cannot be used/, 'a spool that others can read: refused');
	chmod 0700, $spool;
	like(ask($node, 'scholar', $glass), qr/Canary3/, 'break-glass with the worker stopped: shown');
	my @files = glob("$spool/*.event");
	is(scalar @files, 1, 'one file in the spool');
	refused_in_time('no break-glass, no spool', qr/event could not be recorded/);

	# A copy of the file comes back after it was drained: still one event.
	my $copy = slurp_file($files[0]);
	open my $torn, '>:raw', $files[0] =~ s/\.([0-9a-f])[0-9a-f]/.$1f/r =~ s/.event$/0.event/r or die $!;
	print $torn substr($copy, 0, length($copy) - 3);
	close $torn;
	kill 'CONT', $pid;
	$node->poll_query_until('postgres', "SELECT count(*) > $drained FROM phi_audit.event WHERE action = 'disclose'") or die 'not drained';
	for (1 .. 50) { last if !-e $files[0]; sleep 0.1; }
	ok(!-e $files[0], 'drained, and removed');
	is(events(), $drained + 1, 'one event');
	open my $back, '>:raw', $files[0] or die $!;
	print $back $copy;
	close $back;
	for (1 .. 50) { last if !-e $files[0]; sleep 0.1; }
	ok(!-e $files[0], 'the same file again: removed');
	is(events(), $drained + 1, 'and still one event');
	like(log_since($node), qr/of the audit spool is not whole/, 'a torn file is left, with a warning');
}

unlike(log_since($node), qr/Canary\d/, 'no value in the log of the server');
$node->stop;
done_testing();
