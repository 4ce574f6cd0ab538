-- What somebody would be allowed: without being that person, without a value, with an event
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE sm_doctor LOGIN;
CREATE ROLE sm_officer LOGIN;
SELECT phi.grant_duty('sm_doctor', 'application'), phi.grant_duty('sm_officer', 'privacy_officer'); -- ok
SELECT phi.enroll('sm_doctor', 'sam', '{sm_doctor}', '{TREAT,HRESCH,PATRQT}', 'east'); -- ok
SELECT phi.set_rule('sm_doctor', 'TREAT', 'all', 'full'), phi.set_rule('sm_doctor', 'HRESCH', 'name', 'safe_harbor'); -- ok
SELECT phi.set_rule('sm_doctor', 'HRESCH', 'zip', 'safe_harbor'), phi.set_rule('sm_patient', 'PATRQT', 'all', 'full'); -- ok
SELECT phi.set_rule('sm_clerk', 'TREAT', 'name', 'partial'); -- ok
CREATE TABLE sm_patient (id int PRIMARY KEY, name text, zip text, ssn text);
INSERT INTO sm_patient SELECT g, 'Patient ' || g, '02139', '111-22-3333' FROM generate_series(1, 6) g;
SELECT phi.classify('sm_patient', c, c) FROM unnest('{name,zip,ssn}'::text[]) c; -- ok
SELECT phi.protect('sm_patient', 'id'); -- ok
GRANT SELECT ON sm_patient, sm_patient_redacted TO sm_doctor;
SELECT phi.deny_consent(2, 'TREAT') AS deny \gset
SELECT phi.grant_consent(3, 'HRESCH') AS permit \gset
SELECT phi.deny_consent(4, 'TREAT', valid_from => '2999-01-01') > 0 AS recorded; -- ok
SELECT phi.register_person(5, 'paula') > 0, phi.add_proxy(6, 'paula', 'spouse') > 0; -- ok

-- who may not
SET SESSION AUTHORIZATION sm_doctor;
SELECT * FROM phi.simulate('sam', '{sm_doctor}', 'TREAT', 1); -- fails
SELECT * FROM phi.simulate_forms('{sm_doctor}', 'TREAT'); -- fails

-- bad arguments
SET SESSION AUTHORIZATION sm_officer;
SELECT * FROM phi.simulate('', '{sm_doctor}', 'TREAT', 1); -- fails
SELECT * FROM phi.simulate(NULL, '{sm_doctor}', 'TREAT', 1); -- fails
SELECT * FROM phi.simulate(repeat('x', 128), '{sm_doctor}', 'TREAT', 1); -- fails
SELECT * FROM phi.simulate('sam', '{sm_doctor,NULL}', 'TREAT', 1); -- fails
SELECT * FROM phi.simulate('sam', ARRAY(SELECT 'r' || g FROM generate_series(1, 17) g), 'TREAT', 1); -- fails
SELECT * FROM phi.simulate('sam', '{sm_doctor}', 'treat', 1); -- fails
SELECT * FROM phi.simulate('sam', '{sm_doctor}', NULL, 1); -- fails
SELECT * FROM phi.simulate('sam', '{sm_doctor}', 'TREAT', NULL::int); -- fails
SELECT * FROM phi.simulate('sam', '{sm_doctor}', 'TREAT', 1, 'pg_class'); -- fails
SELECT * FROM phi.simulate('sam', '{sm_doctor}', 'TREAT', 1, at => 'infinity'); -- fails

