-------------------------------------------------------------------------------
-- step-up: what demands that the actor proves more than a password
-------------------------------------------------------------------------------

CREATE TABLE phi.step_up_rule
(
	kind text COLLATE "C" NOT NULL
		CHECK (kind OPERATOR(pg_catalog.=) ANY (ARRAY['label', 'purpose', 'action'])),
	code text COLLATE "C" NOT NULL,
	PRIMARY KEY (kind, code)
);
COMMENT ON TABLE phi.step_up_rule IS
	'Labels, purposes and actions that demand a fresh step-up';

CREATE TRIGGER policy_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON phi.step_up_rule
	FOR EACH STATEMENT EXECUTE FUNCTION phi.policy_changed();
ALTER TABLE phi.step_up_rule ENABLE ALWAYS TRIGGER policy_changed;
SELECT pg_catalog.pg_extension_config_dump('phi.step_up_rule', '');

CREATE FUNCTION phi.check_step_up_rule(kind text, code text) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'phi_check_step_up_rule';
REVOKE ALL ON FUNCTION phi.check_step_up_rule(text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.check_step_up_rule(text, text) IS
	'Internal: raises for what phi.require_step_up must not store';

CREATE FUNCTION phi.step_up_missing(action text) RETURNS boolean
	LANGUAGE c STRICT STABLE AS 'MODULE_PATHNAME', 'phi_step_up_missing';
REVOKE ALL ON FUNCTION phi.step_up_missing(text) FROM PUBLIC;
COMMENT ON FUNCTION phi.step_up_missing(text) IS
	'Internal: does the action need a fresh step-up that the session has not?';

CREATE FUNCTION phi.require_step_up(label text DEFAULT NULL, purpose text DEFAULT NULL, action text DEFAULT NULL,
	required boolean DEFAULT true) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	wanted_kind text := CASE WHEN require_step_up.label IS NOT NULL THEN 'label'
		WHEN require_step_up.purpose IS NOT NULL THEN 'purpose' ELSE 'action' END;
	wanted_code text := coalesce(require_step_up.label, require_step_up.purpose, require_step_up.action);
BEGIN
	IF num_nonnulls(require_step_up.label, require_step_up.purpose, require_step_up.action) <> 1 THEN
		RAISE EXCEPTION 'a step-up is required for a label, a purpose or an action'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Give one of them.';
	END IF;
	PERFORM phi.check_step_up_rule(wanted_kind, wanted_code);
	IF coalesce(require_step_up.required, false) THEN
		INSERT INTO phi.step_up_rule (kind, code) VALUES (wanted_kind, wanted_code) ON CONFLICT DO NOTHING;
	ELSE
		DELETE FROM phi.step_up_rule s WHERE s.kind = wanted_kind AND s.code = wanted_code;
	END IF;
	PERFORM phi.audit_record('require_step_up', 'phi.step_up_rule', format('%s %s %s', wanted_kind, wanted_code,
		coalesce(require_step_up.required, false)));
END $$;
REVOKE ALL ON FUNCTION phi.require_step_up(text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION phi.require_step_up(text, text, text, boolean) IS
	'Has a label, a purpose or an action demand a fresh step-up, or no longer; actions are break_glass and consent';
