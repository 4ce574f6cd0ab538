-- Audit: what the owner of the log's tables, of their schema and of the database is refused, by statement and table
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE phi_log_owner;
CREATE ROLE phi_log_maker;
SELECT phi.audit_install();
SELECT phi.audit_seal() >= 0 AS sealed;

-- What became of a statement: DONE, or the error, its numbers and months left out.
CREATE FUNCTION tried(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'DONE';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || regexp_replace(SQLERRM, 'y\d{4}m\d\d', 'yYYYYmMM', 'g');
END $$;
-- The tables of the log: each, and one for all its like.
CREATE VIEW log_table AS
	SELECT 'phi_audit.' || relname AS name FROM pg_class
	WHERE relnamespace = 'phi_audit'::regnamespace AND (relname IN ('event', 'leaf', 'checkpoint', 'incarnation', 'archived_y2019m01')
		OR relname = to_char(clock_timestamp() AT TIME ZONE 'UTC', '"event_y"YYYY"m"MM'));
CREATE FUNCTION refusals(statements text[]) RETURNS TABLE (statement text, answer text, tables bigint) LANGUAGE sql AS $$
	SELECT s.s, tried(replace(s.s, 'TBL', t.name)), count(*) FROM unnest(statements) WITH ORDINALITY s (s, n), log_table t GROUP BY s.n, 1, 2 ORDER BY s.n, 2
$$;
GRANT SELECT ON log_table TO phi_log_owner, phi_log_maker;

BEGIN;
SET LOCAL client_min_messages = error;
CREATE TABLE phi_audit.archived_y2019m01 (LIKE phi_audit.event);
INSERT INTO phi_audit.archived_y2019m01 SELECT * FROM phi_audit.event LIMIT 1; -- ok: not guarded yet
SELECT phi.audit_guard_table('phi_audit.archived_y2019m01');
SELECT tried(format('ALTER TABLE %s OWNER TO phi_log_owner', name)) AS owned, count(*) FROM log_table GROUP BY 1;
ALTER SCHEMA phi_audit OWNER TO phi_log_owner;
GRANT CREATE ON SCHEMA public TO phi_log_owner;
SELECT tried(format('ALTER DATABASE %I OWNER TO phi_log_owner', current_database())) AS owned;
SET LOCAL ROLE phi_log_owner;

-- rows: the triggers answer, whoever asks
SELECT * FROM refusals(ARRAY['INSERT INTO TBL DEFAULT VALUES', 'INSERT INTO TBL DEFAULT VALUES ON CONFLICT DO NOTHING', 'DELETE FROM TBL', 'MERGE INTO TBL t USING (SELECT 1) o (o) ON true WHEN MATCHED THEN DELETE',
	'WITH gone AS (DELETE FROM TBL RETURNING 1) SELECT count(*) FROM gone', 'TRUNCATE TBL', 'TRUNCATE TBL CASCADE']); -- fails
SELECT tried('UPDATE phi_audit.event SET actor = NULL'), tried('UPDATE phi_audit.leaf SET event_id = 0'), tried('UPDATE phi_audit.checkpoint SET note = NULL'),
	tried('UPDATE phi_audit.incarnation SET number = 0');
SELECT tried('MERGE INTO phi_audit.leaf t USING (SELECT -1) o (o) ON t.leaf_index = o.o WHEN NOT MATCHED THEN INSERT VALUES (-1, -1, now(), '''')');
SELECT tried('SET session_replication_role = replica');

-- tables, triggers, rules, policies
SELECT * FROM refusals(ARRAY['ALTER TABLE TBL DISABLE TRIGGER ALL', 'ALTER TABLE TBL DISABLE TRIGGER USER', 'ALTER TABLE TBL DISABLE TRIGGER "~phi_log_guard"',
	'ALTER TABLE TBL ENABLE TRIGGER "~phi_log_guard"', 'ALTER TABLE TBL ENABLE REPLICA TRIGGER "~phi_no_truncate"', 'DROP TRIGGER "~phi_log_guard" ON TBL',
	'ALTER TRIGGER "~phi_log_guard" ON TBL RENAME TO idle', 'ALTER TRIGGER "~phi_log_guard" ON TBL DEPENDS ON EXTENSION pgcrypto',
	'CREATE TRIGGER a BEFORE INSERT ON TBL FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	'CREATE RULE r AS ON INSERT TO TBL DO INSTEAD NOTHING', 'CREATE POLICY p ON TBL', 'ALTER TABLE TBL ENABLE ROW LEVEL SECURITY',
	'ALTER TABLE TBL ADD COLUMN x integer', 'ALTER TABLE TBL DROP COLUMN recorded_at', 'ALTER TABLE TBL RENAME TO other', 'ALTER TABLE TBL RENAME COLUMN recorded_at TO x',
	'ALTER TABLE TBL SET SCHEMA public', 'ALTER TABLE TBL OWNER TO phi_log_owner', 'ALTER TABLE TBL SET UNLOGGED', 'ALTER TABLE TBL SET (fillfactor = 50)',
	'ALTER TABLE TBL ADD CHECK (false) NOT VALID', 'ALTER TABLE TBL REPLICA IDENTITY FULL', 'ALTER TABLE TBL CLUSTER ON x', 'ALTER TABLE TBL SET TABLESPACE pg_default',
	'DROP TABLE TBL', 'DROP TABLE TBL CASCADE', 'CREATE TABLE child () INHERITS (TBL)', 'CREATE INDEX ON TBL ((1))']); -- fails
SELECT tried(format('ALTER TABLE phi_audit.event DETACH PARTITION %s', name)), tried(format('ALTER TABLE phi_audit.event DETACH PARTITION %s CONCURRENTLY', name)),
	tried(format('ALTER TABLE phi_audit.event DETACH PARTITION %s FINALIZE', name)) FROM log_table WHERE name LIKE '%.event\_y%'; -- fails
SELECT tried('ALTER TABLE phi_audit.event ATTACH PARTITION phi_audit.archived_y2019m01 DEFAULT'), tried('CREATE TABLE phi_audit.p PARTITION OF phi_audit.event DEFAULT'); -- fails
SELECT tried('DROP INDEX phi_audit.event_txid'), tried('ALTER INDEX phi_audit.leaf_pkey RENAME TO x'), tried('DROP SEQUENCE phi_audit.event_id_seq'),
	tried('ALTER SEQUENCE phi_audit.event_id_seq RESTART'); -- fails
SELECT tried('DROP SCHEMA phi_audit CASCADE'), tried('ALTER SCHEMA phi_audit RENAME TO x'), tried('ALTER SCHEMA phi_audit OWNER TO phi_log_owner'),
	tried('DROP OWNED BY phi_log_owner'), tried('REASSIGN OWNED BY phi_log_owner TO phi_log_owner'); -- fails
SELECT tried('DROP EXTENSION phi_guard'), tried('DROP EXTENSION phi_guard CASCADE'), tried('ALTER EXTENSION phi_guard DROP FUNCTION phi.audit_guard()'),
	tried('ALTER EXTENSION pgcrypto ADD TABLE phi_audit.leaf'); -- fails

-- what would keep those waiting whose changes are recorded
SELECT * FROM refusals(ARRAY['LOCK TABLE TBL', 'LOCK TABLE TBL IN ROW SHARE MODE', 'LOCK TABLE ONLY TBL IN EXCLUSIVE MODE NOWAIT', 'VACUUM FULL TBL', 'VACUUM (FULL, ANALYZE) TBL',
	'VACUUM (FULL true) TBL (recorded_at)', 'CLUSTER TBL', 'CLUSTER TBL USING x', 'REINDEX TABLE TBL', 'REINDEX TABLE CONCURRENTLY TBL']); -- fails
SELECT tried('VACUUM FULL'), tried('VACUUM (FULL)'), tried('REINDEX SCHEMA phi_audit'), tried('REINDEX INDEX phi_audit.leaf_pkey'),
	tried(format('REINDEX DATABASE %I', current_database())); -- fails
SELECT tried('LOCK TABLE phi_audit.event IN ACCESS SHARE MODE'), tried('VACUUM (FULL false) phi_audit.leaf'), tried('VACUUM phi_audit.leaf'), tried('REINDEX SCHEMA public'); -- ok, or what PostgreSQL says in a transaction
ROLLBACK;

-- the database's owner alone
BEGIN;
SELECT tried(format('ALTER DATABASE %I OWNER TO phi_log_maker', current_database())) AS owned;
SET LOCAL ROLE phi_log_maker;
SELECT * FROM refusals(ARRAY['VACUUM FULL TBL', 'REINDEX TABLE TBL', 'LOCK TABLE TBL', 'CLUSTER TBL', 'DELETE FROM TBL', 'TRUNCATE TBL', 'COPY TBL FROM PROGRAM ''true''',
	'ALTER TABLE TBL DISABLE TRIGGER ALL', 'DROP TABLE TBL', 'SELECT FROM TBL']); -- fails
