# What a superuser does to the audit log after taking the guards away: phi.audit_verify() names the
# event and says what was done, and phi.audit_seal() refuses to go on.  Every attack is rolled back.

use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('tamper', conf => "fsync = off\nphi.audit_seal_interval = 0\nphi.audit_reads = off\nphi.disclosure_audit = log\n");
$node->start;

# The leaf of an event in SQL alone, as docs/audit-log.md gives it.
my $leaf_in_sql = q{
	CREATE FUNCTION field(tag integer, value bytea) RETURNS bytea LANGUAGE sql IMMUTABLE
		RETURN coalesce(set_byte('\x00', 0, tag) || int4send(octet_length(value)) || value, '');
	CREATE FUNCTION utf8(value text) RETURNS bytea LANGUAGE sql IMMUTABLE
		RETURN convert_to(value, 'UTF8');
	CREATE FUNCTION texts(list text[]) RETURNS bytea LANGUAGE sql IMMUTABLE
		RETURN int4send(cardinality(list)) || coalesce((SELECT string_agg(
			int4send(octet_length(utf8(t))) || utf8(t), '' ORDER BY n) FROM unnest(list) WITH ORDINALITY u (t, n)), '');
	CREATE FUNCTION numbers(list bigint[]) RETURNS bytea LANGUAGE sql IMMUTABLE
		RETURN int4send(cardinality(list)) || coalesce((SELECT string_agg(int8send(t), '' ORDER BY n)
			FROM unnest(list) WITH ORDINALITY u (t, n)), '');
	CREATE FUNCTION leaf_hash(e phi_audit.event) RETURNS bytea LANGUAGE sql STABLE
		RETURN sha256('\x00'::bytea || '\x01' ||
			field(1, int8send(e.event_id)) || field(2, timestamptz_send(e.recorded_at)) ||
			field(3, timestamptz_send(e.transaction_time)) || field(4, xid8send(e.txid)) ||
			field(5, utf8(e.actor)) || field(6, utf8(e.db_role)) || field(7, utf8(e.current_role_name)) ||
			field(8, texts(e.workforce_roles)) || field(9, utf8(e.organization)) ||
			field(10, utf8(e.token_id)) || field(11, utf8(e.purpose)) || field(12, int8send(e.consent_id)) ||
			field(13, utf8(e.reason)) || field(14, int8send(e.break_glass_id)) || field(15, utf8(e.action)) ||
			field(16, utf8(e.outcome)) || field(17, utf8(e.relation)) || field(18, oidsend(e.relation_oid)) ||
			field(19, texts(e.columns)) || field(20, int4send(e.row_count)) || field(21, numbers(e.subjects)) ||
			field(22, texts(e.row_keys)) || field(23, e.row_digests) || field(24, utf8(e.detail)) ||
			field(25, inet_send(e.client_address)) || field(26, utf8(e.application_name)) || field(27, e.salt) ||
			field(28, CASE WHEN octet_length(e.images) = 33 THEN substr(e.images, 2) ELSE sha256(e.images) END));
};

# The peaks and the root of the tree of the first leaves, for an attacker who can do sums.
my $tree_in_sql = q{
	CREATE FUNCTION tree_peaks(size bigint) RETURNS bytea[] LANGUAGE plpgsql AS $$
	DECLARE peaks bytea[] := '{}'; l record; hash bytea; rest bigint;
	BEGIN
		FOR l IN SELECT leaf_index, leaf_hash FROM phi_audit.leaf WHERE leaf_index < size ORDER BY 1 LOOP
			hash := l.leaf_hash; rest := l.leaf_index;
			WHILE rest & 1 = 1 LOOP
				hash := sha256('\x01'::bytea || peaks[cardinality(peaks)] || hash);
				peaks := trim_array(peaks, 1); rest := rest >> 1;
			END LOOP;
			peaks := peaks || hash;
		END LOOP;
		RETURN peaks;
	END $$;
	CREATE FUNCTION tree_root(peaks bytea[]) RETURNS bytea LANGUAGE plpgsql AS $$
	DECLARE root bytea := peaks[cardinality(peaks)];
	BEGIN
		FOR i IN REVERSE cardinality(peaks) - 1 .. 1 LOOP root := sha256('\x01'::bytea || peaks[i] || root); END LOOP;
		RETURN root;
	END $$;
};

sub query
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

query(q{
	CREATE EXTENSION phi_guard CASCADE;
	SELECT phi.install_default_rules();
	SELECT phi.enroll(session_user::regrole, 'dr.tamper', '{clinician}', '{TREAT}');
	CREATE TABLE person (id bigint PRIMARY KEY, name text, town text);
	SELECT phi.classify('person', 'name', 'name');
	SELECT phi.protect('person', subject => 'id');
});

