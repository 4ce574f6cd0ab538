# Step-up, by signed tokens in one pooled login role: what demands one opens with it and closes when it
# is too old, in the middle of a transaction too; the glass is the actor's, not the login role's; nobody
# reviews his own.

use strict;
use warnings;
use Digest::SHA qw(hmac_sha256);
use JSON::PP;
use MIME::Base64 qw(encode_base64url);
use PostgreSQL::Test::Utils;
use Test::More;
use PhiNode;

my $node = phi_node('step_up');
my $key = 'k' x 32;
my $jwks = $node->basedir . '/jwks.json';

open my $out, '>', $jwks or die "$jwks: $!";
chmod 0600, $jwks;
print $out encode_json({ keys => [ { kty => 'oct', alg => 'HS256', kid => 'test', k => encode_base64url($key) } ] });
close $out or die "$jwks: $!";
$node->append_conf('postgresql.conf', <<"CONF");
phi.jwks_file = '$jwks'
phi.token_issuer = 'https://issuer.example'
phi.token_audience = 'phi'
phi.step_up_acr = 'gold'
phi.step_up_max_age = 10s
CONF
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION phi_guard CASCADE');
plan skip_all => 'SKIPPED: this build has no login by tokens'
	if $node->safe_psql('postgres', q{SELECT to_regproc('phi.login') IS NULL}) eq 't';

# A token of somebody; the step-up that many seconds ago, or none.
sub token
{
	my ($actor, $role, $stepped_up) = @_;
	my %claims = (iss => 'https://issuer.example', aud => 'phi', sub => $actor, jti => "t-$actor-" . rand(), exp => time + 600,
		roles => [ $role ], purposes => [ 'TREAT' ], groups => [ 'night shift' ]);

	@claims{ 'acr', 'auth_time' } = ('gold', time - $stepped_up) if defined $stepped_up;
	my $signed = join '.', map { encode_base64url($_) } '{"alg":"HS256","kid":"test"}', encode_json(\%claims);
	return $signed . '.' . encode_base64url(hmac_sha256($signed, $key));
}

# What statements answer in one transaction of a token's owner, and their error.
sub as
{
	my ($token, $purpose, @sql) = @_;
	my ($status, $all, $error) = $node->psql('postgres',
		"BEGIN;\nSELECT '' FROM (SELECT phi.login('$token', '$purpose')) l;\n" . join(";\n", @sql) . ";\nCOMMIT;",
		extra_params => [ '-U', 'pool' ]);

	$all =~ s/^\n//;
	return ($all, $error);
}

$node->safe_psql('postgres', q{
	CREATE ROLE pool LOGIN;
	SELECT phi.grant_duty('pool', 'application'), phi.grant_duty('pool', 'privacy_officer');
	SELECT phi.set_rule('doctor', 'TREAT', 'name', 'full'), phi.require_care('doctor', 'TREAT');
	SELECT phi.allow_action('doctor', 'break_glass'), phi.require_step_up(label => 'HIV');
	CREATE TABLE patient (id int PRIMARY KEY, labels text[], name text);
	SELECT phi.classify('patient', 'name', 'name'), phi.protect('patient', 'id', labels => 'labels');
	INSERT INTO patient VALUES (1, NULL, 'Ada'), (2, '{HIV}', 'Bea'), (3, NULL, 'Cy');
	GRANT SELECT ON patient, patient_redacted TO pool;
	SELECT phi.relate(1, actor => 'dr.a'), phi.relate(2, care_team => 'night shift');
});

my $seen = q{SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), 'none') FROM patient};
my $why = q{SELECT reason FROM phi.explain_access(2, 'patient', '{HIV}')};
my $break = q{SELECT phi.break_glass(3, 'unconscious in the emergency room')};

# Labels
is_deeply([ as(token('dr.a', 'doctor'), 'TREAT', $seen, $why) ], [ "1\nstep_up_required", '' ], 'closed without a step-up');
is_deeply([ as(token('dr.a', 'doctor', 0), 'TREAT', $seen, $why) ], [ "1 2\ndefault_permit", '' ], 'open with one; a group of the token relates');
is_deeply([ as(token('dr.a', 'doctor', 30), 'TREAT', $seen, $why) ], [ "1\nstep_up_required", '' ], 'closed with an old one');
is((as(token('dr.a', 'doctor', 7), 'TREAT', $seen, q{SELECT '' FROM pg_sleep(3.2)}, $seen))[0], "1 2\n\n1", 'closed when it grows old');
is((as(token('dr.b', 'doctor', 0), 'TREAT', $seen))[0], '2', 'another actor of the same login role');

# Glass
like((as(token('dr.a', 'doctor'), 'TREAT', $break))[1], qr/permission denied to break the glass.*step-up/s, 'no glass without a step-up');
like((as(token('dr.a', 'doctor', 30), 'TREAT', $break))[1], qr/step-up/, 'nor with an old one');
like((as(token('dr.a', 'doctor', 7), 'TREAT', q{SELECT '' FROM pg_sleep(3.2)}, $break))[1], qr/step-up/, 'nor when it grew old');
is((as(token('dr.a', 'doctor', 0), 'TREAT', $break))[0], '1', 'glass with one');
is((as(token('dr.a', 'doctor'), 'BTG', $seen))[0], '1 3', 'open for the actor, by any token of it');
is((as(token('dr.b', 'doctor', 0), 'BTG', $seen))[0], '2', 'not for others of the login role');

# Review: the login role is everybody's, the actor counts
like((as(token('dr.a', 'doctor', 0), 'TREAT', q{SELECT phi.review_break_glass(1, 'justified')}))[1], qr/one's own/, 'not by the actor');
my ($status, $all, $error) = $node->psql('postgres', q{SELECT phi.review_break_glass(1, 'justified')}, extra_params => [ '-U', 'pool' ]);
like($error, qr/one's own/, 'not by the login role without a token');
is((as(token('chief', 'officer'), 'TREAT', q{SELECT '' FROM (SELECT phi.review_break_glass(1, 'not_justified')) r},
	q{SELECT verdict, reviewed_by FROM phi.break_glass_review}))[0], "\nnot_justified|chief", 'by somebody else');
is((as(token('dr.a', 'doctor'), 'BTG', $seen))[0], '1', 'closed by the review');
is($node->safe_psql('postgres', q{SELECT string_agg(concat_ws(' ', action, actor, outcome, reason), ', ' ORDER BY event_id) FROM phi_audit.event
	WHERE action IN ('break_glass', 'review_break_glass')}), join(', ', ('break_glass dr.a denied step_up_required') x 3, 'break_glass dr.a success',
	'review_break_glass dr.a denied own_review', 'review_break_glass denied own_review', 'review_break_glass chief success'), 'all of it is in the log');
$node->stop;

done_testing();