SELECT tried('VACUUM FULL'), tried(format('REINDEX DATABASE %I', current_database())), tried('DROP SCHEMA phi_audit CASCADE'), tried('DROP EXTENSION phi_guard CASCADE'),
	tried('SET session_replication_role = replica'), tried('ALTER SYSTEM SET phi.audit_reads = off'); -- fails
ROLLBACK;

-- COPY FROM, by whom may write anywhere else
GRANT USAGE ON SCHEMA phi_audit TO phi_log_maker;
GRANT ALL ON phi_audit.leaf TO phi_log_maker;
SET ROLE phi_log_maker;
COPY phi_audit.leaf FROM stdin; -- fails
-1	-1	2026-01-01	x
\.
LOCK TABLE phi_audit.leaf; -- fails
RESET ROLE;
COPY phi_audit.leaf FROM stdin; -- fails: a superuser as well
-1	-1	2026-01-01	x
\.
REVOKE ALL ON phi_audit.leaf FROM phi_log_maker;
REVOKE USAGE ON SCHEMA phi_audit FROM phi_log_maker;

-- a superuser may, and what takes nothing away leaves no event
SELECT max(event_id) AS newest FROM phi_audit.event \gset
VACUUM FULL phi_audit.incarnation; -- ok
REINDEX TABLE phi_audit.incarnation; -- ok
BEGIN;
LOCK TABLE phi_audit.incarnation; -- ok
ROLLBACK;
SELECT action, relation, detail FROM phi_audit.event WHERE event_id > :newest AND action = 'ddl' ORDER BY event_id;
SELECT detail, count(*) FROM phi_audit.event WHERE event_id <= :newest AND action = 'ddl' AND outcome = 'denied' AND current_role_name = 'phi_log_maker' GROUP BY 1 ORDER BY 1; -- refusals are events
SELECT ok, problem FROM phi.audit_verify();

DROP VIEW log_table CASCADE;
DROP FUNCTION refusals(text[]);
DROP FUNCTION tried(text);
DROP ROLE phi_log_owner, phi_log_maker;
