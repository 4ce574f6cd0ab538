# shellcheck shell=bash disable=SC2154
# login.sh: what a signed token costs a transaction.  To be sourced by bench.sh.
#
# One pgbench client with prepared statements: BEGIN, phi.login of one token again and again, a point read
# through the redacted view, COMMIT; beside the same transaction of an enrolled role, which needs no
# login.  The keys are Ed25519, P-256 and RSA of 2048 bits.  A cold login is the first of a session.

login_times=$PHI_TMP/login.times
login_keys=$PHI_TMP/login

unhex()
{
	perl -e 'print pack("H*", join("", <>) =~ s/\s//gr)'
}

base64url()
{
	base64 -w0 | tr '+/' '-_' | tr -d '='
}

# login_token alg kid: a token that holds for an hour, signed with the key of this name.
login_token()
{
	local signed signature

	signed=$(printf '{"alg":"%s","kid":"%s"}' "$1" "$2" | base64url).$(printf '{"iss":"https://issuer.example","aud":"phi","sub":"Dr. L","jti":"%s","exp":%s,"roles":["clinician"],"purposes":["TREAT"]}' \
		"$2" $(($(date +%s) + 3600)) | base64url)
	printf '%s' "$signed" >"$login_keys/signed"
	case $1 in
		EdDSA) signature=$(openssl pkeyutl -sign -rawin -inkey "$login_keys/$2.pem" -in "$login_keys/signed" | base64url) ;;
		RS256) signature=$(openssl dgst -sha256 -sign "$login_keys/$2.pem" "$login_keys/signed" | base64url) ;;
		# The two numbers of the DER signature, 32 bytes each.
		ES256) signature=$(openssl dgst -sha256 -sign "$login_keys/$2.pem" "$login_keys/signed" | openssl asn1parse -inform DER |
			sed -n 's/.*INTEGER *://p' | while read -r n; do printf '%064s' "$n" | tr ' ' 0; done | unhex | base64url) ;;
	esac
	printf '%s.%s' "$signed" "$signature"
}

# The public keys as a key set.
login_key_set()
{
	local ed rsa point

	ed=$(openssl pkey -in "$login_keys/ed.pem" -pubout -outform DER | tail -c 32 | base64url)
	point=$(openssl pkey -in "$login_keys/ec.pem" -pubout -outform DER | tail -c 64 | od -An -v -tx1 | tr -d ' \n')
	rsa=$(openssl rsa -in "$login_keys/rsa.pem" -noout -modulus 2>/dev/null | sed 's/Modulus=//' | unhex | base64url)
	printf '{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"ed","x":"%s"},' "$ed"
	printf '{"kty":"EC","crv":"P-256","alg":"ES256","kid":"ec","x":"%s","y":"%s"},' \
		"$(printf %s "${point:0:64}" | unhex | base64url)" "$(printf %s "${point:64}" | unhex | base64url)"
	printf '{"kty":"RSA","alg":"RS256","kid":"rsa","n":"%s","e":"AQAB"}]}' "$rsa"
}

mkdir -p "$login_keys"
openssl genpkey -algorithm ed25519 -out "$login_keys/ed.pem" 2>/dev/null
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$login_keys/ec.pem" 2>/dev/null
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$login_keys/rsa.pem" 2>/dev/null
login_key_set | as_server tee "$PHI_TMP/bench/jwks.json" >/dev/null
run_psql -q -c "ALTER SYSTEM SET phi.jwks_file = '$PHI_TMP/bench/jwks.json'" -c "ALTER SYSTEM SET phi.token_issuer = 'https://issuer.example'" \
	-c "ALTER SYSTEM SET phi.token_audience = 'phi'" -c "SELECT pg_reload_conf()" >/dev/null
make_database login
run_psql -q -d login >/dev/null <<'SQL'
CREATE ROLE login_enrolled LOGIN;
CREATE ROLE login_pool LOGIN;
CREATE TABLE patient (id bigint PRIMARY KEY, city text);
INSERT INTO patient SELECT i, 'Salem' FROM generate_series(1, 1000) AS i;
SELECT phi.classify('patient', 'city', 'city');
SELECT phi.protect('patient', subject => 'id');
SELECT phi.enroll('login_enrolled', 'Dr. E', '{clinician}', '{TREAT}');
SELECT phi.grant_duty(r, 'application') FROM unnest('{login_enrolled,login_pool}'::regrole[]) AS r;
GRANT SELECT ON patient_redacted TO login_enrolled, login_pool;
VACUUM ANALYZE;
SQL
for setting in strict batched; do
	run_psql -q -c "ALTER SYSTEM SET phi.disclosure_audit = '$setting'" -c "SELECT pg_reload_conf()" >/dev/null
	for kind in none EdDSA:ed ES256:ec RS256:rsa; do
		{
			echo '\set n random(1, 1000)'
			echo 'BEGIN;'
			[ "$kind" = none ] || echo "SELECT phi.login('$(login_token "${kind%:*}" "${kind#*:}")');"
			echo 'SELECT city FROM patient_redacted WHERE id = :n;'
			echo 'COMMIT;'
		} | as_server tee "$PHI_TMP/login_${kind%:*}.sql" >/dev/null
	done
	for ((round = 1; round <= rounds; round++)); do
		time_clients "$login_times" login_enrolled login "none_$setting" 1 "-T $client_seconds" "$PHI_TMP/login_none.sql"
		for kind in EdDSA ES256 RS256; do
			time_clients "$login_times" login_pool login "${kind}_$setting" 1 "-T $client_seconds" "$PHI_TMP/login_$kind.sql"
		done
	done
	for kind in EdDSA ES256 RS256; do
		figure "$login_times" "login/${kind}_${setting}_vs_enrolled" "${kind}_$setting" "none_$setting" us/call -
	done
done
token=$(login_token EdDSA ed)
for ((round = 1; round <= rounds; round++)); do
	time_first "$login_times" login_pool login cold "BEGIN\\; SELECT phi.login('$token')\\; COMMIT"
done
figure "$login_times" login/first_of_a_session cold - ms -
run_psql -q -c "ALTER SYSTEM RESET ALL" -c "SELECT pg_reload_conf()" >/dev/null
run_psql -q -c "DROP DATABASE login"
