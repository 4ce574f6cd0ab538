-- History: images of rows in the audit log, and what a session sees of them (crash and dump: test/tap/027_history.pl)
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE hist_owner LOGIN;
CREATE ROLE hist_clinician LOGIN;
CREATE ROLE hist_biller LOGIN;
CREATE ROLE hist_stranger LOGIN;
CREATE ROLE hist_auditor LOGIN;
CREATE SCHEMA hist AUTHORIZATION hist_owner;
GRANT USAGE ON SCHEMA hist TO PUBLIC;
SELECT phi.install_default_rules() >= 0 AS rules;
SELECT phi.enroll('hist_clinician', 'dr.hist', '{clinician}', '{TREAT}'), phi.enroll('hist_biller', 'bill', '{billing}', '{HPAYMT}'), phi.enroll('hist_owner', 'owner', '{clinician}', '{TREAT}');
SELECT phi.grant_duty(r::regrole, 'application') FROM unnest('{hist_clinician,hist_biller,hist_stranger,hist_owner}'::text[]) r;
SELECT phi.grant_duty('hist_auditor', 'auditor');
SET SESSION AUTHORIZATION hist_owner;
CREATE TABLE hist.patient (id bigint PRIMARY KEY, name text, ssn text, born date, weight numeric, doc jsonb, ward text, flag bool, secret text, labels text[]);
CREATE TABLE hist.visit (patient bigint REFERENCES hist.patient ON UPDATE CASCADE ON DELETE CASCADE, part int, day date, note text, PRIMARY KEY (patient, part, day)) PARTITION BY LIST (part);
CREATE TABLE hist.visit_1 PARTITION OF hist.visit FOR VALUES IN (1);
CREATE TABLE hist.visit_2 PARTITION OF hist.visit FOR VALUES IN (2);
CREATE TABLE hist.bed (id int PRIMARY KEY DEFERRABLE, name text);
RESET SESSION AUTHORIZATION;
SELECT phi.classify('hist.bed', 'name', 'name');
SELECT phi.classify('hist.patient', c, k) FROM (VALUES ('name', 'name'), ('ssn', 'ssn'), ('born', 'birth_date'), ('weight', 'lab'), ('doc', 'lab'), ('ward', 'none'), ('flag', 'none')) v (c, k);
SELECT phi.classify('hist.visit', 'note', 'free_text');

-- how changes are captured
SELECT phi.protect('hist.patient', 'id', labels => 'labels', capture => 'rows'); -- fails
SELECT phi.protect('hist.patient', 'id', labels => 'labels', capture => NULL); -- fails
SELECT phi.protect('hist.patient', 'id', labels => 'labels', capture => 'row'); -- ok
SELECT phi.protect('hist.visit', 'patient'); -- ok
SELECT phi.protect('hist.bed', 'id', capture => 'row'); -- ok
SELECT phi.set_capture('hist.visit', 'all'); -- fails
SELECT phi.set_capture('hist.visit', NULL); -- fails
SELECT phi.set_capture('hist.visit_1', 'row'); -- fails: name the table
SELECT phi.set_capture('hist.looked', 'row'); -- fails: none
SELECT phi.set_capture('hist.visit', 'row'); -- ok
SELECT phi.set_capture('hist.visit', 'row'); -- ok: as it is
SELECT action, relation, detail FROM phi_audit.event WHERE action = 'set_capture' AND relation LIKE 'hist.%' ORDER BY event_id; -- one
SELECT relation, capture FROM phi.protected_table WHERE relation::text LIKE 'hist.%' ORDER BY 1;
GRANT SELECT, INSERT, UPDATE, DELETE ON hist.patient, hist.visit, hist.visit_1, hist.bed TO hist_clinician, hist_biller;
GRANT SELECT ON hist.patient_redacted, hist.visit_redacted TO hist_clinician, hist_biller;

