-------------------------------------------------------------------------------
-- protect: a new key for a search context, and the tags that are moved to it
-------------------------------------------------------------------------------

CREATE FUNCTION phi.search_column(relation regclass, column_name name) RETURNS phi.column_policy
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	present phi.column_policy;
BEGIN
	PERFORM phi.require_preload();
	SELECT * INTO present FROM phi.column_policy c
	WHERE c.relation = search_column.relation AND c.column_name = search_column.column_name AND c.sealed AND c.searchable;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'column "%" of table "%" is not a searchable column', search_column.column_name, search_column.relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Name an encrypted column that was classified as searchable, and its topmost table.';
	END IF;
	RETURN present;
END $$;
REVOKE ALL ON FUNCTION phi.search_column(regclass, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.search_column(regclass, name) IS 'Internal: the searchable column, or an error';

CREATE FUNCTION phi.context_members(present phi.column_policy) RETURNS regclass[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN ARRAY(
		SELECT DISTINCT t.t FROM phi.column_policy c CROSS JOIN LATERAL phi.tree(c.relation) AS t (t)
		WHERE c.relation IS NOT NULL AND c.sealed AND c.searchable AND EXISTS (SELECT FROM pg_class r WHERE r.oid = c.relation)
			AND (c.column_id = present.column_id OR c.search_context = present.search_context)
		ORDER BY t.t);
END $$;
REVOKE ALL ON FUNCTION phi.context_members(phi.column_policy) FROM PUBLIC;
COMMENT ON FUNCTION phi.context_members(phi.column_policy) IS
	'Internal: the tables, with their partitions, that have a column of the search context of this one';

CREATE FUNCTION phi.rotate_search_key(relation regclass, column_name name, batch integer DEFAULT 10000) RETURNS integer
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	present phi.column_policy;
	members regclass[];
	buckets integer;
BEGIN
	LOCK TABLE phi.column_policy IN SHARE ROW EXCLUSIVE MODE;
	present := phi.search_column(rotate_search_key.relation, rotate_search_key.column_name);
	IF rotate_search_key.batch IS NULL OR rotate_search_key.batch < 1 THEN
		RAISE EXCEPTION 'a batch must have at least one row' USING ERRCODE = 'invalid_parameter_value';
	ELSIF present.next_generation IS NOT NULL THEN
		RAISE EXCEPTION 'the search key of column "%" of table "%" is being rotated already', rotate_search_key.column_name,
			rotate_search_key.relation USING ERRCODE = 'object_in_use', HINT = 'CALL phi.retag() to its end.';
	ELSIF present.search_generation = 255 THEN
		RAISE EXCEPTION 'search key generation 255 is the last one' USING ERRCODE = 'program_limit_exceeded',
			HINT = 'Call phi.unprotect() for the table, and protect it again.';
	END IF;
	members := phi.context_members(present);
	-- Of what a row weighs at least the count of rows is guessed.
	SELECT least(greatest(1 + sum(pg_relation_size(m)) / 200 / rotate_search_key.batch, 1), 256) INTO buckets
	FROM unnest(members) m;
	UPDATE phi.column_policy c SET next_generation = present.search_generation + 1, search_buckets = buckets, search_moved = 0
	WHERE c.column_id = present.column_id OR c.search_context = present.search_context;
	PERFORM phi.forget_plans(members);
	DELETE FROM phi.progress p WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p.relation)
		OR p.relation = rotate_search_key.relation AND p.operation = 'retag ' || rotate_search_key.column_name;
	INSERT INTO phi.progress (relation, operation, phase, total, unit)
	VALUES (rotate_search_key.relation, 'retag ' || rotate_search_key.column_name, 'announced', buckets, 'parts');
	PERFORM phi.audit_record('rotate_search_key', rotate_search_key.relation, format('%I: generation %s%s', rotate_search_key.column_name,
		present.search_generation + 1, ' of context ' || quote_ident(present.search_context)));
	RETURN present.search_generation + 1;
END $$;
REVOKE ALL ON FUNCTION phi.rotate_search_key(regclass, name, integer) FROM PUBLIC;
COMMENT ON FUNCTION phi.rotate_search_key(regclass, name, integer) IS
	'Announces a new key for the search context of a column, for all columns of that context; phi.retag moves the tags. Returns its generation';

-- Its lock timeout, below deadlock_timeout, makes it and not a writer give way.
CREATE FUNCTION phi.retag_try(present phi.column_policy, OUT changed bigint, OUT unreadable bigint) RETURNS record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '300ms' AS $$
BEGIN
	SELECT r.changed, r.unreadable INTO changed, unreadable
	FROM phi.retag_part(present.column_id, phi.context_members(present)) r;
	LOCK TABLE phi.column_policy IN SHARE ROW EXCLUSIVE MODE; -- who classifies a column copies its context's state
	UPDATE phi.column_policy c SET search_moved = c.search_moved + 1
	WHERE c.column_id = present.column_id OR c.search_context = present.search_context;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
	changed := NULL;
END $$;
REVOKE ALL ON FUNCTION phi.retag_try(phi.column_policy) FROM PUBLIC;
COMMENT ON FUNCTION phi.retag_try(phi.column_policy) IS
	'Internal: moves one part of the tags of a context; changed NULL: a writer was in the way, and nothing has happened';

CREATE FUNCTION phi.retag_part(column_id integer, members regclass[], OUT changed bigint, OUT unreadable bigint) RETURNS record
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'phi_retag_part';
REVOKE ALL ON FUNCTION phi.retag_part(integer, regclass[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.retag_part(integer, regclass[]) IS
	'Internal: gives the values of one part of a search context tags of the next generation';

CREATE FUNCTION phi.wait_for_users(relations regclass[]) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'phi_wait_for_users';
REVOKE ALL ON FUNCTION phi.wait_for_users(regclass[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.wait_for_users(regclass[]) IS
	'Internal: waits until the transactions that use the tables now have ended';

CREATE FUNCTION phi.wait_for_snapshots() RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'phi_wait_for_snapshots';
REVOKE ALL ON FUNCTION phi.wait_for_snapshots() FROM PUBLIC;
COMMENT ON FUNCTION phi.wait_for_snapshots() IS 'Internal: waits until no snapshot is older than this call';

CREATE FUNCTION phi.forget_plans(relations regclass[]) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'phi_forget_plans';
REVOKE ALL ON FUNCTION phi.forget_plans(regclass[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.forget_plans(regclass[]) IS
	'Internal: every session plans its statements on these tables anew';

CREATE FUNCTION phi.retag_end(present phi.column_policy, relation regclass, column_name name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	moved bigint;
BEGIN
	PERFORM phi.wait_for_snapshots();
	LOCK TABLE phi.column_policy IN SHARE ROW EXCLUSIVE MODE;
	UPDATE phi.column_policy c
	SET search_generation = present.next_generation, next_generation = NULL, search_buckets = NULL, search_moved = NULL
	WHERE c.column_id = present.column_id OR c.search_context = present.search_context;
	PERFORM phi.forget_plans(phi.context_members(present));
	UPDATE phi.progress p SET phase = 'finished', done = p.total, updated_at = clock_timestamp(), finished_at = clock_timestamp()
	WHERE p.relation = retag_end.relation AND p.operation = 'retag ' || retag_end.column_name
	RETURNING p.changed INTO moved;
	PERFORM phi.audit_record('rotate_search_key', retag_end.relation, format('%I: finished, generation %s', retag_end.column_name,
		present.next_generation));
END $$;
REVOKE ALL ON FUNCTION phi.retag_end(phi.column_policy, regclass, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.retag_end(phi.column_policy, regclass, name) IS 'Internal: last step of phi.retag';

CREATE FUNCTION phi.retag_step(relation regclass, column_name name) RETURNS boolean
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	present phi.column_policy;
	result record;
	pause float8 := 0.02;
BEGIN
	present := phi.search_column(retag_step.relation, retag_step.column_name);
	PERFORM FROM phi.column_policy c
	WHERE c.column_id = present.column_id OR c.search_context = present.search_context ORDER BY c.column_id FOR UPDATE;
	present := phi.search_column(retag_step.relation, retag_step.column_name);
	IF present.next_generation IS NULL THEN
		RETURN false;
	ELSIF present.search_moved = present.search_buckets THEN
		PERFORM phi.retag_end(present, retag_step.relation, retag_step.column_name);
		RETURN false;
	ELSIF present.search_moved = 0 THEN
		PERFORM phi.wait_for_users(phi.context_members(present));
	END IF;
	LOOP
		SELECT * INTO result FROM phi.retag_try(present);
		EXIT WHEN result.changed IS NOT NULL;
		PERFORM pg_sleep(pause * (0.5 + random()));
		pause := least(pause * 2, 1);
	END LOOP;
	UPDATE phi.progress p SET phase = 'moving', done = present.search_moved + 1, changed = p.changed + result.changed,
		updated_at = clock_timestamp()
	WHERE p.relation = retag_step.relation AND p.operation = 'retag ' || retag_step.column_name;
	IF result.unreadable > 0 THEN
		RAISE WARNING '% values of the search context of column "%" of table "%" do not open and keep their old tags',
			result.unreadable, retag_step.column_name, retag_step.relation
			USING HINT = 'No search will find them.';
	END IF;
	RETURN true;
END $$;
REVOKE ALL ON FUNCTION phi.retag_step(regclass, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.retag_step(regclass, name) IS
	'One part of phi.retag, within the transaction of the caller; false when there was nothing left to do';

-- Commits after each part: see phi.reseal.
CREATE PROCEDURE phi.retag(relation regclass, column_name name)
	LANGUAGE plpgsql AS $$
BEGIN
	WHILE phi.retag_step(relation, column_name) LOOP
		COMMIT;
	END LOOP;
END $$;
REVOKE ALL ON PROCEDURE phi.retag(regclass, name) FROM PUBLIC;
COMMENT ON PROCEDURE phi.retag(regclass, name) IS
	'Moves the tags of a search context to the key that phi.rotate_search_key announced, one part a transaction; to be called again when it was interrupted';
