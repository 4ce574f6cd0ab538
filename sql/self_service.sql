-- Patients and proxies: own data, own consents, own disclosures, and nobody else's
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT clock_timestamp() AS begun \gset
CREATE ROLE ss_ada LOGIN;
CREATE ROLE ss_bea LOGIN;
CREATE ROLE ss_mother LOGIN;
CREATE ROLE ss_nurse LOGIN;
CREATE ROLE ss_officer LOGIN;
SELECT count(phi.grant_duty(r::regrole, 'application')) FROM unnest('{ss_ada,ss_bea,ss_mother,ss_nurse}'::text[]) r; -- ok
SELECT phi.grant_duty('ss_officer', 'privacy_officer'); -- ok
SELECT phi.enroll('ss_ada', 'ada', '{ss_patient}', '{PATRQT}'), phi.enroll('ss_bea', 'bea', '{ss_patient}', '{PATRQT,TREAT}'); -- ok
SELECT phi.enroll('ss_mother', 'mother', '{ss_patient}', '{PATRQT}'), phi.enroll('ss_nurse', 'nina', '{ss_nurse}', '{TREAT,PATRQT}'); -- ok
SELECT phi.set_rule('ss_patient', 'PATRQT', 'all', 'full'), phi.set_rule('ss_nurse', 'TREAT', 'all', 'full'); -- ok
CREATE TABLE ss_patient (id int PRIMARY KEY, labels text[], name text);
CREATE TABLE ss_note (id int PRIMARY KEY, patient int, labels text[], note text);
INSERT INTO ss_patient SELECT g, NULL, 'Patient ' || g FROM generate_series(1, 4) g;
INSERT INTO ss_note SELECT g, g, CASE WHEN g = 2 THEN '{PSYTHPN}'::text[] END, 'note' FROM generate_series(1, 4) g;
INSERT INTO ss_note VALUES (12, 2, '{SUD}', 'note');
SELECT phi.classify('ss_patient', 'name', 'name'), phi.classify('ss_note', 'note', 'free_text'); -- ok
SELECT phi.protect('ss_patient', 'id', labels => 'labels'), phi.protect('ss_note', 'patient', labels => 'labels'); -- ok
GRANT SELECT ON ss_patient, ss_patient_redacted, ss_note TO PUBLIC;
CREATE VIEW ss_seen AS SELECT (SELECT string_agg(id::text, ' ' ORDER BY id) FROM ss_patient) AS patients,
	(SELECT string_agg(id::text, ' ' ORDER BY id) FROM ss_note) AS notes;
ALTER VIEW ss_seen SET (security_invoker = true);
GRANT SELECT ON ss_seen TO PUBLIC;

CREATE TABLE ss_diary (what text);
CREATE FUNCTION ss_trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM phi.grant_my_consent(actor => 'nina'); RETURN new; END $$;
CREATE TRIGGER trap BEFORE INSERT ON ss_diary FOR EACH ROW EXECUTE FUNCTION ss_trap();
GRANT INSERT ON ss_diary TO PUBLIC;

-- nobody is anybody until an officer says so
SET SESSION AUTHORIZATION ss_ada;
SELECT * FROM ss_seen; -- none
SELECT reason FROM phi.explain_access(1); -- default_deny
SELECT * FROM phi.my_consents(); -- fails
SELECT phi.register_person(1, 'ada'); -- fails
SELECT phi.register_person_subject(1, '1', 'ada'); -- fails
SELECT phi.add_proxy(2, 'ada', 'other'); -- fails
INSERT INTO phi.person (subject_token, holder_token, subject, actor) VALUES (1, 1, '1', 'ada'); -- fails
SELECT * FROM phi.own_subject('2', 'read'); -- fails
SET SESSION AUTHORIZATION ss_officer;
SELECT phi.register_person(1, 'ada') > 0 AS registered, phi.register_person('2'::text, 'bea') > 0 AS registered; -- ok
SELECT phi.register_person(3, 'ada'); -- fails: an actor is one person
SELECT phi.register_person(3, ''); -- fails
SELECT phi.register_person(NULL::int, 'x'); -- fails
SELECT phi.forget_person('nobody'); -- fails
SELECT phi.add_proxy(3, 'mother', 'aunt'); -- fails
SELECT phi.add_proxy(3, 'mother', 'parent', '{}'); -- fails
SELECT phi.add_proxy(3, 'mother', 'parent', '{read,write}'); -- fails
SELECT phi.add_proxy(3, 'mother', 'parent', '{read,consent}') AS proxy3 \gset
SELECT phi.add_proxy(4, 'mother', 'guardian', valid_until => '2020-01-01') > 0 AS added; -- ok: over
SELECT phi.add_proxy(1, 'mother', 'other', '{consent}') AS proxy1 \gset
RESET SESSION AUTHORIZATION;
SELECT phi.grant_duty('ss_nurse', 'privacy_officer'); -- ok: an officer who is a nurse too
SET SESSION AUTHORIZATION ss_nurse;
SELECT phi.register_person(3, 'nina'); -- fails: oneself
SELECT phi.add_proxy(3, 'nina', 'parent'); -- fails
SELECT phi.relate(3, actor => 'nina'); -- fails
RESET SESSION AUTHORIZATION;
SELECT phi.revoke_duty('ss_nurse', 'privacy_officer'); -- ok
SET SESSION AUTHORIZATION ss_officer;
SELECT subject, actor FROM phi.person ORDER BY 1; -- 2
SELECT subject, actor, kind, may_read, may_consent FROM phi.proxy ORDER BY 1; -- 3

