# Every disclosure is an event that is durable when the value is shown, whatever becomes of the reader's
# statement, transaction, connection or process.

use strict;
use warnings;
use IO::Socket::UNIX;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('disclosures', conf => "max_prepared_transactions = 4\nrestart_after_crash = on\nphi.audit_timeout = 1s\n");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE TABLE person (id bigint PRIMARY KEY, name text, town text, plain integer);
	SELECT phi.classify('person', 'name', 'name');
	SELECT phi.classify('person', 'town', 'city');
	SELECT phi.classify('person', 'plain', 'none');
	SELECT phi.protect('person', subject => 'id', view => 'people');
	SELECT phi.enroll(session_user::regrole, 'writer', '{clinician}', '{TREAT}');
	INSERT INTO person SELECT n, 'Canary' || n, 'Town' || n, n FROM generate_series(1, 3000) n;
	GRANT SELECT, UPDATE ON people TO clinician;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO clinician;
	GRANT CREATE ON SCHEMA public TO clinician;
	GRANT TEMPORARY ON DATABASE postgres TO clinician;
	CREATE FUNCTION loud(value text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''%'', value; RETURN value; END';
	CREATE FUNCTION names(up_to bigint) RETURNS SETOF text LANGUAGE sql AS 'SELECT name FROM people WHERE id <= up_to';
	CREATE EXTENSION tablefunc;
	CREATE TYPE span AS RANGE (subtype = text);
	CREATE FUNCTION span_json(value span) RETURNS json LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE NOTICE ''%'', value; RETURN ''1''; END';
	CREATE CAST (span AS json) WITH FUNCTION span_json(span);
	CREATE PROCEDURE look(INOUT value text) LANGUAGE plpgsql AS 'BEGIN END';
	CREATE PROCEDURE walk() LANGUAGE plpgsql AS
		'DECLARE n text; BEGIN FOR i IN 1 .. 3 LOOP SELECT name INTO n FROM people WHERE id = i; IF i = 2 THEN ROLLBACK; ELSE COMMIT; END IF; END LOOP; END';
	CREATE FUNCTION query(up_to bigint) RETURNS SETOF text LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT name FROM people WHERE id <= up_to; END';
	CREATE FUNCTION loop_names(up_to bigint) RETURNS integer LANGUAGE plpgsql AS
		'DECLARE r record; seen integer := 0; BEGIN FOR r IN SELECT name FROM people ORDER BY id LOOP seen := seen + 1; EXIT WHEN seen = up_to; END LOOP; RETURN seen; END';
	CREATE FUNCTION dynamic() RETURNS text LANGUAGE plpgsql AS 'DECLARE n text; BEGIN EXECUTE ''SELECT name FROM people WHERE id = $1'' INTO n USING 3; RETURN n; END';
	CREATE FUNCTION caught() RETURNS void LANGUAGE plpgsql AS
		'DECLARE n text; BEGIN SELECT name INTO n FROM people WHERE id = 4; PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END';
	CREATE FUNCTION opened() RETURNS refcursor LANGUAGE plpgsql AS 'DECLARE c refcursor := ''c''; BEGIN OPEN c FOR SELECT name FROM people ORDER BY id; RETURN c; END';
	CREATE TABLE taken (name text);
});

my $seen = 0;

# "events subjects columns" of the disclosures since the last look.
sub disclosed
{
	my $answer = $node->safe_psql('postgres', qq{
		WITH e AS (SELECT * FROM phi_audit.event WHERE action = 'disclose' AND event_id > $seen)
		SELECT count(*), coalesce(sum(row_count), 0), (SELECT string_agg(DISTINCT c, ',' ORDER BY c) FROM e, unnest(columns) c) FROM e});

	$seen = $node->safe_psql('postgres', 'SELECT coalesce(max(event_id), 0) FROM phi_audit.event');
	return $answer =~ s/\|/ /gr;
}

# What a script of the clinician leaves.
sub leaves
{
	my ($sql) = @_;

	$node->psql('postgres', $sql, extra_params => [ '-U', 'clinician' ], on_error_stop => 0);
	return disclosed();
}

disclosed();
is(leaves('SELECT name FROM people WHERE id = 1'), '1 1 name', 'a point read');
is(leaves('SELECT * FROM people WHERE id = 1'), '1 1 name,town', 'two columns of a patient: one event');
is(leaves('SELECT id, plain FROM people'), '0 0 ', 'nothing for what is not revealed');
is(leaves('SELECT name FROM people'), '3 3000 name', 'a scan: up to 1,000 patients an event');
is(leaves('BEGIN; SELECT name FROM people WHERE id < 6; ROLLBACK'), '1 5 name', 'rolled back');
is(leaves('BEGIN READ ONLY; SELECT name FROM people WHERE id < 6; COMMIT'), '1 5 name', 'read only');
is(leaves('BEGIN; SAVEPOINT s; SELECT name FROM people WHERE id < 3; ROLLBACK TO s; COMMIT'), '1 2 name', 'savepoint');
is(leaves('SELECT name, 1 / (id - 4) FROM people WHERE id < 10 ORDER BY id'), '1 4 name', 'before an error');
is(leaves('BEGIN; DECLARE c CURSOR FOR SELECT name FROM people; FETCH 3 FROM c; FETCH 2 FROM c; COMMIT'),
	'2 5 name', 'a cursor, each time it is read');
