-- Search: equality on sealed identifiers, through the base table and through the view
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE se_clinician LOGIN;
CREATE ROLE se_billing LOGIN;
SELECT phi.install_default_rules() >= 0 AS rules;
SELECT phi.enroll('se_clinician', 'dr', '{clinician}', '{TREAT}'), phi.enroll('se_billing', 'bill', '{billing}', '{HPAYMT}');
SELECT phi.grant_duty('se_clinician', 'application'), phi.grant_duty('se_billing', 'application');

-- what may be searchable
CREATE TABLE se_patient (id int PRIMARY KEY, name text, ssn text, email varchar(80), mrn text, born date, account bigint, sex text);
SELECT phi.classify('se_patient', 'name', 'name', searchable => true); -- fails
SELECT phi.classify('se_patient', 'sex', 'other', searchable => true); -- fails
SELECT phi.classify('se_patient', 'born', 'birth_date', searchable => true); -- fails
SELECT phi.classify('se_patient', 'account', 'account', searchable => true); -- fails: not text
SELECT phi.classify('se_patient', 'ssn', 'ssn', context => 'people'); -- fails: not searchable
SELECT phi.classify('se_patient', c, k, searchable => s, context => x) FROM (VALUES ('name', 'name', false, NULL), ('ssn', 'ssn', true, 'people'),
	('email', 'email', true, NULL), ('mrn', 'mrn', true, NULL)) v (c, k, s, x);
INSERT INTO se_patient (id, name, ssn, email, mrn)
	SELECT i, 'Name ' || i, format('900-%s-%s', to_char(i / 100 % 100, 'FM00'), to_char(i % 10000, 'FM0000')), 'p' || i || '@Example.org', 'M-' || i
	FROM generate_series(1, 3000) i;
INSERT INTO se_patient (id) VALUES (4000);
SELECT phi.protect('se_patient', 'id');
SELECT phi.classify('se_patient', 'mrn', 'mrn'); -- fails: its tags are there
CREATE TABLE se_claim (id int PRIMARY KEY, patient int, member_ssn text);
INSERT INTO se_claim SELECT i, i * 3, format('900-%s-%s', to_char(i * 3 / 100 % 100, 'FM00'), to_char(i * 3 % 10000, 'FM0000')) FROM generate_series(1, 50) i;
SELECT phi.classify('se_claim', 'member_ssn', 'ssn', searchable => true, context => 'people'), phi.protect('se_claim', 'patient');
CREATE UNIQUE INDEX se_ssn ON se_patient (ssn);
CREATE INDEX se_email ON se_patient (email);
ANALYZE se_patient, se_claim;
SELECT attname, null_frac > 0 AS some_null, n_distinct, most_common_vals IS NULL AND histogram_bounds IS NULL AS no_values
	FROM pg_stats WHERE tablename = 'se_patient' AND attname IN ('ssn', 'email', 'mrn', 'name') ORDER BY 1;
GRANT SELECT, INSERT, UPDATE ON se_patient, se_claim TO se_clinician, se_billing;
GRANT SELECT ON se_patient_redacted, se_claim_redacted TO se_clinician, se_billing;

