-- Rotation: new keys, old values under new keys, the end of an old key (under load and crashes: test/tap/051_rotation.pl)
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE rot_owner LOGIN;
CREATE ROLE rot_clinician LOGIN;
CREATE ROLE rot_custodian LOGIN;
CREATE SCHEMA rot AUTHORIZATION rot_owner;
GRANT USAGE ON SCHEMA rot TO rot_clinician, rot_custodian;
SELECT phi.install_default_rules() >= 0 AS rules;
SELECT phi.enroll('rot_clinician', 'dr', '{clinician}', '{TREAT}');
SELECT phi.grant_duty('rot_clinician', 'application');
SELECT phi.grant_duty('rot_custodian', 'key_custodian');

-- a table with everything that an UPDATE would set in motion, and one with partitions
SET SESSION AUTHORIZATION rot_owner;
CREATE TABLE rot.fired (what text, who name);
GRANT INSERT ON rot.fired TO PUBLIC;
CREATE FUNCTION rot.fire() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN INSERT INTO rot.fired VALUES (tg_op, current_user); RETURN new; END $$;
CREATE FUNCTION rot.place(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
	IF current_user NOT IN ('rot_owner', 'rot_clinician') THEN RAISE EXCEPTION 'the index runs as %', current_user; END IF; RETURN $1; END $$;
CREATE TABLE rot.patient (id bigint PRIMARY KEY, name text DEFAULT 'unknown', gone text, born date, zip text, note text,
	size int GENERATED ALWAYS AS (length(zip)) STORED CHECK (size < 10), toasted text, mrn text);
ALTER TABLE rot.patient DROP COLUMN gone;
CREATE INDEX ON rot.patient (rot.place(zip));
CREATE TABLE rot.event (id int PRIMARY KEY, patient bigint REFERENCES rot.patient, what text) PARTITION BY RANGE (id);
CREATE TABLE rot.event_1 PARTITION OF rot.event FOR VALUES FROM (0) TO (50);
CREATE TABLE rot.event_2 PARTITION OF rot.event DEFAULT;
INSERT INTO rot.patient (id, name, born, zip, note, toasted, mrn) SELECT i, 'Ann ' || i, date '1970-01-01' + i, '0213' || i % 10,
	CASE WHEN i % 3 = 0 THEN NULL ELSE repeat('note ', i * 20) END, (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 100) j), 'M-' || i
	FROM generate_series(1, 100) i;
INSERT INTO rot.event SELECT i, i, 'cast ' || i FROM generate_series(1, 100) i;
CREATE TRIGGER mine BEFORE UPDATE ON rot.patient FOR EACH ROW EXECUTE FUNCTION rot.fire();
CREATE TRIGGER mine_always AFTER UPDATE ON rot.patient FOR EACH ROW EXECUTE FUNCTION rot.fire();
ALTER TABLE rot.patient ENABLE ALWAYS TRIGGER mine_always;
RESET SESSION AUTHORIZATION;
SELECT phi.classify('rot.patient', c, k) FROM (VALUES ('name', 'name'), ('born', 'birth_date'), ('note', 'free_text')) v (c, k);
SELECT phi.classify('rot.patient', 'mrn', 'mrn', searchable => true);
SELECT phi.classify('rot.event', 'what', 'diagnosis');
SELECT phi.protect('rot.patient', 'id'), phi.protect('rot.event', 'patient');
CREATE UNIQUE INDEX patient_mrn ON rot.patient (mrn);
GRANT SELECT, INSERT, UPDATE ON rot.patient, rot.patient_redacted, rot.event, rot.event_redacted TO rot_clinician;
CREATE FUNCTION usages(pattern text DEFAULT 'rot.%') RETURNS TABLE (object text, age bigint, state text, n bigint) LANGUAGE sql AS $$
	SELECT u.object, (SELECT count(*) FROM phi.data_key k WHERE k.scope = 'data' AND k.dek_id > u.dek_id), u.state, u."values"
	FROM phi.key_usage() u WHERE u.object LIKE pattern ORDER BY u.dek_id, u.object COLLATE "C" $$;
CREATE FUNCTION plain() RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(p::text, '|' ORDER BY id)) FROM rot.patient_redacted p $$;
SET row_security = off;
CREATE TABLE base AS SELECT zip, size, toasted, id, substr(phi.encrypted_text_send(mrn), 32, 12) AS tag FROM rot.patient;
SELECT max(event_id) AS before FROM phi_audit.event \gset
RESET row_security;
SET SESSION AUTHORIZATION rot_clinician;
SELECT name, born, left(note, 9) FROM rot.patient_redacted WHERE id IN (1, 3) ORDER BY id;
SELECT plain() AS digest \gset
RESET SESSION AUTHORIZATION;