is(leaves('BEGIN; DECLARE c SCROLL CURSOR FOR SELECT name FROM people; FETCH 3 FROM c; FETCH PRIOR FROM c; COMMIT'),
	'2 4 name', 'and backwards');
is(leaves('PREPARE p AS SELECT name FROM people WHERE id = $1; EXECUTE p(1); EXECUTE p(1); EXECUTE p(2)'),
	'3 3 name', 'each execution of a prepared statement');
is(leaves('DO $$ BEGIN PERFORM name FROM people WHERE id < 3; END $$'), '1 2 name', 'inside DO');
is(leaves('DO $$ DECLARE s person; v text; BEGIN SELECT * INTO s FROM person WHERE id = 1; v := phi.reveal(s.name); v := phi.reveal(s.name); END $$'),
	'0 0 ', 'no privilege on the table, nothing revealed');
$node->safe_psql('postgres', 'GRANT SELECT, INSERT, UPDATE, DELETE ON person TO clinician');
is(leaves('DO $$ DECLARE s person; v text; BEGIN SELECT * INTO s FROM person WHERE id = 1; v := phi.reveal(s.name); v := phi.reveal(s.name); END $$'),
	'1 1 name', 'an expression of PL/pgSQL outside of a query');
is(leaves('CALL look((SELECT phi.reveal(name) FROM person WHERE id = 2))'), '0 0 ', 'CALL takes no subquery');
is(leaves('COPY (SELECT name FROM people) TO STDOUT'), '3 3000 name', 'COPY of a query');
is(leaves('CREATE TEMP TABLE t AS SELECT name FROM people WHERE id < 8'), '1 7 name', 'CREATE TABLE AS');
is(leaves('SELECT name INTO TEMP u FROM people WHERE id < 8'), '1 7 name', 'SELECT INTO');
is(leaves("UPDATE person SET plain = 0 WHERE id = 9 RETURNING phi.reveal(name)"), '1 1 name', 'UPDATE ... RETURNING');
is(leaves("UPDATE people SET plain = 0 WHERE id = 9 RETURNING name"), '1 1 name,town', 'of the view, with what the write compares');
is(leaves("INSERT INTO person VALUES (3001, 'Canary3001') RETURNING phi.reveal(name)"), '1 1 name', 'INSERT ... RETURNING');
is(leaves("DELETE FROM person WHERE id = 3001 RETURNING phi.reveal(name)"), '1 1 name', 'DELETE ... RETURNING');
is(leaves("WITH w AS (UPDATE person SET plain = 0 WHERE id = 9 RETURNING phi.reveal(name) AS n) SELECT count(n) FROM w"), '1 1 name',
	'RETURNING in a WITH clause');
