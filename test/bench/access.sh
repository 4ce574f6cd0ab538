# shellcheck shell=bash disable=SC2154
# access.sh: the row filter of a protected table beside none and beside a policy written by hand.  To
# be sourced by bench.sh.
#
# 1 million patients, ten directives each: a permission to clinicians to treat (of one patient in 50 a
# denial instead), a denial of research (of one patient in 130 a permission instead), eight denials to
# somebody by name.  The policy by hand asks
# EXISTS of a table with the same rules and an index by patient, reads the settings once a query, and
# gives the same count as ours, which is checked.  The tables hold the same columns in plain text, but for ours, where the name is
# encrypted, and stored, an unprotected copy of its rows as they are stored: beside it the filter alone
# is seen.
#
# The directives are written as a restored dump writes them: programs compiled by phi.grant_consent
# and phi.deny_consent for one patient, beside the subject tokens that stand in the sealed values.
# phi.grant_consent itself is timed on 10,000 patients.

access_patients=$(scaled 1000000)
access_times=$PHI_TMP/access.times
access_log=$(cluster_log bench)

make_database access
run_psql -q -d access -v patients="$access_patients" >/dev/null <<'SQL'
CREATE ROLE access_reader LOGIN;
CREATE ROLE access_researcher LOGIN;
GRANT pg_read_all_stats TO access_reader;
CREATE TABLE plain (id bigint PRIMARY KEY, name text, city text);
INSERT INTO plain SELECT i, 'Patient ' || i, 'City ' || i % 1000 FROM generate_series(1, :patients) AS i;
CREATE TABLE by_hand (LIKE plain INCLUDING ALL);
INSERT INTO by_hand SELECT * FROM plain;
CREATE TABLE patient (LIKE plain INCLUDING ALL);
INSERT INTO patient SELECT * FROM plain;
SELECT phi.classify('patient', 'name', 'name'), phi.classify('patient', 'city', 'none');
SELECT phi.protect('patient', subject => 'id');
SELECT phi.enroll('access_reader', 'Dr. A', '{clinician}', '{TREAT}');
SELECT phi.enroll('access_researcher', 'Dr. R', '{researcher}', '{HRESCH}');
SELECT phi.grant_duty('access_reader', 'application'), phi.grant_duty('access_researcher', 'application');
SET row_security = off;
CREATE TABLE stored AS SELECT * FROM patient;
RESET row_security;
ALTER TABLE stored ADD PRIMARY KEY (id);
GRANT SELECT ON plain, by_hand, stored, patient, patient_redacted TO access_reader, access_researcher;

CREATE TABLE rule (patient bigint NOT NULL, decision text NOT NULL, purpose text, actor text);
INSERT INTO rule SELECT i, CASE WHEN i % 50 = 0 THEN 'deny' ELSE 'permit' END, 'TREAT', 'role:clinician' FROM plain AS p (i)
	UNION ALL SELECT i, CASE WHEN i % 130 = 0 THEN 'permit' ELSE 'deny' END, 'HRESCH', NULL FROM plain AS p (i)
	UNION ALL SELECT i, 'deny', NULL, 'actor:Ex ' || n FROM plain AS p (i), generate_series(1, 8) AS n;
CREATE INDEX ON rule (patient);
GRANT SELECT ON rule TO access_reader;
ALTER TABLE by_hand ENABLE ROW LEVEL SECURITY;
CREATE POLICY consent ON by_hand USING (EXISTS (
	SELECT FROM rule r WHERE r.patient = by_hand.id AND r.decision = 'permit'
		AND r.purpose = (SELECT current_setting('app.purpose'))
		AND r.actor = ANY ((SELECT string_to_array(current_setting('app.actors'), ','))::text[])));
ALTER ROLE access_reader SET app.purpose = 'TREAT';
ALTER ROLE access_reader SET app.actors = 'actor:Dr. A,role:clinician';
SQL

# Tokens are bytes 9 to 16 of a sealed value (docs/format.md), behind the six of the prefix.
access_begun=$(date +%s%N)
run_psql -q -d access >/dev/null <<'SQL'
SET row_security = off;
BEGIN;
SELECT phi.deny_consent(0, purpose => 'TREAT', workforce_role => 'clinician') AS denied,
	phi.grant_consent(0, purpose => 'TREAT', workforce_role => 'clinician') AS granted,
	phi.deny_consent(0, purpose => 'HRESCH') AS closed, phi.grant_consent(0, purpose => 'HRESCH') AS open \gset
