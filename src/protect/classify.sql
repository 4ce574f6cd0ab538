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

CREATE FUNCTION phi.context_state(context name, OUT search_generation integer, OUT next_generation integer,
								  OUT search_buckets integer, OUT search_moved integer) RETURNS record
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	SELECT c.search_generation, c.next_generation, c.search_buckets, c.search_moved
	INTO search_generation, next_generation, search_buckets, search_moved
	FROM phi.column_policy c WHERE c.search_context = context ORDER BY c.column_id LIMIT 1;
	search_generation := coalesce(search_generation, 1);
END $$;
REVOKE ALL ON FUNCTION phi.context_state(name) FROM PUBLIC;
COMMENT ON FUNCTION phi.context_state(name) IS
	'Internal: the generation of the key of a named search context, and how far its rotation is';

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
	attribute.atttypid := coalesce(phi.adopted_type(classify.relation, classify.column_name), attribute.atttypid);
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
		INSERT INTO phi.column_policy (relation, column_name, kind, searchable, plain_type, search_context, search_generation,
			next_generation, search_buckets, search_moved)
		SELECT classify.relation, classify.column_name, classify.kind, coalesce(classify.searchable, false),
			format_type(attribute.atttypid, attribute.atttypmod), classify.context, s.*
		FROM phi.context_state(classify.context) s;
	ELSIF classify.context <> present.search_context OR present.search_context IS NULL AND classify.context IS NOT NULL THEN
		UPDATE phi.column_policy c
		SET kind = classify.kind, searchable = coalesce(classify.searchable, false), search_context = classify.context,
			scrubbed = c.scrubbed AND classify.kind = 'free_text',
			search_generation = s.search_generation, next_generation = s.next_generation, search_buckets = s.search_buckets,
			search_moved = s.search_moved
		FROM phi.context_state(classify.context) s WHERE c.column_id = present.column_id;
	ELSE
		UPDATE phi.column_policy c
		SET kind = classify.kind, searchable = coalesce(classify.searchable, false),
			scrubbed = c.scrubbed AND classify.kind = 'free_text'
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

