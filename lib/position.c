#include "position.h"

#include "waterline.h"

#include <stdlib.h>
#include <string.h>

/* The search for another spelling. */
struct search {
	const struct dialect *d;
	const char *topic;
	struct buf *position;
	int found; /* as position_get */
};

/* Is `name` (a JSON string) this topic? */
static bool is_topic(const struct search *s, struct slice name)
{
	struct buf text = BUF_INIT(EVENT_ID_MAX);
	char *id;
	bool same = false;

	if (slice_text(name, &text)) {
		id = s->d->topic_id(buf_text(&text));
		same = strcmp(id, s->topic) == 0;
		free(id);
	}
	buf_release(&text);
	return same;
}

static int look_at(
	void *ctx, struct slice topic, struct slice position, struct err *e)
{
	struct search *s = ctx;

	(void)e;
	if (s->found == 0 && is_topic(s, topic))
		s->found = waterline_text(position, s->d->numeric, s->position);
	return 0;
}

int position_get(const struct statedir *home, const struct dialect *d,
	const char *topic, struct buf *position, struct err *e)
{
	struct search s = { .d = d, .topic = topic, .position = position };
	int r = waterline_get(home, topic, d->numeric, position, e);

	if (r == 0)
		r = waterline_each(home, d->numeric, look_at, &s, e);
	return r == 0 ? s.found : r;
}

int position_set(const struct statedir *home, const struct dialect *d,
	const char *topic, const char *position, struct err *e)
{
	return waterline_set(home, topic, d->numeric, position, e);
}

int position_refuse(const char *topic, const char *position, struct err *e)
{
	return err_set(e, EX_CONFIG,
		"reading %s: its saved position '%.100s' is another dialect's "
		"and cannot carry over; decide where to go on: "
		"agentrux-waterline latest %s leaves out what came meanwhile, "
		"agentrux-waterline oldest %s brings all that is retained",
		topic, position, topic, topic);
}

static int tell(
	void *ctx, struct slice topic, struct slice position, struct err *e)
{
	struct buf text = BUF_INIT(EVENT_POSITION_MAX);
	struct search *s = ctx;

	(void)e;
	if (waterline_text(position, s->d->numeric, &text) == 2) {
		s->found++;
		say_info("the position of %.*s cannot carry over to the %s "
			 "dialect: %s",
			(int)(topic.len < 200 ? topic.len : 200), topic.p,
			s->d->name, buf_text(&text));
	}
	buf_release(&text);
	return 0;
}

void position_tell_foreign(const struct statedir *home, const struct dialect *d)
{
	struct search s = { .d = d };

	waterline_each(home, d->numeric, tell, &s, NULL);
	if (s.found)
		say("positions of %d topics cannot carry over to the %s "
		    "dialect; before a topic is drained again, decide where: "
		    "agentrux-waterline latest TOPIC, or oldest TOPIC",
			s.found, d->name);
}
