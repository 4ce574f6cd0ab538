#!/usr/bin/env bash
# docs.sh: docs/functions.md names every function that a duty may execute, docs/settings.md every
# setting.
set -euo pipefail
# shellcheck source=test/lib/lint.sh
. "$(dirname "$0")/lint.sh"

duty_functions()
{
	sed -n "/INSERT INTO phi.duty_function/,/unnest(d.names)/p" src/protect/duty.sql | tr -d '\n\t ' |
		grep -oE '\{[a-z_,]+\}' | tr '{,}' '\n' | sed '/^$/d' | sort -u
}

settings()
{
	grep -hoE '"phi\.[a-z_]+",' src/*/*.c | tr -d '",' | sort -u
}

for name in $(duty_functions); do
	grep -q "phi\.$name(" docs/functions.md || complain "docs/functions.md does not name phi.$name"
done
for name in $(settings); do
	grep -q "\`$name\`" docs/settings.md || complain "docs/settings.md does not name $name"
done
conclude docs
