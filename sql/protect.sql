-- classify, protect_plan, protect, unprotect and duties
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE pt_owner LOGIN;
CREATE ROLE pt_clinician LOGIN;
CREATE SCHEMA pt AUTHORIZATION pt_owner;
GRANT USAGE ON SCHEMA pt TO pt_clinician;
SELECT count(*) = 0 AS bare FROM phi.role_rule \gset
SELECT phi.install_default_rules() >= 0 AS rules;
SELECT phi.enroll('pt_clinician', 'dr', '{clinician}', '{TREAT}');
SELECT phi.grant_duty('pt_clinician', 'application');
SELECT phi.grant_duty('pt_owner', 'application');

-- what may be classified, and as what
SET SESSION AUTHORIZATION pt_owner;
CREATE TYPE pt.mood AS ENUM ('calm', 'sad');
CREATE DOMAIN pt.mrn AS text CHECK (value ~ '^M');
CREATE TABLE pt.t (id bigint PRIMARY KEY, name text, at timestamp, num pt.mrn, arr text[], plain text);
CREATE VIEW pt.v AS SELECT 1 AS id;
RESET SESSION AUTHORIZATION;
SELECT phi.classify('pt.t', 'name', 'name'); -- ok
SELECT phi.classify('pt.t', 'name', 'ssn'); -- ok: another kind
SELECT phi.classify('pt.t', 'name', 'name'); -- ok
SELECT phi.classify('pt.t', 'nothing', 'name'); -- fails
SELECT phi.classify('pt.t', 'ctid', 'name'); -- fails
SELECT phi.classify('pt.t', 'name', 'nickname'); -- fails
SELECT phi.classify('pt.t', 'name', NULL); -- fails
SELECT phi.classify('pt.t', 'name', 'name', searchable => true); -- fails
\set VERBOSITY default
SELECT phi.classify('pt.t', 'at', 'service_date'); -- fails: no time zone
SELECT phi.classify('pt.t', 'num', 'mrn'); -- fails: a domain
\set VERBOSITY terse
SELECT phi.classify('pt.t', 'arr', 'other'); -- fails
SELECT phi.classify('pt.t', 'arr', 'none'); -- ok: it stays as it is
SELECT phi.classify('pt.v', 'id', 'mrn'); -- fails
SELECT phi.classify('pg_catalog.pg_class', 'relname', 'name'); -- fails
SELECT phi.classify('phi.enrollment', 'actor', 'name'); -- fails
SELECT phi.declassify('pt.t', 'plain'); -- fails
SELECT phi.classify('pt.t', 'plain', 'other'), phi.declassify('pt.t', 'plain'); -- ok
SELECT * FROM phi.protected_column WHERE relation = 'pt.t'::regclass ORDER BY column_name;
CREATE TEMP TABLE pt_temp (id int PRIMARY KEY, name text);
SELECT phi.classify('pt_temp', 'name', 'name'); -- fails

-- what protect() refuses, and leaves as it was
SELECT phi.protect('pt.t', NULL); -- fails
SELECT phi.protect('pt.t', 'nobody'); -- fails
SELECT phi.protect('pt.t', 'id', labels => 'nothing'); -- fails
SELECT phi.protect('pt.t', 'id', labels => 'plain'); -- fails
SELECT phi.protect('pt.t', 'at'); -- fails
SELECT phi.protect('pt.t', 'name'); -- fails
SELECT phi.protect('pt.t', 'id', capture => 'all'); -- fails
SELECT phi.protect('pt.t', 'id', view => 'pt.v'); -- fails
SELECT phi.protect('pt.t', 'id', view => 'nowhere.x'); -- fails
SELECT phi.protect('pt.t', 'id', view => 'a.b.c'); -- fails
SELECT phi.unprotect('pt.t'); -- fails
SELECT phi.refresh_view('pt.t'); -- fails
SELECT count(*) FROM phi.protected_table; -- 0
DROP TABLE pt.t; -- and with it its classification
SELECT count(*) FROM phi.protected_column; -- 0

