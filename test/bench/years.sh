# shellcheck shell=bash disable=SC2154
# years.sh: what years of the audit log take.  To be sourced by bench.sh, which does not run it by default.
#
# Ten million events (times SCALE) of a hundred a patient, all by the real ways of writing, in chunks: of a hundred events 55
# are changes of one row, 5 changes of 20 rows in one statement, 30 disclosures of one patient and 10 of a list of 20.  Each chunk is
# sealed when it is there, as the worker would, and indexed by subject, as autovacuum would.  Then the log is verified, asked and exported; the same for a hundred
# million events is computed, in lines that begin with "# on paper".
#
# Disclosures are recorded with phi.disclosure_audit = batched: it is the events that are measured here, not the wait for them.

years_events=$(scaled 10000000)
years_chunks=20
years_writers=4
years_times=$PHI_TMP/years.times
years_hundred=$((years_events / years_chunks / years_writers / 100))
[ "$years_hundred" -gt 0 ] || years_hundred=1
years_patients=$((years_events / 100))

run_psql -q -c "ALTER SYSTEM SET phi.audit_seal_interval = 0" -c "ALTER SYSTEM SET phi.audit_reads = off" -c "SELECT pg_reload_conf()" -o /dev/null
make_database years
run_psql -q -d years >/dev/null <<SQL
CREATE ROLE years_staff LOGIN;
CREATE TABLE patient (id bigint PRIMARY KEY, name text);
CREATE TABLE visit (id bigint GENERATED ALWAYS AS IDENTITY, patient bigint NOT NULL, taken timestamptz NOT NULL, code text NOT NULL, note text);
SELECT phi.classify('patient', 'name', 'name');
SELECT phi.classify('visit', c, kind) FROM (VALUES ('taken', 'none'), ('code', 'none'), ('note', 'free_text')) AS k (c, kind);
SELECT phi.protect('patient', subject => 'id');
SELECT phi.protect('visit', subject => 'patient');
INSERT INTO patient SELECT i, 'name ' || i FROM generate_series(1, $years_patients) AS i;
SELECT phi.enroll('years_staff', 'Dr. Year', '{clinician}', '{TREAT}');
SELECT phi.grant_duty('years_staff', 'application');
GRANT SELECT, INSERT ON visit TO years_staff;
GRANT SELECT ON patient_redacted TO years_staff;
ALTER ROLE years_staff SET phi.disclosure_audit = batched;
VACUUM ANALYZE patient;
SQL

# A hundred events, each of a statement of its own, in one transaction and few round trips.
years_script()
{
	local n

	echo '\startpipeline'
	for ((n = 1; n <= 100; n++)); do
		echo "\set patient random(1, $((years_patients - 20)))"
		if [ $n -le 55 ]; then
			echo "INSERT INTO visit (patient, taken, code) VALUES (:patient, now(), 'code 1');"
		elif [ $n -le 60 ]; then
			echo "INSERT INTO visit (patient, taken, code) SELECT :patient + j, now(), 'code 2' FROM generate_series(0, 19) AS j;"
		elif [ $n -le 90 ]; then
			echo "SELECT name FROM patient_redacted WHERE id = :patient;"
		else
			echo "SELECT name FROM patient_redacted WHERE id BETWEEN :patient AND :patient + 19;"
		fi
	done
	echo '\endpipeline'
}
years_script | as_server tee "$PHI_TMP/years.sql" >/dev/null

# Milliseconds of a command, as a line of times.
years_time()
{
	local label=$1 begun

	shift
	begun=$(date +%s%N)
	"$@" >/dev/null || die "years: $label failed"
	echo "$label $((($(date +%s%N) - begun) / 1000000))" >>"$years_times"
}

years_write()
{
	as_server "$PG_BIN/pgbench" -n -M prepared -c "$years_writers" -j 2 -t "$years_hundred" -U years_staff -f "$PHI_TMP/years.sql" years 2>&1
}

# The sum of what was measured for a label, as the only number of another one.
years_sum()
{
	awk -v label="$1" '$1 == label { sum += $2 } END { print label "_all", sum }' "$years_times" >"$years_times.sum"
	cat "$years_times.sum" >>"$years_times"
}

years_value()
{
	value postgres years "$1"
}

for ((chunk = 1; chunk <= years_chunks; chunk++)); do
	[ "$chunk" -lt "$years_chunks" ] || years_last=$(years_value "SELECT clock_timestamp()")
	years_time write years_write
	# What was handed over is written within a second.
	sleep 1.2
	years_time seal run_psql -q -d years -c "SELECT phi.audit_seal()"
	years_time maintain run_psql -q -d years -c "SELECT phi.audit_maintain()"
