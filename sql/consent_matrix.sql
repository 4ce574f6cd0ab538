-- Decisions: who sees which subject, for which purpose, under which consents
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT phi.ensure_keys(); -- ok
CREATE ROLE cm_clinician LOGIN; -- ok
CREATE ROLE cm_researcher LOGIN; -- ok
CREATE ROLE cm_billing LOGIN; -- ok
CREATE ROLE cm_both LOGIN; -- ok
CREATE ROLE cm_ruleless LOGIN; -- ok
CREATE ROLE cm_nobody LOGIN; -- ok
CREATE ROLE cm_officer LOGIN; -- ok
SELECT count(phi.grant_duty(rolname::regrole, 'application')) FROM pg_roles WHERE rolname ~ '^cm_[^o]'; -- ok
SELECT phi.grant_duty('cm_officer', 'privacy_officer'); -- ok
SELECT phi.enroll('cm_clinician', 'dr.a', '{clinician}', '{TREAT}', 'north'); -- ok
SELECT phi.enroll('cm_researcher', 'r.r', '{researcher}', '{HRESCH}'); -- ok
SELECT phi.enroll('cm_billing', 'b.b', '{billing}', '{HPAYMT}'); -- ok
SELECT phi.enroll('cm_both', 'dr.b', '{clinician,researcher}', '{TREAT,HRESCH,PATRQT}'); -- ok
SELECT phi.enroll('cm_ruleless', 'x.x', '{porter}', '{TREAT}'); -- ok

-- rules: what is refused, what is there
SELECT phi.set_rule('', 'TREAT', 'all', 'full'); -- fails
SELECT phi.set_rule('porter', 'treat', 'all', 'full'); -- fails
SELECT phi.set_rule('porter', 'TREAT', '123-45-6789', 'full'); -- fails, and does not say what was given
SELECT phi.set_rule('porter', 'TREAT', 'name', 'most'); -- fails
SELECT phi.set_rule('porter', 'TREAT', 'name', 'pseudonym'); -- ok
SELECT phi.set_rule('porter', 'TREAT', 'name', NULL); -- fails
SELECT phi.drop_rule('porter', 'TREAT', 'name'); -- ok
SELECT phi.install_default_rules() > 0 AS added; -- ok
SELECT phi.install_default_rules(); -- 0: what is set stays
SELECT workforce_role, purpose, form, count(*), string_agg(kind, ' ' ORDER BY kind) FILTER (WHERE form = 'partial') AS kinds
	FROM phi.role_rule GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- two protected tables: rows of one have names, rows of the other only photos
CREATE TABLE cm_patient (id bigint PRIMARY KEY, labels text[], name text); -- ok
CREATE TABLE cm_photo (id int PRIMARY KEY, photo text); -- ok
INSERT INTO cm_patient (id) SELECT generate_series(0, 14); -- ok
INSERT INTO cm_photo (id) SELECT generate_series(0, 14); -- ok
ALTER TABLE cm_patient ENABLE ROW LEVEL SECURITY; -- ok
ALTER TABLE cm_photo ENABLE ROW LEVEL SECURITY; -- ok
CREATE POLICY p ON cm_patient USING (phi.row_access('cm_patient', id, labels)); -- ok
CREATE POLICY p ON cm_photo USING (phi.row_access('cm_photo', id)); -- ok
GRANT SELECT ON cm_patient, cm_photo TO PUBLIC; -- ok
INSERT INTO phi.table_policy (relation, subject_column, key_columns, labels_column, capture) VALUES ('cm_patient', 'id', '{id}', 'labels', 'digest'); -- ok
INSERT INTO phi.table_policy (relation, subject_column, key_columns, capture) VALUES ('cm_photo', 'id', '{id}', 'digest'); -- ok
INSERT INTO phi.column_policy (relation, column_name, kind, plain_type, sealed) VALUES ('cm_patient', 'name', 'name', 'text', true), ('cm_photo', 'photo', 'photo', 'text', true); -- ok
CREATE VIEW cm_seen AS SELECT session_user AS who, (SELECT purpose FROM phi.whoami()) AS purpose,
	(SELECT string_agg(id::text, ' ' ORDER BY id) FROM cm_patient) AS patients,
	(SELECT count(*) FROM cm_photo) AS photos; -- ok
ALTER VIEW cm_seen SET (security_invoker = true); -- ok
GRANT SELECT ON cm_seen TO PUBLIC; -- ok

