#!/usr/bin/env perl
# generate.pl [--patients N] [--seed N] FOLDER
#
# Writes CSV files shaped as Synthea's (patients, organizations, providers, encounters, conditions,
# medications, observations) about invented people: the same files for the same seed.  Names carry
# digits and SSNs begin with 999, as Synthea's do, so that nobody can be meant.
#
# The first patients are the cases that a demonstration needs: an age over 89, a child, the deceased,
# names with an apostrophe, quotes and letters beyond ASCII, ZIP areas that Safe Harbor restricts,
# diagnoses with labels of their own (substance use, HIV, psychiatry), hardly any data at all.

use strict;
use warnings;
use utf8;
use Getopt::Long;
use POSIX qw(strftime);
use Time::Local qw(timegm);

my ($patients, $seed) = (40, 2025);
GetOptions('patients=i' => \$patients, 'seed=i' => \$seed) && @ARGV == 1 && $patients > 0
  or die "usage: generate.pl [--patients N] [--seed N] FOLDER\n";
my $folder = shift;
-d $folder or mkdir $folder or die "could not create $folder: $!\n";
srand($seed);

use constant DAY => 86400;
my $today = timegm(0, 0, 12, 1, 0, 2025);

my %first = (
	F => [qw(Adele Beatriz Chloë Dagny Eun-ji Fatou Greta Hanna Inés Jana Keisha Lucía Mei Noor Renée Zofia)],
	M => [qw(Anton Björn Carlos Dmitri Emeka François Hiro Ivo Jesús Kofi Łukasz Mateo Nils Omar Pavel Søren)]);
my @last = ("O'Kane", "D'Amico", 'Nuñez', 'Müller', 'Ångström', 'Šimek', 'van der Berg', 'Saint-Clair',
	qw(Abbas Brandt Castillo Delgado Eze Fontaine Haddad Ito Jansen Kowal Lindqvist Mensah Novak Okoro Petrov Rossi Silva Tran Weiss));
my @streets = qw(Alder Birch Cedar Dogwood Elm Fern Grove Hazel Juniper Laurel Maple Poplar);
my @ways = qw(Street Avenue Lane Court Crossroad Terrace);

# City, state, two-letter state, county, ZIP, latitude, longitude.  03601 and 05901 are in areas
# of at most 20,000 people.
my @places = (
	['Boston', 'Massachusetts', 'MA', 'Suffolk County', '02108', 42.357, -71.064],
	['Cambridge', 'Massachusetts', 'MA', 'Middlesex County', '02139', 42.365, -71.104],
	['Worcester', 'Massachusetts', 'MA', 'Worcester County', '01608', 42.262, -71.801],
	['Springfield', 'Massachusetts', 'MA', 'Hampden County', '01103', 42.103, -72.589],
	['Pittsfield', 'Massachusetts', 'MA', 'Berkshire County', '01201', 42.450, -73.261],
	['Plymouth', 'Massachusetts', 'MA', 'Plymouth County', '', 41.958, -70.667],
	['Acworth', 'New Hampshire', 'NH', 'Sullivan County', '03601', 43.218, -72.292],
	['Averill', 'Vermont', 'VT', 'Essex County', '05901', 44.988, -71.714]);

# Condition: SNOMED CT code, words, RxNorm code and words of its medication, price, lowest age.
my %conditions = (
	hypertension => ['59621000', 'Hypertension', '314076', 'lisinopril 10 MG Oral Tablet', 0.12, 35],
	lipids => ['55822004', 'Hyperlipidemia', '314231', 'Simvastatin 10 MG Oral Tablet', 0.24, 40],
	heart => ['53741008', 'Coronary Heart Disease', '309362', 'Clopidogrel 75 MG Oral Tablet', 3.10, 55],
	prediabetes => ['15777000', 'Prediabetes', '', '', 0, 30],
	anemia => ['271737000', 'Anemia (disorder)', '310325', 'ferrous sulfate 325 MG Oral Tablet', 0.05, 0],
	sinusitis => ['444814009', 'Viral sinusitis (disorder)', '313782', 'Acetaminophen 325 MG Oral Tablet', 0.16, 0],
	asthma => ['195967001', 'Asthma', '2123111', 'NDA020503 200 ACTUAT Albuterol 0.09 MG/ACTUAT Metered Dose Inhaler', 43.03, 2],
	pregnancy => ['72892002', 'Normal pregnancy', '', '', 0, 18],
	opioids => ['75544000', 'Opioid dependence (disorder)', '', '', 0, 18],
	alcohol => ['7200002', 'Alcoholism', '', '', 0, 18],
	hiv => ['86406008', 'Human immunodeficiency virus infection (disorder)', '', '', 0, 18],
	depression => ['370143000', 'Major depressive disorder (disorder)', '312941', 'Sertraline 50 MG Oral Tablet', 0.31, 14]);
