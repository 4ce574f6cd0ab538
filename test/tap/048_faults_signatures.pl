# libcrypto fails under a running server where signatures are made and checked (test/faults/evp_faults.c, preloaded):
# nobody is logged in by a token whose signature could not be checked, no one-time password is good, no checkpoint
# is signed, none that cannot be checked is called good; all is well as soon as libcrypto works again.

use strict;
use warnings;
use IPC::Run;
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Utils;
use Test::More;
use PhiFaults;
use PhiNode;

if (system('openssl version >/dev/null 2>&1') != 0)
{
	diag('NO SIGNATURE IS TESTED: there is no openssl');
	plan skip_all => 'there is no openssl';
}

my $node = phi_node('signatures', conf => "fsync = off\nlog_statement = none\nphi.audit_seal_interval = 0\n");
my $folder = $node->basedir;
fault_library($node);

# ---- an issuer ----

sub run_openssl
{
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'openssl', @_ ], '<', \undef, '>', \$out, '2>', \$err) or die "openssl @_: $err";
	return $out;
}

sub mint
{
	my ($kid, $alg, @sign) = @_;
	my $signed = encode_base64url(qq({"alg":"$alg","kid":"$kid"})) . '.'
	  . encode_base64url('{"iss":"https://issuer.example","aud":"phi","sub":"dr.a","jti":"t-' . $kid . '","exp":' . (time + 600)
		  . ',"roles":["clinician"],"purposes":["TREAT"]}');

	unlink "$folder/signed";
	append_to_file("$folder/signed", $signed);
	return "$signed." . encode_base64url(run_openssl(@sign));
}

run_openssl('genpkey', '-algorithm', 'ed25519', '-out', "$folder/ed.pem");
run_openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', "$folder/rsa.pem");
my ($modulus) = run_openssl('rsa', '-in', "$folder/rsa.pem", '-noout', '-modulus') =~ /=([0-9A-F]+)/;
append_to_file("$folder/jwks", '{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"'
	  . encode_base64url(substr(run_openssl('pkey', '-in', "$folder/ed.pem", '-pubout', '-outform', 'DER'), -32))
	  . '"},{"kty":"RSA","alg":"RS256","kid":"rsa","e":"AQAB","n":"' . encode_base64url(pack 'H*', $modulus) . '"}]}');
chmod 0644, "$folder/jwks";
$node->append_conf('postgresql.conf', "phi.jwks_file = '$folder/jwks'\nphi.token_issuer = 'https://issuer.example'\nphi.token_audience = 'phi'");
fault_start($node);
phi_roles($node);
phi_install($node, 'postgres');
ask($node, '', "CREATE ROLE app LOGIN; SELECT phi.grant_duty('app', 'application')");
ask($node, 'hospital', "CREATE TABLE patient (id bigint PRIMARY KEY, name text); INSERT INTO patient VALUES (1, 'Ada Canary')");
ask($node, 'officer', "SELECT phi.classify('patient', 'name', 'name'), phi.protect('patient', subject => 'id')");
ask($node, 'hospital', 'GRANT SELECT ON patient_redacted TO app');

