#!/usr/bin/env bash
# format.sh: names the C files that clang-format would lay out otherwise.  Advice, never a failure.
set -euo pipefail
. "$(dirname "$0")/lint.sh"

command -v clang-format >/dev/null || { echo "clang-format is not installed"; exit 0; }
while IFS= read -r file; do
	clang-format "$file" | cmp -s - "$file" || echo "$file"
done < <(project_files | grep -E '\.[ch]$')
