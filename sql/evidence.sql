-- Evidence of the audit log: who may ask for it, what it refuses, what it says of a subject
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE phi_evidence_auditor;
CREATE ROLE phi_evidence_privacy;
CREATE ROLE phi_evidence_nobody;
SELECT phi.install_default_rules() >= 0 AS rules;
SELECT phi.enroll(session_user::regrole, 'dr.evidence', '{clinician}', '{TREAT}', 'Ward 7');
SELECT phi.set_purpose('TREAT');
CREATE TABLE witness (id text PRIMARY KEY, name text);
SELECT phi.classify('witness', 'name', 'name');
SELECT phi.protect('witness', subject => 'id');
SELECT phi.grant_duty('phi_evidence_auditor', 'auditor');
SELECT phi.grant_duty('phi_evidence_privacy', 'privacy_officer');
INSERT INTO witness VALUES ('P-17', 'Ada'), ('P-18', 'Bo'); -- ok
UPDATE witness SET name = 'Bob' WHERE id = 'P-18'; -- ok
SELECT phi.audit_seal() >= 0 AS sealed;

-- a checkpoint is signed by the key that is given out
SELECT split_part(phi.audit_checkpoint(), E'\n', 1) = split_part(phi.audit_public_key(), '+', 1) AS origin,
	split_part(phi.audit_checkpoint(), E'\n', 2)::bigint = (SELECT count(*) FROM phi_audit.leaf) AS size,
	split_part(phi.audit_checkpoint(), E'\n', 3) = encode((SELECT root FROM phi_audit.checkpoint ORDER BY tree_size DESC LIMIT 1), 'base64') AS root;
SELECT ok, problem FROM phi.audit_verify();
SELECT ok, problem FROM phi.audit_verify_sql();
SELECT ok, problem FROM phi.audit_verify((SELECT max(tree_size) FROM phi_audit.checkpoint)); -- ok: nothing after it
SELECT * FROM phi.audit_verify(999999); -- fails: no checkpoint of that size
SELECT * FROM phi.audit_verify(-1); -- fails
SELECT events = sealed + unsealed AS events, incarnations, holds, last_size = sealed AS covered, origin LIKE 'phi_guard/%' AS origin
	FROM phi.audit_status();

-- proofs
SELECT event_id AS witnessed FROM phi_audit.event WHERE relation = 'public.witness' AND action = 'insert' \gset
SELECT split_part(phi.audit_proof(:witnessed), E'\n', 1) AS proof;
SELECT phi.audit_proof(:witnessed) LIKE '%' || phi.audit_checkpoint() AS ends_with_the_checkpoint;
SELECT phi.audit_proof(-1); -- fails: no such event
SELECT phi.audit_consistency(3, 2); -- fails: no checkpoints of these sizes
SELECT split_part(phi.audit_consistency(n, n), E'\n', 1) = 'old ' || n AS of_itself FROM (SELECT max(tree_size) FROM phi_audit.checkpoint) c (n);

-- a subject's events; the key is given as text
SELECT action, actor, organization, purpose, relation FROM phi.disclosures('P-17') WHERE action = 'insert';
SELECT action FROM phi.disclosures('P-18') WHERE relation = 'public.witness' ORDER BY event_id;
SELECT count(*) FROM phi.disclosures('P-17', '-infinity', '2020-01-01'); -- 0
SELECT * FROM phi.accounting_of_disclosures('P-17'); -- nothing was disclosed
SELECT action, subjects FROM phi.access_report('dr.evidence') WHERE relation = 'public.witness' AND action IN ('insert', 'update');
SELECT count(*) FROM phi.access_report('nobody');
SELECT r ->> 'resourceType' AS resource, r #>> '{meta,profile,0}' AS profile, r ->> 'action' AS action, r #>> '{agent,2,who,identifier,value}' AS who
	FROM phi.export_audit_event(subject => 'P-18') r ORDER BY 2;
