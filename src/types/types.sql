-------------------------------------------------------------------------------
-- types: encrypted types, their casts, sealing, reveal
-------------------------------------------------------------------------------

CREATE FUNCTION phi.load_sealed() RETURNS boolean
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_may';
REVOKE ALL ON FUNCTION phi.load_sealed() FROM PUBLIC;
COMMENT ON FUNCTION phi.load_sealed() IS
	'The EXECUTE privilege on this function lets a role load values that are already sealed (duty key_custodian)';

CREATE FUNCTION phi.read_sealed() RETURNS boolean
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_may';
REVOKE ALL ON FUNCTION phi.read_sealed() FROM PUBLIC;
COMMENT ON FUNCTION phi.read_sealed() IS
	'The EXECUTE privilege on this function lets a role with BYPASSRLS read every sealed row under row_security = off (duty key_custodian)';

CREATE FUNCTION phi.seal_row() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'phi_seal_row';
REVOKE ALL ON FUNCTION phi.seal_row() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phi.seal_row() TO PUBLIC; -- who creates a partition gets a copy of the trigger
COMMENT ON FUNCTION phi.seal_row() IS
	'BEFORE INSERT OR UPDATE row trigger of protected tables: seals every classified value for its row';

