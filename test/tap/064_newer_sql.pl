# What SQL has learned since PostgreSQL 15, on a protected table and its view: MERGE into the view (17), RETURNING of old and
# new rows, and virtual generated columns (18).  The session's forms, its access and the audit log are those of any other statement.

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('newer');
my $major = $node->pg_version->major;

if ($major < 17)
{
	diag("NO SQL OF LATER VERSIONS IS TESTED: this is PostgreSQL $major");
	plan skip_all => "this is PostgreSQL $major";
}
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
ask($node, '', "CREATE ROLE desk LOGIN; SELECT phi.enroll('desk', 'Desk', '{registration}', '{HOPERAT}'), phi.grant_duty('desk', 'application')");
ask($node, 'hospital', <<'SQL');
CREATE TABLE patient (id bigint PRIMARY KEY, name text, ssn text, ward integer);
INSERT INTO patient VALUES (1, 'Ada One', '123-45-6701', 1), (2, 'Bea Two', '123-45-6702', 2), (3, 'Cy Three', '123-45-6703', 3), (4, 'Di Four', '123-45-6704', 4);
SQL
ask($node, 'officer', <<'SQL');
SELECT phi.classify('patient', 'name', 'name'), phi.classify('patient', 'ward', 'none');
SELECT phi.classify('patient', 'ssn', 'ssn', searchable => true);
SELECT phi.protect('patient', subject => 'id');
SQL
ask($node, 'privacy', 'SELECT phi.deny_consent(4::bigint)');
ask($node, 'hospital', 'GRANT SELECT, INSERT, UPDATE, DELETE ON patient, patient_redacted TO clinician, desk');
my $stored = q{SET row_security = off; SELECT string_agg(id || ':' || md5(name::text || ssn::text) || ':' || ward, ' ' ORDER BY id) FROM patient WHERE id IN (%s)};

# What the newest events say, the oldest of them first: action, outcome, keys of rows.
sub events
{
	my ($count) = @_;

	return ask($node, '', qq{SET client_min_messages = error;
		SELECT string_agg(format('%s %s %s', action, outcome, array_to_string(row_keys, ',')), '; ' ORDER BY event_id)
		FROM (SELECT * FROM phi_audit.event WHERE action IN ('insert', 'update', 'delete') ORDER BY event_id DESC LIMIT $count) AS e});
}

# ---- MERGE into the view ----

my $denied = ask($node, '', sprintf $stored, 4);
is(ask($node, 'clinician', q{MERGE INTO patient_redacted p USING (VALUES (1::bigint, 'Ada New'), (4, 'Di New'), (9, 'Ed Nine')) AS v (id, name) ON p.id = v.id
	WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED AND v.id = 9 THEN INSERT (id, name) VALUES (v.id, v.name)
	RETURNING merge_action(), p.id, p.name, p.ssn}), "UPDATE|1|Ada New|123-45-6701\nINSERT|9|Ed Nine|", 'MERGE writes what the session has access to');
is(ask($node, '', sprintf $stored, 4), $denied, 'and no row of a patient who denies it');
is(join('; ', sort split /; /, events(2)), 'insert success 9; update success 1', 'with its events');
like(refused($node, 'clinician', q{MERGE INTO patient_redacted p USING (VALUES (4::bigint, 'Di New')) AS v (id, name) ON p.id = v.id
	WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name)}), qr/^(?:23505|42501): (?!.*Di)/, 'nor a second one in its place');
is(ask($node, 'clinician', q{MERGE INTO patient_redacted p USING (VALUES (9::bigint)) AS v (id) ON p.id = v.id
	WHEN NOT MATCHED BY SOURCE AND p.id >= 3 THEN DELETE WHEN MATCHED THEN DELETE RETURNING merge_action(), p.id, p.name}),
	"DELETE|3|Cy Three\nDELETE|9|Ed Nine", 'rows without a source are those that the session sees');
is(ask($node, '', sprintf $stored, 4), $denied, 'and no others');
my $before = ask($node, '', sprintf $stored, '1, 2');
is(join("\n", sort split /\n/, ask($node, 'desk', q{MERGE INTO patient_redacted p USING patient_redacted q ON p.id = q.id WHEN MATCHED THEN
	UPDATE SET name = q.name, ssn = q.ssn RETURNING merge_action(), p.id, p.ssn})), "UPDATE|1|***-**-6701\nUPDATE|2|***-**-6702", 'MERGE returns the forms of the session');
is(ask($node, '', sprintf $stored, '1, 2'), $before, 'which written back change nothing');
like(refused($node, 'desk', q{MERGE INTO patient_redacted p USING (VALUES (1, '***-**-6701 ')) AS v (id, ssn) ON p.id = v.id WHEN MATCHED THEN UPDATE SET ssn = v.ssn}),
	qr/^2\w{4}: /, 'an edited mask is no value');

# ---- RETURNING of old and new rows; virtual columns ----

SKIP:
{
	skip('NO RETURNING OF OLD ROWS, NO VIRTUAL COLUMN IS TESTED: this is PostgreSQL 17', 1) if $major < 18;

	is(ask($node, 'clinician', q{UPDATE patient_redacted SET name = 'Bea New' WHERE id IN (2, 4) RETURNING old.id, old.name, new.name}), '2|Bea Two|Bea New',
		'RETURNING shows old and new to those who may read both');
	is(ask($node, 'desk', q{UPDATE patient_redacted SET ward = 7 WHERE id = 2 RETURNING old.ssn, new.ssn}), '***-**-6702|***-**-6702', 'in the forms of the session');
	is(ask($node, 'clinician', q{DELETE FROM patient_redacted WHERE id = 4 RETURNING old.name}), '', 'nothing of a patient who denies it');
	like(ask($node, 'clinician', q{UPDATE patient SET name = 'Bea Again' WHERE id = 2 RETURNING old.name, new.name}), qr/^phi:1:[\w-]+\|phi:1:[\w-]+$/, 'of the table, ciphertext');
	is(ask($node, 'clinician', q{UPDATE patient SET ward = 8 WHERE id = 2 RETURNING phi.reveal(old.name, old.id), phi.reveal(new.name, new.id)}), 'Bea Again|Bea Again',
		'that is revealed by the rules');
	is(ask($node, 'desk', q{UPDATE patient SET ward = 9 WHERE id = 2 RETURNING phi.reveal(old.ssn, old.id)}), '***-**-6702', 'of the session');
	like(refused($node, 'clinician', q{UPDATE patient SET ward = 8 WHERE id = 2 RETURNING phi.reveal(old.name, 1::bigint)}), qr/^\w{5}: (?!.*Bea)/, 'with the key of its row');

	ask($node, 'hospital', q{CREATE TABLE shadow (id bigint PRIMARY KEY, name text, loud text GENERATED ALWAYS AS (upper(name)) VIRTUAL)});
	ask($node, 'officer', q{SELECT phi.classify('shadow', 'name', 'name')});
	like(refused($node, 'officer', q{SELECT phi.protect('shadow', subject => 'id')}), qr/^55000: .*generated column: public\.shadow\.loud/, 'a virtual column of an encrypted one is in the way');
	like(refused($node, 'hospital', q{ALTER TABLE patient ADD COLUMN loud text GENERATED ALWAYS AS (phi.reveal(name)) VIRTUAL}), qr/^\w{5}: /, 'none reveals');
}
is(ask($node, 'auditor', 'SELECT ok, problem FROM phi.audit_verify()'), 't|', 'the log is good');
$node->stop;

done_testing();
