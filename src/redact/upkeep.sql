-------------------------------------------------------------------------------
-- redact: what the hook on data definition commands does beside them (upkeep.c)
-------------------------------------------------------------------------------

CREATE FUNCTION phi.policy_is_foreign(policy oid) RETURNS boolean
	LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'phi_policy_is_foreign';
REVOKE ALL ON FUNCTION phi.policy_is_foreign(oid) FROM PUBLIC;
COMMENT ON FUNCTION phi.policy_is_foreign(oid) IS
	'Internal: would a policy run phi.reveal, or code that is neither PostgreSQL''s, ours nor a superuser''s?';

CREATE FUNCTION phi.tended_relations() RETURNS TABLE (relation oid, is_table boolean, name text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT t.t::oid, true, t.t::text FROM phi.table_policy p, phi.tree(p.relation) AS t (t)
	UNION ALL
	SELECT p.view::oid, false, p.view::text FROM phi.table_policy p WHERE p.view IS NOT NULL
	UNION ALL
	SELECT v.view::oid, false, v.view::text FROM phi.view_profile v
	UNION ALL
	SELECT DISTINCT c.relation::oid, false, c.relation::text FROM phi.column_policy c
	WHERE c.relation IS NOT NULL AND NOT EXISTS (SELECT FROM phi.table_policy p WHERE p.relation = c.relation)
	ORDER BY 3;
END $$;
REVOKE ALL ON FUNCTION phi.tended_relations() FROM PUBLIC;
COMMENT ON FUNCTION phi.tended_relations() IS
	'Internal: protected tables with their partitions (is_table), their views, and tables with classified columns';

CREATE FUNCTION phi.column_dropped(relation regclass, dropped name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	-- What is generated from it goes with it, and the same command may add another column of that name.
	gone name[] := dropped || ARRAY(
		SELECT g.attname FROM pg_attribute a
			JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
				AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
			JOIN pg_attrdef f ON f.oid = d.objid AND f.adrelid = a.attrelid
			JOIN pg_attribute g ON g.attrelid = f.adrelid AND g.attnum = f.adnum AND g.attgenerated <> ''
		WHERE a.attrelid = column_dropped.relation AND a.attname = dropped);
BEGIN
	IF EXISTS (SELECT FROM phi.column_policy c WHERE c.relation = column_dropped.relation AND c.column_name = ANY (gone)) THEN
		DELETE FROM phi.column_policy c
		WHERE c.relation = column_dropped.relation AND c.column_name = ANY (gone) AND NOT c.sealed;
		UPDATE phi.column_policy c SET relation = NULL
		WHERE c.relation = column_dropped.relation AND c.column_name = ANY (gone);
	END IF;
	UPDATE phi.view_profile v SET column_forms = v.column_forms - gone::text[]
	WHERE v.relation = column_dropped.relation AND v.column_forms ?| gone::text[];
END $$;
REVOKE ALL ON FUNCTION phi.column_dropped(regclass, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.column_dropped(regclass, name) IS
	'Internal: a column is about to be dropped, and those generated from it: their policies and forms go; the id of a sealed one stays known';

CREATE FUNCTION phi.forget_dropped() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	gone integer[] := ARRAY(
		SELECT c.column_id FROM phi.column_policy c WHERE c.relation IS NOT NULL AND NOT EXISTS (
			SELECT FROM pg_attribute a WHERE a.attrelid = c.relation AND a.attname = c.column_name));
	lost record;
BEGIN
	IF cardinality(gone) > 0 THEN
		DELETE FROM phi.column_policy c WHERE c.column_id = ANY (gone) AND NOT c.sealed;
		UPDATE phi.column_policy c SET relation = NULL WHERE c.column_id = ANY (gone);
	END IF;
	IF EXISTS (SELECT FROM phi.table_policy p WHERE NOT EXISTS (SELECT FROM pg_class r WHERE r.oid = p.relation)) THEN
		DELETE FROM phi.table_policy p WHERE NOT EXISTS (SELECT FROM pg_class r WHERE r.oid = p.relation);
	END IF;
	IF EXISTS (SELECT FROM phi.table_description d WHERE NOT EXISTS (SELECT FROM pg_class r WHERE r.oid = d.relation)) THEN
		DELETE FROM phi.table_description d WHERE NOT EXISTS (SELECT FROM pg_class r WHERE r.oid = d.relation);
	END IF;
	IF EXISTS (SELECT FROM phi.table_policy p
			   WHERE p.view IS NOT NULL AND NOT EXISTS (SELECT FROM pg_class v WHERE v.oid = p.view)) THEN
		UPDATE phi.table_policy p SET view = NULL
		WHERE p.view IS NOT NULL AND NOT EXISTS (SELECT FROM pg_class v WHERE v.oid = p.view);
	END IF;
	IF EXISTS (SELECT FROM phi.view_profile v WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = v.view)) THEN
		DELETE FROM phi.view_profile v WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = v.view);
	END IF;
	SELECT p.relation, k.name INTO lost
	FROM phi.table_policy p,
		unnest(p.key_columns || p.subject_column || p.labels_column || phi.described_columns(p.relation)) AS k (name)
	WHERE k.name IS NOT NULL AND NOT EXISTS (
		SELECT FROM pg_attribute a WHERE a.attrelid = p.relation AND a.attname = k.name);
	IF FOUND THEN
		RAISE EXCEPTION 'cannot drop column "%" of protected table "%"', lost.name, lost.relation
			USING ERRCODE = 'dependent_objects_still_exist',
				DETAIL = 'It is the subject, a primary key or the label column, or phi.describe() named it.',
				HINT = 'Call phi.unprotect() for the table first, or describe it without the column.';
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.forget_dropped() FROM PUBLIC;
COMMENT ON FUNCTION phi.forget_dropped() IS
	'Internal: takes dropped tables, columns and views out of the policy tables; ids of sealed columns stay known';

CREATE FUNCTION phi.column_renamed(relation regclass, old_name name, new_name name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	view_now regclass;
BEGIN
	IF NOT EXISTS (SELECT FROM phi.column_policy c WHERE c.relation = column_renamed.relation)
		AND NOT EXISTS (SELECT FROM phi.table_policy p WHERE p.relation = column_renamed.relation)
		AND NOT EXISTS (SELECT FROM phi.table_description d WHERE d.relation = column_renamed.relation) THEN
		RETURN;
	END IF;
	UPDATE phi.column_policy c SET column_name = new_name
	WHERE c.relation = column_renamed.relation AND c.column_name = old_name;
	UPDATE phi.table_policy p SET
		subject_column = CASE p.subject_column WHEN old_name THEN new_name ELSE p.subject_column END,
		labels_column = CASE p.labels_column WHEN old_name THEN new_name ELSE p.labels_column END,
		key_columns = array_replace(p.key_columns, old_name, new_name)
	WHERE p.relation = column_renamed.relation;
	UPDATE phi.table_description d SET
		code_column = CASE d.code_column WHEN old_name THEN new_name ELSE d.code_column END,
		data_time_column = CASE d.data_time_column WHEN old_name THEN new_name ELSE d.data_time_column END,
		author_column = CASE d.author_column WHEN old_name THEN new_name ELSE d.author_column END,
		encounter_column = CASE d.encounter_column WHEN old_name THEN new_name ELSE d.encounter_column END,
		reference_column = CASE d.reference_column WHEN old_name THEN new_name ELSE d.reference_column END,
		other_subjects = array_replace(d.other_subjects, old_name, new_name)
	WHERE d.relation = column_renamed.relation;
	UPDATE phi.view_profile v
	SET column_forms = (v.column_forms - old_name::text) || jsonb_build_object(new_name::text, v.column_forms->old_name::text)
	WHERE v.relation = column_renamed.relation AND v.column_forms ? old_name::text;
	FOR view_now IN SELECT a.attrelid FROM phi.views_of(column_renamed.relation) v JOIN pg_attribute a ON a.attrelid = v
		WHERE a.attname = old_name LOOP
		EXECUTE format('ALTER VIEW %s RENAME COLUMN %I TO %I', view_now, old_name, new_name);
	END LOOP;
END $$;
REVOKE ALL ON FUNCTION phi.column_renamed(regclass, name, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.column_renamed(regclass, name, name) IS
	'Internal: a column of a classified table was renamed: so are its policy and the column of the view';

CREATE FUNCTION phi.columns_changed(relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	view_now regclass;
	owner_now oid;
BEGIN
	PERFORM phi.forget_dropped();
	UPDATE phi.column_policy c SET plain_type = format_type(a.atttypid, a.atttypmod)
	FROM pg_attribute a
	WHERE c.relation = columns_changed.relation AND NOT c.sealed AND a.attrelid = c.relation
		AND a.attname = c.column_name AND c.plain_type <> format_type(a.atttypid, a.atttypmod);
	PERFORM phi.refresh_views(columns_changed.relation);
	SELECT t.relowner INTO owner_now FROM pg_class t WHERE t.oid = columns_changed.relation;
	FOR view_now IN SELECT v.oid FROM phi.views_of(columns_changed.relation) o JOIN pg_class v ON v.oid = o WHERE v.relowner <> owner_now LOOP
		EXECUTE format('ALTER VIEW %s OWNER TO %I', view_now, pg_get_userbyid(owner_now));
	END LOOP;
END $$;
REVOKE ALL ON FUNCTION phi.columns_changed(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.columns_changed(regclass) IS
	'Internal: columns or owner of a protected table changed: so do its policy and its view';

CREATE FUNCTION phi.row_predicate(relation regclass) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT format('phi.row_access(%L::pg_catalog.regclass, %I%s)', p.relation::text, p.subject_column,
			CASE WHEN cardinality(phi.described_columns(p.relation)) > 0 THEN
				', ' || coalesce(quote_ident(p.labels_column), 'NULL::pg_catalog.text[]')
				|| (SELECT string_agg(', ' || coalesce(quote_ident(c.name), 'NULL::pg_catalog.text'), '' ORDER BY c.place)
					FROM unnest(ARRAY[d.code_column, d.data_time_column, d.author_column, d.encounter_column,
									  d.reference_column]) WITH ORDINALITY AS c (name, place))
				|| coalesce((SELECT string_agg(', ' || quote_ident(o.name), '' ORDER BY o.place)
							 FROM unnest(d.other_subjects) WITH ORDINALITY AS o (name, place)), '')
			ELSE coalesce(', ' || quote_ident(p.labels_column), '') END)
		FROM phi.table_policy p LEFT JOIN phi.table_description d ON d.relation = p.relation
		WHERE p.relation = row_predicate.relation);
END $$;
REVOKE ALL ON FUNCTION phi.row_predicate(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.row_predicate(regclass) IS
	'Internal: the condition of the policies of a protected table';

CREATE FUNCTION phi.creation_predicate(relation regclass) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN (SELECT format('phi.may_create(%L::pg_catalog.regclass, %I%s)', p.relation::text, p.subject_column,
						  coalesce(', ' || quote_ident(p.labels_column), ''))
			FROM phi.table_policy p WHERE p.relation = creation_predicate.relation);
END $$;
REVOKE ALL ON FUNCTION phi.creation_predicate(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.creation_predicate(regclass) IS
	'Internal: what lets a subject''s first row in, beside the condition of the policies';

CREATE FUNCTION phi.guard_rows(relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	predicate text := phi.row_predicate(guard_rows.relation);
	member record;
BEGIN
	IF predicate IS NULL THEN
		RAISE EXCEPTION 'table "%" is not protected', guard_rows.relation USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	FOR member IN
		SELECT c.oid::regclass AS name, c.relrowsecurity AS filtered, y.policy IS NOT NULL AS has_policy
		FROM phi.tree(guard_rows.relation) AS t (t) JOIN pg_class c ON c.oid = t.t
			LEFT JOIN LATERAL (SELECT y.oid AS policy FROM pg_policy y
							   WHERE y.polrelid = c.oid AND y.polname = 'phi_access') y ON true
		WHERE y.policy IS NULL OR NOT c.relrowsecurity OR NOT c.relforcerowsecurity
	LOOP
		IF NOT member.has_policy THEN
			EXECUTE format('CREATE POLICY phi_access ON %s AS RESTRICTIVE TO PUBLIC USING (%s) '
						   'WITH CHECK (%s OR %s)', member.name, predicate, predicate, phi.creation_predicate(guard_rows.relation));
		END IF;
		IF NOT member.filtered AND NOT EXISTS (
			SELECT FROM pg_policy y WHERE y.polrelid = member.name AND y.polpermissive) THEN
			EXECUTE format('CREATE POLICY phi_rows ON %s AS PERMISSIVE TO PUBLIC USING (true) WITH CHECK (true)', member.name);
		END IF;
		EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', member.name);
		PERFORM phi.audit_attach(member.name);
	END LOOP;
END $$;
REVOKE ALL ON FUNCTION phi.guard_rows(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.guard_rows(regclass) IS
	'Internal: row security and change capture for a protected table and those of its partitions that have none yet';

CREATE FUNCTION phi.require_sealed(relation regclass, member regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	policy phi.table_policy;
	binding text;
	test text;
BEGIN
	SELECT * INTO STRICT policy FROM phi.table_policy p WHERE p.relation = require_sealed.relation;
	binding := phi.binding_arguments(policy.relation);
	SELECT string_agg(format('phi.is_sealed_for(%I, %s, %s)', c.column_name, c.column_id, binding), ' AND ')
	INTO test FROM phi.column_policy c WHERE c.relation = policy.relation AND c.sealed;
	IF test IS NULL THEN
		RETURN;
	END IF;
	PERFORM phi.run_as_owner(member, format('ALTER TABLE %s ADD CONSTRAINT "~phi_sealed" CHECK (%s)', member, test));
	PERFORM phi.run_as_owner(member, format('ALTER TABLE %s DROP CONSTRAINT "~phi_sealed"', member));
EXCEPTION WHEN check_violation THEN
	RAISE EXCEPTION 'table "%" has values that are not sealed for their rows in table "%"', member, relation
		USING ERRCODE = 'check_violation',
			HINT = 'Insert its rows into the protected table instead of attaching it.';
END $$;
REVOKE ALL ON FUNCTION phi.require_sealed(regclass, regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.require_sealed(regclass, regclass) IS
	'Internal: raises an error unless every value of a partition is sealed for its row of the protected table';

CREATE FUNCTION phi.binding_arguments(relation regclass) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN (SELECT format('%I, %s', p.subject_column, coalesce(quote_ident(p.labels_column), 'NULL::pg_catalog.text[]'))
				|| coalesce((SELECT string_agg(format(', %I', k.name), '' ORDER BY k.place)
							 FROM unnest(p.key_columns) WITH ORDINALITY AS k (name, place)), '')
			FROM phi.table_policy p WHERE p.relation = binding_arguments.relation);
END $$;
REVOKE ALL ON FUNCTION phi.binding_arguments(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.binding_arguments(regclass) IS
	'Internal: subject, labels and key columns, as the functions that seal and test values take them';
