# Every edit of the log that we could think of, by SQL and by bytes of files, with page checksums and without: what
# phi.audit_verify(), phi.audit_verify_sql() and, over an export and the checkpoints kept elsewhere, phi_verify say of it.

use strict;
use warnings;
use File::Path qw(make_path);
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $purpose = "SET client_min_messages = warning; SELECT phi.set_purpose('TREAT')";
my @log = qw(event leaf checkpoint incarnation);
my $unguarded = join ';', map { "ALTER TABLE phi_audit.$_ DISABLE TRIGGER USER" } @log;

# A server with a log: three times ten events under one checkpoint each, and 200 before them.
sub make_node
{
	my ($name, @init) = @_;
	my $node = phi_node($name, extra => [ '--encoding=UTF8', '--locale=C.UTF-8', @init ],
		conf => "fsync = off\nphi.audit_seal_interval = 0\nphi.audit_reads = off\nautovacuum = off\n");
	my $kept = $node->basedir . '/checkpoints';

	make_path($kept, { mode => 0755 });
	$node->append_conf('postgresql.conf', "phi.checkpoint_directory = '$kept'");
	$node->start;
	$node->safe_psql('postgres', q{
		CREATE EXTENSION phi_guard CASCADE;
		SELECT phi.install_default_rules();
		SELECT phi.enroll(session_user::regrole, 'dr.edit', '{clinician}', '{TREAT}');
		CREATE TABLE person (id bigint PRIMARY KEY, name text, town text);
		SELECT phi.classify('person', 'name', 'name');
		SELECT phi.protect('person', subject => 'id', capture => 'row');
	});
	$node->safe_psql('postgres', join ';', $purpose, map { "INSERT INTO person VALUES (1000 + $_, 'näme', 'town')" } 1 .. 200);
	$node->safe_psql('postgres', 'SELECT phi.audit_seal()');
	foreach my $round (0 .. 2)
	{
		$node->safe_psql('postgres', join ';', $purpose,
			map { "SET application_name = 'marker $round.$_'; INSERT INTO person VALUES ($round * 100 + $_, 'näme', 'town')" } 0 .. 9);
		$node->safe_psql('postgres', 'SELECT phi.audit_seal()');
	}
	return $node;
}

my $node = make_node('checked', '--data-checksums');
my $kept = $node->basedir . '/checkpoints';
my $vkey = $node->safe_psql('postgres', 'SELECT phi.audit_public_key()');
my ($points) = glob "$kept/*.checkpoints";

sub query
{
	return $node->safe_psql('postgres', $_[0]);
}

my $size = query('SELECT max(tree_size) FROM phi_audit.checkpoint');
my $base = $size - 30;
my @event = split /\n/, query("SELECT event_id FROM phi_audit.leaf WHERE leaf_index >= $base ORDER BY leaf_index");
is(query('SELECT ok, problem FROM phi.audit_verify()'), 't|', 'the log verifies');
is(query('SELECT ok, problem FROM phi.audit_verify_sql()'), 't|', 'in SQL alone');

# ---- by SQL, as a superuser who took the guards away; every attack is rolled back ----

sub attacked
{
	my ($attack, $then) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "SET client_min_messages = warning; BEGIN; $unguarded; $attack; $then; ROLLBACK");

	return $status == 0 ? $out : $err;
}

# What the offline verifier says of an export that is made after the attack.
sub verified_offline
{
	my ($attack, @options) = @_;
	my $export = $node->basedir . '/export';
	my ($out, $err) = ('', '');

	open my $file, '>:raw', $export or die "$export: $!";
	print $file attacked($attack, 'SELECT phi.audit_export()') . "\n";
	close $file or die "$export: $!";
	IPC::Run::run([ $ENV{PHI_VERIFY}, '--key', $vkey, '--checkpoints', $points, '--complete', @options, $export ], '>', \$out, '2>', \$err);
	return ($? >> 8) . ": $out$err";
}

my $of = "FROM phi_audit.leaf l WHERE l.event_id = e.event_id AND leaf_index - $base";
my $columns = join ', ', grep { !/^(?:event_id|recorded_at|txid)$/ }
	split /\n/, query("SELECT attname FROM pg_attribute WHERE attrelid = 'phi_audit.event'::regclass AND attnum > 0 ORDER BY attnum");
my $qualified = join ', ', map { "o.$_" } split /, /, $columns;
my $tail = "DELETE FROM phi_audit.event e USING phi_audit.leaf l WHERE l.event_id = e.event_id AND leaf_index >= $base + 20;
	DELETE FROM phi_audit.leaf WHERE leaf_index >= $base + 20";