-- every way of writing, and the row's past
SET SESSION AUTHORIZATION hist_clinician;
INSERT INTO hist.patient VALUES (1, 'Ann Lee', '987-65-4321', '1980-05-06', 71.5, '{"a": [1]}', 'A', true, 'unclassified', NULL), (2, 'Bob', '111-22-3333', '1990-01-01', NULL, NULL, 'B', false, NULL, NULL);
UPDATE hist.patient SET ward = 'C' WHERE id = 1;
INSERT INTO hist.patient (id, name) VALUES (1, 'Ann Day') ON CONFLICT (id) DO UPDATE SET name = excluded.name;
MERGE INTO hist.patient p USING (VALUES (1, 'D')) v (id, ward) ON p.id = v.id WHEN MATCHED THEN UPDATE SET ward = v.ward;
RESET SESSION AUTHORIZATION;
COPY hist.patient (id, name, born) FROM stdin;
3	Cyd	2001-02-03
\.
SET SESSION AUTHORIZATION hist_clinician;
SELECT action, actor, purpose, columns, row_key, old_row, new_row FROM phi.history('hist.patient', 1); -- ok
SELECT action, new_row ->> 'name' AS name, new_row ->> 'born' AS born FROM phi.history('hist.patient', '3'); -- ok: by COPY
SELECT action FROM phi.history('hist.patient', 99); -- none
SELECT action FROM phi.history('hist.patient_redacted', 1); -- fails: not a table
SELECT action FROM phi.history('hist.patient', 1, 2); -- fails
SELECT action FROM phi.history('hist.patient', NULL::bigint); -- fails
SELECT action FROM phi.history('hist.patient', 'x'); -- fails
SELECT action FROM phi.history('hist.patient', VARIADIC ARRAY[1]); -- fails
SELECT action FROM phi.history(NULL, 1); -- fails

-- cascades, keys that change, partitions, and a key of several columns
INSERT INTO hist.visit VALUES (1, 1, '2026-01-02', 'first'), (2, 1, '2026-01-03', 'second');
UPDATE hist.patient SET id = id + 10; -- ok: and the visits with them
UPDATE hist.visit SET part = 2 WHERE patient = 11; -- ok: to another partition
SET datestyle = 'German';
UPDATE hist.visit SET note = 'later' WHERE patient = 11; -- ok
SET datestyle = 'SQL, DMY';
SELECT action, columns, row_key, old_row, new_row FROM phi.history('hist.visit', 11, 2, date '2026-01-02'); -- ok: back to the first
RESET datestyle;
SELECT action, row_key, old_row ->> 'id' AS before, new_row ->> 'id' AS after FROM phi.history('hist.patient', 11); -- ok
SELECT action, row_key, old_row ->> 'id' AS before, new_row ->> 'id' AS after FROM phi.history('hist.patient', 1); -- ok: where it went, too
INSERT INTO hist.bed VALUES (1, 'Una'), (2, 'Duo'), (3, 'Tri');
UPDATE hist.bed SET id = 3 - id WHERE id < 3; -- ok: two rows change places
UPDATE hist.bed SET id = id + 1; -- ok: all move on
SELECT action, row_key, new_row ->> 'name' AS name FROM phi.history('hist.bed', 2); -- ok: Duo's
SELECT action, row_key, new_row ->> 'name' AS name FROM phi.history('hist.bed', 3); -- ok: Una's
SELECT action, row_key, new_row ->> 'name' AS name FROM phi.history('hist.bed', 1); -- ok: who had it
DELETE FROM hist.patient WHERE id = 11; -- ok: and its visit
SELECT action, row_key, old_row ->> 'name' AS before, new_row FROM phi.history('hist.patient', 11) LIMIT 1; -- ok
SELECT action, old_row ->> 'note' AS note, new_row FROM phi.history('hist.visit', 11, 2, '2026-01-02') LIMIT 1; -- ok: by the cascade
RESET SESSION AUTHORIZATION;

-- the log shows nothing of it, to its auditor either
SET SESSION AUTHORIZATION hist_auditor;
SELECT count(*) > 10 AS images, bool_or(position(c::bytea IN images) > 0) AS shows FROM phi_audit.event, unnest('{Ann,987-65,unclassified,1980,first}'::text[]) c WHERE relation LIKE 'hist.%' AND images IS NOT NULL; -- no
SELECT action FROM phi.history('hist.patient', 12); -- fails
SELECT phi.image_keys(images) FROM phi_audit.event; -- fails
RESET SESSION AUTHORIZATION;

