-- Writing through the redacted view: what was not seen is not written, and nothing comes back that was not seen
CREATE ROLE wt_owner;
CREATE ROLE wt_doctor LOGIN;
CREATE ROLE wt_desk LOGIN;
SELECT count(*) = 0 AS bare FROM phi.role_rule \gset
SELECT phi.install_default_rules() >= 0 AS rules;
CREATE TABLE saved_rules AS SELECT * FROM phi.role_rule WHERE workforce_role = 'registration';
SET datestyle = iso;
CREATE SCHEMA wt;
GRANT ALL ON SCHEMA wt TO wt_owner;
GRANT USAGE ON SCHEMA wt TO PUBLIC;
SET ROLE wt_owner;
CREATE TABLE wt.patient (id bigint PRIMARY KEY, name text NOT NULL, ssn text, born date, zip text, age integer, note text,
	city text DEFAULT 'Salem', labels text[], weight numeric CHECK (weight > 0));
INSERT INTO wt.patient VALUES (1, 'Jane Roe', '123-45-6789', '1930-05-06', '02139', 95, 'n1', 'Boston', NULL, 70.5),
	(2, 'Richard Roe', '123-45-6780', '1980-01-02', '02139', 45, 'n2', 'Boston', NULL, 80);
RESET ROLE;
SELECT phi.classify('wt.patient', c, c) FROM unnest('{name,born,zip,age,city}'::text[]) AS u (c) WHERE c <> 'born';
SELECT phi.classify('wt.patient', 'born', 'birth_date'), phi.classify('wt.patient', 'ssn', 'ssn', searchable => true),
	phi.classify('wt.patient', 'weight', 'none');
SELECT phi.protect('wt.patient', subject => 'id', labels => 'labels');
CREATE UNIQUE INDEX patient_ssn ON wt.patient (ssn);
SELECT phi.enroll('wt_doctor', 'Dr. W', '{clinician}', '{TREAT}'), phi.enroll('wt_desk', 'Desk', '{registration}', '{HOPERAT}');
SELECT phi.grant_duty('wt_doctor', 'application'), phi.grant_duty('wt_desk', 'application');
SELECT phi.set_rule('registration', 'HOPERAT', k, 'safe_harbor') FROM unnest('{age,zip,birth_date}'::text[]) AS k;
GRANT SELECT, INSERT, UPDATE, DELETE ON wt.patient_redacted TO wt_doctor, wt_desk;
CREATE FUNCTION wt.stored(k bigint) RETURNS text LANGUAGE sql AS $$ SELECT md5(name::text || ssn::text || born::text || zip::text || age::text) FROM wt.patient WHERE id = k $$;

-- what is read and written back changes nothing, in any form
SET row_security = off;
SELECT wt.stored(1) AS before \gset
RESET row_security;
SET SESSION AUTHORIZATION wt_desk;
SELECT * FROM wt.patient_redacted ORDER BY id;
UPDATE wt.patient_redacted SET name = name, ssn = ssn, born = born, zip = zip, age = age, note = note, city = city; -- ok
UPDATE wt.patient_redacted AS p SET (name, ssn, born, zip, age) = (SELECT name, ssn, born, zip, age FROM wt.patient_redacted s WHERE s.id = p.id); -- ok
UPDATE wt.patient_redacted SET age = 90.0, zip = '021' WHERE id = 1 RETURNING id, age, zip; -- ok: what was shown
RESET SESSION AUTHORIZATION;
SET row_security = off;
SELECT wt.stored(1) = :'before' AS unchanged;
RESET row_security;

-- a mask is no value
SET SESSION AUTHORIZATION wt_desk;
UPDATE wt.patient_redacted SET ssn = '***-**-6780' WHERE id = 1; -- fails
UPDATE wt.patient_redacted SET name = 'J*** R***' WHERE id = 2; -- fails
INSERT INTO wt.patient_redacted (id, name) VALUES (9, 'J*** R***'); -- fails
UPDATE wt.patient_redacted SET note = 'three *** stars' WHERE id = 2; -- ok: no encrypted column

