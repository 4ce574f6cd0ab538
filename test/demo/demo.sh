#!/usr/bin/env bash
# demo.sh [folder of Synthea CSV files]: the extension's main job on a throw-away cluster, step by
# step.  Without a folder it makes its own data.  Ends with "N passed, N failed": each promise is checked.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=test/lib/prepare.sh
. "$here/../lib/prepare.sh"
# shellcheck source=test/lib/cluster.sh
. "$here/../lib/cluster.sh"

passed=0
failed=0

# say words: a heading; check name wanted got: one promise.
say()
{
	printf '\n--- %s\n' "$*"
}

check()
{
	if [ "$2" = "$3" ]; then
		printf '    ok - %s: %s\n' "$1" "$3"
		passed=$((passed + 1))
	else
		printf '    not ok - %s: wanted %s, got %s\n' "$1" "$2" "$3"
		failed=$((failed + 1))
	fi
}

# one role sql: a single value; rows role sql: a table for people.  Both connect as the role.
one()
{
	run_psql -qAt -U "$1" -d hospital -c "$2"
}

rows()
{
	printf '\n%s=> %s\n' "$1" "$2"
	run_psql -q -U "$1" -d hospital -P null='(null)' -P footer=off -c "$2"
}

prepare_data()
{
	if [ -n "${1:-}" ]; then
		data=$(share_folder "$1")
	else
		perl "$top/test/demo/generate.pl" "$PHI_TMP/generated"
		data=$(share_folder "$PHI_TMP/generated")
	fi
}

install_packages
find_server || die "no PostgreSQL server was found"
cluster_begin
build_and_install >"$PHI_TMP/build.log" 2>&1 || { cat "$PHI_TMP/build.log"; die "the build failed"; }
prepare_data "${1:-}"
begun=$SECONDS
files=$(share_folder "$here")

say "A hospital's database, on a throw-away cluster. Keys come from a file outside the data directory."
start_cluster demo
run_psql -q <<-SQL
	CREATE ROLE hospital LOGIN;             -- owns the application's tables
	CREATE ROLE officer LOGIN;              -- security officer: decides what is protected
	CREATE ROLE dr_house LOGIN;             -- a clinician
	CREATE ROLE biller LOGIN;
	CREATE ROLE researcher LOGIN;
	CREATE ROLE nobody LOGIN;               -- may query the view, is enrolled as no one
	CREATE ROLE privacy LOGIN;              -- privacy officer: records the patients' consent
	CREATE DATABASE hospital OWNER hospital;
SQL
run_psql -q -d hospital -c "CREATE EXTENSION phi_guard CASCADE" 2>/dev/null
run_psql -q -d hospital -c "GRANT CREATE ON SCHEMA public TO hospital" \
	-c "SELECT phi.grant_duty('officer', 'security_officer'), phi.grant_duty('privacy', 'privacy_officer')" >/dev/null

say "Load patients, encounters, conditions, medications and observations: plain tables so far."
run_psql -q -U hospital -d hospital -v data="$data" -f "$files/load.sql"
rows hospital "SELECT (SELECT count(*) FROM patient) AS patients, (SELECT count(*) FROM encounter) AS encounters,
  (SELECT count(*) FROM condition) AS conditions, (SELECT count(*) FROM medication) AS medications,
  (SELECT count(*) FROM observation) AS observations"
people=$(one hospital "SELECT count(*) FROM patient")
one hospital "SELECT unnest(ARRAY[first_name, last_name, maiden_name, ssn]) FROM patient" |
	sed '/^$/d' | sort -u >"$PHI_TMP/identifiers"

say "Classify the columns, then one call per table: SELECT phi.protect('patient', subject => 'id')"
run_psql -q -U officer -d hospital -f "$files/protect.sql" >/dev/null
one officer "SELECT phi.enroll('dr_house', 'Dr. House', '{clinician}', '{TREAT}'),
	phi.enroll('biller', 'B. Iller', '{billing}', '{HPAYMT}'),
	phi.enroll('researcher', 'R. Searcher', '{researcher}', '{HRESCH}')" >/dev/null
for role in dr_house biller researcher nobody; do
	one officer "SELECT phi.grant_duty('$role', 'application')" >/dev/null
	one hospital "GRANT SELECT ON patient_redacted, condition_redacted TO $role" >/dev/null
done
one hospital "GRANT UPDATE (address) ON patient_redacted TO dr_house" >/dev/null
rows officer "SELECT relation, subject_column, view, encrypted_columns FROM phi.protected_table ORDER BY 1"

