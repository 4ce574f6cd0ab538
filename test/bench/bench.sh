#!/usr/bin/env bash
# bench.sh: what the extension costs, each figure beside its peer, in one run on a throw-away cluster.
#
#	ONLY=group     one of crypto scan search access login redaction audit pgaudit protect, several in quotes; default all of
#	               these.  years, ten million events, runs only if it is named
#	SCALE=fraction rows of the large tables, of 1 million patients and what goes with them; default 1
#	ROUNDS=n       paired rounds of a query or of clients; default 7
#	SECONDS_EACH=n how long clients run in a round; default 2
#
# One line a figure: group/name | ours | peer | ratio | goal | holds.  The last word is "short" where
# the goal is missed and "-" where there is none.  The ratio is ours / peer, the median over the
# rounds; ours and the peer's are medians of their own.  Lines that begin with # are remarks.  Status 1
# only where something could not be measured: a missed goal is a result.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=test/lib/prepare.sh
. "$here/../lib/prepare.sh"
# shellcheck source=test/lib/cluster.sh
. "$here/../lib/cluster.sh"
# shellcheck source=test/bench/measure.sh
. "$here/measure.sh"

default_groups='crypto scan search access login redaction audit pgaudit protect'
all_groups="$default_groups years"
groups=${ONLY:-$default_groups}
scale=${SCALE:-1}
rounds=${ROUNDS:-7}
export client_seconds=${SECONDS_EACH:-2}

for group in $groups; do
	case " $all_groups " in
		*" $group "*) ;;
		*) die "no group of figures is called $group: they are $all_groups" ;;
	esac
done

# scaled n: n times SCALE, a whole number of at least 1000.
scaled()
{
	awk -v n="$1" -v scale="$scale" 'BEGIN { x = int(n * scale); print x < 1000 ? 1000 : x }'
}

install_packages
cluster_begin
build_and_install >"$PHI_TMP/build.log" 2>&1 || { cat "$PHI_TMP/build.log"; die "the build failed"; }
# fsync stays off, as in the tests, but for the figures that say otherwise.  Queries run in one process
# each, so that a figure is the work of one processor; autovacuum would take one of a small machine's
# away in the middle of a round.
start_cluster bench "shared_buffers = '1GB'" "max_wal_size = '8GB'" "checkpoint_timeout = '1h'" \
	"autovacuum = off" "jit = off" "max_parallel_workers_per_gather = 0" "log_checkpoints = off"
echo "# $("$PG_CONFIG" --version), $(nproc) processors, scale $scale, $rounds rounds, fsync off"
echo "# group/name | ours | peer | ratio | goal | holds"
for group in $groups; do
	begun=$SECONDS
	# shellcheck source=/dev/null
	. "$here/$group.sh"
	echo "# $group: $((SECONDS - begun)) s"
done