# The events of the set-up, then three checkpoints of ten events; leaves are counted from there.
my $base = query('SELECT phi.audit_seal()');
cmp_ok($base, '>=', 3, 'the set-up left events');
for my $round (0 .. 2)
{
	query(join ';', "SELECT phi.set_purpose('TREAT')", map { "INSERT INTO person VALUES ($round * 100 + $_, 'näme', 'town')" } 0 .. 6);
	query("SELECT phi.set_purpose('TREAT'); UPDATE person SET town = 'x' WHERE id < 50; UPDATE person SET id = id + 1000 WHERE id = $round * 100;
		DELETE FROM person WHERE id = $round * 100 + 1");
	is(query('SELECT phi.audit_seal()'), 10, "round $round: ten events are sealed");
}
is(query('SELECT * FROM phi.audit_verify()'), join('|', 't', $base + 30, 4, 0, '', '', 0, 0), 'the log verifies');
is(query("$leaf_in_sql $tree_in_sql SELECT count(*) FROM phi_audit.leaf JOIN phi_audit.event e USING (recorded_at, event_id)
		WHERE leaf_hash = leaf_hash(e)"),
	$base + 30, 'SQL alone computes the same leaves');

my @event = split /\n/, query("SELECT event_id FROM phi_audit.leaf WHERE leaf_index >= $base ORDER BY leaf_index");
my $unguarded = join ';', map { "ALTER TABLE phi_audit.$_ DISABLE TRIGGER USER" } qw(event leaf checkpoint incarnation);

# Runs an attack without the guards; returns what verification says of it, and rolls it back.
sub attacked
{
	my ($attack, $then) = @_;
	$then //= 'SELECT ok, first_bad_event, problem FROM phi.audit_verify()';
	my ($status, $out, $err) = $node->psql('postgres',
		"SET client_min_messages = warning; BEGIN; $unguarded; $attack; $then; ROLLBACK");
	return $status == 0 ? $out : $err;
}

# What an attack is caught as: f, the event named, words.
sub caught
{
	my ($name, $attack, $event, $words) = @_;
	$event //= '';
	like(attacked($attack), qr/^f\|$event\|[^|]*$words/, $name);
}

my $at = "leaf_index - $base";
my $of_leaf = "FROM phi_audit.leaf l WHERE l.event_id = e.event_id AND $at";
my %leaf = map { $_ => $base + $_ } 0 .. 30;

caught("an actor is invented", "UPDATE phi_audit.event e SET actor = 'x' $of_leaf = 5",
	$event[5], "event $event[5] was altered");
caught("a key is changed", "UPDATE phi_audit.event e SET row_keys = '{99}' $of_leaf = 15",
	$event[15], "event $event[15] was altered");
caught("a column name is nulled in its array", "UPDATE phi_audit.event e SET columns = ARRAY[NULL]::text[] $of_leaf = 7",
	$event[7], 'was altered');
caught("a salt is removed", "UPDATE phi_audit.event e SET salt = NULL $of_leaf = 29",
	$event[29], 'was altered');
caught("an event is moved in time", "UPDATE phi_audit.event e SET recorded_at = e.recorded_at - interval '1 s' $of_leaf = 11",
	$event[11], 'another time than its leaf');
caught("the first of two alterations is named",
	"UPDATE phi_audit.event e SET actor = 'x' $of_leaf IN (24, 12)", $event[12], 'was altered');
caught("an event is deleted", "DELETE FROM phi_audit.event e USING phi_audit.leaf l
	WHERE l.event_id = e.event_id AND $at = 13", $event[13], "event $event[13] is missing");
caught("the last events are deleted", "DELETE FROM phi_audit.event e USING phi_audit.leaf l
	WHERE l.event_id = e.event_id AND $at >= 26", $event[26], 'is missing');
caught("all events are deleted", "DELETE FROM phi_audit.event", '\d+', 'leaf 0 has no event');
caught("an event is there twice",
	"ALTER TABLE phi_audit.event DROP CONSTRAINT event_pkey;
	INSERT INTO phi_audit.event SELECT e.* FROM phi_audit.event e JOIN phi_audit.leaf l USING (event_id) WHERE $at = 6",
	$event[6], 'more than once');
caught("an event is inserted into the past",
	"INSERT INTO phi_audit.event SELECT (jsonb_populate_record(e, jsonb_build_object('event_id', 7777))).*
		FROM phi_audit.event e JOIN phi_audit.leaf l USING (event_id) WHERE $at = 6",
	7777, 'has no leaf');

caught("a leaf is altered", "UPDATE phi_audit.leaf SET leaf_hash = sha256('x') WHERE $at = 14",
	$event[14], "leaf of event $event[14] was altered");
caught("a leaf is shortened", "UPDATE phi_audit.leaf SET leaf_hash = '' WHERE $at = 14",
	$event[14], 'no hash');
caught("a leaf names another time", "UPDATE phi_audit.leaf SET recorded_at = now() WHERE $at = 14",
	$event[14], 'names another time');
caught("a leaf is deleted", "DELETE FROM phi_audit.leaf WHERE $at = 8", $event[8], "leaf $leaf{8} is missing");
caught("the last leaves are deleted", "DELETE FROM phi_audit.leaf WHERE $at >= 25",
	$event[25], "leaves from $leaf{25} on are missing");
caught("the tail is deleted, events and leaves",
	"DELETE FROM phi_audit.event e USING phi_audit.leaf l WHERE l.event_id = e.event_id AND $at >= 25;
	DELETE FROM phi_audit.leaf WHERE $at >= 25", '', "leaves from $leaf{25} on are missing");
caught("a leaf is there twice",
	"ALTER TABLE phi_audit.leaf DROP CONSTRAINT leaf_pkey; ALTER TABLE phi_audit.leaf DROP CONSTRAINT leaf_event_id_key;
	INSERT INTO phi_audit.leaf SELECT * FROM phi_audit.leaf WHERE $at = 9", $event[9], "leaf $leaf{9} .* more than once");
caught("two leaves change places",
	"ALTER TABLE phi_audit.leaf DROP CONSTRAINT leaf_pkey;
	UPDATE phi_audit.leaf SET leaf_index = 2 * $base + 29 - leaf_index WHERE $at IN (12, 17)",
	$event[17], "leaf $leaf{12} has event $event[17]");
caught("two leaves change places across checkpoints",
	"ALTER TABLE phi_audit.leaf DROP CONSTRAINT leaf_pkey;
	UPDATE phi_audit.leaf SET leaf_index = 2 * $base + 26 - leaf_index WHERE $at IN (12, 14);
	UPDATE phi_audit.leaf SET leaf_index = 2 * $base + 32 - leaf_index WHERE $at IN (12, 20)",
	'\d+', 'reordered');
caught("a leaf is added",
	"INSERT INTO phi_audit.leaf SELECT $leaf{30}, 7777, recorded_at, leaf_hash FROM phi_audit.leaf WHERE $at = 3",
	7777, 'is missing');
caught("an event is altered together with its leaf",
	"UPDATE phi_audit.event e SET actor = 'x' $of_leaf = 16;
	UPDATE phi_audit.leaf l SET leaf_hash = leaf_hash(e) FROM phi_audit.event e
		WHERE l.event_id = e.event_id AND $at = 16",
	$event[10], "leaves $leaf{10} to $leaf{19} do not give the signed root of checkpoint $leaf{20}");

caught("a root is altered", "UPDATE phi_audit.checkpoint SET root = sha256('x') WHERE tree_size = $leaf{10}",
	'', "checkpoint $leaf{10} was altered");
caught("a stored tree is altered", "UPDATE phi_audit.checkpoint SET frontier = frontier || sha256('x') WHERE tree_size = $leaf{20}",
	'', "checkpoint $leaf{20} was altered");
caught("the last root is altered", "UPDATE phi_audit.checkpoint SET root = sha256('x') WHERE tree_size = $leaf{30}",
	'', "checkpoint $leaf{30} was altered: its root is not the one that was signed");
caught("a root is altered together with its note", "UPDATE phi_audit.checkpoint SET root = sha256('x'),
	note = replace(note, encode(root, 'base64'), encode(sha256('x'), 'base64')) WHERE tree_size = $leaf{30}",
	$event[20], "checkpoint $leaf{30} was altered: its signature does not verify");
caught("a note is removed", "UPDATE phi_audit.checkpoint SET note = NULL WHERE tree_size = $leaf{20}",
	'', "checkpoint $leaf{20} was altered: it is not signed");
caught("a checkpoint is put under another incarnation", "UPDATE phi_audit.checkpoint SET incarnation = 'x' WHERE tree_size = $leaf{20}",
	'', "checkpoint $leaf{20} was altered: its incarnation is unknown");
caught("the verifier key is replaced",
	"UPDATE phi_audit.incarnation SET vkey = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'",
	'\\d+', 'its signature does not verify');
caught("notes change places", "UPDATE phi_audit.checkpoint c SET note = d.note FROM phi_audit.checkpoint d
	WHERE c.tree_size = $leaf{20} AND d.tree_size = $leaf{10}", '', "checkpoint $leaf{20} was altered");
caught("events, leaves, trees and roots are rewritten together, but not signed",
	"UPDATE phi_audit.event e SET actor = 'x' $of_leaf = 25;
	UPDATE phi_audit.leaf l SET leaf_hash = leaf_hash(e) FROM phi_audit.event e WHERE l.event_id = e.event_id AND $at = 25;
	UPDATE phi_audit.checkpoint c SET (root, frontier) = (SELECT tree_root(t), string_agg(p, '' ORDER BY n)
		FROM tree_peaks(c.tree_size) t, unnest(t) WITH ORDINALITY u (p, n) GROUP BY t) WHERE c.tree_size = $leaf{30}",
	$event[20], "leaves $leaf{20} to $leaf{29} do not give the signed root of checkpoint $leaf{30}");
caught("an event is made to look erased", "UPDATE phi_audit.event e SET actor = NULL, salt = NULL, action = 'erased' $of_leaf = 4",
	$event[4], "event $event[4] was altered");
caught("the last checkpoint is deleted", "DELETE FROM phi_audit.checkpoint WHERE tree_size = $leaf{30}",
	'', "leaves from $leaf{20} on are under no checkpoint");
caught("all checkpoints are deleted", "TRUNCATE phi_audit.checkpoint", '', 'leaves from 0 on are under no checkpoint');

# What it does not show, as the manual says: a past rewritten as a whole, while no checkpoint is elsewhere.
is(attacked("DELETE FROM phi_audit.event e USING phi_audit.leaf l WHERE l.event_id = e.event_id AND $at >= 20;
		DELETE FROM phi_audit.leaf WHERE $at >= 20; DELETE FROM phi_audit.checkpoint WHERE tree_size = $leaf{30}",
		'SELECT ok, events FROM phi.audit_verify()'),
	"t|$leaf{20}", 'a log cut at a checkpoint verifies');

# Taking the guards away is itself an event.
is(attacked('SELECT 1 WHERE false', q{SELECT string_agg(relation, ' ' ORDER BY event_id) FROM phi_audit.event
		WHERE action = 'ddl' AND detail = 'ALTER TABLE'}),
	"phi_audit.event phi_audit.leaf phi_audit.checkpoint phi_audit.incarnation", 'disabling the triggers leaves events');

# What the second opinion makes of the same.
for my $attack (
	[ "UPDATE phi_audit.event e SET actor = 'x' $of_leaf = 15", $event[15] ],
	[ "DELETE FROM phi_audit.event e USING phi_audit.leaf l WHERE l.event_id = e.event_id AND $at = 13", $event[13] ],
	[ "UPDATE phi_audit.leaf SET leaf_hash = sha256('x') WHERE $at = 14", $event[14] ],
	[ "DELETE FROM phi_audit.leaf WHERE $at = 8", $event[9] ],
	[ "DELETE FROM phi_audit.leaf WHERE $at >= 25", '' ],
	[ "UPDATE phi_audit.checkpoint SET root = sha256('x') WHERE tree_size = $leaf{20}", $event[10] ])
{
	like(attacked($attack->[0], 'SELECT ok, first_bad_event, problem FROM phi.audit_verify_sql()'), qr/^f\|$attack->[1]\|./,
		"SQL alone finds: $attack->[0]");
}
is(query('SELECT ok, events, checkpoints FROM phi.audit_verify_sql()'), join('|', 't', $base + 30, 4), 'and nothing else');

# A change between two checkpoints is found from the earlier of them on, and not before or after.
my $since = "SELECT ok FROM phi.audit_verify(%d, %d)";
for my $case ([ 0, 10, 't' ], [ 10, 20, 'f' ], [ 20, 30, 't' ])
{
	my ($from, $to, $ok) = @$case;
	is(attacked("UPDATE phi_audit.event e SET actor = 'x' $of_leaf = 15",
			"SELECT ok FROM phi.audit_verify($base + $from, $base + $to)"), $ok, "from $from to $to: $ok");
}

# Sealing refuses to go on from a tree that is not that of the last checkpoint.
for my $attack (
	"UPDATE phi_audit.checkpoint SET root = sha256('x') WHERE tree_size = $leaf{30}",
	"UPDATE phi_audit.checkpoint SET frontier = frontier || sha256('x') WHERE tree_size = $leaf{30}",
	"DELETE FROM phi_audit.leaf WHERE $at >= 25",
	"DELETE FROM phi_audit.checkpoint WHERE tree_size = $leaf{30}",
	"TRUNCATE phi_audit.checkpoint",
	"UPDATE phi_audit.checkpoint SET note = NULL WHERE tree_size = $leaf{30}",
	"UPDATE phi_audit.checkpoint SET note = translate(note, 'ABCDEFGH', 'BCDEFGHA') WHERE tree_size = $leaf{30}",
	"DELETE FROM phi_audit.incarnation")
{
	like(attacked($attack, 'SELECT phi.audit_seal()'),
		qr/cannot seal: the audit log does not match its last checkpoint/, "sealing refuses after: " . ($attack =~ s/\d+$/the last/r));
}

is(query('SELECT * FROM phi.audit_verify()'), join('|', 't', $base + 30, 4, 0, '', '', 0, 0), 'the log itself is as it was');
$node->stop;

done_testing();
