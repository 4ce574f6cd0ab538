# Plaintext on disk.  Distinctive values ("canaries") go through a protected table in every way that
# ordinary work takes, and then every byte of the data directory, the WAL, the server's log, the
# statistics and pg_stat_statements is searched for them.
#
# A search that finds nothing proves nothing by itself: the same values with another mark go through a
# plain table in the same server, and those have to be found.
#
# The second part: what was in a table before phi.protect may be found in old WAL segments alone.

use strict;
use warnings;
use utf8;
use Encode qw(encode);
use PostgreSQL::Test::BackgroundPsql;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('canary', conf => <<'EOC');
shared_preload_libraries = 'phi_guard, pg_stat_statements'
log_statement = none
wal_level = replica
wal_keep_size = 1GB
autovacuum = off
max_wal_size = 2GB
EOC

# What a text of these marks holds: for each kind of value, how it is written in SQL.
sub canaries
{
	my ($mark) = @_;

	return (
		name => "Zoë Quarrymöor $mark",
		ssn => "987-31-$mark",
		address => "17 Zephyrwick Hollow $mark",
		note => "quassiawood $mark " . ('gannet cormorant ' x 400),
		data => qq({"since": {"year": 1911}, "allergy": "tonkabean $mark"}),
		photo => '\xfeedbeefcafe4242c0ff' . $mark,
		cost => "867530986753$mark.27182818",
		seen => "1911-07-23 04:05:0" . substr($mark, 0, 1) . ".78$mark+00",
		born => "19" . substr($mark, 0, 2) . "-07-23",
	);
}

# The bytes to search for: the values' text, and what PostgreSQL stores of those that are not text.
sub patterns
{
	my ($id, $mark) = @_;
	my %text = canaries($mark);
	# numeric: base 10000 digits, in host order on disk and in network order on the wire
	my @digits = (8675, 3098, 6753, $mark, 2718, 2818);
	# days and microseconds since 2000-01-01
	my $seen = $node->safe_psql('postgres',
		"SELECT extract(epoch FROM timestamptz '$text{seen}')::numeric * 1000000 - 946684800000000");
	my $born = $node->safe_psql('postgres', "SELECT date '$text{born}' - date '2000-01-01'");

	return {
		'name' => encode('UTF-8', $text{name}),
		'ssn' => $text{ssn},
		'address' => $text{address},
		'note' => "quassiawood $mark",
		'data' => "tonkabean $mark",
		'photo' => pack('H*', 'feedbeefcafe4242c0ff' . $mark),
		'photo as text' => "feedbeefcafe4242c0ff$mark",
		'cost' => pack('s<*', @digits),
		'cost on the wire' => pack('s>*', @digits),
		'cost as text' => "867530986753$mark",
		'seen' => pack('q<', $seen),
		'seen on the wire' => pack('q>', $seen),
		'seen as text' => $text{seen} =~ s/\+00//r,
		# four bytes alone are found by chance: the date stands behind the key in a plain row
		'born' => pack('q<', $id) . pack('l<', $born),
		'born as text' => $text{born},
	};
}

# An INSERT of the canaries of a mark, as one statement.
sub insert
{
	my ($table, $id, $mark) = @_;
	my %value = canaries($mark);
	my @columns = sort keys %value;

	return "INSERT INTO $table (id, " . join(', ', @columns) . ") VALUES ($id, "
	  . join(', ', map { encode('UTF-8', "'$value{$_}'") } @columns) . ');';
}

# Everything that ordinary work does to a table and that may write values anywhere.
sub work
{
	my ($table, $owner, $writer) = @_;

	ask($node, $owner, "CREATE INDEX ON $table (zone); CREATE INDEX ON $table (zone, id) WHERE zone > 2;");
	ask($node, $owner, "ANALYZE $table");
	ask($node, $owner, "ALTER TABLE $table ALTER COLUMN zone TYPE bigint, ADD COLUMN added timestamptz DEFAULT clock_timestamp()");
	ask($node, $owner, "VACUUM (FULL, ANALYZE) $table");
	ask($node, $owner, "VACUUM FREEZE $table");
	ask($node, $writer, "UPDATE $table SET zone = zone + 1");
	ask($node, $owner, "CLUSTER $table USING ${table}_pkey");
	$node->safe_psql('postgres', "CHECKPOINT; SELECT pg_switch_wal()");
	ask($node, $writer, "UPDATE $table SET zone = zone + 1 WHERE id < 100");
	return;
}

