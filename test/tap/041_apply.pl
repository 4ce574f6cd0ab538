# What logical replication applies on a subscriber is in the subscriber's log: committed changes, and those alone,
# by row what the publisher's log has of them.

use strict;
use warnings;
BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} //= 60 }
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $quick = "fsync = off\nlog_statement = none\nwal_retrieve_retry_interval = 200ms\nmax_prepared_transactions = 4\n";
my $publisher = phi_node('publisher', allows_streaming => 'logical', conf => $quick . "logical_decoding_work_mem = 64kB\n");
$publisher->start;
phi_roles($publisher);
phi_install($publisher, 'postgres');
ask($publisher, 'hospital', <<'SQL');
CREATE TABLE patient (id bigint PRIMARY KEY, name text, ssn text, note text, ward text DEFAULT 'A');
CREATE TABLE visit (id bigint, patient bigint, year integer, diagnosis text, PRIMARY KEY (id, year)) PARTITION BY LIST (year);
CREATE TABLE visit_2024 PARTITION OF visit FOR VALUES IN (2024);
CREATE TABLE visit_2025 PARTITION OF visit FOR VALUES IN (2025);
CREATE TABLE remark (patient bigint, words text);
CREATE TABLE inbox (id bigint PRIMARY KEY);
GRANT SELECT, INSERT, UPDATE, DELETE ON patient, visit, visit_2024, remark, inbox TO clinician;
SQL
ask($publisher, 'officer', <<'SQL');
SELECT phi.classify('patient', c, k) FROM (VALUES ('name', 'name'), ('ssn', 'ssn'), ('note', 'free_text'), ('ward', 'none')) AS v (c, k);
SELECT phi.classify('visit', c, k) FROM (VALUES ('year', 'none'), ('diagnosis', 'diagnosis')) AS v (c, k);
SELECT phi.classify('remark', 'words', 'free_text');
SELECT phi.protect('patient', subject => 'id');
SELECT phi.protect('visit', subject => 'patient');
SELECT phi.protect('remark', subject => 'patient');
SQL
$publisher->safe_psql('postgres', 'CREATE PUBLICATION everything FOR TABLE patient, visit, remark, inbox;
	CREATE PUBLICATION by_root FOR TABLE visit WITH (publish_via_partition_root)');
ask($publisher, 'clinician', q{INSERT INTO patient SELECT i, 'Name ' || i FROM generate_series(1, 10) i});

my $dump = $publisher->basedir . '/schema.dump';
$publisher->command_ok([ 'pg_dump', '-Fc', '--no-publications', '--exclude-table-data=public.*', '--exclude-table-data=phi_audit.*',
		'-f', $dump, 'postgres' ], 'a dump of everything but rows and log');
my $subscriber = phi_node('subscriber', kek => 0, conf => $quick . "phi.kek_file = '" . $publisher->basedir . "/kek'\n");
$subscriber->start;
phi_roles($subscriber);
$subscriber->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'postgres', $dump ], 'restored');
ask($subscriber, '', q{SELECT phi.audit_install(); SELECT phi.set_capture('patient', 'row')});
my $run_as_owner = $subscriber->pg_version >= 16 ? ', run_as_owner = true' : '';

sub subscribe
{
	my ($publications, $options) = @_;

	ask($subscriber, '', "CREATE SUBSCRIPTION sub CONNECTION \$c\$" . $publisher->connstr('postgres')
		  . "\$c\$ PUBLICATION $publications WITH ($options$run_as_owner)");
	$subscriber->wait_for_subscription_sync($publisher, 'sub', 'postgres');
	return;
}

