-------------------------------------------------------------------------------
-- self: what patients and their proxies do about themselves, for purpose PATRQT
-------------------------------------------------------------------------------

CREATE FUNCTION phi.session_is(subject_token bigint, power text) RETURNS boolean
	LANGUAGE c STRICT STABLE AS 'MODULE_PATHNAME', 'phi_session_is';
REVOKE ALL ON FUNCTION phi.session_is(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.session_is(bigint, text) IS
	'Internal: is the session the subject, or a proxy of it with the power to read or to consent?';

-- power: read or consent.  Whether the subject exists makes no difference to the error.
CREATE FUNCTION phi.own_subject(INOUT subject text, power text, OUT subject_token bigint)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	who record := phi.whoami();
	wanted text := own_subject.subject;
BEGIN
	IF NOT coalesce(who.identified, false) OR NOT phi.session_asks_for('PATRQT') THEN
		RAISE EXCEPTION 'this is for patients and their proxies' USING ERRCODE = 'insufficient_privilege',
			HINT = 'State purpose PATRQT.';
	END IF;
	SELECT f.subject, f.subject_token INTO own_subject.subject, own_subject.subject_token
	FROM (
		SELECT p.subject, p.subject_token FROM phi.person p
			WHERE p.actor = who.actor AND (wanted IS NULL OR p.subject = wanted)
		UNION ALL
		SELECT p.subject, p.subject_token FROM phi.proxy p WHERE p.actor = who.actor AND p.subject = wanted) AS f
	WHERE phi.session_is(f.subject_token, own_subject.power) LIMIT 1;
	IF own_subject.subject_token IS NULL THEN
		RAISE EXCEPTION 'the actor is not this patient, nor a proxy with the power' USING ERRCODE = 'insufficient_privilege',
			HINT = 'phi.register_person() records who a patient is, phi.add_proxy() who acts for one.';
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.own_subject(text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.own_subject(text, text) IS
	'Internal: the subject that the session is, or the named one that it is a proxy of; raises otherwise';

CREATE FUNCTION phi.require_consent_step_up() RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF phi.step_up_missing('consent') THEN
		RAISE EXCEPTION 'a change of consents needs a fresh step-up' USING ERRCODE = 'insufficient_privilege',
			HINT = 'Prove more than a password, by a one-time code or a new token, and repeat it.';
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.require_consent_step_up() FROM PUBLIC;
COMMENT ON FUNCTION phi.require_consent_step_up() IS
	'Internal: raises when changes of consents need a fresh step-up and the session has none';

CREATE FUNCTION phi.my_consents(subject text DEFAULT NULL) RETURNS TABLE (id bigint, status text, decision text,
		created_at timestamptz, created_by text, revoked_at timestamptz, revoked_by text)
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	own record := phi.own_subject(my_consents.subject, 'consent');
BEGIN
	PERFORM phi.audit_record_read('read_own_consents', 'phi.consent', NULL, own.subject_token);
	RETURN QUERY SELECT c.id, c.status, c.decision, c.created_at, c.created_by, c.revoked_at, c.revoked_by
		FROM phi.consent c WHERE c.subject_token = own.subject_token ORDER BY c.id;
END $$;
REVOKE ALL ON FUNCTION phi.my_consents(text) FROM PUBLIC;
COMMENT ON FUNCTION phi.my_consents(text) IS
	'The consents of the patient who asks, or of the one whom the session is a proxy of';

CREATE FUNCTION phi.grant_my_consent(purpose text DEFAULT NULL, actor text DEFAULT NULL, workforce_role text DEFAULT NULL,
	valid_from timestamptz DEFAULT NULL, valid_until timestamptz DEFAULT NULL, subject text DEFAULT NULL) RETURNS bigint
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	own record := phi.own_subject(grant_my_consent.subject, 'consent');
BEGIN
	PERFORM phi.require_consent_step_up();
	RETURN phi.grant_consent(own.subject::text, grant_my_consent.purpose, grant_my_consent.actor,
		grant_my_consent.workforce_role, grant_my_consent.valid_from, grant_my_consent.valid_until);
END $$;
REVOKE ALL ON FUNCTION phi.grant_my_consent(text, text, text, timestamptz, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.grant_my_consent(text, text, text, timestamptz, timestamptz, text) IS
	'phi.grant_consent by the patient, or by a proxy who may consent';

CREATE FUNCTION phi.deny_my_consent(purpose text DEFAULT NULL, actor text DEFAULT NULL, workforce_role text DEFAULT NULL,
	valid_from timestamptz DEFAULT NULL, valid_until timestamptz DEFAULT NULL, subject text DEFAULT NULL) RETURNS bigint
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	own record := phi.own_subject(deny_my_consent.subject, 'consent');
BEGIN
	PERFORM phi.require_consent_step_up();
	RETURN phi.deny_consent(own.subject::text, deny_my_consent.purpose, deny_my_consent.actor,
		deny_my_consent.workforce_role, deny_my_consent.valid_from, deny_my_consent.valid_until);
END $$;
REVOKE ALL ON FUNCTION phi.deny_my_consent(text, text, text, timestamptz, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.deny_my_consent(text, text, text, timestamptz, timestamptz, text) IS
	'phi.deny_consent by the patient, or by a proxy who may consent';

CREATE FUNCTION phi.revoke_my_consent(id bigint, subject text DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	own record := phi.own_subject(revoke_my_consent.subject, 'consent');
BEGIN
	PERFORM phi.require_consent_step_up();
	IF NOT EXISTS (SELECT FROM phi.consent c WHERE c.id = revoke_my_consent.id
		AND c.subject_token = own.subject_token AND c.status = 'active') THEN
		RAISE EXCEPTION 'there is no active consent of the patient with that id' USING ERRCODE = 'undefined_object';
	END IF;
	PERFORM phi.revoke_consent(revoke_my_consent.id);
END $$;
REVOKE ALL ON FUNCTION phi.revoke_my_consent(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.revoke_my_consent(bigint, text) IS
	'phi.revoke_consent by the patient, or by a proxy who may consent, for consents of the patient alone';

CREATE FUNCTION phi.my_disclosures(since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
		subject text DEFAULT NULL) RETURNS TABLE (recorded_at timestamptz, actor text, workforce_roles text[],
		organization text, purpose text, action text, outcome text, reason text, relation text, columns text[])
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
	own record := phi.own_subject(my_disclosures.subject, 'read');
BEGIN
	PERFORM phi.audit_record_read('read_own_disclosures', NULL, NULL, own.subject_token);
	RETURN QUERY SELECT e.recorded_at, e.actor, e.workforce_roles, e.organization, e.purpose, e.action, e.outcome, e.reason,
			e.relation, e.columns
		FROM phi_audit.event e
		WHERE e.subjects @> ARRAY[own.subject_token]
			AND (my_disclosures.since IS NULL OR e.recorded_at >= my_disclosures.since)
			AND (my_disclosures.until IS NULL OR e.recorded_at < my_disclosures.until)
		ORDER BY e.recorded_at, e.event_id;
END $$;
REVOKE ALL ON FUNCTION phi.my_disclosures(timestamptz, timestamptz, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.my_disclosures(timestamptz, timestamptz, text) IS
	'The events of the audit log about the patient who asks, or the one whom the session is a proxy of';
