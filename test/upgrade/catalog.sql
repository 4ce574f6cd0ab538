-- What an extension's members are, one line each: two databases of the same version must print the same.
\set QUIET on
\pset format unaligned
\pset tuples_only on
SET search_path = pg_catalog, pg_temp;
CREATE TEMPORARY VIEW member AS
	SELECT d.classid, d.objid, d.objsubid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
	WHERE e.extname = 'phi_guard' AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e';
CREATE TEMPORARY VIEW belonging AS -- and what belongs to its tables
	SELECT c.oid FROM pg_class c WHERE c.oid IN (SELECT m.objid FROM member m WHERE m.classid = 'pg_class'::regclass)
	UNION SELECT i.indexrelid FROM pg_index i JOIN member m ON m.objid = i.indrelid AND m.classid = 'pg_class'::regclass;
WITH line (what) AS (
	SELECT format('member: %s', pg_describe_object(m.classid, m.objid, m.objsubid)) FROM member m
	UNION ALL SELECT format('comment: %s: %s', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description)
	FROM pg_description d JOIN member m ON m.classid = d.classoid AND m.objid = d.objoid
	UNION ALL SELECT format('function: %s acl %s owner %s leakproof %s parallel %s cost %s', pg_get_functiondef(p.oid),
		(SELECT array_agg(x::text ORDER BY x::text) FROM unnest(p.proacl) x), p.proowner::regrole, p.proleakproof, p.proparallel, p.procost)
	FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
	UNION ALL SELECT format('relation: %s %s %s acl %s owner %s rls %s %s options %s', c.oid::regclass, c.relkind, c.relpersistence,
		(SELECT array_agg(x::text ORDER BY x::text) FROM unnest(c.relacl) x), c.relowner::regrole, c.relrowsecurity, c.relforcerowsecurity, c.reloptions)
	FROM pg_class c JOIN belonging b ON b.oid = c.oid
	UNION ALL SELECT format('column: %s %s %s %s not null %s default %s identity %s storage %s acl %s', c.oid::regclass,
		(SELECT count(*) FROM pg_attribute o WHERE o.attrelid = c.oid AND o.attnum > 0 AND NOT o.attisdropped AND o.attnum <= a.attnum),
		a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(f.adbin, f.adrelid), a.attidentity, a.attstorage, a.attacl)
	FROM pg_class c JOIN belonging b ON b.oid = c.oid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
	UNION ALL SELECT format('dropped column: %s', a.attrelid::regclass) FROM pg_attribute a JOIN belonging b ON b.oid = a.attrelid
	WHERE a.attisdropped
	UNION ALL SELECT format('constraint: %s %s %s %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid), k.convalidated)
	FROM pg_constraint k JOIN belonging b ON b.oid = k.conrelid
	UNION ALL SELECT format('index: %s', pg_get_indexdef(i.indexrelid)) FROM pg_index i JOIN belonging b ON b.oid = i.indexrelid
	UNION ALL SELECT format('view: %s %s', v.oid::regclass, pg_get_viewdef(v.oid)) FROM pg_class v JOIN belonging b ON b.oid = v.oid WHERE v.relkind = 'v'
	UNION ALL SELECT format('trigger: %s enabled %s', pg_get_triggerdef(g.oid), g.tgenabled)
	FROM pg_trigger g JOIN belonging b ON b.oid = g.tgrelid WHERE NOT g.tgisinternal
	UNION ALL SELECT format('sequence: %s %s %s %s %s %s', s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqcycle)
	FROM pg_sequence s JOIN pg_depend d ON d.objid = s.seqrelid AND d.refobjid IN (SELECT b.oid FROM belonging b)
	UNION ALL SELECT format('type: %s', (to_jsonb(t) - '{oid,typnamespace,typowner,typrelid,typelem,typarray,typinput,typoutput,typreceive,typsend,typanalyze,typsubscript,typacl}'::text[]
		|| jsonb_build_object('functions', ARRAY[t.typinput, t.typoutput, t.typreceive, t.typsend, t.typanalyze]::text[]))::text)
	FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
	UNION ALL SELECT format('operator: %s %s %s %s %s %s %s hashes %s merges %s', o.oid::regoperator, o.oprresult::regtype, o.oprcode, o.oprcom::regoperator,
		o.oprnegate::regoperator, o.oprrest, o.oprjoin, o.oprcanhash, o.oprcanmerge)
	FROM pg_operator o JOIN member m ON m.classid = 'pg_operator'::regclass AND m.objid = o.oid
	UNION ALL SELECT format('cast: %s %s %s %s %s', c.castsource::regtype, c.casttarget::regtype, c.castfunc::regprocedure, c.castcontext, c.castmethod)
	FROM pg_cast c JOIN member m ON m.classid = 'pg_cast'::regclass AND m.objid = c.oid
	UNION ALL SELECT format('operator class: %s %s %s default %s', o.opcname, o.opcmethod, o.opcintype::regtype, o.opcdefault)
	FROM pg_opclass o JOIN member m ON m.classid = 'pg_opclass'::regclass AND m.objid = o.oid
	UNION ALL SELECT format('operator family: %s %s %s', f.opfname, a.amopstrategy, a.amopopr::regoperator)
	FROM pg_opfamily f JOIN member m ON m.classid = 'pg_opfamily'::regclass AND m.objid = f.oid JOIN pg_amop a ON a.amopfamily = f.oid
	UNION ALL SELECT format('operator family: %s %s %s', f.opfname, a.amprocnum, a.amproc)
	FROM pg_opfamily f JOIN member m ON m.classid = 'pg_opfamily'::regclass AND m.objid = f.oid JOIN pg_amproc a ON a.amprocfamily = f.oid
	UNION ALL SELECT format('schema: %s acl %s', n.nspname, (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(n.nspacl) x))
	FROM pg_namespace n JOIN member m ON m.classid = 'pg_namespace'::regclass AND m.objid = n.oid
	UNION ALL SELECT format('dumped: %s where %s', u.config::regclass, u.condition) FROM pg_extension e, unnest(e.extconfig, e.extcondition) AS u (config, condition)
	WHERE e.extname = 'phi_guard'
	UNION ALL SELECT format('duty: %s %s', f.duty, f.function) FROM phi.duty_function f)
SELECT what FROM line ORDER BY what COLLATE "C";
