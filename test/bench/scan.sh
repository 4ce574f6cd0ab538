# shellcheck shell=bash disable=SC2154
# scan.sh: a whole table read through its view, and what a value weighs.  To be sourced by bench.sh.
#
# 1 million patients with three short columns, read as a clinician: the plain table; the redacted view,
# which opens every value; and a view that decrypts what pgcrypto's encrypt() made, for everybody.  One,
# two and three revealed columns beside none say what a row costs and what a value costs: the filter of
# rows and the work of one value are apart.
#
# Sizes are those of the tables after VACUUM, with their primary key left out; pgp_sym_encrypt's of a
# few rows.

scan_rows=$(scaled 1000000)
scan_slow_rows=2000
scan_times=$PHI_TMP/scan.times

make_database scan
run_psql -q -d scan -v rows="$scan_rows" -v slow="$scan_slow_rows" >/dev/null <<'SQL'
CREATE ROLE scan_reader LOGIN;
CREATE FUNCTION raw_key() RETURNS bytea IMMUTABLE LANGUAGE sql RETURN '\x603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4'::bytea;
CREATE FUNCTION raw_open(bytea) RETURNS text STABLE LANGUAGE sql RETURN convert_from(decrypt($1, raw_key(), 'aes-cbc'), 'UTF8');
CREATE TABLE plain (id bigint PRIMARY KEY, name text, ssn text, phone text);
INSERT INTO plain SELECT i, 'Patient ' || i, to_char(i::bigint * 7919 % 1000000000, 'FM000"-"00"-"0000'),
	to_char(i::bigint * 104729 % 10000000000, 'FM000"-"000"-"0000') FROM generate_series(1, :rows) AS i;
CREATE TABLE raw AS SELECT id, encrypt(name::bytea, raw_key(), 'aes-cbc') AS name, encrypt(ssn::bytea, raw_key(), 'aes-cbc') AS ssn,
	encrypt(phone::bytea, raw_key(), 'aes-cbc') AS phone FROM plain;
CREATE VIEW raw_view AS SELECT id, raw_open(name) AS name, raw_open(ssn) AS ssn, raw_open(phone) AS phone FROM raw;
CREATE TABLE few AS SELECT * FROM plain ORDER BY id LIMIT :slow;
CREATE TABLE pgp AS SELECT id, pgp_sym_encrypt(name, 'password') AS name, pgp_sym_encrypt(ssn, 'password') AS ssn,
	pgp_sym_encrypt(phone, 'password') AS phone FROM few;
CREATE TABLE sealed (id bigint PRIMARY KEY, name text, ssn text, phone text);
INSERT INTO sealed SELECT * FROM plain;
CREATE TABLE searchable (id bigint PRIMARY KEY, ssn text);
INSERT INTO searchable SELECT id, ssn FROM few;
SELECT phi.classify('sealed', c, c) FROM unnest('{name,ssn,phone}'::text[]) AS c;
SELECT phi.protect('sealed', subject => 'id');
SELECT phi.classify('searchable', 'ssn', 'ssn', searchable => true);
SELECT phi.protect('searchable', subject => 'id');
SELECT phi.enroll('scan_reader', 'Dr. S', '{clinician}', '{TREAT}');
SELECT phi.grant_duty('scan_reader', 'application');
GRANT SELECT ON plain, raw_view, sealed, sealed_redacted TO scan_reader;
VACUUM FULL ANALYZE;
CHECKPOINT;
SQL
[ "$(value scan_reader scan "SELECT count(*) FROM plain p JOIN sealed_redacted s USING (id, name, ssn, phone)")" = "$scan_rows" ] ||
	die "scan: the clinician does not see the values"

time_queries "$scan_times" scan_reader scan "$rounds" \
	plain "SELECT count(name), count(ssn), count(phone) FROM plain" \
	filter "SELECT count(*) FROM sealed" \
	one "SELECT count(name) FROM sealed_redacted" \
	two "SELECT count(name), count(ssn) FROM sealed_redacted" \
	three "SELECT count(name), count(ssn), count(phone) FROM sealed_redacted" \
	raw "SELECT count(name), count(ssn), count(phone) FROM raw_view"
figure "$scan_times" scan/three_columns_vs_plain three plain us - "$scan_rows"
figure "$scan_times" scan/three_columns_vs_pgcrypto_view three raw us - "$scan_rows"
figure "$scan_times" scan/two_columns_vs_three two three us - "$scan_rows"
figure "$scan_times" scan/one_column_vs_three one three us - "$scan_rows"
figure "$scan_times" scan/filter_alone_vs_three filter three us - "$scan_rows"

run_psql -qAt -F' ' -d scan -c "SET row_security = off" -f - <<'SQL' | while read -r what value row; do remark "size/$what: $value bytes a value, $row bytes a row"; done
SELECT what, round(value, 1), round(row, 1) FROM (
	SELECT 1, 'plain', avg(pg_column_size(ssn)), pg_relation_size('plain')::numeric / count(*) FROM plain UNION ALL
	SELECT 2, 'sealed', avg(pg_column_size(ssn)), pg_relation_size('sealed')::numeric / count(*) FROM sealed UNION ALL
	SELECT 3, 'sealed_searchable', avg(pg_column_size(ssn)), NULL FROM searchable UNION ALL
	SELECT 4, 'pgcrypto_raw', avg(pg_column_size(ssn)), pg_relation_size('raw')::numeric / count(*) FROM raw UNION ALL
	SELECT 5, 'pgp_sym', avg(pg_column_size(ssn)), pg_relation_size('pgp')::numeric / count(*) FROM pgp) AS sizes (n, what, value, row)
ORDER BY n;
SQL
run_psql -q -c "DROP DATABASE scan"
