# The six example rows of IHE PCF in a protected table, under each of its example directives: a session
# sees the rows that phi.evaluate_consent permits for its references and purpose, and those that it says
# nothing about where the purpose needs no consent (BTG is below TREAT).

use strict;
use warnings;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $data = ($ENV{PHI_SHARED} // '') . '/consent/ihe-pcf';
if (!-r "$data/rows.json")
{
	diag('SKIPPED: no example rows of IHE PCF: PHI_SHARED does not name a folder that has them');
	plan skip_all => 'no example rows of IHE PCF';
}

my $node = phi_node('pcf', conf => "log_statement = none\n");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');

# ---- the rows ----

my $rows = decode_json(slurp_file("$data/rows.json"));
ask($node, '', <<'SQL');
CREATE TABLE row (id text PRIMARY KEY, class text, patient text NOT NULL, labels text[], taken timestamptz, author text,
	encounter text, body text);
SELECT phi.classify('row', 'body', 'lab');
SQL
foreach my $row (@$rows)
{
	my %q = map { $_ => defined $row->{$_} ? "'" . $row->{$_} . "'" : 'NULL' } 'resource', 'class', 'data_time', 'author', 'encounter';
	my $labels = "'{" . join(',', @{ $row->{labels} }) . "}'";
	my $patient = $row->{subject} =~ s/^Patient\///r;
	ask($node, '', "SET TimeZone = 'UTC'; INSERT INTO row VALUES ($q{resource}, $q{class}, '$patient', $labels, $q{data_time}, $q{author}, $q{encounter}, 'body')");
}

# A table holds rows of one resource type: the encounter gets one of its own.
ask($node, '', <<'SQL');
CREATE TABLE visit (LIKE row INCLUDING ALL);
WITH gone AS (DELETE FROM row WHERE class = 'Encounter' RETURNING *) INSERT INTO visit SELECT * FROM gone;
SELECT phi.classify('visit', 'body', 'lab');
SELECT phi.describe('row', 'Observation', data_time => 'taken', author => 'author', encounter => 'encounter', reference => 'id');
SELECT phi.describe('visit', 'Encounter', data_time => 'taken', author => 'author', encounter => 'encounter', reference => 'id');
SELECT phi.protect('row', 'patient', labels => 'labels'), phi.protect('visit', 'patient', labels => 'labels');
GRANT SELECT ON row, visit, row_redacted, visit_redacted TO PUBLIC;
SELECT phi.set_rule(r, p, 'all', 'full') FROM unnest('{practitioner}'::text[]) r, unnest('{TREAT,HPAYMT,HRESCH,BTG,ETREAT}'::text[]) p;
SQL

# ---- the sessions ----

my %session;
foreach my $actor ('ex-practitioner', 'ex-author', 'somebody')
{
	foreach my $purpose ('TREAT', 'HPAYMT', 'HRESCH', 'BTG')
	{
		my $role = lc "pcf_$actor\_$purpose" =~ tr/-/_/r;
		ask($node, '', "CREATE ROLE $role LOGIN; SELECT phi.grant_duty('$role', 'application'),
			phi.enroll('$role', '$actor', '{practitioner}', '{$purpose}', 'ex-organization')");
		$session{$role} = { actors => [ "actor:$actor", 'role:practitioner', 'organization:ex-organization' ], purpose => $purpose };
	}
}

# The instant of each row in UTC.
my %instant = map { $_->{resource} => defined $_->{data_time} ? $node->safe_psql('postgres',
	"SET TimeZone = 'UTC'; SELECT to_char('$_->{data_time}'::timestamptz, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')") : undef } @$rows;

# What the consents say to every session about every row, by role and row.
sub verdicts
{
	my @requests;

	foreach my $role (sort keys %session)
	{
		push @requests, map { "('$role $_->{resource}', '" . encode_json({
			subject => 'Patient/ex-patient', resource => $_->{resource}, class => $_->{class}, labels => $_->{labels},
			author => $_->{author}, encounter => $_->{encounter}, action => 'access', data_time => $instant{ $_->{resource} },
			actors => $session{$role}{actors}, purpose => $session{$role}{purpose} }) . "'::jsonb)" } @$rows;
	}
	return map { split /\|/ } split /\n/, ask($node, '',
		'SELECT name, (phi.evaluate_consent(request)).verdict FROM (VALUES ' . join(',', @requests) . ') AS v (name, request)');
}

# What the session is to see of a row, by the verdict of the consents alone.
sub visible
{
	my ($session, $row, $verdict) = @_;
	my $needs_permit = grep { $_ eq 'ETHUD' } @{ $row->{labels} };

	return $verdict eq 'PERMIT' || ($verdict eq 'NA' && !$needs_permit && $session->{purpose} ne 'HRESCH') ? 1 : 0;
}

my %seen = (permitted => 0, hidden => 0);
foreach my $file (sort glob("$data/consents/*.json"))
{
	my $name = $file =~ s/.*\///r;
	my $directive = encode_json({ %{ decode_json(slurp_file($file)) }, patient => { reference => 'Patient/ex-patient' } }) =~ s/'/''/gr;
	my ($wrong, $asked) = (0, 0);

	ask($node, '', "DELETE FROM phi.consent; SELECT phi.import_consent('$directive')");
	my %verdict = verdicts();
	foreach my $role (sort keys %session)
	{
		my ($got, $revealed) = split /^-$/m, ask($node, $role, q(SELECT id FROM (SELECT id FROM row UNION ALL SELECT id FROM visit) r ORDER BY 1;
			SELECT '-'; SELECT id FROM (SELECT * FROM row_redacted UNION ALL SELECT * FROM visit_redacted) r WHERE body = 'body' ORDER BY 1)), -1;
		my @expected;

		foreach my $row (@$rows)
		{
			my $visible = visible($session{$role}, $row, $verdict{"$role $row->{resource}"});

			push @expected, $row->{resource} if $visible;
			$seen{ $visible ? 'permitted' : 'hidden' }++;
		}
		$asked += 2;
		foreach my $answer ($got, $revealed)
		{
			$answer =~ s/^\n|\n$//g;
			next if $answer eq join("\n", sort @expected);
			$wrong++;
			diag("$name, $role: got " . join(' ', split /\n/, $answer) . ', expected ' . join(' ', sort @expected));
		}
	}
	is($wrong, 0, "$name: $asked answers as its directive says");
}
cmp_ok($seen{permitted}, '>', 100, 'some are permitted');
cmp_ok($seen{hidden}, '>', 100, 'and some are not');

$node->stop;
done_testing();