-- consents, one patient each; 0 and 14 have none
CREATE TABLE cm_consent (patient bigint, id bigint); -- ok
GRANT SELECT, INSERT ON cm_consent TO cm_officer; -- ok
SET SESSION AUTHORIZATION cm_officer;
INSERT INTO cm_consent SELECT 1, phi.grant_consent(1); -- ok: permits everything
INSERT INTO cm_consent SELECT 2, phi.deny_consent(2); -- ok: denies everything
INSERT INTO cm_consent SELECT 3, phi.grant_consent(3, 'HRESCH'); -- ok: permits research
INSERT INTO cm_consent SELECT 4, phi.deny_consent(4, 'TREAT'); -- ok: denies treatment
INSERT INTO cm_consent SELECT 5, phi.grant_consent(5, 'HRESCH', actor => 'dr.b'); -- ok: permits research to one
INSERT INTO cm_consent SELECT 6, phi.deny_consent(6, workforce_role => 'clinician'); -- ok: denies to clinicians
INSERT INTO cm_consent SELECT 7, phi.grant_consent(7, 'HRESCH', valid_until => '2020-01-01'); -- ok: expired
INSERT INTO cm_consent SELECT 8, phi.deny_consent(8, valid_from => '2999-01-01'); -- ok: to come
INSERT INTO cm_consent SELECT 9, phi.grant_consent(9, 'BIORCH'); -- ok: permits a part of research
INSERT INTO cm_consent SELECT 10, phi.grant_consent(10); -- ok: permits, and
INSERT INTO cm_consent SELECT 10, phi.deny_consent(10, 'HRESCH', valid_from => '-infinity', valid_until => 'infinity'); -- ok: denies research
INSERT INTO cm_consent SELECT 11, phi.deny_consent(11, 'COC'); -- ok: denies a part of treatment
INSERT INTO cm_consent SELECT 12, phi.grant_consent('12', 'HRESCH'); -- ok: the same subject as the number
INSERT INTO cm_consent SELECT 13, phi.deny_consent('13'::text, 'HPAYMT'); -- ok: denies payment
SELECT phi.can_access(1); -- false: an officer is nobody
SELECT * FROM phi.consent; -- fails
SELECT * FROM phi.consent_source; -- fails
RESET SESSION AUTHORIZATION;

-- what phi.grant_consent refuses, never saying for whom
SELECT phi.grant_consent(NULL::bigint); -- fails
SELECT phi.grant_consent(1.5); -- fails
SELECT phi.grant_consent('2020-01-01'::date); -- fails
SELECT phi.grant_consent(1, 'treat'); -- fails
SELECT phi.grant_consent(1, '123-45-6789'); -- fails
SELECT phi.grant_consent(1, actor => 'a', workforce_role => 'b'); -- fails
SELECT phi.grant_consent(1, actor => ''); -- fails
SELECT phi.grant_consent(1, workforce_role => repeat('x', 128)); -- fails
SELECT phi.grant_consent(1, valid_from => '2020-01-01', valid_until => '2020-01-01'); -- fails
SELECT phi.grant_consent(1, valid_from => 'infinity'); -- fails
SELECT phi.revoke_consent(0); -- fails
BEGIN READ ONLY;
SELECT phi.grant_consent(1); -- fails
ROLLBACK;

-- the matrix: a row of the table for everybody and every purpose
SET SESSION AUTHORIZATION cm_nobody;
SELECT * FROM cm_seen; -- none
SET SESSION AUTHORIZATION cm_ruleless;
SELECT * FROM cm_seen; -- none
SET SESSION AUTHORIZATION cm_clinician;
SELECT * FROM cm_seen; -- without 2 4 6
SELECT phi.set_purpose('COC'); -- ok
SELECT * FROM cm_seen; -- without 2 4 6 11
SET SESSION AUTHORIZATION cm_billing;
SELECT * FROM cm_seen; -- without 2 13, and no photos: no rule
SET SESSION AUTHORIZATION cm_researcher;
SELECT * FROM cm_seen; -- 1 3 12
SELECT phi.set_purpose('BIORCH'); -- ok
SELECT * FROM cm_seen; -- 1 3 9 12
SET SESSION AUTHORIZATION cm_both;
SELECT * FROM cm_seen; -- none: no purpose
SELECT phi.set_purpose('HRESCH'); -- ok
SELECT * FROM cm_seen; -- 1 3 5 12
SELECT phi.set_purpose('PATRQT'); -- ok
SELECT * FROM cm_seen; -- none: no rule
SELECT phi.set_purpose('TREAT'); -- ok
SELECT * FROM cm_seen; -- without 2 4 6
SELECT phi.logout(); -- ok
SELECT * FROM cm_seen; -- none
RESET SESSION AUTHORIZATION;
SET phi.open_purposes = on;
SET SESSION AUTHORIZATION cm_researcher;
SELECT * FROM cm_seen; -- HRESCH: without 2 10; 6 is about clinicians
SET phi.open_purposes = off; -- fails
RESET SESSION AUTHORIZATION;
RESET phi.open_purposes;

