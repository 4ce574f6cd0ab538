-- Names that try to be something else: quotes, line ends, formats, 63 bytes of two-byte letters
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE "hn_o""w'n %I\er" LOGIN;
CREATE ROLE "hn_clinician; DROP TABLE x --" LOGIN;
SELECT count(*) = 0 AS bare FROM phi.role_rule \gset
SELECT phi.install_default_rules() >= 0 AS rules;
SELECT phi.enroll('"hn_clinician; DROP TABLE x --"', 'dr', '{clinician}', '{TREAT}');
SELECT phi.grant_duty(r::regrole, 'application') FROM unnest(ARRAY['"hn_clinician; DROP TABLE x --"', '"hn_o""w''n %I\er"']) r;
CREATE SCHEMA "h""n's %s; \x" AUTHORIZATION "hn_o""w'n %I\er";
GRANT USAGE ON SCHEMA "h""n's %s; \x" TO "hn_clinician; DROP TABLE x --";

-- a table of every such name; functions and relations of the names we use wait in the caller's path
SET SESSION AUTHORIZATION "hn_o""w'n %I\er";
SET search_path = "h""n's %s; \x", pg_catalog;
CREATE FUNCTION "h""n's %s; \x".reveal("any") RETURNS text LANGUAGE internal AS 'now'; -- fails: not a superuser
CREATE FUNCTION "h""n's %s; \x".format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT ''DROP''::text';
CREATE FUNCTION "h""n's %s; \x".quote_ident(name) RETURNS text LANGUAGE sql AS 'SELECT ''x''::text';
CREATE TABLE "t""ab'le %1$I
$$ AS SELECT" (
	"i""d'%s
" bigint, "k""e'y %L" uuid DEFAULT '00000000-0000-0000-0000-000000000001',
	"n""a'me %I\" text DEFAULT 'O''Hara "%s" \', "relation" date, "c.kind" int, "none' --" text, "l""a'bels" text[], "NEW" text,
	PRIMARY KEY ("k""e'y %L", "i""d'%s
"));
INSERT INTO "t""ab'le %1$I
$$ AS SELECT" VALUES (1, DEFAULT, DEFAULT, '2000-01-01', 5, 'shown', '{N}', 'hidden');
CREATE TABLE "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüx" (id text PRIMARY KEY, "éééééééééééééééééééééééééééééé-z" text) PARTITION BY LIST (id);
CREATE TABLE "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüy" PARTITION OF "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüx" DEFAULT;
CREATE TABLE "ääääääääääääääääääääääääääääääx" (id text PRIMARY KEY, "name" text);
INSERT INTO "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüx" VALUES (E'p\t''"1', 'Ünal');
RESET SESSION AUTHORIZATION;
SELECT octet_length(phi.fit_name(repeat('ä', n), '_redacted')), phi.fit_name(repeat('ä', n), '_redacted') FROM generate_series(26, 31) n;
SELECT phi.fit_name('äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüx', '_redacted') <> phi.fit_name('äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüy', '_redacted') AS apart;
SELECT phi.classify('"t""ab''le %1$I
$$ AS SELECT"', c, k) FROM (VALUES ('n"a''me %I\', 'name'), ('relation', 'birth_date'), ('c.kind', 'lab'), ('none'' --', 'none')) v (c, k);
SELECT phi.classify('"äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüx"', 'éééééééééééééééééééééééééééééé-z', 'name');
SELECT phi.classify('"ääääääääääääääääääääääääääääääx"', 'name', 'name');
SELECT * FROM phi.protect_plan('"t""ab''le %1$I
$$ AS SELECT"', 'i"d''%s
', labels => 'l"a''bels');
SELECT phi.protect('"t""ab''le %1$I
$$ AS SELECT"', 'i"d''%s
', labels => 'l"a''bels');
SELECT phi.protect('"äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüx"', 'id');
SELECT phi.protect('"ääääääääääääääääääääääääääääääx"', 'id', view => '"a.b ""c"" ''d'' %I"');
SELECT view, subject_column, key_columns FROM phi.protected_table ORDER BY view::text COLLATE "C";
SELECT format('GRANT SELECT ON %s TO "hn_clinician; DROP TABLE x --"', view) FROM phi.protected_table ORDER BY view::text COLLATE "C" \gexec
SET SESSION AUTHORIZATION "hn_clinician; DROP TABLE x --";
SET search_path = "h""n's %s; \x", pg_catalog;
SELECT * FROM "t""ab'le %1$I
$$ AS SELECT_redacted";
SELECT * FROM "äöüäöüäöüäöüäöüäöüäöüä_7dcafcae_redacted";
SELECT * FROM "a.b ""c"" 'd' %I";

-- DDL with such names
SET SESSION AUTHORIZATION "hn_o""w'n %I\er";
SET search_path = "h""n's %s; \x", pg_catalog;
ALTER TABLE "t""ab'le %1$I
$$ AS SELECT" ADD COLUMN "$1 ""'" text, DROP COLUMN "NEW";
ALTER TABLE "t""ab'le %1$I
$$ AS SELECT" RENAME "n""a'me %I\" TO "%1$s ';--""";
ALTER TABLE "t""ab'le %1$I
$$ AS SELECT" RENAME "i""d'%s
" TO "{""a"",b}";
ALTER TABLE "t""ab'le %1$I
$$ AS SELECT" RENAME TO "it's
";
CREATE TABLE "p'""%I" (LIKE "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüx");
ALTER TABLE "äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüx" ATTACH PARTITION "p'""%I" FOR VALUES IN ('%''"');
ALTER TABLE "p'""%I" NO FORCE ROW LEVEL SECURITY; -- fails
RESET SESSION AUTHORIZATION;
SELECT column_name, kind FROM phi.protected_column ORDER BY 1;
SELECT subject_column, key_columns FROM phi.protected_table ORDER BY 1;
SET SESSION AUTHORIZATION "hn_clinician; DROP TABLE x --";
SET search_path = "h""n's %s; \x", pg_catalog;
SELECT * FROM "t""ab'le %1$I
$$ AS SELECT_redacted";
RESET SESSION AUTHORIZATION;
SELECT phi.unprotect(relation) FROM phi.protected_table;
SELECT attname, format_type(atttypid, atttypmod), pg_get_expr(adbin, adrelid) FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
	WHERE attrelid IN (SELECT oid FROM pg_class WHERE relname = E'it''s\n') AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT * FROM "h""n's %s; \x"."it's
";
SELECT phi.unenroll('"hn_clinician; DROP TABLE x --"');
SELECT phi.revoke_duty(r::regrole, 'application') FROM unnest(ARRAY['"hn_clinician; DROP TABLE x --"', '"hn_o""w''n %I\er"']) r;
SET client_min_messages = error;
DROP SCHEMA "h""n's %s; \x" CASCADE;
DROP ROLE "hn_o""w'n %I\er", "hn_clinician; DROP TABLE x --";
\if :bare
DELETE FROM phi.role_rule;
\endif
