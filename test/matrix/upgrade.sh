#!/usr/bin/env bash
# upgrade.sh: pg_upgrade of a protected database from this machine's PostgreSQL to that of a later Debian release, in the
# chroot that matrix.sh makes.  Needs root or sudo.  Closes with "N passed, N failed".
#
# MATRIX_DIR       where the chroots are, default /var/tmp/phi_guard-matrix
# UPGRADE_RELEASE  the release that has the newer PostgreSQL, default trixie
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=test/lib/prepare.sh
. "$here/../lib/prepare.sh"

cache=${MATRIX_DIR:-/var/tmp/phi_guard-matrix}
release=${UPGRADE_RELEASE:-trixie}
root=$cache/$release
place=/srv/phi_guard-upgrade

# ---- on this machine ----

# Copies this machine's server into the chroot, its folders as they lie to each other, with the libraries that the
# chroot has not.
copy_server()
{
	local target=$1 object library known

	known=$(chroot "$root" /sbin/ldconfig -p)
	mkdir -p "$target/libraries"
	tar -cf - -C / --exclude=./bitcode "$(cd "$PG_BIN/.." && pwd | cut -c2-)" "$("$PG_CONFIG" --sharedir | cut -c2-)" |
		tar -xf - -C "$target" --no-same-owner
	for object in "$PG_BIN"/{postgres,initdb,pg_ctl,pg_controldata} "$("$PG_CONFIG" --pkglibdir)"/{phi_guard,pgcrypto,plpgsql,dict_snowball}.so; do
		ldd "$object" | sed -nE 's/.* => (\/[^ ]+) .*/\1/p'
	done | sort -u | while read -r library; do
		[[ $known == *"	$(basename "$library") "* ]] || cp -L "$library" "$target/libraries/"
	done
}

