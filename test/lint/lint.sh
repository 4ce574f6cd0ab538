# shellcheck shell=bash
# lint.sh: what the lints share.  To be sourced; moves to the top of the project.
#
# A lint prints its complaints, then "ok - lint: name" or "not ok - lint: name" with conclude.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
complaints=

# Prints a complaint; none where the text is empty.
complain()
{
	[ -n "$1" ] || return 0
	complaints=yes
	printf '%s\n' "$1"
}

# The project's own files: what git tracks or would add, or everything where there is no git.
project_files()
{
	{
		git ls-files --cached --others --exclude-standard 2>/dev/null ||
			find . -type f ! -path './build/*' ! -name '*.o' ! -name '*.so' ! -name '*.bc' \
				! -name 'phi_guard--*.sql' | sed 's,^\./,,'
	} | while IFS= read -r file; do
		[ ! -f "$file" ] || printf '%s\n' "$file"
	done
}

# Prints C files with comments blanked, each line behind "file:line:".
code_of()
{
	perl -e 'for my $file (@ARGV) {
		local (@ARGV, $/) = $file;
		my $text = <>;
		$text =~ s{("(?:\\.|[^"\\])*"|\x27(?:\\.|[^\x27\\])*\x27)|/\*.*?\*/|//[^\n]*}
				  {defined $1 ? $1 : "\n" x ($& =~ tr/\n//)}gse;
		my $number = 0;
		print "$file:", ++$number, ":$_\n" for split /\n/, $text, -1;
	}' "$@"
}

conclude()
{
	if [ -z "$complaints" ]; then
		echo "ok - lint: $1"
	else
		echo "not ok - lint: $1"
		exit 1
	fi
}
