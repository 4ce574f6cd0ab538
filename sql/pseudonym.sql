-- Pseudonyms honor the row as phi.reveal does, and go with a shredded subject
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE pn_ann LOGIN;
CREATE ROLE pn_privacy LOGIN;
CREATE ROLE pn_keys LOGIN;
SELECT phi.ensure_keys();
SELECT phi.enroll('pn_ann', 'pn.ann', '{pn_researcher}', '{HRESCH}');
SELECT phi.set_rule('pn_researcher', 'HRESCH', 'all', 'limited');
SELECT phi.grant_duty('pn_ann', 'application'), phi.grant_duty('pn_privacy', 'privacy_officer'), phi.grant_duty('pn_keys', 'key_custodian');
CREATE TABLE pn_obs (id int PRIMARY KEY, patient bigint NOT NULL, labels text[], day date, note text, extra text);
INSERT INTO pn_obs SELECT p * 10 + t * 2 + l, p, ('[0:1]={"{N}","{R}"}'::text[])[l]::text[], ('[0:2]={NULL,2019-06-15,2020-06-15}'::text[])[t]::date,
	CASE WHEN l = 0 THEN 'note' END, 'extra' FROM generate_series(1, 4) p, generate_series(0, 2) t, generate_series(0, 1) l;
SELECT phi.classify('pn_obs', 'note', 'lab'), phi.classify('pn_obs', 'extra', 'lab');
SELECT phi.protect('pn_obs', 'patient', labels => 'labels', shreddable => true);
SELECT phi.describe('pn_obs', resource_type => 'Observation', data_time => 'day');
SELECT phi.add_view('pn_obs', 'pn_ann_obs', 'limited', 'pn.ann');
GRANT SELECT ON pn_obs, pn_ann_obs TO pn_ann;

-- programs made by hand: 1 permits all, 2 the data of 2020, 3 what is N or less, 4 denies the data of 2020
CREATE TABLE pn_consents AS SELECT p AS patient, phi.grant_consent(p::bigint, purpose => 'HRESCH') AS id FROM generate_series(1, 4) p;
UPDATE phi.consent c SET program = '\x02'::bytea || CASE WHEN n.patient = 4 THEN '\x02' ELSE '\x01' END::bytea
	|| CASE WHEN n.patient = 3 THEN '\x06'::bytea || '\x04'::bytea || int8send(0) ELSE ''::bytea END
	|| CASE WHEN n.patient <> 3 THEN '\x09'::bytea || int8send(1577836800000000) || int8send(1609459200000000) ELSE ''::bytea END
	FROM pn_consents n WHERE c.id = n.id AND n.patient > 1;
SET SESSION AUTHORIZATION pn_privacy;
SELECT phi.make_pseudonyms('pn_obs', 'pn.ann') AS made, phi.make_pseudonyms('pn_obs', 'other') AS of_another;
RESET SESSION AUTHORIZATION;

-- whoever is seen has a pseudonym
SET SESSION AUTHORIZATION pn_ann;
SELECT phi.set_purpose('HRESCH');
SELECT patient, count(*) FROM pn_obs GROUP BY 1 ORDER BY 1; -- by the row filter
SELECT count(*) AS rows, count(patient) AS named, count(DISTINCT patient) AS people FROM pn_ann_obs;
SELECT count(*) AS rows, count(p) AS named FROM (SELECT phi.reveal_pseudonym('pn.ann', note, extra) AS p FROM pn_obs OFFSET 0) s; -- the same by hand
SELECT count(p) AS named FROM (SELECT phi.reveal_pseudonym('pn.ann', VARIADIC ARRAY[note, extra]) AS p FROM pn_obs) s; -- fails
SELECT phi.reveal_pseudonym('pn.ann', note, NULL::phi.planner_mark, NULL::text[], 'c', '2020-06-15'::date, 'a', 'e', 'r') IS NULL AS not_said FROM pn_obs WHERE id = 24; -- nobody else says what the row is
RESET SESSION AUTHORIZATION;

-- who reads rows past the filter is told no pseudonym of a row that is closed
ALTER ROLE pn_ann BYPASSRLS;
SELECT phi.grant_duty('pn_ann', 'key_custodian');
SET SESSION AUTHORIZATION pn_ann;
SELECT phi.set_purpose('HRESCH');
SET row_security = off;
SELECT patient, count(*) AS rows, count(p) AS named, count(*) FILTER (WHERE (p IS NULL) <> (r IS NULL)) AS unlike
	FROM (SELECT patient, phi.reveal_pseudonym('pn.ann', note, extra) AS p, phi.reveal(extra, id) AS r FROM pn_obs OFFSET 0) s GROUP BY 1 ORDER BY 1;