-- a thousand rows in one event, and more in several
SET SESSION AUTHORIZATION hist_clinician;
INSERT INTO hist.patient (id, name) SELECT i, 'N' || i FROM generate_series(1001, 3500) i; -- ok
SELECT new_row ->> 'name' AS name FROM phi.history('hist.patient', 3456); -- ok
UPDATE hist.patient SET id = id + 1 WHERE false; -- ok
RESET SESSION AUTHORIZATION;
SELECT row_count, length(images) > 100000 AS images FROM phi_audit.event WHERE relation = 'hist.patient' AND row_count > 100 ORDER BY event_id;

-- who sees what: forms, consent, labels, nobody
SET SESSION AUTHORIZATION hist_biller;
SELECT p.name, p.ssn, p.born, p.weight FROM hist.patient_redacted p WHERE id = 13; -- the view, and
SELECT new_row FROM phi.history('hist.patient', 13) LIMIT 1; -- ok: the same
SET SESSION AUTHORIZATION hist_stranger;
SELECT * FROM phi.history('hist.patient', 13); -- fails: no privilege
RESET SESSION AUTHORIZATION;
GRANT SELECT ON hist.patient TO hist_stranger;
SET SESSION AUTHORIZATION hist_stranger;
SELECT * FROM phi.history('hist.patient', 13); -- none: no identity
RESET SESSION AUTHORIZATION;
GRANT SELECT (id) ON hist.visit TO hist_stranger; -- fails
GRANT SELECT (patient) ON hist.visit TO hist_stranger; -- ok
SET SESSION AUTHORIZATION hist_stranger;
SELECT * FROM phi.history('hist.visit', 1, 1, '2026-01-02'); -- fails: a column is not the table
RESET SESSION AUTHORIZATION;
SELECT phi.deny_consent(13, actor => 'dr.hist') > 0 AS denied;
SET SESSION AUTHORIZATION hist_clinician;
SELECT action, row_key, new_row FROM phi.history('hist.patient', 13); -- none: denied now, and what the row was under another number
SELECT count(*) FROM phi.history('hist.patient', 12); -- ok: another's
RESET SESSION AUTHORIZATION;

-- identities of one session, one after the other
PREPARE past AS SELECT new_row ->> 'ssn' AS ssn FROM phi.history('hist.patient', 12) LIMIT 1;
SET SESSION AUTHORIZATION hist_clinician;
UPDATE hist.patient SET ssn = '555-66-7777' WHERE id = 12;
SELECT new_row ->> 'ssn' AS ssn FROM phi.history('hist.patient', 12) LIMIT 1;
SET SESSION AUTHORIZATION hist_biller;
SELECT new_row ->> 'ssn' AS ssn FROM phi.history('hist.patient', 12) LIMIT 1;
SET SESSION AUTHORIZATION hist_stranger;
SELECT new_row ->> 'ssn' AS ssn FROM phi.history('hist.patient', 12) LIMIT 1; -- none
RESET SESSION AUTHORIZATION;

-- a disclosure, and an event of its own
SELECT actor, relation, row_keys, row_count FROM phi_audit.event WHERE action = 'history' AND relation LIKE 'hist.%' ORDER BY event_id DESC LIMIT 3;
SELECT actor, relation, columns, detail FROM phi_audit.event WHERE action = 'disclose' AND relation = 'hist.patient' ORDER BY event_id DESC LIMIT 2;
BEGIN READ ONLY;
SET LOCAL SESSION AUTHORIZATION hist_biller;
SELECT count(*) FROM phi.history('hist.patient', 12); -- ok
ROLLBACK;
SELECT actor, action FROM phi_audit.event WHERE action = 'history' ORDER BY event_id DESC LIMIT 1; -- there

-- columns renamed, dropped and made again
SET SESSION AUTHORIZATION hist_owner;
ALTER TABLE hist.patient RENAME ssn TO was_ssn;
ALTER TABLE hist.patient RENAME ward TO ssn; -- ok: what is no health information gets the name of what is
ALTER TABLE hist.patient DROP COLUMN born;
ALTER TABLE hist.patient ADD COLUMN born text;
ALTER TABLE hist.patient RENAME secret TO ward;
RESET SESSION AUTHORIZATION;
SELECT phi.classify('hist.patient', 'born', 'none');
SET SESSION AUTHORIZATION hist_biller;
SELECT new_row FROM phi.history('hist.patient', 13) OFFSET 1 LIMIT 1; -- ok: kinds follow the columns
RESET SESSION AUTHORIZATION;
SELECT phi.declassify('hist.patient', 'flag');
SELECT phi.classify('hist.patient', 'ward', 'none');
SET SESSION AUTHORIZATION hist_clinician;
SELECT new_row FROM phi.history('hist.patient', 12) LIMIT 1; -- ok: flag is not classified any more; what ward was not, does not show for that
RESET SESSION AUTHORIZATION;

