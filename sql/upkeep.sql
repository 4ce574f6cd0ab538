-- What an owner does to a protected table: the view and the policies follow, or it is refused
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE up_owner LOGIN;
CREATE ROLE up_new_owner;
CREATE ROLE up_clinician LOGIN;
CREATE ROLE up_stranger LOGIN;
GRANT up_new_owner TO up_owner;
CREATE SCHEMA up AUTHORIZATION up_owner;
GRANT USAGE ON SCHEMA up TO up_clinician, up_stranger;
GRANT USAGE, CREATE ON SCHEMA up TO up_new_owner;
SELECT count(*) = 0 AS bare FROM phi.role_rule \gset
SELECT phi.install_default_rules() >= 0 AS rules;
SELECT phi.enroll('up_clinician', 'dr', '{clinician}', '{TREAT}');
SELECT phi.grant_duty(r::regrole, 'application') FROM unnest('{up_owner,up_clinician}'::text[]) r;
SET SESSION AUTHORIZATION up_owner;
CREATE TABLE up.patient (id bigint, part int, name text, ssn text, ward varchar(9), extra int, tags text[], PRIMARY KEY (id, part));
INSERT INTO up.patient VALUES (1, 1, 'Ada', '123-45-6789', 'W1', 5, '{N}');
RESET SESSION AUTHORIZATION;
SELECT count(phi.classify('up.patient', c, k)) FROM (VALUES ('name', 'name'), ('ssn', 'ssn'), ('ward', 'none')) v (c, k);
SELECT phi.protect('up.patient', 'id', labels => 'tags');
GRANT SELECT ON up.patient_redacted TO up_clinician;
GRANT SELECT, INSERT, UPDATE ON up.patient TO up_clinician;
RESET client_min_messages;
SELECT 'up.patient_redacted'::regclass::oid AS view \gset
-- what a clinician sees, whether the view is the one of old and shows nothing of the type
CREATE FUNCTION up.state(OUT same_view boolean, OUT columns text, OUT keys text, OUT sealed text) LANGUAGE plpgsql AS $$
BEGIN
	SELECT p.view, concat_ws(' ', p.subject_column, p.key_columns, p.labels_column) INTO columns, keys FROM phi.table_policy p WHERE relation = 'up.patient'::regclass;
	same_view := columns::regclass::oid = current_setting('up.view')::oid;
	SELECT string_agg(attname, ' ' ORDER BY attnum) INTO columns FROM pg_attribute WHERE attrelid = columns::regclass AND attnum > 0 AND NOT attisdropped;
	SELECT string_agg(column_name || '=' || kind, ' ' ORDER BY column_id) INTO sealed FROM phi.column_policy WHERE relation = 'up.patient'::regclass;
END $$;
SET up.view = :view;

