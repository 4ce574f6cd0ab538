-------------------------------------------------------------------------------
-- audit accounting: who saw what of a subject, for the subject and for review
--
-- Events of a subject are found by the index of their month; a plan that is made
-- for any times would read all of the index by time beside it.
-------------------------------------------------------------------------------

CREATE TABLE phi.accounting_exclusion
(
	purpose text COLLATE "C" PRIMARY KEY,
	ground text NOT NULL
);
COMMENT ON TABLE phi.accounting_exclusion IS
	'Purposes, and what is below them, whose disclosures an accounting leaves out (45 CFR 164.528(a)(1))';
INSERT INTO phi.accounting_exclusion (purpose, ground) VALUES
	('TREAT', '164.528(a)(1)(i): treatment'),
	('HPAYMT', '164.528(a)(1)(i): payment'),
	('HOPERAT', '164.528(a)(1)(i): health care operations'),
	('PATRQT', '164.528(a)(1)(ii): to the individual');
SELECT pg_catalog.pg_extension_config_dump('phi.accounting_exclusion',
	'WHERE purpose NOT IN (''TREAT'', ''HPAYMT'', ''HOPERAT'', ''PATRQT'')');

CREATE FUNCTION phi.audit_purpose_within(purpose text, ancestor text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT AS 'MODULE_PATHNAME', 'phi_audit_purpose_within';
REVOKE ALL ON FUNCTION phi.audit_purpose_within(text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_purpose_within(text, text) IS
	'Internal: is a purpose of use another one, or below it?';

CREATE FUNCTION phi.set_accounting_exclusion(purpose text, excluded boolean, ground text = NULL) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT coalesce(phi.audit_purpose_within(set_accounting_exclusion.purpose, set_accounting_exclusion.purpose), false) THEN
		RAISE EXCEPTION 'it is no purpose of use' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Purposes are the codes of HL7 v3-PurposeOfUse, such as TREAT and PUBHLTH.';
	END IF;
	DELETE FROM phi.accounting_exclusion x WHERE x.purpose = set_accounting_exclusion.purpose;
	IF set_accounting_exclusion.excluded THEN
		INSERT INTO phi.accounting_exclusion (purpose, ground)
			VALUES (set_accounting_exclusion.purpose, coalesce(set_accounting_exclusion.ground, 'set by the privacy officer'));
	END IF;
	PERFORM phi.audit_record('set_accounting_exclusion', 'phi.accounting_exclusion'::regclass,
		format('%s %s', set_accounting_exclusion.purpose, CASE WHEN set_accounting_exclusion.excluded THEN 'left out' ELSE 'listed' END));
END
$$;
REVOKE ALL ON FUNCTION phi.set_accounting_exclusion(text, boolean, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.set_accounting_exclusion(text, boolean, text) IS
	'Says whether an accounting of disclosures leaves a purpose out';

CREATE FUNCTION phi.disclosures(subject text, "from" timestamptz = NULL, "to" timestamptz = NULL)
	RETURNS TABLE (event_id bigint, recorded_at timestamptz, actor text, db_role text, workforce_roles text[],
		organization text, purpose text, action text, outcome text, relation text, columns text[],
		reason text, consent_id bigint, break_glass_id bigint, client_address inet)
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
	token bigint := phi.audit_subject(disclosures.subject);
BEGIN
	PERFORM phi.audit_record_read('disclosures', NULL, NULL, token);
	RETURN QUERY SELECT e.event_id, e.recorded_at, e.actor, e.db_role, e.workforce_roles, e.organization, e.purpose,
			e.action, e.outcome, e.relation, e.columns, e.reason, e.consent_id, e.break_glass_id, e.client_address
		FROM phi_audit.event e
		WHERE e.subjects @> ARRAY[token] AND (disclosures."from" IS NULL OR e.recorded_at >= disclosures."from")
			AND (disclosures."to" IS NULL OR e.recorded_at < disclosures."to")
		ORDER BY e.recorded_at, e.event_id;
END
$$;
REVOKE ALL ON FUNCTION phi.disclosures(text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION phi.disclosures(text, timestamptz, timestamptz) IS
	'Every event of the audit log about a subject (its key as text); leaves an event';

-- Whatever it does not recognize is more than that, and listed.
CREATE FUNCTION phi.audit_limited(purpose text, forms text) RETURNS boolean
	LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (phi.audit_purpose_within(audit_limited.purpose, 'HRESCH') OR phi.audit_purpose_within(audit_limited.purpose, 'PUBHLTH')
			OR phi.audit_purpose_within(audit_limited.purpose, 'HOPERAT'))
		AND audit_limited.forms ~ ('^(("([^"]|"")*"|[^" ,;]+) (limited|safe_harbor|pseudonym|token|shifted|age_band|category)'
			'(, |; step-up$|$))+$');
END
$$;
REVOKE ALL ON FUNCTION phi.audit_limited(text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_limited(text, text) IS
	'Internal: can a release for a purpose, of columns in these forms, be a limited data set (45 CFR 164.514(e))?';

CREATE FUNCTION phi.accounting_of_disclosures(subject text, "from" timestamptz = NULL, "to" timestamptz = NULL)
	RETURNS TABLE (disclosed_at timestamptz, recipient text, recipient_organization text, description text,
		purpose text, disclosures bigint, last_disclosed_at timestamptz)
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
	token bigint := phi.audit_subject(accounting_of_disclosures.subject);
	first_time timestamptz := coalesce(accounting_of_disclosures."from", now() - interval '6 years');
BEGIN
	PERFORM phi.audit_record_read('accounting_of_disclosures', NULL, NULL, token);
	RETURN QUERY
		SELECT min(d.recorded_at), d.actor, d.organization,
			d.relation || coalesce(': ' || string_agg(DISTINCT d.names, ', '), ''), d.purpose, count(DISTINCT d.event_id),
			CASE WHEN count(DISTINCT d.event_id) > 1 THEN max(d.recorded_at) END
		FROM (SELECT e.event_id, e.recorded_at, coalesce(r.recipient, e.actor, e.db_role) AS actor,
				CASE WHEN r.recipient IS NULL THEN e.organization END AS organization, e.relation, e.purpose, c.name AS names
			FROM phi_audit.event e LEFT JOIN phi.release_manifest r ON r.released_at = e.transaction_time
				AND r.manifest->>'released_by' = e.actor AND r.manifest->>'table' = e.relation
				LEFT JOIN unnest(e.columns) c (name) ON true
			WHERE e.subjects @> ARRAY[token] AND e.action = 'disclose' AND e.outcome = 'success'
				AND e.recorded_at >= first_time AND (accounting_of_disclosures."to" IS NULL OR e.recorded_at < accounting_of_disclosures."to")
				AND NOT EXISTS (SELECT FROM phi.accounting_exclusion x
					WHERE phi.audit_purpose_within(e.purpose, x.purpose))
				AND NOT (r.recipient IS NOT NULL AND phi.audit_limited(e.purpose, e.detail))) d
		GROUP BY d.actor, d.organization, d.relation, d.purpose
		ORDER BY 1, 2, 4;
END
$$;
REVOKE ALL ON FUNCTION phi.accounting_of_disclosures(text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION phi.accounting_of_disclosures(text, timestamptz, timestamptz) IS
	'Accounting of disclosures of a subject (45 CFR 164.528): date, recipient, what, purpose; a series to one recipient for one purpose is one row; leaves an event';

CREATE FUNCTION phi.access_report(actor text, "from" timestamptz = NULL, "to" timestamptz = NULL)
	RETURNS TABLE (recorded_at timestamptz, event_id bigint, action text, outcome text, relation text, columns text[],
		subjects bigint, purpose text, reason text, workforce_roles text[], organization text, break_glass_id bigint,
		client_address inet, application_name text)
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM phi.audit_record_read('access_report', NULL, access_report.actor);
	RETURN QUERY SELECT e.recorded_at, e.event_id, e.action, e.outcome, e.relation, e.columns,
			(SELECT count(DISTINCT s.token) FROM unnest(e.subjects) s (token)), e.purpose, e.reason, e.workforce_roles,
			e.organization, e.break_glass_id, e.client_address, e.application_name
		FROM phi_audit.event e
		WHERE e.actor = access_report.actor AND (access_report."from" IS NULL OR e.recorded_at >= access_report."from")
			AND (access_report."to" IS NULL OR e.recorded_at < access_report."to")
		ORDER BY e.recorded_at, e.event_id;
END
$$;
REVOKE ALL ON FUNCTION phi.access_report(text, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION phi.access_report(text, timestamptz, timestamptz) IS
	'What an actor did, event by event, with the number of subjects; leaves an event';
