-- Breaking the glass: who may, for whom, for how long, and that it is reviewed
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE bg_doctor LOGIN;
CREATE ROLE bg_porter LOGIN;
CREATE ROLE bg_biller LOGIN;
CREATE ROLE bg_nobody LOGIN;
CREATE ROLE bg_officer LOGIN;
SELECT count(phi.grant_duty(r::regrole, 'application')) FROM unnest('{bg_doctor,bg_porter,bg_biller,bg_nobody}'::text[]) r; -- ok
SELECT phi.grant_duty('bg_officer', 'privacy_officer'), phi.grant_duty('bg_doctor', 'privacy_officer'); -- ok: a doctor who is an officer too
SELECT phi.enroll('bg_doctor', 'dr.house', '{bg_doctor}', '{TREAT}'); -- ok
SELECT phi.enroll('bg_porter', 'pete', '{bg_porter}', '{TREAT}'); -- ok
SELECT phi.enroll('bg_biller', 'bill', '{bg_doctor}', '{HPAYMT}'); -- ok
SELECT phi.set_rule('bg_doctor', 'TREAT', 'name', 'full'), phi.set_rule('bg_porter', 'TREAT', 'name', 'full'); -- ok
SELECT phi.require_care('bg_doctor', 'TREAT'), phi.require_care('bg_porter', 'TREAT'); -- ok
CREATE TABLE bg_patient (id int PRIMARY KEY, labels text[], name text);
INSERT INTO bg_patient VALUES (1, NULL, 'Ada'), (2, NULL, 'Bea'), (3, '{PSYTHPN}', 'Cy'), (4, NULL, 'Di');
SELECT phi.classify('bg_patient', 'name', 'name'), phi.protect('bg_patient', 'id', labels => 'labels'); -- ok
GRANT SELECT ON bg_patient, bg_patient_redacted TO bg_doctor, bg_porter, bg_biller, bg_nobody;
SELECT phi.deny_consent(2) > 0 AS recorded; -- ok
CREATE VIEW bg_seen AS SELECT string_agg(id::text, ' ' ORDER BY id) AS patients FROM bg_patient;
ALTER VIEW bg_seen SET (security_invoker = true);
GRANT SELECT ON bg_seen TO PUBLIC;

CREATE TABLE bg_diary (what text);
CREATE FUNCTION bg_trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM phi.break_glass(4, 'for the owner of the diary'); RETURN new; END $$;
CREATE TRIGGER trap BEFORE INSERT ON bg_diary FOR EACH ROW EXECUTE FUNCTION bg_trap();
GRANT INSERT ON bg_diary TO bg_doctor;

-- who may not: and each denial is an event, though the statement failed
SET SESSION AUTHORIZATION bg_nobody;
SELECT phi.break_glass(1, 'unconscious in the emergency room'); -- fails: no identity
SET SESSION AUTHORIZATION bg_biller;
SELECT phi.break_glass(1, 'unconscious in the emergency room'); -- fails: not for this purpose
SET SESSION AUTHORIZATION bg_doctor;
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT phi.break_glass(1, 'unconscious in the emergency room'); -- fails: a step-up would help
\set VERBOSITY terse
RESET SESSION AUTHORIZATION;
SET phi.break_glass_step_up = off;
SET SESSION AUTHORIZATION bg_doctor;
SET phi.break_glass_step_up = off; -- fails
SET phi.break_glass_ttl = '1d'; -- fails
SELECT phi.break_glass(1, 'unconscious in the emergency room'); -- fails: no right
RESET SESSION AUTHORIZATION;
SELECT phi.allow_action('bg_doctor', 'break_glass'); -- ok
SET SESSION AUTHORIZATION bg_porter;
SELECT phi.break_glass(1, 'unconscious in the emergency room'); -- fails: another role
SET SESSION AUTHORIZATION bg_doctor;
SELECT phi.break_glass(1, NULL); -- fails
SELECT phi.break_glass(1, '  short   '); -- fails
SELECT phi.break_glass(1, repeat('x', 501)); -- fails
SELECT phi.break_glass(NULL::int, 'unconscious in the emergency room'); -- fails
SELECT phi.break_glass_subject(1, '1', 'unconscious in the emergency room'); -- fails: nobody calls it
SELECT phi.glass_record('break_glass', 1, 1, NULL); -- fails
INSERT INTO phi.glass DEFAULT VALUES; -- fails
INSERT INTO bg_diary VALUES ('quiet day'); -- fails: its owner's trigger breaks no glass for whoever writes
RESET SESSION AUTHORIZATION;
SELECT actor, outcome, reason, break_glass_id, count(*) FROM phi_audit.event WHERE action = 'break_glass' GROUP BY 1, 2, 3, 4 ORDER BY 1, 3; -- five denials
SELECT count(*) FROM phi.glass; -- 0