-- columns: added, renamed, altered, dropped
SET SESSION AUTHORIZATION up_owner;
ALTER TABLE up.patient ADD COLUMN email text DEFAULT 'canary'; -- ok, with a notice
RESET SESSION AUTHORIZATION;
SELECT * FROM up.state();
SET SESSION AUTHORIZATION up_clinician;
SELECT * FROM up.patient_redacted;
SET SESSION AUTHORIZATION up_owner;
ALTER TABLE up.patient RENAME COLUMN name TO full_name; -- ok
ALTER TABLE up.patient RENAME COLUMN id TO patient_id; -- ok
ALTER TABLE up.patient RENAME COLUMN part TO "Part"; -- ok
ALTER TABLE up.patient RENAME tags TO labels; -- ok
ALTER TABLE up.patient RENAME extra TO more; -- ok
RESET SESSION AUTHORIZATION;
SELECT * FROM up.state();
SET SESSION AUTHORIZATION up_clinician;
SELECT * FROM up.patient_redacted;
UPDATE up.patient SET full_name = 'Ada Byron' WHERE patient_id = 1; -- ok
SELECT full_name FROM up.patient_redacted;
SET SESSION AUTHORIZATION up_owner;
ALTER TABLE up.patient_redacted RENAME COLUMN full_name TO name; -- fails
ALTER VIEW up.patient_redacted RENAME COLUMN full_name TO name; -- fails
ALTER TABLE up.patient ALTER ward TYPE text, ALTER more TYPE bigint USING more + 1; -- ok
ALTER TABLE up.patient ALTER full_name TYPE text; -- fails
ALTER TABLE up.patient ALTER full_name TYPE text USING full_name::text; -- fails
ALTER TABLE up.patient ALTER patient_id TYPE int; -- fails
ALTER TABLE up.patient ALTER "Part" TYPE bigint; -- fails
ALTER TABLE up.patient ALTER labels TYPE varchar[]; -- fails
ALTER TABLE up.patient DROP COLUMN patient_id; -- fails
ALTER TABLE up.patient DROP COLUMN "Part" CASCADE; -- fails
ALTER TABLE up.patient DROP COLUMN IF EXISTS labels; -- fails
ALTER TABLE up.patient ADD COLUMN bad text, DROP COLUMN patient_id; -- fails as a whole
ALTER TABLE up.patient ADD COLUMN bad text CHECK (bad <> ''), ADD COLUMN worse int REFERENCES nowhere; -- fails as a whole
ALTER TABLE IF EXISTS up.nowhere ADD COLUMN bad text; -- ok: nothing
ALTER TABLE up.patient DROP COLUMN IF EXISTS nothing; -- ok: nothing
RESET SESSION AUTHORIZATION;
SELECT * FROM up.state(); -- the view was made anew: types changed in it
SET SESSION AUTHORIZATION up_clinician;
SELECT * FROM up.patient_redacted; -- its privileges stayed
SET SESSION AUTHORIZATION up_owner;
ALTER TABLE up.patient DROP COLUMN ssn, ADD COLUMN ssn text; -- ok: another column of the same name
RESET SESSION AUTHORIZATION;
SELECT * FROM up.state();
SELECT column_name, kind, sealed FROM phi.column_policy WHERE relation IS NULL AND column_name = 'ssn' ORDER BY column_id DESC LIMIT 1; -- its id stays known
SET SESSION AUTHORIZATION up_clinician;
SELECT * FROM up.patient_redacted;

-- dependants of the view: kept where its columns stay, in the way where one goes
SET SESSION AUTHORIZATION up_owner;
CREATE VIEW up.names AS SELECT full_name, more FROM up.patient_redacted;
ALTER TABLE up.patient ADD COLUMN phone text; -- ok
ALTER TABLE up.patient RENAME full_name TO name; -- ok
SELECT regexp_replace(pg_get_viewdef('up.names'), '\mpatient_redacted\.', '', 'g') AS definition;
\set VERBOSITY default
ALTER TABLE up.patient DROP COLUMN more; -- fails
\set VERBOSITY terse
DROP VIEW up.names;
ALTER TABLE up.patient DROP COLUMN more; -- ok
-- transactions and savepoints
BEGIN;
ALTER TABLE up.patient ADD COLUMN t1 text;
SAVEPOINT s;
ALTER TABLE up.patient RENAME name TO t2;
ALTER TABLE up.patient DROP COLUMN phone;
ROLLBACK TO s;
ALTER TABLE up.patient RENAME t1 TO t3;
DO $$ BEGIN ALTER TABLE up.patient ADD COLUMN t4 int; EXECUTE 'ALTER TABLE up.patient RENAME t4 TO t5'; END $$;
RESET SESSION AUTHORIZATION;
SELECT columns, sealed FROM up.state();
ROLLBACK;
RESET SESSION AUTHORIZATION;
SELECT columns, sealed FROM up.state();

-- table and view: names, schema, owner
SET SESSION AUTHORIZATION up_owner;
ALTER TABLE up.patient RENAME TO people; -- ok
ALTER TABLE up.people SET SCHEMA up; -- ok
ALTER VIEW up.patient_redacted RENAME TO people_shown; -- ok
ALTER TABLE up.people ADD COLUMN after_all text; -- ok
ALTER TABLE up.people OWNER TO up_new_owner; -- ok
RESET SESSION AUTHORIZATION;
SELECT relation, view, pg_get_userbyid(relowner) AS view_owner FROM phi.protected_table JOIN pg_class ON oid = view WHERE relation = 'up.people'::regclass;
SET SESSION AUTHORIZATION up_clinician;
SELECT name FROM up.people_shown;
RESET SESSION AUTHORIZATION;
ALTER TABLE up.people OWNER TO up_owner;
ALTER TABLE up.people RENAME TO patient;

