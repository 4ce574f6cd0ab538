-------------------------------------------------------------------------------
-- types: tokens of identifiers and shifted dates, under a key of the recipient
-------------------------------------------------------------------------------

CREATE FUNCTION phi.fpe_token(value text, recipient text) RETURNS text
	LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'phi_fpe_token';
REVOKE ALL ON FUNCTION phi.fpe_token(text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.fpe_token(text, text) IS
	'An identifier with its digits and letters encrypted (FF1) under a key of the recipient: of the same format, one to one';

CREATE FUNCTION phi.fpe_value(token text, recipient text) RETURNS text
	LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'phi_fpe_value';
REVOKE ALL ON FUNCTION phi.fpe_value(text, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.fpe_value(text, text) IS 'The identifier to a token of phi.fpe_token';

CREATE FUNCTION phi.shift_date(day date, subject_token bigint, recipient text) RETURNS date
	LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'phi_shift_date';
REVOKE ALL ON FUNCTION phi.shift_date(date, bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.shift_date(date, bigint, text) IS
	'A date shifted by whole days, of each subject and recipient the same, never none and at most a year; not a form of Safe Harbor';
