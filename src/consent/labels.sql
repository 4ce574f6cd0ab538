-------------------------------------------------------------------------------
-- codes of purposes and labels, and labels by the code of what a row records
-------------------------------------------------------------------------------

CREATE FUNCTION phi.purpose_codes(OUT code text, OUT parent text, OUT display text)
	RETURNS SETOF record
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'phi_purpose_codes';
REVOKE ALL ON FUNCTION phi.purpose_codes() FROM PUBLIC;
COMMENT ON FUNCTION phi.purpose_codes() IS 'Purposes of use, each with the one above it';

CREATE FUNCTION phi.label_codes(OUT code text, OUT parent text, OUT rank integer)
	RETURNS SETOF record
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'phi_label_codes';
REVOKE ALL ON FUNCTION phi.label_codes() FROM PUBLIC;
COMMENT ON FUNCTION phi.label_codes() IS
	'Labels: confidentialities with their rank, sensitivities with the code above them';

CREATE VIEW phi.code_purpose AS SELECT c.code, c.parent, c.display FROM phi.purpose_codes() AS c;
COMMENT ON VIEW phi.code_purpose IS 'Purposes of use, each with the one above it';

CREATE VIEW phi.code_label AS SELECT c.code, c.parent, c.rank FROM phi.label_codes() AS c;
COMMENT ON VIEW phi.code_label IS
	'Labels: confidentialities with their rank, sensitivities with the code above them; those that begin with _ are no label of a row';

CREATE TABLE phi.label_rule
(
	system text COLLATE "C" NOT NULL,
	code text COLLATE "C" NOT NULL,
	labels text[] COLLATE "C" NOT NULL,
	PRIMARY KEY (system, code)
);
COMMENT ON TABLE phi.label_rule IS 'The labels of what a code of a code system stands for';

SELECT pg_catalog.pg_extension_config_dump('phi.label_rule', '');

CREATE FUNCTION phi.set_label_rule(system text, code text, labels text[]) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF set_label_rule.system IS NULL OR set_label_rule.code IS NULL
		OR cardinality(set_label_rule.labels) IS NOT DISTINCT FROM 0 OR set_label_rule.labels IS NULL THEN
		RAISE EXCEPTION 'a label rule has a code system, a code and labels' USING ERRCODE = 'invalid_parameter_value';
	ELSIF EXISTS (SELECT FROM unnest(set_label_rule.labels) AS l (label)
		WHERE NOT EXISTS (SELECT FROM phi.label_codes() c WHERE c.code = l.label AND c.code !~ '^_')) THEN
		RAISE EXCEPTION 'not all of the labels are labels' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'phi.code_label lists them.';
	END IF;
	INSERT INTO phi.label_rule AS r (system, code, labels)
		SELECT set_label_rule.system, set_label_rule.code, array_agg(DISTINCT l.label ORDER BY l.label)
		FROM unnest(set_label_rule.labels) AS l (label)
		ON CONFLICT ON CONSTRAINT label_rule_pkey DO UPDATE SET labels = excluded.labels;
	PERFORM phi.audit_record('set_label_rule', 'phi.label_rule'::regclass,
		format('%s %s', set_label_rule.system, set_label_rule.code));
