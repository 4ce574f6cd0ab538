# A name that moves while a command waits for its lock: the guards have looked at another table than the
# command then changes.  Every command that would take protection away is undone, whichever table the
# guards saw.

use strict;
use warnings;
use PostgreSQL::Test::BackgroundPsql;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('race', conf => "log_statement = none\nautovacuum = off\n");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
ask($node, 'hospital', <<'SQL');
CREATE TABLE patient (id bigint PRIMARY KEY, name text);
CREATE TABLE stay (id bigint, year integer, name text, PRIMARY KEY (id, year)) PARTITION BY LIST (year);
CREATE TABLE stay_2024 PARTITION OF stay FOR VALUES IN (2024);
CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE FUNCTION told(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE TABLE decoy (id bigint PRIMARY KEY, name text);
CREATE POLICY phi_access ON decoy USING (true);
CREATE POLICY phi_other ON decoy USING (true);
CREATE TRIGGER "~phi_seal" BEFORE INSERT ON decoy FOR EACH ROW EXECUTE FUNCTION noop();
CREATE TABLE decoy_stay (id bigint, year integer, name text) PARTITION BY LIST (year);
CREATE TABLE decoy_2024 PARTITION OF decoy_stay FOR VALUES IN (2024);
CREATE VIEW decoy_view AS SELECT 1::bigint AS id, 'x'::text AS name;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
SQL
ask($node, 'officer', <<'SQL');
SELECT phi.classify('patient', 'name', 'name'), phi.classify('stay', 'name', 'name');
SELECT phi.protect('patient', subject => 'id'), phi.protect('stay', subject => 'id');
SQL
ask($node, 'hospital', 'CREATE POLICY phi_other ON patient USING (true)');

# What the catalogs say of everything protected, whatever its name is.
my %oid = map { $_ => ask($node, '', "SELECT '$_'::regclass::oid") } qw(patient stay stay_2024 patient_redacted);
my $oids = join ',', map { $oid{$_} } sort keys %oid;
my $state = <<"SQL";
SELECT oid, relrowsecurity, relforcerowsecurity, relispartition, reloptions, pg_get_viewdef(oid) ~ 'reveal' FROM pg_class WHERE oid IN ($oids) ORDER BY 1;
SELECT polrelid, polname, polpermissive, pg_get_expr(polqual, polrelid) ~ 'told' FROM pg_policy WHERE polrelid IN ($oids) ORDER BY 1, 2;
SELECT tgrelid, tgname, tgenabled, tgfoid::regproc FROM pg_trigger WHERE tgrelid IN ($oids) AND NOT tgisinternal ORDER BY 1, 2;
SELECT ev_class, rulename, ev_enabled FROM pg_rewrite WHERE ev_class IN ($oids) ORDER BY 1, 2;
SELECT adrelid, adnum FROM pg_attrdef WHERE adrelid IN ($oids) ORDER BY 1, 2;
SELECT attrelid, attname, format_type(atttypid, -1) FROM pg_attribute WHERE attrelid IN ($oids) AND attnum > 0 AND attname NOT LIKE '..%' ORDER BY 1, attnum;
SQL
my $intact = ask($node, '', $state);

# One session moves the names of a protected relation to the decoy's place and waits; the other one's
# command finds the decoy, waits for the first, and goes on.
sub race
{
	my ($what, $moves, $back, $command) = @_;
	my $mover = $node->background_psql('postgres', extra_params => [ '-U', 'hospital' ]);
	my $other = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'hospital' ]);
	my $pid = $other->query_safe('SELECT pg_backend_pid()');

	$mover->query_safe("BEGIN; $moves");
	$other->query_until(qr/begun/, "\\echo begun\n$command;\n\\echo over\n");
	$node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid")
	  or die "\"$command\" does not wait";
	$mover->query_safe('COMMIT');
	$other->query_until(qr/over/, "\n");
	my $error = $other->{stderr};
	$mover->quit;
	$other->quit;
	ask($node, 'hospital', $back);
	is(ask($node, '', $state), $intact, "$what: nothing is taken away");
	like($error, qr/permission denied|protect|redacted/, "$what: it is refused");
	return;
}

