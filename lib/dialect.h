/* service: what differs between the two dialects of the service, as one table
 * of functions. classic.c and oauth.c fill it; nothing else knows an endpoint's
 * path or a field's name. The functions are pure: a request is built into a
 * wire_request, an answer is read from its text.
 *
 * Building cannot fail but by a ceiling, which shows as `full` in the buffers.
 * Reading returns 0, or -1 with EX_TEMPFAIL for an answer that is not what the
 * protocol says (it counts as a 5xx does). */
#ifndef AGENTRUX_DIALECT_H
#define AGENTRUX_DIALECT_H

#include "cred.h"
#include "event.h"
#include "json.h"
#include "sse.h"
#include "wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* What a token endpoint grants. Texts are the caller's to wipe and free. */
struct dialect_token {
	char *access;
	char *refresh;	 /* NULL: none */
	char *script_id; /* whose it is; NULL: not said */
	int64_t lifetime_ms;
};

/* How a device waits to be let in. Texts are the caller's to wipe and free. */
struct dialect_device {
	char *code; /* a secret */
	char *user_code;
	char *address;	/* where people enter it */
	char *complete; /* where it stands already, or NULL */
	long lifetime_s, interval_s;
};

/* What a refusal means to one that waits. */
enum dialect_wait {
	DIALECT_PENDING,
	DIALECT_SLOW_DOWN, /* ask less often */
	DIALECT_DENIED,
	DIALECT_EXPIRED,
	DIALECT_NO_WORD, /* it is like any other refusal */
};

/* Bytes of a page: what is read ahead, held and printed of such pages stays under
 * 64 MiB. One event may take that much by itself. */
enum { DIALECT_PAGE_MAX = 8388608, DIALECT_EVENT_MAX = 67108864 };

/* Which page of a topic. */
struct dialect_page {
	const char *topic;
	const char *after; /* position; NULL: the newest, in any order */
	long limit;
	const char *type;  /* of events; NULL: all */
	bool exclude_self; /* leave out what this script published */
	/* For api_page(): from so many bytes on this page most likely has one
	 * behind it that is wanted, too. That is asked for as soon as this one
	 * has come, and the next api_page() finds its answer under way. 0: it
	 * is not. */
	size_t ahead_from;
	bool later; /* the events are read by api_page_read() */
};

/* What a page says, borrowed from its text; p NULL where it is silent. */
struct dialect_listing {
	struct slice events;   /* the array */
	struct slice next;     /* position to go on from */
	struct slice frontier; /* where nothing was newer */
	struct slice has_more; /* true or false */
};

/* NULL, and p NULL: none. */
struct dialect_publication {
	const char *topic;
	const char *type;
	struct slice payload; /* or, where they can stand for one: */
	const char *payload_object_id;
	const char *correlation_id;
	const char *reply_topic;
	struct slice metadata;	     /* an object; with takes_metadata */
	const char *idempotency_key; /* with takes_idempotency_key */
};

/* A payload object that is to be. */
struct dialect_reservation {
	const char *topic;
	const char *name;
	const char *content_type;
	int64_t size;
	const char *checksum; /* SHA-256 as base64; NULL: not known */
};

enum { DIALECT_HEADERS_MAX = 16 };

/* What is known of a payload object. Texts are the caller's to free. */
struct dialect_object {
	char *id;
	char *put_url; /* only from a reservation, as are the next two */
	char *put_headers[DIALECT_HEADERS_MAX + 1]; /* "Name: value"; NULL */
	char *get_url; /* NULL: ask for the object */
	char *content_type;
	char *checksum; /* SHA-256 as hex; NULL: not known */
	int64_t size;	/* -1: not said */
};

/* Which stream of hints. */
struct dialect_stream {
	const char *topic;
	const char *position; /* resume behind it; NULL: from now on */
	bool exclude_self;
};

enum dialect_hint {
	DIALECT_ALIVE, /* only shows that the stream lives */
	DIALECT_EVENT,
	DIALECT_RESYNC,
	DIALECT_REFUSED, /* the service ends the stream: see `error` */
};

/* What a frame tells besides. */
struct dialect_news {
	int64_t latest;		 /* newest sequence number; -1: not said */
	struct wire_error error; /* with the status that means the same */
};

struct dialect {
	const char *name;
	const char *code_prefix;
	const char *oldest; /* the position before everything */
	/* Positions are numbers that grow, to be kept as such; else they are
	 * texts that mean nothing to us, and within a page not always in order:
	 * only its end is a position before which all was seen. */
	bool numeric;
	struct event_names names;
	/* What stands, near the end of a page, before the position that the next
	 * one starts from; good for a guess only. */
	const char *next_mark;

	/* A topic's id as the service has it, the caller's to free: users may
	 * write it in a shorter way. */
	char *(*topic_id)(const char *topic);
	/* What these credentials may do where: a list of {"topic_id","name"
	 * (where it has one),"actions"}. */
	void (*topics_request)(struct wire_request *r);
	int (*topics_answer)(
		const struct json *a, struct json **topics, struct err *e);

	/* activation */
	void (*redeem_request)(struct wire_request *r, const char *code);
	/* Fills id and secret of `c`; `grants` gets a JSON array, to be freed,
	 * or NULL where the dialect tells none. */
	int (*redeem_answer)(const struct json *a, struct cred *c,
		struct json **grants, struct err *e);

