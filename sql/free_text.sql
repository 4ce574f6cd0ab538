-- Free text, scrubbed of the identifiers of its row: the setting, forms, views, attacks
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE ft_owner LOGIN;
CREATE ROLE ft_doctor LOGIN;
CREATE ROLE ft_nurse LOGIN;
CREATE ROLE ft_clerk LOGIN;
CREATE ROLE ft_hidden LOGIN;
CREATE ROLE ft_officer LOGIN;
CREATE SCHEMA ft AUTHORIZATION ft_owner;
GRANT USAGE ON SCHEMA ft TO ft_doctor, ft_nurse, ft_clerk, ft_hidden;
SELECT phi.enroll(r::regrole, r, ARRAY[r], '{TREAT}') FROM unnest('{ft_owner,ft_doctor,ft_nurse,ft_clerk,ft_hidden}'::text[]) r;
SELECT phi.set_rule('ft_doctor', 'TREAT', 'all', 'full'), phi.set_rule('ft_nurse', 'TREAT', 'all', 'partial'), phi.set_rule('ft_owner', 'TREAT', 'all', 'partial'),
	phi.set_rule('ft_clerk', 'TREAT', 'free_text', 'safe_harbor'), phi.set_rule('ft_hidden', 'TREAT', 'name', 'full');
SELECT phi.grant_duty(r::regrole, 'application') FROM unnest('{ft_owner,ft_doctor,ft_nurse,ft_clerk,ft_hidden}'::text[]) r;
SELECT phi.grant_duty('ft_officer', 'security_officer');
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
GRANT SELECT ON ft.visit_redacted TO ft_doctor, ft_nurse, ft_clerk, ft_hidden;

-- off: nothing
SET SESSION AUTHORIZATION ft_nurse;
PREPARE ft_plan AS SELECT id, note FROM ft.visit_redacted ORDER BY id;
EXECUTE ft_plan;
SET SESSION AUTHORIZATION ft_officer;
SELECT phi.set_free_text('ft.visit', 'note', 'scrubbed'); -- ok
RESET SESSION AUTHORIZATION;
SELECT column_name, scrubbed FROM phi.protected_column WHERE relation = 'ft.visit'::regclass AND kind = 'free_text' ORDER BY 1;
SELECT action, relation_name, detail FROM phi.audit_event WHERE action = 'set_free_text' ORDER BY seq DESC LIMIT 1;

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
