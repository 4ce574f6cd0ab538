-------------------------------------------------------------------------------
-- protect: the end of a subject
-------------------------------------------------------------------------------

CREATE FUNCTION phi.shred_batch(member regclass, subject_token bigint, dead_key integer, first_block bigint,
		OUT next_block bigint, OUT changed integer) RETURNS record
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'phi_shred_batch';
REVOKE ALL ON FUNCTION phi.shred_batch(regclass, bigint, integer, bigint) FROM PUBLIC;
COMMENT ON FUNCTION phi.shred_batch(regclass, bigint, integer, bigint) IS
	'Internal: takes the search tags of a shredded subject''s values from a table, and what of it is under other keys';

CREATE FUNCTION phi.shred_values(relation regclass, subject_token bigint, dead_key integer) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	result record;
	block bigint := 0;
	changed bigint := 0;
BEGIN
	WHILE block IS NOT NULL LOOP
		SELECT * INTO result FROM phi.shred_batch(shred_values.relation, shred_values.subject_token, shred_values.dead_key, block);
		changed := changed + result.changed;
		block := result.next_block;
	END LOOP;
	RETURN changed;
END $$;
REVOKE ALL ON FUNCTION phi.shred_values(regclass, bigint, integer) FROM PUBLIC;
COMMENT ON FUNCTION phi.shred_values(regclass, bigint, integer) IS
	'Internal: phi.shred_batch for all of a table; returns the number of rows changed';

-- A copy in somebody's own table must not stand in the way: its owner could hold its rows, or fail in an index
-- expression.  Its values are dead in any case.
CREATE FUNCTION phi.shred_copies(relation regclass, subject_token bigint, dead_key integer) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
BEGIN
	RETURN phi.shred_values(shred_copies.relation, shred_copies.subject_token, shred_copies.dead_key);
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING 'search tags of the subject remain in table "%"', shred_copies.relation
		USING ERRCODE = SQLSTATE, HINT = 'Its values are dead, but a search finds them. Delete the rows.';
	RETURN 0;
END $$;
REVOKE ALL ON FUNCTION phi.shred_copies(regclass, bigint, integer) FROM PUBLIC;
COMMENT ON FUNCTION phi.shred_copies(regclass, bigint, integer) IS
	'Internal: phi.shred_values for a table that is not shreddable; a failure is a warning';

-- Nobody may seal a value of the subject under a key that we destroy without
-- our seeing it.  So the shreddable tables are locked against writers, whose
-- next statement then finds no key and makes one; table_policy against
-- phi.protect, which makes keys before others see its table; data_key against
-- phi.rotate_kek, which writes to the rows that we write to.
CREATE FUNCTION phi.shred_token(subject_token bigint, OUT keys bigint, OUT changed bigint) RETURNS record
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	member regclass;
	dead_key integer;
BEGIN
	LOCK TABLE phi.data_key IN ROW EXCLUSIVE MODE;
	LOCK TABLE phi.table_policy IN SHARE ROW EXCLUSIVE MODE;
	FOR member IN SELECT p.relation FROM phi.table_policy p JOIN pg_class c ON c.oid = p.relation
		WHERE p.shreddable ORDER BY p.relation::oid LOOP
		EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', member);
	END LOOP;
	UPDATE phi.subject_key k SET state = 'destroyed', wrapped = NULL, check_value = NULL
	WHERE k.subject_token = shred_token.subject_token AND k.state = 'current';
	GET DIAGNOSTICS keys = ROW_COUNT;
	SELECT max(k.dek_id) INTO dead_key FROM phi.subject_key k WHERE k.subject_token = shred_token.subject_token;
	IF dead_key IS NULL THEN
		-- A table that was made shreddable and not resealed may hold values under other keys: they get this name.
		INSERT INTO phi.subject_key (dek_id, subject_token, key_uuid, state, kek_version)
		SELECT nextval('phi.data_key_dek_id_seq'), shred_token.subject_token, gen_random_uuid(), 'destroyed', max(d.kek_version)
		FROM phi.data_key d RETURNING dek_id INTO dead_key;
	END IF;
	changed := 0;
	FOR member IN SELECT t.t FROM phi.table_policy p CROSS JOIN LATERAL phi.tree(p.relation) AS t (t) JOIN pg_class c ON c.oid = t.t
		WHERE p.shreddable AND c.relkind = 'r' LOOP
		changed := changed + phi.shred_values(member, shred_token.subject_token, dead_key);
	END LOOP;
	FOR member IN SELECT r.r FROM phi.encrypted_relations() AS r (r) JOIN pg_class c ON c.oid = r.r
		WHERE c.relkind = 'r' AND NOT EXISTS (
			SELECT FROM phi.table_policy p CROSS JOIN LATERAL phi.tree(p.relation) AS t (t) WHERE p.shreddable AND t.t = r.r) LOOP
		changed := changed + phi.shred_copies(member, shred_token.subject_token, dead_key);
	END LOOP;
	IF keys = 0 AND changed = 0 THEN
		RAISE EXCEPTION 'the subject has no key' USING ERRCODE = 'undefined_object',
			HINT = 'Only what is in tables protected with shreddable => true can be shredded, and only once.';
	END IF;
	DELETE FROM phi.consent_source s USING phi.consent c
	WHERE s.consent = c.id AND c.subject_token = shred_token.subject_token;
	UPDATE phi.consent c SET subject = NULL, fhir_id = NULL WHERE c.subject_token = shred_token.subject_token;
	PERFORM phi.erase_relations(shred_token.subject_token);
	DELETE FROM phi.pseudonym p WHERE p.subject_token = shred_token.subject_token;
END $$;
REVOKE ALL ON FUNCTION phi.shred_token(bigint) FROM PUBLIC;
COMMENT ON FUNCTION phi.shred_token(bigint) IS
	'Internal: destroys the keys of a subject, its search tags, the details of its consents and relations, and its pseudonyms';

CREATE FUNCTION phi.shred_subject(subject "any", reason text) RETURNS bigint
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_shred_subject';
REVOKE ALL ON FUNCTION phi.shred_subject("any", text) FROM PUBLIC;
COMMENT ON FUNCTION phi.shred_subject("any", text) IS
	'Destroys the keys of a subject: its values in shreddable tables, and copies of them, can never be opened again; returns the number of keys';

CREATE FUNCTION phi.make_shreddable(relation regclass) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	PERFORM phi.require_protected(make_shreddable.relation);
	UPDATE phi.table_policy p SET shreddable = true WHERE p.relation = make_shreddable.relation AND NOT p.shreddable;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'table "%" is shreddable already', make_shreddable.relation
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	PERFORM phi.audit_record('protect', make_shreddable.relation, 'a key for each subject');
END $$;
REVOKE ALL ON FUNCTION phi.make_shreddable(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.make_shreddable(regclass) IS
	'Gives each subject of a protected table a key of its own: for new values at once, for the others with phi.reseal';
