# The commands of docs/audit-evidence.md, run as they stand there: a checkpoint verified by openssl, an export and a
# proof by phi_verify; and the same refuse what was altered.

use strict;
use warnings;
use File::Basename;
use File::Path qw(make_path);
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $page = dirname(__FILE__) . '/../../docs/audit-evidence.md';
plan skip_all => 'docs/audit-evidence.md is not here' unless -f $page;
foreach my $tool ('openssl version', 'xxd -v', 'base64 --version')
{
	plan skip_all => "there is no $tool" if system("$tool >/dev/null 2>&1") != 0;
}
my $text = slurp_file($page);

# The lines behind "$ " of the first block behind a heading that holds a word.
sub commands
{
	my ($heading, $word) = @_;
	my ($section) = $text =~ /^#+ \Q$heading\E\n(.*?)(?=^#|\z)/ms or die "no section $heading";
	my ($block) = grep { /\Q$word\E/ } $section =~ /((?:^    .*\n)+)/mg;

	die "no block with $word" if !defined $block;
	return join '', map { "$_\n" } $block =~ /^    \$ (.*)$/mg;
}

my $node = phi_node('documented', conf => "fsync = off\nphi.audit_seal_interval = 0\n");
my $work = $node->basedir . '/documented';
make_path("$work/checkpoints", { mode => 0755 });
$node->append_conf('postgresql.conf', "phi.checkpoint_directory = '$work/checkpoints'");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION phi_guard CASCADE;
	SELECT phi.install_default_rules();
	SELECT phi.enroll(session_user::regrole, 'dr.page', '{clinician}', '{TREAT}');
	CREATE TABLE person (id bigint PRIMARY KEY, name text);
	SELECT phi.classify('person', 'name', 'name');
	SELECT phi.protect('person', subject => 'id');
	SELECT phi.set_purpose('TREAT');
	INSERT INTO person VALUES (1, 'x');
});
$node->safe_psql('postgres', 'SELECT phi.audit_seal()');

# Runs commands in the folder, with psql's environment: status, and what they say.
sub run_in_shell
{
	my ($script) = @_;
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres',
		PATH => ($ENV{PHI_VERIFY} ? dirname($ENV{PHI_VERIFY}) . ':' : '') . $ENV{PATH});
	my $said = '';

	IPC::Run::run([ 'bash', '-c', "cd '$work' && $script" ], '>', \$said, '2>&1');
	return ($? >> 8) . ": $said";
}

# ---- the signature ----

my $signature = commands('The signature, without any code of ours', 'openssl');
like($signature, qr/^KEY=.*\nopenssl pkeyutl -verify.*/ms, 'the page has the commands');
like(run_in_shell($signature), qr/^0: Signature Verified Successfully/, 'as they stand they verify a checkpoint');
my $altered = $signature =~ s/^(sed '\/\^\$.*)$/$1; sed -i '2s\/^.\/9\/' text/mr;
isnt($altered, $signature, 'with the size of the tree altered');
like(run_in_shell($altered), qr/^[1-9]\d*: (?!Signature Verified Successfully)/, 'they do not');

# ---- the export, and the proof of an event ----

SKIP:
{
	skip 'PHI_VERIFY is not set', 3 unless $ENV{PHI_VERIFY};
	my $key = 'KEY=$(psql -Atc \'SELECT phi.audit_public_key()\')' . "\n";
	my $export = commands('Evidence, retention and use of the audit log', 'phi_verify');
	like(run_in_shell($key . $export), qr/^0: good: leaves 0 to \d+, \d+ checkpoints, \d+ kept elsewhere agree, 0 larger; 0 events gone; keys: as given/, 'so is an export');
	my $proof = commands('Proofs', 'phi_verify');
	my $event = $node->safe_psql('postgres', "SELECT event_id FROM phi_audit.event WHERE relation = 'public.person' AND action = 'insert'");
	like($proof, qr/777/, 'the page proves an event');
	like(run_in_shell($key . ($proof =~ s/777/$event/r)), qr/^0: good: leaf \d+ of \d+, signed by phi_guard\/.*\n\{"event_id":$event,/, 'as it is here');
}
$node->stop;
done_testing();
