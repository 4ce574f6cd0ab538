-------------------------------------------------------------------------------
-- redact: forms of one value, and the redacted view of a protected table
-------------------------------------------------------------------------------

CREATE FUNCTION phi.is_kind(kind text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_is_kind';
REVOKE ALL ON FUNCTION phi.is_kind(text) FROM PUBLIC;
COMMENT ON FUNCTION phi.is_kind(text) IS 'Is this the name of a kind of identifier?';

CREATE FUNCTION phi.form_fits(form text, kind text, type regtype) RETURNS boolean
	LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'phi_form_fits';
REVOKE ALL ON FUNCTION phi.form_fits(text, text, regtype) FROM PUBLIC;
COMMENT ON FUNCTION phi.form_fits(text, text, regtype) IS
	'Internal: may a column of this kind and encrypted type have the form in a view? Those of rules may be had by all';

CREATE FUNCTION phi.redact(value text, kind text, form text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_redact';
REVOKE ALL ON FUNCTION phi.redact(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.redact(text, text, text) IS
	'The form of a text of some kind: what phi.reveal() shows where a rule grants that form';

CREATE FUNCTION phi.redact(value date, kind text, form text) RETURNS date
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_redact';
REVOKE ALL ON FUNCTION phi.redact(date, text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.redact(date, text, text) IS
	'The form of a date; a year that would show an age over 89 today is NULL';

CREATE FUNCTION phi.redact(value timestamptz, kind text, form text) RETURNS timestamptz
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_redact';
REVOKE ALL ON FUNCTION phi.redact(timestamptz, text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.redact(timestamptz, text, text) IS
	'The form of a time, cut in the session''s time zone';

CREATE FUNCTION phi.redact(value numeric, kind text, form text) RETURNS numeric
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_redact';
REVOKE ALL ON FUNCTION phi.redact(numeric, text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.redact(numeric, text, text) IS
	'The form of a number: whole numbers by their kind';

CREATE FUNCTION phi.redact(value bigint, kind text, form text) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_redact_integer';
REVOKE ALL ON FUNCTION phi.redact(bigint, text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.redact(bigint, text, text) IS
	'The form of a whole number';

CREATE FUNCTION phi.redact(value integer, kind text, form text) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_redact_integer';
REVOKE ALL ON FUNCTION phi.redact(integer, text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.redact(integer, text, text) IS
	'The form of a whole number';

CREATE FUNCTION phi.scrub(value text, names text[] DEFAULT '{}', others text[] DEFAULT '{}') RETURNS text
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_scrub';
REVOKE ALL ON FUNCTION phi.scrub(text, text[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.scrub(text, text[], text[]) IS
	'A free text with identifiers taken out: by their form, and the names and other values known of the person; it does not find everything';

CREATE FUNCTION phi.tree(relation regclass) RETURNS SETOF regclass
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY SELECT tree.relation UNION SELECT t.relid FROM pg_partition_tree(tree.relation) t;
END $$;
REVOKE ALL ON FUNCTION phi.tree(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.tree(regclass) IS 'Internal: a table and its partitions of every level';

CREATE FUNCTION phi.fit_name(base text, ending text) RETURNS name
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	room integer := 63 - octet_length(ending);
	mark text := '_' || left(encode(sha256(convert_to(base, getdatabaseencoding())), 'hex'), 8);
	stem text := base;
BEGIN
	IF base IS NULL OR ending IS NULL OR room < octet_length(mark) + 4 THEN
		RAISE EXCEPTION 'no name can be made with that ending' USING ERRCODE = 'invalid_name';
	ELSIF octet_length(base) <= room THEN
		RETURN base || ending;
	END IF;
	WHILE octet_length(stem) > room - octet_length(mark) LOOP
		stem := left(stem, -1);
	END LOOP;
	RETURN stem || mark || ending;
END $$;
REVOKE ALL ON FUNCTION phi.fit_name(text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.fit_name(text, text) IS
	'Internal: a name with an ending in 63 bytes; a long one is cut between characters and marked with its hash';

CREATE FUNCTION phi.view_name(relation regclass, wanted text, OUT schema_name name, OUT view_name name)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	parts text[];
BEGIN
	SELECT n.nspname, phi.fit_name(c.relname, '_redacted') INTO schema_name, view_name
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation;
	IF wanted IS NULL THEN
		RETURN;
	END IF;
	parts := parse_ident(wanted);
	IF cardinality(parts) > 2 OR EXISTS (SELECT FROM unnest(parts) p WHERE octet_length(p) > 63) THEN
		RAISE EXCEPTION 'improper name for the redacted view of table "%"', relation USING ERRCODE = 'invalid_name',
			HINT = 'Give a name, or a schema and a name, of at most 63 bytes each.';
	END IF;
	view_name := parts[cardinality(parts)];
	IF cardinality(parts) = 2 THEN
		schema_name := parts[1];
	END IF;
	IF to_regnamespace(quote_ident(schema_name)) IS NULL THEN
		RAISE EXCEPTION 'schema "%" does not exist', schema_name USING ERRCODE = 'invalid_schema_name';
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.view_name(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.view_name(regclass, text) IS
	'Internal: schema and name of the redacted view: as wanted, or <table>_redacted beside the table';

CREATE FUNCTION phi.view_columns(relation regclass, profile phi.view_profile DEFAULT NULL)
	RETURNS TABLE (place bigint, name name, type oid, type_modifier integer, collation_id oid,
				   unclassified boolean, expression text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	policy phi.table_policy;
	key_list text;
	text_collation text := ''; -- of what reveal() returns, where a key would give it its own
	plain name[]; -- shown as they are
	sealed_list text;
BEGIN
	SELECT * INTO STRICT policy FROM phi.table_policy p WHERE p.relation = view_columns.relation;
	IF profile.form IS NULL THEN
		plain := policy.key_columns || policy.subject_column || policy.labels_column;
	ELSE
		SELECT string_agg(format(', %I', c.column_name), '' ORDER BY c.column_id) INTO sealed_list
		FROM (SELECT o.column_name, o.column_id FROM phi.column_policy o WHERE o.relation = view_columns.relation AND o.sealed
			ORDER BY o.column_id LIMIT 80) c; -- a function has at most 100 arguments, and the planner adds some
	END IF;
	SELECT coalesce(string_agg(format(', %I', k), '' ORDER BY n), '') INTO key_list
	FROM unnest(policy.key_columns) WITH ORDINALITY AS u (k, n);
	IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = view_columns.relation AND a.attname = ANY (policy.key_columns)
			   AND a.attcollation NOT IN (0, '"default"'::regcollation)) THEN
		text_collation := ' COLLATE pg_catalog."default"';
	END IF;

	RETURN QUERY
	SELECT row_number() OVER (ORDER BY a.attnum), a.attname,
		CASE WHEN s.sealed THEN it.oid WHEN s.plain THEN a.atttypid WHEN s.person THEN 'text'::regtype ELSE b.type END,
		CASE WHEN s.sealed THEN -1 WHEN s.plain THEN a.atttypmod WHEN s.person THEN -1 ELSE b.modifier END,
		CASE WHEN s.sealed THEN it.typcollation WHEN s.person AND NOT s.plain THEN '"default"'::regcollation ELSE a.attcollation END,
		NOT s.sealed AND NOT s.plain AND NOT s.person,
		CASE WHEN s.sealed THEN CASE WHEN profile.form IS NULL THEN format('phi.reveal_column(%I, %s%s)', a.attname, c.column_id, key_list)
					ELSE format('phi.reveal_as(%I, %s, %L, %L%s)', a.attname, c.column_id,
						coalesce(profile.column_forms->>a.attname, profile.form), profile.recipient, key_list) END
				|| coalesce('::' || s.cast_to, '') || CASE WHEN it.typcollation <> 0 THEN text_collation ELSE '' END
			WHEN s.plain THEN format('%I', a.attname)
			WHEN s.person THEN coalesce(format('phi.reveal_pseudonym(%L%s)', profile.recipient, sealed_list), 'NULL::text')
			ELSE phi.typed_null(b.type, b.modifier, a.attcollation) END
	FROM pg_attribute a
		CROSS JOIN LATERAL phi.base_type(a.atttypid, a.atttypmod) b
		JOIN pg_type t ON t.oid = a.atttypid
		LEFT JOIN phi.column_policy c ON c.relation = view_columns.relation AND c.column_name = a.attname
		CROSS JOIN LATERAL (SELECT coalesce(c.sealed, false) AS sealed,
			coalesce(c.kind = 'none', false) OR coalesce(a.attname = ANY (plain), false) AS plain,
			profile.form IS NOT NULL AND a.attname = policy.subject_column AS person,
			CASE WHEN c.plain_type IN ('smallint', 'integer', 'bigint', 'real', 'double precision', 'json')
				THEN c.plain_type END AS cast_to) s
		LEFT JOIN pg_type it ON it.oid = CASE WHEN s.sealed THEN coalesce(to_regtype(s.cast_to),
			to_regtype('pg_catalog.' || substr(t.typname::text, length('encrypted_') + 1))) END
	WHERE a.attrelid = view_columns.relation AND a.attnum > 0 AND NOT a.attisdropped
	ORDER BY a.attnum;
END $$;
REVOKE ALL ON FUNCTION phi.view_columns(regclass, phi.view_profile) FROM PUBLIC;
COMMENT ON FUNCTION phi.view_columns(regclass, phi.view_profile) IS
	'Internal: the columns that the redacted view of a protected table has to have, or the view of a profile';

CREATE FUNCTION phi.base_type(of_type oid, of_modifier integer, OUT type oid, OUT modifier integer)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- Constraints of a domain are code of its owner, and a cast to it would run them.
	WITH RECURSIVE chain (id, modifier, depth) AS (
		SELECT base_type.of_type, base_type.of_modifier, 0
		UNION ALL
		SELECT t.typbasetype, CASE WHEN c.modifier < 0 THEN t.typtypmod ELSE c.modifier END, c.depth + 1
		FROM chain c JOIN pg_type t ON t.oid = c.id WHERE t.typtype = 'd')
	SELECT c.id, c.modifier INTO base_type.type, base_type.modifier FROM chain c ORDER BY c.depth DESC LIMIT 1;
END $$;
REVOKE ALL ON FUNCTION phi.base_type(oid, integer) FROM PUBLIC;
COMMENT ON FUNCTION phi.base_type(oid, integer) IS 'Internal: the type below a domain with its modifier; other types as they are';

CREATE FUNCTION phi.typed_null(type oid, type_modifier integer, collation_id oid) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	collation_name text := (
		SELECT format(' COLLATE %I.%I', n.nspname, l.collname)
		FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace, pg_type t
		WHERE l.oid = collation_id AND t.oid = type AND t.typcollation <> collation_id);
BEGIN
	RETURN 'NULL::' || format_type(type, type_modifier) || coalesce(collation_name, '');
END $$;
REVOKE ALL ON FUNCTION phi.typed_null(oid, integer, oid) FROM PUBLIC;
COMMENT ON FUNCTION phi.typed_null(oid, integer, oid) IS 'Internal: the expression for NULL of a type, modifier and collation';

CREATE FUNCTION phi.view_options(view regclass) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN (SELECT coalesce(' WITH (' || string_agg(format('%I = %L', split_part(o, '=', 1),
				substr(o, strpos(o, '=') + 1)), ', ') || ')', '')
			FROM pg_class c, unnest(c.reloptions) o WHERE c.oid = view AND o NOT LIKE 'check_option=%');
END $$;
REVOKE ALL ON FUNCTION phi.view_options(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.view_options(regclass) IS 'Internal: the WITH clause that a view has; without a check option, which its view of NULLs cannot have';

CREATE FUNCTION phi.blank_view(relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	view_now regclass;
	columns text;
	nulls text;
BEGIN
	FOR view_now IN SELECT phi.views_of(blank_view.relation) LOOP
		SELECT string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum),
			string_agg(phi.typed_null(a.atttypid, a.atttypmod, a.attcollation), ', ' ORDER BY a.attnum)
		INTO columns, nulls
		FROM pg_attribute a WHERE a.attrelid = view_now AND a.attnum > 0 AND NOT a.attisdropped;
		EXECUTE format('CREATE OR REPLACE VIEW %s (%s)%s AS SELECT %s', view_now, columns,
					   phi.view_options(view_now), nulls);
	END LOOP;
END $$;
REVOKE ALL ON FUNCTION phi.blank_view(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.blank_view(regclass) IS
	'Internal: makes the redacted views those of typed NULLs, so that they stand in no way of changes to the table';

CREATE FUNCTION phi.view_trappings(view regclass, columns name[]) RETURNS text[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN ARRAY(
		SELECT format('GRANT %s ON TABLE %s TO %s%s', x.privilege_type, c.oid::regclass,
			coalesce(quote_ident(r.rolname), 'PUBLIC'), CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
		FROM pg_class c, aclexplode(c.relacl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
		WHERE c.oid = view AND (x.grantee = 0 OR r.oid IS NOT NULL)
		UNION ALL
		SELECT format('GRANT %s (%I) ON TABLE %s TO %s%s', x.privilege_type, a.attname, view,
			coalesce(quote_ident(r.rolname), 'PUBLIC'), CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
		FROM pg_attribute a, aclexplode(a.attacl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
		WHERE a.attrelid = view AND a.attnum > 0 AND a.attname = ANY (columns) AND (x.grantee = 0 OR r.oid IS NOT NULL)
		UNION ALL
		SELECT CASE WHEN d.objsubid = 0 THEN format('COMMENT ON VIEW %s IS %L', view, d.description)
			ELSE format('COMMENT ON COLUMN %s.%I IS %L', view, a.attname, d.description) END
		FROM pg_description d LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
		WHERE d.classoid = 'pg_class'::regclass AND d.objoid = view
			AND (d.objsubid = 0 OR a.attname = ANY (columns)));
END $$;
REVOKE ALL ON FUNCTION phi.view_trappings(regclass, name[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.view_trappings(regclass, name[]) IS
	'Internal: the statements that give a view made anew the privileges and comments that it has';

CREATE FUNCTION phi.drop_view(relation regclass, view regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	found_on text := (
		SELECT format('%s "%s"', CASE WHEN o.is_trigger THEN 'trigger' ELSE 'rule' END, o.name)
		FROM (SELECT tgname, true FROM pg_trigger WHERE tgrelid = view AND NOT tgisinternal AND tgname <> '~phi_write'
			  UNION ALL SELECT rulename, false FROM pg_rewrite WHERE ev_class = view AND rulename <> '_RETURN')
			AS o (name, is_trigger) LIMIT 1);
BEGIN
	IF found_on IS NOT NULL THEN
		RAISE EXCEPTION 'cannot drop view "%" because it has the %', view, found_on
			USING ERRCODE = 'dependent_objects_still_exist',
				HINT = 'Drop it first, and create it again afterwards.';
	END IF;
	EXECUTE format('DROP VIEW %s', view);
EXCEPTION WHEN dependent_objects_still_exist THEN
	DECLARE
		why text;
		dependants text;
		advice text;
	BEGIN
		GET STACKED DIAGNOSTICS why = MESSAGE_TEXT, dependants = PG_EXCEPTION_DETAIL, advice = PG_EXCEPTION_HINT;
		RAISE EXCEPTION 'the redacted view "%" of table "%" has to be dropped, but other objects depend on it', view, relation
			USING ERRCODE = 'dependent_objects_still_exist', DETAIL = coalesce(nullif(dependants, ''), why || '.'),
				HINT = 'Drop the dependent objects first; create them again afterwards.';
	END;
END $$;
REVOKE ALL ON FUNCTION phi.drop_view(regclass, regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.drop_view(regclass, regclass) IS 'Internal: drops a redacted view that nothing depends on';

CREATE FUNCTION phi.write_through() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_write_through';
REVOKE ALL ON FUNCTION phi.write_through() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.write_through() TO PUBLIC; -- who restores a view creates its trigger
COMMENT ON FUNCTION phi.write_through() IS
	'Trigger of redacted views: writes to the table what differs from what the view showed';

CREATE FUNCTION phi.make_writable(view regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = view AND t.tgname = '~phi_write') THEN
		EXECUTE format('CREATE TRIGGER "~phi_write" INSTEAD OF INSERT OR UPDATE OR DELETE ON %s '
			'FOR EACH ROW EXECUTE FUNCTION phi.write_through()', view);
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.make_writable(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.make_writable(regclass) IS 'Internal: gives a redacted view its trigger, where it is missing';

CREATE FUNCTION phi.create_view(relation regclass, schema_name name, view_name name, profile phi.view_profile DEFAULT NULL)
	RETURNS regclass
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
	full_name text := format('%I.%I', schema_name, view_name);
	columns text;
	expressions text;
BEGIN
	IF to_regclass(full_name) IS NOT NULL THEN
		RAISE EXCEPTION 'relation "%" already exists', full_name USING ERRCODE = 'duplicate_table',
			HINT = 'Give the redacted view another name.';
	END IF;
	SELECT string_agg(format('%I', v.name), ', ' ORDER BY v.place), string_agg(v.expression, ', ' ORDER BY v.place)
	INTO columns, expressions FROM phi.view_columns(relation, profile) v;
	EXECUTE format('CREATE VIEW %s (%s) AS SELECT %s FROM %s', full_name, columns, expressions, relation);
	EXECUTE format('ALTER VIEW %s OWNER TO %I', full_name,
				   (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = relation));
	IF profile.form IS NULL THEN
		UPDATE phi.table_policy p SET view = full_name::regclass WHERE p.relation = create_view.relation;
	ELSE
		INSERT INTO phi.view_profile VALUES (full_name::regclass, relation, profile.form, profile.recipient, profile.column_forms);
	END IF;
	PERFORM phi.make_writable(full_name::regclass);
	RETURN full_name::regclass;
END $$;
REVOKE ALL ON FUNCTION phi.create_view(regclass, name, name, phi.view_profile) FROM PUBLIC;
COMMENT ON FUNCTION phi.create_view(regclass, name, name, phi.view_profile) IS
	'Internal: creates the redacted view of a protected table, or the view of a profile, owned by the table''s owner';

CREATE FUNCTION phi.recreate_view(relation regclass, view regclass) RETURNS regclass
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	place record;
	profile phi.view_profile := (SELECT v FROM phi.view_profile v WHERE v.view = recreate_view.view);
	names name[] := ARRAY(SELECT v.name FROM phi.view_columns(relation, profile) v);
	trappings text[] := phi.view_trappings(view, names);
	options text := phi.view_options(view);
	made regclass;
	command text;
BEGIN
	SELECT n.nspname, c.relname, c.relacl IS NOT NULL AS has_acl INTO place
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = view;
	PERFORM phi.drop_view(relation, view);
	DELETE FROM phi.view_profile v WHERE v.view = recreate_view.view;
	made := phi.create_view(relation, place.nspname, place.relname, profile);
	IF options <> '' THEN
		EXECUTE format('ALTER VIEW %s SET %s', made, substr(options, length(' WITH ') + 1));
	END IF;
	-- Default privileges are for what is new; this view is the one of before.
	FOR command IN
		SELECT format('REVOKE ALL ON TABLE %s FROM %s', made, coalesce(quote_ident(r.rolname), 'PUBLIC'))
		FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x
			LEFT JOIN pg_roles r ON r.oid = x.grantee
		WHERE c.oid = made AND (place.has_acl OR x.grantee <> c.relowner) GROUP BY r.rolname
	LOOP
		EXECUTE command;
	END LOOP;
	FOREACH command IN ARRAY trappings LOOP
		EXECUTE command;
	END LOOP;
	RETURN made;
END $$;
REVOKE ALL ON FUNCTION phi.recreate_view(regclass, regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.recreate_view(regclass, regclass) IS
	'Internal: drops and creates a redacted view whose columns changed; name, privileges, options and comments stay';

CREATE FUNCTION phi.regenerate_view(relation regclass, view regclass) RETURNS regclass
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	profile phi.view_profile := (SELECT v FROM phi.view_profile v WHERE v.view = regenerate_view.view);
	names text;
	expressions text;
	fits boolean;
BEGIN
	SELECT count(a.attnum) = max(a.attnum)
		AND bool_and((v.name, v.type, v.type_modifier, v.collation_id) IS NOT DISTINCT FROM
					 (a.attname, a.atttypid, a.atttypmod, a.attcollation))
	INTO fits
	FROM pg_attribute a LEFT JOIN phi.view_columns(regenerate_view.relation, profile) v ON v.place = a.attnum
	WHERE a.attrelid = regenerate_view.view AND a.attnum > 0;
	IF NOT fits THEN
		RETURN phi.recreate_view(regenerate_view.relation, regenerate_view.view);
	END IF;
	SELECT string_agg(format('%I', v.name), ', ' ORDER BY v.place), string_agg(v.expression, ', ' ORDER BY v.place)
	INTO names, expressions FROM phi.view_columns(regenerate_view.relation, profile) v;
	EXECUTE format('CREATE OR REPLACE VIEW %s (%s)%s AS SELECT %s FROM %s', regenerate_view.view, names,
				   phi.view_options(regenerate_view.view), expressions, regenerate_view.relation, profile);
	PERFORM phi.make_writable(regenerate_view.view);
	RETURN regenerate_view.view;
END $$;
REVOKE ALL ON FUNCTION phi.regenerate_view(regclass, regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.regenerate_view(regclass, regclass) IS
	'Internal: gives a redacted view the columns that it has to have; makes it anew where that is needed';

CREATE FUNCTION phi.refresh_view(relation regclass, view text DEFAULT NULL) RETURNS regclass
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	present regclass;
	wanted record;
	newcomer name;
	other regclass;
BEGIN
	IF refresh_view.relation IS NULL THEN
		RAISE EXCEPTION 'no table given' USING ERRCODE = 'null_value_not_allowed',
			HINT = 'Name the protected table whose view is to be generated.';
	END IF;
	PERFORM phi.require_table(refresh_view.relation);
	EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', refresh_view.relation);
	SELECT c.oid INTO present FROM phi.table_policy p LEFT JOIN pg_class c ON c.oid = p.view AND c.relkind = 'v'
	WHERE p.relation = refresh_view.relation;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'table "%" is not protected', refresh_view.relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call phi.protect() for it first.';
	END IF;
	IF present IS NULL THEN
		SELECT * INTO wanted FROM phi.view_name(refresh_view.relation, refresh_view.view);
		RETURN phi.create_view(refresh_view.relation, wanted.schema_name, wanted.view_name);
	ELSIF refresh_view.view IS NOT NULL THEN
		RAISE EXCEPTION 'table "%" already has the redacted view "%"', refresh_view.relation, present
			USING ERRCODE = 'duplicate_table', HINT = 'Rename it with ALTER VIEW.';
	END IF;

	FOR newcomer IN
		SELECT v.name FROM phi.view_columns(refresh_view.relation) v
		WHERE v.unclassified AND NOT EXISTS (
			SELECT FROM pg_attribute a WHERE a.attrelid = present AND a.attname = v.name AND NOT a.attisdropped)
	LOOP
		RAISE NOTICE 'column "%" of table "%" is not classified: view "%" shows NULL for it', newcomer,
			refresh_view.relation, present USING HINT = 'Call phi.classify() for it.';
	END LOOP;
	FOR other IN SELECT v FROM phi.views_of(refresh_view.relation) v WHERE v <> present LOOP
		PERFORM phi.regenerate_view(refresh_view.relation, other);
	END LOOP;
	RETURN phi.regenerate_view(refresh_view.relation, present);
END $$;
REVOKE ALL ON FUNCTION phi.refresh_view(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.refresh_view(regclass, text) IS
	'Generates the redacted view of a protected table again; creates it, under the given name, when it is gone';
