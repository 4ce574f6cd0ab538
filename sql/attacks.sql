-- What somebody tries who sees a lesser form: every question about a value has to have the same answer whether the guess is right or wrong
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET datestyle = iso;
SET jit = off;
CREATE ROLE ak_owner LOGIN;
CREATE ROLE ak_full LOGIN;
CREATE ROLE ak_partial LOGIN;
CREATE ROLE ak_harbor LOGIN;
CREATE ROLE ak_none LOGIN;
CREATE ROLE ak_nobody LOGIN;
CREATE SCHEMA ak AUTHORIZATION ak_owner;
CREATE SCHEMA ak_own;
GRANT USAGE ON SCHEMA ak TO PUBLIC;
GRANT ALL ON SCHEMA ak_own TO PUBLIC;
SELECT phi.enroll('ak_full', 'full', '{ak_full}', '{TREAT}'), phi.enroll('ak_partial', 'partial', '{ak_partial}', '{TREAT}'),
	phi.enroll('ak_harbor', 'harbor', '{ak_harbor}', '{TREAT}', organization => 'Ak'), phi.enroll('ak_none', 'none', '{ak_none}', '{TREAT}');
CREATE ROLE ak_coder LOGIN;
SELECT phi.enroll('ak_coder', 'coder', '{ak_coder}', '{TREAT}', organization => 'Coder'), phi.set_rule('ak_coder', 'TREAT', 'all', 'full'), phi.grant_duty('ak_coder', 'application');
SELECT phi.set_rule('ak_full', 'TREAT', 'all', 'full'), phi.set_rule('ak_partial', 'TREAT', 'all', 'partial'),
	phi.set_rule('ak_harbor', 'TREAT', 'all', 'safe_harbor'), phi.set_rule('ak_none', 'TREAT', 'mrn', 'full');
SELECT count(phi.grant_duty(r::regrole, 'application')) FROM unnest('{ak_owner,ak_full,ak_partial,ak_harbor,ak_none,ak_nobody}'::text[]) r;
SET SESSION AUTHORIZATION ak_owner;
CREATE TABLE ak.patient (id bigint PRIMARY KEY, name text, ssn text, born date, note text, ward text, secret text, mrn text);
INSERT INTO ak.patient VALUES (1, 'Zanthippe Quorl', '987-31-4471', '1971-07-23', 'quassiawood', 'W1', 'canary', 'M1'), (2, 'Bea Two', '123-45-6702', '1980-01-02', 'fine', 'W2', 'canary', 'M2'),
	(3, 'Cy Three', '123-45-6703', '1980-01-03', 'fine', 'W3', 'canary', 'M3'), (4711, 'Hidden Gurnard', '987-31-4711', '1971-07-23', 'gurnard', 'gurnard', 'canary', 'gurnard');
RESET SESSION AUTHORIZATION;
SELECT count(phi.classify('ak.patient', c, k, searchable => c = 'ssn')) FROM (VALUES ('name', 'name'), ('ssn', 'ssn'), ('born', 'birth_date'), ('note', 'free_text'), ('ward', 'none'), ('mrn', 'mrn')) v (c, k);
SELECT phi.protect('ak.patient', 'id'), phi.add_view('ak.patient', 'ak.study', 'safe_harbor', 'Ak'), phi.make_pseudonyms('ak.patient', 'Ak');
SELECT phi.add_view('ak.patient', 'ak.coded', 'limited', 'Coder', '{"ssn": "token", "born": "shifted"}');
CREATE INDEX patient_ssn ON ak.patient (ssn);
SELECT phi.deny_consent(4711) AS denied \gset
GRANT SELECT, INSERT, UPDATE ON ak.patient, ak.patient_redacted TO ak_full, ak_partial, ak_harbor, ak_none, ak_nobody;
GRANT SELECT ON ak.study, ak.coded TO ak_full, ak_partial, ak_harbor, ak_none, ak_nobody;
GRANT SELECT ON ak.coded TO ak_coder;
SET SESSION AUTHORIZATION ak_partial;
SELECT * FROM ak.patient_redacted ORDER BY id;
SET SESSION AUTHORIZATION ak_harbor;
SELECT * FROM ak.patient_redacted ORDER BY id;
SET SESSION AUTHORIZATION ak_none;
SELECT * FROM ak.patient_redacted ORDER BY id;
RESET SESSION AUTHORIZATION;

-- ---- questions ----

