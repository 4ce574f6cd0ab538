-- FHIR AuditEvents of the log, walked as jsonb: what FHIR R4 requires of every one, and IHE BALP of reads and changes
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE phi_event_clinician;
CREATE ROLE phi_event_stranger;
SELECT phi.install_default_rules() >= 0 AS rules;
SELECT phi.enroll('phi_event_clinician', 'dr.event', '{clinician}', '{TREAT}', 'Ward 7');
SELECT phi.enroll(session_user::regrole, 'dr.maker', '{clinician}', '{TREAT}', 'Ward 7');
SELECT phi.grant_duty('phi_event_clinician', 'application'), phi.grant_duty('phi_event_stranger', 'application');
CREATE SCHEMA balp;
GRANT USAGE ON SCHEMA balp TO phi_event_clinician, phi_event_stranger;
CREATE TABLE balp.patient (id bigint PRIMARY KEY, name text, ward text);
GRANT SELECT, INSERT, UPDATE, DELETE ON balp.patient TO phi_event_clinician;
SELECT phi.classify('balp.patient', 'name', 'name');
SELECT phi.set_purpose('TREAT');
SELECT phi.protect('balp.patient', subject => 'id');
GRANT SELECT ON balp.patient_redacted TO phi_event_clinician;
SELECT clock_timestamp() AS begun \gset

-- one of each kind
SET SESSION AUTHORIZATION phi_event_clinician;
SELECT phi.set_purpose('TREAT');
INSERT INTO balp.patient VALUES (1, 'Ada', 'A'), (2, 'Bo', 'B'); -- ok: two patients
UPDATE balp.patient SET ward = 'C' WHERE id = 1; -- ok
SELECT name FROM balp.patient_redacted WHERE id = 1; -- ok: a disclosure
DELETE FROM balp.patient WHERE id = 2; -- ok
SET SESSION AUTHORIZATION phi_event_stranger;
SELECT name FROM balp.patient_redacted; -- fails: denied
RESET SESSION AUTHORIZATION;
SELECT phi.audit_record('break_glass', 'balp.patient', NULL, subjects[1]) FROM phi_audit.event WHERE relation = 'balp.patient' AND action = 'update'; -- as phi.break_glass records it
SELECT phi.audit_record('release', 'balp.patient', '2 rows'); -- as phi.release does
SELECT phi.audit_record('login', NULL, NULL); -- as phi.login does

CREATE TEMPORARY TABLE resource AS SELECT row_number() OVER () AS n, r FROM phi.export_audit_event(:'begun') r;
SELECT r #>> '{meta,profile,0}' AS profile, r #>> '{type,code}' AS type, r #>> '{subtype,0,code}' AS subtype, r ->> 'action' AS action, r ->> 'outcome' AS outcome,
	jsonb_array_length(r -> 'entity') AS entities, count(*) FROM resource GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3;

-- every element, by path; arrays as []
CREATE VIEW element AS
	WITH RECURSIVE e (n, path, value) AS (
		SELECT n, '', r FROM resource
		UNION ALL
		SELECT e.n, e.path || c.step, c.value FROM e CROSS JOIN LATERAL (
			SELECT '.' || k.key AS step, k.value FROM jsonb_each(CASE jsonb_typeof(e.value) WHEN 'object' THEN e.value ELSE '{}' END) k
			UNION ALL SELECT '[]', a.value FROM jsonb_array_elements(CASE jsonb_typeof(e.value) WHEN 'array' THEN e.value ELSE '[]' END) a) c)
	SELECT n, path, value, jsonb_typeof(value) AS type FROM e;
SELECT DISTINCT path, type FROM element WHERE path <> '' ORDER BY 1; -- nothing that AuditEvent has not, each of its type
SELECT count(*) FROM element WHERE value IN ('null', '""', '[]', '{}'); -- 0: FHIR has no empty element

