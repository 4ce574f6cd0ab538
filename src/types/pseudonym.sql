-------------------------------------------------------------------------------
-- types: pseudonyms of subjects, random and separate for each recipient
-------------------------------------------------------------------------------

CREATE TABLE phi.pseudonym
(
	recipient text COLLATE "C" NOT NULL CHECK (recipient OPERATOR(pg_catalog.<>) ''),
	subject_token bigint NOT NULL,
	token uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
	PRIMARY KEY (recipient, subject_token),
	UNIQUE (token)
);
COMMENT ON TABLE phi.pseudonym IS
	'Random tokens that stand for subjects: one for each recipient; who reads this table can tell whose they are';

CREATE TRIGGER policy_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON phi.pseudonym
	FOR EACH STATEMENT EXECUTE FUNCTION phi.policy_changed();
ALTER TABLE phi.pseudonym ENABLE ALWAYS TRIGGER policy_changed;

SELECT pg_catalog.pg_extension_config_dump('phi.pseudonym', '');

CREATE FUNCTION phi.subject_token(subject "any") RETURNS bigint
	LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'phi_subject_token';
REVOKE ALL ON FUNCTION phi.subject_token("any") FROM PUBLIC;
COMMENT ON FUNCTION phi.subject_token("any") IS 'Internal: the token of a subject in phi.pseudonym and phi.consent';

CREATE FUNCTION phi.reveal_pseudonym(recipient text, VARIADIC sealed "any") RETURNS text
	LANGUAGE c STABLE PARALLEL RESTRICTED COST 100 AS 'MODULE_PATHNAME', 'phi_reveal_pseudonym';
REVOKE ALL ON FUNCTION phi.reveal_pseudonym(text, "any") FROM PUBLIC;
COMMENT ON FUNCTION phi.reveal_pseudonym(text, "any") IS
	'The pseudonym for a recipient of the subject of a row, of which sealed values are given';

-- It reads every row: a subject who denies a purpose has a token that no view shows for that purpose.
CREATE FUNCTION phi.make_pseudonyms(relation regclass, recipient text, batch bigint DEFAULT NULL) RETURNS bigint
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
#variable_conflict use_column
DECLARE
	subject name;
	shreddable boolean;
	made bigint;
BEGIN
	SELECT p.subject_column, p.shreddable INTO subject, shreddable
	FROM phi.table_policy p WHERE p.relation = make_pseudonyms.relation;
	IF coalesce(make_pseudonyms.recipient, '') = '' OR octet_length(make_pseudonyms.recipient) > 127 THEN
		RAISE EXCEPTION 'a recipient must not be empty or longer than 127 bytes' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Name the organization, or the actor, that the pseudonyms are for.';
	ELSIF subject IS NULL THEN
		RAISE EXCEPTION 'table "%" is not protected', make_pseudonyms.relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call phi.protect() for it first.';
	ELSIF make_pseudonyms.batch <= 0 THEN
		RAISE EXCEPTION 'a batch must not be empty' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	EXECUTE format('INSERT INTO phi.pseudonym (recipient, subject_token) SELECT $1, s.token '
			'FROM (SELECT DISTINCT phi.subject_token(t.%I) AS token FROM %s t WHERE t.%1$I IS NOT NULL) s '
			'WHERE NOT EXISTS (SELECT FROM phi.pseudonym p WHERE p.recipient = $1 AND p.subject_token = s.token) '
			'AND NOT ($3 AND EXISTS (SELECT FROM phi.subject_key k WHERE k.subject_token = s.token) AND NOT EXISTS ('
			'SELECT FROM phi.subject_key k WHERE k.subject_token = s.token AND k.state = ''current'')) ' -- was shredded
			'ORDER BY random() LIMIT $2 ON CONFLICT DO NOTHING', subject, make_pseudonyms.relation)
		USING make_pseudonyms.recipient, make_pseudonyms.batch, shreddable;
	GET DIAGNOSTICS made = ROW_COUNT;
	PERFORM phi.audit_record('pseudonyms', make_pseudonyms.relation, format('%s for %s', made, make_pseudonyms.recipient));
	RETURN made;
END $$;
REVOKE ALL ON FUNCTION phi.make_pseudonyms(regclass, text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION phi.make_pseudonyms(regclass, text, bigint) IS
	'Gives the subjects of a table pseudonyms for a recipient, where they have none yet, at most so many; returns how many';
