#!/usr/bin/env bash
# layers.sh: a file of src/ includes only headers of its own folder and of the folders before it;
# core/ and tools/ know nothing of PostgreSQL; only platform/compat tests PG_VERSION_NUM.
set -euo pipefail
. "$(dirname "$0")/lint.sh"

order='core platform keyring session audit consent types redact protect'

# Prints the place of a folder in the order; nothing for a folder that is not in it.
rank()
{
	local folder place=0

	for folder in $order; do
		place=$((place + 1))
		[ "$folder" != "$1" ] || echo $place
	done
}

# Checks one #include "header" of a file in a folder of src/.
check_include()
{
	local where=$1 folder=$2 header=$3 target

	case $header in
		*..*) complain "$where: includes $header by a path that leaves its folder"; return ;;
		*/*) target=${header%%/*} ;;
		*) target=$folder ;;
	esac
	if [ ! -f "src/$header" ] && [ ! -f "src/$folder/$header" ]; then
		target=postgres
	fi
	case $folder/$target in
		"$folder/$folder" | tools/core) ;;
		tools/* | core/*) complain "$where: $folder/ may not include $header" ;;
		*/postgres) ;;
		*)
			if [ -z "$(rank "$target")" ] || [ "$(rank "$target")" -gt "$(rank "$folder")" ]; then
				complain "$where: $folder/ comes before $target/ and may not include $header"
			fi
			;;
	esac
}

mapfile -t files < <(find src -mindepth 2 -name '*.[ch]' | sort)
for file in "${files[@]}"; do
	folder=${file#src/}
	folder=${folder%%/*}
	[ "$folder" = tools ] || [ -n "$(rank "$folder")" ] || complain "$file: $folder/ is no folder of the design"
done
while IFS=: read -r file line text; do
	folder=${file#src/}
	header=${text#*\"}
	check_include "$file:$line" "${folder%%/*}" "${header%%\"*}"
done < <([ ${#files[@]} -eq 0 ] || code_of "${files[@]}" | grep -E ':[0-9]+:[ \t]*#[ \t]*include[ \t]*"' || true)

# Complains of code that matches in the files of some folders.
forbid()
{
	local pattern=$1 why=$2 found

	shift 2
	mapfile -t found < <(find "$@" -name '*.[ch]' 2>/dev/null | sort)
	[ ${#found[@]} -gt 0 ] || return 0
	complain "$(code_of "${found[@]}" | grep -E "$pattern" | sed "s|^|$why: |" || true)"
}

forbid '"(postgres(_fe)?|fmgr|c)\.h"|<postgres|\b(palloc0?|pfree|repalloc|ereport|elog|Datum|PG_TRY)\b' \
	'of PostgreSQL, in a folder that is not' src/core src/tools
forbid '\b(malloc|calloc|realloc|strdup|free)[ \t]*\(' 'an allocator in core/' src/core
forbid '\bPG_VERSION_NUM\b' 'only in platform/compat' src ! -path 'src/platform/compat.[ch]'
forbid '"postgres\.h"' 'by platform/compat.h, which knows the versions' src ! -path 'src/platform/compat.[ch]'

[ ${#files[@]} -gt 0 ] || complain "src/ has no C files"
conclude layers
