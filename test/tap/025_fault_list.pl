# The faults that stop the audit log, one after the other, each with the same promises: a reader waits no longer than
# phi.audit_timeout and is refused with a reason; break-glass is shown, its event in the spool; when the fault is over the
# event is in the log, once, the next reader is shown, and the log is good.  What is no fault is tried as well.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);
use PhiNode;

my $node = phi_node('list', allows_streaming => 1, extra => [ '--encoding=UTF8', '--locale=C.UTF-8', '--wal-segsize=1' ],
	conf => "restart_after_crash = on\nphi.audit_timeout = '1s'\nphi.audit_reads = off\nmax_wal_senders = 2\n");
my $spool = $node->basedir . '/spool';
mkdir $spool, 0700 or die "$spool: $!";
$node->append_conf('postgresql.conf', "phi.audit_spool_directory = '$spool'");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE TABLE person (id bigint PRIMARY KEY, name text);
	SELECT phi.classify('person', 'name', 'name');
	SELECT phi.protect('person', subject => 'id', view => 'people');
	INSERT INTO person SELECT n, 'Canary' || n FROM generate_series(1, 1000) n;
	SELECT phi.enroll('scholar', 'Dr. Glass', '{clinician}', '{TREAT,BTG}');
	SELECT phi.set_rule('clinician', 'BTG', 'name', 'full');
	GRANT SELECT ON people TO clinician, scholar;
});

my $read = 'SELECT name FROM people WHERE id = 1';
my $glass = "SELECT phi.set_purpose('BTG') \\g /dev/null\nSELECT name FROM people WHERE id = 3";

sub query
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub worker
{
	return query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'phi_guard audit worker' AND datname = current_database()");
}

sub events
{
	my ($actor) = @_;
	return query("SELECT count(*) FROM phi_audit.event WHERE action = 'disclose' AND actor = '$actor'");
}

sub spooled { return scalar(() = glob "$spool/*.event") }

# A reader is shown the value, and it is recorded.
sub works
{
	my ($what) = @_;
	my $before = events('Dr. House');

	is(ask($node, 'clinician', $read), 'Canary1', "$what: shown");
	is(events('Dr. House'), $before + 1, "$what: recorded");
	return;
}

sub verified
{
	my ($what) = @_;

	query('SELECT phi.audit_seal()');
	is(query('SELECT ok, unsealed, problem FROM phi.audit_verify()'), 't|0|', "$what: the log is good");
	return;
}

# One fault: what makes it, what ends it, what the reader is told, whether the worker's own record may be there as well.
sub fault
{
	my ($what, $begin, $end, $reason, $twice) = @_;
	my $before = events('Dr. Glass');

	$begin->();
	my $begun = time;
	my ($status, $out, $err) = $node->psql('postgres', $read, extra_params => [ '-U', 'clinician', '-v', 'VERBOSITY=verbose' ], timeout => 60);
	cmp_ok(time - $begun, '<', 4, "$what: in time");
	isnt($status, 0, "$what: refused");
	like($err, qr/55000: an event could not be recorded.*$reason/s, "$what: with a reason");
	unlike("$out$err", qr/Canary/, "$what: and no value");
	$begun = time;
	is(ask($node, 'scholar', $glass), 'Canary3', "$what: break-glass is shown");
	cmp_ok(time - $begun, '<', 4, "$what: break-glass, in time");
	is(spooled(), 1, "$what: its event is in the spool");
	$end->();
	for (1 .. 100) { ask($node, 'clinician', $read) if $_ == 1; last if spooled() == 0; sleep 0.1; }
	is(spooled(), 0, "$what, over: the spool is drained");
	my $written = events('Dr. Glass') - $before;
	ok($written == 1 || $twice && $written == 2, "$what, over: the event is in the log") or diag("$written events");
	works("$what, over");
	verified("$what, over");
	return;
}

sub change_conf
{
	my ($lines) = @_;

	$node->append_conf('postgresql.conf', $lines);
	$node->restart;
	return;
}

works('no fault');
my $stopped;
fault('worker stopped', sub { kill 'STOP', $stopped = worker() }, sub { kill 'CONT', $stopped }, 'did not answer');

# What the worker waits for
my $session = $node->background_psql('postgres');
fault('log locked', sub { $session->query_safe('BEGIN; LOCK TABLE phi_audit.event IN ACCESS EXCLUSIVE MODE') }, sub { $session->query_safe('ROLLBACK') },
	'(could not write it|did not answer)');
