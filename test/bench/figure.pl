#!/usr/bin/env perl
# figure.pl times name ours peer unit goal [rows of ours [rows of the peer]]: one line of a benchmark.
#
# times: lines "label number", one a round; ours and peer are labels in it, peer may be "-".
# unit: ms or tps as measured; us and rows/s: microseconds a row, rows a second, from milliseconds
# and rows; us/call: microseconds a transaction of a single client, from tps; MB/s: megabytes a
# second, with megabytes for rows.
# goal: "<= x" or ">= x" of the ratio ours / peer, without a peer of ours itself; "-" for none.
use strict;
use warnings;

my ($times, $name, $ours, $peer, $unit, $goal, $rows, $peer_rows) = @ARGV;
$peer_rows //= $rows;

my %convert = (
	ms => sub { $_[0] },
	tps => sub { $_[0] },
	'us/call' => sub { 1e6 / $_[0] },
	us => sub { 1000 * $_[0] / $_[1] },
	'rows/s' => sub { 1000 * $_[1] / $_[0] },
	'MB/s' => sub { 1000 * $_[1] / $_[0] });
my $to = $convert{$unit} or die "figure.pl: no unit is called $unit\n";

sub median
{
	my @sorted = sort { $a <=> $b } @_;

	return ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2;
}

# Three digits that mean something.
sub show
{
	my ($number) = @_;

	return sprintf('%.0f', $number) if $number >= 100;
	return sprintf($number >= 10 ? '%.1f' : $number >= 1 ? '%.2f' : '%.3f', $number);
}

my %values;
open my $in, '<', $times or die "$times: $!\n";
while (<$in>)
{
	my ($label, $number) = split;

	push @{$values{$label}}, $number;
}
close $in;
for my $label ($ours, $peer eq '-' ? () : $peer)
{
	die "figure.pl: $name: nothing was measured for $label\n" unless $values{$label};
}

my @ours = map { $to->($_, $rows) } @{$values{$ours}};
my @peer = $peer eq '-' ? () : map { $to->($_, $peer_rows) } @{$values{$peer}};
die "figure.pl: $name: the rounds are not paired\n" if @peer && @peer != @ours;
my $ratio = @peer ? median(map { $ours[$_] / $peer[$_] } 0 .. $#ours) : undef;
my $judged = $ratio // median(@ours);
my $holds = '-';

if ($goal =~ /^([<>])= ([\d.]+)$/)
{
	$holds = ($1 eq '<' ? $judged <= $2 : $judged >= $2) ? 'holds' : 'short';
}
elsif ($goal ne '-')
{
	die "figure.pl: $name: no goal: $goal\n";
}
printf "%s | %s %s | %s | %s | %s | %s\n", $name, show(median(@ours)), $unit,
	@peer ? show(median(@peer)) . " $unit" : '-', defined $ratio ? sprintf('%.3g', $ratio) : '-',
	$goal, $holds;
