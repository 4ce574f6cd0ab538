-- adopting columns that pgcrypto encrypted
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE ap_owner LOGIN;
CREATE ROLE ap_officer LOGIN;
CREATE ROLE ap_clinician LOGIN;
CREATE SCHEMA ap AUTHORIZATION ap_owner;
GRANT USAGE ON SCHEMA ap TO ap_officer, ap_clinician;
SELECT count(*) = 0 AS bare FROM phi.role_rule \gset
SELECT phi.install_default_rules() >= 0 AS rules;
SELECT phi.enroll('ap_clinician', 'dr', '{clinician}', '{TREAT}');
SELECT phi.grant_duty('ap_clinician', 'application'), phi.grant_duty('ap_officer', 'security_officer');
SELECT quote_ident(n.nspname) || ', pg_catalog' AS crypto FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pgcrypto' \gset
SET search_path = ap, :crypto;
SET DateStyle = 'ISO, MDY';

-- a table with nothing but pgcrypto's columns, of every shape
SET SESSION AUTHORIZATION ap_owner;
CREATE TABLE patient (
	id bigint PRIMARY KEY, "ss""n %s" bytea, born bytea, notes text, photo bytea, weight bytea, score bytea, score_iv bytea, doc bytea,
	email bytea DEFAULT '\x00', visits int);
INSERT INTO patient
	SELECT i, pgp_sym_encrypt(format('900-00-%s', to_char(i, 'FM0000')), 'k''ey one', 'compress-algo=1, cipher-algo=aes256'),
		pgp_sym_encrypt((date '1950-01-01' + i)::text, 'k''ey one'), armor(pgp_sym_encrypt('Grüße an ' || i, 'k''ey one', 'unicode-mode=1')),
		pgp_sym_encrypt_bytea('\x00ff00'::bytea || int4send(i), 'k''ey one'),
		encrypt(convert_to((i * 1.5)::text, 'UTF8'), '\x00112233445566778899aabbccddeeff', 'aes-cbc/pad:pkcs'),
		encrypt_iv(convert_to(i::text, 'UTF8'), '\x00112233445566778899aabbccddeeff', int8send(i) || int8send(i), 'aes'), int8send(i) || int8send(i),
		pgp_sym_encrypt_bytea(convert_to(format('{"a": [%s]}', i), 'UTF8'), 'k''ey one'),
		pgp_sym_encrypt(format('p%s@Example.org', i), 'k''ey one'), i
	FROM generate_series(1, 20) i;
INSERT INTO patient (id) VALUES (21);
UPDATE patient SET email = NULL WHERE id = 21;

-- who may, and what is refused
SELECT phi.adopt_pgp('patient', 'born', 'k''ey one', 'birth_date', subject => 'id'); -- fails: no duty
SELECT * FROM phi.adopt_pgp_plan('patient', 'born', 'k''ey one', 'birth_date'); -- fails
SELECT phi.adopt_column('patient', 'born', 'birth_date', false, NULL, 'id', NULL, NULL); -- fails
SELECT phi.adopt_in_place(NULL::phi.encrypted_text, born, NULL, 1, id, NULL, id) FROM patient; -- fails
SET SESSION AUTHORIZATION ap_officer;
SELECT phi.adopt_pgp('patient', 'born', 'k''ey one', 'birth_date'); -- fails: no subject
SELECT phi.adopt_pgp('patient', 'born', NULL, 'birth_date', subject => 'id'); -- fails
SELECT phi.adopt_pgp('patient', 'born', '', 'birth_date', subject => 'id'); -- fails
SELECT phi.adopt_pgp('patient', 'visits', 'k''ey one', 'other', subject => 'id'); -- fails: an integer
SELECT phi.adopt_pgp('patient', 'nothing', 'k''ey one', 'other', subject => 'id'); -- fails
SELECT phi.adopt_pgp('patient', 'born', 'k''ey one', 'nonsense', subject => 'id'); -- fails
SELECT phi.adopt_pgp('patient', 'born', 'k''ey one', 'none', subject => 'id'); -- fails
SELECT phi.adopt_pgp('patient', 'born', 'k''ey one', 'birth_date', type => 'point', subject => 'id'); -- fails
SELECT phi.adopt_pgp('patient', 'born', 'k''ey one', 'birth_date', cipher => 'rot13', subject => 'id'); -- fails
SELECT phi.adopt_pgp('patient', 'born', '\x0g', 'birth_date', cipher => 'aes', subject => 'id'); -- fails: no bytea
SELECT phi.adopt_pgp('patient', 'born', 'k''ey one', 'birth_date', iv => '\x00', subject => 'id'); -- fails: pgp has none
SELECT phi.adopt_pgp('patient', 'score', '\x00112233445566778899aabbccddeeff', 'other', cipher => 'aes', iv_column => 'visits', subject => 'id'); -- fails
SELECT phi.adopt_pgp('patient', 'email', 'k''ey one', 'email', subject => 'id'); -- fails: a default
SELECT phi.adopt_pgp('patient', 'born', 'k''ey one', 'birth_date', searchable => true, subject => 'id'); -- fails: not a searchable kind
SELECT phi.adopt_pgp('pg_authid', 'rolname', 'k''ey one', 'name', subject => 'oid'); -- fails
SELECT phi.adopt_pgp('no', 'born', 'k''ey one', 'name'); -- fails

