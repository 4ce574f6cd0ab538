-- Free text, scrubbed of the identifiers of its row: the setting, forms, views, attacks
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET compute_query_id = off; -- later versions show it in plans
CREATE ROLE ft_owner LOGIN;
CREATE ROLE ft_doctor LOGIN;
CREATE ROLE ft_nurse LOGIN;
CREATE ROLE ft_clerk LOGIN;
CREATE ROLE ft_hidden LOGIN;
CREATE ROLE ft_officer LOGIN;
CREATE SCHEMA ft AUTHORIZATION ft_owner;
GRANT USAGE ON SCHEMA ft TO ft_doctor, ft_nurse, ft_clerk, ft_hidden, ft_officer;
SELECT phi.enroll(r::regrole, r, ARRAY[r], '{TREAT}') FROM unnest('{ft_owner,ft_doctor,ft_nurse,ft_clerk,ft_hidden}'::text[]) r;
SELECT phi.set_rule('ft_doctor', 'TREAT', 'all', 'full'), phi.set_rule('ft_nurse', 'TREAT', 'all', 'partial'), phi.set_rule('ft_owner', 'TREAT', 'all', 'partial'),
	phi.set_rule('ft_clerk', 'TREAT', 'free_text', 'safe_harbor'), phi.set_rule('ft_hidden', 'TREAT', 'name', 'full');
SELECT phi.grant_duty(r::regrole, 'application') FROM unnest('{ft_owner,ft_doctor,ft_nurse,ft_clerk,ft_hidden}'::text[]) r;
SELECT phi.grant_duty('ft_officer', 'security_officer');
CREATE FUNCTION ft.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query; END $$;
SET SESSION AUTHORIZATION ft_owner;
CREATE TABLE ft.visit (id bigint PRIMARY KEY, patient bigint NOT NULL, name text, street text, city text, mrn text, born date, contact jsonb, account numeric,
	photo bytea, note text, doc jsonb, summary text, finding text);
INSERT INTO ft.visit VALUES
	(1, 10, 'Tamsin Quillfeather-Roe', '12 Wexcombe Rise, Puddleby', 'Reading', 'MRN-0042', '1931-05-17', '{"phone": "617-555-0188", "kin": [{"name": "Orla"}]}', 770011, 'x',
	 'Tamsin came from READING, reading 0042 in bed. Ms. Roe and Orla, born 5/17 in 1931, 770011; wexcombe  rise. Fluffy the cat stays.', '{"t": "Tamsin"}', 'for Tamsin', 'Tamsin'),
	(2, 20, 'Will Ode', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'Will will. Tamsin called (617) 555-0100 on 3/14/2020.', NULL, NULL, NULL),
	(3, 30, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'nothing to hide', NULL, NULL, NULL);
RESET SESSION AUTHORIZATION;
SELECT count(phi.classify('ft.visit', c, k)) FROM (VALUES ('name', 'name'), ('street', 'address'), ('city', 'city'), ('mrn', 'mrn'), ('born', 'birth_date'), ('contact', 'phone'),
	('account', 'account'), ('photo', 'photo'), ('note', 'free_text'), ('doc', 'free_text'), ('summary', 'free_text'), ('finding', 'other')) v (c, k);

-- the setting: of the officer, for texts that are classified so
SELECT phi.set_free_text('ft.visit', 'note', 'all'); -- fails
SELECT phi.set_free_text('ft.visit', 'note', NULL); -- fails
SELECT phi.set_free_text('ft.visit', 'nothing', 'scrubbed'); -- fails
SELECT phi.set_free_text('ft.visit', 'id', 'scrubbed'); -- fails
SELECT phi.set_free_text('ft.visit', 'name', 'scrubbed'); -- fails
SELECT phi.set_free_text('ft.visit', 'doc', 'scrubbed'); -- fails: no text
SELECT phi.set_free_text('pg_class', 'relname', 'scrubbed'); -- fails
SET SESSION AUTHORIZATION ft_owner;
SELECT phi.set_free_text('ft.visit', 'note', 'scrubbed'); -- fails
RESET SESSION AUTHORIZATION;
SELECT phi.protect('ft.visit', 'patient');
GRANT SELECT, UPDATE ON ft.visit_redacted TO ft_doctor, ft_nurse;
GRANT SELECT ON ft.visit_redacted TO ft_clerk, ft_hidden;

