-- Columns of every shape: what they are before they are classified, what they may become, and the row as a whole
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET datestyle = iso;
CREATE ROLE as_owner LOGIN;
CREATE ROLE as_full LOGIN;
CREATE ROLE as_partial LOGIN;
CREATE SCHEMA sh AUTHORIZATION as_owner;
GRANT USAGE ON SCHEMA sh TO PUBLIC;
CREATE EXTENSION citext SCHEMA sh;
SELECT phi.ensure_keys();
SELECT phi.enroll('as_full', 'full', '{as_full}', '{TREAT}'), phi.enroll('as_partial', 'partial', '{as_partial}', '{TREAT}');
SELECT phi.set_rule('as_full', 'TREAT', 'all', 'full'), phi.set_rule('as_partial', 'TREAT', 'all', 'partial');
SELECT count(phi.grant_duty(r::regrole, 'application')) FROM unnest('{as_owner,as_full,as_partial}'::text[]) r;

SET SESSION AUTHORIZATION as_owner;
CREATE TYPE sh.mood AS ENUM ('canary', 'calm');
CREATE TYPE sh.address AS (street text, zip text);
CREATE DOMAIN sh.word AS text CHECK (value <> '');
CREATE DOMAIN sh.words AS text[];
CREATE DOMAIN sh.place AS sh.address;
CREATE TYPE sh.span AS RANGE (subtype = text);
CREATE TABLE sh.patient (id bigint PRIMARY KEY, name text, t_citext sh.citext, t_enum sh.mood, t_domain sh.word, t_array text[], t_dates date[], t_domain_array sh.words, t_row sh.address,
	t_row_domain sh.place, t_rows sh.address[], t_range sh.span, t_json json, t_jsonb jsonb, t_bytea bytea, t_uuid uuid, t_inet inet, t_bit bit varying, t_time time, t_interval interval,
	t_stamp timestamp, t_money money, t_point point, t_tsvector tsvector, t_oid regclass, t_bool boolean, t_char char(6), t_real real,
	t_generated text GENERATED ALWAYS AS (lower(name) || '-canary') STORED, t_generated_too text GENERATED ALWAYS AS ('canary' || id) STORED, t_sealed phi.encrypted_text, t_sealed_array phi.encrypted_text[]);
INSERT INTO sh.patient VALUES (1, 'Zanthippe Quorl', 'canary', 'canary', 'canary', '{canary}', '{1971-07-23}', '{canary}', ROW('canary', '02139'), ROW('canary', '02139'), ARRAY[ROW('canary', '02139')::sh.address], '[canary,canary]',
	'{"a": "canary"}', '{"a": "canary"}', 'canary', '12345678-1234-5678-1234-567812345678', '10.11.12.13', B'10110111', '12:13:14', '5 years', '1971-07-23 12:13:14', 4711.99, '(4711,4712)', 'canary',
	'pg_proc', true, 'canary', 4711.5, DEFAULT, DEFAULT, 'canary', '{canary}');
CREATE FUNCTION sh.noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
RESET SESSION AUTHORIZATION;

-- a column that another one is generated from stands in the way, with what to do
SELECT phi.classify('sh.patient', 'name', 'name');
SELECT action, object, statement FROM phi.protect_plan('sh.patient', 'id') WHERE blocker ORDER BY 1, 2;
SELECT phi.protect('sh.patient', 'id'); -- fails
ALTER TABLE sh.patient ALTER t_generated DROP EXPRESSION;
SELECT phi.protect('sh.patient', 'id'); -- ok
GRANT SELECT, UPDATE ON sh.patient_redacted TO as_full, as_partial;

-- nothing that is not classified is shown, whatever its shape, and no type is lost
SELECT count(*) AS columns, count(*) FILTER (WHERE v.atttypid <> t.atttypid) AS of_another_type FROM pg_attribute t JOIN pg_attribute v ON v.attname = t.attname AND v.attrelid = 'sh.patient_redacted'::regclass
	WHERE t.attrelid = 'sh.patient'::regclass AND t.attnum > 0;
SELECT t.attname, format_type(v.atttypid, v.atttypmod) AS in_view FROM pg_attribute t JOIN pg_attribute v ON v.attname = t.attname AND v.attrelid = 'sh.patient_redacted'::regclass
	WHERE t.attrelid = 'sh.patient'::regclass AND t.attnum > 0 AND v.atttypid <> t.atttypid ORDER BY t.attnum;
SET SESSION AUTHORIZATION as_full;
SELECT jsonb_strip_nulls(to_jsonb(v)) FROM sh.patient_redacted v; -- id and name
SELECT count(*) FILTER (WHERE s ~ 'canary|4711|1971|10\.11|12345678') AS leaks, count(*) AS forms FROM sh.patient_redacted v, LATERAL (VALUES (v::text), (to_jsonb(v)::text), (row_to_json(v)::text), (format('%s', v)), (ARRAY[v]::text), (concat(v)), (quote_literal(v)),
	(json_build_object('v', v)::text), ((v IS NULL)::text), (hashtext(v::text)::text), (pg_column_size(v)::text)) f (s);
SELECT (v).name, (v.t_row).street, (v.t_rows)[1].zip, v.t_array[1], v.t_jsonb->>'a', lower(v.t_range) FROM sh.patient_redacted v;
RESET SESSION AUTHORIZATION;

