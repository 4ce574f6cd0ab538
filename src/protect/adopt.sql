-------------------------------------------------------------------------------
-- protect: adopting tables that are written to, and columns that are encrypted
-------------------------------------------------------------------------------

CREATE TABLE phi.online_state
(
	relation regclass PRIMARY KEY,
	subject_column name NOT NULL,
	labels_column name,
	view text,
	phase text NOT NULL CHECK (phase IN ('fill', 'validate', 'switch', 'clear')),
	witness text NOT NULL, -- changes when rows may have got out of step
	block bigint NOT NULL,
	pass integer NOT NULL,
	changed bigint NOT NULL, -- rows, in this pass
	member regclass -- the partition in work, or the table itself
);
COMMENT ON TABLE phi.online_state IS 'Where phi.protect_online goes on: one row for each table that it has not finished';
SELECT pg_catalog.pg_extension_config_dump('phi.online_state', '');

CREATE FUNCTION phi.seal_online() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_seal_online';
REVOKE ALL ON FUNCTION phi.seal_online() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.seal_online() TO PUBLIC; -- who creates a partition gets a copy of the trigger
COMMENT ON FUNCTION phi.seal_online() IS
	'BEFORE INSERT OR UPDATE row trigger of a table that is being protected: keeps the sealed twins of its columns in step';

CREATE FUNCTION phi.online_batch(relation regclass, first_block bigint, max_rows integer, clearing boolean,
		OUT next_block bigint, OUT changed integer, OUT blocks bigint) RETURNS record
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'phi_online_batch';
REVOKE ALL ON FUNCTION phi.online_batch(regclass, bigint, integer, boolean) FROM PUBLIC;
COMMENT ON FUNCTION phi.online_batch(regclass, bigint, integer, boolean) IS
	'Internal: seals the twins of up to so many rows from a block on, or clears them of dropped columns';

-- What must not happen meanwhile --------------------------------------------

CREATE FUNCTION phi.online_guard() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	concerned regclass := coalesce(NEW.relation, OLD.relation);
BEGIN
	IF EXISTS (SELECT FROM phi.online_state s JOIN pg_class c ON c.oid = s.relation
			   WHERE s.relation = concerned AND s.phase <> 'clear') THEN
		RAISE EXCEPTION 'table "%" is being protected: its protection and its classified columns cannot be changed', concerned
			USING ERRCODE = 'object_in_use', HINT = 'CALL phi.protect_online() to its end, or call phi.cancel_online().';
	END IF;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
REVOKE ALL ON FUNCTION phi.online_guard() FROM PUBLIC;
COMMENT ON FUNCTION phi.online_guard() IS
	'Row trigger of the policy tables: what phi.protect_online is at work on stays as it is';
CREATE TRIGGER online_guard BEFORE INSERT ON phi.table_policy
	FOR EACH ROW EXECUTE FUNCTION phi.online_guard();
CREATE TRIGGER online_guard BEFORE INSERT OR UPDATE OR DELETE ON phi.column_policy
	FOR EACH ROW EXECUTE FUNCTION phi.online_guard();

-- Names, and what a column has beside its values ----------------------------

CREATE FUNCTION phi.online_columns(relation regclass)
	RETURNS TABLE (column_id integer, plain name, twin name, filled name, family text, required boolean)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT c.column_id, a.attname, phi.fit_name(a.attname, '~phi_sealed'), phi.fit_name(a.attname, '~phi_filled'),
		phi.sealed_family(a.atttypid), a.attnotnull
	FROM phi.column_policy c JOIN pg_attribute a ON a.attrelid = c.relation AND a.attname = c.column_name
	WHERE c.relation = online_columns.relation AND c.kind <> 'none' AND NOT c.sealed
	ORDER BY a.attnum;
