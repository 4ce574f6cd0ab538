-------------------------------------------------------------------------------
-- audit: the log, its guards, the triggers of protected tables
--
-- The log's tables are made by phi.audit_install(), not by this script: they
-- are no members of the extension.  DROP EXTENSION leaves them, pg_dump dumps
-- them as ordinary tables, and a restored log is taken up where it is found.
-------------------------------------------------------------------------------

CREATE FUNCTION phi.audit_guard() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_audit_guard';
REVOKE ALL ON FUNCTION phi.audit_guard() FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_guard() IS
	'Row trigger of the audit tables: refuses every INSERT, UPDATE and DELETE';

CREATE FUNCTION phi.refuse_truncate() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_refuse_truncate';
REVOKE ALL ON FUNCTION phi.refuse_truncate() FROM PUBLIC;
COMMENT ON FUNCTION phi.refuse_truncate() IS
	'Statement trigger of audit tables and protected tables: refuses TRUNCATE';

CREATE FUNCTION phi.audit_change() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_audit_change';
REVOKE ALL ON FUNCTION phi.audit_change() FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_change() IS
	'Statement trigger of protected tables: records the changed rows of its transition tables';

CREATE FUNCTION phi.audit_apply() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_audit_apply';
REVOKE ALL ON FUNCTION phi.audit_apply() FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_apply() IS
	'Row trigger of protected tables: records what logical replication applies';

-- Guards of one audit table, where they are missing.  Partitions get the row
-- trigger with ATTACH.
CREATE FUNCTION phi.audit_guard_table(relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgname = '~phi_log_guard') THEN
		EXECUTE format('CREATE TRIGGER "~phi_log_guard" BEFORE INSERT OR UPDATE OR DELETE ON %s '
			'FOR EACH ROW EXECUTE FUNCTION phi.audit_guard()', relation);
	END IF;
	IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgname = '~phi_no_truncate') THEN
		EXECUTE format('CREATE TRIGGER "~phi_no_truncate" BEFORE TRUNCATE ON %s '
			'FOR EACH STATEMENT EXECUTE FUNCTION phi.refuse_truncate()', relation);
	END IF;
	EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "~phi_log_guard"', relation);
	EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER "~phi_no_truncate"', relation);
END
$$;
REVOKE ALL ON FUNCTION phi.audit_guard_table(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_guard_table(regclass) IS
	'Internal: puts the guard triggers on a table of the audit log';

-- subjects, row_keys and row_digests (32 bytes each) have one element a row.
CREATE FUNCTION phi.audit_make_log() RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	partition regclass;
BEGIN
	IF to_regnamespace('phi_audit') IS NULL THEN
		CREATE SCHEMA phi_audit;
		COMMENT ON SCHEMA phi_audit IS 'phi_guard: the audit log; stays when the extension is dropped';
	END IF;
	IF to_regclass('phi_audit.event') IS NULL THEN
		CREATE SEQUENCE phi_audit.event_id_seq;
		CREATE TABLE phi_audit.event
		(
			event_id bigint NOT NULL,
			recorded_at timestamptz NOT NULL,
			transaction_time timestamptz NOT NULL,
			txid xid8 NOT NULL,
			actor text,
			db_role text,
			current_role_name text,
			workforce_roles text[],
			organization text,
			token_id text,
			purpose text,
			consent_id bigint,
			reason text,
			break_glass_id bigint,
			action text NOT NULL,
			outcome text NOT NULL,
			relation text,
			relation_oid oid,
			columns text[],
			row_count integer,
			subjects bigint[],
			row_keys text[],
			row_digests bytea,
			detail text,
			client_address inet,
			application_name text,
			salt bytea,
			images bytea,
			PRIMARY KEY (recorded_at, event_id)
		) PARTITION BY RANGE (recorded_at);
		CREATE INDEX event_txid ON phi_audit.event (txid);
		-- Random bytes do not compress.
		ALTER TABLE phi_audit.event ALTER COLUMN subjects SET STORAGE EXTERNAL;
		ALTER TABLE phi_audit.event ALTER COLUMN row_digests SET STORAGE EXTERNAL;
		ALTER TABLE phi_audit.event ALTER COLUMN images SET STORAGE EXTERNAL;
		CREATE TABLE phi_audit.leaf
		(
			leaf_index bigint PRIMARY KEY,
			event_id bigint NOT NULL UNIQUE,
			recorded_at timestamptz NOT NULL,
			leaf_hash bytea NOT NULL
		) USING heap;
		CREATE TABLE phi_audit.checkpoint
		(
			tree_size bigint PRIMARY KEY,
			root bytea NOT NULL,
			frontier bytea NOT NULL,
			made_at timestamptz NOT NULL,
			horizon xid8 NOT NULL,
			incarnation text NOT NULL,
			note text
		) USING heap;
		COMMENT ON TABLE phi_audit.event IS 'Audit events: who did what to which rows, when, why and from where';
		COMMENT ON TABLE phi_audit.leaf IS 'Hashes of sealed events, in the order of the Merkle tree (RFC 6962)';
		COMMENT ON TABLE phi_audit.checkpoint IS 'Roots of the Merkle tree at the sizes it had; horizon: every event of an earlier transaction is in it';
		REVOKE ALL ON SCHEMA phi_audit FROM PUBLIC;
		REVOKE ALL ON ALL TABLES IN SCHEMA phi_audit FROM PUBLIC;
		REVOKE ALL ON SEQUENCE phi_audit.event_id_seq FROM PUBLIC;
	END IF;
	-- A log of an earlier release has no images.
	IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'phi_audit.event'::regclass AND attname = 'images') THEN
		ALTER TABLE phi_audit.event ADD COLUMN images bytea;
		ALTER TABLE phi_audit.event ALTER COLUMN images SET STORAGE EXTERNAL;
	END IF;
	PERFORM phi.audit_guard_table('phi_audit.event');
	PERFORM phi.audit_guard_table('phi_audit.leaf');
	PERFORM phi.audit_guard_table('phi_audit.checkpoint');
	FOR partition IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'phi_audit.event'::regclass LOOP
		PERFORM phi.audit_guard_table(partition);
	END LOOP;
	PERFORM phi.audit_make_evidence();
