# shellcheck shell=bash
# redaction.sh: forms of values.  To be sourced by bench.sh.
#
# What the scrubber of free text finds in 1,500 labeled notes of the shared data, without being told
# anything of the people in them.

make -s -C "$top" -f test/unit/unit.mk bench-scrub

# What a form costs: one million patients, a plain column and three that are masked, as each role's form;
# beside them inline SQL masks and plpgsql masks of plain text.  The role with the form full pays for
# opening; a form is to cost no more than 1.5 times the inline masks on top of that.

redaction_rows=$(scaled 1000000)
redaction_times=$PHI_TMP/redaction.times
redaction_forms="full partial limited safe_harbor"

make_database redaction
run_psql -q -d redaction -v rows="$redaction_rows" >/dev/null <<'SQL'
CREATE FUNCTION mask(value text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN ''***-**-'' || right(value, 4); END';
CREATE FUNCTION mask_name(value text) RETURNS text IMMUTABLE LANGUAGE plpgsql
	AS $$BEGIN RETURN regexp_replace(value, '(\w)\w*', '\1***', 'g'); END$$;
CREATE FUNCTION mask_date(value date) RETURNS date IMMUTABLE LANGUAGE plpgsql
	AS $$BEGIN RETURN date_trunc('month', value::timestamp)::date; END$$;
CREATE TABLE plain (id bigint PRIMARY KEY, ward text, name text, ssn text, born date);
INSERT INTO plain SELECT i, 'W' || i % 9, 'Ada Byron ' || i, to_char(i::bigint * 7919 % 1000000000, 'FM000"-"00"-"0000'), date '1950-01-01' + i % 20000
	FROM generate_series(1, :rows) AS i;
CREATE VIEW inline AS SELECT id, ward, regexp_replace(name, '(\w)\w*', '\1***', 'g') AS name, '***-**-' || right(ssn, 4) AS ssn,
	date_trunc('month', born::timestamp)::date AS born FROM plain;
CREATE VIEW procedural AS SELECT id, ward, mask_name(name) AS name, mask(ssn) AS ssn, mask_date(born) AS born FROM plain;
CREATE TABLE sealed (LIKE plain INCLUDING ALL);
INSERT INTO sealed SELECT * FROM plain;
SELECT phi.classify('sealed', c, k) FROM (VALUES ('name', 'name'), ('ssn', 'ssn'), ('born', 'birth_date'), ('ward', 'none')) AS v (c, k);
SELECT phi.protect('sealed', subject => 'id');
SELECT phi.add_view('sealed', 'as_' || f, f, 'bench') FROM unnest('{full,partial,limited,safe_harbor}'::text[]) AS f;
CREATE ROLE redaction_reader LOGIN;
SELECT phi.enroll('redaction_reader', 'Dr. S', '{clinician}', '{TREAT}');
SELECT phi.grant_duty('redaction_reader', 'application');
GRANT SELECT ON plain, inline, procedural, as_full, as_partial, as_limited, as_safe_harbor TO redaction_reader;
VACUUM FULL ANALYZE;
CHECKPOINT;
SQL
redaction_query="SELECT count(ward), count(name), count(ssn), count(born) FROM"
[ "$(value redaction_reader redaction "SELECT count(*) FROM inline i JOIN as_partial p USING (ssn, born) LIMIT 1")" -gt 0 ] ||
	die "redaction: the masks differ"
redaction_queries=(plain "$redaction_query plain" inline "$redaction_query inline" procedural "$redaction_query procedural")
for form in $redaction_forms; do redaction_queries+=("$form" "$redaction_query as_$form"); done
time_queries "$redaction_times" redaction_reader redaction "$rounds" "${redaction_queries[@]}"
for form in $redaction_forms; do
	figure "$redaction_times" "redaction/${form}_vs_plain" "$form" plain us - "$redaction_rows"
	figure "$redaction_times" "redaction/${form}_vs_inline_masks" "$form" inline us - "$redaction_rows"
	figure "$redaction_times" "redaction/${form}_vs_plpgsql_masks" "$form" procedural us - "$redaction_rows"
	[ "$form" = full ] || figure "$redaction_times" "redaction/${form}_vs_opening" "$form" full us - "$redaction_rows"
done
