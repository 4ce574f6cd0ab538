# The recipes for Vault, AWS KMS and Google Cloud KMS (docs/recipes), against stand-ins that take the command
# line of the real program, and nothing else.

use strict;
use warnings;
use File::Basename;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $recipes = dirname(__FILE__) . '/../../docs/recipes';
plan skip_all => 'docs/recipes is not here' unless -d $recipes;

my $node = phi_node('recipes', conf => "log_statement = none\nphi.kek_timeout = 5\n");
$node->start;
phi_roles($node);
phi_install($node, 'postgres');
ask($node, 'hospital', "CREATE TABLE patient (id bigint PRIMARY KEY, name text); INSERT INTO patient VALUES (1, 'Ann')");
ask($node, 'officer', "SELECT phi.classify('patient', 'name', 'name'); SELECT phi.protect('patient', subject => 'id')");
ask($node, 'hospital', 'GRANT SELECT ON patient_redacted TO clinician');
my $folder = $node->basedir;
my ($hex) = slurp_file("$folder/kek") =~ /^1:([0-9a-f]{64})$/m or die 'unexpected key file';
mkdir "$folder/bin" or die $!;
mkdir "$folder/keys" or die $!;

# A stand-in: Perl code that sees @ARGV and prints what the program would; it dies for another command line.
sub program
{
	my ($name, $code) = @_;
	my $path = "$folder/bin/$name";

	append_to_file($path, "#!$^X\nuse strict;\nuse warnings;\nbinmode STDOUT;\n$code");
	chmod 0755, $path or die "$path: $!";
	return;
}

# Options of a command line (--a=b and --a b) and its other words, for a stand-in.
my $options = <<'PERL';
my (%option, @word);
sub value { my $name = shift; my $value = delete $option{$name}; die "no $name\n" unless defined $value; return $value; }
sub split_options { while (defined(my $word = shift @ARGV)) {
	if ($word =~ /^(--?[a-z-]+)=(.*)$/s) { $option{$1} = $2 }
	elsif ($word =~ /^--/ && @ARGV && $ARGV[0] !~ /^--/) { $option{$word} = shift @ARGV }
	elsif ($word =~ /^--/) { $option{$word} = '' }
	else { push @word, $word } } return; }
sub content { my $file = shift; open my $in, '<:raw', $file or die "$file: $!\n"; local $/; return scalar <$in>; }
sub finish { die "unknown @{[ %option ]}\n" if %option; return; }
PERL

sub use_command
{
	my ($command) = @_;

	$node->append_conf('postgresql.conf', "phi.kek_file = ''");
	$node->append_conf('postgresql.conf', "phi.kek_command = 'PATH=$folder/bin:/usr/bin:/bin $command'");
	$node->restart;
	return;
}

# The recipe gives as many versions as it should, and values open; with the wrong arguments nothing does.
sub tried
{
	my ($name, $good, $bad, $versions) = @_;

	use_command($good);
	is(ask($node, 'custodian', 'SELECT phi.reload_kek()'), $versions, "$name: $versions versions");
	is(ask($node, 'clinician', 'SELECT name FROM patient_redacted'), 'Ann', "$name: values open");
	use_command($bad);
	like(refused($node, 'clinician', 'SELECT name FROM patient_redacted'), qr/^55000: phi\.kek_command failed/, "$name: nothing opens when it fails");
	return;
}