done
years_sum write
years_sum seal
years_sum maintain
years_made=$(years_value "SELECT count(*) FROM phi_audit.event")
[ "$(years_value "SELECT count(*) FROM phi_audit.leaf")" = "$years_made" ] || die "years: not every event is sealed"
[ "$years_made" -ge $((years_hundred * 100 * years_chunks * years_writers)) ] || die "years: events are missing"

# Bytes an event: rows with what is stored beside them, indexes, leaves, checkpoints.
years_bytes()
{
	years_value "SELECT round(sum($1) / $years_made) FROM unnest(ARRAY[$2]) AS t (relation)"
}
years_partitions="(SELECT array_agg(relid) FROM pg_partition_tree('phi_audit.event') WHERE isleaf)"
years_row=$(years_value "SELECT round(sum(pg_table_size(t)) / $years_made) FROM unnest($years_partitions) AS t")
years_index=$(years_value "SELECT round(sum(pg_indexes_size(t)) / $years_made) FROM unnest($years_partitions) AS t")
years_leaf=$(years_bytes 'pg_table_size(relation)' "'phi_audit.leaf'::regclass")
years_leaf_index=$(years_bytes 'pg_indexes_size(relation)' "'phi_audit.leaf'::regclass")
years_total=$((years_row + years_index + years_leaf + years_leaf_index))

# Questions: of everything, of the last chunk, of one patient.
years_verified="SELECT ok AND unsealed = 0 FROM phi.audit_verify()"
[ "$(years_value "$years_verified")" = t ] || die "years: the log is not good"
years_event=$(years_value "SELECT event_id FROM phi_audit.leaf WHERE leaf_index = $years_made / 2")
years_since=$(years_value "SELECT tree_size FROM phi_audit.checkpoint ORDER BY tree_size DESC OFFSET 1 LIMIT 1")
time_queries "$years_times" postgres years 1 verify "$years_verified" \
	verify_last "SELECT ok FROM phi.audit_verify($years_since)" \
	proof "SELECT phi.audit_proof($years_event)" \
	subject "SELECT count(*) FROM phi.disclosures('7')" \
	accounting "SELECT count(*) FROM phi.accounting_of_disclosures('7')" \
	export "SELECT sum(octet_length(line) + 1) FROM phi.audit_export('$years_last') AS line"
years_exported=$(years_value "SELECT count(*) FROM phi_audit.event WHERE recorded_at >= '$years_last'")
years_export=$(years_value "SELECT round(sum(octet_length(line) + 1) / $years_exported) FROM phi.audit_export('$years_last') AS line")

remark "years: $years_made events of $years_patients patients, in $(years_value "SELECT count(*) FROM phi_audit.checkpoint") checkpoints"
for line in "row_bytes $years_row" "index_bytes $years_index" "leaf_bytes $years_leaf" "leaf_index_bytes $years_leaf_index" \
	"bytes_an_event $years_total" "export_bytes_an_event $years_export"; do
	echo "years/${line% *} | ${line#* } bytes | - | - | - | -"
done
figure "$years_times" years/write write_all - rows/s - "$years_made"
figure "$years_times" years/seal seal_all - rows/s - "$years_made"
figure "$years_times" years/index_by_subject maintain_all - rows/s - "$years_made"
figure "$years_times" years/verify verify - rows/s '>= 500000' "$years_made"
figure "$years_times" years/verify_all verify - ms -
figure "$years_times" years/verify_last_chunk verify_last - ms -
figure "$years_times" years/proof proof - ms -
figure "$years_times" years/disclosures_of_a_subject subject - ms -
figure "$years_times" years/accounting_of_a_subject accounting - ms -
figure "$years_times" years/export export - rows/s - "$years_exported"

# What grows with the log, at a hundred million events.
awk -v made="$years_made" -v bytes="$years_total" -v export_bytes="$years_export" '
	{ last[$1] = $2 }
	END {
		times = 100e6 / made
		printf "# on paper, 100 million events: %.0f GB in the database, %.0f GB exported\n", bytes * 100e6 / 1e9, export_bytes * 100e6 / 1e9
		printf "# on paper, 100 million events: sealed in %.0f min, verified in %.1f min\n", last["seal_all"] * times / 60e3, last["verify"] * times / 60e3
		printf "# on paper, 100 million events: disclosures of a subject %.1f s, accounting %.1f s, where they grow with the log\n",
			last["subject"] * times / 1e3, last["accounting"] * times / 1e3
	}' "$years_times"
run_psql -q -c "DROP DATABASE years"
run_psql -q -c "ALTER SYSTEM RESET phi.audit_seal_interval" -c "ALTER SYSTEM RESET phi.audit_reads" -c "SELECT pg_reload_conf()" -o /dev/null