-- broken and taken back: nothing was seen, nothing waits, and the event is there
SET SESSION AUTHORIZATION bg_doctor;
BEGIN;
SELECT phi.break_glass(1, 'unconscious in the emergency room') > 0 AS broken; -- ok
SELECT phi.set_purpose('BTG'); -- ok
SELECT * FROM bg_seen; -- none: not before the commit
SAVEPOINT s;
SELECT * FROM bg_seen; -- none
ROLLBACK;
SELECT phi.set_purpose('BTG'); -- ok
SELECT * FROM bg_seen; -- none
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM phi.glass; -- 0
SELECT outcome, reason, break_glass_id IS NOT NULL AS glass, cardinality(subjects) AS subjects FROM phi_audit.event
	WHERE action = 'break_glass' AND outcome = 'success'; -- 1

-- broken: one subject, one actor, one purpose
SET SESSION AUTHORIZATION bg_doctor;
SELECT phi.break_glass(2, 'unconscious in the emergency room') AS glass \gset
SELECT * FROM bg_seen; -- 2: past the missing relationship and the denial
SELECT name FROM bg_patient_redacted; -- Bea
SELECT permit, reason, directive, replace(explanation, :'glass', 'N') AS explanation FROM phi.explain_access(2, 'bg_patient'); -- break_glass
SELECT reason FROM phi.explain_access(1, 'bg_patient'); -- no_care_relationship
SELECT phi.set_purpose('TREAT'); -- ok
SELECT * FROM bg_seen; -- none: for BTG alone
SELECT phi.set_purpose('BTG'); -- ok
SET SESSION AUTHORIZATION bg_porter;
SELECT phi.set_purpose('BTG'); -- ok
SELECT * FROM bg_seen; -- none: for the actor alone
SET SESSION AUTHORIZATION bg_doctor;
SELECT phi.set_purpose('BTG'); -- ok
SELECT * FROM bg_seen; -- 2

-- no second one before the review, by nobody oneself
SELECT phi.break_glass(1, 'unconscious in the emergency room'); -- fails
SELECT phi.break_glass(2, 'unconscious in the emergency room'); -- fails
SELECT phi.review_break_glass(:glass, 'justified'); -- fails: one's own
SELECT phi.logout(); -- ok
SELECT phi.review_break_glass(:glass, 'justified'); -- fails
SET SESSION AUTHORIZATION bg_officer;
SELECT actor, db_role, subject, reason, waiting, verdict FROM phi.break_glass_review; -- 1
SELECT phi.review_break_glass(:glass, 'fine'); -- fails
SELECT phi.review_break_glass(0, 'justified'); -- fails
SELECT phi.review_break_glass(:glass, 'justified', 'as the chart says'); -- ok
SELECT phi.review_break_glass(:glass, 'not_justified'); -- fails: reviewed
SELECT waiting, verdict, note, reviewed_by FROM phi.break_glass_review; -- reviewed
SELECT phi.break_glass(1, 'unconscious in the emergency room'); -- fails: not without the duty
SET SESSION AUTHORIZATION bg_doctor;
SELECT phi.set_purpose('BTG'); -- ok
SELECT * FROM bg_seen; -- 2: justified, so until it ends