-- off: nothing
SET SESSION AUTHORIZATION ft_nurse;
PREPARE ft_plan AS SELECT id, note FROM ft.visit_redacted ORDER BY id;
EXECUTE ft_plan;
SET SESSION AUTHORIZATION ft_officer;
SELECT phi.set_free_text('ft.visit', 'note', 'scrubbed'); -- ok
RESET SESSION AUTHORIZATION;
SELECT column_name, scrubbed FROM phi.protected_column WHERE relation = 'ft.visit'::regclass AND kind = 'free_text' ORDER BY 1;
SELECT action, relation, detail FROM phi_audit.event WHERE action = 'set_free_text';

-- on: without the row's identifiers, whichever of them the session sees, and what looks like one; another row's stay
SET SESSION AUTHORIZATION ft_nurse;
EXECUTE ft_plan; -- ok: planned again
SELECT id, name, mrn, doc, summary, finding FROM ft.visit_redacted ORDER BY id;
SET SESSION AUTHORIZATION ft_clerk;
SELECT id, name, note FROM ft.visit_redacted ORDER BY id;
SET SESSION AUTHORIZATION ft_hidden;
SELECT id, name, note FROM ft.visit_redacted ORDER BY id;
SET SESSION AUTHORIZATION ft_doctor;
SELECT id, note FROM ft.visit_redacted ORDER BY id;
RESET SESSION AUTHORIZATION;

-- the text alone is disclosed, by its reading; nothing of the identifiers
SELECT max(event_id) AS before FROM phi_audit.event \gset
SET SESSION AUTHORIZATION ft_clerk;
SELECT note IS NOT NULL AS shown FROM ft.visit_redacted WHERE id = 1;
RESET SESSION AUTHORIZATION;
SELECT actor, action, relation, columns FROM phi_audit.event WHERE event_id > :before AND action <> 'checkpoint';

-- conditions compare what is shown; plans and errors show no value
SET SESSION AUTHORIZATION ft_nurse;
SELECT count(*) FROM ft.visit_redacted WHERE note LIKE '%Tamsin%'; -- 1: row 2, whose Tamsin nobody told
SELECT count(*) FROM ft.visit_redacted WHERE id = 1 AND (note LIKE '%Tamsin%' OR note ~ '0042|Roe|Orla' OR note = 'x' OR strpos(note, 'READING') > 0); -- 0
SELECT count(*) FROM ft.visit_redacted WHERE id = 1 AND note LIKE '[NAME] came from [ADDRESS]%';
SELECT count(*) FROM ft.visit_redacted a JOIN ft.visit_redacted b ON a.note = b.note;
SELECT regexp_replace(line, '(reveal_column.visit.note, )\d+', '\1N') AS plan FROM ft.plan('SELECT note FROM ft.visit_redacted WHERE note LIKE ''%Roe%''') line;
SELECT note::integer FROM ft.visit_redacted WHERE id = 1; -- fails, with the scrubbed text
SELECT count(*), max(note) FROM ft.visit_redacted GROUP BY id % 2 ORDER BY 1; -- ok: the view's own call knows the row
SELECT v.id, r.note FROM generate_series(1, 4) v (id) LEFT JOIN ft.visit_redacted r ON r.id = v.id AND v.id <> 2 ORDER BY 1;
BEGIN;
DECLARE ft_cursor CURSOR FOR SELECT note FROM ft.visit_redacted ORDER BY id;
FETCH 1 FROM ft_cursor;
COMMIT;
RESET SESSION AUTHORIZATION;