program('vault', $options . <<'PERL');
die "VAULT_ADDR\n" unless ($ENV{VAULT_ADDR} // '') eq 'https://vault.example:8200';
# Go's flag parser takes options before the first argument only.
my ($kv, $get) = splice @ARGV, 0, 2;
die "vault @ARGV\n" unless "$kv $get" eq 'kv get' && $ARGV[-1] !~ /^-/;
split_options();
my ($mount, $field) = (value('-mount'), value('-field'));
finish();
print STDERR "No value found at secret/data/@word\n" and exit 2 unless "$mount @word" eq 'secret phi_guard';
print STDERR "Field \"$field\" not present in secret\n" and exit 1 unless $field eq 'keys';
PERL
append_to_file("$folder/bin/vault", "print '1:$hex', \"\\n\", '2:', 'ab' x 32;\n");
tried('Vault', "VAULT_ADDR=https://vault.example:8200 sh $recipes/vault.sh secret phi_guard",
	"VAULT_ADDR=https://vault.example:8200 sh $recipes/vault.sh secret other", 2);

# Ciphertext of the stand-ins: what must be given with it, a line end, the plaintext backwards.
sub ciphertext
{
	my ($version, $context, $plain) = @_;

	open my $out, '>:raw', "$folder/keys/kek.$version" or die $!;
	print $out "$context\n", scalar reverse $plain;
	close $out or die $!;
	return;
}

program('aws', $options . <<'PERL');
use MIME::Base64;
die "aws @ARGV\n" unless join(' ', splice @ARGV, 0, 2) eq 'kms decrypt';
split_options();
die "text\n" unless value('--output') eq 'text' && value('--query') eq 'Plaintext';
my ($blob, $key, $context) = (value('--ciphertext-blob'), value('--key-id'), value('--encryption-context'));
finish();
die "An error occurred (NotFoundException)\n" unless $key eq 'alias/phi_guard';
die "Invalid base64\n" unless $blob =~ m{^fileb://(/.*)};
my ($expected, $cipher) = split /\n/, content($1), 2;
die "An error occurred (InvalidCiphertextException)\n" unless $context eq $expected && !@word;
print encode_base64(scalar reverse($cipher), ''), "\n";
PERL
ciphertext(1, 'application=phi_guard,version=1', pack 'H*', $hex);
ciphertext(2, 'application=phi_guard,version=2', "\n" . chr(0) x 30 . "\n");
ciphertext(10, 'application=phi_guard,version=10', 'x' x 32);
tried('AWS KMS', "sh $recipes/aws-kms.sh alias/phi_guard $folder/keys", "sh $recipes/aws-kms.sh alias/other $folder/keys", 3);
rename "$folder/keys/kek.2", "$folder/keys/kek.3" or die $!;
use_command("sh $recipes/aws-kms.sh alias/phi_guard $folder/keys");
like(refused($node, 'custodian', 'SELECT phi.reload_kek()'), qr/^55000: /, 'AWS KMS: a file under another version is none');
unlink "$folder/keys/kek.3";
ciphertext(2, 'application=phi_guard,version=2', 'short');
like(refused($node, 'custodian', 'SELECT phi.reload_kek()'), qr/^55000: /, 'AWS KMS: nor is a key of another size');

program('gcloud', $options . <<'PERL');
die "gcloud @ARGV\n" unless join(' ', splice @ARGV, 0, 2) eq 'kms decrypt';
split_options();
value('--quiet');
my ($key, $in, $out, $aad) = map { value("--$_") } qw(key ciphertext-file plaintext-file additional-authenticated-data-file);
finish();
die "NOT_FOUND\n" unless $key eq 'projects/p/locations/l/keyRings/r/cryptoKeys/k';
die "stdout\n" unless $out eq '-' && !@word;
my ($expected, $cipher) = split /\n/, content($in), 2;
die "INVALID_ARGUMENT: Decryption failed\n" unless content($aad) eq $expected;
print scalar reverse $cipher;
PERL
unlink "$folder/keys/kek.10";
ciphertext(1, 'phi_guard 1', pack 'H*', $hex);
ciphertext(2, 'phi_guard 2', "\n" . chr(0) x 30 . "\n");
my $key = 'projects/p/locations/l/keyRings/r/cryptoKeys/k';
tried('Google Cloud KMS', "sh $recipes/gcp-kms.sh $key $folder/keys", "sh $recipes/gcp-kms.sh $key/other $folder/keys", 2);
unlike(log_since($node), qr/$hex/, 'the log has no key');
$node->stop;
done_testing();
