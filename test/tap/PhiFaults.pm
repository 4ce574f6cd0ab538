# Faults of libcrypto in a running server: test/faults/evp_faults.c, built and preloaded.  Which function fails, and
# from which call on, is in a file that the library reads.

package PhiFaults;

use strict;
use warnings;
use File::Basename;
use PostgreSQL::Test::Utils;
use Exporter 'import';

our @EXPORT = qw(fault fault_hits fault_library fault_start);

my ($plan, $library);
my $serial = 0;

# The library, built for a node; its environment's plan is in the node's folder.
sub fault_library
{
	my ($node) = @_;

	$plan = $node->basedir . '/faults';
	$library = $node->basedir . '/evp_faults.so';
	system_or_bail($ENV{CC} // 'cc', '-std=c11', '-O1', '-Wall', '-shared', '-fPIC', dirname(__FILE__) . '/../faults/evp_faults.c',
		'-o', $library, '-ldl');
	return $library;
}

# Start a node with these variables of the environment, by default those of the library.
sub fault_start
{
	my ($node, @variables) = @_;
	local %ENV = (%ENV, @variables > 0 ? @variables : (LD_PRELOAD => $library, PHI_FAULT_FILE => $plan));

	$node->start;
	return;
}

# From the call after some on, a function fails, or gives what is wrong; without a function none does.
sub fault
{
	my ($function, $after, $how) = @_;

	unlink $plan, "$plan.hits";
	return if !defined $function;
	$serial++;
	append_to_file("$plan.new", join(' ', $serial, $function, $after, $how // 'fail') . "\n");
	rename "$plan.new", $plan or die "$plan: $!";
	return;
}

# How many calls were made to fail.
sub fault_hits
{
	return -s "$plan.hits" // 0;
}

1;
