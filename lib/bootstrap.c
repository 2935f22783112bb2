#include "bootstrap.h"

#include "api.h"
#include "auth.h"
#include "claim.h"
#include "code.h"
#include "dialect.h"
#include "home.h"
#include "http.h"
#include "position.h"
#include "stop.h"

#include <stdlib.h>
#include <string.h>

/* Longer than the request of the one that works may take. */
enum { LOCK_WAIT_MS = 180000 };

void bootstrap_release(struct bootstrap *b)
{
	lock_release(&b->lock);
	statedir_close(&b->dir);
	outcome_release(&b->result);
}

/* --- the code --- */

/* NULL with EX_DATAERR. */
static char *find_code(const char *text, size_t len, struct err *e)
{
	static const char *const prefixes[] = { "ac_", "act_", NULL };
	char *code = code_find(text, len, prefixes);

	if (code == NULL)
		err_set(e, EX_DATAERR,
			"looking for the activation code: no line starts with "
			"ac_ or act_");
	else if (!dialect_code_ok(code))
		err_set(e, EX_DATAERR,
			"looking for the activation code: the first line that "
			"starts like one is too short, too long, or has other "
			"characters than letters, digits, - and _");
	else
		return code;
	buf_wipe_free(code);
	return NULL;
}

/* --- how a run ends --- */

static int ended(struct bootstrap *b, enum outcome_kind kind)
{
	b->result.kind = kind;
	return kind == OUTCOME_OK ? 0 : -1;
}

/* Ends a run that never came to its request. */
int bootstrap_refused(struct bootstrap *b, struct err *e)
{
	if (e->code == ERR_STOPPED)
		err_set(e, EX_TEMPFAIL, "activating: told to end before it");
	switch (e->code) {
	case EX_CONFIG:
	case EX_USAGE:
		return ended(b, OUTCOME_NOT_SET_UP);
	case EX_CANTCREAT:
		return ended(b, OUTCOME_RESCUED);
	case EX_DATAERR:
		return ended(b, OUTCOME_INVALID);
	default:
		return ended(b, OUTCOME_TRANSIENT);
	}
}

/* There is nothing to claim. */
static int no_file(struct bootstrap *b, struct err *e)
{
	static const char remedy[] = "finish with agentrux-activate --recover";
	enum cred_left left = CRED_LEFT_NOTHING;
	bool inflight = false;

	b->result.kind = OUTCOME_NO_FILE;
	if (b->lock.fd >= 0)
		cred_tidy(&b->dir);
	if (b->dir.fd >= 0) {
		inflight = claim_look(&b->dir) & CLAIM_INFLIGHT;
		if (cred_left(&b->dir, &left, NULL) < 0)
			left = CRED_LEFT_NOTHING;
	}
	if (left == CRED_LEFT_SECRET)
		say("%s/%s holds a secret that is newer: %s", b->dir.path,
			HOME_RESERVED, remedy);
	if (cred_id(&b->result.cred))
		return 0;
	return err_set(e, EX_NOINPUT, "looking for %s/%s: there is none; %s%s",
		b->dir.path, HOME_BOOTSTRAP,
		inflight ? "a run is under way, or was cut short: " : "",
		inflight || left == CRED_LEFT_SECRET
			? remedy
			: "write the activation code into it");
}

/* The claimed file is of no use: out of the way with it. */
static int quarantine(
	struct bootstrap *b, enum outcome_kind kind, struct err *e)
{
	struct err own = { 0 };
	char *why;

	b->result.kind = kind;
	why = outcome_words(&b->result, e);
	if (claim_quarantine(&b->dir, why, &b->result.failed_file, &own) < 0)
		say("%s", own.text);
	else
		say_info("the file is kept as %s; ask for a new code if you "
			 "need one",
			b->result.failed_file);
	free(why);
	return -1;
}

/* The claimed file may still be good: back with it. */
static int put_back(struct bootstrap *b, struct err *e)
{
	struct err own = { 0 };
	int r = claim_restore(&b->dir, true, &own);

	if (r < 0)
		say("%s; it is in %s/%s, and agentrux-activate --recover puts "
		    "it back",
			own.text, b->dir.path, HOME_INFLIGHT);
	else if (r == 0)
		say("a newer %s was written meanwhile and takes the place of "
		    "the one that failed",
			HOME_BOOTSTRAP);
	else
		say_info("%s/%s is back", b->dir.path, HOME_BOOTSTRAP);
	return bootstrap_refused(b, e);
}

/* --- the request and what it brings --- */

