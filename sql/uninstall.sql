-- The end: the extension goes, the log stays
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT relation FROM phi.table_policy; -- nothing is protected any more
DROP EXTENSION phi_guard; -- fails: the log's guards are of it
DROP EXTENSION phi_guard CASCADE; -- ok
SELECT count(*) > 0 AS log_stays FROM phi_audit.event; -- t
SELECT to_regnamespace('phi') AS schema;
