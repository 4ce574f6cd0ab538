-- The redacted view: what it shows, and how it keeps its name, privileges and dependants
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE rd_owner LOGIN;
CREATE ROLE rd_billing LOGIN;
CREATE ROLE rd_reader;
CREATE SCHEMA rd AUTHORIZATION rd_owner;
CREATE SCHEMA rd_app AUTHORIZATION rd_owner;
GRANT USAGE ON SCHEMA rd, rd_app TO rd_billing;
SELECT count(*) = 0 AS bare FROM phi.role_rule \gset
SELECT phi.install_default_rules() >= 0 AS rules;
SELECT phi.enroll('rd_billing', 'bill', '{billing}', '{HPAYMT}');
SELECT phi.grant_duty('rd_billing', 'application');
RESET client_min_messages;

-- forms of one value: the function that shows them
SELECT kind, form, phi.redact(value, kind, form) FROM (VALUES ('name', 'Ada Byron'), ('ssn', '123-45-6789'), ('zip', '03601'),
	('zip', '02139'), ('email', 'ada@example.org'), ('phone', '617-555-0123'), ('birth_date', '1985-12-10'), ('free_text', 'seen'),
	('diagnosis', 'J45'), ('none', 'plain')) v (kind, value), unnest('{full,partial,safe_harbor,none}'::text[]) AS f (form);
SELECT phi.redact('x', 'nickname', 'full'); -- fails
SELECT phi.redact('x', 'name', 'most'); -- fails
SELECT phi.redact('x', 'name', 'pseudonym') IS NULL AS looked_up;
SELECT phi.redact(NULL, 'name', 'full') IS NULL AS nothing;

-- the view: keys as they are, classified columns revealed, none as it is, everything else NULL of its type
SET SESSION AUTHORIZATION rd_owner;
CREATE TABLE rd.patient (id bigint, part char(2) COLLATE "C", name text, ssn text, born date, weight numeric(5,1), age int, doc json,
	ward varchar(10) COLLATE "POSIX", secret varchar(10) COLLATE "POSIX", stamp timestamp(3), flags bit(3), labels text[], PRIMARY KEY (part, id));
INSERT INTO rd.patient VALUES (1, 'aa', 'Ada Byron', '123-45-6789', '1985-12-10', 61.5, 38, '{"a":1}', 'W1', 'canary', now(), '101', '{N}');
RESET SESSION AUTHORIZATION;
SELECT count(phi.classify('rd.patient', c, k)) FROM (VALUES ('name', 'name'), ('ssn', 'ssn'), ('born', 'birth_date'), ('weight', 'lab'),
	('age', 'age'), ('doc', 'other'), ('ward', 'none')) v (c, k);
SELECT phi.protect('rd.patient', 'id', labels => 'labels');
SELECT regexp_replace(regexp_replace(pg_get_viewdef('rd.patient_redacted'::regclass), '\mpatient\.', '', 'g'),
	'(reveal_column\(\w+, )\d+', '\1N', 'g') AS definition;
SELECT attname, format_type(atttypid, atttypmod), attcollation::regcollation FROM pg_attribute
	WHERE attrelid = 'rd.patient_redacted'::regclass AND attnum > 0 ORDER BY attnum;
SELECT relowner::regrole, replace(relacl::text, 'tm/', 't/') AS acl, reloptions FROM pg_class WHERE oid = 'rd.patient_redacted'::regclass;
GRANT SELECT ON rd.patient_redacted TO rd_billing;
SET SESSION AUTHORIZATION rd_billing;
SELECT * FROM rd.patient_redacted;
SELECT * FROM rd.patient; -- fails: the application needs no privilege on the table
RESET SESSION AUTHORIZATION;

-- generated again it is the same view: OID, owner, privileges, comment, options, dependants
COMMENT ON VIEW rd.patient_redacted IS 'for the application';
COMMENT ON COLUMN rd.patient_redacted.name IS 'its name';
ALTER VIEW rd.patient_redacted SET (check_option = 'local'); -- ok, but it has no condition to check, and loses it
ALTER VIEW rd.patient_redacted SET (security_barrier = true);
GRANT SELECT (name, id), UPDATE (ward) ON rd.patient_redacted TO rd_reader WITH GRANT OPTION;
REVOKE DELETE ON rd.patient_redacted FROM rd_owner;
CREATE VIEW rd_app.names AS SELECT name FROM rd.patient_redacted;
SELECT 'rd.patient_redacted'::regclass::oid AS before \gset
SELECT phi.refresh_view('rd.patient');
SELECT phi.classify('rd.patient', 'secret', 'none');
SELECT 'rd.patient_redacted'::regclass::oid = :before AS same, relowner::regrole, replace(relacl::text, 'tm/', 't/') AS acl, reloptions, obj_description(oid, 'pg_class')
	FROM pg_class WHERE oid = 'rd.patient_redacted'::regclass;
SELECT pg_get_viewdef('rd.patient_redacted'::regclass) LIKE '%secret,%' AS shown, pg_get_viewdef('rd.patient_redacted'::regclass) LIKE '%NULL::character varying%' AS hidden;

