-- What consents can depend on in a row: labels, class, code, time, author, encounter, several subjects
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT phi.ensure_keys(); -- ok
CREATE ROLE ra_clinician LOGIN; -- ok
CREATE ROLE ra_researcher LOGIN; -- ok
SELECT count(phi.grant_duty(r::regrole, 'application')) FROM unnest('{ra_clinician,ra_researcher}'::text[]) r; -- ok
SELECT phi.install_default_rules() >= 0 AS rules; -- ok
SELECT phi.enroll('ra_clinician', 'ra.c', '{clinician}', '{TREAT}'); -- ok
SELECT phi.enroll('ra_researcher', 'ra.r', '{researcher}', '{HRESCH}'); -- ok

-- describing: what is refused
CREATE TABLE ra_obs (id int PRIMARY KEY, patient bigint NOT NULL, labels text[], code text[], day date, author text,
	encounter int, ref text, family bigint[], note text); -- ok
SELECT phi.classify('ra_obs', 'note', 'lab'); -- ok
SELECT phi.describe('ra_obs', resource_type => 'Observation/1'); -- fails
SELECT phi.describe('ra_obs', unlabelled => 'V'); -- fails
SELECT phi.describe('ra_obs', unlabelled => NULL); -- fails
SELECT phi.describe('ra_obs', labels => '{SECRET}'); -- fails
SELECT phi.describe('ra_obs', code => 'nothing'); -- fails
SELECT phi.describe('ra_obs', code => 'day'); -- fails
SELECT phi.describe('ra_obs', data_time => 'code'); -- fails
SELECT phi.describe('ra_obs', author => 'note'); -- fails
SELECT phi.describe('ra_obs', subjects => '{day}'); -- fails
SELECT phi.describe('ra_obs', subjects => array_fill('patient'::name, '{9}')); -- fails
SELECT phi.describe('pg_class', resource_type => 'X'); -- fails
SET SESSION AUTHORIZATION ra_clinician;
SELECT phi.describe('ra_obs', resource_type => 'Observation'); -- fails
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM phi.table_description; -- 0

-- described before it is protected; a column that is described cannot be encrypted
SELECT phi.describe('ra_obs', resource_type => 'Observation', code => 'code', data_time => 'day', author => 'author',
	encounter => 'encounter', reference => 'ref', subjects => '{family}'); -- ok
SELECT phi.classify('ra_obs', 'author', 'name'); -- ok: not protected yet
SELECT action, object, statement FROM phi.protect_plan('ra_obs', 'patient', labels => 'labels') WHERE blocker; -- the author
SELECT phi.protect('ra_obs', 'patient', labels => 'labels'); -- fails
SELECT phi.declassify('ra_obs', 'author'); -- ok
SELECT phi.protect('ra_obs', 'patient', labels => 'labels'); -- ok
SELECT polname, pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = 'ra_obs'::regclass ORDER BY 1; -- the long predicate
GRANT SELECT, INSERT, UPDATE ON ra_obs, ra_obs_redacted TO ra_clinician, ra_researcher; -- ok
SET row_security = off;

-- nine rows of every patient: three times, three sets of labels
INSERT INTO ra_obs (id, patient, labels, day, note)
	SELECT p * 10 + t * 3 + l, p, ('[0:2]={NULL,"{N}","{R}"}'::text[])[l]::text[],
		('[0:2]={NULL,2019-06-15,2020-06-15}'::text[])[t]::date, 'note'
	FROM generate_series(1, 8) p, generate_series(0, 2) t, generate_series(0, 2) l; -- ok
RESET row_security;

-- programs made by hand: a consent of the function for the subject, then a root with labels or a data period
CREATE FUNCTION ra_consent(patient bigint, effect text, rank int, starts date, ends date) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	made bigint := phi.grant_consent(patient);
	epoch timestamptz := '1970-01-01 00:00+00';
BEGIN
	UPDATE phi.consent c SET program = '\x02'::bytea || CASE effect WHEN 'permit' THEN '\x01' ELSE '\x02' END::bytea
		|| CASE WHEN rank IS NULL THEN '' ELSE '\x06'::bytea || set_byte('\x00', 0, rank) || int8send(0) END
		|| CASE WHEN starts IS NULL THEN ''
			ELSE '\x09'::bytea || int8send((extract(epoch FROM starts) * 1000000)::bigint) || int8send((extract(epoch FROM ends) * 1000000)::bigint) END
	WHERE c.id = made;
	RETURN made;
