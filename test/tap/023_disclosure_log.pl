# With phi.disclosure_audit = log each statement that reveals leaves a line in the server's log: who, why, of which table, how many
# patients; also where it fails, is rolled back, is read only or is read in pieces.  Never a value.

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('disclosure', conf => "fsync = off\nphi.disclosure_audit = log\n");
$node->start;

$node->safe_psql('postgres', q{
	CREATE EXTENSION phi_guard CASCADE;
	SELECT phi.install_default_rules();
	CREATE ROLE reader LOGIN;
	SELECT phi.enroll('reader', E'dr "no\nbody', '{clinician}', '{TREAT}');
	SELECT phi.enroll(session_user::regrole, 'dr.write', '{clinician}', '{TREAT}');
	SELECT phi.set_purpose('TREAT');
	CREATE TABLE "per son" (id bigint PRIMARY KEY, name text, town text);
	SELECT phi.classify('"per son"', 'name', 'name');
	SELECT phi.classify('"per son"', 'town', 'city');
	SELECT phi.protect('"per son"', subject => 'id', view => 'people');
	INSERT INTO "per son" SELECT n, 'Canary' || n, 'Canarytown' FROM generate_series(1, 30) n;
	SELECT phi.grant_duty('reader', 'application');
	GRANT SELECT ON people TO reader;
});

# The disclosure lines that a script of reader leaves.
sub lines
{
	my ($sql) = @_;
	my $from = -s $node->logfile;
	my ($status, $out, $err) = $node->psql('postgres', "SELECT phi.set_purpose('TREAT');\n$sql",
		extra_params => [ '-U', 'reader' ], on_error_stop => 0);

	unlike($err, qr/Canary/, 'no value in an error');
	my $log = slurp_file($node->logfile, $from);
	unlike($log, qr/Canary/, 'no value in the log');
	return join "\n", $log =~ /(phi_guard disclosure: .*)/g;
}

my $line = 'phi_guard disclosure: actor "dr ?no?body" purpose TREAT relation public."per son" subjects';

is(lines('SELECT count(name), count(town) FROM people'), "$line 30", 'a statement counts its patients once');
is(lines('SELECT id FROM people'), '', 'none for a column that is not revealed');
is(lines('SELECT name FROM people WHERE id = 1; SELECT town FROM people WHERE id < 4'), "$line 1\n$line 3",
	'one line a statement');
is(lines('BEGIN READ ONLY; SELECT name FROM people WHERE id < 6; ROLLBACK'), "$line 5",
	'rolled back and read only: disclosed all the same');
is(lines('SELECT name, 1 / (id - 4) FROM people ORDER BY id'), "$line 4", 'before an error');
is(lines("BEGIN; DECLARE c CURSOR FOR SELECT name FROM people; FETCH 3 FROM c; FETCH 2 FROM c; COMMIT"),
	"$line 3\n$line 2", 'a cursor, each time it is read');
is(lines('DO $$ BEGIN PERFORM name FROM people WHERE id < 3; END $$'), "$line 2", 'inside DO');
is(lines('COPY (SELECT name FROM people) TO STDOUT'), "$line 30", 'COPY of a query');
is(lines("CREATE TEMP TABLE t AS SELECT name FROM people WHERE id < 8"), "$line 7", 'CREATE TABLE AS');
$node->stop;

done_testing();
