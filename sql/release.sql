-- Extracts: what is in them, who may make them, what is on record
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE rl_owner LOGIN;
CREATE ROLE rl_privacy LOGIN;
CREATE ROLE rl_other LOGIN;
CREATE SCHEMA rl AUTHORIZATION rl_owner;
GRANT USAGE ON SCHEMA rl TO rl_privacy, rl_other;
CREATE SCHEMA rl_out AUTHORIZATION rl_privacy;
SELECT phi.enroll('rl_privacy', 'rl_paula', '{rl_officer}', '{HRESCH,TREAT}');
SELECT phi.set_rule('rl_officer', 'HRESCH', 'all', 'limited'), phi.set_rule('rl_officer', 'TREAT', 'all', 'full');
SELECT phi.grant_duty(r::regrole, d) FROM unnest('{rl_privacy,rl_other}'::text[]) r, unnest('{application,privacy_officer}'::text[]) d;
SET SESSION AUTHORIZATION rl_owner;
CREATE TABLE rl.patient (id bigint PRIMARY KEY, mrn text, born date, zip text, diagnosis text);
INSERT INTO rl.patient SELECT i, 'MRN' || i, '1970-05-17', CASE WHEN i < 5 THEN '02139' ELSE '03601' END, 'J45' FROM generate_series(1, 6) i;
RESET SESSION AUTHORIZATION;
SELECT count(phi.classify('rl.patient', c, k)) FROM (VALUES ('mrn', 'mrn'), ('born', 'birth_date'), ('zip', 'zip'), ('diagnosis', 'diagnosis')) v (c, k);
SELECT phi.protect('rl.patient', 'id');
SELECT phi.add_view('rl.patient', 'rl.sh', 'safe_harbor', 'Uni', '{"mrn": "pseudonym"}'), phi.add_view('rl.patient', 'rl.lds', 'limited', 'Uni'),
	phi.add_view('rl.patient', 'rl.all', 'limited', 'Uni', '{"mrn": "full"}');
GRANT SELECT ON rl.sh, rl.lds, rl.all TO rl_privacy;
SELECT count(phi.grant_consent(i::bigint, purpose => 'HRESCH')) FROM generate_series(1, 5) i;
SELECT phi.make_pseudonyms('rl.patient', 'Uni');

-- agreements: recorded, prolonged, with one recipient
SET SESSION AUTHORIZATION rl_owner;
SELECT phi.record_agreement('DUA-1', 'Uni', now() + '2 years'); -- fails
SELECT * FROM phi.agreement; -- fails
SET SESSION AUTHORIZATION rl_privacy;
SELECT phi.record_agreement('DUA-1', 'Uni', now() + '1 day'); -- ok
SELECT phi.record_agreement('DUA-1', 'Uni', now() + '2 years'), phi.record_agreement('DUA-2', 'Uni', now() + '2 years'),
	phi.record_agreement('DUA-3', 'Corp', now() + '2 years'), phi.record_agreement('DUA-4', 'Uni', now() + '2 years'); -- ok
SELECT phi.record_agreement('DUA-1', 'Corp', now() + '2 years'); -- fails
SELECT phi.record_agreement(' ', 'Uni', now() + '2 years'); -- fails
SELECT phi.record_agreement('DUA-5', NULL, now() + '2 years'); -- fails
SELECT phi.record_agreement('DUA-5', 'Uni', now()); -- fails
SELECT phi.record_agreement('DUA-5', 'Uni', 'infinity'); -- fails
SELECT phi.record_agreement('DUA-5', 'Uni', NULL); -- fails
SELECT phi.end_agreement('DUA-4'); -- ok
SELECT phi.end_agreement('DUA-4'); -- fails: it ended
SELECT phi.end_agreement('DUA-9'); -- fails
SELECT agreement, recipient, expires_at > now() AS in_force, recorded_by FROM phi.agreement ORDER BY 1;
RESET SESSION AUTHORIZATION;

