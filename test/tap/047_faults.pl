# libcrypto fails under a running server: at any call that phi_guard makes of it (test/faults/evp_faults.c,
# preloaded), with a wrong result, and because no provider offers a cipher.  A statement then ends in an
# error; no row is stored, no wrong or empty value is shown, no plaintext gets to the disk or into the log,
# and the session goes on as soon as libcrypto works again.

use strict;
use warnings;
use PostgreSQL::Test::BackgroundPsql;
use PostgreSQL::Test::Utils;
use Test::More;
use PhiFaults;
use PhiNode;

my $node = phi_node('faults', conf => "log_statement = none\nphi.audit_seal_interval = 0\nautovacuum = off\n");
my $library = fault_library($node);

# ---- the faults ----

# Functions of libcrypto that a library defines, or that it calls and which may fail.
sub functions
{
	my ($option, $file) = @_;

	return sort grep { !/_free$|_cleanse$|_construct_|_clear_error$|_memcmp$/ } map { /([A-Z][A-Z0-9]*_\w+)(?:@|$)/ ? $1 : () } split /\n/,
	  (run_command([ 'nm', '-D', $option, $file ]))[0];
}

# What only tokens, one-time passwords and checkpoints use; 048_faults_signatures.pl has them fail.
my $signing = qr/^EVP_(?:PKEY|MD|Digest|Q_mac)/;
my @functions = functions('--defined-only', $library);
is_deeply([ grep { /^(EVP|HMAC|SHA\d*|RAND|OSSL|BN|ERR|CRYPTO|MD5|DES|AES|PKCS5|PEM|OPENSSL)_/ }
		functions('--undefined-only', $node->config_data('--pkglibdir') . '/phi_guard.so') ],
	\@functions, 'every function of libcrypto that the extension calls and that can fail is made to');
@functions = grep { !/$signing/ } @functions;

# ---- a protected table: what comes in is sealed under the common key first, then under that of its subject ----

fault_start($node);
phi_roles($node);
phi_install($node, 'postgres');
ask($node, 'hospital', <<'SQL');
CREATE TABLE patient (id bigint PRIMARY KEY, tag text, name text, ssn text, born date);
GRANT SELECT, INSERT, UPDATE, DELETE ON patient TO clinician;
SQL
ask($node, 'officer', <<'SQL');
SELECT phi.classify('patient', 'tag', 'none'), phi.classify('patient', 'name', 'name'), phi.classify('patient', 'born', 'birth_date');
SELECT phi.classify('patient', 'ssn', 'ssn', searchable => true);
SELECT phi.protect('patient', subject => 'id', shreddable => true);
SQL
ask($node, 'hospital', 'GRANT SELECT ON patient_redacted TO clinician');

# The canaries: name and ssn have to be nowhere; tag is plain, and shows that a search finds something.
my %canary = (name => 'Quarrymoor', ssn => '987-31-', tag => 'Zephyrwick');
my $row = '1|Zephyrwick 1|Quarrymoor 1|987-31-0001|1911-07-23';
my $stored = 0;    # rows there have to be

sub insert
{
	my ($id) = @_;

	return sprintf "INSERT INTO patient VALUES (%d, 'Zephyrwick %d', 'Quarrymoor %d', '987-31-%04d', '1911-07-23')", ($id) x 4;
}
my $select = 'SELECT * FROM patient_redacted WHERE id = 1';
my $search = "SELECT * FROM patient_redacted WHERE ssn = '987-31-0001'";
my $filter = "SELECT * FROM patient_redacted WHERE name = 'Quarrymoor 1'";

ask($node, 'clinician', insert(1));
$stored++;
is(ask($node, 'clinician', $select), $row, 'a value goes in and comes out');
is(ask($node, 'clinician', 'SELECT id FROM patient WHERE ssn = \'987-31-0001\''), 1, 'and is found by search');

# A session of the clinician that survives errors; what a statement is answered, and its first error.
my $session = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'clinician', '-v', 'VERBOSITY=verbose' ]);

