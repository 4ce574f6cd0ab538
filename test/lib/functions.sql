-- Writes docs/functions.md from the catalog: psql -XAtq -f test/lib/functions.sql > docs/functions.md
\pset tuples_only on
\pset format unaligned
SELECT '# Functions

By the duty whose holders may execute them; nothing is PUBLIC but the casts that seal. `phi.grant_duty(role, duty)` gives a
role a duty. Made from the comments in the database by `test/lib/functions.sql`; types of arguments are PostgreSQL''s, `"any"` takes
any key type. Errors carry a code: 42501 denied, 55000 no key or not preloaded, XX001 a value that does not open, 22023 a bad
argument, 0A000 not in this release.';
WITH listed AS (
	SELECT d.duty, p.proname, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
		obj_description(p.oid, 'pg_proc') AS comment
	FROM phi.duty_function d JOIN pg_proc p ON p.oid = d.function::regprocedure
	-- of the overloads for the six encrypted types one stands for all
	WHERE d.function !~ '^phi\.reveal(_column)?\(phi\.encrypted_(date|timestamptz|numeric|jsonb|bytea)')
SELECT E'\n## ' || duty || E'\n\n| function | returns | what |\n|---|---|---|\n' ||
	string_agg(format('| `phi.%s(%s)` | %s | %s |', proname, arguments, coalesce(replace(result, '|', '\|'), '-'), comment), E'\n'
		ORDER BY proname, arguments)
FROM listed GROUP BY duty ORDER BY array_position('{application,privacy_officer,security_officer,auditor,key_custodian}', duty);
SELECT E'\n## Types and views

| object | what |
|---|---|';
SELECT format('| `phi.%s` | %s |', t.typname, obj_description(t.oid, 'pg_type')) FROM pg_type t
WHERE t.typnamespace = 'phi'::regnamespace AND t.typname ~ '^encrypted_' ORDER BY 1;
SELECT format('| `phi.%s` | %s |', c.relname, obj_description(c.oid, 'pg_class')) FROM pg_class c
WHERE c.relnamespace = 'phi'::regnamespace AND c.relkind = 'v' ORDER BY 1;
