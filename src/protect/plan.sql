-------------------------------------------------------------------------------
-- protect: what stands in the way of encrypting a table's columns
-------------------------------------------------------------------------------

CREATE FUNCTION phi.table_blockers(relation regclass, subject name, labels name, keys name[], view text)
	RETURNS TABLE (action text, object text, statement text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT 'no classified column', table_blockers.relation::text,
		format('SELECT phi.classify(%L, ''column'', ''kind'')', table_blockers.relation)
	WHERE NOT EXISTS (SELECT FROM phi.column_policy c WHERE c.relation = table_blockers.relation AND c.kind <> 'none')
	UNION ALL
	SELECT CASE WHEN k.name = subject THEN 'subject column is classified'
				WHEN k.name = labels THEN 'label column is classified'
				WHEN k.name = ANY (keys) THEN 'primary key is classified' ELSE 'described column is classified' END,
		format('%s.%I', table_blockers.relation, k.name),
		format('SELECT phi.declassify(%L, %L)', table_blockers.relation, k.name)
	FROM (SELECT unnest(keys || phi.described_columns(table_blockers.relation)) UNION SELECT subject UNION SELECT labels) AS k (name)
		JOIN phi.column_policy c ON c.relation = table_blockers.relation AND c.column_name = k.name AND c.kind <> 'none'
	UNION ALL
	SELECT 'subject column is not of type bigint, integer, smallint, uuid or text',
		format('%s.%I', table_blockers.relation, subject),
		format('ALTER TABLE %s ALTER COLUMN %I TYPE text', table_blockers.relation, subject)
	FROM pg_attribute a WHERE a.attrelid = table_blockers.relation AND a.attname = subject
		AND a.atttypid NOT IN ('int8'::regtype, 'int4'::regtype, 'int2'::regtype, 'uuid'::regtype, 'text'::regtype,
							   'varchar'::regtype)
	UNION ALL
	SELECT 'label column is not of type text[]', format('%s.%I', table_blockers.relation, labels),
		format('ALTER TABLE %1$s ALTER COLUMN %2$I TYPE text[] USING ' || CASE WHEN EXISTS (
				SELECT FROM pg_type y WHERE y.oid = a.atttypid AND y.typcategory = 'A') THEN '%2$I::text[]'
			ELSE 'CASE WHEN %2$I IS NOT NULL THEN ARRAY[%2$I::text] END' END, table_blockers.relation, labels)
	FROM pg_attribute a WHERE a.attrelid = table_blockers.relation AND a.attname = labels
		AND a.atttypid <> 'text[]'::regtype
	UNION ALL
	SELECT 'inheritance child', i.inhrelid::regclass::text,
		format('ALTER TABLE %s NO INHERIT %s', i.inhrelid::regclass, i.inhparent::regclass)
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	WHERE i.inhparent = table_blockers.relation AND NOT c.relispartition
	UNION ALL
	SELECT 'inheritance parent', i.inhparent::regclass::text,
		format('ALTER TABLE %s NO INHERIT %s', i.inhrelid::regclass, i.inhparent::regclass)
	FROM pg_inherits i WHERE i.inhrelid = table_blockers.relation
	UNION ALL
	SELECT 'typed table', table_blockers.relation::text, format('ALTER TABLE %s NOT OF', table_blockers.relation)
	FROM pg_class c WHERE c.oid = table_blockers.relation AND c.reloftype <> 0
	UNION ALL
	SELECT CASE c.relkind WHEN 'f' THEN 'foreign partition' ELSE 'partition of another owner' END, c.oid::regclass::text,
		CASE c.relkind WHEN 'f' THEN format('ALTER TABLE %s DETACH PARTITION %s', i.inhparent::regclass, c.oid::regclass)
			ELSE format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, pg_get_userbyid(r.relowner)) END
	FROM phi.tree(table_blockers.relation) AS t (t) JOIN pg_class c ON c.oid = t.t
		JOIN pg_class r ON r.oid = table_blockers.relation JOIN pg_inherits i ON i.inhrelid = c.oid
	WHERE c.relkind = 'f' OR c.relowner <> r.relowner
	UNION ALL
	SELECT 'its row type is used by a column', format('%s.%I', a.attrelid::regclass, a.attname), phi.unuse_row_type(a.attrelid, a.attname)
	FROM phi.tree(table_blockers.relation) AS t (t) JOIN pg_class c ON c.oid = t.t JOIN pg_type y ON y.oid = c.reltype
		JOIN pg_attribute a ON a.atttypid IN (y.oid, nullif(y.typarray, 0)) JOIN pg_class u ON u.oid = a.attrelid
	WHERE NOT a.attisdropped AND u.relkind IN ('r', 'p', 'm')
	UNION ALL
	SELECT 'policy runs phi.reveal, or code of a user', format('%I on table %s', y.polname, y.polrelid::regclass),
		format('DROP POLICY %I ON %s', y.polname, y.polrelid::regclass)
	FROM phi.tree(table_blockers.relation) AS t (t) JOIN pg_policy y ON y.polrelid = t.t
	WHERE phi.policy_is_foreign(y.oid)
		AND NOT EXISTS (SELECT FROM phi.table_policy p WHERE p.relation = table_blockers.relation)
	UNION ALL
	SELECT 'view name is taken', format('%I.%I', v.schema_name, v.view_name),
		format('ALTER TABLE %I.%I RENAME TO %I', v.schema_name, v.view_name, phi.fit_name(v.view_name, '_before'))
	FROM phi.view_name(table_blockers.relation, table_blockers.view) v
	WHERE to_regclass(format('%I.%I', v.schema_name, v.view_name)) IS NOT NULL
		AND NOT EXISTS (SELECT FROM phi.table_policy p WHERE p.relation = table_blockers.relation);
