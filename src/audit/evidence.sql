-------------------------------------------------------------------------------
-- audit evidence: the tables that sealing needs, sealing, verification
-------------------------------------------------------------------------------

CREATE FUNCTION phi.audit_make_evidence() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF to_regclass('phi_audit.incarnation') IS NULL THEN
		CREATE TABLE phi_audit.incarnation
		(
			number integer PRIMARY KEY,
			incarnation text NOT NULL UNIQUE,
			vkey text NOT NULL,
			began_at timestamptz NOT NULL,
			first_size bigint NOT NULL,
			reason text NOT NULL
		) USING heap;
		COMMENT ON TABLE phi_audit.incarnation IS
			'Lines of history that checkpoints were signed as: verifier key, tree size when each began, why';
		REVOKE ALL ON TABLE phi_audit.incarnation FROM PUBLIC;
	END IF;
	PERFORM phi.audit_guard_table('phi_audit.incarnation');
END
$$;
REVOKE ALL ON FUNCTION phi.audit_make_evidence() FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_make_evidence() IS
	'Internal: makes the table of signing incarnations, or completes the one that is there';

CREATE FUNCTION phi.audit_seal() RETURNS bigint
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_audit_seal';
REVOKE ALL ON FUNCTION phi.audit_seal() FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_seal() IS
	'Seals the committed events that are not sealed yet, signs a checkpoint, and returns their number';

CREATE FUNCTION phi.audit_new_incarnation(reason text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_audit_new_incarnation';
REVOKE ALL ON FUNCTION phi.audit_new_incarnation(text) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_new_incarnation(text) IS
	'Has checkpoints signed as a new incarnation from here on, whatever is in the checkpoint directory; returns its origin';

CREATE FUNCTION phi.audit_public_key() RETURNS text
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	key text := (SELECT i.vkey FROM phi_audit.incarnation i ORDER BY i.number DESC LIMIT 1);
BEGIN
	IF key IS NULL THEN
		RAISE EXCEPTION 'the audit log has no signing key yet' USING ERRCODE = 'object_not_in_prerequisite_state',
			HINT = 'phi.audit_seal() makes it with the first checkpoint.';
	END IF;
	RETURN key;
END
$$;
REVOKE ALL ON FUNCTION phi.audit_public_key() FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_public_key() IS
	'The verifier key (C2SP vkey) that the newest checkpoints are signed under';

CREATE FUNCTION phi.audit_checkpoint() RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT c.note FROM phi_audit.checkpoint c ORDER BY c.tree_size DESC LIMIT 1';
REVOKE ALL ON FUNCTION phi.audit_checkpoint() FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_checkpoint() IS
	'The newest checkpoint, a signed note (C2SP tlog-checkpoint): to be kept outside the machine';

CREATE FUNCTION phi.audit_verify(since bigint = NULL, until bigint = NULL, OUT ok boolean,
		OUT events bigint, OUT checkpoints bigint, OUT unsealed bigint, OUT first_bad_event bigint,
		OUT problem text, OUT erased bigint, OUT archived bigint) RETURNS SETOF record
	LANGUAGE c ROWS 1 AS 'MODULE_PATHNAME', 'phi_audit_verify';
REVOKE ALL ON FUNCTION phi.audit_verify(bigint, bigint) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_verify(bigint, bigint) IS
	'Compares every event with its leaf and every leaf with the signed checkpoints, between two tree sizes; names the first bad event';

CREATE FUNCTION phi.audit_proof(event bigint) RETURNS text
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'phi_audit_proof';
REVOKE ALL ON FUNCTION phi.audit_proof(bigint) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_proof(bigint) IS
	'Proof that an event is in the log at the newest checkpoint (C2SP tlog-proof, with the leaf as extra data)';

CREATE FUNCTION phi.audit_consistency(from_size bigint, to_size bigint) RETURNS text
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'phi_audit_consistency';
REVOKE ALL ON FUNCTION phi.audit_consistency(bigint, bigint) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_consistency(bigint, bigint) IS
	'Proof that the later of two checkpoints extends the earlier one (body of a C2SP tlog-witness request)';

CREATE FUNCTION phi.audit_export("from" timestamptz = NULL, "to" timestamptz = NULL) RETURNS SETOF text
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_audit_export';
REVOKE ALL ON FUNCTION phi.audit_export(timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION phi.audit_export(timestamptz, timestamptz) IS
	'The sealed events of a time, in whole checkpoints, as lines of JSON that phi_verify checks without a database';