-- RETURNING shows the row as the session sees it
UPDATE wt.patient_redacted SET ssn = '999-99-1234', born = '2001-07-08', zip = '03601', name = 'Ann Roe' WHERE id = 2 RETURNING *; -- ok
INSERT INTO wt.patient_redacted (id, name, ssn, age, weight) VALUES (3, 'Max Poe', '999-99-0003', 92, 60) RETURNING *; -- ok
SET SESSION AUTHORIZATION wt_doctor;
SELECT * FROM wt.patient_redacted ORDER BY id; -- the defaults of the table; the note is not classified
DELETE FROM wt.patient_redacted WHERE ssn = '999-99-0003' RETURNING id, name; -- ok
DELETE FROM wt.patient_redacted WHERE id = 3; -- ok: nobody

-- errors of the table: their kind, never the values
INSERT INTO wt.patient_redacted (id, name) VALUES (1, 'Max Poe'); -- fails
INSERT INTO wt.patient_redacted (id, name, ssn) VALUES (4, 'Max Poe', '123456789'); -- fails
INSERT INTO wt.patient_redacted (id) VALUES (4); -- fails
UPDATE wt.patient_redacted SET weight = -1 WHERE id = 1; -- fails
UPDATE wt.patient_redacted SET ssn = '123-45-6789' WHERE id = 2; -- fails
INSERT INTO wt.patient_redacted (id, name) VALUES (5, 'x') ON CONFLICT (id) DO NOTHING; -- fails: PostgreSQL has none on such views
SELECT name AS sealed FROM wt.patient WHERE false;
UPDATE wt.patient_redacted SET name = 'phi:1:EAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' WHERE id = 1; -- fails
RESET SESSION AUTHORIZATION;

-- rows that the session has no access to
SELECT phi.deny_consent(2::bigint) AS denied \gset
SET SESSION AUTHORIZATION wt_doctor;
UPDATE wt.patient_redacted SET name = 'Nobody'; -- ok: the other one
DELETE FROM wt.patient_redacted WHERE id = 2; -- ok: nobody
UPDATE wt.patient_redacted SET labels = '{SUD}' WHERE id = 1; -- fails: it would be out of sight
RESET SESSION AUTHORIZATION;
ALTER TABLE wt.patient OWNER TO CURRENT_USER; -- a superuser's table has no policies
SET SESSION AUTHORIZATION wt_doctor;
UPDATE wt.patient_redacted SET name = 'Nobody else'; -- ok: the other one
INSERT INTO wt.patient_redacted (id, name, labels) VALUES (6, 'Max Poe', '{SUD}'); -- fails
UPDATE wt.patient_redacted SET labels = '{SUD}' WHERE id = 1; -- fails
RESET SESSION AUTHORIZATION;
ALTER TABLE wt.patient OWNER TO wt_owner;

-- no identity, no rows
SELECT phi.unenroll('wt_desk');
SET SESSION AUTHORIZATION wt_desk;
UPDATE wt.patient_redacted SET name = 'Nobody'; -- ok: none
INSERT INTO wt.patient_redacted (id, name) VALUES (7, 'Nobody'); -- fails
RESET SESSION AUTHORIZATION;

-- privileges are those on the view
REVOKE ALL ON wt.patient_redacted FROM wt_doctor;
GRANT SELECT, UPDATE (city) ON wt.patient_redacted TO wt_doctor;
SET SESSION AUTHORIZATION wt_doctor;
UPDATE wt.patient_redacted SET name = 'x'; -- fails
DELETE FROM wt.patient_redacted; -- fails
UPDATE wt.patient_redacted SET city = 'Lynn' WHERE id = 1; -- ok
UPDATE wt.patient SET city = 'Lynn' WHERE id = 1; -- fails
RESET SESSION AUTHORIZATION;

