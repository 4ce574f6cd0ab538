-- Keys in the database: wrapped, complete, of no use by themselves (providers: test/tap/050_keys.pl)
\set VERBOSITY terse
SELECT scope, state, octet_length(wrapped) AS wrapped, octet_length(check_value) AS check_value, opens
	FROM phi.data_key JOIN phi.key_status() s USING (dek_id, scope, state, kek_version) ORDER BY dek_id;
SELECT phi.reload_kek() > 0 AS versions;
SELECT phi.key_opens(0), phi.key_opens(NULL);

-- an altered key is no key: not in this session, not in another, and nothing is lost by trying
CREATE TABLE keys_t (v phi.encrypted_text);
INSERT INTO keys_t VALUES ('canary'); -- ok
BEGIN;
UPDATE phi.data_key SET wrapped = set_byte(wrapped, 30, get_byte(wrapped, 30) # 1) WHERE scope = 'data';
SELECT dek_id = 0, scope, opens FROM phi.key_status() ORDER BY scope; -- data does not open
ROLLBACK;
SELECT bool_and(opens) FROM phi.key_status(); -- t
BEGIN;
UPDATE phi.data_key SET key_uuid = gen_random_uuid() WHERE scope = 'data'; -- the uuid is authenticated too
SELECT scope, opens FROM phi.key_status() ORDER BY scope; -- data does not open
ROLLBACK;
BEGIN;
UPDATE phi.data_key SET kek_version = 99 WHERE scope = 'data';
INSERT INTO keys_t VALUES ('canary'); -- fails: no such version
ROLLBACK;
BEGIN;
UPDATE phi.data_key SET state = 'destroyed', wrapped = NULL WHERE scope = 'data';
INSERT INTO keys_t VALUES ('canary'); -- fails
ROLLBACK;
INSERT INTO keys_t VALUES ('canary'); -- ok again

-- nobody else reads or changes them
CREATE ROLE keys_user;
SET ROLE keys_user;
SELECT * FROM phi.data_key; -- fails
SELECT phi.key_status(); -- fails
SELECT phi.ensure_keys(); -- fails
SELECT phi.reload_kek(); -- fails
SELECT count(*) FROM pg_settings WHERE name IN ('phi.kek_file', 'phi.kek_command'); -- 0: not to be seen
RESET ROLE;
SET phi.kek_file = '/tmp/x'; -- fails: not in a session
DROP ROLE keys_user;
DROP TABLE keys_t;
