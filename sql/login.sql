-- Login: an identity from a signed token, and none but one's own
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE login_app LOGIN; -- ok
CREATE ROLE login_dr LOGIN; -- ok
CREATE ROLE login_officer LOGIN; -- ok
SELECT phi.grant_duty('login_app', 'application'), phi.grant_duty('login_dr', 'application'), phi.grant_duty('login_officer', 'security_officer'); -- ok
SELECT phi.enroll('login_dr', 'dr.enrolled', '{clinician}', '{TREAT}'); -- ok

-- tokens of this test: HS256, by a key that the key file says is for that
CREATE SCHEMA login; -- ok
CREATE FUNCTION login.b64url(bytes bytea) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT translate(encode(bytes, 'base64'), E'+/=\n', '-_') $$; -- ok
CREATE FUNCTION login.sign(header text, payload text, key bytea) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT s || '.' || login.b64url(public.hmac(convert_to(s, 'UTF8'), key, 'sha256'))
	FROM (SELECT login.b64url(convert_to(header, 'UTF8')) || '.' || login.b64url(convert_to(payload, 'UTF8'))) AS t (s) $$; -- ok
CREATE FUNCTION login.mint(more jsonb DEFAULT '{}', lasts interval DEFAULT '10 minutes') RETURNS text LANGUAGE sql AS $$
	SELECT login.sign('{"alg":"HS256","kid":"test"}', (jsonb_build_object('iss', 'https://issuer.example', 'aud', 'phi', 'sub', 'dr.ada',
		'jti', 't-ada', 'exp', floor(extract(epoch FROM clock_timestamp() + lasts))::bigint, 'roles', '["clinician","teacher"]'::jsonb, 'purposes', '["TREAT","HRESCH"]'::jsonb,
		'organization', 'north', 'groups', '["ward 3"]'::jsonb) || more)::text, decode(repeat('5a', 32), 'hex')) $$; -- ok
GRANT USAGE ON SCHEMA login TO PUBLIC; -- ok

-- what is missing is said before the token is looked at
SELECT phi.login('x'); -- fails: no transaction
SELECT phi.login('x', session => true); -- fails: not allowed
BEGIN;
SELECT phi.login('x'); -- fails: nothing is configured
ROLLBACK;
SELECT current_setting('data_directory') || '/login_test.jwks' AS jwks \gset
\set write 'COPY (SELECT \'{"keys":[{"kty":"oct","alg":"HS256","kid":"test","k":"\' || login.b64url(decode(repeat(\'5a\', 32), \'hex\')) || \'"}]}\') TO PROGRAM '
SELECT format('umask 077; cat > %s', :'jwks') AS write_private, format('chmod 0644 %s', :'jwks') AS open_up, format('chmod 0600 %s', :'jwks') AS close_up,
	format('cat > /dev/null; rm -f %s', :'jwks') AS take_away, format('cat > %s', :'jwks') AS overwrite \gset
:write :'write_private';
ALTER SYSTEM SET phi.jwks_file = :'jwks';
ALTER SYSTEM SET phi.token_issuer = 'https://issuer.example';
ALTER SYSTEM SET phi.step_up_acr = 'gold';
ALTER SYSTEM SET phi.token_audience = 'phi';
SELECT pg_reload_conf();
\setenv PGDATABASE :DBNAME
\! for i in $(seq 100); do [ "$(psql -XAtc 'SHOW phi.token_audience')" = phi ] && break; sleep 0.1; done
\c -
\set VERBOSITY terse
SET client_min_messages = warning;

-- a table to read; what is bound to an identity is what may read one
CREATE TABLE login.patient (id int PRIMARY KEY, name text); -- ok
INSERT INTO login.patient VALUES (1, 'Ada Canary'), (2, 'Bob Canary'), (3, 'Cy Canary'); -- ok
SELECT phi.set_rule('clinician', 'TREAT', 'name', 'full'), phi.classify('login.patient', 'name', 'name'); -- ok
SELECT phi.protect('login.patient', 'id'); -- ok
GRANT SELECT ON login.patient_redacted TO login_app, login_dr; -- ok