-- who reads the table itself cannot leave identifiers out
SET SESSION AUTHORIZATION ft_owner;
SELECT id, phi.reveal(note, id) FROM ft.visit ORDER BY id; -- ok: those of the row
SELECT phi.reveal(note) FROM ft.visit WHERE id = 2; -- ok
SELECT phi.reveal(v.note, v.id) FROM (SELECT note, id FROM ft.visit OFFSET 0) v; -- NULL
SELECT count(*), phi.reveal(v.note, v.id) FROM ft.visit v GROUP BY v.id; -- NULL
SELECT (SELECT phi.reveal(v.note, v.id)) FROM ft.visit v WHERE v.id = 2; -- ok
WITH v AS MATERIALIZED (SELECT * FROM ft.visit) SELECT phi.reveal(v.note, v.id) FROM v; -- NULL
UPDATE ft.visit SET name = 'X' WHERE id = 2 RETURNING phi.reveal(note, id); -- NULL: the name is the query's
UPDATE ft.visit SET name = 'Will Ode' WHERE id = 2;
SELECT phi.reveal(note, NULL::phi.planner_mark, NULL::phi.planner_mark) FROM ft.visit WHERE id = 1; -- NULL
SELECT phi.reveal(note, id, NULL::phi.planner_mark, NULL::phi.planner_mark, NULL::phi.encrypted_text) FROM ft.visit WHERE id = 1; -- NULL
SELECT phi.reveal(note, '1'::phi.planner_mark) FROM ft.visit WHERE id = 1; -- fails
CREATE TABLE ft.copy AS SELECT id, note FROM ft.visit;
SELECT phi.reveal(note, id) FROM ft.copy; -- NULL
CREATE FUNCTION ft.inlined(bigint) RETURNS SETOF text LANGUAGE sql STABLE AS 'SELECT phi.reveal(note, id) FROM ft.visit WHERE id = $1';
SELECT * FROM ft.inlined(1); -- without identifiers, or NULL
INSERT INTO ft.visit (id, patient, note) SELECT id, patient, note FROM ft.visit WHERE id = 1 ON CONFLICT (id) DO UPDATE SET finding = phi.reveal(excluded.note, excluded.id); -- the proposed row has no name
SELECT phi.reveal(finding) FROM ft.visit WHERE id = 1;
CREATE VIEW ft.mine AS SELECT phi.reveal(note, id) AS note FROM ft.visit WHERE id = 1;
SELECT note FROM ft.mine;
CREATE MATERIALIZED VIEW ft.stored AS SELECT note FROM ft.mine;
SELECT note FROM ft.stored; -- NULL
RESET SESSION AUTHORIZATION;
DROP VIEW ft.mine CASCADE;