-- refused
SET SESSION AUTHORIZATION rl_other;
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-1', now() + '1 year', 'rl_out.x'); -- fails: may not read the view
SET SESSION AUTHORIZATION rl_owner;
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-1', now() + '1 year', 'rl_out.x'); -- fails
SET SESSION AUTHORIZATION rl_privacy;
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-1', now() + '1 year', 'rl_out.x'); -- fails: no purpose stated
SELECT phi.set_purpose('HRESCH');
SELECT phi.release('rl.sh', 'Uni', 'TREAT', 'DUA-1', now() + '1 year', 'rl_out.x'); -- fails: another purpose than stated
SELECT phi.release('rl.sh', 'Corp', 'HRESCH', 'DUA-1', now() + '1 year', 'rl_out.x'); -- fails
SELECT phi.release('rl.patient_redacted', 'Uni', 'HRESCH', 'DUA-1', now() + '1 year', 'rl_out.x'); -- fails
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', ' ', now() + '1 year', 'rl_out.x'); -- fails
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-9', now() + '1 year', 'rl_out.x'); -- fails: nobody signed it
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-3', now() + '1 year', 'rl_out.x'); -- fails: another recipient did
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-4', now() + '1 year', 'rl_out.x'); -- fails: it ended
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-1', now() + '3 years', 'rl_out.x'); -- fails: it ends before
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-1', now(), 'rl_out.x'); -- fails
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-1', 'infinity', 'rl_out.x'); -- fails
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-1', NULL, 'rl_out.x'); -- fails
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-1', now() + '1 year', NULL); -- fails
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-1', now() + '1 year', 'rl.x'); -- fails: no right in the schema
SELECT phi.release('rl.all', 'Uni', 'HRESCH', 'DUA-1', now() + '1 year', 'rl_out.x'); -- fails: more than limited
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-1', now() + '1 year', 'rl_out.x', '{nothing}'); -- fails

-- an extract: consents respected, the lesser forms, plain values
SELECT m->'columns' AS columns, m->'rows' AS rows, m->'risk' AS risk, m->>'agreement' AS agreement, m->>'released_by' AS by
	FROM phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-1', now() + '1 year', 'rl_out."the ""extract"""', '{zip,born}') m;
SELECT phi.release('rl.sh', 'Uni', 'HRESCH', 'DUA-1', now() + '1 year', 'rl_out."the ""extract"""'); -- fails: taken
SELECT id = mrn AS pseudonym, born, zip, diagnosis FROM rl_out."the ""extract""";
SELECT phi.release('rl.lds', 'Uni', 'HRESCH', 'DUA-1', now() + '1 day', 'rl_out.lds')->'rows' AS rows;
SELECT mrn, born, zip, diagnosis FROM rl_out.lds ORDER BY zip;
SELECT phi.release('rl.all', 'Uni', 'HRESCH', 'DUA-2', now() + '1 day', 'rl_out.all', detailed => true)->'rows' AS rows;
SELECT mrn, born FROM rl_out.all; -- the rules of the session stay in force
SELECT phi.set_purpose(NULL);
RESET SESSION AUTHORIZATION;

-- on record, and overdue when it has expired
UPDATE phi.release_manifest SET expires_at = now() - interval '1 day' WHERE target::text IN ('rl_out.lds', 'rl_out."all"');
DROP TABLE rl_out.all;
SELECT recipient, agreement, exists, overdue FROM phi.release ORDER BY release_id;
SELECT action, relation, detail ~ '^5 rows of rl\.' AS detail FROM phi_audit.event WHERE action = 'release' AND relation = 'rl.patient';
SELECT relowner::regrole, relacl FROM pg_class WHERE oid = 'rl_out.lds'::regclass;

-- what has expired is dropped, each with an event; the manifest stays
SET SESSION AUTHORIZATION rl_owner;
SELECT * FROM phi.expire_releases(); -- fails
SET SESSION AUTHORIZATION rl_privacy;
SELECT target, outcome FROM phi.expire_releases(); -- ok: one dropped, one was gone
SELECT target, outcome FROM phi.expire_releases(); -- ok: nothing left
SELECT target, agreement, exists, overdue, ended_at IS NOT NULL AS ended, manifest->>'extract' AS extract FROM phi.release ORDER BY release_id;
SELECT to_regclass('rl_out.lds') IS NULL AS gone;
RESET SESSION AUTHORIZATION;
SELECT relation, regexp_replace(detail, '^release \d+', 'release') AS detail FROM phi_audit.event WHERE action = 'release_expired' AND relation = 'rl.patient' ORDER BY event_id;