# Prepares the chroot and runs this script in it.
outside()
{
	local old new

	[ "$(id -u)" -eq 0 ] || exec sudo --preserve-env=MATRIX_DIR,UPGRADE_RELEASE,PG_CONFIG bash "$0"
	install_packages
	make -s -C "$top" -j "$(nproc)" PG_CONFIG="$PG_CONFIG" all install
	PG_BIN=$("$PG_CONFIG" --bindir)
	if ! compgen -G "$root/usr/lib/postgresql/*/bin/pg_upgrade" >/dev/null; then
		MATRIX_RELEASES=$release bash "$here/matrix.sh" lint
	fi
	old=$(server_major)
	new=$(printf '%s\n' "$root"/usr/lib/postgresql/*/bin/pg_upgrade | sort -V | tail -n 1 | sed 's/.*postgresql\/\([0-9]*\)\/.*/\1/')
	if [ "$old" -ge "$new" ]; then
		echo "NOTHING IS UPGRADED: this machine has PostgreSQL $old, the chroot $new"
		echo "0 passed, 0 failed, 1 skipped"
		return 0
	fi
	rm -rf --one-file-system "${root:?}$place"
	mkdir -p "$root$place/main"
	copy_server "$root$place/old"
	tar -C "$top" -cf - --exclude=./.git --exclude=./build --exclude='*.o' --exclude='*.so' --exclude='*.bc' \
		--exclude='./phi_guard--*.sql' . | tar -C "$root$place/main" -xf - --no-same-owner
	# shellcheck disable=SC2016
	env root="$root" unshare --mount --pid --fork --kill-child bash -euc '
		mount --make-rprivate /
		mount -t proc proc "$root/proc"
		mount -t devpts devpts "$root/dev/pts"
		mount -t tmpfs tmpfs "$root/dev/shm"
		exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 UPGRADE_INSIDE=yes "$@"' \
		upgrade bash "$place/main/test/matrix/upgrade.sh" "$place/old$PG_BIN" "$place/old/libraries"
}

# ---- in the chroot ----

passed=0
failed=0

same()
{
	if [ "$1" = "$2" ]; then
		echo "ok - $3"
		passed=$((passed + 1))
	else
		echo "not ok - $3"
		diff <(echo "$2") <(echo "$1") | head -n 20 || true
		failed=$((failed + 1))
	fi
}

# Starts or stops the cluster in a folder with the programs that belong to it.
control()
{
	local bin=$1 data=$2

	shift 2
	as_server env LD_LIBRARY_PATH="$libraries" "$bin/pg_ctl" -D "$data" -l "$data.log" -w -s "$@" || { tail -n 30 "$data.log"; return 1; }
}

make_cluster()
{
	local bin=$1 data=$2

	as_server env LD_LIBRARY_PATH="$libraries" "$bin/initdb" --no-sync --no-instructions -A trust -U postgres --encoding=UTF8 \
		--locale=C.UTF-8 -D "$data" >/dev/null
	as_server tee -a "$data/postgresql.conf" >/dev/null <<-EOF
		listen_addresses = ''
		unix_socket_directories = '$PHI_TMP'
		shared_preload_libraries = 'phi_guard'
		phi.kek_file = '$PHI_TMP/kek'
		fsync = off
	EOF
}

# The answer to a script as a role, with errors.
ask()
{
	as_server "$PG_BIN/psql" -XAtq -h "$PHI_TMP" -U "$1" -d "${3:-hospital}" -v VERBOSITY=verbose -c "$2" 2>&1
}

# What somebody sees, and what is stored, in words that have no OID.
everything()
{
	local role

	for role in clinician researcher nobody; do
		echo "== $role"
		ask $role 'SELECT * FROM patient_redacted ORDER BY id; SELECT * FROM visit_redacted ORDER BY id, year'
	done
	echo "== stored"
	ask postgres "SET row_security = off; SELECT * FROM patient ORDER BY id; SELECT tableoid::regclass, * FROM visit ORDER BY id, year;
		SELECT * FROM phi.data_key ORDER BY 1; SELECT * FROM phi.column_policy ORDER BY 1; SELECT * FROM phi.table_policy ORDER BY 1;
		SELECT * FROM phi.enrollment ORDER BY 1; SELECT * FROM phi.duty_grant ORDER BY 1, 2; SELECT * FROM phi.role_rule ORDER BY 1, 2, 3;
		SELECT * FROM phi.consent ORDER BY id; SELECT * FROM phi.consent_source ORDER BY 1; SELECT to_jsonb(e) FROM phi_audit.event e ORDER BY event_id;
		SELECT * FROM phi_audit.leaf ORDER BY 1; SELECT * FROM phi_audit.checkpoint ORDER BY 1"
	echo "== guards"
	ask postgres "SELECT polrelid::regclass, polname, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_policy ORDER BY 1, 2;
		SELECT oid::regclass, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relrowsecurity ORDER BY 1;
		SELECT tgrelid::regclass, tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2;
		SELECT oid::regprocedure::text, array(SELECT unnest(coalesce(proacl, acldefault('f', proowner)))::text ORDER BY 1) FROM pg_proc
		WHERE pronamespace = 'phi'::regnamespace ORDER BY 1;
		SELECT extname, extversion FROM pg_extension ORDER BY 1"
}

fill()
{
	ask postgres "CREATE ROLE hospital LOGIN; CREATE ROLE officer LOGIN; CREATE ROLE privacy LOGIN; CREATE ROLE auditor LOGIN;
		CREATE ROLE clinician LOGIN; CREATE ROLE researcher LOGIN; CREATE ROLE nobody LOGIN" postgres
	ask postgres 'CREATE DATABASE hospital' postgres
	ask postgres "SET client_min_messages = warning; CREATE EXTENSION phi_guard CASCADE; GRANT CREATE ON SCHEMA public TO hospital;
		SELECT phi.grant_duty('officer', 'security_officer'), phi.grant_duty('privacy', 'privacy_officer'), phi.grant_duty('auditor', 'auditor'),
			phi.grant_duty(r::regrole, 'application') FROM unnest('{clinician,researcher,nobody}'::text[]) r;
		SELECT phi.enroll('clinician', 'Dr. House', '{clinician}', '{TREAT}'), phi.enroll('researcher', 'R. Searcher', '{researcher}', '{HRESCH}'),
			phi.install_default_rules()"
	ask hospital "CREATE TABLE patient (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text, ssn text, born date, seen timestamptz,
			weight numeric DEFAULT 70, data jsonb, photo bytea, dropped text);
		CREATE TABLE visit (id bigint, patient bigint REFERENCES patient, year integer, diagnosis text, tags text[], PRIMARY KEY (id, year)) PARTITION BY LIST (year);
		CREATE TABLE visit_2024 PARTITION OF visit FOR VALUES IN (2024);
		CREATE TABLE visit_2025 PARTITION OF visit FOR VALUES IN (2025);
		ALTER TABLE patient DROP COLUMN dropped;
		GRANT SELECT, INSERT, UPDATE, DELETE ON patient, visit TO clinician;
		INSERT INTO patient (name, ssn, born, seen, weight, data, photo) SELECT 'Name ' || i, '987-65-' || 1000 + i, date '1950-01-01' + i,
			'2024-03-01 10:00+00', i, jsonb_build_object('n', i), decode(repeat(md5(i::text), 200), 'hex') FROM generate_series(1, 50) i;
		INSERT INTO visit SELECT i, i % 50 + 1, 2024 + i % 2, 'diagnosis ' || i, CASE WHEN i = 7 THEN '{SUD}'::text[] END FROM generate_series(1, 100) i"
	ask officer "SELECT phi.classify('patient', c, k) FROM (VALUES ('name', 'name'), ('born', 'birth_date'), ('seen', 'service_date'),
			('weight', 'other'), ('data', 'other'), ('photo', 'photo')) AS v (c, k);
		SELECT phi.classify('patient', 'ssn', 'ssn', searchable => true);
		SELECT phi.classify('visit', 'year', 'none'), phi.classify('visit', 'diagnosis', 'diagnosis');
		SELECT phi.protect('patient', subject => 'id'), phi.protect('visit', subject => 'patient', labels => 'tags')"
	ask hospital 'GRANT SELECT ON patient_redacted, visit_redacted TO clinician, researcher, nobody; ALTER TABLE patient ADD COLUMN later text;
		CREATE UNIQUE INDEX ON patient (ssn)'
	ask privacy "SELECT phi.grant_consent(i::bigint, purpose => 'HRESCH') FROM generate_series(1, 20) i; SELECT phi.deny_consent(9::bigint)"
	ask clinician "UPDATE patient SET name = 'Changed' WHERE id = 3; INSERT INTO patient (name) VALUES ('Zoë'); DELETE FROM visit WHERE id = 100"
	ask auditor 'SELECT phi.audit_seal()'
	ask clinician "UPDATE patient SET name = 'Unsealed' WHERE id = 4"
} >/dev/null

