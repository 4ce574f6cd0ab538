# What the log says of one patient, or of one row, is found without reading the log: in a month that is being
# written, too.  Pages are counted, not seconds.

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('lookup', conf => "fsync = off\nautovacuum = off\nphi.audit_reads = off\nphi.audit_seal_interval = 0\nlog_statement = none\n");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE TABLE person (id bigint PRIMARY KEY, name text);
	SELECT phi.classify('person', 'name', 'name');
	SELECT phi.protect('person', subject => 'id', capture => 'row');
	CREATE ROLE ada LOGIN;
	SELECT phi.enroll('ada', 'ada', '{patient}', '{PATRQT}'), phi.grant_duty('ada', 'application'), phi.set_rule('patient', 'PATRQT', 'name', 'full');
	SELECT phi.register_person(7, 'ada');
});
ask($node, '', 'GRANT SELECT, INSERT, UPDATE ON person TO clinician; GRANT SELECT ON person_redacted TO clinician, ada');

my $month = ask($node, '', q{SELECT to_char(now() AT TIME ZONE 'UTC', '"phi_audit.event_y"YYYY"m"MM')});
is(ask($node, '', "SELECT count(*) FROM pg_index WHERE indrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'phi_audit.event'::regclass)
	AND indexrelid::regclass::text ~ '_(subjects|keys)\$'"), 8, 'every month, the coming ones too, is made with both indexes');

# Other patients' events: a hundred thousand, made with the guards off, and some of more patients.
ask($node, '', <<"SQL");
SET client_min_messages = error;
ALTER TABLE $month DISABLE TRIGGER USER;
INSERT INTO $month (event_id, recorded_at, transaction_time, txid, actor, db_role, purpose, action, outcome, relation, relation_oid, row_count, subjects, row_keys,
		salt, images)
	SELECT nextval('phi_audit.event_id_seq'), now() + n * interval '1 microsecond', now(), '3', 'somebody', 'clinician', 'PUBHLTH', 'disclose', 'success', 'public.person',
		'person'::regclass, 1, ARRAY[hashint8extended(n, 1)], ARRAY[n::text], sha256(n::text::bytea), sha256(n::text::bytea)
	FROM generate_series(1001, 101000) n;
ALTER TABLE $month ENABLE ALWAYS TRIGGER "~phi_log_guard";
ALTER TABLE $month ENABLE ALWAYS TRIGGER "~phi_no_truncate";
SQL
ask($node, '', 'SELECT phi.audit_maintain()');
ask($node, 'clinician', "INSERT INTO person SELECT i, 'Name ' || i FROM generate_series(1, 500) i; UPDATE person SET name = 'New' WHERE id = 7;
	SELECT name FROM person_redacted WHERE id = 7");
my $pages = ask($node, '', "SELECT pg_relation_size('$month') / 8192");
cmp_ok($pages, '>', 2000, "a log of $pages pages");

# Pages of the log that a role's query looks at; the first look fills the caches.
sub touches
{
	my ($role, $query) = @_;
	my $count = q{SELECT sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit + idx_blks_read, 0)) FROM pg_statio_all_tables WHERE schemaname = 'phi_audit'};

	ask($node, $role, $query);
	ask($node, '', 'SELECT pg_stat_force_next_flush()');
	my $before = ask($node, '', $count);
	ask($node, $role, $query);
	ask($node, '', 'SELECT pg_stat_force_next_flush()');
	return ask($node, '', $count) - $before;
}

my @looks = (
	[ 'auditor', q{SELECT count(*) FROM phi.disclosures('7')}, 'phi.disclosures' ],
	[ 'auditor', q{SELECT count(*) FROM phi.accounting_of_disclosures('7')}, 'phi.accounting_of_disclosures' ],
	[ 'ada', 'SELECT count(*) FROM phi.my_disclosures()', 'phi.my_disclosures' ],
	[ 'clinician', q{SELECT count(*) FROM phi.history('person', 7)}, 'phi.history' ]);
my %answer;
foreach my $look (@looks)
{
	my ($role, $query, $what) = @$look;
	my $touched = touches($role, $query);

	cmp_ok($touched, '<', 100, "$what looks at few pages ($touched)");
	$answer{$what} = ask($node, $role, $query);
}
is($answer{'phi.history'}, 2, 'phi.history finds both changes');
like(ask($node, 'auditor', q{SELECT string_agg(action, ',' ORDER BY event_id) FROM phi.disclosures('7') WHERE action IN ('insert', 'update', 'disclose') AND relation = 'public.person'}),
	qr/^insert,update,disclose/, 'phi.disclosures finds what the index had not taken in when it was written');

# What was written since is in lists beside the indexes: a writer appends there, however many rows.
my $taken_in = sub { ask($node, '', "SELECT gin_clean_pending_list('${month}_subjects') > 0, gin_clean_pending_list('${month}_keys') > 0") };
is($taken_in->(), 't|t', 'new events are in a list, until they are taken in');
is($taken_in->(), 'f|f', 'once');
ask($node, 'clinician', "UPDATE person SET name = 'Newer'");
is(ask($node, '', 'SELECT phi.audit_maintain()'), 0, 'phi.audit_maintain has nothing to make');
is($taken_in->(), 'f|f', 'and takes them in');

# A table that is recorded by digest costs nothing in the index of keys.
ask($node, '', q{SELECT phi.set_capture('person', 'digest')});
ask($node, 'clinician', "UPDATE person SET name = 'Newest'");
is($taken_in->(), 't|f', 'keys are indexed where there are images alone');

# A log that an earlier release made.
ask($node, '', "SET client_min_messages = error; DROP INDEX ${month}_subjects, ${month}_keys");
my $slow = touches('auditor', $looks[0][1]);
cmp_ok($slow, '>', $pages, "without the index the log is read ($slow)");
is(ask($node, '', 'SELECT phi.audit_maintain()'), 1, 'phi.audit_maintain makes them');
cmp_ok(touches('auditor', $looks[0][1]), '<', 100, 'for the log of an earlier release');
is(ask($node, 'clinician', $looks[3][1]), 3, 'with what was in it');

# Erased events are found no more.
ask($node, '', 'SELECT phi.audit_seal()');
my $event = ask($node, '', q{SELECT min(event_id) FROM phi.disclosures('7') WHERE action = 'insert'});
ask($node, '', "SELECT phi.audit_erase($event, 'asked')");
is(ask($node, '', "SELECT count(*) FROM phi.disclosures('7') WHERE event_id = $event"), 0, 'an erased event is not found');
$node->stop;
done_testing();
