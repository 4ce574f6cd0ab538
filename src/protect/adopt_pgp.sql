-------------------------------------------------------------------------------
-- protect: adopting columns that pgcrypto encrypted
-------------------------------------------------------------------------------

CREATE FUNCTION phi.adoption(relation regclass, column_name name, OUT family text, OUT iv name) RETURNS record
	LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'phi_adoption';
REVOKE ALL ON FUNCTION phi.adoption(regclass, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.adoption(regclass, name) IS
	'Internal: the type of the plain values, and the column of vectors, where phi.adopt_pgp is at work on this column';

CREATE FUNCTION phi.adopted_type(relation regclass, column_name name) RETURNS regtype
	LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN (SELECT o.family::regtype FROM phi.adoption(relation, column_name) o);
END $$;
REVOKE ALL ON FUNCTION phi.adopted_type(regclass, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.adopted_type(regclass, name) IS
	'Internal: the type of the plain values where phi.adopt_pgp is at work on this column';

CREATE FUNCTION phi.adopt_column(relation regclass, column_name name, kind text, searchable boolean, context name, subject name,
								 view text, labels name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	attribute pg_attribute;
	is_protected boolean;
BEGIN
	PERFORM phi.require_table(adopt_column.relation);
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', adopt_column.relation);
	attribute := phi.require_column(adopt_column.relation, adopt_column.column_name);
	is_protected := EXISTS (SELECT FROM phi.table_policy p WHERE p.relation = adopt_column.relation);
	IF adopt_column.kind = 'none' THEN
		RAISE EXCEPTION 'a column that holds no health information cannot be adopted'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Name the kind of its values.';
	ELSIF attribute.atthasdef THEN
		RAISE EXCEPTION 'column "%" of table "%" has a default', adopt_column.column_name, adopt_column.relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Drop it: what it encrypts with pgcrypto would be sealed once more.';
	ELSIF is_protected AND (subject IS NOT NULL OR view IS NOT NULL OR labels IS NOT NULL) THEN
		RAISE EXCEPTION 'table "%" is protected already', adopt_column.relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Leave subject, view and labels out.';
	ELSIF NOT is_protected AND subject IS NULL THEN
		RAISE EXCEPTION 'table "%" is not protected', adopt_column.relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Name the subject column: the table is then protected in the same step.';
	END IF;
	PERFORM phi.ensure_keys();
	PERFORM phi.classify(adopt_column.relation, adopt_column.column_name, adopt_column.kind, adopt_column.searchable,
						 adopt_column.context);
	IF NOT is_protected THEN
		PERFORM phi.protect(adopt_column.relation, subject, view, labels);
	END IF;
	PERFORM phi.audit_record('adopt', adopt_column.relation, format('%I from pgcrypto', adopt_column.column_name));
END $$;
REVOKE ALL ON FUNCTION phi.adopt_column(regclass, name, text, boolean, name, name, text, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.adopt_column(regclass, name, text, boolean, name, name, text, name) IS
	'Internal: what phi.adopt_pgp does to the table, while it holds the key where SQL does not see it';

CREATE FUNCTION phi.adopt_pgp(relation regclass, column_name name, key text, kind text, type text DEFAULT NULL,
							  cipher text DEFAULT 'pgp', iv bytea DEFAULT NULL, iv_column name DEFAULT NULL,
							  searchable boolean DEFAULT false, context name DEFAULT NULL, subject name DEFAULT NULL,
							  view text DEFAULT NULL, labels name DEFAULT NULL) RETURNS bigint
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'phi_adopt_pgp';
REVOKE ALL ON FUNCTION phi.adopt_pgp(regclass, name, text, text, text, text, bytea, name, boolean, name, name, text, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.adopt_pgp(regclass, name, text, text, text, text, bytea, name, boolean, name, name, text, name) IS
	'Seals a column that pgcrypto encrypted, in place; subject: of a table that is not protected yet. Returns the number of values. Give the key as a parameter';

CREATE FUNCTION phi.adopt_pgp_plan(relation regclass, column_name name, key text, kind text, type text DEFAULT NULL,
								   cipher text DEFAULT 'pgp', iv bytea DEFAULT NULL, iv_column name DEFAULT NULL,
								   OUT "values" bigint, OUT unreadable bigint) RETURNS record
	LANGUAGE c SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'phi_adopt_pgp_plan';
REVOKE ALL ON FUNCTION phi.adopt_pgp_plan(regclass, name, text, text, text, text, bytea, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.adopt_pgp_plan(regclass, name, text, text, text, text, bytea, name) IS
	'How many values phi.adopt_pgp would find in a column, and how many of them it could not decrypt; changes nothing';
