-- Forms of columns in views for recipients: tokens, shifted dates, bands of ages, categories of codes
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = iso;
CREATE ROLE cf_owner LOGIN;
CREATE ROLE cf_uni LOGIN;
CREATE ROLE cf_corp LOGIN;
CREATE ROLE cf_privacy LOGIN;
CREATE SCHEMA cf AUTHORIZATION cf_owner;
GRANT USAGE ON SCHEMA cf TO cf_uni, cf_corp, cf_privacy;
SELECT phi.ensure_keys();
SELECT phi.enroll('cf_uni', 'cf_ann', '{cf_one}', '{HRESCH}', organization => 'Uni');
SELECT phi.enroll('cf_corp', 'cf_bob', '{cf_limited}', '{HRESCH}', organization => 'Corp');
SELECT phi.enroll('cf_privacy', 'cf_paula', '{cf_limited}', '{HRESCH}');
SELECT phi.set_rule('cf_limited', 'HRESCH', 'all', 'limited');
SELECT phi.grant_duty(r::regrole, 'application') FROM unnest('{cf_uni,cf_corp,cf_privacy}'::text[]) r;
SELECT phi.grant_duty('cf_privacy', 'privacy_officer');
SET SESSION AUTHORIZATION cf_owner;
CREATE TABLE cf.patient (id bigint PRIMARY KEY, mrn text, ssn text, born date, seen timestamptz, age smallint, years text, weight_age numeric,
	diagnosis text, zip text, name text);