# The log as it was under the checkpoint before the last: an old copy of its tables.
my $old_copy = "$tail; DELETE FROM phi_audit.checkpoint WHERE tree_size > $base + 20";
my $number_15 = $base + 15;
my $altered = "event $event[15] was altered";
my $offline = "^1: bad: event $event[15] was altered: leaf $number_15 does not give its hash";
my $nothing = qr/^t\|/;

# Each: the attack, what phi.audit_verify() says, what phi.audit_verify_sql() does, what phi_verify does.
my %attacks = (
	(map { ("a byte of $_->[0]" => [ "UPDATE phi_audit.event e SET $_->[0] = $_->[1] $of = 15",
			qr/^f\|$event[15]\|$altered/, qr/^f\|$event[15]\|/, qr/$offline/ ]) }
		[ actor => "overlay(actor PLACING 'x' FROM 1 FOR 1)" ], [ purpose => "'TREAU'" ], [ application_name => "'marker x'" ],
		[ subjects => 'ARRAY[subjects[1] # 1]' ], [ row_keys => "ARRAY['7']" ], [ columns => "'{name}'" ], [ row_count => 'row_count + 1' ],
		[ row_digests => 'set_byte(row_digests, 31, get_byte(row_digests, 31) # 1)' ], [ salt => 'set_byte(salt, 0, get_byte(salt, 0) # 128)' ],
		[ images => 'set_byte(images, octet_length(images) - 1, get_byte(images, octet_length(images) - 1) # 1)' ],
		[ transaction_time => "transaction_time + interval '1 microsecond'" ], [ outcome => "'denied'" ],
		[ relation_oid => '(relation_oid::bigint + 1)::oid' ], [ db_role => "db_role || ' '" ], [ detail => "''" ]),
	'an event in another transaction' => [ "UPDATE phi_audit.event e SET txid = (txid::text::bigint + 1)::text::xid8 $of = 15",
		qr/^f\|$event[15]\|$altered/, qr/^f\|$event[15]\|/, qr/$offline/ ],
	'an event at another time' => [ "UPDATE phi_audit.event e SET recorded_at = e.recorded_at + interval '1 ms' $of = 15",
		qr/^f\|$event[15]\|event $event[15] was altered: it has another time/, qr/^f\|$event[15]\|event $event[15] is missing/, qr/^1: bad: event $event[15] is missing/ ],
	'a byte of a leaf hash' => [ "UPDATE phi_audit.leaf SET leaf_hash = set_byte(leaf_hash, 5, get_byte(leaf_hash, 5) # 4) WHERE leaf_index = $base + 15",
		qr/^f\|$event[15]\|the leaf of event $event[15] was altered/, qr/^f\|$event[15]\|/, qr/$offline/ ],
	'an event deleted' => [ "DELETE FROM phi_audit.event WHERE event_id = $event[15]",
		qr/^f\|$event[15]\|event $event[15] is missing/, qr/^f\|$event[15]\|event $event[15] is missing/, qr/^1: bad: event $event[15] is missing/ ],
	'an event deleted with its leaf' => [ "DELETE FROM phi_audit.event WHERE event_id = $event[15]; DELETE FROM phi_audit.leaf WHERE event_id = $event[15]",
		qr/^f\|\|leaf $number_15 is missing/, qr/^f\|$event[16]\|leaf $number_15 is missing/, qr/^1: bad: leaf $number_15 is missing/ ],
	'an event deleted with its leaf, the leaves behind it moved up' => [ "DELETE FROM phi_audit.event WHERE event_id = $event[15];
			DELETE FROM phi_audit.leaf WHERE event_id = $event[15]; ALTER TABLE phi_audit.leaf DROP CONSTRAINT leaf_pkey;
			UPDATE phi_audit.leaf SET leaf_index = leaf_index - 1 WHERE leaf_index > $number_15",
		qr/^f\|$event[10]\|leaves \d+ to \d+ do not give the signed root/, qr/^f\|$event[10]\|/, qr/^1: bad: event $event[10] is the first that is not vouched for/ ],
	# An event without a leaf is in no export: there is nothing there that vouches for it.
	'an event made up' => [ "INSERT INTO phi_audit.event SELECT (jsonb_populate_record(e, '{\"event_id\": 7777777}')).* FROM phi_audit.event e WHERE event_id = $event[15]",
		qr/^f\|7777777\|event 7777777 has no leaf/, qr/^f\|7777777\|event 7777777 has no leaf/, qr/^0: good/ ],
	'two events in each other\'s place' => [ "UPDATE phi_audit.event e SET ($columns) = (SELECT $qualified FROM phi_audit.event o
			WHERE o.event_id = CASE e.event_id WHEN $event[15] THEN $event[17] ELSE $event[15] END) WHERE e.event_id IN ($event[15], $event[17])",
		qr/^f\|$event[15]\|$altered/, qr/^f\|$event[15]\|/, qr/$offline/ ],
	'two leaves in each other\'s place' => [ "ALTER TABLE phi_audit.leaf DROP CONSTRAINT leaf_pkey;
			UPDATE phi_audit.leaf SET leaf_index = 2 * $base + 32 - leaf_index WHERE leaf_index - $base IN (15, 17)",
		qr/^f\|$event[17]\|leaves were reordered/, qr/^f\|$event[10]\|/, qr/^1: bad: event $event[10] is the first that is not vouched for/ ],
	'the tail cut, events and leaves' => [ $tail, qr/^f\|\|leaves from \d+ on are missing/, qr/^f\|\|leaves from \d+ on are missing/, qr/^1: bad: / ],
	'the tail cut at a checkpoint' => [ $old_copy, qr/^f\|\|the log was cut: the newest checkpoint in phi.checkpoint_directory has $size leaves/, $nothing, qr/^1: bad: the log was cut/ ],
	'the events cut at a checkpoint, their leaves kept' => [ "DELETE FROM phi_audit.event e USING phi_audit.leaf l WHERE l.event_id = e.event_id AND leaf_index >= $base + 20",
		qr/^f\|$event[20]\|event $event[20] is missing/, qr/^f\|$event[20]\|event $event[20] is missing/, qr/^1: bad: event $event[20] is missing/ ],
	'no events at all' => [ 'DELETE FROM phi_audit.event', qr/^f\|\d+\|event \d+ is missing: leaf 0/, qr/^f\|\d+\|event \d+ is missing/, qr/^1: bad: event \d+ is missing: leaf 0/ ],
	'no log at all' => [ 'DELETE FROM phi_audit.event; DELETE FROM phi_audit.leaf; DELETE FROM phi_audit.checkpoint', qr/^f\|\|the log was cut/, $nothing, qr/^1: bad: the log was cut/ ],
	'a root' => [ "UPDATE phi_audit.checkpoint SET root = set_byte(root, 0, get_byte(root, 0) # 1) WHERE tree_size = $base + 20",
		qr/^f\|\|checkpoint \d+ was altered: its root/, qr/^f\|$event[10]\|/, qr/^0: good/ ], # the signed note says the true one
	'a signature' => [ "UPDATE phi_audit.checkpoint SET note = overlay(note PLACING CASE substr(note, length(note) - 9, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM length(note) - 9 FOR 1)
			WHERE tree_size = $base + 20",
		qr/^f\|(?:$event[10])?\|checkpoint \d+ was altered: its signature/, $nothing, qr/^(?:1: bad: |0: good: .* 3 checkpoints)/ ],
	'the size of a checkpoint' => [ "UPDATE phi_audit.checkpoint SET tree_size = tree_size - 1 WHERE tree_size = $base + 20",
		qr/^f\|.*\|checkpoint \d+ was altered/, qr/^f\|$event[10]\|/, qr/^1: bad: line \d+: the checkpoint/ ],
	'a stored tree' => [ "UPDATE phi_audit.checkpoint SET frontier = set_byte(frontier, 0, get_byte(frontier, 0) # 1) WHERE tree_size = $base + 20",
		qr/^f\|\|checkpoint \d+ was altered: its stored tree/, $nothing, qr/^0: good/ ],
	'the horizon of the last checkpoint, so that what comes is never sealed' => [ "UPDATE phi_audit.checkpoint SET horizon = (horizon::text::bigint + 1000000)::text::xid8
			WHERE tree_size = $size; SELECT phi.set_purpose('TREAT'); INSERT INTO person VALUES (5000, 'x')",
		qr/^f\|\d+\|event \d+ has no leaf/m, qr/^f\|\d+\|event \d+ has no leaf/m, qr/^[01]: / ],
	'the verifier key' => [ "UPDATE phi_audit.incarnation SET vkey = regexp_replace(vkey, '[^+]*\$', 'AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k')",
		qr/^f\|\|the log cannot be read: the verifier key of an incarnation of the audit log is damaged/, $nothing, qr/^[012]: / ],
);