-- why: one reason a line
SELECT * FROM phi.explain_access(1); -- no_identity
SET SESSION AUTHORIZATION cm_both;
SELECT * FROM phi.explain_access(1); -- no_purpose
SELECT phi.set_purpose('HRESCH'); -- ok
SELECT reason, directive = (SELECT min(id) FROM cm_consent WHERE patient = 1) AS directive, explanation FROM phi.explain_access(1); -- fails: not the officer's table
RESET SESSION AUTHORIZATION;
GRANT SELECT ON cm_consent TO PUBLIC; -- ok
SET SESSION AUTHORIZATION cm_both;
SELECT reason, directive = (SELECT min(id) FROM cm_consent WHERE patient = 1) AS directive, regexp_replace(explanation, '[0-9]+', 'N') AS explanation FROM phi.explain_access(1); -- consent_permits
SELECT reason, directive = (SELECT max(id) FROM cm_consent WHERE patient = 10) AS directive, regexp_replace(explanation, '[0-9]+', 'N') AS explanation FROM phi.explain_access(10); -- consent_denies
SELECT * FROM phi.explain_access(0); -- default_deny
SELECT reason FROM phi.explain_access(0, 'cm_consent'); -- fails
SELECT reason FROM phi.explain_access(NULL::int); -- fails
SELECT reason FROM phi.explain_access(1, 'cm_patient', '{SUD}'); -- consent_permits
SELECT phi.set_purpose('TREAT'); -- ok
SELECT * FROM phi.explain_access(0, 'cm_patient'); -- default_permit
SELECT * FROM phi.explain_access(0, 'cm_patient', '{SUD}'); -- needs_explicit_consent
SET SESSION AUTHORIZATION cm_billing;
SELECT * FROM phi.explain_access(1, 'cm_photo'); -- no_role_rule
RESET SESSION AUTHORIZATION;

-- labels of a row: substance use and psychotherapy notes need a permission; an unknown label counts as both
SET row_security = off;
UPDATE cm_patient SET labels = '{N}' WHERE id = 0; -- ok
UPDATE cm_patient SET labels = '{R,SUD}' WHERE id IN (1, 3); -- ok
UPDATE cm_patient SET labels = '{PSYTHPN}' WHERE id = 5; -- ok
UPDATE cm_patient SET labels = '{HIV}' WHERE id = 7; -- ok
UPDATE cm_patient SET labels = '{bogus}' WHERE id IN (8, 10); -- ok
UPDATE cm_patient SET labels = '{NULL}' WHERE id = 9; -- ok
RESET row_security;
SET SESSION AUTHORIZATION cm_clinician;
SELECT phi.logout(); -- ok
SELECT * FROM cm_seen; -- without 2 4 6, and without 3 5 8 9, which no consent permits
SET SESSION AUTHORIZATION cm_researcher;
SELECT * FROM cm_seen; -- 1 3 12, with and without labels
RESET SESSION AUTHORIZATION;
SET row_security = off;
UPDATE cm_patient SET labels = NULL; -- ok
RESET row_security;

