-- Audit: a committed change is a committed event, and nobody edits the log
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE phi_audit_owner;
CREATE ROLE phi_audit_reader;
SELECT phi.install_default_rules() >= 0 AS rules;
SELECT phi.enroll(session_user::regrole, 'dr.audit', '{clinician,teacher}', '{TREAT}', 'Ward 7');
SELECT phi.set_purpose('TREAT');
CREATE SCHEMA audited AUTHORIZATION phi_audit_owner;
SET search_path = audited, public;
CREATE TABLE person (id bigint PRIMARY KEY, name text, town text, seen timestamptz DEFAULT '2026-01-01');
CREATE TABLE visit (person bigint REFERENCES person ON DELETE CASCADE, number integer, note text,
	PRIMARY KEY (person, number)) PARTITION BY LIST (number);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES IN (1);
CREATE TABLE visit_2 PARTITION OF visit FOR VALUES IN (2);
ALTER TABLE person OWNER TO phi_audit_owner;
ALTER TABLE visit OWNER TO phi_audit_owner;
ALTER TABLE visit_1 OWNER TO phi_audit_owner;
ALTER TABLE visit_2 OWNER TO phi_audit_owner;
SELECT phi.grant_duty('phi_audit_owner', 'application');
SELECT phi.classify('person', 'name', 'name');
SELECT phi.classify('visit', 'note', 'free_text');
SELECT phi.protect('person', subject => 'id');
SELECT phi.protect('visit', subject => 'person');

-- What the log has gained since the last look, oldest first.
CREATE TABLE looked AS SELECT coalesce(max(event_id), 0) AS up_to FROM phi_audit.event;
CREATE FUNCTION gained() RETURNS TABLE (action text, relation text, columns text[], row_count integer, row_keys text[], detail text)
LANGUAGE sql AS $$
	WITH seen AS (SELECT up_to FROM looked),
		moved AS (UPDATE looked SET up_to = (SELECT max(e.event_id) FROM phi_audit.event e))
	SELECT e.action, e.relation, e.columns, e.row_count, e.row_keys, e.detail FROM phi_audit.event e, seen
	WHERE e.event_id > seen.up_to AND e.action <> 'read_log' ORDER BY e.event_id
$$;

-- statements
INSERT INTO person VALUES (1, 'Ada', 'Aachen'), (2, 'Bo', 'Basel'), (3, 'Cy', 'Celle'); -- ok
UPDATE person SET town = 'Zug' WHERE id < 3; -- ok
UPDATE person SET town = 'Zug', seen = CASE id WHEN 3 THEN '2026-02-02' ELSE seen END; -- ok: by set of columns
UPDATE person SET town = town WHERE id = 1; -- ok: touched, nothing changed
UPDATE person SET town = 'Ulm' WHERE id = 99; -- ok: no row, no event
DELETE FROM person WHERE id = 3; -- ok
SELECT * FROM gained();

-- what else changes rows
INSERT INTO person VALUES (1, 'Ada', 'Bern'), (4, 'Di', 'Ulm') ON CONFLICT (id) DO UPDATE SET town = excluded.town; -- ok
MERGE INTO person p USING (VALUES (2, 'Bonn'), (5, 'Ems')) v (id, town) ON p.id = v.id
	WHEN MATCHED THEN UPDATE SET town = v.town WHEN NOT MATCHED THEN INSERT (id, town) VALUES (v.id, v.town); -- ok
INSERT INTO visit VALUES (1, 1, 'a'), (1, 2, 'b'), (2, 1, 'c'); -- ok
INSERT INTO visit_2 VALUES (2, 2, 'd'); -- ok: the partition by its name
UPDATE visit SET number = 2 WHERE person = 4; -- ok: no row
DELETE FROM visit WHERE person = 2 AND number = 2; -- ok
UPDATE visit SET number = 2 WHERE person = 2; -- ok: to another partition
DELETE FROM person WHERE id = 2; -- ok: and its visits
SET session_replication_role = replica;
UPDATE person SET town = 'Rom' WHERE id = 4; -- ok: audited all the same
RESET session_replication_role;
SELECT * FROM gained();
COPY person (id, town) FROM stdin;
6	Fez
7	Goa
\.
SELECT * FROM gained();

