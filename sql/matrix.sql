-- The access matrix: role, purpose, consent, form, and every way to reach a row
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE mx_owner LOGIN;
CREATE ROLE mx_clinician LOGIN;
CREATE ROLE mx_billing LOGIN;
CREATE ROLE mx_research LOGIN;
CREATE ROLE mx_nobody LOGIN;
CREATE ROLE mx_bypass LOGIN BYPASSRLS;
SELECT phi.install_default_rules() > 0 AS rules;
SELECT phi.enroll('mx_clinician', 'dr', '{clinician}', '{TREAT}');
SELECT phi.enroll('mx_billing', 'bill', '{billing}', '{HPAYMT}');
SELECT phi.enroll('mx_research', 'rita', '{researcher}', '{HRESCH}');
SELECT count(phi.grant_duty(r::regrole, 'application')) FROM unnest('{mx_owner,mx_clinician,mx_billing,mx_research,mx_nobody,mx_bypass}'::text[]) r;
GRANT CREATE ON SCHEMA public TO mx_owner;

SET SESSION AUTHORIZATION mx_owner;
CREATE TABLE mx_patient (id int PRIMARY KEY, name text, ssn text, born date, zip text, note text, dx text, internal text);
INSERT INTO mx_patient VALUES
	(1, 'Ada Byron', '111-22-3333', '1985-12-10', '02139', 'seen today', 'J45', 'x'),
	(2, 'Bea Old', '222-33-4444', '1920-06-01', '03601', 'seen today', 'I10', 'x'),
	(3, 'Cy Deny', '333-44-5555', '1990-07-15', '10001', 'seen today', 'E11', 'x'),
	(4, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE mx_visit (id int, patient int, day date, what text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE mx_visit_a PARTITION OF mx_visit FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE mx_visit_b PARTITION OF mx_visit DEFAULT;
INSERT INTO mx_visit VALUES (1, 1, '2024-02-03', 'cast'), (2, 3, '2024-03-04', 'splint'), (3, 3, '2025-03-04', 'again');
RESET SESSION AUTHORIZATION;
CREATE TABLE mx_super (id int PRIMARY KEY, name text);
INSERT INTO mx_super VALUES (1, 'Ada Byron'), (3, 'Cy Deny');

SELECT phi.classify('mx_patient', c, k) FROM (VALUES ('name', 'name'), ('ssn', 'ssn'), ('born', 'birth_date'),
	('zip', 'zip'), ('note', 'free_text'), ('dx', 'diagnosis')) v (c, k);
SELECT phi.classify('mx_visit', 'what', 'diagnosis'), phi.classify('mx_super', 'name', 'name');
SELECT phi.protect('mx_patient', 'id'), phi.protect('mx_visit', 'patient'), phi.protect('mx_super', 'id');
GRANT SELECT ON mx_patient, mx_patient_redacted, mx_visit, mx_visit_a, mx_visit_b, mx_visit_redacted, mx_super, mx_super_redacted
	TO mx_clinician, mx_billing, mx_research, mx_nobody, mx_bypass;
SELECT phi.grant_consent(1, purpose => 'HRESCH') > 0 AS recorded;
SELECT phi.grant_consent(2, purpose => 'HRESCH') > 0 AS recorded;
SELECT phi.deny_consent(3) AS denied \gset
RESET client_min_messages;

-- role by role: rows and forms
SET SESSION AUTHORIZATION mx_clinician;
SELECT * FROM mx_patient_redacted ORDER BY id; -- all but the patient who denies, in full; nothing unclassified
SET SESSION AUTHORIZATION mx_billing;
SELECT * FROM mx_patient_redacted ORDER BY id; -- minimum necessary
SET SESSION AUTHORIZATION mx_research;
SELECT * FROM mx_patient_redacted ORDER BY id; -- Safe Harbor, of those who permit
SET SESSION AUTHORIZATION mx_nobody;
SELECT * FROM mx_patient_redacted ORDER BY id; -- nothing
SELECT phi.explain_access(1); -- and why
RESET SESSION AUTHORIZATION;

-- direct access: base table, partition, and what the owner and stronger roles get
SET SESSION AUTHORIZATION mx_clinician;
SELECT id FROM mx_patient ORDER BY id; -- 1, 2, 4
SELECT id FROM mx_visit ORDER BY id; -- 1
SELECT id FROM mx_visit_a ORDER BY id; -- 1
SELECT id FROM mx_visit_b ORDER BY id; -- none
SELECT id, what FROM mx_visit_redacted ORDER BY id; -- 1
SELECT id FROM mx_super ORDER BY id; -- 1
SELECT id, name FROM mx_super_redacted ORDER BY id; -- 1: the view's owner is a superuser, and it does not help
SELECT name ~ '^phi:1:' AS sealed FROM (SELECT name::text FROM mx_patient WHERE id = 1) s; -- t
SET SESSION AUTHORIZATION mx_research;
SELECT id FROM mx_visit_a ORDER BY id; -- 1
SET SESSION AUTHORIZATION mx_nobody;
SELECT count(*) FROM mx_visit_a; -- 0
SELECT count(*) FROM mx_super; -- 0
EXPLAIN (ANALYZE, COSTS off) SELECT count(*) FROM mx_patient; -- fails: it would count the hidden rows
DO $$ BEGIN EXECUTE 'EXPLAIN ANALYZE SELECT count(*) FROM mx_patient_redacted'; END $$; -- fails
EXPLAIN (COSTS off) SELECT count(*) FROM mx_super; -- ok
SET SESSION AUTHORIZATION mx_owner;
SELECT count(*) FROM mx_patient; -- 0: the owner is nobody too
SELECT count(*) FROM mx_visit_b; -- 0
SET SESSION AUTHORIZATION mx_bypass;
SELECT count(*) FROM mx_patient; -- 0: BYPASSRLS is no identity
SELECT count(*) FROM mx_visit_a; -- 0
SET row_security = off;
SELECT count(*) FROM mx_patient; -- fails: not without the duty
RESET row_security;
RESET SESSION AUTHORIZATION;
SELECT phi.grant_duty('mx_bypass', 'key_custodian');
SET SESSION AUTHORIZATION mx_bypass;
SELECT count(*) FROM mx_patient; -- 0: it has to be said
SET row_security = off;
SELECT count(*) FROM mx_patient; -- 4
SELECT count(*) FROM mx_patient_redacted; -- fails: the view's owner may not
RESET row_security;
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM mx_patient; -- 0: a superuser without identity
SET row_security = off;
SELECT count(*) FROM mx_patient; -- 4 sealed rows
SELECT count(phi.reveal(name, id)) FROM mx_patient; -- 0: sealed they stay
RESET row_security;

-- writing follows the same decision
GRANT INSERT, UPDATE, DELETE ON mx_patient, mx_visit_a TO mx_clinician, mx_nobody, mx_research;
SET SESSION AUTHORIZATION mx_nobody;
INSERT INTO mx_patient (id, name) VALUES (10, 'x'); -- fails
DELETE FROM mx_patient; -- nothing
SET SESSION AUTHORIZATION mx_clinician;
INSERT INTO mx_patient (id, name) VALUES (10, 'New Patient') RETURNING id; -- ok
INSERT INTO mx_patient (id, name) VALUES (3, 'x'); -- fails
UPDATE mx_patient SET id = 3 WHERE id = 10; -- fails: not into a subject that denies
UPDATE mx_patient SET name = 'New Name' WHERE id IN (3, 10) RETURNING id; -- 10 alone
DELETE FROM mx_patient WHERE id = 3; -- nothing
INSERT INTO mx_visit_a VALUES (9, 3, '2024-05-05', 'x'); -- fails
SELECT name FROM mx_patient_redacted WHERE id = 10; -- New Name
RESET SESSION AUTHORIZATION;

-- a cursor is of the identity and purpose that opened it, and none outlives its transaction
SET SESSION AUTHORIZATION mx_clinician;
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT name FROM mx_patient_redacted; -- fails
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT id, name FROM mx_patient_redacted ORDER BY name;
FETCH 1 FROM c;
SET SESSION AUTHORIZATION mx_nobody;
FETCH 1 FROM c; -- fails
ROLLBACK;
RESET SESSION AUTHORIZATION;

-- row security does not apply to this role: it writes nothing without the duty, nor reads by COPY
SELECT phi.revoke_duty('mx_bypass', 'key_custodian');
GRANT INSERT, UPDATE ON mx_patient TO mx_bypass;
SET SESSION AUTHORIZATION mx_bypass;
INSERT INTO mx_patient (id, name) VALUES (77, 'x'); -- fails
INSERT INTO mx_patient (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET zip = '00000' RETURNING internal; -- fails
UPDATE mx_patient SET zip = '00000'; -- fails
COPY mx_patient (id, internal) TO STDOUT; -- fails
RESET SESSION AUTHORIZATION;

-- an inlined function is no way around the row filter
CREATE FUNCTION mx_all() RETURNS SETOF mx_patient LANGUAGE sql STABLE AS 'SELECT * FROM mx_patient';
SET SESSION AUTHORIZATION mx_bypass;
SELECT count(*) FROM mx_all(); -- 0
SELECT count(*) FROM (SELECT id FROM mx_all() UNION ALL SELECT id FROM mx_all()) u; -- fails
RESET SESSION AUTHORIZATION;
DROP FUNCTION mx_all();

-- a consent is revoked, an identity changes: the next statement knows
SELECT phi.revoke_consent(:denied);
SET SESSION AUTHORIZATION mx_clinician;
SELECT id, name FROM mx_patient_redacted WHERE id = 3; -- opens
RESET SESSION AUTHORIZATION;
SELECT phi.unenroll('mx_clinician');
SET SESSION AUTHORIZATION mx_clinician;
SELECT count(*) FROM mx_patient_redacted; -- 0
RESET SESSION AUTHORIZATION;
SELECT phi.enroll('mx_clinician', 'dr', '{clinician}', '{TREAT,HOPERAT}');
SET SESSION AUTHORIZATION mx_clinician;
SELECT count(*) FROM mx_patient_redacted; -- 0: two purposes allowed, none stated
SELECT phi.set_purpose('HRESCH'); -- fails
SELECT phi.set_purpose('TREAT');
SELECT count(*) FROM mx_patient_redacted; -- 5
SELECT phi.set_purpose('HOPERAT');
SELECT count(*) FROM mx_patient_redacted; -- 0: no rule for that role and purpose
RESET SESSION AUTHORIZATION;

-- nobody's trigger, rule or function gets a value that the session's user does not ask for
SET SESSION AUTHORIZATION mx_owner;
CREATE TABLE mx_leak (v text);
CREATE FUNCTION mx_steal() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN INSERT INTO mx_leak SELECT phi.reveal(NEW.name, NEW.id); RETURN NEW; END $$;
CREATE TRIGGER a_steal BEFORE UPDATE ON mx_patient FOR EACH ROW EXECUTE FUNCTION mx_steal();
CREATE RULE mx_rule AS ON UPDATE TO mx_patient DO ALSO INSERT INTO mx_leak SELECT phi.reveal(NEW.name, NEW.id); -- fails
CREATE TABLE mx_plain (id int);
CREATE RULE mx_rule AS ON INSERT TO mx_plain DO ALSO INSERT INTO mx_leak SELECT name FROM mx_patient_redacted;
GRANT INSERT ON mx_plain TO mx_clinician;
GRANT INSERT, SELECT ON mx_leak TO mx_clinician;
SET SESSION AUTHORIZATION mx_clinician;
SELECT phi.set_purpose('TREAT');
UPDATE mx_patient SET dx = 'J46' WHERE id = 1; -- fails: reveal in a trigger
INSERT INTO mx_plain VALUES (1); -- fails: reveal in a rule
SELECT count(*) FROM mx_leak; -- 0
RESET SESSION AUTHORIZATION;

SET client_min_messages = warning;
DROP TABLE mx_patient, mx_visit, mx_super CASCADE;
DROP TABLE mx_plain, mx_leak;
DROP FUNCTION mx_steal();
SELECT phi.unenroll(r::regrole) FROM unnest('{mx_clinician,mx_billing,mx_research}'::text[]) r;
DROP OWNED BY mx_owner, mx_clinician, mx_billing, mx_research, mx_nobody, mx_bypass;
DROP ROLE mx_owner, mx_clinician, mx_billing, mx_research, mx_nobody, mx_bypass;
