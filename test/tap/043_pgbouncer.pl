# A transaction pooler before the server.  An identity belongs to the login role of the server connection, so
# it never crosses roles; a purpose stays with that connection until it is taken back, so clients of one role that
# take turns on it share it.  What the documentation says about server_reset_query is tried here.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
if (!$pgbouncer)
{
	diag('NO POOLER IS TESTED: there is no pgbouncer (Debian package pgbouncer)');
	plan skip_all => 'there is no pgbouncer';
}

my $node = phi_node('pooled', conf => "fsync = off\n");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
ask($node, 'hospital', <<'SQL');
CREATE TABLE patient (id bigint PRIMARY KEY, name text, born date);
INSERT INTO patient VALUES (1, 'Ada Canary', '1985-12-10'), (2, 'Bob Canary', '1970-01-31');
GRANT SELECT, INSERT, UPDATE ON patient TO clinician, scholar;
SQL
ask($node, 'officer', <<'SQL');
SELECT phi.classify('patient', 'name', 'name'), phi.classify('patient', 'born', 'birth_date');
SELECT phi.protect('patient', subject => 'id');
SQL
ask($node, 'hospital', 'GRANT SELECT ON patient_redacted TO clinician, researcher, scholar, nobody');
ask($node, 'privacy', "SELECT phi.grant_consent(1::bigint, purpose => 'HRESCH')");

# ---- poolers: pooled.ini is as it comes, careful.ini resets after each transaction, one login for all in shared.ini ----

my $folder = $node->basedir;
my @roles = qw(clinician researcher scholar biller nobody officer);
append_to_file("$folder/users", join '', map { qq{"$_" ""\n} } @roles);
my %pooler;

sub start_pooler
{
	my ($name, $database, @lines) = @_;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $host = $node->host;
	my $connect = "host=$host port=" . $node->port . " dbname=postgres $database";

	append_to_file("$folder/$name.ini", join "\n", '[databases]', "postgres = $connect", '[pgbouncer]', 'pool_mode = transaction',
		'default_pool_size = 1', 'auth_type = trust', "auth_file = $folder/users", "unix_socket_dir = $host", 'listen_addr =', "listen_port = $port",
		"logfile = $folder/$name.log", 'query_wait_timeout = 20', 'ignore_startup_parameters = extra_float_digits', @lines, '');
	$pooler{$name} = { port => $port, host => $host };
	$pooler{$name}{process} = IPC::Run::start([ $pgbouncer, '-q', "$folder/$name.ini" ], '<', \undef, '>&', "$folder/$name.out");
	foreach (1 .. 100)
	{
		return if -S "$host/.s.PGSQL.$port";
		select undef, undef, undef, 0.1;
	}
	die "pgbouncer did not start: " . slurp_file("$folder/$name.out");
}

sub stop_poolers
{
	$_->{process}->signal('INT'), $_->{process}->finish foreach values %pooler;
	%pooler = ();
	return;
}

# A client that stays connected: a closure that runs a script and returns its output and errors.
sub client
{
	my ($name, $role) = @_;
	my ($in, $out) = ('', '');
	my $psql = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-U', $role, '-h', $pooler{$name}{host}, '-p', $pooler{$name}{port},
		'postgres' ], '<', \$in, '>', \$out, '2>&1', IPC::Run::timer(60));

	return sub {
		my ($sql) = @_;

		if (!defined $sql)
		{
			$in .= "\\q\n";
			return $psql->finish;
		}
		$out = '';
		$in .= "$sql;\n\\echo over\n";
		$psql->pump until $out =~ s/over\n\z//;
		return $out =~ s/\n\z//r;
	};
}
my $who = "SELECT coalesce(actor, '-'), coalesce(purpose, '-') FROM phi.whoami()";
my $see = 'SELECT * FROM patient_redacted ORDER BY id';
my $backend = 'SELECT pg_backend_pid()';

start_pooler('pooled', '');

# ---- roles do not mix ----

my %client = map { $_ => client('pooled', $_) } qw(clinician researcher nobody);
is($client{clinician}->($who), 'Dr. House|TREAT', 'the clinician is known through the pooler');
is($client{researcher}->($who), 'R. Searcher|HRESCH', 'and the researcher');
is($client{nobody}->($who), '-|-', 'and nobody is nobody');
is(scalar(keys %{ { map { $_->($backend) => 1 } values %client } }), 3, 'each role has its own server connection');
foreach my $round (1 .. 3)
{
	is($client{clinician}->($see), "1|Ada Canary|1985-12-10\n2|Bob Canary|1970-01-31", "round $round: the clinician sees both patients");
	is($client{researcher}->($see), '1||1985-01-01', "round $round: the researcher the one who consented, redacted");
	is($client{nobody}->($see), '', "round $round: nobody nothing");
}
like($client{nobody}->('SET SESSION AUTHORIZATION clinician'), qr/42501/, 'nobody cannot become the clinician');
like($client{nobody}->("SELECT set_config('phi.context', 'x', false)"), qr/42501|42704|22023|55P02/, 'nor bring an identity');
like($client{researcher}->("SELECT phi.set_purpose('TREAT')"), qr/42501/, 'nor the researcher another purpose');
$_->(undef) foreach values %client;

# ---- writes: one transaction, one connection ----

