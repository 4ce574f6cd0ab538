-------------------------------------------------------------------------------
-- protect: duties, which are sets of privileges on our functions
-------------------------------------------------------------------------------

CREATE TABLE phi.duty_function
(
	duty text NOT NULL,
	function text NOT NULL,
	PRIMARY KEY (duty, function)
);
COMMENT ON TABLE phi.duty_function IS 'What each duty may execute';

CREATE TABLE phi.duty_grant
(
	db_role regrole NOT NULL,
	duty text NOT NULL,
	granted_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (db_role, duty)
);
COMMENT ON TABLE phi.duty_grant IS 'Which database roles hold which duties';
SELECT pg_catalog.pg_extension_config_dump('phi.duty_grant', '');

CREATE FUNCTION phi.change_duty(db_role regrole, duty text, granting boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	verb text := CASE WHEN change_duty.granting THEN 'GRANT' ELSE 'REVOKE' END;
	role_name text := (SELECT format(' %s %I', CASE WHEN change_duty.granting THEN 'TO' ELSE 'FROM' END, r.rolname)
					   FROM pg_roles r WHERE r.oid = change_duty.db_role);
	function_name text;
	reader boolean := change_duty.duty IN ('auditor', 'security_officer');
BEGIN
	FOR function_name IN
		SELECT f.function FROM phi.duty_function f
		WHERE f.duty = change_duty.duty AND (change_duty.granting OR f.function NOT IN (
			SELECT o.function FROM phi.duty_function o JOIN phi.duty_grant g ON g.duty = o.duty
			WHERE g.db_role = change_duty.db_role))
	LOOP
		EXECUTE verb || ' EXECUTE ON ROUTINE ' || function_name || role_name;
	END LOOP;
	IF reader AND (change_duty.granting OR NOT EXISTS (
		SELECT FROM phi.duty_grant g WHERE g.db_role = change_duty.db_role AND g.duty IN ('auditor', 'security_officer'))) THEN
		EXECUTE verb || ' SELECT ON TABLE phi.protected_table, phi.protected_column' || role_name;
	END IF;
	IF change_duty.duty IN ('key_custodian', 'security_officer') AND (change_duty.granting OR NOT EXISTS (
		SELECT FROM phi.duty_grant g WHERE g.db_role = change_duty.db_role AND g.duty IN ('key_custodian', 'security_officer'))) THEN
		EXECUTE verb || ' SELECT ON TABLE phi.progress' || role_name;
	END IF;
	IF change_duty.duty = 'privacy_officer' THEN
		EXECUTE verb || ' SELECT ON TABLE phi.organization, phi.membership, phi.care_relationship, phi.person, phi.proxy, '
			'phi.break_glass_review, phi.release, phi.agreement' || role_name;
	END IF;
	IF change_duty.duty = 'auditor' THEN
		EXECUTE verb || ' USAGE ON SCHEMA phi_audit' || role_name;
		EXECUTE verb || ' SELECT ON TABLE phi_audit.event, phi_audit.leaf, phi_audit.checkpoint, phi_audit.incarnation' || role_name;
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.change_duty(regrole, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION phi.change_duty(regrole, text, boolean) IS
	'Internal: grants or revokes the privileges of a duty; those of another duty of the role stay';

CREATE FUNCTION phi.require_duty(db_role regrole, duty text) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	IF NOT EXISTS (SELECT FROM phi.duty_function f WHERE f.duty = require_duty.duty) THEN
		RAISE EXCEPTION '"%" is not a duty', require_duty.duty USING ERRCODE = 'invalid_parameter_value',
			HINT = (SELECT format('The duties are %s.', string_agg(DISTINCT f.duty, ', ')) FROM phi.duty_function f);
	ELSIF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = require_duty.db_role) THEN
		RAISE EXCEPTION 'role "%" does not exist', require_duty.db_role USING ERRCODE = 'undefined_object';
	END IF;
END $$;
REVOKE ALL ON FUNCTION phi.require_duty(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.require_duty(regrole, text) IS 'Internal: raises an error unless both exist';

CREATE FUNCTION phi.grant_duty(db_role regrole, duty text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	PERFORM phi.require_duty(grant_duty.db_role, grant_duty.duty);
	PERFORM phi.audit_install();
	PERFORM phi.change_duty(grant_duty.db_role, grant_duty.duty, true);
	INSERT INTO phi.duty_grant (db_role, duty) VALUES (grant_duty.db_role, grant_duty.duty) ON CONFLICT DO NOTHING;
	PERFORM phi.audit_record('grant_duty', 'phi.duty_grant', format('%s to %s', grant_duty.duty, grant_duty.db_role));
END $$;
REVOKE ALL ON FUNCTION phi.grant_duty(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.grant_duty(regrole, text) IS
	'Gives a database role the privileges of a duty: security_officer, privacy_officer, key_custodian, auditor, application';

CREATE FUNCTION phi.revoke_duty(db_role regrole, duty text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
	PERFORM phi.require_duty(revoke_duty.db_role, revoke_duty.duty);
	DELETE FROM phi.duty_grant g WHERE g.db_role = revoke_duty.db_role AND g.duty = revoke_duty.duty;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'role "%" does not have duty "%"', revoke_duty.db_role, revoke_duty.duty
			USING ERRCODE = 'undefined_object';
	END IF;
	PERFORM phi.audit_install();
	PERFORM phi.change_duty(revoke_duty.db_role, revoke_duty.duty, false);
	PERFORM phi.audit_record('revoke_duty', 'phi.duty_grant', format('%s from %s', revoke_duty.duty, revoke_duty.db_role));
END $$;
REVOKE ALL ON FUNCTION phi.revoke_duty(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION phi.revoke_duty(regrole, text) IS 'Takes the privileges of a duty back';

INSERT INTO phi.duty_function (duty, function)
SELECT d.duty, p.oid::pg_catalog.regprocedure::text
FROM (VALUES
	('security_officer', '{classify,declassify,set_free_text,describe,protect,make_shreddable,set_capture,protect_plan,protect_online,
		online_begin,online_step,cancel_online,adopt_pgp,adopt_pgp_plan,unprotect,refresh_view,add_view,remove_view,enroll,
		unenroll,revoke_token,restore_token,revoke_actor,restore_actor,forget_revocations,enroll_totp,unlock_totp,remove_totp,
		set_rule,drop_rule,install_default_rules,set_label_rule,drop_label_rule,load_label_rules,label_row,grant_duty,revoke_duty,
		suggest,sample_kinds,kind_of_name,kind_of_value,redact,whoami,audit_new_incarnation,audit_archive,require_care,
		require_step_up,allow_action,set_organization,add_member,end_membership,register_person,forget_person}'::pg_catalog.name[]),
	('privacy_officer', '{grant_consent,deny_consent,revoke_consent,import_consent,export_consent,evaluate_consent,
		explain_access,can_access,redact,whoami,make_pseudonyms,release,expire_releases,record_agreement,end_agreement,
		k_anonymity,l_diversity,column_list,legal_hold,release_hold,audit_erase,audit_erase_range,audit_erase_images,disclosures,accounting_of_disclosures,
		set_accounting_exclusion,access_report,set_organization,add_member,end_membership,relate,end_relation,register_person,
		forget_person,add_proxy,end_proxy,review_break_glass,simulate,simulate_forms}'),
	('key_custodian', '{load_sealed,read_sealed,key_status,key_usage,reload_kek,rotate_kek,rotate_key,reseal,reseal_begin,
		reseal_step,rotate_search_key,retag,retag_step,destroy_key,shred_subject,fpe_token,fpe_value,shift_date,whoami}'),
	('auditor', '{audit_verify,audit_verify_sql,audit_seal,audit_public_key,audit_checkpoint,audit_proof,audit_consistency,
		audit_export,audit_maintain,audit_status,disclosures,accounting_of_disclosures,access_report,export_audit_event,whoami}'),
	('application', '{reveal,reveal_column,reveal_as,reveal_pseudonym,can_access,explain_access,redact,scrub,whoami,set_purpose,login,
		logout,verify_totp,confirm_totp,labels_for,relate,end_relation,break_glass,my_consents,grant_my_consent,deny_my_consent,
		revoke_my_consent,my_disclosures,history}')) AS d (duty, names)
	CROSS JOIN LATERAL pg_catalog.unnest(d.names) AS n (name)
	LEFT JOIN pg_catalog.pg_proc p ON p.pronamespace OPERATOR(pg_catalog.=) 'phi'::pg_catalog.regnamespace
		AND p.proname OPERATOR(pg_catalog.=) n.name;