-- the owner's triggers: on the view none, on the table as the owner, who is shown nothing
SET ROLE wt_owner;
CREATE TABLE wt.loot (who text, what text);
CREATE FUNCTION wt.steal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO wt.loot VALUES (current_user, phi.reveal(new.name)); RETURN new; EXCEPTION WHEN insufficient_privilege THEN INSERT INTO wt.loot VALUES (current_user, 'refused'); RETURN new; END $$;
CREATE TRIGGER steal INSTEAD OF UPDATE ON wt.patient_redacted FOR EACH ROW EXECUTE FUNCTION wt.steal(); -- fails
CREATE TRIGGER twice INSTEAD OF UPDATE ON wt.patient_redacted FOR EACH ROW WHEN (wt.steal() IS NULL) EXECUTE FUNCTION phi.write_through(); -- fails
CREATE TRIGGER steal AFTER UPDATE ON wt.patient FOR EACH ROW EXECUTE FUNCTION wt.steal(); -- ok
CREATE VIEW wt.fake AS SELECT 1 AS id;
CREATE TRIGGER fake INSTEAD OF UPDATE ON wt.fake FOR EACH ROW EXECUTE FUNCTION phi.write_through(); -- ok
UPDATE wt.fake SET id = 2; -- fails
CREATE TRIGGER misplaced BEFORE UPDATE ON wt.loot FOR EACH ROW EXECUTE FUNCTION phi.write_through(); -- ok
INSERT INTO wt.loot VALUES ('x');
UPDATE wt.loot SET who = 'y'; -- fails
DELETE FROM wt.loot;
RESET ROLE;
SET SESSION AUTHORIZATION wt_doctor;
UPDATE wt.patient_redacted SET city = 'Nahant' WHERE id = 1; -- ok
RESET SESSION AUTHORIZATION;
SELECT * FROM wt.loot; -- the owner, refused
DROP TRIGGER steal ON wt.patient;

-- written in another's trigger it shows nothing
GRANT ALL ON wt.patient_redacted TO wt_doctor;
SET ROLE wt_owner;
CREATE TABLE wt.bait (id bigint);
GRANT INSERT ON wt.bait TO PUBLIC;
GRANT ALL ON wt.loot TO PUBLIC;
CREATE FUNCTION wt.lure() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE s text; BEGIN
	INSERT INTO wt.patient_redacted (id, name, city) VALUES (new.id, 'Bait', NULL) RETURNING ssn INTO s; INSERT INTO wt.loot VALUES ('insert', s);
	UPDATE wt.patient_redacted SET city = 'x' WHERE id = 1 RETURNING ssn INTO s; INSERT INTO wt.loot VALUES ('update', s); RETURN new; END $$;
CREATE TRIGGER lure AFTER INSERT ON wt.bait FOR EACH ROW EXECUTE FUNCTION wt.lure();
RESET ROLE;
SET SESSION AUTHORIZATION wt_doctor;
INSERT INTO wt.bait VALUES (77); -- fails
RESET SESSION AUTHORIZATION;

-- a deferred constraint and the owner's trigger that names a table of its schema
SET ROLE wt_owner;
CREATE TABLE wt.stay (id bigint PRIMARY KEY, patient bigint REFERENCES wt.patient DEFERRABLE INITIALLY DEFERRED, note text);
CREATE TABLE wt.counter (n integer);
INSERT INTO wt.counter VALUES (0);
CREATE FUNCTION wt.tally() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE counter SET n = n + 1; RETURN NULL; END $$;
CREATE TRIGGER tally AFTER INSERT ON wt.stay FOR EACH ROW EXECUTE FUNCTION wt.tally();
RESET ROLE;
SELECT phi.classify('wt.stay', 'note', 'free_text'), phi.protect('wt.stay', subject => 'patient');
GRANT ALL ON wt.stay_redacted TO wt_doctor;
CREATE SCHEMA wt_doctor AUTHORIZATION wt_doctor;
SET SESSION AUTHORIZATION wt_doctor;
SET search_path = wt_doctor;
CREATE TABLE counter (n integer);
INSERT INTO counter VALUES (0);
INSERT INTO wt.stay_redacted VALUES (1, 1, 'seen'); -- ok
INSERT INTO wt.stay_redacted VALUES (2, 4711, 'of nobody'); -- fails
SELECT n FROM counter; -- 0: not where the writer's search_path leads
RESET SESSION AUTHORIZATION;
RESET search_path;
SELECT n FROM wt.counter; -- 1
SET client_min_messages = error;
DROP SCHEMA wt_doctor CASCADE;
DROP TABLE wt.stay CASCADE;
RESET client_min_messages;

