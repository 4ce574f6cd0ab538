-- Forms of typed values, identifier by identifier and edge by edge: total, type-preserving
\set VERBOSITY terse
SET timezone = 'America/New_York';
SET datestyle = iso;

-- every identifier of Safe Harbor (45 CFR 164.514(b)(2)(i)(A) to (R)), as text: what stays
SELECT letter, kind, phi.redact(value, kind, 'safe_harbor') AS safe_harbor, phi.redact(value, kind, 'limited') AS limited
	FROM (VALUES ('A', 'name', 'Ada Byron'), ('B', 'address', '12 Oak St'), ('B', 'city', 'Boston'), ('B', 'county', 'Essex'), ('B', 'state', 'MA'),
	('B', 'zip', '02139'), ('B', 'geo', '42.36,-71.06'), ('C', 'birth_date', '1985-12-10'), ('C', 'death_date', '2020-02-29'),
	('C', 'service_date', '2024-05-06'), ('C', 'age', '91'), ('D', 'phone', '617-555-0123'), ('E', 'fax', '617-555-0124'), ('F', 'email', 'a@example.org'),
	('G', 'ssn', '123-45-6789'), ('H', 'mrn', 'MRN0004711'), ('I', 'health_plan', '1EG4-TE5-MK73'), ('J', 'account', '4111111111111111'),
	('K', 'license', 'S1234567'), ('L', 'vehicle', '1HGCM82633A004352'), ('M', 'device', 'SN-99821'), ('N', 'url', 'https://example.org/a'),
	('O', 'ip', '192.0.2.7'), ('P', 'biometric', 'ridge'), ('Q', 'photo', 'face'), ('R', 'unique_id', 'X-1'), ('-', 'free_text', 'seen by Ada'))
	AS v (letter, kind, value);

-- ZIP codes: restricted in either census, not existing, zeros lost, ZIP+4, rubbish
SELECT zip, phi.redact(zip, 'zip', 'safe_harbor') AS of_text FROM unnest(ARRAY['036', '063', '059', '021', '03601', '03601-1234', '06301', '10201', '20301', '02139',
	'02139-4307', '3601', '36', '', ' 02139 ', '00000', '99999', '021391', 'abcde', 'K1A 0B1', repeat('9', 100)]) AS zip;
SELECT zip, phi.redact(zip, 'zip', 'safe_harbor') AS of_integer, phi.redact(zip::bigint, 'zip', 'safe_harbor') AS of_bigint,
	phi.redact(zip::numeric, 'zip', 'safe_harbor') AS of_numeric FROM unnest(ARRAY[3601, 6301, 63, 2139, 21394307, 36011234, 0, -2139, 100000, 2147483647]) AS zip;

-- ages: 89 is shown, 90 and more are 90, a negative one is nothing
SELECT age, phi.redact(age, 'age', 'safe_harbor') AS of_integer, phi.redact(age::bigint, 'age', 'partial') AS of_bigint,
	phi.redact(age::numeric, 'age', 'safe_harbor') AS of_numeric, phi.redact(age::text, 'age', 'safe_harbor') AS of_text
	FROM unnest(ARRAY[0, 89, 90, 91, 130, 2147483647, -1]) AS age;
SELECT phi.redact(89.9, 'age', 'safe_harbor') AS "89", phi.redact(90.1, 'age', 'safe_harbor') AS "90", phi.redact('NaN'::numeric, 'age', 'safe_harbor') AS nan,
	phi.redact('Infinity'::numeric, 'age', 'safe_harbor') AS infinite, phi.redact(1e300, 'age', 'safe_harbor') AS large, phi.redact(9223372036854775807, 'age', 'safe_harbor') AS largest;

-- dates: the year, unless it shows an age over 89; leap days, far ones, before Christ, infinite
SELECT born, phi.redact(born, 'birth_date', 'safe_harbor') AS safe_harbor, phi.redact(born, 'birth_date', 'partial') AS partial,
	phi.redact(born, 'birth_date', 'limited') AS limited
	FROM unnest(ARRAY['2000-02-29', '1999-12-31', '0044-03-15 BC', '4714-11-24 BC', '5874897-12-31', 'infinity', '-infinity', NULL]::date[]) AS born;
