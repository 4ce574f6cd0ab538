-- Shredding: a key for each subject, and its end (crash, dump, replication: test/tap/053_shred.pl; races: test/isolation/specs/shred.spec)
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE shr_owner LOGIN;
CREATE ROLE shr_clinician LOGIN;
CREATE ROLE shr_custodian LOGIN;
CREATE ROLE shr_writer LOGIN;
CREATE SCHEMA shr AUTHORIZATION shr_owner;
GRANT USAGE ON SCHEMA shr TO PUBLIC;
SELECT phi.install_default_rules() >= 0 AS rules;
SELECT phi.enroll(r::regrole, r, '{clinician}', '{TREAT}'), phi.grant_duty(r::regrole, 'application') FROM (VALUES ('shr_clinician'), ('shr_writer')) v (r);
SELECT phi.grant_duty('shr_custodian', 'key_custodian');

-- two shreddable tables, one of them with partitions, and a plain one
SET SESSION AUTHORIZATION shr_owner;
CREATE TABLE shr.patient (id bigint PRIMARY KEY, name text NOT NULL, ssn text, born date, note text, ward text);
CREATE TABLE shr.visit (id int, patient int REFERENCES shr.patient ON UPDATE CASCADE, what text, mrn text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE shr.visit_1 PARTITION OF shr.visit FOR VALUES FROM (0) TO (50);
CREATE TABLE shr.visit_2 PARTITION OF shr.visit DEFAULT;
CREATE TABLE shr.bill (id int PRIMARY KEY, patient bigint, name text, ssn text);
CREATE TABLE shr.copy (id bigint, ssn phi.encrypted_text, name phi.encrypted_text);
INSERT INTO shr.patient SELECT i, 'Ann ' || i, '987-65-' || 1000 + i, date '1970-01-01' + i, repeat('note ', i * 20) || i FROM generate_series(1, 20) i;
INSERT INTO shr.visit SELECT i, (i - 1) % 20 + 1, 'cast ' || i, 'M-' || i FROM generate_series(1, 100) i;
INSERT INTO shr.bill SELECT i, i, 'Ann ' || i, '987-65-' || 1000 + i FROM generate_series(1, 20) i;
RESET SESSION AUTHORIZATION;
SELECT phi.classify('shr.patient', c, k) FROM (VALUES ('name', 'name'), ('born', 'birth_date'), ('note', 'free_text')) v (c, k);
SELECT phi.classify('shr.patient', 'ssn', 'ssn', searchable => true), phi.classify('shr.visit', 'mrn', 'mrn', searchable => true);
SELECT phi.classify('shr.visit', 'what', 'diagnosis'), phi.classify('shr.bill', 'name', 'name'), phi.classify('shr.bill', 'ssn', 'ssn', searchable => true);
SELECT phi.protect('shr.patient', 'id', shreddable => NULL); -- fails
SELECT phi.protect('shr.patient', 'id', shreddable => true), phi.protect('shr.visit', 'patient', shreddable => true), phi.protect('shr.bill', 'patient'); -- ok
CREATE UNIQUE INDEX patient_ssn ON shr.patient (ssn);
CREATE INDEX visit_mrn ON shr.visit (mrn);
GRANT SELECT, INSERT, UPDATE, DELETE ON shr.patient, shr.visit, shr.bill, shr.copy, shr.patient_redacted, shr.visit_redacted, shr.bill_redacted TO shr_clinician, shr_writer;
SELECT relation, shreddable FROM phi.protected_table WHERE relation::text ~ '^shr' ORDER BY relation::text;
CREATE FUNCTION usages(pattern text DEFAULT 'shr.%') RETURNS TABLE (object text, subject_key boolean, state text, n bigint) LANGUAGE sql AS $$
	SELECT u.object, u.dek_id IS NULL, u.state, u."values" FROM phi.key_usage() u WHERE u.object LIKE pattern ORDER BY 1, 2, 3 $$;
CREATE FUNCTION subject_keys() RETURNS TABLE (state text, opens boolean, keys bigint) LANGUAGE sql AS $$
	SELECT s.state, s.opens, s.keys FROM phi.key_status() s WHERE s.scope = 'subject' ORDER BY 1 $$;

-- one key for a subject in both tables
SELECT count(*), count(DISTINCT subject_token), min(octet_length(wrapped)) FROM phi.subject_key; -- 20, 20
SELECT * FROM usages();
SELECT * FROM subject_keys();
SET SESSION AUTHORIZATION shr_clinician;
SELECT p.name, p.ssn, p.born, right(p.note, 7), v.what, v.mrn FROM shr.patient_redacted p JOIN shr.visit_redacted v ON v.patient = p.id WHERE p.id = 3 ORDER BY v.id LIMIT 1;
INSERT INTO shr.patient (id, name, ssn) VALUES (21, 'Bea', '111-11-1111'), (22, 'Cid', NULL), (23, 'Dot', NULL);
INSERT INTO shr.patient (id, name) VALUES (23, 'again') ON CONFLICT (id) DO UPDATE SET name = excluded.name; -- ok
INSERT INTO shr.visit VALUES (200, 21, 'flu', 'M-200'); -- ok: the same key
INSERT INTO shr.visit VALUES (201, NULL, 'flu', 'M-201'); -- fails: nobody's
INSERT INTO shr.visit VALUES (202, NULL, NULL, NULL); -- fails: nobody's, too
RESET SESSION AUTHORIZATION;
SELECT count(*), count(DISTINCT subject_token) FROM phi.subject_key; -- 23, 23

-- a key is rolled back with what it was made for, subtransactions too
BEGIN;
INSERT INTO shr.patient (id, name) VALUES (31, 'Eva');
SAVEPOINT s;
INSERT INTO shr.patient (id, name) VALUES (32, 'Fay');
ROLLBACK TO s;
SELECT count(*) FROM phi.subject_key; -- 24
INSERT INTO shr.patient (id, name) VALUES (32, 'Fay'); -- ok: another key
SELECT count(*) FROM phi.subject_key; -- 25
ROLLBACK;
SELECT count(*) FROM phi.subject_key; -- 23
INSERT INTO shr.patient (id, name) VALUES (31, 'Eva'), (32, 'Fay');
SELECT count(*) FROM phi.subject_key; -- 25
BEGIN;
INSERT INTO shr.patient (id, name) VALUES (33, 'Gus');
PREPARE TRANSACTION 'shr';
INSERT INTO shr.visit VALUES (331, NULL, NULL, NULL); -- fails: nobody's
ROLLBACK PREPARED 'shr';
INSERT INTO shr.patient (id, name) VALUES (33, 'Gus'); -- ok: the key of before is gone
SET SESSION AUTHORIZATION shr_clinician;
SELECT id, name FROM shr.patient_redacted WHERE id > 30 ORDER BY id;
RESET SESSION AUTHORIZATION;

-- without the duty nothing of it
SET SESSION AUTHORIZATION shr_owner;
SELECT * FROM phi.subject_key; -- fails
SELECT phi.shred_subject(2, 'mine'); -- fails
SELECT phi.shred_token(2); -- fails
SELECT phi.shred_values('shr.patient', 2, 1); -- fails
SELECT phi.shred_batch('shr.patient', 2, 1, 0); -- fails
SELECT phi.make_shreddable('shr.bill'); -- fails
CREATE FUNCTION shr.trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM phi.shred_subject(1, 'trap'); RETURN new; END $$;
CREATE TABLE shr.trap (x int);
CREATE TRIGGER trap BEFORE INSERT ON shr.trap FOR EACH ROW EXECUTE FUNCTION shr.trap();
GRANT INSERT ON shr.trap TO shr_custodian;
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION shr_custodian;
INSERT INTO shr.trap VALUES (1); -- fails: in a trigger
SELECT * FROM phi.subject_key; -- fails
SELECT phi.shred_token(2); -- fails
SELECT phi.shred_subject(2, NULL); -- fails
SELECT phi.shred_subject(2, ''); -- fails
SELECT phi.shred_subject(2, '  '); -- fails
SELECT phi.shred_subject(2, E'two\nlines'); -- fails
SELECT phi.shred_subject(2, repeat('x', 201)); -- fails
SELECT phi.shred_subject(NULL::bigint, 'why'); -- fails
SELECT phi.shred_subject(1.5, 'why'); -- fails
SELECT phi.shred_subject(999, 'why'); -- fails: no such subject
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT phi.shred_subject(2, 'why'); -- fails
ROLLBACK;
SELECT phi.rotate_key('shr.patient'); -- fails: its keys are the subjects'
RESET SESSION AUTHORIZATION;

-- what an attacker keeps: envelopes, copies, a prepared statement, a cached key
SET row_security = off;
CREATE TABLE kept AS SELECT id, name::text AS name, ssn::text AS ssn, note::text AS note FROM shr.patient;
INSERT INTO shr.copy SELECT id, ssn, name FROM shr.patient;
INSERT INTO shr.copy SELECT id, ssn, name FROM shr.bill;
CREATE FUNCTION shr.fail(phi.encrypted_text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
	IF current_setting('shr.fail', true) = 'on' THEN RAISE EXCEPTION 'not this way'; END IF; RETURN 1; END $$;
CREATE TABLE shr.hostile AS SELECT id, ssn FROM shr.patient WHERE id = 4;
ALTER TABLE shr.hostile OWNER TO shr_owner;
CREATE INDEX ON shr.hostile (shr.fail(ssn));
CREATE MATERIALIZED VIEW shr.snapshot AS SELECT id, ssn, name FROM shr.patient;
CREATE TABLE kept_keys AS SELECT * FROM phi.subject_key;
RESET row_security;
SELECT phi.grant_consent(2, 'HRESCH', actor => 'Dr. Quux') AS granted \gset
SELECT phi.relate(2, actor => 'sh.nurse') > 0, phi.relate(3, actor => 'sh.nurse') > 0, phi.register_person(2, 'sh.two') > 0, phi.add_proxy(2, 'sh.mother', 'parent') > 0; -- ok
SELECT phi.deny_consent(3, 'HRESCH', workforce_role => 'researcher') AS denied \gset
SET SESSION AUTHORIZATION shr_clinician;
PREPARE whole AS SELECT id, name, ssn, born, right(note, 7) AS note FROM shr.patient_redacted WHERE id IN (2, 3) ORDER BY id;
PREPARE number AS SELECT id FROM shr.patient WHERE ssn = $1;
EXECUTE whole;
EXECUTE number ('987-65-1002'); -- 2
RESET SESSION AUTHORIZATION;

-- rolled back, wholly or to a savepoint, nothing has happened; before that all is dead
BEGIN;
SELECT phi.shred_subject(2, 'asked for'); -- 1
SET LOCAL SESSION AUTHORIZATION shr_clinician;
EXECUTE whole; -- 2 is dead
EXECUTE number ('987-65-1002'); -- none
ROLLBACK;
SELECT * FROM subject_keys();
SET SESSION AUTHORIZATION shr_clinician;
EXECUTE whole;
EXECUTE number ('987-65-1002'); -- 2
RESET SESSION AUTHORIZATION;
BEGIN;
SAVEPOINT s;
SELECT phi.shred_subject(2, 'asked for'); -- 1
ROLLBACK TO s;
SET LOCAL shr.fail = 'on';
SELECT phi.shred_subject(4, 'another'); -- 1, and a warning: a copy's owner does not stop it
SAVEPOINT s;
SELECT phi.shred_subject(5, 'yet another'); -- 1
RELEASE s;
COMMIT;
SET SESSION AUTHORIZATION shr_clinician;
EXECUTE whole;
SELECT id, name, ssn FROM shr.patient_redacted WHERE id IN (4, 5) ORDER BY id; -- dead
RESET SESSION AUTHORIZATION;

-- for good
SET SESSION AUTHORIZATION shr_custodian;
SELECT phi.shred_subject('2', 'erasure request 17'); -- 1: the subject by its text
SELECT phi.shred_subject(2, 'again'); -- fails
RESET SESSION AUTHORIZATION;
SELECT * FROM subject_keys();
SELECT count(*), bool_and(wrapped IS NULL AND check_value IS NULL) AS wiped FROM phi.subject_key WHERE state = 'destroyed'; -- 3
SELECT reason, detail, row_count, subjects = (SELECT array_agg(k.subject_token) FROM phi.subject_key k WHERE k.dek_id = (SELECT min(dek_id) + 1 FROM phi.subject_key)) AS of_2
	FROM phi_audit.event WHERE action = 'shred' ORDER BY event_id DESC LIMIT 1;
SELECT decision, status, subject, source #>> '{provision,type}' AS source, octet_length(program) > 0 AS program FROM phi.consent LEFT JOIN phi.consent_source ON consent = id
	WHERE id IN (:granted, :denied) ORDER BY id;
SELECT subject, valid_until <= now() AS over FROM phi.care_relationship WHERE holder = 'sh.nurse' ORDER BY 1; -- of the other one alone
SELECT (SELECT count(*) FROM phi.person WHERE actor = 'sh.two') AS persons, count(*) AS proxies, count(subject) AS keys FROM phi.proxy WHERE actor = 'sh.mother'; -- 0 1 0
DELETE FROM phi.care_relationship;
DELETE FROM phi.proxy;
SELECT * FROM usages();
SET SESSION AUTHORIZATION shr_clinician;
EXECUTE whole;
EXECUTE number ('987-65-1002'); -- none
SELECT id FROM shr.patient_redacted WHERE ssn = '987-65-1002'; -- none
SELECT count(*) FROM shr.patient p WHERE p.ssn IN ('987-65-1002', '987-65-1004', '987-65-1003'); -- 1
SELECT c.id FROM shr.copy c WHERE c.ssn = '987-65-1002'; -- 2: of the bill, which is not shreddable
SELECT c.id, phi.reveal(c.name), phi.reveal(c.ssn) FROM shr.copy c WHERE c.id IN (2, 3) ORDER BY 1, 2, 3;
SELECT id, what, mrn FROM shr.visit_redacted WHERE patient = 2 ORDER BY id LIMIT 2;
SELECT count(*) FROM shr.visit WHERE mrn = 'M-2'; -- 0
SELECT id, name, ssn FROM shr.bill_redacted WHERE id = 2; -- as before
SELECT count(*) FROM shr.patient a JOIN shr.copy c ON a.ssn = c.ssn WHERE a.id IN (2, 4, 5); -- 0: dead values equal nothing
SELECT count(*) FROM shr.patient a JOIN shr.copy c ON a.ssn = c.ssn WHERE a.id IN (3, 6); -- 2
SELECT phi.reveal(s.name) FROM shr.snapshot s WHERE s.id = 2; -- fails: no privilege
RESET SESSION AUTHORIZATION;
SELECT phi.reveal(s.name) FROM shr.snapshot s WHERE s.id = 2; -- nothing
SELECT phi.reveal(h.ssn) FROM shr.hostile h; -- nothing

-- nobody opens it, by no way
SET row_security = off;
SELECT DISTINCT phi.reveal(name), phi.reveal(ssn), phi.reveal(born), phi.reveal(note) FROM shr.patient WHERE id IN (2, 4, 5); -- nothing
SELECT phi.open_in_place(name) FROM shr.patient WHERE id = 2; -- fails
RESET row_security;
SELECT phi.enroll('shr_custodian', 'custodian', '{clinician}', '{TREAT}'), phi.grant_duty('shr_custodian', 'application');
GRANT SELECT ON shr.patient_redacted TO shr_custodian;
SET SESSION AUTHORIZATION shr_custodian;
SELECT name, ssn FROM shr.patient_redacted WHERE id = 2; -- nothing
SELECT phi.rotate_kek() >= 0 AS wrapped;
RESET SESSION AUTHORIZATION;
CALL phi.reseal('shr.patient'); -- ok
SELECT * FROM usages('shr.patient%');

-- the row lives on: other columns, its key, its subject; and takes new values under a new key
SET SESSION AUTHORIZATION shr_clinician;
UPDATE shr.patient SET ward = 'B' WHERE id = 2; -- ok
UPDATE shr.patient SET name = name, ssn = ssn WHERE id = 2; -- ok
UPDATE shr.patient_redacted SET ward = 'C', name = name WHERE id = 2; -- ok: through the view
SELECT id, name, ssn, born, ward FROM shr.patient_redacted WHERE id = 2;
UPDATE shr.visit SET id = 1002 WHERE id = 22; -- ok
UPDATE shr.visit SET patient = 3 WHERE id = 2; -- ok: of another subject, and dead
SELECT id, patient, what, mrn FROM shr.visit_redacted WHERE id IN (2, 1002) ORDER BY 1;
UPDATE shr.visit SET patient = 7 WHERE id = 3; -- ok: alive, and under the key of its new subject
UPDATE shr.patient SET id = 2222 WHERE id = 4; -- ok: cascades
SELECT id, name, ssn FROM shr.patient_redacted WHERE id = 2222;
SELECT id, patient, what FROM shr.visit_redacted WHERE patient = 2222 ORDER BY id LIMIT 1;
UPDATE shr.patient SET name = 'Ann again' WHERE id = 2; -- ok
INSERT INTO shr.visit VALUES (300, 2, 'back', 'M-2'); -- ok
SELECT id, name, ssn FROM shr.patient_redacted WHERE id = 2; -- the new value alone
SELECT id, what, mrn FROM shr.visit_redacted WHERE patient = 2 AND id >= 300;
RESET SESSION AUTHORIZATION;
SELECT * FROM subject_keys();
SELECT phi.shred_subject(3, 'visit 3 has left, visit 2 was dead'); -- 1
SET SESSION AUTHORIZATION shr_clinician;
SELECT id, patient, what, mrn FROM shr.visit_redacted WHERE id IN (2, 3) ORDER BY 1; -- 3 lives
RESET SESSION AUTHORIZATION;

-- old envelopes put back stay dead and unfound, in place and elsewhere
SET row_security = off;
UPDATE shr.patient p SET name = k.name::phi.encrypted_text, ssn = k.ssn::phi.encrypted_text, note = k.note::phi.encrypted_text FROM kept k WHERE k.id = p.id AND p.id = 2; -- ok
INSERT INTO shr.patient (id, name, ssn) SELECT 102, k.name::phi.encrypted_text, k.ssn::phi.encrypted_text FROM kept k WHERE k.id = 2; -- ok
INSERT INTO shr.bill SELECT 102, 3, k.name::phi.encrypted_text, k.ssn::phi.encrypted_text FROM kept k WHERE k.id = 2; -- ok
SELECT id, phi.reveal(name), phi.reveal(ssn), phi.reveal(note) FROM shr.patient WHERE id IN (2, 102) ORDER BY id; -- nothing
RESET row_security;
SET SESSION AUTHORIZATION shr_clinician;
SELECT id FROM shr.patient WHERE ssn = '987-65-1002'; -- none
SELECT id FROM shr.bill WHERE ssn = '987-65-1002'; -- 2: its own
SELECT id, name FROM shr.bill_redacted WHERE id = 102; -- nothing
INSERT INTO shr.patient (id, name, ssn) VALUES (103, 'Newcomer', '987-65-1002'); -- ok: the number is free
RESET SESSION AUTHORIZATION;

-- the key put back by a superuser, from a dump: the tag is gone, and with it the value; an untagged value is why dumps have epochs
BEGIN;
UPDATE phi.subject_key s SET state = 'current', wrapped = k.wrapped, check_value = k.check_value FROM kept_keys k WHERE k.dek_id = s.dek_id AND s.state = 'destroyed';
SET row_security = off;
SELECT phi.enroll('postgres', 'root', '{clinician}', '{TREAT}') WHERE current_user = 'postgres';
SELECT phi.reveal(ssn) FROM shr.patient WHERE id = 5; -- fails
ROLLBACK;
RESET row_security;
BEGIN;
UPDATE phi.subject_key SET subject_token = subject_token + 1 WHERE state = 'current'; -- a key of another subject is none
SET LOCAL SESSION AUTHORIZATION shr_clinician;
\set VERBOSITY sqlstate
SELECT name FROM shr.patient_redacted WHERE id = 6; -- fails
\set VERBOSITY terse
ROLLBACK;

-- a protected table made shreddable afterwards: until it is resealed, what is under the common key is overwritten
SELECT phi.make_shreddable('shr.patient'); -- fails
SELECT phi.make_shreddable('shr.copy'); -- fails
SELECT phi.make_shreddable('shr.bill'); -- ok
SELECT phi.shred_subject(6, 'before it was resealed') > 0 AS shredded; -- ok
SET SESSION AUTHORIZATION shr_clinician;
SELECT id, name, ssn FROM shr.bill_redacted WHERE id IN (6, 7) ORDER BY id; -- 7 lives
SELECT id FROM shr.bill WHERE ssn IN ('987-65-1006', '987-65-1007'); -- 7
RESET SESSION AUTHORIZATION;
SELECT * FROM usages('shr.bill%');
CALL phi.reseal('shr.bill', 3); -- ok
SELECT * FROM usages('shr.bill%');
SELECT detail FROM phi_audit.event WHERE action = 'reseal' AND relation = 'shr.bill' ORDER BY event_id DESC LIMIT 2;
SET SESSION AUTHORIZATION shr_clinician;
SELECT count(name), count(ssn), count(*) FROM shr.bill_redacted; -- all but 6 and 102
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION shr_owner;
CREATE TABLE shr.online (id bigint PRIMARY KEY, name text);
INSERT INTO shr.online SELECT i, 'Onl ' || i FROM generate_series(6, 9) i;
RESET SESSION AUTHORIZATION;
SELECT phi.classify('shr.online', 'name', 'name');
CALL phi.protect_online('shr.online', 'id');
SELECT phi.make_shreddable('shr.online');
CALL phi.reseal('shr.online');
SELECT * FROM usages('shr.online%');
SELECT phi.shred_subject(8, 'everywhere') > 0 AS shredded;
SELECT * FROM usages('shr.online%');

-- a partition comes back with its dead values; unprotect makes them null
ALTER TABLE shr.visit DETACH PARTITION shr.visit_1; -- ok: a superuser may
ALTER TABLE shr.visit ATTACH PARTITION shr.visit_1 FOR VALUES FROM (0) TO (50); -- ok
SET SESSION AUTHORIZATION shr_owner;
ALTER TABLE shr.patient ALTER name DROP NOT NULL;
RESET SESSION AUTHORIZATION;
DROP MATERIALIZED VIEW shr.snapshot;
SELECT phi.unprotect('shr.patient'); -- ok
SELECT id, name, ssn, born, right(note, 7) AS note FROM shr.patient WHERE id IN (2, 7, 8, 2222) ORDER BY id;
SELECT phi.unprotect('shr.visit'); -- ok
SELECT count(what), count(mrn), count(*) FROM shr.visit;
SELECT phi.unprotect('shr.bill'), phi.unprotect('shr.online'); -- ok
SELECT count(name), count(*) FROM shr.bill;
DROP INDEX shr.patient_ssn;
SELECT phi.protect('shr.patient', 'id', shreddable => true); -- ok: again
SET SESSION AUTHORIZATION shr_clinician;
SELECT id FROM shr.patient WHERE ssn IN ('987-65-1007', '987-65-1008'); -- 7
RESET SESSION AUTHORIZATION;

-- what was sealed under a key that was rolled back is not stored (the key itself: test/isolation/specs/shred.spec)
SET SESSION AUTHORIZATION shr_clinician;
DO $$ DECLARE sealed phi.encrypted_text; BEGIN
	BEGIN INSERT INTO shr.patient VALUES (303, 'Ann 303') RETURNING name INTO sealed; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END;
	INSERT INTO shr.patient VALUES (303, sealed); END $$; -- fails
INSERT INTO shr.patient VALUES (303, 'Ann 303'); -- ok
SELECT phi.reveal(name) FROM shr.patient WHERE id = 303; -- ok
RESET SESSION AUTHORIZATION;

SET client_min_messages = error;
DROP SCHEMA shr CASCADE;
DROP TABLE kept, kept_keys;
DROP FUNCTION usages, subject_keys;
SELECT phi.unenroll(r::regrole) FROM (VALUES ('shr_clinician'), ('shr_custodian'), ('shr_writer')) v (r);
SELECT phi.revoke_duty(r::regrole, 'application') FROM (VALUES ('shr_clinician'), ('shr_custodian'), ('shr_writer')) v (r);
SELECT phi.revoke_duty('shr_custodian', 'key_custodian');
DROP ROLE shr_owner, shr_clinician, shr_custodian, shr_writer;
