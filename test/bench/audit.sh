# shellcheck shell=bash disable=SC2154
# audit.sh: what it costs to record every change.  To be sourced by bench.sh.
#
# Four tables of the same columns and rows: plain; by_hand, with the usual row trigger in plpgsql that
# writes the row as jsonb to a log table; audited, a protected table whose one classified column stays
# NULL, so that what it costs more than plain is the sealing trigger's look at the row, row security
# and the audit; sealed, the same with a value in it; imaged, that with capture => 'row'.  Rows go to 1,000 patients and are written by an
# enrolled clinician, committed.
#
# The figures of many clients are taken with fsync on, as a server runs, and again with it off, where
# nothing hides what the processors do.

audit_rows=$(scaled 100000)
audit_times=$PHI_TMP/audit.times

# Sealing has a figure of its own: the audit worker does not do it meanwhile.
run_psql -q -c "ALTER SYSTEM SET phi.audit_seal_interval = 0" -c "SELECT pg_reload_conf()" -o /dev/null
make_database audit
run_psql -q -d audit >/dev/null <<'SQL'
CREATE ROLE audit_writer LOGIN;
CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, patient bigint NOT NULL, taken timestamptz NOT NULL,
	code text NOT NULL, note text);
CREATE TABLE by_hand (LIKE plain INCLUDING ALL);
CREATE TABLE audited (LIKE plain INCLUDING ALL);
CREATE TABLE sealed (LIKE plain INCLUDING ALL);
CREATE TABLE imaged (LIKE plain INCLUDING ALL);

CREATE TABLE by_hand_log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
	who text NOT NULL, action text NOT NULL, relation text NOT NULL, old_row jsonb, new_row jsonb);
