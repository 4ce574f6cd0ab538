# The postmaster is killed, over and over, while clients write, seal the log and read.  After each recovery:
# every transaction that was acknowledged is there, every value opens to what was written, the audit log is good,
# and its events are the committed changes, no more and no less.
#
# PHI_CRASHES is how many times; after PHI_CRASH_SECONDS no further one is begun, but 30 there are (100, 40).

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use PhiNode;

my $crashes = $ENV{PHI_CRASHES} // 100;
my $seconds = $ENV{PHI_CRASH_SECONDS} // 40;
my $writers = 3;
my $node = phi_node('crash', conf => "fsync = off\nwal_level = replica\ncheckpoint_timeout = 30s\nlog_statement = none\n"
	  . "restart_after_crash = off\n");
my $seed = time;
srand($seed);
note("srand($seed)");

$node->start;
phi_roles($node);
phi_install($node, 'postgres');
ask($node, 'hospital', <<'SQL');
CREATE TABLE patient (id bigint PRIMARY KEY, version integer NOT NULL DEFAULT 0, name text, born date, weight numeric, note text);
GRANT SELECT, INSERT, UPDATE, DELETE ON patient TO clinician;
SQL
ask($node, 'officer', <<'SQL');
SELECT phi.classify('patient', c, k) FROM (VALUES ('version', 'none'), ('name', 'name'), ('born', 'birth_date'), ('weight', 'other'),
	('note', 'free_text')) AS v (c, k);
SELECT phi.protect('patient', subject => 'id');
SQL
ask($node, 'hospital', 'GRANT SELECT ON patient_redacted TO clinician');

# What the values of a row are follows from its key and version.
my $expected = q{name = 'N' || id || '/' || version AND born = date '1900-01-01' + (id % 40000 + version)::int AND weight = id + version / 8.0
	AND note = repeat(md5(id || '/' || version), 100)};
my $values = q{'N' || id || '/' || v, date '1900-01-01' + (id % 40000 + v)::int, id + v / 8.0, repeat(md5(id || '/' || v), 100)};

# Statements of a writer in a round: keys of its own, so that what it was told is what must be there.
sub script
{
	my ($round, $writer) = @_;
	my $base = $round * 100000 + $writer * 10000;
	my @lines;

	foreach my $n (1 .. 600)
	{
		my $id = $base + $n;
		my $old = $base + int(1 + rand($n));

		push @lines, "INSERT INTO patient SELECT id, v, $values FROM (VALUES ($id, 0)) AS x (id, v) RETURNING 'i', id;";
		push @lines, "BEGIN; UPDATE patient SET (version, name, born, weight, note) = (SELECT v, $values FROM (SELECT id, version + 1 AS v) AS x) "
		  . "WHERE id = $old; SAVEPOINT s; DELETE FROM patient WHERE id = $id; ROLLBACK TO s; COMMIT; SELECT 'u', $old;" if $n % 3 == 0;
		push @lines, "DELETE FROM patient WHERE id = $old RETURNING 'd', id;" if $n % 17 == 0;
		push @lines, "BEGIN; INSERT INTO patient (id) VALUES ($base + 9999); ROLLBACK;" if $n % 11 == 0;
	}
	return join "\n", @lines, '';
}

# psql as a role on a script; its output is what was acknowledged.
sub begin_client
{
	my ($role, $name, $script) = @_;
	my %client = (out => '', err => '');
	my $file = $node->basedir . "/$name.sql";

	open my $out, '>', $file or die "$file: $!";
	print $out $script;
	close $out or die "$file: $!";
	$client{process} = IPC::Run::start([ 'psql', '-XAtq', '-F', ' ', '-U', $role, '-h', $node->host, '-p', $node->port, '-f', $file, 'postgres' ],
		'<', \undef, '>', \$client{out}, '2>', \$client{err});
	return \%client;
}