-- subjects of other types have tokens of their own; a type that is none is refused
CREATE DOMAIN cm_key AS int; -- ok
SELECT phi.deny_consent('6b0a3a5e-0000-4000-8000-000000000001'::uuid) > 0 AS recorded; -- ok
SELECT phi.deny_consent('ZÄHLER 7'::varchar) > 0 AS recorded; -- ok
SET SESSION AUTHORIZATION cm_clinician;
SELECT phi.can_access('6b0a3a5e-0000-4000-8000-000000000001'::uuid), phi.can_access('6b0a3a5e-0000-4000-8000-000000000001'), phi.can_access('6b0a3a5e-0000-4000-8000-000000000002'::uuid); -- f f t
SELECT phi.can_access('ZÄHLER 7'::text), phi.can_access('ZÄHLER 7'::char(20)), phi.can_access('ZÄHLER 8'::text); -- f f t
SELECT phi.can_access(2::smallint), phi.can_access(2), phi.can_access(2::bigint), phi.can_access(2::cm_key), phi.can_access('2'); -- f, all the same subject
SELECT phi.can_access(-1), phi.can_access(9223372036854775807), phi.can_access(67108864); -- t
SELECT phi.can_access(NULL::int), phi.can_access(1, '{SUD}'), phi.can_access(0, '{SUD}'); -- f t f
SELECT phi.can_access(2.0); -- fails
SELECT phi.row_access('cm_consent', 1); -- false: not protected
SELECT phi.row_access('cm_patient', NULL::bigint), phi.row_access(NULL, 1), phi.row_access('cm_patient', -1), phi.row_access('cm_patient', 2::smallint); -- f f t f
RESET SESSION AUTHORIZATION;

-- a consent ends: by revocation, by rollback, by the clock
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL SESSION AUTHORIZATION cm_clinician;
SELECT phi.can_access(2), phi.can_access(14); -- f t
SET LOCAL SESSION AUTHORIZATION postgres;
SELECT phi.revoke_consent(id) FROM cm_consent WHERE patient = 2; -- ok
SAVEPOINT a;
SELECT phi.deny_consent(14) > 0 AS recorded; -- ok
SET LOCAL SESSION AUTHORIZATION cm_clinician;
SELECT phi.can_access(2), phi.can_access(14); -- t f
ROLLBACK TO a;
SET LOCAL SESSION AUTHORIZATION cm_clinician;
SELECT phi.can_access(2), phi.can_access(14); -- t t
ROLLBACK;
SET SESSION AUTHORIZATION cm_clinician;
SELECT phi.can_access(2), phi.can_access(14); -- f t
RESET SESSION AUTHORIZATION;
SELECT phi.revoke_consent(id) FROM cm_consent WHERE patient = 2; -- ok
DO $$ BEGIN
	PERFORM phi.revoke_consent(id) FROM cm_consent WHERE patient = 2;
EXCEPTION WHEN undefined_object THEN RAISE WARNING 'it was revoked before';
END $$; -- fails
SET SESSION AUTHORIZATION cm_clinician;
SELECT string_agg(id::text, ' ' ORDER BY id) FROM cm_patient; -- with 2
RESET SESSION AUTHORIZATION;
DO $$ BEGIN PERFORM phi.deny_consent(14, valid_until => clock_timestamp() + interval '2 seconds'); END $$; -- ok
SET SESSION AUTHORIZATION cm_clinician;
BEGIN;
SELECT count(*), bool_and(phi.can_access(14)) FROM cm_patient; -- 12, false
SELECT pg_sleep(2.2);
SELECT count(*), bool_and(phi.can_access(14)) FROM cm_patient; -- 13, true
COMMIT;
RESET SESSION AUTHORIZATION;

-- a program that cannot be read denies, in whatever way it came
BEGIN;
UPDATE phi.consent SET program = '\x02' WHERE id = (SELECT id FROM cm_consent WHERE patient = 1); -- ok
SET LOCAL SESSION AUTHORIZATION cm_clinician;
SELECT phi.can_access(1); -- false
SELECT reason FROM phi.explain_access(1); -- consent_denies
ROLLBACK;

-- a rule that changes binds at once; a rule of form none gives nothing
SELECT phi.set_rule('porter', 'PurposeOfUse', 'name', 'none'); -- ok
SET SESSION AUTHORIZATION cm_ruleless;
SELECT * FROM cm_seen; -- none
RESET SESSION AUTHORIZATION;
SELECT phi.set_rule('porter', 'PurposeOfUse', 'name', 'partial'); -- ok
SET SESSION AUTHORIZATION cm_ruleless;
SELECT * FROM cm_seen; -- without 4, and no photos
RESET SESSION AUTHORIZATION;
SELECT phi.drop_rule('porter', 'PurposeOfUse', 'all'); -- ok
SET SESSION AUTHORIZATION cm_ruleless;
SELECT * FROM cm_seen; -- none
RESET SESSION AUTHORIZATION;

-- one plan for many: a prepared statement answers for whoever runs it
SET plan_cache_mode = force_generic_plan;
PREPARE seen AS SELECT count(*) FROM cm_patient;
SET SESSION AUTHORIZATION cm_clinician;
EXECUTE seen; -- 13
SET SESSION AUTHORIZATION cm_nobody;
EXECUTE seen; -- 0
SET SESSION AUTHORIZATION cm_researcher;
EXECUTE seen; -- 3
SELECT phi.set_purpose('BIORCH'); -- ok
EXECUTE seen; -- 4
RESET SESSION AUTHORIZATION;
DEALLOCATE seen;
RESET plan_cache_mode;