-- an identity until the transaction ends
SET SESSION AUTHORIZATION login_app;
SELECT identified, source FROM phi.whoami(); -- nobody
SELECT name FROM login.patient_redacted ORDER BY id; -- nothing
SELECT login.mint() AS ada \gset
SELECT login.mint('{"sub":"dr.bob","jti":"t-bob","purposes":"HPAYMT","roles":"billing","organization":null,"groups":[]}') AS bob \gset
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
SELECT identified, actor, organization, workforce_roles, purpose, allowed_purposes, source, groups, token_id, expires_at > now() + '9 minutes' AS lasts, step_up_at, step_up_fresh FROM phi.whoami();
SELECT name FROM login.patient_redacted ORDER BY id; -- three
COMMIT;
SELECT name FROM login.patient_redacted ORDER BY id; -- nothing
SELECT identified, source FROM phi.whoami(); -- nobody
BEGIN;
SELECT phi.login(:'ada'); -- ok
SELECT actor, purpose FROM phi.whoami(); -- several: none is stated
SELECT phi.set_purpose('HRESCH'); -- ok
SELECT actor, purpose FROM phi.whoami(); -- HRESCH
SELECT phi.set_purpose('HPAYMT'); -- fails
ROLLBACK;
BEGIN;
SELECT phi.login(:'bob'); -- ok
SELECT actor, purpose, organization, groups FROM phi.whoami(); -- HPAYMT: the only one
ROLLBACK;
SELECT identified FROM phi.whoami(); -- nobody
BEGIN;
SELECT phi.login(:'ada', 'TREAT'), phi.set_purpose('BTG'); -- ok
COMMIT;
SELECT identified, purpose FROM phi.whoami(); -- nobody: the purpose went with the login
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
SELECT phi.logout(); -- ok
SELECT identified FROM phi.whoami(); -- nobody
COMMIT;

-- refused, always in the same words
CREATE TEMP TABLE bad (what text, token text);
INSERT INTO bad SELECT v.* FROM (VALUES
	('empty', ''), ('words', 'not a token'), ('dots', '..'), ('altered', overlay(:'ada' PLACING 'AAAA' FROM 120)), ('cut', left(:'ada', -1)),
	('longer', :'ada' || 'A'), ('padded', :'ada' || '='), ('two lines', :'ada' || E'\n'), ('huge', repeat('A', 20000)),
	('another key', login.sign('{"alg":"HS256","kid":"test"}', '{}', decode(repeat('5b', 32), 'hex'))),
	('none', login.sign('{"alg":"none"}', '{}', decode(repeat('5a', 32), 'hex'))),
	('no signature', split_part(:'ada', '.', 1) || '.' || split_part(:'ada', '.', 2) || '.'),
	('critical', login.sign('{"alg":"HS256","kid":"test","crit":["x"],"x":1}', '{}', decode(repeat('5a', 32), 'hex'))),
	('nested', login.sign('{"alg":"HS256","kid":"test","cty":"JWT"}', '{}', decode(repeat('5a', 32), 'hex'))),
	('unknown key', login.sign('{"alg":"HS256","kid":"other"}', '{}', decode(repeat('5a', 32), 'hex'))),
	('issuer', login.mint('{"iss":"https://other.example"}')), ('audience', login.mint('{"aud":"other"}')), ('no audience', login.mint('{"aud":null}')),
	('expired', login.mint('{}', '-1 second')), ('no end', login.mint('{"exp":null}')), ('not yet', login.mint(jsonb_build_object('nbf', extract(epoch FROM now())::bigint + 60))),
	('no actor', login.mint('{"sub":null}')), ('no roles', login.mint('{"roles":[]}')), ('no purposes', login.mint('{"purposes":["x"]}')),
	('roles', login.mint(jsonb_build_object('roles', (SELECT jsonb_agg('r' || g) FROM generate_series(1, 17) g)))),
	('duplicates', login.sign('{"alg":"HS256","kid":"test"}', '{"sub":"a","sub":"b"}', decode(repeat('5a', 32), 'hex')))) AS v;