-- own data: past a denial, but not psychotherapy notes
RESET SESSION AUTHORIZATION;
SELECT phi.deny_consent(1) > 0 AS recorded; -- ok
SET SESSION AUTHORIZATION ss_ada;
SELECT * FROM ss_seen; -- 1
SELECT id, name FROM ss_patient_redacted; -- Patient 1
SELECT reason, explanation FROM phi.explain_access(1, 'ss_patient'); -- subject_request
SELECT reason FROM phi.explain_access(2, 'ss_patient'); -- default_deny
SET SESSION AUTHORIZATION ss_bea;
SELECT * FROM ss_seen; -- none: no purpose
SELECT phi.set_purpose('PATRQT'); -- ok
SELECT * FROM ss_seen; -- 2, and of the notes 12
SELECT reason FROM phi.explain_access(2, 'ss_note', '{PSYTHPN}'); -- never_patient
SELECT phi.set_purpose('TREAT'); -- ok
SELECT * FROM ss_seen; -- none: a patient treats nobody
SET SESSION AUTHORIZATION ss_mother;
SELECT * FROM ss_seen; -- 3
SELECT reason, replace(explanation, :'proxy3', 'N') AS explanation FROM phi.explain_access(3, 'ss_patient'); -- subject_request
SELECT reason FROM phi.explain_access(4, 'ss_patient'); -- default_deny: over
SELECT reason FROM phi.explain_access(1, 'ss_patient'); -- consent_denies: may consent, not read
SET SESSION AUTHORIZATION ss_nurse;
SELECT phi.set_purpose('PATRQT'); -- ok
SELECT * FROM ss_seen; -- none
SELECT * FROM phi.my_consents(); -- fails
SELECT phi.set_purpose('TREAT'); -- ok
SELECT * FROM ss_seen; -- 2 3 4, and of the notes 3 4

-- own consents
SET SESSION AUTHORIZATION ss_bea;
SELECT phi.set_purpose('TREAT'); -- ok
SELECT phi.deny_my_consent('TREAT'); -- fails: not for this purpose
SELECT phi.set_purpose('PATRQT'); -- ok
SELECT phi.deny_consent(3, 'TREAT'); -- fails: not without the duty
SELECT phi.deny_my_consent('TREAT') AS denied \gset
SELECT phi.deny_my_consent('treat'); -- fails
SELECT phi.grant_my_consent('HRESCH', valid_until => '2999-01-01') > 0 AS granted; -- ok
SELECT status, decision, created_by FROM phi.my_consents(); -- 2
SELECT status, decision, created_by FROM phi.my_consents('2'); -- 2
SELECT * FROM phi.my_consents('1'); -- fails
SELECT * FROM phi.my_consents('02'); -- fails
SELECT phi.grant_my_consent(subject => '1'); -- fails
INSERT INTO ss_diary VALUES ('fine'); -- fails: its owner's trigger consents to nothing for whoever writes
SELECT phi.deny_my_consent(subject => '1'); -- fails
SELECT id AS other FROM phi.consent; -- fails
RESET SESSION AUTHORIZATION;
SELECT id AS other FROM phi.consent WHERE subject = '1' \gset
SET SESSION AUTHORIZATION ss_nurse;
SELECT phi.set_purpose('TREAT'); -- ok
SELECT * FROM ss_seen; -- 3 4
SET SESSION AUTHORIZATION ss_bea;
SELECT phi.set_purpose('PATRQT'); -- ok
SELECT phi.revoke_my_consent(0); -- fails
DO $$ BEGIN PERFORM phi.revoke_my_consent(id) FROM generate_series(1, 500) id; EXCEPTION WHEN undefined_object THEN RAISE EXCEPTION 'not mine'; END $$; -- fails
SELECT phi.revoke_my_consent(:denied, '1'); -- fails
SELECT phi.revoke_my_consent(:denied); -- ok
SELECT status, decision FROM phi.my_consents() ORDER BY 1, 2; -- one of each
SET SESSION AUTHORIZATION ss_nurse;
SELECT phi.set_purpose('TREAT'); -- ok
SELECT * FROM ss_seen; -- 2 3 4