/* A refusal that the same code will always meet? */
static bool is_final(int status)
{
	return status >= 400 && status < 500 && status != 429;
}

/* The outcome of a request that brought nothing. */
static void judge(struct bootstrap *b, struct err *e)
{
	if (is_final(b->result.service.status)) {
		b->result.kind = OUTCOME_PERMANENT;
		e->code = EX_NOPERM;
		return;
	}
	b->result.kind = OUTCOME_TRANSIENT;
	if (e->code == ERR_STOPPED)
		err_set(e, EX_TEMPFAIL,
			"activating: told to end before the service answered; "
			"whether it took the code is not known");
	else if (e->code != EX_IOERR)
		e->code = EX_TEMPFAIL;
}

/* Credentials are in place. */
static int arrived(struct bootstrap *b)
{
	position_tell_foreign(&b->dir, dialect_of_cred(&b->result.cred));
	return ended(b, OUTCOME_OK);
}

/* The answer is there: whatever it takes, keep it. */
int bootstrap_keep(
	struct bootstrap *b, struct cred_slot *slot, bool fresh, struct err *e)
{
	char *document = cred_document(&b->result.cred);
	int r;

	if (strlen(document) > CRED_FILE_MAX) {
		r = err_set(e, EX_TEMPFAIL,
			"activating: the service's answer is too large");
		ended(b, OUTCOME_TRANSIENT);
	} else if (cred_commit(&b->dir, slot, document, fresh, e) == 0) {
		r = arrived(b);
	} else if (slot->written) {
		r = err_prefix(e,
			"the secret is in %s/%s and nowhere else; mend what is "
			"wrong, then run agentrux-activate --recover",
			b->dir.path, HOME_RESERVED);
		ended(b, OUTCOME_RESCUED);
	} else {
		r = err_prefix(e, "the code is spent and the secret could not "
				  "be kept; ask for a new code");
		ended(b, OUTCOME_PERMANENT);
	}
	buf_wipe_free(document);
	return r;
}

/* Spends the code. The outcome tells what is to become of the file; `spent`
 * whether the service has given something for it. */
static int spend(struct bootstrap *b, const char *url, const char *code,
	bool *spent, struct err *e)
{
	struct cred_slot slot;
	struct http *http;
	int r;

	*spent = false;
	if (cred_reserve(&b->dir, &slot, e) < 0)
		return bootstrap_refused(b, e);
	if (stop_asked()) {
		cred_unreserve(&b->dir, &slot);
		err_stopped(e);
		return bootstrap_refused(b, e);
	}
	http = http_new(home_allow_http());
	r = auth_redeem(http, url, code, &b->result.cred, &b->result.grants,
		&b->result.service, e);
	http_free(http);
	if (r < 0) {
		cred_release(&b->result.cred);
		judge(b, e);
	} else {
		*spent = true;
		b->result.cred.base_url = xstrdup(url);
		r = bootstrap_keep(b, &slot, true, e);
	}
	cred_unreserve(&b->dir, &slot);
	return r;
}

int bootstrap_present(struct bootstrap *b, struct err *e)
{
	err_set(e, EX_CANTCREAT,
		"activating: %s has credentials already; move them away first, "
		"if another script is to take over",
		b->dir.path);
	return ended(b, OUTCOME_CREDS_PRESENT);
}

static int from_text(struct bootstrap *b, const char *url, struct err *e)
{
	char *code;
	bool spent;
	int r;

	if (cred_id(&b->result.cred))
		return bootstrap_present(b, e);
	code = find_code(b->text, strlen(b->text), e);
	if (code == NULL)
		return bootstrap_refused(b, e);
	r = spend(b, url, code, &spent, e);
	buf_wipe_free(code);
	return r;
}

/* The file is claimed and read. */
static int from_claimed(struct bootstrap *b, const char *url,
	const struct buf *text, struct err *e)
{
	char *code = find_code(buf_text(text), text->len, e);
	bool spent;
	int r;

	if (code == NULL)
		return e->code == EX_DATAERR ? quarantine(b, OUTCOME_INVALID, e)
					     : put_back(b, e);
	r = spend(b, url, code, &spent, e);
	buf_wipe_free(code);
	if (b->result.kind == OUTCOME_PERMANENT)
		return quarantine(b, OUTCOME_PERMANENT, e);
	if (!spent || b->result.kind == OUTCOME_TRANSIENT)
		return put_back(b, e);
	/* A spent code that stays is but a nuisance. */
	claim_drop(&b->dir, NULL);
	return r;
}