CREATE TEMP TABLE named AS SELECT phi.deny_consent(0, actor => 'Ex ' || n) AS id FROM generate_series(1, 8) AS n;
WITH written AS (INSERT INTO phi.consent (subject_token, program, decision, subject, created_by)
SELECT ('x' || encode(substring(phi.encrypted_text_send(p.name) FROM 16 FOR 8), 'hex'))::bit(64)::bigint,
	c.program, c.decision, p.id::text, c.created_by
FROM patient p JOIN phi.consent c ON c.subject = '0'
	AND (c.id IN (CASE WHEN p.id % 50 = 0 THEN :denied ELSE :granted END,
			CASE WHEN p.id % 130 = 0 THEN :open ELSE :closed END)
		OR c.id IN (SELECT n.id FROM named n))
RETURNING id)
INSERT INTO phi.consent_source (consent, source) SELECT w.id, s.source FROM written w, phi.consent_source s WHERE s.consent = :granted;
COMMIT;
VACUUM ANALYZE;
CHECKPOINT;
SQL
remark "access: $((10 * access_patients)) directives written in $((($(date +%s%N) - access_begun) / 1000000)) ms, as by a restore"
for table in patient by_hand; do
	[ "$(value access_reader access "SELECT count(*) FROM $table")" = "$((access_patients - access_patients / 50))" ] ||
		die "access: the clinician sees another number of rows of $table"
done

time_queries "$access_times" access_reader access "$rounds" \
	ours "SELECT count(*) FROM patient" \
	exists "SELECT count(*) FROM by_hand"
figure "$access_times" access/full_scan_vs_exists ours exists ms '<= 0.25'
time_queries "$access_times" access_reader access $((3 * rounds)) \
	stored "SELECT count(*) FROM stored" \
	scan "SELECT count(*) FROM patient" \
	plain "SELECT count(*) FROM plain" \
	where "SELECT count(*) FROM stored WHERE id % 50 <> 0"
figure "$access_times" access/full_scan_vs_same_rows scan stored ms '<= 1.5'
figure "$access_times" access/full_scan_vs_plain_table scan plain ms '<= 1.5'
figure "$access_times" access/full_scan_vs_where_clause scan where ms -

# The same where PostgreSQL may plan with two parallel workers, as it does by default.
time_queries "$access_times" access_reader access 3 \
	parallel_none "SET max_parallel_workers_per_gather = 2; SELECT count(*) FROM plain" \
	parallel_ours "SET max_parallel_workers_per_gather = 2; SELECT count(*) FROM patient" \
	parallel_exists "SET max_parallel_workers_per_gather = 2; SELECT count(*) FROM by_hand"
figure "$access_times" access/full_scan_parallel_vs_none parallel_ours parallel_none ms -
figure "$access_times" access/full_scan_parallel_vs_exists parallel_ours parallel_exists ms -

# The first scan of a session reads every directive.
for ((round = 1; round <= 3; round++)); do
	time_first "$access_times" access_reader access first_none "SELECT count(*) FROM plain"
	time_first "$access_times" access_reader access first_ours "SELECT count(*) FROM patient"
	time_first "$access_times" access_reader access first_exists "SELECT count(*) FROM by_hand"
done
figure "$access_times" access/first_scan_vs_none first_ours first_none ms -
figure "$access_times" access/first_scan_vs_exists first_ours first_exists ms -

# After a change of one patient's consents, a session that has read them all goes on.
run_psql -q -d access -c "CREATE FUNCTION change(n bigint) RETURNS void LANGUAGE sql SECURITY DEFINER AS
	'SELECT phi.revoke_consent(phi.deny_consent(n, actor => ''Ex 1''))'"
time_queries "$access_times" access_reader access 3 \
	unchanged "SELECT count(*) FROM patient" \
	changed "SELECT change({round}); SELECT count(*) FROM patient"
figure "$access_times" access/scan_after_a_change_vs_without changed unchanged ms -

# The first touch of a patient, in a session that has read of nobody: fewer than those after which it reads all.
for ((round = 1; round <= rounds; round++)); do
	time_first "$access_times" access_reader access first_touch \
		"SELECT count(*) FROM generate_series(1, 900) AS i WHERE phi.can_access(i * $((access_patients / 1000)))"
done
figure "$access_times" access/first_touch first_touch - us '<= 50' 900