-- never-glass labels stay closed
SELECT phi.break_glass(3, 'unconscious in the emergency room') AS glass \gset
SELECT * FROM bg_seen; -- 2
SELECT phi.can_access(3) AS plain, phi.can_access(3, '{PSYTHPN}') AS notes; -- t f
SELECT reason FROM phi.explain_access(3, 'bg_patient', '{PSYTHPN}'); -- no_care_relationship
RESET SESSION AUTHORIZATION;
SELECT phi.relate(3, actor => 'dr.house') > 0 AS recorded; -- ok
SET SESSION AUTHORIZATION bg_doctor;
SELECT reason FROM phi.explain_access(3, 'bg_patient', '{PSYTHPN}'); -- needs_explicit_consent

-- a review that finds no justification ends it
SET SESSION AUTHORIZATION bg_officer;
SELECT phi.review_break_glass(:glass, 'not_justified'); -- ok
RESET SESSION AUTHORIZATION;
DELETE FROM phi.care_relationship;
SET SESSION AUTHORIZATION bg_doctor;
SELECT phi.can_access(3) AS plain; -- f

-- it ends by itself; a step-up can be demanded by rule too; the right can be taken away
RESET SESSION AUTHORIZATION;
SET phi.break_glass_ttl = '1min';
SET SESSION AUTHORIZATION bg_doctor;
SELECT phi.break_glass(4, 'unconscious in the emergency room') AS glass \gset
SELECT * FROM bg_seen; -- 2 4
RESET SESSION AUTHORIZATION;
SELECT valid_until - valid_from < interval '61 s' AS brief FROM phi.glass WHERE id = :glass; -- t
UPDATE phi.glass SET valid_until = clock_timestamp() + interval '0.5 s' WHERE id = :glass;
SET SESSION AUTHORIZATION bg_doctor;
SELECT * FROM bg_seen; -- 2 4
SELECT pg_sleep(0.6);
SELECT * FROM bg_seen; -- 2
SELECT phi.break_glass(1, 'unconscious in the emergency room'); -- fails: over, but not reviewed
RESET SESSION AUTHORIZATION;
SELECT phi.review_break_glass(:glass, 'justified'); -- ok
SELECT phi.require_step_up(action => 'break_glass'); -- ok
SET SESSION AUTHORIZATION bg_doctor;
SELECT phi.break_glass(1, 'unconscious in the emergency room'); -- fails: step-up
RESET SESSION AUTHORIZATION;
SELECT phi.require_step_up(action => 'break_glass', required => false), phi.allow_action('bg_doctor', 'break_glass', false); -- ok
SET SESSION AUTHORIZATION bg_doctor;
SELECT phi.break_glass(1, 'unconscious in the emergency room'); -- fails: no right any more
RESET SESSION AUTHORIZATION;
SELECT outcome, reason, count(*) FROM phi_audit.event WHERE action = 'break_glass' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT outcome, reason, detail ~ '^(not_)?justified, glass' AS said, count(*) FROM phi_audit.event WHERE action = 'review_break_glass' GROUP BY 1, 2, 3 ORDER BY 1; -- 2 and 3

-- leave
RESET phi.break_glass_step_up;
RESET phi.break_glass_ttl;
SELECT phi.unprotect('bg_patient');
DROP VIEW bg_seen;
DROP TABLE bg_patient, bg_diary;
DROP FUNCTION bg_trap;
DELETE FROM phi.glass;
DELETE FROM phi.care_rule;
DELETE FROM phi.consent WHERE subject = '2';
SELECT count(phi.unenroll(r::regrole)) FROM unnest('{bg_doctor,bg_porter,bg_biller}'::text[]) r;
SELECT count(phi.revoke_duty(db_role, duty)) FROM phi.duty_grant WHERE db_role::text ~ '^bg_';
DROP ROLE bg_doctor, bg_porter, bg_biller, bg_nobody, bg_officer;