upgrade()
{
	local new=$1

	shift
	(cd "$PHI_TMP" && as_server env LD_LIBRARY_PATH="$libraries" "$PG_BIN/pg_upgrade" -U postgres -b "$old_bin" -B "$PG_BIN" -d "$PHI_TMP/old" \
		-D "$PHI_TMP/$new" -s "$PHI_TMP" "$@" >"$PHI_TMP/upgrade.log" 2>&1) && return 0
	tail -n 5 "$PHI_TMP/upgrade.log"
	grep -rhE -A5 'error: |ERROR: |FATAL: ' "$PHI_TMP/$new/pg_upgrade_output.d" "$PHI_TMP/upgrade.log" | head -n 40
	return 1
}

inside()
{
	local before after

	old_bin=$1
	libraries=$2
	# shellcheck source=test/lib/cluster.sh
	. "$here/../lib/cluster.sh"
	find_server || die 'the chroot has no server'
	cluster_begin
	make_kek_file "$PHI_TMP/kek"
	build_and_install || { echo 'not ok - build'; echo '0 passed, 1 failed'; return 1; }

	make_cluster "$old_bin" "$PHI_TMP/old"
	control "$old_bin" "$PHI_TMP/old" start
	fill
	before=$(everything)
	same "$(grep -c 'phi:1:EQ' <<<"$before")$(grep -c '^3|Changed|987-65-1003|' <<<"$before")" 1501 'before: values are sealed, and open'
	control "$old_bin" "$PHI_TMP/old" stop

	# Neither the library preloaded nor a key is needed until the new server is used.
	make_cluster "$PG_BIN" "$PHI_TMP/bare"
	cp "$PHI_TMP/bare/postgresql.conf" "$PHI_TMP/conf"
	sed -i '/^shared_preload_libraries\|^phi\./d' "$PHI_TMP/bare/postgresql.conf"
	same "$(upgrade bare --jobs 2)" '' 'pg_upgrade to a server that does not preload the library'
	cp "$PHI_TMP/conf" "$PHI_TMP/bare/postgresql.conf"
	control "$PG_BIN" "$PHI_TMP/bare" start
	same "$(everything)" "$before" 'the same is there once it does'
	control "$PG_BIN" "$PHI_TMP/bare" stop

	make_cluster "$PG_BIN" "$PHI_TMP/new"
	same "$(upgrade new --check)" '' 'pg_upgrade --check'
	same "$(upgrade new)" '' "pg_upgrade to $("$PG_CONFIG" --version)"
	control "$PG_BIN" "$PHI_TMP/new" start
	after=$(everything)
	same "$after" "$before" 'the same is stored and guarded, and everybody sees the same'
	same "$(ask auditor 'SELECT ok, unsealed, problem FROM phi.audit_verify()')" 't|1|' 'the audit log is good, one event not sealed'

	ask clinician "INSERT INTO patient (name, born) VALUES ('Ursula', '1980-02-29'); UPDATE patient SET ssn = '123-45-6789' WHERE id = 1;
		INSERT INTO visit (id, patient, year, diagnosis) VALUES (500, 1, 2025, 'measles')"
	same "$(ask clinician "SELECT name, born FROM patient_redacted WHERE name = 'Ursula'; SELECT name, ssn FROM patient_redacted WHERE id = 1;
		SELECT diagnosis FROM visit_redacted WHERE id = 500")" $'Ursula|1980-02-29\nName 1|123-45-6789\nmeasles' 'new values open, beside old ones'
	same "$(ask auditor 'SELECT phi.audit_seal(); SELECT ok, unsealed, problem FROM phi.audit_verify()')" $'4\nt|0|' 'and the log goes on'
	same "$(ask clinician "SET enable_seqscan = off; SELECT id FROM patient_redacted WHERE ssn IN ('123-45-6789', '987-65-1001', '987-65-1040')
		ORDER BY id")" $'1\n40' 'patients are found by number'
	ask privacy 'SELECT phi.deny_consent(1::bigint)' >/dev/null
	same "$(ask clinician 'SELECT count(*) FROM patient_redacted WHERE id = 1')" 0 'a new denial is obeyed'
	same "$(ask postgres 'UPDATE phi_audit.event SET actor = NULL' | sed -n 's/^ERROR:  \(.....\): .*/\1/p')" 42501 'the log is guarded'
	ask hospital 'ALTER TABLE patient RENAME COLUMN ssn TO number; ALTER TABLE patient ADD COLUMN more text' >/dev/null
	same "$(ask clinician 'SELECT number, more FROM patient_redacted WHERE id = 2')" '987-65-1002|' 'so is the view: it follows its table'
	ask officer "SELECT phi.unprotect('visit')" >/dev/null
	same "$(ask hospital 'SELECT diagnosis FROM visit WHERE id = 1')" 'diagnosis 1' 'and protection can be taken back'
	as_server "$PG_BIN/pg_dump" -h "$PHI_TMP" -U postgres -Fc -f "$PHI_TMP/dump" hospital
	ask postgres 'CREATE DATABASE again TEMPLATE template0' postgres
	same "$(as_server "$PG_BIN/pg_restore" -h "$PHI_TMP" -U postgres -e -d again "$PHI_TMP/dump" 2>&1)" '' 'it can be dumped and restored'
	same "$(ask clinician 'SELECT * FROM patient_redacted ORDER BY id' again)" "$(ask clinician 'SELECT * FROM patient_redacted ORDER BY id')" 'with all in it'
	control "$PG_BIN" "$PHI_TMP/new" stop
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}

if [ -n "${UPGRADE_INSIDE:-}" ]; then
	inside "$@"
else
	outside
fi
