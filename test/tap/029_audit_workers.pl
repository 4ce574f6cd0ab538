# Every background worker is taken by parallel queries: an audit worker has its place all the same, and a
# strict read its event.  Without the reservation (phi.audit_workers = 0) the same read is refused.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);
use PhiNode;

my $node = phi_node('workers', conf => "restart_after_crash = on\nphi.audit_timeout = '4s'\nmax_worker_processes = 4\n"
	  . "max_parallel_workers = 8\nmax_logical_replication_workers = 0\nmax_prepared_transactions = 2\n");
$node->start;
phi_roles($node);

# A database with a protected table, and a plain one to be scanned by all.
sub make
{
	my ($db) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db");
	phi_install($node, $db);
	$node->safe_psql($db, q{
		CREATE TABLE person (id bigint PRIMARY KEY, name text);
		SELECT phi.classify('person', 'name', 'name');
		SELECT phi.protect('person', subject => 'id', view => 'people');
		INSERT INTO person SELECT n, 'Canary' || n FROM generate_series(1, 100) n;
		GRANT SELECT ON people TO clinician;
	});
	return;
}
make('one');
make('two');
$node->safe_psql('postgres', q{
	CREATE TABLE big AS SELECT n, repeat('x', 500) AS filler FROM generate_series(1, 20000) n;
	ALTER TABLE big SET (parallel_workers = 8);
	ANALYZE big;
});

my $read = 'SELECT name FROM people WHERE id = 1';
my $parallel = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'";
my @scans;

# Parallel scans, until not one more worker is to be had.
sub take_all
{
	my ($places) = @_;

	for (1 .. 2)
	{
		push @scans, IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SET max_parallel_workers_per_gather = 8',
				'-c', 'SET parallel_setup_cost = 0', '-c', 'SET parallel_tuple_cost = 0', '-c', 'SET min_parallel_table_scan_size = 0',
				'-c', 'SELECT count(*) FROM big WHERE pg_sleep(0.02) IS NOT NULL' ], '>', \my $out, '2>', \my $err);
		sleep 0.3;
	}
	$node->poll_query_until('postgres', "SELECT ($parallel) = $places") or die 'the parallel workers are not there';
	return;
}

sub give_back
{
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT count(*) FROM big%'");
	$_->finish foreach @scans;
	@scans = ();
	$node->poll_query_until('postgres', "SELECT ($parallel) = 0") or die 'the parallel workers are still there';
	return;
}

sub worker
{
	my ($db) = @_;
	return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'phi_guard audit worker' AND datname = '$db'");
}

sub leave
{
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'phi_guard audit worker'");
	$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'phi_guard audit worker'") or die 'still there';
	return;
}

sub events
{
	my ($db) = @_;
	return $node->safe_psql($db, "SET phi.audit_reads = off; SELECT count(*) FROM phi_audit.event WHERE action = 'disclose'");
}

# A read with every worker taken is shown, in time, and has its event.
sub works
{
	my ($what, $db) = @_;
	my $before = events($db);
	my $begun = time;

	is(ask($node, 'clinician', $read, db => $db), 'Canary1', "$what: shown");
	cmp_ok(time - $begun, '<', 2, "$what: in time");
	is(events($db), $before + 1, "$what: recorded");
	return;
}

# Reserved: one place of four is not the parallel queries'
is($node->safe_psql('postgres', 'SHOW phi.audit_workers'), '1', 'one place is reserved by default');
leave();
take_all(3);
works('nobody serves the database, every worker is taken', 'one');
is($node->safe_psql('postgres', $parallel), 3, 'the parallel queries were still there');
my $first = worker('one');

# The place is had again by the next process, whatever became of the last
$node->safe_psql('postgres', "SELECT pg_terminate_backend($first)");
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $first") or die 'still there';
works('the worker was terminated', 'one');
isnt(worker('one'), $first, 'by another process');

