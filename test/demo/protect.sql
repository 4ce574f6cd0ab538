-- What a security officer runs: say what each column is, then one call per table.
SELECT phi.classify('patient', c, kind) FROM (VALUES
	('first_name', 'name'), ('last_name', 'name'), ('maiden_name', 'name'), ('ssn', 'ssn'),
	('drivers_license', 'license'), ('passport', 'unique_id'), ('born', 'birth_date'), ('died', 'death_date'),
	('gender', 'other'), ('race', 'other'), ('ethnicity', 'other'), ('address', 'address'), ('city', 'city'),
	('county', 'county'), ('state', 'state'), ('zip', 'zip')) AS k (c, kind);
SELECT phi.classify('encounter', c, kind) FROM (VALUES
	('started', 'service_date'), ('ended', 'service_date'), ('class', 'none'), ('description', 'diagnosis'),
	('cost', 'other')) AS k (c, kind);
SELECT phi.classify('condition', c, kind) FROM (VALUES
	('started', 'service_date'), ('ended', 'service_date'), ('code', 'diagnosis'), ('description', 'diagnosis'))
	AS k (c, kind);
SELECT phi.classify('medication', c, kind) FROM (VALUES
	('started', 'service_date'), ('ended', 'service_date'), ('code', 'diagnosis'), ('description', 'diagnosis'),
	('dispenses', 'other')) AS k (c, kind);
SELECT phi.classify('observation', c, kind) FROM (VALUES
	('taken', 'service_date'), ('code', 'none'), ('description', 'none'), ('value', 'lab'), ('units', 'none'))
	AS k (c, kind);
SELECT phi.protect('patient', subject => 'id');
SELECT phi.protect(t, subject => 'patient')
FROM unnest(ARRAY['encounter', 'condition', 'medication', 'observation']::regclass[]) AS t;
SELECT phi.install_default_rules();
