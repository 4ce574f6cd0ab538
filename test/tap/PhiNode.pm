# PhiNode.pm: servers and people for the TAP tests.
#
#	use PhiNode;
#	my $node = phi_node('main');                 # with phi_guard preloaded and a key file; not started
#	my $bare = phi_node('bare', preload => 0, kek => 0, conf => "wal_level = logical\n");
#	$node->start;
#	add_kek($node, 2);                           # a second version in the file, for a rotation
#	phi_roles($node);                            # login roles, once for a server
#	phi_install($node, 'postgres');              # extension, duties, identities, rules in a database
#	ask($node, 'clinician', $sql);               # what the role is answered; dies on an error
#	my ($error, $all) = refused($node, 'biller', $sql);
#	                                             # "SQLSTATE: message" and all of the error; '' where there is none
#	sweep($folder, \%patterns);                  # the files that hold one of some byte strings
#
# install_path => where another server is; the other options of phi_node go to PostgreSQL::Test::Cluster's init (allows_streaming, ...).
# ask and refused take db => name; it is postgres otherwise.
package PhiNode;

use strict;
use warnings;
use Exporter 'import';
use File::Find;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(phi_node add_kek phi_roles phi_install ask refused sweep log_since wait_for_setting);

# Who the login roles are: actor, workforce roles, purposes.  hospital owns tables, officer, privacy,
# custodian and auditor have duties and no identity, nobody has neither.
my %identity = (
	clinician => [ 'Dr. House', '{clinician}', '{TREAT}' ],
	registrar => [ 'R. Egistrar', '{registration}', '{HOPERAT}' ],
	biller => [ 'B. Iller', '{billing}', '{HPAYMT}' ],
	researcher => [ 'R. Searcher', '{researcher}', '{HRESCH}' ],
	scholar => [ 'Prof. Both', '{clinician,researcher}', '{TREAT,HRESCH}' ],
);
my %duty = (
	officer => 'security_officer', privacy => 'privacy_officer', custodian => 'key_custodian',
	auditor => 'auditor', nobody => 'application', map { $_ => 'application' } keys %identity,
);

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
	my @place = exists $options{install_path} ? (install_path => delete $options{install_path}) : ();
	my $node = PostgreSQL::Test::Cluster->new($name, @place);

	$node->init(extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ], %options);
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'phi_guard'") if $preload;
	$node->append_conf('postgresql.conf', "phi.kek_file = '" . add_kek($node, 1) . "'") if $kek;
	$node->append_conf('postgresql.conf', $conf) if $conf ne '';
	return $node;
}

sub phi_roles
{
	my ($node) = @_;

	$node->safe_psql('postgres', join('', map { "CREATE ROLE $_ LOGIN;" } 'hospital', sort keys %duty));
	return;
}

# Without policy => 0 the duties, identities and default rules are set up as well.
sub phi_install
{
	my ($node, $dbname, %options) = @_;
	my @steps = ('CREATE EXTENSION phi_guard CASCADE', 'GRANT CREATE ON SCHEMA public TO hospital');

	if ($options{policy} // 1)
	{
		push @steps, map { "SELECT phi.grant_duty('$_', '$duty{$_}')" } sort keys %duty;
		push @steps, map { my @i = @{ $identity{$_} }; "SELECT phi.enroll('$_', '$i[0]', '$i[1]', '$i[2]')" }
		  sort keys %identity;
		push @steps, 'SELECT phi.install_default_rules()';
	}
	$node->safe_psql($dbname, join(";\n", @steps));
	return;
}

# psql as a role; errors with their SQLSTATE.
sub run_as
{
	my ($node, $role, $sql, %options) = @_;
	my @role = $role eq '' ? () : ('-U', $role);

	return $node->psql($options{db} // 'postgres', $sql, extra_params => [ @role, '-v', 'VERBOSITY=verbose' ]);
}

# The answer to the last statement and those before it; a role of '' is the superuser.
sub ask
{
	my ($node, $role, $sql, %options) = @_;
	my ($status, $out, $err) = run_as($node, $role, $sql, %options);

	die "as \"$role\": $err\n$sql\n" if $status != 0;
	return $out;
}

# The first error of a script.
sub refused
{
	my ($node, $role, $sql, %options) = @_;
	my ($status, $out, $err) = run_as($node, $role, $sql, %options);
	my ($first) = $err =~ /(?:ERROR|FATAL):  (\S+: .*)/;

	$first //= $status == 0 ? '' : "psql: $err";
	return wantarray ? ($first, $err) : $first;
}

# Relative names of the files below a folder that hold a pattern, by the pattern's name; a pattern is a
# byte string.  What vanishes during the walk is no file.
sub sweep
{
	my ($folder, $patterns) = @_;
	my %found = map { $_ => [] } keys %$patterns;
	my @files;

	find({ no_chdir => 1, follow_skip => 2, wanted => sub { push @files, $_ if -f $_ } }, $folder);
	foreach my $file (sort @files)
	{
		open my $in, '<:raw', $file or next;
		my $content = do { local $/; <$in> } // '';
		close $in;
		foreach my $name (keys %$patterns)
		{
			push @{ $found{$name} }, $file =~ s/^\Q$folder\E\/?//r if index($content, $patterns->{$name}) >= 0;
		}
	}
	return \%found;
}

# The server's log from an offset on, or from its start.
sub log_since
{
	my ($node, $offset) = @_;

	return slurp_file($node->logfile, $offset // 0);
}

# Sets a parameter in postgresql.conf, reloads, and waits until new sessions have it.
sub wait_for_setting
{
	my ($node, $name, $value) = @_;

	$node->append_conf('postgresql.conf', "$name = '" . ($value =~ s/'/''/gr) . "'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('$name') = \$v\$$value\$v\$")
	  or die "setting $name did not take effect";
	return;
}

1;
