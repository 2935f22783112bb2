/* hub: the endpoints that both dialects may use; see web.h for what a handler
 * is and may do. The comments say what is answered when all is well. */
#ifndef AGENTRUX_HUB_ENDPOINTS_H
#define AGENTRUX_HUB_ENDPOINTS_H

#include "web.h"

/* data.c: events. */
void topics_list(struct req *r);	/* {"items":[…]} of the caller */
void events_list(struct req *r);	/* {"items":[…],"next_cursor":null} */
void events_by_sequence(struct req *r); /* the same, by number */
void events_get(struct req *r);		/* one event */
void events_publish(struct req *r);	/* 201 {"event_id"} */

/* stream.c: hints. */
void events_stream(struct req *r);

/* files.c: payload objects. */
void payloads_announce(struct req *r); /* 201 {"object_id","upload_url",…} */
void payloads_show(struct req *r);     /* {"object_id","download_url",…} */
void object_put_begin(struct req *r);  /* checks, and makes the sink */
void object_put(struct req *r);	       /* 200, once it is on disk */
void object_get(struct req *r);	       /* the bytes */

/* console.c: for administrators. */
void console_issue_code(struct req *r); /* 201 {"activation_code",…} */

#endif