-- an identifier that is another's, or does not open: no text
BEGIN;
SET LOCAL session_replication_role = replica;
SET LOCAL row_security = off;
UPDATE ft.visit SET name = (SELECT name FROM ft.visit WHERE id = 2) WHERE id = 1; -- another row's
SET LOCAL row_security = on;
SET LOCAL SESSION AUTHORIZATION ft_nurse;
SELECT id, note FROM ft.visit_redacted WHERE id <= 2 ORDER BY id; -- 1: NULL
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
SET LOCAL row_security = off;
UPDATE ft.visit SET name = (left(name::text, -20) || translate(substr(right(name::text, 20), 1, 8), 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_', 'bcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_a') || right(name::text, 12))::phi.encrypted_text WHERE id = 2; -- damaged
SET LOCAL row_security = on;
SET LOCAL SESSION AUTHORIZATION ft_nurse;
SELECT id, note FROM ft.visit_redacted WHERE id <= 2 ORDER BY id; -- 2: NULL
ROLLBACK;
BEGIN;
SET LOCAL session_replication_role = replica;
SET LOCAL row_security = off;
UPDATE ft.visit SET name = 'Somebody' WHERE id = 2; -- not sealed for the row
SET LOCAL row_security = on;
SET LOCAL SESSION AUTHORIZATION ft_nurse;
SELECT id, note FROM ft.visit_redacted WHERE id <= 2 ORDER BY id; -- 2: NULL
ROLLBACK;

-- writing through the view: what was read changes nothing, what was edited is refused
SET SESSION AUTHORIZATION ft_nurse;
UPDATE ft.visit_redacted SET note = note WHERE id = 1;
UPDATE ft.visit_redacted SET note = note || ' Better.' WHERE id = 1; -- fails
UPDATE ft.visit_redacted SET note = 'age 90+' WHERE id = 1; -- fails
UPDATE ft.visit_redacted SET note = 'Ode slept [well].' WHERE id = 2; -- ok: all of it new
SELECT note FROM ft.visit_redacted WHERE id = 2;
SET SESSION AUTHORIZATION ft_doctor;
SELECT id, note FROM ft.visit_redacted ORDER BY id;
UPDATE ft.visit_redacted SET note = 'Will, seen [DATE]' WHERE id = 2; -- ok: sees and writes all
RESET SESSION AUTHORIZATION;

-- views of profiles: no more than their form
SELECT phi.add_view('ft.visit', 'ft.safe', 'safe_harbor', 'Uni'), phi.add_view('ft.visit', 'ft.none', 'partial', 'Uni', '{"note": "none"}'),
	phi.add_view('ft.visit', 'ft.full', 'full', 'Uni'), phi.add_view('ft.visit', 'ft.pseudo', 'partial', 'Uni', '{"note": "pseudonym"}');
GRANT SELECT ON ft.safe, ft.none, ft.full, ft.pseudo TO ft_doctor, ft_nurse;
SET SESSION AUTHORIZATION ft_doctor;
SELECT s.name, s.note, n.note AS none, f.note AS "full", p.note AS pseudo FROM ft.safe s, ft.none n, ft.full f, ft.pseudo p
	WHERE s.note LIKE '%cat stays%' AND f.note LIKE '%cat stays%' AND n.mrn = '***0042' AND p.mrn = '***0042';
RESET SESSION AUTHORIZATION;

-- a scrubbed text is released only knowingly
GRANT SELECT ON ft.safe TO ft_officer;
SELECT phi.enroll('ft_officer', 'ft_officer', '{ft_doctor}', '{TREAT}');
SELECT phi.grant_duty('ft_officer', 'privacy_officer'), phi.grant_duty('ft_officer', 'application');
GRANT CREATE ON SCHEMA ft TO ft_officer;
SET SESSION AUTHORIZATION ft_officer;
SELECT phi.set_purpose('TREAT'), phi.record_agreement('DUA', 'Uni', now() + interval '1 year');
SELECT phi.release('ft.safe', 'Uni', 'TREAT', 'DUA', now() + interval '1 day', 'ft.extract'); -- fails
SELECT m->'columns'->'note' AS note, m->'columns'->'name' AS name FROM phi.release('ft.safe', 'Uni', 'TREAT', 'DUA', now() + interval '1 day', 'ft.extract', detailed => true) m;
SELECT count(*) FROM ft.extract WHERE note LIKE '[NAME] came%';
RESET SESSION AUTHORIZATION;
SELECT phi.unenroll('ft_officer');

-- the table changes: new identifiers count, names follow, privileges stay
SET SESSION AUTHORIZATION ft_owner;
ALTER TABLE ft.visit ADD COLUMN pet text;
UPDATE ft.visit SET pet = 'Fluffy' WHERE id = 1;
RESET SESSION AUTHORIZATION;
SELECT phi.classify('ft.visit', 'pet', 'name');
SET SESSION AUTHORIZATION ft_nurse;
EXECUTE ft_plan; -- no cat
RESET SESSION AUTHORIZATION;
ALTER TABLE ft.visit RENAME COLUMN name TO "the ""name""";
ALTER TABLE ft.visit RENAME COLUMN note TO remark;
SET SESSION AUTHORIZATION ft_owner;
PREPARE ft_base AS SELECT phi.reveal(remark, id) FROM ft.visit WHERE id = 1;
EXECUTE ft_base;
RESET SESSION AUTHORIZATION;
BEGIN;
SET LOCAL SESSION AUTHORIZATION ft_owner;
DECLARE ft_running CURSOR FOR SELECT phi.reveal(remark, id) FROM ft.visit ORDER BY id DESC;
FETCH 1 FROM ft_running;
RESET SESSION AUTHORIZATION;
SELECT phi.classify('ft.visit', 'pet', 'other');
SET LOCAL SESSION AUTHORIZATION ft_owner;
FETCH 1 FROM ft_running; -- NULL: planned with other identifiers
COMMIT;
SET SESSION AUTHORIZATION ft_owner;
EXECUTE ft_base; -- ok: planned again
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION ft_nurse;
SELECT remark FROM ft.visit_redacted WHERE id = 1; -- the cat again
RESET SESSION AUTHORIZATION;
ALTER TABLE ft.visit DROP COLUMN mrn;
SET SESSION AUTHORIZATION ft_nurse;
SELECT remark FROM ft.visit_redacted WHERE id = 1; -- the number again
RESET SESSION AUTHORIZATION;
SELECT r, has_table_privilege(r, 'ft.visit_redacted', 'SELECT') AS reads, has_table_privilege(r, 'ft.visit_redacted', 'UPDATE') AS writes FROM unnest('{ft_nurse,ft_clerk}'::name[]) r;

-- with attributes of the row that consents depend on
SELECT phi.describe('ft.visit', 'Encounter', encounter => 'id');
SET SESSION AUTHORIZATION ft_nurse;
SELECT remark FROM ft.visit_redacted WHERE id = 1;
RESET SESSION AUTHORIZATION;

-- the setting goes with the column; another kind ends it; off again
SELECT phi.unprotect('ft.visit');
SELECT column_name, scrubbed FROM phi.protected_column WHERE relation = 'ft.visit'::regclass AND kind = 'free_text' ORDER BY 1;
SELECT phi.protect('ft.visit', 'patient');
GRANT SELECT ON ft.visit_redacted TO ft_nurse;
SET SESSION AUTHORIZATION ft_nurse;
SELECT remark FROM ft.visit_redacted WHERE id = 1;
RESET SESSION AUTHORIZATION;
SELECT phi.classify('ft.visit', 'remark', 'lab'), phi.classify('ft.visit', 'remark', 'free_text');
SET SESSION AUTHORIZATION ft_nurse;
SELECT remark FROM ft.visit_redacted WHERE id = 1; -- NULL
RESET SESSION AUTHORIZATION;
SELECT phi.set_free_text('ft.visit', 'remark', 'scrubbed');
SET SESSION AUTHORIZATION ft_nurse;
SELECT remark IS NOT NULL AS shown FROM ft.visit_redacted WHERE id = 1;
RESET SESSION AUTHORIZATION;
SELECT phi.set_free_text('ft.visit', 'remark', 'nothing');
SET SESSION AUTHORIZATION ft_nurse;
SELECT remark IS NOT NULL AS shown FROM ft.visit_redacted WHERE id = 1;
RESET SESSION AUTHORIZATION;

-- a partitioned table, its partition, a long text, and more identifiers than fit
CREATE TABLE ft.part (id bigint, patient bigint, name text, note text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE ft.part_1 PARTITION OF ft.part FOR VALUES FROM (1) TO (10);
SELECT phi.classify('ft.part', 'name', 'name'), phi.classify('ft.part', 'note', 'free_text'), phi.set_free_text('ft.part', 'note', 'scrubbed');
SELECT phi.protect('ft.part', 'patient');
INSERT INTO ft.part VALUES (3, 7730, NULL, 'patient 7730 and 77301'), (1, 1, 'Ingolf Brattbakk', repeat('Ingolf BRATTBAKK slept. ', 50000)), (2, 2, (SELECT string_agg('Name' || i, ' ') FROM generate_series(1, 600) i), 'Name1');
GRANT SELECT ON ft.part_redacted TO ft_nurse;
SELECT phi.set_rule('ft_nurse', 'TREAT', 'all', 'partial');
SET SESSION AUTHORIZATION ft_nurse;
SELECT id, length(note), left(note, 26) AS begins, note ~* 'Ingolf|Brattbakk' AS leaks FROM ft.part_redacted ORDER BY id;
RESET SESSION AUTHORIZATION;
GRANT SELECT ON ft.part_1 TO ft_owner;
SET SESSION AUTHORIZATION ft_owner;
SELECT left(phi.reveal(note, id), 20) FROM ft.part_1 WHERE id = 1;
RESET SESSION AUTHORIZATION;
SET client_min_messages = error;
SELECT phi.unprotect('ft.part'), phi.unprotect('ft.visit');
DROP SCHEMA ft CASCADE;
DELETE FROM phi.release_manifest;
DELETE FROM phi.agreement;
DELETE FROM phi.role_rule WHERE workforce_role LIKE 'ft\_%';
SELECT phi.unenroll(r::regrole) FROM unnest('{ft_owner,ft_doctor,ft_nurse,ft_clerk,ft_hidden}'::text[]) r;
SELECT phi.revoke_duty(db_role, duty) FROM phi.duty_grant WHERE db_role::text LIKE 'ft\_%';
DROP ROLE ft_owner, ft_doctor, ft_nurse, ft_clerk, ft_hidden, ft_officer;
