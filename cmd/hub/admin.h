/* hub: the operator's commands. They work beside a running server.
 *
 * Each gets its operands behind the command words and prints its result, one
 * line each, on standard output. What it changes is committed before anything
 * is printed. EX_NOINPUT: no such topic or script; EX_CANTCREAT: there is one
 * of that name; EX_USAGE: not a name or not a grant. */
#ifndef AGENTRUX_HUB_ADMIN_H
#define AGENTRUX_HUB_ADMIN_H

#include "db.h"
#include "opt.h"

struct admin_options {
	struct opt_list grants; /* TOPIC:ACTION */
	long ttl_ms;
	bool oauth; /* code issue: of that dialect */
};

typedef int admin_command(struct db *db, char **operands,
	const struct admin_options *o, struct err *e);

admin_command admin_topic_add;	    /* NAME: prints the id */
admin_command admin_topic_list;	    /* {"topic_id","name","latest…"} */
admin_command admin_script_add;	    /* NAME: prints the id */
admin_command admin_script_list;    /* {"script_id","name",…,"grants"} */
admin_command admin_script_remove;  /* SCRIPT: its tokens die with it */
admin_command admin_grant_add;	    /* SCRIPT TOPIC:ACTION… */
admin_command admin_grant_remove;   /* SCRIPT TOPIC:ACTION… */
admin_command admin_code_issue;	    /* SCRIPT: prints the code */
admin_command admin_device_approve; /* USER_CODE SCRIPT */
admin_command admin_device_deny;    /* USER_CODE */
admin_command admin_invite_issue;   /* TOPIC:ACTION: prints the code */

#endif
