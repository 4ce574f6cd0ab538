-- The encrypted types: everything that goes in is sealed, everything that comes out is sealed
\set VERBOSITY terse
CREATE ROLE types_user; -- ok
CREATE TABLE types_input (id int PRIMARY KEY, t phi.encrypted_text, d phi.encrypted_date,
	ts phi.encrypted_timestamptz, n phi.encrypted_numeric, j phi.encrypted_jsonb, b phi.encrypted_bytea); -- ok
GRANT SELECT, INSERT ON types_input TO types_user; -- ok

-- without a key there is nothing to seal with, and nothing is stored
INSERT INTO types_input (id, t) VALUES (1, 'canary'); -- fails
SELECT count(*) FROM types_input; -- 0
SELECT phi.ensure_keys(); -- ok
SELECT phi.ensure_keys(); -- ok: once is enough
SELECT scope, state, kek_version > 0 AS wrapped, opens FROM phi.key_status(); -- two keys

-- one parser branch a line
INSERT INTO types_input VALUES (1, 'canary', '1960-02-29', '2001-02-03 04:05:06+00', 12.50, '{"a": [1, "canary"]}', '\x63616e617279'); -- ok
INSERT INTO types_input VALUES (2, '', 'infinity', '-infinity', 'NaN', 'null', ''); -- ok
INSERT INTO types_input VALUES (3, NULL, NULL, NULL, NULL, NULL, NULL); -- ok
INSERT INTO types_input (id, t) VALUES (4, repeat('ä', 100000)); -- ok
INSERT INTO types_input (id, t) VALUES (5, 'phi:2:not ours'); -- ok: only phi:1: is ours
SELECT 'canary'::phi.encrypted_date; -- fails, and does not say what was given
SELECT 'canary'::phi.encrypted_timestamptz; -- fails
SELECT 'canary'::phi.encrypted_numeric; -- fails
SELECT '{"canary": '::phi.encrypted_jsonb; -- fails
SELECT '\xcanary'::phi.encrypted_bytea; -- fails
\set VERBOSITY default
SELECT 'canary'::phi.encrypted_date; -- fails
\set VERBOSITY terse
COPY types_input (id, d) FROM stdin; -- fails, without the line in its context
9	canary
\.

-- the text form: prefix, base64url, the size of format 1
SELECT id, left(t::text, 6) AS prefix, t::text ~ '^phi:1:[A-Za-z0-9_-]+$' AS base64url, pg_column_size(t) > 45 AS overhead
	FROM types_input WHERE id IN (1, 2) ORDER BY id;
SELECT length('x'::phi.encrypted_text::text) = 6 + ceil((45 + 1) * 4 / 3.0) AS size; -- t
SELECT 'x'::phi.encrypted_text::text <> 'x'::phi.encrypted_text::text AS never_twice; -- t

-- no way of output shows the value
SELECT count(*) FILTER (WHERE o ~ 'canary|12\.50|1960-02-29|2001-02-03') AS plain, count(*) AS ways FROM (
	SELECT t::text FROM types_input WHERE id = 1 UNION ALL
	SELECT types_input::text FROM types_input WHERE id = 1 UNION ALL
	SELECT to_json(types_input)::text FROM types_input WHERE id = 1 UNION ALL
	SELECT row_to_json(types_input)::text FROM types_input WHERE id = 1 UNION ALL
	SELECT array_agg(t)::text FROM types_input WHERE id = 1 UNION ALL
	SELECT string_agg(t::text, ',') FROM types_input WHERE id = 1 UNION ALL
	SELECT format('%s %L', t, t) FROM types_input WHERE id = 1 UNION ALL
	SELECT jsonb_build_object('t', t, 'd', d, 'j', j)::text FROM types_input WHERE id = 1 UNION ALL
	SELECT encode(phi.encrypted_text_send(t), 'escape') FROM types_input WHERE id = 1 UNION ALL
	SELECT xmlforest(t)::text FROM types_input WHERE id = 1) o(o); -- 0
\copy (SELECT t, d, ts, n, j, b FROM types_input WHERE id = 1) TO PROGRAM 'grep -c -e canary -e 1960-02-29 || true'
\copy (SELECT t, d, ts, n, j, b FROM types_input WHERE id = 1) TO PROGRAM 'grep -c -e canary -e 1960-02-29 || true' WITH (FORMAT csv)
\copy (SELECT t, d, ts, n, j, b FROM types_input WHERE id = 1) TO PROGRAM 'grep -c -a -e canary -e 1960-02-29 || true' WITH (FORMAT binary)

-- nor do a notice, a constraint's detail, a plan, a default, statistics
DO $$ DECLARE r types_input; n int; BEGIN
	SELECT * INTO r FROM types_input WHERE id = 1;
	SELECT count(*) INTO n FROM regexp_matches(r::text || quote_nullable(r.t), 'canary', 'g');
	RAISE NOTICE 'canaries in a record: %', n;
