# shellcheck shell=bash disable=SC2154
# search.sh: equality lookups through an index.  To be sourced by bench.sh.
#
# 1 million patients with a searchable SSN and a unique index on it, beside the same table in plain text
# with a btree index on text: single-row lookups through the redacted view and on the base table, by
# clients with prepared statements, and the size of both indexes.

search_patients=$(scaled 1000000)
search_times=$PHI_TMP/search.times

make_database search
run_psql -q -d search -v patients="$search_patients" >/dev/null <<'SQL'
CREATE ROLE search_reader LOGIN;
CREATE TABLE plain (id bigint PRIMARY KEY, name text, ssn text);
INSERT INTO plain SELECT i, 'Patient ' || i, to_char(i, 'FM000000000') FROM generate_series(1, :patients) AS i;
CREATE TABLE patient (LIKE plain INCLUDING ALL);
INSERT INTO patient SELECT * FROM plain;
SELECT phi.classify('patient', 'name', 'name'), phi.classify('patient', 'ssn', 'ssn', searchable => true);
SELECT phi.protect('patient', subject => 'id');
CREATE UNIQUE INDEX plain_ssn ON plain (ssn);
CREATE UNIQUE INDEX patient_ssn ON patient (ssn);
SELECT phi.enroll('search_reader', 'Dr. S', '{clinician}', '{TREAT}');
SELECT phi.grant_duty('search_reader', 'application');
GRANT SELECT ON plain, patient, patient_redacted TO search_reader;
VACUUM ANALYZE;
CHECKPOINT;
SQL

search_script()
{
	as_server tee "$PHI_TMP/$1.sql" >/dev/null <<-EOF
		\set n random(1, $search_patients)
		SELECT $2 FROM $3 WHERE ssn = lpad(:n::text, 9, '0');
	EOF
	echo "$PHI_TMP/$1.sql"
}

search_plain=$(search_script search_plain name plain)
search_view=$(search_script search_view name patient_redacted)
search_base=$(search_script search_base id patient)
for table in plain patient_redacted; do
	[ "$(value search_reader search "SELECT count(*) FROM $table WHERE ssn = '000000042'")" = 1 ] ||
		die "search: $table does not find the patient"
done
for ((round = 1; round <= rounds; round++)); do
	time_clients "$search_times" search_reader search plain 1 "-T $client_seconds" "$search_plain"
	time_clients "$search_times" search_reader search view 1 "-T $client_seconds" "$search_view"
	time_clients "$search_times" search_reader search base 1 "-T $client_seconds" "$search_base"
done
figure "$search_times" search/lookup_view_vs_btree view plain us/call '<= 2'
figure "$search_times" search/lookup_base_vs_btree base plain us/call '<= 2'
run_psql -qAt -d search -c "SELECT 'ours', pg_relation_size('patient_ssn') / 1e6 UNION ALL SELECT 'plain', pg_relation_size('plain_ssn') / 1e6" |
	tr '|' ' ' >"$PHI_TMP/search.sizes"
remark "search: index sizes in MB: $(tr '\n' ' ' <"$PHI_TMP/search.sizes")"