-- labels of then
SET row_security = off;
UPDATE hist.patient SET labels = '{R,SUD}' WHERE id = 12;
RESET row_security;
SET SESSION AUTHORIZATION hist_clinician;
SELECT columns && '{weight}' AS weighed, columns && '{labels}' AS labeled, old_row IS NULL AS before, new_row IS NULL AS after FROM phi.history('hist.patient', 12) LIMIT 3; -- ok: but not what was labeled
RESET SESSION AUTHORIZATION;

-- code of others: triggers, policies, defaults
SET SESSION AUTHORIZATION hist_owner;
CREATE TABLE hist.loot (what text);
GRANT ALL ON hist.loot TO PUBLIC;
CREATE FUNCTION hist.peek() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO hist.loot SELECT h.new_row::text FROM phi.history('hist.patient', 12) h; RETURN NEW; END $$;
CREATE TRIGGER peek BEFORE INSERT ON hist.loot FOR EACH ROW EXECUTE FUNCTION hist.peek();
SET SESSION AUTHORIZATION hist_clinician;
INSERT INTO hist.loot VALUES ('x'); -- fails
SET SESSION AUTHORIZATION hist_owner;
DROP TRIGGER peek ON hist.loot;
CREATE POLICY ward ON hist.patient AS RESTRICTIVE USING (ssn = 'D');
SET SESSION AUTHORIZATION hist_clinician;
SELECT * FROM phi.history('hist.patient', 12); -- fails: rows of the past cannot be asked
SET SESSION AUTHORIZATION hist_owner;
DROP POLICY ward ON hist.patient;
RESET SESSION AUTHORIZATION;

-- back to digests
SELECT phi.set_capture('hist.patient', 'digest'); -- ok
SET SESSION AUTHORIZATION hist_clinician;
UPDATE hist.patient SET weight = 2 WHERE id = 12;
RESET SESSION AUTHORIZATION;
SELECT images IS NULL AS no_images, length(row_digests) FROM phi_audit.event WHERE relation = 'hist.patient' AND action = 'update' ORDER BY event_id DESC LIMIT 1;
SET SESSION AUTHORIZATION hist_clinician;
SELECT columns FROM phi.history('hist.patient', 12) LIMIT 1; -- ok: what was recorded before
RESET SESSION AUTHORIZATION;

-- subjects that are shredded take their images along
CREATE TABLE hist.mortal (id int PRIMARY KEY, name text, ward text);
SELECT phi.classify('hist.mortal', 'name', 'name'), phi.classify('hist.mortal', 'ward', 'none');
SELECT phi.protect('hist.mortal', 'id', capture => 'row', shreddable => true);
GRANT SELECT, INSERT, UPDATE, DELETE ON hist.mortal TO hist_clinician;
SET SESSION AUTHORIZATION hist_clinician;
INSERT INTO hist.mortal VALUES (71, 'Dee', 'A'), (72, 'Eve', 'A');
SELECT new_row FROM phi.history('hist.mortal', 71); -- ok
RESET SESSION AUTHORIZATION;
SELECT phi.shred_subject(71, 'asked for it') AS keys;
SET SESSION AUTHORIZATION hist_clinician;
SELECT action, old_row, new_row FROM phi.history('hist.mortal', 71); -- ok: that, but not what
SELECT new_row FROM phi.history('hist.mortal', 72); -- ok
DELETE FROM hist.mortal WHERE id = 71; -- ok: no key is made for the past
SELECT action, old_row, new_row FROM phi.history('hist.mortal', 71);
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM phi.subject_key WHERE state <> 'destroyed' AND subject_token = (SELECT subjects[1] FROM phi_audit.event WHERE relation = 'hist.mortal' AND action = 'delete'); -- 0