my @common = qw(hypertension lipids heart prediabetes anemia sinusitis asthma);

# The cases, one for each of the first patients; what a case leaves out is drawn.
my @cases = (
	{ age => 95, sex => 'F', place => 1, conditions => [qw(hypertension heart)] },
	{ age => 7, sex => 'M', place => 0, conditions => [qw(asthma)] },
	{ age => 81, sex => 'M', died => 3, conditions => [qw(hypertension lipids heart)] },
	{ sex => 'F', age => 44, last => "O'Kane", conditions => [qw(opioids)] },
	{ sex => 'M', age => 37, first => 'Søren', last => 'Ångström', conditions => [qw(hiv)] },
	{ sex => 'F', age => 29, first => 'Renée "Ren"', last => 'Saint-Clair', conditions => [qw(depression pregnancy)] },
	{ sex => 'M', age => 62, place => 6, conditions => [qw(alcohol hypertension)] },
	{ sex => 'F', age => 90, place => 7 },
	{ sex => 'F', age => 33, first => '美玲', last => '陳', place => 0 },
	{ sex => 'M', age => 52, bare => 1, conditions => [] },
	{ age => 0, sex => 'F', conditions => [] },
	{ age => 93, sex => 'M', died => 1, place => 4 });

sub number { my ($from, $to) = @_; return $from + int rand($to - $from + 1); }
sub chance { return rand() < shift; }
sub one { return $_[int rand @_]; }
sub uuid
{
	return sprintf '%04x%04x-%04x-4%03x-%04x-%04x%04x%04x', (map { int rand 65536 } 1 .. 3), int rand 4096,
	  32768 + int rand 16384, map { int rand 65536 } 1 .. 3;
}
sub date { return strftime('%Y-%m-%d', gmtime shift); }
sub moment { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime shift); }
sub money { return sprintf '%.2f', shift; }
sub synthetic { my ($name, $digits) = (shift, number(10, 999)); return $name =~ s/(?= "|$)/$digits/r; }

# Opens FOLDER/name.csv and writes its header; returns what writes a row.
sub table
{
	my ($name, $header) = @_;
	my $path = "$folder/$name.csv";
	open my $out, '>:encoding(UTF-8)', $path or die "could not write $path: $!\n";
	print $out "$header\n";
	return sub {
		my $row = join ',', map { /[",\n]/ ? '"' . s/"/""/gr . '"' : $_ } @_;
		print $out "$row\n" or die "could not write $path: $!\n";
	};
}

my $patient = table('patients', 'Id,BIRTHDATE,DEATHDATE,SSN,DRIVERS,PASSPORT,PREFIX,FIRST,LAST,SUFFIX,MAIDEN,MARITAL,RACE,ETHNICITY,GENDER,BIRTHPLACE,ADDRESS,CITY,STATE,COUNTY,ZIP,LAT,LON,HEALTHCARE_EXPENSES,HEALTHCARE_COVERAGE');
my $organization = table('organizations', 'Id,NAME,ADDRESS,CITY,STATE,ZIP,LAT,LON,PHONE,REVENUE,UTILIZATION');
my $provider = table('providers', 'Id,ORGANIZATION,NAME,GENDER,SPECIALITY,ADDRESS,CITY,STATE,ZIP,LAT,LON,UTILIZATION');
my $encounter = table('encounters', 'Id,START,STOP,PATIENT,ORGANIZATION,PROVIDER,PAYER,ENCOUNTERCLASS,CODE,DESCRIPTION,BASE_ENCOUNTER_COST,TOTAL_CLAIM_COST,PAYER_COVERAGE,REASONCODE,REASONDESCRIPTION');
my $condition = table('conditions', 'START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION');
my $medication = table('medications', 'START,STOP,PATIENT,PAYER,ENCOUNTER,CODE,DESCRIPTION,BASE_COST,PAYER_COVERAGE,DISPENSES,TOTALCOST,REASONCODE,REASONDESCRIPTION');
my $observation = table('observations', 'DATE,PATIENT,ENCOUNTER,CATEGORY,CODE,DESCRIPTION,VALUE,UNITS,TYPE');

# Organizations with two providers each.
my @staff;
for my $place (@places[0 .. 4])
{
	my ($id, @where) = (uuid(), number(1, 400) . ' HOSPITAL ROAD', uc $place->[0], @$place[2, 4 .. 6]);
	$organization->($id, uc "$place->[0] invented hospital", @where, '999555' . sprintf('%04d', number(0, 9999)),
		'0.0', number(5, 200));
	for my $speciality ('GENERAL PRACTICE', one('CARDIOLOGY', 'PSYCHIATRY', 'INTERNAL MEDICINE'))
	{
		my ($doctor, $sex) = (uuid(), one('F', 'M'));
		push @staff, [$id, $doctor];
		$provider->($doctor, $id, synthetic(one(@{ $first{$sex} })) . ' ' . synthetic(one(@last)), $sex,
			$speciality, @where, number(5, 200));
	}
}
my @payers = map { uuid() } 1 .. 3;

# Writes an encounter and returns its id.
sub visit
{
	my ($person, $start, $class, $code, $words, @reason) = @_;
	my ($id, $cost) = (uuid(), number(80, 900));
	$encounter->($id, moment($start), moment($start + 60 * number(15, 60)), $person->{id}, @{ $person->{doctor} },
		$person->{payer}, $class, $code, $words, money(77.49), money($cost), money($cost * one(0, 0.5, 0.8)),
		@reason ? @reason : ('', ''));
	return $id;
}

# Writes the vital signs of a visit.
sub vitals
{
	my ($person, $start, $id) = @_;
	my $age = ($start - $person->{born}) / (365.25 * DAY);
	my $height = $age < 18 ? 50 + $age * 6.7 : $person->{height};
	my $weight = $height**2 / 10000 * $person->{bmi};
	my $high = $person->{sick}{hypertension} ? number(135, 160) : number(105, 130);
	my @signs = (
		['8302-2', 'Body Height', sprintf('%.1f', $height), 'cm'],
		['29463-7', 'Body Weight', sprintf('%.1f', $weight), 'kg'],
		['39156-5', 'Body Mass Index', sprintf('%.1f', $person->{bmi}), 'kg/m2'],
		['8480-6', 'Systolic Blood Pressure', "$high.0", 'mm[Hg]'],
		['8462-4', 'Diastolic Blood Pressure', number(65, 90) . '.0', 'mm[Hg]'],
		['8867-4', 'Heart rate', number(60, 95) . '.0', '/min']);
	$observation->(moment($start), $person->{id}, $id, 'vital-signs', @$_, 'numeric') for @signs;
	$observation->(moment($start), $person->{id}, $id, 'survey', '72166-2', 'Tobacco smoking status NHIS',
		$person->{smoker}, '', 'text') if $age >= 14;
	$observation->(moment($start), $person->{id}, $id, 'laboratory', '4548-4', 'Hemoglobin A1c/Hemoglobin.total in Blood',
		sprintf('%.1f', 4.8 + rand(1.6)), '%', 'numeric') if $age >= 40 && chance(0.5);
}

# Writes one condition from its first visit on, with its medication where it has one.
sub illness
{
	my ($person, $name) = @_;
	my ($code, $words, $drug, $drug_words, $price, $lowest) = @{ $conditions{$name} };
	my $earliest = $person->{born} + $lowest * 365.25 * DAY;
	$earliest = $person->{end} - 3000 * DAY if $person->{end} - $earliest > 3000 * DAY;
	my $room = int(($person->{end} - $earliest) / DAY) - 60;
	return if $room < 1;
	my $start = int($earliest) + number(1, $room) * DAY;
	my $over = $name eq 'sinusitis' ? 21 : $name eq 'pregnancy' ? 40 : 0;
	my $id = visit($person, $start, 'ambulatory', '185347001', 'Encounter for problem', $code, $words);
	$condition->(date($start), $over ? date($start + $over * DAY) : '', $person->{id}, $id, $code, $words);
	vitals($person, $start, $id);
	return unless $drug;
	my $count = $over || number(30, 60);
	$medication->(moment($start), $over ? moment($start + $over * DAY) : '', $person->{id}, $person->{payer}, $id,
		$drug, $drug_words, money($price), '0.00', $count, money($price * $count), $code, $words);
}

for my $index (0 .. $patients - 1)
{
	my $case = $cases[$index] || {};
	my $sex = $case->{sex} || one('F', 'M');
	my $age = $case->{age} // one(number(0, 17), number(18, 49), number(18, 64), number(50, 88));
	my $place = $places[$case->{place} // number(0, $#places)];
	my $adult = $age >= 18;
	my $married = $adult && $age > 24 && chance(0.5);
	my %person = (
		id => uuid(),
		born => $today - int(($age + 0.1 + rand(0.8)) * 365.25) * DAY,
		doctor => one(@staff),
		payer => one(@payers),
		height => $sex eq 'F' ? number(152, 178) : number(164, 192),
		bmi => $adult ? number(200, 340) / 10 : number(150, 210) / 10,
		smoker => one('Never smoker', 'Never smoker', 'Former smoker', 'Current every day smoker'));
	my $died = $case->{died} // (!%$case && $age > 70 && chance(0.3) ? number(1, 5) : 0);
	$person{end} = $died ? $today - int($died * 300 + number(0, 60)) * DAY : $today;

	my @ill = $case->{conditions} ? @{ $case->{conditions} }
	  : grep { $age > $conditions{$_}[5] && chance(0.3) } @common;
	$person{sick} = { map { $_ => 1 } @ill };

	my $full = !$case->{bare};
	$patient->(
		$person{id}, date($person{born}), $died ? date($person{end}) : '',
		sprintf('999-%02d-%04d', number(10, 99), 1000 + $index * 7919 % 9000),
		$adult && $full ? 'S999' . number(10000, 99999) : '',
		$adult && $full && chance(0.7) ? 'X' . number(10000000, 99999999) . 'X' : '',
		!$adult || !$full ? '' : $sex eq 'M' ? 'Mr.' : $married ? 'Mrs.' : 'Ms.',
		synthetic($case->{first} || one(@{ $first{$sex} })), synthetic($case->{last} || one(@last)),
		$adult && chance(0.05) ? one('PhD', 'MD', 'JD') : '',
		$married && $sex eq 'F' ? synthetic(one(@last)) : '',
		!$adult || !$full ? '' : $married ? 'M' : 'S',
		one('white', 'white', 'white', 'black', 'asian', 'native', 'hawaiian', 'other'),
		one('nonhispanic', 'nonhispanic', 'nonhispanic', 'hispanic'), $sex,
		$full ? one(map { "$_->[0]  $_->[1]  US" } @places) : '',
		$full ? number(1, 1200) . ' ' . one(@streets) . ' ' . one(@ways) . (chance(0.4) ? ', Apt ' . number(1, 99) : '') : '',
		@$place[0, 1, 3, 4], sprintf('%.6f', $place->[5] + rand(0.05)), sprintf('%.6f', $place->[6] + rand(0.05)),
		money($age * number(500, 12000)), money($age * number(10, 1500)));
	next unless $full;

	my $years = $age < 6 ? $age + 1 : 6;
	for my $year (1 .. $years)
	{
		my $start = $person{end} - int(($years - $year + 0.2) * 365 + number(0, 60)) * DAY + number(8, 17) * 3600 - 43200;
		next if $start <= $person{born};
		my $id = visit(\%person, $start, 'wellness',
			$adult ? ('162673000', 'General examination of patient (procedure)') : ('410620009', 'Well child visit (procedure)'));
		vitals(\%person, $start, $id);
	}
	illness(\%person, $_) for @ill;
	visit(\%person, $person{end}, 'wellness', '308646001', 'Death Certification') if $died;
}