my $definition = '(id bigint PRIMARY KEY, born date, name text, ssn text, address text, note text, data jsonb,'
  . ' photo bytea, cost numeric, seen timestamptz, zone integer DEFAULT 1)';
my %kind = (
	born => 'birth_date', name => 'name', ssn => 'ssn', address => 'address', note => 'free_text', data => 'other',
	photo => 'photo', cost => 'other', seen => 'service_date', zone => 'none'
);

# Classifies and protects a table, as the officer.
sub protect
{
	my ($table) = @_;

	ask($node, 'officer', join(';', map { "SELECT phi.classify('$table', '$_', '$kind{$_}')" } sort keys %kind)
		  . ";SELECT phi.protect('$table', subject => 'id')");
	ask($node, 'hospital', "GRANT SELECT ON ${table}_redacted TO clinician");
	return;
}

$node->start;
phi_roles($node);
phi_install($node, 'postgres');
ask($node, '', 'CREATE EXTENSION pg_stat_statements');

# ---- the same work on a protected table and on a plain one, with different marks ----

my ($id, $mark) = (7309284637281946, '4468');
my ($plain_id, $plain_mark) = (7309284637281947, '5579');
my %value = canaries($mark);

ask($node, 'hospital', "CREATE TABLE patient $definition; GRANT SELECT, INSERT, UPDATE ON patient TO clinician");
# (a compressed value would not be found)
ask($node, 'hospital', "CREATE TABLE plain $definition; ALTER TABLE plain ALTER COLUMN note SET STORAGE EXTERNAL");
protect('patient');
ask($node, 'clinician', insert('patient', $id, $mark));
ask($node, 'hospital', insert('plain', $plain_id, $plain_mark));
# enough rows to scan in parallel and to sort on disk
ask($node, 'clinician', "INSERT INTO patient (id, name, ssn, address, zone)
	SELECT i, 'Zoë Quarrymöor $mark', '987-31-$mark', '17 Zephyrwick Hollow $mark ' || i, i % 5 FROM generate_series(1, 3000) i");
ask($node, 'hospital', "INSERT INTO plain (id, name, ssn, address, zone)
	SELECT i, 'Zoë Quarrymöor $plain_mark', '987-31-$plain_mark', '17 Zephyrwick Hollow $plain_mark ' || i, i % 5 FROM generate_series(1, 3000) i");
work('patient', 'hospital', 'clinician');
work('plain', 'hospital', 'hospital');

ask($node, 'clinician', encode('UTF-8', "UPDATE patient SET name = '$value{name}', cost = $value{cost}, seen = '$value{seen}',
	data = '$value{data}', photo = '$value{photo}' WHERE id = $id"));
is(ask($node, 'clinician', "SELECT name, ssn, address, data, photo, cost, born FROM patient_redacted WHERE id = $id"),
	encode('UTF-8', join '|', @value{qw(name ssn address data photo cost born)}), 'the clinician sees the values');
is(ask($node, 'clinician', encode('UTF-8', "SELECT count(*) FROM patient_redacted WHERE name = '$value{name}' AND ssn = '$value{ssn}'")),
	3001, 'and finds them by value');
is(ask($node, 'clinician', "SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
		SET min_parallel_table_scan_size = 0; SELECT count(*), count(name) FROM patient WHERE zone < 100"), '3001|3001',
	'a parallel scan of sealed values');
ask($node, 'clinician', "CREATE TEMP TABLE copied AS SELECT * FROM patient; CREATE INDEX ON copied (zone); ANALYZE copied");

# ---- a sort on disk ----

my $reader = $node->background_psql('postgres', extra_params => [ '-U', 'clinician' ]);
$reader->query_safe("SET work_mem = '64kB'; SET enable_indexscan = off; SET enable_seqscan = on; BEGIN;
	DECLARE sorted CURSOR FOR SELECT * FROM patient ORDER BY zone, id DESC; FETCH 1 FROM sorted;");
my $plain_reader = $node->background_psql('postgres', extra_params => [ '-U', 'hospital' ]);
$plain_reader->query_safe("SET work_mem = '64kB'; SET enable_indexscan = off; BEGIN;
	DECLARE sorted CURSOR FOR SELECT * FROM plain ORDER BY zone, id DESC; FETCH 1 FROM sorted;");
my $spilled = $node->data_dir . '/base/pgsql_tmp';
my @temporary = glob "$spilled/*";
my $in_sort = sweep($spilled, { sealed => '17 Zephyrwick Hollow ' . $mark, plain => '17 Zephyrwick Hollow ' . $plain_mark });
cmp_ok(scalar @temporary, '>=', 2, 'both sorts spilled to disk');
isnt("@{ $in_sort->{plain} }", '', 'the plain table is readable in its temporary files');
is("@{ $in_sort->{sealed} }", '', 'the protected one is not');
$reader->quit;
$plain_reader->quit;

# ---- errors about values ----

# Each is refused because of its value, by input, cast, COPY, parameter or inside a function.
my @bad = (
	[ '22P02', "INSERT INTO patient (id, born) VALUES (9, 'date-$mark-gurnard')" ],
	[ '22P02', "INSERT INTO patient (id, seen) VALUES (9, 'time-$mark-gurnard')" ],
	[ '22P02', "INSERT INTO patient (id, cost) VALUES (9, '12$mark-gurnard')" ],
	[ '22P02', "INSERT INTO patient (id, data) VALUES (9, '{\"$mark-gurnard\": oops')" ],
	[ '22P02', "INSERT INTO patient (id, photo) VALUES (9, '\\x$mark-gurnard')" ],
	[ '22P02', "UPDATE patient SET born = '$mark-gurnard' WHERE id = 5" ],
	[ '22P02', "SELECT '$mark-gurnard'::phi.encrypted_date" ],
	[ '22P02', "PREPARE p (phi.encrypted_numeric) AS SELECT \$1; EXECUTE p ('$mark-gurnard')" ],
	[ '22P02', "DO \$\$ BEGIN UPDATE patient SET born = '$mark-gurnard' WHERE id = 5; END \$\$" ],
	[ '42501', "UPDATE patient SET name = 'phi:1:$mark-gurnard' WHERE id = 5" ],
);
foreach my $case (@bad)
{
	my ($error, $all) = refused($node, 'clinician', $case->[1]);

	like($error, qr/^\Q$case->[0]\E: /, "refused: " . ($case->[1] =~ s/\b\d*$mark\S*/.../r));
	# psql itself shows the statement it sent: LINE and the caret below it
	unlike($all =~ s/^LINE \d+:.*\n.*\n//mr, qr/gurnard/, 'the error does not show the value');
}
like(refused($node, '', "COPY patient (id, born) FROM STDIN;\n9\t$mark-gurnard\n\\.\n"), qr/^22P02: /, 'a COPY with a bad value');
like(refused($node, '', "COPY patient (id, name) FROM STDIN;\n9\tphi:1:$mark-gurnard\n\\.\n"), qr/^XX001: /, 'one with a bad sealed value');

# Errors of phi_guard itself that are about the row: the statement around them holds values too.
ask($node, 'hospital', 'CREATE TABLE visit (id bigint PRIMARY KEY, patient bigint, phone text); GRANT INSERT, UPDATE, SELECT ON visit TO biller');
ask($node, 'officer', "SELECT phi.classify('visit', 'phone', 'phone'), phi.protect('visit', subject => 'patient')");
like(refused($node, 'biller', "INSERT INTO visit (id, patient, phone) VALUES (1, NULL, 'turbot $mark')"), qr/^23502: row .* has no subject/, 'a row without a subject');
ask($node, 'biller', "INSERT INTO visit (id, patient, phone) VALUES (1, 11, '555-0111'), (2, 12, '555-0112')");
like(refused($node, 'biller', "UPDATE visit SET phone = CASE id WHEN 1 THEN (SELECT phone FROM visit WHERE id = 2) ELSE 'turbot $mark' END WHERE id = 1"),
	qr/^42501: .*sealed for another row/, 'a value of another row');

# PostgreSQL's own errors: with parameters the log shows \$1, at the default settings.
my $script = $node->basedir . '/duplicate.sql';
append_to_file($script, "INSERT INTO patient (id, name, ssn) VALUES ($id, :name, :ssn);\n");
$node->command_fails_like(
	[ 'pgbench', '-n', '-t', '1', '-M', 'extended', '-U', 'clinician', '-f', $script,
		'-D', "name=gurnard $mark", '-D', "ssn=gurnard $mark", 'postgres' ],
	qr/duplicate key/, 'a duplicate key with the values as parameters');
# A literal in a statement that fails for another reason is in PostgreSQL's log line of the statement,
# if anywhere.
like(refused($node, 'clinician', "INSERT INTO patient (id, name) VALUES ($id, 'haddock $mark')"), qr/^23505: /, 'a duplicate key with a literal');
like(refused($node, 'clinician', "INSERT INTO patient (id, name) VALUES (NULL, 'haddock $mark')"), qr/^23502: /, 'a missing key with a literal');

# ---- statistics ----

my $statistics = encode('UTF-8', "SELECT count(*) FROM pg_stats s WHERE s::text ~ 'Quarrym|987-31|Zephyrwick|quassiawood|tonkabean|feedbeef|867530986753|1911-07-23'");
is(ask($node, '', "$statistics AND tablename = 'patient'"), 0, 'pg_stats shows no value of the protected table');
cmp_ok(ask($node, '', "$statistics AND tablename = 'plain'"), '>', 0, 'it does of the plain one');
is(ask($node, '', "SELECT string_agg(attname, ',' ORDER BY attname) FROM pg_stats WHERE tablename = 'patient'
		AND attname <> ALL ('{id,zone,added}') AND (most_common_vals, histogram_bounds) IS NOT NULL"), '', 'sealed columns have no sample in it');
my $statements = ask($node, '', 'SELECT query FROM pg_stat_statements');
like($statements, qr/UPDATE patient SET name = \$\d/, 'pg_stat_statements has the statements');
unlike($statements, qr/Quarrym|gurnard|987-31|Zephyrwick/, 'without their values');

# ---- everything on disk, running and stopped ----

my $kek = slurp_file($node->basedir . '/kek');
my ($hex) = $kek =~ /^1:([0-9a-f]{64})$/m;
my $sealed = patterns($id, $mark);
my $control = patterns($plain_id, $plain_mark);
my %secret = (key => $hex, 'key in capitals' => uc $hex, 'raw key' => pack('H*', $hex));

foreach my $state ('running', 'stopped')
{
	$state eq 'stopped' ? $node->stop : $node->safe_psql('postgres', 'CHECKPOINT; SELECT pg_switch_wal()');
	my $found = sweep($node->data_dir, { %$sealed, %secret, 'bad value' => 'gurnard', 'refused statement' => 'turbot', 'literal' => 'haddock' });
	foreach my $name (sort keys %$found)
	{
		is("@{ $found->{$name} }", '', "$state: $name is in no file of the data directory");
	}
	next if $state eq 'stopped';
	my $seen = sweep($node->data_dir, $control);
	foreach my $name (grep { !/wire|text/ } sort keys %$seen)
	{
		cmp_ok(scalar(grep { /^base\// } @{ $seen->{$name} }), '>', 0, "$name of the plain table is found in its file");
		cmp_ok(scalar(grep { /^pg_wal\// } @{ $seen->{$name} }), '>', 0, 'and in the WAL');
	}
}
ok(-s $node->data_dir . '/pg_stat/pg_stat_statements.stat', 'pg_stat_statements was saved at shutdown');

my $log = slurp_file($node->logfile);
foreach my $name (sort keys %$sealed)
{
	is(index($log, $sealed->{$name}), -1, "$name is not in the server's log");
}
is(index($log, 'gurnard'), -1, 'bad values are not in the log');
is(index($log, 'turbot'), -1, "nor are the statements that phi_guard refused because of a row");
is(index($log, $secret{$_}), -1, "$_ is not in the log") foreach sort keys %secret;
like($log, qr/ERROR:  invalid input for type phi\.encrypted_date/, 'the errors themselves are');
note('a literal of a failing statement is in the log: ', index($log, "haddock $mark") >= 0 ? 'yes' : 'no');

# ---- values from before phi.protect ----

$node->start;
my ($old_id, $old_mark) = (7309284637281948, '6683');
ask($node, 'hospital', "CREATE TABLE former $definition; CREATE INDEX former_name ON former (name); GRANT SELECT, INSERT, UPDATE ON former TO clinician");
ask($node, 'hospital', insert('former', $old_id, $old_mark));
ask($node, 'hospital', "INSERT INTO former (id, name, ssn, address, note, data)
	SELECT i, 'Zoë Quarrymöor $old_mark', '987-31-$old_mark', '17 Zephyrwick Hollow $old_mark', 'quassiawood $old_mark ' || repeat(md5(i::text), 100),
		'{\"allergy\": \"tonkabean $old_mark\"}' FROM generate_series(1, 300) i");
ask($node, 'hospital', 'ANALYZE former; UPDATE former SET zone = 2; VACUUM ANALYZE former');
$node->safe_psql('postgres', 'CHECKPOINT');
my $before = sweep($node->data_dir, patterns($old_id, $old_mark));
cmp_ok(scalar(grep { /^base\// } @{ $before->{name} }), '>=', 3, 'before protect a name is in the table, its index and the statistics');

like(refused($node, 'officer', "SELECT phi.classify('former', 'name', 'name'), phi.protect('former', 'id')"), qr/^55000: .*index/, 'an index on plain names stands in the way');
ask($node, 'hospital', 'DROP INDEX former_name');
protect('former');
is(ask($node, 'clinician', "SELECT name || ssn FROM former_redacted WHERE id = $old_id"),
	encode('UTF-8', "Zoë Quarrymöor ${old_mark}987-31-$old_mark"), 'protected, and it opens');
is(ask($node, '', "$statistics AND tablename = 'former'"), 0, 'pg_stats no longer shows a value');
$node->safe_psql('postgres', 'VACUUM FULL pg_statistic');
$node->safe_psql('postgres', 'CHECKPOINT; SELECT pg_switch_wal(); CHECKPOINT');
my $after = sweep($node->data_dir, patterns($old_id, $old_mark));
foreach my $name (sort keys %$after)
{
	is(join(' ', grep { !m{^pg_wal/} } @{ $after->{$name} }), '', "after protect: $name is in no file but the WAL");
}
cmp_ok(scalar @{ $after->{name} }, '>', 0, 'the old WAL segments hold it, as the threat model says');
note('found in ', join(' ', @{ $after->{name} }));

$node->safe_psql('postgres', 'SELECT pg_switch_wal(); CHECKPOINT');
my $start = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_lsn())');
ask($node, 'hospital', 'ANALYZE former');
ask($node, 'clinician', 'UPDATE former SET zone = 3');
ask($node, 'hospital', 'VACUUM FULL former');
$node->safe_psql('postgres', 'CHECKPOINT; SELECT pg_switch_wal()');
my $later = sweep($node->data_dir, patterns($old_id, $old_mark));
is(join(' ', grep { !m{^pg_wal/} || m{/(.*)} && $1 ge $start } map { @$_ } values %$later), '', 'and no segment written since has any');
$node->stop;

done_testing();