INSERT INTO cf.patient VALUES
	(1, 'MRN-0004711', '123-45-6789', '1985-12-10', '2024-02-29 12:34:56.789+00', 38, '38', 38.9, 'J45.901', '02139', 'Ada'),
	(2, 'MRN-0004712', '12345', '0044-03-15 BC', '4714-11-24 00:00+00 BC', 89, ' 89 ', 89.9, 'j45', '02139', 'Bob'),
	(3, '', '', 'infinity', '-infinity', 90, '90', 'NaN', 'asthma', '02139', 'Cy'),
	(4, 'MRN-Zoë-0004711', repeat('9', 73), '5874897-12-31', '294276-12-31 23:59:59+00', 130, '999999999999', 1e300, 'Z99.89999', '02139', 'Di'),
	(5, repeat('MRN ', 262144), 'ABCDE', '4714-11-24 BC', '2000-01-01 00:00+00', 0, 'old', -1, '', '02139', 'Ed'),
	(6, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(7, 'MRN-0004711', '123456', '2000-02-29', 'infinity', -1, '', 4.99, 'U07.1', '02139', 'Flo');
CREATE TABLE cf.visit (id bigint PRIMARY KEY, patient bigint, seen date, mrn text);
INSERT INTO cf.visit SELECT 10 + i, i, '1985-12-10', 'MRN-0004711' FROM generate_series(1, 7) i;
RESET SESSION AUTHORIZATION;
SELECT count(phi.classify('cf.patient', c, k)) FROM (VALUES ('mrn', 'mrn'), ('ssn', 'ssn'), ('born', 'birth_date'), ('seen', 'service_date'), ('age', 'age'),
	('years', 'age'), ('weight_age', 'age'), ('diagnosis', 'diagnosis'), ('zip', 'zip'), ('name', 'name')) v (c, k);
SELECT count(phi.classify('cf.visit', c, k)) FROM (VALUES ('seen', 'service_date'), ('mrn', 'mrn')) v (c, k);
SELECT phi.protect('cf.patient', 'id'), phi.protect('cf.visit', 'patient');
SELECT coalesce(max(id), 0) AS consents FROM phi.consent \gset
SELECT count(phi.grant_consent(i::bigint, purpose => 'HRESCH')) FROM generate_series(1, 7) i;

-- the officer is told what a kind or a type cannot have, and that a view as a whole has none of these
SELECT phi.add_view('cf.patient', 'cf.x', 'limited', 'Uni', '{"name": "token"}'); -- fails
SELECT phi.add_view('cf.patient', 'cf.x', 'limited', 'Uni', '{"zip": "token"}'); -- fails
SELECT phi.add_view('cf.patient', 'cf.x', 'limited', 'Uni', '{"age": "shifted"}'); -- fails
SELECT phi.add_view('cf.patient', 'cf.x', 'limited', 'Uni', '{"mrn": "shifted"}'); -- fails
SELECT phi.add_view('cf.patient', 'cf.x', 'limited', 'Uni', '{"seen": "age_band"}'); -- fails
SELECT phi.add_view('cf.patient', 'cf.x', 'limited', 'Uni', '{"zip": "category"}'); -- fails
SELECT phi.add_view('cf.patient', 'cf.x', 'limited', 'Uni', '{"mrn": "tokens"}'); -- fails
SELECT phi.add_view('cf.patient', 'cf.x', 'limited', 'Uni', '{"mrn": null}'); -- fails
SELECT phi.add_view('cf.patient', 'cf.x', f, 'Uni') FROM unnest('{token}'::text[]) f; -- fails
SELECT phi.add_view('cf.patient', 'cf.x', 'age_band', 'Uni'); -- fails
SELECT phi.set_rule('cf_one', 'HRESCH', 'mrn', 'token'); -- fails: no rule grants them
SELECT phi.redact('4711'::text, 'mrn', 'token'); -- fails
SELECT phi.redact(date '2000-01-01', 'birth_date', 'shifted'); -- fails
SELECT kind, form, phi.form_fits(form, kind, 'phi.encrypted_text') AS text, phi.form_fits(form, kind, 'phi.encrypted_date') AS date,
	phi.form_fits(form, kind, 'phi.encrypted_timestamptz') AS time, phi.form_fits(form, kind, 'phi.encrypted_numeric') AS number
	FROM unnest('{name,zip,birth_date,death_date,service_date,age,phone,ssn,mrn,health_plan,account,license,vehicle,device,unique_id,free_text,diagnosis,lab,other}'::text[]) kind,
	unnest('{token,shifted,age_band,category}'::text[]) form
	WHERE phi.form_fits(form, kind, 'phi.encrypted_text') OR phi.form_fits(form, kind, 'phi.encrypted_date') OR phi.form_fits(form, kind, 'phi.encrypted_numeric')
		OR phi.form_fits(form, kind, 'phi.encrypted_jsonb') ORDER BY form, kind;

SELECT phi.add_view('cf.patient', 'cf.uni', 'limited', 'Uni', '{"mrn": "token", "ssn": "token", "born": "shifted", "seen": "shifted", "age": "age_band",
	"years": "age_band", "weight_age": "age_band", "diagnosis": "category"}'),
	phi.add_view('cf.patient', 'cf.bands', 'safe_harbor', 'Uni', '{"born": "age_band"}'),
	phi.add_view('cf.visit', 'cf.visit_uni', 'none', 'Uni', '{"seen": "shifted", "mrn": "token"}'),
	phi.add_view('cf.visit', 'cf.visit_corp', 'none', 'Corp', '{"seen": "shifted", "mrn": "token"}');
SELECT phi.add_view('cf.visit', 'cf.visit_plain', 'limited', 'Uni'); -- ok, with a warning: the same dates, not shifted
SELECT phi.remove_view('cf.visit_plain');
SELECT detail FROM phi_audit.event WHERE action = 'add_view' AND relation = 'cf.visit' ORDER BY event_id;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'cf.uni'::regclass AND attnum > 0 ORDER BY attnum;
GRANT SELECT ON cf.uni, cf.bands, cf.visit_uni, cf.visit_corp TO cf_uni, cf_corp, cf_privacy;
GRANT SELECT ON cf.patient_redacted TO cf_corp;

-- what the session's form has to be: none below limited has a token, none but those of whole dates a shifted one
CREATE TABLE cf.answer (n int GENERATED ALWAYS AS IDENTITY, form text, token boolean, shifted boolean, shifted_time boolean, band boolean, category boolean,
	birth_band boolean, zip text);
GRANT INSERT, SELECT ON cf.answer TO cf_uni;
\set ask 'INSERT INTO cf.answer (form, token, shifted, shifted_time, band, category, zip, birth_band) SELECT :''form'', count(mrn) > 0, count(born) > 0, count(seen) > 0, count(age) > 0, count(diagnosis) > 0, max(zip), (SELECT count(born) > 0 FROM cf.bands) FROM cf.uni;'
\set form 'no purpose'
SET SESSION AUTHORIZATION cf_uni;
:ask
SELECT phi.set_purpose('HRESCH');
RESET SESSION AUTHORIZATION;
\set form 'no rule'
SET SESSION AUTHORIZATION cf_uni;
:ask
RESET SESSION AUTHORIZATION;
\set form none
SELECT phi.set_rule('cf_one', 'HRESCH', 'all', :'form');
SET SESSION AUTHORIZATION cf_uni;
:ask
RESET SESSION AUTHORIZATION;
\set form pseudonym
SELECT phi.set_rule('cf_one', 'HRESCH', 'all', :'form');
SET SESSION AUTHORIZATION cf_uni;
:ask
RESET SESSION AUTHORIZATION;
\set form safe_harbor
SELECT phi.set_rule('cf_one', 'HRESCH', 'all', :'form');
SET SESSION AUTHORIZATION cf_uni;
:ask
RESET SESSION AUTHORIZATION;
\set form partial
SELECT phi.set_rule('cf_one', 'HRESCH', 'all', :'form');
SET SESSION AUTHORIZATION cf_uni;
:ask
RESET SESSION AUTHORIZATION;
\set form full
SELECT phi.set_rule('cf_one', 'HRESCH', 'all', :'form');
SET SESSION AUTHORIZATION cf_uni;
:ask
RESET SESSION AUTHORIZATION;
\set form limited
SELECT phi.set_rule('cf_one', 'HRESCH', 'all', :'form');
SET SESSION AUTHORIZATION cf_uni;
:ask
RESET SESSION AUTHORIZATION;
SELECT form, token, shifted, shifted_time, band, birth_band, category, zip FROM cf.answer ORDER BY n; -- zip: of who sees a part of it, a limited view shows that part

-- values: total, of the same type; what has no form is NULL and no error
SET SESSION AUTHORIZATION cf_uni;
SELECT age, years, weight_age, diagnosis FROM cf.uni ORDER BY age, years, weight_age;
SELECT born, count(*) FROM cf.bands GROUP BY born ORDER BY born;
SELECT count(*) AS rows, count(mrn) AS mrns, count(DISTINCT mrn) AS of_two, count(ssn) AS ssns, count(born) BETWEEN 3 AND 5 AS dates, count(seen) BETWEEN 2 AND 4 AS times FROM cf.uni; -- at its ends a date may have no other
SELECT mrn ~ '^[A-Z]{3}-[0-9]{7}$' AS format, mrn NOT IN ('MRN-0004711', 'MRN-0004712') AS other, count(*) FROM cf.uni WHERE mrn IS NOT NULL GROUP BY 1, 2;
SELECT count(*) FROM cf.uni WHERE mrn = 'MRN-0004711' OR ssn = '123-45-6789' OR born = '1985-12-10' OR seen = '2024-02-29 12:34:56.789+00'; -- none: what the view shows is compared
-- the same value has the same token in another table; the dates of a subject move alike; time of day stays
SELECT count(*) AS same_token FROM cf.uni u JOIN cf.visit_uni v USING (mrn);
SELECT v.seen - u.born AS days, (u.seen - u.born)::text AS since, abs(u.born - '1985-12-10') BETWEEN 1 AND 365 AS moved FROM cf.uni u, cf.visit_uni v WHERE u.age = 35 AND v.seen = u.born;
SELECT id, patient, count(seen) > 3 AS seen FROM cf.visit_uni GROUP BY 1, 2;
-- nobody asks for another recipient's
SELECT count(mrn) AS tokens, count(seen) AS dates, count(*) FROM cf.visit_corp;
SELECT phi.redact('x'::text, 'mrn', 'age_band') IS NULL AS nothing, phi.redact(37, 'age', 'age_band') AS band, phi.redact('J45.9'::text, 'diagnosis', 'category') AS category;
SELECT mrn FROM cf.patient; -- fails
SET SESSION AUTHORIZATION cf_corp;
SELECT phi.set_purpose('HRESCH');
SELECT count(mrn) AS tokens, count(born) AS dates, count(age) AS bands, count(*) FROM cf.uni; -- bands need no key, and no recipient
SELECT count(mrn) AS tokens, count(seen) AS dates FROM cf.visit_corp;
SELECT count(*) AS shared FROM cf.visit_corp c WHERE c.mrn IN (SELECT u.mrn FROM cf.visit_uni u);
RESET SESSION AUTHORIZATION;
-- they are those of phi.fpe_token and phi.shift_date
CREATE VIEW cf.expected AS SELECT phi.fpe_token('MRN-0004711', 'Uni') AS mrn, phi.shift_date('1985-12-10', phi.subject_token(1::bigint), 'Uni') AS born;
CREATE TABLE cf.made AS SELECT * FROM cf.expected;
GRANT SELECT ON cf.made TO cf_uni;
SET SESSION AUTHORIZATION cf_uni;
SELECT count(*) FROM cf.uni JOIN cf.made USING (mrn, born);

-- a plan outlives who asked first
SET plan_cache_mode = force_generic_plan;
PREPARE tokens AS SELECT count(mrn) AS tokens, count(born) > 0 AS dates FROM cf.uni;
EXECUTE tokens; -- of the recipient
SET SESSION AUTHORIZATION cf_corp;
EXECUTE tokens; -- of another
SET SESSION AUTHORIZATION cf_uni;
EXECUTE tokens; -- of the recipient again
DEALLOCATE tokens;
RESET plan_cache_mode;
RESET SESSION AUTHORIZATION;
SET ROLE cf_uni;
SELECT count(mrn) AS tokens FROM cf.uni; -- a role that was only set asks for nobody
RESET ROLE;

-- phi.reveal_as, called by hand: the column, the row and the recipient decide
SELECT column_id AS mrn_id FROM phi.column_policy WHERE relation = 'cf.patient'::regclass AND column_name = 'mrn' \gset
GRANT SELECT ON cf.patient TO cf_uni;
SET SESSION AUTHORIZATION cf_uni;
SELECT phi.reveal_as(mrn, :mrn_id, 'token', 'Uni', id) IS NOT NULL AS own, phi.reveal_as(mrn, :mrn_id, 'token', NULL, id) IS NOT NULL AS own_again,
	phi.reveal_as(mrn, :mrn_id, 'token', 'Corp', id) IS NULL AS no_other, phi.reveal_as(mrn, :mrn_id, 'shifted', 'Uni', id) IS NULL AS no_date,
	phi.reveal_as(mrn, :mrn_id, 'category', 'Uni', id) IS NULL AS no_category FROM cf.patient WHERE id = 1;
SELECT phi.reveal_as(mrn, :mrn_id, 'token', 'Uni', 2::bigint) FROM cf.patient WHERE id = 1; -- fails: another row
SELECT phi.reveal_as(ssn, :mrn_id, 'token', 'Uni', id) FROM cf.patient WHERE id = 1; -- fails: another column
SELECT phi.reveal_as('MRN-0004711'::phi.encrypted_text, :mrn_id, 'token', 'Uni') IS NULL AS no_value_of_theirs;
RESET SESSION AUTHORIZATION;
REVOKE SELECT ON cf.patient FROM cf_uni;

-- a consent that is taken back takes the token with it; nothing is recorded for who sees nothing
SELECT phi.deny_consent(1::bigint, purpose => 'HRESCH') > 0 AS denied;
SET SESSION AUTHORIZATION cf_uni;
SELECT count(mrn) AS tokens, count(*) FROM cf.uni;
RESET SESSION AUTHORIZATION;
SELECT DISTINCT f.form FROM phi_audit.event e, regexp_split_to_table(e.detail, ', ') f (form) WHERE e.action = 'disclose' AND e.relation = 'cf.visit'
	AND e.organization = 'Uni' ORDER BY 1;
SELECT DISTINCT f.form FROM phi_audit.event e, regexp_split_to_table(e.detail, ', ') f (form) WHERE e.action = 'disclose' AND e.relation = 'cf.patient'
	AND e.organization = 'Corp' ORDER BY 1; -- bands alone: what is another recipient's was not opened

-- who makes pseudonyms, and releases, has the recipient's view shown; the manifest names the forms
CREATE SCHEMA cf_out AUTHORIZATION cf_privacy;
SET SESSION AUTHORIZATION cf_privacy;
SELECT phi.set_purpose('HRESCH');
SELECT phi.record_agreement('DUA-1', 'Uni', now() + '1 year');
SELECT jsonb_pretty(phi.release('cf.uni', 'Uni', 'HRESCH', 'DUA-1', now() + '1 day', 'cf_out.study')->'columns');
SELECT count(mrn) AS mrns, count(born) > 1 AS dates FROM cf_out.study;
SELECT phi.set_purpose(NULL);
RESET SESSION AUTHORIZATION;

-- a column whose kind is another one now shows nothing; a renamed one keeps its form
SELECT phi.classify('cf.patient', 'mrn', 'other');
ALTER TABLE cf.patient RENAME COLUMN born TO birthday;
SET SESSION AUTHORIZATION cf_uni;
SELECT count(mrn) AS tokens, count(birthday) > 0 AS dates FROM cf.uni;
RESET SESSION AUTHORIZATION;
SELECT column_forms->>'birthday' AS form FROM phi.view_profile WHERE view = 'cf.uni'::regclass;

SELECT phi.unprotect('cf.patient'), phi.unprotect('cf.visit');
SELECT phi.unenroll(r::regrole) FROM unnest('{cf_uni,cf_corp,cf_privacy}'::text[]) r;
SELECT phi.revoke_duty(r::regrole, 'application') FROM unnest('{cf_uni,cf_corp,cf_privacy}'::text[]) r;
SELECT phi.revoke_duty('cf_privacy', 'privacy_officer');
SET client_min_messages = error;
DROP SCHEMA cf, cf_out CASCADE;
DROP ROLE cf_owner, cf_uni, cf_corp, cf_privacy;
DELETE FROM phi.consent WHERE id > :consents;
DELETE FROM phi.release_manifest;
DELETE FROM phi.agreement;
DELETE FROM phi.role_rule WHERE workforce_role LIKE 'cf\_%';
RESET timezone;
RESET datestyle;