SELECT years, phi.redact((date_trunc('year', now()) - make_interval(years => years))::date, 'birth_date', 'safe_harbor') IS NULL AS hidden,
	phi.redact(date_trunc('year', now()) - make_interval(years => years), 'service_date', 'safe_harbor') IS NULL AS hidden_time
	FROM unnest(ARRAY[0, 88, 89, 90, 91, 2000]) AS years;
SELECT at, phi.redact(at, 'service_date', 'safe_harbor') AS safe_harbor, phi.redact(at, 'service_date', 'partial') AS partial
	FROM unnest(ARRAY['2024-01-01 04:59:59+00', '2024-01-01 05:00+00', '2024-02-29 12:00+00', '4714-11-24 00:00+00 BC', '294276-12-31 23:00+00', '294276-06-30 00:00+00', 'infinity', '-infinity']::timestamptz[]) AS at;

-- numbers that identify vanish, clinical ones stay; a fraction keeps its scale
SELECT kind, form, phi.redact(4711, kind, form) AS of_integer, phi.redact(47.110, kind, form) AS of_numeric
	FROM unnest('{mrn,ssn,unique_id,lab,other,none}'::text[]) AS kind, unnest('{full,partial,limited,safe_harbor,none}'::text[]) AS form;

-- texts: empty, of many bytes a character, very long
SELECT kind, phi.redact('', kind, 'partial') AS empty, phi.redact('Zoë Ünal-李', kind, 'partial') AS multibyte,
	length(phi.redact(repeat('Zoë 12 ', 150000), kind, 'partial')) < 100 AS masked
	FROM unnest('{name,address,email,phone,ssn,mrn,zip,birth_date,age}'::text[]) AS kind;
SELECT length(phi.redact(repeat('ë', 1048576), 'name', 'full')) AS full_length, phi.redact(repeat('9', 1048576), 'mrn', 'safe_harbor') IS NULL AS hidden;

-- rubbish of every type under every kind: of a direct identifier nothing is left but in full and in part, of a part no more than a few characters
CREATE TEMP TABLE kinds AS SELECT kind, kind IN ('name', 'address', 'geo', 'phone', 'fax', 'email', 'ssn', 'mrn', 'health_plan', 'account', 'license', 'vehicle', 'device', 'url', 'ip',
	'biometric', 'photo', 'unique_id', 'free_text') AS direct, kind IN ('city', 'county', 'state', 'diagnosis', 'lab', 'other', 'none') AS plain
	FROM unnest('{name,address,city,county,state,zip,geo,birth_date,death_date,service_date,age,phone,fax,email,ssn,mrn,health_plan,account,license,
	vehicle,device,url,ip,biometric,photo,unique_id,free_text,diagnosis,lab,other,none}'::text[]) AS kind;
CREATE TEMP TABLE forms AS SELECT form FROM unnest('{full,partial,limited,safe_harbor,pseudonym,none,age_band,category}'::text[]) AS form;
CREATE TEMP TABLE texts AS SELECT value FROM unnest(ARRAY['', ' ', E'\n\t', '-', '0', '-1', '1e9', '007', '9999-99-99', '0000-00-00', '2000-02-30', '12/31/1999', 'infinity', 'NaN', 'null', E'\x7f\x01',
	'Zoë Ünal-李', '☃☃☃☃☃☃☃☃☃', 'MRN 0004711 0004712', '1234567890123456789012345', 'a@b', '@', 'J45.901 of Ada', repeat('Ada 4711 ', 116509)]) AS value;
SELECT form, count(*) AS calls, count(shown) FILTER (WHERE direct) AS identifiers, max(length(shown)) FILTER (WHERE NOT plain) AS longest,
	count(*) FILTER (WHERE NOT plain AND shown = value AND length(value) > 3) AS whole
	FROM (SELECT *, phi.redact(value, kind, form) AS shown FROM kinds, forms, texts WHERE form <> 'full') s GROUP BY form ORDER BY form;
SELECT DISTINCT kind, form, shown FROM (SELECT *, phi.redact(value, kind, form) AS shown FROM kinds, forms, texts) s
	WHERE form NOT IN ('full', 'limited') AND NOT plain AND shown = value AND length(value) > 2 ORDER BY 1, 2, 3; -- nothing but masks
