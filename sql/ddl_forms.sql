-- Every form of ALTER TABLE, in any order: the views stay right or the command is refused, and no column is shown before it is classified
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE df_owner;
CREATE ROLE df_heir;
CREATE ROLE df_clinician LOGIN;
CREATE ROLE df_desk LOGIN;
GRANT df_owner, df_heir TO df_clinician;
GRANT df_heir TO df_owner;
CREATE SCHEMA df AUTHORIZATION df_owner;
CREATE SCHEMA df_other AUTHORIZATION df_owner;
GRANT USAGE ON SCHEMA df, df_other TO PUBLIC;
GRANT CREATE ON SCHEMA df TO df_heir;
SELECT phi.enroll('df_clinician', 'dr', '{df_physician}', '{TREAT}'), phi.enroll('df_desk', 'desk', '{df_registration}', '{HOPERAT}');
SELECT phi.set_rule('df_physician', 'TREAT', 'all', 'full'), phi.set_rule('df_registration', 'HOPERAT', 'all', 'partial');
SELECT phi.grant_duty('df_clinician', 'application'), phi.grant_duty('df_desk', 'application');
SET ROLE df_owner;
CREATE TABLE df.patient (id bigint PRIMARY KEY, name text, ssn text, ward text, secret text);
INSERT INTO df.patient VALUES (1, 'Ada One', '123-45-6701', 'W1', 'canary'), (2, 'Bea Two', '123-45-6702', 'W2', 'canary');
CREATE TABLE df.log (what text);
GRANT INSERT ON df.log TO PUBLIC;
RESET ROLE;
SELECT phi.classify('df.patient', 'name', 'name'), phi.classify('df.patient', 'ssn', 'ssn', searchable => true), phi.classify('df.patient', 'ward', 'none');
SELECT phi.protect('df.patient', 'id'), phi.add_view('df.patient', 'df.study', 'safe_harbor', 'Uni'), phi.add_view('df.patient', 'df.bare', 'partial', 'Uni');
GRANT SELECT ON df.patient_redacted, df.study TO df_desk, df_clinician;
GRANT SELECT, INSERT, UPDATE ON df.patient TO df_clinician;

-- What is right after a command: both views are the ones of before with their privileges, the owner and the columns of the table;
-- no canary and no sealed text is in any of them; the view above is there; the table is guarded and its values are sealed.  What is not right is named.
SELECT 'df.patient'::regclass::oid AS the_table, 'df.patient_redacted'::regclass::oid AS the_view, 'df.study'::regclass::oid AS the_study \gset
SELECT set_config('df.table', :'the_table', false), set_config('df.view', :'the_view', false), set_config('df.study', :'the_study', false) \gset ignored_
CREATE FUNCTION df.wrong() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	base oid := current_setting('df.table');
	wrong text[] := '{}';
	shown regclass;
	row text;
BEGIN
	FOREACH shown IN ARRAY ARRAY[current_setting('df.view')::oid, current_setting('df.study')::oid]::regclass[] LOOP
		IF NOT EXISTS (SELECT FROM pg_class WHERE oid = shown) THEN
			wrong := wrong || 'a view is gone'::text;
			CONTINUE;
		END IF;
		FOR row IN EXECUTE format('SELECT v::text || to_jsonb(v)::text FROM %s v', shown) LOOP
			IF row ~ 'canary' THEN wrong := wrong || format('%s shows what is not classified', shown); END IF;
			IF shown = current_setting('df.study')::oid AND row ~ 'Ada|123-45' THEN wrong := wrong || format('%s shows more than its form', shown); END IF;
			IF row ~ 'phi:1:' THEN wrong := wrong || format('%s shows a sealed text', shown); END IF;
		END LOOP;
		IF NOT has_table_privilege('df_desk', shown, 'SELECT') THEN wrong := wrong || format('%s lost its privileges', shown); END IF;
		IF (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = shown AND attnum > 0 AND NOT attisdropped)
			<> (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = base AND attnum > 0 AND NOT attisdropped) THEN
			wrong := wrong || format('%s has other columns', shown);
		END IF;
		IF (SELECT relowner FROM pg_class WHERE oid = shown) <> (SELECT relowner FROM pg_class WHERE oid = base) THEN wrong := wrong || format('%s has another owner', shown); END IF;
	END LOOP;
	IF current_setting('df.above', true) = 'on' AND to_regclass('df.above') IS NULL THEN wrong := wrong || 'the view above is gone'::text; END IF;
	IF NOT (SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = base) THEN wrong := wrong || 'no row security'::text; END IF;
	IF (SELECT count(*) FROM pg_trigger WHERE tgrelid = base AND tgname LIKE '~phi%' AND tgenabled IN ('A', 'O')) <> 5 THEN wrong := wrong || 'triggers'::text; END IF;
	EXECUTE format('SELECT string_agg(DISTINCT ''a value is not sealed'', '''') FROM %s t WHERE name::text !~ ''^phi:1:E[Q-Z]''', base::regclass) INTO row;
	IF row <> '' THEN wrong := wrong || row; END IF;
	RETURN coalesce(nullif(array_to_string(wrong, ', '), ''), 'nothing');