sub try
{
	my ($sql) = @_;

	no warnings 'redefine';
	local *PostgreSQL::Test::BackgroundPsql::note = sub { };    # it tells of every query
	$session->{stderr} = '';
	my $out = $session->query($sql);
	my $err = $session->{stderr};
	$session->{stderr} = '';
	return ($out, $err =~ /ERROR:  (.*)/ ? $1 : $err, $err);
}

# Every error that a fault may end in: what could not be done, and nothing else.
my $clean = qr/^(?:XX000:\ could\ not\ (?:wrap\ a\ new\ data\ key|pass\ the\ known-answer\ test\ of\ the\ cipher|unwrap\ a\ data\ key|prepare\ a\ data\ key|seal\ a\ value
	|open\ a\ sealed\ value|obtain\ random\ bytes|derive\ the\ token\ keys|derive\ a\ search\ key|make\ a\ search\ tag|digest\ a\ row)
	|XX001:\ could\ not\ open\ a\ sealed\ value
	|55000:\ data\ key\ \d+\ cannot\ be\ unwrapped\ with\ key-encryption\ key\ version\ 1)$/x;
my %seen;     # errors, for the record
my $next = 100;
my @trouble;

# Runs a statement with a fault; '' where the fault was not reached.
sub faulty
{
	my ($fresh, $sql, $answer, @fault) = @_;

	try('\c') if $fresh;
	fault(@fault);
	my ($out, $error, $all) = try($sql);
	my $hits = fault_hits();
	fault();
	if ($hits == 0)
	{
		push @trouble, "@fault, not reached: $sql: $out$all" if $out ne $answer || $error ne '';
		return '';
	}
	push @trouble, "@fault: $sql: $out$all" if $out ne '' || $error !~ $clean || $all =~ /DETAIL:.*\d\d\d|CONTEXT:|Quarrymoor 1\b.*Quarry/s;
	$seen{$error}++;
	return $error;
}

# ---- each call, of a process that has used no key yet and of one that has ----

my %reached;
foreach my $fresh (1, 0)
{
	foreach my $function (@functions)
	{
		my ($inserted, $selected, $found, $filtered) = (1, 1, 1, 1);
		my ($after, $previous) = (0, 1);

		while ($inserted || $selected || $found || $filtered)
		{
			if ($inserted && !($inserted = faulty($fresh, insert(++$next), '', $function, $after) ne ''))
			{
				$stored++;
			}
			$selected = faulty($fresh, $select, $row, $function, $after) ne '' if $selected;
			$found = faulty($fresh, $search, $row, $function, $after) ne '' if $found;
			$filtered = faulty($fresh, $filter, $row, $function, $after) ne '' if $filtered;
			$reached{$function} += $inserted + $selected + $found + $filtered;
			($after, $previous) = $after < 6 ? ($after + 1, $after) : ($after + $previous, $after);
		}
		push @trouble, "$function: next statements: " . join '', (try($select))[ 0, 2 ], (try($search))[ 0, 2 ]
		  if (try($select))[0] ne $row || (try($search))[0] ne $row;
	}
	is(join("\n", splice @trouble), '', 'fails at any call ' . ($fresh ? 'of a new session' : 'once keys are ready') . ': an error, then all is well');
}
note("$_: $reached{$_} faults") foreach @functions;
note("$seen{$_} x $_") foreach sort keys %seen;
is(scalar(grep { $reached{$_} == 0 } @functions), 0, 'each function was made to fail');
is(ask($node, '', 'SET row_security = off; SELECT count(*) FROM patient'), $stored, 'no row of a failed statement is stored');

# ---- in the middle of a statement and of a transaction ----

is(faulty(0, "INSERT INTO patient SELECT i, 'Zephyrwick', 'Quarrymoor ' || i, '987-31-' || i, '1911-07-23' FROM generate_series(2000, 2999) i", '',
		'RAND_bytes', 1), 'XX000: could not obtain random bytes', 'random bytes run out: an error');
