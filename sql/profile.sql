-- Views for recipients: no more than a form, pseudonyms, upkeep, attacks
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE pf_owner LOGIN;
CREATE ROLE pf_doctor LOGIN;
CREATE ROLE pf_uni LOGIN;
CREATE ROLE pf_corp LOGIN;
CREATE ROLE pf_privacy LOGIN;
CREATE SCHEMA pf AUTHORIZATION pf_owner;
GRANT USAGE ON SCHEMA pf TO pf_doctor, pf_uni, pf_corp, pf_privacy;
SELECT count(*) = 0 AS bare FROM phi.role_rule \gset
SELECT phi.enroll('pf_doctor', 'pf_doc', '{pf_physician}', '{TREAT}');
SELECT phi.enroll('pf_uni', 'pf_ann', '{pf_researcher}', '{HRESCH}', organization => 'Uni "North"''s');
SELECT phi.enroll('pf_corp', 'pf_bob', '{pf_researcher}', '{HRESCH}');
SELECT phi.set_rule('pf_physician', 'TREAT', 'all', 'full');
SELECT phi.set_rule('pf_researcher', 'HRESCH', 'all', 'limited'), phi.set_rule('pf_researcher', 'HRESCH', 'mrn', 'pseudonym'), phi.set_rule('pf_researcher', 'HRESCH', 'name', 'none');
SELECT phi.grant_duty(r::regrole, 'application') FROM unnest('{pf_doctor,pf_uni,pf_corp,pf_privacy}'::text[]) r;
SELECT phi.grant_duty('pf_privacy', 'privacy_officer');
SET SESSION AUTHORIZATION pf_owner;
CREATE TABLE pf.patient (id bigint PRIMARY KEY, mrn text, name text, born date, zip text, weight numeric, age smallint, ward text, secret text, labels text[]);
INSERT INTO pf.patient SELECT i, 'MRN' || i, 'Ada ' || i, '1970-05-17', '02139', 61.5, 40, 'W1', 'canary', NULL FROM generate_series(1, 3) i;
CREATE TABLE pf.visit (id bigint, patient bigint, seen date, note text, PRIMARY KEY (id));
INSERT INTO pf.visit SELECT i * 10, i, '2024-05-06', 'note' FROM generate_series(1, 3) i;
RESET SESSION AUTHORIZATION;
SELECT count(phi.classify('pf.patient', c, k)) FROM (VALUES ('mrn', 'mrn'), ('name', 'name'), ('born', 'birth_date'), ('zip', 'zip'), ('weight', 'lab'),
	('age', 'age'), ('ward', 'none')) v (c, k);
SELECT count(phi.classify('pf.visit', c, k)) FROM (VALUES ('seen', 'service_date'), ('note', 'mrn')) v (c, k);
SELECT phi.protect('pf.patient', 'id', labels => 'labels'), phi.protect('pf.visit', 'patient');
SELECT phi.grant_consent(i::bigint, purpose => 'HRESCH') > 0 AS consent FROM generate_series(1, 2) i;

-- refused
SELECT phi.add_view('pf.patient', 'pf.x', 'most', 'Uni'); -- fails
SELECT phi.add_view('pf.patient', 'pf.x', NULL, 'Uni'); -- fails
SELECT phi.add_view('pf.patient', 'pf.x', 'limited', ''); -- fails
SELECT phi.add_view('pf.patient', 'pf.x', 'limited', 'Uni', '{"ward": "full"}'); -- fails
SELECT phi.add_view('pf.patient', 'pf.x', 'limited', 'Uni', '{"mrn": "most"}'); -- fails
SELECT phi.add_view('pf.patient', 'pf.x', 'limited', 'Uni', '[]'); -- fails
SELECT phi.add_view('pf.patient', 'pf.patient', 'limited', 'Uni'); -- fails: the table's own name
SELECT phi.add_view('pf.patient', NULL, 'limited', 'Uni'); -- fails
SELECT phi.add_view('pg_class', 'pf.x', 'limited', 'Uni'); -- fails
SET SESSION AUTHORIZATION pf_uni;
SELECT phi.add_view('pf.patient', 'pf.x', 'limited', 'Uni'); -- fails
SELECT phi.make_pseudonyms('pf.patient', 'Uni'); -- fails
SELECT * FROM phi.pseudonym; -- fails
RESET SESSION AUTHORIZATION;