END $$;
CREATE FUNCTION df.shown() RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN
	RETURN QUERY EXECUTE format('SELECT v::text FROM %s v ORDER BY v.id', current_setting('df.view')::oid::regclass);
END $$;
SET SESSION AUTHORIZATION df_clinician;
SELECT df.wrong();
SELECT df.shown();

-- ADD COLUMN: in one transaction with the use of the view, before it and after it, rolled back, and again
BEGIN;
SELECT * FROM df.patient_redacted ORDER BY id;
ALTER TABLE df.patient ADD COLUMN a text DEFAULT 'canary'; -- ok
SELECT * FROM df.patient_redacted ORDER BY id;
SAVEPOINT s;
ALTER TABLE df.patient ADD COLUMN b text DEFAULT 'canary', ADD COLUMN c text DEFAULT 'canary'; -- ok
SELECT * FROM df.patient_redacted ORDER BY id;
ROLLBACK TO s;
SELECT * FROM df.patient_redacted ORDER BY id;
ALTER TABLE df.patient ADD COLUMN b int DEFAULT 7; -- ok: the name again
SELECT * FROM df.patient_redacted ORDER BY id;
SELECT df.wrong();
ROLLBACK;
SELECT df.wrong();
SELECT * FROM df.patient_redacted ORDER BY id;
-- what was classified in a transaction that was rolled back is not classified
RESET SESSION AUTHORIZATION;
BEGIN;
ALTER TABLE df.patient ADD COLUMN a text DEFAULT 'plain';
SELECT phi.classify('df.patient', 'a', 'none');
SELECT a FROM df.patient_redacted; -- no identity: no row
SET LOCAL row_security = off;
SELECT a FROM df.patient;
ROLLBACK;
SET SESSION AUTHORIZATION df_clinician;
ALTER TABLE df.patient ADD COLUMN a text DEFAULT 'canary'; -- ok
SELECT * FROM df.patient_redacted ORDER BY id;
SELECT df.wrong();
-- nor what was rolled back to a savepoint
RESET SESSION AUTHORIZATION;
BEGIN;
SAVEPOINT s;
SELECT phi.classify('df.patient', 'a', 'none');
ROLLBACK TO s;
ALTER TABLE df.patient ADD COLUMN b text DEFAULT 'canary';
COMMIT;
SET SESSION AUTHORIZATION df_clinician;
SELECT * FROM df.patient_redacted ORDER BY id;
SELECT df.wrong();
-- an error in the middle of the command, caught or not
DO $$ BEGIN ALTER TABLE df.patient ADD COLUMN c text DEFAULT 'canary', ADD CONSTRAINT never CHECK (c = ''); EXCEPTION WHEN check_violation THEN NULL; END $$; -- ok: nothing
ALTER TABLE df.patient ADD COLUMN c text DEFAULT 'canary', DROP COLUMN nowhere; -- fails
SELECT df.wrong();
-- made anew it has the privileges that it had, not those that new tables have
RESET SESSION AUTHORIZATION;
ALTER DEFAULT PRIVILEGES IN SCHEMA df GRANT ALL ON TABLES TO PUBLIC;
SELECT relacl IS NULL AS never_granted FROM pg_class WHERE oid = 'df.bare'::regclass;
SET SESSION AUTHORIZATION df_clinician;
ALTER TABLE df.patient DROP COLUMN a, DROP COLUMN b; -- ok
SELECT v, has_table_privilege('public', v, 'SELECT') AS everybody, has_table_privilege('df_desk', v, 'SELECT') AS desk, has_table_privilege('df_owner', v, 'SELECT') AS owner FROM unnest('{df.patient_redacted,df.study,df.bare}'::regclass[]) v;
RESET SESSION AUTHORIZATION;
ALTER DEFAULT PRIVILEGES IN SCHEMA df REVOKE ALL ON TABLES FROM PUBLIC;
SELECT phi.remove_view('df.bare');
SET SESSION AUTHORIZATION df_clinician;
SELECT set_config('df.view', 'df.patient_redacted'::regclass::oid::text, false), set_config('df.study', 'df.study'::regclass::oid::text, false) \gset ignored_
SELECT df.wrong();

