-- Care relationships, groups, organizations: who sees whom because of what he has to do with him
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE rl_nurse LOGIN;
CREATE ROLE rl_float LOGIN;
CREATE ROLE rl_clerk LOGIN;
CREATE ROLE rl_officer LOGIN;
CREATE ROLE rl_admin LOGIN;
SELECT count(phi.grant_duty(r::regrole, 'application')) FROM unnest('{rl_nurse,rl_float,rl_clerk}'::text[]) r; -- ok
SELECT phi.grant_duty('rl_officer', 'privacy_officer'); -- ok
SELECT phi.grant_duty('rl_admin', 'security_officer'); -- ok
SELECT phi.enroll('rl_nurse', 'nora', '{rl_ward}', '{TREAT}', 'north ward'); -- ok
SELECT phi.enroll('rl_float', 'flo', '{rl_ward,rl_office}', '{TREAT,HOPERAT}'); -- ok
SELECT phi.enroll('rl_clerk', 'clara', '{rl_office}', '{HOPERAT}'); -- ok
SELECT phi.set_rule('rl_ward', 'TREAT', 'name', 'full'), phi.set_rule('rl_office', 'HOPERAT', 'name', 'full'); -- ok
CREATE TABLE rl_patient (id int PRIMARY KEY, name text);
CREATE TABLE rl_visit (id int PRIMARY KEY, patient int, what text);
INSERT INTO rl_patient SELECT g, 'Patient ' || g FROM generate_series(1, 9) g;
INSERT INTO rl_visit SELECT g, g, 'visit' FROM generate_series(1, 9) g;
SELECT phi.classify('rl_patient', 'name', 'name'), phi.classify('rl_visit', 'what', 'name'); -- ok
SELECT phi.protect('rl_patient', 'id'), phi.protect('rl_visit', 'patient'); -- ok
GRANT SELECT, INSERT, UPDATE, DELETE ON rl_patient, rl_visit TO rl_nurse, rl_float, rl_clerk;
GRANT SELECT ON rl_patient_redacted, rl_visit_redacted TO rl_nurse, rl_float, rl_clerk;
CREATE VIEW rl_seen AS SELECT (SELECT string_agg(id::text, ' ' ORDER BY id) FROM rl_patient) AS patients,
	(SELECT string_agg(id::text, ' ' ORDER BY id) FROM rl_visit) AS visits;
ALTER VIEW rl_seen SET (security_invoker = true);
GRANT SELECT ON rl_seen TO PUBLIC;

-- what is refused, by whom and for what
SELECT phi.require_care('rl_ward', 'treat'); -- fails
SELECT phi.require_care('', 'TREAT'); -- fails
SELECT phi.relate(NULL::int, actor => 'nora'); -- fails
SELECT phi.relate(1); -- fails
SELECT phi.relate(1, actor => 'nora', care_team => 'x'); -- fails
SELECT phi.relate(1, actor => ' '); -- fails
SELECT phi.relate(1, actor => repeat('x', 128)); -- fails
SELECT phi.relate(1, actor => 'nora', valid_from => '2020-01-02', valid_until => '2020-01-01'); -- fails
SELECT phi.relate(1.5, actor => 'nora'); -- fails
SELECT phi.end_relation(0); -- fails
SELECT phi.add_member('nora'); -- fails
SELECT phi.add_member('nora', group_name => 'a', organization => 'b'); -- fails
SELECT phi.end_membership(0); -- fails
SELECT phi.set_organization('a', 'a'); -- fails
SELECT phi.allow_action('rl_ward', 'fly'); -- fails
SET SESSION AUTHORIZATION rl_nurse;
SELECT phi.require_care('rl_ward', 'TREAT', false); -- fails: not without the duty
SELECT phi.relate_subject(1, '1', true, 'nora', NULL, NULL, NULL, NULL, NULL); -- fails: nobody calls it
SELECT phi.relate(1, actor => 'nora'); -- fails: no right
SELECT phi.relate(1, actor => 'flo'); -- fails: no right
SELECT phi.end_relation(1); -- fails
SELECT * FROM phi.care_relationship; -- fails
SELECT phi.add_member('nora', group_name => 'team'); -- fails
RESET SESSION AUTHORIZATION;

-- nobody needs one, until a rule says so
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- all
SET SESSION AUTHORIZATION rl_admin;
SELECT phi.require_care('rl_ward', 'TREAT'); -- ok
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- none
SELECT reason, explanation FROM phi.explain_access(1, 'rl_patient'); -- no_care_relationship
SELECT phi.can_access(1); -- f
SET SESSION AUTHORIZATION rl_clerk;
SELECT * FROM rl_seen; -- all: another role, another purpose

