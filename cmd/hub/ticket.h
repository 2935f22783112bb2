/* hub: access tokens and cursors: what we hand out, get back, and believe only
 * because it could not be made without our key. Pure, thread-safe. */
#ifndef AGENTRUX_HUB_TICKET_H
#define AGENTRUX_HUB_TICKET_H

#include "sign.h"

enum {
	TOKEN_TEXT = 104, /* room for an access token */
	CURSOR_TEXT = 32
};

/* The dialect that the requests of a token speak. */
enum token_kind { TOKEN_CLASSIC = 1, TOKEN_OAUTH = 2 };

/* What an access token says. It is checked without the database, but that its
 * generation is still the script's: a new secret makes a new generation. */
struct token {
	enum token_kind kind;
	int64_t script; /* row */
	int64_t generation;
	int64_t expires_ms;
	int64_t family; /* row of devices.h; 0: of a secret */
};

void token_make(const unsigned char key[SIGN_KEY], const struct token *t,
	char out[TOKEN_TEXT]);

/* The kind that a text claims to be; TOKEN_CLASSIC if it claims nothing. */
enum token_kind token_kind(const char *text);

/* 0 if it is one of ours (it may have expired all the same), else -1. */
int token_read(
	const unsigned char key[SIGN_KEY], const char *text, struct token *t);

/* A position in a topic, as a text that says nothing: the position of the
 * event `seq`, which goes with that event, or the frontier, up to `seq`, that a
 * reader had reached, which is good as long as nothing behind it was lost. The
 * same position is always the same text. */
struct cursor {
	int64_t topic; /* row */
	int64_t seq;
	bool frontier;
};

void cursor_make(const unsigned char key[SIGN_KEY], const struct cursor *c,
	char out[CURSOR_TEXT]);

/* -1: not one of ours, or another topic's. */
int cursor_read(const unsigned char key[SIGN_KEY], const char *text,
	int64_t topic, struct cursor *c);

#endif
