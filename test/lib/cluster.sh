# shellcheck shell=bash
# cluster.sh: throw-away clusters.  To be sourced by check.sh, the demo and the benchmarks, after
# prepare.sh has found a server.
#
#	cluster_begin                    makes $PHI_TMP, owned by the server's user; a trap ends it all
#	as_server cmd ...                cmd as that user, in $PHI_TMP
#	start_cluster name [line ...]    initdb, the lines added to postgresql.conf, start; sets PGHOST
#	restart_cluster name             with the same settings
#	stop_cluster name                at once, its files removed
#	run_psql ...                     psql -X as superuser, stopping at the first error
#	cluster_log name                 prints the path of its log
#	share_folder folder              prints a path of it, or of a copy, that the server's user can read
#
# Root cannot run a server: the user is postgres where it exists, otherwise one made for this run.
# Servers listen on a socket in $PHI_TMP, on no port.  KEEP=1 keeps $PHI_TMP of a failed run.

made_user=
job=

cluster_begin()
{
	local name

	for name in "${!PG@}"; do
		[ "$name" = PG_CONFIG ] || unset "$name"
	done
	PG_BIN=$("$PG_CONFIG" --bindir)
	if [ "$(id -u)" -ne 0 ]; then
		SERVER_USER=
		PHI_TMP=$(mktemp -d "${TMPDIR:-/tmp}/phi_guard.XXXXXX")
	else
		SERVER_USER=postgres
		if ! id -u $SERVER_USER >/dev/null 2>&1; then
			SERVER_USER=phi_guard_test
			if ! id -u $SERVER_USER >/dev/null 2>&1; then
				useradd --system --no-create-home --user-group $SERVER_USER
				made_user=1
			fi
		fi
		PHI_TMP=$(mktemp -d /tmp/phi_guard.XXXXXX)
		chown "$SERVER_USER" "$PHI_TMP"
	fi
	export PHI_TMP PG_BIN
	trap cluster_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# Ends the process group of a background job, where there is one.
end_job()
{
	[ -n "$job" ] || return 0
	! kill -TERM -- "-$job" 2>/dev/null || wait "$job" || true
	job=
}

# The trap: servers stopped, files removed, status of the script kept.
cluster_end()
{
	local status=$? pid_file

	trap - EXIT
	end_job
	find "$PHI_TMP" -name postmaster.pid | while read -r pid_file; do
		as_server "$PG_BIN/pg_ctl" -D "$(dirname "$pid_file")" -m immediate -w -s stop || true
	done
	if [ "$status" -ne 0 ] && [ -n "${KEEP:-}" ]; then
		echo "kept: $PHI_TMP" >&2
	else
		rm -rf "$PHI_TMP"
		[ -z "$made_user" ] || userdel "$SERVER_USER"
	fi
	exit "$status"
}

as_server()
(
	cd "$PHI_TMP" || exit
	export HOME=$PHI_TMP PATH=$PG_BIN:$PATH
	[ -z "$SERVER_USER" ] ||
		exec setpriv --reuid="$SERVER_USER" --regid="$(id -g "$SERVER_USER")" --init-groups "$@"
	exec "$@"
)

# Writes a file of two KEK versions that only the server's user can read.
make_kek_file()
{
	as_server sh -c 'umask 077
		for v in 1 2; do
			printf "%s:%s\n" $v "$(od -An -v -tx1 -N32 /dev/urandom | tr -d " \n")"
		done >"$1"' sh "$1"
}

start_cluster()
{
	local name=$1 dir=$PHI_TMP/$1

	shift
	as_server mkdir "$dir"
	make_kek_file "$dir/kek"
	as_server "$PG_BIN/initdb" --no-sync --no-instructions -A trust -U postgres --encoding=UTF8 \
		--locale=C.UTF-8 -D "$dir/data" >"$PHI_TMP/initdb.log" || { cat "$PHI_TMP/initdb.log"; return 1; }
	as_server tee -a "$dir/data/postgresql.conf" >/dev/null <<-EOF
		listen_addresses = ''
		unix_socket_directories = '$dir'
		shared_preload_libraries = 'phi_guard,pg_stat_statements'
		phi.kek_file = '$dir/kek'
		fsync = off
		max_prepared_transactions = 10
		log_line_prefix = '%m [%p] %q%a %d '
		$(printf '%s\n' "$@")
	EOF
	export PGHOST=$dir PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	as_server "$PG_BIN/pg_ctl" -D "$dir/data" -l "$dir/log" -w -s start || { tail -n 20 "$dir/log"; return 1; }
}

restart_cluster()
{
	as_server "$PG_BIN/pg_ctl" -D "$PHI_TMP/$1/data" -l "$PHI_TMP/$1/log" -m fast -w -s restart
}

stop_cluster()
{
	as_server "$PG_BIN/pg_ctl" -D "$PHI_TMP/$1/data" -m immediate -w -s stop
	rm -rf "${PHI_TMP:?}/$1"
}

run_psql()
{
	as_server "$PG_BIN/psql" -X -v ON_ERROR_STOP=1 "$@"
}

cluster_log()
{
	echo "$PHI_TMP/$1/log"
}

share_folder()
{
	local folder unreadable copy

	folder=$(realpath -e "$1")
	if unreadable=$(as_server find "$folder" ! -readable 2>&1) && [ -z "$unreadable" ]; then
		echo "$folder"
	else
		copy=$(as_server mktemp -d "$PHI_TMP/folder.XXXXXX")
		cp -R --no-preserve=mode,ownership "$folder/." "$copy"
		chmod -R a+rX "$copy"
		echo "$copy"
	fi
}
