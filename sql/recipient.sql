-- Tokens of a format and shifted dates, under a key of the recipient
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT phi.ensure_keys();
RESET client_min_messages;
SELECT value, phi.fpe_token(value, 'Uni') <> value AS other, translate(phi.fpe_token(value, 'Uni'), '0123456789', '9999999999') ~ '^[A-Z]{3}-9+$' AS format,
	phi.fpe_value(phi.fpe_token(value, 'Uni'), 'Uni') = value AS back, phi.fpe_token(value, 'Uni') = phi.fpe_token(value, 'Corp') AS shared
	FROM unnest('{MRN-0004711,MRN-0004712,MRN-99}'::text[]) AS value;
SELECT count(DISTINCT phi.fpe_token(to_char(i, 'FM000000'), 'Uni')) AS tokens FROM generate_series(1, 1000) i;
SELECT phi.fpe_token('12345', 'Uni'); -- fails
SELECT phi.fpe_token('', 'Uni'); -- fails
SELECT phi.fpe_token(repeat('9', 73), 'Uni'); -- fails
SELECT phi.fpe_token('123456', ''); -- fails
SELECT phi.fpe_token(NULL, 'Uni') IS NULL AS nothing;

-- a shift is of the subject and the recipient: asked again it is the same, so that nothing averages it away
SELECT count(DISTINCT phi.shift_date('2024-01-01', 7, 'Uni')) AS one FROM generate_series(1, 100);
SELECT count(*) FILTER (WHERE abs(s) BETWEEN 1 AND 365) AS within, count(DISTINCT s) > 300 AS many FROM generate_series(1, 1000) i, LATERAL (SELECT phi.shift_date('2024-01-01', i, 'Uni') - date '2024-01-01') AS d (s);
SELECT phi.shift_date('2024-03-01', 7, 'Uni') - phi.shift_date('2024-02-01', 7, 'Uni') AS interval_kept;
SELECT phi.shift_date('infinity', 7, 'Uni'), count(phi.shift_date('5874897-12-31', i, 'Uni')) BETWEEN 1 AND 99 AS no_date FROM generate_series(1, 100) i;
SET ROLE pg_monitor;
SELECT phi.fpe_token('123456', 'Uni'); -- fails
SELECT phi.fpe_value('123456', 'Uni'); -- fails
SELECT phi.shift_date('2024-01-01', 7, 'Uni'); -- fails
RESET ROLE;