-- each way to be related
RESET SESSION AUTHORIZATION;
CREATE TABLE rl_relation (what text, id bigint);
GRANT ALL ON rl_relation TO PUBLIC;
SET SESSION AUTHORIZATION rl_officer;
INSERT INTO rl_relation SELECT 'actor', phi.relate(1, actor => 'nora', role => 'primary nurse'); -- ok
INSERT INTO rl_relation SELECT 'team', phi.relate(2, care_team => 'stroke team'); -- ok
INSERT INTO rl_relation SELECT 'ward', phi.relate(3, organization => 'north ward'); -- ok
INSERT INTO rl_relation SELECT 'hospital', phi.relate(4, organization => 'hospital'); -- ok
INSERT INTO rl_relation SELECT 'past', phi.relate(5, actor => 'nora', valid_until => '2020-01-01'); -- ok
INSERT INTO rl_relation SELECT 'future', phi.relate(6, actor => 'nora', valid_from => '2999-01-01'); -- ok
INSERT INTO rl_relation SELECT 'text', phi.relate('7'::text, actor => 'nora', valid_from => '-infinity', valid_until => 'infinity'); -- ok: the same subject as the number
INSERT INTO rl_relation SELECT 'other', phi.relate(8, actor => 'NORA'); -- ok: another actor
INSERT INTO rl_relation SELECT 'role', phi.relate(9, care_team => 'rl_ward'); -- ok: a team by the name of a role
SELECT id > 0 AS id, subject, holder_kind, holder, role FROM phi.care_relationship WHERE holder = 'nora' AND subject = '1'; -- ok: officers look
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 1 3 7
SELECT name FROM rl_patient_redacted WHERE id IN (1, 2) ORDER BY id; -- 1 alone
SELECT permit, reason FROM phi.explain_access(1, 'rl_patient'); -- default_permit
SET SESSION AUTHORIZATION rl_admin;
SELECT phi.add_member('nora', group_name => 'stroke team') > 0 AS added; -- ok
SELECT phi.set_organization('north ward', 'internal medicine'); -- ok
SELECT phi.set_organization('internal medicine', 'hospital'); -- ok
SELECT phi.set_organization('hospital', 'north ward'); -- fails: a circle
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 1 2 3 4 7
SELECT phi.add_member('nora', organization => 'x'); -- fails
SET SESSION AUTHORIZATION rl_float;
SELECT phi.set_purpose('TREAT'); -- ok
SELECT * FROM rl_seen; -- none: nobody related flo
SELECT phi.set_purpose('HOPERAT'); -- ok
SELECT * FROM rl_seen; -- all
RESET SESSION AUTHORIZATION;

-- consents go on deciding, and name groups and organizations above
SELECT phi.deny_consent(1, 'TREAT') > 0 AS recorded; -- ok
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 2 3 4 7: a relationship does not outweigh a denial
RESET SESSION AUTHORIZATION;
DELETE FROM phi.consent WHERE subject = '1';

-- ends: of a relationship, a membership, an organization's place
SET SESSION AUTHORIZATION rl_officer;
SELECT phi.end_relation(id) FROM rl_relation WHERE what = 'actor'; -- ok
SELECT phi.end_relation(id) FROM rl_relation WHERE what = 'actor'; -- fails: it is over
SELECT phi.end_relation(id) FROM rl_relation WHERE what = 'past'; -- fails: it is over
SELECT subject, ended_by FROM phi.care_relationship WHERE ended_at IS NOT NULL AND holder = 'nora'; -- ok
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 2 3 4 7
SET SESSION AUTHORIZATION rl_officer;
SELECT phi.end_membership(id) FROM phi.membership WHERE actor = 'nora' AND name = 'stroke team'; -- ok
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 3 4 7
SET SESSION AUTHORIZATION rl_officer;
SELECT phi.set_organization('internal medicine'); -- ok
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 3 7
RESET SESSION AUTHORIZATION;
SELECT phi.unenroll('rl_nurse'); -- ok
SELECT phi.enroll('rl_nurse', 'nora', '{rl_ward}', '{TREAT}'); -- ok: of no organization
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 7
RESET SESSION AUTHORIZATION;

