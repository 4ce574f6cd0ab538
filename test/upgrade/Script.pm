# Script.pm: an install script of the extension as statements, and the script that leads from one to another.
#
#	my $old = Upgrade::Script::parse($text);                  # statements, in order
#	my ($script, @left) = Upgrade::Script::upgrade($old, $new);
#
# What is new is created, in the order of the new script; a function whose head is the same gets its new body by
# CREATE OR REPLACE, one whose head has changed is dropped and made anew; a table gets the columns and constraints that
# came behind those it has. @left names what that cannot do: it needs statements written by hand.
#
# It relies on the manner of our scripts: CREATE, REVOKE ALL, COMMENT for each function, columns of tables one a line.
package Upgrade::Script;

use strict;
use warnings;

# The statements of a script, without comments and psql's commands.
sub parse
{
	my ($text) = @_;
	my ($statement, $atomic, @statements) = ('', 0);

	$text =~ s/^\\.*\n//mg;
	while ($text =~ /\G(--[^\n]*|\/\*.*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\2\$|;|\w+|\s+|.)/gs)
	{
		my $token = $1;

		next if $token =~ /^(--|\/\*)/;
		$atomic = 1 if !$atomic && uc $token eq 'ATOMIC' && $statement =~ /BEGIN\s+$/i;
		$atomic++ if $atomic && uc $token eq 'CASE';
		$atomic-- if $atomic && uc $token eq 'END';
		if ($token ne ';' || $atomic)
		{
			$statement .= $token;
			next;
		}
		$statement =~ s/^\s+|\s+$//g;
		push @statements, $statement;
		$statement = '';
	}
	$statement =~ s/^\s+|\s+$//g;
	die "a statement has no end: $statement\n" if $statement ne '';
	return [ grep { $_ ne '' } @statements ];
}

# The head of a function, up to its body, and its signature as REVOKE has it.
sub functions
{
	my ($statements) = @_;
	my (%functions, $last);

	foreach my $statement (@$statements)
	{
		if ($statement =~ /^CREATE (FUNCTION|PROCEDURE) /)
		{
			my $kind = $1;
			my ($head) = $statement =~ /^(.*?\)(?:\s+RETURNS\s+.*?)?)\s+LANGUAGE\s/s or die "not a function: $statement\n";

			$last = { create => $statement, head => $head =~ s/\s+/ /gr, kind => $kind };
		}
		elsif ($last && $statement =~ /^REVOKE ALL ON (?:FUNCTION|PROCEDURE) (.*) FROM PUBLIC$/s)
		{
			$functions{$1} = $last;
			$last = undef;
		}
	}
	return \%functions;
}