static int from_file(struct bootstrap *b, const char *url, struct err *e)
{
	struct buf text = BUF_SECRET(CLAIM_FILE_MAX);
	bool exposed;
	int r = claim_take(&b->dir, e);

	if (r <= 0)
		return r < 0 ? bootstrap_refused(b, e) : no_file(b, e);
	if (cred_id(&b->result.cred)) {
		err_set(e, EX_CANTCREAT,
			"activating: %s has credentials already, and a new %s; "
			"the code was not sent",
			b->dir.path, HOME_BOOTSTRAP);
		return quarantine(b, OUTCOME_CREDS_PRESENT, e);
	}
	r = claim_read(&b->dir, &text, &exposed, e);
	if (r > 0 && exposed)
		say("others could read %s/%s; its code is spent at once",
			b->dir.path, HOME_BOOTSTRAP);
	if (r > 0)
		r = from_claimed(b, url, &text, e);
	else
		r = r < 0 ? put_back(b, e) : quarantine(b, OUTCOME_INVALID, e);
	buf_release(&text);
	return r;
}

/* The lock; what is there already. */
int bootstrap_begin(struct bootstrap *b, struct err *e)
{
	int r = cred_lock(&b->dir, &b->lock, LOCK_WAIT_MS, e);

	if (r == 0)
		return err_set(e, EX_TEMPFAIL,
			"waiting for the activation that is under way in %s: "
			"it takes too long",
			b->dir.path);
	if (r < 0)
		return -1;
	claim_sweep(&b->dir);
	return cred_load(&b->dir, &b->result.cred, e) < 0 ? -1 : 0;
}

/* Is there anything that a run could act on? If not, there is nothing to lock
 * for either: a home that is complete may be read-only. */
static bool in_sight(const struct bootstrap *b)
{
	enum cred_left left;

	return claim_look(&b->dir) || cred_left(&b->dir, &left, NULL) < 0 ||
	       left != CRED_LEFT_NOTHING;
}

int bootstrap_activate(struct bootstrap *b, struct err *e)
{
	char *url = api_base_url(b->base_url, NULL, e);
	int r;

	if (url == NULL)
		return bootstrap_refused(b, e);
	r = home_open(
		&b->dir, b->home, b->text ? STATEDIR_CREATE : STATEDIR_FIND, e);
	if (r > 0 && b->text == NULL && !in_sight(b)) {
		r = cred_load(&b->dir, &b->result.cred, e);
		r = r < 0 ? bootstrap_refused(b, e) : no_file(b, e);
	} else if (r > 0) {
		r = bootstrap_begin(b, e);
		if (r < 0)
			r = bootstrap_refused(b, e);
		else
			r = b->text ? from_text(b, url, e)
				    : from_file(b, url, e);
	} else {
		r = r < 0 ? bootstrap_refused(b, e) : no_file(b, e);
	}
	free(url);
	return r;
}

/* --- after a crash --- */

/* A claimed code goes back. */
static int recover_code(struct bootstrap *b, struct err *e)
{
	int r;

	if (b->dir.fd < 0 || (claim_look(&b->dir) & CLAIM_INFLIGHT) == 0) {
		b->result.kind = OUTCOME_NO_FILE;
		return err_set(e, EX_NOINPUT,
			"recovering: there is nothing to finish in %s",
			b->dir.path);
	}
	r = claim_restore(&b->dir, false, e);
	if (r == 0) {
		b->result.kind = OUTCOME_NEWER;
		return err_set(e, EX_CANTCREAT,
			"recovering: there are %s/%s and a newer %s; remove "
			"the one that you do not need",
			b->dir.path, HOME_INFLIGHT, HOME_BOOTSTRAP);
	}
	if (r < 0)
		return bootstrap_refused(b, e);
	b->result.kind = OUTCOME_RESTORED;
	return 0;
}

int bootstrap_recover(struct bootstrap *b, struct err *e)
{
	struct cred found = { 0 };
	int r;

	r = home_open(&b->dir, b->home, STATEDIR_FIND, e);
	if (r > 0 && in_sight(b)) {
		r = bootstrap_begin(b, e);
		if (r == 0)
			r = cred_recover(&b->dir, &found, e);
	} else if (r > 0) {
		r = 0;
	}
	if (r < 0)
		return bootstrap_refused(b, e);
	if (r == 0)
		return recover_code(b, e);
	/* The claimed code was spent for it; not so where there were
	 * credentials before, for then it was a rotation. */
	if (cred_id(&b->result.cred) == NULL)
		claim_drop(&b->dir, NULL);
	cred_release(&b->result.cred);
	b->result.cred = found;
	return arrived(b);
}