END
$$;
REVOKE ALL ON FUNCTION phi.audit_make_log() FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_make_log() IS
	'Internal: makes the tables of the audit log, or completes those that are there';

-- By subject, and by key where there are images, for phi.history().  Writers append to a list beside such an
-- index; autovacuum, for which it is analyzed often and cheaply, or phi.audit_maintain() takes that in.  A writer who
-- had to would pay as much as for the rows.
CREATE FUNCTION phi.audit_index_month(month regclass) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	base name := (SELECT c.relname FROM pg_class c WHERE c.oid = month);
	made boolean := false;
BEGIN
	IF to_regclass(format('phi_audit.%I', base || '_subjects')) IS NULL THEN
		EXECUTE format('CREATE INDEX %I ON %s USING gin (subjects) WITH (gin_pending_list_limit = 1048576)',
			base || '_subjects', month);
		EXECUTE format('ALTER TABLE %s SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000)', month);
		made := true;
	END IF;
	IF to_regclass(format('phi_audit.%I', base || '_keys')) IS NULL THEN
		EXECUTE format('CREATE INDEX %I ON %s USING gin (row_keys) WITH (gin_pending_list_limit = 1048576) '
			'WHERE images IS NOT NULL', base || '_keys', month);
		made := true;
	END IF;
	RETURN made;
