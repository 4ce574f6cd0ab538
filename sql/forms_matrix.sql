-- Every kind in every type and form, by the view of a protected table and by views for a recipient
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = iso;
CREATE ROLE fm_reader LOGIN;
CREATE SCHEMA fm;
GRANT USAGE ON SCHEMA fm TO fm_reader;
SELECT phi.ensure_keys();
SELECT phi.enroll('fm_reader', 'fm.r', '{fm_role}', '{TREAT}');
SELECT phi.grant_duty('fm_reader', 'application');

-- a table for each type, a column for each kind
CREATE TABLE fm.kind AS SELECT kind FROM unnest('{name,address,city,county,state,zip,geo,birth_date,death_date,service_date,age,phone,fax,email,ssn,mrn,health_plan,account,
	license,vehicle,device,url,ip,biometric,photo,unique_id,free_text,diagnosis,lab,other}'::text[]) kind;
CREATE TABLE fm.sort AS SELECT * FROM (VALUES ('text', '123456789'), ('date', '2001-02-03'), ('timestamptz', '2001-02-03 04:05:06.789+00'), ('numeric', '33.50'),
	('integer', '2139'), ('bigint', '36011234'), ('boolean', 'true'), ('uuid', '12345678-9abc-4ef0-8234-56789abcdef0'),
	('jsonb', '{"a": 1}'), ('bytea', '\x0102')) v (type, value);
DO $$ DECLARE s record; BEGIN
	FOR s IN SELECT regexp_replace(o.type, '\W.*', '') AS name, o.* FROM fm.sort o LOOP
		EXECUTE format('CREATE TABLE fm.%I (id bigint PRIMARY KEY, %s)', s.name, (SELECT string_agg(format('%I %s', k.kind, s.type), ', ') FROM fm.kind k));
		EXECUTE format('INSERT INTO fm.%I SELECT 1, %s', s.name, (SELECT string_agg(format('%L::%s', s.value, s.type), ', ') FROM fm.kind k));
		PERFORM phi.classify(format('fm.%I', s.name)::regclass, k.kind::name, k.kind) FROM fm.kind k;
		PERFORM phi.protect(format('fm.%I', s.name)::regclass, 'id', format('fm.%I', s.name || '_view'));
		PERFORM phi.add_view(format('fm.%I', s.name)::regclass, format('fm.%I', s.name || '_' || f), f, 'fm.r') FROM unnest('{full,partial,limited,safe_harbor,none}'::text[]) f;
	END LOOP;
END $$;
CREATE TABLE fm.answer (view text, form text, type text, kind text, shown text);
GRANT SELECT ON ALL TABLES IN SCHEMA fm TO fm_reader;
GRANT INSERT ON fm.answer TO fm_reader;
CREATE FUNCTION fm.ask(form text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE s record; BEGIN
	FOR s IN SELECT regexp_replace(o.type, '\W.*', '') AS name, v FROM fm.sort o, unnest('{view,full,partial,limited,safe_harbor,none}'::text[]) v LOOP
		EXECUTE format('INSERT INTO fm.answer SELECT %L, %L, %L, j.key, j.value FROM fm.%I v, jsonb_each_text(to_jsonb(v)) j WHERE j.key <> ''id''', s.v, ask.form, s.name, s.name || '_' || s.v);
	END LOOP;
END $$;

-- what each form shows of each type: kinds that show the same are together, those that show nothing are left out
SELECT phi.set_rule('fm_role', 'TREAT', 'all', 'full');
SET SESSION AUTHORIZATION fm_reader;
SELECT phi.set_purpose('TREAT');
SELECT fm.ask('full');
RESET SESSION AUTHORIZATION;
SELECT phi.set_rule('fm_role', 'TREAT', 'all', 'partial');
SET SESSION AUTHORIZATION fm_reader;
SELECT fm.ask('partial');
RESET SESSION AUTHORIZATION;
SELECT phi.set_rule('fm_role', 'TREAT', 'all', 'limited');
SET SESSION AUTHORIZATION fm_reader;
SELECT fm.ask('limited');
RESET SESSION AUTHORIZATION;
SELECT phi.set_rule('fm_role', 'TREAT', 'all', 'safe_harbor');
SET SESSION AUTHORIZATION fm_reader;
SELECT fm.ask('safe_harbor');
RESET SESSION AUTHORIZATION;
SELECT phi.set_rule('fm_role', 'TREAT', 'all', 'none');
SET SESSION AUTHORIZATION fm_reader;
SELECT fm.ask('none');
RESET SESSION AUTHORIZATION;
SELECT form, type, shown, CASE WHEN count(*) = 30 THEN 'all' ELSE string_agg(kind, ' ' ORDER BY kind COLLATE "C") END AS kinds FROM fm.answer WHERE view = 'view' AND shown IS NOT NULL
	GROUP BY form, type, shown ORDER BY array_position('{full,partial,limited,safe_harbor,none}', form), type COLLATE "C", shown COLLATE "C";
SELECT form, count(*) AS cells, count(shown) AS shown FROM fm.answer WHERE view = 'view' GROUP BY form ORDER BY 1;

-- a view for a recipient: of a session that sees everything it shows what its own form shows
SELECT count(*) AS cells, count(*) FILTER (WHERE v.shown IS DISTINCT FROM s.shown) AS unlike FROM fm.answer v JOIN fm.answer s USING (type, kind)
	WHERE v.view <> 'view' AND v.form = 'full' AND s.view = 'view' AND s.form = v.view;
-- of any other one no more than either: where both show a part they show the lesser one, where either shows nothing there is nothing
SELECT count(*) AS cells, count(*) FILTER (WHERE v.shown IS NOT NULL AND (own.shown IS NULL OR cap.shown IS NULL)) AS too_much,
	count(*) FILTER (WHERE v.shown IS NOT NULL AND v.shown IS DISTINCT FROM own.shown AND v.shown IS DISTINCT FROM cap.shown) AS of_neither,
	count(*) FILTER (WHERE v.shown IS NOT NULL AND v.shown = a.shown AND (own.shown <> a.shown OR cap.shown <> a.shown)) AS whole
	FROM fm.answer v JOIN fm.answer own ON own.view = 'view' AND own.form = v.form AND own.type = v.type AND own.kind = v.kind
		JOIN fm.answer cap ON cap.view = 'view' AND cap.form = v.view AND cap.type = v.type AND cap.kind = v.kind
		JOIN fm.answer a ON a.view = 'view' AND a.form = 'full' AND a.type = v.type AND a.kind = v.kind
	WHERE v.view <> 'view';

SELECT count(phi.unprotect(format('fm.%I', regexp_replace(type, '\W.*', ''))::regclass)) FROM fm.sort;
SELECT phi.unenroll('fm_reader'), phi.revoke_duty('fm_reader', 'application');
DELETE FROM phi.role_rule WHERE workforce_role = 'fm_role';
SET client_min_messages = error;
DROP SCHEMA fm CASCADE;
DROP ROLE fm_reader;
RESET timezone;
RESET datestyle;
