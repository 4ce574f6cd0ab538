#!/usr/bin/env bash
# words.sh: no words that promise later work, no paths of one machine, no C file over 600 lines, one
# version.  The patterns are written so that they do not match themselves.
set -euo pipefail
. "$(dirname "$0")/lint.sh"

mapfile -t files < <(project_files)
mapfile -t code < <(printf '%s\n' "${files[@]}" | grep -E '^(src|sql|test|\.ci)/|^Makefile$')

complain "$(grep -nIiE '\b(TO[D]O|FIX[M]E|X[X]X)\b' "${files[@]}" /dev/null || true)"
complain "$(grep -nIiE '\b(not implement[e]d|place[h]older|st[u]b)s?\b' "${code[@]}" /dev/null || true)"
complain "$(grep -nIE '(^|[^.[:alnum:]])/(wor[k]|far[m])/|/tmp/bash_job[s]|\.librar[y]/' "${files[@]}" /dev/null || true)"

complain "$(find src -name '*.c' -exec wc -l {} + | awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines" }')"

control=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" phi_guard.control)
perl -MJSON::PP -e '
	local $/;
	my $meta = decode_json(<STDIN>);
	exit !($meta->{version} eq $ARGV[0] && $meta->{provides}{phi_guard}{version} eq $ARGV[0])' \
	"$control" <META.json || complain "META.json: its versions are not the $control of phi_guard.control"

conclude words
