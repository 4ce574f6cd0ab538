# generate.pl OLD NEW: prints the upgrade script that leads from one install script to another; a name that ends in .gz
# is unpacked.  What has to be written by hand is named on standard error, and the exit status is 1.

use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Script;

sub content
{
	my ($path) = @_;

	my @how = $path =~ /\.gz$/ ? ('-|', 'gzip', '-dc', $path) : ('<', $path);

	open my $in, shift @how, @how or die "$path: $!\n";
	local $/;
	return scalar <$in>;
}

die "usage: generate.pl old-install-script new-install-script\n" if @ARGV != 2;
my ($script, @left) = Upgrade::Script::upgrade(map { Upgrade::Script::parse(content($_)) } @ARGV);
print "\\echo Use \"ALTER EXTENSION phi_guard UPDATE\" to load this file. \\quit\n", $script;
print STDERR "by hand: $_\n" foreach @left;
exit(@left ? 1 : 0);