my @writer = map { client('pooled', 'clinician') } 1 .. 2;
is($writer[0]->($backend), $writer[1]->($backend), 'two clients of a role share a server connection');
$writer[0]->("BEGIN; INSERT INTO patient VALUES (3, 'Eve Canary', NULL); ROLLBACK");
$writer[1]->("BEGIN; INSERT INTO patient VALUES (4, 'Ian Canary', '2001-02-03'); COMMIT");
is($writer[0]->('SELECT id, name FROM patient_redacted WHERE id > 2'), '4|Ian Canary', 'what one commits the other sees, what it rolls back not');
$_->(undef) foreach @writer;
is(ask($node, '', q{SELECT actor, purpose, row_keys FROM phi_audit.event WHERE action = 'insert' AND relation = 'public.patient' ORDER BY event_id}),
	'Dr. House|TREAT|{4}', 'with its event');

# ---- the purpose of a session stays with the server connection ----

my ($first, $second) = map { client('pooled', 'scholar') } 1 .. 2;
is($second->($who), 'Prof. Both|-', 'an identity with two purposes states none at first');
$first->("SELECT phi.set_purpose('TREAT')");
is($second->($who), 'Prof. Both|TREAT', 'what one client states the next one of the role has');
is($second->($see), "1|Ada Canary|1985-12-10\n2|Bob Canary|1970-01-31\n4|Ian Canary|2001-02-03", 'and reads for');
$first->("BEGIN; SELECT phi.set_purpose('HRESCH'); $see; COMMIT");
is($second->($who), 'Prof. Both|HRESCH', 'COMMIT does not take it back');
$first->("BEGIN; SELECT phi.set_purpose('TREAT'); ROLLBACK");
is($second->($who), 'Prof. Both|HRESCH', 'ROLLBACK does');
is($first->("BEGIN; SELECT phi.set_purpose('TREAT'); $who; SELECT phi.logout(); COMMIT; $who"), "\nProf. Both|TREAT\n\nProf. Both|-",
	'stated and taken back inside a transaction, nothing stays');
is($second->($who), 'Prof. Both|-', 'for anybody');
$first->("SELECT phi.set_purpose('TREAT')");
$second->('DISCARD ALL');
is($first->($who), 'Prof. Both|-', 'DISCARD ALL forgets it');
$_->(undef) foreach $first, $second;

# ---- a reset after each transaction ----

start_pooler('careful', '', 'server_reset_query = DISCARD ALL', 'server_reset_query_always = 1');
($first, $second) = map { client('careful', 'scholar') } 1 .. 2;
$first->("SELECT phi.set_purpose('TREAT')");
is($second->($who), 'Prof. Both|-', 'with server_reset_query_always the next client has no purpose');
is($first->($who), 'Prof. Both|-', 'nor has the first in its next transaction');
is($first->("BEGIN; SELECT phi.set_purpose('TREAT'); $see; COMMIT"),
	"\n1|Ada Canary|1985-12-10\n2|Bob Canary|1970-01-31\n4|Ian Canary|2001-02-03", 'so it states it in the transaction that reads');
is($second->($see), '', 'and the other one reads nothing');
$_->(undef) foreach $first, $second;

# ---- one database role for every client of the pooler ----

start_pooler('shared', 'user=clinician');
my ($anybody, $other) = (client('shared', 'nobody'), client('shared', 'researcher'));
is($_->($who), 'Dr. House|TREAT', 'with a forced user every client is that one role') foreach $anybody, $other;
$_->(undef) foreach $anybody, $other;

# ---- what changes outside arrives in pooled connections ----

my $clinician = client('pooled', 'clinician');
is($clinician->('SELECT count(*) FROM patient_redacted'), '3', 'a pooled connection');
ask($node, 'privacy', 'SELECT phi.deny_consent(2::bigint)');
is($clinician->('SELECT count(*) FROM patient_redacted'), '2', 'obeys a new denial');
ask($node, 'officer', "SELECT phi.unenroll('clinician')");
is($clinician->($who), '-|-', 'and that the identity was taken away');
is($clinician->($see), '', 'and shows nothing');
$clinician->(undef);

# ---- many clients at once ----

ask($node, 'officer', "SELECT phi.enroll('clinician', 'Dr. House', '{clinician}', '{TREAT}')");
append_to_file("$folder/mix.sql", "\\set n random(10, 100000)\nBEGIN;\nINSERT INTO patient VALUES (:n, 'Mixed ' || :n, NULL) "
	  . "ON CONFLICT (id) DO UPDATE SET name = 'Mixed again ' || excluded.id;\nCOMMIT;\n");
my $port = $pooler{pooled}{port};
$node->command_ok([ 'pgbench', '-n', '-c', 8, '-j', 2, '-t', 50, '-f', "$folder/mix.sql", '-U', 'clinician', '-h', $pooler{pooled}{host}, '-p', $port,
		'postgres' ], 'eight clients write through one connection');
is(ask($node, 'clinician', q{SELECT count(*) FILTER (WHERE name NOT IN ('Mixed ' || id, 'Mixed again ' || id)), count(*) > 300 FROM patient_redacted
	WHERE id > 9}), '0|t', 'every value opens');
ask($node, 'auditor', 'SELECT phi.audit_seal()');
is(ask($node, 'auditor', q{SELECT ok, problem FROM phi.audit_verify()}), 't|', 'and the log is good');
stop_poolers();
unlike(log_since($node), qr/PANIC|TRAP|terminated by signal/, 'the server is well');
$node->stop;

done_testing();

# A test that dies leaves no pooler.
END { stop_poolers() if %pooler }
