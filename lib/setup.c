#include "setup.h"

#include "claim.h"
#include "cred.h"
#include "home.h"
#include "login.h"

#include <stdbool.h>

struct seen {
	struct statedir dir;
	struct cred cred;
	enum cred_left left;
	unsigned claim;
	bool ended; /* a device login */
};

/* The state of a home that is in order, and what to do next. */
static const char *state_of(const struct seen *s, const char **next)
{
	if (cred_locked(&s->dir)) {
		*next = "an activation or a rotation is under way";
		return "busy";
	}
	if (s->left == CRED_LEFT_SECRET) {
		*next = "a secret arrived but was not put in place: run "
			"agentrux-activate --recover";
		return "interrupted";
	}
	if (s->ended) {
		*next = "the login has ended: " LOGIN_REMEDY;
		return "ended";
	}
	if (cred_id(&s->cred)) {
		*next = s->claim & CLAIM_WAITING
				? "set up; the code that waits will be refused"
				: "set up";
		return "ready";
	}
	if (s->claim & CLAIM_WAITING) {
		*next = "a code waits: run agentrux-activate";
		return "waiting";
	}
	if (s->claim & CLAIM_INFLIGHT) {
		*next = "a run was cut short: agentrux-activate --recover puts "
			"the code back";
		return "interrupted";
	}
	*next = "not set up: get an activation code";
	return "empty";
}

static int look(struct seen *s, const char *home, struct err *e)
{
	int r = home_open(&s->dir, home, STATEDIR_FIND, e);

	if (r <= 0)
		return r;
	s->claim = claim_look(&s->dir);
	if (cred_left(&s->dir, &s->left, e) < 0)
		return -1;
	r = cred_load(&s->dir, &s->cred, e);
	if (r > 0 && s->cred.secret == NULL) {
		r = login_look(&s->dir, s->cred.client_id, e);
		s->ended = r == 0;
	}
	return r;
}

int setup_status(const char *home, struct json **status, struct err *e)
{
	struct seen s = { .dir = STATEDIR_NONE };
	const char *state = "not-set-up", *text = e->text;
	struct json *o = json_object();
	int r = look(&s, home, e);

	if (r >= 0)
		state = state_of(&s, &text);
	json_set_text(o, "state", state);
	json_set_text(o, "text", text);
	if (s.dir.path)
		json_set_text(o, "home", s.dir.path);
	cred_describe(&s.cred, o);
	json_set_bool(o, "code_waiting", s.claim & CLAIM_WAITING);
	json_set_bool(o, "code_inflight", s.claim & CLAIM_INFLIGHT);
	json_set_bool(o, "secret_waiting", s.left == CRED_LEFT_SECRET);
	*status = o;
	cred_release(&s.cred);
	statedir_close(&s.dir);
	return r < 0 ? -1 : 0;
}