-- a column whose type changes in the view: it has to be made anew, which dependants prevent
\set VERBOSITY default
SELECT phi.classify('rd.patient', 'secret', 'other'); -- fails
\set VERBOSITY terse
SELECT column_name, kind, encrypted FROM phi.protected_column WHERE relation = 'rd.patient'::regclass AND column_name = 'secret';
DROP VIEW rd_app.names;
CREATE FUNCTION rd.noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER mine INSTEAD OF UPDATE ON rd.patient_redacted FOR EACH ROW EXECUTE FUNCTION rd.noop();
\set VERBOSITY default
SELECT phi.classify('rd.patient', 'secret', 'other'); -- fails
\set VERBOSITY terse
DROP TRIGGER mine ON rd.patient_redacted;
SELECT phi.classify('rd.patient', 'secret', 'other'); -- ok
SELECT 'rd.patient_redacted'::regclass::oid = :before AS same, relowner::regrole, replace(relacl::text, 'tm/', 't/') AS acl, reloptions, obj_description(oid, 'pg_class')
	FROM pg_class WHERE oid = 'rd.patient_redacted'::regclass;
SELECT attname, attacl, col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'rd.patient_redacted'::regclass AND attname IN ('id', 'name', 'ward') ORDER BY 1;
SET SESSION AUTHORIZATION rd_billing;
SELECT name, secret FROM rd.patient_redacted;
RESET SESSION AUTHORIZATION;

-- one that was dropped is made again, under any name but one that is taken
DROP VIEW rd.patient_redacted;
SELECT view FROM phi.protected_table WHERE relation = 'rd.patient'::regclass;
CREATE VIEW rd.patient_redacted AS SELECT 1 AS id;
SELECT phi.refresh_view('rd.patient'); -- fails
SELECT phi.refresh_view('rd.patient', 'rd_app.patient'); -- ok: the table's own name in another schema
SELECT phi.refresh_view('rd.patient', 'other'); -- fails: it has one
DROP VIEW rd.patient_redacted;
ALTER VIEW rd_app.patient RENAME TO people;
ALTER VIEW rd_app.people SET SCHEMA rd;
SELECT phi.refresh_view('rd.patient'); -- ok: it is the same view
SELECT view FROM phi.protected_table WHERE relation = 'rd.patient'::regclass;

-- a view that a superuser redefined is ours again, and shows nobody more in between
CREATE OR REPLACE VIEW rd.people AS SELECT id, part, name::text AS name, ssn::text AS ssn, NULL::date AS born, NULL::numeric AS weight, NULL::int AS age,
	NULL::json AS doc, ward, NULL::text AS secret, stamp, flags, labels FROM rd.patient; -- ok
SET SESSION AUTHORIZATION rd_owner;
GRANT SELECT ON rd.people TO rd_billing;
SET SESSION AUTHORIZATION rd_billing;
SELECT left(name, 6) AS name, left(ssn, 6) AS ssn FROM rd.people; -- ciphertext
RESET SESSION AUTHORIZATION;
SELECT phi.refresh_view('rd.patient');
SET SESSION AUTHORIZATION rd_billing;
SELECT id, part, name, ssn, born FROM rd.people;
RESET SESSION AUTHORIZATION;

SET client_min_messages = warning;
SELECT phi.unprotect('rd.patient');
SELECT phi.unenroll('rd_billing'), phi.revoke_duty('rd_billing', 'application');
SET client_min_messages = error;
DROP SCHEMA rd, rd_app CASCADE;
DROP ROLE rd_owner, rd_billing, rd_reader;
\if :bare
DELETE FROM phi.role_rule;
\endif

-- a limited data set (45 CFR 164.514(e)): dates, places but the street, and clinical content stay
SELECT kind, phi.redact('2010 Oak St 02139', kind, 'limited') AS limited FROM unnest('{name,address,city,county,state,zip,geo,age,
	phone,fax,email,ssn,mrn,health_plan,account,license,vehicle,device,url,ip,biometric,photo,unique_id,free_text,diagnosis,lab,other}'::text[]) AS kind;

-- free text: by form, by what is known, and never an error
SELECT phi.scrub('Pt called (617) 555-0100, SSN 123-45-6789, seen by Dr. Jane Roe on 3/14/2020, aged 93');
SELECT phi.scrub('Jane saw ROE''s aunt on elm street, no 47-11; jane did not', ARRAY['Jane', 'Roe', NULL, ''], ARRAY['Elm Street', '4711']);
SELECT phi.scrub(NULL) IS NULL AS nothing, phi.scrub('') = '' AS empty, phi.scrub('Gelencsér Zoë', '{Gelencsér}') AS letters, phi.scrub('x', NULL, NULL) AS nulls;
SELECT length(phi.scrub(repeat('call 617-555-0100 ', 60000))) AS long;
SELECT phi.scrub('x', array_fill('y'::text, ARRAY[101])); -- fails
