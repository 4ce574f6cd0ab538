# Key-encryption keys: where they may come from, what happens when they do not come, and that no byte of
# them, nor the text or output of a command, gets into a message or the server's log.

use strict;
use warnings;
use PostgreSQL::Test::BackgroundPsql;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use PhiNode;

my $node = phi_node('keys', kek => 0, conf => "log_statement = none\nphi.kek_timeout = 5\n");
my $folder = $node->basedir;
my $good = add_kek($node, 1);
my ($key) = slurp_file($good) =~ /^1:([0-9a-f]{64})\n\z/ or die 'unexpected key file';
my @never = ($key, uc $key, pack('H*', $key));    # must not be in the log

# A file beside the data directory with a mode; its path.
my $files = 0;

sub key_file
{
	my ($content, $mode) = @_;
	my $path = "$folder/kek." . ++$files;

	append_to_file($path, $content);
	chmod $mode // 0600, $path or die "$path: $!";
	return $path;
}

# A key of a version, as its line, that the log must not show either.
sub key_line
{
	my ($version, $digits) = @_;

	$digits //= join '', map { sprintf '%x', int rand 16 } 1 .. 64;
	push @never, $digits if length $digits >= 16;
	return "$version:$digits\n";
}

my $seal = "SELECT phi.seal('kingfisher'::text)";
my $open = 'SELECT name FROM patient_redacted WHERE id = 1';

# A file is refused for sealing and opening with an error that matches; plain work goes on.
sub bad_file
{
	my ($path, $error, $name) = @_;

	wait_for_setting($node, 'phi.kek_file', $path);
	my ($first, $all) = refused($node, 'clinician', $open);
	like($first, $error, "$name: refused");
	like($all, qr/HINT:  \S/, "$name: with a hint");
	isnt(refused($node, 'clinician', $seal), '', "$name: nothing is sealed");
	return;
}

sub good_file
{
	my ($path, $name) = @_;

	wait_for_setting($node, 'phi.kek_file', $path);
	is(ask($node, 'clinician', $open), 'Ann', $name);
	return;
}

# ---- without a key ----