foreach my $function ('EVP_CipherUpdate', 'EVP_EncryptFinal_ex', 'EVP_CIPHER_CTX_get_params')
{
	is(faulty(0, "INSERT INTO patient SELECT i, 'Zephyrwick', 'Quarrymoor ' || i, '987-31-' || i, '1911-07-23' FROM generate_series(2000, 2999) i", '',
			$function, 500), 'XX000: could not seal a value', "$function fails in the middle of an INSERT: an error");
}
is(faulty(0, "UPDATE patient SET name = 'Quarrymoor!'", '', 'EVP_EncryptFinal_ex', $stored - 1), 'XX000: could not seal a value', 'and of an UPDATE');
fault('EVP_EncryptFinal_ex', 4);
is(refused($node, '', "SET row_security = off; COPY patient FROM STDIN;\n" . join('', map { "$_\tZephyrwick\tQuarrymoor\t987-31-$_\t1911-07-23\n" } 3000, 3001) . "\\.\n"),
	'XX000: could not wrap a new data key', 'and of COPY, as it makes the key of a subject');
fault();
is(join("\n", splice @trouble), '', 'with nothing else');
is(ask($node, '', 'SET row_security = off; SELECT count(*) FROM patient'), $stored, 'no row is stored');
is(ask($node, 'clinician', 'SELECT count(*) FROM patient_redacted WHERE name LIKE \'%!\''), 0, 'no row is changed');
try('BEGIN');
try(insert(4000));
try('SAVEPOINT s');
is(faulty(0, insert(4001), '', 'EVP_EncryptFinal_ex', 0), 'XX000: could not seal a value', 'in a transaction');
try('ROLLBACK TO s');
is((try(insert(4002)))[1], '', 'it goes on from its savepoint');
try('COMMIT');
$stored += 2;
is((try('SELECT id, name FROM patient_redacted WHERE id BETWEEN 4000 AND 4002 ORDER BY id'))[0], "4000|Quarrymoor 4000\n4002|Quarrymoor 4002", 'and is whole');

# ---- wrong results ----

foreach my $function ('EVP_CipherUpdate', 'EVP_EncryptUpdate', 'EVP_CIPHER_CTX_get_params')
{
	foreach my $sql (insert(5000), $select)
	{
		is(faulty(1, $sql, '', $function, 0, 'wrong'), 'XX000: could not pass the known-answer test of the cipher', "$function gives wrong results: " . substr $sql, 0, 6);
	}
	is((try($select))[0], $row, 'the same session tests again, and works');
}
like(faulty(1, $_, '', 'SHA256_Final', 0, 'wrong'), qr/^55000: data key \d+ cannot be unwrapped/, 'SHA-256 is wrong: ' . substr $_, 0, 6)
  foreach insert(5000), $select;
is(join("\n", splice @trouble), '', 'with nothing else');
is(ask($node, '', 'SET row_security = off; SELECT count(*) FROM patient'), $stored, 'nothing was sealed with them');

# ---- the first keys of a database ----

$node->safe_psql('postgres', 'CREATE DATABASE other');
phi_install($node, 'other');
ask($node, 'hospital', "CREATE TABLE visit (id bigint PRIMARY KEY, patient bigint NOT NULL, tag text); INSERT INTO visit VALUES (1, 1, 'Zephyrwick')", db => 'other');
ask($node, 'officer', "SELECT phi.classify('visit', 'tag', 'name')", db => 'other');
foreach my $function (@functions)
{
	foreach my $after ($function eq 'RAND_bytes' ? 0 : (0, 3))
	{
		fault($function, $after);
		my ($error, $all) = refused($node, 'officer', "SELECT phi.protect('visit', subject => 'patient')", db => 'other');
		push @trouble, "$function $after: $all" if fault_hits() == 0 || $error !~ /^(XX000|55000): / || $all =~ /Zephyrwick/;
		fault();
		my $now = ask($node, '', 'SELECT tag FROM visit; SELECT count(*) FROM phi.data_key', db => 'other');
		push @trouble, "$function $after: now $now" if $now ne "Zephyrwick\n0";
	}
}
is(join("\n", splice @trouble), '', 'phi.protect fails: no key is made, the table is as it was');
# ---- no provider that has the ciphers ----

$session->quit;
$node->stop;

