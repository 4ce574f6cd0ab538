-- Identity: who the session is, and that nobody can say so but us
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE session_dr LOGIN; -- ok
CREATE ROLE session_bill LOGIN; -- ok
CREATE ROLE session_nobody LOGIN; -- ok
GRANT session_dr TO session_nobody; -- ok
SELECT phi.grant_duty('session_dr', 'application'); -- ok
SELECT phi.grant_duty('session_bill', 'application'); -- ok
SELECT phi.grant_duty('session_nobody', 'application'); -- ok

-- what phi.enroll refuses
SELECT phi.enroll('session_missing', 'dr.a', '{clinician}', '{TREAT}'); -- fails
SELECT phi.enroll('4000000000', 'dr.a', '{clinician}', '{TREAT}'); -- fails
SELECT phi.enroll(NULL, 'dr.a', '{clinician}', '{TREAT}'); -- fails
SELECT phi.enroll('session_dr', NULL, '{clinician}', '{TREAT}'); -- fails
SELECT phi.enroll('session_dr', '', '{clinician}', '{TREAT}'); -- fails
SELECT phi.enroll('session_dr', E' \t', '{clinician}', '{TREAT}'); -- fails
SELECT phi.enroll('session_dr', repeat('x', 128), '{clinician}', '{TREAT}'); -- fails
SELECT phi.enroll('session_bill', repeat('a', 127), '{clinician}', '{TREAT}'); -- ok
SELECT phi.enroll('session_dr', 'dr.a', '{}', '{TREAT}'); -- fails
SELECT phi.enroll('session_dr', 'dr.a', '{clinician,NULL}', '{TREAT}'); -- fails
SELECT phi.enroll('session_dr', 'dr.a', '{clinician,""}', '{TREAT}'); -- fails
SELECT phi.enroll('session_dr', 'dr.a', ARRAY(SELECT 'role' || g FROM generate_series(1, 17) g), '{TREAT}'); -- fails
SELECT phi.enroll('session_dr', 'dr.a', ARRAY(SELECT 'role' || g FROM generate_series(1, 16) g), '{TREAT}'); -- ok
SELECT phi.enroll('session_dr', 'dr.a', '{clinician}', '{}'); -- fails
SELECT phi.enroll('session_dr', 'dr.a', '{clinician}', NULL); -- fails
SELECT phi.enroll('session_dr', 'dr.a', '{clinician}', '{TREAT,123-45-6789}'); -- fails, and does not say what was given
SELECT phi.enroll('session_dr', 'dr.a', '{clinician}', '{treat}'); -- fails
SELECT phi.enroll('session_dr', 'dr.a', '{clinician}', '{PurposeOfUse}'); -- fails
SELECT phi.enroll('session_dr', 'dr.a', '{clinician}', '{TREAT}', ''); -- fails
SELECT phi.unenroll('session_nobody'); -- fails
SELECT phi.enroll('session_dr', 'dr.a', '{clinician,teacher}', '{TREAT,HRESCH}', 'north'); -- ok
SELECT phi.enroll('session_bill', 'b.b', '{billing}', '{HPAYMT}'); -- ok

-- the identity is that of the login role
SELECT * FROM phi.whoami(); -- nobody
SET SESSION AUTHORIZATION session_bill;
SELECT * FROM phi.whoami(); -- one purpose is implied
SET SESSION AUTHORIZATION session_nobody;
SELECT * FROM phi.whoami(); -- nobody
SET ROLE session_dr;
SELECT current_user, session_user, identified FROM phi.whoami(); -- nobody still
SELECT phi.set_purpose('TREAT'); -- fails
RESET ROLE;
SET SESSION AUTHORIZATION session_dr;
SELECT * FROM phi.whoami(); -- several purposes: none is stated

-- purposes
SELECT phi.set_purpose('HPAYMT'); -- fails
SELECT phi.set_purpose('123-45-6789'); -- fails, and does not say what was given
SELECT phi.set_purpose(NULL); -- ok: changes nothing
SELECT purpose FROM phi.whoami(); -- null
SELECT phi.set_purpose('TREAT'); -- ok
SELECT purpose FROM phi.whoami(); -- TREAT
SELECT phi.set_purpose('BTG'); -- ok: it is a TREAT
SELECT purpose FROM phi.whoami(); -- BTG
SELECT phi.set_purpose('PurposeOfUse'); -- fails: above what is allowed
SELECT phi.logout(); -- ok
SELECT identified, purpose FROM phi.whoami(); -- null

-- it ends where the transaction takes it back
BEGIN;
SELECT phi.set_purpose('TREAT'); -- ok
ROLLBACK;
SELECT purpose FROM phi.whoami(); -- null
BEGIN;
SELECT phi.set_purpose('TREAT'); -- ok
SAVEPOINT a;
SELECT phi.set_purpose('HRESCH'); -- ok
SAVEPOINT b;
SELECT phi.logout(); -- ok
SELECT purpose FROM phi.whoami(); -- null
ROLLBACK TO b;
SELECT purpose FROM phi.whoami(); -- HRESCH
ROLLBACK TO a;
SELECT purpose FROM phi.whoami(); -- TREAT
SAVEPOINT c;
SELECT phi.set_purpose('BIORCH'); -- ok
RELEASE c;
COMMIT;
SELECT purpose FROM phi.whoami(); -- BIORCH
BEGIN;
SELECT phi.logout(); -- ok
SELECT 1 / 0; -- fails
ROLLBACK;
SELECT purpose FROM phi.whoami(); -- BIORCH
RESET ALL;
SET client_min_messages = warning;
SELECT purpose FROM phi.whoami(); -- null
SELECT phi.set_purpose('TREAT'); -- ok
RESET phi.context;
SELECT purpose FROM phi.whoami(); -- null