SELECT count(*) FROM phi.export_audit_event(subject => 'P-19'); -- 0
BEGIN;
SELECT count(*) FROM phi.access_report('taken back'); -- 0
ROLLBACK;
SELECT count(*) FROM phi_audit.event WHERE action = 'access_report' AND detail = 'taken back'; -- 1: reading is recorded whatever becomes of it
SELECT action, count(*) FROM phi_audit.event WHERE action IN ('disclosures', 'accounting_of_disclosures', 'access_report', 'export_audit_event')
	GROUP BY action ORDER BY action; -- reading leaves events

-- what an accounting leaves out
SELECT phi.audit_purpose_within('ETREAT', 'TREAT'), phi.audit_purpose_within('TREAT', 'ETREAT'), phi.audit_purpose_within('x', 'TREAT');
SELECT purpose FROM phi.accounting_exclusion ORDER BY purpose;
SELECT phi.set_accounting_exclusion('PUBHLTH', true, 'by order');
SELECT phi.set_accounting_exclusion('TREAT', false);
SELECT purpose, ground FROM phi.accounting_exclusion ORDER BY purpose;
SELECT phi.set_accounting_exclusion('TREAT', true);
SELECT phi.set_accounting_exclusion('PUBHLTH', false);
SELECT phi.set_accounting_exclusion('CURIOSITY', true); -- fails

-- holds and erasure
SELECT phi.legal_hold(''); -- fails: no reason
SELECT phi.legal_hold('case 1', 'P-17', current_date); -- fails: one or the other
SELECT phi.legal_hold('case 1', subject => 'P-17') AS hold \gset
SELECT phi.audit_erase(:witnessed, ''); -- fails: no reason
DO $$ BEGIN PERFORM phi.audit_erase((SELECT event_id FROM phi_audit.event WHERE relation = 'public.witness' AND action = 'insert'), 'asked');
	EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE WARNING 'refused: %', regexp_replace(SQLERRM, '\d+', 'N', 'g'); END $$;
SELECT phi.release_hold(:hold, 'closed');
SELECT phi.release_hold(:hold, 'again') IS NULL; -- fails: not in force
SELECT phi.audit_erase(:witnessed, 'asked'); -- ok
SELECT ok, erased FROM phi.audit_verify();
SELECT phi.audit_seal() >= 0 AS sealed;
SELECT ok, erased FROM phi.audit_verify();
SELECT ok FROM phi.audit_verify_sql();
SELECT count(*) FROM phi.disclosures('P-17') WHERE relation = 'public.witness'; -- 0: erased
DO $$ BEGIN PERFORM phi.audit_erase((SELECT max(event_id) FROM phi_audit.event WHERE action = 'audit_erase'), 'hide it');
	EXCEPTION WHEN invalid_parameter_value THEN RAISE WARNING 'refused: %', SQLERRM; END $$;

-- erasure of what is about a subject, or of a time
INSERT INTO witness SELECT 'P-2' || n, 'Cy' FROM generate_series(1, 3) n; -- ok: one event, three subjects
UPDATE witness SET name = 'Di' WHERE id = 'P-21'; -- ok
SELECT phi.audit_seal() >= 0 AS sealed;
SELECT phi.audit_erase_range(''); -- fails: no reason
SELECT phi.audit_erase_range('all of it'); -- fails: of whom, or of when
SELECT phi.audit_erase_range('all of it', "from" => '-infinity'); -- fails: until when
SELECT phi.legal_hold('case 3', subject => 'P-22') AS hold \gset
SELECT erased, left_shared, left_unsealed FROM phi.audit_erase_range('asked', 'P-23'); -- ok: nothing of this patient's alone
DO $$ BEGIN PERFORM phi.audit_erase_range('asked', 'P-23', shared => true);
	EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE WARNING 'refused: %', regexp_replace(SQLERRM, '\d+', 'N', 'g'); END $$; -- fails: P-22 is in it