-- forms of ADD COLUMN
SET client_min_messages = error;
ALTER TABLE df.patient ADD COLUMN IF NOT EXISTS ward text; -- ok: nothing
ALTER TABLE df.patient ADD IF NOT EXISTS c1 text COLLATE "C" DEFAULT 'canary' CHECK (c1 <> ''); -- ok
ALTER TABLE df.patient ADD c2 bigint GENERATED ALWAYS AS IDENTITY; -- ok
ALTER TABLE df.patient ADD c3 bigserial UNIQUE; -- ok
ALTER TABLE df.patient ADD c4 text GENERATED ALWAYS AS (secret || '!') STORED; -- ok
ALTER TABLE df.patient ADD c5 text GENERATED ALWAYS AS (name::text) STORED; -- ok: of the sealed value
ALTER TABLE df.patient ADD c6 phi.encrypted_text DEFAULT 'canary'; -- ok
ALTER TABLE df.patient ADD c7 text[] DEFAULT '{canary}', ADD c8 jsonb DEFAULT '{"a": "canary"}', ADD c9 df.log DEFAULT ROW('canary'); -- ok
ALTER TABLE ONLY df.patient ADD c10 text DEFAULT 'canary' || random(); -- ok
ALTER TABLE df.patient ADD c11 bigint REFERENCES df.patient (id); -- ok
ALTER TABLE IF EXISTS df.patient ADD c12 varchar(20) NOT NULL DEFAULT 'canary'; -- ok
SELECT df.wrong();
SELECT df.shown();
-- dropped and added in one command: another column, whatever its name was
RESET SESSION AUTHORIZATION;
SELECT phi.classify('df.patient', 'c1', 'none'), phi.classify('df.patient', 'c4', 'none');
SET SESSION AUTHORIZATION df_clinician;
SELECT c1, c4 FROM df.patient_redacted ORDER BY id; -- declared
ALTER TABLE df.patient DROP COLUMN c1, ADD COLUMN c1 text COLLATE "C" DEFAULT 'canary'; -- ok
SELECT c1 FROM df.patient_redacted ORDER BY id;
ALTER TABLE df.patient DROP COLUMN secret CASCADE, ADD COLUMN secret text DEFAULT 'canary', ADD COLUMN c4 text DEFAULT 'canary'; -- ok: c4 was generated
SELECT secret, c4 FROM df.patient_redacted ORDER BY id;
RESET SESSION AUTHORIZATION;
SELECT column_name, kind FROM phi.column_policy WHERE relation = 'df.patient'::regclass ORDER BY 1;
SET SESSION AUTHORIZATION df_clinician;
DO $$ DECLARE c text; BEGIN FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = 'df.patient'::regclass AND attname ~ '^c\d' LOOP EXECUTE format('ALTER TABLE df.patient DROP COLUMN %I', c); END LOOP; END $$; -- ok
SELECT set_config('df.view', 'df.patient_redacted'::regclass::oid::text, false), set_config('df.study', 'df.study'::regclass::oid::text, false) \gset ignored_
SELECT df.wrong();
SELECT df.shown();
SET client_min_messages = warning;

