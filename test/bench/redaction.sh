# shellcheck shell=bash
# redaction.sh: forms of values.  To be sourced by bench.sh.
#
# What the scrubber of free text finds in 1,500 labeled notes of the shared data, without being told
# anything of the people in them, and told what the row of a person would tell.

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

# What scrubbing costs: notes of 4 kB, by a chain of regular expressions for kinds that have a form, by
# phi.scrub, by phi.scrub that is told three names and two numbers, and in a redacted view, which opens
# the note and the row's identifiers and scrubs it of them.

scrub_rows=$(scaled 2000)
scrub_megabytes=$(awk -v rows="$scrub_rows" 'BEGIN { print rows * 4096 / 1e6 }')
run_psql -q -d redaction -v rows="$scrub_rows" >/dev/null <<'SQL'
CREATE TABLE visit (id bigint PRIMARY KEY, name text, mrn text, phone text, note text);
INSERT INTO visit SELECT i, 'Tamsin Quillfeather', 'MRN-' || 100000 + i, '617-555-' || to_char(1000 + i % 9000, 'FM0000'),
	left(repeat('Pt Tamsin Q. seen on 3/14/2020 with chest pain, BP 120/80, HR 72, no fever. Lives at 12 North Oak Street, ' ||
		'Apt 4, Springfield, IL 62701. Call (617) 555-0100 or tamsin@example.org; SSN 123-45-6789, MRN ' || 100000 + i || '. ' ||
		'Continue metoprolol 25 mg twice a day, return in 2 weeks or sooner when symptoms recur, as discussed with the family. ', 20), 4096)
	FROM generate_series(1, :rows) AS i;
CREATE FUNCTION chain(note text) RETURNS text IMMUTABLE LANGUAGE sql RETURN
	regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(note,
		'\m\d{3}-\d{2}-\d{4}\M', '[SSN]', 'g'),
		'(\(\d{3}\) ?|\m\d{3}[-. ])\d{3}[-. ]\d{4}\M', '[PHONE]', 'g'),
		'\m[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\M', '[EMAIL]', 'g'),
		'\m(https?://|www\.)\S+', '[URL]', 'g'),
		'\m\d{1,2}/\d{1,2}/\d{2,4}\M|\m\d{4}-\d{2}-\d{2}\M', '[DATE]', 'g'),
		'\m\d{1,6}( [A-Z][a-z]+){1,4} (Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr)\M', '[ADDRESS]', 'g'),
		'\mMRN:? ?\d+\M', 'MRN [MRN]', 'g'),
		'\m(Dr|Mr|Mrs|Ms)\.? [A-Z][a-z]+', '[NAME]', 'g');
CREATE TABLE visit_plain AS SELECT * FROM visit;
SELECT phi.classify('visit', c, k) FROM (VALUES ('name', 'name'), ('mrn', 'mrn'), ('phone', 'phone'), ('note', 'free_text')) AS v (c, k);
SELECT phi.set_free_text('visit', 'note', 'scrubbed');
SELECT phi.protect('visit', subject => 'id');
SELECT phi.add_view('visit', 'visit_scrubbed', 'safe_harbor', 'bench');
GRANT SELECT ON visit_plain, visit_scrubbed TO redaction_reader;
VACUUM ANALYZE visit, visit_plain;
CHECKPOINT;
SQL
[ "$(value redaction_reader redaction "SELECT count(*) FROM visit_scrubbed WHERE note LIKE 'Pt [NAME] Q. seen on [DATE]%'")" -gt 0 ] ||
	die "redaction: the notes are not scrubbed"
time_queries "$redaction_times" redaction_reader redaction "$rounds" \
	chain 'SELECT sum(length(chain(note))) FROM visit_plain' \
	scrub 'SELECT sum(length(phi.scrub(note))) FROM visit_plain' \
	scrub_told 'SELECT sum(length(phi.scrub(note, ARRAY[name], ARRAY[mrn, phone]))) FROM visit_plain' \
	scrub_view 'SELECT sum(length(note)) FROM visit_scrubbed'
for form in scrub scrub_told scrub_view; do
	figure "$redaction_times" "redaction/${form}_vs_regexp_chain" "$form" chain MB/s - "$scrub_megabytes"
done
