-------------------------------------------------------------------------------
-- protect: how well people in a table or view hide among each other
-------------------------------------------------------------------------------

CREATE FUNCTION phi.column_list(relation regclass, columns name[]) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	missing name := (
		SELECT c FROM unnest(columns) c
		WHERE c IS NULL OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0
									   AND NOT a.attisdropped AND a.attname = c) LIMIT 1);
BEGIN
	IF relation IS NULL OR coalesce(cardinality(columns), 0) = 0 THEN
		RAISE EXCEPTION 'no columns given' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Name the columns by which somebody could be recognized.';
	ELSIF missing IS NOT NULL OR array_position(columns, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'column "%" of relation "%" does not exist', missing, relation USING ERRCODE = 'undefined_column';
	END IF;
	RETURN (SELECT string_agg(format('%I', c), ', ') FROM unnest(columns) c);
END $$;
REVOKE ALL ON FUNCTION phi.column_list(regclass, name[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.column_list(regclass, name[]) IS
	'Internal: columns of a relation as a list for a query; raises for what is none';

-- These run as the caller and read what the caller may read.
CREATE FUNCTION phi.k_anonymity(relation regclass, columns name[], threshold integer DEFAULT 11,
	OUT rows bigint, OUT classes bigint, OUT k bigint, OUT unique_rows bigint, OUT small_cells bigint, OUT rows_in_small_cells bigint)
	RETURNS record
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('SELECT coalesce(sum(n), 0)::bigint, count(*), min(n), count(*) FILTER (WHERE n = 1), '
			'count(*) FILTER (WHERE n < $1), coalesce(sum(n) FILTER (WHERE n < $1), 0)::bigint '
			'FROM (SELECT count(*) AS n FROM %s GROUP BY %s) AS c', relation, phi.column_list(relation, columns))
		INTO rows, classes, k, unique_rows, small_cells, rows_in_small_cells USING coalesce(threshold, 11);
END $$;
REVOKE ALL ON FUNCTION phi.k_anonymity(regclass, name[], integer) FROM PUBLIC;
COMMENT ON FUNCTION phi.k_anonymity(regclass, name[], integer) IS
	'Rows of a table or view that agree in the given columns: the size k of the smallest class, unique rows, classes below a threshold (11 by default, the small cell of CMS); null is a value like others';

CREATE FUNCTION phi.l_diversity(relation regclass, columns name[], sensitive name,
	OUT classes bigint, OUT l bigint, OUT homogeneous_classes bigint, OUT rows_in_homogeneous_classes bigint) RETURNS record
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	EXECUTE format('SELECT count(*), min(l), count(*) FILTER (WHERE l = 1), coalesce(sum(n) FILTER (WHERE l = 1), 0)::bigint '
			'FROM (SELECT count(*) AS n, count(DISTINCT %2$s) + max(CASE WHEN %2$s IS NULL THEN 1 ELSE 0 END) AS l FROM %1$s GROUP BY %3$s) AS c',
			relation, phi.column_list(relation, ARRAY[sensitive]), phi.column_list(relation, columns))
		INTO classes, l, homogeneous_classes, rows_in_homogeneous_classes;
END $$;
REVOKE ALL ON FUNCTION phi.l_diversity(regclass, name[], name) FROM PUBLIC;
COMMENT ON FUNCTION phi.l_diversity(regclass, name[], name) IS
	'Distinct values of a sensitive column among rows that agree in the given columns: the fewest, l, and the classes where all have the same, which tells it of everybody in them';
