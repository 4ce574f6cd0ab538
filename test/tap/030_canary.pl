# Plaintext on disk.  Distinctive values ("canaries") go through a protected table in every way that
# ordinary work takes, and then every byte of the data directory, the WAL, the server's log, the
# statistics and pg_stat_statements is searched for them.
#
# A search that finds nothing proves nothing by itself: the same values with another mark go through a
# plain table in the same server, and those have to be found.  The social security number is searchable:
# of it there are tags and an index on them as well.
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
		'ssn as normal text' => $text{ssn} =~ s/-//gr,
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

	ask($node, $owner, "CREATE INDEX ON $table (zone); CREATE INDEX ON $table (zone, id) WHERE zone > 2;
		CREATE INDEX ${table}_ssn ON $table (ssn); CREATE INDEX ${table}_hash ON $table USING hash (ssn)");
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

	ask($node, 'officer', join(';', map { "SELECT phi.classify('$table', '$_', '$kind{$_}', searchable => " . ($_ eq 'ssn' ? 'true' : 'false') . ')' } sort keys %kind)
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
ask($node, 'officer', "SELECT phi.set_free_text('patient', 'note', 'scrubbed'), phi.add_view('patient', 'patient_safe', 'safe_harbor', 'Uni')");
ask($node, 'hospital', 'GRANT SELECT ON patient_safe TO clinician');
like(ask($node, 'clinician', "SELECT max(note) FROM patient_safe"), qr/^quassiawood/, 'and a note scrubbed of them');
is(ask($node, 'clinician', encode('UTF-8', "SELECT count(*) FROM patient_redacted WHERE name = '$value{name}' AND ssn = '$value{ssn}'")),
	3001, 'and finds them by value');
foreach my $index ('patient_hash', 'patient_ssn')
{
	my $other = { patient_hash => 'patient_ssn', patient_ssn => 'patient_hash' }->{$index};
	my $definition = ask($node, 'hospital', "SELECT pg_get_indexdef('$other'::regclass)");
	my @search = ("SELECT count(*) FROM patient_redacted WHERE ssn = '$value{ssn}'", "SELECT count(*) FROM patient_redacted WHERE ssn IN ('$value{ssn}', 'x')",
		"PREPARE s (text) AS SELECT count(*) FROM patient_redacted WHERE ssn = \$1; EXECUTE s ('$value{ssn}')",
		"SELECT count(*) FROM patient WHERE ssn = '$value{ssn}'", "SELECT count(*) FROM patient WHERE ssn IN ('$value{ssn}', 'x')");

	ask($node, 'hospital', "DROP INDEX $other");
	foreach my $setting ('enable_seqscan = off', 'enable_indexscan = off; SET enable_bitmapscan = off', 'plan_cache_mode = force_generic_plan')
	{
		is(eval { ask($node, 'clinician', "SET $setting; $_") } // $@, 3001, "by its tag, with $index and $setting: " . s/'[^']*'/.../gr) foreach @search;
	}
	ask($node, 'hospital', $definition);
}
is(ask($node, 'clinician', 'SELECT count(*) FROM patient a JOIN patient b ON a.ssn = b.ssn WHERE a.id < 4 AND b.id < 4'), 9, 'and joins on tags');
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
# Errors of PostgreSQL in statements that have sealed, revealed or searched: their texts hold values.
my %literal = (
	'a duplicate key' => [ '23505', "INSERT INTO patient (id, name) VALUES ($id, 'haddock $mark')" ],
	'a missing key' => [ '23502', "INSERT INTO patient (id, name) VALUES (NULL, 'haddock $mark')" ],
	'an error after sealing' => [ '22012', "UPDATE patient SET name = 'haddock $mark', zone = 1 / (zone - zone) WHERE id = 5" ],
	'an error after revealing' => [ '22012', "SELECT 1 / (length(name) - length(name)), 'haddock $mark' FROM patient_redacted WHERE id = 5" ],
	'an error after scrubbing' => [ '22012', "SELECT 1 / (length(note) - length(note)), 'haddock $mark' FROM patient_safe WHERE note IS NOT NULL" ],
	'an error after a search that finds' => [ '22012', "SELECT 1 / (zone - zone), 'haddock $mark' FROM patient WHERE ssn = '$value{ssn}' AND id = 5" ],
	'an error after a search that finds nothing' => [ '22012', "SELECT 1 / count(*) FROM patient WHERE ssn = 'haddock $mark'" ],
	'an error after a search of the view' => [ '22012', "SELECT 1 / count(*) FROM patient_redacted WHERE ssn = 'haddock $mark'" ],
	'an error after a search for one of several' => [ '22012', "SELECT 1 / count(*) FROM patient_redacted WHERE ssn IN ('haddock $mark', 'haddock')" ],
	'a cancelled statement' => [ '57014', "SET statement_timeout = '200ms'; WITH w AS (UPDATE patient SET name = 'haddock $mark' WHERE id = 5 RETURNING id) SELECT pg_sleep(60) FROM w" ],
	'an error in a transaction' => [ '23505', "BEGIN; SELECT 1; INSERT INTO patient (id, name) VALUES ($id, 'haddock $mark')" ],
	'an error in a block' => [ '23505', "DO \$\$ BEGIN INSERT INTO patient (id, name) VALUES ($id, 'haddock $mark'); END \$\$" ],
	'an error in a dynamic statement' => [ '22012', "DO \$\$ BEGIN EXECUTE 'UPDATE patient SET name = ''haddock $mark'', zone = 1 / (zone - zone) WHERE id = 5'; END \$\$" ],
	'an error of a revealing block' => [ '22012', "DO \$\$ BEGIN PERFORM 1 / (length(name) - length(name)) FROM patient_redacted WHERE name <> 'haddock $mark' AND id = 5; END \$\$" ],
	'an error raised with a value' => [ 'P0001', "DO \$\$ BEGIN PERFORM name FROM patient_redacted WHERE id = 5; PERFORM 'haddock $mark'; RAISE EXCEPTION 'oops'; END \$\$" ],
	'a write in a read-only transaction' => [ '25006', "BEGIN READ ONLY; INSERT INTO patient (id, name) VALUES (9, 'haddock $mark')" ],
	'a sealed text that nobody may load' => [ '42501', "UPDATE patient SET name = 'phi:1:haddock$mark' WHERE id = 5" ],
);
my $reading = -s $node->logfile;
foreach my $case (sort keys %literal)
{
	my ($state, $sql) = @{ $literal{$case} };
	my $offset = -s $node->logfile;

	like(refused($node, 'clinician', $sql), qr/^$state: /, "$case: $state");
	like(log_since($node, $offset), qr/ERROR:  /, 'is in the log');
	unlike(log_since($node, $offset), qr/haddock/, 'without the literal');
}
refused($node, 'hospital', "INSERT INTO plain (id, name) VALUES ($plain_id, 'pollock $plain_mark')");
like(log_since($node, $reading), qr/STATEMENT: .*pollock $plain_mark/, 'that of a plain table is there (the test can see one)');

# ---- statistics ----

my $statistics = encode('UTF-8', "SELECT count(*) FROM pg_stats s WHERE s::text ~ 'Quarrym|987-31|Zephyrwick|quassiawood|tonkabean|feedbeef|867530986753|1911-07-23'");
is(ask($node, '', "$statistics AND tablename = 'patient'"), 0, 'pg_stats shows no value of the protected table');
cmp_ok(ask($node, '', "$statistics AND tablename = 'plain'"), '>', 0, 'it does of the plain one');
is(ask($node, '', "SELECT n_distinct, null_frac, (most_common_vals, histogram_bounds, most_common_elems) IS NULL FROM pg_stats WHERE tablename = 'patient' AND attname = 'ssn'"),
	'1|0|t', 'it counts the searchable one without a sample of its tags');
is(ask($node, '', "SELECT count(*) FROM pg_statistic WHERE starelid = 'patient'::regclass AND staattnum IN (SELECT attnum FROM pg_attribute
		WHERE attrelid = 'patient'::regclass AND atttypid::regtype::text LIKE 'phi.%') AND coalesce(stavalues1, stavalues2, stavalues3, stavalues4, stavalues5) IS NOT NULL"),
	0, 'nor has pg_statistic itself any of a sealed column');
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
is(index($log, 'haddock'), -1, 'nor those that failed after sealing, revealing or searching');

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
$node->safe_psql('postgres', 'VACUUM pg_statistic');
$node->safe_psql('postgres', 'CHECKPOINT');
note('after VACUUM of pg_statistic: ', join ' ', grep { !m{^pg_wal/} } @{ sweep($node->data_dir, patterns($old_id, $old_mark))->{name} });
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
