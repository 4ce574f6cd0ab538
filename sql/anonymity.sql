-- k-anonymity, l-diversity, small cells
\set VERBOSITY terse
CREATE TABLE anon (sex text, zip text, age integer, diagnosis text, "odd ""name" integer);
SELECT * FROM phi.k_anonymity('anon', '{sex,zip}'); -- no rows, no k
INSERT INTO anon SELECT 'f', '021', 40, 'A', 1 FROM generate_series(1, 12);
INSERT INTO anon SELECT 'm', '021', 40, CASE WHEN i < 3 THEN 'A' ELSE 'B' END, 1 FROM generate_series(1, 5) AS i;
INSERT INTO anon VALUES ('m', NULL, 90, NULL, 2), ('m', NULL, 90, 'C', 2), ('f', '000', 90, NULL, 3);
SELECT * FROM phi.k_anonymity('anon', '{sex,zip}');
SELECT * FROM phi.k_anonymity('anon', '{sex}', 9);
SELECT * FROM phi.k_anonymity('anon', ARRAY['odd "name']);
SELECT * FROM phi.l_diversity('anon', '{sex,zip}', 'diagnosis'); -- null is a value
SELECT * FROM phi.l_diversity('anon', '{sex}', 'diagnosis');
SELECT phi.k_anonymity('anon', '{}'); -- fails
SELECT phi.k_anonymity('anon', NULL); -- fails
SELECT phi.k_anonymity(NULL, '{sex}'); -- fails
SELECT phi.k_anonymity('anon', '{sex,none}'); -- fails
SELECT phi.k_anonymity('anon', '{sex,NULL}'); -- fails
SELECT phi.k_anonymity('anon', ARRAY['sex) FROM anon; DROP TABLE anon; --']::name[]); -- fails
SELECT phi.l_diversity('anon', '{sex}', NULL); -- fails
SET ROLE pg_monitor;
SELECT phi.k_anonymity('anon', '{sex}'); -- fails
RESET ROLE;
DROP TABLE anon;
