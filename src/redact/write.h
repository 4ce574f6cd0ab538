/*-------------------------------------------------------------------------
 * write.h
 *		A write through a redacted view, as the files of it share it.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_WRITE_H
#define PHI_WRITE_H

#include "platform/platform.h"
#include "platform/registry.h"

#include "nodes/bitmapset.h"
#include "nodes/nodes.h"
#include "utils/relcache.h"

/* One call of the trigger. */
typedef struct WriteCall
{
	const ProtectedRelation *relation;
	Relation view;
	TupleDesc columns; /* of the view */
	CmdType command;
	Datum *old_values; /* not in an INSERT */
	bool *old_nulls;
	Datum *new_values; /* not in a DELETE */
	bool *new_nulls;
	Bitmapset *written; /* attribute numbers of the view */
	int argument_count;
	Oid *types;
	Datum *arguments;
	char *nulls; /* as SPI wants them */
} WriteCall;

/*
 * Run the statement on the table, as its owner; true when it found its row,
 * which is then SPI's result unless the command is DELETE.  SPI is connected.
 */
extern bool WriteStatement(FunctionCallInfo fcinfo, WriteCall *call);

#endif /* PHI_WRITE_H */