-- periods end and begin by themselves
SELECT phi.relate(1, actor => 'nora', valid_until => clock_timestamp() + interval '0.7 s') > 0 AS recorded; -- ok
SELECT phi.relate(2, actor => 'nora', valid_from => clock_timestamp() + interval '0.7 s') > 0 AS recorded; -- ok
SELECT phi.add_member('nora', group_name => 'brief', valid_until => clock_timestamp() + interval '0.7 s') > 0 AS added; -- ok
SELECT phi.relate(3, care_team => 'brief') > 0 AS recorded; -- ok
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 1 3 7
SELECT * FROM rl_seen; -- the same, from the cache
SELECT pg_sleep(0.8);
SELECT * FROM rl_seen; -- 2 7
RESET SESSION AUTHORIZATION;
SELECT phi.relate(1, actor => 'nora', valid_until => clock_timestamp() + interval '0.5 s') > 0 AS recorded; -- ok
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 1 2 7
SELECT pg_sleep(0.6);
SELECT * FROM rl_seen; -- 2 7
RESET SESSION AUTHORIZATION;

-- the nearest purpose counts: emergencies are exempt
SELECT phi.require_care('rl_ward', 'ETREAT', false); -- ok
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 2 7
SELECT phi.set_purpose('ERTREAT'); -- ok
SELECT * FROM rl_seen; -- all
SELECT phi.set_purpose('COC'); -- ok
SELECT * FROM rl_seen; -- 2 7
SELECT phi.set_purpose('TREAT'); -- ok
RESET SESSION AUTHORIZATION;
SELECT phi.require_care('rl_ward', 'ETREAT', NULL); -- ok: as before
SELECT phi.require_care('rl_office', 'HOPERAT'); -- ok
SET SESSION AUTHORIZATION rl_float;
SELECT * FROM rl_seen; -- none: one of two roles needs one
RESET SESSION AUTHORIZATION;
SELECT phi.require_care('rl_office', 'HOPERAT', NULL); -- ok

-- a first row: who may create a patient may do so before anybody is related
SET SESSION AUTHORIZATION rl_nurse;
INSERT INTO rl_patient VALUES (20, 'New'); -- ok
SELECT * FROM rl_seen; -- 2 7: created, not seen
INSERT INTO rl_patient VALUES (21, 'New') RETURNING id; -- fails: it would be seen
INSERT INTO rl_patient VALUES (3, 'Again'); -- fails: not the first
INSERT INTO rl_patient VALUES (3, 'Again') ON CONFLICT (id) DO NOTHING; -- fails: it would tell that there is one
INSERT INTO rl_patient VALUES (3, 'Again') ON CONFLICT (id) DO UPDATE SET name = excluded.name; -- fails
INSERT INTO rl_visit VALUES (20, 20, 'first'); -- fails: a visit is no first row
INSERT INTO rl_visit VALUES (21, 7, 'more'); -- ok
UPDATE rl_visit SET patient = 3 WHERE id = 21; -- fails: to somebody else's patient
UPDATE rl_patient SET id = 30 WHERE id = 2; -- fails: nobody gives a patient another key so
DELETE FROM rl_patient WHERE id = 3; -- ok: none
RESET SESSION AUTHORIZATION;
SELECT phi.deny_consent(22, 'TREAT') > 0 AS recorded; -- ok
SET SESSION AUTHORIZATION rl_nurse;
INSERT INTO rl_patient VALUES (22, 'New'); -- fails: a consent denies
RESET SESSION AUTHORIZATION;
SELECT phi.drop_rule('rl_ward', 'TREAT', 'all'); -- ok
SET SESSION AUTHORIZATION rl_nurse;
INSERT INTO rl_patient VALUES (23, 'New'); -- fails: no rule
RESET SESSION AUTHORIZATION;
SELECT phi.set_rule('rl_ward', 'TREAT', 'name', 'full'); -- ok

-- a role that records relationships of others, never its own
SELECT phi.allow_action('rl_office', 'relate'); -- ok
SET SESSION AUTHORIZATION rl_clerk;
INSERT INTO rl_relation SELECT 'clerk', phi.relate(20, actor => 'nora'); -- ok
SELECT phi.relate(20, actor => 'clara'); -- fails
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 2 7 20
SET SESSION AUTHORIZATION rl_float;
SELECT phi.logout(); -- ok
SELECT phi.relate(20, actor => 'nora'); -- fails: no purpose stated
SET SESSION AUTHORIZATION rl_clerk;
SELECT phi.end_relation(id) FROM rl_relation WHERE what = 'clerk'; -- ok
RESET SESSION AUTHORIZATION;
SELECT phi.allow_action('rl_office', 'relate', false); -- ok
SET SESSION AUTHORIZATION rl_clerk;
SELECT phi.relate(20, actor => 'nora'); -- fails
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 2 7
RESET SESSION AUTHORIZATION;

