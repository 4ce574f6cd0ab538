# Discovery on real records: the tables of Synthea's sample, every column a text, as an import leaves them.  Every
# identifier of a patient is proposed with its kind; what else is proposed is listed, column by column.

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $data = ($ENV{PHI_SHARED} // '') . '/synthea';

if (!-d $data)
{
	diag("NO REAL RECORD IS TESTED: no folder $data");
	plan skip_all => 'the real records are absent';
}

my $node = phi_node('suggest', conf => "fsync = off\n");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
ask($node, '', 'CREATE SCHEMA synthea AUTHORIZATION hospital; GRANT USAGE ON SCHEMA synthea TO officer');

my @tables = map { m{(\w+)\.csv$} ? $1 : () } sort glob "$data/*.csv";
foreach my $table (@tables)
{
	my $csv = slurp_file("$data/$table.csv");
	my ($header) = $csv =~ /^(.*?)\r?\n/;
	my $columns = join ', ', map { lc } map { qq("$_") } split /,/, $header;
	my $shape = $columns =~ s/(,|$)/ text$1/gr;

	ask($node, 'hospital', "CREATE TABLE synthea.$table ($shape); GRANT SELECT ON synthea.$table TO officer");
	is($node->psql('postgres', "COPY synthea.$table ($columns) FROM stdin (FORMAT csv, HEADER);\n$csv\\.\n",
			extra_params => [ '-U', 'hospital' ]), 0, "$table is read");
}

my %found = map { /^(.*)\|(.*)\|.*$/ ? ($1 => $2) : () } split /\n/,
  ask($node, 'officer', q{SELECT relation::text || '.' || column_name, kind, evidence FROM phi.suggest('synthea'::regnamespace)});

# The identifiers of a patient, the names of columns and the values of texts together; a reference to a person or a
# visit is a number that is unique to them.
my @dated = qw(allergies careplans conditions encounters medications procedures);
my %expected = (
	(map { ("patients.$_->[0]" => $_->[1]) }
		[ id => 'unique_id' ], [ birthdate => 'birth_date' ], [ deathdate => 'death_date' ], [ ssn => 'ssn' ],
		[ drivers => 'license' ], [ passport => 'license' ], (map { [ $_ => 'name' ] } qw(prefix first last suffix maiden)),
		[ birthplace => 'city' ], [ address => 'address' ], [ city => 'city' ], [ state => 'state' ], [ county => 'county' ],
		[ zip => 'zip' ], [ lat => 'geo' ], [ lon => 'geo' ]),
	(map { ("$_.start" => 'service_date') } @dated),
	(map { ("$_.stop" => 'service_date') } grep { $_ ne 'allergies' } @dated), # which has no value in it
	'immunizations.date' => 'service_date', 'observations.date' => 'service_date',
	(map { ("$_.id" => 'unique_id') } qw(careplans encounters)),
	(map { ("$_.patient" => 'unique_id') } @dated, qw(immunizations observations)),
	(map { ("$_.encounter" => 'unique_id') } grep { $_ ne 'encounters' } @dated, qw(immunizations observations)),
);
foreach my $column (sort keys %expected)
{
	is(delete $found{"synthea.$column"}, $expected{$column}, $column);
}

# What is proposed beside: facilities, the people who work there, and who pays.  No code, no cost, no description.
my @beside = ((map { "organizations.$_" } qw(address city id lat lon name phone state zip)),
	(map { "providers.$_" } qw(address city id lat lon name organization state zip)),
	(map { "encounters.$_" } qw(organization payer provider)), 'medications.payer');
is_deeply([ sort keys %found ], [ sort map { "synthea.$_" } @beside ], 'what is proposed beside is of facilities, staff and payers');

done_testing();