CREATE FUNCTION phi.set_free_text(relation regclass, column_name name, shown text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	present phi.column_policy;
BEGIN
	PERFORM phi.require_preload();
	PERFORM phi.require_table(set_free_text.relation);
	EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', set_free_text.relation);
	PERFORM phi.require_column(set_free_text.relation, set_free_text.column_name);
	SELECT * INTO present FROM phi.column_policy c
	WHERE c.relation = set_free_text.relation AND c.column_name = set_free_text.column_name;
	IF set_free_text.shown IS NULL OR set_free_text.shown NOT IN ('nothing', 'scrubbed') THEN
		RAISE EXCEPTION 'a free text is shown scrubbed or not at all' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Say ''scrubbed'' or ''nothing''.';
	ELSIF present.kind IS DISTINCT FROM 'free_text' THEN
		RAISE EXCEPTION 'column "%" of table "%" is not classified as free_text', set_free_text.column_name, set_free_text.relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call phi.classify() for it first.';
	ELSIF phi.sealed_family(to_regtype(present.plain_type)) IS DISTINCT FROM 'text' THEN
		RAISE EXCEPTION 'column "%" of table "%" is no text', set_free_text.column_name, set_free_text.relation
			USING ERRCODE = 'feature_not_supported', HINT = 'Only texts can be scrubbed.';
	END IF;
	UPDATE phi.column_policy c SET scrubbed = set_free_text.shown = 'scrubbed' WHERE c.column_id = present.column_id;
	IF EXISTS (SELECT FROM phi.table_policy p WHERE p.relation = set_free_text.relation) THEN
		PERFORM phi.audit_record('set_free_text', set_free_text.relation, format('%I %s', set_free_text.column_name,
			set_free_text.shown));
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.set_free_text(regclass, name, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.set_free_text(regclass, name, text) IS
	'Sets what the forms partial, limited and safe_harbor show of a free text: ''nothing'', or the text ''scrubbed'' of identifiers, those of its row among them';

-- What a row is about, beside whose it is -----------------------------------

CREATE FUNCTION phi.described_columns(relation regclass) RETURNS name[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN coalesce((
		SELECT array_remove(ARRAY[d.code_column, d.data_time_column, d.author_column, d.encounter_column, d.reference_column],
							NULL) || coalesce(d.other_subjects, '{}')
		FROM phi.table_description d WHERE d.relation = described_columns.relation), '{}');
END $$;
REVOKE ALL ON FUNCTION phi.described_columns(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.described_columns(regclass) IS
	'Internal: the columns that phi.describe() named for a table';

CREATE FUNCTION phi.require_described_column(relation regclass, column_name name, what text, types regtype[]) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	attribute pg_attribute := phi.require_column(relation, column_name);
BEGIN
	IF EXISTS (SELECT FROM phi.column_policy c WHERE c.relation = require_described_column.relation
			   AND c.column_name = require_described_column.column_name AND c.kind <> 'none') THEN
		RAISE EXCEPTION 'column "%" of table "%" is classified: it cannot be the % of a row', column_name, relation, what
			USING ERRCODE = 'feature_not_supported', HINT = 'A consent can depend on columns that are not encrypted.';
	ELSIF attribute.atttypid <> ALL (types) THEN
		RAISE EXCEPTION 'column "%" of table "%" has type %, which cannot be the % of a row', column_name, relation,
			format_type(attribute.atttypid, attribute.atttypmod), what
			USING ERRCODE = 'datatype_mismatch',
				HINT = format('It can have the types %s.', (SELECT string_agg(t::text, ', ') FROM unnest(types) t));
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.require_described_column(regclass, name, text, regtype[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.require_described_column(regclass, name, text, regtype[]) IS
	'Internal: raises an error unless the column can be this attribute of a row';

CREATE FUNCTION phi.require_description(said phi.table_description) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	keys regtype[] := '{bigint,integer,smallint,uuid,text,varchar}';
BEGIN
	IF said.resource_type !~ '^[A-Za-z0-9_.-]{1,63}$' THEN
		RAISE EXCEPTION 'a resource type is a name of at most 63 letters and digits' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Resource types are FHIR names such as Observation or Encounter.';
	ELSIF said.unlabelled IS NULL OR said.unlabelled NOT IN ('N', 'R') THEN
		RAISE EXCEPTION 'a row without labels counts as N or as R' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Say unlabelled => ''N'' or ''R''.';
	ELSIF cardinality(said.other_subjects) > 8 THEN
		RAISE EXCEPTION 'a table can have at most 8 further subject columns' USING ERRCODE = 'program_limit_exceeded';
	END IF;
	PERFORM phi.check_labels(said.labels_fixed);
	PERFORM phi.require_described_column(said.relation, a.name, a.what, a.types)
	FROM (VALUES (said.code_column, 'code', '{text,varchar,text[],varchar[]}'::regtype[]),
			(said.data_time_column, 'time', '{date,timestamp,timestamptz}'),
			(said.author_column, 'author', keys), (said.encounter_column, 'encounter', keys),
			(said.reference_column, 'reference', keys)) AS a (name, what, types)
	WHERE a.name IS NOT NULL;
	PERFORM phi.require_described_column(said.relation, o.name, 'subject',
		keys || '{bigint[],integer[],smallint[],uuid[],text[],varchar[]}'::regtype[])
	FROM unnest(said.other_subjects) AS o (name);
END $$;
REVOKE ALL ON FUNCTION phi.require_description(phi.table_description) FROM PUBLIC;
COMMENT ON FUNCTION phi.require_description(phi.table_description) IS
	'Internal: raises an error unless a table can be described so';

CREATE FUNCTION phi.describe(relation regclass, resource_type text DEFAULT NULL, labels text[] DEFAULT NULL,
							 unlabelled text DEFAULT 'N', code name DEFAULT NULL, data_time name DEFAULT NULL,
							 author name DEFAULT NULL, encounter name DEFAULT NULL, reference name DEFAULT NULL,
							 subjects name[] DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	said phi.table_description;
	member regclass;
BEGIN
	PERFORM phi.require_table(describe.relation);
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', describe.relation);
	said := ROW (describe.relation, describe.resource_type, nullif(describe.labels, '{}'), describe.unlabelled, describe.code,
		describe.data_time, describe.author, describe.encounter, describe.reference, nullif(describe.subjects, '{}'));
	PERFORM phi.require_description(said);
	DELETE FROM phi.table_description d WHERE d.relation = describe.relation;
	INSERT INTO phi.table_description SELECT said.*;
	IF EXISTS (SELECT FROM phi.table_policy p WHERE p.relation = describe.relation) THEN
		FOR member IN SELECT phi.tree(describe.relation) LOOP
			EXECUTE format('ALTER POLICY phi_access ON %1$s USING (%2$s) WITH CHECK (%2$s OR %3$s)', member,
						   phi.row_predicate(describe.relation), phi.creation_predicate(describe.relation));
		END LOOP;
		PERFORM phi.audit_record('describe', describe.relation, concat_ws(' ', 'as', coalesce(describe.resource_type, 'no type'),
			'labels ' || array_to_string(describe.labels, ' '), 'columns ' || nullif(array_to_string(
				phi.described_columns(describe.relation), ' '), '')));
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.describe(regclass, text, text[], text, name, name, name, name, name, name[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.describe(regclass, text, text[], text, name, name, name, name, name, name[]) IS
	'Says what consents can depend on in rows of a table, in place of what was said before: its resource type, labels of every row, what a row without labels counts as, and the columns of code, time, author, encounter, reference and further subjects';
