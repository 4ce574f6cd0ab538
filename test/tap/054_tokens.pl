# Logins with tokens, from outside: keys of a file that changes, an issuer that signs with Ed25519 and RSA, and the ways in which
# an identity might reach somebody else: another session, the next client of a pooler, a prepared transaction, a setting.

use strict;
use warnings;
use IPC::Run;
use MIME::Base64 qw(encode_base64url decode_base64);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

if (system('openssl version >/dev/null 2>&1') != 0)
{
	diag('NO TOKEN IS TESTED: there is no openssl');
	plan skip_all => 'there is no openssl';
}

my $node = phi_node('tokens', conf => "fsync = off\nmax_prepared_transactions = 2\nlog_statement = none\n");
my $folder = $node->basedir;
my $jwks = "$folder/issuer.jwks";

# ---- an issuer: keys and tokens by the openssl command ----

sub run_openssl
{
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'openssl', @_ ], '<', \undef, '>', \$out, '2>', \$err) or die "openssl @_: $err";
	return $out;
}

sub write_file
{
	my ($path, $content) = @_;

	open my $file, '>:raw', "$path.new" or die "$path: $!";
	print $file $content;
	close $file or die "$path: $!";
	rename "$path.new", $path or die "$path: $!";
	return;
}

# A new pair, and its public half as a JWK.
sub make_key
{
	my ($kid, $kind) = @_;
	my @kind = $kind eq 'EdDSA' ? qw(ed25519) : qw(RSA -pkeyopt rsa_keygen_bits:2048);

	run_openssl('genpkey', '-algorithm', @kind, '-out', "$folder/$kid.pem");
	return qq({"kty":"OKP","crv":"Ed25519","kid":"$kid","x":")
	  . encode_base64url(substr(run_openssl('pkey', '-in', "$folder/$kid.pem", '-pubout', '-outform', 'DER'), -32)) . '"}'
	  if $kind eq 'EdDSA';
	my ($modulus) = run_openssl('rsa', '-in', "$folder/$kid.pem", '-noout', '-modulus') =~ /=([0-9A-F]+)/;
	return qq({"kty":"RSA","alg":"RS256","use":"sig","kid":"$kid","e":"AQAB","n":") . encode_base64url(pack 'H*', $modulus) . '"}';
}

sub key_file
{
	write_file($jwks, '{"keys":[' . join(',', @_) . ']}');
	chmod 0644, $jwks;
	return;
}

# A token of an actor, with claims as JSON text that replace or extend the usual ones.
sub mint
{
	my ($kid, $actor, %claims) = @_;
	my %all = (
		iss => '"https://issuer.example"', aud => '["account","phi"]', sub => qq("$actor"), jti => qq("$actor-1"),
		exp => time + 600, roles => '["clinician"]', purposes => '["TREAT"]', %claims);
	my $rsa = $kid =~ /rsa/;
	my $signed = encode_base64url($rsa ? qq({"alg":"RS256","typ":"JWT","kid":"$kid"}) : qq({"alg":"EdDSA","kid":"$kid"})) . '.'
	  . encode_base64url('{' . join(',', map { qq("$_":$all{$_}) } sort keys %all) . '}');

	write_file("$folder/signed", $signed);
	return "$signed." . encode_base64url($rsa ? run_openssl('dgst', '-sha256', '-sign', "$folder/$kid.pem", "$folder/signed")
		: run_openssl('pkeyutl', '-sign', '-rawin', '-inkey', "$folder/$kid.pem", '-in', "$folder/signed"));
}

my %key = (ed1 => make_key('ed1', 'EdDSA'), ed2 => make_key('ed2', 'EdDSA'), rsa1 => make_key('rsa1', 'RSA'));
key_file($key{ed1}, $key{rsa1}, '{"kty":"EC","crv":"P-521","kid":"other"}');
$node->append_conf('postgresql.conf', "phi.jwks_file = '$jwks'\nphi.token_issuer = 'https://issuer.example'\nphi.token_audience = 'phi'");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
ask($node, '', 'CREATE ROLE app LOGIN');
ask($node, '', "SELECT phi.grant_duty('app', 'application')");
ask($node, 'hospital', <<'SQL');
CREATE TABLE patient (id bigint PRIMARY KEY, name text);
INSERT INTO patient VALUES (1, 'Ada Canary'), (2, 'Bob Canary');
SQL
ask($node, 'officer', "SELECT phi.classify('patient', 'name', 'name'), phi.protect('patient', subject => 'id')");
ask($node, 'hospital', 'GRANT SELECT ON patient_redacted TO app; GRANT INSERT ON patient TO app');

my $who = "SELECT coalesce(actor, '-') FROM phi.whoami()";
my $see = 'SELECT count(name) FROM patient_redacted';
my $ann = mint('ed1', 'ann');
my $rob = mint('rsa1', 'rob');

# What a token's login sees, in a transaction of its own.
sub as_token
{
	my ($token, $sql) = @_;

	return ask($node, 'app', "BEGIN; SELECT phi.login('$token'); $sql; COMMIT") =~ s/^\n//r;
}

sub refused_token
{
	my ($token) = @_;

	return refused($node, 'app', "BEGIN; SELECT phi.login('$token')");
}
my $failed = '42501: login failed';

# ---- tokens of both kinds of key ----

is(ask($node, 'app', "$who; $see"), "-\n0", 'without a token the application is nobody and sees nothing');
is(as_token($ann, "$who; $see"), "ann\n2", 'a token signed with Ed25519 is somebody');
is(as_token($rob, "$who; $see"), "rob\n2", 'one signed with RSA, too');
is(refused_token(mint('ed2', 'ann')), $failed, 'one of another key is not');
is(refused_token($ann =~ s/.\z/$& eq 'A' ? 'B' : 'A'/er), $failed, 'nor an altered one');
is(refused_token(mint('ed1', 'ann', exp => time - 1)), $failed, 'nor one that has expired');
is(refused_token(mint('ed1', 'ann', aud => '"account"')), $failed, 'nor one for somebody else');

# ---- the audit log has causes, and no log a token ----

my $offset = -s $node->logfile;
refused_token(mint('ed1', 'ann', exp => time - 1));
refused_token(mint('ed2', 'ann'));
my $log = log_since($node, $offset);
is(ask($node, '', "SELECT string_agg(reason, ',' ORDER BY event_id) FROM (SELECT event_id, reason FROM phi_audit.event
	WHERE action = 'login' AND outcome = 'denied' ORDER BY event_id DESC LIMIT 2) AS last"), 'expiry,key', 'the audit log has the causes');
unlike($log, qr/eyJ|STATEMENT/, 'the log of the server shows neither token nor statement');

# ---- a key file that changes ----

key_file($key{ed2}, $key{rsa1});
is(refused_token($ann), $failed, 'a key taken out of the file is void at the next login');
is(as_token(mint('ed2', 'ann'), $who), 'ann', 'and a new one is known, without a reload');
$offset = -s $node->logfile;
write_file($jwks, '{"keys":[');
is(as_token($rob, $who), 'rob', 'a broken file leaves the keys');
is(as_token($rob, $who), 'rob', 'for everybody');
my @complaints = log_since($node, $offset) =~ /phi\.jwks_file cannot be used: it is not a JWK set/g;
is(scalar(@complaints), 1, 'and is complained of once');
$node->restart;
like(refused_token($rob), qr/^55000: there are no keys/, 'after a restart there are none');
key_file($key{ed1}, $key{rsa1});
chmod 0666, $jwks;
like(refused_token($rob), qr/^55000: there are no keys/, 'nor from a file that anybody may write');
chmod 0644, $jwks;
is(as_token($rob, $who), 'rob', 'the mode corrected, there are keys');
unlink $jwks;
is(as_token($rob, $who), 'rob', 'the file gone, the keys stay');
wait_for_setting($node, 'phi.jwks_file', "$folder/nowhere.jwks");
like(refused_token($rob), qr/^55000: there are no keys/, 'another file that is not there: none');
key_file($key{ed1}, $key{rsa1});
wait_for_setting($node, 'phi.jwks_file', $jwks);
is(as_token($rob, $who), 'rob', 'the first one again: its keys');

# ---- nobody else's session ----

my ($in, $out) = ('', '');
my $psql = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=terse', '-U', 'app', '-h', $node->host, '-p', $node->port, 'postgres' ],
	'<', \$in, '>', \$out, '2>&1', IPC::Run::timer(60));

sub session
{
	my ($sql) = @_;

	$out = '';
	$in .= "$sql;\n\\echo over\n";
	$psql->pump until $out =~ s/over\n\z//;
	return $out =~ s/\n\z//r;
}
is(session("BEGIN; SELECT phi.login('$ann'); $who"), "\nann", 'while a session is logged in');
is(ask($node, 'app', $who), '-', 'another one of the same role is nobody');
is(session("PREPARE TRANSACTION 'p'; $who"), '-', 'PREPARE TRANSACTION ends the login');
is(session("COMMIT PREPARED 'p'; $who"), '-', 'COMMIT PREPARED does not bring it back');
is(session("BEGIN; SELECT phi.login('$ann'); INSERT INTO patient VALUES (3, 'Eve Canary'); PREPARE TRANSACTION 'q'; BEGIN; SELECT phi.login('$rob'); $who; COMMIT; COMMIT PREPARED 'q'"),
	"\n\nrob", 'a prepared write keeps its author');
is(ask($node, '', "SELECT actor, token_id FROM phi_audit.event WHERE action = 'insert' AND row_keys = '{3}'"), 'ann|ann-1', 'in the log, with the token');
session("BEGIN; SELECT phi.login('$ann')");
ask($node, 'officer', "SELECT phi.revoke_token('ann-1')");
is(session("$who; $see"), "-\n0", 'a revoked token is nobody in the middle of a transaction');
session('ROLLBACK');
ask($node, 'officer', "SELECT phi.restore_token('ann-1')");
is(session("BEGIN; SELECT phi.login('$ann'); $who; SELECT 1/0; $who"), "\nann\nERROR:  division by zero\nERROR:  current transaction is aborted, commands ignored until end of transaction block",
	'an error');
is(session("ROLLBACK; $who"), '-', 'and a rollback end it');
is(session("BEGIN READ ONLY; SELECT phi.login('$ann'); $who; COMMIT"), "\nann", 'a READ ONLY transaction may log in');
$in .= "\\q\n";
$psql->finish;

# ---- settings from outside ----

foreach my $attempt (["PGOPTIONS" => sub { local $ENV{PGOPTIONS} = '-c phi.context=2:AAAA'; refused($node, 'app', $who) }],
	['ALTER ROLE' => sub { refused($node, '', q{ALTER ROLE app SET phi.context = '2:AAAA'}) }],
	['ALTER DATABASE' => sub { refused($node, '', q{ALTER DATABASE postgres SET phi.context = '2:AAAA'}) }],
	['pg_db_role_setting' => sub {
			ask($node, '', q{INSERT INTO pg_db_role_setting VALUES (0, 'app'::regrole, ARRAY['phi.context=2:AAAA'])});
			my $answer = ask($node, 'app', $who);
			ask($node, '', q{ALTER ROLE app RESET ALL});
			return $answer; }])
{
	my ($name, $try) = @$attempt;

	like($try->(), qr/42501|22023|cannot be set directly|^-$/, "$name sets no identity");
}
is(ask($node, 'app', $who), '-', 'nobody still');

# ---- uses of a token ----

wait_for_setting($node, 'phi.token_max_uses', '2');
my $few = mint('ed1', 'few');
is(as_token($few, $who), 'few', 'a first use');
is(refused($node, 'app', "BEGIN; SELECT phi.login('$few'); ROLLBACK"), '', 'a second one, rolled back');
is(refused_token($few), $failed, 'a third one is refused');
is(as_token(mint('ed1', 'few', jti => '"few-2"'), $who), 'few', 'not so of another token');
wait_for_setting($node, 'phi.token_max_uses', '0');

# ---- the next client of a pooler ----

my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
my $pooler;

SKIP:
{
	skip 'there is no pgbouncer', 6 unless $pgbouncer;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $host = $node->host;

	write_file("$folder/users", qq{"app" ""\n});
	write_file("$folder/pooled.ini", join "\n", '[databases]', "postgres = host=$host port=" . $node->port . ' dbname=postgres', '[pgbouncer]',
		'pool_mode = transaction', 'default_pool_size = 1', 'auth_type = trust', "auth_file = $folder/users", "unix_socket_dir = $host", 'listen_addr =',
		"listen_port = $port", "logfile = $folder/pooled.log", 'ignore_startup_parameters = extra_float_digits', '');
	$pooler = IPC::Run::start([ $pgbouncer, '-q', "$folder/pooled.ini" ], '<', \undef, '>&', "$folder/pooled.out");
	foreach (1 .. 100)
	{
		last if -S "$host/.s.PGSQL.$port";
		select undef, undef, undef, 0.1;
	}
	my $client = sub {
		my ($sql) = @_;
		my ($result, $err) = ('', '');

		IPC::Run::run([ 'psql', '-XAtq', '-U', 'app', '-h', $host, '-p', $port, '-c', $sql, 'postgres' ], '<', \undef, '>', \$result, '2>', \$err);
		return "$result$err" =~ s/\n\z//r;
	};
	my $backend = $client->('SELECT pg_backend_pid()');

	is($client->("BEGIN; SELECT phi.login('$ann'); $who; $see; COMMIT"), "\nann\n3", 'through a transaction pooler');
	is($client->("SELECT pg_backend_pid() = $backend"), 't', 'over one connection');
	is($client->("$who"), '-', 'the next client is nobody');
	is($client->($see), '0', 'and sees nothing');
	is($client->("BEGIN; SELECT phi.login('$rob'); $who; COMMIT"), "\nrob", 'and logs in as itself');
	is($client->("BEGIN; SELECT phi.login('$ann'); SELECT phi.set_purpose('TREAT')") . '|' . $client->($who), "\n|-", 'a client that goes away in a transaction leaves nothing');
	$pooler->signal('INT');
	$pooler->finish;
	undef $pooler;
}

unlike(log_since($node), qr/PANIC|TRAP|terminated by signal/, 'the server is well');
unlike(log_since($node), qr/eyJ/, 'and no token is in its log');
$node->stop;

done_testing();

# A test that dies leaves no pooler.
END { $pooler->signal('INT'), $pooler->finish if $pooler }
