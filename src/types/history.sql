-------------------------------------------------------------------------------
-- history: what became of a row, from the images in the audit log
-------------------------------------------------------------------------------

CREATE FUNCTION phi.history(relation regclass, VARIADIC key "any", OUT event_id bigint, OUT recorded_at timestamptz,
		OUT action text, OUT actor text, OUT purpose text, OUT txid xid8, OUT columns text[], OUT row_key text,
		OUT old_row jsonb, OUT new_row jsonb) RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'phi_history';
REVOKE ALL ON FUNCTION phi.history(regclass, "any") FROM PUBLIC;
COMMENT ON FUNCTION phi.history(regclass, "any") IS
	'The changes of a row that were recorded with capture => ''row'', newest first, as far as the session may see them';

CREATE FUNCTION phi.image_keys(images bytea) RETURNS integer[]
	LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_image_keys';
REVOKE ALL ON FUNCTION phi.image_keys(bytea) FROM PUBLIC;
COMMENT ON FUNCTION phi.image_keys(bytea) IS
	'Internal: the data keys, other than those of subjects, that images of an audit event are sealed under';

CREATE FUNCTION phi.image_usage() RETURNS TABLE (dek_id integer, "values" bigint)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass('phi_audit.event') AND a.attname = 'images') THEN
		RETURN QUERY SELECT k.k, count(*) FROM phi_audit.event e CROSS JOIN LATERAL unnest(phi.image_keys(e.images)) AS k (k)
			WHERE e.images IS NOT NULL GROUP BY k.k;
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.image_usage() FROM PUBLIC;
COMMENT ON FUNCTION phi.image_usage() IS
	'Internal: the number of audit events with images under each data key; those under keys of subjects are not counted';