END $$;
REVOKE ALL ON FUNCTION phi.table_blockers(regclass, name, name, name[], text) FROM PUBLIC;
COMMENT ON FUNCTION phi.table_blockers(regclass, name, name, name[], text) IS
	'Internal: what of a table as a whole stands in the way of protecting it';

CREATE FUNCTION phi.column_blockers(relation regclass)
	RETURNS TABLE (height integer, action text, object text, statement text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH plain AS (
		SELECT a.*, format('%s.%I', a.attrelid::regclass, a.attname) AS label, c.relispartition
		FROM phi.tree(column_blockers.relation) AS t (t) JOIN pg_class c ON c.oid = t.t
			JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
			JOIN phi.column_policy p ON p.relation = column_blockers.relation AND p.column_name = a.attname
		WHERE p.kind <> 'none' AND NOT p.sealed)
	SELECT 0, 'type cannot be encrypted', p.label, format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', p.attrelid::regclass, p.attname,
		CASE WHEN p.atttypid = 'timestamp'::regtype THEN 'timestamp with time zone'
			ELSE (SELECT CASE y.typtype WHEN 'd' THEN format_type(y.typbasetype, y.typtypmod) ELSE 'text' END FROM pg_type y WHERE y.oid = p.atttypid) END)
	FROM plain p WHERE phi.sealed_family(p.atttypid) IS NULL AND NOT p.relispartition
	UNION
	SELECT 0, 'generated column', p.label, phi.ungenerate(p.attrelid, p.attname, p.attgenerated)
	FROM plain p WHERE p.attgenerated <> '' AND NOT p.relispartition
	UNION
	SELECT 0, 'identity column', p.label,
		format('ALTER TABLE %s ALTER COLUMN %I DROP IDENTITY', p.attrelid::regclass, p.attname)
	FROM plain p WHERE p.attidentity <> '' AND NOT p.relispartition
	UNION
	SELECT 0, 'partition key', p.label, format('SELECT phi.declassify(%L, %L)', column_blockers.relation, p.attname)
	FROM plain p WHERE EXISTS (
		SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = p.attrelid
			AND d.objsubid = p.attnum AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.attrelid
			AND d.refobjsubid = 0 AND d.deptype = 'i')
	UNION
	SELECT n.height, b.action, b.object, b.statement
	FROM phi.column_dependants(ARRAY(SELECT p.attrelid FROM plain p), ARRAY(SELECT p.attnum FROM plain p)) n
		CROSS JOIN LATERAL phi.dependant(n.class_id, n.object_id, n.relation, n.column_number) b;
