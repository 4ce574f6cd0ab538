# No false alarm: 64 writers and readers in every isolation level, with savepoints, aborts, errors, two-phase commit and
# disclosures, while the log is sealed and verified; in some rounds a backend, the audit worker or the postmaster is
# killed.  After each round the log is good and whole, every committed change of a row has one event and every other none,
# every read that was answered has its event, and no checkpoint of before is gone.
#
# The table is its own ledger: a row's version is how often it was updated, and "gone" has the rows that were deleted.
#
# PHI_ROUNDS is how many rounds (500 for the long run), PHI_CLIENTS how many clients (64), PHI_TRANSACTIONS of each in a round (8).

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use PhiNode;

my $rounds = $ENV{PHI_ROUNDS} // 12;
my $clients = $ENV{PHI_CLIENTS} // 64;
my $transactions = $ENV{PHI_TRANSACTIONS} // 8;
my $hot = 16; # rows that everybody updates
my $whole = 20; # each so many rounds the whole log is verified
my $node = phi_node('alarm', conf => "fsync = off\nmax_connections = 120\nmax_prepared_transactions = 100\nrestart_after_crash = on\n"
	  . "shared_buffers = 128MB\nphi.audit_seal_interval = 20ms\nphi.audit_reads = off\nphi.audit_timeout = 30s\nlog_statement = none\n");
my $notes = $node->basedir . '/checkpoints';
my $seed = $ENV{PHI_SEED} // int time;
srand($seed);
note("PHI_SEED=$seed");

mkdir $notes, 0700 or die "$notes: $!";
$node->append_conf('postgresql.conf', "phi.checkpoint_directory = '$notes'");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
ask($node, 'hospital', <<'SQL');
CREATE SEQUENCE keys;
CREATE TABLE ledger (id bigint PRIMARY KEY DEFAULT nextval('keys'), version integer NOT NULL DEFAULT 0, name text);
CREATE TABLE gone (id bigint PRIMARY KEY, version integer NOT NULL);
GRANT USAGE ON SEQUENCE keys TO clinician;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger, gone TO clinician;
SQL
ask($node, 'officer', <<'SQL');
SELECT phi.classify('ledger', 'version', 'none');
SELECT phi.classify('ledger', 'name', 'name');
SELECT phi.protect('ledger', subject => 'id');
SQL
ask($node, 'hospital', 'GRANT SELECT ON ledger_redacted TO clinician');