is(leaves('INSERT INTO taken SELECT name FROM people WHERE id < 8'), '1 7 name', 'INSERT ... SELECT into another table');
is(leaves('BEGIN; INSERT INTO taken SELECT name FROM people WHERE id < 8; ROLLBACK'), '1 7 name', 'rolled back');
is(leaves('PREPARE p AS SELECT name FROM people WHERE id < 3; CREATE TEMP TABLE v AS EXECUTE p'), '1 2 name', 'CREATE TABLE AS EXECUTE');
is(leaves('SELECT name FROM people WHERE id < 3 FOR UPDATE'), '1 2 name', 'FOR UPDATE');
is(leaves('CALL walk()'), '3 3 name', 'a procedure that commits and rolls back between its reads');
is(leaves('SELECT * FROM query(3)'), '1 3 name', 'RETURN QUERY');
is(leaves('SELECT loop_names(2)') =~ s/^\d+ //r, '10 name', 'a loop: what it has fetched, which is ten rows at first');
is(leaves('SELECT dynamic()'), '1 1 name', 'a statement that PL/pgSQL makes up');
is(leaves('SELECT caught()'), '1 1 name', 'a read in a block whose exception takes it back');
is(leaves('BEGIN; SELECT opened(); FETCH 2 FROM c; MOVE 1 FROM c; FETCH 1 FROM c; CLOSE c; ROLLBACK'), '3 4 name', 'a cursor of a function; MOVE reads as well');
is(leaves('BEGIN; DECLARE c CURSOR FOR SELECT name FROM people; ROLLBACK'), '0 0 ', 'a cursor that nobody reads');
is(leaves("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT name FROM people WHERE id < 3; COMMIT; FETCH ALL FROM c"), '0 0 ', 'WITH HOLD is refused');
is(leaves('SELECT * FROM names(4)'), '1 4 name', 'a function in SQL');
is(leaves('SELECT count(name) FROM people WHERE id < 50'), '1 49 name', 'an aggregate');
is(leaves('SELECT loud(name) FROM people WHERE id < 4'), '3 3 name', 'each value before somebody\'s function has it');
is(leaves('SELECT name, pg_sleep(0) FROM people WHERE id < 4'), '3 3 name', 'and before a volatile function runs');
is(leaves("SELECT to_json(span(name, name, '[]')) FROM people WHERE id < 4"), '3 3 name', 'a function that a cast to json calls');
is(leaves("SELECT x.* FROM people p, crosstab(format('SELECT loud(%L), 1, 2', p.name)) x (a text, b integer) WHERE p.id < 4"), '3 3 name',
	'a statement that a function of an extension runs');
is(leaves("SELECT name FROM people WHERE id < 4 UNION ALL SELECT name FROM people WHERE id < 4"), '1 3 name',
	'a statement records a patient once');
is(leaves("SET force_parallel_mode = on; SET parallel_setup_cost = 0; SELECT name FROM people WHERE id < 4"), '1 3 name',
	'with parallel workers');
is(leaves("BEGIN; SELECT name FROM people WHERE id = 1; PREPARE TRANSACTION 'x'; ROLLBACK PREPARED 'x'"), '1 1 name',
	'two-phase commit');
my ($analyze) = refused($node, 'clinician', 'EXPLAIN ANALYZE SELECT name FROM people WHERE id < 4');
like($analyze, qr/^42501/, 'EXPLAIN ANALYZE is not for a reader');
disclosed();
$node->safe_psql('postgres', 'EXPLAIN ANALYZE SELECT name FROM people WHERE id < 4');
is(disclosed(), '1 3 name', 'EXPLAIN ANALYZE of a superuser');
$node->safe_psql('postgres', 'EXPLAIN SELECT name FROM people WHERE id < 4');
is(disclosed(), '0 0 ', 'EXPLAIN alone');
$node->safe_psql('postgres', 'CREATE MATERIALIZED VIEW m AS SELECT name FROM people WHERE id < 4; REFRESH MATERIALIZED VIEW m');
is(disclosed(), '0 0 ', 'a materialized view has nothing revealed');
$node->safe_psql('postgres', "SET phi.disclosure_audit = batched; SELECT name FROM people");
$node->poll_query_until('postgres', "SELECT sum(row_count) = 3000 FROM phi_audit.event WHERE action = 'disclose' AND event_id > $seen")
  or die 'batched events did not come';
pass('batched: events come by themselves');
disclosed();

# Who, where, why
is(ask($node, 'clinician', "SET application_name = 'chart'; SELECT name FROM people WHERE id = 1"), 'Canary1', 'shown');
is($node->safe_psql('postgres', q{SELECT actor, db_role, purpose, workforce_roles, relation, outcome, detail, application_name, client_address IS NULL,
	subjects = ARRAY[(SELECT subjects[1] FROM phi_audit.event WHERE action = 'insert' ORDER BY event_id LIMIT 1)]
	FROM phi_audit.event WHERE action = 'disclose' ORDER BY event_id DESC LIMIT 1}),
	'Dr. House|clinician|TREAT|{clinician}|public.person|success|name full|chart|t|t', 'who, why, what, where');
is($node->safe_psql('postgres', "SELECT count(*) FROM phi_audit.event e WHERE e::text ~ 'Canary|Town1'"), '0', 'never a value');
disclosed();

# The backend is killed at its first row, before the statement is over.
sub killed_at
{
	my ($sql, $pattern, $what) = @_;
	my $out = '';
	my $err = '';
	my $session = IPC::Run::start([ 'psql', '-XAtq', '-U', 'clinician', '-v', 'FETCH_COUNT=1', '-d', $node->connstr('postgres') ],
		'<', \"$sql\n", '>', \$out, '2>', \$err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

	$session->pump until $out =~ $pattern || $err =~ $pattern;
	my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE usename = 'clinician'");
	kill 'KILL', $pid;
	$session->finish;
	$node->poll_query_until('postgres', 'SELECT true') or die 'server did not come back';
	like(disclosed(), qr/^[1-9]\d* [1-9]/, $what);
	return;
}

killed_at('SELECT loud(name), pg_sleep(60) FROM people WHERE id = 1;', qr/Canary1/, 'killed -9 when a function had the value: the event is there');
killed_at('SELECT name, pg_sleep(CASE WHEN id = 2 THEN 60 ELSE 0 END) FROM people ORDER BY id;', qr/Canary1/, 'killed -9 at the first row: the event is there');

# The wire protocol: an Execute of two rows leaves a suspended portal.
sub message
{
	my ($type, $body) = @_;

	return $type . pack('N', 4 + length $body) . $body;
}

# Sends messages and reads up to a message of a type; the rows seen on the way.
sub exchange
{
	my ($socket, $until, @messages) = @_;
	my @rows;

	print $socket join('', @messages) if @messages;
	$socket->flush;
	while (1)
	{
		read($socket, my $head, 5) == 5 or die 'connection lost';
		my ($type, $length) = unpack 'aN', $head;
		my $body = '';
		read($socket, $body, $length - 4) == $length - 4 or die 'connection lost' if $length > 4;
		die "error: $body" if $type eq 'E';
		push @rows, unpack('x2 N/a', $body) if $type eq 'D';
		return @rows if $type eq $until;
	}
}

my $socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "connect: $!";
my $startup = pack('N', 196608) . "user\0clinician\0database\0postgres\0\0";
print $socket pack('N', 4 + length $startup) . $startup;
exchange($socket, 'Z');
my @rows = exchange($socket, 's', message('P', "s\0SELECT name FROM people WHERE id < 100\0" . pack('n', 0)),
	message('B', "p\0s\0" . pack('nnn', 0, 0, 0)), message('E', "p\0" . pack('N', 2)), message('H', ''));
is_deeply(\@rows, [ 'Canary1', 'Canary2' ], 'Execute of two rows');
is(disclosed(), '1 2 name', 'suspended: its two patients are recorded');
@rows = exchange($socket, 's', message('E', "p\0" . pack('N', 3)), message('H', ''));
is_deeply(\@rows, [ 'Canary3', 'Canary4', 'Canary5' ], 'resumed');
is(disclosed(), '1 3 name', 'and the next three');
my @pair = map { my $n = $_; (message('B', "q$n\0s\0" . pack('nnn', 0, 0, 0)), message('E', "q$n\0" . pack('N', 1))) } 1, 2;
@rows = exchange($socket, 's', @pair, message('H', ''));
push @rows, exchange($socket, 's');
is_deeply(\@rows, [ 'Canary1', 'Canary1' ], 'two portals, in one go');
is(disclosed(), '2 2 name', 'each execution is recorded');
my $lost = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "connect: $!";
print $lost pack('N', 4 + length $startup) . $startup;
exchange($lost, 'Z');
exchange($lost, 's', message('P', "s\0SELECT name FROM people WHERE id < 100\0" . pack('n', 0)),
	message('B', "p\0s\0" . pack('nnn', 0, 0, 0)), message('E', "p\0" . pack('N', 2)), message('H', ''));
close $lost;
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'clinician'") or die 'still connected';
is(disclosed(), '1 2 name', 'a connection that is lost with its portal suspended');

# While the worker is stopped nothing of a result leaves, however large it is, row by row as the wire has it.
my $worker = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'phi_guard audit worker'");
foreach my $query ('SELECT name, town FROM people', 'SELECT name, pg_sleep(0) FROM people', 'COPY (SELECT name FROM people) TO STDOUT',
	"SELECT to_json(span(name, name, '[]')) FROM people WHERE id = 1",
	"SELECT x.* FROM people p, crosstab(format('SELECT loud(%L), 1, 2', p.name)) x (a text, b integer) WHERE p.id = 1",
	"SELECT plainto_tsquery('english', CASE WHEN name LIKE 'C%' THEN 'the' END) FROM people WHERE id = 1",
	'SELECT name, 1 / (id - 2500) FROM people', 'SELECT name::integer FROM people', 'DO $$ DECLARE n text; BEGIN SELECT name INTO n FROM people WHERE id = 1; RAISE NOTICE \'%\', n; END $$')
{
	my ($wire, $error) = ('', '');
	exchange($socket, 'Z', message('S', ''));
	kill 'STOP', $worker;
	print $socket message('Q', "$query\0");
	$socket->flush;
	while (1)
	{
		read($socket, my $head, 5) == 5 or die 'connection lost';
		my ($type, $length) = unpack 'aN', $head;
		my $body = '';
		read($socket, $body, $length - 4) == $length - 4 or die 'connection lost' if $length > 4;
		$error = $body if $type eq 'E';
		$wire .= $body;
		last if $type eq 'Z';
	}
	kill 'CONT', $worker;
	like($error, qr/event could not be recorded/, "worker stopped: $query: refused");
	unlike($wire, qr/Canary|Town|stop words/, 'and nothing on the wire');
}
disclosed();
close $socket;

# Sealed and verified as every event
$node->poll_query_until('postgres', 'SELECT ok AND unsealed < 5 FROM phi.audit_verify()') or die 'not sealed';
pass('the worker has sealed them');
$node->stop;
done_testing();