-- does the plan of a query use an index, and which?
CREATE FUNCTION se_index(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; found text := 'none';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
		IF line ~ 'se_(ssn|email)' THEN found := substring(line FROM 'se_(?:ssn|email)'); END IF;
	END LOOP;
	RETURN found;
END $$;
RESET client_min_messages;
SET SESSION AUTHORIZATION se_clinician;
-- through the view: the ordinary query of an ORM
SELECT id, name FROM se_patient_redacted WHERE ssn = '900-00-0042';
SELECT id FROM se_patient_redacted WHERE ssn = '900000042'; -- none: equal as revealed texts they are not
SELECT id FROM se_patient_redacted WHERE email = 'p7@Example.org';
SELECT id FROM se_patient_redacted WHERE ssn IN ('900-00-0042', '900-00-0043', 'x') ORDER BY id;
SELECT id FROM se_patient_redacted WHERE ssn = ANY (ARRAY['900-00-0042', NULL]) ORDER BY id;
SELECT id FROM se_patient_redacted WHERE ssn = '900-00-0042' OR email = 'p7@Example.org' ORDER BY id;
SELECT id FROM se_patient_redacted WHERE '900-00-0042' = ssn AND name = 'Name 42';
SELECT count(*) FROM se_patient_redacted WHERE NOT ssn = '900-00-0042'; -- 2999: NULL is neither
SELECT count(*) FROM se_patient_redacted WHERE ssn <> '900-00-0042'; -- 2999
SELECT v.id, c.id AS claim FROM se_claim_redacted c JOIN se_patient_redacted v ON v.ssn = c.member_ssn WHERE c.id <= 3 ORDER BY c.id;
SELECT c.id, v.name FROM se_claim_redacted c LEFT JOIN se_patient_redacted v ON v.ssn = c.member_ssn AND v.ssn = '900-00-0006' WHERE c.id <= 3 ORDER BY c.id;
SELECT x, (SELECT name FROM se_patient_redacted v WHERE v.ssn = x) FROM (VALUES ('900-00-0001'), ('nobody')) v (x);
SELECT v FROM se_patient_redacted v WHERE v.ssn = '900-00-0042'; -- a whole row keeps its shape
SELECT id FROM (SELECT * FROM (SELECT * FROM se_patient_redacted) a) b WHERE ssn = '900-00-0042';
SELECT id FROM (SELECT DISTINCT id, ssn FROM se_patient_redacted) b WHERE ssn = '900-00-0042';
SELECT se_index('SELECT id FROM se_patient_redacted WHERE ssn = ''900-00-0042''') AS literal,
	se_index('SELECT id FROM se_patient_redacted WHERE ssn = ''900-00-0042''::varchar') AS varchar,
	se_index('SELECT id FROM se_patient_redacted WHERE email IN (''a'', ''b'')') AS in_list,
	se_index('SELECT id FROM (SELECT * FROM se_patient_redacted) a WHERE ssn = ''x''') AS nested,
	se_index('SELECT id FROM se_patient_redacted WHERE name = ''x''') AS other;
PREPARE by_ssn AS SELECT id FROM se_patient_redacted WHERE ssn = $1;
PREPARE by_ssns AS SELECT id FROM se_patient_redacted WHERE ssn = ANY ($1) ORDER BY id;
SET plan_cache_mode = force_generic_plan;
EXECUTE by_ssn('900-00-0042');
EXECUTE by_ssn('nobody');
EXECUTE by_ssns('{900-00-0042,900-00-0044}');
SELECT se_index('EXECUTE by_ssn(''x'')') AS generic, se_index('EXECUTE by_ssns(''{x}'')') AS generic_any;

-- on the base table: normal forms are equal
SELECT id FROM se_patient WHERE ssn = '900-00-0042';
SELECT id FROM se_patient WHERE ssn = '900 00 0042';
SELECT id FROM se_patient WHERE email = 'P7@example.ORG';
SELECT id FROM se_patient WHERE mrn = 'm7';
SELECT id FROM se_patient WHERE ssn IN ('900-00-0042', '900000043') ORDER BY id;
SELECT count(*) FROM se_patient WHERE ssn <> '900-00-0042'; -- 2999
SELECT id FROM se_patient WHERE ssn = (SELECT '900-00-0042'::phi.encrypted_text);
SELECT p.id, c.id AS claim FROM se_patient p JOIN se_claim c ON p.ssn = c.member_ssn WHERE c.id <= 3 ORDER BY c.id;
SELECT se_index('SELECT id FROM se_patient WHERE ssn = ''900-00-0042''') AS literal,
	se_index('SELECT id FROM se_patient WHERE ssn IN (''900-00-0042'', ''900-00-0043'')') AS in_list;
-- parameters that say they are text, as drivers send them
SELECT id FROM se_patient WHERE ssn = '900-00-0042'::text;
SELECT id FROM se_patient WHERE '900-00-0042'::varchar = ssn;
SELECT count(*) FROM se_patient WHERE ssn <> '900-00-0042'::text; -- 2999
SELECT id FROM se_patient WHERE ssn = ANY ('{900-00-0042,900000043}'::text[]) ORDER BY id;
SELECT id FROM se_patient WHERE CASE WHEN id < 50 THEN ssn = '900-00-0042'::text END;
SELECT (SELECT ssn FROM se_patient WHERE id = 42) = '900-00-0042'::text AS direct;
SELECT se_index('SELECT id FROM se_patient WHERE ssn = ''x''::text') AS text,
	se_index('SELECT id FROM se_patient WHERE ssn = ANY (''{x}''::varchar[])') AS any_varchar;
SELECT id FROM se_patient WHERE name = 'Name 42'; -- fails: no tags
SELECT id FROM se_patient WHERE name = 'Name 42'::text; -- fails: no tags
SELECT id FROM se_patient ORDER BY ssn; -- fails: tags have no order
SELECT id FROM se_patient WHERE ssn > '900'; -- fails
SELECT count(*) FROM se_patient WHERE ssn = email; -- 0: other contexts

-- writing: unique and upsert
INSERT INTO se_patient (id, ssn) VALUES (5000, '900000042'); -- fails
INSERT INTO se_patient (id, ssn, name) VALUES (5000, '900-00-0042', 'Renamed')
	ON CONFLICT (ssn) DO UPDATE SET name = excluded.name RETURNING id; -- 42
UPDATE se_patient SET ssn = '900-99-9999' WHERE ssn = '900-00-0042' RETURNING id; -- 42
SELECT id, name FROM se_patient_redacted WHERE ssn = '900-99-9999';
SELECT count(*) FROM se_patient_redacted WHERE ssn = '900-00-0042'; -- 0

-- who sees masks finds nothing by value, not even that it is there
RESET SESSION AUTHORIZATION;
SELECT column_id FROM phi.column_policy WHERE relation = 'se_patient'::regclass AND column_name = 'ssn' \gset
SET SESSION AUTHORIZATION se_billing;
SELECT ssn FROM se_patient_redacted WHERE id = 7;
SELECT count(*) FROM se_patient_redacted WHERE ssn = '900-00-0007'; -- 0
SELECT count(*) FROM se_patient WHERE ssn = '900-00-0007'; -- 0
SELECT count(*) FROM se_patient WHERE ssn IN ('900-00-0007', '900-00-0008'); -- 0
SELECT count(*) FROM se_patient WHERE ssn = '900-00-0007'::text OR ssn <> '900-00-0007'::text; -- 0
SELECT count(*) FROM se_patient WHERE ssn <> '900-00-0007'; -- 0
SELECT phi.search_value('900-00-0007', :column_id) IS NULL AS no_key; -- t
SELECT count(*) FROM se_patient WHERE mrn = 'M-7'; -- 1: billing sees these in full
RESET SESSION AUTHORIZATION;

-- a search key is no value: it is stored nowhere and opens as nothing
RESET plan_cache_mode;
SET SESSION AUTHORIZATION se_clinician;
SELECT phi.reveal(phi.search_value('900-00-0007', column_id)) FROM (SELECT :column_id) v (column_id); -- fails
UPDATE se_patient SET ssn = phi.search_value('900-00-0007', :column_id) WHERE id = 8; -- fails
SELECT se_index('SELECT id FROM se_patient_redacted WHERE ssn = ''x''') AS index;
RESET SESSION AUTHORIZATION;
CREATE INDEX se_email_hash ON se_patient USING hash (email);
DROP INDEX se_email;
SET SESSION AUTHORIZATION se_clinician;
SET enable_seqscan = off;
SELECT id FROM se_patient WHERE email = 'P7@example.org'; -- by the hash index
SELECT id FROM se_patient_redacted WHERE email = 'p7@Example.org';
SELECT se_index('SELECT id FROM se_patient WHERE email = ''x''') AS index;
RESET enable_seqscan;
SET enable_indexscan = off; SET enable_bitmapscan = off;
SELECT id FROM se_patient_redacted WHERE ssn = '900-00-0007'; -- the same by a scan
SELECT id FROM se_patient WHERE ssn = '900-00-0007';
SELECT id FROM se_patient WHERE ssn IN ('900-00-0007', '900-00-0008') ORDER BY id;
RESET enable_indexscan; RESET enable_bitmapscan;
RESET SESSION AUTHORIZATION;

-- a new key: who may, what is refused, and what a lookup does between the steps
SELECT phi.rotate_search_key('se_patient', 'name'); -- fails: not searchable
SELECT phi.rotate_search_key('se_patient', 'nothing'); -- fails
SELECT phi.rotate_search_key('se_patient', NULL); -- fails
SELECT phi.rotate_search_key('se_patient', 'ssn', 0); -- fails
CALL phi.retag('se_patient', 'name'); -- fails
SET SESSION AUTHORIZATION se_clinician;
SELECT phi.rotate_search_key('se_patient', 'ssn'); -- fails: no duty
CALL phi.retag('se_patient', 'ssn'); -- fails
SELECT phi.retag_step('se_patient', 'ssn'); -- fails
SELECT * FROM phi.retag_part(1, '{}'); -- fails
RESET SESSION AUTHORIZATION;
SELECT phi.rotate_search_key('se_patient', 'ssn', 500), phi.rotate_search_key('se_patient', 'email');
SELECT phi.rotate_search_key('se_claim', 'member_ssn'); -- fails: the same context
SELECT column_name, search_generation, next_generation, search_buckets > 1 AS parts, search_moved FROM phi.column_policy WHERE relation = 'se_patient'::regclass AND searchable ORDER BY 1;
CREATE FUNCTION se_found() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', (SELECT id FROM se_patient_redacted WHERE ssn = '900-00-0046'), (SELECT id FROM se_patient WHERE ssn = '900 00 0043'),
		(SELECT count(*) FROM se_patient WHERE ssn IN ('900-00-0044', '900-00-0045', NULL)), (SELECT count(*) FROM se_patient_redacted WHERE ssn <> '900-00-0046'),
		(SELECT count(*) FROM se_claim_redacted c JOIN se_patient_redacted v ON v.ssn = c.member_ssn),
		(SELECT count(*) FROM se_claim c JOIN se_patient p ON p.ssn = c.member_ssn), (SELECT count(DISTINCT ssn) FROM se_patient_redacted),
		(SELECT id FROM se_patient_redacted WHERE email = 'p7@Example.org'))
