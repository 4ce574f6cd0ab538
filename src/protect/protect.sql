-------------------------------------------------------------------------------
-- protect: encrypting a table in place, guarding its rows, and taking it back
-------------------------------------------------------------------------------

CREATE FUNCTION phi.keep_defaults(relation regclass, sealing boolean, OUT members regclass[], OUT commands text[])
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	unusable text;
BEGIN
	WITH defaults AS (
		SELECT a.attrelid::regclass AS member, a.attname, pg_get_expr(d.adbin, d.adrelid) AS expression,
			coalesce(phi.sealed_family(a.atttypid), substr(t.typname, length('encrypted_') + 1)) AS family
		FROM phi.tree(keep_defaults.relation) AS m (m) JOIN pg_attrdef d ON d.adrelid = m.m
			JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum JOIN pg_type t ON t.oid = a.atttypid
			JOIN phi.column_policy c ON c.relation = keep_defaults.relation AND c.column_name = a.attname
		WHERE c.kind <> 'none' AND c.sealed <> keep_defaults.sealing AND a.attgenerated = ''),
	converted AS (
		SELECT d.member, d.attname, CASE WHEN keep_defaults.sealing THEN format('(%s)::%s', d.expression, d.family)
				ELSE coalesce(substring(d.expression FROM '^\((.*)\)::' || CASE d.family WHEN 'timestamptz'
								THEN 'timestamp with time zone' ELSE d.family END || '$'), d.expression) END AS expression,
			NOT keep_defaults.sealing AND d.expression ~ '::phi\.encrypted_[a-z]+$' AS unusable
		FROM defaults d)
	SELECT array_agg(c.member), array_agg(format('ALTER TABLE ONLY %s ALTER COLUMN %I SET DEFAULT %s',
			c.member, c.attname, c.expression)), max(format('%s.%I', c.member, c.attname)) FILTER (WHERE c.unusable)
	INTO members, commands, unusable FROM converted c;
	IF unusable IS NOT NULL THEN
		RAISE EXCEPTION 'the default of column "%" is a sealed value', unusable
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Drop the default, and set it again afterwards.';
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.keep_defaults(regclass, boolean) FROM PUBLIC;
COMMENT ON FUNCTION phi.keep_defaults(regclass, boolean) IS
	'Internal: the commands that set the defaults of columns again after they were sealed or opened';

