# The accounting of disclosures (45 CFR 164.528) of what was really disclosed: reads and releases, one for each rule
# of what is left out; series; six years.

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('accounting', conf => "fsync = off\nphi.open_purposes = on\nphi.audit_reads = off\nlog_statement = none\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION phi_guard CASCADE');
my @purposes = qw(TREAT ETREAT BTG HPAYMT HOPERAT HLEGAL HDIRECT PATRQT FAMRQT PWATRNY PUBHLTH DISASTER HRESCH CLINTRCH HMARKT);

# Patients 1 to 30, one for each case.  One actor for every purpose, and one without an organization.
$node->safe_psql('postgres', q{
	CREATE ROLE reader LOGIN; CREATE ROLE ada LOGIN; CREATE ROLE nobody LOGIN; CREATE ROLE auditor LOGIN;
	CREATE TABLE person (id bigint PRIMARY KEY, name text, zip text, "a full, b" date);
	SELECT phi.classify('person', 'name', 'name'), phi.classify('person', 'zip', 'zip'), phi.classify('person', 'a full, b', 'service_date');
	SELECT phi.protect('person', subject => 'id');
	INSERT INTO person SELECT i, 'Name ' || i, '10001', '2024-05-06' FROM generate_series(1, 40) i;
	GRANT SELECT ON person_redacted, person TO reader, ada, nobody;
	GRANT CREATE ON SCHEMA public TO reader;
	SELECT phi.grant_duty(r::regrole, 'application') FROM unnest('{reader,ada,nobody}'::text[]) r;
	SELECT phi.grant_duty('reader', 'privacy_officer'), phi.grant_duty('auditor', 'auditor');
	SELECT phi.enroll('reader', 'R. Eader', '{any}', '{} ', 'Agency');
} =~ s/\{\} /{@{[ join ',', @purposes ]}}/r . join('', map { "SELECT phi.set_rule('any', '$_', k, 'full') FROM unnest('{name,zip,service_date}'::text[]) k;" } @purposes));
$node->safe_psql('postgres', q{SELECT phi.enroll('ada', 'ada', '{any}', '{PATRQT}'), phi.register_person(9, 'ada')});

# Rows of the accounting of a patient: "recipient|organization|description|purpose|disclosures".
sub accounting
{
	my ($patient, @times) = @_;
	my $times = join '', map { ", $_" } @times;

	return ask($node, 'auditor', "SELECT recipient, recipient_organization, description, purpose, disclosures FROM phi.accounting_of_disclosures('$patient'$times)");
}

sub disclosed
{
	my ($patient) = @_;
	return ask($node, 'auditor', "SELECT count(*) FROM phi.disclosures('$patient') WHERE action = 'disclose'");
}

# ---- what is left out, by purpose ----

my $patient = 10;
foreach my $rule (
	[ 'TREAT', '(a)(1)(i) treatment', 0 ],
	[ 'ETREAT', '(a)(1)(i) emergency treatment', 0 ],
	[ 'HPAYMT', '(a)(1)(i) payment', 0 ],
	[ 'HOPERAT', '(a)(1)(i) operations', 0 ],
	[ 'HDIRECT', '(a)(1)(v) a directory, which is operations to HL7', 0 ],
	[ 'PWATRNY', '(a)(1)(ii) to the individual, by a power of attorney', 0 ],
	[ 'PUBHLTH', 'public health', 1 ],
	[ 'DISASTER', 'disaster relief', 1 ],
	[ 'HRESCH', 'research', 1 ],
	[ 'CLINTRCH', 'a clinical trial', 1 ],
	[ 'HMARKT', 'marketing', undef ])
{
	my ($purpose, $what, $listed) = @$rule;

	$patient++;
	is(ask($node, 'reader', "SELECT phi.set_purpose('$purpose') \\g /dev/null\nSELECT name FROM person_redacted WHERE id = $patient"), "Name $patient", "$what: read");
	is(disclosed($patient), 1, "$what: recorded");
	$listed //= ask($node, '', "SELECT NOT phi.audit_purpose_within('$purpose', 'HOPERAT')") eq 't';
	is(accounting($patient), $listed ? "R. Eader|Agency|public.person: name|$purpose|1" : '', "$what: " . ($listed ? 'listed' : 'left out'));
}
is(ask($node, 'ada', "SELECT phi.set_purpose('PATRQT') \\g /dev/null\nSELECT name FROM person_redacted WHERE id = 9"), 'Name 9', '(a)(1)(ii) to the individual: read');
is(disclosed(9) . accounting(9), '1', 'recorded, and left out');
ask($node, '', q{SELECT phi.set_accounting_exclusion('PUBHLTH', true, 'suspended for an agency: (a)(2)')});
is(accounting(17) . accounting(18), '', 'a purpose that the officer leaves out, with those below it');
ask($node, '', q{SELECT phi.set_accounting_exclusion('PUBHLTH', false); SELECT phi.set_accounting_exclusion('TREAT', false)});
is(accounting(17), 'R. Eader|Agency|public.person: name|PUBHLTH|1', 'and takes in again');
is(accounting(12), 'R. Eader|Agency|public.person: name|ETREAT|1', 'one that is left out by default can be listed');
ask($node, '', q{SELECT phi.set_accounting_exclusion('TREAT', true)});

# ---- what was not disclosed is not listed ----

is(ask($node, 'nobody', 'SELECT count(*) FROM person_redacted WHERE id = 25'), 0, 'somebody without an identity sees nothing');
ask($node, 'reader', "SELECT phi.set_purpose('PUBHLTH') \\g /dev/null\nSELECT id FROM person_redacted WHERE id = 25");
is(accounting(25), '', 'nothing revealed, nothing listed');
ask($node, 'reader', "SELECT phi.set_purpose('PUBHLTH') \\g /dev/null\nBEGIN; SELECT name FROM person_redacted WHERE id = 25; ROLLBACK");
is(accounting(25), 'R. Eader|Agency|public.person: name|PUBHLTH|1', 'a read that was rolled back is');

# ---- a series to one recipient for one purpose is one row ----

ask($node, 'reader', "SELECT phi.set_purpose('PUBHLTH') \\g /dev/null\nSELECT $_ FROM person_redacted WHERE id = 26") foreach 'name', 'name, zip', 'zip';
ask($node, 'reader', "SELECT phi.set_purpose('HRESCH') \\g /dev/null\nSELECT zip FROM person_redacted WHERE id = 26");
is(accounting(26), "R. Eader|Agency|public.person: name, zip|PUBHLTH|3\nR. Eader|Agency|public.person: zip|HRESCH|1", 'by purpose, with the number of disclosures');
is(ask($node, 'auditor', q{SELECT disclosed_at = (SELECT min(recorded_at) FROM phi.disclosures('26') WHERE action = 'disclose' AND purpose = 'PUBHLTH'),
	last_disclosed_at = (SELECT max(recorded_at) FROM phi.disclosures('26') WHERE action = 'disclose' AND purpose = 'PUBHLTH') FROM phi.accounting_of_disclosures('26')}),
	"t|t\nf|", 'the first date, and the last of a series');
is(accounting(26, 'NULL', q{'2020-01-01'}) . accounting(26, q{now() + '1 hour'}), '', 'of the time asked for');
is(accounting(27), '', 'and of the patient');

# ---- releases ----

my $year = "now() + interval '1 year'";
ask($node, '', q{SELECT phi.record_agreement('DUA-1', 'University', now() + interval '2 years')});
$node->safe_psql('postgres', q{SELECT phi.add_view('person', 'limited_person', 'limited', 'University');
	SELECT phi.add_view('person', 'whole_person', 'full', 'University');
	GRANT SELECT ON limited_person, whole_person TO reader});
ask($node, '', 'SET row_security = off; DELETE FROM person WHERE id NOT IN (28, 29)');
ask($node, 'reader', "SELECT phi.set_purpose('HRESCH') \\g /dev/null\nSELECT phi.release('limited_person', 'University', 'HRESCH', 'DUA-1', $year, 'extract_1')");
is(disclosed(28), 1, 'a release is recorded as a disclosure');
is(accounting(28), '', '(a)(1)(viii) a limited data set is left out');
ask($node, 'reader', "SELECT phi.set_purpose('HMARKT') \\g /dev/null\nSELECT phi.release('limited_person', 'University', 'HMARKT', 'DUA-1', $year, 'extract_2')");
is(accounting(28) eq '', ask($node, '', q{SELECT phi.audit_purpose_within('HMARKT', 'HOPERAT')}) eq 't', 'but not for a purpose that has none');
ask($node, '', 'SET row_security = off; DELETE FROM person WHERE id = 28');
ask($node, 'reader', "SELECT phi.set_purpose('HRESCH') \\g /dev/null\nSELECT phi.release('whole_person', 'University', 'HRESCH', 'DUA-1', $year, 'extract_3', detailed => true)");
is(accounting(29) =~ s/^.*HMARKT.*\n?//mr, 'University||public.person: a full, b, name, zip|HRESCH|1', 'more than that is listed, with the recipient of the release');
ask($node, '', q{SET row_security = off; INSERT INTO person VALUES (30, 'Name 30', '10001', '2024-05-06')});
ask($node, 'reader', "SELECT phi.set_purpose('HRESCH') \\g /dev/null\nSELECT zip FROM limited_person WHERE id IS NOT NULL OR true");
is(accounting(30), 'R. Eader|Agency|public.person: zip|HRESCH|1', 'what is read from a view of limited forms is under no agreement, and listed');
foreach my $forms (
	[ 'name limited', 't' ], [ 'name limited, zip safe_harbor; step-up', 't' ], [ '"a full, b" limited', 't' ], [ '"a "" b" limited', 't' ],
	[ 'name full', 'f' ], [ 'name limited, zip full', 'f' ], [ 'zip partial; step-up', 'f' ], [ '"x limited" full', 'f' ], [ 'name unknown', 'f' ], [ '', 'f' ])
{
	is(ask($node, '', "SELECT phi.audit_limited('HRESCH', \$f\$$forms->[0]\$f\$)"), $forms->[1], "forms \"$forms->[0]\": " . ($forms->[1] eq 't' ? 'a limited data set' : 'more'));
}

# ---- six years ----

ask($node, '', <<'SQL');
SET client_min_messages = error;
CREATE TABLE phi_audit.event_y2019m01 PARTITION OF phi_audit.event FOR VALUES FROM ('2019-01-01 00:00Z') TO ('2019-02-01 00:00Z');
CREATE TABLE phi_audit.event_y2022m01 PARTITION OF phi_audit.event FOR VALUES FROM ('2022-01-01 00:00Z') TO ('2022-02-01 00:00Z');
ALTER TABLE phi_audit.event DISABLE TRIGGER USER;
INSERT INTO phi_audit.event (event_id, recorded_at, transaction_time, txid, actor, purpose, action, outcome, relation, columns, row_count, subjects)
	SELECT nextval('phi_audit.event_id_seq'), t, t, '3', 'Old', 'PUBHLTH', 'disclose', 'success', 'public.person', '{name}', 1, ARRAY[phi.audit_subject('31')]
	FROM unnest(ARRAY[timestamptz '2019-01-15 12:00Z', '2022-01-15 12:00Z']) t;
SQL
my $old = ask($node, '', q{SELECT count(*) FILTER (WHERE t > now() - interval '6 years') FROM unnest(ARRAY[timestamptz '2019-01-15 12:00Z', '2022-01-15 12:00Z']) t});
is(accounting(31) =~ s/.*\|//r, $old || '', 'six years are listed');
is(accounting(31, q{'2018-01-01'}), 'Old||public.person: name|PUBHLTH|2', 'unless more is asked for');
$node->stop;
done_testing();