# A configuration of libcrypto beside the data directory; its path.
sub openssl_conf
{
	my ($name, $sections) = @_;
	my $path = $node->basedir . "/$name.cnf";

	append_to_file($path, "openssl_conf = start\n[start]\nproviders = providers\nalg_section = algorithms\nrandom = random\n$sections");
	return $path;
}

# Random bytes come from the default provider, everything else is looked for in one that is not there.
my $refusing = openssl_conf('refusing', <<'EOC');
[providers]
default = on
[on]
activate = 1
[algorithms]
default_properties = provider=absent
[random]
properties = provider=default
seed = SEED-SRC
seed_properties = provider=default
EOC
fault_start($node, OPENSSL_CONF => $refusing);
foreach my $sql (insert(6000), $select, "UPDATE patient SET name = 'Quarrymoor!' WHERE id = 1", "SELECT phi.reveal(name) FROM patient WHERE id = 1", $search)
{
	my ($error, $all) = refused($node, 'clinician', $sql);

	is($error, 'XX000: could not pass the known-answer test of the cipher', 'no cipher: ' . substr $sql, 0, 20);
	unlike($all, qr/DETAIL:.*Quarry|CONTEXT:/, 'and not a word of the value');
}
like(refused($node, 'officer', "SELECT phi.protect('visit', subject => 'patient')", db => 'other'), qr/^XX000: could not /, 'nor is a table protected');
is(ask($node, '', 'SELECT tag FROM visit; SELECT count(*) FROM phi.data_key', db => 'other'), "Zephyrwick\n0", 'and the table is as it was');
$node->stop;

# The null provider: not even random bytes, so that the server takes no connection.
fault_start($node, OPENSSL_CONF => openssl_conf('none', "[providers]\nnull = on\n[on]\nactivate = 1\n[algorithms]\n[random]\n"));
foreach my $sql (insert(6001), $select)
{
	my ($status, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', 'clinician' ]);

	isnt($status, 0, 'no provider: ' . substr $sql, 0, 6);
	is($out, '', 'shows nothing');
}
$node->stop;

# ---- and all is well ----

$node->start;
is(ask($node, 'clinician', $select), $row, 'with its provider the server opens what was sealed');
is(ask($node, 'clinician', 'SELECT count(*) FROM patient_redacted WHERE name LIKE \'Quarrymoor %\' AND born = \'1911-07-23\' AND ssn = \'987-31-\' || lpad(id::text, 4, \'0\')'),
	$stored, 'every value of every row is what was written');
is(ask($node, '', q{SET row_security = off; SELECT count(*) FROM patient WHERE name::text NOT LIKE 'phi:1:%' OR ssn::text NOT LIKE 'phi:1:%' OR born::text NOT LIKE 'phi:1:%'}),
	0, 'and is stored sealed');
ask($node, 'officer', "SELECT phi.protect('visit', subject => 'patient')", db => 'other');
like(ask($node, '', 'SET row_security = off; SELECT tag FROM visit', db => 'other'), qr/^phi:1:/, 'a table is protected where that had failed');
ask($node, 'auditor', 'SELECT phi.audit_seal()');
is(ask($node, 'auditor', 'SELECT ok, problem FROM phi.audit_verify()'), 't|', 'the audit log is good');
is(ask($node, '', "SELECT count(*) FROM phi_audit.event e, unnest(row_keys) k WHERE relation = 'public.patient' AND action = 'insert'"), $stored, 'and has the rows that are there');
$node->stop;
my $found = sweep($node->data_dir, \%canary);
is(join(' ', @{ $found->{$_} }), '', "$_: nowhere in the data directory") foreach qw(name ssn);
isnt(join(' ', @{ $found->{tag} }), '', 'where the plain column is found');
my @log = split /\n/, log_since($node);
foreach my $name (sort keys %canary)
{
	is(join("\n", grep { /$canary{$name}/ } @log), '', "$name: not in the log");
}
isnt(scalar(grep { /ERROR:  could not seal a value/ } @log), 0, 'where the errors are');
is(join("\n", grep { /PANIC|TRAP|was terminated by signal/ } @log), '', 'no process has crashed');

done_testing();
