# shellcheck shell=bash disable=SC2154
# protect.sh: protecting a table that has rows already.  To be sourced by bench.sh.
#
# 1 million rows of a key and three columns of short text.  phi.protect encrypts them in one rewrite of
# the table and adds triggers, policies, the view and an audit event.  Peers: the same rewrite that
# only computes new text (ALTER TABLE ... TYPE ... USING), VACUUM FULL, which copies, and UPDATE ...
# SET c = pgp_sym_encrypt(c) on fewer rows.  phi.protect_online does the same
# row by row, for writers to go on; its peer is phi.protect.  Each round has tables of its own.

protect_rows=$(scaled 1000000)
protect_rounds=$((rounds < 3 ? rounds : 3))
protect_slow_rows=300
protect_times=$PHI_TMP/protect.times

make_database protect
run_psql -q -d protect -v rows="$protect_rows" >/dev/null <<'SQL'
CREATE TABLE source (id bigint PRIMARY KEY, name text NOT NULL, ssn text NOT NULL, phone text NOT NULL);
INSERT INTO source SELECT i, 'Patient ' || i, to_char(i::bigint * 7919 % 1000000000, 'FM000"-"00"-"0000'),
	to_char(i::bigint * 104729 % 10000000000, 'FM000"-"000"-"0000') FROM generate_series(1, :rows) AS i;
SQL

run_psql -q -d protect -o /dev/null -v rounds="$protect_rounds" -v slow="$protect_slow_rows" <<'SQL'
SELECT format('CREATE TABLE %s_%s (LIKE source INCLUDING ALL)', t, round),
	format('INSERT INTO %s_%s SELECT * FROM source ORDER BY id LIMIT %s', t, round, CASE t WHEN 'pgp' THEN :'slow' ELSE 'ALL' END)
FROM unnest(ARRAY['ours', 'online', 'rewritten', 'copied', 'pgp']) AS t, generate_series(0, :rounds) AS round \gexec
SELECT phi.classify(format('%s_%s', t, round)::regclass, c, c)
FROM unnest(ARRAY['ours', 'online']) AS t, unnest(ARRAY['name', 'ssn', 'phone']) AS c, generate_series(0, :rounds) AS round;
CHECKPOINT;
SQL

# each_column sql: the text for each of the three columns, with %1$s for its name.
each_column()
{
	value postgres protect "SELECT string_agg(format('$1', c), ', ') FROM unnest(ARRAY['name', 'ssn', 'phone']) AS c"
}

time_queries "$protect_times" postgres protect "$protect_rounds" \
	ours "SELECT phi.protect('ours_{round}', subject => 'id')" \
	online "CALL phi.protect_online('online_{round}', subject => 'id')" \
	rewrite "ALTER TABLE rewritten_{round} $(each_column 'ALTER %1$s TYPE text USING %1$s || chr(32)')" \
	vacuum "VACUUM FULL copied_{round}" \
	pgp "UPDATE pgp_{round} SET $(each_column '%1$s = pgp_sym_encrypt(%1$s, $$password$$)')"
[ "$(value postgres protect "SELECT count(*) FROM phi.protected_table WHERE encrypted_columns = 3")" -eq $((2 * (protect_rounds + 1))) ] ||
	die "protect: not every table was protected"
figure "$protect_times" protect/protect_1m_vs_rewrite ours rewrite rows/s - "$protect_rows"
figure "$protect_times" protect/protect_1m_vs_vacuum_full ours vacuum rows/s - "$protect_rows"
figure "$protect_times" protect/protect_1m_vs_pgp_sym ours pgp rows/s - "$protect_rows" "$protect_slow_rows"
figure "$protect_times" protect/online_1m_vs_protect online ours rows/s - "$protect_rows"
run_psql -q -c "DROP DATABASE protect"
