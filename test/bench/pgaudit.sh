# shellcheck shell=bash disable=SC2154
# pgaudit.sh: recording beside pgaudit, which writes a line in the server's log.  To be sourced by bench.sh.
#
# pgaudit has a cluster of its own with the same settings, but for the libraries preloaded: neither pays
# for the other.  It logs reads and writes with their relations and parameters, without which a line does
# not tell whose row it is about.  Its lines are not flushed, its tables neither encrypted nor protected:
# what it does the same is to record.  Everything is committed with fsync on; rounds alternate.
#
#	write	a transaction that inserts a row and updates another, 32 clients
#	read	a point read of two columns, 8 clients: ours opens both values, each read recorded strictly or batched
#
# Where the package is missing it is installed; where it cannot be, there are no figures.

pgaudit_times=$PHI_TMP/pgaudit.times
pgaudit_rows=$(scaled 100000)
declare -A pgaudit_hosts=([ours]=$PGHOST)

# Is pgaudit there for the server under test, or can it be installed?
pgaudit_ready()
{
	local library

	library=$("$PG_CONFIG" --pkglibdir)/pgaudit.so
	[ -f "$library" ] && return
	! command -v apt-get >/dev/null || apt_install "postgresql-$(server_major)-pgaudit" >"$PHI_TMP/pgaudit.log" 2>&1 || true
	[ -f "$library" ]
}

# The cluster that the next commands are about.
pgaudit_turn()
{
	export PGHOST=${pgaudit_hosts[$1]}
}

# Tables of the same columns and rows, and a role that may write and read them; SQL before and after they are filled.
pgaudit_tables()
{
	run_psql -q -d pgaudit >/dev/null <<-SQL
		CREATE ROLE pgaudit_user LOGIN;
		CREATE TABLE reading (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, patient bigint NOT NULL,
			taken timestamptz NOT NULL, code text NOT NULL, note text);
		CREATE TABLE patient (id bigint PRIMARY KEY, name text, ssn text);
		$1
		INSERT INTO reading (patient, taken, code) SELECT i % 1000, now(), 'code 1' FROM generate_series(1, $pgaudit_rows) AS i;
		INSERT INTO patient SELECT i, 'name ' || i, 'ssn ' || i FROM generate_series(1, $pgaudit_rows) AS i;
		$2
		GRANT SELECT, INSERT, UPDATE ON reading TO pgaudit_user;
		VACUUM ANALYZE reading, patient;
		ALTER SYSTEM SET fsync = on;
		SELECT pg_reload_conf();
	SQL
	printf '\\set p random(1, 1000)\n\\set i random(1, %s)\nBEGIN;\n%s\n%s\nCOMMIT;\n' "$pgaudit_rows" \
		"INSERT INTO reading (patient, taken, code) VALUES (:p, now(), 'code 2');" \
		"UPDATE reading SET code = 'code 3' WHERE id = :i;" | as_server tee "$PHI_TMP/pgaudit.write.sql" >/dev/null
}

pgaudit_figures()
{
	local round mode

	start_cluster pgaudit "shared_buffers = '1GB'" "max_wal_size = '8GB'" "checkpoint_timeout = '1h'" \
		"autovacuum = off" "jit = off" "max_parallel_workers_per_gather = 0" "log_checkpoints = off" \
		"shared_preload_libraries = 'pgaudit'" "log_line_prefix = '%m [%p] %q%u '"
	pgaudit_hosts[peer]=$PGHOST
	run_psql -q -c "CREATE DATABASE pgaudit"
	pgaudit_tables "" "GRANT SELECT ON patient TO pgaudit_user;
		ALTER ROLE pgaudit_user SET pgaudit.log = 'read, write';
		ALTER ROLE pgaudit_user SET pgaudit.log_relation = on;
		ALTER ROLE pgaudit_user SET pgaudit.log_parameter = on;
		ALTER ROLE pgaudit_user SET pgaudit.log_catalog = off;"
	pgaudit_turn ours
	make_database pgaudit
	pgaudit_tables "SELECT phi.classify('reading', c, kind) FROM (VALUES ('taken', 'none'), ('code', 'none'), ('note', 'free_text')) AS k (c, kind);
		SELECT phi.classify('patient', c, c) FROM unnest(ARRAY['name', 'ssn']) AS c;
		SELECT phi.protect('reading', subject => 'patient');
		SELECT phi.protect('patient', subject => 'id');" \
		"SELECT phi.enroll('pgaudit_user', 'Dr. P', '{clinician}', '{TREAT}');
		SELECT phi.grant_duty('pgaudit_user', 'application');
		GRANT SELECT ON patient_redacted TO pgaudit_user;"
	for mode in patient patient_redacted; do
		printf '\\set i random(1, %s)\nSELECT name, ssn FROM %s WHERE id = :i;\n' "$pgaudit_rows" $mode |
			as_server tee "$PHI_TMP/pgaudit.$mode.sql" >/dev/null
	done
	for ((round = 1; round <= rounds; round++)); do
		for mode in ours:strict:write:32:write peer::write:32:write ours:strict:strict:8:patient_redacted \
			peer::read:8:patient ours:batched:batched:8:patient_redacted; do
			IFS=: read -r side setting label clients script <<<"$mode"
			pgaudit_turn "$side"
			[ -z "$setting" ] || run_psql -q -c "ALTER ROLE pgaudit_user SET phi.disclosure_audit = $setting"
			time_clients "$pgaudit_times" pgaudit_user pgaudit "$side.$label" "$clients" "-T $client_seconds" "$PHI_TMP/pgaudit.$script.sql"
		done
	done
	# Every read and write that was to be logged was.
	grep -q 'AUDIT: SESSION,.*,WRITE,UPDATE,TABLE,public.reading' "$(cluster_log pgaudit)" ||
		die "pgaudit: its log has no update"
	grep -q 'AUDIT: SESSION,.*,READ,SELECT,TABLE,public.patient' "$(cluster_log pgaudit)" ||
		die "pgaudit: its log has no read"
	figure "$pgaudit_times" pgaudit/oltp_insert_update ours.write peer.write tps -
	figure "$pgaudit_times" pgaudit/point_read_strict ours.strict peer.read tps -
	figure "$pgaudit_times" pgaudit/point_read_batched ours.batched peer.read tps -
	pgaudit_turn ours
	run_psql -q -c "ALTER SYSTEM SET fsync = off" -c "SELECT pg_reload_conf()" -o /dev/null
	run_psql -q -c "DROP DATABASE pgaudit"
	stop_cluster pgaudit
}

if pgaudit_ready; then
	pgaudit_figures
else
	remark "pgaudit: SKIPPED, no figures: the package postgresql-$(server_major)-pgaudit is not there and cannot be installed"
fi