-- one event for a thousand rows, each with its subject and digest
INSERT INTO person (id) SELECT n FROM generate_series(1001, 3500) n; -- ok
SELECT row_count, cardinality(subjects) AS subjects, cardinality(row_keys) AS keys, length(row_digests) / 32 AS digests,
	cardinality(ARRAY(SELECT DISTINCT unnest(subjects))) AS patients
	FROM phi_audit.event WHERE relation = 'audited.person' AND row_count > 100 ORDER BY event_id;
SELECT count(*) FROM gained();

-- a change that is undone leaves no event
BEGIN;
DELETE FROM person;
SAVEPOINT s;
ROLLBACK TO s;
ROLLBACK;
BEGIN;
SAVEPOINT s;
UPDATE person SET town = 'Goa' WHERE id = 1;
ROLLBACK TO s;
UPDATE person SET town = 'Ulm' WHERE id = 1;
COMMIT;
SELECT * FROM gained();

-- who, why, in which roles; never a value
SET ROLE phi_audit_owner;
UPDATE person SET town = 'Ems' WHERE id = 4; -- ok
RESET ROLE;
SELECT action, actor, organization, workforce_roles, purpose, outcome, db_role = session_user AS login, current_role_name,
	token_id IS NOT NULL AS token, length(salt) AS salt, txid IS NOT NULL AS txid, application_name IS NOT NULL AS application
	FROM phi_audit.event WHERE action <> 'read_log' ORDER BY event_id DESC LIMIT 2;
SELECT count(*) FROM phi_audit.event e WHERE relation LIKE 'audited.%' AND e::text ~ 'Aachen|Ada|Ems'; -- 0

-- a disclosure is an event, whatever becomes of its transaction
SELECT count(*) >= 0 AS looked FROM gained();
BEGIN READ ONLY;
SELECT id, name FROM person_redacted WHERE id = 1;
ROLLBACK;
SELECT name, 1 / (id - id) FROM person_redacted WHERE id = 4; -- fails
SELECT count(note) FROM visit_redacted; -- ok
SELECT id, town FROM person_redacted WHERE id = 4; -- ok: not revealed
DO $$ DECLARE n text; BEGIN SELECT name INTO n FROM person_redacted WHERE id = 1; END $$; -- ok
SELECT action, relation, columns, row_count, row_keys, detail FROM gained();
SELECT DISTINCT actor, purpose, outcome, db_role = session_user AS login FROM phi_audit.event WHERE action = 'disclose' AND relation LIKE 'audited.%';

-- so is a denied statement, and a look at the log
SET ROLE phi_audit_owner;
SELECT * FROM phi_audit.event; -- fails
RESET ROLE;
SELECT action, outcome, relation, detail, current_role_name FROM phi_audit.event WHERE outcome = 'denied' ORDER BY event_id DESC LIMIT 1;
SELECT action, outcome, relation, detail FROM phi_audit.event WHERE action = 'read_log' ORDER BY event_id DESC LIMIT 1;

-- nobody writes the log
INSERT INTO phi_audit.event SELECT * FROM phi_audit.event LIMIT 1; -- fails
INSERT INTO phi_audit.leaf SELECT 0, 0, now(), ''; -- fails
UPDATE phi_audit.event SET actor = 'x'; -- fails
DELETE FROM phi_audit.event; -- fails
TRUNCATE phi_audit.event; -- fails
TRUNCATE phi_audit.leaf, phi_audit.checkpoint; -- fails
SET session_replication_role = replica;
DELETE FROM phi_audit.event; -- fails
RESET session_replication_role;
SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger
	WHERE tgrelid IN ('phi_audit.event'::regclass, 'phi_audit.leaf'::regclass, 'phi_audit.checkpoint'::regclass)
	ORDER BY tgrelid::regclass::text, tgname;
SELECT count(*) FROM pg_inherits i WHERE inhparent = 'phi_audit.event'::regclass
	AND 2 <> (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = i.inhrelid AND tgenabled = 'A'
		AND tgname IN ('~phi_log_guard', '~phi_no_truncate')); -- 0
SELECT count(*) >= 4 AS months_ahead FROM pg_inherits WHERE inhparent = 'phi_audit.event'::regclass;
SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND objid IN (SELECT oid FROM pg_class WHERE relnamespace = 'phi_audit'::regnamespace); -- 0: no members

