-------------------------------------------------------------------------------
-- audit second opinion: verification in SQL alone
--
-- None of this calls C of ours: leaves and roots come from send functions and
-- sha256(), so that a fault of the C code cannot vouch for itself.  The three
-- small functions are bound when they are made, and inlined.
-------------------------------------------------------------------------------

CREATE FUNCTION phi.audit_field(tag integer, value bytea) RETURNS bytea
	LANGUAGE sql IMMUTABLE
	RETURN coalesce(set_byte('\x00', 0, tag) || int4send(octet_length(value)) || value, '');
REVOKE ALL ON FUNCTION phi.audit_field(integer, bytea) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_field(integer, bytea) IS 'Internal: a field of a leaf';

CREATE FUNCTION phi.audit_texts(list text[]) RETURNS bytea
	LANGUAGE sql IMMUTABLE
	RETURN int4send(cardinality(list)) || coalesce((SELECT string_agg(
		int4send(octet_length(convert_to(t, 'UTF8'))) || convert_to(t, 'UTF8'), '' ORDER BY n)
		FROM unnest(list) WITH ORDINALITY u (t, n)), '');
REVOKE ALL ON FUNCTION phi.audit_texts(text[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_texts(text[]) IS 'Internal: a text[] in a leaf';

CREATE FUNCTION phi.audit_numbers(list bigint[]) RETURNS bytea
	LANGUAGE sql IMMUTABLE
	RETURN int4send(cardinality(list)) || coalesce((SELECT string_agg(int8send(t), '' ORDER BY n)
		FROM unnest(list) WITH ORDINALITY u (t, n)), '');
REVOKE ALL ON FUNCTION phi.audit_numbers(bigint[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_numbers(bigint[]) IS 'Internal: a bigint[] in a leaf';

-- peaks: the roots of the perfect subtrees of a tree of that size, largest first.
CREATE FUNCTION phi.audit_root(peaks bytea[]) RETURNS bytea
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	root bytea := peaks[cardinality(peaks)];
BEGIN
	IF root IS NULL THEN
		RETURN sha256('');
	END IF;
	FOR i IN REVERSE cardinality(peaks) - 1 .. 1 LOOP
		root := sha256('\x01'::bytea || peaks[i] || root);
	END LOOP;
	RETURN root;
END
$$;
REVOKE ALL ON FUNCTION phi.audit_root(bytea[]) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_root(bytea[]) IS 'Internal: the root of a tree from those of its perfect subtrees';

CREATE FUNCTION phi.audit_images_hash(images bytea) RETURNS bytea
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN CASE WHEN octet_length(images) = 33 AND substr(images, 1, 1) = '\x00'::bytea THEN substr(images, 2) ELSE sha256(images) END;
REVOKE ALL ON FUNCTION phi.audit_images_hash(bytea) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_images_hash(bytea) IS
	'Internal: what the leaf of an event has of its images, which may have been erased';

CREATE FUNCTION phi.audit_verify_sql(OUT ok boolean, OUT events bigint, OUT checkpoints bigint,
		OUT first_bad_event bigint, OUT problem text) RETURNS SETOF record
	LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	entry record;
	next_point record;
	peaks bytea[] := '{}';
	hash bytea;
	rest bigint;
	range_first bigint;
	points refcursor;
	erased bigint[] := ARRAY(SELECT k.key::bigint FROM phi_audit.event e, unnest(e.row_keys) k (key)
		WHERE e.action = 'audit_erase' AND k.key ~ '^[0-9]{1,18}$');
	without_images bigint[] := ARRAY(SELECT k.key::bigint FROM phi_audit.event e, unnest(e.row_keys) k (key)
		WHERE e.action = 'audit_erase_images' AND k.key ~ '^[0-9]{1,18}$');
	archived text[] := ARRAY(SELECT DISTINCT left(m.key, 7) FROM phi_audit.event e, unnest(e.row_keys) m (key)
		WHERE e.action = 'audit_archive' AND left(m.key, 7) < to_char(e.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM'));
BEGIN
	events := 0;
	checkpoints := 0;
	OPEN points FOR SELECT c.tree_size, c.root FROM phi_audit.checkpoint c ORDER BY c.tree_size;
	FETCH points INTO next_point;
	FOR entry IN
		SELECT l.leaf_index, l.event_id, l.leaf_hash, e.event_id IS NULL AS missing, e.salt IS NULL AS gone,
			sha256('\x00'::bytea || '\x01' ||
			phi.audit_field(1, int8send(e.event_id)) || phi.audit_field(2, timestamptz_send(e.recorded_at)) ||
			phi.audit_field(3, timestamptz_send(e.transaction_time)) || phi.audit_field(4, xid8send(e.txid)) ||
			phi.audit_field(5, convert_to(e.actor, 'UTF8')) || phi.audit_field(6, convert_to(e.db_role, 'UTF8')) ||
			phi.audit_field(7, convert_to(e.current_role_name, 'UTF8')) || phi.audit_field(8, phi.audit_texts(e.workforce_roles)) ||
			phi.audit_field(9, convert_to(e.organization, 'UTF8')) || phi.audit_field(10, convert_to(e.token_id, 'UTF8')) ||
			phi.audit_field(11, convert_to(e.purpose, 'UTF8')) || phi.audit_field(12, int8send(e.consent_id)) ||
			phi.audit_field(13, convert_to(e.reason, 'UTF8')) || phi.audit_field(14, int8send(e.break_glass_id)) ||
			phi.audit_field(15, convert_to(e.action, 'UTF8')) || phi.audit_field(16, convert_to(e.outcome, 'UTF8')) ||
			phi.audit_field(17, convert_to(e.relation, 'UTF8')) || phi.audit_field(18, oidsend(e.relation_oid)) ||
			phi.audit_field(19, phi.audit_texts(e.columns)) || phi.audit_field(20, int4send(e.row_count)) ||
			phi.audit_field(21, phi.audit_numbers(e.subjects)) || phi.audit_field(22, phi.audit_texts(e.row_keys)) ||
			phi.audit_field(23, e.row_digests) || phi.audit_field(24, convert_to(e.detail, 'UTF8')) ||
			phi.audit_field(25, inet_send(e.client_address)) || phi.audit_field(26, convert_to(e.application_name, 'UTF8')) ||
			phi.audit_field(27, e.salt) || phi.audit_field(28, phi.audit_images_hash(e.images))) AS computed,
			octet_length(e.images) = 33 AND substr(e.images, 1, 1) = '\x00' AND NOT l.event_id = ANY (without_images) AS taken,
			l.event_id = ANY (erased) AS erased,
			to_char(l.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM') = ANY (archived) AS archived
		FROM phi_audit.leaf l LEFT JOIN phi_audit.event e ON e.recorded_at = l.recorded_at AND e.event_id = l.event_id
		ORDER BY l.leaf_index, l.event_id
	LOOP
		range_first := coalesce(range_first, entry.event_id);
		problem := CASE
			WHEN entry.leaf_index <> events THEN format('leaf %s is missing, or there more than once', events)
			WHEN entry.missing AND NOT entry.archived THEN format('event %s is missing', entry.event_id)
			WHEN NOT entry.missing AND entry.archived THEN format('event %s is of a month that is archived', entry.event_id)
			WHEN NOT entry.missing AND NOT (entry.gone AND entry.erased) AND (entry.computed <> entry.leaf_hash OR entry.taken)
				THEN format('event %s does not agree with its leaf', entry.event_id) END;
		IF problem IS NOT NULL THEN
			first_bad_event := entry.event_id;
			EXIT;
		END IF;
		hash := entry.leaf_hash;
		rest := events;
		WHILE rest & 1 = 1 LOOP
			hash := sha256('\x01'::bytea || peaks[cardinality(peaks)] || hash);
			peaks := trim_array(peaks, 1);
			rest := rest >> 1;
		END LOOP;
		peaks := peaks || hash;
		events := events + 1;
		IF next_point.tree_size = events THEN
			IF phi.audit_root(peaks) <> next_point.root THEN
				problem := format('the leaves do not give the root of checkpoint %s', events);
				first_bad_event := range_first;
				EXIT;
			END IF;
			checkpoints := checkpoints + 1;
			range_first := NULL;
			FETCH points INTO next_point;
		END IF;
	END LOOP;
	IF problem IS NULL AND next_point.tree_size IS NOT NULL THEN
		problem := format('leaves from %s on are missing', events);
	ELSIF problem IS NULL AND range_first IS NOT NULL THEN
		problem := 'leaves at the end are under no checkpoint';
		first_bad_event := range_first;
	END IF;
	CLOSE points;
	IF problem IS NULL THEN
		SELECT min(e.event_id) INTO first_bad_event FROM phi_audit.event e
			WHERE e.txid < (SELECT CASE WHEN starts_with(c.incarnation, format('%s/%s/', s.system_identifier, d.oid)) THEN c.horizon END
				FROM phi_audit.checkpoint c, pg_control_system() s, pg_database d
				WHERE d.datname = current_database() ORDER BY c.tree_size DESC LIMIT 1)
			AND NOT EXISTS (SELECT FROM phi_audit.leaf l WHERE l.event_id = e.event_id);
		problem := CASE WHEN first_bad_event IS NOT NULL
			THEN format('event %s has no leaf, though a checkpoint covers its time', first_bad_event) END;
	END IF;
	ok := problem IS NULL;
	RETURN NEXT;
END
$$;
REVOKE ALL ON FUNCTION phi.audit_verify_sql() FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_verify_sql() IS
	'Second opinion: compares events, leaves and roots in SQL alone, with sha256(); signatures, of records that events are gone too, are not checked';
