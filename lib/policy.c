#include "policy.h"

#include "home.h"
#include "json.h"
#include "pattern.h"

#include <stdlib.h>
#include <string.h>

enum { CONFIG_MAX = 1048576, PATTERNS_MAX = 1000 };

void policy_release(struct policy *p)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		free(p->texts[i]);
		pattern_free(p->patterns[i]);
	}
	free(p->texts);
	free(p->patterns);
	*p = (struct policy){ 0 };
}

static int read_patterns(
	const struct json *list, struct policy *p, struct err *e)
{
	size_t i, n = json_count(list);
	const char *text;

	if (list && !json_is_array(list))
		return err_set(e, EX_CONFIG, "allowedCommands is not a list");
	if (n > PATTERNS_MAX)
		return err_set(e, EX_CONFIG,
			"allowedCommands has more than %d patterns",
			PATTERNS_MAX);
	p->texts = xcalloc(n + 1, sizeof *p->texts);
	p->patterns = xcalloc(n + 1, sizeof *p->patterns);
	for (i = 0; i < n; i++) {
		text = json_string(json_item(list, i));
		if (text == NULL)
			return err_set(e, EX_CONFIG,
				"allowedCommands holds something else than "
				"patterns");
		p->patterns[i] = pattern_new(text, e);
		if (p->patterns[i] == NULL) {
			e->code = EX_CONFIG;
			return -1;
		}
		p->texts[i] = xstrdup(text);
		p->n++;
	}
	return 0;
}

static int read_policy(
	const struct json *config, struct policy *p, struct err *e)
{
	const struct json *policy = json_member(config, "execPolicy");

	if (!json_is_object(config))
		return err_set(e, EX_CONFIG, "it is not an object");
	p->enabled = json_bool(policy, "enabled", false);
	if (!p->enabled)
		return 0;
	return read_patterns(json_member(policy, "allowedCommands"), p, e);
}

int policy_load(const struct statedir *home, struct policy *p, struct err *e)
{
	struct buf text = BUF_SECRET(CONFIG_MAX);
	struct json *config = NULL;
	int r;

	*p = (struct policy){ 0 };
	r = home->fd < 0 ? 0 : statefile_load(home, HOME_CONFIG, &text, e);
	if (r > 0) {
		config = json_parse(buf_text(&text), text.len, e);
		r = config ? read_policy(config, p, e) : -1;
		if (r < 0) {
			err_prefix(e, "reading %s/%s", home->path, HOME_CONFIG);
			e->code = EX_CONFIG;
		}
	}
	json_free(config);
	buf_release(&text);
	return r < 0 ? -1 : 0;
}

int policy_allows(const struct policy *p, const char *line, struct err *e)
{
	enum pattern_answer answer;
	bool too_hard = false;
	size_t i;

	for (i = 0; p->enabled && i < p->n; i++) {
		answer = pattern_match(p->patterns[i], line, strlen(line));
		if (answer == PATTERN_YES)
			return 0;
		too_hard |= answer == PATTERN_TOO_HARD;
	}
	return err_set(e, EX_FAILED,
		"not allowed: the whole command line has to match one of the "
		"patterns in execPolicy.allowedCommands%s; run what they "
		"allow, "
		"or ask the user to add a pattern",
		too_hard ? " (one of them took too long to match)" : "");
}
