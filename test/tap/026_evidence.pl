# Evidence outside the database: signed checkpoints as openssl sees them, the checkpoint directory, old
# copies and promotions, files edited by bytes, exports under phi_verify, archive and erasure.

use strict;
use warnings;
use File::Path qw(make_path remove_tree);
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('evidence', allows_streaming => 1, conf => "fsync = off\nphi.audit_seal_interval = 0\nphi.audit_reads = off\n");
my $kept = $node->basedir . '/checkpoints';
my $work = $node->basedir . '/work';
make_path($kept, $work, { mode => 0755 });
$node->start;

sub query
{
	my ($sql, $on) = @_;
	return ($on // $node)->safe_psql('postgres', $sql);
}

sub error_of
{
	my ($sql, $on) = @_;
	return (($on // $node)->psql('postgres', $sql))[2];
}

sub write_file
{
	my ($name, $content) = @_;
	open my $out, '>:raw', "$work/$name" or die "$name: $!";
	print $out $content;
	close $out or die "$name: $!";
	return "$work/$name";
}

# What the offline verifier says of files: its status and its line.
sub phi_verify
{
	my ($out, $err) = ('', '');
	IPC::Run::run([ $ENV{PHI_VERIFY}, @_ ], '>', \$out, '2>', \$err);
	return ($? >> 8) . ": $out$err";
}

my $purpose = "SELECT phi.set_purpose('TREAT')";
query(q{
	CREATE EXTENSION phi_guard CASCADE;
	SELECT phi.install_default_rules();
	SELECT phi.enroll(session_user::regrole, 'dr.evidence', '{clinician}', '{TREAT}');
	CREATE TABLE person (id bigint PRIMARY KEY, name text);
	SELECT phi.classify('person', 'name', 'name');
	SELECT phi.protect('person', subject => 'id');
});

# ---- the directory ----

like(error_of('SELECT phi.audit_public_key()'), qr/no signing key yet/, 'no key before the first checkpoint');
for my $case ([ 'checkpoints', 'its path is relative' ], [ $node->data_dir, 'inside the data directory' ])
{
	wait_for_setting($node, 'phi.checkpoint_directory', $case->[0]);
	like(error_of('SELECT phi.audit_seal()'), qr/cannot be used: .*$case->[1]/, "refused: $case->[1]");
}
wait_for_setting($node, 'phi.checkpoint_directory', $kept);
chmod 0777, $kept;
like(error_of('SELECT phi.audit_seal()'), qr/lets others write/, 'refused: a directory that others can write to');
chmod 0755, $kept;
my $base = query('SELECT phi.audit_seal()');
my ($latest) = glob "$kept/*.latest";
my ($archive) = glob "$kept/*.checkpoints";
is(slurp_file($latest), query('SELECT phi.audit_checkpoint()'), 'the newest checkpoint is in the directory');
is((stat $latest)[2] & 0777, 0644, 'readable for a collector');
for my $round (1 .. 3)
{
	query(join ';', $purpose, map { "INSERT INTO person VALUES ($round * 10 + $_, 'x')" } 1 .. 5);
	query('SELECT phi.audit_seal()');
}
my $size = $base + 15;
is(scalar(() = slurp_file($archive) =~ /^\x{e2}\x{80}\x{94} /gm), 4, 'every checkpoint is in the archive');
is(query('SELECT ok, events, checkpoints FROM phi.audit_verify()'), "t|$size|4", 'the log verifies');

# ---- the signature, without any code of ours ----

my $vkey = query('SELECT phi.audit_public_key()');
my $note = slurp_file($latest);
my ($text, $signature) = $note =~ /^(.*\n)\n\x{e2}\x{80}\x{94} \S+ (\S+)\n$/s;
my $key = decode_base64((split /\+/, $vkey, 3)[2]);
SKIP:
{
	skip 'no openssl command', 2 unless `openssl version 2>&1` =~ /OpenSSL/;
	my $der = write_file('key.der', pack('H*', '302a300506032b6570032100') . substr($key, 1));
	my $sig = write_file('sig', substr(decode_base64($signature), 4));
	my @command = ('openssl', 'pkeyutl', '-verify', '-pubin', '-keyform', 'DER', '-inkey', $der, '-rawin', '-sigfile', $sig, '-in');
	command_ok([ @command, write_file('text', $text) ], 'openssl pkeyutl verifies a checkpoint');
	command_fails([ @command, write_file('text', $text =~ s/^(.*\n)\d/${1}9/r) ], 'and refuses another size');
}

# ---- exports under the offline verifier ----

my $export = query('SELECT * FROM phi.audit_export()') . "\n";
query('SELECT phi.audit_seal()');
$size++;
SKIP:
{
	skip 'PHI_VERIFY is not set', 24 unless $ENV{PHI_VERIFY};
	my $file = write_file('export', $export);
	my @lines = split /(?<=\n)/, $export;
	my ($first) = grep { $lines[$_] =~ /^\{"leaf":$base,/ } 0 .. $#lines;
	my $event = ($lines[ $first + 3 ] =~ /"event_id":(\d+)/)[0];

	like(phi_verify($file), qr/^0: good: leaves 0 to \d+, 4 checkpoints, .*those of the export itself/, 'an export is good');
	like(phi_verify('--key', $vkey, '--checkpoints', $archive, $file), qr/^0: good: .* 4 kept elsewhere agree, 1 larger.*as given/,
		'with the key and the checkpoints of the directory');
	like(phi_verify('--key', $vkey, '--checkpoints', $archive, '--complete', $file), qr/^1: bad: the log was cut/,
		'an export that ends before the newest checkpoint is not complete');
	like(phi_verify('--key', 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k', $file),
		qr/^1: bad: event 1 is the first under no checkpoint of a trusted key/, 'another key confirms nothing');
	like(phi_verify('--key', 'nonsense', $file), qr/^2: phi_verify: not a verifier key/, 'no key');
	my $part = write_file('part', query("SELECT phi.audit_export(recorded_at) FROM phi_audit.event JOIN phi_audit.leaf USING (event_id, recorded_at)
		WHERE leaf_index = $base + 7") . "\n");
	my ($from, $to) = ($base + 5, $size - 1);
	like(phi_verify('--key', $vkey, '--checkpoints', $archive, $part), qr/^0: good: leaves $from to \d+, .* kept elsewhere agree/, 'a part of the log is checked alone');
	like(phi_verify($part), qr/^0: good: leaves $from /, 'with the keys that it names as well');
	like(phi_verify('--key', $vkey, write_file('edited', slurp_file($part) =~ s/("tree":")(.)/$1 . ($2 eq '0' ? '1' : '0')/er)),
		qr/^1: bad: /, 'and not with another tree before it');
	like(phi_verify("$work/none"), qr/^2: phi_verify: cannot open/, 'no file');

	# Each edit of the lines; the event or leaf that must be named.
	my $leaf = $base + 3;
	my %edits = (
		'a word of the JSON' => [ sub { $_[3] =~ s/dr\.evidence/dr.somebody/ }, "event $event was altered" ],
		'a byte of the leaf' => [ sub { $_[3] =~ s/("data":"AQEAAAAIAAAAAAAA.{60})(.)/$1 . ($2 eq 'A' ? 'B' : 'A')/e }, "event $event was altered|leaf $leaf was altered" ],
		'a hash' => [ sub { $_[3] =~ s/("hash":")(.)/$1 . ($2 eq '0' ? '1' : '0')/e }, "event $event was altered" ],
		'a line removed' => [ sub { splice @_, 3, 1; @_ }, "leaf $leaf is missing" ],
		'a line twice' => [ sub { splice @_, 3, 0, $_[3]; @_ }, 'leaf ' . ($leaf + 1) . ' is missing' ],
		'two lines swapped' => [ sub { @_[ 3, 4 ] = @_[ 4, 3 ]; @_ }, "leaf $leaf is missing" ],
		'two lines swapped and numbered anew' => [ sub {
			@_[ 3, 4 ] = @_[ 4, 3 ]; $_[3] =~ s/"leaf":\d+/"leaf":$leaf/; $_[4] =~ s/"leaf":\d+/'"leaf":' . ($leaf + 1)/e; @_ },
			'is the first that is not vouched for' ],
		'an event put for another' => [ sub { $_[3] = $_[4] =~ s/"leaf":\d+/"leaf":$leaf/r; @_ }, 'is the first that is not vouched for' ],
		'an event made out to be erased' => [ sub {
			$_[3] =~ s/"hash":"[0-9a-f]+".*/'"hash":"' . '0' x 64 . "\",\"event_id\":$event,\"gone\":\"erased\"}"/e },
			'is the first that is not vouched for' ],
		'a checkpoint removed' => [ sub { grep { !/^\{"checkpoint"/ } @_ }, 'is the first under no checkpoint' ],
		'a member added' => [ sub { $_[3] =~ s/\}\}$/},"x":1}/ }, 'is none of an export' ],
	);
	for my $name (sort keys %edits)
	{
		my @edited = @lines[ $first .. $#lines ];
		my @result = $edits{$name}[0]->(@edited);
		@edited = @result if @result > 1;
		like(phi_verify('--key', $vkey, write_file('edited', join '', @lines[ 0 .. $first - 1 ], @edited)),
			qr/^1: bad: .*(?:$edits{$name}[1])/, "found: $name");
	}

	my $proof = write_file('proof', query("SELECT phi.audit_proof($event)") . "\n");
	like(phi_verify('--key', $vkey, '--proof', $proof), qr/^0: good: leaf $leaf of $size.*"event_id":$event,/s, 'the proof of an event');
	like(phi_verify('--key', $vkey, '--proof', write_file('proof', slurp_file($proof) =~ s/index $leaf/index 3/r)),
		qr/^1: bad: the event is not in the signed tree/, 'at another place it is none');
	my $before = write_file('before', query("SELECT note FROM phi_audit.checkpoint WHERE tree_size = $base + 5"));
	my $extends = write_file('extends', query("SELECT phi.audit_consistency($base + 5, $size)"));
	like(phi_verify('--key', $vkey, '--old', $before, '--consistency', $extends), qr/^0: good: $size leaves extend/, 'a later checkpoint extends an earlier one');
	like(phi_verify('--key', $vkey, '--old', $latest, '--consistency', $extends), qr/^1: bad: the newer tree/, 'and no other');
}

# ---- a log cut at a checkpoint ----

my $unguarded = join ';', map { "ALTER TABLE phi_audit.$_ DISABLE TRIGGER USER" } qw(event leaf checkpoint);
my $cut = "BEGIN; SET client_min_messages = error; $unguarded; DELETE FROM phi_audit.event e USING phi_audit.leaf l
	WHERE l.event_id = e.event_id AND leaf_index >= $base + 10; DELETE FROM phi_audit.leaf WHERE leaf_index >= $base + 10;
	DELETE FROM phi_audit.checkpoint WHERE tree_size > $base + 10;";
query("$purpose; INSERT INTO person VALUES (1000, 'x')");
is(query("$cut SELECT ok, problem FROM phi.audit_verify(); ROLLBACK"),
	"f|the log was cut: the newest checkpoint in phi.checkpoint_directory has $size leaves, the log has " . ($base + 10),
	'the directory shows that the log was cut');
like(error_of("$cut SELECT phi.audit_seal()"), qr/does not contain the newest checkpoint/, 'and such a log is not signed');

# ---- an old copy of the data directory ----

$node->stop;
my $copy = $node->basedir . '/old_copy';
system_or_bail('cp', '-a', $node->data_dir, $copy);
$node->start;
query("$purpose; INSERT INTO person VALUES (1001, 'x')");
query('SELECT phi.audit_seal()');
$node->stop;
remove_tree($node->data_dir);
system_or_bail('cp', '-a', $copy, $node->data_dir);
$node->start;
like(query('SELECT problem FROM phi.audit_verify()'), qr/^the log was cut: /, 'an old copy is found');
query("$purpose; INSERT INTO person VALUES (1002, 'x')");
like(error_of('SELECT phi.audit_seal()'), qr/does not contain the newest checkpoint/, 'and not signed');
like(error_of("SELECT phi.audit_new_incarnation('')"), qr/needs a reason/, 'going on needs a reason');
isnt(query("SELECT phi.audit_new_incarnation('restored from the copy')"), (split /\+/, $vkey)[0], 'and is another line of history');
query('SELECT phi.audit_seal()');
is(query('SELECT ok, problem FROM phi.audit_verify()'), 't|', 'then the log goes on');
is(scalar(() = slurp_file($latest) =~ /^\x{e2}\x{80}\x{94} /gm), 2, 'its first checkpoint is signed by the one before as well');
SKIP:
{
	skip 'PHI_VERIFY is not set', 1 unless $ENV{PHI_VERIFY};
	my $file = write_file('export', query('SELECT * FROM phi.audit_export()') . "\n");
	like(phi_verify('--key', $vkey, $file), qr/^0: good: .*as given/, 'who trusts the old key follows to the new one');
}

# ---- a promoted standby ----

query('SELECT phi.audit_seal()');
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('evidence_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "phi.checkpoint_directory = ''");
$standby->start;
query("$purpose; INSERT INTO person VALUES (1003, 'x')");
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(query('SELECT ok, problem FROM phi.audit_verify()', $standby), 't|', 'a standby verifies');
$standby->promote;
query('SELECT phi.audit_seal()', $standby);
my ($ours, $theirs) = map { query('SELECT incarnation FROM phi_audit.incarnation ORDER BY number DESC LIMIT 1', $_) } $node, $standby;
isnt($theirs, $ours, 'after its promotion it signs as another');
like($theirs, qr{/2-[0-9a-f]{8}$}, 'with its timeline');
is(query('SELECT ok, problem FROM phi.audit_verify()', $standby), 't|', 'and its log goes on');
$standby->stop;

# ---- bytes of a table's file: whoever writes them puts the page's checksum right, too ----

query('SELECT phi.audit_seal()');
query("SET application_name = 'changed by bytes'; $purpose; INSERT INTO person VALUES (1005, 'x')");
query('SELECT phi.audit_seal()');
my ($victim, $path) = split /\|/, query(q{SELECT e.event_id, pg_relation_filepath(e.tableoid) FROM phi_audit.event e
	WHERE e.application_name = 'changed by bytes'});
$node->stop;
my $whole = slurp_file($node->data_dir . "/$path");
my $at = index($whole, 'changed by bytes');
ok($at > 0, 'the event is found in the file');
open my $raw, '+<:raw', $node->data_dir . "/$path" or die "$path: $!";
seek $raw, $at, 0;
print $raw 'CHANGED';
close $raw;
$node->append_conf('postgresql.conf', 'ignore_checksum_failure = on');
$node->start;
is(query('SELECT ok, first_bad_event, problem FROM phi.audit_verify()'),
	"f|$victim|event $victim was altered: it does not agree with its leaf", 'a word changed in the file is named');
$node->stop;
open $raw, '+<:raw', $node->data_dir . "/$path" or die "$path: $!";
seek $raw, $at, 0;
print $raw 'changed';
close $raw;
$node->start;
is(query('SELECT ok FROM phi.audit_verify()'), 't', 'put back it is good');

# ---- erasure, holds, archive ----

query("$purpose; INSERT INTO person SELECT 2000 + n, 'x' FROM generate_series(1, 3) n; UPDATE person SET name = 'y' WHERE id = 2001");
query('SELECT phi.audit_seal()');
query("$purpose; UPDATE person SET name = 'z' WHERE id = 2001");
is(query("SELECT * FROM phi.audit_erase_range('asked', '2001')"), '1|1|1', 'of a subject what is about it alone is erased, and what is sealed');
like(error_of("SELECT phi.audit_erase_rows(ARRAY(SELECT event_id FROM phi_audit.event WHERE salt IS NOT NULL ORDER BY event_id DESC LIMIT 1), 'x')"),
	qr/is not sealed/, 'what is not sealed is not erased');
query('SELECT phi.audit_seal()');
is(query("SELECT * FROM phi.audit_erase_range('asked', '2001')"), '1|1|0', 'later the rest');
is(query("SELECT * FROM phi.audit_erase_range('asked', '2001', shared => true)"), '1|0|0', 'and what is about others as well where that is meant');
is(query('SELECT ok, erased FROM phi.audit_verify()'), 't|3', 'the log verifies');

my $hold = query("SELECT phi.legal_hold('case 17', subject => '11')");
my $held = query(q{SELECT event_id FROM phi.disclosures('11') WHERE action = 'insert'});
like(error_of("SELECT phi.audit_erase($held, 'asked')"), qr/under legal hold $hold/, 'an event under hold is not erased');
query("SELECT phi.release_hold($hold, 'closed')");
query("SELECT phi.audit_erase($held, 'asked')");
is(query("SELECT actor IS NULL AND salt IS NULL AND subjects IS NULL, action FROM phi_audit.event WHERE event_id = $held"),
	't|erased', 'an erased event says nothing');
is(query('SELECT ok, erased FROM phi.audit_verify()'), 't|4', 'and is reported as erased');
query('SELECT phi.audit_seal()');

# A month of long ago, made with the guards off.
query(q{SET client_min_messages = error; BEGIN;
	CREATE TABLE phi_audit.event_y2019m01 PARTITION OF phi_audit.event FOR VALUES FROM ('2019-01-01 00:00Z') TO ('2019-02-01 00:00Z');
	ALTER TABLE phi_audit.event DISABLE TRIGGER USER;
	INSERT INTO phi_audit.event SELECT (jsonb_populate_record(e, jsonb_build_object('event_id', nextval('phi_audit.event_id_seq'),
		'recorded_at', '2019-01-' || n || ' 12:00Z', 'txid', pg_current_xact_id(), 'row_keys', NULL))).*
		FROM phi_audit.event e, generate_series(10, 19) n
		WHERE e.event_id = (SELECT min(i.event_id) FROM phi_audit.event i WHERE i.action = 'insert');
	ALTER TABLE phi_audit.event ENABLE ALWAYS TRIGGER "~phi_log_guard";
	ALTER TABLE phi_audit.event ENABLE ALWAYS TRIGGER "~phi_no_truncate";
	ALTER TABLE phi_audit.event_y2019m01 ENABLE ALWAYS TRIGGER "~phi_log_guard"; COMMIT});
my $go = "SELECT phi.audit_archive('2019-01-15')";
is(query('SELECT phi.audit_maintain()'), 1, 'the subjects of a month that is over are indexed');
is(query('SELECT phi.audit_maintain()'), 0, 'once');
like(error_of("SELECT phi.audit_archive('2018-01-15')"), qr/has no month 2018-01/, 'a month that is not there');
like(error_of('SELECT phi.audit_archive(current_date)'), qr/is not older than/, 'a young month stays');
like(error_of($go), qr/has events that are not sealed/, 'a month that is not sealed stays');
query('SELECT phi.audit_seal()');
like(error_of($go), qr/is not exported/, 'a month that is not exported stays');
is(query("SELECT count(*) FROM phi.audit_export('2019-01-01Z', '2019-02-01Z') l WHERE l ~ '^.\"leaf'") >= 10, 1, 'its export has its events');
$hold = query("SELECT phi.legal_hold('case 18', month => '2019-01-31')");
like(error_of($go), qr/under legal hold $hold/, 'a month under hold stays');
query("SELECT phi.release_hold($hold, 'closed')");
is(query("SET client_min_messages = error; $go"), 'phi_audit.archived_y2019m01', 'then it goes');
like(error_of('DELETE FROM phi_audit.archived_y2019m01'), qr/cannot delete from the audit log/, 'under guard as before');
query('SET client_min_messages = error; SELECT phi.audit_seal(); DROP TABLE phi_audit.archived_y2019m01; SELECT phi.audit_seal()');
is(query('SELECT ok, erased, archived FROM phi.audit_verify()'), 't|4|10', 'the log verifies without it');
is(query('SELECT ok FROM phi.audit_verify_sql()'), 't', 'in SQL alone as well');
SKIP:
{
	skip 'PHI_VERIFY is not set', 1 unless $ENV{PHI_VERIFY};
	my $file = write_file('export', query('SELECT * FROM phi.audit_export()') . "\n");
	like(phi_verify('--key', $vkey, $file), qr/^0: good: .* 14 events gone/, 'so does its export');
}
like(query("SET client_min_messages = error; BEGIN; $unguarded; DELETE FROM phi_audit.event WHERE action = 'audit_archive';
		SELECT ok, problem FROM phi.audit_verify(); ROLLBACK"), qr/^f\|event \d+ is missing/, 'without the event of the archive it would not');

# An event that says so lets nothing go unless phi_guard signed it: an attacker has no key for it.
my $forge = qq{SET client_min_messages = error; BEGIN; $unguarded;
	INSERT INTO phi_audit.event SELECT (jsonb_populate_record(e, jsonb_build_object('event_id', nextval('phi_audit.event_id_seq'),
		'recorded_at', clock_timestamp(), 'txid', pg_current_xact_id()) || %s)).*
		FROM phi_audit.event e WHERE e.event_id = (SELECT min(i.event_id) FROM phi_audit.event i WHERE i.action = 'insert' AND i.salt IS NOT NULL);
	};
my $verdict = 'SELECT ok, first_bad_event, problem, (SELECT s.ok FROM phi.audit_verify_sql() s) FROM phi.audit_verify(); ROLLBACK';

sub forged
{
	my ($change, $then) = @_;
	return query(sprintf($forge, $change) . ($then // '') . $verdict);
}
my $made_up = "{\"recorded_at\": \"2019-02-10 12:00Z\"}";
query(q{SET client_min_messages = error; CREATE TABLE phi_audit.event_y2019m02 PARTITION OF phi_audit.event FOR VALUES FROM ('2019-02-01 00:00Z') TO ('2019-03-01 00:00Z')});
query(sprintf($forge, "'$made_up'::jsonb") . 'COMMIT; SELECT phi.audit_seal()');
is(query('SELECT ok FROM phi.audit_verify()'), 't', 'an old event');
my $old = query("SELECT event_id FROM phi_audit.event WHERE recorded_at < '2020-01-01'");
my $whole_month = q{'{"action": "audit_archive", "row_keys": ["2019-02"]}'::jsonb};
like(forged($whole_month, "DELETE FROM phi_audit.event WHERE recorded_at < '2020-01-01';"), qr/^f\|$old\|event $old is missing: leaf \d+ has no event\|t$/,
	'a whole month taken out under a record that was made up is missing; SQL alone cannot tell');
like(forged($whole_month), qr/^f\|\d+\|event \d+ was made up: .* is not signed/, 'the record itself is found');
like(forged("(SELECT to_jsonb(a) - '{event_id,recorded_at,txid}'::text[] || jsonb_build_object('row_keys', a.row_keys || '2019-02 0 9 1 00'::text)
		FROM phi_audit.event a WHERE a.action = 'audit_archive')", "DELETE FROM phi_audit.event WHERE recorded_at < '2020-01-01';"),
	qr/^f\|$old\|event $old is missing/, 'the signature of a true record signs no other months');
like(forged("(SELECT to_jsonb(a) - '{event_id,recorded_at,txid}'::text[] FROM phi_audit.event a WHERE a.action = 'audit_archive')",
		"DELETE FROM phi_audit.event WHERE event_id = $victim; UPDATE phi_audit.leaf SET recorded_at = '2019-01-10 12:00Z' WHERE event_id = $victim;"),
	qr/^f\|$victim\|event $victim is missing/, 'an event is not put into a month that is archived');
like(query("SET client_min_messages = error; BEGIN; $unguarded; UPDATE phi_audit.leaf SET recorded_at = '2019-01-11 13:00Z'
		WHERE event_id = (SELECT event_id FROM phi_audit.leaf WHERE recorded_at < '2019-01-31' ORDER BY leaf_index OFFSET 2 LIMIT 1); $verdict"),
	qr/^f\|\|leaves between \d+ and \d+ are not those of archived month 2019-01/, 'nor are its leaves altered');
my $target = query("SELECT max(event_id) FROM phi_audit.event JOIN phi_audit.leaf USING (event_id, recorded_at) WHERE action = 'insert' AND salt IS NOT NULL");
like(forged("jsonb_build_object('action', 'audit_erase', 'row_keys', ARRAY['$target'])",
		"UPDATE phi_audit.event SET (actor, salt, subjects, row_keys, row_digests, action) = (NULL, NULL, NULL, NULL, NULL, 'erased') WHERE event_id = $target;"),
	qr/^f\|$target\|event $target was altered.*\|t$/, 'an erasure that was made up is found');
foreach my $month ("to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM')", 'NULL::text')
{
	like(forged("jsonb_build_object('action', 'audit_archive', 'row_keys', ARRAY[$month])", "DELETE FROM phi_audit.event WHERE event_id = $target;"),
		qr/^f\|$target\|event \d+ is missing.*\|f$/m, "an event that archives $month lets no event go");
}
SKIP:
{
	skip 'PHI_VERIFY is not set', 3 unless $ENV{PHI_VERIFY};
	my $out = query(sprintf($forge, $whole_month) . "DELETE FROM phi_audit.event WHERE recorded_at < '2020-01-01'; SELECT phi.audit_export(); ROLLBACK");
	my $file = write_file('export', "$out\n");
	like(phi_verify('--key', $vkey, $file), qr/^1: bad: event $old is missing: .*no signed record/, 'nor does an export say that it was archived');
	$file = write_file('export', ($out =~ s/"gone":"missing"/"gone":"archived"/r) . "\n");
	like(phi_verify('--key', $vkey, $file), qr/^0: good: .* 15 events gone/, 'edited to say so it can be told by the number that is gone');
	like(phi_verify('--key', $vkey, '--whole', $file), qr/^1: bad: event \d+ is gone: leaf \d+ says erased/, 'or by asking for all');
}
$node->stop;
done_testing();