-- the owner of a protected table cannot take its audit away
SET ROLE phi_audit_owner;
TRUNCATE person CASCADE; -- fails
ALTER TABLE person DISABLE TRIGGER "~phi_audit_update"; -- fails
ALTER TABLE person DISABLE TRIGGER USER; -- fails
ALTER TABLE person ENABLE REPLICA TRIGGER "~phi_audit_update"; -- fails
ALTER TRIGGER "~phi_audit_update" ON person RENAME TO idle; -- fails
ALTER TRIGGER "~phi_audit_update" ON person DEPENDS ON EXTENSION pgcrypto; -- fails
DROP TRIGGER "~phi_audit_update" ON person; -- fails
DROP EXTENSION phi_guard CASCADE; -- fails
SELECT count(*) FROM phi_audit.event; -- fails
SELECT phi.audit_record('forged', 'person', 'x'); -- fails
SELECT phi.audit_seal(); -- fails
SELECT * FROM phi.audit_verify(); -- fails
RESET ROLE;

-- a superuser may, and leaves an event
SELECT count(*) FROM gained(); -- what was denied
BEGIN;
ALTER TABLE phi_audit.leaf DISABLE TRIGGER "~phi_log_guard"; -- ok
ALTER TABLE phi_audit.leaf ENABLE ALWAYS TRIGGER "~phi_log_guard"; -- ok
ALTER TABLE person DISABLE TRIGGER USER; -- ok
CREATE RULE r AS ON INSERT TO phi_audit.checkpoint DO INSTEAD NOTHING; -- ok
DROP TRIGGER "~phi_no_truncate" ON phi_audit.event; -- ok
DROP TABLE phi_audit.leaf; -- ok
SELECT action, relation, detail FROM gained();
ROLLBACK;

-- sealing and verifying
SELECT phi.audit_seal() >= 0 AS sealed; -- the worker may have been first
SELECT phi.audit_seal();
SELECT ok, events = (SELECT count(*) FROM phi_audit.event) AS all_events, checkpoints > 0 AS checkpoints, unsealed, first_bad_event, problem
	FROM phi.audit_verify();
DELETE FROM person WHERE id = 6; -- ok
SELECT ok, unsealed < 10 AS unsealed, problem FROM phi.audit_verify();
SELECT phi.audit_seal() < 10 AS sealed;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT phi.audit_seal(); -- fails
ROLLBACK;
BEGIN READ ONLY;
SELECT phi.audit_seal(); -- fails
ROLLBACK;
BEGIN READ ONLY;
SELECT ok FROM phi.audit_verify(); -- ok
ROLLBACK;
BEGIN;
ALTER TABLE phi_audit.event DISABLE TRIGGER USER;
UPDATE phi_audit.event SET actor = 'nobody' WHERE event_id = (SELECT event_id FROM phi_audit.leaf WHERE leaf_index = 3);
SELECT ok, first_bad_event = (SELECT event_id FROM phi_audit.leaf WHERE leaf_index = 3) AS named,
	regexp_replace(problem, '\d+', 'N', 'g') FROM phi.audit_verify();
ROLLBACK;
SELECT ok FROM phi.audit_verify();

-- an auditor reads and verifies, and that is all
SELECT phi.grant_duty('phi_audit_reader', 'auditor');
SET ROLE phi_audit_reader;
SELECT count(*) > 10 AS reads FROM phi_audit.event; -- ok
SELECT ok FROM phi.audit_verify(); -- ok
INSERT INTO phi_audit.event SELECT * FROM phi_audit.event LIMIT 1; -- fails
DELETE FROM phi_audit.event; -- fails
SELECT phi.audit_install(); -- fails
RESET ROLE;
SELECT phi.revoke_duty('phi_audit_reader', 'auditor');
SELECT phi.revoke_duty('phi_audit_owner', 'application');

SELECT phi.unprotect('visit');
SELECT phi.unprotect('person');
SELECT DISTINCT action, relation, detail FROM gained() WHERE relation ~ '(person|visit)$' ORDER BY 1, 2;
SELECT count(*) FROM pg_trigger WHERE tgname LIKE '~phi_audit%'
	AND tgrelid IN ('person'::regclass, 'visit'::regclass, 'visit_1'::regclass); -- 0
SELECT phi.unenroll(session_user::regrole);
SET client_min_messages = error;
DROP SCHEMA audited CASCADE;
DROP ROLE phi_audit_owner;
DROP ROLE phi_audit_reader;
