#!/usr/bin/env bash
# run.sh [client ...]: real client programs against a protected table of a throw-away cluster; all of them by default.
# Packages that are missing are installed from Debian and the npm registry first.  Closes with "N passed, N failed".
set -euo pipefail

clients=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=test/lib/prepare.sh
. "$clients/../lib/prepare.sh"
# shellcheck source=test/lib/cluster.sh
. "$clients/../lib/cluster.sh"

names=${*:-psql psycopg sqlalchemy django jdbc node}

# Prints the packages whose program or file is not there; an absolute path or a program's name.
missing_clients()
{
	local package sign

	sed 's/#.*//' "$clients/packages.txt" | while read -r package sign; do
		[ -n "$package" ] || continue
		[ -e "$sign" ] || command -v "$sign" >/dev/null || echo "$package"
	done
}

install_clients()
{
	local missing

	missing=$(missing_clients)
	[ -n "$missing" ] || return 0
	# shellcheck disable=SC2086
	echo "installing:" $missing
	# shellcheck disable=SC2086
	apt_install $missing || { as_root apt-get update -q && apt_install $missing; }
}

# A copy of the programs that the server's user can read, with the npm packages of package-lock.json.
stage_clients()
{
	stage=$(as_server mktemp -d "$PHI_TMP/clients.XXXXXX")
	cp "$clients"/* "$stage/"
	npm ci --prefix "$stage" --no-audit --no-fund --ignore-scripts --loglevel=error
	chmod -R a+rX "$stage"
}

# Programs connect to the loopback address: JDBC knows no Unix-domain socket.
free_port()
{
	/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

run_client()
{
	case $1 in
		psql) as_server bash "$stage/psql.sh" ;;
		psycopg) as_server /usr/bin/python3 "$stage/psycopg3.py" ;;
		sqlalchemy) as_server /usr/bin/python3 "$stage/sqlalchemy_orm.py" ;;
		django) as_server /usr/bin/python3 "$stage/django_orm.py" ;;
		jdbc) as_server java -cp /usr/share/java/postgresql.jar "$stage/Jdbc.java" ;;
		node) as_server node "$stage/node.js" ;;
		*) die "no client is called $1" ;;
	esac
}

# What holds after all of them: values are stored sealed and nowhere else, with their events.
check_server()
{
	local verified loose events files

	verified=$(PGUSER=postgres run_psql -Atqc 'SELECT phi.audit_seal() > 0' -c 'SELECT ok, unsealed FROM phi.audit_verify()' | tr '\n' ' ')
	result "$([ "$verified" = 't t|0 ' ] && echo ok)" "the audit log is good" "$verified"
	loose=$(PGUSER=postgres run_psql -Atqc "SET row_security = off" \
		-c "SELECT count(*) FROM patient WHERE coalesce(name::text, 'phi:1:EQ') NOT LIKE 'phi:1:EQ%'")
	result "$([ "$loose" = 0 ] && echo ok)" "every stored value is sealed for its row" "$loose"
	events=$(PGUSER=postgres run_psql -Atqc "SET row_security = off" -c "SELECT count(*) FROM patient WHERE NOT EXISTS (SELECT
		FROM phi_audit.event WHERE action = 'insert' AND actor = 'Dr. Client' AND id::text = ANY (row_keys))")
	result "$([ "$events" = 0 ] && echo ok)" "every row has the event of its insertion" "$events"
	PGUSER=postgres run_psql -qc CHECKPOINT
	files=$(grep -rlaF Kanary "$PHI_TMP/server/data" 2>/dev/null || true)
	result "$([ -z "$files" ] && echo ok)" "no value is plain in the data directory or the write-ahead log" "$files"
}

result()
{
	if [ "$1" = ok ]; then
		echo "ok - server: $2"
	else
		echo "not ok - server: $2: $3"
	fi
}

install_packages
install_clients
cluster_begin
build_and_install
stage_clients
port=$(free_port)
start_cluster server "listen_addresses = '127.0.0.1'" "port = $port" "shared_preload_libraries = 'phi_guard'"
export PGPORT=$port
run_psql -q -o /dev/null -f "$stage/setup.sql"
# The log is searched as well, but not for the clients that write their parameters into the statement.
server_log=$(cluster_log server)
export PGHOST=127.0.0.1 PGUSER=app
for name in $names; do
	from=$(stat -c %s "$server_log")
	status=0
	run_client "$name" >"$PHI_TMP/$name.out" 2>&1 || status=$?
	cat "$PHI_TMP/$name.out"
	[ "$status" -eq 0 ] || grep -q '^not ok' "$PHI_TMP/$name.out" || echo "not ok - $name ended badly"
	grep -q '^ok' "$PHI_TMP/$name.out" || echo "not ok - $name ran no test"
	case $name in
		psycopg | jdbc | node)
			shown=$(tail -c "+$((from + 1))" "$server_log" | grep -F Kanary || true)
			result "$([ -z "$shown" ] && echo ok)" "$name left no value in the log" "$shown"
			;;
	esac
done | tee "$PHI_TMP/results"
check_server | tee -a "$PHI_TMP/results"

passed=$(grep -c '^ok' "$PHI_TMP/results" || true)
failed=$(grep -c '^not ok' "$PHI_TMP/results" || true)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