END $$;
REVOKE ALL ON FUNCTION phi.set_label_rule(text, text, text[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.set_label_rule(text, text, text[]) IS
	'Sets the labels of what a code of a code system stands for';

CREATE FUNCTION phi.drop_label_rule(system text, code text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	DELETE FROM phi.label_rule r WHERE r.system = drop_label_rule.system AND r.code = drop_label_rule.code;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no such label rule' USING ERRCODE = 'undefined_object';
	END IF;
	PERFORM phi.audit_record('drop_label_rule', 'phi.label_rule'::regclass,
		format('%s %s', drop_label_rule.system, drop_label_rule.code));
END $$;
REVOKE ALL ON FUNCTION phi.drop_label_rule(text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.drop_label_rule(text, text) IS 'Takes the label rule of a code away; rows keep their labels';

-- Labels of a document of rules that are no labels are skipped, and said so; labels of codes that have rules are added to.
CREATE FUNCTION phi.load_label_rules(rules jsonb, min_confidence numeric DEFAULT 0, OUT codes bigint,
	OUT skipped_codes bigint, OUT refused_labels text[]) RETURNS record
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF jsonb_typeof(load_label_rules.rules -> 'rules') IS DISTINCT FROM 'array' THEN
		RAISE EXCEPTION 'the document has no array "rules"' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	WITH given AS MATERIALIZED (
		SELECT c.value ->> 'system' AS system, c.value ->> 'code' AS code, l.value ->> 'code' AS label,
			coalesce((c.value ->> 'confidence')::numeric, 1) >= load_label_rules.min_confidence AS sure,
			EXISTS (SELECT FROM phi.label_codes() k WHERE k.code = l.value ->> 'code' AND k.code !~ '^_'
				AND l.value ->> 'system' IN ('http://terminology.hl7.org/CodeSystem/v3-ActCode',
					'http://terminology.hl7.org/CodeSystem/v3-Confidentiality')) AS known
		FROM jsonb_array_elements(load_label_rules.rules -> 'rules') AS r (value)
		CROSS JOIN LATERAL jsonb_array_elements(r.value -> 'labels') AS l (value)
		CROSS JOIN LATERAL jsonb_array_elements(r.value -> 'codeSets') AS s (value)
		CROSS JOIN LATERAL jsonb_array_elements(s.value -> 'codes') AS c (value)
	), taken AS (
		SELECT g.system, g.code, array_agg(DISTINCT g.label ORDER BY g.label) AS labels FROM given g
		WHERE g.known AND g.sure AND g.system IS NOT NULL AND g.code IS NOT NULL GROUP BY 1, 2
	), added AS (
		INSERT INTO phi.label_rule AS r (system, code, labels) SELECT t.system, t.code, t.labels FROM taken t
		ON CONFLICT ON CONSTRAINT label_rule_pkey DO UPDATE SET labels =
			ARRAY(SELECT DISTINCT u.label FROM unnest(r.labels || excluded.labels) AS u (label) ORDER BY 1)
		RETURNING r.code
	)
	SELECT (SELECT count(*) FROM added),
		(SELECT count(DISTINCT (g.system, g.code)) FROM given g WHERE NOT EXISTS (SELECT FROM taken t
			WHERE t.system = g.system AND t.code = g.code)),
		(SELECT array_agg(DISTINCT g.label ORDER BY g.label) FROM given g WHERE NOT g.known)
		INTO codes, skipped_codes, refused_labels;
	PERFORM phi.audit_record('load_label_rules', 'phi.label_rule'::regclass, format('%s codes', codes));
END $$;
REVOKE ALL ON FUNCTION phi.load_label_rules(jsonb, numeric) FROM PUBLIC;
COMMENT ON FUNCTION phi.load_label_rules(jsonb, numeric) IS
	'Adds label rules from a document of rules with codeSets; labels that are none are refused and returned, codes below the confidence skipped';

CREATE FUNCTION phi.labels_for(system text, code text) RETURNS text[]
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT coalesce((SELECT r.labels FROM phi.label_rule r
		WHERE r.system = labels_for.system COLLATE "C" AND r.code = labels_for.code COLLATE "C"), ARRAY[]::text[]);
END;
REVOKE ALL ON FUNCTION phi.labels_for(text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.labels_for(text, text) IS
	'The labels of a code of a code system; empty where no rule names it';

CREATE FUNCTION phi.label_row() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_label_row';
REVOKE ALL ON FUNCTION phi.label_row() FROM PUBLIC;
COMMENT ON FUNCTION phi.label_row() IS
	'Trigger: adds the labels of a row''s code to its labels; arguments are labels column, code column, code system';
