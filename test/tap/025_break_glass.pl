# Breaking the glass leaves an event whatever becomes of the transaction: a rollback, a kill -9; access
# begins with the commit, which a crash does not take back; one at a time, however many sessions try;
# relations, rules and unreviewed glass survive a dump and a restore.

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('glass', conf => "phi.break_glass_step_up = off\nsynchronous_commit = off\nrestart_after_crash = on\nlog_statement = none\n");
$node->start;

$node->safe_psql('postgres', q{
	CREATE EXTENSION phi_guard CASCADE;
	CREATE ROLE doctor LOGIN;
	CREATE ROLE second LOGIN;
	SELECT phi.grant_duty('doctor', 'application'), phi.grant_duty('second', 'application');
	SELECT phi.enroll('doctor', 'dr.house', '{doctor}', '{BTG}'), phi.enroll('second', 'dr.house', '{doctor}', '{BTG}');
	SELECT phi.set_rule('doctor', 'TREAT', 'name', 'full'), phi.require_care('doctor', 'TREAT');
	SELECT phi.allow_action('doctor', 'break_glass');
	CREATE TABLE patient (id int PRIMARY KEY, name text);
	SELECT phi.classify('patient', 'name', 'name'), phi.protect('patient', 'id');
	INSERT INTO patient SELECT g, 'Canary' || g FROM generate_series(1, 5) g;
	GRANT SELECT ON patient, patient_redacted TO doctor, second;
});

my $break = q{SELECT phi.break_glass(%d, 'unconscious in the emergency room')};
my $events = q{SELECT count(*) FROM phi_audit.event WHERE action = 'break_glass' AND outcome = 'success'};
my $seen = q{SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), 'none') FROM patient};

# Runs SQL as a role, on whether it fails or not: its output.
sub as
{
	my ($role, $sql) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $role ], on_error_stop => 0);

	unlike($err, qr/Canary|unconscious/, 'no value in an error');
	return $out;
}

sub one { return $node->safe_psql('postgres', shift) }

# A rollback
as('doctor', sprintf("BEGIN; $break; ROLLBACK", 1));
is(one($events), 1, 'the event survives a rollback');
is(one('SELECT count(*) FROM phi.glass'), 0, 'the glass does not');
is(as('doctor', $seen), 'none', 'and nothing was opened');

# An error after it
as('doctor', sprintf("BEGIN; $break; SELECT 1 / 0; COMMIT", 1));
is(one($events), 2, 'the event survives an error');

# Read only, and in a transaction that reads first
like(as('doctor', sprintf("BEGIN READ ONLY; $break; COMMIT", 1)) . one('SELECT count(*) FROM phi.glass'), qr/0$/,
	'no glass in a read only transaction');

# kill -9 between the event and the commit
my $session = $node->background_psql('postgres', extra_params => [ '-U', 'doctor' ]) if $node->can('background_psql');
SKIP:
{
	skip 'no background psql in this PostgreSQL', 3 unless $session;
	my $before = one($events);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');

	$session->query_safe(sprintf("BEGIN; $break", 1));
	is(one($events), $before + 1, 'the event is committed before the transaction is');
	kill 'KILL', $pid;
	$session->{run}->finish;
	$node->poll_query_until('postgres', 'SELECT true') or BAIL_OUT('no recovery');
	is(one($events), $before + 1, 'and there after a kill -9');
	is(one('SELECT count(*) FROM phi.glass'), 0, 'without the glass');
}

# A commit, and a crash: access and review are there, in spite of synchronous_commit = off
my $before = one($events);
as('doctor', sprintf($break, 2));
$node->stop('immediate');
$node->start;
is(one($events), $before + 1, 'an event after a crash');
is(one('SELECT count(*) FROM phi.break_glass_review WHERE waiting'), 1, 'a review that waits after a crash');
is(as('doctor', $seen), '2', 'and the access');
is(as('second', $seen), '2', 'which is the actor\'s, in every session');

# What is then read carries the glass that opened it, and what another ground opens does not
my $glass = one('SELECT id FROM phi.glass');
my $disclosed = q{SELECT reason, break_glass_id, array_length(subjects, 1) FROM phi_audit.event WHERE action = 'disclose' AND event_id > %d ORDER BY reason};
my $mark = one('SELECT max(event_id) FROM phi_audit.event');
is(as('doctor', 'SELECT name FROM patient_redacted'), 'Canary2', 'read under broken glass');
is(one(sprintf($disclosed, $mark)), "break_glass|$glass|1", 'the event has the glass, and the ground');
my $related = one(q{SELECT phi.relate(4, actor => 'dr.house')});
$mark = one('SELECT max(event_id) FROM phi_audit.event');
is(as('doctor', 'SELECT name FROM patient_redacted ORDER BY id'), "Canary2\nCanary4", 'two patients in one statement');
is(one(sprintf($disclosed, $mark)), "break_glass|$glass|1\ndefault_permit||1", 'each with the ground it was read on');
one("SELECT phi.end_relation($related)");
is(one("SELECT count(*) FROM phi.disclosures('2') WHERE action = 'disclose' AND break_glass_id = $glass AND reason = 'break_glass'"), 2,
	'phi.disclosures shows it');
is(one("SELECT count(*) FROM phi.access_report('dr.house') WHERE action = 'disclose' AND break_glass_id = $glass"), 2, 'phi.access_report, too');

# Several at once: the same actor in many sessions, after the review
one("SELECT phi.review_break_glass(id, 'not_justified') FROM phi.glass");
is(as('doctor', $seen), 'none', 'ended by the review');
my @procs;
for my $role ('doctor', 'second', 'doctor', 'second')
{
	my $out = '';
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-U', $role, '-c', sprintf($break, 3) ],
		'>', \$out, '2>', \my $err);
	push @procs, $run;
}
$_->finish for @procs;
is(one('SELECT count(*) FROM phi.glass WHERE reviewed_at IS NULL'), 1, 'one of four at the same time');

# Never the words of a reason in the log: they may tell of the patient
my $log = join "\n", grep { !/Failed process was running/ } split /\n/, slurp_file($node->logfile);
unlike($log, qr/unconscious/, 'no reason in the log, but where the postmaster names what was killed');

# A dump and a restore
one(q{SELECT phi.relate(4, actor => 'dr.house'), phi.add_member('dr.house', group_name => 'team'),
	phi.set_organization('a', 'b'), phi.register_person(5, 'p'), phi.add_proxy(5, 'q', 'spouse'),
	phi.require_step_up(label => 'HIV')});
my @tables = qw(glass care_relationship membership organization person proxy care_rule action_right step_up_rule);
my $state = join ' UNION ALL ', map { "SELECT '$_', count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM phi.$_ t" } @tables;
my $old = one("$state ORDER BY 1");
my $dump = $node->basedir . '/glass.sql';
command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'a dump');
one('CREATE DATABASE copy');
command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('copy'), '-f', $dump ], 'a restore');
is($node->safe_psql('copy', "$state ORDER BY 1"), $old, 'with all relations, rules and glass');
unlike($old, qr/\|0\|/, 'of each there is something');
$node->stop;

done_testing();