foreach my $name (sort keys %attacks)
{
	my ($attack, $in_c, $in_sql, $elsewhere) = @{ $attacks{$name} };

	like(attacked($attack, 'SELECT ok, first_bad_event, problem FROM phi.audit_verify()'), $in_c, "found: $name");
	like(attacked($attack, 'SELECT ok, first_bad_event, problem FROM phi.audit_verify_sql()'), $in_sql, 'and by SQL alone');
	next unless $ENV{PHI_VERIFY};
	like(verified_offline($attack), $elsewhere, 'and offline');
}

# Where the tree is shorter than what was signed, or another, nothing is signed any further, though there is something to seal.
query("$purpose; INSERT INTO person VALUES (6000, 'x')");
my $all_sealed = 'DELETE FROM phi_audit.event e USING phi_audit.leaf l WHERE l.event_id = e.event_id; DELETE FROM phi_audit.leaf; DELETE FROM phi_audit.checkpoint';
my %refused = (
	'the tail cut' => [ $tail, 'does not match its last checkpoint' ],
	'a leaf at the end cut' => [ "DELETE FROM phi_audit.leaf WHERE leaf_index = $size - 1", 'does not match its last checkpoint' ],
	'a leaf added' => [ "INSERT INTO phi_audit.leaf SELECT $size, 7777777, recorded_at, leaf_hash FROM phi_audit.leaf WHERE leaf_index = 3", 'does not match its last checkpoint' ],
	'the tail cut at a checkpoint' => [ $old_copy, 'does not contain the newest checkpoint' ],
	'everything cut' => [ $all_sealed, 'does not contain the newest checkpoint' ],
	'a last leaf rewritten with tree and root' => [ "DELETE FROM phi_audit.checkpoint WHERE tree_size > $base + 20; DELETE FROM phi_audit.leaf WHERE leaf_index >= $base + 20;
			UPDATE phi_audit.event SET actor = 'x' WHERE event_id = $event[25]", 'does not contain the newest checkpoint' ],
	map { ("the last $_->[0]" => [ "UPDATE phi_audit.checkpoint SET $_->[0] = $_->[1] WHERE tree_size = $size", 'does not match its last checkpoint' ]) }
		[ root => 'set_byte(root, 0, get_byte(root, 0) # 1)' ], [ frontier => 'set_byte(frontier, 0, get_byte(frontier, 0) # 1)' ],
		[ note => "replace(note, E'\n$size\n', E'\n' || $size - 1 || E'\n')" ], [ incarnation => "incarnation || 'x'" ],
);
foreach my $name (sort keys %refused)
{
	like(attacked($refused{$name}[0], 'SELECT phi.audit_seal()'), qr/cannot seal: the audit log $refused{$name}[1]/, "not signed any further: $name");
}
cmp_ok(query('SELECT phi.audit_seal()'), '>', 0, 'and what is as it was is');
is(query('SELECT ok, problem FROM phi.audit_verify()'), 't|', 'the log itself is as it was');
$node->stop;

# ---- by bytes of a file, the server stopped ----

# One value of each kind of table: the query of its bytes, in hexadecimal, file and block; and which byte of it is turned.
my %bytes = (
	payload => "SELECT encode(application_name::bytea, 'hex'), pg_relation_filepath(tableoid), (ctid::text::point)[0] FROM phi_audit.event WHERE event_id = %s",
	salt => "SELECT encode(salt, 'hex'), pg_relation_filepath(tableoid), (ctid::text::point)[0] FROM phi_audit.event WHERE event_id = %s",
	leaf => "SELECT encode(leaf_hash, 'hex'), pg_relation_filepath(tableoid), (ctid::text::point)[0] FROM phi_audit.leaf WHERE event_id = %s",
	root => "SELECT encode(root, 'hex'), pg_relation_filepath(tableoid), 0 FROM phi_audit.checkpoint WHERE tree_size > %s - %1\$s ORDER BY tree_size DESC LIMIT 1",
	note => "SELECT encode(note::bytea, 'hex'), pg_relation_filepath(tableoid), 0 FROM phi_audit.checkpoint WHERE tree_size > %s - %1\$s ORDER BY tree_size DESC LIMIT 1",
);
my %first_on_page = (
	payload => 'SELECT event_id FROM phi_audit.leaf JOIN phi_audit.event e USING (event_id, recorded_at) WHERE (e.ctid::text::point)[0] = %s ORDER BY leaf_index LIMIT 1',
	leaf => 'SELECT event_id FROM phi_audit.leaf l WHERE (l.ctid::text::point)[0] = %s ORDER BY leaf_index LIMIT 1',
);
$first_on_page{salt} = $first_on_page{payload};
my $plain = make_node('unchecked', $node->pg_version >= 18 ? '--no-data-checksums' : ());
foreach my $case ([ $node, 'with page checksums' ], [ $plain, 'without' ])
{
	my ($server, $how) = @$case;

	$server->start if $server == $node;
	my $event = $server->safe_psql('postgres', 'SELECT event_id FROM phi_audit.leaf ORDER BY leaf_index DESC OFFSET 14 LIMIT 1');
	foreach my $kind (sort keys %bytes)
	{
		my ($hex, $path, $block) = split /\|/, $server->safe_psql('postgres', sprintf $bytes{$kind}, $event);
		my $value = pack 'H*', $hex;
		my $first = exists $first_on_page{$kind} ? $server->safe_psql('postgres', sprintf $first_on_page{$kind}, $block) : '';

		$server->safe_psql('postgres', 'CHECKPOINT');
		$server->stop;
		my $file = $server->data_dir . "/$path";
		my $whole = slurp_file($file);
		my $at = index($whole, $value, 8192 * $block);
		# The last byte of a note is its newline: that one is let be.
		my $turned = $at + length($value) - 3;
		my $edited = $whole;
		substr($edited, $turned, 1) = chr(ord(substr $edited, $turned, 1) ^ 1);
		write_bytes($file, $edited);
		$server->start;
		my $found = $server->safe_psql('postgres', 'SELECT ok, first_bad_event, problem FROM phi.audit_verify()');
		my $expected = $how eq 'without'
		  ? { payload => qr/^f\|$event\|event $event was altered/, salt => qr/^f\|$event\|event $event was altered/,
			leaf => qr/^f\|$event\|the leaf of event $event was altered/, root => qr/^f\|\|checkpoint \d+ was altered/,
			note => qr/^f\|\d+\|checkpoint \d+ was altered/ }->{$kind}
		  : { payload => qr/^f\|$first\|event $first cannot be read, in phi_audit.event_y\d+m\d+: invalid page in block $block /,
			salt => qr/^f\|$first\|event $first cannot be read, in phi_audit.event_y\d+m\d+: invalid page in block $block /,
			leaf => qr/^f\|$first\|leaf \d+ cannot be read: invalid page in block $block /,
			root => qr/^f\|\|the log cannot be read: invalid page in block 0 /, note => qr/^f\|\|the log cannot be read: invalid page in block 0 / }->{$kind};
		like($found, $expected, "$how: a byte of a $kind in the file");
		$server->stop;
		write_bytes($file, $whole);
		$server->start;
	}
	foreach my $kind (qw(payload leaf))
	{
		my ($hex, $path, $block) = split /\|/, $server->safe_psql('postgres', sprintf $bytes{$kind}, $event);
		my $first = $server->safe_psql('postgres', $first_on_page{$kind} =~ s/= %s/>= $block/r);
		my $table = $kind eq 'leaf' ? 'leaf' : 'event_y';

		$server->safe_psql('postgres', 'CHECKPOINT');
		$server->stop;
		my $file = $server->data_dir . "/$path";
		my $whole = slurp_file($file);
		write_bytes($file, substr $whole, 0, 8192 * $block);
		$server->start;
		like($server->safe_psql('postgres', 'SELECT ok, first_bad_event, problem FROM phi.audit_verify()'),
			$kind eq 'leaf' ? qr/^f\|(?:$first)?\|lea(?:f|ves from) \d+ (?:on are missing|is missing|cannot be read)/
			: qr/^f\|$first\|event $first (?:is missing|cannot be read)/, "$how: the file of $table* cut");
		$server->stop;
		unlink $file;
		$server->start;
		like($server->safe_psql('postgres', 'SELECT ok, problem FROM phi.audit_verify()'), qr/^f\|(?:event \d+|leaf \d+|the log) cannot be read.*could not open file/,
			"$how: the file of $table* gone");
		$server->stop;
		write_bytes($file, $whole);
		$server->start;
	}
	is($server->safe_psql('postgres', 'SELECT ok, problem FROM phi.audit_verify()'), 't|', "$how: put back it is good");
	$server->stop;
}

sub write_bytes
{
	my ($name, $content) = @_;

	open my $out, '>:raw', $name or die "$name: $!";
	print $out $content;
	close $out or die "$name: $!";
	return;
}

done_testing();