my $table = 'ALTER TABLE decoy RENAME TO decoy0; ALTER TABLE patient RENAME TO decoy';
my $table_back = 'ALTER TABLE decoy RENAME TO patient; ALTER TABLE decoy0 RENAME TO decoy';
my %on_table = (
	'dropping the policy' => 'DROP POLICY phi_access ON decoy',
	'altering the policy' => 'ALTER POLICY phi_access ON decoy USING (true)',
	'renaming the policy' => 'ALTER POLICY phi_access ON decoy RENAME TO x',
	'a policy with code' => 'CREATE POLICY mine ON decoy USING (told(name::text))',
	'code in a policy' => 'ALTER POLICY phi_other ON decoy USING (told(name::text))',
	'row security' => 'ALTER TABLE decoy DISABLE ROW LEVEL SECURITY',
	'forced row security' => 'ALTER TABLE decoy NO FORCE ROW LEVEL SECURITY',
	'all triggers' => 'ALTER TABLE decoy DISABLE TRIGGER ALL',
	'the sealing trigger' => 'ALTER TABLE decoy DISABLE TRIGGER "~phi_seal"',
	'dropping the sealing trigger' => 'DROP TRIGGER "~phi_seal" ON decoy',
	'another sealing trigger' => 'CREATE OR REPLACE TRIGGER "~phi_seal" BEFORE INSERT OR UPDATE ON decoy FOR EACH ROW EXECUTE FUNCTION noop()',
	'renaming the sealing trigger' => 'ALTER TRIGGER "~phi_seal" ON decoy RENAME TO x',
	'a rule' => 'CREATE RULE r AS ON INSERT TO decoy DO INSTEAD NOTHING',
);
race($_, $table, $table_back, $on_table{$_}) foreach sort keys %on_table;

my $view = 'ALTER VIEW decoy_view RENAME TO decoy_view0; ALTER VIEW patient_redacted RENAME TO decoy_view';
my $view_back = 'ALTER VIEW decoy_view RENAME TO patient_redacted; ALTER VIEW decoy_view0 RENAME TO decoy_view';
my %on_view = (
	'the definition of the view' => "CREATE OR REPLACE VIEW decoy_view AS SELECT 1::bigint AS id, 'x'::text AS name WHERE told('x')",
	'a default of the view' => "ALTER VIEW decoy_view ALTER name SET DEFAULT 'x'",
	'the invoker of the view' => 'ALTER VIEW decoy_view SET (security_invoker = true)',
	'a trigger of the view' => 'CREATE TRIGGER t INSTEAD OF INSERT ON decoy_view FOR EACH ROW EXECUTE FUNCTION instead()',
	'a rule of the view' => 'CREATE RULE r AS ON INSERT TO decoy_view DO INSTEAD NOTHING',
);
race($_, $view, $view_back, $on_view{$_}) foreach sort keys %on_view;

race(
	'a partition',
	'ALTER TABLE decoy_stay RENAME TO decoy_stay0; ALTER TABLE decoy_2024 RENAME TO decoy_20240; ALTER TABLE stay RENAME TO decoy_stay; ALTER TABLE stay_2024 RENAME TO decoy_2024',
	'ALTER TABLE decoy_stay RENAME TO stay; ALTER TABLE decoy_2024 RENAME TO stay_2024; ALTER TABLE decoy_stay0 RENAME TO decoy_stay; ALTER TABLE decoy_20240 RENAME TO decoy_2024',
	'ALTER TABLE decoy_stay DETACH PARTITION decoy_2024');

# A COPY by a role without row security
ask($node, '', 'CREATE ROLE bypasser LOGIN BYPASSRLS; GRANT SELECT ON patient, decoy TO bypasser');
ask($node, '', "INSERT INTO patient VALUES (77, 'Ada')");
my $mover = $node->background_psql('postgres', extra_params => [ '-U', 'hospital' ]);
my $other = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'bypasser' ]);
my $pid = $other->query_safe('SELECT pg_backend_pid()');
$mover->query_safe("BEGIN; $table");
$other->query_until(qr/begun/, "\\echo begun\nCOPY decoy TO STDOUT;\n\\echo over\n");
$node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid");
$mover->query_safe('COMMIT');
my $copied = $other->query_until(qr/over/, "\n");
unlike($copied, qr/77/, 'COPY past row security does not copy another table than was looked at');
like($other->{stderr}, qr/permission denied to copy/, 'it is refused');
$mover->quit;
$other->quit;

$node->stop;

done_testing();