SELECT form, count(*) AS calls, count(shown) FILTER (WHERE direct) AS identifiers, count(*) FILTER (WHERE NOT isfinite(shown)) AS infinite,
	count(*) FILTER (WHERE extract(day FROM shown) <> 1) AS days, count(*) FILTER (WHERE extract(month FROM shown) <> 1) AS months,
	count(*) FILTER (WHERE shown < now() - interval '91 years') AS old
	FROM (SELECT *, phi.redact(value, kind, form) AS shown FROM kinds, forms,
		unnest(ARRAY['4714-11-24 BC', '4713-01-01 BC', '0044-03-15 BC', '0001-01-01', '1582-10-15', '1900-02-28', '1933-07-04', '2000-02-29', '2023-12-31', '9999-12-31', '5874897-12-31', 'infinity', '-infinity']::date[]) value
		WHERE kind <> 'none' AND form NOT IN ('full', 'limited')) s GROUP BY form ORDER BY form;
SELECT form, count(*) AS calls, count(shown) FILTER (WHERE direct) AS identifiers, count(*) FILTER (WHERE NOT isfinite(shown)) AS infinite,
	count(*) FILTER (WHERE extract(day FROM shown) <> 1 OR shown::time <> '00:00') AS days, count(*) FILTER (WHERE extract(month FROM shown) <> 1) AS months,
	count(*) FILTER (WHERE shown < now() - interval '91 years') AS old
	FROM (SELECT *, phi.redact(value, kind, form) AS shown FROM kinds, forms,
		unnest(ARRAY['4714-11-24 00:00+00 BC', '4713-01-01 12:00+00 BC', '0044-03-15 12:00+00 BC', '1900-02-28 23:59:59.999999+00', '1933-07-04 12:00+00', '2000-02-29 12:00+00', '2024-01-01 04:59:59+00',
			'2024-03-10 07:00+00', '294276-12-31 23:59:59.999999+00', 'infinity', '-infinity']::timestamptz[]) value
		WHERE kind <> 'none' AND form NOT IN ('full', 'limited')) s GROUP BY form ORDER BY form;
SELECT form, count(*) AS calls, count(shown) FILTER (WHERE direct) AS identifiers, max(shown) FILTER (WHERE kind = 'age') AS oldest, min(shown) FILTER (WHERE kind = 'age') AS youngest,
	max(shown) FILTER (WHERE kind = 'zip') AS prefix, count(shown) FILTER (WHERE kind LIKE '%date') AS dates
	FROM (SELECT *, phi.redact(value, kind, form) AS shown FROM kinds, forms,
		unnest(ARRAY[0, -0.0, 0.5, 63, 3601, 2139, 21394307, 89.99, 90, 91, 1e17, 9223372036854775807, 9223372036854775808, 1e131071, 1e-16383, -1, -9223372036854775809, 'NaN', 'Infinity', '-Infinity']::numeric[]) value
		WHERE form NOT IN ('full', 'limited')) s GROUP BY form ORDER BY form;
DROP TABLE kinds, forms, texts;

-- every kind in every form gives a value or nothing, never an error
SELECT form, count(phi.redact('1934-02-29', kind, form)) AS of_text, count(phi.redact(date '1934-02-28', kind, form)) > 0 AS of_date,
	count(phi.redact(now(), kind, form)) > 0 AS of_time, count(phi.redact(-1.5, kind, form)) AS of_number, count(phi.redact(7, kind, form)) AS of_integer
	FROM unnest('{name,address,city,county,state,zip,geo,birth_date,death_date,service_date,age,phone,fax,email,ssn,mrn,health_plan,account,license,
	vehicle,device,url,ip,biometric,photo,unique_id,free_text,diagnosis,lab,other,none}'::text[]) AS kind,
	unnest('{full,partial,limited,safe_harbor,none}'::text[]) AS form GROUP BY form ORDER BY form;
SELECT phi.redact(date '2000-01-01', 'birthday', 'full'); -- fails
SELECT phi.redact(1, 'age', 'most'); -- fails
RESET timezone;
RESET datestyle;