	/* tokens; refresh_request is NULL where there are no such tokens */
	void (*token_request)(struct wire_request *r, const struct cred *c);
	void (*refresh_request)(
		struct wire_request *r, const char *refresh_token);
	/* `date`: the server's clock when it answered, 0 if unknown. */
	int (*token_answer)(const struct json *a, time_t date,
		struct dialect_token *t, struct err *e);

	/* joining without a code (RFC 7591, RFC 8628); NULL: not there. A
	 * client is registered, asks to be let in, and asks for its token until
	 * a person has decided; from then on its refresh token, which works
	 * once, brings the next one. Tokens by token_answer. */
	void (*register_request)(struct wire_request *r);
	int (*register_answer)(
		const struct json *a, char **client_id, struct err *e);
	bool (*is_unregistered)(const struct wire_error *we);
	void (*device_request)(struct wire_request *r, const char *client_id);
	int (*device_answer)(
		const struct json *a, struct dialect_device *d, struct err *e);
	void (*wait_request)(struct wire_request *r, const char *client_id,
		const char *device_code);
	enum dialect_wait (*wait_refused)(const struct wire_error *we);
	void (*login_request)(struct wire_request *r, const char *client_id,
		const char *refresh_token);

	/* cross-account invites and secret rotation; NULL: not there. What an
	 * invite grants are texts to be freed (`action` NULL if not said); of
	 * a rotation, the new secret, to be wiped and freed, and a token. */
	const char *invite_prefix;
	void (*invite_request)(
		struct wire_request *r, const struct cred *c, const char *code);
	int (*invite_answer)(const struct json *a, char **topic_id,
		char **action, struct err *e);
	void (*rotate_request)(struct wire_request *r, const struct cred *c);
	int (*rotate_answer)(const struct json *a, time_t date, char **secret,
		struct dialect_token *t, struct err *e);

	/* events */
	void (*page_request)(
		struct wire_request *r, const struct dialect_page *p);
	int (*page_answer)(struct slice_walk *members,
		struct dialect_listing *l, struct err *e);
	/* Does this refusal of a page mean that the position has aged out?
	 * NULL: positions do not. */
	bool (*is_lost)(const struct wire_error *we);
	size_t inline_max;  /* bytes of a payload */
	bool takes_objects; /* an object may stand for the payload */
	bool takes_metadata;
	bool takes_idempotency_key; /* by which a repetition is known */
	void (*publish_request)(
		struct wire_request *r, const struct dialect_publication *p);
	int (*publish_answer)(
		const struct json *a, char **event_id, struct err *e);

	/* hints: the request of a stream, whether it can leave out what this
	 * script published, and what a frame means. */
	void (*stream_request)(
		struct wire_request *r, const struct dialect_stream *s);
	bool stream_excludes_self;
	enum dialect_hint (*hint)(
		const struct sse_frame *frame, struct dialect_news *news);

	/* files */
	bool wants_checksum; /* in the reservation */
	void (*reserve_request)(
		struct wire_request *r, const struct dialect_reservation *want);
	int (*reserve_answer)(const struct json *a,
		const struct dialect_reservation *want,
		struct dialect_object *o, struct err *e);
	/* An object is there for others once an event has it for its payload:
	 * the type and the metadata (to be freed) of one that says what it is.
	 * NULL: it is there at once. */
	const char *commit_type;
	char *(*commit_metadata)(
		const char *name, const struct dialect_object *o);
	void (*object_request)(
		struct wire_request *r, const char *topic, const char *id);
	int (*object_answer)(
		const struct json *a, struct dialect_object *o, struct err *e);
	/* Where people fetch an object whose reservation named no URL; NULL:
	 * lines name none. */
	char *(*object_url)(
		const char *base_url, const char *topic, const char *id);
	/* The attachment line of an uploaded object. */
	struct json *(*attachment)(
		const char *name, const struct dialect_object *o);
};

extern const struct dialect dialect_classic, dialect_oauth;

/* By an activation code's prefix (NULL: no dialect knows it), by credentials. */
const struct dialect *dialect_of_code(const char *code);
const struct dialect *dialect_of_cred(const struct cred *c);

/* Any dialect's code: its prefix and 20 to 200 of [A-Za-z0-9_-]. The second is
 * the same for a prefix of one's own. */
bool dialect_code_ok(const char *code);
bool dialect_code_shape(const char *code, const char *prefix);

/* What the dialects have in common. A request with a JSON document for a body,
 * which is taken; a required text of an answer, copied; one that may be missing;
 * and that a field is not what it has to be (returns -1). */
void dialect_body(struct wire_request *r, struct json *doc);
int dialect_need(
	const struct json *a, const char *field, char **to, struct err *e);
char *dialect_optional(const struct json *a, const char *field);
int dialect_incomplete(struct err *e, const char *field);

/* {"items": […]} as topics_answer has it. */
int dialect_topics(const struct json *a, struct json **topics, struct err *e);

/* What a frame means by its name; what an error frame says goes to `we`, as an
 * answer of that status would say it. */
enum dialect_hint dialect_hint_kind(
	const struct sse_frame *frame, struct wire_error *we);

/* Adds a header that must be sent with the object's bytes. -1: one too many, or
 * not fit to be one. */
int dialect_object_header(
	struct dialect_object *o, const char *name, const char *value);

void dialect_token_release(struct dialect_token *t);
void dialect_device_release(struct dialect_device *d);
void dialect_object_release(struct dialect_object *o);

#endif