# Name and lines of a table; a line may be a column, a constraint, or the rest of the line before.
sub table
{
	my ($statement) = @_;
	my ($name, $body) = $statement =~ /^CREATE TABLE (\S+)\s*\((.*)\)$/s or return;
	my ($depth, $part, @parts) = (0, '');

	foreach my $token ($body =~ /('(?:[^']|'')*'|.)/gs)
	{
		$depth += $token eq '(' ? 1 : $token eq ')' ? -1 : 0;
		if ($token eq ',' && $depth == 0) { push @parts, $part; $part = ''; }
		else { $part .= $token; }
	}
	return ($name, map { s/^\s+|\s+$//gr =~ s/\s+/ /gr } @parts, $part);
}

# The statements that make of one table another, or undef.
sub alter_table
{
	my ($old, $new) = @_;
	my ($name, @old) = table($old);
	my (undef, @new) = table($new);
	my $constraint = qr/^(CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE|CONSTRAINT)\b/;
	my @old_columns = grep { !/$constraint/ } @old;
	my @new_columns = grep { !/$constraint/ } @new;
	my %known = map { $_ => 1 } @old;
	my @alter;

	foreach my $column (@old_columns)
	{
		return if !@new_columns || shift(@new_columns) ne $column;
	}
	push @alter, "ALTER TABLE $name ADD COLUMN $_" foreach @new_columns;
	push @alter, "ALTER TABLE $name ADD $_" foreach grep { /$constraint/ && !$known{$_} } @new;
	return if grep { my $was = $_; $was =~ /$constraint/ && !grep { $_ eq $was } @new } @old;
	return @alter;
}

# What tells a statement from others that do the same to another object.
sub name_of
{
	my ($statement) = @_;

	return $1 if $statement =~ /^(CREATE (?:TABLE|VIEW|SCHEMA|TYPE|INDEX|UNIQUE INDEX) \S+)/;
	return $1 if $statement =~ /^(CREATE TRIGGER \S+ .*? ON \S+)/s;
	return $1 if $statement =~ /^(INSERT INTO \S+)/;
	return $1 if $statement =~ /^(COMMENT ON .*?) IS\s/s;
	return $statement;
}

# The statements that lead from one script to another, and what they leave undone.
sub upgrade
{
	my ($old, $new) = @_;
	my ($old_functions, $new_functions) = (functions($old), functions($new));
	my %old_text = map { $_ => 1 } @$old;
	my %new_text = map { $_ => 1 } @$new;
	my %old_named = map { name_of($_) => $_ } @$old;
	my %new_named = map { name_of($_) => $_ } @$new;
	my %signature = map { $new_functions->{$_}{create} => $_ } keys %$new_functions;
	my (@script, @left, %again, %gone);

	foreach my $signature (sort keys %$old_functions)
	{
		my ($was, $is) = ($old_functions->{$signature}, $new_functions->{$signature});

		next if $is && ($is->{head} eq $was->{head} || $is->{head} =~ s/ DEFAULT [^,)]+//gr eq $was->{head} =~ s/ DEFAULT [^,)]+//gr);
		$gone{$signature} = $was->{kind};
		$again{$signature} = 1 if $is;
	}
	push @script, map { "DROP $gone{$_} $_" } grep { $again{$_} } sort keys %gone;
	foreach my $statement (@$new)
	{
		my ($signature) = $statement =~ /^(?:REVOKE ALL|GRANT EXECUTE|COMMENT) ON (?:FUNCTION|PROCEDURE) (.*?) (?:FROM PUBLIC|TO PUBLIC|IS\s.*)$/s;
		my $was = $old_named{ name_of($statement) };

		next if $old_text{$statement} && !($signature && $again{$signature});
		if ($statement =~ /^CREATE (?:FUNCTION|PROCEDURE) /)
		{
			my $known = $old_functions->{ $signature{$statement} // '' };

			next if $known && $known->{create} eq $statement;
			push @script, $known && !$again{ $signature{$statement} } ? $statement =~ s/^CREATE /CREATE OR REPLACE /r : $statement;
		}
		elsif ($statement =~ /^CREATE TABLE / && $was)
		{
			my @alter = alter_table($was, $statement);

			if (@alter) { push @script, @alter; }
			elsif ((table($was))[0] && join("\n", sort(table($was))) ne join("\n", sort(table($statement)))) { push @left, name_of($statement); }
		}
		elsif ($statement =~ /^CREATE VIEW / && $was) { push @script, $statement =~ s/^CREATE /CREATE OR REPLACE /r; }
		elsif ($statement =~ /^INSERT INTO (\S+)/ && $was) { push @script, "DELETE FROM $1", $statement; }
		elsif ($statement =~ /^CREATE TRIGGER (\S+) .*? ON (\S+)/s && $was) { push @script, "DROP TRIGGER $1 ON $2", $statement; }
		elsif ($was && $statement !~ /^COMMENT /) { push @left, name_of($statement); }
		else { push @script, $statement; }
	}
	foreach my $statement (grep { !$new_text{$_} && !$new_named{ name_of($_) } } @$old)
	{
		next if $statement =~ /^(CREATE (FUNCTION|PROCEDURE)|REVOKE|COMMENT|ALTER TABLE|SELECT)\b/;
		if ($statement =~ /^GRANT (.*) ON (?:FUNCTION|PROCEDURE) (.*) TO PUBLIC$/s)
		{
			push @script, "REVOKE $1 ON ROUTINE $2 FROM PUBLIC" if $new_functions->{$2} && !$again{$2};
		}
		elsif ($statement =~ /^CREATE TRIGGER (\S+) .*? ON (\S+)/s) { push @script, "DROP TRIGGER $1 ON $2" if $new_named{"CREATE TABLE $2"}; }
		elsif ($statement =~ /^CREATE VIEW (\S+)/) { push @script, "DROP VIEW $1"; }
		elsif ($statement =~ /^CREATE TABLE (\S+)/) { push @script, "DROP TABLE $1"; }
		else { push @left, name_of($statement); }
	}
	push @script, map { "DROP $gone{$_} $_" } grep { !$again{$_} } sort keys %gone;
	# Who has a duty gets what has come to it.
	push @script, 'SELECT phi.change_duty(g.db_role, g.duty, true) FROM phi.duty_grant g';
	return (join('', map { "$_;\n" } @script), @left);
}

1;