-- nobody else writes it: not the user, not a superuser, not with what would be right
SELECT phi.set_purpose('TREAT'); -- ok
SET phi.context = '1 10 1 HRESCH'; -- fails
SET LOCAL phi.context = 'x'; -- fails
SELECT set_config('phi.context', 'x', false); -- fails
SELECT set_config('phi.context', 'x', true); -- fails
SELECT set_config('phi.context', current_setting('phi.context'), false); -- fails
DO $$ BEGIN PERFORM set_config('phi.context', 'x', false); END $$; -- fails
ALTER ROLE session_dr SET phi.context = 'x'; -- fails
ALTER ROLE session_dr SET phi.context FROM CURRENT; -- fails
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET phi.context = 'x' AS $$ SELECT purpose FROM phi.whoami() $$; -- fails
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET phi.context FROM CURRENT AS $$ SELECT purpose FROM phi.whoami() $$; -- fails
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET phi.context = '' AS $$ SELECT purpose FROM phi.whoami() $$; -- ok: less, never more
SELECT pg_temp.f(); -- null
SELECT purpose FROM phi.whoami(); -- TREAT
RESET SESSION AUTHORIZATION;
SELECT set_config('phi.context', format('1 %s %s HRESCH', db_role::oid, serial), false) FROM phi.enrollment WHERE actor = 'dr.a'; -- fails
ALTER DATABASE :"DBNAME" SET phi.context = 'x'; -- fails
ALTER SYSTEM SET phi.context = 'x'; -- fails
UPDATE pg_settings SET setting = 'x' WHERE name = 'phi.context'; -- ok: it is not there
\! PGOPTIONS='-c phi.context=canary' psql -X -At -c 'SELECT 1' 2>&1 | sed 's/.*\(FATAL\|ERROR\)/\1/'

-- nobody reads it
SHOW phi.context;
SELECT current_setting('phi.context');
SELECT count(*) FROM pg_settings WHERE name = 'phi.context'; -- 0

-- it is not taken along to another login role
SET SESSION AUTHORIZATION session_bill;
SELECT actor, purpose FROM phi.whoami(); -- HPAYMT: its own
RESET SESSION AUTHORIZATION;
SELECT phi.enroll('session_bill', 'b.b', '{billing}', '{HPAYMT,TREAT}'); -- ok
SET SESSION AUTHORIZATION session_bill;
SELECT actor, purpose FROM phi.whoami(); -- null: TREAT was stated by somebody else
SET SESSION AUTHORIZATION session_dr;
SELECT actor, purpose FROM phi.whoami(); -- TREAT

-- parallel workers know it
SELECT count(set_config(name, 'on', false)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
EXPLAIN (COSTS OFF) SELECT actor, purpose FROM phi.whoami(); -- in a worker
SELECT actor, purpose FROM phi.whoami(); -- TREAT
SELECT count(set_config(name, 'off', false)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');

-- functions see the caller's session, in whoever's name they run
RESET SESSION AUTHORIZATION;
CREATE FUNCTION session_definer() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT actor || ' for ' || purpose FROM phi.whoami() $$; -- ok
GRANT EXECUTE ON FUNCTION session_definer() TO session_dr; -- ok
SET SESSION AUTHORIZATION session_dr;
SELECT session_definer(); -- dr.a for TREAT
DISCARD ALL;
SET client_min_messages = warning;

-- an enrollment that changes binds at once, and what was stated under the old one is void
\set VERBOSITY terse
SET SESSION AUTHORIZATION session_dr;
SELECT actor, purpose FROM phi.whoami(); -- null: DISCARD ALL forgot it
SELECT phi.set_purpose('TREAT'); -- ok
RESET SESSION AUTHORIZATION;
BEGIN;
SELECT phi.unenroll('session_dr'); -- ok
SET SESSION AUTHORIZATION session_dr;
SELECT identified, purpose FROM phi.whoami(); -- nobody
SELECT phi.set_purpose('TREAT'); -- fails
ROLLBACK;
SET SESSION AUTHORIZATION session_dr;
SELECT identified, purpose FROM phi.whoami(); -- TREAT
RESET SESSION AUTHORIZATION;
SELECT phi.enroll('session_dr', 'dr.a', '{clinician}', '{TREAT,HRESCH}'); -- ok
SET SESSION AUTHORIZATION session_dr;
SELECT identified, organization, workforce_roles, purpose FROM phi.whoami(); -- null
RESET SESSION AUTHORIZATION;

-- without the privilege there is nothing at all
REVOKE session_dr FROM session_nobody; -- ok
SELECT phi.revoke_duty('session_nobody', 'application'); -- ok
SET SESSION AUTHORIZATION session_nobody;
SELECT * FROM phi.whoami(); -- fails
SELECT phi.set_purpose('TREAT'); -- fails
SELECT * FROM phi.enrollment; -- fails
SELECT phi.enroll('session_nobody', 'me', '{clinician}', '{TREAT}'); -- fails
RESET SESSION AUTHORIZATION;

-- each change of an enrollment is in the audit log
SELECT action, detail FROM phi_audit.event WHERE detail LIKE 'session\_%' AND detail NOT LIKE '%aaa%' AND action LIKE '%enroll' ORDER BY event_id;

SELECT phi.unenroll('session_dr'); -- ok
SELECT phi.unenroll('session_bill'); -- ok
SELECT phi.revoke_duty('session_dr', 'application'); -- ok
SELECT phi.revoke_duty('session_bill', 'application'); -- ok
DROP FUNCTION session_definer();
DROP ROLE session_dr, session_bill, session_nobody; -- ok