-- everything that can stand in the way, each with the statement that clears it
SET SESSION AUTHORIZATION pt_owner;
CREATE TABLE pt.other (code text PRIMARY KEY);
CREATE TABLE pt.b (id bigint, name text CHECK (name <> ''), code text REFERENCES pt.other, mrn text UNIQUE,
	born date, years int GENERATED ALWAYS AS (extract(year FROM born)::int) STORED, visits int GENERATED ALWAYS AS IDENTITY,
	upper_name text GENERATED ALWAYS AS (upper(name)) STORED, zip text, labels text, EXCLUDE USING btree (zip WITH =));
CREATE TABLE pt.pointing (mrn text REFERENCES pt.b (mrn));
CREATE TABLE pt.using_row (b pt.b);
CREATE TABLE pt.child () INHERITS (pt.b);
CREATE INDEX b_name ON pt.b (lower(name));
CREATE INDEX b_born ON pt.b (id) WHERE born > '2000-01-01';
CREATE STATISTICS pt.b_stats ON name, zip FROM pt.b;
CREATE VIEW pt.b_view AS SELECT name FROM pt.b;
CREATE MATERIALIZED VIEW pt.b_mat AS SELECT zip FROM pt.b;
CREATE RULE b_rule AS ON UPDATE TO pt.b WHERE old.name = 'x' DO INSTEAD NOTHING;
CREATE POLICY b_policy ON pt.b USING (name = 'x');
CREATE FUNCTION pt.noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER b_trigger BEFORE UPDATE OF name ON pt.b FOR EACH ROW EXECUTE FUNCTION pt.noop();
CREATE TRIGGER b_when BEFORE UPDATE ON pt.b FOR EACH ROW WHEN (new.zip = 'x') EXECUTE FUNCTION pt.noop();
CREATE FUNCTION pt.body() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(name) FROM pt.b; END;
RESET SESSION AUTHORIZATION;
SET client_min_messages = error;
CREATE PUBLICATION pt_columns FOR TABLE pt.b (id, mrn, name);
SET client_min_messages = warning;
SELECT phi.classify('pt.b', c, k) FROM (VALUES ('name', 'name'), ('code', 'diagnosis'), ('mrn', 'mrn'), ('born', 'birth_date'),
	('visits', 'other'), ('upper_name', 'name'), ('zip', 'zip')) v (c, k);
SELECT action, object, statement FROM phi.protect_plan('pt.b', 'id', labels => 'labels') WHERE blocker;
\set VERBOSITY default
SELECT phi.protect('pt.b', 'id', labels => 'labels'); -- fails
\set VERBOSITY terse
-- the statements of the plan, in its order
SET client_min_messages = error;
SELECT statement FROM phi.protect_plan('pt.b', 'id', labels => 'labels') WHERE blocker ORDER BY step \gexec
SET client_min_messages = warning;
SELECT * FROM phi.protect_plan('pt.b', 'id', labels => 'labels');
SELECT phi.protect('pt.b', 'id', labels => 'labels'); -- ok
SELECT phi.protect('pt.b', 'id'); -- fails: twice
-- no primary key: bound to column and subject
GRANT INSERT ON pt.b TO pt_clinician;
GRANT SELECT ON pt.b_redacted TO pt_clinician;
SET SESSION AUTHORIZATION pt_clinician;
INSERT INTO pt.b (id, name, labels, visits) VALUES (7, 'Keyless', '{N}', 3);
SELECT id, name, mrn, labels FROM pt.b_redacted;
RESET SESSION AUTHORIZATION;
SELECT phi.unprotect('pt.b'); -- ok
DROP PUBLICATION pt_columns;
SET client_min_messages = error;
DROP TABLE pt.b, pt.other, pt.pointing, pt.child CASCADE;
SET client_min_messages = warning;

