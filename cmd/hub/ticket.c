#include "ticket.h"

#include "sign.h"

#include <stdio.h>
#include <string.h>

/* A token on the wire: a prefix and base64url of kind, its numbers and the mac. */
enum { TOKEN_SAID = 1 + 4 * 8, TOKEN_BYTES = TOKEN_SAID + SIGN_KEY };

static const char *token_prefix(enum token_kind kind)
{
	return kind == TOKEN_OAUTH ? "aat_" : "atk_";
}

enum token_kind token_kind(const char *text)
{
	return strncmp(text, "aat_", 4) == 0 ? TOKEN_OAUTH : TOKEN_CLASSIC;
}

static void put64(unsigned char *p, int64_t v)
{
	int i;

	for (i = 0; i < 8; i++)
		p[i] = (unsigned char)((uint64_t)v >> (56 - 8 * i));
}

static int64_t get64(const unsigned char *p)
{
	uint64_t v = 0;
	int i;

	for (i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return (int64_t)v;
}

void token_make(const unsigned char key[SIGN_KEY], const struct token *t,
	char out[TOKEN_TEXT])
{
	unsigned char raw[TOKEN_BYTES] = { (unsigned char)t->kind };

	put64(raw + 1, t->script);
	put64(raw + 9, t->generation);
	put64(raw + 17, t->expires_ms);
	put64(raw + 25, t->family);
	sign_mac(key, raw, TOKEN_SAID, raw + TOKEN_SAID);
	snprintf(out, TOKEN_TEXT, "%s", token_prefix(t->kind));
	sign_encode(raw, sizeof raw, out + strlen(out));
}

int token_read(
	const unsigned char key[SIGN_KEY], const char *text, struct token *t)
{
	unsigned char raw[TOKEN_BYTES], want[SIGN_KEY];
	enum token_kind kind = token_kind(text);
	const char *prefix = token_prefix(kind);
	size_t n = strlen(prefix);

	if (strncmp(text, prefix, n) != 0 ||
		sign_decode(text + n, raw, sizeof raw) < 0 || raw[0] != kind)
		return -1;
	sign_mac(key, raw, TOKEN_SAID, want);
	if (!sign_equal(want, raw + TOKEN_SAID, SIGN_KEY))
		return -1;
	t->kind = kind;
	t->script = get64(raw + 1);
	t->generation = get64(raw + 9);
	t->expires_ms = get64(raw + 17);
	t->family = get64(raw + 25);
	return 0;
}

static const char cursor_prefix[] = "cur_";
static const char cursor_domain[] = "cursor";

void cursor_make(const unsigned char key[SIGN_KEY], const struct cursor *c,
	char out[CURSOR_TEXT])
{
	unsigned char plain[16], block[16];

	put64(plain, c->topic);
	put64(plain + 8, c->seq * 2 + c->frontier);
	sign_block(key, cursor_domain, false, plain, block);
	memcpy(out, cursor_prefix, sizeof cursor_prefix);
	sign_encode(block, sizeof block, out + sizeof cursor_prefix - 1);
}

int cursor_read(const unsigned char key[SIGN_KEY], const char *text,
	int64_t topic, struct cursor *c)
{
	unsigned char plain[16], block[16];
	size_t n = sizeof cursor_prefix - 1;
	int64_t v;

	if (strncmp(text, cursor_prefix, n) != 0 ||
		sign_decode(text + n, block, sizeof block) < 0)
		return -1;
	sign_block(key, cursor_domain, true, block, plain);
	v = get64(plain + 8);
	if (get64(plain) != topic || v < 0)
		return -1;
	c->topic = topic;
	c->seq = v / 2;
	c->frontier = v % 2;
	return 0;
}