END $$;
REVOKE ALL ON FUNCTION phi.column_blockers(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.column_blockers(regclass) IS
	'Internal: what stands in the way of encrypting the classified columns of a table that are plain yet';

CREATE FUNCTION phi.column_dependants(relations oid[], column_numbers smallint[])
	RETURNS TABLE (class_id oid, object_id oid, relation regclass, column_number smallint, height integer)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	-- Functions can depend on each other in a circle: the height has a limit.
	WITH RECURSIVE node (class_id, object_id, relation, column_number, height) AS (
		SELECT d.classid, d.objid, c.relation::regclass, c.column_number, 1
		FROM unnest(relations, column_numbers) AS c (relation, column_number)
			JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.relation
				AND d.refobjsubid = c.column_number
		UNION
		SELECT t.user_class, t.user_id, n.relation, 0::smallint, n.height + 1
		FROM node n CROSS JOIN LATERAL phi.on_top(n.class_id, n.object_id) t
		WHERE n.height < 100)
	SELECT n.* FROM node n
	-- What belongs to a view goes with it.
	WHERE NOT EXISTS (
		SELECT FROM pg_depend d JOIN pg_rewrite w ON w.ev_class = d.refobjid AND w.rulename = '_RETURN'
			JOIN node v ON v.class_id = 'pg_rewrite'::regclass AND v.object_id = w.oid
		WHERE d.classid = n.class_id AND d.objid = n.object_id AND d.refclassid = 'pg_class'::regclass
			AND d.deptype = 'a');
END $$;
REVOKE ALL ON FUNCTION phi.column_dependants(oid[], smallint[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.column_dependants(oid[], smallint[]) IS
	'Internal: what depends on columns, and what must be dropped before that, with the greater height';

CREATE FUNCTION phi.on_top(class_id oid, object_id oid) RETURNS TABLE (user_class oid, user_id oid)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH dropped (class_id, object_id, part) AS (
		SELECT on_top.class_id, on_top.object_id, 0 WHERE on_top.class_id = 'pg_proc'::regclass
		UNION ALL
		SELECT on_top.class_id, c.oid, 0 FROM pg_class c
		WHERE on_top.class_id = 'pg_class'::regclass AND c.oid = on_top.object_id AND c.relkind IN ('i', 'I')
		UNION ALL
		SELECT o.class_id, o.object_id, 0
		FROM pg_constraint k, LATERAL (VALUES (on_top.class_id, k.oid), ('pg_class'::regclass, k.conindid)) o (class_id, object_id)
		WHERE on_top.class_id = 'pg_constraint'::regclass AND k.oid = on_top.object_id AND k.contype IN ('p', 'u', 'x')
		UNION ALL
		SELECT o.class_id, o.object_id, 0
		FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_type y ON y.oid = c.reltype,
			LATERAL (VALUES ('pg_class'::regclass::oid, c.oid), ('pg_type'::regclass, y.oid), ('pg_type'::regclass, y.typarray))
				o (class_id, object_id)
		WHERE on_top.class_id = 'pg_rewrite'::regclass AND w.oid = on_top.object_id AND w.rulename = '_RETURN'
			AND NOT EXISTS (SELECT FROM phi.table_policy p WHERE p.view = c.oid)
			AND NOT EXISTS (SELECT FROM phi.view_profile v WHERE v.view = c.oid)
		UNION ALL
		SELECT 'pg_class'::regclass, a.attrelid, a.attnum
		FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
		WHERE on_top.class_id = 'pg_attrdef'::regclass AND f.oid = on_top.object_id AND a.attgenerated NOT IN ('', 's'))
	SELECT DISTINCT d.classid, d.objid
	FROM dropped o JOIN pg_depend d ON d.refclassid = o.class_id AND d.refobjid = o.object_id
		AND o.part IN (0, d.refobjsubid)
	WHERE (d.deptype = 'n' OR o.part > 0) AND (d.classid, d.objid) <> (on_top.class_id, on_top.object_id);
END $$;
REVOKE ALL ON FUNCTION phi.on_top(oid, oid) FROM PUBLIC;
COMMENT ON FUNCTION phi.on_top(oid, oid) IS
	'Internal: what keeps an object from being dropped: of a view, what uses it or its row type; of a key, foreign keys';

CREATE FUNCTION phi.dependant(class_id oid, object_id oid, relation regclass, column_number smallint)
	RETURNS TABLE (action text, object text, statement text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	CASE class_id
	WHEN 'pg_class'::regclass THEN
		RETURN QUERY SELECT 'index', c.oid::regclass::text, format('DROP INDEX %s', c.oid::regclass)
		FROM pg_class c WHERE c.oid = object_id AND c.relkind IN ('i', 'I') AND NOT c.relispartition
			AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x'))
		UNION ALL
		SELECT 'row type of a view is used by a column', format('%s.%I', c.oid::regclass, a.attname), phi.unuse_row_type(c.oid, a.attname)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
			JOIN pg_type y ON y.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = y.typelem
			JOIN pg_class v ON v.oid IN (y.typrelid, e.typrelid) AND v.relkind IN ('v', 'm')
		WHERE c.oid = object_id AND c.relkind IN ('r', 'p', 'f', 'c') AND column_number = 0;
	WHEN 'pg_attrdef'::regclass THEN
		RETURN QUERY SELECT CASE a.attgenerated WHEN '' THEN 'default' ELSE 'generated column' END, format('%s.%I', d.adrelid::regclass, a.attname),
			phi.ungenerate(d.adrelid, a.attname, a.attgenerated)
		FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
			JOIN pg_class c ON c.oid = d.adrelid
		WHERE d.oid = object_id AND (d.adrelid, d.adnum) <> (relation::oid, column_number) AND NOT c.relispartition;
	WHEN 'pg_constraint'::regclass THEN
		RETURN QUERY SELECT CASE k.contype WHEN 'c' THEN 'check constraint' WHEN 'f' THEN 'foreign key'
				WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique constraint' ELSE 'exclusion constraint' END,
			format('%I of table %s', k.conname, k.conrelid::regclass),
			format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname)
		FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
		WHERE k.oid = object_id AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0
			-- An inherited one of the table itself is its own after NO INHERIT.
			AND (k.coninhcount = 0 OR k.conrelid = relation AND NOT c.relispartition)
		UNION ALL
		SELECT 'domain constraint', format('%I of domain %s', k.conname, k.contypid::regtype),
			format('ALTER DOMAIN %s DROP CONSTRAINT %I', k.contypid::regtype, k.conname)
		FROM pg_constraint k WHERE k.oid = object_id AND k.contypid <> 0;
	WHEN 'pg_trigger'::regclass THEN
		RETURN QUERY SELECT 'trigger', format('%I on table %s', g.tgname, g.tgrelid::regclass),
			format('DROP TRIGGER %I ON %s', g.tgname, g.tgrelid::regclass)
		FROM pg_trigger g WHERE g.oid = object_id AND NOT g.tgisinternal AND g.tgparentid = 0;
	WHEN 'pg_policy'::regclass THEN
		RETURN QUERY SELECT 'policy', format('%I on table %s', y.polname, y.polrelid::regclass),
			format('DROP POLICY %I ON %s', y.polname, y.polrelid::regclass)
		FROM pg_policy y WHERE y.oid = object_id;
	WHEN 'pg_rewrite'::regclass THEN
		RETURN QUERY SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'rule' END,
			CASE WHEN w.rulename = '_RETURN' THEN c.oid::regclass::text
				ELSE format('%I on %s', w.rulename, c.oid::regclass) END,
			CASE WHEN w.rulename <> '_RETURN' THEN format('DROP RULE %I ON %s', w.rulename, c.oid::regclass)
				WHEN c.relkind = 'm' THEN format('DROP MATERIALIZED VIEW %s', c.oid::regclass)
				ELSE format('DROP VIEW %s', c.oid::regclass) END
		FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class
		WHERE w.oid = object_id AND NOT EXISTS (SELECT FROM phi.table_policy p WHERE p.view = c.oid)
			AND NOT EXISTS (SELECT FROM phi.view_profile v WHERE v.view = c.oid);
	WHEN 'pg_statistic_ext'::regclass THEN
		RETURN QUERY SELECT 'extended statistics', format('%I.%I', n.nspname, s.stxname),
			format('DROP STATISTICS %I.%I', n.nspname, s.stxname)
		FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.oid = object_id;
	WHEN 'pg_publication_rel'::regclass THEN
		RETURN QUERY SELECT 'publication with a column list or row filter', format('%I', b.pubname),
			format('ALTER PUBLICATION %I DROP TABLE %s', b.pubname, r.prrelid::regclass)
		FROM pg_publication_rel r JOIN pg_publication b ON b.oid = r.prpubid WHERE r.oid = object_id;
	WHEN 'pg_proc'::regclass THEN
		RETURN QUERY SELECT 'function', object_id::regprocedure::text, format('DROP ROUTINE %s', object_id::regprocedure);
	ELSE
		RETURN QUERY SELECT 'object', pg_describe_object(class_id, object_id, 0), NULL;
	END CASE;
END $$;
REVOKE ALL ON FUNCTION phi.dependant(oid, oid, regclass, smallint) FROM PUBLIC;
COMMENT ON FUNCTION phi.dependant(oid, oid, regclass, smallint) IS
	'Internal: an object that depends on a column, as a blocker; no row where it is none';

CREATE FUNCTION phi.unuse_row_type(relation regclass, column_name name) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN (SELECT CASE c.relkind WHEN 'm' THEN format('DROP MATERIALIZED VIEW %s', relation)
				WHEN 'c' THEN format('ALTER TYPE %s ALTER ATTRIBUTE %I TYPE text', relation, column_name)
				WHEN 'f' THEN format('ALTER FOREIGN TABLE %s ALTER COLUMN %I TYPE text', relation, column_name)
				ELSE format('ALTER TABLE %s ALTER COLUMN %I TYPE text', relation, column_name) END
			FROM pg_class c WHERE c.oid = relation);
END $$;
REVOKE ALL ON FUNCTION phi.unuse_row_type(regclass, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.unuse_row_type(regclass, name) IS
	'Internal: the statement after which a column does not have the row type of another relation; its values are kept as text';

CREATE FUNCTION phi.ungenerate(relation regclass, column_name name, generated "char") RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	-- A virtual column has no values to keep.
	RETURN format(CASE generated WHEN 's' THEN 'ALTER TABLE %s ALTER COLUMN %I DROP EXPRESSION'
				  WHEN '' THEN 'ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT' ELSE 'ALTER TABLE %s DROP COLUMN %I' END, relation, column_name);
END $$;
REVOKE ALL ON FUNCTION phi.ungenerate(regclass, name, "char") FROM PUBLIC;
COMMENT ON FUNCTION phi.ungenerate(regclass, name, "char") IS
	'Internal: the statement after which a column is generated no more, or has no default';

CREATE FUNCTION phi.key_columns(relation regclass) RETURNS name[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN ARRAY(
		SELECT a.attname
		FROM pg_constraint k, unnest(k.conkey) WITH ORDINALITY AS u (attnum, place), pg_attribute a
		WHERE k.conrelid = relation AND k.contype = 'p' AND a.attrelid = relation AND a.attnum = u.attnum
		ORDER BY u.place);
END $$;
REVOKE ALL ON FUNCTION phi.key_columns(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.key_columns(regclass) IS 'Internal: the columns of the primary key, in its order';

CREATE FUNCTION phi.blockers(relation regclass, subject name, labels name, view text)
	RETURNS TABLE (turn bigint, action text, object text, statement text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	-- Inheritance ends before inherited constraints go; a column gets another type when nothing uses it or its table's
	-- type any more; a name is changed when no other statement needs it.
	RETURN QUERY
	WITH found (height, action, object, statement) AS (
		SELECT CASE WHEN b.action LIKE '% column is not of type %' THEN 0 WHEN b.action LIKE 'view name %' THEN -1
			WHEN b.action LIKE 'its row type %' THEN 1001 ELSE 1000 END, b.*
		FROM phi.table_blockers(blockers.relation, subject, labels, phi.key_columns(blockers.relation), blockers.view) b
		UNION ALL SELECT * FROM phi.column_blockers(blockers.relation)),
	once AS (
		SELECT DISTINCT ON (f.object, coalesce(f.statement, f.action)) f.*
		FROM found f ORDER BY f.object, coalesce(f.statement, f.action), f.height DESC)
	SELECT row_number() OVER (ORDER BY o.height DESC, o.object COLLATE "C", o.action COLLATE "C"), o.action, o.object, o.statement
	FROM once o ORDER BY 1;
END $$;
REVOKE ALL ON FUNCTION phi.blockers(regclass, name, name, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.blockers(regclass, name, name, text) IS
	'Internal: everything that stands in the way, in the order in which the statements can run';

CREATE FUNCTION phi.require_no_blocker(relation regclass, subject name, labels name, view text) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	first record;
BEGIN
	SELECT b.*, count(*) OVER () AS number INTO first
	FROM phi.blockers(relation, subject, labels, view) b ORDER BY b.turn LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'cannot encrypt columns of table "%": %: %', relation, first.action, first.object
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = format('%s in the way in all.', CASE first.number WHEN 1 THEN '1 thing is'
								ELSE first.number || ' things are' END),
				HINT = 'phi.protect_plan() lists them with the statements that clear them.';
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.require_no_blocker(regclass, name, name, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.require_no_blocker(regclass, name, name, text) IS
	'Internal: raises an error that names the first thing in the way and how many there are';

CREATE FUNCTION phi.protect_plan(relation regclass, subject name, view text DEFAULT NULL, labels name DEFAULT NULL)
	RETURNS TABLE (step bigint, action text, object text, blocker boolean, statement text)
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	IF protect_plan.relation IS NULL OR protect_plan.subject IS NULL THEN
		RAISE EXCEPTION 'no % given', CASE WHEN protect_plan.relation IS NULL THEN 'table' ELSE 'subject column' END
			USING ERRCODE = 'null_value_not_allowed', HINT = 'Name the table, and the column that says whose row it is.';
	END IF;
	PERFORM phi.require_table(protect_plan.relation);
	PERFORM phi.require_column(protect_plan.relation, n) FROM unnest(ARRAY[subject, labels]) n WHERE n IS NOT NULL;
	RETURN QUERY
	WITH steps (place, turn, action, object, blocker, statement) AS (
		SELECT 0, b.turn, b.action, b.object, true, b.statement
		FROM phi.blockers(protect_plan.relation, subject, labels, protect_plan.view) b
		UNION ALL
		SELECT 1, 0, 'no primary key: values are bound to their column and subject only', protect_plan.relation::text, false,
			format('ALTER TABLE %s ADD PRIMARY KEY (...)', protect_plan.relation)
		WHERE phi.key_columns(protect_plan.relation) = '{}'
		UNION ALL
		SELECT 2, 0, 'becomes phi.encrypted_' || phi.sealed_family(a.atttypid) || ' (' || c.kind || ')',
			format('%s.%I', protect_plan.relation, a.attname), false, NULL
		FROM phi.column_policy c JOIN pg_attribute a ON a.attrelid = c.relation AND a.attname = c.column_name
		WHERE c.relation = protect_plan.relation AND c.kind <> 'none' AND phi.sealed_family(a.atttypid) IS NOT NULL
		UNION ALL
		SELECT 3, 0, 'gets the sealing trigger', protect_plan.relation::text, false, NULL
		UNION ALL
		SELECT 4, 0, 'gets row security and change capture', t.t::text, false, NULL
		FROM phi.tree(protect_plan.relation) AS t (t)
		UNION ALL
		SELECT 5, 0, 'is created as the redacted view', format('%I.%I', v.schema_name, v.view_name), false, NULL
		FROM phi.view_name(protect_plan.relation, protect_plan.view) v
		UNION ALL
		SELECT 6, 0, 'is not classified: the view will show NULL', format('%s.%I', protect_plan.relation, a.attname), false,
			format('SELECT phi.classify(%L, %L, ''none'')', protect_plan.relation, a.attname)
		FROM pg_attribute a
		WHERE a.attrelid = protect_plan.relation AND a.attnum > 0 AND NOT a.attisdropped
			AND a.attname <> ALL (phi.key_columns(protect_plan.relation) || subject || coalesce(labels, subject))
			AND NOT EXISTS (SELECT FROM phi.column_policy c
							WHERE c.relation = protect_plan.relation AND c.column_name = a.attname))
	SELECT row_number() OVER (ORDER BY s.place, s.turn, s.object COLLATE "C", s.action COLLATE "C"),
		s.action, s.object, s.blocker, s.statement
	FROM steps s ORDER BY 1;
END $$;
REVOKE ALL ON FUNCTION phi.protect_plan(regclass, name, text, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.protect_plan(regclass, name, text, name) IS
	'What protect() would do, what stands in its way (blocker), and a statement that clears it';