-- the rarer ones have a statement, too
CREATE DOMAIN pt.short AS varchar(9) CHECK (value <> '');
CREATE TABLE pt.rare (id numeric PRIMARY KEY, at text, short text, born date, mrn text NOT NULL);
CREATE UNIQUE INDEX rare_mrn ON pt.rare (mrn);
ALTER TABLE pt.rare REPLICA IDENTITY USING INDEX rare_mrn;
CREATE TABLE pt.rare_parts (id int, born date, name text) PARTITION BY RANGE (born);
CREATE TABLE pt.rare_redacted (x int);
CREATE VIEW pt.rare_view AS SELECT born FROM pt.rare;
CREATE TYPE pt.rare_pair AS (v pt.rare_view, n int);
SELECT phi.classify('pt.rare', c, k) FROM (VALUES ('at', 'service_date'), ('short', 'other'), ('born', 'birth_date'), ('mrn', 'mrn')) v (c, k);
ALTER TABLE pt.rare ALTER at TYPE timestamp USING at::timestamp, ALTER short TYPE pt.short;
CREATE TABLE pt.rare_uses (whole pt.rare, many pt.rare[], seen pt.rare_view[]);
CREATE FUNCTION pt.rare_default() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT count(born)::int FROM pt.rare; END;
ALTER TABLE pt.rare_redacted ALTER x SET DEFAULT pt.rare_default();
INSERT INTO pt.rare VALUES (1, '2020-01-01 10:00', 'x', '1990-01-01', 'M1');
INSERT INTO pt.rare_uses SELECT r, ARRAY[r], ARRAY[(SELECT v FROM pt.rare_view v)] FROM pt.rare r;
SELECT phi.classify('pt.rare_parts', c, k) FROM (VALUES ('born', 'birth_date'), ('name', 'name')) v (c, k);
SELECT action, object, statement FROM phi.protect_plan('pt.rare', 'id') WHERE blocker;
SET client_min_messages = error;
SELECT statement FROM phi.protect_plan('pt.rare', 'id') WHERE blocker ORDER BY step \gexec
SELECT count(*) FROM phi.protect_plan('pt.rare', 'id') WHERE blocker; -- 0
SELECT phi.protect('pt.rare', 'id');
SELECT * FROM pt.rare_uses;
SELECT action, object, statement FROM phi.protect_plan('pt.rare_parts', 'id') WHERE blocker;
SELECT statement FROM phi.protect_plan('pt.rare_parts', 'id') WHERE blocker ORDER BY step \gexec
SELECT phi.protect('pt.rare_parts', 'id');
SELECT phi.unprotect('pt.rare'), phi.unprotect('pt.rare_parts');
DROP TABLE pt.rare, pt.rare_parts, pt.rare_redacted_before, pt.rare_uses CASCADE;
DROP TYPE pt.rare_pair;
DROP DOMAIN pt.short;
SET client_min_messages = warning;

-- an old table that others lean on: the statements of its plan, each run once and in order, leave nothing in the way
SET SESSION AUTHORIZATION pt_owner;
CREATE TABLE pt.base (born date, CONSTRAINT base_born CHECK (born > '1850-01-01'));
CREATE TABLE pt.old (id bigint PRIMARY KEY, mrn text CONSTRAINT old_unique UNIQUE, name text CONSTRAINT old_check CHECK (name <> ''),
	code text, boss text REFERENCES pt.old (mrn)) INHERITS (pt.base);