END $$;
CREATE TABLE ra_consents AS SELECT v.* FROM (VALUES
	(2, ra_consent(2, 'permit', NULL, '2020-01-01', '2021-01-01')), -- permits the data of 2020
	(3, ra_consent(3, 'deny', NULL, '2020-01-01', '2021-01-01')), -- denies it
	(4, ra_consent(4, 'permit', 4, NULL, NULL)), -- permits what is N or less
	(5, ra_consent(5, 'deny', 5, NULL, NULL)), -- denies what is R or more
	(6, ra_consent(6, 'permit', 4, '2020-01-01', '2021-01-01')), -- permits both at once
	(7, phi.grant_consent(7))) v (patient, id); -- permits anything

-- the matrix: 8 patients, times (? unknown, 1 2019, 2 2020), labels (- none, N, R)
CREATE VIEW ra_matrix WITH (security_invoker) AS
	SELECT patient, string_agg(translate((id % 10 / 3)::text, '012', '?12') || substr('-NR', id::int % 3 + 1, 1), ' ' ORDER BY id) AS seen
	FROM (SELECT patient, id - patient * 10 AS id FROM ra_obs) o GROUP BY patient ORDER BY patient;
GRANT SELECT ON ra_matrix TO PUBLIC; -- ok
SET SESSION AUTHORIZATION ra_clinician;
SELECT * FROM ra_matrix; -- treatment: all, but what is denied or outside a permission
SET SESSION AUTHORIZATION ra_researcher;
SELECT * FROM ra_matrix; -- research: only what is permitted
RESET SESSION AUTHORIZATION;

-- what the rows show is what the view reveals
SET SESSION AUTHORIZATION ra_clinician;
SELECT count(*), count(note), count(*) FILTER (WHERE note = 'note') FROM ra_obs_redacted; -- three times the same
SELECT count(*) FROM ra_obs_redacted WHERE note IS NULL; -- 0
SELECT note, count(*) FROM ra_obs_redacted GROUP BY note; -- ok
SELECT count(phi.reveal(note)), count(phi.reveal(note, id)) FROM ra_obs; -- aggregates know no row: fewer
SELECT count(n) FROM (SELECT phi.reveal(note, id) AS n FROM ra_obs OFFSET 0) s; -- as many as in the view
SELECT count(n) FROM (SELECT (SELECT phi.reveal(o.note, o.id)) AS n FROM ra_obs o OFFSET 0) s; -- the same from a query within
-- nobody else can say what the row is
SELECT phi.reveal(note, id, NULL::phi.planner_mark, NULL::text[], 'c', '2020-06-15'::date, 'a', 'e', 'r') FROM ra_obs WHERE id = 28; -- NULL: as if it were not said
SELECT phi.reveal(note, id) FROM ra_obs WHERE id = 28; -- ok
SELECT 'x'::phi.planner_mark; -- fails
SELECT phi.permitted_subjects('ra_obs', 1::bigint, NULL); -- fails
-- a copy keeps its class and labels, and loses the rest: denials hold, permissions with a time do not
CREATE TEMP TABLE ra_copy AS SELECT id, patient, note FROM ra_obs;
SELECT patient, count(*) AS copied, count(phi.reveal(note)) AS revealed FROM ra_copy GROUP BY 1 ORDER BY 1; -- fewer of 2, 3 and 6
RESET SESSION AUTHORIZATION;

-- writing through the view: the row as it will be is asked
SET SESSION AUTHORIZATION ra_clinician;
UPDATE ra_obs_redacted SET note = 'changed' WHERE id = 28 RETURNING id, note; -- ok: patient 2 permits 2020; RETURNING knows no time, and shows none
INSERT INTO ra_obs_redacted (id, patient, note) VALUES (200, 2, 'new'); -- fails: no time, and the view has none to write
INSERT INTO ra_obs_redacted (id, patient, note) VALUES (200, 1, 'new'); -- ok
RESET SESSION AUTHORIZATION;
SET row_security = off;
DELETE FROM ra_obs WHERE id = 200; -- ok
RESET row_security;

