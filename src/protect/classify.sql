-------------------------------------------------------------------------------
-- protect: which columns hold health information, and of which kind
-------------------------------------------------------------------------------

CREATE FUNCTION phi.sealed_family(type oid) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN (SELECT CASE
				WHEN t.typtype = 'e' THEN 'text'
				WHEN t.typtype <> 'b' OR t.typnamespace = 'phi'::regnamespace THEN NULL
				WHEN t.oid IN ('bool'::regtype, 'uuid'::regtype, 'inet'::regtype, 'cidr'::regtype) THEN 'text'
				WHEN t.oid IN ('date'::regtype, 'timestamptz'::regtype, 'bytea'::regtype) THEN t.typname::text
				WHEN t.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype,
							   'float4'::regtype, 'float8'::regtype) THEN 'numeric'
				WHEN t.oid IN ('json'::regtype, 'jsonb'::regtype) THEN 'jsonb'
				WHEN t.typcategory = 'S' AND t.oid <> 'name'::regtype THEN 'text' END
			FROM pg_type t WHERE t.oid = sealed_family.type);
END $$;
REVOKE ALL ON FUNCTION phi.sealed_family(oid) FROM PUBLIC;
COMMENT ON FUNCTION phi.sealed_family(oid) IS
	'Internal: the plain type whose encrypted type takes the values of a type; NULL where there is none';

CREATE FUNCTION phi.type_advice(type oid) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN (SELECT CASE
				WHEN t.oid = 'timestamp'::regtype THEN
					'Change the column to timestamp with time zone, or to date.'
				WHEN t.typtype = 'd' THEN format('Change the column to type %s.', format_type(t.typbasetype, t.typtypmod))
				ELSE 'Change the column to a text, date, timestamp with time zone, number, json, jsonb or bytea type.' END
			FROM pg_type t WHERE t.oid = type_advice.type);
END $$;
REVOKE ALL ON FUNCTION phi.type_advice(oid) FROM PUBLIC;
COMMENT ON FUNCTION phi.type_advice(oid) IS 'Internal: what to do about a column whose type cannot be encrypted';

