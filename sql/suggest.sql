-- Discovery: columns that may hold health information, by name and by values
\set VERBOSITY terse
CREATE SCHEMA synthea;
CREATE SCHEMA omop;
SET search_path = synthea;
CREATE TABLE patients (id uuid PRIMARY KEY, birthdate date, deathdate date, ssn text, drivers text, passport text,
	prefix text, first text, last text, suffix text, maiden text, marital text, race text, ethnicity text, gender text,
	birthplace text, address text, city text, state text, county text, zip text, lat float8, lon float8,
	healthcare_expenses numeric, healthcare_coverage numeric);
CREATE TABLE encounters (id uuid PRIMARY KEY, start timestamptz, stop timestamptz, patient uuid REFERENCES patients,
	organization uuid, provider uuid, payer uuid, encounterclass text, code text, description text,
	base_encounter_cost numeric, reasoncode text, reasondescription text);
CREATE TABLE observations ("DATE" timestamptz, "PATIENT" uuid, "CATEGORY" text, "CODE" text, "DESCRIPTION" text, "VALUE" text, "UNITS" text, "TYPE" text);
CREATE TABLE organizations (id uuid PRIMARY KEY, name text, address text, city text, state text, zip text, lat float8,
	lon float8, phone text, revenue numeric, utilization integer);
SET search_path = omop;
CREATE TABLE person (person_id integer PRIMARY KEY, gender_concept_id integer, year_of_birth integer, month_of_birth integer,
	day_of_birth integer, birth_datetime timestamp, race_concept_id integer, location_id integer, person_source_value varchar(50));
CREATE TABLE location (location_id integer PRIMARY KEY, address_1 varchar(50), address_2 varchar(50), city varchar(50), state varchar(2),
	zip varchar(9), county varchar(20), location_source_value varchar(50), latitude numeric, longitude numeric);
CREATE TABLE provider (provider_id integer PRIMARY KEY, provider_name varchar(255), npi varchar(20), dea varchar(20), year_of_birth integer);
CREATE TABLE death (person_id integer, death_date date, death_datetime timestamp, death_type_concept_id integer);
CREATE TABLE visit_occurrence (visit_occurrence_id integer PRIMARY KEY, person_id integer, visit_start_date date, visit_end_date date);
CREATE TABLE note (note_id integer PRIMARY KEY, person_id integer, note_date date, note_title varchar(250), note_text text);
CREATE TABLE device_exposure (device_exposure_id integer PRIMARY KEY, person_id integer, unique_device_id varchar(255), quantity integer);
CREATE TABLE concept (concept_id integer PRIMARY KEY, concept_name varchar(255), domain_id varchar(20), vocabulary_id varchar(20), valid_start_date date);
RESET search_path;

-- every identifier of a patient is found; id, marital, race, gender, costs and codes are not identifiers
SELECT column_name, kind, evidence FROM phi.suggest('synthea.patients'::regclass);
-- the tables of facilities have addresses, too: those are not of patients
SELECT relation, column_name, kind FROM phi.suggest('synthea'::regnamespace) WHERE relation <> 'synthea.patients'::regclass;
SELECT relation, column_name, kind FROM phi.suggest('omop'::regnamespace);

-- names are read word by word; of what type a column is counts
SELECT n, t, phi.kind_of_name(n, t) FROM (VALUES
	('patientFirstName', 'text'::regtype), ('PATIENT_DOB', 'date'), ('HomePhoneNo', 'text'), ('emailAddr', 'text'), ('ip_address', 'inet'),
	('zip5', 'text'), ('zip5', 'date'), ('drugName', 'text'), ('SSNLast4', 'text'), ('admitDtm', 'timestamptz'), ('state', 'integer'),
	('created_at', 'timestamptz'), ('stage', 'text'), ('page', 'integer'), ('face_image', 'bytea'), ('_', 'text'), ('', 'text')) AS v (n, t);

-- values of columns whose names say nothing
CREATE DOMAIN synthea.code AS text;
CREATE TABLE synthea.plain (id integer PRIMARY KEY, a text, b varchar(20), c jsonb, d text[], e bigint, f synthea.code, g text, h text, i bytea, j text);
INSERT INTO synthea.plain SELECT i, format('p%s@example.org', i), format('123-45-%s', 6000 + i), '{"x": "call 617-555-0100 when the result is there"}',
	ARRAY[format('617-555-%s', 1000 + i)], 4111111111111111, '10.1.2.3', CASE WHEN i % 10 = 0 THEN 'Seen by Dr. Jane Roe on 3/14/2020 for the results of the panel.' END,
	CASE WHEN i % 3 = 0 THEN '617-555-0100' ELSE 'none' END, '\x00', 'F32.' || i % 10 FROM generate_series(1, 300) AS i;
SELECT column_name, kind, evidence, sampled, matched, script FROM phi.suggest('synthea.plain'::regclass);

-- what a table's owner could make run is not read: only names count
CREATE FUNCTION synthea.peek() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the policy ran'; END $$;
CREATE TABLE synthea.walled (id integer, a text, ssn text);
INSERT INTO synthea.walled VALUES (1, '123-45-6789', '123-45-6789');
ALTER TABLE synthea.walled ENABLE ROW LEVEL SECURITY;
ALTER TABLE synthea.walled FORCE ROW LEVEL SECURITY;
CREATE POLICY peek ON synthea.walled USING (synthea.peek());
CREATE ROLE suggest_officer;
SELECT phi.grant_duty('suggest_officer', 'security_officer');
GRANT USAGE ON SCHEMA synthea TO suggest_officer;
GRANT SELECT ON synthea.walled TO suggest_officer;
SET ROLE suggest_officer;
SELECT column_name, kind, evidence, sampled FROM phi.suggest('synthea.walled'::regclass); -- ok
SELECT column_name, kind, evidence, sampled FROM phi.suggest('synthea.plain'::regclass); -- ok: no privilege on it, no name that speaks
RESET ROLE;

-- what is classified is not proposed again, and the script runs
SELECT script FROM phi.suggest('synthea.plain'::regclass) WHERE column_name = 'b' \gexec
SELECT count(*) FROM phi.suggest('synthea.plain'::regclass) WHERE column_name = 'b'; -- 0
SELECT phi.declassify('synthea.plain', 'b');
SET client_min_messages = warning;
DROP SCHEMA synthea, omop CASCADE;
SELECT phi.revoke_duty('suggest_officer', 'security_officer');
DROP ROLE suggest_officer;
