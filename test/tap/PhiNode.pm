# PhiNode.pm: servers for the TAP tests.
#
#	use PhiNode;
#	my $node = phi_node('main');                 # with phi_guard preloaded and a key file; not started
#	my $bare = phi_node('bare', preload => 0, kek => 0, conf => "wal_level = logical\n");
#	$node->start;
#	add_kek($node, 2);                           # a second version in the file, for a rotation
#
# The other options go to PostgreSQL::Test::Cluster's init (allows_streaming, ...).
package PhiNode;

use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Cluster;

our @EXPORT = qw(phi_node add_kek);

# Appends a random key of a version to the node's key file, beside its data, and returns the path.
sub add_kek
{
	my ($node, $version) = @_;
	my $path = $node->basedir . '/kek';

	open my $random, '<:raw', '/dev/urandom' or die "/dev/urandom: $!";
	read($random, my $key, 32) == 32 or die "/dev/urandom: $!";
	my $mask = umask 0077;
	open my $out, '>>', $path or die "$path: $!";
	umask $mask;
	print $out "$version:", unpack('H*', $key), "\n";
	close $out or die "$path: $!";
	return $path;
}

# A node that is initialized and configured, and not started.
sub phi_node
{
	my ($name, %options) = @_;
	my $preload = delete $options{preload} // 1;
	my $kek = delete $options{kek} // 1;
	my $conf = delete $options{conf} // '';
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ], %options);
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'phi_guard'") if $preload;
	$node->append_conf('postgresql.conf', "phi.kek_file = '" . add_kek($node, 1) . "'") if $kek;
	$node->append_conf('postgresql.conf', $conf) if $conf ne '';
	return $node;
}

1;