CREATE FUNCTION phi.require_table(relation regclass) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	class pg_class;
BEGIN
	SELECT * INTO class FROM pg_class c WHERE c.oid = relation;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'relation with OID % does not exist', relation::oid USING ERRCODE = 'undefined_table';
	ELSIF class.relkind NOT IN ('r', 'p') OR class.relpersistence = 't' THEN
		RAISE EXCEPTION '"%" is not a permanent table', relation USING ERRCODE = 'wrong_object_type',
			HINT = 'Ordinary and partitioned tables can be protected.';
	ELSIF class.relispartition THEN
		RAISE EXCEPTION 'table "%" is a partition', relation USING ERRCODE = 'wrong_object_type',
			HINT = format('Name its topmost parent, table %s.', pg_partition_root(relation));
	ELSIF class.oid < 16384 OR class.relnamespace IN (
		SELECT n.oid FROM pg_namespace n WHERE n.nspname IN ('phi', 'phi_audit', 'pg_catalog', 'information_schema')) THEN
		RAISE EXCEPTION 'table "%" belongs to the system or to the extension', relation USING ERRCODE = 'wrong_object_type';
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.require_table(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.require_table(regclass) IS
	'Internal: raises an error unless the relation is a permanent table of the user and no partition';

CREATE FUNCTION phi.require_column(relation regclass, column_name name) RETURNS pg_attribute
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	attribute pg_attribute;
BEGIN
	SELECT * INTO attribute FROM pg_attribute a
	WHERE a.attrelid = relation AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'column "%" of table "%" does not exist', column_name, relation USING ERRCODE = 'undefined_column';
	END IF;
	RETURN attribute;
END $$;
REVOKE ALL ON FUNCTION phi.require_column(regclass, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.require_column(regclass, name) IS 'Internal: the column, or an error';

CREATE FUNCTION phi.require_searchable(relation regclass, column_name name, kind text, type oid) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT phi.is_searchable_kind(kind) THEN
		RAISE EXCEPTION 'columns of kind "%" cannot be searchable', kind USING ERRCODE = 'feature_not_supported',
			DETAIL = 'Equal values of few or skewed ones would be told apart by counting.',
			HINT = 'Identifiers can: ssn, mrn, email, phone, fax, health_plan, account, license, vehicle, device, url, ip, unique_id.';
	ELSIF phi.sealed_family(type) IS DISTINCT FROM 'text' AND type <> 'phi.encrypted_text'::regtype THEN
		RAISE EXCEPTION 'column "%" of table "%" is not text and cannot be searchable', column_name, relation
			USING ERRCODE = 'feature_not_supported', HINT = 'Change the column to text first.';
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.require_searchable(regclass, name, text, oid) FROM PUBLIC;
COMMENT ON FUNCTION phi.require_searchable(regclass, name, text, oid) IS
	'Internal: raises an error unless a column of this kind and type can be searchable';

CREATE FUNCTION phi.classify(relation regclass, column_name name, kind text, searchable boolean DEFAULT false,
							 context name DEFAULT NULL)
	RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	attribute pg_attribute;
	present phi.column_policy;
	policy phi.table_policy;
	is_protected boolean;
BEGIN
	PERFORM phi.require_table(classify.relation);
	EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', classify.relation);
	attribute := phi.require_column(classify.relation, classify.column_name);
	IF classify.kind IS NULL OR NOT phi.is_kind(classify.kind) THEN
		RAISE EXCEPTION '"%" is not a kind of identifier', classify.kind USING ERRCODE = 'invalid_parameter_value',
			HINT = 'The kinds are listed in docs/redaction.md.';
	ELSIF classify.searchable THEN
		PERFORM phi.require_searchable(classify.relation, classify.column_name, classify.kind, attribute.atttypid);
	ELSIF classify.context IS NOT NULL THEN
		RAISE EXCEPTION 'only a searchable column has a search context' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Say searchable => true.';
	END IF;
	SELECT * INTO present FROM phi.column_policy c
	WHERE c.relation = classify.relation AND c.column_name = classify.column_name;
	SELECT * INTO policy FROM phi.table_policy p WHERE p.relation = classify.relation;
	is_protected := FOUND;

	IF present.sealed THEN
		IF classify.kind = 'none' THEN
			RAISE EXCEPTION 'column "%" of table "%" is encrypted', classify.column_name, classify.relation
				USING ERRCODE = 'object_not_in_prerequisite_state',
					HINT = 'Call phi.unprotect() for the table before the column is declared to hold no health information.';
		ELSIF present.searchable IS DISTINCT FROM coalesce(classify.searchable, false)
			OR present.searchable AND (present.kind <> classify.kind
				OR present.search_context IS DISTINCT FROM coalesce(classify.context, present.search_context)) THEN
			RAISE EXCEPTION 'column "%" of table "%" is encrypted: its search tags cannot be changed', classify.column_name,
				classify.relation USING ERRCODE = 'object_not_in_prerequisite_state',
					HINT = 'Call phi.unprotect() for the table, classify the column again and protect the table.';
		END IF;
	ELSIF classify.kind <> 'none' AND phi.sealed_family(attribute.atttypid) IS NULL THEN
		RAISE EXCEPTION 'column "%" of table "%" has type %, which cannot be encrypted', classify.column_name,
			classify.relation, format_type(attribute.atttypid, attribute.atttypmod)
			USING ERRCODE = 'feature_not_supported', HINT = phi.type_advice(attribute.atttypid);
	END IF;
	IF present.column_id IS NULL THEN
		INSERT INTO phi.column_policy (relation, column_name, kind, searchable, plain_type, search_context)
		VALUES (classify.relation, classify.column_name, classify.kind, coalesce(classify.searchable, false),
				format_type(attribute.atttypid, attribute.atttypmod), classify.context);
	ELSE
		UPDATE phi.column_policy c
		SET kind = classify.kind, searchable = coalesce(classify.searchable, false),
			search_context = coalesce(classify.context, c.search_context)
		WHERE c.column_id = present.column_id;
	END IF;
	IF is_protected THEN
		IF classify.kind <> 'none' AND present.sealed IS NOT TRUE THEN
			PERFORM phi.require_no_blocker(classify.relation, policy.subject_column, policy.labels_column, NULL);
			PERFORM phi.blank_view(classify.relation);
			PERFORM phi.seal_columns(classify.relation);
		END IF;
		PERFORM phi.refresh_views(classify.relation);
		PERFORM phi.audit_record('classify', classify.relation, format('%I as %s', classify.column_name, classify.kind));
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.classify(regclass, name, text, boolean, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.classify(regclass, name, text, boolean, name) IS
	'Declares what a column holds; none: no health information. searchable: equality works; columns of one context can be joined. In a protected table the column is encrypted at once';

CREATE FUNCTION phi.declassify(relation regclass, column_name name) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	present phi.column_policy;
BEGIN
	PERFORM phi.require_table(declassify.relation);
	EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', declassify.relation);
	PERFORM phi.require_column(declassify.relation, declassify.column_name);
	SELECT * INTO present FROM phi.column_policy c
	WHERE c.relation = declassify.relation AND c.column_name = declassify.column_name;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'column "%" of table "%" is not classified', declassify.column_name, declassify.relation
			USING ERRCODE = 'object_not_in_prerequisite_state';
	ELSIF present.sealed THEN
		RAISE EXCEPTION 'column "%" of table "%" is encrypted', declassify.column_name, declassify.relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call phi.unprotect() for the table first.';
	END IF;
	DELETE FROM phi.column_policy c WHERE c.column_id = present.column_id;
	IF EXISTS (SELECT FROM phi.table_policy p WHERE p.relation = declassify.relation) THEN
		PERFORM phi.refresh_views(declassify.relation);
		PERFORM phi.audit_record('declassify', declassify.relation, format('%I', declassify.column_name));
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.declassify(regclass, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.declassify(regclass, name) IS
	'Takes back what classify() said of a column that is not encrypted';
