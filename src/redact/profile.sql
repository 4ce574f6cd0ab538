-------------------------------------------------------------------------------
-- redact: further views of a protected table, each for a recipient
-------------------------------------------------------------------------------

CREATE FUNCTION phi.views_of(relation regclass) RETURNS SETOF regclass
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY SELECT c.oid::regclass
	FROM (SELECT p.view FROM phi.table_policy p WHERE p.relation = views_of.relation
		  UNION ALL SELECT v.view FROM phi.view_profile v WHERE v.relation = views_of.relation) AS o (view)
		JOIN pg_class c ON c.oid = o.view AND c.relkind = 'v'
	ORDER BY c.oid;
END $$;
REVOKE ALL ON FUNCTION phi.views_of(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.views_of(regclass) IS 'Internal: the redacted view of a table and those of its profiles';

CREATE FUNCTION phi.refresh_views(relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	IF EXISTS (SELECT FROM phi.table_policy p JOIN pg_class v ON v.oid = p.view WHERE p.relation = refresh_views.relation) THEN
		PERFORM phi.refresh_view(refresh_views.relation);
	ELSE
		PERFORM phi.regenerate_view(refresh_views.relation, v) FROM phi.views_of(refresh_views.relation) v;
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.refresh_views(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.refresh_views(regclass) IS 'Internal: generates the views of a protected table again, as many as there are';

CREATE FUNCTION phi.require_profile(relation regclass, profile phi.view_profile) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	missing text;
	wrong record;
BEGIN
	IF coalesce(profile.recipient, '') = '' OR octet_length(profile.recipient) > 127 THEN
		RAISE EXCEPTION 'a recipient must not be empty or longer than 127 bytes' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Name the organization, or the actor, that the view is for.';
	ELSIF profile.form IS NULL OR jsonb_typeof(profile.column_forms) <> 'object' THEN
		RAISE EXCEPTION 'no form given' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Give the form of the view, and forms of columns as {"column": "form"}.';
	END IF;
	IF NOT phi.form_fits(profile.form, 'name', 'phi.encrypted_text') THEN
		RAISE EXCEPTION 'form "%" is one of single columns', profile.form USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Give the view another one, and this one to the columns in column_forms.';
	END IF;
	SELECT k INTO missing FROM jsonb_object_keys(profile.column_forms) k
	WHERE NOT EXISTS (SELECT FROM phi.column_policy c WHERE c.relation = require_profile.relation AND c.column_name = k AND c.sealed);
	IF FOUND THEN
		RAISE EXCEPTION 'column "%" of table "%" is not encrypted', missing, relation USING ERRCODE = 'undefined_column',
			HINT = 'Only encrypted columns have forms.';
	END IF;
	SELECT c.column_name, j.value AS form, c.kind, format_type(a.atttypid, NULL) AS type INTO wrong
	FROM jsonb_each_text(profile.column_forms) j
		JOIN phi.column_policy c ON c.relation = require_profile.relation AND c.column_name = j.key
		JOIN pg_attribute a ON a.attrelid = require_profile.relation AND a.attname = c.column_name
	WHERE phi.form_fits(j.value, c.kind, a.atttypid) IS NOT TRUE
	ORDER BY a.attnum;
	IF FOUND THEN
		RAISE EXCEPTION 'column "%" of kind "%" and type % cannot have the form "%"', wrong.column_name, wrong.kind, wrong.type, wrong.form
			USING ERRCODE = 'invalid_parameter_value', HINT = CASE wrong.form
				WHEN 'token' THEN 'Tokens are of ssn, mrn, health_plan, account, license, vehicle, device and unique_id stored as text.'
				WHEN 'shifted' THEN 'Shifted are dates and timestamps with time zone of a kind of date, or of clinical content.'
				WHEN 'age_band' THEN 'Bands are of ages stored as numbers or text, and of dates of birth stored as dates.'
				WHEN 'category' THEN 'Categories are of diagnoses stored as text.'
				ELSE 'Give forms of columns as {"column": "form"}.' END;
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.require_profile(regclass, phi.view_profile) FROM PUBLIC;
COMMENT ON FUNCTION phi.require_profile(regclass, phi.view_profile) IS 'Internal: raises an error unless a view can be made of the profile';

-- A shift is known to whoever has one date in both ways, and with it all dates of the person.
CREATE FUNCTION phi.warn_of_dates(recipient text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	IF (SELECT bool_or(f.form = 'shifted') AND bool_or(f.form IN ('limited', 'partial', 'full'))
		FROM phi.view_profile v JOIN phi.column_policy c ON c.relation = v.relation AND c.sealed
			JOIN pg_attribute a ON a.attrelid = c.relation AND a.attname = c.column_name
			CROSS JOIN LATERAL (SELECT coalesce(v.column_forms->>c.column_name, v.form)) AS f (form)
		WHERE v.recipient = warn_of_dates.recipient AND phi.form_fits('shifted', c.kind, a.atttypid)) THEN
		RAISE WARNING 'the views for "%" show dates both shifted and as they are', warn_of_dates.recipient
			USING HINT = 'One date that is known in both ways gives the shift away: have all dates shifted, or in the form safe_harbor or none.';
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.warn_of_dates(text) FROM PUBLIC;
COMMENT ON FUNCTION phi.warn_of_dates(text) IS
	'Internal: warns where the views for a recipient show dates shifted and others as they are';

CREATE FUNCTION phi.add_view(relation regclass, view text, form text, recipient text, column_forms jsonb DEFAULT '{}') RETURNS regclass
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	profile phi.view_profile;
	wanted record;
	made regclass;
BEGIN
	PERFORM phi.require_preload();
	PERFORM phi.require_table(add_view.relation);
	EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', add_view.relation);
	IF NOT EXISTS (SELECT FROM phi.table_policy p WHERE p.relation = add_view.relation) THEN
		RAISE EXCEPTION 'table "%" is not protected', add_view.relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call phi.protect() for it first.';
	ELSIF add_view.view IS NULL THEN
		RAISE EXCEPTION 'no name for the view given' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	profile.relation := add_view.relation;
	profile.form := add_view.form;
	profile.recipient := add_view.recipient;
	profile.column_forms := coalesce(add_view.column_forms, '{}');
	PERFORM phi.require_profile(add_view.relation, profile);
	SELECT * INTO wanted FROM phi.view_name(add_view.relation, add_view.view);
	made := phi.create_view(add_view.relation, wanted.schema_name, wanted.view_name, profile);
	PERFORM phi.audit_record('add_view', add_view.relation, format('%s, form %s, for %s%s', made, add_view.form, add_view.recipient,
		', columns ' || nullif(profile.column_forms::text, '{}')));
	PERFORM phi.warn_of_dates(add_view.recipient);
	RETURN made;
END $$;
REVOKE ALL ON FUNCTION phi.add_view(regclass, text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION phi.add_view(regclass, text, text, text, jsonb) IS
	'Creates a further view of a protected table for a recipient: it shows what the session may see, but no more than a form; column_forms has other forms of columns';

CREATE FUNCTION phi.remove_view(view regclass) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	relation regclass := (SELECT v.relation FROM phi.view_profile v WHERE v.view = remove_view.view);
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'view "%" is not one that phi.add_view() made', remove_view.view
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'The view of phi.protect() goes with phi.unprotect().';
	END IF;
	PERFORM phi.require_table(relation);
	PERFORM phi.audit_record('remove_view', relation, remove_view.view::text);
	PERFORM phi.drop_view(relation, remove_view.view);
	DELETE FROM phi.view_profile v WHERE v.view = remove_view.view;
END $$;
REVOKE ALL ON FUNCTION phi.remove_view(regclass) FROM PUBLIC;
COMMENT ON FUNCTION phi.remove_view(regclass) IS 'Drops a view that phi.add_view() made';