-- a plan that is kept across it
PREPARE everything AS SELECT * FROM df.patient_redacted ORDER BY id;
PREPARE two AS SELECT name, ward FROM df.patient_redacted ORDER BY id;
PREPARE whole AS SELECT p::text FROM df.patient_redacted p ORDER BY id;
EXECUTE everything;
EXECUTE two;
ALTER TABLE df.patient ADD COLUMN d text DEFAULT 'canary'; -- ok
EXECUTE everything; -- fails: PostgreSQL's own, its result is another
EXECUTE two;
EXECUTE whole;
ALTER TABLE df.patient RENAME COLUMN secret TO hidden; -- ok
EXECUTE two;
EXECUTE whole;
BEGIN;
DECLARE c CURSOR FOR SELECT name, d FROM df.patient_redacted;
FETCH 1 FROM c;
ALTER TABLE df.patient ADD COLUMN e text; -- fails: in use
ROLLBACK;
DEALLOCATE ALL;
-- names that change places
ALTER TABLE df.patient RENAME ward TO place; -- ok
ALTER TABLE df.patient RENAME hidden TO ward; -- ok: not what was declared
SELECT name, place, ward FROM df.patient_redacted ORDER BY id;
SELECT df.wrong();
ALTER TABLE df.patient RENAME ward TO secret;
ALTER TABLE df.patient RENAME place TO ward;
ALTER TABLE df.patient DROP COLUMN d;
SELECT set_config('df.view', 'df.patient_redacted'::regclass::oid::text, false), set_config('df.study', 'df.study'::regclass::oid::text, false) \gset ignored_
SELECT df.wrong();
SELECT df.shown();

-- a table of a type, whose columns ALTER TYPE would change
CREATE TYPE df.row_type AS (id bigint, name phi.encrypted_text, ssn phi.encrypted_text, ward text, secret text);
\set VERBOSITY default
ALTER TABLE df.patient OF df.row_type; -- fails
RESET SESSION AUTHORIZATION;
ALTER TABLE df.patient OF df.row_type; -- fails: not a superuser either
\set VERBOSITY terse
SET SESSION AUTHORIZATION df_clinician;
ALTER TYPE df.row_type RENAME ATTRIBUTE ward TO place CASCADE; -- ok: of nothing
ALTER TABLE df.patient NOT OF; -- fails: it is none
SELECT df.wrong();

-- properties of columns
ALTER TABLE df.patient ALTER COLUMN ward SET DEFAULT 'W0'; -- ok
ALTER TABLE df.patient ALTER COLUMN ward DROP DEFAULT; -- ok
ALTER TABLE df.patient ALTER COLUMN name SET DEFAULT 'unknown'; -- ok: sealed
SELECT pg_get_expr(adbin, adrelid) ~ 'unknown' AS in_plain FROM pg_attrdef WHERE adrelid = 'df.patient'::regclass;
ALTER TABLE df.patient ALTER COLUMN name DROP DEFAULT; -- ok
ALTER TABLE df.patient ALTER COLUMN name SET DEFAULT phi.reveal('x'::phi.encrypted_text); -- fails
ALTER TABLE df.patient ALTER COLUMN name SET NOT NULL; -- ok
ALTER TABLE df.patient ALTER COLUMN name DROP NOT NULL; -- ok
ALTER TABLE df.patient ALTER COLUMN name SET STATISTICS 10; -- ok
ALTER TABLE df.patient ALTER COLUMN name SET (n_distinct = 5); -- ok
ALTER TABLE df.patient ALTER COLUMN name RESET (n_distinct); -- ok
ALTER TABLE df.patient ALTER COLUMN name SET STORAGE EXTENDED; -- ok
ALTER TABLE df.patient ALTER COLUMN name SET STORAGE EXTERNAL; -- ok
ALTER TABLE df.patient ALTER COLUMN name SET COMPRESSION pglz; -- ok
ALTER TABLE df.patient ALTER COLUMN name SET COMPRESSION default; -- ok
ALTER TABLE df.patient ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (START 100); -- ok
ALTER TABLE df.patient ALTER COLUMN id SET GENERATED ALWAYS; -- ok
ALTER TABLE df.patient ALTER COLUMN id DROP IDENTITY; -- ok
ALTER TABLE df.patient ALTER COLUMN ward TYPE varchar(30); -- ok: the view is made anew
ALTER TABLE df.patient ALTER COLUMN ward TYPE text; -- ok
ALTER TABLE df.patient ALTER COLUMN secret TYPE varchar(30); -- ok
SELECT * FROM df.patient_redacted ORDER BY id;
ALTER TABLE df.patient ALTER COLUMN secret TYPE text; -- ok
ALTER TABLE df.patient ALTER COLUMN name TYPE text; -- fails
ALTER TABLE df.patient ALTER COLUMN name TYPE phi.encrypted_jsonb USING NULL; -- fails
SELECT set_config('df.view', 'df.patient_redacted'::regclass::oid::text, false), set_config('df.study', 'df.study'::regclass::oid::text, false) \gset ignored_
SELECT df.wrong();

