-------------------------------------------------------------------------------
-- protect: new keys, old values under new keys, and the end of an old key
-------------------------------------------------------------------------------

CREATE TABLE phi.progress
(
	relation regclass NOT NULL,
	operation text NOT NULL,
	phase text,
	done bigint NOT NULL DEFAULT 0, -- of total, in unit, in this phase
	total bigint,
	unit text NOT NULL,
	changed bigint NOT NULL DEFAULT 0, -- rows, in all phases
	started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	finished_at timestamptz,
	PRIMARY KEY (relation, operation)
);
COMMENT ON TABLE phi.progress IS
	'How far the long operations on protected tables are; finished_at is NULL while there is work left';

CREATE TABLE phi.reseal_state
(
	relation regclass PRIMARY KEY,
	data_key integer NOT NULL,
	member regclass, -- the partition in work, or the table itself
	block bigint NOT NULL,
	pass integer NOT NULL,
	changed bigint NOT NULL, -- rows, in this pass
	unreadable bigint NOT NULL -- values, in this pass
);
COMMENT ON TABLE phi.reseal_state IS 'Where phi.reseal goes on: one row for each table that it has not finished';

-- Key-encryption key and data keys -----------------------------------------

CREATE FUNCTION phi.rotate_kek() RETURNS bigint
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	wrapped bigint;
BEGIN
	wrapped := phi.rewrap_keys();
	PERFORM phi.audit_record('rotate_kek', 'phi.data_key', format('%s keys wrapped under version %s', wrapped,
		(SELECT max(k.kek_version) FROM phi.data_key k)));
	RETURN wrapped;
END $$;
REVOKE ALL ON FUNCTION phi.rotate_kek() FROM PUBLIC;
COMMENT ON FUNCTION phi.rotate_kek() IS
	'Wraps every key of this database anew under the highest version of the key-encryption key; returns how many';