-- a proxy's, while it lasts
SET SESSION AUTHORIZATION ss_mother;
SELECT * FROM phi.my_consents(); -- fails: the mother is no patient
SELECT decision FROM phi.my_consents('1'); -- deny
SELECT phi.revoke_my_consent(:other, '3'); -- fails: of another one
SELECT phi.revoke_my_consent(:other, '1'); -- ok
SELECT phi.deny_my_consent(subject => '4'); -- fails: over
SELECT phi.deny_my_consent(subject => '2'); -- fails: nothing to do with it
SELECT phi.deny_my_consent('TREAT', subject => '3') > 0 AS denied; -- ok
SELECT * FROM phi.my_disclosures(subject => '1'); -- fails: may not read
SET SESSION AUTHORIZATION ss_nurse;
SELECT phi.set_purpose('TREAT'); -- ok
SELECT * FROM ss_seen; -- 1 2 4
RESET SESSION AUTHORIZATION;
SELECT phi.end_proxy(:proxy3); -- ok
SELECT phi.end_proxy(:proxy3); -- fails
SET SESSION AUTHORIZATION ss_mother;
SELECT * FROM ss_seen; -- none
SELECT phi.deny_my_consent(subject => '3'); -- fails

-- a step-up may be demanded for changes
RESET SESSION AUTHORIZATION;
SELECT phi.require_step_up(action => 'consent'); -- ok
SET SESSION AUTHORIZATION ss_ada;
SELECT phi.deny_my_consent('HRESCH'); -- fails
SELECT count(*) FROM phi.my_consents(); -- 1
RESET SESSION AUTHORIZATION;
SELECT phi.require_step_up(action => 'consent', required => false); -- ok

-- own events
SET SESSION AUTHORIZATION ss_ada;
SELECT action, actor, purpose, outcome, relation FROM phi.my_disclosures(:'begun') WHERE action IN ('consent', 'register_person', 'read_own_disclosures', 'add_proxy') ORDER BY recorded_at; -- of patient 1 alone
SELECT count(*) FROM phi.my_disclosures(until => '2020-01-01'); -- 0
SELECT * FROM phi.my_disclosures(subject => '2'); -- fails
SELECT count(*) FROM phi_audit.event; -- fails
RESET SESSION AUTHORIZATION;
SELECT actor, count(*) FROM phi_audit.event WHERE action = 'read_own_disclosures' GROUP BY 1; -- ada 2

-- forgotten: from the next statement
SELECT phi.forget_person('ada'); -- ok
SET SESSION AUTHORIZATION ss_ada;
SELECT * FROM ss_seen; -- none
SELECT * FROM phi.my_consents(); -- fails
RESET SESSION AUTHORIZATION;

-- leave
SELECT phi.unprotect('ss_patient'), phi.unprotect('ss_note');
DROP VIEW ss_seen;
DROP TABLE ss_patient, ss_note, ss_diary;
DROP FUNCTION ss_trap;
DELETE FROM phi.person;
DELETE FROM phi.proxy;
DELETE FROM phi.consent WHERE subject IN ('1', '2', '3');
SELECT count(phi.unenroll(r::regrole)) FROM unnest('{ss_ada,ss_bea,ss_mother,ss_nurse}'::text[]) r;
SELECT count(phi.revoke_duty(db_role, duty)) FROM phi.duty_grant WHERE db_role::text ~ '^ss_';
DROP ROLE ss_ada, ss_bea, ss_mother, ss_nurse, ss_officer;