-- without rights nothing of it
SET SESSION AUTHORIZATION rot_owner;
SELECT phi.rotate_kek(); -- fails
SELECT phi.rotate_key(); -- fails
SELECT phi.rotate_key('rot.patient'); -- fails
CALL phi.reseal('rot.patient'); -- fails
SELECT phi.reseal_begin('rot.patient', 1); -- fails
SELECT phi.reseal_step('rot.patient', 1); -- fails
SELECT phi.reseal_batch('rot.patient', 0, 1); -- fails
SELECT phi.key_usage(); -- fails
SELECT phi.destroy_key(1); -- fails
SELECT * FROM phi.progress; -- fails
SELECT phi.make_data_key(NULL); -- fails
SELECT phi.rewrap_keys(); -- fails
RESET SESSION AUTHORIZATION;

-- the custodian: no value is readable on the way
SET SESSION AUTHORIZATION rot_custodian;
SELECT * FROM rot.patient; -- fails
SELECT phi.reveal(phi.seal('x'::text)); -- fails
SELECT phi.make_data_key(NULL); -- fails
SELECT phi.reseal_batch('rot.patient', 0, 1); -- fails: only through its steps
SELECT phi.count_keys('rot.patient'); -- fails
SELECT phi.rotate_key('rot.event_1'); -- fails: a partition
SELECT phi.rotate_key('rot.fired'); -- fails: not protected
CALL phi.reseal('rot.fired'); -- fails
CALL phi.reseal(NULL); -- fails
CALL phi.reseal('rot.patient', 0); -- fails
BEGIN;
CALL phi.reseal('rot.patient'); -- fails: it commits
ROLLBACK;

-- a new key for all: what is there stays as it is, what is written has the new one
SELECT phi.rotate_key() > 0 AS rotated;
SELECT scope, state, opens FROM phi.key_status() WHERE scope = 'data' ORDER BY dek_id DESC LIMIT 2;
SET SESSION AUTHORIZATION rot_clinician;
UPDATE rot.patient SET name = 'Bea' WHERE id = 1;
UPDATE rot.patient SET zip = zip WHERE id = 2;
RESET SESSION AUTHORIZATION;
SELECT * FROM usages();

-- sealed anew: nothing fires, nothing else changes, values read the same
TRUNCATE rot.fired;
SET SESSION AUTHORIZATION rot_clinician;
UPDATE rot.patient SET name = 'Ann 1' WHERE id = 1;
RESET SESSION AUTHORIZATION;
TRUNCATE rot.fired;
SET SESSION AUTHORIZATION rot_custodian;
CALL phi.reseal('rot.patient', 30); -- ok
SELECT relation, operation, phase, done = total AS all, unit, changed, started_at <= finished_at AS timed FROM phi.progress;
CALL phi.reseal('rot.event', 1000000); -- ok: both partitions
SELECT relation, phase, changed FROM phi.progress ORDER BY 1;
CALL phi.reseal('rot.patient'); -- ok: nothing to do
SELECT relation, phase, changed FROM phi.progress ORDER BY 1;
RESET SESSION AUTHORIZATION;
SELECT * FROM usages();
SELECT * FROM rot.fired; -- none
SET row_security = off;
SELECT count(*) FROM (SELECT zip, size, toasted, id, substr(phi.encrypted_text_send(mrn), 32, 12) FROM rot.patient INTERSECT SELECT * FROM base) d; -- 100
RESET row_security;
SELECT action, relation, detail ~ '^(begun|finished: 99 rows|finished: 100 rows|finished: 0 rows|rows under)' AS said, count(*), sum(row_count)
	FROM phi_audit.event WHERE event_id > :before AND action IN ('reseal', 'update') AND relation ~ '^rot' AND db_role = 'rot_custodian'
	GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SET SESSION AUTHORIZATION rot_clinician;
SELECT name, born, left(note, 9) FROM rot.patient_redacted WHERE id IN (1, 3) ORDER BY id;
SELECT plain() = :'digest' AS same; -- t
SET enable_seqscan = off;
SELECT id, mrn FROM rot.patient_redacted WHERE mrn = 'M-17'; -- 17: the search tag is the same, and the index has it
INSERT INTO rot.patient (id, mrn) VALUES (300, 'M-17'); -- fails: unique
RESET enable_seqscan;
SELECT count(*) = 100 AS all FROM rot.event_redacted WHERE what LIKE 'cast %';
RESET SESSION AUTHORIZATION;

-- a key of one table's own; partitions have it too
SET SESSION AUTHORIZATION rot_custodian;
SELECT phi.rotate_key('rot.event') > 0 AS rotated;
SELECT phi.rotate_key('rot.event') > 0 AS rotated;
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION rot_clinician;
INSERT INTO rot.event VALUES (0, 1, 'direct'), (200, 2, 'default');
INSERT INTO rot.patient (id, name) VALUES (200, 'Zed');
RESET SESSION AUTHORIZATION;
SELECT object, age, state, n FROM usages() WHERE object LIKE '%event%' OR object LIKE '%name';
SET SESSION AUTHORIZATION rot_custodian;
SELECT phi.rotate_key() > 0 AS rotated; -- not of rot.event
CALL phi.reseal('rot.event', 7);
RESET SESSION AUTHORIZATION;
SELECT object, age, state, n FROM usages() WHERE object LIKE '%event%';
SELECT count(*) FILTER (WHERE relation IS NULL) AS of_all, count(*) FILTER (WHERE relation = 'rot.event'::regclass) AS own
	FROM phi.data_key WHERE state = 'current' AND scope = 'data';