-- the matrix
SELECT permit, reason, directive, explanation FROM phi.simulate('sam', '{sm_doctor}', 'TREAT', 1, 'sm_patient'); -- default_permit
SELECT permit, reason, directive = :deny AS directive, replace(explanation, :'deny', 'N') FROM phi.simulate('sam', '{sm_doctor}', 'TREAT', 2, 'sm_patient'); -- consent_denies
SELECT permit, reason, directive = :permit AS directive, replace(explanation, :'permit', 'N') FROM phi.simulate('sam', '{sm_doctor}', 'HRESCH', 3); -- consent_permits
SELECT permit, reason, explanation FROM phi.simulate('sam', '{sm_doctor}', 'HRESCH', 1); -- default_deny
SELECT permit, reason, explanation FROM phi.simulate('sam', '{sm_doctor,sm_clerk}', 'HPAYMT', 1, 'sm_patient'); -- no_role_rule
SELECT permit, reason, explanation FROM phi.simulate('sam', '{}', 'TREAT', 1, 'sm_patient'); -- no_role_rule
SELECT permit, reason FROM phi.simulate('sam', '{sm_doctor}', 'TREAT', 1, 'sm_patient', '{SUD}'); -- needs_explicit_consent
SELECT permit, reason FROM phi.simulate('sam', '{sm_doctor}', 'TREAT', 4); -- default_permit: the denial is to come
SELECT permit, reason FROM phi.simulate('sam', '{sm_doctor}', 'TREAT', 4, at => '2999-06-01'); -- consent_denies
SELECT permit, reason, explanation FROM phi.simulate('paula', '{sm_patient}', 'PATRQT', 5); -- subject_request
SELECT permit, reason FROM phi.simulate('paula', '{sm_patient}', 'PATRQT', 6); -- subject_request
SELECT permit, reason FROM phi.simulate('paula', '{sm_patient}', 'PATRQT', 1); -- default_deny
SELECT permit, reason FROM phi.simulate('paula', '{sm_patient}', 'PATRQT', 5, NULL, '{PSYTHPN}'); -- never_patient
RESET SESSION AUTHORIZATION;
SELECT phi.require_care('sm_doctor', 'TREAT'), phi.require_step_up(label => 'HIV'); -- ok
SELECT phi.relate(1, actor => 'sam') AS care \gset
SELECT phi.relate(2, care_team => 'night shift') > 0, phi.relate(3, organization => 'company') > 0; -- ok
SELECT phi.relate(4, actor => 'sam', valid_from => '2998-01-01') > 0; -- ok
SELECT phi.set_organization('east', 'company'); -- ok
SET SESSION AUTHORIZATION sm_officer;
SELECT permit, reason, replace(explanation, :'care', 'N') FROM phi.simulate('sam', '{sm_doctor}', 'TREAT', 1); -- default_permit
SELECT permit, reason FROM phi.simulate('max', '{sm_doctor}', 'TREAT', 1); -- no_care_relationship
SELECT permit, reason FROM phi.simulate('max', '{sm_doctor}', 'TREAT', 2); -- no_care_relationship
SELECT permit, reason FROM phi.simulate('max', '{sm_doctor}', 'TREAT', 2, groups => '{night shift}'); -- consent_denies
SELECT permit, reason FROM phi.simulate('max', '{sm_doctor}', 'TREAT', 3); -- no_care_relationship
SELECT permit, reason FROM phi.simulate('max', '{sm_doctor}', 'TREAT', 3, organization => 'east'); -- default_permit
SELECT permit, reason FROM phi.simulate('sam', '{sm_doctor}', 'TREAT', 4); -- no_care_relationship
SELECT permit, reason FROM phi.simulate('sam', '{sm_doctor}', 'TREAT', 4, at => '2998-06-01'); -- default_permit
SELECT permit, reason FROM phi.simulate('sam', '{sm_doctor}', 'TREAT', 1, labels => '{HIV}'); -- step_up_required
SELECT permit, reason FROM phi.simulate('sam', '{sm_doctor}', 'TREAT', 1, labels => '{HIV}', step_up => true); -- default_permit
SELECT identified FROM phi.whoami(); -- f: nobody has become anybody
SELECT phi.can_access(1); -- f

-- what the person then sees is the same
SET SESSION AUTHORIZATION sm_doctor;
SELECT phi.set_purpose('TREAT'); -- ok
SELECT string_agg(id::text, ' ' ORDER BY id) FROM sm_patient; -- 1 3
SELECT phi.can_access(1, '{HIV}'); -- f

-- forms
SET SESSION AUTHORIZATION sm_officer;
SELECT * FROM phi.simulate_forms('{sm_doctor}', 'HRESCH', 'sm_patient') ORDER BY 1; -- 3
SELECT * FROM phi.simulate_forms('{sm_clerk}', 'ETREAT', 'sm_patient') ORDER BY 1; -- 3
SELECT * FROM phi.simulate_forms('{sm_doctor,sm_clerk}', 'HRESCH'); -- 2
SELECT count(*) FROM phi.simulate_forms('{sm_clerk}', 'HPAYMT'); -- 0
SELECT * FROM phi.simulate_forms('{sm_clerk}', 'pay'); -- fails
SELECT * FROM phi.simulate_forms('{sm_clerk}', 'TREAT', 'pg_class'); -- fails

-- each left an event, with the subject and never a value
BEGIN;
SELECT permit FROM phi.simulate('taken.back', '{sm_doctor}', 'TREAT', 1); -- ok
ROLLBACK;
RESET SESSION AUTHORIZATION;
SELECT detail, count(*) FROM phi_audit.event WHERE action = 'simulate' AND db_role = 'sm_officer' AND cardinality(subjects) = 1 GROUP BY 1 ORDER BY detail COLLATE "C";

-- leave
SELECT phi.require_step_up(label => 'HIV', required => false);
SELECT phi.unprotect('sm_patient');
DROP TABLE sm_patient;
DELETE FROM phi.care_relationship;
DELETE FROM phi.care_rule;
DELETE FROM phi.organization;
DELETE FROM phi.person;
DELETE FROM phi.proxy;
DELETE FROM phi.consent WHERE subject IN ('2', '3', '4');
SELECT phi.unenroll('sm_doctor');
SELECT count(phi.revoke_duty(db_role, duty)) FROM phi.duty_grant WHERE db_role::text ~ '^sm_';
DROP ROLE sm_doctor, sm_officer;