-- A right guess of each column and a wrong one that every form shows in the same way; %1 is the column, %2 the guess, %3 the relation.
CREATE TABLE ak.guess (column_name text, right_one text, wrong_one text);
INSERT INTO ak.guess VALUES ('name', 'Zanthippe Quorl', 'Zebedee Quince'), ('ssn', '987-31-4471', '987-32-4471'), ('born', '1971-07-23', '1971-07-24'), ('note', 'quassiawood', 'quassiawort');
CREATE TABLE ak.question (n serial, what text, sql text);
INSERT INTO ak.question (what, sql) VALUES
	('WHERE', 'SELECT count(*) FROM %3$s v WHERE %1$I = %2$L'),
	('WHERE, parameter', 'SELECT count(*) FROM %3$s v WHERE %1$I = $1'),
	('WHERE, turned round', 'SELECT count(*) FROM %3$s v WHERE %2$L = %1$I'),
	('WHERE NOT', 'SELECT count(*) FROM %3$s v WHERE %1$I <> %2$L'),
	('IN', 'SELECT count(*) FROM %3$s v WHERE %1$I IN (%2$L, NULL)'),
	('= ANY', 'SELECT count(*) FROM %3$s v WHERE %1$I::text = ANY (ARRAY[%2$L])'),
	('IS DISTINCT', 'SELECT count(*) FROM %3$s v WHERE %1$I IS DISTINCT FROM %2$L'),
	('bisection', 'SELECT count(*) FROM %3$s v WHERE %1$I >= %2$L::%5$s'),
	('BETWEEN', 'SELECT count(*) FROM %3$s v WHERE %1$I BETWEEN %2$L AND %2$L'),
	('LIKE', 'SELECT count(*) FROM %3$s v WHERE %1$I::text LIKE %2$L || ''%%'''),
	('expression', 'SELECT count(*) FROM %3$s v WHERE %1$I::text ~ %2$L'),
	('substring', 'SELECT count(*) FROM %3$s v WHERE substr(%1$I::text, 5, 6) = substr(%2$L, 5, 6)'),
	('hash', 'SELECT count(*) FROM %3$s v WHERE md5(%1$I::text) = md5(%2$L)'),
	('row', 'SELECT count(*) FROM %3$s v WHERE (ward, %1$I) = (''W1'', %2$L)'),
	('ORDER BY', 'SELECT array_agg(ward ORDER BY %1$I = %2$L, ward) FROM %3$s v'),
	('ORDER BY LIMIT', 'SELECT ward FROM %3$s v ORDER BY %1$I IS NOT DISTINCT FROM %2$L DESC, ward DESC LIMIT 1'),
	('place among guesses', 'SELECT string_agg(w, '','' ORDER BY x, w COLLATE "C" DESC) FROM (SELECT %1$I::text COLLATE "C", ward FROM %3$s v UNION ALL SELECT %2$L, ''guess'') u (x, w)'),
	('JOIN', 'SELECT count(*) FROM %3$s v JOIN (VALUES (%2$L)) d (x) ON d.x = v.%1$I::text'),
	('JOIN with an own table', 'SELECT count(*) FROM %3$s v JOIN ak_own.dictionary d ON d.x = v.%1$I::text WHERE d.x = %2$L'),
	('self join', 'SELECT count(*) FROM %3$s a JOIN %3$s b ON a.%1$I = b.%1$I WHERE b.%1$I = %2$L'),
	('outer join', 'SELECT count(*), count(v.ward) FROM (VALUES (%2$L)) d (x) LEFT JOIN %3$s v ON d.x = v.%1$I::text'),
	('GROUP BY', 'SELECT jsonb_object_agg(coalesce(g::text, ''?''), n) FROM (SELECT %1$I = %2$L AS g, count(*) AS n FROM %3$s v GROUP BY 1) x'),
	('HAVING', 'SELECT count(*) FROM (SELECT 1 FROM %3$s v GROUP BY %1$I HAVING %1$I = %2$L) x'),
	('HAVING of an aggregate', 'SELECT count(*) FROM (SELECT 1 FROM %3$s v GROUP BY ward HAVING max(%1$I) = %2$L) x'),
	('aggregate', 'SELECT max(%1$I::text) FILTER (WHERE %1$I = %2$L) IS NULL, bool_or(%1$I = %2$L), string_agg(%1$I::text, '','') ~ %2$L FROM %3$s v'),
	('window', 'SELECT array_agg(r) FROM (SELECT rank() OVER (ORDER BY %1$I = %2$L) AS r FROM %3$s v) x'),
	('lag', 'SELECT count(*) FROM (SELECT lag(%1$I) OVER (ORDER BY ward) AS l FROM %3$s v) x WHERE l = %2$L'),
	('EXISTS', 'SELECT EXISTS (SELECT FROM %3$s v WHERE %1$I = %2$L)'),
	('NOT IN', 'SELECT %2$L NOT IN (SELECT %1$I::text FROM %3$s v WHERE %1$I IS NOT NULL)'),
	('ALL', 'SELECT %2$L <> ALL (SELECT %1$I::text FROM %3$s v WHERE %1$I IS NOT NULL)'),
	('scalar subquery', 'SELECT (SELECT v.ward FROM %3$s v WHERE v.%1$I = g.x::text::%5$s LIMIT 1) FROM (VALUES (%2$L)) g (x)'),
	('LATERAL', 'SELECT count(*) FROM (VALUES (%2$L)) d (x), LATERAL (SELECT FROM %3$s v WHERE v.%1$I::text = d.x) l'),
	('CASE', 'SELECT array_agg(CASE %1$I WHEN %2$L THEN 1 ELSE 0 END ORDER BY ward) FROM %3$s v'),
	('CASE that fails', 'SELECT count(CASE WHEN %1$I = %2$L THEN 1 / (length(ward) - length(ward)) END) FROM %3$s v'),
	('WHERE that fails', 'SELECT count(*) FROM %3$s v WHERE CASE WHEN %1$I = %2$L THEN 1 / (length(ward) - length(ward)) END = 1'),
	('NULLIF', 'SELECT count(nullif(%1$I, %2$L)) FROM %3$s v'),
	('greatest', 'SELECT count(*) FROM %3$s v WHERE greatest(%1$I::text, %2$L) = least(%1$I::text, %2$L)'),
	('UNION', 'SELECT count(*) FROM (SELECT %1$I::text FROM %3$s v UNION SELECT %2$L) x'),
	('INTERSECT', 'SELECT count(*) FROM (SELECT %1$I::text FROM %3$s v INTERSECT SELECT %2$L) x'),
	('EXCEPT', 'SELECT count(*) FROM (SELECT %2$L EXCEPT SELECT %1$I::text FROM %3$s v) x'),
	('whole row', 'SELECT count(*) FROM %3$s v WHERE v::text ~ %2$L'),
	('whole row as jsonb', 'SELECT count(*) FROM %3$s v WHERE to_jsonb(v) @> jsonb_build_object(%1$L, %2$L)'),
	('whole rows compared', 'SELECT count(*) FROM %3$s v, %3$s w WHERE v IS NOT DISTINCT FROM w AND (w).%1$I = %2$L'),
	('array', 'SELECT array_position(array_agg(%1$I::text ORDER BY ward), %2$L) FROM %3$s v'),
	('json', 'SELECT jsonb_agg(v) @> jsonb_build_array(jsonb_build_object(%1$L, %2$L)) FROM %3$s v'),
	('text search', 'SELECT count(*) FROM %3$s v WHERE to_tsvector(''simple'', %1$I::text) @@ plainto_tsquery(''simple'', %2$L)'),
	('CTE', 'WITH w AS MATERIALIZED (SELECT * FROM %3$s v) SELECT count(*) FROM w WHERE %1$I = %2$L'),
	('recursive', 'WITH RECURSIVE w AS (SELECT %1$I::text AS x FROM %3$s v WHERE %1$I = %2$L UNION ALL SELECT x || ''.'' FROM w WHERE length(x) < 12) SELECT count(*) FROM w'),
	('table function', 'SELECT count(*) FROM %3$s v, unnest(string_to_array(%1$I::text, '' '')) u WHERE u = split_part(%2$L, '' '', 1)'),
	('domain', 'SELECT count(*) FROM %3$s v WHERE %1$I::text::ak_own.word = %2$L');
CREATE DOMAIN ak_own.word AS text;
CREATE TABLE ak_own.dictionary (x text);
INSERT INTO ak_own.dictionary SELECT right_one FROM ak.guess UNION ALL SELECT wrong_one FROM ak.guess;
-- The relations: the view, the recipient's one, what the table's functions show with the key and without it, and sealed copies.
CREATE TABLE ak.source (relation text, sql text);
INSERT INTO ak.source VALUES ('the view', 'ak.patient_redacted'), ('the study', 'ak.study'), ('the coded study', 'ak.coded'),
	('the table', '(SELECT ward, phi.reveal(name, id) AS name, phi.reveal(ssn, id) AS ssn, phi.reveal(born, id) AS born, phi.reveal(note, id) AS note FROM ak.patient)'),
	('copies', '(SELECT ward, phi.reveal(name) AS name, phi.reveal(ssn) AS ssn, phi.reveal(born) AS born, phi.reveal(note) AS note FROM ak_own.copied)');