$node->start;
phi_roles($node);
phi_install($node, 'postgres');
ask($node, 'hospital', 'CREATE TABLE patient (id bigint PRIMARY KEY, name text); CREATE TABLE plain (x text); INSERT INTO plain VALUES (1);
	GRANT INSERT, SELECT ON patient TO clinician');
is(ask($node, 'hospital', 'SELECT x FROM plain'), 1, 'plain work goes on without a key');
ask($node, 'officer', "SELECT phi.classify('patient', 'name', 'name')");
my ($error, $all) = refused($node, 'officer', "SELECT phi.protect('patient', subject => 'id')");
like($error, qr/^55000: no key-encryption key is configured/, 'without a key nothing can be protected');
like($all, qr/HINT:  .*phi\.kek_file or phi\.kek_command/, 'and the hint says what to set');
is(ask($node, 'hospital', "SELECT pg_typeof(name), count(*) OVER () FROM (SELECT NULL::text AS name) n, pg_class WHERE relname = 'patient'
		AND NOT relrowsecurity"), 'text|1', 'the table is as it was');
like(refused($node, 'clinician', $seal), qr/^55000: /, 'nothing can be sealed');
is(ask($node, 'custodian', 'SELECT count(*) FROM phi.key_status()'), 0, 'there are no keys');

good_file($good, 'with a key file it works') if eval {
	wait_for_setting($node, 'phi.kek_file', $good);
	ask($node, 'officer', "SELECT phi.protect('patient', subject => 'id')");
	ask($node, 'hospital', 'GRANT SELECT ON patient_redacted TO clinician');
	ask($node, 'clinician', "INSERT INTO patient VALUES (1, 'Ann')");
	1;
} or die $@;
is(ask($node, 'custodian', 'SELECT bool_and(opens), count(*) FROM phi.key_status()'), 't|2', 'the root key and a data key open');

# ---- files ----

my $line = slurp_file($good);
foreach my $mode (0644, 0640, 0604, 0620, 0602, 0700, 0777)
{
	bad_file(key_file($line, $mode), qr/^F0000: phi\.kek_file cannot be used: its mode/, sprintf 'mode %04o', $mode);
}
good_file(key_file($line, 0400), 'mode 0400 is accepted');
my $inside = $node->data_dir . '/kek';
append_to_file($inside, $line);
chmod 0600, $inside;
bad_file($inside, qr/^F0000: .*inside the data directory/, 'in the data directory');
symlink $inside, "$folder/link" or die $!;
bad_file("$folder/link", qr/^F0000: .*inside the data directory/, 'a link into the data directory');
bad_file($node->data_dir . '/base/../kek', qr/^F0000: .*inside the data directory/, 'a path with ..');
bad_file('kek', qr/^F0000: .*inside the data directory/, 'a path relative to it');
unlink $inside;
mkdir "$folder/kek.folder", 0700 or die $!;
bad_file("$folder/kek.folder", qr/^F0000: .*not a regular file/, 'a directory');
bad_file('/dev/zero', qr/^F0000: .*cannot be used/, 'a device');
system_or_bail('mkfifo', '-m', '600', "$folder/fifo");
bad_file("$folder/fifo", qr/^F0000: .*not a regular file/, 'a pipe');
bad_file("$folder/nowhere", qr/^55000: could not open phi\.kek_file/, 'a missing file');
SKIP:
{
	# a file of another user that is neither root's nor the server's: only root can make one
	skip 'needs root', 3 if $> != 0;
	my $foreign = key_file($line);
	chown 1, -1, $foreign;
	bad_file($foreign, qr/^F0000: .*belongs to another user/, 'another owner');
}

my $form = qr/^F0000: line \d+ of the key-encryption keys is not of the form/;
my $hex = substr(key_line(7), 2, 64);
my %malformed = (
	'a digit that is none' => '1:' . substr($hex, 0, 63) . "g\n",
	'too few digits' => '1:' . substr($hex, 0, 63) . "\n",
	'too many digits' => "1:${hex}0\n",
	'no version' => ":$hex\n",
	'version 0' => "0:$hex\n",
	'a negative version' => "-1:$hex\n",
	'a version out of range' => "2147483648:$hex\n",
	'a huge version' => ('9' x 40) . ":$hex\n",
	'no colon' => "1$hex\n",
	'white space before' => " 1:$hex\n",
	'white space after' => "1:$hex \n",
	'a version twice' => "1:$key\n1:$hex\n",
	'the same line twice' => $line . $line,
	'a good line and a bad one' => $line . "2:zz\n",
	'a NUL byte' => "1:$hex\0\n",
	'more versions than fit' => join('', map { key_line($_) } 1 .. 65),
	'a key pasted alone' => "$hex\n",
);
bad_file(key_file($malformed{$_}), $form, $_) foreach sort keys %malformed;
bad_file(key_file(''), qr/^55000: .*gave none/, 'an empty file');
bad_file(key_file("# no key yet\n\n"), qr/^55000: .*gave none/, 'comments alone');
bad_file(key_file("# long\n" . ('#' x 79 . "\n") x 2000 . $line), qr/^F0000: .*too large/, 'a file too large');
good_file(key_file("# comment\r\n\r\n1:" . uc($key) . "\r\n"), 'comments, CR LF, capitals');
good_file(key_file("1:$key"), 'no newline at the end');
good_file(key_file(key_line(2) . $line . key_line(2147483647)), 'several versions, in any order');
is(ask($node, 'custodian', 'SELECT phi.reload_kek()'), 3, 'reload_kek counts them');
like(refused($node, 'clinician', 'SELECT phi.reload_kek()'), qr/^42501: /, 'and is for custodians');

# ---- a wrong key, and the right one again, in one session ----

my $changing = key_file(key_line(1));
wait_for_setting($node, 'phi.kek_file', $changing);
($error, $all) = refused($node, 'clinician', $open);
like($error, qr/^55000: data key \d+ cannot be unwrapped with key-encryption key version 1/, 'a wrong key: the error says which');
like($all, qr/HINT:  .*phi\.kek_file/, 'with a hint');
is(ask($node, 'custodian', 'SELECT bool_or(opens), count(*) FROM phi.key_status()'), 'f|2', 'key_status says that nothing opens');
my $session = $node->background_psql('postgres', extra_params => [ '-U', 'clinician' ], on_error_stop => 0);
is($session->query($open), '', 'a session that finds the wrong key');
unlink $changing;
append_to_file($changing, $line);
chmod 0600, $changing;
is(ask($node, 'custodian', 'SELECT phi.reload_kek()'), 1, 'the file is corrected and read again');
is($session->query($open), 'Ann', 'and the same session opens the value');
unlink $changing;
append_to_file($changing, 'rubbish');
chmod 0600, $changing;
like(refused($node, 'custodian', 'SELECT phi.reload_kek()'), $form, 'a bad file is refused when it is read again');
is($session->query($open), 'Ann', 'and the keys that were read stay in use');
$session->quit;
bad_file(key_file(key_line(9)), qr/^55000: .*key-encryption key version 1/, 'a file without the version that is needed');

# ---- a statement that fails for want of a key does not leave its values in the log ----

wait_for_setting($node, 'phi.kek_file', "$folder/none");
like(refused($node, 'clinician', "INSERT INTO patient VALUES (2, 'kingfisher')"), qr/^55000: /, 'an INSERT without a key');
is(ask($node, 'hospital', 'SELECT x FROM plain'), 1, 'plain work goes on');

# ---- commands ----

# A command takes the place of the file; its text is set while the server is down, since PostgreSQL
# itself logs what a reload changes.
sub command
{
	my ($script) = @_;
	my $path = "$folder/command." . ++$files;

	append_to_file($path, "#!/bin/sh\n: herring-text\n$script\n");
	chmod 0700, $path;
	$node->stop;
	$node->append_conf('postgresql.conf', "phi.kek_file = ''\nphi.kek_command = ': herring-text; exec $path'");
	$node->start;
	return;
}

command("cat $good");
is(ask($node, 'clinician', $open), 'Ann', 'a command that prints the keys');
like(refused($node, 'clinician', 'SHOW phi.kek_command'), qr/^42501: /, 'its text is not for everybody');
like(refused($node, 'clinician', 'SHOW phi.kek_file'), qr/^42501: /, 'nor is the path of a file');

my $failed = qr/^55000: phi\.kek_command failed/;
my %bad_command = (
	'exits with an error' => [ "cat $good; exit 3", $failed ],
	'cannot be found' => [ 'exec /nowhere/herring-text', $failed ],
	'is killed' => [ "cat $good; kill -9 \$\$", $failed ],
	'prints garbage' => [ 'echo herring-output $$', $form ],
	'prints a page of HTML' => [ 'printf "<html>\n<body>herring-output</body>\n"', $form ],
	'prints nothing' => [ 'true', qr/^55000: .*gave none/ ],
	'prints too much' => [ 'yes herring-output', $failed ],
	'writes to its standard error' => [ 'echo herring-output >&2; exit 1', $failed ],
);
foreach my $case (sort keys %bad_command)
{
	my ($script, $expected) = @{ $bad_command{$case} };

	command($script);
	my ($first, $message) = refused($node, 'clinician', $open);
	like($first, $expected, "a command that $case");
	like($message, qr/HINT:  \S/, 'with a hint');
	unlike($message, qr/herring/, 'without its text or output');
}

# Commands that hang are ended, with all that they started.
wait_for_setting($node, 'phi.kek_timeout', '1s');
my %hanging = (
	'hangs' => "echo \$\$ >$folder/pid; exec sleep 300",
	'hangs after its output' => "cat $good; echo \$\$ >$folder/pid; exec >&-; exec sleep 300",
	'leaves a process behind that holds its output' => "cat $good; sleep 300 & echo \$! >$folder/pid",
	'ignores signals' => "trap '' TERM INT HUP; echo \$\$ >$folder/pid; while :; do sleep 1; done",
);
foreach my $case (sort keys %hanging)
{
	command($hanging{$case});
	my $begun = time;
	like(refused($node, 'clinician', $open), $failed, "a command that $case");
	cmp_ok(time - $begun, '<', 20, 'is given up');
	my $pid = slurp_file("$folder/pid");
	chomp $pid;
	ok($pid =~ /^\d+$/ && gone($pid), 'and is gone');
	unlink "$folder/pid";
}

# A killed process may stay a zombie until it is reaped: gone means that it runs no more.
sub gone
{
	my ($pid) = @_;

	foreach my $try (1 .. 50)
	{
		return 1 if !-d "/proc/$pid" || slurp_file("/proc/$pid/stat") =~ /\) [ZX] /;
		select undef, undef, undef, 0.1;
	}
	return 0;
}

# ---- twenty sessions at once ask once ----

my $count = "$folder/count";
my $script = "$folder/seal.sql";
append_to_file($script, "$seal;\n");
my @sessions = ('pgbench', '-n', '-c', '20', '-j', '4', '-t', '1', '-U', 'clinician', '-f', $script, 'postgres');

wait_for_setting($node, 'phi.kek_timeout', '10s');
command("echo x >>$count; sleep 0.5; cat $good");
$node->command_ok(\@sessions, 'twenty sessions seal at once');
is(slurp_file($count), "x\n", 'and the command ran once');
unlink $count;
command("echo x >>$count; sleep 0.2; exit 1");
$node->command_fails(\@sessions, 'twenty sessions find a command that fails');
cmp_ok(length(slurp_file($count)) / 2, '<=', 4, 'and did not all run it');
ok(1, 'the server is alive: ' . ask($node, 'hospital', 'SELECT x FROM plain'));
$node->stop;

# ---- the log ----

my $log = slurp_file($node->logfile);
is(scalar(grep { index($log, $_) >= 0 } @never), 0, 'no key is in the log, whole, wrong or malformed');
is(() = $log =~ /herring-output/g, 0, 'no output of a command is in the log');
is(() = $log =~ /herring-text/g, 0, 'nor is its text');
is(() = $log =~ /kingfisher/g, 0, 'nor a value that could not be sealed for want of a key');
like($log, qr/phi\.kek_command failed/, 'that it failed is');
my $found = sweep($node->data_dir, { hex => $key, capitals => uc $key, raw => pack('H*', $key) });
is(join(' ', map { @$_ } values %$found), '', 'and the key is in no file of the data directory');

done_testing();