CREATE FUNCTION phi.convert_columns(relation regclass, clauses text, sealing boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	defaults record := phi.keep_defaults(relation, sealing);
BEGIN
	PERFORM phi.run_as_owner(relation, format('ALTER TABLE %s %s', relation, clauses), opening => NOT sealing);
	FOR i IN 1 .. coalesce(cardinality(defaults.commands), 0) LOOP
		PERFORM phi.run_as_owner(defaults.members[i], defaults.commands[i]);
	END LOOP;
END $$;
REVOKE ALL ON FUNCTION phi.convert_columns(regclass, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION phi.convert_columns(regclass, text, boolean) IS
	'Internal: changes column types as the table''s owner and keeps the defaults';

CREATE FUNCTION phi.seal_columns(relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	clauses text;
	binding text := phi.binding_arguments(relation);
BEGIN
	UPDATE phi.column_policy c
	SET plain_type = format_type(coalesce(phi.adopted_type(c.relation, c.column_name), a.atttypid), CASE
		WHEN phi.adopted_type(c.relation, c.column_name) IS NULL THEN a.atttypmod END)
	FROM pg_attribute a
	WHERE c.relation = seal_columns.relation AND NOT c.sealed AND a.attrelid = c.relation AND a.attname = c.column_name;
	SELECT string_agg(format('ALTER COLUMN %1$I DROP DEFAULT, ALTER COLUMN %1$I TYPE phi.encrypted_%2$s USING ' ||
							 CASE WHEN o.family IS NULL THEN 'phi.seal_in_place(%1$I%3$s::%2$s, %4$s, %5$s)'
								ELSE 'phi.adopt_in_place(NULL::phi.encrypted_%2$s, %1$I, %6$s, %4$s, %5$s)' END,
							 a.attname, coalesce(o.family, phi.sealed_family(a.atttypid)),
							 CASE WHEN a.atttypid IN ('float4'::regtype, 'float8'::regtype) THEN '::text' ELSE '' END,
							 c.column_id, binding, coalesce(quote_ident(o.iv), 'NULL')), ', ' ORDER BY a.attnum)
	INTO clauses
	FROM phi.column_policy c JOIN pg_attribute a ON a.attrelid = c.relation AND a.attname = c.column_name
		CROSS JOIN LATERAL phi.adoption(c.relation, c.column_name) o
	WHERE c.relation = seal_columns.relation AND c.kind <> 'none' AND NOT c.sealed;
	IF clauses IS NOT NULL THEN
		PERFORM phi.convert_columns(seal_columns.relation, clauses, true);
		UPDATE phi.column_policy c SET sealed = true WHERE c.relation = seal_columns.relation AND c.kind <> 'none';
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.seal_columns(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.seal_columns(regclass) IS
	'Internal: encrypts the classified columns of a table that are plain yet';

CREATE FUNCTION phi.open_columns(relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	clauses text;
	names text;
BEGIN
	SELECT string_agg(format('ALTER COLUMN %1$I DROP DEFAULT, ALTER COLUMN %1$I TYPE %2$s USING phi.open_in_place(%1$I)%3$s',
							 c.column_name, c.plain_type,
							 CASE WHEN t.typname = 'encrypted_text' AND y.typcategory <> 'S' THEN '::' || c.plain_type
								ELSE '' END), ', ' ORDER BY a.attnum),
		string_agg(format('"%s"', c.column_name), ', ' ORDER BY a.attnum)
	INTO clauses, names
	FROM phi.column_policy c JOIN pg_attribute a ON a.attrelid = c.relation AND a.attname = c.column_name
		JOIN pg_type t ON t.oid = a.atttypid JOIN pg_type y ON y.oid = c.plain_type::regtype
	WHERE c.relation = open_columns.relation AND c.sealed;
	IF clauses IS NOT NULL THEN
		PERFORM phi.convert_columns(open_columns.relation, clauses, false);
	END IF;
EXCEPTION WHEN data_exception THEN
	RAISE EXCEPTION 'columns % of table "%" hold a value that their former types cannot take', names, relation
		USING ERRCODE = 'data_exception', HINT = 'Find it with phi.reveal(), correct it and try again.';
END $$;
REVOKE ALL ON FUNCTION phi.open_columns(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.open_columns(regclass) IS
	'Internal: turns the encrypted columns of a table back to their former types';

CREATE FUNCTION phi.require_capture(capture text) RETURNS void
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF coalesce(capture NOT IN ('digest', 'row'), true) THEN
		RAISE EXCEPTION '"%" is not a way to capture changes', capture USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Use ''digest'' or ''row''.';
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.require_capture(text) FROM PUBLIC;
COMMENT ON FUNCTION phi.require_capture(text) IS 'Internal: raises an error unless it is a way to capture changes';

CREATE FUNCTION phi.require_options(relation regclass, capture text, shreddable boolean) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
	IF EXISTS (SELECT FROM phi.table_policy p WHERE p.relation = require_options.relation) THEN
		RAISE EXCEPTION 'table "%" is protected already', relation USING ERRCODE = 'object_not_in_prerequisite_state',
			HINT = 'A column of it is encrypted when phi.classify() names its kind.';
	ELSIF shreddable IS NULL THEN
		RAISE EXCEPTION 'shreddable must be true or false' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	PERFORM phi.require_capture(capture);
END $$;
REVOKE ALL ON FUNCTION phi.require_options(regclass, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION phi.require_options(regclass, text, boolean) IS
	'Internal: raises an error unless the table can be protected in the way asked for';

CREATE FUNCTION phi.protect(relation regclass, subject name, view text DEFAULT NULL, labels name DEFAULT NULL,
							capture text DEFAULT 'digest', shreddable boolean DEFAULT false) RETURNS regclass
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	wanted record;
	made regclass;
BEGIN
	PERFORM phi.require_preload();
	PERFORM phi.require_table(protect.relation);
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', protect.relation);
	PERFORM phi.require_options(protect.relation, protect.capture, protect.shreddable);
	IF protect.subject IS NULL THEN
		RAISE EXCEPTION 'no subject column given' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Name the column that says whose row it is.';
	END IF;
	PERFORM phi.require_column(protect.relation, n) FROM unnest(ARRAY[protect.subject, protect.labels]) n WHERE n IS NOT NULL;
	PERFORM phi.require_no_blocker(protect.relation, protect.subject, protect.labels, protect.view);
	PERFORM phi.ensure_keys();
	PERFORM phi.audit_install();

	INSERT INTO phi.table_policy (relation, subject_column, key_columns, labels_column, capture, row_security, force_row_security,
		shreddable)
	SELECT c.oid, protect.subject, phi.key_columns(c.oid), protect.labels, protect.capture, c.relrowsecurity,
		c.relforcerowsecurity, protect.shreddable
	FROM pg_class c WHERE c.oid = protect.relation;
	PERFORM phi.seal_columns(protect.relation);
	EXECUTE format('CREATE TRIGGER "~phi_seal" BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION phi.seal_row()',
				   protect.relation);
	PERFORM phi.guard_rows(protect.relation);
	SELECT * INTO wanted FROM phi.view_name(protect.relation, protect.view);
	made := phi.create_view(protect.relation, wanted.schema_name, wanted.view_name);
	PERFORM phi.audit_record('protect', protect.relation, format('subject %I, view %s%s', protect.subject, made,
		CASE WHEN protect.shreddable THEN ', a key for each subject' ELSE '' END));
	RETURN made;
END $$;
REVOKE ALL ON FUNCTION phi.protect(regclass, name, text, name, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION phi.protect(regclass, name, text, name, text, boolean) IS
	'Encrypts the classified columns of a table, guards its rows, audits its changes and creates its redacted view';

CREATE FUNCTION phi.set_capture(relation regclass, capture text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	PERFORM phi.require_preload();
	PERFORM phi.require_capture(set_capture.capture);
	PERFORM phi.require_protected(set_capture.relation);
	PERFORM phi.audit_install();
	UPDATE phi.table_policy p SET capture = set_capture.capture
	WHERE p.relation = set_capture.relation AND p.capture <> set_capture.capture;
	IF FOUND THEN
		PERFORM phi.audit_record('set_capture', set_capture.relation, set_capture.capture);
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.set_capture(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.set_capture(regclass, text) IS
	'Sets how changes of a protected table are recorded from now on: by ''digest'', or with the images of the ''row'' before and after';

CREATE FUNCTION phi.unguard_rows(member regclass, row_security boolean, force_row_security boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('DROP POLICY IF EXISTS phi_access ON %s', member);
	EXECUTE format('DROP POLICY IF EXISTS phi_rows ON %s', member);
	IF NOT row_security THEN
		EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', member);
	END IF;
	IF NOT force_row_security THEN
		EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', member);
	END IF;
	PERFORM phi.audit_detach(member);
END $$;
REVOKE ALL ON FUNCTION phi.unguard_rows(regclass, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION phi.unguard_rows(regclass, boolean, boolean) IS
	'Internal: takes the policies and the change capture of a table away';

CREATE FUNCTION phi.unprotect(relation regclass) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	policy phi.table_policy;
	member regclass;
BEGIN
	PERFORM phi.require_preload();
	PERFORM phi.require_table(unprotect.relation);
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', unprotect.relation);
	SELECT * INTO policy FROM phi.table_policy p WHERE p.relation = unprotect.relation;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'table "%" is not protected', unprotect.relation USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	PERFORM phi.drop_view(unprotect.relation, v) FROM phi.views_of(unprotect.relation) v;
	DELETE FROM phi.view_profile v WHERE v.relation = unprotect.relation;
	DELETE FROM phi.table_policy p WHERE p.relation = unprotect.relation;
	FOR member IN SELECT phi.tree(unprotect.relation) LOOP
		-- Of partitions nothing is on record: policies of their own stay in force.
		PERFORM phi.unguard_rows(member,
			CASE WHEN member = unprotect.relation THEN policy.row_security ELSE EXISTS (
				SELECT FROM pg_policy y WHERE y.polrelid = member AND y.polname NOT IN ('phi_access', 'phi_rows')) END,
			member = unprotect.relation AND policy.force_row_security);
	END LOOP;
	EXECUTE format('DROP TRIGGER IF EXISTS "~phi_seal" ON %s', unprotect.relation);
	PERFORM phi.open_columns(unprotect.relation);

	WITH opened AS (
		UPDATE phi.column_policy c SET relation = NULL WHERE c.relation = unprotect.relation AND c.sealed
		RETURNING c.column_name, c.kind, c.searchable, c.plain_type, c.scrubbed, c.search_context)
	INSERT INTO phi.column_policy (relation, column_name, kind, searchable, plain_type, scrubbed, search_context,
		search_generation, next_generation, search_buckets, search_moved)
	SELECT unprotect.relation, o.column_name, o.kind, o.searchable, o.plain_type, o.scrubbed, o.search_context, s.*
	FROM opened o CROSS JOIN LATERAL phi.context_state(o.search_context) s ORDER BY o.column_name;
	PERFORM phi.audit_record('unprotect', unprotect.relation, NULL);
END $$;
REVOKE ALL ON FUNCTION phi.unprotect(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.unprotect(regclass) IS
	'Turns a protected table back to plain text: types, defaults and row security as they were; the classification stays';

CREATE VIEW phi.protected_table AS
	SELECT p.relation, p.subject_column, p.key_columns, p.labels_column, p.view, p.capture, p.protected_at, p.shreddable,
		(SELECT count(*) FROM phi.column_policy c
		 WHERE c.relation::oid OPERATOR(pg_catalog.=) p.relation::oid AND c.sealed) AS encrypted_columns
	FROM phi.table_policy p;
COMMENT ON VIEW phi.protected_table IS 'Protected tables: one row each';

CREATE VIEW phi.protected_column AS
	SELECT c.relation, c.column_name, c.kind, c.searchable, c.plain_type, c.sealed AS encrypted, c.scrubbed
	FROM phi.column_policy c WHERE c.relation IS NOT NULL;
COMMENT ON VIEW phi.protected_column IS 'Classified columns, encrypted or not: one row each';
