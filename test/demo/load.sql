-- The application's own tables, and Synthea's CSV files in them.  :data is the folder.
-- Run as the owner of the tables, who is no superuser.
SET client_min_messages = warning;

CREATE TABLE patient
(
	id uuid PRIMARY KEY,
	first_name text, last_name text, maiden_name text,
	ssn text, drivers_license text, passport text,
	born date NOT NULL, died date,
	gender text, race text, ethnicity text,
	address text, city text, county text, state text, zip text
);
CREATE TABLE encounter
(
	id uuid PRIMARY KEY, patient uuid NOT NULL REFERENCES patient (id),
	started timestamptz NOT NULL, ended timestamptz, class text, description text, cost numeric
);
CREATE TABLE condition
(
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, patient uuid NOT NULL REFERENCES patient (id),
	started date, ended date, code text, description text
);
CREATE TABLE medication
(
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, patient uuid NOT NULL REFERENCES patient (id),
	started timestamptz, ended timestamptz, code text, description text, dispenses integer
);
CREATE TABLE observation
(
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, patient uuid NOT NULL REFERENCES patient (id),
	taken timestamptz, code text, description text, value text, units text
);

CREATE TEMP TABLE p (id text, birthdate text, deathdate text, ssn text, drivers text, passport text,
	prefix text, first text, last text, suffix text, maiden text, marital text, race text, ethnicity text,
	gender text, birthplace text, address text, city text, state text, county text, zip text, lat text,
	lon text, expenses text, coverage text);
CREATE TEMP TABLE e (id text, start text, stop text, patient text, organization text, provider text,
	payer text, class text, code text, description text, base_cost text, total_cost text, coverage text,
	reasoncode text, reason text);
CREATE TEMP TABLE c (start text, stop text, patient text, encounter text, code text, description text);
CREATE TEMP TABLE m (start text, stop text, patient text, payer text, encounter text, code text,
	description text, base_cost text, coverage text, dispenses text, total text, reasoncode text, reason text);
CREATE TEMP TABLE o (date text, patient text, encounter text, category text, code text, description text,
	value text, units text, type text);
\set read '\\copy p FROM ' :data '/patients.csv CSV HEADER'
:read
\set read '\\copy e FROM ' :data '/encounters.csv CSV HEADER'
:read
\set read '\\copy c FROM ' :data '/conditions.csv CSV HEADER'
:read
\set read '\\copy m FROM ' :data '/medications.csv CSV HEADER'
:read
\set read '\\copy o FROM ' :data '/observations.csv CSV HEADER'
:read

INSERT INTO patient SELECT id::uuid, first, last, maiden, ssn, drivers, passport, birthdate::date,
	deathdate::date, gender, race, ethnicity, address, city, county, state, zip FROM p;
INSERT INTO encounter SELECT id::uuid, patient::uuid, start::timestamptz, stop::timestamptz, class,
	description, total_cost::numeric FROM e;
INSERT INTO condition (patient, started, ended, code, description)
	SELECT patient::uuid, start::date, stop::date, code, description FROM c;
INSERT INTO medication (patient, started, ended, code, description, dispenses)
	SELECT patient::uuid, start::timestamptz, stop::timestamptz, code, description, dispenses::numeric::integer FROM m;
INSERT INTO observation (patient, taken, code, description, value, units)
	SELECT patient::uuid, date::timestamptz, code, description, value, units FROM o;