CREATE FUNCTION write_log() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	INSERT INTO by_hand_log (who, action, relation, old_row, new_row)
	VALUES (session_user, TG_OP, TG_TABLE_NAME, CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END,
		CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
	RETURN NULL;
END $$;
CREATE TRIGGER write_log AFTER INSERT OR UPDATE OR DELETE ON by_hand FOR EACH ROW EXECUTE FUNCTION write_log();

SELECT phi.classify(t, c, kind) FROM unnest(ARRAY['audited', 'sealed', 'imaged']::regclass[]) AS t,
	(VALUES ('taken', 'none'), ('code', 'none'), ('note', 'free_text')) AS k (c, kind);
SELECT phi.protect(t, subject => 'patient') FROM unnest(ARRAY['audited', 'sealed']::regclass[]) AS t;
SELECT phi.protect('imaged', subject => 'patient', capture => 'row');
SELECT phi.enroll('audit_writer', 'Dr. W', '{clinician}', '{TREAT}');
SELECT phi.grant_duty('audit_writer', 'application');
GRANT SELECT, INSERT ON plain, by_hand, audited, sealed, imaged TO audit_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO audit_writer;
SQL

insert_rows()
{
	echo "INSERT INTO $1 (patient, taken, code, note)
		SELECT i % 1000, now(), 'code ' || i % 100, $2 FROM generate_series(1, $audit_rows) AS i"
}

time_queries "$audit_times" audit_writer audit "$rounds" \
	none "$(insert_rows plain NULL)" \
	ours "$(insert_rows audited NULL)" \
	plpgsql "$(insert_rows by_hand NULL)" \
	none_note "$(insert_rows plain "'a short note, ' || i")" \
	ours_note "$(insert_rows sealed "'a short note, ' || i")" \
	row_note "$(insert_rows imaged "'a short note, ' || i")"
for table in audited sealed imaged; do
	[ "$(value postgres audit "SELECT sum(row_count) FROM phi_audit.event WHERE relation = 'public.$table' AND action = 'insert'")" = \
		"$((audit_rows * (rounds + 1)))" ] || die "audit: the log does not have every row of $table"
done
figure "$audit_times" audit/insert_100k_audit_only_vs_none ours none ms '<= 2'
figure "$audit_times" audit/insert_100k_audit_only_vs_plpgsql ours plpgsql ms '<= 0.333'
figure "$audit_times" audit/insert_100k_sealed_vs_none ours_note none_note ms -
figure "$audit_times" audit/insert_100k_row_vs_digest row_note ours_note ms -

# Single rows, 32 clients, a transaction each.
for table in plain audited by_hand; do
	printf '\\set p random(1, 1000)\nINSERT INTO %s (patient, taken, code) VALUES (:p, now(), %s);\n' "$table" "'code 1'" |
		as_server tee "$PHI_TMP/insert.$table.sql" >/dev/null
done
for fsync in on off; do
	run_psql -q -c "ALTER SYSTEM SET fsync = $fsync" -c "SELECT pg_reload_conf()" -o /dev/null
	run_psql -q -c CHECKPOINT
	for ((round = 1; round <= rounds; round++)); do
		for table in plain audited by_hand; do
			time_clients "$audit_times" audit_writer audit "$table.$fsync" 32 "-T $client_seconds" "$PHI_TMP/insert.$table.sql"
		done
	done
done
figure "$audit_times" audit/oltp_single_inserts_vs_none audited.on plain.on tps '>= 0.85'
figure "$audit_times" audit/oltp_single_inserts_vs_plpgsql audited.on by_hand.on tps -
figure "$audit_times" audit/oltp_single_inserts_no_fsync_vs_none audited.off plain.off tps -
figure "$audit_times" audit/oltp_single_inserts_no_fsync_vs_plpgsql audited.off by_hand.off tps -

# The events that this has left: sealed once, verified several times.
audit_events=$(value postgres audit "SELECT count(*) FROM phi_audit.event WHERE action = 'insert' AND row_count = 1")
run_psql -q -d audit -c '\timing on' -c '\o /dev/null' -c "SELECT phi.audit_seal()" |
	awk '/^Time/ { print "seal", $2 }' >>"$audit_times"
[ "$(value postgres audit "SELECT ok AND unsealed = 0 FROM phi.audit_verify()")" = t ] || die "audit: the log is not good"
time_queries "$audit_times" postgres audit 3 verify "SELECT * FROM phi.audit_verify()" \
	sha256 "SELECT count(sha256(salt)) FROM phi_audit.event"
figure "$audit_times" audit/seal seal - rows/s - "$audit_events"
figure "$audit_times" audit/verify verify - rows/s '>= 500000' "$audit_events"

# Proofs, a subject's events, an export and its check offline.
audit_event=$(value postgres audit "SELECT event_id FROM phi_audit.leaf WHERE leaf_index = (SELECT max(leaf_index) / 2 FROM phi_audit.leaf)")
time_queries "$audit_times" postgres audit 3 proof "SELECT phi.audit_proof($audit_event)" \
	subject "SELECT count(*) FROM phi.disclosures('7')" \
	accounting "SELECT count(*) FROM phi.accounting_of_disclosures('7')" \
	export "SELECT count(*) FROM phi.audit_export()"
audit_leaves=$(value postgres audit "SELECT count(*) FROM phi_audit.leaf")
figure "$audit_times" audit/proof proof - ms -
figure "$audit_times" audit/disclosures_of_a_subject subject - ms -
figure "$audit_times" audit/accounting accounting - ms -
figure "$audit_times" audit/export export - rows/s - "$audit_leaves"
if [ -x "$top/build/phi_verify" ]; then
	run_psql -q -At -d audit -c "SELECT phi.audit_export()" >"$PHI_TMP/audit.ndjson"
	for ((round = 1; round <= 3; round++)); do
		checked=$(date +%s%N)
		"$top/build/phi_verify" "$PHI_TMP/audit.ndjson" >/dev/null || die "audit: the export is not good"
		echo "offline $((($(date +%s%N) - checked) / 1000000))" >>"$audit_times"
	done
	figure "$audit_times" audit/verify_offline offline - rows/s - "$audit_leaves"
fi
run_psql -q -c "DROP DATABASE audit"

# Disclosures: a point read of two columns by eight clients, with fsync on.  none: a line in the server's
# log alone, which is cut short by log_min_messages; flush: the same with one flush of the write-ahead log a read, as
# the least that a durable record of each read costs, beside it in the same run.
audit_patients=$(scaled 100000)
make_database disclosures
run_psql -q -c "ALTER SYSTEM RESET phi.audit_seal_interval" -c "SELECT pg_reload_conf()" -o /dev/null
run_psql -q -d disclosures >/dev/null <<SQL
CREATE ROLE disclosures_reader LOGIN;
CREATE TABLE patient (id bigint PRIMARY KEY, name text, ssn text);
SELECT phi.classify('patient', 'name', 'name');
SELECT phi.classify('patient', 'ssn', 'ssn');
SELECT phi.protect('patient', subject => 'id');
INSERT INTO patient SELECT i, 'name ' || i, 'ssn ' || i FROM generate_series(1, $audit_patients) AS i;
SELECT phi.enroll('disclosures_reader', 'Dr. R', '{clinician}', '{TREAT}');
SELECT phi.grant_duty('disclosures_reader', 'application');
GRANT SELECT ON patient_redacted TO disclosures_reader;
VACUUM ANALYZE patient;
SQL
printf '\\set i random(1, %s)\nSELECT name, ssn FROM patient_redacted WHERE id = :i;\n' "$audit_patients" |
	as_server tee "$PHI_TMP/read.sql" >/dev/null
printf '\\set i random(1, %s)\nSELECT name, ssn, pg_logical_emit_message(true, %s) FROM patient_redacted WHERE id = :i;\n' \
	"$audit_patients" "'read', 'x'" | as_server tee "$PHI_TMP/flush.sql" >/dev/null
run_psql -q -c "ALTER SYSTEM SET fsync = on" -c "ALTER SYSTEM SET log_min_messages = fatal" -c "SELECT pg_reload_conf()" -o /dev/null
for ((round = 1; round <= rounds; round++)); do
	for mode in none:log:read flush:log:flush strict:strict:read batched:batched:read; do
		IFS=: read -r label setting script <<<"$mode"
		run_psql -q -c "ALTER ROLE disclosures_reader SET phi.disclosure_audit = $setting"
		time_clients "$audit_times" disclosures_reader disclosures "read.$label" 8 "-T $client_seconds" "$PHI_TMP/$script.sql"
	done
done
run_psql -q -c "ALTER ROLE disclosures_reader RESET phi.disclosure_audit"
figure "$audit_times" audit/read_strict_vs_flush read.strict read.flush tps '>= 0.8'
figure "$audit_times" audit/read_strict_vs_none read.strict read.none tps -
figure "$audit_times" audit/read_batched_vs_none read.batched read.none tps '>= 0.75'
read_all='SELECT name FROM patient_redacted'
time_queries "$audit_times" postgres disclosures 0 - "SELECT phi.enroll(session_user::regrole, 'root', '{clinician}', '{TREAT}')"
time_queries "$audit_times" postgres disclosures "$rounds" \
	scan_none "SET phi.disclosure_audit = log; $read_all" \
	scan_batched "SET phi.disclosure_audit = batched; $read_all" \
	scan_strict "SET phi.disclosure_audit = strict; $read_all"
figure "$audit_times" audit/scan_100k_batched_vs_none scan_batched scan_none ms '<= 1.5'
figure "$audit_times" audit/scan_100k_strict_vs_none scan_strict scan_none ms -
run_psql -q -c "ALTER SYSTEM SET fsync = off" -c "ALTER SYSTEM RESET log_min_messages" -c "SELECT pg_reload_conf()" -o /dev/null
run_psql -q -c "DROP DATABASE disclosures"
