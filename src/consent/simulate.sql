-------------------------------------------------------------------------------
-- simulate: what somebody would be allowed
-------------------------------------------------------------------------------

CREATE FUNCTION phi.simulate(actor text, workforce_roles text[], purpose text, subject "any",
	relation regclass DEFAULT NULL, labels text[] DEFAULT NULL, organization text DEFAULT NULL,
	groups text[] DEFAULT NULL, step_up boolean DEFAULT false, at timestamptz DEFAULT NULL,
	OUT permit boolean, OUT reason text, OUT directive bigint, OUT explanation text) RETURNS record
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_simulate';
REVOKE ALL ON FUNCTION phi.simulate(text, text[], text, "any", regclass, text[], text, text[], boolean, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION phi.simulate(text, text[], text, "any", regclass, text[], text, text[], boolean, timestamptz) IS
	'The decision for a subject that somebody in these roles, for this purpose, would get; opens no value, leaves an event';

CREATE FUNCTION phi.simulate_forms(workforce_roles text[], purpose text, relation regclass DEFAULT NULL,
	OUT column_name name, OUT kind text, OUT form text) RETURNS SETOF record
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'phi_simulate_forms';
REVOKE ALL ON FUNCTION phi.simulate_forms(text[], text, regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.simulate_forms(text[], text, regclass) IS
	'The form in which these roles see each encrypted column of a table, or each kind that they have a rule for, for a purpose';
