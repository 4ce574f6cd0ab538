/*-------------------------------------------------------------------------
 * compat.h
 *		The only place that asks for a PostgreSQL version.
 *
 * Supported: 15, 17, 18.  Backend files include this header first, and it
 * includes postgres.h.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_PLATFORM_COMPAT_H
#define PHI_PLATFORM_COMPAT_H

#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "commands/vacuum.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parse_relation.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/guc.h"

#if PG_VERSION_NUM < 150000
#error "phi_guard needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Before the type of a function that does not return; PostgreSQL's own macro changed its place in 18. */
#define PHI_NORETURN __attribute__((noreturn))

/* May roleid execute the function? */
static inline bool
RoleMayExecute(Oid function, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ProcedureRelationId, function, roleid, ACL_EXECUTE) == ACLCHECK_OK;
#else
	return pg_proc_aclcheck(function, roleid, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

/* Does roleid own the relation (or is it a superuser)? */
static inline bool
RoleOwnsRelation(Oid relation, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relation, roleid);
#else
	return pg_class_ownercheck(relation, roleid);
#endif
}

/* The role whose privileges a range table entry is checked under; 0 is the current user. */
static inline Oid
RangeTableCheckUser(Query *query, RangeTblEntry *rte)
{
#if PG_VERSION_NUM >= 160000
	return rte->perminfoindex ? getRTEPermissionInfo(query->rteperminfos, rte)->checkAsUser
							  : InvalidOid;
#else
	return rte->checkAsUser;
#endif
}

/* Memory that a GUC's check hook hands over as its extra. */
static inline void *
GucExtraAlloc(size_t size)
{
#if PG_VERSION_NUM >= 160000
	return guc_malloc(LOG, size);
#else
	return malloc(size);
#endif
}

/* Put a row in the place of another, as simple_heap_update does; its indexes are the caller's. */
static inline void
SimpleHeapUpdate(Relation relation, ItemPointer place, HeapTuple tuple)
{
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes indexes;

	simple_heap_update(relation, place, tuple, &indexes);
#else
	simple_heap_update(relation, place, tuple);
#endif
}

/* Number of the current local transaction of this backend. */
static inline LocalTransactionId
CurrentLocalTransaction(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProc->vxid.lxid;
#else
	return MyProc->lxid;
#endif
}

/* Does this transaction hold a lock on the relation of that mode, or of a higher number? */
static inline bool
RelationLockedByMe(Oid relation, LOCKMODE lowest)
{
	LOCKTAG tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relation);
#if PG_VERSION_NUM >= 170000
	return LockHeldByMe(&tag, lowest, true);
#else
	for (LOCKMODE mode = lowest; mode <= MaxLockMode; mode++)
		if (LockHeldByMe(&tag, mode))
			return true;
	return false;
#endif
}

/* The statistics target of a column under ANALYZE. */
static inline int
AttributeStatisticsTarget(VacAttrStats *stats)
{
#if PG_VERSION_NUM >= 170000
	if (stats->attstattarget < 0)
		stats->attstattarget = default_statistics_target;
	return stats->attstattarget;
#else
	if (stats->attr->attstattarget < 0)
		stats->attr->attstattarget = default_statistics_target;
	return stats->attr->attstattarget;
#endif
}

/* vacuum_delay_point learned who calls it in 18. */
#if PG_VERSION_NUM >= 180000
#define AnalyzeDelayPoint() vacuum_delay_point(true)
#else
#define AnalyzeDelayPoint() vacuum_delay_point()
#endif

/* The last row of a statement is in an index: from 17 on it may have put something off till then. */
static inline void
IndexInsertsDone(Relation index, IndexInfo *info)
{
#if PG_VERSION_NUM >= 170000
	index_insert_cleanup(index, info);
#endif
}

/* Give an executor state made by hand a range table of one entry. */
static inline void
InitRangeTable(EState *estate, RangeTblEntry *entry)
{
#if PG_VERSION_NUM >= 160000
	List *permissions = NIL;

	(void) addRTEPermissionInfo(&permissions, entry);
#if PG_VERSION_NUM >= 180000
	ExecInitRangeTable(estate, list_make1(entry), permissions, bms_make_singleton(1));
#else
	ExecInitRangeTable(estate, list_make1(entry), permissions);
#endif
#else
	ExecInitRangeTable(estate, list_make1(entry));
#endif
}

/* A row of no table, in the current memory context; 18 can leave room before it. */
static inline MinimalTuple
FormMinimalTuple(TupleDesc shape, const Datum *values, const bool *isnull)
{
#if PG_VERSION_NUM >= 180000
	return heap_form_minimal_tuple(shape, values, isnull, 0);
#elif PG_VERSION_NUM >= 160000
	return heap_form_minimal_tuple(shape, values, isnull);
#else
	return heap_form_minimal_tuple(shape, unconstify(Datum *, values), unconstify(bool *, isnull));
#endif
}

/* ExecutorRun lost its execute_once argument in 18. */
#if PG_VERSION_NUM >= 180000
#define EXECUTOR_RUN_ARGS	 QueryDesc *desc, ScanDirection direction, uint64 count
#define EXECUTOR_RUN_FORWARD desc, direction, count
#else
#define EXECUTOR_RUN_ARGS	 QueryDesc *desc, ScanDirection direction, uint64 count, bool once
#define EXECUTOR_RUN_FORWARD desc, direction, count, once
#endif

#endif /* PHI_PLATFORM_COMPAT_H */
