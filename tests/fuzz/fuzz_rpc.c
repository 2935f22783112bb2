/* Whatever a line holds, the answer to it is JSON, and so is any text. Aborts
 * where that does not hold. */
#include "rpc.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice need_json(const struct buf *text)
{
	struct slice value;
	size_t bad;

	if (slice_document(
		    buf_text(text), text->len, SLICE_UTF8, &value, &bad) < 0) {
		fprintf(stderr, "not JSON: %s\n", buf_text(text));
		abort();
	}
	return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = BUF_INIT(1 << 24);
	struct rpc_message m;
	struct slice value, id;
	size_t bad;

	rpc_text(&out, (const char *)data, size);
	need_json(&out);
	buf_clear(&out);
	if (slice_document(
		    (const char *)data, size, SLICE_UTF8, &value, &bad) == 0) {
		rpc_read(value, &m);
		rpc_answer(&out, m.id);
		rpc_error(&out, RPC_PARSE_ERROR, "why");
		buf_char(&out, '}');
		if (m.id.p && (!slice_member(need_json(&out), "id", &id) ||
				      !rpc_same_id(id, m.id)))
			abort();
	}
	buf_release(&out);
	return 0;
}