-- properties of the table
ALTER TABLE df.patient SET (fillfactor = 70, autovacuum_enabled = false); -- ok
ALTER TABLE df.patient RESET (fillfactor, autovacuum_enabled); -- ok
ALTER TABLE df.patient SET UNLOGGED; -- ok
ALTER TABLE df.patient SET LOGGED; -- ok
ALTER TABLE df.patient SET TABLESPACE pg_default; -- ok
ALTER TABLE ALL IN TABLESPACE pg_default OWNED BY df_owner SET TABLESPACE pg_default; -- ok
ALTER TABLE df.patient SET ACCESS METHOD heap; -- ok
ALTER TABLE df.patient CLUSTER ON patient_pkey; -- ok
CLUSTER df.patient; -- ok
ALTER TABLE df.patient SET WITHOUT CLUSTER; -- ok
ALTER TABLE df.patient REPLICA IDENTITY FULL; -- ok
ALTER TABLE df.patient REPLICA IDENTITY USING INDEX patient_pkey; -- ok
ALTER TABLE df.patient REPLICA IDENTITY DEFAULT; -- ok
ALTER TABLE df.patient SET WITHOUT OIDS; -- ok
COMMENT ON TABLE df.patient IS 'patients'; -- ok
COMMENT ON COLUMN df.patient.name IS 'in full'; -- ok
GRANT SELECT (secret) ON df.patient TO df_desk; -- ok
REVOKE SELECT (secret) ON df.patient FROM df_desk; -- ok
SELECT df.wrong();

-- keys, indexes, constraints
ALTER TABLE df.patient ADD CONSTRAINT w CHECK (ward <> '') NOT VALID; -- ok
ALTER TABLE df.patient VALIDATE CONSTRAINT w; -- ok
ALTER TABLE df.patient RENAME CONSTRAINT w TO x; -- ok
ALTER TABLE df.patient DROP CONSTRAINT x; -- ok
ALTER TABLE df.patient ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES df.patient (id) DEFERRABLE; -- ok
ALTER TABLE df.patient ALTER CONSTRAINT f DEFERRABLE INITIALLY DEFERRED; -- ok
ALTER TABLE df.patient DROP CONSTRAINT f; -- ok
ALTER TABLE df.patient ADD UNIQUE (ssn); -- ok
ALTER TABLE df.patient ADD EXCLUDE USING btree (ssn WITH =); -- ok
\set VERBOSITY default
CREATE INDEX ON df.patient (name); -- fails: it has no tags
\set VERBOSITY terse
CREATE UNIQUE INDEX CONCURRENTLY ON df.patient (ward, name); -- fails
CREATE INDEX ON df.patient USING hash (name); -- fails
ALTER TABLE df.patient ADD UNIQUE (name); -- fails
ALTER TABLE df.patient ADD EXCLUDE USING btree (name WITH =); -- fails
CREATE INDEX ON df.patient (lower(name::text)); -- ok: of ciphertext
CREATE INDEX ON df.patient (phi.reveal(name, id)); -- fails
CREATE STATISTICS df.s (dependencies) ON ward, secret FROM df.patient; -- ok
CREATE STATISTICS df.t ON (name::text), (ssn::text) FROM df.patient; -- ok: of ciphertext
ANALYZE df.patient; -- ok
DROP STATISTICS df.s, df.t;
ALTER TABLE df.patient DROP CONSTRAINT patient_pkey; -- ok
SELECT df.wrong();
ALTER TABLE df.patient ADD PRIMARY KEY (ward, id); -- ok: values stay bound to the key of phi.protect
SELECT df.wrong();
SELECT df.shown();
ALTER TABLE df.patient DROP CONSTRAINT patient_pkey;
ALTER TABLE df.patient ALTER COLUMN ward DROP NOT NULL;
CREATE UNIQUE INDEX again ON df.patient (id);
ALTER TABLE df.patient ADD CONSTRAINT patient_pkey PRIMARY KEY USING INDEX again; -- ok
SELECT df.wrong();