SET row_security = off;
CREATE TABLE ak_own.copied AS SELECT ward, name, ssn, born, note FROM ak.patient;
RESET row_security;
CREATE TABLE ak.answer (who text, relation text, what text, columns bigint, failures bigint);
GRANT SELECT ON ak.guess, ak.question, ak.source, ak_own.dictionary, ak_own.copied TO PUBLIC;
GRANT SELECT, INSERT ON ak.answer TO PUBLIC;

-- What a question is answered, an error included.
CREATE FUNCTION ak.ask(question text, guess text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	message text;
	detail text;
BEGIN
	EXECUTE format('SELECT string_agg(r::text, '';'') FROM (%s) r', question) INTO answer USING guess;
	RETURN coalesce(answer, 'nothing');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN SQLSTATE || ' ' || message || ' ' || detail;
END $$;
-- Of how many columns it tells the right guess from the wrong one: of all four in the view, of the first two elsewhere.
CREATE FUNCTION ak.interrogate(source text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	q record;
	g record;
	place text;
	of_type text;
	answer text;
	other text;
	told bigint;
	failed bigint;
BEGIN
	place := (SELECT s.sql FROM ak.source s WHERE s.relation = source);
	FOR q IN SELECT * FROM ak.question ORDER BY n LOOP
		told := 0;
		failed := 0;
		FOR g IN SELECT * FROM ak.guess WHERE source = 'the view' OR column_name IN ('name', 'ssn') LOOP
			of_type := CASE g.column_name WHEN 'born' THEN 'date' ELSE 'text' END;
			answer := ak.ask(replace(format(q.sql, g.column_name, g.right_one, place, g.wrong_one, of_type), '$1', '$1::' || of_type), g.right_one);
			other := ak.ask(replace(format(q.sql, g.column_name, g.wrong_one, place, g.right_one, of_type), '$1', '$1::' || of_type), g.wrong_one);
			told := told + (replace(answer, g.right_one, 'guess') <> replace(other, g.wrong_one, 'guess'))::int;
			failed := failed + (answer ~ '^\w{5} ' AND answer !~ '^22012 ')::int;
		END LOOP;
		INSERT INTO ak.answer VALUES (session_user, source, q.what, told, failed);
	END LOOP;
END $$;
SET SESSION AUTHORIZATION ak_full;
SELECT ak.interrogate(s) FROM unnest('{the view,the study,the table,copies}'::text[]) s;
SET SESSION AUTHORIZATION ak_partial;
SELECT ak.interrogate(s) FROM unnest('{the view,the study,the table,copies}'::text[]) s;
SET SESSION AUTHORIZATION ak_harbor;
SELECT ak.interrogate(s) FROM unnest('{the view,the study}'::text[]) s;
SET SESSION AUTHORIZATION ak_coder;
SELECT count(*) AS rows, count(ssn) AS tokens, count(*) FILTER (WHERE ssn ~ '987-31-4471') AS values FROM ak.coded;
SELECT ak.interrogate('the coded study');
SET SESSION AUTHORIZATION ak_none;
SELECT ak.interrogate(s) FROM unnest('{the view}'::text[]) s;
RESET SESSION AUTHORIZATION;
-- who sees values in full is told of every column by every one of them (so they are attacks); nobody else of any
SELECT what, columns, failures FROM ak.answer WHERE who = 'ak_full' AND relation !~ 'study' AND (columns < CASE relation WHEN 'the view' THEN 4 ELSE 2 END OR failures > 0) ORDER BY what; -- none
SELECT who, relation, count(*) = (SELECT count(*) FROM ak.question) AS asked, sum(columns) AS told, sum(failures) AS failed FROM ak.answer
	WHERE who <> 'ak_full' OR relation = 'the study' GROUP BY 1, 2 ORDER BY 1, 2; -- told 0

-- ---- sealed values and guesses that were sealed ----

CREATE TABLE ak.sealed_question (n serial, what text, sql text);
INSERT INTO ak.sealed_question (what, sql) VALUES
	('=', 'SELECT count(*) FROM ak.patient WHERE ssn = %L'),
	('= parameter', 'SELECT count(*) FROM ak.patient WHERE ssn = $1'),
	('IN', 'SELECT count(*) FROM ak.patient WHERE ssn IN (%1$L, %1$L)'),
	('<>', 'SELECT count(*) FROM ak.patient WHERE ssn <> %L'),
	('IS DISTINCT', 'SELECT count(*) FROM ak.patient WHERE ssn IS DISTINCT FROM %L'),
	('CASE', 'SELECT array_agg(CASE ssn WHEN %L THEN 1 END ORDER BY ward) FROM ak.patient'),
	('NULLIF', 'SELECT count(nullif(ssn, %L)) FROM ak.patient'),
	('array', 'SELECT array_position(array_agg(ssn ORDER BY ward), %L) FROM ak.patient'),
	('row', 'SELECT count(*) FROM ak.patient WHERE (ward, ssn) = (''W1'', %L)'),
	('JOIN', 'SELECT count(*) FROM ak.patient JOIN (SELECT phi.seal(%L) AS s) d ON s = ssn'),
	('EXISTS', 'SELECT count(*) FROM ak.patient WHERE EXISTS (SELECT FROM (SELECT phi.seal(%L) AS s OFFSET 0) d WHERE s = ssn)'),
	('UNION', 'SELECT count(*) FROM (SELECT ssn FROM ak.patient UNION SELECT phi.seal(%L)) u'),
	('INTERSECT', 'SELECT count(*) FROM (SELECT ssn FROM ak.patient INTERSECT SELECT phi.seal(%L)) u'),
	('GROUP BY', 'SELECT count(*) FROM (SELECT ssn FROM (SELECT ssn FROM ak.patient UNION ALL SELECT phi.seal(%L)) u GROUP BY ssn HAVING count(*) > 1) g'),
	('hash', 'SELECT count(*) FROM ak.patient WHERE phi.search_hash(ssn) = phi.search_hash(phi.seal(%L))'),
	('order', 'SELECT count(*) FROM ak.patient WHERE phi.search_cmp(ssn, %L) = 0'),
	('rows of the index', 'SELECT (SELECT count(*) FROM ak.patient WHERE ssn = %L) * 0 + pg_stat_get_xact_tuples_fetched(''ak.patient_ssn''::regclass)'),
	('the tag', 'SELECT phi.search_value(%L, current_setting(''ak.column'')::int)'),
	('text', 'SELECT count(*) FROM ak.patient WHERE ssn::text = phi.seal(%L)::text'),
	('bytes', 'SELECT count(*) FROM ak.patient WHERE phi.encrypted_text_send(ssn) = phi.encrypted_text_send(phi.seal(%L))'),
	('of the name', 'SELECT count(*) FROM ak.patient WHERE name = %L'),
	('of its sort', 'SELECT array_agg(ward) FROM (SELECT ward FROM ak.patient WHERE name::text > %L ORDER BY ward) s'),
	('binding', 'SELECT phi.is_sealed_for(ssn, current_setting(''ak.column'')::int, 1::bigint, NULL, 1::bigint) FROM ak.patient WHERE %L <> '''''),
	('opening in place', 'SELECT phi.open_in_place(ssn) = %L FROM ak.patient'),
	('sealing in place', 'SELECT phi.seal_in_place(%L::text, current_setting(''ak.column'')::int, 1::bigint, NULL, 1::bigint) = ssn FROM ak.patient'),
	('another column', 'SELECT phi.reveal_column(ssn, (SELECT 1), id) = %L FROM ak.patient'),
	('a view''s form', 'SELECT phi.reveal_as(ssn, current_setting(''ak.column'')::int, ''full'', ''Ak'', id) = %L FROM ak.patient WHERE ward = ''W1'''),
	('another row', 'SELECT phi.reveal(ssn, id + 1) = %L FROM ak.patient'),
	('history', 'SELECT h::text ~ %L FROM ak.patient, phi.history(''ak.patient'', id) h');
GRANT SELECT ON ak.sealed_question TO PUBLIC;
SELECT set_config('ak.column', column_id::text, false) FROM phi.column_policy WHERE relation = 'ak.patient'::regclass AND column_name = 'ssn' \gset ignored_
-- Questions to the sealed SSN that are answered in another way for the right guess.
CREATE FUNCTION ak.told_by_sealed() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	q record;
	answer text;
	other text;
	told text[] := '{}';
BEGIN
	FOR q IN SELECT * FROM ak.sealed_question ORDER BY n LOOP
		answer := ak.ask(replace(format(q.sql, '987-31-4471'), '$1', '$1::text'), '987-31-4471');
		other := ak.ask(replace(format(q.sql, '987-32-4471'), '$1', '$1::text'), '987-32-4471');
		-- asked again it grows where rows were found
		IF q.what = 'rows of the index' THEN other := ak.ask(format(q.sql, '987-31-4471'), NULL); END IF;
		IF answer <> other OR answer ~ '987-31' THEN told := told || q.what; END IF;
	END LOOP;
	RETURN format('%s told by: %s', session_user, coalesce(nullif(array_to_string(told, ', '), ''), 'nothing'));
END $$;
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET SESSION AUTHORIZATION ak_full;
SELECT ak.told_by_sealed(); -- what a search is for
SET SESSION AUTHORIZATION ak_partial;
SELECT ak.told_by_sealed(); -- nothing
SET SESSION AUTHORIZATION ak_none;
SELECT ak.told_by_sealed(); -- nothing
SET SESSION AUTHORIZATION ak_nobody;
SELECT ak.told_by_sealed(); -- nothing
RESET SESSION AUTHORIZATION;
RESET enable_seqscan;
RESET enable_hashjoin;
RESET enable_mergejoin;

-- ---- code of the attacker's own that tells what it is shown ----

SET SESSION AUTHORIZATION ak_partial;
CREATE TEMP TABLE heard (what text);
GRANT INSERT ON heard TO PUBLIC;
CREATE FUNCTION ak_own.hear(anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN INSERT INTO heard VALUES ($1::text); RETURN true; END';
CREATE FUNCTION ak_own.hear_too(anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 SECURITY DEFINER AS 'BEGIN INSERT INTO heard VALUES ($1::text); RETURN true; END';
CREATE FUNCTION ak_own.hear_both(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN INSERT INTO heard VALUES ($1); RETURN $1 OPERATOR(pg_catalog.=) $2; END';
CREATE FUNCTION ak_own.hear_sum(text, text) RETURNS text LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN INSERT INTO heard VALUES ($2); RETURN $2; END';
CREATE FUNCTION ak_own.hear_sealed(phi.encrypted_text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN INSERT INTO heard VALUES (format(''%s'', $1)); RETURN true; END';
CREATE FUNCTION ak_own.hear_id(bigint, bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN INSERT INTO heard VALUES ($1::text); RETURN $1 OPERATOR(pg_catalog.=) $2; END';
CREATE FUNCTION ak_own.hear_one(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN INSERT INTO heard VALUES ($1); RETURN true; END';
CREATE OPERATOR ak_own.= (LEFTARG = text, RIGHTARG = text, FUNCTION = ak_own.hear_both, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE OPERATOR ak_own.= (LEFTARG = phi.encrypted_text, RIGHTARG = text, FUNCTION = ak_own.hear_sealed);
CREATE OPERATOR ak_own.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = ak_own.hear_id, RESTRICT = eqsel);
CREATE OPERATOR ak_own.~~~ (RIGHTARG = text, FUNCTION = ak_own.hear_one);
CREATE AGGREGATE ak_own.overhear(text) (SFUNC = ak_own.hear_sum, STYPE = text);
CREATE DOMAIN ak_own.ear AS text CHECK (ak_own.hear(value));
CREATE TYPE ak_own.row_of_ears AS (name ak_own.ear, ssn ak_own.ear, id bigint);
CREATE FUNCTION ak_own.note_type(date) RETURNS ak_own.ear LANGUAGE sql AS 'SELECT $1::text::ak_own.ear';
SET enable_seqscan = off;
SELECT count(*) FROM ak.patient_redacted WHERE ak_own.hear(name) AND ak_own.hear(ssn) AND ak_own.hear(born) AND ak_own.hear(note) AND ak_own.hear(secret);
SELECT count(*) FROM ak.patient_redacted v WHERE ak_own.hear(v) AND ak_own.hear_too(v) AND ak_own.hear(to_jsonb(v));
SELECT count(*) FROM ak.patient_redacted WHERE ak_own.hear_too(id) AND ak_own.hear_too(name) AND id > 0;
SELECT count(*) FROM ak.study v WHERE ak_own.hear(v) AND ak_own.hear(id) AND ak_own.hear(name);
SELECT count(*) FROM ak.patient WHERE ak_own.hear(id) AND ak_own.hear(ward);
SELECT count(*) FROM ak.patient WHERE ak_own.hear(phi.reveal(name, id)) AND ak_own.hear(phi.reveal(ssn)) AND id < 100000;
SELECT count(*) FROM ak.patient_redacted WHERE name OPERATOR(ak_own.=) 'x' OR OPERATOR(ak_own.~~~) ssn OR id OPERATOR(ak_own.=) 4711;
SELECT count(*) FROM ak.patient_redacted a JOIN ak.patient_redacted b ON a.name OPERATOR(ak_own.=) b.ssn;
SELECT count(*) FROM ak.patient WHERE ssn OPERATOR(ak_own.=) '987-31-4471';
SELECT count(name::ak_own.ear), count(ssn::ak_own.ear), count(ak_own.note_type(born)), count((ARRAY[name, ssn])::ak_own.ear[]) FROM ak.patient_redacted;
SELECT count(jsonb_populate_record(NULL::ak_own.row_of_ears, to_jsonb(v))), count(ROW(name, ssn, id)::ak_own.row_of_ears) FROM ak.patient_redacted v;
SELECT ak_own.overhear(name) IS NULL, count(*) FILTER (WHERE ak_own.hear(ssn)) FROM ak.patient_redacted;
SELECT count(*) FROM (SELECT ak_own.overhear(ssn) OVER (ORDER BY ak_own.hear(name)) FROM ak.patient_redacted) w;
SELECT count(*) FROM (SELECT DISTINCT ON (ak_own.hear(ssn)) 1 FROM ak.patient_redacted GROUP BY ssn HAVING ak_own.hear(max(name))) w;
SELECT count(*) FROM ak.patient_redacted v, LATERAL (SELECT ak_own.hear(v.name) OFFSET 0) l WHERE EXISTS (SELECT FROM ak.patient_redacted w WHERE w.id = v.id AND ak_own.hear(w.ssn));
-- in the place of PostgreSQL's own operators and functions
SET search_path = ak_own, pg_catalog;
CREATE FUNCTION ak_own.md5(text) RETURNS text LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN INSERT INTO pg_temp.heard VALUES ($1); RETURN $1; END';
CREATE FUNCTION ak_own.row_access(regclass, bigint, text[]) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN INSERT INTO pg_temp.heard VALUES ($2::text); RETURN true; END';
CREATE FUNCTION ak_own.reveal_column(phi.encrypted_text, int, bigint) RETURNS text LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN INSERT INTO pg_temp.heard VALUES (format(''%s'', $1)); RETURN ''x''; END';
SELECT count(*), count(md5(name)) FROM ak.patient_redacted WHERE name = 'x' OR id = 4711 OR ssn = '987-31-4471';
SELECT count(*) FROM ak.patient WHERE id = 4711 OR ssn = '987-31-4471'::text;
SELECT id, name FROM ak.patient_redacted WHERE phi.can_access(id) ORDER BY id;
UPDATE ak.patient_redacted SET ward = 'W2' WHERE id OPERATOR(pg_catalog.=) 2 RETURNING id, name;
RESET search_path;
CREATE FUNCTION pg_temp.reveal_column(phi.encrypted_text, int, bigint) RETURNS text LANGUAGE plpgsql AS 'BEGIN INSERT INTO heard VALUES ($1::text); RETURN $1; END';
CREATE TABLE pg_temp.patient_redacted AS SELECT 1 AS id;
CREATE TEMP TABLE table_policy (x int);
CREATE TEMP TABLE pg_class (x int);
SELECT count(name) FROM ak.patient_redacted;
DROP TABLE pg_temp.pg_class;
-- as casts
CREATE FUNCTION ak_own.seen(phi.encrypted_text) RETURNS text LANGUAGE plpgsql AS 'BEGIN INSERT INTO heard VALUES (format(''%s'', $1)); RETURN ''x''; END';
CREATE CAST (phi.encrypted_text AS text) WITH FUNCTION ak_own.seen(phi.encrypted_text) AS IMPLICIT; -- fails: neither type is the attacker's
CREATE CAST (phi.encrypted_text AS integer) WITH INOUT; -- fails: not the owner's
CREATE FUNCTION ak_own.known(text) RETURNS boolean LANGUAGE plpgsql LEAKPROOF AS 'BEGIN RETURN true; END'; -- fails
CREATE OPERATOR CLASS ak_own.c FOR TYPE text USING btree AS FUNCTION 1 ak_own.hear_both(text, text); -- fails
RESET enable_seqscan;
-- the functions were shown masks in plenty, the rest never
SELECT count(*) > 80 AS shown, count(*) FILTER (WHERE what ~ 'Z\*\*\* Q\*\*\*') > 10 AS masks, count(*) FILTER (WHERE what ~ '-4471') > 10 AS last_digits, count(*) FILTER (WHERE what ~ '^phi:1:') > 0 AS sealed,
	count(*) FILTER (WHERE what ~ 'Quorl|Zanthippe|987-31|1971-07-23|quassia|canary') AS values, count(*) FILTER (WHERE what ~* 'gurnard|4711|Hidden') AS hidden_rows FROM heard;
DROP TABLE table_policy, pg_temp.patient_redacted;
RESET SESSION AUTHORIZATION;

-- ---- errors about values ----

-- The error of each statement, and whether it shows what the session does not see.
CREATE FUNCTION ak.error_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
	context text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
	RETURN SQLSTATE || CASE WHEN concat(message, detail, hint, context) ~* 'Quorl|Zanthippe|987-31|1971-07-23|quassia|canary|gurnard|4711' THEN ' LEAKS' ELSE '' END;
END $$;
CREATE TABLE ak.failing (n serial, sql text);
INSERT INTO ak.failing (sql) SELECT format(s, c) FROM unnest('{name,ssn,born,note,secret}'::text[]) WITH ORDINALITY AS u (c, n), unnest(ARRAY[
	'SELECT %s::text::integer FROM ak.patient_redacted', 'SELECT %s::text::date + 1/0 FROM ak.patient_redacted', 'SELECT (%s::text || ''x'')::uuid FROM ak.patient_redacted',
	'SELECT %s::text::jsonb FROM ak.patient_redacted', 'SELECT %s::text::"char"::int::text::bit(3) FROM ak.patient_redacted', 'SELECT to_date(%s::text, ''YYYY'')::text::xid8 FROM ak.patient_redacted',
	'SELECT %s::text::regclass FROM ak.patient_redacted', 'SELECT set_config(''work_mem'', %s::text, true) FROM ak.patient_redacted', 'SELECT jsonb_path_query(''{}'', %s::text::jsonpath) FROM ak.patient_redacted',
	'SELECT ''x'' ~ (''('' || %s::text) FROM ak.patient_redacted', 'SELECT format(''%%'' || %s::text) FROM ak.patient_redacted', 'SELECT CASE WHEN %s IS NOT NULL THEN 1/0 END FROM ak.patient_redacted',
	'SELECT %s::text::integer FROM ak.study', 'SELECT id::text::integer + length(%s::text) FROM ak.study']) s WHERE NOT (c = 'secret' AND s ~ 'CASE') ORDER BY n, s;
INSERT INTO ak.failing (sql) SELECT format(s, c) FROM unnest('{name,ssn}'::text[]) WITH ORDINALITY AS u (c, n), unnest(ARRAY[
	'SELECT %s::text::integer FROM ak.patient', 'SELECT phi.reveal(%s, id)::integer FROM ak.patient', 'SELECT phi.reveal(%s)::date FROM ak.patient', 'SELECT phi.reveal(%s, id, id) FROM ak.patient',
	'SELECT phi.reveal(%s, ward) FROM ak.patient', 'SELECT phi.reveal(%1$s, length(phi.reveal(%1$s, id))) FROM ak.patient', 'SELECT phi.encrypted_text_send(%s)::text::integer FROM ak.patient',
	'UPDATE ak.patient_redacted SET born = %s::text::date', 'UPDATE ak.patient SET born = %s::text::date', 'INSERT INTO ak.patient_redacted (id, born) SELECT 9, %s::text::date FROM ak.patient_redacted',
	'SELECT %s::text::ak_own.ear FROM ak.patient_redacted WHERE 1 / (id - id) = 1']) s ORDER BY n, s;
GRANT SELECT ON ak.failing TO PUBLIC;
SET SESSION AUTHORIZATION ak_full;
SELECT count(*) > 5 AS what_full_sees FROM ak.failing WHERE ak.error_of(sql) ~ 'LEAKS'; -- it is shown its own: so they can
SET SESSION AUTHORIZATION ak_partial;
SELECT count(*) AS asked, count(*) FILTER (WHERE e ~ '^\w{5}') > 40 AS errors, count(*) FILTER (WHERE e ~ 'LEAKS') AS leaks FROM (SELECT ak.error_of(sql) AS e FROM ak.failing) f;
SET SESSION AUTHORIZATION ak_none;
SELECT count(*) AS asked, count(*) FILTER (WHERE e ~ 'LEAKS') AS leaks FROM (SELECT ak.error_of(sql) AS e FROM ak.failing) f;
SELECT ssn::int FROM ak.patient_redacted WHERE id = 1; -- ok: NULL
SET SESSION AUTHORIZATION ak_partial;
SELECT ssn::int FROM ak.patient_redacted WHERE id = 1; -- fails: with the mask
RESET SESSION AUTHORIZATION;

-- ---- probes: writing in order to learn what is there ----

-- What the table has no constraint on tells nothing, whichever way it is written
SET SESSION AUTHORIZATION ak_partial;
BEGIN;
INSERT INTO ak.patient_redacted (id, name, ssn) VALUES (50, 'Zanthippe Quorl', '987-31-4471'), (51, 'Nobody', '000-00-0000') RETURNING id, name, ssn; -- ok, the one like the other
INSERT INTO ak.patient (id, name, ssn) VALUES (52, 'Zanthippe Quorl', '987-31-4471'), (53, 'Nobody', '000-00-0000') ON CONFLICT DO NOTHING RETURNING id; -- ok, the one like the other
INSERT INTO ak.patient (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET ward = 'W1' RETURNING id, phi.reveal(name, id) AS name, phi.reveal(ssn, id) AS ssn; -- masks
UPDATE ak.patient SET ward = ward WHERE ssn = '987-31-4471'; -- 0
UPDATE ak.patient_redacted SET ward = 'W1' WHERE ssn = '987-31-4471'; -- 0
UPDATE ak.patient_redacted SET ward = ward WHERE id = 1 RETURNING *; -- in its form
UPDATE ak.patient_redacted SET ward = name WHERE id = 2 RETURNING ward; -- the mask
UPDATE ak.patient SET ward = phi.reveal(name, id) WHERE id = 2 RETURNING ward; -- the mask
UPDATE ak.patient SET ward = ssn::text WHERE id = 2 RETURNING ward ~ '^phi:1:' AS sealed; -- sealed
UPDATE ak.patient_redacted SET ssn = '123-45-6703' WHERE id = 2 RETURNING ssn; -- ok: of its own making
UPDATE ak.patient_redacted SET ssn = ssn || '' WHERE id = 1; -- ok: nothing
UPDATE ak.patient_redacted SET ssn = replace(ssn, '*', '9') WHERE id = 3 RETURNING ssn; -- ok: another value, by the writer
ROLLBACK;
-- a foreign key needs the right REFERENCES, and a unique key
CREATE TABLE ak_own.child (patient bigint REFERENCES ak.patient); -- fails
CREATE TABLE ak_own.child (s phi.encrypted_text REFERENCES ak.patient (ssn)); -- fails
ALTER TABLE ak.patient ADD CHECK (ssn <> '987-31-4471'); -- fails
CREATE TRIGGER t BEFORE UPDATE ON ak.patient FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger(); -- fails
CREATE INDEX ON ak.patient (ak_own.hear_one(ward)); -- fails
CREATE STATISTICS ak_own.s ON (ssn::text), ward FROM ak.patient; -- fails
CREATE STATISTICS ak_own.s ON (ssn), (name) FROM ak.patient_redacted; -- fails
RESET SESSION AUTHORIZATION;
-- In a copy of one's own, with every sort of constraint: the same for a right guess and a wrong one
SET SESSION AUTHORIZATION ak_partial;
\set guess '''987-31-4471'''
BEGIN;
CREATE TABLE ak_own.mine AS SELECT id, ssn, name FROM ak.patient;
CREATE UNIQUE INDEX ON ak_own.mine (ssn);
CREATE TABLE ak_own.of_mine (s phi.encrypted_text REFERENCES ak_own.mine (ssn));
SAVEPOINT s;
INSERT INTO ak_own.of_mine VALUES (:guess); -- fails
ROLLBACK TO s;
ALTER TABLE ak_own.mine ADD CHECK (ssn = :guess); -- fails
ROLLBACK TO s;
ALTER TABLE ak_own.mine ADD CHECK (ssn <> :guess); -- fails
ROLLBACK TO s;
INSERT INTO ak_own.mine VALUES (9, :guess) ON CONFLICT DO NOTHING RETURNING id; -- ok: it has no tag, and equals nothing
ROLLBACK;
\set guess '''987-32-4471'''
BEGIN;
CREATE TABLE ak_own.mine AS SELECT id, ssn, name FROM ak.patient;
CREATE UNIQUE INDEX ON ak_own.mine (ssn);
CREATE TABLE ak_own.of_mine (s phi.encrypted_text REFERENCES ak_own.mine (ssn));
SAVEPOINT s;
INSERT INTO ak_own.of_mine VALUES (:guess); -- fails
ROLLBACK TO s;
ALTER TABLE ak_own.mine ADD CHECK (ssn = :guess); -- fails
ROLLBACK TO s;
ALTER TABLE ak_own.mine ADD CHECK (ssn <> :guess); -- fails
ROLLBACK TO s;
INSERT INTO ak_own.mine VALUES (9, :guess) ON CONFLICT DO NOTHING RETURNING id; -- ok
ROLLBACK TO s;
ALTER TABLE ak_own.mine ADD EXCLUDE USING btree (name WITH =); -- fails: no tags
ROLLBACK TO s;
SELECT ward, count(*) FROM ak.patient p JOIN ak_own.mine m ON m.ssn = p.ssn GROUP BY ward ORDER BY ward; -- each with itself
SELECT id, phi.reveal(ssn) AS by_header, phi.reveal(ssn, id) AS by_key FROM ak_own.mine ORDER BY id; -- masks
COMMIT;
RESET SESSION AUTHORIZATION;
-- What does tell, and docs/limits.md says so: a UNIQUE key; and, who may read the table, the tags of values that he has written himself
CREATE UNIQUE INDEX patient_ssn_key ON ak.patient (ssn);
SET SESSION AUTHORIZATION ak_partial;
\set VERBOSITY default
BEGIN;
SAVEPOINT s;
INSERT INTO ak.patient_redacted (id, ssn) VALUES (60, '987-31-4471'); -- fails, without DETAIL
ROLLBACK TO s;
INSERT INTO ak.patient (id, ssn) VALUES (60, '987-31-4471'); -- fails, without DETAIL
ROLLBACK TO s;
UPDATE ak.patient_redacted SET ssn = '987-31-4711' WHERE id = 2; -- fails: a hidden row's
ROLLBACK TO s;
INSERT INTO ak.patient_redacted (id) VALUES (4711); -- fails: of a subject whose consent denies it
ROLLBACK;
\set VERBOSITY terse
RESET SESSION AUTHORIZATION;
DROP INDEX ak.patient_ssn_key;
SET SESSION AUTHORIZATION ak_partial;
BEGIN;
INSERT INTO ak.patient (id, ssn) VALUES (60, '987-31-4471'); -- ok
SELECT p.id FROM ak.patient p JOIN ak.patient q USING (ssn) WHERE q.id = 60 AND p.id <> 60; -- 1
INSERT INTO ak.patient (id, ssn) VALUES (1, '987-31-4471'), (2, '000-00-0000') ON CONFLICT (id) DO UPDATE SET ward = 'W1' WHERE patient.ssn = excluded.ssn RETURNING id; -- 1
SELECT p.id FROM ak.patient p JOIN ak.patient q USING (ssn) WHERE q.id = 60 AND p.id = 4711; -- no hidden row
SELECT p.id FROM ak.patient_redacted p JOIN ak.patient_redacted q USING (ssn) WHERE q.id = 60 ORDER BY 1; -- of the view no more than that their masks are the same
ROLLBACK;
RESET SESSION AUTHORIZATION;
-- Not so who has the view alone
REVOKE ALL ON ak.patient FROM ak_partial;
SET SESSION AUTHORIZATION ak_partial;
SELECT id, phi.reveal(ssn, id) FROM ak.patient; -- fails
INSERT INTO ak.patient (id, ssn) VALUES (1, '987-31-4471') ON CONFLICT (id) DO UPDATE SET ward = 'W1' WHERE patient.ssn = excluded.ssn; -- fails
INSERT INTO ak.patient_redacted (id, ssn) VALUES (1, '987-31-4471') ON CONFLICT (id) DO UPDATE SET ward = 'W1'; -- fails: no view has a unique key
RESET SESSION AUTHORIZATION;
GRANT SELECT, INSERT, UPDATE ON ak.patient TO ak_partial;

-- ---- ways out ----

-- Copies: the session's form, and nothing where nothing may be revealed
SET SESSION AUTHORIZATION ak_partial;
COPY (SELECT * FROM ak.patient_redacted ORDER BY id) TO STDOUT; -- in part
COPY (SELECT id, name FROM ak.study v ORDER BY born, name) TO STDOUT (FORMAT csv); -- no name
COPY ak.patient_redacted TO STDOUT; -- fails: a view
CREATE TABLE ak_own.c1 AS SELECT * FROM ak.patient_redacted;
SELECT * INTO TEMP c2 FROM ak.patient_redacted;
CREATE TABLE ak_own.c3 AS SELECT id, name, ssn, born, note FROM ak.patient; -- sealed
CREATE MATERIALIZED VIEW ak_own.c4 AS SELECT * FROM ak.patient_redacted;
CREATE MATERIALIZED VIEW ak_own.c5 AS SELECT id, phi.reveal(name, id) AS name, phi.reveal(ssn) AS ssn FROM ak.patient;
REFRESH MATERIALIZED VIEW ak_own.c4;
CREATE VIEW ak_own.c6 AS SELECT * FROM ak.patient_redacted;
GRANT SELECT ON ak_own.c6 TO ak_full;
CREATE FUNCTION ak_own.c7() RETURNS SETOF ak.patient_redacted LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM ak.patient_redacted';
CREATE TABLE ak_own.c8 (v ak.patient_redacted);
INSERT INTO ak_own.c8 SELECT v FROM ak.patient_redacted v;
SELECT count(*) AS rows, count(*) FILTER (WHERE r ~ 'Quorl|Zanthippe|987-31|1971-07-23|quassia|canary') AS values, count(*) FILTER (WHERE r ~* 'gurnard|4711') AS hidden FROM (SELECT c::text FROM ak_own.c1 c
	UNION ALL SELECT c::text FROM c2 c UNION ALL SELECT c::text FROM ak_own.c3 c UNION ALL SELECT c::text FROM ak_own.c4 c UNION ALL SELECT c::text FROM ak_own.c5 c UNION ALL SELECT c::text FROM ak_own.c6 c
	UNION ALL SELECT c::text FROM ak_own.c7() c UNION ALL SELECT c::text FROM ak_own.c8 c) AS u (r);
SELECT count(*) AS rows, count(name) AS names FROM ak_own.c4;
BEGIN;
DECLARE s SCROLL CURSOR FOR SELECT * FROM ak.patient_redacted ORDER BY ssn DESC;
FETCH LAST FROM s;
FETCH ABSOLUTE 1 FROM s;
MOVE FORWARD ALL FROM s;
FETCH BACKWARD 1 FROM s;
COMMIT;
-- the definer's view and function show the caller what the caller may see, and no more
SET SESSION AUTHORIZATION ak_full;
SELECT id, name FROM ak_own.c6 ORDER BY id; -- its own form

-- Functions of who sees more: the session is who it is
CREATE FUNCTION ak_own.of_full() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS 'SELECT name FROM ak.patient_redacted ORDER BY id';
CREATE FUNCTION ak_own.of_full_plan() RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN QUERY SELECT phi.reveal(ssn, id) FROM ak.patient ORDER BY id; END';
CREATE VIEW ak_own.of_full_view AS SELECT id, name, ssn FROM ak.patient_redacted;
GRANT SELECT ON ak_own.of_full_view TO ak_partial;
SELECT * FROM ak_own.of_full();
SET SESSION AUTHORIZATION ak_owner;
CREATE FUNCTION ak.of_owner() RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN QUERY SELECT v::text FROM ak.patient_redacted v ORDER BY id; END';
CREATE FUNCTION ak.of_owner_too() RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN QUERY SELECT phi.reveal(name) FROM ak.patient p ORDER BY id; END';
SET SESSION AUTHORIZATION ak_partial;
SELECT ak_own.of_full();
SELECT ak_own.of_full_plan();
SELECT * FROM ak_own.of_full_view ORDER BY id;
SELECT ak.of_owner();
SELECT ak.of_owner_too();
-- Roles: what is taken on by SET ROLE is privileges, not an identity
RESET SESSION AUTHORIZATION;
GRANT ak_full, ak_owner TO ak_partial;
SET SESSION AUTHORIZATION ak_partial;
SET ROLE ak_full;
SELECT current_user, session_user;
SELECT name, ssn FROM ak.patient_redacted ORDER BY id; -- in part
SELECT ak_own.of_full();
SET ROLE ak_owner;
SELECT name, ssn FROM ak.patient_redacted ORDER BY id; -- in part
RESET ROLE;
SET SESSION AUTHORIZATION ak_full; -- ok in this test alone: it has begun as a superuser
RESET SESSION AUTHORIZATION;
REVOKE ak_full, ak_owner FROM ak_partial;
SET SESSION AUTHORIZATION ak_partial;
SET ROLE ak_full; -- fails
SET phi.context = 'x'; -- fails
SELECT set_config('phi.context', 'x', false); -- fails
CREATE FUNCTION ak_own.as_another() RETURNS SETOF text LANGUAGE sql SET phi.context = 'x' AS 'SELECT name FROM ak.patient_redacted'; -- fails
CREATE FUNCTION ak_own.as_another_role() RETURNS SETOF text LANGUAGE sql SET role = 'ak_full' AS 'SELECT name FROM ak.patient_redacted'; -- fails

-- Statistics: of a table with row security PostgreSQL shows none
RESET SESSION AUTHORIZATION;
CREATE STATISTICS ak.s (mcv) ON ward, secret FROM ak.patient;
ANALYZE ak.patient;
SELECT (SELECT count(*) FROM pg_stats WHERE schemaname = 'ak' AND tablename = 'patient') > 0 AS columns, (SELECT count(*) FROM pg_stats_ext WHERE schemaname = 'ak') AS statistics; -- there are some
SET SESSION AUTHORIZATION ak_partial;
SELECT (SELECT count(*) FROM pg_stats WHERE schemaname = 'ak' AND tablename = 'patient') AS columns, (SELECT count(*) FROM pg_stats_ext WHERE schemaname = 'ak') AS statistics; -- 0
SELECT count(*) FROM pg_statistic; -- fails
EXPLAIN (ANALYZE, VERBOSE, BUFFERS, COSTS off) SELECT id FROM ak.patient_redacted WHERE ssn = '987-31-4471'; -- fails
EXPLAIN (ANALYZE) SELECT * FROM ak.study; -- fails
EXPLAIN (ANALYZE) SELECT * FROM ak_own.of_full_view; -- fails
PREPARE asked (text) AS SELECT id FROM ak.patient_redacted WHERE ssn = $1;
EXPLAIN (ANALYZE) EXECUTE asked ('987-31-4471'); -- fails
EXPLAIN (ANALYZE) DECLARE c CURSOR FOR SELECT * FROM ak.patient_redacted; -- fails
EXPLAIN (ANALYZE) CREATE TABLE ak_own.c9 AS SELECT * FROM ak.patient_redacted; -- fails

-- Noise: there is none, and so nothing to average. Asked again, by whatever way, a form is the same
SELECT count(DISTINCT v::text) = 3 AS same FROM generate_series(1, 50) g, LATERAL (SELECT * FROM ak.patient_redacted WHERE id + g > 0) v;
SELECT max(c) AS one FROM (SELECT count(DISTINCT phi.redact(n, k, f)) AS c FROM generate_series(1, 50), (VALUES ('Zanthippe Quorl', 'name'), ('987-31-4471', 'ssn'), ('02139', 'zip'), ('zq@example.org', 'email')) v (n, k),
	unnest('{full,partial,limited,safe_harbor}'::text[]) f GROUP BY n, k, f) d;
RESET SESSION AUTHORIZATION;

-- Pseudonyms: who has only the recipient's view learns nobody's from what is known of him, nor from the order of a guess
SET SESSION AUTHORIZATION ak_harbor;
SELECT count(id) AS pseudonyms, count(DISTINCT id) AS different FROM ak.study;
SELECT count(*) AS derived FROM ak.study, unnest(ARRAY['1', 'Zanthippe Quorl', '987-31-4471', '987314471', '1Ak', 'Ak1', 'ak.patient1', '1971-07-23']) g, unnest(ARRAY[md5(g), left(encode(sha256(g::bytea), 'hex'), 32), left(encode(sha512(g::bytea), 'hex'), 32)]) h
	WHERE replace(id, '-', '') = h; -- 0
SELECT phi.reveal_pseudonym('Ak', '987-31-4471'::phi.encrypted_text) IS NULL AS unbound;
SELECT phi.reveal_pseudonym('Ak', 1::bigint); -- fails
SELECT phi.reveal_pseudonym('Ak', '987-31-4471'); -- fails
SELECT count(*) FROM phi.pseudonym; -- fails
INSERT INTO ak.study (name) VALUES ('Zanthippe Quorl') RETURNING id; -- fails
-- who may read the table as well has both side by side: docs/limits.md
SELECT count(*) AS linked FROM ak.patient p JOIN ak.study s ON s.id = phi.reveal_pseudonym('Ak', p.ssn); -- 3
RESET SESSION AUTHORIZATION;
REVOKE ALL ON ak.patient, ak.patient_redacted FROM ak_harbor;
SET SESSION AUTHORIZATION ak_harbor;
SELECT phi.reveal_pseudonym('Ak', ssn) FROM ak.patient; -- fails
SELECT phi.reveal_pseudonym('Ak', name) FROM ak.study; -- fails: no sealed value
SELECT count(id) AS pseudonyms FROM ak.study; -- 3
SET SESSION AUTHORIZATION ak_partial;
SELECT count(id) AS of_others FROM ak.study; -- 0
RESET SESSION AUTHORIZATION;

SELECT phi.revoke_consent(:denied);
SET client_min_messages = error;
DROP SCHEMA ak, ak_own CASCADE;
SELECT count(phi.unenroll(r::regrole)) FROM unnest('{ak_full,ak_partial,ak_harbor,ak_none}'::text[]) r;
SELECT count(phi.revoke_duty(r::regrole, 'application')) FROM unnest('{ak_owner,ak_full,ak_partial,ak_harbor,ak_none,ak_nobody}'::text[]) r;
SELECT phi.drop_rule('ak_full', 'TREAT', 'all'), phi.drop_rule('ak_partial', 'TREAT', 'all'), phi.drop_rule('ak_harbor', 'TREAT', 'all'), phi.drop_rule('ak_none', 'TREAT', 'mrn'), phi.drop_rule('ak_coder', 'TREAT', 'all');
SELECT phi.unenroll('ak_coder'), phi.revoke_duty('ak_coder', 'application');
DROP OWNED BY ak_coder;
DROP ROLE ak_coder;
DROP OWNED BY ak_owner, ak_full, ak_partial, ak_harbor, ak_none, ak_nobody;
DROP ROLE ak_owner, ak_full, ak_partial, ak_harbor, ak_none, ak_nobody;
