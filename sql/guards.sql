-- What an owner of a protected table tries in order to have code run in the queries of others, or to lose its guards
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE gd_owner LOGIN;
CREATE ROLE gd_clinician LOGIN;
CREATE ROLE gd_dumper LOGIN BYPASSRLS;
CREATE ROLE gd_custodian LOGIN BYPASSRLS;
CREATE SCHEMA gd AUTHORIZATION gd_owner;
GRANT USAGE, CREATE ON SCHEMA gd TO gd_clinician, gd_dumper, gd_custodian;
SELECT count(*) = 0 AS bare FROM phi.role_rule \gset
SELECT phi.install_default_rules() >= 0 AS rules;
SELECT phi.enroll('gd_clinician', 'dr', '{clinician}', '{TREAT}');
SELECT phi.grant_duty(r::regrole, 'application') FROM unnest('{gd_owner,gd_clinician,gd_dumper}'::text[]) r;
SELECT phi.grant_duty('gd_custodian', 'key_custodian');
SET SESSION AUTHORIZATION gd_owner;
CREATE TABLE gd.patient (id bigint PRIMARY KEY, name text, ssn text, ward text);
INSERT INTO gd.patient VALUES (1, 'Ada', '123-45-6789', 'W1');
CREATE TABLE gd.taken (what text);
GRANT INSERT ON gd.taken TO PUBLIC;
CREATE FUNCTION gd.steal(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO gd.taken VALUES ($1); RETURN true; END';
CREATE FUNCTION gd.steal_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
RESET SESSION AUTHORIZATION;

-- a policy of before phi.protect is in its way
SET SESSION AUTHORIZATION gd_owner;
CREATE POLICY mine ON gd.patient USING (gd.steal(ward));
RESET SESSION AUTHORIZATION;
SELECT count(phi.classify('gd.patient', c, k)) FROM (VALUES ('name', 'name'), ('ssn', 'ssn'), ('ward', 'none')) v (c, k);
SELECT action, object, statement FROM phi.protect_plan('gd.patient', 'id') WHERE blocker;
SELECT phi.protect('gd.patient', 'id'); -- fails
DROP POLICY mine ON gd.patient;
SELECT phi.protect('gd.patient', 'id'); -- ok
GRANT SELECT ON gd.patient_redacted TO gd_clinician;
GRANT SELECT, INSERT, UPDATE ON gd.patient TO gd_clinician, gd_dumper, gd_custodian;

-- the redacted view is no place for the owner's code
SET SESSION AUTHORIZATION gd_owner;
CREATE OR REPLACE VIEW gd.patient_redacted AS SELECT id, phi.reveal(name, id) AS name, phi.reveal(ssn, id) AS ssn, ward FROM gd.patient WHERE gd.steal(phi.reveal(ssn, id)); -- fails
CREATE TRIGGER t INSTEAD OF INSERT ON gd.patient_redacted FOR EACH ROW EXECUTE FUNCTION gd.steal_trigger(); -- fails
CREATE RULE r AS ON INSERT TO gd.patient_redacted DO INSTEAD NOTHING; -- fails
CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO gd.patient_redacted DO INSTEAD SELECT id, name::text, ssn::text, ward FROM gd.patient; -- fails
ALTER VIEW gd.patient_redacted ALTER ward SET DEFAULT 'x'; -- fails
ALTER TABLE gd.patient_redacted ALTER ward SET DEFAULT 'x'; -- fails
ALTER VIEW gd.patient_redacted SET (security_invoker = true); -- fails
ALTER VIEW gd.patient_redacted RESET (security_barrier); -- fails
DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW gd.patient_redacted AS SELECT 1 AS id'; END $$; -- fails
ALTER VIEW gd.patient_redacted RENAME TO shown; -- ok
ALTER VIEW gd.shown SET SCHEMA gd; -- ok
ALTER VIEW gd.shown RENAME TO patient_redacted; -- ok
GRANT SELECT ON gd.patient_redacted TO gd_clinician; -- ok
COMMENT ON VIEW gd.patient_redacted IS 'patients'; -- ok
-- nor is a domain of the owner's, whose constraint a cast in the view would run
CREATE DOMAIN gd.spy AS varchar(5) CHECK (gd.steal(value));
ALTER TABLE gd.patient ADD COLUMN spied gd.spy; -- ok
DELETE FROM gd.taken; -- what its own command ran
SET SESSION AUTHORIZATION gd_clinician;
SELECT * FROM gd.patient_redacted;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'gd.patient_redacted'::regclass AND attname = 'spied';
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM gd.taken; -- 0
ALTER TABLE gd.patient DROP COLUMN spied;

-- policies of the owner's
SET SESSION AUTHORIZATION gd_owner;
CREATE POLICY mine ON gd.patient USING (gd.steal(ward)); -- fails
CREATE POLICY mine ON gd.patient USING (phi.reveal(name, id) <> ''); -- fails
CREATE POLICY mine ON gd.patient FOR INSERT WITH CHECK (gd.steal(ward)); -- fails
CREATE POLICY mine ON gd.patient USING (query_to_xml('SELECT gd.steal(''x'')', true, true, '') IS NOT NULL); -- fails
CREATE POLICY mine ON gd.patient USING (ward::gd.spy <> ''); -- fails
CREATE VIEW gd.wards AS SELECT ward FROM (VALUES ('W1'), ('W2')) AS w (ward) WHERE gd.steal(ward);
CREATE POLICY mine ON gd.patient USING (EXISTS (SELECT FROM gd.wards w WHERE w.ward = patient.ward)); -- fails
CREATE POLICY mine ON gd.patient USING (ward IN ('W1', 'W2')); -- ok
ALTER POLICY mine ON gd.patient USING (gd.steal(ward)); -- fails
ALTER POLICY mine ON gd.patient USING (lower(ward) = 'w1'); -- ok
-- through what it reads, once it is there
CREATE OR REPLACE VIEW gd.wards AS SELECT ward FROM (VALUES ('W1'), ('W2')) AS w (ward);
ALTER POLICY mine ON gd.patient USING (EXISTS (SELECT FROM gd.wards w WHERE w.ward = patient.ward)); -- ok
CREATE OR REPLACE VIEW gd.wards AS SELECT ward FROM (VALUES ('W1'), ('W2')) AS w (ward) WHERE gd.steal(ward); -- fails
DROP POLICY mine ON gd.patient; -- ok
RESET SESSION AUTHORIZATION;
CREATE FUNCTION gd.trusted(text) RETURNS boolean LANGUAGE sql STABLE RETURN $1 <> '';
SET SESSION AUTHORIZATION gd_owner;
CREATE POLICY mine ON gd.patient USING (gd.trusted(ward)); -- ok: a superuser's
DROP POLICY mine ON gd.patient;

-- phi.reveal in what a table stores or checks, whichever the table
CREATE TABLE gd.copy (id bigint, name phi.encrypted_text CHECK (phi.reveal(name) <> '')); -- fails
CREATE TABLE gd.copy (id bigint, name phi.encrypted_text);
ALTER TABLE gd.copy ADD CONSTRAINT c CHECK (gd.steal(phi.reveal(name, id))) NOT VALID; -- fails
ALTER TABLE gd.copy ALTER name SET DEFAULT phi.reveal('x'::phi.encrypted_text); -- fails
ALTER TABLE gd.copy ADD COLUMN plain text GENERATED ALWAYS AS (phi.reveal(name, id)) STORED; -- fails
CREATE INDEX ON gd.copy (phi.reveal(name, id)); -- fails
CREATE STATISTICS gd.s ON (phi.reveal(name, id)), id FROM gd.copy; -- fails
CREATE STATISTICS gd.s ON (phi.reveal(name, id)), id FROM gd.patient; -- fails
CREATE TRIGGER t BEFORE INSERT ON gd.copy FOR EACH ROW WHEN (gd.steal(phi.reveal(new.name, new.id))) EXECUTE FUNCTION gd.steal_trigger(); -- fails
CREATE DOMAIN gd.opened AS phi.encrypted_text CHECK (phi.reveal(value) <> ''); -- fails
CREATE VIEW gd.of_copy AS SELECT phi.reveal(name) AS name FROM gd.copy; -- ok
DROP VIEW gd.of_copy;

-- code that a write of somebody else runs
CREATE FUNCTION gd.implant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE new.ward; RETURN new; END $$;
CREATE TRIGGER implant AFTER INSERT ON gd.patient FOR EACH ROW EXECUTE FUNCTION gd.implant(); -- ok, with an event
SET SESSION AUTHORIZATION gd_clinician;
INSERT INTO gd.patient (id, ward) VALUES (2, 'DECLARE c CURSOR WITH HOLD FOR SELECT gd.steal(name) FROM gd.patient_redacted'); -- fails
INSERT INTO gd.patient (id, ward) VALUES (2, 'CREATE TEMP VIEW patient_redacted AS SELECT gd.steal(name) FROM gd.patient_redacted'); -- fails
INSERT INTO gd.patient (id, ward) VALUES (2, 'CREATE RULE r AS ON SELECT TO gd.x DO INSTEAD SELECT 1'); -- fails
INSERT INTO gd.patient (id, ward) VALUES (2, 'CREATE POLICY p ON gd.x USING (true)'); -- fails
INSERT INTO gd.patient (id, ward) VALUES (2, 'ALTER POLICY p ON gd.x USING (true)'); -- fails
INSERT INTO gd.patient (id, ward) VALUES (2, 'PREPARE s AS SELECT gd.steal(name) FROM gd.patient_redacted'); -- fails
INSERT INTO gd.patient (id, ward) VALUES (2, 'CREATE TEMP TABLE fine (x int)'); -- ok
CREATE TEMP VIEW own AS SELECT 1 AS x; -- ok: in a statement of its own
DO $$ BEGIN CREATE TEMP VIEW own_too AS SELECT 1 AS x; END $$; -- ok
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT 1 AS x; -- ok
COMMIT;
CLOSE c;
DROP VIEW own, own_too;
DROP TABLE fine;
RESET SESSION AUTHORIZATION;
INSERT INTO gd.patient (id, ward) VALUES (3, 'CREATE TEMP VIEW of_superuser AS SELECT 1 AS x'); -- ok: a superuser's session
DROP TRIGGER implant ON gd.patient;

-- COPY past row security
SET SESSION AUTHORIZATION gd_dumper;
COPY gd.patient (id, ward) TO STDOUT; -- fails
COPY gd.patient (id, ward) FROM STDIN; -- fails
\.
COPY (SELECT id, ward FROM gd.patient) TO STDOUT; -- ok: no row
SET row_security = off;
COPY gd.patient (id, ward) TO STDOUT; -- fails
RESET row_security;
SET SESSION AUTHORIZATION gd_custodian;
COPY gd.patient (id) TO STDOUT; -- ok
COPY gd.patient (id) FROM STDIN; -- ok
4
\.
SET SESSION AUTHORIZATION gd_owner;
COPY gd.patient (id) TO STDOUT; -- ok: no row, by row security
COPY gd.patient (id) FROM STDIN; -- fails: PostgreSQL's own
\.
RESET SESSION AUTHORIZATION;
COPY gd.patient (id) TO STDOUT; -- ok

-- inside the maintenance of one table, another stays guarded
SET SESSION AUTHORIZATION gd_owner;
CREATE TABLE gd.bait (id bigint PRIMARY KEY, note text);
INSERT INTO gd.bait VALUES (1, 'x');
CREATE FUNCTION gd.inside(bigint) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE INDEX ON gd.bait (gd.inside(id));
CREATE FUNCTION gd.alter() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
	ALTER TABLE gd.patient ALTER name TYPE text USING name::text; RETURN true; END $$;
CREATE OR REPLACE FUNCTION gd.inside(bigint) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN gd.alter(); END';
RESET SESSION AUTHORIZATION;
SELECT phi.classify('gd.bait', 'note', 'free_text');
SELECT phi.protect('gd.bait', 'id'); -- fails
SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = 'gd.patient'::regclass AND attname = 'name';

-- input
SELECT phi.refresh_view(NULL); -- fails
SELECT phi.refresh_view(0::regclass); -- fails
SELECT phi.refresh_view('pg_class'); -- fails
SELECT phi.refresh_view('gd.copy'); -- fails
SELECT phi.protect_plan(NULL, 'id'); -- fails
SELECT phi.protect_plan('gd.copy', NULL); -- fails
SELECT phi.fit_name(repeat('x', 300), repeat('x', 300)); -- fails
SELECT phi.fit_name(NULL, '_x'); -- fails
SELECT phi.fit_name('x', NULL); -- fails
SELECT phi.fit_name(repeat('x', 300), '_redacted'); -- ok
SELECT phi.policy_is_foreign(0); -- f
SELECT phi.is_kind(NULL), phi.redact(NULL, 'name', 'full'), phi.redact('x', NULL, 'full'), phi.redact('x', 'name', NULL);

-- events
SELECT action, detail FROM phi_audit.event WHERE action = 'ddl' AND relation = 'gd.patient' ORDER BY event_id;

SET client_min_messages = warning;
SELECT phi.unprotect('gd.patient');
SELECT phi.unenroll('gd_clinician');
SELECT phi.revoke_duty(r::regrole, 'application') FROM unnest('{gd_owner,gd_clinician,gd_dumper}'::text[]) r;
SELECT phi.revoke_duty('gd_custodian', 'key_custodian');
SET client_min_messages = error;
DROP SCHEMA gd CASCADE;
DROP ROLE gd_owner, gd_clinician, gd_dumper, gd_custodian;
\if :bare
DELETE FROM phi.role_rule;
\endif