-- many subjects: by index, in bulk, from the map, in a cache that is too small, in parallel, the answer is the same
CREATE TABLE cm_many (id bigint PRIMARY KEY, key text); -- ok
INSERT INTO cm_many SELECT g, 's' || g FROM generate_series(1, 6000) g; -- ok
GRANT SELECT ON cm_many TO PUBLIC; -- ok
ANALYZE cm_many; -- ok
DO $$ BEGIN PERFORM phi.deny_consent(id + 100), phi.grant_consent(id + 100), phi.grant_consent(key, 'HRESCH') FROM cm_many WHERE id % 3 = 0; END $$; -- ok
DO $$ BEGIN PERFORM phi.deny_consent(key, 'TREAT') FROM cm_many WHERE id % 4 = 0; END $$; -- ok
CREATE VIEW cm_counts AS SELECT
	count(*) FILTER (WHERE phi.row_access('cm_photo', id + 100)) AS mapped,
	count(*) FILTER (WHERE phi.row_access('cm_photo', (id + 100)::text)) AS unmapped,
	count(*) FILTER (WHERE phi.row_access('cm_photo', id + 100, '{SUD}')) AS labelled,
	count(*) FILTER (WHERE phi.row_access('cm_photo', key)) AS by_text FROM cm_many; -- ok
ALTER VIEW cm_counts SET (security_invoker = true); -- ok
GRANT SELECT ON cm_counts TO PUBLIC; -- ok
SET SESSION AUTHORIZATION cm_clinician;
SELECT count(*) FROM cm_many WHERE id <= 900 AND phi.row_access('cm_photo', id + 100); -- 600, one by one
SET SESSION AUTHORIZATION cm_clinician;
SELECT * FROM cm_counts; -- 4000 4000 0 4500, all at once
SELECT * FROM cm_counts; -- the same from the caches
SET SESSION AUTHORIZATION cm_researcher;
SELECT phi.logout(); -- ok
SELECT * FROM cm_counts; -- 0 0 0 2000
RESET SESSION AUTHORIZATION;
SET phi.decision_cache = '64kB'; -- ok
SET SESSION AUTHORIZATION cm_clinician;
SELECT * FROM cm_counts; -- the same as above
SET phi.decision_cache = '1GB'; -- fails
RESET SESSION AUTHORIZATION;
RESET phi.decision_cache;
SET SESSION AUTHORIZATION cm_clinician;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SELECT count(*) FROM cm_patient; -- 13
EXPLAIN (COSTS OFF) SELECT * FROM cm_counts; -- in workers
SELECT * FROM cm_counts; -- the same as above
RESET SESSION AUTHORIZATION;