-- columns of two rows: what is known of one says nothing of the other
SELECT count(p) AS mixed FROM (SELECT phi.reveal_pseudonym('pn.ann', a.note, b.note) AS p FROM pn_obs a, pn_obs b WHERE a.id = 44 AND b.id = 22 OFFSET 0) s;
SELECT count(p) AS mixed FROM (SELECT phi.reveal_pseudonym('pn.ann', a.note, (SELECT b.note FROM pn_obs b WHERE b.id = 22)) AS p FROM pn_obs a WHERE a.id = 44 OFFSET 0) s;
SELECT count(p) AS of_one FROM (SELECT phi.reveal_pseudonym('pn.ann', b.note) AS p FROM pn_obs a, pn_obs b WHERE a.id = 44 AND b.id IN (22, 24) OFFSET 0) s; -- 24 alone
RESET row_security;
RESET SESSION AUTHORIZATION;

-- labels that the row got behind our back count, beside those that its values were sealed under
SET session_replication_role = replica;
SET row_security = off;
UPDATE pn_obs SET labels = '{R}' WHERE id = 30;
UPDATE pn_obs SET labels = '{N}' WHERE id = 31;
RESET row_security;
RESET session_replication_role;
SET SESSION AUTHORIZATION pn_ann;
SET row_security = off;
SELECT id, labels, p IS NOT NULL AS named FROM (SELECT id, labels, phi.reveal_pseudonym('pn.ann', note, extra) AS p FROM pn_obs WHERE id IN (30, 31, 32) OFFSET 0) s ORDER BY id; -- 32 alone
RESET row_security;
RESET SESSION AUTHORIZATION;
ALTER ROLE pn_ann NOBYPASSRLS;

-- shredding takes the pseudonyms of all recipients in its transaction, and none are made again
SELECT recipient, count(*) FROM phi.pseudonym GROUP BY 1 ORDER BY 1;
BEGIN;
SELECT phi.shred_subject(1::bigint, 'test') AS keys;
SELECT recipient, count(*) FROM phi.pseudonym GROUP BY 1 ORDER BY 1;
ROLLBACK;
SELECT recipient, count(*) FROM phi.pseudonym GROUP BY 1 ORDER BY 1;
SET SESSION AUTHORIZATION pn_keys;
SELECT phi.shred_subject(1::bigint, 'test') AS keys;
SELECT count(*) FROM phi.pseudonym; -- fails
RESET SESSION AUTHORIZATION;
SELECT recipient, count(*) FROM phi.pseudonym GROUP BY 1 ORDER BY 1;
SELECT phi.make_pseudonyms('pn_obs', 'pn.ann') AS again, phi.make_pseudonyms('pn_obs', 'new') AS of_the_others;
SET SESSION AUTHORIZATION pn_ann;
SELECT phi.set_purpose('HRESCH');
SELECT count(*) AS rows, count(patient) AS named, count(DISTINCT patient) AS people FROM pn_ann_obs;
RESET SESSION AUTHORIZATION;

-- more encrypted columns than a function has arguments
DO $$ BEGIN
	EXECUTE 'CREATE TABLE pn_wide (id bigint PRIMARY KEY, ' || (SELECT string_agg('c' || i || ' text', ', ') FROM generate_series(1, 110) i) || ')';
	PERFORM phi.classify('pn_wide', 'c' || i, 'lab') FROM generate_series(1, 110) i;
END $$;
INSERT INTO pn_wide (id, c1, c110) VALUES (2, 'x', 'y');
SELECT phi.protect('pn_wide', 'id');
SELECT phi.add_view('pn_wide', 'pn_ann_wide', 'limited', 'pn.ann');
GRANT SELECT ON pn_ann_wide TO pn_ann;
UPDATE phi.consent c SET program = o.program FROM phi.consent o WHERE c.id = (SELECT id FROM pn_consents WHERE patient = 2) AND o.id = (SELECT id FROM pn_consents WHERE patient = 1);
SET SESSION AUTHORIZATION pn_ann;
SELECT id IS NOT NULL AS named, c1, c110 FROM pn_ann_wide;
RESET SESSION AUTHORIZATION;

SELECT phi.unprotect('pn_obs'), phi.unprotect('pn_wide');
DROP TABLE pn_obs, pn_wide;
DELETE FROM phi.consent WHERE id IN (SELECT id FROM pn_consents);
DROP TABLE pn_consents;
DELETE FROM phi.pseudonym;
DELETE FROM phi.subject_key;
DELETE FROM phi.role_rule WHERE workforce_role = 'pn_researcher';
SELECT phi.unenroll('pn_ann');
SELECT phi.revoke_duty('pn_ann', 'application'), phi.revoke_duty('pn_ann', 'key_custodian'), phi.revoke_duty('pn_privacy', 'privacy_officer'), phi.revoke_duty('pn_keys', 'key_custodian');
DROP ROLE pn_ann, pn_privacy, pn_keys;