# SIGKILL to the postmaster, sometimes together with its children; returns when all are gone.  An init that
# reaps late leaves zombies, which PostgreSQL takes for running by its lock files: they are removed.
sub crash
{
	my $pid_file = $node->data_dir . '/postmaster.pid';
	my ($postmaster) = slurp_file($pid_file) =~ /^(\d+)$/m;
	my @children = split ' ', `ps -o pid= --ppid $postmaster`;

	$node->kill9;
	kill 'KILL', @children if rand() < 0.5;
	my $pids = join ',', $postmaster, @children;
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

my $acknowledged = 0;
my %bad = map { $_ => [] } 'lost transactions', 'values', 'events', 'the log', 'errors';
my $begun = time;
my $round = 0;

# What a client was told must be in the table: keys inserted and not deleted, versions no lower than acknowledged.
sub check_acknowledged
{
	my (@clients) = @_;
	my (%version, %deleted);

	foreach my $line (map { split /\n/, $_->{out} } @clients)
	{
		my ($what, $id) = $line =~ /^([iud]) (\d+)$/ or next;
		$acknowledged++;
		$deleted{$id} = 1 if $what eq 'd';
		$version{$id} = $what eq 'u' && exists $version{$id} ? $version{$id} + 1 : 0 if $what ne 'd' && !$deleted{$id};
	}
	delete @version{ keys %deleted };
	my $there = ask($node, 'clinician', "SELECT id, version FROM patient_redacted WHERE id / 100000 = $round");
	my %there = map { split /\|/ } split /\n/, $there;
	# The last DELETE of a client may have been committed and not acknowledged.
	my @lost = grep { !exists $there{$_} || $there{$_} < $version{$_} } keys %version;
	push @{ $bad{'lost transactions'} }, "round $round: @lost" if @lost > $writers || grep { exists $there{$_} } @lost, keys %deleted;
	return;
}

sub check_server
{
	my $wrong = ask($node, 'clinician', "SELECT count(*) FROM patient_redacted WHERE ($expected) IS NOT TRUE");
	my $events = ask($node, '', q{SET row_security = off;
		SELECT count(*) FROM (SELECT id, version FROM patient) p FULL JOIN (
			SELECT key::bigint AS id, count(*) FILTER (WHERE action = 'insert') AS inserted, count(*) FILTER (WHERE action = 'update') AS updated,
				count(*) FILTER (WHERE action = 'delete') AS deleted
			FROM phi_audit.event, unnest(row_keys) key WHERE relation = 'public.patient' GROUP BY 1) e USING (id)
		WHERE (e.inserted = 1 AND e.deleted = CASE WHEN p.id IS NULL THEN 1 ELSE 0 END AND e.updated = coalesce(p.version, e.updated)) IS NOT TRUE});
	my $log = ask($node, 'auditor', 'SELECT ok, problem FROM phi.audit_verify()');

	push @{ $bad{values} }, "round $round: $wrong values" if $wrong ne '0';
	push @{ $bad{events} }, "round $round: $events rows" if $events ne '0';
	push @{ $bad{'the log'} }, "round $round: $log" if $log ne 't|';
	return;
}

while ($round < $crashes && ($round < 30 || time - $begun < $seconds))
{
	$round++;
	my @writers = map { begin_client('clinician', "writer$_", script($round, $_)) } 1 .. $writers;
	my $sealer = begin_client('auditor', 'sealer', "SELECT phi.audit_seal();\n" x 1000);
	my $reader = begin_client('clinician', 'reader', "SELECT count(*) FROM patient_redacted WHERE ($expected) IS NOT TRUE;\n" x 1000);
	my $until = time + 0.05 + rand(0.25);

	do { $_->{process}->pump_nb foreach @writers, $sealer, $reader; usleep(2_000) } while time < $until;
	crash();
	$_->{process}->finish foreach @writers, $sealer, $reader;
	push @{ $bad{errors} }, "round $round: $_" foreach grep { !/server closed|connection to server|terminating connection/ }
	  map { /(ERROR:.*|PANIC:.*)/g } map { $_->{err} } @writers, $sealer;
	push @{ $bad{values} }, "round $round: read while written" if $reader->{out} =~ /[1-9]/;
	$node->start;
	check_acknowledged(@writers);
	check_server();
}
note(sprintf '%d crashes in %.0f s, %d acknowledged changes', $round, time - $begun, $acknowledged);
cmp_ok($acknowledged, '>', 20 * $round, 'while there were writes');
is(join("\n", @{ $bad{$_} }), '', "after every recovery: no trouble with $_") foreach sort keys %bad;
ask($node, 'auditor', 'SELECT phi.audit_seal()');
is(ask($node, 'auditor', 'SELECT ok, unsealed, problem FROM phi.audit_verify()'), 't|0|', 'in the end every event is sealed');
# Reading the log is an event of its own: what came after the last leaf is not asked for.
is(ask($node, 'auditor', q{SELECT count(*) = (SELECT count(*) FROM phi_audit.event WHERE event_id <= (SELECT max(event_id) FROM phi_audit.leaf)),
	count(DISTINCT event_id) = count(*) FROM phi_audit.leaf}), 't|t', 'once');
cmp_ok(ask($node, 'auditor', 'SELECT count(*) FROM phi_audit.checkpoint'), '>', $round / 2, 'the log was sealed in between');
is(ask($node, '', q{SET row_security = off; SELECT count(*) FROM patient WHERE name::text NOT LIKE 'phi:1:EQ%'}), 0, 'nothing is stored plain or unbound');
unlike(log_since($node), qr/PANIC|TRAP|invalid page|unexpected chunk/, 'the server log has nothing of it');
$node->stop;

done_testing();
