-- FHIR consents: what is imported, reported, superseded and exported; labels by code
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT phi.ensure_keys(); -- ok
CREATE ROLE cf_officer LOGIN; -- ok
CREATE ROLE cf_nobody LOGIN; -- ok
SELECT phi.grant_duty('cf_officer', 'privacy_officer'); -- ok

-- an R4 consent of subject $1 with a root provision, and what else is given
CREATE FUNCTION cf_r4(subject text, root jsonb, more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('resourceType', 'Consent', 'status', 'active', 'patient', jsonb_build_object('reference', 'Patient/' || subject),
		'scope', '{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]}'::jsonb, 'provision', root) || more $$;
CREATE FUNCTION cf_r5(subject text, decision text, provisions jsonb, more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('resourceType', 'Consent', 'status', 'active', 'subject', jsonb_build_object('reference', 'Patient/' || subject),
		'decision', decision) || CASE WHEN provisions IS NULL THEN '{}' ELSE jsonb_build_object('provision', provisions) END || more $$;
CREATE FUNCTION cf_ask(subject text, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
	SELECT verdict FROM phi.evaluate_consent(jsonb_build_object('subject', subject, 'now', '2024-06-01T12:00:00Z', 'purpose', 'TREAT',
		'actors', '["Practitioner/house"]'::jsonb, 'action', 'access', 'labels', '[]'::jsonb) || more) $$;
CREATE FUNCTION cf_problem(root jsonb, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
	SELECT status || ' ' || coalesce(problem, '-') FROM phi.import_consent(cf_r4('problem', root, more)) $$;
CREATE FUNCTION cf_actor(role text, reference text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('actor', jsonb_build_array(jsonb_build_object('role', jsonb_build_object('coding', jsonb_build_array(
		jsonb_build_object('system', 'http://terminology.hl7.org/CodeSystem/v3-ParticipationType', 'code', role))),
		'reference', jsonb_build_object('reference', reference)))) $$;

-- what is no consent, or nobody's
SELECT phi.import_consent(NULL); -- fails
SELECT phi.import_consent('[]'); -- fails
SELECT phi.import_consent('"Consent"'); -- fails
SELECT phi.import_consent('{"resourceType": "Patient"}'); -- fails
SELECT phi.import_consent('{"resourceType": "Consent"}'); -- fails
SELECT phi.import_consent(cf_r4('x', '{"type": "permit"}') || '{"patient": {"reference": "https://a.example/Patient/x"}}'); -- fails
SELECT phi.import_consent(cf_r4('x', '{"type": "permit"}') || '{"patient": {"reference": "Group/x"}}'); -- fails
SELECT status, problem FROM phi.import_consent(cf_r4('x', '{"type": "permit"}') || '{"patient": {"reference": "https://a.example/Patient/x"}}', 'x'); -- ok: the key is given

-- what cannot be decided exactly is unsupported, and says why
SELECT cf_problem('{"period": {"start": "2020"}}'); -- no-base
SELECT cf_problem('{"type": "maybe"}'); -- type
SELECT cf_problem('{"type": "permit"}', '{"status": "lost"}'); -- status
SELECT cf_problem('{"type": "permit"}', '{"scope": {"text": "privacy"}}'); -- element
SELECT cf_problem('{"type": "permit"}', '{"scope": {"coding": [{"system": "urn:x", "code": "patient-privacy"}]}}'); -- scope
SELECT cf_problem('{"type": "permit"}', '{"dateTime": "yesterday"}'); -- date
SELECT cf_problem('{"type": "permit"}', '{"dateTime": "2024-02-30"}'); -- date
SELECT cf_problem('{"type": "permit"}', '{"implicitRules": "urn:x"}'); -- implicit-rules
SELECT cf_problem('{"type": "permit"}', '{"modifierExtension": [{"url": "urn:x"}]}'); -- modifier-extension
SELECT cf_problem('{"type": "permit"}', '{"novelty": true}'); -- element
SELECT cf_problem('{"type": "permit", "modifierExtension": [{"url": "urn:x"}]}'); -- modifier-extension
SELECT cf_problem('{"type": "permit", "novelty": 1}'); -- element
SELECT cf_problem('{"type": "permit", "purpose": []}'); -- element
SELECT cf_problem('{"type": "permit", "purpose": [{}]}'); -- element
SELECT cf_problem('{"type": "permit", "purpose": null}'); -- element
SELECT cf_problem('{"type": "permit", "provision": [{}]}'); -- element
SELECT cf_problem('{"type": "permit", "period": {"start": "0001-01-01T00:00:00+14:00"}}'); -- period
SELECT cf_problem('{"type": "permit", "purpose": [{"code": "TREAT"}]}'); -- purpose
SELECT cf_problem('{"type": "permit", "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "treat"}]}'); -- purpose
SELECT cf_problem('{"type": "permit", "period": {"start": "2024", "end": "2023"}}'); -- period
SELECT cf_problem('{"type": "permit", "period": {"_start": {"extension": [{"url": "urn:x"}]}}}'); -- element
SELECT cf_problem('{"type": "permit", "action": [{"coding": [{"system": "urn:x", "code": "access"}]}]}'); -- action
SELECT cf_problem('{"type": "permit", "securityLabel": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "R"}]}'); -- label
SELECT cf_problem('{"type": "permit", "securityLabel": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}]}'); -- label
SELECT cf_problem('{"type": "permit", "class": [{"system": "urn:ietf:bcp:13", "code": "application/hl7-cda+xml"}]}'); -- class
SELECT cf_problem('{"type": "permit", "code": [{"text": "all of it"}]}'); -- element
SELECT cf_problem('{"type": "permit", "code": [{"coding": [{"code": "1-8"}]}]}'); -- code
SELECT cf_problem('{"type": "permit", "data": [{"meaning": "near", "reference": {"reference": "Task/1"}}]}'); -- data
SELECT cf_problem('{"type": "permit", "data": [{"meaning": "instance", "reference": {"reference": "#1"}}]}'); -- data
SELECT cf_problem('{"type": "permit"}' || cf_actor('CST', 'Organization/a')); -- actor-role
SELECT cf_problem('{"type": "permit"}' || cf_actor('IRCP', 'Location/a')); -- actor-reference
SELECT cf_problem('{"type": "permit"}' || cf_actor('IRCP', 'urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0')); -- actor-reference
SELECT cf_problem('{"type": "permit", "actor": [{"reference": {"reference": "Practitioner/a"}}]}'); -- actor-role
SELECT cf_problem('{"type": "permit"}' || cf_actor('PRCP', 'Practitioner/a')); -- active
SELECT cf_problem((WITH RECURSIVE n AS (SELECT 1 AS level, '{"type": "permit"}'::jsonb AS tree
	UNION ALL SELECT level + 1, jsonb_build_object('type', 'deny', 'provision', jsonb_build_array(tree)) FROM n WHERE level < 9) SELECT tree FROM n WHERE level = 9)); -- size
SELECT count(*), count(program), count(DISTINCT problem) FROM phi.consent WHERE subject = 'problem';

-- they count as nothing, or as a denial where the setting says so; other scopes and statuses never count
DELETE FROM phi.consent; -- ok
SELECT cf_problem('{"type": "permit", "expression": {}}'); -- expression
SELECT cf_ask('problem'); -- NA
SELECT (phi.import_consent(cf_r4('pruned', '{"novelty": [1, [], {"display": "Jane", "n": null}, {"text": ["Jane"]}], "actor": [{"reference": {"display": "Jane", "reference": "Practitioner/1"}}]}', '{"text": {"div": "Jane"}, "contained": [{"name": "Jane"}]}'))).problem; -- no-base
SELECT phi.export_consent(id) FROM phi.consent WHERE subject = 'pruned'; -- without Jane
SET phi.unsupported_consent = deny; -- ok
SELECT cf_ask('problem'), cf_ask('somebody'); -- DENY, NA
RESET phi.unsupported_consent; -- ok
SELECT cf_ask('problem'); -- NA
DELETE FROM phi.consent; -- ok
SELECT s, i.status, cf_ask('status') FROM unnest('{draft,proposed,rejected,inactive,entered-in-error}'::text[]) s, LATERAL phi.import_consent(cf_r4('status', '{"type": "permit"}', jsonb_build_object('status', s))) i;
SELECT s, i.status FROM unnest('{not-done,unknown}'::text[]) s, LATERAL phi.import_consent(cf_r5('status', 'permit', NULL, jsonb_build_object('status', s))) i;
SELECT status, problem FROM phi.import_consent(cf_r4('status', '{"type": "permit"}', '{"scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]}}')); -- other_scope
SELECT status, problem FROM phi.import_consent(cf_r5('status', 'permit', NULL, '{"category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentcategorycodes", "code": "dnr"}]}]}')); -- other_scope
SELECT cf_ask('status'); -- NA

-- supersession: the newest of the same patient, policy and grantee counts; where the order is not certain all do
CREATE FUNCTION cf_dated(subject text, type text, dated text, id text DEFAULT NULL, policy text DEFAULT 'urn:policy', status text DEFAULT 'active') RETURNS text LANGUAGE sql AS $$
	SELECT i.status FROM phi.import_consent(cf_r4(subject, jsonb_build_object('type', type), jsonb_strip_nulls(jsonb_build_object('dateTime', dated, 'id', id, 'status', status,
		'policy', jsonb_build_array(jsonb_build_object('uri', policy)), 'organization', '[{"reference": "Organization/north"}]'::jsonb)))) i $$;
SELECT cf_dated('s1', 'deny', '2022-01-01'), cf_ask('s1'); -- DENY
SELECT cf_dated('s1', 'permit', '2023-01-01'), cf_ask('s1'); -- PERMIT
SELECT cf_dated('s1', 'deny', '2021-01-01'), cf_ask('s1'); -- superseded when it came, PERMIT
SELECT cf_dated('s1', 'deny', '2023-01-01'), cf_ask('s1'); -- a tie: DENY
SELECT cf_dated('s1', 'permit', '2023'), cf_ask('s1'); -- some day of that year: DENY
SELECT cf_dated('s1', 'permit', '2023-01-02T00:00:00+02:00'), cf_ask('s1'); -- still that day: DENY
SELECT cf_dated('s1', 'permit', '2023-01-02T00:00:00Z'), cf_ask('s1'); -- PERMIT
SELECT cf_dated('s1', 'deny', '2024-01-01', policy => 'urn:other'), cf_ask('s1'); -- another policy: DENY
SELECT cf_dated('s2', 'deny', NULL), cf_dated('s2', 'permit', '2024-01-01'), cf_ask('s2'); -- without a date: DENY
SELECT cf_dated('s3', 'permit', '2023-01-01', 'a'), cf_dated('s3', 'deny', '2024-01-01', 'b'), cf_ask('s3'); -- DENY
SELECT cf_dated('s3', 'deny', '2024-01-01', 'b', status => 'entered-in-error'), cf_ask('s3'); -- PERMIT
SELECT cf_dated('s4', 'permit', '2023-01-01', 'a'), cf_dated('s4', 'deny', '2024-01-01', 'b'), cf_ask('s4'); -- DENY
SELECT cf_dated('s4', 'deny', '2024-01-01', 'b', status => 'inactive'), cf_ask('s4'); -- withdrawn: NA, the older one stays superseded
SELECT cf_dated('s5', 'permit', '2023-01-01', 'a'), cf_dated('s5', 'deny', '2023-01-01', 'a'), cf_ask('s5'); -- another version of one resource: DENY
SELECT cf_dated('s6', 'deny', '2023-01-01'), cf_dated('s6', 'maybe', '2024-01-01'), cf_ask('s6'); -- what is unsupported supersedes nothing: DENY
SELECT phi.revoke_consent(id) FROM phi.consent WHERE subject = 's5' AND status = 'active'; -- ok
SELECT cf_ask('s5'); -- NA
SELECT subject, string_agg(status, ' ' ORDER BY id) FROM phi.consent WHERE subject ~ '^s' GROUP BY 1 ORDER BY 1;

-- R5: a decision and exceptions, each the negation of what it stands in
SELECT status, problem FROM phi.import_consent(cf_r5('r5', 'permit', '[{"securityLabel": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SPI"}],
	"provision": [{"actor": [{"reference": {"reference": "Practitioner/house"}}], "provision": [{"resourceType": [{"system": "http://hl7.org/fhir/fhir-types", "code": "DocumentReference"}]}]}]}]',
	'{"date": "2024-01-01", "period": {"start": "2024-01-01", "end": "2024-06-30"}}')); -- ok
SELECT cf_ask('r5'), cf_ask('r5', '{"labels": ["PSY"]}'), cf_ask('r5', '{"labels": ["PSY"], "class": "Observation"}'), cf_ask('r5', '{"labels": ["PSY"], "class": "DocumentReference"}'); -- PERMIT, DENY: the class is not known, PERMIT, DENY
SELECT cf_ask('r5', '{"labels": ["PSY"], "actors": ["Practitioner/wilson"]}'), cf_ask('r5', '{"now": "2024-07-01T00:00:00Z"}'), cf_ask('r5', '{"now": "2024-06-30T23:59:59.999Z"}'); -- DENY, NA, PERMIT
SELECT status, problem FROM phi.import_consent(cf_r5('r5b', NULL, NULL) - 'decision'); -- no-base
SELECT status, problem FROM phi.import_consent(cf_r5('r5b', 'deny', '[{"documentType": [{"system": "urn:x", "code": "y"}]}]')); -- class
SELECT status, problem FROM phi.import_consent(cf_r5('r5b', 'deny', '[{"expression": {"language": "text/cql"}}]')); -- expression
SELECT status, problem FROM phi.import_consent(cf_r5('r5b', 'deny', '[{"type": "permit"}]')); -- element
SELECT jsonb_pretty(phi.export_consent(id, 'R5')) FROM phi.consent WHERE subject = 'r5';
SELECT x.status, y.status FROM phi.consent b, phi.import_consent(phi.export_consent(b.id, 'R5'), 'r5c') x, phi.import_consent(phi.export_consent(b.id, 'R4'), 'r5d') y WHERE b.subject = 'r5'; -- ok
SELECT count(DISTINCT program), count(*) FROM phi.consent WHERE subject IN ('r5', 'r5c', 'r5d'); -- 1, 3

-- actors: who a reference is, and the same by name; the other attributes
DELETE FROM phi.consent; -- ok
SELECT status, problem FROM phi.import_consent(cf_r4('a1', '{"type": "deny"}' || cf_actor('IRCP', 'Practitioner/house'))); -- ok
SELECT a, cf_ask('a1', jsonb_build_object('actors', jsonb_build_array(a))) FROM unnest('{Practitioner/house,actor:house,actor:Practitioner/house,Patient/house,role:house,group:house,https://a.example/Practitioner/house}'::text[]) a;
SELECT cf_ask('a1', '{"actors": []}'), cf_ask('a1', '{"actors": null}'); -- NA, DENY
SELECT status, problem FROM phi.import_consent(cf_r4('a2', '{"type": "permit", "action": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "access"}]}],
	"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}], "code": [{"coding": [{"system": "http://loinc.org", "code": "1-8"}]}]}')); -- ok
SELECT cf_ask('a2', '{"class": "Observation", "codes": ["http://loinc.org|1-8"]}'), cf_ask('a2', '{"class": "Observation", "codes": ["http://loinc.org|2-6"]}'),
	cf_ask('a2', '{"class": "Observation"}'), cf_ask('a2', '{"class": "Condition", "codes": ["http://loinc.org|1-8"]}'), cf_ask('a2', '{"class": "Observation", "codes": ["http://loinc.org|1-8"], "action": "correct"}'); -- PERMIT, DENY, DENY, DENY, NA
SELECT status, problem FROM phi.import_consent(cf_r4('a3', '{"type": "permit", "provision": [{"type": "deny", "data": [{"meaning": "dependents", "reference": {"reference": "Encounter/e1"}}]}]}')); -- ok
SELECT cf_ask('a3', '{"resource": "Observation/1", "encounter": "Encounter/e1"}'), cf_ask('a3', '{"resource": "Observation/1", "encounter": "Encounter/e2"}'),
	cf_ask('a3', '{"resource": "Observation/1"}'), cf_ask('a3', '{"resource": "Observation/1", "encounter": "none"}'); -- DENY, PERMIT, DENY, PERMIT

-- several subjects of a row: any denial, else all must permit
SELECT cf_ask('a3', '{"subject": ["a3", "a2"], "resource": "Observation/1", "encounter": "none", "class": "Observation", "codes": ["http://loinc.org|1-8"]}'); -- PERMIT
SELECT cf_ask('a3', '{"subject": ["a3", "nobody"], "resource": "Observation/1", "encounter": "none"}'); -- NA
SELECT cf_ask('a3', '{"subject": ["a3", "a1", "nobody"], "resource": "Observation/1", "encounter": "none"}'); -- DENY

-- a request that is not understood
SELECT phi.evaluate_consent('[]'); -- fails
SELECT phi.evaluate_consent('{}'); -- fails
SELECT phi.evaluate_consent('{"subject": "x", "nose": 1}'); -- fails
SELECT phi.evaluate_consent('{"subject": "x", "purpose": "123-45-6789"}'); -- fails, and does not say what was given
SELECT phi.evaluate_consent('{"subject": "x", "labels": ["nice"]}'); -- fails
SELECT phi.evaluate_consent('{"subject": "x", "data_time": "soon"}'); -- fails

-- the short functions record the same, and are exported
SELECT jsonb_pretty(phi.export_consent(phi.deny_consent('p 1', 'HRESCH', actor => 'Dr. House', valid_from => '2024-01-01 00:00Z', valid_until => '2024-07-01 12:00Z')));
SELECT phi.grant_consent(4711, 'TREAT', workforce_role => 'clinician') AS given \gset
SELECT i.consent AS taken FROM phi.import_consent(phi.export_consent(:given)) i \gset
SELECT count(DISTINCT program), count(DISTINCT subject_token) FROM phi.consent WHERE id IN (:given, :taken); -- 1, 1
SELECT phi.grant_consent(1, valid_from => '10000-01-01'); -- fails
SELECT phi.export_consent(0); -- fails
SELECT phi.export_consent(:given, 'R3'); -- fails
SELECT phi.export_consent(:given, 'R5'); -- fails
SELECT e.detail, count(*) FROM phi_audit.event e WHERE e.action = 'consent' AND e.detail ~ '^(im|ex)port' GROUP BY 1 ORDER BY 1;

-- labels by code
SELECT phi.set_label_rule('http://loinc.org', '1-8', '{PSY,R,PSY}'); -- ok
SELECT phi.set_label_rule('http://loinc.org', '2-6', '{nice}'); -- fails
SELECT phi.set_label_rule('http://loinc.org', '2-6', '{_ActInformationSensitivityPolicy}'); -- fails
SELECT phi.set_label_rule('http://loinc.org', '2-6', '{}'); -- fails
SELECT phi.labels_for('http://loinc.org', '1-8'), phi.labels_for('http://loinc.org', '2-6'), phi.labels_for('urn:x', '1-8');
SELECT * FROM phi.load_label_rules('{"rules": [{"labels": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}, {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "DIS"}],
	"codeSets": [{"codes": [{"system": "http://loinc.org", "code": "1-8", "confidence": 1}, {"system": "http://loinc.org", "code": "3-4", "confidence": 0.2}]}]}]}', 0.5); -- 1, 1, DIS
SELECT phi.load_label_rules('{}'); -- fails
SELECT * FROM phi.label_rule ORDER BY 1, 2;
CREATE TABLE cf_row (code text, labels text[]); -- ok
CREATE TRIGGER labels BEFORE INSERT OR UPDATE ON cf_row FOR EACH ROW EXECUTE FUNCTION phi.label_row('labels', 'code', 'http://loinc.org'); -- ok
INSERT INTO cf_row VALUES ('1-8', NULL), ('2-6', NULL), (NULL, '{SUD}'); -- ok
UPDATE cf_row SET code = '1-8' WHERE labels = '{SUD}'; -- ok
UPDATE cf_row SET code = '2-6'; -- ok: labels are added, never taken away
SELECT * FROM cf_row ORDER BY labels;
CREATE TABLE cf_other (code int, labels text[]); -- ok
CREATE TRIGGER labels BEFORE INSERT ON cf_other FOR EACH ROW EXECUTE FUNCTION phi.label_row('labels', 'code', 'http://loinc.org'); -- ok
INSERT INTO cf_other VALUES (1); -- fails
DROP TABLE cf_other;
SELECT phi.drop_label_rule('http://loinc.org', '1-8'); -- ok
SELECT phi.drop_label_rule('http://loinc.org', '1-8'); -- fails
SELECT count(*), count(parent) FROM phi.code_purpose;
SELECT count(*), count(rank), count(parent) FROM phi.code_label;

-- who may
SET SESSION AUTHORIZATION cf_nobody;
SELECT phi.import_consent('{}'); -- fails
SELECT phi.export_consent(1); -- fails
SELECT phi.evaluate_consent('{}'); -- fails
SELECT phi.set_label_rule('a', 'b', '{R}'); -- fails
SET SESSION AUTHORIZATION cf_officer;
SELECT status FROM phi.import_consent('{"resourceType": "Consent", "status": "draft", "patient": {"reference": "Patient/1"}}'); -- ok
SELECT phi.set_label_rule('a', 'b', '{R}'); -- fails
RESET SESSION AUTHORIZATION;

DROP TABLE cf_row;
DELETE FROM phi.consent;
DELETE FROM phi.label_rule;
DROP FUNCTION cf_r4, cf_r5, cf_ask, cf_problem, cf_actor, cf_dated;
SELECT phi.revoke_duty('cf_officer', 'privacy_officer'); -- ok
DROP ROLE cf_officer, cf_nobody; -- ok
