# Failover to a synchronous standby, over and over: whatever was answered before the primary was killed is on the standby.
# Every read that was shown has its event there, every change its own, the log is good against the checkpoint directory that
# the dead primary wrote, and goes on; none of it is an alarm.
#
# PHI_FAILOVERS is how many times (3).

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep sleep);
use PhiNode;

my $failovers = $ENV{PHI_FAILOVERS} // 3;
my $node = phi_node('first', allows_streaming => 1,
	conf => "fsync = off\nlog_statement = none\nphi.audit_seal_interval = 10ms\nphi.audit_reads = off\nphi.audit_timeout = 30s\n");
my $notes = $node->basedir . '/checkpoints';
mkdir $notes, 0700 or die "$notes: $!";
$node->append_conf('postgresql.conf', "phi.checkpoint_directory = '$notes'");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
ask($node, 'hospital', <<'SQL');
CREATE TABLE person (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
GRANT SELECT, INSERT ON person TO clinician;
SQL
ask($node, 'officer', q{SELECT phi.classify('person', 'name', 'name'); SELECT phi.protect('person', subject => 'id', view => 'people')});
ask($node, 'hospital', 'GRANT SELECT ON people TO clinician');
ask($node, 'clinician', "INSERT INTO person (name) SELECT 'N' || n FROM generate_series(1, 100) n");

my $verify = 'SELECT ok, unsealed, problem FROM phi.audit_verify()';
my $counted = "SELECT count(*) FILTER (WHERE action = 'disclose'), sum(row_count) FILTER (WHERE action = 'insert') FROM phi_audit.event";
foreach my $turn (1 .. $failovers)
{
	my $standby = PostgreSQL::Test::Cluster->new("standby$turn");

	$node->backup("base$turn");
	$standby->init_from_backup($node, "base$turn", has_streaming => 1);
	$standby->start;
	wait_for_setting($node, 'synchronous_standby_names', '*');
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'") or die 'no synchronous standby';
	my ($shown, $inserted) = split /\|/, ask($node, '', $counted);

	# Readers and writers; what they were answered is what they print.
	my @clients;
	foreach my $sql (('SELECT name FROM people WHERE id = 1;') x 3, ("INSERT INTO person (name) VALUES ('x') RETURNING id;") x 2)
	{
		my %client = (in => "$sql\n" x 4000, out => '', err => '');

		$client{process} = IPC::Run::start([ 'psql', '-XAtq', '-U', 'clinician', '-d', $node->connstr('postgres') ], '<', \$client{in}, '>', \$client{out},
			'2>', \$client{err});
		push @clients, \%client;
	}
	my $until = time + 0.7 + rand(0.6);
	do { $_->{process}->pumpable and $_->{process}->pump_nb foreach @clients; usleep(2_000) } while time < $until;
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)$/m;
	my @children = split ' ', `ps -o pid= --ppid $postmaster`;
	$node->kill9;
	kill 'KILL', @children;
	eval { $_->{process}->finish } foreach @clients;
	my ($read, $written) = (0, 0);
	$read += () = $_->{out} =~ /^N1$/mg foreach @clients;
	$written += () = $_->{out} =~ /^\d+$/mg foreach @clients;
	cmp_ok($read, '>', 20, "failover $turn: there were reads");
	cmp_ok($written, '>', 20, "failover $turn: and writes");

	$standby->append_conf('postgresql.conf', "synchronous_standby_names = ''");
	$standby->reload;
	$standby->promote;
	$standby->poll_query_until('postgres', "SELECT current_setting('synchronous_standby_names') = ''") or die 'no reload';
	my ($shown_now, $inserted_now) = split /\|/, ask($standby, '', $counted);
	cmp_ok($shown_now - $shown, '>=', $read, "failover $turn: every read that was shown is recorded");
	cmp_ok($inserted_now - $inserted, '>=', $written, "failover $turn: every change that was committed is");
	is(ask($standby, '', 'SET row_security = off; SELECT count(*) FROM person'), $inserted_now, "failover $turn: and there are as many rows");
	my $verdict = ask($standby, '', 'SELECT ok, problem FROM phi.audit_verify()');
	is($verdict, 't|', "failover $turn: the log holds against the directory of the dead primary");
	ask($standby, 'clinician', 'SELECT name FROM people WHERE id = 2');
	ask($standby, '', 'SELECT phi.audit_seal()');
	is(ask($standby, '', $verify), 't|0|', "failover $turn: it goes on");
	is(ask($standby, '', 'SELECT count(*) FROM phi_audit.incarnation'), $turn + 1, "failover $turn: as a new incarnation");
	is(ask($standby, '', 'SELECT count(*) = count(DISTINCT event_id) FROM phi_audit.event'), 't', "failover $turn: no number is there twice");
	unlike(log_since($standby), qr/PANIC|TRAP|cannot seal/, "failover $turn: nothing bad in the log of the server");
	$node = $standby;
}
$node->stop;
done_testing();