-- keys that images are under cannot be destroyed
SELECT phi.rotate_key() > 0 AS rotated;
CALL phi.reseal('hist.patient');
CALL phi.reseal('hist.bed');
CALL phi.reseal('hist.visit');
SELECT object, sum("values") > 0 AS used FROM phi.key_usage() WHERE state = 'previous' AND (object LIKE 'hist.%' OR object LIKE 'phi_audit%') GROUP BY object; -- images alone
DO $$ BEGIN PERFORM phi.destroy_key(dek_id) FROM phi.key_usage() WHERE object = 'phi_audit.event.images' AND state = 'previous'; EXCEPTION WHEN object_in_use THEN RAISE EXCEPTION 'in use'; END $$; -- fails
SET SESSION AUTHORIZATION hist_clinician;
SELECT count(*) > 3 AS still FROM phi.history('hist.patient', 12); -- ok
RESET SESSION AUTHORIZATION;

-- images edited, moved and repeated by a superuser
SET SESSION AUTHORIZATION hist_clinician;
INSERT INTO hist.bed VALUES (6, 'Six');
INSERT INTO hist.bed VALUES (7, 'Sept');
SELECT new_row FROM phi.history('hist.bed', 6); -- ok
RESET SESSION AUTHORIZATION;
SELECT phi.audit_seal() >= 0 AS sealed;
SELECT ok, problem FROM phi.audit_verify();
BEGIN;
ALTER TABLE phi_audit.event DISABLE TRIGGER ALL;
UPDATE phi_audit.event SET images = set_byte(images, length(images) - 1, get_byte(images, length(images) - 1) # 1) WHERE relation = 'hist.mortal' AND action = 'insert';
SELECT ok, problem ~ 'was altered' AS altered FROM phi.audit_verify(); -- found
SET LOCAL SESSION AUTHORIZATION hist_clinician;
SELECT new_row FROM phi.history('hist.mortal', 72); -- fails
ROLLBACK;
BEGIN;
ALTER TABLE phi_audit.event DISABLE TRIGGER ALL;
UPDATE phi_audit.event e SET images = o.images FROM phi_audit.event o WHERE e.relation = 'hist.bed' AND e.action = 'insert' AND e.row_keys = '{6}' AND o.relation = e.relation AND o.row_keys = '{7}';
SET LOCAL SESSION AUTHORIZATION hist_clinician;
SELECT new_row FROM phi.history('hist.bed', 6); -- fails: of another event
ROLLBACK;
BEGIN;
ALTER TABLE phi_audit.event DISABLE TRIGGER ALL;
UPDATE phi_audit.event e SET images = o.images, salt = o.salt FROM phi_audit.event o WHERE e.relation = 'hist.bed' AND e.action = 'insert' AND e.row_keys = '{6}' AND o.relation = e.relation AND o.row_keys = '{7}';
SELECT ok, problem ~ 'was altered' AS altered FROM phi.audit_verify(); -- found
SET LOCAL SESSION AUTHORIZATION hist_clinician;
SELECT new_row FROM phi.history('hist.bed', 6); -- fails: of another transaction
ROLLBACK;
BEGIN;
ALTER TABLE phi_audit.event DISABLE TRIGGER ALL;
INSERT INTO phi_audit.event SELECT r.* FROM phi_audit.event e, jsonb_populate_record(e, '{"event_id": 999999999}') r WHERE e.relation = 'hist.bed' AND e.row_keys = '{6}';
SET LOCAL SESSION AUTHORIZATION hist_clinician;
SELECT new_row FROM phi.history('hist.bed', 6); -- fails: twice
ROLLBACK;
BEGIN;
ALTER TABLE phi_audit.event DISABLE TRIGGER ALL;
UPDATE phi_audit.event SET row_keys = ARRAY['72', '71'] WHERE relation = 'hist.mortal' AND action = 'insert';
SELECT ok, problem ~ 'was altered' AS altered FROM phi.audit_verify(); -- found
ROLLBACK;
BEGIN;
ALTER TABLE phi_audit.event DISABLE TRIGGER ALL;
UPDATE phi_audit.event SET images = substr(images, 1, 40) WHERE relation = 'hist.bed' AND row_keys = '{6}';
SET LOCAL SESSION AUTHORIZATION hist_clinician;
SELECT new_row FROM phi.history('hist.bed', 6); -- fails: cut off
ROLLBACK;
SELECT ok, problem FROM phi.audit_verify();

-- a key can be destroyed once its images are erased; what else their events say is vouched for as before
SELECT phi.rotate_key('hist.bed') AS old \gset
SET SESSION AUTHORIZATION hist_clinician;
INSERT INTO hist.bed VALUES (8, 'Eight');
RESET SESSION AUTHORIZATION;
SELECT phi.rotate_key('hist.bed') AS new \gset
SET SESSION AUTHORIZATION hist_clinician;
UPDATE hist.bed SET name = 'Acht' WHERE id = 8;
RESET SESSION AUTHORIZATION;
CALL phi.reseal('hist.bed');
SELECT phi.audit_seal() >= 0 AS sealed;
SELECT object, "values" FROM phi.key_usage() WHERE dek_id = :old; -- the insert's, and the update's: its image before has an old value in it
DO $$ BEGIN PERFORM phi.audit_erase_images((SELECT max(dek_id) FROM phi.data_key), 'x'); EXCEPTION WHEN object_in_use THEN RAISE WARNING 'refused: %', regexp_replace(SQLERRM, '\d+', 'N'); END $$; -- fails: the current key
SELECT phi.audit_erase_images(:old, ''); -- fails: no reason
SELECT phi.legal_hold('case 9') AS hold \gset
SELECT set_config('test.key', :'old', false) IS NULL AS unset;
DO $$ BEGIN PERFORM phi.audit_erase_images(current_setting('test.key')::int, 'rotation'); EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE WARNING 'refused: %', regexp_replace(SQLERRM, '\d+', 'N', 'g'); END $$; -- fails: under hold
SELECT phi.release_hold(:hold, 'closed');
SELECT phi.audit_erase_images(:old, 'rotation'); -- ok: 2
SELECT phi.audit_erase_images(:old, 'rotation'); -- ok: none is left
SELECT sum("values") FROM phi.key_usage() WHERE dek_id = :old; -- 0
SELECT phi.destroy_key(:old); -- ok
SELECT action, length(images) FROM phi_audit.event WHERE relation = 'hist.bed' AND row_keys = '{8}' ORDER BY event_id;
SELECT count(*) FROM phi.history('hist.bed', 8); -- 0
SET SESSION AUTHORIZATION hist_clinician;
UPDATE hist.bed SET name = 'Otto' WHERE id = 8;
SELECT action, old_row ->> 'name' AS was, new_row ->> 'name' AS is FROM phi.history('hist.bed', 8); -- ok: from here on
RESET SESSION AUTHORIZATION;
SELECT ok, problem FROM phi.audit_verify();
SELECT phi.audit_seal() >= 0 AS sealed;
SELECT ok, problem FROM phi.audit_verify();
SELECT ok FROM phi.audit_verify_sql();
BEGIN;
ALTER TABLE phi_audit.event DISABLE TRIGGER ALL;
UPDATE phi_audit.event SET images = '\x00'::bytea || sha256(images) WHERE event_id = (SELECT max(event_id) FROM phi_audit.event WHERE images IS NOT NULL);
SELECT ok, problem ~ 'was altered' AS altered, (SELECT s.ok FROM phi.audit_verify_sql() s) FROM phi.audit_verify(); -- found: without a record of it
ROLLBACK;
BEGIN;
ALTER TABLE phi_audit.event DISABLE TRIGGER ALL;
UPDATE phi_audit.event SET actor = 'x' WHERE relation = 'hist.bed' AND row_keys = '{8}' AND action = 'insert';
SELECT ok, problem ~ 'was altered' AS altered, (SELECT s.ok FROM phi.audit_verify_sql() s) FROM phi.audit_verify(); -- found
ROLLBACK;

SELECT phi.unprotect('hist.patient');
SET SESSION AUTHORIZATION hist_clinician;
SELECT * FROM phi.history('hist.patient', 12); -- fails: not protected
RESET SESSION AUTHORIZATION;
SELECT phi.unprotect('hist.visit'), phi.unprotect('hist.mortal'), phi.unprotect('hist.bed');
DROP SCHEMA hist CASCADE;
SELECT phi.unenroll(r::regrole) FROM unnest('{hist_clinician,hist_biller,hist_owner}'::text[]) r;
SELECT phi.revoke_duty(r::regrole, 'application') FROM unnest('{hist_clinician,hist_biller,hist_stranger,hist_owner}'::text[]) r;
SELECT phi.revoke_duty('hist_auditor', 'auditor');
DROP ROLE hist_owner, hist_clinician, hist_biller, hist_stranger, hist_auditor;