END
$$;
REVOKE ALL ON FUNCTION phi.audit_index_month(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_index_month(regclass) IS
	'Internal: makes the indexes by subject and key of a month of the audit log, where they are missing';

CREATE FUNCTION phi.audit_make_partitions() RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	first timestamp := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC');
	month timestamp;
	partition name;
BEGIN
	FOR ahead IN 0 .. 3 LOOP
		month := first + make_interval(months => ahead);
		partition := to_char(month, '"event_y"YYYY"m"MM');
		CONTINUE WHEN to_regclass(format('phi_audit.%I', partition)) IS NOT NULL;
		EXECUTE format('CREATE TABLE phi_audit.%I (LIKE phi_audit.event INCLUDING STORAGE) USING heap', partition);
		EXECUTE format('REVOKE ALL ON phi_audit.%I FROM PUBLIC', partition);
		EXECUTE (SELECT format('ALTER TABLE phi_audit.%I %s', partition,
				string_agg(format('ALTER COLUMN %I SET STATISTICS %s', a.attname,
					CASE WHEN a.attname IN ('subjects', 'row_keys', 'row_digests', 'salt', 'images') THEN 0 ELSE 10 END), ', '))
			FROM pg_attribute a WHERE a.attrelid = 'phi_audit.event'::regclass AND a.attnum > 0 AND NOT a.attisdropped);
		PERFORM phi.audit_index_month(format('phi_audit.%I', partition)::regclass);
		EXECUTE format('ALTER TABLE phi_audit.event ATTACH PARTITION phi_audit.%I FOR VALUES FROM (%L) TO (%L)',
			partition, month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
		PERFORM phi.audit_guard_table(format('phi_audit.%I', partition)::regclass);
	END LOOP;
END
$$;
REVOKE ALL ON FUNCTION phi.audit_make_partitions() FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_make_partitions() IS
	'Internal: makes the partitions of this month (UTC) and the three after it';

CREATE FUNCTION phi.audit_install() RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_audit_install';
REVOKE ALL ON FUNCTION phi.audit_install() FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_install() IS
	'Makes the audit log in schema phi_audit, or takes up the one that is there';

CREATE FUNCTION phi.audit_record(action text, relation regclass, detail text,
		subject_token bigint = NULL, consent_id bigint = NULL) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_audit_record';
REVOKE ALL ON FUNCTION phi.audit_record(text, regclass, text, bigint, bigint) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_record(text, regclass, text, bigint, bigint) IS
	'Internal: appends an event of an administrative act';

CREATE FUNCTION phi.audit_record_read(action text, relation regclass, detail text,
		subject_token bigint = NULL, consent_id bigint = NULL) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_audit_record_read';
REVOKE ALL ON FUNCTION phi.audit_record_read(text, regclass, text, bigint, bigint) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_record_read(text, regclass, text, bigint, bigint) IS
	'Internal: records that something is shown, whatever becomes of the transaction';

-- Where a trigger is there already it is enabled again and left.  Rows are in
-- leaves: a partitioned table has no trigger of rows, nor do its leaves have
-- copies of one.
CREATE FUNCTION phi.audit_attach(relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member record;
	spec record;
BEGIN
	FOR member IN SELECT c.oid::regclass AS name, c.relkind FROM pg_class c
			WHERE c.oid = relation OR c.oid IN (SELECT relid FROM pg_partition_tree(relation)) LOOP
		FOR spec IN SELECT * FROM (VALUES
				('~phi_audit_insert', 'AFTER INSERT', 'REFERENCING NEW TABLE AS phi_new', 'STATEMENT', 'audit_change', 'ALWAYS'),
				('~phi_audit_update', 'AFTER UPDATE',
					'REFERENCING OLD TABLE AS phi_old NEW TABLE AS phi_new', 'STATEMENT', 'audit_change', 'ALWAYS'),
				('~phi_audit_delete', 'AFTER DELETE', 'REFERENCING OLD TABLE AS phi_old', 'STATEMENT', 'audit_change', 'ALWAYS'),
				('~phi_audit_apply', 'AFTER INSERT OR UPDATE OR DELETE', '', 'ROW', 'audit_apply', 'REPLICA'),
				('~phi_no_truncate', 'BEFORE TRUNCATE', '', 'STATEMENT', 'refuse_truncate', 'ALWAYS'))
				AS s (name, timing, transition, level, function, enabled)
				WHERE s.level = 'STATEMENT' OR member.relkind = 'r' LOOP
			IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = member.name AND tgname = spec.name) THEN
				EXECUTE format('CREATE TRIGGER %I %s ON %s %s FOR EACH %s EXECUTE FUNCTION phi.%I()',
					spec.name, spec.timing, member.name, spec.transition, spec.level, spec.function);
			END IF;
			EXECUTE format('ALTER TABLE ONLY %s ENABLE %s TRIGGER %I', member.name, spec.enabled, spec.name);
		END LOOP;
	END LOOP;
END
$$;
REVOKE ALL ON FUNCTION phi.audit_attach(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_attach(regclass) IS
	'Internal: puts the audit triggers on a table and its partitions';

CREATE FUNCTION phi.audit_detach(relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	existing record;
BEGIN
	FOR existing IN SELECT t.tgrelid::regclass AS member, t.tgname FROM pg_trigger t
			WHERE t.tgrelid IN (SELECT relid FROM pg_partition_tree(relation) UNION SELECT relation)
			AND t.tgname IN ('~phi_audit_insert', '~phi_audit_update', '~phi_audit_delete', '~phi_audit_apply',
				'~phi_no_truncate') LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', existing.tgname, existing.member);
	END LOOP;
END
$$;
REVOKE ALL ON FUNCTION phi.audit_detach(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_detach(regclass) IS
	'Internal: takes the audit triggers off a table and its partitions';