CREATE UNIQUE INDEX a_code ON pt.old (code);
CREATE INDEX old_name ON pt.old (lower(name));
CREATE TABLE pt.zz_bill (mrn text REFERENCES pt.old (mrn), code text REFERENCES pt.old (code), total int);
CREATE MATERIALIZED VIEW pt.a_low AS SELECT id, name, mrn FROM pt.old;
CREATE INDEX a_low_name ON pt.a_low (name);
CREATE VIEW pt.b_mid AS SELECT id, upper(name) AS name FROM pt.a_low;
CREATE VIEW pt.c_top AS SELECT m.id, l.mrn FROM pt.b_mid m JOIN pt.a_low l USING (id);
CREATE VIEW pt.a_count AS SELECT count(*) AS n FROM pt.c_top;
CREATE FUNCTION pt.d_rows() RETURNS SETOF pt.b_mid LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT * FROM pt.b_mid; END';
CREATE FUNCTION pt.a_total() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT n FROM pt.a_count; END;
ALTER TABLE pt.zz_bill ALTER total SET DEFAULT pt.a_total();
CREATE VIEW pt.a_form AS SELECT id, name FROM pt.old;
CREATE RULE z_form AS ON UPDATE TO pt.a_form DO INSTEAD UPDATE pt.old o SET name = new.name WHERE o.id = old.id;
CREATE RULE old_rule AS ON DELETE TO pt.old WHERE old.name = 'x' DO INSTEAD NOTHING;
CREATE RULE bill_rule AS ON DELETE TO pt.zz_bill WHERE EXISTS (SELECT FROM pt.c_top) DO INSTEAD NOTHING;
CREATE FUNCTION pt.is_mine(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN $1 = current_user; END';
CREATE POLICY old_policy ON pt.old USING (pt.is_mine(name));
CREATE POLICY bill_policy ON pt.zz_bill USING (mrn IN (SELECT mrn FROM pt.c_top));
CREATE TRIGGER old_of BEFORE UPDATE OF mrn ON pt.old FOR EACH ROW EXECUTE FUNCTION pt.noop();
CREATE TRIGGER old_when BEFORE INSERT ON pt.old FOR EACH ROW WHEN (new.name = 'x') EXECUTE FUNCTION pt.noop();
CREATE STATISTICS pt.old_stats ON name, mrn FROM pt.old;
INSERT INTO pt.old (id, mrn, name, code, boss, born) VALUES (1, 'M1', 'Ada', 'E11', 'M1', '1990-01-01');
INSERT INTO pt.zz_bill VALUES ('M1', 'E11', 5);
RESET SESSION AUTHORIZATION;
SET client_min_messages = error;
CREATE PUBLICATION pt_old FOR TABLE pt.old (id, mrn);
SET client_min_messages = warning;
SELECT count(phi.classify('pt.old', c, k)) FROM (VALUES ('mrn', 'mrn'), ('name', 'name'), ('code', 'diagnosis'), ('boss', 'mrn'),
	('born', 'birth_date')) v (c, k);
SELECT action, object FROM phi.protect_plan('pt.old', 'id') WHERE blocker ORDER BY step;
SELECT statement FROM phi.protect_plan('pt.old', 'id') WHERE blocker ORDER BY step \gexec
SELECT count(*) FROM phi.protect_plan('pt.old', 'id') WHERE blocker; -- 0
SELECT phi.protect('pt.old', 'id'); -- ok
SELECT attname, format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = 'pt.old'::regclass AND attnum > 0 ORDER BY attname;
-- what stands on the redacted view is not in the way of a further column
ALTER TABLE pt.old ADD note text;
SELECT phi.classify('pt.old', 'note', 'none');
CREATE VIEW pt.a_note AS SELECT id FROM pt.old_redacted;
SELECT phi.classify('pt.old', 'note', 'free_text'); -- ok
DROP VIEW pt.a_note;
SELECT phi.unprotect('pt.old');
DROP PUBLICATION pt_old;
DROP TABLE pt.zz_bill, pt.old, pt.base;

-- every type there and back: values, types, defaults, nulls
SET SESSION AUTHORIZATION pt_owner;
CREATE SEQUENCE pt.numbers;
CREATE TABLE pt.types (id uuid PRIMARY KEY, t text DEFAULT 'it''s "%s"', v varchar(8) DEFAULT 'v', c char(5), e pt.mood DEFAULT 'sad',
	u uuid DEFAULT gen_random_uuid(), i inet, b boolean DEFAULT true, d date DEFAULT CURRENT_DATE, z timestamptz DEFAULT now(), i2 smallint DEFAULT -1, i4 int,
	i8 bigint DEFAULT nextval('pt.numbers'), n numeric(12,3) DEFAULT 1.5, f4 real, f8 float8, j json, jb jsonb DEFAULT '{}', y bytea DEFAULT '\x00ff');
INSERT INTO pt.types VALUES ('00000000-0000-0000-0000-000000000001', 'canary', 'v1', 'c', 'calm', '11111111-1111-1111-1111-111111111111', '10.0.0.1/8', false,
	'infinity', '2024-02-29 12:00+00', 32767, -5, 9007199254740993, 3.125, 1e-30, 1/3.0::float8, '{"a": 1}', '{"b": [1]}', '\xdeadbeef');
INSERT INTO pt.types (id, f4, f8) VALUES ('00000000-0000-0000-0000-000000000002', 'NaN', '-Infinity');
INSERT INTO pt.types VALUES ('00000000-0000-0000-0000-000000000003', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE pt.types_before AS SELECT * FROM pt.types;
ANALYZE pt.types;
RESET SESSION AUTHORIZATION;
CREATE TEMP TABLE shape AS SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull, pg_get_expr(adbin, adrelid) AS value
	FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = 'pt.types'::regclass AND attnum > 0;
SELECT count(phi.classify('pt.types', attname, 'other')) FROM shape WHERE attname <> 'id';
SELECT phi.protect('pt.types', 'id');
SELECT attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(adbin, adrelid) FROM pg_attribute a
	LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = 'pt.types'::regclass AND attnum > 1 ORDER BY attnum;
SELECT attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE attrelid = 'pt.types_redacted'::regclass AND attnum > 1 ORDER BY attnum;
SELECT count(*) FROM pg_statistic WHERE starelid = 'pt.types'::regclass AND staattnum > 1; -- 0
CHECKPOINT;
SELECT position('canary' IN encode(pg_read_binary_file(pg_relation_filepath('pt.types')), 'escape')); -- 0
SELECT position('canary' IN encode(pg_read_binary_file(pg_relation_filepath('pt.types_before')), 'escape')) > 0 AS control; -- t
GRANT SELECT ON pt.types_redacted TO pt_clinician;
GRANT SELECT, INSERT ON pt.types TO pt_clinician;
GRANT SELECT ON pt.types_before TO pt_clinician;
GRANT USAGE ON SEQUENCE pt.numbers TO pt_clinician;
SET SESSION AUTHORIZATION pt_clinician;
SELECT count(*) AS same FROM pt.types_redacted r JOIN pt.types_before b USING (id)
	WHERE (r.t, r.v, r.c, r.e, r.u, r.i, r.b, r.d, r.z, r.i2, r.i4, r.i8, r.n, r.f4, r.f8, r.j::text, r.jb, r.y) IS NOT DISTINCT FROM
		(b.t, b.v::text, b.c::text, b.e::text, b.u::text, b.i::text, b.b::text, b.d, b.z, b.i2, b.i4, b.i8, b.n, b.f4, b.f8, b.j::jsonb::text, b.jb, b.y); -- 3
INSERT INTO pt.types (id) VALUES ('00000000-0000-0000-0000-000000000004'); -- the defaults still work
SELECT t, v, e, length(u), b, d = CURRENT_DATE AS d, z > '2024-01-01' AS z, i2, i8, n, jb, y FROM pt.types_redacted
	WHERE id = '00000000-0000-0000-0000-000000000004';
RESET SESSION AUTHORIZATION;
SELECT phi.unprotect('pt.types');
SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
	FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = 'pt.types'::regclass AND attnum > 0
	EXCEPT SELECT * FROM shape; -- none: types and defaults are as they were
SELECT count(*) AS same FROM (SELECT t.*::text FROM pt.types t INTERSECT SELECT b.*::text FROM (SELECT id, t, v, c, e, u, i, b, d, z, i2, i4, i8, n, f4, f8, j, jb, y FROM pt.types_before) b) s;
SELECT relrowsecurity, relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) AS policies
	FROM pg_class c WHERE oid = 'pt.types'::regclass;
SELECT to_regclass('pt.types_redacted');
SELECT relation, bool_and(NOT sealed) AS plain, count(*) FROM phi.column_policy WHERE relation = 'pt.types'::regclass GROUP BY 1; -- classified still
SELECT count(*) AS remembered, bool_and(sealed) AS sealed FROM phi.column_policy WHERE relation IS NULL AND column_name IN (SELECT attname FROM shape) AND plain_type = 'uuid';

-- a value that the former type cannot take keeps the table protected, and no message shows it
SELECT phi.protect('pt.types', 'id');
SET SESSION AUTHORIZATION pt_clinician;
INSERT INTO pt.types (id, e) VALUES ('00000000-0000-0000-0000-000000000005', 'canary'); -- ok: encrypted text takes any
RESET SESSION AUTHORIZATION;
\set VERBOSITY default
SELECT phi.unprotect('pt.types'); -- fails
\set VERBOSITY terse
SELECT subject_column, key_columns, encrypted_columns FROM phi.protected_table WHERE relation = 'pt.types'::regclass;
SET client_min_messages = error;
DROP TABLE pt.types CASCADE;
SET client_min_messages = warning;
DROP TABLE pt.types_before;

-- partitions, a composite key, row security that was there before, a default of one partition alone
SET SESSION AUTHORIZATION pt_owner;
CREATE TABLE pt.visit (id int, day date, patient int NOT NULL, what text DEFAULT 'visit', PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
CREATE TABLE pt.visit_a PARTITION OF pt.visit FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY RANGE (day);
CREATE TABLE pt.visit_a1 PARTITION OF pt.visit_a (what DEFAULT 'a visit') FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
CREATE TABLE pt.visit_b (what text DEFAULT 'visit', extra int, patient int NOT NULL, day date NOT NULL, id int NOT NULL);
ALTER TABLE pt.visit_b DROP COLUMN extra;
ALTER TABLE pt.visit ATTACH PARTITION pt.visit_b DEFAULT;
INSERT INTO pt.visit VALUES (1, '2024-02-03', 1, 'cast'), (2, '2025-02-03', 2, 'splint');
CREATE POLICY own ON pt.visit USING (id > 0);
ALTER TABLE pt.visit ENABLE ROW LEVEL SECURITY;
RESET SESSION AUTHORIZATION;
SELECT phi.classify('pt.visit_a', 'what', 'diagnosis'); -- fails: a partition
SELECT phi.classify('pt.visit', 'day', 'service_date'); -- ok, but
SELECT action, object FROM phi.protect_plan('pt.visit', 'patient') WHERE blocker;
SELECT phi.declassify('pt.visit', 'day'), phi.classify('pt.visit', 'what', 'diagnosis');
SELECT phi.protect('pt.visit', 'patient', view => 'pt.visits');
SELECT c.relname, format_type(atttypid, -1), relrowsecurity, relforcerowsecurity,
	(SELECT string_agg(polname, ', ' ORDER BY polname) FROM pg_policy WHERE polrelid = c.oid) AS policies,
	(SELECT string_agg(format('%s %s', tgname, tgenabled), ', ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid) AS triggers
	FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attname = 'what' WHERE relkind IN ('r', 'p') AND relname LIKE 'visit%' ORDER BY 1;
GRANT SELECT ON pt.visits TO pt_clinician;
GRANT SELECT, INSERT, UPDATE ON pt.visit TO pt_clinician;
SET SESSION AUTHORIZATION pt_clinician;
INSERT INTO pt.visit (id, day, patient) VALUES (3, '2024-02-04', 1), (4, '2026-01-01', 1);
UPDATE pt.visit SET day = '2026-02-04' WHERE id = 1; -- to another partition, under another key
SELECT * FROM pt.visits ORDER BY id;
RESET SESSION AUTHORIZATION;
SELECT adrelid::regclass, pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid::regclass::text LIKE 'pt.visit%' ORDER BY 1;
SELECT phi.unprotect('pt.visit');
SELECT adrelid::regclass, pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid::regclass::text LIKE 'pt.visit%' ORDER BY 1;
SELECT c.relname, format_type(atttypid, -1), relrowsecurity, relforcerowsecurity,
	(SELECT string_agg(polname, ', ' ORDER BY polname) FROM pg_policy WHERE polrelid = c.oid) AS policies,
	(SELECT string_agg(format('%s %s', tgname, tgenabled), ', ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid) AS triggers
	FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attname = 'what' WHERE relkind IN ('r', 'p') AND relname LIKE 'visit%' ORDER BY 1;
DROP TABLE pt.visit;

-- in a protected table: a new column is encrypted at once; kinds change, but not to none
SET SESSION AUTHORIZATION pt_owner;
CREATE TABLE pt.p (id int PRIMARY KEY, name text, note text, zip text);
INSERT INTO pt.p VALUES (1, 'Ada', 'likes tea', '02139');
RESET SESSION AUTHORIZATION;
SELECT phi.classify('pt.p', 'name', 'name');
SELECT phi.protect('pt.p', 'id');
GRANT SELECT ON pt.p_redacted TO pt_clinician;
SELECT phi.classify('pt.p', 'id', 'mrn'); -- fails: the subject
SELECT phi.classify('pt.p', 'note', 'none'); -- ok: shown
SELECT phi.classify('pt.p', 'zip', 'zip'); -- ok: encrypted
SET SESSION AUTHORIZATION pt_clinician;
SELECT * FROM pt.p_redacted;
RESET SESSION AUTHORIZATION;
SELECT phi.classify('pt.p', 'note', 'free_text'); -- ok: encrypted
SELECT phi.classify('pt.p', 'zip', 'county'); -- ok
SELECT phi.classify('pt.p', 'zip', 'none'); -- fails
SELECT phi.declassify('pt.p', 'zip'); -- fails
SELECT column_name, kind, encrypted FROM phi.protected_column WHERE relation = 'pt.p'::regclass ORDER BY 1;
SELECT attname, format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = 'pt.p'::regclass AND attnum > 0 ORDER BY attnum;
SET SESSION AUTHORIZATION pt_clinician;
SELECT * FROM pt.p_redacted;
RESET SESSION AUTHORIZATION;
-- a default given later as a literal is a sealed value: it has no way back
ALTER TABLE pt.p ALTER note SET DEFAULT 'canary';
SELECT phi.unprotect('pt.p'); -- fails
ALTER TABLE pt.p ALTER note DROP DEFAULT;
CREATE VIEW pt.p_mine AS SELECT id FROM pt.p_redacted;
\set VERBOSITY default
SELECT phi.unprotect('pt.p'); -- fails
\set VERBOSITY terse
DROP VIEW pt.p_mine;

-- nobody runs any of it without a duty; the audit log has what was done
SET SESSION AUTHORIZATION pt_owner;
SELECT phi.classify('pt.p', 'name', 'name'); -- fails
SELECT phi.declassify('pt.p', 'name'); -- fails
SELECT phi.protect('pt.p', 'id'); -- fails
SELECT phi.protect_plan('pt.p', 'id'); -- fails
SELECT phi.unprotect('pt.p'); -- fails
SELECT phi.refresh_view('pt.p'); -- fails
SELECT phi.grant_duty('pt_owner', 'security_officer'); -- fails
SELECT phi.run_as_owner('pt.p', 'SELECT 1'); -- fails
SELECT phi.seal_columns('pt.p'); -- fails
SELECT phi.open_columns('pt.p'); -- fails
SELECT phi.open_in_place(name) FROM pt.p; -- no row, or refused
SELECT * FROM phi.protected_table; -- fails
RESET SESSION AUTHORIZATION;
SELECT action, relation, detail FROM phi_audit.event WHERE action IN ('protect', 'unprotect', 'classify', 'declassify')
	AND relation LIKE 'pt.%' ORDER BY event_id;
SELECT phi.unprotect('pt.p');
DROP TABLE pt.p;

-- what belongs to the owner runs as the owner, whoever protects the table
SET SESSION AUTHORIZATION pt_owner;
CREATE FUNCTION pt.spy(value int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'code of the table runs as %', current_user; RETURN value; END $$;
CREATE TABLE pt.spied (id int PRIMARY KEY, name text, other int CHECK (pt.spy(other) IS NOT NULL));
SET client_min_messages = error;
INSERT INTO pt.spied VALUES (1, 'Ada', 1);
CREATE INDEX ON pt.spied (pt.spy(id));
SET client_min_messages = warning;
RESET SESSION AUTHORIZATION;
CREATE ROLE pt_officer;
SELECT phi.grant_duty('pt_officer', 'security_officer');
GRANT USAGE ON SCHEMA pt TO pt_officer;
SET ROLE pt_officer;
SELECT phi.classify('pt.spied', 'name', 'name'); -- ok: an officer needs no privilege on the table
SELECT phi.protect('pt.spied', 'id');
SELECT relation, encrypted_columns FROM phi.protected_table;
SELECT * FROM pt.spied; -- fails
SELECT phi.unprotect('pt.spied');
RESET ROLE;
SELECT phi.revoke_duty('pt_officer', 'security_officer');
REVOKE USAGE ON SCHEMA pt FROM pt_officer;
DROP TABLE pt.spied;

-- duties
SELECT phi.grant_duty('pt_officer', 'king'); -- fails
SELECT phi.grant_duty(0::regrole, 'auditor'); -- fails
SELECT phi.revoke_duty('pt_officer', 'auditor'); -- fails: never given
SELECT phi.grant_duty('pt_officer', 'security_officer');
SET ROLE pt_officer;
SELECT phi.grant_duty('pt_officer', 'auditor'), phi.grant_duty('pt_officer', 'privacy_officer'), phi.grant_duty('pt_officer', 'application');
SELECT count(*) FROM phi.protected_table;
RESET ROLE;
SELECT duty, bool_and(has_function_privilege('pt_officer', function, 'EXECUTE')) AS granted, count(*) > 0 AS any
	FROM phi.duty_function GROUP BY 1 ORDER BY 1;
SELECT has_table_privilege('pt_officer', 'phi_audit.event', 'SELECT') AS log, has_table_privilege('pt_officer', 'phi_audit.event', 'INSERT') AS writes;
SELECT phi.revoke_duty('pt_officer', 'privacy_officer'); -- what the application may stays
SELECT function, has_function_privilege('pt_officer', function, 'EXECUTE') AS granted FROM phi.duty_function WHERE duty = 'privacy_officer' ORDER BY function COLLATE "C";
SELECT phi.revoke_duty('pt_officer', d) FROM unnest('{security_officer,auditor,application}'::text[]) d;
SELECT count(*) FROM phi.duty_function WHERE has_function_privilege('pt_officer', function, 'EXECUTE'); -- 0
SELECT has_table_privilege('pt_officer', 'phi_audit.event', 'SELECT') AS log, has_table_privilege('pt_officer', 'phi.protected_table', 'SELECT') AS tables;
DROP ROLE pt_officer; -- ok: nothing is left of it
SELECT action, detail FROM phi_audit.event WHERE detail LIKE '%pt_officer' ORDER BY event_id;

SELECT phi.unenroll('pt_clinician'), phi.revoke_duty('pt_clinician', 'application'), phi.revoke_duty('pt_owner', 'application');
SET client_min_messages = error;
DROP SCHEMA pt CASCADE;
DROP ROLE pt_owner, pt_clinician;
\if :bare
DELETE FROM phi.role_rule;
\endif
