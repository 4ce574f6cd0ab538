# FHIR consents: the decision cases of IHE PCF and the HL7 R4 examples of the shared data, through
# phi.import_consent and phi.evaluate_consent; what is exported is imported to the same program.

use strict;
use warnings;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $data = ($ENV{PHI_SHARED} // '') . '/consent';
plan skip_all => "the shared data is not there: PHI_SHARED=" . ($ENV{PHI_SHARED} // '') unless -f "$data/ihe-pcf/cases.json";

my $node = phi_node('fhir', conf => "log_statement = none\n");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
ask($node, '', 'SELECT phi.ensure_keys()');
my $json = JSON::PP->new->utf8->canonical->allow_nonref;

sub shared { return $json->decode(slurp_file("$data/$_[0]")); }

# A value as a jsonb literal.
sub literal
{
	my $text = $json->encode($_[0]);

	die 'unexpected dollars' if $text =~ /\$j\$/;
	return "\$j\$$text\$j\$::jsonb";
}

# The statements of one case: forget, import, ask; a line "name|verdict".
sub case_of
{
	my ($name, $consents, $request) = @_;

	return join("\n", 'DELETE FROM phi.consent;',
		(map { "SELECT 'unsupported in $name', i.problem FROM phi.import_consent(" . literal($_) . ') i WHERE i.problem IS NOT NULL;' }
			  @$consents),
		"SELECT '$name', e.verdict FROM phi.evaluate_consent(" . literal($request) . ') e;', '');
}

my %answer;
sub run_cases
{
	my ($sql) = @_;
	my @lines = grep { /\|/ } split /\n/, ask($node, '', "SET client_min_messages = warning;\n$sql");

	%answer = map { split /\|/, $_, 2 } @lines;
	return;
}

# every case of IHE PCF
my $cases = shared('ihe-pcf/cases.json');
my %consent = map { my ($name) = m{([^/]+)$}; ($name => shared("ihe-pcf/consents/$name")) } glob "$data/ihe-pcf/consents/*.json";
run_cases(join '', map { case_of($_->{id}, [ @consent{ @{ $_->{consents} } } ], $_->{request}) } @$cases);
is(scalar @$cases, 221, 'there are 221 cases of IHE PCF');
is_deeply(\%answer, { map { $_->{id} => $_->{expect} } @$cases }, 'all of them are decided as they should be');

# every R4 example, in both modes: what the importer says, and what it then decides
my $examples = shared('r4-examples/expected.json')->{examples};
for my $mode ('default', 'legacy')
{
	my (%expected, $sql);

	for my $example (@$examples)
	{
		my ($file, $want) = ($example->{file}, $example->{$mode});
		my @decisions = @{ $want->{decisions} // [] };

		$expected{$file} = $want->{import} eq 'SUPPORTED' ? 'active/' : "unsupported/$want->{rule}";
		$sql .= "DELETE FROM phi.consent;\nSELECT '$file', i.status || '/' || coalesce(i.problem, '') FROM phi.import_consent("
		  . literal(shared("r4-examples/$file")) . ") i;\n";
		for my $number (0 .. $#decisions)
		{
			$expected{"$file $number"} = $decisions[$number]{expect};
			$sql .= "SELECT '$file $number', e.verdict FROM phi.evaluate_consent(" . literal($decisions[$number]{request}) . ") e;\n";
		}
	}
	run_cases('SET phi.legacy_policy_rules = ' . ($mode eq 'legacy' ? 'on' : 'off') . ";\n$sql");
	is(scalar(grep { !/ \d+$/ } keys %answer), 12, "$mode mode: 12 examples");
	is_deeply(\%answer, \%expected, "$mode mode: reported and decided as they should be");
}

# nothing personal of them is kept, and none of it is in the log
ask($node, '', 'DELETE FROM phi.consent');
ask($node, '', join('', map { 'SELECT phi.import_consent(' . literal(shared("r4-examples/$_->{file}")) . ');' } @$examples));
is(ask($node, '', q{SELECT count(*) FROM phi.consent c LEFT JOIN phi.consent_source s ON s.consent = c.id WHERE concat(c::text, s::text) ~* 'heuvel|lawyer|<div|performer'}), 0, 'names and narrative are not stored');
my $stray = shared('r4-examples/Consent-consent-example-notThem.json');
$stray->{patient} = { display => 'P. van de Heuvel' };
my ($unknown, $all) = refused($node, '', 'SELECT phi.import_consent(' . literal($stray) . ')');
is($unknown, '22023: the resource does not say whose consent it is', 'a consent of nobody is refused');
unlike(slurp_file($node->logfile) . $all =~ s/^LINE .*//mr, qr/Heuvel/, 'and its text is not in the log');

# what is exported compiles to the same program, in both releases; R5 refuses what it cannot say
my %r5 = map { $_ => 1 } qw(ex-dissent-intermediate-break-glass.json);
for my $name (sort keys %consent)
{
	my $same = ask($node, '', 'DELETE FROM phi.consent; CREATE TEMP TABLE first AS SELECT * FROM phi.import_consent(' . literal($consent{$name}) . q{);
		CREATE TEMP TABLE second AS SELECT i.* FROM first, phi.import_consent(phi.export_consent(first.consent)) i;
		SELECT (SELECT program FROM phi.consent JOIN first ON consent = id) = (SELECT program FROM phi.consent JOIN second ON consent = id)});

	like($same, qr/^t$/m, "$name: exported and imported, the program is the same");
	my ($error) = refused($node, '', "SELECT phi.export_consent(max(id), 'R5') FROM phi.consent");
	is($error, $r5{$name} ? '' : '0A000: the consent has no form in FHIR R5', "$name: in R5");
}

done_testing();