-- taking the protection away: not for the owner
SET SESSION AUTHORIZATION up_owner;
ALTER TABLE up.patient DISABLE ROW LEVEL SECURITY; -- fails
ALTER TABLE up.patient NO FORCE ROW LEVEL SECURITY; -- fails
ALTER TABLE up.patient ADD COLUMN bad int, NO FORCE ROW LEVEL SECURITY; -- fails
DROP POLICY phi_access ON up.patient; -- fails
DROP POLICY IF EXISTS phi_access ON up.patient; -- fails
ALTER POLICY phi_access ON up.patient USING (true); -- fails
ALTER POLICY phi_access ON up.patient RENAME TO x; -- fails
CREATE RULE r AS ON INSERT TO up.patient DO INSTEAD NOTHING; -- fails
ALTER TABLE up.patient DISABLE TRIGGER "~phi_seal"; -- fails
ALTER TABLE up.patient DISABLE TRIGGER ALL; -- fails
ALTER TABLE up.patient DISABLE TRIGGER USER; -- fails
ALTER TABLE up.patient ENABLE REPLICA TRIGGER "~phi_seal"; -- fails
DROP TRIGGER "~phi_seal" ON up.patient; -- fails
ALTER TRIGGER "~phi_seal" ON up.patient RENAME TO x; -- fails
CREATE FUNCTION up.noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE OR REPLACE TRIGGER "~phi_seal" BEFORE INSERT ON up.patient FOR EACH ROW EXECUTE FUNCTION up.noop(); -- fails
CREATE TABLE up.child () INHERITS (up.patient); -- fails
CREATE TABLE up.plain (LIKE up.patient);
ALTER TABLE up.plain INHERIT up.patient; -- fails
ALTER TABLE up.patient INHERIT up.plain; -- fails
DO $$ BEGIN EXECUTE 'ALTER TABLE up.patient DISABLE ROW LEVEL SECURITY'; END $$; -- fails
CREATE POLICY wider ON up.patient USING (true); -- ok: the other one still restricts
SELECT count(*) FROM up.patient; -- 0
DROP POLICY wider ON up.patient; -- ok
DROP POLICY phi_rows ON up.patient; -- ok: that only hides
SET SESSION AUTHORIZATION up_clinician;
SELECT count(*) FROM up.patient; -- 0
RESET SESSION AUTHORIZATION;
CREATE POLICY phi_rows ON up.patient USING (true);
SET SESSION AUTHORIZATION up_stranger;
ALTER TABLE up.patient ADD COLUMN x int; -- fails: not the owner
ALTER TABLE up.patient RENAME name TO x; -- fails
ALTER TABLE up.patient DISABLE ROW LEVEL SECURITY; -- fails
RESET SESSION AUTHORIZATION;
-- a superuser may, and leaves an event
BEGIN;
ALTER TABLE up.patient NO FORCE ROW LEVEL SECURITY; -- ok
DROP POLICY phi_access ON up.patient; -- ok
SELECT relation, detail FROM phi_audit.event WHERE action = 'ddl' ORDER BY event_id DESC LIMIT 2;
ROLLBACK;

