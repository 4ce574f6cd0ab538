# Without shared_preload_libraries nothing is installed, and the error says what to set.  With it the
# server starts, and the extension installs, without any key.

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('preload', preload => 0, kek => 0);
$node->start;

my ($status, $out, $err) = $node->psql('postgres', 'CREATE EXTENSION phi_guard CASCADE');
isnt($status, 0, 'CREATE EXTENSION fails in a server without the library preloaded');
like($err, qr/shared_preload_libraries/, 'the error names shared_preload_libraries');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_extension WHERE extname = 'phi_guard'}),
	'0', 'nothing is installed');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'phi'}),
	'0', 'and the schema is not left behind');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'phi_guard'");
$node->restart;
is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'),
	'phi_guard', 'the server starts with the library and no key');
$node->safe_psql('postgres', 'CREATE EXTENSION phi_guard CASCADE');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_extension WHERE extname = 'phi_guard'}),
	'1', 'the extension installs without a key');

$node->restart;
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'and the server starts again');
$node->stop;

done_testing();
