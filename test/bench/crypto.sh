# shellcheck shell=bash disable=SC2154
# crypto.sh: one short value in C, and a column of them in SQL beside pgcrypto.  To be sourced by
# bench.sh.
#
# The values are social security numbers, 11 characters, one a patient.  Ours seals with XAES-256-GCM
# under a random nonce; the peers are encrypt() with AES-256-CBC, without nonce or authentication, and
# pgp_sym_encrypt() as it comes.  Each query scans its table and counts what it made; nothing is
# subtracted: plain_scan_sql is the share of the scan.  Opening is what a clinician's SELECT from the
# redacted view costs: row security, the decision, the check of the row and the disclosure are in it;
# the peers' views decrypt and do nothing else.

make -s -C "$top" -f test/unit/unit.mk bench-core

crypto_rows=$(scaled 200000)
crypto_slow_rows=400
crypto_times=$PHI_TMP/crypto.times

make_database crypto
run_psql -q -d crypto -v rows="$crypto_rows" -v slow="$crypto_slow_rows" >/dev/null <<'SQL'
CREATE ROLE crypto_reader LOGIN;
CREATE FUNCTION raw_key() RETURNS bytea IMMUTABLE LANGUAGE sql RETURN '\x603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4'::bytea;
CREATE TABLE plain (id bigint PRIMARY KEY, ssn text);
INSERT INTO plain SELECT i, to_char(i::bigint * 7919 % 1000000000, 'FM000"-"00"-"0000') FROM generate_series(1, :rows) AS i;
CREATE TABLE raw AS SELECT id, encrypt(ssn::bytea, raw_key(), 'aes-cbc') AS ssn FROM plain;
CREATE TABLE pgp AS SELECT id, pgp_sym_encrypt(ssn, 'password') AS ssn FROM plain ORDER BY id LIMIT :slow;
CREATE VIEW raw_view AS SELECT id, convert_from(decrypt(ssn, raw_key(), 'aes-cbc'), 'UTF8') AS ssn FROM raw;
CREATE VIEW pgp_view AS SELECT id, pgp_sym_decrypt(ssn, 'password') AS ssn FROM pgp;
CREATE TABLE sealed (id bigint PRIMARY KEY, ssn text);
INSERT INTO sealed SELECT * FROM plain;
SELECT phi.classify('sealed', 'ssn', 'ssn');
SELECT phi.protect('sealed', subject => 'id');
SELECT phi.enroll('crypto_reader', 'Dr. C', '{clinician}', '{TREAT}');
SELECT phi.grant_duty('crypto_reader', 'application');
GRANT SELECT ON plain, raw_view, pgp_view, sealed_redacted TO crypto_reader;
VACUUM ANALYZE;
SQL
[ "$(value crypto_reader crypto "SELECT count(*) FROM plain p JOIN sealed_redacted s USING (id, ssn)")" = "$crypto_rows" ] ||
	die "crypto: the clinician does not see the values"

time_queries "$crypto_times" crypto_reader crypto "$rounds" \
	scan "SELECT count(ssn) FROM plain" \
	seal "SELECT count(phi.seal(ssn)) FROM plain" \
	raw_seal "SELECT count(encrypt(ssn::bytea, raw_key(), 'aes-cbc')) FROM plain" \
	pgp_seal "SELECT count(pgp_sym_encrypt(ssn, 'password')) FROM (SELECT ssn FROM plain LIMIT $crypto_slow_rows) AS p" \
	open "SELECT count(ssn) FROM sealed_redacted" \
	raw_open "SELECT count(ssn) FROM raw_view" \
	pgp_open "SELECT count(ssn) FROM pgp_view"
figure "$crypto_times" crypto/plain_scan_sql scan - us - "$crypto_rows"
figure "$crypto_times" crypto/seal_sql_vs_raw seal raw_seal us '<= 0.25' "$crypto_rows"
figure "$crypto_times" crypto/seal_sql_vs_pgp_sym seal pgp_seal us '<= 0.00333' "$crypto_rows" "$crypto_slow_rows"
figure "$crypto_times" crypto/open_sql_vs_raw open raw_open us '<= 0.25' "$crypto_rows"
figure "$crypto_times" crypto/open_sql_vs_pgp_sym open pgp_open us '<= 0.00333' "$crypto_rows" "$crypto_slow_rows"
run_psql -q -c "DROP DATABASE crypto"
