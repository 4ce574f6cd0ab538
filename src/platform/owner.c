/*-------------------------------------------------------------------------
 * owner.c
 *		Acting as the extension's owner, or as the owner of a user's table.
 *
 * Our own bookkeeping runs as the extension's owner.  Whatever may execute
 * code of a table's owner (expressions, constraints, triggers) runs as that
 * owner, in a security-restricted operation, never as ours.
 *-------------------------------------------------------------------------
 */
#include "platform/platform.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "commands/trigger.h"

PG_FUNCTION_INFO_V1(phi_run_as_owner);
PG_FUNCTION_INFO_V1(phi_policy_changed);

/* The call of phi.run_as_owner in progress: put back by the error path of the call itself. */
typedef struct OwnerCommand
{
	Oid relation; /* 0 when there is none */
	bool opening; /* the command may open the relation's values */
} OwnerCommand;

static OwnerCommand Command = {InvalidOid, false};

/* Switch the user; guc_level 0 means that no setting was changed. */
static void
SwitchUser(OwnerScope *scope, Oid userid, int context)
{
	GetUserIdAndSecContext(&scope->userid, &scope->security_context);
	SetUserIdAndSecContext(userid, scope->security_context | context);
	scope->guc_level = 0;
}

/* Pin search_path until the scope ends. */
static void
PinSearchPath(OwnerScope *scope, const char *path)
{
	scope->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", path, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

void
OwnerBeginQualified(OwnerScope *scope)
{
	SwitchUser(scope, ExtensionOwner(), SECURITY_LOCAL_USERID_CHANGE);
}

void
OwnerBegin(OwnerScope *scope)
{
	OwnerBeginQualified(scope);
	PinSearchPath(scope, "pg_catalog, pg_temp");
}

/* The owner of a relation; raises when there is none. */
static Oid
RelationOwner(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation does not exist")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Row security stays in force: a rewrite or the validation of a constraint
 * reads its table below it, and what else the owner's code may query is none
 * of our business here.
 */
void
RelationOwnerBegin(OwnerScope *scope, Oid relation)
{
	SwitchUser(scope, RelationOwner(relation),
			   SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	PinSearchPath(scope, "pg_catalog, pg_temp");
}

/*
 * A statement of somebody else on the table: its triggers run as they would
 * for the owner's own function, deferred ones and those that name tables of
 * their schema without it included.
 */
void
RelationOwnerBeginStatement(OwnerScope *scope, Oid relation)
{
	const char *schema = get_namespace_name(get_rel_namespace(relation));

	SwitchUser(scope, RelationOwner(relation), SECURITY_LOCAL_USERID_CHANGE);
	PinSearchPath(scope, psprintf("pg_catalog, %s, pg_temp", quote_identifier(schema)));
}

void
OwnerEnd(const OwnerScope *scope)
{
	if (scope->guc_level > 0)
		AtEOXact_GUC(false, scope->guc_level);
	SetUserIdAndSecContext(scope->userid, scope->security_context);
}

bool
OwnerCommandInProgress(void)
{
	return OidIsValid(Command.relation);
}

bool
OwnerCommandFor(Oid relation, bool opening)
{
	return OidIsValid(relation) && Command.relation == relation && (Command.opening || !opening);
}

/*
 * phi.run_as_owner(relation regclass, command text, opening boolean): run one
 * command as the relation's owner.  opening: the command turns the relation
 * back to plain text, so that opening its values is what was asked for; never
 * true otherwise, because the owner's own code may run inside the command.
 * Internal: no role holds EXECUTE.
 */
Datum
phi_run_as_owner(PG_FUNCTION_ARGS)
{
	Oid relation = PG_GETARG_OID(0);
	char *command = text_to_cstring(PG_GETARG_TEXT_PP(1));
	OwnerCommand outer = Command;
	OwnerScope scope;

	RequirePreload();
	RelationOwnerBegin(&scope, relation);
	Command.relation = relation;
	Command.opening = PG_GETARG_BOOL(2);
	PG_TRY();
	{
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		if (SPI_execute(command, false, 0) < 0)
			elog(ERROR, "could not run a maintenance command");
		SPI_finish();
	}
	PG_FINALLY();
	{
		Command = outer;
	}
	PG_END_TRY();
	OwnerEnd(&scope);
	PG_RETURN_VOID();
}

/*
 * phi.policy_changed(): statement trigger of a policy table.  Sends a
 * transactional relcache invalidation of the table; every cache of its content
 * listens to that.
 */
Datum
phi_policy_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("phi.policy_changed can only be called as a trigger")));
	CacheInvalidateRelcache(trigger->tg_relation);
	PG_RETURN_POINTER(NULL);
}
