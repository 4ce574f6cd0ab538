-------------------------------------------------------------------------------
-- types: equality on searchable columns; operators in pg_catalog, so that every search_path finds them
-------------------------------------------------------------------------------

CREATE FUNCTION phi.is_searchable_kind(kind text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_is_searchable_kind';
REVOKE ALL ON FUNCTION phi.is_searchable_kind(text) FROM PUBLIC;
COMMENT ON FUNCTION phi.is_searchable_kind(text) IS
	'May columns of this kind be searchable? Only identifiers with many values may';

CREATE FUNCTION phi.search_eq(phi.encrypted_text, phi.encrypted_text) RETURNS boolean
	LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_search_eq';
REVOKE ALL ON FUNCTION phi.search_eq(phi.encrypted_text, phi.encrypted_text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.search_eq(phi.encrypted_text, phi.encrypted_text) TO PUBLIC; -- compares tags
COMMENT ON FUNCTION phi.search_eq(phi.encrypted_text, phi.encrypted_text) IS
	'Same identifier? Stored values by their tags; a literal for a session that sees the column in full';

CREATE FUNCTION phi.search_ne(phi.encrypted_text, phi.encrypted_text) RETURNS boolean
	LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_search_ne';
REVOKE ALL ON FUNCTION phi.search_ne(phi.encrypted_text, phi.encrypted_text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.search_ne(phi.encrypted_text, phi.encrypted_text) TO PUBLIC; -- compares tags
COMMENT ON FUNCTION phi.search_ne(phi.encrypted_text, phi.encrypted_text) IS 'Not the same identifier?';

CREATE FUNCTION phi.search_cmp(phi.encrypted_text, phi.encrypted_text) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_search_cmp';
REVOKE ALL ON FUNCTION phi.search_cmp(phi.encrypted_text, phi.encrypted_text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.search_cmp(phi.encrypted_text, phi.encrypted_text) TO PUBLIC; -- compares tags
COMMENT ON FUNCTION phi.search_cmp(phi.encrypted_text, phi.encrypted_text) IS
	'Internal: support function of the operator class; its order means nothing';

CREATE FUNCTION phi.search_hash(phi.encrypted_text) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_search_hash';
REVOKE ALL ON FUNCTION phi.search_hash(phi.encrypted_text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.search_hash(phi.encrypted_text) TO PUBLIC; -- of the tag
COMMENT ON FUNCTION phi.search_hash(phi.encrypted_text) IS 'Internal: support function of the operator class';

CREATE OPERATOR pg_catalog.=
(
	LEFTARG = phi.encrypted_text, RIGHTARG = phi.encrypted_text, FUNCTION = phi.search_eq,
	COMMUTATOR = OPERATOR(pg_catalog.=), NEGATOR = OPERATOR(pg_catalog.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES
);
COMMENT ON OPERATOR pg_catalog.= (phi.encrypted_text, phi.encrypted_text) IS 'same identifier';
CREATE OPERATOR pg_catalog.<>
(
	LEFTARG = phi.encrypted_text, RIGHTARG = phi.encrypted_text, FUNCTION = phi.search_ne,
	COMMUTATOR = OPERATOR(pg_catalog.<>), NEGATOR = OPERATOR(pg_catalog.=), RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR pg_catalog.<> (phi.encrypted_text, phi.encrypted_text) IS 'not the same identifier';

-- With plain text: what drivers send that say what type a parameter is.
CREATE FUNCTION phi.search_eq_text(phi.encrypted_text, text) RETURNS boolean
	LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_search_eq_text';
REVOKE ALL ON FUNCTION phi.search_eq_text(phi.encrypted_text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.search_eq_text(phi.encrypted_text, text) TO PUBLIC; -- compares tags
COMMENT ON FUNCTION phi.search_eq_text(phi.encrypted_text, text) IS
	'Same identifier as a plain text? For a session that sees the column in full';

CREATE FUNCTION phi.search_ne_text(phi.encrypted_text, text) RETURNS boolean
	LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_search_ne_text';
REVOKE ALL ON FUNCTION phi.search_ne_text(phi.encrypted_text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.search_ne_text(phi.encrypted_text, text) TO PUBLIC; -- compares tags
COMMENT ON FUNCTION phi.search_ne_text(phi.encrypted_text, text) IS
	'Not the same identifier as a plain text? For a session that sees the column in full';

CREATE FUNCTION phi.text_eq_search(text, phi.encrypted_text) RETURNS boolean
	LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_text_eq_search';
REVOKE ALL ON FUNCTION phi.text_eq_search(text, phi.encrypted_text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.text_eq_search(text, phi.encrypted_text) TO PUBLIC; -- compares tags
COMMENT ON FUNCTION phi.text_eq_search(text, phi.encrypted_text) IS
	'Same identifier as a plain text? For a session that sees the column in full';

CREATE FUNCTION phi.text_ne_search(text, phi.encrypted_text) RETURNS boolean
	LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_text_ne_search';
REVOKE ALL ON FUNCTION phi.text_ne_search(text, phi.encrypted_text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.text_ne_search(text, phi.encrypted_text) TO PUBLIC; -- compares tags
COMMENT ON FUNCTION phi.text_ne_search(text, phi.encrypted_text) IS
	'Not the same identifier as a plain text? For a session that sees the column in full';

CREATE OPERATOR pg_catalog.=
(
	LEFTARG = phi.encrypted_text, RIGHTARG = text, FUNCTION = phi.search_eq_text,
	COMMUTATOR = OPERATOR(pg_catalog.=), NEGATOR = OPERATOR(pg_catalog.<>), RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR pg_catalog.= (phi.encrypted_text, text) IS 'same identifier';
CREATE OPERATOR pg_catalog.<>
(
	LEFTARG = phi.encrypted_text, RIGHTARG = text, FUNCTION = phi.search_ne_text,
	COMMUTATOR = OPERATOR(pg_catalog.<>), NEGATOR = OPERATOR(pg_catalog.=), RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR pg_catalog.<> (phi.encrypted_text, text) IS 'not the same identifier';
CREATE OPERATOR pg_catalog.=
(
	LEFTARG = text, RIGHTARG = phi.encrypted_text, FUNCTION = phi.text_eq_search,
	COMMUTATOR = OPERATOR(pg_catalog.=), NEGATOR = OPERATOR(pg_catalog.<>), RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR pg_catalog.= (text, phi.encrypted_text) IS 'same identifier';
CREATE OPERATOR pg_catalog.<>
(
	LEFTARG = text, RIGHTARG = phi.encrypted_text, FUNCTION = phi.text_ne_search,
	COMMUTATOR = OPERATOR(pg_catalog.<>), NEGATOR = OPERATOR(pg_catalog.=), RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR pg_catalog.<> (text, phi.encrypted_text) IS 'not the same identifier';

-- Equality alone: CREATE INDEX, UNIQUE and lookups, but no ORDER BY.
CREATE OPERATOR CLASS phi.encrypted_text_ops DEFAULT FOR TYPE phi.encrypted_text USING btree AS
	OPERATOR 3 pg_catalog.=, FUNCTION 1 phi.search_cmp(phi.encrypted_text, phi.encrypted_text);
CREATE OPERATOR CLASS phi.encrypted_text_ops DEFAULT FOR TYPE phi.encrypted_text USING hash AS
	OPERATOR 1 pg_catalog.=, FUNCTION 1 phi.search_hash(phi.encrypted_text);

CREATE FUNCTION phi.search_value(plain text, column_id integer) RETURNS phi.encrypted_text
	LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_search_value';
REVOKE ALL ON FUNCTION phi.search_value(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.search_value(text, integer) TO PUBLIC; -- the planner adds calls to queries on views
COMMENT ON FUNCTION phi.search_value(text, integer) IS
	'Internal: what the values of a searchable column are compared with; NULL unless the session sees it in full';

CREATE FUNCTION phi.search_values(plain text[], column_id integer) RETURNS phi.encrypted_text[]
	LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_search_values';
REVOKE ALL ON FUNCTION phi.search_values(text[], integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.search_values(text[], integer) TO PUBLIC; -- the planner adds calls
COMMENT ON FUNCTION phi.search_values(text[], integer) IS 'Internal: phi.search_value of every element';

CREATE FUNCTION phi.search_sealed_values(literals phi.encrypted_text[], column_id integer) RETURNS phi.encrypted_text[]
	LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_search_sealed_values';
REVOKE ALL ON FUNCTION phi.search_sealed_values(phi.encrypted_text[], integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.search_sealed_values(phi.encrypted_text[], integer) TO PUBLIC; -- the planner adds calls
COMMENT ON FUNCTION phi.search_sealed_values(phi.encrypted_text[], integer) IS
	'Internal: the same for literals that were sealed on the way in';

CREATE FUNCTION phi.search_sealed_value(literal phi.encrypted_text, column_id integer) RETURNS phi.encrypted_text
	LANGUAGE c STABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'phi_search_sealed_value';
REVOKE ALL ON FUNCTION phi.search_sealed_value(phi.encrypted_text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.search_sealed_value(phi.encrypted_text, integer) TO PUBLIC; -- the planner adds calls
COMMENT ON FUNCTION phi.search_sealed_value(phi.encrypted_text, integer) IS 'Internal: the same for one literal';

CREATE FUNCTION phi.search_typanalyze(internal) RETURNS boolean
	LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'phi_search_typanalyze';
REVOKE ALL ON FUNCTION phi.search_typanalyze(internal) FROM PUBLIC;
COMMENT ON FUNCTION phi.search_typanalyze(internal) IS
	'Internal: statistics of sealed columns: null fraction, width and distinct count, no values';
ALTER TYPE phi.encrypted_text SET (ANALYZE = phi.search_typanalyze);