-- hostile names are names
SELECT phi.add_view('pf.patient', 'pf."for ""Uni""; drop"', 'safe_harbor', 'Uni "North"''s', '{"mrn": "pseudonym", "zip": "limited"}');
SELECT phi.add_view('pf.patient', 'pf.for_corp', 'limited', 'pf_bob', '{"mrn": "pseudonym"}'), phi.add_view('pf.visit', 'pf.visit_uni', 'limited', 'Uni "North"''s', '{"note": "pseudonym"}');
SELECT view, relation, form, recipient, column_forms FROM phi.view_profile WHERE relation::text LIKE 'pf.%' ORDER BY view::text;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'pf.for_corp'::regclass AND attnum > 0 ORDER BY attnum;
SELECT relowner::regrole FROM pg_class WHERE oid = 'pf.for_corp'::regclass;
SET SESSION AUTHORIZATION pf_owner;
GRANT SELECT ON pf."for ""Uni""; drop", pf.for_corp, pf.visit_uni, pf.patient_redacted TO pf_doctor, pf_uni, pf_corp, pf_privacy;
RESET SESSION AUTHORIZATION;

-- pseudonyms: made once, for all subjects, in batches
SET SESSION AUTHORIZATION pf_privacy;
SELECT phi.make_pseudonyms('pf.patient', 'Uni "North"''s', 2) AS two, phi.make_pseudonyms('pf.patient', 'Uni "North"''s', 2) AS one,
	phi.make_pseudonyms('pf.patient', 'Uni "North"''s') AS zero, phi.make_pseudonyms('pf.visit', 'Uni "North"''s') AS same_people;
SELECT phi.make_pseudonyms('pf.patient', 'pf_bob') AS three, phi.make_pseudonyms('pf.patient', 'other') AS other;
SELECT phi.make_pseudonyms('pf.patient', ''); -- fails
SELECT phi.make_pseudonyms('pg_class', 'x'); -- fails
SELECT phi.make_pseudonyms('pf.patient', 'x', 0); -- fails
RESET SESSION AUTHORIZATION;

-- the lesser of the view's form and the session's
SET SESSION AUTHORIZATION pf_doctor;
SELECT id, mrn, name, born, zip, weight, age, ward, secret FROM pf."for ""Uni""; drop" ORDER BY born, age LIMIT 1; -- a physician sees safe_harbor, and no pseudonym of others
SELECT name, born, zip FROM pf.patient_redacted WHERE id = 1;
SET SESSION AUTHORIZATION pf_uni;
SELECT id IS NOT NULL AS id, mrn = id AS mrn, name, born, zip, weight, age, ward, secret, labels FROM pf."for ""Uni""; drop"; -- two consented
SELECT id, mrn IS NULL AS no_mrn, born FROM pf.for_corp; -- not theirs: no pseudonym
SELECT length(mrn) AS pseudonym, name, born FROM pf.patient_redacted ORDER BY id; -- by the rule, of the session's organization
SELECT count(*) AS consistent FROM pf.visit_uni v JOIN pf."for ""Uni""; drop" p ON v.patient = p.id WHERE v.note = p.mrn AND v.id IS NULL;
SELECT count(*) FROM pf."for ""Uni""; drop" p JOIN pf.patient_redacted r ON r.mrn = p.mrn; -- the same person
SELECT count(*) FROM pf."for ""Uni""; drop" a JOIN pf."for ""Uni""; drop" b USING (id); -- and again the same: no noise to average away

-- nobody makes a dictionary: neither from subjects nor from values of their own, nor of other recipients
SELECT phi.reveal_pseudonym('Uni "North"''s', 1::bigint); -- fails
SELECT phi.reveal_pseudonym('Uni "North"''s', 'x'::phi.encrypted_text) IS NULL AS unbound;
SELECT phi.subject_token(1::bigint); -- fails
SELECT id FROM pf.patient; -- fails
RESET SESSION AUTHORIZATION;
SELECT count(*) AS pairs, count(DISTINCT p.token) AS tokens, count(DISTINCT p.subject_token) AS people FROM phi.pseudonym p;
SELECT count(*) AS known FROM phi.pseudonym p, generate_series(1, 3) i WHERE replace(p.token::text, '-', '') IN
	(md5(i::text), md5(p.recipient || i), left(encode(sha256(i::text::bytea), 'hex'), 32), md5(p.subject_token::text));
SET SESSION AUTHORIZATION pf_corp;
SELECT count(id) AS own, count(DISTINCT id) FROM pf.for_corp;
SELECT count(id) AS of_uni FROM pf."for ""Uni""; drop";