-- triggers, rules, policies, row security
CREATE FUNCTION df.noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER mine BEFORE UPDATE ON df.patient FOR EACH ROW EXECUTE FUNCTION df.noop(); -- ok
ALTER TABLE df.patient DISABLE TRIGGER mine; -- ok
ALTER TABLE df.patient ENABLE REPLICA TRIGGER mine; -- ok
ALTER TABLE df.patient ENABLE ALWAYS TRIGGER mine; -- ok
ALTER TABLE df.patient ENABLE TRIGGER mine; -- ok
DROP TRIGGER mine ON df.patient; -- ok
ALTER TABLE df.patient DISABLE TRIGGER ALL; -- fails
ALTER TABLE df.patient ENABLE TRIGGER ALL; -- fails: it takes ALWAYS away
ALTER TABLE df.patient ENABLE TRIGGER USER; -- fails
ALTER TABLE df.patient ENABLE REPLICA TRIGGER "~phi_audit_insert"; -- fails
ALTER TABLE df.patient ENABLE TRIGGER "~phi_audit_insert"; -- fails
CREATE RULE r AS ON UPDATE TO df.patient DO ALSO INSERT INTO df.log VALUES (old.secret); -- fails
ALTER TABLE df.patient ENABLE RULE r; -- fails: there is none
ALTER TABLE df.patient DISABLE ROW LEVEL SECURITY; -- fails
ALTER TABLE df.patient NO FORCE ROW LEVEL SECURITY; -- fails
ALTER TABLE df.patient ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; -- ok: they are on
ALTER TABLE df.patient INHERIT df.log; -- fails
ALTER TABLE df.patient NO INHERIT df.log; -- fails
ALTER TABLE df.patient DETACH PARTITION df.log; -- fails
SELECT df.wrong();

-- a view above, which is neither dropped nor made anew
CREATE VIEW df.above AS SELECT id, name, ward FROM df.patient_redacted;
SET df.above = on;

-- names: of the table, of the view, the one in the place of the other
ALTER TABLE df.patient RENAME TO person; -- ok
SELECT df.wrong();
CREATE TABLE df.patient (id bigint PRIMARY KEY, name text, ssn text, ward text, secret text); -- ok: another table
INSERT INTO df.patient VALUES (1, 'canary', 'canary', 'canary', 'canary');
ALTER TABLE df.patient ADD COLUMN more text DEFAULT 'canary', DROP COLUMN ward; -- ok
SELECT df.wrong();
SELECT df.shown();
DROP TABLE df.patient; -- ok
ALTER VIEW df.patient_redacted RENAME TO patient; -- ok: the view has the table's name
ALTER TABLE df.person ADD COLUMN more text DEFAULT 'canary'; -- ok
ALTER TABLE df.patient ADD COLUMN worse text; -- fails: a view
SELECT * FROM df.patient ORDER BY id;
SELECT df.wrong();
INSERT INTO df.patient (id, name) VALUES (3, 'Cy Three'); -- ok: by the clinician, who owns the view
SELECT name::text ~ '^phi:1:' AS sealed FROM df.person WHERE id = 3;
ALTER VIEW df.patient SET SCHEMA df_other; -- ok
ALTER TABLE df.person SET SCHEMA df_other; -- ok
ALTER TABLE df_other.person RENAME COLUMN more TO less; -- ok
SELECT df.wrong();
ALTER TABLE df_other.person SET SCHEMA df;
ALTER VIEW df_other.patient SET SCHEMA df;
ALTER VIEW df.patient RENAME TO patient_redacted;
ALTER TABLE df.person RENAME TO patient;
SELECT df.wrong();
RESET SESSION AUTHORIZATION;
ALTER SCHEMA df RENAME TO df_renamed; -- ok
SET SESSION AUTHORIZATION df_clinician;
ALTER TABLE df_renamed.patient ADD COLUMN elsewhere text DEFAULT 'canary'; -- ok
UPDATE df_renamed.patient_redacted SET name = 'Cy Four' WHERE id = 3 RETURNING name, elsewhere; -- ok
RESET SESSION AUTHORIZATION;
ALTER SCHEMA df_renamed RENAME TO df;
SET SESSION AUTHORIZATION df_clinician;
SELECT df.wrong();
-- the view taken for a table, and the table for a view
ALTER VIEW df.patient ADD COLUMN x text; -- fails
ALTER VIEW df.patient RENAME TO x; -- fails
ALTER INDEX df.patient RENAME TO person; -- ok: PostgreSQL takes it
ALTER INDEX df.person RENAME TO patient;
ALTER TABLE df.patient_redacted RENAME TO shown; -- ok: PostgreSQL takes it
ALTER TABLE df.shown SET SCHEMA df_other; -- ok
ALTER TABLE df_other.shown SET SCHEMA df;
ALTER TABLE df.shown RENAME TO patient_redacted;
ALTER TABLE df.patient_redacted RENAME COLUMN name TO x; -- fails
ALTER MATERIALIZED VIEW df.patient_redacted RENAME COLUMN name TO x; -- fails
ALTER TABLE df.patient_redacted ALTER COLUMN ward DROP DEFAULT; -- fails
ALTER TABLE df.patient_redacted ENABLE ROW LEVEL SECURITY; -- fails
ALTER TABLE df.patient_redacted DISABLE TRIGGER ALL; -- fails
ALTER TABLE df.patient_redacted DISABLE RULE "_RETURN"; -- fails
DROP TRIGGER "~phi_write" ON df.patient_redacted; -- fails
SELECT df.wrong();