-- the dry run; a wrong key, another type, a damaged value: nothing has changed
SELECT * FROM phi.adopt_pgp_plan('patient', 'born', 'k''ey one', 'birth_date');
SELECT * FROM phi.adopt_pgp_plan('patient', 'born', 'another key', 'birth_date');
SELECT * FROM phi.adopt_pgp_plan('patient', 'ss"n %s', 'k''ey one', 'ssn', type => 'date');
SELECT * FROM phi.adopt_pgp_plan('patient', 'notes', 'k''ey one', 'free_text');
SELECT * FROM phi.adopt_pgp_plan('patient', 'photo', 'k''ey one', 'free_text'); -- zero bytes are no text
SELECT * FROM phi.adopt_pgp_plan('patient', 'score', '\x00112233445566778899aabbccddeeff', 'other', type => 'numeric', cipher => 'aes');
SELECT * FROM phi.adopt_pgp_plan('patient', 'score', '\x00112233445566778899aabbccddeeff', 'other', type => 'numeric', cipher => 'aes', iv_column => 'score_iv');
SELECT phi.adopt_pgp('patient', 'born', 'another key', 'birth_date', subject => 'id'); -- fails
SELECT phi.adopt_pgp('patient', 'ss"n %s', 'k''ey one', 'ssn', type => 'date', subject => 'id'); -- fails
SET SESSION AUTHORIZATION ap_owner;
UPDATE patient SET born = set_byte(born, length(born) - 3, get_byte(born, length(born) - 3) # 1) WHERE id = 7;
SET SESSION AUTHORIZATION ap_officer;
SELECT * FROM phi.adopt_pgp_plan('patient', 'born', 'k''ey one', 'birth_date');
SELECT phi.adopt_pgp('patient', 'born', 'k''ey one', 'birth_date', subject => 'id'); -- fails
SET SESSION AUTHORIZATION ap_owner;
SELECT count(*) FILTER (WHERE id <> 7 AND pgp_sym_decrypt(born, 'k''ey one') = (date '1950-01-01' + id::int)::text) FROM patient;
UPDATE patient SET born = pgp_sym_encrypt('1950-01-08', 'k''ey one') WHERE id = 7;
SELECT * FROM phi.protected_column WHERE relation = 'patient'::regclass; -- fails: no privilege
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM phi.column_policy WHERE relation = 'patient'::regclass;
ALTER TABLE patient ALTER email DROP DEFAULT;

-- the first column protects the table, the others follow
SET SESSION AUTHORIZATION ap_officer;
SELECT phi.adopt_pgp('patient', 'ss"n %s', 'k''ey one', 'ssn', searchable => true, subject => 'id', view => 'seen');
SELECT phi.adopt_pgp('patient', 'born', 'k''ey one', 'birth_date', subject => 'id'); -- fails: protected already
SELECT phi.adopt_pgp('patient', 'born', 'k''ey one', 'birth_date');
SELECT phi.adopt_pgp('patient', 'born', 'k''ey one', 'birth_date'); -- fails: encrypted by us
SELECT phi.adopt_pgp('patient', 'notes', 'k''ey one', 'free_text');
SELECT phi.adopt_pgp('patient', 'photo', 'k''ey one', 'photo');
SELECT phi.adopt_pgp('patient', 'weight', '\x00112233445566778899aabbccddeeff', 'other', type => 'numeric', cipher => 'aes-cbc/pad:pkcs');
SELECT phi.adopt_pgp('patient', 'score', '\x00112233445566778899aabbccddeeff', 'other', type => 'numeric', cipher => 'aes', iv_column => 'score_iv');
SELECT phi.adopt_pgp('patient', 'doc', 'k''ey one', 'free_text', type => 'jsonb');
SELECT phi.adopt_pgp('patient', 'email', 'k''ey one', 'email', searchable => true);
RESET SESSION AUTHORIZATION;
SELECT column_name, kind, searchable, plain_type, encrypted FROM phi.protected_column WHERE relation = 'patient'::regclass ORDER BY 1;
SELECT action, detail FROM phi_audit.event WHERE relation ~ 'patient' AND action IN ('adopt', 'protect') AND detail !~ 'redacted' ORDER BY event_id;
SELECT count(*) FROM phi_audit.event e WHERE e::text ~ 'ey one|00112233445566';
GRANT SELECT ON seen TO ap_clinician;
GRANT SELECT, INSERT, UPDATE ON patient TO ap_clinician;
SET SESSION AUTHORIZATION ap_clinician;
SELECT id, "ss""n %s", born, notes, photo, weight, score, doc, email FROM seen WHERE id IN (1, 20, 21) ORDER BY id;
SELECT id FROM seen WHERE "ss""n %s" = '900-00-0007';
SELECT id FROM patient WHERE email = 'P9@example.ORG';
SELECT count(*) FROM seen WHERE born = date '1950-01-01' + id::int AND weight = id * 1.5 AND score = id AND doc = format('{"a": [%s]}', id)::jsonb AND notes = 'Grüße an ' || id AND photo = '\x00ff00'::bytea || int4send(id::int);
UPDATE patient SET born = '1999-09-09' WHERE id = 1;
SELECT born FROM seen WHERE id = 1;

-- taken back, the columns are plain
SET SESSION AUTHORIZATION ap_officer;
SELECT phi.unprotect('patient');
SET SESSION AUTHORIZATION ap_owner;
SELECT id, "ss""n %s", born, notes, photo, weight, score, doc, email FROM patient WHERE id IN (1, 20) ORDER BY id;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'patient'::regclass AND attnum > 0 ORDER BY attnum;

-- partitions; a plain column is sealed in the same step; one vector for every value
CREATE TABLE visit (id int, person bigint, room text, code bytea, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM (0) TO (10);
CREATE TABLE visit_2 (code bytea, id int NOT NULL, person bigint, room text);
ALTER TABLE visit ATTACH PARTITION visit_2 FOR VALUES FROM (10) TO (99);
INSERT INTO visit SELECT i, i, 'room ' || i, encrypt_iv(convert_to('F' || i, 'UTF8'), 'sixteen bytes ok', '\x000102030405060708090a0b0c0d0e0f', 'aes') FROM generate_series(5, 14) i;
SET SESSION AUTHORIZATION ap_officer;
SELECT * FROM phi.adopt_pgp_plan('visit', 'code', 'sixteen bytes ok', 'diagnosis', cipher => 'aes', iv => '\x000102030405060708090a0b0c0d0e0f');
SELECT phi.classify('visit', 'room', 'other');
SELECT phi.adopt_pgp('visit_1', 'code', 'sixteen bytes ok', 'diagnosis', cipher => 'aes', iv => '\x000102030405060708090a0b0c0d0e0f', subject => 'person'); -- fails: a partition
SELECT phi.adopt_pgp('visit', 'code', 'sixteen bytes ok', 'diagnosis', cipher => 'aes', iv => '\x000102030405060708090a0b0c0d0e0f', subject => 'person');
RESET SESSION AUTHORIZATION;
GRANT SELECT ON visit_redacted TO ap_clinician;
SET SESSION AUTHORIZATION ap_clinician;
SELECT id, room, code FROM visit_redacted ORDER BY id;

-- the owner's code, run by the rewrite, cannot borrow the key; planted functions are not called
SET SESSION AUTHORIZATION ap_owner;
CREATE TABLE secret (id int PRIMARY KEY, mail bytea, other int);
CREATE TABLE copied (mail bytea);
CREATE TABLE loot (what text);
INSERT INTO secret VALUES (1, pgp_sym_encrypt('owner@example.org', 'the key'), 1);
INSERT INTO copied SELECT mail FROM secret;
CREATE FUNCTION try() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 2000 LOOP
		BEGIN
			INSERT INTO ap.loot SELECT phi.adopt_in_place(NULL::phi.encrypted_text, mail, NULL, i, 1, NULL)::text FROM ap.copied;
		EXCEPTION WHEN insufficient_privilege OR undefined_column THEN NULL;
		END;
		BEGIN
			INSERT INTO ap.loot SELECT phi.adopt_in_place(NULL::phi.encrypted_bytea, mail, NULL, i, 1, NULL)::text FROM ap.copied;
		EXCEPTION WHEN insufficient_privilege OR undefined_column THEN NULL;
		END;
	END LOOP;
	INSERT INTO ap.loot VALUES ('phi:1:tried');
END $$;
CREATE FUNCTION steal(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM ap.try(); RETURN v; END $$;
CREATE INDEX ON secret (steal(other));
CREATE FUNCTION pgp_sym_decrypt(bytea, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ap.loot VALUES ($2); RETURN 'forged'; END $$;
SELECT count(*) AS tries, count(*) FILTER (WHERE what <> 'phi:1:tried') AS got FROM loot;
SET SESSION AUTHORIZATION ap_officer;
SELECT phi.adopt_pgp('secret', 'mail', 'the key', 'email', subject => 'id');
SET SESSION AUTHORIZATION ap_owner;
SELECT count(*) FILTER (WHERE what = 'phi:1:tried') AS tries, count(*) FILTER (WHERE what ~ '^phi:1:[A-Za-z0-9_-]{80,}$') AS sealed, count(*) FILTER (WHERE what !~ '^phi:1:') AS plain FROM loot;
SELECT * FROM phi.adoption('secret', 'mail'); -- fails
RESET SESSION AUTHORIZATION;
GRANT SELECT ON secret_redacted TO ap_clinician;
SET SESSION AUTHORIZATION ap_clinician;
SELECT * FROM secret_redacted;
RESET SESSION AUTHORIZATION;
-- a function that was replaced, or that is no member, is not called either
BEGIN;
ALTER EXTENSION pgcrypto DROP FUNCTION pgp_sym_decrypt_bytea(bytea, text);
SELECT * FROM phi.adopt_pgp_plan('secret', 'other', 'x', 'email'); -- fails: an integer
ROLLBACK;
BEGIN;
CREATE TABLE again (id int PRIMARY KEY, mail bytea);
ALTER EXTENSION pgcrypto DROP FUNCTION pgp_sym_decrypt_bytea(bytea, text);
SELECT * FROM phi.adopt_pgp_plan('again', 'mail', 'x', 'email'); -- fails
ROLLBACK;
BEGIN;
CREATE TABLE again (id int PRIMARY KEY, mail bytea);
ALTER FUNCTION pgp_sym_decrypt_bytea(bytea, text) OWNER TO ap_owner;
SELECT * FROM phi.adopt_pgp_plan('again', 'mail', 'x', 'email'); -- fails
ROLLBACK;

DROP SCHEMA ap CASCADE;
SELECT phi.revoke_duty('ap_officer', 'security_officer'), phi.revoke_duty('ap_clinician', 'application'), phi.unenroll('ap_clinician');
\if :bare
DELETE FROM phi.role_rule;
\endif
DROP OWNED BY ap_officer, ap_clinician, ap_owner;
DROP ROLE ap_officer, ap_clinician, ap_owner;