-- workers take over what their leader knows, and no more than is true now
CREATE TABLE cm_shared (id bigint PRIMARY KEY, photo text); -- ok
INSERT INTO cm_shared (id) SELECT generate_series(101, 6100); -- ok
ANALYZE cm_shared; -- ok
GRANT SELECT ON cm_shared TO PUBLIC; -- ok
INSERT INTO phi.table_policy (relation, subject_column, key_columns, capture) VALUES ('cm_shared', 'id', '{id}', 'digest'); -- ok
INSERT INTO phi.column_policy (relation, column_name, kind, plain_type, sealed) VALUES ('cm_shared', 'photo', 'photo', 'text', true); -- ok
SET SESSION AUTHORIZATION cm_clinician;
EXPLAIN (COSTS OFF) SELECT count(*) FROM cm_shared; -- in workers
SELECT count(*) FROM cm_shared; -- 4000
SELECT count(*) FROM cm_shared; -- 4000
SELECT phi.set_purpose('COC'); -- ok
SELECT count(*) FROM cm_shared; -- 4000
RESET SESSION AUTHORIZATION;
SELECT phi.deny_consent(101, 'COC') > 0 AS recorded; -- ok
SET SESSION AUTHORIZATION cm_clinician;
SELECT count(*) FROM cm_shared; -- 3999
SET max_parallel_workers_per_gather = 0;
SELECT count(*) FROM cm_shared; -- 3999, by the leader alone, from what it shares
SELECT phi.logout(); -- ok
SELECT count(*) FROM cm_shared; -- 4000, after it was released
RESET max_parallel_workers_per_gather;
SELECT count(*) FROM cm_shared; -- 4000
SET SESSION AUTHORIZATION cm_researcher;
SELECT count(*) FROM cm_shared; -- 0
RESET SESSION AUTHORIZATION;
SET phi.open_purposes = on;
SET SESSION AUTHORIZATION cm_researcher;
SELECT count(*) FROM cm_shared; -- 4000
SELECT count(set_config(name, 'on', false)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SET SESSION AUTHORIZATION cm_clinician;
SELECT phi.can_access(4), phi.can_access(1), reason FROM phi.explain_access(4); -- f t
RESET SESSION AUTHORIZATION;
RESET ALL;
SET client_min_messages = warning;

-- no key, no decision; and a denial that needs none
BEGIN;
DELETE FROM phi.data_key; -- ok
SET LOCAL SESSION AUTHORIZATION cm_nobody;
SELECT * FROM cm_seen; -- none
SET LOCAL SESSION AUTHORIZATION cm_clinician;
SELECT count(*) FROM cm_patient; -- fails
ROLLBACK;

-- each change of consents and rules is in the audit log
SELECT e.action, e.detail, e.outcome, count(*), bool_and(e.subjects = ARRAY[c.subject_token]) AS subject, min(e.relation) AS relation
	FROM phi_audit.event e JOIN phi.consent c ON c.id = e.consent_id
	WHERE e.action = 'consent' AND c.id IN (SELECT id FROM cm_consent) GROUP BY 1, 2, 3 ORDER BY 1, 2;
SELECT action, detail FROM phi_audit.event WHERE action ~ '_rule$' AND detail ~ '^(porter|default)' ORDER BY event_id;
SELECT status, decision, subject, source -> 'provision' AS source, created_by, revoked_by, revoked_at IS NOT NULL AS revoked
	FROM phi.consent JOIN phi.consent_source ON consent = id WHERE id IN (SELECT id FROM cm_consent WHERE patient IN (2, 5, 6, 12)) ORDER BY id;

-- nobody else records anything
SET SESSION AUTHORIZATION cm_clinician;
SELECT phi.grant_consent(2); -- fails
SELECT phi.deny_consent(2); -- fails
SELECT phi.revoke_consent(1); -- fails
SELECT phi.set_rule('clinician', 'HRESCH', 'all', 'full'); -- fails
SELECT phi.drop_rule('clinician', 'TREAT', 'all'); -- fails
SELECT phi.install_default_rules(); -- fails
INSERT INTO phi.consent (subject_token, program, decision, created_by) VALUES (1, '\x01', 'permit', 'me'); -- fails
SELECT * FROM phi.role_rule; -- fails
SELECT * FROM phi.label_set; -- fails
RESET SESSION AUTHORIZATION;

DROP VIEW cm_seen, cm_counts;
DELETE FROM phi.column_policy WHERE relation IN ('cm_patient'::regclass, 'cm_photo'::regclass, 'cm_shared'::regclass);
DELETE FROM phi.table_policy WHERE relation IN ('cm_patient'::regclass, 'cm_photo'::regclass, 'cm_shared'::regclass);
DROP TABLE cm_patient, cm_photo, cm_shared, cm_consent, cm_many;
DROP DOMAIN cm_key;
DELETE FROM phi.consent WHERE id = (SELECT min(id) FROM phi.consent);
SELECT count(*) = (SELECT count(*) FROM phi.consent) AS kept, count(*) > 0 AS some FROM phi.consent_source WHERE consent IN (SELECT id FROM phi.consent); -- t t
SELECT count(*) FROM phi.consent_source WHERE consent NOT IN (SELECT id FROM phi.consent); -- 0
BEGIN;
TRUNCATE phi.consent;
SELECT count(*) FROM phi.consent_source; -- 0
ROLLBACK;
DELETE FROM phi.consent;
SELECT count(*) FROM phi.consent_source; -- 0
DELETE FROM phi.role_rule;
SELECT count(phi.unenroll(db_role)) FROM phi.enrollment WHERE db_role::text LIKE 'cm\_%'; -- ok
SELECT count(phi.revoke_duty(db_role, duty)) FROM phi.duty_grant WHERE db_role::text LIKE 'cm\_%'; -- ok
DROP ROLE cm_clinician, cm_researcher, cm_billing, cm_both, cm_ruleless, cm_nobody, cm_officer; -- ok
