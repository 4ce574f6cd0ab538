# shellcheck shell=bash
# measure.sh: timing of queries and clients in paired rounds.  To be sourced by bench.sh.
#
#	make_database name               a database with the extension and the default rules
#	remark words                     a line that is no figure
#	value role database sql          what a query gives
#	time_queries times role database rounds label sql [label sql ...]
#	time_first times role database label sql      the query as the first of a new session
#	time_clients times role database label clients length script   length: -T seconds or -t transactions each
#	figure times name ours peer unit goal [rows of ours [rows of the peer]]
#
# times is a file of lines "label milliseconds" ("label transactions a second" for clients), one a
# round.  Rounds of all labels alternate within one session, in turns forwards and backwards, after
# one that is not counted; {round} in a query is the number of the round.

make_database()
{
	run_psql -q -c "CREATE DATABASE $1"
	run_psql -q -d "$1" -c "SET client_min_messages = warning" -c "CREATE EXTENSION phi_guard CASCADE"
	run_psql -qAt -d "$1" -o /dev/null -c "SELECT phi.install_default_rules()"
}

remark()
{
	echo "# $*"
}

value()
{
	run_psql -qAt -U "$1" -d "$2" -c "$3"
}

# The script of one session: each query behind a line that names it; - is not counted.
query_rounds()
{
	local rounds=$1 round i label order

	shift
	printf '\\timing on\n'
	for ((round = 0; round <= rounds; round++)); do
		order=$(seq 1 2 $#)
		[ $((round % 2)) -eq 0 ] || order=$(tac <<<"$order")
		for i in $order; do
			label=${!i}
			[ "$round" -gt 0 ] || label=-
			i=$((i + 1))
			printf '\\echo @%s\n%s;\n' "$label" "${!i//\{round\}/$round}"
		done
	done
}

# Of a query of several statements the last one counts.
time_queries()
{
	local times=$1 role=$2 database=$3

	query_rounds "${@:4}" | run_psql -q -o /dev/null -U "$role" -d "$database" | awk '
		function flush() { if (label != "" && label != "-") print label, last; label = "" }
		/^@/ { flush(); label = substr($0, 2) }
		/^Time: / { last = $2 }
		END { flush() }' >>"$times"
}

time_first()
{
	printf '\\timing on\n%s;\n' "$5" | run_psql -q -o /dev/null -U "$2" -d "$3" |
		awk -v label="$4" '/^Time: / { last = $2; found = 1 } END { if (found) print label, last; exit !found }' >>"$1"
}

time_clients()
{
	local times=$1 role=$2 database=$3 label=$4 clients=$5 length=$6 script=$7 output

	# shellcheck disable=SC2086
	output=$(as_server "$PG_BIN/pgbench" -n -M prepared -c "$clients" -j 2 $length -U "$role" \
		-f "$script" "$database" 2>&1) || { echo "$output" >&2; return 1; }
	awk -v label="$label" '/^tps = / { print label, $3; found = 1 } END { exit !found }' \
		<<<"$output" >>"$times"
}

figure()
{
	perl "$here/figure.pl" "$@"
}