-- owners
ALTER TABLE df.patient OWNER TO df_heir; -- ok
SELECT df.wrong();
REASSIGN OWNED BY df_heir TO df_owner; -- ok
SELECT df.wrong();
ALTER VIEW df.patient_redacted OWNER TO df_heir; -- ok: but it has no privileges on the table
SELECT count(*) FROM df.patient_redacted; -- fails
ALTER VIEW df.patient_redacted OWNER TO df_owner;
SELECT df.wrong();

-- views above the view: never a column more than they were made of
CREATE VIEW df.all_of_it AS SELECT * FROM df.patient_redacted;
ALTER TABLE df.patient ADD COLUMN late text DEFAULT 'canary'; -- ok
SELECT attname FROM pg_attribute WHERE attrelid = 'df.all_of_it'::regclass AND attname = 'late'; -- none
SELECT count(*) AS leaks FROM df.all_of_it v WHERE v::text ~ 'canary'; -- 0
SELECT count(*) AS leaks FROM df.above v WHERE v::text ~ 'canary'; -- 0
ALTER TABLE df.patient DROP COLUMN less; -- fails: the view above has it
DROP VIEW df.all_of_it;
ALTER TABLE df.patient DROP COLUMN late; -- fails: the other one is in the way as well
DROP VIEW df.above;
RESET df.above;
ALTER TABLE df.patient DROP COLUMN less, DROP COLUMN late, DROP COLUMN elsewhere; -- ok
SELECT attname FROM pg_attribute WHERE attrelid = 'df.patient_redacted'::regclass AND attnum > 0 ORDER BY attnum;