# The rows in a log's events after one, as both servers should have them: action, table, key, subject, columns, digest.
my %seen = (publisher => 0, subscriber => 0);
sub recorded
{
	my ($node, $tables) = @_;

	return ask($node, '', "SELECT e.action, e.relation, r.key, r.subject, e.columns, e.detail, substring(e.row_digests FROM 32 * r.n::integer - 31 FOR 32)
		FROM phi_audit.event e, unnest(coalesce(e.row_keys, array_fill(NULL::text, ARRAY[e.row_count])), e.subjects) WITH ORDINALITY r (key, subject, n)
		WHERE e.event_id > " . $seen{ $node->name } . " AND e.action IN ('insert', 'update', 'delete') AND e.relation ~ '$tables'
		ORDER BY e.event_id, r.n");
}

# "action rows" of the subscriber's events of a table.
sub events
{
	my ($table) = @_;

	return ask($subscriber, '', "SELECT e.action || ' ' || e.row_count FROM phi_audit.event e WHERE e.event_id > $seen{subscriber}
		AND e.action IN ('insert', 'update', 'delete') AND e.relation ~ '$table' ORDER BY e.event_id") =~ s/\n/, /gr;
}

sub look_from_here
{
	$seen{ $_->name } = ask($_, '', 'SELECT coalesce(max(event_id), 0) FROM phi_audit.event') foreach $publisher, $subscriber;
	return;
}

# Has a script run by the clinician on the publisher, and applied.
sub apply
{
	my ($sql) = @_;

	look_from_here();
	ask($publisher, 'clinician', $sql);
	$publisher->wait_for_catchup('sub');
	return;
}

# ---- the initial copy is a COPY, and recorded as one ----

look_from_here();
subscribe('everything', 'binary = false');
is(events('patient'), 'insert 10', 'the initial copy: one event, of the COPY');
is(ask($subscriber, '', "SELECT DISTINCT actor, db_role = current_user FROM phi_audit.event WHERE action = 'insert' AND relation = 'public.patient'"),
	'subscription sub|t', 'its actor is the subscription');

# ---- what is applied is recorded, as on the publisher ----

sub applied_as_recorded
{
	my ($mode) = @_;

	foreach my $case (
		[ 'INSERT', q{INSERT INTO patient SELECT i, 'Name ' || i, '987-65-' || i FROM generate_series(1001, 1020) i} ],
		[ 'INSERT of long values', q{INSERT INTO patient SELECT i, 'Name', NULL, repeat(md5(i::text), 500) FROM generate_series(1021, 1022) i} ],
		[ 'UPDATE', q{UPDATE patient SET ward = 'B', name = 'New' WHERE id BETWEEN 1001 AND 1005} ],
		[ 'UPDATE beside long values', q{UPDATE patient SET ward = 'B' WHERE id = 1021} ],
		[ 'UPDATE of a long value', q{UPDATE patient SET note = repeat('x', 20000) WHERE id = 1021} ],
		[ 'UPDATE of a key', 'UPDATE patient SET id = 2006 WHERE id = 1006' ],
		[ 'DELETE', 'DELETE FROM patient WHERE id > 1015' ],
		[ 'ON CONFLICT', q{INSERT INTO patient (id, name) VALUES (1001, 'x'), (3001, 'y') ON CONFLICT (id) DO UPDATE SET name = excluded.name} ],
		[ 'one row, three times', q{BEGIN; INSERT INTO patient (id) VALUES (4000); DELETE FROM patient WHERE id = 4000; INSERT INTO patient (id) VALUES (4000); COMMIT} ],
		[ 'a table without a key', q{INSERT INTO remark VALUES (1, 'one'), (2, 'two')} ],
		[ 'a partition', q{INSERT INTO visit_2024 VALUES (1, 1, 2024, 'flu'), (2, 1, 2024, NULL)} ],
		[ 'savepoints', q{BEGIN; INSERT INTO patient (id) VALUES (5001); SAVEPOINT a; INSERT INTO patient (id) VALUES (5002);
			ROLLBACK TO a; INSERT INTO patient (id) VALUES (5003); SAVEPOINT b; INSERT INTO patient (id) VALUES (5004); RELEASE b; COMMIT} ],
		[ 'ROLLBACK', 'BEGIN; DELETE FROM patient; ROLLBACK' ])
	{
		my ($what, $sql) = @$case;

		apply($sql);
		my %rows = map { $_->name => [ sort split /\n/, recorded($_, 'patient|remark|visit_') ] } $publisher, $subscriber;
		is_deeply($rows{subscriber}, $rows{publisher}, "$mode: $what: the same rows, digests and subjects");
		is(scalar @{ $rows{subscriber} } > 0, $what ne 'ROLLBACK', "$mode: $what: as many as there are");
	}
	ask($publisher, 'clinician', 'DELETE FROM patient WHERE id > 10; DELETE FROM visit');
	$publisher->wait_for_catchup('sub');
	return;
}

applied_as_recorded('text');

apply(q{INSERT INTO visit SELECT i, i, 2024 + i % 2, 'd' || i FROM generate_series(1, 100) i});
is(events('visit_2024') . '; ' . events('visit_2025'), 'insert 50; insert 50', 'rows of two partitions in turn: an event for each');
apply(q{UPDATE visit SET year = 2025 WHERE id = 2});
is(events('visit'), 'delete 1, insert 1', 'a row that moves to another partition');
apply(q{INSERT INTO patient (id, name) SELECT i, 'Many' FROM generate_series(10001, 12500) i});
is(events('patient'), 'insert 1000, insert 1000, insert 500', 'up to 1,000 rows an event');
apply('BEGIN; INSERT INTO patient (id) VALUES (6001), (6002); UPDATE patient SET ward = $$C$$ WHERE id IN (6001, 6002); DELETE FROM patient WHERE id = 6001; COMMIT');
is(events('patient'), 'insert 2, update 2, delete 1', 'in their order');
is(ask($subscriber, '', "SELECT count(DISTINCT txid), count(DISTINCT transaction_time) FROM phi_audit.event WHERE event_id > $seen{subscriber} AND relation = 'public.patient'"),
	'1|1', 'in one transaction');
apply('DELETE FROM patient WHERE id > 10');

# ---- images ----

apply(q{INSERT INTO patient (id, name, ssn) VALUES (7001, 'Image', '987-65-7001'); UPDATE patient SET ward = 'B' WHERE id = 7001});
is(ask($subscriber, '', "SELECT count(images) FROM phi_audit.event WHERE event_id > $seen{subscriber} AND relation = 'public.patient'"), 2,
	'capture => row: with their images');
ask($subscriber, 'hospital', 'GRANT SELECT ON patient_redacted TO clinician');
is(ask($subscriber, 'clinician', q{SELECT action, actor, columns, old_row->>'ward', new_row->>'ward', new_row->>'name' FROM phi.history('patient', 7001)}),
	"update|subscription sub|{ward}|A|B|Image\ninsert|subscription sub|||A|Image", 'which phi.history shows');

# ---- who else writes in such a session ----

look_from_here();
ask($subscriber, '', q{SET session_replication_role = replica; SET row_security = off; INSERT INTO patient (id) VALUES (8001); UPDATE patient SET ward = 'Z' WHERE id = 8001;
	DELETE FROM patient WHERE id = 8001});
is(events('patient'), 'insert 1, update 1, delete 1', 'session_replication_role = replica: each change is recorded once');
ask($subscriber, '', <<'SQL');
CREATE FUNCTION forward() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET row_security = off AS $$
BEGIN
	INSERT INTO public.patient (id) VALUES (NEW.id);
	BEGIN
		INSERT INTO public.patient (id) VALUES (NEW.id + 1);
		RAISE EXCEPTION 'no';
	EXCEPTION WHEN raise_exception THEN NULL;
	END;
	RETURN NULL;
END $$;
CREATE TRIGGER forward AFTER INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION forward();
ALTER TABLE inbox ENABLE ALWAYS TRIGGER forward;
SQL
apply('BEGIN; INSERT INTO patient (id) VALUES (8101); INSERT INTO inbox VALUES (8102); INSERT INTO patient (id) VALUES (8104); COMMIT');
is(join(' ', sort map { (split /\|/)[2] } split /\n/, recorded($subscriber, 'patient')), '8101 8102 8104',
	'what a trigger of the subscriber writes there is recorded once, and what it takes back is not');
ask($subscriber, '', 'SET row_security = off; DELETE FROM patient WHERE id = 8102; DROP TRIGGER forward ON inbox');

# ---- changes that cannot be applied ----

sub errors
{
	return ask($subscriber, '', "SELECT apply_error_count FROM pg_stat_subscription_stats WHERE subname = 'sub'");
}

sub wait_for_error
{
	my ($before) = @_;

	$subscriber->poll_query_until('postgres', "SELECT apply_error_count > $before FROM pg_stat_subscription_stats WHERE subname = 'sub'")
	  or die 'apply did not fail';
	return;
}

ask($subscriber, '', 'INSERT INTO patient (id) VALUES (9005)');
look_from_here();
my $failed = errors();
ask($publisher, 'clinician', 'INSERT INTO patient (id) SELECT generate_series(9001, 9010)');
wait_for_error($failed + 1);
is(events('patient'), '', 'a conflict: nothing is applied, nothing is recorded');
ask($subscriber, '', 'SET row_security = off; DELETE FROM patient WHERE id = 9005');
$publisher->wait_for_catchup('sub');
is(events('patient'), 'delete 1, insert 10', 'without it: applied, and recorded once');

$publisher->safe_psql('postgres', 'ALTER TABLE remark DISABLE TRIGGER "~phi_no_truncate"');
look_from_here();
$failed = errors();
my $log = -s $subscriber->logfile;
my $lsn = $publisher->lsn('insert');
$publisher->safe_psql('postgres', 'TRUNCATE remark');
$publisher->safe_psql('postgres', 'ALTER TABLE remark ENABLE ALWAYS TRIGGER "~phi_no_truncate"');
wait_for_error($failed);
like(log_since($subscriber, $log), qr/cannot truncate table "remark"/, 'TRUNCATE is not applied');
my ($finish) = log_since($subscriber, $log) =~ /finished at ([0-9A-F]+\/[0-9A-F]+)/;
ask($subscriber, '', "ALTER SUBSCRIPTION sub SKIP (lsn = '$finish')");
$publisher->wait_for_catchup('sub');

# ---- a subscriber that sees no key ----

$subscriber->stop;
$subscriber->append_conf('postgresql.conf', "phi.kek_file = ''");
$subscriber->start;
ask($subscriber, '', q{UPDATE phi.table_policy SET capture = 'digest'});
apply(q{INSERT INTO patient (id, name) VALUES (9101, 'No key'); UPDATE patient SET name = 'None' WHERE id = 9101});
is_deeply([ split /\n/, recorded($subscriber, 'patient') ], [ split /\n/, recorded($publisher, 'patient') ],
	'rows with sealed values are recorded without a key, subjects too');
$failed = errors();
look_from_here();
ask($publisher, 'clinician', 'INSERT INTO patient (id) VALUES (9102)');
wait_for_error($failed);
is(events('patient'), '', 'a row whose subject nothing tells waits');
wait_for_setting($subscriber, 'phi.kek_file', $publisher->basedir . '/kek');
$publisher->wait_for_catchup('sub');
is(events('patient'), 'insert 1', 'for the key');

# ---- other ways to apply ----

sub again
{
	my ($publications, $options) = @_;

	ask($subscriber, '', 'DROP SUBSCRIPTION sub');
	ask($subscriber, '', 'SET row_security = off; DELETE FROM patient; DELETE FROM visit; DELETE FROM inbox');
	subscribe($publications, $options);
	return;
}

again('everything', 'binary = true, streaming = ' . ($subscriber->pg_version >= 16 ? 'parallel' : 'on') . ', two_phase = true');
applied_as_recorded('binary, streaming');
apply(q{BEGIN; INSERT INTO patient (id, note) SELECT i, repeat(md5(i::text), 100) FROM generate_series(20001, 20200) i;
	SAVEPOINT a; INSERT INTO patient (id, note) SELECT i, repeat(md5(i::text), 100) FROM generate_series(20201, 20400) i; ROLLBACK TO a;
	SAVEPOINT b; UPDATE patient SET ward = 'S' WHERE id > 20100; RELEASE b; DELETE FROM patient WHERE id = 20001; COMMIT});
cmp_ok(ask($publisher, '', 'SELECT stream_count FROM pg_stat_replication_slots'), '>', 0, 'streamed');
is(events('patient'), 'insert 200, update 100, delete 1', 'and recorded without the rows of the savepoint that was rolled back');
apply('BEGIN; INSERT INTO patient (id) VALUES (21001); PREPARE TRANSACTION $$p$$');
is(events('patient'), '', 'prepared: nothing to be seen yet');
ask($publisher, 'clinician', 'COMMIT PREPARED $$p$$');
$publisher->wait_for_catchup('sub');
is(events('patient'), 'insert 1', 'and committed');
apply('BEGIN; INSERT INTO patient (id) VALUES (21002); PREPARE TRANSACTION $$q$$');
ask($publisher, 'clinician', 'ROLLBACK PREPARED $$q$$');
$publisher->wait_for_catchup('sub');
is(events('patient'), '', 'or rolled back');

again('by_root', 'binary = true');
apply(q{INSERT INTO visit SELECT i, i, 2024 + i % 2, 'd' || i FROM generate_series(1001, 1010) i; UPDATE visit SET year = 2025 WHERE id = 1002});
is(events('visit_2024') . '; ' . events('visit_2025'), 'insert 5, delete 1; insert 5, insert 1', 'published as the root: rows are recorded where they are');

# ---- workers that are ended while they apply ----

again('everything', 'binary = true');
look_from_here();
my $rows = ask($subscriber, '', 'SET row_security = off; SELECT count(*) FROM patient');
foreach my $round (1 .. 40)
{
	ask($publisher, 'clinician', join ';', map { my $first = 30000 + $round * 1000 + $_ * 100; "INSERT INTO patient (id) SELECT generate_series($first, $first + 9)" } 0 .. 4);
	ask($subscriber, '', "SELECT pg_terminate_backend(pid) FROM pg_stat_subscription WHERE relid IS NULL AND pid IS NOT NULL") if $round % 4 == 0;
}
$publisher->wait_for_catchup('sub');
is(ask($subscriber, '', "SELECT count(*), sum(row_count) FROM phi_audit.event WHERE event_id > $seen{subscriber} AND action = 'insert' AND relation = 'public.patient'"),
	'200|2000', 'every transaction has its event, once');
is(ask($subscriber, '', 'SET row_security = off; SELECT count(*) FROM patient'), $rows + 2000, 'and its rows');

# ---- the trigger is part of what is protected ----

my $triggers = q{SELECT tgrelid::regclass, tgenabled FROM pg_trigger WHERE tgname = '~phi_audit_apply' ORDER BY 1};
is(ask($publisher, '', $triggers), "patient|R\nvisit_2024|R\nvisit_2025|R\nremark|R", 'every table with rows has it');
like(refused($publisher, 'hospital', 'ALTER TABLE patient DISABLE TRIGGER "~phi_audit_apply"'), qr/^42501/, 'disabling it is refused');
like(refused($publisher, 'hospital', 'ALTER TABLE patient ENABLE TRIGGER "~phi_audit_apply"'), qr/^42501/, 'having it fire for ordinary sessions alone, too');
like(refused($publisher, 'hospital', 'DROP TRIGGER "~phi_audit_apply" ON visit_2024'), qr/^42501/, 'and dropping it');
like(refused($publisher, 'hospital', 'ALTER TRIGGER "~phi_audit_apply" ON visit_2024 RENAME TO other'), qr/^42501/, 'and another name');
ask($publisher, 'hospital', 'CREATE TABLE visit_2026 PARTITION OF visit FOR VALUES IN (2026); CREATE TABLE visit_2027 (LIKE visit);
	ALTER TABLE visit ATTACH PARTITION visit_2027 FOR VALUES IN (2027)');
like(ask($publisher, '', $triggers), qr/visit_2026\|R\nvisit_2027\|R/, 'a partition that is made or attached has it');
ask($publisher, 'officer', q{SELECT phi.unprotect('visit')});
is(ask($publisher, '', $triggers), "patient|R\nremark|R", 'phi.unprotect takes it away');
is(ask($subscriber, '', 'SELECT ok, problem FROM phi.audit_verify()'), 't|', 'in the end the log is good');
$_->stop foreach $publisher, $subscriber;
done_testing();