-- what keeps an old key alive
SELECT max(dek_id) AS now FROM phi.data_key WHERE state = 'current' AND relation IS NULL \gset
SELECT max(dek_id) AS old FROM phi.data_key WHERE state = 'previous' AND relation IS NULL \gset
SELECT dek_id AS root FROM phi.data_key WHERE scope = 'root' \gset
SET row_security = off;
CREATE TABLE rot.copy AS SELECT id, name FROM rot.patient WHERE id = 5;
RESET row_security;
CREATE TABLE rot.defaults (v phi.encrypted_text DEFAULT 'canary');
CREATE VIEW rot.constant AS SELECT 'canary'::phi.encrypted_text AS v;
SET SESSION AUTHORIZATION rot_custodian;
SELECT phi.rotate_key() > 0 AS rotated;
SELECT phi.destroy_key(:root); -- fails
\set VERBOSITY sqlstate
SELECT regexp_replace(u.object, '\d+', 'N') AS object, u."values" FROM phi.key_usage() u WHERE u.dek_id = :now ORDER BY u.object COLLATE "C";
SELECT phi.destroy_key(:old); -- fails: values
SELECT phi.destroy_key(:now); -- fails: values, the default and the view
SELECT phi.destroy_key(2147483647); -- fails: none
CALL phi.reseal('rot.patient');
SELECT phi.destroy_key(:old); -- fails: the copy
RESET SESSION AUTHORIZATION;
DROP TABLE rot.copy;
SET SESSION AUTHORIZATION rot_custodian;
SELECT phi.destroy_key(:now); -- fails: the default and the view
RESET SESSION AUTHORIZATION;
DROP TABLE rot.defaults;
DROP VIEW rot.constant;
SET SESSION AUTHORIZATION rot_custodian;
SELECT sum(u."values") FROM phi.key_usage() u WHERE u.dek_id IN (:old, :now); -- 0
SELECT phi.destroy_key(:old); -- ok
SELECT phi.destroy_key(:now); -- ok
SELECT phi.destroy_key(:old); -- fails: done
\set VERBOSITY terse
SELECT state, opens FROM phi.key_status() s WHERE s.dek_id IN (:old, :now);
RESET SESSION AUTHORIZATION;
SELECT wrapped IS NULL AS wiped FROM phi.data_key WHERE dek_id = :old;
SET SESSION AUTHORIZATION rot_clinician;
SELECT md5(string_agg(p::text, '|' ORDER BY id)) = :'digest' AS same FROM rot.patient_redacted p WHERE id <> 200; -- t
RESET SESSION AUTHORIZATION;

-- the key-encryption key: all are wrapped anew, none by the second call
SET SESSION AUTHORIZATION rot_custodian;
SELECT phi.rotate_kek() >= 0 AS wrapped; -- ok
SELECT phi.rotate_kek(); -- 0
SELECT bool_and(opens OR state = 'destroyed'), count(DISTINCT kek_version) FILTER (WHERE state <> 'destroyed') FROM phi.key_status();
RESET SESSION AUTHORIZATION;
BEGIN;
UPDATE phi.data_key SET kek_version = 99 WHERE scope = 'root'; -- a version that nobody has
SAVEPOINT s;
SELECT phi.rotate_kek(); -- fails
ROLLBACK TO s;
SELECT count(*) FROM phi.data_key WHERE kek_version = 99; -- 1: nothing was changed
ROLLBACK;
BEGIN;
UPDATE phi.data_key SET kek_version = 1, wrapped = set_byte(wrapped, 40, get_byte(wrapped, 40) # 1) WHERE scope = 'root';
SELECT phi.rotate_kek(); -- fails: the key does not open
ROLLBACK;

-- a value that does not open stays, and is said; the rest is resealed
SELECT phi.rotate_key('rot.patient') > 0 AS rotated;
DROP INDEX rot.patient_place_idx;
ALTER TABLE rot.patient DISABLE TRIGGER "~phi_seal";
SET row_security = off;
UPDATE rot.patient SET name = (left(name::text, -2) || CASE right(name::text, 2) WHEN 'QQ' THEN 'gg' ELSE 'QQ' END)::phi.encrypted_text WHERE id = 7;
ALTER TABLE rot.patient ENABLE TRIGGER "~phi_seal";
RESET row_security;
SET SESSION AUTHORIZATION rot_custodian;
CALL phi.reseal('rot.patient', 1000); -- ok, with a warning
RESET SESSION AUTHORIZATION;
SELECT object, state, n FROM usages() WHERE object LIKE '%patient%';

SET client_min_messages = error;
DROP SCHEMA rot CASCADE;
DROP TABLE base;
DROP FUNCTION usages, plain;
SELECT phi.revoke_duty('rot_custodian', 'key_custodian'), phi.revoke_duty('rot_clinician', 'application'), phi.unenroll('rot_clinician');
DROP ROLE rot_owner, rot_clinician, rot_custodian;