SELECT erased, left_shared FROM phi.audit_erase_range('asked', 'P-21'); -- ok: the update
SELECT phi.release_hold(:hold, 'closed');
SELECT erased, left_shared FROM phi.audit_erase_range('asked', 'P-22', shared => true); -- ok: the insert
SELECT count(*) FROM phi.disclosures('P-22') WHERE relation = 'public.witness'; -- 0: erased
SELECT detail, row_count, cardinality(row_keys) AS events, reason LIKE 'signed %' AS signed FROM phi_audit.event WHERE action = 'audit_erase' ORDER BY event_id;
SELECT phi.audit_seal() >= 0 AS sealed;
SELECT ok, erased FROM phi.audit_verify();
SELECT ok FROM phi.audit_verify_sql();
SELECT erased, left_shared, left_unsealed FROM phi.audit_erase_range('long ago', "from" => '1990-01-01', "to" => '1991-01-01'); -- ok: nothing

SELECT phi.audit_archive('1999-01-01'); -- fails: no such month
SELECT phi.audit_archive(date_trunc('month', now() AT TIME ZONE 'UTC')::date) IS NULL; -- fails: too young
SELECT phi.audit_maintain(); -- no month is over
SELECT count(*) > 5 AS lines FROM phi.audit_export();

-- who may
SET ROLE phi_evidence_auditor;
SELECT ok FROM phi.audit_verify(); -- ok
SELECT ok FROM phi.audit_verify_sql(); -- ok
SELECT phi.audit_checkpoint() LIKE 'phi_guard/%' AS checkpoint; -- ok
SELECT phi.audit_erase(1, 'x'); -- fails
SELECT phi.audit_erase_range('x', 'P-17'); -- fails
SELECT phi.audit_erase_images(1, 'x'); -- fails
SELECT phi.legal_hold('x'); -- fails
SELECT phi.audit_new_incarnation('x'); -- fails
SELECT phi.audit_archive('2019-01-01'); -- fails
SET ROLE phi_evidence_privacy;
SELECT phi.legal_hold('case 2') > 0 AS hold; -- ok
SELECT count(*) FROM phi.accounting_of_disclosures('P-17'); -- ok
SELECT count(*) FROM phi.audit_export(); -- fails
SELECT phi.audit_erase_rows('{1}', 'x'); -- fails
SELECT phi.audit_record_archive('2019-01-01'); -- fails
SELECT phi.audit_subject('P-17'); -- fails
SET ROLE phi_evidence_nobody;
SELECT * FROM phi.audit_verify(); -- fails
SELECT phi.audit_proof(1); -- fails
SELECT phi.audit_public_key(); -- fails
SELECT * FROM phi.disclosures('P-17'); -- fails
SELECT * FROM phi.audit_status(); -- fails
RESET ROLE;
SELECT phi.release_hold(max(id), 'closed') FROM phi.legal_hold WHERE released_at IS NULL;

-- the new table is guarded as the others
INSERT INTO phi_audit.incarnation SELECT 99, 'x', 'x', now(), 0, 'x'; -- fails
UPDATE phi_audit.incarnation SET vkey = 'x'; -- fails
DELETE FROM phi_audit.incarnation; -- fails
TRUNCATE phi_audit.incarnation; -- fails
SET default_transaction_read_only = on;
SELECT phi.audit_seal(); -- fails
SELECT ok FROM phi.audit_verify(); -- ok
RESET default_transaction_read_only;

SELECT phi.revoke_duty('phi_evidence_auditor', 'auditor');
SELECT phi.revoke_duty('phi_evidence_privacy', 'privacy_officer');
SELECT phi.unprotect('witness');
DROP TABLE witness CASCADE;
SELECT phi.unenroll(session_user::regrole);
DROP ROLE phi_evidence_auditor, phi_evidence_privacy, phi_evidence_nobody;
