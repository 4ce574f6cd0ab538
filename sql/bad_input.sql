-- Every function with nothing and with the wrong thing: a clear error with a code, or NULL; never an internal error
\set VERBOSITY terse
CREATE FUNCTION bi_call(target regprocedure, argument text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	types oid[] := (SELECT proargtypes::oid[] FROM pg_proc WHERE oid = target);
	arguments text;
	code text;
	message text;
BEGIN
	SELECT string_agg(CASE WHEN t = 'regclass'::regtype AND argument = '0' THEN '0::regclass'
		WHEN t = '"any"'::regtype THEN argument || '::integer'
		WHEN argument = 'NULL' OR NOT t IN ('integer'::regtype, 'bigint'::regtype, 'text'::regtype, 'name'::regtype) THEN format('NULL::%s', t::regtype)
		ELSE format('%L::%s', argument, t::regtype) END, ', ' ORDER BY n)
	INTO arguments FROM unnest(types) WITH ORDINALITY AS u (t, n);
	BEGIN
		EXECUTE format('SELECT %s(%s)', target::regproc, coalesce(arguments, ''));
		RETURN 'ok';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
		-- What was tried is undone; what is left is the code.
		RETURN code || CASE WHEN message = '' THEN ' without a message' ELSE '' END;
	END;
END $$;
CREATE VIEW bi_function AS
	SELECT p.oid::regprocedure AS f, p.proname FROM pg_proc p
	WHERE pronamespace = 'phi'::regnamespace AND prorettype <> 'trigger'::regtype AND prokind = 'f'
	AND NOT ('internal'::regtype = ANY (proargtypes::oid[]) OR 'cstring'::regtype = ANY (proargtypes::oid[]));
SELECT count(*) > 100 AS many FROM bi_function;
BEGIN;
SET LOCAL client_min_messages = error;
SELECT f FROM (SELECT f, bi_call(f, 'NULL') AS code FROM bi_function) c WHERE code LIKE 'XX%' OR code LIKE '% without a message' ORDER BY f::text; -- none
SELECT f FROM (SELECT f, bi_call(f, '0') AS code FROM bi_function) c WHERE code LIKE 'XX%' OR code LIKE '% without a message' ORDER BY f::text; -- none
SELECT f FROM (SELECT f, bi_call(f, '-1') AS code FROM bi_function) c WHERE code LIKE 'XX%' OR code LIKE '% without a message' ORDER BY f::text; -- none
-- errors of syntax or of nothing found would be our own mistakes, in what a duty lets somebody call
SELECT DISTINCT f::text, code FROM (SELECT f, bi_call(f, a) AS code FROM bi_function, unnest('{NULL,0,-1}'::text[]) a
	WHERE f::text IN (SELECT function FROM phi.duty_function)) c
	WHERE code LIKE '42601' OR code LIKE 'P0%' ORDER BY f, code; -- none
ROLLBACK;
DROP VIEW bi_function;
DROP FUNCTION bi_call(regprocedure, text);
