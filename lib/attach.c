#include "attach.h"

#include "mime.h"
#include "payload.h"
#include "upload.h"

#include <stdint.h>
#include <stdlib.h>

static int upload_all(struct api *api, const char *topic,
	const char *const *paths, size_t n, char **lines, struct err *e)
{
	struct upload up = { .api = api, .topic = topic };
	struct mime *mime = mime_new();
	struct source f;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < n; i++) {
		r = source_open(&f, paths[i], NULL, NULL, mime, e);
		if (r == 0)
			r = upload_run(&up, &f, &lines[i], e);
		source_close(&f);
	}
	mime_free(mime);
	return r;
}

int attach_files(struct api *api, const char *topic, const char *const *paths,
	size_t n, struct buf *text, struct slice *payload, struct err *e)
{
	struct buf whole = BUF_INIT(SIZE_MAX / 2);
	char **lines;
	size_t i;
	int r;

	if (n == 0)
		return 0;
	lines = xcalloc(n, sizeof *lines);
	r = upload_all(api, topic, paths, n, lines, e);
	if (r == 0) {
		payload_attach(*payload, (const char *const *)lines, n, &whole);
		buf_release(text);
		*text = whole;
		*payload = (struct slice){ text->data, text->len };
	}
	for (i = 0; i < n; i++)
		free(lines[i]);
	free(lines);
	return r;
}