-- nothing is written, nothing is put in between
INSERT INTO pf.for_corp (ward) VALUES ('x'); -- fails
SET SESSION AUTHORIZATION pf_owner;
UPDATE pf.for_corp SET ward = 'x'; -- fails
ALTER VIEW pf.for_corp SET (security_invoker = true); -- fails
CREATE OR REPLACE VIEW pf.for_corp AS SELECT * FROM pf.patient; -- fails
CREATE FUNCTION pf.spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER spy INSTEAD OF INSERT ON pf.for_corp FOR EACH ROW EXECUTE FUNCTION pf.spy(); -- fails
CREATE RULE spy AS ON INSERT TO pf.for_corp DO INSTEAD NOTHING; -- fails
ALTER VIEW pf.for_corp RENAME COLUMN name TO mane; -- fails
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION pf_doctor;
UPDATE pf.for_corp SET ward = 'x'; -- fails
RESET SESSION AUTHORIZATION;
GRANT UPDATE, DELETE, INSERT ON pf.for_corp TO pf_doctor;
SET SESSION AUTHORIZATION pf_doctor;
UPDATE pf.for_corp SET ward = 'x'; -- fails
DELETE FROM pf.for_corp; -- fails
RESET SESSION AUTHORIZATION;

-- a search by a revealed column compares what the view shows
SELECT phi.classify('pf.patient', 'secret', 'ssn', searchable => true);
SET SESSION AUTHORIZATION pf_doctor;
SELECT count(*) AS full FROM pf.patient_redacted WHERE secret = 'canary';
SELECT count(*) AS hidden FROM pf.for_corp WHERE secret = 'canary';
RESET SESSION AUTHORIZATION;

-- all views follow what happens to the table
SELECT 'pf.for_corp'::regclass::oid AS before \gset
SET SESSION AUTHORIZATION pf_owner;
ALTER TABLE pf.patient ADD COLUMN later text;
ALTER TABLE pf.patient RENAME COLUMN mrn TO "the ""mrn""";
ALTER TABLE pf.patient DROP COLUMN weight;
ALTER TABLE pf.patient RENAME TO person;
ALTER VIEW pf.for_corp RENAME TO corp;
RESET SESSION AUTHORIZATION;
SELECT c.relname, string_agg(a.attname, ', ' ORDER BY a.attnum) AS columns FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
	WHERE c.relnamespace = 'pf'::regnamespace AND c.relkind = 'v' AND a.attnum > 0 AND c.relname <> 'visit_redacted' GROUP BY c.relname ORDER BY 1;
SELECT view, column_forms FROM phi.view_profile WHERE relation = 'pf.person'::regclass ORDER BY view::text;
SET SESSION AUTHORIZATION pf_corp;
SELECT "the ""mrn""" = id AS pseudonym, born, later FROM pf.corp;
RESET SESSION AUTHORIZATION;
ALTER TABLE pf.person OWNER TO pf_doctor;
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'pf'::regnamespace AND relkind = 'v' AND relname <> 'visit_redacted' AND relname <> 'visit_uni';
DROP VIEW pf.patient_redacted;
SELECT phi.classify('pf.person', 'later', 'state'); -- ok: the others stay right
SELECT pg_get_viewdef('pf.corp'::regclass) LIKE '%reveal_as(later%' OR pg_get_viewdef('pf.corp'::regclass) LIKE '%reveal_as(person.later%' AS shown;
SELECT phi.refresh_view('pf.person', 'pf.patient'); -- ok: the name that the table had
SELECT phi.add_view('pf.person', 'pf.corp', 'limited', 'x'); -- fails: taken

-- taken away
SELECT phi.remove_view('pf.patient'); -- fails
CREATE VIEW pf.on_top AS SELECT id, born FROM pf.corp;
SELECT phi.remove_view('pf.corp'); -- fails
DROP VIEW pf.on_top;
SELECT phi.remove_view('pf.corp');
DROP VIEW pf.visit_uni;
SELECT view, recipient FROM phi.view_profile ORDER BY 1;
SELECT phi.unprotect('pf.person'), phi.unprotect('pf.visit');
SELECT count(*) AS left_over FROM phi.view_profile;
SELECT relname FROM pg_class WHERE relnamespace = 'pf'::regnamespace AND relkind = 'v';

SELECT phi.unenroll(r::regrole) FROM unnest('{pf_doctor,pf_uni,pf_corp}'::text[]) r;
SELECT phi.revoke_duty(r::regrole, 'application') FROM unnest('{pf_doctor,pf_uni,pf_corp,pf_privacy}'::text[]) r;
SELECT phi.revoke_duty('pf_privacy', 'privacy_officer');
SET client_min_messages = error;
DROP SCHEMA pf CASCADE;
REVOKE ALL ON ALL TABLES IN SCHEMA phi FROM pf_owner, pf_doctor, pf_uni, pf_corp, pf_privacy;
DROP ROLE pf_owner, pf_doctor, pf_uni, pf_corp, pf_privacy;
DELETE FROM phi.pseudonym;
DELETE FROM phi.role_rule WHERE workforce_role LIKE 'pf\_%';