# A researcher's patients, one in 130, by the index of the key; beside a plan that names them.  Of both
# the second run of a prepared statement counts.
access_list=$(value postgres access "SELECT array_agg(i) FROM generate_series(130, $access_patients, 130) AS i")
time_queries "$access_times" access_researcher access "$rounds" \
	listed "DEALLOCATE ALL; PREPARE l AS SELECT count(id) FROM patient; EXECUTE l; EXECUTE l" \
	any "DEALLOCATE ALL; PREPARE l AS SELECT count(id) FROM stored WHERE id = ANY ('$access_list'); EXECUTE l; EXECUTE l"
figure "$access_times" access/permitted_list_vs_any listed any ms '<= 2'
value access_researcher access "SET client_min_messages = warning; SELECT count(*) FROM patient;
	EXPLAIN (COSTS off) SELECT count(id) FROM patient" | grep -q permitted_subjects || remark "access: the list is not used"

# What a session and its workers hold.
remark "access: memory of a session after a scan:" "$(value access_reader access "SET client_min_messages = warning;
	SELECT count(*) FROM patient; SELECT string_agg(name || ' ' || pg_size_pretty(total_bytes), ', ') FROM pg_backend_memory_contexts
	WHERE name IN ('phi_guard verdicts', 'phi_guard decisions', 'phi_guard registry')" | tail -1)"
remark "access: consents: $(value postgres access "SELECT pg_size_pretty(pg_relation_size('phi.consent'))"), sources: $(value postgres access "SELECT pg_size_pretty(pg_relation_size('phi.consent_source'))")"

# Point reads of a session: of a clinician's own patients, 500 of them all over the table, for some
# seconds; and 20,000 of any patients, from the session's first on.
point_script()
{
	printf '\\set n random(1, %s)\nSELECT city FROM %s WHERE id = %s;\n' "$2" "$3" "$4" |
		as_server tee "$PHI_TMP/$1.$3.sql" >/dev/null
}

for table in plain patient by_hand; do
	point_script own 500 "$table" ":n * $((access_patients / 500))"
	point_script any "$access_patients" "$table" :n
done
for ((round = 1; round <= rounds; round++)); do
	for table in plain patient by_hand; do
		time_clients "$access_times" access_reader access "own_$table" 1 "-T $client_seconds" "$PHI_TMP/own.$table.sql"
		time_clients "$access_times" access_reader access "any_$table" 1 "-t 20000" "$PHI_TMP/any.$table.sql"
	done
done
figure "$access_times" access/point_read_vs_none own_patient own_plain us/call '<= 1.6'
figure "$access_times" access/point_read_vs_exists own_patient own_by_hand us/call -
figure "$access_times" access/point_read_any_patient_vs_none any_patient any_plain us/call -
figure "$access_times" access/point_read_any_patient_vs_exists any_patient any_by_hand us/call -

# A page of the view: what the audit log says was disclosed.
value access_reader access "SELECT * FROM patient_redacted ORDER BY id LIMIT 20" >"$PHI_TMP/page"
[ "$(wc -l <"$PHI_TMP/page")" -eq 20 ] || die "access: a page is not 20 rows"
access_revealed=$(value postgres access "SELECT row_count FROM phi_audit.event WHERE action = 'disclose' ORDER BY event_id DESC LIMIT 1")
echo "access/page20_revealed | $access_revealed | 20 | $(awk -v n="$access_revealed" 'BEGIN { printf "%.2f", n / 20 }')" \
	"| = 20 | $([ "$access_revealed" -eq 20 ] && echo holds || echo short)"
for table in plain patient_redacted; do
	echo "SELECT * FROM $table ORDER BY id LIMIT 20" | as_server tee "$PHI_TMP/page.$table.sql" >/dev/null
done
for ((round = 1; round <= rounds; round++)); do
	time_clients "$access_times" access_reader access page_none 1 "-T $client_seconds" "$PHI_TMP/page.plain.sql"
	time_clients "$access_times" access_reader access page_ours 1 "-T $client_seconds" "$PHI_TMP/page.patient_redacted.sql"
done
figure "$access_times" access/page20 page_ours page_none us/call -

access_grants="SELECT count(phi.grant_consent(i, purpose => 'HRESCH')) FROM generate_series(1, 10000) AS i"
time_queries "$access_times" postgres access 1 grant "$access_grants"
figure "$access_times" access/grant_consent grant - us - 10000
run_psql -q -c "DROP DATABASE access"