CREATE FUNCTION pg_temp.try(token text, purpose text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE what text; hint text;
BEGIN
	PERFORM phi.login(token, purpose);
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS what = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ' ' || what || ' ' || hint;
END $$;
BEGIN;
SELECT pg_temp.try(token), count(*), (SELECT identified FROM phi.whoami()) FROM bad GROUP BY 1; -- one message for all
SELECT pg_temp.try(NULL); -- fails
SELECT pg_temp.try(:'ada', 'HPAYMT'); -- fails
SELECT pg_temp.try(:'ada', 'nonsense'); -- fails
SELECT pg_temp.try(:'ada', 'TREAT'); -- accepted
SELECT pg_temp.try('x'); -- fails, and does not end the login that holds
SELECT actor FROM phi.whoami(); -- dr.ada
COMMIT;

-- savepoints
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
SAVEPOINT a;
SELECT phi.login(:'bob'); -- ok
SELECT actor FROM phi.whoami(); -- dr.bob
SAVEPOINT b;
SELECT phi.logout(); -- ok
SELECT identified FROM phi.whoami(); -- nobody
ROLLBACK TO b;
SELECT actor FROM phi.whoami(); -- dr.bob
ROLLBACK TO a;
SELECT actor FROM phi.whoami(); -- dr.ada
SAVEPOINT c;
SELECT phi.login(:'bob'); -- ok
RELEASE c;
SELECT actor FROM phi.whoami(); -- dr.bob
COMMIT;
SELECT identified FROM phi.whoami(); -- nobody

-- functions, blocks and procedures carry it no further
CREATE FUNCTION pg_temp.enter(token text) RETURNS text LANGUAGE plpgsql SET work_mem = '1MB' AS $$ BEGIN PERFORM phi.login(token, 'TREAT'); RETURN (SELECT actor FROM phi.whoami()); END $$; -- ok
CREATE FUNCTION pg_temp.enter_and_leave(token text) RETURNS text LANGUAGE plpgsql SET phi.context = '' AS $$ BEGIN PERFORM phi.login(token, 'TREAT'); RETURN (SELECT actor FROM phi.whoami()); END $$; -- ok
BEGIN;
SELECT pg_temp.enter_and_leave(:'ada'); -- dr.ada
SELECT identified FROM phi.whoami(); -- nobody
SELECT pg_temp.enter(:'ada'); -- dr.ada
SELECT actor FROM phi.whoami(); -- dr.ada: until the transaction ends
COMMIT;
SELECT identified FROM phi.whoami(); -- nobody
SELECT set_config('login.token', :'ada', false) IS NOT NULL;
DO $$ BEGIN PERFORM phi.login(current_setting('login.token'), 'TREAT'); END $$; -- fails: no transaction block
CREATE PROCEDURE pg_temp.across(token text) LANGUAGE plpgsql AS $$ BEGIN PERFORM phi.login(token); COMMIT; RAISE 'came through as %', (SELECT actor FROM phi.whoami()); END $$; -- ok
CALL pg_temp.across(:'ada'); -- fails
SELECT phi.login(:'ada', 'TREAT') \; SELECT actor FROM phi.whoami(); -- dr.ada: sent together they are one transaction
SELECT identified FROM phi.whoami(); -- nobody

-- nobody else sets it, with what would be right neither: dr.eve, clinician, for every purpose and ever
SELECT '2:' || login.b64url(int4send('login_app'::regrole::int) || int8send(1) || int8send(0) || int8send(9000000000000000000) || int8send(-2) || int4send(0)
	|| '\xff01000100000000' || '\x06' || 'dr.eve' || '\x0001' || 't' || '\x09' || 'clinician') AS forged \gset
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
SELECT current_setting('phi.context'); -- hidden
SAVEPOINT s;
SELECT set_config('phi.context', current_setting('phi.context'), false); -- fails
ROLLBACK TO s;
CREATE FUNCTION pg_temp.keep() RETURNS text LANGUAGE sql SET phi.context FROM CURRENT AS 'SELECT actor FROM phi.whoami()'; -- fails
ROLLBACK TO s;
ALTER ROLE login_app SET phi.context FROM CURRENT; -- fails
ROLLBACK TO s;
SET SESSION phi.context FROM CURRENT; -- fails
ROLLBACK TO s;
SET phi.context TO '2:AAAA'; -- fails
ROLLBACK TO s;
SELECT set_config('phi.context', :'forged', true); -- fails
ROLLBACK TO s;
SET phi.context TO :'forged'; -- fails
ROLLBACK TO s;
SET LOCAL phi.context = DEFAULT; -- ok: less
SELECT identified FROM phi.whoami(); -- nobody
ROLLBACK TO s;
RESET phi.context; -- ok: less
SELECT identified FROM phi.whoami(); -- nobody
ROLLBACK TO s;
SELECT actor FROM phi.whoami(); -- dr.ada
SET LOCAL ROLE pg_monitor; -- fails
ROLLBACK TO s;
COMMIT;

-- settings that say whose tokens count are not the session's to change
SET phi.token_issuer = 'https://other.example'; -- fails
SET phi.jwks_file = '/tmp/other'; -- fails
SET phi.token_roles_claim = 'aud'; -- fails
SET phi.step_up_max_age = '1d'; -- fails
SET phi.session_login = on; -- fails
-- the message is another one since PostgreSQL 17
\set VERBOSITY sqlstate
SHOW phi.jwks_file; -- fails
\set VERBOSITY terse

-- cursors and prepared statements
BEGIN;
DECLARE mine CURSOR FOR SELECT name FROM login.patient_redacted ORDER BY id;
SELECT phi.login(:'ada', 'TREAT'); -- ok
FETCH 1 FROM mine; -- fails: it was opened by somebody else
ROLLBACK;
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
DECLARE mine CURSOR FOR SELECT name FROM login.patient_redacted ORDER BY id;
FETCH 1 FROM mine; -- Ada
SAVEPOINT s;
SELECT phi.login(:'bob'); -- ok
FETCH 1 FROM mine; -- fails
ROLLBACK;
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
DECLARE mine CURSOR FOR SELECT name FROM login.patient_redacted ORDER BY id;
FETCH 1 FROM mine; -- Ada
SAVEPOINT s;
SELECT phi.login(:'bob'); -- ok
ROLLBACK TO s;
FETCH 1 FROM mine; -- Bob: dr.ada again
SELECT phi.login(:'ada', 'TREAT'); -- ok: another login of the same token
FETCH 1 FROM mine; -- fails: a login is not its token
ROLLBACK;
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
DECLARE mine CURSOR WITH HOLD FOR SELECT name FROM login.patient_redacted ORDER BY id; -- fails
ROLLBACK;
PREPARE who AS SELECT actor, purpose FROM phi.whoami();
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
EXECUTE who; -- dr.ada
SELECT phi.login(:'bob'); -- ok
EXECUTE who; -- dr.bob
COMMIT;
EXECUTE who; -- nobody

-- a plan over values does not remember whose it was: generic, or cached in a function
RESET SESSION AUTHORIZATION;
SELECT phi.set_rule('billing', 'HPAYMT', 'name', 'partial'); -- ok
SET SESSION AUTHORIZATION login_app;
SET plan_cache_mode = force_generic_plan;
PREPARE seen AS SELECT string_agg(p::text, ' ' ORDER BY id) FROM login.patient_redacted p WHERE name IS NOT NULL;
CREATE FUNCTION pg_temp.seen() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT string_agg(name, ' ' ORDER BY id) FROM login.patient_redacted WHERE name ~ 'a'); END $$; -- ok
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
EXECUTE seen; -- names
SELECT pg_temp.seen(); -- names
SAVEPOINT s;
SELECT phi.login(:'bob'); -- ok
EXECUTE seen; -- masks
SELECT pg_temp.seen(); -- nothing: no mask has an a
ROLLBACK TO s;
EXECUTE seen; -- names again
COMMIT;
EXECUTE seen; -- nothing
SELECT pg_temp.seen(); -- nothing
BEGIN;
SELECT phi.login(:'bob'); -- ok
EXECUTE seen; -- masks
COMMIT;
DEALLOCATE seen;
RESET plan_cache_mode;
RESET SESSION AUTHORIZATION;
SELECT phi.drop_rule('billing', 'HPAYMT', 'name'); -- ok
SET SESSION AUTHORIZATION login_app;

