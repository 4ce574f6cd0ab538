-- Installation: what is there, and what nobody may do yet
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION phi_guard CASCADE; -- ok
RESET client_min_messages;
SELECT extname, nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
	WHERE extname IN ('phi_guard', 'pgcrypto') ORDER BY 1;

-- a schema that somebody squatted stops the install, and nothing is left of it
DROP EXTENSION phi_guard; -- ok: nothing was protected yet
CREATE SCHEMA phi; -- ok
CREATE EXTENSION phi_guard; -- fails
SELECT count(*) FROM pg_type WHERE typname LIKE 'encrypted%'; -- 0
DROP SCHEMA phi; -- ok
CREATE EXTENSION phi_guard; -- ok

-- nothing that reveals, decides or changes a policy is PUBLIC
SELECT p.oid::regprocedure FROM pg_proc p
	WHERE pronamespace = 'phi'::regnamespace AND has_function_privilege('pg_monitor', p.oid, 'EXECUTE')
	ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT c.relname FROM pg_class c
	WHERE relnamespace = 'phi'::regnamespace AND relkind IN ('r', 'v', 'p')
	AND has_table_privilege('pg_monitor', c.oid, 'SELECT, INSERT, UPDATE, DELETE') ORDER BY 1; -- none

-- every function has a comment, and every definer a fixed search_path
SELECT p.oid::regprocedure FROM pg_proc p
	WHERE pronamespace = 'phi'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL; -- none
SELECT p.oid::regprocedure FROM pg_proc p
	WHERE pronamespace = 'phi'::regnamespace AND prosecdef
	AND NOT coalesce(proconfig, '{}') @> '{"search_path=pg_catalog, pg_temp"}'; -- none

-- every table of the extension is dumped, or filled by the script alone
SELECT c.relname FROM pg_class c JOIN pg_extension e ON extname = 'phi_guard'
	WHERE relnamespace = 'phi'::regnamespace AND relkind = 'r' AND NOT c.oid = ANY (e.extconfig)
	ORDER BY 1;