-- what can be classified, into what, and what cannot, with what to do instead
CREATE FUNCTION sh.classified(column_name name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	PERFORM phi.classify('sh.patient', column_name, 'other');
	RETURN (SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = 'sh.patient'::regclass AND attname = column_name);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN 'refused ' || SQLSTATE || CASE WHEN hint = '' THEN ' without a hint' ELSE '' END;
END $$;
SELECT attname, sh.classified(attname) FROM pg_attribute WHERE attrelid = 'sh.patient'::regclass AND attnum > 2 ORDER BY attnum;
SET SESSION AUTHORIZATION as_full;
SELECT v.t_citext, t_enum, t_json, t_jsonb, t_bytea, t_uuid, t_inet, t_bool, t_char, t_real, t_generated FROM sh.patient_redacted v; -- opens
SELECT t_domain, t_array, t_dates, t_domain_array, t_row, t_row_domain, t_rows, t_range, t_bit, t_time, t_interval, t_stamp, t_money, t_point, t_tsvector, t_oid, t_sealed_array FROM sh.patient_redacted; -- NULL
SELECT count(*) AS text_equal FROM sh.patient_redacted WHERE t_citext = 'CANARY'; -- 0: text now, no citext
RESET SESSION AUTHORIZATION;

-- declared to be no health information: shown as they are, types of users included; an attribute that is added to one is part of what was declared
SELECT count(phi.classify('sh.patient', c, 'none')) FROM unnest('{t_domain,t_array,t_row,t_rows,t_range,t_generated_too}'::name[]) c;
SET SESSION AUTHORIZATION as_partial;
SELECT name, t_domain, t_array, t_row, t_rows, t_range, t_generated_too FROM sh.patient_redacted;
SET SESSION AUTHORIZATION as_owner;
ALTER TYPE sh.address ADD ATTRIBUTE floor text; -- ok
SET SESSION AUTHORIZATION as_partial;
SELECT t_row, t_rows FROM sh.patient_redacted;
UPDATE sh.patient_redacted SET t_row = ROW('Elm St', '02139', '3'), t_array = t_array || '{x}', name = name WHERE id = 1 RETURNING name, t_row, t_array; -- ok
UPDATE sh.patient_redacted v SET name = (v).name || '' WHERE v::text ~ 'Z' RETURNING (v).name; -- ok: nothing
RESET SESSION AUTHORIZATION;

-- rows compared, sorted and grouped as a whole: the form of each value, in the row too
SET row_security = off;
INSERT INTO sh.patient (id, name) VALUES (2, 'Zebedee Quince'), (3, 'Zanthippe Quorl');
RESET row_security;
CREATE VIEW sh.narrow AS SELECT name, t_uuid FROM sh.patient_redacted WHERE id > 1;
GRANT SELECT ON sh.narrow TO as_full, as_partial;
SET SESSION AUTHORIZATION as_full;
SELECT count(*) AS equal FROM sh.narrow a, sh.narrow b WHERE a = b; -- 2
SELECT count(DISTINCT n) FROM sh.narrow n; -- 2
SET SESSION AUTHORIZATION as_partial;
SELECT count(*) AS equal FROM sh.narrow a, sh.narrow b WHERE a = b; -- 4: masks
SELECT count(*) AS equal FROM sh.narrow a, sh.narrow b WHERE a *= b; -- 4
SELECT count(DISTINCT n), max(n::text) FROM sh.narrow n; -- 1
SELECT n, count(*) FROM sh.narrow n GROUP BY n;
SELECT * FROM sh.narrow n ORDER BY n LIMIT 1;
SELECT count(*) FROM (SELECT n FROM sh.narrow n INTERSECT SELECT ROW('Zanthippe Quorl', NULL)::sh.narrow) i; -- 0
RESET SESSION AUTHORIZATION;

-- what a table is built on: sealed types in domains, arrays, rows and foreign types stay sealed
SET SESSION AUTHORIZATION as_owner;
CREATE DOMAIN sh.sealed AS phi.encrypted_text;
CREATE TYPE sh.pair AS (a phi.encrypted_text, b sh.sealed);
ALTER TABLE sh.patient ADD COLUMN s1 sh.sealed DEFAULT 'canary'::phi.encrypted_text, ADD COLUMN s2 sh.pair DEFAULT ROW('canary', 'canary'), ADD COLUMN s3 phi.encrypted_text[] DEFAULT ARRAY['canary'::phi.encrypted_text];
SET SESSION AUTHORIZATION as_full;
SELECT count(s1), count(s2), count(s3) FROM sh.patient_redacted; -- 0
RESET SESSION AUTHORIZATION;
SET row_security = off;
SELECT count(*) FILTER (WHERE p::text ~ 'Quorl') AS leaks, bool_and(s1::text ~ '^phi:1:') AS in_a_domain, bool_and((s2).b::text ~ '^phi:1:') AS in_a_row, bool_and(s3::text ~ '^{phi:1:') AS in_an_array FROM (SELECT id, s1, s2, s3 FROM sh.patient) p;
RESET row_security;
SELECT phi.classify('sh.patient', 's1', 'name'); -- fails
SELECT phi.classify('sh.patient', 's2', 'name'); -- fails

SET client_min_messages = error;
DROP VIEW sh.narrow;
SELECT phi.unprotect('sh.patient');
SELECT count(*) AS back FROM sh.patient WHERE (t_citext::text, t_enum::text, t_uuid::text) = ('canary', 'canary', '12345678-1234-5678-1234-567812345678');
DROP SCHEMA sh CASCADE;
SELECT phi.unenroll('as_full'), phi.unenroll('as_partial');
SELECT count(phi.revoke_duty(r::regrole, 'application')) FROM unnest('{as_owner,as_full,as_partial}'::text[]) r;
SELECT phi.drop_rule('as_full', 'TREAT', 'all'), phi.drop_rule('as_partial', 'TREAT', 'all');
DROP OWNED BY as_owner, as_full, as_partial;
DROP ROLE as_owner, as_full, as_partial;