CREATE FUNCTION phi.require_protected(relation regclass) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM phi.require_preload();
	IF NOT EXISTS (SELECT FROM phi.table_policy p WHERE p.relation = require_protected.relation) THEN
		RAISE EXCEPTION 'table "%" is not protected', require_protected.relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'A partition has the keys of its topmost parent: name that.';
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.require_protected(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.require_protected(regclass) IS
	'Internal: raises an error unless phi.protect was called for the table';

CREATE FUNCTION phi.rotate_key(relation regclass DEFAULT NULL) RETURNS integer
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	made integer;
BEGIN
	IF rotate_key.relation IS NOT NULL THEN
		PERFORM phi.require_protected(rotate_key.relation);
		IF (SELECT p.shreddable FROM phi.table_policy p WHERE p.relation = rotate_key.relation) THEN
			RAISE EXCEPTION 'table "%" has a key for each subject', rotate_key.relation
				USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'phi.rotate_kek() wraps those anew.';
		END IF;
	END IF;
	made := phi.make_data_key(rotate_key.relation);
	PERFORM phi.audit_record('rotate_key', coalesce(rotate_key.relation, 'phi.data_key'),
		format('data key %s is the current one', made));
	RETURN made;
END $$;
REVOKE ALL ON FUNCTION phi.rotate_key(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.rotate_key(regclass) IS
	'Makes a new data key for what is written from now on: in a table, or in all that have no key of their own; returns its id';

-- Sealing old values anew ---------------------------------------------------

CREATE FUNCTION phi.reseal_batch(member regclass, first_block bigint, max_rows integer,
		OUT next_block bigint, OUT changed integer, OUT unreadable integer, OUT blocks bigint) RETURNS record
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'phi_reseal_batch';
REVOKE ALL ON FUNCTION phi.reseal_batch(regclass, bigint, integer) FROM PUBLIC;
COMMENT ON FUNCTION phi.reseal_batch(regclass, bigint, integer) IS
	'Internal: seals up to so many rows of a table anew under its current data key, from a block on';

CREATE FUNCTION phi.wait_for_writers(relations regclass[]) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'phi_wait_for_writers';
REVOKE ALL ON FUNCTION phi.wait_for_writers(regclass[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.wait_for_writers(regclass[]) IS
	'Internal: waits until the transactions that may have written to the tables until now have ended';

CREATE FUNCTION phi.next_member(relation regclass, after regclass) RETURNS regclass
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN (SELECT min(c.oid) FROM phi.tree(relation) AS t (t) JOIN pg_class c ON c.oid = t.t
			WHERE c.relkind = 'r' AND (after IS NULL OR c.oid > after));
END $$;
REVOKE ALL ON FUNCTION phi.next_member(regclass, regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.next_member(regclass, regclass) IS
	'Internal: the tables that hold the rows of a table, one after the other';

CREATE FUNCTION phi.reseal_begin(relation regclass, batch integer) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	resumed boolean;
BEGIN
	PERFORM phi.require_protected(reseal_begin.relation);
	IF reseal_begin.batch IS NULL OR reseal_begin.batch < 1 THEN
		RAISE EXCEPTION 'a batch must have at least one row' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM phi.wait_for_writers(ARRAY(SELECT phi.tree(reseal_begin.relation)));
	DELETE FROM phi.progress p WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p.relation);
	DELETE FROM phi.reseal_state s WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation);
	INSERT INTO phi.reseal_state (relation, data_key, member, block, pass, changed, unreadable)
	VALUES (reseal_begin.relation, phi.write_key(reseal_begin.relation), phi.next_member(reseal_begin.relation, NULL),
			0, 1, 0, 0)
	ON CONFLICT DO NOTHING;
	resumed := NOT FOUND;
	IF NOT resumed THEN
		DELETE FROM phi.progress p WHERE p.relation = reseal_begin.relation AND p.operation = 'reseal';
		INSERT INTO phi.progress (relation, operation, phase, unit) VALUES (reseal_begin.relation, 'reseal', 'pass 1', 'blocks');
	END IF;
	PERFORM phi.audit_record('reseal', reseal_begin.relation, CASE WHEN resumed THEN 'resumed' ELSE 'begun' END);
END $$;
REVOKE ALL ON FUNCTION phi.reseal_begin(regclass, integer) FROM PUBLIC;
COMMENT ON FUNCTION phi.reseal_begin(regclass, integer) IS
	'First step of phi.reseal: begins anew, or takes up a run that was interrupted';

CREATE FUNCTION phi.reseal_end(relation regclass, unreadable bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	changed bigint;
BEGIN
	DELETE FROM phi.reseal_state s WHERE s.relation = reseal_end.relation;
	UPDATE phi.progress p SET phase = 'finished', done = p.total, updated_at = clock_timestamp(),
		finished_at = clock_timestamp()
	WHERE p.relation = reseal_end.relation AND p.operation = 'reseal'
	RETURNING p.changed INTO changed;
	PERFORM phi.audit_record('reseal', reseal_end.relation, format('finished: %s rows, data key %s', changed,
		CASE WHEN (SELECT p.shreddable FROM phi.table_policy p WHERE p.relation = reseal_end.relation) THEN 'of each subject'
			ELSE phi.write_key(reseal_end.relation)::text END));
	IF reseal_end.unreadable > 0 THEN
		RAISE WARNING '% values of table "%" do not open and were left as they are', reseal_end.unreadable,
			reseal_end.relation USING HINT = 'phi.key_usage() tells which data keys they are under.';
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.reseal_end(regclass, bigint) FROM PUBLIC;
COMMENT ON FUNCTION phi.reseal_end(regclass, bigint) IS 'Internal: last step of phi.reseal';

-- A pass may miss a row that a writer moves, with its old value, to a place
-- that was read already: so passes follow until one finds nothing to do.
CREATE FUNCTION phi.reseal_step(relation regclass, batch integer) RETURNS boolean
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	state phi.reseal_state;
	result record;
	current_key integer;
BEGIN
	PERFORM phi.require_protected(reseal_step.relation);
	SELECT * INTO state FROM phi.reseal_state s WHERE s.relation = reseal_step.relation FOR UPDATE;
	IF NOT FOUND THEN
		RETURN false; -- another session has finished it
	END IF;
	current_key := phi.write_key(reseal_step.relation);
	IF state.data_key <> current_key THEN
		-- Rotated again meanwhile: what this run has done is old already.
		state.data_key := current_key;
		state.member := phi.next_member(reseal_step.relation, NULL);
		state.block := 0;
		state.changed := 0;
		state.unreadable := 0;
	END IF;
	IF state.member IS NOT NULL THEN
		IF EXISTS (SELECT FROM phi.tree(reseal_step.relation) AS t (t) WHERE t.t = state.member) THEN
			SELECT * INTO result FROM phi.reseal_batch(state.member, state.block, greatest(reseal_step.batch, 1));
			state.changed := state.changed + result.changed;
			state.unreadable := state.unreadable + result.unreadable;
			state.block := result.next_block;
			UPDATE phi.progress p SET phase = format('pass %s', state.pass), changed = p.changed + result.changed,
				done = coalesce(result.next_block, result.blocks), total = result.blocks, updated_at = clock_timestamp()
			WHERE p.relation = reseal_step.relation AND p.operation = 'reseal';
		ELSE
			state.block := NULL; -- dropped or detached
		END IF;
		IF state.block IS NULL THEN
			state.member := phi.next_member(reseal_step.relation, state.member);
			state.block := 0;
		END IF;
	END IF;
	IF state.member IS NULL THEN
		IF state.changed = 0 THEN
			PERFORM phi.reseal_end(reseal_step.relation, state.unreadable);
			RETURN false;
		END IF;
		state.member := phi.next_member(reseal_step.relation, NULL);
		state.pass := state.pass + 1;
		state.changed := 0;
		state.unreadable := 0;
	END IF;
	UPDATE phi.reseal_state s SET data_key = state.data_key, member = state.member, block = state.block,
		pass = state.pass, changed = state.changed, unreadable = state.unreadable
	WHERE s.relation = reseal_step.relation;
	RETURN true;
END $$;
REVOKE ALL ON FUNCTION phi.reseal_step(regclass, integer) FROM PUBLIC;
COMMENT ON FUNCTION phi.reseal_step(regclass, integer) IS
	'One batch of phi.reseal, within the transaction of the caller; false when there was nothing left to do';

-- Commits after each batch: so it has neither SECURITY DEFINER nor SET, and
-- uses no operator and no name that its caller's search_path could change.
CREATE PROCEDURE phi.reseal(relation regclass, batch integer DEFAULT 10000)
	LANGUAGE plpgsql AS $$
BEGIN
	PERFORM phi.reseal_begin(relation, batch);
	COMMIT;
	WHILE phi.reseal_step(relation, batch) LOOP
		COMMIT;
	END LOOP;
END $$;
REVOKE ALL ON PROCEDURE phi.reseal(regclass, integer) FROM PUBLIC;
COMMENT ON PROCEDURE phi.reseal(regclass, integer) IS
	'Seals the values of a protected table that are under an old data key anew, in transactions of up to batch rows; to be called again when it was interrupted';

-- What is under which key ---------------------------------------------------

CREATE FUNCTION phi.count_keys(relation regclass)
	RETURNS TABLE (column_number smallint, dek_id integer, "values" bigint)
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'phi_count_keys';
REVOKE ALL ON FUNCTION phi.count_keys(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.count_keys(regclass) IS
	'Internal: the values in the encrypted columns of one table, by data key';

CREATE FUNCTION phi.node_keys(expression pg_node_tree)
	RETURNS TABLE (column_number smallint, dek_id integer, "values" bigint)
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'phi_node_keys';
REVOKE ALL ON FUNCTION phi.node_keys(pg_node_tree) FROM PUBLIC;
COMMENT ON FUNCTION phi.node_keys(pg_node_tree) IS
	'Internal: the sealed constants in a stored expression, by data key';

CREATE FUNCTION phi.encrypted_relations() RETURNS SETOF regclass
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY
	SELECT c.oid::regclass FROM pg_class c
	WHERE c.relkind IN ('r', 'm') AND NOT pg_is_other_temp_schema(c.relnamespace) AND EXISTS (
		SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
			AND t.typnamespace = 'phi'::regnamespace AND t.typname LIKE 'encrypted\_%')
	ORDER BY c.oid;
END $$;
REVOKE ALL ON FUNCTION phi.encrypted_relations() FROM PUBLIC;
COMMENT ON FUNCTION phi.encrypted_relations() IS
	'Internal: every table and materialized view with an encrypted column, protected or not';

CREATE FUNCTION phi.stored_expressions() RETURNS TABLE (class_id oid, object_id oid, expression pg_node_tree)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY
	SELECT s.* FROM (
		SELECT d.tableoid, d.oid, d.adbin FROM pg_attrdef d
		UNION ALL SELECT w.tableoid, w.oid, n.n FROM pg_rewrite w CROSS JOIN LATERAL (VALUES (w.ev_action), (w.ev_qual)) n (n)
		UNION ALL SELECT k.tableoid, k.oid, k.conbin FROM pg_constraint k
		UNION ALL SELECT g.tableoid, g.oid, g.tgqual FROM pg_trigger g
		UNION ALL SELECT y.tableoid, y.oid, n.n FROM pg_policy y CROSS JOIN LATERAL (VALUES (y.polqual), (y.polwithcheck)) n (n)
		UNION ALL SELECT c.tableoid, c.oid, n.n FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
			CROSS JOIN LATERAL (VALUES (i.indexprs), (i.indpred)) n (n)
		UNION ALL SELECT p.tableoid, p.oid, p.prosqlbody FROM pg_proc p) AS s (class_id, object_id, expression)
	WHERE s.object_id >= 16384 AND s.expression IS NOT NULL;
END $$;
REVOKE ALL ON FUNCTION phi.stored_expressions() FROM PUBLIC;
COMMENT ON FUNCTION phi.stored_expressions() IS
	'Internal: the expressions that the catalogs keep: defaults, views, rules, constraints, policies, indexes, functions';

CREATE FUNCTION phi.key_usage() RETURNS TABLE (dek_id integer, state text, object text, "values" bigint)
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH used AS (
		SELECT u.dek_id, format('%s.%I', coalesce(pg_partition_root(r.r), r.r), a.attname) AS object, u."values"
		FROM phi.encrypted_relations() AS r (r) CROSS JOIN LATERAL phi.count_keys(r.r) u
			JOIN pg_attribute a ON a.attrelid = r.r AND a.attnum = u.column_number
		UNION ALL
		SELECT u.dek_id, pg_describe_object(e.class_id, e.object_id, 0), u."values"
		FROM phi.stored_expressions() e CROSS JOIN LATERAL phi.node_keys(e.expression) u
		UNION ALL
		SELECT u.dek_id, 'phi_audit.event.images', u."values" FROM phi.image_usage() u)
	SELECT n.dek_id, coalesce(k.state, s.state, 'unknown'), u.object, coalesce(sum(u."values"), 0)::bigint
	FROM (SELECT * FROM phi.data_key d WHERE d.scope <> 'root') k FULL JOIN used u ON u.dek_id = k.dek_id
		LEFT JOIN phi.subject_key s ON s.dek_id = u.dek_id
		CROSS JOIN LATERAL (SELECT CASE WHEN s.dek_id IS NULL THEN coalesce(k.dek_id, u.dek_id) END) AS n (dek_id)
	GROUP BY n.dek_id, 2, u.object
	ORDER BY n.dek_id, u.object COLLATE "C", 2;
END $$;
REVOKE ALL ON FUNCTION phi.key_usage() FROM PUBLIC;
COMMENT ON FUNCTION phi.key_usage() IS
	'The number of values under each data key, by column or stored expression, and of audit events with images under it; those under keys of subjects in one row, without an id, for each state: reads every table with an encrypted column';

CREATE FUNCTION phi.destroy_key(dek_id integer) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	key phi.data_key;
	used record;
BEGIN
	PERFORM phi.require_preload();
	-- Who wrote before the key ceased to be the current one must have come to an end: awaited before we
	-- hold a lock that a writer could wait for.
	PERFORM phi.wait_for_writers(ARRAY(SELECT phi.encrypted_relations()));
	LOCK TABLE phi.data_key IN SHARE ROW EXCLUSIVE MODE;
	SELECT * INTO key FROM phi.data_key k WHERE k.dek_id = destroy_key.dek_id;
	IF NOT FOUND OR key.state = 'destroyed' THEN
		RAISE EXCEPTION 'data key % does not exist or was destroyed', destroy_key.dek_id USING ERRCODE = 'undefined_object';
	ELSIF key.scope <> 'data' OR key.state <> 'previous' THEN
		RAISE EXCEPTION 'data key % is in use', destroy_key.dek_id USING ERRCODE = 'object_in_use',
			HINT = 'Only a key that phi.rotate_key() has replaced can be destroyed.';
	END IF;
	SELECT u.object, u."values" INTO used FROM phi.key_usage() u
	WHERE u.dek_id = destroy_key.dek_id AND u."values" > 0 ORDER BY u.object COLLATE "C" LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'data key % still seals values', destroy_key.dek_id USING ERRCODE = 'object_in_use',
			DETAIL = format('%s: %s.', used.object, used."values"),
			HINT = 'CALL phi.reseal() for the protected tables, phi.audit_erase_images() for images in the audit log; see phi.key_usage() for the rest.';
	END IF;
	UPDATE phi.data_key k SET state = 'destroyed', wrapped = NULL WHERE k.dek_id = destroy_key.dek_id;
	PERFORM phi.audit_record('destroy_key', 'phi.data_key', format('data key %s', destroy_key.dek_id));
END $$;
REVOKE ALL ON FUNCTION phi.destroy_key(integer) FROM PUBLIC;
COMMENT ON FUNCTION phi.destroy_key(integer) IS
	'Destroys a previous data key that no stored value is under';