# One place, two databases: they take turns, also under load from both
works('a second database, every worker is taken', 'two');
append_to_file($node->basedir . '/read.sql', "$read;\n");
my %reads;
foreach my $db ('one', 'two')
{
	$reads{$db} = { before => events($db), out => '' };
}
foreach my $db ('one', 'two')
{
	$reads{$db}{process} = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-T', 5, '-U', 'clinician', '-h', $node->host, '-p', $node->port,
			'-f', $node->basedir . '/read.sql', $db ], '<', \undef, '>', \$reads{$db}{out}, '2>&1');
}
foreach my $db ('one', 'two')
{
	my $ended = $reads{$db}{process}->finish;
	my ($done) = $reads{$db}{out} =~ /actually processed: (\d+)/;

	ok($ended && $reads{$db}{out} =~ /failed transactions: 0 /, "turns, database $db: no read failed") or diag($reads{$db}{out});
	cmp_ok($done, '>=', 10, "turns, database $db: reads were done");
	is(events($db) - $reads{$db}{before}, $done, "turns, database $db: each is recorded");
}
is($node->safe_psql('postgres', $parallel), 3, 'the parallel queries were there all the time');
give_back();
works('workers are free', 'two');
works('workers are free', 'one');

# A database that goes away gives its place back
take_all(2);
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE one');
works('its database was copied', 'one');
$node->safe_psql('postgres', 'ALTER DATABASE one RENAME TO uno');
works('its database was renamed', 'uno');
$node->safe_psql('postgres', 'DROP DATABASE uno');
works('the database of the reserved worker was dropped', 'copy');
give_back();

# A psql that waits for statements; say() gives what it answers to one.
sub talker
{
	my ($db) = @_;
	my %talker = (in => '', out => '');

	$talker{process} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr($db) ], '<', \$talker{in}, '>', \$talker{out}, '2>&1');
	return \%talker;
}

sub say
{
	my ($talker, $sql) = @_;

	$talker->{in} .= "$sql;\n\\echo over\n";
	$talker->{process}->pump until $talker->{out} =~ s/over\n\z//;
	my $answer = $talker->{out};
	$talker->{out} = '';
	return $answer;
}

# A database that is dropped while its worker is being started: DROP waits for the worker, to send it away
my $dropped = 0;
foreach my $try (1 .. 12)
{
	$node->safe_psql('postgres', 'CREATE DATABASE brief TEMPLATE copy');
	my ($inside, $outside) = (talker('brief'), talker('postgres'));
	say($_, 'SELECT 1') foreach $inside, $outside;
	say($inside, "INSERT INTO person VALUES (7000, 'x')");
	$inside->{in} .= "\\q\n";
	$inside->{process}->pump_nb;
	sleep $try * 0.0003;
	my $answer = say($outside, 'DROP DATABASE brief');
	$dropped += $answer eq '';
	diag($answer) if $answer ne '';
	$outside->{in} .= "\\q\n";
	$_->{process}->finish foreach $inside, $outside;
	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS brief');
}
is($dropped, 12, 'a database is dropped while its worker is being started');

# kill -9 restarts the server, and the reserved process with it
leave();
take_all(3);
works('before the crash', 'two');
kill 'KILL', worker('two');
$_->finish foreach @scans;
@scans = ();
for (1 .. 300) { last if ($node->psql('postgres', 'SELECT 1'))[0] == 0; sleep 0.1; }
take_all(3);
works('the server crashed', 'two');
give_back();

# Two places
$node->append_conf('postgresql.conf', 'phi.audit_workers = 2');
$node->restart;
take_all(2);
works('two places', 'two');
works('two places', 'copy');
give_back();

# One place from the start
$node->append_conf('postgresql.conf', 'phi.audit_workers = 1');
$node->restart;
take_all(3);
for my $turn (1 .. 6)
{
	works("turn $turn of one place", $turn % 2 ? 'two' : 'copy');
}
give_back();

# And without: this test can fail
$node->append_conf('postgresql.conf', 'phi.audit_workers = 0');
$node->restart;
leave();
take_all(4);
like((refused($node, 'clinician', $read, db => 'two'))[1], qr/event could not be recorded.*phi\.audit_workers/s, 'nothing reserved: refused');
give_back();
works('nothing reserved, workers are free', 'two');

unlike(log_since($node), qr/PANIC|TRAP|Canary\d/, 'nothing bad in the log of the server');
$node->stop;
done_testing();
