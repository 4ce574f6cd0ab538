#!/usr/bin/env bash
# check.sh [suite ...]: runs the test suites, all of them by default, and closes with one line
# "N passed, N failed".  What they need is installed and built first (prepare.sh), servers are
# throw-away clusters (cluster.sh).
#
# A suite that ends badly without naming a failed test counts as one failed test.  A suite that has
# no tests is named loudly.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=test/lib/prepare.sh
. "$here/prepare.sh"
# shellcheck source=test/lib/cluster.sh
. "$here/cluster.sh"

suites=${*:-lint unit fuzz regress isolation tap}
suite_limit=${SUITE_LIMIT:-1200}
regress_noise='^(=|SET$|DROP|CREATE|ALTER| All|\(using|1\.\.|#|$)'
passed=0
failed=0

# Prints how many lines of a file match.
lines()
{
	grep -ciE "$1" "$2" || true
}

# Adds the results in a log to the totals: lines of TAP, of pg_regress before PostgreSQL 16
# ("test name ... ok"), or "N passed, N failed" where a runner sums up by itself.
count()
{
	local suite=$1 log=$2 status=$3 good bad skipped
	local summary='^([a-z]+: )?([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$'

	if grep -qE "$summary" "$log"; then
		read -r good bad skipped < <(sed -nE "s/$summary/\\2 \\3 \\5/p" "$log" |
			awk '{ good += $1; bad += $2; skipped += $3 } END { print good, bad, skipped + 0 }')
	else
		skipped=$(lines '^ok [0-9].*# skip\b' "$log")
		good=$(($(lines '^ok [-0-9]|^(test| ) .* \.\.\. +ok ' "$log") - skipped))
		bad=$(lines '^not ok\b|^(test| ) .* \.\.\. +FAILED' "$log")
		skipped=$((skipped + $(lines '\.pl +\.+ skipped:' "$log")))
	fi
	[ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
	passed=$((passed + good))
	failed=$((failed + bad))
	echo "== $suite: $good ok, $bad not ok, $skipped skipped, $((SECONDS - started)) s"
	[ $((good + bad)) -gt 0 ] || echo "== $suite: NO TEST WAS RUN"
}

# Runs a suite's command in a process group of its own, with its output in a log; what the filter
# matches is shown only where the suite failed.
run_suite()
{
	local suite=$1 filter=$2 log=$PHI_TMP/$1.log status=0

	shift 2
	started=$SECONDS
	set -m
	"$@" </dev/null >"$log" 2>&1 &
	job=$!
	set +m
	wait "$job" || status=$?
	end_job
	if [ "$status" -eq 0 ]; then
		grep -vE "$filter" "$log" || true
	else
		tail -n 400 "$log"
		echo "-- $suite: what failed"
		awk '/^# [0-9a-z_]+\.pl$/ { file = $2 ": " } /^not ok|^(test| ) .* \.\.\. +FAILED|ended badly/ { print file $0 }' "$log"
	fi
	count "$suite" "$log" "$status"
}

suite_make()
{
	timeout --foreground "$suite_limit" make -s -C "$top" "$1"
}

# The tests named in a schedule, in its order; without one all of a folder's.
scheduled()
{
	local schedule=$1 folder=$2 ending=$3

	if [ -f "$schedule" ]; then
		sed 's/#.*//' "$schedule" | tr -s ' \t\n' '\n' | sed '/^$/d'
	else
		find "$folder" -name "*.$ending" -exec basename {} ".$ending" \; 2>/dev/null | sort
	fi
}

# pg_regress, or its isolation variant, on a cluster of its own.
suite_regress()
{
	local name=$1 runner=$2 input=$3 out=$PHI_TMP/$1.out status=0

	shift 3
	[ $# -gt 0 ] || return 0
	start_cluster "$name" && as_server mkdir "$out" || return 1
	as_server timeout --foreground "$suite_limit" "$test_programs/$runner" \
		--inputdir="$input" --outputdir="$out" --bindir="$PG_BIN" \
		--dlpath="$("$PG_CONFIG" --pkglibdir)" --host="$PGHOST" --port="$PGPORT" --user=postgres \
		--encoding=UTF8 --dbname=contrib_regression "$@" || status=$?
	if [ "$status" -ne 0 ]; then
		[ ! -f "$out/regression.diffs" ] || head -n 200 "$out/regression.diffs"
		grep -E 'PANIC|TRAP|was terminated by' "$(cluster_log "$name")" | tail -n 20
	fi
	stop_cluster "$name"
	return $status
}

# One prove for each file, so that a file that dies is seen even where its tests had passed.
suite_tap()
{
	local test_file name output status=0

	as_server mkdir -p "$PHI_TMP/tap/log"
	for test_file in "$PHI_TMP"/stage/test/tap/*.pl; do
		[ -e "$test_file" ] || continue
		name=$(basename "$test_file")
		echo "# $name"
		output=$(as_server env PG_REGRESS="$test_programs/regress/pg_regress" \
			PERL5LIB="$test_programs/perl:$PHI_TMP/stage/test/tap" \
			TESTDIR="$PHI_TMP/tap" TESTDATADIR="$PHI_TMP/tap" TESTLOGDIR="$PHI_TMP/tap/log" \
			timeout --foreground "$suite_limit" prove --verbose --norc "$test_file" 2>&1) || {
			status=1
			grep -q '^not ok' <<<"$output" || output+=$'\n'"not ok - $name ended badly"
		}
		printf '%s\n' "$output"
	done
	return $status
}

# Copies the inputs to $PHI_TMP/stage, where the server's user can read them; PHI_SHARED is the folder
# of public data beside the project, empty where there is none; PHI_VERIFY the offline verifier.
stage()
{
	as_server mkdir "$PHI_TMP/stage"
	(cd "$top" && find sql expected test docs/recipes docs/audit-evidence.md -type f ! -name '*.o' -print0 2>/dev/null | tar -cf - --null -T -) |
		as_server tar -C "$PHI_TMP/stage" -xf - --no-same-owner
	if [ -x "$top/build/phi_verify" ]; then
		install -m 755 "$top/build/phi_verify" "$PHI_TMP/stage/phi_verify"
		export PHI_VERIFY=$PHI_TMP/stage/phi_verify
	fi
	PHI_SHARED=${PHI_SHARED:-$top/../shared/data}
	if [ -d "$PHI_SHARED" ]; then
		PHI_SHARED=$(share_folder "$PHI_SHARED")
	else
		PHI_SHARED=
		echo "no folder of public data beside the project: the tests that read it are skipped"
	fi
	export PHI_SHARED
}

server=
case " $suites " in
	*' regress '* | *' isolation '* | *' tap '*) server=yes ;;
esac
install_packages
cluster_begin
test_programs=$(dirname "$("$PG_CONFIG" --pgxs)")/../test

if [ -n "$server" ]; then
	if build_and_install; then
		echo "ok - build for $("$PG_CONFIG" --version)"
		passed=1
		stage
	else
		echo "not ok - build for $("$PG_CONFIG" --version)"
		failed=1
		suites=$(echo " $suites " | sed 's/ regress / /; s/ isolation / /; s/ tap / /')
		echo "the extension was not built: without it there is nothing to start a server for"
	fi
fi
for suite in $suites; do
	case $suite in
		lint) run_suite lint '^$' suite_make check-lint ;;
		unit | fuzz) run_suite "$suite" '^ok ' suite_make "check-$suite" ;;
		regress)
			mapfile -t tests < <(scheduled "$top/test/schedule" "$top/sql" sql)
			run_suite regress "$regress_noise" suite_regress regress regress/pg_regress "$PHI_TMP/stage" "${tests[@]}"
			;;
		isolation)
			mapfile -t tests < <(scheduled "$top/test/isolation/schedule" "$top/test/isolation/specs" spec)
			run_suite isolation "$regress_noise" suite_regress isolation isolation/pg_isolation_regress \
				"$PHI_TMP/stage/test/isolation" "${tests[@]}"
			;;
		tap) run_suite tap '^ *(ok |1\.\.|ok$)' suite_tap ;;
		*) die "no suite of tests is called $suite" ;;
	esac
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
