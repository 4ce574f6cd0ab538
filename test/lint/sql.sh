#!/usr/bin/env bash
# sql.sh: in the parts of the install script each function, procedure and aggregate is followed by
# its REVOKE ALL ... FROM PUBLIC and its COMMENT, in that order and before the next one; no OR
# REPLACE, no IF NOT EXISTS; SECURITY DEFINER only with SET search_path = pg_catalog, pg_temp.
set -euo pipefail
. "$(dirname "$0")/lint.sh"

mapfile -t parts < <(find src -name '*.sql' | sort)
found=$(perl - "${parts[@]}" <<'PERL'
use strict;
use warnings;

my $kind = qr/(?:FUNCTION|PROCEDURE|AGGREGATE)/i;
my $name = qr/((?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?)/;

# Blanks a piece of text but for its line ends, so that lines keep their numbers.
sub blank { my $text = shift; $text =~ s/[^\n]//g; return $text; }

for my $file (@ARGV)
{
	open my $in, '<', $file or die "$file: $!";
	my $text = do { local $/; <$in> };

	$text =~ s{('(?:[^']|'')*')|(--[^\n]*|/\*.*?\*/)|(\$(\w*)\$.*?\$\4\$)}
			  {defined $1 ? "''" . blank($1) : defined $2 ? blank($2) : "''" . blank($3)}gse;
	$text =~ s{\bBEGIN\s+ATOMIC\b.*?^[ \t]*END\s*;}{blank($&) . ';'}gsmie;

	my ($line, $open) = (1, undef);
	my $close = sub {
		return unless $open;
		print "$file:$open->{line}: $open->{name} has no REVOKE ALL ... FROM PUBLIC\n" unless $open->{revoke};
		print "$file:$open->{line}: $open->{name} has no COMMENT after its REVOKE\n" unless $open->{comment};
		undef $open;
	};
	for my $statement (split /;/, $text)
	{
		my ($space) = $statement =~ /^(\s*)/;
		my $at = $line + ($space =~ tr/\n//);

		print "$file:$at: OR REPLACE\n" if $statement =~ /\bOR\s+REPLACE\b/i;
		print "$file:$at: IF NOT EXISTS\n" if $statement =~ /\bIF\s+NOT\s+EXISTS\b/i;
		if ($statement =~ /^\s*CREATE\s+(?:OR\s+REPLACE\s+)?$kind\s+$name/i)
		{
			$close->();
			$open = { name => $1, line => $at };
			print "$file:$at: $open->{name}: SECURITY DEFINER without SET search_path = pg_catalog, pg_temp\n"
				if $statement =~ /\bSECURITY\s+DEFINER\b/i
				&& $statement !~ /\bSET\s+search_path\s*(?:=|TO)\s*pg_catalog\s*,\s*pg_temp\s*(?:$|AS\b|''|\w)/i;
		}
		elsif ($open && $statement =~ /^\s*REVOKE\s+ALL\s+(?:PRIVILEGES\s+)?ON\s+(?:FUNCTION|PROCEDURE|ROUTINE)\s+$name.*\bFROM\s+PUBLIC\b/is)
		{
			$open->{revoke} = 1 if lc $1 eq lc $open->{name};
		}
		elsif ($open && $statement =~ /^\s*COMMENT\s+ON\s+$kind\s+$name/i)
		{
			$open->{comment} = $open->{revoke} if lc $1 eq lc $open->{name};
		}
		$line += $statement =~ tr/\n//;
	}
	$close->();
}
PERL
)
complain "$found"

[ ${#parts[@]} -gt 0 ] || complain "src/ has no SQL files"
conclude sql