$$;
GRANT EXECUTE ON FUNCTION se_found() TO se_clinician, se_billing;
GRANT DELETE ON se_patient TO se_clinician;
SET SESSION AUTHORIZATION se_clinician;
SELECT se_found();
SELECT se_index('SELECT id FROM se_patient_redacted WHERE ssn = ''x''') AS view, se_index('SELECT id FROM se_patient WHERE ssn = ''x''') AS base,
	se_index('SELECT id FROM se_patient WHERE ssn = ''x''::text') AS typed;
INSERT INTO se_patient (id, ssn) VALUES (5000, '900-00-0046'); -- fails: it is there
RESET SESSION AUTHORIZATION;
SELECT phi.retag_step('se_patient', 'ssn'), phi.retag_step('se_claim', 'member_ssn');
SELECT column_name, search_generation, next_generation, search_moved FROM phi.column_policy WHERE relation IN ('se_patient'::regclass, 'se_claim'::regclass) AND searchable ORDER BY 1;
SET SESSION AUTHORIZATION se_clinician;
SELECT se_found();
INSERT INTO se_patient (id, ssn) SELECT 5000 + i, format('900-00-%s', to_char(i, 'FM0000')) FROM generate_series(1, 99) i ON CONFLICT (ssn) DO NOTHING;
SELECT count(*) FROM se_patient WHERE id > 5000; -- 1: 900-00-0042 was nobody's
UPDATE se_patient SET ssn = ssn, name = 'again' WHERE id BETWEEN 42 AND 60;
DELETE FROM se_patient WHERE id = 50;
INSERT INTO se_patient (id, ssn, email) VALUES (50, '900-00-0050', 'p50@Example.org');
SELECT id FROM se_patient WHERE ssn = (SELECT '900-00-0050'::phi.encrypted_text); -- fails, or finds it by a scan
SET SESSION AUTHORIZATION se_billing;
SELECT count(*) FROM se_patient_redacted WHERE ssn = '900-00-0046'; -- 0: not in full
RESET SESSION AUTHORIZATION;
CALL phi.retag('se_patient', 'ssn');
CALL phi.retag('se_patient', 'email');
CALL phi.retag('se_patient', 'ssn'); -- nothing is left to do
SELECT column_name, search_generation, next_generation FROM phi.column_policy WHERE relation IN ('se_patient'::regclass, 'se_claim'::regclass) AND searchable ORDER BY 1;
SELECT operation, phase, done = total AS done, finished_at IS NOT NULL AS finished FROM phi.progress WHERE operation LIKE 'retag%' ORDER BY 1;
SET SESSION AUTHORIZATION se_clinician;
SELECT se_found();
RESET SESSION AUTHORIZATION;
SELECT action, detail FROM phi_audit.event WHERE action = 'rotate_search_key' ORDER BY event_id;
DROP FUNCTION se_found();

SET client_min_messages = warning;
SELECT phi.unprotect('se_patient'); -- the index on tags becomes one on text
SELECT count(*) FROM se_patient WHERE ssn = '900-00-0007';
DROP TABLE se_patient, se_claim CASCADE;
DROP FUNCTION se_index(text);
SELECT phi.unenroll('se_clinician'), phi.unenroll('se_billing');
DROP OWNED BY se_clinician, se_billing;
DROP ROLE se_clinician, se_billing;
