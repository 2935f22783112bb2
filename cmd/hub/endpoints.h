/* hub: the endpoints behind the tables of routes.h; see web.h for what a handler
 * is and may do. The comments say what is answered when all is well. */
#ifndef AGENTRUX_HUB_ENDPOINTS_H
#define AGENTRUX_HUB_ENDPOINTS_H

#include "web.h"

/* classic_data.c: topics and events. */
void classic_topics(struct req *r); /* {"items":[…]} of the caller */
void classic_events(struct req *r); /* {"items":[…],"next_cursor":null} */
void classic_by_sequence(struct req *r); /* the same, by number */
void classic_event(struct req *r);	 /* one event */
void classic_publish(struct req *r);	 /* 201 {"event_id"} */

/* oauth_data.c: the same in the other dialect. */
void oauth_topics(struct req *r);  /* {"items":[…]} of the caller */
void oauth_events(struct req *r);  /* {"events":[…],"next":{…}} */
void oauth_event(struct req *r);   /* one event */
void oauth_publish(struct req *r); /* 201 {"event_id"}, 200 a replay */

/* stream.c: hints. */
void events_stream(struct req *r);

/* payloads.c: payload objects are announced and shown. */
void classic_announce(struct req *r); /* 201 {"object_id","upload_url",…} */
void classic_object(struct req *r);   /* {"object_id","download_url",…} */
void oauth_announce(struct req *r);   /* 201 {"payload_object_id",…} */
void oauth_object(struct req *r);     /* {"presigned_get_url",…} */

/* files.c: they are put and got. */
void object_put_begin(struct req *r); /* checks, and makes the sink */
void object_put(struct req *r);	      /* 200, once it is on disk */
void object_get(struct req *r);	      /* the bytes */

/* join.c: programs without a code. */
void join_register(struct req *r);  /* 201 {"client_id",…} */
void join_authorize(struct req *r); /* {"device_code","user_code",…} */
void device_page(struct req *r);    /* what a person is to do, as text */

/* console.c: for administrators. */
void console_issue_code(struct req *r); /* 201 {"activation_code",…} */
void console_approve(struct req *r);	/* {"script_id"} */
void console_deny(struct req *r);	/* {} */

#endif