-- COPY, many rows through one plan, and then another set of columns
SET SESSION AUTHORIZATION wt_doctor;
COPY wt.patient_redacted (id, name, born) FROM stdin;
100	Cop One	1999-01-01
101	Cop Two	\N
102	Cop Three	1999-01-03
\.
INSERT INTO wt.patient_redacted (id, name, ssn) SELECT 200 + i, 'Bulk ' || i, CASE WHEN i % 2 = 0 THEN '7654321' || i END FROM generate_series(10, 13) AS i;
SELECT id, name, ssn, born, city FROM wt.patient_redacted WHERE id >= 100 ORDER BY id;
RESET SESSION AUTHORIZATION;

-- the change is the session's in the audit log, and the view stays writable through DDL
SELECT DISTINCT actor, db_role, action FROM phi_audit.event WHERE relation = 'wt.patient' AND action IN ('insert', 'update', 'delete') AND actor IS NOT NULL ORDER BY 1, 2, 3;
ALTER TABLE wt.patient ADD COLUMN phone text;
SELECT phi.classify('wt.patient', 'phone', 'phone');
SET SESSION AUTHORIZATION wt_doctor;
UPDATE wt.patient_redacted SET phone = '617-555-0100' WHERE id = 1 RETURNING id, phone; -- ok
RESET SESSION AUTHORIZATION;

-- of a value that is shown as it is stored any difference counts
SET SESSION AUTHORIZATION wt_doctor;
UPDATE wt.patient_redacted SET weight = '70.500' WHERE id = 1 RETURNING weight; -- ok: 70.500
SELECT weight FROM wt.patient_redacted WHERE id = 1; -- 70.500
RESET SESSION AUTHORIZATION;

-- a row keeps its subject, and a key that is none any more finds no rows of others
SET ROLE wt_owner;
CREATE TABLE wt.visit (id bigint PRIMARY KEY, patient bigint, reason text);
INSERT INTO wt.visit VALUES (10, 1, 'cough'), (11, 3, 'flu');
RESET ROLE;
SELECT phi.classify('wt.visit', 'reason', 'diagnosis'), phi.protect('wt.visit', subject => 'patient');
GRANT ALL ON wt.visit_redacted TO wt_doctor;
SET SESSION AUTHORIZATION wt_doctor;
UPDATE wt.visit_redacted SET patient = 3, reason = 'fever' WHERE id = 10; -- fails
UPDATE wt.visit_redacted SET patient = 1, reason = 'fever' WHERE id = 10 RETURNING *; -- ok: the same one
RESET SESSION AUTHORIZATION;
ALTER TABLE wt.visit DROP CONSTRAINT visit_pkey; -- ok
SET SESSION AUTHORIZATION wt_doctor;
INSERT INTO wt.visit_redacted VALUES (11, 1, 'asthma'); -- ok
UPDATE wt.visit_redacted SET reason = 'other' WHERE id = 11 AND patient = 1; -- fails
DELETE FROM wt.visit_redacted WHERE id = 11 AND patient = 1; -- fails
SELECT * FROM wt.visit_redacted ORDER BY id, patient; -- as they were
RESET SESSION AUTHORIZATION;

-- without a primary key rows cannot be told apart
CREATE TABLE wt.keyless (subject bigint, name text);
SELECT phi.classify('wt.keyless', 'name', 'name'), phi.protect('wt.keyless', subject => 'subject');
GRANT ALL ON wt.keyless_redacted TO wt_doctor;
SET SESSION AUTHORIZATION wt_doctor;
INSERT INTO wt.keyless_redacted VALUES (1, 'Jane Roe') RETURNING *; -- ok
UPDATE wt.keyless_redacted SET name = 'Jane Poe'; -- fails
DELETE FROM wt.keyless_redacted; -- fails
RESET SESSION AUTHORIZATION;
SET client_min_messages = error;
DROP SCHEMA wt CASCADE;
SELECT phi.revoke_consent(:denied);
DELETE FROM phi.role_rule WHERE workforce_role = 'registration';
INSERT INTO phi.role_rule SELECT * FROM saved_rules;
DROP TABLE saved_rules;
\if :bare
DELETE FROM phi.role_rule;
\endif
SELECT phi.unenroll('wt_doctor'), phi.revoke_duty('wt_doctor', 'application'), phi.revoke_duty('wt_desk', 'application');
DROP OWNED BY wt_owner, wt_doctor, wt_desk;
DROP ROLE wt_owner, wt_doctor, wt_desk;