# What a script is answered: status, output, errors.
sub answer
{
	my ($role, $sql) = @_;

	return $node->psql('postgres', $sql, extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose' ]);
}

# Runs a script with every call of a function failing in turn, until one is not reached; how many were.  Each time it
# is to end in that error, to answer nothing and to leave what a query says as it was.
my @trouble;

sub at_any_call
{
	my ($function, $role, $sql, $error, $left, $how) = @_;
	my $before = $left ? ask($node, '', $left) : '';
	my $after = 0;

	while (1)
	{
		fault($function, $after, $how);
		my ($status, $out, $err) = answer($role, $sql);
		my $hits = fault_hits();
		fault();
		return $after if $hits == 0;
		push @trouble, "$function $after: $out$err" if $status == 0 || $out =~ /\S/ || $err !~ $error || $err =~ /Canary/;
		push @trouble, "$function $after: changed" if $left && ask($node, '', $left) ne $before;
		return $after + 1 if ++$after > 40;
	}
}

# ---- tokens ----

my %token = (ed => mint('ed', 'EdDSA', 'pkeyutl', '-sign', '-rawin', '-inkey', "$folder/ed.pem", '-in', "$folder/signed"),
	rsa => mint('rsa', 'RS256', 'dgst', '-sha256', '-sign', "$folder/rsa.pem", "$folder/signed"));
my %checks = (ed => [qw(EVP_MD_CTX_new EVP_PKEY_new_raw_public_key_ex EVP_DigestVerifyInit_ex EVP_DigestVerify)],
	rsa => [qw(EVP_MD_CTX_new EVP_PKEY_CTX_new_from_name EVP_PKEY_fromdata_init EVP_PKEY_fromdata EVP_DigestVerifyInit_ex EVP_DigestVerify)]);
my %reached;

foreach my $kid (sort keys %token)
{
	my $login = "\\set ON_ERROR_STOP on\nBEGIN;\nSELECT FROM phi.login('$token{$kid}');\nSELECT name FROM patient_redacted;\nCOMMIT;";

	foreach my $function (@{ $checks{$kid} })
	{
		my $times = at_any_call($function, 'app', $login, qr/ERROR:  (?:28000|XX000|42501)/);
		push @trouble, "$function: not reached" if $times == 0;
		$reached{$function} += $times;
	}
	is(join("\n", splice @trouble), '', "the signature of a token ($kid) cannot be checked: nobody is logged in");
	like(ask($node, 'app', $login), qr/Ada Canary/, 'then it can');
}

# ---- one-time passwords ----

ask($node, '', "SELECT phi.enroll_totp('dr.a')");
my $confirm = "BEGIN;\nSELECT FROM phi.login('$token{ed}');\nSELECT phi.confirm_totp('12345');\nCOMMIT;";

$reached{EVP_Q_mac} = at_any_call('EVP_Q_mac', 'app', $confirm, qr/ERROR:  XX000: could not check a one-time password/);
push @trouble, 'not reached' if $reached{EVP_Q_mac} == 0;
is(join("\n", splice @trouble), '', 'a one-time password cannot be checked: an error');
is(ask($node, 'app', $confirm), 'f', 'then it can');

# ---- checkpoints ----

my $seal = "SELECT phi.audit_seal()";
my $count = 'SELECT count(*) FROM phi_audit.checkpoint';

foreach my $function (qw(EVP_MD_CTX_new EVP_PKEY_new_raw_private_key_ex EVP_PKEY_get_raw_public_key EVP_DigestSignInit_ex EVP_DigestSign))
{
	my $times = at_any_call($function, 'auditor', $seal, qr/ERROR:  XX000/, $count);
	push @trouble, "$function: not reached" if $times == 0;
	$reached{$function} += $times;
}
is(join("\n", splice @trouble), '', 'a checkpoint cannot be signed: an error, and none is there');
push @trouble, 'not reached' if at_any_call('EVP_DigestSign', 'auditor', $seal, qr/ERROR:  XX000/, $count, 'wrong') == 0;
is(join("\n", splice @trouble), '', 'a checkpoint is signed wrong: its signature is verified before it leaves, and none is there');
ask($node, 'auditor', $seal);
is(ask($node, 'auditor', 'SELECT ok, problem FROM phi.audit_verify()'), 't|', 'then it can, and the log is good');
note("$_: $reached{$_} faults") foreach sort keys %reached;
foreach my $function (qw(EVP_MD_CTX_new EVP_PKEY_new_raw_public_key_ex EVP_DigestVerifyInit_ex EVP_DigestVerify))
{
	fault($function, 0);
	my ($status, $out, $err) = answer('auditor', 'SELECT ok FROM phi.audit_verify()');
	push @trouble, "$function: $out$err" if fault_hits() == 0 || $out eq 't';
	fault();
}
is(join("\n", splice @trouble), '', 'a signature that cannot be checked is not called good');
is(ask($node, 'auditor', 'SELECT ok, problem FROM phi.audit_verify()'), 't|', 'then it is');
unlike(log_since($node), qr/Canary|PANIC|was terminated by/, 'the log of the server has nothing of it');
$node->stop;

done_testing();