END $$;
ALTER TABLE types_input ADD CONSTRAINT never CHECK (id < 100); -- ok
DO $$ DECLARE what text; BEGIN
	INSERT INTO types_input (id, t) VALUES (100, 'canary');
EXCEPTION WHEN check_violation THEN
	GET STACKED DIAGNOSTICS what = PG_EXCEPTION_DETAIL;
	RAISE NOTICE 'canaries in the detail of a violation: %', (what ~ 'canary')::int;
END $$;
DO $$ DECLARE line text; n int := 0; BEGIN
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE) SELECT * FROM types_input WHERE t::text <> ''canary''::phi.encrypted_text::text' LOOP
		n := n + (line ~ '(^|[^a-z])canary')::int;
	END LOOP;
	RAISE NOTICE 'canaries in a plan: %', n;
END $$;
ALTER TABLE types_input ALTER COLUMN t SET DEFAULT 'canary'; -- ok
SELECT pg_get_expr(adbin, adrelid) ~ 'canary' AS plain FROM pg_attrdef WHERE adrelid = 'types_input'::regclass; -- f
ANALYZE types_input; -- ok
SELECT count(*) FROM pg_stats WHERE tablename = 'types_input' AND attname <> 'id'
	AND (most_common_vals IS NOT NULL OR histogram_bounds IS NOT NULL); -- 0

-- a sealed value is loaded by those who may, and by nobody else: never stored as plaintext, never sealed again
SELECT t AS sealed FROM types_input WHERE id = 1 \gset
INSERT INTO types_input (id, t) VALUES (6, :'sealed'); -- ok: superuser
SELECT (SELECT t::text FROM types_input WHERE id = 6) = :'sealed' AS same; -- t
INSERT INTO types_input (id, t) VALUES (7, :'sealed'::text); -- ok: also through the cast
SELECT (SELECT t::text FROM types_input WHERE id = 7) = :'sealed' AS same; -- t
SET ROLE types_user; -- ok
INSERT INTO types_input (id, t) VALUES (8, :'sealed'); -- fails
INSERT INTO types_input (id, t) VALUES (8, :'sealed'::text); -- fails
INSERT INTO types_input (id, t) VALUES (8, 'phi:1:'); -- fails
INSERT INTO types_input (id, t) VALUES (8, 'plain'); -- ok
RESET ROLE; -- ok
SELECT 'phi:1:'::phi.encrypted_text; -- fails
SELECT 'phi:1:AAAA'::phi.encrypted_text; -- fails
SELECT ('phi:1:' || 'EAAAAAE' || repeat('A', 53))::phi.encrypted_text; -- ok: structure alone is checked
SELECT (left(:'sealed', -1) || '*')::phi.encrypted_text; -- fails
SELECT (:'sealed' || '=')::phi.encrypted_text; -- fails
SELECT (:'sealed' || ' ')::phi.encrypted_text; -- fails

-- assignment from the plain types and their neighbors
INSERT INTO types_input (id, t) SELECT 20, 'x'::text; -- ok
INSERT INTO types_input (id, t) SELECT 21, 'x'::varchar(3); -- ok
INSERT INTO types_input (id, t) SELECT 22, 'x'::char(3); -- ok
INSERT INTO types_input (id, d) SELECT 23, '2001-02-03'::date; -- ok
INSERT INTO types_input (id, ts) SELECT 24, '2001-02-03'::timestamp; -- ok
INSERT INTO types_input (id, n) SELECT 25, 7::int; -- ok
INSERT INTO types_input (id, n) SELECT 26, 7::float8; -- ok
INSERT INTO types_input (id, j) SELECT 27, '{}'::json; -- ok
INSERT INTO types_input (id, b) SELECT 28, '\x00'::bytea; -- ok
INSERT INTO types_input (id, d) SELECT 29, 'x'::text; -- fails: no cast
INSERT INTO types_input (id, t) SELECT 30, 7; -- fails: no cast

-- no order, no equality, no hash: ciphertext says nothing
SELECT count(*) FROM types_input WHERE t = 'x'; -- fails
SELECT t FROM types_input ORDER BY t; -- fails
SELECT count(DISTINCT t) FROM types_input; -- fails
CREATE INDEX ON types_input (t); -- fails
CREATE INDEX ON types_input USING hash (t); -- fails

-- nobody reveals an unbound value, and nobody calls what converts columns
SELECT count(phi.reveal(t)) FROM types_input; -- 0
SELECT phi.open_in_place(t) FROM types_input WHERE id = 1; -- fails
SELECT phi.seal_in_place('x'::text, 1, 1, NULL); -- fails
SELECT phi.is_sealed_for(t, 1, 1, NULL) FROM types_input WHERE id = 1; -- fails
SET ROLE types_user; -- ok
SELECT phi.reveal(t) FROM types_input WHERE id = 1; -- fails: no duty
PREPARE as_text(phi.encrypted_text) AS SELECT left($1::text, 6);
EXECUTE as_text('x'); -- ok: the output of a parameter, which is folded
RESET ROLE; -- ok
DROP TABLE types_input; -- ok
DROP ROLE types_user; -- ok