-- with the type or function that a column needs
CREATE DOMAIN df.word AS text;
CREATE FUNCTION df.same(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN $1;
ALTER TABLE df.patient ADD COLUMN a df.word DEFAULT 'shown', ADD COLUMN b text GENERATED ALWAYS AS (df.same(secret)) STORED; -- ok
RESET SESSION AUTHORIZATION;
SELECT phi.classify('df.patient', 'a', 'none'), phi.classify('df.patient', 'b', 'none');
SET SESSION AUTHORIZATION df_clinician;
SET client_min_messages = error;
DROP DOMAIN df.word CASCADE; -- ok: and the column, with the views
DROP FUNCTION df.same(text) CASCADE; -- ok: and the column
ALTER TABLE df.patient ADD COLUMN a text DEFAULT 'canary', ADD COLUMN b text DEFAULT 'canary'; -- ok
RESET SESSION AUTHORIZATION;
SELECT phi.refresh_view('df.patient', 'df.patient_redacted');
SELECT column_name, kind FROM phi.column_policy WHERE relation = 'df.patient'::regclass ORDER BY 1;
GRANT SELECT ON df.patient_redacted TO df_clinician;
SET SESSION AUTHORIZATION df_clinician;
SELECT count(*) AS rows, count(*) FILTER (WHERE v::text ~ 'canary') AS leaks FROM df.patient_redacted v; -- 3, 0

-- the form that a recipient's view has for a column is not meant for another of its name
ALTER TABLE df.patient ADD COLUMN f1 text, ADD COLUMN f2 text; -- ok
RESET SESSION AUTHORIZATION;
SELECT count(phi.classify('df.patient', c, 'other')) FROM unnest('{f1,f2}'::name[]) c;
SELECT phi.add_view('df.patient', 'df.forms', 'safe_harbor', 'Uni', '{"f1": "full", "f2": "full", "name": "partial"}');
GRANT SELECT ON df.forms TO df_clinician;
SET SESSION AUTHORIZATION df_clinician;
ALTER TABLE df.patient RENAME f1 TO f0; -- ok: it keeps its form
ALTER TABLE df.patient DROP COLUMN f2, ADD COLUMN f2 text DEFAULT 'canary'; -- ok
RESET SESSION AUTHORIZATION;
SELECT column_forms FROM phi.view_profile WHERE view = 'df.forms'::regclass;
SET SESSION AUTHORIZATION df_clinician;
ALTER TABLE df.patient DROP COLUMN f0; -- ok
ALTER TABLE df.patient ADD COLUMN f0 text DEFAULT 'canary'; -- ok
RESET SESSION AUTHORIZATION;
SELECT column_forms FROM phi.view_profile WHERE view = 'df.forms'::regclass;
SELECT phi.classify('df.patient', 'f0', 'name'), phi.classify('df.patient', 'f2', 'name');
SET SESSION AUTHORIZATION df_clinician;
SELECT count(*) AS rows, count(f0) AS f0, count(f2) AS f2, max(name) AS in_part FROM df.forms; -- 3, 0, 0

-- partitions: a column of the parent reaches them all, NULL in the views, and none is asked around the parent
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
SET ROLE df_owner;
CREATE TABLE df.visit (id int, day date, patient bigint NOT NULL, what text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE df.visit_a PARTITION OF df.visit FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE df.visit_b PARTITION OF df.visit FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO df.visit VALUES (1, '2024-02-03', 1, 'cast'), (2, '2025-02-03', 1, 'splint');
RESET ROLE;
SELECT phi.classify('df.visit', 'what', 'mrn'), phi.protect('df.visit', 'patient');
GRANT SELECT ON df.visit_redacted, df.visit, df.visit_a, df.visit_b TO df_desk, df_clinician;
SET SESSION AUTHORIZATION df_clinician;
BEGIN;
SELECT * FROM df.visit_redacted ORDER BY id;
ALTER TABLE df.visit ADD COLUMN note text DEFAULT 'canary'; -- ok
SELECT * FROM df.visit_redacted ORDER BY id;
SAVEPOINT s;
CREATE TABLE df.visit_c PARTITION OF df.visit FOR VALUES FROM ('2026-01-01') TO ('2027-01-01'); -- ok
ALTER TABLE df.visit RENAME note TO remark; -- ok
SELECT * FROM df.visit_redacted ORDER BY id;
ROLLBACK TO s;
SELECT * FROM df.visit_redacted ORDER BY id;
COMMIT;
ALTER TABLE df.visit_a ADD COLUMN own text; -- fails
ALTER TABLE df.visit_a DROP COLUMN note; -- fails
ALTER TABLE df.visit_a RENAME COLUMN note TO what_else; -- fails
ALTER TABLE df.visit_a ALTER COLUMN what TYPE text; -- fails
ALTER TABLE df.visit_a INHERIT df.log; -- fails
ALTER TABLE df.visit_a OWNER TO df_heir; -- ok
ALTER TABLE df.visit_a OWNER TO df_owner;
ALTER TABLE df.visit_a SET UNLOGGED; -- ok
ALTER TABLE df.visit_a RENAME TO visit_first; -- ok
ALTER TABLE df.visit_first SET SCHEMA df_other; -- ok
ALTER TABLE df_other.visit_first SET SCHEMA df;
ALTER TABLE df.visit_first RENAME TO visit_a;
ALTER TABLE df.visit DETACH PARTITION df.visit_a; -- fails
ALTER TABLE df.visit DETACH PARTITION df.visit_a CONCURRENTLY; -- fails
ALTER TABLE df.visit DETACH PARTITION df.visit_a FINALIZE; -- fails
SELECT * FROM df.visit_redacted ORDER BY id;
SET SESSION AUTHORIZATION df_desk;
SELECT id, phi.reveal(what, id, day) AS by_partition FROM df.visit_a; -- in part
SELECT id, phi.reveal(what) AS by_header FROM df.visit_b; -- in part
SELECT count(*) AS leaks FROM df.visit_redacted v WHERE v::text ~ 'canary|cast|splint'; -- 0
RESET SESSION AUTHORIZATION;

SET client_min_messages = error;
DROP SCHEMA df, df_other CASCADE;
SELECT phi.unenroll('df_clinician'), phi.unenroll('df_desk'), phi.revoke_duty('df_clinician', 'application'), phi.revoke_duty('df_desk', 'application');
SELECT phi.drop_rule('df_physician', 'TREAT', 'all'), phi.drop_rule('df_registration', 'HOPERAT', 'all');
DROP OWNED BY df_owner, df_heir, df_clinician, df_desk;
DROP ROLE df_owner, df_heir, df_clinician, df_desk;