# What clients do: weight and statements, :hot is a row that others update too.  Reads that are answered are counted by script.
my $update = "UPDATE ledger SET version = version + 1, name = 'N' || :hot WHERE id = :hot";
my $delete = 'WITH d AS (DELETE FROM ledger WHERE id = :k RETURNING id, version) INSERT INTO gone SELECT id, version FROM d';
my $gid = "'g:client_id/:r'";
my %scripts = (
	savepoints => [ 6, "BEGIN; INSERT INTO ledger (name) VALUES ('a'), ('b'); SAVEPOINT s; INSERT INTO ledger (name) VALUES ('c'); $update;
		ROLLBACK TO s; SAVEPOINT t; $update; RELEASE t; INSERT INTO ledger (name) VALUES ('d'); COMMIT;" ],
	repeatable => [ 4, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT version FROM ledger WHERE id = :hot; INSERT INTO ledger (name) VALUES ('r'); $update; COMMIT;" ],
	serializable => [ 4, "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(version) FROM ledger WHERE id BETWEEN :base AND :base + 3; $update;
		INSERT INTO ledger DEFAULT VALUES; COMMIT;" ],
	aborts => [ 3, "BEGIN; INSERT INTO ledger (name) VALUES ('a'), ('b'); $update; ROLLBACK;" ],
	errors => [ 3, q{DO $$ BEGIN
			INSERT INTO ledger (name) VALUES ('undone'); UPDATE ledger SET version = version + 7 WHERE id = :hot; RAISE EXCEPTION 'undone';
		EXCEPTION WHEN raise_exception THEN INSERT INTO ledger (name) VALUES ('caught'); END $$;} ],
	subtransactions => [ 1, q{DO $$ BEGIN FOR i IN 1 .. 70 LOOP BEGIN
			INSERT INTO ledger DEFAULT VALUES;
			IF i % 2 = 0 THEN RAISE EXCEPTION 'undone'; END IF;
		EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; END $$;} ],
	prepared => [ 3, "BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO ledger (name) VALUES ('p'); SAVEPOINT s; INSERT INTO ledger DEFAULT VALUES; ROLLBACK TO s;
		PREPARE TRANSACTION $gid; COMMIT PREPARED $gid;" ],
	unprepared => [ 3, "BEGIN; INSERT INTO ledger (name) VALUES ('p'), ('q'); PREPARE TRANSACTION $gid; ROLLBACK PREPARED $gid;" ],
	lives => [ 3, "INSERT INTO ledger DEFAULT VALUES RETURNING id AS k \\gset\nUPDATE ledger SET version = version + 1 WHERE id = :k;
		BEGIN; $delete; ROLLBACK; BEGIN; UPDATE ledger SET version = version + 1 WHERE id = :k; $delete; COMMIT;" ],
	upserts => [ 2, 'INSERT INTO ledger (id) VALUES (:hot), (:base - 1) ON CONFLICT (id) DO UPDATE SET version = ledger.version + 1;' ],
	batch => [ 1, 'INSERT INTO ledger (name) SELECT n::text FROM generate_series(1, 50) n;' ],
	read => [ 5, 'SELECT name FROM ledger_redacted WHERE id = :hot;' ],
	read_undone => [ 2, 'BEGIN; SELECT name FROM ledger_redacted WHERE id = :hot; ROLLBACK;' ],
	read_only => [ 2, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT name FROM ledger_redacted WHERE id = :hot; COMMIT;' ]);
my @files;
foreach my $name (sort keys %scripts)
{
	my ($weight, $lines) = @{ $scripts{$name} };
	my $file = $node->basedir . "/$name.sql";

	$lines =~ s/\n\s+/ /g;
	$lines =~ s/; (?=\S)/;\n/g unless $lines =~ /\$\$/;
	append_to_file($file, "\\set hot :base + random(0, " . ($hot - 1) . ")\n\\set r random(1, 1000000000000)\n$lines\n");
	push @files, '-f', "$file\@$weight";
}

# Statements that fail with an error of their own, as a script of psql goes on after them.
my $failing = "INSERT INTO ledger (name) VALUES ('e');\nINSERT INTO ledger (name) SELECT 1 / (n - 2) FROM generate_series(1, 3) n;\n"
  . "BEGIN; INSERT INTO ledger DEFAULT VALUES; SELECT 1 / 0; INSERT INTO ledger DEFAULT VALUES; COMMIT;\n"
  . "UPDATE ledger SET version = NULL;\nSET statement_timeout = 1; DO \$\$ BEGIN INSERT INTO ledger DEFAULT VALUES; PERFORM pg_sleep(1); END \$\$; RESET statement_timeout;\n";

sub begin_client
{
	my ($what, $input, @command) = @_;
	my %client = (what => $what, in => $input, out => '', err => '');

	$client{process} = IPC::Run::start([ @command, '-h', $node->host, '-p', $node->port ], '<', \$client{in}, '>', \$client{out}, '2>', \$client{err});
	return \%client;
}

sub query
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub postmaster
{
	return (slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)$/m)[0];
}

# SIGKILL to the postmaster, sometimes with its children; returns when all are gone.  An init that reaps late leaves
# zombies, which PostgreSQL takes for running by its lock files: they are removed.
sub crash
{
	my $postmaster = postmaster();
	my @children = split ' ', `ps -o pid= --ppid $postmaster`;

	$node->kill9;
	kill 'KILL', @children if rand() < 0.5;
	my $pids = join ',', $postmaster, @children;
	foreach (1 .. 1000)
	{
		if (!grep { !/Z/ } split /\n/, `ps -o stat= -p $pids`)
		{
			unlink $node->data_dir . '/postmaster.pid', $node->host . '/.s.PGSQL.' . $node->port . '.lock';
			return;
		}
		usleep(10_000);
	}
	die 'children of the postmaster are left';
}

# A backend that was forked as the postmaster died holds the shared memory a moment longer than those that ps had shown.
sub start_again
{
	foreach (1 .. 20)
	{
		return if $node->start(fail_ok => 1);
		usleep(250_000);
	}
	die 'the server does not start';
}

# SIGKILL to a client's backend or the audit worker: the postmaster restarts the server, unless it had just ended.
sub kill_backend
{
	my $postmaster = postmaster();
	my @children = map { /^\s*(\d+)/ ? $1 : () } grep { /clinician|audit worker/ } split /\n/, `ps -o pid=,args= --ppid $postmaster`;

	return if !@children;
	kill 'KILL', $children[ rand @children ];
	foreach (1 .. 100)
	{
		last if log_since($node, $_[0]) =~ /reinitializing/;
		usleep(10_000);
	}
	return;
}

sub wait_for_server
{
	foreach (1 .. 1000)
	{
		return if ($node->psql('postgres', 'SELECT 1'))[0] == 0;
		usleep(20_000);
	}
	die 'the server does not come back';
}

# A seal that is taken back leaves no checkpoint in the directory, and stops neither sealing nor verifying.
wait_for_setting($node, 'phi.audit_seal_interval', '0');
my $insert = "INSERT INTO ledger (name) VALUES ('x')";
sub newest
{
	my ($file) = glob "$notes/*.latest";
	return slurp_file($file) =~ /^[^\n]*\n(\d+)\n/ ? $1 : die 'no checkpoint';
}
sub verified
{
	my ($what) = @_;
	return is(query('SELECT ok, unsealed, problem FROM phi.audit_verify()'), 't|0|', $what);
}
ask($node, 'clinician', $insert);
query('SELECT phi.audit_seal()');
my $leaves = newest();
ask($node, 'clinician', $insert);
is(query('BEGIN; SELECT phi.audit_seal(); ROLLBACK'), '1', 'a seal that is rolled back');
is(newest(), $leaves, 'is not in the directory');
query("BEGIN; SAVEPOINT s; SELECT phi.audit_seal(); ROLLBACK TO s; COMMIT");
is(newest(), $leaves, 'nor is one that is rolled back to a savepoint');
like((refused($node, '', "BEGIN; SELECT phi.audit_seal(); PREPARE TRANSACTION 'sealed'"))[0], qr/^0A000: cannot prepare a transaction that has sealed/,
	'one that would be prepared is refused');
query("BEGIN; SAVEPOINT s; SAVEPOINT t; SELECT phi.audit_seal(); RELEASE t; RELEASE s; COMMIT");
is(newest(), $leaves + 1, 'one that is committed is there');
verified('and the log is good');
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
ask($node, 'clinician', $insert);
query('SELECT phi.audit_seal()');
is($session->query_safe('SELECT ok, problem FROM phi.audit_verify()'), 't|', 'a snapshot older than the directory is no cut log');
$session->query_safe('COMMIT');
ask($node, 'clinician', $insert);
$session->query_safe('BEGIN; SELECT phi.audit_seal()');
is(query("SET statement_timeout = '5s'; SELECT ok, unsealed, problem FROM phi.audit_verify()"), 't|1|', 'nor is one that is being sealed');
$session->query_safe('COMMIT');
$session->quit;
verified('afterwards');
my ($archive) = glob "$notes/*.checkpoints";
is(join(' ', (slurp_file($archive) =~ /^phi_guard\S*\n(\d+)\n/gm)), query("SELECT string_agg(tree_size::text, ' ' ORDER BY tree_size) FROM phi_audit.checkpoint"),
	'the archive has every checkpoint');
chmod 0500, $notes;
ask($node, 'clinician', $insert);
like((refused($node, '', 'SELECT phi.audit_seal()'))[0], qr/could not open checkpoint file/, 'a directory that cannot be written: no seal');
chmod 0700, $notes;
query('SELECT phi.audit_seal()');
verified('a directory that can be again');
rename $archive, "$archive.aside" and mkdir $archive or die $!;
ask($node, 'clinician', $insert);
is(ask($node, '', 'SELECT phi.audit_seal()'), 1, 'only the archive cannot be written: sealed');
like(log_since($node), qr/WARNING:  could not open checkpoint file/, 'with a warning');
rmdir $archive and rename "$archive.aside", $archive or die $!;
verified('without the archive');
wait_for_setting($node, 'phi.audit_seal_interval', '20ms');

my %bad = map { $_ => [] } 'clients', 'changes', 'disclosures', 'the log', 'the whole log', 'event ids', 'checkpoints', 'transactions left prepared';
my ($round, $changes, $reads, $crashes, $slowest) = (0, 0, 0, 0, 0);
my ($size, $last_note) = (0, '');

sub complain
{
	my ($what, $text) = @_;

	push @{ $bad{$what} }, "round $round: $text";
	return;
}

# Transactions of a script that pgbench saw to their end.
sub processed
{
	my ($pgbench, $name) = @_;
	return $pgbench =~ /SQL script \d+: \S*\/\Q$name\E\.sql\n - weight: .*\n - (\d+) transactions/ ? $1 : 0;
}

# Changes of the rows that are newer than a key, against the events since.
sub check_changes
{
	my ($key, $since) = @_;
	my ($wrong, $counted) = split /\|/, query(qq{
		SET row_security = off; SET enable_mergejoin = off;
		SELECT count(*) FILTER (WHERE (r.inserted = e.inserted AND r.updated = e.updated AND r.deleted = e.deleted) IS NOT TRUE), sum(e.inserted + e.updated + e.deleted)
		FROM (SELECT id, 1 AS inserted, version AS updated, 0 AS deleted FROM ledger WHERE id > $key
			UNION ALL SELECT id, 1, version, 1 FROM gone WHERE id > $key) r
		FULL JOIN (SELECT key::bigint AS id, count(*) FILTER (WHERE action = 'insert') AS inserted,
			count(*) FILTER (WHERE action = 'update') AS updated, count(*) FILTER (WHERE action = 'delete') AS deleted
			FROM phi_audit.event, unnest(row_keys) key WHERE recorded_at > '$since' AND relation = 'public.ledger' AND action <> 'disclose' GROUP BY 1) e
		USING (id)});

	complain('changes', "$wrong rows") if $wrong ne '0';
	return $counted || 0;
}

sub check_log
{
	my ($since) = @_;
	my $verdict = query("SELECT phi.audit_seal() \\g /dev/null\nSELECT ok, unsealed, problem FROM phi.audit_verify($size)");

	complain('the log', $verdict) if $verdict ne 't|0|';
	if ($round % $whole == 0 || $round == $rounds)
	{
		$verdict = query('SELECT ok, unsealed, problem FROM phi.audit_verify()');
		complain('the whole log', $verdict) if $verdict ne 't|0|';
	}
	my $ids = query(qq{SELECT count(*) = count(DISTINCT e.event_id) AND count(*) = count(l.event_id)
		FROM phi_audit.event e LEFT JOIN phi_audit.leaf l USING (event_id) WHERE e.recorded_at > '$since'});
	complain('event ids', 'not each once in events and leaves') if $ids ne 't';

	# The checkpoint of the last round is still the same, and its tree is a beginning of today's.
	complain('checkpoints', 'the last one changed') if $size > 0
	  && query("SELECT md5(note) FROM phi_audit.checkpoint WHERE tree_size = $size") ne $last_note;
	my ($now, $note) = split /\|/, query('SELECT tree_size, md5(note) FROM phi_audit.checkpoint ORDER BY tree_size DESC LIMIT 1');
	complain('checkpoints', 'no proof of consistency') if $size > 0 && $now > $size && query("SELECT length(phi.audit_consistency($size, $now)) > 0") ne 't';
	complain('checkpoints', 'the tree shrank') if $now < $size;
	($size, $last_note) = ($now, $note);
	return;
}

my $begun = time;
while ($round < $rounds)
{
	my $started = time;
	my $killed = ++$round % 10 == 5 ? 'postmaster' : $round % 10 == 0 ? 'backend' : '';
	my $since = query('SELECT clock_timestamp()');
	my $key = query("SELECT max(k) - 1 FROM (SELECT nextval('keys') AS k FROM generate_series(1, 2)) AS two");
	my $base = (split /\n/, ask($node, 'clinician', "INSERT INTO ledger (name) SELECT 'hot' FROM generate_series(1, $hot) RETURNING id"))[0];
	my $log = -s $node->logfile;
	my @load = (begin_client('pgbench', '', 'pgbench', '-n', '-c', $clients, '-j', 2, '-t', $transactions, '-D', "base=$base", '-U', 'clinician',
			@files, '-d', 'postgres'),
		begin_client('failing', $failing x 3, 'psql', '-XAtq', '-U', 'clinician', '-d', 'postgres'),
		begin_client('verifier', "SELECT problem FROM phi.audit_verify($size) WHERE NOT ok;\n" x 3, 'psql', '-XAtq', '-U', 'auditor', '-d', 'postgres'));

	if ($killed ne '')
	{
		my $until = time + 0.1 + rand(0.6);

		do { $_->{process}->pumpable and $_->{process}->pump_nb foreach @load; usleep(2_000) } while time < $until;
		$crashes++;
		$killed eq 'postmaster' ? crash() : kill_backend($log);
	}
	eval { $_->{process}->finish } foreach @load;
	my ($bench, undef, $verifier) = @load;
	if ($killed ne '')
	{
		$killed eq 'postmaster' ? start_again() : wait_for_server();
		foreach my $left (split /\n/, query('SELECT gid FROM pg_prepared_xacts'))
		{
			query((rand() < 0.5 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$left'");
		}
	}
	else
	{
		complain('clients', $1) if $bench->{err} =~ /(.*(?:aborted in|ERROR|FATAL|PANIC).*)/;
		complain('transactions left prepared', query('SELECT count(*) FROM pg_prepared_xacts')) if query('SELECT count(*) FROM pg_prepared_xacts') ne '0';
	}
	complain('the log', "while it was written: $verifier->{out}") if $verifier->{out} ne '';
	complain('clients', $1) if $verifier->{err} =~ /(ERROR:.*)/;

	my $read = 0;
	$read += processed($bench->{out}, $_) foreach qw(read read_undone read_only);
	my $disclosed = query("SELECT count(*) FROM phi_audit.event WHERE recorded_at > '$since' AND action = 'disclose'");
	complain('disclosures', "$disclosed events for $read reads") if $killed eq '' ? $disclosed != $read : $disclosed < $read;
	$changes += check_changes($key, $since);
	$reads += $read;
	check_log($since);
	my $took = time - $started;
	$slowest = $took if $took > $slowest;
	note(sprintf 'round %d%s: %.2f s', $round, $killed eq '' ? '' : ", $killed killed", $took);
}
note(sprintf '%d rounds in %.0f s (%.2f s each, %.1f s the slowest), %d crashes, %d changes, %d reads, %d events', $round, time - $begun,
	(time - $begun) / $round, $slowest, $crashes, $changes, $reads, query('SELECT count(*) FROM phi_audit.event'));
is(join("\n", @{ $bad{$_} }), '', "after every round: no trouble with $_") foreach sort keys %bad;
cmp_ok($changes, '>', $round * $clients, 'there were changes');
cmp_ok($reads, '>', $round * $clients / 4, 'and reads');
unlike(log_since($node), qr/PANIC|TRAP|invalid page|could not be recorded/, 'nothing bad in the log of the server');
$node->stop;

done_testing();
