-------------------------------------------------------------------------------
-- audit event: the log as FHIR R4 AuditEvent resources
--
-- Reads and changes by the profiles of IHE Basic Audit Log Patterns (BALP), one
-- resource for each patient of an event: PatientRead, where the data comes from
-- the server (source) to the client (destination) and its user receives it;
-- PatientCreate and PatientUpdate, where they come from the client and its user
-- is their author; PatientDelete, with the client as application and the server
-- as custodian.  BALP has no profile for denials, logins, emergency overrides
-- and releases: they are plain AuditEvents with the codes of DICOM and ISO 21089.
-------------------------------------------------------------------------------

CREATE FUNCTION phi.audit_coding(system text, code text, display text) RETURNS jsonb
	LANGUAGE sql IMMUTABLE
	RETURN jsonb_build_object('system', system, 'code', code, 'display', display);
REVOKE ALL ON FUNCTION phi.audit_coding(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_coding(text, text, text) IS 'Internal: a Coding of FHIR';

CREATE FUNCTION phi.audit_agent(system text, code text, display text, who jsonb, requestor boolean, more jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE
	RETURN jsonb_build_object('type', jsonb_build_object('coding', jsonb_build_array(phi.audit_coding(system, code, display))),
		'who', who, 'requestor', requestor) || more;
REVOKE ALL ON FUNCTION phi.audit_agent(text, text, text, jsonb, boolean, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_agent(text, text, text, jsonb, boolean, jsonb) IS 'Internal: an agent of an AuditEvent of FHIR';

CREATE FUNCTION phi.export_audit_event("from" timestamptz = NULL, "to" timestamptz = NULL, subject text = NULL)
	RETURNS SETOF jsonb
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
	wanted bigint := phi.audit_subject(export_audit_event.subject);
	site text := coalesce((SELECT i.incarnation FROM phi_audit.incarnation i ORDER BY i.number DESC LIMIT 1), 'not sealed');
	dicom constant text := 'http://dicom.nema.org/resources/ontology/DCM';
	hl7 constant text := 'http://terminology.hl7.org/CodeSystem/';
BEGIN
	PERFORM phi.audit_record_read('export_audit_event', NULL, NULL, wanted);
	RETURN QUERY
		SELECT jsonb_strip_nulls(jsonb_build_object(
			'resourceType', 'AuditEvent',
			'meta', CASE WHEN k.profile IS NOT NULL THEN jsonb_build_object('profile', jsonb_build_array(
				'https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.' || k.profile)) END,
			'type', phi.audit_coding(k.type_system, k.type_code, k.type_display),
			'subtype', jsonb_build_array(phi.audit_coding(k.subtype_system, k.subtype_code, k.subtype_display)),
			'action', k.letter,
			'recorded', to_char(e.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
			'outcome', CASE e.outcome WHEN 'success' THEN '0' ELSE '8' END,
			'outcomeDesc', CASE WHEN e.outcome <> 'success' THEN coalesce(e.reason, e.detail) END,
			'purposeOfEvent', p.purpose,
			'agent', jsonb_build_array(
				phi.audit_agent(k.client_system, k.client_code, k.client_display,
					jsonb_build_object('display', coalesce(nullif(e.application_name, ''), 'client')), false,
					jsonb_build_object('network', CASE WHEN e.client_address IS NULL
						THEN jsonb_build_object('address', 'localhost', 'type', '1')
						ELSE jsonb_build_object('address', host(e.client_address), 'type', '2') END)),
				phi.audit_agent(k.server_system, k.server_code, k.server_display, jsonb_build_object('display', 'phi_guard'), false,
					jsonb_build_object('network', jsonb_build_object('address', 'urn:phi_guard:log:' || site, 'type', '5'))),
				phi.audit_agent(hl7 || 'v3-ParticipationType', k.user_code, k.user_display,
					jsonb_build_object('identifier', jsonb_build_object(
						'system', 'urn:phi_guard:' || CASE WHEN e.actor IS NULL THEN 'role' ELSE 'actor' END,
						'value', coalesce(e.actor, e.db_role))), true,
					jsonb_build_object('purposeOfUse', p.purpose,
						'role', (SELECT jsonb_agg(jsonb_build_object('text', r.name)) FROM unnest(e.workforce_roles) r (name))))),
			'source', jsonb_build_object('site', site, 'observer', jsonb_build_object('display', 'phi_guard'),
				'type', jsonb_build_array(phi.audit_coding(hl7 || 'security-source-type', '5', 'Database Server'))),
			'entity', (SELECT jsonb_agg(n.entity ORDER BY n.place) FROM (VALUES
				(1, CASE WHEN t.token IS NOT NULL THEN jsonb_build_object('what', jsonb_build_object('type', 'Patient', 'identifier', jsonb_build_object(
						'system', 'urn:phi_guard:subject', 'value', lpad(to_hex(t.token), 16, '0'))),
					'type', phi.audit_coding(hl7 || 'audit-entity-type', '1', 'Person'),
					'role', phi.audit_coding(hl7 || 'object-role', '1', 'Patient')) END),
				(2, jsonb_build_object('what', jsonb_build_object('identifier', jsonb_build_object(
						'system', 'urn:phi_guard:event', 'value', e.event_id::text), 'display', e.relation),
					'type', phi.audit_coding(hl7 || 'audit-entity-type', '2', 'System Object'),
					'role', phi.audit_coding(hl7 || 'object-role', '4', 'Domain Resource'),
					'description', CASE WHEN cardinality(e.columns) > 0 THEN 'columns ' || array_to_string(e.columns, ', ') END)))
				AS n (place, entity) WHERE n.entity IS NOT NULL)))
		FROM phi_audit.event e
		CROSS JOIN LATERAL (SELECT w.* FROM (VALUES
			('success', 'disclose', true, 'PatientRead', hl7 || 'audit-event-type', 'rest', 'RESTful Operation',
				'http://hl7.org/fhir/restful-interaction', 'read', 'read', 'R', dicom, '110152', 'Destination Role ID',
				dicom, '110153', 'Source Role ID', 'IRCP', 'information recipient'),
			('success', 'insert', true, 'PatientCreate', hl7 || 'audit-event-type', 'rest', 'RESTful Operation',
				'http://hl7.org/fhir/restful-interaction', 'create', 'create', 'C', dicom, '110153', 'Source Role ID',
				dicom, '110152', 'Destination Role ID', 'AUT', 'author (originator)'),
			('success', 'update', true, 'PatientUpdate', hl7 || 'audit-event-type', 'rest', 'RESTful Operation',
				'http://hl7.org/fhir/restful-interaction', 'update', 'update', 'U', dicom, '110153', 'Source Role ID',
				dicom, '110152', 'Destination Role ID', 'AUT', 'author (originator)'),
			('success', 'delete', true, 'PatientDelete', hl7 || 'audit-event-type', 'rest', 'RESTful Operation',
				'http://hl7.org/fhir/restful-interaction', 'delete', 'delete', 'D', dicom, '110150', 'Application',
				hl7 || 'provenance-participant-type', 'custodian', 'Custodian', 'AUT', 'author (originator)'),
			(e.outcome, 'login', false, NULL, dicom, '110114', 'User Authentication', dicom, '110122', 'Login', 'E',
				dicom, '110150', 'Application', dicom, '110152', 'Destination Role ID', 'IRCP', 'information recipient'),
			('success', 'break_glass', false, NULL, dicom, '110113', 'Security Alert', dicom, '110127', 'Emergency Override Started', 'E',
				dicom, '110150', 'Application', dicom, '110152', 'Destination Role ID', 'IRCP', 'information recipient'),
			('success', 'release', false, NULL, dicom, '110106', 'Export', hl7 || 'iso-21089-lifecycle', 'disclose',
				'Disclose Record Lifecycle Event', 'R', dicom, '110152', 'Destination Role ID', dicom, '110153', 'Source Role ID', 'IRCP', 'information recipient'),
			('denied', nullif(e.action, 'login'), false, NULL, dicom, '110113', 'Security Alert', 'urn:phi_guard:action', e.action, e.action, 'E',
				dicom, '110150', 'Application', dicom, '110152', 'Destination Role ID', 'IRCP', 'information recipient'))
			AS w (outcome, action, of_patient, profile, type_system, type_code, type_display, subtype_system, subtype_code, subtype_display, letter,
				client_system, client_code, client_display, server_system, server_code, server_display, user_code, user_display)
			WHERE w.outcome = e.outcome AND w.action = e.action) k
		CROSS JOIN LATERAL (SELECT CASE WHEN e.purpose IS NOT NULL THEN jsonb_build_array(jsonb_build_object('coding',
			jsonb_build_array(jsonb_build_object('system', hl7 || 'v3-ActReason', 'code', e.purpose)))) END) p (purpose)
		LEFT JOIN LATERAL (SELECT DISTINCT s.token FROM unnest(e.subjects) s (token)
			WHERE s.token <> 0 AND (wanted IS NULL OR s.token = wanted)) t ON true
		WHERE (export_audit_event."from" IS NULL OR e.recorded_at >= export_audit_event."from")
			AND (export_audit_event."to" IS NULL OR e.recorded_at < export_audit_event."to")
			AND (wanted IS NULL OR e.subjects @> ARRAY[wanted])
			AND (t.token IS NOT NULL OR NOT k.of_patient);
END
$$;
REVOKE ALL ON FUNCTION phi.export_audit_event(timestamptz, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.export_audit_event(timestamptz, timestamptz, text) IS
	'Reads and changes (by profiles of IHE BALP, one for each patient of an event), denials, logins, emergency overrides and releases as FHIR AuditEvent resources; leaves an event';