-- what stays, and why: others depend on it, it is not the table that was released, it was protected
SET SESSION AUTHORIZATION rl_privacy;
SELECT phi.set_purpose('HRESCH');
SELECT count(phi.release('rl.lds', 'Uni', 'HRESCH', 'DUA-2', now() + '1 year', 'rl_out.' || t)) FROM unnest('{seen,replaced,marked,moved,joined,kept,filled,guarded}'::text[]) t;
RESET SESSION AUTHORIZATION;
SELECT phi.classify('rl_out.guarded', 'zip', 'zip');
SELECT phi.protect('rl_out.guarded', 'id');
SET SESSION AUTHORIZATION rl_privacy;
CREATE VIEW rl_out.on_seen AS SELECT zip FROM rl_out.seen;
DROP TABLE rl_out.replaced;
CREATE TABLE rl_out.replaced (mine text);
COMMENT ON TABLE rl_out.marked IS 'mine';
ALTER TABLE rl_out.moved RENAME TO "moved; away";
CREATE TABLE rl_out.moved (mine text);
CREATE TABLE rl_out.child () INHERITS (rl_out.joined);
TRUNCATE rl_out.filled;
SELECT phi.set_purpose(NULL);
SELECT phi.end_agreement('DUA-2'); -- ok: all of it is overdue
SELECT manifest->>'extract' AS extract, exists, overdue FROM phi.release WHERE agreement = 'DUA-2' AND ended_at IS NULL ORDER BY 1;
SET client_min_messages = error;
SELECT target, outcome FROM phi.expire_releases() ORDER BY 1;
SET client_min_messages = warning;
RESET SESSION AUTHORIZATION;
SELECT relname FROM pg_class WHERE relnamespace = 'rl_out'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1;
-- an oid that came to be another table's, as after a restore, drops nothing
UPDATE phi.release_manifest SET target = 'rl_out.moved'::regclass WHERE manifest->>'extract' = 'rl_out.marked';
-- nor does a mark that somebody copied
DO $$ BEGIN EXECUTE format('COMMENT ON TABLE rl_out.replaced IS %L', (SELECT r.mark FROM phi.release_manifest r WHERE r.manifest->>'extract' = 'rl_out.seen')); END $$;
DROP VIEW rl_out.on_seen;
DROP TABLE rl_out.child;
SELECT phi.unprotect('rl_out.guarded');
SET client_min_messages = error;
SET SESSION AUTHORIZATION rl_privacy;
SELECT target, outcome FROM phi.expire_releases() ORDER BY 1; -- ok, and a warning
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
SELECT relname FROM pg_class WHERE relnamespace = 'rl_out'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1;

-- a materialized view or a copy is what its maker sees; a refresh sees nothing
SET SESSION AUTHORIZATION rl_privacy;
SELECT phi.set_purpose('HRESCH');
CREATE MATERIALIZED VIEW rl_out.kept AS SELECT born, zip FROM rl.lds;
SELECT count(born) AS born FROM rl_out.kept;
REFRESH MATERIALIZED VIEW rl_out.kept;
SELECT count(born) AS born FROM rl_out.kept;
CREATE TABLE rl_out.copy AS SELECT born FROM rl.lds;
SELECT count(born) AS born FROM rl_out.copy;
RESET SESSION AUTHORIZATION;

DROP MATERIALIZED VIEW rl_out.kept;
SELECT phi.unprotect('rl.patient');
SELECT phi.unenroll('rl_privacy');
SELECT phi.revoke_duty(r::regrole, d) FROM unnest('{rl_privacy,rl_other}'::text[]) r, unnest('{application,privacy_officer}'::text[]) d;
SET client_min_messages = error;
DROP SCHEMA rl, rl_out CASCADE;
DROP ROLE rl_owner, rl_privacy, rl_other;
DELETE FROM phi.release_manifest;
DELETE FROM phi.agreement;
DELETE FROM phi.pseudonym;
DELETE FROM phi.role_rule WHERE workforce_role LIKE 'rl\_%';