say "What is stored, and what a dump holds: ciphertext."
rows postgres "SET row_security = off; SELECT left(ssn::text, 40) || '...' AS ssn, left(born::text, 40) || '...' AS born FROM patient LIMIT 2"
as_server "$PG_BIN/pg_dump" -d hospital >"$PHI_TMP/dump.sql"
found=$(grep -c -w -F -f "$PHI_TMP/identifiers" "$PHI_TMP/dump.sql" || true)
check "lines of the dump with one of the $(wc -l <"$PHI_TMP/identifiers") names and SSNs" 0 "$found"
check "patients in the dump" "$people" "$(sed -n '/^COPY public.patient /,/^\\\.$/p' "$PHI_TMP/dump.sql" | grep -c 'phi:1:')"

say "The patients consent to research, all of them for now."
check "consents recorded" "$people" "$(run_psql -qAt -d hospital -c "SET row_security = off;
	SELECT count(phi.grant_consent(id, purpose => 'HRESCH')) FROM patient")"

say "The same query, as four people."
query="SELECT first_name, last_name, ssn, born, zip FROM patient_redacted ORDER BY id LIMIT 3"
for role in dr_house biller researcher nobody; do
	rows "$role" "$query"
done
count="SELECT count(*) FROM patient_redacted"
check "patients a clinician sees" "$people" "$(one dr_house "$count WHERE ssn IS NOT NULL AND first_name IS NOT NULL")"
check "patients billing sees, with masked SSN" "$people" "$(one biller "$count WHERE ssn ~ '^[*]{3}-[*]{2}-[0-9]{4}\$'")"
check "names that a researcher sees" 0 "$(one researcher "$count WHERE first_name IS NOT NULL OR ssn IS NOT NULL OR length(zip) > 3 OR extract(doy FROM born) <> 1")"
check "patients that nobody sees" 0 "$(one nobody "$count")"

say "A patient denies research. The very next statement obeys; treatment goes on."
patient=$(run_psql -qAt -d hospital -c "SET row_security = off; SELECT id FROM patient ORDER BY id LIMIT 1")
rows privacy "SELECT phi.deny_consent('$patient', purpose => 'HRESCH')"
check "patients the researcher sees now" "$((people - 1))" "$(one researcher "$count")"
check "patients the clinician sees" "$people" "$(one dr_house "$count")"
rows researcher "SELECT permit, reason, explanation FROM phi.explain_access('$patient')"

say "A correction by the clinician, through the view; the change and who made it are in the audit log."
one dr_house "UPDATE patient_redacted SET address = '221B Baker Street' WHERE id = '$patient'" >/dev/null
rows dr_house "SELECT address FROM patient_redacted WHERE id = '$patient'"
rows postgres "SELECT event_id, actor, purpose, action, relation, columns, row_keys FROM phi_audit.event
  WHERE action = 'update' ORDER BY event_id DESC LIMIT 1"
check "the event's columns" "{address}" "$(one postgres "SELECT columns FROM phi_audit.event WHERE action = 'update' ORDER BY event_id DESC LIMIT 1")"

say "Who saw this patient, when, and why?"
rows privacy "SELECT actor, purpose, relation, count(*) AS times FROM phi.disclosures('$patient') WHERE action = 'disclose' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
check "the people who did" "B. Iller,Dr. House,R. Searcher" \
	"$(one privacy "SELECT string_agg(DISTINCT actor, ',' ORDER BY actor) FROM phi.disclosures('$patient') WHERE action = 'disclose'")"

say "The log is sealed into a Merkle tree, its root is signed, and it verifies."
one postgres "SELECT phi.audit_seal()" >/dev/null
rows postgres "SELECT ok, events, checkpoints, unsealed FROM phi.audit_verify()"
check "the log is good" t "$(one postgres "SELECT ok FROM phi.audit_verify()")"

say "An ordinary edit of the log is refused, even to a superuser. So the superuser switches the guard off."
event=$(one postgres "SELECT max(event_id) FROM phi_audit.event WHERE action = 'update'")
if run_psql -q -d hospital -c "UPDATE phi_audit.event SET actor = 'somebody else' WHERE event_id = $event" 2>"$PHI_TMP/refused"; then
	check "an edit with the guard on" refused accepted
else
	sed 's/^/    /' "$PHI_TMP/refused"
	check "an edit with the guard on" refused refused
fi
partition=$(one postgres "SELECT tableoid::regclass FROM phi_audit.event WHERE event_id = $event")
run_psql -q -d hospital -c "ALTER TABLE $partition DISABLE TRIGGER ALL" \
	-c "UPDATE $partition SET actor = 'somebody else' WHERE event_id = $event"
rows postgres "SELECT ok, first_bad_event, problem FROM phi.audit_verify()"
check "the event that verify names" "$event" "$(one postgres "SELECT first_bad_event FROM phi.audit_verify()")"

printf '\ndemo on %s: %s s after the build\n' "${1:-generated data}" "$((SECONDS - begun))"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
