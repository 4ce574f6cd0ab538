-------------------------------------------------------------------------------
-- protect: finding columns that may hold health information
-------------------------------------------------------------------------------

CREATE FUNCTION phi.kind_of_name(name text, type oid) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_kind_of_name';
REVOKE ALL ON FUNCTION phi.kind_of_name(text, oid) FROM PUBLIC;
COMMENT ON FUNCTION phi.kind_of_name(text, oid) IS
	'The kind of identifier that a column of this name and type may hold, or NULL';

CREATE FUNCTION phi.kind_of_value(value "any") RETURNS text
	LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_kind_of_value';
REVOKE ALL ON FUNCTION phi.kind_of_value("any") FROM PUBLIC;
COMMENT ON FUNCTION phi.kind_of_value("any") IS
	'The kind of identifier that a value looks like, by its form or checksum, or NULL';

-- Runs as the caller, who needs SELECT on the table for its values to be looked at.
CREATE FUNCTION phi.sample_kinds(relation regclass, column_name name, OUT sampled bigint, OUT kind text,
	OUT matched bigint) RETURNS record
	LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	pages real := (SELECT c.relpages FROM pg_class c WHERE c.oid = relation);
	sample text := CASE WHEN pages > 2000 THEN format('TABLESAMPLE SYSTEM (%s)', (100000.0 / pages)::numeric(12, 6)) ELSE '' END;
BEGIN
	-- What may run code of the table's owner is not read.
	IF NOT (has_table_privilege(relation, 'SELECT') AND
			(SELECT c.relkind IN ('r', 'p') AND NOT c.relrowsecurity FROM pg_class c WHERE c.oid = relation)) IS TRUE OR
		EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attgenerated NOT IN ('', 's')) THEN
		RETURN;
	END IF;
	EXECUTE format('SELECT coalesce(sum(n), 0)::bigint, (array_agg(k ORDER BY n DESC) FILTER (WHERE k IS NOT NULL))[1], '
			'coalesce(max(n) FILTER (WHERE k IS NOT NULL), 0)::bigint '
			'FROM (SELECT phi.kind_of_value(v) AS k, count(*) AS n FROM (SELECT %I AS v FROM %s %s) AS s '
			'GROUP BY 1) AS c', column_name, relation, sample || format(' WHERE %I IS NOT NULL LIMIT 1000', column_name))
		INTO sampled, kind, matched;
END $$;
REVOKE ALL ON FUNCTION phi.sample_kinds(regclass, name) FROM PUBLIC;
COMMENT ON FUNCTION phi.sample_kinds(regclass, name) IS
	'Internal: of at most 1000 values of a column that are not null, the kind that most look like; nulls where reading the table could run code';

CREATE FUNCTION phi.suggest(relation regclass) RETURNS TABLE (column_name name, data_type text, kind text,
	evidence text, sampled bigint, matched bigint, script text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	seen record;
BEGIN
	FOR column_name, data_type, kind IN
		SELECT a.attname, format_type(a.atttypid, a.atttypmod), phi.kind_of_name(a.attname::text, a.atttypid)
		FROM pg_attribute a
		WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
			AND NOT EXISTS (SELECT FROM phi.protected_column p WHERE p.relation = suggest.relation AND p.column_name = a.attname)
			AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype IN ('p', 'f') AND a.attnum = ANY (k.conkey))
		ORDER BY a.attnum
	LOOP
		evidence := CASE WHEN kind IS NOT NULL THEN 'name' END;
		sampled := NULL;
		matched := NULL;
		seen := phi.sample_kinds(relation, column_name);
		sampled := seen.sampled;
		IF seen.matched > 0 AND (seen.matched * 5 >= seen.sampled OR seen.kind = 'free_text') THEN
			matched := seen.matched;
			evidence := CASE WHEN kind IS NULL THEN 'values' ELSE 'name and values' END;
			kind := coalesce(kind, seen.kind);
		END IF;
		CONTINUE WHEN kind IS NULL;
		script := format('SELECT phi.classify(%L, %L, %L);', relation, column_name, kind);
		RETURN NEXT;
	END LOOP;
END $$;
REVOKE ALL ON FUNCTION phi.suggest(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.suggest(regclass) IS
	'Columns of a table that may hold health information and are not classified, with the kind that their name and their values speak of; shows no value, and reads none where row security or a virtual column could run code';

CREATE FUNCTION phi.suggest(schema regnamespace) RETURNS TABLE (relation regclass, column_name name, data_type text,
	kind text, evidence text, sampled bigint, matched bigint, script text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	BEGIN ATOMIC
		SELECT c.oid::regclass, s.column_name, s.data_type, s.kind, s.evidence, s.sampled, s.matched, s.script
		FROM pg_class AS c, phi.suggest(c.oid::regclass) AS s
		WHERE c.relnamespace = suggest.schema AND c.relkind IN ('r', 'p') AND NOT c.relispartition
		ORDER BY c.relname;
	END;
REVOKE ALL ON FUNCTION phi.suggest(regnamespace) FROM PUBLIC;
COMMENT ON FUNCTION phi.suggest(regnamespace) IS
	'The same for every table of a schema';