END $$;
REVOKE ALL ON FUNCTION phi.online_columns(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.online_columns(regclass) IS
	'Internal: the columns that phi.protect_online seals, with their twins and the constraints that stand for NOT NULL';

CREATE FUNCTION phi.column_trappings(relation regclass, columns name[]) RETURNS text[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN ARRAY(
		SELECT format('GRANT %s (%I) ON TABLE %s TO %s%s', x.privilege_type, a.attname, a.attrelid::regclass,
			coalesce(quote_ident(r.rolname), 'PUBLIC'), CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
		FROM pg_attribute a, aclexplode(a.attacl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
		WHERE a.attrelid IN (SELECT phi.tree(relation)) AND a.attname = ANY (columns) AND (x.grantee = 0 OR r.oid IS NOT NULL)
		UNION ALL
		SELECT format('COMMENT ON COLUMN %s.%I IS %L', a.attrelid::regclass, a.attname, d.description)
		FROM pg_description d JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
		WHERE d.classoid = 'pg_class'::regclass AND d.objoid IN (SELECT phi.tree(relation)) AND a.attname = ANY (columns)
		UNION ALL
		(SELECT format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', a.attrelid::regclass, a.attname)
		FROM pg_attribute a WHERE a.attrelid IN (SELECT phi.tree(relation)) AND a.attname = ANY (columns) AND a.attnotnull
		ORDER BY a.attrelid <> relation));
END $$;
REVOKE ALL ON FUNCTION phi.column_trappings(regclass, name[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.column_trappings(regclass, name[]) IS
	'Internal: the statements that give columns made anew the privileges, comments and NOT NULL of those of their names';

CREATE FUNCTION phi.online_witness(relation regclass) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	missing regclass;
	stamp text;
BEGIN
	SELECT min(t.t::oid) FILTER (WHERE g.oid IS NULL),
		string_agg(format('%s/%s', coalesce(pg_relation_filenode(t.t), 0), g.xmin), ' ' ORDER BY t.t::oid)
	INTO missing, stamp
	FROM phi.tree(relation) AS t (t)
		LEFT JOIN pg_trigger g ON g.tgrelid = t.t AND g.tgname = '~phi_online' AND g.tgenabled = 'A';
	IF missing IS NOT NULL THEN
		RAISE EXCEPTION 'trigger "~phi_online" of table "%" is missing or disabled', missing
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Have a superuser ENABLE it ALWAYS, or call phi.cancel_online() and begin again.';
	END IF;
	RETURN md5(stamp);
END $$;
REVOKE ALL ON FUNCTION phi.online_witness(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.online_witness(regclass) IS
	'Internal: a text that changes when the table or a partition is rewritten or made, or its trigger touched; raises an error when that is off';

-- protect_online -------------------------------------------------------------

CREATE FUNCTION phi.online_prepare(relation regclass, subject name, labels name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	keys name[] := phi.key_columns(relation);
	clauses text;
	arguments text;
	member regclass;
BEGIN
	SELECT string_agg(format('ADD COLUMN %I phi.encrypted_%s', c.twin, c.family), ', ')
			|| coalesce(string_agg(format(', ADD CONSTRAINT %I CHECK (%I IS NOT NULL) NOT VALID', c.filled, c.twin), '')
						FILTER (WHERE c.required), ''),
		format('%L, %L, %L', subject, coalesce(labels, ''), cardinality(keys))
			|| coalesce((SELECT string_agg(format(', %L', k), '' ORDER BY n) FROM unnest(keys) WITH ORDINALITY AS u (k, n)), '')
			|| string_agg(format(', %L, %L, %L', c.plain, c.twin, c.column_id), '')
	INTO clauses, arguments FROM phi.online_columns(relation) c;
	EXECUTE format('ALTER TABLE %s %s', relation, clauses);
	EXECUTE format('CREATE TRIGGER "~phi_online" BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION phi.seal_online(%s)',
				   relation, arguments);
	FOR member IN SELECT phi.tree(relation) LOOP
		EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER "~phi_online"', member);
	END LOOP;
END $$;
REVOKE ALL ON FUNCTION phi.online_prepare(regclass, name, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.online_prepare(regclass, name, name) IS
	'Internal: adds the twins, the constraints that stand for NOT NULL and the trigger';

CREATE FUNCTION phi.online_begin(relation regclass, subject name, view text, labels name, batch integer) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	state phi.online_state;
BEGIN
	PERFORM phi.require_preload();
	PERFORM phi.require_table(online_begin.relation);
	IF online_begin.batch IS NULL OR online_begin.batch < 1 THEN
		RAISE EXCEPTION 'a batch must have at least one row' USING ERRCODE = 'invalid_parameter_value';
	ELSIF online_begin.subject IS NULL THEN
		RAISE EXCEPTION 'no subject column given' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Name the column that says whose row it is.';
	END IF;
	DELETE FROM phi.progress p WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p.relation);
	DELETE FROM phi.online_state s WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation);
	DELETE FROM phi.online_state s WHERE s.phase = 'clear' -- unprotected since
		AND NOT EXISTS (SELECT FROM phi.table_policy p WHERE p.relation = s.relation);
	SELECT * INTO state FROM phi.online_state s WHERE s.relation = online_begin.relation FOR UPDATE;
	IF NOT FOUND THEN
		EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', online_begin.relation);
		SELECT * INTO state FROM phi.online_state s WHERE s.relation = online_begin.relation;
	END IF;
	IF state.relation IS NOT NULL THEN
		IF (state.subject_column, state.labels_column, state.view) IS DISTINCT FROM
			(online_begin.subject, online_begin.labels, online_begin.view) THEN
			RAISE EXCEPTION 'table "%" is being protected in another way', online_begin.relation
				USING ERRCODE = 'object_in_use', HINT = format('Its subject is %I%s%s. phi.cancel_online() takes that back.',
					state.subject_column, ', its labels ' || quote_ident(state.labels_column), ', its view ' || state.view);
		END IF;
		PERFORM phi.audit_record('protect_online', online_begin.relation, 'resumed');
		RETURN;
	END IF;
	PERFORM phi.require_options(online_begin.relation, 'digest', false);
	IF EXISTS (SELECT FROM phi.column_policy c WHERE c.relation = online_begin.relation AND c.next_generation IS NOT NULL) THEN
		RAISE EXCEPTION 'a search key of table "%" is being rotated', online_begin.relation
			USING ERRCODE = 'object_in_use', HINT = 'CALL phi.retag() to its end first.';
	END IF;
	PERFORM phi.require_column(online_begin.relation, n)
	FROM unnest(ARRAY[online_begin.subject, online_begin.labels]) n WHERE n IS NOT NULL;
	PERFORM phi.require_no_blocker(online_begin.relation, online_begin.subject, online_begin.labels, online_begin.view);
	PERFORM phi.ensure_keys();
	PERFORM phi.audit_install();
	PERFORM phi.online_prepare(online_begin.relation, online_begin.subject, online_begin.labels);
	INSERT INTO phi.online_state VALUES (online_begin.relation, online_begin.subject, online_begin.labels, online_begin.view,
		'fill', phi.online_witness(online_begin.relation), 0, 1, 0, phi.next_member(online_begin.relation, NULL));
	DELETE FROM phi.progress p WHERE p.relation = online_begin.relation AND p.operation = 'protect';
	INSERT INTO phi.progress (relation, operation, phase, unit) VALUES (online_begin.relation, 'protect', 'fill, pass 1', 'blocks');
	PERFORM phi.audit_record('protect_online', online_begin.relation, 'begun');
END $$;
REVOKE ALL ON FUNCTION phi.online_begin(regclass, name, text, name, integer) FROM PUBLIC;
COMMENT ON FUNCTION phi.online_begin(regclass, name, text, name, integer) IS
	'First step of phi.protect_online: prepares the table, or takes up a run that was interrupted';

CREATE FUNCTION phi.online_fill(state phi.online_state, batch integer) RETURNS phi.online_state
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	result record;
	clearing boolean := state.phase = 'clear';
BEGIN
	IF state.member IN (SELECT phi.tree(state.relation)) THEN
		SELECT * INTO result FROM phi.online_batch(state.member, state.block, greatest(batch, 1), clearing);
	ELSE
		SELECT NULL::bigint AS next_block, 0 AS changed, 0::bigint AS blocks INTO result; -- detached or dropped
	END IF;
	UPDATE phi.progress p SET phase = CASE WHEN clearing THEN 'clear' ELSE format('fill, pass %s', state.pass) END,
		changed = p.changed + CASE WHEN clearing THEN 0 ELSE result.changed END,
		done = coalesce(result.next_block, result.blocks), total = result.blocks, updated_at = clock_timestamp()
	WHERE p.relation = state.relation AND p.operation = 'protect';
	state.changed := state.changed + result.changed;
	state.block := result.next_block;
	IF state.block IS NULL THEN
		state.member := phi.next_member(state.relation, state.member);
		state.block := 0;
	END IF;
	IF state.member IS NULL THEN
		-- A pass that found nothing to do is the last one.
		state.phase := CASE WHEN clearing THEN NULL WHEN state.changed = 0 THEN 'validate' ELSE 'fill' END;
		state.pass := state.pass + 1;
		state.member := phi.next_member(state.relation, NULL);
		state.changed := 0;
	END IF;
	RETURN state;
END $$;
REVOKE ALL ON FUNCTION phi.online_fill(phi.online_state, integer) FROM PUBLIC;
COMMENT ON FUNCTION phi.online_fill(phi.online_state, integer) IS
	'Internal: one batch of phi.protect_online; phase NULL: all is done';

CREATE FUNCTION phi.online_validate(relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	command text;
BEGIN
	FOR command IN
		SELECT format('ALTER TABLE %s VALIDATE CONSTRAINT %I', relation, k.conname)
		FROM phi.online_columns(relation) c JOIN pg_constraint k ON k.conrelid = relation AND k.conname = c.filled
		WHERE NOT k.convalidated
	LOOP
		EXECUTE command;
	END LOOP;
END $$;
REVOKE ALL ON FUNCTION phi.online_validate(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.online_validate(regclass) IS
	'Internal: reads the table, below its writers, so that NOT NULL need not be checked under the exclusive lock';

CREATE FUNCTION phi.online_swap(relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	defaults record := phi.keep_defaults(relation, true);
	plains name[] := ARRAY(SELECT c.plain FROM phi.online_columns(relation) c);
	twins name[] := ARRAY(SELECT c.twin FROM phi.online_columns(relation) c);
	trappings text[] := phi.column_trappings(relation, plains);
	command text;
BEGIN
	FOREACH command IN ARRAY ARRAY(
		SELECT format('ALTER SEQUENCE %s OWNED BY %s.%I', d.objid::regclass, relation, c.twin)
		FROM phi.online_columns(relation) c JOIN pg_attribute a ON a.attrelid = relation AND a.attname = c.plain
			JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = relation AND d.refobjsubid = a.attnum
			JOIN pg_class q ON d.classid = 'pg_class'::regclass AND d.objid = q.oid AND q.relkind = 'S')
		|| ARRAY(SELECT format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', relation, c.twin)
				 FROM phi.online_columns(relation) c WHERE c.required)
		|| ARRAY(SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', relation, c.filled)
				 FROM phi.online_columns(relation) c)
	LOOP
		EXECUTE command;
	END LOOP;
	-- The policy names the twins, so that it does not go with the columns; the hook on RENAME lets it follow.
	UPDATE phi.column_policy c SET plain_type = format_type(a.atttypid, a.atttypmod), sealed = true, column_name = s.twin
	FROM phi.online_columns(online_swap.relation) s, pg_attribute a
	WHERE c.column_id = s.column_id AND a.attrelid = c.relation AND a.attname = s.plain;
	EXECUTE format('ALTER TABLE %s %s', relation,
				   (SELECT string_agg(format('DROP COLUMN %I', p), ', ') FROM unnest(plains) p));
	FOR i IN 1 .. cardinality(plains) LOOP
		EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', relation, twins[i], plains[i]);
	END LOOP;
	FOREACH command IN ARRAY trappings LOOP
		EXECUTE command;
	END LOOP;
	FOR i IN 1 .. coalesce(cardinality(defaults.commands), 0) LOOP
		PERFORM phi.run_as_owner(defaults.members[i], defaults.commands[i]);
	END LOOP;
END $$;
REVOKE ALL ON FUNCTION phi.online_swap(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.online_swap(regclass) IS
	'Internal: drops the plain columns and gives their names, defaults, privileges, comments and NOT NULL to the twins';

CREATE FUNCTION phi.online_switch(state phi.online_state) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	wanted record;
	made regclass;
BEGIN
	PERFORM phi.require_no_blocker(state.relation, state.subject_column, state.labels_column, state.view);
	UPDATE phi.online_state s SET phase = 'clear', member = phi.next_member(state.relation, NULL), block = 0
	WHERE s.relation = state.relation;
	EXECUTE format('DROP TRIGGER "~phi_online" ON %s', state.relation);
	PERFORM phi.online_swap(state.relation);
	INSERT INTO phi.table_policy (relation, subject_column, key_columns, labels_column, capture, row_security, force_row_security)
	SELECT c.oid, state.subject_column, phi.key_columns(c.oid), state.labels_column, 'digest', c.relrowsecurity,
		c.relforcerowsecurity
	FROM pg_class c WHERE c.oid = state.relation;
	EXECUTE format('CREATE TRIGGER "~phi_seal" BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION phi.seal_row()',
				   state.relation);
	PERFORM phi.guard_rows(state.relation);
	SELECT * INTO wanted FROM phi.view_name(state.relation, state.view);
	made := phi.create_view(state.relation, wanted.schema_name, wanted.view_name);
	UPDATE phi.progress p SET phase = 'clear', done = 0, total = NULL, updated_at = clock_timestamp()
	WHERE p.relation = state.relation AND p.operation = 'protect';
	PERFORM phi.audit_record('protect', state.relation, format('subject %I, view %s', state.subject_column, made));
END $$;
REVOKE ALL ON FUNCTION phi.online_switch(phi.online_state) FROM PUBLIC;
COMMENT ON FUNCTION phi.online_switch(phi.online_state) IS
	'Internal: under an exclusive lock, makes of a table whose twins are in step a protected one';

CREATE FUNCTION phi.online_end(relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	DELETE FROM phi.online_state s WHERE s.relation = online_end.relation;
	UPDATE phi.progress p SET phase = 'finished', done = p.total, updated_at = clock_timestamp(),
		finished_at = clock_timestamp()
	WHERE p.relation = online_end.relation AND p.operation = 'protect';
	PERFORM phi.audit_record('protect_online', online_end.relation, 'finished');
END $$;
REVOKE ALL ON FUNCTION phi.online_end(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.online_end(regclass) IS 'Internal: last step of phi.protect_online';

CREATE FUNCTION phi.online_step(relation regclass, batch integer) RETURNS boolean
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	state phi.online_state;
	witness text;
BEGIN
	PERFORM phi.require_preload();
	SELECT * INTO state FROM phi.online_state s WHERE s.relation = online_step.relation FOR UPDATE;
	IF NOT FOUND THEN
		IF EXISTS (SELECT FROM phi.table_policy p WHERE p.relation = online_step.relation) THEN
			RETURN false; -- another session has finished it
		END IF;
		RAISE EXCEPTION 'table "%" is not being protected', online_step.relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'It may have been canceled meanwhile: CALL phi.protect_online() to begin again.';
	END IF;
	IF state.phase = 'switch' THEN
		EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', online_step.relation);
	END IF;
	IF state.phase <> 'clear' THEN
		witness := phi.online_witness(online_step.relation);
		IF witness <> state.witness THEN
			-- Rewritten, or the trigger was off for a while: all is to be looked at again.
			state.witness := witness;
			state.phase := 'fill';
			state.pass := state.pass + 1;
			state.member := phi.next_member(online_step.relation, NULL);
			state.block := 0;
			state.changed := 0;
		END IF;
	END IF;
	CASE state.phase
	WHEN 'validate' THEN
		PERFORM phi.online_validate(online_step.relation);
		state.phase := 'switch';
	WHEN 'switch' THEN
		PERFORM phi.online_switch(state);
		RETURN true;
	ELSE
		state := phi.online_fill(state, online_step.batch);
		IF state.phase IS NULL THEN
			PERFORM phi.online_end(online_step.relation);
			RETURN false;
		END IF;
	END CASE;
	UPDATE phi.online_state s SET phase = state.phase, witness = state.witness, member = state.member, block = state.block,
		pass = state.pass, changed = state.changed
	WHERE s.relation = online_step.relation;
	RETURN true;
END $$;
REVOKE ALL ON FUNCTION phi.online_step(regclass, integer) FROM PUBLIC;
COMMENT ON FUNCTION phi.online_step(regclass, integer) IS
	'One step of phi.protect_online, within the transaction of the caller; false when there was nothing left to do';

-- Commits after each step: so it has neither SECURITY DEFINER nor SET, and
-- uses no operator and no name that its caller's search_path could change.
CREATE PROCEDURE phi.protect_online(relation regclass, subject name, view text DEFAULT NULL, labels name DEFAULT NULL,
									batch integer DEFAULT 10000)
	LANGUAGE plpgsql AS $$
BEGIN
	PERFORM phi.online_begin(relation, subject, view, labels, batch);
	COMMIT;
	WHILE phi.online_step(relation, batch) LOOP
		COMMIT;
	END LOOP;
END $$;
REVOKE ALL ON PROCEDURE phi.protect_online(regclass, name, text, name, integer) FROM PUBLIC;
COMMENT ON PROCEDURE phi.protect_online(regclass, name, text, name, integer) IS
	'phi.protect for a table that is written to, in transactions of up to batch rows; to be called again when it was interrupted';

CREATE FUNCTION phi.cancel_online(relation regclass) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	state phi.online_state;
	drops text;
BEGIN
	PERFORM phi.require_preload();
	SELECT * INTO state FROM phi.online_state s WHERE s.relation = cancel_online.relation FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'table "%" is not being protected', cancel_online.relation
			USING ERRCODE = 'object_not_in_prerequisite_state';
	ELSIF state.phase = 'clear' THEN
		RAISE EXCEPTION 'table "%" is protected already', cancel_online.relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call phi.unprotect() to take that back.';
	END IF;
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', cancel_online.relation);
	EXECUTE format('DROP TRIGGER IF EXISTS "~phi_online" ON %s', cancel_online.relation);
	SELECT string_agg(format('DROP COLUMN IF EXISTS %I', c.twin), ', ') INTO drops
	FROM phi.online_columns(cancel_online.relation) c;
	EXECUTE format('ALTER TABLE %s %s', cancel_online.relation, drops);
	DELETE FROM phi.online_state s WHERE s.relation = cancel_online.relation;
	UPDATE phi.progress p SET phase = 'canceled', updated_at = clock_timestamp(), finished_at = clock_timestamp()
	WHERE p.relation = cancel_online.relation AND p.operation = 'protect';
	PERFORM phi.audit_record('protect_online', cancel_online.relation, 'canceled');
END $$;
REVOKE ALL ON FUNCTION phi.cancel_online(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.cancel_online(regclass) IS
	'Takes back what phi.protect_online has done to a table so far: it is plain as before';