my $partition = query('SELECT tableoid::regclass FROM phi_audit.event LIMIT 1');
fault('its partition locked', sub { $session->query_safe("BEGIN; LOCK TABLE $partition IN SHARE MODE") }, sub { $session->query_safe('ROLLBACK') },
	'(could not write it|did not answer)');
fault('no synchronous standby', sub { wait_for_setting($node, 'synchronous_standby_names', 'nobody'); sleep 0.2 },
	sub { wait_for_setting($node, 'synchronous_standby_names', '') }, 'did not answer', 1);

# What it cannot write
SKIP:
{
	skip 'no prlimit', 12 if `which prlimit` eq '';
	append_to_file($node->basedir . '/read.sql', "$read;\n");
	my @reads = ('pgbench', '-n', '-c', 4, '-U', 'clinician', '-f', $node->basedir . '/read.sql', '-d', $node->connstr('postgres'));
	# The table is larger than a segment of the write-ahead log, and may not grow: what is left of its last pages is used up.
	fault('disk full', sub {
			my $size;
			for (1 .. 20)
			{
				run_log([ @reads, '-t', 500 ], '>', \my $out, '2>', \my $err);
				last if ($size = query("SELECT pg_relation_size('$partition')")) > 1_100_000;
			}
			system('prlimit', "--fsize=$size:", '--pid', worker()) == 0 or die 'prlimit does not work here';
			run_log([ @reads, '-t', 500 ], '>', \my $out, '2>', \my $err);
		}, sub {
			my $limited = worker();
			query("SELECT pg_terminate_backend($limited)");
			$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $limited") or die 'still there';
		}, 'could not write it');
}

# None can be started
$session->quit;
fault('no background worker', sub { change_conf("max_worker_processes = 0\nmax_logical_replication_workers = 0\n") },
	sub { change_conf("max_worker_processes = 8\n") }, 'could not be started.*phi\.audit_workers');

# The server crashes while an event is in the spool
my $before = events('Dr. Glass');
kill 'STOP', my $pid = worker();
ask($node, 'scholar', $glass);
is(spooled(), 1, 'a crash with a full spool: spooled');
kill 'KILL', $pid;
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid") or die 'no restart';
works('a crash with a full spool');
for (1 .. 100) { last if spooled() == 0; sleep 0.1; }
is(spooled() . '|' . (events('Dr. Glass') - $before), '0|1', 'a crash with a full spool: drained, once');
verified('a crash with a full spool');

# Without a spool there is no break-glass either; with one that is full, neither
kill 'STOP', $pid = worker();
chmod 0500, $spool;
like((refused($node, 'scholar', $glass))[0], qr/could not write to phi\.audit_spool_directory/, 'a spool that cannot be written: refused');
chmod 0700, $spool;
wait_for_setting($node, 'phi.audit_spool_directory', '');
like((refused($node, 'scholar', $glass))[0], qr/^55000: an event could not be recorded/, 'no spool: refused');
kill 'CONT', $pid;
wait_for_setting($node, 'phi.audit_spool_directory', $spool);
works('no spool, over');

# No faults: sealing waits for these, readers do not
$session = $node->background_psql('postgres');
foreach my $table (qw(leaf checkpoint incarnation))
{
	$session->query_safe("BEGIN; LOCK TABLE phi_audit.$table IN ACCESS EXCLUSIVE MODE");
	works("phi_audit.$table is locked");
	$session->query_safe('ROLLBACK');
}
$session->query_safe("BEGIN; INSERT INTO person VALUES (5000, 'x'); SELECT phi.audit_seal()");
works('a seal is not committed yet');
$session->query_safe('ROLLBACK');
$session->quit;
query("ALTER SYSTEM SET $_") foreach 'default_transaction_read_only = on', 'synchronous_commit = off', "default_transaction_isolation = 'serializable'",
  "statement_timeout = '50ms'", "lock_timeout = '1ms'", "idle_in_transaction_session_timeout = '10ms'", "idle_session_timeout = '30s'";
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('default_transaction_read_only') = 'on'") or die;
query('SELECT pg_terminate_backend(' . worker() . ')');
is(ask($node, 'clinician', "SET statement_timeout = 0; $read"), 'Canary1', 'defaults of the cluster: shown');
query('ALTER SYSTEM RESET ALL');
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('default_transaction_read_only') = 'off'") or die;
works('defaults of the cluster, over');
verified('in the end');

unlike(log_since($node), qr/PANIC|TRAP|Canary\d/, 'nothing bad, and no value, in the log of the server');
$node->stop;
done_testing();