-- rolled back
SET SESSION AUTHORIZATION rl_nurse;
BEGIN;
RESET SESSION AUTHORIZATION;
SELECT phi.relate(3, actor => 'nora') > 0 AS recorded; -- ok
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 2 3 7
ROLLBACK;
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 2 7
RESET SESSION AUTHORIZATION;

-- a step-up that labels, purposes demand; explain says that it would help
SELECT phi.require_step_up(); -- fails
SELECT phi.require_step_up(label => 'PSY', purpose => 'TREAT'); -- fails
SELECT phi.require_step_up(label => '123-45-6789'); -- fails, and does not say what was given
SELECT phi.require_step_up(purpose => 'treat'); -- fails
SELECT phi.require_step_up(action => 'dance'); -- fails
SELECT phi.require_step_up(action => 'export'); -- fails
SET SESSION AUTHORIZATION rl_nurse;
SELECT phi.require_step_up(label => 'PSY', required => false); -- fails
RESET SESSION AUTHORIZATION;
SELECT phi.require_step_up(label => 'SEX'), phi.require_step_up(label => 'V'); -- ok
SET SESSION AUTHORIZATION rl_nurse;
SELECT phi.can_access(7), phi.can_access(7, '{SEX}') AS sex, phi.can_access(7, '{R}') AS r, phi.can_access(7, '{V}') AS v; -- t f t f
SELECT reason, explanation FROM phi.explain_access(7, 'rl_patient', '{SEX}'); -- step_up_required
SELECT reason FROM phi.explain_access(3, 'rl_patient', '{SEX}'); -- no_care_relationship comes first
RESET SESSION AUTHORIZATION;
SELECT phi.require_step_up(purpose => 'TREAT'); -- ok
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- none
SELECT reason, explanation FROM phi.explain_access(7, 'rl_patient'); -- step_up_required
SET SESSION AUTHORIZATION rl_clerk;
SELECT * FROM rl_seen; -- all
RESET SESSION AUTHORIZATION;
SELECT phi.require_step_up(purpose => 'TREAT', required => false), phi.require_step_up(label => 'N'); -- ok
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- none: rows without labels count as N
RESET SESSION AUTHORIZATION;
SELECT phi.require_step_up(label => l, required => false) FROM unnest('{SEX,V,N}'::text[]) l; -- ok
SET SESSION AUTHORIZATION rl_nurse;
SELECT * FROM rl_seen; -- 2 7

-- many at once: read in one pass, and in parallel
RESET SESSION AUTHORIZATION;
CREATE TABLE rl_many (id int PRIMARY KEY, name text);
SELECT phi.classify('rl_many', 'name', 'name'), phi.protect('rl_many', 'id'); -- ok
INSERT INTO rl_many (id) SELECT generate_series(1, 6000);
GRANT SELECT ON rl_many TO rl_nurse;
SELECT count(phi.relate(g, actor => 'nora')) FROM generate_series(1000, 4999) g; -- 4000
ALTER TABLE rl_many SET (parallel_workers = 2);
ANALYZE rl_many;
SET SESSION AUTHORIZATION rl_nurse;
SELECT count(*) FROM rl_many; -- 4002
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*) FROM rl_many; -- 4002
RESET SESSION AUTHORIZATION;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SET phi.decision_cache = '64kB';
SET SESSION AUTHORIZATION rl_nurse;
SELECT count(*) FROM rl_many; -- 4002: with a cache too small for them
RESET SESSION AUTHORIZATION;
RESET phi.decision_cache;

-- every one of these acts left an event
SELECT action, count(*) > 0 AS there FROM phi_audit.event WHERE action IN ('relate', 'end_relation', 'add_member', 'end_membership',
	'set_organization', 'require_care', 'allow_action', 'require_step_up') GROUP BY 1 ORDER BY 1; -- 8
SELECT count(*) FROM phi_audit.event WHERE action = 'relate' AND subjects IS NULL; -- 0

-- leave
SELECT phi.unprotect('rl_patient'), phi.unprotect('rl_visit'), phi.unprotect('rl_many');
DROP VIEW rl_seen;
DROP TABLE rl_patient, rl_visit, rl_many, rl_relation;
DELETE FROM phi.care_relationship;
DELETE FROM phi.membership;
DELETE FROM phi.organization;
DELETE FROM phi.care_rule;
DELETE FROM phi.consent WHERE subject = '22';
SELECT count(phi.unenroll(r::regrole)) FROM unnest('{rl_nurse,rl_float,rl_clerk}'::text[]) r;
SELECT count(phi.revoke_duty(db_role, duty)) FROM phi.duty_grant WHERE db_role::text ~ '^rl_';
DROP ROLE rl_nurse, rl_float, rl_clerk, rl_officer, rl_admin;