-- explained with what the row says
SET SESSION AUTHORIZATION ra_researcher;
SELECT permit, reason, directive IS NOT NULL AS by_consent FROM phi.explain_access(2, 'ra_obs', data_time => '2020-06-15'); -- permits
SELECT permit, reason FROM phi.explain_access(2, 'ra_obs', data_time => '2019-06-15'); -- consent denies: closed
SELECT permit, reason FROM phi.explain_access(2, 'ra_obs'); -- the same without a time
SELECT permit, reason FROM phi.explain_access(4, 'ra_obs', '{N}'); -- permits
SELECT permit, reason FROM phi.explain_access(4, 'ra_obs', '{R}'); -- denies
SELECT phi.can_access(4, '{N}'), phi.can_access(4, '{R}'), phi.can_access(2); -- t f f
RESET SESSION AUTHORIZATION;

-- a row without labels counts as R; labels of every row
SELECT phi.describe('ra_obs', resource_type => 'Observation', unlabelled => 'R', data_time => 'day'); -- ok
SELECT polname, pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = 'ra_obs'::regclass ORDER BY 1; -- without further subjects
SET SESSION AUTHORIZATION ra_researcher;
SELECT * FROM ra_matrix WHERE patient IN (4, 6); -- only N
RESET SESSION AUTHORIZATION;
SELECT phi.describe('ra_obs', labels => '{R}'); -- ok
SELECT polname, pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = 'ra_obs'::regclass ORDER BY 1; -- the short predicate
SET SESSION AUTHORIZATION ra_clinician;
SELECT * FROM ra_matrix WHERE patient IN (4, 5, 7); -- only of 7
SELECT count(phi.reveal(note)) FROM ra_copy WHERE patient IN (4, 5, 7); -- 9: the copies too
RESET SESSION AUTHORIZATION;
SELECT phi.describe('ra_obs', labels => '{SUD}'); -- ok
SET SESSION AUTHORIZATION ra_clinician;
SELECT patient, count(*) FROM ra_obs GROUP BY 1 ORDER BY 1; -- 7 alone: substance use needs a permission
RESET SESSION AUTHORIZATION;

-- several subjects: every one of them has to permit
SELECT phi.describe('ra_obs', resource_type => 'Observation', data_time => 'day', subjects => '{family}'); -- ok
INSERT INTO ra_consents SELECT 8, phi.deny_consent(8); -- ok
SET row_security = off;
UPDATE ra_obs SET family = CASE id WHEN 10 THEN '{1,7}' WHEN 11 THEN '{1,8}' WHEN 12 THEN '{}' WHEN 13 THEN '{NULL}'
	WHEN 14 THEN '{3}' WHEN 17 THEN '{3}' END::bigint[] WHERE patient = 1; -- ok
RESET row_security;
SET SESSION AUTHORIZATION ra_clinician;
SELECT id, family, day FROM ra_obs WHERE patient = 1 ORDER BY id; -- not 11 (8 denies), 13 (nobody known), 17 (3 denies its year)
INSERT INTO ra_obs (id, patient, family) VALUES (100, 1, '{8}'); -- fails
INSERT INTO ra_obs (id, patient, family) VALUES (100, 1, '{7}'); -- ok
UPDATE ra_obs SET family = '{8}' WHERE id = 100; -- fails
UPDATE ra_obs SET day = '2020-02-02', patient = 3 WHERE id = 100; -- fails
RESET SESSION AUTHORIZATION;
SET row_security = off;
DELETE FROM ra_obs WHERE id = 100; -- ok
RESET row_security;
SELECT phi.describe('ra_obs', resource_type => 'Observation', data_time => 'day', subjects => '{patient,encounter}'); -- ok
SET row_security = off;
UPDATE ra_obs SET encounter = CASE WHEN id % 2 = 0 THEN 8 ELSE 7 END WHERE patient = 7; -- ok
RESET row_security;
SET SESSION AUTHORIZATION ra_clinician;
SELECT id FROM ra_obs WHERE patient = 7 ORDER BY id; -- the odd ones
RESET SESSION AUTHORIZATION;