-- parallel workers know it
SELECT count(set_config(name, 'on', false)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
SELECT actor, purpose, workforce_roles, groups, token_id FROM phi.whoami(); -- dr.ada
COMMIT;
SELECT actor FROM phi.whoami(); -- nobody
SELECT count(set_config(name, 'off', false)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');

-- a trigger of somebody else does not say who the session is
CREATE TEMP TABLE bait (id int);
CREATE FUNCTION pg_temp.bite() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM phi.login(current_setting('login.token'), 'TREAT'); RETURN NEW; END $$; -- ok
CREATE TRIGGER bite BEFORE INSERT ON bait FOR EACH ROW EXECUTE FUNCTION pg_temp.bite(); -- ok
BEGIN;
SELECT phi.login(:'bob'); -- ok
SAVEPOINT s;
INSERT INTO bait VALUES (1); -- fails
ROLLBACK TO s;
SELECT actor FROM phi.whoami(); -- dr.bob
ROLLBACK;

-- an enrolled role: the token is who it is, and a login that is over does not give way to the enrollment
SET SESSION AUTHORIZATION login_dr;
BEGIN;
SELECT actor, source FROM phi.whoami(); -- dr.enrolled
SELECT phi.login(:'bob'); -- ok
SELECT actor, source, purpose FROM phi.whoami(); -- dr.bob
COMMIT;
SELECT actor, source FROM phi.whoami(); -- dr.enrolled
SET SESSION AUTHORIZATION login_app;
SELECT login.mint('{"jti":"t-short"}', '4 seconds') AS brief \gset
SET SESSION AUTHORIZATION login_dr;
BEGIN;
SELECT phi.login(:'brief', 'TREAT'); -- ok
SELECT actor FROM phi.whoami(); -- dr.ada
SELECT pg_sleep(4.1);
SELECT identified, actor FROM phi.whoami(); -- nobody
SELECT name FROM login.patient_redacted ORDER BY id; -- nothing
COMMIT;
SET SESSION AUTHORIZATION login_app;
BEGIN;
SELECT pg_temp.try(:'brief'); -- fails: expired
COMMIT;

-- a block does not outlive its login
SELECT set_config('login.token', login.mint('{"jti":"t-block"}', '4 seconds'), false) IS NOT NULL;
BEGIN;
SELECT phi.login(current_setting('login.token'), 'TREAT'); -- ok
DO $$ BEGIN PERFORM pg_sleep(4.1); PERFORM actor FROM phi.whoami(); RAISE 'still there'; END $$; -- fails: expired
ROLLBACK;

-- the session's login, where a superuser allows it
RESET SESSION AUTHORIZATION;
ALTER ROLE login_app SET phi.session_login = on; -- ok
SET SESSION AUTHORIZATION login_app;
SELECT phi.login(:'ada', 'TREAT', true); -- fails: the role's settings came with no login
RESET SESSION AUTHORIZATION;
SET phi.session_login = on;
SET SESSION AUTHORIZATION login_app;
SELECT phi.login(:'ada', 'TREAT', true); -- ok
SELECT actor FROM phi.whoami(); -- dr.ada
BEGIN;
SELECT phi.login(:'bob'); -- ok
SELECT phi.set_purpose('HPAYMT'); -- ok
SELECT actor FROM phi.whoami(); -- dr.bob
COMMIT;
SELECT actor, purpose FROM phi.whoami(); -- dr.ada
BEGIN;
SELECT phi.login(:'bob', session => true); -- ok
ROLLBACK;
SELECT actor FROM phi.whoami(); -- dr.ada
RESET SESSION AUTHORIZATION;
SELECT actor FROM phi.whoami(); -- null: not taken along to another role
SET SESSION AUTHORIZATION login_app;
SELECT actor FROM phi.whoami(); -- dr.ada
DISCARD ALL;
SET client_min_messages = warning;
SET SESSION AUTHORIZATION login_app;
SELECT identified FROM phi.whoami(); -- nobody
RESET SESSION AUTHORIZATION;
SELECT login.mint('{"jti":"t-ada"}') AS ada \gset

-- revocation binds at the next statement, in REPEATABLE READ too
SET SESSION AUTHORIZATION login_app;
SELECT phi.revoke_token('t-ada'); -- fails
SELECT phi.revoke_actor('dr.ada'); -- fails
SELECT * FROM phi.token_revocation; -- fails
RESET SESSION AUTHORIZATION;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT phi.login(:'ada', 'TREAT'); -- ok
SELECT actor FROM phi.whoami(); -- dr.ada
\! psql -X -q -U login_officer -c "SELECT phi.revoke_token('t-ada', now() + '1 day', 'lost telephone')" >/dev/null
SELECT identified FROM phi.whoami(); -- nobody
ROLLBACK;
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- fails
ROLLBACK;
SELECT phi.restore_token('t-ada'); -- ok
SELECT phi.restore_token('t-ada'); -- fails
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
SELECT phi.revoke_actor('dr.ada'); -- ok
SELECT identified FROM phi.whoami(); -- nobody
ROLLBACK;
SELECT phi.revoke_actor('dr.enrolled', 'left'); -- ok
SET SESSION AUTHORIZATION login_dr;
SELECT identified FROM phi.whoami(); -- nobody: enrollment is no way around
RESET SESSION AUTHORIZATION;
SELECT phi.restore_actor('dr.enrolled'); -- ok
SELECT phi.restore_actor('dr.enrolled'); -- fails
SELECT phi.revoke_token(''), phi.revoke_actor('x'); -- fails
SELECT phi.revoke_token(NULL); -- fails
SELECT phi.revoke_token('t-old', now() - interval '2 hours'), phi.revoke_token('t-new', now() + interval '2 hours'), phi.revoke_token('t-ever'); -- ok
SELECT phi.forget_revocations(); -- 1
SELECT token_id FROM phi.token_revocation ORDER BY 1; -- t-ever, t-new
-- a token without an id has one all the same
SELECT login.mint('{"jti":null}') AS nameless \gset
BEGIN;
SELECT phi.login(:'nameless', 'TREAT'); -- ok
SELECT token_id LIKE 'sha256:%' AND length(token_id) = 29 AS named, token_id AS nameless_id FROM phi.whoami() \gset
SELECT :'named';
SELECT phi.revoke_token(:'nameless_id'); -- ok
SELECT identified FROM phi.whoami(); -- nobody
ROLLBACK;

-- as issuers and frameworks write and use them: docs/identity.md
SELECT login.sign('{"alg":"HS256","typ":"JWT","kid":"test"}', format('{"exp":%s,"iat":%s,"jti":"onrtac:6b1c","iss":"https://issuer.example","aud":["phi","account"],"sub":"f:1:ann","typ":"Bearer",
	"azp":"ward-app","sid":"9a1","acr":"1","realm_access":{"roles":["clinician","offline_access"]},"resource_access":{"account":{"roles":["view-profile"]}},"scope":"openid profile",
	"purposes":["TREAT"],"groups":["/wards/3"],"preferred_username":"ann"}', floor(extract(epoch FROM now())) + 300, floor(extract(epoch FROM now()))), decode(repeat('5a', 32), 'hex')) AS keycloak \gset
SELECT login.sign('{"alg":"HS256","typ":"at+jwt","kid":"test"}', format('{"iss":"https://issuer.example","sub":"UserId-1","aud":"phi","exp":%s,"jti":"iua-1","client_id":"imaging","scope":"ITI-67 ITI-68",
	"extensions":{"ihe_iua":{"subject_name":"Dr. Ann Ng","subject_organization":"Central Hospital","subject_organization_id":"urn:oid:1.2.3.4",
	"subject_role":[{"system":"urn:oid:2.16.756.5.30.1.127.3.10.6","code":"clinician"}],"purpose_of_use":[{"system":"urn:oid:2.16.840.1.113883.1.11.20448","code":"TREAT"}],
	"person_id":"8000000000^^^&2.16.756.5.30.1.127.3.10.3&ISO"}}}', floor(extract(epoch FROM now())) + 300), decode(repeat('5a', 32), 'hex')) AS iua \gset
BEGIN;
SELECT phi.login(:'keycloak'); -- ok
SELECT actor, workforce_roles, purpose, groups, token_id, step_up_at FROM phi.whoami();
SELECT phi.login(:'iua'); -- ok
SELECT actor, organization, workforce_roles, purpose, token_id FROM phi.whoami();
ROLLBACK;
CREATE FUNCTION login.pre_request() RETURNS void LANGUAGE plpgsql AS $$
DECLARE token text := substring(current_setting('request.headers', true)::json ->> 'authorization' FROM '^[Bb]earer (.+)$');
BEGIN
	IF token IS NOT NULL THEN
		PERFORM phi.login(token);
	END IF;
END $$; -- ok
SET SESSION AUTHORIZATION login_app;
BEGIN;
SELECT set_config('request.headers', json_build_object('accept', '*/*', 'authorization', 'Bearer ' || :'keycloak')::text, true) IS NOT NULL;
SELECT login.pre_request(); -- ok
SELECT name FROM login.patient_redacted ORDER BY id; -- three
COMMIT;
BEGIN;
SELECT set_config('request.headers', '{"accept":"*/*"}', true) IS NOT NULL;
SELECT login.pre_request(); -- ok
SELECT name FROM login.patient_redacted ORDER BY id; -- nothing
COMMIT;
RESET SESSION AUTHORIZATION;

-- step-up in the token: a listed acr, and when
SELECT login.mint(jsonb_build_object('acr', 'gold', 'auth_time', extract(epoch FROM now())::bigint - 100)) AS gold \gset
SELECT login.mint(jsonb_build_object('acr', 'gold', 'auth_time', extract(epoch FROM now())::bigint - 1000)) AS stale \gset
SELECT login.mint(jsonb_build_object('acr', 'silver', 'auth_time', extract(epoch FROM now())::bigint)) AS silver \gset
BEGIN;
SELECT phi.login(:'gold', 'TREAT'); -- ok
SELECT step_up_at BETWEEN now() - interval '102 seconds' AND now() - interval '98 seconds' AS at, step_up_fresh FROM phi.whoami(); -- fresh
SELECT phi.login(:'stale', 'TREAT'); -- ok
SELECT step_up_at IS NOT NULL AS at, step_up_fresh FROM phi.whoami(); -- not fresh
SELECT phi.login(:'silver', 'TREAT'); -- ok
SELECT step_up_at, step_up_fresh FROM phi.whoami(); -- never
ROLLBACK;

-- step-up by one-time passwords
CREATE FUNCTION login.code(uri text, ahead int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	secret text := substring(uri FROM 'secret=([A-Z2-7]+)'); bits text; mac bytea; at int;
	digits int := substring(uri FROM 'digits=(\d)')::int; step bigint := floor(extract(epoch FROM clock_timestamp()))::bigint / 30 + ahead;
BEGIN
	SELECT string_agg((strpos('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', c) - 1)::bit(5)::text, '' ORDER BY i) INTO bits FROM regexp_split_to_table(secret, '') WITH ORDINALITY AS t (c, i);
	mac := public.hmac(int8send(step), (SELECT string_agg(decode(lpad(to_hex(substring(bits FROM 8 * i + 1 FOR 8)::bit(8)::int), 2, '0'), 'hex'), '' ORDER BY i)
		FROM generate_series(0, length(bits) / 8 - 1) i), lower(substring(uri FROM 'algorithm=(\w+)')));
	at := get_byte(mac, length(mac) - 1) & 15;
	RETURN lpad((((get_byte(mac, at) & 127) * 16777216 + get_byte(mac, at + 1) * 65536 + get_byte(mac, at + 2) * 256 + get_byte(mac, at + 3)) % (10 ^ digits)::int)::text, digits, '0');
END $$; -- ok
-- codes of the 30 seconds in which the server started may have been used before
SELECT pg_sleep(greatest(0, 30.1 - extract(epoch FROM clock_timestamp()) + floor(extract(epoch FROM pg_postmaster_start_time()) / 30) * 30));
SET SESSION AUTHORIZATION login_app;
SELECT phi.enroll_totp('dr.ada'); -- fails: not one's own to make
SELECT phi.verify_totp('000000'); -- fails: nobody
RESET SESSION AUTHORIZATION;
SELECT phi.enroll_totp('dr.ada', 'MD5'); -- fails
SELECT phi.enroll_totp('dr.ada', 'SHA1', 7); -- fails
SELECT phi.enroll_totp(''); -- fails
SELECT phi.enroll_totp(NULL); -- fails
SELECT phi.enroll_totp('dr.ada') AS uri \gset
SELECT regexp_replace(:'uri', 'secret=[A-Z2-7]{32}&', 'secret=...&');
SELECT phi.enroll_totp('b&b =', 'SHA256', 8) AS wide \gset
SELECT regexp_replace(:'wide', 'secret=[A-Z2-7]{32}&', 'secret=...&');
SELECT actor, algorithm, digits, length(sealed_secret), confirmed_at FROM phi.totp ORDER BY 1; -- sealed
SET SESSION AUTHORIZATION login_app;
SELECT * FROM phi.totp; -- fails
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
SELECT phi.verify_totp(login.code(:'uri', 0)); -- false: not confirmed yet
SELECT phi.confirm_totp('12345'); -- false
SELECT login.code(:'uri', 0) AS first \gset
SELECT phi.confirm_totp(:'first'); -- true
SELECT phi.confirm_totp(login.code(:'uri', 1)); -- false: nothing to confirm
SELECT phi.verify_totp(:'first'); -- false: used
SELECT step_up_at, step_up_fresh FROM phi.whoami(); -- never
SELECT login.code(:'uri', 1) AS second \gset
SELECT phi.verify_totp(:'second'); -- true
SELECT step_up_at IS NOT NULL AS at, step_up_fresh, actor, purpose FROM phi.whoami(); -- fresh
SAVEPOINT s;
SELECT phi.set_purpose('HRESCH'); -- ok
SELECT step_up_fresh, purpose FROM phi.whoami(); -- fresh still
SELECT phi.login(:'ada', 'TREAT'); -- ok
SELECT step_up_fresh FROM phi.whoami(); -- never: a login begins anew
ROLLBACK TO s;
SELECT step_up_fresh FROM phi.whoami(); -- fresh
COMMIT;
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
SELECT step_up_fresh FROM phi.whoami(); -- never
SELECT phi.verify_totp(:'second'); -- false: used, though that transaction is over
SELECT phi.verify_totp(login.code(:'wide', 1)); -- false: somebody else's
ROLLBACK;
-- an enrolled role steps its session up, for this enrollment
RESET SESSION AUTHORIZATION;
SELECT phi.enroll_totp('dr.enrolled') AS mine \gset
SET SESSION AUTHORIZATION login_dr;
SELECT phi.confirm_totp(login.code(:'mine', 0)), phi.verify_totp(login.code(:'mine', 1)); -- true, true
SELECT actor, source, purpose, step_up_fresh FROM phi.whoami(); -- fresh
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
SELECT actor, step_up_fresh FROM phi.whoami(); -- somebody else's is not
ROLLBACK;
SELECT step_up_fresh FROM phi.whoami(); -- fresh
SELECT phi.logout(); -- ok
SELECT actor, step_up_fresh FROM phi.whoami(); -- never
RESET SESSION AUTHORIZATION;
SELECT phi.remove_totp('dr.enrolled'); -- ok
SET SESSION AUTHORIZATION login_app;
-- guesses count, whatever becomes of the transaction
BEGIN;
SELECT phi.login(login.mint('{"sub":"b&b ="}'), 'TREAT'); -- ok
SELECT phi.confirm_totp(login.code(:'wide', 0)); -- true
SAVEPOINT s;
SELECT bool_or(phi.verify_totp('00000000')) FROM generate_series(1, 5); -- false
ROLLBACK TO s;
SELECT phi.verify_totp(login.code(:'wide', 1)); -- false: locked out
COMMIT;
RESET SESSION AUTHORIZATION;
SELECT phi.unlock_totp('b&b ='); -- ok
SET SESSION AUTHORIZATION login_app;
BEGIN;
SELECT phi.login(login.mint('{"sub":"b&b ="}'), 'TREAT'); -- ok
SELECT phi.verify_totp(login.code(:'wide', 1)); -- true
COMMIT;
-- a secret belongs to its actor, algorithm and digits
RESET SESSION AUTHORIZATION;
INSERT INTO phi.totp SELECT 'dr.bob', algorithm, digits, sealed_secret, enrolled_at, confirmed_at FROM phi.totp WHERE actor = 'dr.ada';
UPDATE phi.totp SET algorithm = 'SHA1' WHERE actor = 'b&b =';
SET SESSION AUTHORIZATION login_app;
BEGIN;
SELECT phi.login(:'bob'); -- ok
SELECT phi.verify_totp(login.code(:'uri', 1)); -- fails
ROLLBACK;
BEGIN;
SELECT phi.login(login.mint('{"sub":"b&b ="}'), 'TREAT'); -- ok
SELECT phi.verify_totp(login.code(:'wide', 1)); -- fails
ROLLBACK;
-- removal, and a new secret
RESET SESSION AUTHORIZATION;
SELECT phi.remove_totp('b&b ='), phi.remove_totp('dr.ada'), phi.remove_totp('dr.bob'); -- ok
SELECT phi.remove_totp('dr.ada'); -- fails
SET SESSION AUTHORIZATION login_app;
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
SELECT phi.verify_totp(login.code(:'uri', 1)); -- false
ROLLBACK;
RESET SESSION AUTHORIZATION;

-- the key file: without it, writable by others, broken, changed
COPY (SELECT 'x') TO PROGRAM :'overwrite';
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok: the keys read before stay
ROLLBACK;
COPY (SELECT 'x') TO PROGRAM :'take_away';
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok: the same
ROLLBACK;
COPY (SELECT '{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"test","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}') TO PROGRAM :'overwrite';
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- fails: the key is not there any more
ROLLBACK;
COPY (SELECT 'x') TO PROGRAM :'take_away';
:write :'write_private';
COPY (SELECT 'x') TO PROGRAM :'open_up';
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- fails: a secret that others read is not taken
ROLLBACK;
COPY (SELECT 'x') TO PROGRAM :'close_up';
BEGIN;
SELECT phi.login(:'ada', 'TREAT'); -- ok
ROLLBACK;

-- logins, revocations and secrets are in the audit log, and no token
SELECT action, outcome, actor, regexp_replace(token_id, '^\d+$', 'serial') AS token_id, purpose, detail, count(*) FROM phi_audit.event WHERE action ~ 'login|totp|token|_actor' AND (token_id IS NULL OR token_id NOT LIKE 'sha256:%')
	GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 3, 4, 5, 6;

SELECT phi.restore_token('t-new'), phi.restore_token('t-ever'); -- ok
COPY (SELECT 'x') TO PROGRAM :'take_away';
ALTER SYSTEM RESET phi.jwks_file;
ALTER SYSTEM RESET phi.token_issuer;
ALTER SYSTEM RESET phi.step_up_acr;
ALTER SYSTEM RESET phi.token_audience;
SELECT pg_reload_conf();
SELECT phi.unenroll('login_dr'); -- ok
SELECT phi.revoke_duty('login_app', 'application'), phi.revoke_duty('login_dr', 'application'), phi.revoke_duty('login_officer', 'security_officer'); -- ok
SELECT phi.unprotect('login.patient'); -- ok
SELECT phi.drop_rule('clinician', 'TREAT', 'name'); -- ok
DROP SCHEMA login CASCADE;
DROP OWNED BY login_app, login_dr, login_officer;
DROP ROLE login_app, login_dr, login_officer; -- ok