-- what does not hold, by rule; AuditEvent of R4: type 1..1, subtype 0..*, recorded 1..1, agent 1..* each with requestor 1..1, source.observer 1..1
CREATE FUNCTION agent(r jsonb, place integer) RETURNS jsonb LANGUAGE sql RETURN r -> 'agent' -> place;
CREATE FUNCTION code(concept jsonb) RETURNS text LANGUAGE sql RETURN (concept #>> '{coding,0,system}') || '#' || (concept #>> '{coding,0,code}');
CREATE VIEW broken AS
	SELECT n, rule FROM resource, LATERAL (VALUES
		('resourceType', r ->> 'resourceType' = 'AuditEvent'),
		('type 1..1', r #>> '{type,system}' ~ '^https?://' AND r #>> '{type,code}' ~ '^[a-z0-9]+$'),
		('subtype 1..1', jsonb_array_length(r -> 'subtype') = 1 AND r #>> '{subtype,0,system}' <> '' AND r #>> '{subtype,0,code}' <> ''),
		('action: audit-event-action', r ->> 'action' ~ '^[CRUDE]$'),
		('recorded: instant', r ->> 'recorded' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$' AND (r ->> 'recorded')::timestamptz BETWEEN now() - interval '1 hour' AND now() + interval '1 hour'),
		('outcome: audit-event-outcome', r ->> 'outcome' IN ('0', '4', '8', '12')),
		('a failure says why', (r ->> 'outcome' = '0') = (r ->> 'outcomeDesc' IS NULL)),
		('agent 2..*', jsonb_array_length(r -> 'agent') >= 2),
		('agent.requestor 1..1', (SELECT bool_and(jsonb_typeof(a -> 'requestor') = 'boolean') FROM jsonb_array_elements(r -> 'agent') a)),
		('agent.who 1..1', (SELECT bool_and((a #>> '{who,display}') IS NOT NULL OR (a #>> '{who,identifier,value}') IS NOT NULL) FROM jsonb_array_elements(r -> 'agent') a)),
		('one requestor', (SELECT count(*) FILTER (WHERE (a ->> 'requestor')::boolean) FROM jsonb_array_elements(r -> 'agent') a) = 1),
		('agent.network.type: network-type', (SELECT bool_and(a -> 'network' IS NULL OR a #>> '{network,type}' ~ '^[1-5]$' AND a #>> '{network,address}' <> '') FROM jsonb_array_elements(r -> 'agent') a)),
		('source.observer 1..1', r #>> '{source,observer,display}' = 'phi_guard'),
		('source.type: security-source-type', r #>> '{source,type,0,code}' = '5'),
		('entity.what', (SELECT bool_and(e #>> '{what,identifier,value}' <> '' AND e #>> '{what,identifier,system}' ~ '^urn:') FROM jsonb_array_elements(r -> 'entity') e)),
		('purposeOfEvent: PurposeOfUse', r -> 'purposeOfEvent' IS NULL OR (r #>> '{purposeOfEvent,0,coding,0,system}' = 'http://terminology.hl7.org/CodeSystem/v3-ActReason'
			AND phi.audit_purpose_within(r #>> '{purposeOfEvent,0,coding,0,code}', r #>> '{purposeOfEvent,0,coding,0,code}'))))
		v (rule, holds) WHERE holds IS NOT TRUE
	UNION ALL
	-- BALP: client 1..1 and server 1..1, by type; user 0..1, requestor, without network or media; entity patient 1..1 and data 1..1
	SELECT n, profile || ' ' || rule FROM (SELECT n, r, substring(r #>> '{meta,profile,0}' FROM '[A-Z][a-z]+$') AS profile FROM resource WHERE r ? 'meta') b,
		LATERAL (VALUES
		('profile', r #>> '{meta,profile,0}' = 'https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.Patient' || profile AND jsonb_array_length(r #> '{meta,profile}') = 1),
		('type rest', r -> 'type' ->> 'system' = 'http://terminology.hl7.org/CodeSystem/audit-event-type' AND r #>> '{type,code}' = 'rest'),
		('subtype', r #>> '{subtype,0,system}' = 'http://hl7.org/fhir/restful-interaction' AND r #>> '{subtype,0,code}' = lower(profile)),
		('action', r ->> 'action' = left(profile, 1)),
		('outcome 0', r ->> 'outcome' = '0'),
		('agent 2..3', jsonb_array_length(r -> 'agent') BETWEEN 2 AND 3),
		('client', code(agent(r, 0) -> 'type') = CASE profile WHEN 'Read' THEN 'http://dicom.nema.org/resources/ontology/DCM#110152'
			WHEN 'Delete' THEN 'http://dicom.nema.org/resources/ontology/DCM#110150' ELSE 'http://dicom.nema.org/resources/ontology/DCM#110153' END),
		('server', code(agent(r, 1) -> 'type') = CASE profile WHEN 'Read' THEN 'http://dicom.nema.org/resources/ontology/DCM#110153'
			WHEN 'Delete' THEN 'http://terminology.hl7.org/CodeSystem/provenance-participant-type#custodian' ELSE 'http://dicom.nema.org/resources/ontology/DCM#110152' END),
		('user', code(agent(r, 2) -> 'type') = 'http://terminology.hl7.org/CodeSystem/v3-ParticipationType#' || CASE profile WHEN 'Read' THEN 'IRCP' ELSE 'AUT' END),
		('client and server network 1..1', agent(r, 0) #>> '{network,address}' <> '' AND agent(r, 1) #>> '{network,address}' <> ''),
		('client and server: no role, altId, name, location, policy, media, purposeOfUse', NOT agent(r, 0) ?| '{role,altId,name,location,policy,media,purposeOfUse}' AND NOT agent(r, 1) ?| '{role,altId,name,location,policy,media,purposeOfUse}'),
		('user requestor, no network or media', (agent(r, 2) ->> 'requestor')::boolean AND NOT agent(r, 2) ?| '{network,media,altId,location,policy}'),
		('entity patient and data', jsonb_array_length(r -> 'entity') = 2),
		('entity patient', r #>> '{entity,0,type,code}' = '1' AND r #>> '{entity,0,role,code}' = '1' AND r #>> '{entity,0,what,type}' = 'Patient'
			AND r #>> '{entity,0,type,system}' = 'http://terminology.hl7.org/CodeSystem/audit-entity-type' AND r #>> '{entity,0,role,system}' = 'http://terminology.hl7.org/CodeSystem/object-role'),
		('entity data', r #>> '{entity,1,type,code}' = '2' AND r #>> '{entity,1,role,code}' IN ('3', '4', '20')),
		('entity: no lifecycle, name, query, detail', NOT r #> '{entity,0}' ?| '{lifecycle,securityLabel,name,query,detail}' AND NOT r #> '{entity,1}' ?| '{lifecycle,name,query,detail}'))
		v (rule, holds) WHERE holds IS NOT TRUE;
SELECT * FROM broken; -- none
SELECT DISTINCT r #>> '{agent,2,who,identifier,value}' AS who, r #>> '{agent,2,role,0,text}' AS role, r #>> '{agent,2,purposeOfUse,0,coding,0,code}' AS purpose, r #>> '{entity,1,what,display}' AS relation, r #>> '{entity,1,description}' AS columns
	FROM resource WHERE r ? 'meta' ORDER BY 5; -- who, as what, why, what

-- the walk finds what is wrong: one edit for each
BEGIN;
CREATE TEMPORARY TABLE good ON COMMIT DROP AS SELECT * FROM resource;
CREATE FUNCTION edited(path text[], value jsonb) RETURNS TABLE (rules text) LANGUAGE plpgsql AS $$
BEGIN
	UPDATE resource r SET r = CASE WHEN value IS NULL THEN g.r #- path ELSE jsonb_set(g.r, path, value) END FROM good g WHERE g.n = r.n;
	RETURN QUERY SELECT coalesce(string_agg(DISTINCT b.rule, ', ' ORDER BY b.rule), 'NOT FOUND') FROM broken b;
	UPDATE resource r SET r = g.r FROM good g WHERE g.n = r.n;
END $$;
SELECT p.path, e.rules <> 'NOT FOUND' AS found FROM (VALUES ('{type}', NULL::jsonb), ('{subtype}', '[]'), ('{recorded}', '"2026-01-01"'), ('{agent,0,who}', NULL), ('{agent,2,requestor}', NULL),
	('{agent,1,network}', NULL), ('{agent,0,type,coding,0,code}', '"110151"'), ('{agent,2,network}', '{"address": "x", "type": "1"}'), ('{source,observer}', NULL), ('{entity,0,what}', NULL), ('{entity,0}', NULL),
	('{purposeOfEvent,0,coding,0,code}', '"CURIOSITY"'), ('{outcome}', '"1"'), ('{action}', '"X"'), ('{entity,1,detail}', '[]'), ('{meta,profile,0}', '"x.Read"')) p (path, value), edited(p.path::text[], p.value) e;
ROLLBACK;
SELECT count(*) FROM phi.export_audit_event(:'begun', subject => '2'); -- 2: what is about the other patient is not in it, nor what is about none
DROP VIEW broken, element;
DROP FUNCTION agent(jsonb, integer), code(jsonb);
DROP TABLE resource;
SELECT phi.unprotect('balp.patient');
DROP SCHEMA balp CASCADE;
SELECT phi.revoke_duty(r::regrole, 'application') FROM unnest('{phi_event_clinician,phi_event_stranger}'::text[]) r;
SELECT phi.unenroll(session_user::regrole), phi.unenroll('phi_event_clinician');
DROP ROLE phi_event_clinician, phi_event_stranger;