-- a view of a superuser, a partition, a function: the same predicate
CREATE VIEW ra_all AS SELECT id, patient FROM ra_obs;
GRANT SELECT ON ra_all TO ra_clinician; -- ok
CREATE TABLE ra_visit (id int, patient uuid, day timestamptz, what text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day); -- ok
CREATE TABLE ra_visit_old PARTITION OF ra_visit FOR VALUES FROM (MINVALUE) TO ('2020-01-01'); -- ok
SELECT phi.classify('ra_visit', 'what', 'diagnosis'); -- ok
SELECT phi.protect('ra_visit', 'patient'); -- ok
SELECT phi.describe('ra_visit', 'Encounter', data_time => 'day'); -- ok
CREATE TABLE ra_visit_new (extra int, id int NOT NULL, patient uuid, day timestamptz NOT NULL, what phi.encrypted_text); -- ok
ALTER TABLE ra_visit_new DROP COLUMN extra; -- ok
ALTER TABLE ra_visit ATTACH PARTITION ra_visit_new FOR VALUES FROM ('2020-01-01') TO (MAXVALUE); -- ok: other column numbers
SELECT polrelid::regclass, pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polname = 'phi_access' AND polrelid::regclass::text LIKE 'ra_visit%' ORDER BY 1; -- all three alike
SET row_security = off;
INSERT INTO ra_visit SELECT t * 2 + p, md5(p::text)::uuid, ('{2019-06-15,2020-06-15}'::timestamptz[])[t + 1], 'x' FROM generate_series(0, 1) p, generate_series(0, 1) t; -- ok
RESET row_security;
SELECT phi.grant_consent(md5('1')::uuid) AS id \gset
UPDATE phi.consent SET program = (SELECT program FROM phi.consent WHERE id = (SELECT id FROM ra_consents WHERE patient = 3)) WHERE id = :id;
GRANT SELECT ON ra_visit, ra_visit_old, ra_visit_new, ra_visit_redacted TO ra_clinician; -- ok
SET SESSION AUTHORIZATION ra_clinician;
SELECT count(*), count(*) FILTER (WHERE patient = 7) FROM ra_all; -- as without the view
SELECT id, what FROM ra_visit_redacted ORDER BY id; -- not 3: the year is denied
SELECT id FROM ra_visit_new; -- 2
SELECT id FROM ra_visit_old ORDER BY id; -- 0, 1
RESET SESSION AUTHORIZATION;

-- upkeep: columns that are described are renamed with it, and cannot go
ALTER TABLE ra_obs RENAME COLUMN day TO taken; -- ok
SELECT data_time_column, other_subjects FROM phi.table_description WHERE relation = 'ra_obs'::regclass; -- taken
ALTER TABLE ra_obs DROP COLUMN taken; -- fails
ALTER TABLE ra_obs DROP COLUMN encounter; -- fails
SET SESSION AUTHORIZATION ra_clinician;
SELECT id FROM ra_obs WHERE patient = 3 ORDER BY id; -- 2019 alone
RESET SESSION AUTHORIZATION;
DROP VIEW ra_all, ra_matrix; -- ok
DROP TABLE ra_copy; -- ok

SELECT phi.unprotect('ra_obs'); -- ok
SELECT resource_type, data_time_column FROM phi.table_description WHERE relation = 'ra_obs'::regclass; -- stays
DROP TABLE ra_obs; -- ok
SELECT phi.unprotect('ra_visit'); -- ok
DROP TABLE ra_visit; -- ok
SELECT count(*) FROM phi.table_description; -- 0
DELETE FROM phi.consent WHERE id >= (SELECT min(id) FROM ra_consents); -- ok
SELECT phi.unenroll('ra_clinician'), phi.unenroll('ra_researcher'); -- ok
DROP TABLE ra_consents; -- ok
DELETE FROM phi.role_rule; -- ok
DROP FUNCTION ra_consent; -- ok
SELECT phi.revoke_duty(r::regrole, 'application') FROM unnest('{ra_clinician,ra_researcher}'::text[]) r; -- ok
DROP ROLE ra_clinician, ra_researcher; -- ok
