#!/usr/bin/env bash
# psql.sh: psql itself: literals, variables, PREPARE, server-side parameters where psql has \bind, \copy, \gexec.
set -uo pipefail

failed=0

# ask sql: the answer of the last statement, with errors
ask()
{
	psql -XAtq -v VERBOSITY=verbose "$@" 2>&1
}

same()
{
	if [ "$1" = "$2" ]; then
		echo "ok - psql: $3"
	else
		echo "not ok - psql: $3: got '$1', expected '$2'"
		failed=1
	fi
}

# Passes where the text has the SQLSTATE and not the canary.
refused()
{
	case $1 in
		*Kanary*) same "$1" 'an error without the value' "$3" ;;
		*"ERROR:  $2: "*) same 1 1 "$3" ;;
		*) same "$1" "an error $2" "$3" ;;
	esac
}

same "$(ask -c 'SELECT actor, purpose FROM phi.whoami()')" 'Dr. Client|TREAT' 'the identity'
ask <<'SQL'
INSERT INTO patient (id, client, mrn, name, ssn, born, seen, weight, data, photo) VALUES
	(101, 'psql', 'psql-1', 'Ada Kanary ü', '987-65-0101', '1985-12-10', '2024-03-01 10:30+00', 61.25, '{"a": [1]}', '\x00ff'),
	(102, 'psql', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SQL
same "$(ask -c "SET timezone = 'UTC'" -c 'SELECT * FROM patient_redacted WHERE id IN (101, 102) ORDER BY id')" \
	$'101|psql|psql-1|Ada Kanary ü|987-65-0101|1985-12-10|2024-03-01 10:30:00+00|61.25|{"a": [1]}|\\x00ff\n102|psql||||||||' \
	'every type goes in and comes out'
same "$(ask -c "SELECT id FROM patient_redacted WHERE ssn = '987-65-0101'")" 101 'search by equality'
same "$(ask -c "SELECT id FROM patient_redacted WHERE ssn IN ('987-65-0101', 'none')")" 101 'search in a list'
same "$(ask -v who="O'Kanary" <<<"UPDATE patient SET name = :'who', born = date '2001-02-03', weight = 7::smallint WHERE id = 101;
	SELECT name, born, weight, ssn FROM patient_redacted WHERE id = 101")" "O'Kanary|2001-02-03|7|987-65-0101" 'update with a variable'
for name in First Second; do
	same "$(ask -c "INSERT INTO patient (id, client, name) VALUES (103, 'psql', '$name Kanary')
		ON CONFLICT (id) DO UPDATE SET name = excluded.name" -c 'SELECT name FROM patient_redacted WHERE id = 103')" "$name Kanary" "upsert, $name"
done
same "$(ask -c "INSERT INTO patient (client, name) VALUES ('psql', 'Generated') RETURNING 'done'")" 'done' 'a generated key, RETURNING'

# Types given, not given, and given as what the column was: six and more executions reach the generic plan.
prepared=$(for types in 'bigint, text, date, numeric' 'bigint, varchar, date, float8' 'int, unknown, timestamp, int' 'bigint'; do
	echo "PREPARE put ($types) AS INSERT INTO patient (id, client, name, born, weight) VALUES (\$1, 'psql', \$2, \$3, \$4)
		ON CONFLICT (id) DO UPDATE SET name = \$2, born = \$3, weight = \$4;"
	for i in 0 1 2 3 4 5 6 7; do
		echo "EXECUTE put ($((110 + i)), 'Prepared $types $i', '2000-01-0$((i + 1))', '$i');"
	done
	echo "PREPARE get (int) AS SELECT name, born, weight FROM patient_redacted WHERE id = \$1;"
	for i in 0 1 2 3 4 5 6 7; do
		echo "EXECUTE get ($((110 + i)));"
	done
	echo 'DEALLOCATE ALL;'
done | ask)
expected=$(for types in 'bigint, text, date, numeric' 'bigint, varchar, date, float8' 'int, unknown, timestamp, int' 'bigint'; do
	for i in 0 1 2 3 4 5 6 7; do
		echo "Prepared $types $i|2000-01-0$((i + 1))|$i"
	done
done)
same "$prepared" "$expected" 'prepared statements with parameters of several types'
if psql --version | grep -qE ' (1[6-9]|[2-9][0-9])'; then
	same "$(ask <<<"INSERT INTO patient (id, client, name, born) VALUES (\$1, 'psql', \$2, \$3) \\bind 130 'Bound Kanary' '1999-12-31' \\g
SELECT name, born FROM patient_redacted WHERE id = \$1 \\bind 130 \\g")" 'Bound Kanary|1999-12-31' 'server-side parameters'
fi
same "$(ask -c "\\copy (SELECT name, ssn FROM patient_redacted WHERE id = 101) TO STDOUT CSV")" "O'Kanary,987-65-0101" '\copy of the view'
same "$(ask -c 'BEGIN' -c "UPDATE patient SET name = 'Undone' WHERE id = 103" -c 'ROLLBACK' -c 'SELECT name FROM patient_redacted WHERE id = 103')" \
	'Second Kanary' 'a rolled back transaction'

refused "$(ask -v bad=Kanary-date <<<"UPDATE patient SET born = :'bad' WHERE id = 101" | grep -v '^LINE 1: ')" 22P02 \
	'a bad date is not shown, but for the line of the statement that psql repeats'
refused "$(ask -c "INSERT INTO patient (id, client, name) VALUES (101, 'psql', 'Kanary twice')")" 23505 'nor a value in a duplicate row'
refused "$(ask -c "INSERT INTO patient (id, client, name) VALUES (199, NULL, 'Kanary without')")" 23502 'nor one in a row that fails a constraint'
same "$(ask -c 'SELECT left(name::text, 6) FROM patient WHERE id = 101')" phi:1: 'the table itself has sealed values'
refused "$(ask -c 'SELECT born FROM patient')" 42501 'a column without privilege cannot be read'
refused "$(echo $'198\tpsql\tKanary by COPY' | ask -c '\copy patient (id, client, name) FROM STDIN')" 0A000 'COPY FROM is refused under row security'
same "$(ask -U stranger -c 'SELECT count(*) FROM patient_redacted')" 0 'a stranger sees no row'
exit $failed