-- partitions: new ones are guarded, attached ones are checked, none is detached but by a superuser
SET SESSION AUTHORIZATION up_owner;
CREATE TABLE up.visit (id int, day date, patient int NOT NULL, what text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE up.visit_a PARTITION OF up.visit FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO up.visit VALUES (1, '2024-02-03', 1, 'cast');
RESET SESSION AUTHORIZATION;
SELECT phi.classify('up.visit', 'what', 'diagnosis');
SELECT phi.protect('up.visit', 'patient');
GRANT SELECT ON up.visit_redacted TO up_clinician;
GRANT INSERT, SELECT ON up.visit TO up_clinician;
SET SESSION AUTHORIZATION up_owner;
CREATE TABLE up.visit_b PARTITION OF up.visit FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (id); -- ok
CREATE TABLE up.visit_b1 PARTITION OF up.visit_b DEFAULT; -- ok
CREATE TABLE IF NOT EXISTS up.visit_a PARTITION OF up.visit DEFAULT; -- ok: there already
CREATE TABLE up.visit_c (LIKE up.visit INCLUDING ALL);
CREATE FUNCTION up.guarded() RETURNS TABLE (name name, forced boolean, policies bigint, triggers text) LANGUAGE sql AS $$
	SELECT relname, relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid),
		(SELECT string_agg(substr(tgname, 6, 6), ' ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid AND tgname LIKE '~phi%')
	FROM pg_class c WHERE relname LIKE 'visit__' AND relkind IN ('r', 'p') OR relname = 'visit_b1' ORDER BY 1 $$;
SELECT * FROM up.guarded();
SET SESSION AUTHORIZATION up_clinician;
INSERT INTO up.visit VALUES (2, '2025-02-03', 1, 'splint');
SELECT * FROM up.visit_redacted ORDER BY id;
SET SESSION AUTHORIZATION up_owner;
SELECT count(*) FROM up.visit_b1; -- 0
ALTER TABLE up.visit_b1 DISABLE ROW LEVEL SECURITY; -- fails
DROP POLICY phi_access ON up.visit_b1; -- fails
ALTER TABLE up.visit_b1 DISABLE TRIGGER ALL; -- fails
INSERT INTO up.visit_c VALUES (3, '2026-02-03', 1, 'not sealed for its row');
\set VERBOSITY default
ALTER TABLE up.visit ATTACH PARTITION up.visit_c DEFAULT; -- fails
\set VERBOSITY terse
SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'up.visit'::regclass ORDER BY 1;
SELECT conname FROM pg_constraint WHERE conrelid = 'up.visit_c'::regclass AND contype = 'c'; -- none left
DELETE FROM up.visit_c;
ALTER TABLE up.visit ATTACH PARTITION up.visit_c DEFAULT; -- ok
ALTER TABLE up.visit DETACH PARTITION up.visit_a; -- fails
ALTER TABLE up.visit DETACH PARTITION up.visit_a CONCURRENTLY; -- fails
ALTER TABLE up.visit_b DETACH PARTITION up.visit_b1; -- fails
RESET SESSION AUTHORIZATION;
ALTER TABLE up.visit DETACH PARTITION up.visit_a; -- ok
SELECT * FROM up.guarded(); -- its policies stayed
SET SESSION AUTHORIZATION up_owner;
SELECT left(what::text, 6) FROM up.visit_a; -- no row
ALTER TABLE up.visit ATTACH PARTITION up.visit_a FOR VALUES FROM ('2024-01-01') TO ('2025-01-01'); -- ok: still sealed for its rows
SET SESSION AUTHORIZATION up_clinician;
SELECT * FROM up.visit_redacted ORDER BY id;
-- moved between rows while it was detached
SET SESSION AUTHORIZATION up_owner;
RESET SESSION AUTHORIZATION;
ALTER TABLE up.visit DETACH PARTITION up.visit_a CONCURRENTLY; -- fails: there is a default partition
ALTER TABLE up.visit DETACH PARTITION up.visit_a;
SET SESSION AUTHORIZATION up_owner;
ALTER TABLE up.visit_a DISABLE ROW LEVEL SECURITY; -- ok: it is of the table no more
ALTER TABLE up.visit_a DISABLE TRIGGER ALL; -- fails: change capture stayed
UPDATE up.visit_a SET id = 7, patient = 2;
ALTER TABLE up.visit ATTACH PARTITION up.visit_a FOR VALUES FROM ('2024-01-01') TO ('2025-01-01'); -- fails
UPDATE up.visit_a SET id = 1, patient = 1;
ALTER TABLE up.visit ATTACH PARTITION up.visit_a FOR VALUES FROM ('2024-01-01') TO ('2025-01-01'); -- ok
SELECT * FROM up.guarded(); -- and guarded again
SELECT relrowsecurity FROM pg_class WHERE oid = 'up.visit_a'::regclass;
-- policies and triggers of one's own in the place of ours
CREATE TABLE up.visit_d (LIKE up.visit INCLUDING ALL);
CREATE POLICY phi_access ON up.visit_d AS RESTRICTIVE USING (true) WITH CHECK (true);
ALTER TABLE up.visit_d ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE up.visit ATTACH PARTITION up.visit_d FOR VALUES FROM ('2023-01-01') TO ('2024-01-01'); -- fails
DROP POLICY phi_access ON up.visit_d;
CREATE TRIGGER "~phi_audit_insert" AFTER INSERT ON up.visit_d FOR EACH STATEMENT EXECUTE FUNCTION up.noop();
ALTER TABLE up.visit ATTACH PARTITION up.visit_d FOR VALUES FROM ('2023-01-01') TO ('2024-01-01'); -- fails
DROP TABLE up.visit_d;
CREATE TABLE up.outer_table (LIKE up.patient) PARTITION BY RANGE (patient_id);
ALTER TABLE up.outer_table ATTACH PARTITION up.patient DEFAULT; -- fails
RESET SESSION AUTHORIZATION;
CREATE EXTENSION postgres_fdw;
CREATE SERVER up_server FOREIGN DATA WRAPPER postgres_fdw;
CREATE FOREIGN TABLE up.far PARTITION OF up.visit FOR VALUES FROM ('2030-01-01') TO ('2031-01-01') SERVER up_server; -- fails
DROP EXTENSION postgres_fdw CASCADE;
-- without a default partition, in two transactions
CREATE TABLE up.other (id int, day date, patient int NOT NULL, what text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE up.other_a PARTITION OF up.other FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
SELECT phi.classify('up.other', 'what', 'diagnosis'), phi.protect('up.other', 'patient');
ALTER TABLE up.other DETACH PARTITION up.other_a CONCURRENTLY; -- ok
SELECT detail FROM phi_audit.event WHERE action = 'ddl' AND relation = 'up.other' ORDER BY event_id;
SELECT phi.unprotect('up.other');
DROP TABLE up.other, up.other_a;
-- columns of a partitioned table
SET SESSION AUTHORIZATION up_owner;
ALTER TABLE up.visit ADD COLUMN note text; -- ok
ALTER TABLE up.visit RENAME what TO reason; -- ok
ALTER TABLE ONLY up.visit ADD COLUMN bad int; -- fails
ALTER TABLE up.visit_a ADD COLUMN bad int; -- fails
SET SESSION AUTHORIZATION up_clinician;
INSERT INTO up.visit_c VALUES (4, '2026-03-03', 1, 'x'); -- fails: no privilege
INSERT INTO up.visit VALUES (4, '2026-03-03', 1, 'x ray', 'canary');
SELECT * FROM up.visit_redacted ORDER BY id;
RESET SESSION AUTHORIZATION;
SELECT detail FROM phi_audit.event WHERE action = 'ddl' AND relation = 'up.visit' ORDER BY event_id;

-- dropping: the view, a partition, a type, the table, the extension
SET client_min_messages = error;
\set VERBOSITY default
DROP EXTENSION phi_guard CASCADE; -- fails
\set VERBOSITY terse
RESET client_min_messages;
SET SESSION AUTHORIZATION up_owner;
DROP VIEW up.visit_redacted; -- ok
ALTER TABLE up.visit ADD COLUMN other text; -- ok: no view to keep
DROP TABLE up.visit_c; -- ok
CREATE TYPE up.mood AS ENUM ('calm');
ALTER TABLE up.patient ADD COLUMN mood up.mood; -- ok
DROP TYPE up.mood; -- fails
SET client_min_messages = warning;
DROP TYPE up.mood CASCADE; -- ok: and the view with it
RESET client_min_messages;
RESET SESSION AUTHORIZATION;
SELECT relation, view FROM phi.protected_table ORDER BY 1;
SELECT phi.refresh_view('up.patient', 'up.patient_redacted');
SET SESSION AUTHORIZATION up_owner;
DROP TABLE up.patient; -- fails: the view
SET client_min_messages = warning;
DROP TABLE up.patient CASCADE; -- ok
RESET client_min_messages;
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM phi.table_policy WHERE relation::oid NOT IN (SELECT oid FROM pg_class); -- 0
SELECT column_name, kind FROM phi.column_policy WHERE relation IS NULL AND column_name IN ('name', 'ward') AND kind IN ('name', 'none') ORDER BY column_id DESC LIMIT 1;
SET client_min_messages = warning;
DROP SCHEMA up CASCADE; -- ok: and with it the other one
RESET client_min_messages;
SELECT count(*) FROM phi.protected_table; -- 0
SELECT detail FROM phi_audit.event WHERE action = 'ddl' AND detail LIKE 'drop table up.%' ORDER BY detail;

SET client_min_messages = warning;
SELECT phi.unenroll('up_clinician'), phi.revoke_duty('up_clinician', 'application'), phi.revoke_duty('up_owner', 'application');
DROP ROLE up_owner, up_new_owner, up_clinician, up_stranger;
\if :bare
DELETE FROM phi.role_rule;
\endif
